/* The scanner of queue listings: counts by destination, reason, sender and server; any key order; bad lines; the same result
 * however the input is cut into pieces; and agreement with a JSON library on generated listings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "mxseal/queue.h"

static const char listing[] =
    "{\"queue_name\": \"deferred\", \"queue_id\": \"A1\", \"arrival_time\": 200, \"message_size\": 1000, \"forced_expire\": "
    "false, \"sender\": \"s@one.test\", \"recipients\": [{\"address\": \"a@X.test\", \"delay_reason\": \"TLS is required, but "
    "was not offered by host mx.x.test[192.0.2.1]\"}, {\"address\": \"b@x.TEST\", \"delay_reason\": \"delivery temporarily "
    "suspended: TLS is required, but was not offered by host mx2.x.test[192.0.2.2]\"}, {\"address\": \"c@y.test\"}]}\n"
    "{\"recipients\": [{\"delay_reason\": \"connect to mx.x.test[192.0.2.1]:25: Connection timed out\", \"address\": "
    "\"d@x.test\", \"orig_address\": \"z@w.test\"}], \"new\": {\"a\": [1, {\"address\": \"no@no.test\"}, \"recipients\"]}, "
    "\"message_size\": 500, \"arrival_time\": 100, \"queue_id\": \"B2\", \"sender\": \"MAILER-DAEMON\", "
    "\"queue_name\": \"deferred\"}\n"
    "postqueue: warning: something\n"
    "{\"queue_id\": \"C3\", \"recipients\": [{\"address\": \"cut@x.test\"\n"
    "\n"
    "{\"queue_id\": \"D4\", \"sender\": \"s@ONE.test\", \"message_size\": 7, \"recipients\": [{\"address\": "
    "\"\\u00e9\\\"q@x.test\", \"delay_reason\": \"conn\\u0065ct to mx.x.test[192.0.2.1]:25: Connection timed out\"}]}\r\n"
    "{\"a\": 1}\n"
    "{\"queue_id\": \"E5\", \"recipients\": []}\n";

static void
read_all(struct queue_reader *q, const char *s, size_t n, size_t piece)
{
	size_t k;

	for (; n > 0; s += k, n -= k) {
		k = piece < n ? piece : n;
		assert_int_equal(queue_reader_feed(q, s, k), 0);
	}
}

static const struct queue_group *
group(const struct queue_groups *g, const char *key)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (strcmp(g->v[i].key, key) == 0)
			return &g->v[i];
	fail_msg("no group %s", key);
	return NULL;
}

static void
by_destination(void **state)
{
	size_t piece;
	(void)state;

	for (piece = 1; piece < sizeof(listing) + 10; piece += piece < 40 ? 1 : 97) {
		struct queue_reader *q = queue_reader_new(QUEUE_BY_DESTINATION, "mx1", "x.test", 10);
		struct queue_groups g;
		struct queue_messages m;
		const struct queue_group *x;

		read_all(q, listing, sizeof(listing) - 1, piece);
		queue_reader_end(q, &g);
		assert_int_equal(queue_reader_messages(q), 4);
		assert_int_equal(queue_reader_bad_lines(q), 3);
		assert_int_equal(g.n, 2);
		x = group(&g, "x.test");
		assert_ptr_equal(x, &g.v[0]);
		assert_int_equal(x->messages, 3);
		assert_int_equal(x->recipients, 4);
		assert_int_equal(x->bytes, 1507);
		assert_int_equal(x->oldest, 100);
		assert_int_equal(x->deferred, 3);
		assert_int_equal(x->failure_recipients, 2);
		assert_string_equal(group(&g, "y.test")->key, "y.test");
		assert_int_equal(group(&g, "y.test")->messages, 1);
		assert_int_equal(group(&g, "y.test")->deferred, 0);
		assert_null(group(&g, "y.test")->failure);
		queue_reader_taken(q, &m);
		assert_int_equal(m.n, 3);
		assert_string_equal(m.v[0].id, "A1");
		assert_string_equal(m.v[0].queue, "deferred");
		assert_string_equal(m.v[0].sender, "s@one.test");
		assert_string_equal(m.v[0].recipient, "a@X.test");
		assert_int_equal(m.v[0].recipients, 2);
		assert_string_equal(m.v[0].failure->name, "tls-not-offered");
		assert_string_equal(m.v[1].recipient, "d@x.test");
		assert_string_equal(m.v[1].failure->name, "connect-timeout");
		assert_int_equal(m.v[1].arrival, 100);
		assert_string_equal(m.v[2].recipient, "\xc3\xa9\"q@x.test");
		queue_messages_release(&m);
		queue_groups_release(&g);
		queue_reader_free(q);
	}
}

/* Equal causes share a folded reason; no group is told in the words of another. */
static void
own_words(void **state)
{
	static const char two[] =
	    "{\"queue_id\":\"A1\",\"recipients\":[{\"address\":\"u@one.test\",\"delay_reason\":\"connect to mx.one.test[192.0.2.1]:25: "
	    "Connection refused\"}]}\n"
	    "{\"queue_id\":\"A2\",\"recipients\":[{\"address\":\"u@two.test\",\"delay_reason\":\"connect to mx.two.test[192.0.2.2]:25: "
	    "Connection refused\"}]}\n"
	    "{\"queue_id\":\"A3\",\"recipients\":[{\"address\":\"u@three.test\",\"delay_reason\":\"host mx.three.test[192.0.2.3] said: "
	    "451 later (in reply to RCPT TO command)\"}]}\n";
	struct queue_reader *q = queue_reader_new(QUEUE_BY_DESTINATION, "mx1", NULL, 0);
	struct queue_groups g;
	(void)state;

	read_all(q, two, sizeof(two) - 1, 7);
	queue_reader_end(q, &g);
	assert_string_equal(group(&g, "one.test")->reason, "connect to HOST:N: Connection refused");
	assert_string_equal(group(&g, "two.test")->reason, "connect to HOST:N: Connection refused");
	assert_string_equal(group(&g, "two.test")->failure->name, "connect-refused");
	assert_non_null(strstr(group(&g, "three.test")->reason, "mx.three.test"));
	queue_groups_release(&g);
	queue_reader_free(q);
}

