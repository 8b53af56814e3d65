/* One connection by libssh2, shared by ssh.c (connection, channels) and ssh_auth.c (login): the only files that know libssh2. */
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
	struct stream *sock;
	int fd;
	LIBSSH2_SESSION *session;
	int64_t heard_at, beat_at;    /* last bytes from there, last sign of life asked for (0: answered) */
	bool logged_in;
	bool lost;
	struct opening opening;
	unsigned char first[FIRST_MAX];
	size_t first_len;
	char *why;                    /* what libssh2 cannot do here, or NULL */
	struct questions *questions;  /* while keyboard-interactive asks them */
};

/* Repeats a call of libssh2 until it is done or time is over. rc is its result, or LINK_GAVE_UP with e set. until is taken
 * once: what arrives meanwhile must not put the end off. */
#define LINK_GAVE_UP (-1000)
#define LINK_DO(k, until, rc, call, e) \
	do { \
		const int64_t link_until_ = (until); \
		while (((rc) = (call)) == LIBSSH2_ERROR_EAGAIN) \
			if (link_wait((k), link_until_, (e)) < 0) { \
				(rc) = LINK_GAVE_UP; \
				break; \
			} \
	} while (0)

/* Waits until libssh2 may go on. -1: RC_TIMEOUT, RC_CANCELLED, or RC_NET when the other side is dead. */
int link_wait(struct link *k, int64_t until, struct err *e);
/* A sentence for a result of libssh2 below 0 (LINK_GAVE_UP: e is already set). Returns -1. */
int link_failed(struct link *k, int rc, const char *doing, struct err *e);
bool link_is_lost(const struct link *k, int rc);

/* --- ssh_auth.c --- */
int link_login(struct link *k, struct err *e);

#endif
