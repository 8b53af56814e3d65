/* Why mail for a destination waits: its queue, its way, its log, and looks at it from the host, from other hosts and from here. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/maillog.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

void
destination_view_release(struct destination_view *v)
{
	size_t i;

	diagnosis_release(&v->diagnosis);
	probe_report_release(&v->from_host);
	probe_report_release(&v->from_here);
	for (i = 0; i < v->n_others; i++)
		probe_report_release(&v->others[i]);
	free(v->others);
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
	struct probe_options o = { .implicit_tls = p->port == 465, .versions = true };

	if (probe_destination(&d, NULL, p->target, p->port, p->mx, &o, ctx, &p->report, e) != 0)
		return -1;
	(void)probe_published(&d, NULL, NULL, p->mx, ctx, &p->report, NULL);
	return 0;
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
/* "known", then the host's IPv6 addresses, where its kernel tells */
static const char *const cat_inet6[] = { "sh", "-c", "if [ -e /proc/net/dev ]; then echo known; cat /proc/net/if_inet6 2>/dev/null; fi; true", NULL };
static const struct host_cmd resolver_cmds[] = { { "resolv.conf", cat_resolv }, { "inet6", cat_inet6 } };

/* Does the host have no IPv6 address that is more than its link's or its own (the fourth column: 00 is global)? */
static bool
has_no_ipv6(const char *text)
{
	const char *line;
	char scope[3];

	if (!text_starts(text, "known"))
		return false;
	for (line = strchr(text, '\n'); line != NULL; line = strchr(line + 1, '\n'))
		if (sscanf(line + 1, "%*32s %*8s %*8s %2s", scope) == 1 && strcmp(scope, "00") == 0)
			return false;
	return true;
}

/* Addresses that mail does not go to from there, as Postfix spells the families. */
static void
mark_unused(const struct server *sv, const char *families, const char *inet6, struct probe_report *r)
{
	bool all = families == NULL || strstr(families, "all") != NULL;
	char *why = NULL;

	if (!all && strstr(families, "ipv6") == NULL)
		probe_unused(r, true, true, why = xasprintf("The mail system of %s makes no use of IPv6.", clean(sv->name)));
	else if (!all && strstr(families, "ipv4") == NULL)
		probe_unused(r, false, true, why = xasprintf("The mail system of %s makes no use of IPv4.", clean(sv->name)));
	else if (has_no_ipv6(inet6))
		probe_unused(r, true, false, why = xasprintf("%s has no IPv6 address of its own.", clean(sv->name)));
	free(why);
}

int
probe_from_host(struct host *h, const struct server *sv, const char *target, int port, bool mx,
    const struct probe_options *o, struct job_ctx *ctx, struct probe_report *out, struct err *e)
{
	struct dialer d = { probe_dial_host, h, sv->name };
	struct probe_options options = o ? *o : (struct probe_options){ .implicit_tls = port == 465 };
	struct sections s = { NULL, 0 };
	int rc = host_read(h, resolver_cmds, 2, &s, e);

	options.helo = sv->host_name;
	if (rc == 0)
		rc = probe_destination(&d, section_text(&s, "resolv.conf"), target, port, mx, &options, ctx, out, e);
	if (rc == 0)
		mark_unused(sv, options.families, section_text(&s, "inet6"), out);
	sections_release(&s);
	return rc;
}

void
published_from_host(struct host *h, const struct server *sv, const char *roots, bool mx, struct job_ctx *ctx, struct probe_report *r)
{
	struct dialer d = { probe_dial_host, h, sv->name };
	struct sections s = { NULL, 0 };

	if (host_read(h, resolver_cmds, 1, &s, NULL) == 0 && section_text(&s, "resolv.conf") != NULL)
		(void)probe_published(&d, section_text(&s, "resolv.conf"), roots, mx, ctx, r, NULL);
	sections_release(&s);
}

static int
probe_host_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct probing *p = hj->data;

	struct probe_options o = { .implicit_tls = p->port == 465, .versions = true };

	if (probe_from_host(h, &hj->server, p->target, p->port, p->mx, &o, ctx, &p->report, e) != 0)
		return -1;
	published_from_host(h, &hj->server, NULL, p->mx, ctx, &p->report);
	return 0;
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

