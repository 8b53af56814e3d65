/* Certificate requests (PKCS#10, RFC 2986). The key is on the mail host and never comes here, so a request is made in two
 * halves: the part to be signed leaves here, the signature comes back and is checked before anything is kept. Extensions
 * are built from objects and never from configuration text, where a comma in a name would make a second name. */
#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define REQUEST_MAX 262144

const char *
csr_digest(enum key_kind k)
{
	return k == KEY_EC_P384 ? "sha384" : "sha256";
}

/* --- subject and names --- */

/* The CN as certificates want it: when it is a host name, spelt exactly as the alternative name beside it. Empty: it is no
 * host name. */
static void
cn_as_host(const struct subject *s, struct str *out)
{
	if (name_to_ascii(s->cn, out, NULL) != 0)
		str_reset(out);
}

static int
name_add(X509_NAME *name, int nid, const char *value)
{
	if (text_empty(value))
		return 0;
	return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1 ? 0 : -1;
}

static int
check_subject(const struct subject *s, struct err *e)
{
	const struct { const char *field, *value; } fields[] = {
		{ "cn", s->cn }, { "o", s->o }, { "ou", s->ou }, { "c", s->c }, { "st", s->st }, { "l", s->l }, { "san", s->san },
	};
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (subject_field_check(fields[i].field, fields[i].value, e) != 0)
			return -1;
	return 0;
}

/* The order of the tree (X.521), from the country down, as other programs build and show it. */
X509_NAME *
x509_subject_build(const struct subject *s, struct err *e)
{
	struct str host = STR_INIT;
	X509_NAME *name = NULL;
	char country[3] = "";
	int i;

	if (check_subject(s, e) != 0)
		return NULL;
	for (i = 0; i < 2 && !text_empty(s->c); i++)
		country[i] = (char)(s->c[i] & ~0x20);
	cn_as_host(s, &host);
	name = X509_NAME_new();
	if (name == NULL)
		abort();
	if (name_add(name, NID_countryName, country) != 0
	    || name_add(name, NID_stateOrProvinceName, s->st) != 0
	    || name_add(name, NID_localityName, s->l) != 0
	    || name_add(name, NID_organizationName, s->o) != 0
	    || name_add(name, NID_organizationalUnitName, s->ou) != 0
	    || name_add(name, NID_commonName, host.len > 0 && host.len <= 64 ? host.s : s->cn) != 0) {
		err_set(e, RC_INVALID, "the subject cannot be put into a certificate: %s", x509_reason());
		X509_NAME_free(name);
		name = NULL;
	}
	str_release(&host);
	ERR_clear_error();
	return name;
}

static bool
names_have(const struct str *names, const char *name)
{
	size_t n = 0, i;
	char **words = words_split(names->s, " ", &n);
	bool found = false;

	for (i = 0; i < n; i++)
		if (strcmp(words[i], name) == 0)
			found = true;
	words_free(words);
	return found;
}

int
subject_names(const struct subject *s, struct str *out, struct err *e)
{
	struct str one = STR_INIT;
	char **words = NULL;
	size_t n = 0, i;
	int rc = 0;

	str_reset(out);
	if (check_subject(s, e) != 0)
		return -1;
	cn_as_host(s, out);
	words = words_split(s->san != NULL ? s->san : "", " \t\r\n,", &n);
	for (i = 0; i < n && rc == 0; i++) {
		str_reset(&one);
		rc = name_to_ascii(words[i], &one, e);
		if (rc != 0 || names_have(out, one.s))
			continue;
		str_add(out, out->len > 0 ? " " : "");
		str_add(out, one.s);
	}
	words_free(words);
	str_release(&one);
	return rc;
}

/* --- extensions --- */

static GENERAL_NAME *
general_name(const char *name)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *value;
	unsigned char raw[16];
	int len = 0;

	if (inet_pton(AF_INET, name, raw) == 1)
		len = 4;
	else if (inet_pton(AF_INET6, name, raw) == 1)
		len = 16;
	value = len > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	if (g == NULL || value == NULL
	    || ASN1_STRING_set(value, len > 0 ? (const void *)raw : name, len > 0 ? len : (int)strlen(name)) != 1)
		abort();
	GENERAL_NAME_set0_value(g, len > 0 ? GEN_IPADD : GEN_DNS, value);
	return g;
}

