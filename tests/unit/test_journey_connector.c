/* The story of connectors without a host: what is kept, how a password is sealed, what counts as not pushed, what keeps mail
 * from one. */
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
#include "support/fixture.h"

struct world { char *dir; struct journey *j; };

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct server sv = { .id = 0 };
	struct vserver vs = { .id = 0 };
	struct err e;
	char *store;

	w->dir = fixture_dir();
	store = xasprintf("%s/store.db", w->dir);
	assert_int_equal(journey_open(&w->j, store, &e), 0);
	free(store);
	sv.name = xstrdup("mx1");
	sv.target = xstrdup("mx1");
	sv.system = xstrdup("auto");
	sv.host_name = xstrdup("mx1.lab.test");
	sv.read_at = 1;
	assert_int_equal(store_server_save(w->j->store, &sv, &e), 0);
	vs.server = sv.id;
	vs.name = xstrdup("smtp");
	vs.is_default = true;
	vs.present = true;
	assert_int_equal(store_vserver_save(w->j->store, &vs, &e), 0);
	server_release(&sv);
	vserver_release(&vs);
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
fill(struct connector *c, const char *name, const char *domains, const char *smart_hosts, const char *tls)
{
	*c = (struct connector){ .name = xstrdup(name), .domains = xstrdup(domains), .smart_hosts = xstrdup(smart_hosts),
		.route = xstrdup(smart_hosts ? "smart-host" : "dns"), .tls = xstrdup(tls), .via = xstrdup("mx1/smtp") };
}

static void
a_password_is_sealed(void **state)
{
	struct world *w = *state;
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
	struct world *w = *state;
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
	struct world *w = *state;
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_password_is_sealed, set_up, tear_down),
		cmocka_unit_test(every_field_counts_as_an_edit),
		cmocka_unit_test_setup_teardown(what_cannot_be_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(troubles_are_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
