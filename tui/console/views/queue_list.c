/* The upper half of the queue view: groups with their last hour, what the selected one is made of, what is marked. Trends come
 * from the store, so they were there before the view was opened, and a few at a time, in between: drawing does not wait for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/queue.h"

#define FRESH 60                 /* seconds that a trend is shown before it is read again */
#define TRENDS 256               /* that are kept */
#define ROWS 100                 /* of the store that are read between two looks at the clock */

static const char *const groupings[] = { "destination", "reason", "sender", "server" };

static void
reading_forget(struct queue_reading *r)
{
	free(r->key);
	free(r->cells.v);
	*r = (struct queue_reading){ .key = NULL };
}

void
queue_trends_forget(struct queue_data *d)
{
	while (d->n_trends > 0)
		free(d->trends[--d->n_trends].key);
	reading_forget(&d->reading);
}

/* The cells of key, a few rows at a time; true: there is more. Begun anew when another key is asked for. server 0: of all. */
static bool
read_some(struct view *v, int64_t server, const char *grouping, const char *key, int64_t first, int64_t until_ms)
{
	struct queue_data *d = v->data;
	struct queue_reading *r = &d->reading;
	int more;

	if (r->key == NULL || strcmp(r->key, key) != 0 || r->walk.grouping != grouping || r->of != server || r->walk.since != first) {
		reading_forget(r);
		r->key = xstrdup(key);
		r->of = server;
		r->walk = (struct queue_cells_walk){ .grouping = grouping, .key = r->key, .span = QUEUE_CELL, .since = first };
	}
	if (server != 0) {
		free(r->cells.v);
		(void)store_queue_cells(v->app->st, server, grouping, key, QUEUE_CELL, first, &r->cells, NULL);
		return false;
	}
	while ((more = store_queue_cells_some(v->app->st, &r->walk, ROWS, &r->cells, NULL)) == 1)
		if (when_monotonic_ms() >= until_ms)
			return true;
	return false;
}

/* In which cells anybody looked there; kept, since it is the same for all rows. True: there is more to read. */
static bool
watched_some(struct view *v, int64_t server, int64_t first, int64_t until_ms)
{
	struct queue_data *d = v->data;

	if (d->watched_server == server && d->watched_first == first && when_now() - d->watched_at < FRESH)
		return false;
	if (read_some(v, server, groupings[QUEUE_BY_SERVER], "", first, until_ms))
		return true;
	memset(d->watched, 0, sizeof(d->watched));
	for (size_t i = 0; i < d->reading.cells.n; i++)
		if (d->reading.cells.v[i].at < first + QUEUE_TREND * QUEUE_CELL)
			d->watched[(d->reading.cells.v[i].at - first) / QUEUE_CELL] = true;
	d->watched_server = server;
	d->watched_first = first;
	d->watched_at = when_now();
	reading_forget(&d->reading);
	return false;
}

/* The last hour in twelve cells, relative to its own highest point; a blank where nobody looked. True: there is more to read. */
static bool
trend_some(struct view *v, const char *key, int64_t until_ms, char out[QUEUE_TREND + 1])
{
	struct queue_data *d = v->data;
	int64_t server = d->by == QUEUE_BY_SERVER ? queue_server_of(v, key) : d->n == 1 ? d->v[0].server : 0;
	int64_t now = when_now(), high = 1, own[QUEUE_TREND] = { 0 };
	int64_t first = now - now % QUEUE_CELL - (QUEUE_TREND - 1) * QUEUE_CELL;
	const struct queue_cell_list *cells = &d->reading.cells;

	if (watched_some(v, server, first, until_ms)
	    || read_some(v, server, groupings[d->by], d->by == QUEUE_BY_SERVER ? "" : key, first, until_ms))
		return true;
	for (size_t i = 0; i < cells->n; i++) {
		if (cells->v[i].at < first + QUEUE_TREND * QUEUE_CELL)
			own[(cells->v[i].at - first) / QUEUE_CELL] = cells->v[i].messages;
		if (cells->v[i].messages > high)
			high = cells->v[i].messages;
	}
	for (size_t i = 0; i < QUEUE_TREND; i++)
		out[i] = !d->watched[i] ? ' ' : own[i] == 0 ? '.' : ":|#"[own[i] * 3 > high * 2 ? 2 : own[i] * 3 > high ? 1 : 0];
	out[QUEUE_TREND] = '\0';
	reading_forget(&d->reading);
	return false;
}

