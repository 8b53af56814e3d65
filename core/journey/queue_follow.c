/* Following messages out: what waits for some destinations is taken before a push is kept, exactly that is tried again after it, and then
 * it is looked who has left, who waits, and for what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/connector.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static void
reasons_release(struct queue_follow_reason **v, size_t *n)
{
	while (*n > 0)
		free((*v)[--*n].reason);
	free(*v);
	*v = NULL;
}

void
queue_follow_release(struct queue_follow *f)
{
	reasons_release(&f->v, &f->n);
	reasons_release(&f->before, &f->n_before);
	queue_ids_release(&f->ids);
	free(f->destinations);
	memset(f, 0, sizeof(*f));
}

bool
queue_follow_over(const struct queue_follow *f)
{
	return f->left >= f->taken;
}

const char *
queue_follow_only(const struct queue_follow *f)
{
	const char *p = f->destinations;

	while (*p > ' ' && *p != '*')            /* one word, in ASCII letters */
		p++;
	return *p == '\0' ? f->destinations : NULL;
}

void
queue_follow_name(const struct queue_follow *f, struct str *out)
{
	char **w = words_split(f->destinations, " ", NULL);
	size_t i, n = 0;
	bool all = false;

	for (i = 0; w[i] != NULL; i++) {
		all = all || strcmp(w[i], "*") == 0;
		n += w[i][0] != '!';
	}
	if (n == 1)
		str_add(out, all ? "all that TLS holds up" : clean(w[0]));
	else
		str_addf(out, "%zu destinations%s", n - all, all ? " and all that TLS holds up" : "");
	words_free(w);
}

void
queue_follow_say(const struct queue_follow *f, struct str *out)
{
	size_t waiting = f->taken - f->left - f->trying;

	str_addf(out, "%zu of %zu message%s for ", f->left, f->taken, f->taken == 1 ? "" : "s");
	queue_follow_name(f, out);
	str_addf(out, " %s left", f->left == 1 ? "has" : "have");
	if (f->trying > 0)
		str_addf(out, ", %zu %s being tried", f->trying, f->trying == 1 ? "is" : "are");
	if (waiting > 0)
		str_addf(out, ", %zu still wait%s", waiting, waiting == 1 ? "s" : "");
	if (f->rest > 0)
		str_addf(out, "; %zu more wait for their own next try, %d are tried at once", f->rest, QUEUE_FOLLOW_MAX);
}

/* --- the same in a worker --- */

struct followed { struct address_space space; bool without; };    /* without: "!bank.test", it is none of "*" */
struct following {
	struct queue_follow *f, own;
	struct followed *spaces;
	size_t n_spaces;
	char counted[24];                /* the message that was counted last */
};

static void
following_free(void *data)
{
	struct following *w = data;

	queue_follow_release(&w->own);
	while (w->n_spaces > 0)
		address_space_release(&w->spaces[--w->n_spaces].space);
	free(w->spaces);
	free(w);
}

/* A destination may also be what is no address space, as "[192.0.2.1]": that is itself. */
static void
take_spaces(struct following *w, const char *destinations)
{
	char **words = words_split(destinations, " ", NULL);
	size_t i;

	for (i = 0; words[i] != NULL; i++)
		;
	w->spaces = xcalloc(i + 1, sizeof(*w->spaces));
	for (i = 0; words[i] != NULL; i++) {
		struct followed *s = &w->spaces[w->n_spaces++];
		const char *word = words[i] + (words[i][0] == '!');

		s->without = words[i][0] == '!';
		if (address_space_parse(word, &s->space, NULL) == -1) {
			address_space_release(&s->space);
			s->space = (struct address_space){ .domain = xstrdup(word) };
		}
	}
	words_free(words);
}

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct queue_id *)a)->id, ((const struct queue_id *)b)->id);
}

