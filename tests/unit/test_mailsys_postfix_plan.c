/* Plans over recordings of real hosts, as golden texts: every file after the change, what is said about it, what is
 * proved. Each plan is then applied to the recording, and a second plan must have nothing to do. MXSEAL_GOLDEN=write
 * rewrites the golden texts: read the difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/cf.h"
#include "mxseal/certificate.h"
#include "mxseal/mailsys.h"
#include "mxseal/xalloc.h"
#include "support/recording.h"
#include "support/want.h"

static const struct { const char *name, *recording; struct want want; } cases[] = {
	{ "nothing", "debian", { { NULL }, { NULL }, { NULL } } },
	{ "first-certificate", "debian", { { "smtp/inbound.tls=offer", "smtp/inbound.protocol-min=tls1.2", "smtp/log.tls=summary" },
	    { "smtp=smtp" }, { NULL } } },
	{ "require", "ours", { { "smtp/inbound.tls=require", "smtp/inbound.auth-needs-tls=yes" }, { "smtp=smtp" },
	    { "bank|bank.test,1 *.bank.test,5|secure|bank.test" } } },
	{ "renewed", "ours", { { NULL }, { "smtp=submission" }, { "bank|bank.test *.bank.test|secure|bank.test" } } },
	{ "unbound", "ours", { { NULL }, { "smtp=" }, { "bank|bank.test *.bank.test|secure|bank.test" } } },
	{ "all-settings", "debian", { { "smtp/inbound.tls=offer", "smtp/inbound.protocol-min=tls1.3", "smtp/inbound.ciphers=high",
	    "smtp/inbound.auth-needs-tls=yes", "smtp/inbound.client-cert=ask", "smtp/outbound.tls=dane",
	    "smtp/outbound.protocol-min=tls1.1", "smtp/outbound.ciphers=high", "smtp/outbound.smart-host=relay.test:587",
	    "smtp/outbound.helo-name=out.lab.test", "smtp/outbound.retry.first=1m", "smtp/outbound.retry.max=1h",
	    "smtp/outbound.expire-after=2d", "smtp/outbound.notify-after=12h", "smtp/log.tls=detail" },
	    { NULL }, { NULL } } },
	{ "every-field", "debian", { { "smtp/inbound.name=in.lab.test", "smtp/inbound.connections=40",
	    "smtp/inbound.connections-per-client=3", "smtp/inbound.timeout=30s", "smtp/inbound.anonymous=no", "smtp/inbound.auth=yes",
	    "smtp/inbound.clients.only=198.51.100.0/24 ::1", "smtp/inbound.clients.except=198.51.100.9 2001:db8::/32",
	    "smtp/inbound.relay.networks=127.0.0.0/8 ::1 198.51.100.7", "smtp/inbound.relay.authenticated=no",
	    "smtp/inbound.reverse-lookup=no", "smtp/inbound.message-size=100M", "smtp/inbound.recipients=5",
	    "smtp/inbound.unknown-recipients=[other.test]", "smtp/notices.copy-to=copies@lab.test", "smtp/notices.expire-after=1d",
	    "smtp/outbound.messages-per-connection=2", "smtp/outbound.fallback-host=[fallback.test]:26", "smtp/outbound.helo-only=yes",
	    "smtp/outbound.connections=7", "smtp/outbound.connections-per-domain=2", "smtp/outbound.timeout.connect=3s",
	    "smtp/outbound.timeout=4s", "smtp/outbound.port=2525", "smtp/outbound.hop-count=5", "smtp/outbound.masquerade=lab.test",
	    "smtp/outbound.retry.first=2s", "smtp/log.tls=summary" }, { NULL }, { NULL } } },
	{ "fields-of-others", "services", { { "submission/inbound.name=sub.lab.test", "submission/inbound.connections=4",
	    "submission/inbound.anonymous=no", "submission/inbound.clients.only=198.51.100.0/24", "submission/inbound.message-size=50M",
	    "submission/inbound.relay.networks=none", "submission/inbound.relay.authenticated=yes", "submission/inbound.recipients=9",
	    "smtps/inbound.clients.except=198.51.100.9", "smtps/inbound.connections-per-client=2",
	    "smtp/inbound.clients.except=198.51.100.8", "submission/outbound.retry.first=1m" }, { NULL }, { NULL } } },
	{ "services", "services", { { "smtp/inbound.tls=offer", "submission/inbound.protocol-min=tls1.2", "smtps/inbound.ciphers=high",
	    "127.0.0.1:10025/inbound.tls=off", "submission/outbound.tls=may", "smtp/outbound.tls=encrypt" },
	    { "smtp=smtp", "smtps=submission" },
	    { "bank|bank.test *.bank.test partner.test direct.test keep.test lab.test|secure|bank.test .bank.test",
	      "cheap|bank.test,5|none", "plain|*.deep.partner.test|" } } },
	{ "connector-added", "debian", { { NULL }, { NULL }, { "bank|Bank.test *.bank.test|encrypt", "old|old.test|none" } } },
	{ "connector-removed", "ours", { { NULL }, { "smtp=smtp" }, { NULL } } },
	{ "gone", "debian", { { "submission/inbound.tls=require" }, { "smtps=smtp" }, { NULL } } },
	{ "listeners-added", "debian", { { "side/inbound.tls=offer", "notls/outbound.tls=none", "notls/outbound.retry.max=1h",
	    "submission|added|0.0.0.0:587|submission||", "submissions|added|[2001:db8::1]:465|submissions||",
	    "side|added|192.0.2.5:2525|smtp|paused|", "later|added|192.0.2.5:2526|smtp|stopped|", "notls|added||outbound||notls-out" },
	    { "smtp=smtp", "submission=submission" }, { NULL } } },
	{ "listeners-stopped", "services", { { "submission/inbound.protocol-min=tls1.2", "submission||||stopped|",
	    "127.0.0.1:10025||||paused|", "smtps|removed||||" }, { NULL }, { NULL } } },
	{ "default-stopped", "services", { { "smtp/inbound.protocol-min=tls1.2", "smtp||||stopped|" }, { NULL }, { NULL } } },
	{ "no-certificate", "broken", { { "[::1]:2525/inbound.tls=off", "10026/inbound.protocol-min=tls1.2" }, { NULL }, { NULL } } },
};

/* --- golden texts --- */

