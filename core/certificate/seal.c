/* Secrets at rest, as one line of text:
 *
 *     mxseal1$SALT$NONCE$DATA$SUM
 *
 * all in base64: 16 bytes of salt, 12 of nonce, the ciphertext with its tag of 16, and the first 6 bytes of the SHA-256 of
 * the line before the last "$". Key: scrypt (RFC 7914) with N=2^15, r=8, p=1 over the passphrase; cipher: AES-256-GCM
 * (NIST SP 800-38D) with the text up to the nonce as additional data. The "1" stands for all of that: other parameters
 * would be another number. The sum is no protection; it tells a damaged line from a wrong passphrase. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"

#define VERSION "mxseal1"
#define SALT_LEN 16
#define NONCE_LEN 12
#define TAG_LEN 16
#define SUM_LEN 6
#define KEY_LEN 32
#define PLAIN_MAX 65536
#define SCRYPT_N (1u << 15)
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEMORY (64u * 1024 * 1024)

static int
make_key(const struct secret *passphrase, const unsigned char *salt, unsigned char key[KEY_LEN], struct err *e)
{
	if (EVP_PBE_scrypt(passphrase->mem, passphrase->len, salt, SALT_LEN, SCRYPT_N, SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY,
	    key, KEY_LEN) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, RC_BUG, "a key could not be made from the passphrase: out of memory?");
}

static int
need_passphrase(const struct secret *passphrase, struct err *e)
{
	if (secret_is_set(passphrase) && passphrase->len > 0)
		return 0;
	return err_set(e, RC_PASSPHRASE, "a passphrase is needed for the sealed keys in the store");
}

/* out gets the ciphertext and the tag: len + TAG_LEN bytes. */
static int
encrypt(const unsigned char *key, const unsigned char *nonce, const struct str *head, const struct secret *plain,
    unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, ok;

	ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
	    && EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)head->s, (int)head->len) == 1
	    && EVP_EncryptUpdate(ctx, out, &n, (const unsigned char *)plain->mem, (int)plain->len) == 1
	    && EVP_EncryptFinal_ex(ctx, out + n, &n) == 1
	    && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, out + plain->len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return ok ? 0 : -1;
}

static int
decrypt(const unsigned char *key, const unsigned char *nonce, const char *head, size_t head_len, unsigned char *data,
    size_t len, unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, ok;

	ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1
	    && EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)head, (int)head_len) == 1
	    && EVP_DecryptUpdate(ctx, out, &n, data, (int)len) == 1
	    && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, data + len) == 1
	    && EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return ok ? 0 : -1;
}

static void
add_sum(const char *line, size_t len, struct str *out)
{
	unsigned char raw[SUM_LEN];
	char hex[65];
	int i;

	sha256_hex(line, len, hex);
	for (i = 0; i < SUM_LEN; i++) {
		char byte[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		raw[i] = (unsigned char)strtoul(byte, NULL, 16);
	}
	base64_encode(raw, SUM_LEN, out);
}

int
seal(const struct secret *plain, const struct secret *passphrase, struct str *out, struct err *e)
{
	unsigned char key[KEY_LEN], salt[SALT_LEN], nonce[NONCE_LEN], *data = NULL;
	struct str line = STR_INIT;
	int rc = -1;

	if (need_passphrase(passphrase, e) != 0)
		return -1;
	if (!secret_is_set(plain) || plain->len == 0 || plain->len > PLAIN_MAX)
		return err_set(e, RC_BUG, "there is nothing to seal, or too much");
	random_bytes(salt, sizeof(salt));
	random_bytes(nonce, sizeof(nonce));
	str_add(&line, VERSION "$");
	base64_encode(salt, sizeof(salt), &line);
	str_addc(&line, '$');
	base64_encode(nonce, sizeof(nonce), &line);
	data = xcalloc(plain->len + TAG_LEN, 1);
	if (make_key(passphrase, salt, key, e) != 0)
		goto out;
	if (encrypt(key, nonce, &line, plain, data) != 0) {
		err_set(e, RC_BUG, "the secret could not be sealed");
		goto out;
	}
	str_addc(&line, '$');
	base64_encode(data, plain->len + TAG_LEN, &line);
	str_addn(out, line.s, line.len);
	str_addc(out, '$');
	add_sum(line.s, line.len, out);
	rc = 0;
out:
	secret_wipe(key, sizeof(key));
	free(data);
	str_release(&line);
	return rc;
}

/* The pieces of a line, decoded. head_len: what the cipher vouches for beside the data. */
struct sealed {
	unsigned char salt[SALT_LEN], nonce[NONCE_LEN];
	unsigned char *data;
	size_t len;                 /* of the ciphertext, without the tag */
	size_t head_len;
};

/* The piece from *at to the next "$" or the end, which must decode to exactly want bytes (0: any number up to max). */
static int
next_piece(const char **at, unsigned char *out, size_t max, size_t want, size_t *n)
{
	const char *end = strchrnul(*at, '$');

	if (base64_decode(*at, (size_t)(end - *at), out, max, n) != 0 || (want > 0 && *n != want))
		return -1;
	*at = *end == '$' ? end + 1 : end;
	return 0;
}

static bool
sum_is_right(const char *line)
{
	const char *last = strrchr(line, '$');
	struct str sum = STR_INIT;
	bool right;

	if (last == NULL)
		return false;
	add_sum(line, (size_t)(last - line), &sum);
	right = strcmp(sum.s, last + 1) == 0;
	str_release(&sum);
	return right;
}

static int
take_apart(const char *line, struct sealed *out)
{
	const char *at = line + sizeof(VERSION "$") - 1;
	size_t n = 0, max = strlen(line);

	if (next_piece(&at, out->salt, SALT_LEN, SALT_LEN, &n) != 0
	    || next_piece(&at, out->nonce, NONCE_LEN, NONCE_LEN, &n) != 0)
		return -1;
	out->head_len = (size_t)(at - line) - 1;
	out->data = xcalloc(max, 1);
	if (next_piece(&at, out->data, max, 0, &n) != 0 || n <= TAG_LEN)
		return -1;
	out->len = n - TAG_LEN;
	return 0;
}

int
unseal(const char *sealed, const struct secret *passphrase, struct secret *plain, struct err *e)
{
	struct sealed s = { .data = NULL };
	unsigned char key[KEY_LEN], *clear = NULL;
	int rc = -1;

	if (sealed == NULL || strlen(sealed) > 4 * PLAIN_MAX)
		return err_set(e, RC_PARSE, "this is not a sealed secret");
	if (!text_starts(sealed, VERSION "$"))
		return err_set(e, RC_PARSE, "this is not a secret that this version can open");
	if (!sum_is_right(sealed) || take_apart(sealed, &s) != 0) {
		err_set(e, RC_PARSE, "the sealed secret in the store is damaged");
		goto out;
	}
	if (need_passphrase(passphrase, e) != 0 || make_key(passphrase, s.salt, key, e) != 0)
		goto out;
	clear = xcalloc(s.len + 1, 1);
	if (decrypt(key, s.nonce, sealed, s.head_len, s.data, s.len, clear) != 0) {
		err_set(e, RC_PASSPHRASE, "the passphrase is wrong");
		goto out;
	}
	secret_set(plain, clear, s.len);
	rc = 0;
out:
	secret_wipe(key, sizeof(key));
	secret_wipe(clear, clear != NULL ? s.len : 0);
	free(clear);
	free(s.data);
	return rc;
}
