/* The reason and two looks make one answer: class, side, confidence. One row per case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/maillog.h"
#include "mxseal/probe.h"
#include "mxseal/queue.h"
#include "mxseal/xalloc.h"

static const struct row {
	const char *reason, *level, *host, *here;            /* classes; NULL: no look; reason NULL: none is known yet, "-": nothing waits */
	const char *class_name;
	enum failure_side side;
	const char *confidence;
} rows[] = {
	/* the looks tell apart what the reason does not */
	{ "cert-not-verified", "verify", "cert-expired", "cert-expired", "cert-expired", SIDE_THEIRS, "high" },
	{ "cert-not-verified", "verify", "cert-name-mismatch", "cert-name-mismatch", "cert-name-mismatch", SIDE_THEIRS, "high" },
	{ "cert-not-verified", "secure", "self-signed", "self-signed", "self-signed", SIDE_THEIRS, "high" },
	{ "cert-not-verified", "verify", "cert-untrusted", "cert-untrusted", "cert-untrusted", SIDE_THEIRS, "high" },
	{ "cert-not-verified", "verify", "cert-untrusted", "tls-ok", "cert-untrusted", SIDE_OURS, "high" },
	{ "cert-not-verified", "verify", NULL, "cert-expired", "cert-expired", SIDE_THEIRS, "medium" },
	{ "cert-not-verified", "verify", "tls-ok", "tls-ok", "cert-not-verified", SIDE_OURS, "low" },
	{ "connect-timeout", "may", "connect-timeout", "unknown", "connect-timeout", SIDE_PATH, "high" },
	{ "handshake-failed", "encrypt", "protocol-version", "protocol-version", "protocol-version", SIDE_THEIRS, "high" },
	/* who is to blame */
	{ "tls-not-offered", "encrypt", "tls-not-offered", "tls-not-offered", "tls-not-offered", SIDE_THEIRS, "high" },
	{ "tls-not-offered", "encrypt", "tls-not-offered", "tls-ok", "tls-not-offered", SIDE_PATH, "high" },
	{ "tls-not-offered", "encrypt", "tls-not-offered", "cert-expired", "tls-not-offered", SIDE_PATH, "high" },
	{ "timeout-in-handshake", "may", "timeout-in-handshake", "timeout-in-handshake", "timeout-in-handshake", SIDE_THEIRS,
	    "high" },
	{ "connect-timeout", "may", "connect-timeout", "tls-ok", "connect-timeout", SIDE_PATH, "high" },
	{ "connect-refused", "may", "connect-refused", "connect-refused", "connect-refused", SIDE_THEIRS, "high" },
	{ "local-policy-problem", "encrypt", "tls-ok", "tls-ok", "local-policy-problem", SIDE_OURS, "high" },
	{ "local-policy-problem", "encrypt", "starttls-refused", "starttls-refused", "local-policy-problem", SIDE_OURS, "high" },
	/* repaired since, or not about TLS at all */
	{ "tls-not-offered", "encrypt", "tls-ok", "tls-ok", "tls-not-offered", SIDE_THEIRS, "low" },
	{ "greylist", "may", "tls-ok", "tls-ok", "greylist", SIDE_THEIRS, "high" },
	{ "greylist", "may", "cert-expired", "cert-expired", "greylist", SIDE_THEIRS, "medium" },
	{ "remote-4xx", "encrypt", "self-signed", "self-signed", "remote-4xx", SIDE_THEIRS, "medium" },
	/* no reason, no look */
	{ NULL, "may", "starttls-refused", "starttls-refused", "starttls-refused", SIDE_THEIRS, "low" },
	{ NULL, "encrypt", "starttls-refused", "starttls-refused", "starttls-refused", SIDE_THEIRS, "medium" },
	/* nothing waits, and nothing would */
	{ "-", "encrypt", "tls-ok", "tls-ok", "tls-ok", SIDE_NONE, "high" },
	{ NULL, "encrypt", "tls-ok", "tls-ok", "tls-ok", SIDE_NONE, "medium" },
	{ "-", "encrypt", "cert-expired", "cert-expired", "tls-ok", SIDE_NONE, "medium" },
	{ "-", "verify", "cert-expired", "cert-expired", "cert-expired", SIDE_THEIRS, "medium" },
	{ "lost-connection-after-starttls", "may", NULL, NULL, "lost-connection-after-starttls", SIDE_THEIRS, "high" },
	{ "cert-not-verified", "verify", NULL, NULL, "cert-not-verified", SIDE_THEIRS, "medium" },
	{ NULL, NULL, NULL, NULL, "unknown", SIDE_NONE, "low" },
};

