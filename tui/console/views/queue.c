/* Mail that waits: groups by destination, reason or sender, refreshed by itself; below them why, first from the queue's own
 * words, then (Enter) from live looks. Marks and the selection are kept by name, so a refresh never changes what is meant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/queue.h"
#include "tui/console/views/reports.h"

#define POLLS_AT_ONCE 8
#define EVERY_MS 10000
#define TREND 12
#define TREND_SPAN 3600

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
		if (strcmp(d->marks[i], key) == 0)
			return true;
	return false;
}

/* --- reading --- */

static void
regroup(struct view *v)
{
	struct queue_data *d = data_of(v);

	queue_groups_release(&d->groups);
	memset(&d->groups, 0, sizeof(d->groups));
	d->messages = 0;
	for (size_t i = 0; i < d->n; i++) {
		queue_groups_merge(&d->groups, &d->v[i].view.groups);
		d->messages += d->v[i].view.messages;
	}
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

static void
view_drop(void *p)
{
	queue_view_release(p);
	free(p);
}

static int64_t
poll_start(struct task *t, struct err *e)
{
	return queue_poll(t->app->j, t->server, (enum queue_by)t->id, NULL, 0, t->data, task_done, t, e);
}

static void
poll_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct queue_data *d = v != NULL ? data_of(v) : NULL;

	for (size_t i = 0; d != NULL && i < d->n; i++) {
		struct queue_slot *s = &d->v[i];
		if (s->server != t->server || (enum queue_by)t->id != d->by)
			continue;
		xset(&s->error, rc == 0 ? NULL : e->text);
		if (rc != 0)
			continue;
		queue_view_release(&s->view);
		s->view = *(struct queue_view *)t->data;
		memset(t->data, 0, sizeof(struct queue_view));
		if (!d->frozen)
			regroup(v);
	}
}

/* Starts the looks that are due, at most so many at a time: a host that hangs holds up one of them. */
static void
poll_more(struct view *v)
{
	struct queue_data *d = data_of(v);
	size_t n = 0;

	for (struct task *t = v->app->tasks; t != NULL; t = t->next)
		n += t->start == poll_start;
	for (size_t i = 0; i < d->n && n < POLLS_AT_ONCE; i++) {
		if (!d->v[i].due)
			continue;
		struct task t = { .verb = "queue", .server = d->v[i].server, .view = v->serial, .id = d->by, .start = poll_start,
		    .end = poll_end, .data = xcalloc(1, sizeof(struct queue_view)), .drop = view_drop };
		d->v[i].due = false;
		n++;
		task_run(v->app, &t);
	}
}

void
queue_refresh(struct view *v)
{
	struct queue_data *d = data_of(v);

	d->polled_ms = when_monotonic_ms();
	for (size_t i = 0; i < d->n; i++) {
		d->v[i].due = true;                        /* one reader per host, never overlapping */
		for (struct task *t = v->app->tasks; t != NULL; t = t->next)
			if (t->server == d->v[i].server && t->start == poll_start && t->view == v->serial && t->id == (int64_t)d->by)
				d->v[i].due = false;
	}
	poll_more(v);
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
		d->v[d->n++] = (struct queue_slot){ .server = l.v[i].id, .name = xstrdup(l.v[i].name) };
	}
	server_list_release(&l);
	d->by = QUEUE_BY_DESTINATION;
	queue_refresh(v);
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
	queue_groups_release(&d->groups);
	free(d->match);
	for (size_t i = 0; i < d->n_marks; i++)
		free(d->marks[i]);
	free(d->marks);
	free(d->selected);
	free(d->diagnosed);
	free(d->diagnosis_error);
	destination_view_release(&d->diagnosis);
	for (struct task *t; !v->app->closing && (t = task_of_view(v, NULL)) != NULL; ) {
		t->view = 0;
		if (!t->asks && strcmp(t->verb, "queue act") != 0)
			task_cancel(t);
	}
}

