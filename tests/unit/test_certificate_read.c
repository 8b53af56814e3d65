/* Answers of authorities in every form they come in: which certificate is the server's, in which order the chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/err.h>

#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/pki.h"

/* root signs middle, middle signs low, low signs leaf; other is a certificate of a stranger */
static EVP_PKEY *root_key, *middle_key, *low_key, *leaf_key, *other_key;
static X509 *root, *middle, *low, *leaf, *other;
static struct str leaf_pem = STR_INIT, chain_pem = STR_INIT;     /* what is wanted: leaf; leaf, low, middle */

static int
make(void **state)
{
	(void)state;
	root_key = pki_key("P-256");
	middle_key = pki_key("P-256");
	low_key = pki_key("P-256");
	leaf_key = pki_key("P-256");
	other_key = pki_key("P-256");
	root = pki_make(&(struct pki_spec){ .cn = "Root", .key = root_key, .constraints = "critical,CA:TRUE",
	    .until = PKI_NOW + 3650 * INT64_C(86400) });
	middle = pki_make(&(struct pki_spec){ .cn = "Middle", .key = middle_key, .constraints = "critical,CA:TRUE",
	    .issuer = root, .issuer_key = root_key });
	low = pki_make(&(struct pki_spec){ .cn = "Low", .key = low_key, .constraints = "critical,CA:TRUE", .issuer = middle,
	    .issuer_key = middle_key });
	leaf = pki_make(&(struct pki_spec){ .cn = "mail.a.test", .key = leaf_key, .names = "DNS:mail.a.test,DNS:mx.a.test,"
	    "IP:192.0.2.1,IP:2001:db8::1,email:x@a.test", .issuer = low, .issuer_key = low_key });
	other = pki_make(&(struct pki_spec){ .cn = "other.test", .key = other_key, .names = "DNS:other.test" });
	pki_pem(leaf, &leaf_pem);
	str_add(&chain_pem, leaf_pem.s);
	pki_pem(low, &chain_pem);
	pki_pem(middle, &chain_pem);
	return 0;
}

static int
unmake(void **state)
{
	(void)state;
	X509_free(root);
	X509_free(middle);
	X509_free(low);
	X509_free(leaf);
	X509_free(other);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(low_key);
	EVP_PKEY_free(leaf_key);
	EVP_PKEY_free(other_key);
	str_release(&leaf_pem);
	str_release(&chain_pem);
	return 0;
}

static void
gives(const char *what, const void *mem, size_t len, const char *spki, const char *want)
{
	struct certificate c = { .id = 0 };
	struct err e = { .code = RC_OK };

	if (cert_read(mem, len, spki, &c, &e) != 0)
		fail_msg("%s: %s", what, e.text);
	if (strcmp(c.cn, "mail.a.test") != 0)
		fail_msg("%s: took %s", what, c.cn);
	if (strcmp(c.pem, want) != 0)
		fail_msg("%s: gave\n%s\nnot\n%s", what, c.pem, want);
	certificate_release(&c);
}

static void
refuses(const char *what, const void *mem, size_t len, const char *spki, enum err_code code, const char *says)
{
	struct certificate c = { .id = 0 };
	struct err e = { .code = RC_OK };

	if (cert_read(mem, len, spki, &c, &e) == 0)
		fail_msg("%s was taken", what);
	if (e.code != code || strstr(e.text, says) == NULL)
		fail_msg("%s: %s: %s", what, err_name(e.code), e.text);
	certificate_release(&c);
}

/* --- forms --- */

static void
pem_of(X509 *const *list, size_t n, struct str *out)
{
	size_t i;

	str_reset(out);
	for (i = 0; i < n; i++)
		pki_pem(list[i], out);
}

static void
utf16(const char *text, bool little, struct str *out)
{
	str_reset(out);
	str_addn(out, little ? "\xff\xfe" : "\xfe\xff", 2);
	for (; *text != '\0'; text++) {
		if (!little)
			str_addc(out, '\0');
		str_addc(out, *text);
		if (little)
			str_addc(out, '\0');
	}
}

/* Each line changed: put behind every newline, or in place of it. */
static void
with_lines(const char *text, const char *newline, struct str *out)
{
	str_reset(out);
	for (; *text != '\0'; text++)
		if (*text == '\n')
			str_add(out, newline);
		else
			str_addc(out, *text);
}

