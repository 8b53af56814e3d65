/* Lines of one smtp(8) joined into attempts: the recorded attempts of a real Postfix, mixed as a log mixes them; several mail
 * servers in one attempt; shared TLS sessions; and the script that reads a host's log, run here over a file that was rotated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include <jansson.h>

#include "core/mailsys/postfix.h"
#include "mxseal/maillog.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

#define NOW INT64_C(1795727361)      /* Thu Nov 26 21:09:21 UTC 2026 */
#define GOLDEN TEST_SOURCE_DIR "/tests/golden/failures/attempts.jsonl"

static void
read_attempts(const char *domain, const char *text, size_t piece, struct attempts_seen *out)
{
	struct attempts *a = attempts_new(domain, NOW);
	size_t i, len = strlen(text), n;

	for (i = 0; i < len; i += n) {
		n = piece > 0 && piece < len - i ? piece : len - i;
		attempts_feed(a, text + i, n);
	}
	attempts_end(a, out);
	attempts_free(a);
}

/* "cert-expired+; tls-not-offered": +: a line before the delivery's own decided. */
static char *
classes(const char *domain, const char *text, size_t piece)
{
	struct attempts_seen s;
	struct str out = STR_INIT;
	size_t i;

	str_add(&out, "");
	read_attempts(domain, text, piece, &s);
	for (i = 0; i < s.n; i++)
		str_addf(&out, "%s%s%s", i > 0 ? "; " : "", s.v[i].failure->name, s.v[i].joined ? "+" : "");
	attempts_seen_release(&s);
	return str_take(&out);
}

static void
expect(const char *domain, const char *text, const char *want)
{
	char *whole = classes(domain, text, 0), *pieces = classes(domain, text, 7);

	assert_string_equal(whole, want);
	assert_string_equal(pieces, want);
	free(whole);
	free(pieces);
}

#define S(pid) "2026-11-26T20:00:00.1+00:00 mx1 postfix/smtp[" #pid "]: "
#define DELIVERY "to=<u@bank.test>, relay=mx.bank.test[192.0.2.1]:25, delay=1, delays=0/0/1/0, dsn=4.7.5, status=deferred "
#define UNTRUSTED "Untrusted TLS connection established to mx.bank.test[192.0.2.1]:25: TLSv1.3 with cipher X (256/256 bits)\n"

static void
lines_are_joined(void **state)
{
	(void)state;
	/* two processes at once */
	expect("bank.test", S(1) "server certificate verification failed for mx.bank.test[192.0.2.1]:25: certificate has expired\n"
	    S(2) "server certificate verification failed for mx.other.test[192.0.2.9]:25: num=62:hostname mismatch\n"
	    S(1) UNTRUSTED S(2) "4A1A83F0B1: to=<u@other.test>, relay=mx.other.test[192.0.2.9]:25, status=deferred (Server certificate "
	    "not verified)\n" S(1) "4A1A83F0B2: " DELIVERY "(Server certificate not verified)\n", "cert-expired+");
	/* the first mail server was cut, the second one decided */
	expect("bank.test", S(1) "SSL_connect error to mx0.bank.test[192.0.2.7]:25: lost connection\n"
	    S(1) "4A1A83F0B2: Cannot start TLS: handshake failure\n"
	    S(1) "certificate verification failed for mx.bank.test[192.0.2.1]:25: self-signed certificate\n"
	    S(1) UNTRUSTED S(1) "4A1A83F0B2: " DELIVERY "(Server certificate not verified)\n", "self-signed+");
	/* several recipients are one attempt, and the next message's lines are its own */
	expect("bank.test", S(1) "SSL_connect error to mx.bank.test[192.0.2.1]:25: -1\n"
	    S(1) "warning: TLS library problem: error:0A00042E:SSL routines::tlsv1 alert protocol version:../ssl/x.c:1:SSL alert number 70:\n"
	    S(1) "4A1A83F0B2: " DELIVERY "(Cannot start TLS: handshake failure)\n"
	    S(1) "4A1A83F0B2: " DELIVERY "(Cannot start TLS: handshake failure)\n"
	    S(1) "4A1A83F0B3: " DELIVERY "(TLS is required, but was not offered by host mx.bank.test[192.0.2.1])\n",
	    "protocol-version+; tls-not-offered");
	/* one session shared: tlsproxy(8) tells, put before the delivery by the host */
	expect("bank.test", "2026-11-26T20:00:00Z mx1 postfix/tlsproxy[9]: certificate verification failed for mx.bank.test[192.0.2.1]:25: "
	    "untrusted issuer /CN=Other\n" S(1) "4A1A83F0B2: " DELIVERY "(Server certificate not verified)\n", "cert-untrusted+");
	/* success is no failure, and garbage is nothing */
	expect(NULL, "garbage\n-- now x\n" S(1) "4A1A83F0B2: to=<u@bank.test>, relay=x[192.0.2.1]:25, status=sent (250 ok)\n\377\n", "");
}

