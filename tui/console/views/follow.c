/* Following messages out. What waited for the destinations that a push changes something for is taken before it; when the push is kept, exactly
 * that is tried again, and here it is seen who leaves, who waits and for what. A push that is undone or fails sets nothing going. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define OFTEN_MS 2000
#define SELDOM_MS 10000
#define OFTEN 60                 /* seconds after the retry */

enum follow_state { FOLLOW_TAKES, FOLLOW_WAITS /* for the push */, FOLLOW_RETRIES, FOLLOW_LOOKS, FOLLOW_OVER, FOLLOW_FAILED };
struct follow_row {
	struct queue_follow f;
	char *name, *what, *error;       /* the host, the destinations */
	enum follow_state state;
	bool busy;                       /* a task of it runs */
	bool kept;                       /* the push was, while they were still being taken */
	bool gone;                       /* to be dropped as soon as nothing runs */
	int64_t next_ms, over_at;
};
struct follow_run { struct follow_row **v; size_t n; };

struct follow_data { struct list list; size_t top; };

static void
row_free(struct follow_row *r)
{
	queue_follow_release(&r->f);
	free(r->name);
	free(r->what);
	free(r->error);
	free(r);
}

void
follow_close(struct app *a)
{
	for (size_t i = 0; a->follow != NULL && i < a->follow->n; i++)
		row_free(a->follow->v[i]);
	if (a->follow != NULL)
		free(a->follow->v);
	free(a->follow);
	a->follow = NULL;
}

/* Rows that are done with go; the last one takes the run along. */
static void
sweep(struct app *a)
{
	struct follow_run *r = a->follow;
	size_t k = 0;

	for (size_t i = 0; r != NULL && i < r->n; i++)
		if (r->v[i]->gone && !r->v[i]->busy)
			row_free(r->v[i]);
		else
			r->v[k++] = r->v[i];
	if (r != NULL)
		r->n = k;
	if (r != NULL && k == 0)
		follow_close(a);
}

static bool
is_shown(const struct follow_row *r)
{
	return !r->gone && r->state >= FOLLOW_RETRIES;
}

bool
follow_goes_on(const struct app *a)
{
	for (size_t i = 0; a->follow != NULL && i < a->follow->n; i++)
		if (is_shown(a->follow->v[i]))
			return true;
	return false;
}

/* --- the verbs --- */

static void
row_task(struct app *a, struct follow_row *r, const char *verb, task_start_fn *start, task_end_fn *end)
{
	struct task t = { .verb = verb, .server = r->f.server, .start = start, .end = end, .data = r };

	r->busy = true;
	task_run(a, &t);
}

static int64_t
take_start(struct task *t, struct err *e)
{
	return queue_follow_take(t->app->j, &((struct follow_row *)t->data)->f, task_done, t, e);
}

static int64_t
retry_start(struct task *t, struct err *e)
{
	return queue_follow_retry(t->app->j, &((struct follow_row *)t->data)->f, task_done, t, e);
}

static int64_t
look_start(struct task *t, struct err *e)
{
	return queue_follow_look(t->app->j, &((struct follow_row *)t->data)->f, task_done, t, e);
}

static void
row_failed(struct app *a, struct follow_row *r, const char *what, const struct err *e)
{
	xset(&r->error, NULL);
	r->error = xasprintf("%s: %s", what, e->text);
	r->state = FOLLOW_FAILED;
	app_fail(a, e);
}

static void
retry_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct follow_row *r = t->data;

	(void)v;
	r->busy = false;
	if (rc != 0)
		row_failed(t->app, r, "They could not be tried again", e);
	else {
		r->state = FOLLOW_LOOKS;
		r->next_ms = when_monotonic_ms() + OFTEN_MS / 2;
	}
}

static void
set_going(struct app *a, struct follow_row *r)
{
	if (r->f.taken == 0) {
		r->gone = true;
		return;
	}
	r->state = FOLLOW_RETRIES;
	row_task(a, r, "retry", retry_start, retry_end);
	if (a->top->ops == &view_push_watch && !push_run_busy(a))
		view_push(a, &view_follow, NULL);
	else if (a->top->ops != &view_follow)
		app_say(a, STYLE_OK, "%s: %zu message%s for %s %s tried again; \"what leaves\" follows.", r->name, r->f.taken, r->f.taken == 1 ? "" : "s",
		    r->what, r->f.taken == 1 ? "is" : "are");
}

