/* See share.h. */
#include "mxseal/when.h"
#include "tui/console/share.h"

void
share_begin(struct share *s)
{
	s->spent_ms = 0;
	share_go_on(s);
}

void
share_go_on(struct share *s)
{
	s->since_ms = when_monotonic_ms();
}

void
share_rest(struct share *s)
{
	s->spent_ms += when_monotonic_ms() - s->since_ms;
}

void
share_end(struct share *s, size_t items)
{
	share_rest(s);
	s->items = items;
	s->took_ms = s->spent_ms;
	s->ended_ms = when_monotonic_ms();
}

bool
share_few(const struct share *s)
{
	return s->items <= SHARE_FEW;
}

bool
share_due(const struct share *s)
{
	return share_few(s) || when_monotonic_ms() - s->ended_ms >= SHARE * s->took_ms;
}
