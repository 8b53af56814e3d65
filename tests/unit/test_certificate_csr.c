/* Requests: made in two halves with a key that only the openssl program holds, as on a mail host; openssl then verifies the
 * request and must show what was typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/certificate.h"
#include "support/fixture.h"
#include "support/pki.h"

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
/* a text that a record may own */
#define T(text) ((char []){ text })
#define SHOW "openssl req -noout -verify -text -in req.pem"

static char *dir;

static int
make_dir(void **state)
{
	(void)state;
	dir = fixture_dir();
	return dir == NULL;
}

static int
remove_dir(void **state)
{
	(void)state;
	fixture_remove(dir);
	free(dir);
	return 0;
}

static const struct { enum key_kind kind; const char *options, *shown; } keys[] = {
	{ KEY_EC_P256, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "NIST CURVE: P-256" },
	{ KEY_EC_P384, "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "NIST CURVE: P-384" },
	{ KEY_RSA_2048, "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "Public-Key: (2048 bit)" },
	{ KEY_RSA_3072, "-algorithm RSA -pkeyopt rsa_keygen_bits:3072", "Public-Key: (3072 bit)" },
};

static void
host_key(const char *options, struct str *public_pem)
{
	str_reset(public_pem);
	assert_int_equal(pki_run(dir, NULL, "openssl genpkey %s -out key.pem", options), 0);
	assert_int_equal(pki_run(dir, public_pem, "openssl pkey -in key.pem -pubout"), 0);
}

/* What the host does: signs the bytes with its key. */
static void
host_sign(const struct str *tbs, const char *digest, struct str *signature)
{
	str_reset(signature);
	pki_save(dir, "tbs", tbs->s, tbs->len);
	assert_int_equal(pki_run(dir, NULL, "openssl dgst -%s -sign key.pem -out sig tbs", digest), 0);
	assert_int_equal(pki_run(dir, signature, "cat sig"), 0);
}

static void
make_request(const struct subject *s, enum key_kind kind, const char *public_pem, struct str *pem)
{
	struct str tbs = STR_INIT, signature = STR_INIT;
	struct err e = { .code = RC_OK };

	str_reset(pem);
	if (csr_to_sign(s, public_pem, &tbs, &e) != 0)
		fail_msg("%s", e.text);
	host_sign(&tbs, csr_digest(kind), &signature);
	if (csr_finish(&tbs, public_pem, signature.s, signature.len, pem, &e) != 0)
		fail_msg("%s", e.text);
	str_release(&tbs);
	str_release(&signature);
}

static void
has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("no \"%s\" in:\n%s", what, text);
}

/* --- every kind of key --- */

static void
each_key(void **state)
{
	struct subject s = { .cn = T("mail.bank.test"), .o = T("Bank"), .ou = T("Post"), .c = T("DE"), .st = T("Bayern"), .l = T("Augsburg"),
		.san = T("mx.bank.test 192.0.2.1 2001:db8::1 mail.bank.test") };
	struct str public_pem = STR_INIT, pem = STR_INIT, shown = STR_INIT;
	struct request r;
	char sha[65], *type = NULL;
	struct err e;
	size_t i;
	int bits;

	(void)state;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		host_key(keys[i].options, &public_pem);
		make_request(&s, keys[i].kind, public_pem.s, &pem);
		pki_save(dir, "req.pem", pem.s, pem.len);
		str_reset(&shown);
		assert_int_equal(pki_run(dir, &shown, SHOW), 0);
		has(shown.s, "verify OK");
		has(shown.s, keys[i].shown);
		has(shown.s, "C = DE, ST = Bayern, L = Augsburg, O = Bank, OU = Post, CN = mail.bank.test");
		has(shown.s, "DNS:mail.bank.test, DNS:mx.bank.test, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1\n");
		has(shown.s, "X509v3 Key Usage: critical\n");
		has(shown.s, keys[i].kind >= KEY_RSA_2048 ? "Digital Signature, Key Encipherment\n" : "Digital Signature\n");
		has(shown.s, "TLS Web Server Authentication\n");
		has(shown.s, keys[i].kind == KEY_EC_P384 ? "ecdsa-with-SHA384" : keys[i].kind == KEY_EC_P256 ? "ecdsa-with-SHA256"
		    : "sha256WithRSAEncryption");
		memset(&r, 0, sizeof(r));
		assert_int_equal(csr_read(pem.s, pem.len, &r, &e), 0);
		assert_int_equal(r.kind, keys[i].kind);
		assert_string_equal(r.subject.cn, s.cn);
		assert_string_equal(r.subject.o, s.o);
		assert_string_equal(r.subject.ou, s.ou);
		assert_string_equal(r.subject.c, s.c);
		assert_string_equal(r.subject.st, s.st);
		assert_string_equal(r.subject.l, s.l);
		assert_string_equal(r.subject.san, "mail.bank.test mx.bank.test 192.0.2.1 2001:db8::1");
		assert_string_equal(r.pem, pem.s);
		assert_int_equal(cert_spki_of_public_key(public_pem.s, sha, &type, &bits, &e), 0);
		assert_string_equal(r.spki_sha256, sha);
		assert_string_equal(type, keys[i].kind >= KEY_RSA_2048 ? "RSA" : "EC");
		assert_true(bits == 256 || bits == 384 || bits == 2048 || bits == 3072);
		free(type);
		request_release(&r);
	}
	str_release(&public_pem);
	str_release(&pem);
	str_release(&shown);
}

