/* X.509 work by OpenSSL: requests, chains, does this answer fit. No network, no files. Everything parsed here may be
 * hostile: at most CERT_MAX bytes, CHAIN_MAX certificates. */
#ifndef MXSEAL_CERTIFICATE_H
#define MXSEAL_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/model.h"
#include "mxseal/secret.h"
#include "mxseal/str.h"

#define CERT_MAX (1024 * 1024)
#define CHAIN_MAX 16

/* --- subject fields (X.520 upper bounds, RFC 5280 appendix A.1) --- */
/* field: "cn" "o" "ou" "c" "st" "l" "san". RC_INVALID with what is wrong and what it takes. Empty is fine for all but cn. */
int subject_field_check(const char *field, const char *value, struct err *e);
/* Appends the name as A-labels (libidn2), lower case, without a dot at the end; refuses empty labels and characters that no
 * host name has (also the underscore). "*." is allowed in front. IP addresses pass, in their shortest form. */
int name_to_ascii(const char *name, struct str *out, struct err *e);
/* Does pattern (from a certificate) cover name (RFC 6125: one left-most label per wildcard, and two labels at least behind
 * it)? Answers as OpenSSL's X509_check_host does without partial wildcards. name may be an IDN as people write it. */
bool name_covers(const char *pattern, const char *name);
/* The names that a certificate for this subject has to have: its common name when that is a host name, then its alternative
 * names; A-labels, no doubles, blank between. out is emptied first. RC_INVALID when a field is refused. */
int subject_names(const struct subject *s, struct str *out, struct err *e);
/* The name as people read it (U-labels), where it has a label of "xn--"; false: it has none, or none that can be read. */
bool name_to_people(const char *name, struct str *out);
/* Looks this name as if a slip had been made in one of these domains (A-labels, blank between), or in ".com"? meant is appended
 * then: the name that was probably meant. A name below one of the domains is right. */
bool name_slip(const char *name, const char *domains, struct str *meant);
struct country { const char *code, *name; };
extern const struct country countries[];          /* ISO 3166-1, by name, ended by NULL */

/* --- requests: the key is elsewhere, so the request is built in two halves --- */
/* The CertificationRequestInfo (RFC 2986) as DER, to be signed (SHA-256; SHA-384 for P-384) where the key lives. Subject in
 * the order C, ST, L, O, OU, CN. A common name that is a host name is written as its A-label and is the first alternative
 * name. RC_INVALID: a field is refused; RC_PARSE: no public key; RC_CERT: a key that authorities refuse. */
int csr_to_sign(const struct subject *s, const char *public_key_pem, struct str *der, struct err *e);
/* Puts the signature in and checks it: PEM out. RC_CERT when it was not made with this key and csr_digest(). */
int csr_finish(const struct str *der, const char *public_key_pem, const void *signature, size_t len, struct str *pem,
        struct err *e);
const char *csr_digest(enum key_kind k);          /* "sha256", "sha384" */
/* Reads a PKCS#10 (PEM or DER): subject, names, kind, public key hash, PEM. Its signature is checked: RC_CERT when it is
 * wrong or the key is weak. */
int csr_read(const void *mem, size_t len, struct request *out, struct err *e);

/* --- certificates --- */
/* Everything that can be certificates: PEM (with text around), DER, PKCS#7 in both; sorted leaf first, then issuers.
 * Duplicates dropped. out->pem has leaf and chain without a self-signed root; other fields are of the leaf.
 * spki_sha256 (may be NULL): the leaf is the one with this key. When there is none, and without a key, it is the first that is
 * no CA and issued none of the others: whether it is for another key is a question for cert_fits. RC_PARSE: no certificate in it (says when it is a request, a key, a PKCS#12
 * file); RC_LIMIT. */
int cert_read(const void *mem, size_t len, const char *spki_sha256, struct certificate *out, struct err *e);
/* Same for the first certificate of a PEM text, whatever it is; out->pem is that one alone. */
int cert_describe(const char *pem, struct certificate *out, struct err *e);
/* The subject and names of the first certificate of a PEM text, as a request would have them. */
int cert_subject(const char *pem, struct subject *out, struct err *e);
int cert_spki_of_public_key(const char *public_key_pem, char sha256[65], char **type, int *bits, struct err *e);
struct cert_line { char *subject, *issuer, *sha256; int64_t not_before, not_after; bool is_ca, self_signed; };
struct cert_line_list { struct cert_line *v; size_t n; };
void cert_line_list_release(struct cert_line_list *l);
int cert_chain_lines(const char *pem, struct cert_line_list *out, struct err *e);

/* Does this answer fit this request? names: what must be covered (blank between). roots: extra trust anchors as PEM, may be
 * NULL. Refused with RC_CERT and the reason: other key, altered, critical extension unknown, CA certificate, expired, not
 * yet valid, weak key, weak signature, not for servers, name not covered. warnings (may be NULL; one per line): issuer
 * unknown here, chain incomplete, signed by itself, ends soon (under 30 days and a third of its life), an issuer that is
 * weak, has expired or ends earlier, no alternative names. */
int cert_fits(const struct certificate *c, const char *spki_sha256, const char *names, const char *roots, int64_t now,
        struct str *warnings, struct err *e);
/* Does its chain lead to an authority that is known here, by the system's roots or by roots (PEM, may be NULL), and is every issuer
 * in it signed as peers accept? RC_CERT with the issuer that is missing, and what can be done. cert_fits only warns of these. */
