/* Drafts of open dialogs and facts of the store itself: one text under one name each. */
#include "db.h"

int
store_draft_set(struct store *st, const char *key, const char *text, struct err *e)
{
	if (text == NULL)
		return db_run(st, ST_DRAFT_DELETE, NULL, e, "t", key);
	return db_run(st, ST_DRAFT_SET, NULL, e, "tt", key, text);
}

int
store_draft_get(struct store *st, const char *key, char **out, struct err *e)
{
	return db_got(db_text_get(st, ST_DRAFT_GET, out, e, "t", key), e, "draft", key, 0);
}

int
store_fact_set(struct store *st, const char *name, const char *value, struct err *e)
{
	if (value == NULL)
		return db_run(st, ST_FACT_DELETE, NULL, e, "t", name);
	return db_run(st, ST_FACT_SET, NULL, e, "tt", name, value);
}

int
store_fact_get(struct store *st, const char *name, char **out, struct err *e)
{
	return db_got(db_text_get(st, ST_FACT_GET, out, e, "t", name), e, "fact", name, 0);
}
