/* Connectors compiled for Postfix: each case is a configuration and connectors, and lines that must or must not come of
 * them: routes, policies under the next hop that is used, passwords, senders, ETRN, and what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/postfix.h"
#include "mxseal/certificate.h"
#include "mxseal/connector.h"
#include "mxseal/xalloc.h"
#include "support/recording.h"

#define GOLDEN TEST_SOURCE_DIR "/tests/golden/postfix/"
#define BASE "myhostname = mx1.lab.test\nmydestination = $myhostname, lab.test, in.near.test\nsmtpd_tls_cert_file = /c.pem\n"
#define PASSWORD "Kennwort: #1 $x"

/* "name|domains|level", then any of "smart=", "match=", "user=", "from=", "delivery=", "via=", each behind a '|'. Virtual
 * servers: smtp (the default one), and "other" with the client other-out. */
struct want { const char *main_cf, *version, *connectors[4]; };

static void
connector_read(struct connector *c, const char *text)
{
	static const struct { const char *key; size_t at; } more[] = {
		{ "smart=", offsetof(struct connector, smart_hosts) }, { "match=", offsetof(struct connector, match) },
		{ "user=", offsetof(struct connector, auth_user) }, { "from=", offsetof(struct connector, senders) },
		{ "delivery=", offsetof(struct connector, delivery) }, { "via=", offsetof(struct connector, via) },
	};
	char *copy = xstrdup(text), *rest = copy, *part;
	size_t i;

	c->name = xstrdup(strsep(&rest, "|"));
	c->domains = xstrdup(strsep(&rest, "|"));
	c->tls = xstrdup(strsep(&rest, "|"));
	while ((part = strsep(&rest, "|")))
		for (i = 0; i < sizeof(more) / sizeof(more[0]); i++)
			if (text_starts(part, more[i].key))
				xset((char **)((char *)c + more[i].at), part + strlen(more[i].key));
	c->route = xstrdup(c->smart_hosts ? "smart-host" : "dns");
	free(copy);
}

static void
want_make(struct wanted_host *w, const struct want *want)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	w->vs = xcalloc(2, sizeof(*w->vs));
	w->n_vs = 2;
	w->vs[0].name = xstrdup("smtp");
	w->vs[0].is_default = true;
	w->vs[1].name = xstrdup("other");
	for (i = 0; i < 4 && want->connectors[i]; i++) {
		connector_read(connector_list_add(&w->connectors), want->connectors[i]);
		if (strstr(want->connectors[i], "via=mx1/other"))
			xset(&w->vs[1].client, "other-out");
	}
	w->passwords = xcalloc(i + 1, sizeof(*w->passwords));
	for (i = 0; i < w->connectors.n; i++)
		if (w->connectors.v[i].auth_user)
			secret_set(&w->passwords[i], PASSWORD, strlen(PASSWORD));
}

static void
read_host(struct sections *s, struct reading *r, const struct want *want)
{
	struct err e;

	recording_load(GOLDEN "debian.rec", s);
	if (want->main_cf)
		recording_set(s, "main.cf", 0, want->main_cf);
	if (want->version)
		recording_set(s, "version", 0, want->version);
	if (mailsys_postfix.read(s, r, &e) != 0)
		fail_msg("%s", e.text);
}

/* All files of a plan, and what it says. With secrets: the tests may see them. */
static void
dump(const struct plan *p, struct str *out)
{
	size_t i;

	for (i = 0; i < p->n_warnings; i++)
		str_addf(out, "warning: %s\n", p->warnings[i]);
	for (i = 0; i < p->n_changes; i++)
		str_addf(out, "== %s %04o\n%s", p->changes[i].path, p->changes[i].mode, p->changes[i].after.s);
}

static void
apply(struct sections *s, const struct plan *p)
{
	struct str ours = STR_INIT;
	char hex[65];
	size_t i;

	for (i = 0; i < p->n_changes; i++) {
		const struct change *c = &p->changes[i];

		if (c->is_switch) {
			recording_set(s, strrchr(c->path, '/') + 1, 0, c->after.s);
			continue;
		}
		sha256_hex(c->after.s, c->after.len, hex);
		str_addf(&ours, "%s  %s\n", hex, c->path);
	}
	recording_set(s, "ours", 0, ours.s);
	str_release(&ours);
}

