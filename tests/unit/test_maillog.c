/* Who brought and who took mail without TLS: lines of a real Postfix joined by process, both forms of time stamp, what must not
 * count; and the script that reads a host's log, run here over rotated and packed files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include <cmocka.h>

#include "core/maillog/private.h"
#include "core/mailsys/postfix.h"
#include "mxseal/maillog.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

#define NOW INT64_C(1795727361)      /* Thu Nov 26 21:09:21 UTC 2026 */
#define REAL_FIGURES "out bannerhang.test 6 6 -; in 198.51.100.2 4 2 TLSv1.3 failed 1; in 127.0.0.1 2 2 -; out good.test 3 1 TLSv1.3; " \
	"in 198.51.100.11 1 1 -; out notls.test 1 1 -; out refused.test 1 1 -; out tls10.test 0 0 - +1"
#define CLOCK "-- now 1795727361 2026 11 26 21 09 21\n"

/* "in mx.a.test 2 1 TLSv1.2; out b.test 1 0 - +2": peer, messages, of them in clear, oldest, beside them not delivered. */
static char *
figures(const char *text, int days, size_t piece)
{
	struct maillog *m = maillog_new(NOW, days);
	struct maillog_figures f;
	struct str out = STR_INIT;
	size_t i, len = strlen(text), n;

	for (i = 0; i < len; i += n) {
		n = piece && piece < len - i ? piece : len - i;
		maillog_feed(m, text + i, n);
	}
	maillog_figures(m, &f);
	for (i = 0; i < f.traffic.n; i++) {
		str_addf(&out, "%s%s %s %lld %lld %s", i ? "; " : "", f.traffic.v[i].direction, f.traffic.v[i].peer,
		    (long long)f.traffic.v[i].messages, (long long)f.traffic.v[i].clear, f.traffic.v[i].oldest ? f.traffic.v[i].oldest : "-");
		if (f.traffic.v[i].waiting)
			str_addf(&out, " +%lld", (long long)f.traffic.v[i].waiting);
		if (f.traffic.v[i].unnamed)
			str_addf(&out, " tls %lld", (long long)f.traffic.v[i].unnamed);
		if (f.traffic.v[i].failed)
			str_addf(&out, " failed %lld", (long long)f.traffic.v[i].failed);
	}
	maillog_figures_release(&f);
	maillog_free(m);
	return str_take(&out);
}

