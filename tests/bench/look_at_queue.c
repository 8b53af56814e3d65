/* Looks at the queue of a real host through the program's own poll, one after the other, as the console has them, each against
 * a full one in the same run.
 *   bench_look SERVER: the store and the host are those of the lab (MXSEAL_STORE, MXSEAL_SSH_CONFIG). Reads words, one a line:
 *     look     polls, says how it was done; then milliseconds, those of our processor, peak memory of this process in KiB
 *     equal    polls, and once more with nothing known: what both say must be equal, by all four groups. Mail moves between the
 *              two; what a look has missed, the next one would miss too, so what differs is compared once more, twice
 *   bench_look fill SPOOL N and stir SPOOL N: for bench_look.sh, on a host whose mail system is stopped: copies of the messages in
 *     SPOOL under other ids until there are N; and N changes: a third goes, a third is new, a third was tried again, with the line
 *     that qmgr(8) writes about it on standard output.
 * Without words it says that it needs a host. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mxseal/journey.h"
#include "mxseal/store.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static int finished;
static struct err failed;

static void
done(void *arg, int rc, const struct err *e)
{
	(void)arg;
	finished = rc == 0 ? 1 : -1;
	if (rc != 0)
		failed = *e;
}

static int
poll_by(struct journey *j, int64_t server, enum queue_by by, struct queue_view *v)
{
	int64_t id;

	finished = 0;
	memset(v, 0, sizeof(*v));
	id = queue_poll(j, server, by, NULL, 0, v, done, NULL, &failed);
	if (id > 0)
		jobq_wait(journey_jobs(j), id);
	if (finished != 1)
		printf("failed: %s\n", failed.text);
	return finished == 1 ? 0 : -1;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct queue_group *)a)->key, ((const struct queue_group *)b)->key);
}

static void
group_say(const char *who, const struct queue_group *g)
{
	printf("%s: %s: %lld messages, %lld recipients, %lld bytes, oldest %lld, deferred %lld, %s %lld; %lld active, %lld deferred, "
	    "%lld on hold, %lld incoming\n", who, g->key, (long long)g->messages, (long long)g->recipients, (long long)g->bytes,
	    (long long)g->oldest, (long long)g->deferred, g->failure != NULL ? g->failure->name : "-", (long long)g->failure_recipients,
	    (long long)g->states[0], (long long)g->states[1], (long long)g->states[2], (long long)g->states[3]);
}

static bool
same_group(const struct queue_group *a, const struct queue_group *b)
{
	return strcmp(a->key, b->key) == 0 && a->messages == b->messages && a->recipients == b->recipients && a->bytes == b->bytes
	    && a->oldest == b->oldest && a->deferred == b->deferred && a->failure_recipients == b->failure_recipients
	    && memcmp(a->states, b->states, sizeof(a->states)) == 0;
}

/* The class is that of the most frequent reason: among equals either may come first. */
static int
differences(struct queue_groups *a, struct queue_groups *b)
{
	size_t i = 0, k = 0;
	int n = 0, order;

	qsort(a->v, a->n, sizeof(*a->v), by_key);
	qsort(b->v, b->n, sizeof(*b->v), by_key);
	while (i < a->n || k < b->n) {
		order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->v[i].key, b->v[k].key);
		if (order == 0 && same_group(&a->v[i], &b->v[k])) {
			i++;
			k++;
			continue;
		}
		n++;
		if (order <= 0)
			group_say("the look", &a->v[i++]);
		if (order >= 0)
			group_say("in full ", &b->v[k++]);
	}
	return n;
}

static void
say_look(const char *what, const struct queue_view *v)
{
	printf("%s: %lld messages, %s, %lld read%s%s\n", what, (long long)v->messages, v->look.full ? "in full" : "what changed",
	    (long long)v->look.read, v->note != NULL ? "; " : "", v->note != NULL ? v->note : "");
}

