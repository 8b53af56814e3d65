/* The ACME client against an authority of the test's own: it gets its certificate; killed at any request, another one goes on;
 * and an authority that is wrong in one of many ways gets nothing accepted, holds nobody up, and is one clean sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/authority/acme.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/acme_server.h"
#include "support/fixture.h"
#include "support/pki.h"

static const struct acme_patience calm = { 10000, 30000 }, hasty = { 3000, 6000 };
static char *dir;
static struct acme_key *account;
static struct str csr;
static char spki[65];

static int
setup(void **state)
{
	EVP_PKEY *key = pki_key("P-256");
	X509_REQ *req = pki_request(key, "mx.example.test", "DNS:mx.example.test");

	(void)state;
	dir = fixture_dir();
	str_init(&csr, 0);
	pki_request_pem(req, &csr);
	pki_spki(key, spki);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return acme_key_make(&account, KEY_EC_P256, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	acme_key_free(account);
	str_release(&csr);
	fixture_remove(dir);
	free(dir);
	return 0;
}

/* --- an order whose state lies in a file, as it lies in the store --- */

struct world { struct acme_order o; char *file; int proved, unproved; };

static int
save(void *arg, struct err *e)
{
	struct world *w = arg;
	char *text = xasprintf("%s %s\n", w->o.state, w->o.url != NULL ? w->o.url : "-");
	int rc = str_write_file(w->file, text, strlen(text), 0600, e);

	free(text);
	return rc;
}

static void
load(struct world *w)
{
	char state[64], url[256];
	FILE *f = fopen(w->file, "r");

	if (f == NULL)
		return;
	if (fscanf(f, "%63s %255s", state, url) == 2 && strcmp(url, "-") != 0)
		xset(&w->o.url, strrchr(url, '/') - strlen("/order"));
	fclose(f);
}

static int
prove(void *arg, const struct acme_proof *p, struct err *e)
{
	struct world *w = arg;

	w->proved++;
	return acme_is_token(p->token) && strcmp(p->domain, "mx.example.test") == 0 && text_starts(p->answer, p->token) &&
	    p->answer[strlen(p->token)] == '.' && strlen(p->answer) == strlen(p->token) + 44 ? 0 : err_set(e, RC_BUG, "an odd proof");
}

static void
unprove(void *arg, const struct acme_proof *p)
{
	(void)p;
	((struct world *)arg)->unproved++;
}

/* The whole way, up to the verdict that every answer gets. */
static int
obtain(struct acme_server *s, struct world *w, const struct acme_patience *patience, struct err *e)
{
	struct acme_ways ways = { w, save, prove, unprove };
	struct certificate c = { .id = 0 };
	struct str pem = STR_INIT;
	struct acme *a = NULL;
	char *url = xasprintf("%.*s/acct/1", (int)(strlen(s->directory) - 4), s->directory);
	int rc = acme_open(&a, s->directory, s->anchors.s, patience, NULL, e);

	/* another port after a restart: the order is the same */
	if (w->o.url != NULL) {
		char *there = xasprintf("%.*s/order/1", (int)(strlen(s->directory) - 4), s->directory);

		xset(&w->o.url, there);
		free(there);
	}
	if (rc == 0)
		rc = acme_obtain(a, account, url, "http-01", &w->o, "mx.example.test", csr.s, &ways, &pem, e);
	if (rc == 0)
		rc = cert_read(pem.s, pem.len, spki, &c, e);
	if (rc == 0)
		rc = cert_fits(&c, spki, "mx.example.test", NULL, time(NULL), NULL, e);
	certificate_release(&c);
	acme_close(a);
	str_release(&pem);
	free(url);
	return rc;
}

static void
world_open(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->file = xasprintf("%s/order", dir);
}

static void
world_close(struct world *w)
{
	acme_order_release(&w->o);
	free(w->file);
}

static char *
fresh_state(void)
{
	char *file = xasprintf("%s/server", dir), *order = xasprintf("%s/order", dir);

	unlink(file);
	unlink(order);
	free(order);
	return file;
}

