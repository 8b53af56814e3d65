/* The user's ssh-agent (draft-miller-ssh-agent): which keys it holds, and signatures by them. libssh2 has a client too, but
 * it cannot ask for RSA signatures with SHA-2. Everything the agent says has a ceiling and a deadline: it may be a
 * forwarded one, or wait for a touch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"
#include "keys.h"

enum { ASK_IDENTITIES = 11, IDENTITIES = 12, ASK_SIGN = 13, SIGNED = 14 };

#define ANSWER_MAX (256u * 1024)
#define KEYS_MAX 64

void
wire_u32(struct str *out, uint32_t n)
{
	unsigned char b[4] = { (unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n };

	str_addn(out, b, 4);
}

void
wire_string(struct str *out, const void *mem, size_t len)
{
	wire_u32(out, (uint32_t)len);
	str_addn(out, mem, len);
}

bool
wire_get_u32(struct wire *w, uint32_t *n)
{
	if (w->end - w->p < 4)
		return false;
	*n = (uint32_t)w->p[0] << 24 | (uint32_t)w->p[1] << 16 | (uint32_t)w->p[2] << 8 | w->p[3];
	w->p += 4;
	return true;
}

bool
wire_get_string(struct wire *w, const unsigned char **s, size_t *len)
{
	uint32_t n;

	if (!wire_get_u32(w, &n) || n > (size_t)(w->end - w->p))
		return false;
	*s = w->p;
	*len = n;
	w->p += n;
	return true;
}

struct agent {
	struct stream *s;
	struct str answer;
};

int
agent_open(struct agent **out, const char *path, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct agent *g;
	int fd;

	*out = NULL;
	if (strlen(path) >= sizeof(a.sun_path))
		return err_set(e, RC_AUTH, "the path of the ssh agent's socket is too long");
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		err_set(e, RC_AUTH, "the ssh agent at %s cannot be reached: %s", clean(path), strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	g = xcalloc(1, sizeof(*g));
	g->s = stream_from_fds(fd, fd);
	str_init(&g->answer, ANSWER_MAX);
	*out = g;
	return 0;
}

void
agent_close(struct agent *g)
{
	if (g == NULL)
		return;
	stream_close(g->s, NULL);
	str_release(&g->answer);
	free(g);
}

static int
read_exactly(struct stream *s, void *mem, size_t n, int64_t until, struct err *e)
{
	unsigned char *p = mem;
	int64_t left;
	ssize_t got;

	while (n > 0) {
		left = until - when_monotonic_ms();
		got = stream_read(s, p, n, left > 0 ? (int)left : 0, e);
		if (got < 0)
			return -1;
		if (got == 0)
			return err_set(e, RC_AUTH, "the ssh agent hung up");
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* One question; the answer (type byte first) stands in g->answer. */
static int
agent_ask(struct agent *g, const struct str *question, int timeout_ms, struct err *e)
{
	int64_t until = when_monotonic_ms() + timeout_ms;
	struct str packet = STR_INIT;
	unsigned char head[4], mem[4096];
	size_t left, n;
	int rc;

	wire_string(&packet, question->s, question->len);
	rc = stream_write(g->s, packet.s, packet.len, timeout_ms, e);
	str_release(&packet);
	if (rc < 0 || read_exactly(g->s, head, 4, until, e) < 0)
		return -1;
	left = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (left == 0 || left > ANSWER_MAX)
		return err_set(e, RC_AUTH, "the ssh agent gave an answer of %zu bytes", left);
	for (str_reset(&g->answer); left > 0; left -= n) {
		n = left < sizeof(mem) ? left : sizeof(mem);
		if (read_exactly(g->s, mem, n, until, e) < 0)
			return -1;
		str_addn(&g->answer, mem, n);
	}
	return 0;
}

int
agent_list(struct agent *g, struct blob_list *out, struct err *e)
{
	struct str q = STR_INIT;
	const unsigned char *blob, *comment;
	size_t len, clen;
	struct wire w;
	uint32_t n, i;
	int rc;

	str_addc(&q, ASK_IDENTITIES);
	rc = agent_ask(g, &q, HOST_TIMEOUT_MS, e);
	str_release(&q);
	if (rc < 0)
		return -1;
	w = (struct wire){ (unsigned char *)g->answer.s + 1, (unsigned char *)g->answer.s + g->answer.len };
	if (g->answer.s[0] != IDENTITIES || !wire_get_u32(&w, &n))
		return err_set(e, RC_AUTH, "the ssh agent does not list its keys");
	for (i = 0; i < n && i < KEYS_MAX; i++) {
		if (!wire_get_string(&w, &blob, &len) || !wire_get_string(&w, &comment, &clen))
			return err_set(e, RC_AUTH, "the ssh agent's list of keys is broken");
		blob_list_add(out, blob, len);
	}
	return 0;
}

int
agent_sign(struct agent *g, const unsigned char *blob, size_t blob_len, const void *data, size_t data_len,
    const char *algorithm, struct str *out, struct err *e)
{
	uint32_t flags = text_eq(algorithm, "rsa-sha2-512") ? 4 : text_eq(algorithm, "rsa-sha2-256") ? 2 : 0;
	const unsigned char *sig, *name, *raw;
	size_t sig_len, name_len, raw_len;
	struct str q = STR_INIT;
	struct wire w;
	int rc;

	str_addc(&q, ASK_SIGN);
	wire_string(&q, blob, blob_len);
	wire_string(&q, data, data_len);
	wire_u32(&q, flags);
	rc = agent_ask(g, &q, AGENT_SIGN_MS, e);
	str_release(&q);
	if (rc < 0)
		return -1;
	w = (struct wire){ (unsigned char *)g->answer.s + 1, (unsigned char *)g->answer.s + g->answer.len };
	if (g->answer.s[0] != SIGNED || !wire_get_string(&w, &sig, &sig_len))
		return err_set(e, RC_AUTH, "the ssh agent refused to sign");
	w = (struct wire){ sig, sig + sig_len };
	if (!wire_get_string(&w, &name, &name_len) || !wire_get_string(&w, &raw, &raw_len))
		return err_set(e, RC_AUTH, "the ssh agent's signature is broken");
	if (name_len != strlen(algorithm) || memcmp(name, algorithm, name_len) != 0)
		return err_set(e, RC_AUTH, "the ssh agent does not sign by %s", algorithm);
	str_addn(out, raw, raw_len);
	return 0;
}

void
blob_list_add(struct blob_list *l, const unsigned char *blob, size_t len)
{
	struct blob b = { .mem = xcalloc(1, len + 1), .len = len };

	memcpy(b.mem, blob, len);
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = b;
}

void
blob_list_release(struct blob_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].mem);
	free(l->v);
	*l = (struct blob_list){ .n = 0 };
}
