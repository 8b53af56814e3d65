/* The line that says what is edited and not pushed, and the keys that undo it. */
#include <stdio.h>
#include "tui/console/app.h"

void
edits_refresh(struct app *a)
{
	struct server_list servers = { NULL, 0 };
	size_t n = 0, hosts = 0;

	share_begin(&a->editing);
	if (store_servers(a->st, &servers, NULL) == 0)
		for (size_t i = 0; i < servers.n; i++) {
			size_t here = pending_edits(a->j, servers.v[i].id, NULL);
			n += here;
			hosts += here > 0;
		}
	if (n == 0)
		a->edits[0] = '\0';
	else
		snprintf(a->edits, sizeof(a->edits), "~ %zu edit%s on %zu host%s not pushed yet", n, n == 1 ? "" : "s", hosts,
		    hosts == 1 ? "" : "s");
	share_end(&a->editing, servers.n);
	server_list_release(&servers);
}

static void
turn(struct view *v, bool again)
{
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };

	if (edit_undo(v->app->j, 0, again, &said, &e) != 0)
		app_fail(v->app, &e);
	else
		app_say(v->app, STYLE_OK, "%s. No host was touched.", said.s);
	str_release(&said);
}

void
act_edit_undo(struct view *v)
{
	turn(v, false);
}

void
act_edit_redo(struct view *v)
{
	turn(v, true);
}
