/* Single rules of a plan, over recordings of real hosts: what is written for what, what is refused, what of the administrator's stays,
 * and listeners that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "mxseal/mailsys.h"
#include "mxseal/xalloc.h"
#include "support/recording.h"
#include "support/want.h"

#define MAIN "myhostname = mx1.lab.test\nmydestination = lab.test\nsmtpd_tls_cert_file = /c.pem\n"

static void
single_rules(void **state)
{
	static const struct want bank = { { NULL }, { NULL }, { "bank|bank.test|secure" } };
	static const struct want dane = { { "smtp/outbound.tls=dane-only" }, { NULL }, { NULL } };
	static const struct want floor = { { "smtp/inbound.protocol-min=tls1.2" }, { NULL }, { NULL } };
	static const struct want off = { { "smtp/inbound.tls=off" }, { NULL }, { NULL } };
	static const struct want cert = { { NULL }, { "smtp=smtp" }, { NULL } };

	(void)state;
	/* verify and secure need authorities */
	plan_contains(&bank, "debian", "main.cf", MAIN, "\nsmtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n");
	/* a route where mail would go elsewhere, for any reason */
	plan_contains(&bank, "debian", "main.cf", MAIN "relayhost = [r.test]\n", "\nbank.test smtp:\n");
	plan_contains(&bank, "debian", "main.cf", MAIN "default_transport = uucp\n", "\nbank.test smtp:\n");
	plan_contains(&bank, "debian", "main.cf", MAIN "transport_maps = pcre:/etc/postfix/t\n",
	    "transport_maps = texthash:/etc/mxseal/1/transport, pcre:/etc/postfix/t\n");
	plan_contains(&bank, "debian", "main.cf", "virtual_mailbox_domains = bank.test\n", "stays on this host");
	/* DANE */
	plan_contains(&dane, "debian", NULL, NULL, "\nsmtp_dns_support_level = dnssec\n");
	plan_contains(&dane, "debian", NULL, NULL, "warning: DANE needs a resolver on the host itself");
	/* the list syntax of Postfix before 3.6 */
	plan_contains(&floor, "debian", "version", "3.5.6\n", "\nsmtpd_tls_protocols = !SSLv2,!SSLv3,!TLSv1,!TLSv1.1\n");
	/* an override of the service itself is changed with main.cf */
	/* what was broken before and is not touched is not proved */
	plan_contains(&floor, "broken", NULL, NULL, "prove 127.0.0.1:25 at 127.0.0.1 port 25 any\n");
	plan_contains(&off, "debian", "master.cf", "smtp inet n - y - - smtpd -o smtpd_tls_security_level=may\n",
	    "\nsmtp inet n - y - - smtpd -o smtpd_tls_security_level=none\n");
	/* the number of a generation is never used twice */
	plan_contains(&cert, "debian", "generations", "/etc/mxseal:\n3\n\n/var/lib/mxseal:\n12\nkeys\n", "/etc/mxseal/13/chain-smtp.pem");
	plan_contains(&cert, "debian", NULL, NULL, "warning: smtp: the certificate is put there, but the secure channel is off");
	plan_contains(&cert, "debian", "main.cf", MAIN "tls_server_sni_maps = hash:/x\n", "warning: tls_server_sni_maps is set");
	/* names of services are not names of files */
	plan_contains(&(struct want){ { NULL }, { "[::1]:2525=smtp" }, { NULL } }, "broken", NULL, NULL, "/etc/mxseal/1/chain-___1__2525-");
}

