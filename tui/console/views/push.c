/* The watched push. The run belongs to the application, not to its view: Esc hides it and it stays in the status line. One
 * host after the other; the first one that is not good stops the rest. Keep and undo are the only decisions left, and
 * doing nothing is safe: the host undoes by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define CONFIRM_WITHIN 120
#define STEPS_MAX 32
#define LATE 5              /* seconds after which the host must have undone */
#define LOOK_MS 3000        /* between two looks at how mail fares */

enum run_state { RUN_WAITS, RUN_RUNS, RUN_DECIDE, RUN_ENDING, RUN_DONE };
struct push_step { int number; char name[32], state[16], text[256]; double seconds; };
struct push_row {
	int64_t server, undo_at, looked_ms;
	char *name;
	struct plan plan;
	bool planned;             /* false: found waiting, not started here */
	enum run_state state;
	struct push_report report;
	char *word;               /* how it ended: "kept", "undone" ... */
	char *error;
	struct push_step steps[STEPS_MAX];
	size_t n_steps;
};
struct push_run { struct push_row *v; size_t n, current; };

static struct push_row *
row_of(struct app *a, int64_t server)
{
	for (size_t i = 0; a->push != NULL && i < a->push->n; i++)
		if (a->push->v[i].server == server)
			return &a->push->v[i];
	return NULL;
}

static void run_next(struct app *a);

static void
row_release(struct push_row *r)
{
	plan_release(&r->plan);
	push_report_release(&r->report);
	free(r->name);
	free(r->word);
	free(r->error);
}

void
push_run_close(struct app *a)
{
	if (a->push == NULL)
		return;
	for (size_t i = 0; i < a->push->n; i++)
		row_release(&a->push->v[i]);
	free(a->push->v);
	free(a->push);
	a->push = NULL;
}

bool
push_run_busy(const struct app *a)
{
	for (size_t i = 0; a->push != NULL && i < a->push->n; i++)
		if (a->push->v[i].state == RUN_RUNS || a->push->v[i].state == RUN_DECIDE || a->push->v[i].state == RUN_ENDING)
			return true;
	return false;
}

/* --- the verbs --- */

static void
report_drop(void *p)
{
	push_report_release(p);
	free(p);
}

static void
ended(struct app *a, struct push_row *r, const char *word, const struct err *e)
{
	r->state = RUN_DONE;
	xset(&r->word, word);
	xset(&r->error, NULL);
	if (e != NULL && e->code != RC_OK) {
		r->error = xasprintf("%s%s%s", e->text, e->hint[0] != '\0' ? "  Do: " : "", e->hint);
		app_fail(a, e);
	} else {
		app_say(a, STYLE_OK, "%s: %s.", r->name, word);
	}
}

static const char *
word_of_error(const struct err *e)
{
	switch (e->code) {
	case RC_UNDONE: return "undone";
	case RC_UNKNOWN: return "unknown";
	case RC_CONFLICT: case RC_LOCKED: case RC_CHECK: case RC_CERT: return "refused";
	case RC_NET: case RC_TIMEOUT: return "connection lost: the host decides by itself";
	default: return "failed";
	}
}

static int64_t
push_task_start(struct task *t, struct err *e)
{
	static const struct push_options options = { .confirm_within = CONFIRM_WITHIN, .keep = false };
	struct push_row *r = row_of(t->app, t->server);

	return push_start(t->app->j, t->server, &r->plan, &options, t->data, task_done, t, e);
}

static void
push_task_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct push_row *r = row_of(t->app, t->server);

	(void)v;
	if (r == NULL)
		return;
	push_report_release(&r->report);
	r->report = *(struct push_report *)t->data;
	memset(t->data, 0, sizeof(r->report));
	str_init(&((struct push_report *)t->data)->steps, 0);
	if (rc != 0) {
		ended(t->app, r, word_of_error(e), e);
		return;
	}
	if (r->report.result == PUSH_WAITING) {
		r->state = RUN_DECIDE;
		r->undo_at = r->report.undo_at;
		app_say(t->app, STYLE_WARN, "%s: applied and proved. K keeps it, U undoes it; doing nothing undoes it too.", r->name);
		return;
	}
	ended(t->app, r, push_result_name(r->report.result), NULL);
	run_next(t->app);
}

