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

static const struct acme_patience calm = { 10000, 30000 }, hasty = { 1500, 3500 };
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

static const char *const hostile[] = {
	"wrong nonce for ever", "no nonces at all", "nonce with a newline", "nonce with quotes", "nonce page missing",
	"redirect", "redirect to another host", "a gigabyte", "chunks that never end", "shorter than announced", "slow drip", "no answer",
	"headers without end", "no HTTP", "closes at once", "continues for ever", "hangs up before TLS", "no TLS", "silent before TLS", "TLS 1.1",
	"https for another host", "https that expired", "https by a stranger", "HTML", "text/html", "no content type", "JSON as text/plain",
	"nothing but brackets", "deep JSON", "a list", "numbers for URLs", "keys twice", "nul in a URL", "http URLs", "URLs at another host",
	"a user in the URL", "account deactivated", "500", "rate limit", "problem with escapes", "order at another host", "order for another name",
	"order for one name more", "names left out", "no authorizations", "a thousand authorizations", "a status nobody knows", "no status",
	"invalid without a reason", "finalize at another host", "authorization for another name", "authorization revoked",
	"unknown proofs only", "token with a path", "token with a newline", "token with a command", "token with NUL", "empty token",
	"token of 100 KB", "proof at another host", "proof never looked at", "proof refused", "never ready", "wait for a year", "wait for ever",
	"status back and forth", "processing for ever", "pending again after finalize", "request refused", "certificate at another host",
	"certificate as JSON", "certificate for another key", "certificate for another name", "certificate for one name more",
	"expired certificate", "expired chain", "authority certificate as leaf", "authority certificate for our key", "chain of 1000",
	"certificate cut off", "empty certificate", "private key for an answer",
};

static bool
refused_well(const char *what, int rc, int64_t took, const struct err *e)
{
	const char *why = rc == 0 ? "it was accepted" : took > 10000 ? "it took too long"
	    : e->text[0] == '\0' || e->code == RC_BUG || e->code == RC_OK ? "no reason is given"
	    : !clean_is(e->text, strlen(e->text)) ? "it is not one clean sentence" : NULL;

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

		acme_server_start(&s, hostile[i], file, 0, 0);
		world_open(&w);
		rc = obtain(&s, &w, &hasty, &e);
		took = when_monotonic_ms() - begun;
		print_message("%-32s %4lld ms  %s\n", hostile[i], (long long)took, e.text);
		bad += !refused_well(hostile[i], rc, took, &e) || w.proved != w.unproved;
		world_close(&w);
		acme_server_stop(&s);
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
	assert_true(HOSTILE >= 40);
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
