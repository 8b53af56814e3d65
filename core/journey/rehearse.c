/* A rehearsal: what would become of mail if more were required of the other side. Who brings mail and who takes it is in the
 * host's own log; what a destination can do is seen by looking at it from the host, and what a client can do by what it did. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/maillog.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define EXCEPTION_DAYS 90        /* until somebody should ask again */
#define NAMED 3

/* Strongest first: an exception is the first that works below the level asked for. */
static const char *const out_levels[] = { "dane-only", "dane", "secure", "verify", "encrypt", "may", "none" };
#define OUT_LEVELS (sizeof(out_levels) / sizeof(out_levels[0]))
/* In the order of their age; the last column as a log has it. */
static const struct { const char *ours, *logged; } protocols[] = {
	{ NULL, "SSLv2" }, { NULL, "SSLv3" }, { "tls1.0", "TLSv1" }, { "tls1.1", "TLSv1.1" }, { "tls1.2", "TLSv1.2" },
	{ "tls1.3", "TLSv1.3" },
};
#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

struct rehearsing {
	bool inbound;
	size_t level;                    /* in out_levels; inbound in protocols, 0: require */
	char **logs;
	struct maillog *log;
	struct maillog_figures figures;
	struct rehearsal r, *out;
	struct looks looks;
};

void
rehearsal_release(struct rehearsal *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		free(r->v[i].peer);
		free(r->v[i].why);
		free(r->v[i].now);
		free(r->v[i].works);
		free(r->v[i].hop);
	}
	free(r->v);
	free(r->level);
	memset(r, 0, sizeof(*r));
}

static void
texts_free(char **v)
{
	size_t i;

	for (i = 0; v[i] != NULL; i++)
		free(v[i]);
	free(v);
}

static void
rehearsing_free(void *data)
{
	struct rehearsing *x = data;

	maillog_free(x->log);
	maillog_figures_release(&x->figures);
	looks_release(&x->looks);
	rehearsal_release(&x->r);
	texts_free(x->logs);
	free(x);
}

/* --- who --- */

static int
by_messages(const void *a, const void *b)
{
	const struct rehearsed *x = a, *y = b;

	if (x->messages != y->messages)
		return x->messages < y->messages ? 1 : -1;
	return strcmp(x->peer, y->peer);
}

static size_t
protocol_of(const char *logged)
{
	size_t i;

	for (i = 0; logged != NULL && i < PROTOCOLS; i++)
		if (strcmp(protocols[i].logged, logged) == 0)
			return i;
	return PROTOCOLS;
}

/* A client fails when it never did what is to be required; one that did it sometimes may be several behind one address. */
static void
judge_client(const struct rehearsing *x, const struct traffic *t, struct rehearsed *p)
{
	if (x->level == 0) {
		p->outcome = t->clear == 0 ? REHEARSED_PASSES : t->clear == t->messages ? REHEARSED_FAILS : REHEARSED_UNSURE;
		p->why = t->clear == 0 ? xstrdup("always used TLS") : t->clear == t->messages ? xstrdup("never used TLS")
		    : xasprintf("came without TLS for %lld of its messages", (long long)t->clear);
		return;
	}
	if (t->clear == t->messages) {
		p->outcome = REHEARSED_PASSES;
		p->why = xstrdup("never used TLS, so no version matters");
	} else if (protocol_of(t->newest) < x->level) {
		p->outcome = REHEARSED_FAILS;
		p->why = xasprintf("never used more than %s", t->newest);
	} else if (protocol_of(t->oldest) < x->level) {
		p->outcome = REHEARSED_UNSURE;
		p->why = xasprintf("used %s, but %s as well", t->newest, t->oldest);
	} else {
		p->outcome = REHEARSED_PASSES;
		p->why = xasprintf("used %s or newer", t->oldest);
	}
}

