/* The first screen: the tree on the left, details and next steps on the right, at 120 columns also the last activity.
 * Without a server: what this is and how to begin. Nothing on it changes a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/details.h"
#include "tui/console/views/main.h"
#include "tui/version.h"

struct main_data *
main_data(const struct view *v)
{
	return v->data;
}

static struct node *
nth(struct main_data *m, size_t k)
{
	return k < m->list.n ? &m->tree.v[m->rows[k]] : NULL;
}

struct node *
main_selected(const struct view *v)
{
	return nth(main_data(v), main_data(v)->list.sel);
}

bool
main_is_empty(const struct view *v)
{
	return main_data(v)->tree.servers == 0;
}

/* The rows in sight, and which is selected. */
static void
arrange(struct view *v)
{
	struct main_data *m = main_data(v);
	size_t row = 0, second = SIZE_MAX;
	bool found = false;

	v->total = m->tree.n;
	free(m->rows);
	m->rows = xcalloc(m->tree.n + 1, sizeof(*m->rows));
	for (size_t i = 0; i < m->tree.n; i++) {
		if (m->tree.v[i].hidden)
			continue;
		bool gone = m->fallback[0] != '\0' && strcmp(m->tree.v[i].name, m->said) != 0;
		if (!found && !gone && strcmp(m->tree.v[i].key, m->selected) == 0) {
			m->list.sel = row;
			found = true;
		}
		if (second == SIZE_MAX && strcmp(m->tree.v[i].key, m->fallback) == 0)
			second = row;
		m->rows[row++] = i;
	}
	if (!found && second != SIZE_MAX && v->filter == NULL) {
		m->list.sel = second;
		snprintf(m->selected, sizeof(m->selected), "%s", m->fallback);
		m->fallback[0] = '\0';
	}
	m->list.n = v->shown = row;
	list_fit(&m->list, v->page);
}

/* True: there is more. */
static bool
rebuild_some(struct view *v, int64_t until_ms)
{
	struct main_data *m = main_data(v);
	struct err e = { .code = RC_OK };
	int more;

	if (m->build == NULL) {
		share_begin(&m->building);
		m->build = tree_begin(v->app);
		m->stale = false;
	} else {
		share_go_on(&m->building);
	}
	more = tree_some(m->build, until_ms, &e);
	if (more > 0) {
		share_rest(&m->building);
		return true;
	}
	if (more == 0) {
		tree_take(&m->tree, m->build, v->filter);
	} else {
		tree_drop(m->build);
		app_fail(v->app, &e);
	}
	m->build = NULL;
	arrange(v);
	share_end(&m->building, m->tree.servers);
	v->app->dirty = true;
	return false;
}

void
main_rebuild(struct view *v)
{
	tree_drop(main_data(v)->build);
	main_data(v)->build = NULL;
	(void)rebuild_some(v, INT64_MAX);
}

void
main_changed(struct view *v)
{
	struct main_data *m = main_data(v);

	if (share_few(&m->building)) {
		main_rebuild(v);
		return;
	}
	tree_hide(&m->tree, v->filter);
	arrange(v);
	m->stale = true;
}

static void
main_noticed(struct view *v)
{
	main_data(v)->stale = true;
}

static void
remember(struct view *v)
{
	struct node *n = main_selected(v);

	if (n != NULL)
		snprintf(main_data(v)->selected, sizeof(n->key), "%s", n->key);
	main_data(v)->fallback[0] = '\0';
	main_data(v)->detail_top = 0;
}

/* Where a person begins: what needs attention first, else the first server. */
static size_t
first_row(struct main_data *m)
{
	static const enum node_kind order[] = { NODE_ATTENTION, NODE_SERVER };
	struct node *n;

	for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++)
		for (size_t i = 0; (n = nth(m, i)) != NULL; i++)
			if (n->kind == order[k])
				return i;
	return 0;
}

static int
main_open(struct view *v, const void *arg, struct err *e)
{
	(void)arg, (void)e;
	main_rebuild(v);
	main_data(v)->list.sel = first_row(main_data(v));
	remember(v);
	return 0;
}

static void
main_close(struct view *v)
{
	tree_drop(main_data(v)->build);
	tree_release(&main_data(v)->tree);
	free(main_data(v)->rows);
	free(main_data(v)->said);
}

void
main_select(struct app *a, const char *key)
{
	struct view *v = view_by_ops(a, &view_main);
	struct node *n;
	long long id;

	if (v == NULL)
		return;
	snprintf(main_data(v)->selected, sizeof(main_data(v)->selected), "%s", key);
	main_data(v)->fallback[0] = '\0';
	main_rebuild(v);
	if (sscanf(key, "connector %lld", &id) != 1)
		return;
	for (size_t i = 0; (n = nth(main_data(v), i)) != NULL; i++)  /* it stands below each server that sends for it */
		if (n->kind == NODE_CONNECTOR && n->id == id) {
			main_data(v)->list.sel = i;
			remember(v);
			return;
		}
}