static void
forms(void **state)
{
	X509 *all[] = { leaf, low, middle, root }, *reversed[] = { root, middle, low, leaf };
	X509 *mixed[] = { low, other, leaf, root, low, middle, leaf };
	struct str s = STR_INIT, t = STR_INIT;
	char spki[65];
	char *bare, *p;

	(void)state;
	pki_spki(leaf_key, spki);
	gives("PEM, alone", leaf_pem.s, leaf_pem.len, NULL, leaf_pem.s);
	gives("PEM, chain", chain_pem.s, chain_pem.len, NULL, chain_pem.s);
	pem_of(all, 4, &s);
	gives("PEM with root", s.s, s.len, NULL, chain_pem.s);
	pem_of(reversed, 4, &s);
	gives("PEM, reversed", s.s, s.len, NULL, chain_pem.s);
	gives("PEM, reversed, by key", s.s, s.len, spki, chain_pem.s);
	pem_of(mixed, 7, &s);
	gives("PEM, doubles and a stranger, by key", s.s, s.len, spki, chain_pem.s);
	pki_der(leaf, (str_reset(&s), &s));
	gives("DER", s.s, s.len, NULL, leaf_pem.s);
	pki_der(low, &s);
	pki_der(middle, &s);
	gives("DER, end to end", s.s, s.len, NULL, chain_pem.s);
	str_add(&s, "\r\n");
	gives("DER, newline behind", s.s, s.len, NULL, chain_pem.s);
	pki_p7(reversed, 4, 1, (str_reset(&s), &s));
	gives("PKCS#7 PEM", s.s, s.len, NULL, chain_pem.s);
	with_lines(s.s, "\r\n", &t);
	gives("PKCS#7 PEM, CRLF", t.s, t.len, spki, chain_pem.s);
	pki_p7(reversed, 4, 0, (str_reset(&s), &s));
	gives("PKCS#7 DER", s.s, s.len, NULL, chain_pem.s);
	gives("PKCS#7 DER, by key", s.s, s.len, spki, chain_pem.s);
	str_reset(&t);
	str_add(&t, "-----BEGIN CERTIFICATE-----\n");
	base64_encode(s.s, s.len, &t);
	str_add(&t, "\n-----END CERTIFICATE-----\n");
	gives("PKCS#7 under the label of a certificate, one long line", t.s, t.len, NULL, chain_pem.s);
	with_lines(chain_pem.s, "\r\n", &t);
	gives("CRLF", t.s, t.len, NULL, chain_pem.s);
	with_lines(chain_pem.s, "\r", &t);
	gives("CR", t.s, t.len, NULL, chain_pem.s);
	with_lines(chain_pem.s, "\n\n    ", &t);
	gives("indented, blank lines", t.s, t.len, NULL, chain_pem.s);
	with_lines(chain_pem.s, "  \t\n", &t);
	gives("blanks at line ends", t.s, t.len, NULL, chain_pem.s);
	str_reset(&t);
	str_addf(&t, "\xef\xbb\xbf%s", chain_pem.s);
	gives("byte order mark", t.s, t.len, NULL, chain_pem.s);
	utf16(chain_pem.s, true, &t);
	gives("UTF-16, little", t.s, t.len, NULL, chain_pem.s);
	utf16(chain_pem.s, false, &t);
	gives("UTF-16, big", t.s, t.len, NULL, chain_pem.s);
	str_reset(&t);
	str_addf(&t, "Dear customer,\n-----BEGIN of the answer\nhere it is --- enjoy:\n\n%s\nsubject=CN=x\n%s-- \nYour CA\n",
	    leaf_pem.s, chain_pem.s + leaf_pem.len);
	gives("text around", t.s, t.len, NULL, chain_pem.s);
	str_reset(&t);
	str_addf(&t, "%s-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
	    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", chain_pem.s);
	gives("a key behind", t.s, t.len, NULL, chain_pem.s);
	str_reset(&t);
	str_addf(&t, "%s-----BEGIN CERTIFICATE-----\nMIIB", chain_pem.s);
	refuses("a chain that was cut off", t.s, t.len, NULL, RC_PARSE, "cut off");
	/* bare base64 */
	bare = strchr(leaf_pem.s, '\n') + 1;
	str_reset(&t);
	str_add(&t, bare);
	p = strstr(t.s, "-----");
	str_cut(&t, (size_t)(p - t.s));
	gives("bare base64", t.s, t.len, NULL, leaf_pem.s);
	str_release(&s);
	str_release(&t);
}

static void
not_certificates(void **state)
{
	static const char request_start[] = "-----BEGIN CERTIFICATE-----\n";
	X509_REQ *req = pki_request(leaf_key, "mail.a.test", NULL);
	struct str s = STR_INIT, big = STR_INIT;
	X509 *many[17];
	char spki[65];
	int i;

	(void)state;
	refuses("nothing", "", 0, NULL, RC_PARSE, "empty");
	refuses("text", "hello world", 11, NULL, RC_PARSE, "no certificate");
	refuses("html", "<html>0</html>", 14, NULL, RC_PARSE, "no certificate");
	refuses("zeros", "\0\0\0\0", 4, NULL, RC_PARSE, "no certificate");
	refuses("half a DER", "\x30\x82\x04\x00\x30", 5, NULL, RC_PARSE, "cut off");
	refuses("begin only", request_start, sizeof(request_start) - 1, NULL, RC_PARSE, "cut off");
	refuses("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 57, NULL, RC_PARSE, "only a key");
	pki_request_pem(req, &s);
	refuses("the request", s.s, s.len, NULL, RC_PARSE, "request");
	str_reset(&s);
	str_add(&s, "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
	refuses("no base64", s.s, s.len, NULL, RC_PARSE, "damaged");
	str_reset(&s);
	str_add(&s, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	refuses("no certificate inside", s.s, s.len, NULL, RC_PARSE, "damaged");
	str_reset(&s);
	pki_der(leaf, &s);
	refuses("cut DER", s.s, s.len - 1, NULL, RC_PARSE, "cut off");
	str_addc(&s, 'x');
	refuses("rubbish behind DER", s.s, s.len, NULL, RC_PARSE, "damaged");
	pki_spki(other_key, spki);
	gives("a key that none has", chain_pem.s, chain_pem.len, spki, chain_pem.s);
	for (i = 0; i < 70000; i++)
		str_add(&big, "0123456789abcde\n");
	refuses("too big", big.s, big.len, NULL, RC_LIMIT, "bytes");
	str_reset(&s);
	for (i = 0; i < 17; i++) {
		many[i] = pki_make(&(struct pki_spec){ .cn = "many", .key = other_key });
		pki_pem(many[i], &s);
		if (i == 15) {
			struct certificate c = { .id = 0 };

			assert_int_equal(cert_read(s.s, s.len, NULL, &c, NULL), 0);
			certificate_release(&c);
		}
	}
	refuses("17 certificates", s.s, s.len, NULL, RC_LIMIT, "more than 16");
	str_reset(&s);
	pki_p7(many, 17, 0, &s);
	refuses("17 certificates in PKCS#7", s.s, s.len, NULL, RC_LIMIT, "more than 16");
	for (i = 0; i < 17; i++)
		X509_free(many[i]);
	str_reset(&s);
	pki_p7(NULL, 0, 0, &s);
	refuses("empty PKCS#7", s.s, s.len, NULL, RC_PARSE, "no certificate");
	str_reset(&s);
	for (i = 0; i < 300; i++)
		str_add(&s, "-----BEGIN X-----\nAAAA\n-----END X-----\n");
	refuses("300 blocks", s.s, s.len, NULL, RC_LIMIT, "blocks");
	X509_REQ_free(req);
	str_release(&s);
	str_release(&big);
}

/* --- choosing --- */

static void
renewal_with_the_same_key(void **state)
{
	X509 *later = pki_make(&(struct pki_spec){ .cn = "mail.a.test", .key = leaf_key, .names = "DNS:new.a.test",
	    .until = PKI_NOW + 400 * PKI_DAY, .issuer = low, .issuer_key = low_key });
	X509 *lists[][4] = { { leaf, later, low, middle }, { middle, later, low, leaf } };
	struct certificate c = { .id = 0 };
	struct str s = STR_INIT;
	char spki[65];
	size_t i;

	(void)state;
	pki_spki(leaf_key, spki);
	for (i = 0; i < 2; i++) {
		pem_of(lists[i], 4, &s);
		assert_int_equal(cert_read(s.s, s.len, spki, &c, NULL), 0);
		assert_string_equal(c.san, "new.a.test");
	}
	X509_free(later);
	certificate_release(&c);
	str_release(&s);
}

/* The root exists twice: by itself, and signed by an older root. The second is kept in the chain. */
static void
cross_signed_root(void **state)
{
	EVP_PKEY *old_key = pki_key("P-256");
	X509 *old = pki_make(&(struct pki_spec){ .cn = "Old Root", .key = old_key, .constraints = "critical,CA:TRUE" });
	X509 *cross = pki_make(&(struct pki_spec){ .cn = "Root", .key = root_key, .constraints = "critical,CA:TRUE", .issuer = old,
	    .issuer_key = old_key });
	X509 *list[] = { root, old, cross, middle, low, leaf };
	struct cert_line_list lines = { .v = NULL };
	struct certificate c = { .id = 0 };
	struct str s = STR_INIT;

	(void)state;
	pem_of(list, 6, &s);
	assert_int_equal(cert_read(s.s, s.len, NULL, &c, NULL), 0);
	assert_int_equal(cert_chain_lines(c.pem, &lines, NULL), 0);
	assert_int_equal(lines.n, 4);
	assert_string_equal(lines.v[3].subject, "CN=Root");
	assert_string_equal(lines.v[3].issuer, "CN=Old Root");
	cert_line_list_release(&lines);
	certificate_release(&c);
	str_release(&s);
	X509_free(old);
	X509_free(cross);
	EVP_PKEY_free(old_key);
}

/* Two roots of the same name: only the one whose key signed belongs to the chain. */
static void
namesakes(void **state)
{
	EVP_PKEY *false_key = pki_key("P-256");
	X509 *impostor = pki_make(&(struct pki_spec){ .cn = "Low", .key = false_key, .constraints = "critical,CA:TRUE",
	    .issuer = middle, .issuer_key = middle_key });
	X509 *list[] = { impostor, leaf, low, middle };
	struct str s = STR_INIT;

	(void)state;
	pem_of(list, 4, &s);
	gives("impostor first", s.s, s.len, NULL, chain_pem.s);
	str_release(&s);
	X509_free(impostor);
	EVP_PKEY_free(false_key);
}

/* A ring of certificates that sign each other must not be walked for ever. */
static void
ring(void **state)
{
	EVP_PKEY *ka = pki_key("P-256"), *kb = pki_key("P-256");
	X509 *b0 = pki_make(&(struct pki_spec){ .cn = "B", .key = kb, .constraints = "critical,CA:TRUE" });
	X509 *a = pki_make(&(struct pki_spec){ .cn = "A", .key = ka, .constraints = "critical,CA:TRUE", .issuer = b0, .issuer_key = kb });
	X509 *b = pki_make(&(struct pki_spec){ .cn = "B", .key = kb, .constraints = "critical,CA:TRUE", .issuer = a, .issuer_key = ka });
	X509 *list[] = { a, b };
	struct certificate c = { .id = 0 };
	struct str s = STR_INIT;

	(void)state;
	pem_of(list, 2, &s);
	assert_int_equal(cert_read(s.s, s.len, NULL, &c, NULL), 0);
	certificate_release(&c);
	str_release(&s);
	X509_free(a);
	X509_free(b);
	X509_free(b0);
	EVP_PKEY_free(ka);
	EVP_PKEY_free(kb);
}

/* --- what is in it --- */

static void
description(void **state)
{
	struct certificate c = { .id = 0 };
	struct cert_line_list lines = { .v = NULL };
	char spki[65], sha[65];
	struct str der = STR_INIT;

	(void)state;
	assert_int_equal(cert_read(chain_pem.s, chain_pem.len, NULL, &c, NULL), 0);
	assert_string_equal(c.subject, "CN=mail.a.test");
	assert_string_equal(c.issuer, "CN=Low");
	assert_string_equal(c.cn, "mail.a.test");
	assert_string_equal(c.san, "mail.a.test mx.a.test 192.0.2.1 2001:db8::1");
	assert_true(c.not_before == PKI_NOW - PKI_DAY && c.not_after == PKI_NOW + 90 * PKI_DAY);
	assert_string_equal(c.key_type, "EC");
	assert_int_equal(c.key_bits, 256);
	pki_spki(leaf_key, spki);
	assert_string_equal(c.spki_sha256, spki);
	pki_der(leaf, &der);
	sha256_hex(der.s, der.len, sha);
	assert_string_equal(c.sha256, sha);
	assert_int_equal(strlen(c.serial), 4);
	assert_int_equal(cert_chain_lines(c.pem, &lines, NULL), 0);
	assert_int_equal(lines.n, 3);
	assert_string_equal(lines.v[1].subject, "CN=Low");
	assert_true(lines.v[1].is_ca && !lines.v[1].self_signed && !lines.v[0].is_ca);
	assert_string_equal(lines.v[0].sha256, sha);
	cert_line_list_release(&lines);
	/* the first one only */
	assert_int_equal(cert_describe(chain_pem.s, &c, NULL), 0);
	assert_string_equal(c.pem, leaf_pem.s);
	certificate_release(&c);
	assert_int_equal(cert_describe(NULL, &c, NULL), -1);
	assert_int_equal(cert_describe("", &c, NULL), -1);
	assert_int_equal(cert_chain_lines(NULL, &lines, NULL), -1);
	str_release(&der);
}

/* Names made to deceive: text is cleaned, and a name with a blank or a zero byte is none. */
static void
hostile_names(void **state)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_NAME_new();
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	static const struct { const char *text; int len; } dns[] = { { "good.test", 9 }, { "evil.test\0.good.test", 20 },
		{ "a.test b.test", 13 }, { "\033[2J", 4 }, { "caf\xc3\xa9.test", 10 }, { "", 0 }, { "*.good.test", 11 } };
	struct certificate c = { .id = 0 };
	struct str pem = STR_INIT;
	size_t i;

	(void)state;
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *)"a\0b\033[31m\xe2\x80\xae" "c", 12,
	    -1, 0);
	X509_NAME_add_entry_by_NID(name, NID_organizationName, V_ASN1_BMPSTRING, (const unsigned char *)"\0B\0\xfc", 4, -1, 0);
	X509_set_subject_name(x, name);
	X509_set_issuer_name(x, name);
	for (i = 0; i < sizeof(dns) / sizeof(dns[0]); i++) {
		GENERAL_NAME *g = GENERAL_NAME_new();
		ASN1_IA5STRING *value = ASN1_IA5STRING_new();

		ASN1_STRING_set(value, dns[i].text, dns[i].len);
		GENERAL_NAME_set0_value(g, GEN_DNS, value);
		sk_GENERAL_NAME_push(names, g);
	}
	X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, leaf_key);
	X509_sign(x, leaf_key, EVP_sha256());
	pki_pem(x, &pem);
	assert_int_equal(cert_read(pem.s, pem.len, NULL, &c, NULL), 0);
	assert_string_equal(c.cn, "a<00>b<1B>[31m<U+202E>c");
	assert_string_equal(c.san, "good.test *.good.test");
	assert_non_null(strstr(c.subject, "O=B\xc3\xbc"));
	assert_null(strchr(c.subject, '\033'));
	assert_null(strstr(c.subject, "\xe2\x80\xae"));
	certificate_release(&c);
	str_release(&pem);
	GENERAL_NAMES_free(names);
	X509_NAME_free(name);
	X509_free(x);
}

