/* The test's own public key infrastructure. What fails here is a fault of the test, so it ends the program. */
#include <openssl/bio.h>
#include <openssl/dsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "mxseal/certificate.h"
#include "support/pki.h"

static void
must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static EVP_PKEY *
dsa_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
	EVP_PKEY *params = NULL, *key = NULL;

	must(EVP_PKEY_paramgen_init(ctx) == 1 && EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, 1024) == 1
	    && EVP_PKEY_paramgen(ctx, &params) == 1, "DSA parameters");
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL);
	must(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &key) == 1, "DSA key");
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(params);
	return key;
}

EVP_PKEY *
pki_key(const char *kind)
{
	EVP_PKEY *key;

	if (strncmp(kind, "RSA", 3) == 0)
		key = EVP_RSA_gen((unsigned)atoi(kind + 3));
	else if (strcmp(kind, "ED25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else if (strcmp(kind, "DSA") == 0)
		key = dsa_key();
	else
		key = EVP_EC_gen(kind);
	must(key != NULL, kind);
	return key;
}

static void
extend(X509 *x, X509 *issuer, int nid, const char *value, const char *usual)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	value = value != NULL ? value : usual;
	if (value == NULL || *value == '\0')
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	must(ext != NULL && X509_add_ext(x, ext, -1) == 1, value);
	X509_EXTENSION_free(ext);
}

static void
extend_unknown(X509 *x, const char *oid)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	X509_EXTENSION *ext;

	must(ASN1_OCTET_STRING_set(value, (const unsigned char *)"\005\000", 2) == 1 && object != NULL, oid);
	ext = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
	must(ext != NULL && X509_add_ext(x, ext, -1) == 1, oid);
	X509_EXTENSION_free(ext);
	ASN1_OBJECT_free(object);
	ASN1_OCTET_STRING_free(value);
}

X509 *
pki_make(const struct pki_spec *spec)
{
	static long serial = 1000;
	X509 *x = X509_new(), *issuer = spec->issuer != NULL ? spec->issuer : x;
	const EVP_PKEY *signer = spec->issuer_key != NULL ? spec->issuer_key : spec->key;
	const char *constraints = spec->constraints != NULL ? spec->constraints : "critical,CA:FALSE";
	const EVP_MD *md = EVP_get_digestbyname(spec->digest != NULL ? spec->digest : "SHA256");
	int ca = strstr(constraints, "CA:TRUE") != NULL;
	X509_NAME *name = X509_NAME_new();

	must(X509_set_version(x, (spec->version ? spec->version : 3) - 1) == 1, "version");
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	if (spec->cn != NULL)
		must(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)spec->cn, -1, -1, 0)
		    == 1, "common name");
	must(X509_set_subject_name(x, name) == 1 && X509_set_pubkey(x, (EVP_PKEY *)(uintptr_t)spec->key) == 1, "subject");
	must(X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1, "issuer");
	ASN1_TIME_adj(X509_getm_notBefore(x), (time_t)(spec->from ? spec->from : PKI_NOW - PKI_DAY), 0, 0);
	ASN1_TIME_adj(X509_getm_notAfter(x), (time_t)(spec->until ? spec->until : PKI_NOW + 90 * PKI_DAY), 0, 0);
	if (spec->version == 0 || spec->version == 3) {
		extend(x, issuer, NID_basic_constraints, constraints, NULL);
		extend(x, issuer, NID_key_usage, spec->usage, ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
		extend(x, issuer, NID_ext_key_usage, spec->purpose, ca ? NULL : "serverAuth");
		extend(x, issuer, NID_subject_key_identifier, "hash", NULL);
		if (issuer != x)
			extend(x, issuer, NID_authority_key_identifier, "keyid", NULL);
		extend(x, issuer, NID_subject_alt_name, spec->names, NULL);
		extend(x, issuer, NID_name_constraints, spec->constrain, NULL);
		if (spec->critical != NULL)
			extend_unknown(x, spec->critical);
	}
	if (EVP_PKEY_is_a(signer, "ED25519"))
		md = NULL;
	must(X509_sign(x, (EVP_PKEY *)(uintptr_t)signer, md) > 0, "signing");
	X509_NAME_free(name);
	return x;
}

