/* The one way for text to the screen. Text is UTF-8 from anywhere; it is cleaned here, decoded here, and what the terminal's
 * locale cannot show becomes a question mark. Cells are counted, not bytes and not characters. */
#include <curses.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include "mxseal/clean.h"
#include "tui/console/draw.h"

static bool ascii_only, utf8;

void
draw_open(bool ascii)
{
	utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	ascii_only = ascii || !utf8 || getenv("NCURSES_NO_UTF8_ACS") != NULL;
}

bool
draw_is_ascii(void)
{
	return ascii_only;
}

const char *
draw_mark(const char *wide, const char *plain)
{
	return ascii_only ? plain : wide;
}

struct area
draw_screen(void)
{
	struct area a = { 0, 0, 0, 0 };

	getmaxyx(stdscr, a.h, a.w);
	return a;
}

void
draw_clear(void)
{
	style_set(STYLE_NORMAL);
	erase();
}

/* One character of cleaned UTF-8 with its cells; what the locale cannot show is '?'. Gives its bytes. */
static size_t
next_char(const char *s, wchar_t *out, int *cells)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	unsigned long c = n == 1 ? u[0] : u[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80) {
			*out = L'?', *cells = 1;
			return i;
		}
		c = c << 6 | (u[i] & 0x3f);
	}
	*out = (wchar_t)c;
	*cells = c < 0x80 ? 1 : utf8 ? wcwidth((wchar_t)c) : -1;
	if (c < 0x20 || *cells < 0)
		*out = L'?', *cells = 1;
	return n;
}

size_t
draw_fit(const char *text, int cells, int *used)
{
	size_t at = 0;
	int have = 0;

	while (text[at] != '\0') {
		wchar_t c;
		int w;
		size_t n = next_char(text + at, &c, &w);
		if (have + w > cells)
			break;
		have += w;
		at += n;
	}
	if (used != NULL)
		*used = have;
	return at;
}

int
draw_width(const char *text)
{
	struct str t = STR_INIT;
	int used;

	if (text == NULL)
		return 0;
	clean_text(&t, text, strlen(text), false);
	draw_fit(t.s, 1 << 20, &used);
	str_release(&t);
	return used;
}

/* Puts cleaned text; combining characters go with the one before. */
static void
put_cells(int y, int x, enum style s, const char *text, size_t len)
{
	wchar_t cell[CCHARW_MAX + 1] = { 0 };
	int in_cell = 0, width = 0;
	attr_t attr;
	short pair;
	cchar_t cc;

	style_set(s);
	attr_get(&attr, &pair, NULL);
	for (size_t at = 0; at <= len; ) {
		wchar_t c = 0;
		int w = 1;
		size_t n = at < len ? next_char(text + at, &c, &w) : 1;
		if (at < len && w == 0 && in_cell > 0) {
			if (in_cell < CCHARW_MAX - 1)
				cell[in_cell++] = c;
			at += n;
			continue;
		}
		if (in_cell > 0) {
			cell[in_cell] = 0;
			setcchar(&cc, cell, attr, pair, NULL);
			mvadd_wch(y, x, &cc);
			x += width;
		}
		cell[0] = c, in_cell = 1, width = w > 0 ? w : 1;
		at += n;
	}
	style_set(STYLE_NORMAL);
}

/* The text cleaned, and of it what fits into so many cells; gives those it takes. */
static int
cut(struct str *t, const char *text, int cells)
{
	int used;

	clean_text(t, text, strlen(text), false);
	size_t n = draw_fit(t->s, cells, &used);
	if (t->s[n] == '\0')
		return used;
	if (cells > 3)                                     /* say so in the last cell */
		n = draw_fit(t->s, cells - 1, &used);
	str_cut(t, n);
	if (cells > 3) {
		str_add(t, draw_mark("…", ">"));
		used++;
	}
	return used;
}

void
draw_add(struct str *line, const char *text, int cells)
{
	struct str t = STR_INIT;
	int used = cut(&t, text, cells);

	str_add(line, t.s);
	for (; used < cells; used++)
		str_addc(line, ' ');
	str_release(&t);
}