static void
since_when(void **state)
{
	struct attempts_seen s;

	(void)state;
	read_attempts("bank.test", "-- now 1795727361 2026 11 26 21 09 21\n-- sent 2026-11-26T18:00:00Z mx1 postfix/smtp[1]: 4A1A83F0B1: "
	    "to=<u@bank.test>, status=sent (ok)\n-- first 2026-11-26T19:00:00Z mx1 postfix/smtp[1]: 4A1A83F0B1: to=<u@bank.test>, "
	    "status=deferred (x)\n", 0, &s);
	assert_int_equal(s.clock, 1795727361);
	assert_int_equal(s.first_at - s.sent_at, 3600);
	assert_int_equal(s.n, 0);
	attempts_seen_release(&s);
}

/* What mail left with: the line of its own session, of its own server, before it. */
static void
left_with(void **state)
{
#define AT(n) "2026-11-26T18:0" #n ":00Z mx1 postfix/notls-out/smtp[7]: "
#define TO(r) "4A1A83F0B1: to=<u@bank.test>, relay=" r ", delay=1, dsn=2.0.0, status=sent (250 ok)\n"
#define SESSION(r) "Trusted TLS connection established to " r ": TLSv1.3 with cipher X (256/256 bits)\n"
	static const char log[] = "-- now 1795727361 2026 11 26 21 09 21\n-- depth 1\n"
	    "-- tls " AT(0) SESSION("mx.bank.test[192.0.2.1]:25") "-- sent " AT(1) TO("mx.bank.test[192.0.2.1]:25")
	    "-- sent " AT(2) TO("mx.bank.test[192.0.2.1]:25")
	    "-- tls " AT(3) SESSION("mx2.bank.test[192.0.2.2]:25") "-- sent " AT(4) TO("mx.bank.test[192.0.2.1]:25")
	    "-- sent " AT(5) "4A1A83F0B1: to=<u@bank.test.evil>, relay=mx.bank.test[192.0.2.1]:25, status=sent (250 ok)\n"
	    "-- tls \n-- sent \n-- tls garbage\n";
	struct attempts_seen s;

	(void)state;
	for (size_t piece = 0; piece < 9; piece += 4) {
		read_attempts("bank.test", log, piece, &s);
		assert_true(s.tls_logged);
		assert_int_equal(s.n_sent, 3);
		assert_string_equal(s.sent[0].tls, "Trusted, TLSv1.3 with cipher X (256/256 bits)");
		assert_string_equal(s.sent[0].relay, "mx.bank.test[192.0.2.1]:25");
		assert_null(s.sent[1].tls);
		assert_null(s.sent[2].tls);          /* that session was with another server */
		assert_int_equal(s.sent[2].at - s.sent[0].at, 180);
		attempts_seen_release(&s);
	}
	read_attempts("bank.test", "-- depth 0\n", 0, &s);
	assert_false(s.tls_logged);
	attempts_seen_release(&s);
}

/* --- the recorded attempts --- */

static void
gather(struct str *log, json_t *all)
{
	FILE *f = fopen(GOLDEN, "r");
	char *line = NULL;
	size_t cap = 0, i;

	assert_non_null(f);
	while (getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL), *l = json_object_get(o, "lines");

		assert_non_null(o);
		if (strcmp(json_string_value(json_object_get(o, "mta")), "postfix") == 0) {
			for (i = 0; i < json_array_size(l); i++)
				str_addf(log, "%s\n", json_string_value(json_array_get(l, i)));
			json_array_append(all, o);
		}
		json_decref(o);
	}
	free(line);
	fclose(f);
}

/* The domain that an attempt went to. */
static char *
domain_of(const json_t *o)
{
	json_t *l = json_object_get(o, "lines");
	const char *last = json_string_value(json_array_get(l, json_array_size(l) - 1)), *at = strchr(strstr(last, "to=<"), '@');

	return xstrndup(at + 1, strcspn(at, ">") - 1);
}

