/* OpenSSL objects shared by the rooms that know OpenSSL (certificate, authority, probe): nobody else includes this. All of
 * these leave OpenSSL's error queue empty, and what they give as text is already cleaned for showing. */
#ifndef MXSEAL_X509_H
#define MXSEAL_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "mxseal/certificate.h"

/* --- x509.c: from objects to our words --- */
/* The oldest reason in OpenSSL's queue in its words, for the end of a sentence; empties the queue. Per-thread buffer. */
const char *x509_reason(void);
int64_t x509_time(const ASN1_TIME *t);                            /* 0: unreadable */
char *x509_name_text(const X509_NAME *name);                      /* "CN=mx, O=Bank": most particular first */
char *x509_name_field(const X509_NAME *name, int nid);            /* the last of that kind, cleaned; or NULL */
void  x509_alt_names(const GENERAL_NAMES *names, struct str *out);  /* DNS and IP names, blank between */
char *x509_serial_text(const ASN1_INTEGER *serial);               /* lower-case hex */
int   x509_to_pem(X509 *x, struct str *out, struct err *e);       /* appended */
int   x509_sha256(X509 *x, char out[65]);
int   x509_spki_sha256(X509_PUBKEY *key, char out[65]);
/* All of a certificate but the PEM text. RC_PARSE when its dates are unreadable. */
int   x509_describe(X509 *x, struct certificate *out, struct err *e);
bool  x509_self_signed(X509 *x);
/* Type and size in words: "RSA 1024", "EC prime256v1", for sentences. Per-thread buffer. */
const char *x509_key_words(EVP_PKEY *key);
/* Is this a key that we sign for? RC_CERT with what it is. kind may be NULL. */
int   x509_key_kind(EVP_PKEY *key, enum key_kind *kind, struct err *e);
const EVP_MD *x509_digest(EVP_PKEY *key);                         /* SHA-384 for P-384, else SHA-256 */
EVP_PKEY *x509_public_key(const char *pem, struct err *e);        /* from "PUBLIC KEY" text; NULL with e set */

/* --- bag.c: everything that can be certificates, in file order, without duplicates, at most CHAIN_MAX --- */
STACK_OF(X509) *x509_read_bag(const void *mem, size_t len, struct err *e);
STACK_OF(X509) *x509_read_many(const void *mem, size_t len, int max, struct err *e);   /* no chain: a list of anchors */
/* trusted.c: as a mail host itself reads its authorities, see cert_folder_damage; never NULL, at most max. */
STACK_OF(X509) *x509_read_trusted(const char *text, int max);
void x509_stack_free(STACK_OF(X509) *s);

/* --- csr.c: what a request and an issued certificate have in common --- */
X509_NAME *x509_subject_build(const struct subject *s, struct err *e);
/* SAN (names: blank between), key usage and server authentication. */
int x509_server_extensions(STACK_OF(X509_EXTENSION) **out, const char *names, EVP_PKEY *key, struct err *e);
/* PEM or DER; its signature is checked. NULL with e set. */
X509_REQ *x509_request_read(const void *mem, size_t len, struct err *e);

#endif
