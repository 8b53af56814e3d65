/* plan, push, keep, undo, status, drift. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

struct plan_arg { int64_t server; struct plan *plan; };

static int64_t
plan_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct plan_arg *p = arg;

	plan_release(p->plan);
	plan_init(p->plan);
	return plan_make(c->j, p->server, p->plan, done, done_arg, e);
}

static int
plan_of(struct cli *c, const struct server *sv, struct plan *out, struct err *e)
{
	struct plan_arg p = { sv->id, out };

	c->server = sv->name;
	return cli_job(c, sv->id, plan_start, &p, e);
}

static void
plan_print(const struct plan *p)
{
	struct str text = STR_INIT;

	plan_render(p, &text);
	out_text(text.s);
	str_release(&text);
}

/* Does each server in turn; the first error ends it, after the others have been named. */
typedef int one_fn(struct cli *c, const struct server *sv, const struct args *a, struct err *e);

static int
each_server(struct cli *c, const struct args *a, one_fn *one, struct err *e)
{
	struct server_list l = { NULL, 0 };
	struct err first = { .code = RC_OK }, now;
	size_t i;
	int rc = cli_servers(c, a, &l, e);

	for (i = 0; i < l.n && rc == 0; i++)
		if (one(c, &l.v[i], a, &now) == -1) {
			if (now.code != RC_FINDINGS && l.n > 1)
				fprintf(stderr, "mxseal: %s: %s\n", l.v[i].name, clean(now.text));
			if (first.code == RC_OK || first.code == RC_FINDINGS)
				first = now;
		}
	server_list_release(&l);
	if (rc == 0 && first.code != RC_OK) {
		*e = first;
		rc = -1;
	}
	return rc;
}

static int
plan_one(struct cli *c, const struct server *sv, const struct args *a, struct err *e)
{
	struct plan p;
	int rc;

	(void)a;
	plan_init(&p);
	rc = plan_of(c, sv, &p, e);
	if (rc == 0 && c->json)
		out_json(plan_json(&p));
	else if (rc == 0)
		plan_print(&p);
	plan_release(&p);
	return rc;
}

int
cmd_plan(struct cli *c, const struct args *a, struct err *e)
{
	return each_server(c, a, plan_one, e);
}

/* --- push --- */

struct push_arg { int64_t server; const struct plan *plan; struct push_options o; struct push_report report; };

static int64_t
apply_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct push_arg *p = arg;

	push_report_release(&p->report);
	memset(&p->report, 0, sizeof(p->report));
	str_init(&p->report.steps, 0);
	return push_start(c->j, p->server, p->plan, &p->o, &p->report, done, done_arg, e);
}

static void
mail_print(const struct push_mail *m)
{
	struct str text = STR_INIT;

	if (m->watched) {
		push_mail_text(m, &text);
		printf("mail: %s\n", clean(text.s));
	}
	str_release(&text);
}

static void
result_print(struct cli *c, const struct server *sv, const struct push_report *r, const char *result)
{
	char stamp[32];
	size_t i;

	if (c->json) {
		out_json(json_pack("{s:o,s:s,s:I,s:o,s:o,s:o}", "server", json_text(sv->name), "result", result, "generation",
		    (json_int_t)r->generation, "proof", proofs_json(r), "undo_at", json_when(r->undo_at), "mail", mail_json(&r->mail)));
		return;
	}
	for (i = 0; i < r->n_proofs; i++)
		printf("%s %s: %s %s %s\n", r->proofs[i].ok ? "ok" : "!", clean(r->proofs[i].listen), clean(r->proofs[i].protocol),
		    r->proofs[i].sha256, clean(r->proofs[i].text));
	mail_print(&r->mail);
	printf("%s: %s", sv->name, result);
	if (r->generation > 0)
		printf(", generation %lld", (long long)r->generation);
	if (r->undo_at > 0) {
		when_rfc3339(stamp, r->undo_at);
		printf("; the host puts the old files back at %s unless you run: mxseal keep %s", stamp, sv->name);
	}
	putchar('\n');
}

