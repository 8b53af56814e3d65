/* connector add, list, show, set, remove. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

static json_t *
connector_json(const struct connector *k)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name", json_text(k->name), "domains", json_text(k->domains), "route",
	    json_text(k->route), "via", words_json(k->via), "tls", json_text(k->tls), "match", words_json(k->match), "reason",
	    json_text(k->reason), "review", json_text(k->review));
}

static int
save(struct cli *c, const struct args *a, int64_t id, struct err *e)
{
	struct form *f = NULL;
	int rc = cli_form(c, sheet_find("connector"), id, NULL, a, &f, e);

	if (rc == 0 && !(id != 0 && args_has(a, "name")))      /* set NAME --name OTHER gives it another name */
		rc = form_set(f, "name", a->words[0], e);
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

int
cmd_connector_list(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "NAME", "TLS", "DOMAINS", "SENT BY", "REVIEW", "REASON" };
	struct table t = { .head = head, .columns = 6 };
	struct connector_list l = { NULL, 0 };
	json_t *rows = json_array();
	size_t i;

	(void)a;
	if (store_connectors(journey_store(c->j), &l, e) == -1) {
		json_decref(rows);
		return -1;
	}
	for (i = 0; i < l.n; i++) {
		const struct connector *k = &l.v[i];

		json_array_append_new(rows, connector_json(k));
		table_cell(&t, "%s", k->name);
		table_cell(&t, "%s", k->tls);
		table_cell(&t, "%s", k->domains);
		table_cell(&t, "%s", k->via);
		table_cell(&t, "%s", k->review ? k->review : "-");
		table_cell(&t, "%s", k->reason ? k->reason : "");
	}
	if (c->json)
		out_json(json_pack("{s:O}", "connectors", rows));
	table_print_unless(&t, c->json);
	json_decref(rows);
	connector_list_release(&l);
	return 0;
}

int
cmd_connector_show(struct cli *c, const struct args *a, struct err *e)
{
	struct connector k = { .id = 0 };

	if (store_connector_by_name(journey_store(c->j), a->words[0], &k, e) == -1)
		return -1;
	if (c->json)
		out_json(connector_json(&k));
	else {
		printf("%s  %s for %s\nsent by  %s\n", clean(k.name), k.tls, clean(k.domains), clean(k.via));
		if (k.match != NULL)
			printf("match    %s\n", clean(k.match));
		if (k.reason != NULL)
			printf("reason   %s\n", clean(k.reason));
		if (k.review != NULL)
			printf("review   %s\n", clean(k.review));
	}
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
