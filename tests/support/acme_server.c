/* See acme_server.h. One process, one connection at a time, HTTP/1.1 as far as the client needs it. */
#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/acme_server.h"
#include "support/pki.h"

#define HOUR 3600

static const char *how;
static bool is(const char *behaviour) { return strcmp(how, behaviour) == 0; }

static struct {
	SSL *tls;
	int requests, kill_at, port, polls;
	pid_t victim;
	const char *file;
	char base[64];
	/* kept in the file */
	int order, proved, finalized;
	char *csr;
	EVP_PKEY *root_key;
	X509 *root;
} s;

/* --- what survives a restart of this server --- */

static void
keep(void)
{
	FILE *f = fopen(s.file, "w");

	fprintf(f, "%d %d %d %s\n", s.order, s.proved, s.finalized, s.csr != NULL ? s.csr : "-");
	fclose(f);
}

static void
remember(void)
{
	static char csr[8192];
	FILE *f = fopen(s.file, "r");

	if (f == NULL)
		return;
	if (fscanf(f, "%d %d %d %8191s", &s.order, &s.proved, &s.finalized, csr) == 4 && strcmp(csr, "-") != 0)
		s.csr = csr;
	fclose(f);
}

/* --- answers --- */

static void
send_all(const char *mem, size_t len)
{
	while (len > 0) {
		int n = SSL_write(s.tls, mem, (int)(len > 16384 ? 16384 : len));

		if (n <= 0)
			_exit(0);
		mem += n;
		len -= (size_t)n;
	}
}

static void
drip(const char *text)
{
	for (; *text != '\0'; text++) {
		send_all(text, 1);
		usleep(100000);
	}
}

/* So many of them at a time: one by one a slow machine takes seconds for what is too much. */
static void
send_forever(const char *piece, int times)
{
	struct str pieces = STR_INIT;

	while (times-- > 0)
		str_add(&pieces, piece);
	for (;;)
		send_all(pieces.s, pieces.len);
}

static void
answer(int status, const char *type, const char *headers, const char *body)
{
	static int nonce;
	struct str out = STR_INIT;

	str_addf(&out, "HTTP/1.1 %d Whatever\r\n", status);
	if (!is("no nonces at all"))
		str_addf(&out, "Replay-Nonce: %s%d\r\n", is("nonce with a newline") ? "a\tb c" : is("nonce with quotes") ? "\"}" : "n",
		    is("the same nonce always") ? 1 : ++nonce);
	str_addf(&out, "Content-Type: %s\r\n%s", is("text/html") ? "text/html" : is("no content type") ? " " : type, headers);
	if (is("chunks that never end")) {
		str_add(&out, "Transfer-Encoding: chunked\r\n\r\n");
		send_all(out.s, out.len);
		send_forever("1\r\n \r\n", 1);
	}
	str_addf(&out, "Content-Length: %zu\r\n\r\n%s", is("a gigabyte") ? (size_t)1 << 30 : is("shorter than announced") ? strlen(body) + 100
	    : strlen(body), body);
	if (is("slow drip"))
		drip(out.s);
	send_all(out.s, out.len);
	if (is("a gigabyte"))
		send_forever("                                                                ", 100);
	if (is("shorter than announced"))
		_exit(0);
	str_release(&out);
}

static void
json(int status, const char *headers, const char *body)
{
	answer(status, is("JSON as text/plain") ? "text/plain" : "application/json", headers, body);
}

static void
problem(int status, const char *type, const char *detail)
{
	char *body = xasprintf("{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"%s\"}", type, detail);

	answer(status, "application/problem+json", is("rate limit") ? "Retry-After: 86400\r\n" : "", body);
	free(body);
}

/* --- certificates --- */

static X509 *
issue(const char *names, EVP_PKEY *key, const char *constraints, int64_t until, X509 *issuer, EVP_PKEY *issuer_key)
{
	struct pki_spec p = { .cn = "mx.example.test", .names = names, .key = key, .issuer = issuer, .issuer_key = issuer_key,
		.constraints = constraints, .from = time(NULL) - 30 * 24 * HOUR, .until = until };

	return pki_make(&p);
}

