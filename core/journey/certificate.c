/* The certificate story: a key made on the mail host, a request, its answer, the certificate assigned. What is in use on the
 * host changes only by a push (settings.c). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/probe.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define KEY_DIR "/var/lib/mxseal/keys"

static bool
has_pending(struct journey *j, int64_t vserver)
{
	struct request_list l = { NULL, 0 };
	bool yes = false;
	size_t i;

	if (store_requests(j->store, vserver, &l, NULL) == 0)
		for (i = 0; i < l.n; i++)
			yes = yes || text_eq(l.v[i].state, "pending");
	request_list_release(&l);
	return yes;
}

const char *
certificate_state(struct journey *j, int64_t vserver)
{
	struct vserver vs = { .id = 0 };
	bool installed, pending;

	if (store_vserver_get(j->store, vserver, &vs, NULL) == -1)
		return "none";
	installed = vs.certificate_set && vs.certificate != 0;
	pending = has_pending(j, vserver);
	vserver_release(&vs);
	return installed ? (pending ? "renewal" : "installed") : pending ? "pending" : "none";
}

/* --- trust anchors of our own --- */

/* Certificates of the authorities kept here, as PEM. */
static char *
own_roots(struct journey *j)
{
	struct authority_list l = { NULL, 0 };
	struct str s = STR_INIT;
	size_t i;

	if (store_authorities(j->store, &l, NULL) == 0)
		for (i = 0; i < l.n; i++)
			str_add(&s, l.v[i].pem);
	authority_list_release(&l);
	return str_take(&s);
}

/* --- request --- */

void
make_free(void *data)
{
	struct make *m = data;

	request_release(&m->r);
	free(m->key_id);
	order_free(m->order);
	free(m);
}

static int
on_host(struct talk *t, struct str *out, const char *doing, struct err *e)
{
	if (talk_ask(t, out, 60000, e) == 0)
		return 0;
	return err_wrap(e, "%s", doing);
}

/* Key on the host (or the one that is there), request built here, signed there. */
static int
make_request(struct make *m, struct host_job *hj, struct talk *t, struct job_ctx *ctx, struct err *e)
{
	struct str public_key = STR_INIT, der = STR_INIT, b64 = STR_INIT, pem = STR_INIT;
	unsigned char signature[2048];
	char spki[65];
	size_t n = 0;
	int rc = -1;

	job_say(ctx, m->key_id != NULL ? "making the key" : "looking at the key");
	talk_verb(t, m->key_id != NULL ? "key_make" : "key_public");
	talk_arg(t, m->key_id != NULL ? m->key_id : m->r.key_path);
	if (m->key_id != NULL)
		talk_arg(t, key_kind_name(m->r.kind));
	if (on_host(t, &public_key, m->key_id != NULL ? "making the key" : "looking at the key", e) == -1 ||
	    cert_spki_of_public_key(public_key.s, spki, NULL, NULL, e) == -1 ||
	    csr_to_sign(&m->r.subject, public_key.s, &der, e) == -1)
		goto out;
	job_say(ctx, "signing the request");
	talk_verb(t, "key_sign");
	talk_arg(t, m->r.key_path);
	talk_arg(t, csr_digest(m->r.kind));
	talk_blob(t, der.s, der.len);
	if (on_host(t, &b64, "signing the request", e) == -1)
		goto out;
	if (base64_decode(b64.s, b64.len, signature, sizeof(signature), &n) == -1) {
		err_set(e, RC_PARSE, "%s answered with something that is not a signature", hj->server.name);
		goto out;
	}
	if (csr_finish(&der, public_key.s, signature, n, &pem, e) == -1)
		goto out;
	m->r.pem = str_take(&pem);
	m->r.spki_sha256 = xstrdup(spki);
	sha256_hex(m->r.pem, strlen(m->r.pem), spki);
	xset(&m->r.sha256, spki);
	rc = 0;
out:
	str_release(&public_key);
	str_release(&der);
	str_release(&b64);
	str_release(&pem);
	return rc;
}

