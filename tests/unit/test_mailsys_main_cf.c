/* main.cf: read as Postfix reads it, edited in place, all other bytes kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/cf.h"
#include "mxseal/xalloc.h"

#define OPEN "texthash:/etc/mxseal/"

static struct main_cf
parse(const char *text)
{
	struct main_cf m;
	struct err e;

	if (main_cf_read(&m, text, strlen(text), &e) != 0)
		fail_msg("%s", e.text);
	return m;
}

/* What Postfix 3.7 made of these texts (postconf -n, -p), noted by hand. */
static const struct { const char *text, *name, *value; } readings[] = {
	{ "relayhost = a\n", "relayhost", "a" },
	{ "relayhost=a", "relayhost", "a" },
	{ "relayhost  =   \n  x\n", "relayhost", "x" },
	{ "relayhost = x # y\n", "relayhost", "x # y" },
	{ "relayhost = x\r\n y\r\nbiff=no\r\n", "relayhost", "x\r y" },
	{ "a_b = c\n# hi\n   d\n\n   # c\n\te  \nmyhostname=x.y\n", "a_b", "c   d\te" },
	{ "a_b = c\n# hi\n   d\n\n   # c\n\te  \nmyhostname=x.y\n", "myhostname", "x.y" },
	{ "myhostname = a.b\nmyhostname = c.d\n", "myhostname", "c.d" },
	{ "relayhost = a\\\n  b\n", "relayhost", "a\\  b" },
	{ "  orphan = x\na_b = c\n", "orphan", NULL },
	{ "  orphan = x\na_b = c\n", "a_b", "c" },
	{ "#c\n  relayhost = x\nbiff = no\n", "relayhost", NULL },
	{ "x = {a = b}\n", "x", "{a = b}" },
	{ "x =\n", "x", "" },
	{ "", "x", NULL },
};

static void
reads_what_postfix_reads(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		struct main_cf m = parse(readings[i].text);
		const char *value = main_cf_get(&m, readings[i].name);

		if (!text_eq(value, readings[i].value))
			fail_msg("%s: %s is \"%s\"", readings[i].text, readings[i].name, value ? value : "(none)");
		main_cf_release(&m);
	}
}

static void
what_stops_postfix_is_refused(void **state)
{
	static const char *const bad[] = { "relayhost\n", "= x\n", "bad name = x\n" };
	struct main_cf m;
	struct err e;
	char *big = xcalloc(CF_MAX + 2, 1);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(main_cf_read(&m, bad[i], strlen(bad[i]), &e), -1);
		assert_int_equal(e.code, RC_PARSE);
		assert_non_null(strstr(e.text, "line 1"));
		main_cf_release(&m);
	}
	assert_int_equal(main_cf_read(&m, "a = b\0c\n", 8, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	main_cf_release(&m);
	memset(big, '#', CF_MAX + 1);
	assert_int_equal(main_cf_read(&m, big, CF_MAX + 1, &e), -1);
	assert_int_equal(e.code, RC_LIMIT);
	main_cf_release(&m);
	free(big);
}

#define MARK MAIN_CF_MARK "\n"

/* value NULL: remove */
static const struct { const char *before, *name, *value, *after; } edits[] = {
	{ "a = 1\nb = 2\nc = 3\n", "b", "x", "a = 1\nb = x\nc = 3\n" },
	{ "b=2\n", "b", "x", "b=x\n" },
	{ "b =\t2  \n", "b", "x", "b =\tx  \n" },
	{ "b =\n", "b", "x", "b = x\n" },
	{ "b = \n", "b", "x", "b = x\n" },
	{ "b =\r\nc = 1\r\n", "b", "x", "b = x\r\nc = 1\r\n" },
	{ "b = 2\r\n", "b", "x", "b = x\r\n" },
	{ "b = 2", "b", "x", "b = x" },
	{ "b = 1\nb = 2\n", "b", "x", "b = 1\nb = x\n" },
	{ "b =\n  1,\n  2\n# c\n  3\nd = 4\n", "b", "x", "b =\n  x\n# c\nd = 4\n" },
	{ "b = 1\n# c\n\n  2\nd = 4\n", "b", "x", "b = x\n# c\n\nd = 4\n" },
	{ "b = 1\n", "b", "", "b = \n" },
	{ "a = 1\n", "b", "x", "a = 1\n" MARK "b = x\n" },
	{ "a = 1", "b", "x", "a = 1\n" MARK "b = x\n" },
	{ "", "b", "x", MARK "b = x\n" },
	{ "a = 1\n" MARK "c = 1\n\n# later\nd = 2\n", "b", "x", "a = 1\n" MARK "c = 1\nb = x\n\n# later\nd = 2\n" },
	{ MARK "c = 1\n# theirs\n  more\nd = 2\n", "b", "x", MARK "c = 1\n# theirs\n  more\nb = x\nd = 2\n" },
	{ "#b = 1\n", "b", "x", "#b = 1\n" MARK "b = x\n" },
	{ "a = 1\n", "a", "1", "a = 1\n" },
	{ "a = 1\nb = 2\n# c\n  3\n\nc = 4\nb = 5\n", "b", NULL, "a = 1\n# c\n\nc = 4\n" },
	{ "a = 1\n" MARK "b = x\n", "b", NULL, "a = 1\n" },
	{ "a = 1\n" MARK "b = x\n\n# later\n", "b", NULL, "a = 1\n\n# later\n" },
	{ "a = 1\n" MARK "b = x\nc = y\n", "b", NULL, "a = 1\n" MARK "c = y\n" },
	{ "a = 1\n", "b", NULL, "a = 1\n" },
};

static void
edits_keep_all_other_bytes(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct main_cf m = parse(edits[i].before);

		if (edits[i].value)
			assert_int_equal(main_cf_set(&m, edits[i].name, edits[i].value, NULL), 0);
		else
			main_cf_remove(&m, edits[i].name);
		assert_string_equal(m.t.text.s, edits[i].after);
		main_cf_release(&m);
	}
}

