/* A plan carried out: the steps of a push. What can fail is said in steps.c; the host's half is core/host/host_script.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

/* The live files must be as the plan knew them: what it changes, and what its base names. */
static int
step_base(struct push *p, struct err *e)
{
	const struct plan *plan = p->plan;
	struct str out = STR_INIT;
	const char *line;
	size_t n = 0;
	int rc;

	talk_verb(p->t, "base");
	for (size_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].is_switch) {
			talk_arg(p->t, plan->changes[i].path);
			n++;
		}
	rc = push_ask(p, &out, PUSH_ASK_MS, e);
	line = out.s;
	for (size_t i = 0; rc == 0 && i < plan->n_changes; i++) {
		const struct change *c = &plan->changes[i];
		char want[65] = "-";

		if (!c->is_switch)
			continue;
		if (c->action != CHANGE_CREATE)
			sha256_hex(c->before.s, c->before.len, want);
		if (strncmp(line, want, strlen(want)) != 0 || line[strlen(want)] != ' ') {
			rc = err_set(e, RC_CONFLICT, "%s on %s is not as it was when the plan was made; nothing was touched",
			    clean(c->path), p->name);
			err_hint(e, "look at the plan again: it is made anew from what is there now");
		}
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : "";
	}
	str_addf(&p->text, "%zu live file%s as the plan knows %s", n, n == 1 ? " is" : "s are", n == 1 ? "it" : "them");
	str_release(&out);
	return rc;
}

static const char *const kinds[] = { [CHANGE_EDIT] = "edit", [CHANGE_CREATE] = "create", [CHANGE_REMOVE] = "remove" };

static int
save_one(struct push *p, const struct change *c, struct err *e)
{
	char sum[65] = "-", mode[16];

	if (c->action != CHANGE_CREATE)
		sha256_hex(c->before.s, c->before.len, sum);
	snprintf(mode, sizeof(mode), "%04o", c->mode & 0777);
	talk_verb(p->t, "save");
	talk_arg(p->t, kinds[c->action]);
	talk_arg(p->t, c->path);
	talk_arg(p->t, sum);
	talk_arg(p->t, mode);
	return push_ask(p, NULL, PUSH_ASK_MS, e);
}

static int
step_save(struct push *p, struct err *e)
{
	char number[24], *who = push_who();
	size_t n = 0;
	int rc;

	snprintf(number, sizeof(number), "%lld", (long long)p->plan->generation);
	talk_verb(p->t, "begin");
	talk_arg(p->t, number);
	talk_arg(p->t, who);
	talk_arg(p->t, p->plan->config_dir);
	rc = push_ask(p, NULL, PUSH_ASK_MS, e);
	free(who);
	p->begun = rc == 0;
	for (size_t i = 0; rc == 0 && i < p->plan->n_changes; i++)
		if (p->plan->changes[i].is_switch) {
			rc = save_one(p, &p->plan->changes[i], e);
			n++;
		}
	str_addf(&p->text, "%zu file%s saved as %s", n, n == 1 ? "" : "s", n == 1 ? "it is" : "they are");
	return rc;
}

static int
upload_one(struct push *p, const struct change *c, struct err *e)
{
	char sum[65], mode[16];

	if (c->action == CHANGE_REMOVE)
		return 0;
	sha256_hex(c->after.s, c->after.len, sum);
	if (c->key_path != NULL) {
		if (c->is_switch)
			return err_set(e, RC_BUG, "%s holds a key and is not part of a generation", clean(c->path));
		talk_verb(p->t, "chain");
		talk_arg(p->t, c->path);
		talk_arg(p->t, c->key_path);
	} else {
		snprintf(mode, sizeof(mode), "%04o", c->mode & 0777);
		talk_verb(p->t, "put");
		talk_arg(p->t, c->path);
		talk_arg(p->t, mode);
	}
	talk_arg(p->t, sum);
	talk_blob(p->t, c->after.s, c->after.len);
	return push_ask(p, NULL, PUSH_ASK_MS, e);
}

/* A key goes first: the chain files are put together from it on the host. */
static int
upload_key(struct push *p, const struct plan_key *k, struct err *e)
{
	char sum[65];

	if (!secret_is_set(&k->pem))
		return err_set(e, RC_BUG, "the key %s is not at hand", k->path);
	sha256_hex(k->pem.mem, k->pem.len, sum);
	talk_verb(p->t, "key_put");
	talk_arg(p->t, k->path);
	talk_arg(p->t, sum);
	talk_blob(p->t, k->pem.mem, k->pem.len);
	return push_ask(p, NULL, PUSH_ASK_MS, e);
}

