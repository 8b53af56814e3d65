/* Every view and every page of every sheet, drawn without a terminal at 80x24 and 120x40 and compared with text; and at odd
 * sizes, where only staying alive counts. It walks sheets[], so a new sheet is tested the moment it is a row. What a verb
 * would bring from the network is given by the test; nobody is contacted. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mxseal/certificate.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/golden.h"
#include "tui/console/app.h"
#include "tui/console/views/queue.h"

#define NOW INT64_C(1790000000)

static const int sizes[][2] = { { 24, 80 }, { 40, 120 } };
static const int odd[][2] = { { 9, 40 }, { 5, 20 }, { 1, 1 }, { 2, 3 }, { 3, 200 }, { 60, 4 }, { 12, 64 } };

struct world { char *dir; struct app *app; int64_t mx1, mx2, smtp, submission, connector, certificate, request, authority; };

/* --- a store with a bit of everything --- */

static void
must(int rc, const struct err *e)
{
	if (rc != 0)
		fail_msg("%s", e->text);
}

static void
add_found(struct vserver *v, const char *name, const char *value, const char *native)
{
	struct found_value *f = found_value_list_add(&v->found);

	f->name = xstrdup(name);
	f->value = xstrdup(value);
	f->native = xstrdup(native);
	f->source = xstrdup("main.cf");
}

static int64_t
add_vserver(struct app *a, int64_t server, const char *name, int port, const char *pem)
{
	struct vserver v = { .server = server, .port = port, .is_default = port == 25, .present = true };
	struct err e;

	v.name = xstrdup(name);
	v.title = xasprintf("%s inet", name);
	v.listen = xasprintf("0.0.0.0:%d [::]:%d", port, port);
	add_found(&v, "inbound.tls", pem != NULL ? "offer" : "off", "smtpd_tls_security_level = may");
	add_found(&v, "outbound.tls", "may", "smtp_tls_security_level = may");
	if (pem != NULL) {
		v.cert_file = xstrdup("/etc/mxseal/3/smtp.pem");
		v.cert_pem = xstrdup(pem);
		v.served_pem = xstrdup(pem);
		v.served_at = NOW - 14;
	} else {
		v.served_trouble = xstrdup("STARTTLS is not offered");
	}
	must(store_vserver_save(a->st, &v, &e), &e);
	int64_t id = v.id;
	vserver_release(&v);
	return id;
}

static int64_t
add_host(struct app *a, const char *name, const char *trouble)
{
	struct server s = { .read_at = NOW - 14, .tried_at = NOW - 14, .queue_messages = 412, .generation = 3 };
	struct err e;

	s.name = xstrdup(name);
	s.target = xasprintf("root@%s.example.org", name);
	s.system = xstrdup("auto");
	s.mailsys = xstrdup("postfix");
	s.version = xstrdup("3.7.11");
	s.config_dir = xstrdup("/etc/postfix");
	s.host_name = xasprintf("%s.example.org", name);
	s.domain = xstrdup("example.org");
	s.os = xstrdup("Debian GNU/Linux 12 (bookworm)");
	s.transport = xstrdup("libssh2");
	s.base = xstrdup("0");
	if (trouble != NULL) {
		s.trouble = xstrdup(trouble);
		s.trouble_code = xstrdup("timeout");
	}
	must(store_server_save(a->st, &s, &e), &e);
	int64_t id = s.id;
	server_release(&s);
	return id;
}