static const struct { const char *what, *log, *figures; int days; } cases[] = {
	{ "without lines about TLS the end of a session says whether there was any", CLOCK
	  "Nov 26 21:00:01 mx1 postfix/smtpd[101]: connect from mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:02 mx1 postfix/smtpd[101]: 4E1A83F0B2: client=mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:02 mx1 postfix/smtpd[101]: disconnect from mx.a.test[192.0.2.1] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7\n"
	  "Nov 26 21:00:03 mx1 postfix/smtpd[101]: connect from mx.b.test[192.0.2.2]\n"
	  "Nov 26 21:00:03 mx1 postfix/smtpd[101]: disconnect from mx.b.test[192.0.2.2] ehlo=1 starttls=0/1 commands=1/2\n"
	  "Nov 26 21:00:04 mx1 postfix/smtpd[101]: connect from mx.b.test[192.0.2.2]\n"
	  "Nov 26 21:00:04 mx1 postfix/smtpd[101]: 4E1A83F0B4: client=mx.b.test[192.0.2.2]\n"
	  "Nov 26 21:00:04 mx1 postfix/smtpd[101]: disconnect from mx.b.test[192.0.2.2] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
	  "Nov 26 21:00:05 mx1 postfix/smtps/smtpd[103]: connect from mx.c.test[192.0.2.3]\n"
	  "Nov 26 21:00:05 mx1 postfix/smtps/smtpd[103]: 4E1A83F0B5: client=mx.c.test[192.0.2.3]\n",
	  "in mx.b.test 1 1 - failed 1; in mx.a.test 1 0 - tls 1; in mx.c.test 1 0 - tls 1", 7 },
	{ "a client with TLS and one without", CLOCK
	  "Nov 26 21:00:01 mx1 postfix/smtpd[101]: connect from mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/smtpd[102]: connect from unknown[192.0.2.2]\n"
	  "Nov 26 21:00:01 mx1 postfix/smtpd[101]: Anonymous TLS connection established from mx.a.test[192.0.2.1]: TLSv1.2 with cipher "
	  "ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)\n"
	  "Nov 26 21:00:02 mx1 postfix/smtpd[101]: 4E1A83F0B2: client=mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:02 mx1 postfix/smtpd[102]: 4E1A83F0B3: client=unknown[192.0.2.2], sasl_method=PLAIN, sasl_username=x\n"
	  "Nov 26 21:00:03 mx1 postfix/smtpd[101]: 4E1A83F0B4: client=mx.a.test[192.0.2.1]\n",
	  "in 192.0.2.2 1 1 -; in mx.a.test 2 0 TLSv1.2", 7 },
	{ "the next session of the same process has none", CLOCK
	  "Nov 26 21:00:01 mx1 postfix/smtpd[101]: connect from mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/smtpd[101]: Trusted TLS connection established from mx.a.test[192.0.2.1] to mx1.test: TLSv1.3 with "
	  "cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519\n"
	  "Nov 26 21:00:02 mx1 postfix/smtpd[101]: 4E1A83F0B2: client=mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:02 mx1 postfix/smtpd[101]: disconnect from mx.a.test[192.0.2.1] ehlo=2 starttls=1 mail=1\n"
	  "Nov 26 21:00:03 mx1 postfix/smtpd[101]: connect from mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:03 mx1 postfix/smtpd[101]: 4E1A83F0B5: client=mx.a.test[192.0.2.1]\n",
	  "in mx.a.test 2 1 TLSv1.3", 7 },
	{ "deliveries: with TLS, without, and a process that had it for another message", CLOCK
	  "Nov 26 21:00:01 mx1 postfix/smtp[201]: Untrusted TLS connection established to mx.b.test[192.0.2.9]:25: TLSv1.3 with cipher "
	  "TLS_AES_256_GCM_SHA384 (256/256 bits)\n"
	  "Nov 26 21:00:01 mx1 postfix/smtp[201]: 3A5C41: to=<x@B.test>, relay=mx.b.test[192.0.2.9]:25, delay=0.1, "
	  "delays=0/0/0.1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1)\n"
	  "Nov 26 21:00:01 mx1 postfix/smtp[201]: 3A5C41: to=<y@b.test>, relay=mx.b.test[192.0.2.9]:25, delay=0.1, "
	  "delays=0/0/0.1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1)\n"
	  "Nov 26 21:00:05 mx1 postfix/smtp[201]: 3A5C42: to=<x@b.test>, relay=mx.b.test[192.0.2.9]:25, delay=0.1, "
	  "delays=0/0/0.1/0, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 2)\n"
	  "Nov 26 21:00:06 mx1 postfix/bank-out/smtp[202]: 3A5C43: to=<x@c.test>, orig_to=<z@d.test>, relay=mx.c.test[192.0.2.8]:25, "
	  "delay=0.1, delays=0/0/0.1/0, dsn=2.0.0, status=sent (250 Ok)\n"
	  "Nov 26 21:00:07 mx1 postfix/smtp[203]: 3A5C44: to=<x@e.test>, relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, "
	  "status=deferred (connect to mx.e.test[192.0.2.7]:25: Connection timed out)\n",
	  "out b.test 2 1 TLSv1.3; out c.test 1 1 -; out e.test 0 0 - +1", 7 },
	{ "one message tried again and again is one, whatever came first in the files, and one returned counts too", CLOCK
	  "Nov 26 21:00:05 mx1 postfix/smtp[201]: 3A5C41: to=<x@late.test>, relay=mx.late.test[192.0.2.9]:25, status=sent (250 Ok)\n"
	  "Nov 26 20:00:05 mx1 postfix/smtp[201]: 3A5C41: to=<x@late.test>, relay=none, status=deferred (connect to x: timed out)\n"
	  "Nov 26 21:00:06 mx1 postfix/smtp[202]: 3A5C42: to=<x@then.test>, relay=none, status=deferred (TLS is required)\n"
	  "Nov 26 21:00:07 mx1 postfix/error[203]: 3A5C42: to=<y@then.test>, relay=none, status=deferred (delivery temporarily suspended: x)\n"
	  "Nov 26 21:00:08 mx1 postfix/smtp[202]: 3A5C42: to=<x@then.test>, relay=mx.then.test[192.0.2.8]:25, status=sent (250 Ok)\n"
	  "Nov 26 21:00:09 mx1 postfix/smtp[202]: 3A5C43: to=<x@no.test>, relay=mx.no.test[192.0.2.7]:25, status=bounced (550 no)\n",
	  "out late.test 1 1 -; out then.test 1 1 -; out no.test 0 0 - +1", 7 },
	{ "a connection that is used again", CLOCK
	  "Nov 26 21:00:01 mx1 postfix/smtp[201]: Verified TLS connection reused to mx.b.test[2001:db8::1]:25: TLSv1.2 with cipher X (1/1)\n"
	  "Nov 26 21:00:01 mx1 postfix/smtp[201]: 3A5C41: to=<x@b.test>, relay=mx.b.test[2001:db8::1]:25, conn_use=2, delay=0.1, "
	  "status=sent (250 Ok)\n", "out b.test 1 0 TLSv1.2", 7 },
	{ "stamps of RFC 3339 and of the journal; too old ones", CLOCK
	  "2026-11-26T22:00:00.123456+01:00 mx1 postfix/smtpd[1]: 4E1A83F0B1: client=a.test[192.0.2.1]\n"
	  "2026-11-26T20:00:00+0000 mx1 postfix/smtpd[1]: 4E1A83F0B2: client=b.test[192.0.2.1]\n"
	  "2026-11-19T20:00:00Z mx1 postfix/smtpd[1]: 4E1A83F0B3: client=c.test[192.0.2.1]\n"
	  "Nov 19 20:00:00 mx1 postfix/smtpd[1]: 4E1A83F0B4: client=d.test[192.0.2.1]\n"
	  "Nov 27 20:00:00 mx1 postfix/smtpd[1]: 4E1A83F0B5: client=e.test[192.0.2.1]\n",
	  "in a.test 1 1 -; in b.test 1 1 -; in e.test 1 1 -", 7 },
	{ "a month that has not been yet was last year's", CLOCK
	  "Dec  1 20:00:00 mx1 postfix/smtpd[1]: 4E1A83F0B4: client=d.test[192.0.2.1]\n", "", 7 },
	{ "a client that writes into the log what it would like to read there", CLOCK
	  "Nov 26 21:00:01 mx1 postfix/smtpd[101]: connect from mx.a.test[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/smtpd[101]: improper command pipelining after EHLO from mx.a.test[192.0.2.1]: x\\r\\nTrusted TLS "
	  "connection established from mx.a.test[192.0.2.1]: TLSv1.3 with cipher\n"
	  "Nov 26 21:00:02 mx1 postfix/smtpd[101]: 4E1A83F0B2: client=mx.a.test[192.0.2.1]\n", "in mx.a.test 1 1 -", 7 },
	{ "what is not Postfix, not ours to count, or not a line", CLOCK
	  "Nov 26 21:00:01 mx1 sshd[1]: 4E1A83F0B4: client=d.test[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/mxseal-check/smtpd[1]: 4E1A83F0B4: client=d.test[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/smtpd[1]: NOQUEUE: client=d.test[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/smtpd[1]: 4E1A83F0B4: client=\x1b[31m[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/cleanup[1]: 4E1A83F0B4: client=d.test[192.0.2.1]\n"
	  "Nov 26 21:00:01 mx1 postfix/smtp[1]: 4E1A83F0B4: to=<>, relay=x[192.0.2.1]:25, status=sent (250)\n"
	  "Nov 26 21:00:01 mx1 postfix/smtp[1]: 4E1A83F0B4: to=<a b@c d>, relay=x[192.0.2.1]:25, status=sent (250)\n"
	  "Nov 26 21:00:01 mx1\nNov 26\n\n99999\n-- now x\nNov 31 99:99:99 x y[1]: z\n", "", 7 },
};

