/* Places for looks at many hosts or domains. Only so many begin at a time; one that is under way for a second counts as slow and
 * stands in a place of its own kind, of which there are many, since waiting costs nothing. So those that answer go on at their
 * pace however many do not. */
#ifndef MXSEAL_PLACES_H
#define MXSEAL_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACES_MAX 96            /* in all; the journey has workers for these and for all else */
#define PLACES_TICK_MS 250       /* how often to ask again while some are under way */

struct places { size_t fresh, slow; };

/* Counts one that is under way for so many ms. */
void places_take(struct places *p, int64_t ms);
/* May another begin, at_once being those that are not slow? */
bool places_free(const struct places *p, size_t at_once);

#endif
