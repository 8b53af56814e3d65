/* The table of settings is whole, and each kind of value takes what it should and refuses the rest with a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mxseal/setting.h"

static const struct { const char *setting, *value, *normal; } good[] = {
	{ "inbound.tls", "require", "require" },
	{ "inbound.tls", "Offer", "offer" },
	{ "inbound.protocol-min", "TLS1.2", "tls1.2" },
	{ "inbound.ciphers", "high", "high" },
	{ "inbound.auth-needs-tls", "yes", "yes" },
	{ "inbound.auth-needs-tls", "off", "no" },
	{ "inbound.client-cert", "ask", "ask" },
	{ "outbound.tls", "dane-only", "dane-only" },
	{ "outbound.smart-host", "none", "none" },
	{ "outbound.smart-host", "Relay.Example.com", "relay.example.com" },
	{ "outbound.smart-host", "relay.example.com:587", "relay.example.com:587" },
	{ "outbound.smart-host", "[relay.example.com]:00587", "[relay.example.com]:587" },
	{ "outbound.smart-host", "192.0.2.1", "[192.0.2.1]" },
	{ "outbound.smart-host", "192.0.2.1:25", "[192.0.2.1]:25" },
	{ "outbound.smart-host", "[2001:DB8::1]:25", "[2001:db8::1]:25" },
	{ "outbound.helo-name", "Mail.Example.com.", "mail.example.com" },
	{ "outbound.retry.first", "300s", "5m" },
	{ "outbound.retry.max", "4000s", "4000s" },
	{ "outbound.expire-after", "1w", "7d" },
	{ "outbound.expire-after", "36H", "36h" },
	{ "outbound.notify-after", "0h", "0s" },
	{ "log.tls", "summary", "summary" },
	{ "inbound.connections", "007", "7" },
	{ "inbound.message-size", "10240000", "10000K" },
	{ "inbound.message-size", "10m", "10M" },
	{ "inbound.message-size", "1024k", "1M" },
	{ "inbound.message-size", "2000001", "2000001" },
	{ "inbound.message-size", "0", "0" },
	{ "inbound.clients.only", "None", "none" },
	{ "inbound.clients.only", "192.0.2.7,  198.51.100.0/24", "192.0.2.7 198.51.100.0/24" },
	{ "inbound.clients.except", "[2001:DB8:0:0::]/32 ::1", "2001:db8::/32 ::1" },
	{ "inbound.relay.networks", "127.0.0.0/8 127.0.0.0/8 10.0.0.0/8", "127.0.0.0/8 10.0.0.0/8" },
	{ "inbound.relay.networks", "192.0.2.1/32", "192.0.2.1" },
	{ "outbound.masquerade", "Example.COM example.org", "example.com example.org" },
	{ "notices.copy-to", "Post.Master+x@Example.com", "Post.Master+x@example.com" },
	{ "notices.copy-to", "root", "root" },
	{ "notices.copy-to", "NONE", "none" },
};

static const struct { const char *setting, *value; } bad[] = {
	{ "inbound.tls", "" }, { "inbound.tls", "encrypt" }, { "inbound.tls", "offer\nsmtpd_banner = x" },
	{ "inbound.protocol-min", "ssl3" }, { "inbound.protocol-min", ">=TLSv1.2" },
	{ "inbound.auth-needs-tls", "maybe" },
	{ "outbound.smart-host", "" }, { "outbound.smart-host", "a b" }, { "outbound.smart-host", "[relay" },
	{ "outbound.smart-host", "[]" }, { "outbound.smart-host", "relay:" }, { "outbound.smart-host", "relay:0" },
	{ "outbound.smart-host", "relay:65536" }, { "outbound.smart-host", "relay:25 , x" },
	{ "outbound.smart-host", "relay;reboot" }, { "outbound.smart-host", "$mydomain" }, { "outbound.smart-host", "-relay" },
	{ "outbound.smart-host", "1.2.3" }, { "outbound.smart-host", "1.2.3.256" }, { "outbound.smart-host", "::1" },
	{ "outbound.smart-host", "[1:2]" }, { "outbound.smart-host", "relay]" }, { "outbound.smart-host", "b\xc3\xbc.test" },
	{ "outbound.helo-name", "a..b" }, { "outbound.helo-name", "10.0.0.1" }, { "outbound.helo-name", "a-.b" },
	{ "outbound.helo-name", "mail.example.com\r\nX" }, { "outbound.helo-name", "." },
	{ "outbound.retry.first", "5" }, { "outbound.retry.first", "0s" }, { "outbound.retry.first", "-5m" },
	{ "outbound.retry.first", "5mm" }, { "outbound.retry.first", "999999999999s" }, { "outbound.retry.first", "999999999w" },
	{ "inbound.connections", "0" }, { "inbound.connections", "1e3" }, { "inbound.message-size", "1023" },
	{ "inbound.message-size", "9G" }, { "inbound.message-size", "10MB" }, { "inbound.message-size", "-1" },
	{ "inbound.clients.only", "" }, { "inbound.clients.only", "none 10.0.0.1" }, { "inbound.clients.only", "10.0.0.1/8" },
	{ "inbound.clients.only", "10.0.0.0/33" }, { "inbound.clients.only", "10.0.0" }, { "inbound.clients.only", "mail.test" },
	{ "inbound.clients.only", "2001:db8::1/32" }, { "inbound.clients.only", "10.0.0.1\n0.0.0.0/0 OK" },
	{ "inbound.clients.only", "cidr:/etc/x" }, { "inbound.clients.only", "!10.0.0.1" }, { "inbound.clients.only", "[10.0.0.1]" },
	{ "inbound.clients.only", "::1/129" }, { "inbound.clients.only", "[::1" }, { "inbound.clients.only", "1::2::3" },
	{ "outbound.masquerade", "$mydomain" }, { "outbound.masquerade", "a..b" }, { "outbound.masquerade", "10.0.0.1" },
	{ "notices.copy-to", "a b@c.test" }, { "notices.copy-to", "a@b@c.test" }, { "notices.copy-to", "@c.test" },
	{ "notices.copy-to", "-f@c.test" }, { "notices.copy-to", "a@" }, { "notices.copy-to", "|cat@c.test\n" },
	{ "notices.copy-to", "a,b@c.test" }, { "notices.copy-to", "$(x)@c.test" }, { "outbound.port", "65536" },
	{ "outbound.expire-after", "101d" }, { "outbound.expire-after", " 5d" },
};

static void
good_values_get_their_normal_form(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct setting *s = setting_find(good[i].setting);
		struct str out = STR_INIT;
		struct err e;

		assert_non_null(s);
		if (setting_check(s, good[i].value, &out, &e) != 0)
			fail_msg("%s=%s: %s", good[i].setting, good[i].value, e.text);
		assert_string_equal(out.s, good[i].normal);
		str_release(&out);
	}
}

static void
bad_values_are_refused_with_a_sentence(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct setting *s = setting_find(bad[i].setting);
		struct str out = STR_INIT;
		struct err e;

		str_add(&out, "before");
		if (setting_check(s, bad[i].value, &out, &e) != -1)
			fail_msg("%s=%s was taken", bad[i].setting, bad[i].value);
		assert_int_equal(e.code, RC_INVALID);
		assert_non_null(strstr(e.text, bad[i].setting));
		assert_non_null(strstr(e.text, "it takes "));
		assert_null(strchr(e.text, '\n'));
		assert_string_equal(out.s, "before");
		str_release(&out);
	}
}

/* Every row has its words, its first value is taken by itself, and no name stands twice. */
static void
the_table_is_whole(void **state)
{
	const struct setting *s;
	const struct choice *c;

	(void)state;
	for (s = setting_table; s->name; s++) {
		struct str takes = STR_INIT, normal = STR_INIT;

		assert_ptr_equal(setting_find(s->name), s);
		assert_non_null(s->tab);
		assert_non_null(s->label);
		assert_non_null(s->help);
		assert_true(s->kind != SETTING_CHOICE || s->choices != NULL);
		for (c = s->choices; c && c->name; c++)
			assert_true(c->label != NULL && c->help != NULL);
		setting_takes(s, &takes);
		assert_true(takes.len > 0);
		if (s->initial) {
			assert_int_equal(setting_check(s, s->initial, &normal, NULL), 0);
			assert_string_equal(normal.s, s->initial);
		}
		str_release(&takes);
		str_release(&normal);
	}
	assert_null(setting_find("inbound"));
	assert_null(setting_find(NULL));
}

