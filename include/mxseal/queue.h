/* Reading a mail queue: a streaming scanner for `postqueue -j` (one JSON object per line, postqueue(1)) that never holds the
 * listing, groups by destination or reason as it goes, and survives garbage, broken UTF-8 and a cut at any byte. */
#ifndef MXSEAL_QUEUE_H
#define MXSEAL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/failure.h"
#include "mxseal/str.h"

enum queue_by { QUEUE_BY_DESTINATION, QUEUE_BY_REASON, QUEUE_BY_SENDER, QUEUE_BY_SERVER };
int queue_by_parse(enum queue_by *out, const char *word, struct err *e);

struct queue_group {
	char *key;                       /* domain, folded reason, sender domain, server */
	int64_t messages, recipients, bytes;
	int64_t oldest;                  /* arrival of the oldest, seconds since the epoch */
	int64_t deferred;                /* of the messages: with a reason */
	const struct failure *failure;   /* class of the most frequent reason; NULL: none waits for a reason */
	char *reason;                    /* as received; with names and numbers folded away when other groups have it as well */
	int64_t failure_recipients;
};
struct queue_groups { struct queue_group *v; size_t n; };
void queue_groups_release(struct queue_groups *g);

/* One message, for `queue messages`. */
struct queue_message {
	char *id, *queue, *sender, *recipient;   /* first recipient of the asked destination */
	int64_t arrival, size; int recipients;
	char *reason;
	const struct failure *failure;
};
struct queue_messages { struct queue_message *v; size_t n; };
void queue_messages_release(struct queue_messages *m);

struct queue_reader;
/* destination and limit: keep messages of this destination (NULL: any), at most limit (0: none). */
struct queue_reader *queue_reader_new(enum queue_by by, const char *server, const char *destination, size_t limit);
/* Any piece of the listing. Never fails on bad input: bad lines are counted. Returns -1 over the ceiling (4 M groups). */
int  queue_reader_feed(struct queue_reader *q, const char *mem, size_t len);
/* End of the listing: sorts by messages waiting, TLS causes first when equal. out is yours. */
void queue_reader_end(struct queue_reader *q, struct queue_groups *out);
int64_t queue_reader_messages(const struct queue_reader *q);
int64_t queue_reader_bad_lines(const struct queue_reader *q);
void queue_reader_taken(struct queue_reader *q, struct queue_messages *out);
void queue_reader_free(struct queue_reader *q);

/* Adds the groups of b into a (several servers in one view). */
void queue_groups_merge(struct queue_groups *a, const struct queue_groups *b);

/* A diagnosis: the class a reason has by itself, refined by what log lines of the same process and live probes say. */
struct diagnosis {
	char *destination;
	const struct failure *failure;
	enum failure_side side;         /* as seen from both ends: SIDE_PATH when only the mail host meets the failure */
	char *confidence;               /* "high" "medium" "low" */
	struct str evidence;            /* one sentence per line */
	/* whose it is, more exactly: "all-mx" "one-mx" (theirs); "policy" "key" "trust-store" "resolver" "clock" (ours); "stripped"
	 * "blocked" (path); NULL: not known, or nothing is wrong */
	const char *where;
	char *verdict;                  /* one sentence */
	const char *remedies;           /* comma list, what to try first first, as failure.remedies; "" when nothing is wrong */
};
void diagnosis_release(struct diagnosis *d);
struct probe_report;
/* g: the destination's group in the queue, NULL: nothing waits. level: outbound level in force for the destination, may be
 * NULL. from_host may be NULL, from_here may be NULL. */
void diagnose(const char *destination, const struct queue_group *g, const char *level, const struct probe_report *from_host,
        const struct probe_report *from_here, struct diagnosis *out);

/* The same from all that is known. What is NULL or 0 is not known. */
struct attempts_seen;
struct diagnose_facts {
	const char *destination, *server;        /* the mail host's name */
	const struct queue_group *group;
	const char *level;
	const struct probe_report *from_host, *from_here;
	const struct probe_report *others; size_t n_others;      /* from other hosts */
	const struct attempts_seen *log;         /* attempts of the host, newest last */
	int64_t clock_ahead;                     /* of the host's clock before ours, seconds */
	int64_t mail_ahead;                      /* the newest message arrived so long after now: its mail system's clock */
	const char *trouble;                     /* what in the host's own configuration keeps mail from it */
	bool trusts_nobody;                      /* the sending client knows no authority to verify certificates with */
};
void diagnose_facts(const struct diagnose_facts *f, struct diagnosis *out);

/* Would mail at that outbound level ("none" "may" "encrypt" "verify" "secure" "dane" "dane-only") be delivered now, by what a
 * look saw? As smtp(8) decides with its default limits: a server that cannot be talked to is passed over, two are talked to.
 * False also for a level whose demands a look cannot know ("fingerprint") and for NULL. */
bool probe_meets(const struct probe_report *r, const char *level);

#endif