static int
oldest_first(const void *a, const void *b)
{
	const struct queue_id *x = a, *y = b;

	return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

static int
most_first(const void *a, const void *b)
{
	const struct queue_follow_reason *x = a, *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

/* held_up: by TLS. */
static bool
is_followed(const struct following *w, const char *domain, bool held_up)
{
	bool all = false, other = false;
	size_t i;

	for (i = 0; i < w->n_spaces; i++) {
		const struct followed *s = &w->spaces[i];

		if (s->space.all)
			all = true;
		else if (s->without)
			other = other || address_space_has(&s->space, domain);
		else if (address_space_has(&s->space, domain))
			return true;
	}
	return all && !other && held_up;
}

static struct queue_follow_reason *
reason_of(struct queue_follow_reason *v, size_t n, const char *why)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(v[i].reason, why) == 0)
			return &v[i];
	return NULL;
}

/* For this a message waits now; it counts for one reason. */
static void
count_reason(struct following *w, const struct queue_id *id, const char *why, const struct failure *failure)
{
	struct queue_follow *f = &w->own;
	struct queue_follow_reason *r = why != NULL ? reason_of(f->v, f->n, why) : NULL;

	if (why == NULL || strcmp(w->counted, id->id) == 0)
		return;
	if (r == NULL) {
		ARRAY_GROW(f->v, f->n);
		r = &f->v[f->n++];
		*r = (struct queue_follow_reason){ xstrdup(why), failure, 0, reason_of(f->before, f->n_before, why) == NULL };
	}
	r->n++;
	strcpy(w->counted, id->id);
}

static void
take_one(void *arg, const struct queue_id *id, const char *destination, const char *why, const struct failure *f)
{
	struct following *w = arg;
	struct queue_ids *ids = &w->own.ids;

	if (id->state == QUEUE_HOLD || !is_followed(w, destination, f != NULL && f->tls))
		return;
	if (ids->n == 0 || strcmp(ids->v[ids->n - 1].id, id->id) != 0) {
		ARRAY_GROW(ids->v, ids->n);
		ids->v[ids->n++] = *id;
	}
	count_reason(w, id, why, f);
}

static void
look_at_one(void *arg, const struct queue_id *id, const char *destination, const char *why, const struct failure *f)
{
	struct following *w = arg;
	struct queue_ids *ids = &w->own.ids;

	if (ids->n > 0 && bsearch(id, ids->v, ids->n, sizeof(*ids->v), by_id) != NULL && is_followed(w, destination, true))
		count_reason(w, id, why, f);
}

static void
id_of(const struct queue_message *m, struct queue_id *out)
{
	int i;

	*out = (struct queue_id){ .arrival = m->arrival, .state = QUEUE_DEFERRED };
	snprintf(out->id, sizeof(out->id), "%s", m->id);
	for (i = 0; i < QUEUE_STATES; i++)
		if (text_eq(m->queue, queue_state_names[i]))
			out->state = (enum queue_state)i;
}

/* As queue_mirror_each tells it, of a full listing. */
static void
listed_each(const struct queue_messages *l, queue_each_fn *fn, void *arg)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct queue_message *m = &l->v[i];
		const char *at = m->recipient != NULL ? strrchr(m->recipient, '@') : NULL;
		struct str why = STR_INIT;
		struct queue_id id;

		id_of(m, &id);
		if (m->reason != NULL)
			reason_fold(m->reason, strlen(m->reason), &why);
		fn(arg, &id, at != NULL ? at + 1 : "", m->reason != NULL ? why.s : NULL, m->failure);
		str_release(&why);
	}
}

/* Of a set those that a full listing names. */
static void
still_listed(struct queue_ids *ids, const struct queue_messages *l)
{
	struct queue_ids now = { xcalloc(l->n + 1, sizeof(*now.v)), l->n };
	struct queue_id *found;
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		id_of(&l->v[i], &now.v[i]);
	if (now.n > 1)
		qsort(now.v, now.n, sizeof(*now.v), by_id);
	for (i = 0; i < ids->n && now.n > 0; i++)
		if ((found = bsearch(&ids->v[i], now.v, now.n, sizeof(*now.v), by_id)) != NULL && found->arrival == ids->v[i].arrival)
			ids->v[n++] = *found;
	ids->n = n;
	queue_ids_release(&now);
}

