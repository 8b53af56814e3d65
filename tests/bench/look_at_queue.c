/* Looks at the queue of a real host through the program's own poll, one after the other, as the console has them, each against
 * a full one in the same run.
 *   look_at_queue SERVER: the store and the host are those of the lab (MXSEAL_STORE, MXSEAL_SSH_CONFIG). Reads words, one a line:
 *     look     polls, says how it was done; then milliseconds, those of our processor, peak memory of this process in KiB
 *     equal    polls, and once more with nothing known: what both say must be equal, by all four groups. Mail moves between the
 *              two; what a look has missed, the next one would miss too, so what differs is compared once more, twice */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

	if (argc < 2 || store == NULL) {
		fputs("usage: look_at_queue SERVER, with MXSEAL_STORE (bench_look.sh and tests/lab/queue_look.test.sh have both)\n", stderr);
		return 2;
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