static void
take_peers(struct rehearsing *x, const struct maillog_figures *f)
{
	struct rehearsal *r = &x->r;
	const char *direction = x->inbound ? "in" : "out";
	size_t i;

	r->first_at = f->first_at;
	r->cut = f->cut;
	r->tls_seen = f->tls_seen;
	r->v = xcalloc(f->traffic.n + 1, sizeof(*r->v));
	for (i = 0; i < f->traffic.n; i++) {
		const struct traffic *t = &f->traffic.v[i];
		int64_t messages = t->messages + t->waiting;

		if (strcmp(t->direction, direction) != 0)
			continue;
		r->messages += messages;
		r->peers++;
		if (strcmp(t->peer, MAILLOG_OTHERS) == 0) {
			r->unseen++;
			r->unseen_messages += messages;
			continue;
		}
		r->v[r->n] = (struct rehearsed){ .peer = xstrdup(t->peer), .messages = messages };
		if (x->inbound)
			judge_client(x, t, &r->v[r->n]);
		r->n++;
	}
	if (r->n > 1)
		qsort(r->v, r->n, sizeof(*r->v), by_messages);
	while (!x->inbound && r->n > REHEARSE_PEERS_MAX) {
		struct rehearsed *last = &r->v[--r->n];

		r->unseen++;
		r->unseen_messages += last->messages;
		free(last->peer);
	}
}

/* --- the log --- */

static int
feed(const char *mem, size_t len, void *log)
{
	maillog_feed(log, mem, len);
	return 0;
}

static int
read_host_log(struct host *h, const struct mailsys *m, const struct server *sv, struct rehearsing *x, struct err *e)
{
	struct command_list commands = { NULL, 0 };
	int status = 0, rc;

	m->traffic(x->r.days, &commands);
	rc = host_stream(h, (const char *const *)commands.v[0].argv, feed, x->log, &status, e);
	command_list_release(&commands);
	if (rc == 0 && status != 0) {
		rc = err_set(e, RC_REMOTE, "the mail log of %s could not be read (status %d)", sv->name, status);
		err_hint(e, "is there a shell and a log, and may this user read it?");
	}
	return rc;
}

/* --- where to --- */

static bool
fails(enum way_fate f)
{
	return f == FATE_WAITS || f == FATE_BOUNCES;
}

/* The ways of those peers, as if level were in force, looked at. NULL: as it is. */
static int
ways_of(struct rehearsing *x, struct host *h, const struct server *sv, const size_t *which, size_t n, const char *level,
    struct job_ctx *ctx, struct mail_way_list *ways, struct err *e)
{
	struct way_ask *asks = xcalloc(n + 1, sizeof(*asks));
	char **addresses = xcalloc(n + 1, sizeof(*addresses));
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		addresses[i] = xasprintf("anybody@%s", x->r.v[which[i]].peer);
		asks[i] = (struct way_ask){ addresses[i], NULL, true, level };
	}
	rc = ways_find(h, system_of(sv), asks, n, ctx, ways, NULL, e);
	if (rc == 0)
		ways_look(&x->looks, true, ways, h, sv, ctx);
	if (rc == 0 && job_cancelled(ctx))
		rc = err_set(e, RC_CANCELLED, "cancelled");
	texts_free(addresses);
	free(asks);
	return rc;
}

/* Of several recipients that one became, the first whose mail does not get out decides. */
static const struct way_end *
worst_end(const struct mail_way *w)
{
	const struct way_end *end = w->ends.n > 0 ? &w->ends.v[0] : NULL;
	size_t i;

	for (i = 0; i < w->ends.n; i++)
		if (fails(w->ends.v[i].fate))
			return &w->ends.v[i];
	return end;
}

