/* Making and renewing an own authority: a root, or one below a root; for any name, or only for names under given domains (name
 * constraints, RFC 5280 4.2.1.10). A renewal keeps key, subject and what it may do: what was issued stays valid. */
#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define PERMITS_MAX 100

/* --- names it may issue for --- */

static bool
is_number(const char *name)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1;
}

/* "bank.test" permits itself and all below it; typed also as ".bank.test" and "*.bank.test". */
static int
permit_read(const char *word, struct str *out, struct err *e)
{
	word += text_starts(word, "*.") ? 2 : text_starts(word, ".") ? 1 : 0;
	if (is_number(word)) {
		err_set(e, RC_INVALID, "%s is an address; an authority is limited to domains", clean(word));
		return err_hint(e, "one with limits issues for no address at all");
	}
	return name_to_ascii(word, out, e);
}

static bool
is_under(const char *name, const char *domain)
{
	size_t n, d = strlen(domain);

	name += text_starts(name, "*.") ? 2 : 0;
	n = strlen(name);
	return n >= d && text_ieq(name + n - d, domain) && (n == d || name[n - d - 1] == '.');
}

static int
subtree_add(STACK_OF(GENERAL_SUBTREE) **list, int type, const void *value, int len)
{
	GENERAL_SUBTREE *t = GENERAL_SUBTREE_new();
	ASN1_STRING *text = type == GEN_DNS ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new();

	if (*list == NULL)
		*list = sk_GENERAL_SUBTREE_new_null();
	if (t == NULL || text == NULL || *list == NULL || ASN1_STRING_set(text, value, len) != 1) {
		GENERAL_SUBTREE_free(t);
		ASN1_STRING_free(text);
		return -1;
	}
	GENERAL_NAME_set0_value(t->base, type, text);
	if (sk_GENERAL_SUBTREE_push(*list, t) > 0)
		return 0;
	GENERAL_SUBTREE_free(t);
	return -1;
}

/* Addresses are no names under a domain: all of them are excluded, or the limit would not hold for them. */
static int
add_permits(X509 *x, const char *permit)
{
	static const unsigned char every_address[32];
	char **words = words_split(permit != NULL ? permit : "", " ,", NULL);
	NAME_CONSTRAINTS *nc = NAME_CONSTRAINTS_new();
	struct str one = STR_INIT;
	size_t i;
	int rc = nc != NULL ? 0 : -1;

	for (i = 0; words[i] != NULL && rc == 0; i++) {
		str_reset(&one);
		if (permit_read(words[i], &one, NULL) != 0 || subtree_add(&nc->permittedSubtrees, GEN_DNS, one.s, (int)one.len) != 0)
			rc = -1;
	}
	if (rc == 0 && i > 0 && (subtree_add(&nc->excludedSubtrees, GEN_IPADD, every_address, 8) != 0
	    || subtree_add(&nc->excludedSubtrees, GEN_IPADD, every_address, 32) != 0
	    || authority_add_extension(x, NID_name_constraints, nc, 1) != 0))
		rc = -1;
	NAME_CONSTRAINTS_free(nc);
	words_free(words);
	str_release(&one);
	return rc;
}

/* Domains that a certificate of an authority is limited to, blank between; "" when it is not. */
static void
permits_of(X509 *x, struct str *out)
{
	NAME_CONSTRAINTS *nc = X509_get_ext_d2i(x, NID_name_constraints, NULL, NULL);
	const GENERAL_NAME *base;
	int i;

	for (i = 0; nc != NULL && i < sk_GENERAL_SUBTREE_num(nc->permittedSubtrees); i++) {
		base = sk_GENERAL_SUBTREE_value(nc->permittedSubtrees, i)->base;
		if (base->type == GEN_DNS)
			str_addf(out, "%s%.*s", out->len > 0 ? " " : "", ASN1_STRING_length(base->d.dNSName),
			    (const char *)ASN1_STRING_get0_data(base->d.dNSName));
	}
	NAME_CONSTRAINTS_free(nc);
	ERR_clear_error();
}