static int
make_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct make *m = hj->data;
	struct talk *t = NULL;
	int rc = talk_open(&t, h, e);

	if (rc == 0 && m->r.pem == NULL)
		rc = make_request(m, hj, t, ctx, e);
	if (rc == 0 && m->order != NULL)
		rc = order_run(m->order, hj, t, &m->r, ctx, e);
	talk_close(t);
	return rc;
}

/* By hand, at an own authority, or with the answer that an ACME one gave already. */
static int
make_send(struct journey *j, struct make *m, const struct authority *a, struct str *text, struct err *e)
{
	struct str pem = STR_INIT;
	int64_t id;
	int rc = -1;

	if (m->r.authority == 0) {
		if (str_write_file(m->r.out_file, m->r.pem, strlen(m->r.pem), 0644, e) == -1)
			return err_hint(e, "the request is kept as #%lld; 'mxseal --json cert requests' has its text", (long long)m->r.id);
		str_addf(text, "Request #%lld for %s is in %s (SHA-256 of the file %.16s...). It waits for the authority's answer.\n",
		    (long long)m->r.id, m->r.subject.cn, m->r.out_file, m->r.sha256);
		return 0;
	}
	if (m->order == NULL && text_eq(a->policy, "ask")) {
		rc = authority_submit(j, a->id, m->r.id, m->r.pem, strlen(m->r.pem), &id, e);
		if (rc == 0)
			str_addf(text, "Request #%lld for %s waits at %s for approval, as submission #%lld there.\n", (long long)m->r.id,
			    m->r.subject.cn, a->name, (long long)id);
	} else {
		if (m->order != NULL)
			str_addn(&pem, order_answer(m->order)->s, order_answer(m->order)->len);
		else
			rc = authority_sign(j, a->id, m->r.pem, &pem, e);
		if (m->order != NULL || rc == 0)
			rc = certificate_process(j, m->r.vserver, m->r.id, pem.s, pem.len, true, text, m->result_id, e);
	}
	str_release(&pem);
	return rc == 0 ? 0 : err_hint(e, "the request is kept as #%lld", (long long)m->r.id);
}

/* The store takes the request; then it goes to the file or to the authority. */
static int
make_finish(struct host_job *hj, int rc, struct err *e)
{
	struct make *m = hj->data;
	struct journey *j = hj->journey;
	struct authority a = { .id = 0 };
	struct str text = STR_INIT;

	if (rc == -1 && m->r.id != 0 && e->hint[0] == '\0')
		err_hint(e, "the request is kept as #%lld; mxseal cert resume goes on with it", (long long)m->r.id);
	if (rc == 0 && m->r.authority != 0)
		rc = store_authority_get(j->store, m->r.authority, &a, e);
	if (rc == 0 && m->r.id == 0)
		rc = store_request_save(j->store, &m->r, e);
	if (rc == 0) {
		*m->result_id = m->r.id;
		rc = make_send(j, m, &a, &text, e);
	}
	if (note_activity(j, hj->server.name, m->verb, rc, e, rc == 0 ? text.s : "") == -1 && rc == 0)
		rc = err_set(e, RC_DB, "the request was made, but the activity could not be written");
	if (rc == 0)
		str_addn(m->result, text.s, text.len);
	authority_release(&a);
	str_release(&text);
	return rc;
}

static char *
fresh_key_id(void)
{
	unsigned char r[8];
	struct str s = STR_INIT;
	size_t i;

	random_bytes(r, sizeof(r));
	for (i = 0; i < sizeof(r); i++)
		str_addf(&s, "%02x", r[i]);
	return str_take(&s);
}

/* The store outlives the folder we are in. */
static char *
absolute_path(const char *path)
{
	char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	char *whole = here != NULL ? xasprintf("%s/%s", here, path) : xstrdup(path);

	free(here);
	return whole;
}

