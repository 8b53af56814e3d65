/* A look at mail servers that misbehave, each in its own way: the class that is told, and that no look takes longer than
 * its deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/failure.h"
#include "mxseal/probe.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/smtp_peer.h"

static const struct row {
	const char *title;
	enum peer_mode mode;
	enum peer_certificate certificate;
	bool implicit;
	const char *class_name;
} rows[] = {
	{ "good", PEER_GOOD, CERT_GOOD, false, "tls-ok" },
	{ "implicit", PEER_IMPLICIT, CERT_GOOD, true, "tls-ok" },
	{ "no starttls", PEER_NO_STARTTLS, CERT_GOOD, false, "tls-not-offered" },
	{ "masked", PEER_MASKED, CERT_GOOD, false, "tls-not-offered" },
	{ "helo only", PEER_HELO_ONLY, CERT_GOOD, false, "tls-not-offered" },
	{ "454", PEER_REFUSE_454, CERT_GOOD, false, "starttls-refused" },
	{ "close on starttls", PEER_CLOSE_ON_STARTTLS, CERT_GOOD, false, "lost-connection-after-starttls" },
	{ "close after 220", PEER_CLOSE_AFTER_220, CERT_GOOD, false, "lost-connection-after-starttls" },
	{ "garbage", PEER_GARBAGE, CERT_GOOD, false, "handshake-failed" },
	{ "pipelined", PEER_PIPELINED, CERT_GOOD, false, "handshake-failed" },
	{ "hang", PEER_HANG, CERT_GOOD, false, "timeout-in-handshake" },
	{ "silent", PEER_SILENT, CERT_GOOD, false, "connect-timeout" },
	{ "expired", PEER_GOOD, CERT_EXPIRED, false, "cert-expired" },
	{ "early", PEER_GOOD, CERT_EARLY, false, "cert-not-yet-valid" },
	{ "wrong name", PEER_GOOD, CERT_WRONG_NAME, false, "cert-name-mismatch" },
	{ "self-signed", PEER_GOOD, CERT_SELF_SIGNED, false, "self-signed" },
	{ "untrusted", PEER_GOOD, CERT_UNTRUSTED, false, "cert-untrusted" },
	{ "tls 1.0", PEER_TLS10, CERT_GOOD, false, "protocol-version" },
	{ "421", PEER_BANNER_421, CERT_GOOD, false, "banner-rejected" },
	{ "not smtp", PEER_NOT_SMTP, CERT_GOOD, false, "banner-rejected" },
	{ "long reply", PEER_LONG_REPLY, CERT_GOOD, false, "banner-rejected" },
	{ "long line", PEER_LONG_LINE, CERT_GOOD, false, "banner-rejected" },
	{ "changing code", PEER_CHANGING_CODE, CERT_GOOD, false, "banner-rejected" },
	{ "drip", PEER_DRIP, CERT_GOOD, false, "connect-timeout" },
	{ "client certificate", PEER_CLIENT_CERT, CERT_GOOD, false, "client-cert-required" },
	{ "client certificate, TLS 1.2", PEER_CLIENT_CERT_TLS12, CERT_GOOD, false, "client-cert-required" },
	{ "starttls port asked for tls", PEER_GOOD, CERT_GOOD, true, "wrapper-mismatch" },
	{ "tls port asked in plain text", PEER_IMPLICIT, CERT_GOOD, false, "connect-timeout" },
};

static const struct dialer here = { .fn = probe_dial_here, .arg = NULL, .from = "here" };

static void
every_peer(void **state)
{
	size_t i;
	int failed = 0;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_options o = { .timeout_ms = 2500, .name = PEER_NAME, .roots = peer_roots(), .helo = "probe.test",
			.implicit_tls = rows[i].implicit };
		struct probe_host p;
		struct smtp_peer peer;
		struct err e;

		smtp_peer_start(&peer, rows[i].mode, rows[i].certificate);
		assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
		printf("  %-30s %-32s %4d ms  %s\n", rows[i].title, p.class_name, p.ms, p.trouble != NULL ? p.trouble : "");
		failed += strcmp(p.class_name, rows[i].class_name) != 0;
		assert_true(p.ms < 12000);
		assert_string_equal(failure_find(p.class_name)->name, p.class_name);
		assert_int_equal(p.trouble == NULL, strcmp(p.class_name, "tls-ok") == 0);
		if (p.banner != NULL)
			assert_null(strchr(p.banner, '\033'));
		probe_host_release(&p);
		smtp_peer_stop(&peer);
	}
	assert_int_equal(failed, 0);
}

/* A stream whose every word comes late: the other side has closed by then. */
struct late { struct stream s; struct stream *under; };