/* A warning is about what the plan changes: what was so before is not said with each push again, nor what was meant so. */
static void
warnings_are_of_changes(void **state)
{
	static const struct want strict = { { "smtp/outbound.tls=encrypt", "smtp/inbound.connections=30" }, { NULL }, { NULL } };
	static const struct want required = { { "smtp/inbound.tls=require" }, { NULL }, { NULL } };
	static const struct want apart = { { "smtp/outbound.tls=verify", "notls|added||outbound||notls-out", "notls/outbound.tls=none" },
	    { NULL }, { NULL } };
	static const char old[] = "smtp inet n - y - - smtpd\nold unix - - y - - smtp -o smtp_tls_security_level=none\n";

	(void)state;
	plan_contains(&strict, "debian", NULL, NULL, "warning: outbound.tls encrypt: mail to every destination");
	plan_lacks(&strict, "debian", "main.cf", MAIN "smtp_tls_security_level = encrypt\n", "warning: outbound.tls");
	plan_contains(&required, "debian", NULL, NULL, "RFC 3207");
	plan_lacks(&required, "debian", "main.cf", MAIN "smtpd_tls_security_level = encrypt\n", "RFC 3207");
	plan_contains(&strict, "debian", "master.cf", old, "warning: the sending service old keeps its own smtp_tls_security_level");
	plan_contains(&apart, "debian", NULL, NULL, "-o smtp_tls_security_level=none");
	plan_lacks(&apart, "debian", NULL, NULL, "keeps its own");
}

/* Virtual servers come, are stopped and paused, are edited meanwhile, start again and go: master.cf is what it was. */
static void
listeners_come_and_go(void **state)
{
	static const struct want runs = {
	    { "side|added|192.0.2.5:2525|smtp|started|side-out", "notls|added||outbound||notls-out", "smtps||||started|",
	      "submission||||started|" }, { NULL }, { NULL } };
	static const struct want stops = {
	    { "side|added|192.0.2.5:2525|smtp|stopped|side-out", "notls|added||outbound||notls-out", "smtps||||paused|",
	      "submission||||stopped|" }, { NULL }, { NULL } };
	static const struct want edits = { { "side/inbound.ciphers=high", "submission/inbound.ciphers=high",
	    "side|added|192.0.2.5:2525|smtp||", "notls|added||outbound||notls-out" }, { NULL }, { NULL } };
	static const struct want goes = {
	    { "side|removed|192.0.2.5:2525|smtp||", "notls|removed||outbound||", "smtps||||started|", "submission||||started|" },
	    { NULL }, { NULL } };
	struct sections s;
	struct str first = STR_INIT, running = STR_INIT, now = STR_INIT;

	(void)state;
	want_load("services", &s);
	str_add(&first, section_text(&s, "master.cf"));
	want_stage(&s, &runs, &running);
	assert_non_null(strstr(running.s, "\n192.0.2.5:2525 inet"));
	assert_non_null(strstr(running.s, "\nside-out  unix"));
	want_stage(&s, &stops, &now);
	assert_non_null(strstr(now.s, "\n# stopped by mxseal: 192.0.2.5:2525 inet"));
	want_stage(&s, &runs, &now);
	assert_string_equal(now.s, running.s);
	want_stage(&s, &stops, &now);
	want_stage(&s, &edits, &now);                             /* as they are: stopped and paused */
	assert_non_null(strstr(now.s, "\n# stopped by mxseal:   -o smtpd_tls_ciphers=high"));
	assert_null(strstr(now.s, "side-out"));
	want_stage(&s, &goes, &now);
	assert_null(strstr(now.s, "notls"));
	assert_null(strstr(now.s, "192.0.2.5"));
	assert_null(strstr(now.s, "mxseal"));
	assert_int_equal(now.len, first.len + strlen("\n  -o smtpd_tls_ciphers=high\n  -o smtpd_tls_mandatory_ciphers=high"));
	sections_release(&s);
	str_release(&first);
	str_release(&running);
	str_release(&now);
}

