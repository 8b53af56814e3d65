/* Every view, drawn without a terminal at 80x24 and 120x40 and compared with text; and at odd sizes, where only staying alive counts.
 * What a verb would bring from the network is given by the test; nobody is contacted. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mxseal/certificate.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/golden.h"
#include "support/screens.h"
#include "tui/console/app.h"
#include "tui/console/views/details.h"
#include "tui/console/views/tree.h"

/* --- the tests --- */

static void
main_screen(void **state)
{
	struct world *w = *state;
	static const char *const kinds[] = { "servers", "server", "vs", "connector", "certificate", "request", "authority",
	    "attention" };
	char key[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int64_t id = i == 0 ? 0 : 1;
		if (strcmp(kinds[i], "connector") == 0)
			snprintf(key, sizeof(key), "connector %lld %lld", (long long)w->mx1, (long long)w->connector);
		else
			snprintf(key, sizeof(key), "%s %lld", kinds[i], (long long)id);
		main_select(w->app, key);
		char *name = xasprintf("main-%s", kinds[i]);
		shot(w->app, name);
		free(name);
	}
	app_key(w->app, '/');
	app_key(w->app, 'b');
	app_key(w->app, 'a');
	shot(w->app, "main-find");
	app_key(w->app, '%');
	shot(w->app, "main-find-nothing");
	app_key(w->app, K_ESC);
	main_select(w->app, "server 2");
	app_key(w->app, 'd');
	w->app->prompt.ready_ms = 0;
	shot(w->app, "main-question");
	app_key(w->app, K_ESC);
	struct err e;
	must(store_fact_set(w->app->st, "warnings:1", "/etc/postfix/main.cf: unused parameter: smtp_tls_securty_level=may\n"
	    "/etc/postfix/main.cf, line 7: overriding earlier entry: relayhost=\n", &e), &e);
	main_select(w->app, "server 1");
	shot(w->app, "main-server-warns");
	must(store_fact_set(w->app->st, "warnings:1", NULL, &e), &e);
}

static void
add_listener(struct app *a, int64_t server, const char *name, const char *listen, const char *ours, const char *run, const char *wanted)
{
	struct vserver v = { .server = server, .present = run != NULL };
	struct err e;

	v.name = xstrdup(name);
	v.title = xasprintf("%s inet", name);
	v.listen = xstrdup(listen);
	v.port = *listen ? atoi(strrchr(listen, ':') + 1) : 0;
	v.kind = xstrdup(*listen ? "smtp" : "outbound");
	v.ours = xstrdup(ours);
	v.listen_wanted = ours != NULL && strcmp(ours, "added") == 0 ? xstrdup(listen) : NULL;
	v.run = xstrdup(run);
	v.run_wanted = xstrdup(wanted);
	must(store_vserver_save(a->st, &v, &e), &e);
	if (run != NULL && strcmp(run, "started") != 0) {
		char *fact = xasprintf("run:%lld", (long long)v.id), *since = xasprintf("%s %lld", run, (long long)NOW - 3 * 86400);

		must(store_fact_set(a->st, fact, since, &e), &e);
		free(fact);
		free(since);
	}
	vserver_release(&v);
}

/* Stopped, paused, new, only sending, to be removed; and the question before all mail stops. */
static void
listeners(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	static const char *const preset[] = { "name", "side", "listen", "192.0.2.9:465", NULL, NULL };

	add_listener(a, w->mx1, "partners", "192.0.2.5:2525", NULL, "stopped", NULL);
	add_listener(a, w->mx1, "archive", "192.0.2.5:2526", NULL, "paused", "started");
	add_listener(a, w->mx1, "smtps", "0.0.0.0:465 [::]:465", "removed", "started", NULL);
	add_listener(a, w->mx1, "side", "192.0.2.6:25", "added", NULL, NULL);
	add_listener(a, w->mx1, "notls", "", "added", "started", NULL);
	main_select(a, "attention 1");
	shot(a, "listeners-attention");
	main_select(a, "vs 3");
	shot(a, "listeners-stopped");
	main_select(a, "vs 6");
	shot(a, "listeners-new");
	main_select(a, "vs 1");
	app_key(a, 'S');
	a->prompt.ready_ms = 0;
	shot(a, "listeners-question");
	app_key(a, K_ESC);
	struct err e;
	must(store_fact_set(a->st, "addresses:1", "192.0.2.5 192.0.2.6\n", &e), &e);
	app_sheet(a, "listener", w->mx1, "mx1", preset);
	app_key(a, K_TAB);
	app_key(a, K_TAB);
	app_key(a, '0');
	app_key(a, K_BACKSPACE);
	shot(a, "listeners-dialog");
	close_all(a);
}

