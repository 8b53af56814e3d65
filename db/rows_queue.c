/* What was seen waiting, over time. */
#include "db.h"

#include "mxseal/xalloc.h"

struct cell { int64_t server; const char *grouping, *key; int64_t at, messages, oldest; };

static int
cell_body(struct store *st, void *arg, struct err *e)
{
	static const int64_t spans[] = { QUEUE_CELL, QUEUE_HOUR };
	const struct cell *c = arg;
	size_t i;

	for (i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		if (db_run(st, ST_QUEUE_CELL_NOTE, NULL, e, "ittiiii", c->server, c->grouping, c->key, spans[i], c->at - c->at % spans[i],
		    c->messages, c->oldest) < 0)
			return -1;
	return 0;
}

int
store_queue_cell_note(struct store *st, int64_t server, const char *grouping, const char *key, int64_t at, int64_t messages,
    int64_t oldest, struct err *e)
{
	struct cell c = { server, grouping, key, at, messages, oldest };

	return store_tx(st, cell_body, &c, e);
}

int
store_queue_cells(struct store *st, int64_t server, const char *grouping, const char *key, int span, int64_t since,
    struct queue_cell_list *out, struct err *e)
{
	static const struct column columns[] = {
		{ "at", COL_INT64, offsetof(struct queue_cell, at), NULL, 0 },
		{ "messages", COL_INT64, offsetof(struct queue_cell, messages), NULL, 0 },
		{ "high", COL_INT64, offsetof(struct queue_cell, high), NULL, 0 },
		{ "oldest", COL_INT64, offsetof(struct queue_cell, oldest), NULL, 0 },
		{ NULL, COL_TEXT, 0, NULL, 0 }
	};
	sqlite3_stmt *q;
	int more;

	*out = (struct queue_cell_list){ NULL, 0 };
	if ((server != 0 ? db_query(st, &q, ST_QUEUE_CELLS_OF, e, "ttiii", grouping, key, (int64_t)span, server, since)
	    : db_query(st, &q, ST_QUEUE_CELLS, e, "ttii", grouping, key, (int64_t)span, since)) < 0)
		return -1;
	while ((more = db_next(st, q, e)) == 1) {
		ARRAY_GROW(out->v, out->n);
		db_row_read(q, columns, &out->v[out->n++]);
	}
	return more;
}

int
store_queue_cells_prune(struct store *st, int64_t now, int max, struct err *e)
{
	static const struct { int64_t span, keep; } rows[] = { { QUEUE_CELL, 3 * 3600 }, { QUEUE_HOUR, 29 * 86400 } };
	int gone = 0;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (db_run(st, ST_QUEUE_CELLS_PRUNE, NULL, e, "iii", rows[i].span, now - rows[i].keep, (int64_t)max) < 0)
			return -1;
		gone += sqlite3_changes(st->db);
	}
	return gone;
}
