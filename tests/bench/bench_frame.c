/* Time from start to the first whole frame on an 80x24 terminal, of the console with an empty store and of less with a short
 * file, in turns under the same pseudo-terminal. Prints medians, their ratio and the peak memory of both.
 * Usage: bench_frame [ROUNDS] */
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mxseal/xalloc.h"
#include "support/fixture.h"

#define ROUNDS_MAX 100

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Starts argv, waits until its output has held text, types keys, waits for the end. Gives ms to the text, peak KiB. */
static int
run(char *const argv[], const char *text, const char *keys, double *ms, long *kib)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	static char seen[1 << 16];
	struct rusage after;
	size_t len = 0;
	ssize_t n;
	double start = now_ms(), until = start + 10000;
	int fd, status;
	pid_t pid;

	pid = forkpty(&fd, NULL, NULL, &size);
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	*ms = -1;
	while (pid > 0 && now_ms() < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 100) == 0)
			continue;
		n = read(fd, seen + len, sizeof(seen) - len - 1);
		if (n <= 0)
			break;
		len += (size_t)n;
		seen[len] = '\0';
		if (*ms < 0 && memmem(seen, len, text, strlen(text)) != NULL) {
			*ms = now_ms() - start;
			if (write(fd, keys, strlen(keys)) == -1)
				break;
		}
		if (len > sizeof(seen) / 2)
			len = 0;
	}
	close(fd);
	waitpid(pid, &status, 0);
	getrusage(RUSAGE_CHILDREN, &after);
	*kib = after.ru_maxrss;
	return *ms < 0 ? -1 : 0;
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int
main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 20, i;
	char *dir = fixture_dir(), *store = xasprintf("%s/store.db", dir), *file = xasprintf("%s/file", dir);
	char program[] = TEST_PROGRAM, option[] = "--store", less[] = "less";
	char *ours[] = { getenv("MXSEAL_PROGRAM") ? getenv("MXSEAL_PROGRAM") : program, option, store, NULL };
	char *theirs[] = { less, file, NULL };
	double mine[ROUNDS_MAX], other[ROUNDS_MAX];
	long less_kib = 0, our_kib = 0;
	FILE *f = fopen(file, "w");

	if (f == NULL || rounds < 1 || rounds > ROUNDS_MAX)
		return 1;
	for (i = 0; i < 100; i++)
		fprintf(f, "line %d\n", i);
	fclose(f);
	setenv("TERM", "xterm-256color", 1);
	setenv("XDG_STATE_HOME", dir, 1);
	/* less first: what RUSAGE_CHILDREN remembers is the largest so far */
	for (i = 0; i < rounds; i++)
		if (run(theirs, "line 22", "q", &other[i], &less_kib) == -1)
			other[i] = 0;
	for (i = 0; i < rounds; i++)
		if (run(ours, "Which mail servers", "q", &mine[i], &our_kib) == -1) {
			puts("the console did not show its first screen");
			return 1;
		}
	qsort(mine, (size_t)rounds, sizeof(*mine), by_size);
	qsort(other, (size_t)rounds, sizeof(*other), by_size);
	printf("first frame, median of %d: mxseal %.1f ms (worst %.1f), peak %ld KiB\n", rounds, mine[rounds / 2], mine[rounds - 1],
	    our_kib);
	if (other[rounds / 2] > 0)
		printf("less: %.1f ms, peak %ld KiB\nratio: mxseal takes %.1f times as long as less\n", other[rounds / 2], less_kib,
		    mine[rounds / 2] / other[rounds / 2]);
	else
		puts("less: not there, skipped");
	fixture_remove(dir);
	free(dir);
	free(store);
	free(file);
	return 0;
}
