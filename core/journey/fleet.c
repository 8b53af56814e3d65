/* Many hosts: which begins when, what stops the rest, what stays for a retry. The rules stand in mxseal/fleet.h. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/fleet.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define LATE 5              /* seconds after which a host must have undone */
#define LOOK_MS 3000        /* between two looks at how mail fares */
#define RETRY_FACT "push-retry"

struct fleet {
	struct journey *j;
	struct fleet_options o;
	struct fleet_user u;
	struct fleet_host **v;
	size_t n, runs;
	bool pushes;
	const char *verb;
	fleet_verb_fn *start;
	bool stopped, proved;
	bool pumping, abandoned;
	bool intends;               /* what was begun on behalf of somebody who may change hosts goes on so */
	int64_t now_ms;             /* as last told */
};

typedef void end_fn(struct fleet_host *h, int rc, const struct err *e);
struct fleet_run { struct fleet_host *h; const char *verb; fleet_verb_fn *start; end_fn *end; };

static void pump(struct fleet *f);

/* --- runs --- */

struct fleet_host *
fleet_run_host(const struct fleet_run *r)
{
	return r->h;
}

const char *
fleet_run_verb(const struct fleet_run *r)
{
	return r->verb;
}

int64_t
fleet_run_start(struct fleet_run *r, journey_done_fn *done, void *arg, struct err *e)
{
	bool was = journey_intend(r->h->fleet->j, r->h->fleet->intends);
	int64_t id = r->start(r->h, done, arg, e);

	(void)journey_intend(r->h->fleet->j, was);
	return id;
}

static void
changed(struct fleet_host *h)
{
	if (!h->fleet->abandoned && h->fleet->u.changed != NULL)
		h->fleet->u.changed(h->fleet->u.arg, h);
}

void
fleet_run_end(struct fleet_run *r, int rc, const struct err *e)
{
	static const struct err none = { .code = RC_OK };
	struct fleet_host *h = r->h;

	h->rc = rc;
	h->err = rc != 0 && e != NULL ? *e : none;
	r->end(h, rc, &h->err);
	changed(h);
	pump(h->fleet);
}

static void
free_all(struct fleet *f)
{
	for (size_t i = 0; i < f->n; i++) {
		plan_release(&f->v[i]->plan);
		push_report_release(&f->v[i]->report);
		push_status_release(&f->v[i]->status);
		free(f->v[i]->name);
		free(f->v[i]);
	}
	free(f->v);
	free(f);
}

void
fleet_run_free(struct fleet_run *r)
{
	struct fleet *f = r->h->fleet;

	free(r);
	if (--f->runs == 0 && f->abandoned)
		free_all(f);
}

static void
run(struct fleet_host *h, const char *verb, fleet_verb_fn *start, end_fn *end)
{
	struct fleet_run *r = xcalloc(1, sizeof(*r));

	*r = (struct fleet_run){ h, verb, start, end };
	h->fleet->runs++;
	changed(h);
	h->fleet->u.run(h->fleet->u.arg, r);
}

/* --- the list --- */

struct fleet *
fleet_new(struct journey *j, const struct fleet_options *o, const struct fleet_user *u)
{
	struct fleet *f = xcalloc(1, sizeof(*f));

	f->j = j;
	f->o = *o;
	f->u = *u;
	f->intends = journey_intends(j);
	if (f->o.at_once == 0)
		f->o.at_once = FLEET_AT_ONCE;
	return f;
}

void
fleet_free(struct fleet *f)
{
	if (f == NULL)
		return;
	f->abandoned = true;
	if (f->runs == 0)
		free_all(f);
}

struct fleet_host *
fleet_add(struct fleet *f, int64_t server, const char *name)
{
	struct fleet_host *h = xcalloc(1, sizeof(*h));

	h->fleet = f;
	h->server = server;
	h->name = xstrdup(name);
	plan_init(&h->plan);
	str_init(&h->report.steps, 0);
	push_status_init(&h->status);
	ARRAY_GROW(f->v, f->n);
	f->v[f->n++] = h;
	return h;
}

int
fleet_canary(struct fleet *f, const char *name, struct err *e)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i]->name, name) == 0) {
			struct fleet_host *h = f->v[i];

			memmove(f->v + 1, f->v, i * sizeof(f->v[0]));
			f->v[0] = h;
			return 0;
		}
	return err_set(e, RC_NOTFOUND, "%s is not one of the servers of this push", name);
}