static void
run_next(struct app *a)
{
	struct push_run *p = a->push;

	while (p->current < p->n && p->v[p->current].state == RUN_DONE)
		p->current++;
	if (p->current >= p->n) {
		p->current = p->n - 1;
		return;
	}
	struct push_row *r = &p->v[p->current];
	if (r->state != RUN_WAITS || !r->planned)
		return;
	r->state = RUN_RUNS;
	struct task t = { .verb = "push", .server = r->server, .start = push_task_start, .end = push_task_end,
	    .data = xcalloc(1, sizeof(struct push_report)), .drop = report_drop };
	str_init(&((struct push_report *)t.data)->steps, 0);
	task_run(a, &t);
}

static struct push_run *
run_new(struct app *a, size_t n)
{
	push_run_close(a);
	a->push = xcalloc(1, sizeof(*a->push));
	a->push->v = xcalloc(n, sizeof(*a->push->v));
	a->push->n = n;
	for (size_t i = 0; i < n; i++) {
		plan_init(&a->push->v[i].plan);
		str_init(&a->push->v[i].report.steps, 0);
	}
	return a->push;
}

void
push_run_start(struct app *a, struct plan *plans, size_t n)
{
	struct push_run *p = run_new(a, n);

	for (size_t i = 0; i < n; i++) {
		p->v[i].plan = plans[i];
		p->v[i].server = plans[i].server;
		p->v[i].name = xstrdup(plans[i].server_name);
		p->v[i].planned = true;
	}
	run_next(a);
}

void
push_run_watch(struct app *a, int64_t server, int64_t undo_at)
{
	struct server s = { 0 };

	if (push_run_busy(a) || store_server_get(a->st, server, &s, NULL) != 0)
		return;
	struct push_run *p = run_new(a, 1);
	p->v[0].server = server;
	p->v[0].name = xstrdup(s.name);
	p->v[0].undo_at = undo_at;
	p->v[0].state = RUN_DECIDE;
	server_release(&s);
}

void
push_run_progress(struct app *a, int64_t server, const struct job_progress *p)
{
	struct push_row *r = row_of(a, server);
	struct push_step *s = NULL;

	if (r == NULL || (r->state != RUN_RUNS && r->state != RUN_ENDING))
		return;
	for (size_t i = 0; i < r->n_steps; i++)
		if (r->steps[i].number == p->step && strcmp(r->steps[i].name, p->name) == 0)
			s = &r->steps[i];
	if (s == NULL && r->n_steps < STEPS_MAX)
		s = &r->steps[r->n_steps++];
	if (s == NULL)
		return;
	s->number = p->step;
	s->seconds = p->seconds;
	snprintf(s->name, sizeof(s->name), "%s", p->name);
	snprintf(s->state, sizeof(s->state), "%s", p->state);
	snprintf(s->text, sizeof(s->text), "%.255s", p->text);
}

/* --- keep, undo, what did the host do --- */

static int64_t
keep_start(struct task *t, struct err *e)
{
	return push_confirm(t->app->j, t->server, task_done, t, e);
}

static void
keep_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct push_row *r = row_of(t->app, t->server);

	(void)v;
	if (r == NULL)
		return;
	if (rc != 0 && e->code == RC_UNDONE) {             /* the host was faster */
		ended(t->app, r, "undone", e);
		return;
	}
	if (rc != 0) {                                     /* it may still be undone or tried again */
		r->state = when_now() < r->undo_at ? RUN_DECIDE : RUN_DONE;
		xset(&r->error, e->text);
		xset(&r->word, r->state == RUN_DONE ? "not kept" : NULL);
		app_fail(t->app, e);
		return;
	}
	ended(t->app, r, "kept", NULL);
	run_next(t->app);
}

static int64_t
undo_start(struct task *t, struct err *e)
{
	return push_revert(t->app->j, t->server, 0, t->data, task_done, t, e);
}

static void
undo_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct push_row *r = row_of(t->app, t->server);

	(void)v;
	if (r == NULL)
		return;
	if (rc != 0 && e->code != RC_UNDONE)
		ended(t->app, r, word_of_error(e), e);
	else
		ended(t->app, r, "undone: the old state is back", NULL);
}

static void
state_drop(void *p)
{
	push_status_release(p);
	free(p);
}

static int64_t
state_start(struct task *t, struct err *e)
{
	return push_state(t->app->j, t->server, t->data, task_done, t, e);
}

/* It does not wait any more, and nobody decided here. */
static void
state_over(struct app *a, struct push_row *r, const struct push_status *s)
{
	struct err undone;

	if (r->report.generation > 0 && s->generation == r->report.generation) {
		ended(a, r, "kept", NULL);
		return;
	}
	err_clear(&undone);
	if (s->undone != NULL)
		err_set(&undone, RC_UNDONE, "%s", s->undone);
	else
		err_set(&undone, RC_UNDONE, "%s: undone by the host itself", r->name);
	ended(a, r, "undone", &undone);
}