static const struct change *
change_of(const struct plan *p, const char *path)
{
	for (size_t i = 0; i < p->n_changes; i++)
		if (strcmp(p->changes[i].path, path) == 0)
			return &p->changes[i];
	return NULL;
}

/* Plans, applies, plans again: nothing to do; then all connectors go, and the files are as they were. */
static void
compile(const struct want *want, struct str *out)
{
	static const struct want none = { NULL, NULL, { NULL } };
	struct wanted_host w, nothing;
	struct sections s, after;
	struct reading r;
	struct plan p, second;
	struct str main_cf = STR_INIT, master_cf = STR_INIT;
	struct err e;
	size_t i;

	read_host(&s, &r, want);
	want_make(&w, want);
	want_make(&nothing, &none);
	str_addn(&main_cf, r.main_cf.s, r.main_cf.len);
	str_addn(&master_cf, r.master_cf.s, r.master_cf.len);
	if (mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, &e) != 0)
		fail_msg("%s: %s", want->connectors[0], e.text);
	dump(&p, out);
	recording_load(GOLDEN "debian.rec", &after);
	if (want->main_cf)
		recording_set(&after, "main.cf", 0, want->main_cf);
	if (want->version)
		recording_set(&after, "version", 0, want->version);
	apply(&after, &p);
	reading_release(&r);
	assert_int_equal(mailsys_postfix.read(&after, &r, &e), 0);
	assert_int_equal(mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &second, &e), 0);
	if (!plan_is_empty(&second)) {
		str_reset(out);
		dump(&second, out);
		fail_msg("%s: a second plan is not empty:\n%s", want->connectors[0], out->s);
	}
	plan_release(&second);
	assert_int_equal(mailsys_postfix.plan(&r, &nothing, &(struct plan_options){ false }, &second, &e), 0);
	for (i = 0; i < p.n_changes; i++) {
		const struct change *c = &p.changes[i], *back = change_of(&second, c->path);
		bool main = strstr(c->path, "main.cf") != NULL;

		if (!c->is_switch || (main && (strstr(out->s, "smtp_tls_CAfile is set") != NULL || strstr(out->s, "smtp_tls_CAfile = ") != NULL)))
			continue;
		assert_string_equal((back ? back : c)->after.s, main ? main_cf.s : master_cf.s);
	}
	for (i = 0; i < second.n_changes; i++)
		assert_non_null(change_of(&p, second.changes[i].path));
	plan_release(&second);
	plan_release(&p);
	reading_release(&r);
	wanted_host_release(&w);
	wanted_host_release(&nothing);
	str_release(&main_cf);
	str_release(&master_cf);
}

