/* Why the selected destination's mail waits, below the list: first in the queue's own words, then (Enter) from live looks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/queue.h"
#include "tui/console/views/reports.h"

static struct queue_data *
data_of(const struct view *v)
{
	return v->data;
}

static void
diagnosis_drop(void *p)
{
	destination_view_release(p);
	free(p);
}

static int64_t
diagnose_start(struct task *t, struct err *e)
{
	struct view *v = view_by_serial(t->app, t->view);

	if (v == NULL)
		return err_set(e, RC_CANCELLED, "the view was closed");
	return destination_diagnose(t->app->j, t->server, data_of(v)->diagnosed, t->data, task_done, t, e);
}

static void
diagnose_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct queue_data *d = v != NULL ? data_of(v) : NULL;

	if (d == NULL)
		return;
	destination_view_release(&d->diagnosis);
	remedy_offers_release(&d->offers);
	memset(&d->diagnosis, 0, sizeof(d->diagnosis));
	str_init(&d->diagnosis.diagnosis.evidence, 0);
	xset(&d->diagnosis_error, NULL);
	d->diagnosis_at = when_now();
	d->pane_top = 0;
	if (rc == 0) {
		d->diagnosis = *(struct destination_view *)t->data;
		memset(t->data, 0, sizeof(d->diagnosis));
		str_init(&((struct destination_view *)t->data)->diagnosis.evidence, 0);
		d->diagnosed_server = t->server;
		remedies_for(t->app->j, t->server, &d->diagnosis, &d->offers);
	} else {
		d->diagnosis_error = xasprintf("%s%s%s", e->text, e->hint[0] != '\0' ? "  Do: " : "", e->hint);
	}
}

void
diagnosis_act(struct view *v)
{
	struct queue_data *d = data_of(v);
	struct queue_group *g = queue_selected(v);

	if (g == NULL)
		return;
	if (d->by != QUEUE_BY_DESTINATION) {
		app_say(v->app, STYLE_NORMAL, "A test needs a destination: g groups by destination.");
		return;
	}
	if (task_of_view(v, "test") != NULL) {
		app_say(v->app, STYLE_NORMAL, "A test is running; Ctrl-C stops it.");
		return;
	}
	xset(&d->diagnosed, g->key);
	xset(&d->diagnosis_error, NULL);
	d->diagnosis_at = 0;
	struct task t = { .verb = "test", .server = queue_server_of(v, g->key), .view = v->serial, .start = diagnose_start,
	    .end = diagnose_end, .data = xcalloc(1, sizeof(struct destination_view)), .drop = diagnosis_drop };
	str_init(&((struct destination_view *)t.data)->diagnosis.evidence, 0);
	task_run(v->app, &t);
}

/* --- the choices --- */

bool
diagnosis_chooses(const struct view *v)
{
	const struct queue_data *d = data_of(v);
	const struct queue_group *g = queue_selected(v);

	return g != NULL && d->by == QUEUE_BY_DESTINATION && d->diagnosed != NULL && strcmp(d->diagnosed, g->key) == 0 && d->offers.n > 0;
}

static void
act_hold(struct view *v)
{
	queue_act_group(v, "hold", data_of(v)->diagnosed);
}

static const struct action hold_action = { 0, "hold", NULL, "", NULL, act_hold, NULL, ACTION_CHANGES };

void
diagnosis_choose(struct view *v, size_t i)
{
	struct queue_data *d = data_of(v);
	const struct remedy_offer *o = i < d->offers.n ? &d->offers.v[i] : NULL;

	if (!diagnosis_chooses(v))
		app_say(v->app, STYLE_NORMAL, "Enter looks why it waits; then the choices stand here with their numbers.");
	else if (o == NULL)
		app_say(v->app, STYLE_NORMAL, "The choices go from 1 to %zu.", d->offers.n);
	else if (strcmp(o->name, "hold") == 0)
		action_run(v, &hold_action);
	else if (o->route != NULL) {
		struct route_arg arg = { .server = d->diagnosed_server, .address = o->route };
		view_push(v->app, &view_route, &arg);
	} else if (o->sheet != NULL && strcmp(o->name, "wait") != 0) {
		if (strcmp(o->name, "repair") == 0)            /* a connector says for itself whose mail it is about */
			(void)queue_follow_note(v->app->j, d->diagnosed_server, d->diagnosed, NULL);
		app_sheet(v->app, o->sheet, o->object, o->object_name, (const char *const *)o->preset);
	} else {
		struct remedy_arg arg = { .offer = o, .destination = d->diagnosed };
		view_push(v->app, &view_remedy, &arg);
	}
}

