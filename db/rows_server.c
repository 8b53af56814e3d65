/* Servers. Deleting one deletes its virtual servers, wanted settings, requests, pushes, queue history, facts and
 * drafts; its certificates and its activity stay. */
#include "db.h"

#include <string.h>

static const char *
become_word(int value)
{
	return value == BECOME_SUDO ? "sudo" : "none";
}

#define COL(field, kind) { #field, kind, offsetof(struct server, field), NULL, 0 }

static const struct column server_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(name, COL_TEXT), COL(target, COL_TEXT), COL(identity, COL_TEXT),
	{ "become", COL_WORD, offsetof(struct server, become), become_word, 2 },
	COL(system, COL_TEXT), COL(mailsys, COL_TEXT), COL(version, COL_TEXT), COL(config_dir, COL_TEXT),
	COL(host_name, COL_TEXT), COL(domain, COL_TEXT), COL(os, COL_TEXT), COL(transport, COL_TEXT),
	COL(transport_why, COL_TEXT), COL(read_at, COL_INT64), COL(tried_at, COL_INT64), COL(trouble, COL_TEXT),
	COL(trouble_code, COL_TEXT), COL(queue_messages, COL_INT64), COL(generation, COL_INT64), COL(base, COL_TEXT),
	COL(group, COL_TEXT),
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

static const struct noun server_noun = {
	.word = "server", .columns = server_columns,
	.id = offsetof(struct server, id), .rev = offsetof(struct server, rev), .name = offsetof(struct server, name),
	.get = ST_SERVER_GET, .insert = ST_SERVER_INSERT, .update = ST_SERVER_UPDATE,
};

int
store_servers(struct store *st, struct server_list *out, struct err *e)
{
	FILL_LIST(server, st, out, ST_SERVER_LIST, server_columns, e, "");
}

int
store_server_get(struct store *st, int64_t id, struct server *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_SERVER_GET, server_columns, out, e, "i", id), e, "server", NULL, id);
}

int
store_server_by_name(struct store *st, const char *name, struct server *out, struct err *e)
{
	int found;

	memset(out, 0, sizeof(*out));
	found = db_row_get(st, ST_SERVER_BY_NAME, server_columns, out, e, "t", name);
	if (found != 0)
		return found < 0 ? -1 : 0;
	db_no_such(e, "server", name);
	return err_hint(e, "`mxseal server list` shows the servers");
}

int
store_server_save(struct store *st, struct server *r, struct err *e)
{
	return db_row_save(st, &server_noun, r, e);
}

static int
delete_body(struct store *st, void *arg, struct err *e)
{
	int64_t id = *(const int64_t *)arg, changed = 0;

	if (db_run(st, ST_SERVER_DRAFTS_DELETE, NULL, e, "i", id) < 0 || db_run(st, ST_SERVER_FACTS_DELETE, NULL, e, "i", id) < 0 ||
	    db_run(st, ST_SERVER_DELETE, &changed, e, "i", id) < 0)
		return -1;
	return changed == 0 ? db_no_such_id(e, "server", id) : 0;
}

int
store_server_delete(struct store *st, int64_t id, struct err *e)
{
	return store_tx(st, delete_body, &id, e);
}
