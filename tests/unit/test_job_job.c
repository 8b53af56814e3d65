/* The job queue: order per key, never two of a key at once, progress that is coalesced under a flood, cancel before, during
 * and at gates, everything dropped exactly once. Meant to be run under the thread sanitizer too. No test sleeps: each waits
 * for the state it needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdatomic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mxseal/job.h"
#include "mxseal/xalloc.h"

/* What one job of these tests does and what became of it. */
struct probe {
	atomic_int *busy, *most, *total;   /* shared counters, may be NULL */
	int order;
	int gate[2];                       /* a pipe: the job waits until a byte comes */
	atomic_int started;
	int flood;
	bool use_gate;
	int rc_done;
	bool was_done;
	int dropped;
	enum err_code code;
	char text[128];
};

static int log_order[4096];
static size_t log_n;

static void
done(void *arg, int rc, const struct err *e)
{
	struct probe *p = arg;

	p->was_done = true;
	p->rc_done = rc;
	p->code = rc < 0 ? e->code : RC_OK;
	snprintf(p->text, sizeof(p->text), "%s", rc < 0 ? e->text : "");
	assert_int_equal(p->dropped, 0);
	log_order[log_n++ % 4096] = p->order;
}

static void
drop(void *arg)
{
	struct probe *p = arg;

	p->dropped++;
}

static int
count(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probe *p = arg;
	int now = atomic_fetch_add(p->busy, 1) + 1, most = atomic_load(p->most);

	(void)ctx;
	(void)e;
	while (now > most && !atomic_compare_exchange_weak(p->most, &most, now))
		;
	atomic_fetch_add(p->total, 1);
	atomic_fetch_sub(p->busy, 1);
	return 0;
}

/* Waits for a byte in its pipe or for its cancel. */
static int
block(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probe *p = arg;
	struct pollfd fds[2] = { { .fd = p->gate[0], .events = POLLIN }, { .fd = job_cancel_fd(ctx), .events = POLLIN } };

	if (p->use_gate && job_gate_enter(ctx, "mx1:22", 2, e) < 0)
		return -1;
	if (p->busy != NULL) {
		int now = atomic_fetch_add(p->busy, 1) + 1, most = atomic_load(p->most);

		while (now > most && !atomic_compare_exchange_weak(p->most, &most, now))
			;
	}
	atomic_store(&p->started, 1);
	job_say(ctx, "started");
	poll(fds, 2, -1);
	if (p->busy != NULL)
		atomic_fetch_sub(p->busy, 1);
	if (p->use_gate && p->order % 2 == 0)   /* the others leave it to the queue */
		job_gate_leave(ctx, "mx1:22");
	if (job_cancelled(ctx))
		return err_set(e, RC_CANCELLED, "cancelled");
	return 0;
}

static void
setup(struct probe *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		memset(&p[i], 0, sizeof(p[i]));
		p[i].order = (int)i;
		assert_int_equal(pipe(p[i].gate), 0);
	}
}

static void
teardown(struct probe *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		close(p[i].gate[0]);
		close(p[i].gate[1]);
	}
}

static int64_t
submit(struct jobq *q, int64_t key, int (*work)(struct job_ctx *, void *, struct err *), struct probe *p)
{
	char title[16];
	struct job j = { .title = title, .key = key, .work = work, .done = done, .drop = drop, .arg = p };

	snprintf(title, sizeof(title), "job %d", p->order);   /* copied by the queue */
	return jobq_submit(q, &j);
}

/* Delivers until the job has said that it runs. */
static void
until_started(struct jobq *q, struct probe *p)
{
	while (!atomic_load(&p->started)) {
		struct pollfd fd = { .fd = jobq_fd(q), .events = POLLIN };

		poll(&fd, 1, -1);
		jobq_deliver(q);
	}
}

static struct jobq *
open_queue(unsigned workers)
{
	struct jobq *q = NULL;
	struct err e = { 0 };

	if (jobq_open(&q, workers, &e) < 0)
		fail_msg("%s", e.text);
	log_n = 0;
	return q;
}

