/* main.cf: "name = value" logical lines. The last assignment of a name counts, as in Postfix. Knows nothing of what the
 * parameters mean and does not expand "$name". */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cf.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

static void
entries_release(struct main_cf *m)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		free(m->v[i].name);
		free(m->v[i].value);
	}
	free(m->v);
	m->v = NULL;
	m->n = 0;
}

/* Same rules as Postfix's split_nameval(): name up to white space or '=', then '=', then the rest without outer blanks.
 */
static int
read_entry(struct main_cf *m, size_t line, struct err *e)
{
	const struct cf_line *l = &m->t.lines[line];
	size_t name, name_end, equals, from, to = l->len;

	for (name = 0; name < l->len && cf_blank(l->joined[name]); name++)
		;
	for (name_end = name; name_end < l->len && !cf_blank(l->joined[name_end]) && l->joined[name_end] != '='; name_end++)
		;
	for (equals = name_end; equals < l->len && cf_blank(l->joined[equals]); equals++)
		;
	if (name_end == name || equals == l->len || l->joined[equals] != '=') {
		err_set(e, RC_PARSE, "main.cf, line %zu: \"%.80s\" is not \"name = value\"", l->number, clean(l->joined));
		return err_hint(e, "Postfix itself stops at this line: mend it on the host, then read again.");
	}
	for (from = equals + 1; from < l->len && cf_blank(l->joined[from]); from++)
		;
	while (to > from && cf_blank(l->joined[to - 1]))
		to--;
	ARRAY_GROW(m->v, m->n);
	m->v[m->n++] = (struct main_entry){
		.name = xstrndup(l->joined + name, name_end - name), .value = xstrndup(l->joined + from, to - from),
		.line = line, .from = from, .to = to, .equals = equals,
	};
	return 0;
}

static int
read_entries(struct main_cf *m, struct err *e)
{
	size_t i;

	entries_release(m);
	for (i = 0; i < m->t.n; i++)
		if (!m->t.lines[i].orphan && read_entry(m, i, e) != 0)
			return -1;
	return 0;
}

int
main_cf_read(struct main_cf *out, const char *mem, size_t len, struct err *e)
{
	memset(out, 0, sizeof(*out));
	if (cf_read(&out->t, mem, len, "main.cf", e) != 0)
		return -1;
	return read_entries(out, e);
}

void
main_cf_release(struct main_cf *m)
{
	entries_release(m);
	cf_release(&m->t);
}

static const struct main_entry *
find(const struct main_cf *m, const char *name)
{
	size_t i;

	for (i = m->n; i-- > 0; )
		if (strcmp(m->v[i].name, name) == 0)
			return &m->v[i];
	return NULL;
}

const char *
main_cf_get(const struct main_cf *m, const char *name)
{
	const struct main_entry *v = find(m, name);

	return v ? v->value : NULL;
}

/* --- our own lines at the end --- */

/* Offset of our comment, and the end of the logical lines that start under it (up to a comment or a blank line). */
static bool
find_block(const struct main_cf *m, size_t *mark, size_t *end)
{
	const char *s = m->t.text.s, *p = s;
	size_t n = strlen(MAIN_CF_MARK), i, last;

	while ((p = strstr(p, MAIN_CF_MARK)) && !((p == s || p[-1] == '\n') && (p[n] == '\n' || p[n] == '\0')))
		p += n;
	if (p == NULL)
		return false;
	*mark = (size_t)(p - s);
	for (p += n + (p[n] == '\n'); *p && *p != '#' && *p != '\n'; p += strcspn(p, "\n"), p += *p == '\n')
		;
	*end = (size_t)(p - s);
	for (i = 0; i < m->t.n; i++) {
		const struct cf_line *l = &m->t.lines[i];

		last = l->pieces[l->n - 1].at + l->pieces[l->n - 1].len;
		last += last < m->t.text.len;
		if (l->pieces[0].at > *mark && l->pieces[0].at < *end && last > *end)
			*end = last;
	}
	return true;
}

static void
append_at(struct main_cf *m, size_t end, bool mark, const char *name, const char *value)
{
	struct str line = STR_INIT;

	str_addf(&line, "%s%s =%s%s\n", mark ? MAIN_CF_MARK "\n" : "", name, *value ? " " : "", value);
	if (end > 0 && m->t.text.s[end - 1] != '\n')
		cf_insert(&m->t, end++, "\n");
	cf_insert(&m->t, end, line.s);
	str_release(&line);
	read_entries(m, NULL);
}

/* Into our block, else to the end. A line that begins with a blank behind our block would become part of ours: to the end then
 * as well. */
static void
append(struct main_cf *m, const char *name, const char *value)
{
	struct str before = STR_INIT;
	size_t mark, end;

	if (find_block(m, &mark, &end)) {
		str_init(&before, m->t.text.ceiling);
		str_addn(&before, m->t.text.s, m->t.text.len);
		append_at(m, end, false, name, value);
		if (text_eq(main_cf_get(m, name), value)) {
			str_release(&before);
			return;
		}
		str_reset(&m->t.text);
		cf_insert(&m->t, 0, before.s);
		str_release(&before);
		read_entries(m, NULL);
	}
	append_at(m, m->t.text.len, true, name, value);
}

static bool
in_block(const struct main_cf *m, const struct main_entry *v)
{
	size_t mark, end, at = m->t.lines[v->line].pieces[0].at;

	return find_block(m, &mark, &end) && at > mark && at < end;
}

