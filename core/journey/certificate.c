/* The certificate story: a key made on the mail host, a request, its answer, the certificate assigned. What is in use on the
 * host changes only by a push (settings.c). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
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

char *
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

struct make {
	struct request r;
	char *key_id;
	struct form *form;
	char *authority;         /* name, or NULL: by hand */
	bool same_key;           /* the one that is there already */
};

static void
make_free(void *data)
{
	struct make *m = data;

	request_release(&m->r);
	free(m->key_id);
	free(m->authority);
	free(m);
}

static int
on_host(struct talk *t, struct str *out, const char *doing, struct err *e)
{
	if (talk_ask(t, out, 60000, e) == 0)
		return 0;
	return err_wrap(e, "%s", doing);
}

/* What is to be signed, for this public key; and the request once it is. */
static int
make_unsigned(struct make *m, const char *public_key, struct str *der, struct err *e)
{
	char spki[65];

	if (cert_spki_of_public_key(public_key, spki, NULL, NULL, e) == -1 || csr_to_sign(&m->r.subject, public_key, der, e) == -1)
		return -1;
	xset(&m->r.spki_sha256, spki);
	return 0;
}

static int
make_signed(struct make *m, const char *public_key, const struct str *der, const unsigned char *signature, size_t n, struct err *e)
{
	struct str pem = STR_INIT;
	int rc = csr_finish(der, public_key, signature, n, &pem, e);

	if (rc == 0)
		xset(&m->r.pem, pem.s);
	str_release(&pem);
	return rc;
}

/* Key on the host, request built here, signed there. */
static int
make_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct make *m = hj->data;
	struct str public_key = STR_INIT, der = STR_INIT, b64 = STR_INIT;
	const char *doing = m->same_key ? "reading the key" : "making the key";
	unsigned char signature[2048];
	struct talk *t = NULL;
	size_t n = 0;
	int rc = -1;

	job_say(ctx, "%s", doing);
	if (talk_open(&t, h, e) == -1)
		goto out;
	talk_verb(t, m->same_key ? "key_public" : "key_make");
	talk_arg(t, m->same_key ? m->r.key_path : m->key_id);
	if (!m->same_key)
		talk_arg(t, key_kind_name(m->r.kind));
	if (on_host(t, &public_key, doing, e) == -1 || make_unsigned(m, public_key.s, &der, e) == -1)
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
	rc = make_signed(m, public_key.s, &der, signature, n, e);
out:
	talk_close(t);
	str_release(&public_key);
	str_release(&der);
	str_release(&b64);
	return rc;
}

/* The same with a key that lives here: no host is needed. */
static int
make_here(struct make *m, const struct secret *key, struct err *e)
{
	struct str public_key = STR_INIT, der = STR_INIT;
	unsigned char signature[2048];
	size_t n = 0;
	int rc = -1;

	if (key_public(key, &public_key, e) == 0 && make_unsigned(m, public_key.s, &der, e) == 0 &&
	    key_sign(key, csr_digest(m->r.kind), der.s, der.len, signature, sizeof(signature), &n, e) == 0)
		rc = make_signed(m, public_key.s, &der, signature, n, e);
	str_release(&public_key);
	str_release(&der);
	return rc;
}

/* The store takes the request; then it goes to the file or to the authority. */
static int
make_done(struct journey *j, struct make *m, const char *server, int rc, struct err *e)
{
	struct authority a = { .id = 0 };
	struct str text = STR_INIT, pem = STR_INIT;
	char digest[65];
	int64_t id;

	if (rc == -1)
		goto note;
	sha256_hex(m->r.pem, strlen(m->r.pem), digest);
	xset(&m->r.sha256, digest);
	rc = -1;
	if (m->authority != NULL) {
		if (store_authority_by_name(j->store, m->authority, &a, e) == -1)
			goto note;
		m->r.authority = a.id;
	}
	if (store_request_save(j->store, &m->r, e) == -1)
		goto note;
	m->form->result_id = m->r.id;
	if (m->authority == NULL) {
		if (str_write_file(m->r.out_file, m->r.pem, strlen(m->r.pem), 0644, e) == -1) {
			err_hint(e, "the request is kept as #%lld; mxseal cert request-text %lld has its text", (long long)m->r.id, (long long)m->r.id);
			goto note;
		}
		str_addf(&text, "Request #%lld for %s is in %s, for the authority.\n", (long long)m->r.id, m->r.subject.cn, m->r.out_file);
	} else if (text_eq(a.policy, "ask")) {
		if (authority_submit(j, a.id, m->r.id, m->r.pem, strlen(m->r.pem), &id, e) == -1) {
			err_hint(e, "the request is kept as #%lld", (long long)m->r.id);
			goto note;
		}
		str_addf(&text, "Request #%lld for %s waits at %s for approval, as submission #%lld there.\n", (long long)m->r.id,
		    m->r.subject.cn, a.name, (long long)id);
	} else {
		if (authority_sign(j, a.id, m->r.pem, &pem, e) == -1 ||
		    certificate_process(j, m->r.vserver, m->r.id, pem.s, pem.len, true, &text, &id, e) == -1) {
			err_hint(e, "the request is kept as #%lld", (long long)m->r.id);
			goto note;
		}
		m->form->result_id = id;
	}
	rc = 0;
note:
	if (note_activity(j, server, "certificate-request", rc, e, rc == 0 ? text.s : "") == -1 && rc == 0)
		rc = err_set(e, RC_DB, "the request was made, but the activity could not be written");
	if (rc == 0)
		str_addn(&m->form->result, text.s, text.len);
	if (rc == 0 && m->authority == NULL)
		request_to_send(&m->r, &m->form->result);
	authority_release(&a);
	str_release(&text);
	str_release(&pem);
	return rc;
}