static void
go(struct probe *p)
{
	assert_int_equal(write(p->gate[1], "", 1), 1);
}

static void
jobs_of_a_key_in_order(void **state)
{
	enum { N = 300 };
	static struct probe p[N];
	atomic_int busy[3], most[3], total;
	struct jobq *q = open_queue(4);
	int last[3] = { -1, -1, -1 };
	int64_t id = 0;

	(void)state;
	memset(p, 0, sizeof(p));
	atomic_init(&total, 0);
	for (int k = 0; k < 3; k++) {
		atomic_init(&busy[k], 0);
		atomic_init(&most[k], 0);
	}
	for (int i = 0; i < N; i++) {
		int64_t next;

		p[i].order = i;
		p[i].busy = &busy[i % 3];
		p[i].most = &most[i % 3];
		p[i].total = &total;
		next = submit(q, 1 + i % 3, count, &p[i]);
		assert_true(next > id);
		id = next;
	}
	while (jobq_running(q) > 0) {
		struct pollfd fd = { .fd = jobq_fd(q), .events = POLLIN };

		poll(&fd, 1, -1);
		jobq_deliver(q);
	}
	assert_int_equal(atomic_load(&total), N);
	assert_int_equal(log_n, N);
	for (int k = 0; k < 3; k++)
		assert_int_equal(atomic_load(&most[k]), 1);
	for (int i = 0; i < N; i++) {
		assert_int_equal(p[i].dropped, 1);
		assert_true(log_order[i] > last[log_order[i] % 3]);
		last[log_order[i] % 3] = log_order[i];
	}
	jobq_close(q);
}

static void
different_keys_run_side_by_side(void **state)
{
	struct probe p[3];
	struct jobq *q = open_queue(3);

	(void)state;
	setup(p, 3);
	for (int i = 0; i < 3; i++)
		submit(q, i == 2 ? 0 : i + 1, block, &p[i]);
	for (int i = 0; i < 3; i++)
		until_started(q, &p[i]);   /* all three at once, or this never ends */
	for (int i = 0; i < 3; i++)
		go(&p[i]);
	while (jobq_running(q) > 0)
		jobq_deliver(q);
	jobq_close(q);
	teardown(p, 3);
}

static void
wait_delivers_until_then(void **state)
{
	struct probe p[2];
	struct jobq *q = open_queue(2);
	int64_t first, second;

	(void)state;
	setup(p, 2);
	first = submit(q, 1, block, &p[0]);
	second = submit(q, 2, block, &p[1]);
	go(&p[1]);
	jobq_wait(q, second);
	assert_true(p[1].was_done);
	assert_int_equal(p[1].dropped, 1);
	assert_false(jobq_busy(q, second));
	assert_true(jobq_busy(q, first));
	go(&p[0]);
	jobq_wait(q, first);
	jobq_wait(q, first);    /* delivered already: returns at once */
	jobq_wait(q, 4711);
	jobq_close(q);
	teardown(p, 2);
}

/* --- progress --- */

static int
flood(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probe *p = arg;

	(void)e;
	for (int i = 0; i < p->flood; i++) {
		job_say(ctx, "line %d", i);
		job_step(ctx, 1 + i % 3, "step", i < p->flood - 3 ? "run" : "ok", 0.5, "%d", i);
	}
	return write(p->gate[1], "", 1) == 1 ? 0 : -1;
}

struct seen { size_t n, finished; char last_line[64]; bool after_done; struct probe *p; };

static void
see(const struct job_progress *pr, void *arg)
{
	struct seen *s = arg;

	s->n++;
	s->after_done |= s->p->was_done;
	assert_string_equal(pr->title, "job 0");
	if (pr->step == 0) {
		snprintf(s->last_line, sizeof(s->last_line), "%s", pr->text);
		return;
	}
	assert_string_equal(pr->name, "step");
	assert_true(pr->seconds > 0.4 && pr->seconds < 0.6);
	if (strcmp(pr->state, "ok") == 0)
		s->finished++;
}

