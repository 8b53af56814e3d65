/* What was done: the append-only table, newest first, and whether its chain is whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define SHOWN 500

struct activity_data { struct activity_list all; size_t *match; struct list list; char chain[240]; bool broken; };

static void
load(struct view *v)
{
	struct activity_data *d = v->data;
	struct err e = { .code = RC_OK };
	int64_t rows = 0;

	activity_list_release(&d->all);
	free(d->match);
	d->match = NULL;
	if (store_activities(v->app->st, SHOWN, &d->all, &e) != 0)
		app_fail(v->app, &e);
	d->broken = store_activity_verify(v->app->st, &rows, &e) != 0;
	if (d->broken)
		snprintf(d->chain, sizeof(d->chain), "! %.200s", e.text);
	else
		snprintf(d->chain, sizeof(d->chain), "chain of %lld records ok", (long long)rows);
	d->match = xcalloc(d->all.n + 1, sizeof(*d->match));
	d->list.n = 0;
	for (size_t i = 0; i < d->all.n; i++) {
		struct str t = STR_INIT;
		str_addf(&t, "%s %s %s %s %s", d->all.v[i].who, d->all.v[i].server != NULL ? d->all.v[i].server : "",
		    d->all.v[i].verb, d->all.v[i].text, d->all.v[i].result);
		if (match_words(t.s, v->filter))
			d->match[d->list.n++] = i;
		str_release(&t);
	}
	v->shown = d->list.n;
	v->total = d->all.n;
}

static int
activity_open(struct view *v, const void *p, struct err *e)
{
	(void)p, (void)e;
	load(v);
	return 0;
}

static void
activity_close(struct view *v)
{
	struct activity_data *d = v->data;

	activity_list_release(&d->all);
	free(d->match);
}

static void
activity_draw(struct view *v, struct area a)
{
	struct activity_data *d = v->data;
	struct area in = a.h >= 6 && a.w >= 30 ? draw_box(a, "Activity, newest first") : a;
	char when[32];

	v->page = in.h;
	list_fit(&d->list, in.h);
	for (int y = 0; y < in.h && d->list.top + (size_t)y < d->list.n; y++) {
		size_t i = d->list.top + (size_t)y;
		const struct activity *r = &d->all.v[d->match[i]];
		bool sel = i == d->list.sel, good = r->result == NULL || strcmp(r->result, "ok") == 0 || strcmp(r->result, "kept") == 0;
		struct str t = STR_INIT;
		when_rfc3339(when, r->at);
		when[16] = '\0';
		when[10] = ' ';
		str_addf(&t, "%s%s %s%s %s", sel ? "> " : "  ", in.w >= 60 ? when : when + 5, good ? "" : "! ",
		    r->server != NULL ? r->server : "-", r->text);
		draw_row(in, y, 0, 0, sel ? STYLE_SELECTED : good ? STYLE_NORMAL : STYLE_BAD, t.s);
		str_release(&t);
	}
	if (d->list.n == 0)
		draw_put(in, 0, 0, 0, STYLE_NORMAL, v->filter != NULL ? "Nothing matches." : "Nothing was done yet.");
}

static void
act_whole(struct view *v)
{
	struct activity_data *d = v->data;
	struct str t = STR_INIT;
	char when[32];

	if (d->list.sel >= d->list.n)
		return;
	const struct activity *r = &d->all.v[d->match[d->list.sel]];
	when_rfc3339(when, r->at);
	str_addf(&t, "%s\n\nWhen    %s\nWho     %s\nServer  %s\nVerb    %s\nResult  %s\nRecord  %s", r->text, when, r->who,
	    r->server != NULL ? r->server : "-", r->verb, r->result != NULL ? r->result : "-", r->hash);
	app_message(v->app, "Activity", STYLE_NORMAL, t.s);
	str_release(&t);
}

static bool
activity_key(struct view *v, int key)
{
	return list_key(&((struct activity_data *)v->data)->list, key_command(key), v->page);
}

static void
activity_crumb(const struct view *v, struct str *out)
{
	(void)v;
	str_add(out, "Activity");
}

static void
activity_state(const struct view *v, struct str *out)
{
	str_add(out, ((const struct activity_data *)v->data)->chain);
}

static void
activity_copy(const struct view *v, bool command, struct str *out)
{
	const struct activity_data *d = v->data;

	if (command)
		str_add(out, "mxseal history");
	else if (d->list.sel < d->list.n)
		str_add(out, d->all.v[d->match[d->list.sel]].text);
}

static const struct action activity_actions[] = {
	{ K_ENTER, "whole record", "whole record", "All of the selected record.", "mxseal history --json", act_whole, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_activity = {
	.name = "activity", .title = "Activity",
	.about = "Everything that was changed here or on a server. Records cannot be changed or taken out unnoticed: each carries "
	    "a hash over itself and the one before.",
	.state_size = sizeof(struct activity_data), .finds = true, .actions = activity_actions, .open = activity_open,
	.close = activity_close, .draw = activity_draw, .key = activity_key, .changed = load, .crumb = activity_crumb,
	.state = activity_state, .copy = activity_copy,
};
