/* What takes long on the thread that draws goes in slices between two looks at the keyboard: of many servers the tree and the line of
 * edits are made anew bit by bit, keys work meanwhile on what stands there, and what is not in sight waits. A picture that says how
 * long ago something was is drawn anew. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/screens.h"
#include "tui/console/views/main.h"

#define MANY (4 * SHARE_FEW)

/* Idle, as the loop is when nobody types, in the shortest slices. */
static bool
idle_ms(struct app *a)
{
	return app_idle(a, when_monotonic_ms() + 1);
}

/* As after a key that changed something: then it begins anew at once, and the test is quick. */
static void
wait_a_little(struct app *a)
{
	poll(NULL, 0, 2);
	a->acted = true;
}

/* Until that is over. How many slices it took. */
static int
slices(struct app *a)
{
	int n = 0;

	while (idle_ms(a)) {
		n++;
		assert_true(n < 100 * MANY);
	}
	return n;
}

/* The same until the tree is that of the store: it takes its share of the time only, so a beginning may have to be waited for. */
static int
slices_until_fresh(struct app *a)
{
	int64_t until = when_monotonic_ms() + 60000;
	struct main_data *m = main_data(view_by_ops(a, &view_main));
	int n = slices(a);

	while (m->stale || m->build != NULL) {
		assert_true(when_monotonic_ms() < until);
		wait_a_little(a);
		n += slices(a);
	}
	return n;
}

static int
add_hosts(struct store *st, void *app, struct err *e)
{
	char name[16];

	(void)st, (void)e;
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "h%03d", i);
		add_host(app, name, NULL);
	}
	return 0;
}

static void
add_many(struct app *a)
{
	struct err e;

	must(store_tx(a->st, add_hosts, a, &e), &e);
	app_tick(a, when_monotonic_ms());
	(void)slices_until_fresh(a);
	assert_int_equal(main_data(a->top)->tree.servers, MANY + 2);
}

/* In the store, as a look from elsewhere would note it. */
static void
rename_server(struct app *a, int64_t id, const char *name)
{
	struct server s = { .id = 0 };
	struct err e;

	must(store_server_get(a->st, id, &s, &e), &e);
	xset(&s.name, name);
	must(store_server_save(a->st, &s, &e), &e);
	server_release(&s);
	app_tick(a, when_monotonic_ms());
}

static const struct node *
row_of(struct app *a, int64_t server)
{
	struct main_data *m = main_data(view_by_ops(a, &view_main));

	for (size_t i = 0; i < m->tree.n; i++)
		if (m->tree.v[i].kind == NODE_SERVER && m->tree.v[i].server == server)
			return &m->tree.v[i];
	fail_msg("server %lld has no row", (long long)server);
	return NULL;
}

static void
few_are_done_at_once(void **state)
{
	struct world *w = *state;

	rename_server(w->app, w->mx1, "renamed");
	assert_string_equal(row_of(w->app, w->mx1)->name, "renamed");
	(void)slices(w->app);
	assert_false(app_idle(w->app, 0));                 /* without time left either: nothing waits, so nothing is said to wait */
}

static void
many_in_slices_and_keys_between(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	char key[96];
	int n;

	add_many(a);
	rename_server(a, w->mx1, "renamed");
	assert_string_equal(row_of(a, w->mx1)->name, "mx1");           /* as it was, until there was time */
	while (main_data(a->top)->build == NULL) {
		wait_a_little(a);
		(void)app_idle(a, 0);                      /* begins, and has no time for more */
	}
	assert_true(app_idle(a, 0));
	main_select(a, "server 1");
	app_key(a, K_DOWN);                                /* in the middle of it */
	app_draw(a);
	snprintf(key, sizeof(key), "%s", main_selected(a->top)->key);
	assert_string_not_equal(key, "server 1");
	n = slices_until_fresh(a);
	assert_true(n >= 1);                               /* a look at the keyboard behind each of them */
	assert_string_equal(row_of(a, w->mx1)->name, "renamed");
	assert_string_equal(main_selected(a->top)->key, key);
	assert_false(idle_ms(a));
	rename_server(a, w->mx1, "half way");              /* left in the middle of the next one: nothing is lost or leaks */
	while (main_data(a->top)->build == NULL) {
		wait_a_little(a);
		(void)app_idle(a, 0);
	}
}

static void
what_is_not_in_sight_waits(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;

	add_many(a);
	view_push(a, &view_activity, NULL);
	rename_server(a, w->mx1, "renamed");
	(void)slices(a);
	assert_true(main_data(view_by_ops(a, &view_main))->stale);
	assert_string_equal(row_of(a, w->mx1)->name, "mx1");
	view_pop(a->top);
	(void)slices_until_fresh(a);
	assert_string_equal(row_of(a, w->mx1)->name, "renamed");
}

static void
the_line_of_edits(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	int64_t until = when_monotonic_ms() + 60000;
	struct err e;

	add_many(a);
	assert_string_equal(a->edits, "~ 1 edit on 1 host not pushed yet");
	must(store_wanted_set(a->st, "vs", w->smtp, "outbound.tls", "encrypt", &e), &e);
	while (a->counting == NULL) {
		assert_true(when_monotonic_ms() < until);
		wait_a_little(a);
		(void)app_idle(a, 0);
	}
	assert_string_equal(a->edits, "~ 1 edit on 1 host not pushed yet");            /* as it was, while they are counted */
	while (a->counting != NULL) {
		assert_true(when_monotonic_ms() < until);
		(void)idle_ms(a);
	}
	assert_string_equal(a->edits, "~ 2 edits on 1 host not pushed yet");
}

/* "3 s ago" is true a second later as well, when nobody types and nothing comes. */
static void
ages_go_on(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;

	(void)slices(a);
	app_draw(a);
	app_tick(a, a->drawn_ms + 500);
	assert_false(a->dirty);
	app_tick(a, a->drawn_ms + 1000);
	assert_true(a->dirty);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(few_are_done_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_in_slices_and_keys_between, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_in_sight_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_line_of_edits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ages_go_on, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