static char word_host[] = "mx1", word_here[] = "here", verdict[] = "a verdict\033[2J", reason[] = "a reason\033[2J";

static struct probe_report *
report(struct probe_report *r, const char *class_name, char *from)
{
	*r = (struct probe_report){ .from = from, .class_name = (char *)class_name, .verdict = verdict };
	return class_name != NULL ? r : NULL;
}

static void
every_row(void **state)
{
	size_t i;
	int failed = 0;
	(void)state;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe_report host, here;
		struct queue_group g = { .messages = 3, .recipients = 4, .failure_recipients = 4, .reason = reason,
			.failure = rows[i].reason != NULL ? failure_find(rows[i].reason) : NULL };
		bool nothing = rows[i].reason != NULL && strcmp(rows[i].reason, "-") == 0;
		struct diagnosis d;

		diagnose("x.test", nothing ? NULL : &g, rows[i].level, report(&host, rows[i].host, word_host),
		    report(&here, rows[i].here, word_here), &d);
		if (strcmp(d.failure->name, rows[i].class_name) != 0 || d.side != rows[i].side ||
		    strcmp(d.confidence, rows[i].confidence) != 0) {
			printf("row %zu: %s %s %s\n%s", i, d.failure->name, failure_side_name(d.side), d.confidence, d.evidence.s);
			failed++;
		}
		assert_true(d.evidence.len > 0);
		assert_null(strchr(d.evidence.s, '\033'));
		diagnosis_release(&d);
	}
	assert_int_equal(failed, 0);
}

/* A destination with IPv6 addresses only, and one of whose families is bad. */
static void
families(void **state)
{
	static char six[] = "fd77::1", four[] = "192.0.2.1", name[] = "mx.x.test", good[] = "tls-ok", old[] = "cert-expired",
	    no_a[] = "Name service error for name=mx.x.test type=A: Host found but no data record of requested type";
	struct probe_host only = { .host = name, .address = six, .class_name = good },
	    both[] = { { .host = name, .address = four, .class_name = good, .preference = 10 },
	        { .host = name, .address = six, .class_name = old, .preference = 10, .tls = true } };
	struct probe_report r = { .from = word_host, .class_name = good, .verdict = verdict, .v = &only, .n = 1 };
	struct queue_group g = { .messages = 1, .recipients = 1, .failure_recipients = 1, .reason = no_a, .failure = failure_find("dns") };
	struct diagnosis d;
	(void)state;

	/* what the look could do and the mail does not */
	only.class_name = xstrdup(good);
	r.class_name = xstrdup(good);
	r.side = r.verdict = NULL;
	probe_unused(&r, true, false, "It has none.");
	assert_string_equal(r.class_name, "tls-ok");
	probe_unused(&r, false, true, "It uses none.");
	assert_string_equal(r.class_name, "tls-ok");
	probe_unused(&r, true, true, "It uses none.");
	diagnose("x.test", &g, "may", &r, NULL, &d);
	assert_string_equal(d.failure->name, "dns");
	assert_int_equal(d.side, SIDE_OURS);
	assert_string_equal(d.where, "ipv6");
	diagnosis_release(&d);
	free(only.class_name);
	free(only.trouble);
	free(r.class_name);
	free(r.side);
	free(r.verdict);
	/* one family with another certificate: which one is said */
	r = (struct probe_report){ .from = word_host, .class_name = old, .verdict = verdict, .v = both, .n = 2 };
	g.failure = failure_find("cert-not-verified");
	diagnose("x.test", &g, "verify", &r, NULL, &d);
	assert_string_equal(d.where, "one-mx");
	assert_non_null(strstr(d.verdict, "1 of 2 of their addresses (mx.x.test at fd77::1, IPv6)"));
	diagnosis_release(&d);
}

