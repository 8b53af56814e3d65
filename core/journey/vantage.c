/* Looks at one destination from several places at once: from other hosts that are known, and from here. They are jobs of their
 * own beside the one that waits for them; what is not back in time is told as such, and given up. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define OTHERS_MAX 8         /* hosts that look, those read last first */

struct vantage { char *name; int64_t job; bool back; int rc; struct err err; struct probe_report report; };

/* Belongs to the main thread, except while a worker fills its own report. Each job holds it, and who waits. */
struct vantages {
	struct journey *journey;
	int refs;
	char *target;
	int port;
	struct probe_options o;
	struct vantage v[OTHERS_MAX + 1];
	size_t n;
};

struct looking { struct vantages *all; size_t at; struct probe_report report; };

static void
vantages_unref(struct vantages *all)
{
	size_t i;

	if (--all->refs > 0)
		return;
	for (i = 0; i < all->n; i++) {
		probe_report_release(&all->v[i].report);
		free(all->v[i].name);
	}
	free(all->target);
	free(all);
}

static void
looking_free(void *data)
{
	struct looking *l = data;

	probe_report_release(&l->report);
	vantages_unref(l->all);
	free(l);
}

static void
back(struct looking *l, int rc, const struct err *e)
{
	struct vantage *v = &l->all->v[l->at];

	v->back = true;
	v->rc = rc;
	if (rc != 0 && e != NULL && look_found_no_name(&l->report, l->all->target, v->name, e))
		v->rc = 0;
	else if (rc != 0 && e != NULL)
		v->err = *e;
	if (v->rc == 0) {
		v->report = l->report;
		memset(&l->report, 0, sizeof(l->report));
	}
}

static int
here_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct looking *l = arg;
	struct dialer d = { probe_dial_here, ctx, "here" };

	if (probe_destination(&d, NULL, l->all->target, l->all->port, true, &l->all->o, ctx, &l->report, e) != 0)
		return -1;
	(void)probe_published(&d, NULL, NULL, true, ctx, &l->report, NULL);
	return 0;
}

static void
here_done(void *arg, int rc, const struct err *e)
{
	back(arg, rc, e);
}

static int
host_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct looking *l = hj->data;

	return probe_from_host(h, &hj->server, l->all->target, l->all->port, true, &l->all->o, ctx, &l->report, e);
}

static int
host_finish(struct host_job *hj, int rc, struct err *e)
{
	back(hj->data, rc, e);
	return rc;
}

static void
add(struct vantages *all, const char *name, int64_t server)
{
	struct job job = { .title = all->target, .work = here_work, .done = here_done, .drop = looking_free };
	struct looking *l = xcalloc(1, sizeof(*l));
	struct vantage *v = &all->v[all->n];
	struct host_job *hj = NULL;

	v->name = xstrdup(name);
	l->all = all;
	l->at = all->n++;
	all->refs++;
	if (server == 0) {
		job.arg = l;
		v->job = jobq_submit(all->journey->jobs, &job);
		return;
	}
	hj = host_job_new(all->journey, server, NULL, NULL, &v->err);
	if (hj == NULL) {
		v->back = true;
		v->rc = -1;
		looking_free(l);
		return;
	}
	hj->data = l;
	hj->free_data = looking_free;
	hj->work = host_work;
	hj->finish = host_finish;
	v->job = host_job_start(hj, "probe", &v->err);
}

struct vantages *
vantages_start(struct journey *j, int64_t except, const char *target, int port, const struct probe_options *o)
{
	struct vantages *all = xcalloc(1, sizeof(*all));
	struct server_list l = { NULL, 0 };
	size_t i;

	all->journey = j;
	all->refs = 1;
	all->target = xstrdup(target);
	all->port = port;
	all->o = (struct probe_options){ .implicit_tls = o->implicit_tls, .versions = o->versions, .by_domain = o->by_domain };
	add(all, "here", 0);
	/* who was never read is not contacted by looking */
	if (store_servers(j->store, &l, NULL) == 0)
		for (i = 0; i < l.n && all->n <= OTHERS_MAX; i++)
			if (l.v[i].id != except && l.v[i].read_at != 0)
				add(all, l.v[i].name, l.v[i].id);
	server_list_release(&l);
	return all;
}

size_t
vantages_missing(const struct vantages *all)
{
	size_t i, n = 0;

	for (i = 0; i < all->n; i++)
		n += !all->v[i].back;
	return n;
}

void
vantages_end(struct vantages *all, struct probe_report *here, bool *seen_here, struct probe_report **others, size_t *n, struct str *blind)
{
	size_t i;

	*others = xcalloc(all->n + 1, sizeof(**others));
	*n = 0;
	*seen_here = false;
	for (i = 0; i < all->n; i++) {
		struct vantage *v = &all->v[i];
		struct probe_report *to = i == 0 ? here : &(*others)[*n];

		if (!v->back) {
			str_addf(blind, "%s did not look in time and was not waited for.\n", i == 0 ? "This machine" : clean(v->name));
			jobq_cancel(all->journey->jobs, v->job);
		} else if (v->rc != 0) {
			str_addf(blind, "It could not be looked at from %s: ", clean(v->name));
			str_addf(blind, "%s\n", clean(v->err.text));
		} else {
			*to = v->report;
			memset(&v->report, 0, sizeof(v->report));
			if (i == 0)
				*seen_here = true;
			else
				(*n)++;
		}
	}
	vantages_unref(all);
}

void
vantages_forget(struct vantages *all)
{
	vantages_unref(all);
}
