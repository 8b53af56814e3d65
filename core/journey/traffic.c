/* What would be shut out: figures from the host's own mail log for everything that requires more of peers than now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/maillog.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define PEERS_NAMED 3        /* so many are named in a sentence */

struct reading_log { int days; struct maillog *log; struct maillog_figures figures; };

static void
reading_log_free(void *data)
{
	struct reading_log *r = data;

	maillog_free(r->log);
	maillog_figures_release(&r->figures);
	free(r);
}

struct hearing { struct maillog *log; struct err *e; bool bad; };

static int
feed(const char *mem, size_t len, void *arg)
{
	struct hearing *x = arg;

	x->bad = maillog_host(x->log, mem, len, x->e) == -1;
	return x->bad ? -1 : 0;
}

int
traffic_host_log(struct host *h, const struct server *sv, int days, struct maillog *log, struct err *e)
{
	const struct mailsys *m = mailsys_find(sv->mailsys ? sv->mailsys : "postfix");
	struct command_list commands = { NULL, 0 };
	struct err why = { .code = RC_OK };
	struct hearing x = { log, &why, false };
	int status = 0, rc;

	if (m == NULL || m->traffic == NULL)
		return err_set(e, RC_NOMAIL, "%s has no mail log that mxseal can read", sv->name);
	m->traffic(days, &commands);
	rc = host_stream(h, (const char *const *)commands.v[0].argv, feed, &x, &status, e);
	command_list_release(&commands);
	if (rc == -1 && x.bad)
		*e = why;
	if (rc == 0 && status != 0) {
		rc = err_set(e, RC_REMOTE, "the mail log of %s could not be read (status %d)", sv->name, status);
		err_hint(e, "is there a shell and a log, and may this user read it?");
	}
	return rc == 0 ? maillog_host_end(log, e) : rc;
}

static int
read_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct reading_log *r = hj->data;

	job_say(ctx, "reading the mail log");
	if (traffic_host_log(h, &hj->server, r->days, r->log, e) == -1)
		return -1;                       /* the former figures stay */
	maillog_figures(r->log, &r->figures);
	return 0;
}

static char *
fact_name(int64_t server)
{
	return xasprintf("traffic:%lld", (long long)server);
}

struct keeping { int64_t server; int days; const struct maillog_figures *figures; };

static void
taken_from(const struct maillog_figures *f, int days, struct traffic_taken *out)
{
	*out = (struct traffic_taken){ .at = when_now(), .first_at = f->first_at, .days = days, .cut = f->cut, .tls_seen = f->tls_seen,
	    .bytes = f->bytes, .sent = f->sent, .deferred = f->deferred, .bounced = f->bounced };
	snprintf(out->missing, sizeof(out->missing), "%s", f->missing != NULL ? f->missing : "");
}

/* The figures, and beside them when and of what. */
static int
store_body(struct store *st, void *arg, struct err *e)
{
	const struct keeping *k = arg;
	char *fact = fact_name(k->server);
	struct traffic_taken t;
	char *text;
	int rc = store_traffic_set(st, k->server, &k->figures->traffic, e);

	taken_from(k->figures, k->days, &t);
	text = xasprintf("%lld %d %lld %d %d %lld %lld %lld %lld\n%s", (long long)t.at, t.days, (long long)t.first_at, t.cut, t.tls_seen,
	    (long long)t.bytes, (long long)t.sent, (long long)t.deferred, (long long)t.bounced, t.missing);
	if (rc == 0)
		rc = store_fact_set(st, fact, text, e);
	free(fact);
	free(text);
	return rc;
}

int
traffic_keep(struct journey *j, int64_t server, int days, const struct maillog_figures *figures, struct err *e)
{
	struct keeping k = { server, days, figures };

	return store_tx(j->store, store_body, &k, e);
}

static int
read_finish(struct host_job *hj, int rc, struct err *e)
{
	struct reading_log *r = hj->data;

	return rc == 0 ? traffic_keep(hj->journey, hj->server.id, r->days, &r->figures, e) : rc;
}

int64_t
traffic_read(struct journey *j, int64_t server, int days, journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, server, done, arg, e);
	struct reading_log *r;

	if (hj == NULL)
		return -1;
	r = xcalloc(1, sizeof(*r));
	r->days = days;
	r->log = maillog_new(when_now(), days);
	hj->data = r;
	hj->free_data = reading_log_free;
	hj->work = read_work;
	hj->finish = read_finish;
	return host_job_start(hj, "read the mail log", e);
}

bool
traffic_taken(struct journey *j, int64_t server, struct traffic_taken *out)
{
	char *fact = fact_name(server), *text = NULL;
	long long at = 0, first = 0, bytes = 0, sent = 0, deferred = 0, bounced = 0;
	const char *missing;
	int cut = 0, tls = 0;
	bool known;

	memset(out, 0, sizeof(*out));
	known = store_fact_get(j->store, fact, &text, NULL) == 0 && text != NULL && sscanf(text, "%lld %d %lld %d %d %lld %lld %lld %lld", &at,
	    &out->days, &first, &cut, &tls, &bytes, &sent, &deferred, &bounced) >= 5;
	out->at = at;
	out->first_at = first;
	out->cut = cut != 0;
	out->tls_seen = tls != 0;
	out->bytes = bytes;
	out->sent = sent;
	out->deferred = deferred;
	out->bounced = bounced;
	if (known && (missing = strchr(text, '\n')) != NULL)
		snprintf(out->missing, sizeof(out->missing), "%s", missing + 1);
	free(fact);
	free(text);
	return known;
}

