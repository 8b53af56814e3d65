/* The queue story: what waits, and what to do with it. Why it waits is diagnosis.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

void
queue_view_release(struct queue_view *v)
{
	queue_groups_release(&v->groups);
	queue_messages_release(&v->taken);
	free(v->note);
	memset(v, 0, sizeof(*v));
}

/* --- poll --- */

struct polling {
	enum queue_by by;
	char *destination;
	size_t limit;
	struct queue_view view, *out;
};

static void
polling_free(void *data)
{
	struct polling *p = data;

	queue_view_release(&p->view);
	free(p->destination);
	free(p);
}

static int
feed(const char *mem, size_t len, void *arg)
{
	return queue_reader_feed(arg, mem, len);
}

const struct mailsys *
system_of(const struct server *sv)
{
	return mailsys_find(sv->mailsys ? sv->mailsys : "postfix");
}

/* The mail system's own listing, whole. */
static int
list_queue(struct host *h, const struct server *sv, enum queue_by by, const char *destination, size_t limit,
    struct queue_view *out, struct err *e)
{
	struct queue_reader *q = queue_reader_new(by, sv->name, destination, limit);
	const struct mailsys *m = system_of(sv);
	int status = 0, rc = -1;

	if (m == NULL || m->queue_argv == NULL) {
		err_set(e, RC_NOMAIL, "%s has no queue that mxseal can read", sv->name);
		goto out;
	}
	if (host_stream(h, m->queue_argv, feed, q, &status, e) == -1) {
		if (e->code == RC_TIMEOUT) {
			err_set(e, RC_TIMEOUT, "%s on %s says nothing: listing the queue was given up", m->queue_argv[0], sv->name);
			err_hint(e, "does the queue manager hang, or the disk of the queue?");
		}
		goto out;
	}
	if (status != 0) {
		err_set(e, RC_REMOTE, "the queue of %s could not be listed (%s ended with status %d)", sv->name, m->queue_argv[0],
		    status);
		err_hint(e, "is the mail system running there?");
		goto out;
	}
	out->taken_at = when_now();
	out->server = sv->id;
	queue_reader_end(q, &out->groups);
	queue_reader_taken(q, &out->taken);
	out->messages = queue_reader_messages(q);
	out->bad_lines = queue_reader_bad_lines(q);
	if (out->messages == 0 && out->bad_lines > 0) {
		err_set(e, RC_PARSE, "what %s on %s says is no listing of a queue (%lld lines)", m->queue_argv[0], sv->name,
		    (long long)out->bad_lines);
		goto out;
	}
	out->look = (struct queue_look){ .full = true, .messages = out->messages, .read = out->messages };
	rc = 0;
out:
	queue_reader_free(q);
	return rc;
}

static int
mirror_feed(const char *mem, size_t len, void *arg)
{
	return queue_mirror_feed(arg, mem, len);
}

/* Asks the host until the mirror needs to know no more. */
static int
mirror_ask(struct host *h, const struct server *sv, struct queue_mirror *q, struct err *e)
{
	const struct mailsys *m = system_of(sv);
	struct command_list commands;
	struct queue_words words;
	int more, status, rc;

	while ((more = queue_mirror_ask(q, &words, e)) == 1) {
		commands = (struct command_list){ NULL, 0 };
		m->queue_look((const char *const *)words.v, words.n, &commands);
		rc = host_stream(h, (const char *const *)commands.v[0].argv, mirror_feed, q, &status, e);
		command_list_release(&commands);
		queue_words_release(&words);
		if (rc == -1 && e->code == RC_TIMEOUT) {
			err_set(e, RC_TIMEOUT, "%s on %s says nothing: listing the queue was given up", m->queue_argv[0], sv->name);
			err_hint(e, "does the queue manager hang, or the disk of the queue?");
		}
		if (rc == -1 && (e->code != RC_CANCELLED || !host_alive(h)))      /* else it was the mirror that had enough */
			return -1;
	}
	return more;
}

/* By the mirror. 1: it cannot be had so, e says why; -1: the host cannot be asked at all. */
static int
look_queue(struct host_job *hj, struct host *h, enum queue_by by, const char *destination, size_t limit, struct queue_view *out,
    struct err *e)
{
	struct slot *s = hj->slot;

	if (s->queue == NULL)
		s->queue = queue_mirror_new();
	queue_mirror_begin(s->queue, when_monotonic_ms(), false);
	if (mirror_ask(h, &hj->server, s->queue, e) == -1) {
		queue_mirror_free(s->queue);
		s->queue = NULL;
		return e->code == RC_NOTFOUND || e->code == RC_LIMIT || e->code == RC_PARSE ? 1 : -1;
	}
	queue_mirror_looked(s->queue, &out->look);
	if (limit > 0) {
		queue_mirror_pick(s->queue, destination, limit);
		if (mirror_ask(h, &hj->server, s->queue, e) == -1)
			return -1;
		queue_mirror_picked(s->queue, &out->taken);
	}
	out->taken_at = when_now();
	out->server = hj->server.id;
	out->messages = queue_mirror_messages(s->queue);
	out->bad_lines = queue_mirror_bad_lines(s->queue);
	queue_mirror_groups(s->queue, by, hj->server.name, &out->groups);
	return 0;
}

int
poll_queue(struct host_job *hj, struct host *h, enum queue_by by, const char *destination, size_t limit, struct queue_view *out,
    struct err *e)
{
	const struct mailsys *m = system_of(&hj->server);
	struct slot *s = hj->slot;
	int rc = 1;

	if (m != NULL && m->queue_look != NULL && s->queue_in_full == NULL) {
		rc = look_queue(hj, h, by, destination, limit, out, e);
		if (rc == 1) {
			/* what is mended there is found out with the next connection */
			xset(&s->queue_in_full, e->text);
			err_clear(e);
		}
	}
	out->note = xstrdup(s->queue_in_full);
	return rc == 1 ? list_queue(h, &hj->server, by, destination, limit, out, e) : rc;
}

