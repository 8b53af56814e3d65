/* DNS as a mail host sees it, over TCP through a dialer: a resolver in the test answers from a table. Also what is no name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>

#include "fuzz/memory_stream.h"
#include "mxseal/probe.h"

/* Records as the wire has them, names without compression. */
static const struct record { const char *name; int type; const char *data; size_t len; } records[] = {
	{ "two.test", ns_t_mx, "\0\x14\2m2\3two\4test\0", 15 }, { "two.test", ns_t_mx, "\0\xa\2m1\3two\4test\0", 15 },
	{ "m1.two.test", ns_t_a, "\xc0\0\2\1", 4 }, { "m1.two.test", ns_t_aaaa, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16 },
	{ "m2.two.test", ns_t_a, "\xc0\0\2\2", 4 }, { "m2.two.test", ns_t_a, "\xc0\0\2\3", 4 },
	{ "implicit.test", ns_t_a, "\xc0\0\2\4", 4 },
	{ "null.test", ns_t_mx, "\0\0\0", 3 },
	{ "evil.test", ns_t_mx, "\0\1\4a\033[m\4test\0", 13 }, { "evil.test", ns_t_a, "\xc0\0\2\5", 4 },
	{ "evil.test", ns_t_mx, "\0\1\77x", 4 },
	{ "lonely.test", ns_t_mx, "\0\1\4none\4test\0", 13 },
	{ "nothing.test", ns_t_txt, "\1x", 2 },
};
#define N_RECORDS (sizeof(records) / sizeof(records[0]))

static uint8_t reply[4096];
static const struct stream_ops *plain;
static enum { ANSWER_WELL, ANSWER_SERVFAIL, ANSWER_OTHER_ID, ANSWER_SHORT, ANSWER_NOTHING } manner;
static int questions, dialled;

static void
make_reply(struct memory_stream *m)
{
	char name[256];
	size_t question = m->n_written - 14, n = 14 + question, i;
	int type = m->written[m->n_written - 3] | m->written[m->n_written - 4] << 8, count = 0;
	bool known = false;

	questions++;
	if (ns_name_uncompress(m->written + 2, m->written + m->n_written, m->written + 14, name, sizeof(name)) < 0)
		abort();
	memcpy(reply + 2, m->written + 2, m->n_written - 2);
	for (i = 0; i < N_RECORDS; i++) {
		if (strcasecmp(records[i].name, name) != 0)
			continue;
		known = true;
		if (records[i].type != type)
			continue;
		memcpy(reply + n, "\xc0\x0c", 2);
		reply[n + 2] = 0;
		reply[n + 3] = (uint8_t)type;
		memcpy(reply + n + 4, "\0\1\0\0\0\x3c\0", 7);
		reply[n + 11] = (uint8_t)records[i].len;
		memcpy(reply + n + 12, records[i].data, records[i].len);
		n += 12 + records[i].len;
		count++;
	}
	reply[4] = 0x81;
	reply[5] = manner == ANSWER_SERVFAIL ? 0x82 : known ? 0x80 : 0x83;
	reply[9] = (uint8_t)count;
	if (manner == ANSWER_OTHER_ID)
		reply[2] ^= 1;
	reply[0] = (uint8_t)((n - 2) >> 8);
	reply[1] = (uint8_t)(n - 2);
	m->data = reply;
	m->left = manner == ANSWER_NOTHING ? 0 : manner == ANSWER_SHORT ? n - 5 : n;
}

static ssize_t
answer(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct memory_stream *m = (struct memory_stream *)s;

	if (m->data == NULL)
		make_reply(m);
	return plain->read(s, mem, n, timeout_ms, e);
}

static int
dial(void *arg, const char *address, int port, int timeout_ms, struct stream **out, char peer[64], struct err *e)
{
	static struct stream_ops ops;
	struct memory_stream *m;
	(void)arg;
	(void)timeout_ms;

	dialled++;
	peer[0] = '\0';
	assert_int_equal(port, 53);
	if (strcmp(address, "192.0.2.53") != 0)
		return err_set(e, RC_NET, "%s does not answer", address);
	m = memory_stream_new(NULL, 0, 7);
	plain = m->s.ops;
	ops = *plain;
	ops.read = answer;
	m->s.ops = &ops;
	*out = &m->s;
	return 0;
}

