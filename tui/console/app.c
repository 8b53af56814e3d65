/* The stack of views: what comes on top and goes, messages, keys and what they do in every view, and what goes on by itself. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define MESSAGE_MS 20000
#define TWICE_MS 2000
#define ACTED_MS 100             /* what a key changed is to be seen at once */
#define ACTED_FOR_MS 800
#define AGES_MS 1000             /* a picture that says how long ago something was */

/* --- the stack --- */

struct view *
view_push(struct app *a, const struct view_ops *ops, const void *arg)
{
	struct view *v = xcalloc(1, sizeof(*v));
	struct err e = { .code = RC_OK };

	v->ops = ops;
	v->app = a;
	v->serial = ++a->serial;
	v->data = xcalloc(1, ops->state_size > 0 ? ops->state_size : 1);
	v->below = a->top;
	v->intends = ops->overlay && journey_intends(a->j);
	a->top = v;
	a->dirty = true;
	if (a->message_err.code == RC_OK && !ops->overlay)
		a->message[0] = '\0';                      /* it was about the view below */
	if (ops->open != NULL && ops->open(v, arg, &e) != 0) {
		view_pop(v);
		app_fail(a, &e);
		return NULL;
	}
	return v;
}

void
view_pop(struct view *v)
{
	struct app *a = v->app;

	for (struct view **p = &a->top; *p != NULL; p = &(*p)->below)
		if (*p == v) {
			*p = v->below;
			break;
		}
	if (v->ops->close != NULL)
		v->ops->close(v);
	if (a->top != NULL && a->top->ops->changed != NULL && !a->closing)
		a->top->ops->changed(a->top);
	free(v->filter);
	free(v->data);
	free(v);
	a->dirty = true;
}

bool
view_in_sight(const struct view *v)
{
	const struct view *at = v->app->top;

	while (at != NULL && at != v && at->ops->overlay)
		at = at->below;
	return at == v;
}

struct view *
view_by_serial(struct app *a, int64_t serial)
{
	for (struct view *v = a->top; v != NULL; v = v->below)
		if (v->serial == serial)
			return v;
	return NULL;
}

struct view *
view_by_ops(struct app *a, const struct view_ops *ops)
{
	for (struct view *v = a->top; v != NULL; v = v->below)
		if (v->ops == ops)
			return v;
	return NULL;
}

/* --- messages --- */

void
app_say(struct app *a, enum style s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->message, sizeof(a->message), fmt, ap);
	va_end(ap);
	a->message_style = s;
	a->message_err.code = RC_OK;
	a->message_ms = when_monotonic_ms();
	a->dirty = true;
}

void
app_fail(struct app *a, const struct err *e)
{
	if (e == NULL || e->code == RC_OK)
		return;
	if (e->code == RC_CANCELLED) {
		app_say(a, STYLE_NORMAL, "%s", e->text);
		return;
	}
	app_say(a, STYLE_BAD, "! %s%s%s", e->text, e->hint[0] != '\0' ? "  Do: " : "", e->hint);
	a->message_err = *e;
}

void
app_message(struct app *a, const char *title, enum style s, const char *text)
{
	struct message_arg arg = { .title = title, .text = text, .style = s };

	view_push(a, &view_message, &arg);
}

void
app_copy(struct app *a, const char *text, const char *what)
{
	struct str t = STR_INIT;

	if (text_empty(text)) {
		app_say(a, STYLE_NORMAL, "Nothing to copy here.");
		return;
	}
	clean_text(&t, text, strlen(text), true);          /* what is pasted may end what brackets it */
	if (a->copy != NULL && t.len <= 74000) {
		a->copy(a, t.s);
		app_say(a, STYLE_NORMAL, "Copied %s to the terminal's clipboard: %.200s", what, clean(t.s));
	} else {
		app_message(a, "To select and copy", STYLE_NORMAL, t.s);
	}
	str_release(&t);
}

const struct sheet *
sheet_for(enum sheet_object object, enum sheet_kind kind)
{
	for (size_t i = 0; sheets[i] != NULL; i++)
		if (sheets[i]->object == object && sheets[i]->kind == kind)
			return sheets[i];
	return NULL;
}

void
app_sheet(struct app *a, const char *name, int64_t object, const char *object_name, const char *const *preset)
{
	const struct sheet *s = sheet_find(name);
	struct sheet_arg arg = { .sheet = s, .object = object, .object_name = object_name, .preset = preset };

	if (s == NULL)
		app_say(a, STYLE_BAD, "! There is no dialog \"%s\".", name);
	else
		view_push(a, &view_sheet, &arg);
}

/* --- reading a server, from any view --- */

static int64_t
read_start(struct task *t, struct err *e)
{
	return server_read(t->app->j, t->server, task_done, t, e);
}

