/* PKCS#12 (RFC 7292) in: bag by bag, so that several keys are noticed, every encryption is known by name before its key is
 * derived, and no file costs more than a stated number of rounds. */
#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include "backup.h"

#define BAGS_MAX 128
#define NESTED_MAX 4

/* The passphrase in the form that opened the file: an empty one is written in two ways. */
struct pass { const char *text; int len; };

struct walk {
	struct opening *o;
	struct pass pass;
	int bags;
};

static int walk_bags(struct walk *w, const STACK_OF(PKCS12_SAFEBAG) *bags, int depth, struct err *e);

static int
damaged(struct err *e)
{
	return err_set(e, RC_PARSE, "this PKCS#12 file is damaged: %s", x509_reason());
}

/* Takes the key over; NULL: it was not to be read. */
static int
take_key(struct walk *w, const PKCS8_PRIV_KEY_INFO *info, struct err *e)
{
	EVP_PKEY *key = EVP_PKCS82PKEY_ex(info, w->o->lib, NULL);

	if (key == NULL)
		return err_set(e, RC_CERT, "there is a key in it of a kind that is not known here: %s", x509_reason());
	opening_key(w->o, key);
	return 0;
}

static int
walk_shrouded(struct walk *w, const PKCS12_SAFEBAG *bag, struct err *e)
{
	const X509_SIG *sig = PKCS12_SAFEBAG_get0_pkcs8(bag);
	const X509_ALGOR *algorithm = NULL;
	PKCS8_PRIV_KEY_INFO *info;
	int rc;

	if (sig == NULL)
		return damaged(e);
	X509_SIG_get0(sig, &algorithm, NULL);
	if (opening_cipher(w->o, algorithm, e) == -1)
		return -1;
	info = PKCS12_decrypt_skey_ex(bag, w->pass.text, w->pass.len, w->o->lib, NULL);
	ERR_clear_error();
	if (info == NULL)
		return wrong_passphrase(w->o, e);
	rc = take_key(w, info, e);
	PKCS8_PRIV_KEY_INFO_free(info);
	return rc;
}

static int
walk_bag(struct walk *w, const PKCS12_SAFEBAG *bag, int depth, struct err *e)
{
	X509 *x;
	int rc;

	if (++w->bags > BAGS_MAX)
		return err_set(e, RC_LIMIT, "there are more than %d things in it", BAGS_MAX);
	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_keyBag:
		w->o->clear = true;
		return take_key(w, PKCS12_SAFEBAG_get0_p8inf(bag), e);
	case NID_pkcs8ShroudedKeyBag:
		return walk_shrouded(w, bag, e);
	case NID_certBag:
		if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
			return 0;
		x = PKCS12_SAFEBAG_get1_cert(bag);
		if (x == NULL)
			return damaged(e);
		rc = opening_cert(w->o, x, e);
		X509_free(x);
		return rc;
	case NID_safeContentsBag:
		return walk_bags(w, PKCS12_SAFEBAG_get0_safes(bag), depth + 1, e);
	default:
		return 0;                    /* revocation lists, secrets of others */
	}
}

static int
walk_bags(struct walk *w, const STACK_OF(PKCS12_SAFEBAG) *bags, int depth, struct err *e)
{
	int i;

	if (depth > NESTED_MAX)
		return err_set(e, RC_LIMIT, "it is nested too deeply");
	for (i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++)
		if (walk_bag(w, sk_PKCS12_SAFEBAG_value(bags, i), depth, e) == -1)
			return -1;
	return 0;
}

static int
walk_safe(struct walk *w, PKCS7 *p7, struct err *e)
{
	STACK_OF(PKCS12_SAFEBAG) *bags;
	int rc;

	if (PKCS7_type_is_data(p7)) {
		bags = PKCS12_unpack_p7data(p7);
		if (bags == NULL)
			return damaged(e);
	} else if (PKCS7_type_is_encrypted(p7) && p7->d.encrypted != NULL && p7->d.encrypted->enc_data != NULL) {
		if (opening_cipher(w->o, p7->d.encrypted->enc_data->algorithm, e) == -1)
			return -1;
		bags = PKCS12_unpack_p7encdata(p7, w->pass.text, w->pass.len);
		ERR_clear_error();
		if (bags == NULL)
			return wrong_passphrase(w->o, e);
	} else {
		err_set(e, RC_CERT, "it is encrypted for a certificate, not under a passphrase");
		return err_hint(e, "export it again, protected by a password");
	}
	rc = walk_bags(w, bags, 0, e);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return rc;
}

/* Finds the form of the passphrase that the file was made with. */
static int
check_mac(struct walk *w, PKCS12 *p12, struct err *e)
{
	const struct pass given = { w->o->passphrase->mem, (int)w->o->passphrase->len };
	const struct pass forms[] = { given.len > 0 ? given : (struct pass){ NULL, 0 }, { "", 0 } };
	const ASN1_INTEGER *iterations = NULL;
	const X509_ALGOR *digest = NULL;
	int64_t rounds = 1;
	size_t i, n = given.len > 0 ? 1 : 2;

	w->pass = forms[0];
	if (PKCS12_mac_present(p12) != 1)
		return 0;
	PKCS12_get0_mac(NULL, &digest, NULL, &iterations, p12);
	if (digest != NULL && (OBJ_obj2nid(digest->algorithm) == NID_undef || EVP_get_digestbyobj(digest->algorithm) == NULL))
		return err_set(e, RC_CERT, "it is protected by a way that is not known here");
	if (iterations != NULL && (ASN1_INTEGER_get_int64(&rounds, iterations) != 1 || rounds < 1))
		return damaged(e);
	for (i = 0; i < n; i++) {
		if (opening_rounds(w->o, (uint64_t)rounds, e) == -1)
			return -1;
		w->pass = forms[i];
		if (PKCS12_verify_mac(p12, forms[i].text, forms[i].len) == 1)
			return 0;
		ERR_clear_error();
	}
	return wrong_passphrase(w->o, e);
}

int
pkcs12_open(struct opening *o, const void *mem, size_t len, struct err *e)
{
	PKCS12 *p12 = PKCS12_init_ex(NID_pkcs7_data, o->lib, NULL);
	const unsigned char *p = mem;
	STACK_OF(PKCS7) *safes = NULL;
	struct walk w = { .o = o };
	int i, rc = -1;

	if (p12 == NULL || d2i_PKCS12(&p12, &p, (long)len) == NULL) {
		ERR_clear_error();
		PKCS12_free(p12);
		return 1;
	}
	if (check_mac(&w, p12, e) == -1)
		goto out;
	safes = PKCS12_unpack_authsafes(p12);
	if (safes == NULL) {
		damaged(e);
		goto out;
	}
	rc = 0;
	for (i = 0; i < sk_PKCS7_num(safes) && rc == 0; i++)
		rc = walk_safe(&w, sk_PKCS7_value(safes, i), e);
out:
	sk_PKCS7_pop_free(safes, PKCS7_free);
	PKCS12_free(p12);
	ERR_clear_error();
	return rc;
}
