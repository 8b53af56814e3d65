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
#include "mxseal/fleet.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/one_server.h"

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
add(struct one_server *w, const char *name, const char *listen, const char *kind, int64_t *id)
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
	struct one_server *w = *state;
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
	struct one_server *w = *state;
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
pending_is(struct one_server *w, const char *text)
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
run(struct one_server *w, int64_t id, const char *how)
{
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };
	int rc = how ? vserver_run(w->j, id, how, &said, &e) : vserver_remove(w->j, id, &said, &e);

	str_release(&said);
	return rc == 0 ? RC_OK : e.code;
}

/* As a reading would leave it. */
static void
found(struct one_server *w, int64_t id, const char *how)
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
	struct one_server *w = *state;
	int64_t side, notls;
	struct str question = STR_INIT;

	pending_is(w, "");
	assert_int_equal(add(w, "side", "192.0.2.5:2525", "smtp", &side), RC_OK);
	assert_int_equal(add(w, "notls", "none", "smtp", &notls), RC_OK);
	assert_int_equal(run(w, side, "stopped"), RC_OK);
	assert_int_equal(run(w, notls, "stopped"), RC_INVALID);
	pending_is(w, "mx1: new virtual server notls, which only sends\nmx1: new virtual server side on 192.0.2.5:2525, stopped\n");
	assert_int_equal(store_wanted_set(journey_store(w->j), "vs", notls, "outbound.tls", "encrypt", NULL), 0);
	pending_is(w, "mx1: new virtual server notls, which only sends\nmx1/notls: outbound.tls = encrypt\n"
	    "mx1: new virtual server side on 192.0.2.5:2525, stopped\n");
	assert_int_equal(store_wanted_set(journey_store(w->j), "vs", notls, "outbound.tls", NULL, NULL), 0);
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
	struct one_server *w = *state;
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
	struct one_server *w = *state;
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
	struct one_server *w = *state;
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

/* What a push carried there counts while that push is in force: one that the host undid by itself was none. */
static void
connectors_of_an_undone_push(void **state)
{
	struct one_server *w = *state;
	struct push_record r = { .server = w->mx1, .generation = 1, .started_at = 1 };
	struct wanted_host want = { .vs = NULL };
	struct connector c = { .created_at = 1 };
	struct server sv = { .id = 0 };
	struct drift_facts *before;
	struct plan plan;
	struct err e;
	char *pushed;

	c.name = xstrdup("bank");
	c.domains = xstrdup("bank.test");
	c.route = xstrdup("dns");
	c.via = xstrdup("mx1/smtp");
	c.tls = xstrdup("encrypt");
	assert_int_equal(store_connector_save(journey_store(w->j), &c, &e), 0);
	connector_release(&c);
	pending_is(w, "mx1: connectors (1)\n");
	plan_init(&plan);
	assert_int_equal(store_server_get(journey_store(w->j), w->mx1, &sv, &e), 0);
	assert_int_equal(wanted_build(w->j, w->mx1, &want, &e), 0);
	before = drift_facts_get(w->j, &sv);
	pushed = pushed_make(&want, &plan, 1, before);
	assert_int_equal(pushed_store(w->j, w->mx1, pushed, &e), 0);
	r.result = xstrdup("waiting");
	assert_int_equal(store_push_save(journey_store(w->j), &r, &e), 0);
	pending_is(w, "");
	xset(&r.result, "undone");
	assert_int_equal(store_push_save(journey_store(w->j), &r, &e), 0);
	pending_is(w, "mx1: connectors (1)\n");
	free(pushed);
	drift_facts_free(before);
	wanted_free(&want);
	plan_release(&plan);
	server_release(&sv);
	push_record_release(&r);
}

/* One whose key lives here needs attention at the server that it is for. */
static void
where_a_request_waits(void **state)
{
	struct one_server *w = *state;
	struct attention_list l = { NULL, 0 };
	struct request r = { .vserver = w->smtp, .created_at = 1 };
	struct err e;
	size_t i, n = 0;

	r.name = xstrdup("mx1");
	r.subject.cn = xstrdup("mx1.test");
	r.pem = xstrdup("pem");
	r.state = xstrdup("pending");
	assert_int_equal(store_request_save(journey_store(w->j), &r, &e), 0);
	assert_int_equal(attention(w->j, &l, &e), 0);
	for (i = 0; i < l.n; i++)
		if (l.v[i].request == r.id) {
			assert_int_equal(l.v[i].server, w->mx1);
			n++;
		}
	assert_int_equal(n, 1);
	attention_list_release(&l);
	request_release(&r);
}

/* A reading that does not see a listener for once: what was said of it here is not forgotten. */
static void
seen(struct one_server *w, const char *name)
{
	struct looked l = { .mailsys = mailsys_find("postfix") };
	struct err e;

	if (name != NULL) {
		struct vserver *v = vserver_list_add(&l.reading.vservers);

		v->name = xstrdup(name);
		v->port = 25;
		v->is_default = true;
		v->listen = xstrdup("0.0.0.0:25");
	}
	l.push_state = xstrdup("idle");
	if (looked_store(w->j, w->mx1, &l, &e) == -1)
		fail_msg("%s", e.text);
	looked_release(&l);
}

static void
is_there(struct one_server *w, int64_t id, bool there)
{
	struct vserver vs;

	assert_int_equal(store_vserver_get(journey_store(w->j), id, &vs, NULL), there ? 0 : -1);
	vserver_release(&vs);
}

static void
missing_for_once(void **state)
{
	struct one_server *w = *state;
	struct vserver side = { .server = w->mx1, .port = 2525, .present = true };
	struct request r = { .created_at = 1 };
	struct err e;
	struct store *st = journey_store(w->j);

	seen(w, "smtp");
	side.name = xstrdup("side");
	assert_int_equal(store_vserver_save(st, &side, &e), 0);
	seen(w, "smtp");
	is_there(w, side.id, false);                     /* nothing is wanted of it */
	side.id = side.rev = 0;
	side.run_wanted = xstrdup("stopped");
	assert_int_equal(store_vserver_save(st, &side, &e), 0);
	seen(w, "smtp");
	is_there(w, side.id, true);
	vserver_release(&side);
	assert_int_equal(store_vserver_get(st, w->smtp, &side, &e), 0);
	assert_null(side.run_wanted);
	assert_int_equal(store_wanted_set(st, "vs", side.id, "inbound.tls", "may", &e), 0);
	seen(w, NULL);
	is_there(w, w->smtp, true);
	assert_int_equal(store_wanted_set(st, "vs", side.id, "inbound.tls", NULL, &e), 0);
	r.vserver = w->smtp;
	r.name = xstrdup("mx1");
	r.pem = xstrdup("pem");
	r.key_path = xstrdup("/k");
	r.spki_sha256 = xstrdup("00");
	r.state = xstrdup("pending");
	assert_int_equal(store_request_save(st, &r, &e), 0);
	seen(w, NULL);
	is_there(w, w->smtp, true);
	xset(&r.state, "dropped");
	assert_int_equal(store_request_save(st, &r, &e), 0);
	seen(w, NULL);
	is_there(w, w->smtp, false);
	request_release(&r);
	vserver_release(&side);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test_setup_teardown(what_may_be_added, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(before_3_6, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(what_is_pending, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(not_pushed_and_forgotten, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(clients, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(connectors_of_an_undone_push, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(missing_for_once, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(where_a_request_waits, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(the_certificate_of_the_host, one_server_set_up, one_server_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
