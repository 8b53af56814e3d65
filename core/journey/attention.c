/* What needs attention, worst first: each line is one sentence of cause, with the thing that mends it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/fleet.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

void
attention_list_release(struct attention_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].text);
		free(l->v[i].next);
		free(l->v[i].destination);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

struct attention *
attention_add(struct attention_list *l, char sign, int64_t server, const char *next, char *text)
{
	struct attention *a;

	ARRAY_GROW(l->v, l->n);
	a = &l->v[l->n++];
	*a = (struct attention){ .text = text, .sign = sign, .server = server, .next = xstrdup(next) };
	return a;
}

static void
about_push(struct journey *j, const struct server *sv, struct attention_list *out)
{
	char *fact = xasprintf("push-state:%lld", (long long)sv->id), *state = NULL;

	if (store_fact_get(j->store, fact, &state, NULL) == 0 && text_eq(state, "waiting"))
		attention_add(out, '!', sv->id, "keep or undo", xasprintf("%s: a push is waiting to be kept or undone there", sv->name));
	else if (state != NULL && !text_eq(state, "idle"))
		attention_add(out, '!', sv->id, "recover", xasprintf("%s: a push is unfinished there", sv->name));
	free(fact);
	free(state);
}

static void
about_drift(struct journey *j, const struct server *sv, struct attention_list *out)
{
	struct drift_list l = { NULL, 0 };
	const struct drift *first = NULL;
	size_t i, n;

	if (drift_of_server(j, sv->id, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n && first == NULL; i++)
		if (l.v[i].kind == DRIFT_CHANGED || l.v[i].kind == DRIFT_FILE)
			first = &l.v[i];
	n = drift_count(&l);
	if (n > 1)
		attention_add(out, '!', sv->id, "drift", xasprintf("%s: %zu things were changed on the host since the last push", sv->name, n));
	else if (n == 1)
		attention_add(out, '!', sv->id, "drift", xasprintf("%s: %s was changed on the host since the last push", sv->name, first->name));
	drift_list_release(&l);
}

static void
about_queue(struct journey *j, const struct server *sv, struct attention_list *out)
{
	char *fact = xasprintf("queue-tls:%lld", (long long)sv->id), *text = NULL;
	int n = 0;

	if (store_fact_get(j->store, fact, &text, NULL) == 0) {
		(void)sscanf(text, "%*d%n", &n);
		struct attention *a = attention_add(out, '!', sv->id, "queue", xasprintf(strtoll(text, NULL, 10) == 1 ?
		    "%s: %.*s message waits because of TLS,%s" : "%s: %.*s messages wait because of TLS,%s", sv->name, n, text, text + n));

		a->destination = xstrndup(text + n + (text[n] == ' '), strcspn(text + n + (text[n] == ' '), ":"));
	}
	free(fact);
	free(text);
}

/* Held against the past of the destination itself (backing.c). */
static void
about_backing(struct journey *j, const struct server *sv, struct attention_list *out)
{
	struct queue_backing_list l = { NULL, 0 };
	char ago[16], usual[64];
	size_t i;

	queue_backings(j, sv->id, &l);
	for (i = 0; i < l.n; i++) {
		when_ago(ago, when_now() - l.v[i].since);
		queue_backing_usual(&l.v[i], usual);
		attention_add(out, '!', sv->id, "queue", xasprintf("%s: mail for %s backs up: %lld wait, %s; for %s now", sv->name,
		    l.v[i].destination, (long long)l.v[i].messages, usual, ago))->destination = xstrdup(l.v[i].destination);
	}
	queue_backing_list_release(&l);
}

static void
about_server(struct journey *j, const struct server *sv, struct attention_list *out)
{
	if (sv->trouble != NULL)
		attention_add(out, text_eq(sv->trouble_code, "hostkey") ? '!' : '?', sv->id, "read", xasprintf("%s: %s", sv->name, sv->trouble));
	else if (sv->read_at == 0)
		attention_add(out, '?', sv->id, "read", xasprintf("%s: never read", sv->name));
	about_push(j, sv, out);
	about_drift(j, sv, out);
	about_queue(j, sv, out);
	about_backing(j, sv, out);
}

/* Does this virtual server show a certificate that an authority of ours has revoked? */
static void
about_revoked(const struct issued_list *issued, const struct server *sv, const struct vserver *vs, struct attention_list *out)
{
	size_t i;

	for (i = 0; i < issued->n && vs->served_sha256 != NULL; i++)
		if (issued->v[i].revoked_at != 0 && text_ieq(issued->v[i].sha256, vs->served_sha256))
			attention_add(out, '!', sv->id, "certificate", xasprintf("%s/%s serves a certificate that was revoked (%s)", sv->name,
			    vs->name, issued->v[i].reason))->vserver = vs->id;
}

