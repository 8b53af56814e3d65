/* Where mail for an address goes, step by step, and what becomes of it; below, the rows of the host's tables that no mail can
 * reach, each with its repair: the connector dialog, filled in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/way.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct route_data {
	int64_t server;
	char *address, *sender;          /* sender NULL: nobody in particular */
	struct mail_way_list ways;
	struct dead_rule_list dead;
	char *error;
	bool there;
	size_t top;                      /* of the chain */
	struct list list;                /* of dead rows */
};

static struct route_data *data_of(const struct view *v) { return v->data; }

/* --- asking --- */

struct answer { struct mail_way_list ways; struct dead_rule_list dead; };

static void
answer_drop(void *p)
{
	struct answer *a = p;

	mail_way_list_release(&a->ways);
	dead_rule_list_release(&a->dead);
	free(a);
}

static int64_t
route_start(struct task *t, struct err *e)
{
	struct view *v = view_by_serial(t->app, t->view);
	struct answer *a = t->data;

	if (v == NULL)
		return err_set(e, RC_CANCELLED, "the view was closed");
	struct way_ask ask = { data_of(v)->address, data_of(v)->sender, true, NULL };
	return mail_route(t->app->j, t->server, &ask, 1, true, &a->ways, &a->dead, task_done, t, e);
}

static void
forget(struct route_data *d)
{
	mail_way_list_release(&d->ways);
	dead_rule_list_release(&d->dead);
	xset(&d->error, NULL);
	d->there = false;
}

static void
route_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct answer *a = t->data;

	if (v == NULL)
		return;
	struct route_data *d = data_of(v);
	forget(d);
	d->there = rc == 0;
	if (rc == 0) {
		d->ways = a->ways;
		d->dead = a->dead;
		memset(a, 0, sizeof(*a));
	} else {
		d->error = xasprintf("%s%s%s", e->text, e->hint[0] != '\0' ? "  Do: " : "", e->hint);
	}
}

static void
run(struct view *v)
{
	struct route_data *d = data_of(v);

	if (d->address == NULL || task_of_view(v, NULL) != NULL)
		return;
	struct task t = { .verb = "route", .server = d->server, .view = v->serial, .start = route_start, .end = route_end,
	    .data = xcalloc(1, sizeof(struct answer)), .drop = answer_drop };
	task_run(v->app, &t);
}

static void
address_given(struct app *a, struct view *v, int64_t arg, const char *text)
{
	(void)a, (void)arg;
	if (v == NULL)
		return;
	if (!text_empty(text)) {
		xset(&data_of(v)->address, text);
		forget(data_of(v));
		run(v);
	} else if (data_of(v)->address == NULL) {
		view_pop(v);
	}
}

static void
sender_given(struct app *a, struct view *v, int64_t arg, const char *text)
{
	(void)a, (void)arg;
	if (v == NULL || text == NULL)
		return;
	xset(&data_of(v)->sender, *text == '\0' ? NULL : strcmp(text, "<>") == 0 ? "" : text);
	forget(data_of(v));
	run(v);
}

static void
act_other(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, v, 0, address_given, "Address, as user@domain");
}

static void
act_sender(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, v, 0, sender_given, "Who sends it (<> for nobody, empty for anybody)");
}

/* --- from a row to what mends it --- */

static struct dead_rule *
dead_selected(const struct view *v)
{
	struct route_data *d = data_of(v);

	return d->list.sel < d->dead.n ? &d->dead.v[d->list.sel] : NULL;
}

static bool on_dead(const struct view *v) { return dead_selected(v) != NULL; }

static void
act_repair(struct view *v)
{
	struct dead_rule *dead = dead_selected(v);
	struct server sv = { 0 };
	struct err e = { .code = RC_OK };
	char **preset = NULL;

	if (dead == NULL)
		return;
	if (store_server_get(v->app->st, data_of(v)->server, &sv, &e) == 0)
		preset = route_repair(v->app->j, &sv, dead, &e);
	if (preset == NULL)
		app_fail(v->app, &e);
	else
		app_sheet(v->app, "connector", 0, preset[5], (const char *const *)preset);
	route_repair_free(preset);
	server_release(&sv);
}

static const struct way_hop *
first_hop(const struct view *v)
{
	const struct route_data *d = data_of(v);

	for (size_t i = 0; d->ways.n > 0 && i < d->ways.v[0].ends.n; i++)
		if (d->ways.v[0].ends.v[i].hops.n > 0)
			return &d->ways.v[0].ends.v[i].hops.v[0];
	return NULL;
}

static bool has_hop(const struct view *v) { return first_hop(v) != NULL && first_hop(v)->host != NULL; }

