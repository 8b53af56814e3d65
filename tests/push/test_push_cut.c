/* A push through a real sshd, cut at every exchange between console and host, in four ways: the console killed, the connection
 * reset, the connection a black hole, the script on the host killed. Whatever was cut, the host comes to rest with exactly the
 * old or exactly the new files, with owner and mode, nothing beside them, and a service that greets; what the console had
 * said and what the host's journal says do not contradict each other. Every exchange is cut in two of the ways, with MXSEAL_LONG
 * in all four. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/cutter.h"
#include "support/fixture.h"
#include "support/push_world.h"
#include "support/sshd.h"

#define POINTS   44
#define LANES    4
#define DEADLINE 3
#define NEW_TEXT WORLD_OLD "new = 1\n"

static const char *const hows[] = { "console killed", "connection reset", "black hole", "script killed" };

/* What the console said before it was gone, in shared memory. */
struct said { volatile int ended; volatile int result, code; volatile int64_t ended_at; };

/* One lane: a host of its own, and one cut after the other. */
struct lane {
	struct push_world w;
	struct sshd sshd;
	struct cut *cut;
	struct said *said;
	int listener, port;
	char *dir, *old, *new;
};

struct tally { volatile int runs, kept, undone, dropped, untouched, failed; };
static struct tally *tally;          /* [CUT_HOWS] */

