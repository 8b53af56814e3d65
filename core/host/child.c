/* Programs of this machine as streams: sh for "local:", the user's own ssh. Started without a shell, with only three
 * descriptors, in a session of their own, so that they can neither read our terminal nor be hit by its Ctrl-C. Standard
 * input is a socket, which spares everybody SIGPIPE. Closing the stream ends the program: end of input, a second of
 * patience, TERM, KILL. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

extern char **environ;

struct child {
	struct stream s;
	pid_t pid;
	int in, out, err;        /* -1: closed */
	int cancel_fd;
	int lost_status;
	bool eof, any;           /* any: it has said something */
	char name[128];
};

static void
fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Takes what is there on standard error. True when errors grew. */
static bool
child_errors(struct child *c)
{
	char mem[4096];
	bool grew = false;
	ssize_t n;

	while (c->err >= 0 && (n = read(c->err, mem, sizeof(mem))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return grew;
		if (n < 0)
			break;
		str_addn(&c->s.errors, mem, (size_t)n);
		grew = true;
	}
	fd_drop(&c->err);
	return grew;
}

/* Waits for fd, taking errors on the way. 1 ready, 0 errors grew, -1 with e. */
static int
child_wait(struct child *c, int fd, short events, int64_t until, struct err *e)
{
	struct pollfd p[3];
	int64_t left;
	int rc;

	for (;;) {
		p[0] = (struct pollfd){ .fd = fd, .events = events };
		p[1] = (struct pollfd){ .fd = c->cancel_fd, .events = POLLIN };
		p[2] = (struct pollfd){ .fd = c->err, .events = POLLIN };
		left = until - when_monotonic_ms();
		rc = poll(p, 3, left > 0 ? (int)left : 0);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return err_set(e, RC_IO, "waiting for %s failed: %s", c->name, strerror(errno));
		if (p[1].revents != 0)
			return err_set(e, RC_CANCELLED, "given up on request");
		if (p[2].revents != 0 && child_errors(c))
			return 0;
		if (p[0].revents != 0)
			return 1;
		if (left <= 0)
			return err_set(e, RC_TIMEOUT, "%s did not answer in time", c->name);
	}
}

static ssize_t
child_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct child *c = (struct child *)s;
	int64_t until = when_monotonic_ms() + timeout_ms;
	ssize_t got;
	int rc;

	for (;;) {
		got = read(c->out, mem, n);
		c->any = c->any || got > 0;
		if (got > 0)
			return got;
		if (got == 0) {
			/* its last words usually arrive with the end of its output; something it left behind may hold the pipe open */
			for (until = when_monotonic_ms() + 200; c->err >= 0 && child_wait(c, -1, 0, until, NULL) == 0;)
				;
			c->eof = true;
			if (!c->any && c->lost_status >= 0 && s->errors.len > 0)
				return err_set(e, RC_NET, "%s: %s", c->name, clean(text_trim(s->errors.s)));
			return 0;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return err_set(e, RC_IO, "reading from %s failed: %s", c->name, strerror(errno));
		rc = child_wait(c, c->out, POLLIN, until, e);
		if (rc < 0)
			return -1;
		if (rc == 0 && s->errors_wake)
			return err_set(e, RC_FINDINGS, "%s wrote to its standard error", c->name);
	}
}

static int
child_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct child *c = (struct child *)s;
	int64_t until = when_monotonic_ms() + timeout_ms;
	const char *p = mem;
	ssize_t put;

	while (n > 0) {
		put = c->in < 0 ? (errno = EPIPE, -1) : send(c->in, p, n, MSG_NOSIGNAL);
		if (put >= 0) {
			p += put;
			n -= (size_t)put;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return err_set(e, RC_NET, "%s takes no more: %s", c->name, strerror(errno));
		if (child_wait(c, c->in, POLLOUT, until, e) < 0)
			return -1;
	}
	return 0;
}

static int
child_shut(struct stream *s, struct err *e)
{
	(void)e;
	fd_drop(&((struct child *)s)->in);
	return 0;
}

static void
signal_word(char *out, size_t size, int sig)
{
	static const struct { int sig; const char *word; } words[] = {
		{ SIGTERM, "TERM" }, { SIGKILL, "KILL" }, { SIGINT, "INT" }, { SIGHUP, "HUP" }, { SIGPIPE, "PIPE" },
		{ SIGSEGV, "SEGV" }, { SIGABRT, "ABRT" }, { SIGBUS, "BUS" }, { SIGXCPU, "XCPU" },
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].sig == sig) {
			snprintf(out, size, "%s", words[i].word);
			return;
		}
	snprintf(out, size, "%d", sig);
}

/* Waits for the end of the program at most ms. */
static bool
child_ended(const struct child *c, int *status, int ms)
{
	int64_t until = when_monotonic_ms() + ms;
	pid_t rc;

	for (;;) {
		rc = waitpid(c->pid, status, WNOHANG);
		if (rc == c->pid || (rc < 0 && errno != EINTR))
			return true;
		if (when_monotonic_ms() >= until)
			return false;
		poll(NULL, 0, 2);
	}
}