static int
permits_name(const char *permits, const char *name)
{
	char **w = words_split(permits, " ", NULL);
	bool yes = w[0] == NULL;
	size_t i;

	for (i = 0; w[i] != NULL && !yes; i++)
		yes = !is_number(name) && is_under(name, w[i]);
	words_free(w);
	return yes;
}

int
authority_permits(const struct authority *a, const char *names, struct err *e)
{
	STACK_OF(X509) *chain = authority_chain(a, e);
	char **w = words_split(names, " ", NULL);
	struct str permits = STR_INIT;
	size_t k;
	int i, rc = chain != NULL ? 0 : -1;

	for (i = 0; i < sk_X509_num(chain) && rc == 0; i++) {
		str_reset(&permits);
		permits_of(sk_X509_value(chain, i), &permits);
		for (k = 0; w[k] != NULL && rc == 0; k++)
			if (!permits_name(permits.s, w[k])) {
				rc = err_set(e, RC_CERT, "the authority %s may issue for names under %s only, not for %s", clean(a->name),
				    clean(permits.s), clean(w[k]));
				err_hint(e, "take the name out of the request, or ask another authority");
			}
	}
	x509_stack_free(chain);
	words_free(w);
	str_release(&permits);
	return rc;
}

static int
check_permits(const struct authority_wish *w, struct err *e)
{
	struct str one = STR_INIT;
	size_t n, i;
	char **words = words_split(w->permit != NULL ? w->permit : "", " ,", &n);
	int rc = 0;

	if (n > PERMITS_MAX)
		rc = err_set(e, RC_INVALID, "an authority is limited to %d domains at the most, not %zu", PERMITS_MAX, n);
	for (i = 0; i < n && rc == 0; i++) {
		str_reset(&one);
		rc = permit_read(words[i], &one, e);
		if (rc == 0 && w->parent != NULL)
			rc = authority_permits(w->parent, one.s, e);
	}
	words_free(words);
	str_release(&one);
	return rc;
}

int
authority_permit_check(const char *permit, struct err *e)
{
	return check_permits(&(struct authority_wish){ .permit = permit }, e);
}

/* --- the one above --- */

static int
open_parent(const struct authority *parent, const struct secret *passphrase, int64_t now, X509 **issuer, EVP_PKEY **key,
    struct err *e)
{
	if (authority_open(parent, passphrase, now, issuer, key, e) != 0)
		return -1;
	if (X509_get_pathlen(*issuer) != 0)
		return 0;
	X509_free(*issuer);
	EVP_PKEY_free(*key);
	*issuer = NULL;
	*key = NULL;
	err_set(e, RC_CERT, "the authority %s may have no other below it (its certificate says so)", clean(parent->name));
	return err_hint(e, "take a root that was made for it: those made by this program from now on are");
}

bool
authority_is_above(const struct authority *above, const struct authority *a)
{
	STACK_OF(X509) *theirs = authority_chain(above, NULL), *ours = authority_chain(a, NULL);
	X509 *issuer = sk_X509_value(theirs, 0), *x = sk_X509_value(ours, 0);
	EVP_PKEY *key = issuer != NULL ? X509_get0_pubkey(issuer) : NULL;
	bool yes;

	yes = key != NULL && x != NULL && !x509_self_signed(x) && X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(x)) == 0
	    && X509_verify(x, key) == 1;
	x509_stack_free(theirs);
	x509_stack_free(ours);
	ERR_clear_error();
	return yes;
}

int
authority_rechain(struct authority *a, const struct authority *above, struct err *e)
{
	STACK_OF(X509) *chain = authority_chain(a, e);
	struct str pem = STR_INIT;
	int rc = chain != NULL ? x509_to_pem(sk_X509_value(chain, 0), &pem, e) : -1;

	if (rc == 0 && above != NULL)
		str_add(&pem, above->pem);
	if (rc == 0)
		xset(&a->pem, pem.s);
	str_release(&pem);
	x509_stack_free(chain);
	return rc;
}

