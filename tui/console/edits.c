/* The line that says what is edited and not pushed, and the keys that undo it. */
#include <stdio.h>
#include <stdlib.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct edits_count { struct server_list servers; size_t at, edits, hosts; };

void
edits_close(struct app *a)
{
	if (a->counting != NULL)
		server_list_release(&a->counting->servers);
	free(a->counting);
	a->counting = NULL;
}

static void
say(struct app *a)
{
	size_t n = a->counting->edits, hosts = a->counting->hosts;

	if (n == 0)
		a->edits[0] = '\0';
	else
		snprintf(a->edits, sizeof(a->edits), "~ %zu edit%s on %zu host%s not pushed yet", n, n == 1 ? "" : "s", hosts,
		    hosts == 1 ? "" : "s");
	a->dirty = true;
}

static bool
begin(struct app *a)
{
	int64_t version = store_version_but_seen(a->st);

	if (version == a->edits_seen || !app_has_time(a, &a->editing))
		return false;
	a->edits_seen = version;
	a->counting = xcalloc(1, sizeof(*a->counting));
	share_begin(&a->editing);
	(void)store_servers(a->st, &a->counting->servers, NULL);
	return true;
}

bool
edits_some(struct app *a, int64_t until_ms)
{
	struct edits_count *c = a->counting;

	if (c != NULL)
		share_go_on(&a->editing);
	else if (!begin(a))
		return false;
	for (c = a->counting; c->at < c->servers.n; c->at++) {
		if (c->servers.n > SHARE_FEW && when_monotonic_ms() >= until_ms) {
			share_rest(&a->editing);
			return true;
		}
		size_t here = pending_edits(a->j, c->servers.v[c->at].id, NULL);
		c->edits += here;
		c->hosts += here > 0;
	}
	say(a);
	share_end(&a->editing, c->servers.n);
	edits_close(a);
	return false;
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
