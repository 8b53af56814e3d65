/* From OpenSSL's objects to our records and words. Certificates are hostile: names with control characters or zero bytes,
 * dates out of range, keys of unknown kinds; each of these must come out as text that is safe to show or as a refusal. */
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "mxseal/clean.h"
#include "mxseal/x509.h"
#include "mxseal/xalloc.h"

#define NAME_TEXT_MAX 2048       /* bytes of a name shown */
#define ALT_NAMES_MAX 65536      /* bytes of all alternative names kept */
#define SERIAL_MAX 64            /* octets; RFC 5280 allows 20 */

const char *
x509_reason(void)
{
	static _Thread_local char text[160];
	unsigned long code = ERR_get_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	snprintf(text, sizeof(text), "%s", reason != NULL ? reason : "no reason given");
	ERR_clear_error();
	return text;
}

int64_t
x509_time(const ASN1_TIME *t)
{
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1) {
		ERR_clear_error();
		return 0;
	}
	/* devices without a clock date their certificates to the epoch itself, which is our word for "never" */
	return timegm(&tm) != 0 ? (int64_t)timegm(&tm) : 1;
}

char *
x509_name_text(const X509_NAME *name)
{
	const unsigned long flags = XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_DN_REV | XN_FLAG_FN_SN | XN_FLAG_DUMP_UNKNOWN_FIELDS
	    | ASN1_STRFLGS_ESC_2253 | ASN1_STRFLGS_UTF8_CONVERT | ASN1_STRFLGS_DUMP_UNKNOWN | ASN1_STRFLGS_DUMP_DER;
	BIO *bio = BIO_new(BIO_s_mem());
	struct str text;
	char *mem = NULL;
	long len;

	str_init(&text, NAME_TEXT_MAX);
	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, flags) >= 0) {
		len = BIO_get_mem_data(bio, &mem);
		if (len > 0)
			clean_text(&text, mem, (size_t)len < NAME_TEXT_MAX ? (size_t)len : NAME_TEXT_MAX, false);
	}
	BIO_free(bio);
	ERR_clear_error();
	return str_take(&text);
}

static char *
string_text(const ASN1_STRING *s)
{
	unsigned char *utf8 = NULL;
	struct str text;
	int len;

	len = ASN1_STRING_to_UTF8(&utf8, s);
	ERR_clear_error();
	if (len < 0)
		return NULL;
	str_init(&text, NAME_TEXT_MAX);
	clean_text(&text, (const char *)utf8, len < NAME_TEXT_MAX ? (size_t)len : NAME_TEXT_MAX, false);
	OPENSSL_free(utf8);
	return str_take(&text);
}

char *
x509_name_field(const X509_NAME *name, int nid)
{
	int at = -1, last = -1;

	while ((at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0)
		last = at;
	if (last < 0)
		return NULL;
	return string_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
}

/* A DNS name is taken only when it has nothing but what host names are made of: a blank inside one would be two names in
 * our list, a zero byte would hide its end. */
static bool
plain_dns_name(const unsigned char *s, int len)
{
	static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*";
	int i;

	if (len < 1 || len > 255)
		return false;
	for (i = 0; i < len; i++)
		if (s[i] == '\0' || strchr(name_chars, s[i]) == NULL)
			return false;
	return true;
}

void
x509_alt_names(const GENERAL_NAMES *names, struct str *out)
{
	char address[INET6_ADDRSTRLEN];
	const ASN1_STRING *value;
	int i, type, len;

	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
		if (out->len > ALT_NAMES_MAX)
			return;
		if (type == GEN_DNS) {
			len = ASN1_STRING_length(value);
			if (!plain_dns_name(ASN1_STRING_get0_data(value), len))
				continue;
			str_add(out, out->len > 0 ? " " : "");
			str_addn(out, ASN1_STRING_get0_data(value), (size_t)len);
		} else if (type == GEN_IPADD) {
			len = ASN1_STRING_length(value);
			if ((len != 4 && len != 16)
			    || inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), address,
			        sizeof(address)) == NULL)
				continue;
			str_add(out, out->len > 0 ? " " : "");
			str_add(out, address);
		}
	}
}

char *
x509_serial_text(const ASN1_INTEGER *serial)
{
	struct str hex = STR_INIT;
	int i, len = ASN1_STRING_length(serial);
	const unsigned char *raw = ASN1_STRING_get0_data(serial);

	if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER)
		str_addc(&hex, '-');
	for (i = 0; i < len && i < SERIAL_MAX; i++)
		str_addf(&hex, "%02x", raw[i]);
	if (len == 0)
		str_add(&hex, "00");
	return str_take(&hex);
}

int
x509_to_pem(X509 *x, struct str *out, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *mem = NULL;
	long len;
	int rc = -1;

	if (bio != NULL && PEM_write_bio_X509(bio, x) == 1 && (len = BIO_get_mem_data(bio, &mem)) > 0) {
		str_addn(out, mem, (size_t)len);
		rc = 0;
	}
	BIO_free(bio);
	if (rc != 0)
		err_set(e, RC_BUG, "a certificate could not be written as text: %s", x509_reason());
	return rc;
}

