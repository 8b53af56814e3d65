/* What the job queue and its gates share. All of it is guarded by the queue's lock. */
#ifndef MXSEAL_JOB_PRIVATE_H
#define MXSEAL_JOB_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "mxseal/job.h"

#define THREADS_MAX 256     /* workers and those that wait at gates */
#define GATES_MAX 4         /* that one job may be inside of */

enum state { WAITING, RUNNING, FINISHED };

/* Who waits, with a condition of his own: nobody is woken to find that it was for another one, and no signal waits for those that a
 * signal before it woke. Lives on the stack of the thread that waits. */
struct turn {
	struct turn *next;
	pthread_cond_t may;
	bool woken;
};

struct gate {
	struct gate *next;
	char *name;
	struct turn *line;               /* in order */
};

struct job_ctx {
	struct job_ctx *next;            /* in the queue's list, oldest first */
	struct jobq *q;
	int64_t id;
	struct job job;
	char *title;
	enum state state;
	atomic_bool cancelled;
	int cancel_fd;                   /* made when asked for; -1 */
	void (*on_cancel)(void *);
	void *on_cancel_arg;
	bool calling;                    /* on_cancel is running in another thread */
	struct gate *gates[GATES_MAX];
	int64_t gate_until_ms[GATES_MAX];          /* so long it counts as inside; 0: until it leaves */
	struct turn *waits;              /* at a gate, or NULL */
	size_t said;                     /* progress events that wait */
	int rc;
	struct err err;
	struct job_ctx *next_finished;
};

struct said { struct said *next; struct job_ctx *ctx; struct job_progress p; };

/* Something that a worker wants done on the main thread; lives on the stack of the job that waits. */
struct call {
	struct call *next;
	int (*fn)(void *arg, struct err *e);
	void *arg;
	struct err *e;
	int rc;
	bool begun, ended;
	pthread_cond_t may;
};

struct jobq {
	pthread_mutex_t lock;
	pthread_cond_t called;           /* an on_cancel call has ended */
	struct turn *idle;               /* workers that wait for something to run */
	unsigned workers, blocked;       /* blocked: waiting at a gate */
	pthread_t threads[THREADS_MAX];
	size_t n_threads;
	bool closing, stands_back;
	int64_t last_id;
	size_t count;                    /* submitted and not yet delivered */
	struct job_ctx *jobs, **jobs_end;
	struct job_ctx *finished, **finished_end;
	struct said *said, **said_end;
	struct call *calls;
	struct gate *gates;
	job_progress_fn *progress;
	void *progress_arg;
	int wake[2];
	atomic_bool woken;               /* a byte is in the pipe, or will be */
};

/* With the lock held: something may have become to be done, by an idle worker or by one more. */
void jobq_wake_worker(struct jobq *q);

/* --- gate.c; with the lock held --- */
void gates_leave(struct job_ctx *c);             /* all that it is inside of */
void gates_free(struct jobq *q);

#endif
