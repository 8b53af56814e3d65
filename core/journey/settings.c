/* The story of settings: kept in the store, planned against a fresh reading, pushed, proved, kept or undone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/log.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

/* --- what is wanted --- */

/* One edit: known, meant for this mail system, well formed. normal gets NULL for "remove". */
static int
edit_check(const struct mailsys *m, bool is_default, const char *name, const char *value, char **normal, struct err *e)
{
	const struct setting *s = setting_find(name);
	const char *why;
	struct str text = STR_INIT;

	if (s == NULL) {
		err_set(e, RC_INVALID, "there is no setting \"%s\"", clean(name));
		return err_hint(e, "mxseal vs set --help lists them");
	}
	*normal = NULL;
	if (*value == '\0')
		return 0;
	why = m != NULL && m->declines != NULL ? m->declines(name, is_default) : NULL;
	if (why != NULL)
		return err_set(e, RC_INVALID, "%s: %s", name, why);
	if (setting_check(s, value, &text, e) == -1) {
		str_release(&text);
		return -1;
	}
	*normal = str_take(&text);
	return 0;
}

int
vserver_set(struct journey *j, int64_t vserver, const char *const *names, const char *const *values, size_t n, struct err *e)
{
	char **normal = xcalloc(n + 1, sizeof(char *)), *name = vserver_full_name(j, vserver), *row;
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	struct str text = STR_INIT;
	size_t i;
	int rc = -1;

	if (store_vserver_get(j->store, vserver, &vs, e) == -1 || store_server_get(j->store, vs.server, &sv, e) == -1)
		goto out;
	for (i = 0; i < n; i++) {
		if (edit_check(mailsys_find(sv.mailsys ? sv.mailsys : "postfix"), vs.is_default, names[i], values[i], &normal[i], e) == -1)
			goto out;
		str_addf(&text, "%s%s=%s", i ? " " : "", names[i], normal[i] ? normal[i] : "");
	}
	rc = store_edit_begin(j->store, e);
	if (rc == -1)
		goto out;
	for (i = 0; i < n && rc == 0; i++)
		rc = store_wanted_set(j->store, "vs", vserver, names[i], normal[i], e);
	row = xasprintf("%s: %s", vs.name, text.s);
	if (rc == 0)
		rc = note_activity(j, sv.name, "settings", 0, e, row);
	free(row);
	rc = store_edit_end(j->store, rc, e, "%s: %s", name, text.s);
out:
	for (i = 0; i < n; i++)
		free(normal[i]);
	free(normal);
	free(name);
	vserver_release(&vs);
	server_release(&sv);
	str_release(&text);
	return rc;
}

void
native_lines(struct journey *j, int64_t vserver, const char *setting, const char *value, struct str *out)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	const struct mailsys *m;

	if (store_vserver_get(j->store, vserver, &vs, NULL) == 0 && store_server_get(j->store, vs.server, &sv, NULL) == 0) {
		m = mailsys_find(sv.mailsys ? sv.mailsys : "postfix");
		if (m != NULL)
			(void)m->native(setting, value, vs.is_default, out, NULL);
	}
	vserver_release(&vs);
	server_release(&sv);
}

bool
setting_declined(struct journey *j, int64_t vserver, const char *setting, struct str *why)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	const struct mailsys *m;
	const char *text = NULL;

	if (store_vserver_get(j->store, vserver, &vs, NULL) == 0 && store_server_get(j->store, vs.server, &sv, NULL) == 0) {
		m = mailsys_find(sv.mailsys ? sv.mailsys : "postfix");
		text = m != NULL && m->declines != NULL ? m->declines(setting, vs.is_default) : NULL;
		if (text != NULL)
			str_add(why, text);
	}
	vserver_release(&vs);
	server_release(&sv);
	return text != NULL;
}

/* --- plan and push: one job struct for both --- */

