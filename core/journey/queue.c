/* The queue story: what waits, why, and a look at the destination from the host and from here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

void
queue_view_release(struct queue_view *v)
{
	queue_groups_release(&v->groups);
	queue_messages_release(&v->taken);
	memset(v, 0, sizeof(*v));
}

void
destination_view_release(struct destination_view *v)
{
	diagnosis_release(&v->diagnosis);
	probe_report_release(&v->from_host);
	probe_report_release(&v->from_here);
	free(v->level);
	memset(v, 0, sizeof(*v));
}

/* --- poll --- */

struct polling {
	enum queue_by by;
	char *destination;
	size_t limit;
	struct queue_view view, *out;
};

static void
polling_free(void *data)
{
	struct polling *p = data;

	queue_view_release(&p->view);
	free(p->destination);
	free(p);
}

static int
feed(const char *mem, size_t len, void *arg)
{
	return queue_reader_feed(arg, mem, len);
}

static const struct mailsys *
system_of(const struct server *sv)
{
	return mailsys_find(sv->mailsys ? sv->mailsys : "postfix");
}

/* Streams the listing into a view (worker). */
static int
poll_queue(struct host *h, const struct server *sv, enum queue_by by, const char *destination, size_t limit,
    struct queue_view *out, struct err *e)
{
	struct queue_reader *q = queue_reader_new(by, sv->name, destination, limit);
	const struct mailsys *m = system_of(sv);
	int status = 0, rc = -1;

	if (m == NULL || m->queue_argv == NULL) {
		err_set(e, RC_NOMAIL, "%s has no queue that mxseal can read", sv->name);
		goto out;
	}
	if (host_stream(h, m->queue_argv, feed, q, &status, e) == -1) {
		if (e->code == RC_TIMEOUT) {
			err_set(e, RC_TIMEOUT, "%s on %s says nothing: listing the queue was given up", m->queue_argv[0], sv->name);
			err_hint(e, "does the queue manager hang, or the disk of the queue?");
		}
		goto out;
	}
	if (status != 0) {
		err_set(e, RC_REMOTE, "the queue of %s could not be listed (%s ended with status %d)", sv->name, m->queue_argv[0],
		    status);
		err_hint(e, "is the mail system running there?");
		goto out;
	}
	out->taken_at = when_now();
	out->server = sv->id;
	queue_reader_end(q, &out->groups);
	queue_reader_taken(q, &out->taken);
	out->messages = queue_reader_messages(q);
	out->bad_lines = queue_reader_bad_lines(q);
	if (out->messages == 0 && out->bad_lines > 0) {
		err_set(e, RC_PARSE, "what %s on %s says is no listing of a queue (%lld lines)", m->queue_argv[0], sv->name,
		    (long long)out->bad_lines);
		goto out;
	}
	rc = 0;
out:
	queue_reader_free(q);
	return rc;
}

static int
poll_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct polling *p = hj->data;

	job_say(ctx, "listing the queue");
	return poll_queue(h, &hj->server, p->by, p->destination, p->limit, &p->view, e);
}

/* Notes counts over time, and what TLS has to do with it, for Needs attention. */
static int
queue_note_body(struct store *st, void *arg, struct err *e)
{
	const struct queue_view *v = arg;
	struct server sv = { .id = 0 };
	struct str tls = STR_INIT;
	char *fact = xasprintf("queue-tls:%lld", (long long)v->server);
	int64_t waiting = 0;
	size_t i;
	int rc = -1;

	for (i = 0; i < v->groups.n; i++) {
		const struct queue_group *g = &v->groups.v[i];

		if (i < 1000 && store_queue_note(st, v->server, g->key, v->taken_at, g->messages, g->oldest, e) == -1)
			goto out;
		if (g->failure == NULL || !g->failure->tls)
			continue;
		if (waiting == 0)
			str_addf(&tls, " %s: %s", clean(g->key), g->failure->title);
		waiting += g->deferred;
	}
	if (store_server_get(st, v->server, &sv, e) == -1)
		goto out;
	sv.queue_messages = v->messages;
	if (waiting > 0) {
		char *text = xasprintf("%lld%s", (long long)waiting, tls.s);

		rc = store_fact_set(st, fact, text, e);
		free(text);
	} else
		rc = store_fact_set(st, fact, NULL, e);
	if (rc == 0)
		rc = store_server_save(st, &sv, e);
out:
	server_release(&sv);
	free(fact);
	str_release(&tls);
	return rc;
}

