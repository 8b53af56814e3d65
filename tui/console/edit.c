/* A line editor: whole characters, the usual keys of readline. */
#include <string.h>
#include "mxseal/secret.h"
#include "mxseal/xalloc.h"
#include "tui/console/edit.h"
#include "tui/console/keys.h"

#define EDIT_MAX 8192

void
edit_open(struct edit *e, const char *text)
{
	str_init(&e->text, EDIT_MAX);
	str_add(&e->text, text);
	e->at = e->text.len;
}

void
edit_close(struct edit *e)
{
	str_wipe(&e->text);
	e->at = 0;
}

static void
replace(struct edit *e, size_t from, size_t to, const char *mem, size_t len)
{
	struct str t;

	str_init(&t, EDIT_MAX);
	str_addn(&t, e->text.s, from);
	str_addn(&t, mem, len);
	if (t.over)
		len = 0;
	str_addn(&t, e->text.s + to, e->text.len - to);
	if (t.over) {
		str_wipe(&t);
		return;
	}
	str_wipe(&e->text);
	e->text = t;
	e->at = from + len;
}

static size_t
before(const struct edit *e, size_t at)
{
	while (at > 0 && ((unsigned char)e->text.s[--at] & 0xc0) == 0x80)
		;
	return at;
}

static size_t
after(const struct edit *e, size_t at)
{
	if (at < e->text.len)
		at++;
	while (at < e->text.len && ((unsigned char)e->text.s[at] & 0xc0) == 0x80)
		at++;
	return at;
}

static size_t
word_before(const struct edit *e)
{
	size_t at = e->at;

	while (at > 0 && e->text.s[at - 1] == ' ')
		at--;
	while (at > 0 && e->text.s[at - 1] != ' ')
		at--;
	return at;
}

static size_t
encode(int c, char out[4])
{
	if (c < 0x80)
		return out[0] = (char)c, 1;
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18), out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f)), out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool
edit_key(struct edit *e, int key)
{
	char mem[4];

	switch (key) {
	case K_LEFT: e->at = before(e, e->at); return true;
	case K_RIGHT: e->at = after(e, e->at); return true;
	case K_HOME: case K_CTRL('A'): e->at = 0; return true;
	case K_END: case K_CTRL('E'): e->at = e->text.len; return true;
	case K_BACKSPACE: replace(e, before(e, e->at), e->at, "", 0); return true;
	case K_DELETE: case K_CTRL('D'): replace(e, e->at, after(e, e->at), "", 0), e->at = e->at; return true;
	case K_CTRL_U: replace(e, 0, e->at, "", 0); return true;
	case K_CTRL('K'): replace(e, e->at, e->text.len, "", 0); return true;
	case K_CTRL_W: replace(e, word_before(e), e->at, "", 0); return true;
	default:
		if (!key_is_text(key))
			return false;
		replace(e, e->at, e->at, mem, encode(key, mem));
		return true;
	}
}

void
edit_paste(struct edit *e, const char *text)
{
	struct str t = STR_INIT;

	for (const char *p = text; *p != '\0'; p++)
		str_addc(&t, (unsigned char)*p < 32 ? ' ' : *p);
	while (t.len > 0 && t.s[t.len - 1] == ' ')
		str_cut(&t, t.len - 1);
	replace(e, e->at, e->at, t.s, t.len);
	str_wipe(&t);
}

static void
draw_dots(const struct edit *e, struct area a, int y, int x, int cells, enum style s, bool cursor)
{
	struct str t = STR_INIT;
	int n = 0;

	for (size_t at = 0; at < e->text.len && n < cells - 1; at = after(e, at), n++)
		str_add(&t, draw_mark("•", "*"));
	draw_row(a, y, x, cells, s, t.s);
	if (cursor)
		draw_cursor(a, y, x + n);
	str_release(&t);
}

void
edit_draw(const struct edit *e, struct area a, int y, int x, int cells, enum style s, bool dots, bool cursor)
{
	size_t from = 0;

	if (dots) {
		draw_dots(e, a, y, x, cells, s, cursor);
		return;
	}
	char *head = xstrndup(e->text.s, e->at);
	while (from < e->at && draw_width(head + from) > cells - 2)
		from = after(e, from);
	draw_row(a, y, x, cells, s, e->text.s + from);
	if (cursor)
		draw_cursor(a, y, x + draw_width(head + from));
	secret_wipe(head, e->at);
	xset(&head, NULL);
}