static void
about_certificate(const struct server *sv, const struct vserver *vs, struct attention_list *out)
{
	if (vs->cert_trouble != NULL)
		attention_add(out, '!', sv->id, "certificate", xasprintf("%s/%s: %s", sv->name, vs->name, vs->cert_trouble))->vserver = vs->id;
}

/* A virtual server that takes no mail in is always in sight: stopping is easily forgotten. */
static void
about_listener(struct journey *j, const struct server *sv, const struct vserver *vs, struct attention_list *out)
{
	char *fact = run_fact(vs->id), *since = NULL, date[16] = "";
	long long at = 0;

	if (!vs->present || vs->run == NULL || strcmp(vs->run, "started") == 0) {
		if (vs->present && vs->served_trouble != NULL && strstr(vs->served_trouble, " is held by ") != NULL)
			attention_add(out, '!', sv->id, "read", xasprintf("%s/%s: %s", sv->name, vs->name, vs->served_trouble))->vserver = vs->id;
		free(fact);
		return;
	}
	if (store_fact_get(j->store, fact, &since, NULL) == 0 && sscanf(since, "%*s %lld", &at) == 1)
		when_date(date, at);
	attention_add(out, '!', sv->id, "start", xasprintf("%s/%s is %s%s%s: mail to it is %s", sv->name, vs->name, vs->run,
	    *date ? " since " : "", date, strcmp(vs->run, "paused") == 0 ? "put off with 421" : "refused"))->vserver = vs->id;
	free(fact);
	free(since);
}

