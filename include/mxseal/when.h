/* Time: seconds since the epoch everywhere; RFC 3339 UTC in JSON; words for people. MXSEAL_NOW (seconds) stops the clock
 * for tests. */
#ifndef MXSEAL_WHEN_H
#define MXSEAL_WHEN_H

#include <stdint.h>
#include "mxseal/err.h"

int64_t when_now(void);
int64_t when_monotonic_ms(void);                     /* never stopped: for deadlines */
void    when_rfc3339(char out[32], int64_t t);       /* "2026-11-23T22:45:00Z" */
void    when_date(char out[16], int64_t t);          /* "2026-11-23" */
void    when_ago(char out[16], int64_t seconds);     /* "14 s" "3 min" "1:39 h" "4 d" */
int     when_parse_date(int64_t *out, const char *text, struct err *e);   /* 2026-12-31 or RFC 3339; end of that day */

#endif
