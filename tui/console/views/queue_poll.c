/* Who is looked at when: each host every ten seconds, who fails less often. Some hundred hosts share a few places, of which who
 * hangs holds none (mxseal/places.h). */
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/queue.h"

#define AT_ONCE 8
#define TROUBLED_AT_ONCE 4       /* of all, those that failed the last time */
#define BACK_OFF_MS 60000

struct queue_slot *
queue_poll_next(struct queue_slot *v, size_t n, const struct queue_load *l, int64_t now_ms)
{
	struct queue_slot *next = NULL;

	if (!places_free(&l->places, AT_ONCE))
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct queue_slot *s = &v[i];

		if (s->runs || s->next_ms > now_ms || (s->failures > 0 && l->troubled >= TROUBLED_AT_ONCE))
			continue;
		if (next == NULL || s->next_ms < next->next_ms)
			next = s;
	}
	return next;
}

void
queue_poll_ended(struct queue_slot *s, bool good, int64_t now_ms)
{
	s->runs = false;
	s->failures = good ? 0 : s->failures + 1;
	s->next_ms = now_ms + (good ? QUEUE_EVERY_MS : s->failures < 3 ? QUEUE_EVERY_MS << s->failures : BACK_OFF_MS);
}

static void
view_drop(void *p)
{
	queue_view_release(p);
	free(p);
}

static int64_t
poll_start(struct task *t, struct err *e)
{
	return queue_poll(t->app->j, t->server, (enum queue_by)t->id, NULL, 0, t->data, task_done, t, e);
}

static struct queue_slot *
slot_of(struct queue_data *d, int64_t server)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].server == server)
			return &d->v[i];
	return NULL;
}

static void
poll_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct queue_data *d = v != NULL ? v->data : NULL;
	struct queue_slot *s = d != NULL ? slot_of(d, t->server) : NULL;

	if (s == NULL)
		return;
	queue_poll_ended(s, rc == 0, when_monotonic_ms());
	xset(&s->error, rc == 0 ? NULL : e->text);
	if ((enum queue_by)t->id != d->by) {
		s->next_ms = rc == 0 ? 0 : s->next_ms;     /* grouped as it is not shown any more */
		return;
	}
	if (rc != 0)
		return;
	queue_view_release(&s->view);
	s->view = *(struct queue_view *)t->data;
	memset(t->data, 0, sizeof(struct queue_view));
	d->stale = true;
	if (d->n <= SHARE_FEW && !d->frozen)
		queue_regroup(v);
}

/* One whose question waits for an answer holds nobody up. */
static struct queue_load
load(const struct view *v, int64_t now_ms)
{
	struct queue_load l = { { 0, 0 }, 0 };

	for (struct task *t = v->app->tasks; t != NULL; t = t->next) {
		if (t->start != poll_start || t->asks)
			continue;
		struct queue_slot *s = slot_of(v->data, t->server);
		places_take(&l.places, now_ms - t->since_ms);
		l.troubled += s != NULL && s->failures > 0;
	}
	return l;
}

void
queue_poll_more(struct view *v)
{
	struct queue_data *d = v->data;
	int64_t now_ms = when_monotonic_ms();
	struct queue_load l = load(v, now_ms);
	struct queue_slot *s;

	while ((s = queue_poll_next(d->v, d->n, &l, now_ms)) != NULL) {
		struct task t = { .verb = "queue", .server = s->server, .view = v->serial, .id = d->by, .start = poll_start,
		    .end = poll_end, .data = xcalloc(1, sizeof(struct queue_view)), .drop = view_drop };
		places_take(&l.places, 0);
		l.troubled += s->failures > 0;
		s->runs = true;
		task_run(v->app, &t);
	}
}

void
queue_refresh(struct view *v)
{
	struct queue_data *d = v->data;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].failures == 0)
			d->v[i].next_ms = 0;
	queue_poll_more(v);
}
