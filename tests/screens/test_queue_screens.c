/* The queue, why its mail waits, what can be done about it, and how it leaves after a push. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/golden.h"
#include "support/screens.h"
#include "tui/console/views/queue.h"

/* Each choice of a destination that offers no TLS, by its digit. */
static void
opens_each(struct app *a)
{
	app_key(a, '1');
	assert_string_equal(a->top->ops->name, "remedy");
	shot(a, "remedy-wait");
	view_pop(a->top);
	app_key(a, '2');
	assert_string_equal(a->top->ops->name, "sheet");
	view_pop(a->top);
	app_key(a, '3');
	shot(a, "remedy-lower");
	view_pop(a->top);
	app_key(a, '4');
	shot(a, "remedy-complain");
	app_key(a, 's');
	shot(a, "remedy-save");
	app_key(a, K_ESC);
	view_pop(a->top);
	journey_start_read_only(a->j);
	app_key(a, '5');                                    /* the only one that touches a host at once */
	assert_int_equal(a->message_err.code, RC_READ_ONLY);
	err_clear(&a->message_err);
	a->message[0] = '\0';
	must(journey_allow_changes(a->j, &(struct err){ .code = RC_OK }), &(struct err){ .code = RC_OK });
}

/* What postqueue -j lists, as the answer that the view waits for. */
static void
give_queue(struct app *a, enum queue_by by, const char *listing)
{
	struct queue_reader *q = queue_reader_new(by, "mx1", NULL, 0);
	struct task *t = task_with(a, "queue");
	struct queue_view *v = t->data;

	queue_reader_feed(q, listing, strlen(listing));
	queue_reader_end(q, &v->groups);
	v->messages = queue_reader_messages(q);
	queue_reader_free(q);
	v->taken_at = NOW - 5;
	task_done(t, 0, NULL);
}

/* Sentences, and names that are not ASCII: cut at whole characters, the columns straight. */
static void
queue_of_sentences(void **state)
{
	static const char listing[] =
	    "{\"queue_name\":\"deferred\",\"queue_id\":\"4C1x9k\",\"arrival_time\":1789990000,\"message_size\":900,"
	    "\"sender\":\"a@example.org\",\"recipients\":[{\"address\":\"x@b\u00fccher-und-b\u00fccher.test\",\"delay_reason\":"
	    "\"TLS is required, but was not offered by host mx.b\u00fccher.test[192.0.2.77]\"}]}\n"
	    "{\"queue_name\":\"deferred\",\"queue_id\":\"4C1x9l\",\"arrival_time\":1789999000,\"message_size\":900,"
	    "\"sender\":\"b@example.org\",\"recipients\":[{\"address\":\"y@m\u00fcll.test\",\"delay_reason\":"
	    "\"host mx.m\u00fcll.test[192.0.2.9] said: 452 4.2.2 Postf\u00e4cher voll\"}]}\n";
	struct world *w = *state;
	struct queue_arg arg = { .server = w->mx1 };

	view_push(w->app, &view_queue, &arg);
	give_queue(w->app, QUEUE_BY_DESTINATION, listing);
	shot(w->app, "queue-not-ascii");
	app_key(w->app, 'g');
	give_queue(w->app, QUEUE_BY_REASON, listing);
	shot(w->app, "queue-by-reason");
}

static void
queue_screens(void **state)
{
	static const char listing[] =
	    "{\"queue_name\":\"deferred\",\"queue_id\":\"4C1x9k\",\"arrival_time\":1789990000,\"message_size\":900,"
	    "\"sender\":\"a@example.org\",\"recipients\":[{\"address\":\"x@bank.test\",\"delay_reason\":"
	    "\"TLS is required, but was not offered by host mx.bank.test[192.0.2.77]\"}]}\n"
	    "{\"queue_name\":\"deferred\",\"queue_id\":\"4C1x9l\",\"arrival_time\":1789999000,\"message_size\":900,"
	    "\"sender\":\"b@example.org\",\"recipients\":[{\"address\":\"y@slow.test\",\"delay_reason\":"
	    "\"connect to slow.test[192.0.2.9]:25: Connection timed out\"}]}\n";
	struct world *w = *state;
	struct app *a = w->app;
	struct queue_arg arg = { .server = w->mx1 };

	view_push(a, &view_queue, &arg);
	shot(a, "queue-reading");
	give_queue(a, QUEUE_BY_DESTINATION, listing);
	shot(a, "queue");
	app_key(a, ' ');
	app_key(a, K_UP);
	app_key(a, K_ENTER);
	struct task *t = task_with(a, "test");
	struct destination_view *d = t->data;
	d->diagnosis.failure = failure_find("tls-not-offered");
	d->diagnosis.destination = xstrdup("bank.test");
	d->diagnosis.remedies = d->diagnosis.failure->remedies;
	d->diagnosis.side = SIDE_THEIRS;
	d->diagnosis.where = "all-mx";
	d->diagnosis.verdict = xstrdup("Theirs, 2 of 2 of their addresses: The other side offers no TLS.");
	d->diagnosis.confidence = xstrdup("high");
	d->since = NOW - 10000;
	d->level = xstrdup("encrypt");
	d->waiting = 1;
	d->oldest = NOW - 10000;
	d->next_retry = NOW + 240;
	str_add(&d->diagnosis.evidence, "1 of 1 reasons say so\nmx.bank.test offers no STARTTLS, from mx1, from mx2 and from here\n");
	task_done(t, 0, NULL);
	shot(a, "queue-diagnosis");
	shot_at(a, "queue-diagnosis", 9, 40);
	screen_size(24, 80);
	app_key(a, '9');                                    /* there are not so many */
	assert_string_equal(a->top->ops->name, "queue");
	opens_each(a);
	app_key(a, 'w');
	shot(a, "queue-workaround");
	close_all(a);
}