bool
main_cf_is_ours(const struct main_cf *m, const char *name)
{
	const struct main_entry *v = find(m, name);

	return v != NULL && in_block(m, v);
}

static void
drop_empty_block(struct main_cf *m)
{
	size_t mark, end, len = strlen(MAIN_CF_MARK);
	struct str rest = STR_INIT;

	if (!find_block(m, &mark, &end) || end > mark + len + 1)
		return;
	str_init(&rest, m->t.text.ceiling);
	str_addn(&rest, m->t.text.s, mark);
	str_add(&rest, m->t.text.s + end);
	str_release(&m->t.text);
	m->t.text = rest;
	cf_insert(&m->t, 0, "");
	read_entries(m, NULL);
}

/* --- editing --- */

static int
value_ok(const char *name, const char *value, struct err *e)
{
	const char *p;

	for (p = name; *p && (isalnum((unsigned char)*p) || *p == '_' || *p == '-'); p++)
		;
	if (p == name || *p)
		return err_set(e, RC_INVALID, "\"%s\" is not a name for main.cf", clean(name));
	for (p = value; *p && ((unsigned char)*p >= ' ' && *p != 0x7f); p++)
		;
	if (*p || cf_blank(*value) || (p > value && cf_blank(p[-1])))
		return err_set(e, RC_INVALID, "%s: \"%s\" cannot be written to main.cf", name, clean(value));
	return 0;
}

/* An empty value has no bytes to replace: goes behind the '=' and the blanks after it. */
static void
fill_empty(struct main_cf *m, const struct main_entry *v, const char *text)
{
	const struct cf_line *l = &m->t.lines[v->line];
	size_t at = cf_after(l, v->equals + 1);
	struct str out = STR_INIT;

	if (m->t.text.s[at] == ' ' || m->t.text.s[at] == '\t')
		while (m->t.text.s[at] == ' ' || m->t.text.s[at] == '\t')
			at++;
	else
		str_addc(&out, ' ');
	str_add(&out, text);
	cf_insert(&m->t, at, out.s);
	str_release(&out);
}

int
main_cf_set(struct main_cf *m, const char *name, const char *value, struct err *e)
{
	const struct main_entry *v = find(m, name);

	if (value_ok(name, value, e) != 0)
		return -1;
	if (v && strcmp(v->value, value) == 0)
		return 0;
	if (v == NULL)
		append(m, name, value);
	else if (v->from == v->to)
		fill_empty(m, v, value);
	else
		cf_replace(&m->t, v->line, v->from, v->to, value);
	return read_entries(m, e);
}

void
main_cf_remove(struct main_cf *m, const char *name)
{
	const struct main_entry *v;

	while ((v = find(m, name))) {
		cf_remove_line(&m->t, v->line);
		read_entries(m, NULL);
	}
	drop_empty_block(m);
}

void
main_cf_remove_ours(struct main_cf *m, const char *name)
{
	const struct main_entry *v = find(m, name);

	if (v && in_block(m, v))
		main_cf_remove(m, name);
}

/* --- lists of maps --- */

static bool
is_separator(char c)
{
	return c == ',' || cf_blank(c);
}

long
list_find(const char *value, const char *prefix, const char *suffix, size_t *len)
{
	const char *p = value;

	while (*p) {
		size_t n = 0;

		while (is_separator(*p))
			p++;
		while (p[n] && !is_separator(p[n]))
			n++;
		if (n >= strlen(prefix) + strlen(suffix) && strncmp(p, prefix, strlen(prefix)) == 0
		    && strncmp(p + n - strlen(suffix), suffix, strlen(suffix)) == 0) {
			*len = n;
			return p - value;
		}
		p += n;
	}
	return -1;
}

int
main_cf_list_put(struct main_cf *m, const char *name, const char *prefix, const char *suffix, const char *item,
        struct err *e)
{
	const struct main_entry *v = find(m, name);
	struct str front = STR_INIT;
	size_t len;
	long at;

	if (v == NULL || *v->value == '\0')
		return main_cf_set(m, name, item, e);
	if (value_ok(name, item, e) != 0)
		return -1;
	at = list_find(v->value, prefix, suffix, &len);
	if (at >= 0) {
		cf_replace(&m->t, v->line, v->from + (size_t)at, v->from + (size_t)at + len, item);
	} else {
		str_addf(&front, "%s, %c", item, v->value[0]);
		cf_replace(&m->t, v->line, v->from, v->from + 1, front.s);
		str_release(&front);
	}
	return read_entries(m, e);
}

void
main_cf_list_drop(struct main_cf *m, const char *name, const char *prefix, const char *suffix)
{
	const struct main_entry *v = find(m, name);
	size_t len, from, to;
	long at = v ? list_find(v->value, prefix, suffix, &len) : -1;

	if (at < 0)
		return;
	from = (size_t)at;
	to = from + len;
	if (v->value[to])
		while (is_separator(v->value[to]))
			to++;
	else
		while (from > 0 && is_separator(v->value[from - 1]))
			from--;
	if (from == 0 && v->value[to] == '\0' && in_block(m, v)) {
		main_cf_remove(m, name);
		return;
	}
	cf_replace(&m->t, v->line, v->from + from, v->from + to, "");
	read_entries(m, NULL);
}
