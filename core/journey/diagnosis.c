/* Why mail for a destination waits: its queue, its way, and looks at it from the host and from here. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

void
destination_view_release(struct destination_view *v)
{
	diagnosis_release(&v->diagnosis);
	probe_report_release(&v->from_host);
	probe_report_release(&v->from_here);
	free(v->level);
	memset(v, 0, sizeof(*v));
}

/* --- probes --- */

struct probing {
	char *target;
	int port;
	bool mx;
	struct probe_report report, *out;
	journey_done_fn *done;
	void *arg;
};

static void
probing_free(void *data)
{
	struct probing *p = data;

	probe_report_release(&p->report);
	free(p->target);
	free(p);
}

static int
probe_here_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct probing *p = arg;
	struct dialer d = { probe_dial_here, ctx, "here" };
	struct probe_options o = { .implicit_tls = p->port == 465 };

	return probe_destination(&d, NULL, p->target, p->port, p->mx, &o, ctx, &p->report, e);
}

static void
probe_here_done(void *arg, int rc, const struct err *e)
{
	struct probing *p = arg;

	if (rc == 0) {
		*p->out = p->report;
		memset(&p->report, 0, sizeof(p->report));
	}
	p->done(p->arg, rc, e);
}

static const char *const cat_resolv[] = { "cat", "/etc/resolv.conf", NULL };
static const struct host_cmd resolver_cmds[] = { { "resolv.conf", cat_resolv } };

int
probe_from_host(struct host *h, const struct server *sv, const char *target, int port, bool mx,
    const struct probe_options *o, struct job_ctx *ctx, struct probe_report *out, struct err *e)
{
	struct dialer d = { probe_dial_host, h, sv->name };
	struct probe_options options = o ? *o : (struct probe_options){ .implicit_tls = port == 465 };
	struct sections s = { NULL, 0 };
	int rc = host_read(h, resolver_cmds, 1, &s, e);

	options.helo = sv->host_name;
	if (rc == 0)
		rc = probe_destination(&d, section_text(&s, "resolv.conf"), target, port, mx, &options, ctx, out, e);
	sections_release(&s);
	return rc;
}

static int
probe_host_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct probing *p = hj->data;

	return probe_from_host(h, &hj->server, p->target, p->port, p->mx, NULL, ctx, &p->report, e);
}

static int
probe_host_finish(struct host_job *hj, int rc, struct err *e)
{
	struct probing *p = hj->data;

	(void)e;
	if (rc == 0) {
		*p->out = p->report;
		memset(&p->report, 0, sizeof(p->report));
	}
	return rc;
}

int64_t
destination_probe(struct journey *j, int64_t server, const char *target, int port, bool mx, struct probe_report *out,
    journey_done_fn *done, void *arg, struct err *e)
{
	struct job job = { .title = target, .work = probe_here_work, .done = probe_here_done, .drop = probing_free };
	struct host_job *hj = NULL;
	struct probing *p;

	if (server != 0 && (hj = host_job_new(j, server, done, arg, e)) == NULL)
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->target = xstrdup(target);
	p->port = port;
	p->mx = mx;
	p->out = out;
	p->done = done;
	p->arg = arg;
	if (hj == NULL) {
		job.arg = p;
		return jobq_submit(j->jobs, &job);
	}
	hj->data = p;
	hj->free_data = probing_free;
	hj->work = probe_host_work;
	hj->finish = probe_host_finish;
	return host_job_start(hj, "probe", e);
}

/* --- diagnosis --- */

#define MESSAGES_READ 50     /* of a destination, for the words of its reason */

struct diagnosing { char *destination; struct destination_view view, *out; };

static void
diagnosing_free(void *data)
{
	struct diagnosing *d = data;

	destination_view_release(&d->view);
	free(d->destination);
	free(d);
}

static struct queue_group *
group_of(const struct queue_groups *g, const char *key)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (text_ieq(g->v[i].key, key))
			return &g->v[i];
	return NULL;
}

/* The reason in the words of this destination's own mail: that of the group may have been folded. */
static void
take_own_words(struct queue_group *g, const struct queue_messages *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (m->v[i].failure == g->failure && m->v[i].reason != NULL) {
			xset(&g->reason, m->v[i].reason);
			return;
		}
}

/* A name that DNS does not know is no error of a diagnosis but what it finds. */
static bool
look_found_no_name(struct probe_report *r, const char *destination, const char *from, const struct err *e)
{
	if (e->code != RC_NOTFOUND)
		return false;
	*r = (struct probe_report){ .target = xstrdup(destination), .from = xstrdup(from), .verdict = xstrdup(e->text),
	    .class_name = xstrdup("dns"), .side = xstrdup(failure_side_name(failure_find("dns")->side)) };
	return true;
}

static void
say_next_hop(struct diagnosis *d, const struct way_end *end, const struct way_hop *hop)
{
	str_addf(&d->evidence, "Mail for it goes to %s", clean(hop->dest));
	str_addf(&d->evidence, " (%s), so that is what was looked at.\n", end->by);
}

/* The way of the mail that waits, or of any other for this destination, up to its first next hop; NULL: it has none that
 * could be looked at. */
