/* What the files of the own authority share. Private to this folder. */
#ifndef MXSEAL_AUTHORITY_PRIVATE_H
#define MXSEAL_AUTHORITY_PRIVATE_H

#include "mxseal/authority.h"
#include "mxseal/x509.h"

/* Its certificate, in time, and its key, unsealed: the caller frees both. Both NULL on failure. */
int authority_open(const struct authority *a, const struct secret *passphrase, int64_t now, X509 **issuer, EVP_PKEY **key,
        struct err *e);

#endif