int
draw_put(struct area a, int y, int x, int cells, enum style s, const char *text)
{
	struct area screen = draw_screen();
	struct str t = STR_INIT;
	int room = a.w - x, used;

	if (text == NULL || y < 0 || y >= a.h || x < 0 || x >= a.w)
		return 0;
	if (cells > 0 && cells < room)
		room = cells;
	if (a.x + x + room > screen.w)
		room = screen.w - a.x - x;
	if (room <= 0 || a.y + y >= screen.h)
		return 0;
	used = cut(&t, text, room);
	put_cells(a.y + y, a.x + x, s, t.s, t.len);
	str_release(&t);
	return used;
}

int
draw_putf(struct area a, int y, int x, enum style s, const char *fmt, ...)
{
	struct str t = STR_INIT;
	char small[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	str_add(&t, small);
	int used = draw_put(a, y, x, 0, s, t.s);
	str_release(&t);
	return used;
}

void
draw_row(struct area a, int y, int x, int cells, enum style s, const char *text)
{
	int room = a.w - x, used;

	if (cells > 0 && cells < room)
		room = cells;
	if (room <= 0 || y < 0 || y >= a.h)
		return;
	used = draw_put(a, y, x, room, s, text == NULL ? "" : text);
	struct str pad = STR_INIT;
	for (; used < room; used++)
		str_addc(&pad, ' ');
	if (pad.len > 0)
		draw_put(a, y, x + room - (int)pad.len, (int)pad.len, s, pad.s);
	str_release(&pad);
}

void
draw_blank(struct area a, int y, enum style s)
{
	draw_row(a, y, 0, 0, s, "");
}

static void
line_across(struct str *t, int cells)
{
	for (int i = 0; i < cells; i++)
		str_add(t, draw_mark("─", "-"));
}

static void
edge(struct area a, int y, const char *left, const char *right, const char *title)
{
	struct str t = STR_INIT;
	char name[256] = "";
	int used = 0;

	str_add(&t, left);
	if (title != NULL && *title != '\0' && a.w > 10) {
		struct str c = STR_INIT;
		clean_text(&c, title, strlen(title), false);
		size_t n = draw_fit(c.s, a.w - 8, &used);
		snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) - 1 ? n : sizeof(name) - 1), c.s);
		str_release(&c);
		line_across(&t, 1);
		line_across(&t, 1);
		line_across(&t, a.w - 4);
	} else {
		line_across(&t, a.w - 2);
	}
	str_add(&t, right);
	draw_put(a, y, 0, 0, STYLE_FRAME, t.s);
	if (used > 0) {
		draw_put(a, y, 3, 1, STYLE_FRAME, " ");
		draw_put(a, y, 4, used, STYLE_TITLE, name);
		draw_put(a, y, 4 + used, 1, STYLE_FRAME, " ");
	}
	str_release(&t);
}

struct area
draw_box(struct area a, const char *title)
{
	if (a.h < 3 || a.w < 8)
		return a;
	edge(a, 0, draw_mark("┌", "+"), draw_mark("┐", "+"), title);
	edge(a, a.h - 1, draw_mark("└", "+"), draw_mark("┘", "+"), NULL);
	for (int y = 1; y < a.h - 1; y++) {
		draw_put(a, y, 0, 1, STYLE_FRAME, draw_mark("│", "|"));
		draw_put(a, y, a.w - 1, 1, STYLE_FRAME, draw_mark("│", "|"));
	}
	return (struct area){ a.y + 1, a.x + 2, a.h - 2, a.w - 4 };
}

void
draw_rule(struct area box, int y, const char *title)
{
	if (box.w < 8 || y <= 0 || y >= box.h - 1)
		return;
	edge(box, y, draw_mark("├", "+"), draw_mark("┤", "+"), title);
}

void
draw_cursor(struct area a, int y, int x)
{
	if (a.h > 0 && a.w > 0)
		move(a.y + (y < a.h ? y : a.h - 1), a.x + (x < a.w ? x : a.w - 1));
}