static void
compare(const char *name, const struct str *text)
{
	struct str golden = STR_INIT;
	struct err e;
	char *path = xasprintf(GOLDEN "plan-%s.txt", name);

	if (text_eq(getenv("MXSEAL_GOLDEN"), "write")) {
		assert_int_equal(str_write_file(path, text->s, text->len, 0644, &e), 0);
	} else {
		if (str_read_file(&golden, path, 1 << 20, &e) != 0)
			fail_msg("%s", e.text);
		assert_string_equal(text->s, golden.s);
		str_release(&golden);
	}
	free(path);
}

/* The host, read again, has what was wanted of it: the map's two ways agree. Returns how many settings that are. */
static size_t
found_is_wanted(const char *name, const struct reading *r, const struct wanted_host *want)
{
	size_t i, k, v, looked = 0;

	for (i = 0; i < want->n_vs; i++) {
		const struct vserver *vs = NULL;

		for (v = 0; v < r->vservers.n; v++)
			if (strcmp(r->vservers.v[v].name, want->vs[i].name) == 0)
				vs = &r->vservers.v[v];
		for (k = 0; k < want->vs[i].settings.n; k++) {
			const struct wanted *w = &want->vs[i].settings.v[k];
			struct str normal = STR_INIT;
			size_t n = 0;

			if (vs == NULL && (text_eq(want->vs[i].ours, "removed") || strcmp(name, "gone") == 0))
				continue;
			if (vs == NULL)
				fail_msg("%s: there is no %s", name, want->vs[i].name);
			if (!vs->is_default && (mailsys_postfix.declines(w->name, false) || text_starts(w->name, "outbound.")))
				continue;
			assert_int_equal(setting_check(setting_find(w->name), w->value, &normal, NULL), 0);
			while (n < vs->found.n && strcmp(vs->found.v[n].name, w->name) != 0)
				n++;
			if (n == vs->found.n || !text_eq(vs->found.v[n].value, normal.s))
				fail_msg("%s: %s/%s: wanted %s, found %s", name, vs->name, w->name, normal.s,
				    n < vs->found.n && vs->found.v[n].value ? vs->found.v[n].value : "nothing");
			str_release(&normal);
			looked++;
		}
	}
	return looked;
}