/* What a look saw of each mail server, and the levels that mail would be delivered at: n may encrypt verify secure dane dane-only. */
struct seen { const char *class_name; bool tls, trusted, in_time, name_ok, domain_ok; const char *dane; int preference; };
static const struct { struct seen v[5]; const char *levels; } meets[] = {
	{ { { "tls-ok", true, true, true, true, true, "", 10 } }, "none may encrypt verify secure dane" },
	{ { { "tls-ok", true, true, true, true, false, "none", 10 } }, "none may encrypt verify dane" },
	{ { { "cert-name-mismatch", true, true, true, false, true, "", 10 } }, "none may encrypt secure dane" },
	{ { { "cert-expired", true, true, false, true, true, "", 10 } }, "none may encrypt dane" },
	{ { { "self-signed", true, false, true, true, true, "match", 10 } }, "none may encrypt dane dane-only" },
	{ { { "self-signed", true, false, true, true, true, "mismatch", 10 } }, "none may encrypt" },
	{ { { "tls-not-offered", false, false, false, false, false, "", 10 } }, "none may dane" },
	{ { { "tls-not-offered", false, false, false, false, false, "mismatch", 10 } }, "none may" },
	{ { { "starttls-refused", false, false, false, false, false, "", 10 } }, "none may dane" },
	{ { { "handshake-failed", false, false, false, false, false, "", 10 } }, "none" },
	{ { { "protocol-version", true, true, true, true, true, "", 10 } }, "none" },
	{ { { "client-cert-required", true, false, false, false, false, "", 10 } }, "none" },
	{ { { "connect-refused", false, false, false, false, false, "", 10 } }, "" },
	{ { { "unknown", false, false, false, false, false, "", 10 } }, "" },
	/* the next one takes it; the third is not talked to, but the one behind two dead ones is */
	{ { { "tls-not-offered", false, false, false, false, false, "", 10 }, { "tls-ok", true, true, true, true, true, "", 20 } },
	    "none may encrypt verify secure dane" },
	{ { { "tls-not-offered", false, false, false, false, false, "", 10 }, { "starttls-refused", false, false, false, false, false, "", 20 },
	    { "tls-ok", true, true, true, true, true, "", 30 } }, "none may dane" },
	{ { { "connect-refused", false, false, false, false, false, "", 10 }, { "connect-timeout", false, false, false, false, false, "", 20 },
	    { "tls-ok", true, true, true, true, true, "", 30 } }, "none may encrypt verify secure dane" },
	/* one preference: the two bad ones may come first */
	{ { { "tls-ok", true, true, true, true, true, "", 10 }, { "tls-not-offered", false, false, false, false, false, "", 10 },
	    { "starttls-refused", false, false, false, false, false, "", 10 } }, "none may dane" },
};

static void
levels_met(void **state)
{
	static const char *const all[] = { "none", "may", "encrypt", "verify", "secure", "dane", "dane-only", "fingerprint" };
	size_t i, k;
	int failed = 0;
	(void)state;

	for (i = 0; i < sizeof(meets) / sizeof(meets[0]); i++) {
		struct probe_host hosts[5] = { { .port = 0 } };
		struct probe_report r = { .v = hosts };
		struct str got = STR_INIT;

		for (; r.n < 5 && meets[i].v[r.n].class_name != NULL; r.n++) {
			const struct seen *s = &meets[i].v[r.n];
			struct probe_host *p = &hosts[r.n];

			*p = (struct probe_host){ .class_name = (char *)s->class_name, .tls = s->tls, .trusted = s->trusted,
				.in_time = s->in_time, .name_ok = s->name_ok, .domain_ok = s->domain_ok, .preference = s->preference };
			snprintf(p->dane, sizeof(p->dane), "%s", s->dane);
		}
		str_add(&got, "");
		for (k = 0; k < sizeof(all) / sizeof(all[0]); k++)
			if (probe_meets(&r, all[k], false))
				str_addf(&got, "%s%s", got.len > 0 ? " " : "", all[k]);
		if (strcmp(got.s, meets[i].levels) != 0) {
			printf("row %zu: %s, not %s\n", i, got.s, meets[i].levels);
			failed++;
		}
		str_release(&got);
	}
	assert_int_equal(failed, 0);
	assert_false(probe_meets(NULL, "none", false));
	assert_false(probe_meets(NULL, "none", true));
}

