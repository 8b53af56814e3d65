/* Background verbs. A task owns what the verb fills, so a view may be closed while it runs. A verb that comes back with a
 * question (host key, password, passphrase) waits until the question is answered and is then called again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/secret.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

static void finish(struct task *t);

static void
unlink_task(struct task *t)
{
	for (struct task **p = &t->app->tasks; *p != NULL; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			return;
		}
}

static void
drop(struct task *t)
{
	unlink_task(t);
	if (t->drop != NULL)
		t->drop(t->data);
	free(t);
}

void
task_again(struct task *t)
{
	struct err e = { .code = RC_OK };
	int64_t r;
	bool was;

	t->asks = t->finished = false;
	t->starting = true;
	t->since_ms = when_monotonic_ms();
	t->text[0] = '\0';
	t->app->dirty = true;
	was = journey_intend(t->app->j, t->intends);
	r = t->start(t, &e);
	(void)journey_intend(t->app->j, was);
	t->starting = false;
	t->job = r > 0 ? r : 0;
	if (r <= 0 && !t->finished) {                      /* refused, or there was nothing to do */
		t->finished = true;
		t->rc = r < 0 ? -1 : 0;
		t->err = e;
	}
	if (t->finished)
		finish(t);
}

struct task *
task_run(struct app *a, const struct task *from)
{
	struct task *t = xcalloc(1, sizeof(*t));
	int64_t serial;

	*t = *from;
	t->app = a;
	t->intends = journey_intends(a->j);
	serial = t->serial = ++a->serial;
	t->next = a->tasks;
	a->tasks = t;
	task_again(t);
	return task_by_serial(a, serial);
}

void
task_done(void *arg, int rc, const struct err *e)
{
	struct task *t = arg;

	t->finished = true;
	t->job = 0;
	t->rc = rc;
	t->err = e != NULL ? *e : (struct err){ .code = RC_OK };
	if (!t->starting && !t->app->closing)
		finish(t);
}

static void
end(struct task *t)
{
	struct view *v = view_by_serial(t->app, t->view);
	bool was;

	t->app->dirty = true;
	if (t->err.code == RC_AUTH && t->server != 0)      /* a wrong password is not offered again */
		journey_password(t->app->j, t->server, "login", NULL);
	was = journey_intend(t->app->j, t->intends);
	if (t->end != NULL)
		t->end(t, v, t->rc, &t->err);
	(void)journey_intend(t->app->j, was);
	drop(t);
}

static void
finish(struct task *t)
{
	enum err_code c = t->err.code;

	if (t->rc != 0 && (c == RC_PASSWORD || c == RC_PASSPHRASE || c == RC_HOSTKEY_NEW)) {
		t->asks = true;
		t->app->dirty = true;
		return;                                    /* tasks_ask takes it from here */
	}
	end(t);
}

void
task_give_up(struct task *t)
{
	t->asks = false;
	err_set(&t->err, RC_CANCELLED, "%s: not done, the question was left unanswered", t->verb);
	end(t);
}

void
task_cancel(struct task *t)
{
	if (t->asks)
		task_give_up(t);
	else if (t->job > 0)
		jobq_cancel(t->app->q, t->job);
}

struct task *
task_of_server(struct app *a, int64_t server)
{
	for (struct task *t = a->tasks; t != NULL; t = t->next)
		if (t->server == server && server != 0)
			return t;
	return NULL;
}

struct task *
task_of_view(const struct view *v, const char *verb)
{
	for (struct task *t = v->app->tasks; t != NULL; t = t->next)
		if (t->view == v->serial && (verb == NULL || strcmp(t->verb, verb) == 0))
			return t;
	return NULL;
}

struct task *
task_by_serial(struct app *a, int64_t serial)
{
	for (struct task *t = a->tasks; t != NULL; t = t->next)
		if (t->serial == serial)
			return t;
	return NULL;
}

void
tasks_progress(const struct job_progress *p, void *arg)
{
	struct app *a = arg;

	for (struct task *t = a->tasks; t != NULL; t = t->next)
		if (t->job == p->id) {
			snprintf(t->text, sizeof(t->text), "%s", p->text[0] != '\0' ? p->text : p->name);
			if (p->step > 0)
				push_run_progress(a, t->server, p);
		}
	a->dirty = true;
}

