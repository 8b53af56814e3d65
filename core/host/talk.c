/* Questions and answers with the script on a host: the asker's half of the protocol that the head of host_script.sh
 * describes. An answer counts only with its end marker, so a lost connection, a killed shell and a full pipe all come out
 * as errors, never as a short answer. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define LINE_LIMIT (1024u * 1024)

struct talk {
	struct host *h;
	struct stream *s;         /* NULL: broken, every question fails */
	char verb[32];
	struct str args;          /* lines */
	size_t n_args;
	struct str blob;
	bool refused;             /* an argument had control characters */
};

struct talk *
talk_new(struct host *h, struct stream *s)
{
	struct talk *t = xcalloc(1, sizeof(*t));

	t->h = h;
	t->s = s;
	str_init(&t->args, 0);
	str_init(&t->blob, 0);
	return t;
}

int
talk_open(struct talk **out, struct host *h, struct err *e)
{
	struct stream *s;
	struct err mine;

	*out = NULL;
	if (host_shell(h, &s, e != NULL ? e : &mine) < 0)
		return -1;
	*out = talk_new(h, s);
	return 0;
}

void
talk_verb(struct talk *t, const char *verb)
{
	snprintf(t->verb, sizeof(t->verb), "%s", verb);
	str_reset(&t->args);
	str_reset(&t->blob);
	t->n_args = 0;
	t->refused = false;
}

