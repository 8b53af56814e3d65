/* A log that comes in pieces, as lines; and what every line of a mail log begins with. */
#include <ctype.h>
#include <string.h>

#include "private.h"

static void
whole_lines(struct log_lines *l, log_line_fn *fn, void *arg)
{
	char *line = l->mem, *end = l->mem + l->have, *nl;

	for (; (nl = memchr(line, '\n', (size_t)(end - line))) != NULL; line = nl + 1) {
		*nl = '\0';
		if (l->skip || nl - line > LOG_LINE_MAX)
			l->too_long++;
		else
			fn(arg, line, (size_t)(nl - line));
		l->skip = false;
	}
	l->have = (size_t)(end - line);
	if (l->have > LOG_LINE_MAX) {
		l->skip = true;
		l->have = 0;
	}
	memmove(l->mem, line, l->have);
}

void
log_lines_feed(struct log_lines *l, const char *mem, size_t len, log_line_fn *fn, void *arg)
{
	char *zero, *end;
	size_t n;

	for (; len > 0; mem += n, len -= n) {
		n = len < LOG_PIECE ? len : LOG_PIECE;
		zero = l->mem + l->have;
		end = zero + n;
		memcpy(zero, mem, n);
		l->have += n;
		while ((zero = memchr(zero, '\0', (size_t)(end - zero))) != NULL)
			*zero = '?';
		whole_lines(l, fn, arg);
	}
}

bool
log_line_parse(const char *line, size_t len, struct log_line *out)
{
	const char *end = line + len, *p, *space;

	/* "Nov 26 21:09:54 " or "2026-11-26T21:09:54.123+01:00 " */
	if (len < 20)
		return false;
	if (isdigit((unsigned char)*line))
		p = memchr(line, ' ', len);
	else
		p = line[15] == ' ' ? line + 15 : NULL;
	if (p == NULL || (p = memchr(p + 1, ' ', (size_t)(end - p - 1))) == NULL)
		return false;
	out->program = ++p;
	space = memchr(p, ' ', (size_t)(end - p));
	if (space == NULL || space - p < 4 || space[-1] != ':' || space[-2] != ']')
		return false;
	out->n = (size_t)(space - 1 - p);
	for (p = space - 2; p > out->program && *p != '['; p--)
		;
	out->n_daemon = 0;
	for (out->daemon = p; out->daemon > out->program && out->daemon[-1] != '/'; out->daemon--)
		out->n_daemon++;
	out->text = space + 1;
	out->end = end;
	return true;
}

const char *
log_queue_id(const char *text, size_t *n)
{
	const char *p = text;

	while (isalnum((unsigned char)*p))
		p++;
	*n = (size_t)(p - text);
	return *n >= 6 && *n < 32 && p[0] == ':' && p[1] == ' ' && (*n != 7 || memcmp(text, "NOQUEUE", 7) != 0) ? p + 2 : NULL;
}
