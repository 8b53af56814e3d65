/* The own authority: what it issues is verified by openssl, serves a handshake for its names, and what it must not sign it
 * does not sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "mxseal/authority.h"
#include "support/fixture.h"
#include "support/pki.h"

static char *dir;
static struct secret pass = { NULL, 0 };
static struct authority ours;

#define WISH(a, b, k, d) (&(struct authority_wish){ .name = (a), .cn = (b), .kind = (k), .days = (d) })

static int
make(void **state)
{
	(void)state;
	dir = fixture_dir();
	secret_set(&pass, "passphrase", 10);
	return dir == NULL || authority_make(WISH("corp", "Bank Mail CA", KEY_EC_P256, 3650), &pass, PKI_NOW, &ours, NULL);
}

static int
unmake(void **state)
{
	(void)state;
	authority_release(&ours);
	secret_release(&pass);
	fixture_remove(dir);
	free(dir);
	return 0;
}

static void
has(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("no \"%s\" in:\n%s", what, text);
}

static void
request_pem(EVP_PKEY *key, const char *cn, const char *names, struct str *out)
{
	X509_REQ *req = pki_request(key, cn, names);

	str_reset(out);
	pki_request_pem(req, out);
	X509_REQ_free(req);
}

/* --- the root --- */

static void
roots_of_each_key(void **state)
{
	static const struct { enum key_kind kind; const char *shown, *signature; } rows[] = {
		{ KEY_EC_P256, "NIST CURVE: P-256", "ecdsa-with-SHA256" },
		{ KEY_EC_P384, "NIST CURVE: P-384", "ecdsa-with-SHA384" },
		{ KEY_RSA_2048, "Public-Key: (2048 bit)", "sha256WithRSAEncryption" },
	};
	struct authority a = { .id = 0 };
	struct str shown = STR_INIT;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (authority_make(WISH("a", "Bank, \"Mail\" S\xc3\xb6hne CA", rows[i].kind, 3650), &pass, PKI_NOW, &a, &e) != 0)
			fail_msg("%s", e.text);
		assert_string_equal(a.name, "a");
		assert_string_equal(a.kind, "own");
		assert_string_equal(a.policy, "always");
		assert_true(a.not_after == PKI_NOW + 3650 * INT64_C(86400));
		assert_int_equal(a.days, 365);
		assert_null(strstr(a.sealed_key, "PRIVATE"));
		pki_save(dir, "ca.pem", a.pem, strlen(a.pem));
		str_reset(&shown);
		assert_int_equal(pki_run(dir, &shown, "openssl x509 -in ca.pem -noout -text -nameopt utf8,sep_comma_plus_space"), 0);
		has(shown.s, "Version: 3");
		has(shown.s, rows[i].shown);
		has(shown.s, rows[i].signature);
		has(shown.s, "Bank, \"Mail\" S\xc3\xb6hne CA");
		has(shown.s, "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:1\n");
		has(shown.s, "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n");
		has(shown.s, "X509v3 Subject Key Identifier");
		assert_int_equal(pki_run(dir, NULL, "openssl verify -attime %lld -check_ss_sig -x509_strict -CAfile ca.pem ca.pem",
		    (long long)PKI_NOW), 0);
		authority_release(&a);
		memset(&a, 0, sizeof(a));
	}
	str_release(&shown);
}