static void
add_papers(struct world *w, const char *pem)
{
	struct certificate c = { 0 };
	struct request r = { .vserver = w->smtp, .kind = KEY_EC_P256, .key_server = w->mx1, .created_at = NOW - 3600 };
	struct authority au = { .days = 397, .not_after = NOW + 3000 * INT64_C(86400), .created_at = NOW };
	struct connector co = { .created_at = NOW };
	struct err e;

	must(cert_describe(pem, &c, &e), &e);
	c.name = xstrdup("mail 2026");
	c.key_server = w->mx1;
	xset(&c.key_path, "/var/lib/mxseal/keys/1.pem");
	xset(&c.pem, pem);
	must(store_certificate_save(w->app->st, &c, &e), &e);
	w->certificate = c.id;
	certificate_release(&c);
	r.name = xstrdup("mail 2027");
	r.subject.cn = xstrdup("mx1.example.org");
	r.subject.o = xstrdup("Example, Inc.");
	r.key_path = xstrdup("/var/lib/mxseal/keys/2.pem");
	r.spki_sha256 = xstrdup("00");
	r.pem = xstrdup("-----BEGIN CERTIFICATE REQUEST-----\n");
	r.sha256 = xstrdup("4f1c");
	r.state = xstrdup("pending");
	must(store_request_save(w->app->st, &r, &e), &e);
	w->request = r.id;
	request_release(&r);
	au.name = xstrdup("house");
	au.kind = xstrdup("own");
	au.subject = xstrdup("CN=Example Org Mail CA");
	au.policy = xstrdup("always");
	au.sealed_key = xstrdup("sealed");
	au.pem = xstrdup(pem);
	must(store_authority_save(w->app->st, &au, &e), &e);
	w->authority = au.id;
	authority_release(&au);
	co.name = xstrdup("bank");
	co.domains = xstrdup("bank.test,1 *.bank.test,5");
	co.route = xstrdup("dns");
	co.via = xstrdup("mx1/smtp");
	co.tls = xstrdup("encrypt");
	co.reason = xstrdup("contract 12/2025");
	must(store_connector_save(w->app->st, &co, &e), &e);
	w->connector = co.id;
	connector_release(&co);
}

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct str pem = STR_INIT;
	char *store;
	struct err e;

	setlocale(LC_ALL, "C.UTF-8");
	setenv("MXSEAL_NOW", "1790000000", 1);
	screen_open(24, 80);
	style_open(false);
	w->dir = fixture_dir();
	setenv("HOME", w->dir, 1);
	store = xasprintf("%s/store.db", w->dir);
	must(app_open(&w->app, store, false, &e), &e);
	free(store);
	must(str_read_file(&pem, TEST_SOURCE_DIR "/tests/golden/screens/chain.pem", 65536, &e), &e);
	w->mx1 = add_host(w->app, "mx1", NULL);
	w->mx2 = add_host(w->app, "mx2", "no answer from mx2.example.org port 22 within 15 s");
	w->smtp = add_vserver(w->app, w->mx1, "smtp", 25, NULL);
	w->submission = add_vserver(w->app, w->mx1, "submission", 587, pem.s);
	add_papers(w, pem.s);
	str_release(&pem);
	app_tick(w->app, when_monotonic_ms());
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	app_close(w->app);
	screen_close();
	fixture_remove(w->dir);
	free(w->dir);
	free(w);
	return 0;
}

/* --- drawing --- */

static void
survive_odd_sizes(struct app *a)
{
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		screen_size(odd[i][0], odd[i][1]);
		app_draw(a);
	}
}

static void
shot(struct app *a, const char *name)
{
	for (size_t i = 0; i < 2; i++) {
		struct str t = STR_INIT;
		char *file = xasprintf("screens/%s-%dx%d", name, sizes[i][1], sizes[i][0]);
		screen_size(sizes[i][0], sizes[i][1]);
		app_draw(a);
		screen_text(&t);
		golden_check(file, t.s);
		str_release(&t);
		free(file);
	}
	survive_odd_sizes(a);
	screen_size(24, 80);
	app_draw(a);
}

static struct task *
task_with(struct app *a, const char *verb)
{
	for (struct task *t = a->tasks; t != NULL; t = t->next)
		if (strcmp(t->verb, verb) == 0)
			return t;
	fail_msg("nothing runs that is called \"%s\"", verb);
	return NULL;
}

static void
close_all(struct app *a)
{
	struct err cancelled = { .code = RC_CANCELLED };

	while (a->top->below != NULL)
		view_pop(a->top);
	while (a->tasks != NULL)
		task_done(a->tasks, -1, &cancelled);
	a->message[0] = '\0';
}

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
	app_key(w->app, K_ESC);
	main_select(w->app, "server 2");
	app_key(w->app, 'd');
	w->app->prompt.ready_ms = 0;
	shot(w->app, "main-question");
	app_key(w->app, K_ESC);
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

