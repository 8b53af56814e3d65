/* The office of an own authority: requests are submitted, approved or denied; certificates are revoked, and the list of the
 * revoked ones is made. A request of the wizard that is approved goes on as any answer does: it is processed and assigned. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define CSR_MAX (64 * 1024)

static int
needs_passphrase(struct journey *j, const struct authority *a, struct err *e)
{
	return journey_has_passphrase(j) ? 0
	    : err_set(e, RC_PASSPHRASE, "the key of %s is sealed: its passphrase is needed", clean(a->name));
}

int
authority_policy(struct journey *j, int64_t authority, const char *policy, struct err *e)
{
	struct authority a = { .id = 0 };
	char *text = NULL;
	int rc = -1;

	if (strcmp(policy, "always") != 0 && strcmp(policy, "ask") != 0) {
		err_set(e, RC_INVALID, "\"%s\" is no policy", clean(policy));
		return err_hint(e, "always: sign at once; ask: wait until somebody approves");
	}
	if (own_authority_get(j, authority, &a, e) == 0) {
		xset(&a.policy, policy);
		text = xasprintf("%s: %s", a.name, policy);
		rc = store_authority_save(j->store, &a, e);
	}
	if (rc == 0)
		rc = note_activity(j, NULL, "authority-policy", 0, e, text);
	free(text);
	authority_release(&a);
	return rc;
}

bool
authority_asks(struct journey *j, const char *name)
{
	struct authority a = { .id = 0 };
	bool asks = store_authority_by_name(j->store, name, &a, NULL) == 0 && text_eq(a.kind, "own") && text_eq(a.policy, "ask");

	authority_release(&a);
	return asks;
}

/* --- submitting --- */

/* The same key twice at one authority is a slip, not a wish. */
static int
not_waiting_already(struct journey *j, const struct submission *s, struct err *e)
{
	struct submission_list l = { NULL, 0 };
	int rc = store_submissions(j->store, s->authority, &l, e);
	size_t i;

	for (i = 0; i < l.n && rc == 0; i++)
		if (text_eq(l.v[i].state, "pending") && text_eq(l.v[i].spki_sha256, s->spki_sha256)) {
			rc = err_set(e, RC_EXISTS, "a request with this key waits there already, as #%lld", (long long)l.v[i].id);
			err_hint(e, "approve it, or deny it and submit this one");
		}
	submission_list_release(&l);
	return rc;
}

int
authority_submit(struct journey *j, int64_t authority, int64_t request, const void *mem, size_t len, int64_t *id, struct err *e)
{
	struct submission s = { .authority = authority, .request = request, .at = when_now() };
	struct request r = { .id = 0 };
	struct authority a = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (own_authority_get(j, authority, &a, e) == -1 || csr_read(mem, len, &r, e) == -1)
		goto out;
	s.who = xstrdup(store_who(j->store));
	str_addf(&text, "%s%s%s", r.subject.cn ? r.subject.cn : "", r.subject.o ? ", " : "", r.subject.o ? r.subject.o : "");
	s.subject = str_take(&text);
	s.san = r.subject.san ? xstrdup(r.subject.san) : NULL;
	s.spki_sha256 = r.spki_sha256 ? xstrdup(r.spki_sha256) : NULL;
	s.pem = xstrdup(r.pem);
	s.state = xstrdup("pending");
	if (not_waiting_already(j, &s, e) == -1 || store_submission_save(j->store, &s, e) == -1)
		goto out;
	*id = s.id;
	str_addf(&text, "submission #%lld of %s to %s", (long long)s.id, s.subject, a.name);
	rc = note_activity(j, NULL, "authority-submit", 0, e, text.s);
out:
	submission_release(&s);
	request_release(&r);
	authority_release(&a);
	str_release(&text);
	return rc;
}

int
authority_submit_file(struct journey *j, int64_t authority, const char *path, int64_t *id, struct err *e)
{
	struct str text = STR_INIT;
	int rc = str_read_file(&text, path, CSR_MAX, e);

	if (rc == 0 && (rc = authority_submit(j, authority, 0, text.s, text.len, id, e)) == -1)
		err_wrap(e, "%s", clean(path));
	str_release(&text);
	return rc;
}

/* --- deciding --- */

/* One that waits. Its authority comes with it. */
static int
pending_one(struct journey *j, int64_t id, struct submission *s, struct authority *a, struct err *e)
{
	if (store_submission_get(j->store, id, s, e) == -1 || own_authority_get(j, s->authority, a, e) == -1)
		return -1;
	if (text_eq(s->state, "pending"))
		return 0;
	err_set(e, RC_INVALID, "submission #%lld is %s already", (long long)id, s->state);
	return err_hint(e, "mxseal authority pending %s shows those that wait", clean(a->name));
}

struct decision { struct submission *s; struct issued *row; };

static int
issue_body(struct store *st, void *arg, struct err *e)
{
	struct decision *d = arg;

	if (store_issued_add(st, d->row, e) == -1)
		return -1;
	d->s->issued = d->row->id;
	return store_submission_save(st, d->s, e);
}

