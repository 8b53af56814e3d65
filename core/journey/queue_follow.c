/* Following messages out: what waits for a destination is taken before a push, exactly that is tried again after it, and then it is
 * looked who has left, who waits, and for what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define READ 300                 /* messages whose reasons are read */

static void
reasons_release(struct queue_follow *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		free(f->v[i].reason);
	free(f->v);
	f->v = NULL;
	f->n = 0;
}

static void
before_release(struct queue_follow *f)
{
	size_t i;

	for (i = 0; f->before != NULL && f->before[i] != NULL; i++)
		free(f->before[i]);
	free(f->before);
	f->before = NULL;
}

void
queue_follow_release(struct queue_follow *f)
{
	reasons_release(f);
	queue_ids_release(&f->ids);
	before_release(f);
	free(f->destination);
	memset(f, 0, sizeof(*f));
}

bool
queue_follow_over(const struct queue_follow *f)
{
	return f->left >= f->taken;
}

void
queue_follow_say(const struct queue_follow *f, struct str *out)
{
	size_t waiting = f->taken - f->left - f->trying;

	str_addf(out, "%zu of %zu message%s for %s %s left", f->left, f->taken, f->taken == 1 ? "" : "s", clean(f->destination),
	    f->left == 1 ? "has" : "have");
	if (f->trying > 0)
		str_addf(out, ", %zu %s being tried", f->trying, f->trying == 1 ? "is" : "are");
	if (waiting > 0)
		str_addf(out, ", %zu still wait%s", waiting, waiting == 1 ? "s" : "");
}

/* --- which destinations --- */

#define NOTED_MAX 4096           /* bytes of names: what is more is not followed */

static char *
note_fact(int64_t server)
{
	return xasprintf("follow:%lld", (long long)server);
}

char **
queue_follow_destinations(struct journey *j, int64_t server)
{
	char *fact = note_fact(server), *text = NULL, **words;

	if (store_fact_get(j->store, fact, &text, NULL) == -1)
		text = NULL;
	words = words_split(text != NULL ? text : "", " ", NULL);
	free(fact);
	free(text);
	return words;
}

int
queue_follow_note(struct journey *j, int64_t server, const char *destination, struct err *e)
{
	char **have = queue_follow_destinations(j, server), *fact = note_fact(server);
	struct str text = STR_INIT;
	bool there = false;
	size_t i;
	int rc = 0;

	for (i = 0; have[i] != NULL; i++) {
		there = there || text_ieq(have[i], destination);
		str_addf(&text, "%s ", have[i]);
	}
	str_add(&text, destination);
	if (!there && text.len <= NOTED_MAX)
		rc = store_fact_set(j->store, fact, text.s, e);
	words_free(have);
	free(fact);
	str_release(&text);
	return rc;
}

int
queue_follow_forget(struct journey *j, int64_t server, struct err *e)
{
	char *fact = note_fact(server);
	int rc = store_fact_set(j->store, fact, NULL, e);

	free(fact);
	return rc;
}

/* --- the same in a worker --- */

struct following { struct queue_follow *f, own; struct queue_messages messages; };

static void
following_free(void *data)
{
	struct following *w = data;

	queue_follow_release(&w->own);
	queue_messages_release(&w->messages);
	free(w);
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct queue_id *)a)->id, ((const struct queue_id *)b)->id);
}

static char *
folded(const char *reason)
{
	struct str s = STR_INIT;

	reason_fold(reason, strlen(reason), &s);
	return str_take(&s);
}

static bool
is_before(char *const *before, const char *reason)
{
	for (; before != NULL && *before != NULL; before++)
		if (strcmp(*before, reason) == 0)
			return true;
	return false;
}

static int
take_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct following *w = hj->data;
	struct queue_ids *ids = &w->own.ids;
	size_t i, n = 0;

	job_say(ctx, "counting what waits for %s", clean(w->own.destination));
	if (ids_take(hj, h, QUEUE_BY_DESTINATION, w->own.destination, READ, ids, &w->messages, e) == -1)
		return -1;
	for (i = 0; i < ids->n; i++)
		if (ids->v[i].state != QUEUE_HOLD)
			ids->v[n++] = ids->v[i];
	ids->n = n;
	if (n > 1)
		qsort(ids->v, n, sizeof(*ids->v), by_id);
	w->own.before = xcalloc(w->messages.n + 1, sizeof(*w->own.before));
	for (i = n = 0; i < w->messages.n; i++) {
		char *reason = w->messages.v[i].reason != NULL ? folded(w->messages.v[i].reason) : NULL;

		if (reason != NULL && !is_before(w->own.before, reason))
			w->own.before[n++] = reason;
		else
			free(reason);
	}
	return 0;
}

static int
take_finish(struct host_job *hj, int rc, struct err *e)
{
	struct following *w = hj->data;
	struct queue_follow *f = w->f;

	(void)e;
	if (rc != 0)
		return rc;
	queue_ids_release(&f->ids);
	before_release(f);
	f->ids = w->own.ids;
	f->before = w->own.before;
	f->taken = f->ids.n;
	f->taken_at = when_now();
	f->left = 0;
	w->own.ids = (struct queue_ids){ NULL, 0 };
	w->own.before = NULL;
	return 0;
}

