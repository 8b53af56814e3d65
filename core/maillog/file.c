/* Where a log comes from: a file of this machine, as it is or packed by gzip; a host, which packs what it sends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define PIECE 262144

/* By what it begins with; NULL: by nothing that is known here, or by gzip, which is read. */
static const char *
packed_otherwise(const char *mem, size_t len)
{
	static const struct { const char *begin; size_t n; const char *program; } known[] = {
		{ "\xfd" "7zXZ", 5, "xz" }, { "BZh", 3, "bzip2" }, { "\x28\xb5\x2f\xfd", 4, "zstd" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (len >= known[i].n && memcmp(mem, known[i].begin, known[i].n) == 0)
			return known[i].program;
	return NULL;
}

int
maillog_file(struct maillog *m, const char *path, struct err *e)
{
	gzFile f = gzopen(path, "rb");
	char *mem;
	const char *packer = NULL;
	long long all = 0;
	int n, rc = 0;

	if (f == NULL)
		return err_set(e, RC_NOTFOUND, "%s cannot be read: %s", clean(path), strerror(errno));
	gzbuffer(f, PIECE);
	mem = xcalloc(1, PIECE);
	while ((n = gzread(f, mem, PIECE)) > 0) {
		if (all == 0 && (packer = packed_otherwise(mem, (size_t)n)) != NULL)
			break;
		maillog_feed(m, mem, (size_t)n);
		all += n;
	}
	if (packer != NULL) {
		err_set(e, RC_PARSE, "%s is packed by %s, which is not unpacked here", clean(path), packer);
		rc = err_hint(e, "unpack it first: %s -dc FILE > LOG", packer);
	} else if (n < 0) {
		err_set(e, RC_PARSE, "%s cannot be unpacked: it is damaged after %lld bytes", clean(path), all);
		rc = err_hint(e, "unpack it first, or leave it out");
	}
	free(mem);
	gzclose(f);
	return rc;
}

/* --- from a host --- */

void
maillog_unpack_end(struct maillog *m)
{
	if (m->packed != NULL)
		inflateEnd(m->packed);
	free(m->packed);
	m->packed = NULL;
}

static int
damaged(struct maillog *m, struct err *e)
{
	m->coming = COMING_OVER;
	maillog_unpack_end(m);
	err_set(e, RC_PARSE, "what the host sends of its log is damaged");
	return err_hint(e, "try again; if it stays so, copy the log here and name it with --log");
}

static int
unpack(struct maillog *m, const char *mem, size_t len, struct err *e)
{
	z_stream *z = m->packed;
	char *out = xcalloc(1, PIECE);
	int rc = Z_OK;

	z->next_in = (unsigned char *)(uintptr_t)mem;
	z->avail_in = (unsigned)len;
	do {
		z->next_out = (unsigned char *)out;
		z->avail_out = PIECE;
		rc = inflate(z, Z_NO_FLUSH);
		maillog_feed(m, out, PIECE - z->avail_out);
	} while (rc == Z_OK && (z->avail_in > 0 || z->avail_out == 0));
	free(out);
	if (rc == Z_STREAM_END) {
		m->coming = COMING_OVER;
		maillog_unpack_end(m);
	}
	return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? 0 : damaged(m, e);
}

/* One line of what stands in front of the log. */
static int
take_head(struct maillog *m, struct err *e)
{
	m->head[m->n_head] = '\0';
	if (strcmp(m->head, "-- packed\n") == 0) {
		m->coming = COMING_PACKED;
		m->packed = xcalloc(1, sizeof(*m->packed));
		if (inflateInit2(m->packed, 15 + 16) != Z_OK)    /* gzip's own head */
			return damaged(m, e);
	} else {
		if (strncmp(m->head, "-- ", 3) != 0)
			m->coming = COMING_PLAIN;
		maillog_feed(m, m->head, m->n_head);
	}
	m->n_head = 0;
	return 0;
}

int
maillog_host(struct maillog *m, const char *mem, size_t len, struct err *e)
{
	int rc = 0;

	for (; len > 0 && m->coming == COMING_HEAD && rc == 0; mem++, len--) {
		m->head[m->n_head++] = *mem;
		if (*mem == '\n' || m->n_head + 1 == sizeof(m->head))
			rc = take_head(m, e);
	}
	if (rc == -1 || len == 0 || m->coming == COMING_OVER)
		return rc;
	if (m->coming == COMING_PACKED)
		return unpack(m, mem, len, e);
	maillog_feed(m, mem, len);
	return 0;
}

int
maillog_host_end(struct maillog *m, struct err *e)
{
	if (m->coming == COMING_PACKED)
		return damaged(m, e);
	maillog_feed(m, m->head, m->n_head);
	m->n_head = 0;
	return 0;
}
