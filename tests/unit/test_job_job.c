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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_of_a_key_in_order),
		cmocka_unit_test(different_keys_run_side_by_side),
		cmocka_unit_test(wait_delivers_until_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
