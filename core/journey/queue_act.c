/* Doing something with messages that wait: which they are is taken at one moment, read again before the deed, and thousands of
 * them cost no more processes than one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define WORD_BYTES 60000u        /* of ids in one word of a command */
#define WORDS 20                 /* in one command */

/* --- taking --- */

struct taking { enum queue_by by; char *key; struct queue_ids ids, *out; };

static void
taking_free(void *data)
{
	struct taking *t = data;

	queue_ids_release(&t->ids);
	free(t->key);
	free(t);
}

static void
ids_of_messages(const struct queue_messages *m, struct queue_ids *out)
{
	size_t i;

	out->v = xcalloc(m->n + 1, sizeof(*out->v));
	for (i = 0; i < m->n; i++) {
		struct queue_id *id = &out->v[out->n];

		if (strlen(m->v[i].id) >= sizeof(id->id))
			continue;
		strcpy(id->id, m->v[i].id);
		id->arrival = m->v[i].arrival;
		id->state = QUEUE_DEFERRED;
		out->n++;
	}
}

static int
ids_take(struct host_job *hj, struct host *h, enum queue_by by, const char *key, struct queue_ids *ids, struct err *e)
{
	struct queue_view v = { .taken_at = 0 };
	int rc = poll_queue(hj, h, by, by == QUEUE_BY_DESTINATION ? key : NULL, 0, &v, e);

	if (rc == 0 && hj->slot->queue != NULL)
		queue_mirror_ids(hj->slot->queue, by, key, ids);
	else if (rc == 0 && by != QUEUE_BY_DESTINATION)
		rc = err_set(e, RC_LIMIT, "the queue of %s can only be listed in full: there, take messages of a destination", hj->server.name);
	else if (rc == 0) {
		queue_view_release(&v);
		rc = poll_queue(hj, h, by, key, QUEUE_MIRROR_MAX, &v, e);
		if (rc == 0)
			ids_of_messages(&v.taken, ids);
	}
	queue_view_release(&v);
	return rc;
}

static int
take_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct taking *t = hj->data;

	job_say(ctx, "counting");
	return ids_take(hj, h, t->by, t->key, &t->ids, e);
}

static int
take_finish(struct host_job *hj, int rc, struct err *e)
{
	struct taking *t = hj->data;

	(void)e;
	if (rc == 0) {
		*t->out = t->ids;
		t->ids = (struct queue_ids){ NULL, 0 };
	}
	return rc;
}

int64_t
queue_take(struct journey *j, int64_t server, enum queue_by by, const char *key, struct queue_ids *out, journey_done_fn *done,
    void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, server, done, arg, e);
	struct taking *t;

	if (hj == NULL)
		return -1;
	t = xcalloc(1, sizeof(*t));
	t->by = by;
	t->key = xstrdup(key);
	t->out = out;
	hj->data = t;
	hj->free_data = taking_free;
	hj->work = take_work;
	hj->finish = take_finish;
	return host_job_start(hj, "count", e);
}

/* --- acting --- */

static const char *const verbs[] = { "hold", "release", "retry", "delete", NULL };

struct acting {
	const char *verb;                /* one of verbs */
	bool again;                      /* read the queue again first */
	struct queue_ids ids;
	struct queue_acted acted, *out;
};

static void
acting_free(void *data)
{
	struct acting *a = data;

	queue_ids_release(&a->ids);
	free(a);
}

/* "act", verb, ids with commas between, from at on; where it ends. A queue id is letters and digits: nothing else gets near a
 * command. */
static size_t
act_words(const struct acting *a, size_t at, struct queue_words *w)
{
	struct str word = STR_INIT;

	w->v = xcalloc(WORDS + 3, sizeof(*w->v));
	w->v[w->n++] = xstrdup("act");
	w->v[w->n++] = xstrdup(a->verb);
	while (at < a->ids.n && w->n < WORDS + 2) {
		str_addf(&word, "%s%s", word.len > 0 ? "," : "", a->ids.v[at++].id);
		if (word.len > WORD_BYTES || at == a->ids.n)
			w->v[w->n++] = str_take(&word);
	}
	str_release(&word);
	return at;
}

/* "postsuper: Deleted: 2 messages": the numbers of such lines. */
static size_t
numbers_told(const char *text)
{
	const char *p, *at;
	size_t n = 0;

	for (p = text; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if ((text_starts(p, "postsuper: ") || text_starts(p, "retry: ")) && (at = strstr(p, " message")) != NULL &&
		    memchr(p, '\n', (size_t)(at - p)) == NULL) {
			while (at > p && at[-1] >= '0' && at[-1] <= '9')
				at--;
			n += strtoul(at, NULL, 10);
		}
	}
	return n;
}

/* What went wrong: the script's own word, or what the mail system said, without the lines that are only between us. */
static int
not_done(const struct host_job *hj, const char *text, struct err *e)
{
	struct str said = STR_INIT;
	const char *p;
	size_t n;

	if (strstr(text, "@no busy") != NULL)
		return err_set(e, RC_LOCKED, "another one is reading the queue of %s", hj->server.name);
	if (strstr(text, "@no qmgr") != NULL) {
		err_set(e, RC_REMOTE, "the queue manager of %s does not answer: the messages are due, and are tried as soon as it runs", hj->server.name);
		return err_hint(e, "look whether the mail system runs there: postfix status");
	}
	for (p = text; *p != '\0'; p += n + (p[n] == '\n')) {
		n = strcspn(p, "\n");
		if (*p != '@')
			str_addf(&said, "%s%.*s", said.len > 0 ? "; " : "", (int)n, p);
	}
	err_set(e, RC_REMOTE, "%s: %s", hj->server.name, said.len > 0 ? clean(said.s) : "its queue could not be acted on");
	str_release(&said);
	return -1;
}

