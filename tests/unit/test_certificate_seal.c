/* Secrets at rest: what goes in comes out, only with the passphrase, and only unaltered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/certificate.h"

static void
round_trip(void **state)
{
	struct secret plain = { NULL, 0 }, pass = { NULL, 0 }, wrong = { NULL, 0 }, back = { NULL, 0 };
	static const size_t sizes[] = { 1, 15, 16, 17, 121, 2400, 65536 };
	struct str line = STR_INIT, second = STR_INIT;
	unsigned char *mem = malloc(65536);
	struct err e;
	size_t i;

	(void)state;
	secret_set(&pass, "correct horse \xc3\xa4", 16);
	secret_set(&wrong, "correct horse \xc3\xa5", 16);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		random_bytes(mem, sizes[i]);
		mem[0] = 0;
		secret_set(&plain, mem, sizes[i]);
		str_reset(&line);
		assert_int_equal(seal(&plain, &pass, &line, &e), 0);
		assert_null(strchr(line.s, '\n'));
		assert_int_equal(strlen(line.s), line.len);
		assert_int_equal(unseal(line.s, &pass, &back, &e), 0);
		assert_int_equal(back.len, sizes[i]);
		assert_memory_equal(back.mem, mem, sizes[i]);
		secret_release(&back);
	}
	assert_int_equal(unseal(line.s, &wrong, &back, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	assert_false(secret_is_set(&back));
	/* the same secret twice gives two lines that share nothing */
	secret_set(&plain, "secret", 6);
	str_reset(&line);
	assert_int_equal(seal(&plain, &pass, &line, &e), 0);
	assert_int_equal(seal(&plain, &pass, &second, &e), 0);
	assert_memory_not_equal(line.s + 8, second.s + 8, 22);
	secret_release(&plain);
	secret_release(&pass);
	secret_release(&wrong);
	str_release(&line);
	str_release(&second);
	free(mem);
}

static void
missing_things(void **state)
{
	struct secret plain = { NULL, 0 }, pass = { NULL, 0 }, none = { NULL, 0 }, back = { NULL, 0 };
	struct str line = STR_INIT;
	struct err e;

	(void)state;
	secret_set(&plain, "secret", 6);
	assert_int_equal(seal(&plain, &none, &line, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	secret_set(&pass, "", 0);
	assert_int_equal(seal(&plain, &pass, &line, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	secret_set(&pass, "p", 1);
	assert_int_equal(seal(&none, &pass, &line, &e), -1);
	assert_int_equal(line.len, 0);
	assert_int_equal(seal(&plain, &pass, &line, &e), 0);
	assert_int_equal(unseal(line.s, &none, &back, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	secret_release(&plain);
	secret_release(&pass);
	str_release(&line);
}

/* Every character of the line in turn: never opened; almost always known as damage and not taken for a wrong passphrase. */
static void
every_character(void **state)
{
	struct secret plain = { NULL, 0 }, pass = { NULL, 0 }, back = { NULL, 0 };
	struct str line = STR_INIT;
	struct err e;
	size_t i;

	(void)state;
	secret_set(&plain, "secret", 6);
	secret_set(&pass, "p", 1);
	assert_int_equal(seal(&plain, &pass, &line, &e), 0);
	for (i = 0; i < line.len; i++) {
		char old = line.s[i];

		line.s[i] = old == 'A' ? 'B' : 'A';
		assert_int_equal(unseal(line.s, &pass, &back, &e), -1);
		assert_int_equal(e.code, RC_PARSE);
		line.s[i] = '\0';
		assert_int_equal(unseal(line.s, &pass, &back, &e), -1);
		line.s[i] = '$';
		if (old != '$')
			assert_int_equal(unseal(line.s, &pass, &back, &e), -1);
		line.s[i] = old;
	}
	assert_int_equal(unseal(line.s, &pass, &back, &e), 0);
	secret_release(&back);
	secret_release(&plain);
	secret_release(&pass);
	str_release(&line);
}

/* Whoever alters a line knowingly also writes a new sum: then the cipher itself refuses. */
static void
with_a_new_sum(void **state)
{
	struct secret plain = { NULL, 0 }, pass = { NULL, 0 }, back = { NULL, 0 };
	struct str line = STR_INIT, sum = STR_INIT;
	unsigned char raw[6];
	char hex[65], *last;
	size_t i, n;
	struct err e;
	int k;

	(void)state;
	secret_set(&plain, "secret", 6);
	secret_set(&pass, "p", 1);
	assert_int_equal(seal(&plain, &pass, &line, &e), 0);
	last = strrchr(line.s, '$');
	n = (size_t)(last - line.s);
	for (i = 8; i < n; i += 9) {
		char old = line.s[i];

		if (old == '$' || old == '=')
			continue;
		line.s[i] = old == 'A' ? 'B' : 'A';
		sha256_hex(line.s, n, hex);
		for (k = 0; k < 6; k++)
			raw[k] = (unsigned char)strtoul((char [3]){ hex[2 * k], hex[2 * k + 1] }, NULL, 16);
		str_reset(&sum);
		base64_encode(raw, 6, &sum);
		memcpy(last + 1, sum.s, sum.len);
		assert_int_equal(unseal(line.s, &pass, &back, &e), -1);
		assert_true(e.code == RC_PASSPHRASE || e.code == RC_PARSE);
		assert_false(secret_is_set(&back));
		line.s[i] = old;
	}
	secret_release(&plain);
	secret_release(&pass);
	str_release(&line);
	str_release(&sum);
}

static void
not_sealed(void **state)
{
	static const char *const lines[] = { "", "x", "mxseal1", "mxseal1$", "mxseal1$$$$", "mxseal2$AAAA$AAAA$AAAA$AAAA",
		"mxseal1$AAAA$AAAA$AAAA$AAAA", "$$$$$" };
	struct secret pass = { NULL, 0 }, back = { NULL, 0 };
	struct err e;
	size_t i;

	(void)state;
	secret_set(&pass, "p", 1);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(unseal(lines[i], &pass, &back, &e), -1);
		assert_int_equal(e.code, RC_PARSE);
	}
	assert_int_equal(unseal(NULL, &pass, &back, &e), -1);
	secret_release(&pass);
}

/* A line sealed by the first version of the program must open for ever. */
static void
old_line(void **state)
{
	static const char line[] = "mxseal1$ZmvkRD1hJMUiSZdWV/+bSw==$Kj7F4RQr+U23Rifv$Whhm2pOU/TRaGfKsjdYcOV+oWzAqfvIsc0g83b7Z$5mXG1KQX";
	struct secret pass = { NULL, 0 }, back = { NULL, 0 };
	struct err e;

	(void)state;
	secret_set(&pass, "correct horse", 13);
	assert_int_equal(unseal(line, &pass, &back, &e), 0);
	assert_string_equal(back.mem, "battery staple");
	secret_release(&back);
	secret_release(&pass);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(missing_things),
		cmocka_unit_test(every_character),
		cmocka_unit_test(with_a_new_sum),
		cmocka_unit_test(not_sealed),
		cmocka_unit_test(old_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
