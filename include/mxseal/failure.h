/* THE TABLE of failure classes, and a text's class. A row knows the formal code (RFC 3463) and the wording; the same words
 * may mean different causes, then a row says which live probes decide. */
#ifndef MXSEAL_FAILURE_H
#define MXSEAL_FAILURE_H

#include <stdbool.h>
#include "mxseal/err.h"
#include "mxseal/str.h"

enum failure_side { SIDE_NONE, SIDE_THEIRS, SIDE_OURS, SIDE_PATH };
const char *failure_side_name(enum failure_side s);   /* "none" "theirs" "ours" "path" */

struct failure {
	const char *name;         /* "tls-not-offered" */
	bool tls;                 /* is about TLS */
	enum failure_side side;
	const char *title;        /* "The other side offers no TLS" */
	const char *explain;      /* plain words */
	const char *look;         /* where to look before anything is done, which a diagnosis does by itself; NULL */
	const char *advice;       /* what to do */
	const char *refine;       /* comma list of classes it may really be, decided by log or probe; NULL */
	const char *probes;       /* comma list of what decides: log mx connect starttls handshake versions chain dates name dane sts
	                           * vantage (more places) trust-store resolver clock; NULL: nothing to find out */
	const char *remedies;     /* comma list, the first is what to try first: wait lower workaround repair complain hold; NULL */
};
extern const struct failure failure_table[];          /* ended by a row without name */
const struct failure *failure_find(const char *name); /* never NULL: the row "unknown" */

struct classified {
	const struct failure *failure;
	char inner[512];          /* the wording that decided, prefix "delivery temporarily suspended: " stripped */
};
/* One log line or delay reason. system: "postfix", or NULL: guess from the line. Never fails: class "unknown". */
void classify(const char *text, size_t len, const char *system, struct classified *out);

/* All lines of one delivery attempt, the delivery's own last: its class, made more exact by what the lines before it say. decided
 * (may be NULL): which line did. system as above. */
void classify_attempt(const char *const *lines, size_t n, const char *system, struct classified *out, size_t *decided);

/* Folds what differs between messages (addresses, queue ids, numbers, host[ip]) so that equal causes group together. */
void reason_fold(const char *text, size_t len, struct str *out);

#endif