static const struct { struct want want; const char *must[7], *must_not[4]; } cases[] = {
	/* the key is the next hop, letter by letter */
	{ { BASE, NULL, { "r|bank.test|encrypt|smart=[relay.test]:587" } },
	    { "\nbank.test smtp:[relay.test]:587\n", "\n[relay.test]:587 encrypt\n" }, { "\nbank.test encrypt" } },
	{ { BASE, NULL, { "r|bank.test *.bank.test,7|encrypt|smart=relay.test Backup.TEST:26 192.0.2.7" } },
	    { "\nbank.test smtp:relay.test, backup.test:26, [192.0.2.7]\n", "\n.bank.test smtp:relay.test, backup.test:26, [192.0.2.7]\n",
	      "\nrelay.test encrypt\n", "\nbackup.test:26 encrypt\n", "\n[192.0.2.7] encrypt\n" }, { "bank.test encrypt" } },
	{ { BASE, NULL, { "d|bank.test *.bank.test|secure|match=mx.bank.test .bank.test" } },
	    { "\nbank.test secure match=mx.bank.test:.bank.test\n", "\n.bank.test secure match=mx.bank.test:.bank.test\n" },
	    { "bank.test smtp:", "/transport" } },
	/* names are written as Postfix compares them */
	{ { BASE, NULL, { "d|bank.test|secure|match=B\303\274cher.test .caf\303\251.test nexthop MX.Bank.test" } },
	    { "\nbank.test secure match=xn--bcher-kva.test:.xn--caf-dma.test:nexthop:mx.bank.test\n" }, { NULL } },
	{ { BASE, NULL, { "s|*|encrypt|smart=[relay.test]|from=Anna@B\303\274cher.test" } },
	    { "\n/^anna@xn--bcher-kva\\.test$/ smtp:[relay.test]\n" }, { NULL } },
	/* a fingerprint is a level of its own, with the digest it is made with */
	{ { BASE, NULL, { "f|bank.test|secure|smart=[relay.test]|match="
	    "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" } },
	    { "\n[relay.test] fingerprint match=00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:"
	      "EE:FF\n", "\nsmtp_tls_fingerprint_digest = sha256\n" }, { "secure" } },
	{ { BASE "compatibility_level = 3.6\n", NULL, { "f|bank.test|verify|match="
	    "SHA256:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff "
	    "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" } },
	    { "\nbank.test fingerprint match=00:11", ":EE:FF|FF:FF" }, { "smtp_tls_fingerprint_digest" } },
	/* a virtual server with a client of its own: its own map, and a route to it */
	{ { BASE, NULL, { "o|bank.test|none|via=mx1/other", "p|bank.example|encrypt|via=mx1" } },
	    { "\nbank.test other-out:\n", "/policy-other-out 0644\n", "\nbank.test none\n", "\nbank.example encrypt\n",
	      "smtp_tls_policy_maps=texthash:/etc/mxseal/1/policy-other-out\n" },
	    { "\nbank.example smtp:" } },
	{ { BASE, NULL, { "o|bank.test|none|via=mx1/other mx1/smtp|smart=[relay.test]", "p|bank.example|encrypt|via=mx1/smtp|smart=[relay.test]" } },
	    { "\nbank.test other-out:[relay.test]\n", "\nbank.example smtp:[relay.test]\n", "\n[relay.test] none\n",
	      "\n[relay.test] encrypt\n", "names 2 virtual servers of this host", ": mx1/other is used" }, { NULL } },
	/* who has an address space: the lower cost; the loser is named, and said to be out of reach */
	{ { BASE, NULL, { "a|bank.test,5|encrypt", "b|bank.test,2 more.test|verify" } },
	    { "\nbank.test verify\n", "bank.test: connector a (cost 5) has it too, but is not used for it: b has cost 2",
	      "connector a: no mail can reach it on this host" }, { "\nbank.test encrypt", "connector b: no mail" } },
	/* a wider space with a route must not take the more specific one with it, whatever it costs */
	{ { BASE, NULL, { "wide|*.test,1|encrypt|smart=[relay.test]", "exact|bank.test,90|secure" } },
	    { "\n.test smtp:[relay.test]\n", "\nbank.test smtp:\n", "\nbank.test secure\n" }, { NULL } },
	/* nor the host's own domains */
	{ { BASE, NULL, { "wide|*.near.test|encrypt|smart=[relay.test]" } },
	    { "\nin.near.test :\n", "\n.near.test smtp:[relay.test]\n" }, { "\nlab.test :", "\nmx1.lab.test :" } },
	{ { BASE, NULL, { "own|lab.test|encrypt|smart=[relay.test]" } },
	    { "mail for lab.test stays on this host", "connector own: no mail can reach it" }, { "\nlab.test smtp:" } },
	{ { BASE "virtual_mailbox_domains = hash:/etc/postfix/v\n", NULL, { "wide|*.near.test|encrypt|smart=[relay.test]" } },
	    { "domains of this host that stand in tables are not known here" }, { NULL } },
	/* every domain: by sender, so that relay_domains and the host's own are left alone */
	{ { BASE "relayhost = [old.test]\n", NULL, { "all|*|encrypt|smart=[relay.test]:587" } },
	    { "\n/^/ smtp:[relay.test]:587\n", "sender_dependent_default_transport_maps = regexp:/etc/mxseal/1/senders\n",
	      "\n[relay.test]:587 encrypt\n", "the host's own relayhost = [old.test] is used only for relay_domains now" },
	    { "\n* smtp:", "\nrelayhost = [relay" } },
	{ { BASE, NULL, { "all|*|encrypt|smart=[relay.test]", "one|bank.test|none" } },
	    { "\n/^/ smtp:[relay.test]\n", "\nbank.test smtp:\n", "\nbank.test none\n" }, { NULL } },
	{ { BASE, NULL, { "all|*|encrypt|smart=[relay.test]", "sales|*|encrypt|smart=[sales.test]|from=@Sales.test anna+x@bank.test" } },
	    { "\n/^anna\\+x@bank\\.test$/ smtp:[sales.test]\n/@sales\\.test$/ smtp:[sales.test]\n/^/ smtp:[relay.test]\n" }, { NULL } },
	/* logging in */
	{ { BASE, NULL, { "l|bank.test|encrypt|smart=[relay.test]:587 [two.test]|user=mail user" } },
	    { "/sasl_passwd 0600\n", "\n[relay.test]:587 mail user:" PASSWORD "\n[two.test] mail user:" PASSWORD "\n",
	      "\nsmtp_sasl_auth_enable = yes\n", "\nsmtp_sasl_tls_security_options = noanonymous\n",
	      "\nsmtp_sasl_password_maps = texthash:/etc/mxseal/1/sasl_passwd\n" }, { "smtp_sasl_security_options = " } },
	{ { BASE "smtp_sasl_password_maps = hash:/etc/postfix/sasl\nsmtp_sasl_auth_enable = yes\n"
	    "smtp_sasl_security_options = noanonymous\n", NULL, { "l|bank.test|secure|smart=[relay.test]|user=u" } },
	    { "\nsmtp_sasl_password_maps = texthash:/etc/mxseal/1/sasl_passwd, hash:/etc/postfix/sasl\n",
	      "the host's own smtp_sasl_password_maps are asked too" }, { NULL } },
	/* mail that waits until it is asked for */
	{ { BASE, NULL, { "e|branch.test|encrypt|delivery=etrn" } },
	    { "\nbranch.test mxseal-etrn:\n", "\nmxseal-etrn unix - - y - - smtp\n  -o syslog_name=postfix/mxseal-etrn\n",
	      "\ndefer_transports = mxseal-etrn\n", "\nfast_flush_domains = texthash:/etc/mxseal/1/etrn, $relay_domains\n",
	      "\nbranch.test mail for it", "\nbranch.test encrypt\n" }, { NULL } },
	{ { BASE "defer_transports = uucp\nfast_flush_domains = $relay_domains\n", NULL,
	    { "e|branch.test|encrypt|delivery=etrn|smart=[gw.branch.test]" } },
	    { "\nbranch.test mxseal-etrn:[gw.branch.test]\n", "\ndefer_transports = mxseal-etrn, uucp\n",
	      "\nfast_flush_domains = texthash:/etc/mxseal/1/etrn, $relay_domains\n" }, { NULL } },
	/* tables that are not known here */
	{ { BASE "transport_maps = pcre:/t\nsmtp_tls_policy_maps = ldap:/x\n", NULL, { "d|bank.test|encrypt" } },
	    { "transport_maps: pcre:/t cannot be looked into here", "smtp_tls_policy_maps: ldap:/x cannot be looked into here" }, { NULL } },
};