/* Every page of one sheet, as far as Ctrl-N goes. */
static void
walk(struct app *a, const struct sheet *s, int64_t object, const char *object_name, const char *variant)
{
	struct sheet_arg arg = { .sheet = s, .object = object, .object_name = object_name };
	struct str before = STR_INIT;

	assert_non_null(view_push(a, &view_sheet, &arg));
	for (int page = 1; page <= 12; page++) {
		struct str now = STR_INIT;
		char *name = xasprintf("sheet-%s%s-%d", s->name, variant, page);
		screen_size(24, 80);
		app_draw(a);
		screen_text(&now);
		bool same = strcmp(now.s, before.s) == 0;
		if (!same)
			shot(a, name);
		free(name);
		str_release(&before);
		before = now;
		if (same)
			break;
		app_key(a, K_CTRL_N);
		a->message[0] = '\0';
	}
	str_release(&before);
	close_all(a);
}

static void
sheets_of_the_table(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; sheets[i] != NULL; i++) {
		const struct sheet *s = sheets[i];
		int64_t id = s->object == OBJECT_VSERVER ? w->submission : s->object == OBJECT_CONNECTOR ? w->connector :
		    s->object == OBJECT_SERVER ? w->mx1 : s->object == OBJECT_AUTHORITY ? w->authority : 0;
		const char *name = s->object == OBJECT_VSERVER ? "mx1/submission" : s->object == OBJECT_CONNECTOR ? "bank" :
		    s->object == OBJECT_SERVER ? "mx1" : NULL;
		walk(w->app, s, id, name, "");
		if (s->object == OBJECT_VSERVER)
			walk(w->app, s, w->smtp, "mx1/smtp", "-pending");
	}
}

static void
sheet_with_an_error(void **state)
{
	struct world *w = *state;

	app_sheet(w->app, "server", 0, NULL, NULL);
	for (const char *p = "no such/name"; *p != '\0'; p++)
		app_key(w->app, *p);
	shot(w->app, "sheet-error");
	app_key(w->app, K_TAB);
	app_key(w->app, K_TAB);
	app_key(w->app, K_TAB);
	app_key(w->app, ' ');
	shot(w->app, "sheet-choice");
	close_all(w->app);
}

static void
texts(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct str pem = STR_INIT;
	struct err e;

	app_key(a, '?');
	shot(a, "help-main");
	close_all(a);
	app_key(a, ':');
	shot(a, "palette");
	app_key(a, 'c');
	app_key(a, 'o');
	app_key(a, 'n');
	shot(a, "palette-found");
	close_all(a);
	app_message(a, "A message", STYLE_NORMAL, "Text from outside: \033[31mred\033[0m \u202egnp.exe, and a very long line that "
	    "has to be wrapped at words because no screen is as wide as what other people write into their banners.\nSecond.");
	shot(a, "message");
	close_all(a);
	must(str_read_file(&pem, TEST_SOURCE_DIR "/tests/golden/screens/chain.pem", 65536, &e), &e);
	struct certificate_arg cert = { .title = "mx1/submission", .pem = pem.s };
	view_push(a, &view_certificate, &cert);
	shot(a, "certificate");
	close_all(a);
	str_release(&pem);
	err_set(&e, RC_NET, "mx1: connection refused by 192.0.2.1 port 22");
	err_hint(&e, "is sshd running there?");
	app_fail(a, &e);
	shot(a, "error");
	app_key(a, '!');
	shot(a, "error-whole");
	close_all(a);
}

