/* Both recipes as a person walks them in the console, from the palette to the review and the kept edit, each undone with u; and
 * a draft of one that a kill -9 does not lose. Contacts nobody. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mxseal/store.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/vt.h"

#define WAIT_MS 15000

struct world { char *dir, *path; };

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct server s = { .read_at = when_now(), .tried_at = when_now(), .queue_messages = 0 };
	struct vserver v = { .port = 25, .is_default = true, .present = true };
	struct found_value *f;
	char *fact, *text;
	struct store *st = NULL;
	struct err e;

	w->dir = fixture_dir();
	w->path = xasprintf("%s/store.db", w->dir);
	s.name = xstrdup("mx1");
	s.target = xstrdup("root@192.0.2.1");
	s.mailsys = xstrdup("postfix");
	s.version = xstrdup("3.7.11");
	s.config_dir = xstrdup("/etc/postfix");
	s.host_name = xstrdup("mx1.example.org");
	v.name = xstrdup("smtp");
	v.title = xstrdup("smtp inet");
	v.listen = xstrdup("0.0.0.0:25");
	f = found_value_list_add(&v.found);
	f->name = xstrdup("outbound.tls");
	f->value = xstrdup("may");
	assert_int_equal(store_open(&st, w->path, &e), 0);
	assert_int_equal(store_server_save(st, &s, &e), 0);
	v.server = s.id;
	assert_int_equal(store_vserver_save(st, &v, &e), 0);
	fact = xasprintf("traffic:%lld", (long long)s.id);         /* its log was read just now: nobody looks for the host */
	text = xasprintf("%lld 7 0 0 1", (long long)when_now());
	assert_int_equal(store_fact_set(st, fact, text, &e), 0);
	free(fact);
	free(text);
	store_close(st);
	server_release(&s);
	vserver_release(&v);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	fixture_remove(w->dir);
	free(w->dir);
	free(w->path);
	free(w);
	return 0;
}

static struct vt *
console(struct world *w)
{
	const char *const argv[] = { getenv("MXSEAL_PROGRAM") != NULL ? getenv("MXSEAL_PROGRAM") : TEST_PROGRAM, "--store", w->path, NULL };
	char *home = xasprintf("HOME=%s", w->dir);
	const char *const env[] = { home, NULL };
	struct vt *t = vt_start(argv, env, 40, 120);

	free(home);
	vt_expect(t, "Fleet", WAIT_MS);
	return t;
}

static void
quit(struct vt *t)
{
	vt_type(t, "q");
	assert_int_equal(vt_finish(t, WAIT_MS), 0);
	vt_close(t);
}

/* What is wanted of the store: connectors "NAME TLS via VIA", and outbound.tls of the default one. */
static void
wants(struct world *w, const char *connectors, const char *level)
{
	struct connector_list l = { NULL, 0 };
	struct wanted_list settings = { NULL, 0 };
	struct vserver v = { .id = 0 };
	struct store *st = NULL;
	struct str text = STR_INIT;
	const char *is = "";
	struct err e;

	assert_int_equal(store_open(&st, w->path, &e), 0);
	assert_int_equal(store_connectors(st, &l, &e), 0);
	for (size_t i = 0; i < l.n; i++)
		str_addf(&text, "%s %s %s via %s;", l.v[i].name, l.v[i].tls, l.v[i].domains, l.v[i].via);
	assert_string_equal(text.s, connectors);
	assert_int_equal(store_vserver_by_name(st, "mx1", &v, &e), 0);
	assert_int_equal(store_wanted(st, v.id, &settings, &e), 0);
	for (size_t i = 0; i < settings.n; i++)
		if (strcmp(settings.v[i].name, "outbound.tls") == 0)
			is = settings.v[i].value;
	assert_string_equal(is, level);
	connector_list_release(&l);
	wanted_list_release(&settings);
	vserver_release(&v);
	str_release(&text);
	store_close(st);
}

static bool
draft_has(struct world *w, const char *text)
{
	struct store *st = NULL;
	char *draft = NULL;
	struct err e;
	bool has;

	assert_int_equal(store_open(&st, w->path, &e), 0);
	has = store_draft_get(st, "tls-except mx1", &draft, &e) == 0 && strstr(draft, text) != NULL;
	free(draft);
	store_close(st);
	return has;
}

