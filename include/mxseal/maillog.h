/* Who brought and who took mail with and without TLS, from the mail log of a Postfix host: "TLS connection established" and
 * "client=" of one smtpd(8), "TLS connection established" and "status=sent" of one smtp(8). Text of a stranger: lines that are
 * not understood are passed over, every table has a ceiling. */
#ifndef MXSEAL_MAILLOG_H
#define MXSEAL_MAILLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/failure.h"
#include "mxseal/err.h"
#include "mxseal/model.h"

#define MAILLOG_OTHERS "(others)"            /* peers beyond the ceiling, together */

struct maillog;

/* now: until a line "-- now EPOCH YEAR MONTH DAY HOUR MINUTE SECOND" (the host's own clock) says better. Only what was in the
 * last days before that counts; 0: all. A log of any length takes the same memory (core/maillog/tables.c). */
struct maillog *maillog_new(int64_t now, int days);
void maillog_free(struct maillog *m);
/* Pieces of a log, cut anywhere. */
void maillog_feed(struct maillog *m, const char *mem, size_t len);
/* A file of this machine, packed by gzip or not. RC_NOTFOUND: it cannot be read. RC_PARSE: it is damaged, or packed otherwise. */
int  maillog_file(struct maillog *m, const char *path, struct err *e);
/* Pieces of what a host's script sends (mailsys, traffic): lines, from "-- packed" on packed by gzip. RC_PARSE: that is damaged. */
int  maillog_host(struct maillog *m, const char *mem, size_t len, struct err *e);
/* ... and that was all of it. RC_PARSE: it is cut off. */
int  maillog_host_end(struct maillog *m, struct err *e);

struct maillog_figures {
	struct traffic_list traffic;         /* most messages without TLS first */
	int64_t first_at, last_at;           /* of the lines that counted; 0: none */
	bool cut;                            /* not all of it was read */
	char *missing;                       /* what is not in the figures, or not as finely: sentences, one a line; NULL: nothing */
	bool tls_seen;                       /* some line told of TLS: the log is deep enough */
	/* what took mail in, "postfix/submission/smtpd", and the first sign of a client's TLS there, 0: none */
	struct maillog_service { char *name; int64_t tls_at; } *services;
	size_t n_services;
	int64_t bytes;                       /* as they were looked at, unpacked */
	int64_t sent, deferred, bounced;     /* lines of deliveries to other hosts: one for each recipient of each attempt */
};
/* What came out of it; ends the last line. Contents are yours. */
void maillog_figures(struct maillog *m, struct maillog_figures *out);
void maillog_figures_release(struct maillog_figures *f);
/* Who brought mail by one service, NULL: by any of them; one row for each client, most messages without TLS first. Contents are yours. */
void traffic_came_by(const struct traffic_list *all, const char *service, struct traffic_list *out);
/* When a client first had TLS there, 0: the log tells of none. */
int64_t traffic_tls_since(const struct maillog_figures *f, const char *service);

/* --- attempts.c: why deliveries to a destination failed, from the lines of the processes that tried --- */
/* The queue says "Server certificate not verified" for expired, wrong name and self-signed alike; what it was is said by an
 * earlier line of the same smtp(8), which names no message. */
struct attempt {
	int64_t at;
	char *id, *relay, *status;           /* "host[address]:port" or "none"; "deferred", "bounced" ... */
	char *reason;                        /* of the delivery's own line */
	const struct failure *failure;       /* by all its lines */
	char *line;                          /* the one that decided, without stamp and program; as received */
	bool joined;                         /* another line than the delivery's own decided */
};
/* One that went well. */
struct delivery {
	int64_t at;                          /* by the host's clock */
	char *relay;                         /* "host[address]:port" */
	char *tls;                           /* "Trusted, TLSv1.3 with cipher ..."; NULL: no line of its session tells of TLS */
};
struct attempts_seen {
	struct attempt *v; size_t n;         /* oldest first, of the destination that was asked for */
	int64_t first_at;                    /* first failure since the last success, 0: none */
	int64_t sent_at;                     /* last success, 0: none seen */
	int64_t clock;                       /* the host's, when it began to read; 0: it did not say */
	struct delivery *sent; size_t n_sent;   /* the newest, oldest first */
	bool tls_logged;                     /* TLS sessions stand in the log */
};
void attempts_seen_release(struct attempts_seen *s);
#define ATTEMPTS_BYTES (32u * 1024 * 1024)   /* of the log that the host looks through */

struct attempts;
/* domain: whose recipients count, NULL: all. now: until the host's own clock is read. */
struct attempts *attempts_new(const char *domain, int64_t now);
void attempts_feed(struct attempts *a, const char *mem, size_t len);     /* pieces, cut anywhere; never fails */
void attempts_end(struct attempts *a, struct attempts_seen *out);        /* contents are yours */
void attempts_free(struct attempts *a);

#endif
