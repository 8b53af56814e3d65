/* Virtual servers as they are wanted: what may be added, what meets what, what is pending, and what the planner is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journey/private.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

struct world { char *dir; struct journey *j; int64_t mx1, smtp; };

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct server s = { .queue_messages = -1, .read_at = 1790000000 };
	struct vserver v = { .port = 25, .is_default = true, .present = true };
	struct err e;
	char *store;

	w->dir = fixture_dir();
	store = xasprintf("%s/store.db", w->dir);
	assert_int_equal(journey_open(&w->j, store, &e), 0);
	free(store);
	s.name = xstrdup("mx1");
	s.target = xstrdup("root@192.0.2.1");
	s.mailsys = xstrdup("postfix");
	s.version = xstrdup("3.7.11");
	assert_int_equal(store_server_save(journey_store(w->j), &s, &e), 0);
	w->mx1 = v.server = s.id;
	v.name = xstrdup("smtp");
	v.listen = xstrdup("0.0.0.0:25 [::]:25");
	v.run = xstrdup("started");
	assert_int_equal(store_vserver_save(journey_store(w->j), &v, &e), 0);
	w->smtp = v.id;
	server_release(&s);
	vserver_release(&v);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	journey_close(w->j);
	fixture_remove(w->dir);
	free(w->dir);
	free(w);
	return 0;
}

static void
addresses(void **state)
{
	static const struct { const char *text, *normal; } rows[] = {
		{ "192.0.2.5:2525", "192.0.2.5:2525" }, { "587", "0.0.0.0:587" }, { "*:587", "0.0.0.0:587" }, { ":587", "0.0.0.0:587" },
		{ "0.0.0.0:587", "0.0.0.0:587" }, { "[::]:587", "0.0.0.0:587" }, { "[2001:DB8:0::1]:25", "[2001:db8::1]:25" },
		{ "none", "" }, { "", NULL }, { "192.0.2.5", NULL }, { "192.0.2.5:", NULL }, { "192.0.2.5:0", NULL }, { "192.0.2.5:65536", NULL },
		{ "192.0.2.5:25x", NULL }, { "192.0.2.256:25", NULL }, { "mx1.test:25", NULL }, { "2001:db8::1:25", NULL }, { "[2001:db8::1]", NULL },
		{ "[]:25", NULL }, { "[:25", NULL }, { "]:25", NULL }, { "*", NULL }, { "192.0.2.5:25\nx y", NULL }, { "[1.2.3.4]:25", NULL },
		{ "99999999999999999999", NULL }, { "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]:25", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str s = STR_INIT;
		struct err e = { .code = RC_OK };
		int rc = vserver_listen_parse(rows[i].text, &s, &e);

		if ((rc == 0) != (rows[i].normal != NULL) || (rc == 0 && strcmp(s.s, rows[i].normal) != 0))
			fail_msg("%s: %d \"%s\"", rows[i].text, rc, s.s);
		if (rc != 0)
			assert_int_equal(e.code, RC_INVALID);
		str_release(&s);
	}
}

static enum err_code
add(struct world *w, const char *name, const char *listen, const char *kind, int64_t *id)
{
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };
	int64_t none;
	int rc = vserver_add(w->j, w->mx1, name, listen, kind, NULL, id ? id : &none, &said, &e);

	str_release(&said);
	return rc == 0 ? RC_OK : e.code;
}

static void
what_may_be_added(void **state)
{
	struct world *w = *state;
	struct str note = STR_INIT;

	assert_int_equal(add(w, "side", "192.0.2.5:2525", "smtp", NULL), RC_OK);
	assert_int_equal(add(w, "side", "192.0.2.6:2525", "smtp", NULL), RC_EXISTS);
	assert_int_equal(add(w, "smtp", "192.0.2.6:2525", "smtp", NULL), RC_EXISTS);
	assert_int_equal(add(w, "Side", "192.0.2.6:2525", "smtp", NULL), RC_INVALID);
	assert_int_equal(add(w, "587", "192.0.2.6:2525", "smtp", NULL), RC_INVALID);
	assert_int_equal(add(w, "other", "192.0.2.5:2525", "smtp", NULL), RC_EXISTS);
	assert_int_equal(add(w, "other", "*:25", "smtp", NULL), RC_EXISTS);
	assert_int_equal(add(w, "other", "192.0.2.6:2525", "pop3", NULL), RC_INVALID);
	/* one address of all of them, and all of them around one: both, since Postfix 3.6 */
	assert_int_equal(vserver_listen_free(w->j, w->mx1, "192.0.2.6:25", &note, NULL), 0);
	assert_non_null(strstr(note.s, "goes here from then on, not to smtp"));
	str_reset(&note);
	assert_int_equal(vserver_listen_free(w->j, w->mx1, "0.0.0.0:2525", &note, NULL), 0);
	assert_non_null(strstr(note.s, "192.0.2.5:2525 goes to side as before"));
	str_release(&note);
}