static void
judge_destination(struct rehearsed *p, const struct mail_way *w)
{
	const struct way_end *end = worst_end(w);
	const struct way_hop *hop = end && end->hops.n > 0 ? &end->hops.v[0] : NULL;

	p->outcome = end == NULL || end->fate == FATE_UNKNOWN ? REHEARSED_UNSURE : fails(end->fate) ? REHEARSED_FAILS
	    : REHEARSED_PASSES;
	p->why = xasprintf("%s%s%s", end && end->forecast ? end->forecast : "its way is not known",
	    hop && hop->policy_key ? "; a rule of its own decides, under " : "", hop && hop->policy_key ? hop->policy_key : "");
	if (hop && strcasecmp(hop->dest, p->peer) != 0)
		p->hop = xstrdup(hop->dest);
}

/* Which of those that fail pass at this level? They leave the list. */
static int
try_level(struct rehearsing *x, struct host *h, const struct server *sv, size_t *which, size_t *n, const char *level,
    struct job_ctx *ctx, struct err *e)
{
	struct mail_way_list ways = { NULL, 0 };
	size_t i, left = 0;

	if (*n == 0)
		return 0;
	job_say(ctx, "trying %zu of them at \"%s\"", *n, level);
	if (ways_of(x, h, sv, which, *n, level, ctx, &ways, e) == -1)
		return -1;
	for (i = 0; i < *n; i++) {
		const struct way_end *end = worst_end(&ways.v[i]);

		if (end != NULL && (end->fate == FATE_TLS || end->fate == FATE_CLEAR))
			x->r.v[which[i]].works = xstrdup(level);
		else
			which[left++] = which[i];
	}
	*n = left;
	mail_way_list_release(&ways);
	return 0;
}

static int
look_at_destinations(struct rehearsing *x, struct host *h, const struct server *sv, struct job_ctx *ctx, struct err *e)
{
	struct rehearsal *r = &x->r;
	size_t *which = xcalloc(r->n + 1, sizeof(*which)), n = 0, i;
	struct mail_way_list ways = { NULL, 0 };
	int rc = 0;

	for (i = 0; i < r->n; i++)
		which[i] = i;
	if (r->n > 0)
		rc = ways_of(x, h, sv, which, r->n, r->level, ctx, &ways, e);
	for (i = 0; rc == 0 && i < r->n; i++) {
		judge_destination(&r->v[i], &ways.v[i]);
		if (r->v[i].outcome == REHEARSED_FAILS)
			which[n++] = i;
	}
	mail_way_list_release(&ways);
	if (rc == 0 && n > 0 && (rc = ways_of(x, h, sv, which, n, NULL, ctx, &ways, e)) == 0) {
		for (i = 0; i < n; i++) {
			const struct way_end *end = worst_end(&ways.v[i]);

			r->v[which[i]].now = xstrdup(way_fate_name(end != NULL ? end->fate : FATE_UNKNOWN));
		}
		mail_way_list_release(&ways);
	}
	for (i = x->level + 1; i < OUT_LEVELS && rc == 0; i++)
		rc = try_level(x, h, sv, which, &n, out_levels[i], ctx, e);
	free(which);
	return rc;
}

/* --- the job --- */

static int
rehearse_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct rehearsing *x = hj->data;
	const struct mailsys *m = system_of(&hj->server);
	size_t i;
	int rc = 0;

	if (m == NULL || m->traffic == NULL || m->way == NULL)
		return err_set(e, RC_NOMAIL, "%s has no mail log that mxseal can read", hj->server.name);
	job_say(ctx, "reading the mail log");
	if (x->logs[0] == NULL)
		rc = read_host_log(h, m, &hj->server, x, e);
	for (i = 0; rc == 0 && x->logs[i] != NULL; i++)
		rc = maillog_file(x->log, x->logs[i], e);
	if (rc == -1)
		return -1;
	maillog_figures(x->log, &x->figures);
	take_peers(x, &x->figures);
	return x->inbound ? 0 : look_at_destinations(x, h, &hj->server, ctx, e);
}

static char *
fact_name(int64_t server, const char *level)
{
	return xasprintf("rehearsed:%lld:%s", (long long)server, level);
}