static void
lines_are_joined(void **state)
{
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (piece = 0; piece < 4; piece++) {        /* cut anywhere */
			char *got = figures(cases[i].log, cases[i].days, piece);

			if (strcmp(got, cases[i].figures) != 0)
				fail_msg("%s: %s", cases[i].what, got);
			free(got);
		}
}

/* A log that a real Postfix wrote in the lab (3.7.11): tests/golden/maillog/. */
static void
a_real_log(void **state)
{
	struct str text = STR_INIT;
	struct err e;
	char *got;

	(void)state;
	if (str_read_file(&text, TEST_SOURCE_DIR "/tests/golden/maillog/postfix.log", 4 << 20, &e) != 0)
		fail_msg("%s", e.text);
	got = figures(text.s, 0, 0);
	assert_string_equal(got, REAL_FIGURES);
	free(got);
	str_release(&text);
}

/* Two listeners, as Postfix 3.7.11 logged them: the same clients at both, and one that came to one only. */
static const char two_listeners[] = "-- now 1795789250 2026 11 27 14 20 50\n"
	"2026-11-27T14:20:44.392084+00:00 mx1 postfix/smtpd[400]: connect from unknown[198.51.100.201]\n"
	"2026-11-27T14:20:44.714657+00:00 mx1 postfix/smtpd[400]: AD4E8114508: client=unknown[198.51.100.201]\n"
	"2026-11-27T14:20:44.737897+00:00 mx1 postfix/smtpd[400]: disconnect from unknown[198.51.100.201] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
	"2026-11-27T14:20:46.791001+00:00 mx1 postfix/submission/smtpd[407]: connect from unknown[198.51.100.201]\n"
	"2026-11-27T14:20:46.801367+00:00 mx1 postfix/submission/smtpd[407]: C333E114C28: client=unknown[198.51.100.201]\n"
	"2026-11-27T14:20:46.813583+00:00 mx1 postfix/submission/smtpd[407]: disconnect from unknown[198.51.100.201] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
	"2026-11-27T14:20:46.816398+00:00 mx1 postfix/submission/smtpd[407]: connect from unknown[198.51.100.210]\n"
	"2026-11-27T14:20:46.847765+00:00 mx1 postfix/submission/smtpd[407]: Anonymous TLS connection established from unknown[198.51.100.210]: TLSv1.3 "
	"with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256\n"
	"2026-11-27T14:20:46.890566+00:00 mx1 postfix/submission/smtpd[407]: D553D114C37: client=unknown[198.51.100.210]\n"
	"2026-11-27T14:20:46.918024+00:00 mx1 postfix/submission/smtpd[407]: disconnect from unknown[198.51.100.210] ehlo=2 starttls=1 mail=1 rcpt=1 data=1 "
	"quit=1 commands=7\n"
	"2026-11-27T14:20:48.000000+00:00 mx1 postfix/submission/smtpd[407]: disconnect from unknown[198.51.100.202] ehlo=1 starttls=0/1 commands=1/2\n";

