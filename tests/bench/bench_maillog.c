/* How fast a mail log of a gigabyte is read, and with how much memory: `mxseal traffic --log`, as a user runs it, against
 * pflogsumm(1) and grep(1) in the same run.
 *   bench_maillog [MEGABYTES]
 * The log comes from a seeded generator: sessions of smtpd(8) and smtp(8) as the recordings have them, mixed as forty-eight
 * processes at a time mix them; what fails are the recorded attempts of tests/golden/failures, with new names. The generator knows
 * what is in it: that, what mxseal counts, and what pflogsumm counts must be the same. */
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/mailsys/postfix.h"
#include "mxseal/err.h"
#include "mxseal/str.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

#define TASKS 48
#define LINES_MAX 32
#define DAYS 6
#define WAITING_MAX 4096
#define RECORDED TEST_SOURCE_DIR "/tests/golden/failures/attempts.jsonl"

struct task { char *lines[LINES_MAX]; int n, next, uses, smtpd, smtp; };
struct waiting { char id[16]; unsigned domain; };
/* Messages by domain, and lines of recipients. */
struct truth { long long in, in_clear, out, out_clear, waiting, sent, deferred, bounced, boxes; };

static struct task tasks[TASKS];
static struct waiting waiting[WAITING_MAX];
static unsigned n_waiting, messages;
static struct truth truth;
static json_t *recorded[400];
static unsigned n_recorded;
static uint64_t seed = 20261127;