/* --- drawing --- */

static void
draw_node(struct area a, int y, const struct node *n, bool sel)
{
	struct str t = STR_INIT;
	const char *state = n->runs != NULL ? n->runs : n->state;
	int sw = state != NULL ? draw_width(state) : 0, indent = n->depth * 2;
	enum style s = sel ? STYLE_SELECTED : n->kind == NODE_GROUP ? STYLE_TITLE : STYLE_NORMAL;

	str_add(&t, sel ? "> " : "  ");
	for (int i = 0; i < indent; i++)
		str_addc(&t, ' ');
	if (n->folds)
		str_add(&t, n->open ? "- " : "+ ");
	else if (n->kind == NODE_ATTENTION)
		str_addf(&t, "%c ", n->sign);
	else if (n->kind != NODE_GROUP)
		str_add(&t, "  ");
	str_add(&t, n->name);
	if (sw > a.w / 2)
		sw = a.w / 2;
	draw_row(a, y, 0, 0, s, "");
	draw_put(a, y, 0, a.w - (sw > 0 ? sw + 1 : 0),
	    sel ? STYLE_SELECTED : n->kind == NODE_ATTENTION ? style_of_sign(n->sign) : s, t.s);
	if (sw > 0)
		draw_put(a, y, a.w - sw, sw, sel ? STYLE_SELECTED : style_of_sign(n->runs != NULL ? '?' : n->sign), state);
	str_release(&t);
}

static void
draw_tree(struct view *v, struct area a)
{
	struct main_data *m = main_data(v);

	v->page = a.h;
	list_fit(&m->list, a.h);
	if (m->list.n == 0)
		draw_put(a, 0, 0, 0, STYLE_FAINT, "Nothing fits: Esc shows all");
	for (int y = 0; y < a.h && m->list.top + (size_t)y < m->list.n; y++)
		draw_node(a, y, nth(m, m->list.top + (size_t)y), m->list.top + (size_t)y == m->list.sel);
}

static void
draw_details(struct view *v, struct area a)
{
	struct lines l = { NULL, 0 };

	if (main_is_empty(v) && (main_selected(v) == NULL || main_selected(v)->kind == NODE_GROUP))
		details_welcome(a.w, &l);
	else
		details_of(v->app, main_selected(v), a.w, &l);
	lines_draw(&l, a, &main_data(v)->detail_top);
	if (a.h > 1 && a.w > 20 && main_data(v)->detail_top + (size_t)a.h < l.n)
		draw_put(a, a.h - 1, a.w - 12, 0, STYLE_KEY, main_data(v)->on_detail ? " more: PgDn" : "  more: Tab");
	lines_release(&l);
}

static void
draw_activity(struct view *v, struct area a)
{
	struct activity_list l = { NULL, 0 };

	if (store_activities(v->app->st, a.h > 0 ? (size_t)a.h : 1, &l, NULL) != 0)
		return;
	for (size_t i = 0; i < l.n && (int)i < a.h; i++) {
		char ago[16];
		when_ago(ago, when_now() - l.v[i].at);
		struct str t = STR_INIT;
		str_addf(&t, "%9s ago  %s%s%s", ago, l.v[i].server != NULL ? l.v[i].server : "",
		    l.v[i].server != NULL ? ": " : "", l.v[i].text);
		draw_put(a, (int)i, 0, 0, STYLE_NORMAL, t.s);
		str_release(&t);
	}
	activity_list_release(&l);
}

static void
crumb_of(struct view *v, struct str *out)
{
	struct node *n = main_selected(v);

	if (n != NULL)
		str_add(out, n->object_name != NULL ? n->object_name : n->kind == NODE_ATTENTION ? "Needs attention" : n->name);
}

/* Narrow: the list, and below a line what is selected. */
static void
draw_narrow(struct view *v, struct area a)
{
	int list_h = a.h >= 8 ? a.h - 5 : a.h >= 5 ? a.h - 2 : a.h;
	struct area top = { a.y, a.x, list_h, a.w }, bottom = { a.y + list_h + 1, a.x, a.h - list_h - 1, a.w };
	struct str line = STR_INIT;

	if (main_is_empty(v) && a.h < 30) {
		draw_details(v, a);
		return;
	}
	draw_tree(v, top);
	if (bottom.h <= 0)
		return;
	for (int i = 0; i < a.w; i++)
		str_add(&line, draw_mark("─", "-"));
	draw_put(a, list_h, 0, 0, STYLE_FRAME, line.s);
	draw_details(v, bottom);
	str_release(&line);
}

static void
main_draw(struct view *v, struct area a)
{
	struct str title = STR_INIT;

	if (a.w < 64 || a.h < 8) {
		draw_narrow(v, a);
		return;
	}
	if (main_is_empty(v)) {
		draw_details(v, draw_box(a, "Welcome"));
		return;
	}
	int left = a.w >= 120 ? 44 : a.w * 46 / 100;
	struct area l = { a.y, a.x, a.h, left }, r = { a.y, a.x + left, a.h, a.w - left }, below = r;
	if (a.w >= 120 && a.h >= 28) {
		below.h = 9;
		r.h -= below.h;
		below.y = r.y + r.h;
		draw_activity(v, draw_box(below, "Last activity"));
	}
	draw_tree(v, draw_box(l, "Fleet"));
	crumb_of(v, &title);
	draw_details(v, draw_box(r, title.s));
	str_release(&title);
}

