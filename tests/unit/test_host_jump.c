/* Jump hosts: the way through them is ours, every host key on it is judged, whatever fails is told with the name of the hop, and
 * forty hosts behind one of them never overrun its sshd. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/host.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/cutter.h"
#include "support/fixture.h"
#include "support/sshd.h"

#define FLEET 40
#define SILENT_MS 9000            /* for which a silent host is waited */

/* libssh2 1.10 loses its list of methods when it is asked for a second time, and two numbers of an ECDSA key from a file. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *
__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

const char *
__lsan_default_suppressions(void)
{
	return "leak:libssh2_userauth_list\nleak:libssh2_userauth_publickey_fromfile_ex\n";
}

static struct sshd jump, second, target;
static char *dir, *config;
static int silent_port;              /* takes connections and says nothing */

static void
start(struct sshd *s, const char *name, const char *extra)
{
	char *d = xasprintf("%s/%s", dir, name);

	sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s && cd %s && rm -f host_ed25519* && "
	    "ssh-keygen -q -t ed25519 -N '' -C '' -f host_ed25519", d, dir, dir, dir, d, d);
	sshd_start(s, d, "host_ed25519", extra);
	free(d);
}

/* The settings of all: bastion, inner (behind bastion), mx (behind bastion), deep (behind bastion and inner). */
static void
write_config(const char *key, const char *more)
{
	char *text = xasprintf("%s\n"
	    "Host bastion\n  HostName 127.0.0.1\n  Port %d\n  User root\n"
	    "Host inner\n  HostName 127.0.0.1\n  Port %d\n  User root\n"
	    "Host mx mx? mx?? deep ring wrong\n  HostName 127.0.0.1\n  Port %d\n  User root\n"
	    "Host nobody\n  HostName 127.0.0.1\n  Port 1\n  User root\n"
	    "Host deep\n  ProxyJump bastion,inner\n"
	    "Host ring\n  ProxyJump ring\n"
	    "Host wrong\n  ProxyJump nobody\n"
	    "Host mx mx? mx?? behind hung?\n  ProxyJump bastion\n"
	    "Host behind\n  HostName 127.0.0.1\n  Port 1\n"
	    "Host hung?\n  HostName 127.0.0.1\n  Port %d\n"
	    "Host *\n  IdentityAgent none\n  IdentityFile %s/%s\n  IdentitiesOnly yes\n"
	    "  UserKnownHostsFile %s/known\n  GlobalKnownHostsFile /dev/null\n",
	    more != NULL ? more : "", jump.port, second.port, target.port, silent_port, dir, key, dir);

	assert_int_equal(str_write_file(config, text, strlen(text), 0600, NULL), 0);
	free(text);
}

/* Which host keys are known. */
static void
write_known(bool of_jump, bool of_second, bool of_target)
{
	sshd_run("cat /dev/null %s %s %s >%s/known", of_jump ? jump.known : "", of_second ? second.known : "",
	    of_target ? target.known : "", dir);
}

static struct login
login_for(const char *name)
{
	return (struct login){ .target = (char *)(uintptr_t)name, .ssh_config = config };
}

