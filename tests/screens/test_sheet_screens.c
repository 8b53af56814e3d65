/* Every page of every sheet, drawn without a terminal at 80x24 and 120x40 and compared with text, what is asked and said in them,
 * and the same on the command line. It walks sheets[], so a new sheet is tested the moment it is a row. */
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

/* Every page of one sheet, as far as Ctrl-N goes. */
static void
walk_with(struct app *a, const struct sheet *s, int64_t object, const char *object_name, const char *variant,
    const char *const *preset)
{
	struct sheet_arg arg = { .sheet = s, .object = object, .object_name = object_name, .preset = preset };
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
walk(struct app *a, const struct sheet *s, int64_t object, const char *object_name, const char *variant)
{
	walk_with(a, s, object, object_name, variant, NULL);
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

/* The certificate wizard in the states that the world does not have by itself, and each branch of it. */
static void
branches_of_the_wizard(void **state)
{
	static const char *const renew[] = { "action", "renew", "when", "now", NULL };
	static const char *const second[] = { "action", "new", "second", "yes", "when", "later", NULL };
	static const char *const same[] = { "action", "renew", "renew-key", "same", "when", "later", NULL };
	static const char *const locked[] = { "action", "import", "backup", "old.pfx", NULL };
	static const char *const weak[] = { "action", "import", "backup", "old.pfx", "file-passphrase", "geheim", NULL };
	static const char *const accepted[] = { "action", "import", "backup", "old.pfx", "file-passphrase", "geheim", "accept-weak",
	    "yes", NULL };
	static const char *const clear[] = { "action", "import", "backup", "chain.pem", NULL };
	static const char *const export[] = { "action", "export", NULL };
	static const char *const drop[] = { "action", "drop", NULL };
	static const char *const restore[] = { "action", "restore", NULL };
	struct world *w = *state;
	const struct sheet *s = sheet_find("certificate");
	struct certificate c = { .id = 0 };
	struct request r = { .id = 0 };
	struct vserver vs = { .id = 0 };
	char *here = getcwd(NULL, 0);
	struct err e;

	assert_int_equal(chdir(TEST_SOURCE_DIR "/tests/golden/screens"), 0);
	walk_with(w->app, s, w->submission, "mx1/submission", "-locked", locked);
	walk_with(w->app, s, w->submission, "mx1/submission", "-weak", weak);
	walk_with(w->app, s, w->submission, "mx1/submission", "-no-key", clear);
	walk_with(w->app, s, w->submission, "mx1/submission", "-accepted", accepted);
	/* installed, its key kept here; a request in the trash */
	must(store_certificate_get(journey_store(w->app->j), w->certificate, &c, &e), &e);
	c.key_server = 0;
	xset(&c.sealed_key, "sealed");
	must(store_certificate_save(journey_store(w->app->j), &c, &e), &e);
	must(store_vserver_get(journey_store(w->app->j), w->smtp, &vs, &e), &e);
	vs.certificate = c.id;
	vs.certificate_set = true;
	must(store_vserver_save(journey_store(w->app->j), &vs, &e), &e);
	walk(w->app, s, w->smtp, "mx1/smtp", "-renewal");
	walk_with(w->app, s, w->smtp, "mx1/smtp", "-drop", drop);
	must(store_request_get(journey_store(w->app->j), w->request, &r, &e), &e);
	xset(&r.state, "dropped");
	must(store_request_save(journey_store(w->app->j), &r, &e), &e);
	walk_with(w->app, s, w->smtp, "mx1/smtp", "-renew", renew);
	walk_with(w->app, s, w->smtp, "mx1/smtp", "-second", second);
	walk_with(w->app, s, w->smtp, "mx1/smtp", "-renew-same", same);
	walk_with(w->app, s, w->smtp, "mx1/smtp", "-export", export);
	walk_with(w->app, s, w->smtp, "mx1/smtp", "-restore", restore);
	assert_int_equal(chdir(here), 0);
	free(here);
	certificate_release(&c);
	request_release(&r);
	vserver_release(&vs);
}

/* A connector with all that a connector can have; it is gone again afterwards. */
static void
a_connector_by_smart_hosts(void **state)
{
	struct world *w = *state;
	struct connector c = { .created_at = NOW };
	char *draft = NULL;
	struct err e;

	c.name = xstrdup("relay");
	c.domains = xstrdup("*");
	c.route = xstrdup("smart-host");
	c.smart_hosts = xstrdup("[192.0.2.7]:587 [192.0.2.8]");     /* no name that is looked up */
	c.auth_user = xstrdup("mailer");
	c.auth_sealed = xstrdup("sealed");
	c.senders = xstrdup("@sales.test anna@bank.test");
	c.via = xstrdup("mx1/smtp");
	c.tls = xstrdup("verify");
	c.match = xstrdup("relay.test");
	must(store_connector_save(w->app->st, &c, &e), &e);
	walk(w->app, sheet_find("connector"), c.id, "relay", "-relay");
	/* a password is dots while it is typed, and in no draft */
	app_sheet(w->app, "connector", c.id, "relay", NULL);
	app_key(w->app, K_ALT_0 + 5);
	for (int i = 0; i < 3; i++)
		app_key(w->app, K_TAB);
	for (const char *p = "Kennwort"; *p != '\0'; p++)
		app_key(w->app, *p);
	shot(w->app, "sheet-connector-password");
	app_key(w->app, K_BACKTAB);                          /* to the user, so that there is a draft */
	app_key(w->app, 'x');
	app_key(w->app, K_TAB);
	close_all(w->app);
	must(store_draft_get(w->app->st, "connector relay", &draft, &e), &e);
	assert_non_null(strstr(draft, "mailerx"));
	assert_null(strstr(draft, "Kennwort"));
	free(draft);
	must(store_draft_set(w->app->st, "connector relay", NULL, &e), &e);
	must(store_connector_delete(w->app->st, c.id, &e), &e);
	connector_release(&c);
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

/* What shuts peers out is said with figures while it is chosen, and asked before it is kept. */
static void
sheet_that_asks(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct traffic_list l = { NULL, 0 };
	struct wanted_list wanted = { NULL, 0 };
	struct err e;
	char *fact = xasprintf("traffic:%lld", (long long)w->mx1), *text = xasprintf("%lld 7 %lld 0 1", (long long)NOW - 7200,
	    (long long)NOW - 600000);
	static const struct { const char *peer; int64_t messages, clear; } peers[] = {
		{ "old.example.org", 20, 20 }, { "bank.test", 40, 8 }, { "c.test", 3, 2 }, { "d.test", 1, 1 }, { "good.test", 1140, 0 },
	};

	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		struct traffic *t = traffic_list_add(&l);

		*t = (struct traffic){ .messages = peers[i].messages, .clear = peers[i].clear, .last_at = NOW - 60 };
		t->direction = xstrdup("out");
		t->peer = xstrdup(peers[i].peer);
		t->oldest = peers[i].messages > peers[i].clear ? xstrdup("TLSv1.2") : NULL;
	}
	must(store_traffic_set(a->st, w->mx1, &l, &e), &e);
	must(store_fact_set(a->st, fact, text, &e), &e);
	app_sheet(a, "virtual-server", w->smtp, "mx1/smtp", NULL);
	app_key(a, K_ALT_0 + 4);
	for (int i = 0; i < 3; i++)
		app_key(a, K_RIGHT);
	shot(a, "sheet-strict");
	app_key(a, K_BACKTAB);
	app_key(a, K_ENTER);
	shot(a, "sheet-strict-asked");
	app_key(a, 'n');
	must(store_wanted(a->st, w->smtp, &wanted, &e), &e);
	for (size_t i = 0; i < wanted.n; i++)
		assert_string_not_equal(wanted.v[i].value, "encrypt");
	wanted_list_release(&wanted);
	close_all(a);
	must(store_draft_set(a->st, "virtual-server mx1/smtp", NULL, &e), &e);
	must(store_fact_set(a->st, fact, NULL, &e), &e);
	traffic_list_release(&l);
	free(fact);
	free(text);
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

/* Only the first passphrase of a store is typed twice; a slip seals nothing, and the right one is taken at once. */
static void
a_known_passphrase(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct authority house = { .id = 0 }, two = { .id = 0 };
	struct secret pass = { NULL, 0 };
	struct str sealed = STR_INIT;
	struct err e;

	secret_set(&pass, "correct horse", 13);
	must(store_authority_get(a->st, w->authority, &house, &e), &e);
	must(seal(&pass, &pass, &sealed, &e), &e);
	xset(&house.sealed_key, sealed.s);
	must(store_authority_save(a->st, &house, &e), &e);
	app_sheet(a, "authority", 0, NULL, NULL);
	type(a, "two\tTwo\t\t\t\t\n");
	for (int i = 0; i < 2; i++) {
		app_tick(a, when_monotonic_ms());
		app_draw(a);
		assert_int_equal(a->prompt.kind, PROMPT_SECRET);
		assert_int_equal(store_authority_by_name(a->st, "two", &two, NULL), -1);
		type(a, i == 0 ? "wrong\n" : "correct horse\n");
	}
	assert_int_equal(a->prompt.kind, PROMPT_NONE);
	must(store_authority_by_name(a->st, "two", &two, &e), &e);
	authority_release(&house);
	authority_release(&two);
	secret_release(&pass);
	str_release(&sealed);
	close_all(a);
}

static char *taken;

static void
take(struct app *a, struct view *v, size_t index, const char *name)
{
	(void)a, (void)v, (void)index;
	xset(&taken, name);
}

/* A choice that takes other values too: what is typed stands last, also where it is a part of other words. */
static void
chosen_as_typed(void **state)
{
	struct world *w = *state;
	struct app *a = w->app;
	struct choice_list l = { NULL, 0 };
	struct chooser_arg arg = { .title = "Country/region", .list = &l, .current = "", .v = a->top, .fn = take, .free = true };

	choice_list_add(&l, "DE", "Germany");
	choice_list_add(&l, "RE", "Reunion");
	view_push(a, &view_chooser, &arg);
	type(a, "EU");
	app_key(a, K_DOWN);
	shot(a, "chooser-typed");
	app_key(a, K_ENTER);
	assert_string_equal(taken, "EU");
	arg.free = false;
	view_push(a, &view_chooser, &arg);
	type(a, "EU");
	app_key(a, K_DOWN);
	app_key(a, K_ENTER);
	assert_string_equal(taken, "RE");
	free(taken);
	taken = NULL;
	choice_list_release(&l);
	close_all(a);
}

/* --- the same on the command line --- */

/* What a shell makes of a command: one word a line. */
static void
shell_words(const char *command, struct str *out)
{
	char *script = xasprintf("set -- %s; printf '%%s\\n' \"$@\"", command), buffer[4096];
	struct str call = STR_INIT;
	FILE *p;
	size_t n;

	str_add(&call, "exec sh -c ");
	str_add_word(&call, script);
	p = popen(call.s, "r");
	assert_non_null(p);
	str_add(out, "\n");
	while ((n = fread(buffer, 1, sizeof(buffer), p)) > 0)
		str_addn(out, buffer, n);
	assert_int_equal(pclose(p), 0);
	str_release(&call);
	free(script);
}

static void
must_have(const char *words, const char *before, const char *name, const char *between, const char *value)
{
	char *line = xasprintf("\n%s%s%s%s\n", before, name, between, value);

	if (strstr(words, line) == NULL)
		fail_msg("the command has no word %s in %s", line + 1, words);
	free(line);
}

/* Every field that the command line knows is in the command, and a shell gives it back as it was typed. */
static void
same_on_the_command_line(void **state)
{
	static const char awkward[] = "it's $(id) \"q\" `x` \\ #1";
	struct world *w = *state;

	for (size_t i = 0; sheets[i] != NULL; i++) {
		const struct sheet *s = sheets[i];
		struct str command = STR_INIT, words = STR_INIT;
		struct form *f;
		struct err e;
		if (s->command == NULL)
			continue;
		must(form_open(&f, s, w->app->j, s->object == OBJECT_VSERVER ? w->submission : s->object == OBJECT_SERVER ? w->mx1 : 0,
		    s->object == OBJECT_VSERVER ? "mx1/submission" : NULL, &e), &e);
		form_set(f, "action", "new", NULL);
		form_set(f, "when", "later", NULL);
		form_set(f, "tls", "secure", NULL);
		for (const struct field *fd = s->fields; fd->name != NULL; fd++)
			if (fd->kind == FIELD_TEXT || fd->kind == FIELD_PATH || fd->kind == FIELD_NUMBER)
				form_set(f, fd->name, awkward, NULL);
			else if (fd->kind == FIELD_LIST)
				form_set(f, fd->name, "*.a.test b;c", NULL);
			else if (fd->kind == FIELD_SETTING && field_shown(f, fd))
				form_set(f, fd->name, awkward, NULL);
		s->command(f, &command);
		shell_words(command.s, &words);
		for (const struct field *fd = s->fields; fd->name != NULL; fd++) {
			if (!field_shown(f, fd) || (fd->flags & FIELD_NO_OPTION) != 0)
				continue;
			if (fd->kind == FIELD_TEXT || fd->kind == FIELD_PATH || fd->kind == FIELD_NUMBER) {
				bool word = s->object != OBJECT_VSERVER && (strcmp(fd->name, "name") == 0
				    || (s->object != OBJECT_SERVER && strcmp(fd->name, "target") == 0));
				must_have(words.s, word ? "" : "--", word ? "" : fd->name, word ? "" : "\n", awkward);
			} else if (fd->kind == FIELD_LIST) {
				must_have(words.s, "--", fd->name, "\n", "*.a.test");
				must_have(words.s, "--", fd->name, "\n", "b;c");
			} else if (fd->kind == FIELD_SETTING) {
				must_have(words.s, "", fd->name, "=", awkward);
			}
		}
		str_release(&command);
		str_release(&words);
		form_close(f);
	}
}

static void
commas_between_words(void **state)
{
	struct world *w = *state;
	struct form *f;
	struct err e;

	must(form_open(&f, sheet_find("connector"), w->app->j, 0, "mx1/smtp", &e), &e);
	form_set(f, "domain", "bank.test, *.bank.test,5 ,", NULL);
	must(form_check_field(f, form_field(f, "domain", NULL), &e), &e);
	assert_string_equal(form_get(f, "domain"), "bank.test *.bank.test,5");
	form_close(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sheets_of_the_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(branches_of_the_wizard, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_connector_by_smart_hosts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sheet_with_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sheet_that_asks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_new_host_key, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_known_passphrase, set_up, tear_down),
		cmocka_unit_test_setup_teardown(same_on_the_command_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(commas_between_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(chosen_as_typed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
