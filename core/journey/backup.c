/* The story of backups: a certificate comes in with its key, which is sealed here and carried to hosts by their pushes (keys.c);
 * one whose key lives here goes out again. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

void
backup_view_release(struct backup_view *v)
{
	free(v->weak);
	free(v->names);
	str_release(&v->summary);
	*v = (struct backup_view){ .weak = NULL, .summary = STR_INIT };
}

/* What is not a file is not opened: a pipe would be waited for. The text is wiped by the caller. */
static int
file_text(const char *path, struct str *out, struct err *e)
{
	struct stat st;

	if (text_empty(path))
		return 0;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, RC_INVALID, "%s is not a file", clean(path));
	return str_read_file(out, path, CERT_MAX, e);
}

/* The file opened. Its own passphrase, when missing or wrong, is a refused field: RC_PASSPHRASE means that of the store. */
static int
open_backup(const struct backup_file *in, struct backup *b, struct backup_view *v, struct err *e)
{
	struct str text = STR_INIT, key = STR_INIT;
	int rc = file_text(in->path, &text, e);

	if (rc == 0)
		rc = file_text(in->key_path, &key, e);
	if (rc == 0) {
		rc = backup_read(text.s, text.len, key.s, key.len, in->passphrase, b, e);
		v->locked = rc == -1 && e->code == RC_PASSPHRASE;
		if (v->locked)
			e->code = RC_INVALID;
		if (rc == -1)
			err_wrap(e, "%s", clean(in->path));
	}
	str_wipe(&text);
	str_wipe(&key);
	return rc;
}

static void
warn_openness(const struct backup *b, const char *path, struct str *out)
{
	if (b->weak != NULL)
		str_addf(out, "! %s is encrypted with %s: who had the file can have the key\n", clean(path), b->weak);
	else if (b->clear)
		str_addf(out, "! the key stands in %s without encryption: remove the file when it is not needed any more\n", clean(path));
}

/* The name said in EHLO, when the certificate does not have it. */
static void
warn_ehlo(struct journey *j, int64_t vserver, const struct certificate *c, struct str *out)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	char **w = words_split(c->san ? c->san : "", " ", NULL);
	bool covered = false;

	if (store_vserver_get(j->store, vserver, &vs, NULL) == 0 && store_server_get(j->store, vs.server, &sv, NULL) == 0 &&
	    sv.host_name != NULL) {
		for (size_t i = 0; w[i] != NULL; i++)
			covered = covered || name_covers(w[i], sv.host_name);
		if (!covered)
			str_addf(out, "%s, the name that %s says in EHLO, is not covered\n", clean(sv.host_name), sv.name);
	}
	words_free(w);
	vserver_release(&vs);
	server_release(&sv);
}

/* Opens, and judges the certificate as an answer is judged. c is filled. */
static int
judge(struct journey *j, int64_t vserver, const struct backup_file *in, struct backup *b, struct certificate *c,
    struct backup_view *v, struct err *e)
{
	struct str warnings = STR_INIT;
	char *roots = own_roots(j);
	int rc = open_backup(in, b, v, e);

	if (rc == -1)
		goto out;
	rc = cert_read(b->pem.s, b->pem.len, b->spki_sha256, c, e);
	if (rc == 0)
		rc = cert_fits(c, b->spki_sha256, "", roots, when_now(), &warnings, e);
	if (rc == -1) {
		err_wrap(e, "%s", clean(in->path));
		goto out;
	}
	warn_ehlo(j, vserver, c, &warnings);
	certificate_summarise(c, &warnings, &v->summary);
	warn_openness(b, in->path, &v->summary);
	xset(&v->weak, b->weak);
	xset(&v->names, c->san);
	v->in_clear = b->clear;
out:
	str_release(&warnings);
	free(roots);
	return rc;
}

int
backup_look(struct journey *j, int64_t vserver, const struct backup_file *in, struct backup_view *v, struct err *e)
{
	struct certificate c = { .id = 0 };
	struct backup b = { .weak = NULL };
	int rc = judge(j, vserver, in, &b, &c, v, e);

	backup_release(&b);
	certificate_release(&c);
	return rc;
}

/* Into the store: the certificate as it may be known already, its key sealed, bound to the virtual server. */
struct import { struct journey *j; int64_t vserver; struct certificate *c; bool second; };

static int
import_body(struct store *st, void *arg, struct err *e)
{
	struct import *m = arg;
	struct certificate old = { .id = 0 };
	struct vserver vs = { .id = 0 };
	char *name = NULL;
	int rc = -1;

	if (store_certificate_by_sha256(st, m->c->sha256, &old, NULL) == 0) {
		m->c->id = old.id;               /* its key lives here from now on, wherever else it is */
		m->c->rev = old.rev;
		m->c->created_at = old.created_at;
		m->c->authority = old.authority;
		m->c->request = old.request;
	}
	if (store_certificate_save(st, m->c, e) == -1 || store_vserver_get(st, m->vserver, &vs, e) == -1)
		goto out;
	*(m->second ? &vs.second : &vs.certificate) = m->c->id;
	vs.certificate_set = true;
	if (store_edit_begin(st, e) == -1)
		goto out;
	rc = store_vserver_save(st, &vs, e);
	name = vserver_full_name(m->j, vs.id);
	rc = store_edit_end(st, rc, e, "%s: %scertificate #%lld %s, imported", name, m->second ? "second " : "", (long long)m->c->id, m->c->cn ? m->c->cn : "-");
out:
	free(name);
	certificate_release(&old);
	vserver_release(&vs);
	return rc;
}

