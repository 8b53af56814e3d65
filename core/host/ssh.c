/* Transport by libssh2. Sessions are non-blocking inside and all waiting is done in link_wait(), which knows the deadline,
 * the wake pipe of host_abort and the age of the last sign of life; so a hung, stopped or unplugged host is noticed while
 * we wait for anything at all. libssh2 1.10 speaks no rsa-sha2 host keys, GCM, ChaCha20 or ETM: host.c then takes the ssh
 * program. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "keys.h"
#include "ssh.h"

#define BEAT_MS 5000                  /* silence after which a sign of life is asked for */
#define DEAD_MS 15000                 /* silence after the question that means dead */
#define LINKS_MAX 4

/* What we offer, strongest that libssh2 1.10 knows first. No SHA-1, no CBC, no arcfour. */
static const char kex_list[] = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
	"ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
	"diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256";
static const char *const hostkey_types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
	"ecdsa-sha2-nistp521" };
static const char cipher_list[] = "aes128-ctr,aes192-ctr,aes256-ctr";
static const char mac_list[] = "hmac-sha2-256,hmac-sha2-512";

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

/* --- the connection --- */

/* TCP_QUICKACK must be set anew after each read: it saves the 40 ms that our delayed ACK and the server's Nagle cost. */
static ssize_t
on_recv(libssh2_socket_t fd, void *mem, size_t len, int flags, void **abstract)
{
	struct link *k = *abstract;
	ssize_t n = recv(fd, mem, len, flags);
	size_t room = sizeof(k->first) - k->first_len;
	int one = 1;

	if (n < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
	k->heard_at = when_monotonic_ms();
	k->beat_at = 0;
	if (!k->logged_in && room > 0) {
		memcpy(k->first + k->first_len, mem, (size_t)n < room ? (size_t)n : room);
		k->first_len += (size_t)n < room ? (size_t)n : room;
	}
	return n;
}

static ssize_t
on_send(libssh2_socket_t fd, const void *mem, size_t len, int flags, void **abstract)
{
	ssize_t n = send(fd, mem, len, flags | MSG_NOSIGNAL);

	(void)abstract;
	return n < 0 ? -errno : n;
}

/* Asks for a sign of life when it has been quiet, only with nothing half sent: libssh2 cannot queue behind it. False: the
 * other side is dead. */
static bool
link_beat(struct link *k, int64_t now, short events)
{
	struct pollfd p = { .fd = k->fd, .events = POLLOUT };
	int next;

	if (k->beat_at != 0)
		return now - k->beat_at < DEAD_MS;
	if (k->logged_in && !(events & POLLOUT) && now - k->heard_at >= BEAT_MS && poll(&p, 1, 0) == 1
	    && libssh2_keepalive_send(k->session, &next) == 0)
		k->beat_at = now;
	return true;
}

int
link_wait(struct link *k, int64_t until, struct err *e)
{
	int dirs = libssh2_session_block_directions(k->session), rc;
	short events = (short)((dirs & LIBSSH2_SESSION_BLOCK_OUTBOUND ? POLLOUT : 0)
	    | (dirs & LIBSSH2_SESSION_BLOCK_INBOUND || dirs == 0 ? POLLIN : 0));
	struct pollfd p[2] = { { .fd = k->fd, .events = events }, { .fd = k->h->wake[0], .events = POLLIN } };
	int64_t now = when_monotonic_ms(), left;

	if (k->heard_at < now - BEAT_MS && k->beat_at == 0)
		k->heard_at = now;    /* nobody listened meanwhile: its silence counts from here */
	for (;;) {
		left = until - now;
		if (left > BEAT_MS / 5)
			left = BEAT_MS / 5;
		rc = poll(p, 2, left > 0 ? (int)left : 0);
		if (rc < 0 && errno != EINTR)
			return err_set(e, RC_IO, "waiting for %s failed: %s", k->h->name, strerror(errno));
		if (rc > 0 && p[1].revents != 0)
			return err_set(e, RC_CANCELLED, "given up on request");
		if (rc > 0 && p[0].revents != 0)
			return 0;
		now = when_monotonic_ms();
		if (!link_beat(k, now, events)) {
			k->lost = true;
			return err_set(e, RC_NET, "%s gives no sign of life: connection lost after %d seconds of silence",
			    k->h->name, (int)((now - k->heard_at) / 1000));
		}
		if (now >= until)
			return err_set(e, RC_TIMEOUT, "%s did not answer in time", k->h->name);
	}
}

bool
link_is_lost(const struct link *k, int rc)
{
	return k->lost || rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_SOCKET_SEND
	    || rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_PROTO || rc == LIBSSH2_ERROR_DECRYPT
	    || rc == LIBSSH2_ERROR_INVALID_MAC;
}

int
link_failed(struct link *k, int rc, const char *doing, struct err *e)
{
	char *text = NULL;

	if (rc == LINK_GAVE_UP) {
		k->lost = k->lost || (e != NULL && e->code == RC_CANCELLED);
		return -1;
	}
	libssh2_session_last_error(k->session, &text, NULL, 0);
	if (link_is_lost(k, rc)) {
		k->lost = true;
		return err_set(e, RC_NET, "connection to %s lost while %s", k->h->name, doing);
	}
	return err_set(e, RC_NET, "%s failed while %s: %s (%d)", k->h->name, doing, text != NULL ? clean(text) : "-", rc);
}

static void
link_close(struct link *k)
{
	if (k == NULL)
		return;
	if (k->session != NULL) {
		if (!k->lost)
			libssh2_session_disconnect(k->session, "done");
		/* with the socket shut nothing below waits for the other side */
		shutdown(k->fd, SHUT_RDWR);
		libssh2_session_set_blocking(k->session, 1);
		libssh2_session_set_timeout(k->session, 1000);
		libssh2_session_free(k->session);
	}
	stream_close(k->sock, NULL);
	free(k->opening.address);
	free(k->why);
	free(k);
}

/* Types of the host key in the order of the handshake: known ones first. */
static char *
hostkey_order(const struct route *r)
{
	struct str known = STR_INIT, out = STR_INIT;
	char **words;
	size_t i, k, pass;

	known_hosts_types(r->keys, r->lookup, &known);
	words = words_split(known.s, ",", NULL);
	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < sizeof(hostkey_types) / sizeof(hostkey_types[0]); i++) {
			bool is_known = false;

			for (k = 0; words[k] != NULL; k++)
				is_known = is_known || strcmp(words[k], hostkey_types[i]) == 0;
			if (is_known == (pass == 0))
				str_addf(&out, "%s%s", out.len > 0 ? "," : "", hostkey_types[i]);
		}
	words_free(words);
	str_release(&known);
	return str_take(&out);
}

