/* Puts certificates that came in any order into the order of a handshake: the server's own first, then its issuers, no
 * root. What does not belong to that chain is left out: peers count it against us. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

bool
chain_signed(X509 *issuer, X509 *x)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool yes = key != NULL && X509_verify(x, key) == 1;

	ERR_clear_error();
	return yes;
}

/* Same names and key identifiers are not enough: an authority that was set up anew has the old name and another key. */
bool
chain_issued(X509 *issuer, X509 *x)
{
	return X509_check_issued(issuer, x) == X509_V_OK && chain_signed(issuer, x);
}

/* The key identifiers say that it is the issuer, but its signature is wrong or it may not sign. Such two are kept together,
 * so that the refusal can say so, and not "the issuer is missing". */
bool
chain_claims(X509 *issuer, X509 *x)
{
	int code;

	if (X509_get0_authority_key_id(x) == NULL || X509_get0_subject_key_id(issuer) == NULL)
		return false;
	code = X509_check_issued(issuer, x);
	ERR_clear_error();
	return code == X509_V_OK || code == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
}

/* 1 is CA:TRUE in basicConstraints; the other answers of OpenSSL are guesses about certificates of version 1. */
bool
chain_is_ca(X509 *x)
{
	return X509_check_ca(x) == 1;
}

static bool
issued_another(STACK_OF(X509) *all, X509 *x)
{
	int i;

	for (i = 0; i < sk_X509_num(all); i++)
		if (sk_X509_value(all, i) != x && chain_issued(x, sk_X509_value(all, i)))
			return true;
	return false;
}

static int64_t
end_of(X509 *x)
{
	return x509_time(X509_get0_notAfter(x));
}

/* A renewal that kept its key may come together with the old certificate: the one that ends last is meant. */
static X509 *
leaf_by_key(STACK_OF(X509) *all, const char *spki)
{
	X509 *best = NULL, *x;
	char sha[65];
	int i;

	for (i = 0; i < sk_X509_num(all); i++) {
		x = sk_X509_value(all, i);
		if (x509_spki_sha256(X509_get_X509_PUBKEY(x), sha) != 0 || strcmp(sha, spki) != 0)
			continue;
		if (best == NULL || (chain_is_ca(best) && !chain_is_ca(x))
		    || (chain_is_ca(best) == chain_is_ca(x) && end_of(x) > end_of(best)))
			best = x;
	}
	return best;
}

/* Without a key to go by: no CA, and issued none of the others; else the first that issued none; else the first. */
static X509 *
leaf_by_place(STACK_OF(X509) *all)
{
	X509 *second = NULL, *x;
	int i;

	for (i = 0; i < sk_X509_num(all); i++) {
		x = sk_X509_value(all, i);
		if (issued_another(all, x))
			continue;
		if (!chain_is_ca(x))
			return x;
		if (second == NULL)
			second = x;
	}
	return second != NULL ? second : sk_X509_value(all, 0);
}

X509 *
chain_leaf(STACK_OF(X509) *all, const char *spki)
{
	X509 *leaf = spki != NULL ? leaf_by_key(all, spki) : NULL;

	return leaf != NULL ? leaf : leaf_by_place(all);
}

/* Where a root also came signed by an older one, that certificate is taken: it serves peers who know only the older root,
 * and the others find their own way. */
static X509 *
issuer_of(STACK_OF(X509) *all, STACK_OF(X509) *have, X509 *x)
{
	X509 *best = NULL, *claims = NULL, *candidate;
	int i;

	for (i = 0; i < sk_X509_num(all); i++) {
		candidate = sk_X509_value(all, i);
		if (sk_X509_find(have, candidate) >= 0)
			continue;
		if (!chain_issued(candidate, x)) {
			if (claims == NULL && chain_claims(candidate, x))
				claims = candidate;
			continue;
		}
		if (best == NULL || (x509_self_signed(best) && !x509_self_signed(candidate))
		    || (x509_self_signed(best) == x509_self_signed(candidate) && end_of(candidate) > end_of(best)))
			best = candidate;
	}
	return best != NULL ? best : claims;
}

STACK_OF(X509) *
chain_order(STACK_OF(X509) *all, X509 *leaf)
{
	STACK_OF(X509) *out = sk_X509_new_null();
	X509 *x = leaf;

	if (out == NULL)
		abort();
	while (x != NULL && (x == leaf || !x509_self_signed(x))) {
		if (X509_up_ref(x) != 1 || sk_X509_push(out, x) <= 0)
			abort();
		x = x509_self_signed(x) ? NULL : issuer_of(all, out, x);
	}
	return out;
}
