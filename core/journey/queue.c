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
	bool noted;                      /* it is time to note what was seen */
	struct queue_view view, *out;
	struct note *note;
};

static void
polling_free(void *data)
{
	struct polling *p = data;

	queue_note_free(p->note);
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

/* It may only have been the trouble of a moment, but what takes long and fails must not be most of what the host does. */
int64_t
queue_again_ms(int64_t began_ms, int64_t failed_ms)
{
	int64_t wait = 20 * (failed_ms - began_ms);

	return failed_ms + (wait > 120000 ? wait : 120000);
}

int
poll_queue(struct host_job *hj, struct host *h, enum queue_by by, const char *destination, size_t limit, struct queue_view *out,
    struct err *e)
{
	const struct mailsys *m = system_of(&hj->server);
	struct slot *s = hj->slot;
	int64_t began = when_monotonic_ms();
	int rc = 1;

	if (m != NULL && m->queue_look != NULL && (s->queue_in_full == NULL || began >= s->queue_again_ms)) {
		rc = look_queue(hj, h, by, destination, limit, out, e);
		xset(&s->queue_in_full, rc == 1 ? e->text : NULL);
		if (rc == 1) {
			s->queue_again_ms = queue_again_ms(began, when_monotonic_ms());
			err_clear(e);
		}
	}
	out->note = xstrdup(s->queue_in_full);
	return rc == 1 ? list_queue(h, &hj->server, by, destination, limit, out, e) : rc;
}

/* All groupings of what was seen, for the trends in the store: of a mirror they cost the host nothing. */
static struct note *
note_groupings(struct host_job *hj, const struct polling *p)
{
	struct queue_groups others[QUEUE_BY_SERVER] = { { NULL, 0 } };
	const struct queue_groups *all[QUEUE_BY_SERVER];
	struct note *note;
	int by;

	for (by = 0; by < QUEUE_BY_SERVER; by++) {
		all[by] = by == (int)p->by ? &p->view.groups : &others[by];
		if (by != (int)p->by && hj->slot->queue != NULL)
			queue_mirror_groups(hj->slot->queue, (enum queue_by)by, NULL, &others[by]);
	}
	note = queue_note_new(hj->slot, &p->view, all);
	for (by = 0; by < QUEUE_BY_SERVER; by++)
		queue_groups_release(&others[by]);
	return note;
}

static int
poll_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct polling *p = hj->data;

	job_say(ctx, "listing the queue");
	if (poll_queue(hj, h, p->by, p->destination, p->limit, &p->view, e) == -1)
		return -1;
	if (p->noted && (p->by == QUEUE_BY_DESTINATION || hj->slot->queue != NULL))
		p->note = note_groupings(hj, p);
	return 0;
}

static int
poll_finish(struct host_job *hj, int rc, struct err *e)
{
	struct polling *p = hj->data;

	if (rc == 0 && p->note != NULL) {
		rc = queue_note(hj->journey, p->note, e);
		p->note = NULL;
	}
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
	p->noted = queue_note_due(hj->slot);
	hj->data = p;
	hj->free_data = polling_free;
	hj->work = poll_work;
	hj->finish = poll_finish;
	return host_job_start(hj, "queue", e);
}
