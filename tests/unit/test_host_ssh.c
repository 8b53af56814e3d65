/* Logins and readings over a private sshd: what works by libssh2, and what goes by the ssh program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/host.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "../../core/host/private.h"
#include "support/fixture.h"
#include "support/logins.h"
#include "support/sshd.h"

static struct sshd server;
static char *dir;

static void
with_key(const char *identity, const char *transport)
{
	struct login l = login_for(&server);

	sshd_config(&server, identity, NULL, NULL);
	login_opens_by(&l, transport);
}

/* --- keys --- */

static void
key_files(void **state)
{
	struct login l = login_for(&server);
	char *path = xasprintf("%s/user_rsa", dir);

	(void)state;
	with_key("user_ed25519", "libssh2");
	with_key("user_ecdsa", "libssh2");
	with_key("user_rsa", "libssh2");
	with_key("user_rsa_pem", "libssh2");
	sshd_config(&server, "other", NULL, NULL);
	l.identity = path;                    /* named for the server: the configured one does not matter */
	login_opens_by(&l, "libssh2");
	free(path);
}

static void
refused_and_unusable_keys(void **state)
{
	struct login l = login_for(&server);
	char *path = xasprintf("%s/loose", dir);

	(void)state;
	sshd_config(&server, "other", NULL, NULL);
	login_fails(&l, RC_AUTH, "other refused");
	sshd_run("cp %s/user_ed25519 %s && chmod 644 %s", dir, path, path);
	l.identity = path;
	login_fails(&l, RC_AUTH, "may be read by others");
	sshd_run("head -c 200 %s/user_ed25519 >%s && chmod 600 %s", dir, path, path);
	login_fails(&l, RC_AUTH, "cut off");
	sshd_run("echo hello >%s", path);
	login_fails(&l, RC_AUTH, "no private key");
	l.identity = (char *)(uintptr_t)"/nonexistent/key";
	login_fails(&l, RC_AUTH, "/nonexistent/key");
	free(path);
}

static void
encrypted_keys(void **state)
{
	static const struct { const char *key, *transport; } keys[] = {
		{ "user_enc", "libssh2" }, { "user_rsa_pem_enc", "libssh2" }, { "user_rsa_enc", "openssh" },
	};
	struct login l = login_for(&server);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		sshd_config(&server, keys[i].key, NULL, NULL);
		login_fails(&l, RC_PASSWORD, keys[i].key);
		secret_set(&l.password, "wrong!", 6);
		login_fails(&l, RC_AUTH, "passphrase");
		secret_set(&l.password, "sealed", 6);
		login_opens_by(&l, keys[i].transport);
		secret_release(&l.password);
	}
	/* nobody is asked for the passphrase of a key that does not open this door */
	sshd_run("cd %s && ssh-keygen -q -t ed25519 -N sealed -f stranger", dir);
	sshd_config(&server, "stranger", NULL, NULL);
	login_fails(&l, RC_AUTH, "stranger refused");
}

static void
agent_keys(void **state)
{
	char *sock = xasprintf("%s/agent", dir), *said = xasprintf("%s/agent.said", dir);
	struct login l = login_for(&server);
	struct str text = STR_INIT;
	pid_t pid;

	(void)state;
	sshd_run("ssh-agent -s -a %s >%s", sock, said);
	assert_int_equal(str_read_file(&text, said, 65536, NULL), 0);
	pid = (pid_t)strtol(strstr(text.s, "SSH_AGENT_PID=") + 14, NULL, 10);
	sshd_config(&server, NULL, sock, "IdentityFile none");
	login_fails(&l, RC_AUTH, "no key");
	sshd_run("SSH_AUTH_SOCK=%s ssh-add -q %s/other %s/user_rsa", sock, dir, dir);
	login_opens_by(&l, "libssh2");
	sshd_run("SSH_AUTH_SOCK=%s ssh-add -q -D 2>/dev/null && SSH_AUTH_SOCK=%s ssh-add -q %s/user_ed25519", sock, sock, dir);
	login_opens_by(&l, "libssh2");
	/* the agent has the other half of a public key */
	sshd_run("cp %s/user_ed25519.pub %s/half.pub", dir, dir);
	sshd_config(&server, "half.pub", sock, NULL);
	login_opens_by(&l, "libssh2");
	/* an agent that is full of others: the configured key comes first */
	sshd_run("cd %s && for i in 1 2 3 4 5 6 7; do ssh-keygen -q -t ed25519 -N '' -f many$i && "
	    "SSH_AUTH_SOCK=%s ssh-add -q many$i; done", dir, sock);
	sshd_config(&server, "user_ed25519", sock, NULL);
	login_opens_by(&l, "libssh2");
	kill(pid, SIGTERM);
	free(sock);
	free(said);
	str_release(&text);
}

