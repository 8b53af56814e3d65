/* The plan: what a push would change on each host, line by line, with checks and warnings. It is the only screen from which
 * a server can be changed, and only by A and an answer that was not typed in advance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define MANY_HOSTS 3
#define CONFIRM_WITHIN 120

enum row_state { ROW_WORKS, ROW_READY, ROW_FAILED };
struct plan_row { struct fleet_host *h; enum row_state state; char *error; bool taken; };

/* Who keeps a push after its proof. */
enum keeper { KEEP_FIRST, KEEP_EACH, KEEP_PROOF };
static const struct { const char *name, *sentence, *nobody; } keepers[] = {
	[KEEP_FIRST] = { "the first by you", "you keep the first host; the others are kept by their proof",
	    "When nobody answers, the first host goes back by itself and the others are not begun" },
	[KEEP_EACH] = { "each by you", "you keep each host", "When nobody answers for a host, it goes back by itself and what has not "
	    "begun is not begun" },
	[KEEP_PROOF] = { "all by the proof", "each host is kept by its proof", "Nobody is asked" },
};

struct plan_data {
	struct fleet *f;
	struct fleet_tasks tasks;
	struct plan_row *v;
	size_t n;
	struct list list;
	size_t top;
	int64_t made_at;
	struct plan_options options;
	enum keeper keeper;
};

static struct plan_data *
data_of(const struct view *v)
{
	return v->data;
}

static struct plan_row *
selected(const struct view *v)
{
	struct plan_data *d = data_of(v);
	return d->list.sel < d->n ? &d->v[d->list.sel] : NULL;
}

static bool
can_take(const struct plan_row *r)
{
	return r->state == ROW_READY && !plan_is_empty(&r->h->plan) && !plan_is_refused(&r->h->plan);
}

/* --- making plans --- */

static void
plan_changed(void *arg, struct fleet_host *h)
{
	struct view *v = view_by_serial(((struct fleet_tasks *)arg)->app, ((struct fleet_tasks *)arg)->view);
	struct plan_row *r = h->data;

	((struct fleet_tasks *)arg)->app->dirty = true;
	if (v == NULL || h->state != FLEET_DONE)
		return;
	xset(&r->error, NULL);
	r->state = h->rc == 0 ? ROW_READY : ROW_FAILED;
	if (h->rc != 0)
		r->error = xasprintf("%s%s%s", h->err.text, h->err.hint[0] != '\0' ? "\n\nWhat to do: " : "", h->err.hint);
	r->taken = can_take(r);
	data_of(v)->made_at = when_now();
}

static bool
in_work(const struct view *v)
{
	return task_of_view(v, "plan") != NULL;
}

/* All of them anew. */
static void
make(struct view *v)
{
	struct plan_data *d = data_of(v);
	struct fleet_user u = { .run = fleet_tasks_run, .changed = plan_changed, .arg = &d->tasks };
	struct fleet_options o = { .push = { .plan = d->options } };
	struct fleet *old = d->f;

	if (in_work(v))
		return;
	d->tasks = (struct fleet_tasks){ v->app, v->serial };
	d->f = fleet_new(v->app->j, &o, &u);
	for (size_t i = 0; i < d->n; i++) {
		struct fleet_host *was = d->v[i].h;

		d->v[i].h = fleet_add(d->f, was->server, was->name);
		d->v[i].h->data = &d->v[i];
		d->v[i].state = ROW_WORKS;
		d->v[i].taken = false;
	}
	fleet_free(old);
	fleet_plan(d->f);
}

/* The hosts a plan is made for: one, a group's, those left of a push, or all; of several only those with edits. */
static int
hosts_of(struct view *v, const struct plan_arg *arg, struct server_list *out, struct err *e)
{
	struct server_list l = { NULL, 0 };

	if (arg->retry)
		return push_retry_servers(v->app->j, out, e);
	if (store_servers(v->app->st, &l, e) != 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		if (arg->server != 0 ? l.v[i].id != arg->server : (arg->group != NULL && !text_eq(l.v[i].group, arg->group))
		    || pending_edits(v->app->j, l.v[i].id, NULL) == 0)
			continue;
		*server_list_add(out) = l.v[i];
		memset(&l.v[i], 0, sizeof(l.v[i]));
	}
	server_list_release(&l);
	return 0;
}

