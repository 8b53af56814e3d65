/* What is seen of a work-around: looks at its destination from each host that sends for it, and what those hosts' own logs say of its
 * mail. Both are kept in the store, where retire.h finds them. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/maillog.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define WAITING_READ 2000        /* messages of the destination, for what they wait for */
#define USED_EVERY (20 * 3600)   /* how often a log is read to see whether one is used */
#define USED_BYTES (1024u * 1024 * 1024)     /* ... of it; the host looks, and answers with a few lines */
#define PROOF_EVERY 3600         /* how often it is read for what mail left with */
#define CLOCK_BYTES 1            /* of a log that is not read: only its host's clock is wanted */

/* --- what is known --- */

void
retire_view_release(struct retire_view *v)
{
	workaround_look_list_release(&v->looks);
}

static struct workaround_look *
look_of(struct workaround_look_list *l, int64_t server)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].server == server)
			return &l->v[i];
	return NULL;
}

/* at: which of r.v is the server's; may be NULL. */
static int
facts(struct store *st, const struct workaround *w, int64_t server, struct retire_view *out, size_t *at, struct err *e)
{
	char **servers = words_split(w->servers, " ", NULL);
	struct server sv = { .id = 0 };
	size_t i, most = sizeof(out->v) / sizeof(out->v[0]);
	int rc;

	memset(out, 0, sizeof(*out));
	rc = store_workaround_looks(st, w->id, &out->looks, e);
	out->r = (struct retire){ .state = retire_state_of(w->state), .since = w->since, .changed_at = w->changed_at, .review_at = w->review_at,
	    .falls = w->falls, .used_at = w->used_at, .log_at = w->log_at, .proved = w->proof != NULL && w->in_clear == NULL,
	    .in_clear = w->in_clear != NULL, .v = out->v };
	for (i = 0; servers[i] != NULL && rc == 0 && i < most; i++, out->r.n++) {
		const struct workaround_look *l;

		if (store_server_by_name(st, servers[i], &sv, NULL) == -1)
			continue;                        /* a server that nobody knows any more never looks good */
		if ((l = look_of(&out->looks, sv.id)) != NULL)
			out->v[i] = (struct retire_sender){ l->last_at, l->good_since, l->good, l->bad, l->stuck };
		if (at != NULL && sv.id == server)
			*at = i;
		server_release(&sv);
	}
	words_free(servers);
	return rc;
}

int
workaround_facts(struct journey *j, const struct workaround *w, struct retire_view *out, struct err *e)
{
	char **names = words_split(w->servers, " ", NULL);
	struct server sv = { .id = 0 };
	int rc = facts(j->store, w, 0, out, NULL, e);
	size_t i;

	for (i = 0; rc == 0 && names[i] != NULL && !out->r.unpushed; i++)
		if (store_server_by_name(j->store, names[i], &sv, NULL) == 0) {
			out->r.unpushed = push_waits(j, &sv, w->changed_at);
			server_release(&sv);
		}
	words_free(names);
	return rc;
}

/* --- looking --- */

struct looking {
	struct workaround w;
	unsigned log_bytes;
	enum retire_saw saw;
	int64_t waiting, stuck;
	char *text;
	struct attempts_seen log;
};

static void
looking_free(void *data)
{
	struct looking *l = data;

	workaround_release(&l->w);
	attempts_seen_release(&l->log);
	free(l->text);
	free(l);
}

static const char *
level_of(const struct workaround *w)
{
	return text_empty(w->level) || text_eq(w->level, "none") || text_eq(w->level, "may") ? "encrypt" : w->level;
}

/* Which server is taken is not ours to choose: good is what each of them is. Bad is only what TLS stops. */
static enum retire_saw
judge(const struct probe_report *r, const char *level)
{
	if (probe_meets(r, level, true))
		return RETIRE_GOOD;
	return !probe_meets(r, level, false) && probe_meets(r, "none", false) ? RETIRE_BAD : RETIRE_UNCLEAR;
}

static int
look_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct looking *l = hj->data;
	struct probe_options o = { .timeout_ms = 0 };
	struct probe_report report = { .target = NULL };
	struct queue_view q = { .taken_at = 0 };
	size_t i;
	int rc;

	job_say(ctx, "looking at %s from %s", clean(l->w.domain), hj->server.name);
	l->saw = RETIRE_UNCLEAR;
	rc = probe_from_host(h, &hj->server, l->w.target ? l->w.target : l->w.domain, l->w.port, true, &o, ctx, &report, e);
	if (rc == 0) {
		l->saw = judge(&report, level_of(&l->w));
		l->text = xstrdup(report.verdict ? report.verdict : "nothing was seen");
	} else if (e->code == RC_NOTFOUND) {
		l->text = xstrdup(e->text);
		rc = 0;
	}
	if (rc == 0)
		rc = poll_queue(hj, h, QUEUE_BY_DESTINATION, l->w.domain, WAITING_READ, &q, e);
	for (i = 0; rc == 0 && i < q.taken.n; i++) {
		l->waiting++;
		l->stuck += q.taken.v[i].failure != NULL && q.taken.v[i].failure->tls;
	}
	queue_view_release(&q);
	probe_report_release(&report);
	return rc;
}