/* --- what was typed is what stands in it --- */

static void
each_subject(void **state)
{
	const struct subject rows[] = {
		{ .cn = T("mail.a.test") },
		{ .cn = T("mail.a.test"), .o = T("Microsoft, Inc.") },
		{ .cn = T("mail.a.test"), .o = T("\"Quoted\" & <b> = + # ; \\ / 'x'") },
		{ .cn = T("mail.a.test"), .o = T("#starts"), .ou = T("=x"), .l = T("+") },
		{ .cn = T("mail.a.test"), .o = T("Bank S\xc3\xb6hne \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x92\xa1"),
		    .l = T("\xce\x91\xce\xb8\xce\xae\xce\xbd\xce\xb1") },
		{ .cn = T(X60 ".tes"), .o = T(X60 "xxxx"), .ou = T(X60 "xxxx"),
		    .st = T(X60 X60 "xxxxxxxx"), .l = T(X60 X60 "xxxxxxxx"), .c = T("US") },
		{ .cn = T("Mail of the Bank, Munich"), .san = T("mx.a.test") },
		{ .cn = T("mail.a.test"), .o = T("subjectAltName=DNS:evil.test"), .ou = T("DNS:evil.test,DNS:worse.test") },
		{ .cn = T("mail.a.test"), .o = T("inner   blanks kept  x") },
	};
	struct str public_pem = STR_INIT, pem = STR_INIT, shown = STR_INIT, want = STR_INIT;
	struct err e;
	struct request r;
	size_t i;

	(void)state;
	host_key(keys[0].options, &public_pem);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct subject *s = &rows[i];

		make_request(s, KEY_EC_P256, public_pem.s, &pem);
		pki_save(dir, "req.pem", pem.s, pem.len);
		str_reset(&shown);
		assert_int_equal(pki_run(dir, &shown,
		    "openssl req -noout -verify -subject -nameopt sep_multiline,utf8,sname -in req.pem"), 0);
		has(shown.s, "verify OK");
		const struct { const char *name, *value; } fields[] = { { "CN", s->cn }, { "O", s->o }, { "OU", s->ou },
			{ "C", s->c }, { "ST", s->st }, { "L", s->l } };
		for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
			if (fields[f].value == NULL)
				continue;
			str_reset(&want);
			str_addf(&want, "    %s=%s\n", fields[f].name, fields[f].value);
			has(shown.s, want.s);
		}
		str_reset(&shown);
		assert_int_equal(pki_run(dir, &shown, "openssl req -noout -text -in req.pem | grep -A1 'Alternative Name'"
		    " | tail -1 | tr -d ' '"), 0);
		str_reset(&want);
		str_addf(&want, "DNS:%s\n", s->san != NULL ? s->san : s->cn);
		assert_string_equal(shown.s, want.s);
		memset(&r, 0, sizeof(r));
		assert_int_equal(csr_read(pem.s, pem.len, &r, &e), 0);
		assert_string_equal(r.subject.cn, s->cn);
		assert_true(text_eq(r.subject.o, s->o));
		assert_string_equal(r.subject.san, s->san != NULL ? s->san : s->cn);
		request_release(&r);
	}
	str_release(&public_pem);
	str_release(&pem);
	str_release(&shown);
	str_release(&want);
}

