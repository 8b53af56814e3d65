/* recipe tls-to, recipe tls-except: the two wizards. */
#include <stdio.h>
#include <stdlib.h>

#include "tui/command/families.h"
#include "tui/command/records.h"

static int
finish(struct cli *c, struct form *f, int rc, struct err *e)
{
	if (rc == 0)
		rc = cli_form_run(c, f, 0, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:o}", "name", json_text(form_get(f, "name")), "text", json_text(f->result.s)));
	else if (rc == 0)
		out_text(f->result.s);
	form_close(f);
	return rc;
}

int
cmd_recipe_tls_to(struct cli *c, const struct args *a, struct err *e)
{
	struct form *f = NULL;
	int rc = cli_form(c, sheet_find("tls-to"), 0, NULL, a, &f, e);

	if (rc == 0)
		rc = form_set(f, "name", a->words[0], e);
	return finish(c, f, rc, e);
}

int
cmd_recipe_tls_except(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct form *f = NULL;
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0)
		rc = cli_form(c, sheet_find("tls-except"), sv.id, sv.name, a, &f, e);
	if (rc == 0)
		rc = cli_form_check(f, e);
	if (rc == 0)
		fputs("Mail to every other destination that cannot do TLS will wait and then return.\n", stderr);
	if (rc == 0)
		rc = cli_form_ask(c, f, args_has(a, "yes"), e);
	server_release(&sv);
	return finish(c, f, rc, e);
}
