/* Who is looked at when, in a fleet of 500 hosts of which 50 hang, with a clock of our own: those that answer are all seen within
 * half a minute and again and again, and never more than the places there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tui/console/views/queue.h"

#define HOSTS 500
#define STEP_MS 50
#define ANSWER_MS 200
#define HANG_MS 15000

static void
who_hangs_holds_nobody_up(void **state)
{
	static struct queue_slot v[HOSTS];
	static int64_t began[HOSTS];
	static int looks[HOSTS];
	int64_t now, all_seen = 0;

	(void)state;
	for (now = 1; now < 120000; now += STEP_MS) {
		struct queue_load l = { { 0, 0 }, 0 };
		struct queue_slot *s;
		size_t i, seen = 0;

		for (i = 0; i < HOSTS; i++) {
			bool hangs = i % 10 == 9;

			if (v[i].runs && now - began[i] >= (hangs ? HANG_MS : ANSWER_MS)) {
				queue_poll_ended(&v[i], !hangs, now);
				looks[i]++;
			}
			seen += !hangs && looks[i] > 0;
			if (v[i].runs) {
				places_take(&l.places, now - began[i]);
				l.troubled += v[i].failures > 0;
			}
		}
		if (seen == HOSTS - HOSTS / 10 && all_seen == 0)
			all_seen = now;
		while ((s = queue_poll_next(v, HOSTS, &l, now)) != NULL) {
			s->runs = true;
			began[s - v] = now;
			places_take(&l.places, 0);
			l.troubled += s->failures > 0;
		}
		assert_true(l.places.fresh <= 8 && l.places.fresh + l.places.slow <= PLACES_MAX);
	}
	assert_true(all_seen > 0 && all_seen < 30000);
	for (int i = 0; i < HOSTS; i++)
		assert_true(i % 10 == 9 ? looks[i] >= 1 : looks[i] >= 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(who_hangs_holds_nobody_up) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
