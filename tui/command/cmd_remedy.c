/* remedies, and a complaint written to a file or the screen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/remedies.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

struct asked { int64_t server; const char *domain; struct destination_view view; };

static int64_t
ask_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct asked *a = arg;

	destination_view_release(&a->view);
	return destination_diagnose(c->j, a->server, a->domain, &a->view, done, done_arg, e);
}

json_t *
remedies_json(const struct remedy_offers *o)
{
	json_t *rows = json_array();
	size_t i;

	for (i = 0; i < o->n; i++)
		json_array_append_new(rows, json_pack("{s:s,s:s,s:o,s:o,s:o}", "name", o->v[i].name, "title", o->v[i].title, "brief",
		    json_text(o->v[i].brief.s), "text", json_text(o->v[i].says.s), "command", json_text(o->v[i].command)));
	return rows;
}

void
remedies_print(const struct remedy_offers *o, bool in_full)
{
	size_t i;

	for (i = 0; i < o->n; i++) {
		printf("%zu %-10s %s\n", i + 1, o->v[i].name, in_full ? o->v[i].title : clean(o->v[i].brief.s));
		if (in_full && strcmp(o->v[i].name, "complain") != 0) {
			char **lines = words_split(o->v[i].says.s, "\n", NULL);
			size_t k;

			for (k = 0; lines[k] != NULL; k++)
				printf("  %s\n", clean(lines[k]));
			words_free(lines);
		}
		if (o->v[i].command != NULL)
			printf("  $ %s\n", clean(o->v[i].command));
	}
	if (o->n == 0)
		puts("There is nothing to mend.");
}

int
cmd_remedy(struct cli *c, const struct args *a, struct err *e)
{
	struct asked q = { .domain = a->words[1] };
	struct remedy_offers o = { NULL, 0 };
	struct server sv = { .id = 0 };
	int rc = cli_server(c, a->words[0], &sv, e);

	q.server = sv.id;
	if (rc == 0)
		rc = cli_job(c, sv.id, ask_start, &q, e);
	if (rc == 0) {
		remedies_for(c->j, sv.id, &q.view, &o);
		if (c->json)
			out_json(json_pack("{s:o,s:o}", "destination", json_text(q.view.diagnosis.destination), "remedies", remedies_json(&o)));
		else
			remedies_print(&o, true);
	}
	remedy_offers_release(&o);
	destination_view_release(&q.view);
	server_release(&sv);
	return rc;
}

int
cmd_remedy_complain(struct cli *c, const struct args *a, struct err *e)
{
	struct asked q = { .domain = a->words[1] };
	struct str text = STR_INIT;
	struct server sv = { .id = 0 };
	int rc = cli_server(c, a->words[0], &sv, e);

	q.server = sv.id;
	if (rc == 0)
		rc = cli_job(c, sv.id, ask_start, &q, e);
	if (rc == 0)
		complaint_text(c->j, sv.id, &q.view, &text);
	if (rc == 0 && args_has(a, "out"))
		rc = str_write_file(args_get(a, "out"), text.s, text.len, 0644, e);
	else if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:o}", "destination", json_text(q.view.diagnosis.destination), "text", json_text(text.s)));
	else if (rc == 0)
		out_text(text.s);
	str_release(&text);
	destination_view_release(&q.view);
	server_release(&sv);
	return rc;
}
