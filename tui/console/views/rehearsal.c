/* What if more were required: whose mail would fail at a level of outbound security, or who would be shut out by a requirement of
 * senders. Exceptions are marked here and kept as connectors; nothing on it changes a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

enum sorting { BY_OUTCOME, BY_MESSAGES, BY_NAME, SORTINGS };

struct rehearsal_data {
	int64_t server, vserver;         /* inbound, whose senders */
	char *name;                      /* of the server */
	struct listener_log log;         /* of vserver */
	bool inbound;
	char *level;
	char *error;
	int64_t at;                      /* of the rehearsal that order and marks belong to, 0 none */
	size_t *order;                   /* rows that are shown: indices of peers */
	bool *marked;                    /* per peer: to be excepted */
	enum sorting sorting;
	struct list list;
	size_t top;
};

static struct rehearsal_data *data_of(const struct view *v) { return v->data; }

static const struct rehearsal *
rehearsal_of(const struct view *v)
{
	const struct rehearsal_data *d = data_of(v);

	return rehearsal_kept(v->app->j, d->server, d->inbound ? d->log.service : NULL, d->inbound, d->level);
}

/* Of whom or what it is. */
static const char *
subject_of(const struct view *v)
{
	const struct rehearsal_data *d = data_of(v);

	return d->inbound && d->log.name != NULL ? d->log.name : d->name;
}

static const struct rehearsed *
selected(const struct view *v)
{
	const struct rehearsal_data *d = data_of(v);
	const struct rehearsal *r = rehearsal_of(v);

	return r != NULL && d->order != NULL && d->list.sel < d->list.n ? &r->v[d->order[d->list.sel]] : NULL;
}

static bool
can_be_excepted(const struct rehearsed *p)
{
	return p->outcome == REHEARSED_FAILS && p->works != NULL;
}

/* --- order --- */

static int
rank(const struct rehearsed *p)
{
	return p->outcome == REHEARSED_FAILS ? 0 : p->outcome == REHEARSED_UNSURE ? 1 : 2;
}

struct sorting_by { const struct rehearsal *r; enum sorting sorting; };

static int
compare(const void *x, const void *y, void *arg)
{
	const struct sorting_by *by = arg;
	const struct rehearsed *a = &by->r->v[*(const size_t *)x], *b = &by->r->v[*(const size_t *)y];

	if (by->sorting == BY_OUTCOME && rank(a) != rank(b))
		return rank(a) - rank(b);
	if (by->sorting != BY_NAME && a->messages != b->messages)
		return a->messages > b->messages ? -1 : 1;
	return strcmp(a->peer, b->peer);
}

static bool
is_shown(const struct view *v, const struct rehearsed *p)
{
	char *row = xasprintf("%s %s %s", p->peer, rehearsed_outcome(p), p->why ? p->why : "");
	bool match = v->filter == NULL || match_words(row, v->filter);

	free(row);
	return match;
}

/* What the log calls the listener may be known otherwise since the host was read again. */
static void
take_listener(struct view *v)
{
	struct rehearsal_data *d = data_of(v);
	struct listener_log now;

	if (listener_log(v->app->j, d->server, d->vserver, &now, NULL) == -1)
		return;
	listener_log_release(&d->log);
	d->log = now;
}

static void
arrange(struct view *v)
{
	struct rehearsal_data *d = data_of(v);
	const struct rehearsal *r;
	struct sorting_by by;

	take_listener(v);
	r = rehearsal_of(v);
	by = (struct sorting_by){ r, d->sorting };
	d->list.n = v->shown = v->total = 0;
	if (r == NULL)
		return;
	if (d->at != r->at) {
		free(d->order);
		free(d->marked);
		d->order = xcalloc(r->n + 1, sizeof(*d->order));
		d->marked = xcalloc(r->n + 1, sizeof(*d->marked));
		for (size_t i = 0; i < r->n; i++)
			d->marked[i] = can_be_excepted(&r->v[i]);
		d->at = r->at;
		d->list.sel = d->top = 0;
	}
	for (size_t i = 0; i < r->n; i++)
		if (is_shown(v, &r->v[i]))
			d->order[d->list.n++] = i;
	qsort_r(d->order, d->list.n, sizeof(*d->order), compare, &by);
	v->shown = d->list.n;
	v->total = r->n;
	if (d->list.sel >= d->list.n)
		d->list.sel = 0;
}

/* --- asking --- */

