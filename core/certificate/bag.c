/* Opens whatever an authority sent back: PEM, DER, PKCS#7 in both, bare base64; and says what it is when it is something
 * else (the request itself, a key, a PKCS#12 file). Certificates come out in file order, each once. */
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

#define BLOCKS_MAX 256
#define BEGIN_CERTIFICATE "-----BEGIN CERTIFICATE-----"

static const char not_certificates[] = "there is no certificate in it";

struct bag {
	STACK_OF(X509) *certs;
	int max;
	bool saw_request, saw_key, saw_crl;
};

void
x509_stack_free(STACK_OF(X509) *s)
{
	sk_X509_pop_free(s, X509_free);
}

/* Takes a reference of its own. */
static int
bag_add(struct bag *bag, X509 *x, struct err *e)
{
	int i;

	for (i = 0; i < sk_X509_num(bag->certs); i++)
		if (X509_cmp(sk_X509_value(bag->certs, i), x) == 0)
			return 0;
	if (sk_X509_num(bag->certs) >= bag->max)
		return err_set(e, RC_LIMIT, "there are more than %d certificates in it", bag->max);
	if (X509_up_ref(x) != 1 || sk_X509_push(bag->certs, x) <= 0)
		abort();
	return 0;
}

/* One certificate, or several laid end to end. -1: damaged or too many. */
static int
bag_add_der(struct bag *bag, const unsigned char *der, size_t len, struct err *e)
{
	const unsigned char *p = der, *stop = der + len;
	X509 *x;
	int rc;

	do {
		x = d2i_X509(NULL, &p, (long)(stop - p));
		if (x == NULL)
			return err_set(e, RC_PARSE, "a certificate in it is damaged: %s", x509_reason());
		rc = bag_add(bag, x, e);
		X509_free(x);
		while (p < stop && (*p == '\0' || *p == '\r' || *p == '\n' || *p == ' '))
			p++;
	} while (rc == 0 && p < stop);
	return rc;
}

/* 1: it was PKCS#7; 0: it was not; -1: it was, and cannot be taken. */
static int
bag_add_pkcs7(struct bag *bag, const unsigned char *der, size_t len, struct err *e)
{
	const unsigned char *p = der;
	PKCS7 *p7 = d2i_PKCS7(NULL, &p, (long)len);
	STACK_OF(X509) *certs = NULL;
	int i, rc = 1;

	ERR_clear_error();
	if (p7 == NULL)
		return 0;
	if (PKCS7_type_is_signed(p7) && p7->d.sign != NULL)
		certs = p7->d.sign->cert;
	else if (PKCS7_type_is_signedAndEnveloped(p7) && p7->d.signed_and_enveloped != NULL)
		certs = p7->d.signed_and_enveloped->cert;
	for (i = 0; i < sk_X509_num(certs) && rc == 1; i++)
		if (bag_add(bag, sk_X509_value(certs, i), e) != 0)
			rc = -1;
	PKCS7_free(p7);
	return rc;
}

/* Binary of an unknown kind. */
static int
bag_add_binary(struct bag *bag, const unsigned char *der, size_t len, struct err *e)
{
	const unsigned char *p;
	X509_REQ *req;
	PKCS12 *p12;
	X509 *x;
	int rc;

	p = der;
	x = d2i_X509(NULL, &p, (long)len);
	ERR_clear_error();
	if (x != NULL) {
		X509_free(x);
		return bag_add_der(bag, der, len, e);
	}
	rc = bag_add_pkcs7(bag, der, len, e);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	p = der;
	req = d2i_X509_REQ(NULL, &p, (long)len);
	X509_REQ_free(req);
	p = der;
	p12 = d2i_PKCS12(NULL, &p, (long)len);
	PKCS12_free(p12);
	ERR_clear_error();
	if (req != NULL)
		bag->saw_request = true;
	if (p12 != NULL) {
		err_set(e, RC_PARSE, "this is a PKCS#12 file: certificates with their key, under a password");
		return err_hint(e, "import it; it is not the answer to a request");
	}
	return 0;
}

static int
bag_add_block(struct bag *bag, const struct pem_block *b, struct err *e)
{
	static const char *const certificate_labels[] = { "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE",
		"PKCS7", "PKCS #7 SIGNED DATA", "CMS", "CERTIFICATE CHAIN", NULL };
	unsigned char *der;
	size_t n = 0;
	int i, rc;

	for (i = 0; certificate_labels[i] != NULL; i++)
		if (pem_label_is(b, certificate_labels[i]))
			break;
	if (certificate_labels[i] == NULL) {
		if (memmem(b->label, b->label_len, "CERTIFICATE REQUEST", 19) != NULL)
			bag->saw_request = true;
		else if (memmem(b->label, b->label_len, "KEY", 3) != NULL)
			bag->saw_key = true;
		else if (memmem(b->label, b->label_len, "CRL", 3) != NULL)
			bag->saw_crl = true;
		return 0;
	}
	der = pem_bytes(b, &n);
	if (der == NULL)
		return err_set(e, RC_PARSE, "a certificate in it is damaged: its text is not base64");
	/* Authorities have been seen to put PKCS#7 under the label CERTIFICATE: the content counts. Behind a trusted
	 * certificate stands what OpenSSL trusts it for, which is no business of ours. */
	rc = bag_add_pkcs7(bag, der, n, e);
	if (rc == 0 && pem_label_is(b, "TRUSTED CERTIFICATE")) {
		const unsigned char *p = der;
		X509 *x = d2i_X509_AUX(NULL, &p, (long)n);

		rc = x != NULL ? bag_add(bag, x, e)
		    : err_set(e, RC_PARSE, "a certificate in it is damaged: %s", x509_reason());
		X509_free(x);
	} else if (rc == 0)
		rc = bag_add_der(bag, der, n, e);
	free(der);
	return rc < 0 ? -1 : 0;
}

