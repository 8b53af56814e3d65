/* Work-arounds, and what each sender's looks at their destinations saw. */
#include "db.h"

#include <string.h>

#define COL(field, kind) { #field, kind, offsetof(struct workaround, field), NULL, 0 }
#define LOOK(field, kind) { #field, kind, offsetof(struct workaround_look, field), NULL, 0 }

static const struct column workaround_columns[] = {
	COL(id, COL_INT64), COL(rev, COL_INT64), COL(domain, COL_TEXT), COL(servers, COL_TEXT), COL(connector, COL_TEXT),
	COL(level, COL_TEXT), COL(target, COL_TEXT), COL(port, COL_INT), COL(reason, COL_TEXT), COL(evidence, COL_TEXT),
	COL(owner, COL_TEXT), COL(since, COL_INT64), COL(review_at, COL_INT64), COL(state, COL_TEXT), COL(changed_at, COL_INT64),
	COL(falls, COL_INT), COL(used_at, COL_INT64), COL(log_at, COL_INT64), COL(proof, COL_TEXT), COL(in_clear, COL_TEXT),
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

static const struct noun workaround_noun = {
	.word = "work-around", .columns = workaround_columns,
	.id = offsetof(struct workaround, id), .rev = offsetof(struct workaround, rev), .name = offsetof(struct workaround, domain),
	.get = ST_WORKAROUND_GET, .insert = ST_WORKAROUND_INSERT, .update = ST_WORKAROUND_UPDATE,
};

int
store_workarounds(struct store *st, struct workaround_list *out, struct err *e)
{
	FILL_LIST(workaround, st, out, ST_WORKAROUND_LIST, workaround_columns, e, "");
}

int
store_workaround_get(struct store *st, int64_t id, struct workaround *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_got(db_row_get(st, ST_WORKAROUND_GET, workaround_columns, out, e, "i", id), e, "work-around", NULL, id);
}

int
store_workaround_of(struct store *st, const char *domain, struct workaround *out, struct err *e)
{
	memset(out, 0, sizeof(*out));
	return db_row_get(st, ST_WORKAROUND_OF, workaround_columns, out, e, "t", domain);
}

int
store_workaround_save(struct store *st, struct workaround *r, struct err *e)
{
	return db_row_save(st, &workaround_noun, r, e);
}

int
store_workaround_looks(struct store *st, int64_t workaround, struct workaround_look_list *out, struct err *e)
{
	static const struct column columns[] = {
		LOOK(server, COL_INT64), LOOK(last_at, COL_INT64), LOOK(good_since, COL_INT64), LOOK(good, COL_INT), LOOK(bad, COL_BOOL),
		LOOK(stuck, COL_INT64), LOOK(mark_at, COL_INT64), LOOK(text, COL_TEXT),
		{ NULL, COL_TEXT, 0, NULL, 0 }
	};

	FILL_LIST(workaround_look, st, out, ST_WORKAROUND_LOOKS, columns, e, "i", workaround);
}

int
store_workaround_look_set(struct store *st, int64_t workaround, const struct workaround_look *l, struct err *e)
{
	return db_run(st, ST_WORKAROUND_LOOK_SET, NULL, e, "iiiiiiiit", workaround, l->server, l->last_at, l->good_since, (int64_t)l->good,
	    (int64_t)l->bad, l->stuck, l->mark_at, l->text);
}

int
store_workaround_looks_forget(struct store *st, int64_t workaround, struct err *e)
{
	return db_run(st, ST_WORKAROUND_LOOK_CLEAR, NULL, e, "i", workaround);
}