static int
shake_hands(struct link *k, struct err *e)
{
	const struct route *r = &k->h->route;
	char *order = hostkey_order(r);
	const struct { int method; const char *list; } pinned[] = {
		{ LIBSSH2_METHOD_KEX, kex_list }, { LIBSSH2_METHOD_HOSTKEY, order },
		{ LIBSSH2_METHOD_CRYPT_CS, cipher_list }, { LIBSSH2_METHOD_CRYPT_SC, cipher_list },
		{ LIBSSH2_METHOD_MAC_CS, mac_list }, { LIBSSH2_METHOD_MAC_SC, mac_list },
		{ LIBSSH2_METHOD_COMP_CS, "none" }, { LIBSSH2_METHOD_COMP_SC, "none" },
	};
	const char *offered[4] = { kex_list, order, cipher_list, mac_list };
	struct str why = STR_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; i < sizeof(pinned) / sizeof(pinned[0]) && rc == 0; i++)
		rc = libssh2_session_method_pref(k->session, pinned[i].method, pinned[i].list);
	if (rc == 0)
		LINK_DO(k, when_monotonic_ms() + k->h->timeout_ms, rc, libssh2_session_handshake(k->session, k->fd), e);
	if (rc == LIBSSH2_ERROR_KEX_FAILURE || rc == LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE
	    || rc == LIBSSH2_ERROR_METHOD_NONE) {
		kexinit_why(k->first, k->first_len, offered, &why);
		k->why = why.len > 0 ? xasprintf("%s, of which libssh2 %s knows none", why.s, libssh2_version(0))
		    : xasprintf("libssh2 %s finds no common algorithms with it", libssh2_version(0));
		err_set(e, RC_NET, "no common algorithms with %s: %s", k->h->name, k->why);
		rc = -1;
	} else if (rc != 0) {
		rc = link_failed(k, rc, k->first_len > 0 ? "shaking hands" : "waiting for its greeting", e);
		if (rc < 0 && e->code == RC_NET && k->first_len == 0)
			err_hint(e, "sshd may be refusing connections just now (MaxStartups), or something else listens there");
	}
	str_release(&why);
	free(order);
	return rc;
}

