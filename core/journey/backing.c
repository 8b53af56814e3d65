/* What backs up: counts of destinations are held against their own past, and who has more than that stands in a fact of the store,
 * from where Needs attention, the queue and `check` have it, until it does no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/xalloc.h"

#define HISTORY (29 * 86400)

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

int
backing_begin(struct store *st, int64_t server, int64_t now, struct backing_judge *j, struct err *e)
{
	char *name = fact_name(server), *fact = NULL;
	int rc = store_queue_cells(st, server, "server", "", QUEUE_HOUR, now - HISTORY, &j->watched, e);

	j->server = server;
	j->now = now;
	if (store_fact_get(st, name, &fact, NULL) == 0)
		backing_read(fact, &j->already);
	free(fact);
	free(name);
	return rc;
}

void
backing_judge(struct store *st, struct backing_judge *j, const char *destination, int64_t messages, int64_t oldest)
{
	struct queue_now q = { j->now, messages, oldest, 0 };
	struct queue_cell_list own = { NULL, 0 };
	const struct queue_backing *was = queue_backing_of(&j->already, destination);
	int64_t usual = 0;
	int days = 0;

	if (messages * 2 < queue_too_many(0) || strpbrk(destination, " \n") != NULL)
		return;
	q.before = before(st, j->server, destination, j->now);
	if (store_queue_cells(st, j->server, "destination", destination, QUEUE_HOUR, j->now - HISTORY, &own, NULL) == 0
	    && queue_usual(&own, &j->watched, j->now, &usual, &days) && queue_backs_up(&q, usual, was != NULL))
		str_addf(&j->fact, "%s %lld %lld %d %lld\n", destination, (long long)messages, (long long)usual, days,
		    (long long)(was != NULL ? was->since : j->now));
	free(own.v);
}

int
backing_end(struct store *st, const struct backing_judge *j, struct err *e)
{
	char *name = fact_name(j->server);
	int rc = fact_note(st, name, j->fact.len > 0 ? j->fact.s : NULL, e);

	free(name);
	return rc;
}

void
backing_judge_release(struct backing_judge *j)
{
	queue_backing_list_release(&j->already);
	free(j->watched.v);
	str_release(&j->fact);
}