static int
plan_open(struct view *v, const void *p, struct err *e)
{
	struct plan_data *d = data_of(v);
	struct fleet_user u = { .run = fleet_tasks_run, .arg = &d->tasks };
	struct fleet_options o = { .at_once = 0 };
	struct server_list l = { NULL, 0 };

	if (hosts_of(v, p, &l, e) != 0)
		return -1;
	d->f = fleet_new(v->app->j, &o, &u);
	d->n = d->list.n = l.n;
	d->v = xcalloc(l.n + 1, sizeof(*d->v));
	for (size_t i = 0; i < l.n; i++)
		d->v[i].h = fleet_add(d->f, l.v[i].id, l.v[i].name);
	server_list_release(&l);
	make(v);
	return 0;
}

static void
plan_close(struct view *v)
{
	struct plan_data *d = data_of(v);

	for (size_t i = 0; i < d->n; i++)
		free(d->v[i].error);
	fleet_free(d->f);
	free(d->v);
	for (struct task *t; !v->app->closing && (t = task_of_view(v, "plan")) != NULL; ) {
		t->view = 0;
		if (!t->asks)
			task_cancel(t);
	}
}

/* --- drawing --- */

static void
row_text(const struct plan_row *r, struct str *out, enum style *s)
{
	*s = STYLE_NORMAL;
	if (r->state == ROW_WORKS) {
		str_add(out, "? reading the host ...");
		*s = STYLE_UNKNOWN;
	} else if (r->state == ROW_FAILED) {
		str_add(out, "! no plan");
		*s = STYLE_BAD;
	} else if (plan_is_empty(&r->h->plan)) {
		str_add(out, "ok  nothing to change");
		*s = STYLE_OK;
	} else {
		size_t good = 0;
		for (size_t i = 0; i < r->h->plan.n_results; i++)
			good += r->h->plan.results[i].ok;
		str_addf(out, "%zu file%s  checks %zu of %zu ok", r->h->plan.n_changes, r->h->plan.n_changes == 1 ? "" : "s", good,
		    r->h->plan.n_results);
		if (plan_is_refused(&r->h->plan)) {
			str_add(out, "  ! refused");
			*s = STYLE_BAD;
		} else if (r->h->plan.n_warnings > 0) {
			str_addf(out, "  ! %zu warning%s", r->h->plan.n_warnings, r->h->plan.n_warnings == 1 ? "" : "s");
			*s = STYLE_WARN;
		}
	}
}

/* The inside of a certificate says nothing to people: one line instead of sixty. */
static bool
inside_pem(const char *line, size_t *skipped, struct lines *l, enum style s)
{
	if (strstr(line, "-----BEGIN ") != NULL)
		*skipped = 1;
	else if (*skipped == 0)
		return false;
	else if (strstr(line, "-----END ") != NULL) {
		lines_addf(l, s, "  %c(%s, %zu lines of PEM)", line[0], strstr(line, "CERTIFICATE") != NULL ? "certificate" : "PEM",
		    *skipped + 1);
		*skipped = 0;
	} else
		++*skipped;
	return true;
}

/* A change is seen to its end: what does not fit goes on below. */
static void
diff_line(struct lines *l, enum style s, int width, const char *line)
{
	char *text = xasprintf("  %s", line);

	lines_wrap(l, s, width, 6, text);
	free(text);
}

static void
diff_lines(const struct plan *p, int width, struct lines *l)
{
	static const char *const what[] = { [CHANGE_EDIT] = "edited", [CHANGE_CREATE] = "new", [CHANGE_REMOVE] = "removed" };

	for (size_t i = 0; i < p->n_changes; i++) {
		const struct change *c = &p->changes[i];
		struct str t = STR_INIT;
		char *save = NULL;
		size_t pem = 0;
		str_addf(&t, "%s  %s", c->path, what[c->action]);
		if (c->action == CHANGE_CREATE)
			str_addf(&t, ", %04o root", c->mode);
		if (c->key_path != NULL)
			str_add(&t, "  (the key is put in on the host, it does not travel)");
		lines_wrap(l, STYLE_TITLE, width, 4, t.s);
		str_reset(&t);
		plan_diff(c, &t);
		for (char *line = t.len > 0 ? strtok_r(t.s, "\n", &save) : NULL; line != NULL; line = strtok_r(NULL, "\n", &save)) {
			if (strncmp(line, "+++ ", 4) == 0 || strncmp(line, "--- ", 4) == 0)
				continue;
			enum style s = line[0] == '+' ? STYLE_ADDED : line[0] == '-' ? STYLE_REMOVED : STYLE_NORMAL;
			if (!inside_pem(line, &pem, l, s))
				diff_line(l, s, width, line);
		}
		str_release(&t);
		lines_add(l, STYLE_NORMAL, "");
	}
}

