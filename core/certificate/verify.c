/* A chain and a name as a mail peer sees them. OpenSSL verifies; every complaint is collected, so that "expired" does not
 * hide "nobody trusts the issuer", and is said in words. No revocation is asked for: that would need the network. */
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"
#include "verify.h"

/* What peers run by default (Debian, RHEL): RSA and DH of 2048 bits, no SHA-1. */
#define PEER_SECURITY_LEVEL 2
#define ANCHORS_MAX 2048     /* a bundle of a system has some 150, and may be named twice */

static const struct words {
	int code;
	const char *text;
} words[] = {
	{ X509_V_OK, "the chain leads to a trusted authority" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "the issuer is not known here, or its certificate is missing from the chain" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "the certificate of an issuer in the chain is missing" },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "the issuer's certificate is missing from the chain" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "the certificate is signed by itself" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the root at the end of the chain is not trusted here" },
	{ X509_V_ERR_CERT_SIGNATURE_FAILURE, "a signature in the chain is wrong: a certificate was altered or damaged" },
	{ X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE, "a signature in the chain cannot be checked" },
	{ X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, "an issuer's key cannot be read" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, "a certificate in the chain is not valid yet" },
	{ X509_V_ERR_CERT_HAS_EXPIRED, "a certificate in the chain has expired" },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, "a certificate in the chain has an unreadable date" },
	{ X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, "a certificate in the chain has an unreadable date" },
	{ X509_V_ERR_INVALID_CA, "a certificate in the chain was issued by one that is no authority or may not sign" },
	{ X509_V_ERR_INVALID_NON_CA, "the certificate is an authority's own" },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, "an authority in the chain was not allowed to make another one" },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, "the chain is too long" },
	{ X509_V_ERR_INVALID_PURPOSE, "a certificate in the chain may not be used for servers" },
	{ X509_V_ERR_CERT_UNTRUSTED, "an authority in the chain is not trusted for servers here" },
	{ X509_V_ERR_CERT_REJECTED, "an authority in the chain is distrusted here" },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, "an issuer in the chain may not sign certificates" },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, "a certificate has a critical extension that peers do not understand" },
	{ X509_V_ERR_PERMITTED_VIOLATION, "an authority in the chain may not issue for this name" },
	{ X509_V_ERR_EXCLUDED_VIOLATION, "an authority in the chain may not issue for this name" },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, "the key of the certificate is too weak" },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, "the key of an authority in the chain is too weak" },
	{ X509_V_ERR_CA_MD_TOO_WEAK, "a signature in the chain uses a broken digest (SHA-1 or older)" },
	{ X509_V_ERR_HOSTNAME_MISMATCH, "the name is not in the certificate" },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, "the address is not in the certificate" },
	{ X509_V_ERR_INVALID_EXTENSION, "a certificate in the chain has a damaged extension" },
};

const char *
verify_words(int code)
{
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].code == code)
			return words[i].text;
	return X509_verify_cert_error_string(code);
}

/* --- the system's authorities, loaded at first use and kept --- */

static CRYPTO_ONCE system_once = CRYPTO_ONCE_STATIC_INIT;
static X509_STORE *system_store;

static void
system_load(void)
{
	system_store = X509_STORE_new();
	if (system_store == NULL)
		abort();
	X509_STORE_set_default_paths(system_store);     /* a system without any is one that trusts nobody */
	ERR_clear_error();
}

/* --- one attempt --- */

static void
name_it(struct verify_result *r, X509 *x)
{
	bool weak = r->code == X509_V_ERR_CA_KEY_TOO_SMALL;
	char *subject;

	if (x == NULL || r->depth == 0)
		return;
	subject = x509_name_text(X509_get_subject_name(x));
	snprintf(r->who, sizeof(r->who), "%.100s%s%s", clean(subject), weak ? ": " : "", weak ? x509_key_words(X509_get0_pubkey(x)) : "");
	free(subject);
}

static int
collect(int ok, X509_STORE_CTX *ctx)
{
	struct verify_result *r = X509_STORE_CTX_get_app_data(ctx);
	int code = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);

	if (ok)
		return 1;
	if (code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID) {
		if (r->time_code == X509_V_OK) {
			r->time_code = code;
			r->time_depth = depth;
		}
	} else if (r->code == X509_V_OK) {
		r->code = code;
		r->depth = depth;
		name_it(r, X509_STORE_CTX_get_current_cert(ctx));
	}
	return 1;
}

/* anchors NULL: the system's. */
static void
attempt(X509 *leaf, STACK_OF(X509) *untrusted, STACK_OF(X509) *anchors, int64_t now, struct verify_result *out)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;

	*out = (struct verify_result){ .code = X509_V_ERR_UNSPECIFIED };
	if (ctx == NULL || X509_STORE_CTX_init(ctx, system_store, leaf, untrusted) != 1)
		goto out;
	if (anchors != NULL)
		X509_STORE_CTX_set0_trusted_stack(ctx, anchors);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)now);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM_set_auth_level(param, PEER_SECURITY_LEVEL);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
	X509_STORE_CTX_set_app_data(ctx, out);
	X509_STORE_CTX_set_verify_cb(ctx, collect);
	out->code = X509_V_OK;
	if (X509_verify_cert(ctx) <= 0 && out->code == X509_V_OK && out->time_code == X509_V_OK)
		out->code = X509_V_ERR_UNSPECIFIED;
