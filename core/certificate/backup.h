/* backup.c and pkcs12.c: a private key on its way in or out of a file. Nobody else includes this. */
#ifndef MXSEAL_CERTIFICATE_BACKUP_H
#define MXSEAL_CERTIFICATE_BACKUP_H

#include "private.h"

/* What a file is opened with, and what is found in it. */
struct opening {
	OSSL_LIB_CTX *lib;             /* of its own: old ciphers work here and nowhere else in the program */
	bool has_legacy;
	const struct secret *passphrase;
	uint64_t rounds;               /* of key derivation so far: a file must not keep us busy for hours */
	STACK_OF(X509) *certs;
	EVP_PKEY *key;
	int keys;                      /* different ones */
	bool clear;                    /* the key was not encrypted */
	struct str weak;               /* ciphers that do not protect it: "RC2 with 40 bits, 3DES" */
};

int opening_cert(struct opening *o, X509 *x, struct err *e);         /* takes a reference of its own */
void opening_key(struct opening *o, EVP_PKEY *key);                  /* takes it over */
/* An encryption that stands in the file: notes it when it is weak, adds its rounds. RC_LIMIT, RC_CERT. */
int opening_cipher(struct opening *o, const X509_ALGOR *a, struct err *e);
/* Key derivation of so many rounds is about to be done. RC_LIMIT: too many. */
int opening_rounds(struct opening *o, uint64_t rounds, struct err *e);
int wrong_passphrase(const struct opening *o, struct err *e);        /* RC_PASSPHRASE: none given, or not this one */

/* pkcs12.c: 0: all of it was taken; 1: it is no PKCS#12 file. */
int pkcs12_open(struct opening *o, const void *mem, size_t len, struct err *e);

#endif