static void
listeners_are_told_apart(void **state)
{
	static const struct { const char *service, *peers; int64_t tls; } rows[] = {
		{ "postfix/smtpd", "198.51.100.201 1 1", 0 },
		{ "postfix/submission/smtpd", "198.51.100.201 1 1; 198.51.100.210 1 0; 198.51.100.202 0 0", 1795789246 },
		{ NULL, "198.51.100.201 2 2; 198.51.100.210 1 0; 198.51.100.202 0 0", 1795789246 },
		{ "postfix/smtps/smtpd", "", 0 },
	};
	struct maillog *m = maillog_new(NOW, 7);
	struct maillog_figures f;
	struct traffic_list l;
	size_t i, k;

	(void)state;
	maillog_feed(m, two_listeners, strlen(two_listeners));
	maillog_figures(m, &f);
	assert_int_equal(f.n_services, 2);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str out = STR_INIT;

		str_add(&out, "");
		traffic_came_by(&f.traffic, rows[i].service, &l);
		for (k = 0; k < l.n; k++)
			str_addf(&out, "%s%s %lld %lld", k ? "; " : "", l.v[k].peer, (long long)l.v[k].messages, (long long)l.v[k].clear);
		assert_string_equal(out.s, rows[i].peers);
		assert_int_equal(traffic_tls_since(&f, rows[i].service), rows[i].tls);
		traffic_list_release(&l);
		str_release(&out);
	}
	maillog_figures_release(&f);
	maillog_free(m);
}

