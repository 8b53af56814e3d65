/* The certificate story from the answer of the authority on: it is judged and processed, and certificates are assigned (how
 * requests are made: request.c). What is in use on the host changes only by a push (settings.c). */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

bool
request_is_pending(struct journey *j, int64_t vserver)
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
	pending = request_is_pending(j, vserver);
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

/* --- two certificates, of two kinds of key --- */

const char *
certificate_kind_word(enum key_kind kind)
{
	return kind == KEY_EC_P256 || kind == KEY_EC_P384 ? "EC" : "RSA";
}

int
certificate_kind_fits(struct journey *j, int64_t vserver, const char *key_type, bool second, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct certificate other = { .id = 0 };
	int64_t id;
	int rc = store_vserver_get(j->store, vserver, &vs, e);

	if (rc == -1)
		return -1;
	id = !vs.certificate_set ? 0 : second ? vs.certificate : vs.second;
	if (second && id == 0) {
		rc = err_set(e, RC_CERT, "the virtual server has no certificate of ours yet, which a second one could stand beside");
		err_hint(e, "without --second it becomes the first one");
	} else if (id != 0 && (rc = store_certificate_get(j->store, id, &other, e)) == 0 && text_eq(other.key_type, key_type)) {
		rc = err_set(e, RC_CERT, "certificate #%lld, the %s one here, has an %s key as well: of two with the same kind of key one only is "
		    "ever served", (long long)id, second ? "first" : "second", key_type);
		err_hint(e, second ? "the second one takes the other kind of key: --key %s" : "remove the second one first, or say --second: "
		    "then this one takes its place", text_eq(key_type, "EC") ? "rsa-2048" : "ec-p256");
	}
	certificate_release(&other);
	vserver_release(&vs);
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
		if (!text_empty(old.sealed_key)) {       /* imported since: the only copy of its key may be this one */
			xset(&p->c->sealed_key, old.sealed_key);
			xset(&p->c->key_path, old.key_path);
			p->c->key_server = old.key_server;
			p->c->created_at = old.created_at;
		}
	}
	if (store_certificate_save(st, p->c, e) == -1)
		goto out;
	xset(&p->r->state, "answered");
	p->r->certificate = p->c->id;
	if (store_request_save(st, p->r, e) == -1 || store_vserver_get(st, p->r->vserver, &vs, e) == -1)
		goto out;
	*(p->r->second ? &vs.second : &vs.certificate) = p->c->id;
	vs.certificate_set = true;
	if (store_edit_begin(st, e) == -1)
		goto out;
	rc = store_vserver_save(st, &vs, e);
	name = vserver_full_name(p->j, vs.id);
	rc = store_edit_end(st, rc, e, "%s: %scertificate #%lld %s, the answer to request #%lld", name, p->r->second ? "second " : "", (long long)p->c->id,
	    p->c->cn ? p->c->cn : "-", (long long)p->r->id);
	free(name);
out:
	certificate_release(&old);
	vserver_release(&vs);
	return rc;
}

/* ca: more roots, or NULL. */
static int
process(struct journey *j, int64_t vserver, int64_t request, const void *mem, size_t len, const char *ca, unsigned how,
    struct str *summary, int64_t *certificate, struct err *e)
{
	struct request r = { .id = 0 };
	struct certificate c = { .id = 0 };
	struct str names = STR_INIT, warnings = STR_INIT;
	char *own = own_roots(j), *roots = xasprintf("%s%s", own ? own : "", ca ? ca : "");
	int rc = -1;

	free(own);
	if (find_request(j, vserver, request, mem, len, &r, e) == -1 || cert_read(mem, len, r.spki_sha256, &c, e) == -1 ||
	    subject_names(&r.subject, &names, e) == -1)
		goto out;
	if (cert_fits(&c, r.spki_sha256, names.s, roots, when_now(), &warnings, e) == -1) {
		hint_whose(j, r.id, c.spki_sha256, e);
		goto out;
	}
	if ((how & ANSWER_ANY_ISSUER) == 0 && cert_issuer_known(&c, roots, when_now(), e) == -1)
		goto out;
	r.second = r.second || (how & ANSWER_SECOND) != 0;
	if (certificate_kind_fits(j, r.vserver, c.key_type, r.second, e) == -1)
		goto out;
	certificate_summarise(&c, &warnings, summary);
	rc = 0;
	if ((how & ANSWER_COMMIT) == 0)
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
		str_addf(summary, "It is certificate #%lld now, assigned here%s. A push carries it to the host.\n", (long long)c.id,
		    r.second ? " as the second one" : "");
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
certificate_process(struct journey *j, int64_t vserver, int64_t request, const void *mem, size_t len, unsigned how,
    struct str *summary, int64_t *certificate, struct err *e)
{
	return process(j, vserver, request, mem, len, NULL, how, summary, certificate, e);
}

int
certificate_process_file(struct journey *j, int64_t vserver, int64_t request, const char *path, const char *ca, unsigned how,
    struct str *summary, int64_t *certificate, struct err *e)
{
	struct str text = STR_INIT, roots = STR_INIT;
	int rc = str_read_file(&text, path, CERT_MAX, e);

	if (rc == 0 && ca != NULL)
		rc = str_read_file(&roots, ca, CERT_MAX, e);
	if (rc == 0) {
		rc = process(j, vserver, request, text.s, text.len, roots.s, how, summary, certificate, e);
		if (rc == -1 && (e->code == RC_CERT || e->code == RC_PARSE || e->code == RC_LIMIT))
			err_wrap(e, "%s", clean(path));
	}
	str_release(&text);
	str_release(&roots);
	return rc;
}

/* --- assign, remove --- */

static int
bind(struct journey *j, int64_t vserver, int64_t certificate, bool second, const char *verb, const char *text, struct err *e)
{
	struct vserver vs = { .id = 0 };
	char *name = vserver_full_name(j, vserver);
	int rc = store_edit_begin(j->store, e);

	if (rc == -1)
		goto out;
	rc = store_vserver_get(j->store, vserver, &vs, e);
	if (rc == 0) {
		if (second || certificate == 0)
			vs.second = certificate;
		if (!second)
			vs.certificate = certificate;
		vs.certificate_set = true;
		rc = store_vserver_save(j->store, &vs, e);
	}
	if (rc == 0)
		rc = note_activity(j, NULL, verb, 0, e, text);
	rc = store_edit_end(j->store, rc, e, "%s: %s", name, certificate != 0 ? text : second ? "no second certificate any more" :
	    "no certificate of ours any more");
out:
	vserver_release(&vs);
	free(name);
	return rc;
}

int
certificate_assign(struct journey *j, int64_t vserver, int64_t certificate, bool second, struct err *e)
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
	if (certificate_kind_fits(j, vserver, c.key_type, second, e) == -1)
		goto out;
	str_addf(&text, "%scertificate #%lld %s", second ? "second " : "", (long long)c.id, c.cn ? c.cn : "-");
	rc = bind(j, vserver, certificate, second, "certificate-assign", text.s, e);
out:
	certificate_release(&c);
	vserver_release(&vs);
	str_release(&text);
	return rc;
}

int
certificate_remove(struct journey *j, int64_t vserver, bool second, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int rc = store_vserver_get(j->store, vserver, &vs, e);

	if (rc == 0 && second && vs.second == 0)
		rc = err_set(e, RC_NOTFOUND, "the virtual server has no second certificate");
	if (rc == 0)
		rc = bind(j, vserver, 0, second, "certificate-remove", second ? "second one unbound; it stays here" : "unbound; it stays here", e);
	vserver_release(&vs);
	return rc;
}
