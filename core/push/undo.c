/* The words after a push: keep, undo, and what the host's journal says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

void
push_status_release(struct push_status *s)
{
	free(s->state);
	free(s->owner);
	free(s->recovered);
	free(s->undone);
	push_mail_release(&s->mail);
	str_release(&s->generations);
	str_release(&s->journal);
	*s = (struct push_status){ .generations = STR_INIT, .journal = STR_INIT };
}

static int
ask_status(struct push *p, struct host_status *out, struct err *e)
{
	struct str text = STR_INIT;
	int rc;

	talk_verb(p->t, "status");
	rc = push_ask(p, &text, PUSH_ASK_MS, e);
	host_status_parse(out, text.s);
	str_release(&text);
	return rc;
}

int
push_look(struct host *h, bool recover, struct push_status *out, struct err *e)
{
	struct push_report report;
	struct host_status s = { .journal = STR_INIT };
	struct err mine;
	struct push p;
	int rc;

	if (e == NULL)
		e = &mine;
	*out = (struct push_status){ .generations = STR_INIT, .journal = STR_INIT };
	push_begin(&p, h, NULL, &report);
	rc = talk_open(&p.t, h, e);
	if (rc == 0)
		rc = ask_status(&p, &s, e);
	/* only where something is left over: a look at a host that was never pushed to writes nothing there */
	if (rc == 0 && recover && strcmp(s.state, "unfinished") == 0) {
		host_status_release(&s);
		rc = step_lock(&p, e);
		if (rc != 0 && e->code == RC_LOCKED)
			rc = 0;                        /* it is not left over: somebody is at work */
		if (rc == 0)
			rc = ask_status(&p, &s, e);
	}
	if (rc == 0) {
		bool unconfirmed = strcmp(s.state, "unconfirmed") == 0;
		char since[16];

		out->state = xstrdup(unconfirmed ? "waiting" : s.state);
		out->generation = s.generation;
		out->next = s.next;
		out->undo_at = unconfirmed ? 0 : s.undo_at;
		if (s.owner != NULL)
			out->owner = xasprintf("%s since %s", clean(s.owner), push_clock(since, s.owner_since));
		if (text_starts(p.text.s, "recovered "))
			out->recovered = xstrdup(clean(p.text.s + strlen("recovered ")));
		journal_fold(s.journal.s, &out->generations);
		out->mail = s.mail;
		s.mail = (struct push_mail){ 0 };
		str_addn(&out->journal, s.journal.s, s.journal.len);
	}
	host_status_release(&s);
	push_report_release(&report);
	push_end(&p);
	return rc;
}

int
push_keep(struct host *h, struct job_ctx *ctx, int64_t *generation, struct err *e)
{
	struct push_report report;
	struct str out = STR_INIT;
	long long number = 0;
	struct err mine;
	struct push p;
	int rc;

	if (e == NULL)
		e = &mine;
	push_begin(&p, h, ctx, &report);
	rc = talk_open(&p.t, h, e);
	if (rc == 0)
		rc = step_lock(&p, e);
	if (rc == 0) {
		talk_verb(p.t, "keep");
		rc = push_ask(&p, &out, PUSH_ASK_MS, e);
		if (rc != 0 && p.lost) {
			err_set(e, RC_UNKNOWN, "STATE OF %s UNKNOWN: %s while the push was being kept", p.name, e->text);
			err_hint(e, "`mxseal status` tells");
		} else if (rc == 0 && sscanf(out.s, "kept %lld", &number) == 1)
			*generation = number;
	}
	str_release(&out);
	push_report_release(&report);
	push_end(&p);
	return rc;
}

/* What a generation noted about its listeners. */
static int
recall(struct push *p, int64_t generation, const char *what, struct want_list *out, struct err *e)
{
	struct str text = STR_INIT;
	char number[24];
	int rc;

	snprintf(number, sizeof(number), "%lld", (long long)generation);
	talk_verb(p->t, "recall");
	talk_arg(p->t, number);
	talk_arg(p->t, what);
	rc = push_ask(p, &text, PUSH_ASK_MS, e);
	if (rc != 0 && e->code == RC_NOTFOUND)
		rc = 0;                            /* nothing noted, nothing to prove */
	if (rc == 0)
		want_list_parse(out, text.s);
	str_release(&text);
	return rc;
}

