/* What the files of the own authority share. Private to this folder. */
#ifndef MXSEAL_AUTHORITY_PRIVATE_H
#define MXSEAL_AUTHORITY_PRIVATE_H

#include "mxseal/authority.h"
#include "mxseal/x509.h"

/* Its certificate, in time, and its key, unsealed: the caller frees both. Both NULL on failure. */
int authority_open(const struct authority *a, const struct secret *passphrase, int64_t now, X509 **issuer, EVP_PKEY **key,
        struct err *e);

#define DAY 86400
#define BACKDATE 300             /* peers whose clock is a little behind must not see a certificate from the future */
#define DAYS_MAX 36500
#define ISSUE_DAYS 365           /* life of what it issues, where nothing else was chosen */

/* Its own certificate first, then what is above it. x509_stack_free(); NULL with e set. */
STACK_OF(X509) *authority_chain(const struct authority *a, struct err *e);

/* Parts of a certificate; 0 or -1. below: how many authorities may stand between it and a server, -1: it is a server's. */
int authority_set_serial(X509 *x);
int authority_set_dates(X509 *x, int64_t from, int64_t until);
int authority_add_extension(X509 *x, int nid, void *value, int critical);
int authority_add_constraints(X509 *x, int below);
int authority_add_key_id(X509 *x);
int authority_add_issuer_id(X509 *x, X509 *issuer);

/* A private key as PKCS#8, sealed (appended), and back: NULL with e set, RC_PASSPHRASE when the passphrase is wrong. */
int authority_seal_key(EVP_PKEY *key, const struct secret *passphrase, struct str *out, struct err *e);
EVP_PKEY *authority_open_key(const struct authority *a, const struct secret *passphrase, struct err *e);

#endif
