/* What was seen waiting, over time. */
#include "db.h"

#include <string.h>
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

/* The cell of that time, which is put into its place among those that are there. */
static struct queue_cell *
cell_of(struct queue_cell_list *l, int64_t at)
{
	size_t i = l->n;

	while (i > 0 && l->v[i - 1].at > at)
		i--;
	if (i > 0 && l->v[i - 1].at == at)
		return &l->v[i - 1];
	ARRAY_GROW(l->v, l->n);
	memmove(l->v + i + 1, l->v + i, (l->n - i) * sizeof(*l->v));
	l->n++;
	l->v[i] = (struct queue_cell){ .at = at };
	return &l->v[i];
}

int
store_queue_cells_some(struct store *st, struct queue_cells_walk *w, int max, struct queue_cell_list *out, struct err *e)
{
	sqlite3_stmt *q;
	int more, n = 0;

	if (db_query(st, &q, ST_QUEUE_CELLS, e, "ttiiiii", w->grouping, w->key, (int64_t)w->span, w->server, w->at, w->since,
	    (int64_t)max) < 0)
		return -1;
	for (; (more = db_next(st, q, e)) == 1; n++) {
		int64_t oldest = sqlite3_column_int64(q, 4);
		struct queue_cell *c;

		w->server = sqlite3_column_int64(q, 0);
		w->at = sqlite3_column_int64(q, 1);
		c = cell_of(out, w->at);
		c->messages += sqlite3_column_int64(q, 2);
		c->high += sqlite3_column_int64(q, 3);
		if (oldest > 0 && (c->oldest == 0 || oldest < c->oldest))
			c->oldest = oldest;
	}
	return more < 0 ? -1 : n == max;
}

static int
cells_of_all(struct store *st, const char *grouping, const char *key, int span, int64_t since, struct queue_cell_list *out, struct err *e)
{
	struct queue_cells_walk w = { .grouping = grouping, .key = key, .span = span, .since = since };
	int more;

	while ((more = store_queue_cells_some(st, &w, 1000, out, e)) == 1)
		;
	return more;
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
	if (server == 0)
		return cells_of_all(st, grouping, key, span, since, out, e);
	if (db_query(st, &q, ST_QUEUE_CELLS_OF, e, "ttiii", grouping, key, (int64_t)span, server, since) < 0)
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
