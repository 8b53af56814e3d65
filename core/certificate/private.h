/* What the files of this folder share beside mxseal/x509.h. */
#ifndef MXSEAL_CERTIFICATE_PRIVATE_H
#define MXSEAL_CERTIFICATE_PRIVATE_H

#include "mxseal/x509.h"

/* One block of PEM text. Pointers lead into the text. */
struct pem_block {
	const char *label, *body;      /* not terminated */
	size_t label_len, body_len;
};

/* The next block at or after *at; *at moves behind it. False at the end. Lenient: any line ends, indented or quoted lines,
 * long lines, text around; a block without its end line is not one. (pem.c) */
bool pem_next(const char *text, size_t len, size_t *at, struct pem_block *out);
bool pem_label_is(const struct pem_block *b, const char *label);
/* The bytes of a block; NULL when it is not base64 (an encrypted block has headers and is not). Freed with free(). */
unsigned char *pem_bytes(const struct pem_block *b, size_t *n);
/* Text as Windows and mail programs leave it: UTF-16 to bytes, byte order marks off. Appended to out. */
void pem_plain(const void *mem, size_t len, struct str *out);

/* chain.c */
bool  chain_issued(X509 *issuer, X509 *x);                       /* names, identifiers and signature */
bool  chain_signed(X509 *issuer, X509 *x);                       /* the signature only */
bool  chain_claims(X509 *issuer, X509 *x);                       /* names and identifiers only */
bool  chain_is_ca(X509 *x);
X509 *chain_leaf(STACK_OF(X509) *all, const char *spki);         /* lent; the one with this key, if any */
STACK_OF(X509) *chain_order(STACK_OF(X509) *all, X509 *leaf);    /* x509_stack_free() */

#endif