static void
gets_a_certificate(void **state)
{
	static const char *const ways[] = { "", "wrong nonce at first" };
	struct acme_server s;
	struct world w;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *file = fresh_state();

		acme_server_start(&s, ways[i], file, 0, 0);
		world_open(&w);
		if (obtain(&s, &w, &calm, &e) == -1)
			fail_msg("%s: %s", ways[i], e.text);
		assert_int_equal(w.proved, 1);
		assert_int_equal(w.unproved, 1);
		assert_string_equal(w.o.state, "certificate");
		world_close(&w);
		acme_server_stop(&s);
		free(file);
	}
}

/* A window that is refused leaves what was known: it is what says when to renew. */
static void
windows(void **state)
{
	static const struct { const char *text; bool good; } rows[] = {
		{ "{\"suggestedWindow\":{\"start\":\"2026-12-01T00:00:00Z\",\"end\":\"2026-12-03T00:00:00.5Z\"}}", true },
		{ "{\"suggestedWindow\":{\"start\":\"2026-12-03T00:00:00Z\",\"end\":\"2026-12-01T00:00:00Z\"}}", false },
		{ "{\"suggestedWindow\":{\"start\":\"1969-12-03T00:00:00Z\",\"end\":\"2026-12-01T00:00:00Z\"}}", false },
		{ "{\"suggestedWindow\":{\"start\":\"2026-12-01T00:00:00Z\"}}", false },
		{ "{\"suggestedWindow\":{\"start\":\"2026-12-01T00:00:00Z\",\"end\":\"soon\"}}", false },
		{ "{}", false }, { "no JSON", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t from = 7, until = 8;
		struct err e;
		int rc = acme_parse_window(rows[i].text, strlen(rows[i].text), &from, &until, &e);

		assert_int_equal(rc, rows[i].good ? 0 : -1);
		assert_int_equal(from, rows[i].good ? 1796083200 : 7);
		assert_int_equal(until, rows[i].good ? 1796256000 : 8);
	}
}

/* The token of a proof that could not be taken away is not forgotten for that of the next one. */
static void
tokens_that_are_left(void **state)
{
	struct acme_server s;
	struct world w;
	struct err e;
	char *file = fresh_state();

	(void)state;
	acme_server_start(&s, "", file, 0, 0);
	world_open(&w);
	w.o.token = xstrdup("first second");
	if (obtain(&s, &w, &calm, &e) == -1)
		fail_msg("%s", e.text);
	assert_true(text_starts(w.o.token, "first second "));
	acme_token_gone(&w.o, "second");
	assert_true(text_starts(w.o.token, "first "));
	acme_token_gone(&w.o, strrchr(w.o.token, ' ') + 1);
	assert_string_equal(w.o.token, "first");
	acme_token_gone(&w.o, "firs");
	assert_string_equal(w.o.token, "first");
	acme_token_gone(&w.o, "first");
	assert_null(w.o.token);
	world_close(&w);
	acme_server_stop(&s);
	free(file);
}

/* At each request the client is killed; what it had saved is enough for the next one. */
static void
killed_at_each_request(void **state)
{
	struct acme_server s;
	struct world w;
	struct err e;
	int n, status = 0;

	(void)state;
	for (n = 1; n < 40; n++) {
		char *file = fresh_state();
		int go[2];
		pid_t pid;

		assert_int_equal(pipe(go), 0);
		pid = fork();
		if (pid == 0) {
			close(go[1]);
			/* the server is told to us when it runs */
			struct acme_server mine = { .pid = 0 };
			char line[128];
			ssize_t got = read(go[0], line, sizeof(line) - 1);
			char *pem_file = xasprintf("%s/anchors", dir);

			line[got > 0 ? got : 0] = '\0';
			mine.directory = line;
			str_init(&mine.anchors, 0);
			if (str_read_file(&mine.anchors, pem_file, 100000, NULL) == -1)
				_exit(9);
			world_open(&w);
			_exit(obtain(&mine, &w, &calm, &e) == 0 ? 0 : 1);
		}
		close(go[0]);
		acme_server_start(&s, "", file, n, pid);
		pki_save(dir, "anchors", s.anchors.s, s.anchors.len);
		assert_int_equal(write(go[1], s.directory, strlen(s.directory)), (ssize_t)strlen(s.directory));
		close(go[1]);
		waitpid(pid, &status, 0);
		acme_server_stop(&s);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
			free(file);
			break;
		}
		assert_true(WIFSIGNALED(status));
		acme_server_start(&s, "", file, 0, 0);
		world_open(&w);
		load(&w);
		if (obtain(&s, &w, &calm, &e) == -1)
			fail_msg("killed at request %d: %s", n, e.text);
		assert_int_equal(w.proved, w.unproved);
		world_close(&w);
		acme_server_stop(&s);
		free(file);
	}
	assert_in_range(n, 10, 39);      /* the one that was not killed any more */
}

