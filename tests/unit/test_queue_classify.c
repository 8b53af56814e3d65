/* The table of failure classes against real lines: log lines, delay reasons and queue listings from public places, and whole
 * delivery attempts recorded in a laboratory. Prints the hit rate of each mail system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "mxseal/failure.h"

#define GOLDEN TEST_SOURCE_DIR "/tests/golden/failures/"

struct rate { const char *system; int all, hit, tls; };
static struct rate rates[] = { { "postfix", 0, 0, 0 }, { "exim", 0, 0, 0 }, { "sendmail", 0, 0, 0 },
	{ "opensmtpd", 0, 0, 0 }, { "dovecot", 0, 0, 0 }, { "any", 0, 0, 0 } };
#define N_RATES (sizeof(rates) / sizeof(rates[0]))

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static struct rate *
rate_of(const char *system)
{
	size_t i;

	for (i = 0; i < N_RATES; i++)
		if (strcmp(rates[i].system, system) == 0)
			return &rates[i];
	fail_msg("unknown system %s", system);
	return NULL;
}

static FILE *
golden(const char *name)
{
	FILE *f = fopen(name, "r");

	if (f == NULL)
		fail_msg("no %s", name);
	for (size_t i = 0; i < N_RATES; i++)
		rates[i].all = rates[i].hit = rates[i].tls = 0;
	return f;
}

static void
print_rates(const char *what)
{
	size_t i;

	for (i = 0; i < N_RATES; i++)
		if (rates[i].all > 0)
			printf("%-9s %-9s class %3d/%3d (%.1f %%)  tls %3d/%3d\n", what, rates[i].system, rates[i].hit,
			    rates[i].all, 100.0 * rates[i].hit / rates[i].all, rates[i].tls, rates[i].all);
}

/* Every line that people agree on, with the mail system guessed from the line. */
static void
real_lines(void **state)
{
	FILE *f = golden(GOLDEN "lines.jsonl");
	char *line = NULL;
	size_t cap = 0;
	struct classified c;
	struct rate *r;
	(void)state;

	while (getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *text = text_of(o, "text");

		assert_non_null(o);
		if (!json_is_true(json_object_get(o, "ambiguous"))) {
			r = rate_of(text_of(o, "mta"));
			classify(text, strlen(text), NULL, &c);
			r->all++;
			if (strcmp(c.failure->name, text_of(o, "class")) == 0)
				r->hit++;
			else
				printf("  %s: wanted %s, got %s: %.200s\n", r->system, text_of(o, "class"), c.failure->name, text);
			if (c.failure->tls == json_is_true(json_object_get(o, "tls")))
				r->tls++;
		}
		json_decref(o);
	}
	free(line);
	fclose(f);
	print_rates("lines");
	assert_true(rate_of("postfix")->hit * 100 >= rate_of("postfix")->all * 98);
	assert_true(rate_of("exim")->hit * 100 >= rate_of("exim")->all * 95);
	assert_true(rate_of("sendmail")->hit * 100 >= rate_of("sendmail")->all * 95);
	assert_true(rate_of("opensmtpd")->hit * 100 >= rate_of("opensmtpd")->all * 90);
	assert_true(rate_of("dovecot")->hit * 100 >= rate_of("dovecot")->all * 95);
}

/* Wordings from the sources of the mail systems, and texts that quote TLS words without being about TLS: every one exactly,
 * whether the mail system is told or not. */
static void
wordings(void **state)
{
	FILE *f = golden(GOLDEN "wordings.jsonl");
	char *line = NULL;
	size_t cap = 0;
	int failed = 0, all = 0;
	(void)state;

	while (getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *text = text_of(o, "text"), *want = text_of(o, "class");
		struct classified told, guessed;

		assert_non_null(o);
		classify(text, strlen(text), text_of(o, "mta"), &told);
		classify(text, strlen(text), NULL, &guessed);
		if (strcmp(told.failure->name, want) != 0 || told.failure != guessed.failure) {
			printf("  wanted %s, got %s told, %s guessed: %s\n", want, told.failure->name, guessed.failure->name, text);
			failed++;
		}
		all++;
		json_decref(o);
	}
	free(line);
	fclose(f);
	assert_true(all > 100);
	assert_int_equal(failed, 0);
}

static bool
in_list(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; list != NULL && *list != '\0'; list += strcspn(list, ","), list += *list == ',')
		if (strncmp(list, name, n) == 0 && (list[n] == ',' || list[n] == '\0'))
			return true;
	return false;
}