static unsigned
number(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

/* Few have most of the mail. */
static unsigned
popular(unsigned few, unsigned all)
{
	return number(3) > 0 ? number(few) : number(all);
}

static void say(struct task *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void
say(struct task *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (t->n == LINES_MAX || vasprintf(&t->lines[t->n++], fmt, ap) < 0)
		abort();
	va_end(ap);
}

static void
new_id(char id[16])
{
	snprintf(id, 16, "%05X%06X", messages * 7919 % 0x100000, 0x124000 + messages / 0x100000);
	messages++;
}

/* --- what comes in --- */

static void
client(char *out, size_t size)
{
	unsigned n = popular(150, 6000);

	if (n % 7 == 3)
		snprintf(out, size, "unknown[198.51.%u.%u]", n / 256, n % 256);
	else
		snprintf(out, size, "out%u.sender%u.example[203.0.%u.%u]", n % 4, n, n / 256, n % 256);
}

static void
brought(struct task *t, const char *id)
{
	static const char *const versions[] = { ("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
	    "server-signature RSA-PSS (2048 bits) server-digest SHA256"), "TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)",
	    "TLSv1 with cipher ECDHE-RSA-AES256-SHA (256/256 bits)" };
	char name[80];
	bool tls = number(100) < 85;
	unsigned which = number(100);

	client(name, sizeof(name));
	say(t, "postfix/smtpd[%d]: connect from %s", t->smtpd, name);
	if (tls)
		say(t, "postfix/smtpd[%d]: Anonymous TLS connection established from %s: %s", t->smtpd, name,
		    versions[which < 70 ? 0 : which < 97 ? 1 : 2]);
	say(t, "postfix/smtpd[%d]: %s: client=%s", t->smtpd, id, name);
	say(t, "postfix/cleanup[%d]: %s: message-id=<%u.%u.%s@sender.example>", t->smtpd + 1, id, number(1u << 30), number(1u << 30), id);
	say(t, "postfix/qmgr[702]: %s: from=<user%u@sender%u.example>, size=%u, nrcpt=1 (queue active)", id, number(4000), number(6000),
	    900 + number(90000));
	say(t, "postfix/smtpd[%d]: disconnect from %s ehlo=%d%s mail=1 rcpt=1 data=1 quit=1 commands=%d", t->smtpd, name, tls ? 2 : 1,
	    tls ? " starttls=1" : "", tls ? 7 : 5);
	truth.in++;
	truth.in_clear += !tls;
}

static void
refused(struct task *t)
{
	char name[80];

	client(name, sizeof(name));
	say(t, "postfix/smtpd[%d]: connect from %s", t->smtpd, name);
	say(t, "postfix/smtpd[%d]: NOQUEUE: reject: RCPT from %s: 554 5.7.1 Service unavailable; Client host blocked using zen.example; "
	    "https://www.zen.example/query; from=<a%u@b.example> to=<user%u@here.example> proto=ESMTP helo=<x>", t->smtpd, name, number(9999),
	    number(500));
	say(t, "postfix/smtpd[%d]: lost connection after RCPT from %s", t->smtpd, name);
	say(t, "postfix/smtpd[%d]: disconnect from %s ehlo=1 mail=1 rcpt=0/1 commands=2/3", t->smtpd, name);
}

/* What else a mail host writes there. */
static void
noise(struct task *t)
{
	switch (number(4)) {
	case 0:
		say(t, "dovecot: imap-login: Login: user=<user%u@here.example>, method=PLAIN, rip=198.51.100.%u, lip=192.0.2.1, mpid=%u, TLS, "
		    "session=<%u>", number(500), number(256), number(60000), number(1u << 30));
		break;
	case 1:
		say(t, "opendkim[611]: %05X124000: DKIM-Signature field added (s=2026, d=here.example)", number(0x100000));
		break;
	case 2:
		say(t, "postfix/anvil[%d]: statistics: max connection rate 3/60s for (smtp:198.51.100.%u) at Nov 26 21:00:00", t->smtpd + 2,
		    number(256));
		break;
	default:
		say(t, "postfix/smtpd[%d]: warning: hostname host%u.example does not resolve to address 198.51.100.%u", t->smtpd, number(5000),
		    number(256));
	}
}

/* --- what goes out --- */

static void
took(struct task *t, const char *id, unsigned domain, bool sent)
{
	static const char *const trust[] = { "Trusted", "Untrusted", "Verified", "Anonymous" };
	unsigned recipients = number(6) > 0 ? 1 : 2 + number(2), i;
	bool tls = domain % 11 != 5;
	char relay[80];

	snprintf(relay, sizeof(relay), "mx%u.d%u.example[192.0.%u.%u]:25", number(3), domain, domain / 256, domain % 256);
	if (tls)
		say(t, "postfix/smtp[%d]: %s TLS connection established to %s: TLSv1.%u with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) "
		    "key-exchange X25519 server-signature ECDSA (P-256) server-digest SHA256", t->smtp, trust[number(4)], relay, 2 + number(2));
	for (i = 0; i < recipients; i++)
		say(t, "postfix/smtp[%d]: %s: to=<user%u@d%u.example>, relay=%s, delay=%u.%u, delays=0.1/0.01/0.3/0.2, dsn=%s, status=%s (%s)",
		    t->smtp, id, number(9000), domain, relay, number(5), number(10), sent ? "2.0.0" : "5.1.1", sent ? "sent" : "bounced",
		    sent ? "250 2.0.0 Ok: queued as 4f7Xk2" : "host said: 550 5.1.1 no such user (in reply to RCPT TO command)");
	say(t, "postfix/qmgr[702]: %s: removed", id);
	if (sent) {
		truth.out++;
		truth.out_clear += !tls;
		truth.sent += recipients;
	} else {
		truth.waiting++;
		truth.bounced += recipients;
	}
}

/* As it was recorded, by another process, for another message to another domain. */
static void
failed(struct task *t, const char *id, unsigned domain)
{
	const json_t *lines = json_object_get(recorded[number(n_recorded)], "lines");
	size_t i, n = json_array_size(lines);
	bool kept = false;

	for (i = 0; i < n; i++) {
		const char *line = json_string_value(json_array_get(lines, i)), *text = strstr(line, "]: ") + 3, *to = strstr(text, ": to=<");

		if (to == NULL) {
			say(t, "postfix/smtp[%d]: %s", t->smtp, text);
			continue;
		}
		say(t, "postfix/smtp[%d]: %s: to=<user%u@d%u.example>%s", t->smtp, id, number(9000), domain, strchr(to, '>') + 1);
		kept = strstr(to, "status=bounced") == NULL;
		truth.deferred += kept;
		truth.bounced += !kept;
	}
	truth.waiting++;
	if (!kept)
		say(t, "postfix/qmgr[702]: %s: removed", id);
	else if (n_waiting < WAITING_MAX) {
		memcpy(waiting[n_waiting].id, id, 16);
		waiting[n_waiting++].domain = domain;
	}
}

/* One that waits is tried again. */
static void
again(struct task *t)
{
	unsigned which = number(n_waiting);
	struct waiting w = waiting[which];

	say(t, "postfix/qmgr[702]: %s: from=<user@here.example>, size=%u, nrcpt=1 (queue active)", w.id, 900 + number(90000));
	switch (number(3)) {
	case 0:
		waiting[which] = waiting[--n_waiting];
		took(t, w.id, w.domain, true);
		truth.waiting--;
		break;
	case 1:
		say(t, "postfix/error[%d]: %s: to=<user@d%u.example>, relay=none, delay=3000, delays=3000/0/0/0, dsn=4.4.1, status=deferred (delivery "
		    "temporarily suspended: connect to mx.d%u.example[192.0.2.9]:25: Connection timed out)", t->smtp, w.id, w.domain, w.domain);
		truth.deferred++;
		break;
	default:
		say(t, "postfix/smtp[%d]: connect to mx.d%u.example[192.0.2.9]:25: Connection timed out", t->smtp, w.domain);
		say(t, "postfix/smtp[%d]: %s: to=<user@d%u.example>, relay=none, delay=4000, delays=4000/0/30/0, dsn=4.4.1, status=deferred (connect "
		    "to mx.d%u.example[192.0.2.9]:25: Connection timed out)", t->smtp, w.id, w.domain, w.domain);
		truth.deferred++;
	}
}

static void
fill(struct task *t, int place)
{
	unsigned what = number(100);
	char id[16];
	int i;

	for (i = 0; i < t->n; i++)
		free(t->lines[i]);
	t->n = t->next = 0;
	if (t->uses++ % 100 == 0) {
		t->smtpd = 1000 + place * 4 + 4 * TASKS * (int)number(300);
		t->smtp = t->smtpd + 3;
	}
	if (what < 8) {
		refused(t);
		return;
	}
	if (what < 30) {
		noise(t);
		return;
	}
	if (what < 34 && n_waiting > 0) {
		again(t);
		return;
	}
	new_id(id);
	brought(t, id);
	if (what < 54) {
		say(t, "postfix/lmtp[%d]: %s: to=<user%u@here.example>, relay=mx1[private/dovecot-lmtp], delay=0.2, delays=0.1/0/0/0.1, dsn=2.0.0, "
		    "status=sent (250 2.0.0 <user@here.example> %u Saved)", t->smtp, id, number(500), number(1u << 30));
		say(t, "postfix/qmgr[702]: %s: removed", id);
		truth.boxes++;
	} else if (what < 60)
		failed(t, id, popular(200, 15000));
	else
		took(t, id, popular(200, 15000), what < 98);
}

/* Begun sessions are brought to their end. */
static void
make(const char *name, long long size)
{
	FILE *f = fopen(name, "w");
	time_t began = time(NULL) - DAYS * 86400, at = -1, next;
	long long bytes = 0;
	char stamp[32] = "";
	unsigned place, open = TASKS;
	struct tm tm;

	for (place = 0; place < TASKS; place++)
		fill(&tasks[place], (int)place);
	while (f != NULL && open > 0) {
		struct task *t = &tasks[place = number(TASKS)];

		if (t->next == t->n)
			continue;
		next = began + (time_t)((double)(bytes < size ? bytes : size) / (double)size * (DAYS * 86400 - 60));
		if (next != at) {
			at = next;
			gmtime_r(&at, &tm);
			strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
		}
		bytes += fprintf(f, "%s.%06u+00:00 mx1 %s\n", stamp, number(1000000), t->lines[t->next++]);
		if (t->next == t->n && bytes < size)
			fill(t, (int)place);
		else if (t->next == t->n)
			open--;
	}
	if (f == NULL || fclose(f) != 0) {
		perror(name);
		exit(1);
	}
}

static void
load_recorded(void)
{
	FILE *f = fopen(RECORDED, "r");
	char *line = NULL;
	size_t size = 0;
	json_t *o;

	while (f != NULL && getline(&line, &size, f) > 0) {
		o = json_loads(line, 0, NULL);
		if (strcmp(json_string_value(json_object_get(o, "mta")), "postfix") == 0
		    && strcmp(json_string_value(json_object_get(o, "result")), "sent") != 0)
			recorded[n_recorded++] = o;
		else
			json_decref(o);
	}
	if (n_recorded == 0) {
		perror(RECORDED);
		exit(1);
	}
	free(line);
	fclose(f);
}

/* --- who reads it --- */

struct cost { double cpu, seconds; long kib; };

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Its standard output, as much of it as out holds; seconds of processor count on a busy machine. */
static int
measure(const char *const argv[], struct str *out, struct cost *cost)
{
	struct rusage use;
	double start = now();
	int status = -1, ends[2];
	char mem[65536];
	ssize_t n;
	pid_t pid;

	if (pipe(ends) != 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		dup2(ends[1], 1);
		close(ends[0]);
		setenv("LC_ALL", "C", 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(ends[1]);
	str_reset(out);
	while ((n = read(ends[0], mem, sizeof(mem))) > 0)
		str_addn(out, mem, (size_t)n);
	close(ends[0]);
	if (wait4(pid, &status, 0, &use) != pid)
		return -1;
	cost->seconds = now() - start;
	cost->cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	cost->kib = use.ru_maxrss;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
print_cost(const char *who, const struct cost *c, double mb)
{
	printf("%-10s %6.2f s of processor, %5.0f MB/s, peak %7ld KiB (%.2f s)\n", who, c->cpu, mb / c->cpu, c->kib, c->seconds);
}

/* The table of days of pflogsumm, added up: its totals are rounded to k. */
static void
add_days(const char *text, long long *sent, long long *deferred, long long *bounced)
{
	const char *line = strstr(text, "Per-Day Traffic Summary");
	long long a, b, c;

	*sent = *deferred = *bounced = 0;
	for (; line != NULL && strncmp(line, "\nPer-Hour", 9) != 0; line = strchr(line + 1, '\n'))
		if (sscanf(line, " %*3[A-Z]%*2[a-z] %*d %*d %*d %lld %lld %lld", &a, &b, &c) == 3) {
			*sent += a;
			*deferred += b;
			*bounced += c;
		}
}

static void
add_up(const json_t *peers, long long *messages_out, long long *clear)
{
	size_t i;

	*messages_out = *clear = 0;
	for (i = 0; i < json_array_size(peers); i++) {
		*messages_out += json_integer_value(json_object_get(json_array_get(peers, i), "messages"));
		*clear += json_integer_value(json_object_get(json_array_get(peers, i), "without_tls"));
	}
}

static bool
same(const char *what, long long have, long long want)
{
	if (have != want)
		printf("WRONG: %s: %lld, not %lld\n", what, have, want);
	return have == want;
}

/* As it would run on a host whose log this is: what that costs there, and what comes over the wire. */
static bool
on_the_host(const char *dir, double mb)
{
	struct command_list l = { NULL, 0 };
	char *postconf = xasprintf("%s/postconf", dir), *text = xasprintf("#!/bin/sh\necho %s/mail.log\n", dir);
	char *path = xasprintf("%s:%s", dir, getenv("PATH"));
	struct str wire = STR_INIT;
	struct cost c;
	bool good;

	str_init(&wire, 1u << 30);
	good = str_write_file(postconf, text, strlen(text), 0755, NULL) == 0;
	setenv("PATH", path, 1);
	postfix_traffic_command(7, &l);
	good = good && measure((const char *const *)l.v[0].argv, &wire, &c) == 0;
	if (good) {
		print_cost("the host", &c, mb);
		printf("           (its script, when mxseal reads the log over SSH: grep and gzip) and %.0f MB come over the wire\n", (double)wire.len / 1e6);
	}
	command_list_release(&l);
	str_release(&wire);
	free(postconf);
	free(text);
	free(path);
	return good;
}

/* Every count that two of the three have. */
static bool
all_agree(const json_t *ours, const char *theirs)
{
	const json_t *log = json_object_get(ours, "log");
	long long sent, deferred, bounced, in, in_clear, out, out_clear;
	bool good;

	add_days(theirs, &sent, &deferred, &bounced);
	add_up(json_object_get(ours, "in"), &in, &in_clear);
	add_up(json_object_get(ours, "out"), &out, &out_clear);
	printf("pflogsumm: %lld sent, %lld deferred, %lld bounced; %lld of the sent went into boxes of the host itself (lmtp), which mxseal leaves "
	    "out\nmxseal:    %lld sent, %lld deferred, %lld bounced; as messages: %lld brought, %lld of them without TLS, %lld taken, %lld of "
	    "them without TLS\n", sent, deferred, bounced, truth.boxes, (long long)json_integer_value(json_object_get(log, "sent")),
	    (long long)json_integer_value(json_object_get(log, "deferred")), (long long)json_integer_value(json_object_get(log, "bounced")), in,
	    in_clear, out, out_clear);
	good = same("pflogsumm, sent", sent, truth.sent + truth.boxes);
	good &= same("pflogsumm, deferred", deferred, truth.deferred);
	good &= same("pflogsumm, bounced", bounced, truth.bounced);
	good &= same("mxseal, sent", json_integer_value(json_object_get(log, "sent")), truth.sent);
	good &= same("mxseal, deferred", json_integer_value(json_object_get(log, "deferred")), truth.deferred);
	good &= same("mxseal, bounced", json_integer_value(json_object_get(log, "bounced")), truth.bounced);
	good &= same("mxseal, brought", in, truth.in);
	good &= same("mxseal, brought without TLS", in_clear, truth.in_clear);
	good &= same("mxseal, taken", out, truth.out);
	good &= same("mxseal, taken without TLS", out_clear, truth.out_clear);
	if (good)
		puts("every count is the one that the generator knows");
	return good;
}

int
main(int argc, char **argv)
{
	const char *program = getenv("MXSEAL_PROGRAM") != NULL ? getenv("MXSEAL_PROGRAM") : TEST_PROGRAM;
	long long size = (argc > 1 ? atoll(argv[1]) : 1024) * 1000000;
	char *dir = fixture_dir(), *name = xasprintf("%s/mail.log", dir), *store = xasprintf("%s/store.db", dir);
	const char *add[] = { program, "--store", store, "server", "add", "mx1", "root@mx1.test", NULL };
	const char *ours[] = { program, "--store", store, "--json", "traffic", "mx1", "--log", name, NULL };
	const char *grep[] = { "grep", "-cE", " status=(sent|deferred|bounced) ", name, NULL };
	const char *theirs[] = { "pflogsumm", "--detail", "0", name, NULL };
	struct cost cost, grep_cost, their_cost;
	struct str said = STR_INIT, theirs_said = STR_INIT;
	struct stat st;
	json_t *o = NULL;
	bool good;
	double mb;

	str_init(&said, 64u << 20);
	load_recorded();
	make(name, size);
	good = stat(name, &st) == 0 && chmod(dir, 0700) == 0 && measure(add, &said, &cost) == 0;
	mb = (double)st.st_size / 1e6;
	printf("log: %.0f MB, %u messages, %d days\n", mb, messages, DAYS);
	if (good && measure(grep, &theirs_said, &grep_cost) == 0 && measure(grep, &theirs_said, &grep_cost) == 0)   /* twice: the page cache */
		print_cost("grep", &grep_cost, mb);
	good = good && measure(ours, &said, &cost) == 0 && (o = json_loads(said.s, 0, NULL)) != NULL;
	if (good) {
		print_cost("mxseal", &cost, mb);
		printf("ratio: mxseal takes %.1f times the processor time of grep -cE '%s'\n", cost.cpu / grep_cost.cpu, grep[2]);
	}
	if (good && measure(theirs, &theirs_said, &their_cost) == 0) {
		print_cost("pflogsumm", &their_cost, mb);
		printf("ratio: mxseal takes 1/%.0f of the processor time of pflogsumm, 1/%.1f of its memory\n", their_cost.cpu / cost.cpu,
		    (double)their_cost.kib / (double)cost.kib);
		good = all_agree(o, theirs_said.s);
	} else if (good)
		puts("pflogsumm: not there, skipped");
	good = good && on_the_host(dir, mb) && cost.kib < 64 * 1024;
	json_decref(o);
	fixture_remove(dir);
	str_release(&said);
	str_release(&theirs_said);
	return good ? 0 : 1;
}
