/* Between the queue view, its acting half and the diagnosis below it. */
#ifndef TUI_CONSOLE_VIEWS_QUEUE_H
#define TUI_CONSOLE_VIEWS_QUEUE_H

#include "tui/console/app.h"

struct queue_slot { int64_t server; char *name, *error; bool due; struct queue_view view; };
struct queue_data {
	struct queue_slot *v;     /* one per server */
	size_t n;
	enum queue_by by;
	struct queue_groups groups;               /* of all servers */
	size_t *match;            /* rows of groups that fit the filter */
	struct list list;
	int rows;
	char *selected;           /* key of the selected group */
	char **marks;             /* keys of marked groups */
	size_t n_marks;
	int64_t messages, polled_ms;
	bool frozen, on_pane;
	char *diagnosed;          /* destination that was tested last */
	struct destination_view diagnosis;
	char *diagnosis_error;
	int64_t diagnosis_at;
	size_t pane_top;
	int pane_page;
};

/* --- queue.c --- */
struct queue_group *queue_selected(const struct view *v);
bool queue_marked(const struct queue_data *d, const char *key);
int64_t queue_server_of(const struct view *v, const char *key);
void queue_refresh(struct view *v);
void queue_age(char out[16], int64_t since);

/* --- diagnosis.c --- */
void diagnosis_act(struct view *v);                        /* tests the selected destination */
void diagnosis_draw(struct view *v, struct area a);        /* the lower pane */

/* --- queue_act.c --- */
void queue_act_view(struct view *v);
void queue_act_open(struct view *v);

#endif