static void
by_others(void **state)
{
	static const struct { enum queue_by by; const char *key; int messages, recipients; } rows[] = {
		{ QUEUE_BY_SENDER, "one.test", 2, 4 }, { QUEUE_BY_SENDER, "MAILER-DAEMON", 1, 1 },
		{ QUEUE_BY_SERVER, "mx1", 3, 5 },
		{ QUEUE_BY_REASON, "connect to HOST:N: Connection timed out", 2, 2 },
		{ QUEUE_BY_REASON, "TLS is required, but was not offered by host HOST", 1, 2 },
		{ QUEUE_BY_REASON, "(no reason yet)", 1, 1 },
	};
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct queue_reader *q = queue_reader_new(rows[i].by, "mx1", NULL, 0);
		struct queue_groups g;

		read_all(q, listing, sizeof(listing) - 1, 4096);
		queue_reader_end(q, &g);
		assert_int_equal(group(&g, rows[i].key)->messages, rows[i].messages);
		assert_int_equal(group(&g, rows[i].key)->recipients, rows[i].recipients);
		queue_groups_release(&g);
		queue_reader_free(q);
	}
}

static void
merging(void **state)
{
	struct queue_groups g[2];
	struct queue_reader *q;
	int i;
	(void)state;

	for (i = 0; i < 2; i++) {
		q = queue_reader_new(QUEUE_BY_DESTINATION, "mx", NULL, 0);
		read_all(q, listing, i == 0 ? sizeof(listing) - 1 : 520, 333);
		queue_reader_end(q, &g[i]);
		queue_reader_free(q);
	}
	queue_groups_merge(&g[0], &g[1]);
	assert_int_equal(g[0].n, 2);
	assert_int_equal(group(&g[0], "x.test")->messages, 4);
	assert_int_equal(group(&g[0], "x.test")->oldest, 100);
	queue_groups_release(&g[0]);
	queue_groups_release(&g[1]);
	queue_groups_merge(&g[0], &g[1]);        /* nothing waits anywhere */
	assert_int_equal(g[0].n, 0);
	queue_groups_release(&g[0]);
}

/* A message with 50,000 recipients: one line of several megabytes. */
static void
long_line(void **state)
{
	struct queue_reader *q = queue_reader_new(QUEUE_BY_DESTINATION, "mx1", "d7.test", 5);
	struct queue_groups g;
	struct queue_messages m;
	struct str s = STR_INIT;
	int i;
	(void)state;

	str_add(&s, "{\"queue_id\": \"L1\", \"recipients\": [");
	for (i = 0; i < 50000; i++)
		str_addf(&s, "%s{\"address\": \"u%d@d%d.test\", \"delay_reason\": \"Server certificate not verified\"}",
		    i > 0 ? ", " : "", i, i % 100);
	str_add(&s, "]}\n");
	read_all(q, s.s, s.len, 65536);
	queue_reader_end(q, &g);
	assert_int_equal(g.n, 100);
	assert_int_equal(group(&g, "d42.test")->messages, 1);
	assert_int_equal(group(&g, "d42.test")->recipients, 500);
	assert_string_equal(group(&g, "d42.test")->failure->name, "cert-not-verified");
	queue_reader_taken(q, &m);
	assert_int_equal(m.n, 1);
	assert_int_equal(m.v[0].recipients, 500);
	queue_messages_release(&m);
	queue_groups_release(&g);
	queue_reader_free(q);
	str_release(&s);
}

