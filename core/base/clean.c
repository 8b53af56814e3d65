/* Foreign text made safe to show. UTF-8 is decoded by hand here because the C library's decoder depends on the locale and
 * lets the characters through that this file exists to stop. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "mxseal/clean.h"

/* Decodes one character; returns its length, 0 when the bytes are no UTF-8 (RFC 3629: no overlong forms, no surrogates). */
static size_t
decode(const unsigned char *s, size_t len, uint32_t *out)
{
	static const struct { unsigned char mask, lead; uint32_t least; } forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};
	uint32_t c;
	size_t n, i;

	for (n = 0; n < 4; n++)
		if ((s[0] & forms[n].mask) == forms[n].lead)
			break;
	if (n == 4 || n + 1 > len)
		return 0;
	c = n == 0 ? s[0] : (uint32_t)(s[0] & (unsigned char)~forms[n].mask);
	for (i = 1; i <= n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < forms[n].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*out = c;
	return n + 1;
}

/* Characters that move, hide or reorder what stands beside them. */
static const struct { uint32_t from, to; } unsafe[] = {
	{ 0x00, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x61c, 0x61c }, { 0x115f, 0x1160 },
	{ 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0xe000, 0xf8ff },
	{ 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff }, { 0xf0000, 0x10ffff },
};

static bool
is_unsafe(uint32_t c)
{
	size_t i;

	if (c >= 0x20 && c < 0x7f)
		return false;
	for (i = 0; i < sizeof(unsafe) / sizeof(unsafe[0]); i++)
		if (c >= unsafe[i].from && c <= unsafe[i].to)
			return true;
	return false;
}

void
clean_text(struct str *out, const char *mem, size_t len, bool keep_newlines)
{
	const unsigned char *s = (const unsigned char *)mem;
	uint32_t c;
	size_t n;

	for (; len > 0; s += n, len -= n) {
		n = decode(s, len, &c);
		if (n == 0) {
			str_addf(out, "<%02X>", s[0]);
			n = 1;
		} else if (c == '\n' && keep_newlines)
			str_addc(out, '\n');
		else if (c == '\t')
			str_addc(out, ' ');
		else if (!is_unsafe(c))
			str_addn(out, s, n);
		else if (c < 0x100)
			str_addf(out, "<%02X>", (unsigned)c);
		else
			str_addf(out, "<U+%04X>", (unsigned)c);
	}
}

bool
clean_is(const char *mem, size_t len)
{
	const unsigned char *s = (const unsigned char *)mem;
	uint32_t c;
	size_t n;

	for (; len > 0; s += n, len -= n) {
		n = decode(s, len, &c);
		if (n == 0 || is_unsafe(c))
			return false;
	}
	return true;
}

/* Where to cut the text so that at most so many bytes are left, not in the middle of a character. */
static size_t
cut_at(const struct str *s, size_t most)
{
	if (s->len <= most)
		return s->len;
	while (most > 0 && (s->s[most] & 0xc0) == 0x80)
		most--;
	return most;
}

void
clean_fit(char *to, size_t size, const char *text)
{
	struct str s = STR_INIT;

	clean_text(&s, text != NULL ? text : "", text != NULL ? strnlen(text, size + 3) : 0, false);
	snprintf(to, size, "%.*s", (int)cut_at(&s, size - 1), s.s);
	str_release(&s);
}

const char *
clean(const char *text)
{
	static _Thread_local char ring[8][CLEAN_MAX + 8];
	static _Thread_local unsigned turn;
	char *slot = ring[turn++ % 8];
	struct str s = STR_INIT;
	size_t len, cut;

	if (text == NULL)
		return "-";
	len = strnlen(text, CLEAN_MAX + 1);
	clean_text(&s, text, len, false);
	cut = cut_at(&s, CLEAN_MAX);
	snprintf(slot, sizeof(ring[0]), "%.*s%s", (int)cut, s.s, cut < s.len ? "..." : "");
	str_release(&s);
	return slot;
}

int
clean_width(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = strlen(text), n;
	uint32_t c;
	int cells = 0, w;

	for (; len > 0; s += n, len -= n) {
		n = decode(s, len, &c);
		if (n == 0) {
			n = 1;
			cells++;
			continue;
		}
		w = c < 0x80 ? 1 : wcwidth((wchar_t)c);
		cells += w < 0 ? 1 : w;
	}
	return cells;
}
