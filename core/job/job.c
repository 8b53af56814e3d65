/* The job queue: worker threads, jobs in order per key, progress, cancel. One mutex guards everything here; work(),
 * done(), drop() and progress functions run without it. Threads are made as needed: a worker that waits at a gate does not
 * count, so that jobs queueing for one slow machine cannot starve the others. What can fail: making the first thread. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "private.h"
#include "mxseal/log.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define PROGRESS_MAX 64     /* events of one job that wait to be delivered; beyond that they are coalesced */
#define STANDS_BACK 5       /* of nice(2) */

/* What was added to a list before is seen by the delivery that this wakes, or by the one before it. By a worker never with the lock
 * held: the main thread would take its processor at once, and then wait for the lock. */
static void
wake_main(struct jobq *q)
{
	if (!atomic_exchange(&q->woken, true) && write(q->wake[1], "", 1) != 1)
		atomic_store(&q->woken, false);
}

/* --- small things; all with the lock held --- */

static struct job_ctx *
find(const struct jobq *q, int64_t id)
{
	struct job_ctx *c;

	for (c = q->jobs; c != NULL && c->id != id; c = c->next)
		;
	return c;
}

static bool
key_runs(const struct jobq *q, int64_t key)
{
	if (key != 0)
		for (const struct job_ctx *c = q->jobs; c != NULL; c = c->next)
			if (c->state == RUNNING && c->job.key == key)
				return true;
	return false;
}

/* The oldest job that may run. */
static struct job_ctx *
pick(const struct jobq *q)
{
	struct job_ctx *c;

	for (c = q->jobs; c != NULL; c = c->next)
		if (c->state == WAITING && !key_runs(q, c->job.key))
			break;
	return c;
}

static void
unlink_job(struct jobq *q, struct job_ctx *gone)
{
	struct job_ctx **at = &q->jobs;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	if (*at == NULL)
		q->jobs_end = at;
	q->count--;
}

static void
finish(struct job_ctx *c, int rc)
{
	struct jobq *q = c->q;

	c->rc = rc;
	c->state = FINISHED;
	c->next_finished = NULL;
	*q->finished_end = c;
	q->finished_end = &c->next_finished;
}

static void
ctx_free(struct job_ctx *c)
{
	if (c->job.drop != NULL)
		c->job.drop(c->job.arg);
	if (c->cancel_fd >= 0)
		close(c->cancel_fd);
	free(c->title);
	free(c);
}

/* --- workers --- */

static void *worker(void *arg);

/* Runs one job; the lock is given back meanwhile. */
static void
run_job(struct jobq *q, struct job_ctx *c)
{
	int rc;

	pthread_mutex_unlock(&q->lock);
	rc = c->job.work(c, c->job.arg, &c->err);
	job_on_cancel(c, NULL, NULL);
	pthread_mutex_lock(&q->lock);
	gates_leave(c);
	finish(c, rc);
	pthread_mutex_unlock(&q->lock);
	wake_main(q);
	pthread_mutex_lock(&q->lock);
}

/* A thread that never sees a signal: they are the main thread's. Faults stay deliverable, they belong to who makes them. */
static int
thread_add(struct jobq *q)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT };
	sigset_t block, was;
	int rc;

	sigfillset(&block);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&block, faults[i]);
	pthread_sigmask(SIG_SETMASK, &block, &was);
	rc = pthread_create(&q->threads[q->n_threads], NULL, worker, q);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (rc != 0)
		return rc;
	q->n_threads++;
	return 0;
}

/* Called when a job is submitted, and by each worker that takes one: so two jobs given to one idle worker do not wait for it, and a
 * job whose key has become free does not wait either. */
void
jobq_wake_worker(struct jobq *q)
{
	struct turn *t = q->idle;
	int rc;

	if (q->closing || pick(q) == NULL)
		return;
	if (t != NULL) {
		q->idle = t->next;
		t->woken = true;
		pthread_cond_signal(&t->may);
	} else if (q->n_threads - q->blocked < q->workers && q->n_threads < THREADS_MAX && (rc = thread_add(q)) != 0) {
		log_line("no further worker thread: %s", strerror(rc));
	}
}

static void
wait_for_work(struct jobq *q)
{
	struct turn mine = { q->idle, PTHREAD_COND_INITIALIZER, false };

	q->idle = &mine;
	while (!mine.woken)
		pthread_cond_wait(&mine.may, &q->lock);
	pthread_cond_destroy(&mine.may);
}

