/* A request is made: key on the mail host, or one that lives here, PKCS#10 built here; then it goes to a file or to its
 * authority, whose answer is processed. What is in use on the host changes only by a push (settings.c). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"
#include "mxseal/authority.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define KEY_DIR "/var/lib/mxseal/keys"

void
make_free(void *data)
{
	struct make *m = data;

	request_release(&m->r);
	order_free(m->order);
	free(m->key_id);
	free(m);
}

/* --- key and request --- */

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
	char digest[65];
	int rc = csr_finish(der, public_key, signature, n, &pem, e);

	if (rc == 0) {
		xset(&m->r.pem, pem.s);
		sha256_hex(pem.s, pem.len, digest);
		xset(&m->r.sha256, digest);
	}
	str_release(&pem);
	return rc;
}

/* Key on the host (or the one that is there), request built here, signed there. */
static int
make_request(struct make *m, struct host_job *hj, struct talk *t, struct job_ctx *ctx, struct err *e)
{
	struct str public_key = STR_INIT, der = STR_INIT, b64 = STR_INIT;
	const char *doing = m->key_id != NULL ? "making the key" : "reading the key";
	unsigned char signature[2048];
	size_t n = 0;
	int rc = -1;

	job_say(ctx, "%s", doing);
	talk_verb(t, m->key_id != NULL ? "key_make" : "key_public");
	talk_arg(t, m->key_id != NULL ? m->key_id : m->r.key_path);
	if (m->key_id != NULL)
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
	str_release(&public_key);
	str_release(&der);
	str_release(&b64);
	return rc;
}

/* The same with a key that lives here: no host is needed for it. */
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

/* --- where it goes --- */

/* By hand, at an own authority, or with the answer that an ACME one gave already. */
static int
make_send(struct journey *j, struct make *m, const struct authority *a, struct str *text, struct err *e)
{
	struct str pem = STR_INIT;
	int64_t id;
	int rc = 0;

	if (m->r.authority == 0) {
		if (str_write_file(m->r.out_file, m->r.pem, strlen(m->r.pem), 0644, e) == -1)
			return err_hint(e, "the request is kept as #%lld; mxseal cert request-text %lld has its text", (long long)m->r.id,
			    (long long)m->r.id);
		str_addf(text, "Request #%lld for %s is in %s, for the authority.\n", (long long)m->r.id, m->r.subject.cn, m->r.out_file);
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
		if (rc == 0)
			/* of an authority that was chosen by name nobody asks who vouches for it */
			rc = certificate_process(j, m->r.vserver, m->r.id, pem.s, pem.len, ANSWER_COMMIT | ANSWER_ANY_ISSUER, text, m->result_id, e);
	}
	str_release(&pem);
	return rc == 0 ? 0 : err_hint(e, "the request is kept as #%lld", (long long)m->r.id);
}

/* The store takes the request; then it goes to the file or to the authority. server: the host it was made on, or NULL. */
static int
make_done(struct journey *j, struct make *m, const char *server, int rc, struct err *e)
{
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
	if (note_activity(j, server, m->verb, rc, e, rc == 0 ? text.s : "") == -1 && rc == 0)
		rc = err_wrap(e, "the request was made, but the activity could not be written");
	if (rc == 0)
		str_addn(m->result, text.s, text.len);
	if (rc == 0 && m->r.authority == 0)
		request_to_send(&m->r, m->result);
	authority_release(&a);
	str_release(&text);
	return rc;
}

static int
make_finish(struct host_job *hj, int rc, struct err *e)
{
	return make_done(hj->journey, hj->data, hj->server.name, rc, e);
}

/* --- begun --- */

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

/* Would this authority of our own issue these names at all? */
static int
authority_would(const struct authority *a, const struct subject *s, struct err *e)
{
	struct str names = STR_INIT;
	int rc = subject_names(s, &names, e);

	if (rc == 0 && a->pem != NULL)
		rc = authority_permits(a, names.s, e);
	str_release(&names);
	return rc;
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
	} else if (rc == 0) {
		rc = authority_would(&a, &m->r.subject, e);
		if (rc == 0 && !text_eq(a.policy, "ask"))
			rc = authority_ready(j, name, e);
	}
	authority_release(&a);
	return rc;
}

static int64_t
make_on_host(struct journey *j, struct make *m, bool new_key, journey_done_fn *done, void *arg, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct host_job *hj = NULL;

	if (store_vserver_get(j->store, m->r.vserver, &vs, e) == 0)
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
	return host_job_start(hj, "certificate request", e);
}

