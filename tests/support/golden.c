/* Off-screen curses: newterm on /dev/null, cells read back. */
#include <curses.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "mxseal/xalloc.h"
#include "support/golden.h"

static FILE *nowhere;
static SCREEN *screen;

void
screen_open(int rows, int cols)
{
	nowhere = fopen("/dev/null", "r+");
	screen = newterm("xterm-256color", nowhere, nowhere);
	if (screen == NULL)
		fail_msg("curses does not know xterm-256color");
	screen_size(rows, cols);
}

void
screen_size(int rows, int cols)
{
	resizeterm(rows, cols);
}

void
screen_close(void)
{
	endwin();
	delscreen(screen);
	fclose(nowhere);
}

static void
edge(struct str *out, int cols)
{
	str_addc(out, '+');
	for (int i = 0; i < cols; i++)
		str_addc(out, '-');
	str_add(out, "+\n");
}

static int
add_cell(struct str *out, const cchar_t *c)
{
	wchar_t text[CCHARW_MAX + 1];
	attr_t attr;
	short pair;
	char mem[MB_LEN_MAX];
	int width;

	getcchar(c, text, &attr, &pair, NULL);
	if (text[0] == 0)
		text[0] = L' ', text[1] = 0;
	for (int i = 0; text[i] != 0; i++) {
		mbstate_t state = { 0 };
		size_t n = wcrtomb(mem, text[i], &state);
		str_addn(out, n == (size_t)-1 ? "?" : mem, n == (size_t)-1 ? 1 : n);
	}
	width = wcwidth(text[0]);
	return width > 1 ? width : 1;
}

void
screen_text(struct str *out)
{
	int rows, cols;
	cchar_t c;

	getmaxyx(stdscr, rows, cols);
	edge(out, cols);
	for (int y = 0; y < rows; y++) {
		str_addc(out, '|');
		for (int x = 0; x < cols; ) {
			mvin_wch(y, x, &c);
			x += add_cell(out, &c);
		}
		str_add(out, "|\n");
	}
	edge(out, cols);
	for (int y = 0; y < rows; y++) {
		struct str marks = STR_INIT;
		size_t end = 0;
		for (int x = 0; x < cols; x++) {
			chtype plain = mvinch(y, x);
			char mark = plain & A_REVERSE ? 'R' : plain & A_UNDERLINE ? 'U' : '.';
			str_addc(&marks, mark);
			if (mark != '.')
				end = marks.len;
		}
		str_cut(&marks, end);
		if (end > 0)
			str_addf(out, "%2d %s\n", y, marks.s);
		str_release(&marks);
	}
}

void
golden_check(const char *name, const char *text)
{
	char *path = xasprintf("%s/tests/golden/%s.txt", TEST_SOURCE_DIR, name);
	struct str want = STR_INIT;
	struct err e = { .code = RC_OK };
	bool same;

	if (getenv("UPDATE") != NULL) {
		if (str_write_file(path, text, strlen(text), 0644, &e) != 0)
			fail_msg("%s", e.text);
		free(path);
		return;
	}
	if (str_read_file(&want, path, 1024 * 1024, &e) != 0)
		fail_msg("%s (UPDATE=1 writes it)", e.text);
	same = strcmp(want.s, text) == 0;
	if (!same)
		fprintf(stderr, "%s: expected\n%sgot\n%s", name, want.s, text);
	str_release(&want);
	free(path);
	if (!same)
		fail_msg("%s differs (UPDATE=1 rewrites it)", name);
}
