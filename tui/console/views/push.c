/* The watched push. The run belongs to the application, not to its view: Esc hides it and it stays in the status line. Which
 * host begins when, and what stops the rest, is the fleet's matter (core/journey/fleet.c); here it is shown, one line per
 * host and all of the one under the cursor. Keep and undo are the only decisions left, and doing nothing is safe: the host
 * undoes by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define CONFIRM_WITHIN 120
#define STEPS_MAX 32

struct push_step { int number; char name[32], state[16], text[256]; double seconds; };
struct push_steps { struct push_step v[STEPS_MAX]; size_t n; bool told; /* that it waits */ };
struct push_run {
	struct fleet *f;
	struct fleet_tasks tasks;
	struct list list;         /* the host under the cursor */
};

static struct fleet_host *
selected(const struct app *a)
{
	return a->push != NULL && a->push->list.sel < fleet_size(a->push->f) ? fleet_nth(a->push->f, a->push->list.sel) : NULL;
}

void
push_run_close(struct app *a)
{
	if (a->push == NULL)
		return;
	for (size_t i = 0; i < fleet_size(a->push->f); i++)
		free(fleet_nth(a->push->f, i)->data);
	fleet_free(a->push->f);
	free(a->push);
	a->push = NULL;
}

bool
push_run_busy(const struct app *a)
{
	return a->push != NULL && !fleet_over(a->push->f);
}

/* --- what the fleet tells --- */

/* The cursor goes to who waits for a person, unless it stands on one that does. */
static void
show_who_waits(struct push_run *p)
{
	if (p->list.sel < fleet_size(p->f) && fleet_nth(p->f, p->list.sel)->state == FLEET_DECIDE)
		return;
	for (size_t i = 0; i < fleet_size(p->f); i++)
		if (fleet_nth(p->f, i)->state == FLEET_DECIDE) {
			p->list.sel = i;
			return;
		}
}

static void
say_over(struct app *a)
{
	size_t n = fleet_size(a->push->f), good = 0;

	for (size_t i = 0; i < n; i++) {
		const struct fleet_host *h = fleet_nth(a->push->f, i);
		good += h->state == FLEET_DONE && h->rc == 0 && !h->by_hand;
	}
	if (good == n)
		app_say(a, STYLE_OK, "All %zu hosts are done.", n);
	else
		app_say(a, STYLE_BAD, "! %zu of %zu hosts are done; R takes the others once more.", good, n);
}

static void
push_changed(void *arg, struct fleet_host *h)
{
	struct app *a = ((struct fleet_tasks *)arg)->app;
	struct push_steps *s = h->data;

	a->dirty = true;
	if (a->push == NULL || a->push->f != h->fleet)
		return;
	if (h->state == FLEET_DONE)
		follow_after(a, h->server, h->rc == 0 && !h->by_hand && text_eq(h->result, "kept"));
	show_who_waits(a->push);
	if (h->state == FLEET_DECIDE && h->rc != 0)
		app_fail(a, &h->err);
	else if (h->state == FLEET_DECIDE && !s->told && (s->told = true))
		app_say(a, STYLE_WARN, "%s: applied and proved. K keeps it, U undoes it; doing nothing undoes it too.", h->name);
	else if (h->state == FLEET_DONE && h->rc != 0)
		app_fail(a, &h->err);
	else if (h->state == FLEET_DONE && fleet_size(h->fleet) > 1 && fleet_over(h->fleet))
		say_over(a);
	else if (h->state == FLEET_DONE)
		app_say(a, STYLE_OK, "%s: %s.", h->name, strcmp(h->result, "undone") == 0 ? "undone: the old state is back" : h->result);
}

static struct push_run *
run_new(struct app *a, const struct fleet_options *o)
{
	struct push_run *p = xcalloc(1, sizeof(*p));
	struct fleet_user u = { .run = fleet_tasks_run, .changed = push_changed, .arg = &p->tasks };

	push_run_close(a);
	p->tasks.app = a;
	p->f = fleet_new(a->j, o, &u);
	a->push = p;
	return p;
}

static struct fleet_host *
add_host(struct push_run *p, int64_t server, const char *name)
{
	struct fleet_host *h = fleet_add(p->f, server, name);

	h->data = xcalloc(1, sizeof(struct push_steps));
	p->list.n = fleet_size(p->f);
	return h;
}

