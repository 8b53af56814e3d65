/* A whole look at a mail server whose every byte is the fuzzer's: greeting, EHLO, STARTTLS, handshake. The first byte chooses
 * the size of the pieces and whether TLS begins at once. */
#include <stdint.h>
#include <stdlib.h>

#include "mxseal/clean.h"
#include "mxseal/failure.h"
#include "mxseal/probe.h"
#include "memory_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input { const uint8_t *data; size_t size, piece; };

static int
dial(void *arg, const char *address, int port, int timeout_ms, struct stream **out, char peer[64], struct err *e)
{
	const struct input *in = arg;
	(void)address;
	(void)port;
	(void)timeout_ms;
	(void)e;

	peer[0] = '\0';
	*out = &memory_stream_new(in->data, in->size, in->piece)->s;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data + 1, size - 1, size > 0 ? 1u + (data[0] >> 1) * 8u : 1 };
	const struct dialer d = { .fn = dial, .arg = &in, .from = "here" };
	struct probe_options o = { .timeout_ms = 1000, .implicit_tls = size > 0 && (data[0] & 1), .helo = "fuzz.test" };
	struct probe_host p;
	size_t i;

	if (size == 0)
		return 0;
	if (probe_smtp(&d, "x.test", "192.0.2.1", 25, &o, &p, NULL) != 0 || p.class_name == NULL ||
	    failure_find(p.class_name) == failure_find("unknown"))
		abort();
	for (i = 0; i < p.n_ehlo; i++)
		if (!clean_is(p.ehlo[i], strlen(p.ehlo[i])))
			abort();
	if (p.trouble != NULL && !clean_is(p.trouble, strlen(p.trouble)))
		abort();
	probe_host_release(&p);
	return 0;
}