static void
state_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct push_row *r = row_of(t->app, t->server);
	struct push_status *s = t->data;

	(void)v;
	if (r == NULL || (r->state != RUN_ENDING && r->state != RUN_DECIDE))
		return;
	if (rc != 0) {
		if (r->state == RUN_ENDING)                /* else the next look tells; the countdown goes on */
			ended(t->app, r, "unknown", e);
	} else if (s->state != NULL && strcmp(s->state, "waiting") == 0) {
		r->state = RUN_DECIDE;
		r->undo_at = s->undo_at;
		push_mail_release(&r->report.mail);
		r->report.mail = s->mail;
		s->mail = (struct push_mail){ 0 };
	} else {
		state_over(t->app, r, s);
	}
}

static struct push_row *
deciding(struct app *a)
{
	struct push_row *r = a->push != NULL && a->push->current < a->push->n ? &a->push->v[a->push->current] : NULL;
	return r != NULL && r->state == RUN_DECIDE ? r : NULL;
}

static void
act_keep(struct view *v)
{
	struct push_row *r = deciding(v->app);

	r->state = RUN_ENDING;
	struct task t = { .verb = "keep", .server = r->server, .start = keep_start, .end = keep_end };
	task_run(v->app, &t);
}

static void
act_undo(struct view *v)
{
	struct push_row *r = deciding(v->app);

	r->state = RUN_ENDING;
	struct task t = { .verb = "undo", .server = r->server, .start = undo_start, .end = undo_end,
	    .data = xcalloc(1, sizeof(struct push_report)), .drop = report_drop };
	str_init(&((struct push_report *)t.data)->steps, 0);
	task_run(v->app, &t);
}

static bool can_decide(const struct view *v) { return deciding(v->app) != NULL; }

static void
push_tick(struct view *v, int64_t now_ms)
{
	struct push_row *r = deciding(v->app);
	bool over = r != NULL && r->undo_at > 0 && when_now() >= r->undo_at + LATE;

	if (r == NULL || (!over && (now_ms < r->looked_ms + LOOK_MS || task_of_server(v->app, r->server) != NULL)))
		return;
	r->looked_ms = now_ms;
	if (over)
		r->state = RUN_ENDING;                     /* the time is over: ask the host what it did */
	struct task t = { .verb = "status", .server = r->server, .start = state_start, .end = state_end,
	    .data = xcalloc(1, sizeof(struct push_status)), .drop = state_drop };
	str_init(&((struct push_status *)t.data)->generations, 0);
	str_init(&((struct push_status *)t.data)->journal, 0);
	task_run(v->app, &t);
}

/* --- drawing --- */

static void
countdown(const struct push_row *r, char out[24])
{
	int64_t left = r->undo_at - when_now();

	if (left < 0)
		left = 0;
	snprintf(out, 24, "%d:%02d", (int)(left / 60), (int)(left % 60));
}

void
push_run_line(const struct app *a, struct str *out)
{
	const struct push_run *p = a->push;
	char left[24];

	if (p == NULL || a->top->ops == &view_push_watch)
		return;
	const struct push_row *r = &p->v[p->current];
	if (r->state == RUN_DECIDE) {
		countdown(r, left);
		str_addf(out, "! %s waits to be kept: %s (K)", r->name, left);
	} else if (r->state == RUN_RUNS && r->n_steps > 0) {
		str_addf(out, "push %s: %s", r->name, r->steps[r->n_steps - 1].name);
	}
}

static void
step_lines(const struct push_row *r, int width, struct lines *l)
{
	for (size_t i = 0; i < r->n_steps; i++) {
		const struct push_step *s = &r->steps[i];
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
		lines_wrap(l, fail ? STYLE_BAD : run ? STYLE_KEY : STYLE_NORMAL, width, width >= 60 ? 31 : 4, t.s);
		str_release(&t);
	}
}

static void
proof_lines(const struct push_row *r, int width, struct lines *l)
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
decision_lines(const struct push_row *r, int width, struct lines *l)
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

