/* Connections of a look from this machine; they end when the job is cancelled. */
#include "mxseal/probe.h"

int
probe_dial_here(void *arg, const char *address, int port, int timeout_ms, struct stream **out, char peer[64], struct err *e)
{
	const struct job_ctx *ctx = arg;

	return stream_connect(out, address, port, timeout_ms, peer, ctx != NULL ? job_cancel_fd(ctx) : -1, e);
}
