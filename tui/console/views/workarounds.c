/* Work-arounds: domains whose mail leaves without TLS for a while, why, since when, and what the looks at them say. Nothing on it
 * changes a server: ending one is an edit, and a plan carries it there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct workarounds_data { struct workaround_list all; struct list list; size_t top; };

static const struct workaround *
selected(const struct view *v)
{
	const struct workarounds_data *d = v->data;

	return d->list.sel < d->list.n ? &d->all.v[d->list.sel] : NULL;
}

static void
load(struct view *v)
{
	struct workarounds_data *d = v->data;
	struct err e = { .code = RC_OK };

	workaround_list_release(&d->all);
	if (store_workarounds(v->app->st, &d->all, &e) != 0)
		app_fail(v->app, &e);
	d->list.n = v->shown = v->total = d->all.n;
	if (d->list.sel >= d->list.n)
		d->list.sel = 0;
}

static int
workarounds_open(struct view *v, const void *p, struct err *e)
{
	(void)p, (void)e;
	load(v);
	return 0;
}

static void
workarounds_close(struct view *v)
{
	workaround_list_release(&((struct workarounds_data *)v->data)->all);
}

static void
draw_looks(struct view *v, const struct retire_view *r, int width, struct lines *l)
{
	struct server s = { 0 };
	char ago[16];

	for (size_t i = 0; i < r->looks.n; i++) {
		const struct workaround_look *k = &r->looks.v[i];

		when_ago(ago, when_now() - k->last_at);
		if (store_server_get(v->app->st, k->server, &s, NULL) == 0)
			lines_addf(l, k->good > 0 ? STYLE_OK : k->bad ? STYLE_BAD : STYLE_UNKNOWN,
			    "From %s, %s ago: %s", s.name, ago, k->good > 0 ? "good" : k->bad ? "TLS is in the way" : "not clear");
		server_release(&s);
		if (k->text != NULL)
			lines_wrap(l, STYLE_NORMAL, width, 2, k->text);
	}
}

/* A sentence a line. */
static void
draw_evidence(const char *evidence, int width, struct lines *l)
{
	char **w = words_split(evidence != NULL ? evidence : "", "\n", NULL);

	for (size_t i = 0; w[i] != NULL; i++)
		lines_field(l, STYLE_NORMAL, width, i == 0 ? "Evidence" : "", w[i]);
	words_free(w);
}

static void
draw_details(struct view *v, struct area a)
{
	const struct workaround *w = selected(v);
	struct lines l = { NULL, 0 };
	struct str why = STR_INIT;
	struct retire_view r;
	char since[16], review[16];

	if (w == NULL)
		lines_wrap(&l, STYLE_NORMAL, a.w, 0, "All mail leaves as its connectors and virtual servers say. In the queue, w makes a work-around.");
	else if (workaround_facts(v->app->j, w, &r, NULL) == 0) {
		retire_why(&r.r, when_now(), &why);
		when_date(since, w->since);
		when_date(review, w->review_at);
		lines_field(&l, STYLE_KEY, a.w, "Now", why.s);
		lines_field(&l, STYLE_NORMAL, a.w, "Reason", w->reason);
		lines_field(&l, STYLE_NORMAL, a.w, "Since", since);
		lines_field(&l, retire_overdue(&r.r, when_now()) ? STYLE_BAD : STYLE_NORMAL, a.w, "Review", w->review_at != 0 ? review : "never");
		lines_field(&l, STYLE_NORMAL, a.w, "Owner", w->owner);
		lines_field(&l, STYLE_NORMAL, a.w, "Sent by", w->servers);
		lines_field(&l, STYLE_NORMAL, a.w, "Else", w->level);
		if (retire_unused(&r.r, when_now()))
			lines_addf(&l, STYLE_UNKNOWN, "No mail took it for %d days.", RETIRE_UNUSED / 86400);
		draw_looks(v, &r, a.w, &l);
		draw_evidence(w->evidence, a.w, &l);
		retire_view_release(&r);
	}
	lines_draw(&l, a, &((struct workarounds_data *)v->data)->top);
	lines_release(&l);
	str_release(&why);
}

