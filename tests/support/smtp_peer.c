/* See smtp_peer.h. The child serves one connection after the other until it is ended; whatever fails in it ends it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/smtp_peer.h"

#define DAY 86400l

struct identity { EVP_PKEY *key; X509 *cert; };

static void
extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (ext == NULL)
		abort();
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

static struct identity
make(const char *cn, const struct identity *issuer, long from_days, long to_days)
{
	static long serial = 1;
	struct identity out = { EVP_EC_gen("P-256"), X509_new() };
	const struct identity *by = issuer != NULL ? issuer : &out;
	char san[128];
	X509_NAME *name;

	if (out.key == NULL || out.cert == NULL)
		abort();
	X509_set_version(out.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(out.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(out.cert), from_days * DAY);
	X509_gmtime_adj(X509_getm_notAfter(out.cert), to_days * DAY);
	X509_set_pubkey(out.cert, out.key);
	name = X509_get_subject_name(out.cert);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(out.cert, X509_get_subject_name(by->cert));
	if (strchr(cn, '.') == NULL)
		extension(out.cert, by->cert, NID_basic_constraints, "critical,CA:TRUE");
	else {
		snprintf(san, sizeof(san), "DNS:%s", cn);
		extension(out.cert, by->cert, NID_subject_alt_name, san);
	}
	if (X509_sign(out.cert, by->key, EVP_sha256()) == 0)
		abort();
	return out;
}

static struct identity authority, identities[CERT_UNTRUSTED + 1];
static char *roots;

static void
make_all(void)
{
	struct identity other;
	BIO *bio;
	char *text;
	long n;

	if (roots != NULL)
		return;
	authority = make("Peer Authority", NULL, -1000, 1000);
	other = make("Unknown Authority", NULL, -1000, 1000);
	identities[CERT_GOOD] = make(PEER_NAME, &authority, -1, 90);
	identities[CERT_EXPIRED] = make(PEER_NAME, &authority, -90, -1);
	identities[CERT_EARLY] = make(PEER_NAME, &authority, 10, 90);
	identities[CERT_WRONG_NAME] = make("other.peer.test", &authority, -1, 90);
	identities[CERT_SELF_SIGNED] = make(PEER_NAME, NULL, -1, 90);
	identities[CERT_UNTRUSTED] = make(PEER_NAME, &other, -1, 90);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, authority.cert);
	n = BIO_get_mem_data(bio, &text);
	roots = strndup(text, (size_t)n);
	BIO_free(bio);
	X509_free(other.cert);
	EVP_PKEY_free(other.key);
}

const char *
peer_roots(void)
{
	make_all();
	return roots;
}

/* --- the child --- */

struct session { int fd; SSL *ssl; };

static void
put(struct session *s, const char *text)
{
	size_t n = strlen(text);

	if (s->ssl != NULL ? SSL_write(s->ssl, text, (int)n) <= 0 : send(s->fd, text, n, MSG_NOSIGNAL) < 0)
		return;
}

/* One line, byte by byte. False at the end. */
static bool
get(struct session *s, char line[256])
{
	size_t n = 0;
	char c;

	while (n < 255) {
		if ((s->ssl != NULL ? SSL_read(s->ssl, &c, 1) : (int)read(s->fd, &c, 1)) != 1)
			return false;
		if (c == '\n')
			break;
		line[n++] = c;
	}
	line[n] = '\0';
	return true;
}

static void
until_closed(struct session *s)
{
	char c[64];

	while (read(s->fd, c, sizeof(c)) > 0)
		;
}

static bool
start_tls(struct session *s, enum peer_mode mode, const struct identity *id)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	bool ok;

	SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	if (mode == PEER_TLS10)
		SSL_CTX_set_max_proto_version(ctx, TLS1_VERSION);
	if (mode == PEER_CLIENT_CERT_TLS12)
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	if (mode == PEER_CLIENT_CERT || mode == PEER_CLIENT_CERT_TLS12)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_use_certificate(ctx, id->cert);
	SSL_CTX_use_PrivateKey(ctx, id->key);
	s->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(s->ssl, s->fd);
	ok = SSL_accept(s->ssl) == 1;
	return ok;
}