void
push_run_start(struct app *a, struct plan *plans, size_t n, const struct fleet_options *o)
{
	struct push_run *p = run_new(a, o);

	for (size_t i = 0; i < n; i++) {
		struct fleet_host *h = add_host(p, plans[i].server, plans[i].server_name);

		h->plan = plans[i];
		h->planned = true;
		follow_before(a, h->server, h->name, false);          /* a host does one thing after the other: so it is before the push */
	}
	fleet_push(p->f);
}

void
push_run_watch(struct app *a, int64_t server, int64_t undo_at)
{
	struct fleet_options o = { .push = { .confirm_within = CONFIRM_WITHIN } };
	struct server s = { 0 };

	if (push_run_busy(a) || store_server_get(a->st, server, &s, NULL) != 0)
		return;
	struct push_run *p = run_new(a, &o);
	struct fleet_host *h = add_host(p, server, s.name);
	((struct push_steps *)h->data)->told = true;
	follow_before(a, server, s.name, true);
	fleet_watch(p->f, h, undo_at);
	server_release(&s);
}

void
push_run_tick(struct app *a, int64_t now_ms)
{
	if (a->push != NULL)
		fleet_tick(a->push->f, now_ms);
}

void
push_run_progress(struct app *a, int64_t server, const struct job_progress *p)
{
	struct fleet_host *h = a->push != NULL ? fleet_of_server(a->push->f, server) : NULL;
	struct push_steps *all = h != NULL ? h->data : NULL;
	struct push_step *s = NULL;

	if (h == NULL || (h->state != FLEET_RUNS && h->state != FLEET_ENDING))
		return;
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].number == p->step && strcmp(all->v[i].name, p->name) == 0)
			s = &all->v[i];
	if (s == NULL && all->n < STEPS_MAX)
		s = &all->v[all->n++];
	if (s == NULL)
		return;
	s->number = p->step;
	s->seconds = p->seconds;
	snprintf(s->name, sizeof(s->name), "%s", p->name);
	snprintf(s->state, sizeof(s->state), "%s", p->state);
	snprintf(s->text, sizeof(s->text), "%.255s", p->text);
}

/* --- keep, undo --- */

/* Only the host that is shown is ever acted on. */
static struct fleet_host *
deciding(const struct app *a)
{
	struct fleet_host *h = selected(a);

	return h != NULL && h->state == FLEET_DECIDE ? h : NULL;
}

static void act_keep(struct view *v) { fleet_keep(deciding(v->app)); }
static void act_undo(struct view *v) { fleet_undo(deciding(v->app)); }
static bool can_decide(const struct view *v) { return deciding(v->app) != NULL; }

static bool
can_retry(const struct view *v)
{
	struct app *a = v->app;
	bool left = false;

	for (size_t i = 0; a->push != NULL && fleet_over(a->push->f) && i < fleet_size(a->push->f); i++)
		left |= fleet_nth(a->push->f, i)->rc != 0 || fleet_nth(a->push->f, i)->state == FLEET_WAITS;
	return left;
}

static void
act_retry(struct view *v)
{
	struct app *a = v->app;
	struct plan_arg arg = { .retry = true };

	view_pop(v);
	view_push(a, &view_plan, &arg);
}

/* --- drawing --- */

static void
countdown(const struct fleet_host *r, char out[24])
{
	int64_t left = r->undo_at - when_now();

	if (left < 0)
		left = 0;
	snprintf(out, 24, "%d:%02d", (int)(left / 60), (int)(left % 60));
}

void
push_run_line(const struct app *a, struct str *out)
{
	const struct fleet_host *waits = NULL, *runs = NULL;
	size_t done = 0, n = a->push != NULL ? fleet_size(a->push->f) : 0;
	char left[24];

	if (n == 0 || a->top->ops == &view_push_watch)
		return;
	for (size_t i = n; i-- > 0; ) {
		const struct fleet_host *h = fleet_nth(a->push->f, i);
		waits = h->state == FLEET_DECIDE ? h : waits;
		runs = h->state == FLEET_RUNS ? h : runs;
		done += h->state == FLEET_DONE;
	}
	if (waits != NULL) {
		countdown(waits, left);
		str_addf(out, "! %s waits to be kept: %s (K)", waits->name, left);
	} else if (runs != NULL && n > 1) {
		str_addf(out, "push: %zu of %zu done", done, n);
	} else if (runs != NULL && ((struct push_steps *)runs->data)->n > 0) {
		const struct push_steps *s = runs->data;
		str_addf(out, "push %s: %s", runs->name, s->v[s->n - 1].name);
	}
}

