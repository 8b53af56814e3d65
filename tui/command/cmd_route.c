/* route: the way of mail for an address, and the rows that no mail can reach. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/way.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define ADDRESSES_MAX 10000

struct route_arg {
	int64_t server;
	struct way_ask *asks; size_t n;
	bool look;
	struct mail_way_list ways;
	struct dead_rule_list dead;
};

static int64_t
route_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct route_arg *r = arg;

	mail_way_list_release(&r->ways);
	dead_rule_list_release(&r->dead);
	return mail_route(c->j, r->server, r->asks, r->n, r->look, &r->ways, &r->dead, done, done_arg, e);
}

/* --- as JSON --- */

static json_t *
row_json(const char *key, const char *source, const char *row)
{
	return key ? json_pack("{s:o,s:o,s:o}", "key", json_text(key), "source", json_text(source), "row", json_text(row))
	    : json_null();
}

static json_t *
dead_json(const struct dead_rule *d)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "kind", json_text(d->rule.kind), "source", json_text(d->rule.source),
	    "line", d->line > 0 ? json_integer(d->line) : json_null(), "key", json_text(d->rule.key), "row",
	    json_text(d->rule.value), "why", json_text(d->rule.trouble), "repair", json_text(d->repair));
}

static void
add_steps(json_t *array, const struct way_step_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		json_t *o = json_pack("{s:o}", "text", json_text(l->v[i].text));

		if (l->v[i].map)
			json_object_update_new(o, row_json(l->v[i].key, l->v[i].map, l->v[i].row));
		json_array_append_new(array, o);
	}
}

static json_t *
hop_json(const struct way_hop *h)
{
	json_t *policy = row_json(h->policy_key, h->policy_map, h->policy_row);

	if (json_is_object(policy))
		json_object_set_new(policy, "level", json_text(h->level));
	return json_pack("{s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:s,s:o}", "dest", json_text(h->dest), "host", json_text(h->host), "port",
	    json_integer(h->port > 0 ? h->port : 25), "fallback", h->fallback, "policy", policy, "level", json_text(h->level),
	    "level_by", json_text(h->level_by), "match", words_json(h->match ? h->match : ""), "fate", way_fate_name(h->fate),
	    "forecast", json_text(h->forecast));
}

/* What is promised of one recipient; the hop that decides is the first. */
static json_t *
end_json(const struct way_end *end)
{
	const struct way_hop *h = end->hops.n > 0 ? &end->hops.v[0] : NULL;
	json_t *hops = json_array(), *o;
	size_t i;

	for (i = 0; i < end->hops.n; i++)
		json_array_append_new(hops, hop_json(&end->hops.v[i]));
	o = json_pack("{s:o,s:o,s:o,s:o,s:o,s:s,s:o,s:o}", "recipient", json_text(end->address), "class",
	    json_text(end->address_class), "transport", json_text(end->transport), "next_hop", json_text(end->next_hop), "level",
	    h ? json_text(h->level) : json_null(), "fate", way_fate_name(end->fate), "reason", json_text(end->forecast), "by",
	    json_text(end->by));
	json_object_set_new(o, "route", row_json(end->route_key, end->route_map, end->route_row));
	if (h)
		json_object_set(o, "policy", json_object_get(json_array_get(hops, 0), "policy"));
	else
		json_object_set_new(o, "policy", json_null());
	json_object_set_new(o, "hops", hops);
	return o;
}

/* rows: the rows that no mail can reach; taken over. Each key is there, whatever was found. */
static void
way_print_json(const struct mail_way *w, json_t *rows)
{
	json_t *steps = json_array(), *ends = json_array();
	json_t *o = json_pack("{s:o,s:o,s:o}", "address", json_text(w->address), "sender", json_text(w->sender), "connector",
	    json_text(w->connector));
	const struct way_end none = { .address = NULL };
	size_t i;

	add_steps(steps, &w->steps);
	for (i = 0; i < w->ends.n; i++) {
		add_steps(steps, &w->ends.v[i].steps);
		json_array_append_new(ends, end_json(&w->ends.v[i]));
	}
	json_object_update_new(o, end_json(w->ends.n > 0 ? &w->ends.v[0] : &none));
	if (w->ends.n == 0)
		json_object_set_new(o, "fate", json_null());
	json_object_set_new(o, "steps", steps);
	json_object_set_new(o, "recipients", ends);
	json_object_set_new(o, "unreachable_rows", rows);
	out_json(o);
}

/* --- for people --- */

static void
print_steps(const struct way_step_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		printf("  %s\n", clean(l->v[i].text));
		if (l->v[i].map)
			printf("      %s: %s  ->  %s\n", clean(l->v[i].map), clean(l->v[i].key), clean(l->v[i].row));
	}
}

static void
way_print(const struct mail_way *w)
{
	size_t i;

	printf("%s", clean(w->address));
	if (w->sender)
		printf(" from %s", *w->sender ? clean(w->sender) : "<>");
	printf("\n");
	print_steps(&w->steps);
	for (i = 0; i < w->ends.n; i++) {
		const struct way_end *end = &w->ends.v[i];

		if (w->ends.n > 1 || strcasecmp(end->address, w->address) != 0)
			printf("  recipient %s\n", clean(end->address));
		print_steps(&end->steps);
		if (w->connector)
			printf("  Connector: %s\n", clean(w->connector));
		printf("  Mail for it %s.\n", end->forecast ? clean(end->forecast) : "goes there; nobody looked what becomes of it");
	}
}