/* Every byte of a good answer changed in turn: refused or described, nothing else. */
static void
every_byte(void **state)
{
	struct certificate c = { .id = 0 };
	struct str der = STR_INIT;
	struct err e;
	size_t i;

	(void)state;
	pki_p7((X509 *[]){ leaf, low }, 2, 0, &der);
	for (i = 0; i < der.len; i++) {
		der.s[i] ^= 0x55;
		(void)cert_read(der.s, der.len, NULL, &c, &e);
		der.s[i] ^= 0x55;
	}
	assert_int_equal(cert_read(der.s, der.len, NULL, &c, &e), 0);
	certificate_release(&c);
	str_release(&der);
}

/* --- what a mail host trusts --- */

/* What OpenSSL itself says of a file of authorities. */
static bool
host_takes(const char *dir, const char *text)
{
	char *path = xasprintf("%s/bundle.pem", dir);
	X509_STORE *store = X509_STORE_new();
	bool ok;

	pki_save(dir, "bundle.pem", text, strlen(text));
	ok = X509_STORE_load_locations(store, path, NULL) == 1;
	ERR_clear_error();
	X509_STORE_free(store);
	free(path);
	return ok;
}

/* From the nth occurrence of a text on, cut out or replaced. */
static char *
damaged(const char *text, const char *what, int nth, const char *by)
{
	const char *at = text;

	for (at = strstr(at, what); nth > 1; nth--)
		at = strstr(at + 1, what);
	return xasprintf("%.*s%s%s", (int)(at - text), text, by, at + strlen(what));
}