/* More services than are told apart: the others are one, and nothing is lost. */
static void
many_services(void **state)
{
	struct maillog *m = maillog_new(NOW, 7);
	struct maillog_figures f;
	struct traffic_list l;
	char line[200];
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "Nov 26 21:00:02 mx1 postfix/s%d/smtpd[101]: 4E1A83F0B2: client=mx.a.test[192.0.2.1]\n", i);
		maillog_feed(m, line, strlen(line));
	}
	maillog_figures(m, &f);
	assert_int_equal(f.n_services, 65);
	traffic_came_by(&f.traffic, NULL, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].messages, 1000);
	traffic_list_release(&l);
	traffic_came_by(&f.traffic, MAILLOG_OTHERS, &l);
	assert_int_equal(l.v[0].messages, 1000 - 64);
	traffic_list_release(&l);
	maillog_figures_release(&f);
	maillog_free(m);
}

static void
put_client(struct maillog *m, int pid, const char *name, int times)
{
	struct str line = STR_INIT;
	int i;

	for (i = 0; i < times; i++) {
		str_reset(&line);
		str_addf(&line, "2026-11-26T20:00:00Z mx1 postfix/smtpd[%d]: 4E1A83F0B1: client=%s[192.0.2.1]\n", pid, name);
		maillog_feed(m, line.s, line.len);
	}
	str_release(&line);
}

static const struct traffic *
peer_in(const struct maillog_figures *f, const char *name)
{
	size_t i;

	for (i = 0; i < f->traffic.n; i++)
		if (strcmp(f->traffic.v[i].peer, name) == 0)
			return &f->traffic.v[i];
	fail_msg("%s is not there", name);
	return NULL;
}

/* More peers than are kept apart: those with most messages stay, however late they came; no message is lost, and it is said. */
static void
many_peers(void **state)
{
	struct maillog *m = maillog_new(NOW, 0);
	struct maillog_figures f;
	char name[32];
	int64_t all = 0;
	size_t n;
	int i;

	(void)state;
	put_client(m, 1, "early.test", 30);
	for (i = 0; i < 120000; i++) {
		snprintf(name, sizeof(name), "h%d.test", i);
		put_client(m, i, name, i % 1000 == 0 ? 3 : 1);
	}
	put_client(m, 2, "late.test", 20);
	maillog_figures(m, &f);
	for (n = 0; n < f.traffic.n; n++)
		all += f.traffic.v[n].messages;
	assert_int_equal(all, 30 + 120000 + 240 + 20);
	assert_true(f.traffic.n <= 50000);
	assert_int_equal(peer_in(&f, "early.test")->messages, 30);
	assert_int_equal(peer_in(&f, "late.test")->messages, 20);
	assert_int_equal(peer_in(&f, "h1000.test")->messages, 3);
	assert_true(peer_in(&f, MAILLOG_OTHERS)->messages >= 70000);
	assert_string_equal(f.missing, "The log names more than 50000 others: those with the fewest messages are counted together, as (others).");
	assert_false(f.cut);
	maillog_figures_release(&f);
	maillog_free(m);
}

