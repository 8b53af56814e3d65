/* Logins, readings, tunnels and losses over a private sshd: what works by libssh2, what goes by the ssh program, and what
 * becomes of a connection that dies. */
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

#include "mxseal/host.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "../../core/host/private.h"
#include "support/fixture.h"
#include "support/sshd.h"

/* libssh2 1.10 loses two numbers of each ECDSA key that it reads from a file. To tell this from our own leaks, AddressSanitizer
 * must see through libraries without frame pointers. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *
__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

const char *
__lsan_default_suppressions(void)
{
	return "leak:libssh2_userauth_publickey_fromfile_ex\n";
}

static struct sshd server;
static char *dir;

/* --- small helpers --- */

static struct login
login_for(const struct sshd *s)
{
	return (struct login){ .target = (char *)s->target, .ssh_config = (char *)s->config };
}

/* Opens, and says what went wrong when it does. */
static struct host *
must_open(const struct login *l)
{
	struct err e = { .code = RC_OK };
	struct host *h = NULL;

	if (host_open(&h, l, NULL, NULL, &e) < 0)
		fail_msg("%s: %s (%s)", err_name(e.code), e.text, e.hint);
	return h;
}

static void
must_fail(const struct login *l, enum err_code code, const char *word)
{
	struct err e = { .code = RC_OK };
	struct host *h = NULL;

	assert_int_equal(host_open(&h, l, NULL, NULL, &e), -1);
	if (e.code != code || strstr(e.text, word) == NULL)
		fail_msg("wanted %s with \"%s\", got %s: %s", err_name(code), word, err_name(e.code), e.text);
	assert_null(h);
}

static void
must_be_root(struct host *h)
{
	const char *const id[] = { "id", "-u", NULL };
	const struct host_cmd cmd = { "id", id };
	struct sections s = { .n = 0 };
	struct err e;

	assert_int_equal(host_read(h, &cmd, 1, &s, &e), 0);
	assert_string_equal(section_text(&s, "id"), "0\n");
	sections_release(&s);
}

static void
opens_by(const struct login *l, const char *transport)
{
	struct host *h = must_open(l);

	if (strcmp(host_transport(h), transport) != 0)
		fail_msg("went by %s: %s", host_transport(h), host_transport_why(h) ? host_transport_why(h) : "-");
	assert_true((host_transport_why(h) == NULL) == (strcmp(transport, "libssh2") == 0));
	must_be_root(h);
	assert_true(host_alive(h));
	host_close(h);
}

static void
with_key(const char *identity, const char *transport)
{
	struct login l = login_for(&server);

	sshd_config(&server, identity, NULL, NULL);
	opens_by(&l, transport);
}

/* --- keys --- */

static void
key_files(void **state)
{
	struct login l = login_for(&server);
	char *path = xasprintf("%s/user_rsa", dir);

	(void)state;
	with_key("user_ed25519", "libssh2");
	with_key("user_ecdsa", "libssh2");
	with_key("user_rsa", "libssh2");
	with_key("user_rsa_pem", "libssh2");
	sshd_config(&server, "other", NULL, NULL);
	l.identity = path;                    /* named for the server: the configured one does not matter */
	opens_by(&l, "libssh2");
	free(path);
}

static void
refused_and_unusable_keys(void **state)
{
	struct login l = login_for(&server);
	char *path = xasprintf("%s/loose", dir);

	(void)state;
	sshd_config(&server, "other", NULL, NULL);
	must_fail(&l, RC_AUTH, "other refused");
	sshd_run("cp %s/user_ed25519 %s && chmod 644 %s", dir, path, path);
	l.identity = path;
	must_fail(&l, RC_AUTH, "may be read by others");
	sshd_run("head -c 200 %s/user_ed25519 >%s && chmod 600 %s", dir, path, path);
	must_fail(&l, RC_AUTH, "cut off");
	sshd_run("echo hello >%s", path);
	must_fail(&l, RC_AUTH, "no private key");
	l.identity = (char *)(uintptr_t)"/nonexistent/key";
	must_fail(&l, RC_AUTH, "/nonexistent/key");
	free(path);
}

