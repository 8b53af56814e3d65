/* The connection below transport ssh.c: sockets, handshake, host key, waiting. Sessions are non-blocking inside and all
 * waiting is done in link_wait(), which knows the deadline, the wake pipe of host_abort and the age of the last sign of
 * life; so a hung, stopped or unplugged host is noticed while we wait for anything at all.
 * Behind jump hosts each connection is a session of its own whose bytes travel in a channel of the one before, so that the
 * jump host sees nothing of it. All sessions of such a chain belong to one host and one thread: a jump host that many hosts
 * share gets a login for each, at most HOST_LOGINS_MAX of them at a time. */
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

/* What we offer, strongest that libssh2 1.10 knows first. No SHA-1, no CBC, no arcfour. */
static const char kex_list[] = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
	"ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
	"diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256";
static const char *const hostkey_types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
	"ecdsa-sha2-nistp521" };
static const char cipher_list[] = "aes128-ctr,aes192-ctr,aes256-ctr";
static const char mac_list[] = "hmac-sha2-256,hmac-sha2-512";

/* --- bytes: of a socket, or of a channel of the connection to the jump host before --- */

/* TCP_QUICKACK must be set anew after each read: it saves the 40 ms that our delayed ACK and the server's Nagle cost. */
static ssize_t
socket_recv(libssh2_socket_t fd, void *mem, size_t len, int flags)
{
	ssize_t n = recv(fd, mem, len, flags);
	int one = 1;

	if (n < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
	return n;
}

static ssize_t
via_recv(struct link *k, void *mem, size_t len)
{
	ssize_t n;

	k->under->until = k->until;
	n = libssh2_channel_read(k->via, mem, len);
	k->under->until = 0;
	if (n == LIBSSH2_ERROR_EAGAIN || (n == 0 && !libssh2_channel_eof(k->via)))
		return -EAGAIN;
	return n < 0 ? -ECONNRESET : n;
}

/* As much as the channel takes: after less, the caller waits for the socket, which may be ready for ever without a word from
 * the other side. */
static ssize_t
via_send(struct link *k, const char *mem, size_t len)
{
	size_t sent = 0;
	ssize_t n;

	do {
		n = libssh2_channel_write(k->via, mem + sent, len - sent);
		if (n > 0)
			sent += (size_t)n;
	} while (n > 0 && sent < len);
	if (sent > 0)
		return (ssize_t)sent;
	return n == 0 || n == LIBSSH2_ERROR_EAGAIN ? -EAGAIN : -EPIPE;
}

/* Has it greeted within the first bytes? libssh2 would look for that for ever, byte by byte. */
static bool
has_greeted(const struct link *k)
{
	return memmem(k->first, k->first_len, "SSH-", 4) != NULL;
}

static ssize_t
on_recv(libssh2_socket_t fd, void *mem, size_t len, int flags, void **abstract)
{
	struct link *k = *abstract;
	size_t room = sizeof(k->first) - k->first_len;
	ssize_t n;

	/* one that never stops talking gets no further than the deadline, and is left at once on request */
	if (!host_alive(k->h))
		return -ECONNABORTED;
	if (k->until != 0 && when_monotonic_ms() >= k->until)
		return -EAGAIN;
	n = k->under != NULL ? via_recv(k, mem, len) : socket_recv(fd, mem, len, flags);
	if (n < 0)
		return n;
	k->heard_at = when_monotonic_ms();
	k->beat_at = 0;
	if (!k->logged_in && room > 0) {
		memcpy(k->first + k->first_len, mem, (size_t)n < room ? (size_t)n : room);
		k->first_len += (size_t)n < room ? (size_t)n : room;
		if (k->first_len == sizeof(k->first) && !has_greeted(k))
			return -EPROTO;
	}
	return n;
}

static ssize_t
on_send(libssh2_socket_t fd, const void *mem, size_t len, int flags, void **abstract)
{
	struct link *k = *abstract;
	ssize_t n;

	if (k->under != NULL)
		return via_send(k, mem, len);
	n = send(fd, mem, len, flags | MSG_NOSIGNAL);
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

/* What the socket must be ready for. Only the session at the bottom knows whether its socket is full: one above that cannot
 * send may as well wait for the window of its channel, which is something to be read. */
static short
link_events(const struct link *k)
{
	const struct link *at;
	int dirs = 0, in = 0;

	for (at = k; at != NULL; at = at->under) {
		dirs = libssh2_session_block_directions(at->session);
		in |= dirs & LIBSSH2_SESSION_BLOCK_INBOUND;
	}
	return (short)((dirs & LIBSSH2_SESSION_BLOCK_OUTBOUND ? POLLOUT : 0) | (in != 0 || dirs == 0 ? POLLIN : 0));
}

int
link_wait(struct link *k, int64_t until, struct err *e)
{
	short events = link_events(k);
	int rc;
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
			return err_set(e, RC_IO, "waiting for %s failed: %s", k->name, strerror(errno));
		if (rc > 0 && p[1].revents != 0)
			return err_set(e, RC_CANCELLED, "given up on request");
		if (rc > 0 && p[0].revents != 0 && now < until)
			return 0;
		now = when_monotonic_ms();
		if (!link_beat(k, now, events)) {
			k->lost = true;
			return err_set(e, RC_NET, "%s gives no sign of life: connection lost after %d seconds of silence",
			    k->name, (int)((now - k->heard_at) / 1000));
		}
		if (now >= until)
			return err_set(e, RC_TIMEOUT, "%s did not answer in time", k->name);
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
		return err_set(e, RC_NET, "connection to %s lost while %s", k->name, doing);
	}
	return err_set(e, RC_NET, "%s failed while %s: %s (%d)", k->name, doing, text != NULL ? clean(text) : "-", rc);
}

static void
link_free(struct link *k)
{
	int tries;

	if (k->session != NULL) {
		libssh2_session_set_blocking(k->session, 1);
		libssh2_session_set_timeout(k->session, 1000);
		libssh2_session_free(k->session);
	}
	for (tries = 0; k->via != NULL && tries < 3 && libssh2_channel_free(k->via) == LIBSSH2_ERROR_EAGAIN; tries++)
		;
	stream_close(k->sock, NULL);
	free(k->opening.address);
	free(k->why);
	free(k);
}

void
link_close(struct link *k)
{
	struct link *at;

	if (k == NULL)
		return;
	for (at = k; at != NULL; at = at->under)
		if (at->session != NULL && !at->lost && !k->lost)
			libssh2_session_disconnect(at->session, "done");
	/* with the socket shut nothing below waits for the other side */
	if (k->fd >= 0)
		shutdown(k->fd, SHUT_RDWR);
	for (; k != NULL; k = at) {
		at = k->under;
		link_free(k);
	}
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

/* The first thing it said, when that is no greeting of SSH. */
static bool
says_other(const struct link *k, struct str *out)
{
	const unsigned char *nl = memchr(k->first, '\n', k->first_len);
	size_t n = nl != NULL ? (size_t)(nl - k->first) : k->first_len;

	if (k->first_len == 0 || memmem(k->first, k->first_len, "SSH-", k->first_len < 4 ? k->first_len : 4) != NULL)
		return false;
	while (n > 0 && k->first[n - 1] == '\r')
		n--;
	clean_text(out, (const char *)k->first, n < 100 ? n : 100, false);
	return true;
}

/* The greeting was refused by an sshd that has too much to do: worth another try. */
static bool
turned_away(const struct link *k, const struct err *e)
{
	static const char said[] = "Exceeded MaxStartups";

	return e->code == RC_NET && k->lost && (k->first_len == 0
	    || (k->first_len >= sizeof(said) - 1 && memcmp(k->first, said, sizeof(said) - 1) == 0));
}

static int
no_handshake(struct link *k, int rc, struct err *e)
{
	struct str said = STR_INIT;

	link_failed(k, rc, k->first_len > 0 ? "shaking hands" : "waiting for its greeting", e);
	if (e->code == RC_CANCELLED)
		return -1;
	k->h->busy = turned_away(k, e);
	if (k->h->busy) {
		err_set(e, RC_NET, "%s turns connections away just now", k->name);
		err_hint(e, "its sshd has too many logins under way (MaxStartups), or something else listens there");
	} else if (says_other(k, &said)) {
		err_set(e, RC_NET, "what listens on %s port %d is no SSH server: it says \"%s\"", k->name, k->route->port, said.s);
		err_hint(e, "is this the right port? sshd has usually 22");
	} else if (e->code == RC_TIMEOUT) {
		err_set(e, RC_TIMEOUT, "%s port %d takes the connection, but %s", k->name, k->route->port,
		    k->first_len > 0 ? "does not finish the greeting of SSH" : "says nothing");
		err_hint(e, "its sshd hangs or is overloaded, or something else listens there; look at the host itself");
	} else {
		err_hint(e, "it broke off in the greeting of SSH; see what it says to: ssh -v %s", clean(k->login->target));
	}
	str_release(&said);
	return -1;
}

static int
shake_hands(struct link *k, struct err *e)
{
	const struct route *r = k->route;
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
		err_set(e, RC_NET, "no common algorithms with %s: %s", k->name, k->why);
		rc = -1;
	} else if (rc != 0) {
		rc = no_handshake(k, rc, e);
	}
	str_release(&why);
	free(order);
	return rc;
}

/* --- opening --- */

int
opening_step(struct link *k, LIBSSH2_CHANNEL **out)
{
	struct opening *o = &k->opening;

	*out = o->address != NULL ? libssh2_channel_direct_tcpip_ex(k->session, o->address, o->port, "127.0.0.1", 22)
	    : libssh2_channel_open_session(k->session);
	return *out != NULL ? 0 : libssh2_session_last_errno(k->session);
}

void
opening_done(struct link *k)
{
	free(k->opening.address);
	k->opening = (struct opening){ .busy = false };
}

int
link_tunnel(struct link *k, const char *address, int port, int timeout_ms, LIBSSH2_CHANNEL **out, struct err *e)
{
	char *text = NULL;
	int rc;

	k->opening = (struct opening){ .busy = true, .address = xstrdup(address), .port = port };
	LINK_DO(k, when_monotonic_ms() + timeout_ms, rc, opening_step(k, out), e);
	if (rc == LINK_GAVE_UP) {
		if (e->code == RC_TIMEOUT)
			err_set(e, RC_TIMEOUT, "%s port %d does not answer %s", clean(address), port, k->name);
		return -1;
	}
	opening_done(k);
	if (rc == 0)
		return 0;
	if (rc != LIBSSH2_ERROR_CHANNEL_FAILURE)
		return link_failed(k, rc, "opening a tunnel", e);
	libssh2_session_last_error(k->session, &text, NULL, 0);
	if (text != NULL && strstr(text, "administratively") != NULL) {
		err_set(e, RC_NET, "sshd on %s allows no forwarding, so %s port %d cannot be reached from there", k->name,
		    clean(address), port);
		return err_hint(e, "AllowTcpForwarding local (or yes) in sshd_config of %s", k->name);
	}
	return err_set(e, RC_NET, "%s cannot connect to %s port %d: refused, unreachable or no such name", k->name,
	    clean(address), port);
}

/* The way the bytes go: a socket, or a channel through the jump host before. */
static int
link_connect(struct link *k, struct err *e)
{
	const struct route *r = k->route;
	int timeout = r->connect_timeout_ms > 0 ? r->connect_timeout_ms : k->h->timeout_ms;
	char peer[64] = "";

	if (k->under != NULL) {
		k->fd = k->under->fd;
		xset(&k->h->address, r->host);
		return link_tunnel(k->under, r->host, r->port, timeout, &k->via, e);
	}
	if (stream_connect(&k->sock, r->host, r->port, timeout, peer, k->h->wake[0], e) < 0) {
		if (e->hint[0] == '\0' && e->code != RC_CANCELLED)
			err_hint(e, "does the host run, is its sshd on port %d, and does no firewall stand in between?", r->port);
		return k->jump ? err_wrap(e, "%s", k->name) : -1;
	}
	xset(&k->h->address, peer);
	k->fd = stream_fd(k->sock);
	return 0;
}

/* Connects, shakes hands, judges the key; logs in unless it is only to look. */
static int
link_open(struct link *k, struct hostkey *key, bool look_only, struct err *e)
{
	const char *blob;
	size_t len;
	int type;

	if (link_connect(k, e) < 0)
		return -1;
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
		return err_set(e, RC_HOSTKEY, "%s showed no host key", k->name);
	if (hostkey_judge(key, k->route, (const unsigned char *)blob, len, e) < 0 || look_only)
		return look_only && key->verdict == HOSTKEY_OK ? 0 : -1;
	if (link_login(k, e) < 0)
		return -1;
	k->logged_in = true;
	libssh2_keepalive_config(k->session, 1, 2);
	return 0;
}

/* Among at most so many that log in there at the same time. */
static int
link_open_in_turn(struct link *k, struct hostkey *key, bool look_only, struct err *e)
{
	char gate[300];
	int rc;

	snprintf(gate, sizeof(gate), "login %s:%d", k->route->host, k->route->port);
	if (job_gate_enter(k->h->ctx, gate, HOST_LOGINS_MAX, e) < 0)
		return -1;
	rc = link_open(k, key, look_only, e);
	job_gate_leave(k->h->ctx, gate);
	if (rc < 0 && k->why != NULL) {
		k->h->other = true;
		free(k->h->why);
		k->h->why = k->jump ? xasprintf("%s: %s", k->name, k->why) : xstrdup(k->why);
	}
	return rc;
}

static struct link *
link_alloc(struct host *h, struct link *under, const struct login *l, const struct route *r, const char *name, bool jump)
{
	struct link *k = xcalloc(1, sizeof(*k));

	*k = (struct link){ .h = h, .under = under, .login = l, .route = r, .name = name, .jump = jump, .fd = -1 };
	return k;
}

/* A jump host must be known already: what a person confirms is the key of the host that is asked about. */
static int
jump_open(struct link *k, struct err *e)
{
	struct hostkey key = { .verdict = HOSTKEY_NEW };
	int rc = link_open_in_turn(k, &key, false, e);

	if (rc < 0 && e->code == RC_HOSTKEY_NEW) {
		err_set(e, RC_HOSTKEY, "the host key of %s is not known: %s %s", k->name, key.type, key.fingerprint);
		err_hint(e, "make it known first: ssh %s, and compare the fingerprint", clean(k->login->target));
	}
	hostkey_release(&key);
	return rc;
}

int
link_new(struct link **out, struct host *h, struct hostkey *key, bool look_only, struct err *e)
{
	struct link *k = NULL;
	size_t i;

	*out = NULL;
	for (i = 0; i < h->n_jumps; i++) {
		const struct jump *j = &h->jumps[i];

		k = link_alloc(h, k, &j->login, &j->route, j->name, true);
		if (jump_open(k, e) < 0) {
			link_close(k);
			return -1;
		}
	}
	k = link_alloc(h, k, &h->login, &h->route, h->name, false);
	if (link_open_in_turn(k, key, look_only, e) < 0) {
		link_close(k);
		return -1;
	}
	*out = k;
	return 0;
}