/* More messages than are told apart: those that wait are known however long they do, those that got there for a while. */
static void
many_messages(void **state)
{
	struct fates p = { .n = 0 };
	uint64_t i, *place;
	bool fresh;

	(void)state;
	for (i = 0; i < 100; i++) {
		(void)pair_of(&p, log_hash(1, (const char *)&i, sizeof(i)), &fresh);
		assert_true(fresh);
	}
	for (i = 0; i < 2 * PAIRS_MAX; i++) {
		place = pair_of(&p, log_hash(2, (const char *)&i, sizeof(i)), &fresh);
		if (!fresh)
			fail_msg("%llu is not new", (unsigned long long)i);
		*place |= PAIR_DONE;
	}
	for (i = 0; i < 100; i++) {
		(void)pair_of(&p, log_hash(1, (const char *)&i, sizeof(i)), &fresh);
		assert_false(fresh);
	}
	i = 2 * PAIRS_MAX - 1000000;
	assert_true(*pair_of(&p, log_hash(2, (const char *)&i, sizeof(i)), &fresh) & PAIR_DONE);
	assert_false(fresh);
	i = 0;                                   /* forgotten */
	(void)pair_of(&p, log_hash(2, (const char *)&i, sizeof(i)), &fresh);
	assert_true(fresh);
	assert_false(p.lost);
	for (i = 0; i < 2 * PAIRS_MAX; i++)      /* none of them gets there */
		(void)pair_of(&p, log_hash(3, (const char *)&i, sizeof(i)), &fresh);
	assert_true(p.lost);
	free(p.young);
	free(p.elder);
}

/* A line that is too long is passed over, wherever it is cut, and that is said. */
static void
long_lines(void **state)
{
	struct maillog *m = maillog_new(NOW, 0);
	struct maillog_figures f;
	struct str line = STR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < 20000; i++)
		str_addc(&line, 'x');
	str_add(&line, " postfix/smtpd[1]: 4E1A83F0B1: client=long.test[192.0.2.1]\n2026-11-26T20:00:00Z mx1 postfix/smtpd[1]: 4E1A83F0B1: "
	    "client=h1.test[192.0.2.1]\n");
	maillog_feed(m, line.s, line.len);
	for (i = 0; i < line.len; i++)
		maillog_feed(m, line.s + i, 1);
	maillog_figures(m, &f);
	assert_int_equal(f.traffic.n, 1);
	assert_int_equal(f.traffic.v[0].messages, 2);
	assert_string_equal(f.missing, "2 lines were longer than 8191 bytes and passed over.");
	maillog_figures_release(&f);
	maillog_free(m);
	str_release(&line);
}

/* A TLS session belongs to the delivery after it, also when that fails. */
static void
a_session_is_used_once(void **state)
{
	char *got = figures("2026-11-26T20:00:00Z mx1 postfix/smtp[7]: Untrusted TLS connection established to mx.b.test[192.0.2.1]:25: TLSv1.3 with "
	    "cipher X (1/1)\n2026-11-26T20:00:00Z mx1 postfix/smtp[7]: A00001: to=<x@b.test>, relay=mx.b.test[192.0.2.1]:25, status=deferred (x)\n"
	    "2026-11-26T20:00:00Z mx1 postfix/smtp[7]: A00002: to=<x@b.test>, relay=mx.b.test[192.0.2.1]:25, status=sent (x)\n", 0, 0);

	(void)state;
	assert_string_equal(got, "out b.test 1 1 - +1");
	free(got);
}

/* --- what a host sends --- */

static int
hear(struct maillog *m, const void *mem, size_t len, size_t piece, struct err *e)
{
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = piece < len - i ? piece : len - i;
		if (maillog_host(m, (const char *)mem + i, n, e) == -1)
			return -1;
	}
	return maillog_host_end(m, e);
}

