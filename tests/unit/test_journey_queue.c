/* Looking at a queue, on this machine as a host with programs of our own for Postfix's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/journey/private.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

struct world { char *dir; struct journey *j; int64_t mx1; };

/* A program in the folder bin of ours; @ stands for our folder. */
static void
program(const struct world *w, const char *name, const char *text)
{
	char *path = xasprintf("%s/bin/%s", w->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs("#!/bin/sh\n", f);
	for (const char *p = text; *p != '\0'; p++)
		fputs(*p == '@' ? w->dir : (char[]){ *p, '\0' }, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	free(path);
}

static int
set_up(void **state)
{
	static const char *const folders[] = { "bin", "spool", "spool/deferred", "spool/hold", "spool/active", "spool/incoming",
	    "spool/maildrop" };
	struct world *w = xcalloc(1, sizeof(*w));
	struct server s = { .queue_messages = -1, .read_at = 1790000000 };
	struct err e;
	char *path;

	w->dir = fixture_dir();
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		path = xasprintf("%s/%s", w->dir, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
		free(path);
	}
	path = xasprintf("%s/bin:%s", w->dir, getenv("PATH"));
	setenv("PATH", path, 1);
	free(path);
	program(w, "postconf", "printf '%s\\n' @/spool 0 '' '' @\n");
	program(w, "postcat", "exit 0\n");
	path = xasprintf("%s/store.db", w->dir);
	assert_int_equal(journey_open(&w->j, path, &e), 0);
	free(path);
	s.name = xstrdup("mx1");
	s.target = xstrdup("local:");
	s.mailsys = xstrdup("postfix");
	assert_int_equal(store_server_save(journey_store(w->j), &s, &e), 0);
	w->mx1 = s.id;
	server_release(&s);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	journey_close(w->j);
	fixture_remove(w->dir);
	free(w->dir);
	free(w);
	return 0;
}

static void
done(void *arg, int rc, const struct err *e)
{
	(void)e;
	*(int *)arg = rc;
}

static int
looked(struct world *w, struct queue_view *v)
{
	struct err e;
	int rc = 1;
	int64_t id = queue_poll(w->j, w->mx1, QUEUE_BY_DESTINATION, NULL, 0, v, done, &rc, &e);

	assert_true(id > 0);
	jobq_wait(journey_jobs(w->j), id);
	return rc;
}

/* A listing that fails once: full ones follow for a while, and then what costs less again, over the same connection. */
static void
the_cheap_look_comes_back(void **state)
{
	struct world *w = *state;
	struct queue_view v = { .taken_at = 0 };
	struct slot *s;
	int64_t now;

	program(w, "postqueue", "exit 69\n");
	assert_int_equal(looked(w, &v), -1);
	s = slot_of(w->j, w->mx1);
	now = when_monotonic_ms();
	assert_non_null(strstr(s->queue_in_full, "could not list its queue"));
	assert_true(s->queue_again_ms > now + 110000 && s->queue_again_ms < now + 200000);

	program(w, "postqueue", "echo '{\"queue_name\": \"deferred\", \"queue_id\": \"4ABCDEF012\", \"arrival_time\": 1795000000, "
	    "\"message_size\": 300, \"sender\": \"a@b.test\", \"recipients\": [{\"address\": \"c@d.test\", \"delay_reason\": \"x\"}]}'\n");
	assert_int_equal(looked(w, &v), 0);
	assert_int_equal(v.messages, 1);
	assert_non_null(v.note);
	assert_true(v.look.full);
	queue_view_release(&v);

	s->queue_again_ms = when_monotonic_ms();
	assert_int_equal(looked(w, &v), 0);
	assert_null(v.note);
	queue_view_release(&v);
	assert_int_equal(looked(w, &v), 0);
	assert_false(v.look.full);
	assert_null(v.note);
	queue_view_release(&v);
}

#define MESSAGE(id, domain) "{\"queue_name\": \"deferred\", \"queue_id\": \"" id "\", \"arrival_time\": 1795000000, \"message_size\": 300, " \
	"\"sender\": \"a\\100b.test\", \"recipients\": [{\"address\": \"c\\100" domain "\", \"delay_reason\": \"x\"}]}\\n"

/* Files of the queue; all one, which is made in less time. */
static void
in_the_spool(const struct world *w, unsigned n)
{
	char *first = xasprintf("%s/bin/postcat", w->dir), *path;
	unsigned i;

	for (i = 0; i < n; i++) {
		path = xasprintf("%s/spool/deferred/4ABC%06X", w->dir, i);
		assert_int_equal(link(first, path), 0);
		free(path);
	}
	free(first);
}

static void
taken(struct world *w, const char *destinations, struct queue_follow *f)
{
	struct err e;
	int rc = 1;
	int64_t id;

	*f = (struct queue_follow){ .server = w->mx1, .destinations = xstrdup(destinations) };
	id = queue_follow_take(w->j, f, done, &rc, &e);
	assert_true(id > 0);
	jobq_wait(journey_jobs(w->j), id);
	assert_int_equal(rc, 0);
}

/* A domain is the same however it is written, in an address space and in the queue. */
static void
followed_by_any_spelling(void **state)
{
	static const struct { const char *destinations; size_t taken; } rows[] = {
		{ "b\303\274cher.test", 2 }, { "xn--bcher-kva.test", 2 }, { "*.b\303\274cher.test", 2 }, { "*.xn--bcher-kva.test", 2 },
		{ "other.test", 1 }, { "*.other.test", 0 }, { "[192.0.2.1]", 1 }, { "*.test B\303\234CHER.test", 5 },
	};
	struct world *w = *state;
	struct queue_follow f;
	size_t i;

	program(w, "postqueue", "printf '" MESSAGE("4ABC000000", "b\303\274cher.test") MESSAGE("4ABC000001", "XN--BCHER-KVA.test")
	    MESSAGE("4ABC000002", "mail.b\303\274cher.test") MESSAGE("4ABC000003", "mail.xn--bcher-kva.test")
	    MESSAGE("4ABC000004", "other.test") MESSAGE("4ABC000005", "[192.0.2.1]") "'\n");
	in_the_spool(w, 6);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		taken(w, rows[i].destinations, &f);
		if (f.taken != rows[i].taken)
			fail_msg("%s: %zu are taken, not %zu", rows[i].destinations, f.taken, rows[i].taken);
		queue_follow_release(&f);
	}
}

/* Of very many the oldest are tried at once, and it is said that the others are not. */
static void
very_many_are_followed(void **state)
{
	struct world *w = *state;
	struct str said = STR_INIT;
	struct queue_follow f;
	size_t i;

	program(w, "postqueue", "awk 'BEGIN { for (i = 0; i < 10050; i++) printf \"{\\\"queue_name\\\": \\\"deferred\\\", \\\"queue_id\\\": "
	    "\\\"4ABC%06X\\\", \\\"arrival_time\\\": %d, \\\"message_size\\\": 300, \\\"sender\\\": \\\"a%cb.test\\\", \\\"recipients\\\": "
	    "[{\\\"address\\\": \\\"c%cd%d.test\\\", \\\"delay_reason\\\": \\\"%s\\\"}]}\\n\", i, 1795020000 - i, 64, 64, i % 7, "
	    "i == 3 ? \"connect to x[192.0.2.1]:25: Connection timed out\" : \"TLS is required, but was not offered by host mx.d.test[192.0.2.9]\" }'\n");
	in_the_spool(w, 10050);
	taken(w, "*", &f);
	assert_int_equal(f.taken, QUEUE_FOLLOW_MAX);
	assert_int_equal(f.ids.n, QUEUE_FOLLOW_MAX);
	assert_int_equal(f.rest, 49);
	for (i = 0; i < f.ids.n; i++)
		assert_true(f.ids.v[i].arrival <= 1795020000 - 50);
	queue_follow_say(&f, &said);
	assert_string_equal(said.s, "0 of 10000 messages for all that TLS holds up have left, 10000 still wait; 49 more wait for their own next try, "
	    "10000 are tried at once");
	str_release(&said);
	queue_follow_release(&f);
}

static void
how_long_it_waits(void **state)
{
	(void)state;
	assert_int_equal(queue_again_ms(1000, 1000), 121000);
	assert_int_equal(queue_again_ms(1000, 7000), 127000);
	assert_int_equal(queue_again_ms(1000, 61000), 61000 + 20 * 60000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_cheap_look_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(followed_by_any_spelling, set_up, tear_down),
		cmocka_unit_test_setup_teardown(very_many_are_followed, set_up, tear_down),
		cmocka_unit_test(how_long_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