static const struct { const char *before, *after; } lists[] = {
	{ "m = hash:/a\n", "m = texthash:/etc/mxseal/7/p, hash:/a\n" },
	{ "m = hash:/a, hash:/b\n", "m = texthash:/etc/mxseal/7/p, hash:/a, hash:/b\n" },
	{ "m =\n  hash:/a\n# why\n  hash:/b\nx = 1\n", "m =\n  texthash:/etc/mxseal/7/p, hash:/a\n# why\n  hash:/b\nx = 1\n" },
	{ "x = 1\n", "x = 1\n" MARK "m = texthash:/etc/mxseal/7/p\n" },
	{ "m =\nx = 1\n", "m = texthash:/etc/mxseal/7/p\nx = 1\n" },
};

static void
our_map_goes_in_front_and_out_again(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct main_cf m = parse(lists[i].before);

		assert_int_equal(main_cf_list_put(&m, "m", OPEN, "/p", OPEN "7/p", NULL), 0);
		assert_string_equal(m.t.text.s, lists[i].after);
		assert_int_equal(main_cf_list_put(&m, "m", OPEN, "/p", OPEN "8/p", NULL), 0);
		assert_int_equal(main_cf_list_put(&m, "m", OPEN, "/p", OPEN "7/p", NULL), 0);
		assert_string_equal(m.t.text.s, lists[i].after);
		main_cf_list_drop(&m, "m", OPEN, "/p");
		assert_string_equal(m.t.text.s, i == 4 ? "m = \nx = 1\n" : lists[i].before);
		main_cf_list_drop(&m, "m", OPEN, "/p");
		main_cf_release(&m);
	}
}

/* Where the administrator moved ours behind theirs, it is renewed there. */
static void
our_map_is_renewed_where_it_stands(void **state)
{
	struct main_cf m = parse("m = hash:/a,texthash:/etc/mxseal/3/p, hash:/b\n");

	(void)state;
	assert_int_equal(main_cf_list_put(&m, "m", OPEN, "/p", OPEN "4/p", NULL), 0);
	assert_string_equal(m.t.text.s, "m = hash:/a,texthash:/etc/mxseal/4/p, hash:/b\n");
	main_cf_list_drop(&m, "m", OPEN, "/p");
	assert_string_equal(m.t.text.s, "m = hash:/a,hash:/b\n");
	main_cf_release(&m);
}

static void
hostile_names_and_values_are_refused(void **state)
{
	static const char *const values[] = { "a\nb = c", "a\rb", " a", "a ", "a\x1b[2J", "a\x7f" };
	static const char *const names[] = { "", "a b", "a=b", "#a", "a\nb", "$a" };
	struct main_cf m = parse("a = 1\n");
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_int_equal(main_cf_set(&m, "a", values[i], &e), -1);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(main_cf_set(&m, names[i], "x", &e), -1);
	assert_string_equal(m.t.text.s, "a = 1\n");
	assert_int_equal(e.code, RC_INVALID);
	main_cf_release(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_postfix_reads), cmocka_unit_test(what_stops_postfix_is_refused),
		cmocka_unit_test(edits_keep_all_other_bytes), cmocka_unit_test(our_map_goes_in_front_and_out_again),
		cmocka_unit_test(our_map_is_renewed_where_it_stands), cmocka_unit_test(hostile_names_and_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
