/* An ACME authority (RFC 8555): a client that talks to one directory over https and believes nothing it hears. Every answer
 * has a ceiling and a deadline, every URL must be https at the directory's own host, no redirect is followed, tokens are
 * letters, digits, hyphen and underscore. Failures are one sentence: RC_NET, RC_TIMEOUT, RC_TLS (its https), RC_PARSE (not
 * what RFC 8555 says), RC_LIMIT, RC_REMOTE (it refuses, with its reason), RC_CERT. Runs in a worker. */
#ifndef MXSEAL_ACME_H
#define MXSEAL_ACME_H

#include <stdbool.h>
#include <stdint.h>

#include "mxseal/err.h"
#include "mxseal/job.h"
#include "mxseal/model.h"
#include "mxseal/secret.h"
#include "mxseal/str.h"

/* Directories that are known for certain; ended by a row without name. */
struct acme_public { const char *name, *directory, *title; };
extern const struct acme_public acme_public[];

/* --- the account's key --- */
struct acme_key;
/* kind: EC P-256 (signs with ES256) or RSA (RS256). */
int  acme_key_make(struct acme_key **out, enum key_kind kind, struct err *e);
int  acme_key_seal(const struct acme_key *k, const struct secret *passphrase, struct str *sealed, struct err *e);
/* From a->sealed_key. RC_PASSPHRASE when the passphrase is wrong. */
int  acme_key_unseal(struct acme_key **out, const struct authority *a, const struct secret *passphrase, struct err *e);
void acme_key_free(struct acme_key *k);

/* --- the client --- */
struct acme;
/* How long one answer may take and how long all of it; NULL where one is asked for: 20 s and 3 minutes. */
struct acme_patience { int reply_ms, whole_ms; };
/* Nobody is contacted yet. directory: its URL; anchors: PEM of who vouches for its https, NULL: the system's. RC_INVALID:
 * no https URL, no certificates in anchors. */
int  acme_open(struct acme **out, const char *directory, const char *anchors, const struct acme_patience *p, struct job_ctx *ctx,
         struct err *e);
void acme_close(struct acme *c);
/* Asks for the directory, once. terms: URL of its terms of service or NULL (caller frees); bound: it wants an external account. */
int  acme_look(struct acme *c, char **terms, bool *bound, struct err *e);
/* Makes an account, or finds the one of this key; account gets its URL (caller frees). agreed: the terms. eab_kid, eab_key
 * (base64url as the authority gave it): external account, or NULL. */
int  acme_register(struct acme *c, const struct acme_key *k, const char *contact, bool agreed, const char *eab_kid,
         const struct secret *eab_key, char **account, struct err *e);

/* What proves that a name is ours: kind "http-01": at http://DOMAIN/.well-known/acme-challenge/TOKEN stands answer;
 * "dns-01": the TXT record _acme-challenge.DOMAIN is answer. */
struct acme_proof { const char *kind, *domain, *token, *answer; };
/* What an order asks of its caller. */
struct acme_ways {
	void *arg;
	/* The order as it stands must survive a crash: called before each step. */
	int  (*save)(void *arg, struct err *e);
	/* Puts a proof up; unprove takes it away, also after prove failed. */
	int  (*prove)(void *arg, const struct acme_proof *p, struct err *e);
	void (*unprove)(void *arg, const struct acme_proof *p);
};
/* Takes a token out of acme_order.token. */
void acme_token_gone(struct acme_order *o, const char *token);
/* The words that acme_order.state takes on the way, in order, ended by NULL. */
extern const char *const acme_steps[];
/* Carries an order through, from wherever it was left (o->url), or places it anew. kind: of the proofs. names: blank between,
 * what the request is for. pem gets the answer: exactly these names, nothing in its chain past its end; whether it fits the
 * request is a question for cert_fits. */
int  acme_obtain(struct acme *c, const struct acme_key *k, const char *account, const char *kind, struct acme_order *o,
         const char *names, const char *csr_pem, const struct acme_ways *w, struct str *pem, struct err *e);
/* When the authority would like this certificate renewed (RFC 9773). False: it does not say. again: when to ask once more. */
int  acme_window(struct acme *c, const char *cert_pem, bool *said, int64_t *from, int64_t *until, int64_t *again, struct err *e);

/* Checks that are made before anybody is contacted. RC_INVALID. */
int  acme_directory_check(const char *url, struct err *e);
int  acme_challenge_check(const char *challenge, struct err *e);
/* "http-01" or "dns-01"; detail: the folder or program behind it, or NULL. */
const char *acme_challenge_kind(const char *challenge, const char **detail);

#endif
