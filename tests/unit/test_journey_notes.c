/* Notes of what waits: written in pieces they leave what they leave when written at once, whatever happens in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/journey/private.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/one_server.h"

#define NOW 1700000000
#define DESTINATIONS 70

static struct journey *j;
static struct err e;

static int
set_up(void **state)
{
	char now[32];

	snprintf(now, sizeof(now), "%d", NOW);
	setenv("MXSEAL_NOW", now, 1);
	if (one_server_set_up(state) != 0)
		return -1;
	j = ((struct one_server *)*state)->j;
	return 0;
}

static int64_t
a_server(const char *name)
{
	struct server sv = { .name = xstrdup(name), .target = xstrdup(name), .queue_messages = -1 };
	int64_t id;

	assert_int_equal(store_server_save(j->store, &sv, &e), 0);
	id = sv.id;
	server_release(&sv);
	return id;
}

/* d0.test has most messages; all have waited for long, two of them because of TLS. */
static struct note *
a_note(int64_t server, int64_t at)
{
	struct queue_group v[DESTINATIONS] = { { .key = NULL } };
	struct queue_groups destinations = { v, DESTINATIONS }, none = { NULL, 0 };
	const struct queue_groups *all[QUEUE_BY_SERVER] = { &destinations, &none, &none };
	struct queue_view view = { .server = server, .taken_at = at };
	struct note *note;
	int i;

	for (i = 0; i < DESTINATIONS; i++) {
		v[i] = (struct queue_group){ .key = xasprintf("d%d.test", i), .messages = 100 - i, .deferred = 100 - i, .oldest = at - 7200,
		    .failure = i <= 1 ? failure_find("tls-not-offered") : NULL };
		view.messages += v[i].messages;
	}
	note = queue_note_new(slot_of(j, server), &view, all);
	for (i = 0; i < DESTINATIONS; i++)
		free(v[i].key);
	return note;
}

static int64_t
rows(int64_t server, const char *grouping, const char *key)
{
	struct queue_cell_list l;
	int64_t messages = 0;

	assert_int_equal(store_queue_cells(j->store, server, grouping, key, QUEUE_CELL, 0, &l, &e), 0);
	if (l.n > 0)
		messages = l.v[l.n - 1].messages;
	free(l.v);
	return messages;
}

/* The hours before: so many for each destination. */
static void
a_past(int64_t server)
{
	int i;

	for (i = 1; i <= 5; i++) {
		assert_int_equal(store_queue_cell_note(j->store, server, "server", "", NOW - 3600 * i, 5, NOW - 3600 * i, &e), 0);
		assert_int_equal(store_queue_cell_note(j->store, server, "destination", "d0.test", NOW - 3600 * i, 1, 0, &e), 0);
	}
	assert_int_equal(store_queue_cell_note(j->store, server, "destination", "d0.test", NOW - 700, 40, 0, &e), 0);
}

static size_t
backing(int64_t server)
{
	struct queue_backing_list l = { NULL, 0 };
	size_t n;

	queue_backings(j, server, &l);
	n = l.n;
	queue_backing_list_release(&l);
	return n;
}

static void
pieces_make_the_whole(void **state)
{
	int64_t at_once = a_server("once"), later = a_server("later");
	struct server sv = { .id = 0 };
	char *tls = NULL, *name;
	int n = 0, more;

	(void)state;
	a_past(at_once);
	a_past(later);
	assert_int_equal(queue_note(j, a_note(at_once, NOW), &e), 0);
	assert_int_equal(rows(at_once, "destination", "d69.test"), 31);
	journey_notes_later(j);
	assert_true(queue_note_due(slot_of(j, later)));
	assert_int_equal(queue_note(j, a_note(later, NOW), &e), 0);
	assert_false(queue_note_due(slot_of(j, later)));
	assert_int_equal(rows(later, "destination", "d0.test"), 40);       /* of its past: nothing is written yet */
	while ((more = journey_notes_some(j, 0, &e)) == 1)
		n++;
	assert_int_equal(more, 0);
	assert_true(n > DESTINATIONS);                                     /* each a piece of its own */
	assert_int_equal(rows(later, "destination", "d0.test"), 100);
	assert_int_equal(rows(later, "destination", "d69.test"), 31);
	assert_int_equal(rows(later, "server", ""), rows(at_once, "server", ""));
	assert_int_equal(backing(at_once), 50);                            /* none of them had that many before; so many are judged */
	assert_int_equal(backing(later), 50);
	name = xasprintf("queue-tls:%lld", (long long)later);
	assert_int_equal(store_fact_get(j->store, name, &tls, &e), 0);
	assert_string_equal(tls, "199 d0.test: The other side offers no TLS, and 1 more destination");
	assert_int_equal(store_server_get(j->store, later, &sv, &e), 0);
	assert_int_equal(sv.queue_messages, rows(later, "server", ""));
	server_release(&sv);
	free(name);
	free(tls);
}

/* The same again in the same five minutes changes no row, and so no page. */
static void
what_is_the_same_is_not_written(void **state)
{
	int64_t server = a_server("same"), version;

	(void)state;
	assert_int_equal(queue_note(j, a_note(server, NOW), &e), 0);
	version = store_version(j->store);
	assert_int_equal(queue_note(j, a_note(server, NOW), &e), 0);
	assert_int_equal(store_version(j->store), version);
	assert_int_equal(rows(server, "destination", "d1.test"), 99);
}

static void
a_server_that_is_gone_is_no_failure(void **state)
{
	int64_t gone = a_server("gone"), stays = a_server("stays");
	int i, more;

	(void)state;
	journey_notes_later(j);
	assert_int_equal(queue_note(j, a_note(gone, NOW), &e), 0);
	assert_int_equal(queue_note(j, a_note(stays, NOW), &e), 0);
	for (i = 0; i < DESTINATIONS; i++)
		assert_int_equal(journey_notes_some(j, 0, &e), 1);
	assert_int_equal(store_server_delete(j->store, gone, &e), 0);
	while ((more = journey_notes_some(j, 0, &e)) == 1)
		;
	assert_int_equal(more, 0);
	assert_int_equal(rows(stays, "destination", "d69.test"), 31);
}

/* A console that ends drops what waits: nothing is lost that a look does not see again. */
static void
what_waits_at_the_end_is_dropped(void **state)
{
	int64_t server = a_server("end");

	(void)state;
	journey_notes_later(j);
	assert_int_equal(queue_note(j, a_note(server, NOW), &e), 0);
	assert_int_equal(journey_notes_some(j, 0, &e), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pieces_make_the_whole, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(what_is_the_same_is_not_written, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(a_server_that_is_gone_is_no_failure, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(what_waits_at_the_end_is_dropped, set_up, one_server_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
