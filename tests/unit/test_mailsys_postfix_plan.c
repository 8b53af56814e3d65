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

#define GOLDEN TEST_SOURCE_DIR "/tests/golden/postfix/"

/* settings: "vs/name=value"; certificates "vs=name" (of a .pem here, with its key on the host) or "vs=" (unbound);
 * connectors: "name|domains|level|match". Among the settings also virtual servers: "vs|ours|listen|kind|run|client", "" for
 * NULL. Each list ends with NULL. */
struct want { const char *settings[56], *certificates[4], *connectors[4]; };

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

/* --- from words to what a store would ask --- */

static void
read_certificate(struct certificate *c, const char *name)
{
	struct str pem = STR_INIT;
	struct err e;
	char *path = xasprintf(GOLDEN "%s.pem", name);

	if (str_read_file(&pem, path, CERT_MAX, &e) != 0 || cert_read(pem.s, pem.len, NULL, c, &e) != 0)
		fail_msg("%s: %s", path, e.text);
	xset(&c->name, name);
	free(c->key_path);
	c->key_path = xasprintf("/var/lib/mxseal/keys/%s.key", name);
	str_release(&pem);
	free(path);
}

static struct wanted_vs *
wanted_vs(struct wanted_host *w, const struct reading *r, const char *name, size_t len)
{
	struct wanted_vs *vs;
	size_t i;

	for (i = 0; i < w->n_vs; i++)
		if (strlen(w->vs[i].name) == len && strncmp(w->vs[i].name, name, len) == 0)
			return &w->vs[i];
	vs = &w->vs[w->n_vs++];
	vs->name = xstrndup(name, len);
	vs->is_default = strcmp(r->vservers.v[0].name, vs->name) == 0;
	return vs;
}

static void
listener_make(struct wanted_vs *vs, const char *rest)
{
	char *copy = xstrdup(rest), *next = copy;
	char **const fields[] = { &vs->ours, &vs->listen, &vs->kind, &vs->run, &vs->client };
	size_t k;

	for (k = 0; k < 5; k++) {
		const char *text = strsep(&next, "|");

		*fields[k] = *text ? xstrdup(text) : NULL;
	}
	free(copy);
}

static void
want_make(struct wanted_host *w, struct certificate certificates[4], const struct reading *r, const struct want *want)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	memset(certificates, 0, 4 * sizeof(*certificates));
	w->vs = xcalloc(32, sizeof(*w->vs));
	for (i = 0; want->settings[i]; i++) {
		const char *bar = strchr(want->settings[i], '|'), *slash = strchr(want->settings[i], '/'), *equals;
		struct wanted *s;

		if (bar) {
			listener_make(wanted_vs(w, r, want->settings[i], (size_t)(bar - want->settings[i])), bar + 1);
			continue;
		}
		equals = strchr(slash, '=');
		s = wanted_list_add(&wanted_vs(w, r, want->settings[i], (size_t)(slash - want->settings[i]))->settings);

		s->name = xstrndup(slash + 1, (size_t)(equals - slash - 1));
		s->value = xstrdup(equals + 1);
		s->scope = xstrdup("vs");
	}
	for (i = 0; want->certificates[i]; i++) {
		const char *equals = strchr(want->certificates[i], '=');
		struct wanted_vs *vs = wanted_vs(w, r, want->certificates[i], (size_t)(equals - want->certificates[i]));

		vs->certificate_set = true;
		if (equals[1]) {
			read_certificate(&certificates[i], equals + 1);
			vs->certificate = &certificates[i];
		}
	}
	for (i = 0; want->connectors[i]; i++) {
		struct connector *c = connector_list_add(&w->connectors);
		char *copy = xstrdup(want->connectors[i]), *rest = copy;

		c->name = xstrdup(strsep(&rest, "|"));
		c->domains = xstrdup(strsep(&rest, "|"));
		c->tls = xstrdup(strsep(&rest, "|"));
		c->match = xstrdup(rest);
		c->route = xstrdup("dns");
		free(copy);
	}
}

static void
want_free(struct wanted_host *w, struct certificate certificates[4])
{
	size_t i;

	for (i = 0; i < 4; i++)
		certificate_release(&certificates[i]);
	wanted_host_release(w);
}

static void
load(const char *name, struct sections *s)
{
	char path[512];

	snprintf(path, sizeof(path), GOLDEN "%s.rec", name);
	recording_load(path, s);
}

static void
read_sections(struct sections *s, struct reading *r)
{
	struct err e;

	if (mailsys_postfix.read(s, r, &e) != 0)
		fail_msg("%s", e.text);
}

/* --- golden texts --- */