static void
chosen(struct app *a, struct view *v, size_t i, const char *name)
{
	(void)a, (void)name;
	if (v != NULL)
		diagnosis_choose(v, i);
}

void
diagnosis_list(struct view *v)
{
	struct queue_data *d = data_of(v);
	struct choice_list l = { NULL, 0 };
	struct chooser_arg arg = { .title = d->diagnosed, .list = &l, .v = v, .fn = chosen };

	for (size_t i = 0; i < d->offers.n; i++)
		choice_list_add(&l, d->offers.v[i].name, d->offers.v[i].title);
	view_push(v->app, &view_chooser, &arg);
	choice_list_release(&l);
}

/* One a line; where there is hardly room, only their words. */
static void
choice_lines(const struct queue_data *d, struct area a, struct lines *l)
{
	struct str t = STR_INIT;

	if (a.h < 7) {
		for (size_t i = 0; i < d->offers.n; i++) {
			if (t.len > 0 && draw_width(t.s) + 4 + (int)strlen(d->offers.v[i].name) > a.w) {
				lines_add(l, STYLE_KEY, t.s);
				str_reset(&t);
			}
			str_addf(&t, "%s%zu %s", t.len > 0 ? "  " : "", i + 1, d->offers.v[i].name);
		}
		if (t.len > 0)
			lines_add(l, STYLE_KEY, t.s);
	} else if (d->offers.n > 0) {
		lines_add(l, STYLE_TITLE, "What you can do (a digit opens it; nothing is changed yet)");
		for (size_t i = 0; i < d->offers.n; i++) {
			str_reset(&t);
			str_addf(&t, " %zu %-10s  %s", i + 1, d->offers.v[i].name, d->offers.v[i].brief.s);
			lines_wrap(l, STYLE_KEY, a.w, 15, t.s);
		}
	}
	str_release(&t);
}

/* --- drawing --- */

static void
cause_lines(const struct queue_data *d, const struct queue_group *g, const struct failure *f, struct area a, struct lines *l)
{
	int width = a.w;
	struct str t = STR_INIT;
	bool live = d->diagnosed != NULL && strcmp(d->diagnosed, g->key) == 0 && d->diagnosis_at > 0 && d->diagnosis_error == NULL;

	if (f != NULL) {
		str_addf(&t, "%s%s   (sure: %s)", f->title, f->tls ? "" : "  (not TLS)",
		    live && d->diagnosis.diagnosis.confidence != NULL ? d->diagnosis.diagnosis.confidence : "low, from the queue alone");
		if (a.h < 7)
			lines_add(l, STYLE_TITLE, t.s);
		else
			lines_wrap(l, STYLE_TITLE, width, 2, t.s);
		if (live && a.h < 7)
			choice_lines(d, a, l);
		if (live && d->diagnosis.diagnosis.verdict != NULL)
			lines_field(l, STYLE_KEY, width, "Verdict", d->diagnosis.diagnosis.verdict);
		if (live && a.h >= 7)
			choice_lines(d, a, l);
		str_reset(&t);
		str_addf(&t, "%s (%s)", failure_side_name(live ? d->diagnosis.diagnosis.side : f->side), f->name);
		lines_field(l, STYLE_NORMAL, width, "Side", t.s);
		if (!live)
			lines_field(l, STYLE_NORMAL, width, "Cause", f->explain);
	} else {
		lines_add(l, STYLE_TITLE, g->deferred > 0 ? "No class of failure fits this reason" : "Nothing is wrong so far: it is on its way");
	}
	if (live && d->diagnosis.since > 0) {
		char since[32];

		when_rfc3339(since, d->diagnosis.since);
		str_reset(&t);
		str_addf(&t, "%s%s", since, d->diagnosis.changed ? "; something was done on our side shortly before" : "");
		lines_field(l, STYLE_NORMAL, width, "Since", t.s);
	}
	if (live && d->diagnosis.level != NULL)
		lines_field(l, STYLE_NORMAL, width, "Our rule", d->diagnosis.level);
	if (!live)
		lines_field(l, STYLE_NORMAL, width, "Seen", g->reason);
	if (f != NULL && !live && f->look != NULL)
		lines_field(l, STYLE_KEY, width, "Look", f->look);
	/* what a class advises is about the side that it usually is on */
	if (f != NULL && (!live || d->diagnosis.diagnosis.side == f->side))
		lines_field(l, STYLE_KEY, width, "Do", f->advice);
	str_release(&t);
}