static ssize_t
late_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	return stream_read(((struct late *)s)->under, mem, n, timeout_ms, e);
}

static int
late_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e)
{
	usleep(100000);
	return stream_write(((struct late *)s)->under, mem, n, timeout_ms, e);
}

static int late_shut(struct stream *s, struct err *e) { return stream_shut(((struct late *)s)->under, e); }

static void
late_close(struct stream *s, struct stream_end *end)
{
	stream_close(((struct late *)s)->under, end);
	str_release(&s->errors);
	free(s);
}

static int
dial_late(void *arg, const char *address, int port, int timeout_ms, struct stream **out, char peer[64], struct err *e)
{
	static const struct stream_ops ops = { late_read, late_write, late_shut, late_close };
	struct late *l = xcalloc(1, sizeof(*l));
	int rc = probe_dial_here(arg, address, port, timeout_ms, &l->under, peer, e);

	str_init(&l->s.errors, 0);
	l->s.ops = &ops;
	*out = &l->s;
	if (rc != 0) {
		late_close(&l->s, NULL);
		*out = NULL;
	}
	return rc;
}

static void
an_end_before_our_word(void **state)
{
	static const struct dialer late = { .fn = dial_late, .arg = NULL, .from = "here" };
	struct probe_options o = { .timeout_ms = 3000, .name = PEER_NAME, .roots = peer_roots(), .helo = "probe.test" };
	struct probe_host p;
	struct smtp_peer peer;
	struct err e;
	(void)state;

	smtp_peer_start(&peer, PEER_CLIENT_CERT, CERT_GOOD);
	assert_int_equal(probe_smtp(&late, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	assert_string_equal(p.class_name, "client-cert-required");
	assert_int_equal(strlen(p.sha256), 64);      /* its own certificate was seen all the same */
	assert_non_null(strstr(p.trouble, "asked for a client certificate"));
	probe_host_release(&p);
	smtp_peer_stop(&peer);
}

static void
what_is_seen(void **state)
{
	struct probe_options o = { .timeout_ms = 3000, .name = PEER_NAME, .roots = peer_roots() };
	struct probe_host p;
	struct smtp_peer peer;
	struct err e;
	(void)state;

	smtp_peer_start(&peer, PEER_GOOD, CERT_GOOD);
	assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	assert_true(p.tls && p.starttls && p.trusted && p.name_ok && p.in_time);
	assert_string_equal(p.protocol, "TLSv1.3");
	assert_int_equal(p.n_ehlo, 2);
	assert_string_equal(p.ehlo[0], "SIZE 1000");
	assert_int_equal(strlen(p.sha256), 64);
	assert_non_null(strstr(p.chain_pem, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(p.cert_subject, PEER_NAME));
	assert_true(p.not_after > when_now());
	probe_host_release(&p);
	o.protocol_max = 0x0303;
	assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	assert_string_equal(p.protocol, "TLSv1.2");
	probe_host_release(&p);
	smtp_peer_stop(&peer);
	/* nobody listens there any more */
	assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	assert_string_equal(p.class_name, "connect-refused");
	probe_host_release(&p);
}

static void
one_destination(void **state)
{
	struct probe_options o = { .timeout_ms = 3000, .name = PEER_NAME, .roots = peer_roots() };
	struct probe_report r;
	struct smtp_peer peer;
	struct err e;
	(void)state;

	smtp_peer_start(&peer, PEER_GOOD, CERT_WRONG_NAME);
	assert_int_equal(probe_destination(&here, NULL, "[127.0.0.1]", peer.port, true, &o, NULL, &r, &e), 0);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.class_name, "cert-name-mismatch");
	assert_string_equal(r.side, "theirs");
	assert_string_equal(r.from, "here");
	assert_non_null(strstr(r.verdict, PEER_NAME));
	probe_report_release(&r);
	smtp_peer_stop(&peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_peer), cmocka_unit_test(an_end_before_our_word), cmocka_unit_test(what_is_seen),
		cmocka_unit_test(one_destination),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