/* The administrator writes beside what is ours: it stays, in its place, and so does his. */
static void
a_line_behind_ours_stays(void **state)
{
	static const struct want want = { BASE, NULL, { "e|branch.test|encrypt|delivery=etrn" } };
	struct wanted_host w;
	struct sections s, after;
	struct reading r;
	struct plan p;
	struct str master = STR_INIT;
	const struct change *gone;
	size_t i;

	(void)state;
	read_host(&s, &r, &want);
	want_make(&w, &want);
	assert_int_equal(mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, NULL), 0);
	recording_load(GOLDEN "debian.rec", &after);
	recording_set(&after, "main.cf", 0, BASE);
	apply(&after, &p);
	for (i = 0; i < p.n_changes; i++)
		if (strstr(p.changes[i].path, "master.cf"))
			str_addf(&master, "%s# mine\nslow unix - - n - - smtp\n", p.changes[i].after.s);
	assert_int_not_equal(master.len, 0);
	recording_set(&after, "master.cf", 0, master.s);
	plan_release(&p);
	reading_release(&r);
	assert_int_equal(mailsys_postfix.read(&after, &r, NULL), 0);
	assert_int_equal(mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, NULL), 0);
	assert_true(plan_is_empty(&p));
	plan_release(&p);

	/* and taken out it leaves everything else */
	connector_list_release(&w.connectors);
	memset(&w.connectors, 0, sizeof(w.connectors));
	assert_int_equal(mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, NULL), 0);
	gone = change_of(&p, "/etc/postfix/master.cf");
	assert_non_null(gone);
	assert_null(strstr(gone->after.s, "mxseal"));
	assert_non_null(strstr(gone->after.s, "\n# mine\nslow unix - - n - - smtp\n"));
	plan_release(&p);
	reading_release(&r);
	wanted_host_release(&w);
	str_release(&master);
}