static void
wake_all(struct jobq *q)
{
	struct turn *t;

	while ((t = q->idle) != NULL) {
		q->idle = t->next;
		t->woken = true;
		pthread_cond_signal(&t->may);
	}
	for (struct call *c = q->calls; c != NULL; c = c->next)
		pthread_cond_signal(&c->may);
}

/* Priority is a thread's own on Linux. That it cannot be lowered is no harm. */
static void
stand_back(void)
{
	(void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), STANDS_BACK);
}

static void *
worker(void *arg)
{
	struct jobq *q = arg;
	struct job_ctx *c = NULL;
	bool back = false;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		while (!q->closing && (c = pick(q)) == NULL)
			wait_for_work(q);
		if (q->closing)
			break;
		if (q->stands_back && !back)
			stand_back();
		back = q->stands_back;
		c->state = RUNNING;
		jobq_wake_worker(q);
		run_job(q, c);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* --- the queue --- */

int
jobq_open(struct jobq **out, unsigned workers, struct err *e)
{
	struct jobq *q = xcalloc(1, sizeof(*q));
	int rc;

	*out = NULL;
	q->workers = workers == 0 ? 1 : workers > THREADS_MAX / 2 ? THREADS_MAX / 2 : workers;
	q->jobs_end = &q->jobs;
	q->finished_end = &q->finished;
	q->said_end = &q->said;
	if (pipe2(q->wake, O_CLOEXEC | O_NONBLOCK) < 0) {
		err_set(e, RC_LIMIT, "no pipe for background work: %s", strerror(errno));
		free(q);
		return -1;
	}
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->called, NULL);
	/* the first thread now: later ones may fail and the queue still works */
	pthread_mutex_lock(&q->lock);
	rc = thread_add(q);
	pthread_mutex_unlock(&q->lock);
	if (rc != 0) {
		err_set(e, RC_LIMIT, "no thread for background work: %s", strerror(rc));
		jobq_close(q);
		return -1;
	}
	*out = q;
	return 0;
}

int
jobq_fd(const struct jobq *q)
{
	return q->wake[0];
}

void
jobq_stand_back(struct jobq *q)
{
	pthread_mutex_lock(&q->lock);
	q->stands_back = true;
	pthread_mutex_unlock(&q->lock);
}

void
jobq_on_progress(struct jobq *q, job_progress_fn *fn, void *arg)
{
	q->progress = fn;   /* read on the main thread only */
	q->progress_arg = arg;
}

int64_t
jobq_submit(struct jobq *q, const struct job *j)
{
	struct job_ctx *c = xcalloc(1, sizeof(*c));
	int64_t id;

	c->q = q;
	c->job = *j;
	c->title = xstrdup(j->title != NULL ? j->title : "");
	c->job.title = c->title;
	c->cancel_fd = -1;
	atomic_init(&c->cancelled, false);
	pthread_mutex_lock(&q->lock);
	id = c->id = ++q->last_id;
	*q->jobs_end = c;
	q->jobs_end = &c->next;
	q->count++;
	jobq_wake_worker(q);
	pthread_mutex_unlock(&q->lock);
	return id;
}

/* With the lock held, which is given back while on_cancel runs. */
static void
cancel(struct jobq *q, struct job_ctx *c)
{
	void (*fn)(void *) = c->on_cancel;
	void *arg = c->on_cancel_arg;

	if (c->state == FINISHED || atomic_exchange(&c->cancelled, true))
		return;
	if (c->state == WAITING) {
		err_set(&c->err, RC_CANCELLED, "%s was cancelled before it began", c->title);
		finish(c, -1);
		wake_main(q);
		return;
	}
	if (c->cancel_fd >= 0)
		eventfd_write(c->cancel_fd, 1);
	if (c->waits != NULL)
		pthread_cond_signal(&c->waits->may);
	if (fn == NULL)
		return;
	c->on_cancel = NULL;
	c->calling = true;
	pthread_mutex_unlock(&q->lock);
	fn(arg);
	pthread_mutex_lock(&q->lock);
	c->calling = false;
	pthread_cond_broadcast(&q->called);
}

void
jobq_cancel(struct jobq *q, int64_t id)
{
	struct job_ctx *c;

	pthread_mutex_lock(&q->lock);
	c = find(q, id);
	if (c != NULL)
		cancel(q, c);
	pthread_mutex_unlock(&q->lock);
}

static pthread_mutex_t *
lock_of(const struct jobq *q)
{
	return (pthread_mutex_t *)&q->lock;   /* looking changes nothing that a caller can see */
}

