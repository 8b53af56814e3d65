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

#define NAMED 3

struct rehearsing {
	bool inbound;
	struct rehearse_rule rule;
	size_t main;
	char **logs;
	struct maillog *log;
	struct maillog_figures figures;
	struct rehearsal r, *out;
	struct looks looks;
	struct way_host asked;
};

/* What was rehearsed in this session. */
struct kept_rehearsal { struct kept_rehearsal *next; int64_t server; struct rehearsal r; };

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
	free(r->listener);
	free(r->service);
	free(r->counted);
	free(r->missing);
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
	sections_release(&x->asked.known);
	rehearsal_release(&x->r);
	texts_free(x->logs);
	free(x);
}

/* --- who --- */

static int
by_messages(const void *a, const void *b)
{
	const struct traffic *x = a, *y = b;

	if (x->messages + x->waiting != y->messages + y->waiting)
		return x->messages + x->waiting < y->messages + y->waiting ? 1 : -1;
	return strcmp(x->peer, y->peer);
}

/* So many days the log covers of those asked for. */
static int
days_covered(const struct maillog_figures *f, int days)
{
	int64_t seconds = f->first_at > 0 ? when_now() - f->first_at : 0;
	int covered = (int)((seconds + 86399) / 86400);

	return covered < 1 ? 1 : days > 0 && covered > days ? days : covered;
}

/* What came by other services is told, and that it is not counted. */
static void
say_elsewhere(struct rehearsal *r, const struct maillog_figures *f)
{
	struct str by = STR_INIT;
	int64_t messages, all = 0;
	size_t i, k, named = 0;

	for (i = 0; r->service != NULL && i < f->n_services; i++) {
		if (strcmp(f->services[i].name, r->service) == 0)
			continue;
		for (k = 0, messages = 0; k < f->traffic.n; k++)
			messages += text_eq(f->traffic.v[k].service, f->services[i].name) ? f->traffic.v[k].messages : 0;
		all += messages;
		if (messages > 0 && named++ < NAMED)
			str_addf(&by, "%s%s", named > 1 ? ", " : "", clean(f->services[i].name));
	}
	if (all > 0) {
		char *sentence = xasprintf("%s%sNot counted: %lld message%s that came by %s%s.", r->counted ? r->counted : "",
		    r->counted ? "\n" : "", (long long)all, all == 1 ? "" : "s", by.s, named > NAMED ? ", ..." : "");

		free(r->counted);
		r->counted = sentence;
	}
	str_release(&by);
}

/* Those that it is about, most messages first. */
static struct traffic_list
peers_of(struct rehearsing *x, const struct maillog_figures *f)
{
	struct traffic_list l = { NULL, 0 };
	size_t i;

	if (x->inbound)
		traffic_came_by(&f->traffic, x->r.service, &l);
	for (i = 0; !x->inbound && i < f->traffic.n; i++)
		if (strcmp(f->traffic.v[i].direction, "out") == 0) {
			struct traffic *t = traffic_list_add(&l);

			t->peer = xstrdup(f->traffic.v[i].peer);
			t->messages = f->traffic.v[i].messages;
			t->clear = f->traffic.v[i].clear;
			t->waiting = f->traffic.v[i].waiting;
		}
	if (l.n > 1)
		qsort(l.v, l.n, sizeof(*l.v), by_messages);
	return l;
}

