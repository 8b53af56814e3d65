/* The own certificate authority: one root (no intermediates: pathlen 0) whose key lies sealed in the store and is open only
 * while it signs. It issues certificates for mail servers and nothing else; what a request asks for beyond subject and
 * names is ignored. Failures: a wrong passphrase, a request that is not fit to be signed, an authority past its end. */
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define DAY 86400
#define BACKDATE 300             /* peers whose clock is a little behind must not see a certificate from the future */
#define DAYS_MAX 36500
#define ISSUE_DAYS 365           /* life of what it issues, where nothing else was chosen */

/* --- what root and leaf have in common --- */

/* 128 bits with the top one clear and the next one set: positive, 16 octets, 126 bits of randomness (RFC 5280 4.1.2.2). */
static int
set_serial(X509 *x)
{
	unsigned char raw[16];
	BIGNUM *n;
	int ok;

	random_bytes(raw, sizeof(raw));
	raw[0] = (raw[0] & 0x3f) | 0x40;
	n = BN_bin2bn(raw, sizeof(raw), NULL);
	ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok ? 0 : -1;
}

static int
set_dates(X509 *x, int64_t from, int64_t until)
{
	return ASN1_TIME_adj(X509_getm_notBefore(x), (time_t)from, 0, 0) != NULL
	    && ASN1_TIME_adj(X509_getm_notAfter(x), (time_t)until, 0, 0) != NULL ? 0 : -1;
}

static int
add_extension(X509 *x, int nid, void *value, int critical)
{
	return value != NULL && X509_add1_ext_i2d(x, nid, value, critical, X509V3_ADD_DEFAULT) == 1 ? 0 : -1;
}

static int
add_constraints(X509 *x, bool ca)
{
	BASIC_CONSTRAINTS *c = BASIC_CONSTRAINTS_new();
	int rc = -1;

	if (c != NULL) {
		c->ca = ca ? 0xff : 0;
		if (ca)
			c->pathlen = ASN1_INTEGER_new();
		if (!ca || (c->pathlen != NULL && ASN1_INTEGER_set(c->pathlen, 0) == 1))
			rc = add_extension(x, NID_basic_constraints, c, 1);
	}
	BASIC_CONSTRAINTS_free(c);
	return rc;
}

/* RFC 5280 4.2.1.2 method 1: SHA-1 over the bits of the key; a name, not a protection. */
static int
add_key_id(X509 *x)
{
	ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int rc = -1;

	if (id != NULL && X509_pubkey_digest(x, EVP_sha1(), digest, &len) == 1
	    && ASN1_OCTET_STRING_set(id, digest, (int)len) == 1)
		rc = add_extension(x, NID_subject_key_identifier, id, 0);
	ASN1_OCTET_STRING_free(id);
	return rc;
}

static int
add_issuer_id(X509 *x, X509 *issuer)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer);
	AUTHORITY_KEYID *a = AUTHORITY_KEYID_new();
	int rc = -1;

	if (a != NULL && id != NULL && (a->keyid = ASN1_OCTET_STRING_dup(id)) != NULL)
		rc = add_extension(x, NID_authority_key_identifier, a, 0);
	AUTHORITY_KEYID_free(a);
	return rc;
}

/* --- the root --- */

static EVP_PKEY *
make_key(enum key_kind kind)
{
	switch (kind) {
	case KEY_EC_P256: return EVP_EC_gen("P-256");
	case KEY_EC_P384: return EVP_EC_gen("P-384");
	case KEY_RSA_2048: return EVP_RSA_gen(2048);
	case KEY_RSA_3072: return EVP_RSA_gen(3072);
	case KEY_RSA_4096: return EVP_RSA_gen(4096);
	}
	return NULL;
}

