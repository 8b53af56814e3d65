/* Transport by libssh2: commands and tunnels as channels of a connection (ssh_link.c). libssh2 1.10 speaks no rsa-sha2 host
 * keys, GCM, ChaCha20 or ETM: host.c then takes the ssh program. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "ssh.h"

#define LINKS_MAX 4

struct ssh {
	struct link *v[LINKS_MAX];
	size_t n;
};

struct channel {
	struct stream s;
	struct link *k;
	LIBSSH2_CHANNEL *c;
	bool is_command, eof;
};

static int
ssh_open(struct host *h, struct hostkey *key, bool look_only, struct err *e)
{
	struct ssh *s = xcalloc(1, sizeof(*s));

	h->link = s;
	if (link_new(&s->v[0], h, key, look_only, e) < 0)
		return -1;
	s->n = 1;
	return 0;
}

static void
ssh_close(struct host *h)
{
	struct ssh *s = h->link;
	size_t i;

	for (i = 0; i < s->n; i++) {
		s->v[i]->lost = s->v[i]->lost || !host_alive(h);
		link_close(s->v[i]);
	}
	free(s);
	h->link = NULL;
}

/* --- channels as streams --- */

static bool
channel_errors(struct channel *c)
{
	char mem[8192];
	bool grew = false;
	ssize_t n;

	while (c->is_command && (n = libssh2_channel_read_stderr(c->c, mem, sizeof(mem))) > 0) {
		str_addn(&c->s.errors, mem, (size_t)n);
		grew = true;
	}
	return grew;
}

static ssize_t
channel_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct channel *c = (struct channel *)s;
	int64_t until = when_monotonic_ms() + timeout_ms;
	ssize_t got;
	bool grew;

	if (c->eof || n == 0)
		return 0;
	for (;;) {
		c->k->until = until;
		got = c->k->lost ? LIBSSH2_ERROR_SOCKET_DISCONNECT : libssh2_channel_read(c->c, mem, n);
		c->k->until = 0;
		if (got > 0)
			return got;
		if (got < 0 && got != LIBSSH2_ERROR_EAGAIN)
			return link_failed(c->k, (int)got, "reading", e);
		grew = channel_errors(c);
		if (libssh2_channel_eof(c->c)) {
			c->eof = true;
			return 0;
		}
		if (grew && s->errors_wake)
			return err_set(e, RC_FINDINGS, "the command wrote to its standard error");
		if (link_wait(c->k, until, e) < 0)
			return -1;
	}
}

static int
channel_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct channel *c = (struct channel *)s;
	int64_t until = when_monotonic_ms() + timeout_ms;
	const char *p = mem;
	ssize_t put;

	while (n > 0) {
		put = c->k->lost ? LIBSSH2_ERROR_SOCKET_DISCONNECT : libssh2_channel_write(c->c, p, n);
		if (put > 0) {
			p += put;
			n -= (size_t)put;
			continue;
		}
		if (put < 0 && put != LIBSSH2_ERROR_EAGAIN)
			return link_failed(c->k, (int)put, "writing", e);
		if (libssh2_channel_eof(c->c))
			return err_set(e, RC_NET, "the command on %s ended and takes no more", c->k->h->name);
		if (link_wait(c->k, until, e) < 0) {
			c->k->lost = true;    /* half a packet may be out: nothing can follow it */
			return -1;
		}
	}
	return 0;
}

static int
channel_shut(struct stream *s, struct err *e)
{
	struct channel *c = (struct channel *)s;
	int rc;

	if (c->k->lost)
		return err_set(e, RC_NET, "connection to %s lost", c->k->h->name);
	LINK_DO(c->k, when_monotonic_ms() + c->k->h->timeout_ms, rc, libssh2_channel_send_eof(c->c), e);
	return rc == 0 ? 0 : link_failed(c->k, rc, "ending the input", e);
}

/* What the other side sent about the end of its command. */
static void
channel_end(struct channel *c, bool closed, struct stream_end *end)
{
	char *sig = NULL;
	size_t n = 0;

	*end = (struct stream_end){ .closed = closed && c->eof, .status = libssh2_channel_get_exit_status(c->c) };
	if (libssh2_channel_get_exit_signal(c->c, &sig, &n, NULL, NULL, NULL, NULL) == 0 && sig != NULL)
		snprintf(end->signal, sizeof(end->signal), "%.*s", (int)n, sig);
	if (sig != NULL)
		libssh2_free(c->k->session, sig);
}

/* A command that still runs does not end by our closing of the channel; it is given a moment, then left to notice by itself
 * that nobody reads. */
