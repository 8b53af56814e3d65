/* Work-arounds that retire themselves: a table of cases, and a thousand random stories, in which nothing is ever tightened while the
 * last look is bad, nor within a day of the change before, and mail never stays stuck. */
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

/* looks: one letter per look of a sender, g good, b bad, every EVERY seconds, the last one at T; senders are split by a blank. */
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
	{ "good four times over a day", "gggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_TIGHTEN },
	{ "the same, and one bad before", "bgggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_TIGHTEN },
	{ "the last is bad", "ggggggb", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "one bad among them", "gggbgg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good from both senders", "gggg ggggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_TIGHTEN },
	{ "bad from one of two", "gggg gggb", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "one of two has not looked often", "gggg gg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good, but long ago", "gggg", 8 * H, -30 * DAY, 4 * H, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "good, but made less than a day ago", "gggg", 8 * H, -20 * H, 0, RETIRE_OPEN, 0, 0, false, RETIRE_KEEP },
	{ "after a fall a day is too short", "gggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 1, 0, false, RETIRE_KEEP },
	{ "after a fall two days do", "ggggggg", 8 * H, -30 * DAY, 0, RETIRE_OPEN, 1, 0, false, RETIRE_TIGHTEN },
	{ "after nine falls sixteen days do", "ggggggggggggggggg", 24 * H, -60 * DAY, 0, RETIRE_OPEN, 9, 0, false, RETIRE_TIGHTEN },
	{ "ended, no mail yet", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 0, false, RETIRE_KEEP },
	{ "ended, mail waits", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 3, false, RETIRE_COME_BACK },
	{ "ended, mail left and more waits", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 1, true, RETIRE_COME_BACK },
	{ "ended, a look is bad before any mail", "ggggb", 8 * H, -H, 0, RETIRE_PROVING, 0, 0, false, RETIRE_COME_BACK },
	{ "ended, mail left", "gggg", 8 * H, -H, 0, RETIRE_PROVING, 0, 0, true, RETIRE_DONE },
	{ "ended, no mail in two weeks", "gggg", 8 * H, -15 * DAY, 0, RETIRE_PROVING, 0, 0, false, RETIRE_DONE },
	{ "over", "bbbb", 8 * H, -15 * DAY, 0, RETIRE_ENDED, 0, 5, false, RETIRE_KEEP },
};

static size_t
senders_of(const struct one *o, struct retire_sender v[4])
{
	const char *at = o->looks;
	size_t n = 0, len;

	memset(v, 0, 4 * sizeof(*v));
	if (*at == '\0')
		return 1;
	for (; *at != '\0'; at += len + (at[len] == ' ')) {
		len = strcspn(at, " ");
		for (size_t i = 0; i < len; i++)
			retire_looked(&v[n], at[i] == 'g', T - o->last_ago - (int64_t)(len - 1 - i) * o->every);
		n++;
	}
	return n;
}

static void
every_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct one *o = &table[i];
		struct retire_sender v[4];
		struct retire r = { .state = o->state, .since = T - 40 * DAY, .changed_at = T + o->changed, .falls = o->falls, .stuck = o->stuck,
		    .proved = o->proved, .v = v };

		r.n = senders_of(o, v);
		if (retire_next(&r, T) != o->wanted)
			fail_msg("%s: %d, not %d", o->what, retire_next(&r, T), o->wanted);
	}
}

static void
dates_and_use(void **state)
{
	struct retire_sender v = { T, T - DAY, 0 };
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

/* A destination that changes its mind at random; everything is done that is advised, mail comes now and then. */
static void
one_story(unsigned number)
{
	struct retire_sender v[3];
	size_t n = 1 + number % 3;
	struct retire r = { .state = RETIRE_OPEN, .since = T, .changed_at = T, .v = v, .n = n };
	int64_t now = T, tightened = 0, opened = T;
	unsigned mood = 5 + chance(120);         /* looks until it may change its mind */
	bool able = false, was[3] = { false };

	seed = number * 7919u + 17;
	memset(v, 0, sizeof(v));
	for (int step = 0; step < 400; step++) {
		now += 60 + chance(12 * 3600);
		if (chance(mood) == 0)
			able = !able;
		for (size_t i = 0; i < n; i++)
			if (chance(4) != 0) {            /* a host that cannot be reached looks another time */
				was[i] = able && chance(50) != 0;
				retire_looked(&v[i], was[i], now);
			}
		if (r.state == RETIRE_PROVING && chance(3) == 0) {
			r.stuck = able ? 0 : 1;
			r.proved = able;
		}
		switch (retire_next(&r, now)) {
		case RETIRE_TIGHTEN:
			for (size_t i = 0; i < n; i++)
				assert_true(was[i]);
			assert_true(now - opened >= DAY);
			assert_true(tightened == 0 || now - tightened >= DAY);
			r.state = RETIRE_PROVING;
			r.changed_at = tightened = now;
			r.proved = false;
			break;
		case RETIRE_COME_BACK:
			r.state = RETIRE_OPEN;
			r.changed_at = opened = now;
			r.stuck = 0;
			r.falls++;
			break;
		case RETIRE_DONE:
			return;
		case RETIRE_KEEP:
			assert_true(r.state != RETIRE_PROVING || r.stuck == 0);    /* nothing waits longer than to the next step */
			break;
		}
		if (r.state != RETIRE_OPEN)
			for (size_t i = 0; i < n; i++)
				assert_true(was[i]);             /* never tight while the last look is bad */
	}
}

static void
thousand_stories(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		one_story(i);
}

/* One that does TLS every second day and the next day not: how often does it change within a day, and at all in a year? */
static void
alternating(void **state)
{
	struct retire_sender v = { 0, 0, 0 };
	struct retire r = { .state = RETIRE_OPEN, .since = T, .changed_at = T, .v = &v, .n = 1 };
	int64_t now, last = 0;
	int tightened = 0;

	(void)state;
	for (now = T; now < T + 365 * DAY; now += H) {
		bool able = (now - T) / (36 * H) % 2 == 1;

		retire_looked(&v, able, now);
		switch (retire_next(&r, now)) {
		case RETIRE_TIGHTEN:
			assert_true(last == 0 || now - last >= DAY);
			r.state = RETIRE_PROVING;
			r.changed_at = last = now;
			tightened++;
			break;
		case RETIRE_COME_BACK:
			r.state = RETIRE_OPEN;
			r.changed_at = last = now;
			r.falls++;
			break;
		case RETIRE_DONE:
		case RETIRE_KEEP:
			break;
		}
	}
	assert_int_equal(tightened, 1);              /* after its first fall it is not trusted for so short a time again */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_case), cmocka_unit_test(dates_and_use), cmocka_unit_test(thousand_stories),
		cmocka_unit_test(alternating),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