static void
certificate(void)
{
	int64_t until = time(NULL) + 90 * 24 * HOUR, past = time(NULL) - HOUR;
	X509 *issuer = s.root, *leaf;
	EVP_PKEY *issuer_key = s.root_key, *key = NULL;
	const char *names = "DNS:mx.example.test", *constraints = NULL;
	X509_REQ *req;
	struct str pem = STR_INIT;
	unsigned char der[6000];
	const unsigned char *at = der;
	size_t n = 0, i;

	for (i = 0; s.csr[i] != '\0'; i++)
		s.csr[i] = s.csr[i] == '-' ? '+' : s.csr[i] == '_' ? '/' : s.csr[i];
	{
		char *padded = xasprintf("%s%s", s.csr, &"===="[strlen(s.csr) % 4 == 0 ? 4 : strlen(s.csr) % 4]);

		if (base64_decode(padded, strlen(padded), der, sizeof(der), &n) == -1)
			_exit(3);
		free(padded);
	}
	req = d2i_X509_REQ(NULL, &at, (long)n);
	key = X509_REQ_get_pubkey(req);
	if (is("certificate for another key"))
		key = pki_key("P-256");
	if (is("certificate for another name"))
		names = "DNS:www.evil.test";
	if (is("certificate for one name more"))
		names = "DNS:mx.example.test,DNS:www.evil.test";
	if (is("expired certificate"))
		until = past;
	if (is("authority certificate for our key"))
		constraints = "critical,CA:TRUE";
	if (is("expired chain")) {
		issuer_key = pki_key("P-256");
		issuer = issue(NULL, issuer_key, "critical,CA:TRUE", past, s.root, s.root_key);
	}
	leaf = issue(names, key, constraints, until, issuer, issuer_key);
	if (!is("authority certificate as leaf"))
		pki_pem(leaf, &pem);
	pki_pem(issuer, &pem);
	for (i = 0; is("chain of 1000") && i < 1000; i++)
		pki_pem(issuer, &pem);
	if (is("certificate cut off"))
		str_cut(&pem, 300);
	if (is("empty certificate"))
		str_cut(&pem, 0);
	if (is("private key for an answer")) {
		BIO *b = BIO_new(BIO_s_mem());
		char *text;
		long len;

		PEM_write_bio_PrivateKey(b, s.root_key, NULL, NULL, 0, NULL, NULL);
		len = BIO_get_mem_data(b, &text);
		str_reset(&pem);
		str_addn(&pem, text, (size_t)len);
	}
	answer(200, is("certificate as JSON") ? "application/json" : "application/pem-certificate-chain", "", pem.s);
}

/* --- requests --- */

static void
directory(void)
{
	const char *scheme = is("http URLs") ? "http" : "https", *host = is("URLs at another host") ? "evil.test" : "127.0.0.1";
	struct str b = STR_INIT;

	if (is("redirect")) {
		answer(302, "text/plain", "Location: /elsewhere\r\n", "");
		return;
	}
	if (is("redirect to another host")) {
		answer(301, "text/plain", "Location: https://evil.test/\r\n", "");
		return;
	}
	if (is("nothing but brackets")) {
		for (int i = 0; i < 200000; i++)
			str_addc(&b, '[');
		json(200, "", b.s);
		return;
	}
	if (is("deep JSON")) {
		str_add(&b, "{\"newNonce\":");
		for (int i = 0; i < 50000; i++)
			str_add(&b, "{\"a\":");
		json(200, "", b.s);
		return;
	}
	if (is("HTML")) {
		json(200, "", "<html><body>It works!</body></html>");
		return;
	}
	if (is("no answer"))
		sleep(30);
	if (is("headers without end")) {
		send_all("HTTP/1.1 200 OK\r\n", 17);
		send_forever("X-More: abcdefghijklmnopqrstuvwxyz\r\n", 100);
	}
	if (is("no HTTP")) {
		send_all("220 mail ESMTP\r\n", 16);
		_exit(0);
	}
	if (is("closes at once"))
		_exit(0);
	if (is("continues for ever"))
		send_forever("HTTP/1.1 100 Continue\r\n\r\n", 100);
	if (is("a list"))
		json(200, "", "[]");
	else if (is("numbers for URLs"))
		json(200, "", "{\"newNonce\":1,\"newAccount\":2,\"newOrder\":3}");
	else if (is("keys twice"))
		json(200, "", "{\"newNonce\":\"a\",\"newNonce\":\"b\"}");
	else if (is("nul in a URL"))
		json(200, "", "{\"newNonce\":\"https://127.0.0.1\\u0000.evil.test/\"}");
	else {
		str_addf(&b, "{\"newNonce\":\"%s://%s%s:%d/nonce\",\"newAccount\":\"%s/acct\",\"newOrder\":\"%s/order\"}", scheme, host,
		    is("a user in the URL") ? "@evil.test" : "", s.port, s.base, s.base);
		json(200, "", b.s);
	}
	str_release(&b);
}

