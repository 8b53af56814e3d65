/* What the files of this folder share: lines out of pieces, the host's clock by which stamps without a year are read, and the
 * tables of maillog.c, each with its ceiling. */
#ifndef MXSEAL_MAILLOG_PRIVATE_H
#define MXSEAL_MAILLOG_PRIVATE_H

#include "mxseal/maillog.h"

/* --- lines.c --- */
#define LOG_LINE_MAX 8191            /* bytes; a longer line is passed over */
#define LOG_PIECE 65536
struct log_lines {
	char mem[LOG_LINE_MAX + 1 + LOG_PIECE];
	size_t have;                 /* bytes of a line that is not whole yet */
	bool skip;                   /* the rest of a line that is too long */
	int64_t too_long;
};
typedef void log_line_fn(void *arg, const char *line, size_t len);
/* Calls fn for each whole line of a log that comes in pieces, cut anywhere; bytes of 0 in it are '?'. */
void log_lines_feed(struct log_lines *l, const char *mem, size_t len, log_line_fn *fn, void *arg);

/* "STAMP HOST postfix/smtpd[123]: text"; in a line that ends with 0. */
struct log_line {
	const char *program; size_t n;           /* "postfix/smtpd[123]" */
	const char *daemon; size_t n_daemon;     /* "smtpd" */
	const char *text, *end;
};
bool log_line_parse(const char *line, size_t len, struct log_line *out);
/* What follows the queue id that a text of a daemon begins with; NULL: it begins with none. */
const char *log_queue_id(const char *text, size_t *n);

/* --- clock.c --- */
struct log_clock { int64_t now, civil; int year; };      /* civil: what its clock shows at now, as if that were UTC */
void log_clock_utc(struct log_clock *c, int64_t now);
/* What stands behind "-- now "; false: no time. */
bool log_clock_hear(struct log_clock *c, const char *text);
/* The time that a line begins with; false: it begins with none. */
bool log_stamp(const struct log_clock *c, const char *line, size_t len, int64_t *at);

/* --- tables.c --- */
#define SESSIONS_SETS 8192           /* of SESSIONS_WAYS processes; of more, the one that was silent longest is forgotten */
#define SESSIONS_WAYS 8
#define PEERS_MAX 50000              /* then half of them, those with the fewest messages, become one: MAILLOG_OTHERS */
#define PEERS_BUCKETS 16384
#define SERVICES_MAX 64              /* that are told apart; the others are one: MAILLOG_OTHERS */
#define PAIRS_MAX (1u << 21)         /* places of a table of messages; there are two */

struct peer {
	struct peer *next;
	bool in;
	unsigned service;            /* of a client: place in tables.services */
	char *name;
	int64_t messages, clear, unnamed, failed, waiting, last_at;
	int oldest, newest;          /* rank of a version, -1 none */
};

/* What a process is at. smtp(8) names the queue id only when it has delivered, so the first delivery after the line about
 * TLS is the one it belongs to. Keys are hashes. */
struct session {
	uint64_t key, used;          /* key 0: nobody */
	uint64_t relay;              /* smtp: whom the TLS line was about, 0 none */
	uint64_t id;                 /* smtp: the delivery that used it, 0 none */
	struct peer *peer;           /* smtpd: who brought ... */
	int64_t clear;               /* ... so many messages with no line about TLS before */
	int tls;                     /* rank of its version, -1 none */
};

/* Messages by domain, as hashes, and what became of them: the lowest bit of a place says that it has got there. When a table is
 * full it becomes the elder one, and of the one before only those are kept on that have not got there. */
#define PAIR_DONE UINT64_C(1)
struct fates { uint64_t *young, *elder; size_t n, places; bool lost; };

/* What takes mail in, "postfix/submission/smtpd". */
struct service { char *name; int64_t tls_at; };

struct tables {
	struct service services[SERVICES_MAX + 1];
	unsigned n_services;
	struct session sessions[SESSIONS_SETS][SESSIONS_WAYS];
	uint64_t tick;
	struct peer *peers[PEERS_BUCKETS];
	size_t n_peers;
	bool folded;                 /* some have become one */
	struct fates pairs;
};
uint64_t log_hash(uint64_t h, const char *text, size_t len);     /* never 0; h: 0, or of what stands before */
struct session *session_of(struct tables *t, uint64_t key);
void session_end(struct session *s);
/* The place of a service; the last one is that of all who find no place any more. */
unsigned service_of(struct tables *t, const char *name, size_t len);
/* service: 0 of who takes mail. */
struct peer *peer_of(struct tables *t, bool in, unsigned service, const char *name, size_t len);
/* The place of a message to a domain; fresh: it was not seen before. Good until the next call. */
uint64_t *pair_of(struct fates *p, uint64_t key, bool *fresh);
void tables_release(struct tables *t);

/* --- maillog.c --- */
struct maillog {
	struct log_lines cutter;
	struct log_clock clock;
	int64_t since;               /* epoch */
	int days;
	struct tables tables;
	int64_t bytes, first_at, last_at, recipients[3];
	bool tls_seen;
	int64_t cut;                 /* of a host's log only the newest so many bytes were looked through; 0: all */
	int64_t unread;              /* so many files could not be unpacked there ... */
	char *unread_file;           /* ... the first of them */
	struct z_stream_s *packed;   /* file.c: what a host sends, from "-- packed" on */
	enum { COMING_HEAD, COMING_PLAIN, COMING_PACKED, COMING_OVER } coming;
	char head[128];
	size_t n_head;
};
/* --- file.c --- */
void maillog_unpack_end(struct maillog *m);

#endif
