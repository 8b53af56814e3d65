/* Certificates of every kind that a test wants, good and bad, made in memory; and the openssl program as a second opinion. */
#ifndef MXSEAL_TEST_PKI_H
#define MXSEAL_TEST_PKI_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>

#include "mxseal/str.h"

/* Everything that is 0 or NULL has a usual value: the comment says which. */
struct pki_spec {
	const char *cn;            /* none */
	const char *names;         /* subjectAltName as OpenSSL's configuration writes it: "DNS:a.test,IP:192.0.2.1"; none */
	int64_t from, until;       /* PKI_NOW - 1 day, PKI_NOW + 90 days */
	const char *constraints;   /* basicConstraints: "critical,CA:FALSE"; "" leaves it out */
	const char *usage;         /* keyUsage: "critical,digitalSignature" or, for "CA:TRUE", "critical,keyCertSign,cRLSign";
	                            * "" leaves it out */
	const char *purpose;       /* extendedKeyUsage: serverAuth or, for CAs, none; "" leaves it out */
	const char *constrain;     /* nameConstraints: "permitted;DNS:a.test"; none */
	const char *critical;      /* an extension nobody knows with this OID, critical; none */
	const char *digest;        /* SHA256 */
	const EVP_PKEY *key;       /* of the subject: must be given */
	X509 *issuer;              /* signs itself */
	const EVP_PKEY *issuer_key;
	int version;               /* 3 */
};

#define PKI_DAY 86400
#define PKI_NOW INT64_C(1790000000)          /* 2026-09-21: the present of these tests */

EVP_PKEY *pki_key(const char *kind);                         /* "P-256", "P-384", "RSA2048", "ED25519", "DSA" */
X509 *pki_make(const struct pki_spec *spec);
void  pki_pem(X509 *x, struct str *out);                     /* appended */
void  pki_der(X509 *x, struct str *out);
void  pki_p7(X509 *const *list, int n, int pem, struct str *out);   /* degenerate PKCS#7 */
void  pki_public_pem(const EVP_PKEY *key, struct str *out);
void  pki_spki(const EVP_PKEY *key, char sha256[65]);
X509_REQ *pki_request(const EVP_PKEY *key, const char *subject_cn, const char *names);
void  pki_request_pem(X509_REQ *req, struct str *out);

/* Runs a shell command in a folder, output and errors into out (may be NULL); its exit status. */
int   pki_run(const char *dir, struct str *out, const char *fmt, ...) PRINTF_LIKE(3, 4);
void  pki_save(const char *dir, const char *name, const void *mem, size_t len);

#endif