void
diagnosis_draw(struct view *v, struct area a)
{
	struct queue_data *d = data_of(v);
	const struct queue_group *g = queue_selected(v);
	struct lines l = { NULL, 0 };
	struct task *t = task_of_view(v, "test");
	bool here = g != NULL && d->diagnosed != NULL && strcmp(d->diagnosed, g->key) == 0;
	char ago[16];

	if (g == NULL)
		return;
	const struct failure *f = here && d->diagnosis_at > 0 && d->diagnosis.diagnosis.failure != NULL ?
	    d->diagnosis.diagnosis.failure : g->failure;
	cause_lines(d, g, f, a, &l);
	if (here && t != NULL) {
		lines_wrap(&l, STYLE_UNKNOWN, a.w, 2, t->text[0] != '\0' ? t->text : "testing from the mail host and from here ...");
	} else if (here && d->diagnosis_error != NULL) {
		lines_wrap(&l, STYLE_BAD, a.w, 2, d->diagnosis_error);
	} else if (here && d->diagnosis_at > 0) {
		queue_age(ago, d->diagnosis_at);
		lines_addf(&l, STYLE_TITLE, "Evidence (tested %s ago)", ago);
		struct str e = STR_INIT;
		char *save = NULL;
		str_add(&e, d->diagnosis.diagnosis.evidence.s);
		for (char *p = e.len > 0 ? strtok_r(e.s, "\n", &save) : NULL; p != NULL; p = strtok_r(NULL, "\n", &save)) {
			struct str one = STR_INIT;
			str_addf(&one, "- %s", p);
			lines_wrap(&l, STYLE_NORMAL, a.w, 2, one.s);
			str_release(&one);
		}
		str_release(&e);
		lines_field(&l, STYLE_NORMAL, a.w, "Seen", g->reason);
		if (f != NULL)
			lines_field(&l, STYLE_NORMAL, a.w, "Cause", f->explain);
		if (d->diagnosis.from_host.n > 0 || d->diagnosis.from_host.verdict != NULL)
			lines_add(&l, STYLE_TITLE, "From the mail host");
		report_lines(&d->diagnosis.from_host, a.w, &l);
		for (size_t i = 0; i < d->diagnosis.n_others; i++) {
			lines_addf(&l, STYLE_TITLE, "From %s", d->diagnosis.others[i].from);
			report_lines(&d->diagnosis.others[i], a.w, &l);
		}
		if (d->diagnosis.from_here.n > 0 || d->diagnosis.from_here.verdict != NULL)
			lines_add(&l, STYLE_TITLE, "From here");
		report_lines(&d->diagnosis.from_here, a.w, &l);
	} else if (d->by == QUEUE_BY_DESTINATION) {
		lines_add(&l, STYLE_KEY, "Enter tests it now, from the mail host and from here.");
	}
	d->pane_page = a.h;
	lines_draw(&l, a, &d->pane_top);
	if (d->pane_top + (size_t)a.h < l.n && a.h > 3)
		draw_put(a, a.h - 1, a.w >= 60 ? a.w - 17 : a.w > 24 ? a.w - 6 : 0, 0, STYLE_KEY, a.w >= 60 ? " more: Tab, PgDn " : a.w > 24 ? " Tab v" : "v");
	lines_release(&l);
}