static struct queue_trend *
trend_find(struct queue_data *d, const char *key)
{
	for (size_t i = 0; i < d->n_trends; i++)
		if (strcmp(d->trends[i].key, key) == 0)
			return &d->trends[i];
	return NULL;
}

static const char *
trend(struct queue_data *d, const char *key)
{
	const struct queue_trend *t = trend_find(d, key);

	return t != NULL ? t->cells : "            ";
}

bool
queue_trends_some(struct view *v, int64_t until_ms)
{
	struct queue_data *d = v->data;
	char cells[QUEUE_TREND + 1];

	for (size_t i = d->list.top; i < d->list.n && i < d->list.top + (size_t)d->rows; i++) {
		const char *key = d->groups.v[d->match[i]].key;
		struct queue_trend *t = trend_find(d, key);

		if (t != NULL && when_now() - t->at < FRESH)
			continue;
		if (when_monotonic_ms() >= until_ms || trend_some(v, key, until_ms, cells))
			return true;
		if (t == NULL && d->n_trends == TRENDS)
			queue_trends_forget(d);
		if (t == NULL) {
			t = &d->trends[d->n_trends++];
			t->key = xstrdup(key);
		}
		t->at = when_now();
		memcpy(t->cells, cells, sizeof(cells));
		v->app->dirty = true;
	}
	return false;
}

void
queue_size(char out[16], int64_t bytes)
{
	static const char units[] = "kMGT";
	double n = (double)bytes / 1024;
	size_t i = 0;

	for (; n >= 1000 && units[i + 1] != '\0'; i++)
		n /= 1024;
	if (bytes < 1000)
		snprintf(out, 16, "%lld B", (long long)bytes);
	else
		snprintf(out, 16, n < 10 ? "%.1f %cB" : "%.0f %cB", n, units[i]);
}

static void
until(char out[16], int64_t at)
{
	if (at <= 0)
		strcpy(out, "-");
	else if (at <= when_now())
		strcpy(out, "now");
	else
		when_ago(out, at - when_now());
}

/* Cells of what it is grouped by: a reason is a sentence, and what it means is said below as well. */
static int
key_cells(const struct queue_data *d, int width)
{
	return (width >= 104 ? 24 : width >= 70 ? 17 : 20) + (d->by == QUEUE_BY_REASON && width >= 56 ? 12 : 0);
}

static void
draw_group(struct view *v, struct area a, int y, const struct queue_group *g, bool sel)
{
	struct queue_data *d = v->data;
	struct str t = STR_INIT;
	char old[16], next[16], size[16];
	const char *reason = g->failure != NULL ? g->failure->title : g->deferred > 0 ? "unknown reason"
	    : g->states[QUEUE_HOLD] > 0 && g->states[QUEUE_HOLD] == g->messages ? "on hold" : "on its way";
	bool tls = g->failure != NULL && g->failure->tls;
	const char *not_tls = tls || g->failure == NULL ? "" : " (not TLS)";
	int cells = key_cells(d, a.w);

	queue_age(old, g->oldest);
	until(next, g->next_retry);
	queue_size(size, g->bytes);
	str_addf(&t, "%s%s", sel ? "> " : "  ", queue_marked(d, g->key) ? "* " : "  ");
	if (a.w >= 104)
		str_addf(&t, "%8lld %8s  %s %8s %8s  ", (long long)g->messages, old, trend(d, g->key), next, size);
	else if (a.w >= 70)
		str_addf(&t, "%6lld %7s  %s  ", (long long)g->messages, old, trend(d, g->key));
	else if (a.w >= 56)
		str_addf(&t, "%6lld %7s  ", (long long)g->messages, old);
	else
		str_addf(&t, "%lld ", (long long)g->messages);
	if (a.w < 56 && draw_width(g->key) < cells)
		cells = draw_width(g->key);
	draw_add(&t, g->key, cells);
	str_addf(&t, " %s%s", reason, a.w >= 70 ? not_tls : "");
	draw_row(a, y, 0, 0, sel ? STYLE_SELECTED : tls ? STYLE_WARN : STYLE_NORMAL, t.s);
	str_release(&t);
}