bool
jobq_busy(const struct jobq *q, int64_t id)
{
	bool busy;

	pthread_mutex_lock(lock_of(q));
	busy = find(q, id) != NULL;
	pthread_mutex_unlock(lock_of(q));
	return busy;
}

size_t
jobq_running(const struct jobq *q)
{
	size_t n;

	pthread_mutex_lock(lock_of(q));
	n = q->count;
	pthread_mutex_unlock(lock_of(q));
	return n;
}

/* Takes the next due thing off its list, progress before ends. The functions called may themselves submit, cancel, wait and
 * deliver: nothing is held while they run. */
static bool
deliver_one(struct jobq *q)
{
	struct said *s;
	struct job_ctx *c = NULL;

	pthread_mutex_lock(&q->lock);
	s = q->said;
	if (s != NULL) {
		q->said = s->next;
		if (q->said == NULL)
			q->said_end = &q->said;
		s->ctx->said--;
	} else if ((c = q->finished) != NULL) {
		q->finished = c->next_finished;
		if (q->finished == NULL)
			q->finished_end = &q->finished;
		unlink_job(q, c);
	}
	pthread_mutex_unlock(&q->lock);
	if (s != NULL) {
		if (q->progress != NULL)
			q->progress(&s->p, q->progress_arg);
		free(s);
		return true;
	}
	if (c == NULL)
		return false;
	if (c->job.done != NULL)
		c->job.done(c->job.arg, c->rc, &c->err);
	ctx_free(c);
	return true;
}

/* What workers want done here, until none is left: they wait for it. */
static void
calls_run(struct jobq *q)
{
	struct call *c;

	pthread_mutex_lock(&q->lock);
	while ((c = q->calls) != NULL) {
		q->calls = c->next;
		c->begun = true;
		pthread_mutex_unlock(&q->lock);
		c->rc = c->fn(c->arg, c->e);
		pthread_mutex_lock(&q->lock);
		c->ended = true;
		pthread_cond_signal(&c->may);
	}
	pthread_mutex_unlock(&q->lock);
}

void
jobq_deliver(struct jobq *q)
{
	jobq_deliver_some(q, -1);
}

/* At most what is due now: workers that keep talking cannot hold the main thread here. */
void
jobq_deliver_some(struct jobq *q, int ms)
{
	int64_t until_ms = when_monotonic_ms() + ms;
	char bytes[64];
	size_t due = 0;

	while (read(q->wake[0], bytes, sizeof(bytes)) > 0)
		;
	atomic_store(&q->woken, false);
	pthread_mutex_lock(&q->lock);
	for (const struct said *s = q->said; s != NULL; s = s->next)
		due++;
	for (const struct job_ctx *c = q->finished; c != NULL; c = c->next_finished)
		due++;
	pthread_mutex_unlock(&q->lock);
	while (due-- > 0 && deliver_one(q))
		if (ms >= 0 && when_monotonic_ms() >= until_ms)
			break;
	calls_run(q);
	pthread_mutex_lock(&q->lock);
	if (q->said != NULL || q->finished != NULL)
		wake_main(q);
	pthread_mutex_unlock(&q->lock);
}

void
jobq_wait(struct jobq *q, int64_t id)
{
	while (jobq_busy(q, id)) {
		struct pollfd p = { .fd = q->wake[0], .events = POLLIN };

		poll(&p, 1, -1);
		jobq_deliver(q);
	}
}

void
jobq_close(struct jobq *q)
{
	struct job_ctx *c;
	struct said *s;

	if (q == NULL)
		return;
	pthread_mutex_lock(&q->lock);
	q->closing = true;
	/* only this thread takes jobs off the list, so it may be walked although cancel() gives the lock back */
	for (c = q->jobs; c != NULL; c = c->next)
		cancel(q, c);
	wake_all(q);
	pthread_mutex_unlock(&q->lock);
	for (size_t i = 0; i < q->n_threads; i++)
		pthread_join(q->threads[i], NULL);
	while ((s = q->said) != NULL) {
		q->said = s->next;
		free(s);
	}
	while ((c = q->jobs) != NULL) {
		q->jobs = c->next;
		ctx_free(c);
	}
	gates_free(q);
	pthread_cond_destroy(&q->called);
	pthread_mutex_destroy(&q->lock);
	close(q->wake[0]);
	close(q->wake[1]);
	free(q);
}

/* --- for work() --- */

bool
job_cancelled(const struct job_ctx *ctx)
{
	return ctx != NULL && atomic_load(&ctx->cancelled);
}