int cert_issuer_known(const struct certificate *c, const char *roots, int64_t now, struct err *e);
/* Chain and name verdict in words, as a peer would see it that verifies. trusted: by system roots or roots, dates aside;
 * in_time: the whole chain; name_ok: also when name is NULL. code: of X509_V_..., 0 when all three are true, else of the
 * gravest. text is clean. Takes a few milliseconds; safe in any thread. */
struct cert_verdict { bool trusted, name_ok, in_time; int code; char text[256]; };
void cert_verify(const char *pem, const char *name, const char *roots, int64_t now, struct cert_verdict *out);
/* The same by these roots and no others (NULL: nobody is trusted): the trust store of a mail host, read as OpenSSL reads it there; files
 * of a folder stand in it below "==> NAME <==", and each counts up to its own damage. */
void cert_verify_by(const char *pem, const char *name, const char *roots, int64_t now, struct cert_verdict *out);
/* Would OpenSSL take this file of trusted authorities (CAfile)? It takes all of it or, for one damaged block, nothing. RC_CERT: no;
 * "block 3 of it, at line 47, is damaged (bad base64 decode)". */
int  cert_bundle_check(const char *text, struct err *e);
/* Files of a folder that it takes only in part or not: "PATH is damaged (why): who is in it is not trusted", a line each. */
void cert_folder_damage(const char *text, struct str *out);
/* Does a TLSA record (usage 3: the leaf, else any of the chain; selector 0 certificate, 1 key; matching 0 whole, 1 SHA-256, 2
 * SHA-512; hex) allow the chain? */
bool cert_tlsa_matches(const char *pem, int usage, int selector, int matching, const char *hex);

/* --- seal.c: secrets at rest: scrypt (N=2^15, r=8, p=1) and AES-256-GCM, as one line of text --- */
/* RC_PASSPHRASE when none is given. Takes about 0.1 s and 32 MB, as unseal does. Appends to out. */
int seal(const struct secret *plain, const struct secret *passphrase, struct str *out, struct err *e);
/* RC_PASSPHRASE when the passphrase is missing or wrong, RC_PARSE when the line is damaged. */
int unseal(const char *sealed, const struct secret *passphrase, struct secret *plain, struct err *e);

/* --- backup.c: a certificate with its key in a file: PKCS#12 (RFC 7292) or PEM, and the key when it lives here --- */
struct backup {
	struct str pem;             /* its certificates, in file order */
	struct secret key;          /* PEM, PKCS#8 in clear: to be sealed, never to be written */
	char spki_sha256[65];       /* of the key */
	char *weak;                 /* ciphers that do not protect the file: "RC2 with 40 bits, 3DES"; NULL: none of these */
	bool clear;                 /* the key stood there unencrypted */
};
void backup_release(struct backup *b);
/* key, key_len: of a key in a file of its own, 0 when it is in the same. PEM keys may be encrypted, certificates come in any
 * order and as DER or PKCS#7 too. RC_PASSPHRASE: the file's own is missing (passphrase may be NULL) or wrong; RC_CERT: no key,
 * several keys, a key that fits none of the certificates; RC_PARSE; RC_LIMIT, also of work that a file asks for. Nothing is
 * judged of the certificate itself (cert_read, cert_fits). */
int backup_read(const void *mem, size_t len, const void *key, size_t key_len, const struct secret *passphrase, struct backup *out,
        struct err *e);
/* PKCS#12: AES-256, keys by PBKDF2 with HMAC-SHA-256, integrity by HMAC-SHA-256: read by OpenSSL since 1.0 and by Windows
 * since 10 (1709) and Server 2019. pem: leaf first; key_pem as in struct backup. Appended. */
int backup_write(const char *pem, const struct secret *key_pem, const char *name, const struct secret *passphrase, struct str *out,
        struct err *e);
/* The public half, PEM, of a key as in struct backup; and a signature with it (digest as csr_digest says). */
int key_public(const struct secret *pem, struct str *public_key, struct err *e);
int key_sign(const struct secret *pem, const char *digest, const void *mem, size_t len, unsigned char *out, size_t max, size_t *n,
        struct err *e);

/* --- rsasign.c: RSA user keys of SSH with SHA-2 signatures (RFC 8332) --- */
struct rsa_key;
/* A private key as PEM, PKCS#8 (also encrypted) or OpenSSH's own form (unencrypted only). RC_PASSPHRASE: wrong passphrase or
 * damaged; RC_INVALID: no RSA key. passphrase may be NULL. */
int  rsa_key_read(struct rsa_key **out, const void *mem, size_t len, const struct secret *passphrase, struct err *e);
void rsa_key_public(const struct rsa_key *k, struct str *blob);     /* appended in SSH's form (RFC 4253 6.6) */
/* algorithm: "rsa-sha2-512" or "rsa-sha2-256". Appends the bare signature. */
int  rsa_key_sign(const struct rsa_key *k, const char *algorithm, const void *mem, size_t len, struct str *signature,
         struct err *e);
void rsa_key_free(struct rsa_key *k);

/* --- digest.c --- */
void sha256_hex(const void *mem, size_t len, char out[65]);
void sha256_base64(const void *mem, size_t len, char out[48]);      /* without padding, as ssh shows fingerprints */
void hmac_sha1(const void *key, size_t klen, const void *mem, size_t len, unsigned char out[20]);
int  base64_decode(const char *text, size_t len, unsigned char *out, size_t max, size_t *n);   /* -1: not base64 */
void base64_encode(const void *mem, size_t len, struct str *out);
void random_bytes(void *mem, size_t len);

#endif