/* --- what libssh2 cannot --- */

static void
other_server(const char *name, const char *keys, const char *extra, const char *why)
{
	char *d = xasprintf("%s/%s", dir, name);
	struct login l;
	struct host *h;
	struct sshd s;

	sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s", d, dir, dir, dir, d);
	sshd_start(&s, d, keys, extra);
	l = login_for(&s);
	h = login_opens(&l);
	assert_string_equal(host_transport(h), "openssh");
	if (strstr(host_transport_why(h), why) == NULL)
		fail_msg("why: %s", host_transport_why(h));
	host_is_root(h);
	host_close(h);
	if (strcmp(keys, "host_ed25519") == 0) {        /* also there no key is believed unseen */
		sshd_known(&s, "unrelated", "host_ed25519", NULL);
		login_fails(&l, RC_HOSTKEY_NEW, "SHA256:");
		sshd_known(&s, "[127.0.0.1]:*", "user_ed25519", NULL);
		login_fails(&l, RC_HOSTKEY, "another host key");
		sshd_known(&s, "[127.0.0.1]:*", "host_ed25519", "@revoked *", "host_ed25519", NULL);
		login_fails(&l, RC_HOSTKEY, "revoked");
	}
	sshd_stop(&s);
	free(d);
}

static void
hardened_servers_go_by_ssh(void **state)
{
	(void)state;
	other_server("hard", "host_ed25519", "Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com\n"
	    "MACs hmac-sha2-512-etm@openssh.com", "cipher algorithms are only chacha20-poly1305@openssh.com");
	other_server("etm", "host_ed25519", "Ciphers aes256-ctr\nMACs hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com",
	    "MAC algorithms are only hmac-sha2-512-etm@openssh.com");
	other_server("rsaonly", "host_rsa", "", "ssh-rsa");
}

/* --- readings --- */