/* What happens in which order, who decides, and what happens when nobody does. */
static void
order_lines(const struct plan_data *d, int width, struct lines *l)
{
	const char *first = NULL;
	size_t n = 0;
	char *text;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].taken && n++ == 0)
			first = d->v[i].h->name;
	if (n < 2)
		return;
	text = xasprintf("%s alone first, then the other %zu, at most %d at a time; the first that fails stops the rest", first, n - 1,
	    FLEET_AT_ONCE);
	lines_field(l, STYLE_NORMAL, width, "Order", text);
	free(text);
	text = xasprintf("%s (b changes it). %s.", keepers[d->keeper].sentence, keepers[d->keeper].nobody);
	lines_field(l, STYLE_NORMAL, width, "Kept", text);
	free(text);
}

/* Listeners that are proved in one way: "0.0.0.0:25, 0.0.0.0:587: what". */
static void
wants_text(const struct plan *p, enum proof_state state, const char *what, struct str *out)
{
	const char *sign = out->len > 0 ? "; " : "";
	bool any = false;

	for (size_t i = 0; i < p->n_wants; i++)
		if (p->wants[i].state == state) {
			str_addf(out, "%s%s", any ? ", " : sign, p->wants[i].listen);
			any = true;
		}
	if (any)
		str_addf(out, ": %s", what);
}

static void
plan_lines(const struct plan_data *d, const struct plan_row *r, int width, struct lines *l)
{
	const struct plan *p = &r->h->plan;
	struct str t = STR_INIT;

	for (size_t i = 0; i < p->n_warnings; i++) {
		str_reset(&t);
		str_addf(&t, "! %s", p->warnings[i]);
		lines_wrap(l, STYLE_WARN, width, 2, t.s);
	}
	for (size_t i = 0; i < p->n_results; i++)
		if (!p->results[i].ok) {
			str_reset(&t);
			str_addf(&t, "! %s: %s", p->results[i].name, p->results[i].text);
			lines_wrap(l, STYLE_BAD, width, 2, t.s);
		}
	if (l->n > 0)
		lines_add(l, STYLE_NORMAL, "");
	diff_lines(p, width, l);
	for (size_t i = 0; i < p->n_results; i++)
		if (p->results[i].ok) {
			str_reset(&t);
			str_addf(&t, "ok  %s%s%s", p->results[i].name, text_empty(p->results[i].text) ? "" : ": ", p->results[i].text);
			lines_wrap(l, STYLE_OK, width, 4, t.s);
		}
	str_reset(&t);
	for (size_t i = 0; i < p->checks.n; i++)
		str_addf(&t, "%s%s", i > 0 ? ", " : "", p->checks.v[i].name);
	lines_field(l, STYLE_NORMAL, width, "Before", t.len > 0 ? t.s : NULL);
	str_reset(&t);
	wants_text(p, PROOF_GREETS, "greeting, STARTTLS, and the certificate that is served", &t);
	wants_text(p, PROOF_PAUSED, "paused (421)", &t);
	wants_text(p, PROOF_GONE, "nobody answers any more", &t);
	lines_field(l, STYLE_NORMAL, width, "After", t.len > 0 ? t.s : NULL);
	str_reset(&t);
	str_addf(&t, "%s puts the old files back by itself unless you keep the new ones within %d s", r->h->name, CONFIRM_WITHIN);
	lines_field(l, STYLE_NORMAL, width, "Safety", t.s);
	if (d->n > 1)
		order_lines(d, width, l);
	str_release(&t);
}

static void
draw_rows(struct view *v, struct area a)
{
	struct plan_data *d = data_of(v);

	list_fit(&d->list, a.h);
	for (int y = 0; y < a.h && d->list.top + (size_t)y < d->n; y++) {
		size_t i = d->list.top + (size_t)y;
		const struct plan_row *r = &d->v[i];
		struct str t = STR_INIT;
		enum style s;
		bool sel = i == d->list.sel;
		str_addf(&t, "%s[%s] %-20s ", sel ? "> " : "  ", r->taken ? "x" : " ", r->h->name);
		row_text(r, &t, &s);
		draw_row(a, y, 0, 0, sel && d->n > 1 ? STYLE_SELECTED : s, t.s);
		str_release(&t);
	}
}