static void
take_peers(struct rehearsing *x, const struct maillog_figures *f)
{
	struct rehearsal *r = &x->r;
	struct traffic_list sorted = peers_of(x, f);
	int covered = days_covered(f, r->days);
	size_t i;

	r->at = when_now();
	r->first_at = f->first_at;
	r->cut = f->cut;
	xset(&r->missing, f->missing);
	x->rule.in_tls_at = traffic_tls_since(f, r->service);
	r->tls_seen = x->inbound ? x->rule.in_tls_at != 0 : f->tls_seen;
	say_elsewhere(r, f);
	r->v = xcalloc(sorted.n + 1, sizeof(*r->v));
	for (i = 0; i < sorted.n; i++) {
		const struct traffic *t = &sorted.v[i];
		int64_t messages = t->messages + t->waiting;
		struct rehearsed *p = &r->v[r->n];

		r->messages += messages;
		r->peers++;
		if (strcmp(t->peer, MAILLOG_OTHERS) == 0) {
			r->unseen++;
			r->unseen_messages += messages;
			continue;
		}
		*p = (struct rehearsed){ .peer = xstrdup(t->peer), .messages = messages, .per_week = (messages * 7 + covered - 1) / covered };
		if (x->inbound)
			rehearse_judge_client(&x->rule, t, p);
		else if (r->n >= x->main) {
			rehearse_judge_unseen(&x->rule, t, p);
			r->unseen++;
			r->unseen_messages += messages;
		}
		r->n++;
	}
	traffic_list_release(&sorted);
}

/* --- where to --- */

/* The ways of those peers, as if level were in force, looked at. NULL: as it is. */
static int
ways_of(struct rehearsing *x, const struct server *sv, const size_t *which, size_t n, const char *level, struct mail_way_list *ways,
    struct err *e)
{
	struct way_ask *asks = xcalloc(n + 1, sizeof(*asks));
	char **addresses = xcalloc(n + 1, sizeof(*addresses));
	size_t i;
	int rc;

	for (i = 0; i < n; i++) {
		addresses[i] = xasprintf("anybody@%s", x->r.v[which[i]].peer);
		asks[i] = (struct way_ask){ addresses[i], NULL, true, level };
	}
	rc = ways_find(&x->asked, system_of(sv), asks, n, ways, NULL, e);
	if (rc == 0 && (rc = ways_look(&x->asked, &x->looks, true, ways, sv, e)) == -1)
		mail_way_list_release(ways);
	texts_free(addresses);
	free(asks);
	return rc;
}

/* Which of those that fail pass at this level? They leave the list. */
static int
try_level(struct rehearsing *x, const struct server *sv, size_t *which, size_t *n, const char *level, struct err *e)
{
	struct mail_way_list ways = { NULL, 0 };
	size_t i, left = 0;

	if (*n == 0)
		return 0;
	job_say(x->asked.ctx, "trying %zu of them at \"%s\"", *n, level);
	if (ways_of(x, sv, which, *n, level, &ways, e) == -1)
		return -1;
	for (i = 0; i < *n; i++) {
		const struct way_end *end = rehearse_worst_end(&ways.v[i]);

		if (end != NULL && (end->fate == FATE_TLS || end->fate == FATE_CLEAR))
			x->r.v[which[i]].works = xstrdup(level);
		else
			which[left++] = which[i];
	}
	*n = left;
	mail_way_list_release(&ways);
	return 0;
}

/* What becomes of it as it is now; and what does not get out now either may be only for the moment. */
static int
look_at_now(struct rehearsing *x, const struct server *sv, const size_t *which, size_t n, struct err *e)
{
	struct mail_way_list ways = { NULL, 0 };
	size_t i;

	if (n == 0)
		return 0;
	if (ways_of(x, sv, which, n, NULL, &ways, e) == -1)
		return -1;
	for (i = 0; i < n; i++) {
		const struct way_end *end = rehearse_worst_end(&ways.v[i]);
		struct rehearsed *p = &x->r.v[which[i]];

		p->now = xstrdup(way_fate_name(end != NULL ? end->fate : FATE_UNKNOWN));
		if (end != NULL && end->fate == FATE_WAITS)
			p->confidence = "medium";
	}
	mail_way_list_release(&ways);
	return 0;
}