static void
welcome(void **state)
{
	struct world *w = *state;
	struct err e;

	for (int id = 1; id <= 2; id++)
		must(store_server_delete(w->app->st, id, &e), &e);
	app_tick(w->app, when_monotonic_ms());
	main_select(w->app, "servers 0");
	shot(w->app, "welcome");
}

static void
fill_plan(struct plan *p, int64_t server)
{
	struct change *c;

	p->server = server;
	p->server_name = xstrdup("mx1");
	p->mailsys = xstrdup("postfix");
	p->config_dir = xstrdup("/etc/postfix");
	p->base = xstrdup("0");
	p->generation = 4;
	c = plan_change(p, "/etc/postfix/main.cf", CHANGE_EDIT);
	c->is_switch = true;
	str_add(&c->before, "# main\nmyhostname = mx1.example.org\nsmtpd_tls_security_level = none\nmydestination =\n");
	str_add(&c->after, "# main\nmyhostname = mx1.example.org\nsmtpd_tls_security_level = may\n"
	    "smtpd_tls_chain_files = /etc/mxseal/4/smtp.pem\nmydestination =\n");
	c = plan_change(p, "/etc/mxseal/4/smtp.pem", CHANGE_CREATE);
	c->mode = 0600;
	c->key_path = xstrdup("/var/lib/mxseal/keys/1.pem");
	str_add(&c->after, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	plan_check(p, "certificate", true, "fits the key, covers mx1.example.org");
	command_add(&p->checks, "postfix check", "postfix", "check", NULL);
	p->wants = xcalloc(1, sizeof(*p->wants));
	p->n_wants = 1;
	p->wants[0].listen = xstrdup("0.0.0.0:25");
	p->wants[0].address = xstrdup("127.0.0.1");
}

/* From the plan to the end that this key makes. */
static void
push_through(struct world *w, int key, const char *verb, const char *end)
{
	struct app *a = w->app;
	struct plan_arg arg = { .server = w->mx1 };
	struct push_report *r;

	view_push(a, &view_plan, &arg);
	struct task *t = task_with(a, "plan");
	fill_plan(&fleet_run_host(t->data)->plan, w->mx1);
	task_done(t, 0, NULL);
	shot(a, "plan");
	app_key(a, 'A');
	a->prompt.ready_ms = 0;
	shot(a, "plan-question");
	app_key(a, 'y');
	static const struct { int n; const char *name, *state, *text; } steps[] = {
		{ 1, "lock", "ok", "/var/lib/mxseal/lock" }, { 2, "save", "ok", "old files kept" },
		{ 3, "check", "ok", "postfix check on the staged copy" }, { 4, "switch", "ok", "" }, { 5, "prove", "run", "0.0.0.0:25" },
	};
	for (size_t i = 0; i < 5; i++) {
		struct job_progress p = { .step = steps[i].n, .seconds = 0.2 };
		snprintf(p.name, sizeof(p.name), "%s", steps[i].name);
		snprintf(p.state, sizeof(p.state), "%s", steps[i].state);
		snprintf(p.text, sizeof(p.text), "%s", steps[i].text);
		push_run_progress(a, w->mx1, &p);
	}
	shot(a, "push-running");
	t = task_with(a, "push");
	r = &fleet_run_host(t->data)->report;
	r->result = PUSH_WAITING;
	r->generation = 4;
	r->undo_at = NOW + 97;
	r->proofs = xcalloc(1, sizeof(*r->proofs));
	r->n_proofs = 1;
	r->proofs[0] = (struct proof){ .listen = xstrdup("0.0.0.0:25"), .ok = true, .sha256 = "4f1c22aa00bb11cc", .protocol = "TLSv1.3",
	    .chain_ok = true, .name_ok = true };
	r->mail = (struct push_mail){ .watched = true, .before = { 300, 412, 397, 3, 0, 1 }, .since = { 23, 35, 48, 0, 0, 0 },
	    .lately = { 20, 31, 44, 0, 0, 0 } };
	task_done(t, 0, NULL);
	shot(a, "push-waiting");
	app_key(a, K_ESC);
	shot(a, "push-hidden");
	app_key(a, 'K');
	assert_ptr_equal(a->top->ops, &view_push_watch);
	app_key(a, key);
	if (key == 'U' && a->prompt.kind != PROMPT_NONE) {
		a->prompt.ready_ms = 0;
		app_key(a, 'y');
	}
	task_done(task_with(a, verb), 0, NULL);
	shot(a, end);
	assert_false(push_run_busy(a));
	close_all(a);

	/* one that waits is looked at; when it turns out that the host undid it, nobody calls that good */
	push_run_watch(a, w->mx1, NOW + 97);
	view_push(a, &view_push_watch, NULL);
	push_run_tick(a, when_monotonic_ms() + 60000);
	struct push_status *s = &fleet_run_host(task_with(a, "status")->data)->status;
	s->state = xstrdup("waiting");
	s->undo_at = NOW + 95;
	s->mail = (struct push_mail){ .watched = true, .before = { 300, 12, 9, 0, 0, 0 }, .since = { 31, 1, 4, 9, 0, 0 },
	    .lately = { 21, 0, 3, 9, 0, 0 }, .alarm = xstrdup("mail is worse than before: 9 messages deferred in the 31 s since the "
	    "switch, 0 in the 300 s before it") };
	task_done(task_with(a, "status"), 0, NULL);
	shot(a, "push-worse");
	push_run_tick(a, when_monotonic_ms() + 120000);
	s = &fleet_run_host(task_with(a, "status")->data)->status;
	s->state = xstrdup("idle");
	s->undone = xstrdup("mx1: generation 4 was undone: mail is worse than before");
	task_done(task_with(a, "status"), 0, NULL);
	shot(a, "push-undone-by-host");
	assert_false(push_run_busy(a));
	close_all(a);
}

static struct task *
task_for(struct app *a, const char *verb, int64_t server)
{
	for (struct task *t = a->tasks; t != NULL; t = t->next)
		if (strcmp(t->verb, verb) == 0 && t->server == server)
			return t;
	fail_msg("no %s runs for server %lld", verb, (long long)server);
	return NULL;
}

static void
end_push(struct app *a, int64_t server, enum push_result result)
{
	struct task *t = task_for(a, "push", server);
	struct push_report *r = &fleet_run_host(t->data)->report;

	r->result = result;
	r->generation = 4;
	r->undo_at = result == PUSH_WAITING ? NOW + 97 : 0;
	task_done(t, 0, NULL);
}

/* Three hosts: the first waits for a person, then the others go, one fails and the last one is not begun. */
static void
a_fleet(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct plan_arg arg = { .group = "east" };
	int64_t id[4] = { 0 };
	struct err e = { .code = RC_OK };

	for (size_t i = 0; i < 4; i++) {
		char name[8];
		snprintf(name, sizeof(name), "east%zu", i + 1);
		id[i] = add_host(a, name, NULL);
		must(server_set(a->j, id[i], "root@east.example.org", NULL, "none", "auto", "east", &e), &e);
		const char *const names[] = { "outbound.tls" }, *const values[] = { "encrypt" };
		must(vserver_set(a->j, add_vserver(a, id[i], "smtp", 25, NULL), names, values, 1, &e), &e);
	}
	app_tick(a, when_monotonic_ms());
	main_select(a, "group east");
	shot(a, "main-group");
	view_push(a, &view_plan, &arg);
	for (size_t i = 0; i < 4; i++) {
		struct task *t = task_for(a, "plan", id[i]);
		struct plan *p = &fleet_run_host(t->data)->plan;
		fill_plan(p, id[i]);
		free(p->server_name);
		p->server_name = xasprintf("east%zu", i + 1);
		task_done(t, 0, NULL);
	}
	app_key(a, K_END);
	shot(a, "fleet-plan");
	app_key(a, 'A');
	a->prompt.ready_ms = 0;
	type(a, "4 hosts\n");
	assert_ptr_equal(a->top->ops, &view_push_watch);
	end_push(a, id[0], PUSH_WAITING);
	shot(a, "fleet-canary");
	for (size_t i = 1; i < 4; i++)
		for (struct task *t = a->tasks; t != NULL; t = t->next)
			assert_true(t->server != id[i] || strcmp(t->verb, "count") == 0);   /* nobody before the first one is kept, but what waits is counted */
	fleet_options(fleet_run_host(task_for(a, "keep", (app_key(a, 'K'), id[0]))->data)->fleet)->at_once = 2;
	task_done(task_for(a, "keep", id[0]), 0, NULL);
	err_set(&e, RC_UNDONE, "east3: the service does not greet; the old files are back and proved");
	task_done(task_for(a, "push", id[2]), -1, &e);
	end_push(a, id[1], PUSH_KEPT);                     /* what runs is finished */
	assert_false(push_run_busy(a));
	shot(a, "fleet-stopped");
	app_key(a, K_DOWN);
	app_key(a, K_DOWN);
	shot(a, "fleet-stopped-why");
	close_all(a);
}

static void plan_and_push(void **state) { push_through(*state, 'K', "keep", "push-kept"); }
static void plan_and_undo(void **state) { push_through(*state, 'U', "undo", "push-undone"); }

static void
probe_and_activity(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct probe_arg arg = { .server = 0, .target = "bank.test" };

	view_push(a, &view_probe, &arg);
	struct task *t = task_with(a, "test");
	struct probe_report *r = t->data;
	r->verdict = xstrdup("mx.bank.test answers, but offers no STARTTLS");
	r->class_name = xstrdup("tls-not-offered");
	r->v = xcalloc(1, sizeof(*r->v));
	r->n = 1;
	r->v[0] = (struct probe_host){ .host = xstrdup("mx.bank.test"), .address = xstrdup("192.0.2.77"), .port = 25, .preference = 10,
	    .banner = xstrdup("220 mx.bank.test"), .trouble = xstrdup("STARTTLS is not offered"),
	    .class_name = xstrdup("tls-not-offered"), .ms = 12, .transcript = xstrdup("S: 220 mx.bank.test ESMTP\nC: EHLO adm1\n"
	    "S: 250-mx.bank.test\nS: 250 SIZE 10240000\n-- STARTTLS is not offered.") };
	task_done(t, 0, NULL);
	shot(a, "probe");
	app_key(a, 's');
	shot(a, "probe-transcript");
	close_all(a);
	view_push(a, &view_activity, NULL);
	app_draw(a);
	survive_odd_sizes(a);
	close_all(a);
}

/* One of each state: what is so is seen at once, what was seen of it follows, and Enter shows all. */
static void
work_arounds(void **state)
{
	static const struct { const char *domain, *state; int falls; const char *proof; } those[] = {
		{ "bank.test", "open", 0, NULL },
		{ "old.test", "trial", 1, "left mx1 with TLS: Trusted, TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits), to "
		    "mx.old.test[192.0.2.9]:25 at 2026-09-20T12:00:00Z" },
		{ "mended.test", "proving", 0, NULL },
		{ "slow.test", "open", 0, NULL },        /* not pushed yet */
	};
	struct world *w = *state;
	struct app *a = w->app;
	struct push_record p = { .server = w->mx1, .started_at = NOW - 90000, .ended_at = NOW - 89990, .result = xstrdup("kept") };
	struct server sv = { .id = 0 };
	struct err e;

	must(store_server_get(a->st, w->mx1, &sv, &e), &e);
	p.generation = sv.generation;
	must(store_push_save(a->st, &p, &e), &e);
	push_record_release(&p);
	server_release(&sv);
	for (size_t i = 0; i < 4; i++) {
		struct workaround r = { .domain = xstrdup(those[i].domain), .servers = xstrdup("mx1"), .connector = xasprintf("notls-%s", those[i].domain),
		    .level = xstrdup("encrypt"), .reason = xstrdup("their relay was replaced"), .owner = xstrdup("anna@adm1"), .since = NOW - 200000,
		    .review_at = NOW + 2000000, .state = xstrdup(those[i].state), .changed_at = i < 3 ? NOW - 100000 : NOW - 60, .falls = those[i].falls,
		    .proof = xstrdup(those[i].proof), .evidence = xstrdup("The other side offers no TLS; side theirs, sure: high\nmx: no STARTTLS") };
		struct workaround_look l = { .server = w->mx1, .last_at = NOW - 60, .bad = i == 0, .good = i == 0 ? 0 : 3, .good_since = NOW - 7000,
		    .text = xstrdup(i == 0 ? "The other side offers no TLS." : "TLS works.") };

		must(store_workaround_save(a->st, &r, &e), &e);
		must(store_workaround_look_set(a->st, r.id, &l, &e), &e);
		workaround_look_release(&l);
		workaround_release(&r);
	}
	view_push(a, &view_workarounds, NULL);
	shot(a, "workarounds");
	app_key(a, K_DOWN);
	app_key(a, K_DOWN);
	shot(a, "workarounds-trial");
	app_key(a, K_DOWN);
	shot(a, "workarounds-unpushed");
	app_key(a, K_UP);
	app_key(a, K_ENTER);
	shot(a, "workarounds-whole");
	close_all(a);
}

static struct way_step *
step(struct way_step_list *l, const char *text, const char *map, const char *key, const char *row)
{
	struct way_step *new = way_step_list_add(l);

	*new = (struct way_step){ xstrdup(text), xstrdup(map), xstrdup(key), xstrdup(row) };
	return new;
}

/* As the view's own answer begins. */
struct route_answer { struct mail_way_list ways; struct dead_rule_list dead; };

static void
route(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct route_arg arg = { .server = w->mx1, .address = "anna@bank.test" };

	view_push(a, &view_route, &arg);
	struct task *t = task_with(a, "route");
	struct route_answer *r = t->data;
	struct mail_way *way = mail_way_list_add(&r->ways);
	struct way_end *end = way_end_list_add(&way->ends);
	struct way_hop *hop = way_hop_list_add(&end->hops);
	struct dead_rule *dead = dead_rule_list_add(&r->dead);

	way->address = xstrdup("anna@bank.test");
	end->address = xstrdup("anna@bank.test");
	step(&end->steps, "default_transport = smtp", NULL, NULL, NULL);
	step(&end->steps, "transport_maps: transport smtp, next hop [gw.bank.test]:587", "hash:/etc/postfix/transport", "bank.test",
	    "smtp:[gw.bank.test]:587");
	step(&end->steps, "TLS to [gw.bank.test]:587: may (smtp_tls_security_level)", NULL, NULL, NULL);
	end->fate = FATE_CLEAR;
	end->forecast = xstrdup("is delivered to gw.bank.test in clear text, because it offers no TLS");
	hop->dest = xstrdup("[gw.bank.test]:587");
	hop->host = xstrdup("gw.bank.test");
	hop->port = 587;
	dead->rule = (struct found_rule){ .kind = xstrdup("policy"), .source = xstrdup("hash:/etc/postfix/tls_policy"),
	    .key = xstrdup("bank.test"), .value = xstrdup("encrypt"),
	    .trouble = xstrdup("the policy is asked for the next hop, and hash:/etc/postfix/transport sends mail for bank.test to "
	    "[gw.bank.test]:587") };
	dead->line = 12;
	dead->repair = xstrdup("write the rule as a connector for bank.test, it then stands under [gw.bank.test]:587");
	dead->domains = xstrdup("bank.test");
	dead->smart_host = xstrdup("[gw.bank.test]:587");
	dead->tls = xstrdup("encrypt");
	task_done(t, 0, NULL);
	shot(a, "route");
	survive_odd_sizes(a);
	app_key(a, K_ENTER);                     /* the repair: the connector dialog, filled in */
	app_draw(a);
	assert_ptr_equal(a->top->ops, &view_sheet);
	close_all(a);
}

static void
peer(struct rehearsal *r, const char *name, int64_t messages, int outcome, const char *why, const char *now, const char *works)
{
	struct rehearsed *p;

	ARRAY_GROW(r->v, r->n);
	p = &r->v[r->n++];
	*p = (struct rehearsed){ .peer = xstrdup(name), .messages = messages, .per_week = messages, .confidence = outcome == REHEARSED_UNSURE
	    ? "low" : "high", .why = xstrdup(why), .looked = true, .now = xstrdup(now), .works = xstrdup(works) };
	p->outcome = outcome == REHEARSED_FAILS ? REHEARSED_FAILS : outcome == REHEARSED_PASSES ? REHEARSED_PASSES : REHEARSED_UNSURE;
	r->messages += messages;
	r->peers++;
}

static void
rehearsal(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct rehearsal out = { .level = xstrdup("encrypt"), .days = 7, .at = NOW - 60, .tls_seen = true, .unseen = 1, .unseen_messages = 2 };
	struct rehearsal in = { .inbound = true, .listener = xstrdup("smtp"), .level = xstrdup("require,tls1.2"), .counted =
	    xstrdup("Counted together with mx1/submission: what each is called in the log is not known; reading the server again may tell."), .days = 7, .at = NOW - 60, .tls_seen = true };
	struct rehearsal_arg arg = { .server = w->mx1, .level = "encrypt" };
	const char *const preset[] = { "outbound.tls", "verify", NULL };
	struct sheet_arg sheet = { sheet_find("virtual-server"), w->smtp, "mx1/smtp", preset };

	peer(&out, "good.test", 412, REHEARSED_PASSES, "is delivered to mx.good.test with TLSv1.3", NULL, NULL);
	peer(&out, "notls.test", 96, REHEARSED_FAILS, "waits: TLS is required, but mx.notls.test does not offer it", "clear", "may");
	peer(&out, "dead.test", 7, REHEARSED_FAILS, "waits: 192.0.2.9 port 25 does not answer mx1", "waits", NULL);
	peer(&out, "old.test", 3, REHEARSED_PASSES, "is delivered to mx.old.test with TLSv1.2; 1 of its 2 mail servers would not take it", NULL, NULL);
	out.v[3].excepted = true;
	peer(&out, "rare.test", 2, REHEARSED_UNSURE, "was not looked at; by the log 1 of its messages left without TLS", NULL, NULL);
	peer(&in, "mail.bank.test", 31, REHEARSED_PASSES, "used TLSv1.2 or newer", NULL, NULL);
	peer(&in, "192.0.2.77", 12, REHEARSED_FAILS, "never used TLS", NULL, NULL);
	rehearsal_keep(a->j, w->mx1, &out);
	rehearsal_keep(a->j, w->mx1, &in);
	view_push(a, &view_rehearsal, &arg);
	app_draw(a);
	assert_null(task_of_view(a->top, NULL));         /* it is fresh: nobody is asked */
	shot(a, "rehearsal");
	survive_odd_sizes(a);
	app_key(a, 's');
	app_key(a, 's');
	app_key(a, ' ');                         /* that cannot be excepted */
	app_draw(a);
	app_key(a, 'x');                         /* but what is marked can */
	shot(a, "rehearsal-taken");
	view_pop(a->top);
	arg = (struct rehearsal_arg){ w->mx1, true, "require,tls1.2", w->smtp };
	view_push(a, &view_rehearsal, &arg);
	shot(a, "rehearsal-inbound");
	view_pop(a->top);
	xset(&out.level, "verify");
	rehearsal_keep(a->j, w->mx1, &out);
	view_push(a, &view_sheet, &sheet);       /* from the dialog: F where something stricter is chosen */
	app_draw(a);
	app_key(a, K_ALT_0 + 4);
	app_draw(a);
	app_key(a, 'F');
	app_draw(a);
	assert_string_equal(a->top->ops->name, view_rehearsal.name);
	close_all(a);
	rehearsal_release(&out);
	rehearsal_release(&in);
}

/* --- ways through the screens --- */

static void
first_row_and_authority(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;

	view_push(a, &view_main, NULL);
	shot(a, "main-start");
	view_pop(a->top);
	main_select(a, "authority 1");
	app_key(a, 'v');
	assert_ptr_equal(a->top->ops, &view_certificate);
	shot(a, "authority-certificate");
	close_all(a);
	main_select(a, "connector 1");                     /* as the dialog names it that made one */
	app_key(a, 'e');
	assert_ptr_equal(a->top->ops, &view_sheet);
	close_all(a);
}

static char copied[200];

static void
take_copy(struct app *a, const char *text)
{
	(void)a;
	snprintf(copied, sizeof(copied), "%s", text);
}

/* What is pasted into a shell holds nothing that a terminal obeys, and a name that a host gave is one word there. */
static void
copies_are_clean(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct node vs = { .kind = NODE_VSERVER, .object_name = (char *)"mx1/smtp;reboot" };
	struct str t = STR_INIT;

	a->copy = take_copy;
	app_copy(a, "one\033[201~\ntwo", "this");
	assert_string_equal(copied, "one<1B>[201~\ntwo");
	details_command(a, &vs, &t);
	assert_string_equal(t.s, "mxseal vs show 'mx1/smtp;reboot'");
	str_release(&t);
	a->copy = NULL;
}

/* What needed attention and was mended is gone from the list; its server is selected then, not what happens to be there. */
static void
mended(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct server s = { 0 };
	struct err e;

	main_select(a, "servers 0");
	for (int i = 0; i < 2; i++)
		app_key(a, K_UP);
	while (strstr(a->top->ops->title, "Fleet") != NULL) {
		struct str t = STR_INIT;
		a->top->ops->copy(a->top, true, &t);
		bool there = strcmp(t.s, "mxseal server show mx2") == 0;
		str_release(&t);
		if (there)
			break;
		app_key(a, K_DOWN);
	}
	app_key(a, K_ENTER);
	must(store_server_get(a->st, w->mx2, &s, &e), &e);
	xset(&s.trouble, NULL);
	must(store_server_save(a->st, &s, &e), &e);
	server_release(&s);
	task_done(task_with(a, "read"), 0, NULL);
	a->message[0] = '\0';
	app_tick(a, when_monotonic_ms());
	shot(a, "main-mended");
	main_select(a, "authority 1");                     /* what is chosen later stays chosen */
	app_tick(a, when_monotonic_ms());
	app_key(a, K_ENTER);
	assert_ptr_equal(a->top->ops, &view_office);
	close_all(a);
}

/* The office of an authority: what waits is denied with a reason, what was issued is revoked; both are said and seen. */
static void
authority_office(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct submission s = { .authority = w->authority, .at = NOW }, denied;
	struct issued i = { .authority = w->authority, .not_after = NOW + 300 * INT64_C(86400), .at = NOW };
	struct err e;

	main_select(a, "authority 1");
	app_key(a, K_ENTER);
	assert_ptr_equal(a->top->ops, &view_office);
	shot(a, "office-empty");
	s.who = xstrdup("anna@adm1");
	s.subject = xstrdup("mx9.example.org, Example, Inc.");
	s.san = xstrdup("mx9.example.org mail.example.org");
	s.spki_sha256 = xstrdup("9a12");
	s.pem = xstrdup("-----BEGIN CERTIFICATE REQUEST-----\n");
	s.state = xstrdup("pending");
	must(store_submission_save(a->st, &s, &e), &e);
	i.serial = xstrdup("4a01");
	i.subject = xstrdup("CN=mx1.example.org");
	must(store_issued_add(a->st, &i, &e), &e);
	xset(&i.serial, "4a02");
	xset(&i.subject, "CN=mx2.example.org");
	must(store_issued_add(a->st, &i, &e), &e);
	app_tick(a, when_monotonic_ms());
	shot(a, "office");
	app_key(a, 'D');
	type(a, "nobody knows it");
	shot(a, "office-why");
	app_key(a, K_ENTER);
	must(store_submission_get(a->st, s.id, &denied, &e), &e);
	assert_string_equal(denied.state, "denied");
	assert_string_equal(denied.why, "nobody knows it");
	submission_release(&denied);
	app_tick(a, when_monotonic_ms());
	app_key(a, 'V');
	shot(a, "office-revoke");
	app_key(a, K_DOWN);
	app_key(a, K_ENTER);
	app_tick(a, when_monotonic_ms());
	shot(a, "office-revoked");
	survive_odd_sizes(a);
	submission_release(&s);
	issued_release(&i);
	close_all(a);
}

/* The wizard, "at once", where no authority is kept yet: it is made on the way, and chosen. */
static void
authority_on_the_way(void **state)
{
	struct world *w = *state;
	struct app *a;
	struct err e;
	char *store = xasprintf("%s/other.db", w->dir);
	static const char *const preset[] = { "when", "now", "cn", "mx1.example.org", NULL };

	must(app_open(&a, store, false, &e), &e);
	must(journey_allow_changes(a->j, &e), &e);
	free(store);
	int64_t mx1 = add_host(a, "mx1", NULL), smtp = add_vserver(a, mx1, "smtp", 25, NULL);
	app_sheet(a, "certificate", smtp, "mx1/smtp", preset);
	app_key(a, K_ALT_0 + 7);
	shot(a, "wizard-no-authority");
	app_key(a, ' ');
	assert_string_equal(a->top->ops->name, "sheet");
	assert_non_null(a->top->below->below);             /* the dialog of a new authority, above the wizard */
	struct authority au = { .days = 397, .not_after = NOW + 86400, .created_at = NOW };
	au.name = xstrdup("house");
	au.kind = xstrdup("own");
	au.subject = xstrdup("CN=House");
	au.policy = xstrdup("always");
	au.sealed_key = xstrdup("sealed");
	must(store_authority_save(a->st, &au, &e), &e);
	authority_release(&au);
	view_pop(a->top);
	shot(a, "wizard-authority-made");
	while (a->tasks != NULL)
		task_done(a->tasks, -1, &(struct err){ .code = RC_CANCELLED });
	app_close(a);
}

/* Changed on the host since the last push, a file of ours edited there, and a rule of the administrator's own. */
static void
drift_and_found_rules(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct push_record p = { .server = w->mx1, .generation = 3, .started_at = NOW - 600, .ended_at = NOW - 590 };
	struct found_rule_list rules = { NULL, 0 };
	struct found_rule *r = found_rule_list_add(&rules);
	struct vserver v = { .id = 0 };
	struct err e;
	char fact[64];

	p.result = xstrdup("kept");
	must(store_push_save(a->st, &p, &e), &e);
	push_record_release(&p);
	must(store_wanted_set(a->st, "vs", w->smtp, "outbound.tls", "encrypt", &e), &e);
	must(store_vserver_get(a->st, w->smtp, &v, &e), &e);
	for (size_t i = 0; i < v.found.n; i++)
		if (strcmp(v.found.v[i].name, "outbound.tls") == 0) {
			xset(&v.found.v[i].value, "may");
			xset(&v.found.v[i].native, "smtp_tls_security_level = may");
		}
	must(store_vserver_save(a->st, &v, &e), &e);
	vserver_release(&v);
	snprintf(fact, sizeof(fact), "pushed:%lld", (long long)w->mx1);
	must(store_fact_set(a->st, fact, "{\"generation\":3,\"vs\":{\"smtp\":{\"settings\":{\"outbound.tls\":\"encrypt\"}}}}", &e), &e);
	snprintf(fact, sizeof(fact), "touched:%lld", (long long)w->mx1);
	must(store_fact_set(a->st, fact, "[[\"/etc/mxseal/3/tls_policy\",\"edited\",\"--- /etc/mxseal/3/tls_policy\\n+++ "
	    "/etc/mxseal/3/tls_policy\\n@@ -1 +1,2 @@\\n bank.test encrypt\\n+shop.test secure\\n\"]]", &e), &e);
	r->kind = xstrdup("transport");
	r->source = xstrdup("hash:/etc/postfix/transport");
	r->key = xstrdup("shop.test");
	r->value = xstrdup("smtp:[gw.shop.test]");
	must(store_found_rules_set(a->st, w->mx1, &rules, &e), &e);
	found_rule_list_release(&rules);
	app_tick(a, when_monotonic_ms());
	main_select(a, "server 1");
	app_key(a, 'D');
	assert_ptr_equal(a->top->ops, &view_drift);
	shot(a, "drift");
	survive_odd_sizes(a);
	app_key(a, K_END);
	shot(a, "drift-file");
	app_key(a, K_ESC);
	main_select(a, "found 1");
	app_key(a, K_RIGHT);
	app_key(a, K_DOWN);
	shot(a, "found-rule");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(main_screen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(listeners, set_up, tear_down),
		cmocka_unit_test_setup_teardown(welcome, set_up, tear_down),
		cmocka_unit_test_setup_teardown(plan_and_push, set_up, tear_down),
		cmocka_unit_test_setup_teardown(plan_and_undo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_fleet, set_up, tear_down),
		cmocka_unit_test_setup_teardown(probe_and_activity, set_up, tear_down),
		cmocka_unit_test_setup_teardown(work_arounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(route, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rehearsal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(first_row_and_authority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(mended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies_are_clean, set_up, tear_down),
		cmocka_unit_test_setup_teardown(authority_on_the_way, set_up, tear_down),
		cmocka_unit_test_setup_teardown(authority_office, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drift_and_found_rules, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
