/* A fleet whose verbs are background tasks of the console: their questions are asked as those of any other task. */
#include "tui/console/app.h"

static int64_t
start(struct task *t, struct err *e)
{
	return fleet_run_start(t->data, task_done, t, e);
}

static void
end(struct task *t, struct view *v, int rc, const struct err *e)
{
	(void)v;
	fleet_run_end(t->data, rc, e);
}

static void
drop(void *r)
{
	fleet_run_free(r);
}

/* Time passes for every fleet of which something runs. */
void
fleet_tasks_tick(struct app *a, int64_t now_ms)
{
	struct fleet *last = NULL;

	for (struct task *t = a->tasks; t != NULL; t = t->next) {
		struct fleet *f = t->start == start ? fleet_run_host(t->data)->fleet : NULL;

		if (f != NULL && f != last)
			fleet_tick(f, now_ms);
		last = f != NULL ? f : last;
	}
}

void
fleet_tasks_run(void *arg, struct fleet_run *r)
{
	struct fleet_tasks *f = arg;
	struct task t = { .verb = fleet_run_verb(r), .server = fleet_run_host(r)->server, .view = f->view, .start = start, .end = end,
	    .data = r, .drop = drop };

	task_run(f->app, &t);
}