struct pushing {
	struct wanted_host wanted;
	char *roots;                     /* authorities of our own: the proof may trust them */
	struct drift_facts *facts;       /* what was pushed last, what is left as it is there */
	char *pushed;                    /* what this push carried there */
	char *frees;                     /* whose mail it may set free */
	struct wanted_host asked;        /* all that is wanted, with what is left as it is */
	struct open_keys keys;           /* that live here and that the host may not have */
	struct looked looked;            /* before; after a push: how the host is now */
	struct plan plan;
	bool have_plan;
	char *shown_base;                /* the plan must still be made from this ... */
	char *shown_sum;                 /* ... and change the same */
	struct push_options options;
	struct push_report report;
	struct push_record record;
	int64_t undo_to;
	struct push_status status;
	bool recover;                    /* may finish or reverse what a broken push left there */
	struct plan *plan_out;
	struct push_report *report_out;
	struct push_status *status_out;
};

static void
pushing_free(void *data)
{
	struct pushing *p = data;

	wanted_free(&p->wanted);
	wanted_free(&p->asked);
	drift_facts_free(p->facts);
	free(p->pushed);
	free(p->frees);
	open_keys_release(&p->keys);
	looked_release(&p->looked);
	plan_release(&p->plan);
	push_report_release(&p->report);
	push_record_release(&p->record);
	push_status_release(&p->status);
	free(p->roots);
	free(p->shown_base);
	free(p->shown_sum);
	free(p);
}

static struct host_job *
pushing_new(struct host_job *hj)
{
	struct pushing *p;

	if (hj == NULL)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	hj->data = p;
	hj->free_data = pushing_free;
	plan_init(&p->plan);
	str_init(&p->report.steps, 0);
	push_status_init(&p->status);
	p->roots = own_roots(hj->journey);
	return hj;
}

/* The plan from a fresh reading (worker). */
static int
make_plan(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct pushing *p = hj->data;
	size_t i;

	if (look_at_host(h, hj->server.system, false, ctx, &p->looked, e) == -1 ||
	    p->looked.mailsys->plan(&p->looked.reading, &p->wanted, &p->options.plan, &p->plan, e) == -1)
		return -1;
	drift_warn(p->facts, p->looked.mailsys, &p->looked.reading, &p->wanted, &p->plan);
	p->plan.server = hj->server.id;
	xset(&p->plan.server_name, hj->server.name);
	for (i = 0; i < p->plan.n_wants; i++)
		xset(&p->plan.wants[i].roots, p->roots);
	p->have_plan = true;
	return 0;
}

static int
plan_finish(struct host_job *hj, int rc, struct err *e)
{
	struct pushing *p = hj->data;

	(void)e;
	if (p->have_plan) {
		*p->plan_out = p->plan;
		plan_init(&p->plan);
	}
	return rc;
}

static struct host_job *
planned_job(struct host_job *hj, struct err *e)
{
	struct vserver_list found = { NULL, 0 };
	struct pushing *p;

	if (pushing_new(hj) == NULL)
		return NULL;
	p = hj->data;
	p->facts = drift_facts_get(hj->journey, &hj->server);
	if (wanted_build(hj->journey, hj->server.id, &p->wanted, e) == -1 || wanted_build(hj->journey, hj->server.id, &p->asked, e) == -1 ||
	    connector_passwords(hj->journey, &p->wanted, e) == -1 ||
	    store_vservers(hj->journey->store, hj->server.id, &found, e) == -1) {
		host_job_discard(hj);
		return NULL;
	}
	drift_leave_out(p->facts, &found, &p->wanted);
	vserver_list_release(&found);
	return hj;
}

/* The same, of which the plan is what is asked for. */
static struct host_job *
planning_job(struct host_job *hj, const struct plan_options *o, struct plan *out, struct err *e)
{
	struct pushing *p;

	if (planned_job(hj, e) == NULL)
		return NULL;
	p = hj->data;
	p->options.plan = *o;
	p->plan_out = out;
	return hj;
}

int64_t
plan_make(struct journey *j, int64_t server, const struct plan_options *o, struct plan *out, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct host_job *hj = planning_job(host_job_new(j, server, done, arg, e), o, out, e);

	if (hj == NULL)
		return -1;
	hj->work = make_plan;
	hj->finish = plan_finish;
	return host_job_start(hj, "plan", e);
}

