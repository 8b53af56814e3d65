/* Hosts that hang, drip, flood or hang up among healthy ones: each ends by its own deadline, none slows the others, and what the
 * flooding ones send is kept nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/host.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/sshd.h"

#define HEALTHY 24
#define OF_EACH 4
#define KINDS 6
#define DEADLINE_MS 3000
#define FLOOD (100u * 1024 * 1024)

enum kind { HANG, DRIP, FLOOD_GARBAGE, FLOOD_LINES, FLOOD_BEHIND_BANNER, RESET, GOOD };
static const char *const kinds[] = { "hangs", "drips", "floods", "floods with lines", "floods behind a greeting", "hangs up", "is healthy" };

static struct sshd server;
static char *dir;

static void
serve(int fd, enum kind kind)
{
	static char mem[65536];
	struct linger now = { .l_onoff = 1 };
	size_t sent, i;
	int tick;

	switch (kind) {
	case DRIP:
		for (tick = 0; tick < 60 && send(fd, &"SSH-2.0-x and so on and so on"[tick % 29], 1, MSG_NOSIGNAL) == 1; tick++)
			sleep(1);
		break;
	case FLOOD_GARBAGE:
	case FLOOD_LINES:
	case FLOOD_BEHIND_BANNER:
		for (i = 0; i < sizeof(mem); i++)
			mem[i] = kind == FLOOD_LINES && i % 80 == 79 ? '\n' : (char)('A' + i % 50);
		if (kind == FLOOD_BEHIND_BANNER)
			(void)!send(fd, "SSH-2.0-x\r\n", 11, MSG_NOSIGNAL);
		for (sent = 0; sent < FLOOD && send(fd, mem, sizeof(mem), MSG_NOSIGNAL) > 0; sent += sizeof(mem))
			;
		break;
	case RESET:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		break;
	default:
		sleep(60);
	}
	close(fd);
}

/* A server of that kind; a process for each connection. */
static pid_t
bad_server(enum kind kind, char target[64])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0), c;
	pid_t pid;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(target, 64, "root@127.0.0.1:%d", ntohs(a.sin_port));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		signal(SIGCHLD, SIG_IGN);
		while ((c = accept(fd, NULL, NULL)) >= 0) {
			if (fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGTERM);
				serve(c, kind);
				_exit(0);
			}
			close(c);
		}
		_exit(0);
	}
	close(fd);
	return pid;
}

struct one { struct login l; enum kind kind; int64_t began, took; int rc; struct err e; };

static int
open_and_read(struct job_ctx *ctx, void *arg, struct err *e)
{
	const char *const id[] = { "id", "-u", NULL };
	const struct host_cmd cmd = { "id", id };
	struct sections s = { .n = 0 };
	struct one *o = arg;
	struct host *h;
	int rc;

	o->began = when_monotonic_ms();
	rc = host_open(&h, &o->l, ctx, NULL, e);
	if (rc == 0) {
		rc = host_read(h, &cmd, 1, &s, e);
		sections_release(&s);
		host_close(h);
	}
	o->took = when_monotonic_ms() - o->began;
	return rc;
}

static void
note_end(void *arg, int rc, const struct err *e)
{
	struct one *o = arg;

	o->rc = rc;
	if (rc < 0)
		o->e = *e;
}

static long
peak_kb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* Milliseconds until all healthy ones were read. bad: with the others among them, given first. */
static int64_t
run_all(struct one *all, size_t n)
{
	int64_t t = when_monotonic_ms(), healthy = 0, *id = xcalloc(n, sizeof(*id));
	struct jobq *q;
	struct err e;
	size_t i;

	assert_int_equal(jobq_open(&q, 32, &e), 0);
	for (i = 0; i < n; i++) {
		struct job j = { .title = "read", .key = (int64_t)i + 1, .work = open_and_read, .done = note_end, .arg = &all[i] };

		id[i] = jobq_submit(q, &j);
	}
	for (i = n; i-- > 0;) {                 /* the healthy ones stand at the end */
		jobq_wait(q, id[i]);
		if (all[i].kind == GOOD)
			healthy = when_monotonic_ms() - t;
	}
	jobq_close(q);
	free(id);
	return healthy;
}

static void
bad_hosts_cost_only_themselves(void **state)
{
	struct one all[KINDS * OF_EACH + HEALTHY];
	size_t i, n = sizeof(all) / sizeof(all[0]);
	char target[KINDS][64];
	int64_t alone, among, longest[GOOD + 1] = { 0 };
	pid_t pid[KINDS];
	long kb;

	(void)state;
	memset(all, 0, sizeof(all));
	for (i = 0; i < KINDS; i++)
		pid[i] = bad_server((enum kind)i, target[i]);
	for (i = 0; i < n; i++) {
		all[i].kind = i < KINDS * OF_EACH ? (enum kind)(i % KINDS) : GOOD;
		all[i].l = (struct login){ .target = all[i].kind == GOOD ? server.target : target[all[i].kind], .ssh_config = server.config,
			.timeout_ms = all[i].kind == GOOD ? 0 : DEADLINE_MS };      /* a busy machine is no bad host */
	}
	alone = run_all(all + KINDS * OF_EACH, HEALTHY);
	kb = peak_kb();
	among = run_all(all, n);
	kb = peak_kb() - kb;
	for (i = 0; i < n; i++)
		if (all[i].took > longest[all[i].kind])
			longest[all[i].kind] = all[i].took;
	for (i = 0; i <= GOOD; i++)
		print_message("a host that %s: at most %.1f s\n", kinds[i], (double)longest[i] / 1000);
	print_message("%d healthy hosts: %.1f s alone, %.1f s among %d others; %ld KB more at the peak\n", HEALTHY, (double)alone / 1000,
	    (double)among / 1000, KINDS * OF_EACH, kb);
	for (i = 0; i < n; i++) {
		if (all[i].kind == GOOD && all[i].rc < 0)
			fail_msg("a healthy one: %s", all[i].e.text);
		if (all[i].kind != GOOD) {
			assert_int_equal(all[i].rc, -1);
			if (all[i].e.code != RC_TIMEOUT && all[i].e.code != RC_NET)
				fail_msg("one that %s: %s: %s", kinds[all[i].kind], err_name(all[i].e.code), all[i].e.text);
			if (all[i].kind == FLOOD_GARBAGE || all[i].kind == FLOOD_LINES || all[i].kind == FLOOD_BEHIND_BANNER)
				assert_int_equal(all[i].e.code, RC_NET);              /* what is no greeting is not read on and on */
			assert_true(all[i].e.text[0] != '\0' && all[i].e.hint[0] != '\0');
		}
	}
	for (i = 0; i < KINDS; i++) {
		assert_in_range(longest[i], 0, 4 * DEADLINE_MS);
		kill(pid[i], SIGTERM);
		waitpid(pid[i], NULL, 0);
	}
	/* four of a kind log in at a time at one address, so the others wait their turn at the gate and nowhere else */
	assert_true(among < 3 * alone + 2 * DEADLINE_MS);      /* who waited for the bad ones would wait six deadlines */
	assert_true(kb < 60 * 1024);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_hosts_cost_only_themselves),
	};
	int rc;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	sshd_make_keys(dir);
	sshd_start(&server, dir, "host_ed25519", NULL);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	sshd_stop(&server);
	fixture_remove(dir);
	free(dir);
	return rc;
}
