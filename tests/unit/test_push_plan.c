/* core/push/plan.c: what people confirm. Differences of random texts are applied by hand and must lead there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/plan.h"
#include "mxseal/xalloc.h"

static void
set(struct change *c, const char *before, const char *after)
{
	str_add(&c->before, before);
	str_add(&c->after, after);
}

static void
diff_is(const char *before, const char *after, const char *want)
{
	struct plan p;
	struct str out = STR_INIT;
	struct change *c;

	plan_init(&p);
	c = plan_change(&p, "/f", CHANGE_EDIT);
	set(c, before, after);
	plan_diff(c, &out);
	assert_string_equal(out.s, want);
	str_release(&out);
	plan_release(&p);
}

static void
differences_are_unified(void **state)
{
	(void)state;
	diff_is("a\n", "a\n", "");
	diff_is("a\nb\nc\n", "a\nB\nc\n", "--- /f\n+++ /f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
	diff_is("a\nb", "a\nb\n", "--- /f\n+++ /f\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
	diff_is("", "x\n", "--- /f\n+++ /f\n@@ -0,0 +1 @@\n+x\n");
	diff_is("x\n", "", "--- /f\n+++ /f\n@@ -1 +0,0 @@\n-x\n");
	diff_is("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
	    "--- /f\n+++ /f\n@@ -7,3 +7,4 @@\n 7\n 8\n 9\n+10\n");
	/* six equal lines between two changes: one hunk; seven: two */
	diff_is("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
	    "--- /f\n+++ /f\n@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
	diff_is("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
	    "--- /f\n+++ /f\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
}

static void
keys_are_never_shown(void **state)
{
	struct plan p;
	struct str out = STR_INIT;
	struct change *c;

	(void)state;
	plan_init(&p);
	c = plan_change(&p, "/etc/x.pem", CHANGE_EDIT);
	set(c, "top\n-----BEGIN RSA PRIVATE KEY-----\nSECRET1\n-----END RSA PRIVATE KEY-----\nend\n",
	    "top\n-----BEGIN PRIVATE KEY-----\nSECRET2\n-----END PRIVATE KEY-----\nend\n");
	plan_diff(c, &out);
	assert_null(strstr(out.s, "SECRET"));
	assert_null(strstr(out.s, "BEGIN"));
	assert_non_null(strstr(out.s, "-(private key, not shown: "));
	assert_non_null(strstr(out.s, "+(private key, not shown: "));
	str_reset(&out);

	c = plan_change(&p, "/etc/cut.pem", CHANGE_CREATE);       /* cut in the middle of a key; no newline at the end */
	set(c, "", "x\n-----BEGIN ENCRYPTED PRIVATE KEY-----\nSECRET3");
	plan_diff(c, &out);
	assert_null(strstr(out.s, "SECRET"));
	assert_non_null(strstr(out.s, "--- /dev/null\n+++ /etc/cut.pem\n"));
	str_release(&out);
	plan_release(&p);
}

static void
a_plan_reads_well(void **state)
{
	struct plan p;
	struct str out = STR_INIT;
	struct change *c;

	(void)state;
	plan_init(&p);
	assert_true(plan_is_empty(&p));
	assert_false(plan_is_refused(&p));
	p.server_name = xstrdup("mx1");
	p.generation = 7;
	c = plan_change(&p, "/etc/postfix/main.cf", CHANGE_EDIT);
	c->is_switch = true;
	set(c, "same\n", "same\n");
	assert_true(plan_is_empty(&p));                /* an edit that changes nothing */
	str_add(&c->after, "smtpd_tls_security_level = may\n");
	assert_false(plan_is_empty(&p));
	c = plan_change(&p, "/etc/mxseal/7/default.pem", CHANGE_CREATE);
	c->key_path = xstrdup("/var/lib/mxseal/keys/7.key");
	set(c, "", "-----BEGIN CERTIFICATE-----\n");
	plan_warn(&p, "%s is written twice", "myhostname");
	plan_check(&p, "key fits", true, NULL);
	command_add(&p.checks, "config", "postconf", "-c", "@STAGED@", NULL);
	command_add(&p.reload, "reload", "postfix", "reload", NULL);
	p.wants = xcalloc(1, sizeof(*p.wants));
	p.n_wants = 1;
	p.wants[0].listen = xstrdup("0.0.0.0:25");
	p.wants[0].want_tls = true;
	plan_render(&p, &out);
	assert_string_equal(out.s,
	    "mx1: generation 7\n"
	    "edit: /etc/postfix/main.cf\n"
	    "create: /etc/mxseal/7/default.pem (new generation)\n"
	    "check: key fits ok\n"
	    "warning: myhostname is written twice\n"
	    "check in the staged copy: config\n"
	    "then: reload\n"
	    "prove: 0.0.0.0:25 greets and does TLS\n"
	    "\n"
	    "--- /etc/postfix/main.cf\n+++ /etc/postfix/main.cf\n@@ -1 +1,2 @@\n same\n+smtpd_tls_security_level = may\n"
	    "\n"
	    "--- /dev/null\n+++ /etc/mxseal/7/default.pem\n"
	    "(the host puts its key /var/lib/mxseal/keys/7.key in front)\n"
	    "@@ -0,0 +1 @@\n+-----BEGIN CERTIFICATE-----\n");
	plan_check(&p, "names", false, "mail.example.org is not covered");
	assert_true(plan_is_refused(&p));
	str_release(&out);
	plan_release(&p);
}

/* What patch(1) does, for well-formed input. */
static void
apply(const struct str *before, const char *diff, struct str *out)
{
	const char *b = before->s, *d = diff;
	size_t at = 1, from, n;

	d = strchr(d, '\n') + 1;
	d = strchr(d, '\n') + 1;
	while (*d != '\0') {
		const char *next = strchr(d, '\n') + 1;

		if (sscanf(d, "@@ -%zu", &from) == 1) {
			n = 1;
			if (strchr(d, ',') != NULL && strchr(d, ',') < strchr(d, '+'))
				n = (size_t)atol(strchr(d, ',') + 1);
			for (from += n == 0; at < from; at++) {      /* an empty range names the line before it */
				const char *nl = strchr(b, '\n') + 1;

				str_addn(out, b, (size_t)(nl - b));
				b = nl;
			}
		} else {
			if (*d == '+' || *d == ' ')
				str_addn(out, d + 1, (size_t)(next - d - 1));
			if (*d == '-' || *d == ' ') {
				assert_memory_equal(b, d + 1, (size_t)(next - d - 1));
				b = strchr(b, '\n') + 1;
				at++;
			}
		}
		d = next;
	}
	str_add(out, b);
}

static void
random_differences_lead_there(void **state)
{
	unsigned seed = 4711;

	(void)state;
	for (int run = 0; run < 2000; run++) {
		struct plan p;
		struct str out = STR_INIT, there = STR_INIT;
		struct change *c;

		plan_init(&p);
		c = plan_change(&p, "/f", CHANGE_EDIT);
		for (int i = rand_r(&seed) % 40; i > 0; i--) {
			int word = rand_r(&seed) % 12, what = rand_r(&seed) % 8;

			if (what != 0)
				str_addf(&c->before, "%d\n", word);
			if (what != 1)
				str_addf(&c->after, "%d\n", what == 2 ? word + 1 : word);
		}
		plan_diff(c, &out);
		if (out.len > 0)
			apply(&c->before, out.s, &there);
		else
			str_addn(&there, c->before.s, c->before.len);
		assert_string_equal(there.s, c->after.s);
		str_release(&there);
		str_release(&out);
		plan_release(&p);
	}
}

static void
big_texts_have_a_ceiling(void **state)
{
	struct plan p;
	struct str out = STR_INIT, there = STR_INIT;
	struct change *c;

	(void)state;
	plan_init(&p);
	c = plan_change(&p, "/f", CHANGE_EDIT);
	for (int i = 0; i < 20000; i++) {
		str_addf(&c->before, "%d\n", i);
		str_addf(&c->after, "%d\n", i % 3 ? i : -i);
	}
	plan_diff(c, &out);
	apply(&c->before, out.s, &there);
	assert_string_equal(there.s, c->after.s);
	str_release(&there);
	str_release(&out);
	plan_release(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(differences_are_unified),
		cmocka_unit_test(keys_are_never_shown),
		cmocka_unit_test(a_plan_reads_well),
		cmocka_unit_test(random_differences_lead_there),
		cmocka_unit_test(big_texts_have_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
