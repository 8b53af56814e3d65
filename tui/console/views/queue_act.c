/* Marks and deeds. A mark is a set of messages taken at one moment, so that no refresh changes what will be acted on; before the
 * deed each host's queue is read again, and who has gone meanwhile is told. What is not marked is taken when A is pressed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/queue.h"

#define SAMPLES 50

/* --- looking at messages --- */

struct sample { char *destination; struct queue_view taken; };

static void
sample_drop(void *p)
{
	struct sample *s = p;

	free(s->destination);
	queue_view_release(&s->taken);
	free(s);
}

static int64_t
sample_start(struct task *t, struct err *e)
{
	struct sample *s = t->data;

	queue_view_release(&s->taken);
	return queue_poll(t->app->j, t->server, QUEUE_BY_DESTINATION, s->destination, SAMPLES, &s->taken, task_done, t, e);
}

static void
sample_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct sample *s = t->data;
	struct str text = STR_INIT;
	char old[16], size[16];

	if (rc != 0) {
		app_fail(t->app, e);
		return;
	}
	if (v == NULL)
		return;
	for (size_t i = 0; i < s->taken.taken.n; i++) {
		const struct queue_message *m = &s->taken.taken.v[i];
		when_ago(old, when_now() - m->arrival);
		queue_size(size, m->size);
		str_addf(&text, "%s  %s, %s ago, %s\n", m->id, m->queue, old, size);
		str_addf(&text, "  from %s to %s%s\n", clean(m->sender), clean(m->recipient), m->recipients > 1 ? " and others" : "");
		if (m->reason != NULL) {
			struct str r = STR_INIT;
			clean_text(&r, m->reason, strlen(m->reason), false);
			str_addf(&text, "  %s\n", r.s);
			str_release(&r);
		}
		str_add(&text, "\n");
	}
	if (s->taken.taken.n == 0)
		str_add(&text, "No message for it waits any more.");
	else if (s->taken.taken.n == SAMPLES)
		str_addf(&text, "(the first %d)\n", SAMPLES);
	app_message(t->app, s->destination, STYLE_NORMAL, text.s);
	str_release(&text);
}

void
queue_act_view(struct view *v)
{
	struct queue_group *g = queue_selected(v);
	struct sample *s;

	if (g == NULL)
		return;
	s = xcalloc(1, sizeof(*s));
	s->destination = xstrdup(g->key);
	struct task t = { .verb = "messages", .server = queue_server_of(v, g->key), .view = v->serial, .start = sample_start,
	    .end = sample_end, .data = s, .drop = sample_drop };
	task_run(v->app, &t);
}

/* --- sets of messages, one for each server --- */

void
queue_sets_release(struct queue_set *sets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		queue_ids_release(&sets[i].ids);
	free(sets);
}

/* What is counted, asked about and done together; its tasks and its question hold it. */
struct batch {
	size_t refs, open;
	char verb[16], *key;
	enum queue_by by;
	struct queue_set *sets;
	size_t n;
	bool marks;                      /* only to be marked */
	bool failed;
	struct err err;                  /* of the first server that failed */
};
struct part { struct batch *batch; size_t i; };

static void
batch_drop(struct batch *b)
{
	if (--b->refs > 0)
		return;
	queue_sets_release(b->sets, b->n);
	free(b->key);
	free(b);
}

static void
part_drop(void *p)
{
	struct part *part = p;

	batch_drop(part->batch);
	free(part);
}

static void
batch_run(struct view *v, struct app *a, struct batch *b, const char *verb, task_start_fn *start, task_end_fn *end)
{
	b->refs++;
	b->open = b->n;
	for (size_t i = 0; i < b->n; i++) {
		struct part *part = xcalloc(1, sizeof(*part));
		*part = (struct part){ b, i };
		b->refs++;
		struct task t = { .verb = verb, .server = b->sets[i].server, .view = v != NULL ? v->serial : 0, .start = start, .end = end,
		    .data = part, .drop = part_drop };
		task_run(a, &t);
	}
	batch_drop(b);
}

