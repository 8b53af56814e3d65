/* The mirror of a queue: a full listing and looks at what changed give the groups that a reader makes of the listing of that
 * moment; hostile answers, clocks that jump, answers cut anywhere; sets of messages; and when mail for a destination backs up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/queue.h"
#include "mxseal/xalloc.h"

#define FULL \
    "@queue 1000 1 /var/spool/postfix\n@log 7 500\n@json\n" \
    "{\"queue_name\": \"deferred\", \"queue_id\": \"3AAAAAAA01\", \"arrival_time\": 100, \"message_size\": 300, \"sender\": \"a@s.test\", " \
    "\"recipients\": [{\"address\": \"x@bank.test\", \"delay_reason\": \"TLS is required, but was not offered by host mx.bank.test[192.0.2.1]\"}]}\n" \
    "{\"queue_name\": \"deferred\", \"queue_id\": \"4BBBBBBB02\", \"arrival_time\": 200, \"message_size\": 500, \"sender\": \"MAILER-DAEMON\", " \
    "\"recipients\": [{\"address\": \"y@bank.test\", \"delay_reason\": \"lost\"}, {\"address\": \"z@slow.test\"}]}\n" \
    "@dir deferred\n@dir deferred/3\n3AAAAAAA01 400 1700.5\n@dir deferred/4\n4BBBBBBB02 600 1800.25\n@dir hold\n@dir active\n" \
    "@dir incoming\n@dir maildrop\n@end\n"

/* Feeds an answer in pieces. */
static void
hear(struct queue_mirror *m, const char *answer, size_t piece)
{
	size_t len = strlen(answer), k;

	for (; len > 0; answer += k, len -= k) {
		k = piece < len ? piece : len;
		assert_int_equal(queue_mirror_feed(m, answer, k), 0);
	}
}

/* Asks, and checks the words that it asks with ("look - 998 7 500 log"). */
static void
asks(struct queue_mirror *m, const char *words)
{
	struct queue_words w;
	struct str all = STR_INIT;
	struct err e;
	size_t i;

	assert_int_equal(queue_mirror_ask(m, &w, &e), 1);
	for (i = 0; i < w.n; i++)
		str_addf(&all, "%s%s", i > 0 ? " " : "", w.v[i]);
	assert_string_equal(all.s, words);
	str_release(&all);
	queue_words_release(&w);
}

static void
settled(struct queue_mirror *m)
{
	struct queue_words w;
	struct err e;

	assert_int_equal(queue_mirror_ask(m, &w, &e), 0);
}

static struct queue_mirror *
full(size_t piece)
{
	struct queue_mirror *m = queue_mirror_new();

	queue_mirror_begin(m, 1000, false);
	asks(m, "full");
	hear(m, FULL, piece);
	settled(m);
	return m;
}

static void
groups_are(struct queue_mirror *m, enum queue_by by, const char *expected)
{
	struct queue_groups g;
	struct str all = STR_INIT;
	size_t i;

	queue_mirror_groups(m, by, "mx1", &g);
	for (i = 0; i < g.n; i++)
		str_addf(&all, "%s %lld/%lld %lldB oldest %lld deferred %lld retry %lld [%lld %lld %lld %lld]\n", g.v[i].key,
		    (long long)g.v[i].messages, (long long)g.v[i].recipients, (long long)g.v[i].bytes, (long long)g.v[i].oldest,
		    (long long)g.v[i].deferred, (long long)g.v[i].next_retry, (long long)g.v[i].states[0], (long long)g.v[i].states[1],
		    (long long)g.v[i].states[2], (long long)g.v[i].states[3]);
	assert_string_equal(all.s, expected);
	str_release(&all);
	queue_groups_release(&g);
}

static void
a_full_listing(void **state)
{
	size_t piece;
	(void)state;

	for (piece = 1; piece < sizeof(FULL) + 5; piece += piece < 30 ? 1 : 61) {
		struct queue_mirror *m = full(piece);

		groups_are(m, QUEUE_BY_DESTINATION, "bank.test 2/2 800B oldest 100 deferred 2 retry 1700 [0 2 0 0]\n"
		    "slow.test 1/1 500B oldest 200 deferred 0 retry 1800 [0 1 0 0]\n");
		groups_are(m, QUEUE_BY_SENDER, "s.test 1/1 300B oldest 100 deferred 1 retry 1700 [0 1 0 0]\n"
		    "MAILER-DAEMON 1/2 500B oldest 200 deferred 1 retry 1800 [0 1 0 0]\n");
		groups_are(m, QUEUE_BY_SERVER, "mx1 2/3 800B oldest 100 deferred 2 retry 1700 [0 2 0 0]\n");
		queue_mirror_free(m);
	}
}

