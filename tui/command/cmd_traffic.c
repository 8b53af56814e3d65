/* traffic: who brought and who took mail with and without TLS, from the host's own mail log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
print_direction(const char *head, const struct traffic_list *l, const char *direction, bool all)
{
	const char *const heads[] = { head, "MESSAGES", "WITHOUT TLS", "OLDEST TLS", "BY" };
	struct table t = { .head = heads, .columns = strcmp(direction, "in") == 0 ? 5 : 4 };
	long long messages = 0, clear = 0;
	size_t i, n = 0;

	for (i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].direction, direction) != 0)
			continue;
		messages += l->v[i].messages;
		clear += l->v[i].clear;
		if (n++ >= PEERS && !all)
			continue;
		table_cell(&t, "%s", l->v[i].peer);
		table_cell(&t, "%lld", (long long)l->v[i].messages);
		table_cell(&t, "%lld", (long long)l->v[i].clear);
		table_cell(&t, "%s", l->v[i].oldest ? l->v[i].oldest : "-");
		if (t.columns == 5)
			table_cell(&t, "%s", l->v[i].service ? l->v[i].service : "-");
	}
	table_print(&t);
	printf("%s%zu in all, %lld message%s, %lld of them without TLS\n\n", n > PEERS && !all ? "... (--all) " : "", n, messages,
	    messages == 1 ? "" : "s", clear);
}

static json_t *
direction_json(const struct traffic_list *l, const char *direction)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < l->n; i++) {
		json_t *o;

		if (strcmp(l->v[i].direction, direction) != 0)
			continue;
		o = json_object();
		json_object_set_new(o, "peer", json_text(l->v[i].peer));
		if (l->v[i].service != NULL)
			json_object_set_new(o, "log_service", json_text(l->v[i].service));
		json_object_set_new(o, "messages", json_integer(l->v[i].messages));
		json_object_set_new(o, "without_tls", json_integer(l->v[i].clear));
		json_object_set_new(o, "oldest", json_text(l->v[i].oldest));
		json_object_set_new(o, "last_at", json_when(l->v[i].last_at));
		json_array_append_new(a, o);
	}
	return a;
}

static void
print_json(const struct server *sv, const struct traffic_taken *t, const struct traffic_list *peers)
{
	json_t *o = json_object();

	json_object_set_new(o, "server", json_text(sv->name));
	json_object_set_new(o, "read_at", json_when(t->at));
	json_object_set_new(o, "days", json_integer(t->days));
	json_object_set_new(o, "since", json_when(t->first_at));
	json_object_set_new(o, "cut", json_boolean(t->cut));
	json_object_set_new(o, "missing", json_text(t->missing[0] != '\0' ? t->missing : NULL));
	json_object_set_new(o, "tls_seen", json_boolean(t->tls_seen));
	json_object_set_new(o, "log", json_pack("{s:I,s:I,s:I,s:I}", "bytes", (json_int_t)t->bytes, "sent", (json_int_t)t->sent, "deferred",
	    (json_int_t)t->deferred, "bounced", (json_int_t)t->bounced));
	json_object_set_new(o, "in", direction_json(peers, "in"));
	json_object_set_new(o, "out", direction_json(peers, "out"));
	out_json(o);
}

static void
print_text(const char *log, const struct traffic_taken *t, const struct traffic_list *peers, bool all)
{
	char date[16];

	print_direction("BROUGHT BY", peers, "in", all);
	print_direction("TAKEN BY", peers, "out", all);
	when_date(date, t->first_at);
	printf("From %s, %s%s; %lld MB were looked at. To other hosts, one for each recipient and attempt: %lld sent, %lld deferred, %lld "
	    "bounced.\n", log, t->first_at ? "since " : "which has nothing of these days", t->first_at ? date : "",
	    (long long)((t->bytes + 1048575) / 1048576), (long long)t->sent, (long long)t->deferred, (long long)t->bounced);
	if (t->missing[0] != '\0') {
		out_text(t->missing);
		putchar('\n');
	}
	if (!t->tls_seen && t->first_at != 0)
		puts("No line of it tells of TLS: nobody used it, or it was not offered, or it is not logged (log.tls).");
}

int
cmd_traffic(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct traffic_list peers = { NULL, 0 };
	struct traffic_taken t = { .at = 0 };
	size_t n_logs;
	const char **logs = args_values(a, "log", &n_logs);
	int days = DAYS;
	struct read_arg r;
	struct str name = STR_INIT;
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0 && args_has(a, "days"))
		rc = cli_number(args_get(a, "days"), "--days", 1, DAYS_MAX, &days, e);
	r = (struct read_arg){ sv.id, days };
	if (rc == 0 && n_logs > 0)
		rc = traffic_files(logs, n_logs, days, &peers, &t, e);
	else if (rc == 0 && (rc = cli_job(c, sv.id, read_start, &r, e)) == 0) {
		rc = store_traffic(journey_store(c->j), sv.id, NULL, &peers, e);
		(void)traffic_taken(c->j, sv.id, &t);
	}
	if (rc == 0 && c->json)
		print_json(&sv, &t, &peers);
	else if (rc == 0) {
		if (n_logs > 0)
			str_addf(&name, "%s%s", clean(logs[0]), n_logs > 1 ? " and others" : "");
		else
			str_addf(&name, "the mail log of %s", sv.name);
		print_text(name.s, &t, &peers, args_has(a, "all"));
	}
	traffic_list_release(&peers);
	str_release(&name);
	free(logs);
	server_release(&sv);
	return rc;
}