static void
take_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct follow_row *r = t->data;

	(void)v;
	r->busy = false;
	if (rc != 0) {
		app_say(t->app, STYLE_WARN, "! What waits on %s for %s could not be counted, so it will not be tried again: %s", r->name,
		    r->what, e->text);
		r->gone = true;
		return;
	}
	r->state = FOLLOW_WAITS;
	if (r->kept && !r->gone)
		set_going(t->app, r);
}

static void
look_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct follow_row *r = t->data;
	int64_t now = when_now();
	struct str said = STR_INIT;

	(void)v;
	r->busy = false;
	if (r->gone)
		return;
	xset(&r->error, rc == 0 ? NULL : e->text);
	r->next_ms = when_monotonic_ms() + (rc == 0 && now - r->f.retried_at < OFTEN ? OFTEN_MS : SELDOM_MS);
	if (rc != 0 || !queue_follow_over(&r->f))
		return;
	r->state = FOLLOW_OVER;
	r->over_at = now;
	queue_follow_say(&r->f, &said);
	app_say(t->app, STYLE_OK, "%s: %s.", r->name, said.s);
	str_release(&said);
}

void
follow_before(struct app *a, int64_t server, const char *name, bool waits)
{
	char **rows = queue_follow_destinations(a->j, server, waits);

	for (size_t i = 0; a->follow != NULL && i < a->follow->n; i++)   /* what came of an earlier push of this host */
		if (a->follow->v[i]->f.server == server)
			a->follow->v[i]->gone = true;
	for (size_t i = 0; rows[i] != NULL; i++) {
		struct follow_row *r = xcalloc(1, sizeof(*r));
		struct str what = STR_INIT;

		if (a->follow == NULL)
			a->follow = xcalloc(1, sizeof(*a->follow));
		r->f.server = server;
		r->f.destinations = xstrdup(rows[i]);
		r->name = xstrdup(name);
		queue_follow_name(&r->f, &what);
		r->what = str_take(&what);
		ARRAY_GROW(a->follow->v, a->follow->n);
		a->follow->v[a->follow->n++] = r;
		row_task(a, r, "count", take_start, take_end);
	}
	words_free(rows);
}

void
follow_after(struct app *a, int64_t server, bool kept)
{
	if (kept)
		(void)queue_follow_forget(a->j, server, NULL);
	for (size_t i = 0; a->follow != NULL && i < a->follow->n; i++) {
		struct follow_row *r = a->follow->v[i];

		if (r->f.server != server || r->gone || r->state > FOLLOW_WAITS)
			continue;
		r->kept = kept;
		if (!kept)
			r->gone = true;
		else if (r->state == FOLLOW_WAITS)
			set_going(a, r);
	}
}

void
follow_tick(struct app *a, int64_t now_ms)
{
	sweep(a);
	for (size_t i = 0; a->follow != NULL && i < a->follow->n; i++) {
		struct follow_row *r = a->follow->v[i];

		if (r->state == FOLLOW_LOOKS && !r->busy && !r->gone && now_ms >= r->next_ms)
			row_task(a, r, "follow", look_start, look_end);
	}
}

/* --- the view --- */

static struct follow_data *data_of(const struct view *v) { return v->data; }

static struct follow_row *
nth(const struct app *a, size_t k)
{
	for (size_t i = 0; a->follow != NULL && i < a->follow->n; i++)
		if (is_shown(a->follow->v[i]) && k-- == 0)
			return a->follow->v[i];
	return NULL;
}

static struct follow_row *selected(const struct view *v) { return nth(v->app, data_of(v)->list.sel); }

static const char *
state_word(const struct follow_row *r, enum style *s)
{
	*s = STYLE_NORMAL;
	if (r->state == FOLLOW_OVER) {
		*s = STYLE_OK;
		return "ok  all left";
	}
	if (r->state == FOLLOW_FAILED || r->error != NULL) {
		*s = STYLE_BAD;
		return "! no answer";
	}
	if (r->state == FOLLOW_RETRIES)
		return "being tried again";
	for (size_t i = 0; i < r->f.n; i++)
		if (r->f.v[i].fresh) {
			*s = STYLE_WARN;
			return "! new reason";
		}
	return r->f.looked_at == 0 ? "looking ..." : r->f.trying > 0 ? "being tried" : "still waiting";
}

