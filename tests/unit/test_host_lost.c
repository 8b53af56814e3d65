/* What becomes of a connection that dies, hangs or is nobody's, and of tunnels to those who do not answer, over a private sshd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "../../core/host/private.h"
#include "support/fixture.h"
#include "support/logins.h"

static struct sshd server;
static char *dir;

/* --- losses --- */

/* Sets p to the sshd of this very session and q to the shell that it started. */
#define SESSION "p=$$; q=; while ! grep -q '^Name:.sshd' /proc/$p/status; do q=$p; " \
	"p=$(sed -n 's/^PPid:.//p' /proc/$p/status); done; "

static int
pass_over(const char *mem, size_t len, void *arg)
{
	(void)mem, (void)len, (void)arg;
	return 0;
}

static void
a_connection_killed_in_the_middle_is_no_success(void **state)
{
	const char *const stream[] = { "sh", "-c", SESSION "printf 'one\\ntwo\\n'; kill -9 $p; printf three", NULL };
	const struct host_cmd cmd = { "kill", stream };
	struct login l = login_for(&server);
	struct host *h = login_opens(&l);
	struct sections s = { .n = 0 };
	int status = -1;
	struct err e;

	(void)state;
	assert_int_equal(host_stream(h, stream, pass_over, NULL, &status, &e), -1);
	assert_int_equal(e.code, RC_NET);
	assert_non_null(strstr(e.text, "lost"));
	assert_false(host_alive(h));
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_NET);
	host_close(h);
	h = login_opens(&l);
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_NET);
	assert_non_null(strstr(e.text, "lost"));
	assert_false(host_alive(h));
	host_close(h);
	sections_release(&s);
}

static void
a_shell_that_dies_is_no_success(void **state)
{
	const char *const kill_shell[] = { "sh", "-c", SESSION "kill -9 $q; sleep 5", NULL };
	const struct host_cmd cmd = { "kill", kill_shell };
	struct login l = login_for(&server);
	struct host *h = login_opens(&l);
	struct sections s = { .n = 0 };
	struct err e;

	(void)state;
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_NET);
	host_is_root(h);                      /* the connection itself is fine */
	host_close(h);
	sections_release(&s);
}

static void
a_silent_host_is_noticed(void **state)
{
	const char *const freeze[] = { "sh", "-c", SESSION "echo $p >$0; kill -STOP $p; sleep 60", "PATH", NULL };
	char *file = xasprintf("%s/frozen", dir);
	const char *argv[6] = { freeze[0], freeze[1], freeze[2], file, NULL };
	const struct host_cmd cmd = { "freeze", argv };
	struct login l = login_for(&server);
	struct str text = STR_INIT;
	struct sections s = { .n = 0 };
	struct host *h;
	int64_t t;
	struct err e;
	pid_t pid;

	(void)state;
	l.timeout_ms = 1500;
	h = login_opens(&l);
	t = when_monotonic_ms();
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_TIMEOUT);
	assert_in_range(when_monotonic_ms() - t, 4500, 20000);
	assert_false(host_alive(h));
	t = when_monotonic_ms();
	host_close(h);
	assert_in_range(when_monotonic_ms() - t, 0, 10000);
	assert_int_equal(str_read_file(&text, file, 100, NULL), 0);
	pid = (pid_t)strtol(text.s, NULL, 10);
	assert_true(pid > 1);
	kill(pid, SIGKILL);
	sections_release(&s);
	str_release(&text);
	free(file);
}

struct abort_job {
	struct login l;
	bool reading;
	enum err_code code;
};

static int
open_and_hang(struct job_ctx *ctx, void *arg, struct err *e)
{
	const char *const hang[] = { "sleep", "60", NULL };
	const struct host_cmd cmd = { "hang", hang };
	struct sections s = { .n = 0 };
	struct abort_job *a = arg;
	struct host *h;
	int rc;

	if (host_open(&h, &a->l, ctx, NULL, e) < 0)
		return -1;
	job_on_cancel(ctx, host_abort, h);
	job_say(ctx, "reading");
	rc = host_read(h, &cmd, 1, &s, e);
	job_on_cancel(ctx, NULL, NULL);
	sections_release(&s);
	host_close(h);
	return rc;
}