static void
act_test(struct view *v)
{
	const struct way_hop *hop = first_hop(v);
	struct probe_arg arg = { .server = data_of(v)->server };

	if (hop == NULL || hop->host == NULL)
		return;
	char *target = hop->mx && hop->port == 0 ? xstrdup(hop->host) : xasprintf("%s:%d", hop->host, hop->port > 0 ? hop->port : 25);
	arg.target = target;
	view_push(v->app, &view_probe, &arg);
	free(target);
}

/* --- the screen --- */

static enum style
style_of_fate(enum way_fate f)
{
	switch (f) {
	case FATE_TLS: case FATE_LOCAL: return STYLE_OK;
	case FATE_CLEAR: case FATE_DISCARDED: return STYLE_WARN;
	case FATE_WAITS: case FATE_BOUNCES: return STYLE_BAD;
	default: return STYLE_UNKNOWN;
	}
}

static void
step_lines(const struct way_step_list *l, int width, struct lines *out)
{
	for (size_t i = 0; i < l->n; i++) {
		lines_wrap(out, STYLE_NORMAL, width, 2, l->v[i].text);
		if (l->v[i].map != NULL) {
			char *row = xasprintf("    %s: %s -> %s", l->v[i].map, l->v[i].key, l->v[i].row);

			lines_wrap(out, STYLE_FAINT, width, 6, row);
			free(row);
		}
	}
}

static void
way_lines(const struct mail_way *w, int width, struct lines *out)
{
	step_lines(&w->steps, width, out);
	for (size_t i = 0; i < w->ends.n; i++) {
		const struct way_end *end = &w->ends.v[i];
		char *fate = xasprintf("Mail for it %s.", end->forecast != NULL ? end->forecast : "goes there");

		if (w->ends.n > 1 || !text_ieq(end->address, w->address))
			lines_addf(out, STYLE_TITLE, "%s", end->address);
		step_lines(&end->steps, width, out);
		lines_wrap(out, style_of_fate(end->fate), width, 2, fate);
		free(fate);
	}
	if (w->connector != NULL)
		lines_addf(out, STYLE_NORMAL, "The connector %s decides.", w->connector);
}

static void
draw_chain(struct view *v, struct area in)
{
	struct route_data *d = data_of(v);
	struct lines l = { NULL, 0 };

	if (d->error != NULL)
		lines_wrap(&l, STYLE_BAD, in.w, 2, d->error);
	else if (d->there && d->ways.n > 0)
		way_lines(&d->ways.v[0], in.w, &l);
	else
		lines_add(&l, STYLE_UNKNOWN, d->address != NULL ? "asking the host ..." : "");
	v->page = in.h;
	lines_draw(&l, in, &d->top);
	lines_release(&l);
}

static void
draw_dead(struct view *v, struct area a, int rows)
{
	struct route_data *d = data_of(v);
	const struct dead_rule *sel = dead_selected(v);
	struct lines l = { NULL, 0 };
	size_t none = 0;

	for (int y = 0; y < rows && d->list.top + (size_t)y < d->dead.n; y++) {
		const struct dead_rule *r = &d->dead.v[d->list.top + (size_t)y];
		bool on = d->list.top + (size_t)y == d->list.sel;
		char *text = xasprintf("%s %-9s %s %s", on ? ">" : " ", r->rule.kind, r->rule.key, r->rule.value);

		draw_row(a, y, 0, 0, on ? STYLE_SELECTED : STYLE_NORMAL, text);
		free(text);
	}
	if (sel == NULL || a.h <= rows)
		return;
	char *where = sel->line > 0 ? xasprintf("%s, line %ld", sel->rule.source, sel->line) : xstrdup(sel->rule.source);
	lines_field(&l, STYLE_FAINT, a.w, "In", where);
	lines_field(&l, STYLE_WARN, a.w, "Dead", sel->rule.trouble);
	lines_field(&l, STYLE_NORMAL, a.w, "Do", sel->repair);
	lines_draw(&l, (struct area){ a.y + rows, a.x, a.h - rows, a.w }, &none);
	lines_release(&l);
	free(where);
}

static void
route_draw(struct view *v, struct area a)
{
	struct route_data *d = data_of(v);
	char *title = d->address == NULL ? xstrdup("Route") : d->sender == NULL ? xasprintf("%s", d->address)
	    : xasprintf("%s from %s", d->address, *d->sender ? d->sender : "<>");
	bool framed = a.h >= 8 && a.w >= 30;
	struct area in = framed ? draw_box(a, title) : a;
	int rows = d->dead.n > 4 ? 4 : (int)d->dead.n, low = d->dead.n > 0 ? rows + (in.h >= 18 ? 7 : 6) : 0;

	free(title);
	d->list.n = d->dead.n;
	list_fit(&d->list, rows);
	if (!framed || in.h < low + 4) {
		draw_chain(v, in);
		return;
	}
	if (low > 0) {
		char *head = xasprintf("Rows that no mail can reach: %zu", d->dead.n);

		draw_rule(a, in.y - a.y + in.h - low, head);
		draw_dead(v, (struct area){ in.y + in.h - low + 1, in.x, low - 1, in.w }, rows);
		free(head);
	}
	draw_chain(v, (struct area){ in.y, in.x, in.h - low, in.w });
}