static int
add_names(STACK_OF(X509_EXTENSION) **out, const char *names)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	size_t n = 0, i;
	char **words = words_split(names, " ", &n);
	int ok = 1;

	for (i = 0; i < n; i++)
		if (sk_GENERAL_NAME_push(list, general_name(words[i])) <= 0)
			abort();
	if (n > 0)
		ok = X509V3_add1_i2d(out, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT);
	GENERAL_NAMES_free(list);
	words_free(words);
	return ok;
}

int
x509_server_extensions(STACK_OF(X509_EXTENSION) **out, const char *names, EVP_PKEY *key, struct err *e)
{
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	EXTENDED_KEY_USAGE *purpose = sk_ASN1_OBJECT_new_null();
	int ok;

	if (usage == NULL || purpose == NULL || sk_ASN1_OBJECT_push(purpose, OBJ_nid2obj(NID_server_auth)) <= 0)
		abort();
	/* bit 0 digitalSignature; bit 2 keyEncipherment, which only RSA key exchange uses (RFC 8446 has none) */
	ok = ASN1_BIT_STRING_set_bit(usage, 0, 1) == 1
	    && (!EVP_PKEY_is_a(key, "RSA") || ASN1_BIT_STRING_set_bit(usage, 2, 1) == 1)
	    && X509V3_add1_i2d(out, NID_key_usage, usage, 1, X509V3_ADD_DEFAULT) == 1
	    && X509V3_add1_i2d(out, NID_ext_key_usage, purpose, 0, X509V3_ADD_DEFAULT) == 1
	    && add_names(out, names) == 1;
	ASN1_BIT_STRING_free(usage);
	sk_ASN1_OBJECT_pop_free(purpose, ASN1_OBJECT_free);
	if (!ok)
		return err_set(e, RC_BUG, "the extensions could not be built: %s", x509_reason());
	ERR_clear_error();
	return 0;
}

/* --- the first half --- */

int
csr_to_sign(const struct subject *s, const char *public_key_pem, struct str *der, struct err *e)
{
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	struct str names = STR_INIT;
	unsigned char *raw = NULL;
	X509_NAME *subject = NULL;
	X509_REQ *req = NULL;
	EVP_PKEY *key = NULL;
	int len, rc = -1;

	key = x509_public_key(public_key_pem, e);
	if (key == NULL || x509_key_kind(key, NULL, e) != 0)
		goto out;
	subject = x509_subject_build(s, e);
	if (subject == NULL || subject_names(s, &names, e) != 0
	    || x509_server_extensions(&extensions, names.s, key, e) != 0)
		goto out;
	req = X509_REQ_new();
	if (req == NULL || X509_REQ_set_version(req, 0) != 1 || X509_REQ_set_subject_name(req, subject) != 1
	    || X509_REQ_set_pubkey(req, key) != 1 || X509_REQ_add_extensions(req, extensions) != 1
	    || (len = i2d_re_X509_REQ_tbs(req, &raw)) <= 0) {
		err_set(e, RC_BUG, "the request could not be built: %s", x509_reason());
		goto out;
	}
	str_addn(der, raw, (size_t)len);
	rc = 0;
out:
	OPENSSL_free(raw);
	X509_REQ_free(req);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_NAME_free(subject);
	EVP_PKEY_free(key);
	str_release(&names);
	ERR_clear_error();
	return rc;
}

/* --- the second half --- */

static int
signature_nid(EVP_PKEY *key)
{
	if (!EVP_PKEY_is_a(key, "EC"))
		return NID_sha256WithRSAEncryption;
	return EVP_PKEY_get_bits(key) == 384 ? NID_ecdsa_with_SHA384 : NID_ecdsa_with_SHA256;
}