static void
order(bool fresh)
{
	const char *status = s.finalized ? "valid" : s.proved ? "ready" : "pending";
	char *where = xasprintf("Location: %s/order/1\r\n%s", is("order at another host") ? "https://evil.test" : s.base,
	    is("wait for a year") ? "Retry-After: 31536000\r\n" : is("wait for ever") ? "Retry-After: 99999999999999999999\r\n" : "");
	char *body, *more = NULL;

	if (!fresh && s.proved && (is("never ready") || is("wait for a year") || is("wait for ever")))
		status = "pending";
	if (!fresh && is("status back and forth"))
		status = ++s.polls % 2 ? "ready" : "pending";
	if (is("a status nobody knows"))
		status = "maybe";
	if (is("no status"))
		status = "";
	if (is("processing for ever") && s.finalized)
		status = "processing";
	if (is("invalid without a reason"))
		status = "invalid";
	if (is("pending again after finalize") && s.finalized)
		status = "pending";
	if (is("names left out"))
		more = xstrdup("");
	if (is("a thousand authorizations")) {
		struct str b = STR_INIT;

		for (int i = 0; i < 1000; i++)
			str_addf(&b, "\"%s/authz/%d\",", s.base, i);
		str_add(&b, "\"x\"");
		body = xasprintf("{\"status\":\"pending\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"mx.example.test\"}],\"authorizations\":[%s],"
		    "\"finalize\":\"%s/fin/1\"}", b.s, s.base);
		str_release(&b);
	} else
		body = xasprintf("{\"status\":\"%s\",\"identifiers\":[%s],\"authorizations\":[%s%s%s],\"finalize\":\"%s/fin/1\"%s%s%s}", status,
		    more != NULL ? more : is("order for another name") ? "{\"type\":\"dns\",\"value\":\"www.evil.test\"}"
		    : is("order for one name more") ? "{\"type\":\"dns\",\"value\":\"mx.example.test\"},{\"type\":\"dns\",\"value\":\"evil.test\"}"
		    : "{\"type\":\"dns\",\"value\":\"mx.example.test\"}", is("no authorizations") ? "" : "\"", is("no authorizations") ? "" : s.base,
		    is("no authorizations") ? "" : "/authz/1\"", is("finalize at another host") ? "https://evil.test" : s.base,
		    s.finalized ? ",\"certificate\":\"" : "", s.finalized ? (is("certificate at another host") ? "https://evil.test" : s.base) : "",
		    s.finalized ? "/cert/1\"" : "");
	json(fresh ? 201 : 200, where, body);
	free(body);
	free(where);
	free(more);
}

