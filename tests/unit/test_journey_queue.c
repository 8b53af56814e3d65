/* Looking at a queue, on this machine as a host with programs of our own for Postfix's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/journey/private.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/one_server.h"

/* A program in the folder bin of ours; @ stands for our folder. */
static void
program(const struct one_server *w, const char *name, const char *text)
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
	struct one_server *w;
	struct server s = { .id = 0 };
	struct err e;
	char *path;

	(void)one_server_set_up(state);
	w = *state;
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
	assert_int_equal(store_server_get(w->st, w->mx1, &s, &e), 0);
	xset(&s.target, "local:");
	assert_int_equal(store_server_save(w->st, &s, &e), 0);
	server_release(&s);
	return 0;
}

static void
done(void *arg, int rc, const struct err *e)
{
	(void)e;
	*(int *)arg = rc;
}

static int
looked(struct one_server *w, struct queue_view *v)
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
	struct one_server *w = *state;
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

/* What `mxseal --json queue` says, to be given back by json_decref; its group of this key stands in group. */
static json_t *
queue_json(const struct one_server *w, const char *words, const char *key, json_t **group)
{
	char *command = xasprintf("%s --store %s/store.db --json queue mx1 %s", TEST_PROGRAM, w->dir, words);
	FILE *f = popen(command, "r");
	json_t *all, *one;
	json_error_t why;
	size_t i;

	assert_non_null(f);
	all = json_loadf(f, 0, &why);
	assert_int_equal(pclose(f), 0);
	free(command);
	if (all == NULL)
		fail_msg("%s", why.text);
	*group = NULL;
	json_array_foreach(json_object_get(all, "groups"), i, one) {
		if (key == NULL || text_eq(json_string_value(json_object_get(one, "key")), key))
			*group = one;
	}
	if (*group == NULL)
		fail_msg("no group \"%s\" in what it says", key != NULL ? key : "");
	return all;
}

/* Twelve wait for d.test, where usually three do; for e.test as many as ever. */
static void
json_says_what_backs_up(void **state)
{
	static const char *const keys[] = { "backing_up", "backing_up_since", "usual" };
	struct one_server *w = *state;
	struct str listing = STR_INIT;
	int64_t now = when_now(), at;
	char since[32];
	json_t *all, *group;
	struct err e;

	for (int day = 2; day <= 6; day++) {
		at = now - day * INT64_C(86400) + 1800;
		assert_int_equal(store_queue_cell_note(w->st, w->mx1, "server", "", at, 5, at - 60, &e), 0);
		assert_int_equal(store_queue_cell_note(w->st, w->mx1, "destination", "d.test", at, 3, at - 60, &e), 0);
	}
	for (int i = 0; i < 14; i++) {
		char *file = xasprintf("%s/spool/deferred/4ABCDEF0%02d", w->dir, i);

		assert_int_equal(str_write_file(file, "", 0, 0700, &e), 0);
		free(file);
		str_addf(&listing, "printf '%%s\\n' '{\"queue_name\": \"deferred\", \"queue_id\": \"4ABCDEF0%02d\", \"arrival_time\": %lld, "
		    "\"message_size\": 300, \"sender\": \"a\\u0040b.test\", \"recipients\": [{\"address\": \"c\\u0040%s.test\", "
		    "\"delay_reason\": \"x\"}]}'\n", i, (long long)now - 3600, i < 12 ? "d" : "e");
	}
	program(w, "postqueue", listing.s);
	str_release(&listing);

	all = queue_json(w, "", "d.test", &group);
	assert_true(json_is_true(json_object_get(group, "backing_up")));
	assert_int_equal(json_integer_value(json_object_get(group, "usual")), 3);
	snprintf(since, sizeof(since), "%s", json_string_value(json_object_get(group, "backing_up_since")));
	assert_int_equal(strlen(since), strlen("2026-01-02T03:04:05Z"));
	json_decref(all);

	/* a second look says the same, of the other one nothing is to be said */
	all = queue_json(w, "", "d.test", &group);
	assert_string_equal(json_string_value(json_object_get(group, "backing_up_since")), since);
	json_decref(all);
	all = queue_json(w, "", "e.test", &group);
	assert_true(json_is_false(json_object_get(group, "backing_up")));
	assert_true(json_is_null(json_object_get(group, "backing_up_since")));
	assert_true(json_is_null(json_object_get(group, "usual")));
	json_decref(all);

	/* groups that are no destinations, and a listing from elsewhere, have no past */
	all = queue_json(w, "--group reason", NULL, &group);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_true(json_is_null(json_object_get(group, keys[i])));
	json_decref(all);
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
		cmocka_unit_test_setup_teardown(the_cheap_look_comes_back, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(json_says_what_backs_up, set_up, one_server_tear_down),
		cmocka_unit_test(how_long_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