/* --- whose it is: from several places, the log, and clocks --- */

#define DAY 86400
static char host_names[] = "10 mx.x.test 192.0.2.1", lied_names[] = "10 mx.x.test 192.0.2.66", cert[] = "a certificate", by_line[] =
	"server certificate verification failed for mx.x.test[192.0.2.1]:25: certificate has expired\033[2J", word_mx2[] = "mx2", word_mx3[] = "mx3";

/* A place: its class, what DNS says there, and how many of three mail servers are bad. */
struct place { const char *class_name; char *names; int bad; };
static const struct scene {
	const char *what;
	const char *reason, *level, *by_log;     /* classes; by_log: what the log joins to it */
	struct place host, here, mx2, mx3;       /* class NULL: no look */
	int64_t clock_ahead;
	bool trusts_nobody;
	const char *trouble;
	const char *class_name, *where;
	enum failure_side side;
	const char *confidence;
} scenes[] = {
	{ .what = "all is well", .level = "encrypt", .host = { "tls-ok", host_names, 0 }, .here = { "tls-ok", host_names, 0 },
	    .class_name = "tls-ok", .side = SIDE_NONE, .confidence = "high" },
	{ .what = "stripped, two others see it", .reason = "tls-not-offered", .level = "encrypt", .host = { "tls-not-offered", host_names, 3 },
	    .here = { "tls-ok", host_names, 0 }, .mx2 = { "tls-ok", host_names, 0 }, .mx3 = { "tls-ok", host_names, 0 },
	    .class_name = "tls-not-offered", .where = "stripped", .side = SIDE_PATH, .confidence = "high" },
	{ .what = "here is blind, another host sees it", .reason = "tls-not-offered", .level = "encrypt",
	    .host = { "tls-not-offered", host_names, 3 }, .mx2 = { "tls-ok", host_names, 0 },
	    .class_name = "tls-not-offered", .where = "stripped", .side = SIDE_PATH, .confidence = "high" },
	{ .what = "a lying resolver", .reason = "tls-not-offered", .level = "encrypt", .host = { "tls-not-offered", lied_names, 3 },
	    .here = { "tls-ok", host_names, 0 }, .mx2 = { "tls-ok", host_names, 0 },
	    .class_name = "tls-not-offered", .where = "resolver", .side = SIDE_OURS, .confidence = "high" },
	{ .what = "a resolver that fails", .reason = "dns", .level = "may", .host = { "dns", NULL, 0 }, .here = { "tls-ok", host_names, 0 },
	    .class_name = "dns", .where = "resolver", .side = SIDE_OURS, .confidence = "high" },
	{ .what = "DNS that answers by place, and all of it works", .reason = "greylist", .level = "may", .host = { "tls-ok", lied_names, 0 },
	    .here = { "tls-ok", host_names, 0 }, .class_name = "greylist", .side = SIDE_THEIRS, .confidence = "high" },
	{ .what = "an empty trust store", .reason = "cert-not-verified", .level = "verify", .by_log = "cert-untrusted",
	    .host = { "cert-untrusted", host_names, 3 }, .here = { "tls-ok", host_names, 0 }, .trusts_nobody = true,
	    .class_name = "cert-untrusted", .where = "trust-store", .side = SIDE_OURS, .confidence = "high" },
	{ .what = "a clock that is ahead", .reason = "cert-not-verified", .level = "verify", .by_log = "cert-expired",
	    .host = { "tls-ok", host_names, 0 }, .here = { "tls-ok", host_names, 0 }, .clock_ahead = 5 * 365 * DAY,
	    .class_name = "cert-expired", .where = "clock", .side = SIDE_OURS, .confidence = "high" },
	{ .what = "a clock that only the mail system goes by", .reason = "cert-not-verified", .level = "verify", .by_log = "cert-expired",
	    .host = { "tls-ok", host_names, 0 }, .here = { "tls-ok", host_names, 0 },
	    .class_name = "cert-expired", .where = "clock", .side = SIDE_OURS, .confidence = "medium" },
	{ .what = "expired, seen from everywhere", .reason = "cert-not-verified", .level = "verify", .by_log = "cert-expired",
	    .host = { "cert-expired", host_names, 3 }, .here = { "cert-expired", host_names, 3 }, .mx2 = { "cert-expired", host_names, 3 },
	    .class_name = "cert-expired", .where = "all-mx", .side = SIDE_THEIRS, .confidence = "high" },
	{ .what = "one of three", .level = "encrypt", .host = { "tls-not-offered", host_names, 1 }, .here = { "tls-not-offered", host_names, 1 },
	    .class_name = "tls-not-offered", .where = "one-mx", .side = SIDE_THEIRS, .confidence = "high" },
	{ .what = "one of three, where it does not matter", .level = "may", .host = { "tls-not-offered", host_names, 1 },
	    .here = { "tls-not-offered", host_names, 1 }, .class_name = "tls-not-offered", .side = SIDE_THEIRS, .confidence = "low" },
	{ .what = "a dead policy server", .reason = "local-policy-problem", .level = "encrypt", .host = { "tls-ok", host_names, 0 },
	    .here = { "tls-ok", host_names, 0 }, .trouble = "smtp_tls_policy_maps: socketmap cannot be asked",
	    .class_name = "local-policy-problem", .where = "policy", .side = SIDE_OURS, .confidence = "high" },
};