static void
about_requests(struct journey *j, struct attention_list *out)
{
	struct request_list l = { NULL, 0 };
	struct submission s;
	size_t i;

	if (store_requests(j->store, 0, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		struct attention *a;
		int64_t server;

		if (!text_eq(l.v[i].state, "pending"))
			continue;
		server = request_server(j, &l.v[i]);
		memset(&s, 0, sizeof(s));
		if (store_submission_of(j->store, l.v[i].id, &s, NULL) == 1 && text_eq(s.state, "denied"))
			a = attention_add(out, '!', server, "certificate", xasprintf("request #%lld for %s was denied%s%s",
			    (long long)l.v[i].id, l.v[i].subject.cn, s.why ? ": " : "", s.why ? s.why : ""));
		else
			a = attention_add(out, '?', server, "certificate", request_waits(&l.v[i]));
		submission_release(&s);
		a->vserver = l.v[i].vserver;
		a->request = l.v[i].id;
	}
	request_list_release(&l);
}

static void
about_authorities(struct journey *j, int64_t soon, struct attention_list *out)
{
	struct authority_list l = { NULL, 0 };
	struct submission_list s;
	size_t i, k, n;

	if (store_authorities(j->store, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		n = 0;
		if (store_submissions(j->store, l.v[i].id, &s, NULL) == 0) {
			for (k = 0; k < s.n; k++)
				n += text_eq(s.v[k].state, "pending");
			submission_list_release(&s);
		}
		if (n > 0)
			attention_add(out, '?', 0, "approve", xasprintf("%s: %zu request%s for approval", l.v[i].name, n, n == 1 ? " waits" : "s wait"))->authority = l.v[i].id;
		if (l.v[i].not_after != 0 && l.v[i].not_after - when_now() < soon)
			attention_add(out, '!', 0, "authority", xasprintf("the authority %s %s: nothing it signed is trusted after that", l.v[i].name,
			    l.v[i].not_after <= when_now() ? "has expired" : "ends soon"))->authority = l.v[i].id;
	}
	authority_list_release(&l);
}

/* Work-arounds: what was seen last decides; nothing is looked at here. */
static void
about_workarounds(struct journey *j, struct attention_list *out)
{
	struct workaround_list l = { NULL, 0 };
	struct retire_view v;
	struct str why = STR_INIT;
	int64_t now = when_now();
	char date[16];
	size_t i;

	if (store_workarounds(j->store, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		const struct workaround *w = &l.v[i];
		enum retire_advice advice;

		if (text_eq(w->state, "ended") || workaround_facts(j, w, &v, NULL) == -1)
			continue;
		str_reset(&why);
		retire_why(&v.r, now, &why);
		advice = retire_next(&v.r, now);
		when_date(date, w->review_at);
		if (advice == RETIRE_COME_BACK)
			attention_add(out, '!', 0, "workaround", xasprintf("%s: its work-around %s (mxseal check --retire opens it again)", w->domain, why.s));
		else if (v.r.state == RETIRE_PROVING && w->in_clear != NULL)
			attention_add(out, '!', 0, "workaround", xasprintf("%s: its work-around was ended, but mail %s: another rule decides (mxseal route)",
			    w->domain, w->in_clear));
		else if (advice == RETIRE_TRY)
			attention_add(out, '?', 0, "workaround", xasprintf("%s does TLS again, %s: put its work-around on trial (mxseal workaround try %s)",
			    w->domain, why.s, w->domain));
		else if (advice == RETIRE_TIGHTEN)
			attention_add(out, '?', 0, "workaround", xasprintf("%s does TLS again, %s: end its work-around (mxseal workaround end %s)", w->domain,
			    why.s, w->domain));
		else if (retire_overdue(&v.r, now))
			attention_add(out, '!', 0, "workaround", xasprintf("%s: the work-around was to be reviewed on %s; %s, and its mail goes on without "
			    "TLS", w->domain, date, why.s));
		if (retire_unused(&v.r, now))
			attention_add(out, '?', 0, "workaround", xasprintf("%s: no mail took its work-around for %d days (mxseal workaround end %s)", w->domain,
			    RETIRE_UNUSED / 86400, w->domain));
		retire_view_release(&v);
	}
	str_release(&why);
	workaround_list_release(&l);
}

static void
about_rest(struct journey *j, struct attention_list *out)
{
	struct server_list l = { NULL, 0 };
	struct str names = STR_INIT;
	size_t i;

	if (push_retry_servers(j, &l, NULL) == 0 && l.n > 0) {
		for (i = 0; i < l.n && i < 3; i++)
			str_addf(&names, "%s%s", i > 0 ? ", " : "", l.v[i].name);
		attention_add(out, '!', 0, "retry", xasprintf("left of a push: %s%s (mxseal push --retry)", names.s, l.n > 3 ? " ..." : ""));
	}
	server_list_release(&l);
	str_release(&names);
}

static int
worse(const void *a, const void *b)
{
	const struct attention *x = a, *y = b;

	return (x->sign != '!') - (y->sign != '!');
}

int
attention(struct journey *j, struct attention_list *out, struct err *e)
{
	return attention_within(j, ATTENTION_DAYS, out, e);
}

struct attention_run {
	struct journey *j;
	int64_t soon;                    /* seconds */
	struct server_list servers;
	size_t at;
	struct issued_list issued;
	struct attention_list found;
};

struct attention_run *
attention_begin(struct journey *j, int days, struct err *e)
{
	struct attention_run *r = xcalloc(1, sizeof(*r));

	r->j = j;
	r->soon = (int64_t)days * 86400;
	if (store_servers(j->store, &r->servers, e) == -1) {
		free(r);
		return NULL;
	}
	(void)store_issued(j->store, 0, &r->issued, NULL);
	return r;
}

static void
about_all_of(struct attention_run *r, const struct server *sv)
{
	struct vserver_list v = { NULL, 0 };
	size_t i;

	about_server(r->j, sv, &r->found);
	if (store_vservers(r->j->store, sv->id, &v, NULL) == 0)
		for (i = 0; i < v.n; i++) {
			about_listener(r->j, sv, &v.v[i], &r->found);
			about_certificate(sv, &v.v[i], &r->found);
			watch_vserver(r->j, sv, &v.v[i], r->soon, &r->found);
			about_revoked(&r->issued, sv, &v.v[i], &r->found);
		}
	vserver_list_release(&v);
	watch_files(r->j, sv, &r->found);
}

bool
attention_some(struct attention_run *r, int64_t until_ms)
{
	while (r->at < r->servers.n) {
		about_all_of(r, &r->servers.v[r->at++]);
		if (when_monotonic_ms() >= until_ms)
			return true;
	}
	about_requests(r->j, &r->found);
	about_authorities(r->j, r->soon, &r->found);
	about_workarounds(r->j, &r->found);
	about_rest(r->j, &r->found);
	if (r->found.n > 1)
		qsort(r->found.v, r->found.n, sizeof(*r->found.v), worse);
	return false;
}

void
attention_end(struct attention_run *r, struct attention_list *out)
{
	if (r == NULL)
		return;
	if (out != NULL)
		*out = r->found;
	else
		attention_list_release(&r->found);
	server_list_release(&r->servers);
	issued_list_release(&r->issued);
	free(r);
}

int
attention_within(struct journey *j, int days, struct attention_list *out, struct err *e)
{
	struct attention_run *r = attention_begin(j, days, e);

	if (r == NULL)
		return -1;
	(void)attention_some(r, INT64_MAX);
	attention_end(r, out);
	return 0;
}