static void
main_crumb(const struct view *v, struct str *out)
{
	struct main_data *m = main_data(v);

	if (draw_screen().w < 60) {
		crumb_of((struct view *)(uintptr_t)v, out);
		return;
	}
	if (m->tree.servers == 0)
		str_addf(out, "%s  first start: nothing is changed on any server", strchr(program_version, ' ') + 1);
	else
		str_addf(out, "%zu server%s  %zu listener%s  %zu certificate%s", m->tree.servers, m->tree.servers == 1 ? "" : "s",
		    m->tree.listeners, m->tree.listeners == 1 ? "" : "s", m->tree.certificates,
		    m->tree.certificates == 1 ? "" : "s");
}

static void
main_state(const struct view *v, struct str *out)
{
	struct main_data *m = main_data(v);

	if (m->tree.problems > 0)
		str_addf(out, "! %zu problem%s  ", m->tree.problems, m->tree.problems == 1 ? "" : "s");
	if (m->tree.unknown > 0)
		str_addf(out, "? %zu unknown", m->tree.unknown);
}

static bool
fold_key(struct view *v, bool open)
{
	struct main_data *m = main_data(v);
	struct node *n = main_selected(v);

	if (n == NULL)
		return true;
	if (n->folds && n->open != open) {
		tree_fold(&m->tree, n->key, open);
		tree_hide(&m->tree, v->filter);
		arrange(v);
	} else if (!open) {                                /* to the row it stands below */
		while (m->list.sel > 0 && nth(m, m->list.sel)->depth >= n->depth)
			m->list.sel--;
		remember(v);
	}
	return true;
}

static bool
main_key(struct view *v, int key)
{
	struct main_data *m = main_data(v);

	if (key == K_TAB || key == K_BACKTAB) {
		m->on_detail = !m->on_detail;
		app_say(v->app, STYLE_NORMAL, m->on_detail ? "Arrows scroll the details; Tab goes back to the tree." : "");
		return true;
	}
	key = key_command(key);
	if (m->on_detail && lines_key(&m->detail_top, key, 8))
		return true;
	if (list_key(&m->list, key, v->page)) {
		remember(v);
		return true;
	}
	if (key == ' ' && main_selected(v) != NULL && main_selected(v)->folds)
		return fold_key(v, !main_selected(v)->open);
	if (key == K_RIGHT || key == 'l')
		return fold_key(v, true);
	if (key == K_LEFT || key == 'h')
		return fold_key(v, false);
	return false;
}

static void
main_tick(struct view *v, int64_t now_ms)
{
	struct main_data *m = main_data(v);

	(void)now_ms;
	if (!view_in_sight(v))
		return;
	if (m->stale && share_few(&m->building)) {
		main_rebuild(v);
	} else if (v->app->tasks != NULL || m->tasks_seen) {     /* rows say what runs */
		tree_tasks(&m->tree, v->app);
		v->app->dirty = true;
	}
	m->tasks_seen = v->app->tasks != NULL;
}

static bool
main_idle(struct view *v, int64_t until_ms)
{
	struct main_data *m = main_data(v);

	if (!view_in_sight(v) || (m->build == NULL && (!m->stale || !app_has_time(v->app, &m->building))))
		return false;
	return rebuild_some(v, until_ms);
}

static void
main_copy(const struct view *v, bool command, struct str *out)
{
	struct node *n = main_selected(v);
	struct request r = { 0 };
	struct authority a = { 0 };

	if (n == NULL)
		return;
	if (command) {
		details_command(v->app, n, out);
	} else if (n->kind == NODE_REQUEST && store_request_get(v->app->st, n->id, &r, NULL) == 0) {
		str_add(out, r.pem);
		request_release(&r);
	} else if (n->kind == NODE_AUTHORITY && store_authority_get(v->app->st, n->id, &a, NULL) == 0) {
		str_add(out, a.pem);
		authority_release(&a);
	} else {
		str_add(out, n->object_name != NULL ? n->object_name : n->name);
	}
}

const struct view_ops view_main = {
	.name = "main", .title = "Fleet",
	.about = "All servers, what they serve, and what needs attention first. Everything you change is kept in the store as an "
	    "edit; only the plan's screen (P) can change a server.",
	.state_size = sizeof(struct main_data), .finds = true, .actions = main_actions,
	.open = main_open, .close = main_close, .draw = main_draw, .key = main_key, .tick = main_tick, .idle = main_idle, .changed = main_changed,
	.noticed = main_noticed,
	.crumb = main_crumb, .state = main_state, .copy = main_copy,
};
