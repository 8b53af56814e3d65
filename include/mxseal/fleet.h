/* Many hosts, one story: a verb on each of them, at most so many at a time; for a push the canary first, then the rest, and
 * nothing more begins once one failed. The command line and the console both use it; neither has a loop of its own.
 *
 * The rules of a push over many hosts:
 * - Until one host was changed, proved and kept (or left waiting, where that was asked), the hosts go one at a time, in order:
 *   the first is the canary. When it turns out to be unreachable or to have nothing to change, the next one is.
 * - Then at most at_once at a time.
 * - A host that is refused, undone, of unknown state, or fails in any other way stops the rest: what has not begun is not
 *   begun, what runs is finished. So does a host that a person undoes.
 * - A host that cannot be reached, or hangs until its own deadline before it was switched, says nothing about the change: it
 *   counts for itself only, and the others go on.
 * - What is not done stays for a retry, in the store: also when this program is killed.
 * Verbs that only read begin at_once at a time as mxseal/places.h has it: who is silent holds up nobody that answers. */
#ifndef MXSEAL_FLEET_H
#define MXSEAL_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/journey.h"
#include "mxseal/places.h"

#define FLEET_AT_ONCE 4
#define FLEET_AT_ONCE_MAX 64

struct fleet;
struct fleet_run;

enum fleet_state { FLEET_WAITS, FLEET_RUNS, FLEET_DECIDE /* a person or the host's clock */, FLEET_ENDING, FLEET_DONE };

struct fleet_host {
	struct fleet *fleet;
	int64_t server;
	char *name;
	enum fleet_state state;
	int rc; struct err err;          /* of the last verb */
	void *data;                      /* for whoever uses the fleet */
	int64_t job;                     /* the same */
	struct plan plan; bool planned;  /* planned: the push is made from this plan, as it was shown */
	struct push_report report;
	struct push_status status;
	int64_t undo_at;                 /* FLEET_DECIDE */
	int64_t began_ms;                /* FLEET_RUNS, by the clock of fleet_tick */
	int64_t looked_ms; bool looking, by_clock;
	const char *result;              /* of a push, see fleet_push; NULL: not yet */
	bool by_hand;                    /* somebody undid it */
};

struct fleet_options {
	size_t at_once;                  /* 0: FLEET_AT_ONCE */
	struct push_options push;        /* keep: by the proof ... */
	bool ask_first;                  /* ... but the canary waits for fleet_keep */
	bool leave;                      /* a push that waits is at its end for us */
};

/* How a verb is run: in the background, with its questions asked. run must call fleet_run_start, again after each question,
 * fleet_run_end when it is over, and fleet_run_free last, always. changed: something about this host is to be shown. */
struct fleet_user {
	void (*run)(void *arg, struct fleet_run *r);
	void (*changed)(void *arg, struct fleet_host *h);
	void *arg;
};
struct fleet_host *fleet_run_host(const struct fleet_run *r);
const char *fleet_run_verb(const struct fleet_run *r);           /* "push", "keep" ... */
int64_t fleet_run_start(struct fleet_run *r, journey_done_fn *done, void *arg, struct err *e);
void fleet_run_end(struct fleet_run *r, int rc, const struct err *e);
void fleet_run_free(struct fleet_run *r);

struct fleet *fleet_new(struct journey *j, const struct fleet_options *o, const struct fleet_user *u);
/* Verbs that still run are left to their end; nobody is told of it. */
void fleet_free(struct fleet *f);
struct fleet_host *fleet_add(struct fleet *f, int64_t server, const char *name);
int  fleet_canary(struct fleet *f, const char *name, struct err *e);      /* to the front; RC_NOTFOUND: not one of them */
struct journey *fleet_journey(const struct fleet *f);
size_t fleet_size(const struct fleet *f);
struct fleet_host *fleet_nth(const struct fleet *f, size_t i);
struct fleet_host *fleet_of_server(const struct fleet *f, int64_t server); /* NULL: not one of them */
struct fleet_options *fleet_options(struct fleet *f);

/* One verb on each that changes nothing there; all are tried, whatever happens to the others. */
typedef int64_t fleet_verb_fn(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e);
void fleet_each(struct fleet *f, const char *verb, fleet_verb_fn *start);
/* A plan for each, into h->plan. */
void fleet_plan(struct fleet *f);
/* Pushes. A host whose plan failed or is refused counts as said above. Results: the words of push_result_name, and
 * "unreachable" and "not-started". */
void fleet_push(struct fleet *f);
/* A push found waiting on this host, not begun here. */
void fleet_watch(struct fleet *f, struct fleet_host *h, int64_t undo_at);
void fleet_keep(struct fleet_host *h);
void fleet_undo(struct fleet_host *h);
/* Every PLACES_TICK_MS: asks a host whose time is over what it did; begins more while others are silent. */
void fleet_tick(struct fleet *f, int64_t now_ms);
bool fleet_over(const struct fleet *f);                                   /* nothing runs, decides or will begin */
bool fleet_stopped(const struct fleet *f);                                /* hosts are left that will not begin */
/* The worst of the ends, 0 when all is well. From the worst on: state unknown (6), undone (5), failed (7), refused (4),
 * unreachable (3). Hosts that were not begun count by what stopped them. */
int  fleet_worst(const struct fleet *f, struct err *e);

/* Servers whose last push failed or was not begun, in the order they stood. */
int  push_retry_servers(struct journey *j, struct server_list *out, struct err *e);

#endif
