/* Whole services of master.cf: added at the end below our comment and taken out again, stopped (each line commented out)
 * and started again. All other bytes stay, and each edit followed by the reverse one gives the same file; only a file that
 * ends without a newline gets one. */
#include <stdlib.h>
#include <string.h>

#include "cf.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

/* The file's text as it was, to go back to. */
static void
put_back(struct master_cf *m, const struct str *text)
{
	str_reset(&m->t.text);
	cf_insert(&m->t, 0, text->s);
	(void)master_cf_again(m, NULL);
}

/* All services but one, as text. */
static char *
all_but(const struct master_cf *m, const char *name, const char *type)
{
	struct str out = STR_INIT;
	bool passed = false;
	size_t i, k;

	for (i = 0; i < m->n; i++) {
		const struct master_service *s = &m->v[i];

		if (!passed && strcmp(s->name, name) == 0 && strcmp(s->type, type) == 0) {
			passed = true;
			continue;
		}
		str_addf(&out, "%s\t%s\t%s", s->name, s->type, s->command);
		for (k = 0; k < s->n; k++)
			str_addf(&out, "\t%s=%s", s->v[k].name, s->v[k].value);
		str_addc(&out, '\n');
	}
	return str_take(&out);
}

/* --- added and taken out --- */

int
master_cf_add(struct master_cf *m, const char *owner, const char *text, struct err *e)
{
	struct str before = STR_INIT, all = STR_INIT;
	char *others = all_but(m, "", ""), *now = NULL;
	size_t n = m->n;
	int rc = -1;

	str_addn(&before, m->t.text.s, m->t.text.len);
	if (before.len > 0 && before.s[before.len - 1] != '\n')
		str_addc(&all, '\n');
	str_addf(&all, MASTER_CF_ADDED "%s\n%s", owner, text);
	cf_insert(&m->t, before.len, all.s);
	if (clean_is(owner, strlen(owner)) && *owner && master_cf_again(m, NULL) == 0 && m->n == n + 1) {
		now = all_but(m, m->v[n].name, m->v[n].type);
		rc = strcmp(now, others) == 0 ? 0 : -1;
	}
	if (rc != 0) {
		put_back(m, &before);
		err_set(e, RC_INVALID, "\"%.100s\" cannot be added to master.cf as one service", clean(text));
	}
	free(others);
	free(now);
	str_release(&before);
	str_release(&all);
	return rc;
}

/* The comment of ours right in front of the line at this offset: where it begins; at itself when there is none. */
static size_t
comment_before(const struct str *text, size_t at)
{
	size_t start = at;

	if (at == 0)
		return at;
	for (start = at - 1; start > 0 && text->s[start - 1] != '\n'; start--)
		;
	return text_starts(text->s + start, MASTER_CF_ADDED) ? start : at;
}

char *
master_cf_owner(const struct master_cf *m, const struct master_service *s)
{
	size_t at = m->t.lines[s->line].pieces[0].at, start = comment_before(&m->t.text, at);
	const char *name = m->t.text.s + start + strlen(MASTER_CF_ADDED);
	size_t n;

	if (start == at)
		return NULL;
	n = strcspn(name, "\n");
	return n > 0 && n < 200 && clean_is(name, n) ? xstrndup(name, n) : NULL;
}

/* Cuts bytes out of the file. */
static void
cut(struct master_cf *m, size_t from, size_t to)
{
	struct str text = STR_INIT;

	str_init(&text, 2 * CF_MAX);
	str_addn(&text, m->t.text.s, from);
	str_addn(&text, m->t.text.s + to, m->t.text.len - to);
	put_back(m, &text);
	str_release(&text);
}

void
master_cf_remove(struct master_cf *m, const char *name, const char *type)
{
	const struct master_service *s = master_cf_find(m, name, type);
	size_t at, start, line;

	if (s == NULL)
		return;
	line = s->line;
	at = m->t.lines[line].pieces[0].at;
	start = comment_before(&m->t.text, at);
	cf_remove_line(&m->t, line);
	if (start < at)
		cut(m, start, at);
	else
		(void)master_cf_again(m, NULL);
}

/* --- stopped and started --- */

int
master_cf_stop(struct master_cf *m, const char *name, const char *type, struct err *e)
{
	const struct master_service *s = master_cf_find(m, name, type);
	const struct cf_line *l;
	struct str text = STR_INIT;
	size_t i, at = 0;

	if (s == NULL)
		return err_set(e, RC_NOTFOUND, "master.cf has no service \"%s %s\"", clean(name), clean(type));
	l = &m->t.lines[s->line];
	str_init(&text, 2 * CF_MAX);
	for (i = 0; i < l->n; i++) {
		str_addn(&text, m->t.text.s + at, l->pieces[i].at - at);
		str_add(&text, MASTER_CF_STOPPED);
		at = l->pieces[i].at;
	}
	str_addn(&text, m->t.text.s + at, m->t.text.len - at);
	put_back(m, &text);
	str_release(&text);
	return 0;
}