/* One is gone, one was put on hold, one is new (its names odd), and the log says that one was tried. */
static void
what_changed(void **state)
{
	static const char look[] = "@queue 1010 1 /var/spool/postfix\n@log 7 900\n3AAAAAAA01\nnot an id\n"
	    "@dir deferred\n@dir deferred/3\n3AAAAAAA01\n@same deferred/4\n@dir hold\n5CCCCCCC03\n../etc/passwd\n@dir active\n@dir incoming\n@end\n";
	static const char read[] = "@times\ndeferred/3/3AAAAAAA01 400 2100.1\nhold/5CCCCCCC03 700 1009.1\n@envelopes\n"
	    "*** ENVELOPE RECORDS hold/5CCCCCCC03 ***\nmessage_size:             444             651               2               0             444               0\n"
	    "message_arrival_time: Thu Jan  1 00:05:00 1970\nsender: \nrecipient: a b@odd.test\nrecipient: q@slow.test\n@reasons\n"
	    "defer/3/3AAAAAAA01:recipient=x@bank.test\ndefer/3/3AAAAAAA01:reason=connect to mx.bank.test[192.0.2.1]:25: Connection timed out\n"
	    "defer/5/5CCCCCCC03:recipient=\"a b\"@odd.test\ndefer/5/5CCCCCCC03:reason=later\n@end\n";
	size_t piece;
	(void)state;

	for (piece = 1; piece < 3000; piece = piece * 3 + 1) {
		struct queue_mirror *m = full(100);
		struct queue_look l;

		queue_mirror_begin(m, 11000, false);
		asks(m, "look - 998 7 500 log");
		hear(m, look, piece);
		asks(m, "read - thold/5CCCCCCC03,deferred/3/3AAAAAAA01 ehold/5CCCCCCC03 rdefer/5/5CCCCCCC03,defer/3/3AAAAAAA01");
		hear(m, read, piece);
		settled(m);
		queue_mirror_looked(m, &l);
		assert_false(l.full);
		assert_int_equal(l.read, 2);
		groups_are(m, QUEUE_BY_DESTINATION, "bank.test 2/2 800B oldest 100 deferred 2 retry 1800 [0 2 0 0]\n"
		    "slow.test 2/2 944B oldest 200 deferred 0 retry 1800 [0 1 1 0]\n"
		    "odd.test 1/1 444B oldest 300 deferred 1 retry 0 [0 0 1 0]\n");
		queue_mirror_free(m);
	}
}

/* Where the queue is is said again; names come as ls lists them, after what is only being handed in. */
static void
lists(void **state)
{
	struct queue_mirror *m = full(1000);
	(void)state;

	queue_mirror_begin(m, 11000, false);
	asks(m, "look - 998 7 500 log");
	hear(m, "@queue 1010 1\n@place 9 8 7|/var/spool/postfix|1|deferred, defer|/var/log/mail.log|/etc/postfix\n@log 7 500\n"
	    "@same deferred/4\n@dir incoming\n6DDDDDDD04\nfind: 'x': No such file or directory\n@lists\n/dev/null\n\n"
	    "deferred:\n3\n4\n\ndeferred/3:\n3AAAAAAA01\n\n../x:\n7EEEEEEE05\n\nhold:\n5CCCCCCC03\n@end\n", 7);
	asks(m, "read 9 8 7|/var/spool/postfix|1|deferred, defer|/var/log/mail.log|/etc/postfix tincoming/6DDDDDDD04,hold/5CCCCCCC03 "
	    "eincoming/6DDDDDDD04,hold/5CCCCCCC03 rdefer/6/6DDDDDDD04,defer/5/5CCCCCCC03");
	hear(m, "@times\n@end\n", 7);
	settled(m);
	assert_int_equal(queue_mirror_messages(m), 2);
	queue_mirror_begin(m, 12000, false);
	asks(m, "look 9 8 7|/var/spool/postfix|1|deferred, defer|/var/log/mail.log|/etc/postfix 1008 7 500 log");
	hear(m, "@queue 1011 1\n@place $(reboot)\n@log 7 500\n@same deferred/4\n@same deferred/3\n@end\n", 7);
	settled(m);
	queue_mirror_begin(m, 13000, false);
	asks(m, "look - 1009 7 500 log");
	queue_mirror_free(m);
}

