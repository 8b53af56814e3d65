/* Reading a mail queue: a streaming scanner for `postqueue -j` (one JSON object per line, postqueue(1)) that never holds the
 * listing, groups by destination or reason as it goes, and survives garbage, broken UTF-8 and a cut at any byte. */
#ifndef MXSEAL_QUEUE_H
#define MXSEAL_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/failure.h"
#include "mxseal/model.h"
#include "mxseal/str.h"

enum queue_by { QUEUE_BY_DESTINATION, QUEUE_BY_REASON, QUEUE_BY_SENDER, QUEUE_BY_SERVER };
int queue_by_parse(enum queue_by *out, const char *word, struct err *e);

/* Where a message is; what is still on its way to the queue manager (maildrop too) is incoming. */
enum queue_state { QUEUE_ACTIVE, QUEUE_DEFERRED, QUEUE_HOLD, QUEUE_INCOMING, QUEUE_STATES };
extern const char *const queue_state_names[QUEUE_STATES];
enum { QUEUE_AGES = 5 };
extern const struct queue_age { const char *name; int64_t below; } queue_ages[QUEUE_AGES];   /* seconds; the last has no end */

struct queue_group {
	char *key;                       /* domain, folded reason, sender domain, server */
	int64_t messages, recipients, bytes;
	int64_t oldest;                  /* arrival of the oldest, seconds since the epoch */
	int64_t deferred;                /* of the messages: with a reason */
	int64_t states[QUEUE_STATES], ages[QUEUE_AGES];   /* of the messages */
	int64_t next_retry;              /* the earliest next attempt of those that are deferred; 0: not known */
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

/* --- mirror*.c: what is known of a queue, kept between looks ---
 *
 * A full listing costs a host some forty times what the names of its messages cost. So a mirror remembers every message in some
 * sixty bytes, and a look asks for names, then only for what is new, was moved or was tried again. What it then says equals a
 * full listing, which is made the first time, when too much changed, when anything looks odd, and once an hour. */
#define QUEUE_MIRROR_MAX 2000000     /* messages of one host; above that every look is a full listing */

struct queue_mirror;
struct queue_words { char **v; size_t n; };
void queue_words_release(struct queue_words *w);

struct queue_mirror *queue_mirror_new(void);
void queue_mirror_free(struct queue_mirror *m);
/* A look begins. now_ms: our own clock that never goes back. full: as if nothing were known. */
void queue_mirror_begin(struct queue_mirror *m, int64_t now_ms, bool full);
/* 1: words for the host's script (mailsys.queue_look), released by the caller; feed what it says and ask again. 0: the look is
 * over, the mirror is as the queue was. -1: it cannot be had so; RC_LOCKED: another one reads that queue just now. */
int  queue_mirror_ask(struct queue_mirror *m, struct queue_words *out, struct err *e);
/* Any piece of what the host says. Never fails on bad input. -1: over the ceiling, the rest is not wanted. */
int  queue_mirror_feed(struct queue_mirror *m, const char *mem, size_t len);
/* As a reader would have grouped it. out is yours. */
void queue_mirror_groups(struct queue_mirror *m, enum queue_by by, const char *server, struct queue_groups *out);
int64_t queue_mirror_messages(const struct queue_mirror *m);
int64_t queue_mirror_bad_lines(const struct queue_mirror *m);
size_t queue_mirror_bytes(const struct queue_mirror *m);     /* of memory */
/* How the last look was made: how many messages were read anew; full: all of them. */
struct queue_look { bool full; int64_t messages, read, unread; };
void queue_mirror_looked(const struct queue_mirror *m, struct queue_look *out);

/* A set of messages, taken at one moment. A queue id may be given to another message later: that one arrived at another time. */
struct queue_id { char id[24]; int64_t arrival; enum queue_state state; };
struct queue_ids { struct queue_id *v; size_t n; };
void queue_ids_release(struct queue_ids *ids);
/* Those of a group; key NULL: all. */
void queue_mirror_ids(struct queue_mirror *m, enum queue_by by, const char *key, struct queue_ids *out);
/* All messages, once for each destination and reason among their recipients; why is folded, NULL where none was tried. All lent. */
typedef void queue_each_fn(void *arg, const struct queue_id *id, const char *destination, const char *why, const struct failure *f);
void queue_mirror_each(struct queue_mirror *m, queue_each_fn *fn, void *arg);
/* Of a set, those that are still there; the others are counted. */
size_t queue_mirror_still(struct queue_mirror *m, struct queue_ids *ids);
/* A look at single messages of a destination (NULL: any), at most limit, in full words: ask and feed as above, then take. */
void queue_mirror_pick(struct queue_mirror *m, const char *destination, size_t limit);
void queue_mirror_picked(struct queue_mirror *m, struct queue_messages *out);

/* The groups of several servers as one list, a server at a time. end frees it; out NULL: they are not wanted any more. */
struct queue_merge;
struct queue_merge *queue_merge_new(void);
void queue_merge_add(struct queue_merge *m, const struct queue_groups *from);
void queue_merge_end(struct queue_merge *m, struct queue_groups *out);
void queue_groups_merge(struct queue_groups *a, const struct queue_groups *b);          /* of two: into a */

/* --- backing.c: does mail for a destination back up? --- */
/* How many messages at most wait for it on a usual day, from the hours of four weeks: own its cells of an hour, watched those of
 * all mail of the server (in hours that are missing there nobody looked). days: on how many days that rests, 0: only on hours of
 * the first ones. False: nothing is known. */
bool queue_usual(const struct queue_cell_list *own, const struct queue_cell_list *watched, int64_t now, int64_t *usual, int *days);
/* From how many on an alarm begins. */
int64_t queue_too_many(int64_t usual);
/* before: how many waited some ten minutes ago; already: there is an alarm. */
struct queue_now { int64_t now, messages, oldest, before; };
bool queue_backs_up(const struct queue_now *q, int64_t usual, bool already);

/* A diagnosis: the class a reason has by itself, refined by what log lines of the same process and live probes say. */
struct diagnosis {
	char *destination;
	const struct failure *failure;
	enum failure_side side;         /* as seen from both ends: SIDE_PATH when only the mail host meets the failure */
	char *confidence;               /* "high" "medium" "low" */
	struct str evidence;            /* one sentence per line */
	/* whose it is, more exactly: "all-mx" "one-mx" (theirs); "policy" "key" "trust-store" "resolver" "clock" "ipv6" "ipv4" (ours);
	 * "stripped" "blocked" (path); NULL: not known, or nothing is wrong */
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
	bool tls_off;                            /* the trouble is that its trusted authorities cannot be loaded */
	const char *damage;                      /* which of its trusted authorities it cannot read; a sentence a line */
	bool trusts_nobody;                      /* the sending client knows no authority to verify certificates with */
};
void diagnose_facts(const struct diagnose_facts *f, struct diagnosis *out);

/* Would mail at that outbound level ("none" "may" "encrypt" "verify" "secure" "dane" "dane-only") be delivered now, by what a
 * look saw? As smtp(8) decides with its default limits: a server that cannot be talked to is passed over, two are talked to.
 * every: only if each of its addresses takes mail so, whichever it were. False also for a level whose demands a look cannot know
 * ("fingerprint") and for NULL. */
bool probe_meets(const struct probe_report *r, const char *level, bool every);

#endif
