/* Doing something with messages that wait. The ids are read again at the moment of acting, for exactly the destinations that
 * were meant; the question names their number; what has gone meanwhile is simply not there any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/queue.h"

#define ACT_MAX 20000
#define SAMPLES 50

/* What was collected for one act; lives in app tasks by its number. */
struct act {
	int64_t server;
	char verb[16], *destination;
	struct queue_view taken;
};

static void
act_drop(void *p)
{
	struct act *act = p;

	free(act->destination);
	queue_view_release(&act->taken);
	free(act);
}

static int64_t
take_start(struct task *t, struct err *e)
{
	struct act *act = t->data;

	return queue_poll(t->app->j, t->server, QUEUE_BY_DESTINATION, act->destination,
	    act->verb[0] != '\0' ? ACT_MAX : SAMPLES, &act->taken, task_done, t, e);
}

static void
show_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct act *act = t->data;
	struct str text = STR_INIT;
	char old[16];

	if (rc != 0) {
		app_fail(t->app, e);
		return;
	}
	if (v == NULL)
		return;
	for (size_t i = 0; i < act->taken.taken.n; i++) {
		const struct queue_message *m = &act->taken.taken.v[i];
		when_ago(old, when_now() - m->arrival);
		str_addf(&text, "%s  %s, %s ago, %lld bytes\n", m->id, m->queue, old, (long long)m->size);
		str_addf(&text, "  from %s to %s%s\n", clean(m->sender), clean(m->recipient), m->recipients > 1 ? " and others" : "");
		if (m->reason != NULL) {
			struct str r = STR_INIT;
			clean_text(&r, m->reason, strlen(m->reason), false);
			str_addf(&text, "  %s\n", r.s);
			str_release(&r);
		}
		str_add(&text, "\n");
	}
	if (act->taken.taken.n == 0)
		str_add(&text, "No message for it waits any more.");
	else if (act->taken.taken.n == SAMPLES)
		str_addf(&text, "(the first %d)\n", SAMPLES);
	app_message(t->app, act->destination, STYLE_NORMAL, text.s);
	str_release(&text);
}

void
queue_act_view(struct view *v)
{
	struct queue_group *g = queue_selected(v);
	struct act *act;

	if (g == NULL)
		return;
	act = xcalloc(1, sizeof(*act));
	act->destination = xstrdup(g->key);
	struct task t = { .verb = "messages", .server = queue_server_of(v, g->key), .view = v->serial, .start = take_start,
	    .end = show_end, .data = act, .drop = act_drop };
	task_run(v->app, &t);
}

/* --- acting --- */

/* The ids that were counted and confirmed. One at a time. */
struct chosen { int64_t server; char verb[16], **ids; size_t n; };

static void
chosen_drop(void *p)
{
	struct chosen *c = p;

	for (size_t i = 0; i < c->n; i++)
		free(c->ids[i]);
	free(c->ids);
	free(c);
}

static int64_t
do_start(struct task *t, struct err *e)
{
	struct chosen *c = t->data;

	return queue_act(t->app->j, c->server, c->verb, (const char *const *)c->ids, c->n, task_done, t, e);
}

static void
do_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct chosen *c = t->data;

	if (rc != 0)
		app_fail(t->app, e);
	else
		app_say(t->app, STYLE_OK, "%s: %zu message%s.", c->verb, c->n, c->n == 1 ? "" : "s");
	if (v != NULL)
		queue_refresh(v);
}

/* A task that waits for the answer of its question: it "starts" by asking, and goes on when confirmed. */
static void
confirmed(struct app *a, struct view *v, int64_t arg, const char *text)
{
	struct chosen *c = (struct chosen *)(intptr_t)arg;

	if (text == NULL) {
		app_say(a, STYLE_NORMAL, "Nothing was done with the messages.");
		chosen_drop(c);
		return;
	}
	struct task t = { .verb = "queue act", .server = c->server, .view = v != NULL ? v->serial : 0, .start = do_start,
	    .end = do_end, .data = c, .drop = chosen_drop };
	task_run(a, &t);
}

static void
take_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct act *act = t->data;
	const struct queue_messages *m = &act->taken.taken;
	struct chosen *c;

	if (rc != 0) {
		app_fail(t->app, e);
		return;
	}
	if (v == NULL)
		return;
	if (m->n == 0) {
		app_say(t->app, STYLE_NORMAL, "No message for %s waits any more.", clean(act->destination));
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->server = t->server;
	c->ids = xcalloc(m->n, sizeof(*c->ids));
	snprintf(c->verb, sizeof(c->verb), "%s", act->verb);
	for (c->n = 0; c->n < m->n; c->n++)
		c->ids[c->n] = xstrdup(m->v[c->n].id);
	if (strcmp(c->verb, "delete") == 0) {
		prompt_open(t->app, PROMPT_WORD, v, (intptr_t)c, confirmed, "Delete %zu message%s to %s for good? Type %zu", c->n,
		    c->n == 1 ? "" : "s", clean(act->destination), c->n);
		snprintf(t->app->prompt.word, sizeof(t->app->prompt.word), "%zu", c->n);
	} else {
		prompt_open(t->app, PROMPT_YESNO, v, (intptr_t)c, confirmed, "%s %zu message%s to %s?", c->verb, c->n,
		    c->n == 1 ? "" : "s", clean(act->destination));
	}
}

static void
verb_chosen(struct app *a, struct view *v, size_t index, const char *verb)
{
	struct queue_group *g = queue_selected(v);
	struct act *act;

	(void)index;
	if (g == NULL)
		return;
	act = xcalloc(1, sizeof(*act));
	act->destination = xstrdup(g->key);
	snprintf(act->verb, sizeof(act->verb), "%s", verb);
	struct task t = { .verb = "count", .server = queue_server_of(v, g->key), .view = v->serial, .start = take_start,
	    .end = take_end, .data = act, .drop = act_drop };
	task_run(a, &t);
}

void
queue_act_open(struct view *v)
{
	struct choice_list l = { NULL, 0 };
	struct queue_group *g = queue_selected(v);
	char *title;

	if (g == NULL)
		return;
	choice_list_add(&l, "retry", "retry: try to deliver now");
	choice_list_add(&l, "hold", "hold: keep, do not try");
	choice_list_add(&l, "release", "release: take off hold");
	choice_list_add(&l, "delete", "delete: for good");
	title = xasprintf("Messages to %s", g->key);
	struct chooser_arg arg = { .title = title, .list = &l, .current = "retry", .v = v, .fn = verb_chosen };
	view_push(v->app, &view_chooser, &arg);
	free(title);
	choice_list_release(&l);
}