static int64_t
rehearse_start(struct task *t, struct err *e)
{
	struct view *v = view_by_serial(t->app, t->view);

	if (v == NULL)
		return err_set(e, RC_CANCELLED, "the view was closed");
	struct rehearse_ask ask = { .inbound = data_of(v)->inbound, .vserver = data_of(v)->vserver, .level = data_of(v)->level, .days = REHEARSE_DAYS };
	return rehearse(t->app->j, t->server, &ask, NULL, task_done, t, e);
}

static void
rehearse_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	(void)t;
	if (v == NULL)
		return;
	xset(&data_of(v)->error, NULL);
	if (rc != 0)
		data_of(v)->error = xasprintf("%s%s%s", e->text, e->hint[0] != '\0' ? "  Do: " : "", e->hint);
	data_of(v)->at = 0;
	arrange(v);
}

static void
run(struct view *v)
{
	struct task t = { .verb = "rehearse", .server = data_of(v)->server, .view = v->serial, .start = rehearse_start, .end = rehearse_end };

	if (task_of_view(v, NULL) == NULL)
		task_run(v->app, &t);
}

static void
rehearse_if_old(struct view *v)
{
	const struct rehearsal *r;

	take_listener(v);
	r = rehearsal_of(v);
	data_of(v)->at = 0;
	if (r == NULL || r->at < when_now() - REHEARSAL_GOOD)
		run(v);
	arrange(v);
}

static int
rehearsal_open(struct view *v, const void *p, struct err *e)
{
	const struct rehearsal_arg *arg = p;
	struct rehearsal_data *d = data_of(v);
	struct server s = { 0 };

	if (store_server_get(v->app->st, arg->server, &s, e) != 0)
		return -1;
	d->server = arg->server;
	d->vserver = arg->vserver;
	d->inbound = arg->inbound;
	d->name = xstrdup(s.name);
	d->level = xstrdup(arg->level);
	server_release(&s);
	rehearse_if_old(v);
	return 0;
}

static void
rehearsal_close(struct view *v)
{
	struct rehearsal_data *d = data_of(v);
	struct task *t = v->app->closing ? NULL : task_of_view(v, NULL);

	if (t != NULL)
		task_cancel(t);
	free(d->name);
	listener_log_release(&d->log);
	free(d->level);
	free(d->error);
	free(d->order);
	free(d->marked);
}

/* --- drawing --- */

static void
draw_one(struct view *v, struct area in, int y, size_t i)
{
	const struct rehearsal_data *d = data_of(v);
	const struct rehearsed *p = &rehearsal_of(v)->v[d->order[i]];
	enum style s = i == d->list.sel ? STYLE_SELECTED : p->outcome == REHEARSED_FAILS ? STYLE_BAD : p->outcome == REHEARSED_UNSURE
	    ? STYLE_UNKNOWN : STYLE_NORMAL;
	int works = d->inbound ? 0 : 10, wide = in.w >= 60 ? 8 : 0, name = in.w - 4 - 9 - 8 - works - wide;
	const char *mark = d->marked[d->order[i]] ? "*" : p->excepted ? "=" : " ";

	draw_row(in, y, 0, 0, s, i == d->list.sel ? ">" : "");
	draw_put(in, y, 2, 1, s, mark);
	draw_put(in, y, 4, name > 1 ? name - 1 : 1, s, p->peer);
	draw_put(in, y, 4 + name, 8, s, rehearsed_outcome(p));
	draw_putf(in, y, 4 + name + 9, s, "%7lld", (long long)p->per_week);
	if (works > 0)
		draw_put(in, y, 4 + name + 18, 9, s, p->works ? p->works : p->outcome == REHEARSED_FAILS ? "nothing" : "");
	if (wide > 0)
		draw_put(in, y, in.w - wide, wide, s, p->confidence);
}

