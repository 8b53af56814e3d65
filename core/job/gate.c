/* Gates: so many jobs at a time may do something to one slow machine. A job that waits in line does not count as a worker. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "private.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static struct gate *
gate_find(struct jobq *q, const char *name)
{
	struct gate *g;

	for (g = q->gates; g != NULL; g = g->next)
		if (strcmp(g->name, name) == 0)
			return g;
	g = xcalloc(1, sizeof(*g));
	g->name = xstrdup(name);
	g->next = q->gates;
	q->gates = g;
	return g;
}

/* A place in the job for one more gate; asking for too many is our own fault. */
static size_t
gate_slot(const struct job_ctx *c, const struct gate *g)
{
	size_t i;

	for (i = 0; i < GATES_MAX && c->gates[i] != g; i++)
		;
	return i;
}

static void
first_may(struct gate *g)
{
	if (g->line != NULL)
		pthread_cond_signal(&g->line->may);
}

static void
gate_leave(struct job_ctx *c, size_t i)
{
	struct gate *g = c->gates[i];

	c->gates[i] = NULL;
	c->gate_until_ms[i] = 0;
	first_may(g);
}

void
gates_leave(struct job_ctx *c)
{
	for (size_t i = 0; i < GATES_MAX; i++)
		if (c->gates[i] != NULL)
			gate_leave(c, i);
}

void
gates_free(struct jobq *q)
{
	struct gate *g;

	while ((g = q->gates) != NULL) {
		q->gates = g->next;
		free(g->name);
		free(g);
	}
}

/* How many are inside whose place counts. */
static int
gate_inside(const struct jobq *q, const struct gate *g)
{
	int64_t now_ms = when_monotonic_ms();
	int n = 0;

	for (const struct job_ctx *c = q->jobs; c != NULL; c = c->next)
		for (size_t i = 0; i < GATES_MAX; i++)
			n += c->gates[i] == g && (c->gate_until_ms[i] == 0 || now_ms < c->gate_until_ms[i]);
	return n;
}

/* Until something changed at the gate; who is the next to go in looks now and then by himself: time makes room as well. */
static void
gate_look(struct jobq *q, struct turn *mine, bool first)
{
	struct timespec t;

	if (!first) {
		pthread_cond_wait(&mine->may, &q->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec++;
	pthread_cond_clockwait(&mine->may, &q->lock, CLOCK_MONOTONIC, &t);
}

/* Waits in line until it is our turn and there is room. */
static int
gate_wait(struct jobq *q, struct job_ctx *ctx, struct gate *g, int max)
{
	struct turn mine = { .may = PTHREAD_COND_INITIALIZER }, **at = &g->line;

	while (*at != NULL)
		at = &(*at)->next;
	*at = &mine;
	ctx->waits = &mine;
	q->blocked++;
	jobq_wake_worker(q);
	while (!atomic_load(&ctx->cancelled) && (g->line != &mine || gate_inside(q, g) >= max))
		gate_look(q, &mine, g->line == &mine);
	q->blocked--;
	ctx->waits = NULL;
	for (at = &g->line; *at != &mine; at = &(*at)->next)
		;
	*at = mine.next;
	first_may(g);                                      /* there may be room for the next one as well */
	pthread_cond_destroy(&mine.may);
	return atomic_load(&ctx->cancelled) ? -1 : 0;
}

int
job_gate_enter(struct job_ctx *ctx, const char *name, int max, struct err *e)
{
	struct gate *g;
	size_t slot;
	int bad = 0;

	if (ctx == NULL)
		return 0;
	pthread_mutex_lock(&ctx->q->lock);
	g = gate_find(ctx->q, name);
	slot = gate_slot(ctx, NULL);
	if (slot == GATES_MAX || gate_slot(ctx, g) != GATES_MAX)
		bad = err_set(e, RC_BUG, "%s wants through a gate it is inside of, or through too many", ctx->title);
	else if (gate_wait(ctx->q, ctx, g, max < 1 ? 1 : max) < 0)
		bad = err_set(e, RC_CANCELLED, "%s was cancelled while it waited for its turn", ctx->title);
	else
		ctx->gates[slot] = g;
	pthread_mutex_unlock(&ctx->q->lock);
	return bad;
}

void
job_gate_expire(struct job_ctx *ctx, const char *name, int ms)
{
	size_t slot;

	if (ctx == NULL)
		return;
	pthread_mutex_lock(&ctx->q->lock);
	slot = gate_slot(ctx, gate_find(ctx->q, name));
	if (slot < GATES_MAX)
		ctx->gate_until_ms[slot] = when_monotonic_ms() + ms;
	pthread_mutex_unlock(&ctx->q->lock);
}

void
job_gate_leave(struct job_ctx *ctx, const char *name)
{
	size_t slot;

	if (ctx == NULL)
		return;
	pthread_mutex_lock(&ctx->q->lock);
	slot = gate_slot(ctx, gate_find(ctx->q, name));
	if (slot < GATES_MAX)
		gate_leave(ctx, slot);
	pthread_mutex_unlock(&ctx->q->lock);
}