/* The record and the looks as they are now, with sender `at` of the view being this job's server. */
static int
again(struct store *st, const struct host_job *hj, struct workaround *w, struct retire_view *v, size_t *at, struct err *e)
{
	const struct looking *l = hj->data;

	*at = SIZE_MAX;
	if (store_workaround_get(st, l->w.id, w, e) == -1 || facts(st, w, hj->server.id, v, at, e) == -1)
		return -1;
	return *at < SIZE_MAX ? 0 : err_set(e, RC_NOTFOUND, "%s does not send for %s any more", hj->server.name, w->domain);
}

/* The sender, and what its looks did to the whole. */
static int
keep_look(struct store *st, const struct host_job *hj, struct workaround *w, const struct retire_view *v, size_t at,
    struct workaround_look *mine, struct err *e)
{
	const struct retire_sender *s = &v->r.v[at];

	mine->server = hj->server.id;
	mine->last_at = s->last_at;
	mine->good_since = s->good_since;
	mine->good = s->good;
	mine->bad = s->bad;
	mine->stuck = s->stuck;
	w->falls = v->r.falls;
	return store_workaround_look_set(st, w->id, mine, e) == 0 ? store_workaround_save(st, w, e) : -1;
}

static int
look_store(struct store *st, void *arg, struct err *e)
{
	const struct host_job *hj = arg;
	struct looking *l = hj->data;
	struct workaround w = { .id = 0 };
	struct workaround_look mine = { .server = 0 };
	struct retire_view v = { .looks = { NULL, 0 } };
	size_t at;
	int rc = again(st, hj, &w, &v, &at, e);

	if (rc == 0) {
		struct workaround_look *was = look_of(&v.looks, hj->server.id);

		mine.text = l->text;
		mine.mark_at = was != NULL ? was->mark_at : 0;
		retire_look(&v.r, at, l->saw, l->stuck, when_now());
		if (l->waiting > 0)
			w.used_at = when_now();
		rc = keep_look(st, hj, &w, &v, at, &mine, e);
	}
	retire_view_release(&v);
	workaround_release(&w);
	return rc;
}

static int
look_finish(struct host_job *hj, int rc, struct err *e)
{
	return rc == 0 ? store_tx(hj->journey->store, look_store, hj, e) : rc;
}

static int64_t
start(struct journey *j, int64_t id, int64_t server, const struct looking *how, const char *what,
    int (*work)(struct host_job *, struct host *, struct job_ctx *, struct err *), int (*finish)(struct host_job *, int, struct err *),
    journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, server, done, arg, e);
	struct looking *l;

	if (hj == NULL)
		return -1;
	l = xcalloc(1, sizeof(*l));
	*l = *how;
	hj->data = l;
	hj->free_data = looking_free;
	if (store_workaround_get(j->store, id, &l->w, e) == -1) {
		host_job_discard(hj);
		return -1;
	}
	hj->work = work;
	hj->finish = finish;
	return host_job_start(hj, what, e);
}

int64_t
workaround_look_now(struct journey *j, int64_t id, int64_t server, journey_done_fn *done, void *arg, struct err *e)
{
	return start(j, id, server, &(struct looking){ .log_bytes = 0 }, "look at a work-around", look_work, look_finish, done, arg, e);
}

/* --- the hosts' own logs --- */

static int
log_feed(const char *mem, size_t len, void *arg)
{
	attempts_feed(arg, mem, len);
	return 0;
}

/* A host without a log is no error, only no proof. */
static int
log_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct looking *l = hj->data;
	const struct mailsys *m = system_of(&hj->server);
	struct command_list commands = { NULL, 0 };
	struct attempts *a;
	int status = 0, rc;

	if (m == NULL || m->attempts == NULL)
		return 0;
	job_say(ctx, "reading the mail log");
	m->attempts(l->w.domain, l->log_bytes, &commands);
	a = attempts_new(l->w.domain, when_now());
	rc = host_stream(h, (const char *const *)commands.v[0].argv, log_feed, a, &status, e);
	if (rc == 0)
		attempts_end(a, &l->log);
	attempts_free(a);
	command_list_release(&commands);
	return rc;
}

/* Can mail not leave without TLS at this level? "dane" is "may" where nothing is published. */
static bool
demands_tls(const char *level)
{
	return text_eq(level, "encrypt") || text_eq(level, "verify") || text_eq(level, "secure") || text_eq(level, "fingerprint") ||
	    text_eq(level, "dane-only");
}

