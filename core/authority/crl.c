/* The revocation list of an own authority (RFC 5280 section 5). */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "mxseal/clean.h"
#include "private.h"

const struct revocation_reason revocation_reasons[] = {
	{ "unspecified", 0, "no reason is given" },
	{ "key-compromise", 1, "somebody else has, or may have, the key" },
	{ "affiliation-changed", 3, "the name or organisation in it is not true any more" },
	{ "superseded", 4, "another certificate has taken its place" },
	{ "cessation-of-operation", 5, "the server is gone" },
	{ "privilege-withdrawn", 9, "it should not have been issued" },
	{ NULL, 0, NULL }
};

const struct revocation_reason *
revocation_reason_find(const char *name)
{
	const struct revocation_reason *r;

	for (r = revocation_reasons; r->name != NULL; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

static ASN1_TIME *
time_of(int64_t at)
{
	return ASN1_TIME_adj(NULL, (time_t)at, 0, 0);
}

/* One entry: serial, when, and why (no reason is better left out: 5.3.1). */
static int
add_revoked(X509_CRL *crl, const struct issued *row)
{
	const struct revocation_reason *why = revocation_reason_find(row->reason != NULL ? row->reason : "");
	ASN1_TIME *at = time_of(row->revoked_at);
	ASN1_ENUMERATED *code = ASN1_ENUMERATED_new();
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_INTEGER *serial = NULL;
	BIGNUM *n = NULL;
	bool ok;

	ok = at != NULL && code != NULL && r != NULL && BN_hex2bn(&n, row->serial != NULL ? row->serial : "") > 0
	    && (serial = BN_to_ASN1_INTEGER(n, NULL)) != NULL && X509_REVOKED_set_serialNumber(r, serial) == 1
	    && X509_REVOKED_set_revocationDate(r, at) == 1
	    && (why == NULL || why->code == 0 || (ASN1_ENUMERATED_set(code, why->code) == 1
	    && X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, code, 0, 0) == 1))
	    && X509_CRL_add0_revoked(crl, r) == 1;
	if (!ok)
		X509_REVOKED_free(r);
	ASN1_TIME_free(at);
	ASN1_ENUMERATED_free(code);
	ASN1_INTEGER_free(serial);
	BN_free(n);
	return ok ? 0 : -1;
}

static int
add_extensions(X509_CRL *crl, X509 *issuer, int64_t number)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(issuer);
	AUTHORITY_KEYID *key = AUTHORITY_KEYID_new();
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	bool ok;

	ok = key != NULL && n != NULL && id != NULL && (key->keyid = ASN1_OCTET_STRING_dup(id)) != NULL
	    && X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, key, 0, 0) == 1
	    && ASN1_INTEGER_set_int64(n, number) == 1 && X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0) == 1;
	AUTHORITY_KEYID_free(key);
	ASN1_INTEGER_free(n);
	return ok ? 0 : -1;
}

static X509_CRL *
make(X509 *issuer, EVP_PKEY *key, const struct issued_list *l, int64_t number, int days, int64_t now)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = time_of(now), *until = time_of(now + (int64_t)days * DAY);
	bool ok;
	size_t i;

	ok = crl != NULL && from != NULL && until != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1
	    && X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) == 1 && X509_CRL_set1_lastUpdate(crl, from) == 1
	    && X509_CRL_set1_nextUpdate(crl, until) == 1 && add_extensions(crl, issuer, number) == 0;
	for (i = 0; i < l->n && ok; i++)
		if (l->v[i].revoked_at != 0 && l->v[i].not_after > now)
			ok = add_revoked(crl, &l->v[i]) == 0;
	ok = ok && X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, key, x509_digest(key)) > 0;
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	if (ok)
		return crl;
	X509_CRL_free(crl);
	return NULL;
}

int
authority_crl(const struct authority *a, const struct secret *passphrase, const struct issued_list *l, int64_t number, int days,
    int64_t now, struct str *pem, struct err *e)
{
	EVP_PKEY *key = NULL;
	X509 *issuer = NULL;
	X509_CRL *crl = NULL;
	BIO *out = NULL;
	char *text;
	long len;
	int rc = -1;

	if (days < 1 || days > 3650)
		return err_set(e, RC_INVALID, "a revocation list is good for 1 to 3650 days, not %d", days);
	if (authority_open(a, passphrase, now, &issuer, &key, e) != 0)
		return -1;
	crl = make(issuer, key, l, number, days, now);
	out = BIO_new(BIO_s_mem());
	if (crl == NULL || out == NULL || PEM_write_bio_X509_CRL(out, crl) != 1 || (len = BIO_get_mem_data(out, &text)) <= 0) {
		err_set(e, RC_BUG, "the revocation list of %s could not be made: %s", clean(a->name), x509_reason());
		goto out;
	}
	str_addn(pem, text, (size_t)len);
	rc = 0;
out:
	BIO_free(out);
	X509_CRL_free(crl);
	X509_free(issuer);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}
