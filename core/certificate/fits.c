/* Does this answer fit this request, and can it serve mail? Each refusal is a row of a table, asked in the order in which a
 * person wants to hear of it: an authority's own certificate first, then another key. What would work but not for
 * everybody is a warning. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"
#include "verify.h"

#define DAY 86400
#define SOON (30 * DAY)

struct question {
	STACK_OF(X509) *chain;
	X509 *leaf;
	const char *spki, *names, *subject;    /* subject: short, of the leaf */
	int64_t now, not_before, not_after;
	struct verify_result verified;
};

static void
date_text(int64_t t, char out[32])
{
	time_t when = (time_t)t;
	struct tm tm;

	if (gmtime_r(&when, &tm) == NULL || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		out[0] = '\0';
}

/* The common name is what people call it by. */
static char *
short_subject(X509 *x)
{
	char *cn = x509_name_field(X509_get_subject_name(x), NID_commonName), *whole = NULL, *result;

	if (text_empty(cn))
		whole = x509_name_text(X509_get_subject_name(x));
	result = xasprintf("\"%s\"", clean(whole != NULL ? whole : cn));
	free(whole);
	free(cn);
	return result;
}

/* --- refusals --- */

static int
refuse_other_key(const struct question *q, struct err *e)
{
	char sha[65];

	if (text_empty(q->spki))
		return 0;
	if (x509_spki_sha256(X509_get_X509_PUBKEY(q->leaf), sha) == 0 && strcmp(sha, q->spki) == 0)
		return 0;
	err_set(e, RC_CERT, "the certificate %s is for another key than the one of this request", q->subject);
	return err_hint(e, "it answers another request; look for the one it belongs to, or ask the authority again");
}

static int
refuse_damaged(const struct question *q, struct err *e)
{
	uint32_t flags = X509_get_extension_flags(q->leaf);
	X509 *next = sk_X509_value(q->chain, 1);

	if ((q->verified.code == X509_V_ERR_CERT_SIGNATURE_FAILURE && q->verified.depth == 0)
	    || (next != NULL && chain_claims(next, q->leaf) && !chain_signed(next, q->leaf)))
		return err_set(e, RC_CERT, "the signature on the certificate %s is wrong: it was altered or damaged", q->subject);
	if (flags & EXFLAG_INVALID)
		return err_set(e, RC_CERT, "the certificate %s has damaged extensions", q->subject);
	if (flags & EXFLAG_CRITICAL) {
		err_set(e, RC_CERT, "the certificate %s has a critical extension that peers do not understand", q->subject);
		return err_hint(e, "it may be a pre-certificate; ask the authority for the final one");
	}
	return 0;
}

static int
refuse_authority(const struct question *q, struct err *e)
{
	if (!chain_is_ca(q->leaf))
		return 0;
	err_set(e, RC_CERT, "the certificate %s is an authority's own certificate (CA:TRUE), not a server's", q->subject);
	return err_hint(e, "take the certificate that the authority issued for the request; this one belongs behind it in the chain");
}

static int
refuse_dates(const struct question *q, struct err *e)
{
	char when[32];

	if (q->now > q->not_after) {
		date_text(q->not_after, when);
		err_set(e, RC_CERT, "the certificate %s expired on %s", q->subject, when);
		return err_hint(e, "ask the authority for a new one; the same request can be sent again");
	}
	if (q->now < q->not_before) {
		date_text(q->not_before, when);
		err_set(e, RC_CERT, "the certificate %s is not valid before %s", q->subject, when);
		return err_hint(e, "check the clock of this machine, or wait until then");
	}
	return 0;
}

static int
refuse_purpose(const struct question *q, struct err *e)
{
	if (X509_check_purpose(q->leaf, X509_PURPOSE_SSL_SERVER, 0) == 1)
		return 0;
	err_set(e, RC_CERT, "the certificate %s may not be used for servers (its key usage says so)", q->subject);
	return err_hint(e, "ask the authority for a server certificate (serverAuth)");
}

/* The least that peers take of this kind of key, when it has less; else 0. */
static int
weak_key(EVP_PKEY *key)
{
	int least = EVP_PKEY_is_a(key, "EC") ? 256 : EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS") ? 2048 : 0;

	return EVP_PKEY_get_bits(key) < least ? least : 0;
}

static int
refuse_key(const struct question *q, struct err *e)
{
	EVP_PKEY *key = X509_get0_pubkey(q->leaf);
	int least;

	if (key == NULL)
		return err_set(e, RC_CERT, "the key of the certificate %s is of a kind that cannot be used", q->subject);
	if ((least = weak_key(key)) != 0)
		return err_set(e, RC_CERT, "the key of the certificate %s is too weak: %s; %d bits are the least", q->subject,
		    x509_key_words(key), least);
	if (!EVP_PKEY_is_a(key, "RSA") && !EVP_PKEY_is_a(key, "EC") && !EVP_PKEY_is_a(key, "ED25519")
	    && !EVP_PKEY_is_a(key, "ED448") && !EVP_PKEY_is_a(key, "RSA-PSS"))
		return err_set(e, RC_CERT, "the key of the certificate %s is %s, which TLS does not take", q->subject,
		    x509_key_words(key));
	return 0;
}

static const char *
weak_digest(X509 *x)
{
	int digest = NID_undef;

	X509_get_signature_info(x, &digest, NULL, NULL, NULL);
	ERR_clear_error();
	switch (digest) {
	case NID_md2: case NID_md4: case NID_md5: case NID_md5_sha1: return "MD5";
	case NID_sha1: return "SHA-1";
	}
	return NULL;
}

static int
refuse_signature(const struct question *q, struct err *e)
{
	const char *weak = weak_digest(q->leaf);

	if (weak == NULL)
		return 0;
	err_set(e, RC_CERT, "the certificate %s is signed with %s, which peers refuse", q->subject, weak);
	return err_hint(e, "the authority must sign with SHA-256 or better");
}

static void
own_names(X509 *leaf, struct str *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	char *cn;

	if (names != NULL)
		x509_alt_names(names, out);
	GENERAL_NAMES_free(names);
	if (out->len > 0)
		return;
	cn = x509_name_field(X509_get_subject_name(leaf), NID_commonName);
	if (cn != NULL)
		str_add(out, cn);
	free(cn);
}

static int
refuse_names(const struct question *q, struct err *e)
{
	struct str missing = STR_INIT, has = STR_INIT;
	size_t n = 0, i;
	char **words = words_split(q->names != NULL ? q->names : "", " \t\r\n,", &n);
	int rc = 0;

	for (i = 0; i < n; i++)
		if (!verify_name(q->leaf, words[i])) {
			str_add(&missing, missing.len > 0 ? " " : "");
			str_add(&missing, words[i]);
		}
	if (missing.len > 0) {
		own_names(q->leaf, &has);
		err_set(e, RC_CERT, "the certificate %s does not cover: %s", q->subject, clean(missing.s));
		rc = err_hint(e, "it covers: %.200s", clean(has.s));
	}
	words_free(words);
	str_release(&missing);
	str_release(&has);
	return rc;
}

typedef int refusal_fn(const struct question *q, struct err *e);
static refusal_fn *const refusals[] = {
	refuse_authority,
	refuse_other_key,
	refuse_damaged,
	refuse_dates,
	refuse_key,
	refuse_signature,
	refuse_purpose,
	refuse_names,
	NULL
};

/* --- warnings --- */

static void
warn_trust(const struct question *q, struct str *w)
{
	X509 *last = sk_X509_value(q->chain, sk_X509_num(q->chain) - 1);
	char *issuer = x509_name_text(X509_get_issuer_name(last));

	switch (q->verified.code) {
	case X509_V_OK:
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		str_add(w, "the certificate is signed by itself: peers that verify will refuse it\n");
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		if (sk_X509_num(q->chain) == 1)
			str_addf(w, "the chain is incomplete or its authority is unknown here: the certificate of the issuer "
			    "%s did not come with it\n", clean(issuer));
		else
			str_addf(w, "the chain ends at an issuer that is unknown here: %s\n", clean(issuer));
		break;
	default:
		str_addf(w, "peers that verify will refuse it: %s%s%s%s\n", verify_words(q->verified.code), q->verified.who[0] ? " (" : "",
		    q->verified.who, q->verified.who[0] ? ")" : "");
	}
	if (q->verified.time_code != X509_V_OK && q->verified.time_depth > 0)
		str_addf(w, "peers that verify will refuse it: %s\n", q->verified.time_code == X509_V_ERR_CERT_HAS_EXPIRED
		    ? "the certificate of an issuer in the chain has expired"
		    : "the certificate of an issuer in the chain is not valid yet");
	free(issuer);
}

/* A certificate of 90 days is not ending soon when it is new. */
static void
warn_end(const struct question *q, struct str *w)
{
	int64_t left = q->not_after - q->now, third = (q->not_after - q->not_before) / 3;

	if (left < SOON && left < third)
		str_addf(w, "it ends soon: in %lld day%s\n", (long long)(left / DAY), left / DAY == 1 ? "" : "s");
}

static void
warn_issuers(const struct question *q, struct str *w)
{
	const char *weak;
	char *subject;
	int i;

	for (i = 1; i < sk_X509_num(q->chain); i++) {
		X509 *x = sk_X509_value(q->chain, i);

		subject = short_subject(x);
		if ((weak = weak_digest(x)) != NULL)
			str_addf(w, "the issuer's certificate %s is signed with %s, which many peers refuse\n", subject, weak);
		if (x509_time(X509_get0_notAfter(x)) < q->not_after)
			str_addf(w, "the issuer's certificate %s ends before this one\n", subject);
		free(subject);
	}
}

static void
warn_form(const struct question *q, struct str *w)
{
	uint32_t usage = X509_get_key_usage(q->leaf);
	int has_names = X509_get_ext_by_NID(q->leaf, NID_subject_alt_name, -1) >= 0;

	if (!has_names)
		str_add(w, "it has no subject alternative name; many peers ignore the common name\n");
	if (usage != UINT32_MAX && (usage & KU_DIGITAL_SIGNATURE) == 0)
		str_add(w, "its key usage lacks digitalSignature: TLS 1.3 cannot use it\n");
}

/* --- the face --- */

int
cert_fits(const struct certificate *c, const char *spki_sha256, const char *names, const char *roots, int64_t now,
    struct str *warnings, struct err *e)
{
	struct question q = { .spki = spki_sha256, .names = names, .now = now };
	char *subject = NULL;
	int i, rc = 0;

	q.chain = x509_read_bag(c->pem != NULL ? c->pem : "", c->pem != NULL ? strlen(c->pem) : 0, e);
	if (q.chain == NULL)
		return -1;
	q.leaf = sk_X509_value(q.chain, 0);
	q.not_before = x509_time(X509_get0_notBefore(q.leaf));
	q.not_after = x509_time(X509_get0_notAfter(q.leaf));
	q.subject = subject = short_subject(q.leaf);
	verify_chain(q.leaf, q.chain, roots, now, &q.verified);
	for (i = 0; refusals[i] != NULL && rc == 0; i++)
		rc = refusals[i](&q, e);
	if (rc == 0 && warnings != NULL) {
		warn_trust(&q, warnings);
		warn_end(&q, warnings);
		warn_issuers(&q, warnings);
		warn_form(&q, warnings);
	}
	free(subject);
	x509_stack_free(q.chain);
	ERR_clear_error();
	return rc;
}

static int
refuse_issuer(const struct question *q, struct err *e)
{
	X509 *last = sk_X509_value(q->chain, sk_X509_num(q->chain) - 1);
	char *issuer = x509_name_text(X509_get_issuer_name(last));

	switch (q->verified.code) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		err_set(e, RC_CERT, "the certificate %s is signed by itself: no authority vouches for it", q->subject);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		err_set(e, RC_CERT, "the chain of %s leads nowhere: its issuer \"%s\" did not come with it and is not known here", q->subject,
		    clean(issuer));
		err_hint(e, "put the certificate of that issuer into the file of the answer, or name its root with --ca");
		break;
	default:
		err_set(e, RC_CERT, "the chain of %s is not one that peers accept: %s%s%s%s", q->subject, verify_words(q->verified.code),
		    q->verified.who[0] ? " (" : "", q->verified.who, q->verified.who[0] ? ")" : "");
	}
	free(issuer);
	return -1;
}