/* A push that waits, or that the host undid meanwhile: to its script an undo twice is one. */
static int
undo_waiting(struct push *p, int64_t generation, struct err *e)
{
	if (step_lock(p, e) != 0 || recall(p, generation, "before", &p->before, e) != 0)
		return -1;
	p->report->generation = generation;
	if (push_take_back(p, "by hand", e) != 0)
		return -1;
	p->report->result = PUSH_UNDONE;
	return 0;
}

/* A kept one is undone by a push of its own: a new generation with the old texts, armed and proved like any other. */
static int
step_back(struct push *p, struct err *e)
{
	struct str out = STR_INIT;
	char *who = push_who();
	long long number = 0, as = 0;
	int rc;

	talk_verb(p->t, "back");
	talk_arg(p->t, p->to);
	talk_arg(p->t, who);
	rc = push_ask(p, &out, PUSH_ASK_MS, e);
	p->begun = true;                      /* it may have begun before it failed */
	if (rc == 0 && sscanf(out.s, "begun %lld as %lld", &number, &as) != 2)
		rc = err_set(e, RC_PARSE, "%s does not say which generation it began", p->name);
	if (rc == 0)
		rc = recall(p, number, "wants", &p->recalled, e);
	p->wants = p->recalled.v;
	p->n_wants = p->recalled.n;
	p->report->generation = as;
	str_addf(&p->text, "generation %lld puts back what was in force as %lld", number, as);
	str_release(&out);
	free(who);
	return rc;
}

static int
step_back_check(struct push *p, struct err *e)
{
	return step_ours(p, e) != 0 ? -1 : step_baseline(p, e);
}

static const struct push_step back_steps[] = {
	{ "lock", step_lock },
	{ "base", step_back },
	{ "check", step_back_check },
	{ "arm", step_arm },
	{ "switch", step_switch },
	{ "reload", step_reload },
	{ "probe", step_probe },
	{ "watch", step_watch },
	{ "keep", step_keep },
};

static int
undo_kept(struct push *p, int64_t to, struct err *e)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", to == PUSH_UNDO_ALL ? 0 : (long long)to);
	p->to = to != 0 ? number : "previous";
	p->keep = true;
	p->confirm_within = PUSH_CONFIRM;
	if (push_run(p, back_steps, sizeof(back_steps) / sizeof(back_steps[0]), e) != 0)
		return -1;
	p->report->result = PUSH_UNDONE;
	return 0;
}

/* The push that was to be undone does not wait any more. */
static int
undo_gone(struct push *p, const struct host_status *s, struct err *e)
{
	long long number;

	if (journal_last(s->journal.s, &number, "undone"))
		return undo_waiting(p, number, e);
	return err_set(e, RC_NOTFOUND, "no push waits on %s; generation %lld is in force", p->name, (long long)s->generation);
}

int
push_undo(struct host *h, int64_t to, struct job_ctx *ctx, struct push_report *report, struct err *e)
{
	struct host_status s = { .journal = STR_INIT };
	struct err mine;
	struct push p;
	int rc;

	if (e == NULL)
		e = &mine;
	push_begin(&p, h, ctx, report);
	rc = talk_open(&p.t, h, e);
	if (rc == 0)
		rc = ask_status(&p, &s, e);
	if (rc == 0 && (strcmp(s.state, "waiting") == 0 || strcmp(s.state, "unconfirmed") == 0)) {
		if (to > 0 || to == PUSH_UNDO_ALL) {
			rc = err_set(e, RC_LOCKED, "generation %lld on %s waits to be kept or undone first", (long long)s.generation,
			    p.name);
		} else
			rc = undo_waiting(&p, s.generation, e);
	} else if (rc == 0 && to == PUSH_UNDO_WAITING) {
		rc = undo_gone(&p, &s, e);
	} else if (rc == 0) {
		talk_close(p.t);
		p.t = NULL;
		rc = undo_kept(&p, to, e);
	}
	host_status_release(&s);
	push_end(&p);
	return rc;
}