static void
workarounds_draw(struct view *v, struct area a)
{
	struct workarounds_data *d = v->data;
	int rows = a.h >= 16 ? (d->list.n < 8 ? (int)d->list.n + 2 : 10) : a.h >= 8 ? a.h / 2 : a.h;
	struct area top = a, below, in;

	top.h = rows < 3 ? 3 : rows;
	below = (struct area){ a.y + top.h, a.x, a.h - top.h, a.w };
	in = a.h >= 8 && a.w >= 30 ? draw_box(top, "Mail without TLS for a while") : top;
	v->page = in.h;
	list_fit(&d->list, in.h);
	for (int y = 0; y < in.h && d->list.top + (size_t)y < d->list.n; y++) {
		size_t i = d->list.top + (size_t)y;
		char *row = xasprintf("%s%s  by %s", i == d->list.sel ? "> " : "  ", d->all.v[i].domain, d->all.v[i].servers);

		draw_row(in, y, 0, 0, i == d->list.sel ? STYLE_SELECTED : STYLE_NORMAL, row);
		draw_put(in, y, in.w - 10, 0, i == d->list.sel ? STYLE_SELECTED : STYLE_NORMAL, d->all.v[i].state);
		free(row);
	}
	if (d->list.n == 0)
		draw_put(in, 0, 0, 0, STYLE_NORMAL, "There is no work-around.");
	if (below.h > 0)
		draw_details(v, a.h >= 8 && a.w >= 30 && below.h >= 3 ? draw_box(below, "Details") : below);
}

static void
become(struct view *v, enum retire_state to)
{
	const struct workaround *w = selected(v);
	struct plan_arg arg = { .server = 0 };
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };

	if (w == NULL)
		return;
	if (workaround_become(v->app->j, w->id, to, false, &said, &e) != 0)
		app_fail(v->app, &e);
	else {
		app_say(v->app, STYLE_OK, "%s", clean(said.s));
		view_push(v->app, &view_plan, &arg);
	}
	str_release(&said);
	load(v);
}

static void
act_end(struct view *v)
{
	become(v, RETIRE_PROVING);
}

static void
act_try(struct view *v)
{
	become(v, RETIRE_TRIAL);
}

static bool
is_open(const struct view *v)
{
	return selected(v) != NULL && text_eq(selected(v)->state, "open");
}

static bool
is_not_over(const struct view *v)
{
	return is_open(v) || (selected(v) != NULL && text_eq(selected(v)->state, "trial"));
}

static bool
workarounds_key(struct view *v, int key)
{
	struct workarounds_data *d = v->data;

	if (!list_key(&d->list, key_command(key), v->page))
		return false;
	d->top = 0;
	return true;
}

static void
workarounds_crumb(const struct view *v, struct str *out)
{
	(void)v;
	str_add(out, "Work-arounds");
}

static void
workarounds_copy(const struct view *v, bool command, struct str *out)
{
	const struct workaround *w = selected(v);

	if (w != NULL)
		str_addf(out, command ? "mxseal workaround end %s" : "%s", w->domain);
}

static const struct action workarounds_actions[] = {
	{ 'e', "end it", "end", "Its mail leaves as before again, with TLS: shows the plan; its first mail is watched.", "mxseal workaround end DOMAIN",
	  act_end, is_not_over, 0 },
	{ 't', "try TLS", "try", "On trial: its mail leaves with TLS where that is offered, and none waits for it; shows the plan.",
	  "mxseal workaround try DOMAIN", act_try, is_open, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_workarounds = {
	.name = "workarounds", .title = "Work-arounds",
	.about = "Domains whose mail leaves without TLS for a while, with reason, owner, evidence and the last looks from each host that sends. "
	    "mxseal check and mxseal watch look at them; --retire ends those that are not needed any more.",
	.state_size = sizeof(struct workarounds_data), .actions = workarounds_actions, .open = workarounds_open, .close = workarounds_close,
	.draw = workarounds_draw, .key = workarounds_key, .changed = load, .crumb = workarounds_crumb, .copy = workarounds_copy,
};
