/* An ACME authority (RFC 8555) of the tests' own: https on 127.0.0.1, one account, one order. It does everything right, or is
 * wrong in one way that is named. */
#ifndef MXSEAL_TEST_ACME_SERVER_H
#define MXSEAL_TEST_ACME_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "mxseal/str.h"

struct acme_server {
	pid_t pid;
	char *directory;           /* its URL */
	struct str anchors;        /* PEM that vouches for its https */
};

/* behaviour: "" or one of acme_server.c. state: a file in which it keeps what it was told, so that another one goes on.
 * kill_at: when the request of this number comes (from 1), victim is killed; 0 never. */
void acme_server_start(struct acme_server *s, const char *behaviour, const char *state, int kill_at, pid_t victim);
/* Did it run until now, or end as it was told to? */
bool acme_server_stop(struct acme_server *s);

#endif
