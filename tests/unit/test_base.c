/* core/base: error value, growing text, cleaning, dates, files, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/clean.h"
#include "mxseal/secret.h"
#include "mxseal/str.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

static void
errors_are_sentences(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, RC_NET, "mx1 refused the connection"), -1);
	err_hint(&e, "is sshd running?");
	err_wrap(&e, "while reading %s", "mx1");
	assert_string_equal(e.text, "while reading mx1: mx1 refused the connection");
	assert_string_equal(e.hint, "is sshd running?");
	err_set(&e, RC_DB, "%s", e.text);            /* the argument may be the error itself */
	assert_string_equal(e.text, "while reading mx1: mx1 refused the connection");
	for (int c = 0; c < RC_COUNT; c++) {
		assert_non_null(err_name((enum err_code)c));
		assert_non_null(err_title((enum err_code)c));
		assert_in_range(err_exit_status((enum err_code)c), 0, 130);
	}
}

static void
text_has_a_ceiling(void **state)
{
	struct str s;

	(void)state;
	str_init(&s, 8);
	str_add(&s, "12345678");
	assert_false(s.over);
	str_addc(&s, '9');
	assert_true(s.over);
	assert_string_equal(s.s, "12345678");
	str_release(&s);
}

static void
foreign_text_is_cleaned(void **state)
{
	static const struct { const char *in; size_t len; const char *out; } cases[] = {
		{ "plain \303\274", 8, "plain \303\274" },
		{ "\033]0;x\007", 6, "<1B>]0;x<07>" },
		{ "a\r\nb", 4, "a<0D><0A>b" },
		{ "\302\233m", 3, "<9B>m" },                  /* C1 as UTF-8 */
		{ "\233m", 2, "<9B>m" },                      /* C1 as a raw byte */
		{ "gnp\342\200\256x", 7, "gnp<U+202E>x" },
		{ "\300\257", 2, "<C0><AF>" },                /* overlong */
		{ "\355\240\200", 3, "<ED><A0><80>" },        /* surrogate */
		{ "x\342\202", 3, "x<E2><82>" },              /* cut */
		{ "a\0b", 3, "a<00>b" },
	};
	char fit[8];
	struct str out = STR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		str_reset(&out);
		clean_text(&out, cases[i].in, cases[i].len, false);
		assert_string_equal(out.s, cases[i].out);
		assert_true(clean_is(out.s, out.len));
	}
	str_release(&out);
	assert_string_equal(clean(NULL), "-");
	clean_fit(fit, sizeof(fit), "abcdef\xf1\xbb\x92\xbb");
	assert_string_equal(fit, "abcdef");
	clean_fit(fit, sizeof(fit), "\x1b[31m");
	assert_string_equal(fit, "<1B>[31");
	clean_fit(fit, sizeof(fit), NULL);
	assert_string_equal(fit, "");
}

static void
dates(void **state)
{
	char buf[32];
	int64_t t;

	(void)state;
	when_rfc3339(buf, 1795474805);
	assert_string_equal(buf, "2026-11-23T23:00:05Z");
	assert_int_equal(when_parse_date(&t, "2026-12-31", NULL), 0);
	when_rfc3339(buf, t);
	assert_string_equal(buf, "2026-12-31T23:59:59Z");
	assert_int_equal(when_parse_date(&t, "tomorrow", NULL), -1);
	when_ago(buf, 6000);
	assert_string_equal(buf, "1:40 h");
}

static void
files_are_written_whole(void **state)
{
	char *dir = fixture_dir(), *path = xasprintf("%s/file", dir), *pipe = xasprintf("%s/pipe", dir);
	char *link = xasprintf("%s/link", dir);
	struct str s = STR_INIT;
	struct stat st;
	struct err e;

	(void)state;
	assert_int_equal(str_write_file(path, "one", 3, 0600, &e), 0);
	assert_int_equal(str_write_file(path, "two!", 4, 0600, &e), 0);
	assert_int_equal(str_read_file(&s, path, 100, &e), 0);
	assert_string_equal(s.s, "two!");
	str_reset(&s);
	assert_int_equal(str_read_file(&s, path, 3, &e), -1);
	assert_int_equal(e.code, RC_LIMIT);
	assert_int_equal(str_write_file("/nonexistent/x", "", 0, 0600, &e), -1);
	assert_string_equal(e.text, "cannot write /nonexistent/x: No such file or directory");
	assert_int_equal(str_can_write_file("/nonexistent/x", &e), -1);
	assert_int_equal(str_can_write_file(path, &e), 0);
	assert_int_equal(str_can_write_file("fresh", &e), 0);
	/* only files are replaced, and behind a link the file it leads to */
	assert_int_equal(str_write_file(dir, "", 0, 0600, &e), -1);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(str_write_file(pipe, "", 0, 0600, &e), -1);
	assert_int_equal(str_can_write_file(pipe, &e), -1);
	assert_int_equal(symlink("file", link), 0);
	assert_int_equal(str_write_file(link, "three", 5, 0600, &e), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	str_reset(&s);
	assert_int_equal(str_read_file(&s, path, 100, &e), 0);
	assert_string_equal(s.s, "three");
	free(pipe);
	free(link);
	fixture_remove(dir);
	free(dir);
	free(path);
	str_release(&s);
}

static void
words(void **state)
{
	size_t n;
	char **w = words_split(" a,b  c ", " ,", &n);

	(void)state;
	assert_int_equal(n, 3);
	assert_string_equal(w[2], "c");
	assert_null(w[3]);
	words_free(w);
	w = words_split(NULL, " ", &n);
	assert_int_equal(n, 0);
	words_free(w);
}

static void
secrets_end_at_the_line(void **state)
{
	struct secret s = { NULL, 0 };
	char most[2000];
	struct err e;
	int p[2];

	(void)state;
	/* one that is too long is refused, not cut */
	memset(most, 'x', sizeof(most));
	most[1024] = '\n';
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], most, sizeof(most)), (int)sizeof(most));
	assert_int_equal(secret_read_fd(&s, p[0], &e), 0);
	assert_int_equal(s.len, 1024);
	assert_int_equal(write(p[1], most, 1024), 1024);
	close(p[1]);
	assert_int_equal(secret_read_fd(&s, p[0], &e), -1);
	assert_int_equal(e.code, RC_LIMIT);
	close(p[0]);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "first\nsecond", 12), 12);
	close(p[1]);
	assert_int_equal(secret_read_fd(&s, p[0], &e), 0);
	assert_string_equal(s.mem, "first");
	assert_int_equal(secret_read_fd(&s, p[0], &e), 0);
	assert_string_equal(s.mem, "second");
	assert_int_equal(secret_read_fd(&s, p[0], &e), -1);
	close(p[0]);
	secret_release(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_are_sentences), cmocka_unit_test(text_has_a_ceiling),
		cmocka_unit_test(foreign_text_is_cleaned), cmocka_unit_test(dates),
		cmocka_unit_test(files_are_written_whole), cmocka_unit_test(words), cmocka_unit_test(secrets_end_at_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
