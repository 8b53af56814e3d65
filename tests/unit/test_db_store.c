/* The store as a file: where it lies and who may read it, what is refused without being touched, transactions, the version
 * that views compare, full disks, locks, two processes at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db.h"
#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

static char *dir;

static int
setup(void **state)
{
	(void)state;
	unsetenv("MXSEAL_STORE");
	dir = fixture_dir();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_remove(dir);
	free(dir);
	return 0;
}

static struct store *
must_open(const char *path)
{
	struct store *st = NULL;
	struct err e = { 0 };

	if (store_open(&st, path, &e) < 0)
		fail_msg("%s: %s", path ? path : "(default)", e.text);
	return st;
}

/* Refused with a sentence that has this word in it; the handle stays NULL. */
static void
refused(const char *path, enum err_code code, const char *word)
{
	struct store *st = (struct store *)(void *)dir;
	struct err e = { 0 };

	assert_int_equal(store_open(&st, path, &e), -1);
	assert_null(st);
	if (e.code != code || strstr(e.text, word) == NULL)
		fail_msg("%s: %s: \"%s\" has no \"%s\"", path, err_name(e.code), e.text, word);
}

static unsigned
mode_of(const char *path)
{
	struct stat sb;

	assert_int_equal(stat(path, &sb), 0);
	return sb.st_mode & 07777;
}

static char *
in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void
file_sha256(const char *path, char out[65])
{
	struct str s = STR_INIT;
	struct err e = { 0 };

	assert_int_equal(str_read_file(&s, path, STR_CEILING, &e), 0);
	sha256_hex(s.s, s.len, out);
	str_release(&s);
}

static int
add_server(struct store *st, const char *name, struct err *e)
{
	struct server s = { 0 };
	int bad;

	s.name = xstrdup(name);
	s.target = xstrdup(name);
	bad = store_server_save(st, &s, e);
	server_release(&s);
	return bad;
}

static size_t
count_servers(struct store *st)
{
	struct server_list l;
	struct err e = { 0 };
	size_t n;

	assert_int_equal(store_servers(st, &l, &e), 0);
	n = l.n;
	server_list_release(&l);
	return n;
}

/* --- the place --- */

static void
a_new_store_is_private(void **state)
{
	char *path = in_dir("a/b/store.db"), *wal = in_dir("a/b/store.db-wal"), *folder = in_dir("a/b"), *beside;
	mode_t mask = umask(0);
	struct store *st = must_open(path);
	struct err e = { 0 };

	(void)state;
	umask(mask);
	assert_int_equal(add_server(st, "mx1", &e), 0);
	assert_int_equal(mode_of(folder), 0700);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(mode_of(wal), 0600);
	beside = store_file(st, "known_hosts");
	assert_non_null(strstr(beside, "/a/b/known_hosts"));
	assert_int_equal(store_path(st)[0], '/');
	free(beside);
	store_close(st);
	st = must_open(path);
	assert_int_equal(count_servers(st), 1);
	store_close(st);
	st = must_open(":memory:");
	assert_null(store_file(st, "known_hosts"));
	store_close(st);
	store_close(NULL);
	free(path);
	free(wal);
	free(folder);
}

static void
where_it_lies(void **state)
{
	char *home = in_dir("home"), *data = in_dir("data"), *named = in_dir("named/my.db"), *want;
	struct store *st;

	(void)state;
	setenv("HOME", home, 1);
	unsetenv("XDG_DATA_HOME");
	st = must_open(NULL);
	want = in_dir("home/.local/share/mxseal/store.db");
	assert_string_equal(store_path(st), want);
	store_close(st);
	free(want);
	setenv("XDG_DATA_HOME", "relative", 1);   /* not a path by the XDG rules: as if unset */
	st = must_open(NULL);
	assert_non_null(strstr(store_path(st), "/home/.local/share/"));
	store_close(st);
	setenv("XDG_DATA_HOME", data, 1);
	st = must_open(NULL);
	want = in_dir("data/mxseal/store.db");
	assert_string_equal(store_path(st), want);
	store_close(st);
	free(want);
	setenv("MXSEAL_STORE", named, 1);
	st = must_open(NULL);
	assert_string_equal(store_path(st), named);
	store_close(st);
	unsetenv("MXSEAL_STORE");
	free(home);
	free(data);
	free(named);
}

