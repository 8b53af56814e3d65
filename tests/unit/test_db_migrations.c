/* THE TABLE of migrations: released rows are frozen, every way from an old version to the newest ends in the same tables
 * with nothing lost, a migration that fails leaves the store as it was. And every row of THE TABLE of statements is sound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "db/db.h"
#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

/* SHA-256 of the SQL of each released row. A row that differs was edited after its release: stores out there have the old
 * one. Take the edit back and add a new row; with it come its hash here and a store of that version in tests/golden/db. */
static const char *const released[] = {
	"ba5935ec8f37ca789d7879b72ef8f6ee9f6e163264723ffc5d333bd8caf08c18",
	"ccf24383b139a86ac85c03927fc280777cace331ee905a244dae460662f04fa5",
	"e20075e33fc03e28331e8a3c5090af9af361952f653dfb9d0b67667acb800e19",
	"2a9d5d096acb42549afa0435e00ce36079093e05f5ae066336029639274fc13c",
	"5ea4507503b764d36b79d041d1f43f88acaba8cafb12dd2c0f27a2cd32bca06a",
	"353e6a69dc859a508cb8f030d606d976ef6f0bb65d35abbc3653d3cd9cc3d355",
	"e3fe84ff3fa86c2ee3386ae0ed8cf33e9f3ebe9c11caa081aeecbfb8f984eece",
	"09b3d812975e726723fe41edc9e5310b9b6f12877c68de2a5acc8a36f5364935",
	"f89fd2bfa0988d0a8286b4f1a7530416f17ee27dea07fe89f649d91586ff6352",
};
#define RELEASED ((int)(sizeof(released) / sizeof(released[0])))

static char *dir, *path;