static void
a_flood_of_progress_is_coalesced(void **state)
{
	struct probe p;
	struct seen s = { .p = &p };
	struct jobq *q = open_queue(2);
	char byte;
	int64_t id;

	(void)state;
	setup(&p, 1);
	jobq_on_progress(q, see, &s);
	p.flood = 20000;
	id = submit(q, 1, flood, &p);
	assert_int_equal(read(p.gate[0], &byte, 1), 1);   /* all has been said, nothing delivered */
	assert_false(p.was_done);
	jobq_wait(q, id);
	assert_in_range(s.n, 4, 64);
	assert_int_equal(s.finished, 3);                  /* the last state of every step came */
	assert_string_equal(s.last_line, "line 19999");
	assert_false(s.after_done);
	jobq_close(q);
	teardown(&p, 1);
}

static void
few_words_all_arrive(void **state)
{
	struct probe p;
	struct seen s = { .p = &p };
	struct jobq *q = open_queue(1);

	(void)state;
	setup(&p, 1);
	jobq_on_progress(q, see, &s);
	p.flood = 30;
	jobq_wait(q, submit(q, 1, flood, &p));
	assert_int_equal(s.n, 60);
	jobq_close(q);
	teardown(&p, 1);
}

/* --- cancel --- */

static void
cancel_before_it_begins(void **state)
{
	struct probe p[2];
	struct jobq *q = open_queue(1);
	int64_t a, b;

	(void)state;
	setup(p, 2);
	a = submit(q, 1, block, &p[0]);
	b = submit(q, 1, block, &p[1]);
	until_started(q, &p[0]);
	jobq_cancel(q, b);
	assert_false(p[1].was_done);        /* only ever delivered */
	jobq_wait(q, b);
	assert_int_equal(p[1].rc_done, -1);
	assert_int_equal(p[1].code, RC_CANCELLED);
	assert_string_equal(p[1].text, "job 1 was cancelled before it began");
	assert_int_equal(atomic_load(&p[1].started), 0);
	jobq_cancel(q, a);
	jobq_cancel(q, a);
	jobq_wait(q, a);
	assert_int_equal(p[0].code, RC_CANCELLED);
	assert_string_equal(p[0].text, "cancelled");
	jobq_cancel(q, a);                  /* long gone: nothing happens */
	jobq_close(q);
	teardown(p, 2);
}

static void
wake(void *arg)
{
	struct probe *p = arg;

	p->flood++;
	if (write(p->gate[1], "", 1) != 1)
		abort();
}

static int
block_with_callback(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probe *p = arg;
	char byte;

	job_on_cancel(ctx, wake, p);
	atomic_store(&p->started, 1);
	job_say(ctx, "started");
	if (read(p->gate[0], &byte, 1) != 1)
		return err_set(e, RC_BUG, "no byte");
	job_on_cancel(ctx, NULL, NULL);
	return err_set(e, RC_CANCELLED, "woken");
}

static void
cancel_calls_once(void **state)
{
	struct probe p;
	struct jobq *q = open_queue(1);
	int64_t id;

	(void)state;
	setup(&p, 1);
	id = submit(q, 1, block_with_callback, &p);
	until_started(q, &p);
	jobq_cancel(q, id);
	jobq_cancel(q, id);
	jobq_wait(q, id);
	assert_string_equal(p.text, "woken");
	assert_int_equal(p.flood, 1);
	jobq_close(q);
	teardown(&p, 1);
}

static int
register_late(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probe *p = arg;
	char byte;

	atomic_store(&p->started, 1);
	job_say(ctx, "started");
	while (!job_cancelled(ctx)) {
		struct pollfd fd = { .fd = job_cancel_fd(ctx), .events = POLLIN };

		poll(&fd, 1, -1);
	}
	job_on_cancel(ctx, wake, p);        /* too late for jobq_cancel: must be called here, or the next line hangs */
	if (read(p->gate[0], &byte, 1) != 1)
		return err_set(e, RC_BUG, "no byte");
	return 0;
}