/* The word for a push that failed, by the status it ends with. */
static const char *
failed_word(const struct err *e)
{
	switch (err_exit_status(e->code)) {
	case 3: return "unreachable";
	case 5: return "undone";
	case 4: return "refused";
	default: return "unknown";
	}
}

static int
push_one(struct cli *c, const struct server *sv, const struct args *a, struct err *e)
{
	struct plan p;
	struct push_arg arg = { .server = sv->id, .plan = &p, .o = { .confirm_within = 120, .keep = !args_has(a, "no-keep") } };
	bool yes = args_has(a, "yes") || args_has(a, "use");
	int rc;

	plan_init(&p);
	str_init(&arg.report.steps, 0);
	if (args_has(a, "watch"))
		arg.o.watch = atoi(args_get(a, "watch"));
	if (args_has(a, "confirm-within"))
		arg.o.confirm_within = atoi(args_get(a, "confirm-within"));
	if (arg.o.confirm_within < 3 || arg.o.confirm_within > 86400) {
		rc = err_set(e, RC_USAGE, "--confirm-within takes 3 to 86400 seconds");
		goto out;
	}
	if (arg.o.watch != 0 && (arg.o.watch < 0 || arg.o.watch > arg.o.confirm_within - 15)) {
		rc = err_set(e, RC_USAGE, "--watch takes seconds, at least 15 less than --confirm-within (%d)", arg.o.confirm_within);
		goto out;
	}
	rc = plan_of(c, sv, &p, e);
	if (rc == -1)
		goto out;
	if (!c->json)
		plan_print(&p);
	if (!yes && !plan_is_empty(&p)) {
		rc = cli_confirm(c, &yes, e, "Apply this to %s?", sv->name);
		if (rc == -1)
			goto out;
		if (!yes) {
			rc = err_set(e, RC_CANCELLED, "nothing was touched");
			goto out;
		}
	}
	c->server = sv->name;
	c->stream_steps = c->json;
	rc = cli_job(c, sv->id, apply_start, &arg, e);
	c->stream_steps = false;
	result_print(c, sv, &arg.report, rc == 0 ? push_result_name(arg.report.result) : failed_word(e));
out:
	plan_release(&p);
	push_report_release(&arg.report);
	return rc;
}

int
cmd_push(struct cli *c, const struct args *a, struct err *e)
{
	struct server_list l = { NULL, 0 };
	size_t i;
	int rc = cli_servers(c, a, &l, e);

	/* one after the other: the first is the canary, and the first that fails stops the rest */
	for (i = 0; i < l.n && rc == 0; i++)
		rc = push_one(c, &l.v[i], a, e);
	if (rc == -1 && i < l.n)
		fprintf(stderr, "mxseal: stopped; %zu servers were not started\n", l.n - i);
	server_list_release(&l);
	return rc;
}

int
push_server(struct cli *c, const char *name, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	int rc = cli_server(c, name, &sv, e);

	if (rc == 0)
		rc = push_one(c, &sv, a, e);
	server_release(&sv);
	return rc;
}

/* --- keep, undo, status --- */

static int64_t
keep_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	return push_confirm(c->j, *(int64_t *)arg, done, done_arg, e);
}

int
cmd_keep(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0)
		rc = cli_job(c, sv.id, keep_start, &sv.id, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:s}", "server", json_text(sv.name), "result", "kept"));
	else if (rc == 0)
		printf("%s: kept\n", sv.name);
	server_release(&sv);
	return rc;
}

struct undo_arg { int64_t server, to; struct push_report report; };

static int64_t
undo_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct undo_arg *u = arg;

	push_report_release(&u->report);
	memset(&u->report, 0, sizeof(u->report));
	str_init(&u->report.steps, 0);
	return push_revert(c->j, u->server, u->to, &u->report, done, done_arg, e);
}