int
authority_approve(struct journey *j, int64_t id, struct str *pem, struct str *summary, struct err *e)
{
	struct submission s = { .id = 0 };
	struct authority a = { .id = 0 };
	struct issued row = { .id = 0 };
	struct request r = { .id = 0 };
	struct str text = STR_INIT;
	struct err own;
	int64_t certificate = 0;
	int rc = -1;

	if (pending_one(j, id, &s, &a, e) == -1 || needs_passphrase(j, &a, e) == -1)
		goto out;
	if (authority_issue(&a, &j->passphrase, s.pem, when_now(), pem, &row, e) == -1) {
		if (e->code == RC_PASSPHRASE)
			journey_passphrase(j, NULL);
		goto out;
	}
	row.authority = a.id;
	xset(&s.state, "issued");
	s.decided_at = when_now();
	if (store_tx(j->store, issue_body, &(struct decision){ &s, &row }, e) == -1)
		goto out;
	str_addf(&text, "submission #%lld: %s issued %s, serial %s", (long long)s.id, a.name, row.subject, row.serial);
	rc = 0;                                  /* it is issued: what fails from here on does not take that back */
	str_addf(summary, "%s issued %s, serial %s.\n", a.name, row.subject, row.serial);
	if (note_activity(j, NULL, "authority-issue", 0, &own, text.s) == -1)
		str_addf(summary, "! the activity could not be written: %s\n", own.text);
	if (s.request != 0 && store_request_get(j->store, s.request, &r, NULL) == 0 && text_eq(r.state, "pending") &&
	    certificate_process(j, r.vserver, r.id, pem->s, pem->len, ANSWER_COMMIT, summary, &certificate, &own) == -1)
		str_addf(summary, "! it is not assigned: %s\n", own.text);
out:
	submission_release(&s);
	authority_release(&a);
	issued_release(&row);
	request_release(&r);
	str_release(&text);
	return rc;
}

int
authority_deny(struct journey *j, int64_t id, const char *why, struct err *e)
{
	struct submission s = { .id = 0 };
	struct authority a = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (pending_one(j, id, &s, &a, e) == -1)
		goto out;
	xset(&s.state, "denied");
	xset(&s.why, text_empty(why) ? NULL : why);
	s.decided_at = when_now();
	str_addf(&text, "submission #%lld of %s to %s denied%s%s", (long long)s.id, s.subject, a.name, s.why ? ": " : "",
	    s.why ? s.why : "");
	rc = store_submission_save(j->store, &s, e);
	if (rc == 0)
		rc = note_activity(j, NULL, "authority-deny", 0, e, text.s);
out:
	submission_release(&s);
	authority_release(&a);
	str_release(&text);
	return rc;
}

/* --- revoking --- */

int
authority_revoke(struct journey *j, int64_t authority, const char *serial, const char *reason, struct err *e)
{
	const struct revocation_reason *why = revocation_reason_find(reason);
	struct authority a = { .id = 0 };
	struct issued row = { .id = 0 };
	struct str words = STR_INIT;
	int rc = -1;

	if (why == NULL) {
		for (why = revocation_reasons; why->name != NULL; why++)
			str_addf(&words, "%s%s", words.len ? ", " : "", why->name);
		err_set(e, RC_INVALID, "\"%s\" is no reason for a revocation", clean(reason));
		err_hint(e, "%s", words.s);
		goto out;
	}
	if (own_authority_get(j, authority, &a, e) == -1 ||
	    store_issued_by_serial(j->store, authority, serial, &row, e) == -1 ||
	    store_issued_revoke(j->store, row.id, when_now(), why->name, e) == -1)
		goto out;
	str_addf(&words, "%s revoked %s, serial %s: %s", a.name, row.subject, row.serial, why->name);
	rc = note_activity(j, NULL, "authority-revoke", 0, e, words.s);
out:
	authority_release(&a);
	issued_release(&row);
	str_release(&words);
	return rc;
}

int
authority_make_crl(struct journey *j, int64_t authority, int days, struct str *pem, size_t *revoked, struct err *e)
{
	struct authority a = { .id = 0 };
	struct issued_list l = { NULL, 0 };
	struct str text = STR_INIT;
	size_t i;
	int rc = -1;

	if (own_authority_get(j, authority, &a, e) == -1 || store_issued(j->store, authority, &l, e) == -1 ||
	    needs_passphrase(j, &a, e) == -1)
		goto out;
	if (authority_crl(&a, &j->passphrase, &l, a.crl_number + 1, days, when_now(), pem, e) == -1) {
		if (e->code == RC_PASSPHRASE)
			journey_passphrase(j, NULL);
		goto out;
	}
	a.crl_number++;                          /* another console that made one meanwhile has this number: the store refuses */
	if (store_authority_save(j->store, &a, e) == -1)
		goto out;
	for (i = 0, *revoked = 0; i < l.n; i++)
		*revoked += l.v[i].revoked_at != 0 && l.v[i].not_after > when_now();
	str_addf(&text, "%s: list %lld with %zu revoked", a.name, (long long)a.crl_number, *revoked);
	rc = note_activity(j, NULL, "authority-crl", 0, e, text.s);
out:
	if (rc == -1)
		str_reset(pem);
	authority_release(&a);
	issued_list_release(&l);
	str_release(&text);
	return rc;
}
