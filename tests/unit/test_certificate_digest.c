/* Digests and base64 against the published vectors (FIPS 180-4, RFC 2202, RFC 4648). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/certificate.h"

static void
sha256_vectors(void **state)
{
	char hex[65], b64[48];

	(void)state;
	sha256_hex("abc", 3, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex(NULL, 0, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_base64(NULL, 0, b64);
	assert_string_equal(b64, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
}

static void
hmac_sha1_vectors(void **state)
{
	static const unsigned char want[20] = { 0xb6, 0x17, 0x31, 0x86, 0x55, 0x05, 0x72, 0x64, 0xe2, 0x8b, 0xc0, 0xb6, 0xfb,
		0x37, 0x8c, 0x8e, 0xf1, 0x46, 0xbe, 0x00 };
	unsigned char key[20], got[20];

	(void)state;
	memset(key, 0x0b, sizeof(key));
	hmac_sha1(key, sizeof(key), "Hi There", 8, got);
	assert_memory_equal(got, want, sizeof(want));
}

static void
base64_round_trip(void **state)
{
	static const struct { const char *plain, *coded; } rows[] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "foobar", "Zm9vYmFy" },
	};
	unsigned char out[300], random[200];
	struct str s = STR_INIT;
	size_t n, len, i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&s);
		base64_encode(rows[i].plain, strlen(rows[i].plain), &s);
		assert_string_equal(s.s, rows[i].coded);
		assert_int_equal(base64_decode(s.s, s.len, out, sizeof(out), &n), 0);
		assert_int_equal(n, strlen(rows[i].plain));
		assert_memory_equal(out, rows[i].plain, n);
	}
	for (len = 0; len < sizeof(random); len++) {
		random_bytes(random, len);
		str_reset(&s);
		base64_encode(random, len, &s);
		assert_int_equal(base64_decode(s.s, s.len, out, sizeof(out), &n), 0);
		assert_int_equal(n, len);
		assert_memory_equal(out, random, len);
	}
	str_release(&s);
}

static void
base64_lenient_and_strict(void **state)
{
	static const char *const good[] = { "Zm9v YmFy", "Zm9v\r\nYmFy\r\n", "Zg", "Zm8", " Zg==\n" };
	static const char *const bad[] = { "Z", "Zg=", "Zg===", "Zm9=v", "Zh==", "Zm9v!", "=", "Zm9v====", "-_-_" };
	unsigned char out[16];
	size_t n, i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(base64_decode(good[i], strlen(good[i]), out, sizeof(out), &n), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64_decode(bad[i], strlen(bad[i]), out, sizeof(out), &n), -1);
	assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 5, &n), -1);     /* does not fit */
	assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 6, &n), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(hmac_sha1_vectors),
		cmocka_unit_test(base64_round_trip),
		cmocka_unit_test(base64_lenient_and_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
