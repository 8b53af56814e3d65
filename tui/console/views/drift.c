/* Found against wanted of one server: what was changed on the host since the last push, field by field and file by file, what
 * is edited here and not pushed, and what was left as it is there. Nothing on it changes a server: putting back is a push. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct drift_data { int64_t server; char *name; struct drift_list all; struct list list; size_t top; };

static const struct drift *
selected(const struct view *v)
{
	const struct drift_data *d = v->data;

	return d->list.sel < d->list.n ? &d->all.v[d->list.sel] : NULL;
}

static void
load(struct view *v)
{
	struct drift_data *d = v->data;
	struct err e = { .code = RC_OK };

	drift_list_release(&d->all);
	if (drift_of_server(v->app->j, d->server, &d->all, &e) != 0)
		app_fail(v->app, &e);
	d->list.n = v->shown = v->total = d->all.n;
	if (d->list.sel >= d->list.n)
		d->list.sel = 0;
}

static int
drift_open(struct view *v, const void *p, struct err *e)
{
	struct drift_data *d = v->data;
	struct server s = { 0 };

	d->server = ((const struct drift_arg *)p)->server;
	if (store_server_get(v->app->st, d->server, &s, e) != 0)
		return -1;
	d->name = xstrdup(s.name);
	server_release(&s);
	load(v);
	return 0;
}

static void
drift_close(struct view *v)
{
	struct drift_data *d = v->data;

	drift_list_release(&d->all);
	free(d->name);
}

static const char *
state_of(const struct drift *d)
{
	switch (d->kind) {
	case DRIFT_EDITED: return "~ edited here";
	case DRIFT_CHANGED: return "! changed there";
	case DRIFT_LEFT: return "left so";
	case DRIFT_FILE: break;
	}
	return "! touched";
}

static void
draw_details(struct view *v, struct area a)
{
	const struct drift *d = selected(v);
	struct lines l = { NULL, 0 };

	if (d == NULL) {
		lines_wrap(&l, STYLE_NORMAL, a.w, 0, "All that is wanted was found so at the last reading. r reads again.");
	} else {
		lines_field(&l, STYLE_NORMAL, a.w, "Wanted", d->wanted);
		lines_field(&l, STYLE_NORMAL, a.w, d->kind == DRIFT_FILE ? "Touched" : "Found", d->found != NULL ? d->found : "no word of ours for it");
		lines_field(&l, STYLE_NORMAL, a.w, "There", d->native);
		lines_field(&l, STYLE_NORMAL, a.w, "Stands in", d->source);
		if (d->diff != NULL)
			lines_wrap(&l, STYLE_NORMAL, a.w, 0, d->diff);
	}
	lines_draw(&l, a, &((struct drift_data *)v->data)->top);
	lines_release(&l);
}

static void
drift_draw(struct view *v, struct area a)
{
	struct drift_data *d = v->data;
	char title[100];
	int rows = a.h >= 16 ? (d->list.n < 8 ? (int)d->list.n + 2 : 10) : a.h >= 8 ? a.h / 2 : a.h;
	struct area top = a, below = { a.y + rows, a.x, a.h - rows, a.w };

	top.h = rows < 3 ? 3 : rows;
	below.y = a.y + top.h;
	below.h = a.h - top.h;
	snprintf(title, sizeof(title), "%.60s: found against wanted", d->name);
	struct area in = a.h >= 8 && a.w >= 30 ? draw_box(top, title) : top;
	v->page = in.h;
	list_fit(&d->list, in.h);
	for (int y = 0; y < in.h && d->list.top + (size_t)y < d->list.n; y++) {
		size_t i = d->list.top + (size_t)y;
		const struct drift *r = &d->all.v[i];
		struct str t = STR_INIT;

		str_addf(&t, "%s%s %s", i == d->list.sel ? "> " : "  ", r->object, r->name);
		draw_row(in, y, 0, 0, i == d->list.sel ? STYLE_SELECTED : STYLE_NORMAL, t.s);
		draw_put(in, y, in.w - 16, 0, i == d->list.sel ? STYLE_SELECTED : style_of_sign(state_of(r)[0]), state_of(r));
		str_release(&t);
	}
	if (d->list.n == 0)
		draw_put(in, 0, 0, 0, STYLE_NORMAL, "Nothing differs.");
	if (below.h > 0)
		draw_details(v, a.h >= 8 && a.w >= 30 && below.h >= 3 ? draw_box(below, "Details") : below);
}

typedef int way_fn(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e);

static void
way_out(struct view *v, way_fn *go)
{
	struct drift_data *d = v->data;
	const struct drift *r = selected(v);
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };
	char *field;

	if (r == NULL)
		return;
	field = xasprintf("%s/%s", r->object, r->name);
	if (go(v->app->j, d->server, (const char *const[]){ field }, 1, &said, &e) != 0)
		app_fail(v->app, &e);
	else
		app_say(v->app, STYLE_OK, "%s", clean(said.s));
	free(field);
	str_release(&said);
	load(v);
}

static void act_take(struct view *v) { way_out(v, drift_take); }

static void
leave_sure(struct app *a, struct view *v, int64_t arg, const char *text)
{
	(void)a, (void)arg;
	if (v != NULL && text != NULL)
		way_out(v, drift_leave);
}

/* A push passes it over then, so it is asked; back again is nothing to ask for. */
static void
act_leave(struct view *v)
{
	const struct drift *r = selected(v);

	if (r == NULL)
		return;
	if (r->kind == DRIFT_LEFT)
		way_out(v, drift_unleave);
	else
		prompt_open(v->app, PROMPT_YESNO, v, 0, leave_sure, "Leave %s as it is on %s? A push passes it over until it changes again.",
		    r->name, ((const struct drift_data *)v->data)->name);
}