static int
add_root_usage(X509 *x)
{
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	int rc = -1;

	/* bit 5 keyCertSign, bit 6 cRLSign */
	if (usage != NULL && ASN1_BIT_STRING_set_bit(usage, 5, 1) == 1 && ASN1_BIT_STRING_set_bit(usage, 6, 1) == 1)
		rc = add_extension(x, NID_key_usage, usage, 1);
	ASN1_BIT_STRING_free(usage);
	return rc;
}

static X509 *
make_root(const char *cn, EVP_PKEY *key, int64_t now, int days)
{
	X509_NAME *name = X509_NAME_new();
	X509 *x = X509_new();
	int ok;

	ok = name != NULL && x != NULL && X509_set_version(x, 2) == 1
	    && X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) == 1
	    && X509_set_subject_name(x, name) == 1 && X509_set_issuer_name(x, name) == 1
	    && X509_set_pubkey(x, key) == 1 && set_serial(x) == 0
	    && set_dates(x, now - BACKDATE, now + (int64_t)days * DAY) == 0
	    && add_constraints(x, true) == 0 && add_root_usage(x) == 0 && add_key_id(x) == 0
	    && X509_sign(x, key, x509_digest(key)) > 0;
	X509_NAME_free(name);
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

int
authority_seal_key(EVP_PKEY *key, const struct secret *passphrase, struct str *out, struct err *e)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	struct secret plain = { .mem = NULL };
	unsigned char *der = NULL;
	int len, rc = -1;

	len = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	if (len > 0) {
		secret_set(&plain, der, (size_t)len);
		rc = seal(&plain, passphrase, out, e);
	} else
		err_set(e, RC_BUG, "the authority's key could not be written: %s", x509_reason());
	OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
	PKCS8_PRIV_KEY_INFO_free(info);
	secret_release(&plain);
	return rc;
}

int
authority_make(const char *name, const char *cn, enum key_kind kind, int days, const struct secret *passphrase, int64_t now,
    struct authority *out, struct err *e)
{
	struct str sealed = STR_INIT, pem = STR_INIT;
	EVP_PKEY *key = NULL;
	X509 *x = NULL;
	int rc = -1;

	if (subject_field_check("cn", cn, e) != 0)
		return -1;
	if (days < 1 || days > DAYS_MAX)
		return err_set(e, RC_INVALID, "an authority lives from 1 to %d days, not %d", DAYS_MAX, days);
	if (!secret_is_set(passphrase) || passphrase->len == 0)
		return err_set(e, RC_PASSPHRASE, "a passphrase is needed to seal the authority's key");
	key = make_key(kind);
	if (key == NULL || (x = make_root(cn, key, now, days)) == NULL) {
		err_set(e, RC_BUG, "the authority's certificate could not be made: %s", x509_reason());
		goto out;
	}
	if (authority_seal_key(key, passphrase, &sealed, e) != 0 || x509_to_pem(x, &pem, e) != 0)
		goto out;
	xset(&out->name, name);
	xset(&out->kind, "own");
	free(out->subject);
	out->subject = x509_name_text(X509_get_subject_name(x));
	xset(&out->pem, pem.s);
	xset(&out->sealed_key, sealed.s);
	xset(&out->policy, "always");
	out->days = days < ISSUE_DAYS ? days : ISSUE_DAYS;
	out->not_after = x509_time(X509_get0_notAfter(x));
	out->created_at = now;
	rc = 0;
out:
	X509_free(x);
	EVP_PKEY_free(key);
	str_release(&sealed);
	str_release(&pem);
	ERR_clear_error();
	return rc;
}

/* --- issuing --- */

EVP_PKEY *
authority_unseal_key(const struct authority *a, const struct secret *passphrase, struct err *e)
{
	PKCS8_PRIV_KEY_INFO *info = NULL;
	struct secret plain = { .mem = NULL };
	const unsigned char *p;
	EVP_PKEY *key = NULL;

	if (unseal(a->sealed_key, passphrase, &plain, e) != 0) {
		err_wrap(e, "opening the key of authority %s", clean(a->name));
		return NULL;
	}
	p = (const unsigned char *)plain.mem;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)plain.len);
	if (info != NULL)
		key = EVP_PKCS82PKEY(info);
	if (key == NULL)
		err_set(e, RC_PARSE, "the sealed key of authority %s is no private key", clean(a->name));
	PKCS8_PRIV_KEY_INFO_free(info);
	secret_release(&plain);
	ERR_clear_error();
	return key;
}

