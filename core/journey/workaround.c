/* The article's work-around: a virtual server that sends without TLS, paired with a connector for just those domains. It knows why it
 * is there, what was seen then and which level held before; it is looked after until that level can hold again. When it may end and
 * when it must come back says retire.h. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define SENDER "notls"           /* the virtual server that only sends, on each host */
#define REVIEW_DAYS 30
#define WAITING_READ 2000        /* messages of the destination, for what they wait for */
#define LOG_EVERY (20 * 3600)    /* how often a log is read to see whether a work-around is used */

/* --- making --- */

int
workaround_helps(const struct destination_view *seen, struct err *e)
{
	const struct failure *f = seen->diagnosis.failure;

	if (f == NULL || text_eq(f->name, "tls-ok")) {
		err_set(e, RC_INVALID, "mail for %s is not held up by TLS: a look at it now is good", clean(seen->diagnosis.destination));
		return err_hint(e, "it needs no work-around; --anyway makes one all the same");
	}
	if (!f->tls) {
		err_set(e, RC_INVALID, "mail for %s waits for something else than TLS: %s", clean(seen->diagnosis.destination), f->title);
		return err_hint(e, "a work-around would not help, only show its mail; --anyway makes one all the same");
	}
	if (seen->diagnosis.side == SIDE_OURS) {
		err_set(e, RC_INVALID, "what holds mail for %s up is on our side: %s", clean(seen->diagnosis.destination), f->title);
		return err_hint(e, "%s (--anyway makes a work-around all the same)", f->advice ? f->advice : "repair it");
	}
	return 0;
}

/* The virtual server that sends without TLS: made, kept, or there already. */
static int
sender_make(struct journey *j, int64_t server, const char *full, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct str said = STR_INIT;
	int64_t id;
	int rc;

	if (store_vserver_by_name(j->store, full, &vs, NULL) == -1)
		rc = vserver_add(j, server, SENDER, "none", "smtp", "none", &id, &said, e);
	else if (!text_eq(vs.kind, "outbound")) {
		err_set(e, RC_EXISTS, "%s is a virtual server of another kind, and work-arounds send by one of that name", full);
		rc = err_hint(e, "give it another name");
	} else if (text_eq(vs.ours, "removed"))
		rc = vserver_run(j, vs.id, "started", &said, e);
	else
		rc = 0;
	vserver_release(&vs);
	str_release(&said);
	return rc;
}

/* The lowest cost wins where an ordinary connector has the domain too; of equals the first of the alphabet. */
static int
connector_make(struct journey *j, const struct workaround *w, struct err *e)
{
	struct connector c = { .id = 0 };
	char **servers = words_split(w->servers, " ", NULL), date[16];
	struct str via = STR_INIT;
	size_t i;
	int rc;

	for (i = 0; servers[i] != NULL; i++)
		str_addf(&via, "%s%s/%s", i > 0 ? " " : "", servers[i], SENDER);
	if (store_connector_by_name(j->store, w->connector, &c, NULL) == -1) {
		c.name = xstrdup(w->connector);
		c.domains = xstrdup(w->domain);
		c.route = xstrdup("dns");
		c.tls = xstrdup("none");
	}
	xset(&c.via, via.s);
	xset(&c.reason, w->reason);
	when_date(date, w->review_at);
	xset(&c.review, w->review_at != 0 ? date : NULL);
	rc = connector_save(j, &c, e);
	connector_release(&c);
	words_free(servers);
	str_release(&via);
	return rc;
}

static bool
has_word(const char *words, const char *word)
{
	char **w = words_split(words ? words : "", " ", NULL);
	bool yes = false;
	size_t i;

	for (i = 0; w[i] != NULL; i++)
		yes = yes || strcmp(w[i], word) == 0;
	words_free(w);
	return yes;
}

/* All that makes it work, wanted. */
static int
open_up(struct journey *j, const struct workaround *w, struct err *e)
{
	char **servers = words_split(w->servers, " ", NULL);
	struct server sv = { .id = 0 };
	size_t i;
	int rc = 0;

	for (i = 0; servers[i] != NULL && rc == 0; i++) {
		char *full = xasprintf("%s/%s", servers[i], SENDER);

		rc = store_server_by_name(j->store, servers[i], &sv, e);
		if (rc == 0)
			rc = sender_make(j, sv.id, full, e);
		server_release(&sv);
		free(full);
	}
	words_free(servers);
	return rc == 0 ? connector_make(j, w, e) : -1;
}