static void
cancel_that_came_first_still_calls(void **state)
{
	struct probe p;
	struct jobq *q = open_queue(1);
	int64_t id;

	(void)state;
	setup(&p, 1);
	id = submit(q, 1, register_late, &p);
	until_started(q, &p);
	jobq_cancel(q, id);
	jobq_wait(q, id);
	assert_int_equal(p.rc_done, 0);     /* it was good all the same: its result counts */
	assert_int_equal(p.flood, 1);
	jobq_close(q);
	teardown(&p, 1);
}

static void
touch(void *arg)
{
	++*(int *)arg;
}

/* What the callback uses is freed the moment job_on_cancel(NULL) is back: a race shows under the sanitizers. */
static int
register_and_free(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probe *p = arg;

	(void)e;
	for (int i = 0; !job_cancelled(ctx) && i < 1000000; i++) {
		int *mine = xcalloc(1, sizeof(*mine));

		job_on_cancel(ctx, touch, mine);
		if (i == 0) {
			atomic_store(&p->started, 1);
			job_say(ctx, "started");
		}
		job_on_cancel(ctx, NULL, NULL);
		free(mine);
	}
	return 0;
}

static void
taking_the_callback_back_is_safe(void **state)
{
	struct jobq *q = open_queue(1);

	(void)state;
	for (int i = 0; i < 200; i++) {
		struct probe p;
		int64_t id;

		setup(&p, 1);
		id = submit(q, 1, register_and_free, &p);
		until_started(q, &p);
		jobq_cancel(q, id);
		jobq_wait(q, id);
		teardown(&p, 1);
	}
	jobq_close(q);
}

/* --- gates --- */

static void
a_gate_holds_the_number(void **state)
{
	enum { N = 8 };
	struct probe p[N];
	atomic_int busy, most;
	struct jobq *q = open_queue(6);

	(void)state;
	atomic_init(&busy, 0);
	atomic_init(&most, 0);
	setup(p, N);
	for (int i = 0; i < N; i++) {
		p[i].use_gate = true;
		p[i].busy = &busy;
		p[i].most = &most;
		submit(q, 100 + i, block, &p[i]);
	}
	for (int i = 0; i < N; i++)
		go(&p[i]);
	while (jobq_running(q) > 0) {
		struct pollfd fd = { .fd = jobq_fd(q), .events = POLLIN };

		poll(&fd, 1, -1);
		jobq_deliver(q);
	}
	assert_in_range(atomic_load(&most), 1, 2);
	for (int i = 0; i < N; i++)
		assert_int_equal(p[i].rc_done, 0);
	jobq_close(q);
	teardown(p, N);
}

static void
a_gate_lets_in_up_to_its_number(void **state)
{
	struct probe p[2];
	struct jobq *q = open_queue(2);

	(void)state;
	setup(p, 2);
	for (int i = 0; i < 2; i++) {
		p[i].use_gate = true;
		submit(q, 1 + i, block, &p[i]);
	}
	until_started(q, &p[0]);
	until_started(q, &p[1]);   /* both inside, or this never ends */
	jobq_close(q);
	teardown(p, 2);
}

static int
wait_at_gate(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probe *p = arg;

	atomic_store(&p->started, 1);
	job_say(ctx, "started");
	return job_gate_enter(ctx, "mx1:22", 1, e);
}

