/* One line of text being typed. */
#ifndef TUI_CONSOLE_EDIT_H
#define TUI_CONSOLE_EDIT_H

#include "tui/console/draw.h"

struct edit {
	struct str text;          /* UTF-8 */
	size_t at;                /* cursor, in bytes */
};
void edit_open(struct edit *e, const char *text);
void edit_close(struct edit *e);                       /* wipes it: it may have been a password */
bool edit_key(struct edit *e, int key);                /* true when the text or the cursor changed */
void edit_paste(struct edit *e, const char *text);     /* newlines become blanks */
/* Draws it in `cells` cells, scrolled so that the cursor is in sight, and places the cursor. dots: as a password. */
void edit_draw(const struct edit *e, struct area a, int y, int x, int cells, enum style s, bool dots, bool cursor);

#endif