static int
cut_off(struct err *e)
{
	err_set(e, RC_PARSE, "it was cut off: the end of a certificate is missing");
	return err_hint(e, "fetch or copy it again, from the first line to the last");
}

static int
bag_add_text(struct bag *bag, const struct str *text, struct err *e)
{
	struct pem_block b;
	size_t at = 0, behind = 0;
	int count = 0;

	while (pem_next(text->s, text->len, &at, &b)) {
		if (++count > (bag->max > BLOCKS_MAX ? bag->max : BLOCKS_MAX))
			return err_set(e, RC_LIMIT, "there are more than %d PEM blocks in it", bag->max > BLOCKS_MAX ? bag->max : BLOCKS_MAX);
		if (bag_add_block(bag, &b, e) != 0)
			return -1;
		behind = at;
	}
	return memmem(text->s + behind, text->len - behind, BEGIN_CERTIFICATE, strlen(BEGIN_CERTIFICATE)) != NULL ? cut_off(e) : 0;
}

/* Does its head announce more than came? */
static bool
der_is_cut(const unsigned char *der, size_t len)
{
	const unsigned char *p = der;
	int tag, class, head;
	long length;

	ERR_set_mark();
	head = ASN1_get_object(&p, &length, &tag, &class, (long)len);
	ERR_pop_to_mark();
	return (head & 0x80) != 0 && (head & V_ASN1_CONSTRUCTED) != 0 && tag == V_ASN1_SEQUENCE && length > (long)len - (p - der);
}

static int
bag_refuse(const struct bag *bag, struct err *e)
{
	if (bag->saw_request) {
		err_set(e, RC_PARSE, "%s: this is a certificate request", not_certificates);
		return err_hint(e, "it is what the authority is given; what it gives back is wanted here");
	}
	if (bag->saw_key)
		return err_set(e, RC_PARSE, "%s, only a key", not_certificates);
	if (bag->saw_crl)
		return err_set(e, RC_PARSE, "%s, only a revocation list", not_certificates);
	err_set(e, RC_PARSE, "%s", not_certificates);
	return err_hint(e, "PEM, DER and PKCS#7 (.p7b) files can be read");
}

/* Bare base64 without its armour, as copied out of a web page. */
static int
bag_add_bare(struct bag *bag, const struct str *text, struct err *e)
{
	struct pem_block b = { .body = text->s, .body_len = text->len };
	unsigned char *der;
	size_t n = 0;
	int rc = 0;

	der = pem_bytes(&b, &n);
	if (der != NULL)
		rc = bag_add_binary(bag, der, n, e);
	free(der);
	return rc;
}

STACK_OF(X509) *
x509_read_bag(const void *mem, size_t len, struct err *e)
{
	return x509_read_many(mem, len, CHAIN_MAX, e);
}

STACK_OF(X509) *
x509_read_many(const void *mem, size_t len, int max, struct err *e)
{
	struct bag bag = { .max = max };
	struct str text = STR_INIT;
	int rc = 0;

	if (len == 0) {
		err_set(e, RC_PARSE, "%s: it is empty", not_certificates);
		return NULL;
	}
	if (len > CERT_MAX) {
		err_set(e, RC_LIMIT, "this has %zu bytes; certificates of more than %d bytes are not read", len, CERT_MAX);
		return NULL;
	}
	bag.certs = sk_X509_new_null();
	if (bag.certs == NULL)
		abort();
	pem_plain(mem, len, &text);
	if (memmem(text.s, text.len, "-----BEGIN ", 11) != NULL)
		rc = bag_add_text(&bag, &text, e);
	else if (*(const unsigned char *)mem == 0x30)
		rc = der_is_cut(mem, len) ? cut_off(e) : bag_add_binary(&bag, mem, len, e);
	else
		rc = bag_add_bare(&bag, &text, e);
	if (rc == 0 && sk_X509_num(bag.certs) == 0)
		rc = bag_refuse(&bag, e);
	str_release(&text);
	ERR_clear_error();
	if (rc == 0)
		return bag.certs;
	x509_stack_free(bag.certs);
	return NULL;
}