static void
a_bundle_is_taken_or_not(void **state)
{
	static const struct { const char *what; int nth; const char *by, *says; } cases[] = {
		{ "-----BEGIN CERTIFICATE-----", 1, "some words\n-----BEGIN CERTIFICATE-----", NULL },
		{ "CERTIFICATE-----\nMI", 2, "CERTIFICATE-----\n!!", "block 2 of it, at line " },
		{ "CERTIFICATE-----\nMI", 1, "CERTIFICATE-----\nAA", "block 1 of it, at line 1, is damaged (" },
		{ "-----BEGIN", 2, "-----BEGN", NULL },            /* then it is only text */
		{ "-----END CERTIFICATE-----\n", 2, "", NULL },      /* takes the next one along */
		{ "-----END CERTIFICATE-----", 2, "", "block 2 of it, at line " },
		{ "-----END CERTIFICATE-----\n", 3, "", "block 3 of it, at line " },
		{ "-----BEGIN CERTIFICATE-----", 2, "-----BEGIN X-----\nAAAA\n-----END X-----\n-----BEGIN CERTIFICATE-----", NULL } };
	char *dir = fixture_dir(), *text;
	struct err e;
	size_t i;

	(void)state;
	assert_true(host_takes(dir, chain_pem.s));
	assert_int_equal(cert_bundle_check(chain_pem.s, &e), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text = damaged(chain_pem.s, cases[i].what, cases[i].nth, cases[i].by);
		assert_int_equal(cert_bundle_check(text, &e) == 0, host_takes(dir, text));
		assert_int_equal(cert_bundle_check(text, &e), cases[i].says != NULL ? -1 : 0);
		if (cases[i].says != NULL)
			if (strstr(e.text, cases[i].says) == NULL)
				fail_msg("%zu: %s", i, e.text);
		free(text);
	}
	assert_int_equal(cert_bundle_check("", &e), -1);
	assert_string_equal(e.text, "there is no certificate in it");
	assert_false(host_takes(dir, ""));
	text = xstrdup(chain_pem.s);
	for (i = 0; i < strlen(text); i += 37) {                /* wherever it is hit */
		char was = text[i];

		text[i] = i % 2 == 0 ? '!' : 'A';
		assert_int_equal(cert_bundle_check(text, &e) == 0, host_takes(dir, text));
		text[i] = was;
	}
	free(text);
	fixture_remove(dir);
	free(dir);
}

