/* The same work for many things on one host, over several connections at a time: one that hangs holds up nothing but itself. The
 * connections are jobs of their own, made for this and closed behind it; where none comes about the host's own does all. */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define LANES_MAX 12
#define WAIT_STEP_MS 50
#define START_MS 8000        /* when no lane has begun by then (all workers are busy), it is not waited for */
#define CLOSED (-1000000)

/* Belongs to whom holds it; what fn and arg lead to is there only while lanes are busy, which ends before lanes_run does. */
struct lanes {
	struct journey *journey;
	struct login login;
	char *title;
	lane_fn *fn;
	void *arg;
	size_t n, most;
	atomic_size_t next, done;
	atomic_int busy;                 /* lanes at work; below 0: closed, nobody may begin */
	atomic_int begun, ended;
	atomic_int refs;
	int64_t jobs[LANES_MAX];         /* main thread */
	size_t n_jobs;
};

static void
lanes_unref(void *arg)
{
	struct lanes *l = arg;

	if (atomic_fetch_sub(&l->refs, 1) > 1)
		return;
	login_release(&l->login);
	free(l->title);
	free(l);
}

static void
take_items(struct lanes *l, struct host *h, struct job_ctx *ctx)
{
	size_t i;

	while (!job_cancelled(ctx) && host_alive(h) && (i = atomic_fetch_add(&l->next, 1)) < l->n) {
		l->fn(l->arg, i, h, ctx);
		atomic_fetch_add(&l->done, 1);
	}
}

static int
lane_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct lanes *l = arg;
	struct host *h = NULL;
	int rc = 0;

	atomic_fetch_add(&l->begun, 1);
	if (atomic_load(&l->busy) >= 0 && atomic_load(&l->next) < l->n && (rc = host_open(&h, &l->login, ctx, NULL, e)) == 0) {
		job_on_cancel(ctx, host_abort, h);
		if (atomic_fetch_add(&l->busy, 1) >= 0)
			take_items(l, h, ctx);
		atomic_fetch_sub(&l->busy, 1);
		job_on_cancel(ctx, NULL, NULL);
		host_close(h);
	}
	atomic_fetch_add(&l->ended, 1);
	return rc;
}

/* --- on the main thread --- */

static int
lanes_start(void *arg, struct err *e)
{
	struct lanes *l = arg;
	size_t i, lanes = l->n < l->most ? l->n : l->most;
	struct job job = { .title = l->title, .work = lane_work, .drop = lanes_unref, .arg = l };

	(void)e;
	for (i = 0; i < lanes && i < LANES_MAX; i++) {
		atomic_fetch_add(&l->refs, 1);
		l->jobs[l->n_jobs++] = jobq_submit(l->journey->jobs, &job);
	}
	return 0;
}

static int
lanes_cancel(void *arg, struct err *e)
{
	struct lanes *l = arg;
	size_t i;

	(void)e;
	for (i = 0; i < l->n_jobs; i++)
		jobq_cancel(l->journey->jobs, l->jobs[i]);
	return 0;
}

/* --- in the worker --- */

static void
wait_step(struct job_ctx *ctx, int ms)
{
	struct pollfd p = { .fd = job_cancel_fd(ctx), .events = POLLIN };

	(void)poll(&p, p.fd >= 0 && !job_cancelled(ctx) ? 1 : 0, ms);
}

/* Nobody begins any more, and who is at work comes to his end. */
static void
lanes_end(struct lanes *l, struct job_ctx *ctx)
{
	int none = 0;

	while (!atomic_compare_exchange_strong(&l->busy, &none, CLOSED)) {
		none = 0;
		wait_step(ctx, 10);
	}
}

int
lanes_run(struct host_job *hj, struct host *h, size_t n, lane_fn *fn, void *arg, const char *doing, struct job_ctx *ctx, struct err *e)
{
	int64_t began = when_monotonic_ms();
	struct lanes *l = xcalloc(1, sizeof(*l));
	size_t done, said = 0;

	*l = (struct lanes){ .fn = fn, .arg = arg, .n = n, .most = LANES_MAX };
	atomic_init(&l->refs, 1);
	if (n > 1 && ctx != NULL && hj != NULL) {
		l->journey = hj->journey;
		l->title = xasprintf("%s %s", doing, hj->server.name);
		login_copy(&l->login, &hj->login);
		if (job_on_main(ctx, lanes_start, l, e) == -1) {
			lanes_unref(l);
			return -1;
		}
	}
	while ((done = atomic_load(&l->done)) < n && !job_cancelled(ctx)) {
		if (done != said)
			job_say(ctx, "%s: %zu of %zu", doing, said = done, n);
		if ((size_t)atomic_load(&l->ended) == l->n_jobs || (atomic_load(&l->begun) == 0 && when_monotonic_ms() - began > START_MS)) {
			take_items(l, h, ctx);
			if (atomic_load(&l->next) >= n && atomic_load(&l->busy) == 0)
				break;
			if (!host_alive(h))
				break;
		}
		wait_step(ctx, WAIT_STEP_MS);
	}
	if (job_cancelled(ctx) && l->n_jobs > 0)
		(void)job_on_main(ctx, lanes_cancel, l, e);
	lanes_end(l, ctx);
	done = atomic_load(&l->done);
	lanes_unref(l);
	if (job_cancelled(ctx))
		return err_set(e, RC_CANCELLED, "cancelled");
	return done < n && !host_alive(h) ? err_set(e, RC_NET, "the connection to %s is gone", hj != NULL ? hj->server.name : "the host") : 0;
}