static void
draw_list(struct view *v, struct area in)
{
	struct rehearsal_data *d = data_of(v);
	const struct task *t = task_of_view(v, "rehearse");
	int works = d->inbound ? 0 : 10, wide = in.w >= 60 ? 8 : 0, name = in.w - 4 - 9 - 8 - works - wide;

	if (d->list.n == 0) {
		draw_put(in, 0, 0, 0, STYLE_NORMAL, t != NULL ? *t->text != '\0' ? t->text : "reading the mail log" : d->error != NULL ? d->error
		    : v->filter != NULL ? "Nothing matches." : "The log tells of nobody.");
		return;
	}
	draw_put(in, 0, 4, name - 1, STYLE_LABEL, d->inbound ? "sender" : "destination");
	draw_put(in, 0, 4 + name, 8, STYLE_LABEL, "then");
	draw_put(in, 0, 4 + name + 10, 7, STYLE_LABEL, "a week");
	if (works > 0)
		draw_put(in, 0, 4 + name + 18, 9, STYLE_LABEL, "works at");
	if (wide > 0)
		draw_put(in, 0, in.w - wide, wide, STYLE_LABEL, "sure");
	v->page = in.h - 1;
	list_fit(&d->list, in.h - 1);
	for (int y = 1; y < in.h && d->list.top + (size_t)(y - 1) < d->list.n; y++)
		draw_one(v, in, y, d->list.top + (size_t)(y - 1));
}

static void
draw_details(struct view *v, struct area a)
{
	const struct rehearsal *r = rehearsal_of(v);
	const struct rehearsed *p = selected(v);
	struct lines l = { NULL, 0 };
	int64_t bad, messages;

	if (p != NULL) {
		lines_field(&l, STYLE_KEY, a.w, data_of(v)->inbound ? "Sender" : "Mail for", p->peer);
		lines_field(&l, STYLE_NORMAL, a.w, "Then", p->why);
		lines_field(&l, STYLE_NORMAL, a.w, "Now", p->now);
		lines_field(&l, STYLE_NORMAL, a.w, "By", p->hop);
		if (p->excepted)
			lines_wrap(&l, STYLE_NORMAL, a.w, 0, "A connector of ours decides about it already.");
	}
	if (r != NULL) {
		rehearsal_sum(r, REHEARSED_FAILS, &bad, &messages);
		lines_addf(&l, STYLE_LABEL, "Of %lld %s %lld would fail.", (long long)r->peers, r->inbound ? "senders" : "destinations", (long long)bad);
		if (r->unseen > 0)
			lines_addf(&l, STYLE_UNKNOWN, "%lld with the fewest messages were not looked at.", (long long)r->unseen);
		lines_wrap(&l, STYLE_LABEL, a.w, 0, r->counted);
		lines_wrap(&l, STYLE_UNKNOWN, a.w, 0, r->missing);
		if (r->inbound && !r->tls_seen && r->messages > 0)
			lines_wrap(&l, STYLE_UNKNOWN, a.w, 0, "No line of the log tells of TLS: nobody used it, or it was not offered, or it is not logged (log.tls).");
	}
	lines_draw(&l, a, &data_of(v)->top);
	lines_release(&l);
}

static void
rehearsal_draw(struct view *v, struct area a)
{
	bool framed = a.h >= 10 && a.w >= 30;
	int below = a.h >= 16 ? 8 : a.h >= 7 ? 3 : 0;
	struct area top = { a.y, a.x, a.h - below, a.w }, rest = { a.y + a.h - below, a.x, below, a.w };
	char *title = xasprintf("If %s were %s for %s", data_of(v)->level, data_of(v)->inbound ? "required of senders" : "the level of outbound security",
	    subject_of(v));

	draw_list(v, framed ? draw_box(top, title) : top);
	if (below > 0)
		draw_details(v, below >= 5 && framed ? draw_box(rest, "Details") : rest);
	free(title);
}

/* --- actions --- */

static bool can_mark(const struct view *v) { return selected(v) != NULL && can_be_excepted(selected(v)); }

static bool
any_marked(const struct view *v)
{
	const struct rehearsal *r = rehearsal_of(v);

	for (size_t i = 0; r != NULL && data_of(v)->marked != NULL && i < r->n; i++)
		if (data_of(v)->marked[i])
			return true;
	return false;
}

static void
act_mark(struct view *v)
{
	struct rehearsal_data *d = data_of(v);
	bool *mark = &d->marked[d->order[d->list.sel]];

	*mark = !*mark;
	if (d->list.sel + 1 < d->list.n)
		d->list.sel++;
}

static void
act_take(struct view *v)
{
	struct rehearsal_data *d = data_of(v);
	const struct rehearsal *r = rehearsal_of(v);
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };

	if (rehearsal_take(v->app->j, d->server, r, d->marked, &said, &e) != 0)
		app_fail(v->app, &e);
	else {
		said.s[strcspn(said.s, "\n")] = '\0';
		app_say(v->app, STYLE_OK, "%s A push carries it, before or together with the level.", clean(said.s));
		memset(d->marked, 0, r->n * sizeof(*d->marked));
	}
	str_release(&said);
}

