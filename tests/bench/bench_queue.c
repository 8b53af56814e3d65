/* How fast a queue of a million messages is read and grouped, and how much memory that takes, against jq in the same run.
 *   bench_queue [MESSAGES [FILE]]
 * The listing comes from a seeded generator, so that every run reads the same. jq only extracts domain and reason: it does
 * less than we do. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mxseal/queue.h"

#define DOMAINS 20000

static uint64_t seed = 20261123;

static unsigned
number(unsigned below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % below;
}

static void
reason(FILE *f, unsigned domain)
{
	static const struct { const char *before, *after; } words[] = {
		{ "TLS is required, but was not offered by host ", "" },
		{ "connect to ", ":25: Connection timed out" },
		{ "host ", " said: 450 4.2.0 Recipient address rejected: Greylisted (in reply to RCPT TO command)" },
		{ "lost connection with ", " while receiving the STARTTLS response" },
	};
	unsigned which = number(8) < 5 ? domain % 5 : number(5);

	if (number(10) < 8)
		fputs("delivery temporarily suspended: ", f);
	if (which == 4)
		fputs("Cannot start TLS: handshake failure", f);
	else
		fprintf(f, "%smx%u.d%u.example[192.0.%u.%u]%s", words[which].before, number(3), domain, domain % 256, number(256),
		    words[which].after);
}

static void
make(const char *name, unsigned messages)
{
	FILE *f = fopen(name, "w");
	unsigned i, j, n, domain;

	if (f == NULL) {
		perror(name);
		exit(1);
	}
	for (i = 0; i < messages; i++) {
		fprintf(f, "{\"queue_name\": \"deferred\", \"queue_id\": \"4%09X\", \"arrival_time\": %u, \"message_size\": %u, "
		    "\"forced_expire\": false, \"sender\": \"user%u@sender%u.example\", \"recipients\": [",
		    i, 1795000000u + number(432000), 500 + number(90000), number(1000), number(50));
		n = number(4) > 0 ? 1 : 2 + number(3);
		for (j = 0; j < n; j++) {
			domain = number(3) == 0 ? number(DOMAINS) : number(200);
			fprintf(f, "%s{\"address\": \"someone%u@d%u.example\", \"delay_reason\": \"", j > 0 ? ", " : "", number(100000),
			    domain);
			reason(f, domain);
			fputs("\"}", f);
		}
		fputs("]}\n", f);
	}
	if (fclose(f) != 0) {
		perror(name);
		exit(1);
	}
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
group_file(const char *name)
{
	static char buffer[65536];
	struct queue_reader *q = queue_reader_new(QUEUE_BY_DESTINATION, "mx1", NULL, 0);
	struct queue_groups g;
	int fd = open(name, O_RDONLY);
	ssize_t n;
	size_t i;
	long long recipients = 0;

	if (fd < 0)
		return 1;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		queue_reader_feed(q, buffer, (size_t)n);
	close(fd);
	queue_reader_end(q, &g);
	for (i = 0; i < g.n; i++)
		recipients += g.v[i].recipients;
	printf("mxseal: %lld messages, %lld recipients, %zu destinations, %lld bad lines; first: %s, %lld messages, %s\n",
	    (long long)queue_reader_messages(q), recipients, g.n, (long long)queue_reader_bad_lines(q), g.v[0].key,
	    (long long)g.v[0].messages, g.v[0].failure != NULL ? g.v[0].failure->name : "-");
	fflush(stdout);
	queue_groups_release(&g);
	queue_reader_free(q);
	return 0;
}

/* Runs ours (argv NULL) or a command in a child: seconds, seconds of processor (they count on a busy machine), peak memory. */
static int
measure(const char *file, char *const argv[], double *seconds, double *cpu, long *kib)
{
	struct rusage use;
	double start = now();
	int status, null;
	pid_t pid = fork();

	if (pid == 0) {
		if (argv == NULL)
			_exit(group_file(file));
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &use) != pid)
		return -1;
	*seconds = now() - start;
	*cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	*kib = use.ru_maxrss;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
main(int argc, char **argv)
{
	static char program[] = "jq", raw[] = "-r",
	    filter[] = ".recipients[] | [(.address | split(\"@\") | .[1]), .delay_reason] | @tsv";
	unsigned messages = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
	char name[256];
	char *jq[] = { program, raw, filter, name, NULL };
	double ours = 0, theirs = 0, our_cpu = 0, their_cpu = 0;
	long our_kib = 0, their_kib = 0;
	struct stat st;
	int rc;

	snprintf(name, sizeof(name), "%s", argc > 2 ? argv[2] : "bench_queue.tmp");
	make(name, messages);
	if (stat(name, &st) != 0)
		return 1;
	rc = measure(name, NULL, &ours, &our_cpu, &our_kib);        /* warms the page cache for both */
	if (rc == 0)
		rc = measure(name, NULL, &ours, &our_cpu, &our_kib);
	printf("file: %.0f MB, %u messages\n", (double)st.st_size / 1e6, messages);
	printf("mxseal: %.2f s (processor %.2f s, %.0f MB/s), peak %ld KiB\n", ours, our_cpu, (double)st.st_size / 1e6 / our_cpu,
	    our_kib);
	if (measure(name, jq, &theirs, &their_cpu, &their_kib) == 0)
		printf("jq: %.2f s (processor %.2f s, %.0f MB/s), peak %ld KiB\nratio: mxseal takes 1/%.1f of the processor time of jq\n",
		    theirs, their_cpu, (double)st.st_size / 1e6 / their_cpu, their_kib, their_cpu / our_cpu);
	else
		puts("jq: not there, skipped");
	if (argc <= 2)
		unlink(name);
	return rc == 0 && our_kib < 200 * 1024 ? 0 : 1;
}
