/* A TLS stream over any other stream: the handshake accepts what it can get, from the oldest protocol that OpenSSL still has,
 * so that a weak peer can be described instead of only missed; nothing secret ever goes through. The certificate is judged
 * elsewhere. What fails is told in our words together with its failure class. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/failure.h"
#include "mxseal/when.h"
#include "mxseal/x509.h"
#include "mxseal/xalloc.h"

/* What OpenSSL reads from and writes to. */
struct below {
	struct stream *s;
	int64_t until;            /* end of the present wait */
	bool eof;
	struct err e;             /* why the stream failed */
};

struct tls_stream {
	struct stream s;
	SSL_CTX *ctx;
	SSL *ssl;
	struct below below;
	bool wants_client_cert;
	const char *class_name;   /* of an error met while reading */
};

static int
left_ms(const struct below *b)
{
	int64_t left = b->until - when_monotonic_ms();

	return left > 0 ? (int)left : 0;
}

/* --- BIO: OpenSSL's view of the stream below. Errors are not for retrying: the stream has waited already. --- */

static int
below_read(BIO *bio, char *mem, int n)
{
	struct below *b = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	got = stream_read(b->s, mem, (size_t)n, left_ms(b), &b->e);
	if (got == 0)
		b->eof = true;
	return (int)got;
}

static int
below_write(BIO *bio, const char *mem, int n)
{
	struct below *b = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (n <= 0)
		return 0;
	return stream_write(b->s, mem, (size_t)n, left_ms(b), &b->e) == 0 ? n : -1;
}

static long
below_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct below *b = BIO_get_data(bio);
	(void)num;
	(void)ptr;

	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return b->eof;
	default:
		return 0;
	}
}

static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *method;

static void
method_make(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
	if (method == NULL)
		abort();
	BIO_meth_set_read(method, below_read);
	BIO_meth_set_write(method, below_write);
	BIO_meth_set_ctrl(method, below_ctrl);
}

static int
client_cert_asked(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
	struct tls_stream *t = SSL_get_app_data(ssl);
	(void)cert;
	(void)key;

	t->wants_client_cert = true;
	return 0;
}

/* --- what went wrong --- */

/* Says it and gives the class. */
static const char *
explain(struct tls_stream *t, struct err *e)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_REASON(code);
	char text[256];
	struct classified c;

	if (t->below.e.code == RC_TIMEOUT) {
		err_set(e, RC_TIMEOUT, "the other side stops answering");
		return "timeout-in-handshake";
	}
	if (t->below.e.code != RC_OK) {
		if (t->below.e.code == RC_CANCELLED)
			*e = t->below.e;
		else
			err_set(e, t->below.e.code, "the other side cuts the connection");
		return "lost-connection-after-starttls";
	}
	if (code == 0 || (t->below.eof && ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
		err_set(e, RC_NET, "the other side closes the connection");
		return "lost-connection-after-starttls";
	}
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
	    reason == SSL_R_PACKET_LENGTH_TOO_LONG)) {
		err_set(e, RC_TLS, "the other side answers plain text where TLS should begin");
		return "handshake-failed";
	}
	ERR_error_string_n(code, text, sizeof(text));
	classify(text, strlen(text), "postfix", &c);
	err_set(e, RC_TLS, "%s", ERR_reason_error_string(code) != NULL ? ERR_reason_error_string(code) : "unknown reason");
	if (!c.failure->tls)
		return "handshake-failed";
	if (t->wants_client_cert && strcmp(c.failure->name, "handshake-failed") == 0) {
		err_set(e, RC_TLS, "the other side asked for a client certificate and ended when there was none");
		return "client-cert-required";
	}
	return c.failure->name;
}

/* --- the stream --- */

/* After the handshake a cut or silent connection is no TLS matter, unless a client certificate was asked for: who misses it
 * sends his alert and closes, and our next words may meet the closed door before we have read the alert. */
static void
read_or_write_failed(struct tls_stream *t, struct err *e)
{
	t->class_name = explain(t, e);
	ERR_clear_error();
	if (strcmp(t->class_name, "timeout-in-handshake") == 0)
		t->class_name = NULL;
	if (t->class_name == NULL || strcmp(t->class_name, "lost-connection-after-starttls") != 0)
		return;
	t->class_name = t->wants_client_cert ? "client-cert-required" : NULL;
	if (t->wants_client_cert)
		err_set(e, RC_TLS, "the other side asked for a client certificate and ended when there was none");
}

static ssize_t
tls_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct tls_stream *t = (struct tls_stream *)s;
	size_t got = 0;
	int rc;

	t->below.until = when_monotonic_ms() + timeout_ms;
	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, mem, n, &got);
	if (rc == 1)
		return (ssize_t)got;
	if (SSL_get_error(t->ssl, rc) == SSL_ERROR_ZERO_RETURN)
		return 0;
	read_or_write_failed(t, e);
	return -1;
}

static int
tls_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct tls_stream *t = (struct tls_stream *)s;
	size_t put = 0;

	t->below.until = when_monotonic_ms() + timeout_ms;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, mem, n, &put) == 1)
		return 0;
	read_or_write_failed(t, e);
	return -1;
}