struct journey *
fleet_journey(const struct fleet *f)
{
	return f->j;
}

size_t
fleet_size(const struct fleet *f)
{
	return f->n;
}

struct fleet_host *
fleet_nth(const struct fleet *f, size_t i)
{
	return f->v[i];
}

struct fleet_host *
fleet_of_server(const struct fleet *f, int64_t server)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i]->server == server)
			return f->v[i];
	return NULL;
}

struct fleet_options *
fleet_options(struct fleet *f)
{
	return &f->o;
}

/* --- what stays for a retry --- */

static bool
is_good(const struct fleet_host *h)
{
	return h->state == FLEET_DONE && h->rc == 0 && h->result != NULL && strcmp(h->result, "undone") != 0;
}

/* The list in the store: those of before that this push does not touch, then ours that are not done. */
static void
remember(struct fleet *f)
{
	char *old = NULL, **names;
	struct str list = STR_INIT;

	if (!f->pushes)
		return;
	(void)store_fact_get(f->j->store, RETRY_FACT, &old, NULL);
	names = words_split(old, " ", NULL);
	for (size_t i = 0; names[i] != NULL; i++) {
		bool ours = false;

		for (size_t k = 0; k < f->n; k++)
			ours |= strcmp(f->v[k]->name, names[i]) == 0;
		if (!ours)
			str_addf(&list, "%s%s", list.len > 0 ? " " : "", names[i]);
	}
	for (size_t i = 0; i < f->n; i++)
		if (!is_good(f->v[i]))
			str_addf(&list, "%s%s", list.len > 0 ? " " : "", f->v[i]->name);
	if (!text_eq(list.len > 0 ? list.s : NULL, old))
		(void)store_fact_set(f->j->store, RETRY_FACT, list.len > 0 ? list.s : NULL, NULL);
	words_free(names);
	free(old);
	str_release(&list);
}

int
push_retry_servers(struct journey *j, struct server_list *out, struct err *e)
{
	struct err own = { .code = RC_OK };
	char *list = NULL, **names;

	if (store_fact_get(j->store, RETRY_FACT, &list, &own) == -1 && own.code != RC_NOTFOUND)
		return err_set(e, own.code, "%s", own.text);
	names = words_split(list, " ", NULL);
	for (size_t i = 0; names[i] != NULL; i++) {
		struct server sv = { .id = 0 };

		if (store_server_by_name(j->store, names[i], &sv, NULL) == 0)   /* else it was removed meanwhile */
			*server_list_add(out) = sv;
	}
	words_free(names);
	free(list);
	return 0;
}

/* --- the order --- */

/* Does this end stop the rest? Who was not reached says nothing about the change. */
static bool
stops(const struct fleet_host *h)
{
	return h->by_hand || (h->rc != 0 && err_exit_status(h->err.code) != 3);
}

/* The word for a push that failed. Whatever failed before the switch left the host untouched. */
static const char *
word_of(const struct fleet_host *h)
{
	switch (h->err.code) {
	case RC_UNDONE: return "undone";
	case RC_UNKNOWN: return "unknown";
	case RC_DB: return h->report.generation > 0 ? push_result_name(h->report.result) : "refused";
	default: return err_exit_status(h->err.code) == 3 ? "unreachable" : "refused";
	}
}

static void
ended(struct fleet_host *h, const char *result)
{
	struct fleet *f = h->fleet;

	h->state = FLEET_DONE;
	h->result = result;
	if (stops(h))
		f->stopped = true;
	else if (strcmp(result, "kept") == 0 || strcmp(result, "waiting") == 0)
		f->proved = true;
	remember(f);
}

static size_t
busy(const struct fleet *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i]->state != FLEET_WAITS && f->v[i]->state != FLEET_DONE;
	return n;
}

static void
each_end(struct fleet_host *h, int rc, const struct err *e)
{
	(void)rc, (void)e;
	h->state = FLEET_DONE;
}

static int64_t
push_run(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	struct fleet *f = h->fleet;
	struct push_options o = f->o.push;

	if (f->o.ask_first && !f->proved)
		o.keep = false;
	if (h->planned)
		o.plan = h->plan.options;
	push_report_release(&h->report);
	memset(&h->report, 0, sizeof(h->report));
	str_init(&h->report.steps, 0);
	return push_start(f->j, h->server, h->planned ? &h->plan : NULL, &o, &h->report, done, arg, e);
}

