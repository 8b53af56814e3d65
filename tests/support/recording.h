/* Readings of real hosts kept as files: what the commands of a driver answered. A file has for each command a line
 * "#+ NAME STATUS BYTES", the bytes and a newline. */
#ifndef MXSEAL_TEST_RECORDING_H
#define MXSEAL_TEST_RECORDING_H

#include "mxseal/host.h"
#include "mxseal/mailsys.h"

/* Loads a recording; ends the test when it is not there. */
void recording_load(const char *path, struct sections *out);
void recording_save(const char *path, const struct sections *s);
/* Makes one: runs the driver's commands, with the words of prefix in front ("lab exec mx1"; "" runs them here). */
int  recording_make(const struct mailsys *m, const char *prefix, struct sections *out, struct err *e);
/* The same of the rounds in which ways and dead rows are found out. Files over 64 KB are kept empty. */
int  recording_ways(const struct mailsys *m, const char *prefix, const struct way_ask *asks, size_t n, struct sections *out,
        struct err *e);
/* Replaces or adds one section: for tests of what a host could also answer. */
void recording_set(struct sections *s, const char *name, int status, const char *text);

#endif
