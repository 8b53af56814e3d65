/* connector add, list, show, set, remove. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

static json_t *
lines_json(const char *text)
{
	char **w = words_split(text, "\n", NULL);
	json_t *a = json_array();

	for (size_t i = 0; w[i] != NULL; i++)
		json_array_append_new(a, json_text(w[i]));
	words_free(w);
	return a;
}

/* The password is nowhere in it, sealed or not: only whether there is one. */
static json_t *
connector_json(struct cli *c, const struct connector *k)
{
	struct str troubles = STR_INIT;
	json_t *o = json_object();

	connector_troubles(c->j, k, &troubles);
	json_object_set_new(o, "name", json_text(k->name));
	json_object_set_new(o, "domains", json_text(k->domains));
	json_object_set_new(o, "route", json_text(k->route));
	json_object_set_new(o, "smart_hosts", words_json(k->smart_hosts ? k->smart_hosts : ""));
	json_object_set_new(o, "via", words_json(k->via));
	json_object_set_new(o, "tls", json_text(k->tls));
	json_object_set_new(o, "match", words_json(k->match));
	json_object_set_new(o, "auth_user", json_text(k->auth_user));
	json_object_set_new(o, "password", json_boolean(k->auth_sealed != NULL));
	json_object_set_new(o, "senders", words_json(k->senders ? k->senders : ""));
	json_object_set_new(o, "delivery", json_text(k->delivery ? k->delivery : "always"));
	json_object_set_new(o, "reason", json_text(k->reason));
	json_object_set_new(o, "review", json_text(k->review));
	json_object_set_new(o, "created_at", json_when(k->created_at));
	json_object_set_new(o, "troubles", lines_json(troubles.s));
	str_release(&troubles);
	return o;
}

/* The password for --auth-user is asked for, or is the first line of the descriptor; the passphrase is the second. */
static int
ask_password(struct cli *c, const struct args *a, struct form *f, struct err *e)
{
	struct secret password = { NULL, 0 };
	char prompt[320];
	int rc;

	if (text_empty(args_get(a, "auth-user")))
		return 0;
	snprintf(prompt, sizeof(prompt), "Password of %s at the smart host", clean(args_get(a, "auth-user")));
	rc = cli_secret(c, prompt, &password, e);
	if (rc == 0)
		rc = form_set(f, "password", password.mem, e);
	secret_release(&password);
	return rc == 0 ? cli_passphrase(c, "the secrets kept here", !sealed_keys_exist(c->j), e) : -1;
}

static int
save(struct cli *c, const struct args *a, int64_t id, struct err *e)
{
	struct form *f = NULL;
	int rc = cli_form(c, sheet_find("connector"), id, NULL, a, &f, e);

	if (rc == 0 && !(id != 0 && args_has(a, "name")))      /* set NAME --name OTHER gives it another name */
		rc = form_set(f, "name", a->words[0], e);
	if (rc == 0 && args_has(a, "smart-host") && !args_has(a, "route"))
		rc = form_set(f, "route", *form_get(f, "smart-host") != '\0' ? "smart-host" : "dns", e);
	if (rc == 0)
		rc = ask_password(c, a, f, e);
	if (rc == 0)
		rc = cli_form_run(c, f, 0, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o}", "name", json_text(a->words[0])));
	else if (rc == 0)
		out_text(f->result.s);
	form_close(f);
	return rc;
}

int
cmd_connector_add(struct cli *c, const struct args *a, struct err *e)
{
	return save(c, a, 0, e);
}

int
cmd_connector_set(struct cli *c, const struct args *a, struct err *e)
{
	struct connector k = { .id = 0 };
	int64_t id;

	if (store_connector_by_name(journey_store(c->j), a->words[0], &k, e) == -1)
		return -1;
	id = k.id;
	connector_release(&k);
	return save(c, a, id, e);
}

