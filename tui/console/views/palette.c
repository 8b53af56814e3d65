/* The palette: every action that works in the view below, and every server, virtual server, connector and certificate, found
 * by a few letters. It shows the key of each action, so that it makes itself superfluous. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct entry { char *text, *key, *row; const struct action *act; int score; };
struct palette_data {
	struct entry *v;
	size_t n;
	size_t *match, n_match;
	struct list list;
	struct edit edit;
	int64_t view;
};

static struct entry *
add(struct palette_data *p, const char *text, const char *key)
{
	ARRAY_GROW(p->v, p->n);
	p->v[p->n] = (struct entry){ xstrdup(text), xstrdup(key), NULL, NULL, 0 };
	return &p->v[p->n++];
}

static bool
add_action(struct view *v, const struct action *act, void *arg)
{
	struct palette_data *p = arg;

	(void)v;
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].text, act->name) == 0)
			return true;
	if (strcmp(act->name, "palette") != 0)
		add(p, act->name, act->key != 0 ? key_name(act->key) : "")->act = act;
	return true;
}

static void
add_object(struct palette_data *p, const char *kind, const char *name, const char *row, int64_t id)
{
	char *text = xasprintf("go to %s %s", kind, name);
	struct entry *e = add(p, text, "");

	e->row = xasprintf("%s %lld", row, (long long)id);
	free(text);
}

static void
add_objects(struct palette_data *p, struct app *a)
{
	struct server_list servers = { NULL, 0 };
	struct vserver_list vs = { NULL, 0 };
	struct authority_list authorities = { NULL, 0 };

	if (store_servers(a->st, &servers, NULL) == 0)
		for (size_t i = 0; i < servers.n; i++) {
			add_object(p, "server", servers.v[i].name, "server", servers.v[i].id);
			if (store_vservers(a->st, servers.v[i].id, &vs, NULL) == 0)
				for (size_t k = 0; k < vs.n; k++) {
					char *name = xasprintf("%s/%s", servers.v[i].name, vs.v[k].name);
					add_object(p, "virtual server", name, "vs", vs.v[k].id);
					free(name);
				}
			vserver_list_release(&vs);
		}
	server_list_release(&servers);
	if (store_authorities(a->st, &authorities, NULL) == 0)
		for (size_t i = 0; i < authorities.n; i++)
			add_object(p, "authority", authorities.v[i].name, "authority", authorities.v[i].id);
	authority_list_release(&authorities);
}

static struct palette_data *sorting;

static int
by_score(const void *x, const void *y)
{
	const struct entry *a = &sorting->v[*(const size_t *)x], *b = &sorting->v[*(const size_t *)y];

	return a->score != b->score ? b->score - a->score : *(const size_t *)x < *(const size_t *)y ? -1 : 1;
}

static void
filter(struct palette_data *p)
{
	p->n_match = 0;
	for (size_t i = 0; i < p->n; i++)
		if ((p->v[i].score = match_fuzzy(p->v[i].text, p->edit.text.s)) > 0)
			p->match[p->n_match++] = i;
	sorting = p;
	if (p->edit.text.len > 0)
		qsort(p->match, p->n_match, sizeof(*p->match), by_score);
	p->list = (struct list){ p->n_match, 0, 0 };
}

static int
palette_open(struct view *v, const void *arg, struct err *e)
{
	const struct view *of = arg;
	struct palette_data *p = v->data;

	(void)e;
	p->view = of->serial;
	edit_open(&p->edit, "");
	actions_each(view_by_serial(v->app, of->serial), add_action, p);
	add_objects(p, v->app);
	p->match = xcalloc(p->n + 1, sizeof(*p->match));
	filter(p);
	return 0;
}

static void
palette_close(struct view *v)
{
	struct palette_data *p = v->data;

	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].text);
		free(p->v[i].key);
		free(p->v[i].row);
	}
	free(p->v);
	free(p->match);
	edit_close(&p->edit);
}

static void
palette_draw(struct view *v, struct area a)
{
	struct palette_data *p = v->data;
	int w = a.w > 72 ? 68 : a.w, h = a.h > 16 ? 14 : a.h;
	struct area box = { a.y + a.h - h, a.x + (a.w - w) / 2, h, w };

	for (int y = 0; y < box.h; y++)
		draw_blank(box, y, STYLE_NORMAL);
	struct area in = box.h >= 5 ? draw_box(box, "Command") : box;
	struct area rows = { in.y + (in.h > 1), in.x, in.h > 1 ? in.h - 1 : in.h, in.w };
	v->page = rows.h;
	list_fit(&p->list, rows.h);
	for (int y = 0; y < rows.h && p->list.top + (size_t)y < p->n_match; y++) {
		size_t i = p->list.top + (size_t)y;
		const struct entry *e = &p->v[p->match[i]];
		bool sel = i == p->list.sel;
		struct str t = STR_INIT;
		str_addf(&t, "%s%-8s %s", sel ? "> " : "  ", e->key, e->text);
		if (e->act != NULL && w > 60)
			str_addf(&t, ": %s", e->act->help);
		draw_row(rows, y, 0, 0, sel ? STYLE_SELECTED : STYLE_NORMAL, t.s);
		str_release(&t);
	}
	if (in.h > 1) {
		draw_putf(in, 0, in.w > 16 ? in.w - 9 : 0, STYLE_LABEL, "%4zu/%zu", p->n_match, p->n);
		int x = draw_put(in, 0, 0, 0, STYLE_TITLE, ":");
		edit_draw(&p->edit, in, 0, x, in.w > 20 ? in.w - 11 : in.w - x, STYLE_FOCUS, false, true);
	}
}

static void
take(struct view *v)
{
	struct palette_data *p = v->data;
	struct app *a = v->app;

	if (p->n_match == 0)
		return;
	const struct entry *e = &p->v[p->match[p->list.sel]];
	const struct action *act = e->act;
	char *row = xstrdup(e->row);
	struct view *below = view_by_serial(a, p->view);
	view_pop(v);
	if (act != NULL && below != NULL) {
		action_run(below, act);
	} else if (row != NULL) {
		while (a->top != NULL && a->top->below != NULL
		    && (a->top->ops->leave == NULL || a->top->ops->leave(a->top)))
			view_pop(a->top);
		main_select(a, row);
	}
	free(row);
}

static bool
palette_key(struct view *v, int key)
{
	struct palette_data *p = v->data;

	if (key == K_ENTER) {
		take(v);
		return true;
	}
	if (key == K_UP || key == K_DOWN || key == K_PGUP || key == K_PGDN)
		return list_key(&p->list, key, v->page);
	if (key == K_PASTE)
		edit_paste(&p->edit, v->app->paste.s);
	else if (!edit_key(&p->edit, key))
		return false;
	filter(p);
	return true;
}

static void act_take(struct view *v) { take(v); }

static const struct action palette_actions[] = {
	{ K_ENTER, "do", "do it", "Does what is under the cursor, or goes there.", NULL, act_take, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

static bool palette_typing(const struct view *v) { (void)v; return true; }

const struct view_ops view_palette = {
	.name = "palette", .title = "Command",
	.about = "Every action that works here and every object, by a few of its letters in order. Enter runs it.",
	.state_size = sizeof(struct palette_data), .overlay = true, .actions = palette_actions, .open = palette_open, .close = palette_close,
	.draw = palette_draw, .key = palette_key, .typing = palette_typing,
};