static int
seal_key(struct journey *j, const struct backup *b, struct certificate *c, struct err *e)
{
	struct str sealed = STR_INIT;
	int rc;

	if (!journey_has_passphrase(j))
		return err_set(e, RC_PASSPHRASE, "sealing the key of %s: %s", c->cn ? clean(c->cn) : "it",
		    sealed_keys_exist(j) ? "the store's passphrase" : "choose a passphrase");
	rc = passphrase_fits(j, e);
	if (rc == 0)
		rc = seal(&b->key, &j->passphrase, &sealed, e);
	if (rc == 0)
		xset(&c->sealed_key, sealed.s);
	str_release(&sealed);
	return rc;
}

int
certificate_import(struct journey *j, int64_t vserver, const struct backup_file *in, const char *name, bool accept_weak, bool second,
    struct str *summary, int64_t *certificate, struct err *e)
{
	struct backup_view v = { .summary = STR_INIT };
	struct certificate c = { .id = 0 };
	struct backup b = { .weak = NULL };
	struct str text = STR_INIT;
	int rc = judge(j, vserver, in, &b, &c, &v, e);

	if (rc == 0 && b.weak != NULL && !accept_weak) {
		err_set(e, RC_CERT, "%s is encrypted with %s: who had the file can have the key", clean(in->path), b.weak);
		rc = err_hint(e, "a certificate with a new key is better; to import it all the same: --accept-weak");
	}
	if (rc == 0)
		rc = certificate_kind_fits(j, vserver, c.key_type, second, e);
	if (rc == 0)
		rc = seal_key(j, &b, &c, e);
	if (rc == -1)
		goto out;
	xset(&c.name, text_empty(name) ? c.cn : name);
	c.key_path = key_path_for(c.spki_sha256);
	c.created_at = when_now();
	rc = store_tx(j->store, import_body, &(struct import){ j, vserver, &c, second }, e);
	if (rc == -1)
		goto out;
	*certificate = c.id;
	str_addn(summary, v.summary.s, v.summary.len);
	str_addf(summary, "It is certificate #%lld now, assigned here%s, its key sealed in the store. A push carries both to the host.\n",
	    (long long)c.id, second ? " as the second one" : "");
	str_addf(&text, "certificate #%lld for %s from a backup%s%s", (long long)c.id, c.cn ? c.cn : "-",
	    b.weak != NULL ? ", weakly encrypted: " : "", b.weak != NULL ? b.weak : "");
	rc = note_activity(j, NULL, "certificate-import", 0, e, text.s);
out:
	backup_view_release(&v);
	backup_release(&b);
	certificate_release(&c);
	str_release(&text);
	return rc;
}

/* --- out --- */

int
certificate_exportable(struct journey *j, int64_t certificate, struct err *e)
{
	struct certificate c = { .id = 0 };
	struct server sv = { .id = 0 };
	int rc = store_certificate_get(j->store, certificate, &c, e);

	if (rc == 0 && text_empty(c.sealed_key)) {
		if (c.key_server != 0)
			(void)store_server_get(j->store, c.key_server, &sv, NULL);
		err_set(e, RC_CERT, "the key of certificate #%lld was made on %s and never leaves it", (long long)c.id,
		    sv.name ? sv.name : "its host");
		rc = err_hint(e, "only keys that live here, those that were imported, can be exported");
	}
	certificate_release(&c);
	server_release(&sv);
	return rc;
}

int
certificate_export(struct journey *j, int64_t certificate, const char *path, const struct secret *passphrase, struct err *e)
{
	struct certificate c = { .id = 0 };
	struct secret key = { NULL, 0 };
	struct str out = STR_INIT, text = STR_INIT;
	int rc = -1;

	if (certificate_exportable(j, certificate, e) == -1 || str_can_write_file(path, e) == -1 ||
	    backup_passphrase_check(passphrase, e) == -1 || store_certificate_get(j->store, certificate, &c, e) == -1 ||
	    sealed_key_open(j, &c, &key, e) == -1 || backup_write(c.pem, &key, c.name, passphrase, &out, e) == -1 ||
	    str_write_file(path, out.s, out.len, 0600, e) == -1)
		goto out;
	str_addf(&text, "certificate #%lld with its key, to %s", (long long)c.id, clean(path));
	rc = note_activity(j, NULL, "certificate-export", 0, e, text.s);
out:
	secret_release(&key);
	certificate_release(&c);
	str_wipe(&out);
	str_release(&text);
	return rc;
}

int
backup_passphrase_check(const struct secret *s, struct err *e)
{
	if (secret_is_set(s) && s->len >= BACKUP_PASSPHRASE_MIN)
		return 0;
	err_set(e, RC_INVALID, "the passphrase of a backup takes %d characters at least", BACKUP_PASSPHRASE_MIN);
	return err_hint(e, "it is all that stands between the file and the key");
}
