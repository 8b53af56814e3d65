/* One conversation with a host about a push: questions, the numbered steps, and what happens when one fails. Before the switch a
 * failure is a refusal with nothing touched; after it the old state is put back and proved; when even that cannot be
 * said, the state is unknown, loudly. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

/* THE TABLE of the script's statuses. */
static const struct { int status; enum err_code code; const char *hint; } statuses[] = {
	{ 10, RC_CONFLICT, "look at the plan again: it is made anew from what is there now" },
	{ 11, RC_LOCKED, NULL },
	{ 12, RC_CHECK, NULL },
	{ 13, RC_NOSPACE, "make room on the host and push again" },
	{ 14, RC_NOTFOUND, NULL },
	{ 15, RC_REMOTE, "install it on the host and push again" },
	{ 16, RC_BUG, NULL },
	{ 17, RC_UNDONE, NULL },
	{ 18, RC_UNKNOWN, "look at the host itself: its mail system has the old files and does not greet" },
	{ 127, RC_BUG, NULL },
};

const char *
push_clock(char out[16], int64_t t)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (localtime_r(&at, &tm) == NULL || strftime(out, 16, "%H:%M:%S", &tm) == 0)
		out[0] = '\0';
	return out;
}

char *
push_who(void)
{
	char machine[128] = "";
	struct passwd pw, *found = NULL;
	char mem[4096];
	struct str s = STR_INIT;
	char *all;

	(void)getpwuid_r(getuid(), &pw, mem, sizeof(mem), &found);
	if (gethostname(machine, sizeof(machine) - 1) != 0)
		machine[0] = '\0';
	all = xasprintf("%s@%s", found != NULL ? found->pw_name : "somebody", machine);
	clean_text(&s, all, strlen(all), false);
	free(all);
	return str_take(&s);
}

void
push_begin(struct push *p, struct host *h, struct job_ctx *ctx, struct push_report *report)
{
	*p = (struct push){ .h = h, .ctx = ctx, .report = report, .name = host_address(h), .text = STR_INIT };
	*report = (struct push_report){ .result = PUSH_REFUSED, .steps = STR_INIT };
}

void
push_end(struct push *p)
{
	talk_close(p->t);
	want_list_release(&p->before);
	want_list_release(&p->recalled);
	str_release(&p->text);
}

int
push_ask(struct push *p, struct str *out, int timeout_ms, struct err *e)
{
	struct err mine;
	int status;

	if (e == NULL)
		e = &mine;
	status = talk_ask(p->t, out, timeout_ms, e);
	if (status == 0)
		return 0;
	if (status < 0) {
		if (e->code == RC_NET || e->code == RC_TIMEOUT)
			p->lost = true;
		return -1;
	}
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status) {
			err_set(e, statuses[i].code, "%s: %s", p->name, e->text);
			if (statuses[i].hint != NULL)
				err_hint(e, "%s", statuses[i].hint);
			return -1;
		}
	return err_set(e, RC_REMOTE, "%s: %s", p->name, e->text);
}

/* --- steps that a plan and an undo share --- */

/* The loser is told who holds the lock, and since when. */
static int
say_owner(const struct push *p, const char *answer, struct err *e)
{
	struct host_status s;
	char since[16];

	host_status_parse(&s, answer);
	if (s.owner != NULL) {
		err_set(e, RC_LOCKED, "%s is pushing to %s%s%s; nothing was touched", clean(s.owner), p->name,
		    s.owner_since > 0 ? " since " : "", s.owner_since > 0 ? push_clock(since, s.owner_since) : "");
		err_hint(e, "wait until that is done; a console that died loses its lock by itself");
	}
	host_status_release(&s);
	return -1;
}

