/* The own authority's part of the certificate story: its key lies sealed in the store, all such keys under one passphrase, which
 * the journey keeps while the program runs. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"

/* A wrong one must be asked for again. */
static void
forget_wrong_passphrase(struct journey *j, const struct err *e)
{
	if (e->code == RC_PASSPHRASE)
		journey_passphrase(j, NULL);
}

/* One authority whose key is sealed here, or NULL. */
static const struct authority *
a_sealed_one(const struct authority_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (!text_empty(l->v[i].sealed_key))
			return &l->v[i];
	return NULL;
}

bool
sealed_keys_exist(struct journey *j)
{
	struct authority_list l = { NULL, 0 };
	bool yes = store_authorities(j->store, &l, NULL) == 0 && a_sealed_one(&l) != NULL;

	authority_list_release(&l);
	return yes;
}

/* A slip of the finger must not seal one key with another passphrase than the rest. */
int
passphrase_is_ours(struct journey *j, struct err *e)
{
	struct authority_list l = { NULL, 0 };
	struct secret key = { NULL, 0 };
	const struct authority *a;
	int rc = store_authorities(j->store, &l, e);

	a = rc == 0 ? a_sealed_one(&l) : NULL;
	if (a != NULL)
		rc = unseal(a->sealed_key, &j->passphrase, &key, e);
	if (rc == -1 && e->code == RC_PASSPHRASE)
		err_set(e, RC_PASSPHRASE, "this is not the passphrase of the keys kept here, such as that of %s", clean(a->name));
	if (rc == -1)
		forget_wrong_passphrase(j, e);
	secret_release(&key);
	authority_list_release(&l);
	return rc;
}

int
authority_add_own(struct journey *j, const char *name, const char *cn, const char *key, int days, int64_t *id, struct err *e)
{
	struct authority a = { .id = 0 };
	enum key_kind kind;
	int rc = -1;

	if (store_authority_by_name(j->store, name, &a, NULL) == 0) {
		err_set(e, RC_EXISTS, "there is an authority %s already", clean(name));
		goto out;
	}
	if (key_kind_parse(&kind, text_empty(key) ? "ec-p256" : key, e) == -1 || subject_field_check("cn", cn, e) == -1)
		goto out;
	if (!journey_has_passphrase(j)) {
		err_set(e, RC_PASSPHRASE, "the key of %s will be sealed: choose a passphrase", clean(name));
		goto out;
	}
	if (passphrase_is_ours(j, e) == -1)
		goto out;
	if (authority_make(name, cn, kind, days, &j->passphrase, when_now(), &a, e) == -1 ||
	    store_authority_save(j->store, &a, e) == -1)
		goto out;
	*id = a.id;
	rc = note_activity(j, NULL, "authority-add", 0, e, name);
out:
	authority_release(&a);
	return rc;
}

int
authority_sign(struct journey *j, int64_t authority, const char *csr_pem, struct str *pem, struct err *e)
{
	struct authority a = { .id = 0 };
	struct issued row = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (store_authority_get(j->store, authority, &a, e) == -1)
		goto out;
	if (!journey_has_passphrase(j)) {
		err_set(e, RC_PASSPHRASE, "the key of %s is sealed: its passphrase is needed", a.name);
		goto out;
	}
	if (authority_issue(&a, &j->passphrase, csr_pem, when_now(), pem, &row, e) == -1) {
		forget_wrong_passphrase(j, e);
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

	if (rc == 0 && !text_eq(a.kind, "own"))
		rc = err_set(e, RC_INVALID, "%s is no authority of our own", clean(a.name));
	else if (rc == 0 && !journey_has_passphrase(j))
		rc = err_set(e, RC_PASSPHRASE, "the key of %s is sealed: its passphrase is needed", clean(a.name));
	else if (rc == 0 && (rc = authority_opens(&a, &j->passphrase, when_now(), e)) == -1)
		forget_wrong_passphrase(j, e);
	authority_release(&a);
	return rc;
}