static void
must_be_root(struct host *h)
{
	const char *const id[] = { "id", "-u", NULL };
	const struct host_cmd cmd = { "id", id };
	struct sections s = { .n = 0 };
	struct err e;

	if (host_read(h, &cmd, 1, &s, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(section_text(&s, "id"), "0\n");
	sections_release(&s);
}

static void
opens_by(const char *name, const char *transport)
{
	struct login l = login_for(name);
	struct host *h = NULL;
	struct err e;

	if (host_open(&h, &l, NULL, NULL, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	if (strcmp(host_transport(h), transport) != 0)
		fail_msg("%s went by %s: %s", name, host_transport(h), host_transport_why(h));
	must_be_root(h);
	host_close(h);
}

static void
must_fail(const struct login *l, enum err_code code, const char *word, const char *second_word)
{
	struct err e = { .code = RC_OK };
	struct host *h = NULL;

	assert_int_equal(host_open(&h, l, NULL, NULL, &e), -1);
	if (e.code != code || strstr(e.text, word) == NULL || strstr(e.text, second_word) == NULL)
		fail_msg("wanted %s with \"%s\" and \"%s\", got %s: %s", err_name(code), word, second_word, err_name(e.code), e.text);
}

/* How many lines of a log hold the word. */
static size_t
lines_with(const struct sshd *s, const char *word)
{
	char *path = xasprintf("%s/sshd.log", s->dir);
	struct str text = STR_INIT;
	size_t n = 0;
	char *p;

	assert_int_equal(str_read_file(&text, path, 64u * 1024 * 1024, NULL), 0);
	for (p = text.s; (p = strstr(p, word)) != NULL; p++)
		n++;
	str_release(&text);
	free(path);
	return n;
}

static void
one_and_two_hops(void **state)
{
	const char *const big[] = { "sh", "-c", "yes | head -c 5000000", NULL };
	const struct host_cmd cmd = { "big", big };
	struct login l = login_for("deep");
	struct sections s = { .n = 0 };
	struct stream *tunnel;
	struct str line = STR_INIT;
	struct host *h;
	struct err e;

	(void)state;
	write_config("user_ed25519", NULL);
	write_known(true, true, true);
	opens_by("mx", "libssh2");
	assert_int_equal(host_open(&h, &l, NULL, NULL, &e), 0);
	assert_string_equal(host_transport(h), "libssh2");
	if (host_read(h, &cmd, 1, &s, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(s.v[0].text.len, 5000000);
	assert_int_equal(host_tunnel(h, "127.0.0.1", second.port, 5000, &tunnel, &e), 0);
	assert_int_equal(stream_line(tunnel, &line, 512, 5000, &e), 1);
	assert_memory_equal(line.s, "SSH-", 4);
	stream_close(tunnel, NULL);
	must_be_root(h);
	host_close(h);
	sections_release(&s);
	str_release(&line);
	assert_true(lines_with(&second, "Accepted publickey") == 1);
}

static void
failures_name_the_hop(void **state)
{
	struct login mx = login_for("mx"), behind = login_for("behind"), wrong = login_for("wrong"), ring = login_for("ring"),
	    deep = login_for("deep");
	size_t logins = lines_with(&target, "Accepted publickey"), seen = lines_with(&target, "Connection from");

	(void)state;
	write_config("user_ed25519", NULL);
	write_known(true, true, true);
	must_fail(&behind, RC_NET, "the jump host bastion cannot connect to 127.0.0.1 port 1", "");
	must_fail(&wrong, RC_NET, "the jump host nobody", "refused");
	must_fail(&ring, RC_LIMIT, "in a circle", "");
	write_known(false, true, true);
	must_fail(&mx, RC_HOSTKEY, "the jump host bastion is not known", "SHA256:");
	write_known(true, false, true);
	must_fail(&deep, RC_HOSTKEY, "the jump host inner is not known", "SHA256:");
	sshd_run("sed 's/^[^ ]*/[127.0.0.1]:%d/' %s %s >%s/known", jump.port, second.known, target.known, dir);
	must_fail(&mx, RC_HOSTKEY, "another host key", "known");
	write_config("other", NULL);
	write_known(true, true, true);
	must_fail(&mx, RC_AUTH, "the jump host bastion", "other refused");
	/* none of these reached the mail host */
	assert_int_equal(lines_with(&target, "Connection from"), seen);
	write_config("user_ed25519", NULL);
	write_known(true, true, false);
	must_fail(&mx, RC_HOSTKEY_NEW, "the host key of [127.0.0.1]:", "SHA256:");
	assert_int_equal(lines_with(&target, "Accepted publickey"), logins);
}

static void
a_jump_host_that_forwards_nothing(void **state)
{
	struct login mx = login_for("mx");
	struct sshd stock = jump;

	(void)state;
	start(&jump, "closed", "AllowTcpForwarding no");
	write_config("user_ed25519", NULL);
	write_known(true, true, true);
	must_fail(&mx, RC_NET, "the jump host bastion allows no forwarding", "");
	sshd_stop(&jump);
	jump = stock;
}

/* One that libssh2 cannot talk to: then ssh goes the whole way, as its user would. */
static void
a_hardened_jump_host_goes_by_ssh(void **state)
{
	struct sshd stock = jump;

	(void)state;
	start(&jump, "hard", "Ciphers aes256-gcm@openssh.com");
	write_config("user_ed25519", NULL);
	write_known(true, true, true);
	opens_by("mx", "openssh");
	sshd_stop(&jump);
	jump = stock;
}

/* The passphrase opens the key for all hops and goes to none of them, also where the last one asks for a password. */
static void
a_passphrase_is_no_password(void **state)
{
	struct login mx = login_for("mx");
	struct sshd stock = target;
	size_t tries;

	(void)state;
	start(&target, "twice", "PasswordAuthentication yes\nAuthenticationMethods publickey,password");
	write_config("user_enc", NULL);
	write_known(true, true, true);
	must_fail(&mx, RC_PASSWORD, "user_enc", "the jump host bastion");
	secret_set(&mx.password, "sealed", 6);
	must_fail(&mx, RC_AUTH, "is sent to nobody", "");
	tries = lines_with(&target, "Failed password");
	assert_int_equal(tries, 0);
	sshd_stop(&target);
	target = stock;
	write_known(true, true, true);
	write_config("user_enc", NULL);
	{
		struct host *h = NULL;
		struct err e;

		if (host_open(&h, &mx, NULL, NULL, &e) < 0)
			fail_msg("%s", e.text);
		assert_string_equal(host_transport(h), "libssh2");
		host_close(h);
	}
	secret_release(&mx.password);
}

/* --- forty at once --- */

struct one { struct login l; char name[16]; struct jobq *q; size_t *failed, *done; struct err why; };

static int
open_and_read(struct job_ctx *ctx, void *arg, struct err *e)
{
	const char *const id[] = { "id", "-u", NULL };
	const struct host_cmd cmd = { "id", id };
	struct sections s = { .n = 0 };
	struct one *o = arg;
	struct host *h;
	int rc;

	if (host_open(&h, &o->l, ctx, NULL, e) < 0)
		return -1;
	rc = host_read(h, &cmd, 1, &s, e);
	sections_release(&s);
	host_close(h);
	return rc;
}

static void
note_end(void *arg, int rc, const struct err *e)
{
	struct one *o = arg;

	*o->done += 1;
	if (rc < 0) {
		*o->failed += 1;
		print_message("%s: %s\n", o->name, e->text);
	}
}

/* The most logins that were under way at one time: connections whose process has not logged in or gone yet. */
static int
most_in_flight(const struct sshd *s)
{
	char *path = xasprintf("%s/sshd.log", s->dir), *save = NULL, *line;
	struct str text = STR_INIT;
	int now = 0, most = 0;

	assert_int_equal(str_read_file(&text, path, 64u * 1024 * 1024, NULL), 0);
	for (line = strtok_r(text.s, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (text_starts(line, "Connection from "))
			now++;
		else if (text_starts(line, "Accepted publickey "))
			now--;
		if (now > most)
			most = now;
	}
	free(path);
	str_release(&text);
	return most;
}

static void
fleet(const char *key, size_t n, unsigned workers)
{
	struct one *all = xcalloc(n, sizeof(*all));
	size_t failed = 0, done = 0, i;
	int64_t t = when_monotonic_ms(), last = 0;
	struct jobq *q;
	struct err e;
	int most;

	sshd_run(": >%s/sshd.log", jump.dir);
	write_config(key, NULL);
	write_known(true, true, true);
	assert_int_equal(jobq_open(&q, workers, &e), 0);
	for (i = 0; i < n; i++) {
		struct job j = { .title = all[i].name, .key = (int64_t)i + 1, .work = open_and_read, .done = note_end, .arg = &all[i] };

		snprintf(all[i].name, sizeof(all[i].name), "mx%zu", i + 1);
		all[i].l = login_for(all[i].name);
		all[i].failed = &failed;
		all[i].done = &done;
		last = jobq_submit(q, &j);
	}
	for (i = 0; i < n; i++)
		jobq_wait(q, last - (int64_t)i);
	jobq_close(q);
	most = most_in_flight(&jump);
	print_message("%zu hosts behind one jump host: %zu failed, %zu logins there, at most %d at a time, %.1f s\n", n, failed,
	    lines_with(&jump, "Accepted publickey"), most, (double)(when_monotonic_ms() - t) / 1000);
	assert_int_equal(failed, 0);
	assert_int_equal(lines_with(&jump, "Accepted publickey"), n);
	assert_in_range(most, 2, 4);
	free(all);
}

static void
forty_hosts_behind_one(void **state)
{
	(void)state;
	fleet("user_ed25519", FLEET, 32);
}

/* --- hosts behind it that hang --- */

/* Four that say nothing stand in front; who answers is in long before they are given up, by libssh2 or (hard) by ssh. */
static void
behind_silent_ones(const char *extra)
{
	struct one all[5];
	size_t failed = 0, done = 0, i;
	struct sshd stock = jump;
	int64_t t = 0, last = 0;
	struct jobq *q;
	struct err e;

	start(&jump, extra != NULL ? "hard_before_silent" : "before_silent", extra);
	write_config("user_ed25519", NULL);
	write_known(true, true, true);
	assert_int_equal(jobq_open(&q, 8, &e), 0);
	for (i = 0; i < 5; i++) {
		struct job j = { .title = all[i].name, .key = (int64_t)i + 1, .work = open_and_read, .done = note_end, .arg = &all[i] };

		all[i] = (struct one){ .failed = &failed, .done = &done };
		snprintf(all[i].name, sizeof(all[i].name), i < 4 ? "hung%zu" : "mx", i);
		all[i].l = login_for(all[i].name);
		all[i].l.timeout_ms = SILENT_MS;
		while (i == 4 && lines_with(&jump, "Accepted publickey") < 4)        /* they have gone through it */
			poll(NULL, 0, 20);
		t = when_monotonic_ms();
		last = jobq_submit(q, &j);
	}
	jobq_wait(q, last);
	t = when_monotonic_ms() - t;
	print_message("behind one jump host four hang, the fifth is read after %.1f s\n", (double)t / 1000);
	assert_int_equal(done, 1);
	assert_in_range(t, 1, SILENT_MS - 1000);
	assert_int_equal(failed, 0);
	jobq_close(q);
	sshd_stop(&jump);
	jump = stock;
}

static void
silent_hosts_keep_nobody_out(void **state)
{
	(void)state;
	behind_silent_ones(NULL);
	behind_silent_ones("Ciphers aes256-gcm@openssh.com");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_and_two_hops),
		cmocka_unit_test(failures_name_the_hop),
		cmocka_unit_test(a_jump_host_that_forwards_nothing),
		cmocka_unit_test(a_hardened_jump_host_goes_by_ssh),
		cmocka_unit_test(a_passphrase_is_no_password),
		cmocka_unit_test(forty_hosts_behind_one),
		cmocka_unit_test(silent_hosts_keep_nobody_out),
	};
	int rc;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	config = xasprintf("%s/config", dir);
	sshd_make_keys(dir);
	(void)cut_listen(&silent_port);
	start(&jump, "jump", "MaxStartups 10:30:100");
	start(&second, "second", NULL);
	start(&target, "target", NULL);
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	sshd_stop(&jump);
	sshd_stop(&second);
	sshd_stop(&target);
	fixture_remove(dir);
	free(config);
	free(dir);
	return rc;
}
