/* What was pushed to a host and what is in force there, asked from the host's own journal. */
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/main.h"

static void
state_drop(void *data)
{
	push_status_release(data);
	free(data);
}

static int64_t
state_start(struct task *t, struct err *e)
{
	return push_state(t->app->j, t->server, t->data, task_done, t, e);
}

static void
state_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct push_status *s = t->data;
	struct str text = STR_INIT;
	struct push_record_list l = { NULL, 0 };

	(void)v;
	if (rc != 0) {
		app_fail(t->app, e);
		return;
	}
	str_addf(&text, "State       %s\nIn force    generation %lld\n", s->state, (long long)s->generation);
	if (s->owner != NULL)
		str_addf(&text, "Lock        %s\n", s->owner);
	if (s->recovered != NULL)
		str_addf(&text, "Recovered   %s\n", s->recovered);
	str_addf(&text, "\nGenerations on the host\n%s\n\nRoll back on the command line: mxseal undo SERVER --to GENERATION\n",
	    s->generations.len > 0 ? s->generations.s : "none of ours");
	if (store_pushes(t->app->st, t->server, &l, NULL) == 0 && l.n > 0) {
		str_add(&text, "\nPushes from here, newest first\n");
		for (size_t i = 0; i < l.n; i++) {
			char when[32];
			when_rfc3339(when, l.v[i].started_at);
			str_addf(&text, "%s  generation %lld  %s\n", when, (long long)l.v[i].generation, l.v[i].result);
		}
	}
	push_record_list_release(&l);
	if (s->state != NULL && strcmp(s->state, "waiting") == 0) {
		push_run_watch(t->app, t->server, s->undo_at);
		view_push(t->app, &view_push_watch, NULL);
		str_release(&text);
		return;
	}
	app_message(t->app, "Generations", STYLE_NORMAL, text.s);
	str_release(&text);
}

void
generations_show(struct view *v, int64_t server)
{
	struct task t = { .verb = "history", .server = server, .view = v->serial, .start = state_start, .end = state_end,
	    .data = xcalloc(1, sizeof(struct push_status)), .drop = state_drop };

	task_run(v->app, &t);
}
