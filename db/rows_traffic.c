/* Who took mail from a server and brought mail to it, with and without TLS: replaced as a whole by each reading of its log. */
#include "db.h"

struct lists { int64_t server; const struct traffic_list *l; };

static int
set_body(struct store *st, void *arg, struct err *e)
{
	const struct lists *x = arg;
	size_t i;

	if (db_run(st, ST_TRAFFIC_CLEAR, NULL, e, "i", x->server) < 0)
		return -1;
	for (i = 0; i < x->l->n; i++) {
		const struct traffic *t = &x->l->v[i];

		if (t->messages + t->waiting == 0)       /* its handshakes fail: it brings nothing */
			continue;
		if (db_run(st, ST_TRAFFIC_ADD, NULL, e, "itttiiitti", x->server, t->direction, t->peer, t->service, t->messages, t->clear,
		    t->waiting, t->oldest, t->newest, t->last_at) < 0)
			return -1;
	}
	return 0;
}

int
store_traffic_set(struct store *st, int64_t server, const struct traffic_list *l, struct err *e)
{
	struct lists x = { server, l };

	return store_tx(st, set_body, &x, e);
}

int
store_traffic(struct store *st, int64_t server, const char *direction, struct traffic_list *out, struct err *e)
{
	static const struct column columns[] = {
		{ "direction", COL_TEXT, offsetof(struct traffic, direction), NULL, 0 },
		{ "peer", COL_TEXT, offsetof(struct traffic, peer), NULL, 0 },
		{ "service", COL_TEXT, offsetof(struct traffic, service), NULL, 0 },
		{ "messages", COL_INT64, offsetof(struct traffic, messages), NULL, 0 },
		{ "clear", COL_INT64, offsetof(struct traffic, clear), NULL, 0 },
		{ "waiting", COL_INT64, offsetof(struct traffic, waiting), NULL, 0 },
		{ "oldest", COL_TEXT, offsetof(struct traffic, oldest), NULL, 0 },
		{ "newest", COL_TEXT, offsetof(struct traffic, newest), NULL, 0 },
		{ "last_at", COL_INT64, offsetof(struct traffic, last_at), NULL, 0 },
		{ NULL, COL_TEXT, 0, NULL, 0 }
	};

	FILL_LIST(traffic, st, out, ST_TRAFFIC_LIST, columns, e, "it", server, direction);
}