static void
connectors_become_rows(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str out = STR_INIT;

		compile(&cases[i].want, &out);
		for (k = 0; k < 7 && cases[i].must[k]; k++)
			if (strstr(out.s, cases[i].must[k]) == NULL)
				fail_msg("case %zu (%s): no \"%s\" in:\n%s", i, cases[i].want.connectors[0], cases[i].must[k], out.s);
		for (k = 0; k < 4 && cases[i].must_not[k]; k++)
			if (strstr(out.s, cases[i].must_not[k]))
				fail_msg("case %zu (%s): \"%s\" in:\n%s", i, cases[i].want.connectors[0], cases[i].must_not[k], out.s);
		str_release(&out);
	}
}

/* What cannot be kept is refused, in one sentence that names the connector, and both where two meet. */
static const struct { struct want want; const char *says; } refused[] = {
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[relay.test]", "b|two.test|none|smart=[relay.test]" } },
	    "the connectors a and b send to the next hop [relay.test] by the same virtual server" },
	{ { BASE, NULL, { "a|relay.test|encrypt", "b|two.test|none|smart=relay.test" } }, "the connectors a and b send to the next hop" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[relay.test]", "b|two.test||smart=[relay.test]" } },
	    "one with \"encrypt\" and one with \"no security of its own\"" },
	{ { BASE, NULL, { "a|one.test||smart=relay.test", "b|relay.test|encrypt" } }, "the connectors a and b send to the next hop" },
	{ { BASE, "3.4.23\n", { "a|one.test|encrypt|smart=[x.test] [y.test]" } }, "several smart hosts need Postfix 3.5" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[MX1.lab.test]:26" } }, "is this host itself" },
	{ { BASE, NULL, { "a|*|encrypt" } }, "by DNS is what a virtual server does by itself" },
	{ { BASE, NULL, { "a|one.test|encrypt|from=@x.test" } }, "kept only with the one address space *" },
	{ { BASE, NULL, { "a|one.test *|encrypt|smart=[x.test]|from=@x.test" } }, "kept only with the one address space *" },
	{ { BASE, NULL, { "a|*|encrypt|smart=[x.test]|delivery=etrn" } }, "not with the address space *" },
	{ { BASE, NULL, { "a|one.test|encrypt|via=mx1/other|delivery=etrn" } }, "at the default virtual server only" },
	{ { BASE, NULL, { "a|one.test|may|smart=[x.test]|user=u" } }, "could travel without TLS" },
	{ { BASE, NULL, { "a|one.test|dane|smart=[x.test]|user=u" } }, "could travel without TLS" },
	{ { BASE, NULL, { "a|one.test|encrypt|user=u" } }, "nobody to log in to" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[x.test]|user=u:v" } }, "is no user name" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[x.test]|user=u", "b|two.test|encrypt|smart=[x.test]|user=v" } },
	    "log in to [x.test] as different users" },
	{ { BASE, NULL, { "a|one.test|encrypt|match=x.test" } }, "at verify and secure only" },
	{ { BASE, NULL, { "a|one.test|secure|match=*.x.test" } }, "\"*.x.test\" matches nothing" },
	{ { BASE, NULL, { "a|one.test|secure|match=x.test 192.0.2.1" } }, "\"192.0.2.1\" matches nothing" },
	{ { BASE, NULL, { "a|one.test|secure|match=.2001:db8::1" } }, "names to match" },
	{ { BASE, NULL, { "a|*|encrypt|smart=[x.test]|from=a@192.0.2.1" } }, "behind the @ stands a domain" },
	{ { BASE, NULL, { "a|one.test|secure|match=sha256:12" } }, "64 hexadecimal digits" },
	{ { BASE, NULL, { "a|one.test|secure|match=x.test sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" } },
	    "cannot be matched at once" },
	{ { BASE "smtp_tls_fingerprint_digest = md5\n", NULL,
	    { "a|one.test|secure|match=sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" } },
	    "main.cf has smtp_tls_fingerprint_digest = md5" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[x.test" } }, "closing bracket" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=x.test:0" } }, "port number" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[x.test]:99999" } }, "port number" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=2001:db8::1" } }, "stands in brackets" },
	{ { BASE, NULL, { "a|one.test|encrypt|smart=[x;reboot]" } }, "host name" },
	{ { BASE "parent_domain_matches_subdomains = transport_maps\n", NULL, { "a|*.one.test|encrypt|smart=[x.test]" } },
	    "would match nothing" },
	{ { BASE "parent_domain_matches_subdomains = transport_maps\n", NULL, { "a|*.one.test|encrypt", "all|*|encrypt|smart=[x.test]" } },
	    "would match nothing" },
};

