/* The own certificate authority: a key kept sealed in the store, issuing server certificates for requests. */
#ifndef MXSEAL_AUTHORITY_H
#define MXSEAL_AUTHORITY_H

#include "mxseal/certificate.h"

/* Makes a root: subject CN, days of life; the key is sealed with the passphrase. out is ready for the store: policy is
 * "always", out->days (life of what it issues) a year or the life of the root. RSA keys take up to a second: in a worker. */
int authority_make(const char *name, const char *cn, enum key_kind kind, int days, const struct secret *passphrase, int64_t now,
        struct authority *out, struct err *e);
/* Could it sign now? Passphrase, key and dates are tried as authority_issue does, before the work that needs it. */
int authority_opens(const struct authority *a, const struct secret *passphrase, int64_t now, struct err *e);
/* Issues a server certificate for a PKCS#10: subject and names of the request (its signature is checked, its extensions
 * are not trusted: only DNS and IP names are taken over), serverAuth, random 128-bit serial, a->days or less, never longer
 * than the authority itself. pem gets leaf and authority certificate, row->pem the leaf. RC_CERT: a request with a weak key
 * or a wrong signature, an expired authority; RC_INVALID: no usable names; RC_PASSPHRASE when the passphrase is wrong. */
int authority_issue(const struct authority *a, const struct secret *passphrase, const char *csr_pem, int64_t now,
        struct str *pem, struct issued *row, struct err *e);

/* Why a certificate is revoked, in our words and with the CRLReason of RFC 5280 section 5.3.1; ended by a row without name. */
struct revocation_reason { const char *name; int code; const char *help; };
extern const struct revocation_reason revocation_reasons[];
const struct revocation_reason *revocation_reason_find(const char *name);

/* Makes the revocation list (RFC 5280 section 5, version 2) of what is revoked and not yet past its end: PEM. number: above
 * that of the list before; days: until the next one is due. RC_PASSPHRASE when the passphrase is wrong. */
int authority_crl(const struct authority *a, const struct secret *passphrase, const struct issued_list *l, int64_t number,
        int days, int64_t now, struct str *pem, struct err *e);

#endif
