/* Long work that comes again and again on the thread that draws (a list made anew when the store changed): short work is done
 * at once, long work takes at most one part in SHARE of the time (app_has_time also keeps it from between keys). */
#ifndef TUI_CONSOLE_SHARE_H
#define TUI_CONSOLE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARE 100
#define SHARE_SHORT_MS 4
#define SHARE_FEW 50             /* servers, groups: it is short, whatever the machine does just now */

struct share { int64_t began_ms, ended_ms, took_ms; size_t items; };

void share_begin(struct share *s);
void share_end(struct share *s, size_t items);
bool share_is_short(const struct share *s);          /* it was, the last time */
bool share_due(const struct share *s);               /* enough of the time went by since */

#endif
