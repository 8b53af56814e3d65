/* Edits of lists that are the administrator's: only our element comes or goes; and the table of clients, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/postfix.h"

static const struct { char *(*edit)(const char *list, bool yes); const char *list; bool yes; const char *after; } edits[] = {
	{ list_anonymous, "", true, "" },
	{ list_anonymous, "", false, "permit_sasl_authenticated, reject" },
	{ list_anonymous, "permit_sasl_authenticated, reject", true, "" },
	{ list_anonymous, "reject_unknown_sender_domain, check_sender_access hash:/x", false,
	  "reject_unknown_sender_domain, check_sender_access hash:/x, permit_sasl_authenticated, reject" },
	{ list_anonymous, "reject_unknown_sender_domain  permit_sasl_authenticated,reject", true, "reject_unknown_sender_domain" },
	{ list_anonymous, "permit_sasl_authenticated,reject", false, "permit_sasl_authenticated,reject" },
	{ list_anonymous, "$mua_sender_restrictions", false, "$mua_sender_restrictions, permit_sasl_authenticated, reject" },
	{ list_may_relay, "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination", false,
	  "permit_mynetworks, defer_unauth_destination" },
	{ list_may_relay, "permit_mynetworks defer_unauth_destination", true,
	  "permit_mynetworks permit_sasl_authenticated, defer_unauth_destination" },
	{ list_may_relay, "permit_sasl_authenticated,reject", false, "reject" },
	{ list_may_relay, "permit_mynetworks", true, "permit_mynetworks, permit_sasl_authenticated" },
	{ list_may_relay, "Permit_SASL_authenticated,permit_sasl_authenticated", false, "" },
	{ list_may_relay, "xpermit_sasl_authenticated, reject", false, "xpermit_sasl_authenticated, reject" },
};

static void
only_our_element_comes_or_goes(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		char *once = edits[i].edit(edits[i].list, edits[i].yes), *twice = edits[i].edit(once, edits[i].yes);

		assert_string_equal(once, edits[i].after);
		assert_string_equal(twice, once);
		free(once);
		free(twice);
	}
}

static void
a_word_of_a_list(void **state)
{
	static const struct { const char *list; bool in; const char *after; } words[] = {
		{ "resource, software", true, "resource, software, bounce" }, { "resource,bounce, software", false, "resource,software" },
		{ "bounce", false, "" }, { "", true, "bounce" }, { "2bounce", true, "2bounce, bounce" }, { "2bounce", false, "2bounce" },
		{ "resource, bounce", false, "resource" }, { " resource ", true, " resource, bounce" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char *after = list_word(words[i].list, "bounce", words[i].in);

		assert_string_equal(after, words[i].after);
		free(after);
	}
}

static const struct { const char *only, *except; } tables[] = {
	{ "none", "none" }, { "192.0.2.7 198.51.100.0/24", "none" }, { "none", "2001:db8::/32 0.0.0.0/0" },
	{ "10.0.0.0/8 ::1", "10.0.0.9" }, { "0.0.0.0/0", "::/0" },
};

static void
tables_both_ways(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct str text = STR_INIT;
		char *only, *except;

		access_table(tables[i].only, tables[i].except, &text);
		only = access_ours("inbound.clients.only", text.s);
		except = access_ours("inbound.clients.except", text.s);
		assert_string_equal(only, tables[i].only);
		assert_string_equal(except, tables[i].except);
		free(only);
		free(except);
		str_release(&text);
	}
	assert_null(access_ours("inbound.clients.only", "10.0.0.1 OK\n"));       /* a table of somebody else */
	assert_null(access_ours("inbound.clients.only", NULL));
}

/* Edited by hand it is not taken for ours: what is read wrongly would be written back so. */
static void
an_edited_table_is_not_ours(void **state)
{
	static const char *const by_hand[][2] = {                 /* what is there, and what somebody makes of it */
		{ "# Written", "# Changed" }, { "10.0.0.9 REJECT", "10.0.0.9 OK" }, { "10.0.0.9 REJECT", "10.0.0.9 REJECT no thanks" },
		{ "::/0 REJECT\n", "" }, { "10.0.0.0/8 DUNNO", "10.0.0.0/8 DUNNO\n10.0.0.5 REJECT" }, { "10.0.0.0/8", "#10.0.0.0/8" },
	};
	struct str text = STR_INIT, edited = STR_INIT;
	size_t i;

	(void)state;
	access_table("10.0.0.0/8", "10.0.0.9", &text);
	for (i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++) {
		const char *at = strstr(text.s, by_hand[i][0]);

		assert_non_null(at);
		str_reset(&edited);
		str_addf(&edited, "%.*s%s%s", (int)(at - text.s), text.s, by_hand[i][1], at + strlen(by_hand[i][0]));
		if (access_ours("inbound.clients.only", edited.s) || access_ours("inbound.clients.except", edited.s))
			fail_msg("taken for ours: %s", edited.s);
	}
	str_release(&text);
	str_release(&edited);
}

static void
the_table_stands_in_front(void **state)
{
	static const char *const lists[] = { "", "permit_mynetworks, reject_unknown_client_hostname", "check_client_access cidr:/x, reject",
	    "$mua_client_restrictions", "check_client_access,hash:/y" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		char *with = access_put(lists[i], "/etc/mxseal/3/clients-smtp"), *again = access_put(with, "/etc/mxseal/4/clients-smtp");
		char *path = access_path(again), *without = access_put(again, NULL);

		assert_true(text_starts(with, "check_client_access cidr:/etc/mxseal/3/clients-smtp"));
		assert_string_equal(path, "/etc/mxseal/4/clients-smtp");
		assert_null(strstr(again, "/3/"));
		assert_string_equal(without, lists[i]);
		assert_null(access_path(lists[i]));
		free(with);
		free(again);
		free(path);
		free(without);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_our_element_comes_or_goes), cmocka_unit_test(a_word_of_a_list), cmocka_unit_test(tables_both_ways),
		cmocka_unit_test(the_table_stands_in_front), cmocka_unit_test(an_edited_table_is_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
