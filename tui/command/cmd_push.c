/* plan, push, keep, undo, status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

static int64_t
plan_start(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return plan_make(fleet_journey(h->fleet), h->server, &fleet_options(h->fleet)->push.plan, &h->plan, done, arg, e);
}

static void
plan_print(const struct plan *p)
{
	struct str text = STR_INIT;

	plan_render(p, &text);
	out_text(text.s);
	str_release(&text);
}

static int
plan_one(struct cli *c, struct fleet_host *h, const struct args *a, struct err *e)
{
	(void)a, (void)e;
	if (c->json)
		out_json(plan_json(&h->plan));
	else
		plan_print(&h->plan);
	return 0;
}

int
cmd_plan(struct cli *c, const struct args *a, struct err *e)
{
	return cli_each(c, a, "plan", plan_start, plan_one, e);
}

/* --- push --- */

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
result_print(struct cli *c, const char *server, const struct push_report *r, const char *result)
{
	char stamp[32];
	size_t i;

	if (c->json) {
		out_json(json_pack("{s:o,s:s,s:I,s:o,s:o,s:o}", "server", json_text(server), "result", result, "generation",
		    (json_int_t)r->generation, "proof", proofs_json(r), "undo_at", json_when(r->undo_at), "mail", mail_json(&r->mail)));
		return;
	}
	for (i = 0; i < r->n_proofs; i++)
		printf("%s %s: %s %s %s\n", r->proofs[i].ok ? "ok" : "!", clean(r->proofs[i].listen), clean(r->proofs[i].protocol),
		    r->proofs[i].sha256, clean(r->proofs[i].text));
	mail_print(&r->mail);
	printf("%s: %s", server, result);
	if (r->generation > 0)
		printf(", generation %lld", (long long)r->generation);
	if (r->undo_at > 0) {
		when_rfc3339(stamp, r->undo_at);
		printf("; the host puts the old files back at %s unless you run: mxseal keep %s", stamp, server);
	}
	putchar('\n');
}

/* --- push: all plans, one question, then the fleet --- */

struct pushing {
	const struct args *a;
	bool pushes;                  /* the plans are over */
	size_t shown;                 /* plans, in their order */
	double seconds;
};

/* Plans stand in the order of the servers; results as they come. */
static void
push_ended(struct cli *c, struct fleet_host *h, void *arg)
{
	struct pushing *p = arg;
	struct fleet *f = h->fleet;

	for (; !p->pushes && p->shown < fleet_size(f) && fleet_nth(f, p->shown)->state == FLEET_DONE; p->shown++)
		if (!c->json && fleet_nth(f, p->shown)->rc == 0)
			plan_print(&fleet_nth(f, p->shown)->plan);
	if (!p->pushes)
		return;
	if (h->rc != 0 && fleet_size(f) > 1)
		fprintf(stderr, "mxseal: %s: %s\n", h->name, clean(h->err.text));
	result_print(c, h->name, &h->report, h->result);
	(void)fflush(stdout);
}

/* Is there anything to ask about, and does the person say yes? */
static int
confirm(struct cli *c, const struct args *a, struct fleet *f, struct err *e)
{
	bool yes = args_has(a, "yes") || args_has(a, "use") || args_has(a, "renew") || args_has(a, "retire");
	const char *first = NULL;
	size_t i, n = 0;

	for (i = 0; i < fleet_size(f); i++) {
		const struct fleet_host *h = fleet_nth(f, i);

		if (h->rc != 0 || plan_is_empty(&h->plan) || plan_is_refused(&h->plan))
			continue;
		first = first == NULL ? h->name : first;
		n++;
	}
	if (n == 0 || yes)
		return 0;
	if ((n == 1 ? cli_confirm(c, &yes, e, "Apply this to %s?", first) : cli_confirm(c, &yes, e, "Apply this to %zu servers, %s "
	    "first, then %zu at a time?", n, first, fleet_options(f)->at_once)) == -1)
		return -1;
	return yes ? 0 : err_set(e, RC_CANCELLED, "nothing was touched");
}

static const char *const result_words[] = { "kept", "waiting", "unchanged", "undone", "refused", "unreachable", "unknown",
    "not-started" };
