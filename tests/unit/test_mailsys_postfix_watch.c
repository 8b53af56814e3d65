/* The command that tells how mail fares: run here, over logs as hosts write them, in both forms of time stamp, across
 * rotations, and with what must not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/mailsys/postfix.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

static char *dir, log_path[512], mark[256];
static struct plan plan;

static void
put(const char *path, const char *how, const char *text)
{
	FILE *f = fopen(path, how);

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A line of `ago` seconds ago. */
static void
line(bool rfc, int ago, const char *text)
{
	char stamp[64], *whole;
	time_t t = time(NULL) - ago;
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(stamp, sizeof(stamp), rfc ? "%Y-%m-%dT%H:%M:%S.123456+00:00" : "%b %e %H:%M:%S", &tm);
	whole = xasprintf("%s mx %s\n", stamp, text);
	put(log_path, "a", whole);
	free(whole);
}

static int
set_up(void **state)
{
	char *path = NULL, *text;

	(void)state;
	dir = fixture_dir();
	snprintf(log_path, sizeof(log_path), "%s/mail.log", dir);
	path = xasprintf("%s/postconf", dir);
	text = xasprintf("#!/bin/sh\necho %s\n", log_path);
	assert_int_equal(str_write_file(path, text, strlen(text), 0755, NULL), 0);
	free(text);
	free(path);
	path = xasprintf("%s:%s", dir, getenv("PATH"));
	setenv("PATH", path, 1);
	free(path);
	plan_init(&plan);
	watch_command(&plan);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	plan_release(&plan);
	setenv("PATH", strchr(getenv("PATH"), ':') + 1, 1);
	fixture_remove(dir);
	free(dir);
	return 0;
}

/* Runs it with this mark and notes the new one; the rest comes back sorted, "; " between. To be freed. */
static char *
counts(const char *with)
{
	char *argv[8] = { NULL }, out[4096], *save = NULL, *mem;
	struct str s = STR_INIT;
	size_t n = 0, have = 0;
	ssize_t got;
	int fd[2], status;
	pid_t pid;

	for (; plan.watch.v[0].argv[n] != NULL; n++) {
		argv[n] = plan.watch.v[0].argv[n];
		assert_null(strpbrk(argv[n], "\n\t"));
	}
	mem = xstrdup(with);
	argv[n] = mem;
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], 1);
		close(fd[0]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(fd[1]);
	while ((got = read(fd[0], out + have, sizeof(out) - 1 - have)) > 0)
		have += (size_t)got;
	close(fd[0]);
	out[have] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	free(mem);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return xstrdup("failed");
	for (char *l = strtok_r(out, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, "mark ", 5) == 0)
			snprintf(mark, sizeof(mark), "%s", l + 5);
		else
			str_addf(&s, "%s%s", s.len > 0 ? "; " : "", l);
	}
	return str_take(&s);
}

static void
are(const char *with, const char *want)
{
	char *have = counts(with);

	assert_string_equal(have, want);
	free(have);
}

static void
what_counts(bool rfc)
{
	put(log_path, "w", "");
	line(rfc, 900, "postfix/smtp[1]: OLD: to=<a@b>, status=deferred (x)");
	line(rfc, 400, "postfix/smtp[1]: OLD: to=<a@b>, status=sent (x)");
	line(rfc, 200, "postfix/smtp[1]: A1: to=<a@b>, relay=none, delay=1, status=deferred (TLS is required, but was not offered)");
	line(rfc, 190, "postfix/error[2]: A1: to=<c@b>, status=deferred (delivery temporarily suspended)");
	line(rfc, 180, "postfix/smtp[1]: A2: to=<a@b>, status=deferred (host x said: 450 4.2.0 Greylisted, see ...)");
	line(rfc, 170, "postfix/smtp[1]: A3: to=<a@b>, status=sent (250 ok)");
	line(rfc, 160, "postfix/local[1]: A4: to=<a@b>, status=sent (delivered to mailbox)");
	line(rfc, 150, "postfix/smtp[1]: A5: to=<a@b>, status=bounced (x)");
	line(rfc, 140, "postfix/submission/smtpd[7]: A6: client=unknown[192.0.2.1], sasl_method=x");
	line(rfc, 130, "postfix/pickup[7]: A7: uid=0 from=<root>");
	line(rfc, 120, "postfix/smtpd[7]: SSL_accept error from x.test[192.0.2.7]: -1");
	line(rfc, 110, "postfix/smtpd[7]: lost connection after STARTTLS from x.test[192.0.2.7]");
	line(rfc, 100, "postfix/smtpd[7]: SSL_accept error from localhost[127.0.0.1]: -1");
	line(rfc, 90, "postfix/mxseal-check/smtpd[7]: SSL_accept error from y.test[192.0.2.9]: -1");
	line(rfc, 85, "trial/smtp[7]: T1: to=<a@b>, status=deferred (x)");
	line(rfc, 80, "dovecot[7]: status=sent status=deferred client=x");
	are("-300", "sent 2; received 2; deferred A1; bounced A5; tls-error x.test[192.0.2.7]");
	are(mark, "sent 0; received 0");
	line(rfc, 0, "postfix/smtp[1]: SSL_connect error to mx.y.test[192.0.2.8]:25: -1");
	line(rfc, 0, "postfix/smtp[1]: B1: to=<a@b>, status=deferred (Cannot start TLS: handshake failure)");
	are(mark, "sent 0; received 0; deferred B1; tls-error mx.y.test[192.0.2.8]");
	are(mark, "sent 0; received 0");
}

static void
both_time_stamps(void **state)
{
	(void)state;
	what_counts(false);
	what_counts(true);
}

static void
rotated_meanwhile(void **state)
{
	char old[600];

	(void)state;
	line(false, 10, "postfix/smtp[1]: A1: to=<a@b>, status=sent (x)");
	are("-300", "sent 1; received 0");
	line(false, 0, "postfix/smtp[1]: A2: to=<a@b>, status=deferred (x)");
	snprintf(old, sizeof(old), "%s.1", log_path);
	assert_int_equal(rename(log_path, old), 0);
	line(false, 0, "postfix/smtp[1]: A3: to=<a@b>, status=sent (x)");
	are(mark, "sent 1; received 0; deferred A2");
	are(mark, "sent 0; received 0");
	/* emptied in place */
	put(log_path, "w", "");
	line(false, 0, "postfix/smtp[1]: A4: to=<a>, status=sent (x)");
	are(mark, "sent 1; received 0");
	are(mark, "sent 0; received 0");
	/* rotated by date, and nothing written since */
	line(false, 0, "postfix/smtp[1]: A5: to=<a@b>, status=bounced (x)");
	snprintf(old, sizeof(old), "%s-20261126", log_path);
	assert_int_equal(rename(log_path, old), 0);
	put(log_path, "w", "");
	are(mark, "sent 0; received 0; bounced A5");
}

static void
hostile_lines(void **state)
{
	(void)state;
	line(false, 1, "postfix/smtp[1]: $(touch x): to=<a>, status=deferred (x)");
	line(false, 1, "postfix/smtp[1]:");
	line(false, 1, "[]");
	put(log_path, "a", "\n\n \377\376\nNov\n");
	line(false, 1, "postfix/smtpd[1]: SSL_accept error from ");
	are("-300", "sent 0; received 0");
	are(mark, "sent 0; received 0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_time_stamps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rotated_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_lines, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
