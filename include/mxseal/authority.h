/* The own certificate authority: a key kept sealed in the store, issuing server certificates for requests. */
#ifndef MXSEAL_AUTHORITY_H
#define MXSEAL_AUTHORITY_H

#include "mxseal/certificate.h"

/* What to make. */
struct authority_wish {
	const char *name, *cn;
	enum key_kind kind;
	int days;                           /* never beyond the end of parent */
	const char *permit;                 /* domains, blank between: it issues for names under them only; NULL or "": for all */
	const struct authority *parent;     /* signs it; NULL: a root, which one more may stand below */
};
/* Makes one; the key is sealed with the passphrase, that of parent is unsealed with it. out is ready for the store: pem has its
 * certificate and what is above it, policy is "always", days (life of what it issues) a year or its own life. RC_INVALID: a bad
 * field; RC_CERT: parent may have none below it, has expired, or is limited to other domains. RSA keys take up to a second. */
int authority_make(const struct authority_wish *w, const struct secret *passphrase, int64_t now, struct authority *out,
        struct err *e);
int authority_permit_check(const char *permit, struct err *e);      /* while typing */
/* New dates under the same key and subject, signed by the one above (NULL: a root): what it issued stays valid. days 0: as many as
 * it had. Also for one that has expired. */
int authority_renew(struct authority *a, const struct authority *above, const struct secret *passphrase, int days, int64_t now,
        struct err *e);
/* Did above sign the certificate of a? */
bool authority_is_above(const struct authority *above, const struct authority *a);
/* Its own certificate, and behind it those of above as they are now. */
int authority_rechain(struct authority *a, const struct authority *above, struct err *e);
/* permits (appended): domains it is limited to, blank between. */
void authority_limits(const struct authority *a, struct str *permits, bool *root);
/* Could it sign now? Passphrase, key and dates are tried as authority_issue does, before the work that needs it. */
int authority_opens(const struct authority *a, const struct secret *passphrase, int64_t now, struct err *e);
/* Issues a server certificate for a PKCS#10: subject and names of the request (its signature is checked, its extensions
 * are not trusted: only DNS and IP names are taken over), serverAuth, random 128-bit serial, a->days or less, never longer
 * than the authority itself. pem gets leaf and the authority's chain, row->pem the leaf. RC_CERT: a request with a weak key or a
 * wrong signature, a name outside of what it may issue for, an expired authority; RC_INVALID: no usable names; RC_PASSPHRASE when the passphrase is wrong. */
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
