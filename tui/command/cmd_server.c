/* server add, trust, list, show, read, remove. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

int
cmd_server_add(struct cli *c, const struct args *a, struct err *e)
{
	struct form *f = NULL;
	int rc = cli_form(c, sheet_find("server"), 0, NULL, a, &f, e);

	if (rc == 0)
		rc = form_set(f, "name", a->words[0], e);
	if (rc == 0)
		rc = form_set(f, "target", a->words[1], e);
	if (rc == 0)
		rc = cli_form_run(c, f, 0, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o}", "name", json_text(a->words[0])));
	else if (rc == 0)
		printf("%s is known. Next: mxseal server trust %s\n", clean(a->words[0]), clean(a->words[0]));
	form_close(f);
	return rc;
}

int
cmd_server_set(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct form *f = NULL;
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0)
		rc = cli_form(c, sheet_find("server-set"), sv.id, sv.name, a, &f, e);
	if (rc == 0)
		rc = cli_form_run(c, f, 0, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o}", "name", json_text(sv.name)));
	else if (rc == 0)
		out_text(f->result.s);
	form_close(f);
	server_release(&sv);
	return rc;
}

int
cmd_server_trust(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0)
		rc = cli_trust(c, sv.id, args_get(a, "fingerprint"), e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:b}", "name", json_text(sv.name), "trusted", 1));
	else if (rc == 0)
		printf("%s is trusted. Next: mxseal server read %s\n", sv.name, sv.name);
	server_release(&sv);
	return rc;
}

int
cmd_server_list(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "NAME", "GROUP", "TARGET", "SYSTEM", "READ", "QUEUE", "EDITS", "STATE" };
	struct table t = { .head = head, .columns = 8 };
	struct server_list l = { NULL, 0 };
	json_t *rows = json_array();
	char ago[16];
	size_t i;

	(void)a;
	if (store_servers(journey_store(c->j), &l, e) == -1)
		return -1;
	for (i = 0; i < l.n; i++) {
		const struct server *sv = &l.v[i];

		json_array_append_new(rows, server_json(c, sv, false));
		when_ago(ago, when_now() - sv->read_at);
		table_cell(&t, "%s", sv->name);
		table_cell(&t, "%s", sv->group ? sv->group : "-");
		table_cell(&t, "%s", sv->target);
		table_cell(&t, "%s %s", sv->mailsys ? sv->mailsys : "-", sv->version ? sv->version : "");
		table_cell(&t, "%s", sv->read_at ? ago : "never");
		if (sv->queue_messages >= 0)
			table_cell(&t, "%lld", (long long)sv->queue_messages);
		else
			table_cell(&t, "?");
		table_cell(&t, "%zu", pending_edits(c->j, sv->id, NULL));
		table_cell(&t, "%s", sv->trouble ? sv->trouble : sv->read_at ? "ok" : "? not read yet");
	}
	if (c->json)
		out_json(json_pack("{s:O}", "servers", rows));
	table_print_unless(&t, c->json);
	json_decref(rows);
	server_list_release(&l);
	return 0;
}

int
cmd_server_show(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };

	if (cli_server(c, a->words[0], &sv, e) == -1)
		return -1;
	if (c->json)
		out_json(server_json(c, &sv, true));
	else
		server_print(c, &sv);
	server_release(&sv);
	return 0;
}

static int64_t
read_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	return server_read(c->j, *(int64_t *)arg, done, done_arg, e);
}

int
server_read_now(struct cli *c, int64_t id, struct err *e)
{
	return cli_job(c, id, read_start, &id, e);
}

static int64_t
each_start(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return server_read(fleet_journey(h->fleet), h->server, done, arg, e);
}

static int
read_show(struct cli *c, struct fleet_host *h, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };

	(void)a;
	if (store_server_get(journey_store(c->j), h->server, &sv, e) == -1)
		return -1;
	if (c->json)
		out_json(server_json(c, &sv, true));
	else
		server_print(c, &sv);
	server_release(&sv);
	return 0;
}

int
cmd_server_read(struct cli *c, const struct args *a, struct err *e)
{
	return cli_each(c, a, "read", each_start, read_show, e);
}

static int
say_nothing(struct cli *c, struct fleet_host *h, const struct args *a, struct err *e)
{
	(void)c, (void)h, (void)a, (void)e;
	return 0;
}

void
servers_read_all(struct cli *c)
{
	const struct args all = { .words = NULL };
	struct err own;

	(void)cli_each(c, &all, "read", each_start, say_nothing, &own);   /* troubles are findings */
}

static int64_t
names_start(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return names_watch(fleet_journey(h->fleet), h->server, done, arg, e);
}

void
servers_names_all(struct cli *c)
{
	const struct args all = { .words = NULL };
	struct err own;

	(void)cli_each(c, &all, "names", names_start, say_nothing, &own);
}

int
cmd_server_remove(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	bool yes = args_has(a, "yes");
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0 && !yes)
		rc = cli_confirm(c, &yes, e, "Forget %s and what is wanted for it? The host itself is not touched.", sv.name);
	if (rc == 0 && !yes)
		rc = err_set(e, RC_CANCELLED, "%s stays", sv.name);
	if (rc == 0)
		rc = server_remove(c->j, sv.id, e);
	server_release(&sv);
	return rc;
}
