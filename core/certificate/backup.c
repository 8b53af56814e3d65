/* Backups: a certificate with its chain and its key in a file, in (PKCS#12, PEM, a key file of its own) and out (PKCS#12).
 * What is weakly encrypted is opened in an OpenSSL context of its own, and said. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/xalloc.h"
#include "backup.h"

#define ROUNDS_MAX (3u * 1000 * 1000)   /* of key derivation for one file: a second or so. Windows and OpenSSL use thousands */
#define ROUNDS_OUT 100000               /* of what we write: Windows takes 600000 for all of a file */
#define KEY_BITS_MAX 16384

void
backup_release(struct backup *b)
{
	str_release(&b->pem);
	secret_release(&b->key);
	free(b->weak);
	*b = (struct backup){ .weak = NULL };
}

int
wrong_passphrase(const struct opening *o, struct err *e)
{
	if (secret_is_set(o->passphrase) && o->passphrase->len > 0)
		return err_set(e, RC_PASSPHRASE, "this is not its passphrase");
	return err_set(e, RC_PASSPHRASE, "its passphrase is needed");
}

int
opening_rounds(struct opening *o, uint64_t rounds, struct err *e)
{
	if (rounds > ROUNDS_MAX || (o->rounds += rounds) > ROUNDS_MAX)
		return err_set(e, RC_LIMIT, "it asks for more than %u rounds of work to be opened", ROUNDS_MAX);
	return 0;
}

int
opening_cert(struct opening *o, X509 *x, struct err *e)
{
	int i;

	for (i = 0; i < sk_X509_num(o->certs); i++)
		if (X509_cmp(sk_X509_value(o->certs, i), x) == 0)
			return 0;
	if (sk_X509_num(o->certs) >= CHAIN_MAX)
		return err_set(e, RC_LIMIT, "there are more than %d certificates in it", CHAIN_MAX);
	if (X509_up_ref(x) != 1 || sk_X509_push(o->certs, x) <= 0)
		abort();
	return 0;
}

void
opening_key(struct opening *o, EVP_PKEY *key)
{
	if (o->key != NULL && EVP_PKEY_eq(o->key, key) == 1) {
		EVP_PKEY_free(key);
		return;
	}
	o->keys++;
	EVP_PKEY_free(o->key);
	o->key = key;
}

/* --- encryptions --- */

/* THE TABLE of ciphers that protect nothing against who has the file. legacy: OpenSSL keeps it apart. */
static const struct { int nid; const char *words; bool legacy; } weak_ciphers[] = {
	{ NID_pbe_WithSHA1And40BitRC2_CBC, "RC2 with 40 bits", true },
	{ NID_pbe_WithSHA1And128BitRC2_CBC, "RC2", true },
	{ NID_pbe_WithSHA1And40BitRC4, "RC4 with 40 bits", true },
	{ NID_pbe_WithSHA1And128BitRC4, "RC4", true },
	{ NID_pbe_WithSHA1And3_Key_TripleDES_CBC, "3DES", false },
	{ NID_pbe_WithSHA1And2_Key_TripleDES_CBC, "3DES with two keys", false },
	{ NID_pbeWithMD2AndDES_CBC, "DES", true },
	{ NID_pbeWithMD5AndDES_CBC, "DES", true },
	{ NID_pbeWithSHA1AndDES_CBC, "DES", true },
	{ NID_pbeWithMD2AndRC2_CBC, "RC2", true },
	{ NID_pbeWithMD5AndRC2_CBC, "RC2", true },
	{ NID_pbeWithSHA1AndRC2_CBC, "RC2", true },
	{ NID_des_ede3_cbc, "3DES", false },
	{ NID_des_cbc, "DES", true },
	{ NID_rc2_cbc, "RC2", true },
	{ NID_rc2_40_cbc, "RC2 with 40 bits", true },
	{ NID_rc4, "RC4", true },
};