static void
note_reading(const struct job_progress *p, void *arg)
{
	if (strcmp(p->text, "reading") == 0)
		((struct abort_job *)arg)->reading = true;
}

static void
note_code(void *arg, int rc, const struct err *e)
{
	((struct abort_job *)arg)->code = rc < 0 ? e->code : RC_OK;
}

static void
abort_one(struct abort_job *a, bool wait_for_reading)
{
	struct job j = { .title = "hang", .work = open_and_hang, .done = note_code, .arg = a };
	struct jobq *q;
	struct err e;
	int64_t id, t;

	a->reading = false;
	a->code = RC_OK;
	assert_int_equal(jobq_open(&q, 2, &e), 0);
	jobq_on_progress(q, note_reading, a);
	id = jobq_submit(q, &j);
	t = when_monotonic_ms();
	while (wait_for_reading ? !a->reading && jobq_busy(q, id) : when_monotonic_ms() - t < 300) {
		struct timespec ms = { .tv_nsec = 5000000 };

		nanosleep(&ms, NULL);
		jobq_deliver(q);
	}
	t = when_monotonic_ms();
	jobq_cancel(q, id);
	jobq_wait(q, id);
	assert_in_range(when_monotonic_ms() - t, 0, 10000);
	assert_int_equal(a->code, RC_CANCELLED);
	jobq_close(q);
}

static void
a_blocked_call_is_aborted_at_once(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct abort_job job = { .l = login_for(&server) };
	socklen_t len = sizeof(a);
	char target[64];
	int fd;

	(void)state;
	abort_one(&job, true);
	job.l.target = (char *)(uintptr_t)"local:";
	abort_one(&job, true);
	/* somebody listens and says nothing: the handshake hangs */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(target, sizeof(target), "127.0.0.1:%d", ntohs(a.sin_port));
	job.l.target = target;
	abort_one(&job, false);
	close(fd);
}

/* --- tunnels --- */

static void
say_hello(int fd)
{
	char mem[64];
	ssize_t n;
	int c = accept(fd, NULL, NULL);

	assert_true(c >= 0);
	assert_int_equal(write(c, "220 hello\r\n", 11), 11);
	n = read(c, mem, sizeof(mem));
	assert_int_equal(n, 6);
	close(c);
}