/* What waits for bank.test is counted before a push of mx1. */
static struct queue_follow *
counted(struct app *a, int64_t server)
{
	struct err e;

	(void)journey_intend(a->j, true);
	must(queue_follow_note(a->j, server, "bank.test", &e), &e);
	follow_before(a, server, "mx1", true);
	struct task *t = task_with(a, "count");
	struct queue_follow *f = t->data;                  /* a row begins with it */
	f->taken = 3;
	f->taken_at = NOW - 60;
	task_done(t, 0, NULL);
	return f;
}

static void
look_brings(struct app *a, struct queue_follow *f, size_t left, size_t trying)
{
	follow_tick(a, INT64_MAX);
	struct task *t = task_with(a, "follow");
	f->left = left;
	f->trying = trying;
	f->looked_at = NOW - 1;
	task_done(t, 0, NULL);
}

static void
what_leaves(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct queue_follow *f = counted(a, w->mx1);
	char **noted;

	assert_false(follow_goes_on(a));
	follow_after(a, w->mx1, true);
	struct task *t = task_with(a, "retry");
	assert_ptr_equal(t->data, f);
	view_push(a, &view_follow, NULL);
	f->retried_at = NOW - 8;
	task_done(t, 0, NULL);
	look_brings(a, f, 1, 1);
	f->v = xcalloc(1, sizeof(*f->v));
	f->n = 1;
	f->v[0] = (struct queue_follow_reason){ xstrdup("host mx.bank.test[192.0.2.77] said: 450 4.7.1 try later"), failure_find("remote-4xx"), 1, true };
	a->message[0] = '\0';
	shot(a, "follow");
	shot_at(a, "follow", 9, 40);
	look_brings(a, f, 3, 0);
	free(f->v[0].reason);
	f->n = 0;
	shot(a, "follow-over");
	view_pop(a->top);
	follow_tick(a, 0);
	assert_null(a->follow);
	noted = queue_follow_destinations(a->j, w->mx1, true);
	assert_null(noted[0]);
	words_free(noted);
	close_all(a);
}

/* Nothing is tried again after a push that was undone or failed; the next one that is kept does it. */
static void
undone(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	char **noted;

	(void)counted(a, w->mx1);
	follow_after(a, w->mx1, false);
	assert_null(a->tasks);
	follow_tick(a, 0);
	assert_null(a->follow);
	noted = queue_follow_destinations(a->j, w->mx1, true);
	assert_string_equal(noted[0], "bank.test");
	words_free(noted);
	(void)counted(a, w->mx1);
	follow_after(a, w->mx1, true);
	(void)task_with(a, "retry");
	close_all(a);
}

/* Mail that backs up stands in Needs attention; Enter leads to its group of the queue. */
static void
backing_up(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	char *fact = xasprintf("queue-backing:%lld", (long long)w->mx1), *text = xasprintf("slow.test 48 3 9 %lld\n", (long long)NOW - 4000);
	struct err e;

	must(store_fact_set(a->st, fact, text, &e), &e);
	free(fact);
	free(text);
	app_tick(a, when_monotonic_ms());
	main_select(a, "attention 1");
	shot_at(a, "main-backing", 24, 80);
	app_key(a, K_ENTER);
	assert_string_equal(a->top->ops->name, "queue");
	assert_string_equal(((struct queue_data *)a->top->data)->selected, "slow.test");
	close_all(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(queue_screens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(queue_of_sentences, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(undone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(backing_up, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