/* Reads once more after a push, so that the store shows what is, not what was meant. */
static void
look_again(struct host_job *hj, struct host *h, struct job_ctx *ctx)
{
	struct pushing *p = hj->data;

	looked_release(&p->looked);
	if (host_alive(h) && look_at_host(h, hj->server.system, true, ctx, &p->looked, NULL) == -1)
		looked_release(&p->looked);
}

/* The same with a look at the listeners: what was found is stored, too. */
static int
drift_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	int rc = make_plan(hj, h, ctx, e);

	if (rc == 0)
		look_again(hj, h, ctx);
	return rc;
}

static int
drift_finish(struct host_job *hj, int rc, struct err *e)
{
	struct pushing *p = hj->data;

	rc = plan_finish(hj, rc, e);
	if (rc == 0 && p->looked.mailsys != NULL)
		rc = looked_store(hj->journey, hj->server.id, &p->looked, e);
	return rc;
}

int64_t
drift_look(struct journey *j, int64_t server, const struct plan_options *o, struct plan *out, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct host_job *hj = planning_job(host_job_new(j, server, done, arg, e), o, out, e);

	if (hj == NULL)
		return -1;
	hj->work = drift_work;
	hj->finish = drift_finish;
	return host_job_start(hj, "drift", e);
}

/* What a plan would change, as a digest: what is wanted may be edited after the plan was shown, and from elsewhere. */
static char *
plan_sum(const struct plan *p)
{
	struct str all = STR_INIT;
	char hex[65];
	size_t i;

	for (i = 0; i < p->n_changes; i++) {
		sha256_hex(p->changes[i].after.s, p->changes[i].after.len, hex);
		str_addf(&all, "%d %s %s %s\n", (int)p->changes[i].action, p->changes[i].path, hex,
		    p->changes[i].key_path != NULL ? p->changes[i].key_path : "-");
	}
	sha256_hex(all.s, all.len, hex);
	str_release(&all);
	return xstrdup(hex);
}

/* Is it the plan that was shown? */
static int
as_shown(const struct pushing *p, const char *server, struct err *e)
{
	char *sum;
	bool same;

	if (p->shown_base == NULL)
		return 0;
	if (!text_eq(p->shown_base, p->plan.base)) {
		err_set(e, RC_CONFLICT, "%s has changed since the plan was shown; nothing was touched", server);
		return err_hint(e, "look at the plan again");
	}
	sum = plan_sum(&p->plan);
	same = text_eq(sum, p->shown_sum);
	free(sum);
	if (same)
		return 0;
	err_set(e, RC_CONFLICT, "what is wanted of %s was edited since the plan was shown; nothing was touched", server);
	return err_hint(e, "look at the plan again");
}

static int
push_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct pushing *p = hj->data;
	int rc;

	if (push_look(h, true, &p->status, e) == -1)
		return -1;
	if (text_eq(p->status.state, "waiting")) {
		err_set(e, RC_LOCKED, "push #%lld on %s still waits to be kept or undone", (long long)p->status.generation,
		    hj->server.name);
		return err_hint(e, "mxseal keep %s, or mxseal undo %s", hj->server.name, hj->server.name);
	}
	if (make_plan(hj, h, ctx, e) == -1 || as_shown(p, hj->server.name, e) == -1)
		return -1;
	if (plan_is_refused(&p->plan)) {
		size_t i = 0;

		while (p->plan.results[i].ok)
			i++;
		return err_set(e, RC_CHECK, "%s: %s; nothing was touched", p->plan.results[i].name, p->plan.results[i].text);
	}
	if (!plan_is_empty(&p->plan) && keys_give(&p->keys, &p->plan, e) == -1)
		return -1;
	rc = push_apply(&p->plan, h, &p->options, ctx, &p->report, e);
	look_again(hj, h, ctx);
	return rc;
}

/* The result in the words of the record; a refusal is not in the report. */
static const char *
result_word(const struct pushing *p, int rc, const struct err *e)
{
	if (rc == 0)
		return push_result_name(p->report.result);
	switch (err_exit_status(e->code)) {
	case 5: return "undone";
	case 6: return "unknown";
	default: return "refused";
	}
}

/* The end of a push and what it carried there are known together, or neither is. */
struct push_end { struct host_job *hj; bool carried; };