static void
readings(struct host *h)
{
	const char *const out[] = { "printf", "%s\\n#= 0 not the end\\n#+ x 0 3\\n", "a 'b' \"$c\" `d` \\", NULL };
	const char *const both[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	const char *const none[] = { "no-such-command-here", NULL };
	const char *const stdin_is_empty[] = { "cat", NULL };
	const struct host_cmd cmds[] = { { "out", out }, { "both", both }, { "none", none }, { "cat", stdin_is_empty } };
	struct sections s = { .n = 0 };
	struct err e;

	assert_int_equal(host_read(h, cmds, 4, &s, &e), 0);
	assert_int_equal(s.n, 4);
	assert_string_equal(section_text(&s, "out"), "a 'b' \"$c\" `d` \\\n#= 0 not the end\n#+ x 0 3\n");
	assert_int_equal(section_find(&s, "both")->status, 3);
	assert_null(section_text(&s, "both"));
	assert_string_equal(section_find(&s, "both")->text.s, "out\nerr\n");
	assert_int_equal(section_find(&s, "none")->status, 127);
	assert_string_equal(section_text(&s, "cat"), "");
	assert_null(section_find(&s, "nobody"));
	sections_release(&s);
}

static int
count(const char *mem, size_t len, void *arg)
{
	size_t *sum = arg, i;

	for (i = 0; i < len; i += 4096)
		sum[1] += (unsigned char)mem[i];
	sum[0] += len;
	return 0;
}

static int
stop_early(const char *mem, size_t len, void *arg)
{
	(void)mem;
	*(size_t *)arg += len;
	return -1;
}

static void
streams(struct host *h)
{
	const char *const big[] = { "head", "-c", "100000000", "/dev/zero", NULL };
	const char *const tricky[] = { "sh", "-c", "printf 'x\\n#= 0 \\n'; exit 7", NULL };
	const char *const quiet[] = { "true", NULL };
	size_t sum[2] = { 0, 0 };
	int status = -1;
	struct err e;

	assert_int_equal(host_stream(h, big, count, sum, &status, &e), 0);
	assert_int_equal(sum[0], 100000000);
	assert_int_equal(status, 0);
	sum[0] = 0;
	assert_int_equal(host_stream(h, tricky, count, sum, &status, &e), 0);
	assert_int_equal(sum[0], 8);
	assert_int_equal(status, 7);
	sum[0] = 0;
	assert_int_equal(host_stream(h, quiet, count, sum, &status, &e), 0);
	assert_int_equal(sum[0], 0);
	assert_int_equal(host_stream(h, big, stop_early, sum, &status, &e), -1);
	assert_int_equal(e.code, RC_CANCELLED);
	assert_true(host_alive(h));
	host_is_root(h);
}

static void
too_much_is_refused(struct host *h)
{
	const char *const big[] = { "head", "-c", "9000000", "/dev/zero", NULL };
	const char *const text[] = { "sh", "-c", "yes | head -c 9000000", NULL };
	const char *const lines[] = { "echo", "a\nb", NULL };
	const struct host_cmd cmd = { "big", text }, odd = { "odd", lines };
	struct sections s = { .n = 0 };
	struct err e;

	(void)big;
	assert_int_equal(host_read(h, &cmd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_LIMIT);
	assert_int_equal(host_read(h, &odd, 1, &s, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	sections_release(&s);
	assert_true(host_alive(h));
	host_is_root(h);
}

static void
by_every_transport(void **state)
{
	struct login l = login_for(&server), here = { .target = (char *)(uintptr_t)"local:" };
	struct host *h;

	(void)state;
	sshd_config(&server, "user_ed25519", NULL, NULL);
	h = login_opens(&l);
	assert_string_equal(host_address(h), "127.0.0.1");
	readings(h);
	streams(h);
	too_much_is_refused(h);
	host_close(h);
	h = login_opens(&here);
	assert_string_equal(host_transport(h), "local");
	readings(h);
	streams(h);
	too_much_is_refused(h);
	host_close(h);
	sshd_config(&server, "user_ed25519", NULL, SSHD_BY_PROXY);
	h = login_opens(&l);
	assert_string_equal(host_transport(h), "openssh");
	readings(h);
	streams(h);
	too_much_is_refused(h);
	host_close(h);
	sshd_config(&server, "user_ed25519", NULL, NULL);
}

static void
a_script_cut_off_runs_nothing(void **state)
{
	struct login l = login_for(&server);
	char *mark = xasprintf("%s/ran", dir), *script = xasprintf("touch %s\ntouch %s.2\n#mxseal end\n", mark, mark);
	size_t len = strlen(script), cut;
	struct host *h = login_opens(&l);
	struct stream_end end;
	struct str command = STR_INIT;
	struct stream *s;
	struct err e;
	char c;

	(void)state;
	str_addf(&command, HOST_SHELL, "", len);
	for (cut = 8; cut <= len; cut += cut + 7 > len && cut < len ? len - cut : 7) {
		assert_int_equal(h->ops->exec(h, command.s, &s, &e), 0);
		assert_int_equal(stream_write(s, script, cut, 5000, &e), 0);
		assert_int_equal(stream_shut(s, &e), 0);
		while (stream_read(s, &c, 1, 5000, &e) > 0)
			;
		stream_close(s, &end);
		assert_true(end.closed);
		assert_int_equal(end.status, cut < len - 1 ? 97 : 0);
		assert_int_equal(access(mark, F_OK), cut < len - 1 ? -1 : 0);
	}
	str_release(&command);
	host_close(h);
	free(mark);
	free(script);
}

/* A profile may print, also without end; a password that never comes is another test. */
static void
a_profile_that_prints(void **state)
{
	char *d = xasprintf("%s/noisy", dir);
	struct login l;
	struct err e = { .code = RC_OK };
	struct host *h;
	struct sshd s;
	int64_t t;

	(void)state;
	sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s", d, dir, dir, dir, d);
	sshd_start(&s, d, "host_ed25519", "ForceCommand echo welcome; printf '#+ x 0 3'; echo; eval \"$SSH_ORIGINAL_COMMAND\"");
	l = login_for(&s);
	login_opens_by(&l, "libssh2");
	sshd_stop(&s);
	sshd_start(&s, d, "host_ed25519", "ForceCommand yes welcome");
	l = login_for(&s);
	t = when_monotonic_ms();
	assert_int_equal(host_open(&h, &l, NULL, NULL, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	assert_non_null(strstr(e.text, "stop talking"));
	assert_in_range(when_monotonic_ms() - t, 0, 20000);
	sshd_stop(&s);
	free(d);
}

/* What an authority of known_hosts vouches for is known, as to ssh; what it does not is judged like any other key. */
static void
host_certificates_go_by_ssh(void **state)
{
	char *d = xasprintf("%s/certified", dir), *certificate = xasprintf("HostCertificate %s/host_ed25519-cert.pub", d);
	struct hostkey key;
	struct login l;
	struct err e;
	struct sshd s;

	(void)state;
	sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s/other* %s && cd %s && "
	    "ssh-keygen -q -s other -I test -h -n 127.0.0.1 host_ed25519.pub", d, dir, dir, dir, dir, d, d);
	sshd_start(&s, d, "host_ed25519", NULL);
	l = login_for(&s);
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "other", NULL);
	assert_int_equal(host_key_look(&l, NULL, &key, &e), 0);      /* it shows no certificate */
	assert_int_equal(key.verdict, HOSTKEY_NEW);
	hostkey_release(&key);
	sshd_stop(&s);
	sshd_start(&s, d, "host_ed25519", certificate);
	l = login_for(&s);
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "other", NULL);
	assert_int_equal(host_key_look(&l, NULL, &key, &e), 0);
	assert_int_equal(key.verdict, HOSTKEY_OK);
	assert_true(text_starts(key.fingerprint, "SHA256:"));
	hostkey_release(&key);
	login_opens_by(&l, "openssh");
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "user_ed25519", NULL);      /* not this authority */
	login_fails(&l, RC_HOSTKEY_NEW, "not known");
	sshd_known(&s, "@cert-authority [127.0.0.1]:*", "other", "@revoked *", "host_ed25519", NULL);
	login_fails(&l, RC_HOSTKEY, "revoked");
	sshd_stop(&s);
	free(certificate);
	free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_files),
		cmocka_unit_test(refused_and_unusable_keys),
		cmocka_unit_test(encrypted_keys),
		cmocka_unit_test(agent_keys),
		cmocka_unit_test(hardened_servers_go_by_ssh),
		cmocka_unit_test(by_every_transport),
		cmocka_unit_test(a_script_cut_off_runs_nothing),
		cmocka_unit_test(a_profile_that_prints),
		cmocka_unit_test(host_certificates_go_by_ssh),
	};
	int rc;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	sshd_make_keys(dir);
	sshd_start(&server, dir, "host_ed25519 host_ecdsa host_rsa", NULL);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	sshd_stop(&server);
	fixture_remove(dir);
	free(dir);
	return rc;
}