/* Who signs, when it is not done by hand: asked before a key is made for a request that nobody would sign. */
static int
make_authority(struct journey *j, struct make *m, const char *name, struct err *e)
{
	struct authority a = { .id = 0 };
	int rc = store_authority_by_name(j->store, name, &a, e);

	m->r.authority = a.id;
	if (rc == 0 && text_eq(a.kind, "acme")) {
		rc = order_new(j, &a, m->r.id, &m->order, e);
		/* it would leave them out or refuse them */
		xset(&m->r.subject.o, NULL);
		xset(&m->r.subject.ou, NULL);
		xset(&m->r.subject.c, NULL);
		xset(&m->r.subject.st, NULL);
		xset(&m->r.subject.l, NULL);
	} else if (rc == 0 && !text_eq(a.policy, "ask"))
		rc = authority_ready(j, name, e);
	authority_release(&a);
	return rc;
}

int64_t
make_start(struct journey *j, struct make *m, bool new_key, const char *authority, const char *out, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct host_job *hj = NULL;

	if ((authority == NULL || make_authority(j, m, authority, e) == 0) && store_vserver_get(j->store, m->r.vserver, &vs, e) == 0)
		hj = host_change_new(j, vs.server, done, arg, e);
	vserver_release(&vs);
	if (hj == NULL) {
		make_free(m);
		return -1;
	}
	hj->data = m;
	hj->free_data = make_free;
	hj->work = make_work;
	hj->finish = make_finish;
	if (new_key) {
		m->key_id = fresh_key_id();
		m->r.key_server = hj->server.id;
		free(m->r.key_path);
		m->r.key_path = xasprintf(KEY_DIR "/%s.key", m->key_id);
	}
	if (m->r.id == 0) {
		m->r.out_file = out != NULL ? absolute_path(out) : NULL;
		xset(&m->r.state, "pending");
		m->r.created_at = when_now();
	}
	return host_job_start(hj, "certificate request", e);
}

int64_t
certificate_request(struct journey *j, struct form *f, journey_done_fn *done, void *arg, struct err *e)
{
	static const struct { const char *field; size_t offset; } subject[] = {
		{ "cn", offsetof(struct subject, cn) }, { "o", offsetof(struct subject, o) },
		{ "ou", offsetof(struct subject, ou) }, { "country", offsetof(struct subject, c) },
		{ "state", offsetof(struct subject, st) }, { "locality", offsetof(struct subject, l) },
		{ "san", offsetof(struct subject, san) },
	};
	bool now = strcmp(form_get(f, "when"), "now") == 0;
	struct make *m = xcalloc(1, sizeof(*m));
	size_t i;

	m->verb = "certificate-request";
	m->result = &f->result;
	m->result_id = &f->result_id;
	m->r.vserver = f->object;
	m->r.name = xstrdup(*form_get(f, "name") ? form_get(f, "name") : form_get(f, "cn"));
	for (i = 0; i < sizeof(subject) / sizeof(subject[0]); i++)
		xset((char **)((char *)&m->r.subject + subject[i].offset), form_get(f, subject[i].field));
	(void)key_kind_parse(&m->r.kind, form_get(f, "key"), NULL);
	return make_start(j, m, true, now ? form_get(f, "authority") : NULL, now ? NULL : form_get(f, "out"), done, arg, e);
}

/* --- the answer --- */

/* Which request does this key belong to? The hint beside the sentence when it is not the one that was meant. */
static void
hint_whose(struct journey *j, int64_t not, const char *spki, struct err *e)
{
	struct request_list l = { NULL, 0 };
	size_t i;

	if (store_requests(j->store, 0, &l, NULL) == 0)
		for (i = 0; i < l.n; i++) {
			long long id = (long long)l.v[i].id;

			if (l.v[i].id == not || !text_eq(l.v[i].spki_sha256, spki))
				continue;
			if (text_eq(l.v[i].state, "dropped"))
				err_hint(e, "it is the answer to request #%lld, in the trash: mxseal cert restore-request %lld", id, id);
			else
				err_hint(e, "it is the answer to request #%lld", id);
		}
	request_list_release(&l);
}