/* Texts made by chance of all that is hard: separators and quotes of X.500 names, letters of two to four bytes, up to the longest
 * value. A fixed seed: what fails once fails always. */
static unsigned
chance(unsigned below)
{
	static unsigned state = 20260921;

	state = state * 1103515245u + 12345u;
	return (state >> 16) % below;
}

static void
by_chance(char *out, size_t max)
{
	static const char *const pieces[] = { ",", "+", "\"", "\\", "<", ">", ";", "#", "=", "/", "'", " ", "  ", ".", "@", "*", "a", "Z", "0",
		"DNS:", "CN=", "\xc3\xa4", "\xc3\x9f", "\xd0\x96", "\xe6\x97\xa5", "\xe2\x82\xac", "\xf0\x9f\x92\xa1", "%s", "$(x)", "`x`" };
	size_t n = chance(4) == 0 ? max : 1 + chance((unsigned)max), have = 0, k;

	*out = '\0';
	while (have < n) {
		const char *piece = pieces[chance(sizeof(pieces) / sizeof(pieces[0]))];
		size_t chars = 0;

		for (k = 0; piece[k] != '\0'; k++)
			chars += ((unsigned char)piece[k] & 0xc0) != 0x80;
		if (have + chars > n || ((have == 0 || have + chars == n) && strchr(piece, ' ') != NULL))
			piece = "x", chars = 1;
		strcat(out, piece);
		have += chars;
	}
}

static void
any_subject(void **state)
{
	static const struct { const char *shown, *name; size_t max; } rows[] = { { "O", "o", 64 }, { "OU", "ou", 64 }, { "ST", "st", 128 },
		{ "L", "l", 128 } };
	char values[4][600], blank[640];
	struct str public_pem = STR_INIT, pem = STR_INIT, shown = STR_INIT, want = STR_INIT;
	struct err e;
	int round;
	size_t i;

	(void)state;
	host_key(keys[0].options, &public_pem);
	for (round = 0; round < 25; round++) {
		struct subject s = { .cn = T("mail.a.test"), .o = values[0], .ou = values[1], .st = values[2], .l = values[3] };

		for (i = 0; i < 4; i++)
			by_chance(values[i], rows[i].max);
		make_request(&s, KEY_EC_P256, public_pem.s, &pem);
		pki_save(dir, "req.pem", pem.s, pem.len);
		str_reset(&shown);
		assert_int_equal(pki_run(dir, &shown, "openssl req -noout -verify -text -nameopt sep_multiline,utf8,sname -in req.pem"), 0);
		has(shown.s, "verify OK");
		for (i = 0; i < 4; i++) {
			str_reset(&want);
			str_addf(&want, " %s=%s\n", rows[i].shown, values[i]);
			has(shown.s, want.s);
			/* one more at the end, or a blank in front or behind, is refused at once */
			snprintf(blank, sizeof(blank), " %s", values[i]);
			assert_int_equal(subject_field_check(rows[i].name, blank, &e), -1);
			snprintf(blank, sizeof(blank), "%s ", values[i]);
			assert_int_equal(subject_field_check(rows[i].name, blank, &e), -1);
		}
		has(shown.s, "DNS:mail.a.test\n");
	}
	str_release(&public_pem);
	str_release(&pem);
	str_release(&shown);
	str_release(&want);
}