out:
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
}

/* Whoever has an issuer for it says more than whoever has none. */
static bool
issuer_missing(int code)
{
	return code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
	    || code == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE || code == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
	    || code == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
}

void
verify_chain(X509 *leaf, STACK_OF(X509) *untrusted, const char *roots, int64_t now, struct verify_result *out)
{
	STACK_OF(X509) *anchors = NULL;
	struct verify_result ours;

	CRYPTO_THREAD_run_once(&system_once, system_load);
	attempt(leaf, untrusted, NULL, now, out);
	if (out->code == X509_V_OK || text_empty(roots))
		return;
	anchors = x509_read_many(roots, strlen(roots), ANCHORS_MAX, NULL);
	if (anchors == NULL)
		return;
	attempt(leaf, untrusted, anchors, now, &ours);
	if (!issuer_missing(ours.code))
		*out = ours;
	x509_stack_free(anchors);
}

void
verify_chain_by(X509 *leaf, STACK_OF(X509) *untrusted, const char *roots, int64_t now, struct verify_result *out)
{
	STACK_OF(X509) *anchors = x509_read_trusted(roots != NULL ? roots : "", ANCHORS_MAX);

	CRYPTO_THREAD_run_once(&system_once, system_load);
	attempt(leaf, untrusted, anchors, now, out);
	x509_stack_free(anchors);
}

bool
verify_name(X509 *leaf, const char *name)
{
	struct str ascii = STR_INIT;
	unsigned char raw[16];
	bool ok = false;

	if (text_empty(name))
		return true;
	if (name_to_ascii(name, &ascii, NULL) != 0)
		str_add(&ascii, name);
	if (inet_pton(AF_INET, ascii.s, raw) == 1 || inet_pton(AF_INET6, ascii.s, raw) == 1)
		ok = X509_check_ip_asc(leaf, ascii.s, 0) == 1;
	else
		ok = X509_check_host(leaf, ascii.s, ascii.len, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
	str_release(&ascii);
	ERR_clear_error();
	return ok;
}

/* --- the face --- */

/* Cut to fit, not in the middle of a character. Takes the text. */
static void
put_text(struct cert_verdict *out, char *text)
{
	size_t len = strlen(text);

	if (len >= sizeof(out->text)) {
		len = sizeof(out->text) - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out->text, text, len);
	out->text[len] = '\0';
	free(text);
}

static void
say(struct cert_verdict *out, X509 *leaf, const char *name, const struct verify_result *r)
{
	char *issuer;

	if (r->code != X509_V_OK) {
		issuer = x509_name_text(X509_get_issuer_name(leaf));
		out->code = r->code;
		if (r->who[0] != '\0' && !issuer_missing(r->code))
			put_text(out, xasprintf("%s (%s)", verify_words(r->code), r->who));
		else
			put_text(out, xasprintf("%s (issued by %s)", verify_words(r->code), clean(issuer)));
		free(issuer);
	} else if (r->time_code != X509_V_OK) {
		out->code = r->time_code;
		if (r->time_depth > 0)
			put_text(out, xstrdup(verify_words(r->time_code)));
		else
			put_text(out, xstrdup(r->time_code == X509_V_ERR_CERT_HAS_EXPIRED ? "the certificate has expired"
			    : "the certificate is not valid yet"));
	} else if (!out->name_ok) {
		out->code = X509_V_ERR_HOSTNAME_MISMATCH;
		put_text(out, xasprintf("the certificate does not have the name %s", clean(name)));
	} else
		put_text(out, xstrdup(verify_words(out->code = X509_V_OK)));
}

static void
judge(const char *pem, const char *name, const char *roots, bool only, int64_t now, struct cert_verdict *out)
{
	struct err e = { .code = RC_OK };
	struct verify_result r;
	STACK_OF(X509) *all;
	X509 *leaf;

	*out = (struct cert_verdict){ .code = X509_V_ERR_UNSPECIFIED };
	all = x509_read_bag(pem != NULL ? pem : "", pem != NULL ? strlen(pem) : 0, &e);
	if (all == NULL) {
		put_text(out, xstrdup(e.text));
		return;
	}
	leaf = sk_X509_value(all, 0);
	if (only)
		verify_chain_by(leaf, all, roots, now, &r);
	else
		verify_chain(leaf, all, roots, now, &r);
	out->trusted = r.code == X509_V_OK;
	out->in_time = r.time_code == X509_V_OK;
	out->name_ok = verify_name(leaf, name);
	say(out, leaf, name, &r);
	x509_stack_free(all);
}

void
cert_verify(const char *pem, const char *name, const char *roots, int64_t now, struct cert_verdict *out)
{
	judge(pem, name, roots, false, now, out);
}

void
cert_verify_by(const char *pem, const char *name, const char *roots, int64_t now, struct cert_verdict *out)
{
	judge(pem, name, roots, true, now, out);
}