void
authority_limits(const struct authority *a, struct str *permits, bool *root)
{
	STACK_OF(X509) *chain = authority_chain(a, NULL);
	X509 *x = sk_X509_value(chain, 0);

	*root = x != NULL && x509_self_signed(x);
	if (x != NULL)
		permits_of(x, permits);
	x509_stack_free(chain);
}

/* --- making --- */

static EVP_PKEY *
make_key(enum key_kind kind)
{
	switch (kind) {
	case KEY_EC_P256: return EVP_EC_gen("P-256");
	case KEY_EC_P384: return EVP_EC_gen("P-384");
	case KEY_RSA_2048: return EVP_RSA_gen(2048);
	case KEY_RSA_3072: return EVP_RSA_gen(3072);
	case KEY_RSA_4096: return EVP_RSA_gen(4096);
	}
	return NULL;
}

static int
add_usage(X509 *x)
{
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	int rc = -1;

	/* bit 5 keyCertSign, bit 6 cRLSign */
	if (usage != NULL && ASN1_BIT_STRING_set_bit(usage, 5, 1) == 1 && ASN1_BIT_STRING_set_bit(usage, 6, 1) == 1)
		rc = authority_add_extension(x, NID_key_usage, usage, 1);
	ASN1_BIT_STRING_free(usage);
	return rc;
}

/* Below an issuer, or the root of its own. What is below ends no later than what is above. */
static X509 *
make_certificate(const struct authority_wish *w, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, int64_t now)
{
	int64_t until = now + (int64_t)w->days * DAY, last = issuer != NULL ? x509_time(X509_get0_notAfter(issuer)) : until;
	X509_NAME *name = X509_NAME_new();
	X509 *x = X509_new();
	int ok;

	ok = name != NULL && x != NULL && X509_set_version(x, 2) == 1
	    && X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)w->cn, -1, -1, 0) == 1
	    && X509_set_subject_name(x, name) == 1 && X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : name) == 1
	    && X509_set_pubkey(x, key) == 1 && authority_set_serial(x) == 0
	    && authority_set_dates(x, now - BACKDATE, until < last ? until : last) == 0
	    && authority_add_constraints(x, issuer != NULL ? 0 : 1) == 0 && add_usage(x) == 0 && authority_add_key_id(x) == 0
	    && (issuer == NULL || authority_add_issuer_id(x, issuer) == 0) && add_permits(x, w->permit) == 0
	    && X509_sign(x, issuer != NULL ? issuer_key : key, x509_digest(issuer != NULL ? issuer_key : key)) > 0;
	X509_NAME_free(name);
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

int
authority_seal_key(EVP_PKEY *key, const struct secret *passphrase, struct str *out, struct err *e)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	struct secret plain = { .mem = NULL };
	unsigned char *der = NULL;
	int len, rc = -1;

	len = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	if (len > 0) {
		secret_set(&plain, der, (size_t)len);
		rc = seal(&plain, passphrase, out, e);
	} else
		err_set(e, RC_BUG, "the authority's key could not be written: %s", x509_reason());
	OPENSSL_clear_free(der, len > 0 ? (size_t)len : 0);
	PKCS8_PRIV_KEY_INFO_free(info);
	secret_release(&plain);
	return rc;
}

