/* What the files of the own authority share. Private to this folder. */
#ifndef MXSEAL_AUTHORITY_PRIVATE_H
#define MXSEAL_AUTHORITY_PRIVATE_H

#include "mxseal/authority.h"
#include "mxseal/x509.h"

/* Its certificate, in time, and its key, unsealed: the caller frees both. Both NULL on failure. */
int authority_open(const struct authority *a, const struct secret *passphrase, int64_t now, X509 **issuer, EVP_PKEY **key,
        struct err *e);

/* A private key as PKCS#8, sealed (appended), and back: NULL with e set, RC_PASSPHRASE when the passphrase is wrong. */
int authority_seal_key(EVP_PKEY *key, const struct secret *passphrase, struct str *out, struct err *e);
EVP_PKEY *authority_unseal_key(const struct authority *a, const struct secret *passphrase, struct err *e);

#endif