/* "AT sentence" of what it came to, for the dialog that asks. */
static void
keep_sentence(struct journey *j, int64_t server, const struct rehearsal *r)
{
	char *fact = fact_name(server, r->level);
	struct str s = STR_INIT;
	int64_t bad = 0, messages = 0;
	size_t i;

	str_addf(&s, "%lld ", (long long)when_now());
	for (i = 0; i < r->n; i++)
		if (r->v[i].outcome == REHEARSED_FAILS) {
			bad++;
			messages += r->v[i].messages;
		}
	str_addf(&s, "Rehearsed at %s, log of %d days: of %lld %s %lld would fail%s", r->level, r->days, (long long)r->peers,
	    r->inbound ? "clients" : "destinations", (long long)bad, bad ? "" : ".");
	if (bad > 0) {
		str_addf(&s, ", %lld message%s:", (long long)messages, messages == 1 ? "" : "s");
		for (i = 0, bad = 0; i < r->n && bad < NAMED; i++)
			if (r->v[i].outcome == REHEARSED_FAILS)
				str_addf(&s, "%s %s (%lld)", bad++ ? "," : "", clean(r->v[i].peer), (long long)r->v[i].messages);
		str_add(&s, bad == NAMED ? ", ..." : ".");
	}
	(void)store_fact_set(j->store, fact, s.s, NULL);
	str_release(&s);
	free(fact);
}

int64_t
rehearsal_sentence(struct journey *j, int64_t server, const char *level, struct str *out)
{
	char *fact = fact_name(server, level), *text = NULL, ago[16], *rest;
	int64_t at = 0;

	if (store_fact_get(j->store, fact, &text, NULL) == 0 && text != NULL && (at = strtoll(text, &rest, 10)) > 0 && *rest == ' ' &&
	    out != NULL) {
		when_ago(ago, when_now() - at);
		str_addf(out, "%s (%s ago)", rest + 1, ago);
	}
	free(text);
	free(fact);
	return at;
}

static int
rehearse_finish(struct host_job *hj, int rc, struct err *e)
{
	struct rehearsing *x = hj->data;

	if (rc == 0 && x->logs[0] == NULL) {     /* it is about this host only then */
		keep_sentence(hj->journey, hj->server.id, &x->r);
		rc = traffic_keep(hj->journey, hj->server.id, x->r.days, &x->figures, e);
	}
	if (rc == 0) {
		*x->out = x->r;
		memset(&x->r, 0, sizeof(x->r));
	}
	return rc;
}

static int
level_parse(bool inbound, const char *level, size_t *out, struct err *e)
{
	size_t i;

	for (i = 0; !inbound && i < OUT_LEVELS; i++)
		if (strcmp(level, out_levels[i]) == 0) {
			*out = i;
			return 0;
		}
	if (inbound && strcmp(level, "require") == 0) {
		*out = 0;
		return 0;
	}
	for (i = 0; inbound && i < PROTOCOLS; i++)
		if (protocols[i].ours != NULL && strcmp(level, protocols[i].ours) == 0) {
			*out = i;
			return 0;
		}
	err_set(e, RC_USAGE, "\"%s\" is no %s", clean(level), inbound ? "requirement of senders" : "level of outbound security");
	return err_hint(e, inbound ? "require, tls1.0, tls1.1, tls1.2, tls1.3" : "may, encrypt, verify, secure, dane, dane-only");
}

int64_t
rehearse(struct journey *j, int64_t server, const struct rehearse_ask *ask, struct rehearsal *out, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct host_job *hj;
	struct rehearsing *x;
	size_t level = 0, i;

	if (level_parse(ask->inbound, ask->level, &level, e) == -1 || (hj = host_job_new(j, server, done, arg, e)) == NULL)
		return -1;
	x = xcalloc(1, sizeof(*x));
	x->inbound = x->r.inbound = ask->inbound;
	x->level = level;
	x->r.level = xstrdup(ask->level);
	x->r.days = ask->days;
	x->log = maillog_new(when_now(), ask->days);
	x->logs = xcalloc(ask->n_logs + 1, sizeof(*x->logs));
	for (i = 0; i < ask->n_logs; i++)
		x->logs[i] = xstrdup(ask->logs[i]);
	x->out = out;
	hj->data = x;
	hj->free_data = rehearsing_free;
	hj->work = rehearse_work;
	hj->finish = rehearse_finish;
	return host_job_start(hj, "rehearse", e);
}