static void
push_end(struct fleet_host *h, int rc, const struct err *e)
{
	(void)e;
	if (rc == 0 && h->report.result == PUSH_WAITING && !h->fleet->o.leave) {
		h->state = FLEET_DECIDE;
		h->undo_at = h->report.undo_at;
		return;
	}
	ended(h, rc == 0 ? push_result_name(h->report.result) : word_of(h));
}

static bool
may_begin(const struct fleet *f)
{
	struct places p = { 0, 0 };

	if (f->pushes)
		return !f->stopped && busy(f) < (f->proved ? f->o.at_once : 1);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i]->state == FLEET_RUNS)
			places_take(&p, f->now_ms - f->v[i]->began_ms);
	return places_free(&p, f->o.at_once);
}

/* Begins what may begin. A verb that is over at once ends up here again: that is seen by the loop. */
static void
pump(struct fleet *f)
{
	if (f->pumping || f->abandoned)
		return;
	f->pumping = true;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i]->state == FLEET_WAITS) {
			if (!may_begin(f))
				break;
			f->v[i]->state = FLEET_RUNS;
			f->v[i]->began_ms = f->now_ms;
			if (f->pushes)
				run(f->v[i], "push", push_run, push_end);
			else
				run(f->v[i], f->verb, f->start, each_end);
		}
	f->pumping = false;
}

void
fleet_each(struct fleet *f, const char *verb, fleet_verb_fn *start)
{
	f->pushes = false;
	f->verb = verb;
	f->start = start;
	f->now_ms = when_monotonic_ms();
	for (size_t i = 0; i < f->n; i++)
		f->v[i]->state = FLEET_WAITS;
	pump(f);
}

static int64_t
plan_run(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	plan_release(&h->plan);
	plan_init(&h->plan);
	return plan_make(h->fleet->j, h->server, &h->fleet->o.push.plan, &h->plan, done, arg, e);
}

void
fleet_plan(struct fleet *f)
{
	for (size_t i = 0; i < f->n; i++)
		f->v[i]->planned = true;
	fleet_each(f, "plan", plan_run);
}

static void
refuse_plan(struct fleet_host *h)
{
	size_t i = 0;

	while (h->plan.results[i].ok)
		i++;
	h->rc = err_set(&h->err, RC_CHECK, "%s: %s; nothing was touched", h->plan.results[i].name, h->plan.results[i].text);
}

void
fleet_push(struct fleet *f)
{
	f->pushes = true;
	for (size_t i = 0; i < f->n; i++)
		f->v[i]->state = FLEET_WAITS;
	if (f->n > 1)
		remember(f);                               /* of a single host its own journal tells */
	for (size_t i = 0; i < f->n; i++) {
		struct fleet_host *h = f->v[i];

		if (h->planned && h->rc == 0 && plan_is_refused(&h->plan))
			refuse_plan(h);
		if (h->rc != 0) {
			ended(h, word_of(h));
			changed(h);
		}
	}
	pump(f);
}

/* --- what waits --- */

void
fleet_watch(struct fleet *f, struct fleet_host *h, int64_t undo_at)
{
	f->pushes = true;
	h->state = FLEET_DECIDE;
	h->undo_at = undo_at;
}

static int64_t
keep_run(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return push_confirm(h->fleet->j, h->server, done, arg, e);
}

static void
keep_end(struct fleet_host *h, int rc, const struct err *e)
{
	if (rc == 0)
		ended(h, "kept");
	else if (e->code == RC_UNDONE)                     /* the host was faster */
		ended(h, "undone");
	else
		h->state = FLEET_DECIDE;                   /* it may be tried again, or the clock decides */
}

void
fleet_keep(struct fleet_host *h)
{
	h->state = FLEET_ENDING;
	h->fleet->intends = journey_intends(h->fleet->j);
	run(h, "keep", keep_run, keep_end);
}

static int64_t
undo_run(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	push_report_release(&h->report);
	memset(&h->report, 0, sizeof(h->report));
	str_init(&h->report.steps, 0);
	return push_revert(h->fleet->j, h->server, 0, &h->report, done, arg, e);
}

