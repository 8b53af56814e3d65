/* Authorities and what they issued. */
#include "db.h"

#include <string.h>

#define END { NULL, COL_TEXT, 0, NULL, 0 }
#define COL(field, kind) { #field, kind, offsetof(struct authority, field), NULL, 0 }

static const struct column authority_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(name, COL_TEXT), COL(kind, COL_TEXT), COL(subject, COL_TEXT),
	COL(pem, COL_TEXT), COL(sealed_key, COL_TEXT), COL(policy, COL_TEXT), COL(days, COL_INT), COL(not_after, COL_INT64),
	COL(created_at, COL_INT64), COL(crl_number, COL_INT64), COL(directory, COL_TEXT), COL(anchors, COL_TEXT),
	COL(challenge, COL_TEXT), COL(contact, COL_TEXT), COL(account, COL_TEXT), COL(terms, COL_TEXT), END
};

static const struct noun authority_noun = {
	.word = "authority", .columns = authority_columns,
	.id = offsetof(struct authority, id), .rev = offsetof(struct authority, rev), .name = offsetof(struct authority, name),
	.get = ST_AUTHORITY_GET, .insert = ST_AUTHORITY_INSERT, .update = ST_AUTHORITY_UPDATE,
};

int
store_authorities(struct store *st, struct authority_list *out, struct err *e)
{
	FILL_LIST(authority, st, out, ST_AUTHORITY_LIST, authority_columns, e, "");
}

int
store_authority_get(struct store *st, int64_t id, struct authority *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_AUTHORITY_GET, authority_columns, out, e, "i", id), e, "authority", NULL, id);
}

int
store_authority_by_name(struct store *st, const char *name, struct authority *out, struct err *e)
{
	int found;

	memset(out, 0, sizeof(*out));
	found = db_row_get(st, ST_AUTHORITY_BY_NAME, authority_columns, out, e, "t", name);
	if (found != 0)
		return found < 0 ? -1 : 0;
	db_no_such(e, "authority", name);
	return err_hint(e, "`mxseal authority list` shows the authorities");
}

int
store_authority_save(struct store *st, struct authority *r, struct err *e)
{
	return db_row_save(st, &authority_noun, r, e);
}

#undef COL
#define COL(field, kind) { #field, kind, offsetof(struct issued, field), NULL, 0 }

static const struct column issued_columns[] = {
	COL(id, COL_INT64), COL(authority, COL_REF), COL(serial, COL_TEXT), COL(subject, COL_TEXT), COL(not_after, COL_INT64),
	COL(at, COL_INT64), COL(sha256, COL_TEXT), COL(pem, COL_TEXT), COL(revoked_at, COL_INT64),
	COL(reason, COL_TEXT), END
};

/* Only ever inserted: what was issued stays issued. It can be revoked, once. */
static const struct noun issued_noun = {
	.word = "issued certificate", .columns = issued_columns,
	.id = offsetof(struct issued, id), .rev = NOWHERE, .name = offsetof(struct issued, serial),
	.insert = ST_ISSUED_INSERT,
};

int
store_issued(struct store *st, int64_t authority, struct issued_list *out, struct err *e)
{
	FILL_LIST(issued, st, out, ST_ISSUED_LIST, issued_columns, e, "i", authority);
}

int
store_issued_add(struct store *st, struct issued *r, struct err *e)
{
	r->id = 0;
	return db_row_save(st, &issued_noun, r, e);
}

int
store_issued_by_serial(struct store *st, int64_t authority, const char *serial, struct issued *out, struct err *e)
{
	int found;

	memset(out, 0, sizeof(*out));
	found = db_row_get(st, ST_ISSUED_BY_SERIAL, issued_columns, out, e, "it", authority, serial);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return db_no_such(e, "issued certificate", serial);
}

int
store_issued_revoke(struct store *st, int64_t id, int64_t at, const char *reason, struct err *e)
{
	int64_t changed = 0;

	if (db_run(st, ST_ISSUED_REVOKE, &changed, e, "iti", at, reason, id) < 0)
		return -1;
	return changed == 1 ? 0 : err_set(e, RC_INVALID, "it is revoked already");
}

#undef COL
#define COL(field, kind) { #field, kind, offsetof(struct submission, field), NULL, 0 }

static const struct column submission_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(authority, COL_REF), COL(request, COL_REF), COL(at, COL_INT64),
	COL(who, COL_TEXT), COL(subject, COL_TEXT), COL(san, COL_TEXT), COL(spki_sha256, COL_TEXT), COL(pem, COL_TEXT),
	COL(state, COL_TEXT), COL(why, COL_TEXT), COL(decided_at, COL_INT64), COL(issued, COL_REF), END
};

static const struct noun submission_noun = {
	.word = "submission", .columns = submission_columns,
	.id = offsetof(struct submission, id), .rev = offsetof(struct submission, rev), .name = NOWHERE,
	.get = ST_SUBMISSION_GET, .insert = ST_SUBMISSION_INSERT, .update = ST_SUBMISSION_UPDATE,
};

int
store_submissions(struct store *st, int64_t authority, struct submission_list *out, struct err *e)
{
	FILL_LIST(submission, st, out, ST_SUBMISSION_LIST, submission_columns, e, "i", authority);
}

int
store_submission_get(struct store *st, int64_t id, struct submission *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_SUBMISSION_GET, submission_columns, out, e, "i", id), e, "submission", NULL, id);
}

int
store_submission_of(struct store *st, int64_t request, struct submission *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_row_get(st, ST_SUBMISSION_OF, submission_columns, out, e, "i", request);
}

int
store_submission_save(struct store *st, struct submission *r, struct err *e)
{
	return db_row_save(st, &submission_noun, r, e);
}

#undef COL
#define COL(field, kind) { #field, kind, offsetof(struct acme_order, field), NULL, 0 }

static const struct column acme_order_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(authority, COL_REF), COL(request, COL_REF), COL(url, COL_TEXT),
	COL(state, COL_TEXT), COL(token, COL_TEXT), COL(trouble, COL_TEXT), COL(created_at, COL_INT64),
	COL(changed_at, COL_INT64), COL(renew_from, COL_INT64), COL(renew_until, COL_INT64), COL(ask_again, COL_INT64), END
};

static const struct noun acme_order_noun = {
	.word = "order", .columns = acme_order_columns,
	.id = offsetof(struct acme_order, id), .rev = offsetof(struct acme_order, rev), .name = NOWHERE,
	.get = ST_ACME_ORDER_GET, .insert = ST_ACME_ORDER_INSERT, .update = ST_ACME_ORDER_UPDATE,
};

int
store_acme_orders(struct store *st, int64_t authority, struct acme_order_list *out, struct err *e)
{
	FILL_LIST(acme_order, st, out, ST_ACME_ORDER_LIST, acme_order_columns, e, "i", authority);
}

int
store_acme_order_of(struct store *st, int64_t request, struct acme_order *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_row_get(st, ST_ACME_ORDER_OF, acme_order_columns, out, e, "i", request);
}

int
store_acme_order_save(struct store *st, struct acme_order *r, struct err *e)
{
	return db_row_save(st, &acme_order_noun, r, e);
}
