/* What the views share: the stack of views, actions, background verbs, the prompt. Views are one file and one struct
 * view_ops each; footer, help and palette are made from their action tables, so a key is written down once. */
#ifndef TUI_CONSOLE_APP_H
#define TUI_CONSOLE_APP_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/fleet.h"
#include "mxseal/journey.h"
#include "mxseal/store.h"
#include "tui/console/share.h"
#include "tui/console/draw.h"
#include "tui/console/edit.h"
#include "tui/console/keys.h"

struct app;
struct view;

/* --- actions --- */
enum { ACTION_QUIET = 1 /* not in the footer */, ACTION_CHANGES = 2 /* can change a host: refused while read-only */ };
struct action {
	int key;
	const char *name;         /* for the palette: "certificate wizard" */
	const char *label;        /* for the footer: "cert" */
	const char *help;         /* one sentence */
	const char *command;      /* the same on the command line, or NULL */
	void (*run)(struct view *v);            /* called by action_run only */
	bool (*can)(const struct view *v);      /* NULL: always */
	unsigned flags;
};

/* --- views --- */
struct view_ops {
	const char *name, *title;
	const char *about;        /* first lines of the help */
	size_t state_size;
	bool overlay;             /* drawn over the view below */
	bool finds;               /* understands the filter */
	const struct action *actions;           /* ended by a row without name */
	int  (*open)(struct view *v, const void *arg, struct err *e);
	void (*close)(struct view *v);
	void (*draw)(struct view *v, struct area a);
	bool (*key)(struct view *v, int key);   /* before the actions; true: taken */
	void (*tick)(struct view *v, int64_t now_ms);
	bool (*idle)(struct view *v, int64_t until_ms);           /* between keys: a slice of what takes long (share.h); true: there
	                                                           * is more to do at once */
	void (*changed)(struct view *v);        /* the store changed, the filter, or what stood above is closed */
	void (*noticed)(struct view *v);        /* the store changed, by whoever: a view that is long at reading it does that in its
	                                         * own time (idle; share.h). NULL: changed */
	void (*crumb)(const struct view *v, struct str *out);     /* head line, left */
	void (*state)(const struct view *v, struct str *out);     /* head line, right */
	bool (*typing)(const struct view *v);   /* letters are text now, not commands */
	bool (*back)(struct view *v);           /* Esc: true when a level inside the view was left */
	void (*copy)(const struct view *v, bool command, struct str *out);
	bool (*leave)(struct view *v);          /* false: a question must be answered first */
};
struct view {
	const struct view_ops *ops;
	struct app *app;
	struct view *below;
	int64_t serial;
	void *data;
	char *filter;             /* NULL: none */
	size_t shown, total;      /* rows with the filter, and without */
	int page;                 /* rows drawn last: what a page key moves by */
	bool intends;             /* an overlay that an action opened which changes a host */
};

/* Opens a view on top. arg is given to ops->open and not kept. */
struct view *view_push(struct app *a, const struct view_ops *ops, const void *arg);
bool view_in_sight(const struct view *v);                       /* on top, or only below what is drawn over it */
void view_pop(struct view *v);                                  /* closes it, wherever it stands */
struct view *view_by_serial(struct app *a, int64_t serial);     /* NULL when closed */
struct view *view_by_ops(struct app *a, const struct view_ops *ops);

extern const struct view_ops view_main, view_sheet, view_plan, view_push_watch, view_queue, view_probe, view_activity,
    view_certificate, view_office, view_route, view_message, view_help, view_palette, view_chooser, view_hostkey, view_drift,
    view_workarounds, view_remedy, view_follow, view_rehearsal;