static void
authorization(void)
{
	const char *token = is("token with a path") ? "../x;id" : is("token with a newline") ? "a\\nb" : is("empty token") ? ""
	    : is("token with a command") ? "$(reboot)" : is("token with NUL") ? "a\\u0000b" : "tok_en-1";
	struct str huge = STR_INIT;
	char *body;

	for (int i = 0; is("token of 100 KB") && i < 100000; i++)
		str_addc(&huge, 'a');
	body = xasprintf("{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},\"challenges\":[{\"type\":\"%s\",\"status\":\"%s\","
	    "\"url\":\"%s/chall/1\",\"token\":\"%s\"%s}]}", is("proof never looked at") ? "pending" : is("proof refused") && s.proved ? "invalid"
	    : is("authorization revoked") ? "revoked" : s.proved ? "valid" : "pending", is("authorization for another name") ? "evil.test"
	    : "mx.example.test", is("unknown proofs only") ? "carrier-pigeon-01" : "http-01", s.proved ? "valid" : "pending",
	    is("proof at another host") ? "https://evil.test" : s.base, huge.len ? huge.s : token,
	    is("proof refused") ? ",\"error\":{\"detail\":\"\\u001b[31mred\\r\\nand a second line\"}" : "");
	json(200, "", body);
	free(body);
	str_release(&huge);
}

/* The CSR inside the payload of the signed request. */
static void
finalize(const char *request)
{
	json_t *jws = json_loads(request, 0, NULL), *inner;
	const char *payload = json_string_value(json_object_get(jws, "payload"));
	char *text = xstrdup(payload != NULL ? payload : ""), *padded;
	static unsigned char raw[8192];
	size_t n = 0, i;

	for (i = 0; text[i] != '\0'; i++)
		text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	padded = xasprintf("%s%s", text, &"===="[i % 4 == 0 ? 4 : i % 4]);
	if (base64_decode(padded, strlen(padded), raw, sizeof(raw) - 1, &n) == -1)
		_exit(4);
	inner = json_loadb((char *)raw, n, 0, NULL);
	s.csr = xstrdup(json_string_value(json_object_get(inner, "csr")));
	s.finalized = 1;
	keep();
}

static void
respond(const char *method, const char *path, const char *body)
{
	static const char *const known[] = { "/dir", "/nonce" };
	size_t i;

	for (i = 0; i < 2 && strcmp(path, known[i]) != 0; i++)
		;
	if (i == 2 && is("wrong nonce for ever"))
		problem(400, "badNonce", "no");
	else if (i == 2 && s.requests < 5 && is("wrong nonce at first"))
		problem(400, "badNonce", "once more");
	else if (i == 2 && is("rate limit"))
		problem(429, "rateLimited", "too many certificates already issued");
	else if (i == 2 && is("problem with escapes"))
		problem(403, "unauthorized\\u001b[2J", "\\u001b]0;owned\\u0007 \\u202e and\\nanother line");
	else if (i == 2 && is("500"))
		answer(500, "text/html", "", "<h1>oops</h1>");
	else if (strcmp(path, "/dir") == 0)
		directory();
	else if (strcmp(path, "/nonce") == 0)
		answer(is("nonce page missing") ? 404 : 200, "text/plain", "", strcmp(method, "HEAD") == 0 ? "" : " ");
	else if (strcmp(path, "/acct") == 0)
		json(201, "Location: /acct/1\r\n", "{\"status\":\"valid\"}");
	else if (strcmp(path, "/acct/1") == 0)
		json(200, "", is("account deactivated") ? "{\"status\":\"deactivated\"}" : "{\"status\":\"valid\"}");
	else if (strcmp(path, "/order") == 0) {
		s.order++;
		s.proved = s.finalized = 0;
		keep();
		order(true);
	} else if (strcmp(path, "/order/1") == 0)
		order(false);
	else if (strcmp(path, "/authz/1") == 0)
		authorization();
	else if (strcmp(path, "/chall/1") == 0) {
		s.proved = 1;
		keep();
		json(200, "", "{\"status\":\"pending\"}");
	} else if (strcmp(path, "/fin/1") == 0) {
		finalize(body);
		if (is("request refused"))
			problem(400, "badCSR", "we do not like it");
		else
			order(false);
	} else if (strcmp(path, "/cert/1") == 0)
		certificate();
	else
		problem(404, "malformed", "no such page");
}