int
authority_make(const struct authority_wish *w, const struct secret *passphrase, int64_t now, struct authority *out, struct err *e)
{
	struct str sealed = STR_INIT, pem = STR_INIT;
	EVP_PKEY *key = NULL, *issuer_key = NULL;
	X509 *x = NULL, *issuer = NULL;
	int rc = -1;

	if (subject_field_check("cn", w->cn, e) != 0 || check_permits(w, e) != 0)
		return -1;
	if (w->days < 1 || w->days > DAYS_MAX)
		return err_set(e, RC_INVALID, "an authority lives from 1 to %d days, not %d", DAYS_MAX, w->days);
	if (!secret_is_set(passphrase) || passphrase->len == 0)
		return err_set(e, RC_PASSPHRASE, "a passphrase is needed to seal the authority's key");
	if (w->parent != NULL && open_parent(w->parent, passphrase, now, &issuer, &issuer_key, e) != 0)
		return -1;
	key = make_key(w->kind);
	if (key == NULL || (x = make_certificate(w, key, issuer, issuer_key, now)) == NULL) {
		err_set(e, RC_BUG, "the authority's certificate could not be made: %s", x509_reason());
		goto out;
	}
	if (authority_seal_key(key, passphrase, &sealed, e) != 0 || x509_to_pem(x, &pem, e) != 0)
		goto out;
	str_add(&pem, w->parent != NULL ? w->parent->pem : "");
	xset(&out->name, w->name);
	xset(&out->kind, "own");
	free(out->subject);
	out->subject = x509_name_text(X509_get_subject_name(x));
	xset(&out->pem, pem.s);
	xset(&out->sealed_key, sealed.s);
	xset(&out->policy, "always");
	out->days = w->days < ISSUE_DAYS ? w->days : ISSUE_DAYS;
	out->not_after = x509_time(X509_get0_notAfter(x));
	out->created_at = now;
	rc = 0;
out:
	X509_free(x);
	X509_free(issuer);
	EVP_PKEY_free(key);
	EVP_PKEY_free(issuer_key);
	str_release(&sealed);
	str_release(&pem);
	ERR_clear_error();
	return rc;
}

/* --- new dates --- */

/* How long the old one was made for. */
static int
days_of(X509 *x)
{
	return (int)((x509_time(X509_get0_notAfter(x)) - x509_time(X509_get0_notBefore(x)) + DAY / 2) / DAY);
}

int
authority_renew(struct authority *a, const struct authority *above, const struct secret *passphrase, int days, int64_t now,
    struct err *e)
{
	STACK_OF(X509) *chain = authority_chain(a, e);
	EVP_PKEY *key = NULL, *issuer_key = NULL;
	X509 *x = NULL, *issuer = NULL;
	struct str pem = STR_INIT;
	int64_t until, last;
	int rc = -1;

	if (chain == NULL)
		return -1;
	if (days == 0)
		days = days_of(sk_X509_value(chain, 0));
	if (days < 1 || days > DAYS_MAX) {
		err_set(e, RC_INVALID, "an authority lives from 1 to %d days, not %d", DAYS_MAX, days);
		goto out;
	}
	x = X509_dup(sk_X509_value(chain, 0));
	key = authority_open_key(a, passphrase, e);
	if (x == NULL || key == NULL || (above != NULL && authority_open(above, passphrase, now, &issuer, &issuer_key, e) != 0))
		goto out;
	if (X509_check_private_key(x, key) != 1) {
		err_set(e, RC_CERT, "the sealed key of authority %s does not belong to its certificate", clean(a->name));
		goto out;
	}
	until = now + (int64_t)days * DAY;
	last = issuer != NULL ? x509_time(X509_get0_notAfter(issuer)) : until;
	if (authority_set_serial(x) != 0 || authority_set_dates(x, now - BACKDATE, until < last ? until : last) != 0
	    || X509_sign(x, issuer != NULL ? issuer_key : key, x509_digest(issuer != NULL ? issuer_key : key)) <= 0) {
		err_set(e, RC_BUG, "the certificate of authority %s could not be renewed: %s", clean(a->name), x509_reason());
		goto out;
	}
	if (x509_to_pem(x, &pem, e) != 0)
		goto out;
	str_add(&pem, above != NULL ? above->pem : "");
	xset(&a->pem, pem.s);
	a->not_after = x509_time(X509_get0_notAfter(x));
	a->days = days < ISSUE_DAYS ? days : ISSUE_DAYS;
	rc = 0;
out:
	x509_stack_free(chain);
	X509_free(x);
	X509_free(issuer);
	EVP_PKEY_free(key);
	EVP_PKEY_free(issuer_key);
	str_release(&pem);
	ERR_clear_error();
	return rc;
}