static int
undo_to(const struct args *a, int64_t *to, struct err *e)
{
	const char *text = args_get(a, "to");
	char *end;

	if (text == NULL)
		return 0;
	*to = strtoll(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0')
		return err_set(e, RC_USAGE, "--to takes the number of a generation, not %s", clean(text));
	if (*to == 0)
		*to = PUSH_UNDO_ALL;
	return 0;
}

int
cmd_undo(struct cli *c, const struct args *a, struct err *e)
{
	struct undo_arg u = { .to = 0 };
	struct server sv = { .id = 0 };
	int rc = undo_to(a, &u.to, e) == 0 ? cli_server(c, a->words[0], &sv, e) : -1;

	str_init(&u.report.steps, 0);
	u.server = sv.id;
	if (rc == 0) {
		c->server = sv.name;
		rc = cli_job(c, sv.id, undo_start, &u, e);
	}
	if (rc == 0)
		result_print(c, &sv, &u.report, "undone");
	push_report_release(&u.report);
	server_release(&sv);
	return rc;
}

struct status_arg { int64_t server; struct push_status s; };

static int64_t
status_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct status_arg *s = arg;

	push_status_release(&s->s);
	memset(&s->s, 0, sizeof(s->s));
	str_init(&s->s.generations, 0);
	str_init(&s->s.journal, 0);
	return push_state(c->j, s->server, &s->s, done, done_arg, e);
}

static int
status_one(struct cli *c, const struct server *sv, const struct args *a, struct err *e)
{
	struct status_arg s = { .server = sv->id };
	char stamp[32];
	int rc;

	(void)a;
	str_init(&s.s.generations, 0);
	str_init(&s.s.journal, 0);
	rc = cli_job(c, sv->id, status_start, &s, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "server", json_text(sv->name), "state", json_text(s.s.state),
		    "generation", (json_int_t)s.s.generation, "undo_at", json_when(s.s.undo_at), "owner", json_text(s.s.owner),
		    "recovered", json_text(s.s.recovered), "generations", json_text(s.s.generations.s),
		    "mail", mail_json(&s.s.mail), "undone", json_text(s.s.undone)));
	else if (rc == 0) {
		printf("%s: %s, generation %lld", sv->name, clean(s.s.state), (long long)s.s.generation);
		if (s.s.undo_at > 0) {
			when_rfc3339(stamp, s.s.undo_at);
			printf(", undone by the host at %s unless kept", stamp);
		}
		printf("%s%s\n", s.s.owner ? ", locked by " : "", s.s.owner ? clean(s.s.owner) : "");
		if (s.s.recovered != NULL)
			printf("  recovered: %s\n", clean(s.s.recovered));
		if (strcmp(s.s.state, "waiting") == 0)
			mail_print(&s.s.mail);
		out_text(s.s.generations.s);
	}
	/* what was left waiting and did not stay is not good news, whoever asks for it first */
	if (rc == 0 && s.s.undone != NULL)
		rc = err_set(e, RC_UNDONE, "%s", s.s.undone);
	push_status_release(&s.s);
	return rc;
}

int
cmd_status(struct cli *c, const struct args *a, struct err *e)
{
	return each_server(c, a, status_one, e);
}

static int
drift_one(struct cli *c, const struct server *sv, const struct args *a, struct err *e)
{
	struct plan p;
	int rc;

	(void)a;
	plan_init(&p);
	rc = plan_of(c, sv, &p, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:b,s:o}", "server", json_text(sv->name), "drift", !plan_is_empty(&p), "plan", plan_json(&p)));
	else if (rc == 0 && plan_is_empty(&p))
		printf("%s: as wanted\n", sv->name);
	else if (rc == 0)
		plan_print(&p);
	if (rc == 0 && !plan_is_empty(&p))
		rc = err_set(e, RC_FINDINGS, "%s differs from what is wanted", sv->name);
	plan_release(&p);
	return rc;
}

int
cmd_drift(struct cli *c, const struct args *a, struct err *e)
{
	return each_server(c, a, drift_one, e);
}