static void
cost_say(int64_t ms)
{
	static int64_t before;
	struct rusage use;
	int64_t cpu;

	getrusage(RUSAGE_SELF, &use);
	cpu = (int64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000 + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000;
	printf("%lld %lld %ld\n", (long long)ms, (long long)(cpu - before), use.ru_maxrss);
	before = cpu;
}

static int
equal(struct journey *kept, const char *store, int64_t server)
{
	static const char *const names[] = { "destination", "reason", "sender", "server" };
	struct queue_view a, b;
	struct journey *fresh;
	int by, n = 0;

	if (journey_open(&fresh, store, &failed) == -1)
		return -1;
	for (by = QUEUE_BY_DESTINATION; by <= QUEUE_BY_SERVER; by++) {
		if (poll_by(kept, server, (enum queue_by)by, &a) == -1 || poll_by(fresh, server, (enum queue_by)by, &b) == -1)
			return -1;
		if (by == 0)
			say_look("look", &a);
		n += differences(&a.groups, &b.groups);
		if (a.messages != b.messages)
			n++;
		if (n > 0) {
			printf("not equal by %s: %lld and %lld messages\n", names[by], (long long)a.messages, (long long)b.messages);
			queue_view_release(&a);
			queue_view_release(&b);
			break;
		}
		if (by == QUEUE_BY_SERVER)
			printf("both: %lld messages\n", (long long)a.messages);
		queue_view_release(&a);
		queue_view_release(&b);
	}
	journey_close(fresh);
	return n;
}

/* --- a large queue --- */

struct seed { char *message, *reasons; size_t message_len, reasons_len; uid_t uid; gid_t gid; };

static char *
slurp(const char *path, size_t *len, struct stat *st)
{
	int fd = open(path, O_RDONLY);
	char *s = NULL;

	if (fd >= 0 && fstat(fd, st) == 0 && (s = malloc((size_t)st->st_size + 1)) != NULL)
		*len = (size_t)read(fd, s, (size_t)st->st_size);
	close(fd);
	return s;
}

static int
spill(const char *path, const char *s, size_t len, const struct seed *o, mode_t mode)
{
	struct timespec when[2] = { { .tv_sec = time(NULL) }, { .tv_sec = time(NULL) + 30 * 86400 } };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	bool good = fd >= 0 && write(fd, s, len) == (ssize_t)len && fchown(fd, o->uid, o->gid) == 0 && fchmod(fd, mode) == 0
	    && futimens(fd, when) == 0;

	close(fd);
	return good ? 0 : -1;
}

static int
one_more(const char *spool, const struct seed *o, size_t number)
{
	char id[32], path[512];

	snprintf(id, sizeof(id), "%05zX%zX", number * 7919 % 1000000, number + 0x100000);
	snprintf(path, sizeof(path), "%s/deferred/%c/%s", spool, id[0], id);
	if (spill(path, o->message, o->message_len, o, 0700) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/defer/%c/%s", spool, id[0], id);
	return spill(path, o->reasons, o->reasons_len, o, 0600);
}

static size_t
seeds_find(const char *spool, struct seed *seeds, size_t max)
{
	size_t n = 0;

	for (int d = 0; d < 16; d++) {
		char dir[512], path[1024];
		struct dirent *e;
		struct stat st;
		snprintf(dir, sizeof(dir), "%s/deferred/%X", spool, d);
		DIR *p = opendir(dir);
		while (p != NULL && n < max && (e = readdir(p)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/defer/%X/%s", spool, d, e->d_name);
			seeds[n].reasons = slurp(path, &seeds[n].reasons_len, &st);
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			seeds[n].message = slurp(path, &seeds[n].message_len, &st);
			seeds[n].uid = st.st_uid;
			seeds[n].gid = st.st_gid;
			if (seeds[n].message != NULL && seeds[n].reasons != NULL)
				n++;
		}
		if (p != NULL)
			closedir(p);
	}
	return n;
}

static int
fill_or_stir(const char *what, const char *spool, size_t n)
{
	static struct seed seeds[64];
	size_t n_seeds = seeds_find(spool, seeds, 64), i;
	char id[32], from[512], to[512];
	struct stat st;
	size_t len;

	if (n_seeds == 0)
		return 1;
	for (int d = 0; d < 16; d++) {
		snprintf(from, sizeof(from), "%s/deferred/%X", spool, d);
		snprintf(to, sizeof(to), "%s/defer/%X", spool, d);
		for (const char *p = from; p != NULL; p = p == from ? to : NULL)
			if (mkdir(p, 0700) == 0 && chown(p, seeds[0].uid, seeds[0].gid) != 0)
				return 1;
	}
	if (strcmp(what, "fill") == 0) {
		for (i = 0; i < n; i++)
			if (one_more(spool, &seeds[i % n_seeds], i) == -1)
				return 1;
		return 0;
	}
	for (i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "%05zX%zX", i * 50 * 7919 % 1000000, i * 50 + 0x100000);
		snprintf(from, sizeof(from), "%s/deferred/%c/%s", spool, id[0], id);
		snprintf(to, sizeof(to), "%s/active/%s", spool, id);
		if (i % 3 == 0) {
			unlink(from);
			snprintf(to, sizeof(to), "%s/defer/%c/%s", spool, id[0], id);
			unlink(to);
		} else if (i % 3 == 1) {
			if (one_more(spool, &seeds[i % n_seeds], i + 0x1000000) == -1)
				return 1;
		} else {
			rename(from, to);
			rename(to, from);
			snprintf(to, sizeof(to), "%s/defer/%c/%s", spool, id[0], id);
			char *reasons = slurp(to, &len, &st);    /* written anew, about its own recipients */

			if (reasons != NULL)
				spill(to, reasons, len, &seeds[0], 0600);
			free(reasons);
			printf("Nov 27 00:00:00 mx1 postfix/qmgr[1]: %s: from=<s@sender.test>, size=300, nrcpt=1 (queue active)\n", id);
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct journey *j;
	struct server_list l = { NULL, 0 };
	struct queue_view v;
	char word[64];
	const char *store = getenv("MXSEAL_STORE");
	int64_t server = 0, start;
	size_t i;
	int rc = 0;

	if (argc == 4 && (strcmp(argv[1], "fill") == 0 || strcmp(argv[1], "stir") == 0))
		return fill_or_stir(argv[1], argv[2], strtoul(argv[3], NULL, 10));
	if (argc < 2 || store == NULL) {
		puts("bench_look: skipped: it needs a host of the lab (bench_look.sh and tests/lab/queue_look.test.sh give it one)");
		return 0;
	}
	if (journey_open(&j, store, &failed) == -1 || store_servers(journey_store(j), &l, &failed) == -1) {
		puts(failed.text);
		return 1;
	}
	for (i = 0; i < l.n; i++)
		if (strcmp(l.v[i].name, argv[1]) == 0)
			server = l.v[i].id;
	while (rc == 0 && scanf("%63s", word) == 1) {
		if (strcmp(word, "equal") == 0) {
			int tries = 3;

			while ((rc = equal(j, store, server)) > 0 && --tries > 0)
				poll(NULL, 0, 1500);
			puts(rc == 0 ? "equal" : "differs");
		} else {
			start = when_monotonic_ms();
			rc = poll_by(j, server, QUEUE_BY_DESTINATION, &v);
			if (rc == 0)
				say_look("look", &v);
			cost_say(when_monotonic_ms() - start);
			queue_view_release(&v);
		}
		fflush(stdout);
	}
	server_list_release(&l);
	journey_close(j);
	return rc == 0 ? 0 : 1;
}
