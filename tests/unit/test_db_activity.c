/* The activity table: what is written comes back, cannot be changed or deleted through the store, and any byte changed
 * behind its back is found. What is done and the row that says so are one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/db.h"
#include "mxseal/journey.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

static char *dir, *path;

static int
setup(void **state)
{
	struct store *st = NULL;
	struct err e = { 0 };

	(void)state;
	setenv("MXSEAL_NOW", "1795474800", 1);
	dir = fixture_dir();
	path = xasprintf("%s/store.db", dir);
	if (store_open(&st, path, &e) < 0 ||
	    store_activity_add(st, "mx1", "server-add", "ok", &e, "mx1 was added as %s", "root@mx1") < 0 ||
	    store_activity_add(st, NULL, "authority-add", "ok", &e, "own authority \"%s\"", "it's'; DROP TABLE activity") < 0 ||
	    store_activity_add(st, "mx1", "push", "undone", &e, "Gr\303\274n") < 0 ||
	    store_activity_add(st, "", "", "", &e, "%s", "") < 0)
		return -1;
	store_close(st);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unsetenv("MXSEAL_NOW");
	fixture_remove(dir);
	free(dir);
	free(path);
	return 0;
}

static struct store *
must_open(void)
{
	struct store *st = NULL;
	struct err e = { 0 };

	if (store_open(&st, path, &e) < 0)
		fail_msg("%s", e.text);
	return st;
}

/* What somebody with the file and the sqlite3 program could do. */
static int
raw(const char *sql)
{
	sqlite3 *db;
	int rc, changed;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	changed = sqlite3_total_changes(db);
	sqlite3_close(db);
	return rc == SQLITE_OK ? changed : -1;
}

static int
verify(struct err *e)
{
	struct store *st = must_open();
	int64_t rows = 0;
	int bad = store_activity_verify(st, &rows, e);

	if (bad == 0)
		assert_int_equal(rows, 4);
	store_close(st);
	return bad;
}

static void
it_comes_back_newest_first(void **state)
{
	struct store *st = must_open();
	struct activity_list l;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_activities(st, 0, &l, &e), 0);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.v[3].text, "mx1 was added as root@mx1");
	assert_string_equal(l.v[3].server, "mx1");
	assert_string_equal(l.v[3].verb, "server-add");
	assert_string_equal(l.v[3].result, "ok");
	assert_int_equal(l.v[3].at, 1795474800);
	assert_non_null(strchr(l.v[3].who, '@'));
	assert_null(l.v[2].server);
	assert_string_equal(l.v[2].text, "own authority \"it's'; DROP TABLE activity\"");
	assert_string_equal(l.v[1].text, "Gr\303\274n");
	assert_string_equal(l.v[0].server, "");
	activity_list_release(&l);
	assert_int_equal(store_activities(st, 2, &l, &e), 0);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[0].id, 4);
	activity_list_release(&l);
	store_close(st);
	assert_int_equal(verify(&e), 0);
}

static void
a_long_text_is_kept_in_bounds(void **state)
{
	struct store *st = must_open();
	struct activity_list l;
	struct err e = { 0 };
	char *big = xcalloc(1, 100001);

	(void)state;
	memset(big, 'x', 100000);
	assert_int_equal(store_activity_add(st, "mx1", "push", "ok", &e, "%s", big), 0);
	assert_int_equal(store_activities(st, 1, &l, &e), 0);
	assert_in_range(strlen(l.v[0].text), 1000, 5000);
	activity_list_release(&l);
	assert_int_equal(store_activity_verify(st, NULL, &e), 0);
	free(big);
	store_close(st);
}

