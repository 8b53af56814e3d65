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

/* --- generated files --- */

static unsigned seed;

static unsigned
dice(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16 & 0x7fff) % n;
}

static void
generate(struct str *out)
{
	static const char *const names[] = { "smtp", "submission", "127.0.0.1:10025", "[::1]:smtps", "smtps" };
	static const char *const gaps[] = { " ", "\n  ", "\n\t", "\n# note -o x=y\n   ", "\n\n  " };
	unsigned i, k, n = 1 + dice(5);

	for (i = 0; i < n; i++) {
		if (dice(2))
			str_add(out, "# a comment\n\n");
		str_addf(out, "%s\tinet  n       -       y       -       -       smtpd", names[i]);
		for (k = dice(5); k > 0; k--) {
			unsigned p = dice(4), v = dice(50);

			str_add(out, gaps[dice(5)]);
			switch (dice(5)) {
			case 0: str_addf(out, "-o p_%u=v%u", p, v); break;
			case 1: str_addf(out, "-op_%u=v%u", p, v); break;
			case 2: str_addf(out, "-o { p_%u = v%u w }", p, v); break;
			case 3: str_addf(out, "-o\n  p_%u=v%u", p, v); break;
			default: str_addf(out, "-vo p_%u=v%u", p, v); break;
			}
		}
		str_add(out, "\n");
	}
	str_add(out, "maildrop  unix  -       n       n       -       -       pipe\n  flags=DRXhu user=vmail argv=/usr/bin/maildrop\n");
}

static char *
others(const struct master_cf *m, const char *service, const char *param)
{
	struct str out = STR_INIT;
	size_t i, k;

	for (i = 0; i < m->n; i++)
		for (k = 0; k < m->v[i].n; k++)
			if (strcmp(m->v[i].name, service) != 0 || strcmp(m->v[i].v[k].name, param) != 0)
				str_addf(&out, "%s %s %s\n", m->v[i].name, m->v[i].v[k].name, m->v[i].v[k].value);
	return str_take(&out);
}

static void
generated_files_stay_as_they_are(void **state)
{
	unsigned round;

	(void)state;
	for (round = 1; round <= 500; round++) {
		struct str text = STR_INIT;
		struct master_cf m;
		char param[16], *before, *after, *service;
		const struct master_service *s;

		seed = round;
		generate(&text);
		m = parse(text.s);
		assert_string_equal(m.t.text.s, text.s);

		s = &m.v[dice((unsigned)m.n - 1)];
		service = strdup(s->name);
		assert_int_equal(master_cf_set(&m, service, "inet", "ours", "x", NULL), 0);
		master_cf_unset(&m, service, "inet", "ours");
		assert_string_equal(m.t.text.s, text.s);

		snprintf(param, sizeof(param), "p_%u", dice(4));
		before = others(&m, service, param);
		assert_int_equal(master_cf_set(&m, service, "inet", param, "new", NULL), 0);
		assert_string_equal(master_cf_option(master_cf_find(&m, service, "inet"), param), "new");
		after = others(&m, service, param);
		assert_string_equal(after, before);
		free(after);
		master_cf_unset(&m, service, "inet", param);
		after = others(&m, service, param);
		assert_string_equal(after, before);
		free(before);
		free(after);
		free(service);
		master_cf_release(&m);
		str_release(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_postconf_reads), cmocka_unit_test(a_short_line_is_refused),
		cmocka_unit_test(edits_keep_all_other_bytes), cmocka_unit_test(hostile_values_are_refused),
		cmocka_unit_test(an_open_brace_is_left_alone), cmocka_unit_test(generated_files_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