static void
what_a_host_sends(void **state)
{
	static const char head[] = CLOCK "-- packed\n", line[] = "-- cut 104857600\n-- unread mail.log.3.xz\nNov 26 21:00:01 mx1 postfix/smtpd[1]: "
	    "4E1A83F0B1: client=a.test[192.0.2.1]\n";
	unsigned char mem[512];
	size_t n = strlen(head), piece;
	struct maillog_figures f;
	struct maillog *m;
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)line, .avail_in = sizeof(line) - 1, .next_out = mem + n, .avail_out = 512 - 64 };
	struct err e = { .code = RC_OK };

	(void)state;
	memcpy(mem, head, n);
	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	n += z.total_out;
	deflateEnd(&z);
	for (piece = 1; piece <= 512; piece += 73) {
		m = maillog_new(NOW - 1000000, 7);
		assert_int_equal(hear(m, mem, n, piece, &e), 0);
		maillog_figures(m, &f);
		assert_int_equal(peer_in(&f, "a.test")->messages, 1);
		assert_true(f.cut);
		assert_string_equal(f.missing, "The log is longer than the 100 MB that are looked through on a host: only the newest are in the figures, "
		    "from 2026-11-26 on. Ask for fewer days (--days), or copy it here and name it with --log, which has no limit.\n"
		    "mail.log.3.xz could not be unpacked whole on the host: is it damaged, or the program for that not there? Copy it here and name it "
		    "with --log.");
		maillog_figures_release(&f);
		maillog_free(m);
	}
	m = maillog_new(NOW, 7);
	assert_int_equal(hear(m, mem, n - 9, 64, &e), -1);
	assert_string_equal(e.text, "what the host sends of its log is damaged");
	maillog_free(m);
	mem[n - 6] ^= 0x55;                      /* of the checksum */
	m = maillog_new(NOW, 7);
	assert_int_equal(hear(m, mem, n, 64, &e), -1);
	maillog_free(m);
	m = maillog_new(NOW, 7);                 /* a host without gzip */
	assert_int_equal(hear(m, strstr(line, "Nov"), strlen(strstr(line, "Nov")), 10, &e), 0);
	maillog_figures(m, &f);
	assert_int_equal(f.traffic.n, 1);
	maillog_figures_release(&f);
	maillog_free(m);
}

/* --- the script, over files as logrotate leaves them --- */

static void
put(const char *dir, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(str_write_file(path, text, strlen(text), 0755, NULL), 0);
	free(path);
}

/* As the host would run it: words, the script one of them; at most so many bytes looked through (0: as it is), by this shell. */
static void
run_script(const char *dir, const char *shell, const char *bytes, struct maillog_figures *f)
{
	struct command_list l = { NULL, 0 };
	struct maillog *m = maillog_new(NOW, 7);
	struct str out = STR_INIT;
	char mem[4096];
	struct err e;
	size_t i, n;
	FILE *p;

	postfix_traffic_command(7, &l);
	assert_int_equal(l.n, 1);
	str_addf(&out, "PATH='%s':\"$PATH\" %s", dir, shell);
	for (i = 1; l.v[0].argv[i]; i++) {
		str_addc(&out, ' ');
		str_add_word(&out, bytes != NULL && l.v[0].argv[i + 1] == NULL ? bytes : l.v[0].argv[i]);
	}
	p = popen(out.s, "r");
	assert_non_null(p);
	while ((n = fread(mem, 1, sizeof(mem), p)) > 0)
		if (maillog_host(m, mem, n, &e) == -1)
			fail_msg("%s", e.text);
	assert_int_equal(pclose(p), 0);
	assert_int_equal(maillog_host_end(m, &e), 0);
	maillog_figures(m, f);
	maillog_free(m);
	command_list_release(&l);
	str_release(&out);
}

static void
expect_peers(const struct maillog_figures *f, const char *want)
{
	struct str out = STR_INIT;
	size_t i;

	str_add(&out, "");
	for (i = 0; i < f->traffic.n; i++)
		str_addf(&out, "%s%s %lld", i ? " " : "", f->traffic.v[i].peer, (long long)f->traffic.v[i].messages);
	assert_string_equal(out.s, want);
	str_release(&out);
}

