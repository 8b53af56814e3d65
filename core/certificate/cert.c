/* Certificates from bytes to records: which of them is the server's own, what is in it, what the chain looks like. Whether
 * it can be used is asked in fits.c, whether peers would trust it in verify.c. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/xalloc.h"
#include "private.h"

static int
chain_pem(STACK_OF(X509) *chain, struct certificate *out, struct err *e)
{
	struct str pem = STR_INIT;
	int i, rc = 0;

	for (i = 0; i < sk_X509_num(chain) && rc == 0; i++)
		rc = x509_to_pem(sk_X509_value(chain, i), &pem, e);
	if (rc == 0) {
		free(out->pem);
		out->pem = str_take(&pem);
	}
	str_release(&pem);
	return rc;
}

int
cert_read(const void *mem, size_t len, const char *spki_sha256, struct certificate *out, struct err *e)
{
	STACK_OF(X509) *all = x509_read_bag(mem, len, e), *chain = NULL;
	X509 *leaf;
	int rc = -1;

	if (all == NULL)
		return -1;
	leaf = chain_leaf(all, spki_sha256);
	chain = chain_order(all, leaf);
	if (x509_describe(leaf, out, e) == 0)
		rc = chain_pem(chain, out, e);
	x509_stack_free(chain);
	x509_stack_free(all);
	ERR_clear_error();
	return rc;
}

int
cert_describe(const char *pem, struct certificate *out, struct err *e)
{
	STACK_OF(X509) *all = x509_read_bag(pem != NULL ? pem : "", pem != NULL ? strlen(pem) : 0, e);
	struct str one = STR_INIT;
	int rc = -1;

	if (all == NULL)
		return -1;
	if (x509_describe(sk_X509_value(all, 0), out, e) == 0 && x509_to_pem(sk_X509_value(all, 0), &one, e) == 0) {
		free(out->pem);
		out->pem = str_take(&one);
		rc = 0;
	}
	str_release(&one);
	x509_stack_free(all);
	ERR_clear_error();
	return rc;
}

int
cert_subject(const char *pem, struct subject *out, struct err *e)
{
	STACK_OF(X509) *all = x509_read_bag(pem != NULL ? pem : "", pem != NULL ? strlen(pem) : 0, e);
	struct str names = STR_INIT;
	GENERAL_NAMES *alt;
	const X509_NAME *name;
	const struct { int nid; char **to; } parts[] = {
		{ NID_commonName, &out->cn }, { NID_organizationName, &out->o }, { NID_organizationalUnitName, &out->ou },
		{ NID_countryName, &out->c }, { NID_stateOrProvinceName, &out->st }, { NID_localityName, &out->l },
	};

	if (all == NULL)
		return -1;
	name = X509_get_subject_name(sk_X509_value(all, 0));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		free(*parts[i].to);
		*parts[i].to = x509_name_field(name, parts[i].nid);
	}
	alt = X509_get_ext_d2i(sk_X509_value(all, 0), NID_subject_alt_name, NULL, NULL);
	if (alt != NULL)
		x509_alt_names(alt, &names);
	free(out->san);
	out->san = str_take(&names);
	GENERAL_NAMES_free(alt);
	x509_stack_free(all);
	ERR_clear_error();
	return 0;
}

int
cert_spki_of_public_key(const char *public_key_pem, char sha256[65], char **type, int *bits, struct err *e)
{
	EVP_PKEY *key = x509_public_key(public_key_pem, e);
	unsigned char *der = NULL;
	const char *name;
	int len, rc = -1;

	if (key == NULL)
		return -1;
	len = i2d_PUBKEY(key, &der);
	if (len > 0) {
		sha256_hex(der, (size_t)len, sha256);
		name = EVP_PKEY_get0_type_name(key);
		if (type != NULL)
			*type = xstrdup(name != NULL ? name : "unknown");
		if (bits != NULL)
			*bits = EVP_PKEY_get_bits(key);
		rc = 0;
	} else
		err_set(e, RC_PARSE, "the public key is damaged: %s", x509_reason());
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

/* --- one line per certificate --- */

void
cert_line_list_release(struct cert_line_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].subject);
		free(l->v[i].issuer);
		free(l->v[i].sha256);
	}
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

int
cert_chain_lines(const char *pem, struct cert_line_list *out, struct err *e)
{
	STACK_OF(X509) *all = x509_read_bag(pem != NULL ? pem : "", pem != NULL ? strlen(pem) : 0, e);
	struct cert_line *line;
	char sha[65];
	X509 *x;
	int i;

	if (all == NULL)
		return -1;
	for (i = 0; i < sk_X509_num(all); i++) {
		x = sk_X509_value(all, i);
		ARRAY_GROW(out->v, out->n);
		line = &out->v[out->n++];
		x509_sha256(x, sha);
		*line = (struct cert_line){
			.subject = x509_name_text(X509_get_subject_name(x)),
			.issuer = x509_name_text(X509_get_issuer_name(x)),
			.sha256 = xstrdup(sha),
			.not_before = x509_time(X509_get0_notBefore(x)),
			.not_after = x509_time(X509_get0_notAfter(x)),
			.is_ca = chain_is_ca(x),
			.self_signed = x509_self_signed(x),
		};
	}
	x509_stack_free(all);
	ERR_clear_error();
	return 0;
}
