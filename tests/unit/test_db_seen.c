/* What was only seen is written without a wait for the disk, and everything else waits for it again; the log is carried into the
 * file when it is due, by whoever says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "db/db.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

enum { NORMAL = 1, FULL = 2 };    /* of PRAGMA synchronous */

struct world { char *dir, *path; struct store *st; };

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err e;

	w->dir = fixture_dir();
	w->path = xasprintf("%s/store.db", w->dir);
	if (store_open(&w->st, w->path, &e) < 0)
		fail_msg("%s", e.text);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	store_close(w->st);
	fixture_remove(w->dir);
	free(w->path);
	free(w->dir);
	free(w);
	return 0;
}

static int
take_number(void *to, int n, char **values, char **names)
{
	(void)n, (void)names;
	*(int *)to = atoi(values[0]);
	return 0;
}

static int
waits_for_disk(struct store *st)
{
	int level = -1;

	assert_int_equal(sqlite3_exec(st->db, "PRAGMA synchronous", take_number, &level, NULL), SQLITE_OK);
	return level;
}

struct written { const char *text; int level, rc; };

static int
write_fact(struct store *st, void *arg, struct err *e)
{
	struct written *w = arg;

	w->level = waits_for_disk(st);
	if (store_fact_set(st, "seen", w->text, e) == -1)
		return -1;
	return w->rc == 0 ? 0 : err_set(e, RC_CHECK, "not this one");
}

static int
write_within(struct store *st, void *arg, struct err *e)
{
	struct written *w = arg, inner = { "inner", -1, 0 };

	if (store_tx_seen(st, write_fact, &inner, e) == -1)
		return -1;
	w->level = inner.level;
	return w->rc == 0 ? 0 : err_set(e, RC_CHECK, "not this one");
}

static void
must_say(struct store *st, const char *text)
{
	char *now = NULL;
	struct err e = { .code = RC_OK };

	(void)store_fact_get(st, "seen", &now, &e);
	assert_true(text_eq(now, text));
	free(now);
}

static void
nobody_waits_for_what_was_seen(void **state)
{
	struct world *w = *state;
	struct written good = { "first", -1, 0 }, bad = { "second", -1, -1 }, inside = { NULL, -1, 0 };
	struct store *other;
	struct err e;

	assert_int_equal(waits_for_disk(w->st), FULL);
	assert_int_equal(store_tx_seen(w->st, write_fact, &good, &e), 0);
	assert_int_equal(good.level, NORMAL);
	assert_int_equal(waits_for_disk(w->st), FULL);
	assert_int_equal(store_open(&other, w->path, &e), 0);              /* others see it at once */
	must_say(other, "first");
	store_close(other);

	assert_int_equal(store_tx_seen(w->st, write_fact, &bad, &e), -1);    /* nothing of it, and the next one waits again */
	assert_int_equal(e.code, RC_CHECK);
	must_say(w->st, "first");
	assert_int_equal(waits_for_disk(w->st), FULL);

	/* inside of what must be on disk it is a part of that */
	assert_int_equal(store_tx(w->st, write_within, &inside, &e), 0);
	assert_int_equal(inside.level, FULL);
	must_say(w->st, "inner");
	assert_int_equal(store_fact_set(w->st, "seen", "before", &e), 0);
	inside.rc = -1;
	assert_int_equal(store_tx(w->st, write_within, &inside, &e), -1);
	must_say(w->st, "before");
	assert_int_equal(waits_for_disk(w->st), FULL);
}

/* What was seen changes nothing that is wanted; what another process writes may. */
static void
what_was_seen_counts_apart(void **state)
{
	struct world *w = *state;
	struct written seen = { "more", -1, 0 }, theirs = { "theirs", -1, 0 };
	int64_t all = store_version(w->st), wanted = store_version_but_seen(w->st);
	struct store *other;
	struct err e;

	assert_int_equal(store_tx_seen(w->st, write_fact, &seen, &e), 0);
	assert_true(store_version(w->st) > all);
	assert_int_equal(store_version_but_seen(w->st), wanted);
	assert_int_equal(store_fact_set(w->st, "fact", "wanted", &e), 0);
	assert_true(store_version_but_seen(w->st) > wanted);
	wanted = store_version_but_seen(w->st);
	assert_int_equal(store_version_but_seen(w->st), wanted);
	assert_int_equal(store_open(&other, w->path, &e), 0);
	assert_int_equal(store_tx_seen(other, write_fact, &theirs, &e), 0);
	store_close(other);
	assert_true(store_version_but_seen(w->st) > wanted);
}

/* --- carrying --- */

static off_t
size_of(const char *path, const char *tail)
{
	char *name = xasprintf("%s%s", path, tail);
	struct stat sb;

	assert_int_equal(stat(name, &sb), 0);
	free(name);
	return sb.st_size;
}

/* Five MB into the log, each commit some pages. */
static void
fill(struct store *st)
{
	char *big = xcalloc(1, 100001);
	char name[16];
	struct err e;

	memset(big, 'x', 100000);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "fact%d", i);
		assert_int_equal(store_fact_set(st, name, big, &e), 0);
	}
	free(big);
}

static void
the_log_is_carried_when_it_is_due(void **state)
{
	struct world *w = *state;
	off_t before = size_of(w->path, "");
	char *text = NULL;
	struct store *other;
	struct err e;

	store_leave_carrying(w->st);
	assert_false(store_carry_due(w->st));
	fill(w->st);
	assert_int_equal(size_of(w->path, ""), before);                    /* nobody did it in between */
	assert_true(size_of(w->path, "-wal") > 5000000);
	assert_true(store_carry_due(w->st));
	assert_false(store_carry_due(w->st));                              /* told once */
	assert_int_equal(store_carry(w->path, &e), 0);
	assert_true(size_of(w->path, "") > before + 4000000);
	assert_int_equal(store_carry(w->path, &e), 0);                     /* nothing left to do is no failure */

	/* a log that is carried begins anew: the file's own handle and others see all */
	assert_int_equal(store_fact_set(w->st, "fact1", "small", &e), 0);
	assert_false(store_carry_due(w->st));
	assert_int_equal(store_open(&other, w->path, &e), 0);
	assert_int_equal(store_fact_get(other, "fact1", &text, &e), 0);
	assert_string_equal(text, "small");
	free(text);
	store_close(other);
}

static void
who_does_not_draw_leaves_it_to_sqlite(void **state)
{
	struct world *w = *state;
	off_t before = size_of(w->path, "");

	fill(w->st);
	assert_true(size_of(w->path, "") > before);
	assert_false(store_carry_due(w->st));
}

/* In the middle of somebody's writing it is left for the next time; a store that is not there is an error. */
static int
carry_meanwhile(struct store *st, void *path, struct err *e)
{
	return store_fact_set(st, "seen", "now", e) == 0 ? store_carry(path, e) : -1;
}

static void
in_the_way_of_nobody(void **state)
{
	struct world *w = *state;
	char *missing = xasprintf("%s/none.db", w->dir);
	struct err e;

	store_leave_carrying(w->st);
	assert_int_equal(store_tx(w->st, carry_meanwhile, w->path, &e), 0);
	must_say(w->st, "now");
	assert_int_equal(store_carry(missing, &e), -1);
	assert_int_equal(e.code, RC_DB);
	assert_non_null(strstr(e.text, "none.db"));
	free(missing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_waits_for_what_was_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_seen_counts_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_log_is_carried_when_it_is_due, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_does_not_draw_leaves_it_to_sqlite, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_the_way_of_nobody, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