static void
dump(const struct plan *p, struct str *out)
{
	size_t i;

	str_addf(out, "generation %d\n", (int)p->generation);
	for (i = 0; i < p->n_results; i++)
		str_addf(out, "%s: %s%s%s\n", p->results[i].ok ? "good" : "BAD", p->results[i].name,
		    *p->results[i].text ? ": " : "", p->results[i].text);
	for (i = 0; i < p->n_warnings; i++)
		str_addf(out, "warning: %s\n", p->warnings[i]);
	for (i = 0; i < p->n_wants; i++)
		str_addf(out, "prove %s%s at %s port %d%s%s%s%s%s %.16s\n", p->wants[i].state == PROOF_GONE ? "gone "
		    : p->wants[i].state == PROOF_PAUSED ? "paused " : "", p->wants[i].listen, p->wants[i].address, p->wants[i].port,
		    p->wants[i].implicit_tls ? " implicit" : "", p->wants[i].want_tls ? " tls" : "",
		    p->wants[i].forbid_tls ? " no-tls" : "", p->wants[i].name ? " name " : "",
		    p->wants[i].name ? p->wants[i].name : "", *p->wants[i].sha256 ? p->wants[i].sha256 : "any");
	for (i = 0; i < p->checks.n; i++)
		str_addf(out, "check: %s\n", p->checks.v[i].name);
	for (i = 0; i < p->n_changes; i++)
		str_addf(out, "\n==== %s %s mode %04o%s%s%s\n%s", p->changes[i].action == CHANGE_EDIT ? "edit" : "create",
		    p->changes[i].path, p->changes[i].mode, p->changes[i].key_path ? " behind the key " : "",
		    p->changes[i].key_path ? p->changes[i].key_path : "", p->changes[i].is_switch ? " (switch)" : "",
		    p->changes[i].after.s);
}

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

/* --- a host after the push, made from the recording --- */

/* What the host's files would answer to the second look: the same commands, from the plan or from the recording. */
static char *
answer(const struct plan *p, const struct sections *old, const struct command_list *old_more, const struct command *c)
{
	const char *path = c->argv[0] && strcmp(c->argv[0], "openssl") == 0 ? c->argv[3] : NULL;
	size_t i, n;

	for (n = 0; c->argv[n]; n++)
		;
	path = path ? path : c->argv[n - 1];
	for (i = 0; i < p->n_changes; i++) {
		const struct section *keys = section_find(old, "keys");
		const char *key;
		char *line;

		if (strcmp(p->changes[i].path, path) != 0)
			continue;
		if (text_starts(c->name, "mode."))
			return xstrdup("600 root:root\n");
		if (p->changes[i].key_path == NULL || text_starts(c->name, "cert."))
			return xstrdup(p->changes[i].after.s);
		line = xasprintf("key %s\n", p->changes[i].key_path);
		key = strstr(keys->text.s, line);
		assert_non_null(key);
		key += strlen(line);
		free(line);
		return xstrndup(key, (size_t)(strstr(key, "-----END PUBLIC KEY-----") + 25 - key));
	}
	for (i = 0; i < old_more->n; i++) {
		bool same = strncmp(old_more->v[i].name, c->name, strcspn(c->name, ".") + 1) == 0;

		for (n = 0; same && c->argv[n]; n++)
			same = text_eq(c->argv[n], old_more->v[i].argv[n]);
		if (same)
			return xstrdup(section_text(old, old_more->v[i].name));
	}
	return NULL;
}