static void
step_lines(const struct fleet_host *r, int width, struct lines *l)
{
	const struct push_steps *all = r->data;

	for (size_t i = 0; i < all->n; i++) {
		const struct push_step *s = &all->v[i];
		bool fail = strcmp(s->state, "fail") == 0, run = strcmp(s->state, "run") == 0;
		char seconds[16] = "       ";
		struct str t = STR_INIT;
		if (!run)
			snprintf(seconds, sizeof(seconds), "%5.1f s", s->seconds);
		if (width >= 60)
			str_addf(&t, "%s%2d %-12s %-4s %s  %s", run ? "> " : "  ", s->number, s->name, run ? "..." : fail ? "!" : s->state,
			    seconds, s->text);
		else
			str_addf(&t, "%2d %s %s %s", s->number, s->name, run ? "..." : fail ? "!" : s->state, s->text);
		lines_wrap(l, fail ? STYLE_BAD : run ? STYLE_KEY : STYLE_NORMAL, width, width >= 60 ? 32 : 4, t.s);
		str_release(&t);
	}
}

static void
proof_lines(const struct fleet_host *r, int width, struct lines *l)
{
	for (size_t i = 0; i < r->report.n_proofs; i++) {
		const struct proof *p = &r->report.proofs[i];
		struct str t = STR_INIT;
		str_addf(&t, "%s %s", p->ok ? "ok " : "! ", p->listen);
		if (p->protocol[0] != '\0')
			str_addf(&t, "  %s  certificate %.16s  chain %s  name %s", p->protocol, p->sha256, p->chain_ok ? "ok" : "!",
			    p->name_ok ? "ok" : "!");
		if (!text_empty(p->text))
			str_addf(&t, "  %s", p->text);
		lines_wrap(l, p->ok ? STYLE_OK : STYLE_BAD, width, 6, t.s);
		str_release(&t);
	}
}

/* How mail fares since the switch, against what was common before it. */
static void
mail_lines(const struct push_mail *m, int width, struct lines *l)
{
	const struct { const char *what; const struct mail_counts *c; } rows[] = { { "Mail in the last", &m->lately },
	    { "Since the switch", &m->since }, { "Before it, in", &m->before } };

	if (!m->watched)
		return;
	if (l->n > 0)
		lines_add(l, STYLE_NORMAL, "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str t = STR_INIT;

		str_addf(&t, "%-16s %4lld s  ", rows[i].what, (long long)rows[i].c->seconds);
		push_mail_counts(rows[i].c, "  ", &t);
		lines_wrap(l, i == 2 ? STYLE_UNKNOWN : STYLE_NORMAL, width, 4, t.s);
		str_release(&t);
	}
	if (m->alarm != NULL) {
		char *text = xasprintf("! %s", m->alarm);

		lines_wrap(l, STYLE_BAD, width, 2, text);
		free(text);
	} else {
		lines_add(l, STYLE_OK, "Nothing looks worse than before.");
	}
}

static void
decision_lines(const struct fleet_host *r, int width, struct lines *l)
{
	struct str t = STR_INIT;
	char left[24], at[32];
	int bar = width >= 40 ? 20 : 0, full;

	countdown(r, left);
	full = (int)((r->undo_at - when_now()) * bar / CONFIRM_WITHIN);
	mail_lines(&r->report.mail, width, l);
	if (l->n > 0)
		lines_add(l, STYLE_NORMAL, "");
	str_add(&t, "Waiting for you  ");
	if (bar > 0) {
		str_addc(&t, '[');
		for (int i = 0; i < bar; i++)
			str_addc(&t, i < full ? '#' : '.');
		str_add(&t, "] ");
	}
	str_addf(&t, "%s", left);
	lines_add(l, STYLE_WARN, t.s);
	lines_add(l, STYLE_NORMAL, "");
	lines_add(l, STYLE_KEY, "  [ K  Keep ]     [ U  Put the old settings back now ]");
	lines_add(l, STYLE_NORMAL, "");
	when_rfc3339(at, r->undo_at);
	str_reset(&t);
	str_addf(&t, "Do nothing: %s puts the old files back by itself at %.8s UTC, even if this window, this computer or the "
	    "network is gone.", r->name, strlen(at) > 11 ? at + 11 : at);
	lines_wrap(l, STYLE_NORMAL, width, 0, t.s);
	str_release(&t);
}