static bool
part_ended(struct part *part, int rc, const struct err *e)
{
	struct batch *b = part->batch;

	if (rc != 0 && !b->failed) {
		b->failed = true;
		b->err = *e;
	}
	return --b->open == 0;
}

/* --- the deed --- */

static int64_t
do_start(struct task *t, struct err *e)
{
	struct part *part = t->data;
	struct queue_set *s = &part->batch->sets[part->i];

	return queue_act_on(t->app->j, t->server, part->batch->verb, &s->ids, &s->acted, task_done, t, e);
}

static void
do_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct part *part = t->data;
	struct batch *b = part->batch;
	size_t done = 0, asked = 0;

	if (!part_ended(part, rc, e))
		return;
	for (size_t i = 0; i < b->n; i++) {
		done += b->sets[i].acted.done;
		asked += b->sets[i].acted.asked;
	}
	if (b->failed)
		app_fail(t->app, &b->err);
	else if (done < asked)
		app_say(t->app, STYLE_OK, "%s: %zu of %zu messages; the others were gone by then, or it did not fit them.", b->verb, done, asked);
	else
		app_say(t->app, STYLE_OK, "%s: %zu message%s.", b->verb, done, done == 1 ? "" : "s");
	if (v != NULL) {
		queue_marks_forget(v->data);
		queue_refresh(v);
	}
}

/* A task that waits for the answer of its question: it "starts" by asking, and goes on when confirmed. */
static void
confirmed(struct app *a, struct view *v, int64_t arg, const char *text)
{
	struct batch *b = (struct batch *)(intptr_t)arg;

	if (text == NULL)
		app_say(a, STYLE_NORMAL, "Nothing was done with the messages.");
	else
		batch_run(v, a, b, "queue act", do_start, do_end);
	batch_drop(b);
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct queue_id *)a)->id, ((const struct queue_id *)b)->id);
}

/* A message with several recipients may be in several groups. */
static size_t
sets_count(struct batch *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct queue_ids *ids = &b->sets[i].ids;
		size_t k, to = 0;

		if (ids->n > 1)
			qsort(ids->v, ids->n, sizeof(*ids->v), by_id);
		for (k = 0; k < ids->n; k++)
			if (to == 0 || strcmp(ids->v[to - 1].id, ids->v[k].id) != 0)
				ids->v[to++] = ids->v[k];
		ids->n = to;
		n += to;
	}
	return n;
}

static void
ask(struct view *v, struct batch *b)
{
	size_t n = sets_count(b);
	char where[64] = "";

	if (n == 0) {
		app_say(v->app, STYLE_NORMAL, "No message of %s waits any more.", clean(b->key));
		return;
	}
	if (b->n > 1)
		snprintf(where, sizeof(where), " on %zu servers", b->n);
	b->refs++;
	if (strcmp(b->verb, "delete") == 0) {
		prompt_open(v->app, PROMPT_WORD, v, (intptr_t)b, confirmed, "Delete %zu message%s of %s%s for good? Type %zu", n,
		    n == 1 ? "" : "s", clean(b->key), where, n);
		snprintf(v->app->prompt.word, sizeof(v->app->prompt.word), "%zu", n);
	} else
		prompt_open(v->app, PROMPT_YESNO, v, (intptr_t)b, confirmed, "%s %zu message%s of %s%s?", b->verb, n, n == 1 ? "" : "s",
		    clean(b->key), where);
}

/* --- taking --- */

static int64_t
take_start(struct task *t, struct err *e)
{
	struct part *part = t->data;
	struct batch *b = part->batch;

	queue_ids_release(&b->sets[part->i].ids);
	return queue_take(t->app->j, t->server, b->by, b->by == QUEUE_BY_SERVER ? NULL : b->key, &b->sets[part->i].ids, task_done, t, e);
}

static void
take_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct part *part = t->data;
	struct batch *b = part->batch;

	if (!part_ended(part, rc, e))
		return;
	if (b->failed) {
		app_fail(t->app, &b->err);
		if (v != NULL && b->marks)
			queue_mark_drop(v->data, b->key);
	} else if (v != NULL && b->marks) {
		size_t n = sets_count(b);
		if (queue_mark_take(v->data, b->key, b->sets, b->n, n)) {
			b->sets = NULL;
			b->n = 0;
		}
	} else if (v != NULL)
		ask(v, b);
}