/* The digest of what OpenSSL encoded, which is freed; len <= 0: it could not. */
static int
der_sha256(unsigned char *der, int len, char out[65])
{
	out[0] = '\0';
	if (len <= 0) {
		ERR_clear_error();
		return -1;
	}
	sha256_hex(der, (size_t)len, out);
	OPENSSL_free(der);
	return 0;
}

int
x509_sha256(X509 *x, char out[65])
{
	unsigned char *der = NULL;
	int len = i2d_X509(x, &der);

	return der_sha256(der, len, out);
}

int
x509_spki_sha256(X509_PUBKEY *key, char out[65])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(key, &der);

	return der_sha256(der, len, out);
}

bool
x509_self_signed(X509 *x)
{
	return (X509_get_extension_flags(x) & EXFLAG_SS) != 0;
}

static void
describe_key(X509 *x, struct certificate *out)
{
	EVP_PKEY *key = X509_get0_pubkey(x);
	const char *type = key != NULL ? EVP_PKEY_get0_type_name(key) : NULL;

	ERR_clear_error();
	xset(&out->key_type, type != NULL ? type : "unknown");
	out->key_bits = key != NULL ? EVP_PKEY_get_bits(key) : 0;
}

int
x509_describe(X509 *x, struct certificate *out, struct err *e)
{
	GENERAL_NAMES *names;
	struct str san = STR_INIT;
	char sha[65], spki[65];

	out->not_before = x509_time(X509_get0_notBefore(x));
	out->not_after = x509_time(X509_get0_notAfter(x));
	if (out->not_before == 0 || out->not_after == 0)
		return err_set(e, RC_PARSE, "a certificate has dates that cannot be read");
	if (x509_sha256(x, sha) != 0 || x509_spki_sha256(X509_get_X509_PUBKEY(x), spki) != 0)
		return err_set(e, RC_PARSE, "a certificate is damaged");
	names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	if (names != NULL)
		x509_alt_names(names, &san);
	GENERAL_NAMES_free(names);
	free(out->subject);
	out->subject = x509_name_text(X509_get_subject_name(x));
	free(out->issuer);
	out->issuer = x509_name_text(X509_get_issuer_name(x));
	free(out->cn);
	out->cn = x509_name_field(X509_get_subject_name(x), NID_commonName);
	free(out->serial);
	out->serial = x509_serial_text(X509_get0_serialNumber(x));
	free(out->san);
	out->san = san.len > 0 ? str_take(&san) : NULL;
	xset(&out->sha256, sha);
	xset(&out->spki_sha256, spki);
	describe_key(x, out);
	str_release(&san);
	ERR_clear_error();
	return 0;
}

/* --- keys --- */

const char *
x509_key_words(EVP_PKEY *key)
{
	static _Thread_local char text[96];
	char group[64] = "";
	size_t len = 0;

	if (key == NULL)
		return "of an unknown kind";
	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1)
		snprintf(text, sizeof(text), "EC %s", group);
	else if (EVP_PKEY_is_a(key, "RSA"))
		snprintf(text, sizeof(text), "RSA %d", EVP_PKEY_get_bits(key));
	else
		snprintf(text, sizeof(text), "%s", EVP_PKEY_get0_type_name(key) != NULL ? EVP_PKEY_get0_type_name(key)
		    : "of an unknown kind");
	ERR_clear_error();
	return text;
}

int
x509_key_kind(EVP_PKEY *key, enum key_kind *kind, struct err *e)
{
	enum key_kind found = KEY_RSA_2048;
	int bits = EVP_PKEY_get_bits(key);
	bool known = false;

	if (EVP_PKEY_is_a(key, "EC")) {
		const char *words = x509_key_words(key);

		known = strcmp(words, "EC prime256v1") == 0 || strcmp(words, "EC secp384r1") == 0;
		found = bits == 384 ? KEY_EC_P384 : KEY_EC_P256;
	} else if (EVP_PKEY_is_a(key, "RSA")) {
		known = bits >= 2048 && bits <= 16384;
		found = bits >= 4096 ? KEY_RSA_4096 : bits >= 3072 ? KEY_RSA_3072 : KEY_RSA_2048;
	}
	ERR_clear_error();
	if (!known) {
		err_set(e, RC_CERT, "the key is %s; it must be RSA of 2048 bits or more, or EC on P-256 or P-384",
		    x509_key_words(key));
		return err_hint(e, "make a new key and a new request");
	}
	if (kind != NULL)
		*kind = found;
	return 0;
}

const EVP_MD *
x509_digest(EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();
}

/* Without this OpenSSL would ask at the terminal when a text says that it is encrypted. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf, (void)size, (void)rwflag, (void)arg;
	return -1;
}

EVP_PKEY *
x509_public_key(const char *pem, struct err *e)
{
	EVP_PKEY *key = NULL;
	BIO *bio = NULL;
	size_t len = pem != NULL ? strlen(pem) : 0;

	if (len > 0 && len <= 65536)
		bio = BIO_new_mem_buf(pem, (int)len);
	if (bio != NULL)
		key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (key == NULL)
		err_set(e, RC_PARSE, "the public key cannot be read: %s", x509_reason());
	ERR_clear_error();
	return key;
}
