/* traffic: who brought and who took mail with and without TLS, from the host's own mail log. */
#include <stdio.h>
#include <stdlib.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define DAYS 7
#define DAYS_MAX 365
#define PEERS 20             /* of each direction; --all shows them all */

struct read_arg { int64_t server; int days; };

static int64_t
read_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	const struct read_arg *r = arg;

	return traffic_read(c->j, r->server, r->days, done, done_arg, e);
}

static void
print_direction(const char *head, const struct traffic_list *l, bool all)
{
	const char *const heads[] = { head, "MESSAGES", "WITHOUT TLS", "OLDEST TLS" };
	struct table t = { .head = heads, .columns = 4 };
	long long messages = 0, clear = 0;
	size_t i, shown = all || l->n <= PEERS ? l->n : PEERS;

	for (i = 0; i < l->n; i++) {
		messages += l->v[i].messages;
		clear += l->v[i].clear;
	}
	for (i = 0; i < shown; i++) {
		table_cell(&t, "%s", l->v[i].peer);
		table_cell(&t, "%lld", (long long)l->v[i].messages);
		table_cell(&t, "%lld", (long long)l->v[i].clear);
		table_cell(&t, "%s", l->v[i].oldest ? l->v[i].oldest : "-");
	}
	table_print(&t);
	printf("%s%zu in all, %lld message%s, %lld of them without TLS\n\n", shown < l->n ? "... (--all) " : "", l->n, messages,
	    messages == 1 ? "" : "s", clear);
}

static json_t *
direction_json(const struct traffic_list *l)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < l->n; i++) {
		json_t *o = json_object();

		json_object_set_new(o, "peer", json_text(l->v[i].peer));
		json_object_set_new(o, "messages", json_integer(l->v[i].messages));
		json_object_set_new(o, "without_tls", json_integer(l->v[i].clear));
		json_object_set_new(o, "oldest", json_text(l->v[i].oldest));
		json_object_set_new(o, "last_at", json_when(l->v[i].last_at));
		json_array_append_new(a, o);
	}
	return a;
}

static void
print_json(const struct server *sv, const struct traffic_taken *t, const struct traffic_list *in, const struct traffic_list *out)
{
	json_t *o = json_object();

	json_object_set_new(o, "server", json_text(sv->name));
	json_object_set_new(o, "read_at", json_when(t->at));
	json_object_set_new(o, "days", json_integer(t->days));
	json_object_set_new(o, "since", json_when(t->first_at));
	json_object_set_new(o, "cut", json_boolean(t->cut));
	json_object_set_new(o, "tls_seen", json_boolean(t->tls_seen));
	json_object_set_new(o, "in", direction_json(in));
	json_object_set_new(o, "out", direction_json(out));
	out_json(o);
}

int
cmd_traffic(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct traffic_list in = { NULL, 0 }, out = { NULL, 0 };
	struct traffic_taken t;
	int days = DAYS;
	struct read_arg r;
	char date[16];
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0 && args_has(a, "days"))
		rc = cli_number(args_get(a, "days"), "--days", 1, DAYS_MAX, &days, e);
	r = (struct read_arg){ sv.id, days };
	if (rc == 0)
		rc = cli_job(c, sv.id, read_start, &r, e);
	if (rc == 0)
		rc = store_traffic(journey_store(c->j), sv.id, "in", &in, e);
	if (rc == 0)
		rc = store_traffic(journey_store(c->j), sv.id, "out", &out, e);
	if (rc == 0)
		(void)traffic_taken(c->j, sv.id, &t);
	if (rc == 0 && c->json)
		print_json(&sv, &t, &in, &out);
	else if (rc == 0) {
		print_direction("BROUGHT BY", &in, args_has(a, "all"));
		print_direction("TAKEN BY", &out, args_has(a, "all"));
		when_date(date, t.first_at);
		printf("From the mail log of %s, %s%s%s.%s\n", sv.name, t.first_at ? "since " : "which has nothing of these days",
		    t.first_at ? date : "", t.cut ? ", only in part: it is longer than what is read" : "", t.tls_seen || t.first_at == 0 ? "" :
		    "\nNo line of it tells of TLS: nobody used it, or it was not offered, or it is not logged (log.tls).");
	}
	traffic_list_release(&in);
	traffic_list_release(&out);
	server_release(&sv);
	return rc;
}