#define RESULT_WORDS (sizeof(result_words) / sizeof(result_words[0]))

/* The last word over many: who ended how. status: what the program will end with. */
static void
summary_print(struct cli *c, const struct fleet *f, int status)
{
	static const char *const head[] = { "SERVER", "RESULT", "GENERATION", "WHY" };
	struct table t = { .head = head, .columns = 4 };
	size_t counts[RESULT_WORDS] = { 0 };
	json_t *summary;

	for (size_t i = 0; i < fleet_size(f); i++) {
		const struct fleet_host *h = fleet_nth(f, i);

		for (size_t k = 0; k < RESULT_WORDS; k++)
			counts[k] += strcmp(h->result, result_words[k]) == 0;
		table_cell(&t, "%s", h->name);
		table_cell(&t, "%s", h->result);
		if (h->report.generation > 0)
			table_cell(&t, "%lld", (long long)h->report.generation);
		else
			table_cell(&t, "-");
		table_cell(&t, "%s", h->rc != 0 ? h->err.text : "");
	}
	table_print_unless(&t, c->json);
	if (c->json) {
		summary = json_pack("{s:I}", "servers", (json_int_t)fleet_size(f));
		for (size_t k = 0; k < RESULT_WORDS; k++)
			json_object_set_new(summary, result_words[k], json_integer((json_int_t)counts[k]));
		out_json(json_pack("{s:o,s:i}", "summary", summary, "status", status));
		return;
	}
	printf("%zu servers:", fleet_size(f));
	for (size_t k = 0, said = 0; k < RESULT_WORDS; k++)
		if (counts[k] > 0)
			printf("%s %zu %s", said++ > 0 ? "," : "", counts[k], result_words[k]);
	putchar('\n');
}

/* Those that never began have their line too. */
static void
rest_print(struct cli *c, const struct fleet *f)
{
	for (size_t i = 0; i < fleet_size(f); i++)
		if (fleet_nth(f, i)->state == FLEET_WAITS)
			result_print(c, fleet_nth(f, i)->name, &fleet_nth(f, i)->report, fleet_nth(f, i)->result);
}

static int
push_options_of(const struct args *a, struct fleet_options *o, struct err *e)
{
	*o = (struct fleet_options){ .at_once = cli_at_once(a, FLEET_AT_ONCE, e), .leave = true,
	    .push = { .confirm_within = 120, .keep = !args_has(a, "no-keep"), .plan = { .no_shadow = args_has(a, "no-shadow") } } };
	if (o->at_once == 0)
		return -1;
	if (args_has(a, "watch") && cli_number(args_get(a, "watch"), "--watch", 0, 86400, &o->push.watch, e) == -1)
		return -1;
	if (args_has(a, "confirm-within") && cli_number(args_get(a, "confirm-within"), "--confirm-within", 3, 86400, &o->push.confirm_within, e) == -1)
		return -1;
	if (o->push.watch != 0 && (o->push.watch > o->push.confirm_within - 15))
		return err_set(e, RC_USAGE, "--watch takes seconds, at least 15 less than --confirm-within (%d)", o->push.confirm_within);
	return 0;
}

static int
push_servers(struct cli *c, const struct server_list *l, const struct args *a, struct err *e)
{
	struct follows stuck = { NULL, 0 };
	struct fleet_options o;
	struct pushing p = { .a = a };
	struct err worst = { .code = RC_OK };
	struct fleet *f;
	int rc = push_options_of(a, &o, e);

	if (rc == -1 || l->n == 0)
		return rc;
	f = cli_fleet(c, l, &o, push_ended, &p);
	if (args_has(a, "canary"))
		rc = fleet_canary(f, args_get(a, "canary"), e);
	if (rc == 0) {
		fleet_plan(f);
		cli_fleet_wait(c, f);
		rc = confirm(c, a, f, e);
	}
	if (rc == 0) {
		for (size_t i = 0; i < fleet_size(f); i++)
			if (fleet_nth(f, i)->rc == 0 && !plan_is_empty(&fleet_nth(f, i)->plan))
				follows_take(c, fleet_nth(f, i)->server, fleet_nth(f, i)->name, false, &stuck);
		p.pushes = true;
		c->stream_steps = c->json;
		fleet_push(f);
		cli_fleet_wait(c, f);
		c->stream_steps = false;
		rc = fleet_worst(f, &worst);
		for (size_t i = 0; i < fleet_size(f); i++)
			if (fleet_nth(f, i)->state == FLEET_DONE && text_eq(fleet_nth(f, i)->result, "kept"))
				follows_out(c, fleet_nth(f, i)->server, fleet_nth(f, i)->name, &stuck);
		follows_release(&stuck);
		rest_print(c, f);
		if (l->n > 1)
			summary_print(c, f, rc == 0 ? 0 : err_exit_status(worst.code));
		if (rc == -1)
			*e = worst;
		if (rc == -1 && l->n > 1)
			(void)err_hint(e, "mxseal push --retry takes those that are not done");
	}
	cli_fleet_free(c, f);
	return rc;
}

