/* Targets as typed, the answer of `ssh -G`, key files, and a server's KEXINIT: the text work of core/host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "../../core/host/keys.h"
#include "../../core/host/private.h"
#include "support/fixture.h"

static void
targets(void **state)
{
	static const struct {
		const char *text, *user, *host;
		int port;
		bool local;
	} good[] = {
		{ "mx1", NULL, "mx1", 0, false },
		{ "root@mx1.example.com:2222", "root", "mx1.example.com", 2222, false },
		{ "mx1:22", NULL, "mx1", 22, false },
		{ "192.0.2.1", NULL, "192.0.2.1", 0, false },
		{ "2001:db8::1", NULL, "2001:db8::1", 0, false },
		{ "::1", NULL, "::1", 0, false },
		{ "fe80::1%eth0", NULL, "fe80::1%eth0", 0, false },
		{ "[2001:db8::1]:2222", NULL, "2001:db8::1", 2222, false },
		{ "root@[::1]", "root", "::1", 0, false },
		{ "anna.b@corp.example@mx_1", "anna.b@corp.example", "mx_1", 0, false },
		{ "local:", NULL, "localhost", 0, true },
	};
	static const char *const bad[] = { "", "-oProxyCommand=x", "root@-x", "-l@mx1", "mx1:0", "mx1:65536", "mx1:22x", "mx1:", "mx 1",
		"mx1;id", "mx1$(id)", "mx1`id`", "mx1|x", "a/b", "@mx1", "ro ot@mx1", "[mx1]:22", "[::1", "[::1]x", "root@", "mx1\n", "m\xc3\xbcller",
		"mx1:2:3", "root@mx1 -o x", "'mx1'", "mx1'", "*", "%h", "::1%", "::1%a b" };
	struct target t;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(target_parse(&t, good[i].text, &e), 0);
		assert_true(text_eq(t.user, good[i].user));
		assert_string_equal(t.host, good[i].host);
		assert_int_equal(t.port, good[i].port);
		assert_int_equal(t.local, good[i].local);
		target_release(&t);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (target_parse(&t, bad[i], &e) == 0)
			fail_msg("\"%s\" was accepted as %s", bad[i], t.host);
		assert_int_equal(e.code, RC_INVALID);
		assert_true(clean_is(e.text, strlen(e.text)));
		assert_true(e.hint[0] != '\0');
	}
}

static void
what_ssh_says(void **state)
{
	static const char text[] = "host mx1\nuser anna\nhostname 192.0.2.7\nport 2200\nidentitiesonly yes\n"
		"identityfile ~/.ssh/id_a\nidentityfile /etc/keys/b c\nidentityagent /run/agent\nconnecttimeout 7\n"
		"userknownhostsfile /h/anna/.ssh/known_hosts ~/kh2 none\nglobalknownhostsfile /etc/ssh/ssh_known_hosts\n"
		"hostkeyalias Mail1\nproxyjump bob@jump:2222\nproxycommand none\nport 99999999999\nnonsense\n \n";
	struct route r = { .port = 22 };

	(void)state;
	route_parse(&r, text, "/h/anna");
	assert_string_equal(r.host, "192.0.2.7");
	assert_string_equal(r.user, "anna");
	assert_int_equal(r.port, 2200);
	assert_true(r.identities_only);
	assert_string_equal(r.identities[0], "/h/anna/.ssh/id_a");
	assert_string_equal(r.identities[1], "/etc/keys/b c");
	assert_null(r.identities[2]);
	assert_string_equal(r.agent, "/run/agent");
	assert_int_equal(r.connect_timeout_ms, 7000);
	assert_string_equal(r.known[0], "/h/anna/.ssh/known_hosts");
	assert_string_equal(r.known[1], "/h/anna/kh2");
	assert_string_equal(r.known[2], "/etc/ssh/ssh_known_hosts");
	assert_null(r.known[3]);
	assert_int_equal(r.known_user, 2);
	assert_string_equal(r.lookup, "Mail1");
	assert_string_equal(r.proxy, "ProxyJump bob@jump:2222");
	route_release(&r);
}

static void
routes(void **state)
{
	char *dir = fixture_dir(), *config = xasprintf("%s/config", dir), *path = xstrdup(getenv("PATH"));
	static const char text[] = "Host mail\n  HostName MX7.Example.com\n  Port 2022\n  User carl\nHost bad\n  HostName a,b\n"
		"Host *\n  IdentityAgent none\n  UserKnownHostsFile /nonexistent\n";
	struct login l = { .ssh_config = config, .target = (char *)(uintptr_t)"mail" };
	struct route r;
	struct err e;

	(void)state;
	assert_int_equal(str_write_file(config, text, strlen(text), 0600, NULL), 0);
	if (child_exists("ssh")) {
		assert_int_equal(route_find(&r, &l, -1, &e), 0);
		assert_string_equal(r.user, "carl");
		assert_string_equal(r.lookup, "[mx7.example.com]:2022");
		assert_null(r.agent);
		assert_null(r.proxy);
		route_release(&r);
		l.target = (char *)(uintptr_t)"dora@mail:2023";
		assert_int_equal(route_find(&r, &l, -1, &e), 0);
		assert_string_equal(r.user, "dora");
		assert_string_equal(r.lookup, "[mx7.example.com]:2023");
		route_release(&r);
		l.ssh_config = (char *)(uintptr_t)"/nonexistent/config";
		assert_int_equal(route_find(&r, &l, -1, &e), -1);
		assert_int_equal(e.code, RC_INVALID);
		l.ssh_config = config;
		l.target = (char *)(uintptr_t)"bad";
		assert_int_equal(route_find(&r, &l, -1, &e), -1);
		assert_int_equal(e.code, RC_INVALID);
	}
	/* no ssh program: what was typed */
	setenv("PATH", dir, 1);
	l.target = (char *)(uintptr_t)"eve@mx9:2024";
	assert_int_equal(route_find(&r, &l, -1, &e), 0);
	assert_false(r.have_ssh);
	assert_string_equal(r.host, "mx9");
	assert_string_equal(r.user, "eve");
	assert_string_equal(r.lookup, "[mx9]:2024");
	assert_non_null(r.identities[0]);
	route_release(&r);
	setenv("PATH", path, 1);
	fixture_remove(dir);
	free(dir);
	free(config);
	free(path);
}