static void
waiting_at_gates_starves_nobody(void **state)
{
	enum { N = 20 };
	struct probe p[N], inside, other;
	struct jobq *q = open_queue(2);
	int64_t ids[N], first, id;

	(void)state;
	setup(&inside, 1);
	setup(&other, 1);
	setup(p, N);
	inside.use_gate = true;
	first = submit(q, 1, block, &inside);
	until_started(q, &inside);
	for (int i = 0; i < N; i++)
		ids[i] = submit(q, 100 + i, wait_at_gate, &p[i]);
	go(&other);
	id = submit(q, 2, block, &other);
	jobq_wait(q, id);                   /* with two workers and twenty in line */
	for (int i = 0; i < N; i += 2)
		jobq_cancel(q, ids[i]);
	for (int i = 0; i < N; i += 2) {
		jobq_wait(q, ids[i]);
		assert_int_equal(p[i].code, RC_CANCELLED);
	}
	assert_false(p[1].was_done);
	go(&inside);
	jobq_wait(q, first);
	for (int i = 1; i < N; i += 2)
		jobq_wait(q, ids[i]);       /* each leaves by ending */
	for (int i = 1; i < N; i += 2)
		assert_int_equal(p[i].rc_done, 0);
	jobq_close(q);
	teardown(p, N);
	teardown(&inside, 1);
	teardown(&other, 1);
}

static int
block_a_while(struct job_ctx *ctx, void *arg, struct err *e)
{
	if (job_gate_enter(ctx, "mx1:22", 1, e) < 0)
		return -1;
	job_gate_expire(ctx, "mx1:22", 20);
	return block(ctx, arg, e);
}

/* One that stays inside for too long keeps nobody out. */
static void
a_place_in_a_gate_expires(void **state)
{
	struct probe inside, p;
	struct jobq *q = open_queue(2);
	int64_t first;

	(void)state;
	setup(&inside, 1);
	setup(&p, 1);
	first = submit(q, 1, block_a_while, &inside);
	until_started(q, &inside);
	jobq_wait(q, submit(q, 2, wait_at_gate, &p));
	assert_int_equal(p.rc_done, 0);
	assert_false(inside.was_done);
	go(&inside);
	jobq_wait(q, first);
	assert_int_equal(inside.rc_done, 0);
	jobq_close(q);
	teardown(&inside, 1);
	teardown(&p, 1);
}

/* --- the rest --- */

static int
see_signals(struct job_ctx *ctx, void *arg, struct err *e)
{
	static const int blocked[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGPIPE, SIGCHLD, SIGUSR1, SIGTSTP };
	sigset_t set;

	(void)ctx;
	(void)arg;
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++)
		if (!sigismember(&set, blocked[i]))
			return err_set(e, RC_BUG, "signal %d would be taken here", blocked[i]);
	return sigismember(&set, SIGSEGV) ? err_set(e, RC_BUG, "a fault would be held back") : 0;
}

static void
workers_take_no_signals(void **state)
{
	struct probe p;
	struct jobq *q = open_queue(1);
	sigset_t set;

	(void)state;
	setup(&p, 1);
	jobq_wait(q, submit(q, 1, see_signals, &p));
	assert_string_equal(p.text, "");
	pthread_sigmask(SIG_BLOCK, NULL, &set);
	assert_false(sigismember(&set, SIGINT));   /* and the main thread still does */
	jobq_close(q);
	teardown(&p, 1);
}

static struct jobq *nested_queue;
static struct probe nested;

static void
submit_and_wait(void *arg, int rc, const struct err *e)
{
	struct probe *p = arg;

	assert_int_equal(jobq_running(nested_queue), 0);   /* this one is delivered */
	done(p, rc, e);
	jobq_wait(nested_queue, submit(nested_queue, 1, block, &nested));
	assert_true(nested.was_done);
}

static void
a_done_function_may_go_on(void **state)
{
	struct probe p;
	struct job j = { .key = 1, .work = block, .done = submit_and_wait, .drop = drop, .arg = &p };

	(void)state;
	nested_queue = open_queue(1);
	setup(&p, 1);
	setup(&nested, 1);
	go(&p);
	go(&nested);
	jobq_wait(nested_queue, jobq_submit(nested_queue, &j));   /* also: a job without a title */
	assert_int_equal(nested.dropped, 1);
	assert_int_equal(p.dropped, 1);
	jobq_close(nested_queue);
	teardown(&p, 1);
	teardown(&nested, 1);
}