/* What the selected group is made of: states, ages, next attempt, size. */
static void
draw_made_of(struct area a, const struct queue_group *g)
{
	struct str t = STR_INIT;
	char next[16], size[16];
	size_t i;

	until(next, g->next_retry);
	queue_size(size, g->bytes);
	for (i = 0; i < QUEUE_STATES; i++)
		if (g->states[i] > 0)
			str_addf(&t, "%s%lld %s", t.len > 0 ? ", " : "", (long long)g->states[i], queue_state_names[i]);
	str_add(&t, "; age");
	for (i = 0; i < QUEUE_AGES; i++)
		if (g->ages[i] > 0)
			str_addf(&t, " %s%s: %lld", i + 1 < QUEUE_AGES ? "<" : "", queue_ages[i].name, (long long)g->ages[i]);
	str_addf(&t, "; %s", size);
	if (g->next_retry > 0)
		str_addf(&t, "; next try %s%s", strcmp(next, "now") == 0 ? "" : "in ", next);
	draw_put(a, a.h - 1, 2, 0, STYLE_LABEL, t.s);
	str_release(&t);
}

static void
draw_marks(const struct queue_data *d, struct area a)
{
	struct str t = STR_INIT;
	size_t i, n = 0, counting = 0;
	int64_t at = 0;
	char clock[32];

	for (i = 0; i < d->n_marks; i++) {
		n += d->marks[i].n;
		counting += d->marks[i].at == 0;
		if (d->marks[i].at > at)
			at = d->marks[i].at;
	}
	str_addf(&t, "* %zu marked, ", d->n_marks);
	if (counting > 0)
		str_add(&t, "counting ...");
	else {
		when_rfc3339(clock, at);
		str_addf(&t, "%zu message%s as counted at %.8s UTC: A acts on exactly these", n, n == 1 ? "" : "s", clock + 11);
	}
	draw_put(a, a.h - 1, 2, 0, STYLE_KEY, t.s);
	str_release(&t);
}

static void
draw_empty(struct view *v, struct area rows)
{
	struct queue_data *d = v->data;
	bool reading = task_of_view(v, "queue") != NULL, failed = false;
	int y = 0;

	for (size_t i = 0; i < d->n; i++) {
		struct str t = STR_INIT;
		if (d->v[i].error != NULL) {
			str_addf(&t, "! %s: %s", d->v[i].name, d->v[i].error);
			draw_put(rows, y++, 2, 0, STYLE_BAD, t.s);
			failed = true;
		}
		str_release(&t);
	}
	if (!failed)
		draw_put(rows, 0, 2, 0, STYLE_NORMAL, d->n == 0 ? "No server has been read yet." : reading ? "reading the queue ..." :
		    v->filter != NULL ? "Nothing matches." : "ok  Nothing waits.");
}

void
queue_list_draw(struct view *v, struct area a)
{
	static const char *const by[] = { "where", "the queue says", "sender", "server" };
	struct queue_data *d = v->data;
	const struct queue_group *g = queue_selected(v);
	int y = 0, foot = a.h >= 5 && a.w >= 56 ? (g != NULL) + (d->n_marks > 0) : a.h >= 4 ? d->n_marks > 0 : 0;

	if (a.h > 3) {
		struct str t = STR_INIT;

		str_add(&t, a.w >= 104 ? "        msgs   oldest  last hour    next try     size  " : a.w >= 70 ?
		    "      msgs  oldest  last hour     " : a.w >= 56 ? "      msgs  oldest  " : "    msgs ");
		draw_add(&t, by[d->by], a.w >= 56 ? key_cells(d, a.w) : (int)strlen(by[d->by]));
		str_add(&t, d->by == QUEUE_BY_REASON ? " which is" : " reason");
		draw_put(a, y++, 0, 0, STYLE_LABEL, t.s);
		str_release(&t);
	}
	struct area rows = { a.y + y, a.x, a.h - y - foot, a.w };
	d->rows = rows.h;
	list_fit(&d->list, rows.h);
	for (int i = 0; i < rows.h && d->list.top + (size_t)i < d->list.n; i++)
		draw_group(v, rows, i, &d->groups.v[d->match[d->list.top + (size_t)i]], d->list.top + (size_t)i == d->list.sel);
	if (d->list.n == 0)
		draw_empty(v, rows);
	if (d->n_marks > 0 && foot > 0) {
		draw_marks(d, a);
		a.h--;
		foot--;
	}
	if (g != NULL && foot > 0)
		draw_made_of(a, g);
}