/* Strings beyond the ceiling, deep nesting, bytes that are no UTF-8. */
static void
hostile(void **state)
{
	struct queue_reader *q = queue_reader_new(QUEUE_BY_DESTINATION, "mx1", NULL, 100);
	struct queue_groups g;
	struct str s = STR_INIT;
	int i;
	(void)state;

	str_add(&s, "{\"queue_id\": \"H1\", \"recipients\": [{\"address\": \"");
	for (i = 0; i < 100000; i++)
		str_add(&s, i % 2 ? "\xff" : "\xc3");
	str_add(&s, "@x.test\"}]}\n{\"queue_id\":\"H2\",\"x\":");
	for (i = 0; i < 1000; i++)
		str_add(&s, "[{\"a\":");
	str_add(&s, "\n{\"queue_id\":\"H3\",\"recipients\":[{\"address\":\"\\ud800\\u0000\\udc00@y.test\"}]}");
	read_all(q, s.s, s.len, 1000);
	queue_reader_end(q, &g);
	assert_int_equal(queue_reader_messages(q), 2);
	assert_int_equal(queue_reader_bad_lines(q), 1);
	assert_int_equal(group(&g, "y.test")->messages, 1);
	queue_groups_release(&g);
	queue_reader_free(q);
	str_release(&s);
}

/* Random listings: recipients per domain as jansson counts them. */
static void
like_a_library(void **state)
{
	unsigned seed = 42;
	int round, i, j;
	(void)state;

	for (round = 0; round < 50; round++) {
		struct queue_reader *q = queue_reader_new(QUEUE_BY_DESTINATION, "mx1", NULL, 0);
		json_t *counts = json_object();
		struct queue_groups g;

		for (i = 0; i < 20; i++) {
			json_t *m = json_object(), *list = json_array();
			char text[64], *line;

			for (j = rand_r(&seed) % 5; j >= 0; j--) {
				json_t *r = json_object();

				snprintf(text, sizeof(text), "u\"\\\t%d@d%d.test", rand_r(&seed) % 100, rand_r(&seed) % 7);
				json_object_set_new(counts, strchr(text, '@') + 1,
				    json_integer(json_integer_value(json_object_get(counts, strchr(text, '@') + 1)) + 1));
				json_object_set_new(r, "address", json_string(text));
				json_object_set_new(r, "delay_reason", json_string("x"));
				json_array_append_new(list, r);
			}
			json_object_set_new(m, "recipients", list);
			json_object_set_new(m, "queue_id", json_string("A"));
			json_object_set_new(m, "arrival_time", json_integer(rand_r(&seed)));
			line = json_dumps(m, JSON_COMPACT | (round % 2 ? JSON_SORT_KEYS : 0) | (round % 3 ? JSON_ENSURE_ASCII : 0));
			read_all(q, line, strlen(line), 1 + (size_t)(rand_r(&seed) % 50));
			read_all(q, "\n", 1, 1);
			free(line);
			json_decref(m);
		}
		queue_reader_end(q, &g);
		assert_int_equal(queue_reader_bad_lines(q), 0);
		assert_int_equal(g.n, json_object_size(counts));
		for (i = 0; i < (int)g.n; i++)
			assert_int_equal(g.v[i].recipients, json_integer_value(json_object_get(counts, g.v[i].key)));
		queue_groups_release(&g);
		queue_reader_free(q);
		json_decref(counts);
	}
}

static void
grouping_words(void **state)
{
	enum queue_by by;
	struct err e;
	(void)state;

	assert_int_equal(queue_by_parse(&by, "reason", &e), 0);
	assert_int_equal(by, QUEUE_BY_REASON);
	assert_int_equal(queue_by_parse(&by, "colour", &e), -1);
	assert_int_equal(e.code, RC_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_destination), cmocka_unit_test(own_words), cmocka_unit_test(by_others), cmocka_unit_test(merging),
		cmocka_unit_test(long_line), cmocka_unit_test(hostile), cmocka_unit_test(like_a_library),
		cmocka_unit_test(grouping_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