static int
tls_shut(struct stream *s, struct err *e)
{
	struct tls_stream *t = (struct tls_stream *)s;
	(void)e;

	t->below.until = when_monotonic_ms() + 1000;
	SSL_shutdown(t->ssl);
	ERR_clear_error();
	return 0;
}

static void
tls_free(struct tls_stream *t)
{
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	str_release(&t->s.errors);
	free(t);
	ERR_clear_error();
}

static void
tls_close(struct stream *s, struct stream_end *end)
{
	struct tls_stream *t = (struct tls_stream *)s;
	struct stream *under = t->below.s;

	if (t->below.e.code == RC_OK && !t->below.eof)
		tls_shut(s, NULL);
	tls_free(t);
	stream_close(under, end);
}

static const struct stream_ops tls_ops = { .read = tls_read, .write = tls_write, .shut = tls_shut, .close = tls_close };

const char *
tls_trouble(struct stream *s)
{
	return s->ops == &tls_ops ? ((struct tls_stream *)s)->class_name : NULL;
}

/* --- the handshake --- */

/* Only this kind of key: by the cipher up to TLS 1.2, by the signature from 1.2 on. */
static void
only_key(SSL_CTX *ctx, const char *key)
{
	if (text_eq(key, "RSA")) {
		SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL:!aECDSA:!aDSS:@SECLEVEL=0");
		SSL_CTX_set1_sigalgs_list(ctx, "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:RSA+SHA1");
	} else if (text_eq(key, "EC")) {
		SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL:!aRSA:!aDSS:@SECLEVEL=0");
		SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ECDSA+SHA1");
	}
}

static int
prepare(struct tls_stream *t, const struct tls_options *o, struct err *e)
{
	unsigned char raw[16];
	BIO *bio;

	CRYPTO_THREAD_run_once(&method_once, method_make);
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx == NULL)
		return err_set(e, RC_BUG, "OpenSSL gives no TLS context: %s", x509_reason());
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	/* as old as the library can: a build without SSL 3 starts at TLS 1.0 */
	if (SSL_CTX_set_min_proto_version(t->ctx, SSL3_VERSION) != 1)
		SSL_CTX_set_min_proto_version(t->ctx, TLS1_VERSION);
	if (o->protocol_min != 0)
		SSL_CTX_set_min_proto_version(t->ctx, o->protocol_min);
	SSL_CTX_set_max_proto_version(t->ctx, o->protocol_max);
	SSL_CTX_set_cipher_list(t->ctx, "ALL:!aNULL:!eNULL:@SECLEVEL=0");
	only_key(t->ctx, o->key);
	SSL_CTX_set_options(t->ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_max_cert_list(t->ctx, CERT_MAX);
	SSL_CTX_set_client_cert_cb(t->ctx, client_cert_asked);
	t->ssl = SSL_new(t->ctx);
	bio = BIO_new(method);
	if (t->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		return err_set(e, RC_BUG, "OpenSSL gives no TLS session: %s", x509_reason());
	}
	BIO_set_data(bio, &t->below);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	/* a number is no server name (RFC 6066 section 3) */
	if (!text_empty(o->name) && inet_pton(AF_INET, o->name, raw) != 1 && inet_pton(AF_INET6, o->name, raw) != 1)
		SSL_set_tlsext_host_name(t->ssl, o->name);
	ERR_clear_error();
	return 0;
}

static void
look(const struct tls_stream *t, struct tls_seen *seen)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(t->ssl);
	struct str pem = STR_INIT;
	int i;

	str_add(&pem, "");
	snprintf(seen->protocol, sizeof(seen->protocol), "%s", SSL_get_version(t->ssl));
	snprintf(seen->cipher, sizeof(seen->cipher), "%s", SSL_get_cipher_name(t->ssl));
	seen->old_protocol = SSL_version(t->ssl) < TLS1_2_VERSION;
	seen->wants_client_cert = t->wants_client_cert;
	for (i = 0; i < sk_X509_num(chain) && i < CHAIN_MAX; i++)
		x509_to_pem(sk_X509_value(chain, i), &pem, NULL);
	seen->chain_pem = pem.len > 0 ? str_take(&pem) : NULL;
	str_release(&pem);
}

int
tls_begin(struct stream **s, const struct tls_options *o, struct tls_seen *seen, const char **class_name, struct err *e)
{
	struct tls_stream *t = xcalloc(1, sizeof(*t));
	int rc;

	str_init(&t->s.errors, 1024);
	t->s.ops = &tls_ops;
	t->below.s = *s;
	t->below.until = when_monotonic_ms() + o->timeout_ms;
	*class_name = "unknown";
	if (prepare(t, o, e) != 0) {
		tls_free(t);
		return -1;
	}
	rc = SSL_connect(t->ssl);
	if (rc != 1) {
		*class_name = explain(t, e);
		tls_free(t);
		return -1;
	}
	look(t, seen);
	*s = &t->s;
	return 0;
}
