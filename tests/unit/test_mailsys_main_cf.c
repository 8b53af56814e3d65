/* main.cf: read as Postfix reads it, edited in place, all other bytes kept: by hand-made cases and by generated files. */
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

/* --- generated files --- */

static unsigned seed;

static unsigned
dice(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return seed >> 16 & 0x7fff ? (seed >> 16 & 0x7fff) % n : 0;
}

static void
noise(struct str *out)
{
	static const char *const lines[] = { "\n", "# comment = x\n", "   # indented\n", "\t\n", "#smtpd_tls_security_level = may\n" };

	while (dice(3) == 0)
		str_add(out, lines[dice(5)]);
}

static void
generate(struct str *out)
{
	static const char *const gaps[] = { " = ", "=", " =\t", " =", " =\n  ", "= " };
	unsigned i, k, n = 1 + dice(12);

	if (dice(5) == 0)
		str_add(out, "  orphan = nothing\n");
	for (i = 0; i < n; i++) {
		noise(out);
		str_addf(out, "name_%u%s", dice(9), gaps[dice(6)]);
		for (k = dice(4); k > 0; k--) {
			str_addf(out, "v%u", dice(100));
			if (k > 1) {
				str_add(out, dice(2) ? ", " : ",\n");
				noise(out);
				str_add(out, dice(2) ? "    " : "\t");
			}
		}
		str_add(out, dice(8) ? "\n" : " \n");
	}
	noise(out);
	if (dice(4) == 0 && out->len && out->s[out->len - 1] == '\n')
		str_cut(out, out->len - 1);
}

/* The values of all names but one. */
static char *
others(const struct main_cf *m, const char *but)
{
	struct str out = STR_INIT;
	size_t i;

	for (i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, but) != 0)
			str_addf(&out, "%s=%s\n", m->v[i].name, m->v[i].value);
	return str_take(&out);
}

static void
comments(const char *text, struct str *out)
{
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = text + strcspn(text, "\n");
		if (text[strspn(text, " \t")] == '#' && strncmp(text, MAIN_CF_MARK, strlen(MAIN_CF_MARK)) != 0)
			str_addf(out, "%.*s\n", (int)(end - text), text);
	}
}

static void
generated_files_stay_as_they_are(void **state)
{
	unsigned round;

	(void)state;
	for (round = 1; round <= 500; round++) {
		struct str text = STR_INIT, was = STR_INIT, is = STR_INIT;
		struct main_cf m;
		char name[16], *before, *after;

		seed = round;
		generate(&text);
		m = parse(text.s);
		assert_string_equal(m.t.text.s, text.s);
		snprintf(name, sizeof(name), "name_%u", dice(9));

		/* a list entry in and out leaves no trace but a newline at the end, and the blank of an empty value */
		if (text.len && text.s[text.len - 1] == '\n' && main_cf_get(&m, name) && *main_cf_get(&m, name)) {
			assert_int_equal(main_cf_list_put(&m, name, OPEN, "/p", OPEN "1/p", NULL), 0);
			main_cf_list_drop(&m, name, OPEN, "/p");
			assert_string_equal(m.t.text.s, text.s);
		}
		/* a new name likewise */
		assert_int_equal(main_cf_set(&m, "ours", "x y", NULL), 0);
		assert_string_equal(main_cf_get(&m, "ours"), "x y");
		main_cf_remove(&m, "ours");
		assert_memory_equal(m.t.text.s, text.s, text.len);
		assert_true(m.t.text.len <= text.len + 1);

		/* an edit touches one value and no comment */
		before = others(&m, name);
		comments(m.t.text.s, &was);
		assert_int_equal(main_cf_set(&m, name, "new value", NULL), 0);
		assert_string_equal(main_cf_get(&m, name), "new value");
		after = others(&m, name);
		comments(m.t.text.s, &is);
		assert_string_equal(after, before);
		assert_string_equal(is.s, was.s);
		free(after);
		str_reset(&is);

		main_cf_remove(&m, name);
		assert_null(main_cf_get(&m, name));
		after = others(&m, name);
		comments(m.t.text.s, &is);
		assert_string_equal(after, before);
		assert_string_equal(is.s, was.s);
		free(before);
		free(after);
		main_cf_release(&m);
		str_release(&text);
		str_release(&was);
		str_release(&is);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_postfix_reads), cmocka_unit_test(what_stops_postfix_is_refused),
		cmocka_unit_test(edits_keep_all_other_bytes), cmocka_unit_test(our_map_goes_in_front_and_out_again),
		cmocka_unit_test(our_map_is_renewed_where_it_stands), cmocka_unit_test(hostile_names_and_values_are_refused),
		cmocka_unit_test(generated_files_stay_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