int64_t
make_start(struct journey *j, struct make *m, bool new_key, const struct secret *key, const char *authority, const char *out,
    journey_done_fn *done, void *arg, struct err *e)
{
	int rc = m->r.id != 0 ? 0 : certificate_kind_fits(j, m->r.vserver, certificate_kind_word(m->r.kind), m->r.second, e);

	if (rc == 0 && authority != NULL)
		rc = make_authority(j, m, authority, e);

	if (rc == 0 && m->r.id == 0) {
		m->r.out_file = out != NULL ? absolute_path(out) : NULL;
		xset(&m->r.state, "pending");
		m->r.created_at = when_now();
	}
	if (rc == 0 && key != NULL)
		rc = make_here(m, key, e);
	if (rc == 0 && (key == NULL || m->order != NULL))
		return make_on_host(j, m, new_key, done, arg, e);
	if (rc == 0)
		rc = make_done(j, m, NULL, 0, e);
	make_free(m);
	if (rc == -1)
		return -1;
	done(arg, 0, e);
	return 0;
}

/* --- from the wizard --- */

/* What the form says. */
static struct make *
make_new(struct form *f, const char *verb)
{
	static const struct { const char *field; size_t offset; } subject[] = {
		{ "cn", offsetof(struct subject, cn) }, { "o", offsetof(struct subject, o) },
		{ "ou", offsetof(struct subject, ou) }, { "country", offsetof(struct subject, c) },
		{ "state", offsetof(struct subject, st) }, { "locality", offsetof(struct subject, l) },
		{ "san", offsetof(struct subject, san) },
	};
	struct make *m = xcalloc(1, sizeof(*m));
	size_t i;

	m->verb = verb;
	m->result = &f->result;
	m->result_id = &f->result_id;
	m->r.vserver = f->object;
	m->r.second = form_yes(f, "second");
	m->r.name = xstrdup(*form_get(f, "name") ? form_get(f, "name") : form_get(f, "cn"));
	for (i = 0; i < sizeof(subject) / sizeof(subject[0]); i++)
		xset((char **)((char *)&m->r.subject + subject[i].offset), form_get(f, subject[i].field));
	(void)key_kind_parse(&m->r.kind, form_get(f, "key"), NULL);
	return m;
}

int
make_with(struct make *m, const struct certificate *c, struct err *e)
{
	if (key_kind_of(c->key_type, c->key_bits, &m->r.kind) == -1) {
		err_set(e, RC_CERT, "the key of certificate #%lld (%s %d) is of a kind that requests are not made for", (long long)c->id,
		    c->key_type ? c->key_type : "-", c->key_bits);
		return err_hint(e, "renew with a new key");
	}
	xset(&m->r.key_path, c->key_path);
	m->r.key_server = c->key_server;
	return 0;
}

int64_t
certificate_request(struct journey *j, struct form *f, journey_done_fn *done, void *arg, struct err *e)
{
	bool now = strcmp(form_get(f, "when"), "now") == 0;

	return make_start(j, make_new(f, "certificate-request"), true, NULL, now ? form_get(f, "authority") : NULL,
	    now ? NULL : form_get(f, "out"), done, arg, e);
}

int64_t
certificate_request_again(struct journey *j, struct form *f, int64_t certificate, bool same_key, journey_done_fn *done, void *arg,
    struct err *e)
{
	bool now = strcmp(form_get(f, "when"), "now") == 0;
	struct certificate c = { .id = 0 };
	struct secret key = { NULL, 0 };
	struct make *m = NULL;
	int64_t id = -1;
	int rc = store_certificate_get(j->store, certificate, &c, e);

	if (rc == 0) {
		m = make_new(f, "certificate-renew");
		rc = same_key ? make_with(m, &c, e) : 0;
	}
	if (rc == 0 && same_key && !text_empty(c.sealed_key))
		rc = sealed_key_open(j, &c, &key, e);
	if (rc == 0)
		id = make_start(j, m, !same_key, key.mem != NULL ? &key : NULL, now ? form_get(f, "authority") : NULL,
		    now ? NULL : form_get(f, "out"), done, arg, e);
	else if (m != NULL)
		make_free(m);
	secret_release(&key);
	certificate_release(&c);
	return id;
}

/* --- one that waits --- */

int64_t
request_server(struct journey *j, const struct request *r)
{
	struct vserver vs = { .id = 0 };
	int64_t server = r->key_server;

	if (server == 0 && store_vserver_get(j->store, r->vserver, &vs, NULL) == 0)
		server = vs.server;
	vserver_release(&vs);
	return server;
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