static int
act_once(struct host_job *hj, struct host *h, const struct queue_words *w, struct err *e)
{
	struct acting *a = hj->data;
	struct command_list commands = { NULL, 0 };
	struct sections s = { NULL, 0 };
	struct host_cmd cmd;
	const char *text;
	int rc;

	system_of(&hj->server)->queue_look((const char *const *)w->v, w->n, &commands);
	cmd = (struct host_cmd){ "act", (const char *const *)commands.v[0].argv };
	rc = host_read(h, &cmd, 1, &s, e);
	text = rc == 0 ? s.v[0].text.s : "";
	if (rc == 0 && (s.v[0].status != 0 || strstr(text, "@end") == NULL))
		rc = not_done(hj, text, e);
	else if (rc == 0)
		a->acted.done += numbers_told(text);
	sections_release(&s);
	command_list_release(&commands);
	return rc;
}

static int
act_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct acting *a = hj->data;
	struct queue_view v = { .taken_at = 0 };
	struct queue_words w;
	size_t at = 0;
	int rc = 0;

	a->acted.asked = a->ids.n;
	if (system_of(&hj->server) == NULL || system_of(&hj->server)->queue_look == NULL)
		return err_set(e, RC_NOMAIL, "%s has no queue that mxseal can act on", hj->server.name);
	if (a->again) {
		job_say(ctx, "reading the queue again");
		rc = poll_queue(hj, h, QUEUE_BY_SERVER, NULL, 0, &v, e);
		queue_view_release(&v);
		if (rc == 0 && hj->slot->queue != NULL)
			a->acted.gone = queue_mirror_still(hj->slot->queue, &a->ids);
	}
	while (rc == 0 && at < a->ids.n && !job_cancelled(ctx)) {
		job_say(ctx, "%s: %zu of %zu", a->verb, at, a->ids.n);
		w = (struct queue_words){ NULL, 0 };
		at = act_words(a, at, &w);
		rc = act_once(hj, h, &w, e);
		queue_words_release(&w);
	}
	return rc;
}

static int
act_finish(struct host_job *hj, int rc, struct err *e)
{
	struct acting *a = hj->data;
	char text[128];

	hj->slot->queue_noted_ms = 0;          /* what it brings is noted with the next look */
	snprintf(text, sizeof(text), "%s of %zu messages, done with %zu", a->verb, a->acted.asked, a->acted.done);
	(void)note_activity(hj->journey, hj->server.name, "queue", rc, e, text);
	if (a->out != NULL)
		*a->out = a->acted;
	return rc;
}

static int64_t
act_start(struct journey *j, int64_t server, const char *verb, struct queue_ids *ids, bool again, struct queue_acted *out,
    journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_change_new(j, server, done, arg, e);
	struct acting *a;

	if (hj == NULL) {
		queue_ids_release(ids);
		return -1;
	}
	a = xcalloc(1, sizeof(*a));
	a->verb = verb;
	a->again = again;
	a->ids = *ids;
	a->out = out;
	hj->data = a;
	hj->free_data = acting_free;
	hj->work = act_work;
	hj->finish = act_finish;
	return host_job_start(hj, "queue", e);
}

static const char *
verb_of(const char *word, struct err *e)
{
	size_t i;

	for (i = 0; verbs[i] != NULL; i++)
		if (strcmp(verbs[i], word) == 0)
			return verbs[i];
	err_set(e, RC_USAGE, "messages can be held, released, retried or deleted, not \"%s\"", clean(word));
	return NULL;
}

int64_t
queue_act_on(struct journey *j, int64_t server, const char *verb, const struct queue_ids *ids, struct queue_acted *out,
    journey_done_fn *done, void *arg, struct err *e)
{
	struct queue_ids copy = { xcalloc(ids->n + 1, sizeof(*ids->v)), ids->n };
	const char *known = verb_of(verb, e);

	if (known == NULL) {
		queue_ids_release(&copy);
		return -1;
	}
	if (ids->n > 0)
		memcpy(copy.v, ids->v, ids->n * sizeof(*ids->v));
	return act_start(j, server, known, &copy, true, out, done, arg, e);
}

int64_t
queue_act(struct journey *j, int64_t server, const char *verb, const char *const *ids, size_t n, journey_done_fn *done,
    void *arg, struct err *e)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct queue_ids set = { NULL, 0 };
	const char *known = verb_of(verb, e);
	size_t i;

	if (known == NULL)
		return -1;
	for (i = 0; i < n; i++)
		if (ids[i][0] == '\0' || strlen(ids[i]) >= sizeof(set.v->id) || strspn(ids[i], allowed) != strlen(ids[i]))
			return err_set(e, RC_USAGE, "\"%s\" is not a queue id", clean(ids[i]));
	set.v = xcalloc(n + 1, sizeof(*set.v));
	for (i = 0; i < n; i++)
		strcpy(set.v[set.n++].id, ids[i]);
	return act_start(j, server, known, &set, false, NULL, done, arg, e);
}