/* Connects, shakes hands, judges the key; logs in unless it is only to look. */
static int
link_open(struct link **out, struct host *h, struct hostkey *key, bool look_only, struct err *e)
{
	const struct route *r = &h->route;
	struct link *k = xcalloc(1, sizeof(*k));
	char peer[64] = "";
	const char *blob;
	size_t len;
	int type, rc, timeout = r->connect_timeout_ms > 0 ? r->connect_timeout_ms : h->timeout_ms;

	*out = k;
	k->h = h;
	if (stream_connect(&k->sock, r->host, r->port, timeout, peer, h->wake[0], e) < 0)
		return -1;
	xset(&h->address, peer);
	k->fd = stream_fd(k->sock);
	k->heard_at = when_monotonic_ms();
	if (libssh2_init(0) != 0 || (k->session = libssh2_session_init_ex(NULL, NULL, NULL, k)) == NULL)
		return err_set(e, RC_BUG, "libssh2 does not start");
	libssh2_session_set_blocking(k->session, 0);
	libssh2_session_callback_set(k->session, LIBSSH2_CALLBACK_RECV, (void *)(uintptr_t)on_recv);
	libssh2_session_callback_set(k->session, LIBSSH2_CALLBACK_SEND, (void *)(uintptr_t)on_send);
	if (shake_hands(k, e) < 0)
		return -1;
	blob = libssh2_session_hostkey(k->session, &len, &type);
	if (blob == NULL)
		return err_set(e, RC_HOSTKEY, "%s showed no host key", h->name);
	if (hostkey_judge(key, r, (const unsigned char *)blob, len, e) < 0 || look_only)
		return look_only && key->verdict == HOSTKEY_OK ? 0 : -1;
	rc = link_login(k, e);
	if (rc == 0) {
		k->logged_in = true;
		libssh2_keepalive_config(k->session, 1, 2);
	}
	return rc;
}

static int
link_new(struct ssh *s, struct host *h, struct hostkey *key, bool look_only, struct err *e)
{
	char gate[300];
	struct link *k;
	int rc;

	snprintf(gate, sizeof(gate), "login %s:%d", h->route.host, h->route.port);
	if (job_gate_enter(h->ctx, gate, HOST_LOGINS_MAX, e) < 0)
		return -1;
	rc = link_open(&k, h, key, look_only, e);
	job_gate_leave(h->ctx, gate);
	if (rc == 0) {
		s->v[s->n++] = k;
		return 0;
	}
	if (k->why != NULL) {
		h->other = true;
		xset(&h->why, k->why);
	}
	link_close(k);
	return -1;
}

static int
ssh_open(struct host *h, struct hostkey *key, bool look_only, struct err *e)
{
	h->link = xcalloc(1, sizeof(struct ssh));
	return link_new(h->link, h, key, look_only, e);
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
		got = c->k->lost ? LIBSSH2_ERROR_SOCKET_DISCONNECT : libssh2_channel_read(c->c, mem, n);
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
	return &c->s;
}

/* --- opening channels --- */

/* Goes on with the opening under way. 0 with *out, or the result of libssh2. */
static int
opening_step(struct link *k, LIBSSH2_CHANNEL **out)
{
	struct opening *o = &k->opening;

	*out = o->address != NULL ? libssh2_channel_direct_tcpip_ex(k->session, o->address, o->port, "127.0.0.1", 22)
	    : libssh2_channel_open_session(k->session);
	return *out != NULL ? 0 : libssh2_session_last_errno(k->session);
}

static void
opening_done(struct link *k)
{
	free(k->opening.address);
	k->opening = (struct opening){ .busy = false };
}

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
	if (s->n == LINKS_MAX) {
		err_set(e, RC_TIMEOUT, "%s still waits for %d addresses that do not answer", h->name, LINKS_MAX);
		return NULL;
	}
	rc = link_new(s, h, &key, false, e);
	hostkey_release(&key);
	return rc == 0 ? s->v[s->n - 1] : NULL;
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
	char *text = NULL;
	int rc;

	if (k == NULL)
		return -1;
	k->opening = (struct opening){ .busy = true, .address = xstrdup(address), .port = port };
	LINK_DO(k, when_monotonic_ms() + timeout_ms, rc, opening_step(k, &ch), e);
	if (rc == LINK_GAVE_UP) {
		if (e->code == RC_TIMEOUT)
			err_set(e, RC_TIMEOUT, "%s port %d does not answer %s", clean(address), port, h->name);
		return -1;
	}
	opening_done(k);
	if (rc == LIBSSH2_ERROR_CHANNEL_FAILURE) {
		libssh2_session_last_error(k->session, &text, NULL, 0);
		if (text != NULL && strstr(text, "administratively") != NULL) {
			err_set(e, RC_NET, "sshd on %s allows no forwarding, so %s port %d cannot be looked at from there", h->name,
			    clean(address), port);
			return err_hint(e, "AllowTcpForwarding local (or yes) in sshd_config of %s", h->name);
		}
		return err_set(e, RC_NET, "%s cannot connect to %s port %d: refused, unreachable or no such name", h->name,
		    clean(address), port);
	}
	if (rc != 0)
		return link_failed(k, rc, "opening a tunnel", e);
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
