/* Logical lines of main.cf and master.cf over the untouched bytes of the file. A logical line knows which bytes of the
 * file it is made of, so that an edit touches those alone. Can fail only for a NUL byte and for size. */
#include <stdlib.h>
#include <string.h>

#include "cf.h"
#include "mxseal/xalloc.h"

bool
cf_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
lines_release(struct cf_text *t)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		free(t->lines[i].pieces);
		free(t->lines[i].joined);
	}
	free(t->lines);
	t->lines = NULL;
	t->n = 0;
}

static void
add_piece(struct cf_line *l, size_t at, size_t len)
{
	ARRAY_GROW(l->pieces, l->n);
	l->pieces[l->n++] = (struct cf_piece){ .at = at, .len = len, .joined = l->len };
	l->len += len;
}

static void
join(struct cf_line *l, const char *text)
{
	size_t i;

	l->joined = xcalloc(l->len + 1, 1);
	for (i = 0; i < l->n; i++)
		memcpy(l->joined + l->pieces[i].joined, text + l->pieces[i].at, l->pieces[i].len);
}

static void
read_lines(struct cf_text *t)
{
	const char *s = t->text.s;
	size_t at, end, p, i, number = 1;

	lines_release(t);
	for (at = 0; at < t->text.len; at = end + 1, number++) {
		const char *nl = memchr(s + at, '\n', t->text.len - at);

		end = nl ? (size_t)(nl - s) : t->text.len;
		for (p = at; p < end && cf_blank(s[p]); p++)
			;
		if (p == end || s[p] == '#')
			continue;
		if (p == at || t->n == 0) {
			ARRAY_GROW(t->lines, t->n);
			t->lines[t->n++] = (struct cf_line){ .number = number, .orphan = p > at };
		}
		add_piece(&t->lines[t->n - 1], at, end - at);
	}
	for (i = 0; i < t->n; i++)
		join(&t->lines[i], s);
}

int
cf_read(struct cf_text *out, const char *mem, size_t len, const char *file, struct err *e)
{
	memset(out, 0, sizeof(*out));
	str_init(&out->text, 2 * CF_MAX);
	if (len > CF_MAX)
		return err_set(e, RC_LIMIT, "%s is over %d bytes", file, CF_MAX);
	if (len > 0 && memchr(mem, '\0', len))
		return err_set(e, RC_PARSE, "%s has a zero byte in it: it is not a text file", file);
	str_addn(&out->text, mem, len);
	read_lines(out);
	return 0;
}

void
cf_release(struct cf_text *t)
{
	lines_release(t);
	str_release(&t->text);
}

static void
splice(struct str *b, size_t at, size_t len, const char *text)
{
	struct str n = STR_INIT;

	str_init(&n, b->ceiling);
	str_addn(&n, b->s, at);
	str_add(&n, text);
	str_addn(&n, b->s + at + len, b->len - at - len);
	str_release(b);
	*b = n;
}

/* Removes the line of the file that holds offset at, when nothing but white space is left in it. */
static void
drop_if_blank(struct str *b, size_t at)
{
	size_t from = at, to = at;

	while (from > 0 && b->s[from - 1] != '\n')
		if (!cf_blank(b->s[--from]))
			return;
	while (to < b->len && b->s[to] != '\n')
		if (!cf_blank(b->s[to++]))
			return;
	splice(b, from, to + (to < b->len) - from, "");
}

void
cf_replace(struct cf_text *t, size_t line, size_t from, size_t to, const char *text)
{
	const struct cf_line *l = &t->lines[line];
	size_t i;

	for (i = l->n; i-- > 0; ) {
		const struct cf_piece *p = &l->pieces[i];
		size_t a = from > p->joined ? from : p->joined;
		size_t b = to < p->joined + p->len ? to : p->joined + p->len;
		bool holds_start = from >= p->joined && from < p->joined + p->len;

		if (a >= b)
			continue;
		splice(&t->text, p->at + a - p->joined, b - a, holds_start ? text : "");
		if (!holds_start || *text == '\0')
			drop_if_blank(&t->text, p->at + a - p->joined);
	}
	read_lines(t);
}

void
cf_insert(struct cf_text *t, size_t at, const char *text)
{
	splice(&t->text, at, 0, text);
	read_lines(t);
}

void
cf_remove_line(struct cf_text *t, size_t line)
{
	cf_replace(t, line, 0, t->lines[line].len, "");
}

size_t
cf_after(const struct cf_line *l, size_t joined)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct cf_piece *p = &l->pieces[i];

		if (joined <= p->joined + p->len)
			return p->at + (joined - p->joined);
	}
	return l->pieces[l->n - 1].at + l->pieces[l->n - 1].len;
}
