/* Streams with deadlines: the part that is the same for all of them (lines, peeked bytes), and those over descriptors of this
 * machine: TCP sockets and pipes. What can fail is the other side: it says nothing (RC_TIMEOUT), is gone (RC_NET), or the
 * person lost patience (RC_CANCELLED). Name look-up goes through getaddrinfo() and has only the resolver's own deadline. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/stream.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

ssize_t
stream_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	size_t have = s->peek_len - s->peek_at;

	if (have > 0) {
		if (n > have)
			n = have;
		memcpy(mem, s->peek + s->peek_at, n);
		s->peek_at += n;
		return (ssize_t)n;
	}
	return s->ops->read(s, mem, n, timeout_ms, e);
}

int
stream_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e)
{
	return n == 0 ? 0 : s->ops->write(s, mem, n, timeout_ms, e);
}

int
stream_shut(struct stream *s, struct err *e)
{
	return s->ops->shut(s, e);
}

int
stream_line(struct stream *s, struct str *out, size_t max, int timeout_ms, struct err *e)
{
	int64_t until = when_monotonic_ms() + timeout_ms, left;
	bool any = false;
	ssize_t got;
	char *nl;
	size_t n;

	str_reset(out);
	for (;;) {
		if (s->peek_at == s->peek_len) {
			left = until - when_monotonic_ms();
			s->peek_at = s->peek_len = 0;
			got = s->ops->read(s, s->peek, sizeof(s->peek), left > 0 ? (int)left : 0, e);
			if (got < 0)
				return -1;
			if (got == 0)
				return any ? 1 : 0;
			s->peek_len = (size_t)got;
		}
		any = true;
		n = s->peek_len - s->peek_at;
		nl = memchr(s->peek + s->peek_at, '\n', n);
		if (nl != NULL)
			n = (size_t)(nl - (s->peek + s->peek_at));
		if (out->len + n > max)
			return err_set(e, RC_LIMIT, "a line is longer than %zu bytes", max);
		str_addn(out, s->peek + s->peek_at, n);
		s->peek_at += n;
		if (nl != NULL) {
			s->peek_at++;
			if (out->len > 0 && out->s[out->len - 1] == '\r')
				str_cut(out, out->len - 1);
			return 1;
		}
	}
}

void
stream_close(struct stream *s, struct stream_end *end)
{
	if (s != NULL)
		s->ops->close(s, end);
	else if (end != NULL)
		*end = (struct stream_end){ .closed = false };
}

/* --- descriptors --- */

struct fd_stream {
	struct stream s;
	int in, out;         /* may be the same */
	int cancel_fd;       /* lent, or -1 */
	bool eof;
	char peer[80];       /* for messages */
};

/* Waits until fd is ready or its time is over. 1 ready, -1 said why not. */
static int
fd_wait(const struct fd_stream *f, int fd, short events, int64_t until, struct err *e)
{
	struct pollfd p[2] = { { .fd = fd, .events = events }, { .fd = f->cancel_fd, .events = POLLIN } };
	int64_t left;
	int rc;

	for (;;) {
		left = until - when_monotonic_ms();
		rc = poll(p, 2, left > 0 ? (int)left : 0);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return err_set(e, RC_IO, "waiting for %s failed: %s", f->peer, strerror(errno));
		if (p[1].revents != 0)
			return err_set(e, RC_CANCELLED, "given up on request");
		if (p[0].revents != 0)
			return 1;
		if (left <= 0)
			return err_set(e, RC_TIMEOUT, "%s did not answer in time", f->peer);
	}
}

static ssize_t
fd_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct fd_stream *f = (struct fd_stream *)s;
	int64_t until = when_monotonic_ms() + timeout_ms;
	ssize_t got;

	for (;;) {
		got = read(f->in, mem, n);
		if (got >= 0) {
			f->eof = f->eof || (got == 0 && n > 0);
			return got;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return err_set(e, RC_NET, "the connection to %s broke: %s", f->peer, strerror(errno));
		if (fd_wait(f, f->in, POLLIN, until, e) < 0)
			return -1;
	}
}

static int
fd_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct fd_stream *f = (struct fd_stream *)s;
	int64_t until = when_monotonic_ms() + timeout_ms;
	const char *p = mem;
	ssize_t put;

	while (n > 0) {
		put = send(f->out, p, n, MSG_NOSIGNAL);
		if (put < 0 && errno == ENOTSOCK)
			put = write(f->out, p, n);
		if (put >= 0) {
			p += put;
			n -= (size_t)put;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return err_set(e, RC_NET, "%s takes no more: %s", f->peer, strerror(errno));
		if (fd_wait(f, f->out, POLLOUT, until, e) < 0)
			return -1;
	}
	return 0;
}