/* What a mode says before and at the greeting. False: nothing more to say. */
static bool
greet(struct session *s, enum peer_mode mode)
{
	int i;

	switch (mode) {
	case PEER_SILENT:
		until_closed(s);
		return false;
	case PEER_BANNER_421:
		put(s, "421 4.3.2 mx.peer.test too busy\r\n");
		return false;
	case PEER_NOT_SMTP:
		put(s, "HTTP/1.1 400 Bad Request\r\n\r\n");
		return false;
	case PEER_LONG_LINE:
		put(s, "220 ");
		for (i = 0; i < 300; i++)
			put(s, "0123456789");
		put(s, "\r\n");
		until_closed(s);
		return false;
	case PEER_DRIP:
		for (i = 0; i < 1000; i++) {
			if (send(s->fd, "2", 1, MSG_NOSIGNAL) < 0)
				return false;
			usleep(20000);
		}
		return false;
	default:
		put(s, "220-mx.peer.test ESMTP\r\n220 welcome \033[31mred\r\n");
		return true;
	}
}

static void
hello(struct session *s, enum peer_mode mode, bool extended)
{
	int i;

	if (extended && mode == PEER_HELO_ONLY)
		put(s, "502 5.5.1 what?\r\n");
	else if (mode == PEER_LONG_REPLY)
		for (i = 0; i < 5000; i++)
			put(s, "250-SIZE 1000\r\n");
	else if (mode == PEER_CHANGING_CODE)
		put(s, "250-mx.peer.test\r\n251 STARTTLS\r\n");
	else if (mode == PEER_NO_STARTTLS || mode == PEER_HELO_ONLY || s->ssl != NULL)
		put(s, "250-mx.peer.test\r\n250 SIZE 1000\r\n");
	else if (mode == PEER_MASKED)
		put(s, "250-mx.peer.test\r\n250-XXXXXXXA\r\n250 SIZE 1000\r\n");
	else
		put(s, "250-mx.peer.test\r\n250-SIZE 1000\r\n250 starttls\r\n");
}

/* After STARTTLS. False: this conversation is over. */
static bool
starttls(struct session *s, enum peer_mode mode, const struct identity *id)
{
	switch (mode) {
	case PEER_REFUSE_454:
		put(s, "454 4.7.0 TLS not available due to local problem\r\n");
		return true;
	case PEER_CLOSE_ON_STARTTLS:
		return false;
	case PEER_PIPELINED:
		put(s, "220 go ahead\r\n250 too early\r\n");
		until_closed(s);
		return false;
	case PEER_CLOSE_AFTER_220:
		put(s, "220 go ahead\r\n");
		return false;
	case PEER_GARBAGE:
		put(s, "220 go ahead\r\n");
		if (recv(s->fd, (char[1]){ 0 }, 1, MSG_PEEK) == 1)     /* the client's hello is there */
			put(s, "500 5.5.1 what do you mean?\r\n");
		until_closed(s);
		return false;
	case PEER_HANG:
		put(s, "220 go ahead\r\n");
		until_closed(s);
		return false;
	default:
		put(s, "220 go ahead\r\n");
		return start_tls(s, mode, id);
	}
}

static void
serve(int fd, enum peer_mode mode, const struct identity *id)
{
	struct session s = { fd, NULL };
	char line[256];

	if (mode == PEER_IMPLICIT && !start_tls(&s, mode, id))
		goto out;
	if (!greet(&s, mode))
		goto out;
	while (get(&s, line)) {
		if (strncmp(line, "EHLO", 4) == 0 || strncmp(line, "HELO", 4) == 0)
			hello(&s, mode, line[0] == 'E');
		else if (strncmp(line, "STARTTLS", 8) == 0) {
			if (!starttls(&s, mode, id))
				break;
		} else {
			put(&s, "221 bye\r\n");
			break;
		}
	}
out:
	SSL_free(s.ssl);
	shutdown(fd, SHUT_RDWR);
	close(fd);
}

void
smtp_peer_start(struct smtp_peer *p, enum peer_mode mode, enum peer_certificate certificate)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0), client;

	make_all();
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0 || listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) != 0)
		abort();
	p->port = ntohs(sin.sin_port);
	fflush(NULL);
	p->pid = fork();
	if (p->pid < 0)
		abort();
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);              /* a test that failed does not stop it */
		signal(SIGPIPE, SIG_IGN);
		while ((client = accept(fd, NULL, NULL)) >= 0)
			serve(client, mode, &identities[certificate]);
		_exit(0);
	}
	close(fd);
}

void
smtp_peer_stop(struct smtp_peer *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
}