static void
plans_are_golden_and_idempotent(void **state)
{
	size_t i, looked = 0;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct certificate certificates[4];
		struct wanted_host want;
		struct sections s, after;
		struct reading r;
		struct plan p, second;
		struct str text = STR_INIT;
		struct err e;

		want_load(cases[i].recording, &s);
		want_load(cases[i].recording, &after);
		want_read(&s, &r);
		want_make(&want, certificates, &r, &cases[i].want);
		if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != 0)
			fail_msg("%s: %s", cases[i].name, e.text);
		plan_dump(&p, &text);
		compare(cases[i].name, &text);
		assert_string_equal(p.base, r.base);
		assert_int_equal(p.reload.n, 1);

		want_apply(&after, &p);
		reading_release(&r);
		want_read(&after, &r);
		looked += found_is_wanted(cases[i].name, &r, &want);
		if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &second, &e) != 0)
			fail_msg("%s, second plan: %s", cases[i].name, e.text);
		if (!plan_is_empty(&second)) {
			str_reset(&text);
			plan_dump(&second, &text);
			fail_msg("%s: the second plan is not empty:\n%s", cases[i].name, text.s);
		}
		str_release(&text);
		plan_release(&p);
		plan_release(&second);
		reading_release(&r);
		want_free(&want, certificates);
	}
	print_message("%zu settings found as wanted\n", looked);
	assert_true(looked >= 60);
}

/* Outbound settings of another virtual server land on the client service that is its own. */
static void
a_client_service_of_its_own(void **state)
{
	static const struct want settings = { { "submission/outbound.tls=encrypt", "submission/outbound.helo-name=sub.lab.test",
	    "submission/outbound.connections=4", "submission/outbound.connections-per-domain=3", "submission/outbound.timeout=1m",
	    "submission/log.tls=detail", "submission/outbound.smart-host=relay.test" }, { NULL }, { NULL } };
	static const char *const lines[] = { "\nsubmission-out_destination_concurrency_limit = 3\n", "-o smtp_helo_name=sub.lab.test\n",
	    "-o smtp_rcpt_timeout=1m\n" };
	struct certificate certificates[4];
	struct wanted_host want;
	struct sections s;
	struct reading r;
	struct plan p;
	struct str text = STR_INIT;
	struct master_cf m;
	struct err e;
	size_t i;

	(void)state;
	want_load("services", &s);
	want_read(&s, &r);
	want_make(&want, certificates, &r, &settings);
	want.vs[0].client = xstrdup("submission-out");
	if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != 0)
		fail_msg("%s", e.text);
	plan_dump(&p, &text);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (strstr(text.s, lines[i]) == NULL)
			fail_msg("no \"%s\" in\n%s", lines[i], text.s);
	assert_non_null(strstr(text.s, "submission: outbound.smart-host is left out: one for all mail of the host"));
	for (i = 0; i < p.n_changes && strstr(p.changes[i].path, "master.cf") == NULL; i++)
		;
	assert_true(i < p.n_changes);
	assert_int_equal(master_cf_read(&m, p.changes[i].after.s, p.changes[i].after.len, &e), 0);
	assert_string_equal(master_cf_option(master_cf_find(&m, "submission-out", "unix"), "smtp_tls_security_level"), "encrypt");
	assert_string_equal(master_cf_find(&m, "submission-out", "unix")->column[MASTER_MAXPROC], "4");
	assert_string_equal(master_cf_option(master_cf_find(&m, "submission", "inet"), "smtpd_tls_loglevel"), "2");
	assert_null(master_cf_option(master_cf_find(&m, "submission-out", "unix"), "smtp_tls_loglevel"));
	assert_null(master_cf_option(master_cf_find(&m, "smtp", "unix"), "smtp_helo_name"));
	master_cf_release(&m);
	str_release(&text);
	plan_release(&p);
	reading_release(&r);
	want_free(&want, certificates);
}