/* Names that are taken, addresses that meet, what an added one needs. */
static void
listeners_are_judged(void **state)
{
	static const struct want side = { { "side|added|192.0.2.5:25|smtp||" }, { NULL }, { NULL } };
	static const struct want again = { { "side|added|0.0.0.0:25|smtp||" }, { NULL }, { NULL } };
	static const struct want bare = { { "submission|added|0.0.0.0:587|submission||" }, { NULL }, { NULL } };
	static const char *const none = "myhostname = mx1.lab.test\nmydestination = lab.test\n";

	(void)state;
	plan_contains(&side, "debian", NULL, NULL, "good: names, values and services hold together");
	plan_contains(&side, "debian", "version", "3.5.6\n", "it listens on 192.0.2.5:25, as the service smtp does");
	plan_contains(&again, "debian", NULL, NULL, "it listens on 0.0.0.0:25, as the service smtp does");
	plan_contains(&bare, "debian", "main.cf", none, "BAD: submission: passwords are asked for with TLS only: it has no certificate");
	plan_contains(&bare, "debian", NULL, NULL, "warning: submission: Postfix asks for no passwords on this host");
	plan_contains(&bare, "debian", "main.cf", MAIN "smtpd_sasl_type = dovecot\n", "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n");
}

static void
refused(const struct want *w, const char *section, const char *text, const char *says)
{
	struct certificate certificates[4];
	struct wanted_host want;
	struct sections s;
	struct reading r;
	struct plan p;
	struct err e = { .code = RC_OK };

	want_load("debian", &s);
	recording_set(&s, section, 0, text);
	want_read(&s, &r);
	want_make(&want, certificates, &r, w);
	assert_int_equal(mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e), -1);
	if (strstr(e.text, says) == NULL)
		fail_msg("%s", e.text);
	reading_release(&r);
	want_free(&want, certificates);
}

/* What would let in who is kept out, or would be written and never asked for. */
static void
what_cannot_be_edited(void **state)
{
	static const struct want none = { { "smtp||||started|" }, { NULL }, { NULL } };
	static const struct want only = { { "smtp/inbound.clients.only=192.0.2.0/24" }, { NULL }, { NULL } };
	static const struct want both = { { "smtp/inbound.clients.only=192.0.2.0/24", "smtp/inbound.clients.except=none" }, { NULL }, { NULL } };
	static const struct want relay = { { "smtp/inbound.relay.authenticated=yes" }, { NULL }, { NULL } };
	static const char *const table = MAIN "smtpd_client_restrictions = check_client_access cidr:/etc/mxseal/3/clients-smtp\n";

	(void)state;
	refused(&none, "main.cf", table, "who may connect stands in /etc/mxseal/3/clients-smtp, which cannot be read");
	refused(&only, "main.cf", table, "cannot be read");
	plan_contains(&both, "debian", "main.cf", table, "\n192.0.2.0/24 DUNNO\n0.0.0.0/0 REJECT\n");
	refused(&relay, "main.cf", MAIN "mua = reject\nsmtpd_relay_restrictions = $mua, permit_mynetworks, defer_unauth_destination\n",
	    "which is not edited here");
	plan_contains(&relay, "debian", "main.cf", MAIN "smtpd_relay_restrictions = permit_mynetworks, reject, $mua\n",
	    "permit_mynetworks, permit_sasl_authenticated, reject, $mua\n");
}

/* The administrator's own list of local users is his, before a host for the unknown ones and without one. */
static void
local_users_stay(void **state)
{
	static const struct want to = { { "smtp/inbound.unknown-recipients=[other.test]" }, { NULL }, { NULL } };
	static const struct want none = { { "smtp/inbound.unknown-recipients=none" }, { NULL }, { NULL } };
	static const char *const all = MAIN "local_recipient_maps =\n";
	struct sections s;
	struct str master = STR_INIT;

	(void)state;
	want_load("debian", &s);
	recording_set(&s, "main.cf", 0, all);
	want_stage(&s, &none, &master);
	assert_string_equal(section_text(&s, "main.cf"), all);
	recording_set(&s, "main.cf", 0, MAIN);
	want_stage(&s, &to, &master);
	assert_non_null(strstr(section_text(&s, "main.cf"), "\nlocal_recipient_maps =\n"));
	want_stage(&s, &none, &master);
	assert_null(strstr(section_text(&s, "main.cf"), "local_recipient_maps"));
	sections_release(&s);
	str_release(&master);
}