/* --- background verbs (task.c) --- */
struct task;
/* Starts the verb: returns its job id, 0 when it was done at once, -1 with e. Hands task_done, t as done and arg. */
typedef int64_t task_start_fn(struct task *t, struct err *e);
/* view: the one that started it, NULL when it is closed by now. */
typedef void task_end_fn(struct task *t, struct view *view, int rc, const struct err *e);
struct task {
	struct app *app;
	const char *verb;         /* "read", "plan": what it is, for rows and the status line */
	int64_t server;           /* whom it is about; 0 none */
	int64_t view;             /* serial of the view it belongs to */
	int64_t id;               /* free for the starter */
	task_start_fn *start;
	task_end_fn *end;
	void *data;               /* filled by the verb; lives as long as the task */
	void (*drop)(void *data);
	/* kept by task.c */
	struct task *next;
	int64_t serial, job, since_ms;
	char text[512];           /* what it said last */
	bool starting, finished, asks;
	bool intends;             /* started by what may change a host */
	int rc;
	struct err err;
	int refused;              /* how often an answer was wrong */
};
/* Copies t and starts it. Questions (host key, password, passphrase) are asked and the verb is called again. */
struct task *task_run(struct app *a, const struct task *t);
void task_done(void *task, int rc, const struct err *e);
void task_cancel(struct task *t);
struct task *task_of_server(struct app *a, int64_t server);      /* one that runs for it, or NULL */
struct task *task_of_view(const struct view *v, const char *verb);
struct task *task_by_serial(struct app *a, int64_t serial);
void task_again(struct task *t);                                  /* after a question was answered */
void task_give_up(struct task *t);                                /* the question was not answered */
void tasks_progress(const struct job_progress *p, void *app);
void tasks_ask(struct app *a);                                    /* opens the next question that waits */
void tasks_close(struct app *a);

/* --- many hosts (fleet.c) --- */
struct fleet_tasks { struct app *app; int64_t view; };
void fleet_tasks_run(void *fleet_tasks, struct fleet_run *r);    /* fleet_user.run */
void fleet_tasks_tick(struct app *a, int64_t now_ms);

/* --- what is edited and not pushed, and undoing it (edits.c) --- */
bool edits_some(struct app *a, int64_t until_ms);        /* the line about them, in slices; true: there is more */
void edits_close(struct app *a);
void act_edit_undo(struct view *v);
void act_edit_redo(struct view *v);

/* --- prompt (prompt.c): one question on the message line --- */
enum prompt_kind { PROMPT_NONE, PROMPT_LINE, PROMPT_FIND, PROMPT_YESNO, PROMPT_WORD, PROMPT_SECRET };
typedef void prompt_answer_fn(struct app *a, struct view *v, int64_t arg, const char *text);   /* text NULL: left */
struct prompt {
	enum prompt_kind kind;
	char question[400];
	char word[64];            /* PROMPT_WORD: to be typed */
	struct edit edit;
	int64_t view, arg, ready_ms, show_until;
	bool intends;             /* asked by what may change a host */
	prompt_answer_fn *answer;
};
/* Yes/no: answer gets "y" or NULL. Word: answer gets the word or NULL. What was typed before it was painted is dropped. */
void prompt_open(struct app *a, enum prompt_kind kind, struct view *v, int64_t arg, prompt_answer_fn *answer,
    const char *fmt, ...) PRINTF_LIKE(6, 7);
void prompt_key(struct app *a, int key);
void prompt_draw(struct app *a, struct area line);
const char *prompt_keys(const struct app *a);             /* for the footer while it is asked */
void prompt_close(struct app *a);
void prompt_dismiss(struct app *a);                      /* as if it was left unanswered */

/* --- the watched push (views/push.c); lives on when its view is hidden --- */
struct push_run;
/* Takes the contents of the plans. */
void push_run_start(struct app *a, struct plan *plans, size_t n, const struct fleet_options *o);
void push_run_tick(struct app *a, int64_t now_ms);
void push_run_progress(struct app *a, int64_t server, const struct job_progress *p);
bool push_run_busy(const struct app *a);
void push_run_line(const struct app *a, struct str *out);             /* for the status line; "" when none */
void push_run_watch(struct app *a, int64_t server, int64_t undo_at);  /* a push found waiting on a host */
void push_run_close(struct app *a);

/* --- what a push is to set free (views/follow.c); goes on when its view is not open, and ends when it is left --- */
struct follow_run;
void follow_before(struct app *a, int64_t server, const char *name, bool waits);    /* takes what waits, before the push (is kept) */
void follow_after(struct app *a, int64_t server, bool kept);              /* tries it again, or forgets it */
void follow_tick(struct app *a, int64_t now_ms);
bool follow_goes_on(const struct app *a);                                 /* something was tried again and is looked at */
void follow_close(struct app *a);