static void
queue_tick(struct view *v, int64_t now_ms)
{
	struct queue_data *d = data_of(v);

	if (v->app->top == v && !d->frozen && now_ms - d->polled_ms > EVERY_MS)
		queue_refresh(v);
	else
		poll_more(v);
}

/* --- diagnosis --- */

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
	memset(&d->diagnosis, 0, sizeof(d->diagnosis));
	str_init(&d->diagnosis.diagnosis.evidence, 0);
	xset(&d->diagnosis_error, NULL);
	d->diagnosis_at = when_now();
	d->pane_top = 0;
	if (rc == 0) {
		d->diagnosis = *(struct destination_view *)t->data;
		memset(t->data, 0, sizeof(d->diagnosis));
		str_init(&((struct destination_view *)t->data)->diagnosis.evidence, 0);
	} else {
		d->diagnosis_error = xasprintf("%s%s%s", e->text, e->hint[0] != '\0' ? "  Do: " : "", e->hint);
	}
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

static void
act_diagnose(struct view *v)
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

/* --- drawing --- */

static void
age(char out[16], int64_t since)
{
	when_ago(out, since > 0 ? when_now() - since : 0);
	if (since <= 0)
		strcpy(out, "-");
}

/* The last hour in twelve cells, relative to its own highest point. */
static void
trend(const struct view *v, const char *key, char out[TREND + 1])
{
	struct queue_point_list l = { NULL, 0 };
	int64_t now = when_now(), high = 1, cell[TREND] = { 0 };

	if (data_of(v)->by == QUEUE_BY_DESTINATION
	    && store_queue_points(v->app->st, queue_server_of(v, key), key, now - TREND_SPAN, &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++) {
			int64_t c = (l.v[i].at - (now - TREND_SPAN)) * TREND / TREND_SPAN;
			c = c < 0 ? 0 : c >= TREND ? TREND - 1 : c;
			if (l.v[i].messages > cell[c])
				cell[c] = l.v[i].messages;
			if (cell[c] > high)
				high = cell[c];
		}
	free(l.v);
	for (int i = 0; i < TREND; i++)
		out[i] = cell[i] == 0 ? '.' : " :|#"[cell[i] * 3 / high > 0 ? cell[i] * 3 / high : 1];
	out[TREND] = '\0';
}

static void
draw_group(struct view *v, struct area a, int y, const struct queue_group *g, bool sel)
{
	struct queue_data *d = data_of(v);
	struct str t = STR_INIT;
	char old[16], trend_text[TREND + 1];
	const char *reason = g->failure != NULL ? g->failure->title : g->deferred > 0 ? "unknown reason" : "on its way";
	bool tls = g->failure != NULL && g->failure->tls;

	age(old, g->oldest);
	str_addf(&t, "%s%s", sel ? "> " : "  ", queue_marked(d, g->key) ? "* " : "  ");
	if (a.w >= 90) {
		trend(v, g->key, trend_text);
		str_addf(&t, "%8lld  %9s  %s  %-24.24s  %s%s", (long long)g->messages, old, trend_text, clean(g->key), reason,
		    tls || g->failure == NULL ? "" : " (not TLS)");
	} else if (a.w >= 60) {
		str_addf(&t, "%6lld %8s  %-22.22s %s%s", (long long)g->messages, old, clean(g->key), reason,
		    tls || g->failure == NULL ? "" : " (not TLS)");
	} else {
		str_addf(&t, "%lld %.20s %s", (long long)g->messages, clean(g->key), reason);
	}
	draw_row(a, y, 0, 0, sel ? STYLE_SELECTED : tls ? STYLE_WARN : STYLE_NORMAL, t.s);
	str_release(&t);
}

static void
draw_groups(struct view *v, struct area a)
{
	struct queue_data *d = data_of(v);
	int y = 0;

	if (a.h > 3) {
		draw_put(a, y++, 0, 0, STYLE_LABEL, a.w >= 90 ?
		    "        msgs     oldest  last hour     where                     reason" : a.w >= 60 ?
		    "      msgs   oldest  where                  reason" : "    msgs where reason");
	}
	struct area rows = { a.y + y, a.x, a.h - y, a.w };
	d->rows = rows.h;
	list_fit(&d->list, rows.h);
	for (int i = 0; i < rows.h && d->list.top + (size_t)i < d->list.n; i++)
		draw_group(v, rows, i, nth(d, d->list.top + (size_t)i), d->list.top + (size_t)i == d->list.sel);
	if (d->list.n > 0)
		return;
	bool reading = task_of_view(v, "queue") != NULL, failed = false;
	for (size_t i = 0; i < d->n; i++) {
		struct str t = STR_INIT;
		if (d->v[i].error != NULL) {
			str_addf(&t, "! %s: %s", d->v[i].name, d->v[i].error);
			draw_put(rows, (int)i, 2, 0, STYLE_BAD, t.s);
			failed = true;
		}
		str_release(&t);
	}
	if (!failed)
		draw_put(rows, 0, 2, 0, STYLE_NORMAL, d->n == 0 ? "No server has been read yet." : reading ? "reading the queue ..." :
		    v->filter != NULL ? "Nothing matches." : "ok  Nothing waits.");
}

static void
cause_lines(const struct queue_data *d, const struct queue_group *g, const struct failure *f, int width, struct lines *l)
{
	struct str t = STR_INIT;
	bool live = d->diagnosed != NULL && strcmp(d->diagnosed, g->key) == 0 && d->diagnosis_at > 0 && d->diagnosis_error == NULL;

	if (f != NULL) {
		str_addf(&t, "%s%s   (sure: %s)", f->title, f->tls ? "" : "  (not TLS)",
		    live && d->diagnosis.diagnosis.confidence != NULL ? d->diagnosis.diagnosis.confidence : "low, from the queue alone");
		lines_wrap(l, STYLE_TITLE, width, 2, t.s);
		str_reset(&t);
		str_addf(&t, "%s (%s)", failure_side_name(f->side), f->name);
		lines_field(l, STYLE_NORMAL, width, "Side", t.s);
		if (!live)
			lines_field(l, STYLE_NORMAL, width, "Cause", f->explain);
	} else {
		lines_add(l, STYLE_TITLE, g->deferred > 0 ? "No class of failure fits this reason" : "Nothing is wrong so far: it is on its way");
	}
	if (live && d->diagnosis.level != NULL)
		lines_field(l, STYLE_NORMAL, width, "Our rule", d->diagnosis.level);
	if (!live)
		lines_field(l, STYLE_NORMAL, width, "Seen", g->reason);
	if (f != NULL)
		lines_field(l, STYLE_KEY, width, "Do", f->advice);
	str_release(&t);
}

static void
draw_pane(struct view *v, struct area a)
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
	cause_lines(d, g, f, a.w, &l);
	if (here && t != NULL) {
		lines_wrap(&l, STYLE_UNKNOWN, a.w, 2, t->text[0] != '\0' ? t->text : "testing from the mail host and from here ...");
	} else if (here && d->diagnosis_error != NULL) {
		lines_wrap(&l, STYLE_BAD, a.w, 2, d->diagnosis_error);
	} else if (here && d->diagnosis_at > 0) {
		age(ago, d->diagnosis_at);
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
		if (d->diagnosis.from_here.n > 0 || d->diagnosis.from_here.verdict != NULL)
			lines_add(&l, STYLE_TITLE, "From here");
		report_lines(&d->diagnosis.from_here, a.w, &l);
	} else if (d->by == QUEUE_BY_DESTINATION) {
		lines_add(&l, STYLE_KEY, "Enter tests it now, from the mail host and from here.");
	}
	d->pane_page = a.h;
	lines_draw(&l, a, &d->pane_top);
	if (d->pane_top + (size_t)a.h < l.n && a.h > 3)
		draw_put(a, a.h - 1, a.w > 24 ? a.w - 17 : 0, 0, STYLE_KEY, " more: Tab, PgDn ");
	lines_release(&l);
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
		draw_groups(v, top);
		draw_pane(v, rest);
		return;
	}
	int h = (int)d->list.n + 3, max = a.h / 2;
	h = h < 6 ? 6 : h;
	h = h > max ? max : h;
	struct area top = { a.y, a.x, h, a.w }, rest = { a.y + h, a.x, a.h - h, a.w };
	draw_groups(v, draw_box(top, title));
	draw_pane(v, draw_box(rest, queue_selected(v) != NULL ? queue_selected(v)->key : "Why"));
	v->page = d->rows;
}