static void
a_folder_is_taken_file_by_file(void **state)
{
	char *root_text, *bad, *all;
	struct str root_pem = STR_INIT, said = STR_INIT;
	struct cert_verdict v;

	(void)state;
	pki_pem(root, &root_pem);
	bad = damaged(leaf_pem.s, "CERTIFICATE-----\nMI", 1, "CERTIFICATE-----\n!!");
	root_text = xasprintf("==> /etc/ssl/certs/0a.0 <==\n%s\n==> /etc/ssl/certs/0b.0 <==\n%s\n==> /etc/ssl/certs/0c.0 <==\n%s", leaf_pem.s, bad,
	    root_pem.s);
	cert_folder_damage(root_text, &said);
	assert_true(text_starts(said.s, "/etc/ssl/certs/0b.0 is damaged ("));
	assert_non_null(strstr(said.s, "): who is in it is not trusted\n"));
	assert_null(strstr(said.s, "0a.0"));
	cert_verify_by(chain_pem.s, "mail.a.test", root_text, PKI_NOW, &v);
	assert_true(v.trusted);

	/* up to its damage a file counts, after it it does not */
	all = xasprintf("==> /etc/ssl/certs/0b.0 <==\n%s%s", bad, root_pem.s);
	cert_verify_by(chain_pem.s, "mail.a.test", all, PKI_NOW, &v);
	assert_false(v.trusted);
	free(all);
	all = xasprintf("==> /etc/ssl/certs/0b.0 <==\n%s%s", root_pem.s, bad);
	cert_verify_by(chain_pem.s, "mail.a.test", all, PKI_NOW, &v);
	assert_true(v.trusted);
	cert_verify_by(chain_pem.s, "mail.a.test", NULL, PKI_NOW, &v);
	assert_false(v.trusted);
	free(all);
	free(bad);
	free(root_text);
	str_release(&root_pem);
	str_release(&said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(not_certificates),
		cmocka_unit_test(renewal_with_the_same_key),
		cmocka_unit_test(cross_signed_root),
		cmocka_unit_test(namesakes),
		cmocka_unit_test(ring),
		cmocka_unit_test(description),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(a_bundle_is_taken_or_not),
		cmocka_unit_test(a_folder_is_taken_file_by_file),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