/* decision_first: where room is short, what is asked comes before what was done. */
static void
row_lines(struct app *a, const struct push_row *r, int width, bool decision_first, struct lines *l)
{
	struct task *t = task_of_server(a, r->server);

	if (r->state == RUN_DECIDE && decision_first) {
		decision_lines(r, width, l);
		lines_add(l, STYLE_NORMAL, "");
	}
	step_lines(r, width, l);
	if (r->report.n_proofs > 0) {
		lines_add(l, STYLE_NORMAL, "");
		lines_add(l, STYLE_TITLE, "Proved from the host itself");
		proof_lines(r, width, l);
	}
	if (r->error != NULL) {
		char *text = xasprintf("! %s", r->error);
		lines_add(l, STYLE_NORMAL, "");
		lines_wrap(l, STYLE_BAD, width, 2, text);
		free(text);
	}
	if (r->state == RUN_RUNS && r->n_steps == 0)
		lines_addf(l, STYLE_UNKNOWN, "%s", t != NULL && t->text[0] != '\0' ? t->text : "Connecting ...");
	if (r->state == RUN_ENDING)
		lines_addf(l, STYLE_UNKNOWN, "%s ...", t != NULL ? t->verb : "working");
	if (r->state == RUN_DECIDE && !decision_first)
		decision_lines(r, width, l);
	if (r->state == RUN_DONE) {
		struct str w = STR_INIT;
		bool good = r->error == NULL;
		lines_add(l, STYLE_NORMAL, "");
		str_addf(&w, "%s %s: %s", good ? "ok " : "! ", r->name, r->word);
		lines_wrap(l, good ? STYLE_OK : STYLE_BAD, width, 4, w.s);
		str_release(&w);
	}
}

static void
push_draw(struct view *v, struct area a)
{
	static const char *const words[] = { [RUN_WAITS] = "not started", [RUN_RUNS] = "running", [RUN_DECIDE] = "waits for you",
	    [RUN_ENDING] = "ending", [RUN_DONE] = "done" };
	struct push_run *p = v->app->push;
	struct lines l = { NULL, 0 };
	size_t *top = v->data;

	if (p == NULL)
		return;
	struct push_row *r = &p->v[p->current];
	struct area in = a.h >= 8 && a.w >= 40 ? draw_box(a, r->name) : a;
	v->page = in.h;
	row_lines(v->app, r, in.w, false, &l);
	if (r->state == RUN_DECIDE && (int)l.n > in.h) {
		lines_release(&l);
		row_lines(v->app, r, in.w, true, &l);
	}
	if (p->n > 1) {
		lines_add(&l, STYLE_NORMAL, "");
		lines_add(&l, STYLE_TITLE, "Hosts of this push");
		for (size_t i = 0; i < p->n; i++)
			lines_addf(&l, p->v[i].error != NULL ? STYLE_BAD : STYLE_NORMAL, "%s %-20s %s", i == p->current ? ">" : " ",
			    p->v[i].name, p->v[i].word != NULL ? p->v[i].word : words[p->v[i].state]);
	}
	lines_draw(&l, in, top);
	lines_release(&l);
}

static bool
push_key(struct view *v, int key)
{
	return lines_key(v->data, key_command(key), v->page);
}

static void
push_crumb(const struct view *v, struct str *out)
{
	const struct push_run *p = v->app->push;

	if (p == NULL)
		return;
	const struct push_row *r = &p->v[p->current];
	str_addf(out, "Push  %s  %s", r->name, r->state == RUN_DECIDE ? "applied, waiting for you" : r->state == RUN_DONE ? r->word :
	    "running");
}

static void
push_head_state(const struct view *v, struct str *out)
{
	const struct push_row *r = deciding(v->app);
	char left[24];

	if (r == NULL)
		return;
	countdown(r, left);
	str_addf(out, "old files return in %s", left);
}

static void
push_copy(const struct view *v, bool command, struct str *out)
{
	const struct push_run *p = v->app->push;

	if (p == NULL)
		return;
	if (command)
		str_addf(out, "mxseal keep %s", p->v[p->current].name);
	else
		str_add(out, p->v[p->current].report.steps.s);
}

static const struct action push_actions[] = {
	{ 'K', "keep", "keep", "Keeps the new settings: the host's own undo is taken back.", "mxseal keep SERVER", act_keep,
	  can_decide, ACTION_CHANGES },
	{ 'U', "undo now", "undo now", "Puts the old settings back at once, with reload and proof.", "mxseal undo SERVER", act_undo,
	  can_decide, ACTION_CHANGES },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_push_watch = {
	.name = "push", .title = "Push",
	.about = "A push, step by step. After the switch every listener is proved from the host itself; then the host waits for "
	    "you. Esc hides this view; the status line keeps the countdown.",
	.state_size = sizeof(size_t), .actions = push_actions, .draw = push_draw, .key = push_key, .tick = push_tick,
	.crumb = push_crumb, .state = push_head_state, .copy = push_copy,
};
