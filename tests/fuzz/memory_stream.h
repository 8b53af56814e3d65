/* A stream that gives what the fuzzer made and swallows what is written. For fuzz targets and tests only. */
#ifndef MXSEAL_FUZZ_MEMORY_STREAM_H
#define MXSEAL_FUZZ_MEMORY_STREAM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/stream.h"

struct memory_stream {
	struct stream s;
	const uint8_t *data;
	size_t left, piece;       /* piece: at most so much at a time */
	uint8_t written[512];     /* what was written first */
	size_t n_written;
};

static ssize_t
memory_read(struct stream *s, void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct memory_stream *m = (struct memory_stream *)s;
	(void)timeout_ms;
	(void)e;

	if (n > m->left)
		n = m->left;
	if (n > m->piece)
		n = m->piece;
	if (n > 0)
		memcpy(mem, m->data, n);
	m->data += n;
	m->left -= n;
	return (ssize_t)n;
}

static int
memory_write(struct stream *s, const void *mem, size_t n, int timeout_ms, struct err *e)
{
	struct memory_stream *m = (struct memory_stream *)s;
	(void)timeout_ms;
	(void)e;

	if (n > sizeof(m->written) - m->n_written)
		n = sizeof(m->written) - m->n_written;
	memcpy(m->written + m->n_written, mem, n);
	m->n_written += n;
	return 0;
}

static int
memory_shut(struct stream *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static void
memory_close(struct stream *s, struct stream_end *end)
{
	if (end != NULL)
		*end = (struct stream_end){ .closed = true };
	str_release(&s->errors);
	free(s);
}

static struct memory_stream *
memory_stream_new(const uint8_t *data, size_t size, size_t piece)
{
	static const struct stream_ops ops = { .read = memory_read, .write = memory_write, .shut = memory_shut,
		.close = memory_close };
	struct memory_stream *m = calloc(1, sizeof(*m));

	if (m == NULL)
		abort();
	m->s.ops = &ops;
	str_init(&m->s.errors, 1024);
	m->data = data;
	m->left = size;
	m->piece = piece;
	return m;
}

#endif
