/* Places for looks at many hosts, see the header. */
#include "mxseal/places.h"

#define SLOW_MS 1000

void
places_take(struct places *p, int64_t ms)
{
	*(ms < SLOW_MS ? &p->fresh : &p->slow) += 1;
}

bool
places_free(const struct places *p, size_t at_once)
{
	return p->fresh < at_once && p->fresh + p->slow < PLACES_MAX;
}
