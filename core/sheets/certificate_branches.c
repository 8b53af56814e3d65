/* The certificate wizard: the state of a virtual server in one sentence, the branches it opens, and those of them that need no
 * new request: backups in and out, renewal, and the trash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "wizard.h"

struct wizard *
wizard_of(const struct form *f)
{
	return f->data;
}

bool
wizard_is(const struct form *f, const char *action)
{
	return strcmp(form_get(f, "action"), action) == 0;
}

bool
branch_has_pending(const struct form *f)
{
	const char *state = wizard_of(f)->state;

	return text_eq(state, "pending") || text_eq(state, "renewal");
}

bool
branch_has_installed(const struct form *f)
{
	const char *state = wizard_of(f)->state;

	return text_eq(state, "installed") || text_eq(state, "renewal");
}

bool
branch_renews_with_new_key(const struct form *f)
{
	return wizard_is(f, "renew") && strcmp(form_get(f, "renew-key"), "new") == 0;
}

/* A second one stands beside a first one; renewed and removed is one that is there. */
bool
branch_has_second(const struct form *f)
{
	const struct wizard *w = wizard_of(f);

	if (w->mine.id == 0)
		return false;
	if (wizard_is(f, "renew") || wizard_is(f, "remove"))
		return w->second.id != 0;
	return wizard_is(f, "new") || wizard_is(f, "assign") || wizard_is(f, "import");
}

bool
branch_is_second(const struct form *f)
{
	return branch_has_second(f) && form_yes(f, "second");
}

const struct certificate *
branch_certificate(const struct form *f)
{
	return branch_is_second(f) ? &wizard_of(f)->second : &wizard_of(f)->mine;
}

/* --- the state --- */

static void
add_request(const struct form *f, const struct request *r, struct str *out)
{
	struct authority a = { .id = 0 };
	char since[16];

	when_date(since, r->created_at);
	str_addf(out, "request #%lld for %s waits since %s", (long long)r->id, r->subject.cn, since);
	if (r->authority != 0 && store_authority_get(journey_store(f->journey), r->authority, &a, NULL) == 0)
		str_addf(out, " at %s", a.name);
	authority_release(&a);
}

