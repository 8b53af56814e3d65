/* The own authority's part of the certificate story: its key lies sealed in the store (sealed.c). */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"

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
	if (passphrase_fits(j, e) == -1)
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

	if (rc == 0 && !journey_has_passphrase(j))
		rc = err_set(e, RC_PASSPHRASE, "the key of %s is sealed: its passphrase is needed", clean(a.name));
	else if (rc == 0 && (rc = authority_opens(&a, &j->passphrase, when_now(), e)) == -1)
		passphrase_wrong(j, e);
	authority_release(&a);
	return rc;
}