static void
read_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct server s = { 0 };

	(void)v;
	if (rc != 0) {
		app_fail(t->app, e);
	} else if (store_server_get(t->app->st, t->server, &s, NULL) == 0) {
		app_say(t->app, STYLE_OK, "%s read: %s %s. Nothing was changed there.", s.name,
		    s.mailsys != NULL ? s.mailsys : "mail system", s.version != NULL ? s.version : "");
		server_release(&s);
	}
}

void
app_server_read(struct app *a, struct view *v, int64_t server)
{
	if (task_of_server(a, server) != NULL) {
		app_say(a, STYLE_NORMAL, "This server is being worked on already.");
		return;
	}
	struct task t = { .verb = "read", .server = server, .view = v != NULL ? v->serial : 0, .start = read_start,
	    .end = read_end };
	task_run(a, &t);
}

/* --- actions of every view --- */

static void act_help(struct view *v) { view_push(v->app, &view_help, v); }
static void act_palette(struct view *v) { view_push(v->app, &view_palette, v); }
static void act_redraw(struct view *v) { v->app->repaint = v->app->dirty = true; }
static void act_suspend(struct view *v) { v->app->suspend = true; }
static void act_activity(struct view *v) { view_push(v->app, &view_activity, NULL); }

static void
act_find(struct view *v)
{
	prompt_open(v->app, PROMPT_FIND, v, 0, NULL, "/");
}

static bool can_find(const struct view *v) { return v->ops->finds; }

static void
quit_answer(struct app *a, struct view *v, int64_t arg, const char *text)
{
	(void)v, (void)arg;
	a->quit = text != NULL;
}

static void
app_quit(struct app *a)
{
	if (push_run_busy(a))
		prompt_open(a, PROMPT_YESNO, NULL, 0, quit_answer,
		    "A push is running; the host ends or undoes it by itself. Quit?");
	else
		a->quit = true;
}

static void
act_back(struct view *v)
{
	if (v->filter != NULL) {
		xset(&v->filter, NULL);
		if (v->ops->changed != NULL)
			v->ops->changed(v);
		return;
	}
	if (v->ops->back != NULL && v->ops->back(v))
		return;
	if (v->below == NULL)
		app_say(v->app, STYLE_NORMAL, "This is the first screen; q quits.");
	else if (v->ops->leave == NULL || v->ops->leave(v))
		view_pop(v);
}

static void
act_close(struct view *v)
{
	if (v->below == NULL)
		app_quit(v->app);
	else if (v->ops->leave == NULL || v->ops->leave(v))
		view_pop(v);
}

static void
act_copy_value(struct view *v)
{
	struct str t = STR_INIT;

	if (v->ops->copy != NULL)
		v->ops->copy(v, false, &t);
	app_copy(v->app, t.s, "this");
	str_release(&t);
}

static void
act_copy_command(struct view *v)
{
	struct str t = STR_INIT, one = STR_INIT;

	if (v->ops->copy != NULL)
		v->ops->copy(v, true, &t);
	clean_text(&one, t.s, t.len, false);
	app_copy(v->app, one.s, "the command");
	str_release(&one);
	str_release(&t);
}

static bool can_copy(const struct view *v) { return v->ops->copy != NULL; }

static void
act_error(struct view *v)
{
	struct app *a = v->app;
	struct str t = STR_INIT;

	if (a->message[0] == '\0')
		return;
	if (a->message_err.code != RC_OK)
		str_addf(&t, "%s\n%s%s\n\nKind: %s", a->message_err.text,
		    a->message_err.hint[0] != '\0' ? "\nWhat to do: " : "", a->message_err.hint,
		    err_name(a->message_err.code));
	else
		str_add(&t, a->message);
	app_message(a, a->message_err.code != RC_OK ? err_title(a->message_err.code) : "Last message", STYLE_NORMAL, t.s);
	str_release(&t);
}

/* --- read-only --- */

