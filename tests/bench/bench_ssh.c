/* One reading of a host - connect, log in, run ten commands, close - by mxseal and by the ssh program, over the same private
 * sshd on loopback, in turns. Prints the median wall times, their ratio and the peak memory of each. Usage: bench_ssh [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mxseal/host.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/sshd.h"

#define COMMANDS 10
#define ROUNDS_MAX 200

static const char *const uname_argv[] = { "uname", "-a", NULL };

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double
by_mxseal(const struct sshd *s, double *cpu)
{
	struct login l = { .target = (char *)(uintptr_t)s->target, .ssh_config = (char *)(uintptr_t)s->config };
	struct host_cmd cmds[COMMANDS];
	struct sections out = { .n = 0 };
	struct rusage a, b;
	struct host *h;
	struct err e;
	double t = now_ms();
	int i;

	getrusage(RUSAGE_SELF, &a);
	for (i = 0; i < COMMANDS; i++)
		cmds[i] = (struct host_cmd){ "uname", uname_argv };
	if (host_open(&h, &l, NULL, NULL, &e) < 0 || host_read(h, cmds, COMMANDS, &out, &e) < 0 || out.n != COMMANDS) {
		fprintf(stderr, "bench_ssh: %s\n", e.text);
		exit(1);
	}
	sections_release(&out);
	host_close(h);
	t = now_ms() - t;
	getrusage(RUSAGE_SELF, &b);
	*cpu = (double)(b.ru_utime.tv_sec - a.ru_utime.tv_sec + b.ru_stime.tv_sec - a.ru_stime.tv_sec) * 1e3
	    + (double)(b.ru_utime.tv_usec - a.ru_utime.tv_usec + b.ru_stime.tv_usec - a.ru_stime.tv_usec) / 1e3;
	return t;
}

/* times: one connection with all commands, or one for each command, as a loop over ssh would do. Returns wall time; peak
 * memory of the largest ssh goes to kb. */
static double
by_ssh(const struct sshd *s, int times, const char *command, long *kb)
{
	char port[16];
	double t = now_ms();
	struct rusage u;
	int i, status;
	pid_t pid;

	snprintf(port, sizeof(port), "%d", s->port);
	for (i = 0; i < times; i++) {
		pid = fork();
		if (pid == 0) {
			if (freopen("/dev/null", "r", stdin) == NULL || freopen("/dev/null", "w", stdout) == NULL)
				_exit(1);
			execlp("ssh", "ssh", "-F", s->config, "-T", "-o", "BatchMode=yes", "-p", port, "root@127.0.0.1", command,
			    (char *)NULL);
			_exit(127);
		}
		if (wait4(pid, &status, 0, &u) < 0 || status != 0) {
			fprintf(stderr, "bench_ssh: ssh failed\n");
			exit(1);
		}
		if (u.ru_maxrss > *kb)
			*kb = u.ru_maxrss;
	}
	return now_ms() - t;
}

static int
ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), ascending);
	return v[n / 2];
}

int
main(int argc, char **argv)
{
	double ours[ROUNDS_MAX], one[ROUNDS_MAX], each[ROUNDS_MAX], cpu[ROUNDS_MAX], a, b, c;
	int rounds = argc > 1 ? atoi(argv[1]) : 15, i;
	struct str all = STR_INIT;
	struct sshd server;
	struct rusage u;
	long kb = 0;
	char *dir;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
	dir = fixture_dir();
	sshd_make_keys(dir);
	sshd_start(&server, dir, "host_ed25519 host_ecdsa host_rsa", NULL);
	for (i = 0; i < COMMANDS; i++)
		str_add(&all, "uname -a;");
	for (i = 0; i < rounds; i++) {
		ours[i] = by_mxseal(&server, &cpu[i]);
		one[i] = by_ssh(&server, 1, all.s, &kb);
		each[i] = i < 5 ? by_ssh(&server, COMMANDS, "uname -a", &kb) : each[i - 1];
	}
	getrusage(RUSAGE_SELF, &u);
	a = median(ours, rounds);
	b = median(one, rounds);
	c = median(each, rounds);
	printf("one reading of %d commands, median of %d rounds, loopback\n", COMMANDS, rounds);
	printf("  mxseal            %7.1f ms   (%.1f ms CPU)   peak %5ld KB\n", a, median(cpu, rounds), u.ru_maxrss);
	printf("  ssh, one call     %7.1f ms                   peak %5ld KB   ratio mxseal/ssh %.2f\n", b, kb, a / b);
	printf("  ssh, %d calls     %7.1f ms                                 ratio mxseal/ssh %.2f\n", COMMANDS, c, a / c);
	sshd_stop(&server);
	fixture_remove(dir);
	free(dir);
	str_release(&all);
	return 0;
}