/* Some of several recipients were served: the envelope has to be read as well. An active one forgets its reason. */
static void
served_in_part(void **state)
{
	struct queue_mirror *m = full(1000);
	(void)state;

	queue_mirror_begin(m, 11000, false);
	asks(m, "look - 998 7 500 log");
	hear(m, "@queue 1010 1 /q\n@log 7 900\n4BBBBBBB02\n@same deferred/4\n@dir active\n3AAAAAAA01\n@end\n", 9);
	asks(m, "read - tactive/3AAAAAAA01,deferred/4/4BBBBBBB02 rdefer/3/3AAAAAAA01,defer/4/4BBBBBBB02");
	hear(m, "@times\nactive/3AAAAAAA01 400 2000\ndeferred/4/4BBBBBBB02 600 2500\n@envelopes\n@reasons\n"
	    "defer/4/4BBBBBBB02:recipient=y@bank.test\ndefer/4/4BBBBBBB02:reason=lost\n@end\n", 11);
	asks(m, "read - tdeferred/4/4BBBBBBB02 edeferred/4/4BBBBBBB02 rdefer/4/4BBBBBBB02");
	hear(m, "@times\ndeferred/4/4BBBBBBB02 600 2500\n@envelopes\n*** ENVELOPE RECORDS deferred/4/4BBBBBBB02 ***\nmessage_size: 500\n"
	    "message_arrival_time: Thu Jan  1 00:03:20 1970\nsender: \nrecipient: y@bank.test\n@reasons\n"
	    "defer/4/4BBBBBBB02:recipient=y@bank.test\ndefer/4/4BBBBBBB02:reason=lost\n@end\n", 11);
	settled(m);
	groups_are(m, QUEUE_BY_DESTINATION, "bank.test 2/2 800B oldest 100 deferred 1 retry 2500 [1 1 0 0]\n");
	queue_mirror_free(m);
}

/* An envelope that nobody asked for is text of a message: the look becomes a full one. So it does when a clock jumps. */
static void
not_believed(void **state)
{
	static const char *const answers[] = {
		"@queue 1010 1 /q\n@log 7 900\n",                                                          /* cut */
		"@queue 5000 1 /q\n@log 7 900\n@dir deferred/3\n3AAAAAAA01\n@dir deferred/4\n4BBBBBBB02\n@end\n",
		"@queue 900 1 /q\n@log 7 900\n@dir deferred/3\n3AAAAAAA01\n@dir deferred/4\n4BBBBBBB02\n@end\n",
	};
	struct queue_words w;
	struct err e;
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct queue_mirror *m = full(1000);

		queue_mirror_begin(m, 11000, false);
		asks(m, "look - 998 7 500 log");
		hear(m, answers[i], 1000);
		asks(m, "full");
		hear(m, FULL, 1000);
		settled(m);
		queue_mirror_free(m);
	}
	struct queue_mirror *m = full(1000);
	queue_mirror_begin(m, 11000, false);
	asks(m, "look - 998 7 500 log");
	hear(m, "@queue 1010 1 /q\n@log 7 900\n@same deferred/3\n@same deferred/4\n@dir hold\n5CCCCCCC03\n@end\n", 1000);
	asks(m, "read - thold/5CCCCCCC03 ehold/5CCCCCCC03 rdefer/5/5CCCCCCC03");
	hear(m, "@times\nhold/5CCCCCCC03 1 1000\n@envelopes\n*** ENVELOPE RECORDS hold/5CCCCCCC03 ***\nsender: x\n"
	    "recipient: a\n*** ENVELOPE RECORDS deferred/3/3AAAAAAA01 ***\nsender: forged\n@end\n", 1000);
	asks(m, "full");
	hear(m, "@queue 1010 1 /q\n@no busy\n", 5);
	assert_int_equal(queue_mirror_ask(m, &w, &e), -1);
	assert_int_equal(e.code, RC_LOCKED);
	queue_mirror_free(m);
}