static X509 *
open_certificate(const struct authority *a, int64_t now, struct err *e)
{
	STACK_OF(X509) *all = x509_read_bag(a->pem != NULL ? a->pem : "", a->pem != NULL ? strlen(a->pem) : 0, e);
	int64_t from, until;
	X509 *x = NULL;

	if (all == NULL) {
		err_wrap(e, "reading the certificate of authority %s", clean(a->name));
		return NULL;
	}
	x = sk_X509_shift(all);
	x509_stack_free(all);
	from = x509_time(X509_get0_notBefore(x));
	until = x509_time(X509_get0_notAfter(x));
	if (X509_check_ca(x) != 1)
		err_set(e, RC_CERT, "the certificate of authority %s is not an authority's", clean(a->name));
	else if (now < from)
		err_set(e, RC_CERT, "authority %s is not valid yet: check the clock of this machine", clean(a->name));
	else if (now >= until) {
		err_set(e, RC_CERT, "authority %s has expired; what it signs now would be refused", clean(a->name));
		err_hint(e, "make a new authority and have the peers trust it");
	} else
		return x;
	X509_free(x);
	return NULL;
}

/* The request's subject and names; they are checked as if they had been typed when the certificate is made. Programs that
 * follow the times ask without a common name: then the first name is it. */
static int
wanted_subject(const char *csr_pem, struct request *request, X509_REQ **req, struct err *e)
{
	size_t len = csr_pem != NULL ? strlen(csr_pem) : 0;
	struct subject *s = &request->subject;

	*req = x509_request_read(csr_pem, len, e);
	if (*req == NULL || csr_read(csr_pem, len, request, e) != 0)
		return -1;
	if (text_empty(s->cn) && !text_empty(s->san)) {
		free(s->cn);
		s->cn = xstrndup(s->san, strcspn(s->san, " "));
	}
	return 0;
}

static int
add_server_extensions(X509 *x, const char *names, EVP_PKEY *key, struct err *e)
{
	STACK_OF(X509_EXTENSION) *list = NULL;
	int i, rc;

	rc = x509_server_extensions(&list, names, key, e);
	for (i = 0; i < sk_X509_EXTENSION_num(list) && rc == 0; i++)
		if (X509_add_ext(x, sk_X509_EXTENSION_value(list, i), -1) != 1)
			rc = err_set(e, RC_BUG, "the extensions could not be added: %s", x509_reason());
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return rc;
}

static X509 *
make_leaf(X509 *issuer, EVP_PKEY *issuer_key, const struct subject *s, EVP_PKEY *key, int days, int64_t now, struct err *e)
{
	int64_t from = now - BACKDATE, until = now + (int64_t)days * DAY;
	int64_t first = x509_time(X509_get0_notBefore(issuer)), last = x509_time(X509_get0_notAfter(issuer));
	X509_NAME *subject = x509_subject_build(s, e);
	struct str names = STR_INIT;
	X509 *x = NULL;
	bool ok = false;

	if (subject == NULL || subject_names(s, &names, e) != 0)
		goto out;
	if (names.len == 0) {
		err_set(e, RC_INVALID, "the request has no host name, neither as common name nor as alternative name");
		goto out;
	}
	x = X509_new();
	if (x == NULL || X509_set_version(x, 2) != 1 || X509_set_subject_name(x, subject) != 1
	    || X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1 || X509_set_pubkey(x, key) != 1
	    || set_serial(x) != 0 || set_dates(x, from > first ? from : first, until < last ? until : last) != 0
	    || add_constraints(x, false) != 0 || add_key_id(x) != 0 || add_issuer_id(x, issuer) != 0) {
		err_set(e, RC_BUG, "the certificate could not be made: %s", x509_reason());
		goto out;
	}
	if (add_server_extensions(x, names.s, key, e) != 0)
		goto out;
	if (X509_sign(x, issuer_key, x509_digest(issuer_key)) <= 0 || X509_verify(x, issuer_key) != 1) {
		err_set(e, RC_BUG, "the certificate could not be signed: %s", x509_reason());
		goto out;
	}
	ok = true;
out:
	X509_NAME_free(subject);
	str_release(&names);
	if (!ok) {
		X509_free(x);
		x = NULL;
	}
	return x;
}

