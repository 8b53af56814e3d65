/* What the files of this folder share: the host's clock, by which stamps without a year are read. */
#ifndef MXSEAL_MAILLOG_PRIVATE_H
#define MXSEAL_MAILLOG_PRIVATE_H

#include "mxseal/maillog.h"

/* The time that a line begins with; returns what follows, NULL: it begins with none. */
const char *maillog_stamp(const struct maillog *m, const char *line, int64_t *at);
/* What stands behind "-- now ". */
void maillog_clock(struct maillog *m, const char *text);
int64_t maillog_now(const struct maillog *m);

#endif