/* The delay reason of an attempt that failed: the class, or one that says "look closer" and lists the truth. */
static void
attempts(void **state)
{
	FILE *f = golden(GOLDEN "attempts.jsonl");
	char *line = NULL;
	size_t cap = 0;
	struct classified c;
	struct rate *r;
	(void)state;

	while (getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL);
		const char *text = text_of(o, "final"), *truth = text_of(o, "truth");

		assert_non_null(o);
		if (strcmp(text_of(o, "result"), "sent") != 0) {
			r = rate_of(text_of(o, "mta"));
			classify(text, strlen(text), text_of(o, "mta"), &c);
			r->all++;
			if (strcmp(c.failure->name, truth) == 0 || in_list(c.failure->refine, truth))
				r->hit++;
			else
				printf("  %s: truth %s, got %s: %.200s\n", r->system, truth, c.failure->name, text);
			if (c.failure->tls == json_is_true(json_object_get(o, "tls_cause")))
				r->tls++;
		}
		json_decref(o);
	}
	free(line);
	fclose(f);
	print_rates("attempts");
	assert_true(rate_of("postfix")->hit * 100 >= rate_of("postfix")->all * 98);
}

/* What the log of an attempt really says nothing about: alert 40 may be a cipher or a client certificate, GnuTLS and OpenSMTPD tell
 * several things by one sentence. Then the answer is the class that says so and lists the truth. */
static void
whole_attempts(void **state)
{
	FILE *f = golden(GOLDEN "attempts.jsonl");
	char *line = NULL;
	size_t cap = 0, i;
	(void)state;

	while (getline(&line, &cap, f) > 0) {
		json_t *o = json_loads(line, 0, NULL), *l = json_object_get(o, "lines");
		const char *truth = text_of(o, "truth"), *lines[64];
		struct classified c;
		struct rate *r = rate_of(text_of(o, "mta"));

		assert_non_null(o);
		for (i = 0; i < json_array_size(l) && i < 64; i++)
			lines[i] = json_string_value(json_array_get(l, i));
		classify_attempt(lines, i, text_of(o, "mta"), &c, NULL);
		r->all++;
		if (strcmp(c.failure->name, truth) == 0)
			r->hit++;
		else
			printf("  %s: truth %s, got %s%s: %.120s\n", r->system, truth, c.failure->name, in_list(c.failure->refine, truth) ?
			    " (says less)" : "", text_of(o, "final"));
		if (strcmp(c.failure->name, truth) == 0 || in_list(c.failure->refine, truth))
			r->tls++;
		json_decref(o);
	}
	free(line);
	fclose(f);
	print_rates("whole");
	assert_true(rate_of("postfix")->tls == rate_of("postfix")->all);
	assert_true(rate_of("postfix")->hit >= 81);          /* the other five are alert 40 */
	assert_true(rate_of("exim")->hit * 100 >= rate_of("exim")->all * 89);
	assert_true(rate_of("sendmail")->hit * 100 >= rate_of("sendmail")->all * 87);
	assert_true(rate_of("opensmtpd")->hit * 100 >= rate_of("opensmtpd")->all * 85);
}

static const char *
class_of(const char *text)
{
	static struct classified c;

	classify(text, strlen(text), NULL, &c);
	return c.failure->name;
}

/* Wordings that nobody has seen: Postfix's own code says what they are about, or they stay unknown. A reply's code is the other side's. */
static void
never_seen(void **state)
{
#define OWN(dsn, text) "mx1 postfix/smtp[9]: A1B2C3D4E5: to=<u@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=9, dsn=" dsn ", status=deferred (" text ")"
	(void)state;

	assert_string_equal(class_of(OWN("4.7.4", "the peer is not in the mood for privacy")), "tls-not-offered");
	assert_string_equal(class_of(OWN("4.7.5", "the peer sang out of tune")), "handshake-failed");
	assert_string_equal(class_of(OWN("4.4.3", "nobody knows where that is")), "dns");
	assert_string_equal(class_of(OWN("4.4.2", "the line went dead")), "lost-connection");
	assert_string_equal(class_of(OWN("4.7.0", "something about safety")), "unknown");
	assert_string_equal(class_of(OWN("4.0.0", "TLS is a word in this sentence")), "unknown");
	assert_string_equal(class_of(OWN("4.7.5", "host mx.x.test[192.0.2.1] said: 451 4.7.5 moon phase (in reply to RCPT TO command)")), "remote-4xx");
	assert_string_equal(class_of("the peer sang out of tune"), "unknown");
}

static void
wrappings(void **state)
{
	struct classified c;
	const char *text = "Nov 23 21:02:24 mx1 postfix/error[9]: A1B2C3D4E5: to=<u@x.test>, relay=none, delay=9, "
	    "delays=9/0/0/0, dsn=4.7.5, status=deferred (delivery temporarily suspended: delivery temporarily suspended: "
	    "TLS is required, but was not offered by host mx.x.test[192.0.2.1])";
	(void)state;

	classify(text, strlen(text), NULL, &c);
	assert_string_equal(c.failure->name, "tls-not-offered");
	assert_string_equal(c.inner, "TLS is required, but was not offered by host mx.x.test[192.0.2.1]");
	assert_string_equal(class_of("2026-11-23T21:02:24.123456+00:00 mx1 postfix/smtp[179]: message repeated 3 times: "
	    "[ SSL_connect error to mx.x.test[192.0.2.1]:25: lost connection]"), "lost-connection-after-starttls");
	assert_string_equal(class_of(""), "unknown");
	assert_string_equal(class_of("]: ]: ["), "unknown");
	assert_string_equal(class_of("said: "), "unknown");
}