static void
a_new_host_key(void **state)
{
	struct world *w = *state;
	struct hostkey key = { .type = "ssh-ed25519", .verdict = HOSTKEY_NEW,
	    .fingerprint = "SHA256:Uz3m9Qk0v1Yd8cTq5sJrW2bXe7LhNaPfG4iKoM6tRyA" };
	struct hostkey_arg arg = { .server = w->mx2, .key = &key };

	view_push(w->app, &view_hostkey, &arg);
	shot(w->app, "hostkey");
	for (const char *p = "wrong!"; *p != '\0'; p++)
		app_key(w->app, *p);
	app_key(w->app, K_ENTER);
	assert_ptr_equal(w->app->top->ops, &view_hostkey);
	shot(w->app, "hostkey-wrong");
	close_all(w->app);
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

static void
plan_and_push(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct plan_arg arg = { .server = w->mx1 };
	struct push_report *r;

	view_push(a, &view_plan, &arg);
	struct task *t = task_with(a, "plan");
	fill_plan(t->data, w->mx1);
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
	r = t->data;
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
	app_key(a, 'K');
	task_done(task_with(a, "keep"), 0, NULL);
	shot(a, "push-kept");
	assert_false(push_run_busy(a));
	close_all(a);

	/* one that waits is looked at; when it turns out that the host undid it, nobody calls that good */
	push_run_watch(a, w->mx1, NOW + 97);
	view_push(a, &view_push_watch, NULL);
	view_push_watch.tick(a->top, when_monotonic_ms() + 60000);
	struct push_status *s = task_with(a, "status")->data;
	s->state = xstrdup("waiting");
	s->undo_at = NOW + 95;
	s->mail = (struct push_mail){ .watched = true, .before = { 300, 12, 9, 0, 0, 0 }, .since = { 31, 1, 4, 9, 0, 0 },
	    .lately = { 21, 0, 3, 9, 0, 0 }, .alarm = xstrdup("mail is worse than before: 9 messages deferred in the 31 s since the "
	    "switch, 0 in the 300 s before it") };
	task_done(task_with(a, "status"), 0, NULL);
	shot(a, "push-worse");
	view_push_watch.tick(a->top, when_monotonic_ms() + 120000);
	s = task_with(a, "status")->data;
	s->state = xstrdup("idle");
	s->undone = xstrdup("mx1: generation 4 was undone: mail is worse than before");
	task_done(task_with(a, "status"), 0, NULL);
	shot(a, "push-undone");
	assert_false(push_run_busy(a));
	close_all(a);
}

static void
queue_screens(void **state)
{
	static const char listing[] =
	    "{\"queue_name\":\"deferred\",\"queue_id\":\"4C1x9k\",\"arrival_time\":1789990000,\"message_size\":900,"
	    "\"sender\":\"a@example.org\",\"recipients\":[{\"address\":\"x@bank.test\",\"delay_reason\":"
	    "\"TLS is required, but was not offered by host mx.bank.test[192.0.2.77]\"}]}\n"
	    "{\"queue_name\":\"deferred\",\"queue_id\":\"4C1x9l\",\"arrival_time\":1789999000,\"message_size\":900,"
	    "\"sender\":\"b@example.org\",\"recipients\":[{\"address\":\"y@slow.test\",\"delay_reason\":"
	    "\"connect to slow.test[192.0.2.9]:25: Connection timed out\"}]}\n";
	struct world *w = *state;
	struct app *a = w->app;
	struct queue_arg arg = { .server = w->mx1 };
	struct queue_reader *q = queue_reader_new(QUEUE_BY_DESTINATION, "mx1", NULL, 0);

	view_push(a, &view_queue, &arg);
	shot(a, "queue-reading");
	struct task *t = task_with(a, "queue");
	struct queue_view *v = t->data;
	queue_reader_feed(q, listing, strlen(listing));
	queue_reader_end(q, &v->groups);
	v->messages = queue_reader_messages(q);
	queue_reader_free(q);
	v->taken_at = NOW - 5;
	task_done(t, 0, NULL);
	shot(a, "queue");
	app_key(a, ' ');
	app_key(a, K_UP);
	app_key(a, K_ENTER);
	t = task_with(a, "test");
	struct destination_view *d = t->data;
	d->diagnosis.failure = failure_find("tls-not-offered");
	d->diagnosis.confidence = xstrdup("high");
	d->level = xstrdup("encrypt");
	str_add(&d->diagnosis.evidence, "1 of 1 reasons say so\nmx.bank.test offers no STARTTLS, from mx1 and from here\n");
	task_done(t, 0, NULL);
	shot(a, "queue-diagnosis");
	app_key(a, 'w');
	shot(a, "queue-workaround");
	close_all(a);
}

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
	    .class_name = xstrdup("tls-not-offered"), .ms = 12 };
	task_done(t, 0, NULL);
	shot(a, "probe");
	close_all(a);
	view_push(a, &view_activity, NULL);
	app_draw(a);
	survive_odd_sizes(a);
	close_all(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(main_screen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(welcome, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sheets_of_the_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sheet_with_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_host_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(plan_and_push, set_up, tear_down),
		cmocka_unit_test_setup_teardown(queue_screens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(probe_and_activity, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