/* --- the application --- */
struct app {
	struct journey *j;
	struct store *st;
	struct jobq *q;
	struct view *top;
	struct task *tasks;
	struct prompt prompt;
	struct push_run *push;
	struct follow_run *follow;
	struct fleet *reading;    /* every server is read again */
	struct fleet_tasks reading_tasks;
	struct str paste;         /* of K_PASTE */
	struct secret first;      /* a new passphrase, until it was typed twice */
	bool differ;              /* ... which was not twice the same */
	char message[1024];
	enum style message_style;
	struct err message_err;   /* code RC_OK: the message is no error */
	int64_t message_ms;
	char edits[160];          /* the line that says what is edited and not pushed */
	int64_t serial, store_seen, edits_seen;
	int64_t interrupted_ms;
	bool acted;               /* a key did more than move: what it changed is to be seen at once */
	int64_t key_ms;           /* when the last one came */
	int64_t drawn_ms;
	struct edits_count *counting;             /* what is edited, being counted, or NULL */
	struct share editing;
	bool dirty, quit, discard, suspend, repaint, closing;
	void (*copy)(struct app *a, const char *text);     /* to the terminal's clipboard; NULL in tests */
};
int  app_open(struct app **out, const char *store_path, bool ascii, struct err *e);
void app_close(struct app *a);
void app_draw(struct app *a);
void app_key(struct app *a, int key);
void app_tick(struct app *a, int64_t now_ms);
/* What takes long, a slice of it: called whenever no key waits. true: there is more. */
bool app_idle(struct app *a, int64_t until_ms);
/* May that be begun anew now? In its share of the time, and after a key that did more than move. */
bool app_has_time(const struct app *a, const struct share *s);
void app_say(struct app *a, enum style s, const char *fmt, ...) PRINTF_LIKE(3, 4);
void app_fail(struct app *a, const struct err *e);              /* shows an error with its hint */
/* Opens a sheet by name on an object; preset: name, value, ..., NULL set into the form (unknown names are skipped). */
void app_sheet(struct app *a, const char *sheet, int64_t object, const char *object_name, const char *const *preset);
const struct sheet *sheet_for(enum sheet_object object, enum sheet_kind kind);   /* the first such row, or NULL */
void app_copy(struct app *a, const char *text, const char *what);
/* Runs an action for a person. While read-only those that change a host are refused; no other one gets to a host, nor does
 * what it starts or asks (journey_intend). */
void action_run(struct view *v, const struct action *act);
bool action_works(struct view *v, int key);          /* does it do something there now? */
/* Actions that may be used now: the view's, then those of every view. fn returns false to stop. */
typedef bool action_fn(struct view *v, const struct action *act, void *arg);
void actions_each(struct view *v, action_fn *fn, void *arg);

/* --- openers, with what each view needs --- */
struct sheet_arg { const struct sheet *sheet; int64_t object; const char *object_name; const char *const *preset; };
struct message_arg { const char *title; const char *text; enum style style; };
struct queue_arg { int64_t server; const char *destination; };  /* 0: all; the group to be selected, or NULL */
struct remedy_offer;
struct remedy_arg { const struct remedy_offer *offer; const char *destination; };
struct probe_arg { int64_t server; const char *target; };
struct route_arg { int64_t server; const char *address; };     /* address NULL: asked for */
/* The route of a connector's first domain, or of an address that is asked for. connector may be 0. */
void route_for(struct app *a, int64_t server, int64_t connector);
struct plan_arg { int64_t server; const char *group; bool retry; };    /* server 0: all that have edits; what is left of a push */
struct rehearsal_arg { int64_t server; bool inbound; const char *level; int64_t vserver; };      /* vserver: inbound, whose senders; 0: the default one's */
struct drift_arg { int64_t server; };
struct certificate_arg { const char *title, *pem, *command; int64_t id; };   /* command: NULL, or the same as a command line */
struct hostkey_arg { int64_t task, server; struct hostkey *key; };     /* key: contents are taken */
typedef void chooser_fn(struct app *a, struct view *v, size_t index, const char *name);
/* free: what is typed can be taken as it is (index is then the number of choices) */
struct chooser_arg {
	const char *title;
	const struct choice_list *list;
	const char *current;
	struct view *v;
	chooser_fn *fn;
	bool free;
};
void app_message(struct app *a, const char *title, enum style s, const char *text);
void main_select(struct app *a, const char *key);      /* "server 3": the row of the main screen */
void app_server_read(struct app *a, struct view *v, int64_t server);

#endif
