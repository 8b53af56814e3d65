/* The own authority's part of the certificate story: its key lies sealed in the store (sealed.c). */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"

/* It signs here: one whose key is an account's elsewhere cannot. */
static int
is_own(const struct authority *a, struct err *e)
{
	return text_eq(a->kind, "own") ? 0 : err_set(e, RC_INVALID, "%s is no authority of our own", clean(a->name));
}

int
own_authority_get(struct journey *j, int64_t id, struct authority *out, struct err *e)
{
	return store_authority_get(j->store, id, out, e) == -1 ? -1 : is_own(out, e);
}

int
authority_add_own(struct journey *j, const struct authority_wish *wish, const char *parent, int64_t *id, struct err *e)
{
	struct authority_wish w = *wish;
	struct authority a = { .id = 0 }, above = { .id = 0 };
	int rc = -1;

	w.parent = NULL;
	if (store_authority_by_name(j->store, w.name, &a, NULL) == 0) {
		err_set(e, RC_EXISTS, "there is an authority %s already", clean(w.name));
		goto out;
	}
	if (subject_field_check("cn", w.cn, e) == -1)
		goto out;
	if (!text_empty(parent)) {
		if (store_authority_by_name(j->store, parent, &above, e) == -1 || is_own(&above, e) == -1)
			goto out;
		w.parent = &above;
	}
	if (!journey_has_passphrase(j)) {
		err_set(e, RC_PASSPHRASE, "the key of %s will be sealed: choose a passphrase", clean(w.name));
		goto out;
	}
	if (passphrase_fits(j, e) == -1)
		goto out;
	if (authority_make(&w, &j->passphrase, when_now(), &a, e) == -1 || store_authority_save(j->store, &a, e) == -1)
		goto out;
	*id = a.id;
	rc = note_activity(j, NULL, "authority-add", 0, e, w.name);
out:
	authority_release(&a);
	authority_release(&above);
	return rc;
}

/* --- new dates --- */

/* The one in the list that signed it; NULL: it is a root, or that one is not kept here. */
static const struct authority *
above_of(const struct authority_list *l, const struct authority *a)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].id != a->id && authority_is_above(&l->v[i], a))
			return &l->v[i];
	return NULL;
}

struct rechaining { struct authority *a; struct authority_list *all; };

/* Itself, and the chains of those below it. */
static int
renewal_body(struct store *st, void *arg, struct err *e)
{
	struct rechaining *r = arg;
	size_t i;

	if (store_authority_save(st, r->a, e) == -1)
		return -1;
	for (i = 0; i < r->all->n; i++) {
		struct authority *below = &r->all->v[i];

		if (below->id == r->a->id || text_empty(below->sealed_key) || !authority_is_above(r->a, below))
			continue;
		if (authority_rechain(below, r->a, e) == -1 || store_authority_save(st, below, e) == -1)
			return -1;
	}
	return 0;
}

int
authority_renew_own(struct journey *j, int64_t authority, int days, struct err *e)
{
	struct authority_list l = { NULL, 0 };
	struct authority a = { .id = 0 };
	struct str text = STR_INIT, permits = STR_INIT;
	const struct authority *above;
	bool root;
	char date[16];
	int rc = -1;

	if (own_authority_get(j, authority, &a, e) == -1 || store_authorities(j->store, &l, e) == -1)
		goto out;
	above = above_of(&l, &a);
	authority_limits(&a, &permits, &root);
	if (above == NULL && !root) {
		err_set(e, RC_NOTFOUND, "the authority that signed %s is not kept here", clean(a.name));
		goto out;
	}
	if (!journey_has_passphrase(j)) {
		err_set(e, RC_PASSPHRASE, "the key of %s is sealed: its passphrase is needed", clean(a.name));
		goto out;
	}
	if (authority_renew(&a, above, &j->passphrase, days, when_now(), e) == -1) {
		passphrase_wrong(j, e);
		goto out;
	}
	if (store_tx(j->store, renewal_body, &(struct rechaining){ &a, &l }, e) == -1)
		goto out;
	when_date(date, a.not_after);
	str_addf(&text, "%s, until %s", a.name, date);
	rc = note_activity(j, NULL, "authority-renew", 0, e, text.s);
out:
	authority_list_release(&l);
	authority_release(&a);
	str_release(&text);
	str_release(&permits);
	return rc;
}

int
authority_sign(struct journey *j, int64_t authority, const char *csr_pem, struct str *pem, struct err *e)
{
	struct authority a = { .id = 0 };
	struct issued row = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (own_authority_get(j, authority, &a, e) == -1)
		goto out;
	if (!journey_has_passphrase(j)) {
		err_set(e, RC_PASSPHRASE, "the key of %s is sealed: its passphrase is needed", a.name);
		goto out;
	}
	if (authority_issue(&a, &j->passphrase, csr_pem, when_now(), pem, &row, e) == -1) {
		passphrase_wrong(j, e);
		goto out;
	}
	row.authority = a.id;
	if (store_issued_add(j->store, &row, e) == -1)
		goto out;
	str_addf(&text, "%s issued %s, serial %s", a.name, row.subject ? row.subject : "-", row.serial ? row.serial : "-");
	rc = note_activity(j, NULL, "authority-issue", 0, e, text.s);
out:
	authority_release(&a);
	issued_release(&row);
	str_release(&text);
	return rc;
}

int
authority_ready(struct journey *j, const char *name, struct err *e)
{
	struct authority a = { .id = 0 };
	int rc = store_authority_by_name(j->store, name, &a, e);

	if (rc == 0)
		rc = is_own(&a, e);
	if (rc == 0 && !journey_has_passphrase(j))
		rc = err_set(e, RC_PASSPHRASE, "the key of %s is sealed: its passphrase is needed", clean(a.name));
	else if (rc == 0 && (rc = authority_opens(&a, &j->passphrase, when_now(), e)) == -1)
		passphrase_wrong(j, e);
	authority_release(&a);
	return rc;
}
