/* Reads enough of a private key file to know its kind, whether it is encrypted, and the public key that the server will be
 * asked about, so that a person is asked for a passphrase only when the key is wanted, and told clearly what is wrong with
 * a file. The private part stays with libssh2 (Ed25519, ECDSA) and core/certificate (RSA). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"
#include "keys.h"

#define FILE_LIMIT (64u * 1024)
#define OPENSSH_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define OPENSSH_END "-----END OPENSSH PRIVATE KEY-----"

static void
take_blob(struct keyfile *k, const unsigned char *blob, size_t len)
{
	free(k->blob);
	k->blob = xcalloc(1, len + 1);
	memcpy(k->blob, blob, len);
	k->blob_len = len;
	if (!hostkey_type(blob, len, k->type)) {
		free(k->blob);
		k->blob = NULL;
		k->blob_len = 0;
	}
}

/* "openssh-key-v1": cipher, kdf and public key stand in clear in front of the private part. */
static int
parse_openssh(struct keyfile *k, const char *begin, struct err *e)
{
	static const char magic[] = "openssh-key-v1";
	const unsigned char *cipher, *kdf, *options, *blob;
	size_t n = 0, cipher_n, kdf_n, options_n, blob_n;
	const char *end = strstr(begin, OPENSSH_END);
	unsigned char *raw = NULL;
	struct wire w;
	uint32_t keys;
	int rc = -1;

	if (end == NULL)
		return err_set(e, RC_AUTH, "the key file %s is cut off", clean(k->path));
	raw = xcalloc(1, FILE_LIMIT);
	if (base64_decode(begin, (size_t)(end - begin), raw, FILE_LIMIT, &n) < 0 || n < sizeof(magic)
	    || memcmp(raw, magic, sizeof(magic)) != 0)
		goto broken;
	w = (struct wire){ raw + sizeof(magic), raw + n };
	if (!wire_get_string(&w, &cipher, &cipher_n) || !wire_get_string(&w, &kdf, &kdf_n)
	    || !wire_get_string(&w, &options, &options_n) || !wire_get_u32(&w, &keys) || keys != 1
	    || !wire_get_string(&w, &blob, &blob_n) || cipher_n >= sizeof(k->cipher) || memchr(cipher, 0, cipher_n) != NULL)
		goto broken;
	memcpy(k->cipher, cipher, cipher_n);
	k->cipher[cipher_n] = '\0';
	k->encrypted = !text_eq(k->cipher, "none");
	take_blob(k, blob, blob_n);
	rc = 0;
broken:
	if (rc < 0)
		err_set(e, RC_AUTH, "the key file %s is damaged", clean(k->path));
	secret_wipe(raw, FILE_LIMIT);
	free(raw);
	return rc;
}

/* "type base64 comment", as in a .pub file. */
static bool
parse_public(struct keyfile *k, const char *text)
{
	char **words;
	unsigned char blob[16384];
	size_t n, len;

	words = words_split(text, " \t\r\n", &n);
	if (n >= 2 && base64_decode(words[1], strlen(words[1]), blob, sizeof(blob), &len) == 0)
		take_blob(k, blob, len);
	words_free(words);
	return k->blob != NULL;
}

int
keyfile_parse(struct keyfile *k, struct err *e)
{
	const char *p = strstr(k->text.s, "-----BEGIN ");

	if (p == NULL && parse_public(k, k->text.s)) {
		k->kind = KEYFILE_PUBLIC;
		return 0;
	}
	if (p == NULL || strlen(k->text.s) != k->text.len)
		return err_set(e, RC_AUTH, "the file %s is no private key", clean(k->path));
	if (text_starts(p, OPENSSH_BEGIN)) {
		k->kind = KEYFILE_OPENSSH;
		return parse_openssh(k, p + strlen(OPENSSH_BEGIN), e);
	}
	k->kind = KEYFILE_PEM;
	if (text_starts(p, "-----BEGIN RSA PRIVATE KEY-----") || text_starts(p, "-----BEGIN EC PRIVATE KEY-----")
	    || text_starts(p, "-----BEGIN PRIVATE KEY-----")) {
		k->encrypted = strstr(p, "Proc-Type: 4,ENCRYPTED") != NULL;
		return 0;
	}
	if (text_starts(p, "-----BEGIN ENCRYPTED PRIVATE KEY-----")) {
		k->encrypted = true;
		return 0;
	}
	if (text_starts(p, "-----BEGIN CERTIFICATE") || text_starts(p, "-----BEGIN PUBLIC KEY"))
		return err_set(e, RC_AUTH, "the file %s is no private key", clean(k->path));
	return err_set(e, RC_AUTH, "the key file %s has a form that is not known here", clean(k->path));
}

/* The public key beside it, for files that do not tell it. */
static void
read_public(struct keyfile *k)
{
	char *path = xasprintf("%s.pub", k->path);
	struct str text = STR_INIT;

	if (str_read_file(&text, path, FILE_LIMIT, NULL) == 0)
		parse_public(k, text.s);
	str_release(&text);
	free(path);
}

static bool
is_public(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && strcmp(path + n - 4, ".pub") == 0;
}

int
keyfile_read(struct keyfile *out, const char *path, struct err *e)
{
	struct stat st;
	char *beside;

	*out = (struct keyfile){ .path = xstrdup(path) };
	str_init(&out->text, FILE_LIMIT);
	if (stat(path, &st) < 0) {
		err_set(e, errno == ENOENT || errno == ENOTDIR ? RC_NOTFOUND : RC_AUTH, "the key file %s cannot be read: %s",
		    clean(path), strerror(errno));
		goto bad;
	}
	if (S_ISREG(st.st_mode) && st.st_uid == getuid() && (st.st_mode & 077) != 0 && !is_public(path)) {
		err_set(e, RC_AUTH, "the key file %s may be read by others and is not used", clean(path));
		err_hint(e, "chmod 600 %s", clean(path));
		goto bad;
	}
	if (str_read_file(&out->text, path, FILE_LIMIT, e) < 0) {
		if (e != NULL)
			e->code = RC_AUTH;
		goto bad;
	}
	if (keyfile_parse(out, e) < 0)
		goto bad;
	if (out->blob == NULL)
		read_public(out);
	beside = xasprintf("%s-cert.pub", path);
	out->certificate = access(beside, R_OK) == 0;
	free(beside);
	return 0;
bad:
	keyfile_release(out);
	return -1;
}

void
keyfile_release(struct keyfile *k)
{
	free(k->path);
	free(k->blob);
	str_wipe(&k->text);
	*k = (struct keyfile){ .encrypted = false };
}
