/* Who brought and who took mail with and without TLS, from the mail log of a Postfix host: "TLS connection established" and
 * "client=" of one smtpd(8), "TLS connection established" and "status=sent" of one smtp(8). Text of a stranger: lines that are
 * not understood are passed over, every table has a ceiling. */
#ifndef MXSEAL_MAILLOG_H
#define MXSEAL_MAILLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/model.h"

#define MAILLOG_MAX (64u * 1024 * 1024)      /* bytes that are read; the host stops there */
#define MAILLOG_OTHERS "(others)"            /* peers beyond the ceiling, together */

struct maillog;

/* now: until a line "-- now EPOCH YEAR MONTH DAY HOUR MINUTE SECOND" (the host's own clock) says better. Only what was in the
 * last days before that counts; 0: all. */
struct maillog *maillog_new(int64_t now, int days);
void maillog_free(struct maillog *m);
/* Pieces of a log, cut anywhere. */
void maillog_feed(struct maillog *m, const char *mem, size_t len);
/* A file of this machine, packed by gzip or not, MAILLOG_MAX of it. RC_NOTFOUND: it cannot be read. RC_PARSE: it is damaged. */
int  maillog_file(struct maillog *m, const char *path, struct err *e);

struct maillog_figures {
	struct traffic_list traffic;         /* most messages without TLS first */
	int64_t first_at, last_at;           /* of the lines that counted; 0: none */
	bool cut;                            /* it was longer than MAILLOG_MAX */
	bool tls_seen;                       /* some line told of TLS: the log is deep enough */
};
/* What came out of it; ends the last line. Contents are yours. */
void maillog_figures(struct maillog *m, struct maillog_figures *out);
void maillog_figures_release(struct maillog_figures *f);

#endif