static void
close_drops_everything_once(void **state)
{
	enum { N = 12 };
	struct probe p[N];
	struct jobq *q = open_queue(3);

	(void)state;
	setup(p, N);
	go(&p[11]);
	submit(q, 11, block, &p[11]);                  /* ends, but is never delivered */
	for (int i = 0; i < 4; i++)
		submit(q, 1 + i, block_with_callback, &p[i]);   /* two run, two wait */
	for (int i = 4; i < 11; i++)
		submit(q, 1, block, &p[i]);
	until_started(q, &p[0]);
	jobq_close(q);
	for (int i = 0; i < N; i++) {
		assert_int_equal(p[i].dropped, 1);
		if (i < 11)
			assert_false(p[i].was_done);
	}
	teardown(p, N);
	jobq_close(NULL);
}

static int
no_context(struct job_ctx *ctx, struct err *e)
{
	job_say(ctx, "nobody hears %s", "this");
	job_step(ctx, 1, "lock", "ok", 0.1, "nor this");
	job_on_cancel(ctx, touch, NULL);
	job_gate_leave(ctx, "x");
	return job_cancelled(ctx) || job_cancel_fd(ctx) != -1 || job_gate_enter(ctx, "x", 1, e) != 0;
}

static void
without_a_context(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_int_equal(no_context(NULL, &e), 0);
}

/* --- what a worker has done on the main thread --- */

struct called { pthread_t where; int n; bool refuse; };

static int
on_the_main_thread(void *arg, struct err *e)
{
	struct called *c = arg;

	c->where = pthread_self();
	c->n++;
	return c->refuse ? err_set(e, RC_DB, "no") : 0;
}

static int
calls_home(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct called *c = arg;
	int i, rc = 0;

	for (i = 0; i < 100 && rc == 0; i++)
		rc = job_on_main(ctx, on_the_main_thread, c, e);
	return rc;
}

static void
a_worker_calls_the_main_thread(void **state)
{
	struct called c = { .n = 0 }, no = { .refuse = true };
	struct job job = { .title = "calls", .work = calls_home, .arg = &c };
	struct jobq *q;
	struct err e;

	(void)state;
	assert_int_equal(jobq_open(&q, 2, &e), 0);
	jobq_wait(q, jobq_submit(q, &job));
	assert_int_equal(c.n, 100);
	assert_true(pthread_equal(c.where, pthread_self()));
	job.arg = &no;
	jobq_wait(q, jobq_submit(q, &job));
	assert_int_equal(no.n, 1);
	/* nobody delivers any more: the call is not made, and nothing hangs */
	c.n = 0;
	job.arg = &c;
	(void)jobq_submit(q, &job);
	jobq_close(q);
	assert_true(c.n == 0);
	assert_int_equal(job_on_main(NULL, on_the_main_thread, &c, &e), 0);
	assert_int_equal(c.n, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_calls_the_main_thread),
		cmocka_unit_test(jobs_of_a_key_in_order),
		cmocka_unit_test(different_keys_run_side_by_side),
		cmocka_unit_test(wait_delivers_until_then),
		cmocka_unit_test(a_flood_of_progress_is_coalesced),
		cmocka_unit_test(few_words_all_arrive),
		cmocka_unit_test(cancel_before_it_begins),
		cmocka_unit_test(cancel_calls_once),
		cmocka_unit_test(cancel_that_came_first_still_calls),
		cmocka_unit_test(taking_the_callback_back_is_safe),
		cmocka_unit_test(a_gate_holds_the_number),
		cmocka_unit_test(a_gate_lets_in_up_to_its_number),
		cmocka_unit_test(waiting_at_gates_starves_nobody),
		cmocka_unit_test(a_place_in_a_gate_expires),
		cmocka_unit_test(workers_take_no_signals),
		cmocka_unit_test(a_done_function_may_go_on),
		cmocka_unit_test(close_drops_everything_once),
		cmocka_unit_test(without_a_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