static void
take_evidence(struct workaround *w, const struct destination_view *seen)
{
	const struct probe_report *look = seen->from_host.target != NULL ? &seen->from_host : &seen->from_here;
	struct str text = STR_INIT;

	str_addf(&text, "%s; side %s, sure: %s\n", seen->diagnosis.failure ? seen->diagnosis.failure->title : "not known",
	    failure_side_name(seen->diagnosis.side), seen->diagnosis.confidence ? seen->diagnosis.confidence : "low");
	clean_text(&text, seen->diagnosis.evidence.s, seen->diagnosis.evidence.len, true);
	xset(&w->evidence, text.s);
	xset(&w->level, seen->level);
	if (look->target != NULL)
		xset(&w->target, look->target);
	if (look->n > 0 && look->v[0].port != 25)
		w->port = look->v[0].port;
	str_release(&text);
}

int
workaround_make(struct journey *j, int64_t server, const char *domain, const char *reason, const char *review,
    const struct destination_view *seen, int64_t *id, struct str *said, struct err *e)
{
	struct workaround w = { .id = 0 };
	struct server sv = { .id = 0 };
	struct str name = STR_INIT;
	char date[16];
	int rc = store_server_get(j->store, server, &sv, e), there = 0;

	if (rc == 0)
		rc = name_to_ascii(domain, &name, e);
	if (rc == 0 && (there = store_workaround_of(j->store, name.s, &w, e)) == -1)
		rc = -1;
	if (rc == 0 && there == 1 && text_eq(w.state, "open") && has_word(w.servers, sv.name)) {
		rc = err_set(e, RC_EXISTS, "there is a work-around for %s by %s already", name.s, sv.name);
		err_hint(e, "mxseal workaround shows it; mxseal workaround end %s takes it back", name.s);
	}
	if (rc == -1)
		goto out;
	if (there == 0) {
		w.domain = xstrdup(name.s);
		w.connector = xasprintf("%s-%.50s", SENDER, name.s);
		w.since = when_now();
		w.owner = xstrdup(store_who(j->store));
	}
	if (!has_word(w.servers, sv.name)) {
		char *wider = xasprintf("%s%s%s", w.servers ? w.servers : "", w.servers ? " " : "", sv.name);

		free(w.servers);
		w.servers = wider;
	}
	if (!text_empty(reason))
		xset(&w.reason, reason);
	else if (w.reason == NULL && seen != NULL && seen->diagnosis.failure != NULL)
		w.reason = xstrdup(seen->diagnosis.failure->title);
	if (seen != NULL)
		take_evidence(&w, seen);
	if (text_empty(review))
		w.review_at = w.review_at != 0 ? w.review_at : when_now() + (int64_t)REVIEW_DAYS * 86400;
	else if (when_parse_date(&w.review_at, review, e) == -1) {
		rc = -1;
		goto out;
	}
	xset(&w.state, "open");
	w.changed_at = when_now();
	if ((rc = store_edit_begin(j->store, e)) == -1)
		goto out;
	rc = open_up(j, &w, e);
	if (rc == 0)
		rc = store_workaround_save(j->store, &w, e);
	if (rc == 0)
		rc = note_activity(j, sv.name, "workaround", 0, e, name.s);
	rc = store_edit_end(j->store, rc, e, "%s: mail for %s without TLS", sv.name, name.s);
	if (rc == 0) {
		*id = w.id;
		when_date(date, w.review_at);
		str_addf(said, "Mail for %s will leave %s without TLS, until %s can do it again; to be looked at on %s. A push carries it there.\n",
		    name.s, sv.name, name.s, date);
	}
out:
	workaround_release(&w);
	server_release(&sv);
	str_release(&name);
	return rc;
}

/* --- taking back --- */