static int
note_cipher(struct opening *o, int nid, struct err *e)
{
	size_t i;

	for (i = 0; i < sizeof(weak_ciphers) / sizeof(weak_ciphers[0]); i++) {
		if (weak_ciphers[i].nid != nid)
			continue;
		if (weak_ciphers[i].legacy && !o->has_legacy) {
			err_set(e, RC_CERT, "it is encrypted with %s, which OpenSSL on this machine does not open", weak_ciphers[i].words);
			return err_hint(e, "its module legacy.so is missing (package openssl-provider-legacy or libssl3)");
		}
		if (strstr(o->weak.s, weak_ciphers[i].words) == NULL)
			str_addf(&o->weak, "%s%s", o->weak.len > 0 ? ", " : "", weak_ciphers[i].words);
		return 0;
	}
	return 0;
}

static uint64_t
number(const ASN1_INTEGER *n)
{
	uint64_t v = 0;

	return n == NULL ? 1 : ASN1_INTEGER_get_uint64(&v, n) == 1 ? v : UINT64_MAX;
}

/* The rounds of PBKDF2 or scrypt inside PBES2. A kind that is not known is left to OpenSSL, which refuses it. */
static uint64_t
rounds_of(const X509_ALGOR *kdf)
{
	uint64_t rounds = 1;

	if (OBJ_obj2nid(kdf->algorithm) == NID_id_pbkdf2) {
		PBKDF2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), kdf->parameter);

		rounds = p != NULL ? number(p->iter) : 1;
		PBKDF2PARAM_free(p);
	} else if (OBJ_obj2nid(kdf->algorithm) == NID_id_scrypt) {
		SCRYPT_PARAMS *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), kdf->parameter);
		uint64_t n = p != NULL ? number(p->costParameter) : 1, r = p != NULL ? number(p->blockSize) : 1,
		    many = p != NULL ? number(p->parallelizationParameter) : 1;

		/* each may be huge; together they are work */
		rounds = n > ROUNDS_MAX || r > ROUNDS_MAX || many > ROUNDS_MAX || n * r > ROUNDS_MAX ? UINT64_MAX : n * r * many;
		SCRYPT_PARAMS_free(p);
	}
	return rounds;
}

int
opening_cipher(struct opening *o, const X509_ALGOR *a, struct err *e)
{
	int nid = a != NULL ? OBJ_obj2nid(a->algorithm) : NID_undef, rc = 0;

	if (nid == NID_pbes2) {
		PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), a->parameter);

		if (p == NULL)
			rc = err_set(e, RC_PARSE, "its encryption is described wrongly");
		else if ((rc = note_cipher(o, OBJ_obj2nid(p->encryption->algorithm), e)) == 0)
			rc = opening_rounds(o, rounds_of(p->keyfunc), e);
		PBE2PARAM_free(p);
	} else if (nid != NID_undef && a->parameter != NULL) {
		PBEPARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), a->parameter);

		rc = note_cipher(o, nid, e);
		if (rc == 0 && p != NULL)
			rc = opening_rounds(o, number(p->iter), e);
		PBEPARAM_free(p);
	} else
		rc = err_set(e, RC_CERT, "it is encrypted in a way that is not known here");
	ERR_clear_error();
	return rc;
}

/* --- keys in PEM, or alone --- */

struct asked { const struct opening *o; bool yes; };

static int
give_passphrase(char *buf, int size, int writing, void *arg)
{
	struct asked *a = arg;

	(void)writing;
	a->yes = true;
	if (!secret_is_set(a->o->passphrase) || a->o->passphrase->len == 0 || a->o->passphrase->len > (size_t)size)
		return -1;
	memcpy(buf, a->o->passphrase->mem, a->o->passphrase->len);
	return (int)a->o->passphrase->len;
}