static void
what_cannot_be_kept_is_refused(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct wanted_host w;
		struct sections s;
		struct reading r;
		struct plan p;
		struct err e = { .code = RC_OK };

		read_host(&s, &r, &refused[i].want);
		want_make(&w, &refused[i].want);
		if (mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, &e) != -1)
			fail_msg("case %zu is taken: %s", i, refused[i].want.connectors[0]);
		if (strstr(e.text, refused[i].says) == NULL || strstr(e.text, "connector") == NULL)
			fail_msg("case %zu says: %s", i, e.text);
		assert_null(strchr(e.text, '\n'));
		plan_release(&p);
		reading_release(&r);
		wanted_host_release(&w);
	}
}

/* A password is in no text that anybody sees. */
static void
a_plan_shows_no_password(void **state)
{
	static const struct want want = { BASE, NULL, { "l|bank.test|encrypt|smart=[relay.test]:587|user=mailer" } };
	struct wanted_host w;
	struct sections s;
	struct reading r;
	struct plan p;
	struct str text = STR_INIT;
	size_t i;

	(void)state;
	read_host(&s, &r, &want);
	want_make(&w, &want);
	assert_int_equal(mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, NULL), 0);
	plan_render(&p, &text);
	assert_non_null(strstr(text.s, "(not shown: the password of mailer at [relay.test]:587)"));
	assert_null(strstr(text.s, "Kennwort"));
	for (i = 0; i < p.n_changes; i++)
		assert_true(p.changes[i].secret != NULL || strstr(p.changes[i].after.s, "Kennwort") == NULL);
	assert_null(strstr(p.base, "Kennwort"));
	str_release(&text);
	plan_release(&p);
	reading_release(&r);
	wanted_host_release(&w);
}

/* What the host lacks to log in with is said, with what mends it. */
static void
a_missing_library_is_said(void **state)
{
	static const struct want want = { BASE, NULL, { "l|bank.test|encrypt|smart=[relay.test]:587|user=mailer" } };
	static const struct { const char *files; bool said; } cases_[] = {
		{ "libanonymous.so.2\n", true }, { "", true }, { "libanonymous.so.2\nlibplain.so.2\n", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases_) / sizeof(cases_[0]); i++) {
		struct wanted_host w;
		struct sections s;
		struct reading r;
		struct plan p;
		struct str text = STR_INIT;

		recording_load(GOLDEN "debian.rec", &s);
		recording_set(&s, "main.cf", 0, BASE);
		recording_set(&s, "sasl", 0, cases_[i].files);
		assert_int_equal(mailsys_postfix.read(&s, &r, NULL), 0);
		want_make(&w, &want);
		assert_int_equal(mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, NULL), 0);
		dump(&p, &text);
		assert_int_equal(strstr(text.s, "libsasl2-modules") != NULL, cases_[i].said);
		str_release(&text);
		plan_release(&p);
		reading_release(&r);
		wanted_host_release(&w);
	}
}