static const char *
word_of(const struct fleet_host *h)
{
	static const char *const words[] = { [FLEET_WAITS] = "not started", [FLEET_RUNS] = "running", [FLEET_DECIDE] = "waits for you",
	    [FLEET_ENDING] = "ending", [FLEET_DONE] = "done" };

	if (h->state == FLEET_WAITS && fleet_stopped(h->fleet))
		return "not started: stopped";
	if (h->state != FLEET_DONE || h->result == NULL)
		return words[h->state];
	if (strcmp(h->result, "undone") == 0)
		return h->by_hand ? "undone: the old state is back" : "undone";
	return h->result;
}

/* decision_first: where room is short, what is asked comes before what was done. */
static void
host_lines(struct app *a, const struct fleet_host *r, int width, bool decision_first, struct lines *l)
{
	struct task *t = task_of_server(a, r->server);
	bool gone = r->result != NULL && strcmp(r->result, "undone") == 0;

	if (r->state == FLEET_DECIDE && decision_first) {
		decision_lines(r, width, l);
		lines_add(l, STYLE_NORMAL, "");
	}
	step_lines(r, width, l);
	if (r->report.n_proofs > 0 && !gone) {             /* what was undone is not there any more */
		lines_add(l, STYLE_NORMAL, "");
		lines_add(l, STYLE_TITLE, "Proved from the host itself");
		proof_lines(r, width, l);
	}
	if (r->rc != 0 && r->state != FLEET_RUNS) {
		char *text = xasprintf("! %s%s%s", r->err.text, r->err.hint[0] != '\0' ? "  Do: " : "", r->err.hint);
		lines_add(l, STYLE_NORMAL, "");
		lines_wrap(l, STYLE_BAD, width, 2, text);
		free(text);
	}
	if (r->state == FLEET_WAITS)
		lines_wrap(l, STYLE_UNKNOWN, width, 0, fleet_stopped(r->fleet) ? "Not started: a host before it failed. R takes what is "
		    "left once more." : "Not started yet.");
	if (r->state == FLEET_RUNS && ((struct push_steps *)r->data)->n == 0)
		lines_addf(l, STYLE_UNKNOWN, "%s", t != NULL && t->text[0] != '\0' ? t->text : "Connecting ...");
	if (r->state == FLEET_ENDING)
		lines_addf(l, STYLE_UNKNOWN, "%s ...", t != NULL ? t->verb : "working");
	if (r->state == FLEET_DECIDE && !decision_first)
		decision_lines(r, width, l);
	if (r->state == FLEET_DONE) {
		struct str w = STR_INIT;
		bool good = r->rc == 0;
		lines_add(l, STYLE_NORMAL, "");
		str_addf(&w, "%s %s: %s", good ? "ok " : "! ", r->name, word_of(r));
		lines_wrap(l, good ? STYLE_OK : STYLE_BAD, width, 4, w.s);
		str_release(&w);
	}
}

/* One line per host. */
static void
draw_hosts(struct push_run *p, struct area a)
{
	list_fit(&p->list, a.h);
	for (int y = 0; y < a.h && p->list.top + (size_t)y < p->list.n; y++) {
		size_t i = p->list.top + (size_t)y;
		const struct fleet_host *h = fleet_nth(p->f, i);
		const struct push_steps *s = h->data;
		struct str t = STR_INIT;
		enum style style = i == p->list.sel ? STYLE_SELECTED : h->rc != 0 ? STYLE_BAD : h->state == FLEET_DECIDE ? STYLE_WARN :
		    h->state == FLEET_DONE ? STYLE_OK : STYLE_NORMAL;

		str_addf(&t, "%s%s %-20s %s", i == p->list.sel ? "> " : "  ", h->rc != 0 || h->state == FLEET_DECIDE ? "!" :
		    h->state == FLEET_DONE ? "+" : " ", h->name, word_of(h));
		if (h->state == FLEET_RUNS && s->n > 0)
			str_addf(&t, ": %s", s->v[s->n - 1].name);
		draw_row(a, y, 0, 0, style, t.s);
		str_release(&t);
	}
}

static void
draw_host(struct app *app, struct fleet_host *h, struct area a, size_t *top)
{
	struct lines l = { NULL, 0 };

	host_lines(app, h, a.w, false, &l);
	if (h->state == FLEET_DECIDE && (int)l.n > a.h) {
		lines_release(&l);
		host_lines(app, h, a.w, true, &l);
	}
	lines_draw(&l, a, top);
	lines_release(&l);
}