static void
draw_selected(struct view *v, struct area a)
{
	struct plan_data *d = data_of(v);
	struct plan_row *r = selected(v);
	struct lines l = { NULL, 0 };
	struct task *t = task_of_server(v->app, r->h->server);

	if (r->state == ROW_WORKS)
		lines_wrap(&l, STYLE_UNKNOWN, a.w, 0, t != NULL && t->text[0] != '\0' ? t->text : "Reading the host ...");
	else if (r->state == ROW_FAILED)
		lines_wrap(&l, STYLE_BAD, a.w, 0, r->error);
	else if (plan_is_empty(&r->h->plan))
		lines_wrap(&l, STYLE_OK, a.w, 0, "What is wanted is what the host has. A push would change nothing.");
	else
		plan_lines(d, r, a.w, &l);
	v->page = a.h;
	lines_draw(&l, a, &d->top);
	if (d->top + (size_t)a.h < l.n && a.h > 3)
		draw_put(a, a.h - 1, a.w > 20 ? a.w - 13 : 0, 0, STYLE_KEY, " more: PgDn ");
	lines_release(&l);
}

static void
plan_draw(struct view *v, struct area a)
{
	struct plan_data *d = data_of(v);
	struct lines l = { NULL, 0 };

	if (d->n == 0) {
		struct area in = a.h >= 5 ? draw_box(a, "Plan") : a;
		lines_wrap(&l, STYLE_NORMAL, in.w, 0, "Nothing is edited: the store asks for what the hosts have. Properties (e) and "
		    "the certificate wizard (c) make edits; here you see what they would do.");
		lines_draw(&l, in, NULL);
		lines_release(&l);
		return;
	}
	int rows = d->n < 5 ? (int)d->n : 5;
	if (a.h < 10) {
		struct area one = { a.y, a.x, 1, a.w }, rest = { a.y + 1, a.x, a.h - 1, a.w };
		draw_rows(v, one);
		draw_selected(v, rest);
		return;
	}
	struct area top = { a.y, a.x, rows + 2, a.w }, rest = { a.y + rows + 2, a.x, a.h - rows - 2, a.w };
	draw_rows(v, draw_box(top, "Plan"));
	draw_selected(v, draw_box(rest, selected(v)->h->name));
}

/* --- applying --- */

static void
apply(struct app *a, struct view *v, int64_t arg, const char *text)
{
	struct plan_data *d = v != NULL ? data_of(v) : NULL;
	struct plan *plans;
	size_t n = 0;

	(void)arg;
	if (d == NULL || text == NULL) {
		app_say(a, STYLE_NORMAL, "Nothing was applied.");
		return;
	}
	plans = xcalloc(d->n, sizeof(*plans));
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].taken && can_take(&d->v[i])) {
			plans[n++] = d->v[i].h->plan;
			plan_init(&d->v[i].h->plan);
		}
	struct fleet_options o = { .push = { .confirm_within = CONFIRM_WITHIN, .keep = d->keeper != KEEP_EACH && (n > 1 ||
	    d->keeper == KEEP_PROOF), .plan = d->options }, .ask_first = d->keeper == KEEP_FIRST };
	view_pop(v);
	push_run_start(a, plans, n, &o);
	free(plans);
	view_push(a, &view_push_watch, NULL);
}

static void
act_apply(struct view *v)
{
	struct plan_data *d = data_of(v);
	size_t n = 0, warnings = 0;
	const char *name = "";

	if (push_run_busy(v->app)) {
		app_say(v->app, STYLE_WARN, "A push is running or waits to be kept: K on the main screen goes there first.");
		return;
	}
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].taken && can_take(&d->v[i])) {
			n++;
			warnings += d->v[i].h->plan.n_warnings;
			name = d->v[i].h->name;
		}
	if (n == 0) {
		app_say(v->app, STYLE_NORMAL, "There is nothing to apply.");
	} else if (warnings > 0 || n > MANY_HOSTS) {
		char word[64];
		snprintf(word, sizeof(word), "%zu host%s", n, n == 1 ? "" : "s");
		prompt_open(v->app, PROMPT_WORD, v, 0, apply, "%s Type \"%s\" to apply",
		    warnings > 0 ? "This plan has warnings." : "Many hosts.", word);
		snprintf(v->app->prompt.word, sizeof(v->app->prompt.word), "%s", word);
	} else {
		if (n == 1)
			prompt_open(v->app, PROMPT_YESNO, v, 0, apply, "Apply to %s?", name);
		else
			prompt_open(v->app, PROMPT_YESNO, v, 0, apply, "Apply to %zu hosts, kept %s?", n, keepers[d->keeper].name);
	}
}