static int
look_at_destinations(struct rehearsing *x, const struct server *sv, struct err *e)
{
	struct rehearsal *r = &x->r;
	size_t all = r->n < x->main ? r->n : x->main, n = 0, i;
	size_t *which = xcalloc(all + 1, sizeof(*which));
	struct mail_way_list ways = { NULL, 0 };
	int rc = 0;

	for (i = 0; i < all; i++)
		which[i] = i;
	if (all > 0)
		rc = ways_of(x, sv, which, all, r->level, &ways, e);
	for (i = 0; rc == 0 && i < all; i++) {
		rehearse_judge_way(&r->v[i], &ways.v[i], &x->looks);
		if (r->v[i].outcome == REHEARSED_FAILS)
			which[n++] = i;
	}
	mail_way_list_release(&ways);
	if (rc == 0)
		rc = look_at_now(x, sv, which, n, e);
	for (i = x->rule.level + 1; rehearse_levels[i] != NULL && rc == 0; i++)
		rc = try_level(x, sv, which, &n, rehearse_levels[i], e);
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
		rc = traffic_host_log(h, &hj->server, x->r.days, x->log, e);
	for (i = 0; rc == 0 && x->logs[i] != NULL; i++)
		rc = maillog_file(x->log, x->logs[i], e);
	if (rc == -1)
		return -1;
	maillog_figures(x->log, &x->figures);
	take_peers(x, &x->figures);
	x->asked = (struct way_host){ .hj = hj, .h = h, .ctx = ctx };
	return x->inbound ? 0 : look_at_destinations(x, &hj->server, e);
}

static char *
fact_name(int64_t server, const char *service, const char *level)
{
	return xasprintf("rehearsed:%lld:%s%s%s", (long long)server, service ? service : "", service ? ":" : "", level);
}

void
rehearsal_sum(const struct rehearsal *r, int outcome, int64_t *peers, int64_t *messages)
{
	size_t i;

	*peers = *messages = 0;
	for (i = 0; i < r->n; i++)
		if ((int)r->v[i].outcome == outcome) {
			++*peers;
			*messages += r->v[i].messages;
		}
}

/* "AT sentence" of what it came to, for the dialog that asks. */
static void
keep_sentence(struct journey *j, int64_t server, const struct rehearsal *r)
{
	char *fact = fact_name(server, r->service, r->level);
	struct str s = STR_INIT;
	int64_t bad, messages, unsure, ignored, named = 0, per_week = 0;
	size_t i;

	str_addf(&s, "%lld ", (long long)r->at);
	rehearsal_sum(r, REHEARSED_FAILS, &bad, &messages);
	rehearsal_sum(r, REHEARSED_UNSURE, &unsure, &ignored);
	for (i = 0; i < r->n; i++)
		per_week += r->v[i].outcome == REHEARSED_FAILS ? r->v[i].per_week : 0;
	str_addf(&s, "Rehearsed at %s, log of %d days: of %lld %s %lld would fail", r->level, r->days, (long long)r->peers,
	    r->inbound ? "clients" : "destinations", (long long)bad);
	if (bad > 0)
		str_addf(&s, ", %lld message%s a week:", (long long)per_week, per_week == 1 ? "" : "s");
	for (i = 0; i < r->n && named < NAMED; i++)
		if (r->v[i].outcome == REHEARSED_FAILS)
			str_addf(&s, "%s %s (%lld)", named++ ? "," : "", clean(r->v[i].peer), (long long)r->v[i].per_week);
	str_add(&s, bad > NAMED ? ", ..." : "");
	if (unsure > 0)
		str_addf(&s, "; of %lld it is not known", (long long)unsure);
	str_add(&s, ".");
	(void)store_fact_set(j->store, fact, s.s, NULL);
	str_release(&s);
	free(fact);
}

