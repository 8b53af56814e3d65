/* What the main screen says about the selected row. */
#ifndef TUI_CONSOLE_VIEWS_DETAILS_H
#define TUI_CONSOLE_VIEWS_DETAILS_H

#include "tui/console/views/tree.h"

/* Appends the description, then what can be done next. n may be NULL (nothing selected). */
void details_of(struct app *a, const struct node *n, int width, struct lines *out);
/* Without any server: what this program is and what it will do. */
void details_welcome(int width, struct lines *out);
/* The row's one-line summary for the narrowest screens, and its value for copying. */
void details_command(struct app *a, const struct node *n, struct str *out);

#endif
