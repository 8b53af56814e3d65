/* Readings: commands of a driver run as root on a host. Many small ones in one question, or one large one as a stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define SILENCE 4                     /* a command may be quiet this many timeouts: a dead peer is noticed otherwise */
#define HOLD 1024                     /* the answer at the end of a stream is shorter */

const struct section *
section_find(const struct sections *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (text_eq(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

const char *
section_text(const struct sections *s, const char *name)
{
	const struct section *found = section_find(s, name);

	return found != NULL && found->status == 0 ? found->text.s : NULL;
}

void
sections_release(struct sections *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->v[i].name);
		str_release(&s->v[i].text);
	}
	free(s->v);
	*s = (struct sections){ .n = 0 };
}

static size_t
argv_args(struct talk *t, const char *const argv[])
{
	size_t n;

	for (n = 0; argv[n] != NULL; n++)
		talk_arg(t, argv[n]);
	return n;
}

int
host_read(struct host *h, const struct host_cmd *cmds, size_t n, struct sections *out, struct err *e)
{
	size_t i, words, before = out->n;
	struct err mine;
	char number[24];

	if (e == NULL)
		e = &mine;
	if (h->reader == NULL && talk_open(&h->reader, h, e) < 0)
		return -1;
	talk_verb(h->reader, "read");
	for (i = 0; i < n; i++) {
		talk_arg(h->reader, cmds[i].name);
		for (words = 0; cmds[i].argv[words] != NULL; words++)
			;
		snprintf(number, sizeof(number), "%zu", words);
		talk_arg(h->reader, number);
		argv_args(h->reader, cmds[i].argv);
	}
	if (talk_sections(h->reader, out, SILENCE * h->timeout_ms, e) < 0) {
		if (e->code != RC_REMOTE) {         /* the shell may be in the middle of something: a new one next time */
			talk_close(h->reader);
			h->reader = NULL;
		}
		return -1;
	}
	if (out->n - before != n)
		return err_set(e, RC_PARSE, "%s answered %zu of %zu questions", h->name, out->n - before, n);
	return 0;
}

/* The script's answer at the end of what a stream gave: "\n#= STATUS sentence\n". */
static int
stream_status(const char *mem, size_t len, size_t *body, int *status)
{
	size_t at;
	char *end;
	long n;

	if (len < 6 || mem[len - 1] != '\n')
		return -1;
	for (at = len - 1; at > 0 && mem[at - 1] != '\n'; at--)
		;
	if (at == 0 || len - at < 5 || memcmp(mem + at, "#= ", 3) != 0)
		return -1;
	n = strtol(mem + at + 3, &end, 10);
	if ((*end != ' ' && *end != '\n') || n < 0 || n > 255)
		return -1;
	*status = (int)n;
	*body = at - 1;
	return 0;
}

static int
stream_body(struct host *h, struct stream *s, host_data_fn *fn, void *arg, int *status, struct err *e)
{
	char *mem = xcalloc(1, 65536 + HOLD);
	size_t have = 0, body;
	ssize_t n;
	int rc = -1;

	while ((n = stream_read(s, mem + have, 65536, SILENCE * h->timeout_ms, e)) > 0) {
		have += (size_t)n;
		if (have <= HOLD)
			continue;
		if (fn(mem, have - HOLD, arg) < 0) {
			err_set(e, RC_CANCELLED, "no more was wanted");
			goto out;
		}
		memmove(mem, mem + have - HOLD, HOLD);
		have = HOLD;
	}
	if (n < 0) {
		host_lost(h, e);
		goto out;
	}
	if (stream_status(mem, have, &body, status) < 0) {
		err_set(e, RC_NET, "connection lost while reading from %s", h->name);
		goto out;
	}
	if (body > 0 && fn(mem, body, arg) < 0) {
		err_set(e, RC_CANCELLED, "no more was wanted");
		goto out;
	}
	rc = 0;
out:
	free(mem);
	return rc;
}

int
host_stream(struct host *h, const char *const argv[], host_data_fn *fn, void *arg, int *status, struct err *e)
{
	struct str question = STR_INIT;
	struct stream_end end;
	struct stream *s;
	struct err mine;
	size_t n;
	int rc;

	if (e == NULL)
		e = &mine;
	for (n = 0; argv[n] != NULL; n++)
		if (strpbrk(argv[n], "\r\n") != NULL)
			return err_set(e, RC_INVALID, "a command word with a line end cannot be sent to %s", h->name);
	if (host_shell(h, &s, e) < 0)
		return -1;
	str_addf(&question, "stream\n%zu\n", n);
	for (n = 0; argv[n] != NULL; n++)
		str_addf(&question, "%s\n", argv[n]);
	str_add(&question, "0\n");
	rc = stream_write(s, question.s, question.len, h->timeout_ms, e);
	str_release(&question);
	if (rc < 0)
		host_lost(h, e);
	else if ((rc = stream_shut(s, e)) == 0)
		rc = stream_body(h, s, fn, arg, status, e);
	stream_close(s, &end);
	if (rc == 0 && (!end.closed || end.signal[0] != '\0')) {
		err_set(e, RC_NET, "connection lost while reading from %s", h->name);
		return host_lost(h, e);
	}
	return rc;
}