static void
apply(struct sections *s, const struct plan *p)
{
	struct command_list before = { NULL, 0 }, after = { NULL, 0 };
	struct str ours = STR_INIT, numbers = STR_INIT;
	char **answers;
	size_t i;

	assert_int_equal(mailsys_postfix.more(s, &before, NULL), 0);
	for (i = 0; i < p->n_changes; i++) {
		const struct change *c = &p->changes[i];
		char hex[65];

		if (c->is_switch) {
			recording_set(s, strrchr(c->path, '/') + 1, 0, c->after.s);
			continue;
		}
		sha256_hex(c->after.s, c->after.len, hex);
		str_addf(&ours, "%s  %s\n", hex, c->path);
	}
	str_addf(&numbers, "/etc/mxseal:\n%d\n", (int)p->generation);
	assert_int_equal(mailsys_postfix.more(s, &after, NULL), 0);
	answers = xcalloc(after.n + 1, sizeof(*answers));
	for (i = 0; i < after.n; i++)
		answers[i] = answer(p, s, &before, &after.v[i]);
	for (i = 0; i < after.n; i++) {
		recording_set(s, after.v[i].name, answers[i] ? 0 : 1, answers[i] ? answers[i] : "");
		free(answers[i]);
	}
	recording_set(s, "ours", 0, ours.s);
	recording_set(s, "generations", 0, numbers.s);
	free(answers);
	command_list_release(&before);
	command_list_release(&after);
	str_release(&ours);
	str_release(&numbers);
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

		load(cases[i].recording, &s);
		load(cases[i].recording, &after);
		read_sections(&s, &r);
		want_make(&want, certificates, &r, &cases[i].want);
		if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != 0)
			fail_msg("%s: %s", cases[i].name, e.text);
		dump(&p, &text);
		compare(cases[i].name, &text);
		assert_string_equal(p.base, r.base);
		assert_int_equal(p.reload.n, 1);

		apply(&after, &p);
		reading_release(&r);
		read_sections(&after, &r);
		looked += found_is_wanted(cases[i].name, &r, &want);
		if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &second, &e) != 0)
			fail_msg("%s, second plan: %s", cases[i].name, e.text);
		if (!plan_is_empty(&second)) {
			str_reset(&text);
			dump(&second, &text);
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
	load("services", &s);
	read_sections(&s, &r);
	want_make(&want, certificates, &r, &settings);
	want.vs[0].client = xstrdup("submission-out");
	if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != 0)
		fail_msg("%s", e.text);
	dump(&p, &text);
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
	load("services", &s);
	load("services", &after);
	read_sections(&s, &r);
	str_addn(&main_cf, r.main_cf.s, r.main_cf.len);
	str_addn(&master_cf, r.master_cf.s, r.master_cf.len);
	want_make(&want, certificates, &r, &put);
	assert_int_equal(mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, NULL), 0);
	assert_false(plan_is_empty(&p));
	apply(&after, &p);
	plan_release(&p);
	want_free(&want, certificates);
	reading_release(&r);

	read_sections(&after, &r);
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

		load("debian", &s);
		read_sections(&s, &r);
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

	load("debian", &s);
	if (section)
		recording_set(&s, section, 0, text);
	read_sections(&s, &r);
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

		load("debian", &s);
		read_sections(&s, &r);
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

static void
contains(const struct want *w, const char *recording, const char *section, const char *text, const char *must)
{
	struct certificate certificates[4];
	struct wanted_host want;
	struct sections s;
	struct reading r;
	struct plan p;
	struct str out = STR_INIT;

	load(recording, &s);
	if (section)
		recording_set(&s, section, 0, text);
	read_sections(&s, &r);
	want_make(&want, certificates, &r, w);
	assert_int_equal(mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, NULL), 0);
	dump(&p, &out);
	if (strstr(out.s, must) == NULL)
		fail_msg("no \"%s\" in:\n%s", must, out.s);
	str_release(&out);
	plan_release(&p);
	reading_release(&r);
	want_free(&want, certificates);
}

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
	contains(&bank, "debian", "main.cf", MAIN, "\nsmtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n");
	/* a route where mail would go elsewhere, for any reason */
	contains(&bank, "debian", "main.cf", MAIN "relayhost = [r.test]\n", "\nbank.test smtp:\n");
	contains(&bank, "debian", "main.cf", MAIN "default_transport = uucp\n", "\nbank.test smtp:\n");
	contains(&bank, "debian", "main.cf", MAIN "transport_maps = pcre:/etc/postfix/t\n",
	    "transport_maps = texthash:/etc/mxseal/1/transport, pcre:/etc/postfix/t\n");
	contains(&bank, "debian", "main.cf", "virtual_mailbox_domains = bank.test\n", "stays on this host");
	/* DANE */
	contains(&dane, "debian", NULL, NULL, "\nsmtp_dns_support_level = dnssec\n");
	contains(&dane, "debian", NULL, NULL, "warning: DANE needs a resolver on the host itself");
	/* the list syntax of Postfix before 3.6 */
	contains(&floor, "debian", "version", "3.5.6\n", "\nsmtpd_tls_protocols = !SSLv2,!SSLv3,!TLSv1,!TLSv1.1\n");
	/* an override of the service itself is changed with main.cf */
	/* what was broken before and is not touched is not proved */
	contains(&floor, "broken", NULL, NULL, "prove 127.0.0.1:25 at 127.0.0.1 port 25 any\n");
	contains(&off, "debian", "master.cf", "smtp inet n - y - - smtpd -o smtpd_tls_security_level=may\n",
	    "\nsmtp inet n - y - - smtpd -o smtpd_tls_security_level=none\n");
	/* the number of a generation is never used twice */
	contains(&cert, "debian", "generations", "/etc/mxseal:\n3\n\n/var/lib/mxseal:\n12\nkeys\n", "/etc/mxseal/13/chain-smtp.pem");
	contains(&cert, "debian", NULL, NULL, "warning: smtp: the certificate is put there, but the secure channel is off");
	contains(&cert, "debian", "main.cf", MAIN "tls_server_sni_maps = hash:/x\n", "warning: tls_server_sni_maps is set");
	/* names of services are not names of files */
	contains(&(struct want){ { NULL }, { "[::1]:2525=smtp" }, { NULL } }, "broken", NULL, NULL, "/etc/mxseal/1/chain-___1__2525-");
}