static size_t
line_end(const struct str *t, size_t at)
{
	const char *nl = memchr(t->s + at, '\n', t->len - at);

	return nl ? (size_t)(nl - t->s) + 1 : t->len;
}

/* Neither a comment nor blank. */
static bool
is_live(const char *line, size_t len)
{
	size_t i = 0;

	while (i < len && cf_blank(line[i]))
		i++;
	return i < len && line[i] != '#';
}

/* The file with one stopped service live again: the line at `at`, and those of ours below it that continue it, up to the
 * next one that begins or lives. */
static void
without_marks(const struct str *t, size_t at, struct str *out)
{
	size_t mark = strlen(MASTER_CF_STOPPED), next;
	bool first = true;

	str_addn(out, t->s, at);
	for (; at < t->len; at = next, first = false) {
		const char *line = t->s + at;
		bool ours = text_starts(line, MASTER_CF_STOPPED);

		next = line_end(t, at);
		if (ours && !first && !cf_blank(line[mark]))
			break;
		if (!ours && is_live(line, next - at))
			break;
		str_addn(out, line + (ours ? mark : 0), next - at - (ours ? mark : 0));
	}
	str_addn(out, t->s + at, t->len - at);
}

/* The service that is in `now` and not in m, when that is the only difference. */
static const struct master_service *
the_new_one(const struct master_cf *m, const struct master_cf *now)
{
	const struct master_service *s = NULL;
	char *before, *after;
	size_t i;
	bool same;

	if (now->n != m->n + 1)
		return NULL;
	for (i = 0; i < now->n && s == NULL; i++)
		if (master_cf_find(m, now->v[i].name, now->v[i].type) == NULL)
			s = &now->v[i];
	if (s == NULL)
		return NULL;
	before = all_but(m, "", "");
	after = all_but(now, s->name, s->type);
	same = strcmp(before, after) == 0;
	free(before);
	free(after);
	return same ? s : NULL;
}

#define TRIES_MAX 32              /* lines of ours that begin no service any more, in one search */

bool
master_cf_start(struct master_cf *m, size_t *from, char **name, char **type)
{
	size_t at = *from, next, tries = 0;
	bool found = false;

	for (; at < m->t.text.len && !found && tries < TRIES_MAX; at = next) {
		const char *line = m->t.text.s + at;
		const struct master_service *s;
		struct master_cf now;
		struct str text = STR_INIT;

		next = line_end(&m->t.text, at);
		if (!text_starts(line, MASTER_CF_STOPPED) || cf_blank(line[strlen(MASTER_CF_STOPPED)]))
			continue;
		tries++;
		str_init(&text, 2 * CF_MAX);
		without_marks(&m->t.text, at, &text);
		if (master_cf_read(&now, text.s, text.len, NULL) == 0 && (s = the_new_one(m, &now)) != NULL) {
			*name = xstrdup(s->name);
			*type = xstrdup(s->type);
			put_back(m, &text);
			next = line_end(&m->t.text, at);
			found = true;
		}
		master_cf_release(&now);
		str_release(&text);
	}
	*from = at;
	return found;
}

/* --- a piece at the end of a service --- */

static size_t
end_of(const struct master_cf *m, const struct master_service *s)
{
	const struct cf_line *l = &m->t.lines[s->line];
	size_t at = l->len;

	while (at > 0 && cf_blank(l->joined[at - 1]))
		at--;
	return cf_after(l, at);
}

int
master_cf_put(struct master_cf *m, const char *name, const char *type, const char *text, struct err *e)
{
	const struct master_service *s = master_cf_find(m, name, type);

	if (s == NULL)
		return err_set(e, RC_NOTFOUND, "master.cf has no service \"%s %s\"", clean(name), clean(type));
	cf_insert(&m->t, end_of(m, s), text);
	return master_cf_again(m, e);
}

bool
master_cf_drop(struct master_cf *m, const char *name, const char *type, const char *text)
{
	const struct master_service *s = master_cf_find(m, name, type);
	size_t end, n = strlen(text);

	if (s == NULL)
		return false;
	end = end_of(m, s);
	if (end < n || memcmp(m->t.text.s + end - n, text, n) != 0)
		return false;
	cut(m, end - n, end);
	return true;
}