int64_t
rehearsal_sentence(struct journey *j, int64_t server, const char *service, const char *level, struct str *out)
{
	char *fact = fact_name(server, service, level), *text = NULL, ago[16], *rest;
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

bool
rehearsal_fresh(struct journey *j, int64_t server, const char *service, const char *level)
{
	return rehearsal_sentence(j, server, service, level, NULL) > when_now() - REHEARSAL_GOOD;
}

static struct kept_rehearsal *
kept_of(const struct journey *j, int64_t server, const char *service, bool inbound, const char *level)
{
	struct kept_rehearsal *k;

	for (k = j->rehearsals; k != NULL; k = k->next)
		if (k->server == server && k->r.inbound == inbound && text_eq(k->r.service, service) && strcmp(k->r.level, level) == 0)
			return k;
	return NULL;
}

const struct rehearsal *
rehearsal_kept(const struct journey *j, int64_t server, const char *service, bool inbound, const char *level)
{
	const struct kept_rehearsal *k = kept_of(j, server, service, inbound, level);

	return k != NULL ? &k->r : NULL;
}

static void
rehearsal_copy(struct rehearsal *to, const struct rehearsal *from)
{
	size_t i;

	*to = *from;
	to->level = xstrdup(from->level);
	to->listener = xstrdup(from->listener);
	to->service = xstrdup(from->service);
	to->counted = xstrdup(from->counted);
	to->missing = xstrdup(from->missing);
	to->v = xcalloc(from->n + 1, sizeof(*to->v));
	for (i = 0; i < from->n; i++) {
		to->v[i] = from->v[i];
		to->v[i].peer = xstrdup(from->v[i].peer);
		to->v[i].why = xstrdup(from->v[i].why);
		to->v[i].now = xstrdup(from->v[i].now);
		to->v[i].works = xstrdup(from->v[i].works);
		to->v[i].hop = xstrdup(from->v[i].hop);
	}
}

void
rehearsal_keep(struct journey *j, int64_t server, const struct rehearsal *r)
{
	struct kept_rehearsal *k = kept_of(j, server, r->service, r->inbound, r->level);

	if (k == NULL) {
		k = xcalloc(1, sizeof(*k));
		k->server = server;
		k->next = j->rehearsals;
		j->rehearsals = k;
	}
	rehearsal_release(&k->r);
	rehearsal_copy(&k->r, r);
}

void
rehearsals_forget(struct journey *j)
{
	struct kept_rehearsal *k;

	while ((k = j->rehearsals) != NULL) {
		j->rehearsals = k->next;
		rehearsal_release(&k->r);
		free(k);
	}
}

static int
rehearse_finish(struct host_job *hj, int rc, struct err *e)
{
	struct rehearsing *x = hj->data;

	if (rc == 0 && x->logs[0] == NULL) {     /* it is about this host only then */
		keep_sentence(hj->journey, hj->server.id, &x->r);
		rehearsal_keep(hj->journey, hj->server.id, &x->r);
		rc = traffic_keep(hj->journey, hj->server.id, x->r.days, &x->figures, e);
	}
	if (rc == 0 && x->out != NULL) {
		*x->out = x->r;
		memset(&x->r, 0, sizeof(x->r));
	}
	return rc;
}

/* Whose senders: what the log calls the listener, and which others it calls so. */
static int
take_listener(struct journey *j, int64_t server, int64_t vserver, struct rehearsal *r, struct err *e)
{
	struct listener_log log;
	struct str counted = STR_INIT;
	int rc = listener_log(j, server, vserver, &log, e);

	listener_log_sentence(&log, &counted);
	r->listener = xstrdup(log.name);
	r->service = xstrdup(log.service);
	r->counted = counted.len > 0 ? str_take(&counted) : NULL;
	str_release(&counted);
	listener_log_release(&log);
	return rc;
}

int64_t
rehearse(struct journey *j, int64_t server, const struct rehearse_ask *ask, struct rehearsal *out, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct rehearse_rule rule;
	struct host_job *hj;
	struct rehearsing *x;
	size_t i;

	if (rehearse_rule_parse(ask->inbound, ask->level, &rule, e) == -1 || (hj = host_job_new(j, server, done, arg, e)) == NULL)
		return -1;
	x = xcalloc(1, sizeof(*x));
	x->inbound = x->r.inbound = ask->inbound;
	x->rule = rule;
	x->main = ask->main > 0 ? ask->main : REHEARSE_MAIN;
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
	if (ask->inbound && take_listener(j, server, ask->vserver, &x->r, e) == -1) {
		host_job_discard(hj);
		return -1;
	}
	return host_job_start(hj, "rehearse", e);
}