static void
sets_of_messages(void **state)
{
	struct queue_mirror *m = full(1000);
	struct queue_ids ids;
	(void)state;

	queue_mirror_ids(m, QUEUE_BY_DESTINATION, "bank.test", &ids);
	assert_int_equal(ids.n, 2);
	ids.v[1].arrival++;              /* the id is another message's by now */
	assert_int_equal(queue_mirror_still(m, &ids), 1);
	assert_int_equal(ids.n, 1);
	assert_string_equal(ids.v[0].id, "3AAAAAAA01");
	queue_ids_release(&ids);
	queue_mirror_ids(m, QUEUE_BY_DESTINATION, "nobody.test", &ids);
	assert_int_equal(ids.n, 0);
	queue_ids_release(&ids);
	queue_mirror_ids(m, QUEUE_BY_REASON, "(no reason yet)", &ids);
	assert_int_equal(ids.n, 1);
	queue_ids_release(&ids);
	queue_mirror_free(m);
}

/* Long ids are hashed by their microseconds. */
static void
long_ids(void **state)
{
	struct queue_mirror *m = queue_mirror_new();
	(void)state;

	queue_mirror_begin(m, 1000, false);
	asks(m, "full");
	hear(m, "@queue 1000 2 /q\n@log 0 0\n@json\n@dir deferred/E/B\n4hLxTX6rB6z5jCS 400 1700\n@end\n", 7);
	asks(m, "read - tdeferred/E/B/4hLxTX6rB6z5jCS edeferred/E/B/4hLxTX6rB6z5jCS rdefer/E/B/4hLxTX6rB6z5jCS");
	queue_mirror_free(m);
}

static void
cell(struct queue_cell_list *l, int64_t at, int64_t high)
{
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = (struct queue_cell){ at, high, high, 0 };
}

static void
backing_up(void **state)
{
	const int64_t now = 1790000000 / 3600 * 3600, day = 86400;
	struct queue_cell_list own = { NULL, 0 }, watched = { NULL, 0 };
	struct queue_now q = { now, 400, now - 4000, 200 };
	int64_t usual = -1;
	int days, k;
	(void)state;

	assert_false(queue_usual(&own, &watched, now, &usual, &days));      /* nobody ever looked */
	for (k = 1; k <= 5; k++)
		cell(&watched, now - k * 3600, 50);
	assert_true(queue_usual(&own, &watched, now, &usual, &days));
	assert_int_equal(usual, 0);
	assert_int_equal(days, 0);
	assert_true(queue_backs_up(&q, usual, false));
	q.oldest = now - 30;                                                /* just sent */
	assert_false(queue_backs_up(&q, usual, false));
	q.oldest = now - 4000;
	q.before = 900;                                                     /* it drains */
	assert_false(queue_backs_up(&q, usual, false));
	q.before = 200;
	/* it has always been like that; one day was worse */
	for (k = 1; k <= 12; k++) {
		cell(&watched, now - k * day - 7200, 900);
		cell(&own, now - k * day - 7200, k == 3 ? 5000 : 380);
	}
	assert_true(queue_usual(&own, &watched, now, &usual, &days));
	assert_int_equal(usual, 380);
	assert_int_equal(days, 12);
	assert_false(queue_backs_up(&q, usual, false));
	q.messages = 1200;
	assert_true(queue_backs_up(&q, usual, false));
	/* an alarm stays until it is half gone */
	q.messages = 700;
	assert_false(queue_backs_up(&q, usual, false));
	assert_true(queue_backs_up(&q, usual, true));
	q.messages = 500;
	assert_false(queue_backs_up(&q, usual, true));
	/* what comes every week on this day */
	own.n = watched.n = 0;
	for (k = 1; k <= 20; k++) {
		cell(&watched, now - k * day - 7200, 900);
		if (k == 6 || k == 13 || k == 20)
			cell(&own, now - k * day - 7200, 4000);
	}
	assert_true(queue_usual(&own, &watched, now, &usual, &days));
	assert_int_equal(usual, 4000);
	free(own.v);
	free(watched.v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_listing),
		cmocka_unit_test(what_changed),
		cmocka_unit_test(lists),
		cmocka_unit_test(served_in_part),
		cmocka_unit_test(not_believed),
		cmocka_unit_test(sets_of_messages),
		cmocka_unit_test(long_ids),
		cmocka_unit_test(backing_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