/* What one delivery after the change says. In the clear on trial: as a bad look, since the other side took it so; afterwards: another
 * rule than ours decides. */
static void
one_delivery(const struct host_job *hj, const struct delivery *d, struct workaround *w, struct retire_view *v, size_t at,
    struct workaround_look *mine)
{
	const struct looking *l = hj->data;
	char stamp[32];

	when_rfc3339(stamp, d->at);
	if (d->tls != NULL || !l->log.tls_logged) {
		free(w->proof);
		if (d->tls != NULL)
			w->proof = xasprintf("left %s with TLS: %s, to %s at %s", hj->server.name, clean(d->tls), clean(d->relay), stamp);
		else if (v->r.state == RETIRE_PROVING && demands_tls(w->level))
			w->proof = xasprintf("left %s at %s, to %s at %s; its log does not tell of TLS (log.tls)", hj->server.name, w->level,
			    clean(d->relay), stamp);
		else
			w->proof = NULL;
		return;
	}
	if (v->r.state == RETIRE_PROVING && !demands_tls(w->level))
		return;
	free(w->in_clear);
	w->in_clear = xasprintf("left %s without TLS, to %s at %s", hj->server.name, clean(d->relay), stamp);
	if (v->r.state == RETIRE_TRIAL) {
		retire_look(&v->r, at, RETIRE_BAD, v->r.v[at].stuck, when_now());
		xset(&mine->text, w->in_clear);
	}
	mine->mark_at = d->at;
}

static void
take_log(const struct host_job *hj, struct workaround *w, struct retire_view *v, size_t at, struct workaround_look *mine)
{
	const struct looking *l = hj->data;
	const struct attempts_seen *seen = &l->log;
	int64_t used;
	size_t i;

	w->log_at = when_now();
	if (seen->clock == 0)
		return;
	for (i = 0; i < seen->n_sent; i++) {
		used = when_now() - (seen->clock > seen->sent[i].at ? seen->clock - seen->sent[i].at : 0);
		w->used_at = used > w->used_at ? used : w->used_at;
		/* stamps are of whole seconds: in that of the mark, what left without TLS may have left before the change */
		if (mine->mark_at != 0 && seen->sent[i].at >= mine->mark_at + (seen->sent[i].tls == NULL) && v->r.state != RETIRE_OPEN)
			one_delivery(hj, &seen->sent[i], w, v, at, mine);
	}
	if (mine->mark_at == 0)
		mine->mark_at = seen->clock;
}

static int
log_store(struct store *st, void *arg, struct err *e)
{
	const struct host_job *hj = arg;
	struct looking *l = hj->data;
	struct workaround w = { .id = 0 };
	struct workaround_look mine = { .server = 0 };
	struct retire_view v = { .looks = { NULL, 0 } };
	size_t at;
	int rc = again(st, hj, &w, &v, &at, e);

	if (rc == 0) {
		struct workaround_look *was = look_of(&v.looks, hj->server.id);

		if (was != NULL) {
			mine.text = was->text;
			was->text = NULL;
			mine.mark_at = was->mark_at;
		}
		if (l->log_bytes == CLOCK_BYTES)
			mine.mark_at = l->log.clock;
		else
			take_log(hj, &w, &v, at, &mine);
		rc = keep_look(st, hj, &w, &v, at, &mine, e);
	}
	workaround_look_release(&mine);
	retire_view_release(&v);
	workaround_release(&w);
	return rc;
}

static int
log_finish(struct host_job *hj, int rc, struct err *e)
{
	return rc == 0 ? store_tx(hj->journey->store, log_store, hj, e) : rc;
}

bool
workaround_wants_log(const struct workaround *w, int64_t now)
{
	switch (retire_state_of(w->state)) {
	case RETIRE_OPEN: return now - w->log_at > USED_EVERY;
	case RETIRE_TRIAL: return now - w->log_at >= PROOF_EVERY;
	case RETIRE_PROVING: return w->proof == NULL || now - w->log_at >= PROOF_EVERY;
	case RETIRE_ENDED: break;
	}
	return false;
}

int64_t
workaround_log_now(struct journey *j, int64_t id, int64_t server, journey_done_fn *done, void *arg, struct err *e)
{
	struct workaround w = { .id = 0 };
	unsigned bytes = ATTEMPTS_BYTES;

	if (store_workaround_get(j->store, id, &w, e) == -1)
		return -1;
	if (text_eq(w.state, "open"))
		bytes = USED_BYTES;
	workaround_release(&w);
	return start(j, id, server, &(struct looking){ .log_bytes = bytes }, "read the mail log", log_work, log_finish, done, arg, e);
}

int64_t
workaround_mark(struct journey *j, int64_t id, int64_t server, journey_done_fn *done, void *arg, struct err *e)
{
	return start(j, id, server, &(struct looking){ .log_bytes = CLOCK_BYTES }, "read its clock", log_work, log_finish, done, arg, e);
}