static void
strange_names(void **state)
{
	static const char *const names[] = {
		"it's.db", "a b.db", "file:x?mode=memory", "100%s.db", "\303\274.db", "-store", "a\nb.db", ":memory:x", "x?y#z",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = in_dir(names[i]);
		struct store *st = must_open(path);
		struct err e = { 0 };

		assert_int_equal(add_server(st, "mx1", &e), 0);
		store_close(st);
		assert_int_equal(mode_of(path), 0600);
		st = must_open(path);
		assert_int_equal(count_servers(st), 1);
		store_close(st);
		free(path);
	}
}

static void
open_to_others_is_refused(void **state)
{
	char *path = in_dir("store.db"), *link = in_dir("link.db"), *sub = in_dir("sub"), *slash = in_dir("sub/");

	(void)state;
	store_close(must_open(path));
	for (unsigned bit = 0040; bit != 0; bit = bit == 0040 ? 0004 : bit == 0004 ? 0020 : 0) {
		chmod(path, 0600 | bit);
		refused(path, RC_DB, "may be read by others");
		assert_int_equal(mode_of(path), 0600 | bit);
	}
	chmod(path, 0600);
	chmod(dir, 0750);
	refused(path, RC_DB, "open to others (mode 0750)");
	chmod(dir, 0700);
	assert_int_equal(symlink(path, link), 0);
	refused(link, RC_DB, "not a plain file");
	assert_int_equal(mkdir(sub, 0700), 0);
	refused(sub, RC_DB, "not a plain file");
	refused(slash, RC_DB, "names a folder");
	refused("/dev/null/store.db", RC_DB, "/dev/null");
	refused("/proc/1/nowhere/store.db", RC_DB, "/proc/1/nowhere");
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, (gid_t)-1), 0);
		refused(path, RC_DB, "not to you");
	}
	free(path);
	free(link);
	free(sub);
	free(slash);
}

static void
write_file(const char *path, const void *mem, size_t len)
{
	struct err e = { 0 };

	if (str_write_file(path, mem, len, 0600, &e) < 0)
		fail_msg("%s", e.text);
}

static void
what_is_no_store_is_not_touched(void **state)
{
	char *path = in_dir("other.db"), before[65], after[65], noise[8192];
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE bookmarks (x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	chmod(path, 0600);
	file_sha256(path, before);
	refused(path, RC_DB, "of another program");
	file_sha256(path, after);
	assert_string_equal(before, after);
	memset(noise, 'x', sizeof(noise));
	write_file(path, noise, sizeof(noise));
	file_sha256(path, before);
	refused(path, RC_DB, "is not an mxseal store");
	file_sha256(path, after);
	assert_string_equal(before, after);
	free(path);
}

static void
a_newer_store_is_not_touched(void **state)
{
	char *path = in_dir("store.db"), before[65], after[65];
	struct store *st = must_open(path);

	(void)state;
	assert_int_equal(sqlite3_exec(st->db, "PRAGMA user_version=9999; CREATE TABLE future (x)", NULL, NULL, NULL), SQLITE_OK);
	store_close(st);
	file_sha256(path, before);
	refused(path, RC_DB, "newer mxseal (it has version 9999");
	file_sha256(path, after);
	assert_string_equal(before, after);
	free(path);
}

static void
a_damaged_store_is_a_sentence(void **state)
{
	char *path = in_dir("store.db"), name[16];
	struct store *st = must_open(path);
	struct err e = { 0 };
	struct server_list l;
	int fd, bad;

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "mx%d", i);
		assert_int_equal(add_server(st, name, &e), 0);
	}
	store_close(st);
	/* everything behind the first page becomes noise */
	fd = open(path, O_RDWR);
	for (off_t at = 4096; at < lseek(fd, 0, SEEK_END); at += 64)
		assert_int_equal(pwrite(fd, "\377\376\375 noise", 9, at), 9);
	close(fd);
	st = NULL;
	bad = store_open(&st, path, &e);
	if (bad == 0)
		bad = store_servers(st, &l, &e);
	assert_int_equal(bad, -1);
	assert_int_equal(e.code, RC_DB);
	assert_non_null(strstr(e.text, "is damaged"));
	store_close(st);
	free(path);
}