static int
poll_finish(struct host_job *hj, int rc, struct err *e)
{
	struct polling *p = hj->data;

	if (rc == 0 && p->by == QUEUE_BY_DESTINATION)
		rc = store_tx(hj->journey->store, queue_note_body, &p->view, e);
	if (rc == 0) {
		*p->out = p->view;
		memset(&p->view, 0, sizeof(p->view));
	}
	return rc;
}

int64_t
queue_poll(struct journey *j, int64_t server, enum queue_by by, const char *destination, size_t limit, struct queue_view *out,
    journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, server, done, arg, e);
	struct polling *p;

	if (hj == NULL)
		return -1;
	p = xcalloc(1, sizeof(*p));
	p->by = by;
	p->destination = xstrdup(destination);
	p->limit = limit;
	p->out = out;
	hj->data = p;
	hj->free_data = polling_free;
	hj->work = poll_work;
	hj->finish = poll_finish;
	return host_job_start(hj, "queue", e);
}

/* --- actions on messages --- */

/* postsuper(1), postqueue(1). A queue id is letters and digits; nothing else gets near a command. */
static const struct { const char *verb, *program, *option; } actions[] = {
	{ "hold", "postsuper", "-h" }, { "release", "postsuper", "-H" }, { "retry", "postqueue", "-i" },
	{ "delete", "postsuper", "-d" },
};

struct acting { size_t action; struct command_list commands; size_t n; };

static void
acting_free(void *data)
{
	struct acting *a = data;

	command_list_release(&a->commands);
	free(a);
}

static int
act_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct acting *a = hj->data;
	struct sections s = { NULL, 0 };
	struct host_cmd *cmds = xcalloc(a->commands.n + 1, sizeof(*cmds));
	size_t i;
	int rc;

	(void)ctx;
	for (i = 0; i < a->commands.n; i++)
		cmds[i] = (struct host_cmd){ a->commands.v[i].name, (const char *const *)a->commands.v[i].argv };
	rc = host_read(h, cmds, a->commands.n, &s, e);
	for (i = 0; rc == 0 && i < s.n; i++)
		if (s.v[i].status != 0)
			rc = err_set(e, RC_REMOTE, "%s: %s", s.v[i].name, clean(s.v[i].text.s));
	sections_release(&s);
	free(cmds);
	return rc;
}

static int
act_finish(struct host_job *hj, int rc, struct err *e)
{
	struct acting *a = hj->data;
	char text[64];

	snprintf(text, sizeof(text), "%s of %zu messages", actions[a->action].verb, a->n);
	(void)note_activity(hj->journey, hj->server.name, "queue", rc, e, text);
	return rc;
}

int64_t
queue_act(struct journey *j, int64_t server, const char *verb, const char *const *ids, size_t n, journey_done_fn *done,
    void *arg, struct err *e)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct host_job *hj = NULL;
	struct acting *a;
	size_t i, action;

	for (action = 0; action < sizeof(actions) / sizeof(actions[0]) && strcmp(actions[action].verb, verb) != 0; action++)
		;
	if (action == sizeof(actions) / sizeof(actions[0]))
		return err_set(e, RC_USAGE, "messages can be held, released, retried or deleted, not \"%s\"", clean(verb));
	for (i = 0; i < n; i++)
		if (ids[i][0] == '\0' || strlen(ids[i]) > 40 || strspn(ids[i], allowed) != strlen(ids[i]))
			return err_set(e, RC_USAGE, "\"%s\" is not a queue id", clean(ids[i]));
	hj = host_change_new(j, server, done, arg, e);
	if (hj == NULL)
		return -1;
	a = xcalloc(1, sizeof(*a));
	a->action = action;
	a->n = n;
	for (i = 0; i < n; i++)
		(void)command_add(&a->commands, ids[i], actions[action].program, actions[action].option, ids[i], NULL);
	hj->data = a;
	hj->free_data = acting_free;
	hj->work = act_work;
	hj->finish = act_finish;
	return host_job_start(hj, "queue", e);
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
	struct way_ask ask = { recipient, waiting->n > 0 ? waiting->v[0].sender : NULL, false };
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