static void
roots_refused(void **state)
{
	struct secret none = { NULL, 0 };
	struct authority a = { .id = 0 };
	struct err e;

	(void)state;
	assert_int_equal(authority_make(WISH("a", "", KEY_EC_P256, 3650), &pass, PKI_NOW, &a, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(authority_make(WISH("a", "A\nB", KEY_EC_P256, 3650), &pass, PKI_NOW, &a, &e), -1);
	assert_int_equal(authority_make(WISH("a", "A", KEY_EC_P256, 0), &pass, PKI_NOW, &a, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(authority_make(WISH("a", "A", KEY_EC_P256, 36501), &pass, PKI_NOW, &a, &e), -1);
	assert_int_equal(authority_make(WISH("a", "A", KEY_EC_P256, 3650), &none, PKI_NOW, &a, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	assert_null(a.pem);
	assert_null(a.sealed_key);
}

/* --- issuing --- */

/* A request made by us with a key that the openssl program holds, all the way to a certificate that fits. */
static void
whole_way(void **state)
{
	struct subject s = { .cn = (char []){ "mail.bank.test" }, .o = (char []){ "Bank, Inc." }, .c = (char []){ "DE" },
		.san = (char []){ "mx.bank.test 192.0.2.1 2001:db8::1" } };
	struct str public_pem = STR_INIT, tbs = STR_INIT, signature = STR_INIT, csr = STR_INIT, pem = STR_INIT, shown = STR_INIT;
	struct request request = { .id = 0 };
	struct certificate c = { .id = 0 };
	struct issued row = { .id = 0 };
	struct cert_verdict v;
	struct err e;

	(void)state;
	pki_save(dir, "ca.pem", ours.pem, strlen(ours.pem));
	assert_int_equal(pki_run(dir, NULL, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem"), 0);
	assert_int_equal(pki_run(dir, &public_pem, "openssl pkey -in key.pem -pubout"), 0);
	assert_int_equal(csr_to_sign(&s, public_pem.s, &tbs, &e), 0);
	pki_save(dir, "tbs", tbs.s, tbs.len);
	assert_int_equal(pki_run(dir, &signature, "openssl dgst -sha256 -sign key.pem tbs"), 0);
	assert_int_equal(csr_finish(&tbs, public_pem.s, signature.s, signature.len, &csr, &e), 0);
	assert_int_equal(csr_read(csr.s, csr.len, &request, &e), 0);
	ours.id = 77;
	if (authority_issue(&ours, &pass, csr.s, PKI_NOW, &pem, &row, &e) != 0)
		fail_msg("%s", e.text);

	assert_int_equal(row.authority, 77);
	assert_int_equal(row.at, PKI_NOW);
	assert_true(row.not_after == PKI_NOW + 365 * INT64_C(86400));
	assert_int_equal(strlen(row.serial), 32);
	assert_string_equal(row.subject, "CN=mail.bank.test, O=Bank\\, Inc., C=DE");

	assert_int_equal(cert_read(pem.s, pem.len, request.spki_sha256, &c, &e), 0);
	assert_string_equal(c.san, "mail.bank.test mx.bank.test 192.0.2.1 2001:db8::1");
	assert_string_equal(c.sha256, row.sha256);
	assert_string_equal(c.issuer, "CN=Bank Mail CA");
	assert_true(c.not_before == PKI_NOW - 300);
	if (cert_fits(&c, request.spki_sha256, request.subject.san, ours.pem, PKI_NOW, &shown, &e) != 0)
		fail_msg("%s", e.text);
	assert_string_equal(shown.s, "");
	cert_verify(c.pem, "mx.bank.test", ours.pem, PKI_NOW, &v);
	assert_true(v.trusted && v.name_ok && v.in_time);

	pki_save(dir, "leaf.pem", row.pem, strlen(row.pem));
	assert_int_equal(pki_run(dir, &shown, "for n in mail mx; do openssl verify -attime %lld -x509_strict -purpose sslserver"
	    " -verify_hostname $n.bank.test -CAfile ca.pem leaf.pem || exit 1; done", (long long)PKI_NOW), 0);
	assert_int_equal(pki_run(dir, NULL, "openssl verify -attime %lld -verify_ip 2001:db8::1 -CAfile ca.pem leaf.pem",
	    (long long)PKI_NOW), 0);
	assert_int_not_equal(pki_run(dir, NULL, "openssl verify -attime %lld -verify_hostname web.bank.test -CAfile ca.pem leaf.pem",
	    (long long)PKI_NOW), 0);
	str_reset(&shown);
	assert_int_equal(pki_run(dir, &shown, "openssl x509 -in leaf.pem -noout -text"), 0);
	has(shown.s, "X509v3 Basic Constraints: critical\n                CA:FALSE\n");
	has(shown.s, "X509v3 Key Usage: critical\n                Digital Signature\n");
	has(shown.s, "TLS Web Server Authentication\n");
	has(shown.s, "X509v3 Authority Key Identifier");
	request_release(&request);
	certificate_release(&c);
	issued_release(&row);
	str_release(&public_pem);
	str_release(&tbs);
	str_release(&signature);
	str_release(&csr);
	str_release(&pem);
	str_release(&shown);
}

/* What a request asks for beyond its names is ignored: it must not become an authority. */
static void
only_names_are_taken_over(void **state)
{
	struct str csr = STR_INIT, pem = STR_INIT, shown = STR_INIT;
	struct issued row = { .id = 0 };
	struct err e;

	(void)state;
	assert_int_equal(pki_run(dir, NULL, "printf '[req]\\nprompt=no\\ndistinguished_name=d\\nreq_extensions=x\\n[d]\\nCN=evil.test\\n"
	    "emailAddress=a@evil.test\\n[x]\\nbasicConstraints=critical,CA:TRUE\\nkeyUsage=keyCertSign\\n"
	    "extendedKeyUsage=codeSigning\\nsubjectAltName=DNS:evil.test,email:x@bank.test,URI:http://x,DNS:evil.test\\n"
	    "nsComment=hello\\n' > c && openssl req -new -newkey rsa:2048 -nodes -keyout k -config c -out r.pem"), 0);
	assert_int_equal(pki_run(dir, &csr, "cat r.pem"), 0);
	if (authority_issue(&ours, &pass, csr.s, PKI_NOW, &pem, &row, &e) != 0)
		fail_msg("%s", e.text);
	pki_save(dir, "leaf.pem", row.pem, strlen(row.pem));
	assert_int_equal(pki_run(dir, &shown, "openssl x509 -in leaf.pem -noout -text"), 0);
	has(shown.s, "CA:FALSE");
	has(shown.s, "Digital Signature, Key Encipherment\n");
	has(shown.s, "TLS Web Server Authentication\n");
	has(shown.s, "                DNS:evil.test\n");
	has(shown.s, "Subject: CN = evil.test\n");
	assert_null(strstr(shown.s, "Code Signing"));
	assert_null(strstr(shown.s, "Comment"));
	assert_null(strstr(shown.s, "bank.test"));
	issued_release(&row);
	str_release(&csr);
	str_release(&pem);
	str_release(&shown);
}

static void
refused(const char *what, const struct authority *a, const struct secret *p, const char *csr, int64_t now, enum err_code code,
    const char *says)
{
	struct str pem = STR_INIT;
	struct issued row = { .id = 0 };
	struct err e = { .code = RC_OK };

	if (authority_issue(a, p, csr, now, &pem, &row, &e) == 0)
		fail_msg("%s was signed", what);
	if (e.code != code || strstr(e.text, says) == NULL)
		fail_msg("%s: %s: %s", what, err_name(e.code), e.text);
	assert_int_equal(pem.len, 0);
	/* what has nothing to do with the request is known before there is one */
	if (code == RC_PASSPHRASE && (authority_opens(a, p, now, &e) != -1 || e.code != code))
		fail_msg("%s: it opens", what);
	issued_release(&row);
	str_release(&pem);
}

static void
refusals(void **state)
{
	EVP_PKEY *key = pki_key("P-256"), *weak = pki_key("RSA1024"), *ed = pki_key("ED25519");
	struct str csr = STR_INIT, s = STR_INIT, stranger_pem = STR_INIT;
	struct secret none = { NULL, 0 }, wrong = { NULL, 0 };
	X509 *stranger = pki_make(&(struct pki_spec){ .cn = "S", .key = key, .constraints = "critical,CA:TRUE" });
	X509 *server = pki_make(&(struct pki_spec){ .cn = "S", .key = key });
	struct authority a = ours;
	char *at;

	(void)state;
	secret_set(&wrong, "passphrasf", 10);
	request_pem(key, "mail.bank.test", NULL, &csr);
	refused("wrong passphrase", &ours, &wrong, csr.s, PKI_NOW, RC_PASSPHRASE, "passphrase is wrong");
	refused("no passphrase", &ours, &none, csr.s, PKI_NOW, RC_PASSPHRASE, "needed");
	refused("after its end", &ours, &pass, csr.s, PKI_NOW + 3651 * INT64_C(86400), RC_CERT, "expired");
	refused("before its time", &ours, &pass, csr.s, PKI_NOW - 86400, RC_CERT, "not valid yet");
	refused("no request", &ours, &pass, "hello", PKI_NOW, RC_PARSE, "no certificate request");
	refused("NULL", &ours, &pass, NULL, PKI_NOW, RC_PARSE, "no certificate request");
	refused("a certificate", &ours, &pass, ours.pem, PKI_NOW, RC_PARSE, "no certificate request");
	pki_pem(stranger, &stranger_pem);
	a.pem = stranger_pem.s;
	refused("key of another", &a, &pass, csr.s, PKI_NOW, RC_CERT, "does not belong");
	str_reset(&stranger_pem);
	pki_pem(server, &stranger_pem);
	a.pem = stranger_pem.s;
	refused("no authority", &a, &pass, csr.s, PKI_NOW, RC_CERT, "not an authority");
	a = ours;
	a.sealed_key = (char []){ "mxseal1$x" };
	refused("damaged key", &a, &pass, csr.s, PKI_NOW, RC_PARSE, "damaged");
	a.sealed_key = NULL;
	refused("no key", &a, &pass, csr.s, PKI_NOW, RC_PARSE, "not a sealed secret");
	/* a bit of the signature */
	str_add(&s, csr.s);
	at = strstr(s.s, "-----END") - 20;
	*at = *at == 'A' ? 'B' : 'A';
	refused("bad signature", &ours, &pass, s.s, PKI_NOW, RC_CERT, "signature of the request is wrong");
	request_pem(weak, "mail.bank.test", NULL, &csr);
	refused("weak key", &ours, &pass, csr.s, PKI_NOW, RC_CERT, "RSA 1024");
	request_pem(ed, "mail.bank.test", NULL, &csr);
	refused("unsupported key", &ours, &pass, csr.s, PKI_NOW, RC_CERT, "ED25519");
	request_pem(key, "The Bank", NULL, &csr);
	refused("no names", &ours, &pass, csr.s, PKI_NOW, RC_INVALID, "no host name");
	request_pem(key, NULL, NULL, &csr);
	refused("nothing at all", &ours, &pass, csr.s, PKI_NOW, RC_INVALID, "common name is missing");
	request_pem(key, "mail.bank.test", "DNS:*.test", &csr);
	refused("a wildcard too wide", &ours, &pass, csr.s, PKI_NOW, RC_INVALID, "too wide");
	request_pem(key, "mail.bank.test", "DNS:a_b.test", &csr);
	refused("no host name", &ours, &pass, csr.s, PKI_NOW, RC_INVALID, "no host name may have");
	X509_free(stranger);
	X509_free(server);
	EVP_PKEY_free(key);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(ed);
	secret_release(&wrong);
	str_release(&csr);
	str_release(&s);
	str_release(&stranger_pem);
}

/* Nothing it issues lives longer than itself, or begins before it. */
static void
within_its_own_life(void **state)
{
	static const struct { int days; int64_t now, from, until; } rows[] = {
		{ 90, PKI_NOW, PKI_NOW - 300, PKI_NOW + 90 * PKI_DAY },
		{ 0, PKI_NOW + 1000, PKI_NOW + 700, PKI_NOW + 1000 + 365 * PKI_DAY },
		{ 365, PKI_NOW + 3600 * PKI_DAY, PKI_NOW + 3600 * PKI_DAY - 300, PKI_NOW + 3650 * INT64_C(86400) },
		{ 90, PKI_NOW - 200, PKI_NOW - 300, PKI_NOW - 200 + 90 * PKI_DAY },
	};
	EVP_PKEY *key = pki_key("P-256");
	struct str csr = STR_INIT, pem = STR_INIT;
	struct certificate c = { .id = 0 };
	struct authority a = ours;
	struct err e;
	size_t i;

	(void)state;
	request_pem(key, "mail.bank.test", NULL, &csr);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct issued row = { .id = 0 };

		a.days = rows[i].days;
		str_reset(&pem);
		assert_int_equal(authority_issue(&a, &pass, csr.s, rows[i].now, &pem, &row, &e), 0);
		assert_int_equal(cert_describe(row.pem, &c, &e), 0);
		assert_true(c.not_before == rows[i].from);
		assert_true(c.not_after == rows[i].until && row.not_after == rows[i].until);
		issued_release(&row);
	}
	certificate_release(&c);
	str_release(&csr);
	str_release(&pem);
	EVP_PKEY_free(key);
}

/* As ACME clients ask: an empty subject and alternative names. */
static void
without_common_name(void **state)
{
	EVP_PKEY *key = pki_key("P-256");
	struct str csr = STR_INIT, pem = STR_INIT;
	struct certificate c = { .id = 0 };
	struct issued row = { .id = 0 };
	struct err e;

	(void)state;
	request_pem(key, NULL, "DNS:mail.bank.test,DNS:mx.bank.test", &csr);
	if (authority_issue(&ours, &pass, csr.s, PKI_NOW, &pem, &row, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(cert_describe(row.pem, &c, &e), 0);
	assert_string_equal(c.cn, "mail.bank.test");
	assert_string_equal(c.san, "mail.bank.test mx.bank.test");
	certificate_release(&c);
	issued_release(&row);
	str_release(&csr);
	str_release(&pem);
	EVP_PKEY_free(key);
}

static void
serials_differ(void **state)
{
	EVP_PKEY *key = pki_key("P-256");
	char seen[20][40];
	struct str csr = STR_INIT, pem = STR_INIT;
	struct err e;
	int i, k;

	(void)state;
	request_pem(key, "mail.bank.test", NULL, &csr);
	for (i = 0; i < 20; i++) {
		struct issued row = { .id = 0 };

		assert_int_equal(authority_issue(&ours, &pass, csr.s, PKI_NOW, &pem, &row, &e), 0);
		assert_int_equal(strlen(row.serial), 32);
		assert_true(row.serial[0] >= '4' && row.serial[0] <= '7');      /* positive, and always 16 octets */
		strcpy(seen[i], row.serial);
		for (k = 0; k < i; k++)
			assert_string_not_equal(seen[k], seen[i]);
		issued_release(&row);
	}
	str_release(&csr);
	str_release(&pem);
	EVP_PKEY_free(key);
}

/* A handshake in memory: the server shows what was issued, the client trusts the authority and asks for a name. */
static long
handshake(SSL_CTX *server_ctx, const char *root_pem, const char *name)
{
	BIO *root_bio = BIO_new_mem_buf(root_pem, -1), *a, *b;
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	X509 *root = PEM_read_bio_X509(root_bio, NULL, NULL, NULL);
	SSL *server = SSL_new(server_ctx), *client;
	long result;
	int i;

	X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), root);
	X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(client_ctx), (time_t)PKI_NOW);
	client = SSL_new(client_ctx);
	SSL_set1_host(client, name);
	SSL_set_verify(client, SSL_VERIFY_PEER, NULL);
	BIO_new_bio_pair(&a, 0, &b, 0);
	SSL_set_bio(client, a, a);
	SSL_set_bio(server, b, b);
	for (i = 0; i < 10; i++) {
		SSL_connect(client);
		SSL_accept(server);
	}
	result = SSL_is_init_finished(client) ? X509_V_OK : SSL_get_verify_result(client);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(client_ctx);
	X509_free(root);
	BIO_free(root_bio);
	ERR_clear_error();
	return result;
}

static void
serves(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = pki_key("P-256");
	struct str csr = STR_INIT, pem = STR_INIT;
	struct issued row = { .id = 0 };
	struct err e;

	(void)state;
	request_pem(key, "mail.bank.test", "DNS:*.mx.bank.test", &csr);
	assert_int_equal(authority_issue(&ours, &pass, csr.s, PKI_NOW, &pem, &row, &e), 0);
	pki_save(dir, "served.pem", pem.s, pem.len);
	{
		struct str path = STR_INIT;

		str_addf(&path, "%s/served.pem", dir);
		assert_int_equal(SSL_CTX_use_certificate_chain_file(ctx, path.s), 1);
		str_release(&path);
	}
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	assert_int_equal(handshake(ctx, ours.pem, "mail.bank.test"), X509_V_OK);
	assert_int_equal(handshake(ctx, ours.pem, "a.mx.bank.test"), X509_V_OK);
	assert_int_equal(handshake(ctx, ours.pem, "web.bank.test"), X509_V_ERR_HOSTNAME_MISMATCH);
	SSL_CTX_free(ctx);
	EVP_PKEY_free(key);
	issued_release(&row);
	str_release(&csr);
	str_release(&pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_of_each_key),
		cmocka_unit_test(roots_refused),
		cmocka_unit_test(whole_way),
		cmocka_unit_test(only_names_are_taken_over),
		cmocka_unit_test(refusals),
		cmocka_unit_test(within_its_own_life),
		cmocka_unit_test(without_common_name),
		cmocka_unit_test(serials_differ),
		cmocka_unit_test(serves),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
