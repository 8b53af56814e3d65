/* Pushes as they were carried out. Written by one console only, so they carry no rev. */
#include "db.h"

#define COL(field, kind) { #field, kind, offsetof(struct push_record, field), NULL, 0 }

static const struct column push_columns[] = {
	COL(id, COL_INT64), COL(server, COL_REF), COL(started_at, COL_INT64), COL(ended_at, COL_INT64),
	COL(generation, COL_INT64), COL(result, COL_TEXT), COL(plan_text, COL_TEXT), COL(steps, COL_TEXT),
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

static const struct noun push_noun = {
	.word = "push", .columns = push_columns,
	.id = offsetof(struct push_record, id), .rev = NOWHERE, .name = NOWHERE,
	.get = ST_PUSH_GET, .insert = ST_PUSH_INSERT, .update = ST_PUSH_UPDATE,
};

int
store_push_save(struct store *st, struct push_record *r, struct err *e)
{
	return db_row_save(st, &push_noun, r, e);
}

int
store_pushes(struct store *st, int64_t server, struct push_record_list *out, struct err *e)
{
	FILL_LIST(push_record, st, out, ST_PUSH_LIST, push_columns, e, "i", server);
}