static void
encrypted_keys(void **state)
{
	static const struct { const char *key, *transport; } keys[] = {
		{ "user_enc", "libssh2" }, { "user_rsa_pem_enc", "libssh2" }, { "user_rsa_enc", "openssh" },
	};
	struct login l = login_for(&server);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		sshd_config(&server, keys[i].key, NULL, NULL);
		must_fail(&l, RC_PASSWORD, keys[i].key);
		secret_set(&l.password, "wrong!", 6);
		must_fail(&l, RC_AUTH, "passphrase");
		secret_set(&l.password, "sealed", 6);
		opens_by(&l, keys[i].transport);
		secret_release(&l.password);
	}
	/* nobody is asked for the passphrase of a key that does not open this door */
	sshd_run("cd %s && ssh-keygen -q -t ed25519 -N sealed -f stranger", dir);
	sshd_config(&server, "stranger", NULL, NULL);
	must_fail(&l, RC_AUTH, "stranger refused");
}

static void
agent_keys(void **state)
{
	char *sock = xasprintf("%s/agent", dir), *said = xasprintf("%s/agent.said", dir);
	struct login l = login_for(&server);
	struct str text = STR_INIT;
	pid_t pid;

	(void)state;
	sshd_run("ssh-agent -s -a %s >%s", sock, said);
	assert_int_equal(str_read_file(&text, said, 65536, NULL), 0);
	pid = (pid_t)strtol(strstr(text.s, "SSH_AGENT_PID=") + 14, NULL, 10);
	sshd_config(&server, NULL, sock, "IdentityFile none");
	must_fail(&l, RC_AUTH, "no key");
	sshd_run("SSH_AUTH_SOCK=%s ssh-add -q %s/other %s/user_rsa", sock, dir, dir);
	opens_by(&l, "libssh2");
	sshd_run("SSH_AUTH_SOCK=%s ssh-add -q -D 2>/dev/null && SSH_AUTH_SOCK=%s ssh-add -q %s/user_ed25519", sock, sock, dir);
	opens_by(&l, "libssh2");
	/* the agent has the other half of a public key */
	sshd_run("cp %s/user_ed25519.pub %s/half.pub", dir, dir);
	sshd_config(&server, "half.pub", sock, NULL);
	opens_by(&l, "libssh2");
	/* an agent that is full of others: the configured key comes first */
	sshd_run("cd %s && for i in 1 2 3 4 5 6 7; do ssh-keygen -q -t ed25519 -N '' -f many$i && "
	    "SSH_AUTH_SOCK=%s ssh-add -q many$i; done", dir, sock);
	sshd_config(&server, "user_ed25519", sock, NULL);
	opens_by(&l, "libssh2");
	kill(pid, SIGTERM);
	free(sock);
	free(said);
	str_release(&text);
}

/* --- what libssh2 cannot --- */

static void
other_server(const char *name, const char *keys, const char *extra, const char *why)
{
	char *d = xasprintf("%s/%s", dir, name);
	struct login l;
	struct host *h;
	struct sshd s;

	sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s", d, dir, dir, dir, d);
	sshd_start(&s, d, keys, extra);
	l = login_for(&s);
	h = must_open(&l);
	assert_string_equal(host_transport(h), "openssh");
	if (strstr(host_transport_why(h), why) == NULL)
		fail_msg("why: %s", host_transport_why(h));
	must_be_root(h);
	host_close(h);
	if (strcmp(keys, "host_ed25519") == 0) {        /* also there no key is believed unseen */
		sshd_known(&s, "unrelated", "host_ed25519", NULL);
		must_fail(&l, RC_HOSTKEY_NEW, "SHA256:");
		sshd_known(&s, "[127.0.0.1]:*", "user_ed25519", NULL);
		must_fail(&l, RC_HOSTKEY, "another host key");
		sshd_known(&s, "[127.0.0.1]:*", "host_ed25519", "@revoked *", "host_ed25519", NULL);
		must_fail(&l, RC_HOSTKEY, "revoked");
	}
	sshd_stop(&s);
	free(d);
}

static void
hardened_servers_go_by_ssh(void **state)
{
	(void)state;
	other_server("hard", "host_ed25519", "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com\n"
	    "MACs hmac-sha2-512-etm@openssh.com", "cipher algorithms are only chacha20-poly1305@openssh.com");
	other_server("etm", "host_ed25519", "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com",
	    "MAC algorithms are only hmac-sha2-512-etm@openssh.com");
	other_server("rsaonly", "host_rsa", "", "ssh-rsa");
}

/* --- readings --- */