int
traffic_files(const char *const *logs, size_t n, int days, struct traffic_list *peers, struct traffic_taken *taken, struct err *e)
{
	struct maillog *m = maillog_new(when_now(), days);
	struct maillog_figures f;
	int rc = 0;
	size_t i;

	for (i = 0; i < n && rc == 0; i++)
		rc = maillog_file(m, logs[i], e);
	if (rc == 0) {
		maillog_figures(m, &f);
		taken_from(&f, days, taken);
		*peers = f.traffic;
		f.traffic = (struct traffic_list){ NULL, 0 };
		maillog_figures_release(&f);
	}
	maillog_free(m);
	return rc;
}

/* --- what it means for a value --- */

struct sum { int64_t messages, peers, bad, bad_peers; struct str names; };

/* Older than "tls1.2" asks for? oldest "TLSv1.1". */
static bool
too_old(const char *oldest, const char *value)
{
	static const char *const ours[] = { "tls1.0", "tls1.1", "tls1.2", "tls1.3", NULL };
	static const char *const theirs[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL };
	int want, have;

	if (oldest == NULL)
		return false;
	for (want = 0; ours[want] && strcmp(ours[want], value) != 0; want++)
		;
	for (have = 0; theirs[have] && strcmp(theirs[have], oldest) != 0; have++)
		;
	return theirs[have] == NULL ? text_starts(oldest, "SSL") : have < want;
}

static void
add_up(const struct traffic_list *l, const char *protocol, struct sum *s)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct traffic *t = &l->v[i];
		/* of a peer that was seen below the floor, it is not known how many of its messages were */
		int64_t bad = protocol == NULL ? t->clear : too_old(t->oldest, protocol) ? t->messages - t->clear : 0;

		if (t->messages == 0)            /* nothing got there, or came */
			continue;
		s->messages += t->messages;
		s->peers++;
		if (bad == 0)
			continue;
		s->bad += bad;
		if (s->bad_peers++ < PEERS_NAMED)
			str_addf(&s->names, "%s%s (%lld)", s->names.len ? ", " : "", clean(t->peer), (long long)bad);
	}
}

static void
say_sum(const struct sum *s, const struct traffic_taken *t, bool in, const char *protocol, struct str *out)
{
	char ago[16];
	const char *what = in ? "message" : "delivery", *many = in ? "messages" : "deliveries";

	when_ago(ago, when_now() - t->at);
	str_addf(out, "Of the last %d days' %lld %s %s %lld %s%s, ", t->days, (long long)s->messages, s->messages == 1 ? what : many,
	    in ? "from" : "to", (long long)s->peers, in ? "client" : "domain", s->peers == 1 ? "" : "s");
	if (s->bad == 0)
		str_addf(out, "none %s", protocol ? "used an older protocol" : in ? "came without TLS" : "left without TLS");
	else
		str_addf(out, "%lld %s %lld of them %s: %s%s", (long long)s->bad, in ? "from" : "to", (long long)s->bad_peers,
		    protocol ? "may have used an older protocol" : in ? "came without TLS" : "left without TLS", s->names.s,
		    s->bad_peers > PEERS_NAMED ? ", ..." : "");
	str_addf(out, " (log read %s ago%s).", ago, t->cut ? ", not all of it" : "");
}

void
traffic_sentence(struct journey *j, const struct server *sv, const char *service, const char *setting, const char *value, struct str *out)
{
	bool in = text_starts(setting, "inbound.");
	const char *protocol = strcmp(setting, "inbound.protocol-min") == 0 ? value : NULL;
	struct traffic_list all = { NULL, 0 }, l = { NULL, 0 };
	struct traffic_taken t;
	struct sum s = { .names = STR_INIT };

	if (strcmp(setting, "inbound.client-cert") != 0 && rehearsal_fresh(j, sv->id, in ? service : NULL, value)) {
		rehearsal_sentence(j, sv->id, in ? service : NULL, value, out);       /* that says more: what would fail, not what left without TLS */
		return;
	}
	if (!traffic_taken(j, sv->id, &t)) {
		str_addf(out, "There are no figures yet on who would be shut out: mxseal traffic %s reads the host's mail log.", sv->name);
		return;
	}
	if (strcmp(setting, "inbound.client-cert") == 0) {
		str_add(out, "The log does not say which clients have a certificate: most mail hosts have none.");
		return;
	}
	if (store_traffic(j->store, sv->id, in ? "in" : "out", in ? &all : &l, NULL) == 0 && in)
		traffic_came_by(&all, service, &l);
	add_up(&l, protocol, &s);
	if (s.messages == 0)
		str_addf(out, "The log of the last %d days has no %s: it does not tell who would be shut out.", t.days,
		    in ? "message from another host" : "delivery to another host");
	else
		say_sum(&s, &t, in, protocol, out);
	if (s.messages > 0 && !t.tls_seen)
		str_add(out, " No line of it tells of TLS: either nobody used it, or it was not offered, or it was not logged (log.tls); who could "
		    "do TLS is then not known.");
	str_release(&s.names);
	traffic_list_release(&all);
	traffic_list_release(&l);
}
