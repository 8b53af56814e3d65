/* The first screen: the tree on the left, details and next steps on the right, at 120 columns also the last activity.
 * Without a server: what this is and how to begin. Nothing on it changes a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/details.h"
#include "tui/version.h"

#define READS_AT_ONCE 8

struct main_data {
	struct tree tree;
	struct list list;         /* over the rows that are not hidden */
	char selected[96];        /* key of the selected row */
	char fallback[96];        /* key of the row that takes its place when what it says is gone ... */
	char *said;               /* ... which is this */
	size_t detail_top;
	bool on_detail;           /* Tab: arrows scroll the details */
	size_t tasks_seen;
};

static struct main_data *
data_of(const struct view *v)
{
	return v->data;
}

static struct node *
nth(struct main_data *m, size_t k)
{
	for (size_t i = 0; i < m->tree.n; i++)
		if (!m->tree.v[i].hidden && k-- == 0)
			return &m->tree.v[i];
	return NULL;
}

static struct node *
selected(const struct view *v)
{
	return nth(data_of(v), data_of(v)->list.sel);
}

static bool
is_empty(const struct view *v)
{
	return data_of(v)->tree.servers == 0;
}

static void
rebuild(struct view *v)
{
	struct main_data *m = data_of(v);
	struct err e = { .code = RC_OK };
	size_t row = 0, second = SIZE_MAX;
	bool found = false;

	if (tree_build(&m->tree, v->app, v->filter, &e) != 0)
		app_fail(v->app, &e);
	v->total = m->tree.n;
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
		row++;
	}
	if (!found && second != SIZE_MAX && v->filter == NULL) {
		m->list.sel = second;
		snprintf(m->selected, sizeof(m->selected), "%s", m->fallback);
		m->fallback[0] = '\0';
	}
	m->list.n = v->shown = row;
	list_fit(&m->list, v->page);
}

static void
remember(struct view *v)
{
	struct node *n = selected(v);

	if (n != NULL)
		snprintf(data_of(v)->selected, sizeof(n->key), "%s", n->key);
	data_of(v)->fallback[0] = '\0';
	data_of(v)->detail_top = 0;
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
	rebuild(v);
	data_of(v)->list.sel = first_row(data_of(v));
	remember(v);
	return 0;
}

static void
main_close(struct view *v)
{
	tree_release(&data_of(v)->tree);
	free(data_of(v)->said);
}

void
main_select(struct app *a, const char *key)
{
	struct view *v = view_by_ops(a, &view_main);
	struct node *n;
	long long id;

	if (v == NULL)
		return;
	snprintf(data_of(v)->selected, sizeof(data_of(v)->selected), "%s", key);
	data_of(v)->fallback[0] = '\0';
	rebuild(v);
	if (sscanf(key, "connector %lld", &id) != 1)
		return;
	for (size_t i = 0; (n = nth(data_of(v), i)) != NULL; i++)  /* it stands below each server that sends for it */
		if (n->kind == NODE_CONNECTOR && n->id == id) {
			data_of(v)->list.sel = i;
			remember(v);
			return;
		}
}

/* --- drawing --- */

static void
draw_node(struct area a, int y, const struct node *n, bool sel)
{
	struct str t = STR_INIT;
	int sw = n->state != NULL ? draw_width(n->state) : 0, indent = n->depth * 2;
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
		draw_put(a, y, a.w - sw, sw, sel ? STYLE_SELECTED : style_of_sign(n->sign), n->state);
	str_release(&t);
}

