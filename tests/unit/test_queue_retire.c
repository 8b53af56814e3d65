/* Work-arounds that retire themselves: a table of cases, and random stories in which everything is done that is advised: nothing is
 * tightened while a last look is bad, in any 24 hours there is one change (two only where the second is the way back from the level
 * of before), mail never waits beyond the look that sees it, and what flaps is changed at most once in any 24 hours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/retire.h"

#define T INT64_C(1790000000)
#define H INT64_C(3600)
#define DAY (24 * H)

/* looks: one letter per look of a sender, g good, b bad, u unclear, every EVERY seconds, the last one at T; senders are split by a
 * blank. */
static const struct one {
	const char *what, *looks;
	int64_t every, changed, last_ago;
	enum retire_state state;
	int falls;
	int64_t stuck;
	bool proved;
	enum retire_advice wanted;
} table[] = {
	{ "never looked at", "", H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "bad all the time", "bbbbbbbb", 6 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good, but three times only", "ggg", 12 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good four times within minutes", "gggg", 60, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good four times over a day", "gggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_TRY },
	{ "the same, and one bad before", "bgggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_TRY },
	{ "the last is bad", "ggggggb", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "nobody answered last", "ggggggu", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "one bad among them", "gggbgg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good from both senders", "gggg ggggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_TRY },
	{ "bad from one of two", "gggg gggb", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "bad from one of three", "ggggg gggg bbbb", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "one of two has not looked often", "gggg gg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good, but long ago", "gggg", 8 * H, -30 * DAY, 4 * H, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good, but made less than a day ago", "gggg", 8 * H, -20 * H, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good, and still mail waits because of TLS", "gggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 2, false, RETIRE_KEEP },
	{ "after a fall a day is too short", "gggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 1, 0, false, RETIRE_KEEP },
	{ "after a fall two days do", "ggggggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 1, 0, false, RETIRE_TRY },
	{ "after nine falls sixteen days do", "ggggggggggggggggg", 24 * H, -60 * DAY, 0, RETIRE_OPEN, 9, 0, false, RETIRE_TRY },
	{ "on trial, the good looks of before do not count", "ggggggg", 8 * H, -20 * H, 0, RETIRE_TRIAL, 0, 0, false, RETIRE_KEEP },
	{ "on trial, a day of good looks", "gggg", 8 * H, -24 * H, 0, RETIRE_TRIAL, 0, 0, false, RETIRE_TIGHTEN },
	{ "on trial, bad from one of two", "gggg gggb", 8 * H, -30 * H, 0, RETIRE_TRIAL, 0, 0, false, RETIRE_KEEP },
	{ "on trial it is bad, and mail goes on", "ggggb", 8 * H, -30 * DAY, 0, RETIRE_TRIAL, 0, 0, false, RETIRE_KEEP },
	{ "on trial it is bad, and mail is late", "ggggb", 8 * H, -2 * DAY, 0, RETIRE_TRIAL, 0, 1, false, RETIRE_COME_BACK },
	{ "the same within a day of the change", "ggggb", 8 * H, -20 * H, 0, RETIRE_TRIAL, 0, 1, false, RETIRE_KEEP },
	{ "on trial, good, and mail is late", "gggg", 8 * H, -2 * DAY, 0, RETIRE_TRIAL, 0, 1, false, RETIRE_KEEP },
	{ "ended, no mail yet", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 0, false, RETIRE_KEEP },
	{ "ended, mail waits", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 3, false, RETIRE_COME_BACK },
	{ "ended, mail left and more waits", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 1, true, RETIRE_COME_BACK },
	{ "ended, a look is bad before any mail", "ggggb", 8 * H, -H, 0, RETIRE_PROVING, 0, 0, false, RETIRE_COME_BACK },
	{ "ended, and nobody answers", "ggggu", 8 * H, -H, 0, RETIRE_PROVING, 0, 0, false, RETIRE_KEEP },
	{ "ended, mail left just now", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 0, true, RETIRE_KEEP },
	{ "ended, mail left, a day ago", "gggg", 8 * H, -DAY, 0, RETIRE_PROVING, 0, 0, true, RETIRE_DONE },
	{ "ended, no mail in two weeks", "gggg", 8 * H, -15 * DAY, 0, RETIRE_PROVING, 0, 0, false, RETIRE_DONE },
	{ "over", "bbbb", 8 * H, -15 * DAY, 0, RETIRE_ENDED, 0, 5, false, RETIRE_KEEP },
};

static enum retire_saw
saw_of(char letter)
{
	return letter == 'g' ? RETIRE_GOOD : letter == 'b' ? RETIRE_BAD : RETIRE_UNCLEAR;
}

/* The looks are noted as of one that is open: what a trial makes of them is tried below. */
static void
look_all(const struct one *o, struct retire *r)
{
	const char *at = o->looks;
	size_t len;

	r->n = *at == '\0';
	for (; *at != '\0'; at += len + (at[len] == ' '), r->n++) {
		len = strcspn(at, " ");
		for (size_t i = 0; i < len; i++)
			retire_look(r, r->n, saw_of(at[i]), 0, T - o->last_ago - (int64_t)(len - 1 - i) * o->every);
	}
	r->v[0].stuck = o->stuck;
	r->state = o->state;
	r->falls = o->falls;
}

static void
every_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct one *o = &table[i];
		struct retire_sender v[4] = { { 0 } };
		struct retire r = { .since = T - 40 * DAY, .changed_at = T + o->changed, .proved = o->proved, .v = v };
		struct str why = STR_INIT;

		look_all(o, &r);
		if (retire_next(&r, T) != o->wanted)
			fail_msg("%s: %s, not %s", o->what, retire_advice_name(retire_next(&r, T)), retire_advice_name(o->wanted));
		retire_why(&r, T, &why);
		assert_true(why.len > 0);
		/* what no push carried there has not happened: nothing follows from it, but for the way back */
		r.unpushed = true;
		if (retire_next(&r, T) != RETIRE_KEEP && (r.state != RETIRE_PROVING || o->wanted != RETIRE_COME_BACK))
			fail_msg("%s, not pushed: %s", o->what, retire_advice_name(retire_next(&r, T)));
		str_reset(&why);
		retire_why(&r, T, &why);
		assert_true(r.state == RETIRE_ENDED || strstr(why.s, "waits for a push") != NULL);
		str_release(&why);
	}
}

static void
falls_are_counted(void **state)
{
	struct retire_sender v[2] = { { 0 } };
	struct retire r = { .state = RETIRE_TRIAL, .changed_at = T, .v = v, .n = 2 };

	(void)state;
	retire_look(&r, 0, RETIRE_BAD, 0, T + H);
	retire_look(&r, 1, RETIRE_BAD, 0, T + H);
	retire_look(&r, 0, RETIRE_BAD, 0, T + 2 * H);
	assert_int_equal(r.falls, 1);            /* one fall, whoever sees it */
	retire_look(&r, 0, RETIRE_GOOD, 0, T + 3 * H);
	retire_look(&r, 0, RETIRE_BAD, 0, T + 4 * H);
	assert_int_equal(r.falls, 1);            /* the other one has never seen it good again */
	retire_look(&r, 0, RETIRE_GOOD, 0, T + 5 * H);
	retire_look(&r, 1, RETIRE_GOOD, 0, T + 5 * H);
	retire_look(&r, 1, RETIRE_BAD, 3, T + 6 * H);
	assert_int_equal(r.falls, 2);
	retire_become(&r, RETIRE_OPEN, T + 30 * H);
	assert_int_equal(r.falls, 2);            /* counted when it was seen */
	assert_int_equal(v[1].stuck, 0);
	r.state = RETIRE_PROVING;
	retire_become(&r, RETIRE_OPEN, T + 60 * H);
	assert_int_equal(r.falls, 3);
	for (int s = RETIRE_OPEN; s <= RETIRE_ENDED; s++)
		assert_int_equal(retire_state_of(retire_state_name((enum retire_state)s)), s);
	assert_int_equal(retire_state_of(NULL), RETIRE_ENDED);
}

static void
dates_and_use(void **state)
{
	struct retire_sender v = { .last_at = T, .bad = true };
	struct retire r = { .state = RETIRE_OPEN, .since = T - 40 * DAY, .changed_at = T - 40 * DAY, .review_at = T - 1, .v = &v, .n = 1 };
	struct str why = STR_INIT;

	(void)state;
	assert_true(retire_overdue(&r, T));
	assert_int_equal(retire_next(&r, T), RETIRE_KEEP);       /* the day has come, and mail goes on */
	assert_false(retire_unused(&r, T));                      /* nobody has read the log */
	r.log_at = T - H;
	assert_true(retire_unused(&r, T));
	r.used_at = T - 3 * DAY;
	assert_false(retire_unused(&r, T));
	r.review_at = 0;
	assert_false(retire_overdue(&r, T));
	retire_why(&r, T, &why);
	assert_string_equal(why.s, "the other side still cannot do it");
	str_release(&why);
}

/* --- stories --- */

static uint64_t seed;

static unsigned
chance(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

/* The changes of one story, and what holds for them. */
struct changes { int64_t at[2000]; bool way_back[2000]; size_t n; };

static void
note_change(struct changes *c, const struct retire *r, enum retire_advice a, int64_t now)
{
	bool way_back = r->state == RETIRE_PROVING && a == RETIRE_COME_BACK;
	size_t i, within = 1;

	if (a == RETIRE_KEEP || a == RETIRE_DONE)
		return;
	assert_true(c->n < 2000);
	for (i = c->n; i-- > 0 && now - c->at[i] < DAY;)
		within++;
	assert_true(within == 1 || (within == 2 && way_back));           /* never three, two only by the way back ... */
	assert_true(!way_back || !c->way_back[c->n - 1]);                /* ... of which each tightening has one */
	c->at[c->n] = now;
	c->way_back[c->n++] = way_back;
}

/* A destination that changes its mind at random; everything is done that is advised, mail comes now and then. */
static void
one_story(unsigned number)
{
	struct retire_sender v[3] = { { 0 } };
	size_t n = 1 + number % 3;
	struct retire r = { .state = RETIRE_OPEN, .since = T, .changed_at = T, .v = v, .n = n };
	static struct changes c;
	int64_t now = T, last_bad = 0;
	unsigned mood = 5 + number * 7 % 120;    /* looks until it may change its mind */
	bool able = false, was[3] = { false };

	seed = number * 7919u + 17;
	c.n = 0;
	for (int step = 0; step < 600; step++) {
		int64_t before = r.falls;

		now += 60 + chance(12 * 3600);
		if (chance(mood) == 0)
			able = !able;
		for (size_t i = 0; i < n; i++)
			if (chance(4) != 0) {            /* a host that cannot be reached looks another time */
				bool answers = chance(50) != 0;
				/* at the level of before what is not able waits; on trial a handshake that breaks may */
				int64_t stuck = able ? 0 : r.state == RETIRE_PROVING ? chance(3) : r.state == RETIRE_TRIAL ? chance(2) : 0;

				was[i] = able && answers;
				last_bad = answers && !able ? now : last_bad;
				retire_look(&r, i, !answers ? RETIRE_UNCLEAR : able ? RETIRE_GOOD : RETIRE_BAD, stuck, now);
			}
		assert_true(r.falls - before <= 1);
		if (r.state == RETIRE_PROVING && chance(3) == 0)
			r.proved = able;
		enum retire_advice a = retire_next(&r, now);

		note_change(&c, &r, a, now);
		if (a == RETIRE_TRY || a == RETIRE_TIGHTEN) {
			for (size_t i = 0; i < n; i++)
				assert_true(was[i] && v[i].stuck == 0);
			assert_true(now - last_bad >= (a == RETIRE_TIGHTEN ? 2 : 1) * DAY);
		}
		assert_true(a != RETIRE_TRY || r.state == RETIRE_OPEN);
		assert_true(a != RETIRE_TIGHTEN || r.state == RETIRE_TRIAL);     /* never past a trial */
		if (a == RETIRE_DONE)
			return;
		if (a != RETIRE_KEEP)
			retire_become(&r, retire_after(&r, a), now);
		for (size_t i = 0; i < n; i++)                                   /* no outage outlives the look that sees it */
			assert_true(r.state != RETIRE_PROVING || (v[i].stuck == 0 && !v[i].bad));
	}
}

static void
thousand_stories(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		one_story(i);
}

/* One that never does TLS for two whole days, for a year, looked at every hour by one to three senders, of which one may hang: at
 * most one change in any 24 hours, the way back is never needed, and mail never waits. */
static void
one_that_flaps(unsigned number)
{
	struct retire_sender v[3] = { { 0 } };
	struct retire r = { .state = RETIRE_OPEN, .since = T, .changed_at = T, .v = v, .n = 1 + number % 3 };
	static struct changes c;
	int64_t now, turns = T;
	bool able = false;

	seed = number * 104729u + 3;
	c.n = 0;
	for (now = T; now < T + 365 * DAY; now += H) {
		if (now >= turns) {
			able = !able;
			turns = now + H + chance(able ? 46 * 3600 : 90 * 3600);
		}
		for (size_t i = 0; i < r.n; i++)
			retire_look(&r, i, able ? RETIRE_GOOD : RETIRE_BAD, able || r.state != RETIRE_TRIAL ? 0 : chance(2), now);
		enum retire_advice a = retire_next(&r, now);

		note_change(&c, &r, a, now);
		if (a != RETIRE_KEEP)
			retire_become(&r, retire_after(&r, a), now);
		assert_true(r.state == RETIRE_OPEN || r.state == RETIRE_TRIAL);
		assert_true(c.n == 0 || !c.way_back[c.n - 1]);
	}
	assert_true(c.n <= 12);                      /* it is trusted for longer and longer stretches only, which it has not */
}

static void
hundred_that_flap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		one_that_flaps(i);
}

/* A destination that heals for good gets there: two days of looks, and then a day until its first mail is believed. */
static void
one_that_heals(void **state)
{
	struct retire_sender v = { 0 };
	struct retire r = { .state = RETIRE_OPEN, .since = T, .changed_at = T, .v = &v, .n = 1 };
	int64_t now;

	(void)state;
	for (now = T; now < T + 30 * DAY && r.state != RETIRE_ENDED; now += H) {
		retire_look(&r, 0, now < T + 3 * DAY ? RETIRE_BAD : RETIRE_GOOD, 0, now);
		r.proved = r.state == RETIRE_PROVING;
		enum retire_advice a = retire_next(&r, now);

		if (a != RETIRE_KEEP)
			retire_become(&r, retire_after(&r, a), now);
	}
	assert_int_equal(r.state, RETIRE_ENDED);
	assert_true(now <= T + 6 * DAY + 4 * H);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case), cmocka_unit_test(falls_are_counted), cmocka_unit_test(dates_and_use),
		cmocka_unit_test(thousand_stories), cmocka_unit_test(hundred_that_flap), cmocka_unit_test(one_that_heals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
