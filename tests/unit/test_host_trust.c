/* What an impostor gets from us, and what a weak server does: nothing, and a sentence that names the algorithm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/host.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/sshd.h"

static char *dir;

static void
start(struct sshd *s, const char *name, const char *keys, const char *extra)
{
	char *d = xasprintf("%s/%s", dir, name);

	sshd_run("mkdir -p %s && cp %s/host_* %s/user_* %s/authorized_keys %s", d, dir, dir, dir, d);
	sshd_start(s, d, keys, extra);
	free(d);
}

static size_t
said(const struct sshd *s, const char *word)
{
	char *path = xasprintf("%s/sshd.log", s->dir), *p;
	struct str text = STR_INIT;
	size_t n = 0;

	assert_int_equal(str_read_file(&text, path, 64u * 1024 * 1024, NULL), 0);
	for (p = text.s; (p = strstr(p, word)) != NULL; p++)
		n++;
	str_release(&text);
	free(path);
	return n;
}

static void
must_be_refused(const struct sshd *s, enum err_code code)
{
	struct login l = { .target = (char *)(uintptr_t)s->target, .ssh_config = (char *)(uintptr_t)s->config };
	struct err e = { .code = RC_OK };
	struct host *h = NULL;

	/* a password that was already given must not reach it either */
	secret_set(&l.password, "tell nobody", 11);
	assert_int_equal(host_open(&h, &l, NULL, NULL, &e), -1);
	if (e.code != code)
		fail_msg("wanted %s, got %s: %s", err_name(code), err_name(e.code), e.text);
	secret_release(&l.password);
}

/* The server is asked in all these ways and never hears of a user. */
static void
impostor(struct sshd *s)
{
	sshd_known(s, "[127.0.0.1]:*", "user_ed25519", NULL);                              /* changed */
	must_be_refused(s, RC_HOSTKEY);
	sshd_known(s, "[127.0.0.1]:*", "user_ecdsa", NULL);                                /* another type */
	must_be_refused(s, RC_HOSTKEY);
	sshd_known(s, "[127.0.0.1]:*", "host_ed25519", "@revoked *", "host_ed25519", NULL);
	must_be_refused(s, RC_HOSTKEY);
	sshd_known(s, "elsewhere", "host_ed25519", NULL);                                  /* new */
	must_be_refused(s, RC_HOSTKEY_NEW);
	assert_in_range(said(s, "Connection from"), 4, 100);
	assert_int_equal(said(s, "userauth-request"), 0);
}

static void
an_impostor_hears_nothing(void **state)
{
	static const char *const extra[] = { "LogLevel DEBUG1", "LogLevel DEBUG1\nCiphers aes256-gcm@openssh.com" };
	struct sshd s;
	char name[16];
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {                       /* by libssh2, and by the ssh program */
		struct login l;
		struct host *h;
		struct err e;

		snprintf(name, sizeof(name), "impostor%zu", i);
		start(&s, name, "host_ed25519", extra[i]);
		impostor(&s);
		sshd_known(&s, "[127.0.0.1]:*", "host_ed25519", NULL);
		l = (struct login){ .target = s.target, .ssh_config = s.config };
		if (host_open(&h, &l, NULL, NULL, &e) < 0)
			fail_msg("%s", e.text);
		assert_string_equal(host_transport(h), i == 0 ? "libssh2" : "openssh");
		host_close(h);
		assert_true(said(&s, "userauth-request") > 0);
		sshd_stop(&s);
	}
}

static void
weak_servers_are_refused_by_name(void **state)
{
	static const struct { const char *list, *algorithm; } weak[] = {
		{ "KexAlgorithms", "diffie-hellman-group1-sha1" }, { "KexAlgorithms", "diffie-hellman-group14-sha1" },
		{ "KexAlgorithms", "diffie-hellman-group-exchange-sha1" }, { "HostKeyAlgorithms", "ssh-rsa" },
		{ "Ciphers", "3des-cbc" }, { "Ciphers", "aes128-cbc" }, { "Ciphers", "aes192-cbc" }, { "Ciphers", "aes256-cbc" },
		{ "MACs", "hmac-md5" }, { "MACs", "hmac-md5-96" }, { "MACs", "hmac-md5-etm@openssh.com" }, { "MACs", "hmac-sha1" },
		{ "MACs", "hmac-sha1-96" }, { "MACs", "umac-64@openssh.com" }, { "MACs", "hmac-sha1-etm@openssh.com" },
	};
	size_t i, n = sizeof(weak) / sizeof(weak[0]), refused = 0;

	(void)state;
	for (i = 0; i < n; i++) {
		/* with a cipher that needs a MAC at all */
		char *extra = xasprintf("%s %s\n%s", weak[i].list, weak[i].algorithm,
		    strcmp(weak[i].list, "Ciphers") == 0 ? "" : "Ciphers aes128-ctr"), name[16];
		struct err e = { .code = RC_OK };
		struct host *h = NULL;
		struct sshd s;
		struct login l;

		snprintf(name, sizeof(name), "weak%zu", i);
		start(&s, name, "host_ed25519 host_rsa", extra);
		/* whatever the user's own file says */
		sshd_config(&s, "user_ed25519", NULL, "KexAlgorithms +diffie-hellman-group1-sha1,diffie-hellman-group14-sha1\n"
		    "HostKeyAlgorithms +ssh-rsa\nCiphers +3des-cbc,aes128-cbc,aes192-cbc,aes256-cbc\nMACs +hmac-md5,hmac-sha1,hmac-md5-96");
		l = (struct login){ .target = s.target, .ssh_config = s.config };
		if (host_open(&h, &l, NULL, NULL, &e) == 0)
			print_message("%s: let in by %s\n", weak[i].algorithm, host_transport(h));
		else if (strstr(e.text, weak[i].algorithm) == NULL)
			print_message("%s: refused without its name: %s\n", weak[i].algorithm, e.text);
		else
			refused++;
		assert_int_equal(said(&s, "Accepted"), 0);
		host_close(h);
		sshd_stop(&s);
		free(extra);
	}
	print_message("%zu/%zu weak algorithms refused by their name\n", refused, n);
	assert_int_equal(refused, n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_impostor_hears_nothing),
		cmocka_unit_test(weak_servers_are_refused_by_name),
	};
	int rc;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	sshd_make_keys(dir);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_remove(dir);
	free(dir);
	return rc;
}