/* From which value to which peers are shut out. */
static void
strictness(void **state)
{
	static const struct { const char *setting, *from, *to; bool stricter; } cases[] = {
		{ "inbound.tls", "offer", "require", true }, { "inbound.tls", "off", "require", true },
		{ "inbound.tls", NULL, "require", true }, { "inbound.tls", "require", "require", false },
		{ "inbound.tls", "off", "offer", false }, { "inbound.tls", "require", "", false }, { "inbound.tls", "offer", NULL, false },
		{ "inbound.protocol-min", "tls1.0", "tls1.2", true }, { "inbound.protocol-min", "tls1.3", "tls1.2", false },
		{ "inbound.protocol-min", "", "tls1.0", false }, { "inbound.client-cert", "none", "ask", false },
		{ "inbound.client-cert", "ask", "require", true }, { "outbound.tls", "may", "encrypt", true },
		{ "outbound.tls", "may", "dane", false }, { "outbound.tls", "dane", "encrypt", true },
		{ "outbound.tls", "encrypt", "verify", true }, { "outbound.tls", "encrypt", "may", false },
		{ "inbound.ciphers", "medium", "high", false }, { "inbound.recipients", "10", "1", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (setting_stricter(setting_find(cases[i].setting), cases[i].from, cases[i].to) != cases[i].stricter)
			fail_msg("%s: %s -> %s", cases[i].setting, cases[i].from ? cases[i].from : "NULL", cases[i].to ? cases[i].to : "NULL");
}

static void
what_it_takes_is_said(void **state)
{
	struct str out = STR_INIT;

	(void)state;
	setting_takes(setting_find("inbound.tls"), &out);
	assert_string_equal(out.s, "off, offer, require");
	str_reset(&out);
	setting_takes(setting_find("outbound.retry.first"), &out);
	assert_string_equal(out.s, "a time such as 30s, 5m, 2h or 5d, from 1s to 30d");
	str_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_whole), cmocka_unit_test(good_values_get_their_normal_form),
		cmocka_unit_test(bad_values_are_refused_with_a_sentence), cmocka_unit_test(strictness), cmocka_unit_test(what_it_takes_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