/* Everything of ours taken away again: the administrator's files are as they were, but for settings that were wanted.
 */
static void
taken_away_nothing_is_left(void **state)
{
	static const struct want put = { { NULL }, { "smtp=smtp", "smtps=submission" },
	    { "bank|bank.test *.bank.test partner.test|secure" } };
	static const struct want none = { { NULL }, { "smtp=", "smtps=" }, { NULL } };
	struct certificate certificates[4];
	struct wanted_host want;
	struct sections s, after;
	struct reading r;
	struct str main_cf = STR_INIT, master_cf = STR_INIT;
	struct plan p;

	(void)state;
	want_load("services", &s);
	want_load("services", &after);
	want_read(&s, &r);
	str_addn(&main_cf, r.main_cf.s, r.main_cf.len);
	str_addn(&master_cf, r.master_cf.s, r.master_cf.len);
	want_make(&want, certificates, &r, &put);
	assert_int_equal(mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, NULL), 0);
	assert_false(plan_is_empty(&p));
	want_apply(&after, &p);
	plan_release(&p);
	want_free(&want, certificates);
	reading_release(&r);

	want_read(&after, &r);
	want_make(&want, certificates, &r, &none);
	assert_int_equal(mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, NULL), 0);
	assert_int_equal(p.n_changes, 2);
	assert_string_equal(p.changes[0].after.s, master_cf.s);
	assert_string_equal(p.changes[1].after.s, main_cf.s);
	plan_release(&p);
	want_free(&want, certificates);
	reading_release(&r);
	str_release(&main_cf);
	str_release(&master_cf);
}

/* --- refused --- */

static const struct { const char *setting, *connector; enum err_code code; } hostile[] = {
	{ "smtp/inbound.tls=offer\nsmtpd_banner = x", NULL, RC_INVALID },
	{ "smtp/outbound.smart-host=a, b", NULL, RC_INVALID },
	{ "smtp/outbound.helo-name=$(reboot)", NULL, RC_INVALID },
	{ "smtp/no.such.setting=1", NULL, RC_INVALID },
	{ NULL, "x|bank.test\x01|none", RC_INVALID },
	{ NULL, "x|bank.test;reboot|none", RC_INVALID },
	{ NULL, "x|*|none", RC_INVALID },
	{ NULL, "x|10.0.0.1|none", RC_INVALID },
	{ NULL, "x|bank.test,-1|none", RC_INVALID },
	{ NULL, "x|bank.test,1x|none", RC_INVALID },
	{ NULL, "x|bank.test|encript", RC_INVALID },
	{ NULL, "x|bank.test|secure|a b\nc", RC_INVALID },
	{ NULL, "x|bank.test|secure|a:b protocols=TLSv1", RC_INVALID },
	{ NULL, "x\x1b[2J|$x|none", RC_INVALID },
};

static void
hostile_values_are_refused(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct want w = { { hostile[i].setting }, { NULL }, { hostile[i].connector } };
		struct certificate certificates[4];
		struct wanted_host want;
		struct sections s;
		struct reading r;
		struct plan p;
		struct err e = { .code = RC_OK };

		want_load("debian", &s);
		want_read(&s, &r);
		want_make(&want, certificates, &r, &w);
		if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != -1)
			fail_msg("taken: %s%s", hostile[i].setting ? hostile[i].setting : "", hostile[i].connector ? hostile[i].connector : "");
		assert_int_equal(e.code, hostile[i].code);
		assert_null(strchr(e.text, '\n'));
		assert_null(strchr(e.text, '\x1b'));
		assert_true(plan_is_empty(&p));
		reading_release(&r);
		want_free(&want, certificates);
	}
}

