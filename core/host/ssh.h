/* One connection by libssh2, shared by ssh_link.c (connection), ssh_auth.c (login) and ssh.c (channels): the only files that know
 * libssh2. */
#ifndef MXSEAL_HOST_SSH_H
#define MXSEAL_HOST_SSH_H

#include <libssh2.h>
#include <stdint.h>
#include "private.h"

#define FIRST_MAX 4096                /* of what the server sends in clear: banner and KEXINIT */

/* An opening of a channel that the other side has not answered: libssh2 has room for one per session, so it must be brought
 * to its end before the next. */
struct opening {
	bool busy;
	char *address;                /* NULL: a session channel */
	int port;
};

struct questions;

struct link {
	struct host *h;
	const struct login *login;    /* of this very sshd: the host's, or a jump host's */
	const struct route *route;
	const char *name;
	bool jump;
	struct link *under;           /* through a channel of this connection to a jump host; NULL: by a socket. Owned */
	LIBSSH2_CHANNEL *via;         /* that channel */
	struct stream *sock;
	int fd;                       /* the socket at the bottom of all */
	LIBSSH2_SESSION *session;
	int64_t heard_at, beat_at;    /* last bytes from there, last sign of life asked for (0: answered) */
	int64_t until;                /* end of the call under way: libssh2 reads on by itself as long as there is something; 0: none */
	bool logged_in;
	bool lost;
	struct opening opening;
	int channels;                 /* streams that are open on it */
	unsigned char first[FIRST_MAX];
	size_t first_len;
	char *why;                    /* what libssh2 cannot do here, or NULL */
	struct questions *questions;  /* while keyboard-interactive asks them */
};

/* Repeats a call of libssh2 until it is done or time is over, also when the other side keeps sending and never comes to an
 * end. rc is its result, or LINK_GAVE_UP with e set. */
#define LINK_GAVE_UP (-1000)
#define LINK_DO(k, deadline, rc, call, e) \
	do { \
		int64_t link_until = (deadline);   /* once: it is usually reckoned from now */ \
		(k)->until = link_until; \
		while (((rc) = (call)) == LIBSSH2_ERROR_EAGAIN) \
			if (link_wait((k), link_until, (e)) < 0) { \
				(rc) = LINK_GAVE_UP; \
				break; \
			} \
		(k)->until = 0; \
	} while (0)

/* Waits until libssh2 may go on. -1: RC_TIMEOUT, RC_CANCELLED, or RC_NET when the other side is dead. */
int link_wait(struct link *k, int64_t until, struct err *e);
/* A sentence for a result of libssh2 below 0 (LINK_GAVE_UP: e is already set). Returns -1. */
int link_failed(struct link *k, int rc, const char *doing, struct err *e);
bool link_is_lost(const struct link *k, int rc);
/* Connects through all jump hosts, checks every host key, logs in everywhere. look_only: not at the host itself. */
int link_new(struct link **out, struct host *h, struct hostkey *key, bool look_only, struct err *e);
void link_close(struct link *k);
/* A channel to address:port as seen from there. */
int link_tunnel(struct link *k, const char *address, int port, int timeout_ms, LIBSSH2_CHANNEL **out, struct err *e);
/* Goes on with the opening under way: 0 with *out, or the result of libssh2. */
int opening_step(struct link *k, LIBSSH2_CHANNEL **out);
void opening_done(struct link *k);

/* --- ssh_auth.c --- */
int link_login(struct link *k, struct err *e);

#endif
