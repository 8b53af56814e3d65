/* A list over the view, to choose one of many: countries, certificates. Typing filters. */
#include <stdlib.h>
#include <string.h>
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct chooser_data {
	char *title;
	struct choice_list all;
	size_t *match, n_match;   /* indices into all */
	struct list list;
	struct edit edit;
	int64_t view;
	chooser_fn *fn;
	bool free;                /* the row behind the matches: what was typed, as it is */
};

static const char *
label_of(const struct chooser_data *c, size_t i)
{
	return c->all.v[i].label != NULL ? c->all.v[i].label : c->all.v[i].name;
}

static void
filter(struct chooser_data *c)
{
	c->n_match = 0;
	for (size_t i = 0; i < c->all.n; i++)
		if (match_words(label_of(c, i), c->edit.text.s) || strcasestr(c->all.v[i].name, c->edit.text.s) != NULL)
			c->match[c->n_match++] = i;
	c->list.n = c->n_match + (c->free && c->edit.text.len > 0 ? 1 : 0);
	c->list.sel = c->list.top = 0;
}

static int
chooser_open(struct view *v, const void *p, struct err *e)
{
	const struct chooser_arg *arg = p;
	struct chooser_data *c = v->data;

	(void)e;
	c->title = xstrdup(arg->title);
	for (size_t i = 0; i < arg->list->n; i++)
		choice_list_add(&c->all, arg->list->v[i].name, arg->list->v[i].label);
	c->match = xcalloc(c->all.n + 1, sizeof(*c->match));
	c->free = arg->free;
	edit_open(&c->edit, "");
	filter(c);
	for (size_t i = 0; i < c->all.n; i++)
		if (arg->current != NULL && strcmp(c->all.v[i].name, arg->current) == 0)
			c->list.sel = i;
	c->view = arg->v != NULL ? arg->v->serial : 0;
	c->fn = arg->fn;
	return 0;
}

static void
chooser_close(struct view *v)
{
	struct chooser_data *c = v->data;

	free(c->title);
	free(c->match);
	choice_list_release(&c->all);
	edit_close(&c->edit);
}

static void
chooser_draw(struct view *v, struct area a)
{
	struct chooser_data *c = v->data;
	int w = a.w > 64 ? 60 : a.w, h = a.h > 18 ? 16 : a.h;
	struct area box = { a.y + (a.h - h) / 2, a.x + (a.w - w) / 2, h, w };

	for (int y = 0; y < box.h; y++)
		draw_blank(box, y, STYLE_NORMAL);
	struct area in = box.h >= 5 ? draw_box(box, c->title) : box;
	struct area rows = { in.y + (in.h > 1), in.x, in.h > 1 ? in.h - 1 : in.h, in.w };
	v->page = rows.h;
	list_fit(&c->list, rows.h);
	for (int y = 0; y < rows.h && c->list.top + (size_t)y < c->list.n; y++) {
		size_t i = c->list.top + (size_t)y;
		bool sel = i == c->list.sel;
		struct str t = STR_INIT;
		if (i < c->n_match)
			str_addf(&t, "%s%s", sel ? "> " : "  ", label_of(c, c->match[i]));
		else
			str_addf(&t, "%s\"%s\", as typed", sel ? "> " : "  ", c->edit.text.s);
		draw_row(rows, y, 0, 0, sel ? STYLE_SELECTED : STYLE_NORMAL, t.s);
		str_release(&t);
	}
	if (in.h > 1) {
		draw_putf(in, 0, in.w > 16 ? in.w - 9 : 0, STYLE_LABEL, "%4zu/%zu", c->n_match, c->all.n);
		edit_draw(&c->edit, in, 0, 0, in.w > 20 ? in.w - 10 : in.w, STYLE_FOCUS, false, true);
	}
}

static bool
chooser_key(struct view *v, int key)
{
	struct chooser_data *c = v->data;
	struct app *a = v->app;

	if (key == K_ENTER) {
		struct view *below = view_by_serial(a, c->view);
		if (c->list.n == 0)
			return true;
		bool typed = c->list.sel >= c->n_match;
		size_t i = typed ? c->all.n : c->match[c->list.sel];
		char *name = xstrdup(typed ? c->edit.text.s : c->all.v[i].name);
		chooser_fn *fn = c->fn;
		view_pop(v);
		if (below != NULL)
			fn(a, below, i, name);
		free(name);
		return true;
	}
	if (key == K_UP || key == K_DOWN || key == K_PGUP || key == K_PGDN)
		return list_key(&c->list, key, v->page);
	if (key == K_PASTE)
		edit_paste(&c->edit, a->paste.s);
	else if (!edit_key(&c->edit, key))
		return false;
	filter(c);
	return true;
}

/* Enter is taken by chooser_key; the row is for the footer and the help. */
static void act_take(struct view *v) { chooser_key(v, K_ENTER); }

static const struct action chooser_actions[] = {
	{ K_ENTER, "take", "take", "Takes the choice under the cursor.", NULL, act_take, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

static bool chooser_typing(const struct view *v) { (void)v; return true; }

const struct view_ops view_chooser = {
	.name = "chooser", .title = "Choose", .about = "Type a few letters, choose with the arrows, Enter takes it. Where other values are possible, what is "
	    "typed stands last.",
	.state_size = sizeof(struct chooser_data), .overlay = true, .actions = chooser_actions, .open = chooser_open, .close = chooser_close,
	.draw = chooser_draw, .key = chooser_key, .typing = chooser_typing,
};
