/* The way of mail, from a recording of a real Postfix with tables of every kind (tests/lab/route_tables.sh); which rows are
 * dead, case by case; and what a host answers that cannot be asked.
 *   test_mailsys_way --record "COMMAND..." FILE     makes the recording: COMMAND runs words on the host as root
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mailsys/postfix.h"
#include "mxseal/mailsys.h"
#include "mxseal/xalloc.h"
#include "support/recording.h"

#define GOLDEN TEST_SOURCE_DIR "/tests/golden/postfix/"

/* What is asked, and each recipient as "address class transport:next_hop level key fate". */
static const struct { struct way_ask ask; const char *ends; } ways[] = {
	{ { "a@good.test", NULL, false, NULL }, "a@good.test default smtp:good.test encrypt good.test unknown\n" },
	{ { "a@mx.good.test", NULL, false, NULL }, "a@mx.good.test default smtp:mx.good.test verify .good.test unknown\n" },
	/* as if another level were in force: rules of their own and a service's own option stay */
	{ { "a@mx.notls.test", NULL, false, "encrypt" }, "a@mx.notls.test default smtp:[mx.notls.test] encrypt - unknown\n" },
	{ { "a@good.test", NULL, false, "none" }, "a@good.test default smtp:good.test encrypt good.test unknown\n" },
	{ { "a@strict.test", NULL, false, "may" }, "a@strict.test default strict:[mx.good.test] verify - unknown\n" },
	{ { "a@notls.test", NULL, false, NULL }, "a@notls.test default smtp:notls.test encrypt notls.test unknown\n" },
	{ { "a@mx.notls.test", NULL, false, NULL }, "a@mx.notls.test default smtp:[mx.notls.test] may - unknown\n" },
	{ { "a@gate.test", NULL, false, NULL }, "a@gate.test default smtp:[mx.good.test]:25 may - unknown\n" },
	{ { "special+ext@gate.test", NULL, false, NULL }, "special+ext@gate.test default smtp:[mx.notls.test] may - unknown\n" },
	{ { "list-x@good.test", NULL, false, NULL }, "list-x@good.test default smtp:[mx.notls.test] may - unknown\n" },
	{ { "a@pix.test", NULL, false, NULL }, "a@pix.test default smtp:[mx.pix.test] may - unknown\n" },
	{ { "a@strict.test", NULL, false, NULL }, "a@strict.test default strict:[mx.good.test] verify - unknown\n" },
	{ { "a@two.test", NULL, false, NULL }, "a@two.test default smtp:[mx.refused.test], [mx.reqtls.test] may - unknown\n" },
	{ { "a@gone.test", NULL, false, NULL }, "a@gone.test default error:5.7.1 no more mail - - bounces\n" },
	{ { "a@later.test", NULL, false, NULL }, "a@later.test default retry:4.3.0 later - - waits\n" },
	{ { "a@hole.test", NULL, false, NULL }, "a@hole.test default discard:hole.test - - discarded\n" },
	{ { "a@relay.test", NULL, false, NULL }, "a@relay.test relay relay:[mx.good.test] encrypt [mx.good.test] unknown\n" },
	{ { "a@box.test", NULL, false, NULL }, "a@box.test virtual-mailbox smtp:[mx.good.test] encrypt [mx.good.test] unknown\n" },
	{ { "user+x@mx1.lab.test", NULL, false, NULL }, "user+x@mx1.lab.test local local:mx1.lab.test - - local\n" },
	{ { "nobody-here", NULL, false, NULL }, "nobody-here@mx1.lab.test local local:mx1.lab.test - - bounces\n" },
	{ { "root@localhost", NULL, false, NULL }, "root@localhost local local:mx1.lab.test - - local\n"
	  "user@mx1.lab.test local local:mx1.lab.test - - local\n" },
	{ { "team@alias.test", NULL, false, NULL }, "one@good.test default smtp:good.test encrypt good.test unknown\n"
	  "two@notls.test default smtp:notls.test encrypt notls.test unknown\n" },
	{ { "chain+x@alias.test", NULL, false, NULL }, "end+x@expired.test default smtp:expired.test encrypt expired.test unknown\n" },
	{ { "none@alias.test", NULL, false, NULL }, "none@alias.test virtual-alias error:5.1.1 User unknown in virtual alias table - - bounces\n" },
	{ { "OLD@good.test", NULL, false, NULL }, "new@notls.test default smtp:notls.test encrypt notls.test unknown\n" },
	{ { "a@else.test", NULL, false, NULL }, "a@else.test default smtp:[mx.good.test] encrypt [mx.good.test] unknown\n" },
	{ { "a@else.test", "x@sales.lab.test", false, NULL }, "a@else.test default smtp:[mx.notls.test] may - unknown\n" },
	{ { "a@else.test", "vip@lab.test", false, NULL }, "a@else.test default strict:[mx.good.test] verify - unknown\n" },
	{ { "a@else.test", "", false, NULL }, "a@else.test default smtp:[mx.expired.test] may - unknown\n" },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void
ends_text(const struct mail_way *w, struct str *out)
{
	size_t i;

	for (i = 0; i < w->ends.n; i++) {
		const struct way_end *end = &w->ends.v[i];
		const struct way_hop *hop = end->hops.n ? &end->hops.v[0] : NULL;

		str_addf(out, "%s %s %s:%s %s %s %s\n", end->address, end->address_class ? end->address_class : "-",
		    end->transport ? end->transport : "-", end->next_hop ? end->next_hop : "-", hop ? hop->level : "-",
		    hop && hop->policy_key ? hop->policy_key : "-", way_fate_name(end->fate));
	}
}

static void
as_recorded(void **state)
{
	struct sections s;
	size_t i;

	(void)state;
	recording_load(GOLDEN "way.rec", &s);
	for (i = 0; i < WAYS; i++) {
		struct command_list next = { NULL, 0 };
		struct str text = STR_INIT;
		struct mail_way w;
		struct err e;

		assert_int_equal(mailsys_postfix.way(&ways[i].ask, &s, &next, &w, &e), 0);
		assert_int_equal(next.n, 0);
		ends_text(&w, &text);
		assert_string_equal(text.s, ways[i].ends);
		str_release(&text);
		mail_way_release(&w);
	}
	sections_release(&s);
}

/* The chain in words: which table, key and row did what. */
static void
says_each_step(void **state)
{
	struct way_ask ask = { "chain+x@alias.test", NULL, false, NULL };
	struct command_list next = { NULL, 0 };
	struct sections s;
	struct mail_way w;
	struct err e;

	(void)state;
	recording_load(GOLDEN "way.rec", &s);
	assert_int_equal(mailsys_postfix.way(&ask, &s, &next, &w, &e), 0);
	assert_int_equal(w.steps.n, 2);
	assert_string_equal(w.steps.v[0].map, "btree:/etc/postfix/virtual");
	assert_string_equal(w.steps.v[0].key, "chain@alias.test");
	assert_string_equal(w.steps.v[0].row, "link@alias.test");
	assert_string_equal(w.steps.v[1].text, "virtual_alias_maps: mail for link+x@alias.test goes to end+x@expired.test");
	assert_string_equal(w.ends.v[0].route_key, "expired.test");
	mail_way_release(&w);
	sections_release(&s);
}

static void
bad_questions(void **state)
{
	static const char *const bad[] = { "", "@", "@x.test", "a@", "a b@x.test", "a\n@x.test", "ä@x.test" };
	struct sections s = { NULL, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct way_ask ask = { bad[i], NULL, false, NULL };
		struct command_list next = { NULL, 0 };
		struct mail_way w;
		struct err e;

		assert_int_equal(mailsys_postfix.way(&ask, &s, &next, &w, &e), -1);
		assert_int_equal(e.code, RC_USAGE);
	}
}

/* Tables that cannot be asked: mail waits, and it is said which. */
static void
broken_tables(void **state)
{
	struct way_ask ask = { "a@good.test", NULL, false, NULL };
	struct command_list next = { NULL, 0 };
	struct sections s;
	struct mail_way w;
	struct err e;
	size_t i;

	(void)state;
	recording_load(GOLDEN "way.rec", &s);
	for (i = 0; i < s.n; i++) {
		char *at = strncmp(s.v[i].name, "ask.", 4) == 0 ? strstr(s.v[i].text.s, "\n\n") : NULL;

		if (at && strstr(s.v[i].text.s, "good.test\tsmtp:")) {
			str_cut(&s.v[i].text, (size_t)(at - s.v[i].text.s) + 2);
			str_add(&s.v[i].text, "\n= 1\npostmap: fatal: open database /etc/postfix/transport.db: No such file or directory\n");
		}
	}
	assert_int_equal(mailsys_postfix.way(&ask, &s, &next, &w, &e), 0);
	assert_int_equal(w.ends.v[0].fate, FATE_WAITS);
	assert_string_equal(w.ends.v[0].steps.v[w.ends.v[0].steps.n - 1].text, "transport_maps cannot be asked");
	mail_way_release(&w);
	sections_release(&s);
}

/* --- dead rows --- */

static void
dead_as_recorded(void **state)
{
	struct command_list next = { NULL, 0 };
	struct dead_rule_list l;
	struct sections s;
	struct err e;

	(void)state;
	recording_load(GOLDEN "way.rec", &s);
	assert_int_equal(mailsys_postfix.dead(&s, &next, &l, &e), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[0].rule.key, "bank.test");
	assert_int_equal(l.v[0].line, 8);
	assert_string_equal(l.v[0].domains, "bank.test");
	assert_string_equal(l.v[0].smart_host, "[mx.notls.test]:25");
	assert_string_equal(l.v[0].tls, "encrypt");
	assert_string_equal(l.v[1].rule.key, "gate.test");
	assert_string_equal(l.v[2].rule.source, "texthash:/etc/postfix/policy.text");
	assert_null(l.v[2].domains);
	dead_rule_list_release(&l);
	sections_release(&s);
}

/* main.cf lines, transport rows and policy rows ("key value;..."), and the policy keys that are dead. */
static const struct { const char *conf, *transport, *policy, *dead; } cases[] = {
	{ "", "", "bank.test encrypt;.bank.test encrypt", "" },
	{ "relayhost = [r.test]\n", "", "bank.test encrypt;.bank.test encrypt;[r.test] may;r.test may", "bank.test .bank.test r.test " },
	{ "relayhost = r.test:587\n", "", "r.test may;r.test:587 may;[r.test]:587 may", "r.test [r.test]:587 " },
	{ "relayhost = [r.test]\n", "bank.test smtp:", "bank.test encrypt;.bank.test encrypt", ".bank.test " },
	{ "relayhost = [r.test]\n", "bank.test :", "bank.test encrypt", "bank.test " },
	{ "relayhost = [r.test]\n", ".bank.test smtp:", "bank.test encrypt;.bank.test encrypt;a.bank.test may", "bank.test " },
	{ "", "bank.test smtp:[gw.test]:587", "bank.test encrypt;[gw.test]:587 may;[gw.test] may;gw.test:587 may",
	  "bank.test [gw.test] gw.test:587 " },
	{ "", "bank.test smtp:[gw.test]", "[GW.test] may;*.bank.test may;user@bank.test may;smtp:[gw.test] may",
	  "*.bank.test user@bank.test smtp:[gw.test] " },
	{ "", "bank.test smtp:[gw.test];vip@bank.test smtp:", "bank.test encrypt", "" },
	{ "", "* smtp:[gw.test]", "bank.test encrypt;[gw.test] may", "bank.test " },
	{ "", "* smtp:gw.test", "bank.test encrypt;gw.test may;.test may", "bank.test " },
	{ "", "bank.test relay:", "bank.test encrypt", "" },
	{ "", "bank.test lmtp:unix:/x", "bank.test encrypt", "bank.test " },
	{ "", "bank.test smtp:[a.test] [b.test]:26", "[b.test]:26 may;[b.test] may", "[b.test] " },
	{ "mydestination = home.test\n", "", "home.test may", "home.test " },
	{ "mydestination = home.test\n", "home.test smtp:", "home.test may", "" },
	{ "default_transport = smtp:[d.test]\n", "", "[d.test] may;bank.test may", "bank.test " },
	{ "smtp_fallback_relay = [f.test]\n", "", "[f.test] may;[g.test] may", "[g.test] " },
	{ "relayhost = [r.test]\nsender_dependent_relayhost_maps = ldap:/x\n", "", "bank.test may;[q.test] may", "" },
	{ "relayhost = [r.test]\n", " x;user@ smtp:;. smtp:", " encrypt;. may", "" },
	{ "relayhost = [r.test]\ndefault_transport =\n", "", "bank.test encrypt", "" },
	{ "transport_maps = hash:/t ldap:/x\nrelayhost = [r.test]\n", "a.test smtp:", "bank.test may;*.x may", "*.x " },
};

static void
add_rules(struct found_rule_list *l, const char *kind, const char *source, const char *rows)
{
	char **words = words_split(rows, ";", NULL);
	size_t i;

	for (i = 0; words[i]; i++) {
		size_t n = strcspn(words[i], " ");

		*found_rule_list_add(l) = (struct found_rule){ .kind = xstrdup(kind), .source = xstrdup(source),
			.key = xstrndup(words[i], n), .value = xstrdup(words[i] + n + 1) };
	}
	words_free(words);
}

static void
dead_case_by_case(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct found_rule_list rules = { NULL, 0 };
		struct sections s;
		struct str conf = STR_INIT, dead = STR_INIT;
		struct view v;
		struct err e;

		recording_load(GOLDEN "debian.rec", &s);
		str_addf(&conf, "smtp_tls_policy_maps = hash:/p\n%s%s", strstr(cases[i].conf, "transport_maps") ? ""
		    : *cases[i].transport ? "transport_maps = hash:/t\n" : "", cases[i].conf);
		recording_set(&s, "main.cf", 0, conf.s);
		assert_int_equal(view_load(&v, &s, &e), 0);
		add_rules(&rules, "transport", "hash:/t", cases[i].transport);
		add_rules(&rules, "policy", "hash:/p", cases[i].policy);
		rules_judge(&v, &rules);
		for (k = 0; k < rules.n; k++)
			if (rules.v[k].trouble && strcmp(rules.v[k].kind, "policy") == 0)
				str_addf(&dead, "%s ", rules.v[k].key);
		if (strcmp(dead.s, cases[i].dead) != 0)
			fail_msg("case %zu: %s%s: dead: %s", i, cases[i].conf, cases[i].transport, dead.s);
		found_rule_list_release(&rules);
		view_release(&v);
		sections_release(&s);
		str_release(&conf);
		str_release(&dead);
	}
}