/* Roots are trusted for what they are: nobody looks at their signature. */
static int
refuse_weak_issuer(const struct question *q, struct err *e)
{
	const char *weak;
	char *subject;
	int i;

	for (i = 1; i < sk_X509_num(q->chain); i++) {
		X509 *x = sk_X509_value(q->chain, i);

		if ((weak = weak_digest(x)) == NULL || X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0)
			continue;
		subject = short_subject(x);
		err_set(e, RC_CERT, "the issuer's certificate %s is signed with %s, which many peers refuse", subject, weak);
		free(subject);
		return err_hint(e, "ask the authority for the answer with a newer chain");
	}
	return 0;
}

int
cert_issuer_known(const struct certificate *c, const char *roots, int64_t now, struct err *e)
{
	struct question q = { .now = now };
	char *subject = NULL;
	int rc = 0;

	q.chain = x509_read_bag(c->pem != NULL ? c->pem : "", c->pem != NULL ? strlen(c->pem) : 0, e);
	if (q.chain == NULL)
		return -1;
	q.leaf = sk_X509_value(q.chain, 0);
	q.subject = subject = short_subject(q.leaf);
	verify_chain(q.leaf, q.chain, roots, now, &q.verified);
	if (q.verified.code != X509_V_OK)
		rc = refuse_issuer(&q, e);
	else
		rc = refuse_weak_issuer(&q, e);
	free(subject);
	x509_stack_free(q.chain);
	ERR_clear_error();
	return rc;
}