int
job_cancel_fd(const struct job_ctx *ctx)
{
	struct job_ctx *c = (struct job_ctx *)ctx;   /* made at first use: not a change that a caller can see */
	int fd;

	if (c == NULL)
		return -1;
	pthread_mutex_lock(&c->q->lock);
	if (c->cancel_fd < 0)
		c->cancel_fd = eventfd(atomic_load(&c->cancelled) ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = c->cancel_fd;
	pthread_mutex_unlock(&c->q->lock);
	return fd;
}

void
job_on_cancel(struct job_ctx *ctx, void (*fn)(void *), void *arg)
{
	bool now;

	if (ctx == NULL)
		return;
	pthread_mutex_lock(&ctx->q->lock);
	while (ctx->calling)
		pthread_cond_wait(&ctx->q->called, &ctx->q->lock);
	now = fn != NULL && atomic_load(&ctx->cancelled);
	ctx->on_cancel = now ? NULL : fn;
	ctx->on_cancel_arg = arg;
	pthread_mutex_unlock(&ctx->q->lock);
	/* the cancel came first: what fn should wake would otherwise wait for ever */
	if (now)
		fn(arg);
}

/* The waiting event that a new one makes superfluous: the same step, else the last plain sentence, else the oldest. */
static struct said *
superfluous(const struct job_ctx *ctx, int step)
{
	struct said *same = NULL, *oldest = NULL;

	for (struct said *s = ctx->q->said; s != NULL; s = s->next) {
		if (s->ctx != ctx)
			continue;
		if (oldest == NULL)
			oldest = s;
		if (s->p.step == step)
			same = s;
	}
	return same != NULL ? same : oldest;
}

/* Queues s; when too many of this job wait, one of them is replaced in its place. */
static void
said_add(struct job_ctx *ctx, struct said *s)
{
	struct jobq *q = ctx->q;
	struct said *old;

	pthread_mutex_lock(&q->lock);
	if (ctx->said < PROGRESS_MAX) {
		*q->said_end = s;
		q->said_end = &s->next;
		ctx->said++;
	} else {
		old = superfluous(ctx, s->p.step);
		old->p = s->p;
		free(s);
	}
	pthread_mutex_unlock(&q->lock);
	wake_main(q);
}

static struct said *said_new(struct job_ctx *ctx, int step, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);

static struct said *
said_new(struct job_ctx *ctx, int step, const char *fmt, va_list ap)
{
	struct said *s = xcalloc(1, sizeof(*s));

	s->ctx = ctx;
	s->p.id = ctx->id;
	s->p.title = ctx->title;
	s->p.step = step;
	vsnprintf(s->p.text, sizeof(s->p.text), fmt, ap);
	return s;
}

void
job_say(struct job_ctx *ctx, const char *fmt, ...)
{
	struct said *s;
	va_list ap;

	if (ctx == NULL)
		return;
	va_start(ap, fmt);
	s = said_new(ctx, 0, fmt, ap);
	va_end(ap);
	said_add(ctx, s);
}

void
job_step(struct job_ctx *ctx, int step, const char *name, const char *state, double seconds, const char *fmt, ...)
{
	struct said *s;
	va_list ap;

	if (ctx == NULL)
		return;
	va_start(ap, fmt);
	s = said_new(ctx, step, fmt, ap);
	va_end(ap);
	snprintf(s->p.name, sizeof(s->p.name), "%s", name != NULL ? name : "");
	snprintf(s->p.state, sizeof(s->p.state), "%s", state != NULL ? state : "");
	s->p.seconds = seconds;
	said_add(ctx, s);
}

int
job_on_main(struct job_ctx *ctx, int (*fn)(void *arg, struct err *e), void *arg, struct err *e)
{
	struct call mine = { .fn = fn, .arg = arg, .e = e, .may = PTHREAD_COND_INITIALIZER }, **at;
	struct jobq *q;

	if (ctx == NULL)
		return fn(arg, e);
	q = ctx->q;
	pthread_mutex_lock(&q->lock);
	for (at = &q->calls; *at != NULL; at = &(*at)->next)
		;
	*at = &mine;
	pthread_mutex_unlock(&q->lock);
	wake_main(q);
	pthread_mutex_lock(&q->lock);
	while (!mine.ended && (mine.begun || !q->closing))
		pthread_cond_wait(&mine.may, &q->lock);
	pthread_cond_destroy(&mine.may);
	if (!mine.begun) {
		for (at = &q->calls; *at != &mine; at = &(*at)->next)
			;
		*at = mine.next;
		mine.rc = err_set(e, RC_CANCELLED, "%s was cancelled", ctx->title);
	}
	pthread_mutex_unlock(&q->lock);
	return mine.rc;
}