static const struct way_end *
way_of_destination(struct host *h, const struct mailsys *m, const struct queue_messages *waiting, const char *destination,
    struct job_ctx *ctx, struct mail_way_list *ways)
{
	char *anybody = xasprintf("anybody@%s", destination);
	const char *recipient = waiting->n > 0 && waiting->v[0].recipient && strchr(waiting->v[0].recipient, '@')
	    ? waiting->v[0].recipient : anybody;
	struct way_ask ask = { recipient, waiting->n > 0 ? waiting->v[0].sender : NULL, false, NULL };
	struct err ignored;
	const struct way_end *found = NULL;
	size_t i;

	if (m != NULL && ways_find(h, m, &ask, 1, ctx, ways, NULL, &ignored) == 0)
		for (i = 0; i < ways->v[0].ends.n && found == NULL; i++)
			if (ways->v[0].ends.v[i].hops.n > 0)
				found = &ways->v[0].ends.v[i];
	free(anybody);
	return found;
}

static void
say_blind(struct diagnosis *d, const char *from, const struct err *e)
{
	str_addf(&d->evidence, "It could not be looked at from %s: %s\n", clean(from), clean(e->text));
}

static int
diagnose_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct diagnosing *d = hj->data;
	struct dialer here = { probe_dial_here, ctx, "here" };
	struct probe_options o = { .timeout_ms = 0 };
	struct queue_view q = { .taken_at = 0 };
	struct queue_group *group;
	struct mail_way_list ways = { NULL, 0 };
	const struct way_end *end;
	const struct way_hop *hop;
	const char *target;
	char *named = NULL;
	struct err host_failed, here_failed;
	bool from_host, from_here;
	int port, rc = -1;

	job_say(ctx, "listing the queue");
	if (poll_queue(h, &hj->server, QUEUE_BY_DESTINATION, d->destination, MESSAGES_READ, &q, e) == -1)
		goto out;
	if ((group = group_of(&q.groups, d->destination)) != NULL)
		take_own_words(group, &q.taken);
	d->view.since = group != NULL ? group->oldest : 0;
	end = way_of_destination(h, system_of(&hj->server), &q.taken, d->destination, ctx, &ways);
	hop = end != NULL ? &end->hops.v[0] : NULL;
	d->view.level = hop != NULL ? xstrdup(hop->level) : NULL;
	target = named = hop == NULL || hop->host == NULL ? xstrdup(d->destination) : hop->mx ? xstrdup(hop->host)
	    : xasprintf("[%s]", hop->host);
	port = hop != NULL ? hop->port : 0;
	o.implicit_tls = hop != NULL && hop->wrapper;
	job_say(ctx, "looking at %s from %s", clean(target), hj->server.name);
	from_host = probe_from_host(h, &hj->server, target, port, true, &o, ctx, &d->view.from_host, &host_failed) == 0 ||
	    look_found_no_name(&d->view.from_host, target, hj->server.name, &host_failed);
	job_say(ctx, "looking at %s from here", clean(target));
	from_here = probe_destination(&here, NULL, target, port, true, &o, ctx, &d->view.from_here, &here_failed) == 0 ||
	    look_found_no_name(&d->view.from_here, target, "here", &here_failed);
	if (job_cancelled(ctx)) {
		err_set(e, RC_CANCELLED, "cancelled");
		goto out;
	}
	diagnose(d->destination, group, d->view.level, from_host ? &d->view.from_host : NULL,
	    from_here ? &d->view.from_here : NULL, &d->view.diagnosis);
	if (hop != NULL && !text_ieq(hop->dest, d->destination))
		say_next_hop(&d->view.diagnosis, end, hop);
	if (!from_host)
		say_blind(&d->view.diagnosis, hj->server.name, &host_failed);
	if (!from_here)
		say_blind(&d->view.diagnosis, "here", &here_failed);
	rc = 0;
out:
	free(named);
	mail_way_list_release(&ways);
	queue_view_release(&q);
	return rc;
}

static int
diagnose_finish(struct host_job *hj, int rc, struct err *e)
{
	struct diagnosing *d = hj->data;

	(void)e;
	if (rc == 0) {
		*d->out = d->view;
		memset(&d->view, 0, sizeof(d->view));
	}
	return rc;
}

int64_t
destination_diagnose(struct journey *j, int64_t server, const char *destination, struct destination_view *out,
    journey_done_fn *done, void *arg, struct err *e)
{
	struct str name = STR_INIT;
	struct host_job *hj;
	struct diagnosing *d;

	/* it goes into a command of the host as one word: a domain and nothing else */
	if (name_to_ascii(destination, &name, e) == -1) {
		str_release(&name);
		return -1;
	}
	hj = host_job_new(j, server, done, arg, e);
	if (hj == NULL) {
		str_release(&name);
		return -1;
	}
	d = xcalloc(1, sizeof(*d));
	d->destination = str_take(&name);
	d->out = out;
	hj->data = d;
	hj->free_data = diagnosing_free;
	hj->work = diagnose_work;
	hj->finish = diagnose_finish;
	return host_job_start(hj, "diagnose", e);
}