/* --- the exceptions --- */

/* "rehearsed-may", and with a number where such a connector is there. */
static char *
free_name(struct journey *j, const char *level)
{
	char *name = xasprintf("rehearsed-%s", level);
	int n;

	for (n = 2; n < 1000; n++) {
		struct connector c = { .id = 0 };

		if (store_connector_by_name(j->store, name, &c, NULL) == -1)
			break;
		connector_release(&c);
		free(name);
		name = xasprintf("rehearsed-%s-%d", level, n);
	}
	return name;
}

/* One connector for all that fail alike: the same level works, by the same next hop. */
static int
except(struct journey *j, const char *via, const struct rehearsal *r, size_t first, bool *done, struct str *said, struct err *e)
{
	const struct rehearsed *like = &r->v[first];
	struct connector c = { .id = 0 };
	struct str domains = STR_INIT;
	char date[16];
	size_t i, n = 0;
	int rc;

	for (i = first; i < r->n; i++)
		if (r->v[i].outcome == REHEARSED_FAILS && text_eq(r->v[i].works, like->works) && text_eq(r->v[i].hop, like->hop)) {
			str_addf(&domains, "%s%s", n++ ? " " : "", r->v[i].peer);
			done[i] = true;
		}
	c.name = free_name(j, like->works);
	c.domains = str_take(&domains);
	c.route = xstrdup(like->hop ? "smart-host" : "dns");
	c.smart_hosts = xstrdup(like->hop);
	c.via = xstrdup(via);
	c.tls = xstrdup(like->works);
	when_date(date, when_now());
	c.reason = xasprintf("rehearsed on %s: mail would wait at %s", date, r->level);
	when_date(date, when_now() + INT64_C(86400) * EXCEPTION_DAYS);
	c.review = xstrdup(date);
	rc = connector_save(j, &c, e);
	if (rc == 0)
		str_addf(said, "Connector %s: %zu domain%s at %s, to be reviewed on %s.\n", c.name, n, n == 1 ? "" : "s", c.tls, c.review);
	connector_release(&c);
	return rc;
}

int
rehearsal_take(struct journey *j, int64_t server, const struct rehearsal *r, struct str *said, struct err *e)
{
	bool *done = xcalloc(r->n + 1, sizeof(*done));
	struct server sv = { .id = 0 };
	struct vserver vs = { .id = 0 };
	char *via = NULL;
	size_t i, n = 0;
	int rc = store_server_get(j->store, server, &sv, e);

	if (rc == 0 && (rc = store_vserver_by_name(j->store, sv.name, &vs, e)) == 0)
		via = xasprintf("%s/%s", sv.name, vs.name);
	if (rc == 0)
		rc = store_edit_begin(j->store, e);
	if (rc == 0) {
		for (i = 0; rc == 0 && i < r->n; i++)
			if (r->v[i].outcome == REHEARSED_FAILS && r->v[i].works != NULL && !done[i] && ++n)
				rc = except(j, via, r, i, done, said, e);
		if (rc == 0 && n == 0)
			rc = err_set(e, RC_NOTFOUND, "there is nothing to except: no destination that fails at %s would take mail at a lower level",
			    clean(r->level));
		rc = store_edit_end(j->store, rc, e, "%s: exceptions to %s, as rehearsed", sv.name, r->level);
	}
	free(via);
	free(done);
	vserver_release(&vs);
	server_release(&sv);
	return rc;
}