void
talk_arg(struct talk *t, const char *value)
{
	const char *p;

	if (value == NULL)
		value = "";
	for (p = value; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			t->refused = true;
	str_add(&t->args, value);
	str_addc(&t->args, '\n');
	t->n_args++;
}

void
talk_blob(struct talk *t, const void *mem, size_t len)
{
	str_addn(&t->blob, mem, len);
}

void
talk_close(struct talk *t)
{
	if (t == NULL)
		return;
	if (t->s != NULL)
		stream_shut(t->s, NULL);
	stream_close(t->s, NULL);
	str_wipe(&t->args);
	str_wipe(&t->blob);
	free(t);
}

/* Nothing more can be said on this shell. Returns -1. */
static int
talk_broken(struct talk *t)
{
	stream_close(t->s, NULL);
	t->s = NULL;
	return -1;
}

/* The shell ended in the middle: says how, with its last words. Returns -1. */
static int
talk_ended(struct talk *t, struct err *e)
{
	struct stream_end end;
	struct str last = STR_INIT;
	const char *line;

	str_addn(&last, t->s->errors.s, t->s->errors.len);
	stream_close(t->s, &end);
	t->s = NULL;
	line = text_trim(last.s);
	if (strrchr(line, '\n') != NULL)
		line = strrchr(line, '\n') + 1;
	if (!end.closed)
		err_set(e, RC_NET, "connection lost while %s was working%s%s", t->h->name, *line ? ": " : "",
		    *line ? clean(line) : "");
	else if (end.signal[0] != '\0')
		err_set(e, RC_NET, "the shell on %s was killed by signal %s", t->h->name, clean(end.signal));
	else
		err_set(e, RC_NET, "the shell on %s ended with status %d in the middle of its work%s%s", t->h->name, end.status,
		    *line ? ": " : "", *line ? clean(line) : "");
	str_release(&last);
	if (!end.closed)
		return host_lost(t->h, e);
	return -1;
}

static int
talk_send(struct talk *t, int timeout_ms, struct err *e)
{
	struct str q = STR_INIT;
	int rc;

	if (t->s == NULL)
		return err_set(e, RC_NET, "the shell on %s is gone", t->h->name);
	if (t->refused)
		return err_set(e, RC_INVALID, "a value with control characters cannot be sent to %s", t->h->name);
	if (t->args.over || t->blob.over)
		return err_set(e, RC_LIMIT, "too much to send to %s at once", t->h->name);
	str_addf(&q, "%s\n%zu\n", t->verb, t->n_args);
	str_addn(&q, t->args.s, t->args.len);
	str_addf(&q, "%zu\n", t->blob.len);
	rc = stream_write(t->s, q.s, q.len, timeout_ms, e);
	if (rc == 0 && t->blob.len > 0)
		rc = stream_write(t->s, t->blob.s, t->blob.len, timeout_ms, e);
	str_wipe(&q);
	str_wipe(&t->args);
	str_wipe(&t->blob);
	t->n_args = 0;
	if (rc == 0)
		return 0;
	if (e != NULL && e->code == RC_NET)
		return talk_ended(t, e);
	host_lost(t->h, e);
	return talk_broken(t);
}

/* What to do with an answer on its way. */
struct sink {
	struct str *text;              /* all lines, or NULL */
	struct sections *sections;     /* or NULL */
	int64_t until;                 /* end of the whole answer, 0: none */
	int wait_ms;                   /* of each wait when until is 0 */
};

static int
sink_wait(const struct sink *k)
{
	int64_t left;

	if (k->until == 0)
		return k->wait_ms;
	left = k->until - when_monotonic_ms();
	return left > 0 ? (int)left : 0;
}

/* The bytes of a section and the newline behind them. */
static int
take_bytes(struct talk *t, struct str *out, size_t want, const struct sink *k, struct err *e)
{
	char mem[65536];
	ssize_t n;

	while (want > 0) {
		n = stream_read(t->s, mem, want < sizeof(mem) ? want : sizeof(mem), sink_wait(k), e);
		if (n <= 0)
			return (int)n;
		if (out != NULL)
			str_addn(out, mem, (size_t)n);
		want -= (size_t)n;
	}
	do
		n = stream_read(t->s, mem, 1, sink_wait(k), e);
	while (n == 1 && mem[0] != '\n');
	return n <= 0 ? (int)n : 1;
}

/* "#+ NAME STATUS BYTES" and what follows. 1 taken, 0 end of file, -1. */
static int
take_section(struct talk *t, const char *head, const struct sink *k, struct err *e)
{
	struct section s = { .name = NULL, .status = 0, .text = STR_INIT };
	char name[128], tail;
	unsigned long bytes;
	int status, rc;

	if (sscanf(head, "#+ %127s %d %lu%c", name, &status, &bytes, &tail) != 3)
		return err_set(e, RC_PARSE, "%s answered with a section head that is none: %s", t->h->name, clean(head));
	if (bytes > HOST_SECTION_MAX)
		return err_set(e, RC_LIMIT, "the output of \"%s\" on %s has %lu bytes, more than the %u that are read",
		    clean(name), t->h->name, bytes, HOST_SECTION_MAX);
	str_init(&s.text, HOST_SECTION_MAX);
	rc = take_bytes(t, &s.text, bytes, k, e);
	if (rc == 1 && k->text != NULL) {
		str_addf(k->text, "%s\n", head);
		str_addn(k->text, s.text.s, s.text.len);
		str_addc(k->text, '\n');
	}
	if (rc == 1 && k->sections != NULL) {
		s.name = xstrdup(name);
		s.status = status;
		ARRAY_GROW(k->sections->v, k->sections->n);
		k->sections->v[k->sections->n++] = s;
	} else {
		str_release(&s.text);
	}
	return rc;
}

/* Collects until "#= STATUS sentence". Returns the status, or -1. */
static int
talk_answer(struct talk *t, const struct sink *k, struct err *e)
{
	struct str line = STR_INIT;
	int rc, status = -1;
	char *rest;
	long n;

	do {
		rc = stream_line(t->s, &line, LINE_LIMIT, sink_wait(k), e);
		if (rc <= 0)
			break;
		if (text_starts(line.s, "#= ")) {
			n = strtol(line.s + 3, &rest, 10);
			if (n < 0 || n > 255 || (*rest != ' ' && *rest != '\0')) {
				rc = err_set(e, RC_PARSE, "%s answered with an end marker that is none: %s", t->h->name,
				    clean(line.s));
				break;
			}
			status = (int)n;
			rest = text_trim(rest);
			if (status != 0 && *rest != '\0')
				err_set(e, RC_REMOTE, "%s", clean(rest));
			else if (status != 0)
				err_set(e, RC_REMOTE, "the step \"%s\" failed on %s with status %d", t->verb, t->h->name, status);
		} else if (text_starts(line.s, "#+ ")) {
			rc = take_section(t, line.s, k, e);
		} else if (k->text != NULL) {
			str_addn(k->text, line.s, line.len);
			str_addc(k->text, '\n');
		}
	} while (rc > 0 && status < 0);
	str_release(&line);
	if (rc == 0)
		return talk_ended(t, e);
	if (rc < 0) {
		if (e != NULL && e->code == RC_TIMEOUT)
			err_set(e, RC_TIMEOUT, "%s did not finish \"%s\" in time", t->h->name, t->verb);
		host_lost(t->h, e);
		return talk_broken(t);
	}
	return status;
}

int
talk_ask(struct talk *t, struct str *out, int timeout_ms, struct err *e)
{
	struct sink k = { .text = out, .until = when_monotonic_ms() + timeout_ms };
	struct err mine;
	int rc;

	if (e == NULL)
		e = &mine;
	if (talk_send(t, timeout_ms, e) < 0)
		return -1;
	rc = talk_answer(t, &k, e);
	if (rc >= 0 && out != NULL && out->over)
		return err_set(e, RC_LIMIT, "%s answered with more than fits", t->h->name);
	return rc;
}

int
talk_sections(struct talk *t, struct sections *out, int wait_ms, struct err *e)
{
	struct sink k = { .sections = out, .wait_ms = wait_ms };
	int rc;

	if (talk_send(t, wait_ms, e) < 0)
		return -1;
	rc = talk_answer(t, &k, e);
	return rc == 0 ? 0 : -1;
}
