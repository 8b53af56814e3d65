/* master.cf: services of eight fields and their "-o name=value" settings, also in the form "{ name = value }". Settings
 * of a service are edited here, whole services in master_services.c, the eight fields never. Follows how Postfix splits a
 * line into words: white space outside of braces. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cf.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define FIELDS 8      /* service type private unpriv chroot wakeup maxproc command */

static void
service_release(struct master_service *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->v[i].name);
		free(s->v[i].value);
	}
	free(s->v);
	free(s->name);
	free(s->type);
	free(s->command);
	for (i = 0; i < MASTER_COLUMNS; i++)
		free(s->column[i]);
}

static void
services_release(struct master_cf *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		service_release(&m->v[i]);
	free(m->v);
	m->v = NULL;
	m->n = 0;
}

static bool
separates(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word from *at on: its start and end; false at the end of the line. */
static bool
next_word(const struct cf_line *l, size_t *at, size_t *from, size_t *to)
{
	size_t p = *at;
	int level = 0;

	while (p < l->len && separates(l->joined[p]))
		p++;
	if (p == l->len)
		return false;
	for (*from = p; p < l->len && (level > 0 || !separates(l->joined[p])); p++) {
		if (l->joined[p] == '{')
			level++;
		else if (l->joined[p] == '}' && level > 0)
			level--;
	}
	*to = *at = p;
	return true;
}

/* "name=value" or "{ name = value }" at from..to; false when it is neither. */
static bool
read_setting(const struct cf_line *l, size_t from, size_t to, struct master_option *o)
{
	const char *s = l->joined;
	size_t end, name;

	o->from = from;
	o->to = to;
	if (s[from] == '{') {
		from++;
		to -= s[to - 1] == '}' && to > from;
	}
	while (from < to && cf_blank(s[from]))
		from++;
	while (to > from && cf_blank(s[to - 1]))
		to--;
	for (end = name = from; end < to && s[end] != '=' && !cf_blank(s[end]); end++)
		;
	for (from = end; from < to && cf_blank(s[from]); from++)
		;
	if (end == name || from == to || s[from] != '=')
		return false;
	for (from++; from < to && cf_blank(s[from]); from++)
		;
	o->name = xstrndup(s + name, end - name);
	o->value = xstrndup(s + from, to - from);
	return true;
}

/* Options end at the first word without '-' and at "--". "-vo x=y" and "-ox=y" are the same as "-v -o x=y". */
static void
read_options(const struct cf_line *l, struct master_service *s, size_t at)
{
	size_t from, to, letter;

	while (next_word(l, &at, &from, &to) && l->joined[from] == '-' && !(to - from == 2 && l->joined[from + 1] == '-')) {
		struct master_option o = { .flag = from, .flag_end = to };

		for (letter = from + 1; letter < to && l->joined[letter] != 'o'; letter++)
			;
		if (letter == to)
			continue;
		o.flag_end = letter + 1;
		if (letter + 1 < to)
			from = letter + 1;
		else if (!next_word(l, &at, &from, &to))
			break;
		if (read_setting(l, from, to, &o)) {
			ARRAY_GROW(s->v, s->n);
			s->v[s->n++] = o;
		}
	}
}

static int
read_service(struct master_cf *m, size_t line, struct err *e)
{
	const struct cf_line *l = &m->t.lines[line];
	size_t at = 0, from[FIELDS], to[FIELDS];
	struct master_service s = { .line = line };
	int i;

	for (i = 0; i < FIELDS; i++)
		if (!next_word(l, &at, &from[i], &to[i])) {
			err_set(e, RC_PARSE, "master.cf, line %zu: \"%.80s\" has %d fields instead of eight", l->number,
			    clean(l->joined), i);
			return err_hint(e, "Postfix itself stops at this line: mend it on the host, then read again.");
		}
	s.name = xstrndup(l->joined + from[0], to[0] - from[0]);
	s.type = xstrndup(l->joined + from[1], to[1] - from[1]);
	s.command = xstrndup(l->joined + from[7], to[7] - from[7]);
	for (i = 0; i < MASTER_COLUMNS; i++)
		s.column[i] = xstrndup(l->joined + from[2 + i], to[2 + i] - from[2 + i]);
	s.command_end = to[7];
	read_options(l, &s, at);
	ARRAY_GROW(m->v, m->n);
	m->v[m->n++] = s;
	return 0;
}

int
master_cf_again(struct master_cf *m, struct err *e)
{
	size_t i;

	services_release(m);
	for (i = 0; i < m->t.n; i++)
		if (!m->t.lines[i].orphan && read_service(m, i, e) != 0)
			return -1;
	return 0;
}

int
master_cf_read(struct master_cf *out, const char *mem, size_t len, struct err *e)
{
	memset(out, 0, sizeof(*out));
	if (cf_read(&out->t, mem, len, "master.cf", e) != 0)
		return -1;
	return master_cf_again(out, e);
}

void
master_cf_release(struct master_cf *m)
{
	services_release(m);
	cf_release(&m->t);
}

const struct master_service *
master_cf_find(const struct master_cf *m, const char *name, const char *type)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, name) == 0 && strcmp(m->v[i].type, type) == 0)
			return &m->v[i];
	return NULL;
}

static const struct master_option *
find(const struct master_service *s, const char *param)
{
	size_t i;

	for (i = s->n; i-- > 0; )
		if (strcmp(s->v[i].name, param) == 0)
			return &s->v[i];
	return NULL;
}

