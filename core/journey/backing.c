/* What waits, over time: counts go into the store once a minute, are held against the destination's own past, and what backs up
 * stands in Needs attention until it does no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define EVERY_MS 60000
#define TOP 200                  /* groups of a grouping that are noted, those with most messages */
#define JUDGED 50                /* destinations, the same */
#define PRUNE_EVERY_MS (3600 * 1000)
#define HISTORY (29 * 86400)

bool
queue_note_due(const struct slot *s)
{
	return s->queue_noted_ms == 0 || when_monotonic_ms() - s->queue_noted_ms >= EVERY_MS;
}

/* --- the fact: a line for each, as judge writes it --- */

static char *
fact_name(int64_t server)
{
	return xasprintf("queue-backing:%lld", (long long)server);
}

static void
backing_read(const char *fact, struct queue_backing_list *out)
{
	char destination[256];
	long long messages, usual, since;
	const char *p;
	int days;

	for (p = fact; p != NULL && *p != '\0'; p = strchr(p, '\n') != NULL ? strchr(p, '\n') + 1 : NULL) {
		if (sscanf(p, "%255s %lld %lld %d %lld", destination, &messages, &usual, &days, &since) != 5)
			continue;
		ARRAY_GROW(out->v, out->n);
		out->v[out->n++] = (struct queue_backing){ xstrdup(destination), messages, usual, since, days };
	}
}

void
queue_backings(struct journey *j, int64_t server, struct queue_backing_list *out)
{
	char *name = fact_name(server), *fact = NULL;

	if (store_fact_get(j->store, name, &fact, NULL) == 0)
		backing_read(fact, out);
	free(fact);
	free(name);
}

void
queue_backing_list_release(struct queue_backing_list *l)
{
	while (l->n > 0)
		free(l->v[--l->n].destination);
	free(l->v);
	*l = (struct queue_backing_list){ NULL, 0 };
}

const struct queue_backing *
queue_backing_of(const struct queue_backing_list *l, const char *destination)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->v[i].destination, destination) == 0)
			return &l->v[i];
	return NULL;
}

void
queue_backing_usual(const struct queue_backing *b, char out[64])
{
	const char *when = b->days > 0 ? "usually" : "before that";

	if (b->usual == 0)
		snprintf(out, 64, "%s none", when);
	else
		snprintf(out, 64, "%s no more than %lld", when, (long long)b->usual);
}

/* --- judging --- */

/* How many waited some ten minutes ago. */
static int64_t
before(struct store *st, int64_t server, const char *destination, int64_t now)
{
	struct queue_cell_list l;
	int64_t n = 0;

	if (store_queue_cells(st, server, "destination", destination, QUEUE_CELL, now - 3 * QUEUE_CELL, &l, NULL) == 0 && l.n > 0
	    && l.v[0].at + QUEUE_CELL <= now)
		n = l.v[0].messages;
	free(l.v);
	return n;
}

static void
judge(struct store *st, const struct queue_view *v, const struct queue_group *g, const struct queue_cell_list *watched,
    const struct queue_backing_list *already, struct str *out)
{
	struct queue_now q = { v->taken_at, g->messages, g->oldest, 0 };
	struct queue_cell_list own = { NULL, 0 };
	const struct queue_backing *was = queue_backing_of(already, g->key);
	int64_t usual = 0;
	int days = 0;

	if (g->messages * 2 < queue_too_many(0) || strpbrk(g->key, " \n") != NULL)
		return;
	q.before = before(st, v->server, g->key, v->taken_at);
	if (store_queue_cells(st, v->server, "destination", g->key, QUEUE_HOUR, v->taken_at - HISTORY, &own, NULL) == 0
	    && queue_usual(&own, watched, v->taken_at, &usual, &days) && queue_backs_up(&q, usual, was != NULL))
		str_addf(out, "%s %lld %lld %d %lld\n", g->key, (long long)g->messages, (long long)usual, days,
		    (long long)(was != NULL ? was->since : v->taken_at));
	free(own.v);
}