static void
act_sort(struct view *v)
{
	static const char *const names[] = { "by what becomes of it", "by messages", "by name" };
	struct rehearsal_data *d = data_of(v);

	d->sorting = (d->sorting + 1) % SORTINGS;
	arrange(v);
	app_say(v->app, STYLE_NORMAL, "Sorted %s.", names[d->sorting]);
}

static void
level_chosen(struct app *a, struct view *v, size_t index, const char *name)
{
	(void)a, (void)index;
	if (v == NULL || task_of_view(v, NULL) != NULL)
		return;
	data_of(v)->inbound = text_starts(name, "in ");
	xset(&data_of(v)->level, strchr(name, ' ') + 1);
	rehearse_if_old(v);
}

static void
act_level(struct view *v)
{
	static const char *const names[][2] = {
		{ "out encrypt", "send: encrypt" }, { "out verify", "send: verify" }, { "out secure", "send: secure" }, { "out dane", "send: dane" },
		{ "out dane-only", "send: dane-only" }, { "out may", "send: may" }, { "in require", "senders: TLS" }, { "in tls1.2", "senders: TLS 1.2 or none" },
		{ "in require,tls1.2", "senders: TLS 1.2" }, { "in tls1.3", "senders: TLS 1.3 or none" }, { "in require,tls1.3", "senders: TLS 1.3" },
	};
	struct choice_list l = { NULL, 0 };
	char *now = xasprintf("%s %s", data_of(v)->inbound ? "in" : "out", data_of(v)->level);
	struct chooser_arg arg = { .title = "If this were required", .list = &l, .current = now, .v = v, .fn = level_chosen };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		choice_list_add(&l, names[i][0], names[i][1]);
	view_push(v->app, &view_chooser, &arg);
	choice_list_release(&l);
	free(now);
}

static bool
is_idle(const struct view *v)
{
	return task_of_view(v, NULL) == NULL;
}

static bool
rehearsal_key(struct view *v, int key)
{
	if (!list_key(&data_of(v)->list, key_command(key), v->page))
		return false;
	data_of(v)->top = 0;
	return true;
}

static void
rehearsal_crumb(const struct view *v, struct str *out)
{
	str_addf(out, "Rehearsal %s", subject_of(v));
}

static void
rehearsal_state(const struct view *v, struct str *out)
{
	const struct rehearsal *r = rehearsal_of(v);
	char ago[16];

	if (!is_idle(v))
		str_add(out, "looking");
	else if (r != NULL) {
		when_ago(ago, when_now() - r->at);
		str_addf(out, "%s ago", ago);
	}
}

static void
rehearsal_copy(const struct view *v, bool command, struct str *out)
{
	if (command) {
		str_add(out, "mxseal rehearse ");
		str_add_word(out, subject_of(v));          /* what the host calls a listener */
		str_addf(out, " --%s %s", data_of(v)->inbound ? "inbound" : "outbound", data_of(v)->level);
	} else if (selected(v) != NULL) {
		str_add(out, selected(v)->peer);
	}
}

static const struct action rehearsal_actions[] = {
	{ ' ', "mark", "mark", "Marks what is to be excepted: those that fail, but would take mail at a lower level.", NULL, act_mark, can_mark, 0 },
	{ 'x', "take the exceptions", "except", "Keeps connectors for the marked ones (*) at the level that works; a push carries them.",
	  "mxseal rehearse SERVER --outbound LEVEL --take", act_take, any_marked, 0 },
	{ 'o', "another requirement", "other", "Another level of outbound security, or a requirement of senders.", "mxseal rehearse VS --inbound require",
	  act_level, is_idle, 0 },
	{ 's', "sort", "sort", "By what becomes of it, by messages, by name.", NULL, act_sort, NULL, 0 },
	{ 'r', "again", "again", "Reads the log and looks at the destinations again.", NULL, run, is_idle, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_rehearsal = {
	.name = "rehearsal", .title = "Rehearsal", .finds = true,
	.about = "Whose mail would fail if more were required, from the host's own log, and by looking at each destination from the host. * is to "
	    "be excepted, = has a connector of ours already. Of senders the log alone speaks.",
	.state_size = sizeof(struct rehearsal_data), .actions = rehearsal_actions, .open = rehearsal_open, .close = rehearsal_close,
	.draw = rehearsal_draw, .key = rehearsal_key, .changed = arrange, .crumb = rehearsal_crumb, .state = rehearsal_state, .copy = rehearsal_copy,
};