static void
key_files_are_understood(void **state)
{
	/* an encrypted Ed25519 key, made for this test; its public half stands in clear in front */
	static const char encrypted[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
		"b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAAAAAAAAAAAAAA\n"
		"AAAAAAAAAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERIT\n"
		"FBUWFxgZGhscHR4fAAAAEAAAAAAAAAAAAAAAAAAAAAA=\n-----END OPENSSH PRIVATE KEY-----\n";
	static const struct { const char *text; bool good, encrypted; enum keyfile_kind kind; } files[] = {
		{ "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAA\n", true, true, KEYFILE_PEM },
		{ "-----BEGIN EC PRIVATE KEY-----\nAA\n", true, false, KEYFILE_PEM },
		{ "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA\n", true, true, KEYFILE_PEM },
		{ "-----BEGIN CERTIFICATE-----\nAA\n", false, false, KEYFILE_PEM },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n", false, false, KEYFILE_OPENSSH },
		{ "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----\n", false, false, KEYFILE_OPENSSH },
		{ "PuTTY-User-Key-File-3: ssh-ed25519\n", false, false, KEYFILE_PEM },
		{ "", false, false, KEYFILE_PEM },
	};
	struct keyfile k = { .path = xstrdup("id") };
	struct err e;
	size_t i;

	(void)state;
	str_init(&k.text, 65536);
	str_add(&k.text, encrypted);
	assert_int_equal(keyfile_parse(&k, &e), 0);
	assert_true(k.encrypted);
	assert_string_equal(k.cipher, "aes256-ctr");
	assert_string_equal(k.type, "ssh-ed25519");
	assert_int_equal(k.blob_len, 51);
	keyfile_release(&k);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		k = (struct keyfile){ .path = xstrdup("id") };
		str_init(&k.text, 65536);
		str_add(&k.text, files[i].text);
		assert_int_equal(keyfile_parse(&k, &e), files[i].good ? 0 : -1);
		if (files[i].good) {
			assert_int_equal(k.encrypted, files[i].encrypted);
			assert_int_equal(k.kind, files[i].kind);
		} else {
			assert_int_equal(e.code, RC_AUTH);
		}
		keyfile_release(&k);
	}
}

/* A banner and a KEXINIT with these lists. */
static void
server_hello(struct str *out, const char *const lists[10])
{
	struct str p = STR_INIT;
	size_t i;

	str_addn(&p, "\4\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);
	for (i = 0; i < 10; i++)
		wire_string(&p, lists[i], strlen(lists[i]));
	str_addn(&p, "\0\0\0\0\0\0\0\0\0", 9);
	str_add(out, "a line in front\r\nSSH-2.0-Test\r\n");
	wire_string(out, p.s, p.len);
	str_release(&p);
}

static void
why_no_common_algorithm(void **state)
{
	static const char *const ours[4] = { "curve25519-sha256", "ssh-ed25519", "aes128-ctr,aes256-ctr", "hmac-sha2-256" };
	static const char *const theirs[10] = { "sntrup761x25519,curve25519-sha256", "ssh-ed25519", "chacha20,aes256-gcm", "chacha20,\033[31m",
		"umac-128-etm", "umac-128-etm", "none", "none", "", "" };
	struct str hello = STR_INIT, why = STR_INIT;
	size_t cut;

	(void)state;
	server_hello(&hello, theirs);
	kexinit_why(hello.s, hello.len, ours, &why);
	assert_string_equal(why.s, "its cipher algorithms are only chacha20,aes256-gcm, its MAC algorithms are only umac-128-etm");
	for (cut = 0; cut < hello.len; cut++) {              /* whatever is missing, nothing is said and nothing is read beyond */
		char *part = xcalloc(1, cut + 1);

		memcpy(part, hello.s, cut);
		str_reset(&why);
		kexinit_why(part, cut, ours, &why);
		assert_string_equal(why.s, "");
		free(part);
	}
	str_release(&hello);
	str_release(&why);
}

static void
programs_of_this_machine(void **state)
{
	const char *const argv[] = { "sh", "-c", "cat; echo out; echo err >&2; exit 9", NULL };
	const char *const none[] = { "no-such-program-here", NULL };
	const char *const slow[] = { "sleep", "20", NULL };
	struct str out = STR_INIT, errors = STR_INIT;
	struct err e;
	int status;

	(void)state;
	assert_int_equal(child_run(argv, &out, &errors, &status, 5000, -1, &e), 0);
	assert_string_equal(out.s, "out\n");
	assert_string_equal(errors.s, "err\n");
	assert_int_equal(status, 9);
	assert_int_equal(child_run(none, &out, &errors, &status, 5000, -1, &e), -1);
	assert_int_equal(e.code, RC_IO);
	assert_int_equal(child_run(slow, &out, &errors, &status, 100, -1, &e), -1);
	assert_int_equal(e.code, RC_TIMEOUT);
	str_release(&out);
	str_release(&errors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets),
		cmocka_unit_test(what_ssh_says),
		cmocka_unit_test(routes),
		cmocka_unit_test(key_files_are_understood),
		cmocka_unit_test(why_no_common_algorithm),
		cmocka_unit_test(programs_of_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
