/* Joins the lines of one process into delivery attempts: what smtp(8) said since its last delivery belongs to the next one it
 * names. Where several mail servers were tried, the lines of the one that decided count. Text of a stranger: what is not
 * understood is passed over, every table has a ceiling. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/xalloc.h"
#include "private.h"

#define PROCESSES 256        /* at a time; more, and the one that was silent longest is forgotten */
#define SHARED "tlsproxy"    /* one for all of them */
#define LINES_KEPT 24        /* of one attempt */
#define ATTEMPTS_KEPT 64     /* the newest */
#define SENT_KEPT 32         /* the newest */

struct process {
	char *key;               /* "postfix/smtp[123]" */
	char *lines[LINES_KEPT];
	size_t n;
	char closed[32];         /* queue id of the delivery that its lines belonged to; "": none yet */
	bool counted;            /* ... and that is an attempt already */
	unsigned long used;
};

struct attempts {
	struct log_lines cutter;
	struct log_clock clock;
	char *domain;
	struct process processes[PROCESSES];
	unsigned long count;
	char *tls;               /* the line of the TLS session, before the one of its delivery */
	struct attempts_seen seen;
};

struct attempts *
attempts_new(const char *domain, int64_t now)
{
	struct attempts *a = xcalloc(1, sizeof(*a));

	log_clock_utc(&a->clock, now);
	a->domain = xstrdup(domain);
	return a;
}

static void
attempt_release(struct attempt *t)
{
	free(t->id);
	free(t->relay);
	free(t->status);
	free(t->reason);
	free(t->line);
}

static void
delivery_release(struct delivery *d)
{
	free(d->relay);
	free(d->tls);
}

void
attempts_seen_release(struct attempts_seen *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		attempt_release(&s->v[i]);
	free(s->v);
	for (i = 0; i < s->n_sent; i++)
		delivery_release(&s->sent[i]);
	free(s->sent);
	memset(s, 0, sizeof(*s));
}

static void
process_clear(struct process *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		free(p->lines[i]);
	p->n = 0;
	p->closed[0] = '\0';
	p->counted = false;
}

void
attempts_free(struct attempts *a)
{
	size_t i;

	if (a == NULL)
		return;
	for (i = 0; i < PROCESSES; i++) {
		process_clear(&a->processes[i]);
		free(a->processes[i].key);
	}
	attempts_seen_release(&a->seen);
	free(a->domain);
	free(a->tls);
	free(a);
}

static struct process *
process_of(struct attempts *a, const char *key)
{
	struct process *oldest = a->processes;
	size_t i;

	for (i = 0; i < PROCESSES; i++) {
		struct process *p = &a->processes[i];

		if (p->key != NULL && strcmp(p->key, key) == 0) {
			p->used = ++a->count;
			return p;
		}
		if (p->used < oldest->used)
			oldest = p;
	}
	process_clear(oldest);
	xset(&oldest->key, key);
	oldest->used = ++a->count;
	return oldest;
}

/* What stands behind NAME up to one of the stops; NULL: it is not there. */
static char *
field(const char *text, const char *name, const char *stops)
{
	const char *p = strstr(text, name);

	if (p == NULL)
		return NULL;
	p += strlen(name);
	return xstrndup(p, strcspn(p, stops));
}

/* "A1B2C3: to=<user@domain>, ..." */
static bool
is_delivery(const char *text)
{
	size_t n;
	const char *p = log_queue_id(text, &n);

	return p != NULL && text_starts(p, "to=<") && strstr(p, " status=") != NULL;
}

static bool
is_for(const struct attempts *a, const char *text)
{
	char *to = field(text, ": to=<", ">"), *at = to != NULL ? strrchr(to, '@') : NULL;
	bool is = a->domain == NULL || (at != NULL && text_ieq(at + 1, a->domain));

	free(to);
	return is;
}

/* The names of servers in a line: "mx.bank.test[192.0.2.1]:25". Does it speak of another one than relay? */
static bool
speaks_of_another(const char *text, const char *relay)
{
	const char *bracket, *p, *close;

	if (relay == NULL || strcmp(relay, "none") == 0)
		return false;
	for (bracket = strchr(text, '['); bracket != NULL; bracket = strchr(bracket + 1, '[')) {
		close = strchr(bracket, ']');
		if (close == NULL || strcspn(bracket, ".:") > (size_t)(close - bracket))
			continue;
		for (p = bracket; p > text && (isalnum((unsigned char)p[-1]) || strchr(".-_", p[-1]) != NULL); p--)
			;
		return strncmp(p, relay, (size_t)(close - p + 1)) != 0;
	}
	return false;
}

/* The lines that belong to the server that decided: those about another one, and what follows each of them, do not. */
static size_t
own_lines(const struct process *p, const char *relay, const char *out[LINES_KEPT + 1])
{
	size_t i, n = 0;
	bool other = false;

	for (i = 0; i < p->n; i++) {
		if (strchr(p->lines[i], '[') != NULL)
			other = speaks_of_another(p->lines[i], relay);
		if (!other)
			out[n++] = p->lines[i];
	}
	return n;
}

