/* Pushes that do not stay, twenty of each kind, fifty with MXSEAL_LONG: what nobody confirms is undone by the host within the deadline and five seconds,
 * old files and a greeting, with no console and no network; and no undo, whoever made it and whenever it is learned of, is
 * ever told as a success: code RC_UNDONE, status 5, the word "undone", and the host's journal says the same. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/push_world.h"

#define RUNS     (getenv("MXSEAL_LONG") != NULL ? 50 : 20)
#define LANES    10
#define DEADLINE 3

static struct { volatile int runs, good; volatile int64_t slowest_ms; } *tally;

static int
push(struct push_world *w, int64_t generation, const char *after, const struct push_options *o, struct push_report *r,
    struct err *e)
{
	struct plan p;
	int rc;

	world_plan(w, &p, generation, WORLD_OLD, after, true);
	err_clear(e);
	rc = push_apply(&p, w->h, o, NULL, r, e);
	plan_release(&p);
	return rc;
}

static bool
journal_is(const struct push_world *w, const char *want)
{
	char state[16] = "";
	long long generation;

	return world_journal(w, &generation, state) && strcmp(state, want) == 0;
}

/* Until the host undid by itself. */
static bool
undone_by(const struct push_world *w, int64_t until_ms)
{
	while (!journal_is(w, "undone")) {
		if (when_monotonic_ms() > until_ms)
			return false;
		poll(NULL, 0, 50);
	}
	return true;
}

/* Nobody is there any more: the connection is closed, and only the host itself can act. NULL: good. */
static char *
left_alone(struct push_world *w, int run)
{
	char *old = world_tree(w), *now = NULL, *wrong = NULL;
	struct push_report r;
	struct err e;
	int64_t switched, late;

	(void)run;
	if (push(w, 1, WORLD_OLD "new = 1\n", &(struct push_options){ .confirm_within = DEADLINE }, &r, &e) != 0)
		wrong = xstrdup(e.text);
	switched = when_monotonic_ms() + (r.undo_at - when_now()) * 1000;        /* the deadline, on our clock */
	push_report_release(&r);
	host_close(w->h);
	w->h = NULL;
	for (bool back = false; wrong == NULL && !back; poll(NULL, 0, 50)) {
		back = journal_is(w, "undone") && world_greets(w);
		late = when_monotonic_ms() - switched;
		if (back && late > tally->slowest_ms)
			tally->slowest_ms = late;
		if (late > 5000)
			wrong = xasprintf("not undone, or no greeting, %lld ms after the deadline", (long long)late);
	}
	now = world_tree(w);
	if (wrong == NULL && strcmp(now, old) != 0)
		wrong = xasprintf("not the old files:\n%s", now);
	free(now);
	free(old);
	world_login(w);
	return wrong;
}

/* The ways in which a push is undone, and the ways to learn of it. */
static char *
never_a_success(struct push_world *w, int run)
{
	const struct push_options keep = { .keep = true, .confirm_within = 8 }, wait = { .confirm_within = 1 };
	const char *how = "", *word = "undone", *after = WORLD_OLD "new = 1\n";
	struct push_report r = { .steps = STR_INIT };
	enum push_result result = PUSH_UNDONE;
	int64_t generation = 0;
	struct err e;
	int rc;

	err_clear(&e);
	switch (run % 5) {
	case 0:
		how = "no greeting with the new files";
		rc = push(w, 1, "myhostname = mx\nmanners = none\n", &keep, &r, &e);
		break;
	case 1:
		how = "STARTTLS offered that must not be";
		rc = push(w, 1, WORLD_OLD "offer = yes\n", &keep, &r, &e);
		break;
	case 2:
		how = "keep after the deadline";
		rc = push(w, 1, after, &wait, &r, &e);
		if (rc == 0 && undone_by(w, when_monotonic_ms() + 10000))
			rc = push_keep(w->h, NULL, &generation, &e);
		break;
	case 3:
		how = "mail gets worse under --watch";
		text_write(w->mail_log, "sent 1\n", 0600);
		{
			struct plan p;

			world_plan(w, &p, 1, WORLD_OLD, after, true);
			command_add(&p.reload, "and mail fails", "sh", "-c", "for i in 1 2 3 4 5 6 7; do echo deferred ID$i >> \"$0\"; done",
			    w->mail_log, NULL);
			rc = push_apply(&p, w->h, &(struct push_options){ .keep = true, .confirm_within = 60, .watch = 12 }, NULL, &r, &e);
			plan_release(&p);
		}
		break;
	default:
		how = "the host undoes a moment before keep";
		{
			struct plan p;

			world_plan(w, &p, 1, WORLD_OLD, after, true);
			command_add(&p.reload, "slow", "sh", "-c", "sleep 4", NULL);
			rc = push_apply(&p, w->h, &(struct push_options){ .keep = true, .confirm_within = 1 }, NULL, &r, &e);
			plan_release(&p);
		}
		/* the timer took the lock from the console that was busy: what came of it is not known, and is not called good */
		if (rc != 0 && e.code == RC_UNKNOWN) {
			result = PUSH_UNKNOWN;
			word = "UNKNOWN";
			(void)undone_by(w, when_monotonic_ms() + 15000);
		}
		break;
	}
	if (run % 5 == 2)
		r.result = PUSH_UNDONE;                   /* the report is of the push that waited */
	char *text = text_read(w->main_cf), *wrong = NULL;
	if (rc == 0)
		wrong = xasprintf("%s: told as a success", how);
	else if (e.code != (result == PUSH_UNDONE ? RC_UNDONE : RC_UNKNOWN) || err_exit_status(e.code) != (result == PUSH_UNDONE ? 5 : 6) ||
	    r.result != result || strstr(e.text, word) == NULL)
		wrong = xasprintf("%s: %s, %s, \"%s\"", how, err_name(e.code), push_result_name(r.result), e.text);
	else if (!journal_is(w, "undone") || strcmp(text, WORLD_OLD) != 0)
		wrong = xasprintf("%s: the host does not say undone, or has not the old file", how);
	free(text);
	push_report_release(&r);
	return wrong;
}

static void
in_lanes(char *(*one)(struct push_world *, int))
{
	pid_t lanes[LANES];

	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int lane = 0; lane < LANES; lane++)
		if ((lanes[lane] = fork()) == 0) {
			for (int run = lane; run < RUNS; run += LANES) {
				struct push_world w;
				char *wrong;

				world_open(&w);
				wrong = one(&w, run);
				world_close(&w);
				__atomic_add_fetch(&tally->runs, 1, __ATOMIC_SEQ_CST);
				if (wrong == NULL)
					__atomic_add_fetch(&tally->good, 1, __ATOMIC_SEQ_CST);
				else
					fprintf(stderr, "run %d: %s\n", run, wrong);
				free(wrong);
			}
			_exit(0);
		}
	for (int lane = 0; lane < LANES; lane++)
		waitpid(lanes[lane], NULL, 0);
	assert_int_equal(tally->runs, RUNS);
}

static void
the_host_undoes_alone(void **state)
{
	(void)state;
	in_lanes(left_alone);
	printf("undone by the host alone: %d of %d, the slowest %lld ms after the deadline\n", tally->good, RUNS,
	    (long long)tally->slowest_ms);
	assert_int_equal(tally->good, RUNS);
}

static void
an_undo_is_no_success(void **state)
{
	(void)state;
	in_lanes(never_a_success);
	printf("undone and told so: %d of %d\n", tally->good, RUNS);
	assert_int_equal(tally->good, RUNS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_undoes_alone),
		cmocka_unit_test(an_undo_is_no_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
