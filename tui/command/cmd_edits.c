/* edits, edits undo, edits redo: what is wanted, edit by edit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

int
cmd_edits(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "ID", "", "WHEN", "WHO", "EDIT" };
	struct table t = { .head = head, .columns = 5 };
	struct wanted_edit_list l = { NULL, 0 };
	int limit = 50;
	size_t i;
	json_t *rows = json_array();
	char stamp[32];
	int rc = args_has(a, "limit") ? cli_number(args_get(a, "limit"), "--limit", 1, 100000, &limit, e) : 0;

	if (rc == 0)
		rc = store_edits(journey_store(c->j), (size_t)limit, &l, e);

	for (i = 0; i < l.n; i++) {
		const struct wanted_edit *w = &l.v[i];
		bool pushed = edit_is_pushed(c->j, w);

		json_array_append_new(rows, json_pack("{s:I,s:o,s:o,s:o,s:b,s:b}", "id", (json_int_t)w->id, "at", json_when(w->at), "who",
		    json_text(w->who), "text", json_text(w->text), "undone", w->undone, "pushed", pushed));
		when_rfc3339(stamp, w->at);
		table_cell(&t, "%lld", (long long)w->id);
		table_cell(&t, "%s", w->undone ? "undone" : pushed ? "" : "*");
		table_cell(&t, "%s", stamp);
		table_cell(&t, "%s", w->who);
		table_cell(&t, "%s", w->text);
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "edits", rows));
	else if (rc == 0 && l.n == 0)
		puts("Nothing was edited here yet.");
	table_print_unless(&t, c->json || rc == -1 || l.n == 0);
	json_decref(rows);
	wanted_edit_list_release(&l);
	return rc;
}

static int
turn(struct cli *c, const struct args *a, bool again, struct err *e)
{
	struct str said = STR_INIT;
	int64_t id = 0;
	int rc = a->n > 0 ? cli_id(a->words[0], &id, e) : 0;

	if (rc == 0)
		rc = edit_undo(c->j, id, again, &said, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o}", "text", json_text(said.s)));
	else if (rc == 0)
		printf("%s\n", said.s);
	str_release(&said);
	return rc;
}

int
cmd_edits_undo(struct cli *c, const struct args *a, struct err *e)
{
	return turn(c, a, false, e);
}

int
cmd_edits_redo(struct cli *c, const struct args *a, struct err *e)
{
	return turn(c, a, true, e);
}