static void
draw_rows(struct view *v, struct area a)
{
	struct follow_data *d = data_of(v);
	bool wide = a.w >= 64;
	int y = 0;

	if (a.h >= 2)
		draw_put(a, y++, 0, 0, STYLE_LABEL, wide ? "  destination          server        stuck   left  waits" :
		    "  destination      stuck  left");
	struct area rows = { a.y + y, a.x, a.h - y, a.w };
	d->list.n = 0;
	while (nth(v->app, d->list.n) != NULL)
		d->list.n++;
	list_fit(&d->list, rows.h);
	for (int i = 0; i < rows.h && d->list.top + (size_t)i < d->list.n; i++) {
		size_t k = d->list.top + (size_t)i;
		const struct follow_row *r = nth(v->app, k);
		const char *mark = k == d->list.sel ? "> " : "  ";
		enum style s;
		const char *word = state_word(r, &s);
		struct str t = STR_INIT;

		str_add(&t, mark);
		draw_add(&t, r->what, wide ? 20 : 16);
		if (wide) {
			str_addc(&t, ' ');
			draw_add(&t, r->name, 12);
			str_addf(&t, " %6zu %6zu %6zu  %s", r->f.taken, r->f.left, r->f.taken - r->f.left, word);
		} else {
			str_addf(&t, " %5zu %5zu %s", r->f.taken, r->f.left, word);
		}
		draw_row(rows, i, 0, 0, k == d->list.sel && d->list.n > 1 ? STYLE_SELECTED : s, t.s);
		str_release(&t);
	}
	if (d->list.n == 0)
		draw_put(rows, 0, 2, 0, STYLE_NORMAL, "Nothing is followed.");
}

static void
row_lines(const struct follow_row *r, int width, struct lines *l)
{
	struct str t = STR_INIT;
	int64_t now = when_now();
	char ago[16], clock[32];

	str_add(&t, r->state == FOLLOW_OVER ? "ok  " : "");
	queue_follow_say(&r->f, &t);
	if (r->state == FOLLOW_OVER) {
		when_ago(ago, r->over_at - r->f.retried_at);
		str_addf(&t, ", within %s", ago);
	}
	str_addc(&t, '.');
	lines_wrap(l, r->state == FOLLOW_OVER ? STYLE_OK : STYLE_TITLE, width, 4, t.s);
	if (r->error != NULL) {
		str_reset(&t);
		str_addf(&t, "! %s", r->error);
		lines_wrap(l, STYLE_BAD, width, 2, t.s);
	}
	for (size_t i = 0; i < r->f.n; i++) {
		str_reset(&t);
		str_addf(&t, "%zu %s: ", r->f.v[i].n, r->f.v[i].fresh ? "for a NEW reason" : "for the reason of before");
		str_addf(&t, "%s%s", r->f.v[i].failure != NULL ? r->f.v[i].failure->title : "", r->f.v[i].failure != NULL ? ". " : "");
		str_add(&t, r->f.v[i].reason);
		lines_wrap(l, r->f.v[i].fresh ? STYLE_WARN : STYLE_NORMAL, width, 2, t.s);
	}
	when_rfc3339(clock, r->f.taken_at);
	str_reset(&t);
	str_addf(&t, "%zu message%s at %.8s UTC, before the push was kept", r->f.taken, r->f.taken == 1 ? "" : "s", clock + 11);
	lines_field(l, STYLE_NORMAL, width, "Taken", t.s);
	when_rfc3339(clock, r->f.retried_at);
	str_reset(&t);
	str_addf(&t, "at %.8s UTC, exactly these by their queue ids", clock + 11);
	if (r->f.acted.gone > 0)
		str_addf(&t, "; %zu had left before", r->f.acted.gone);
	lines_field(l, STYLE_NORMAL, width, "Tried", t.s);
	if (r->f.looked_at > 0) {
		when_ago(ago, now - r->f.looked_at);
		str_reset(&t);
		str_addf(&t, "%s ago%s", ago, r->state == FOLLOW_LOOKS ? "; goes on by itself until all have left" : "");
		lines_field(l, STYLE_NORMAL, width, "Looked", t.s);
	}
	if (r->state == FOLLOW_OVER)
		lines_wrap(l, STYLE_NORMAL, width, 0, "They left the queue: delivered, or returned to their senders. The host's log says which.");
	str_release(&t);
}