/* "request #3 for mail.a.test waits since 2026-11-02, and 1 more" */
static void
add_requests(const struct form *f, struct str *out)
{
	struct request_list l = { NULL, 0 };
	size_t i, n = 0;

	if (store_requests(journey_store(f->journey), f->object, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		if (!text_eq(l.v[i].state, "pending"))
			continue;
		if (n++ == 0)
			add_request(f, &l.v[i], out);
	}
	if (n > 1)
		str_addf(out, ", and %zu more", n - 1);
	request_list_release(&l);
}

static void
add_installed(const struct form *f, struct str *out)
{
	const struct wizard *w = wizard_of(f);
	struct certificate found = { .id = 0 };
	char until[16];

	if (w->mine.id != 0) {
		when_date(until, w->mine.not_after);
		str_addf(out, "certificate #%lld for %s is %s, good until %s", (long long)w->mine.id,
		    w->mine.cn ? clean(w->mine.cn) : "-", text_eq(w->vs.served_sha256, w->mine.sha256) ? "installed" :
		    "assigned and not served yet", until);
	} else if (w->vs.cert_pem != NULL && cert_describe(w->vs.cert_pem, &found, NULL) == 0) {
		when_date(until, found.not_after);
		str_addf(out, "no certificate of ours; the host is configured with %s, until %s", clean(found.subject), until);
	} else
		str_add(out, "no certificate is installed");
	certificate_release(&found);
}

/* One sentence: what is installed, and what waits beside it. */
static void
state_sentence(const struct form *f, struct str *out)
{
	add_installed(f, out);
	if (wizard_of(f)->second.id != 0) {
		char until[16];

		when_date(until, wizard_of(f)->second.not_after);
		str_addf(out, "; beside it #%lld with an %s key, until %s", (long long)wizard_of(f)->second.id, wizard_of(f)->second.key_type, until);
	}
	if (branch_has_pending(f)) {
		str_add(out, "; ");
		add_requests(f, out);
	}
	str_addc(out, '.');
	if (out->s[0] >= 'a' && out->s[0] <= 'z')
		out->s[0] = (char)(out->s[0] - 'a' + 'A');
}

/* --- choices --- */

static bool
lives_here(const struct form *f)
{
	return !text_empty(wizard_of(f)->mine.sealed_key);
}

static bool
in_trash(const struct form *f)
{
	struct choice_list l = { NULL, 0 };
	bool yes;

	branches_dropped(f, &l);
	yes = l.n > 0;
	choice_list_release(&l);
	return yes;
}

/* Can another one be assigned: its key on this host, or kept here? */
static bool
can_assign(const struct form *f)
{
	struct certificate_list l = { NULL, 0 };
	bool yes = false;

	if (store_certificates(journey_store(f->journey), &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++)
			yes = yes || l.v[i].key_server == wizard_of(f)->server.id || !text_empty(l.v[i].sealed_key);
	certificate_list_release(&l);
	return yes;
}

void
branches_actions(const struct form *f, struct choice_list *out)
{
	bool installed = branch_has_installed(f), pending = branch_has_pending(f);

	if (certificate_unfinished(f->journey, f->object) != 0)
		choice_list_add(out, "resume", "Go on with the order that waits at its ACME authority");
	if (pending)
		choice_list_add(out, "process", "Process the pending request and install the certificate");
	if (installed && wizard_of(f)->mine.id != 0)
		choice_list_add(out, "renew", "Renew the certificate, with the same names");
	choice_list_add(out, "new", installed ? "Replace it by a new certificate" : "Create a new certificate");
	if (can_assign(f))
		choice_list_add(out, "assign", "Assign an existing certificate");
	choice_list_add(out, "import", "Import a certificate from a backup (PKCS#12, PEM)");
	if (installed && lives_here(f))
		choice_list_add(out, "export", "Export the certificate with its key to a file");
	if (pending)
		choice_list_add(out, "drop", "Drop the pending request (its key is kept, it can be restored)");
	if (in_trash(f))
		choice_list_add(out, "restore", "Restore a request from the trash");
	if (installed)
		choice_list_add(out, "remove", "Remove the certificate from the virtual server (it can be assigned again)");
}

void
branches_requests(const struct form *f, const char *state, const char *since, struct choice_list *out)
{
	struct request_list l = { NULL, 0 };
	char id[24], *label, date[16];
	size_t i;

	if (store_requests(journey_store(f->journey), f->object, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		if (!text_eq(l.v[i].state, state))
			continue;
		snprintf(id, sizeof(id), "%lld", (long long)l.v[i].id);
		when_date(date, l.v[i].created_at);
		label = xasprintf("#%s %s, %s %s", id, l.v[i].subject.cn, since, date);
		choice_list_add(out, id, label);
		free(label);
	}
	request_list_release(&l);
}

void
branches_dropped(const struct form *f, struct choice_list *out)
{
	branches_requests(f, "dropped", "of", out);
}

/* --- backups --- */

static void
form_secret(const struct form *f, const char *name, struct secret *out)
{
	const char *text = form_get(f, name);

	if (*text != '\0')
		secret_set(out, text, strlen(text));
}

static char *
digest_of(const struct form *f)
{
	struct str s = STR_INIT;
	char hex[65];

	str_addf(&s, "%s\n%s\n%s", form_get(f, "backup"), form_get(f, "key-file"), form_get(f, "file-passphrase"));
	sha256_hex(s.s, s.len, hex);
	str_wipe(&s);
	return xstrdup(hex);
}

/* The backup as it is named now; looked at again only when that has changed. */
static struct looked_backup *
look_at_backup(const struct form *f)
{
	struct looked_backup *b = &wizard_of(f)->backup;
	struct backup_file in = { .path = form_get(f, "backup"), .key_path = form_get(f, "key-file") };
	struct secret passphrase = { NULL, 0 };
	char *with = digest_of(f);

	if (text_eq(b->with, with)) {
		free(with);
		return b;
	}
	free(b->with);
	b->with = with;
	backup_view_release(&b->view);
	form_secret(f, "file-passphrase", &passphrase);
	in.passphrase = &passphrase;
	b->rc = backup_look(f->journey, f->object, &in, &b->view, &b->err);
	secret_release(&passphrase);
	return b;
}

bool
branch_backup_is_weak(const struct form *f)
{
	return wizard_is(f, "import") && wizard_of(f)->backup.view.weak != NULL;
}

/* Its passphrase is asked for on the screen where it needs one, or once one was typed. */
bool
branch_backup_is_locked(const struct form *f)
{
	return wizard_is(f, "import") && (wizard_of(f)->backup.view.locked || *form_get(f, "file-passphrase") != '\0');
}

/* A locked one is fine here: its passphrase is a field of its own. */
int
branch_check_backup(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct looked_backup *b;
	struct stat st;

	if (stat(value, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, RC_INVALID, "%s is not a file", clean(value));
	b = look_at_backup(f);
	if (b->rc == -1 && b->view.locked)
		str_add(note, "it needs its passphrase");
	else if (b->rc == -1) {
		*e = b->err;
		return -1;
	} else
		str_addf(note, "it has the certificate of %s and its key", b->view.names ? clean(b->view.names) : "-");
	return 0;
}

/* Whatever else is wrong with the file is said at the file. */
int
branch_check_passphrase(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct looked_backup *b = look_at_backup(f);

	(void)value;
	(void)note;
	if (b->rc == 0 || !b->view.locked)
		return 0;
	*e = b->err;
	return -1;
}

int
branch_check_weak(const struct form *f, const char *value, struct str *note, struct err *e)
{
	const char *weak = look_at_backup(f)->view.weak;

	(void)note;
	if (weak == NULL || strcmp(value, "yes") == 0)
		return 0;
	return err_set(e, RC_CERT, "it is encrypted with %s: say yes to import it all the same", weak);
}

int
branch_check_key_file(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	(void)note;
	if (access(value, R_OK) == -1)
		return err_set(e, RC_INVALID, "%s cannot be read", clean(value));
	return 0;
}

int
branch_check_export(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	if (str_can_write_file(value, e) == -1)
		return -1;
	if (access(value, F_OK) == 0)
		str_add(note, "this file is there already and will be replaced");
	return 0;
}

/* Once more at the end: the file may have been replaced, and a draft comes back without its passphrase. */
static int
check_import(const struct form *f, const char **field, struct err *e)
{
	const struct looked_backup *b = look_at_backup(f);

	if (b->rc == 0) {
		*field = "accept-weak";
		return branch_check_weak(f, form_get(f, "accept-weak"), NULL, e);
	}
	*field = b->view.locked ? "file-passphrase" : "backup";
	*e = b->err;
	return -1;
}

static int
check_export_passphrase(const struct form *f, const char **field, struct err *e)
{
	struct secret s = { NULL, 0 };
	int rc;

	form_secret(f, "new-passphrase", &s);
	*field = "new-passphrase";
	rc = backup_passphrase_check(&s, e);
	if (rc == 0 && strcmp(form_get(f, "new-passphrase"), form_get(f, "again")) != 0) {
		*field = "again";
		rc = err_set(e, RC_INVALID, "the two passphrases differ");
	}
	secret_release(&s);
	return rc;
}

int
branches_check(const struct form *f, const char **field, struct err *e)
{
	const char *at = NULL;
	int rc = 0;

	if (wizard_is(f, "import"))
		rc = check_import(f, &at, e);
	else if (wizard_is(f, "export"))
		rc = check_export_passphrase(f, &at, e);
	if (rc == -1 && field != NULL)
		*field = at;
	return rc;
}

/* --- from the store into the form, and its end --- */

int
branches_load(struct form *f, struct err *e)
{
	struct wizard *w = wizard_of(f);
	struct choice_list l = { NULL, 0 };
	struct str s = STR_INIT;
	enum key_kind kind;
	char *file;

	str_init(&w->backup.view.summary, 0);
	if (w->vs.certificate_set && w->vs.certificate != 0 &&
	    store_certificate_get(journey_store(f->journey), w->vs.certificate, &w->mine, e) == -1)
		return -1;
	if (w->mine.id != 0 && key_kind_of(w->mine.key_type, w->mine.key_bits, &kind) == 0)
		(void)form_set(f, "key", key_kind_name(kind), NULL);
	if (w->mine.id != 0 && w->vs.second != 0 && store_certificate_get(journey_store(f->journey), w->vs.second, &w->second, e) == -1)
		return -1;
	state_sentence(f, &s);
	(void)form_set(f, "state-now", s.s, NULL);
	str_release(&s);
	branches_dropped(f, &l);
	if (l.n > 0)
		(void)form_set(f, "dropped", l.v[0].name, NULL);
	choice_list_release(&l);
	file = xasprintf("%s-%s.p12", w->server.name, w->vs.is_default ? "smtp" : w->vs.name);
	(void)form_set(f, "export", file, NULL);
	free(file);
	return 0;
}

void
branches_free(struct wizard *w)
{
	certificate_release(&w->mine);
	certificate_release(&w->second);
	backup_view_release(&w->backup.view);
	free(w->backup.with);
}

static void
preview_import(const struct form *f, struct str *out)
{
	const struct looked_backup *b = &wizard_of(f)->backup;
	char *with = digest_of(f);

	if (!text_eq(b->with, with) || *form_get(f, "backup") == '\0')
		str_add(out, "A backup has the certificate, its chain and its key: PKCS#12 (.p12, .pfx) or PEM. The key is sealed in the store "
		    "here, under your passphrase; pushes carry it to the host, into /var/lib/mxseal/keys (0600).\n");
	else if (b->rc == -1)
		str_addf(out, "%s%s\n", b->view.locked ? "" : "! ", b->err.text);
	else
		str_addf(out, "%s\nIts key is sealed here; a push carries it to %s.\n", b->view.summary.s, wizard_of(f)->server.name);
	free(with);
}

static void
preview_renew(const struct form *f, struct str *out)
{
	const struct wizard *w = wizard_of(f);
	const struct certificate *c = branch_certificate(f);
	bool now = strcmp(form_get(f, "when"), "now") == 0;
	char until[16];

	when_date(until, c->not_after);
	str_addf(out, "Renews #%lld %s (until %s), for the same names:\n%s\n\n", (long long)c->id,
	    c->cn ? clean(c->cn) : "-", until, c->san ? clean(c->san) : "-");
	str_add(out, "What will happen, in order\n");
	if (branch_renews_with_new_key(f))
		str_addf(out, "  1 %s: a new key under /var/lib/mxseal/keys, 0600 root\n", w->server.name);
	else
		str_addf(out, "  1 the key that is in use stays: %s\n", !text_empty(c->sealed_key) ? "it is kept here, sealed" :
		    c->key_path);
	str_addf(out, "  2 a request is made, beside what is in use\n");
	if (now && authority_asks(f->journey, form_get(f, "authority")))
		str_addf(out, "  3 it waits at %s until somebody approves it\n", form_get(f, "authority"));
	else if (now)
		str_addf(out, "  3 %s signs; the answer is checked and assigned\n", form_get(f, "authority"));
	else
		str_addf(out, "  3 it is written to %s and waits for its answer\n", form_get(f, "out"));
	str_addf(out, "\nNothing that is in use on %s changes before a push.\n", w->server.name);
}

bool
branches_preview(const struct form *f, struct str *out)
{
	if (wizard_is(f, "import"))
		preview_import(f, out);
	else if (wizard_is(f, "renew"))
		preview_renew(f, out);
	else if (wizard_is(f, "export"))
		str_addf(out, "Certificate #%lld, its chain and its key go into one file: PKCS#12, AES-256 under PBKDF2, mode 0600. OpenSSL reads it, "
		    "and Windows since 10 (1709) and Server 2019.\n", (long long)wizard_of(f)->mine.id);
	else if (wizard_is(f, "restore"))
		str_add(out, "The request waits for its answer again, with the key it had.\n");
	else
		return false;
	return true;
}

bool
branches_command(const struct form *f, struct str *out)
{
	if (wizard_is(f, "import")) {
		str_addf(out, "mxseal cert import %s ", f->object_name);
		str_add_word(out, form_get(f, "backup"));
		if (*form_get(f, "key-file") != '\0') {
			str_add(out, " --key ");
			str_add_word(out, form_get(f, "key-file"));
		}
		str_addf(out, "%s%s", branch_is_second(f) ? " --second" : "", form_yes(f, "accept-weak") ? " --accept-weak" : "");
	} else if (wizard_is(f, "renew")) {
		str_addf(out, "mxseal cert renew %s%s ", f->object_name, branch_is_second(f) ? " --second" : "");
		if (branch_renews_with_new_key(f)) {
			str_add(out, "--new-key --key ");
			str_add_word(out, form_get(f, "key"));
			str_addc(out, ' ');
		}
		str_add(out, strcmp(form_get(f, "when"), "now") == 0 ? "--authority " : "--out ");
		str_add_word(out, form_get(f, strcmp(form_get(f, "when"), "now") == 0 ? "authority" : "out"));
	} else if (wizard_is(f, "export")) {
		str_addf(out, "mxseal cert export %lld --out ", (long long)wizard_of(f)->mine.id);
		str_add_word(out, form_get(f, "export"));
	} else if (wizard_is(f, "restore"))
		str_addf(out, "mxseal cert restore-request %s", form_get(f, "dropped"));
	else
		return false;
	return true;
}

static int
import(struct form *f, struct err *e)
{
	struct secret passphrase = { NULL, 0 };
	struct backup_file in = { .path = form_get(f, "backup"), .key_path = form_get(f, "key-file"), .passphrase = &passphrase };
	int rc;

	form_secret(f, "file-passphrase", &passphrase);
	rc = certificate_import(f->journey, f->object, &in, NULL, form_yes(f, "accept-weak"), branch_is_second(f), &f->result, &f->result_id, e);
	secret_release(&passphrase);
	return rc;
}

static int
export(struct form *f, struct err *e)
{
	struct secret passphrase = { NULL, 0 };
	int rc;

	form_secret(f, "new-passphrase", &passphrase);
	rc = certificate_export(f->journey, wizard_of(f)->mine.id, form_get(f, "export"), &passphrase, e);
	if (rc == 0)
		str_addf(&f->result, "Certificate #%lld and its key are in %s.\n", (long long)wizard_of(f)->mine.id, form_get(f, "export"));
	secret_release(&passphrase);
	return rc;
}

/* The names and the subject stay. */
static int64_t
renew(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	const struct certificate *c = branch_certificate(f);
	enum key_kind kind;
	struct subject s = { .cn = NULL };
	int rc = cert_subject(c->pem, &s, e);

	if (rc == 0) {
		(void)form_set(f, "cn", s.cn ? s.cn : c->cn ? c->cn : "", NULL);
		(void)form_set(f, "o", s.o ? s.o : "", NULL);
		(void)form_set(f, "ou", s.ou ? s.ou : "", NULL);
		(void)form_set(f, "country", s.c ? s.c : "", NULL);
		(void)form_set(f, "state", s.st ? s.st : "", NULL);
		(void)form_set(f, "locality", s.l ? s.l : "", NULL);
		(void)form_set(f, "san", s.san ? s.san : "", NULL);
		(void)form_set(f, "second", branch_is_second(f) ? "yes" : "no", NULL);
		if (branch_is_second(f) && key_kind_of(c->key_type, c->key_bits, &kind) == 0)
			(void)form_set(f, "key", key_kind_name(kind), NULL);
		if (*form_get(f, "name") == '\0')
			(void)form_set(f, "name", c->name ? c->name : "", NULL);
	}
	subject_release(&s);
	return rc == -1 ? -1 : certificate_request_again(f->journey, f, c->id, !branch_renews_with_new_key(f), done, arg, e);
}

bool
branches_start(struct form *f, sheet_done_fn *done, void *arg, int64_t *job, struct err *e)
{
	int rc;

	if (wizard_is(f, "renew")) {
		*job = renew(f, done, arg, e);
		return true;
	}
	if (wizard_is(f, "import"))
		rc = import(f, e);
	else if (wizard_is(f, "export"))
		rc = export(f, e);
	else if (wizard_is(f, "restore")) {
		rc = request_drop(f->journey, strtoll(form_get(f, "dropped"), NULL, 10), true, e);
		str_add(&f->result, rc == 0 ? "The request waits for its answer again.\n" : "");
	} else
		return false;
	*job = sheet_finish(done, arg, rc, e);
	return true;
}
