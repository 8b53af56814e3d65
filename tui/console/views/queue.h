/* Between the queue view, its acting half and the diagnosis below it. */
#ifndef TUI_CONSOLE_VIEWS_QUEUE_H
#define TUI_CONSOLE_VIEWS_QUEUE_H

#include "mxseal/remedies.h"
#include "tui/console/app.h"

#define QUEUE_TREND 12
struct queue_slot {
	int64_t server;
	char *name, *error;
	bool runs;                /* it is being looked at: one reader per host, never overlapping */
	unsigned failures;        /* in a row: it is asked less often */
	int64_t next_ms;          /* when the next look is due */
	struct queue_view view;
};
/* What is under way; troubled: looks at hosts that failed the last time. */
struct queue_load { struct places places; size_t troubled; };
/* Messages of one server; what became of them. */
struct queue_set { int64_t server; struct queue_ids ids; struct queue_acted acted; };
/* A marked group: the messages that it had at that moment. at 0: they are being counted. */
struct queue_mark { char *key; int64_t at; size_t n; struct queue_set *sets; size_t n_sets; };
struct queue_trend { char *key; int64_t at; char cells[QUEUE_TREND + 1]; };
/* Cells that are being read: of which server (0: of all) and key. */
struct queue_reading { char *key; int64_t of; struct queue_cells_walk walk; struct queue_cell_list cells; };
struct queue_data {
	struct queue_slot *v;     /* one per server */
	size_t n;
	enum queue_by by;
	struct queue_groups groups;               /* of all servers */
	size_t *match;            /* rows of groups that fit the filter */
	struct list list;
	int rows;
	char *selected;           /* key of the selected group */
	struct queue_mark *marks;
	size_t n_marks;
	struct queue_trend trends[256];           /* as last read from the store */
	size_t n_trends;
	bool watched[QUEUE_TREND];                /* cells of the trends in which anybody looked */
	int64_t watched_server, watched_first, watched_at;
	struct queue_reading reading;
	int64_t messages;
	struct share regrouping;
	struct queue_merge *merge;                /* the next groups, being put together, or NULL ... */
	size_t merged;                            /* ... of so many servers */
	bool frozen, on_pane, stale;              /* stale: groups came that are not merged yet */
	char *diagnosed;          /* destination that was tested last */
	struct destination_view diagnosis;
	struct remedy_offers offers;              /* what can be done about it */
	char *diagnosis_error;
	int64_t diagnosis_at, diagnosed_server;
	size_t pane_top;
	int pane_page;
};

/* --- queue.c --- */
struct queue_group *queue_selected(const struct view *v);
bool queue_marked(const struct queue_data *d, const char *key);
int64_t queue_server_of(const struct view *v, const char *key);
void queue_regroup(struct view *v);                       /* at once */
bool queue_regroup_some(struct view *v, int64_t until_ms);         /* in slices; true: there is more */
void queue_age(char out[16], int64_t since);
void queue_mark_drop(struct queue_data *d, const char *key);
void queue_marks_forget(struct queue_data *d);
/* Takes the sets, unless the mark is gone by now. */
bool queue_mark_take(struct queue_data *d, const char *key, struct queue_set *sets, size_t n_sets, size_t n);

/* --- queue_poll.c --- */
#define QUEUE_EVERY_MS 10000
void queue_refresh(struct view *v);                       /* all that do not hang are looked at again now */
void queue_poll_more(struct view *v);                     /* begins the looks that are due and may begin */
/* The slot whose look may begin now: of those that are due who has waited longest. NULL: none. */
struct queue_slot *queue_poll_next(struct queue_slot *v, size_t n, const struct queue_load *l, int64_t now_ms);
void queue_poll_ended(struct queue_slot *s, bool good, int64_t now_ms);        /* when the next one is due */

/* --- queue_list.c --- */
void queue_list_draw(struct view *v, struct area a);
bool queue_trends_some(struct view *v, int64_t until_ms); /* reads those that are shown and not known; true: there is more */
void queue_trends_forget(struct queue_data *d);
void queue_size(char out[16], int64_t bytes);             /* "1.2 MB" */

/* --- diagnosis.c --- */
void diagnosis_act(struct view *v);                        /* tests the selected destination */
void diagnosis_draw(struct view *v, struct area a);        /* the lower pane */
bool diagnosis_chooses(const struct view *v);              /* there are choices for the selected destination */
void diagnosis_choose(struct view *v, size_t i);           /* opens one of them, from 0 on */
void diagnosis_list(struct view *v);                       /* all of them, to choose one */

/* --- queue_act.c --- */
void queue_act_view(struct view *v);
void queue_act_mark(struct view *v, const char *key);     /* takes the messages of a group for its mark */
void queue_sets_release(struct queue_set *sets, size_t n);
void queue_act_open(struct view *v);
void queue_act_group(struct view *v, const char *verb, const char *key);   /* takes them, asks, does it */

#endif