/* The administrator's own rules, of every server or of those named. */
static int
found_list(struct cli *c, struct err *e)
{
	static const char *const head[] = { "SERVER", "KIND", "FOR", "SAYS", "STANDS IN", "" };
	struct table t = { .head = head, .columns = 6 };
	struct server_list servers = { NULL, 0 };
	json_t *rows = json_array();
	size_t i, k;
	int rc = store_servers(journey_store(c->j), &servers, e);

	for (i = 0; i < servers.n && rc == 0; i++) {
		struct found_rule_list l = { NULL, 0 };

		rc = store_found_rules(journey_store(c->j), servers.v[i].id, &l, e);
		for (k = 0; k < l.n; k++) {
			const struct found_rule *r = &l.v[k];

			json_array_append_new(rows, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "server", json_text(servers.v[i].name), "kind",
			    json_text(r->kind), "source", json_text(r->source), "key", json_text(r->key), "value", json_text(r->value),
			    "trouble", json_text(r->trouble)));
			table_cell(&t, "%s", servers.v[i].name);
			table_cell(&t, "%s", r->kind);
			table_cell(&t, "%s", *r->key ? r->key : "-");
			table_cell(&t, "%s", r->value);
			table_cell(&t, "%s", r->source);
			table_cell(&t, "%s", r->trouble != NULL ? r->trouble : "");
		}
		found_rule_list_release(&l);
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "found", rows));
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	server_list_release(&servers);
	return rc;
}

int
cmd_connector_take(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct str said = STR_INIT;
	int64_t id = 0;
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0)
		rc = rule_take(c->j, sv.id, a->words[1], args_get(a, "name"), &id, &said, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:I,s:o}", "id", (json_int_t)id, "text", json_text(said.s)));
	else if (rc == 0)
		out_text(said.s);
	str_release(&said);
	server_release(&sv);
	return rc;
}

int
cmd_connector_list(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "NAME", "TLS", "DOMAINS", "ROUTE", "SENT BY", "REVIEW", "REASON" };
	struct table t = { .head = head, .columns = 7 };
	struct connector_list l = { NULL, 0 };
	struct str troubles = STR_INIT;
	json_t *rows = json_array();
	size_t i;

	if (args_has(a, "found")) {
		json_decref(rows);
		return found_list(c, e);
	}
	if (store_connectors(journey_store(c->j), &l, e) == -1) {
		json_decref(rows);
		return -1;
	}
	for (i = 0; i < l.n; i++) {
		const struct connector *k = &l.v[i];

		json_array_append_new(rows, connector_json(c, k));
		str_reset(&troubles);
		connector_troubles(c->j, k, &troubles);
		table_cell(&t, "%s%s", troubles.len > 0 ? "! " : "", k->name);
		table_cell(&t, "%s", k->tls);
		table_cell(&t, "%s", k->domains);
		table_cell(&t, "%s", k->smart_hosts ? k->smart_hosts : "DNS");
		table_cell(&t, "%s", k->via);
		table_cell(&t, "%s", k->review ? k->review : "-");
		table_cell(&t, "%s", k->reason ? k->reason : "");
	}
	if (c->json)
		out_json(json_pack("{s:O}", "connectors", rows));
	table_print_unless(&t, c->json);
	json_decref(rows);
	connector_list_release(&l);
	str_release(&troubles);
	return 0;
}

static void
print_connector(struct cli *c, const struct connector *k)
{
	const struct { const char *label, *value; } rows[] = {
		{ "match", k->match }, { "through", k->smart_hosts }, { "user", k->auth_user }, { "from", k->senders },
		{ "sent", k->delivery }, { "reason", k->reason }, { "review", k->review },
	};
	struct str troubles = STR_INIT;
	char **w;

	printf("%s  %s for %s\nsent by  %s\n", clean(k->name), k->tls, clean(k->domains), clean(k->via));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value != NULL)
			printf("%-8s %s\n", rows[i].label, clean(rows[i].value));
	connector_troubles(c->j, k, &troubles);
	w = words_split(troubles.s, "\n", NULL);
	for (size_t i = 0; w[i] != NULL; i++)
		printf("! %s\n", clean(w[i]));
	words_free(w);
	str_release(&troubles);
}

int
cmd_connector_show(struct cli *c, const struct args *a, struct err *e)
{
	struct connector k = { .id = 0 };

	if (store_connector_by_name(journey_store(c->j), a->words[0], &k, e) == -1)
		return -1;
	if (c->json)
		out_json(connector_json(c, &k));
	else
		print_connector(c, &k);
	connector_release(&k);
	return 0;
}

int
cmd_connector_remove(struct cli *c, const struct args *a, struct err *e)
{
	struct connector k = { .id = 0 };
	int rc = store_connector_by_name(journey_store(c->j), a->words[0], &k, e);

	if (rc == 0)
		rc = connector_remove(c->j, k.id, e);
	if (rc == 0 && !c->json)
		printf("%s is forgotten here. A push takes it off the hosts.\n", clean(k.name));
	connector_release(&k);
	return rc;
}