static void
tls_to_selected_domains(void **state)
{
	struct world *w = *state;
	struct vt *t = console(w);

	vt_type(t, ":TLS to selected");
	vt_expect(t, "TLS to selected domains", WAIT_MS);
	vt_type(t, "<Enter>");
	vt_expect(t, "Step 1 of 4", WAIT_MS);
	vt_type(t, "bank.test *.bank.test<C-n>");
	vt_expect(t, "Step 2 of 4", WAIT_MS);
	vt_type(t, "<C-n>");
	vt_expect(t, "Step 3 of 4", WAIT_MS);
	vt_type(t, "bank<C-n>");
	vt_expect(t, "Step 4 of 4", WAIT_MS);
	vt_expect(t, ".bank.test encrypt", WAIT_MS);               /* the native lines */
	vt_expect(t, "mxseal recipe tls-to bank", WAIT_MS);
	vt_type(t, "<Enter>");
	vt_expect(t, "Mail to bank.test *.bank.test will leave with TLS or wait", WAIT_MS);
	wants(w, "bank encrypt bank.test *.bank.test via mx1/smtp;", "");
	vt_type(t, "<Esc>");
	vt_expect(t, "Fleet", WAIT_MS);
	vt_expect(t, "1 edit on 1 host not pushed yet", WAIT_MS);
	vt_type(t, "u");
	vt_expect(t, "Undone: TLS (encrypt) to bank.test *.bank.test by mx1/smtp", WAIT_MS);
	vt_expect_gone(t, "not pushed yet", WAIT_MS);
	wants(w, "", "");
	quit(t);
}

static void
tls_everywhere_but_a_few(void **state)
{
	struct world *w = *state;
	struct vt *t = console(w);

	vt_type(t, ":TLS everywhere");
	vt_expect(t, "TLS everywhere but a few", WAIT_MS);
	vt_type(t, "<Enter>");
	vt_expect(t, "Step 1 of 3", WAIT_MS);
	vt_type(t, "<C-n>");
	vt_expect(t, "Step 2 of 3", WAIT_MS);
	vt_type(t, "ancient.test");
	for (int i = 0; i < WAIT_MS / 100 && !draft_has(w, "ancient.test"); i++)
		(void)vt_sees(t, "no such text", 100);
	kill(vt_pid(t), SIGKILL);
	(void)vt_finish(t, WAIT_MS);
	vt_close(t);
	wants(w, "", "");

	t = console(w);                                            /* where it was left */
	vt_type(t, ":TLS everywhere<Enter>");
	vt_expect(t, "Step 2 of 3", WAIT_MS);
	vt_expect(t, "ancient.test", WAIT_MS);
	vt_type(t, "<C-n>");
	vt_expect(t, "Step 3 of 3", WAIT_MS);
	vt_expect(t, "smtp_tls_security_level = encrypt", WAIT_MS);
	vt_expect(t, "ancient.test  clear-out:", WAIT_MS);
	vt_type(t, "<Enter>");
	vt_expect(t, "Let our mail wait for who cannot do that (outbound.tls=encrypt)?", WAIT_MS);
	vt_expect(t, "[y/N]", WAIT_MS);
	vt_type(t, "y");
	vt_expect(t, "kept here as one edit", WAIT_MS);
	wants(w, "clear none ancient.test via mx1/clear;", "encrypt");
	vt_type(t, "<Esc>");
	vt_expect(t, "Fleet", WAIT_MS);
	vt_expect(t, "not pushed yet", WAIT_MS);
	vt_type(t, "u");
	vt_expect(t, "Undone: mx1: TLS (encrypt) everywhere but ancient.test", WAIT_MS);
	wants(w, "", "");
	vt_type(t, "<C-r>");
	vt_expect(t, "Made again", WAIT_MS);
	wants(w, "clear none ancient.test via mx1/clear;", "encrypt");
	quit(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tls_to_selected_domains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tls_everywhere_but_a_few, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