/* The virtual server goes when no connector is sent by it any more. */
static int
sender_drop(struct journey *j, const char *server, struct err *e)
{
	struct connector_list l = { NULL, 0 };
	struct vserver vs = { .id = 0 };
	struct str said = STR_INIT;
	char *full = xasprintf("%s/%s", server, SENDER);
	bool used = false;
	size_t i;
	int rc = store_connectors(j->store, &l, e);

	for (i = 0; i < l.n; i++)
		used = used || has_word(l.v[i].via, full);
	if (rc == 0 && !used && store_vserver_by_name(j->store, full, &vs, NULL) == 0 && text_eq(vs.kind, "outbound") &&
	    !text_eq(vs.ours, "removed"))
		rc = vserver_remove(j, vs.id, &said, e);
	connector_list_release(&l);
	vserver_release(&vs);
	str_release(&said);
	free(full);
	return rc;
}

static int
shut(struct journey *j, const struct workaround *w, struct err *e)
{
	char **servers = words_split(w->servers, " ", NULL);
	struct connector c = { .id = 0 };
	size_t i;
	int rc = 0;

	if (store_connector_by_name(j->store, w->connector, &c, NULL) == 0)
		rc = connector_remove(j, c.id, e);
	for (i = 0; servers[i] != NULL && rc == 0; i++)
		rc = sender_drop(j, servers[i], e);
	connector_release(&c);
	words_free(servers);
	return rc;
}

int
workaround_end(struct journey *j, int64_t id, bool by_itself, struct str *said, struct err *e)
{
	struct workaround w = { .id = 0 };
	char *text = NULL;
	int rc = store_workaround_get(j->store, id, &w, e);

	if (rc == 0 && !text_eq(w.state, "open"))
		rc = err_set(e, RC_INVALID, "the work-around for %s was ended already", w.domain);
	if (rc == -1 || (rc = store_edit_begin(j->store, e)) == -1)
		goto out;
	rc = shut(j, &w, e);
	xset(&w.state, "proving");
	w.changed_at = when_now();
	w.stuck = 0;
	w.proved = false;
	if (rc == 0)
		rc = store_workaround_save(j->store, &w, e);
	text = xasprintf("%s ended%s: %s holds again", w.domain, by_itself ? " by itself, after good looks from all senders" : "",
	    w.level ? w.level : "what held before");
	if (rc == 0)
		rc = note_activity(j, w.servers, "workaround", 0, e, text);
	rc = store_edit_end(j->store, rc, e, "work-around for %s", text);
	if (rc == 0)
		str_addf(said, "The work-around for %s ends: %s holds for it again. A push carries that to %s; its first mail is watched.\n",
		    w.domain, w.level ? w.level : "what held before", w.servers);
out:
	free(text);
	workaround_release(&w);
	return rc;
}

int
workaround_come_back(struct journey *j, int64_t id, struct str *said, struct err *e)
{
	struct workaround w = { .id = 0 };
	int rc = store_workaround_get(j->store, id, &w, e);
	char *text = NULL;

	if (rc == -1 || (rc = store_edit_begin(j->store, e)) == -1)
		goto out;
	rc = open_up(j, &w, e);
	xset(&w.state, "open");
	w.changed_at = when_now();
	w.falls++;
	w.stuck = 0;
	w.proved = false;
	if (rc == 0)
		rc = store_workaround_save(j->store, &w, e);
	text = xasprintf("%s came back: its mail does not leave with TLS", w.domain);
	if (rc == 0)
		rc = note_activity(j, w.servers, "workaround", 0, e, text);
	rc = store_edit_end(j->store, rc, e, "work-around for %s", text);
	if (rc == 0)
		str_addf(said, "The work-around for %s comes back: mail for it does not leave with TLS. A push carries that to %s.\n", w.domain,
		    w.servers);
out:
	free(text);
	workaround_release(&w);
	return rc;
}

int
workaround_done(struct journey *j, int64_t id, struct err *e)
{
	struct workaround w = { .id = 0 };
	int rc = store_workaround_get(j->store, id, &w, e);
	char *text;

	if (rc == -1)
		return -1;
	xset(&w.state, "ended");
	text = xasprintf("%s is over: %s", w.domain, w.proved ? "mail left with TLS" : "no mail came in two weeks, and the looks were good");
	rc = store_workaround_save(j->store, &w, e);
	if (rc == 0)
		rc = note_activity(j, w.servers, "workaround", 0, e, text);
	free(text);
	workaround_release(&w);
	return rc;
}