const char *
master_cf_option(const struct master_service *s, const char *param)
{
	const struct master_option *o = find(s, param);

	return o ? o->value : NULL;
}

/* --- editing --- */

static int
setting_text(const char *param, const char *value, struct str *out, struct err *e)
{
	const char *p;
	bool blanks = false;

	for (p = param; *p && (isalnum((unsigned char)*p) || *p == '_' || *p == '-'); p++)
		;
	if (p == param || *p)
		return err_set(e, RC_INVALID, "\"%s\" is not a name for master.cf", clean(param));
	for (p = value; *p && (unsigned char)*p >= ' ' && *p != 0x7f && *p != '{' && *p != '}'; p++)
		blanks = blanks || *p == ' ';
	if (*p || (p > value && (*value == ' ' || p[-1] == ' ')))
		return err_set(e, RC_INVALID, "%s: \"%s\" cannot be written to master.cf", param, clean(value));
	str_addf(out, blanks ? "{ %s = %s }" : "%s=%s", param, value);
	return 0;
}

/* All that an edit of one setting of one service must leave alone, as text. */
static char *
everything_else(const struct master_cf *m, const char *service, const char *type, const char *param)
{
	struct str out = STR_INIT;
	size_t i, k;

	for (i = 0; i < m->n; i++) {
		const struct master_service *s = &m->v[i];
		bool edited = strcmp(s->name, service) == 0 && strcmp(s->type, type) == 0;

		str_addf(&out, "%s\t%s\t%s\n", s->name, s->type, s->command);
		for (k = 0; k < s->n; k++)
			if (!edited || strcmp(s->v[k].name, param) != 0)
				str_addf(&out, "\t%s=%s\n", s->v[k].name, s->v[k].value);
	}
	return str_take(&out);
}

int
master_cf_set(struct master_cf *m, const char *service, const char *service_type, const char *param, const char *value,
        struct err *e)
{
	char *name = xstrdup(service), *type = xstrdup(service_type);     /* they may be the service's own, read anew below */
	const struct master_service *s = master_cf_find(m, name, type);
	const struct master_option *o = s ? find(s, param) : NULL;
	struct str text = STR_INIT, line = STR_INIT, before = STR_INIT;
	char *others = everything_else(m, name, type, param), *now = NULL;
	int rc = -1;

	if (s == NULL) {
		err_set(e, RC_NOTFOUND, "master.cf has no service \"%s %s\"", clean(name), clean(type));
		goto out;
	}
	if (setting_text(param, value, &text, e) != 0)
		goto out;
	if (o && strcmp(o->value, value) == 0) {
		rc = 0;
		goto out;
	}
	str_addn(&before, m->t.text.s, m->t.text.len);
	if (o && o->from == o->flag_end && text.s[0] == '{')       /* "-oname=value" cannot take braces */
		str_addc(&line, ' ');
	if (o) {
		str_add(&line, text.s);
		cf_replace(&m->t, s->line, o->from, o->to, line.s);
	} else {
		str_addf(&line, "\n  -o %s", text.s);
		cf_insert(&m->t, cf_after(&m->t.lines[s->line], s->n ? s->v[s->n - 1].to : s->command_end), line.s);
	}
	rc = master_cf_again(m, e);
	s = master_cf_find(m, name, type);
	now = everything_else(m, name, type, param);
	if (rc == 0 && (s == NULL || !text_eq(master_cf_option(s, param), value) || strcmp(others, now) != 0)) {
		str_reset(&m->t.text);
		cf_insert(&m->t, 0, before.s);
		master_cf_again(m, NULL);
		rc = err_set(e, RC_PARSE, "master.cf: the settings of \"%s %s\" cannot be edited: is a brace left open?", clean(name),
		    clean(type));
	}
out:
	free(name);
	free(type);
	free(others);
	free(now);
	str_release(&text);
	str_release(&line);
	str_release(&before);
	return rc;
}

/* Cuts a word and the blanks in front of it; those behind it when it is the first of its line in the file. */
static void
cut_word(struct cf_text *t, size_t line, size_t from, size_t to)
{
	const struct cf_line *l = &t->lines[line];
	size_t i, start = 0, end = l->len, first;

	for (i = 0; i < l->n; i++)
		if (l->pieces[i].joined <= from) {
			start = l->pieces[i].joined;
			end = start + l->pieces[i].len;
		}
	for (first = from; first > start && separates(l->joined[first - 1]); first--)
		;
	if (first > start)
		from = first;
	else
		while (to < end && separates(l->joined[to]))
			to++;
	cf_replace(t, line, from, to, "");
}

void
master_cf_unset(struct master_cf *m, const char *service, const char *service_type, const char *param)
{
	char *name = xstrdup(service), *type = xstrdup(service_type);     /* they may be the service's own, read anew below */
	const struct master_service *s;
	const struct master_option *o;

	while ((s = master_cf_find(m, name, type)) && (o = find(s, param))) {
		size_t line = s->line, flag = o->flag, flag_end = o->flag_end, from = o->from, to = o->to;

		if (from > flag_end)
			cut_word(&m->t, line, from, to);
		else
			cf_replace(&m->t, line, from, to, "");
		/* what is before the setting has not moved */
		if (flag_end - flag > 2)
			cf_replace(&m->t, line, flag_end - 1, flag_end, "");
		else
			cut_word(&m->t, line, flag, flag_end);
		master_cf_again(m, NULL);
	}
	free(name);
	free(type);
}