static int
step_upload(struct push *p, struct err *e)
{
	size_t bytes = 0;

	for (size_t i = 0; i < p->plan->n_keys; i++)
		if (upload_key(p, &p->plan->keys[i], e) != 0)
			return -1;
	for (size_t i = 0; i < p->plan->n_changes; i++) {
		if (upload_one(p, &p->plan->changes[i], e) != 0)
			return -1;
		bytes += p->plan->changes[i].after.len;
	}
	str_addf(&p->text, "%zu file%s, %zu bytes", p->plan->n_changes, p->plan->n_changes == 1 ? "" : "s", bytes);
	return 0;
}

static int
ask_words(struct push *p, const char *verb, const char *first, char **argv, struct str *out, int timeout_ms, struct err *e)
{
	talk_verb(p->t, verb);
	talk_arg(p->t, first);
	for (; *argv != NULL; argv++)
		talk_arg(p->t, *argv);
	return push_ask(p, out, timeout_ms, e);
}

static int
tell_commands(struct push *p, const char *list, const struct command_list *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		if (ask_words(p, "how", list, l->v[i].argv, NULL, PUSH_ASK_MS, e) != 0)
			return -1;
	return 0;
}

static int
step_check(struct push *p, struct err *e)
{
	const struct plan *plan = p->plan;

	if (step_ours(p, e) != 0)
		return -1;
	for (size_t i = 0; i < plan->checks.n; i++) {
		const char *name = plan->checks.v[i].name;

		job_say(p->ctx, "checking on %s: %s", p->name, name);
		if (ask_words(p, "check", name, plan->checks.v[i].argv, NULL, PUSH_CHECK_MS, e) != 0)
			return -1;
	}
	if (tell_commands(p, "reload", &plan->reload, e) != 0 || tell_commands(p, "restart", &plan->restart, e) != 0 ||
	    tell_commands(p, "watch", &plan->watch, e) != 0)
		return -1;
	str_addf(&p->text, "%zu checks of the mail system and ours", plan->checks.n);
	return step_baseline(p, e);
}

static const struct push_step steps[] = {
	{ "lock", step_lock },
	{ "base", step_base },
	{ "save", step_save },
	{ "upload", step_upload },
	{ "check", step_check },
	{ "arm", step_arm },
	{ "switch", step_switch },
	{ "reload", step_reload },
	{ "probe", step_probe },
	{ "watch", step_watch },
	{ "keep", step_keep },
};

/* What a plan says about itself before anybody is asked. */
static int
plan_fit(const struct plan *plan, const char *name, struct err *e)
{
	for (size_t i = 0; i < plan->n_results; i++)
		if (!plan->results[i].ok)
			return err_set(e, RC_CHECK, "%s: check \"%s\": %s; nothing was touched", name, clean(plan->results[i].name),
			    clean(plan->results[i].text));
	if (plan->generation <= 0 || text_empty(plan->config_dir))
		return err_set(e, RC_BUG, "the plan for %s has no generation or no directory", name);
	return 0;
}

int
push_apply(const struct plan *plan, struct host *h, const struct push_options *o, struct job_ctx *ctx,
    struct push_report *report, struct err *e)
{
	struct push p;
	int rc;

	push_begin(&p, h, ctx, report);
	if (!text_empty(plan->server_name))
		p.name = plan->server_name;
	p.plan = plan;
	p.wants = plan->wants;
	p.n_wants = plan->n_wants;
	p.keep = o->keep;
	p.watch = o->watch;
	p.confirm_within = o->confirm_within > 0 ? o->confirm_within : PUSH_CONFIRM;
	report->generation = plan->generation;
	if (plan_is_empty(plan)) {
		report->result = PUSH_UNCHANGED;
		str_add(&report->steps, "nothing to change\n");
		push_end(&p);
		return 0;
	}
	rc = plan_fit(plan, p.name, e);
	if (rc == 0)
		rc = push_run(&p, steps, sizeof(steps) / sizeof(steps[0]), e);
	push_end(&p);
	return rc;
}