static bool
can_apply(const struct view *v)
{
	struct plan_data *d = data_of(v);

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].taken)
			return true;
	return false;
}

static void
act_take(struct view *v)
{
	struct plan_row *r = selected(v);

	if (r != NULL && can_take(r))
		r->taken = !r->taken;
}

static void act_again(struct view *v) { make(v); }

static void
act_no_shadow(struct view *v)
{
	struct plan_data *d = data_of(v);

	if (in_work(v)) {
		app_say(v->app, STYLE_NORMAL, "The plans are being made; ask again when they are there.");
		return;
	}
	d->options.no_shadow = !d->options.no_shadow;
	app_say(v->app, d->options.no_shadow ? STYLE_WARN : STYLE_NORMAL, d->options.no_shadow ?
	    "No shadow: the new configuration will not be tried out on the host before the switch." :
	    "With a shadow: the new configuration is tried out on the host before the switch.");
	act_again(v);
}

static bool several(const struct view *v) { return data_of(v)->n > 1; }

static void
act_keeper(struct view *v)
{
	struct plan_data *d = data_of(v);

	d->keeper = (d->keeper + 1) % (sizeof(keepers) / sizeof(keepers[0]));
	app_say(v->app, STYLE_NORMAL, "%s. %s.", keepers[d->keeper].sentence, keepers[d->keeper].nobody);
}

static void
act_next_host(struct view *v)
{
	struct plan_data *d = data_of(v);

	d->list.sel = d->n > 0 ? (d->list.sel + 1) % d->n : 0;
	d->top = 0;
}

static const struct action plan_actions[] = {
	{ 'A', "apply", "apply ...", "Applies the plan to the marked hosts, after a question. The old state comes back by itself "
	  "unless you keep the new one.", "mxseal push [SERVER]", act_apply, can_apply, ACTION_CHANGES },
	{ K_TAB, "next host", "next host", "The plan of the next host.", NULL, act_next_host, several, 0 },
	{ ' ', "take or skip", "take/skip", "Takes this host into the push or leaves it out.", NULL, act_take, several, 0 },
	{ 'b', "who keeps", "kept by", "Who keeps the new settings after their proof: you the first host and the proof the others, you "
	  "each, or the proof all. What nobody keeps in time goes back by itself.", NULL, act_keeper, several, 0 },
	{ 'S', "no shadow", "no-shadow", "Makes the plans with or without the trial run of the new configuration on the host: for "
	  "hosts that cannot run one.", "mxseal plan --no-shadow [SERVER]", act_no_shadow, NULL, 0 },
	{ 'R', "read again", "read again", "Makes the plans anew from the hosts.", "mxseal plan [SERVER]", act_again, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

static bool
plan_key(struct view *v, int key)
{
	key = key_command(key);
	if (key == ' ' && several(v))
		return false;
	return lines_key(&data_of(v)->top, key, v->page);
}

static void
plan_crumb(const struct view *v, struct str *out)
{
	struct plan_data *d = data_of(v);
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += d->v[i].taken;
	str_addf(out, "Push plan: %zu host%s", n, n == 1 ? "" : "s");
}

static void
plan_state(const struct view *v, struct str *out)
{
	struct plan_data *d = data_of(v);
	char ago[16];

	if (d->made_at == 0)
		return;
	when_ago(ago, when_now() - d->made_at);
	str_addf(out, "read %s ago; nothing is touched yet", ago);
}

static void
plan_copy(const struct view *v, bool command, struct str *out)
{
	struct plan_data *d = data_of(v);

	if (command) {
		str_add(out, "mxseal push");
		if (d->keeper == KEEP_EACH)
			str_add(out, " --no-keep");
		for (size_t i = 0; i < d->n; i++)
			if (d->v[i].taken)
				str_addf(out, " %s", d->v[i].h->name);
	} else if (selected(v) != NULL && selected(v)->state == ROW_READY) {
		plan_render(&selected(v)->h->plan, out);
	}
}

const struct view_ops view_plan = {
	.name = "plan", .title = "Push plan",
	.about = "What a push would change, file by file. Nothing has been touched. A applies it: the host checks a staged copy "
	    "first, switches in one step, proves the result and waits for you to keep it.",
	.state_size = sizeof(struct plan_data), .actions = plan_actions, .open = plan_open, .close = plan_close,
	.draw = plan_draw, .key = plan_key, .crumb = plan_crumb, .state = plan_state, .copy = plan_copy,
};