/* --- transactions and the version --- */

struct steps { bool fail_inner, fail_outer; int inner; };

static int
inner(struct store *st, void *arg, struct err *e)
{
	struct steps *s = arg;

	if (add_server(st, "inner", e) < 0)
		return -1;
	return s->fail_inner ? err_set(e, RC_INVALID, "no") : 0;
}

static int
outer(struct store *st, void *arg, struct err *e)
{
	struct steps *s = arg;

	if (add_server(st, "outer", e) < 0)
		return -1;
	s->inner = store_tx(st, inner, s, e);
	if (s->fail_outer)
		return err_set(e, RC_INVALID, "no");
	return 0;
}

static void
all_or_nothing(void **state)
{
	static const struct { bool fail_inner, fail_outer; size_t servers; } cases[] = {
		{ false, false, 2 }, { true, false, 1 }, { false, true, 0 }, { true, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store *st = must_open(":memory:");
		struct steps s = { cases[i].fail_inner, cases[i].fail_outer, 0 };
		struct err e = { 0 };

		assert_int_equal(store_tx(st, outer, &s, &e), cases[i].fail_outer ? -1 : 0);
		assert_int_equal(s.inner, cases[i].fail_inner ? -1 : 0);
		assert_int_equal(count_servers(st), cases[i].servers);
		assert_int_equal(add_server(st, "later", &e), 0);
		store_close(st);
	}
}

static void
the_version_tells_of_changes(void **state)
{
	char *path = in_dir("store.db");
	struct store *a = must_open(path), *b = must_open(path);
	int64_t va = store_version(a), vb = store_version(b);
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_version(a), va);
	count_servers(a);
	assert_int_equal(store_version(a), va);
	assert_int_equal(add_server(a, "mx1", &e), 0);
	assert_true(store_version(a) > va);        /* our own change */
	va = store_version(a);
	assert_int_equal(store_version(a), va);
	assert_true(store_version(b) > vb);        /* somebody else's */
	vb = store_version(b);
	assert_int_equal(store_version(b), vb);
	assert_int_equal(count_servers(b), 1);
	assert_int_equal(add_server(b, "mx1", &e), -1);
	assert_int_equal(e.code, RC_EXISTS);
	store_close(a);
	store_close(b);
	free(path);
}

/* --- trouble --- */

static int
add_many(struct store *st, void *arg, struct err *e)
{
	char *big = xcalloc(1, 100001);
	int bad = 0;

	memset(big, 'x', 100000);
	for (int i = 0; bad == 0 && i < *(int *)arg; i++) {
		char key[32];

		snprintf(key, sizeof(key), "draft %d", i);
		bad = store_draft_set(st, key, big, e);
	}
	free(big);
	return bad;
}