static int
push_end_body(struct store *st, void *arg, struct err *e)
{
	struct push_end *end = arg;
	struct host_job *hj = end->hj;
	struct pushing *p = hj->data;

	if (store_push_save(st, &p->record, e) == -1)
		return -1;
	if (end->carried && p->report.result == PUSH_WAITING && freed_note(hj->journey, hj->server.id, p->frees, e) == -1)
		return -1;
	return end->carried ? pushed_store(hj->journey, hj->server.id, p->pushed, e) : 0;
}

static int
push_finish(struct host_job *hj, int rc, struct err *e)
{
	struct pushing *p = hj->data;
	struct journey *j = hj->journey;
	struct str text = STR_INIT;
	struct err own;

	p->record.ended_at = when_now();
	p->record.generation = p->report.generation;
	xset(&p->record.result, result_word(p, rc, e));
	xset(&p->record.steps, p->report.steps.s);
	if (p->have_plan) {
		plan_render(&p->plan, &text);
		xset(&p->record.plan_text, text.s);
	}
	if (rc == 0)
		p->pushed = pushed_make(&p->asked, &p->plan, p->report.generation, p->facts);
	if (store_tx(j->store, push_end_body, &(struct push_end){ hj, rc == 0 }, &own) == -1)
		log_line("%s: the end of the push could not be written: %s", hj->server.name, own.text);
	fates_learn(j, &hj->server, &p->status, p->record.id, &p->status.undone);
	if (p->looked.mailsys != NULL && looked_store(j, hj->server.id, &p->looked, &own) == -1)
		log_line("%s: what was read after the push could not be written: %s", hj->server.name, own.text);
	str_reset(&text);
	str_addf(&text, "generation %lld %s", (long long)p->report.generation, p->record.result);
	if (note_activity(j, hj->server.name, "push", rc, e, text.s) == -1 && rc == 0)
		rc = err_wrap(e, "the push is %s, but the activity could not be written", p->record.result);
	if (p->report_out != NULL) {
		*p->report_out = p->report;
		memset(&p->report, 0, sizeof(p->report));
		str_init(&p->report.steps, 0);
	}
	str_release(&text);
	return rc;
}

int64_t
push_start(struct journey *j, int64_t server, const struct plan *shown, const struct push_options *o,
    struct push_report *report, journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = planned_job(host_change_new(j, server, done, arg, e), e);
	struct pushing *p;

	if (hj == NULL)
		return -1;
	p = hj->data;
	if (keys_open(j, server, &p->wanted, &p->keys, e) == -1) {
		host_job_discard(hj);
		return -1;
	}
	if (shown != NULL) {
		p->shown_base = xstrdup(shown->base);
		p->shown_sum = plan_sum(shown);
	}
	p->frees = freed_words(j, server);
	p->options = *o;
	p->report_out = report;
	p->record.server = server;
	p->record.started_at = when_now();
	p->record.result = xstrdup("applying");
	if (store_push_save(j->store, &p->record, e) == -1) {
		host_job_discard(hj);
		return -1;
	}
	hj->work = push_work;
	hj->finish = push_finish;
	return host_job_start(hj, "push", e);
}

/* --- keep, undo, status --- */

static int
keep_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct pushing *p = hj->data;
	int rc = push_keep(h, ctx, &p->report.generation, e);

	look_again(hj, h, ctx);
	return rc;
}

/* The newest push of this server that waited gets its end. */
static void
record_end(struct journey *j, int64_t server, const char *result)
{
	struct push_record_list l = { NULL, 0 };

	if (store_pushes(j->store, server, &l, NULL) == 0 && l.n > 0 && text_eq(l.v[0].result, "waiting")) {
		xset(&l.v[0].result, result);
		l.v[0].ended_at = when_now();
		(void)store_push_save(j->store, &l.v[0], NULL);
	}
	push_record_list_release(&l);
}