static void
close_attempt(struct attempts *a, struct process *p, const char *text, int64_t at)
{
	const char *lines[LINES_KEPT + 1], *reason;
	struct attempts_seen *s = &a->seen;
	struct classified c;
	struct attempt *t;
	size_t n, decided, len;

	if (s->n == ATTEMPTS_KEPT) {
		attempt_release(&s->v[0]);
		memmove(s->v, s->v + 1, (s->n - 1) * sizeof(*s->v));
		s->n--;
	}
	if (s->v == NULL)
		s->v = xcalloc(ATTEMPTS_KEPT, sizeof(*s->v));
	t = &s->v[s->n++];
	*t = (struct attempt){ .at = at, .id = xstrndup(text, strcspn(text, ":")), .relay = field(text, " relay=", ","),
	    .status = field(text, " status=", " ") };
	n = own_lines(p, t->relay, lines);
	lines[n++] = text;
	classify_attempt(lines, n, "postfix", &c, &decided);
	t->failure = c.failure;
	t->joined = decided + 1 < n;
	t->line = xstrdup(lines[decided]);
	reason = strstr(text, " status=");
	reason = strchr(reason + 1, ' ') != NULL ? strchr(reason + 1, ' ') + 1 : "";
	len = strlen(reason);
	t->reason = *reason == '(' && len > 1 && reason[len - 1] == ')' ? xstrndup(reason + 1, len - 2) : xstrdup(reason);
}

/* One recipient of a delivery. Further ones of the same are the same attempt. */
static void
delivery(struct attempts *a, struct process *p, const char *text, int64_t at)
{
	struct process *shared = process_of(a, SHARED);
	size_t n = strcspn(text, ":"), i;

	if (p->closed[0] != '\0' && (strlen(p->closed) != n || strncmp(p->closed, text, n) != 0))
		process_clear(p);
	if (is_for(a, text) && strstr(text, " status=sent ") == NULL && !p->counted) {
		for (i = 0; i < shared->n && p->n < LINES_KEPT; i++)
			p->lines[p->n++] = xstrdup(shared->lines[i]);
		close_attempt(a, p, text, at);
		p->counted = true;
	}
	process_clear(shared);
	snprintf(p->closed, sizeof(p->closed), "%.*s", (int)n, text);
}

static void
one_text(struct attempts *a, const char *key, const char *text, int64_t at)
{
	/* lines of tlsproxy(8) stand right before the delivery that they belong to: the host has put them there */
	struct process *p = process_of(a, strstr(key, "/tlsproxy[") != NULL ? SHARED : key);

	if (is_delivery(text)) {
		delivery(a, p, text, at);
		return;
	}
	if (p->closed[0] != '\0')
		process_clear(p);
	if (p->n < LINES_KEPT)
		p->lines[p->n++] = xstrdup(text);
}

/* "Trusted TLS connection established to mx.bank.test[192.0.2.1]:25: TLSv1.3 with cipher ..." as "Trusted, TLSv1.3 with cipher ...";
 * NULL: it is about another server. */
static char *
tls_of(const char *line, const char *relay)
{
	static const char words[] = " TLS connection ";
	const char *at = line != NULL ? strstr(line, words) : NULL, *to, *begin;

	if (at == NULL || (to = strstr(at, " to ")) == NULL || relay == NULL)
		return NULL;
	to += strlen(" to ");
	if (!text_starts(to, relay) || !text_starts(to + strlen(relay), ": "))
		return NULL;
	for (begin = at; begin > line && isalpha((unsigned char)begin[-1]); begin--)
		;
	return xasprintf("%.*s, %s", (int)(at - begin), begin, to + strlen(relay) + 2);
}

static void
went_well(struct attempts *a, const char *text, int64_t at)
{
	struct attempts_seen *s = &a->seen;
	struct delivery *d;

	s->sent_at = at;
	if (!is_delivery(text) || !is_for(a, text))
		return;
	if (s->n_sent == SENT_KEPT) {
		delivery_release(&s->sent[0]);
		memmove(s->sent, s->sent + 1, (s->n_sent - 1) * sizeof(*s->sent));
		s->n_sent--;
	}
	if (s->sent == NULL)
		s->sent = xcalloc(SENT_KEPT, sizeof(*s->sent));
	d = &s->sent[s->n_sent++];
	*d = (struct delivery){ .at = at, .relay = field(text, " relay=", ",") };
	d->tls = tls_of(a->tls, d->relay);
	xset(&a->tls, NULL);
}

/* What the script puts in front of a line; nothing: a line of an attempt. */
static const struct { const char *word; enum kind { PLAIN, TLS, SENT, FIRST } kind; } marks[] = {
	{ "-- tls ", TLS }, { "-- sent ", SENT }, { "-- first ", FIRST }, { "", PLAIN },
};

static void
one_line(void *arg, const char *line, size_t len)
{
	struct attempts *a = arg;
	struct log_line l;
	char key[128];
	int64_t at = 0;
	size_t i;

	if (text_starts(line, "-- now ")) {
		if (log_clock_hear(&a->clock, line + strlen("-- now ")))
			a->seen.clock = a->clock.now;
		return;
	}
	if (text_starts(line, "-- depth ")) {
		a->seen.tls_logged = atoi(line + strlen("-- depth ")) > 0;
		return;
	}
	for (i = 0; !text_starts(line, marks[i].word); i++)
		;
	line += strlen(marks[i].word);
	len -= strlen(marks[i].word);
	if (!log_line_parse(line, len, &l) || l.n >= sizeof(key) || !log_stamp(&a->clock, line, len, &at))
		return;
	snprintf(key, sizeof(key), "%.*s", (int)l.n, l.program);
	switch (marks[i].kind) {
	case TLS:
		xset(&a->tls, l.text);
		break;
	case SENT:
		went_well(a, l.text, at);
		break;
	case FIRST:
		a->seen.first_at = at;
		break;
	case PLAIN:
		one_text(a, key, l.text, at);
	}
}

void
attempts_feed(struct attempts *a, const char *mem, size_t len)
{
	log_lines_feed(&a->cutter, mem, len, one_line, a);
}

void
attempts_end(struct attempts *a, struct attempts_seen *out)
{
	attempts_feed(a, "\n", 1);
	*out = a->seen;
	memset(&a->seen, 0, sizeof(a->seen));
}
