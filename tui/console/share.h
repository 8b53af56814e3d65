/* Long work that comes again and again on the thread that draws (a list made anew when the store changed). It is done in slices of
 * SLICE_MS between two looks at the keyboard (view_ops.idle), so that no key waits for it, and it takes at most one part in SHARE
 * of the time. Of few things it is short, and done at once. */
#ifndef TUI_CONSOLE_SHARE_H
#define TUI_CONSOLE_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARE 10
#define SLICE_MS 2
#define SHARE_FEW 50             /* servers, groups: it is short, whatever the machine does just now */

struct share { int64_t since_ms, spent_ms, took_ms, ended_ms; size_t items; };

void share_begin(struct share *s);
void share_rest(struct share *s);                    /* a slice is over ... */
void share_go_on(struct share *s);                   /* ... and the next one begins */
void share_end(struct share *s, size_t items);
bool share_few(const struct share *s);               /* it was of few things, the last time */
bool share_due(const struct share *s);               /* enough of the time went by since */

#endif
