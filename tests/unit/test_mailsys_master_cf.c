/* master.cf: services and their settings read as postconf reads them, one setting edited, all other bytes kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/cf.h"

static struct master_cf
parse(const char *text)
{
	struct master_cf m;
	struct err e;

	if (master_cf_read(&m, text, strlen(text), &e) != 0)
		fail_msg("%s", e.text);
	return m;
}

#define SMTP "smtp inet n - y - - smtpd"

/* What postconf -P of Postfix 3.7 said about these. */
static const struct { const char *text, *param, *value; } readings[] = {
	{ SMTP " -o a_b=1\n", "a_b", "1" },
	{ SMTP " -o { a_b = c d }\n", "a_b", "c d" },
	{ SMTP "\n  -oq_r=1 -vo s_t=2 -v\n", "q_r", "1" },
	{ SMTP "\n  -oq_r=1 -vo s_t=2 -v\n", "s_t", "2" },
	{ SMTP " -v\n  # x\n  -o\n  { u_v=\n # z\n 3 } -o w_x={ y }\n", "u_v", "3" },
	{ SMTP " -v\n  # x\n  -o\n  { u_v=\n # z\n 3 } -o w_x={ y }\n", "w_x", "{ y }" },
	{ SMTP " -o a_b=1 -o a_b=2\n", "a_b", "2" },
	{ SMTP " -o a_b=\n", "a_b", "" },
	{ SMTP " -o { a_b=1\n", "a_b", "1" },
	{ SMTP " -o smtpd_tls_protocols=>=TLSv1.2 -v3\n", "smtpd_tls_protocols", ">=TLSv1.2" },
	{ SMTP " -o a_b = c\n", "a_b", NULL },
	{ SMTP " foo -o a_b=c\n", "a_b", NULL },
	{ SMTP " -- -o a_b=1\n", "a_b", NULL },
	{ SMTP " -o\n", "a_b", NULL },
	{ SMTP "\n# -o a_b=1\n", "a_b", NULL },
};

static void
reads_what_postconf_reads(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		struct master_cf m = parse(readings[i].text);
		const struct master_service *s = master_cf_find(&m, "smtp", "inet");
		const char *value;

		assert_non_null(s);
		assert_string_equal(s->command, "smtpd");
		value = master_cf_option(s, readings[i].param);
		if (!text_eq(value, readings[i].value))
			fail_msg("%s: %s is \"%s\"", readings[i].text, readings[i].param, value ? value : "(none)");
		master_cf_release(&m);
	}
}