#define OTHERS_MS 25000      /* looks from elsewhere are waited for so long after they began */
#define WAIT_STEP_MS 50
#define CHANGES_BEFORE 3600  /* seconds before it began that count as shortly before */

struct diagnosing {
	struct journey *journey;
	int64_t server;
	char *destination, *target;
	int port;
	struct probe_options options;    /* without what is the host's alone */
	struct vantages *vantages;       /* main thread */
	int64_t until;
	bool from_here;
	struct str blind;                /* who could not look, and why */
	struct attempts_seen log;
	int64_t clock_ahead;
	struct destination_view view, *out;
};

static void
diagnosing_free(void *data)
{
	struct diagnosing *d = data;

	if (d->vantages != NULL)
		vantages_forget(d->vantages);
	attempts_seen_release(&d->log);
	str_release(&d->blind);
	destination_view_release(&d->view);
	free(d->target);
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
bool
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
	struct way_host w = { .h = h, .ctx = ctx };
	size_t i;

	if (m != NULL && ways_find(&w, m, &ask, 1, ways, NULL, &ignored) == 0)
		for (i = 0; i < ways->v[0].ends.n && found == NULL; i++)
			if (ways->v[0].ends.v[i].hops.n > 0)
				found = &ways->v[0].ends.v[i];
	sections_release(&w.known);
	free(anybody);
	return found;
}

static void
say_blind(struct diagnosis *d, const char *from, const struct err *e)
{
	str_addf(&d->evidence, "It could not be looked at from %s: %s\n", clean(from), clean(e->text));
}

/* --- the worker's questions to the main thread --- */

static int
others_start(void *arg, struct err *e)
{
	struct diagnosing *d = arg;

	(void)e;
	d->vantages = vantages_start(d->journey, d->server, d->target, d->port, &d->options);
	return 0;
}

static int
others_missing(void *arg, struct err *e)
{
	struct diagnosing *d = arg;

	(void)e;
	return (int)vantages_missing(d->vantages);
}

static int
others_end(void *arg, struct err *e)
{
	struct diagnosing *d = arg;

	(void)e;
	vantages_end(d->vantages, &d->view.from_here, &d->from_here, &d->view.others, &d->view.n_others, &d->blind);
	d->vantages = NULL;
	return 0;
}

/* Waits for those that look from elsewhere, until all are back or the deadline is over. */
static void
others_wait(struct diagnosing *d, struct job_ctx *ctx)
{
	struct pollfd p = { .fd = ctx != NULL ? job_cancel_fd(ctx) : -1, .events = POLLIN };
	struct err ignored;

	while (when_monotonic_ms() < d->until && !(ctx != NULL && job_cancelled(ctx)) && job_on_main(ctx, others_missing, d, &ignored) > 0)
		(void)poll(&p, p.fd >= 0 ? 1 : 0, WAIT_STEP_MS);
}

/* --- the log --- */

struct log_reading { struct attempts *log; int64_t first_ms, first_at; };

static int
log_feed(const char *mem, size_t len, void *arg)
{
	struct log_reading *r = arg;

	if (r->first_at == 0)
		r->first_at = when_now();
	attempts_feed(r->log, mem, len);
	return 0;
}

/* The attempts for the destination, and how far the host's clock is from ours: it was read between our asking and the first
 * bytes of the answer. A host without a log is no error. */
static void
read_log(struct diagnosing *d, struct host *h, const struct mailsys *m, struct job_ctx *ctx)
{
	struct command_list commands = { NULL, 0 };
	struct log_reading r = { .first_at = 0 };
	int64_t asked = when_now();
	struct err e = { .code = RC_OK };
	int status = 0;

	if (m == NULL || m->attempts == NULL)
		return;
	job_say(ctx, "reading the mail log");
	m->attempts(d->destination, ATTEMPTS_BYTES, &commands);
	r.log = attempts_new(d->destination, asked);
	if (host_stream(h, (const char *const *)commands.v[0].argv, log_feed, &r, &status, &e) == 0)
		attempts_end(r.log, &d->log);
	else
		str_addf(&d->blind, "Its mail log could not be read: %s\n", clean(e.text));
	if (d->log.clock != 0)
		d->clock_ahead = d->log.clock > r.first_at ? d->log.clock - r.first_at : d->log.clock < asked ? d->log.clock - asked : 0;
	attempts_free(r.log);
	command_list_release(&commands);
}

