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

/* What is so, what can be seen of it, then why it was made: in the order that somebody who is woken up asks. */
static void
details(struct view *v, const struct workaround *w, int width, struct lines *l)
{
	static const char *const now[] = { "Its mail leaves without TLS", "On trial: with TLS where that is offered", "Ended, and watched: ",
	    "Over" };
	int64_t at = when_now();
	struct str text = STR_INIT;
	struct retire_view r;
	char since[16], review[16], ago[16];

	if (workaround_facts(v->app->j, w, &r, NULL) == -1)
		return;
	if (!r.r.unpushed) {
		when_ago(ago, at - w->changed_at);
		str_addf(&text, "%s%s, for %s", now[r.r.state], r.r.state == RETIRE_PROVING ? w->level ? w->level : "what held before" : "", ago);
		lines_field(l, r.r.state == RETIRE_OPEN ? STYLE_BAD : r.r.state == RETIRE_TRIAL ? STYLE_UNKNOWN : STYLE_OK, width, "Now", text.s);
		str_reset(&text);
	}
	retire_why(&r.r, at, &text);
	lines_field(l, r.r.unpushed ? STYLE_UNKNOWN : STYLE_KEY, width, r.r.unpushed ? "Now" : "Looks", text.s);
	if (w->in_clear != NULL)
		lines_field(l, STYLE_BAD, width, "In clear", w->in_clear);
	if (w->proof != NULL)
		lines_field(l, STYLE_OK, width, "Proof", w->proof);
	draw_looks(v, &r, width, l);
	if (retire_unused(&r.r, at))
		lines_addf(l, STYLE_UNKNOWN, "No mail took it for %d days.", RETIRE_UNUSED / 86400);
	when_date(since, w->since);
	when_date(review, w->review_at);
	lines_field(l, STYLE_NORMAL, width, "Reason", w->reason);
	str_reset(&text);
	str_addf(&text, "%s%s%s", since, w->owner ? ", by " : "", w->owner ? w->owner : "");
	lines_field(l, STYLE_NORMAL, width, "Since", text.s);
	lines_field(l, retire_overdue(&r.r, at) ? STYLE_BAD : STYLE_NORMAL, width, "Review", w->review_at != 0 ? review : "never");
	lines_field(l, STYLE_NORMAL, width, "Sent by", w->servers);
	lines_field(l, STYLE_NORMAL, width, "Before", w->level);
	if (w->falls > 0) {
		when_ago(ago, retire_span(&r.r));
		lines_addf(l, STYLE_NORMAL, "It fell back %d time%s: good looks have to last %s now.", w->falls, w->falls == 1 ? "" : "s", ago);
	}
	draw_evidence(w->evidence, width, l);
	str_release(&text);
	retire_view_release(&r);
}

static void
draw_details(struct view *v, struct area a)
{
	const struct workaround *w = selected(v);
	struct lines l = { NULL, 0 };

	if (w == NULL)
		lines_wrap(&l, STYLE_NORMAL, a.w, 0, "All mail leaves as its connectors and virtual servers say. In the queue, w makes a work-around.");
	else
		details(v, w, a.w, &l);
	lines_draw(&l, a, &((struct workarounds_data *)v->data)->top);
	lines_release(&l);
}

/* The state stands where it is not cut off. */
static void
draw_one(struct area in, int y, const struct workaround *w, bool selected_one)
{
	enum retire_state state = retire_state_of(w->state);
	char *row = xasprintf("%s%-8s %s  by %s", selected_one ? "> " : "  ", w->state, w->domain, w->servers);

	draw_row(in, y, 0, 0, selected_one ? STYLE_SELECTED : state == RETIRE_OPEN ? STYLE_BAD : state == RETIRE_TRIAL ? STYLE_UNKNOWN : STYLE_NORMAL,
	    row);
	free(row);
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
		draw_one(in, y, &d->all.v[i], i == d->list.sel);
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
act_whole(struct view *v)
{
	const struct workaround *w = selected(v);
	struct lines l = { NULL, 0 };
	struct str t = STR_INIT;

	if (w == NULL)
		return;
	details(v, w, 72, &l);
	for (size_t i = 0; i < l.n; i++)
		str_addf(&t, "%s\n", l.v[i].text);
	app_message(v->app, w->domain, STYLE_NORMAL, t.s);
	lines_release(&l);
	str_release(&t);
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
is_any(const struct view *v)
{
	return selected(v) != NULL;
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
	{ K_ENTER, "all of it", "all of it", "All that is known of the selected one, to be scrolled.", "mxseal workaround --json", act_whole, is_any, 0 },
	{ 'e', "end it", "end", "Its mail leaves as before again, with TLS: shows the plan; its first mail is watched.", "mxseal workaround end DOMAIN",
	  act_end, is_not_over, 0 },
	{ 't', "try TLS", "try", "On trial: its mail leaves with TLS where that is offered, and none waits for it; shows the plan.",
	  "mxseal workaround try DOMAIN", act_try, is_open, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_workarounds = {
	.name = "workarounds", .title = "Work-arounds",
	.about = "Domains whose mail leaves without TLS for a while, with what the last looks from each host saw, reason, owner and evidence. "
	    "mxseal check and mxseal watch look at them; with --retire those that are not needed any more go on trial (TLS where it is "
	    "offered, and no mail waits for it), and end after a good day.",
	.state_size = sizeof(struct workarounds_data), .actions = workarounds_actions, .open = workarounds_open, .close = workarounds_close,
	.draw = workarounds_draw, .key = workarounds_key, .changed = load, .crumb = workarounds_crumb, .copy = workarounds_copy,
};