static void
a_short_line_is_refused(void **state)
{
	struct master_cf m;
	struct err e;

	(void)state;
	assert_int_equal(master_cf_read(&m, "# x\nsmtp inet n - y - -\n", 24, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_non_null(strstr(e.text, "line 2"));
	master_cf_release(&m);
}

static const struct { const char *before, *param, *value, *after; } edits[] = {
	{ SMTP "\nqmgr unix n - n 300 1 qmgr\n", "a", "1", SMTP "\n  -o a=1\nqmgr unix n - n 300 1 qmgr\n" },
	{ SMTP, "a", "1", SMTP "\n  -o a=1" },
	{ SMTP " -o b=2\n", "a", "1", SMTP " -o b=2\n  -o a=1\n" },
	{ SMTP "\n  -o b=2\n# note\n", "a", "1", SMTP "\n  -o b=2\n  -o a=1\n# note\n" },
	{ SMTP "\n  -o b=2\n#  -o a=0\n  -o c=3\n", "a", "1", SMTP "\n  -o b=2\n#  -o a=0\n  -o c=3\n  -o a=1\n" },
	{ SMTP " -v\n", "a", "1", SMTP "\n  -o a=1 -v\n" },
	{ SMTP "\n  -o a=0 -o b=2\n", "a", "1", SMTP "\n  -o a=1 -o b=2\n" },
	{ SMTP "\n  -o a=0 -o a=2\n", "a", "1", SMTP "\n  -o a=0 -o a=1\n" },
	{ SMTP "\n  -o { a = 0 0 }\n", "a", "1", SMTP "\n  -o a=1\n" },
	{ SMTP "\n  -oa=0\n", "a", "1", SMTP "\n  -oa=1\n" },
	{ SMTP "\n  -oa=0\n", "a", "1 2", SMTP "\n  -o { a = 1 2 }\n" },
	{ SMTP "\n  -o a=0\n", "a", "1 2", SMTP "\n  -o { a = 1 2 }\n" },
	{ SMTP "\n  -o {a =\n # z\n 0}\n", "a", "1", SMTP "\n  -o a=1\n # z\n" },
	{ SMTP " -o a=1\r\n", "a", "2", SMTP " -o a=2\r\n" },
	{ SMTP " -o a=0\n", "a", "", SMTP " -o a=\n" },
	/* out */
	{ SMTP "\n  -o a=1\nx unix n - n - - x\n", "a", NULL, SMTP "\nx unix n - n - - x\n" },
	{ SMTP "\n  -o a=1 -o b=2\n", "a", NULL, SMTP "\n  -o b=2\n" },
	{ SMTP "\n  -o b=2 -o a=1\n", "a", NULL, SMTP "\n  -o b=2\n" },
	{ SMTP " -o a=1 -o b=2\n", "a", NULL, SMTP " -o b=2\n" },
	{ SMTP " -o a=1\n", "a", NULL, SMTP "\n" },
	{ SMTP "\n  -o\n# c\n  a=1\n  -o b=2\n", "a", NULL, SMTP "\n# c\n  -o b=2\n" },
	{ SMTP "\n  -o a=1\n  -o b=2\n  -oa=3\n", "a", NULL, SMTP "\n  -o b=2\n" },
	{ SMTP " -vo a=1\n", "a", NULL, SMTP " -v\n" },
	{ SMTP " -o { a = 1\n   2 }\n  -o b=2\n", "a", NULL, SMTP "\n  -o b=2\n" },
	{ SMTP " -o b=1\n", "a", NULL, SMTP " -o b=1\n" },
};

static void
edits_keep_all_other_bytes(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct master_cf m = parse(edits[i].before);

		if (edits[i].value) {
			assert_int_equal(master_cf_set(&m, "smtp", "inet", edits[i].param, edits[i].value, NULL), 0);
			assert_string_equal(master_cf_option(master_cf_find(&m, "smtp", "inet"), edits[i].param), edits[i].value);
		} else {
			master_cf_unset(&m, "smtp", "inet", edits[i].param);
			assert_null(master_cf_option(master_cf_find(&m, "smtp", "inet"), edits[i].param));
		}
		assert_string_equal(m.t.text.s, edits[i].after);
		master_cf_release(&m);
	}
}

static void
hostile_values_are_refused(void **state)
{
	static const char *const values[] = { "a\n  -o b=1", " a", "a ", "{ a", "a } -o b=1", "a\tb", "a\x1b" };
	struct master_cf m = parse(SMTP "\n");
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_int_equal(master_cf_set(&m, "smtp", "inet", "a", values[i], &e), -1);
	assert_int_equal(master_cf_set(&m, "smtp", "inet", "a b", "1", &e), -1);
	assert_int_equal(master_cf_set(&m, "smtp", "inet", "", "1", &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(master_cf_set(&m, "nosuch", "inet", "a", "1", &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	assert_string_equal(m.t.text.s, SMTP "\n");
	master_cf_release(&m);
}

static void
an_open_brace_is_left_alone(void **state)
{
	struct master_cf m = parse(SMTP " -o { a = 1\n");
	struct err e;

	(void)state;
	assert_int_equal(master_cf_set(&m, "smtp", "inet", "b", "1", &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_string_equal(m.t.text.s, SMTP " -o { a = 1\n");
	master_cf_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_postconf_reads), cmocka_unit_test(a_short_line_is_refused),
		cmocka_unit_test(edits_keep_all_other_bytes), cmocka_unit_test(hostile_values_are_refused),
		cmocka_unit_test(an_open_brace_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
