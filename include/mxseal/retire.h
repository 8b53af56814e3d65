/* When may a work-around end, when must it come back? A pure function of what the store knows and of now, so that every case can be
 * tried: core/queue/retire.c. Times are seconds since the epoch, 0 never.
 *
 * What holds whatever happens: nothing is tightened while the newest look of any sender is bad, or on looks that are old; nothing is
 * tightened within a day of the change before it; mail comes before security, so the way back is never held up. Each time that a
 * destination fell back, its good looks have to last twice as long before it is trusted again. */
#ifndef MXSEAL_RETIRE_H
#define MXSEAL_RETIRE_H

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

/* open: mail leaves without TLS. proving: it was ended, its first mail is watched. ended: over. */
enum retire_state { RETIRE_OPEN, RETIRE_PROVING, RETIRE_ENDED };
const char *retire_state_name(enum retire_state s);        /* "open" "proving" "ended" */

/* What the looks of one sender say, newest last. */
struct retire_sender { int64_t last_at, good_since; int good; /* in a row, 0: the last one was bad */ };

struct retire {
	enum retire_state state;
	int64_t since, changed_at;       /* begun; opened, ended or opened again */
	int64_t review_at;               /* 0 none */
	int falls;                       /* how often it had to come back */
	int64_t used_at, log_at;         /* last mail seen on it; when the log was read for that */
	int64_t stuck;                   /* of proving: messages that wait because of TLS */
	bool proved;                     /* of proving: mail left and nothing waits */
	const struct retire_sender *v; size_t n;
};

enum retire_advice {
	RETIRE_KEEP,                     /* leave it as it is */
	RETIRE_TIGHTEN,                  /* the other side does TLS again: end it */
	RETIRE_COME_BACK,                /* it was ended and mail does not leave: open it again */
	RETIRE_DONE                      /* it was ended and that holds */
};
enum retire_advice retire_next(const struct retire *r, int64_t now);
/* Has the day come, and the other side still cannot? */
bool retire_overdue(const struct retire *r, int64_t now);
bool retire_unused(const struct retire *r, int64_t now);
/* How long the good looks must last now, in seconds. */
int64_t retire_span(const struct retire *r);
/* One more look of a sender. */
void retire_looked(struct retire_sender *s, bool good, int64_t at);
/* Half a sentence: why it is not tightened now, or why it may be. */
void retire_why(const struct retire *r, int64_t now, struct str *out);

#endif
