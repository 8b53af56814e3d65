/* What a destination publishes: MTA-STS policies as RFC 8461 wants them and not, TXT and TLSA data, a TLSA record against a chain,
 * and what the levels dane and dane-only make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/probe/private.h"
#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/smtp_peer.h"

static void
policies(void **state)
{
	static const struct { const char *text, *mode, *mx; } rows[] = {
		{ "version: STSv1\r\nmode: enforce\r\nmx: mx.bank.test\r\nmx: *.bank.test\r\nmax_age: 604800\r\n", "enforce", "mx.bank.test *.bank.test" },
		{ "version: STSv1\nmode: none\nmax_age: 0\n", "none", NULL },
		{ "version:STSv1\nmode:testing\nfuture: x\nmx:a.test\nmax_age:1", "testing", "a.test" },
		{ "", NULL, NULL },
		{ "mode: enforce\nversion: STSv1\nmx: a.test\nmax_age: 1\n", NULL, NULL },                /* the version stands first */
		{ "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 1\n", NULL, NULL },
		{ "version: STSv1\nmode: enforce\nmax_age: 1\n", NULL, NULL },                            /* no mx */
		{ "version: STSv1\nmode: enforce\nmx: a.test\n", NULL, NULL },                            /* no age */
		{ "version: STSv1\nmode: maybe\nmx: a.test\nmax_age: 1\n", NULL, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n", NULL, NULL },
		{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 99999999999\n", NULL, NULL },
		{ "<html>not found</html>", NULL, NULL },
	};
	struct sts_policy p;
	struct err e;
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = sts_policy_parse(rows[i].text, strlen(rows[i].text), &p, &e);

		if ((rc == 0) != (rows[i].mode != NULL))
			fail_msg("row %zu: %d", i, rc);
		if (rc != 0)
			continue;
		assert_string_equal(p.mode, rows[i].mode);
		if (rows[i].mx != NULL)
			assert_string_equal(p.mx, rows[i].mx);
		if (i == 0) {
			assert_true(sts_mx_matches(&p, "MX.bank.test"));
			assert_true(sts_mx_matches(&p, "a.bank.test"));
			assert_false(sts_mx_matches(&p, "a.b.bank.test"));
			assert_false(sts_mx_matches(&p, "bank.test"));
		}
		sts_policy_release(&p);
	}
}

#define POLICY "version: STSv1\r\nmode: enforce\r\nmx: mx.bank.test\r\nmax_age: 604800\r\n"

static void
answers_of_web_servers(void **state)
{
	static const struct { const char *text; bool ended; enum err_code rc; } rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" POLICY, true, RC_OK },
		{ "HTTP/1.0 200 OK\r\n\r\n" POLICY, false, RC_NET },                                 /* who knows what is missing */
		{ "HTTP/1.0 200 OK\r\ncontent-length: 66\r\n\r\n" POLICY, false, RC_OK },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 67\r\n\r\n" POLICY, true, RC_NET },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n42\r\n" POLICY "\r\n0\r\n", true, RC_PARSE },
		{ "HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.test/\r\n\r\n" POLICY, true, RC_NET },     /* never followed */
		{ "HTTP/1.1 404 Not Found\r\n\r\n", true, RC_NET }, { "HTTP/1.1 200 OK\r\n\r\n", true, RC_PARSE },
		{ "HTTP/2 200\r\n\r\n" POLICY, true, RC_PARSE }, { "220 mx ESMTP\r\n\r\n", true, RC_PARSE }, { POLICY, true, RC_PARSE }, { "", true, RC_PARSE },
	};
	struct sts_policy p;
	struct err e;
	size_t i;
	(void)state;

	assert_int_equal(strlen(POLICY), 66);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		e.code = RC_OK;
		if ((sts_answer_parse(rows[i].text, strlen(rows[i].text), rows[i].ended, &p, &e) == 0) != (rows[i].rc == RC_OK) ||
		    e.code != rows[i].rc)
			fail_msg("row %zu: %d %s", i, e.code, e.text);
		if (rows[i].rc == RC_OK)
			assert_string_equal(p.mode, "enforce");
		sts_policy_release(&p);
	}
}