int
step_lock(struct push *p, struct err *e)
{
	struct str out = STR_INIT;
	char *who = push_who(), *recovered;
	int rc;

	talk_verb(p->t, "lock");
	talk_arg(p->t, who);
	rc = push_ask(p, &out, PUSH_UNDO_MS, e);
	if (rc != 0 && e != NULL && e->code == RC_LOCKED)
		say_owner(p, out.s, e);
	if (rc == 0 && (recovered = strstr(out.s, "recovered ")) != NULL)
		str_addf(&p->text, "%.*s", (int)strcspn(recovered, "\n"), recovered);
	str_release(&out);
	free(who);
	return rc;
}

int
step_ours(struct push *p, struct err *e)
{
	talk_verb(p->t, "ours");
	return push_ask(p, NULL, PUSH_ASK_MS, e);
}

/* Notes a list of listeners on the host; the undo timer looks at those of "before". */
static int
note(struct push *p, const char *name, const struct proof_want *v, size_t n, struct err *e)
{
	struct str text = STR_INIT;
	char sum[65];
	int rc;

	want_list_write(v, n, &text);
	sha256_hex(text.s, text.len, sum);
	talk_verb(p->t, "note");
	talk_arg(p->t, name);
	talk_arg(p->t, sum);
	talk_blob(p->t, text.s, text.len);
	rc = push_ask(p, NULL, PUSH_ASK_MS, e);
	str_release(&text);
	return rc;
}

int
step_arm(struct push *p, struct err *e)
{
	struct str out = STR_INIT;
	char seconds[24], at[16];
	long long deadline = 0;
	int rc;

	if (note(p, "wants", p->wants, p->n_wants, e) != 0 || note(p, "before", p->before.v, p->before.n, e) != 0)
		return -1;
	snprintf(seconds, sizeof(seconds), "%d", p->confirm_within);
	talk_verb(p->t, "arm");
	talk_arg(p->t, seconds);
	rc = push_ask(p, &out, PUSH_ASK_MS, e);
	if (rc == 0 && sscanf(out.s, "deadline %lld", &deadline) != 1)
		rc = err_set(e, RC_PARSE, "%s does not say when it will undo", p->name);
	str_release(&out);
	if (rc != 0)
		return -1;
	p->armed = true;
	p->undo_at = deadline;
	p->report->undo_at = deadline;
	str_addf(&p->text, "the host undoes by itself at %s unless this is kept", push_clock(at, deadline));
	return 0;
}

int
step_switch(struct push *p, struct err *e)
{
	int rc;

	p->switched = true;               /* from here on the answer may be lost and the switch done */
	talk_verb(p->t, "switch");
	rc = push_ask(p, NULL, PUSH_UNDO_MS, e);
	if (rc != 0 && !p->lost)
		p->switched = false;          /* the host refused, or put back what it had begun */
	return rc;
}

int
step_reload(struct push *p, struct err *e)
{
	talk_verb(p->t, "reload");
	return push_ask(p, NULL, PUSH_SERVE_MS, e);
}

int
step_keep(struct push *p, struct err *e)
{
	char at[16];

	if (!p->keep) {
		str_addf(&p->text, "waits for your word until %s", push_clock(at, p->undo_at));
		p->report->result = PUSH_WAITING;
		return 0;
	}
	talk_verb(p->t, "keep");
	if (push_ask(p, NULL, PUSH_ASK_MS, e) != 0)
		return -1;
	p->report->result = PUSH_KEPT;
	p->report->undo_at = 0;
	return 0;
}

/* --- carrying out --- */

static void
record(struct push *p, const char *name, const char *state, double seconds)
{
	str_addf(&p->report->steps, "%-7s %-4s %6.1f s  %s\n", name, state, seconds, p->text.s);
	job_step(p->ctx, p->step, name, state, seconds, "%s", p->text.s);
}