/* What the authority does, and words of the sentence that refuses it. */
static const struct { const char *does, *says; } hostile[] = {
	{ "wrong nonce for ever", "refuses every nonce" },
	{ "no nonces at all", "gives no nonce" },
	{ "nonce with a newline", "gives no nonce" },
	{ "nonce with quotes", "gives no nonce" },
	{ "nonce page missing", "gives no nonce" },
	{ "redirect", "redirects are not followed" },
	{ "redirect to another host", "redirects are not followed" },
	{ "a gigabyte", "sends more than 262144 bytes for an answer" },
	{ "chunks that never end", "does not answer in time" },
	{ "shorter than announced", "cannot be asked" },
	{ "slow drip", "does not answer in time" },
	{ "no answer", "does not answer in time" },
	{ "headers without end", "sends more than 65536 bytes of header" },
	{ "no HTTP", "cannot be asked" },
	{ "closes at once", "cannot be asked" },
	{ "continues for ever", "sends more than 65536 bytes of header" },
	{ "hangs up before TLS", "is not trusted" },
	{ "no TLS", "is not trusted" },
	{ "silent before TLS", "does not answer in time" },
	{ "TLS 1.1", "is not trusted" },
	{ "https for another host", "is not trusted" },
	{ "https that expired", "has expired" },
	{ "https by a stranger", "is not trusted" },
	{ "HTML", "the directory is not JSON" },
	{ "text/html", "answers with text/html, not with JSON" },
	{ "no content type", "answers with something it does not name, not with JSON" },
	{ "JSON as text/plain", "answers with text/plain, not with JSON" },
	{ "nothing but brackets", "the directory is not JSON" },
	{ "deep JSON", "the directory is not JSON" },
	{ "a list", "the directory is not a JSON object" },
	{ "numbers for URLs", "does not say the URL of nonces" },
	{ "keys twice", "the directory is not JSON" },
	{ "nul in a URL", "the directory is not JSON" },
	{ "http URLs", "the URL of nonces is not at" },
	{ "URLs at another host", "the URL of nonces is not at" },
	{ "a user in the URL", "the URL of nonces is not at" },
	{ "account deactivated", "the account at the authority is deactivated" },
	{ "500", "refuses with status 500" },
	{ "rate limit", "it has had too many requests for now" },
	{ "problem with escapes", "refuses: unauthorized" },
	{ "order at another host", "the URL of the order is not at" },
	{ "order for another name", "the order is for www.evil.test, which nobody asked for" },
	{ "order for one name more", "the order is for evil.test, which nobody asked for" },
	{ "names left out", "the order leaves mx.example.test out" },
	{ "no authorizations", "the order has no list of authorizations" },
	{ "a thousand authorizations", "the order has no list of authorizations" },
	{ "a status nobody knows", "which RFC 8555 does not know" },
	{ "no status", "the order has no status" },
	{ "invalid without a reason", "is invalid" },
	{ "finalize at another host", "the URL of finalize is not at" },
	{ "authorization for another name", "the authorization is for evil.test, which nobody asked for" },
	{ "authorization revoked", "is revoked" },
	{ "unknown proofs only", "takes no http-01 proof" },
	{ "token with a path", "the token of the proof is not made of" },
	{ "token with a newline", "the token of the proof is not made of" },
	{ "token with a command", "the token of the proof is not made of" },
	{ "token with NUL", "the authorization is not JSON" },
	{ "empty token", "the token of the proof is not made of" },
	{ "token of 100 KB", "the token of the proof is not made of" },
	{ "proof at another host", "the URL of the proof is not at" },
	{ "proof never looked at", "is not ready yet, and was waited for long enough" },
	{ "proof refused", "does not accept the proof" },
	{ "never ready", "is not ready yet, and was waited for long enough" },
	{ "wait for a year", "too long to wait for here" },
	{ "wait for ever", "too long to wait for here" },
	{ "status back and forth", "and now says that the order is ready" },
	{ "processing for ever", "is not ready yet, and was waited for long enough" },
	{ "pending again after finalize", "and now says that the order is pending" },
	{ "request refused", "it does not take the request" },
	{ "certificate at another host", "the URL of the certificate is not at" },
	{ "certificate as JSON", "not with application/pem-certificate-chain" },
	{ "certificate for another key", "is for another key than the one of this request" },
	{ "certificate for another name", "sends a certificate for www.evil.test, which nobody asked for" },
	{ "certificate for one name more", "sends a certificate for www.evil.test, which nobody asked for" },
	{ "expired certificate", "sends a chain that has expired" },
	{ "expired chain", "sends a chain that has expired" },
	{ "authority certificate as leaf", "is an authority's own certificate" },
	{ "authority certificate for our key", "is an authority's own certificate" },
	{ "chain of 1000", "sends more than 262144 bytes for an answer" },
	{ "certificate cut off", "it was cut off" },
	{ "empty certificate", "it is empty" },
	{ "private key for an answer", "only a key" },
};

