/* rehearse: whose mail would fail if more were required of the other side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define DAYS_MAX 365
#define MAIN_MAX 5000

struct rehearse_arg { int64_t server; struct rehearse_ask ask; struct rehearsal r; };

static int64_t
rehearse_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct rehearse_arg *x = arg;

	rehearsal_release(&x->r);
	return rehearse(c->j, x->server, &x->ask, &x->r, done, done_arg, e);
}

/* --- as JSON --- */

static json_t *
peers_json(const struct rehearsal *r, int outcome)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < r->n; i++)
		if ((int)r->v[i].outcome == outcome)
			json_array_append_new(a, json_pack("{s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:s,s:b,s:b}", "peer", json_text(r->v[i].peer),
			    "messages", (json_int_t)r->v[i].messages, "per_week", (json_int_t)r->v[i].per_week, "why", json_text(r->v[i].why), "now",
			    json_text(r->v[i].now), "works", json_text(r->v[i].works), "next_hop", json_text(r->v[i].hop), "confidence",
			    r->v[i].confidence, "looked", r->v[i].looked, "excepted", r->v[i].excepted));
	return a;
}

static json_t *
figures_json(int64_t messages, int64_t peers)
{
	return json_pack("{s:I,s:I}", "messages", (json_int_t)messages, "peers", (json_int_t)peers);
}

static void
print_json(const char *server, const struct rehearsal *r, const char *taken)
{
	int64_t peers, messages;
	json_t *o = json_pack("{s:s,s:s,s:s,s:i,s:o,s:b,s:b}", "server", server, "direction", r->inbound ? "inbound" : "outbound", "level",
	    r->level, "days", r->days, "since", json_when(r->first_at), "cut", r->cut, "tls_seen", r->tls_seen);

	json_object_set_new(o, "virtual_server", json_text(r->listener));
	json_object_set_new(o, "log_service", json_text(r->service));
	json_object_set_new(o, "counted", json_text(r->counted));
	json_object_set_new(o, "missing", json_text(r->missing));
	json_object_set_new(o, "seen", figures_json(r->messages, r->peers));
	json_object_set_new(o, "not_looked_at", figures_json(r->unseen_messages, r->unseen));
	json_object_set_new(o, "would_fail", peers_json(r, REHEARSED_FAILS));
	json_object_set_new(o, "unsure", peers_json(r, REHEARSED_UNSURE));
	rehearsal_sum(r, REHEARSED_PASSES, &peers, &messages);
	json_object_set_new(o, "would_pass", json_pack("{s:I,s:I,s:o}", "messages", (json_int_t)messages, "peers", (json_int_t)peers, "list",
	    peers_json(r, REHEARSED_PASSES)));
	json_object_set_new(o, "taken", json_text(taken));
	out_json(o);
}

/* --- for people --- */

static void
print_peers(const struct rehearsal *r, int outcome, const char *head)
{
	const char *const heads[] = { head, "A WEEK", "SURE", "WHY", "NOW", "WORKS AT" };
	struct table t = { .head = heads, .columns = r->inbound ? 4 : 6 };
	int64_t peers, messages;
	size_t i;

	rehearsal_sum(r, outcome, &peers, &messages);
	if (peers == 0)
		return;
	for (i = 0; i < r->n; i++) {
		const struct rehearsed *p = &r->v[i];

		if ((int)p->outcome != outcome)
			continue;
		table_cell(&t, "%s", p->peer);
		table_cell(&t, "%lld", (long long)p->per_week);
		table_cell(&t, "%s", p->confidence);
		table_cell(&t, "%s", p->why);
		if (r->inbound)
			continue;
		table_cell(&t, "%s", p->now ? p->now : "-");
		table_cell(&t, "%s%s", p->works ? p->works : outcome == REHEARSED_FAILS ? "nothing" : "-", p->excepted ? " (excepted)" : "");
	}
	table_print(&t);
	putchar('\n');
}

static void
print_sentences(const char *text)
{
	if (text != NULL) {
		out_text(text);
		putchar('\n');
	}
}

