/* vs list, show, set, unset, add, remove, start, stop, pause. Setting goes through the form of the properties dialog, adding
 * through that of the new virtual server, so the checks are the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

int
cmd_vs_list(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "VIRTUAL SERVER", "LISTENS ON", "STATE", "CERTIFICATE", "SERVED" };
	struct table t = { .head = head, .columns = 5 };
	struct vserver_list l = { NULL, 0 };
	struct server sv = { .id = 0 };
	json_t *rows = json_array(), *o;
	size_t i;
	int rc = a->n > 0 ? cli_server(c, a->words[0], &sv, e) : 0;

	if (rc == 0)
		rc = store_vservers(journey_store(c->j), sv.id, &l, e);
	for (i = 0; i < l.n; i++) {
		o = vserver_json(c, &l.v[i]);
		json_object_set_new(o, "virtual_server", json_text(vserver_name(c, l.v[i].id)));
		json_array_append_new(rows, o);
		table_cell(&t, "%s", vserver_name(c, l.v[i].id));
		table_cell(&t, "%s", text_empty(l.v[i].listen) ? "- (only sends)" : l.v[i].listen);
		table_cell(&t, "%s", vserver_state(&l.v[i]));
		if (l.v[i].certificate_set && l.v[i].certificate)
			table_cell(&t, "#%lld", (long long)l.v[i].certificate);
		else
			table_cell(&t, "%s", l.v[i].cert_file ? l.v[i].cert_file : "none");
		table_cell(&t, "%.16s", l.v[i].served_sha256 ? l.v[i].served_sha256 : l.v[i].served_trouble ?
		    l.v[i].served_trouble : l.v[i].port == 0 ? "-" : "?");
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "virtual_servers", rows));
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	vserver_list_release(&l);
	server_release(&sv);
	return rc;
}

int
cmd_vs_show(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };

	if (cli_vserver(c, a->words[0], &vs, e) == -1)
		return -1;
	if (c->json)
		out_json(vserver_json(c, &vs));
	else
		vserver_print(c, &vs);
	vserver_release(&vs);
	return 0;
}

/* Takes KEY=VALUE, or KEY alone with an empty value. */
static int
set_one(struct form *f, const char *word, bool unset, struct err *e)
{
	const char *equals = strchr(word, '=');
	const struct field *fd;
	char key[64];

	if (unset == (equals != NULL)) {
		err_set(e, RC_USAGE, "\"%s\" is not %s", clean(word), unset ? "the name of a setting" : "KEY=VALUE");
		return err_hint(e, "mxseal help vs %s", unset ? "unset" : "set");
	}
	snprintf(key, sizeof(key), "%.*s", (int)(equals ? equals - word : (long)strlen(word)), word);
	fd = form_field(f, key, NULL);
	if (fd == NULL || fd->kind != FIELD_SETTING) {
		err_set(e, RC_INVALID, "there is no setting \"%s\"", clean(key));
		return err_hint(e, "mxseal vs show lists them all");
	}
	if (!unset && form_locked(f, fd) != NULL)
		return err_set(e, RC_INVALID, "%s: %s", key, form_locked(f, fd));
	return form_set(f, key, equals ? equals + 1 : "", e);
}

static int
change(struct cli *c, const struct args *a, bool unset, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct form *f = NULL;
	size_t i;
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0)
		rc = form_open(&f, sheet_find("virtual-server"), c->j, vs.id, a->words[0], e);
	for (i = 1; i < a->n && rc == 0; i++)
		rc = set_one(f, a->words[i], unset, e);
	if (rc == 0)
		rc = form_check(f, NULL, NULL, e);
	if (rc == 0 && !args_has(a, "yes"))
		cli_form_look(c, f, vs.server, (const char *const []){ "access", "delivery", NULL });
	if (rc == 0)
		rc = cli_form_ask(c, f, args_has(a, "yes"), e);
	if (rc == 0)
		rc = cli_form_run(c, f, vs.server, e);
	if (rc == 0 && !c->json)
		out_text(f->result.s);
	else if (rc == 0)
		out_json(json_pack("{s:o}", "text", json_text(f->result.s)));
	form_close(f);
	vserver_release(&vs);
	return rc;
}

int
cmd_vs_set(struct cli *c, const struct args *a, struct err *e)
{
	return change(c, a, false, e);
}

int
cmd_vs_unset(struct cli *c, const struct args *a, struct err *e)
{
	return change(c, a, true, e);
}

void
settings_help(struct str *out)
{
	const struct setting *s;
	const char *tab = "";

	for (s = setting_table; s->name != NULL; s++) {
		if (strcmp(s->tab, tab) != 0)
			str_addf(out, "\n%s\n", s->tab);
		tab = s->tab;
		str_addf(out, "  %-34s %s: ", s->name, s->label);
		setting_takes(s, out);
		if (s->initial != NULL)
			str_addf(out, " (%s)", s->initial);
		str_addc(out, '\n');
	}
}

/* --- added, taken away, started, stopped --- */

int
cmd_vs_add(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct form *f = NULL;
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0)
		rc = cli_form(c, sheet_find("listener"), sv.id, sv.name, a, &f, e);
	if (rc == 0)
		rc = form_set(f, "name", a->words[1], e);
	if (rc == 0)
		rc = cli_form_run(c, f, sv.id, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:o}", "virtual_server", json_text(vserver_name(c, f->result_id)), "text", json_text(f->result.s)));
	else if (rc == 0)
		out_text(f->result.s);
	form_close(f);
	server_release(&sv);
	return rc;
}

/* run: what it is to be; NULL: removed. verb: as vserver_ask has it. */
static int
let_it(struct cli *c, const struct args *a, const char *verb, const char *run, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct str said = STR_INIT, question = STR_INIT;
	bool yes = args_has(a, "yes");
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0)
		vserver_ask(c->j, vs.id, verb, &question);
	/* of a removal only that of what mxseal did not write is worth a question here */
	if (rc == 0 && !yes && question.len > 0 && (run != NULL || (vs.listen_wanted == NULL && vs.present && !vs.is_default))) {
		rc = cli_confirm(c, &yes, e, "%s", question.s);
		if (rc == 0 && !yes)
			rc = err_set(e, RC_CANCELLED, "%s stays as it is", clean(vs.name));
	}
	if (rc == 0)
		rc = run ? vserver_run(c->j, vs.id, run, &said, e) : vserver_remove(c->j, vs.id, &said, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o}", "text", json_text(said.s)));
	else if (rc == 0)
		out_text(said.s);
	vserver_release(&vs);
	str_release(&said);
	str_release(&question);
	return rc;
}

int
cmd_vs_remove(struct cli *c, const struct args *a, struct err *e)
{
	return let_it(c, a, "remove", NULL, e);
}

int
cmd_vs_start(struct cli *c, const struct args *a, struct err *e)
{
	return let_it(c, a, "start", "started", e);
}

int
cmd_vs_stop(struct cli *c, const struct args *a, struct err *e)
{
	return let_it(c, a, "stop", "stopped", e);
}

int
cmd_vs_pause(struct cli *c, const struct args *a, struct err *e)
{
	return let_it(c, a, "pause", "paused", e);
}