/* After "no space left" the store holds what it held, and works again as soon as there is room. */
static void
full(struct store *st, void (*make_room)(struct store *))
{
	int64_t rows = 0;
	struct err e = { 0 };
	char *draft = NULL;
	int many = 1000;

	assert_int_equal(add_server(st, "before", &e), 0);
	assert_int_equal(store_tx(st, add_many, &many, &e), -1);
	if (e.code != RC_NOSPACE)
		fail_msg("%s: %s", err_name(e.code), e.text);
	assert_non_null(strstr(e.text, "no space left on the disk"));
	assert_int_equal(store_draft_get(st, "draft 0", &draft, &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	assert_int_equal(count_servers(st), 1);
	make_room(st);
	assert_int_equal(add_server(st, "after", &e), 0);
	assert_int_equal(store_activity_add(st, NULL, "test", "ok", &e, "after"), 0);
	assert_int_equal(store_activity_verify(st, &rows, &e), 0);
}

static void
no_page_limit(struct store *st)
{
	sqlite3_exec(st->db, "PRAGMA max_page_count=1000000", NULL, NULL, NULL);
}

static void
a_full_disk_loses_nothing(void **state)
{
	char *path = in_dir("store.db");
	struct store *st = must_open(path);

	(void)state;
	sqlite3_exec(st->db, "PRAGMA max_page_count=100", NULL, NULL, NULL);
	full(st, no_page_limit);
	store_close(st);
	free(path);
}

static char *ballast;

static void
remove_ballast(struct store *st)
{
	(void)st;
	unlink(ballast);
}

/* A real full disk: a small file system of our own, in a mount namespace of a child. */
static int
on_a_small_disk(void)
{
	char *small = in_dir("small"), *path = in_dir("small/m/store.db"), block[65536];
	struct store *st;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mkdir(small, 0700) < 0 ||
	    mount("tmpfs", small, "tmpfs", 0, "size=4m,mode=700") < 0)
		return 77;
	ballast = in_dir("small/ballast");
	memset(block, 0, sizeof(block));
	fd = open(ballast, O_WRONLY | O_CREAT, 0600);
	for (int i = 0; i < 32; i++)
		if (write(fd, block, sizeof(block)) < 0)
			break;
	close(fd);
	st = must_open(path);
	full(st, remove_ballast);
	store_close(st);
	free(small);
	free(path);
	free(ballast);
	umount2(dir, MNT_DETACH);
	return 0;
}

static void
a_really_full_disk_loses_nothing(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(on_a_small_disk());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skipped: no right to mount a small file system here\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
locked_by_another(void **state)
{
	char *path = in_dir("store.db");
	struct store *a = must_open(path), *b = must_open(path);
	struct err e = { 0 };

	(void)state;
	sqlite3_busy_timeout(b->db, 20);
	assert_int_equal(sqlite3_exec(a->db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(add_server(b, "mx1", &e), -1);
	assert_int_equal(e.code, RC_DB);
	assert_non_null(strstr(e.text, "another console"));
	assert_int_equal(store_activity_add(b, NULL, "test", "ok", &e, "x"), -1);
	assert_int_equal(e.code, RC_DB);
	assert_int_equal(count_servers(b), 0);     /* reading goes on */
	assert_int_equal(sqlite3_exec(a->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(add_server(b, "mx1", &e), 0);
	store_close(a);
	store_close(b);
	free(path);
}

enum { WRITERS = 3, EACH = 60 };

static int
write_some(const char *path, int who)
{
	struct store *st = NULL;
	struct err e = { 0 };

	if (store_open(&st, path, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	for (int i = 0; i < EACH; i++) {
		char name[32];

		snprintf(name, sizeof(name), "mx%d-%d", who, i);
		if (add_server(st, name, &e) < 0 || store_activity_add(st, name, "server-add", "ok", &e, "%s", name) < 0) {
			fprintf(stderr, "%s\n", e.text);
			return 1;
		}
	}
	store_close(st);
	return 0;
}

/* Also the first start: all of them find no store and make one. */
static void
several_processes_write(void **state)
{
	char *path = in_dir("store.db");
	pid_t pids[WRITERS];
	struct store *st;
	struct err e = { 0 };
	int64_t rows = 0;
	int status;

	(void)state;
	fflush(NULL);
	for (int i = 0; i < WRITERS; i++)
		if ((pids[i] = fork()) == 0)
			_exit(write_some(path, i));
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	st = must_open(path);
	assert_int_equal(count_servers(st), WRITERS * EACH);
	if (store_activity_verify(st, &rows, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(rows, WRITERS * EACH);
	store_close(st);
	free(path);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_new_store_is_private),
		TEST(where_it_lies),
		TEST(strange_names),
		TEST(open_to_others_is_refused),
		TEST(what_is_no_store_is_not_touched),
		TEST(a_newer_store_is_not_touched),
		TEST(a_damaged_store_is_a_sentence),
		TEST(all_or_nothing),
		TEST(the_version_tells_of_changes),
		TEST(a_full_disk_loses_nothing),
		TEST(a_really_full_disk_loses_nothing),
		TEST(locked_by_another),
		TEST(several_processes_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