/* How long after now the newest message arrived: the clock that the mail system goes by. */
static int64_t
arrived_ahead(const struct queue_view *q)
{
	int64_t newest = 0;
	size_t i;

	for (i = 0; i < q->taken.n; i++)
		if (q->taken.v[i].arrival > newest)
			newest = q->taken.v[i].arrival;
	return newest > q->taken_at ? newest - q->taken_at : 0;
}

/* When it began: the first failed attempt since the last success; else the oldest message. */
static int64_t
since(const struct diagnosing *d, const struct queue_group *group)
{
	int64_t oldest = group != NULL ? group->oldest : 0;

	if (group == NULL || d->log.first_at == 0 || (oldest != 0 && oldest < d->log.first_at && d->log.sent_at < oldest))
		return oldest;
	return d->log.first_at;
}

static bool
is_level(const char *level, const char *a, const char *b)
{
	return text_eq(level, a) || text_eq(level, b);
}

/* What is looked at and how, from the way of the mail. */
static void
aim(struct diagnosing *d, const struct way_hop *hop)
{
	d->view.level = hop != NULL ? xstrdup(hop->level) : NULL;
	d->target = hop == NULL || hop->host == NULL ? xstrdup(d->destination) : hop->mx ? xstrdup(hop->host) : xasprintf("[%s]", hop->host);
	d->port = hop != NULL ? hop->port : 0;
	d->options = (struct probe_options){ .implicit_tls = hop != NULL && hop->wrapper, .versions = true,
	    .by_domain = hop != NULL && hop->mx && text_eq(hop->level, "secure") };
	d->until = when_monotonic_ms() + OTHERS_MS;
}

/* At dane and dane-only the records decide, as the mail host's resolver gave them; elsewhere nobody asked for them. */
static void
by_level(struct diagnosing *d, bool from_host)
{
	bool only = text_eq(d->view.level, "dane-only");
	size_t i, k;

	if (!text_starts(d->view.level, "dane") || !from_host)
		return;
	for (i = 0; i < d->view.n_others; i++) {
		struct probe_report *r = &d->view.others[i];

		for (k = 0; k < r->n && k < d->view.from_host.n; k++)
			if (text_eq(r->v[k].sha256, d->view.from_host.v[k].sha256))
				memcpy(r->v[k].dane, d->view.from_host.v[k].dane, sizeof(r->v[k].dane));
		probe_judge_dane(r, only);
	}
	probe_judge_dane(&d->view.from_host, only);
	if (d->from_here)
		probe_judge_dane(&d->view.from_here, only);
}

