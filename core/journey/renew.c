/* The same certificate once more: with its key or a new one, by hand or without a person. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

/* What the certificate says, as it was asked for: by its request where that is known here. */
static void
same_subject(struct journey *j, const struct certificate *c, struct request *out)
{
	struct request r = { .id = 0 };

	if (c->request != 0 && store_request_get(j->store, c->request, &r, NULL) == 0)
		subject_copy(&out->subject, &r.subject);
	else if (cert_subject(c->pem, &out->subject, NULL) == -1) {
		subject_release(&out->subject);
		out->subject.cn = xstrdup(c->cn);
		out->subject.san = xstrdup(c->san);
	}
	request_release(&r);
	out->name = xstrdup(!text_empty(c->name) ? c->name : c->cn);
	(void)key_kind_of(c->key_type, c->key_bits, &out->kind);
}

static int
in_use(struct journey *j, int64_t vserver, bool second, struct certificate *out, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int rc = store_vserver_get(j->store, vserver, &vs, e);

	if (rc == 0 && (!vs.certificate_set || vs.certificate == 0)) {
		rc = err_set(e, RC_NOTFOUND, "the virtual server has no certificate of ours to renew");
		err_hint(e, "mxseal cert request makes a new one");
	} else if (rc == 0 && second && vs.second == 0) {
		rc = err_set(e, RC_NOTFOUND, "the virtual server has no second certificate to renew");
		err_hint(e, "mxseal cert request --second makes one");
	} else if (rc == 0)
		rc = store_certificate_get(j->store, second ? vs.second : vs.certificate, out, e);
	vserver_release(&vs);
	return rc;
}

int64_t
certificate_renew(struct journey *j, int64_t vserver, struct renewal *w, journey_done_fn *done, void *arg, struct err *e)
{
	struct certificate c = { .id = 0 };
	struct authority a = { .id = 0 };
	struct secret key = { NULL, 0 };
	struct make *m;
	int64_t id = -1;

	if (in_use(j, vserver, w->second, &c, e) == -1)
		return -1;
	if (!w->new_key && text_empty(c.sealed_key) && (c.key_server == 0 || c.key_path == NULL)) {
		err_set(e, RC_CERT, "where the key of certificate #%lld is, is not known", (long long)c.id);
		err_hint(e, "renew it with a new key");
	} else if (w->authority == NULL && w->out == NULL && (c.authority == 0 || store_authority_get(j->store, c.authority, &a, NULL) == -1)) {
		err_set(e, RC_INVALID, "certificate #%lld was not issued by an authority that is kept here", (long long)c.id);
		err_hint(e, "say who signs: --authority NAME, or --out FILE for one elsewhere");
	} else {
		m = xcalloc(1, sizeof(*m));
		m->verb = "certificate-renew";
		m->result = &w->result;
		m->result_id = &w->result_id;
		m->r.vserver = vserver;
		m->r.second = w->second;
		same_subject(j, &c, &m->r);
		if (w->kind != NULL && key_kind_parse(&m->r.kind, w->kind, e) == -1)
			make_free(m);
		else if (!w->new_key && (make_with(m, &c, e) == -1 || (!text_empty(c.sealed_key) && sealed_key_open(j, &c, &key, e) == -1)))
			make_free(m);
		else
			id = make_start(j, m, w->new_key, key.mem != NULL ? &key : NULL, w->out != NULL ? NULL : w->authority != NULL ? w->authority : a.name, w->out, done, arg, e);
	}
	secret_release(&key);
	certificate_release(&c);
	authority_release(&a);
	return id;
}

int64_t
certificate_resume(struct journey *j, int64_t request, struct str *result, int64_t *result_id, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct make *m = xcalloc(1, sizeof(*m));
	struct authority a = { .id = 0 };
	int64_t id = -1;

	m->verb = "certificate-resume";
	m->result = result;
	m->result_id = result_id;
	if (store_request_get(j->store, request, &m->r, e) == -1)
		goto out;
	if (!text_eq(m->r.state, "pending")) {
		err_set(e, RC_INVALID, "request #%lld is %s", (long long)request, text_eq(m->r.state, "dropped") ? "in the trash" : "answered already");
		goto out;
	}
	if (m->r.authority == 0 || store_authority_get(j->store, m->r.authority, &a, NULL) == -1 || !text_eq(a.kind, "acme")) {
		err_set(e, RC_INVALID, "request #%lld does not wait at an ACME authority", (long long)request);
		goto out;
	}
	id = make_start(j, m, false, NULL, a.name, NULL, done, arg, e);
	m = NULL;
out:
	if (m != NULL)
		make_free(m);
	authority_release(&a);
	return id;
}

int64_t
certificate_unfinished(struct journey *j, int64_t vserver)
{
	struct request_list l = { NULL, 0 };
	struct acme_order o = { .id = 0 };
	int64_t id = 0;
	size_t i;

	if (store_requests(j->store, vserver, &l, NULL) == 0)
		for (i = 0; i < l.n; i++) {
			if (text_eq(l.v[i].state, "pending") && store_acme_order_of(j->store, l.v[i].id, &o, NULL) == 1)
				id = l.v[i].id;
			acme_order_release(&o);
		}
	request_list_release(&l);
	return id;
}

/* The same moment of the window for the same certificate, another one for each: so that not all come at once (RFC 9773 4.2). */
static int64_t
moment_in(const struct acme_order *o, const struct certificate *c)
{
	unsigned part = 0;

	if (c->sha256 != NULL)
		(void)sscanf(c->sha256, "%4x", &part);
	return o->renew_from + (o->renew_until - o->renew_from) * (int64_t)(part & 0xffff) / 0x10000;
}

bool
certificate_is_due(struct journey *j, int64_t certificate, struct str *why)
{
	struct certificate c = { .id = 0 };
	struct authority a = { .id = 0 };
	struct acme_order o = { .id = 0 };
	int64_t now = when_now();
	char date[16];
	bool due = false;

	if (certificate == 0 || store_certificate_get(j->store, certificate, &c, NULL) == -1 ||
	    c.authority == 0 || store_authority_get(j->store, c.authority, &a, NULL) == -1)
		goto out;
	if (!text_eq(a.kind, "acme") && !text_eq(a.policy, "always"))
		goto out;
	when_date(date, c.not_after);
	if (c.request != 0 && store_acme_order_of(j->store, c.request, &o, NULL) == 1 && o.renew_from != 0 && now >= moment_in(&o, &c)) {
		str_addf(why, "%s would like it renewed now", a.name);
		due = true;
	} else if (now >= c.not_after - (c.not_after - c.not_before) / 3) {
		str_addf(why, "less than a third of its life is left, it ends on %s", date);
		due = true;
	}
out:
	certificate_release(&c);
	authority_release(&a);
	acme_order_release(&o);
	return due;
}
