/* RSA user keys of SSH (RFC 8332): the public key in SSH's form and signatures with SHA-2, which libssh2 1.10 cannot make.
 * Reads PEM and PKCS#8 (also encrypted) by OpenSSL, and OpenSSH's own form unencrypted; an encrypted one of that form
 * needs bcrypt, which OpenSSL does not have: the agent or the ssh program serve it. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"

#define KEY_MAX (64u * 1024)

struct rsa_key {
	EVP_PKEY *pkey;
};

static int
no_prompt(char *mem, int size, int rwflag, void *arg)
{
	const struct secret *s = arg;

	(void)rwflag;
	if (s == NULL || !secret_is_set(s) || s->len > (size_t)size)
		return -1;
	memcpy(mem, s->mem, s->len);
	return (int)s->len;
}

/* A string of RFC 4251; *p moves behind it. */
static bool
get_string(const unsigned char **p, const unsigned char *end, const unsigned char **s, size_t *n)
{
	if (end - *p < 4)
		return false;
	*n = (size_t)(*p)[0] << 24 | (size_t)(*p)[1] << 16 | (size_t)(*p)[2] << 8 | (*p)[3];
	*p += 4;
	if (*n > (size_t)(end - *p))
		return false;
	*s = *p;
	*p += *n;
	return true;
}

