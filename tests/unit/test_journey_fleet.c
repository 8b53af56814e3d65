/* The rules of many hosts, with verbs that end as the test says: the canary, so many at a time, what stops the rest and what
 * does not, what stays for a retry, the worst of the ends. Nobody is contacted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/fleet.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/one_server.h"

#define HOSTS 6

struct world {
	void *store;              /* a struct one_server */
	struct journey *j;
	struct fleet *f;
	struct fleet_run *runs[HOSTS + 1];
	char order[64];           /* the hosts as they began, "1 2 3" */
	size_t n_runs, most;
};

/* What a front end does, without doing anything. */
static void
keep_run(void *arg, struct fleet_run *r)
{
	struct world *w = arg;
	size_t n = strlen(w->order), i = 0;

	snprintf(w->order + n, sizeof(w->order) - n, "%s%s", n > 0 ? " " : "", fleet_run_host(r)->name + 2);
	while (w->runs[i] != NULL)
		i++;
	w->runs[i] = r;
	w->n_runs++;
	if (w->n_runs > w->most)
		w->most = w->n_runs;
}

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	(void)one_server_set_up(&w->store);
	w->j = ((struct one_server *)w->store)->j;
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	fleet_free(w->f);
	(void)one_server_tear_down(&w->store);
	free(w);
	return 0;
}

static void
begin(struct world *w, size_t at_once, bool ask_first)
{
	struct fleet_options o = { .at_once = at_once, .ask_first = ask_first, .leave = !ask_first };
	struct fleet_user u = { .run = keep_run, .arg = w };

	fleet_free(w->f);
	w->f = fleet_new(w->j, &o, &u);
	w->order[0] = '\0';
	w->most = 0;
	for (int i = 1; i <= HOSTS; i++) {
		char name[16];
		struct server s = { .id = 0 };
		struct err e;

		snprintf(name, sizeof(name), "mx%d", i);
		if (store_server_by_name(journey_store(w->j), name, &s, NULL) != 0) {
			s = (struct server){ .name = xstrdup(name), .target = xstrdup(name), .queue_messages = -1 };
			assert_int_equal(store_server_save(journey_store(w->j), &s, &e), 0);
		}
		fleet_add(w->f, s.id, name);
		server_release(&s);
	}
}

/* The verb of this host is over. */
static void
over(struct world *w, int host, enum err_code code, enum push_result result)
{
	char name[16];
	struct err e = { .code = RC_OK };

	snprintf(name, sizeof(name), "mx%d", host);
	for (size_t i = 0; i < HOSTS; i++) {
		struct fleet_run *r = w->runs[i];

		if (r == NULL || strcmp(fleet_run_host(r)->name, name) != 0)
			continue;
		w->runs[i] = NULL;
		w->n_runs--;
		fleet_run_host(r)->report.result = result;
		fleet_run_host(r)->report.undo_at = when_now() + 100;
		if (code != RC_OK)
			err_set(&e, code, "%s ended so", name);
		fleet_run_end(r, code == RC_OK ? 0 : -1, &e);
		fleet_run_free(r);
		return;
	}
	fail_msg("%s does not run: %s", name, w->order);
}

static const char *
result(struct world *w, int host)
{
	(void)fleet_over(w->f);
	return fleet_nth(w->f, (size_t)host - 1)->result;
}

static char *
retries(struct world *w)
{
	struct server_list l = { NULL, 0 };
	struct str s = STR_INIT;
	struct err e;

	assert_int_equal(push_retry_servers(w->j, &l, &e), 0);
	for (size_t i = 0; i < l.n; i++)
		str_addf(&s, "%s%s", i > 0 ? " " : "", l.v[i].name);
	server_list_release(&l);
	return str_take(&s);
}

static void
must_retry(struct world *w, const char *list)
{
	char *now = retries(w);

	assert_string_equal(now != NULL ? now : "", list);
	free(now);
}