static void
lane_open(struct lane *l)
{
	char extra[600];

	world_open(&l->w);
	l->dir = fixture_dir();
	sshd_run("cd %s && ssh-keygen -q -t ed25519 -N '' -C '' -f host_ed25519 && ssh-keygen -q -t ed25519 -N '' -C '' -f user_ed25519 && "
	    "cat user_ed25519.pub > authorized_keys", l->dir);
	snprintf(extra, sizeof(extra), "SetEnv MXSEAL_ROOT=%s HOME=%s", l->w.root, l->dir);      /* no start files of root run */
	sshd_start(&l->sshd, l->dir, "host_ed25519", extra);
	l->listener = cut_listen(&l->port);
	l->cut = cut_new();
	l->cut->root = l->w.root;
	l->said = mmap(NULL, sizeof(*l->said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(extra, sizeof(extra), "[127.0.0.1]:%d", l->port);
	sshd_known(&l->sshd, extra, "host_ed25519", NULL);
	l->old = world_tree(&l->w);
}

static void
lane_close(struct lane *l)
{
	sshd_stop(&l->sshd);
	close(l->listener);
	world_close(&l->w);
	fixture_remove(l->dir);
	free(l->dir);
	free(l->old);
	free(l->new);
}

/* The console: one push, as the program does it. */
static void
console(struct lane *l)
{
	char target[64];
	struct login login = { .target = target, .ssh_config = l->sshd.config };
	struct push_report r = { .steps = STR_INIT };
	struct plan p;
	struct host *h = NULL;
	struct err e;

	snprintf(target, sizeof(target), "root@127.0.0.1:%d", l->port);
	err_clear(&e);
	world_plan(&l->w, &p, 1, WORLD_OLD, NEW_TEXT, true);
	l->said->result = PUSH_REFUSED;
	if (host_open(&h, &login, NULL, NULL, &e) == 0 &&
	    push_apply(&p, h, &(struct push_options){ .keep = true, .confirm_within = DEADLINE }, NULL, &r, &e) == 0)
		e.code = RC_OK;
	if (h != NULL)
		l->said->result = (int)r.result;
	l->said->code = (int)e.code;
	l->said->ended = 1;
	_exit(0);
}

static bool
gone(pid_t pid, int ms)
{
	int64_t until = when_monotonic_ms() + ms;

	do {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		poll(NULL, 0, 20);
	} while (when_monotonic_ms() < until);
	return false;
}

static void
end_lease(struct lane *l)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/var/lib/mxseal/lock.seen", l->w.root);
	if (access(path, F_OK) == 0)
		text_write(path, "1000000000\n", 0600);
}

/* The host until it is at rest: what waits is left to its timer, what hangs with the lock loses it as its lease would end, and
 * the next connection recovers the rest. NULL, or what is wrong. */
static char *
settle(struct lane *l)
{
	int64_t until = when_monotonic_ms() + 90000;
	struct push_status s;
	struct err e;
	bool idle = false;

	while (!idle && when_monotonic_ms() < until) {
		if (push_look(l->w.h, false, &s, &e) != 0)
			return xasprintf("status: %s", e.text);
		idle = strcmp(s.state, "idle") == 0 && s.owner == NULL;
		bool unfinished = strcmp(s.state, "unfinished") == 0 || (strcmp(s.state, "idle") == 0 && s.owner != NULL);
		push_status_release(&s);
		if (unfinished) {
			end_lease(l);
			if (push_look(l->w.h, true, &s, &e) != 0)
				return xasprintf("recovery: %s", e.text);
			push_status_release(&s);
			if (l->cut->how == CUT_BLACK_HOLE)
				cut_kill_shells(l->w.root);    /* those that only read; the lease of those with a lock is over */
		}
		if (!idle)
			poll(NULL, 0, 100);
	}
	return idle ? NULL : xstrdup("the host does not come to rest");
}

/* Old or new, exactly; and no contradiction. NULL, or what is wrong. */
static char *
judge(struct lane *l, struct tally *t)
{
	char *tree = world_tree(&l->w), state[16] = "", *wrong = NULL;
	long long generation = 0;
	bool is_new = strcmp(tree, l->new) == 0;

	(void)world_journal(&l->w, &generation, state);
	if (!is_new && strcmp(tree, l->old) != 0)
		wrong = xasprintf("neither old nor new:\n%s", tree);
	else if (is_new != (strcmp(state, "kept") == 0))
		wrong = xasprintf("%s files, but the journal says \"%s\"", is_new ? "new" : "old", state);
	else if (!world_greets(&l->w))
		wrong = xstrdup("the service does not greet");
	else if (l->said->ended && l->said->result == PUSH_KEPT && !is_new)
		wrong = xasprintf("the console said kept, the host %s", state);
	else if (l->said->ended && (l->said->result == PUSH_UNDONE || l->said->result == PUSH_REFUSED) && is_new)
		wrong = xasprintf("the console said %s, the host kept", push_result_name((enum push_result)l->said->result));
	else if (l->said->ended && l->said->code == RC_UNDONE && strcmp(state, "undone") != 0)
		wrong = xasprintf("the console said undone, the host \"%s\"", state);
	__atomic_add_fetch(is_new ? &t->kept : strcmp(state, "undone") == 0 ? &t->undone : state[0] != '\0' ? &t->dropped : &t->untouched,
	    1, __ATOMIC_SEQ_CST);
	free(tree);
	return wrong;
}

/* One push with this cut. */
static char *
one_run(struct lane *l, struct tally *t)
{
	char *wrong;
	pid_t proxy, client;

	world_fill(&l->w);
	l->cut->exchanges = 0;
	l->cut->done = 0;
	memset(l->said, 0, sizeof(*l->said));
	proxy = cut_start(l->listener, l->sshd.port, l->cut);
	client = fork();
	if (client == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		l->cut->client = getpid();
		console(l);
	}
	if (l->cut->how != CUT_BLACK_HOLE || l->cut->exchange == 0)
		(void)gone(client, 60000);
	else
		for (int i = 0; i < 600 && !l->cut->done; i++)
			poll(NULL, 0, 50);
	wrong = settle(l);
	kill(client, SIGKILL);
	kill(proxy, SIGKILL);
	(void)waitpid(client, NULL, 0);
	(void)waitpid(proxy, NULL, 0);
	if (wrong == NULL && l->cut->exchange > 0)
		wrong = judge(l, t);
	cut_kill_shells(l->w.root);
	return wrong;
}

/* How many exchanges a push has, of them how many before it begins; and what the new tree is. */
static void
rehearse(struct lane *l, int *login, int *all)
{
	char *wrong;

	l->cut->exchange = 0;
	l->cut->how = CUT_RESET;
	wrong = one_run(l, NULL);
	if (wrong != NULL || l->said->result != PUSH_KEPT)
		fail_msg("without a cut: %s, %s", wrong != NULL ? wrong : "", push_result_name((enum push_result)l->said->result));
	*all = l->cut->exchanges;
	*login = *all > 60 ? *all - 60 : 8;
	l->new = world_tree(&l->w);
}

/* Each point is cut in two of the ways, and each way at half of the points and in all places; MXSEAL_LONG: all. */
static bool
is_cut(int point, int how)
{
	return getenv("MXSEAL_LONG") != NULL || (point / CUT_WHERES + how) % 2 == 0;
}

static void
lane_run(int number, const struct lane *model, int first, int last)
{
	struct lane l = { 0 };
	int failed = 0;

	lane_open(&l);
	l.new = xstrdup(model->new);
	for (int i = number; i < POINTS * CUT_HOWS; i += LANES) {
		int point = i / CUT_HOWS;
		char *wrong;

		if (!is_cut(point, i % CUT_HOWS))
			continue;
		l.cut->how = (enum cut_how)(i % CUT_HOWS);
		l.cut->exchange = first + (last - first) * point / (POINTS - 1);
		l.cut->where = (enum cut_where)((point + i % CUT_HOWS) % CUT_WHERES);
		wrong = one_run(&l, &tally[l.cut->how]);
		__atomic_add_fetch(&tally[l.cut->how].runs, 1, __ATOMIC_SEQ_CST);
		if (wrong != NULL) {
			fprintf(stderr, "exchange %d of %d, place %d, %s: %s\n", l.cut->exchange, last, (int)l.cut->where,
			    hows[l.cut->how], wrong);
			__atomic_add_fetch(&tally[l.cut->how].failed, 1, __ATOMIC_SEQ_CST);
			free(wrong);
			if (++failed == 5)
				break;
		}
	}
	lane_close(&l);
	_exit(0);
}

static void
cut_anywhere(void **state)
{
	struct lane model = { 0 };
	pid_t lanes[LANES];
	int login, all, failed = 0;

	(void)state;
	tally = mmap(NULL, CUT_HOWS * sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	lane_open(&model);
	rehearse(&model, &login, &all);
	for (int i = 0; i < LANES; i++)
		if ((lanes[i] = fork()) == 0)
			lane_run(i, &model, login, all);
	for (int i = 0; i < LANES; i++)
		waitpid(lanes[i], NULL, 0);
	printf("%d points from exchange %d to %d\n", POINTS, login, all);
	for (int i = 0; i < CUT_HOWS; i++) {
		struct tally *t = &tally[i];
		int wanted = 0;

		for (int point = 0; point < POINTS; point++)
			wanted += is_cut(point, i);

		printf("  %-16s %3d runs: %3d new, %3d old after an undo, %3d old and dropped, %3d old and never begun; %d failed\n",
		    hows[i], t->runs, t->kept, t->undone, t->dropped, t->untouched, t->failed);
		failed += t->failed + (t->runs != wanted);
	}
	lane_close(&model);
	assert_int_equal(failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(cut_anywhere) };

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
