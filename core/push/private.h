/* What the files of this folder share: one conversation with a host about a push, and its steps. */
#ifndef MXSEAL_PUSH_PRIVATE_H
#define MXSEAL_PUSH_PRIVATE_H

#include "mxseal/plan.h"

#define PUSH_ASK_MS    30000
#define PUSH_CHECK_MS  80000      /* the host gives a check 30 s, twice */
#define PUSH_SERVE_MS  200000     /* ... and a reload or restart 60 s a command */
#define PUSH_UNDO_MS   400000
#define PUSH_GRACE_MS  8000       /* until the last process with the old configuration is gone */
#define PUSH_CONFIRM   120

/* Listeners to prove; owned. */
struct want_list { struct proof_want *v; size_t n; };
void want_list_release(struct want_list *l);
/* As the host keeps them: one per line, words with "-" for nothing. Lines that are none are dropped. */
void want_list_write(const struct proof_want *v, size_t n, struct str *out);
void want_list_parse(struct want_list *l, const char *text);

/* What the status verb of the script says. */
struct host_status {
	char state[16];              /* "idle" "waiting" "unconfirmed" "unfinished" */
	int64_t generation, next, undo_at, owner_since;
	char *owner;
	struct push_mail mail;
	struct str journal;          /* lines "TIME N STATE ..." */
};
void host_status_release(struct host_status *s);
void host_status_parse(struct host_status *s, const char *text);
/* What the script says about the mail, in any text of it. */
void push_mail_parse(struct push_mail *m, const char *text);
/* The journal folded: one line per generation. */
void journal_fold(const char *journal, struct str *out);
/* The number of the last line; is it in this state? */
bool journal_last(const char *journal, long long *number, const char *state);

struct push {
	struct host *h;
	struct talk *t;
	struct job_ctx *ctx;
	struct push_report *report;
	const struct plan *plan;         /* NULL when a kept generation is undone */
	const char *name;                /* of the server, for sentences */
	int confirm_within, watch;
	bool keep;

	const struct proof_want *wants;  /* lent */
	size_t n_wants;
	struct want_list before;         /* what greeted before the switch, and what it served */
	struct want_list recalled;       /* wants that came from the host */
	struct str text;                 /* what the step has to say */
	int step;                        /* number of the step */
	const char *to;                  /* back to which generation; NULL: a plan */

	bool begun, armed, switched, lost;
	int64_t undo_at;
};

struct push_step {
	const char *name;
	int (*run)(struct push *p, struct err *e);
};

void push_begin(struct push *p, struct host *h, struct job_ctx *ctx, struct push_report *report);
void push_end(struct push *p);
/* Asks the question that was put to p->t. The script's statuses become codes; -1 also when the connection is gone (lost). */
int  push_ask(struct push *p, struct str *out, int timeout_ms, struct err *e);
/* Carries out steps until one fails; then gives up or takes back, and sets result and e. */
int  push_run(struct push *p, const struct push_step *steps, size_t n, struct err *e);
/* Puts the old files back (why is a sentence) and proves the old state. 0: proved. RC_UNKNOWN else. */
int  push_take_back(struct push *p, const char *why, struct err *e);
/* Looks at all listeners until they are as wanted or grace_ms is over; the results go to the report. Returns how many are
 * not, with the first as a sentence in e. */
size_t push_prove(struct push *p, const struct proof_want *v, size_t n, int grace_ms, struct err *e);
/* user@machine, for the host's journal. */
char *push_who(void);
const char *push_clock(char out[16], int64_t t);

/* Steps that a plan and an undo share (steps.c). */
int step_lock(struct push *p, struct err *e);
int step_ours(struct push *p, struct err *e);
int step_baseline(struct push *p, struct err *e);
int step_arm(struct push *p, struct err *e);
int step_switch(struct push *p, struct err *e);
int step_reload(struct push *p, struct err *e);
int step_probe(struct push *p, struct err *e);
int step_keep(struct push *p, struct err *e);
int step_watch(struct push *p, struct err *e);                /* watch.c */

#endif