static void
draw_tree(struct view *v, struct area a)
{
	struct main_data *m = data_of(v);

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

	if (is_empty(v) && (selected(v) == NULL || selected(v)->kind == NODE_GROUP))
		details_welcome(a.w, &l);
	else
		details_of(v->app, selected(v), a.w, &l);
	lines_draw(&l, a, &data_of(v)->detail_top);
	if (a.h > 1 && a.w > 20 && data_of(v)->detail_top + (size_t)a.h < l.n)
		draw_put(a, a.h - 1, a.w - 12, 0, STYLE_KEY, data_of(v)->on_detail ? " more: PgDn" : "  more: Tab");
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
	struct node *n = selected(v);

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

	if (is_empty(v) && a.h < 30) {
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
	if (is_empty(v)) {
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
	struct main_data *m = data_of(v);

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
	struct main_data *m = data_of(v);

	if (m->tree.problems > 0)
		str_addf(out, "! %zu problem%s  ", m->tree.problems, m->tree.problems == 1 ? "" : "s");
	if (m->tree.unknown > 0)
		str_addf(out, "? %zu unknown", m->tree.unknown);
}

/* --- actions --- */

static int64_t
vserver_for(const struct view *v, char **name)
{
	struct node *n = selected(v);
	struct vserver_list l = { NULL, 0 };
	struct server s = { 0 };
	int64_t id = 0;

	if (n == NULL)
		return 0;
	if (n->kind == NODE_VSERVER) {
		*name = xstrdup(n->object_name);
		return n->id;
	}
	if (n->server == 0 || store_server_get(v->app->st, n->server, &s, NULL) != 0)
		return 0;
	if (store_vservers(v->app->st, n->server, &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++)
			if (n->kind == NODE_ATTENTION ? l.v[i].id == n->id : l.v[i].is_default) {
				id = l.v[i].id;
				*name = xasprintf("%s/%s", s.name, l.v[i].name);
				break;
			}
	vserver_list_release(&l);
	server_release(&s);
	return id;
}

static bool
on_server(const struct view *v)
{
	struct node *n = selected(v);
	return n != NULL && n->server != 0;
}

static bool
on_read_server(const struct view *v)
{
	struct node *n = selected(v);
	struct vserver_list l = { NULL, 0 };
	bool any = false;

	if (n != NULL && n->server != 0 && store_vservers(v->app->st, n->server, &l, NULL) == 0)
		any = l.n > 0;
	vserver_list_release(&l);
	return any;
}

static bool has_servers(const struct view *v) { return !is_empty(v); }

/* The sheet for this kind of object, by kind or, for new things, by name. */
static void
open_sheet(struct view *v, const char *sheet, enum sheet_object object, enum sheet_kind kind, int64_t id, const char *name)
{
	const struct sheet *s = sheet != NULL ? sheet_find(sheet) : sheet_for(object, kind);

	if (s != NULL)
		app_sheet(v->app, s->name, id, name, NULL);
}

static void
act_read(struct view *v)
{
	struct node *n = selected(v);

	if (n != NULL && n->server != 0)
		app_server_read(v->app, v, n->server);
}

static int64_t
read_run(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return server_read(fleet_journey(h->fleet), h->server, done, arg, e);
}

static void
read_changed(void *arg, struct fleet_host *h)
{
	struct app *a = ((struct fleet_tasks *)arg)->app;

	a->dirty = true;
	if (h->state == FLEET_DONE && h->rc != 0)
		app_fail(a, &h->err);
	else if (h->state == FLEET_DONE && fleet_over(h->fleet))
		app_say(a, STYLE_OK, "%zu servers were read. Nothing was changed there.", fleet_size(h->fleet));
}

static void
act_read_all(struct view *v)
{
	struct app *a = v->app;
	struct fleet_user u = { .run = fleet_tasks_run, .changed = read_changed, .arg = &a->reading_tasks };
	struct fleet_options o = { .at_once = READS_AT_ONCE };
	struct server_list l = { NULL, 0 };

	if (a->reading != NULL && !fleet_over(a->reading)) {
		app_say(a, STYLE_NORMAL, "All servers are being read already.");
		return;
	}
	fleet_free(a->reading);
	a->reading_tasks = (struct fleet_tasks){ .app = a };
	a->reading = fleet_new(a->j, &o, &u);
	if (store_servers(a->st, &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++)
			if (task_of_server(a, l.v[i].id) == NULL)
				(void)fleet_add(a->reading, l.v[i].id, l.v[i].name);
	server_list_release(&l);
	fleet_each(a->reading, "read", read_run);
}

static void
act_wizard(struct view *v)
{
	char *name = NULL;
	int64_t id = vserver_for(v, &name);

	if (id != 0)
		open_sheet(v, NULL, OBJECT_VSERVER, SHEET_WIZARD, id, name);
	else
		app_say(v->app, STYLE_NORMAL, "Choose a virtual server first (read the server with r if it shows none).");
	free(name);
}

static void
act_properties(struct view *v)
{
	struct node *n = selected(v);
	char *name = NULL;

	if (n == NULL)
		return;
	if (n->kind == NODE_CONNECTOR) {
		open_sheet(v, "connector", OBJECT_CONNECTOR, SHEET_TABS, n->id, n->object_name);
		return;
	}
	int64_t id = vserver_for(v, &name);
	if (id != 0)
		open_sheet(v, NULL, OBJECT_VSERVER, SHEET_TABS, id, name);
	free(name);
}

static bool
can_properties(const struct view *v)
{
	struct node *n = selected(v);
	return n != NULL && (n->kind == NODE_CONNECTOR || on_read_server(v));
}

static void
act_server(struct view *v)
{
	struct node *n = selected(v);
	struct server s = { 0 };

	if (store_server_get(v->app->st, n->server, &s, NULL) == 0)
		open_sheet(v, "server-set", OBJECT_SERVER, SHEET_DIALOG, s.id, s.name);
	server_release(&s);
}

static void act_new_server(struct view *v) { open_sheet(v, "server", OBJECT_NONE, SHEET_DIALOG, 0, NULL); }

/* Opened on a virtual server, which then sends for it. */
static void
act_new_connector(struct view *v)
{
	char *name = NULL;

	(void)vserver_for(v, &name);
	open_sheet(v, "connector", OBJECT_CONNECTOR, SHEET_TABS, 0, name);
	free(name);
}

static void act_new_authority(struct view *v) { open_sheet(v, "authority", OBJECT_NONE, SHEET_DIALOG, 0, NULL); }

static void
act_new(struct view *v)
{
	struct node *n = selected(v);

	if (n != NULL && (n->kind == NODE_AUTHORITY || strncmp(n->key, "authorities", 11) == 0))
		act_new_authority(v);
	else if (n != NULL && (n->kind == NODE_CONNECTOR || strncmp(n->key, "connectors", 10) == 0))
		act_new_connector(v);
	else
		act_new_server(v);
}

/* The name of the group whose row this is, or NULL. */
static const char *
group_of(const struct node *n)
{
	return n != NULL && n->kind == NODE_GROUP && n->object_name != NULL && n->object_name[0] == '@' ? n->object_name + 1 : NULL;
}

static void
act_plan(struct view *v)
{
	struct node *n = selected(v);
	struct plan_arg arg = { .server = n != NULL ? n->server : 0, .group = group_of(n) };

	if (n != NULL && n->server != 0 && !on_read_server(v)) {
		app_say(v->app, STYLE_NORMAL, "This server has not been read yet: r does that first, and changes nothing there.");
		return;
	}
	if (pending_edits(v->app->j, 0, NULL) > 0 && (n == NULL || pending_edits(v->app->j, n->server, NULL) == 0))
		arg.server = 0;                            /* the edits are elsewhere: show those */
	view_push(v->app, &view_plan, &arg);
}

static void
act_retry(struct view *v)
{
	struct plan_arg arg = { .retry = true };

	view_push(v->app, &view_plan, &arg);
}

static bool
can_retry(const struct view *v)
{
	struct server_list l = { NULL, 0 };
	bool any = push_retry_servers(v->app->j, &l, NULL) == 0 && l.n > 0;

	server_list_release(&l);
	return any;
}

static void
act_queue(struct view *v)
{
	struct node *n = selected(v);
	struct queue_arg arg = { .server = n != NULL ? n->server : 0 };

	view_push(v->app, &view_queue, &arg);
}

static void
act_watch(struct view *v)
{
	if (v->app->push != NULL)
		view_push(v->app, &view_push_watch, NULL);
	else
		app_say(v->app, STYLE_NORMAL, "No push is running or waiting here.");
}

static bool can_watch(const struct view *v) { return v->app->push != NULL; }

static void
act_test(struct view *v)
{
	struct node *n = selected(v);
	struct connector c = { 0 };
	struct server s = { 0 };
	struct probe_arg arg = { .server = 0 };
	char *target = NULL;

	if (n == NULL)
		return;
	if (n->kind == NODE_CONNECTOR && store_connector_get(v->app->st, n->id, &c, NULL) == 0) {
		const char *d = c.domains != NULL ? c.domains : "";
		d += strncmp(d, "*.", 2) == 0 ? 2 : 0;
		target = xstrndup(d, strcspn(d, ", "));
		arg.server = n->server;
		connector_release(&c);
	} else if (n->server != 0 && store_server_get(v->app->st, n->server, &s, NULL) == 0) {
		target = xstrdup(s.host_name);
		arg.server = n->server;
		server_release(&s);
	}
	arg.target = target;
	view_push(v->app, &view_probe, &arg);
	free(target);
}

static void
act_route(struct view *v)
{
	struct node *n = selected(v);

	if (n != NULL)
		route_for(v->app, n->server, n->kind == NODE_CONNECTOR ? n->id : 0);
}

/* The certificate that is served, or the selected one. */
static void
act_certificate(struct view *v)
{
	struct node *n = selected(v);
	struct certificate c = { 0 };
	struct authority au = { 0 };
	struct vserver s = { 0 };

	if (n != NULL && n->kind == NODE_CERTIFICATE && store_certificate_get(v->app->st, n->id, &c, NULL) == 0) {
		struct certificate_arg arg = { .title = n->name, .pem = c.pem, .id = c.id };
		view_push(v->app, &view_certificate, &arg);
		certificate_release(&c);
	} else if (n != NULL && n->kind == NODE_AUTHORITY && store_authority_get(v->app->st, n->id, &au, NULL) == 0) {
		char *command = xasprintf("mxseal authority certificate %s", n->object_name);
		struct certificate_arg arg = { .title = n->object_name, .pem = au.pem, .command = command };
		if (arg.pem != NULL)
			view_push(v->app, &view_certificate, &arg);
		free(command);
		authority_release(&au);
	} else if (n != NULL && n->kind == NODE_VSERVER && store_vserver_get(v->app->st, n->id, &s, NULL) == 0) {
		struct certificate_arg arg = { .title = n->object_name, .pem = s.served_pem != NULL ? s.served_pem : s.cert_pem };
		if (arg.pem != NULL)
			view_push(v->app, &view_certificate, &arg);
		else
			app_say(v->app, STYLE_NORMAL, "It serves no certificate yet: c requests one.");
		vserver_release(&s);
	}
}

static bool
can_certificate(const struct view *v)
{
	struct node *n = selected(v);
	return n != NULL && (n->kind == NODE_CERTIFICATE || n->kind == NODE_VSERVER || n->kind == NODE_AUTHORITY);
}

/* --- generations --- */

static void
state_drop(void *data)
{
	push_status_release(data);
	free(data);
}

static int64_t
state_start(struct task *t, struct err *e)
{
	return push_state(t->app->j, t->server, t->data, task_done, t, e);
}

static void
state_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct push_status *s = t->data;
	struct str text = STR_INIT;
	struct push_record_list l = { NULL, 0 };

	(void)v;
	if (rc != 0) {
		app_fail(t->app, e);
		return;
	}
	str_addf(&text, "State       %s\nIn force    generation %lld\n", s->state, (long long)s->generation);
	if (s->owner != NULL)
		str_addf(&text, "Lock        %s\n", s->owner);
	if (s->recovered != NULL)
		str_addf(&text, "Recovered   %s\n", s->recovered);
	str_addf(&text, "\nGenerations on the host\n%s\n\nRoll back on the command line: mxseal undo SERVER --to GENERATION\n",
	    s->generations.len > 0 ? s->generations.s : "none of ours");
	if (store_pushes(t->app->st, t->server, &l, NULL) == 0 && l.n > 0) {
		str_add(&text, "\nPushes from here, newest first\n");
		for (size_t i = 0; i < l.n; i++) {
			char when[32];
			when_rfc3339(when, l.v[i].started_at);
			str_addf(&text, "%s  generation %lld  %s\n", when, (long long)l.v[i].generation, l.v[i].result);
		}
	}
	push_record_list_release(&l);
	if (s->state != NULL && strcmp(s->state, "waiting") == 0) {
		push_run_watch(t->app, t->server, s->undo_at);
		view_push(t->app, &view_push_watch, NULL);
		str_release(&text);
		return;
	}
	app_message(t->app, "Generations", STYLE_NORMAL, text.s);
	str_release(&text);
}

static void
act_history(struct view *v)
{
	struct node *n = selected(v);

	if (n == NULL || n->server == 0)
		return;
	struct task t = { .verb = "history", .server = n->server, .view = v->serial, .start = state_start, .end = state_end,
	    .data = xcalloc(1, sizeof(struct push_status)), .drop = state_drop };
	task_run(v->app, &t);
}

/* --- Enter --- */

static const struct { const char *word; void (*run)(struct view *); } menders[] = {
	{ "renew", act_wizard }, { "request", act_wizard }, { "process", act_wizard }, { "certificate", act_wizard },
	{ "wizard", act_wizard }, { "retry", act_retry }, { "push", act_plan }, { "plan", act_plan }, { "drift", act_plan }, { "read", act_read },
	{ "trust", act_read }, { "password", act_read }, { "queue", act_queue }, { "diagnose", act_queue },
	{ "keep", act_history }, { "status", act_history }, { "recover", act_history }, { "properties", act_properties },
	{ NULL, NULL }
};

static void
mend(struct view *v, const struct node *n)
{
	if (n->next != NULL && strcmp(n->next, "push") == 0 && strstr(n->name, "a push is") != NULL) {
		if (v->app->push != NULL)
			act_watch(v);
		else
			act_history(v);                    /* asks the host; a push that waits is watched */
		return;
	}
	if (n->server != 0) {                              /* what is mended is not listed any more: then its server is selected */
		struct main_data *m = data_of(v);
		snprintf(m->fallback, sizeof(m->fallback), "server %lld", (long long)n->server);
		xset(&m->said, n->name);
	}
	for (int i = 0; menders[i].word != NULL; i++)
		if (n->next != NULL && strstr(n->next, menders[i].word) != NULL) {
			menders[i].run(v);
			return;
		}
	act_read(v);
}

static void
act_enter(struct view *v)
{
	struct node *n = selected(v);
	struct server s = { 0 };

	if (is_empty(v) && (n == NULL || n->kind == NODE_GROUP)) {
		act_new_server(v);
		return;
	}
	if (n == NULL)
		return;
	switch (n->kind) {
	case NODE_ATTENTION: mend(v, n); break;
	case NODE_VSERVER: case NODE_CONNECTOR: act_properties(v); break;
	case NODE_CERTIFICATE: case NODE_AUTHORITY: act_certificate(v); break;
	case NODE_REQUEST: act_wizard(v); break;
	case NODE_SERVER:
		if (store_server_get(v->app->st, n->id, &s, NULL) != 0)
			break;
		if (s.read_at == 0)
			act_read(v);
		else
			tree_fold(&data_of(v)->tree, n->key, !n->open);
		server_release(&s);
		break;
	case NODE_GROUP: tree_fold(&data_of(v)->tree, n->key, !n->open); break;
	}
	rebuild(v);
}

static void
remove_answer(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v;
	if (text == NULL)
		return;
	if (server_remove(a->j, id, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_NORMAL, "Removed from the store. The host itself was not touched.");
}

static void
remove_connector(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v;
	if (text == NULL)
		return;
	if (connector_remove(a->j, id, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_NORMAL, "Connector removed here. P shows what a push would take away on the hosts.");
}

static void
drop_request(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v;
	if (text == NULL)
		return;
	if (request_drop(a->j, id, false, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_NORMAL, "To the trash, with its key: mxseal cert restore-request %lld brings it back.",
		    (long long)id);
}

static bool
can_remove(const struct view *v)
{
	struct node *n = selected(v);
	return n != NULL && (n->kind == NODE_SERVER || n->kind == NODE_CONNECTOR || n->kind == NODE_REQUEST);
}

static void
act_remove(struct view *v)
{
	struct node *n = selected(v);

	if (n->kind == NODE_SERVER)
		prompt_open(v->app, PROMPT_YESNO, v, n->id, remove_answer, "Remove %s from the store? (The host is not touched.)",
		    n->name);
	else if (n->kind == NODE_CONNECTOR)
		prompt_open(v->app, PROMPT_YESNO, v, n->id, remove_connector, "Remove connector %s? (A push makes it so.)",
		    n->name);
	else
		prompt_open(v->app, PROMPT_YESNO, v, n->id, drop_request, "Put the request for %s into the trash?", n->name);
}

static const struct action main_actions[] = {
	{ K_ENTER, "open", "open", "Opens or mends what is selected; folds groups.", NULL, act_enter, NULL, 0 },
	{ 'e', "properties", "edit", "Properties of the selected virtual server or connector.", "mxseal vs set VS KEY=VALUE",
	  act_properties, can_properties, 0 },
	{ 'c', "certificate wizard", "cert", "Requests, processes, renews or removes a certificate.", "mxseal cert request VS ...",
	  act_wizard, on_read_server, 0 },
	{ 'P', "plan", "plan", "The exact changes a push would make, before anything is touched.", "mxseal plan [SERVER]",
	  act_plan, has_servers, 0 },
	{ 'K', "watch the push", "watch push", "Goes to the push that runs or waits to be kept.", "mxseal status", act_watch,
	  can_watch, 0 },
	{ 'r', "read", "read", "Logs in and reads the server again; changes nothing there.", "mxseal server read NAME", act_read,
	  on_server, 0 },
	{ 'Q', "queues", "queue", "What waits, where to, and why.", "mxseal queue [SERVER]", act_queue, has_servers, 0 },
	{ 'n', "new", "new", "Adds a server; on connectors a connector; on authorities an authority.",
	  "mxseal server add NAME TARGET", act_new, NULL, 0 },
	{ 't', "test", "test", "Looks at a mail destination now: MX, STARTTLS, certificate.", "mxseal probe TARGET", act_test,
	  can_properties, ACTION_QUIET },
	{ 'm', "route of an address", "route", "Where mail for an address goes, how secured, and why.", "mxseal route VS ADDRESS",
	  act_route, can_properties, ACTION_QUIET },
	{ 'v', "view certificate", "view cert", "The certificate that is served, with its chain.", "mxseal cert show ID",
	  act_certificate, can_certificate, ACTION_QUIET },
	{ 'H', "generations", "history", "What was pushed to this host, and what is in force.", "mxseal status SERVER",
	  act_history, on_server, ACTION_QUIET },
	{ 'R', "read all", "read all", "Reads every server again.", "mxseal server read NAME", act_read_all, has_servers,
	  ACTION_QUIET },
	{ 'E', "server", "server", "Address, login and group of the selected server.", "mxseal server set NAME", act_server, on_server,
	  ACTION_QUIET },
	{ 'd', "remove", "remove", "Removes from the store (asks first); hosts are not touched.", "mxseal server remove NAME",
	  act_remove, can_remove, ACTION_QUIET },
	{ 0, "retry the last push", NULL, "A plan for the hosts whose last push failed or was not begun.", "mxseal push --retry", act_retry,
	  can_retry, 0 },
	{ 0, "new server", NULL, "Adds a mail server by its SSH address.", "mxseal server add NAME TARGET", act_new_server, NULL,
	  0 },
	{ 0, "new connector", NULL, "Outbound TLS for chosen domains.", "mxseal connector add NAME ...", act_new_connector,
	  has_servers, 0 },
	{ 0, "new authority", NULL, "An own certificate authority, kept sealed in the store.", "mxseal authority add own NAME",
	  act_new_authority, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

static bool
fold_key(struct view *v, bool open)
{
	struct main_data *m = data_of(v);
	struct node *n = selected(v);

	if (n == NULL)
		return true;
	if (n->folds && n->open != open) {
		tree_fold(&m->tree, n->key, open);
		rebuild(v);
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
	struct main_data *m = data_of(v);

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
	if (key == ' ' && selected(v) != NULL && selected(v)->folds)
		return fold_key(v, !selected(v)->open);
	if (key == K_RIGHT || key == 'l')
		return fold_key(v, true);
	if (key == K_LEFT || key == 'h')
		return fold_key(v, false);
	return false;
}

static void
main_tick(struct view *v, int64_t now_ms)
{
	size_t n = 0;

	(void)now_ms;
	for (struct task *t = v->app->tasks; t != NULL; t = t->next)
		n++;
	if (n != data_of(v)->tasks_seen) {                 /* rows say what runs */
		data_of(v)->tasks_seen = n;
		rebuild(v);
		v->app->dirty = true;
	}
}

static void
main_copy(const struct view *v, bool command, struct str *out)
{
	struct node *n = selected(v);
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
	.open = main_open, .close = main_close, .draw = main_draw, .key = main_key, .tick = main_tick, .changed = rebuild,
	.crumb = main_crumb, .state = main_state, .copy = main_copy,
};