static void
dead_print(const struct dead_rule_list *l)
{
	size_t i;

	if (l->n > 0)
		printf("\nRows that no mail can reach:\n");
	for (i = 0; i < l->n; i++) {
		const struct dead_rule *d = &l->v[i];

		printf("  %s", clean(d->rule.source));
		if (d->line > 0)
			printf(" line %ld", d->line);
		printf(": %s %s\n", clean(d->rule.key), clean(d->rule.value));
		printf("      %s.\n", clean(d->rule.trouble));
		printf("      Repair: %s.\n", clean(d->repair));
	}
}

/* The command of the sheet that is filled in the same way in the console; empty where there is none. */
static int
repair_command(struct cli *c, const struct server *sv, const struct dead_rule *d, struct str *out, struct err *e)
{
	const struct sheet *s = sheet_find("connector");
	char **preset = route_repair(c->j, sv, d, NULL);
	struct form *f = NULL;
	size_t i;
	int rc;

	if (preset == NULL)
		return 0;
	rc = form_open(&f, s, c->j, 0, NULL, e);
	for (i = 0; rc == 0 && preset[i]; i += 2)
		(void)form_set(f, preset[i], preset[i + 1], NULL);
	if (rc == 0)
		s->command(f, out);
	form_close(f);
	route_repair_free(preset);
	return rc;
}

static int
repair_print(struct cli *c, const struct server *sv, const struct dead_rule *d, struct err *e)
{
	struct str text = STR_INIT;
	int rc = repair_command(c, sv, d, &text, e);

	if (rc == 0 && text.len == 0)
		printf("# %s: %s: %s\n", clean(d->rule.source), clean(d->rule.key), clean(d->repair));
	else if (rc == 0)
		out_text(text.s);
	if (rc == 0 && text.len > 0 && text.s[text.len - 1] != '\n')
		printf("\n");
	str_release(&text);
	return rc;
}

/* With --repair each row has the command as well. */
static int
rows_json(struct cli *c, const struct args *a, const struct server *sv, const struct dead_rule_list *l, json_t *rows, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < l->n && rc == 0; i++) {
		json_t *row = dead_json(&l->v[i]);
		struct str text = STR_INIT;

		if (args_has(a, "repair")) {
			rc = repair_command(c, sv, &l->v[i], &text, e);
			json_object_set_new(row, "command", json_text(text.len > 0 ? text_trim(text.s) : NULL));
		}
		json_array_append_new(rows, row);
		str_release(&text);
	}
	return rc;
}

/* --- --- */

static void
add_address(struct route_arg *r, const char *address, const char *sender)
{
	ARRAY_GROW(r->asks, r->n);
	r->asks[r->n++] = (struct way_ask){ xstrdup(address), sender && strcmp(sender, "<>") == 0 ? xstrdup("") : xstrdup(sender), r->look, NULL };
}

static void
free_ask(struct way_ask *ask)
{
	free((char *)(uintptr_t)ask->address);
	free((char *)(uintptr_t)ask->sender);
}

/* Addresses of standard input: one a line, its sender may follow. */
static int
read_addresses(struct route_arg *r, const char *sender, struct err *e)
{
	char *line = NULL, *text;
	size_t cap = 0;
	int rc = 0;

	while (rc == 0 && getline(&line, &cap, stdin) > 0) {
		char *own;

		text = text_trim(line);
		own = text + strcspn(text, " \t");
		if (*own)
			*own++ = '\0';
		own = text_trim(own);
		if (r->n >= ADDRESSES_MAX)
			rc = err_set(e, RC_LIMIT, "more than %d addresses at once", ADDRESSES_MAX);
		else if (*text)
			add_address(r, text, *own ? own : sender);
	}
	free(line);
	return rc;
}

static int
print_json(struct cli *c, const struct args *a, const struct server *sv, const struct route_arg *r, struct err *e)
{
	const struct mail_way none = { .address = NULL };
	json_t *rows = json_array();
	int rc = rows_json(c, a, sv, &r->dead, rows, e);

	if (rc == 0 && r->ways.n == 0)
		way_print_json(&none, json_incref(rows));
	for (size_t i = 0; rc == 0 && i < r->ways.n; i++)
		way_print_json(&r->ways.v[i], json_incref(rows));
	json_decref(rows);
	return rc;
}

static int
print_all(struct cli *c, const struct args *a, const struct server *sv, const struct route_arg *r, struct err *e)
{
	size_t i;
	int rc = 0;

	if (c->json)
		return print_json(c, a, sv, r, e);
	if (args_has(a, "repair")) {
		for (i = 0; rc == 0 && i < r->dead.n; i++)
			rc = repair_print(c, sv, &r->dead.v[i], e);
		return rc;
	}
	for (i = 0; i < r->ways.n; i++)
		way_print(&r->ways.v[i]);
	dead_print(&r->dead);
	if (r->ways.n == 0 && r->dead.n == 0)
		printf("Mail can reach every row.\n");
	return 0;
}

int
cmd_route(struct cli *c, const struct args *a, struct err *e)
{
	struct route_arg r = { .look = !args_has(a, "no-look") };
	const char *sender = args_get(a, "sender");
	struct server sv = { .id = 0 };
	struct vserver vs = { .id = 0 };
	size_t i;
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0)
		rc = store_server_get(journey_store(c->j), vs.server, &sv, e);
	for (i = 1; rc == 0 && i < a->n; i++) {
		if (strcmp(a->words[i], "-") == 0)
			rc = read_addresses(&r, sender, e);
		else
			add_address(&r, a->words[i], sender);
	}
	r.server = sv.id;
	if (rc == 0)
		rc = cli_job(c, sv.id, route_start, &r, e);
	if (rc == 0)
		rc = print_all(c, a, &sv, &r, e);
	for (i = 0; i < r.n; i++)
		free_ask(&r.asks[i]);
	free(r.asks);
	mail_way_list_release(&r.ways);
	dead_rule_list_release(&r.dead);
	vserver_release(&vs);
	server_release(&sv);
	return rc;
}
