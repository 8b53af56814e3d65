/* Work-arounds that retire themselves: what comes next, from what is known. Nothing here looks at a clock, a store or a host. */
#include "mxseal/retire.h"

#include <string.h>

#include "mxseal/when.h"

static const char *const states[] = { "open", "trial", "proving", "ended" };

const char *
retire_state_name(enum retire_state s)
{
	return states[s];
}

enum retire_state
retire_state_of(const char *name)
{
	int s;

	for (s = RETIRE_OPEN; s < RETIRE_ENDED && (name == NULL || strcmp(states[s], name) != 0); s++)
		;
	return (enum retire_state)s;
}

const char *
retire_advice_name(enum retire_advice a)
{
	static const char *const names[] = { "keep", "try", "tighten", "come-back", "done" };

	return names[a];
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

static bool
any_bad(const struct retire *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->v[i].bad)
			return true;
	return false;
}

static int64_t
all_stuck(const struct retire *r)
{
	int64_t stuck = 0;
	size_t i;

	for (i = 0; i < r->n; i++)
		stuck += r->v[i].stuck;
	return stuck;
}

void
retire_look(struct retire *r, size_t i, enum retire_saw saw, int64_t stuck, int64_t now)
{
	struct retire_sender *s = &r->v[i];

	if (r->state == RETIRE_TRIAL && saw == RETIRE_BAD && !any_bad(r))
		r->falls++;
	if (saw != RETIRE_GOOD)
		s->good = 0;
	else if (s->good++ == 0)
		s->good_since = now;
	if (s->good == 0)
		s->good_since = 0;
	s->bad = saw == RETIRE_BAD;
	s->stuck = stuck;
	s->last_at = now;
}

void
retire_become(struct retire *r, enum retire_state to, int64_t now)
{
	size_t i;

	if (r->state == RETIRE_PROVING && to == RETIRE_OPEN)
		r->falls++;                      /* on trial it was counted when it was seen */
	r->state = to;
	r->changed_at = now;
	r->proved = r->in_clear = false;
	for (i = 0; i < r->n; i++)
		r->v[i].stuck = 0;
}

/* A clock that was set back makes nothing fresh. */
static bool
is_fresh(const struct retire_sender *s, int64_t now)
{
	return s->last_at != 0 && s->last_at <= now && now - s->last_at <= RETIRE_FRESH;
}

/* On trial it begins anew. */
static int64_t
good_from(const struct retire *r, const struct retire_sender *s)
{
	return r->state == RETIRE_TRIAL && s->good_since < r->changed_at ? r->changed_at : s->good_since;
}

static bool
lasted(const struct retire *r, const struct retire_sender *s)
{
	return s->good >= RETIRE_LOOKS && s->last_at - good_from(r, s) >= retire_span(r);
}

static bool
all_lasted(const struct retire *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (!lasted(r, &r->v[i]))
			return false;
	return r->n > 0;
}

static bool
all_good(const struct retire *r, int64_t now)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (!is_fresh(&r->v[i], now))
			return false;
	return all_lasted(r) && all_stuck(r) == 0;
}

enum retire_advice
retire_next(const struct retire *r, int64_t now)
{
	bool rested = now - r->changed_at >= RETIRE_REST && !r->unpushed;

	switch (r->state) {
	case RETIRE_OPEN:
		return rested && all_good(r, now) ? RETIRE_TRY : RETIRE_KEEP;
	case RETIRE_TRIAL:
		if (rested && any_bad(r) && all_stuck(r) > 0)
			return RETIRE_COME_BACK;         /* a handshake that breaks costs each message its first try */
		return rested && all_good(r, now) ? RETIRE_TIGHTEN : RETIRE_KEEP;
	case RETIRE_PROVING:
		if (any_bad(r) || all_stuck(r) > 0)
			return RETIRE_COME_BACK;
		return !r->in_clear && !r->unpushed && ((r->proved && rested) || now - r->changed_at > RETIRE_WATCH) ? RETIRE_DONE : RETIRE_KEEP;
	case RETIRE_ENDED:
		break;
	}
	return RETIRE_KEEP;
}

enum retire_state
retire_after(const struct retire *r, enum retire_advice a)
{
	switch (a) {
	case RETIRE_TRY: return RETIRE_TRIAL;
	case RETIRE_TIGHTEN: return RETIRE_PROVING;
	case RETIRE_COME_BACK: return RETIRE_OPEN;
	case RETIRE_DONE: return RETIRE_ENDED;
	case RETIRE_KEEP: break;
	}
	return r->state;
}

bool
retire_overdue(const struct retire *r, int64_t now)
{
	return (r->state == RETIRE_OPEN || r->state == RETIRE_TRIAL) && r->review_at != 0 && r->review_at < now;
}

bool
retire_unused(const struct retire *r, int64_t now)
{
	int64_t used = r->used_at > r->since ? r->used_at : r->since;

	return (r->state == RETIRE_OPEN || r->state == RETIRE_TRIAL) && r->log_at != 0 && now - r->log_at < RETIRE_UNUSED &&
	    now - used > RETIRE_UNUSED;
}

/* What the looks say, of one that is open or on trial. */
static void
looks_say(const struct retire *r, int64_t now, struct str *out)
{
	int least = r->n > 0 ? r->v[0].good : 0;
	char span[16];
	size_t i;

	for (i = 0; i < r->n; i++)
		least = r->v[i].good < least ? r->v[i].good : least;
	when_ago(span, retire_span(r));
	if (any_bad(r))
		str_add(out, r->state == RETIRE_TRIAL ? "the other side cannot do it just now; mail goes on without" : "the other side still cannot do it");
	else if (least < RETIRE_LOOKS)
		str_addf(out, "%d of %d good looks in a row", least, RETIRE_LOOKS);
	else if (!all_lasted(r))
		str_addf(out, "good looks have to last %s", span);
	else if (!all_good(r, now))
		str_add(out, all_stuck(r) > 0 ? "the looks are good, and still mail waits because of TLS" : "the newest look is old");
	else if (now - r->changed_at < RETIRE_REST)
		str_add(out, "it was changed within the last day");
	else
		str_addf(out, "%d good looks in a row from %zu sender%s", least, r->n, r->n == 1 ? "" : "s");
}

void
retire_why(const struct retire *r, int64_t now, struct str *out)
{
	if (r->unpushed && r->state != RETIRE_ENDED) {
		str_add(out, "waits for a push: nothing has changed on the host yet");
		return;
	}
	switch (r->state) {
	case RETIRE_ENDED:
		str_add(out, "it is over");
		return;
	case RETIRE_PROVING:
		str_add(out, all_stuck(r) > 0 ? "it was ended and mail waits because of TLS" : any_bad(r) ? "it was ended and the other side cannot "
		    "do TLS again" : r->in_clear ? "it was ended, and mail still leaves without TLS: another rule decides" : r->proved ? "it was ended and mail leaves with TLS" : "it was ended; the first mail is waited for");
		return;
	case RETIRE_TRIAL:
		str_add(out, "on trial, TLS where it is offered: ");
		break;
	case RETIRE_OPEN:
		break;
	}
	looks_say(r, now, out);
}