static void
allow_answer(struct app *a, struct view *v, int64_t arg, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v, (void)arg;
	if (text == NULL)
		return;
	if (journey_allow_changes(a->j, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_WARN, "Hosts may be changed until this console ends; W makes it read-only again.");
}

static void
act_allow(struct view *v)
{
	struct str why = STR_INIT;
	struct err e = { .code = RC_OK };

	switch (journey_read_only(v->app->j, &why)) {
	case READ_ONLY_STORE:
		prompt_open(v->app, PROMPT_YESNO, NULL, 0, allow_answer, "For this session although %s?", why.s);
		break;
	case READ_ONLY_SESSION:
		prompt_open(v->app, PROMPT_YESNO, NULL, 0, allow_answer, "Allow changes to hosts for this session?");
		break;
	default:
		(void)may_change(v->app->j, &e);
		app_fail(v->app, &e);
	}
	str_release(&why);
}

static void
act_read_only(struct view *v)
{
	journey_start_read_only(v->app->j);
	app_say(v->app, STYLE_NORMAL, "Read-only: no host can be changed from here.");
}

static bool is_read_only(const struct view *v) { return journey_read_only(v->app->j, NULL) != READ_ONLY_NO; }
static bool may_write(const struct view *v) { return !is_read_only(v); }

static bool can_error(const struct view *v) { return v->app->message[0] != '\0'; }

static const struct action everywhere[] = {
	{ '?', "help", "help", "Help of the place you are at, made from the keys that work there.", "mxseal help", act_help,
	  NULL, ACTION_QUIET },
	{ '/', "find", "find", "Filters the list while you type; Esc clears.", NULL, act_find, can_find, 0 },
	{ ':', "palette", "command", "Any action, dialog or object by a few of its letters.", NULL, act_palette, NULL, 0 },
	{ '!', "last message", "whole message", "The last message or error in full, with what to do.", NULL, act_error,
	  can_error, ACTION_QUIET },
	{ 'y', "copy", "copy", "Copies the selected value (terminal clipboard, OSC 52).", NULL, act_copy_value, can_copy,
	  ACTION_QUIET },
	{ 'Y', "copy as command", "copy command", "Copies the same thing as a command line.", NULL, act_copy_command, can_copy,
	  ACTION_QUIET },
	{ 'L', "activity", "activity", "What was done, by whom, when; the chain of records is checked.", "mxseal history",
	  act_activity, NULL, ACTION_QUIET },
	{ 'u', "undo edit", "undo", "Undoes the newest edit of what is wanted, here; hosts are not touched.", "mxseal edits undo",
	  act_edit_undo, NULL, ACTION_QUIET },
	{ K_CTRL_R, "redo edit", "redo", "Makes the edit again that was undone last.", "mxseal edits redo", act_edit_redo, NULL,
	  ACTION_QUIET },
	{ 'W', "allow changes", "allow changes", "Hosts may be changed until this console ends, after a question. It starts "
	  "read-only; what you edit stays here until a push.", "mxseal --write", act_allow, is_read_only, 0 },
	{ 'W', "read-only again", "read-only", "No host can be changed from here any more.", "mxseal --read-only", act_read_only,
	  may_write, ACTION_QUIET },
	{ K_CTRL_L, "redraw", "redraw", "Paints the whole screen again.", NULL, act_redraw, NULL, ACTION_QUIET },
	{ K_CTRL_Z, "suspend", "suspend", "Puts the program to sleep; fg brings it back.", NULL, act_suspend, NULL,
	  ACTION_QUIET },
	{ K_ESC, "back", "back", "One level back; never quits.", NULL, act_back, NULL, ACTION_QUIET },
	{ 'q', "close", "quit", "Closes this view; quits on the first screen. Drafts are kept.", NULL, act_close, NULL,
	  ACTION_QUIET },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

void
actions_each(struct view *v, action_fn *fn, void *arg)
{
	for (const struct action *t = v->ops->actions; t != NULL && t->name != NULL; t++)
		if ((t->can == NULL || t->can(v)) && !fn(v, t, arg))
			return;
	for (const struct action *t = everywhere; t->name != NULL; t++)
		if ((t->can == NULL || t->can(v)) && !fn(v, t, arg))
			return;
}

struct wanted_key { int key; bool control_only; const struct action *found; };

static bool
find_key(struct view *v, const struct action *act, void *arg)
{
	struct wanted_key *w = arg;

	(void)v;
	if (act->key != w->key || (w->control_only && key_is_text(act->key)))
		return true;
	w->found = act;
	return false;
}

/* Ctrl-C: stops what this view runs; at rest says how to quit; twice quits. */
static void
interrupt(struct app *a)
{
	struct task *t = task_of_view(a->top, NULL);
	int64_t now = when_monotonic_ms();

	if (t != NULL) {
		app_say(a, STYLE_NORMAL, "Stopping: %s", t->verb);
		task_cancel(t);
	} else if (now - a->interrupted_ms < TWICE_MS) {
		app_quit(a);
	} else {
		app_say(a, STYLE_NORMAL, "Nothing runs here. q quits (or Ctrl-C once more).");
	}
	a->interrupted_ms = now;
}

void
action_run(struct view *v, const struct action *act)
{
	struct app *a = v->app;
	struct err e = { .code = RC_OK };
	bool was = journey_intend(a->j, v->intends || (act->flags & ACTION_CHANGES));

	a->acted = true;

	if ((act->flags & ACTION_CHANGES) && may_change(a->j, &e) != 0)
		app_fail(a, &e);
	else
		act->run(v);
	(void)journey_intend(a->j, was);
}

static bool
view_key(struct view *v, int key)
{
	struct app *a = v->app;
	bool was = journey_intend(a->j, v->intends), taken = v->ops->key != NULL && v->ops->key(v, key);

	(void)journey_intend(a->j, was);
	return taken;
}

void
app_key(struct app *a, int key)
{
	struct view *v = a->top;

	a->dirty = true;
	a->key_ms = when_monotonic_ms();
	if (a->prompt.kind != PROMPT_NONE || (v != NULL && v->ops->typing != NULL && v->ops->typing(v)))
		a->acted = true;
	if (a->prompt.kind != PROMPT_NONE) {
		if (key == K_CTRL_L)
			a->repaint = true;
		else
			prompt_key(a, key);
		return;
	}
	if (v == NULL)
		return;
	if (key == K_CTRL_C) {
		interrupt(a);
		return;
	}
	if (view_key(v, key))
		return;
	if (key == K_PASTE)
		return;                                    /* a paste is text, never commands */
	bool typing = v->ops->typing != NULL && v->ops->typing(v);
	struct wanted_key w = { typing && key_is_text(key) ? 0 : key_command(key), typing && key_is_text(key), NULL };
	if (w.key != 0)
		actions_each(v, find_key, &w);
	if (w.found != NULL)
		action_run(v, w.found);
}

bool
action_works(struct view *v, int key)
{
	struct wanted_key w = { key, false, NULL };

	if (v->ops->typing != NULL && v->ops->typing(v))
		return false;
	actions_each(v, find_key, &w);
	return w.found != NULL;
}

/* --- time --- */

bool
app_has_time(const struct app *a, const struct share *s)
{
	return share_due(s) || (a->acted && when_monotonic_ms() - s->ended_ms >= ACTED_MS);
}

bool
app_idle(struct app *a, int64_t until_ms)
{
	struct err e = { .code = RC_OK };
	int notes = journey_notes_some(a->j, until_ms, &e);
	bool more = edits_some(a, until_ms) || notes == 1;

	if (notes == -1 && a->message[0] == '\0')
		app_fail(a, &e);
	for (struct view *v = a->top; v != NULL; v = v->below)
		if (v->ops->idle != NULL && v->ops->idle(v, until_ms))
			more = true;
	return more;
}

void
app_tick(struct app *a, int64_t now_ms)
{
	int64_t version = store_version(a->st);

	if (version != a->store_seen) {
		a->store_seen = version;
		for (struct view *v = a->top; v != NULL; v = v->below)
			if (v->ops->noticed != NULL || v->ops->changed != NULL)
				(v->ops->noticed != NULL ? v->ops->noticed : v->ops->changed)(v);
		a->dirty = true;
	}
	(void)edits_some(a, now_ms + SLICE_MS);
	journey_tend_store(a->j);
	push_run_tick(a, now_ms);
	fleet_tasks_tick(a, now_ms);
	follow_tick(a, now_ms);
	for (struct view *v = a->top, *below; v != NULL; v = below) {
		below = v->below;
		if (v->ops->tick != NULL)
			v->ops->tick(v, now_ms);
	}
	if (a->message[0] != '\0' && a->message_err.code == RC_OK && now_ms - a->message_ms > MESSAGE_MS) {
		a->message[0] = '\0';
		a->dirty = true;
	}
	if (when_monotonic_ms() - a->key_ms > ACTED_FOR_MS)
		a->acted = false;
	if (a->tasks != NULL || a->push != NULL || a->prompt.kind != PROMPT_NONE || now_ms - a->drawn_ms >= AGES_MS)
		a->dirty = true;
	tasks_ask(a);
}

/* --- open, close --- */

int
app_open(struct app **out, const char *store_path, bool ascii, struct err *e)
{
	struct app *a = xcalloc(1, sizeof(*a));

	str_init(&a->paste, 1024 * 1024);
	draw_open(ascii);
	if (journey_open(&a->j, store_path, e) != 0) {
		free(a);
		return -1;
	}
	a->st = journey_store(a->j);
	a->q = journey_jobs(a->j);
	jobq_on_progress(a->q, tasks_progress, a);
	jobq_stand_back(a->q);
	store_leave_carrying(a->st);
	journey_notes_later(a->j);
	journey_start_read_only(a->j);
	(void)journey_intend(a->j, false);
	a->store_seen = a->edits_seen = -1;
	view_push(a, &view_main, NULL);
	app_tick(a, when_monotonic_ms());
	*out = a;
	return 0;
}

void
app_close(struct app *a)
{
	if (a == NULL)
		return;
	prompt_dismiss(a);
	a->closing = true;
	while (a->top != NULL)
		view_pop(a->top);
	journey_close(a->j);
	push_run_close(a);
	edits_close(a);
	fleet_free(a->reading);
	tasks_close(a);
	follow_close(a);
	secret_release(&a->first);
	str_wipe(&a->paste);
	free(a);
}