static int
setup(void **state)
{
	(void)state;
	dir = fixture_dir();
	path = xasprintf("%s/store.db", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
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

static void
add_text(struct store *st, const char *sql, struct str *out)
{
	sqlite3_stmt *q = NULL;

	assert_int_equal(sqlite3_prepare_v2(st->db, sql, -1, &q, NULL), SQLITE_OK);
	while (sqlite3_step(q) == SQLITE_ROW)
		str_addf(out, "%s\n", (const char *)sqlite3_column_text(q, 0));
	sqlite3_finalize(q);
}

/* Tables, columns, indexes and triggers; blanks folded, since ALTER TABLE writes them in its own way. */
static char *
schema_of(struct store *st)
{
	struct str s = STR_INIT;
	char *out, *to;

	add_text(st, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name", &s);
	out = str_take(&s);
	to = out;
	for (const char *from = out; *from != '\0'; from++)
		if (*from != ' ' && *from != '\n' && *from != '\t')
			*to++ = *from;
	*to = '\0';
	return out;
}

static char *
newest_schema(void)
{
	struct store *st = NULL;
	struct err e = { 0 };
	char *schema;

	assert_int_equal(store_open(&st, ":memory:", &e), 0);
	schema = schema_of(st);
	store_close(st);
	return schema;
}

static void
sound(struct store *st)
{
	struct str s = STR_INIT;
	struct err e = { 0 };
	char *want = newest_schema(), *have = schema_of(st);

	assert_string_equal(have, want);
	add_text(st, "PRAGMA integrity_check", &s);
	add_text(st, "PRAGMA foreign_key_check", &s);
	add_text(st, "PRAGMA user_version", &s);
	free(want);
	want = xasprintf("ok\n%d\n", migrations_newest());
	assert_string_equal(s.s, want);
	if (store_activity_verify(st, NULL, &e) < 0)
		fail_msg("%s", e.text);
	str_release(&s);
	free(want);
	free(have);
}

static void
released_rows_are_frozen(void **state)
{
	char hash[65];
	int n = 0;

	(void)state;
	for (const struct migration *m = migration_table; m->sql != NULL; m++) {
		assert_int_equal(m->version, ++n);
		if (n > RELEASED)
			fail_msg("migration %d (%s) has no hash in this test", m->version, m->name);
		sha256_hex(m->sql, strlen(m->sql), hash);
		if (strcmp(hash, released[n - 1]) != 0)
			fail_msg("migration %d (%s) was edited: its hash is now %s", m->version, m->name, hash);
	}
	assert_int_equal(n, RELEASED);
	assert_int_equal(migrations_newest(), RELEASED);
}

static void
from_every_empty_version(void **state)
{
	for (int from = 0; from <= RELEASED; from++) {
		struct store *st = NULL;
		struct err e = { 0 };

		assert_int_equal(store_open_raw(&st, path, &e), 0);
		if (migrations_run(st, from, &e) < 0)
			fail_msg("%s", e.text);
		store_close(st);
		st = must_open();
		sound(st);
		store_close(st);
		st = must_open();   /* and once more: nothing to do */
		store_close(st);
		teardown(state);
		setup(state);
	}
}

/* Builds the file from its text dump. */
static void
load(int version)
{
	char *name = xasprintf("%s/tests/golden/db/store-%d.sql", TEST_SOURCE_DIR, version), *why = NULL;
	struct str sql = STR_INIT;
	struct err e = { 0 };
	sqlite3 *db;

	if (str_read_file(&sql, name, STR_CEILING, &e) < 0)
		fail_msg("a store of each released version must be kept: %s", e.text);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql.s, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", name, why);
	sqlite3_close(db);
	chmod(path, 0600);
	str_release(&sql);
	free(name);
}

/* What the kept stores hold: one of each, with telling values. */
static void
all_is_there(struct store *st)
{
	struct server s;
	struct vserver v;
	struct request_list r;
	struct certificate c;
	struct authority a;
	struct issued_list i;
	struct connector k;
	struct wanted_list w;
	struct push_record_list p;
	struct queue_cell_list q;
	struct activity_list h;
	struct err e = { 0 };
	char *text = NULL;

	assert_int_equal(store_server_by_name(st, "mx1", &s, &e), 0);
	assert_int_equal(s.rev, 2);
	assert_int_equal(s.become, BECOME_SUDO);
	assert_string_equal(s.trouble, "it's not answering");
	assert_int_equal(store_vserver_by_name(st, "mx1/smtp", &v, &e), 0);
	assert_string_equal(v.listen, "0.0.0.0:25 [::]:25");
	assert_int_equal(v.found.n, 1);
	assert_string_equal(v.found.v[0].native, "smtpd_tls_security_level =");
	assert_int_equal(store_requests(st, v.id, &r, &e), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.v[0].kind, KEY_RSA_3072);
	assert_string_equal(r.v[0].subject.san, "mx1.example.org mail.example.org");
	assert_int_equal(store_certificate_get(st, v.certificate, &c, &e), 0);
	assert_int_equal(c.key_server, s.id);
	assert_int_equal(c.request, r.v[0].id);
	assert_int_equal(store_authority_get(st, c.authority, &a, &e), 0);
	assert_string_equal(a.name, "Gr\303\274n CA");
	assert_int_equal(store_issued(st, a.id, &i, &e), 0);
	assert_int_equal(i.n, 1);
	assert_int_equal(store_connector_by_name(st, "bank", &k, &e), 0);
	assert_string_equal(k.match, "mail.bank.test");
	assert_int_equal(store_wanted(st, v.id, &w, &e), 0);
	assert_int_equal(w.n, 2);
	assert_string_equal(w.v[0].value, "require");
	assert_int_equal(store_pushes(st, s.id, &p, &e), 0);
	assert_string_equal(p.v[0].result, "kept");
	assert_int_equal(store_queue_cells(st, s.id, "destination", "bank.test", QUEUE_HOUR, 0, &q, &e), 0);
	assert_int_equal(q.n, 1);
	assert_int_equal(store_draft_get(st, "certificate mx1/smtp", &text, &e), 0);
	free(text);
	assert_int_equal(store_fact_get(st, "seal-check", &text, &e), 0);
	free(text);
	assert_int_equal(store_activities(st, 0, &h, &e), 0);
	assert_int_equal(h.n, 3);
	server_release(&s);
	vserver_release(&v);
	request_list_release(&r);
	certificate_release(&c);
	authority_release(&a);
	issued_list_release(&i);
	connector_release(&k);
	wanted_list_release(&w);
	push_record_list_release(&p);
	free(q.v);
	activity_list_release(&h);
}

static void
from_every_released_version(void **state)
{
	for (int version = 1; version <= RELEASED; version++) {
		struct store *st;
		struct err e = { 0 };

		load(version);
		st = must_open();
		sound(st);
		all_is_there(st);
		assert_int_equal(store_activity_add(st, "mx1", "test", "ok", &e, "goes on"), 0);   /* the chain goes on */
		assert_int_equal(store_activity_verify(st, NULL, &e), 0);
		store_close(st);
		teardown(state);
		setup(state);
	}
}

static void
a_migration_that_fails_changes_nothing(void **state)
{
	struct store *st = NULL;
	struct str left = STR_INIT;
	struct err e = { 0 };
	sqlite3 *db;
	char *sql = xasprintf("PRAGMA application_id=%d; CREATE TABLE queue_point (in_the_way)", STORE_APPLICATION_ID);

	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	chmod(path, 0600);
	assert_int_equal(store_open(&st, path, &e), -1);
	assert_int_equal(e.code, RC_DB);
	assert_non_null(strstr(e.text, "bringing the store up to date"));
	assert_int_equal(store_open_raw(&st, path, &e), 0);
	add_text(st, "SELECT name FROM sqlite_schema", &left);
	add_text(st, "PRAGMA user_version", &left);
	assert_string_equal(left.s, "queue_point\n0\n");
	store_close(st);
	str_release(&left);
	free(sql);
}

/* No row of the table of statements is missing, misspelt or two statements. */
static void
statements_are_sound(void **state)
{
	struct store *st = must_open();

	(void)state;
	for (int i = 0; i < ST_COUNT; i++) {
		sqlite3_stmt *q = NULL;
		const char *tail = NULL;

		if (statement_table[i] == NULL)
			fail_msg("statement %d is missing", i);
		if (sqlite3_prepare_v2(st->db, statement_table[i], -1, &q, &tail) != SQLITE_OK)
			fail_msg("%s: %s", statement_table[i], sqlite3_errmsg(st->db));
		if (*tail != '\0')
			fail_msg("more than one statement: %s", statement_table[i]);
		sqlite3_finalize(q);
	}
	store_close(st);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(released_rows_are_frozen),
		TEST(from_every_empty_version),
		TEST(from_every_released_version),
		TEST(a_migration_that_fails_changes_nothing),
		TEST(statements_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