static void
print_text(const char *server, const struct rehearsal *r, bool all)
{
	const char *whom = r->inbound ? "client" : "destination";
	int64_t peers, messages;
	char date[16];

	print_peers(r, REHEARSED_FAILS, "WOULD FAIL");
	print_peers(r, REHEARSED_UNSURE, "NOT SURE");
	if (all)
		print_peers(r, REHEARSED_PASSES, "WOULD PASS");
	rehearsal_sum(r, REHEARSED_FAILS, &peers, &messages);
	when_date(date, r->first_at);
	printf("%s at %s, by the log since %s: %lld %s%s with %lld message%s; of these %lld would fail, with %lld message%s.\n",
	    r->listener != NULL ? clean(r->listener) : server, r->level, r->first_at ? date : "(nothing)", (long long)r->peers, whom,
	    r->peers == 1 ? "" : "s", (long long)r->messages, r->messages == 1 ? "" : "s", (long long)peers, (long long)messages, messages == 1 ? "" : "s");
	if (r->unseen > 0)
		printf("The %lld with the fewest messages (%lld) were not looked at: the log alone speaks for them.\n", (long long)r->unseen,
		    (long long)r->unseen_messages);
	print_sentences(r->counted);
	print_sentences(r->missing);
	if (!r->tls_seen && r->messages > 0)
		printf("No line of it tells of TLS: nobody used it, or it was not offered, or it is not logged (log.tls).\n");
}

/* SERVER, or one of its virtual servers, whose senders are meant: outbound all mail is the default one's. */
static int
take_name(struct cli *c, const char *name, struct server *sv, struct rehearse_arg *x, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int rc;

	if (strchr(name, '/') == NULL)
		rc = cli_server(c, name, sv, e);
	else if ((rc = cli_vserver(c, name, &vs, e)) == 0 && (rc = store_server_get(journey_store(c->j), vs.server, sv, e)) == 0 &&
	    !x->ask.inbound && !vs.is_default) {
		rc = err_set(e, RC_USAGE, "%s sends only for the connectors that name it: nothing is rehearsed for it", clean(name));
		err_hint(e, "name the server, %s", sv->name);
	}
	x->server = sv->id;
	x->ask.vserver = vs.id;
	vserver_release(&vs);
	return rc;
}

int
cmd_rehearse(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct rehearse_arg x = { .ask = { .inbound = args_has(a, "inbound") } };
	struct str taken = STR_INIT;
	const char **logs = args_values(a, "log", &x.ask.n_logs);
	int64_t days = REHEARSE_DAYS, most = 0;
	int rc = take_name(c, a->words[0], &sv, &x, e);

	x.ask.logs = logs;
	x.ask.level = args_get(a, x.ask.inbound ? "inbound" : "outbound");
	if (rc == 0 && (x.ask.level == NULL || args_has(a, "inbound") == args_has(a, "outbound"))) {
		rc = err_set(e, RC_USAGE, "what is to be rehearsed?");
		err_hint(e, "either --outbound LEVEL, or --inbound require or a version of TLS as tls1.2");
	}
	if (rc == 0 && args_has(a, "take") && x.ask.inbound)
		rc = err_set(e, RC_USAGE, "--take is for --outbound: who may send without TLS is no rule that a connector could have");
	if (rc == 0 && args_has(a, "days") && (cli_id(args_get(a, "days"), &days, NULL) == -1 || days > DAYS_MAX))
		rc = err_set(e, RC_USAGE, "--days takes a number from 1 to %d, not \"%s\"", DAYS_MAX, clean(args_get(a, "days")));
	if (rc == 0 && args_has(a, "main") && (cli_id(args_get(a, "main"), &most, NULL) == -1 || most > MAIN_MAX))
		rc = err_set(e, RC_USAGE, "--main takes a number from 1 to %d, not \"%s\"", MAIN_MAX, clean(args_get(a, "main")));
	x.ask.days = (int)days;
	x.ask.main = (size_t)most;
	if (rc == 0)
		rc = cli_job(c, sv.id, rehearse_start, &x, e);
	if (rc == 0 && args_has(a, "take"))
		rc = rehearsal_take(c->j, sv.id, &x.r, NULL, &taken, e);
	if (rc == 0 && c->json)
		print_json(sv.name, &x.r, taken.len ? taken.s : NULL);
	else if (rc == 0) {
		print_text(sv.name, &x.r, args_has(a, "all"));
		out_text(taken.s);
		if (taken.len)
			printf("A push carries it to the host, before or together with the level.\n");
	}
	rehearsal_release(&x.r);
	str_release(&taken);
	free(logs);
	server_release(&sv);
	return rc;
}