static void
follow_draw(struct view *v, struct area a)
{
	struct follow_data *d = data_of(v);
	int rows = 1;
	struct lines l = { NULL, 0 };

	while (rows < 6 && nth(v->app, (size_t)rows) != NULL)
		rows++;
	bool boxes = a.h >= 12 && a.w >= 40;
	struct area top = { a.y, a.x, boxes ? rows + 3 : a.h >= 5 ? 2 : 1, a.w };
	struct area rest = { a.y + top.h, a.x, a.h - top.h, a.w };
	draw_rows(v, boxes ? draw_box(top, "What was stuck before the push") : top);
	const struct follow_row *r = selected(v);
	if (r == NULL || rest.h < 1)
		return;
	struct area in = boxes ? draw_box(rest, r->what) : rest;
	row_lines(r, in.w, &l);
	v->page = in.h;
	lines_draw(&l, in, &d->top);
	lines_release(&l);
}

static bool
follow_key(struct view *v, int key)
{
	struct follow_data *d = data_of(v);

	key = key_command(key);
	if (key == K_PGUP || key == K_PGDN)
		return lines_key(&d->top, key, v->page);
	if (!list_key(&d->list, key, 1))
		return false;
	d->top = 0;
	return true;
}

/* Who leaves it has seen enough. */
static void
follow_view_close(struct view *v)
{
	struct app *a = v->app;

	for (size_t i = 0; !a->closing && a->follow != NULL && i < a->follow->n; i++)
		if (is_shown(a->follow->v[i]))
			a->follow->v[i]->gone = true;
}

static void
act_queue(struct view *v)
{
	struct follow_row *r = selected(v);
	struct queue_arg arg = { .server = r->f.server, .destination = queue_follow_only(&r->f) };

	view_push(v->app, &view_queue, &arg);
}

static void
act_look(struct view *v)
{
	struct follow_row *r = selected(v);

	r->next_ms = 0;
}

static bool any(const struct view *v) { return selected(v) != NULL; }

static void
follow_crumb(const struct view *v, struct str *out)
{
	size_t taken = 0, left = 0;
	const struct follow_row *r;

	for (size_t k = 0; (r = nth(v->app, k)) != NULL; k++) {
		taken += r->f.taken;
		left += r->f.left;
	}
	str_addf(out, "What leaves  %zu of %zu have left", left, taken);
}

static void
follow_copy(const struct view *v, bool command, struct str *out)
{
	const struct follow_row *r = selected(v);

	if (r == NULL)
		return;
	if (command && queue_follow_only(&r->f) != NULL) {
		str_addf(out, "mxseal queue messages %s --destination ", r->name);
		str_add_word(out, queue_follow_only(&r->f));
	} else if (command)
		str_addf(out, "mxseal queue %s", r->name);
	else
		queue_follow_say(&r->f, out);
}

static const struct action follow_actions[] = {
	{ K_ENTER, "its queue", "queue", "The queue at this destination, and from there why what is left still waits.",
	  "mxseal queue messages SERVER --destination D", act_queue, any, 0 },
	{ 'r', "look again", "look now", "Looks now; it does by itself every few seconds.", NULL, act_look, any, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_follow = {
	.name = "follow", .title = "What leaves",
	.about = "What waited for the destinations that a push changes something for was taken before it was kept and then tried again: exactly these "
	    "messages, by their queue ids. Here it is seen who has left, who still waits and for what. Esc ends it; the mail goes on by itself.",
	.state_size = sizeof(struct follow_data), .actions = follow_actions, .close = follow_view_close, .draw = follow_draw, .key = follow_key,
	.crumb = follow_crumb, .copy = follow_copy,
};