static int
backing_note(struct store *st, const struct queue_view *v, const struct queue_groups *destinations, struct err *e)
{
	char *name = fact_name(v->server), *fact = NULL;
	struct queue_backing_list already = { NULL, 0 };
	struct queue_cell_list watched;
	struct str now = STR_INIT;
	size_t i;
	int rc = store_queue_cells(st, v->server, "server", "", QUEUE_HOUR, v->taken_at - HISTORY, &watched, e);

	if (store_fact_get(st, name, &fact, NULL) == -1)
		fact = NULL;
	backing_read(fact, &already);
	for (i = 0; rc == 0 && i < destinations->n && i < JUDGED; i++)
		judge(st, v, &destinations->v[i], &watched, &already, &now);
	if (rc == 0 && !text_eq(fact, now.len > 0 ? now.s : NULL))
		rc = store_fact_set(st, name, now.len > 0 ? now.s : NULL, e);
	queue_backing_list_release(&already);
	free(watched.v);
	free(fact);
	free(name);
	str_release(&now);
	return rc;
}

/* What TLS has to do with it. */
static int
tls_note(struct store *st, const struct queue_view *v, const struct queue_groups *destinations, struct err *e)
{
	char *fact = xasprintf("queue-tls:%lld", (long long)v->server), *text = NULL;
	struct str tls = STR_INIT;
	int64_t waiting = 0;
	size_t i;
	int rc;

	for (i = 0; i < destinations->n; i++) {
		const struct queue_group *g = &destinations->v[i];

		if (g->failure == NULL || !g->failure->tls)
			continue;
		if (waiting == 0)
			str_addf(&tls, " %s: %s", clean(g->key), g->failure->title);
		waiting += g->deferred;
	}
	if (waiting > 0)
		text = xasprintf("%lld%s", (long long)waiting, tls.s);
	rc = store_fact_set(st, fact, text, e);
	free(text);
	free(fact);
	str_release(&tls);
	return rc;
}

struct noting { const struct queue_view *v; const struct queue_groups *const *groups; bool prune; };

static int
note_body(struct store *st, void *arg, struct err *e)
{
	static const char *const names[QUEUE_BY_SERVER] = { "destination", "reason", "sender" };
	const struct noting *n = arg;
	const struct queue_view *v = n->v;
	struct server sv = { .id = 0 };
	int64_t oldest = 0;
	size_t i;
	int by, rc = 0;

	for (i = 0; i < n->groups[QUEUE_BY_DESTINATION]->n; i++) {
		const struct queue_group *g = &n->groups[QUEUE_BY_DESTINATION]->v[i];

		if (g->oldest > 0 && (oldest == 0 || g->oldest < oldest))
			oldest = g->oldest;
	}
	/* judged before it is noted: an hour is no past of itself */
	rc = backing_note(st, v, n->groups[QUEUE_BY_DESTINATION], e);
	if (rc == 0)
		rc = tls_note(st, v, n->groups[QUEUE_BY_DESTINATION], e);
	if (rc == 0)
		rc = store_queue_cell_note(st, v->server, "server", "", v->taken_at, v->messages, oldest, e);
	for (by = 0; by < QUEUE_BY_SERVER; by++)
		for (i = 0; rc == 0 && i < n->groups[by]->n && i < TOP; i++)
			rc = store_queue_cell_note(st, v->server, names[by], n->groups[by]->v[i].key, v->taken_at,
			    n->groups[by]->v[i].messages, n->groups[by]->v[i].oldest, e);
	if (rc == 0 && n->prune)
		rc = store_queue_cells_prune(st, v->taken_at, e);
	if (rc == 0 && (rc = store_server_get(st, v->server, &sv, e)) == 0 && sv.queue_messages != v->messages) {
		sv.queue_messages = v->messages;
		rc = store_server_save(st, &sv, e);
	}
	server_release(&sv);
	return rc;
}

int
queue_note(struct host_job *hj, const struct queue_view *v, const struct queue_groups *const groups[QUEUE_BY_SERVER], struct err *e)
{
	static int64_t pruned_ms;
	struct noting n = { v, groups, pruned_ms == 0 || when_monotonic_ms() - pruned_ms > PRUNE_EVERY_MS };
	int rc = store_tx_seen(hj->journey->store, note_body, &n, e);

	if (rc == 0) {
		hj->slot->queue_noted_ms = when_monotonic_ms();
		if (n.prune)
			pruned_ms = hj->slot->queue_noted_ms;
	}
	return rc;
}