/* One request; false: the other side is gone. */
static bool
serve_one(void)
{
	struct str in = STR_INIT;
	char piece[4096], method[16] = "", path[2048] = "", *end = NULL, *length;
	size_t want = 0;
	int n;

	while (end == NULL || in.len < want) {
		n = SSL_read(s.tls, piece, sizeof(piece));
		if (n <= 0)
			return false;
		str_addn(&in, piece, (size_t)n);
		if (end == NULL && (end = strstr(in.s, "\r\n\r\n")) != NULL) {
			length = strcasestr(in.s, "\r\nContent-Length:");
			want = (size_t)(end + 4 - in.s) + (length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0);
		}
	}
	if (sscanf(in.s, "%15s %2047s", method, path) != 2)
		return false;
	if (++s.requests == s.kill_at) {
		kill(s.victim, SIGKILL);
		_exit(0);
	}
	respond(method, path, strstr(in.s, "\r\n\r\n") + 4);
	str_release(&in);
	return true;
}

static void
serve(int listener, SSL_CTX *ctx)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	remember();
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (is("hangs up before TLS")) {
			close(fd);
			continue;
		}
		if (is("no TLS"))
			(void)!write(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
		if (is("silent before TLS"))
			sleep(30);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		s.tls = SSL_new(ctx);
		SSL_set_fd(s.tls, fd);
		if (SSL_accept(s.tls) == 1)
			while (serve_one())
				;
		SSL_free(s.tls);
		close(fd);
	}
	_exit(0);
}

void
acme_server_start(struct acme_server *out, const char *behaviour, const char *state, int kill_at, pid_t victim)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	EVP_PKEY *root_key = pki_key("P-256"), *key = pki_key("P-256");
	X509 *root, *leaf, *stranger;
	socklen_t len = sizeof(a);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	how = behaviour;
	root = issue(NULL, root_key, "critical,CA:TRUE", time(NULL) + 365 * 24 * HOUR, NULL, root_key);
	leaf = issue(is("https for another host") ? "DNS:other.test" : "IP:127.0.0.1", key, NULL,
	    is("https that expired") ? time(NULL) - HOUR : time(NULL) + 30 * 24 * HOUR, root, root_key);
	memset(out, 0, sizeof(*out));
	str_init(&out->anchors, 0);
	stranger = issue(NULL, key, "critical,CA:TRUE", time(NULL) + HOUR, NULL, key);
	pki_pem(is("https by a stranger") ? stranger : root, &out->anchors);
	X509_free(stranger);
	SSL_CTX_use_certificate(ctx, leaf);
	SSL_CTX_use_PrivateKey(ctx, key);
	if (is("TLS 1.1"))
		SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 || listen(fd, 20) == -1 || getsockname(fd, (struct sockaddr *)&a, &len) == -1)
		abort();
	out->directory = xasprintf("https://127.0.0.1:%d/dir", ntohs(a.sin_port));
	out->pid = fork();
	if (out->pid == 0) {
		s.port = ntohs(a.sin_port);
		s.root = root;
		s.root_key = root_key;
		s.kill_at = kill_at;
		s.victim = victim;
		s.file = state;
		snprintf(s.base, sizeof(s.base), "https://127.0.0.1:%d", s.port);
		serve(fd, ctx);
	}
	close(fd);
	SSL_CTX_free(ctx);
	X509_free(root);
	X509_free(leaf);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(key);
}

bool
acme_server_stop(struct acme_server *out)
{
	int status = 0;
	pid_t ended = waitpid(out->pid, &status, WNOHANG);

	if (ended == 0) {
		kill(out->pid, SIGKILL);
		waitpid(out->pid, NULL, 0);
	}
	free(out->directory);
	str_release(&out->anchors);
	return ended == 0 || (ended == out->pid && status == 0);
}