static void
before_3_6(void **state)
{
	struct world *w = *state;
	struct server sv = { .id = 0 };
	struct err e;

	assert_int_equal(store_server_get(journey_store(w->j), w->mx1, &sv, &e), 0);
	xset(&sv.version, "3.5.25");
	assert_int_equal(store_server_save(journey_store(w->j), &sv, &e), 0);
	server_release(&sv);
	assert_int_equal(add(w, "side", "192.0.2.6:25", "smtp", NULL), RC_EXISTS);
	assert_int_equal(add(w, "side", "192.0.2.6:26", "smtp", NULL), RC_OK);
}

static void
pending_is(struct world *w, const char *text)
{
	struct str s = STR_INIT;
	size_t n = pending_edits(w->j, w->mx1, &s), lines = 0;

	for (const char *p = s.s; *p; p++)
		lines += *p == '\n';
	assert_string_equal(s.s, text);
	assert_int_equal(n, lines);
	str_release(&s);
}

static enum err_code
run(struct world *w, int64_t id, const char *how)
{
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };
	int rc = how ? vserver_run(w->j, id, how, &said, &e) : vserver_remove(w->j, id, &said, &e);

	str_release(&said);
	return rc == 0 ? RC_OK : e.code;
}

/* As a reading would leave it. */
static void
found(struct world *w, int64_t id, const char *how)
{
	struct vserver vs;
	struct err e;

	assert_int_equal(store_vserver_get(journey_store(w->j), id, &vs, &e), 0);
	vs.present = how != NULL;
	xset(&vs.run, how);
	assert_int_equal(store_vserver_save(journey_store(w->j), &vs, &e), 0);
	vserver_release(&vs);
}

static void
what_is_pending(void **state)
{
	struct world *w = *state;
	int64_t side, notls;
	struct str question = STR_INIT;

	pending_is(w, "");
	assert_int_equal(add(w, "side", "192.0.2.5:2525", "smtp", &side), RC_OK);
	assert_int_equal(add(w, "notls", "none", "smtp", &notls), RC_OK);
	assert_int_equal(run(w, side, "stopped"), RC_OK);
	assert_int_equal(run(w, notls, "stopped"), RC_INVALID);
	pending_is(w, "mx1: new virtual server notls, which only sends\nmx1: new virtual server side on 192.0.2.5:2525, stopped\n");
	found(w, side, "stopped");
	found(w, notls, "started");
	pending_is(w, "");
	assert_int_equal(run(w, side, "paused"), RC_OK);
	pending_is(w, "mx1/side: paused (on the host: stopped)\n");
	assert_int_equal(run(w, side, NULL), RC_OK);
	pending_is(w, "mx1/side: removed\n");
	assert_int_equal(run(w, side, "paused"), RC_INVALID);
	assert_int_equal(run(w, side, "started"), RC_OK);        /* it stays after all */
	pending_is(w, "mx1/side: started (on the host: stopped)\n");
	assert_int_equal(run(w, notls, NULL), RC_OK);
	pending_is(w, "mx1/notls: removed\nmx1/side: started (on the host: stopped)\n");
	assert_int_equal(run(w, notls, "stopped"), RC_INVALID);
	assert_int_equal(run(w, notls, "started"), RC_OK);       /* one that only sends stays as well */
	pending_is(w, "mx1/side: started (on the host: stopped)\n");
	assert_int_equal(run(w, notls, "started"), RC_INVALID);
	assert_int_equal(run(w, w->smtp, NULL), RC_INVALID);     /* the default one */
	vserver_ask(w->j, w->smtp, "stop", &question);
	assert_string_equal(question.s, "All mail to mx1 stops with the push. Stop mx1/smtp?");
	str_reset(&question);
	vserver_ask(w->j, w->smtp, "start", &question);
	assert_string_equal(question.s, "");
	str_release(&question);
}