static void
count_reason(struct queue_follow *f, const struct queue_message *m, char *const *before)
{
	char *key = folded(m->reason), *other;
	size_t i;
	bool same = false;

	for (i = 0; i < f->n && !same; i++) {
		other = folded(f->v[i].reason);
		same = strcmp(other, key) == 0;
		f->v[i].n += same;
		free(other);
	}
	if (!same) {
		ARRAY_GROW(f->v, f->n);
		f->v[f->n++] = (struct queue_follow_reason){ xstrdup(m->reason), m->failure, 1, !is_before(before, key) };
	}
	free(key);
}

static int
most_first(const void *a, const void *b)
{
	const struct queue_follow_reason *x = a, *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

/* Where no mirror can say it: those that a full listing names. */
static void
still_listed(struct queue_ids *ids, const struct queue_ids *now)
{
	struct queue_id *found;
	size_t i, n = 0;

	for (i = 0; i < ids->n; i++)
		if (now->n > 0 && (found = bsearch(&ids->v[i], now->v, now->n, sizeof(*now->v), by_id)) != NULL &&
		    found->arrival == ids->v[i].arrival)
			ids->v[n++] = ids->v[i];
	ids->n = n;
}

static int
look_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct following *w = hj->data;
	struct queue_follow *own = &w->own;
	struct queue_ids now = { NULL, 0 };
	struct queue_id one;
	size_t i;
	int rc;

	job_say(ctx, "who has left");
	rc = ids_take(hj, h, QUEUE_BY_DESTINATION, own->destination, READ, &now, &w->messages, e);
	if (rc == 0 && hj->slot->queue != NULL)
		(void)queue_mirror_still(hj->slot->queue, &own->ids);
	else if (rc == 0) {
		if (now.n > 1)
			qsort(now.v, now.n, sizeof(*now.v), by_id);
		still_listed(&own->ids, &now);
	}
	for (i = 0; rc == 0 && i < own->ids.n; i++)
		own->trying += own->ids.v[i].state == QUEUE_ACTIVE || own->ids.v[i].state == QUEUE_INCOMING;
	for (i = 0; rc == 0 && i < w->messages.n; i++) {
		const struct queue_message *m = &w->messages.v[i];

		snprintf(one.id, sizeof(one.id), "%s", m->id);
		if (m->reason != NULL && own->ids.n > 0 && bsearch(&one, own->ids.v, own->ids.n, sizeof(one), by_id) != NULL)
			count_reason(own, m, own->before);
	}
	if (own->n > 1)
		qsort(own->v, own->n, sizeof(*own->v), most_first);
	queue_ids_release(&now);
	return rc;
}

static int
look_finish(struct host_job *hj, int rc, struct err *e)
{
	struct following *w = hj->data;
	struct queue_follow *f = w->f;

	(void)e;
	if (rc != 0)
		return rc;
	reasons_release(f);
	queue_ids_release(&f->ids);
	f->ids = w->own.ids;
	f->v = w->own.v;
	f->n = w->own.n;
	f->trying = w->own.trying;
	f->left = f->taken - f->ids.n;
	f->looked_at = when_now();
	w->own.ids = (struct queue_ids){ NULL, 0 };
	w->own.v = NULL;
	w->own.n = 0;
	return 0;
}

static int64_t
follow_start(struct journey *j, struct queue_follow *f, int (*work)(struct host_job *, struct host *, struct job_ctx *, struct err *),
    int (*finish)(struct host_job *, int, struct err *), journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, f->server, done, arg, e);
	struct following *w;
	size_t i, n = 0;

	if (hj == NULL)
		return -1;
	w = xcalloc(1, sizeof(*w));
	w->f = f;
	w->own.destination = xstrdup(f->destination);
	if (f->ids.n > 0) {
		w->own.ids = (struct queue_ids){ xcalloc(f->ids.n, sizeof(*f->ids.v)), f->ids.n };
		memcpy(w->own.ids.v, f->ids.v, f->ids.n * sizeof(*f->ids.v));
	}
	while (f->before != NULL && f->before[n] != NULL)
		n++;
	if (n > 0)
		w->own.before = xcalloc(n + 1, sizeof(*w->own.before));
	for (i = 0; i < n; i++)
		w->own.before[i] = xstrdup(f->before[i]);
	hj->data = w;
	hj->free_data = following_free;
	hj->work = work;
	hj->finish = finish;
	return host_job_start(hj, "follow", e);
}

int64_t
queue_follow_take(struct journey *j, struct queue_follow *f, journey_done_fn *done, void *arg, struct err *e)
{
	queue_ids_release(&f->ids);
	before_release(f);
	return follow_start(j, f, take_work, take_finish, done, arg, e);
}

int64_t
queue_follow_retry(struct journey *j, struct queue_follow *f, journey_done_fn *done, void *arg, struct err *e)
{
	f->retried_at = when_now();
	return queue_act_on(j, f->server, "retry", &f->ids, &f->acted, done, arg, e);
}

int64_t
queue_follow_look(struct journey *j, struct queue_follow *f, journey_done_fn *done, void *arg, struct err *e)
{
	return follow_start(j, f, look_work, look_finish, done, arg, e);
}
