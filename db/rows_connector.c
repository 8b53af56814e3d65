/* Connectors. */
#include "db.h"

#include <string.h>

#define COL(field, kind) { #field, kind, offsetof(struct connector, field), NULL, 0 }

static const struct column connector_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(name, COL_TEXT), COL(domains, COL_TEXT), COL(route, COL_TEXT),
	COL(smart_hosts, COL_TEXT), COL(auth_user, COL_TEXT), COL(auth_sealed, COL_TEXT), COL(senders, COL_TEXT),
	COL(delivery, COL_TEXT), COL(via, COL_TEXT), COL(tls, COL_TEXT), COL(match, COL_TEXT), COL(reason, COL_TEXT), COL(review, COL_TEXT),
	COL(created_at, COL_INT64),
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

static const struct noun connector_noun = {
	.word = "connector", .columns = connector_columns,
	.id = offsetof(struct connector, id), .rev = offsetof(struct connector, rev), .name = offsetof(struct connector, name),
	.get = ST_CONNECTOR_GET, .insert = ST_CONNECTOR_INSERT, .update = ST_CONNECTOR_UPDATE,
};

int
store_connectors(struct store *st, struct connector_list *out, struct err *e)
{
	FILL_LIST(connector, st, out, ST_CONNECTOR_LIST, connector_columns, e, "");
}

int
store_connector_get(struct store *st, int64_t id, struct connector *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_CONNECTOR_GET, connector_columns, out, e, "i", id), e, "connector", NULL, id);
}

int
store_connector_by_name(struct store *st, const char *name, struct connector *out, struct err *e)
{
	int found;

	memset(out, 0, sizeof(*out));
	found = db_row_get(st, ST_CONNECTOR_BY_NAME, connector_columns, out, e, "t", name);
	if (found != 0)
		return found < 0 ? -1 : 0;
	db_no_such(e, "connector", name);
	return err_hint(e, "`mxseal connector list` shows the connectors");
}

int
store_connector_save(struct store *st, struct connector *r, struct err *e)
{
	bool new = r->id == 0;
	int rc = store_edit_begin(st, e);

	if (rc < 0)
		return -1;
	if (!new)
		rc = db_edit_note_id(st, EDIT_CONNECTOR, r->id, e);
	if (rc == 0)
		rc = db_row_save(st, &connector_noun, r, e);
	if (rc == 0 && new)
		db_edit_new(st, EDIT_CONNECTOR, r->id);
	return store_edit_end(st, rc, e, "connector %s", r->name);
}

int
store_connector_delete(struct store *st, int64_t id, struct err *e)
{
	int64_t changed = 0;
	int rc;

	if (store_edit_begin(st, e) < 0)
		return -1;
	rc = db_edit_note_id(st, EDIT_CONNECTOR, id, e);
	if (rc == 0)
		rc = db_run(st, ST_CONNECTOR_DELETE, &changed, e, "i", id);
	if (rc == 0 && changed == 0)
		rc = db_no_such_id(e, "connector", id);
	return store_edit_end(st, rc, e, "connector #%lld removed", (long long)id);
}