static void
child_close(struct stream *s, struct stream_end *end)
{
	struct child *c = (struct child *)s;
	int status = -1;

	fd_drop(&c->in);
	if (!c->eof)
		fd_drop(&c->out);         /* nobody reads any more: its next write ends it */
	if (!child_ended(c, &status, c->eof ? 1000 : 200)) {
		kill(-c->pid, SIGTERM);
		if (!child_ended(c, &status, 500)) {
			kill(-c->pid, SIGKILL);
			while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
				;
		}
	}
	if (end != NULL) {
		*end = (struct stream_end){ .closed = c->eof };
		if (WIFEXITED(status))
			end->status = WEXITSTATUS(status);
		else if (WIFSIGNALED(status))
			signal_word(end->signal, sizeof(end->signal), WTERMSIG(status));
		if (WIFEXITED(status) && end->status == c->lost_status)
			end->closed = false;
	}
	fd_drop(&c->out);
	fd_drop(&c->err);
	str_release(&c->s.errors);
	free(c);
}

static const struct stream_ops child_ops = {
	.read = child_read, .write = child_write, .shut = child_shut, .close = child_close
};

/* A pair of descriptors above 2 that no other program inherits. */
static int
pair_open(int fd[2], bool is_socket)
{
	int i, high;

	if ((is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) : pipe2(fd, O_CLOEXEC)) < 0) {
		fd[0] = fd[1] = -1;
		return -1;
	}
	for (i = 0; i < 2; i++) {
		if (fd[i] > 2)
			continue;
		high = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);
		close(fd[i]);
		fd[i] = high;
		if (high < 0)
			return -1;
	}
	return 0;
}

static char **
env_with(const char *const add[])
{
	size_t n = 0, m = 0, i, kept = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	while (add != NULL && add[m] != NULL)
		m++;
	env = xcalloc(n + m + 1, sizeof(*env));
	for (i = 0; i < n; i++)
		env[kept++] = environ[i];
	for (i = 0; i < m; i++) {
		size_t len = strcspn(add[i], "=") + 1, k;

		for (k = 0; k < kept && strncmp(env[k], add[i], len) != 0; k++)
			;
		env[k] = (char *)(uintptr_t)add[i];
		if (k == kept)
			kept++;
	}
	return env;
}

static int
child_spawn(pid_t *pid, const char *const argv[], const char *const env[], int in, int out, int err)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, all;
	char **environment = env_with(env);
	int rc;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&at);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	posix_spawn_file_actions_adddup2(&fa, err, 2);
	posix_spawnattr_setsigmask(&at, &none);          /* workers block all signals; the program shall not */
	posix_spawnattr_setsigdefault(&at, &all);
	posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	rc = posix_spawnp(pid, argv[0], &fa, &at, (char *const *)(uintptr_t)argv, environment);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&at);
	free(environment);
	return rc;
}

int
child_open(struct stream **out, const char *const argv[], const char *const env[], int cancel_fd, int lost_status,
    struct err *e)
{
	int in[2] = { -1, -1 }, o[2] = { -1, -1 }, er[2] = { -1, -1 }, rc;
	struct child *c;
	pid_t pid;

	*out = NULL;
	if (pair_open(in, true) < 0 || pair_open(o, false) < 0 || pair_open(er, false) < 0)
		rc = errno;
	else
		rc = child_spawn(&pid, argv, env, in[0], o[1], er[1]);
	fd_drop(&in[0]);
	fd_drop(&o[1]);
	fd_drop(&er[1]);
	if (rc != 0) {
		fd_drop(&in[1]);
		fd_drop(&o[0]);
		fd_drop(&er[0]);
		return err_set(e, RC_IO, "the program %s cannot be started: %s", clean(argv[0]), strerror(rc));
	}
	c = xcalloc(1, sizeof(*c));
	c->s.ops = &child_ops;
	str_init(&c->s.errors, HOST_ERRORS_MAX);
	c->pid = pid;
	c->in = in[1];
	c->out = o[0];
	c->err = er[0];
	c->cancel_fd = cancel_fd;
	c->lost_status = lost_status;
	snprintf(c->name, sizeof(c->name), "%s", argv[0]);
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	fcntl(c->err, F_SETFL, O_NONBLOCK);
	*out = &c->s;
	return 0;
}

void
child_rename(struct stream *s, const char *name)
{
	struct child *c = (struct child *)s;

	snprintf(c->name, sizeof(c->name), "%s", name);
}

int
child_run(const char *const argv[], struct str *out, struct str *errors, int *status, int timeout_ms, int cancel_fd,
    struct err *e)
{
	int64_t until = when_monotonic_ms() + timeout_ms, left;
	struct stream *s;
	struct stream_end end;
	char mem[8192];
	ssize_t n;

	if (child_open(&s, argv, NULL, cancel_fd, -1, e) < 0)
		return -1;
	stream_shut(s, NULL);
	do {
		left = until - when_monotonic_ms();
		n = stream_read(s, mem, sizeof(mem), left > 0 ? (int)left : 0, e);
		if (n > 0)
			str_addn(out, mem, (size_t)n);
	} while (n > 0);
	if (errors != NULL)
		str_addn(errors, s->errors.s, s->errors.len);
	stream_close(s, &end);
	*status = end.signal[0] != '\0' ? 128 : end.status;
	return n < 0 ? -1 : 0;
}

bool
child_exists(const char *name)
{
	const char *path = getenv("PATH"), *p, *stop;
	char file[4096];

	for (p = path != NULL ? path : "/usr/bin:/bin"; *p != '\0'; p = *stop == ':' ? stop + 1 : stop) {
		stop = strchrnul(p, ':');
		snprintf(file, sizeof(file), "%.*s/%s", (int)(stop - p), p, name);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}