static int
run_step(struct push *p, const struct push_step *s, struct err *e)
{
	int64_t start = when_monotonic_ms();
	int rc;

	p->step++;
	str_reset(&p->text);
	job_step(p->ctx, p->step, s->name, "run", 0, "%s", "");
	rc = s->run(p, e);
	if (rc != 0) {
		str_reset(&p->text);
		str_add(&p->text, e->text);
	}
	record(p, s->name, rc == 0 ? "ok" : "fail", (double)(when_monotonic_ms() - start) / 1000);
	return rc;
}

static int
undo_files(struct push *p, struct err *e)
{
	struct str out = STR_INIT;
	char alive[16] = "";
	int rc;

	talk_verb(p->t, "undo");
	talk_arg(p->t, clean(p->to));
	rc = push_ask(p, &out, PUSH_UNDO_MS, e);
	if (rc == 0 && sscanf(out.s, "undone %*s %15s", alive) == 1 && strcmp(alive, "no") == 0)
		str_add(&p->text, "the listeners did not greet yet");
	str_release(&out);
	return rc;
}

/* The old state, proved; with stop and start when a reload was not enough. */
static int
prove_old(struct push *p, struct err *e)
{
	if (push_prove(p, p->before.v, p->before.n, PUSH_GRACE_MS, e) == 0)
		return 0;
	if (p->lost)
		return -1;
	talk_verb(p->t, "restart");
	if (push_ask(p, NULL, PUSH_SERVE_MS, e) != 0 && p->lost)
		return -1;
	str_add(&p->text, "after stop and start");
	return push_prove(p, p->before.v, p->before.n, PUSH_GRACE_MS, e) == 0 ? 0 : -1;
}

int
push_take_back(struct push *p, const char *why, struct err *e)
{
	static const struct push_step undo = { "undo", undo_files }, prove = { "proof", prove_old };
	struct err now;

	err_clear(&now);
	p->to = why;
	if (run_step(p, &undo, &now) == 0 && run_step(p, &prove, &now) == 0)
		return 0;
	p->report->result = PUSH_UNKNOWN;
	err_set(e, RC_UNKNOWN, "STATE OF %s UNKNOWN: %s; putting the old state back failed: %s", p->name, why, now.text);
	return err_hint(e, "look at the host itself; `mxseal status` says what its journal knows");
}

/* The connection broke after the switch was asked for. */
static int
lost_after_switch(struct push *p, struct err *e)
{
	char at[16];

	p->report->result = PUSH_UNKNOWN;
	err_set(e, RC_UNKNOWN, "STATE OF %s UNKNOWN: %s", p->name, e->text);
	return err_hint(e, "unless it was kept, the host undoes this push by itself at %s; then `mxseal status` tells",
	    push_clock(at, p->undo_at));
}

static int
failed(struct push *p, struct err *e)
{
	struct err why = *e;

	if (p->lost && p->switched)
		return lost_after_switch(p, e);
	if (!p->switched) {
		p->report->result = PUSH_REFUSED;
		if (p->lost)
			return err_hint(e, "nothing live was touched; the host removes what was sent by itself");
		if (p->begun) {
			talk_verb(p->t, "drop");
			(void)push_ask(p, NULL, PUSH_ASK_MS, NULL);
		}
		return -1;
	}
	if (push_take_back(p, why.text, e) != 0)
		return -1;
	p->report->result = PUSH_UNDONE;
	p->report->undo_at = 0;
	err_set(e, RC_UNDONE, "%s; undone: the old state of %s is back and proved", why.text, p->name);
	return why.hint[0] != '\0' ? err_hint(e, "%s", why.hint) : -1;
}

int
push_run(struct push *p, const struct push_step *steps, size_t n, struct err *e)
{
	struct err mine;

	if (e == NULL)
		e = &mine;
	err_clear(e);
	if (talk_open(&p->t, p->h, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int rc = 0;

		if (job_cancelled(p->ctx))
			rc = err_set(e, RC_CANCELLED, "cancelled before \"%s\"", steps[i].name);
		if (rc != 0 || run_step(p, &steps[i], e) != 0)
			return failed(p, e);
	}
	return 0;
}