/* Of all servers where the group has messages. */
static struct batch *
batch_of_group(struct view *v, const char *key)
{
	struct queue_data *d = v->data;
	struct batch *b = xcalloc(1, sizeof(*b));

	b->by = d->by;
	b->key = xstrdup(key);
	b->sets = xcalloc(d->n + 1, sizeof(*b->sets));
	for (size_t i = 0; i < d->n; i++)
		for (size_t k = 0; k < d->v[i].view.groups.n; k++)
			if (strcmp(d->v[i].view.groups.v[k].key, key) == 0) {
				b->sets[b->n++].server = d->v[i].server;
				break;
			}
	return b;
}

void
queue_act_mark(struct view *v, const char *key)
{
	struct batch *b = batch_of_group(v, key);

	b->marks = true;
	batch_run(v, v->app, b, "count", take_start, take_end);
}

/* All that is marked, as it was counted. */
static struct batch *
batch_of_marks(const struct queue_data *d)
{
	struct batch *b = xcalloc(1, sizeof(*b));

	b->key = d->n_marks == 1 ? xstrdup(d->marks[0].key) : xasprintf("%zu marked groups", d->n_marks);
	b->sets = xcalloc(d->n + 1, sizeof(*b->sets));
	for (size_t i = 0; i < d->n; i++) {
		struct queue_set *to = &b->sets[b->n];

		for (size_t m = 0; m < d->n_marks; m++)
			for (size_t k = 0; k < d->marks[m].n_sets; k++) {
				const struct queue_set *from = &d->marks[m].sets[k];
				if (from->server != d->v[i].server || from->ids.n == 0)
					continue;
				to->ids.v = xrealloc(to->ids.v, to->ids.n + from->ids.n, sizeof(*to->ids.v));
				memcpy(to->ids.v + to->ids.n, from->ids.v, from->ids.n * sizeof(*to->ids.v));
				to->ids.n += from->ids.n;
			}
		if (to->ids.n > 0) {
			to->server = d->v[i].server;
			b->n++;
		}
	}
	return b;
}

void
queue_act_group(struct view *v, const char *verb, const char *key)
{
	struct batch *b = batch_of_group(v, key);

	snprintf(b->verb, sizeof(b->verb), "%s", verb);
	batch_run(v, v->app, b, "count", take_start, take_end);
}

static void
verb_chosen(struct app *a, struct view *v, size_t index, const char *verb)
{
	struct queue_data *d = v->data;
	struct queue_group *g = queue_selected(v);
	struct batch *b;

	(void)a, (void)index;
	if (g == NULL && d->n_marks == 0)
		return;
	if (d->n_marks == 0) {
		queue_act_group(v, verb, g->key);
		return;
	}
	b = batch_of_marks(d);
	snprintf(b->verb, sizeof(b->verb), "%s", verb);
	b->refs++;
	ask(v, b);
	batch_drop(b);
}

void
queue_act_open(struct view *v)
{
	struct choice_list l = { NULL, 0 };
	struct queue_data *d = v->data;
	struct queue_group *g = queue_selected(v);
	char *title;

	for (size_t i = 0; i < d->n_marks; i++)
		if (d->marks[i].at == 0) {
			app_say(v->app, STYLE_NORMAL, "The marked messages are still being counted.");
			return;
		}
	if (g == NULL && d->n_marks == 0)
		return;
	choice_list_add(&l, "retry", "retry: try to deliver now");
	choice_list_add(&l, "hold", "hold: keep, do not try");
	choice_list_add(&l, "release", "release: take off hold");
	choice_list_add(&l, "delete", "delete: for good");
	title = d->n_marks > 0 ? xasprintf("Messages of %zu marked", d->n_marks) : xasprintf("Messages of %s", g->key);
	struct chooser_arg arg = { .title = title, .list = &l, .current = "retry", .v = v, .fn = verb_chosen };
	view_push(v->app, &view_chooser, &arg);
	free(title);
	choice_list_release(&l);
}
