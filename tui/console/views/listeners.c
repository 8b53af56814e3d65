/* Virtual servers are added, started, stopped, paused and removed from their row. Only what is wanted changes: the plan's
 * screen shows it, and a push does it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/listeners.h"

/* The virtual server whose row is selected, or the line that says that it does not run. */
static bool
selected_vserver(const struct view *v, struct vserver *out)
{
	const struct node *n = main_selected(v);

	memset(out, 0, sizeof(*out));
	return n != NULL && (n->kind == NODE_VSERVER || (n->kind == NODE_ATTENTION && n->id != 0 && text_eq(n->next, "start"))) &&
	    store_vserver_get(v->app->st, n->id, out, NULL) == 0;
}

static bool
is_read(const struct view *v, int64_t server)
{
	struct server s = { 0 };
	bool yes = server != 0 && store_server_get(v->app->st, server, &s, NULL) == 0 && s.read_at > 0;

	server_release(&s);
	return yes;
}

bool
can_new_listener(const struct view *v)
{
	const struct node *n = main_selected(v);

	return n != NULL && is_read(v, n->server);
}

void
act_new_listener(struct view *v)
{
	const struct node *n = main_selected(v);
	struct server s = { 0 };

	if (n != NULL && store_server_get(v->app->st, n->server, &s, NULL) == 0)
		app_sheet(v->app, "listener", s.id, s.name, NULL);
	server_release(&s);
}

/* --- started, stopped, paused, removed --- */

static void
tell(struct app *a, int rc, const struct str *said, const struct err *e)
{
	if (rc != 0)
		app_fail(a, e);
	else
		app_say(a, STYLE_NORMAL, "%.*s", (int)strcspn(said->s, "\n"), said->s);
}

static void
let_run(struct app *a, int64_t id, const char *run)
{
	struct err e = { .code = RC_OK };
	struct str said = STR_INIT;

	tell(a, vserver_run(a->j, id, run, &said, &e), &said, &e);
	str_release(&said);
}

static void
answer_stop(struct app *a, struct view *v, int64_t id, const char *text)
{
	(void)v;
	if (text != NULL)
		let_run(a, id, "stopped");
}

static void
answer_pause(struct app *a, struct view *v, int64_t id, const char *text)
{
	(void)v;
	if (text != NULL)
		let_run(a, id, "paused");
}

static void
answer_remove(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };
	struct vserver vs = { .id = 0 };
	struct str said = STR_INIT;

	(void)v;
	if (text != NULL) {
		int rc = vserver_remove(a->j, id, &said, &e);

		if (rc == 0 && store_vserver_get(a->st, id, &vs, NULL) == 0)      /* it is on the host, and goes with a push */
			app_say(a, STYLE_NORMAL, "%s is to be removed: P shows what a push would do, S keeps it.", clean(vs.name));
		else
			tell(a, rc, &said, &e);
	}
	vserver_release(&vs);
	str_release(&said);
}

/* At once, or after the question that it is worth. */
static void
after_question(struct view *v, int64_t id, const char *verb, prompt_answer_fn *answer)
{
	struct str question = STR_INIT;

	vserver_ask(v->app->j, id, verb, &question);
	if (question.len > 0)
		prompt_open(v->app, PROMPT_YESNO, v, id, answer, "%s", question.s);
	else
		answer(v->app, v, id, "y");
	str_release(&question);
}

const char *
listener_to_be(const struct vserver *vs)
{
	return text_eq(vs->ours, "removed") ? "removed" : vs->run_wanted != NULL ? vs->run_wanted : vs->run != NULL ? vs->run : "started";
}

bool
can_start_stop(const struct view *v)
{
	struct vserver vs;
	bool can = selected_vserver(v, &vs) && vs.port != 0;

	vserver_release(&vs);
	return can;
}

void
act_start_stop(struct view *v)
{
	struct vserver vs;

	if (selected_vserver(v, &vs)) {
		if (strcmp(listener_to_be(&vs), "started") != 0)
			let_run(v->app, vs.id, "started");
		else
			after_question(v, vs.id, "stop", answer_stop);
	}
	vserver_release(&vs);
}

bool
can_pause(const struct view *v)
{
	struct vserver vs;
	bool can = selected_vserver(v, &vs) && vs.port != 0 && strcmp(listener_to_be(&vs), "removed") != 0 &&
	    strcmp(listener_to_be(&vs), "paused") != 0;

	vserver_release(&vs);
	return can;
}

void
act_pause(struct view *v)
{
	struct vserver vs;

	if (selected_vserver(v, &vs))
		after_question(v, vs.id, "pause", answer_pause);
	vserver_release(&vs);
}

void
remove_listener(struct view *v, const struct node *n)
{
	after_question(v, n->id, "remove", answer_remove);
}