/* One push of what is wanted; master_cf gets the file after it. */
static void
stage(struct sections *s, const struct want *w, struct str *master_cf)
{
	struct certificate certificates[4];
	struct wanted_host want;
	struct reading r;
	struct plan p;
	struct err e;
	struct sections copy = { 0 };

	for (size_t i = 0; i < s->n; i++)
		recording_set(&copy, s->v[i].name, s->v[i].status, s->v[i].text.s);
	read_sections(&copy, &r);
	want_make(&want, certificates, &r, w);
	if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != 0)
		fail_msg("%s", e.text);
	apply(s, &p);
	str_reset(master_cf);
	str_add(master_cf, section_text(s, "master.cf"));
	plan_release(&p);
	reading_release(&r);
	want_free(&want, certificates);
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
	load("services", &s);
	str_add(&first, section_text(&s, "master.cf"));
	stage(&s, &runs, &running);
	assert_non_null(strstr(running.s, "\n192.0.2.5:2525 inet"));
	assert_non_null(strstr(running.s, "\nside-out  unix"));
	stage(&s, &stops, &now);
	assert_non_null(strstr(now.s, "\n# stopped by mxseal: 192.0.2.5:2525 inet"));
	stage(&s, &runs, &now);
	assert_string_equal(now.s, running.s);
	stage(&s, &stops, &now);
	stage(&s, &edits, &now);                             /* as they are: stopped and paused */
	assert_non_null(strstr(now.s, "\n# stopped by mxseal:   -o smtpd_tls_ciphers=high"));
	assert_null(strstr(now.s, "side-out"));
	stage(&s, &goes, &now);
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
	contains(&side, "debian", NULL, NULL, "good: names, values and services hold together");
	contains(&side, "debian", "version", "3.5.6\n", "it listens on 192.0.2.5:25, as the service smtp does");
	contains(&again, "debian", NULL, NULL, "it listens on 0.0.0.0:25, as the service smtp does");
	contains(&bare, "debian", "main.cf", none, "BAD: submission: passwords are asked for with TLS only: it has no certificate");
	contains(&bare, "debian", NULL, NULL, "warning: submission: Postfix asks for no passwords on this host");
	contains(&bare, "debian", "main.cf", MAIN "smtpd_sasl_type = dovecot\n", "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n");
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

	load("debian", &s);
	recording_set(&s, section, 0, text);
	read_sections(&s, &r);
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
	contains(&both, "debian", "main.cf", table, "\n192.0.2.0/24 DUNNO\n0.0.0.0/0 REJECT\n");
	refused(&relay, "main.cf", MAIN "mua = reject\nsmtpd_relay_restrictions = $mua, permit_mynetworks, defer_unauth_destination\n",
	    "which is not edited here");
	contains(&relay, "debian", "main.cf", MAIN "smtpd_relay_restrictions = permit_mynetworks, reject, $mua\n",
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
	load("debian", &s);
	recording_set(&s, "main.cf", 0, all);
	stage(&s, &none, &master);
	assert_string_equal(section_text(&s, "main.cf"), all);
	recording_set(&s, "main.cf", 0, MAIN);
	stage(&s, &to, &master);
	assert_non_null(strstr(section_text(&s, "main.cf"), "\nlocal_recipient_maps =\n"));
	stage(&s, &none, &master);
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
	load("debian", &s);
	recording_set(&s, "master.cf", 0, master);
	stage(&s, &goes, &now);
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
		contains(&cert, "debian", rows[i].section, rows[i].text, rows[i].must);
	contains(&cert, "debian", "main.cf", fine, "good: names, values and services hold together\n");
	contains(&cert, "debian", "version", "3.3.1\n", "warning: no shadow: the new configuration is not tried out");
	contains(&cert, "debian", "version", "3.3.1\n", "check: smtpd starts (smtp)\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_are_golden_and_idempotent), cmocka_unit_test(a_client_service_of_its_own), cmocka_unit_test(taken_away_nothing_is_left),
		cmocka_unit_test(hostile_values_are_refused), cmocka_unit_test(our_own_checks), cmocka_unit_test(a_key_is_carried), cmocka_unit_test(single_rules),
		cmocka_unit_test(what_cannot_be_edited), cmocka_unit_test(local_users_stay), cmocka_unit_test(a_namesake_stays),
		cmocka_unit_test(what_would_not_serve), cmocka_unit_test(listeners_come_and_go), cmocka_unit_test(listeners_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
