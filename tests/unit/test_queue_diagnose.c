/* The reason and two looks make one answer: class, side, confidence. One row per case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/probe.h"
#include "mxseal/queue.h"

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
			if (probe_meets(&r, all[k]))
				str_addf(&got, "%s%s", got.len > 0 ? " " : "", all[k]);
		if (strcmp(got.s, meets[i].levels) != 0) {
			printf("row %zu: %s, not %s\n", i, got.s, meets[i].levels);
			failed++;
		}
		str_release(&got);
	}
	assert_int_equal(failed, 0);
	assert_false(probe_meets(NULL, "none"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row), cmocka_unit_test(levels_met) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
