/* Digests, base64 and random bytes for the whole program, by OpenSSL: this is the only face of it that the other rooms
 * may use for such things. Nothing here can fail in a way that a caller could handle: a library without SHA-256 or a
 * system without randomness ends the program. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"

static void
no_crypto(const char *what)
{
	fprintf(stderr, "mxseal: the cryptographic library gives no %s; nothing can be done safely without it\n", what);
	abort();
}

static void
sha256_raw(const void *mem, size_t len, unsigned char out[32])
{
	if (EVP_Digest(len > 0 ? mem : "", len, out, NULL, EVP_sha256(), NULL) != 1)
		no_crypto("SHA-256");
}

void
sha256_hex(const void *mem, size_t len, char out[65])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[32];
	int i;

	sha256_raw(mem, len, raw);
	for (i = 0; i < 32; i++) {
		out[2 * i] = digits[raw[i] >> 4];
		out[2 * i + 1] = digits[raw[i] & 15];
	}
	out[64] = '\0';
}

void
sha256_base64(const void *mem, size_t len, char out[48])
{
	unsigned char raw[32];
	int n;

	sha256_raw(mem, len, raw);
	n = EVP_EncodeBlock((unsigned char *)out, raw, sizeof(raw));
	while (n > 0 && out[n - 1] == '=')
		n--;
	out[n] = '\0';
}

void
hmac_sha1(const void *key, size_t klen, const void *mem, size_t len, unsigned char out[20])
{
	unsigned int n = 0;

	if (HMAC(EVP_sha1(), klen > 0 ? key : "", (int)klen, len > 0 ? mem : (const void *)"", len, out, &n) == NULL
	    || n != 20)
		no_crypto("HMAC-SHA1");
}

/* The place of a character in the alphabet of RFC 4648 section 4, or -1. */
static int
base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
base64_decode(const char *text, size_t len, unsigned char *out, size_t max, size_t *n)
{
	unsigned int bits = 0;
	int have = 0, value;
	size_t i, letters = 0, pads = 0, used = 0;

	*n = 0;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c == '=') {
			pads++;
			continue;
		}
		value = base64_value(c);
		if (value < 0 || pads > 0)
			return -1;
		letters++;
		bits = (bits << 6 | (unsigned int)value) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (used == max)
				return -1;
			out[used++] = (unsigned char)(bits >> have);
		}
	}
	/* padding may be left out, but must be right when it is there; bits left over must be zero (RFC 4648 3.5) */
	if (letters % 4 == 1 || (pads > 0 && (letters + pads) % 4 != 0) || pads > 2 || (bits & ((1u << have) - 1)) != 0)
		return -1;
	*n = used;
	return 0;
}

void
base64_encode(const void *mem, size_t len, struct str *out)
{
	const unsigned char *p = mem;
	unsigned char block[4 * 16 + 1];
	size_t take;
	int n;

	while (len > 0) {
		take = len < 48 ? len : 48;
		n = EVP_EncodeBlock(block, p, (int)take);
		str_addn(out, block, (size_t)n);
		p += take;
		len -= take;
	}
}

void
random_bytes(void *mem, size_t len)
{
	if (len == 0)
		return;
	if (RAND_bytes(mem, (int)len) != 1)
		no_crypto("random bytes");
}