/* What looks like TLS and is none. */
static void
not_tls(void **state)
{
	static const char *const texts[] = {
		("host mx.x.test[192.0.2.1] said: 450 4.7.1 <u@x.test>: please read https://x.test/tls-required.html (in reply to "
		"RCPT TO command)"),
		"host mx.x.test[192.0.2.1] said: 454 4.7.1 <u@x.test>: Relay access denied (in reply to RCPT TO command)",
		"host mx.x.test[192.0.2.1] said: 421 4.7.0 unusual rate of mail (in reply to end of DATA command)",
		"host tls-required.example[192.0.2.1] said: 451 4.3.0 later (in reply to RCPT TO command)",
		"host x[1.2.3.4] said: 550 5.7.1 Subject \"certificate has expired\" looks like phishing (in reply to end of DATA)",
		"sendmail[12]: AUTH=server, relay=x.test [192.0.2.1], authentication failure: checkpass failed",
		"SASL authentication failed; server smtp.x.test[192.0.2.1] said: 535 5.7.8 Error: authentication failed",
		"4.7.25 host name of your address does not resolve",
	};
	struct classified c;
	size_t i;
	(void)state;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		classify(texts[i], strlen(texts[i]), NULL, &c);
		if (c.failure->tls)
			fail_msg("%s is no TLS failure, got %s", texts[i], c.failure->name);
	}
}

/* Is every word of a comma list one of the words? */
static void
only_words(const char *list, const char *words, const char *name)
{
	char copy[256], *word, *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list != NULL ? list : "");
	for (word = strtok_r(copy, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save))
		if (!in_list(words, word))
			fail_msg("%s: %s is no such word", name, word);
}

/* Every class that a row names exists, and every refine list names classes. */
static void
table_is_whole(void **state)
{
	const struct failure *f;
	char list[512], *word, *save = NULL;
	(void)state;

	for (f = failure_table; f->name != NULL; f++) {
		assert_non_null(f->title);
		assert_non_null(f->explain);
		assert_non_null(f->advice);
		assert_ptr_equal(failure_find(f->name), f);
		only_words(f->remedies, "wait,lower,workaround,repair,complain,hold", f->name);
		only_words(f->probes, "log,mx,connect,starttls,handshake,versions,chain,dates,name,dane,sts,vantage,trust-store,resolver,clock", f->name);
		/* a failure has both; what is none has neither */
		assert_true((f->probes != NULL) == (f->remedies != NULL));
		assert_true(f->side == SIDE_NONE || f->remedies != NULL);
		if (f->refine == NULL)
			continue;
		snprintf(list, sizeof(list), "%s", f->refine);
		for (word = strtok_r(list, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save))
			assert_string_equal(failure_find(word)->name, word);
	}
	assert_string_equal(failure_find("no such class")->name, "unknown");
	assert_string_equal(failure_find(NULL)->name, "unknown");
}

static void
fold_equal(const char *a, const char *b, const char *want)
{
	struct str x = STR_INIT, y = STR_INIT;

	reason_fold(a, strlen(a), &x);
	reason_fold(b, strlen(b), &y);
	assert_string_equal(x.s, y.s);
	assert_string_equal(x.s, want);
	str_release(&x);
	str_release(&y);
}

static void
folding(void **state)
{
	(void)state;

	fold_equal("delivery temporarily suspended: connect to mx1.a.test[192.0.2.1]:25: Connection timed out",
	    "connect to mx2.b.test[2001:db8::1]:25: Connection timed out", "connect to HOST:N: Connection timed out");
	fold_equal("host mx[192.0.2.1] said: 450 4.2.0 <a@b.c>: Greylisted for 300 seconds (in reply to RCPT TO command)",
	    "host my[192.0.2.2] said: 450 4.2.0 <d@b.c>: Greylisted for 12 seconds (in reply to RCPT TO command)",
	    "host HOST said: 450 4.2.0 ADDRESS: Greylisted for N seconds (in reply to RCPT TO command)");
	fold_equal("451 4.3.0 queued as 4A5B6C7D8E not yet", "451 4.3.0 queued as 99AABB77CC not yet",
	    "451 4.3.0 queued as ID not yet");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_lines), cmocka_unit_test(wordings), cmocka_unit_test(attempts), cmocka_unit_test(whole_attempts), cmocka_unit_test(never_seen),
		cmocka_unit_test(wrappings), cmocka_unit_test(not_tls), cmocka_unit_test(table_is_whole), cmocka_unit_test(folding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
