/* Work-arounds that retire themselves: what comes next, from what is known. Nothing here looks at a clock, a store or a host. */
#include "mxseal/retire.h"
#include "mxseal/when.h"

const char *
retire_state_name(enum retire_state s)
{
	return s == RETIRE_OPEN ? "open" : s == RETIRE_PROVING ? "proving" : "ended";
}

int64_t
retire_span(const struct retire *r)
{
	int64_t span = RETIRE_SPAN;
	int i;

	for (i = 0; i < r->falls && span < RETIRE_SPAN_MAX; i++)
		span *= 2;
	return span < RETIRE_SPAN_MAX ? span : RETIRE_SPAN_MAX;
}

void
retire_looked(struct retire_sender *s, bool good, int64_t at)
{
	if (!good)
		s->good = 0;
	else if (s->good++ == 0)
		s->good_since = at;
	if (!good)
		s->good_since = 0;
	s->last_at = at;
}

static bool
any_bad(const struct retire *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->v[i].last_at != 0 && r->v[i].good == 0)
			return true;
	return false;
}

/* A clock that was set back makes nothing fresh. */
static bool
is_fresh(const struct retire_sender *s, int64_t now)
{
	return s->last_at != 0 && s->last_at <= now && now - s->last_at <= RETIRE_FRESH;
}

static bool
lasted(const struct retire_sender *s, int64_t span)
{
	return s->good >= RETIRE_LOOKS && s->last_at - s->good_since >= span;
}

static bool
all_good(const struct retire *r, int64_t now)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (!is_fresh(&r->v[i], now) || !lasted(&r->v[i], retire_span(r)))
			return false;
	return r->n > 0;
}

enum retire_advice
retire_next(const struct retire *r, int64_t now)
{
	switch (r->state) {
	case RETIRE_OPEN:
		return now - r->changed_at >= RETIRE_REST && all_good(r, now) ? RETIRE_TIGHTEN : RETIRE_KEEP;
	case RETIRE_PROVING:
		if (r->stuck > 0 || any_bad(r))
			return RETIRE_COME_BACK;
		return r->proved || now - r->changed_at > RETIRE_WATCH ? RETIRE_DONE : RETIRE_KEEP;
	case RETIRE_ENDED:
		break;
	}
	return RETIRE_KEEP;
}

bool
retire_overdue(const struct retire *r, int64_t now)
{
	return r->state == RETIRE_OPEN && r->review_at != 0 && r->review_at < now;
}

bool
retire_unused(const struct retire *r, int64_t now)
{
	int64_t used = r->used_at > r->since ? r->used_at : r->since;

	return r->state == RETIRE_OPEN && r->log_at != 0 && now - r->log_at < RETIRE_UNUSED && now - used > RETIRE_UNUSED;
}

void
retire_why(const struct retire *r, int64_t now, struct str *out)
{
	int64_t span = retire_span(r), since = 0;
	int least = r->n > 0 ? r->v[0].good : 0;
	char ago[16];
	size_t i;

	for (i = 0; i < r->n; i++) {
		least = r->v[i].good < least ? r->v[i].good : least;
		since = r->v[i].good_since > since ? r->v[i].good_since : since;
	}
	when_ago(ago, span);
	if (r->state == RETIRE_ENDED)
		str_add(out, "it is over");
	else if (r->state == RETIRE_PROVING)
		str_add(out, r->stuck > 0 ? "it was ended and mail waits because of TLS" : any_bad(r) ? "it was ended and the other side cannot "
		    "do TLS again" : r->proved ? "it was ended and mail leaves with TLS" : "it was ended; the first mail is waited for");
	else if (any_bad(r))
		str_add(out, "the other side still cannot do it");
	else if (least < RETIRE_LOOKS || since == 0)
		str_addf(out, "%d of %d good looks in a row", least, RETIRE_LOOKS);
	else if (!all_good(r, now) && now - since < span)
		str_addf(out, "good looks have to last %s", ago);
	else if (!all_good(r, now))
		str_add(out, "the newest look is old");
	else if (now - r->changed_at < RETIRE_REST)
		str_add(out, "it was changed within the last day");
	else
		str_addf(out, "%d good looks in a row from %zu sender%s", least, r->n, r->n == 1 ? "" : "s");
}