/* A request named by its number: of this virtual server, and not in the trash. */
static int
named_request(struct journey *j, int64_t vserver, int64_t request, struct request *out, struct err *e)
{
	if (store_request_get(j->store, request, out, e) == -1)
		return -1;
	if (out->vserver != vserver) {
		err_set(e, RC_INVALID, "request #%lld is another virtual server's", (long long)request);
		return err_hint(e, "mxseal cert requests says whose");
	}
	if (!text_eq(out->state, "dropped"))
		return 0;
	err_set(e, RC_INVALID, "request #%lld is in the trash", (long long)request);
	return err_hint(e, "mxseal cert restore-request %lld takes it out", (long long)request);
}

/* Does the answer have the key of this request? */
static bool
answers(const void *mem, size_t len, const struct request *r)
{
	struct certificate c = { .id = 0 };
	bool yes = cert_read(mem, len, r->spki_sha256, &c, NULL) == 0 && text_eq(c.spki_sha256, r->spki_sha256);

	certificate_release(&c);
	return yes;
}

/* The request meant: the one named, else the one of this virtual server with the answer's key (an answered one too: an
 * authority may issue again, and a script may run again), else the one that waits. */
static int
find_request(struct journey *j, int64_t vserver, int64_t request, const void *mem, size_t len, struct request *out, struct err *e)
{
	struct request_list l = { NULL, 0 };
	struct certificate c = { .id = 0 };
	int64_t pending = 0;
	size_t i;

	if (request != 0)
		return named_request(j, vserver, request, out, e);
	if (store_requests(j->store, vserver, &l, e) == -1)
		return -1;
	for (i = 0; i < l.n && request == 0; i++) {
		if (text_eq(l.v[i].state, "dropped"))
			continue;
		if (text_eq(l.v[i].state, "pending"))
			pending = l.v[i].id;
		if (answers(mem, len, &l.v[i]))
			request = l.v[i].id;
	}
	request_list_release(&l);
	if (request == 0 && pending == 0) {
		err_set(e, RC_NOTFOUND, "no request is waiting for an answer on this virtual server");
		err_hint(e, "mxseal cert requests lists them");
		if (cert_read(mem, len, NULL, &c, NULL) == 0)
			hint_whose(j, 0, c.spki_sha256, e);
		certificate_release(&c);
		return -1;
	}
	return store_request_get(j->store, request ? request : pending, out, e);
}

