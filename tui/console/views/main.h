/* Between the main screen, what can be done on it, and the list of generations that it opens. */
#ifndef TUI_CONSOLE_VIEWS_MAIN_H
#define TUI_CONSOLE_VIEWS_MAIN_H

#include "tui/console/views/tree.h"

struct main_data {
	struct tree tree;
	struct list list;         /* over the rows that are not hidden */
	char selected[96];        /* key of the selected row */
	char fallback[96];        /* key of the row that takes its place when what it says is gone ... */
	char *said;               /* ... which is this */
	size_t detail_top;
	bool on_detail;           /* Tab: arrows scroll the details */
	bool tasks_seen;
	bool stale;               /* the store knows better */
	struct tree_build *build; /* the next tree, or NULL */
	struct share building;
	size_t *rows;             /* places in the tree of what is not hidden */
};

/* --- main.c --- */
struct main_data *main_data(const struct view *v);
struct node *main_selected(const struct view *v);      /* the row, or NULL */
bool main_is_empty(const struct view *v);              /* no server yet */
void main_rebuild(struct view *v);                     /* after the store or a fold changed */
void main_changed(struct view *v);                     /* the same, of many servers in slices */

/* --- main_act.c --- */
extern const struct action main_actions[];

/* --- generations.c --- */
void generations_show(struct view *v, int64_t server); /* asks the host; a push that waits there is watched */

#endif
