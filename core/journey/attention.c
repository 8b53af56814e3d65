/* What needs attention, worst first: each line is one sentence of cause, with the thing that mends it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/fleet.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define SOON (30 * 86400)   /* a certificate that ends within this many seconds is named */

void
attention_list_release(struct attention_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].text);
		free(l->v[i].next);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

static struct attention *
add(struct attention_list *l, char sign, int64_t server, const char *next, char *text)
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

	if (store_fact_get(j->store, fact, &state, NULL) == 0 && !text_eq(state, "idle"))
		add(out, '!', sv->id, "push", xasprintf("%s: a push is %s there", sv->name,
		    text_eq(state, "waiting") ? "waiting to be kept or undone" : "unfinished"));
	free(fact);
	free(state);
}

static void
about_queue(struct journey *j, const struct server *sv, struct attention_list *out)
{
	char *fact = xasprintf("queue-tls:%lld", (long long)sv->id), *text = NULL;
	int n = 0;

	if (store_fact_get(j->store, fact, &text, NULL) == 0) {
		(void)sscanf(text, "%*d%n", &n);
		add(out, '!', sv->id, "queue", xasprintf(strtoll(text, NULL, 10) == 1 ? "%s: %.*s message waits because of TLS,%s"
		    : "%s: %.*s messages wait because of TLS,%s", sv->name, n, text, text + n));
	}
	free(fact);
	free(text);
}

static void
about_server(struct journey *j, const struct server *sv, struct attention_list *out)
{
	if (sv->trouble != NULL)
		add(out, text_eq(sv->trouble_code, "hostkey") ? '!' : '?', sv->id, "read", xasprintf("%s: %s", sv->name, sv->trouble));
	else if (sv->read_at == 0)
		add(out, '?', sv->id, "read", xasprintf("%s: never read", sv->name));
	about_push(j, sv, out);
	about_queue(j, sv, out);
}

/* Does this virtual server show a certificate that an authority of ours has revoked? */
static void
about_revoked(const struct issued_list *issued, const struct server *sv, const struct vserver *vs, struct attention_list *out)
{
	size_t i;

	for (i = 0; i < issued->n && vs->served_sha256 != NULL; i++)
		if (issued->v[i].revoked_at != 0 && text_ieq(issued->v[i].sha256, vs->served_sha256))
			add(out, '!', sv->id, "certificate", xasprintf("%s/%s serves a certificate that was revoked (%s)", sv->name,
			    vs->name, issued->v[i].reason))->vserver = vs->id;
}

static void
about_certificate(const struct server *sv, const struct vserver *vs, struct attention_list *out)
{
	struct certificate c = { .id = 0 };
	struct attention *a = NULL;
	int64_t left;

	if (vs->served_pem != NULL && cert_describe(vs->served_pem, &c, NULL) == 0 && !text_eq(c.subject, c.issuer)) {
		left = c.not_after - when_now();
		if (left <= 0)
			a = add(out, '!', sv->id, "certificate", xasprintf("%s/%s serves a certificate that has expired", sv->name, vs->name));
		else if (left < SOON)
			a = add(out, '!', sv->id, "certificate", xasprintf("%s/%s: the certificate ends in %lld days", sv->name, vs->name,
			    (long long)(left / 86400)));
	}
	if (a != NULL)
		a->vserver = vs->id;
	if (vs->cert_trouble != NULL)
		add(out, '!', sv->id, "certificate", xasprintf("%s/%s: %s", sv->name, vs->name, vs->cert_trouble))->vserver = vs->id;
	certificate_release(&c);
}

static void
about_requests(struct journey *j, struct attention_list *out)
{
	struct request_list l = { NULL, 0 };
	struct submission s;
	char date[16];
	size_t i;

	if (store_requests(j->store, 0, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		struct attention *a;

		if (!text_eq(l.v[i].state, "pending"))
			continue;
		when_date(date, l.v[i].created_at);
		memset(&s, 0, sizeof(s));
		if (store_submission_of(j->store, l.v[i].id, &s, NULL) == 1 && text_eq(s.state, "denied"))
			a = add(out, '!', l.v[i].key_server, "certificate", xasprintf("request #%lld for %s was denied%s%s",
			    (long long)l.v[i].id, l.v[i].subject.cn, s.why ? ": " : "", s.why ? s.why : ""));
		else
			a = add(out, '?', l.v[i].key_server, "certificate", xasprintf("request #%lld for %s waits for its answer since %s",
			    (long long)l.v[i].id, l.v[i].subject.cn, date));
		submission_release(&s);
		a->vserver = l.v[i].vserver;
		a->request = l.v[i].id;
	}
	request_list_release(&l);
}

static void
about_authorities(struct journey *j, struct attention_list *out)
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
			add(out, '?', 0, "approve", xasprintf("%s: %zu request%s for approval", l.v[i].name, n, n == 1 ? " waits" : "s wait"))->authority = l.v[i].id;
		if (l.v[i].not_after != 0 && l.v[i].not_after - when_now() < SOON)
			add(out, '!', 0, "authority", xasprintf("the authority %s %s: nothing it signed is trusted after that", l.v[i].name,
			    l.v[i].not_after <= when_now() ? "has expired" : "ends soon"))->authority = l.v[i].id;
	}
	authority_list_release(&l);
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
		add(out, '!', 0, "retry", xasprintf("left of a push: %s%s (mxseal push --retry)", names.s, l.n > 3 ? " ..." : ""));
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
	struct server_list l = { NULL, 0 };
	struct issued_list issued = { NULL, 0 };
	struct vserver_list v;
	size_t i, k;

	if (store_servers(j->store, &l, e) == -1)
		return -1;
	(void)store_issued(j->store, 0, &issued, NULL);
	for (i = 0; i < l.n; i++) {
		about_server(j, &l.v[i], out);
		memset(&v, 0, sizeof(v));
		if (store_vservers(j->store, l.v[i].id, &v, NULL) == 0)
			for (k = 0; k < v.n; k++) {
				about_certificate(&l.v[i], &v.v[k], out);
				about_revoked(&issued, &l.v[i], &v.v[k], out);
			}
		vserver_list_release(&v);
	}
	issued_list_release(&issued);
	about_requests(j, out);
	about_authorities(j, out);
	about_rest(j, out);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), worse);
	server_list_release(&l);
	return 0;
}