static void
tunnel_by(const struct login *l, const char *transport)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct host *h = login_opens(l);
	struct str line = STR_INIT;
	socklen_t len = sizeof(a);
	struct stream *s;
	int fd, port, rc;
	struct err e;

	assert_string_equal(host_transport(h), transport);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	port = ntohs(a.sin_port);
	assert_int_equal(host_tunnel(h, "127.0.0.1", port, 5000, &s, &e), 0);
	assert_int_equal(stream_write(s, "QUIT\r\n", 6, 5000, &e), 0);
	say_hello(fd);
	assert_int_equal(stream_line(s, &line, 512, 5000, &e), 1);
	assert_string_equal(line.s, "220 hello");
	assert_int_equal(stream_line(s, &line, 512, 5000, &e), 0);
	stream_close(s, NULL);
	close(fd);
	/* nobody there: at the opening, or with the ssh program at the first reading */
	rc = host_tunnel(h, "127.0.0.1", port, 5000, &s, &e);
	if (rc == 0) {
		assert_int_equal(stream_line(s, &line, 512, 5000, &e), -1);
		stream_close(s, NULL);
	}
	assert_int_equal(e.code, RC_NET);
	assert_int_equal(host_tunnel(h, "-oProxyCommand=x", 25, 5000, &s, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	host_is_root(h);
	host_close(h);
	str_release(&line);
}

static void
tunnels(void **state)
{
	struct login l = login_for(&server), here = { .target = (char *)(uintptr_t)"local:" };

	(void)state;
	tunnel_by(&here, "local");
	tunnel_by(&l, "libssh2");
	sshd_config(&server, "user_ed25519", NULL, SSHD_BY_PROXY);
	tunnel_by(&l, "openssh");
	sshd_config(&server, "user_ed25519", NULL, NULL);
}

/* A listener whose queue is full swallows what comes: an address that does not answer. */
static void
a_dead_address_holds_nobody_up(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct login l = login_for(&server);
	struct host *h = login_opens(&l);
	int fd, fill[8], i;
	socklen_t len = sizeof(a);
	struct stream *s;
	int64_t t;
	struct err e;

	(void)state;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	for (i = 0; i < 8; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(fill[i], (struct sockaddr *)&a, sizeof(a));
	}
	host_is_root(h);
	t = when_monotonic_ms();
	assert_int_equal(host_tunnel(h, "127.0.0.1", ntohs(a.sin_port), 400, &s, &e), -1);
	assert_int_equal(e.code, RC_TIMEOUT);
	assert_in_range(when_monotonic_ms() - t, 390, 10000);
	for (i = 0; i < 6; i++) {                         /* more of them than there may be connections */
		assert_int_equal(host_tunnel(h, "127.0.0.1", ntohs(a.sin_port), 100, &s, &e), -1);
		assert_non_null(strstr(e.text, "does not answer"));
	}
	assert_true(host_alive(h));
	host_is_root(h);                                  /* the shell that was open */
	t = when_monotonic_ms();
	assert_int_equal(host_tunnel(h, "127.0.0.1", server.port, 5000, &s, &e), 0);    /* and a new channel */
	assert_in_range(when_monotonic_ms() - t, 0, 4900);
	stream_close(s, NULL);
	host_close(h);
	for (i = 0; i < 8; i++)
		close(fill[i]);
	close(fd);
}

/* A listener in a process of its own that sends text again and again, or once and is silent when pause_ms is 0. */
static pid_t
talker(const char *text, int pause_ms, char target[64])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), c;
	socklen_t len = sizeof(a);
	pid_t pid;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(target, 64, "root@127.0.0.1:%d", ntohs(a.sin_port));
	pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		while ((c = accept(fd, NULL, NULL)) >= 0) {
			while (send(c, text, strlen(text), MSG_NOSIGNAL) >= 0 && pause_ms > 0)
				usleep((useconds_t)pause_ms * 1000);
			while (pause_ms == 0 && recv(c, &a, 1, 0) > 0)
				;
			close(c);
		}
		_exit(0);
	}
	close(fd);
	return pid;
}

static void
must_give_up(const char *text, int pause_ms, enum err_code code, const char *word)
{
	char target[64];
	struct login l = { .target = target, .ssh_config = server.config, .timeout_ms = 1000 };
	pid_t pid = talker(text, pause_ms, target);
	int64_t t = when_monotonic_ms();

	login_fails(&l, code, word);
	assert_in_range(when_monotonic_ms() - t, 0, 15000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
a_port_that_is_no_sshd(void **state)
{
	struct login l = { .target = (char *)(uintptr_t)"root@127.0.0.1:1", .ssh_config = server.config };

	(void)state;
	login_fails(&l, RC_NET, "refused");
	must_give_up("", 0, RC_TIMEOUT, "says nothing");
	must_give_up("220 mx1 ESMTP\r\n", 0, RC_NET, "no SSH server: it says \"220 mx1 ESMTP\"");
	must_give_up("HTTP/1.1 400 \033[31mno\r\n", 0, RC_NET, "<1B>");
	must_give_up("SSH-2.0-dead\r\n", 0, RC_TIMEOUT, "does not finish");
}

/* The deadline is one for the whole handshake, not for each piece of it. */
static void
one_that_talks_for_ever_holds_nobody_up(void **state)
{
	(void)state;
	must_give_up("x", 100, RC_NET, "no SSH server");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_killed_in_the_middle_is_no_success),
		cmocka_unit_test(a_shell_that_dies_is_no_success),
		cmocka_unit_test(a_silent_host_is_noticed),
		cmocka_unit_test(a_blocked_call_is_aborted_at_once),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(a_dead_address_holds_nobody_up),
		cmocka_unit_test(a_port_that_is_no_sshd),
		cmocka_unit_test(one_that_talks_for_ever_holds_nobody_up),
	};
	int rc;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	sshd_run("cd %s && for k in host user; do ssh-keygen -q -t ed25519 -N '' -C '' -f ${k}_ed25519; done && cp user_ed25519.pub authorized_keys", dir);
	sshd_start(&server, dir, "host_ed25519", NULL);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	sshd_stop(&server);
	fixture_remove(dir);
	free(dir);
	return rc;
}
