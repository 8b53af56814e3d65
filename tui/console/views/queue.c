/* Mail that waits: groups by destination, reason or sender, refreshed by itself; below them why, first from the queue's own
 * words, then (Enter) from live looks. Marks and the selection are kept by name, so a refresh never changes what is meant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/queue.h"

#define QUIET_MS 400

static struct queue_data *
data_of(const struct view *v)
{
	return v->data;
}

static struct queue_group *
nth(struct queue_data *d, size_t k)
{
	return k < d->list.n ? &d->groups.v[d->match[k]] : NULL;
}

struct queue_group *
queue_selected(const struct view *v)
{
	return nth(data_of(v), data_of(v)->list.sel);
}

bool
queue_marked(const struct queue_data *d, const char *key)
{
	for (size_t i = 0; i < d->n_marks; i++)
		if (strcmp(d->marks[i].key, key) == 0)
			return true;
	return false;
}

/* --- marks --- */

static void
mark_release(struct queue_mark *m)
{
	queue_sets_release(m->sets, m->n_sets);
	free(m->key);
}

void
queue_mark_drop(struct queue_data *d, const char *key)
{
	for (size_t i = 0; i < d->n_marks; i++)
		if (strcmp(d->marks[i].key, key) == 0) {
			mark_release(&d->marks[i]);
			d->marks[i] = d->marks[--d->n_marks];
			return;
		}
}

void
queue_marks_forget(struct queue_data *d)
{
	while (d->n_marks > 0)
		mark_release(&d->marks[--d->n_marks]);
}

bool
queue_mark_take(struct queue_data *d, const char *key, struct queue_set *sets, size_t n_sets, size_t n)
{
	for (size_t i = 0; i < d->n_marks; i++)
		if (strcmp(d->marks[i].key, key) == 0 && d->marks[i].at == 0) {
			d->marks[i] = (struct queue_mark){ d->marks[i].key, when_now(), n, sets, n_sets };
			return true;
		}
	return false;
}

/* --- grouping --- */

/* The rows that fit the filter, and which is selected. */
static void
arrange(struct view *v)
{
	struct queue_data *d = data_of(v);

	free(d->match);
	d->match = xcalloc(d->groups.n + 1, sizeof(*d->match));
	d->list.n = 0;
	for (size_t i = 0; i < d->groups.n; i++) {
		const struct queue_group *g = &d->groups.v[i];
		if (match_words(g->key, v->filter) || (g->failure != NULL && match_words(g->failure->title, v->filter))) {
			if (d->selected != NULL && strcmp(g->key, d->selected) == 0)
				d->list.sel = d->list.n;
			d->match[d->list.n++] = i;
		}
	}
	v->shown = d->list.n;
	v->total = d->groups.n;
	list_fit(&d->list, d->rows);
}

bool
queue_regroup_some(struct view *v, int64_t until_ms)
{
	struct queue_data *d = data_of(v);

	if (d->merge == NULL) {
		share_begin(&d->regrouping);
		d->merge = queue_merge_new();
		d->merged = 0;
		d->stale = false;
	} else {
		share_go_on(&d->regrouping);
	}
	while (d->merged < d->n) {
		queue_merge_add(d->merge, &d->v[d->merged++].view.groups);
		if (when_monotonic_ms() >= until_ms) {
			share_rest(&d->regrouping);
			return true;
		}
	}
	queue_groups_release(&d->groups);
	queue_merge_end(d->merge, &d->groups);
	d->merge = NULL;
	d->messages = 0;
	for (size_t i = 0; i < d->n; i++)
		d->messages += d->v[i].view.messages;
	arrange(v);
	share_end(&d->regrouping, d->n);
	v->app->dirty = true;
	return false;
}

void
queue_regroup(struct view *v)
{
	struct queue_data *d = data_of(v);

	queue_merge_end(d->merge, NULL);
	d->merge = NULL;
	(void)queue_regroup_some(v, INT64_MAX);
}

