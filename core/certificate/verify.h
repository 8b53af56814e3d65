/* Verification, shared by verify.c and fits.c. */
#ifndef MXSEAL_CERTIFICATE_VERIFY_H
#define MXSEAL_CERTIFICATE_VERIFY_H

#include "mxseal/x509.h"

/* What is wrong with a chain, dates and everything else apart. Codes of X509_V_...; depth 0 is the server's own. */
struct verify_result {
	int code, depth;
	int time_code, time_depth;
	char who[160];             /* whose certificate code is about, where that is not the server's own; with a weak key, which */
};

void verify_chain(X509 *leaf, STACK_OF(X509) *untrusted, const char *roots, int64_t now, struct verify_result *out);
/* By these roots and no others. */
void verify_chain_by(X509 *leaf, STACK_OF(X509) *untrusted, const char *roots, int64_t now, struct verify_result *out);
bool verify_name(X509 *leaf, const char *name);      /* an empty name is no question */
const char *verify_words(int code);

#endif