/* The rows of a pattern table are no keys: what they match is not known. */
static void
patterns_are_not_judged(void **state)
{
	struct found_rule_list rules = { NULL, 0 };
	struct sections s;
	struct view v;
	struct err e;
	size_t i;

	(void)state;
	recording_load(GOLDEN "debian.rec", &s);
	recording_set(&s, "main.cf", 0, "relayhost = [r.test]\ntransport_maps = hash:/t\nsmtp_tls_policy_maps = regexp:/p, hash:/q\n");
	assert_int_equal(view_load(&v, &s, &e), 0);
	add_rules(&rules, "transport", "hash:/t", "a.test smtp:[x.test]");
	add_rules(&rules, "policy", "regexp:/p", "/^\\[r\\.test\\]$/ secure;/bank/ encrypt;if /x/");
	add_rules(&rules, "policy", "hash:/q", "bank.test encrypt");
	rules_judge(&v, &rules);
	for (i = 1; i < 4; i++)
		assert_null(rules.v[i].trouble);
	assert_non_null(rules.v[4].trouble);
	found_rule_list_release(&rules);
	view_release(&v);
	sections_release(&s);
}

static void
dead_transport_rows(void **state)
{
	struct found_rule_list rules = { NULL, 0 };
	struct sections s;
	struct view v;
	struct err e;

	(void)state;
	recording_load(GOLDEN "debian.rec", &s);
	recording_set(&s, "main.cf", 0, "transport_maps = hash:/one hash:/two\nvirtual_alias_domains = alias.test\n");
	assert_int_equal(view_load(&v, &s, &e), 0);
	add_rules(&rules, "transport", "hash:/one", "a.test smtp:[x.test];*.b.test smtp:;@c.test smtp:;.d.test smtp:");
	add_rules(&rules, "transport", "hash:/two", "A.test smtp:;e.test smtp:;alias.test smtp:");
	rules_judge(&v, &rules);
	assert_null(rules.v[0].trouble);
	assert_string_equal(rules.v[1].trouble, "Postfix knows no * in front of a domain: write it as .b.test");
	assert_non_null(strstr(rules.v[2].trouble, "write it as c.test"));
	assert_null(rules.v[3].trouble);
	assert_non_null(strstr(rules.v[4].trouble, "hash:/one has the same key"));
	assert_null(rules.v[5].trouble);
	assert_non_null(strstr(rules.v[6].trouble, "virtual alias domain"));
	found_rule_list_release(&rules);
	view_release(&v);
	sections_release(&s);
}

static int
record(const char *prefix, const char *path)
{
	struct way_ask asks[WAYS];
	struct sections s = { NULL, 0 };
	struct err e;
	size_t i;

	for (i = 0; i < WAYS; i++)
		asks[i] = ways[i].ask;
	if (recording_ways(&mailsys_postfix, prefix, asks, WAYS, &s, &e) == -1) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	recording_save(path, &s);
	sections_release(&s);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_recorded), cmocka_unit_test(says_each_step), cmocka_unit_test(bad_questions),
		cmocka_unit_test(broken_tables), cmocka_unit_test(dead_as_recorded), cmocka_unit_test(dead_case_by_case),
		cmocka_unit_test(dead_transport_rows), cmocka_unit_test(patterns_are_not_judged),
	};

	if (argc == 4 && strcmp(argv[1], "--record") == 0)
		return record(argv[2], argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
