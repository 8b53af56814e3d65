/* Virtual servers with the values found on the host, and wanted settings by scope. */
#include "db.h"

#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define COL(field, kind) { #field, kind, offsetof(struct vserver, field), NULL, 0 }
#define END { NULL, COL_TEXT, 0, NULL, 0 }

static const struct column vserver_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(server, COL_REF), COL(name, COL_TEXT), COL(title, COL_TEXT),
	COL(listen, COL_TEXT), COL(port, COL_INT), COL(is_default, COL_BOOL), COL(implicit_tls, COL_BOOL),
	COL(present, COL_BOOL), COL(cert_file, COL_TEXT), COL(cert_pem, COL_TEXT), COL(cert_trouble, COL_TEXT),
	COL(served_pem, COL_TEXT), COL(served_sha256, COL_TEXT), COL(served_trouble, COL_TEXT), COL(served_at, COL_INT64),
	COL(certificate, COL_REF), COL(certificate_set, COL_BOOL), COL(ours, COL_TEXT), COL(listen_wanted, COL_TEXT),
	COL(kind, COL_TEXT), COL(run, COL_TEXT), COL(run_wanted, COL_TEXT), COL(second, COL_REF), COL(second_pem, COL_TEXT),
	COL(second_served, COL_TEXT), COL(log_service, COL_TEXT), END
};

static const struct column found_columns[] = {
	{ "name", COL_TEXT, offsetof(struct found_value, name), NULL, 0 },
	{ "value", COL_TEXT, offsetof(struct found_value, value), NULL, 0 },
	{ "native", COL_TEXT, offsetof(struct found_value, native), NULL, 0 },
	{ "source", COL_TEXT, offsetof(struct found_value, source), NULL, 0 },
	END
};

static const struct column wanted_columns[] = {
	{ "name", COL_TEXT, offsetof(struct wanted, name), NULL, 0 },
	{ "value", COL_TEXT, offsetof(struct wanted, value), NULL, 0 },
	{ "scope", COL_TEXT, offsetof(struct wanted, scope), NULL, 0 },
	END
};

static const struct noun vserver_noun = {
	.word = "virtual server", .columns = vserver_columns,
	.id = offsetof(struct vserver, id), .rev = offsetof(struct vserver, rev), .name = offsetof(struct vserver, name),
	.get = ST_VSERVER_GET, .insert = ST_VSERVER_INSERT, .update = ST_VSERVER_UPDATE,
};

static int
found_read(struct store *st, struct vserver *v, struct err *e)
{
	sqlite3_stmt *q;
	int more;

	if (db_query(st, &q, ST_FOUND_LIST, e, "i", v->id) < 0)
		return -1;
	while ((more = db_next(st, q, e)) == 1)
		db_row_read(q, found_columns, found_value_list_add(&v->found));
	return more;
}

int
store_vservers(struct store *st, int64_t server, struct vserver_list *out, struct err *e)
{
	sqlite3_stmt *q;
	int more;

	*out = (struct vserver_list){ 0 };
	if (db_query(st, &q, ST_VSERVER_LIST, e, "i", server) < 0)
		return -1;
	while ((more = db_next(st, q, e)) == 1)
		db_row_read(q, vserver_columns, vserver_list_add(out));
	for (size_t i = 0; more == 0 && i < out->n; i++)
		more = found_read(st, &out->v[i], e);
	if (more < 0)
		vserver_list_release(out);
	return more;
}

/* What db_row_get said, and the found values. */
static int
complete(struct store *st, int found, struct vserver *v, struct err *e)
{
	if (found == 1 && found_read(st, v, e) < 0) {
		vserver_release(v);
		return -1;
	}
	return found;
}

int
store_vserver_get(struct store *st, int64_t id, struct vserver *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(complete(st, db_row_get(st, ST_VSERVER_GET, vserver_columns, out, e, "i", id), out, e), e, "virtual server", NULL,
	    id);
}

