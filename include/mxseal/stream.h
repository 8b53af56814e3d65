/* A stream of bytes with deadlines: a socket, a channel of an SSH session, a pipe to a program. Opened by host.h and
 * probe.h; used by one thread. */
#ifndef MXSEAL_STREAM_H
#define MXSEAL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "mxseal/err.h"
#include "mxseal/str.h"

struct stream;

/* How a command's stream ended. Success of a remote command is never status 0 alone (a lost connection and a signal look
 * like 0 too): closed must be true and signal empty. */
struct stream_end {
	bool closed;        /* end of file was seen and the peer closed in order */
	int  status;        /* exit status of the command */
	char signal[16];    /* "TERM" when it was killed */
};

struct stream_ops {
	/* Reads what is there, at most n bytes; waits up to timeout_ms. 0 = end of file, -1 = error (RC_TIMEOUT, RC_NET). */
	ssize_t (*read)(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e);
	/* Writes all of it within timeout_ms. */
	int     (*write)(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e);
	int     (*shut)(struct stream *s, struct err *e);          /* no more input for the other side */
	void    (*close)(struct stream *s, struct stream_end *end);  /* frees s; end may be NULL */
};

struct stream {
	const struct stream_ops *ops;
	struct str errors;          /* what a command wrote to its standard error so far, at most 64 KiB */
	bool errors_wake;           /* read also gives up, with RC_FINDINGS, when errors grew: to answer a prompt there */
	char peek[4096];            /* read but not yet given out: stream_line */
	size_t peek_at, peek_len;
};

ssize_t stream_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e);
int     stream_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e);
int     stream_shut(struct stream *s, struct err *e);
/* Reads one line without its end (LF or CRLF) into out, at most max bytes (RC_LIMIT over that). Returns 1 for a line,
 * 0 for end of file with nothing read, -1. */
int     stream_line(struct stream *s, struct str *out, size_t max, int timeout_ms, struct err *e);
void    stream_close(struct stream *s, struct stream_end *end);   /* s may be NULL */

/* A connected TCP socket as a stream, from this machine. address is a name or a number. RC_NET says refused, timed out,
 * unreachable or no such name. The numeric address reached is copied to peer (may be NULL). cancel_fd: readable when
 * it shall give up (RC_CANCELLED), or -1; lent to the stream as long as it lives. */
int     stream_connect(struct stream **out, const char *address, int port, int timeout_ms, char peer[64], int cancel_fd,
            struct err *e);
/* A socket or pipe pair as a stream (both closed with it; the same number twice is fine). */
struct stream *stream_from_fds(int in, int out);
/* The descriptor behind a stream of the two kinds above, lent; -1 for others. */
int     stream_fd(const struct stream *s);

#endif