static int
diagnose_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct diagnosing *d = hj->data;
	struct queue_view q = { .taken_at = 0 };
	struct queue_group *group;
	struct mail_way_list ways = { NULL, 0 };
	const struct way_end *end;
	const struct way_hop *hop;
	struct probe_options o;
	struct err host_failed = { .code = RC_OK };
	bool from_host;
	int rc = -1;

	job_say(ctx, "listing the queue");
	if (poll_queue(hj, h, QUEUE_BY_DESTINATION, d->destination, MESSAGES_READ, &q, e) == -1)
		goto out;
	if ((group = group_of(&q.groups, d->destination)) != NULL) {
		take_own_words(group, &q.taken);
		d->view.waiting = group->messages;
		d->view.oldest = group->oldest;
		d->view.next_retry = group->next_retry;
	}
	end = way_of_destination(h, system_of(&hj->server), &q.taken, d->destination, ctx, &ways);
	hop = end != NULL ? &end->hops.v[0] : NULL;
	aim(d, hop);
	if (job_on_main(ctx, others_start, d, e) == -1)
		goto out;
	read_log(d, h, system_of(&hj->server), ctx);
	d->view.since = since(d, group);
	o = d->options;
	o.families = hop != NULL ? hop->families : NULL;
	if (hop != NULL && is_level(hop->level, "verify", "secure")) {
		o.roots = hop->roots;
		o.roots_only = true;
	}
	job_say(ctx, "looking at %s from %s", clean(d->target), hj->server.name);
	from_host = probe_from_host(h, &hj->server, d->target, d->port, true, &o, ctx, &d->view.from_host, &host_failed) == 0 ||
	    look_found_no_name(&d->view.from_host, d->target, hj->server.name, &host_failed);
	if (from_host)
		published_from_host(h, &hj->server, hop != NULL ? hop->roots : NULL, true, ctx, &d->view.from_host);
	job_say(ctx, "waiting for the looks from elsewhere");
	others_wait(d, ctx);
	if (job_on_main(ctx, others_end, d, e) == -1 || (ctx != NULL && job_cancelled(ctx))) {
		err_set(e, RC_CANCELLED, "cancelled");
		goto out;
	}
	by_level(d, from_host);
	struct diagnose_facts f = { .destination = d->destination, .server = hj->server.name, .group = group, .level = d->view.level,
		.from_host = from_host ? &d->view.from_host : NULL, .from_here = d->from_here ? &d->view.from_here : NULL,
		.others = d->view.others, .n_others = d->view.n_others, .log = &d->log, .clock_ahead = d->clock_ahead,
		.mail_ahead = arrived_ahead(&q), .trouble = hop != NULL ? hop->trouble : NULL,
		.tls_off = hop != NULL && hop->tls_off, .damage = hop != NULL ? hop->damage : NULL,
		.trusts_nobody = hop != NULL && (!hop->trusts || hop->roots == NULL) };

	diagnose_facts(&f, &d->view.diagnosis);
	if (hop != NULL && !text_ieq(hop->dest, d->destination))
		say_next_hop(&d->view.diagnosis, end, hop);
	if (!from_host)
		say_blind(&d->view.diagnosis, hj->server.name, &host_failed);
	str_addn(&d->view.diagnosis.evidence, d->blind.s, d->blind.len);
	rc = 0;
out:
	mail_way_list_release(&ways);
	queue_view_release(&q);
	return rc;
}

/* Verbs of the activity that change a host. */
static bool
changes_hosts(const char *verb)
{
	static const char *const verbs[] = { "push", "keep", "undo", "recover", "vs-run" };
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (text_starts(verb, verbs[i]))
			return true;
	return false;
}

/* What was done from here to this server shortly before it began, newest first, at most three. */
static void
say_changes(struct diagnosing *d, struct journey *j, const char *server)
{
	struct activity_list l = { NULL, 0 };
	int64_t from = d->view.since - CHANGES_BEFORE, to = d->view.since + 60;
	size_t i, said = 0;
	char stamp[32];

	if (d->view.since == 0 || store_activities(j->store, 2000, &l, NULL) != 0)
		return;
	for (i = 0; i < l.n && said < 3; i++) {
		const struct activity *a = &l.v[i];

		if (a->at < from || a->at > to || !text_eq(a->server, server) || !changes_hosts(a->verb))
			continue;
		when_rfc3339(stamp, a->at);
		str_addf(&d->view.diagnosis.evidence, "On our side shortly before: %s, %s: ", stamp, clean(a->verb));
		str_addf(&d->view.diagnosis.evidence, "%s\n", clean(a->text));
		said++;
	}
	if (said == 0)
		str_add(&d->view.diagnosis.evidence, "On our side nothing was pushed in the hour before it began.\n");
	d->view.changed = said > 0;
	activity_list_release(&l);
}

/* Mail of another instance may be what somebody asks about. */
static void
say_instances(struct diagnosing *d, struct journey *j, const struct server *sv)
{
	char *text = server_instances(j, sv);

	if (text != NULL)
		str_addf(&d->view.diagnosis.evidence, "%s\n", text);
	free(text);
}

static int
diagnose_finish(struct host_job *hj, int rc, struct err *e)
{
	struct diagnosing *d = hj->data;

	(void)e;
	if (rc == 0) {
		say_changes(d, hj->journey, hj->server.name);
		say_instances(d, hj->journey, &hj->server);
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
	d->journey = j;
	d->server = server;
	d->blind = (struct str)STR_INIT;
	d->out = out;
	hj->data = d;
	hj->free_data = diagnosing_free;
	hj->work = diagnose_work;
	hj->finish = diagnose_finish;
	return host_job_start(hj, "diagnose", e);
}