static void
channel_close(struct stream *s, struct stream_end *end)
{
	struct channel *c = (struct channel *)s;
	struct link *k = c->k;
	int rc = -1, tries;

	k->channels--;
	if (!k->lost)
		LINK_DO(k, when_monotonic_ms() + (c->eof ? k->h->timeout_ms : 500), rc, libssh2_channel_close(c->c), NULL);
	if (link_is_lost(k, rc))
		k->lost = true;
	if (end != NULL)
		channel_end(c, rc == 0, end);
	if (k->lost)
		shutdown(k->fd, SHUT_RDWR);
	for (tries = 0; tries < 3 && libssh2_channel_free(c->c) == LIBSSH2_ERROR_EAGAIN; tries++)
		;
	str_release(&c->s.errors);
	free(c);
}

static const struct stream_ops channel_ops = {
	.read = channel_read, .write = channel_write, .shut = channel_shut, .close = channel_close
};

static struct stream *
channel_stream(struct link *k, LIBSSH2_CHANNEL *ch, bool is_command)
{
	struct channel *c = xcalloc(1, sizeof(*c));

	c->s.ops = &channel_ops;
	str_init(&c->s.errors, HOST_ERRORS_MAX);
	c->k = k;
	c->c = ch;
	c->is_command = is_command;
	k->channels++;
	return &c->s;
}

/* --- opening channels --- */

/* Is this connection free to open a channel? One that waits for a dead address may have got its answer meanwhile. */
static bool
link_is_free(struct link *k)
{
	LIBSSH2_CHANNEL *late;
	int rc;

	if (k->lost)
		return false;
	if (!k->opening.busy)
		return true;
	rc = opening_step(k, &late);
	if (rc == LIBSSH2_ERROR_EAGAIN)
		return false;
	if (rc == 0)
		libssh2_channel_free(late);
	else if (link_is_lost(k, rc))
		k->lost = true;
	opening_done(k);
	return !k->lost;
}

/* The connection that has waited longest for an address that does not answer is given up, if nothing else goes over it; never
 * the first one. */
static bool
give_up_one(struct ssh *s)
{
	size_t i;

	for (i = 1; i < s->n; i++)
		if (s->v[i]->channels == 0) {
			link_close(s->v[i]);
			memmove(&s->v[i], &s->v[i + 1], (--s->n - i) * sizeof(s->v[0]));
			return true;
		}
	return false;
}

/* A connection for a new channel: the first that is free, or one more. The opening of a tunnel to a dead address may hold
 * a connection for two minutes, and the other work on this host must not wait for that. */
static struct link *
link_for_channel(struct host *h, struct err *e)
{
	struct ssh *s = h->link;
	struct hostkey key = { .verdict = HOSTKEY_NEW };
	size_t i;
	int rc;

	for (i = 0; i < s->n; i++)
		if (link_is_free(s->v[i]))
			return s->v[i];
	if (s->v[0]->lost) {
		err_set(e, RC_NET, "connection to %s lost", h->name);
		return NULL;
	}
	if (s->n == LINKS_MAX && !give_up_one(s)) {
		err_set(e, RC_TIMEOUT, "%s still waits for %d addresses that do not answer", h->name, LINKS_MAX);
		return NULL;
	}
	rc = link_new(&s->v[s->n], h, &key, false, e);
	hostkey_release(&key);
	return rc == 0 ? s->v[s->n++] : NULL;
}

static int
ssh_exec(struct host *h, const char *command, struct stream **out, struct err *e)
{
	int64_t until = when_monotonic_ms() + h->timeout_ms;
	struct link *k = link_for_channel(h, e);
	LIBSSH2_CHANNEL *ch = NULL;
	int rc;

	if (k == NULL)
		return -1;
	k->opening.busy = true;
	LINK_DO(k, until, rc, opening_step(k, &ch), e);
	if (rc == LINK_GAVE_UP)
		return -1;
	opening_done(k);
	if (rc != 0)
		return link_failed(k, rc, "opening a session (MaxSessions?)", e);
	*out = channel_stream(k, ch, true);
	LINK_DO(k, until, rc, libssh2_channel_exec(ch, command), e);
	if (rc == 0)
		return 0;
	link_failed(k, rc, "starting a command", e);
	stream_close(*out, NULL);
	*out = NULL;
	return -1;
}

static int
ssh_tunnel(struct host *h, const char *address, int port, int timeout_ms, struct stream **out, struct err *e)
{
	struct link *k = link_for_channel(h, e);
	LIBSSH2_CHANNEL *ch = NULL;

	if (k == NULL || link_tunnel(k, address, port, timeout_ms, &ch, e) < 0)
		return -1;
	*out = channel_stream(k, ch, false);
	return 0;
}

const struct transport transport_ssh = {
	.name = "libssh2",
	.open = ssh_open,
	.exec = ssh_exec,
	.tunnel = ssh_tunnel,
	.close = ssh_close,
};
