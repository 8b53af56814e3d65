/* The story of connectors without a host: what is kept, how a password is sealed, what counts as not pushed, what keeps mail
 * from one, whose mail a push of them may set free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journey/private.h"
#include "mxseal/xalloc.h"
#include "support/one_server.h"

static void
fill(struct connector *c, const char *name, const char *domains, const char *smart_hosts, const char *tls)
{
	*c = (struct connector){ .name = xstrdup(name), .domains = xstrdup(domains), .smart_hosts = xstrdup(smart_hosts),
		.route = xstrdup(smart_hosts ? "smart-host" : "dns"), .tls = xstrdup(tls), .via = xstrdup("mx1/smtp") };
}

static void
a_password_is_sealed(void **state)
{
	struct one_server *w = *state;
	struct connector c;
	struct wanted_host wanted = { .vs = NULL };
	struct secret password = { NULL, 0 }, passphrase = { NULL, 0 }, other = { NULL, 0 };
	struct err e;

	fill(&c, "relay", "bank.test", " relay.test:587   192.0.2.7 ", "encrypt");
	c.auth_user = xstrdup("mailer");
	secret_set(&password, "Kennwort", 8);
	secret_set(&passphrase, "a passphrase", 12);
	secret_set(&other, "another one", 11);
	assert_int_equal(connector_save(w->j, &c, &e), -1);
	assert_non_null(strstr(e.text, "password of mailer is needed"));
	assert_int_equal(connector_seal(w->j, &c, &password, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	journey_passphrase(w->j, &passphrase);
	assert_int_equal(connector_seal(w->j, &c, &password, &e), 0);
	assert_null(strstr(c.auth_sealed, "Kennwort"));
	assert_int_equal(connector_save(w->j, &c, &e), 0);
	assert_string_equal(c.smart_hosts, "relay.test:587 [192.0.2.7]");
	assert_true(sealed_keys_exist(w->j));

	/* a plan needs it again; one slip of the finger is noticed, and nothing is sealed with another passphrase */
	assert_int_equal(wanted_build(w->j, 1, &wanted, &e), 0);
	assert_string_equal(wanted.connectors.v[0].via, "mx1/smtp");
	journey_passphrase(w->j, NULL);
	assert_int_equal(connector_passwords(w->j, &wanted, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	journey_passphrase(w->j, &other);
	assert_int_equal(connector_passwords(w->j, &wanted, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	journey_passphrase(w->j, &other);
	assert_int_equal(connector_seal(w->j, &c, &password, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	assert_false(journey_has_passphrase(w->j));
	journey_passphrase(w->j, &passphrase);
	assert_int_equal(connector_passwords(w->j, &wanted, &e), 0);
	assert_string_equal(wanted.passwords[0].mem, "Kennwort");

	/* who logs in to nobody has no password */
	xset(&c.auth_user, NULL);
	assert_int_equal(connector_save(w->j, &c, &e), 0);
	assert_null(c.auth_sealed);
	wanted_free(&wanted);
	connector_release(&c);
	secret_release(&password);
	secret_release(&passphrase);
	secret_release(&other);
}

static void
every_field_counts_as_an_edit(void **state)
{
	struct connector c;
	struct connector_list l = { &c, 1 };
	char was[65], now[65];
	char **fields[] = { &c.domains, &c.route, &c.smart_hosts, &c.auth_user, &c.auth_sealed, &c.senders, &c.delivery, &c.via,
		&c.tls, &c.match };
	size_t i;

	(void)state;
	fill(&c, "relay", "bank.test", "[relay.test]", "encrypt");
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		connectors_hash(&l, was);
		xset(fields[i], "changed/it");
		connectors_hash(&l, now);
		if (strcmp(was, now) == 0)
			fail_msg("field %zu is not in the hash", i);
	}
	connector_release(&c);
}

static void
what_cannot_be_kept(void **state)
{
	static const struct { const char *domains, *hosts, *tls, *via, *says; } bad[] = {
		{ "bank.test", "[MX1.lab.test]", "encrypt", "mx1/smtp", "is the server mx1 itself" },
		{ "bank.test", NULL, "encrypt", "mx1/other", "" },
		{ "bank.test", NULL, "encrypt", " ", "needs a virtual server" },
		{ "*", NULL, "encrypt", "mx1/smtp", "by DNS is what a virtual server does by itself" },
		{ "", NULL, "encrypt", "mx1/smtp", "at least one domain" },
		{ "bank.test", NULL, "strong", "mx1/smtp", "is not a level" },
		{ "bank.test", NULL, "", "mx1/smtp", "needs an outbound security" },
	};
	struct one_server *w = *state;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct connector c;
		struct err e = { .code = RC_OK };

		fill(&c, "x", bad[i].domains, bad[i].hosts, bad[i].tls);
		xset(&c.via, bad[i].via);
		if (connector_save(w->j, &c, &e) != -1 || strstr(e.text, bad[i].says) == NULL)
			fail_msg("case %zu: %s", i, e.text);
		connector_release(&c);
	}
}

static void
troubles_are_told(void **state)
{
	struct one_server *w = *state;
	struct connector a, b, c;
	struct str text = STR_INIT;
	struct err e;

	fill(&a, "a", "bank.test,5 own.test", "[relay.test]", "encrypt");
	fill(&b, "b", "bank.test,2", NULL, "secure");
	fill(&c, "c", "third.test", "[relay.test]", "none");
	assert_int_equal(connector_save(w->j, &a, &e), 0);
	assert_int_equal(connector_save(w->j, &b, &e), 0);
	connector_troubles(w->j, &a, &text);
	assert_non_null(strstr(text.s, "bank.test: on mx1 the connector b has it"));
	str_reset(&text);
	connector_troubles(w->j, &b, &text);
	assert_string_equal(text.s, "");
	assert_int_equal(connector_save(w->j, &c, &e), 0);
	connector_troubles(w->j, &c, &text);
	assert_non_null(strstr(text.s, "[relay.test]: the connector a sends there from mx1 too"));
	str_release(&text);
	connector_release(&a);
	connector_release(&b);
	connector_release(&c);
}

/* --- whose mail a push may set free --- */

static void
pushed(struct journey *j)
{
	struct server sv = { .id = 0 };
	struct wanted_host wanted = { .vs = NULL };
	struct push_record r = { .server = 1, .generation = 1, .result = xstrdup("kept"), .started_at = 1 };
	struct drift_facts *facts;
	struct plan plan;
	struct err e;
	char *text;

	plan_init(&plan);
	assert_int_equal(store_server_get(j->store, 1, &sv, &e), 0);
	assert_int_equal(wanted_build(j, 1, &wanted, &e), 0);
	facts = drift_facts_get(j, &sv);
	text = pushed_make(&wanted, &plan, 1, facts);
	assert_int_equal(pushed_store(j, 1, text, &e), 0);
	assert_int_equal(store_push_save(j->store, &r, &e), 0);
	free(text);
	drift_facts_free(facts);
	wanted_free(&wanted);
	plan_release(&plan);
	push_record_release(&r);
	server_release(&sv);
}

static void
found_level(struct journey *j, const char *level)
{
	struct vserver vs = { .id = 0 };
	struct found_value *v;
	struct err e;

	assert_int_equal(store_vserver_get(j->store, 1, &vs, &e), 0);
	while (vs.found.n > 0)
		found_value_release(&vs.found.v[--vs.found.n]);
	v = found_value_list_add(&vs.found);
	v->name = xstrdup("outbound.tls");
	v->value = xstrdup(level);
	assert_int_equal(store_vserver_save(j->store, &vs, &e), 0);
	vserver_release(&vs);
}

static void
frees(struct journey *j, bool waits, const char *expected)
{
	char **rows = queue_follow_destinations(j, 1, waits);
	struct str all = STR_INIT;
	size_t i;

	for (i = 0; rows[i] != NULL; i++)
		str_addf(&all, "%s%s", i > 0 ? " | " : "", rows[i]);
	assert_string_equal(all.len > 0 ? all.s : "", expected);
	words_free(rows);
	str_release(&all);
}

static void
level(struct journey *j, const char *value)
{
	const char *name = "outbound.tls";
	struct err e;

	assert_int_equal(vserver_set(j, 1, &name, &value, 1, &e), 0);
}

static void
who_is_set_free(void **state)
{
	struct one_server *w = *state;
	struct connector c;
	struct str said = STR_INIT, name = STR_INIT;
	struct queue_follow f = { .server = 1 };
	struct err e;
	int64_t id;

	(void)journey_intend(w->j, true);
	frees(w->j, false, "");
	fill(&c, "bank", "bank.test *.old.test,5", NULL, "encrypt");
	assert_int_equal(connector_save(w->j, &c, &e), 0);
	frees(w->j, false, "*.old.test | bank.test");
	pushed(w->j);
	frees(w->j, false, "");

	/* one more domain is one more; what only people read changes nothing; undone it is as before */
	xset(&c.domains, "bank.test *.old.test,5 new.test");
	xset(&c.reason, "because");
	assert_int_equal(connector_save(w->j, &c, &e), 0);
	frees(w->j, false, "new.test");
	assert_int_equal(edit_undo(w->j, 0, false, &said, &e), 0);
	frees(w->j, false, "");
	id = c.id;
	connector_release(&c);
	assert_int_equal(store_connector_get(w->j->store, id, &c, &e), 0);

	/* the level of all mail: what TLS holds up, but for whom there is a connector */
	found_level(w->j, "encrypt");
	level(w->j, "encrypt");
	frees(w->j, false, "");
	level(w->j, "may");
	frees(w->j, false, "* !bank.test !*.old.test");
	pushed(w->j);
	found_level(w->j, "may");
	frees(w->j, false, "");
	level(w->j, "");
	frees(w->j, false, "* !bank.test !*.old.test");
	level(w->j, "may");

	/* a connector that went, one for all, and what was noted for a push that waits */
	assert_int_equal(connector_remove(w->j, c.id, &e), 0);
	connector_release(&c);
	frees(w->j, false, "*.old.test | bank.test");
	fill(&c, "all", "*", "[relay.test]", "may");
	assert_int_equal(connector_save(w->j, &c, &e), 0);
	frees(w->j, false, "* !*.old.test !bank.test | *.old.test | bank.test");
	frees(w->j, true, "");
	assert_int_equal(queue_follow_note(w->j, 1, "mended.test", &e), 0);
	frees(w->j, true, "mended.test");
	pushed(w->j);
	assert_int_equal(queue_follow_forget(w->j, 1, &e), 0);
	frees(w->j, false, "");
	connector_release(&c);

	/* very many are one row */
	fill(&c, "many", "a1.test a2.test a3.test a4.test a5.test a6.test a7.test a8.test a9.test", NULL, "encrypt");
	assert_int_equal(connector_save(w->j, &c, &e), 0);
	frees(w->j, false, "a1.test a2.test a3.test a4.test a5.test a6.test a7.test a8.test a9.test");
	f.destinations = xstrdup("a1.test a2.test *");
	queue_follow_name(&f, &name);
	assert_string_equal(name.s, "2 destinations and all that TLS holds up");
	assert_null(queue_follow_only(&f));
	queue_follow_release(&f);
	connector_release(&c);
	str_release(&said);
	str_release(&name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_password_is_sealed, one_server_set_up, one_server_tear_down),
		cmocka_unit_test(every_field_counts_as_an_edit),
		cmocka_unit_test_setup_teardown(what_cannot_be_kept, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(troubles_are_told, one_server_set_up, one_server_tear_down),
		cmocka_unit_test_setup_teardown(who_is_set_free, one_server_set_up, one_server_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
