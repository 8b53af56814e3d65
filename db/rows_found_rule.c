/* The administrator's own rules, as the last reading of a server saw them. */
#include "db.h"

static const struct column rule_columns[] = {
	{ "kind", COL_TEXT, offsetof(struct found_rule, kind), NULL, 0 },
	{ "source", COL_TEXT, offsetof(struct found_rule, source), NULL, 0 },
	{ "key", COL_TEXT, offsetof(struct found_rule, key), NULL, 0 },
	{ "value", COL_TEXT, offsetof(struct found_rule, value), NULL, 0 },
	{ "trouble", COL_TEXT, offsetof(struct found_rule, trouble), NULL, 0 },
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

int
store_found_rules(struct store *st, int64_t server, struct found_rule_list *out, struct err *e)
{
	FILL_LIST(found_rule, st, out, ST_FOUND_RULE_LIST, rule_columns, e, "i", server);
}

struct replace { int64_t server; const struct found_rule_list *l; };

static int
replace_body(struct store *st, void *arg, struct err *e)
{
	const struct replace *r = arg;

	if (db_run(st, ST_FOUND_RULE_CLEAR, NULL, e, "i", r->server) < 0)
		return -1;
	for (size_t i = 0; i < r->l->n; i++) {
		const struct found_rule *f = &r->l->v[i];

		if (db_run(st, ST_FOUND_RULE_INSERT, NULL, e, "iittttt", r->server, (int64_t)i, f->kind, f->source, f->key, f->value,
		    f->trouble) < 0)
			return -1;
	}
	return 0;
}

int
store_found_rules_set(struct store *st, int64_t server, const struct found_rule_list *l, struct err *e)
{
	return store_tx(st, replace_body, &(struct replace){ server, l }, e);
}