static int
queue_open(struct view *v, const void *p, struct err *e)
{
	const struct queue_arg *arg = p;
	struct queue_data *d = data_of(v);
	struct server_list l = { NULL, 0 };

	if (store_servers(v->app->st, &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		if ((arg->server != 0 && l.v[i].id != arg->server) || l.v[i].read_at == 0)
			continue;                          /* who was never read is not contacted by looking */
		ARRAY_GROW(d->v, d->n);
		d->v[d->n++] = (struct queue_slot){ .server = l.v[i].id, .name = xstrdup(l.v[i].name), .failures = l.v[i].trouble != NULL };
	}
	server_list_release(&l);
	d->by = QUEUE_BY_DESTINATION;
	xset(&d->selected, arg->destination);
	queue_poll_more(v);
	return 0;
}

static void
queue_close(struct view *v)
{
	struct queue_data *d = data_of(v);

	for (size_t i = 0; i < d->n; i++) {
		queue_view_release(&d->v[i].view);
		free(d->v[i].name);
		free(d->v[i].error);
	}
	free(d->v);
	queue_merge_end(d->merge, NULL);
	queue_groups_release(&d->groups);
	free(d->match);
	queue_marks_forget(d);
	free(d->marks);
	queue_trends_forget(d);
	free(d->selected);
	free(d->diagnosed);
	free(d->diagnosis_error);
	destination_view_release(&d->diagnosis);
	remedy_offers_release(&d->offers);
	for (struct task *t; !v->app->closing && (t = task_of_view(v, NULL)) != NULL; ) {
		t->view = 0;
		if (!t->asks && strcmp(t->verb, "queue act") != 0)
			task_cancel(t);
	}
}

/* What is listed comes from the hosts, and trends have a time of their own. */
static void
queue_noticed(struct view *v)
{
	(void)v;
}

static void
queue_tick(struct view *v, int64_t now_ms)
{
	(void)now_ms;
	if (view_in_sight(v) && !data_of(v)->frozen)
		queue_poll_more(v);
}

static bool
queue_idle(struct view *v, int64_t until_ms)
{
	struct queue_data *d = data_of(v);
	bool more = false;

	if (!view_in_sight(v))
		return false;
	if (!d->frozen) {
		queue_poll_more(v);
		if (d->merge != NULL || (d->stale && app_has_time(v->app, &d->regrouping)))
			more = queue_regroup_some(v, until_ms);
	}
	/* they are no news: not while somebody moves */
	if (when_monotonic_ms() - v->app->key_ms < QUIET_MS)
		return more;
	return queue_trends_some(v, until_ms) || more;
}

int64_t
queue_server_of(const struct view *v, const char *key)
{
	const struct queue_data *d = data_of(v);

	for (size_t i = 0; i < d->n; i++)
		for (size_t k = 0; k < d->v[i].view.groups.n; k++)
			if (strcmp(d->v[i].view.groups.v[k].key, key) == 0)
				return d->v[i].server;
	return d->n > 0 ? d->v[0].server : 0;
}

/* --- drawing --- */

void
queue_age(char out[16], int64_t since)
{
	when_ago(out, since > 0 ? when_now() - since : 0);
	if (since <= 0)
		strcpy(out, "-");
}

static void
queue_draw(struct view *v, struct area a)
{
	static const char *const by[] = { "destination", "reason", "sender", "server" };
	struct queue_data *d = data_of(v);
	char title[64];

	snprintf(title, sizeof(title), "Waiting mail by %s%s", by[d->by], d->frozen ? " (frozen)" : "");
	if (a.h < 12 || a.w < 40) {
		int h = a.h >= 6 ? a.h - 4 : a.h;
		struct area top = { a.y, a.x, h, a.w }, rest = { a.y + h, a.x, a.h - h, a.w };
		queue_list_draw(v, top);
		diagnosis_draw(v, rest);
		return;
	}
	int h = (int)d->list.n + 4 + (d->n_marks > 0), max = a.h / 2;
	h = h < 7 ? 7 : h;
	h = h > max ? max : h;
	struct area top = { a.y, a.x, h, a.w }, rest = { a.y + h, a.x, a.h - h, a.w };
	queue_list_draw(v, draw_box(top, title));
	diagnosis_draw(v, draw_box(rest, queue_selected(v) != NULL ? queue_selected(v)->key : "Why"));
	v->page = d->rows;
}

/* --- actions --- */

static void
act_group(struct view *v)
{
	struct queue_data *d = data_of(v);

	if (d->n_marks > 0) {
		app_say(v->app, STYLE_NORMAL, "Marks are of this grouping: Space takes them back, or A acts on them.");
		return;
	}
	d->by = d->by == QUEUE_BY_SERVER ? QUEUE_BY_DESTINATION : (enum queue_by)(d->by + 1);
	for (size_t i = 0; i < d->n; i++) {
		queue_groups_release(&d->v[i].view.groups);
		memset(&d->v[i].view.groups, 0, sizeof(d->v[i].view.groups));
	}
	xset(&d->selected, NULL);
	queue_trends_forget(d);
	queue_regroup(v);
	queue_refresh(v);
}

static void
act_refresh(struct view *v)
{
	struct queue_data *d = data_of(v);

	for (size_t i = 0; i < d->n; i++)
		d->v[i].next_ms = 0;
	queue_poll_more(v);
}

static void
act_freeze(struct view *v)
{
	struct queue_data *d = data_of(v);

	d->frozen = !d->frozen;
	if (!d->frozen) {
		queue_regroup(v);
		queue_refresh(v);
	}
	app_say(v->app, STYLE_NORMAL, d->frozen ? "Frozen: the list stays as it is; f goes on." : "Refreshing by itself again.");
}

static void
act_mark(struct view *v)
{
	struct queue_data *d = data_of(v);
	struct queue_group *g = queue_selected(v);

	if (g == NULL)
		return;
	if (queue_marked(d, g->key)) {
		queue_mark_drop(d, g->key);
		return;
	}
	d->marks = xrealloc(d->marks, d->n_marks + 1, sizeof(*d->marks));
	d->marks[d->n_marks++] = (struct queue_mark){ .key = xstrdup(g->key) };
	queue_act_mark(v, g->key);
	list_key(&d->list, K_DOWN, 0);
	xset(&d->selected, queue_selected(v)->key);
}

/* The work-around's dialog, filled in. Only an edit; a push makes it so. */
static void
act_workaround(struct view *v)
{
	struct queue_data *d = data_of(v);
	struct queue_group *g = queue_selected(v);
	struct server s = { 0 };

	if (g == NULL || d->by != QUEUE_BY_DESTINATION)
		return;
	if (store_server_get(v->app->st, queue_server_of(v, g->key), &s, NULL) == 0)
		app_sheet(v->app, "workaround", s.id, s.name, (const char *const[]){ "domain", g->key, NULL });
	server_release(&s);
}

static void
act_route(struct view *v)
{
	struct queue_group *g = queue_selected(v);

	if (g == NULL)
		return;
	char *address = xasprintf("anybody@%s", g->key);
	struct route_arg arg = { .server = queue_server_of(v, g->key), .address = address };
	view_push(v->app, &view_route, &arg);
	free(address);
}

/* What was chosen here is carried out there. */
static void
act_plan(struct view *v)
{
	struct plan_arg arg = { .server = 0 };

	view_push(v->app, &view_plan, &arg);
}

/* Asked with each picture: of what the line at the bottom knows, not of all that is wanted; what it has not gone through yet may be one. */
static bool
can_plan(const struct view *v)
{
	return v->app->edits[0] != '\0' || v->app->counting != NULL || v->app->edits_seen != store_version_but_seen(v->app->st);
}

static bool
on_destination(const struct view *v)
{
	return data_of(v)->by == QUEUE_BY_DESTINATION && queue_selected(v) != NULL;
}

static bool on_group(const struct view *v) { return queue_selected(v) != NULL; }

static const struct action queue_actions[] = {
	{ K_ENTER, "test the destination", "test", "Why does it wait: joins the queue's words, log lines and live looks.",
	  "mxseal diagnose SERVER DESTINATION", diagnosis_act, on_destination, 0 },
	{ 't', "test again", "test", "The same as Enter.", "mxseal diagnose SERVER DESTINATION", diagnosis_act, on_destination,
	  ACTION_QUIET },
	{ K_DIGITS, "choose", "pick", "Opens what can be done about the selected destination, by its number below: waiting, a work-around, a "
	  "lower level, a repair, a letter, holding. Nothing changes a server before a push, but holding, which asks.",
	  "mxseal remedy SERVER DESTINATION", diagnosis_list, diagnosis_chooses, 0 },
	{ 'P', "plan", "plan", "What a push would change now; it is carried out from there, and then what was stuck is tried again.", "mxseal plan",
	  act_plan, can_plan, 0 },
	{ 'g', "group by", "group", "By destination, by reason, by sender, by server.", "mxseal queue --group reason", act_group, NULL, 0 },
	{ ' ', "mark", "mark", "Takes the messages that the group has now; A acts on exactly these, whatever the list shows by then.", NULL, act_mark, on_group, 0 },
	{ 'w', "work around", "workaround", "Opens a work-around for this destination, filled in; nothing changes before a push.",
	  "mxseal workaround SERVER DOMAIN", act_workaround, on_destination, 0 },
	{ 'm', "route", "route", "Which way its mail takes, and what decides about TLS.", "mxseal route VS ADDRESS", act_route,
	  on_destination, ACTION_QUIET },
	{ 'v', "view messages", "messages", "Samples of the messages in this group.",
	  "mxseal queue messages SERVER --destination D", queue_act_view, on_destination, 0 },
	{ 'A', "act on messages", "act ...", "Retries, holds, releases or deletes the messages of the group, "
	  "after a question with their number.", "mxseal queue retry|hold|release|delete SERVER --destination D", queue_act_open, on_group,
	  ACTION_CHANGES },
	{ 'f', "freeze", "freeze", "Stops refreshing, so that the list stands still.", NULL, act_freeze, NULL, 0 },
	{ 'r', "read again", "refresh", "Reads the queues now, also of who failed.", "mxseal queue [SERVER]", act_refresh, NULL, ACTION_QUIET },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

static bool
queue_key(struct view *v, int key)
{
	struct queue_data *d = data_of(v);

	key = key_command(key);
	if (key >= '1' && key <= '9') {
		diagnosis_choose(v, (size_t)(key - '1'));
		return true;
	}
	if (key == K_TAB || key == K_BACKTAB) {
		d->on_pane = !d->on_pane;
		app_say(v->app, STYLE_NORMAL, "%s", d->on_pane ? "Arrows scroll the lower pane; Tab goes back to the list." : "");
		return true;
	}
	if (d->on_pane && key != ' ' && lines_key(&d->pane_top, key, d->pane_page))
		return true;
	if (!list_key(&d->list, key, d->rows))
		return false;
	d->pane_top = 0;
	if (queue_selected(v) != NULL)
		xset(&d->selected, queue_selected(v)->key);
	return true;
}

static void
queue_crumb(const struct view *v, struct str *out)
{
	const struct queue_data *d = data_of(v);

	str_add(out, "Queue");
	if (d->n == 1)
		str_addf(out, " %s", d->v[0].name);
	str_addf(out, "  %lld message%s", (long long)d->messages, d->messages == 1 ? "" : "s");
	if (d->n_marks > 0)
		str_addf(out, "  %zu marked", d->n_marks);
}

static void
queue_state(const struct view *v, struct str *out)
{
	const struct queue_data *d = data_of(v);
	int64_t taken = 0;
	char ago[16];

	for (size_t i = 0; i < d->n; i++) {
		if (d->v[i].error != NULL)
			str_addf(out, "? %s not counted  ", d->v[i].name);
		if (d->v[i].view.taken_at > 0 && (taken == 0 || d->v[i].view.taken_at < taken))
			taken = d->v[i].view.taken_at;
	}
	if (taken > 0) {
		queue_age(ago, taken);
		str_addf(out, "%s%s ago", d->frozen ? "frozen, " : "", ago);
	}
}

static void
queue_copy(const struct view *v, bool command, struct str *out)
{
	const struct queue_group *g = queue_selected(v);
	struct server s = { 0 };

	if (g == NULL)
		return;
	if (!command) {
		str_addf(out, "%s: %s", g->key, g->reason != NULL ? g->reason : "");
	} else if (store_server_get(v->app->st, queue_server_of(v, g->key), &s, NULL) == 0) {
		str_addf(out, "mxseal diagnose %s ", s.name);
		str_add_word(out, g->key);
		server_release(&s);
	}
}

const struct view_ops view_queue = {
	.name = "queue", .title = "Queues",
	.about = "Mail that waits, grouped, with the reason. Not every reason is TLS, and it says so. Looking changes nothing; the "
	    "messages themselves are only touched by A.",
	.state_size = sizeof(struct queue_data), .finds = true, .actions = queue_actions, .open = queue_open, .close = queue_close,
	.draw = queue_draw, .key = queue_key, .tick = queue_tick, .idle = queue_idle, .changed = arrange, .noticed = queue_noticed,
	.crumb = queue_crumb, .state = queue_state, .copy = queue_copy,
};
