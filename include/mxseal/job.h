/* Work off the main thread. A job is given away entirely and comes back entirely: work() runs in a worker and touches
 * neither the store nor the screen; done() and drop() run on the main thread. Jobs with the same key never run at the same
 * time (key = server id), so what belongs to one server needs no lock. A job never asks a question: it fails with a code
 * (RC_PASSWORD, RC_HOSTKEY_NEW, ...) that the front end turns into one. pthreads live in core/job only. */
#ifndef MXSEAL_JOB_H
#define MXSEAL_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/err.h"

struct jobq;
struct job_ctx;

struct job {
	const char *title;         /* "read mx1"; copied */
	int64_t key;               /* 0: may run beside any other */
	int   (*work)(struct job_ctx *ctx, void *arg, struct err *e);
	void  (*done)(void *arg, int rc, const struct err *e);   /* may be NULL */
	void  (*drop)(void *arg);                                /* frees arg: always called, last; may be NULL */
	void *arg;
};

/* What a job says on its way, delivered on the main thread. step numbers a list of steps, text is a plain sentence. */
struct job_progress {
	int64_t id;
	const char *title;
	int step;                  /* 0: not one of a numbered list */
	char state[16];            /* "run" "ok" "fail" or "" */
	double seconds;            /* of a finished step */
	char name[32];             /* "lock", "check" ... */
	char text[512];
};
typedef void job_progress_fn(const struct job_progress *p, void *arg);

int     jobq_open(struct jobq **out, unsigned workers, struct err *e);
int     jobq_fd(const struct jobq *q);                      /* readable when jobq_deliver has something to do */
/* From now on workers leave the processor to the main thread when both want it: for a front end that draws. */
void    jobq_stand_back(struct jobq *q);
void    jobq_on_progress(struct jobq *q, job_progress_fn *fn, void *arg);
int64_t jobq_submit(struct jobq *q, const struct job *j);   /* the queue now owns arg; returns an id > 0 */
void    jobq_cancel(struct jobq *q, int64_t id);            /* done() comes with RC_CANCELLED (or its result if it was faster) */
bool    jobq_busy(const struct jobq *q, int64_t id);        /* not yet delivered */
size_t  jobq_running(const struct jobq *q);                 /* submitted and not yet delivered */
void    jobq_deliver(struct jobq *q);                       /* runs progress, done and drop functions that are due */
/* The same, but one after the other only until so many ms have passed: what is left keeps jobq_fd readable. So one who waits at
 * a keyboard waits for one of them at most. */
void    jobq_deliver_some(struct jobq *q, int ms);
void    jobq_wait(struct jobq *q, int64_t id);              /* delivers until this job has been delivered */
void    jobq_close(struct jobq *q);                         /* cancels, joins, drops; done() is not called any more */

/* For work(): */
bool job_cancelled(const struct job_ctx *ctx);
int  job_cancel_fd(const struct job_ctx *ctx);              /* becomes readable on cancel: for poll() */
/* fn is called (from another thread) when the job is cancelled: it may only wake what blocks, as host_abort does. NULL, NULL
 * takes it back; after that returns, fn is not running. */
void job_on_cancel(struct job_ctx *ctx, void (*fn)(void *), void *arg);
/* ctx may be NULL (tests call work functions directly): then nothing is reported. */
void job_say(struct job_ctx *ctx, const char *fmt, ...) PRINTF_LIKE(2, 3);
void job_step(struct job_ctx *ctx, int step, const char *name, const char *state, double seconds, const char *fmt, ...)
    PRINTF_LIKE(6, 7);
/* Runs fn on the main thread, where the store is, while the worker waits; what fn returns is returned. fn is not run, and
 * RC_CANCELLED comes, when the queue is closed first. Without a ctx it runs at once, here. */
int  job_on_main(struct job_ctx *ctx, int (*fn)(void *arg, struct err *e), void *arg, struct err *e);
/* At most max jobs inside the gate of this name at a time (logins at one sshd); waits for a place. -1 when cancelled. */
int  job_gate_enter(struct job_ctx *ctx, const char *name, int max, struct err *e);
/* Inside, but after so many ms the place counts as free. */
void job_gate_expire(struct job_ctx *ctx, const char *name, int ms);
void job_gate_leave(struct job_ctx *ctx, const char *name);

#endif
