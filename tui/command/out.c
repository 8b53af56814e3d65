/* Printers. Every text passes clean_text on its way: there is no other way to standard output. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/command.h"

void
out_text(const char *text)
{
	struct str s = STR_INIT;

	if (text == NULL)
		return;
	clean_text(&s, text, strlen(text), true);
	fwrite(s.s, 1, s.len, stdout);
	str_release(&s);
}

json_t *
json_text(const char *s)
{
	struct str clean_form = STR_INIT;
	json_t *j;

	if (s == NULL)
		return json_null();
	j = json_string(s);
	if (j == NULL) {                         /* not UTF-8 */
		clean_text(&clean_form, s, strlen(s), true);
		j = json_string(clean_form.s);
		str_release(&clean_form);
	}
	return j;
}

json_t *
json_when(int64_t t)
{
	char stamp[32];

	if (t == 0)
		return json_null();
	when_rfc3339(stamp, t);
	return json_string(stamp);
}

void
out_json(json_t *o)
{
	char *text;

	json_object_set_new(o, "v", json_integer(1));
	/* ASCII only: a terminal gets nothing but what we meant */
	text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	puts(text);
	fflush(stdout);
	free(text);
	json_decref(o);
}

void
table_cell(struct table *t, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ARRAY_GROW(t->cell, t->n);
	str_init(&t->cell[t->n], 0);
	clean_text(&t->cell[t->n], text, strlen(text), false);
	t->n++;
}

static void
row_print(const struct table *t, const int *width, size_t row)
{
	size_t k;

	for (k = 0; k < t->columns; k++) {
		const char *s = row == 0 ? t->head[k] : t->cell[(row - 1) * t->columns + k].s;

		fputs(s, stdout);
		if (k + 1 < t->columns)
			printf("%*s", width[k] - clean_width(s) + 2, "");
	}
	putchar('\n');
}

void
table_print(struct table *t)
{
	int *width = xcalloc(t->columns, sizeof(int));
	size_t i, rows = t->n / t->columns;

	for (i = 0; i < t->columns; i++)
		width[i] = clean_width(t->head[i]);
	for (i = 0; i < rows * t->columns; i++)
		if (clean_width(t->cell[i].s) > width[i % t->columns])
			width[i % t->columns] = clean_width(t->cell[i].s);
	for (i = 0; i <= rows && rows > 0; i++)
		row_print(t, width, i);
	for (i = 0; i < t->n; i++)
		str_release(&t->cell[i]);
	free(t->cell);
	free(width);
	t->cell = NULL;
	t->n = 0;
}