/* A service of the administrator's that has the name of one of ours is not ours. */
static void
a_namesake_stays(void **state)
{
	static const struct want goes = { { "submission|removed|192.0.2.5:2525|smtp||" }, { NULL }, { NULL } };
	static const char *const master = "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n"
	    "# Added by mxseal: virtual server submission\n192.0.2.5:2525 inet n - y - - smtpd\nsmtp unix - - y - - smtp\n";
	struct sections s;
	struct str now = STR_INIT;

	(void)state;
	want_load("debian", &s);
	recording_set(&s, "master.cf", 0, master);
	want_stage(&s, &goes, &now);
	assert_string_equal(now.s, "smtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\nsmtp unix - - y - - smtp\n");
	sections_release(&s);
	str_release(&now);
}

/* Lines that Postfix would read without a word and not serve: refused, with the place where they stand. */
static void
what_would_not_serve(void **state)
{
	static const struct { const char *section, *text, *must; } rows[] = {
		{ "main.cf", MAIN "smtp_tls_security_level = strict\n", "main.cf, line 4): \"strict\" is no security level" },
		{ "main.cf", MAIN "smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3 # old\n", "line 4): \"!SSLv2, !SSLv3 # old\" is no list" },
		{ "main.cf", MAIN "smtp_tls_ciphers = hihg\n", "\"hihg\" is no grade of ciphers" },
		{ "main.cf", MAIN "content_filter = scan:[127.0.0.1]:10024\n", "there is no service \"scan\" in master.cf" },
		{ "main.cf", MAIN "cleanup_service_name = clean\n", "there is no service \"clean\" in master.cf" },
		{ "main.cf", MAIN "smtpd_relay_restrictions = permit_mynetworks, reject_unath_destination\n", "is no restriction" },
		{ "master.cf", "smtp inet n - y - - smtpd\n# twice\nsmtp inet n - y - - smtpd\n",
		    "smtp (the host's own /etc/postfix/master.cf, line 3): the service \"smtp inet\" is there twice, also in line 1" },
		{ "master.cf", "smtp inet n - y - - smtpd\n25 inet n - y - - smtpd\n",
		    "it listens on 0.0.0.0:25, as the service smtp does: one of them would get the other's mail (line 1)" },
		{ "master.cf", "smtp inet n - y - - smtpd\nx intet n - y - - smtpd\n", "\"intet\" is no type of service" },
		{ "master.cf", "smtp inet n - j - - smtpd\n", "\"j\" means nothing in the column \"chroot\"" },
	};
	static const char *const fine = MAIN "smtp_tls_security_level = dane\nsmtpd_tls_protocols = >=TLSv1.2\nsmtp_tls_ciphers = high\n"
	    "content_filter =\nsmtpd_restriction_classes = grey\ngrey = check_policy_service unix:private/grey\n"
	    "smtpd_recipient_restrictions = permit_mynetworks, check_client_access hash:/x, grey, sleep 1, reject_rbl_client a.test=127.0.0.2,\n"
	    " reject_unauth_destination\nlocal_transport = local:$myhostname\n";
	static const struct want cert = { { NULL }, { "smtp=smtp" }, { NULL } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		plan_contains(&cert, "debian", rows[i].section, rows[i].text, rows[i].must);
	plan_contains(&cert, "debian", "main.cf", fine, "good: names, values and services hold together\n");
	plan_contains(&cert, "debian", "version", "3.3.1\n", "warning: no shadow: the new configuration is not tried out");
	plan_contains(&cert, "debian", "version", "3.3.1\n", "check: smtpd starts (smtp)\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_rules),
		cmocka_unit_test(listeners_come_and_go),
		cmocka_unit_test(warnings_are_of_changes),
		cmocka_unit_test(listeners_are_judged),
		cmocka_unit_test(what_cannot_be_edited),
		cmocka_unit_test(local_users_stay),
		cmocka_unit_test(a_namesake_stays),
		cmocka_unit_test(what_would_not_serve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
