/* See share.h. */
#include "mxseal/when.h"
#include "tui/console/share.h"

void
share_begin(struct share *s)
{
	s->began_ms = when_monotonic_ms();
}

void
share_end(struct share *s, size_t items)
{
	s->items = items;
	s->ended_ms = when_monotonic_ms();
	s->took_ms = s->ended_ms - s->began_ms;
}

bool
share_is_short(const struct share *s)
{
	return s->items <= SHARE_FEW || s->took_ms <= SHARE_SHORT_MS;
}

bool
share_due(const struct share *s)
{
	return share_is_short(s) || when_monotonic_ms() - s->ended_ms >= SHARE * s->took_ms;
}
