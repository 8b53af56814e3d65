/* Signed requests of the ACME client (RFC 8555 section 6.2): ES256 with EC P-256, RS256 with RSA; the account's key is open only
 * while it is needed, and never leaves here but sealed. */
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "acme.h"
#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

struct acme_key { EVP_PKEY *pkey; };

int
acme_key_make(struct acme_key **out, enum key_kind kind, struct err *e)
{
	EVP_PKEY *p = kind == KEY_EC_P256 ? EVP_EC_gen("P-256") : kind == KEY_RSA_2048 ? EVP_RSA_gen(2048)
	    : kind == KEY_RSA_3072 ? EVP_RSA_gen(3072) : kind == KEY_RSA_4096 ? EVP_RSA_gen(4096) : NULL;

	*out = NULL;
	if (p == NULL)
		return err_set(e, RC_INVALID, "the key of an account is ec-p256 or RSA, not %s", key_kind_name(kind));
	*out = xcalloc(1, sizeof(**out));
	(*out)->pkey = p;
	return 0;
}

int
acme_key_seal(const struct acme_key *k, const struct secret *passphrase, struct str *sealed, struct err *e)
{
	return authority_seal_key(k->pkey, passphrase, sealed, e);
}

int
acme_key_unseal(struct acme_key **out, const struct authority *a, const struct secret *passphrase, struct err *e)
{
	EVP_PKEY *p = authority_open_key(a, passphrase, e);

	*out = NULL;
	if (p == NULL)
		return -1;
	*out = xcalloc(1, sizeof(**out));
	(*out)->pkey = p;
	return 0;
}

void
acme_key_free(struct acme_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

/* --- base64url (RFC 4648 section 5, without padding) --- */

void
base64url(const void *mem, size_t len, struct str *out)
{
	size_t at = out->len, i;

	base64_encode(mem, len, out);
	for (i = at; i < out->len; i++)
		out->s[i] = out->s[i] == '+' ? '-' : out->s[i] == '/' ? '_' : out->s[i];
	while (out->len > at && out->s[out->len - 1] == '=')
		str_cut(out, out->len - 1);
}

/* A number of the key, as many bytes as it needs or as are asked for. */
static int
add_number(const EVP_PKEY *p, const char *name, size_t width, struct str *out)
{
	unsigned char raw[1024];
	BIGNUM *n = NULL;
	int len = -1;

	if (EVP_PKEY_get_bn_param(p, name, &n) == 1) {
		len = width != 0 ? (int)width : BN_num_bytes(n);
		len = len <= (int)sizeof(raw) ? BN_bn2binpad(n, raw, len) : -1;
	}
	BN_free(n);
	if (len <= 0)
		return -1;
	base64url(raw, (size_t)len, out);
	return 0;
}

static bool
is_ec(const struct acme_key *k)
{
	return EVP_PKEY_is_a(k->pkey, "EC");
}

/* The public key in the one form whose digest names it (RFC 7638 section 3). */
static int
add_jwk(const struct acme_key *k, struct str *out, struct err *e)
{
	bool ec = is_ec(k);
	int bad;

	str_add(out, ec ? "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" : "{\"e\":\"");
	bad = add_number(k->pkey, ec ? OSSL_PKEY_PARAM_EC_PUB_X : OSSL_PKEY_PARAM_RSA_E, ec ? 32 : 0, out);
	str_add(out, ec ? "\",\"y\":\"" : "\",\"kty\":\"RSA\",\"n\":\"");
	if (bad == 0)
		bad = add_number(k->pkey, ec ? OSSL_PKEY_PARAM_EC_PUB_Y : OSSL_PKEY_PARAM_RSA_N, ec ? 32 : 0, out);
	str_add(out, "\"}");
	return bad == 0 ? 0 : err_set(e, RC_BUG, "the key of the account cannot be written: %s", x509_reason());
}

/* ECDSA as two numbers of 32 bytes, not as DER (RFC 7518 section 3.4). */
static int
raw_ecdsa(unsigned char *sig, size_t *len)
{
	const unsigned char *p = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)*len);
	unsigned char raw[64];
	bool ok = s != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, 32) == 32 && BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + 32, 32) == 32;

	ECDSA_SIG_free(s);
	if (!ok)
		return -1;
	memcpy(sig, raw, sizeof(raw));
	*len = sizeof(raw);
	return 0;
}

static int
add_signature(const struct acme_key *k, const struct str *text, struct str *out, struct err *e)
{
	unsigned char sig[1024];
	size_t len = sizeof(sig);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1
	    && EVP_DigestSign(ctx, sig, &len, (const unsigned char *)text->s, text->len) == 1
	    && (!is_ec(k) || raw_ecdsa(sig, &len) == 0);

	EVP_MD_CTX_free(ctx);
	if (!ok)
		return err_set(e, RC_BUG, "the request to the authority could not be signed: %s", x509_reason());
	base64url(sig, len, out);
	return 0;
}

/* {"protected":...,"payload":...,"signature":...}, the signature to be added by the caller */
static void
add_parts(const char *protected, const char *payload, struct str *signed_text, struct str *out)
{
	str_reset(signed_text);
	base64url(protected, strlen(protected), signed_text);
	str_addf(out, "{\"protected\":\"%s\",", signed_text->s);
	str_addc(signed_text, '.');
	str_add(out, "\"payload\":\"");
	if (payload != NULL) {
		size_t at = signed_text->len;

		base64url(payload, strlen(payload), signed_text);
		str_add(out, signed_text->s + at);
	}
	str_add(out, "\",\"signature\":\"");
}