/* SEQUENCE { info, algorithm, signature } of RFC 2986 section 4.2. */
static int
assemble(const struct str *info, EVP_PKEY *key, const void *signature, size_t len, struct str *out)
{
	X509_ALGOR *algorithm = X509_ALGOR_new();
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	unsigned char *algorithm_der = NULL, *bits_der = NULL, head[16], *p = head;
	int algorithm_len = -1, bits_len = -1, total;

	if (algorithm == NULL || bits == NULL)
		abort();
	/* RFC 4055 2.1: RSA has NULL parameters; RFC 5758 3.2: ECDSA has none */
	X509_ALGOR_set0(algorithm, OBJ_nid2obj(signature_nid(key)),
	    EVP_PKEY_is_a(key, "RSA") ? V_ASN1_NULL : V_ASN1_UNDEF, NULL);
	if (ASN1_STRING_set(bits, signature, (int)len) == 1) {
		bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
		bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;      /* no unused bits, also when the last ones are zero */
		algorithm_len = i2d_X509_ALGOR(algorithm, &algorithm_der);
		bits_len = i2d_ASN1_BIT_STRING(bits, &bits_der);
	}
	if (algorithm_len > 0 && bits_len > 0) {
		total = (int)info->len + algorithm_len + bits_len;
		ASN1_put_object(&p, 1, total, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
		str_addn(out, head, (size_t)(p - head));
		str_addn(out, info->s, info->len);
		str_addn(out, algorithm_der, (size_t)algorithm_len);
		str_addn(out, bits_der, (size_t)bits_len);
	}
	OPENSSL_free(algorithm_der);
	OPENSSL_free(bits_der);
	X509_ALGOR_free(algorithm);
	ASN1_BIT_STRING_free(bits);
	return algorithm_len > 0 && bits_len > 0 ? 0 : -1;
}

static int
request_to_pem(X509_REQ *req, struct str *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *mem = NULL;
	long len;
	int rc = -1;

	if (bio != NULL && PEM_write_bio_X509_REQ(bio, req) == 1 && (len = BIO_get_mem_data(bio, &mem)) > 0) {
		str_addn(out, mem, (size_t)len);
		rc = 0;
	}
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

int
csr_finish(const struct str *der, const char *public_key_pem, const void *signature, size_t len, struct str *pem,
    struct err *e)
{
	struct str whole = STR_INIT;
	const unsigned char *p;
	X509_REQ *req = NULL;
	EVP_PKEY *key = NULL;
	int rc = -1;

	key = x509_public_key(public_key_pem, e);
	if (key == NULL || x509_key_kind(key, NULL, e) != 0)
		goto out;
	if (len == 0 || len > 4096 || der->len == 0 || der->len > REQUEST_MAX) {
		err_set(e, RC_CERT, "the signature of the request has an impossible length of %zu bytes", len);
		goto out;
	}
	if (assemble(der, key, signature, len, &whole) != 0) {
		err_set(e, RC_BUG, "the request could not be put together: %s", x509_reason());
		goto out;
	}
	p = (const unsigned char *)whole.s;
	req = d2i_X509_REQ(NULL, &p, (long)whole.len);
	if (req == NULL || EVP_PKEY_eq(X509_REQ_get0_pubkey(req), key) != 1) {
		err_set(e, RC_CERT, "the part of the request that was signed is not the one for this key");
		goto out;
	}
	if (X509_REQ_verify(req, key) != 1) {
		err_set(e, RC_CERT, "the signature of the request is wrong: it was not made with this key and %s",
		    EVP_PKEY_get_bits(key) == 384 ? "SHA-384" : "SHA-256");
		err_hint(e, "the key on the host may have been exchanged; make the request again");
		goto out;
	}
	if (request_to_pem(req, pem) != 0) {
		err_set(e, RC_BUG, "the request could not be written as text");
		goto out;
	}
	rc = 0;
out:
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	str_release(&whole);
	ERR_clear_error();
	return rc;
}

/* --- reading --- */

static X509_REQ *
request_parse(const void *mem, size_t len)
{
	struct str text = STR_INIT;
	struct pem_block b;
	unsigned char *bytes = NULL;
	const unsigned char *p = mem;
	X509_REQ *req = NULL;
	size_t at = 0, n = 0;

	if (len > 0 && p[0] == 0x30) {
		req = d2i_X509_REQ(NULL, &p, (long)len);
		if (req != NULL)
			return req;
	}
	pem_plain(mem, len, &text);
	while (req == NULL && pem_next(text.s, text.len, &at, &b)) {
		if (!pem_label_is(&b, "CERTIFICATE REQUEST") && !pem_label_is(&b, "NEW CERTIFICATE REQUEST"))
			continue;
		bytes = pem_bytes(&b, &n);
		if (bytes == NULL)
			break;
		p = bytes;
		req = d2i_X509_REQ(NULL, &p, (long)n);
		free(bytes);
		break;
	}
	str_release(&text);
	return req;
}

X509_REQ *
x509_request_read(const void *mem, size_t len, struct err *e)
{
	X509_REQ *req = NULL;
	EVP_PKEY *key;

	if (len > REQUEST_MAX) {
		err_set(e, RC_LIMIT, "this has %zu bytes; requests of more than %d bytes are not read", len, REQUEST_MAX);
		return NULL;
	}
	req = request_parse(mem, len);
	if (req == NULL) {
		err_set(e, RC_PARSE, "there is no certificate request (PKCS#10) in it");
		goto fail;
	}
	key = X509_REQ_get0_pubkey(req);
	if (key == NULL) {
		err_set(e, RC_PARSE, "the public key in the request cannot be read: %s", x509_reason());
		goto fail;
	}
	if (x509_key_kind(key, NULL, e) != 0)
		goto fail;
	if (X509_REQ_verify(req, key) != 1) {
		err_set(e, RC_CERT, "the signature of the request is wrong: who made it does not hold the key");
		goto fail;
	}
	ERR_clear_error();
	return req;
fail:
	X509_REQ_free(req);
	ERR_clear_error();
	return NULL;
}

static void
read_names(X509_REQ *req, struct subject *out)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
	struct str names = STR_INIT;
	GENERAL_NAMES *list;

	list = extensions != NULL ? X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL) : NULL;
	if (list != NULL)
		x509_alt_names(list, &names);
	free(out->san);
	out->san = names.len > 0 ? str_take(&names) : NULL;
	str_release(&names);
	GENERAL_NAMES_free(list);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void
read_subject(X509_REQ *req, struct subject *out)
{
	const struct { int nid; char **field; } fields[] = {
		{ NID_commonName, &out->cn }, { NID_organizationName, &out->o }, { NID_organizationalUnitName, &out->ou },
		{ NID_countryName, &out->c }, { NID_stateOrProvinceName, &out->st }, { NID_localityName, &out->l },
	};
	const X509_NAME *name = X509_REQ_get_subject_name(req);
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		free(*fields[i].field);
		*fields[i].field = x509_name_field(name, fields[i].nid);
	}
	read_names(req, out);
}

int
csr_read(const void *mem, size_t len, struct request *out, struct err *e)
{
	struct str pem = STR_INIT;
	unsigned char *der = NULL;
	X509_REQ *req;
	char sha[65];
	int n, rc = -1;

	req = x509_request_read(mem, len, e);
	if (req == NULL)
		return -1;
	n = i2d_X509_REQ(req, &der);
	if (n <= 0 || request_to_pem(req, &pem) != 0) {
		err_set(e, RC_PARSE, "the request is damaged: %s", x509_reason());
		goto out;
	}
	sha256_hex(der, (size_t)n, sha);
	xset(&out->sha256, sha);
	if (x509_spki_sha256(X509_REQ_get_X509_PUBKEY(req), sha) != 0) {
		err_set(e, RC_PARSE, "the public key in the request is damaged");
		goto out;
	}
	xset(&out->spki_sha256, sha);
	xset(&out->pem, pem.s);
	read_subject(req, &out->subject);
	rc = x509_key_kind(X509_REQ_get0_pubkey(req), &out->kind, e);
out:
	OPENSSL_free(der);
	X509_REQ_free(req);
	str_release(&pem);
	ERR_clear_error();
	return rc;
}