/* Each client service that a password is sent by must send it, and what the administrator has there for himself stays his. */
static void
logins_by_their_client(void **state)
{
	static const struct want by_default = { BASE, NULL, { "l|bank.test|encrypt|smart=[relay.test]|user=u" } };
	static const struct want by_other = { BASE, NULL, { "l|bank.test|encrypt|smart=[relay.test]|user=u|via=mx1/other" } };
	static const struct { const struct want *want; const char *option, *says; bool fine; } rows[] = {
		{ &by_default, "smtp_sasl_auth_enable=yes", "sasl_passwd 0600", true },
		{ &by_default, "smtp_sasl_auth_enable=no", "gives the service smtp its own smtp_sasl_auth_enable: it would not log in", false },
		{ &by_default, "smtp_sasl_tls_security_options=noplaintext", "its own smtp_sasl_tls_security_options", false },
		{ &by_default, "smtp_sasl_password_maps=hash:/x", "its own smtp_sasl_password_maps", false },
		{ &by_other, "smtp_sasl_auth_enable=yes", "\nsmtp_sasl_auth_enable = yes\n", true },
		{ &by_other, "smtp_sasl_auth_enable=no", "\nsmtp_sasl_auth_enable = yes\n", true },
		{ &by_other, "smtp_sasl_password_maps=hash:/x", "\nsmtp_sasl_auth_enable = yes\n", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wanted_host w;
		struct sections s;
		struct reading r;
		struct plan p;
		struct err e = { .code = RC_OK };
		struct str text = STR_INIT, master = STR_INIT;
		int rc;

		str_addf(&master, "smtp inet n - y - - smtpd\nsmtp unix - - y - - smtp\n  -o %s\n", rows[i].option);
		recording_load(GOLDEN "debian.rec", &s);
		recording_set(&s, "main.cf", 0, BASE);
		recording_set(&s, "master.cf", 0, master.s);
		assert_int_equal(mailsys_postfix.read(&s, &r, NULL), 0);
		want_make(&w, rows[i].want);
		rc = mailsys_postfix.plan(&r, &w, &(struct plan_options){ false }, &p, &e);
		dump(&p, &text);
		if (rc != (rows[i].fine ? 0 : -1) || strstr(rows[i].fine ? text.s : e.text, rows[i].says) == NULL)
			fail_msg("row %zu: %s\n%s", i, e.text, text.s);
		if (!rows[i].fine)
			assert_int_equal(e.code, RC_CHECK);
		if (rows[i].fine && strstr(text.s, "master.cf ") != NULL)
			assert_non_null(strstr(text.s, rows[i].option));
		str_release(&master);
		str_release(&text);
		plan_release(&p);
		reading_release(&r);
		wanted_host_release(&w);
	}
}

/* Room for a client service: its map is named when something leaves by it with a level, and is empty otherwise. */
static void
a_client_service_knows_its_map(void **state)
{
	static const struct want want = { BASE, NULL, { "o|bank.test|none|via=mx1/other", "d|two.test|encrypt" } };
	struct wanted_host w;
	char *maps;

	(void)state;
	want_make(&w, &want);
	maps = client_policy_maps(&w, "other-out", 7);
	assert_string_equal(maps, "texthash:/etc/mxseal/7/policy-other-out");
	free(maps);
	maps = client_policy_maps(&w, "third-out", 7);
	assert_string_equal(maps, "");
	free(maps);
	wanted_host_release(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connectors_become_rows), cmocka_unit_test(a_line_behind_ours_stays),
		cmocka_unit_test(what_cannot_be_kept_is_refused),
		cmocka_unit_test(a_plan_shows_no_password), cmocka_unit_test(a_missing_library_is_said),
		cmocka_unit_test(a_client_service_knows_its_map), cmocka_unit_test(logins_by_their_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