static void
record_data(void **state)
{
	char out[256];
	(void)state;

	assert_true(dns_data_text(TYPE_TXT, (const unsigned char *)"\3abc\2de", 7, out));
	assert_string_equal(out, "abcde");
	assert_false(dns_data_text(TYPE_TXT, (const unsigned char *)"\11abc", 4, out));
	assert_true(dns_data_text(TYPE_TXT, (const unsigned char *)"\3a\033b", 4, out));
	assert_string_equal(out, "a?b");
	assert_true(dns_data_text(TYPE_TLSA, (const unsigned char *)"\3\1\1\252\273", 5, out));
	assert_string_equal(out, "3 1 1 aabb");
	assert_false(dns_data_text(TYPE_TLSA, (const unsigned char *)"\3\1\1", 3, out));
}

/* A chain as a peer serves it, its own SHA-256 among records of other kinds. */
static void
records_against_a_chain(void **state)
{
	static const struct dialer here = { .fn = probe_dial_here, .arg = NULL, .from = "here" };
	struct probe_options o = { .timeout_ms = 3000, .name = PEER_NAME, .roots = peer_roots() };
	struct certificate c = { .id = 0 };
	struct probe_host p;
	struct smtp_peer peer;
	struct str many;
	struct err e;
	int i;
	(void)state;

	smtp_peer_start(&peer, PEER_GOOD, CERT_GOOD);
	assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	smtp_peer_stop(&peer);
	assert_int_equal(cert_describe(p.chain_pem, &c, &e), 0);
	assert_true(cert_tlsa_matches(p.chain_pem, 3, 0, 1, c.sha256));
	assert_true(cert_tlsa_matches(p.chain_pem, 3, 1, 1, c.spki_sha256));
	assert_false(cert_tlsa_matches(p.chain_pem, 3, 1, 1, c.sha256));
	assert_false(cert_tlsa_matches(p.chain_pem, 3, 1, 2, c.spki_sha256));
	/* the conversation was kept, to its end */
	assert_true(text_starts(p.transcript, "S: 220"));
	assert_non_null(strstr(p.transcript, "\nC: STARTTLS\n"));
	assert_non_null(strstr(p.transcript, "\n-- TLSv1.3, "));
	/* a host that trusts nobody, and one that trusts only these */
	o.roots_only = true;
	probe_host_release(&p);
	smtp_peer_start(&peer, PEER_GOOD, CERT_GOOD);
	assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	assert_true(p.trusted);
	probe_host_release(&p);
	/* the bundle of a system, named twice and more */
	str_init(&many, 4 << 20);
	for (i = 0; i < 600; i++)
		str_add(&many, peer_roots());
	o.roots = many.s;
	assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	assert_true(p.trusted);
	str_release(&many);
	probe_host_release(&p);
	o.roots = NULL;
	assert_int_equal(probe_smtp(&here, "127.0.0.1", "127.0.0.1", peer.port, &o, &p, &e), 0);
	assert_false(p.trusted);
	assert_string_equal(p.class_name, "cert-untrusted");
	smtp_peer_stop(&peer);
	probe_host_release(&p);
	certificate_release(&c);
}

static void
levels_of_dane(void **state)
{
	static const struct { const char *seen, *dane, *at_dane, *at_only; bool tls; } rows[] = {
		{ "self-signed", "match", "tls-ok", "tls-ok", true }, { "tls-ok", "mismatch", "dane-mismatch", "dane-mismatch", true },
		{ "self-signed", "none", "tls-ok", "dane-no-tlsa", true }, { "tls-ok", "insecure", "tls-ok", "dane-no-tlsa", true },
		{ "tls-ok", "lookup-error", "dane-lookup-error", "dane-lookup-error", true },
		{ "tls-not-offered", "mismatch", "tls-not-offered", "tls-not-offered", false },
	};
	size_t i;
	int only;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (only = 0; only < 2; only++) {
			struct probe_report r = { .n = 1, .v = xcalloc(1, sizeof(*r.v)) };

			r.v[0] = (struct probe_host){ .host = xstrdup("mx.x.test"), .class_name = xstrdup(rows[i].seen), .tls = rows[i].tls };
			snprintf(r.v[0].dane, sizeof(r.v[0].dane), "%s", rows[i].dane);
			probe_judge_dane(&r, only == 1);
			assert_string_equal(r.class_name, only ? rows[i].at_only : rows[i].at_dane);
			probe_report_release(&r);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies), cmocka_unit_test(answers_of_web_servers), cmocka_unit_test(record_data), cmocka_unit_test(records_against_a_chain),
		cmocka_unit_test(levels_of_dane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
