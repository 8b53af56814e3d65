/* The log file of the program, never the screen: $XDG_STATE_HOME/mxseal/log, opened at the first line, 0600. Lines are
 * cleaned; secrets never come here. Off until log_open. Safe from any thread (one write per line). */
#ifndef MXSEAL_LOG_H
#define MXSEAL_LOG_H

#include "mxseal/err.h"

int  log_open(const char *path, struct err *e);   /* NULL: the default path */
void log_line(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_close(void);

#endif
