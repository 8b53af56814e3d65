/* What somebody changed by hand in what a push of ours left on the host: lines of ours in main.cf and master.cf, held against
 * the copies that the host's own record of the generation keeps, and our files below /etc/mxseal, held against what was
 * pushed. What the administrator writes beside our lines is his and is none of this. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

static struct touched *
add(struct touched_list *out, const char *path, char *what)
{
	struct touched *t;

	ARRAY_GROW(out->v, out->n);
	t = &out->v[out->n++];
	*t = (struct touched){ .path = xstrdup(path), .what = what };
	return t;
}

static char *
diff_of(const char *path, const char *before, const struct str *after)
{
	struct plan p;
	struct change *c;
	struct str text = STR_INIT;

	plan_init(&p);
	c = plan_change(&p, path, after != NULL ? CHANGE_EDIT : CHANGE_REMOVE);
	str_add(&c->before, before);
	if (after != NULL)
		str_addn(&c->after, after->s, after->len);
	plan_diff(c, &text);
	plan_release(&p);
	return str_take(&text);
}

/* Is every word of the value that names a file of ours still in the other one? */
static bool
ours_kept(const char *value, const char *now)
{
	char **words = words_split(value, ", \t\r\n", NULL), **there = words_split(now != NULL ? now : "", ", \t\r\n", NULL);
	bool kept = true;
	size_t i, k;

	for (i = 0; words[i] != NULL && kept; i++) {
		if (strstr(words[i], OURS_DIR) == NULL)
			continue;
		for (k = 0; there[k] != NULL && strcmp(there[k], words[i]) != 0; k++)
			;
		kept = there[k] != NULL;
	}
	words_free(words);
	words_free(there);
	return kept;
}

static void
name_it(struct str *names, const char *name)
{
	str_addf(names, "%s%s", names->len > 0 ? ", " : "", clean(name));
}

static void
main_touched(const struct reading *have, const char *pushed, struct touched_list *out)
{
	struct main_cf before, now;
	struct str names = STR_INIT;
	char *path;
	size_t i;

	memset(&now, 0, sizeof(now));
	if (main_cf_read(&before, pushed, strlen(pushed), NULL) == 0 && main_cf_read(&now, have->main_cf.s, have->main_cf.len, NULL) == 0)
		for (i = 0; i < before.n; i++) {
			const char *name = before.v[i].name, *value = main_cf_get(&before, name), *is = main_cf_get(&now, name);

			if (strcmp(before.v[i].value, value) != 0)       /* not the last one, which counts */
				continue;
			if (!ours_kept(value, is) || (main_cf_is_ours(&before, name) && strstr(value, OURS_DIR) == NULL && !text_eq(value, is)))
				name_it(&names, name);
		}
	if (names.len > 0) {
		path = xasprintf("%s/main.cf", have->config_dir);
		add(out, path, str_take(&names))->diff = diff_of(path, pushed, &have->main_cf);
		free(path);
	}
	main_cf_release(&before);
	main_cf_release(&now);
	str_release(&names);
}

static void
master_touched(const struct reading *have, const char *pushed, struct touched_list *out)
{
	struct master_cf before, now;
	struct str names = STR_INIT;
	char *path;
	size_t i, k;

	memset(&now, 0, sizeof(now));
	if (master_cf_read(&before, pushed, strlen(pushed), NULL) == 0 &&
	    master_cf_read(&now, have->master_cf.s, have->master_cf.len, NULL) == 0)
		for (i = 0; i < before.n; i++) {
			const struct master_service *s = &before.v[i], *is = master_cf_find(&now, s->name, s->type);

			for (k = 0; k < s->n; k++)
				if (!ours_kept(s->v[k].value, is != NULL ? master_cf_option(is, s->v[k].name) : NULL)) {
					name_it(&names, s->name);
					break;
				}
		}
	if (names.len > 0) {
		path = xasprintf("%s/master.cf", have->config_dir);
		add(out, path, str_take(&names))->diff = diff_of(path, pushed, &have->master_cf);
		free(path);
	}
	master_cf_release(&before);
	master_cf_release(&now);
	str_release(&names);
}

/* One of our own files, as it was pushed. */
static void
own_touched(const struct reading *have, const struct file_list *files, const struct own_text *f, struct touched_list *out)
{
	struct str line = STR_INIT, now = STR_INIT;
	const char *at, *text = file_text(files, &have->sections, FILE_MAP, f->path, "map");
	char hex[65];

	if (text == NULL)
		text = file_text(files, &have->sections, FILE_PATTERNS, f->path, "map");
	sha256_hex(f->text, strlen(f->text), hex);
	str_addf(&line, "%s\t", f->path);
	at = strstr(have->our_files.s, line.s);
	if (at != NULL && strncmp(at + line.len, hex, 64) == 0)
		goto out;
	if (at == NULL)
		add(out, f->path, xstrdup("deleted"))->diff = diff_of(f->path, f->text, NULL);
	else {
		str_add(&now, text != NULL ? text : "(what it holds now was not read)\n");
		add(out, f->path, xstrdup("edited"))->diff = diff_of(f->path, f->text, &now);
	}
out:
	str_release(&line);
	str_release(&now);
}

void
postfix_touched(const struct reading *have, const struct own_text *own, size_t n, struct touched_list *out)
{
	const char *main_cf = section_text(&have->sections, "pushed.main.cf"), *master = section_text(&have->sections, "pushed.master.cf");
	struct file_list files = { 0 };
	struct view v;
	size_t i;

	if (main_cf != NULL && *main_cf != '\0')
		main_touched(have, main_cf, out);
	if (master != NULL && *master != '\0')
		master_touched(have, master, out);
	if (view_load(&v, &have->sections, NULL) == 0) {
		view_start(&v);                  /* the list that was read is of what runs when all is started */
		files_named(&v, &files);
	}
	for (i = 0; i < n; i++)
		own_touched(have, &files, &own[i], out);
	file_list_release(&files);
	view_release(&v);
}