/* The private part of an unencrypted "openssh-key-v1" (PROTOCOL.key): two equal check numbers, then n e d iqmp p q. */
static EVP_PKEY *
from_numbers(const unsigned char *p, const unsigned char *end)
{
	static const char *const names[] = {
		OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
		OSSL_PKEY_PARAM_RSA_COEFFICIENT1, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
		OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
	};
	BIGNUM *v[8] = { NULL }, *less = BN_new();
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BN_CTX *bn = BN_CTX_new();
	EVP_PKEY *pkey = NULL;
	const unsigned char *s;
	size_t n, i;
	bool ok;

	ok = end - p >= 8 && memcmp(p, p + 4, 4) == 0 && less != NULL && build != NULL && ctx != NULL && bn != NULL;
	p += ok ? 8 : 0;
	ok = ok && get_string(&p, end, &s, &n) && n == 7 && memcmp(s, "ssh-rsa", 7) == 0;
	for (i = 0; i < 6 && ok; i++) {
		ok = get_string(&p, end, &s, &n) && n <= 4096;
		v[i] = ok ? BN_secure_new() : NULL;
		ok = ok && v[i] != NULL && BN_bin2bn(s, (int)n, v[i]) != NULL;
	}
	/* OpenSSL wants the two exponents as well: d mod (p-1), d mod (q-1) */
	for (i = 6; i < 8 && ok; i++) {
		v[i] = BN_secure_new();
		ok = v[i] != NULL && !BN_is_zero(v[i - 2]) && !BN_is_one(v[i - 2]) && BN_copy(less, v[i - 2]) != NULL
		    && BN_sub_word(less, 1) && BN_mod(v[i], v[2], less, bn);
	}
	for (i = 0; i < 8 && ok; i++)
		ok = OSSL_PARAM_BLD_push_BN(build, names[i], v[i]) == 1;
	if (ok && (params = OSSL_PARAM_BLD_to_param(build)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params);
	for (i = 0; i < 8; i++)
		BN_clear_free(v[i]);
	BN_clear_free(less);
	BN_CTX_free(bn);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static EVP_PKEY *
from_openssh(const char *mem, size_t len)
{
	static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----", end_line[] = "-----END OPENSSH PRIVATE KEY-----";
	const char *from = memmem(mem, len, begin, strlen(begin)), *to = memmem(mem, len, end_line, strlen(end_line));
	const unsigned char *p, *end, *s;
	unsigned char *raw = NULL;
	EVP_PKEY *pkey = NULL;
	size_t n = 0, sn, i;
	bool ok;

	if (from == NULL || to == NULL || to < from)
		return NULL;
	from += strlen(begin);
	raw = xcalloc(1, KEY_MAX);
	ok = base64_decode(from, (size_t)(to - from), raw, KEY_MAX, &n) == 0 && n > 19
	    && memcmp(raw, "openssh-key-v1", 15) == 0;
	p = raw + 15;
	end = raw + n;
	for (i = 0; i < 3 && ok; i++) {               /* cipher, kdf, options */
		ok = get_string(&p, end, &s, &sn);
		ok = ok && (i != 0 || (sn == 4 && memcmp(s, "none", 4) == 0));
	}
	ok = ok && end - p >= 4;
	p += ok ? 4 : 0;                              /* number of keys */
	ok = ok && get_string(&p, end, &s, &sn) && get_string(&p, end, &s, &sn);
	if (ok)
		pkey = from_numbers(s, s + sn);
	secret_wipe(raw, KEY_MAX);
	free(raw);
	return pkey;
}

int
rsa_key_read(struct rsa_key **out, const void *mem, size_t len, const struct secret *passphrase, struct err *e)
{
	EVP_PKEY *pkey = NULL;
	BIO *bio;

	*out = NULL;
	if (len > KEY_MAX)
		return err_set(e, RC_LIMIT, "the key is larger than %u bytes", KEY_MAX);
	pkey = from_openssh(mem, len);
	if (pkey == NULL) {
		bio = BIO_new_mem_buf(mem, (int)len);
		if (bio != NULL)
			pkey = PEM_read_bio_PrivateKey(bio, NULL, no_prompt, (void *)(uintptr_t)passphrase);
		BIO_free(bio);
	}
	ERR_clear_error();
	if (pkey == NULL)
		return err_set(e, RC_PASSPHRASE, "the key cannot be read: wrong passphrase, or it is damaged");
	if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA || EVP_PKEY_get_bits(pkey) < 1024) {
		EVP_PKEY_free(pkey);
		return err_set(e, RC_INVALID, "the key is not an RSA key of at least 1024 bits");
	}
	*out = xcalloc(1, sizeof(**out));
	(*out)->pkey = pkey;
	return 0;
}

static void
put_string(struct str *out, const void *mem, size_t n)
{
	unsigned char head[4] = { (unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
		(unsigned char)n };

	str_addn(out, head, 4);
	str_addn(out, mem, n);
}

/* An mpint: a zero in front where the highest bit is set. */
static void
put_number(struct str *out, const EVP_PKEY *pkey, const char *name)
{
	BIGNUM *n = NULL;
	unsigned char *mem;
	int len;

	if (EVP_PKEY_get_bn_param(pkey, name, &n) != 1)
		return;
	len = BN_num_bytes(n);
	mem = xcalloc(1, (size_t)len + 1);
	BN_bn2bin(n, mem + 1);
	if (len > 0 && (mem[1] & 0x80))
		put_string(out, mem, (size_t)len + 1);
	else
		put_string(out, mem + 1, (size_t)len);
	free(mem);
	BN_free(n);
}

void
rsa_key_public(const struct rsa_key *k, struct str *blob)
{
	put_string(blob, "ssh-rsa", 7);
	put_number(blob, k->pkey, OSSL_PKEY_PARAM_RSA_E);
	put_number(blob, k->pkey, OSSL_PKEY_PARAM_RSA_N);
}

int
rsa_key_sign(const struct rsa_key *k, const char *algorithm, const void *mem, size_t len, struct str *signature,
    struct err *e)
{
	const EVP_MD *md = text_eq(algorithm, "rsa-sha2-512") ? EVP_sha512()
	    : text_eq(algorithm, "rsa-sha2-256") ? EVP_sha256() : NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *sig = NULL;
	size_t n = 0;
	int rc = -1;

	if (md == NULL || ctx == NULL || EVP_DigestSignInit(ctx, NULL, md, NULL, k->pkey) != 1
	    || EVP_DigestSign(ctx, NULL, &n, mem, len) != 1)
		goto out;
	sig = xcalloc(1, n);
	if (EVP_DigestSign(ctx, sig, &n, mem, len) != 1)
		goto out;
	str_addn(signature, sig, n);
	rc = 0;
out:
	EVP_MD_CTX_free(ctx);
	free(sig);
	ERR_clear_error();
	return rc == 0 ? 0 : err_set(e, RC_AUTH, "the key does not sign by %s", algorithm);
}

void
rsa_key_free(struct rsa_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}