/* PKCS#8 under a passphrase, as DER. 1: it is something else. */
static int
open_encrypted(struct opening *o, const void *der, size_t len, struct err *e)
{
	const unsigned char *p = der;
	const X509_ALGOR *algorithm = NULL;
	X509_SIG *sig = d2i_X509_SIG(NULL, &p, (long)len);
	PKCS8_PRIV_KEY_INFO *info = NULL;
	EVP_PKEY *key;
	int rc = 1;

	if (sig == NULL)
		goto out;
	X509_SIG_get0(sig, &algorithm, NULL);
	rc = opening_cipher(o, algorithm, e);
	if (rc == -1)
		goto out;
	if (secret_is_set(o->passphrase))
		info = PKCS8_decrypt_ex(sig, o->passphrase->mem, (int)o->passphrase->len, o->lib, NULL);
	if (info == NULL) {
		rc = wrong_passphrase(o, e);
		goto out;
	}
	key = EVP_PKCS82PKEY_ex(info, o->lib, NULL);
	if (key == NULL)
		rc = err_set(e, RC_CERT, "its key is of a kind that is not known here");
	else
		opening_key(o, key);
out:
	X509_SIG_free(sig);
	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	return rc;
}

static int
open_pem_key(struct opening *o, const struct pem_block *b, struct err *e)
{
	const char *from = b->label - strlen("-----BEGIN ");
	struct asked asked = { o, false };
	unsigned char *der;
	EVP_PKEY *key;
	size_t n = 0;
	BIO *bio;
	int rc;

	if (pem_label_is(b, "ENCRYPTED PRIVATE KEY")) {
		der = pem_bytes(b, &n);
		rc = der != NULL ? open_encrypted(o, der, n, e) : 1;
		free(der);
		return rc == 1 ? err_set(e, RC_PARSE, "the key in it is damaged") : rc;
	}
	/* to the end of the END line; what is behind is not looked at */
	bio = BIO_new_mem_buf(from, (int)(b->body + b->body_len - from + (ptrdiff_t)strlen("-----END ") + (ptrdiff_t)b->label_len + 5));
	key = bio != NULL ? PEM_read_bio_PrivateKey_ex(bio, NULL, give_passphrase, &asked, o->lib, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (key == NULL && asked.yes)
		return wrong_passphrase(o, e);
	if (key == NULL)
		return err_set(e, RC_PARSE, "the key in it is damaged, or of a kind that is not known here");
	o->clear = o->clear || !asked.yes;
	opening_key(o, key);
	return 0;
}

static int
open_der_key(struct opening *o, const void *mem, size_t len, struct err *e)
{
	const unsigned char *p = mem;
	EVP_PKEY *key;
	int rc = open_encrypted(o, mem, len, e);

	if (rc != 1)
		return rc;
	key = d2i_AutoPrivateKey_ex(NULL, &p, (long)len, o->lib, NULL);
	ERR_clear_error();
	if (key == NULL)
		return 0;                   /* then it is not a key: who calls says that there is none */
	o->clear = true;
	opening_key(o, key);
	return 0;
}

static int
open_keys(struct opening *o, const void *mem, size_t len, struct err *e)
{
	struct str text = STR_INIT;
	struct pem_block b;
	size_t at = 0;
	int rc = 0;
	bool pem;

	pem_plain(mem, len, &text);
	pem = memmem(text.s, text.len, "-----BEGIN ", 11) != NULL;
	while (pem && rc == 0 && pem_next(text.s, text.len, &at, &b))
		if (memmem(b.label, b.label_len, "PRIVATE KEY", 11) != NULL) {
			/* the block must be whole within the text */
			if (b.body + b.body_len + strlen("-----END ") + b.label_len + 5 > text.s + text.len)
				rc = err_set(e, RC_PARSE, "the key in it was cut off");
			else
				rc = open_pem_key(o, &b, e);
		}
	if (!pem && len > 0 && *(const unsigned char *)mem == 0x30)
		rc = open_der_key(o, mem, len, e);
	str_wipe(&text);
	return rc;
}

/* --- in --- */

static int
key_text(EVP_PKEY *key, struct secret *out, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *mem = NULL;
	long len;
	int rc = -1;

	if (bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    (len = BIO_get_mem_data(bio, &mem)) > 0) {
		secret_set(out, mem, (size_t)len);
		rc = 0;
	}
	BIO_free(bio);
	return rc == 0 ? 0 : err_set(e, RC_CERT, "the key in it cannot be kept: %s", x509_reason());
}

/* Exactly one key, and it is the key of a certificate in the file. */
static int
opened(struct opening *o, struct backup *out, struct err *e)
{
	X509_PUBKEY *spki = NULL;
	char hex[65];
	int i, rc = -1;
	bool fits = false;

	if (o->keys > 1)
		return err_set(e, RC_CERT, "there are several keys in it");
	if (o->keys == 0) {
		err_set(e, RC_CERT, "there is no key in it");
		return err_hint(e, "a backup has the certificate and its key; for the answer to a request: mxseal cert process");
	}
	if (sk_X509_num(o->certs) == 0)
		return err_set(e, RC_CERT, "there is no certificate in it, only a key");
	if (EVP_PKEY_get_bits(o->key) > KEY_BITS_MAX)
		return err_set(e, RC_LIMIT, "its key has more than %d bits", KEY_BITS_MAX);
	if (X509_PUBKEY_set(&spki, o->key) != 1 || x509_spki_sha256(spki, out->spki_sha256) == -1) {
		err_set(e, RC_CERT, "the key in it cannot be read: %s", x509_reason());
		goto out;
	}
	for (i = 0; i < sk_X509_num(o->certs); i++) {
		X509 *x = sk_X509_value(o->certs, i);

		if (x509_spki_sha256(X509_get_X509_PUBKEY(x), hex) == 0 && strcmp(hex, out->spki_sha256) == 0)
			fits = true;
		if (x509_to_pem(x, &out->pem, e) == -1)
			goto out;
	}
	if (!fits) {
		err_set(e, RC_CERT, i == 1 ? "the key in it does not fit its certificate" : "the key in it fits none of its %d certificates", i);
		goto out;
	}
	rc = key_text(o->key, &out->key, e);
	out->clear = o->clear;
	out->weak = o->weak.len > 0 ? xstrdup(o->weak.s) : NULL;
out:
	X509_PUBKEY_free(spki);
	return rc;
}

static int
open_file(struct opening *o, const void *mem, size_t len, const void *key, size_t key_len, struct err *e)
{
	int i, rc = *(const unsigned char *)mem == 0x30 ? pkcs12_open(o, mem, len, e) : 1;
	STACK_OF(X509) *certs;

	if (rc == 0 && key_len > 0)
		return err_set(e, RC_INVALID, "a PKCS#12 file has its key in it: leave the file of the key out");
	if (rc != 1)
		return rc;
	certs = x509_read_bag(mem, len, e);
	if (certs == NULL)
		return -1;
	for (i = rc = 0; i < sk_X509_num(certs) && rc == 0; i++)
		rc = opening_cert(o, sk_X509_value(certs, i), e);
	x509_stack_free(certs);
	if (rc == 0 && key_len > 0)
		return open_keys(o, key, key_len, e);
	return rc == 0 ? open_keys(o, mem, len, e) : -1;
}

int
backup_read(const void *mem, size_t len, const void *key, size_t key_len, const struct secret *passphrase, struct backup *out,
    struct err *e)
{
	static const struct secret none = { NULL, 0 };
	struct opening o = { .passphrase = passphrase != NULL ? passphrase : &none, .weak = STR_INIT };
	OSSL_PROVIDER *normal = NULL, *legacy = NULL;
	int rc;

	*out = (struct backup){ .pem = STR_INIT };
	if (len == 0)
		return err_set(e, RC_PARSE, "it is empty");
	if (len > CERT_MAX || key_len > CERT_MAX)
		return err_set(e, RC_LIMIT, "files of more than %d bytes are not read", CERT_MAX);
	o.lib = OSSL_LIB_CTX_new();
	o.certs = sk_X509_new_null();
	if (o.lib == NULL || o.certs == NULL || (normal = OSSL_PROVIDER_load(o.lib, "default")) == NULL)
		abort();
	legacy = OSSL_PROVIDER_try_load(o.lib, "legacy", 1);
	o.has_legacy = legacy != NULL;
	ERR_clear_error();
	rc = open_file(&o, mem, len, key, key_len, e);
	if (rc == 0)
		rc = opened(&o, out, e);
	if (rc != 0)
		backup_release(out);
	EVP_PKEY_free(o.key);
	x509_stack_free(o.certs);
	str_release(&o.weak);
	OSSL_PROVIDER_unload(legacy);
	OSSL_PROVIDER_unload(normal);
	OSSL_LIB_CTX_free(o.lib);
	ERR_clear_error();
	return rc == 0 ? 0 : -1;
}

/* --- a key that was sealed, in use --- */

/* NULL with e set when it is none: it was in the store, so that is a damaged store. */
static EVP_PKEY *
key_of(const struct secret *pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem->mem, (int)pem->len);
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t)"") : NULL;

	BIO_free(bio);
	if (key == NULL)
		err_set(e, RC_PARSE, "the key in the store cannot be read: %s", x509_reason());
	ERR_clear_error();
	return key;
}