static void
canary_then_waves(void **state)
{
	struct world *w = *state;
	struct err e;

	begin(w, 3, false);
	fleet_push(w->f);
	assert_string_equal(w->order, "1");
	must_retry(w, "mx1 mx2 mx3 mx4 mx5 mx6");      /* a program that is killed now leaves all of them */
	over(w, 1, RC_OK, PUSH_KEPT);
	assert_string_equal(w->order, "1 2 3 4");
	over(w, 3, RC_OK, PUSH_KEPT);
	assert_string_equal(w->order, "1 2 3 4 5");
	must_retry(w, "mx2 mx4 mx5 mx6");
	over(w, 2, RC_OK, PUSH_UNCHANGED);
	over(w, 4, RC_OK, PUSH_KEPT);
	over(w, 5, RC_OK, PUSH_KEPT);
	assert_false(fleet_over(w->f));
	over(w, 6, RC_OK, PUSH_KEPT);
	assert_true(fleet_over(w->f));
	assert_int_equal(w->most, 3);
	assert_int_equal(fleet_worst(w->f, &e), 0);
	must_retry(w, "");
}

/* Who has nothing to change or cannot be reached proves nothing: the next one is the canary. */
static void
the_next_canary(void **state)
{
	struct world *w = *state;
	struct err e;

	begin(w, 4, false);
	assert_int_equal(fleet_canary(w->f, "mx9", &e), -1);
	assert_int_equal(fleet_canary(w->f, "mx3", &e), 0);
	fleet_push(w->f);
	assert_string_equal(w->order, "3");
	over(w, 3, RC_TIMEOUT, PUSH_REFUSED);
	assert_string_equal(w->order, "3 1");
	over(w, 1, RC_OK, PUSH_UNCHANGED);
	assert_string_equal(w->order, "3 1 2");
	over(w, 2, RC_OK, PUSH_KEPT);
	assert_string_equal(w->order, "3 1 2 4 5 6");
	for (int i = 4; i <= HOSTS; i++)
		over(w, i, RC_OK, PUSH_KEPT);
}

static void
the_first_failure(void **state)
{
	struct world *w = *state;
	struct err e;

	begin(w, 2, false);
	fleet_push(w->f);
	over(w, 1, RC_OK, PUSH_KEPT);
	over(w, 2, RC_NET, PUSH_REFUSED);              /* counts for itself */
	assert_string_equal(w->order, "1 2 3 4");
	over(w, 3, RC_UNDONE, PUSH_UNDONE);            /* stops the rest */
	assert_string_equal(w->order, "1 2 3 4");
	assert_false(fleet_over(w->f));
	over(w, 4, RC_OK, PUSH_KEPT);                  /* what runs is finished */
	assert_true(fleet_over(w->f));
	assert_string_equal(result(w, 1), "kept");
	assert_string_equal(result(w, 2), "unreachable");
	assert_string_equal(result(w, 3), "undone");
	assert_string_equal(result(w, 4), "kept");
	assert_string_equal(result(w, 5), "not-started");
	assert_string_equal(result(w, 6), "not-started");
	assert_int_equal(fleet_worst(w->f, &e), -1);
	assert_int_equal(err_exit_status(e.code), 5);
	must_retry(w, "mx2 mx3 mx5 mx6");
}

/* A plan that is refused is a failure before anything was begun; one that was not made because nobody answered is not. */
static void
plans_that_fail(void **state)
{
	struct world *w = *state;
	struct err e;

	begin(w, 2, false);
	fleet_plan(w->f);
	assert_string_equal(w->order, "1 2");          /* no canary for what only reads */
	over(w, 1, RC_OK, PUSH_KEPT);
	over(w, 2, RC_TIMEOUT, PUSH_KEPT);
	for (int i = 3; i <= HOSTS; i++)
		over(w, i, RC_OK, PUSH_KEPT);
	assert_true(fleet_over(w->f));
	w->order[0] = '\0';
	plan_check(&fleet_nth(w->f, 3)->plan, "certificate", false, "does not fit the key");
	fleet_push(w->f);
	assert_string_equal(w->order, "");
	assert_true(fleet_over(w->f));
	assert_string_equal(result(w, 1), "not-started");
	assert_string_equal(result(w, 2), "unreachable");
	assert_string_equal(result(w, 4), "refused");
	assert_int_equal(fleet_worst(w->f, &e), -1);
	assert_int_equal(err_exit_status(e.code), 4);
}

