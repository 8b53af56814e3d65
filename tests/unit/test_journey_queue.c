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
#include <unistd.h>

#include "core/journey/private.h"
#include "mxseal/remedies.h"
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

#define MESSAGE(id, domain) "{\"queue_name\": \"deferred\", \"queue_id\": \"" id "\", \"arrival_time\": 1795000000, \"message_size\": 300, " \
	"\"sender\": \"a\\100b.test\", \"recipients\": [{\"address\": \"c\\100" domain "\", \"delay_reason\": \"x\"}]}\\n"

/* Files of the queue; all one, which is made in less time. */
static void
in_the_spool(const struct one_server *w, unsigned n)
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
taken(struct one_server *w, const char *destinations, struct queue_follow *f)
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
	struct one_server *w = *state;
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
	struct one_server *w = *state;
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

/* What is ours to say of them is said to them; what was seen and heard stays as it was. */
static void
a_letter_speaks_to_them(void **state)
{
	struct one_server *w = *state;
	struct destination_view seen = { .waiting = 3, .diagnosis.evidence = STR_INIT };
	struct str letter = STR_INIT;

	seen.diagnosis.destination = xstrdup("bank.test");
	seen.diagnosis.failure = failure_find("sts-mx-mismatch");
	str_add(&seen.diagnosis.evidence, "Seen from mx1: The mail server is not in their MTA-STS policy: mx.bank.test: their words\n"
	    "The queue says for 3 of 3 recipients: Their server said: Their certificate\nOn our side a push was made\n");
	complaint_text(w->j, w->mx1, &seen, &letter);
	assert_non_null(strstr(letter.s, "mail servers: The mail server is not in your MTA-STS policy\n"));
	assert_non_null(strstr(letter.s, "does not leave here: The mail server is not in your MTA-STS policy.\n"));
	assert_non_null(strstr(letter.s, "\nSeen from mx1: The mail server is not in your MTA-STS policy: mx.bank.test: their words\n"));
	assert_non_null(strstr(letter.s, "3 recipients: Their server said: Their certificate\n"));
	assert_null(strstr(letter.s, "On our side"));
	str_release(&letter);
	destination_view_release(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_cheap_look_comes_back, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(json_says_what_backs_up, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(followed_by_any_spelling, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(very_many_are_followed, set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(a_letter_speaks_to_them, set_up, one_server_tear_down),
		cmocka_unit_test(how_long_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