static void
readings(struct host *h)
{
	const char *const out[] = { "printf", "%s\\n#= 0 not the end\\n#+ x 0 3\\n", "a 'b' \"$c\" `d` \\", NULL };
	const char *const both[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	const char *const none[] = { "no-such-command-here", NULL };
	const char *const stdin_is_empty[] = { "cat", NULL };
	const struct host_cmd cmds[] = { { "out", out }, { "both", both }, { "none", none }, { "cat", stdin_is_empty } };
	struct sections s = { .n = 0 };
	struct err e;

	assert_int_equal(host_read(h, cmds, 4, &s, &e), 0);
	assert_int_equal(s.n, 4);
	assert_string_equal(section_text(&s, "out"), "a 'b' \"$c\" `d` \\\n#= 0 not the end\n#+ x 0 3\n");
	assert_int_equal(section_find(&s, "both")->status, 3);
	assert_null(section_text(&s, "both"));
	assert_string_equal(section_find(&s, "both")->text.s, "out\nerr\n");
	assert_int_equal(section_find(&s, "none")->status, 127);
	assert_string_equal(section_text(&s, "cat"), "");
	assert_null(section_find(&s, "nobody"));
	sections_release(&s);
}

static int
count(const char *mem, size_t len, void *arg)
{
	size_t *sum = arg, i;

	for (i = 0; i < len; i += 4096)
		sum[1] += (unsigned char)mem[i];
	sum[0] += len;
	return 0;
}

static int
stop_early(const char *mem, size_t len, void *arg)
{
	(void)mem;
	*(size_t *)arg += len;
	return -1;
}

static void
streams(struct host *h)
{
	const char *const big[] = { "head", "-c", "100000000", "/dev/zero", NULL };
	const char *const tricky[] = { "sh", "-c", "printf 'x\\n#= 0 \\n'; exit 7", NULL };
	const char *const quiet[] = { "true", NULL };
	size_t sum[2] = { 0, 0 };
	int status = -1;
	struct err e;

	assert_int_equal(host_stream(h, big, count, sum, &status, &e), 0);
	assert_int_equal(sum[0], 100000000);
	assert_int_equal(status, 0);
	sum[0] = 0;
	assert_int_equal(host_stream(h, tricky, count, sum, &status, &e), 0);
	assert_int_equal(sum[0], 8);
	assert_int_equal(status, 7);
	sum[0] = 0;
	assert_int_equal(host_stream(h, quiet, count, sum, &status, &e), 0);
	assert_int_equal(sum[0], 0);
	assert_int_equal(host_stream(h, big, stop_early, sum, &status, &e), -1);
	assert_int_equal(e.code, RC_CANCELLED);
	assert_true(host_alive(h));
	must_be_root(h);
}

static void
too_much_is_refused(struct host *h)
{
	const char *const big[] = { "head", "-c", "9000000", "/dev/zero", NULL };
	const char *const text[] = { "sh", "-c", "yes | head -c 9000000", NULL };
	const char *const lines[] = { "echo", "a\nb", NULL };
	const struct host_cmd cmd = { "big", text }, odd = { "odd", lines };
	struct sections s = { .n = 0 };
	struct err e;

	(void)big;
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_LIMIT);
	assert_int_equal(host_read(h, &odd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	sections_release(&s);
	assert_true(host_alive(h));
	must_be_root(h);
}

static void
by_every_transport(void **state)
{
	struct login l = login_for(&server), here = { .target = (char *)(uintptr_t)"local:" };
	struct host *h;

	(void)state;
	sshd_config(&server, "user_ed25519", NULL, NULL);
	h = must_open(&l);
	assert_string_equal(host_address(h), "127.0.0.1");
	readings(h);
	streams(h);
	too_much_is_refused(h);
	host_close(h);
	h = must_open(&here);
	assert_string_equal(host_transport(h), "local");
	readings(h);
	streams(h);
	too_much_is_refused(h);
	host_close(h);
	sshd_config(&server, "user_ed25519", NULL, "ProxyCommand bash -c 'exec 3<>/dev/tcp/127.0.0.1/%p; cat <&3 & cat >&3; kill %%1'");
	h = must_open(&l);
	assert_string_equal(host_transport(h), "openssh");
	readings(h);
	streams(h);
	too_much_is_refused(h);
	host_close(h);
	sshd_config(&server, "user_ed25519", NULL, NULL);
}

static void
a_script_cut_off_runs_nothing(void **state)
{
	struct login l = login_for(&server);
	char *mark = xasprintf("%s/ran", dir), *script = xasprintf("touch %s\ntouch %s.2\n#mxseal end\n", mark, mark);
	size_t len = strlen(script), cut;
	struct host *h = must_open(&l);
	struct stream_end end;
	struct str command = STR_INIT;
	struct stream *s;
	struct err e;
	char c;

	(void)state;
	str_addf(&command, HOST_SHELL, "", len);
	for (cut = 8; cut <= len; cut += cut + 7 > len && cut < len ? len - cut : 7) {
		assert_int_equal(h->ops->exec(h, command.s, &s, &e), 0);
		assert_int_equal(stream_write(s, script, cut, 5000, &e), 0);
		assert_int_equal(stream_shut(s, &e), 0);
		while (stream_read(s, &c, 1, 5000, &e) > 0)
			;
		stream_close(s, &end);
		assert_true(end.closed);
		assert_int_equal(end.status, cut < len - 1 ? 97 : 0);
		assert_int_equal(access(mark, F_OK), cut < len - 1 ? -1 : 0);
	}
	str_release(&command);
	host_close(h);
	free(mark);
	free(script);
}

/* --- losses --- */

/* Sets p to the sshd of this very session and q to the shell that it started. */
#define SESSION "p=$$; q=; while ! grep -q '^Name:.sshd' /proc/$p/status; do q=$p; " \
	"p=$(sed -n 's/^PPid:.//p' /proc/$p/status); done; "

static void
a_connection_killed_in_the_middle_is_no_success(void **state)
{
	const char *const stream[] = { "sh", "-c", SESSION "printf 'one\\ntwo\\n'; kill -9 $p; printf three", NULL };
	const struct host_cmd cmd = { "kill", stream };
	struct login l = login_for(&server);
	struct host *h = must_open(&l);
	struct sections s = { .n = 0 };
	size_t sum[2] = { 0, 0 };
	int status = -1;
	struct err e;

	(void)state;
	assert_int_equal(host_stream(h, stream, count, sum, &status, &e), -1);
	assert_int_equal(e.code, RC_NET);
	assert_non_null(strstr(e.text, "lost"));
	assert_false(host_alive(h));
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_NET);
	host_close(h);
	h = must_open(&l);
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
	struct host *h = must_open(&l);
	struct sections s = { .n = 0 };
	struct err e;

	(void)state;
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_NET);
	must_be_root(h);                      /* the connection itself is fine */
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
	l.timeout_ms = 700;
	h = must_open(&l);
	t = when_monotonic_ms();
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_TIMEOUT);
	assert_in_range(when_monotonic_ms() - t, 2500, 6000);
	assert_false(host_alive(h));
	t = when_monotonic_ms();
	host_close(h);
	assert_in_range(when_monotonic_ms() - t, 0, 1500);
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
	assert_in_range(when_monotonic_ms() - t, 0, 1000);
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
	struct host *h = must_open(l);
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
	must_be_root(h);
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
	sshd_config(&server, "user_ed25519", NULL, "ProxyCommand bash -c 'exec 3<>/dev/tcp/127.0.0.1/%p; cat <&3 & cat >&3; kill %%1'");
	tunnel_by(&l, "openssh");
	sshd_config(&server, "user_ed25519", NULL, NULL);
}