static bool
refused_well(const char *what, const char *says, int rc, int64_t took, const struct err *e)
{
	const char *why = rc == 0 ? "it was accepted" : took > 20000 ? "it took too long"
	    : e->text[0] == '\0' || e->code == RC_BUG || e->code == RC_OK ? "no reason is given"
	    : !clean_is(e->text, strlen(e->text)) ? "it is not one clean sentence"
	    : strstr(e->text, says) == NULL ? "another reason is given" : NULL;

	if (why != NULL)
		print_error("%s: %s (%lld ms): %s\n", what, why, (long long)took, e->text);
	return why == NULL;
}

#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))
#define AT_ONCE 8                /* most of it is waiting */

/* Every AT_ONCE-th of them. Returns how many were not refused well. */
static int
some_hostile(size_t from)
{
	size_t i;
	int bad = 0;

	for (i = from; i < HOSTILE; i += AT_ONCE) {
		struct err e = { .code = RC_OK };
		struct acme_server s;
		struct world w;
		char *file = fresh_state();
		int64_t begun = when_monotonic_ms(), took;
		int rc;

		acme_server_start(&s, hostile[i].does, file, 0, 0);
		world_open(&w);
		rc = obtain(&s, &w, &hasty, &e);
		took = when_monotonic_ms() - begun;
		print_message("%-32s %4lld ms  %s\n", hostile[i].does, (long long)took, e.text);
		bad += !refused_well(hostile[i].does, hostile[i].says, rc, took, &e) || w.proved != w.unproved;
		world_close(&w);
		if (!acme_server_stop(&s)) {
			print_error("%s: the server died of it\n", hostile[i].does);
			bad++;
		}
		free(file);
	}
	return bad;
}

static void
hostile_authorities(void **state)
{
	pid_t pids[AT_ONCE];
	int status, bad = 0;
	size_t i;

	(void)state;
	assert_int_equal(HOSTILE, 82);
	for (i = 0; i < AT_ONCE; i++) {
		fflush(NULL);
		pids[i] = fork();
		if (pids[i] == 0) {
			dir = xasprintf("%s/%zu", dir, i);
			if (mkdir(dir, 0700) == -1)
				_exit(1);
			bad = some_hostile(i);
			fflush(NULL);
			_exit(bad);
		}
	}
	for (i = 0; i < AT_ONCE; i++)
		bad += waitpid(pids[i], &status, 0) != pids[i] || status != 0;
	assert_int_equal(bad, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gets_a_certificate),
		cmocka_unit_test(windows),
		cmocka_unit_test(tokens_that_are_left),
		cmocka_unit_test(killed_at_each_request),
		cmocka_unit_test(hostile_authorities),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