/* The queue as it is now: of what was taken what is still there, then every message to fn. */
static int
each_now(struct host_job *hj, struct host *h, queue_each_fn *fn, struct err *e)
{
	struct following *w = hj->data;
	struct queue_view v = { .taken_at = 0 };
	int rc = poll_queue(hj, h, QUEUE_BY_SERVER, NULL, 0, &v, e);

	if (rc == 0 && hj->slot->queue != NULL) {
		(void)queue_mirror_still(hj->slot->queue, &w->own.ids);
		queue_mirror_each(hj->slot->queue, fn, w);
	} else if (rc == 0) {
		queue_view_release(&v);
		rc = poll_queue(hj, h, QUEUE_BY_SERVER, queue_follow_only(&w->own), QUEUE_MIRROR_MAX, &v, e);
		if (rc == 0) {
			still_listed(&w->own.ids, &v.taken);
			listed_each(&v.taken, fn, w);
		}
	}
	queue_view_release(&v);
	return rc;
}

static int
take_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct following *w = hj->data;
	struct queue_follow *own = &w->own;

	job_say(ctx, "counting what waits");
	if (each_now(hj, h, take_one, e) == -1)
		return -1;
	reasons_release(&own->before, &own->n_before);
	own->before = own->v;
	own->n_before = own->n;
	own->v = NULL;
	own->n = 0;
	if (own->ids.n > QUEUE_FOLLOW_MAX) {
		qsort(own->ids.v, own->ids.n, sizeof(*own->ids.v), oldest_first);
		own->rest = own->ids.n - QUEUE_FOLLOW_MAX;
		own->ids.n = QUEUE_FOLLOW_MAX;
	}
	if (own->ids.n > 1)
		qsort(own->ids.v, own->ids.n, sizeof(*own->ids.v), by_id);
	own->taken = own->ids.n;
	return 0;
}

static int
look_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct following *w = hj->data;
	struct queue_follow *own = &w->own;
	size_t i;

	job_say(ctx, "who has left");
	if (each_now(hj, h, look_at_one, e) == -1)
		return -1;
	for (i = 0; i < own->ids.n; i++)
		own->trying += own->ids.v[i].state == QUEUE_ACTIVE || own->ids.v[i].state == QUEUE_INCOMING;
	if (own->n > 1)
		qsort(own->v, own->n, sizeof(*own->v), most_first);
	return 0;
}

static int
take_finish(struct host_job *hj, int rc, struct err *e)
{
	struct following *w = hj->data;

	(void)e;
	if (rc != 0)
		return rc;
	queue_follow_release(w->f);
	*w->f = w->own;
	w->f->server = hj->server.id;
	w->f->taken_at = when_now();
	memset(&w->own, 0, sizeof(w->own));
	return 0;
}

static int
look_finish(struct host_job *hj, int rc, struct err *e)
{
	struct following *w = hj->data;
	struct queue_follow *f = w->f, *own = &w->own;
	struct queue_follow old = *f;

	(void)e;
	if (rc != 0)
		return rc;
	f->ids = own->ids;
	f->v = own->v;
	f->n = own->n;
	f->trying = own->trying;
	f->left = f->taken - f->ids.n;
	f->looked_at = when_now();
	own->ids = old.ids;              /* what was before goes with the work */
	own->v = old.v;
	own->n = old.n;
	return 0;
}

static int64_t
follow_start(struct journey *j, struct queue_follow *f, int (*work)(struct host_job *, struct host *, struct job_ctx *, struct err *),
    int (*finish)(struct host_job *, int, struct err *), journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, f->server, done, arg, e);
	struct following *w;
	size_t i;

	if (hj == NULL)
		return -1;
	w = xcalloc(1, sizeof(*w));
	w->f = f;
	take_spaces(w, f->destinations);
	w->own.destinations = xstrdup(f->destinations);
	w->own.ids = (struct queue_ids){ xcalloc(f->ids.n + 1, sizeof(*f->ids.v)), f->ids.n };
	if (f->ids.n > 0)
		memcpy(w->own.ids.v, f->ids.v, f->ids.n * sizeof(*f->ids.v));
	w->own.before = xcalloc(f->n_before + 1, sizeof(*f->before));
	for (i = 0; i < f->n_before; i++)
		w->own.before[w->own.n_before++].reason = xstrdup(f->before[i].reason);
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
	reasons_release(&f->before, &f->n_before);
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