/* --- actions --- */

static void
act_group(struct view *v)
{
	struct queue_data *d = data_of(v);

	d->by = d->by == QUEUE_BY_DESTINATION ? QUEUE_BY_REASON : d->by == QUEUE_BY_REASON ? QUEUE_BY_SENDER : QUEUE_BY_DESTINATION;
	for (size_t i = 0; i < d->n; i++) {
		queue_groups_release(&d->v[i].view.groups);
		memset(&d->v[i].view.groups, 0, sizeof(d->v[i].view.groups));
	}
	xset(&d->selected, NULL);
	while (d->n_marks > 0)
		free(d->marks[--d->n_marks]);
	regroup(v);
	queue_refresh(v);
}

static void
act_freeze(struct view *v)
{
	struct queue_data *d = data_of(v);

	d->frozen = !d->frozen;
	if (!d->frozen) {
		regroup(v);
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
	for (size_t i = 0; i < d->n_marks; i++)
		if (strcmp(d->marks[i], g->key) == 0) {
			free(d->marks[i]);
			d->marks[i] = d->marks[--d->n_marks];
			return;
		}
	d->marks = xrealloc(d->marks, d->n_marks + 1, sizeof(*d->marks));
	d->marks[d->n_marks++] = xstrdup(g->key);
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

static bool
on_destination(const struct view *v)
{
	return data_of(v)->by == QUEUE_BY_DESTINATION && queue_selected(v) != NULL;
}

static bool on_group(const struct view *v) { return queue_selected(v) != NULL; }

static const struct action queue_actions[] = {
	{ K_ENTER, "test the destination", "test", "Why does it wait: joins the queue's words, log lines and live looks.",
	  "mxseal diagnose SERVER DESTINATION", act_diagnose, on_destination, 0 },
	{ 't', "test again", "test", "The same as Enter.", "mxseal diagnose SERVER DESTINATION", act_diagnose, on_destination,
	  ACTION_QUIET },
	{ 'g', "group by", "group", "By destination, by reason, by sender.", "mxseal queue --group reason", act_group, NULL, 0 },
	{ ' ', "mark", "mark", "Marks the group; marks stay on their name when the list moves.", NULL, act_mark, on_group, 0 },
	{ 'w', "work around", "workaround", "Opens a work-around for this destination, filled in; nothing changes before a push.",
	  "mxseal workaround SERVER DOMAIN", act_workaround, on_destination, 0 },
	{ 'm', "route", "route", "Which way its mail takes, and what decides about TLS.", "mxseal route VS ADDRESS", act_route,
	  on_destination, ACTION_QUIET },
	{ 'v', "view messages", "messages", "Samples of the messages in this group.",
	  "mxseal queue messages SERVER --destination D", queue_act_view, on_destination, 0 },
	{ 'A', "act on messages", "act ...", "Retries, holds, releases or deletes the messages of the group, "
	  "after a question with their number.", "mxseal queue retry|hold|release|delete SERVER ID...", queue_act_on, on_destination,
	  ACTION_CHANGES },
	{ 'f', "freeze", "freeze", "Stops refreshing, so that the list stands still.", NULL, act_freeze, NULL, 0 },
	{ 'r', "read again", "refresh", "Reads the queues now.", "mxseal queue [SERVER]", queue_refresh, NULL, ACTION_QUIET },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

static bool
queue_key(struct view *v, int key)
{
	struct queue_data *d = data_of(v);

	key = key_command(key);
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
		age(ago, taken);
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
	.draw = queue_draw, .key = queue_key, .tick = queue_tick, .changed = regroup, .crumb = queue_crumb, .state = queue_state,
	.copy = queue_copy,
};
