/* Text made of lines: wrapped at words for a width, then scrolled. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/console/draw.h"
#include "tui/console/keys.h"

void
lines_add(struct lines *l, enum style s, const char *text)
{
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = (struct line){ xstrdup(text == NULL ? "" : text), s };
}

void
lines_addf(struct lines *l, enum style s, const char *fmt, ...)
{
	char *t = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&t, fmt, ap) < 0)
		t = NULL;
	va_end(ap);
	lines_add(l, s, t);
	free(t);
}

/* One paragraph without newlines. first is put before it, later lines begin with indent blanks. */
static void
wrap_one(struct lines *l, enum style s, int width, int indent, const char *first, const char *text)
{
	struct str line = STR_INIT;
	bool fresh = true;

	str_add(&line, first);
	if (width < indent + 8)
		indent = 0;
	while (*text != '\0' || fresh) {
		int room = width - (fresh && *first != '\0' ? draw_width(first) : fresh ? 0 : indent);
		size_t n = draw_fit(text, room < 1 ? 1 : room, NULL);
		if (text[n] != '\0') {                     /* back to the last blank; a word that is too long is cut */
			size_t k = n;
			while (k > 0 && text[k] != ' ')
				k--;
			if (k > 0)
				n = k;
			else if (n == 0)
				n = strlen(text);
		}
		if (!fresh)
			for (int i = 0; i < indent; i++)
				str_addc(&line, ' ');
		str_addn(&line, text, n);
		lines_add(l, s, line.s);
		str_reset(&line);
		text += n;
		while (*text == ' ')
			text++;
		fresh = false;
	}
	str_release(&line);
}

void
lines_wrap(struct lines *l, enum style s, int width, int indent, const char *text)
{
	struct str t = STR_INIT;
	char *save = NULL;

	if (text == NULL)
		return;
	clean_text(&t, text, strlen(text), true);
	for (char *p = t.s; p != NULL; p = save) {
		save = strchr(p, '\n');
		if (save != NULL)
			*save++ = '\0';
		if (save == NULL && *p == '\0' && p != t.s)
			break;                             /* the end of the last line begins no new one */
		int in = (int)strspn(p, " ");
		wrap_one(l, s, width, indent >= 0 ? indent : in > 0 ? in + 2 : 0, "", p);
	}
	str_release(&t);
}

void
lines_field(struct lines *l, enum style s, int width, const char *label, const char *value)
{
	struct str t = STR_INIT;
	char first[64];
	int col = width < 40 ? 8 : 11;

	if (value == NULL || *value == '\0')
		return;
	clean_text(&t, value, strlen(value), false);
	snprintf(first, sizeof(first), "%-*s ", col - 1, label);
	wrap_one(l, s, width, (int)strlen(first), first, t.s);
	str_release(&t);
}

void
lines_release(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].text);
	free(l->v);
	*l = (struct lines){ NULL, 0 };
}

void
lines_draw(const struct lines *l, struct area a, size_t *top)
{
	size_t h = a.h > 0 ? (size_t)a.h : 0, none = 0;

	if (top == NULL)
		top = &none;
	if (*top + h > l->n)
		*top = l->n > h ? l->n - h : 0;
	for (size_t i = 0; i < h && *top + i < l->n; i++)
		draw_put(a, (int)i, 0, 0, l->v[*top + i].style, l->v[*top + i].text);
}

bool
lines_key(size_t *top, int key, int page)
{
	size_t p = page > 1 ? (size_t)page - 1 : 1;

	switch (key) {
	case K_DOWN: case 'j': *top += 1; return true;
	case K_UP: case 'k': *top -= *top > 0; return true;
	case K_PGDN: case ' ': *top += p; return true;
	case K_PGUP: *top -= *top > p ? p : *top; return true;
	case K_HOME: *top = 0; return true;
	case K_END: *top = 1u << 30; return true;
	default: return false;
	}
}