static void
not_pushed_and_forgotten(void **state)
{
	struct world *w = *state;
	struct vserver vs;
	int64_t side;

	assert_int_equal(add(w, "side", "192.0.2.5:2525", "smtp", &side), RC_OK);
	assert_int_equal(run(w, side, NULL), RC_OK);
	assert_int_equal(store_vserver_get(journey_store(w->j), side, &vs, NULL), -1);
	pending_is(w, "");
}

/* Before its first push it has the certificate that main.cf will give it, so that TLS can be asked for. */
static void
the_certificate_of_the_host(void **state)
{
	struct world *w = *state;
	struct vserver vs;
	struct err e;
	int64_t side, notls;

	assert_int_equal(store_vserver_get(journey_store(w->j), w->smtp, &vs, &e), 0);
	xset(&vs.cert_pem, "pem");
	xset(&vs.cert_file, "/etc/ssl/mx1.pem");
	assert_int_equal(store_vserver_save(journey_store(w->j), &vs, &e), 0);
	vserver_release(&vs);
	assert_int_equal(add(w, "side", "192.0.2.5:2525", "smtp", &side), RC_OK);
	assert_int_equal(add(w, "notls", "none", "smtp", &notls), RC_OK);
	assert_int_equal(store_vserver_get(journey_store(w->j), side, &vs, &e), 0);
	assert_string_equal(vs.cert_pem, "pem");
	vserver_release(&vs);
	assert_int_equal(store_vserver_get(journey_store(w->j), notls, &vs, &e), 0);
	assert_null(vs.cert_pem);
	vserver_release(&vs);
}

/* What a connector is sent by cannot go; it gets a client of its own. */
static void
clients(void **state)
{
	struct world *w = *state;
	struct wanted_host want = { .vs = NULL };
	struct connector c = { .created_at = 1 };
	struct err e;
	int64_t side, notls;
	size_t i;

	assert_int_equal(add(w, "side", "192.0.2.5:2525", "smtp", &side), RC_OK);
	assert_int_equal(add(w, "plain", "192.0.2.5:2526", "smtp", NULL), RC_OK);
	assert_int_equal(add(w, "notls", "none", "smtp", &notls), RC_OK);
	c.name = xstrdup("bank");
	c.domains = xstrdup("bank.test");
	c.route = xstrdup("dns");
	c.via = xstrdup("mx1/side");
	c.tls = xstrdup("encrypt");
	assert_int_equal(store_connector_save(journey_store(w->j), &c, &e), 0);
	connector_release(&c);
	assert_int_equal(wanted_build(w->j, w->mx1, &want, &e), 0);
	for (i = 0; i < want.n_vs; i++) {
		const char *client = strcmp(want.vs[i].name, "side") == 0 ? "side-out" : strcmp(want.vs[i].name, "notls") == 0 ? "notls-out" : NULL;

		assert_true(text_eq(want.vs[i].client, client));
		assert_true(want.vs[i].is_default || text_eq(want.vs[i].ours, "added"));
	}
	assert_int_equal(want.n_vs, 4);
	wanted_free(&want);
	assert_int_equal(run(w, side, NULL), RC_CONFLICT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test_setup_teardown(what_may_be_added, set_up, tear_down),
		cmocka_unit_test_setup_teardown(before_3_6, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_pending, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_pushed_and_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(clients, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_certificate_of_the_host, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
