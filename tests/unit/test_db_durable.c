/* Committed means on disk: a process that writes is killed with SIGKILL at random moments, a hundred times; whatever it had
 * acknowledged must be there, and nothing half done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "db/db.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

#define KILLS 100
#define SPREAD_US 20000    /* a kill comes at most this long after the writer's first word, or after its start */

struct step { int64_t server; int64_t n; };

/* One transaction of three writes that belong together. */
static int
step_body(struct store *st, void *arg, struct err *e)
{
	const struct step *s = arg;
	char text[32], destination[32];

	snprintf(text, sizeof(text), "%lld", (long long)s->n);
	snprintf(destination, sizeof(destination), "d%lld.test", (long long)s->n);
	if (store_fact_set(st, "step", text, e) < 0)
		return -1;
	if (db_run(st, ST_QUEUE_CELL_NOTE, NULL, e, "ittiiii", s->server, "destination", destination, (int64_t)QUEUE_CELL, s->n, s->n,
	    s->n) < 0)
		return -1;
	return store_activity_add(st, "mx1", "step", "ok", e, "%s", text);
}

/* Writes until it is killed; tells each step that is committed. */
static void
writer(const char *path, int ack)
{
	struct store *st = NULL;
	struct err e = { 0 };
	struct server s;
	struct step step = { 0, 0 };
	char *text = NULL;

	if (store_open(&st, path, &e) < 0 || store_server_by_name(st, "mx1", &s, &e) < 0 ||
	    store_fact_get(st, "step", &text, &e) < 0) {
		fprintf(stderr, "writer: %s\n", e.text);
		_exit(1);
	}
	step.server = s.id;
	for (step.n = atoll(text) + 1;; step.n++) {
		if (store_tx(st, step_body, &step, &e) < 0) {
			fprintf(stderr, "writer: %s\n", e.text);
			_exit(1);
		}
		if (write(ack, &step.n, sizeof(step.n)) != (ssize_t)sizeof(step.n))
			_exit(2);
	}
}

/* Starts a writer and kills it some time after its first word, or after its start; returns the last step it acknowledged. */
static int64_t
write_and_kill(const char *path, bool hear_first)
{
	struct timespec t = { 0, rand() % SPREAD_US * 1000L };
	int64_t n = 0, last = 0;
	int ack[2], status;
	pid_t pid;

	assert_int_equal(pipe(ack), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ack[0]);
		writer(path, ack[1]);
	}
	close(ack[1]);
	if (hear_first && read(ack[0], &last, sizeof(last)) != (ssize_t)sizeof(last))
		fail_msg("the writer wrote nothing");
	/* the moment of the kill is the one thing here that is meant to be left to chance */
	nanosleep(&t, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		fail_msg("the writer ended by itself");
	while (read(ack[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
		last = n;
	close(ack[0]);
	return last;
}

static int64_t
number(struct store *st, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t n = -1;

	assert_int_equal(sqlite3_prepare_v2(st->db, sql, -1, &q, NULL), SQLITE_OK);
	if (sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return n;
}

/* All three writes of every step up to the last one, and the chain whole. */
static int64_t
check(const char *path, int64_t acknowledged, bool thorough)
{
	struct store *st = NULL;
	struct err e = { 0 };
	int64_t at, rows = 0;
	char *text = NULL;

	if (store_open(&st, path, &e) < 0 || store_fact_get(st, "step", &text, &e) < 0)
		fail_msg("%s", e.text);
	at = atoll(text);
	free(text);
	if (at < acknowledged)
		fail_msg("step %lld was acknowledged, the store is at %lld", (long long)acknowledged, (long long)at);
	assert_int_equal(number(st, "SELECT count(*) FROM activity"), at);
	assert_int_equal(number(st, "SELECT count(*) FROM queue_cell"), at);
	assert_int_equal(number(st, "SELECT ifnull(max(at), 0) FROM queue_cell"), at);
	if (thorough) {
		if (store_activity_verify(st, &rows, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(rows, at);
		assert_int_equal(number(st, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
		assert_int_equal(number(st, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
	}
	store_close(st);
	return at;
}

static void
nothing_acknowledged_is_lost(void **state)
{
	char *dir = fixture_dir(), *path = xasprintf("%s/store.db", dir);
	struct store *st = NULL;
	struct server s = { 0 };
	struct err e = { 0 };
	int64_t acknowledged = 0, at = 0;
	const char *kills = getenv("MXSEAL_KILLS");
	int n = kills != NULL ? atoi(kills) : KILLS, told = 0;
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	s.name = xstrdup("mx1");
	s.target = xstrdup("mx1");
	if (store_open(&st, path, &e) < 0 || store_server_save(st, &s, &e) < 0 || store_fact_set(st, "step", "0", &e) < 0)
		fail_msg("%s", e.text);
	server_release(&s);
	store_close(st);
	for (int i = 0; i < n; i++) {
		int64_t last = write_and_kill(path, i % 5 != 0);

		if (last > 0) {
			acknowledged = last;
			told++;
		}
		at = check(path, acknowledged, i % 20 == 19 || i == n - 1);
	}
	print_message("%d kills, %lld transactions, %d writers had acknowledged something\n", n, (long long)at, told);
	assert_true(told >= n * 4 / 5);
	fixture_remove(dir);
	free(path);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