/* --- encodings --- */

static void
take_bio(BIO *bio, struct str *out)
{
	char *mem = NULL;
	long len = BIO_get_mem_data(bio, &mem);

	must(len > 0, "writing");
	str_addn(out, mem, (size_t)len);
	BIO_free(bio);
}

void
pki_pem(X509 *x, struct str *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(bio, x);
	take_bio(bio, out);
}

void
pki_der(X509 *x, struct str *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	i2d_X509_bio(bio, x);
	take_bio(bio, out);
}

void
pki_p7(X509 *const *list, int n, int pem, struct str *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	PKCS7 *p7 = PKCS7_new();
	int i;

	must(PKCS7_set_type(p7, NID_pkcs7_signed) == 1 && PKCS7_content_new(p7, NID_pkcs7_data) == 1, "PKCS#7");
	PKCS7_set_detached(p7, 1);
	for (i = 0; i < n; i++)
		must(PKCS7_add_certificate(p7, list[i]) == 1, "PKCS#7 certificate");
	if (pem)
		PEM_write_bio_PKCS7(bio, p7);
	else
		i2d_PKCS7_bio(bio, p7);
	PKCS7_free(p7);
	take_bio(bio, out);
}

void
pki_public_pem(const EVP_PKEY *key, struct str *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_PUBKEY(bio, (EVP_PKEY *)(uintptr_t)key);
	take_bio(bio, out);
}

void
pki_spki(const EVP_PKEY *key, char sha256[65])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	must(len > 0, "public key");
	sha256_hex(der, (size_t)len, sha256);
	OPENSSL_free(der);
}

X509_REQ *
pki_request(const EVP_PKEY *key, const char *subject_cn, const char *names)
{
	X509_REQ *req = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	STACK_OF(X509_EXTENSION) *list = NULL;
	X509_EXTENSION *ext;

	if (subject_cn != NULL)
		must(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)subject_cn, -1, -1,
		    0) == 1, "common name");
	must(X509_REQ_set_subject_name(req, name) == 1 && X509_REQ_set_pubkey(req, (EVP_PKEY *)(uintptr_t)key) == 1, "request");
	if (names != NULL) {
		ext = X509V3_EXT_nconf_nid(NULL, NULL, NID_subject_alt_name, names);
		must(ext != NULL, names);
		X509v3_add_ext(&list, ext, -1);
		X509_EXTENSION_free(ext);
		must(X509_REQ_add_extensions(req, list) == 1, "extensions");
		sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	}
	must(X509_REQ_sign(req, (EVP_PKEY *)(uintptr_t)key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0, "signing");
	X509_NAME_free(name);
	return req;
}

void
pki_request_pem(X509_REQ *req, struct str *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_X509_REQ(bio, req);
	take_bio(bio, out);
}

/* --- the second opinion --- */

int
pki_run(const char *dir, struct str *out, const char *fmt, ...)
{
	struct str line = STR_INIT;
	char *command = NULL, buf[4096];
	va_list ap;
	size_t n;
	FILE *f;
	int status;

	va_start(ap, fmt);
	must(vasprintf(&command, fmt, ap) >= 0, "memory");
	va_end(ap);
	str_addf(&line, "cd '%s' && { %s ; } 2>&1", dir, command);
	f = popen(line.s, "r");
	must(f != NULL, line.s);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		if (out != NULL)
			str_addn(out, buf, n);
	status = pclose(f);
	free(command);
	str_release(&line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void
pki_save(const char *dir, const char *name, const void *mem, size_t len)
{
	struct str path = STR_INIT;
	struct err e;

	str_addf(&path, "%s/%s", dir, name);
	must(str_write_file(path.s, mem, len, 0600, &e) == 0, name);
	str_release(&path);
}