/* The canary waits for a person; undone by a person or by its clock it stops the rest. */
static void
a_person_decides(void **state)
{
	struct world *w = *state;
	struct fleet_host *h;
	struct err e;

	begin(w, 3, true);
	fleet_push(w->f);
	over(w, 1, RC_OK, PUSH_WAITING);
	assert_string_equal(w->order, "1");
	h = fleet_nth(w->f, 0);
	assert_int_equal(h->state, FLEET_DECIDE);
	fleet_keep(h);
	over(w, 1, RC_NET, PUSH_WAITING);              /* it may be tried again */
	assert_int_equal(h->state, FLEET_DECIDE);
	fleet_keep(h);
	over(w, 1, RC_OK, PUSH_WAITING);
	assert_string_equal(result(w, 1), "kept");
	assert_string_equal(w->order, "1 1 1 2 3 4");
	for (int i = 2; i <= HOSTS; i++)
		over(w, i, RC_OK, PUSH_KEPT);

	begin(w, 3, true);
	fleet_push(w->f);
	over(w, 1, RC_OK, PUSH_WAITING);
	fleet_undo(fleet_nth(w->f, 0));
	over(w, 1, RC_OK, PUSH_UNDONE);
	assert_true(fleet_over(w->f));
	assert_string_equal(result(w, 1), "undone");
	assert_string_equal(result(w, 2), "not-started");
	must_retry(w, "mx1 mx2 mx3 mx4 mx5 mx6");

	begin(w, 3, true);
	fleet_push(w->f);
	over(w, 1, RC_OK, PUSH_WAITING);
	h = fleet_nth(w->f, 0);
	fleet_tick(w->f, 0);
	assert_int_equal(h->state, FLEET_DECIDE);
	h->undo_at = when_now() - 60;
	fleet_tick(w->f, 0);                           /* nobody answered: the host is asked what it did */
	assert_int_equal(h->state, FLEET_ENDING);
	xset(&h->status.state, "idle");
	over(w, 1, RC_OK, PUSH_WAITING);
	assert_string_equal(result(w, 1), "undone");
	assert_true(fleet_over(w->f));
	assert_int_equal(fleet_worst(w->f, &e), -1);
	assert_int_equal(err_exit_status(e.code), 5);
}

/* Everything that only reads is tried on all, whatever happens to some. */
static int64_t
never_called(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	(void)h, (void)done, (void)arg, (void)e;
	fail_msg("the test starts nothing");
	return -1;
}

static void
reads_go_on(void **state)
{
	struct world *w = *state;
	struct err e;

	begin(w, 2, false);
	fleet_each(w->f, "read", never_called);
	over(w, 1, RC_HOSTKEY, PUSH_KEPT);
	over(w, 2, RC_UNKNOWN, PUSH_KEPT);
	for (int i = 3; i <= HOSTS; i++)
		over(w, i, RC_OK, PUSH_KEPT);
	assert_true(fleet_over(w->f));
	assert_int_equal(w->most, 2);
	assert_int_equal(fleet_worst(w->f, &e), -1);
	assert_int_equal(e.code, RC_UNKNOWN);
	must_retry(w, "");
}

/* Left alone with verbs on their way, it lives until the last of them is over. */
static void
left_alone(void **state)
{
	struct world *w = *state;

	begin(w, 3, false);
	fleet_each(w->f, "read", never_called);
	fleet_free(w->f);
	w->f = NULL;
	for (int i = 1; i <= 3; i++)
		over(w, i, RC_OK, PUSH_KEPT);
	assert_string_equal(w->order, "1 2 3");
}

