/* Answers of a mail host's resolver over TCP. Number and question of the query are put in front, so that the fuzzer comes
 * past the first check; the rest is its own. */
#include <arpa/nameser.h>
#include <stdint.h>
#include <stdlib.h>

#include "mxseal/probe.h"
#include "memory_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t input_size;
static uint8_t reply[70000];
static const struct stream_ops *plain_ops;

/* At the first read the query is there: makes the reply from it. */
static ssize_t
answer(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct memory_stream *m = (struct memory_stream *)s;
	size_t question, len;

	if (m->data == NULL) {
		/* two bytes of length, twelve of header, then the question */
		question = m->n_written > 14 ? m->n_written - 14 : 0;
		len = 12 + question + (input_size > 8 ? input_size - 8 : 0);
		if (len > 65535)
			return 0;
		reply[0] = (uint8_t)(len >> 8);
		reply[1] = (uint8_t)len;
		memcpy(reply + 2, m->written + 2, 2);
		memset(reply + 4, 0, 10);
		memcpy(reply + 4, input, input_size < 8 ? input_size : 8);
		memcpy(reply + 14, m->written + 14, question);
		if (input_size > 8)
			memcpy(reply + 14 + question, input + 8, input_size - 8);
		m->data = reply;
		m->left = len + 2;
	}
	return plain_ops->read(s, mem, n, timeout_ms, e);
}

static int
dial(void *arg, const char *address, int port, int timeout_ms, struct stream **out, char peer[64], struct err *e)
{
	static struct stream_ops ops;
	struct memory_stream *m = memory_stream_new(NULL, 0, 1000);
	(void)arg;
	(void)address;
	(void)port;
	(void)timeout_ms;
	(void)e;

	peer[0] = '\0';
	plain_ops = m->s.ops;
	ops = *m->s.ops;
	ops.read = answer;
	m->s.ops = &ops;
	*out = &m->s;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dialer d = { .fn = dial, .from = "mx1" };
	struct mx_list l;
	struct err e;

	if (size > 60000)
		return 0;
	input = data;
	input_size = size;
	if (dns_mx_via(&d, "search x\nnameserver 192.0.2.53\n", "x.test", &l, &e) == 0)
		mx_list_release(&l);
	return 0;
}