static void
recorded_attempts(void **state)
{
	struct str log = STR_INIT;
	json_t *all = json_array();
	size_t i, k, named = 0, failed = 0;

	(void)state;
	gather(&log, all);
	for (i = 0; i < json_array_size(all); i++) {
		json_t *o = json_array_get(all, i);
		const char *truth = json_string_value(json_object_get(o, "truth"));
		char *domain = domain_of(o);
		struct attempts_seen s;

		if (strcmp(json_string_value(json_object_get(o, "result")), "sent") != 0) {
			read_attempts(domain, log.s, 4096, &s);
			assert_true(s.n > 0);
			failed++;
			for (k = 0; k < s.n && strcmp(s.v[k].failure->name, truth) != 0; k++)
				;
			named += k < s.n;
			attempts_seen_release(&s);
		}
		free(domain);
	}
	printf("joined from one log: %zu of %zu failed attempts have the right class\n", named, failed);
	assert_true(named + 5 >= failed);            /* alert 40 says no more */
	json_decref(all);
	str_release(&log);
}

/* --- the script --- */

static void
put(const char *dir, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(str_write_file(path, text, strlen(text), 0755, NULL), 0);
	free(path);
}

static void
run_script(const char *dir, const char *domain, size_t bytes, struct str *out)
{
	struct command_list l = { NULL, 0 };
	char line[8192];
	FILE *p;
	size_t i;

	postfix_attempts_command(domain, bytes, &l);
	str_reset(out);
	str_addf(out, "PATH='%s':\"$PATH\"", dir);
	for (i = 0; l.v[0].argv[i]; i++) {
		str_addc(out, ' ');
		str_add_word(out, l.v[0].argv[i]);
	}
	p = popen(out->s, "r");
	assert_non_null(p);
	str_reset(out);
	while (fgets(line, sizeof(line), p))
		str_add(out, line);
	assert_int_equal(pclose(p), 0);
	command_list_release(&l);
}

static void
the_script_finds_them(void **state)
{
	struct str log = STR_INIT, out = STR_INIT;
	json_t *all = json_array();
	char *dir = fixture_dir(), *text, *got;
	size_t half;

	(void)state;
	gather(&log, all);
	text = xasprintf("#!/bin/sh\necho %s/mail.log\n", dir);
	put(dir, "postconf", text);
	free(text);
	/* cut in two at a line */
	half = log.len / 2;
	half += strcspn(log.s + half, "\n") + 1;
	put(dir, "mail.log", log.s + half);
	log.s[half] = '\0';
	put(dir, "mail.log.1", log.s);
	run_script(dir, "l3-10108.test", 1 << 20, &out);
	assert_true(text_starts(out.s, "-- now "));
	assert_non_null(strstr(out.s, "-- first "));
	got = classes("l3-10108.test", out.s, 0);
	assert_string_equal(got, "cert-expired+");
	free(got);
	run_script(dir, "l2-10112.test", 1 << 20, &out);
	got = classes("l2-10112.test", out.s, 0);
	assert_string_equal(got, "protocol-version+");
	free(got);
	/* nothing of others, nothing for a domain that is a regular expression or a command */
	assert_null(strstr(out.s, "l3-10108.test"));
	run_script(dir, ".*", 1 << 20, &out);
	assert_null(strstr(out.s, "status="));
	run_script(dir, "$(touch /nonexistent/x)\\", 1 << 20, &out);
	assert_null(strstr(out.s, "status="));
	/* only the end of the log is looked through */
	run_script(dir, "l3-10108.test", 2000, &out);
	assert_null(strstr(out.s, "l3-10108.test"));
	json_decref(all);
	str_release(&log);
	str_release(&out);
	fixture_remove(dir);
	free(dir);
}

static void
ceilings(void **state)
{
	struct attempts *a = attempts_new(NULL, NOW);
	struct attempts_seen s;
	struct str line = STR_INIT;
	int i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		str_reset(&line);
		str_addf(&line, "2026-11-26T20:00:00Z mx1 postfix/smtp[%d]: lost connection\n2026-11-26T20:00:00Z mx1 postfix/smtp[%d]: "
		    "4E1A83F0B1: to=<a@b%d.test>, relay=none, status=deferred (x)\n", i % 700, i, i);
		attempts_feed(a, line.s, line.len);
	}
	attempts_end(a, &s);
	assert_int_equal(s.n, 64);
	attempts_seen_release(&s);
	attempts_free(a);
	str_release(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_joined), cmocka_unit_test(since_when), cmocka_unit_test(left_with), cmocka_unit_test(recorded_attempts),
		cmocka_unit_test(the_script_finds_them), cmocka_unit_test(ceilings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