/* --- a hundred hosts of which ten hang, by a clock of our own --- */

#define CROWD 100
#define AT_ONCE 8
#define ANSWER_MS 300
#define HANG_MS 15000

struct crowd { struct fleet_run *runs[CROWD]; int64_t began[CROWD], now; size_t n; };

static bool
hangs(size_t i)
{
	return i % 10 == 3;
}

static void
crowd_run(void *arg, struct fleet_run *r)
{
	struct crowd *c = arg;
	size_t i = (size_t)fleet_run_host(r)->server - 1;

	c->runs[i] = r;
	c->began[i] = c->now;
	c->n++;
}

/* Ends those that are over by now; how many of those that hang are under way stands in silent. */
static void
crowd_end(struct crowd *c, size_t *silent)
{
	struct err e = { .code = RC_OK };
	struct fleet_run *r;

	*silent = 0;
	for (size_t i = 0; i < CROWD; i++) {
		if ((r = c->runs[i]) == NULL || c->now - c->began[i] < (hangs(i) ? HANG_MS : ANSWER_MS)) {
			*silent += c->runs[i] != NULL && hangs(i);
			continue;
		}
		c->runs[i] = NULL;
		c->n--;
		if (hangs(i))
			err_set(&e, RC_TIMEOUT, "says nothing");
		fleet_run_end(r, hangs(i) ? -1 : 0, &e);
		fleet_run_free(r);
	}
}

static void
who_is_silent_holds_nobody_up(void **state)
{
	struct world *w = *state;
	static struct crowd c;
	struct fleet_options o = { .at_once = AT_ONCE };
	struct fleet_user u = { .run = crowd_run, .arg = &c };
	int64_t began = when_monotonic_ms(), all_answered = 0;
	size_t silent;

	c = (struct crowd){ .now = began };
	w->f = fleet_new(w->j, &o, &u);
	for (int i = 1; i <= CROWD; i++)
		fleet_add(w->f, i, "mx");
	fleet_each(w->f, "read", never_called);
	while (!fleet_over(w->f) && c.now < began + 10 * HANG_MS) {
		size_t answered = 0, fresh = 0;

		c.now += 50;
		crowd_end(&c, &silent);
		if ((c.now - began) % PLACES_TICK_MS == 0)
			fleet_tick(w->f, c.now);
		for (size_t i = 0; i < CROWD; i++) {
			answered += !hangs(i) && fleet_nth(w->f, i)->state == FLEET_DONE;
			fresh += c.runs[i] != NULL && c.now - c.began[i] < 500;
		}
		assert_true(fresh <= AT_ONCE && c.n <= AT_ONCE + silent);
		if (answered == CROWD * 9 / 10 && all_answered == 0)
			all_answered = c.now - began;
	}
	print_message("of %d hosts 10 hang: those that answer are done after %.1f s, all after %.1f s\n", CROWD, (double)all_answered / 1e3,
	    (double)(c.now - began) / 1e3);
	assert_in_range(all_answered, 1, HANG_MS / 2);
	assert_true(fleet_over(w->f) && c.now - began < 2 * HANG_MS);
}

/* What changes hosts goes its own way: the first one alone, then so many, whoever is silent. */
static void
a_push_begins_no_more_for_that(void **state)
{
	struct world *w = *state;
	int64_t now = when_monotonic_ms();

	begin(w, 2, false);
	fleet_push(w->f);
	fleet_tick(w->f, now + 60000);
	assert_string_equal(w->order, "1");
	over(w, 1, RC_OK, PUSH_KEPT);
	fleet_tick(w->f, now + 120000);
	assert_string_equal(w->order, "1 2 3");
	assert_int_equal(w->most, 2);
	for (int i = 2; i <= HOSTS; i++)
		over(w, i, RC_OK, PUSH_KEPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(canary_then_waves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_canary, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_first_failure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(plans_that_fail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_person_decides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reads_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_silent_holds_nobody_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_push_begins_no_more_for_that, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