/* A listener whose queue is full swallows what comes: an address that does not answer. */
static void
a_dead_address_holds_nobody_up(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct login l = login_for(&server);
	struct host *h = must_open(&l);
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
	must_be_root(h);
	t = when_monotonic_ms();
	assert_int_equal(host_tunnel(h, "127.0.0.1", ntohs(a.sin_port), 400, &s, &e), -1);
	assert_int_equal(e.code, RC_TIMEOUT);
	assert_in_range(when_monotonic_ms() - t, 390, 1500);
	for (i = 0; i < 6; i++) {                         /* more of them than there may be connections */
		assert_int_equal(host_tunnel(h, "127.0.0.1", ntohs(a.sin_port), 100, &s, &e), -1);
		assert_non_null(strstr(e.text, "does not answer"));
	}
	assert_true(host_alive(h));
	must_be_root(h);                                  /* the shell that was open */
	t = when_monotonic_ms();
	assert_int_equal(host_tunnel(h, "127.0.0.1", server.port, 5000, &s, &e), 0);    /* and a new channel */
	assert_in_range(when_monotonic_ms() - t, 0, 3000);
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

	must_fail(&l, code, word);
	assert_in_range(when_monotonic_ms() - t, 0, 4000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
a_port_that_is_no_sshd(void **state)
{
	struct login l = { .target = (char *)(uintptr_t)"root@127.0.0.1:1", .ssh_config = server.config };

	(void)state;
	must_fail(&l, RC_NET, "refused");
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

/* A profile may print, also without end; a password that never comes is another test. */
static void
a_profile_that_prints(void **state)
{
	char *d = xasprintf("%s/noisy", dir);
	struct login l;
	struct err e = { .code = RC_OK };
	struct host *h;
	struct sshd s;
	int64_t t;

	(void)state;
	sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s", d, dir, dir, dir, d);
	sshd_start(&s, d, "host_ed25519", "ForceCommand echo welcome; printf '#+ x 0 3'; echo; eval \"$SSH_ORIGINAL_COMMAND\"");
	l = login_for(&s);
	opens_by(&l, "libssh2");
	sshd_stop(&s);
	sshd_start(&s, d, "host_ed25519", "ForceCommand yes welcome");
	l = login_for(&s);
	t = when_monotonic_ms();
	assert_int_equal(host_open(&h, &l, NULL, NULL, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_non_null(strstr(e.text, "stop talking"));
	assert_in_range(when_monotonic_ms() - t, 0, 10000);
	sshd_stop(&s);
	free(d);
}

/* What an authority of known_hosts vouches for is known, as to ssh; what it does not is judged like any other key. */
static void
host_certificates_go_by_ssh(void **state)
{
	char *d = xasprintf("%s/certified", dir), *certificate = xasprintf("HostCertificate %s/host_ed25519-cert.pub", d);
	struct hostkey key;
	struct login l;
	struct err e;
	struct sshd s;

	(void)state;
	sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s/other* %s && cd %s && "
	    "ssh-keygen -q -s other -I test -h -n 127.0.0.1 host_ed25519.pub", d, dir, dir, dir, dir, d, d);
	sshd_start(&s, d, "host_ed25519", NULL);
	l = login_for(&s);
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "other", NULL);
	assert_int_equal(host_key_look(&l, NULL, &key, &e), 0);      /* it shows no certificate */
	assert_int_equal(key.verdict, HOSTKEY_NEW);
	hostkey_release(&key);
	sshd_stop(&s);
	sshd_start(&s, d, "host_ed25519", certificate);
	l = login_for(&s);
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "other", NULL);
	assert_int_equal(host_key_look(&l, NULL, &key, &e), 0);
	assert_int_equal(key.verdict, HOSTKEY_OK);
	assert_true(text_starts(key.fingerprint, "SHA256:"));
	hostkey_release(&key);
	opens_by(&l, "openssh");
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "user_ed25519", NULL);      /* not this authority */
	must_fail(&l, RC_HOSTKEY_NEW, "not known");
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "other", "@revoked *", "host_ed25519", NULL);
	must_fail(&l, RC_HOSTKEY, "revoked");
	sshd_stop(&s);
	free(certificate);
	free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_files),
		cmocka_unit_test(refused_and_unusable_keys),
		cmocka_unit_test(encrypted_keys),
		cmocka_unit_test(agent_keys),
		cmocka_unit_test(hardened_servers_go_by_ssh),
		cmocka_unit_test(by_every_transport),
		cmocka_unit_test(a_script_cut_off_runs_nothing),
		cmocka_unit_test(a_connection_killed_in_the_middle_is_no_success),
		cmocka_unit_test(a_shell_that_dies_is_no_success),
		cmocka_unit_test(a_silent_host_is_noticed),
		cmocka_unit_test(a_blocked_call_is_aborted_at_once),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(a_dead_address_holds_nobody_up),
		cmocka_unit_test(a_port_that_is_no_sshd),
		cmocka_unit_test(one_that_talks_for_ever_holds_nobody_up),
		cmocka_unit_test(a_profile_that_prints),
		cmocka_unit_test(host_certificates_go_by_ssh),
	};
	int rc;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	sshd_make_keys(dir);
	sshd_start(&server, dir, "host_ed25519 host_ecdsa host_rsa", NULL);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	sshd_stop(&server);
	fixture_remove(dir);
	free(dir);
	return rc;
}