static const struct dialer from_mx1 = { .fn = dial, .from = "mx1" };
static const char conf[] = "# nameserver 192.0.2.99\nsearch x\nnameserver bad\nnameserver 192.0.2.98\nnameserver  192.0.2.53 \n";

static int
ask(const char *domain, struct mx_list *l, struct err *e)
{
	err_clear(e);
	return dns_mx_via(&from_mx1, conf, domain, l, e);
}

static void
good_answers(void **state)
{
	struct mx_list l;
	struct err e;
	(void)state;

	manner = ANSWER_WELL;
	assert_int_equal(ask("Two.test", &l, &e), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0].name, "m1.two.test");
	assert_int_equal(l.v[0].preference, 10);
	assert_int_equal(l.v[0].n_addresses, 2);
	assert_string_equal(l.v[0].addresses[0], "192.0.2.1");
	assert_string_equal(l.v[0].addresses[1], "2001:db8::1");
	assert_int_equal(l.v[1].n_addresses, 2);
	assert_false(l.implicit);
	mx_list_release(&l);

	assert_int_equal(ask("implicit.test", &l, &e), 0);
	assert_true(l.implicit);
	assert_string_equal(l.v[0].addresses[0], "192.0.2.4");
	mx_list_release(&l);

	assert_int_equal(ask("null.test", &l, &e), 0);
	assert_true(l.null_mx);
	assert_int_equal(l.n, 0);
	mx_list_release(&l);

	assert_int_equal(ask("lonely.test", &l, &e), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].n_addresses, 0);
	mx_list_release(&l);

	/* names that are none are not taken: the domain's own address is left */
	assert_int_equal(ask("evil.test", &l, &e), 0);
	assert_true(l.implicit);
	mx_list_release(&l);

	dialled = 0;
	assert_int_equal(ask("192.0.2.7", &l, &e), 0);
	assert_int_equal(dialled, 0);
	assert_string_equal(l.v[0].addresses[0], "192.0.2.7");
	mx_list_release(&l);
}

static void
bad_answers(void **state)
{
	struct mx_list l;
	struct err e;
	(void)state;

	manner = ANSWER_WELL;
	assert_int_equal(ask("unknown.test", &l, &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	assert_int_equal(ask("nothing.test", &l, &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	assert_int_equal(ask("no name at all", &l, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	manner = ANSWER_SERVFAIL;
	assert_int_equal(ask("two.test", &l, &e), -1);
	assert_int_equal(e.code, RC_REMOTE);
	manner = ANSWER_OTHER_ID;
	assert_int_equal(ask("two.test", &l, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	manner = ANSWER_SHORT;
	assert_int_equal(ask("two.test", &l, &e), -1);
	assert_int_equal(e.code, RC_NET);
	manner = ANSWER_NOTHING;
	assert_int_equal(ask("two.test", &l, &e), -1);
	assert_int_equal(e.code, RC_NET);
}

static void
a_report_of_class_dns(void **state)
{
	struct probe_options o = { .timeout_ms = 100 };
	struct probe_report r;
	struct err e;
	(void)state;

	manner = ANSWER_SERVFAIL;
	assert_int_equal(probe_destination(&from_mx1, conf, "two.test", 0, true, &o, NULL, &r, &e), 0);
	assert_string_equal(r.class_name, "dns");
	assert_int_equal(r.n, 0);
	probe_report_release(&r);
	manner = ANSWER_WELL;
	assert_int_equal(probe_destination(&from_mx1, conf, "null.test", 0, true, &o, NULL, &r, &e), 0);
	assert_string_equal(r.class_name, "dns");
	probe_report_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_answers), cmocka_unit_test(bad_answers), cmocka_unit_test(a_report_of_class_dns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