/* What our own checks find in a certificate, each by one thing that is wrong. */
static void
verdict_of(const char *section, const char *text, const char *key_path, const char *check, const char *says)
{
	static const struct want w = { { NULL }, { "smtp=smtp" }, { NULL } };
	struct certificate certificates[4];
	struct wanted_host want;
	struct sections s;
	struct reading r;
	struct plan p;
	size_t i;

	want_load("debian", &s);
	if (section)
		recording_set(&s, section, 0, text);
	want_read(&s, &r);
	want_make(&want, certificates, &r, &w);
	if (key_path)
		xset(&certificates[0].key_path, key_path);
	assert_int_equal(mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, NULL), 0);
	assert_int_equal(plan_is_refused(&p), says != NULL);
	for (i = 0; i < p.n_results; i++)
		if (strcmp(p.results[i].name, check) == 0 && (says == NULL || strstr(p.results[i].text, says)))
			break;
	if (i == p.n_results)
		fail_msg("no verdict \"%s\" that says \"%s\"", check, says ? says : "");
	assert_int_equal(p.results[i].ok, says == NULL);
	plan_release(&p);
	reading_release(&r);
	want_free(&want, certificates);
}

static void
our_own_checks(void **state)
{
	(void)state;
	verdict_of(NULL, NULL, NULL, "smtp: the key fits the certificate", NULL);
	verdict_of(NULL, NULL, "/etc/ssl/private/own.key", "smtp: the key fits the certificate", NULL);
	verdict_of(NULL, NULL, "/var/lib/mxseal/keys/submission.key", "smtp: the key fits the certificate", "does not fit");
	verdict_of(NULL, NULL, "/var/lib/mxseal/keys/none.key", "smtp: the key fits the certificate", "no usable key");
	verdict_of("now", "4102444800\n", NULL, "smtp: the certificate is in its time", "expired");
	verdict_of("now", "946684800\n", NULL, "smtp: the certificate is in its time", "not valid yet");
	verdict_of("version", "3.3.1\n", NULL, "smtp: Postfix reads chain files", "3.4");
	verdict_of("expanded", "smtpd_relay_restrictions =\nsmtpd_recipient_restrictions =\nmyhostname = mx1.lab.test\n", NULL,
	    "relay restrictions", "empty");
}

/* A key that lives here is carried to a host that does not have it, and to no other. */
static void
a_key_is_carried(void **state)
{
	static const struct { const char *path; size_t keys; bool refused; } rows[] = {
		{ "/var/lib/mxseal/keys/none.key", 1, false }, { "/var/lib/mxseal/keys/smtp.key", 0, false },
		{ "/var/lib/mxseal/keys/submission.key", 0, true },          /* another key is there */
	};
	static const struct want w = { { NULL }, { "smtp=smtp" }, { NULL } };
	struct certificate certificates[4];
	struct wanted_host want;
	struct sections s;
	struct reading r;
	struct plan p;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str text = STR_INIT;

		want_load("debian", &s);
		want_read(&s, &r);
		want_make(&want, certificates, &r, &w);
		xset(&certificates[0].key_path, rows[i].path);
		xset(&certificates[0].sealed_key, "sealed");
		assert_int_equal(mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, NULL), 0);
		assert_int_equal(plan_is_refused(&p), rows[i].refused);
		assert_int_equal(p.n_keys, rows[i].keys);
		plan_render(&p, &text);
		assert_int_equal(strstr(text.s, "kept here under seal") != NULL, rows[i].keys > 0);
		if (rows[i].keys > 0)
			assert_string_equal(p.keys[0].path, rows[i].path);
		str_release(&text);
		plan_release(&p);
		reading_release(&r);
		want_free(&want, certificates);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_are_golden_and_idempotent), cmocka_unit_test(a_client_service_of_its_own), cmocka_unit_test(taken_away_nothing_is_left),
		cmocka_unit_test(hostile_values_are_refused), cmocka_unit_test(our_own_checks), cmocka_unit_test(a_key_is_carried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