/* --- what is known --- */

void
retire_view_release(struct retire_view *v)
{
	workaround_look_list_release(&v->looks);
}

int
workaround_facts(struct journey *j, const struct workaround *w, struct retire_view *out, struct err *e)
{
	char **servers = words_split(w->servers, " ", NULL);
	struct server sv = { .id = 0 };
	size_t i, k;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = store_workaround_looks(j->store, w->id, &out->looks, e);
	out->r = (struct retire){ .state = text_eq(w->state, "open") ? RETIRE_OPEN : text_eq(w->state, "proving") ? RETIRE_PROVING : RETIRE_ENDED,
	    .since = w->since, .changed_at = w->changed_at, .review_at = w->review_at, .falls = w->falls, .used_at = w->used_at,
	    .log_at = w->log_at, .stuck = w->stuck, .proved = w->proved, .v = out->v };
	for (i = 0; servers[i] != NULL && rc == 0 && i < sizeof(out->v) / sizeof(out->v[0]); i++, out->r.n++) {
		if (store_server_by_name(j->store, servers[i], &sv, NULL) == -1)
			continue;                        /* a server that nobody knows any more never looks good */
		for (k = 0; k < out->looks.n; k++)
			if (out->looks.v[k].server == sv.id)
				out->v[i] = (struct retire_sender){ out->looks.v[k].last_at, out->looks.v[k].good_since, out->looks.v[k].good };
		server_release(&sv);
	}
	words_free(servers);
	return rc;
}

/* --- looking --- */

void
workaround_seen_release(struct workaround_seen *s)
{
	free(s->text);
	memset(s, 0, sizeof(*s));
}

struct looking { struct workaround w; struct workaround_seen seen, *out; };

static void
looking_free(void *data)
{
	struct looking *l = data;

	workaround_release(&l->w);
	workaround_seen_release(&l->seen);
	free(l);
}

/* Does this endpoint take mail at that level? */
static bool
endpoint_meets(const struct probe_host *p, const char *level)
{
	if (p->trouble != NULL && !p->tls && !p->starttls)
		return text_eq(level, "none") || text_eq(level, "may") ? text_eq(p->class_name, "tls-not-offered") : false;
	if (!p->tls)
		return false;
	if (text_eq(level, "verify") || text_eq(level, "secure") || text_starts(level, "dane"))
		return p->trusted && p->name_ok && p->in_time && text_eq(p->class_name, "tls-ok");
	return true;
}

/* Would mail at that level be delivered now? Every address counts: which one is taken is not ours to choose. */
static bool
all_meet(const struct probe_report *r, const char *level)
{
	size_t i, good = 0;

	for (i = 0; r != NULL && i < r->n; i++)
		good += endpoint_meets(&r->v[i], level);
	return r != NULL && r->n > 0 && good == r->n;
}

static int
look_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct looking *l = hj->data;
	const char *level = text_empty(l->w.level) || text_eq(l->w.level, "none") || text_eq(l->w.level, "may") ? "encrypt" : l->w.level;
	struct probe_options o = { .timeout_ms = 0 };
	struct probe_report report = { .target = NULL };
	struct queue_view q = { .taken_at = 0 };
	size_t i;
	int rc;

	job_say(ctx, "looking at %s from %s", clean(l->w.domain), hj->server.name);
	rc = probe_from_host(h, &hj->server, l->w.target ? l->w.target : l->w.domain, l->w.port, true, &o, ctx, &report, e);
	if (rc == 0) {
		l->seen.good = all_meet(&report, level);
		l->seen.text = xstrdup(report.verdict ? report.verdict : "nothing was seen");
	} else if (e->code == RC_NOTFOUND) {
		l->seen.text = xstrdup(e->text);
		rc = 0;
	}
	if (rc == 0)
		rc = poll_queue(hj, h, QUEUE_BY_DESTINATION, l->w.domain, WAITING_READ, &q, e);
	for (i = 0; rc == 0 && i < q.taken.n; i++) {
		l->seen.waiting++;
		l->seen.stuck += q.taken.v[i].failure != NULL && q.taken.v[i].failure->tls;
	}
	queue_view_release(&q);
	probe_report_release(&report);
	return rc;
}