static void
triggers_refuse(void **state)
{
	static const char *const tries[] = {
		"UPDATE activity SET text = 'nothing happened' WHERE id = 1",
		"UPDATE activity SET id = 99 WHERE id = 4",
		"DELETE FROM activity",
		"DELETE FROM activity WHERE id = 4",
		"INSERT OR REPLACE INTO activity SELECT id, at, who, server, verb, 'x', result, hash FROM activity WHERE id = 2",
		"REPLACE INTO activity SELECT * FROM activity WHERE id = 4",
		"UPDATE OR REPLACE activity SET id = 1 WHERE id = 2",
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		if (raw(tries[i]) != -1)
			fail_msg("not refused: %s", tries[i]);
	assert_int_equal(verify(&e), 0);
}

#define NO_TRIGGERS "DROP TRIGGER activity_no_update; DROP TRIGGER activity_no_delete; DROP TRIGGER activity_no_replace;"

/* Each on a fresh store, with the triggers gone. */
static void
any_change_is_found(void **state)
{
	static const struct { const char *sql; const char *row; } changes[] = {
		{ "UPDATE activity SET text = text || ' ' WHERE id = 1", "row 1 " },
		{ "UPDATE activity SET text = replace(text, 'root', 'r00t') WHERE id = 1", "row 1 " },
		{ "UPDATE activity SET at = at + 1 WHERE id = 2", "row 2 " },
		{ "UPDATE activity SET who = 'somebody@else' WHERE id = 3", "row 3 " },
		{ "UPDATE activity SET result = 'ok' WHERE id = 3", "row 3 " },
		{ "UPDATE activity SET server = NULL WHERE id = 4", "row 4 " },          /* from empty */
		{ "UPDATE activity SET server = '' WHERE id = 2", "row 2 " },            /* from none */
		{ "UPDATE activity SET verb = 'server-addo', result = 'k' WHERE id = 1", "row 1 " },   /* moved along */
		{ "UPDATE activity SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE id = 4", "row 4 " },
		{ "UPDATE activity SET hash = (SELECT hash FROM activity WHERE id = 1) WHERE id = 2", "row 2 " },
		{ "DELETE FROM activity WHERE id = 1", "row 1 " },
		{ "DELETE FROM activity WHERE id = 2", "row 2 " },
		{ "DELETE FROM activity WHERE id = 4", "rows 4 to 4 " },                 /* the end cut off */
		{ "DELETE FROM activity", "rows 1 to 4 " },
		{ "DELETE FROM activity WHERE id = 2; UPDATE activity SET id = id - 1 WHERE id > 2", "row 2 " },
		{ "INSERT INTO activity SELECT 9, at, who, server, verb, text, result, hash FROM activity WHERE id = 4", "row 5 " },
		{ "UPDATE activity SET id = 100 - id; UPDATE activity SET id = id - 95", "row 1 " },     /* turned round */
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char *sql = xasprintf(NO_TRIGGERS "%s", changes[i].sql);
		struct err e = { 0 };

		if (raw(sql) < 1)
			fail_msg("changed nothing: %s", changes[i].sql);
		assert_int_equal(verify(&e), -1);
		if (e.code != RC_FINDINGS || strstr(e.text, changes[i].row) == NULL)
			fail_msg("%s: %s: %s", changes[i].sql, err_name(e.code), e.text);
		free(sql);
		teardown(state);
		assert_int_equal(setup(state), 0);
	}
}

/* Every single byte of every text of every row, one after the other. */
static void
every_byte_counts(void **state)
{
	static const char *const columns[] = { "who", "server", "verb", "text", "result", "hash" };
	struct store *st = must_open();
	int64_t rows;
	struct err e = { 0 };
	size_t tried = 0;

	(void)state;
	assert_int_equal(sqlite3_exec(st->db, NO_TRIGGERS, NULL, NULL, NULL), SQLITE_OK);
	for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]) * 4; c++)
		for (int at = 1; at <= 64; at++) {
			const char *column = columns[c / 4];
			char *sql = xasprintf("BEGIN; UPDATE activity SET %s = CAST(substr(CAST(%s AS BLOB), 1, %d - 1) || "
			    "CASE substr(CAST(%s AS BLOB), %d, 1) WHEN CAST('q' AS BLOB) THEN CAST('z' AS BLOB) ELSE CAST('q' AS BLOB) "
			    "END || substr(CAST(%s AS BLOB), %d + 1) AS TEXT) WHERE id = %d AND length(CAST(%s AS BLOB)) >= %d",
			    column, column, at, column, at, column, at, (int)(c % 4) + 1, column, at);

			assert_int_equal(sqlite3_exec(st->db, sql, NULL, NULL, NULL), SQLITE_OK);
			if (sqlite3_changes(st->db) == 1) {
				tried++;
				assert_int_equal(store_activity_verify(st, &rows, &e), -1);
				assert_int_equal(e.code, RC_FINDINGS);
			}
			assert_int_equal(sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
			free(sql);
		}
	assert_true(tried >= 200);
	assert_int_equal(store_activity_verify(st, &rows, &e), 0);
	store_close(st);
}

/* What is done to a server and the row that says so are there together or not at all. */
static void
no_server_without_its_row(void **state)
{
	struct journey *j = NULL;
	struct server s;
	struct err e;
	int64_t id = 0, none = 0;

	(void)state;
	assert_int_equal(journey_open(&j, path, &e), 0);
	assert_int_equal(server_add(j, "mx2", "root@192.0.2.2", NULL, "root", "auto", NULL, &id, &e), 0);
	assert_int_equal(sqlite3_exec(journey_store(j)->db, "CREATE TEMP TRIGGER full BEFORE INSERT ON activity BEGIN "
	    "SELECT RAISE(ABORT, 'full'); END", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(server_add(j, "mx3", "root@192.0.2.3", NULL, "root", "auto", NULL, &none, &e), -1);
	assert_int_equal(none, 0);
	assert_int_equal(store_server_by_name(journey_store(j), "mx3", &s, NULL), -1);
	assert_int_equal(server_set(j, id, "root@192.0.2.9", NULL, "root", "auto", NULL, &e), -1);
	assert_int_equal(server_remove(j, id, &e), -1);
	assert_int_equal(store_server_get(journey_store(j), id, &s, &e), 0);
	assert_string_equal(s.target, "root@192.0.2.2");
	server_release(&s);
	journey_close(j);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_comes_back_newest_first),
		TEST(a_long_text_is_kept_in_bounds),
		TEST(triggers_refuse),
		TEST(any_change_is_found),
		TEST(every_byte_counts),
		TEST(no_server_without_its_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