static bool
route_key(struct view *v, int key)
{
	struct route_data *d = data_of(v);

	key = key_command(key);
	if (key == K_PGUP || key == K_PGDN || d->dead.n == 0)
		return lines_key(&d->top, key, v->page);
	return list_key(&d->list, key, 4);
}

static void
route_crumb(const struct view *v, struct str *out)
{
	struct server s = { 0 };

	str_add(out, "Route");
	if (store_server_get(v->app->st, data_of(v)->server, &s, NULL) == 0) {
		str_addf(out, " %s", s.name);
		server_release(&s);
	}
}

static void
route_copy(const struct view *v, bool command, struct str *out)
{
	const struct route_data *d = data_of(v);
	struct server s = { 0 };

	if (d->address == NULL)
		return;
	if (!command) {
		if (d->ways.n > 0 && d->ways.v[0].ends.n > 0)
			str_addf(out, "%s %s", d->address, d->ways.v[0].ends.v[0].forecast);
	} else if (store_server_get(v->app->st, d->server, &s, NULL) == 0) {
		str_addf(out, "mxseal route %s ", s.name);
		str_add_word(out, d->address);
		if (d->sender != NULL) {
			str_add(out, " --sender ");
			str_add_word(out, *d->sender ? d->sender : "<>");
		}
		server_release(&s);
	}
}

static int
route_open(struct view *v, const void *p, struct err *e)
{
	const struct route_arg *arg = p;
	struct route_data *d = data_of(v);

	(void)e;
	d->server = arg->server;
	d->address = xstrdup(arg->address);
	if (d->address != NULL)
		run(v);
	else
		act_other(v);
	return 0;
}

static void
route_close(struct view *v)
{
	struct route_data *d = data_of(v);

	forget(d);
	free(d->address);
	free(d->sender);
	for (struct task *t; !v->app->closing && (t = task_of_view(v, NULL)) != NULL; ) {
		t->view = 0;
		if (!t->asks)
			task_cancel(t);
	}
}

void
route_for(struct app *a, int64_t server, int64_t connector)
{
	struct connector c = { 0 };
	struct server s = { 0 };
	struct route_arg arg = { .server = server };
	char *address = NULL;

	if (connector != 0 && store_connector_get(a->st, connector, &c, NULL) == 0) {
		const char *d = c.domains != NULL ? c.domains : "";

		d += strncmp(d, "*.", 2) == 0 ? 2 : 0;
		if (*d != '*')
			address = xasprintf("anybody@%.*s", (int)strcspn(d, ", "), d);
		char *name = xstrndup(c.via != NULL ? c.via : "", strcspn(c.via != NULL ? c.via : "", "/ "));
		if (arg.server == 0 && store_server_by_name(a->st, name, &s, NULL) == 0)
			arg.server = s.id;
		free(name);
		server_release(&s);
		connector_release(&c);
	}
	arg.address = address;
	if (arg.server == 0)
		app_say(a, STYLE_NORMAL, "Select the server whose mail it is.");
	else
		view_push(a, &view_route, &arg);
	free(address);
}

static const struct action route_actions[] = {
	{ K_ENTER, "repair the row", "repair", "Opens a connector that says the same where it bites, filled in; nothing changes "
	  "before a push.", "mxseal route VS --repair", act_repair, on_dead, 0 },
	{ 'o', "other address", "other", "Asks for another address.", "mxseal route VS ADDRESS", act_other, NULL, 0 },
	{ 's', "sender", "sender", "Who sends it: some tables depend on that.", "mxseal route VS ADDRESS --sender ADDRESS",
	  act_sender, NULL, 0 },
	{ 't', "test the next hop", "test", "Looks at the next hop now: STARTTLS, certificate.", "mxseal probe TARGET --via SERVER",
	  act_test, has_hop, 0 },
	{ 'r', "ask again", "again", "Asks the host once more.", "mxseal route VS ADDRESS", run, NULL, ACTION_QUIET },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_route = {
	.name = "route", .title = "Route of an address",
	.about = "Where mail for an address goes, asked of the host's own tables: rewriting, transport, next hop, the policy row that "
	    "decides about TLS, and what becomes of it now. Arrows choose a dead row, PgUp and PgDn scroll the chain. Asking changes "
	    "nothing.",
	.state_size = sizeof(struct route_data), .actions = route_actions, .open = route_open, .close = route_close,
	.draw = route_draw, .key = route_key, .crumb = route_crumb, .copy = route_copy,
};