static int
fill_row(X509 *x, const struct authority *a, int64_t now, struct issued *row, struct err *e)
{
	struct str pem = STR_INIT;
	char sha[65];

	if (x509_to_pem(x, &pem, e) != 0)
		return -1;
	x509_sha256(x, sha);
	row->authority = a->id;
	row->at = now;
	row->not_after = x509_time(X509_get0_notAfter(x));
	free(row->serial);
	row->serial = x509_serial_text(X509_get0_serialNumber(x));
	free(row->subject);
	row->subject = x509_name_text(X509_get_subject_name(x));
	xset(&row->sha256, sha);
	xset(&row->pem, pem.s);
	str_release(&pem);
	return 0;
}

int
authority_open(const struct authority *a, const struct secret *passphrase, int64_t now, X509 **issuer, EVP_PKEY **key, struct err *e)
{
	*key = NULL;
	*issuer = open_certificate(a, now, e);
	if (*issuer == NULL)
		return -1;
	*key = authority_unseal_key(a, passphrase, e);
	if (*key != NULL && X509_check_private_key(*issuer, *key) == 1)
		return 0;
	if (*key != NULL)
		err_set(e, RC_CERT, "the sealed key of authority %s does not belong to its certificate", clean(a->name));
	X509_free(*issuer);
	EVP_PKEY_free(*key);
	*issuer = NULL;
	*key = NULL;
	ERR_clear_error();
	return -1;
}

int
authority_opens(const struct authority *a, const struct secret *passphrase, int64_t now, struct err *e)
{
	EVP_PKEY *key;
	X509 *issuer;

	if (authority_open(a, passphrase, now, &issuer, &key, e) != 0)
		return -1;
	X509_free(issuer);
	EVP_PKEY_free(key);
	return 0;
}

int
authority_issue(const struct authority *a, const struct secret *passphrase, const char *csr_pem, int64_t now, struct str *pem,
    struct issued *row, struct err *e)
{
	struct request request = { .id = 0 };
	EVP_PKEY *issuer_key = NULL, *key;
	X509_REQ *req = NULL;
	X509 *issuer = NULL, *x = NULL;
	int days = a->days > 0 && a->days <= DAYS_MAX ? a->days : ISSUE_DAYS, rc = -1;

	/* the request first: who sends a bad one need not be asked for a passphrase */
	if (wanted_subject(csr_pem, &request, &req, e) != 0)
		goto out;
	if (authority_open(a, passphrase, now, &issuer, &issuer_key, e) != 0)
		goto out;
	key = X509_REQ_get0_pubkey(req);
	if (EVP_PKEY_eq(key, issuer_key) == 1) {
		err_set(e, RC_CERT, "the request is for the authority's own key");
		goto out;
	}
	x = make_leaf(issuer, issuer_key, &request.subject, key, days, now, e);
	if (x == NULL || fill_row(x, a, now, row, e) != 0)
		goto out;
	str_add(pem, row->pem);
	rc = x509_to_pem(issuer, pem, e);
out:
	X509_free(x);
	X509_free(issuer);
	X509_REQ_free(req);
	EVP_PKEY_free(issuer_key);
	request_release(&request);
	ERR_clear_error();
	return rc;
}