static int
after_finish(struct host_job *hj, int rc, struct err *e, const char *verb, const char *result)
{
	struct pushing *p = hj->data;
	char text[64];

	if (rc == 0 || e->code == RC_UNDONE)
		record_end(hj->journey, hj->server.id, rc == 0 ? result : "undone");
	if (p->looked.mailsys != NULL)
		(void)looked_store(hj->journey, hj->server.id, &p->looked, NULL);
	snprintf(text, sizeof(text), "generation %lld", (long long)p->report.generation);
	if (note_activity(hj->journey, hj->server.name, verb, rc, e, text) == -1 && rc == 0)
		rc = err_wrap(e, "done, but the activity could not be written");
	if (p->report_out != NULL) {
		*p->report_out = p->report;
		memset(&p->report, 0, sizeof(p->report));
		str_init(&p->report.steps, 0);
	}
	return rc;
}

static int
keep_finish(struct host_job *hj, int rc, struct err *e)
{
	return after_finish(hj, rc, e, "keep", "kept");
}

int64_t
push_confirm(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = pushing_new(host_change_new(j, server, done, arg, e));

	if (hj == NULL)
		return -1;
	hj->work = keep_work;
	hj->finish = keep_finish;
	return host_job_start(hj, "keep", e);
}

static int
undo_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct pushing *p = hj->data;
	int rc = push_undo(h, p->undo_to, ctx, &p->report, e);

	if (rc == -1 && p->undo_to == PUSH_UNDO_WAITING && e->code == RC_NOTFOUND) {       /* somebody else kept it */
		push_report_release(&p->report);
		rc = push_undo(h, 0, ctx, &p->report, e);
	}

	look_again(hj, h, ctx);
	return rc;
}

static int
undo_finish(struct host_job *hj, int rc, struct err *e)
{
	struct err own;

	/* the host has older files now than those pushed last: what they were is not known here */
	if (rc == 0 && pushed_store(hj->journey, hj->server.id, NULL, &own) == -1)
		log_line("%s: what was pushed could not be forgotten: %s", hj->server.name, own.text);
	return after_finish(hj, rc, e, "undo", "undone");
}

static bool
waits_here(struct journey *j, int64_t server)
{
	struct push_record_list l = { NULL, 0 };
	bool waits = store_pushes(j->store, server, &l, NULL) == 0 && l.n > 0 &&
	    (text_eq(l.v[0].result, "waiting") || text_eq(l.v[0].result, "unknown"));

	push_record_list_release(&l);
	return waits;
}

int64_t
push_revert(struct journey *j, int64_t server, int64_t to, struct push_report *report, journey_done_fn *done, void *arg,
    struct err *e)
{
	struct host_job *hj = pushing_new(host_change_new(j, server, done, arg, e));
	struct pushing *p;

	if (hj == NULL)
		return -1;
	p = hj->data;
	/* whose push waited does not mean an older one when the host was faster */
	p->undo_to = to == 0 && waits_here(j, server) ? PUSH_UNDO_WAITING : to;
	p->report_out = report;
	hj->work = undo_work;
	hj->finish = undo_finish;
	return host_job_start(hj, "undo", e);
}

static int
state_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct pushing *p = hj->data;

	(void)ctx;
	return push_look(h, p->recover, &p->status, e);
}

static int
state_finish(struct host_job *hj, int rc, struct err *e)
{
	struct pushing *p = hj->data;
	char *fact = xasprintf("push-state:%lld", (long long)hj->server.id);

	if (rc == 0) {
		(void)store_fact_set(hj->journey->store, fact, p->status.state, NULL);
		fates_learn(hj->journey, &hj->server, &p->status, 0, &p->status.undone);
		if (p->status.recovered != NULL)
			(void)note_activity(hj->journey, hj->server.name, "recover", 0, e, p->status.recovered);
		*p->status_out = p->status;
		push_status_init(&p->status);
	}
	free(fact);
	return rc;
}

int64_t
push_state(struct journey *j, int64_t server, struct push_status *out, journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = pushing_new(host_job_new(j, server, done, arg, e));

	if (hj == NULL)
		return -1;
	((struct pushing *)hj->data)->status_out = out;
	((struct pushing *)hj->data)->recover = journey_read_only(j, NULL) == READ_ONLY_NO;
	hj->work = state_work;
	hj->finish = state_finish;
	return host_job_start(hj, "status", e);
}