int
cmd_push(struct cli *c, const struct args *a, struct err *e)
{
	struct server_list l = { NULL, 0 };
	int rc;

	if (!args_has(a, "retry"))
		rc = cli_servers(c, a, &l, e);
	else if (a->n > 0)
		rc = err_set(e, RC_USAGE, "--retry takes those of the last push that are not done; name no others");
	else
		rc = push_retry_servers(c->j, &l, e);
	if (rc == 0 && l.n == 0 && !c->json)
		puts(args_has(a, "retry") ? "nothing is left of the last push" : "there is no server");
	if (rc == 0)
		rc = push_servers(c, &l, a, e);
	server_list_release(&l);
	return rc;
}

int
push_server(struct cli *c, const char *name, const struct args *a, struct err *e)
{
	struct server_list l = { NULL, 0 };
	int rc = cli_server(c, name, server_list_add(&l), e);

	if (rc == 0)
		rc = push_servers(c, &l, a, e);
	server_list_release(&l);
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
	struct follows stuck = { NULL, 0 };
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0) {
		follows_take(c, sv.id, sv.name, true, &stuck);
		rc = cli_job(c, sv.id, keep_start, &sv.id, e);
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:s}", "server", json_text(sv.name), "result", "kept"));
	else if (rc == 0)
		printf("%s: kept\n", sv.name);
	if (rc == 0)
		follows_out(c, sv.id, sv.name, &stuck);
	follows_release(&stuck);
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
		result_print(c, sv.name, &u.report, "undone");
	push_report_release(&u.report);
	server_release(&sv);
	return rc;
}

static int64_t
status_start(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return push_state(fleet_journey(h->fleet), h->server, &h->status, done, arg, e);
}

static void
status_print(const char *name, const struct push_status *s)
{
	char stamp[32];

	printf("%s: %s, generation %lld", name, clean(s->state), (long long)s->generation);
	if (s->undo_at > 0) {
		when_rfc3339(stamp, s->undo_at);
		printf(", undone by the host at %s unless kept", stamp);
	}
	printf("%s%s\n", s->owner ? ", locked by " : "", s->owner ? clean(s->owner) : "");
	if (s->recovered != NULL)
		printf("  recovered: %s\n", clean(s->recovered));
	if (strcmp(s->state, "waiting") == 0)
		mail_print(&s->mail);
	out_text(s->generations.s);
}

static int
status_one(struct cli *c, struct fleet_host *h, const struct args *a, struct err *e)
{
	const struct push_status *s = &h->status;

	(void)a;
	if (c->json) {
		out_json(json_pack("{s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "server", json_text(h->name), "state", json_text(s->state),
		    "generation", (json_int_t)s->generation, "undo_at", json_when(s->undo_at), "owner", json_text(s->owner),
		    "recovered", json_text(s->recovered), "generations", json_text(s->generations.s),
		    "mail", mail_json(&s->mail), "undone", json_text(s->undone)));
	} else
		status_print(h->name, s);
	/* what was left waiting and did not stay is not good news, whoever asks for it first */
	return s->undone != NULL ? err_set(e, RC_UNDONE, "%s", s->undone) : 0;
}

int
cmd_status(struct cli *c, const struct args *a, struct err *e)
{
	return cli_each(c, a, "status", status_start, status_one, e);
}
