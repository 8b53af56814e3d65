/* Subject fields, host names, wildcards, countries; OpenSSL's own name check as second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/certificate.h"
#include "support/pki.h"

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10

static void
fields(void **state)
{
	static const struct { const char *field, *value; int rc; const char *says; } rows[] = {
		{ "cn", "mail.example.test", 0, NULL },
		{ "cn", "", -1, "missing" },
		{ "cn", NULL, -1, "missing" },
		{ "cn", X60 "xxxx", 0, NULL },
		{ "cn", X60 "xxxxx", -1, "65 characters; it may have 64" },
		{ "cn", "a\nb", -1, "control character" },
		{ "cn", "a\xff" "b", -1, "not UTF-8" },
		{ "cn", " a", -1, "blank" },
		{ "cn", "a ", -1, "blank" },
		{ "cn", "evil\xe2\x80\xae.test", -1, "control character" },          /* right-to-left override */
		{ "o", "", 0, NULL },
		{ "o", "Bank, \"Best\" & S\xc3\xb6hne <AG> + Co = #1; \\ /", 0, NULL },
		{ "o", X60 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", 0, NULL },             /* 64 characters, 68 bytes */
		{ "o", X60 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", -1, "65 characters" },
		{ "ou", X60 "xxxxx", -1, "organizational unit" },
		{ "st", X60 X60 "xxxxxxxx", 0, NULL },
		{ "st", X60 X60 "xxxxxxxxx", -1, "129 characters; it may have 128" },
		{ "l", X60 X60 "xxxxxxxxx", -1, "city" },
		{ "l", "M\xc3\xbcnchen", 0, NULL },
		{ "c", "", 0, NULL },
		{ "c", "DE", 0, NULL },
		{ "c", "de", 0, NULL },
		{ "c", "D", -1, "two letters" },
		{ "c", "DEU", -1, "two letters" },
		{ "c", "D1", -1, "two letters" },
		{ "c", "\xc3\xa4", -1, "two letters" },
		{ "san", "", 0, NULL },
		{ "san", "a.test b.test 192.0.2.1 2001:db8::1 *.c.test", 0, NULL },
		{ "san", "a.test, b.test", 0, NULL },
		{ "san", "DNS:a.test", -1, "no host name may have" },
		{ "san", "a.test b..test", -1, "empty part" },
		{ "san", "*.test", -1, "too wide" },
		{ "cn", "*.test", -1, "too wide" },
		{ "cn", "*.a.test", 0, NULL },
		{ "san", "a.*.test", -1, "no host name may have" },
		{ "san", "mail@a.test", -1, "no host name may have" },
		{ "san", "b\xc3\xbc" "cher.test", 0, NULL },
		{ "wrong", "x", -1, "no subject field" },
	};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&e, 0, sizeof(e));
		if (subject_field_check(rows[i].field, rows[i].value, &e) != rows[i].rc)
			fail_msg("%s=%s: %s", rows[i].field, rows[i].value, e.text);
		if (rows[i].says != NULL && strstr(e.text, rows[i].says) == NULL)
			fail_msg("%s=%s says: %s", rows[i].field, rows[i].value, e.text);
	}
}

