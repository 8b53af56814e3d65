/* What is put on the screen, and how. Every text passes draw_put: it is cleaned, cut at whole characters to the cells it
 * may have, and never leaves the screen; so drawing is safe at any size, down to 1x1. Views know no curses call. */
#ifndef TUI_CONSOLE_DRAW_H
#define TUI_CONSOLE_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/err.h"
#include "mxseal/str.h"

/* State is always a word or a sign first; the style only repeats it. */
enum style {
	STYLE_NORMAL, STYLE_TITLE, STYLE_FRAME, STYLE_KEY, STYLE_LABEL, STYLE_FAINT, STYLE_SELECTED, STYLE_FOCUS,
	STYLE_OK, STYLE_WARN, STYLE_BAD, STYLE_UNKNOWN, STYLE_EDITED, STYLE_ADDED, STYLE_REMOVED, STYLE_COUNT
};

struct area { int y, x, h, w; };

/* --- style.c --- */
/* After initscr. colour false: bold, underline and reverse only (NO_COLOR, monochrome terminals). */
void style_open(bool colour);
void style_set(enum style s);
/* By the sign in front of a state: '!' bad, '?' unknown, '~' edited, else normal. */
enum style style_of_sign(char sign);

/* --- draw.c --- */
/* ascii: lines and marks from ASCII even where the terminal could do more. */
void draw_open(bool ascii);
bool draw_is_ascii(void);
struct area draw_screen(void);
void draw_clear(void);
/* Writes text at row y, column x of the area, in at most `cells` cells (cut with a mark when longer; 0: as far as the area
 * goes). Returns the cells used. */
int  draw_put(struct area a, int y, int x, int cells, enum style s, const char *text);
int  draw_putf(struct area a, int y, int x, enum style s, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* The same, filled up with blanks to `cells` (0: to the end of the area). */
void draw_row(struct area a, int y, int x, int cells, enum style s, const char *text);
void draw_blank(struct area a, int y, enum style s);
/* To a line that is put later: the text in exactly so many cells, cut as above or filled up. */
void draw_add(struct str *line, const char *text, int cells);
/* A frame with a title in its upper edge; gives the area inside. Too small for a frame: the area itself. */
struct area draw_box(struct area a, const char *title);
/* A line across a frame, joined to its sides. */
void draw_rule(struct area box, int y, const char *title);
void draw_cursor(struct area a, int y, int x);      /* where the terminal's cursor stands (readers follow it) */
int  draw_width(const char *text);                  /* cells of the text as draw_put would show it */
/* The longest beginning of text that fits into cells; gives its bytes. */
size_t draw_fit(const char *text, int cells, int *used);
const char *draw_mark(const char *utf8, const char *ascii);

/* --- lines.c: text made of lines, for panes that scroll --- */
struct line { char *text; enum style style; };
struct lines { struct line *v; size_t n; };
void lines_add(struct lines *l, enum style s, const char *text);
void lines_addf(struct lines *l, enum style s, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Wraps at words to width; later lines begin with `indent` blanks (-1: as far in as the first one, and two more if that is
 * indented). Newlines in the text are kept. */
void lines_wrap(struct lines *l, enum style s, int width, int indent, const char *text);
/* "Label     value", the value wrapped beside it. Empty values are left out. */
void lines_field(struct lines *l, enum style s, int width, const char *label, const char *value);
void lines_release(struct lines *l);
/* Draws from line *top on, correcting *top to what there is. */
void lines_draw(const struct lines *l, struct area a, size_t *top);
/* Arrow and page keys of a text: true when the key was one. */
bool lines_key(size_t *top, int key, int page);

/* --- list.c: a list with a selected row --- */
struct list { size_t n, sel, top; };
bool list_key(struct list *l, int key, int page);
void list_fit(struct list *l, int rows);             /* keeps the selection in range and in sight */

/* --- match.c: find --- */
/* 0: no match; the higher the better. All letters of pattern in order, case ignored. */
int match_fuzzy(const char *text, const char *pattern);
/* All words of the pattern occur somewhere in the text. */
bool match_words(const char *text, const char *pattern);

#endif
