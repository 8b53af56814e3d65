/* Trusted authorities as OpenSSL on a mail host takes them, not as we take a file that somebody gives us: a file of them
 * (SSL_CTX_load_verify_locations(3), CAfile) is loaded whole, or for one damaged block not at all; of a folder of them (CApath) each file
 * counts for itself, up to its damage. OpenSSL's own readers are used, so that we are wrong where it is. */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define TOLD 3               /* damaged files that are named */
#define FILE_MARK "==> "     /* a file begins so, and that line ends with " <==" */

static BIO *
bio_of(const char *mem, size_t len)
{
	BIO *bio = BIO_new_mem_buf(mem, (int)len);

	if (bio == NULL)
		abort();
	return bio;
}

/* Why the reader stopped: NULL, at the end. */
static const char *
damage(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *why;

	if (code == 0 || (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE))
		return NULL;
	why = ERR_reason_error_string(ERR_peek_error());
	return why != NULL ? why : "no certificate";
}

/* In which block, and where that begins, by what was read. */
static void
place_of(const char *text, size_t read, int *block, int *line)
{
	const char *p = text, *end = text + read, *nl;
	bool open = false;           /* what begins in a block is swallowed by it */
	int at = 1;

	for (*block = 0, *line = 0; p < end; p = nl + 1, at++) {
		if (text_starts(p, "-----BEGIN ") && !open) {
			++*block;
			*line = at;
			open = true;
		}
		open = open && !text_starts(p, "-----END ");
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
			break;
	}
}

int
cert_bundle_check(const char *text, struct err *e)
{
	size_t len = strlen(text);
	BIO *bio = bio_of(text, len);
	STACK_OF(X509_INFO) *all;
	int block, line, rc = 0, i, n = 0;

	ERR_clear_error();
	all = PEM_X509_INFO_read_bio(bio, NULL, NULL, (void *)"");
	if (all == NULL) {
		const char *why = damage();

		place_of(text, len - (size_t)BIO_pending(bio), &block, &line);
		rc = err_set(e, RC_CERT, "block %d of it, at line %d, is damaged (%s)", block, line, why != NULL ? why : "unreadable");
	}
	for (i = 0; i < sk_X509_INFO_num(all); i++)
		n += sk_X509_INFO_value(all, i)->x509 != NULL || sk_X509_INFO_value(all, i)->crl != NULL;
	if (rc == 0 && n == 0)
		rc = err_set(e, RC_CERT, "there is no certificate in it");
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

/* One file: its certificates up to the first damage. Why that is; NULL: none. */
static const char *
read_file(const char *mem, size_t len, STACK_OF(X509) *out, int max)
{
	BIO *bio = bio_of(mem, len);
	const char *why;
	X509 *x;

	ERR_clear_error();
	while (sk_X509_num(out) < max && (x = PEM_read_bio_X509_AUX(bio, NULL, NULL, (void *)"")) != NULL)
		if (sk_X509_push(out, x) == 0)
			abort();
	why = damage();
	ERR_clear_error();
	BIO_free(bio);
	return why;
}

static STACK_OF(X509) *
read_files(const char *text, int max, struct str *said)
{
	STACK_OF(X509) *out = sk_X509_new_null();
	const char *p, *end, *why;
	size_t damaged = 0, len;

	if (out == NULL)
		abort();
	for (p = text; *p != '\0'; p += len + (end != NULL)) {
		end = strstr(p, "\n" FILE_MARK);
		len = end != NULL ? (size_t)(end - p) : strlen(p);
		why = read_file(p, len, out, max);
		if (why != NULL && text_starts(p, FILE_MARK) && ++damaged <= TOLD && said != NULL) {
			size_t n = strcspn(p, "\n") - strlen(FILE_MARK);
			char *path = xstrndup(p + strlen(FILE_MARK), n > strlen(FILE_MARK) ? n - strlen(FILE_MARK) : 0);

			str_addf(said, "%s is damaged (%s): who is in it is not trusted\n", clean(path), why);
			free(path);
		}
	}
	if (damaged > TOLD && said != NULL)
		str_addf(said, "and %zu files more\n", damaged - TOLD);
	return out;
}

STACK_OF(X509) *
x509_read_trusted(const char *text, int max)
{
	return read_files(text, max, NULL);
}

void
cert_folder_damage(const char *text, struct str *out)
{
	x509_stack_free(read_files(text, INT_MAX, out));
}