static void
push_draw(struct view *v, struct area a)
{
	struct push_run *p = v->app->push;
	struct fleet_host *h = selected(v->app);

	if (h == NULL)
		return;
	if (p->list.n > 1) {
		int rows = p->list.n < 6 ? (int)p->list.n : 6;
		bool boxes = a.h >= 14 && a.w >= 40;

		if (a.h < 14 && rows > a.h / 3)
			rows = a.h / 3 > 0 ? a.h / 3 : 1;
		struct area top = { a.y, a.x, rows + (boxes ? 2 : 0), a.w };
		draw_hosts(p, boxes ? draw_box(top, "Hosts") : top);
		a.y += top.h;
		a.h -= top.h;
	}
	struct area in = a.h >= 8 && a.w >= 40 ? draw_box(a, h->name) : a;
	v->page = in.h;
	draw_host(v->app, h, in, v->data);
}

static bool several(const struct view *v) { return v->app->push != NULL && v->app->push->list.n > 1; }

static void
act_next_host(struct view *v)
{
	struct list *l = &v->app->push->list;

	l->sel = l->n > 0 ? (l->sel + 1) % l->n : 0;
	*(size_t *)v->data = 0;
}

static bool
push_key(struct view *v, int key)
{
	struct push_run *p = v->app->push;
	int k = key_command(key);

	if (p != NULL && p->list.n > 1 && (k == K_UP || k == K_DOWN || k == K_HOME || k == K_END || k == 'j' || k == 'k')) {
		*(size_t *)v->data = 0;
		return list_key(&p->list, k, 1);
	}
	return lines_key(v->data, k, v->page);
}

static void
push_crumb(const struct view *v, struct str *out)
{
	const struct push_run *p = v->app->push;
	const struct fleet_host *h = selected(v->app);
	size_t done = 0;

	if (h == NULL)
		return;
	for (size_t i = 0; i < p->list.n; i++)
		done += fleet_nth(p->f, i)->state == FLEET_DONE;
	if (p->list.n > 1)
		str_addf(out, "Push  %zu of %zu done  ", done, p->list.n);
	else
		str_add(out, "Push  ");
	str_addf(out, "%s  %s", h->name, h->state == FLEET_DECIDE ? "applied, waiting for you" : h->state == FLEET_DONE ||
	    h->state == FLEET_WAITS ? word_of(h) : "running");
}

static void
push_head_state(const struct view *v, struct str *out)
{
	const struct fleet_host *r = deciding(v->app);
	char left[24];

	if (r == NULL)
		return;
	countdown(r, left);
	str_addf(out, "old files return in %s", left);
}

static void
push_copy(const struct view *v, bool command, struct str *out)
{
	const struct fleet_host *h = selected(v->app);

	if (h == NULL)
		return;
	if (command)
		str_addf(out, "mxseal keep %s", h->name);
	else
		str_add(out, h->report.steps.s);
}

static void act_follow(struct view *v) { view_push(v->app, &view_follow, NULL); }
static bool can_follow(const struct view *v) { return follow_goes_on(v->app); }

static const struct action push_actions[] = {
	{ 'K', "keep", "keep", "Keeps the new settings: the host's own undo is taken back.", "mxseal keep SERVER", act_keep,
	  can_decide, ACTION_CHANGES },
	{ 'U', "undo now", "undo now", "Puts the old settings back at once, with reload and proof.", "mxseal undo SERVER", act_undo,
	  can_decide, ACTION_CHANGES },
	{ K_TAB, "next host", "next host", "The next host; so do the arrows.", NULL, act_next_host, several, 0 },
	{ 'O', "what leaves", "what leaves", "What waited before the push and was tried again after it: who has left, who waits.", NULL, act_follow,
	  can_follow, 0 },
	{ 'R', "retry", "retry", "A new plan for the hosts that failed or were not begun.", "mxseal push --retry", act_retry, can_retry,
	  0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_push_watch = {
	.name = "push", .title = "Push",
	.about = "A push, step by step. The first host goes alone; the first that fails stops the rest. After the switch every "
	    "listener is proved from the host itself; then the host waits for you. Esc hides this view; the status line keeps the countdown.",
	.state_size = sizeof(size_t), .actions = push_actions, .draw = push_draw, .key = push_key,
	.crumb = push_crumb, .state = push_head_state, .copy = push_copy,
};