static void
act_put_back(struct view *v)
{
	struct plan_arg arg = { .server = ((struct drift_data *)v->data)->server };

	view_push(v->app, &view_plan, &arg);
}

static void act_read(struct view *v) { app_server_read(v->app, v, ((struct drift_data *)v->data)->server); }
static bool can_take(const struct view *v) { return selected(v) != NULL && selected(v)->kind != DRIFT_FILE; }
static bool can_leave(const struct view *v) { return can_take(v) && (selected(v)->kind == DRIFT_CHANGED || selected(v)->kind == DRIFT_LEFT); }
static bool any(const struct view *v) { return selected(v) != NULL; }

static bool
drift_key(struct view *v, int key)
{
	struct drift_data *d = v->data;

	if (!list_key(&d->list, key_command(key), v->page))
		return false;
	d->top = 0;
	return true;
}

static void
drift_crumb(const struct view *v, struct str *out)
{
	str_addf(out, "%s > Drift", ((const struct drift_data *)v->data)->name);
}

static void
drift_copy(const struct view *v, bool command, struct str *out)
{
	const struct drift *d = selected(v);

	if (command)
		str_addf(out, "mxseal drift %s", ((const struct drift_data *)v->data)->name);
	else if (d != NULL)
		str_add(out, d->diff != NULL ? d->diff : d->native != NULL ? d->native : d->name);
}

static const struct action drift_actions[] = {
	{ 't', "take over", "take over", "What is found on the host becomes what is wanted; an edit, undone with u.", "mxseal drift SERVER --take FIELD",
	  act_take, can_take, 0 },
	{ 'L', "leave", "leave", "Lets it be as it is there, until it changes again; a push does not touch it. On what was left: takes that back.", "mxseal drift SERVER --leave FIELD",
	  act_leave, can_leave, 0 },
	{ 'P', "put back", "put back", "The plan that puts everything back to what is wanted.", "mxseal push SERVER", act_put_back, any, 0 },
	{ 'r', "read", "read", "Reads the host again; changes nothing there.", "mxseal drift SERVER", act_read, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_drift = {
	.name = "drift", .title = "Drift",
	.about = "What was changed on the host since the last push, field by field, and lines and files of mxseal that somebody edited "
	    "there. Each is taken over, left, or put back by a push.",
	.state_size = sizeof(struct drift_data), .actions = drift_actions, .open = drift_open, .close = drift_close, .draw = drift_draw,
	.key = drift_key, .changed = load, .crumb = drift_crumb, .copy = drift_copy,
};