static int
poll_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct polling *p = hj->data;

	job_say(ctx, "listing the queue");
	return poll_queue(hj, h, p->by, p->destination, p->limit, &p->view, e);
}

/* Notes counts over time, and what TLS has to do with it, for Needs attention. */
static int
queue_note_body(struct store *st, void *arg, struct err *e)
{
	const struct queue_view *v = arg;
	struct server sv = { .id = 0 };
	struct str tls = STR_INIT;
	char *fact = xasprintf("queue-tls:%lld", (long long)v->server);
	int64_t waiting = 0;
	size_t i;
	int rc = -1;

	for (i = 0; i < v->groups.n; i++) {
		const struct queue_group *g = &v->groups.v[i];

		if (i < 1000 && store_queue_note(st, v->server, g->key, v->taken_at, g->messages, g->oldest, e) == -1)
			goto out;
		if (g->failure == NULL || !g->failure->tls)
			continue;
		if (waiting == 0)
			str_addf(&tls, " %s: %s", clean(g->key), g->failure->title);
		waiting += g->deferred;
	}
	if (store_server_get(st, v->server, &sv, e) == -1)
		goto out;
	sv.queue_messages = v->messages;
	if (waiting > 0) {
		char *text = xasprintf("%lld%s", (long long)waiting, tls.s);

		rc = store_fact_set(st, fact, text, e);
		free(text);
	} else
		rc = store_fact_set(st, fact, NULL, e);
	if (rc == 0)
		rc = store_server_save(st, &sv, e);
out:
	server_release(&sv);
	free(fact);
	str_release(&tls);
	return rc;
}

static int
poll_finish(struct host_job *hj, int rc, struct err *e)
{
	struct polling *p = hj->data;

	if (rc == 0 && p->by == QUEUE_BY_DESTINATION)
		rc = store_tx(hj->journey->store, queue_note_body, &p->view, e);
	if (rc == 0) {
		*p->out = p->view;
		memset(&p->view, 0, sizeof(p->view));
	}
	return rc;
}

int64_t
queue_poll(struct journey *j, int64_t server, enum queue_by by, const char *destination, size_t limit, struct queue_view *out,
    journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, server, done, arg, e);
	struct polling *p;

	if (hj == NULL)
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->by = by;
	p->destination = xstrdup(destination);
	p->limit = limit;
	p->out = out;
	hj->data = p;
	hj->free_data = polling_free;
	hj->work = poll_work;
	hj->finish = poll_finish;
	return host_job_start(hj, "queue", e);
}

/* --- actions on messages --- */

/* postsuper(1), postqueue(1). A queue id is letters and digits; nothing else gets near a command. */
static const struct { const char *verb, *program, *option; } actions[] = {
	{ "hold", "postsuper", "-h" }, { "release", "postsuper", "-H" }, { "retry", "postqueue", "-i" },
	{ "delete", "postsuper", "-d" },
};

struct acting { size_t action; struct command_list commands; size_t n; };

static void
acting_free(void *data)
{
	struct acting *a = data;

	command_list_release(&a->commands);
	free(a);
}

static int
act_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct acting *a = hj->data;
	struct sections s = { NULL, 0 };
	struct host_cmd *cmds = xcalloc(a->commands.n + 1, sizeof(*cmds));
	size_t i;
	int rc;

	(void)ctx;
	for (i = 0; i < a->commands.n; i++)
		cmds[i] = (struct host_cmd){ a->commands.v[i].name, (const char *const *)a->commands.v[i].argv };
	rc = host_read(h, cmds, a->commands.n, &s, e);
	for (i = 0; rc == 0 && i < s.n; i++)
		if (s.v[i].status != 0)
			rc = err_set(e, RC_REMOTE, "%s: %s", s.v[i].name, clean(s.v[i].text.s));
	sections_release(&s);
	free(cmds);
	return rc;
}

static int
act_finish(struct host_job *hj, int rc, struct err *e)
{
	struct acting *a = hj->data;
	char text[64];

	snprintf(text, sizeof(text), "%s of %zu messages", actions[a->action].verb, a->n);
	(void)note_activity(hj->journey, hj->server.name, "queue", rc, e, text);
	return rc;
}

int64_t
queue_act(struct journey *j, int64_t server, const char *verb, const char *const *ids, size_t n, journey_done_fn *done,
    void *arg, struct err *e)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct host_job *hj = NULL;
	struct acting *a;
	size_t i, action;

	for (action = 0; action < sizeof(actions) / sizeof(actions[0]) && strcmp(actions[action].verb, verb) != 0; action++)
		;
	if (action == sizeof(actions) / sizeof(actions[0]))
		return err_set(e, RC_USAGE, "messages can be held, released, retried or deleted, not \"%s\"", clean(verb));
	for (i = 0; i < n; i++)
		if (ids[i][0] == '\0' || strlen(ids[i]) > 40 || strspn(ids[i], allowed) != strlen(ids[i]))
			return err_set(e, RC_USAGE, "\"%s\" is not a queue id", clean(ids[i]));
	hj = host_change_new(j, server, done, arg, e);
	if (hj == NULL)
		return -1;
	a = xcalloc(1, sizeof(*a));
	a->action = action;
	a->n = n;
	for (i = 0; i < n; i++)
		(void)command_add(&a->commands, ids[i], actions[action].program, actions[action].option, ids[i], NULL);
	hj->data = a;
	hj->free_data = acting_free;
	hj->work = act_work;
	hj->finish = act_finish;
	return host_job_start(hj, "queue", e);
}