int
store_vserver_by_name(struct store *st, const char *name, struct vserver *out, struct err *e)
{
	const char *slash = strchr(name, '/');   /* a server's name has none */
	char *host = slash == NULL ? xstrdup(name) : xstrndup(name, (size_t)(slash - name));
	struct server s = { 0 };
	int found = -1;

	memset(out, 0, sizeof(*out));
	if (store_server_by_name(st, host, &s, e) < 0)
		goto out;
	found = slash == NULL ? db_row_get(st, ST_VSERVER_DEFAULT, vserver_columns, out, e, "i", s.id) :
	    db_row_get(st, ST_VSERVER_BY_NAME, vserver_columns, out, e, "it", s.id, slash + 1);
	found = complete(st, found, out, e);
	if (found != 0)
		goto out;
	db_no_such(e, "virtual server", name);
	if (s.read_at == 0)
		found = err_hint(e, "%s has not been read yet: `mxseal server read %s`", clean(host), clean(host));
	else
		found = err_hint(e, "`mxseal vs list %s` shows what it has", clean(host));
out:
	server_release(&s);
	free(host);
	return found == 1 ? 0 : -1;
}

static int
save_body(struct store *st, void *arg, struct err *e)
{
	struct vserver *r = arg;
	bool new = r->id == 0;

	if (!new && db_edit_note_id(st, EDIT_VSERVER, r->id, e) < 0)
		return -1;
	if (db_row_save(st, &vserver_noun, r, e) < 0 || db_run(st, ST_FOUND_CLEAR, NULL, e, "i", r->id) < 0)
		return -1;
	if (new)
		db_edit_new(st, EDIT_VSERVER, r->id);
	for (size_t i = 0; i < r->found.n; i++) {
		const struct found_value *f = &r->found.v[i];

		if (db_run(st, ST_FOUND_INSERT, NULL, e, "iitttt", r->id, (int64_t)i, f->name, f->value, f->native, f->source) < 0)
			return -1;
	}
	return 0;
}

int
store_vserver_save(struct store *st, struct vserver *r, struct err *e)
{
	int64_t id = r->id, rev = r->rev;

	if (store_tx(st, save_body, r, e) == 0)
		return 0;
	r->id = id;
	r->rev = rev;
	return -1;
}

/* What is wanted of it goes with it: noted first, so that undoing has the virtual server before its settings. */
static int
note_settings(struct store *st, int64_t id, struct err *e)
{
	struct wanted_list l = { NULL, 0 };
	int rc = store_wanted(st, id, &l, e);

	for (size_t i = 0; i < l.n && rc == 0; i++)
		if (strcmp(l.v[i].scope, "vs") == 0)
			rc = db_edit_note_wanted(st, "vs", 0, id, l.v[i].name, e);
	wanted_list_release(&l);
	return rc;
}

int
store_vserver_delete(struct store *st, int64_t id, struct err *e)
{
	int64_t changed = 0;

	if (note_settings(st, id, e) < 0 || db_edit_note_id(st, EDIT_VSERVER, id, e) < 0 ||
	    db_run(st, ST_VSERVER_FACTS_DELETE, NULL, e, "i", id) < 0 || db_run(st, ST_VSERVER_DELETE, &changed, e, "i", id) < 0)
		return -1;
	return changed == 0 ? db_no_such_id(e, "virtual server", id) : 0;
}

int
store_wanted_set(struct store *st, const char *scope, int64_t owner, const char *name, const char *value, struct err *e)
{
	bool site = strcmp(scope, "site") == 0, vs = strcmp(scope, "vs") == 0;
	int64_t server = site || vs ? 0 : owner, vserver = vs ? owner : 0;
	int rc;

	if (!site && !vs && strcmp(scope, "server") != 0)
		return err_set(e, RC_BUG, "there is no scope \"%s\" for settings", clean(scope));
	if (store_edit_begin(st, e) < 0)
		return -1;
	rc = db_edit_note_wanted(st, scope, server, vserver, name, e);
	if (rc == 0 && value == NULL)
		rc = db_run(st, ST_WANTED_UNSET, NULL, e, "trrt", scope, server, vserver, name);
	else if (rc == 0)
		rc = db_run(st, ST_WANTED_SET, NULL, e, "trrtt", scope, server, vserver, name, value);
	return store_edit_end(st, rc, e, "%s = %s", name, value != NULL ? value : "");
}

int
store_wanted(struct store *st, int64_t vserver, struct wanted_list *out, struct err *e)
{
	FILL_LIST(wanted, st, out, ST_WANTED_EFFECTIVE, wanted_columns, e, "i", vserver);
}
