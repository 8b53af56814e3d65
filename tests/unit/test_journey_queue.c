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
		cmocka_unit_test(how_long_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