/* What is stored of a look; the senders' numbers of waiting mail are told one after the other, so the last bad one stays. */
static int
look_store(struct store *st, void *arg, struct err *e)
{
	const struct host_job *hj = arg;
	const struct looking *l = hj->data;
	struct workaround w = { .id = 0 };
	struct workaround_look_list looks = { NULL, 0 };
	struct workaround_look mine = { .server = hj->server.id };
	struct retire_sender s = { 0, 0, 0 };
	size_t i;
	int rc = store_workaround_get(st, l->w.id, &w, e);

	if (rc == 0)
		rc = store_workaround_looks(st, l->w.id, &looks, e);
	for (i = 0; i < looks.n; i++)
		if (looks.v[i].server == mine.server)
			s = (struct retire_sender){ looks.v[i].last_at, looks.v[i].good_since, looks.v[i].good };
	retire_looked(&s, l->seen.good, when_now());
	mine.last_at = s.last_at;
	mine.good_since = s.good_since;
	mine.good = s.good;
	mine.text = l->seen.text;
	if (rc == 0)
		rc = store_workaround_look_set(st, l->w.id, &mine, e);
	if (rc == 0 && text_eq(w.state, "proving") && l->seen.stuck > w.stuck) {
		w.stuck = l->seen.stuck;
		rc = store_workaround_save(st, &w, e);
	}
	workaround_look_list_release(&looks);
	workaround_release(&w);
	return rc;
}

static int
look_finish(struct host_job *hj, int rc, struct err *e)
{
	struct looking *l = hj->data;

	if (rc == 0)
		rc = store_tx(hj->journey->store, look_store, hj, e);
	if (rc == 0 && l->out != NULL) {
		*l->out = l->seen;
		memset(&l->seen, 0, sizeof(l->seen));
	}
	return rc;
}

int64_t
workaround_look_now(struct journey *j, int64_t id, int64_t server, struct workaround_seen *out, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct host_job *hj = host_job_new(j, server, done, arg, e);
	struct looking *l;

	if (hj == NULL)
		return -1;
	l = xcalloc(1, sizeof(*l));
	hj->data = l;
	hj->free_data = looking_free;
	if (store_workaround_get(j->store, id, &l->w, e) == -1) {
		host_job_discard(hj);
		return -1;
	}
	l->out = out;
	hj->work = look_work;
	hj->finish = look_finish;
	return host_job_start(hj, "look at a work-around", e);
}

/* --- the log's figures --- */

bool
workaround_wants_log(const struct workaround *w, int64_t now)
{
	return text_eq(w->state, "proving") || (text_eq(w->state, "open") && now - w->log_at > LOG_EVERY);
}

/* The last delivery to it from any of its servers, by the hosts' clocks; 0: none seen. */
static int64_t
last_mail(struct journey *j, const struct workaround *w)
{
	char **servers = words_split(w->servers, " ", NULL);
	struct server sv = { .id = 0 };
	struct traffic_list t;
	int64_t last = 0;
	size_t i, k;

	for (i = 0; servers[i] != NULL; i++) {
		if (store_server_by_name(j->store, servers[i], &sv, NULL) == -1)
			continue;
		t = (struct traffic_list){ NULL, 0 };
		if (store_traffic(j->store, sv.id, "out", &t, NULL) == 0)
			for (k = 0; k < t.n; k++)
				if (text_ieq(t.v[k].peer, w->domain) && t.v[k].last_at > last)
					last = t.v[k].last_at;
		traffic_list_release(&t);
		server_release(&sv);
	}
	words_free(servers);
	return last;
}

int
workaround_log_read(struct journey *j, int64_t id, struct err *e)
{
	struct workaround w = { .id = 0 };
	int rc = store_workaround_get(j->store, id, &w, e);
	int64_t last;

	if (rc == -1)
		return -1;
	last = last_mail(j, &w);
	if (text_eq(w.state, "open")) {
		if (last > w.used_at)
			w.used_at = last;
		w.mail_at = last;
	} else if (text_eq(w.state, "proving") && last > w.mail_at && w.stuck == 0)
		w.proved = true;                     /* at the level that held before no mail leaves without TLS */
	w.log_at = when_now();
	rc = store_workaround_save(j->store, &w, e);
	workaround_release(&w);
	return rc;
}