static int
fd_shut(struct stream *s, struct err *e)
{
	struct fd_stream *f = (struct fd_stream *)s;

	if (f->in != f->out && f->out >= 0) {
		close(f->out);
		f->out = -1;
	} else if (f->out >= 0 && shutdown(f->out, SHUT_WR) < 0 && errno != ENOTCONN) {
		return err_set(e, RC_NET, "the connection to %s broke: %s", f->peer, strerror(errno));
	}
	return 0;
}

static void
fd_close(struct stream *s, struct stream_end *end)
{
	struct fd_stream *f = (struct fd_stream *)s;

	if (end != NULL)
		*end = (struct stream_end){ .closed = f->eof };
	if (f->out >= 0 && f->out != f->in)
		close(f->out);
	close(f->in);
	str_release(&f->s.errors);
	free(f);
}

static const struct stream_ops fd_ops = { .read = fd_read, .write = fd_write, .shut = fd_shut, .close = fd_close };

static struct fd_stream *
fd_new(int in, int out)
{
	struct fd_stream *f = xcalloc(1, sizeof(*f));

	f->s.ops = &fd_ops;
	str_init(&f->s.errors, 1024);
	f->in = in;
	f->out = out;
	f->cancel_fd = -1;
	snprintf(f->peer, sizeof(f->peer), "the other side");
	fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
	if (out != in)
		fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
	return f;
}

struct stream *
stream_from_fds(int in, int out)
{
	return &fd_new(in, out)->s;
}

int
stream_fd(const struct stream *s)
{
	return s != NULL && s->ops == &fd_ops ? ((const struct fd_stream *)s)->in : -1;
}

/* One address. The stream, or NULL with why in e. */
static struct fd_stream *
connect_one(const struct addrinfo *ai, const char *name, int port, int64_t until, int cancel_fd, struct err *e)
{
	int fd, one = 1, failed = 0;
	struct fd_stream *f;
	socklen_t len = sizeof(failed);
	char number[64] = "?";

	getnameinfo(ai->ai_addr, ai->ai_addrlen, number, sizeof(number), NULL, 0, NI_NUMERICHOST);
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err_set(e, RC_NET, "%s port %d cannot be reached: %s", clean(name), port, strerror(errno));
		return NULL;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	f = fd_new(fd, fd);
	f->cancel_fd = cancel_fd;
	snprintf(f->peer, sizeof(f->peer), "%s port %d", number, port);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS && errno != EINTR) {
		failed = errno;
	} else {
		if (fd_wait(f, fd, POLLOUT, until, e) < 0) {
			fd_close(&f->s, NULL);
			return NULL;
		}
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0)
			failed = errno;
	}
	if (failed != 0) {
		err_set(e, RC_NET, "%s%s%s port %d cannot be reached: %s", clean(name), text_eq(name, number) ? "" : " at ",
		    text_eq(name, number) ? "" : number, port, strerror(failed));
		fd_close(&f->s, NULL);
		return NULL;
	}
	return f;
}

int
stream_connect(struct stream **out, const char *address, int port, int timeout_ms, char peer[64], int cancel_fd,
    struct err *e)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG }, *list = NULL, *ai;
	int64_t now = when_monotonic_ms(), until = now + timeout_ms, turn;
	struct fd_stream *f = NULL;
	struct err last = { .code = RC_OK };
	char service[16];
	int rc, left = 0;

	*out = NULL;
	if (port < 1 || port > 65535)
		return err_set(e, RC_USAGE, "%d is no port number", port);
	snprintf(service, sizeof(service), "%d", port);
	rc = getaddrinfo(address, service, &hints, &list);
	if (rc == EAI_NONAME || rc == EAI_ADDRFAMILY || rc == EAI_NODATA) {
		/* without AI_ADDRCONFIG: loopback numbers on a machine with no other address of that family */
		hints.ai_flags = AI_NUMERICSERV;
		rc = getaddrinfo(address, service, &hints, &list);
	}
	if (rc != 0) {
		err_set(e, RC_NET, "%s cannot be found: %s", clean(address), rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
		return err_hint(e, "check the name, or give the number of the host");
	}
	for (ai = list; ai != NULL; ai = ai->ai_next)
		left++;
	/* the time is shared out, so that one address that swallows packets does not eat the turn of the next */
	for (ai = list; ai != NULL && f == NULL && last.code != RC_CANCELLED; ai = ai->ai_next, left--) {
		now = when_monotonic_ms();
		turn = now + (until - now) / left;
		f = connect_one(ai, address, port, turn, cancel_fd, &last);
		if (f != NULL && peer != NULL)
			getnameinfo(ai->ai_addr, ai->ai_addrlen, peer, 64, NULL, 0, NI_NUMERICHOST);
	}
	freeaddrinfo(list);
	if (f == NULL) {
		if (last.code == RC_TIMEOUT)
			return err_set(e, RC_TIMEOUT, "%s port %d does not answer", clean(address), port);
		return err_set(e, last.code, "%s", last.text);
	}
	*out = &f->s;
	return 0;
}
