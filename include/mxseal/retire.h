/* When may a work-around end, when must it come back? A pure function of what the store knows and of now, so that every case can be
 * tried: core/queue/retire.c. Times are seconds since the epoch, 0 never.
 *
 * It ends in two steps. First a trial: TLS where it is offered ("may"), which never holds mail up, whatever the other side does. Only
 * after good looks and mail in TLS through a whole trial does the level that was asked for hold again. What falls back during the
 * trial needs no change at all, so what flaps stays on trial.
 *
 * What holds whatever happens:
 * - Nothing is tightened while any sender's newest look is bad or old, nor on looks of less than a day from each of them.
 * - Between two changes lies a day at least. One change alone is never held up, since mail comes first: the way back from the level
 *   that was asked for, once per tightening. So in any 24 hours there is one change; two only where the second is that way back.
 * - That way back needs a destination that no look saw bad for two days, and for longer the more often it fell back. One that
 *   changes its mind sooner never gets so far, and is changed at most once in any 24 hours. */
#ifndef MXSEAL_RETIRE_H
#define MXSEAL_RETIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/str.h"

enum {
	RETIRE_LOOKS = 4,                /* good looks in a row, of each sender */
	RETIRE_SPAN = 86400,             /* ... from the first to the last of them, seconds; twice as long after each fall */
	RETIRE_SPAN_MAX = 16 * 86400,
	RETIRE_FRESH = 3 * 3600,         /* the newest look counts for so long */
	RETIRE_REST = 86400,             /* between two changes */
	RETIRE_UNUSED = 30 * 86400,      /* no mail took it for so long */
	RETIRE_WATCH = 14 * 86400        /* so long the first mail after tightening is waited for */
};

/* open: mail leaves without TLS. trial: with TLS where it is offered. proving: the level of before holds, its mail is watched.
 * ended: over. */
enum retire_state { RETIRE_OPEN, RETIRE_TRIAL, RETIRE_PROVING, RETIRE_ENDED };
const char *retire_state_name(enum retire_state s);        /* "open" "trial" "proving" "ended" */
enum retire_state retire_state_of(const char *name);       /* what is not known is over */

/* good: mail at the level of before would be delivered, whichever server is taken. bad: it would wait, and without TLS it would not.
 * unclear: neither, as when nobody answers. */
enum retire_saw { RETIRE_GOOD, RETIRE_BAD, RETIRE_UNCLEAR };

/* What the looks of one sender say. */
struct retire_sender {
	int64_t last_at, good_since;
	int good;                        /* in a row */
	bool bad;                        /* the last one was */
	int64_t stuck;                   /* messages that waited because of TLS then */
};

struct retire {
	enum retire_state state;
	int64_t since, changed_at;       /* begun; the last change */
	int64_t review_at;               /* 0 none */
	int falls;                       /* how often the other side fell back on trial or after it */
	int64_t used_at, log_at;         /* last mail seen for it; when the log was read for that */
	bool proved;                     /* since the last change: mail left with TLS, and none without */
	bool in_clear;                   /* since then: some left without */
	bool unpushed;                   /* the last change waits for a push: a host still does as before it */
	struct retire_sender *v; size_t n;
};

enum retire_advice {
	RETIRE_KEEP,                     /* leave it as it is */
	RETIRE_TRY,                      /* the other side does TLS again: on trial */
	RETIRE_TIGHTEN,                  /* the trial was good: the level of before holds again */
	RETIRE_COME_BACK,                /* mail does not leave, or only late: without TLS again */
	RETIRE_DONE                      /* it was ended and that holds */
};
const char *retire_advice_name(enum retire_advice a);      /* "keep" "try" "tighten" "come-back" "done" */
enum retire_advice retire_next(const struct retire *r, int64_t now);
/* The state that follows from it; of KEEP the one there is. */
enum retire_state retire_after(const struct retire *r, enum retire_advice a);
/* It has changed: what was noted for the state before no longer counts. */
void retire_become(struct retire *r, enum retire_state to, int64_t now);
/* One more look of sender i. */
void retire_look(struct retire *r, size_t i, enum retire_saw saw, int64_t stuck, int64_t now);
/* Has the day come, and the other side still cannot? */
bool retire_overdue(const struct retire *r, int64_t now);
bool retire_unused(const struct retire *r, int64_t now);
/* How long the good looks must last now, in seconds. */
int64_t retire_span(const struct retire *r);
/* Half a sentence: why it is not changed now, or why it may be. */
void retire_why(const struct retire *r, int64_t now, struct str *out);

#endif
