/* A mail server on loopback that misbehaves in a chosen way, in a child process, with certificates made for the test. */
#ifndef MXSEAL_TEST_SMTP_PEER_H
#define MXSEAL_TEST_SMTP_PEER_H

#include <sys/types.h>

#define PEER_NAME "mx.peer.test"

enum peer_mode {
	PEER_GOOD, PEER_NO_STARTTLS, PEER_MASKED, PEER_REFUSE_454, PEER_CLOSE_ON_STARTTLS, PEER_CLOSE_AFTER_220, PEER_GARBAGE,
	PEER_PIPELINED, PEER_HANG, PEER_SILENT, PEER_TLS10, PEER_BANNER_421, PEER_LONG_REPLY, PEER_LONG_LINE, PEER_DRIP,
	PEER_NOT_SMTP, PEER_CLIENT_CERT, PEER_CLIENT_CERT_TLS12, PEER_IMPLICIT, PEER_HELO_ONLY, PEER_CHANGING_CODE,
};
enum peer_certificate { CERT_GOOD, CERT_EXPIRED, CERT_EARLY, CERT_WRONG_NAME, CERT_SELF_SIGNED, CERT_UNTRUSTED };

struct smtp_peer { pid_t pid; int port; };

/* PEM of the authority behind the good certificates. Made at the first call. */
const char *peer_roots(void);
void smtp_peer_start(struct smtp_peer *p, enum peer_mode mode, enum peer_certificate certificate);
void smtp_peer_stop(struct smtp_peer *p);

#endif