static int
make_finish(struct host_job *hj, int rc, struct err *e)
{
	return make_done(hj->journey, hj->data, hj->server.name, rc, e);
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

/* Before a key is made for what nobody would sign. */
static int
authority_would(struct journey *j, const char *name, const struct subject *s, struct err *e)
{
	struct authority a = { .id = 0 };
	struct str names = STR_INIT;
	int rc = store_authority_by_name(j->store, name, &a, e);

	if (rc == 0)
		rc = subject_names(s, &names, e);
	if (rc == 0 && a.pem != NULL)
		rc = authority_permits(&a, names.s, e);
	authority_release(&a);
	str_release(&names);
	return rc;
}

/* What the form says, with a new key for it. */
static struct make *
make_new(struct form *f, bool now)
{
	static const struct { const char *field; size_t offset; } subject[] = {
		{ "cn", offsetof(struct subject, cn) }, { "o", offsetof(struct subject, o) },
		{ "ou", offsetof(struct subject, ou) }, { "country", offsetof(struct subject, c) },
		{ "state", offsetof(struct subject, st) }, { "locality", offsetof(struct subject, l) },
		{ "san", offsetof(struct subject, san) },
	};
	struct make *m = xcalloc(1, sizeof(*m));
	size_t i;

	m->form = f;
	m->key_id = fresh_key_id();
	m->authority = now ? xstrdup(form_get(f, "authority")) : NULL;
	m->r.vserver = f->object;
	m->r.name = xstrdup(*form_get(f, "name") ? form_get(f, "name") : form_get(f, "cn"));
	for (i = 0; i < sizeof(subject) / sizeof(subject[0]); i++)
		xset((char **)((char *)&m->r.subject + subject[i].offset), form_get(f, subject[i].field));
	(void)key_kind_parse(&m->r.kind, form_get(f, "key"), NULL);
	m->r.key_path = xasprintf(KEY_DIR "/%s.key", m->key_id);
	m->r.out_file = now ? NULL : absolute_path(form_get(f, "out"));
	m->r.state = xstrdup("pending");
	m->r.created_at = when_now();
	return m;
}

/* The key of a certificate instead of a new one. */
static int
make_with(struct make *m, const struct certificate *c, struct err *e)
{
	if (key_kind_of(c->key_type, c->key_bits, &m->r.kind) == -1) {
		err_set(e, RC_CERT, "the key of certificate #%lld (%s %d) is of a kind that requests are not made for", (long long)c->id,
		    c->key_type ? c->key_type : "-", c->key_bits);
		return err_hint(e, "renew with a new key");
	}
	m->same_key = true;
	xset(&m->r.key_path, c->key_path);
	m->r.key_server = c->key_server;
	return 0;
}

static int64_t
make_on_host(struct journey *j, struct make *m, journey_done_fn *done, void *arg, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct host_job *hj = NULL;

	if ((m->authority == NULL || authority_would(j, m->authority, &m->r.subject, e) == 0) &&
	    store_vserver_get(j->store, m->r.vserver, &vs, e) == 0)
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
	if (!m->same_key)
		m->r.key_server = hj->server.id;
	return host_job_start(hj, "certificate request", e);
}

/* At an authority that signs at once: could it? Asked before a key is made that nobody would sign. */
static int
can_be_signed(struct journey *j, const struct form *f, bool now, struct err *e)
{
	return now && !authority_asks(j, form_get(f, "authority")) ? authority_ready(j, form_get(f, "authority"), e) : 0;
}

int64_t
certificate_request(struct journey *j, struct form *f, journey_done_fn *done, void *arg, struct err *e)
{
	bool now = strcmp(form_get(f, "when"), "now") == 0;

	if (can_be_signed(j, f, now, e) == -1)
		return -1;
	return make_on_host(j, make_new(f, now), done, arg, e);
}

static int64_t
renew_here(struct journey *j, struct make *m, const struct certificate *c, journey_done_fn *done, void *arg, struct err *e)
{
	struct secret key = { NULL, 0 };
	int rc = sealed_key_open(j, c, &key, e);

	if (rc == 0) {
		rc = make_here(m, &key, e);
		rc = make_done(j, m, NULL, rc, e);
	}
	secret_release(&key);
	make_free(m);
	if (rc == -1)
		return -1;
	done(arg, 0, e);
	return 0;
}

int64_t
certificate_renew(struct journey *j, struct form *f, int64_t certificate, bool same_key, journey_done_fn *done, void *arg,
    struct err *e)
{
	bool now = strcmp(form_get(f, "when"), "now") == 0;
	struct certificate c = { .id = 0 };
	struct make *m;
	int64_t id = -1;

	if (can_be_signed(j, f, now, e) == -1 || store_certificate_get(j->store, certificate, &c, e) == -1)
		goto out;
	m = make_new(f, now);
	if (same_key && make_with(m, &c, e) == -1)
		make_free(m);
	else if (same_key && !text_empty(c.sealed_key))
		id = renew_here(j, m, &c, done, arg, e);
	else
		id = make_on_host(j, m, done, arg, e);
out:
	certificate_release(&c);
	return id;
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

void
certificate_summarise(const struct certificate *c, const struct str *warnings, struct str *out)
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

/* A request that was made here with a sealed key: the certificate that has the key gives it to the new one as well. */
static int
sealed_key_of(struct journey *j, struct certificate *c, struct err *e)
{
	struct certificate_list l = { NULL, 0 };
	int rc = store_certificates(j->store, &l, e);
	size_t i;

	for (i = 0; i < l.n && rc == 0; i++)
		if (!text_empty(l.v[i].sealed_key) && text_eq(l.v[i].spki_sha256, c->spki_sha256))
			xset(&c->sealed_key, l.v[i].sealed_key);
	certificate_list_release(&l);
	return rc;
}

struct process { struct journey *j; struct request *r; struct certificate *c; };

static int
process_body(struct store *st, void *arg, struct err *e)
{
	struct process *p = arg;
	struct vserver vs = { .id = 0 };
	struct certificate old = { .id = 0 };
	char *name;
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
	if (store_edit_begin(st, e) == -1)
		goto out;
	rc = store_vserver_save(st, &vs, e);
	name = vserver_full_name(p->j, vs.id);
	rc = store_edit_end(st, rc, e, "%s: certificate #%lld %s, the answer to request #%lld", name, (long long)p->c->id,
	    p->c->cn ? p->c->cn : "-", (long long)p->r->id);
	free(name);
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
	certificate_summarise(&c, &warnings, summary);
	rc = 0;
	if (!commit)
		goto out;
	xset(&c.name, r.name);
	c.key_server = r.key_server;
	xset(&c.key_path, r.key_path);
	if (c.key_server == 0 && sealed_key_of(j, &c, e) == -1) {
		rc = -1;
		goto out;
	}
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
	char *name = vserver_full_name(j, vserver);
	int rc = store_edit_begin(j->store, e);

	if (rc == -1)
		goto out;
	rc = store_vserver_get(j->store, vserver, &vs, e);
	if (rc == 0) {
		vs.certificate = certificate;
		vs.certificate_set = true;
		rc = store_vserver_save(j->store, &vs, e);
	}
	if (rc == 0)
		rc = note_activity(j, NULL, verb, 0, e, text);
	rc = store_edit_end(j->store, rc, e, "%s: %s", name, certificate != 0 ? text : "no certificate of ours any more");
out:
	vserver_release(&vs);
	free(name);
	return rc;
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
	if (c.key_server != vs.server && text_empty(c.sealed_key)) {
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

void
request_to_send(const struct request *r, struct str *out)
{
	char since[16];

	when_date(since, r->created_at);
	str_addf(out, "It waits for the authority's answer since %s.\nSHA-256 of the file: %s\nThe text to send or to paste:\n\n%s", since,
	    r->sha256 ? r->sha256 : "-", r->pem ? r->pem : "");
}

int
request_write(struct journey *j, int64_t request, const char *path, struct err *e)
{
	struct request r = { .id = 0 };
	char *whole = absolute_path(path);
	int rc = -1;

	if (store_request_get(j->store, request, &r, e) == -1 || str_write_file(whole, r.pem, strlen(r.pem), 0644, e) == -1)
		goto out;
	xset(&r.out_file, whole);
	rc = store_request_save(j->store, &r, e);
out:
	request_release(&r);
	free(whole);
	return rc;
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