static void
undo_end(struct fleet_host *h, int rc, const struct err *e)
{
	if (rc != 0 && e->code == RC_READ_ONLY) {
		h->state = FLEET_DECIDE;
		return;
	}
	h->by_hand = true;
	ended(h, rc == 0 || e->code == RC_UNDONE ? "undone" : word_of(h));
}

void
fleet_undo(struct fleet_host *h)
{
	h->state = FLEET_ENDING;
	h->fleet->intends = journey_intends(h->fleet->j);
	run(h, "undo", undo_run, undo_end);
}

static int64_t
state_run(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	push_status_release(&h->status);
	return push_state(h->fleet->j, h->server, &h->status, done, arg, e);
}

static void
state_end(struct fleet_host *h, int rc, const struct err *e)
{
	h->looking = false;
	if (h->state != FLEET_DECIDE && !h->by_clock) {    /* a person decided meanwhile */
		h->rc = 0;
		return;
	}
	h->by_clock = false;
	if (rc != 0 && h->state == FLEET_DECIDE) {
		h->rc = 0;                                 /* the next look tells; the clock goes on */
	} else if (rc != 0) {
		h->rc = err_set(&h->err, RC_UNKNOWN, "%s: %s; it undoes by itself, but that was not seen", h->name, e->text);
		ended(h, "unknown");
	} else if (text_eq(h->status.state, "waiting")) {
		h->state = FLEET_DECIDE;
		h->undo_at = h->status.undo_at;
		push_mail_release(&h->report.mail);
		h->report.mail = h->status.mail;
		h->status.mail = (struct push_mail){ .watched = false };
	} else if (h->report.generation > 0 && h->status.generation == h->report.generation) {
		ended(h, "kept");
	} else {
		h->rc = h->status.undone != NULL ? err_set(&h->err, RC_UNDONE, "%s", h->status.undone) :
		    err_set(&h->err, RC_UNDONE, "%s: undone by the host itself", h->name);
		ended(h, "undone");
	}
}

/* Looks now and then how mail fares on a host that waits; when its time is over, asks what it did. */
static void
look_at_waiting(struct fleet *f, int64_t now_ms)
{
	for (size_t i = 0; i < f->n; i++) {
		struct fleet_host *h = f->v[i];
		bool over = h->undo_at > 0 && when_now() >= h->undo_at + LATE;

		if (h->state != FLEET_DECIDE || h->looking || (!over && now_ms < h->looked_ms + LOOK_MS))
			continue;
		h->looked_ms = now_ms;
		h->looking = true;
		h->by_clock = over;
		if (over)
			h->state = FLEET_ENDING;
		run(h, "status", state_run, state_end);
	}
}

void
fleet_tick(struct fleet *f, int64_t now_ms)
{
	if (f->abandoned)
		return;
	f->now_ms = now_ms;
	look_at_waiting(f, now_ms);
	if (!f->pushes && f->start != NULL)
		pump(f);                                   /* some may count as slow by now */
}

bool
fleet_stopped(const struct fleet *f)
{
	return f->stopped;
}

bool
fleet_over(const struct fleet *f)
{
	if (busy(f) > 0)
		return false;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i]->state == FLEET_WAITS && !(f->pushes && f->stopped))
			return false;
	for (size_t i = 0; f->pushes && i < f->n; i++)
		if (f->v[i]->state == FLEET_WAITS)
			f->v[i]->result = "not-started";
	return true;
}

int
fleet_worst(const struct fleet *f, struct err *e)
{
	static const int order[] = { 6, 5, 7, 4, 3, 2, 130, 1 };
	size_t bad = 0;
	const struct fleet_host *worst = NULL;

	for (size_t i = 0; i < f->n; i++)
		bad += f->v[i]->rc != 0;
	for (size_t k = 0; worst == NULL && k < sizeof(order) / sizeof(order[0]); k++)
		for (size_t i = 0; worst == NULL && i < f->n; i++)
			if (f->v[i]->rc != 0 && err_exit_status(f->v[i]->err.code) == order[k])
				worst = f->v[i];
	if (worst == NULL)
		return 0;
	*e = worst->err;
	if (f->n > 1)
		(void)err_wrap(e, "%zu of %zu servers failed; %s", bad, f->n, worst->name);
	return -1;
}