static void
summarise(const struct certificate *c, const struct str *warnings, struct str *out)
{
	char from[16], until[16];

	when_date(from, c->not_before);
	when_date(until, c->not_after);
	str_addf(out, "Issued to    %s\n", c->subject ? c->subject : "-");
	str_addf(out, "Names        %s\n", c->san ? c->san : "-");
	str_addf(out, "Issued by    %s\n", c->issuer ? c->issuer : "-");
	str_addf(out, "Valid        %s to %s\n", from, until);
	str_addf(out, "Key          %s %d\n", c->key_type ? c->key_type : "-", c->key_bits);
	str_addf(out, "SHA-256      %s\n", c->sha256 ? c->sha256 : "-");
	for (const char *p = warnings->s; *p; ) {
		size_t n = strcspn(p, "\n");

		if (n > 0)
			str_addf(out, "! %.*s\n", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

struct process { struct journey *j; struct request *r; struct certificate *c; };

static int
process_body(struct store *st, void *arg, struct err *e)
{
	struct process *p = arg;
	struct vserver vs = { .id = 0 };
	struct certificate old = { .id = 0 };
	int rc = -1;

	if (store_certificate_by_sha256(st, p->c->sha256, &old, NULL) == 0) {
		p->c->id = old.id;               /* the same answer once more */
		p->c->rev = old.rev;
	}
	if (store_certificate_save(st, p->c, e) == -1)
		goto out;
	xset(&p->r->state, "answered");
	p->r->certificate = p->c->id;
	if (store_request_save(st, p->r, e) == -1 || store_vserver_get(st, p->r->vserver, &vs, e) == -1)
		goto out;
	vs.certificate = p->c->id;
	vs.certificate_set = true;
	rc = store_vserver_save(st, &vs, e);
out:
	certificate_release(&old);
	vserver_release(&vs);
	return rc;
}

int
certificate_process(struct journey *j, int64_t vserver, int64_t request, const void *mem, size_t len, bool commit,
    struct str *summary, int64_t *certificate, struct err *e)
{
	struct request r = { .id = 0 };
	struct certificate c = { .id = 0 };
	struct str names = STR_INIT, warnings = STR_INIT;
	char *roots = own_roots(j);
	int rc = -1;

	if (find_request(j, vserver, request, mem, len, &r, e) == -1 || cert_read(mem, len, r.spki_sha256, &c, e) == -1 ||
	    subject_names(&r.subject, &names, e) == -1)
		goto out;
	if (cert_fits(&c, r.spki_sha256, names.s, roots, when_now(), &warnings, e) == -1) {
		hint_whose(j, r.id, c.spki_sha256, e);
		goto out;
	}
	summarise(&c, &warnings, summary);
	rc = 0;
	if (!commit)
		goto out;
	xset(&c.name, r.name);
	c.key_server = r.key_server;
	xset(&c.key_path, r.key_path);
	c.authority = r.authority;
	c.request = r.id;
	c.created_at = when_now();
	rc = store_tx(j->store, process_body, &(struct process){ j, &r, &c }, e);
	if (rc == 0) {
		*certificate = c.id;
		str_addf(summary, "It is certificate #%lld now, assigned here. A push carries it to the host.\n", (long long)c.id);
		str_reset(&names);
		str_addf(&names, "certificate #%lld for %s, answer to request #%lld", (long long)c.id, c.cn ? c.cn : "-", (long long)r.id);
		rc = note_activity(j, NULL, "certificate-process", 0, e, names.s);
	}
out:
	request_release(&r);
	certificate_release(&c);
	str_release(&names);
	str_release(&warnings);
	free(roots);
	return rc;
}

int
certificate_process_file(struct journey *j, int64_t vserver, int64_t request, const char *path, bool commit,
    struct str *summary, int64_t *certificate, struct err *e)
{
	struct str text = STR_INIT;
	int rc = str_read_file(&text, path, CERT_MAX, e);

	if (rc == 0) {
		rc = certificate_process(j, vserver, request, text.s, text.len, commit, summary, certificate, e);
		if (rc == -1 && (e->code == RC_CERT || e->code == RC_PARSE || e->code == RC_LIMIT))
			err_wrap(e, "%s", clean(path));
	}
	str_release(&text);
	return rc;
}

/* --- assign, remove, drop --- */

static int
bind(struct journey *j, int64_t vserver, int64_t certificate, const char *verb, const char *text, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int rc = -1;

	if (store_vserver_get(j->store, vserver, &vs, e) == 0) {
		vs.certificate = certificate;
		vs.certificate_set = true;
		rc = store_vserver_save(j->store, &vs, e);
	}
	vserver_release(&vs);
	return rc == 0 ? note_activity(j, NULL, verb, 0, e, text) : -1;
}

int
certificate_assign(struct journey *j, int64_t vserver, int64_t certificate, struct err *e)
{
	struct certificate c = { .id = 0 };
	struct vserver vs = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (store_certificate_get(j->store, certificate, &c, e) == -1 || store_vserver_get(j->store, vserver, &vs, e) == -1)
		goto out;
	if (c.key_server != vs.server) {
		err_set(e, RC_CERT, "the key of certificate #%lld is not on this host", (long long)c.id);
		err_hint(e, "keys never leave the host they were made on: request a certificate for this one");
		goto out;
	}
	if (c.not_after <= when_now()) {
		err_set(e, RC_CERT, "certificate #%lld has expired", (long long)c.id);
		goto out;
	}
	str_addf(&text, "certificate #%lld %s", (long long)c.id, c.cn ? c.cn : "-");
	rc = bind(j, vserver, certificate, "certificate-assign", text.s, e);
out:
	certificate_release(&c);
	vserver_release(&vs);
	str_release(&text);
	return rc;
}

int
certificate_remove(struct journey *j, int64_t vserver, struct err *e)
{
	return bind(j, vserver, 0, "certificate-remove", "unbound; it stays here", e);
}

int
request_drop(struct journey *j, int64_t request, bool restore, struct err *e)
{
	struct request r = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (store_request_get(j->store, request, &r, e) == -1)
		goto out;
	if (!text_eq(r.state, restore ? "dropped" : "pending")) {
		err_set(e, RC_INVALID, "request #%lld is %s, not %s", (long long)r.id, r.state, restore ? "in the trash" : "pending");
		goto out;
	}
	xset(&r.state, restore ? "pending" : "dropped");
	str_addf(&text, "request #%lld for %s", (long long)r.id, r.subject.cn);
	rc = store_request_save(j->store, &r, e);
	if (rc == 0)
		rc = note_activity(j, NULL, restore ? "request-restore" : "request-drop", 0, e, text.s);
out:
	request_release(&r);
	str_release(&text);
	return rc;
}

/* --- names: what DNS says about them --- */

struct names_look {
	struct form *form;
	char *cn;
	struct str remark;
	journey_done_fn *done;
	void *arg;
};

static void
names_free(void *arg)
{
	struct names_look *l = arg;

	free(l->cn);
	str_release(&l->remark);
	free(l);
}

/* The mail domain a host name belongs to: itself, or what is behind its first dot. */
static bool
is_mx_of(const char *name, const char *domain, struct err *e)
{
	struct mx_list mx = { .n = 0 };
	bool yes = false;
	size_t i;

	if (dns_mx(domain, &mx, e) == 0 && !mx.implicit)
		for (i = 0; i < mx.n; i++)
			yes = yes || text_ieq(mx.v[i].name, name);
	mx_list_release(&mx);
	return yes;
}

static int
names_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct names_look *l = arg;
	const char *parent = strchr(l->cn, '.');
	char **addresses = NULL;
	size_t n = 0;

	(void)ctx;
	(void)e;
	if (dns_addresses(l->cn, &addresses, &n, NULL) == -1 || n == 0)
		str_add(&l->remark, "! not found in DNS from here; ");
	else
		str_addf(&l->remark, "DNS: %s; ", clean(addresses[0]));
	while (n > 0)
		free(addresses[--n]);
	free(addresses);
	if (is_mx_of(l->cn, l->cn, NULL))
		str_addf(&l->remark, "MX of %s", clean(l->cn));
	else if (parent != NULL && strchr(parent + 1, '.') != NULL && is_mx_of(l->cn, parent + 1, NULL))
		str_addf(&l->remark, "MX of %s", clean(parent + 1));
	else
		str_add(&l->remark, "! not an MX of its domain: peers look up the MX name");
	return 0;
}

static void
names_done(void *arg, int rc, const struct err *e)
{
	struct names_look *l = arg;

	if (rc == 0 && strcmp(form_get(l->form, "cn"), l->cn) == 0)
		form_note(l->form, "cn", "%s", l->remark.s);
	l->done(l->arg, rc, e);
}

int64_t
certificate_names_look(struct journey *j, struct form *f, journey_done_fn *done, void *arg)
{
	struct names_look *l;
	struct job job = { .title = "names in DNS", .work = names_work, .done = names_done, .drop = names_free };

	if (*form_get(f, "cn") == '\0')
		return 0;
	l = xcalloc(1, sizeof(*l));
	l->form = f;
	l->cn = xstrdup(form_get(f, "cn"));
	str_init(&l->remark, 4096);
	l->done = done;
	l->arg = arg;
	job.arg = l;
	return jobq_submit(j->jobs, &job);
}
