/* A TLSA record held against a chain (RFC 6698 2.1). */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/x509.h"
#include "mxseal/xalloc.h"

static void
hex_of(const unsigned char *mem, size_t len, struct str *out)
{
	size_t i;

	str_reset(out);
	for (i = 0; i < len; i++)
		str_addf(out, "%02x", mem[i]);
}

static bool
fits(X509 *x, int selector, int matching, const char *hex)
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	int len = selector == 0 ? i2d_X509(x, &der) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	struct str text = STR_INIT;
	unsigned n = 0;
	bool same = false;

	if (len > 0 && matching == 0)
		hex_of(der, (size_t)len, &text);
	else if (len > 0 && EVP_Digest(der, (size_t)len, digest, &n, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL) == 1)
		hex_of(digest, n, &text);
	same = text.len > 0 && strcasecmp(text.s, hex) == 0;
	str_release(&text);
	OPENSSL_free(der);
	return same;
}

bool
cert_tlsa_matches(const char *pem, int usage, int selector, int matching, const char *hex)
{
	STACK_OF(X509) *all = x509_read_bag(pem, strlen(pem), NULL);
	bool found = false;
	int i, n = all == NULL ? 0 : usage == 3 ? 1 : sk_X509_num(all);

	for (i = 0; i < n && !found; i++)
		found = fits(sk_X509_value(all, i), selector, matching, hex);
	x509_stack_free(all);
	return found;
}