static void
names_of_the_request(void **state)
{
	static const struct { const char *cn, *san, *names; } rows[] = {
		{ "mail.a.test", NULL, "mail.a.test" },
		{ "Mail.A.test", "mail.a.test MAIL.a.test", "mail.a.test" },
		{ "b\xc3\xbc" "cher.test", "xn--bcher-kva.test", "xn--bcher-kva.test" },
		{ "192.0.2.1", "a.test", "192.0.2.1 a.test" },
		{ "*.a.test", "a.test", "*.a.test a.test" },
		{ "The Bank", "a.test, b.test", "a.test b.test" },
		{ "The Bank", NULL, NULL },
	};
	struct str public_pem = STR_INIT, pem = STR_INIT, names = STR_INIT;
	struct request r;
	struct err e;
	size_t i;

	(void)state;
	host_key(keys[0].options, &public_pem);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char cn[64], san[64];
		struct subject s = { .cn = strcpy(cn, rows[i].cn), .san = rows[i].san != NULL ? strcpy(san, rows[i].san) : NULL };

		make_request(&s, KEY_EC_P256, public_pem.s, &pem);
		memset(&r, 0, sizeof(r));
		assert_int_equal(csr_read(pem.s, pem.len, &r, &e), 0);
		if (!text_eq(r.subject.san, rows[i].names))
			fail_msg("%s + %s gives %s", rows[i].cn, rows[i].san, r.subject.san);
		assert_int_equal(subject_names(&s, &names, &e), 0);
		assert_string_equal(names.s, rows[i].names != NULL ? rows[i].names : "");
		request_release(&r);
	}
	str_release(&names);
	str_release(&public_pem);
	str_release(&pem);
}

/* --- refusals --- */