int
key_public(const struct secret *pem, struct str *public_key, struct err *e)
{
	EVP_PKEY *key = key_of(pem, e);
	BIO *bio = BIO_new(BIO_s_mem());
	char *mem = NULL;
	long len;
	int rc = -1;

	if (key != NULL && bio != NULL && PEM_write_bio_PUBKEY(bio, key) == 1 && (len = BIO_get_mem_data(bio, &mem)) > 0) {
		str_addn(public_key, mem, (size_t)len);
		rc = 0;
	} else if (key != NULL)
		err_set(e, RC_CERT, "the key in the store has no public half: %s", x509_reason());
	BIO_free(bio);
	EVP_PKEY_free(key);
	return rc;
}

int
key_sign(const struct secret *pem, const char *digest, const void *mem, size_t len, unsigned char *out, size_t max, size_t *n,
    struct err *e)
{
	EVP_PKEY *key = key_of(pem, e);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -1;

	*n = max;
	if (key != NULL && ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_get_digestbyname(digest), NULL, key) == 1 &&
	    EVP_DigestSign(ctx, out, n, mem, len) == 1)
		rc = 0;
	else if (key != NULL)
		err_set(e, RC_CERT, "the key in the store does not sign: %s", x509_reason());
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

/* --- out --- */

int
backup_write(const char *pem, const struct secret *key_pem, const char *name, const struct secret *passphrase, struct str *out,
    struct err *e)
{
	STACK_OF(X509) *certs = x509_read_bag(pem, strlen(pem), e);
	EVP_PKEY *key = certs != NULL ? key_of(key_pem, e) : NULL;
	unsigned char *der = NULL;
	PKCS12 *p12 = NULL;
	X509 *leaf = NULL;
	int len, rc = -1;

	if (key == NULL)
		goto out;
	if (!secret_is_set(passphrase) || passphrase->len == 0) {
		err_set(e, RC_INVALID, "a backup is written under a passphrase only");
		goto out;
	}
	leaf = sk_X509_shift(certs);
	if (X509_check_private_key(leaf, key) != 1) {
		err_set(e, RC_CERT, "the key kept here does not fit the certificate");
		goto out;
	}
	p12 = PKCS12_create(passphrase->mem, name, key, leaf, certs, NID_aes_256_cbc, NID_aes_256_cbc, ROUNDS_OUT, ROUNDS_OUT, 0);
	len = p12 != NULL ? i2d_PKCS12(p12, &der) : -1;
	if (len <= 0) {
		err_set(e, RC_CERT, "the backup cannot be made: %s", x509_reason());
		goto out;
	}
	str_addn(out, (char *)der, (size_t)len);
	rc = 0;
out:
	OPENSSL_free(der);
	PKCS12_free(p12);
	X509_free(leaf);
	x509_stack_free(certs);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}