static void
too_many_names(void **state)
{
	struct str s = STR_INIT;
	struct err e;
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		str_addf(&s, "h%d.test ", i);
	assert_int_equal(subject_field_check("san", s.s, &e), 0);
	str_add(&s, "one.more.test");
	assert_int_equal(subject_field_check("san", s.s, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	str_release(&s);
}

static void
ascii_names(void **state)
{
#define L63 X60 "abc"
	static const struct { const char *name, *ascii; } rows[] = {
		{ "mail.example.test", "mail.example.test" },
		{ "MAIL.Example.TEST", "mail.example.test" },
		{ "mail.example.test.", "mail.example.test" },
		{ "mail", "mail" },
		{ "*.example.test", "*.example.test" },
		{ "b\xc3\xbc" "cher.example", "xn--bcher-kva.example" },
		{ "B\xc3\x9c" "CHER.example", "xn--bcher-kva.example" },
		{ "bu\xcc\x88" "cher.example", "xn--bcher-kva.example" },               /* decomposed */
		{ "fa\xc3\x9f.de", "xn--fa-hia.de" },
		{ "*.b\xc3\xbc" "cher.example", "*.xn--bcher-kva.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
		{ "r3---sn-abc.example", "r3---sn-abc.example" },
		{ "1.example", "1.example" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "2001:DB8:0::1", "2001:db8::1" },
		{ "::1", "::1" },
		{ L63 ".test", L63 ".test" },
		{ "\xe4\xbe\x8b\xe3\x81\x88\xe3\x80\x82jp", "xn--r8jz45g.jp" },     /* ideographic full stop */
		{ "", NULL }, { NULL, NULL }, { ".", NULL }, { "*.", NULL }, { "*", NULL }, { "a..b", NULL }, { ".a", NULL },
		{ "a..", NULL }, { "a_b.test", NULL }, { "a b.test", NULL }, { "a,b.test", NULL }, { "a\tb.test", NULL },
		{ "-a.test", NULL }, { "a-.test", NULL }, { "*.*.test", NULL }, { "m*.test", NULL }, { "a.test/", NULL },
		{ "192.0.2.256", NULL }, { "1.2.3", NULL }, { "*.192.0.2.1", NULL }, { "[::1]", NULL }, { "fe80::1%lo", NULL },
		{ "xn--\xc3\xbc.test", NULL }, { "xn--a.test", NULL }, { "a\xff.test", NULL }, { "a\xe2\x80\xae.test", NULL },
		{ L63 "d.test", NULL },
		{ L63 "." L63 "." L63 "." L63, NULL },
	};
	struct str out = STR_INIT;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&out);
		str_add(&out, "kept ");
		if (rows[i].ascii == NULL) {
			if (name_to_ascii(rows[i].name, &out, &e) == 0)
				fail_msg("%s passed as %s", rows[i].name, out.s);
			assert_int_equal(e.code, RC_INVALID);
			assert_string_equal(out.s, "kept ");
		} else {
			if (name_to_ascii(rows[i].name, &out, &e) != 0)
				fail_msg("%s: %s", rows[i].name, e.text);
			assert_string_equal(out.s + 5, rows[i].ascii);
		}
	}
	str_release(&out);
}

/* Each pattern against each name: our answer and OpenSSL's about a certificate with that name must be the same. */
static void
covering(void **state)
{
	static const char *const patterns[] = { "mail.a.test", "MAIL.A.Test", "*.a.test", "*.test", "*.mail.a.test", "a.test",
		"m*.a.test", "*a.test", "mail.*.test", "*.*.test", "*", "192.0.2.1", "*.0.2.1", "xn--bcher-kva.test",
		"*.xn--bcher-kva.test" };
	static const char *const names[] = { "mail.a.test", "mail.A.TEST", "a.test", "x.mail.a.test", ".a.test", "a.b.a.test",
		"test", "xn--bcher-kva.test", "mail.xn--bcher-kva.test", "192.0.2.1", "192.0.2.2", "x_y.a.test", "mail.b.test" };
	EVP_PKEY *key = pki_key("P-256");
	struct str san = STR_INIT;
	size_t p, n;
	bool ours;
	int theirs;
	X509 *x;

	(void)state;
	for (p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
		str_reset(&san);
		str_addf(&san, "DNS:%s", patterns[p]);
		x = pki_make(&(struct pki_spec){ .key = key, .names = san.s });
		for (n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			if (strncmp(names[n], "192.", 4) == 0 || strncmp(patterns[p], "192.", 4) == 0)
				continue;
			ours = name_covers(patterns[p], names[n]);
			/* a leading dot asks OpenSSL for all below, which is not our question */
			theirs = names[n][0] == '.' ? 0 : X509_check_host(x, names[n], 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
			    NULL);
			if (ours != (theirs == 1))
				fail_msg("%s for %s: ours %d, OpenSSL %d", patterns[p], names[n], ours, theirs);
		}
		X509_free(x);
	}
	assert_true(name_covers("192.0.2.1", "192.0.2.1"));
	assert_false(name_covers("*.0.2.1", "192.0.2.1"));
	assert_false(name_covers("192.0.2.1", "192.0.2.2"));
	assert_true(name_covers("2001:db8::1", "2001:DB8:0:0::1"));
	assert_true(name_covers("a.test.", "a.test"));
	assert_true(name_covers("a.test", "a.test."));
	assert_true(name_covers("xn--bcher-kva.test", "b\xc3\xbc" "cher.test"));
	assert_false(name_covers("", "a.test"));
	assert_false(name_covers("a.test", ""));
	assert_false(name_covers(NULL, "a.test"));
	assert_false(name_covers("a.test", NULL));
	assert_false(name_covers("*.", "a."));
	EVP_PKEY_free(key);
	str_release(&san);
}

static void
all_countries(void **state)
{
	bool seen[26][26] = { { false } };
	const char *const wanted[] = { "KY", "GD", "SM", "GL", "DE", "US", "AX", "SS", "TL", "ME", "RS", "BQ", "CW", "ZW" };
	size_t n, i;
	int a, b;

	(void)state;
	for (n = 0; countries[n].code != NULL; n++) {
		a = countries[n].code[0] - 'A';
		b = countries[n].code[1] - 'A';
		assert_true(a >= 0 && a < 26 && b >= 0 && b < 26 && countries[n].code[2] == '\0');
		assert_false(seen[a][b]);
		seen[a][b] = true;
		assert_int_equal(subject_field_check("c", countries[n].code, NULL), 0);
		assert_int_equal(subject_field_check("st", countries[n].name, NULL), 0);
	}
	assert_int_equal(n, 249);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		assert_true(seen[wanted[i][0] - 'A'][wanted[i][1] - 'A']);
}

static void
slips(void **state)
{
	static const char domains[] = "mx1.bank.test bank.test corp.example.com";
	static const struct { const char *name, *meant; } rows[] = {
		{ "mx1.bank.test", NULL }, { "mx2.bank.test", NULL }, { "a.b.bank.test", NULL }, { "*.bank.test", NULL }, { "other.test", NULL },
		{ "BANK.test", NULL }, { "192.0.2.1", NULL }, { "2001:db8::1", NULL }, { "not a name", NULL }, { "shop.example.org", NULL },
		{ "mx1.bnak.test", "mx1.bank.test" }, { "mx1.ban.test", "mx1.bank.test" }, { "mx1.bankk.test", "mx1.bank.test" },
		{ "bamk.test", "bank.test" }, { "mx1bank.test", "mx1.bank.test" }, { "*.bnak.test", "bank.test" },
		{ "mail.other.con", "mail.other.com" }, { "mail.other.ogr", "mail.other.org" }, { "corp.exmaple.com", "corp.example.com" },
	};
	struct str meant = STR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		str_reset(&meant);
		if (name_slip(rows[i].name, domains, &meant) != (rows[i].meant != NULL)
		    || (rows[i].meant != NULL && strcmp(meant.s, rows[i].meant) != 0))
			fail_msg("%s: \"%s\"", rows[i].name, meant.s);
	}
	str_reset(&meant);
	assert_true(name_to_people("xn--bcher-kva.test", &meant));
	assert_string_equal(meant.s, "b\xc3\xbc" "cher.test");
	str_reset(&meant);
	assert_false(name_to_people("bank.test", &meant));
	assert_false(name_to_people("xn--\033[2J.test", &meant));
	str_release(&meant);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slips),
		cmocka_unit_test(fields),
		cmocka_unit_test(too_many_names),
		cmocka_unit_test(ascii_names),
		cmocka_unit_test(covering),
		cmocka_unit_test(all_countries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