/* --- the questions --- */

static void answered(struct app *a, struct view *v, int64_t serial, const char *text);

/* The first passphrase of a store is typed twice: a slip would lock away the keys it seals. */
static bool
repeated(struct app *a, struct task *t, const char *text)
{
	bool same;

	if (sealed_keys_exist(a->j) || journey_has_passphrase(a->j))
		return true;
	if (!secret_is_set(&a->first)) {
		secret_set(&a->first, text, strlen(text));
		prompt_open(a, PROMPT_SECRET, NULL, t->serial, answered, "The same passphrase once more");
		return false;
	}
	same = strcmp(a->first.mem, text) == 0;
	secret_release(&a->first);
	a->differ = !same;                                 /* the next question says so */
	return same;
}

static void
answered(struct app *a, struct view *v, int64_t serial, const char *text)
{
	struct task *t = task_by_serial(a, serial);
	struct secret s = { NULL, 0 };

	(void)v;
	if (t == NULL)
		return;
	if (text == NULL) {
		secret_release(&a->first);
		task_give_up(t);
		return;
	}
	if (t->err.code == RC_PASSPHRASE && !repeated(a, t, text))
		return;
	secret_set(&s, text, strlen(text));
	if (t->err.code == RC_PASSPHRASE)
		journey_passphrase(a->j, &s);
	else
		journey_password(a->j, t->server, strstr(t->err.text, "sudo") != NULL ? "sudo" : "login", &s);
	secret_release(&s);
	t->refused++;
	/* others that wait for the same answer are called again as well */
	enum err_code code = t->err.code;
	int64_t server = t->server;
	task_again(t);
	for (struct task *o = a->tasks; o != NULL; ) {
		struct task *next = o->next;
		if (o->asks && o->serial != serial && o->err.code == code && (o->server == server || code == RC_PASSPHRASE)) {
			int64_t following = next != NULL ? next->serial : 0;
			task_again(o);
			next = following != 0 ? task_by_serial(a, following) : NULL;
		}
		o = next;
	}
}

static void
look_drop(void *key)
{
	hostkey_release(key);
	free(key);
}

static int64_t
look_start(struct task *t, struct err *e)
{
	return server_look_key(t->app->j, t->server, t->data, task_done, t, e);
}

static void
look_end(struct task *look, struct view *v, int rc, const struct err *e)
{
	struct task *t = task_by_serial(look->app, look->id);

	(void)v;
	if (t == NULL)
		return;
	if (rc != 0) {
		t->asks = false;
		t->err = *e;
		end(t);
		return;
	}
	struct hostkey *key = look->data;
	if (key->verdict == HOSTKEY_OK) {                  /* trusted meanwhile */
		task_again(t);
		return;
	}
	struct hostkey_arg arg = { .task = t->serial, .server = t->server, .key = key };
	view_push(look->app, &view_hostkey, &arg);
}

static bool
looks_already(struct app *a, int64_t server)
{
	for (struct task *t = a->tasks; t != NULL; t = t->next)
		if (t->start == look_start && t->server == server)
			return true;
	return view_by_ops(a, &view_hostkey) != NULL;
}

void
tasks_ask(struct app *a)
{
	bool typing = a->top != NULL && a->top->ops->typing != NULL && a->top->ops->typing(a->top);

	if (a->prompt.kind != PROMPT_NONE)
		return;
	for (struct task *t = a->tasks; t != NULL; t = t->next) {
		if (!t->asks || (typing && t->view != a->top->serial))
			continue;                          /* a question does not break into what is being typed */
		if (t->err.code == RC_HOSTKEY_NEW) {
			if (looks_already(a, t->server))
				continue;
			struct task look = { .verb = "host key", .server = t->server, .id = t->serial, .start = look_start,
			    .end = look_end, .data = xcalloc(1, sizeof(struct hostkey)), .drop = look_drop };
			task_run(a, &look);
			return;
		}
		prompt_open(a, PROMPT_SECRET, NULL, t->serial, answered, "%s%s", a->differ ? "They differ. " :
		    t->refused > 0 ? "Not accepted. " : "", t->err.text);
		a->differ = false;
		return;
	}
}

void
tasks_close(struct app *a)
{
	while (a->tasks != NULL)
		drop(a->tasks);
}