static void
refused_fields_and_keys(void **state)
{
	static const struct { const char *options; } weak[] = {
		{ "-algorithm RSA -pkeyopt rsa_keygen_bits:1024" },
		{ "-algorithm EC -pkeyopt ec_paramgen_curve:secp224r1" },
		{ "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1" },
		{ "-algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP384r1" },
		{ "-algorithm ED25519" },
	};
	struct subject good = { .cn = T("mail.a.test") }, bad = { .cn = T("mail.a.test"), .c = T("Germany") }, empty = { .cn = NULL };
	struct subject injected = { .cn = T("mail.a.test"), .san = T("a.test,DNS:evil.test") };
	struct str public_pem = STR_INIT, der = STR_INIT;
	struct err e;
	size_t i;

	(void)state;
	host_key(keys[0].options, &public_pem);
	assert_int_equal(csr_to_sign(&bad, public_pem.s, &der, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(csr_to_sign(&empty, public_pem.s, &der, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(csr_to_sign(&injected, public_pem.s, &der, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(csr_to_sign(&good, "nonsense", &der, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_int_equal(csr_to_sign(&good, NULL, &der, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_int_equal(csr_to_sign(&good, "-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n"
	    "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n-----END PUBLIC KEY-----\n", &der, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	for (i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
		host_key(weak[i].options, &public_pem);
		assert_int_equal(csr_to_sign(&good, public_pem.s, &der, &e), -1);
		assert_int_equal(e.code, RC_CERT);
		has(e.text, "it must be RSA of 2048 bits or more");
	}
	assert_int_equal(der.len, 0);
	str_release(&public_pem);
	str_release(&der);
}

static void
refused_signatures(void **state)
{
	struct str public_pem = STR_INIT, other_pem = STR_INIT, tbs = STR_INIT, signature = STR_INIT, pem = STR_INIT;
	struct subject s = { .cn = T("mail.a.test") };
	struct err e;

	(void)state;
	host_key(keys[2].options, &other_pem);
	host_key(keys[0].options, &public_pem);
	assert_int_equal(csr_to_sign(&s, public_pem.s, &tbs, &e), 0);
	host_sign(&tbs, "sha384", &signature);
	assert_int_equal(csr_finish(&tbs, public_pem.s, signature.s, signature.len, &pem, &e), -1);
	assert_int_equal(e.code, RC_CERT);
	has(e.text, "SHA-256");
	host_sign(&tbs, "sha256", &signature);
	assert_int_equal(csr_finish(&tbs, other_pem.s, signature.s, signature.len, &pem, &e), -1);
	has(e.text, "not the one for this key");
	assert_int_equal(csr_finish(&tbs, public_pem.s, signature.s, 0, &pem, &e), -1);
	assert_int_equal(csr_finish(&tbs, public_pem.s, signature.s, signature.len - 1, &pem, &e), -1);
	signature.s[signature.len - 1] ^= 1;
	assert_int_equal(csr_finish(&tbs, public_pem.s, signature.s, signature.len, &pem, &e), -1);
	signature.s[signature.len - 1] ^= 1;
	tbs.s[tbs.len - 1] ^= 1;
	assert_int_equal(csr_finish(&tbs, public_pem.s, signature.s, signature.len, &pem, &e), -1);
	assert_int_equal(pem.len, 0);
	str_release(&public_pem);
	str_release(&other_pem);
	str_release(&tbs);
	str_release(&signature);
	str_release(&pem);
}

/* Requests of other programs: DER, the Microsoft label, text around, no names, a second-hand signature. */
static void
foreign_requests(void **state)
{
	struct str pem = STR_INIT, text = STR_INIT;
	struct request r = { .id = 0 };
	struct err e;

	(void)state;
	assert_int_equal(pki_run(dir, NULL, "openssl req -new -newkey rsa:2048 -nodes -keyout k -subj '/CN=x.test/OU=a/OU=b"
	    "/emailAddress=a@b.test' -out r.pem && openssl req -in r.pem -outform DER -out r.der"), 0);
	assert_int_equal(pki_run(dir, &text, "cat r.der"), 0);
	assert_int_equal(csr_read(text.s, text.len, &r, &e), 0);
	assert_string_equal(r.subject.cn, "x.test");
	assert_string_equal(r.subject.ou, "b");
	assert_null(r.subject.san);
	assert_int_equal(pki_run(dir, &pem, "cat r.pem"), 0);
	str_reset(&text);
	str_addf(&text, "\xef\xbb\xbfhello\r\n%s\r\nbye", pem.s);
	assert_int_equal(csr_read(text.s, text.len, &r, &e), 0);
	str_reset(&text);
	assert_int_equal(pki_run(dir, &text, "sed 's/CERTIFICATE REQUEST/NEW CERTIFICATE REQUEST/; s/$/\\r/' r.pem"), 0);
	assert_int_equal(csr_read(text.s, text.len, &r, &e), 0);
	request_release(&r);
	/* one bit of the signature */
	str_reset(&text);
	assert_int_equal(pki_run(dir, &text, "cat r.der"), 0);
	text.s[text.len - 5] ^= 1;
	assert_int_equal(csr_read(text.s, text.len, &r, &e), -1);
	assert_int_equal(e.code, RC_CERT);
	assert_int_equal(csr_read("", 0, &r, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_int_equal(csr_read("hello", 5, &r, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_int_equal(pki_run(dir, NULL, "openssl req -new -newkey rsa:1024 -nodes -keyout k -subj /CN=x.test -out r.pem"), 0);
	str_reset(&pem);
	assert_int_equal(pki_run(dir, &pem, "cat r.pem"), 0);
	assert_int_equal(csr_read(pem.s, pem.len, &r, &e), -1);
	assert_int_equal(e.code, RC_CERT);
	has(e.text, "RSA 1024");
	request_release(&r);
	str_release(&pem);
	str_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key),
		cmocka_unit_test(each_subject),
		cmocka_unit_test(any_subject),
		cmocka_unit_test(names_of_the_request),
		cmocka_unit_test(refused_fields_and_keys),
		cmocka_unit_test(refused_signatures),
		cmocka_unit_test(foreign_requests),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
