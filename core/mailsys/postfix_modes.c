/* Who else could read or exchange the keys and certificates of a host: mode and owner of the files that its configuration
 * names, and of our own folders there. What could not be looked at is not spoken of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "postfix.h"

#define TROUBLES_MAX 16384       /* bytes of all sentences */

/* One line of stat(1), "%a %U:%G": owner and group as words that are safe to show. */
struct mode { long bits; char owner[40], group[40]; };

static bool
mode_read(const char *line, struct mode *m)
{
	char bits[8];

	if (line == NULL || sscanf(line, "%7[0-7] %39[^: \t\r\n]:%39[^ \t\r\n]", bits, m->owner, m->group) != 3)
		return false;
	m->bits = strtol(bits, NULL, 8);
	snprintf(m->owner, sizeof(m->owner), "%.30s", clean(m->owner));
	snprintf(m->group, sizeof(m->group), "%.30s", clean(m->group));
	return true;
}

/* Postfix's own user is no stranger there. */
static bool
owner_good(const char *owner)
{
	return strcmp(owner, "root") == 0 || strcmp(owner, "postfix") == 0;
}

static void
judge(const char *what, const char *path, const struct mode *m, bool secret, struct str *out)
{
	if (out->len > TROUBLES_MAX)
		return;
	if (!owner_good(m->owner))
		str_addf(out, "%s %s belongs to %s, who can exchange it: chown root\n", what, clean(path), m->owner);
	else if (m->bits & 02)
		str_addf(out, "%s %s can be changed by everybody (mode %lo): chmod o-w\n", what, clean(path), m->bits);
	else if ((m->bits & 020) && strcmp(m->group, "root") != 0)
		str_addf(out, "%s %s can be changed by the group %s (mode %lo): chmod g-w\n", what, clean(path), m->group, m->bits);
	else if (secret && (m->bits & 07))
		str_addf(out, "%s %s can be read by everybody (mode %lo): chmod o-rwx\n", what, clean(path), m->bits);
}

/* The files that the configuration names. One that holds both is spoken of as a key. */
static void
judge_named(const struct file_list *files, const struct sections *s, struct str *out)
{
	struct mode m;
	size_t i;

	for (i = 0; i < files->n; i++) {
		const struct file *f = &files->v[i];

		if (f->kind == FILE_KEY && mode_read(file_text(files, s, FILE_KEY, f->path, "mode"), &m))
			judge("the key in", f->path, &m, true, out);
		else if (f->kind == FILE_CERT && file_text(files, s, FILE_KEY, f->path, "mode") == NULL
		    && mode_read(file_text(files, s, FILE_CERT, f->path, "certmode"), &m))
			judge("the certificate in", f->path, &m, false, out);
	}
}

/* Our own, where nobody but root has any business: lines "%a %U:%G %n". */
static void
judge_ours(const struct sections *s, struct str *out)
{
	const char *line = section_text(s, "modes"), *end, *path;
	struct mode m;
	char *one;

	for (; line != NULL && *line != '\0'; line = *end != '\0' ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		one = strndup(line, (size_t)(end - line));
		path = one != NULL ? strchr(one, '/') : NULL;
		if (path != NULL && mode_read(one, &m) && out->len <= TROUBLES_MAX) {
			if (strcmp(m.owner, "root") != 0)
				str_addf(out, "%s belongs to %s: chown root\n", clean(path), m.owner);
			else if (text_starts(path, "/var/lib/mxseal") && (m.bits & 077))
				str_addf(out, "%s, where keys are, is open to others than root (mode %lo): chmod go-rwx\n", clean(path), m.bits);
			else if (m.bits & 022)
				str_addf(out, "%s can be changed by others than root (mode %lo): chmod go-w\n", clean(path), m.bits);
		}
		free(one);
	}
}

void
files_troubles(const struct file_list *files, const struct sections *s, struct str *out)
{
	judge_named(files, s, out);
	judge_ours(s, out);
}