static void
the_script_reads_what_was_rotated(void **state)
{
	static const char *const shells[] = { "sh", "bash", "busybox sh" };
	char *dir = fixture_dir(), *text, line[256], stamp[64], *command;
	time_t now = time(NULL) - 60;
	struct maillog_figures f;
	struct tm tm;
	size_t i;

	(void)state;
	text = xasprintf("#!/bin/sh\necho %s/mail.log\n", dir);
	put(dir, "postconf", text);
	free(text);
	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	snprintf(line, sizeof(line), "%s mx postfix/smtpd[1]: 4E1A83F0B1: client=older.test[192.0.2.1]\n%s mx cron[1]: noise\n%s mx postfix/smtpd[1]: "
	    "4E1A83F0B1: client=new.test[192.0.2.1]\n", stamp, stamp, stamp);
	put(dir, "mail.log", line);
	snprintf(line, sizeof(line), "%s mx postfix/smtpd[1]: 4E1A83F0B1: client=plain.test[192.0.2.1]\n", stamp);
	put(dir, "mail.log.1", line);
	snprintf(line, sizeof(line), "%s mx postfix/smtpd[1]: 4E1A83F0B1: client=packed.test[192.0.2.1]\n", stamp);
	put(dir, "mail.log.2", line);
	put(dir, "mail.log.4.gz", "this is not gzip");
	snprintf(line, sizeof(line), "%s mx postfix/smtpd[1]: 4E1A83F0B1: client=too-old.test[192.0.2.1]\n", stamp);
	put(dir, "mail.log.3", line);
	command = xasprintf("cd '%s' && gzip -f mail.log.2 && touch -d '30 days ago' mail.log.3 && touch -d '1 day ago' mail.log.1 && "
	    "touch -d '2 days ago' mail.log.2.gz && touch -d '3 days ago' mail.log.4.gz", dir);
	assert_int_equal(system(command), 0);
	free(command);
	for (i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		run_script(dir, shells[i], NULL, &f);
		expect_peers(&f, "new.test 1 older.test 1 packed.test 1 plain.test 1");
		assert_true(f.cut);
		assert_true(text_starts(f.missing, "mail.log.4.gz could not be unpacked whole on the host"));
		maillog_figures_release(&f);
		run_script(dir, shells[i], "100", &f);       /* of the newest file the newest lines */
		expect_peers(&f, "new.test 1");
		assert_non_null(strstr(f.missing, "only the newest are in the figures"));
		maillog_figures_release(&f);
		run_script(dir, shells[i], "350", &f);       /* a packed one that may not fit is left out, and what is older with it */
		expect_peers(&f, "new.test 1 older.test 1 plain.test 1");
		maillog_figures_release(&f);
	}
	fixture_remove(dir);
	free(dir);
}

/* A file of this machine: packed or not; what is packed otherwise or damaged is said. */
static void
a_file_here(void **state)
{
	char *dir = fixture_dir(), *path = xasprintf("%s/log", dir), *command;
	struct maillog *m = maillog_new(NOW, 0);
	struct maillog_figures f;
	struct err e;

	(void)state;
	put(dir, "log", "2026-11-26T20:00:00Z mx1 postfix/smtpd[1]: 4E1A83F0B1: client=a.test[192.0.2.1]\n");
	assert_int_equal(maillog_file(m, path, &e), 0);
	command = xasprintf("gzip '%s' && mv '%s.gz' '%s'", path, path, path);
	assert_int_equal(system(command), 0);
	assert_int_equal(maillog_file(m, path, &e), 0);
	maillog_figures(m, &f);
	assert_int_equal(peer_in(&f, "a.test")->messages, 2);
	put(dir, "log", "\xfd" "7zXZ and more");
	assert_int_equal(maillog_file(m, path, &e), -1);
	assert_non_null(strstr(e.text, "is packed by xz, which is not unpacked here"));
	put(dir, "log", "\x1f\x8b\x08 and nothing more of it");
	assert_int_equal(maillog_file(m, path, &e), -1);
	assert_non_null(strstr(e.text, "cannot be unpacked: it is damaged after 0 bytes"));
	maillog_figures_release(&f);
	maillog_free(m);
	fixture_remove(dir);
	free(command);
	free(path);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_joined), cmocka_unit_test(a_real_log), cmocka_unit_test(many_peers), cmocka_unit_test(many_messages),
		cmocka_unit_test(long_lines), cmocka_unit_test(a_session_is_used_once), cmocka_unit_test(what_a_host_sends),
		cmocka_unit_test(the_script_reads_what_was_rotated), cmocka_unit_test(a_file_here),
		cmocka_unit_test(listeners_are_told_apart), cmocka_unit_test(many_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