int
acme_sign(const struct acme_key *k, const struct acme_jws *head, const char *payload, struct str *out, struct err *e)
{
	struct str protected = STR_INIT, text = STR_INIT;
	int rc = 0;

	/* kid, nonce and url have been checked: nothing in them needs escaping */
	str_addf(&protected, "{\"alg\":\"%s\",", is_ec(k) ? "ES256" : "RS256");
	if (head->kid != NULL)
		str_addf(&protected, "\"kid\":\"%s\"", head->kid);
	else {
		str_add(&protected, "\"jwk\":");
		rc = add_jwk(k, &protected, e);
	}
	str_addf(&protected, ",\"nonce\":\"%s\",\"url\":\"%s\"}", head->nonce, head->url);
	if (rc == 0) {
		add_parts(protected.s, payload, &text, out);
		rc = add_signature(k, &text, out, e);
		str_add(out, "\"}");
	}
	str_release(&protected);
	str_release(&text);
	return rc;
}

int
acme_key_authorization(const struct acme_key *k, const char *token, struct str *out, struct err *e)
{
	struct str jwk = STR_INIT;
	unsigned char digest[32];
	int rc = add_jwk(k, &jwk, e);

	if (rc == 0 && EVP_Digest(jwk.s, jwk.len, digest, NULL, EVP_sha256(), NULL) != 1)
		rc = err_set(e, RC_BUG, "no SHA-256: %s", x509_reason());
	if (rc == 0) {
		str_addf(out, "%s.", token);
		base64url(digest, sizeof(digest), out);
	}
	str_release(&jwk);
	return rc;
}

/* --- external account binding --- */

/* base64url into bytes; -1: it is not. */
static int
unbase64url(const struct secret *text, unsigned char *out, size_t max, size_t *n)
{
	char copy[1028];
	size_t i, len = text->len;
	int rc;

	while (len > 0 && text->mem[len - 1] == '=')
		len--;
	if (len == 0 || len > 1024)
		return -1;
	for (i = 0; i < len; i++)
		copy[i] = text->mem[i] == '-' ? '+' : text->mem[i] == '_' ? '/' : text->mem[i];
	while (i % 4 != 0)
		copy[i++] = '=';
	rc = base64_decode(copy, i, out, max, n);
	secret_wipe(copy, sizeof(copy));
	return rc;
}

int
acme_bind(const struct acme_key *k, const char *kid, const struct secret *key, const char *url, struct str *out, struct err *e)
{
	struct str protected = STR_INIT, jwk = STR_INIT, text = STR_INIT;
	unsigned char raw[800], mac[EVP_MAX_MD_SIZE];
	unsigned int mac_len = 0;
	json_t *name = json_string(kid);
	char *quoted = name != NULL ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
	size_t n = 0;
	int rc = -1;

	if (quoted == NULL)
		err_set(e, RC_INVALID, "the key id of the external account is no text");
	else if (unbase64url(key, raw, sizeof(raw), &n) == -1 || n == 0)
		err_set(e, RC_INVALID, "the key of the external account is not base64url, as the authority gives it");
	else if (add_jwk(k, &jwk, e) == 0) {
		str_addf(&protected, "{\"alg\":\"HS256\",\"kid\":%s,\"url\":\"%s\"}", quoted, url);
		add_parts(protected.s, jwk.s, &text, out);
		if (HMAC(EVP_sha256(), raw, (int)n, (const unsigned char *)text.s, text.len, mac, &mac_len) != NULL) {
			base64url(mac, mac_len, out);
			str_add(out, "\"}");
			rc = 0;
		} else
			err_set(e, RC_BUG, "the external account could not be bound: %s", x509_reason());
	}
	secret_wipe(raw, sizeof(raw));
	free(quoted);
	json_decref(name);
	str_release(&protected);
	str_release(&jwk);
	str_release(&text);
	return rc;
}

/* --- requests and certificates as ACME names them --- */

int
acme_csr_base64url(const char *csr_pem, struct str *out, struct err *e)
{
	X509_REQ *req = x509_request_read(csr_pem, strlen(csr_pem), e);
	unsigned char *der = NULL;
	int len;

	if (req == NULL)
		return -1;
	len = i2d_X509_REQ(req, &der);
	X509_REQ_free(req);
	if (len <= 0)
		return err_set(e, RC_BUG, "the request cannot be written: %s", x509_reason());
	base64url(der, (size_t)len, out);
	OPENSSL_free(der);
	return 0;
}

bool
acme_certificate_id(const char *cert_pem, struct str *out)
{
	STACK_OF(X509) *all = x509_read_many(cert_pem, strlen(cert_pem), 100, NULL);
	const ASN1_OCTET_STRING *issuer;
	const ASN1_INTEGER *serial;
	unsigned char *der = NULL;
	X509 *x = all != NULL ? sk_X509_value(all, 0) : NULL;
	int len = -1;

	issuer = x != NULL ? X509_get0_authority_key_id(x) : NULL;
	serial = x != NULL ? X509_get0_serialNumber(x) : NULL;
	if (issuer != NULL && serial != NULL)
		len = i2d_ASN1_INTEGER(serial, &der);
	if (len > 2 && len < 128) {          /* tag and length are left out */
		base64url(ASN1_STRING_get0_data(issuer), (size_t)ASN1_STRING_length(issuer), out);
		str_addc(out, '.');
		base64url(der + 2, (size_t)len - 2, out);
	}
	OPENSSL_free(der);
	x509_stack_free(all);
	ERR_clear_error();
	return len > 2 && len < 128;
}