static struct probe_report *
seen_from(struct probe_report *r, struct probe_host hosts[3], const struct place *p, char *from)
{
	int i;

	*r = (struct probe_report){ .from = from, .class_name = (char *)p->class_name, .verdict = verdict, .names = p->names, .v = hosts };
	if (p->class_name == NULL)
		return NULL;
	r->n = strcmp(p->class_name, "dns") == 0 ? 0 : 3;
	for (i = 0; i < 3; i++)
		hosts[i] = (struct probe_host){ .host = word_host, .class_name = (char *)(i < p->bad ? p->class_name : "tls-ok"), .tls = true,
			.in_time = strcmp(p->class_name, "cert-expired") != 0, .chain_pem = cert };
	return r;
}

static void
every_scene(void **state)
{
	size_t i;
	int failed = 0;
	(void)state;

	for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		const struct scene *s = &scenes[i];
		struct probe_report host, here, others[2];
		struct probe_host hosts[4][3];
		struct queue_group g = { .messages = 3, .recipients = 4, .failure_recipients = 4, .reason = reason,
			.failure = s->reason != NULL ? failure_find(s->reason) : NULL };
		struct attempt a = { .at = 100 * DAY, .failure = s->by_log != NULL ? failure_find(s->by_log) : NULL, .line = by_line, .joined = true };
		struct attempts_seen log = { .v = &a, .n = s->by_log != NULL ? 1 : 0 };
		struct diagnose_facts f = { .destination = "x.test", .server = "mx1", .group = s->reason != NULL ? &g : NULL, .level = s->level,
			.log = &log, .clock_ahead = s->clock_ahead, .trusts_nobody = s->trusts_nobody, .trouble = s->trouble, .others = others };
		struct diagnosis d;

		f.from_host = seen_from(&host, hosts[0], &s->host, word_host);
		f.from_here = seen_from(&here, hosts[1], &s->here, word_here);
		f.n_others += seen_from(&others[0], hosts[2], &s->mx2, word_mx2) != NULL;
		f.n_others += s->mx2.class_name != NULL && seen_from(&others[1], hosts[3], &s->mx3, word_mx3) != NULL;
		diagnose_facts(&f, &d);
		if (strcmp(d.failure->name, s->class_name) != 0 || d.side != s->side || strcmp(d.confidence, s->confidence) != 0 ||
		    strcmp(d.where != NULL ? d.where : "-", s->where != NULL ? s->where : "-") != 0) {
			printf("%s: %s %s %s %s\n%s", s->what, d.failure->name, failure_side_name(d.side), d.where != NULL ? d.where : "-",
			    d.confidence, d.evidence.s);
			failed++;
		}
		assert_non_null(d.verdict);
		assert_null(strchr(d.evidence.s, '\033'));
		assert_true((*d.remedies != '\0') == (d.side != SIDE_NONE));
		diagnosis_release(&d);
	}
	assert_int_equal(failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(families), cmocka_unit_test(every_row), cmocka_unit_test(levels_met),
		cmocka_unit_test(every_scene) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
