/* Disk faults: every single write, sync and truncate of some work on the store fails in turn, with "full" and with "broken
 * disk". Each time the work must end in a sentence that names the cause, what was acknowledged must be there, what was not
 * must be there whole or not at all, and the store must open and go on. The faults come from an SQLite VFS of our own
 * that passes everything else to the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

static int countdown;      /* the call that fails; 0: none */
static int fault;          /* with what */
static bool sticky;        /* and all after it */
static sqlite3_vfs *real_vfs, faulty_vfs;

struct file { sqlite3_file base; sqlite3_file *real; };
#define REAL(f) (((struct file *)(void *)(f))->real)

static int
due(void)
{
	if (countdown == 0)
		return SQLITE_OK;
	if (countdown > 1) {
		countdown--;
		return SQLITE_OK;
	}
	if (!sticky)
		countdown = 0;
	return fault;
}

static int
f_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}

static int
f_read(sqlite3_file *f, void *mem, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), mem, n, at);
}

static int
f_write(sqlite3_file *f, const void *mem, int n, sqlite3_int64 at)
{
	int rc = due();

	if (rc == SQLITE_OK)
		return REAL(f)->pMethods->xWrite(REAL(f), mem, n, at);
	/* half of it gets there, as on a real disk */
	REAL(f)->pMethods->xWrite(REAL(f), mem, n / 2, at);
	return rc;
}

static int
f_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = due();

	return rc == SQLITE_OK ? REAL(f)->pMethods->xTruncate(REAL(f), size) : rc;
}

static int
f_sync(sqlite3_file *f, int flags)
{
	int rc = due();

	return rc == SQLITE_OK ? REAL(f)->pMethods->xSync(REAL(f), flags) : rc == SQLITE_FULL ? rc : SQLITE_IOERR_FSYNC;
}

static int
f_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), size);
}

static int
f_lock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xLock(REAL(f), level);
}

static int
f_unlock(sqlite3_file *f, int level)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), level);
}

static int
f_check_lock(sqlite3_file *f, int *out)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}

static int
f_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int
f_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int
f_traits(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int
f_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, out);
}

static int
f_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return REAL(f)->pMethods->xShmLock(REAL(f), at, n, flags);
}

static void
f_shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int
f_shm_unmap(sqlite3_file *f, int gone)
{
	return REAL(f)->pMethods->xShmUnmap(REAL(f), gone);
}

static const sqlite3_io_methods faulty_methods = {
	.iVersion = 2, .xClose = f_close, .xRead = f_read, .xWrite = f_write, .xTruncate = f_truncate, .xSync = f_sync,
	.xFileSize = f_size, .xLock = f_lock, .xUnlock = f_unlock, .xCheckReservedLock = f_check_lock,
	.xFileControl = f_control, .xSectorSize = f_sector, .xDeviceCharacteristics = f_traits, .xShmMap = f_shm_map,
	.xShmLock = f_shm_lock, .xShmBarrier = f_shm_barrier, .xShmUnmap = f_shm_unmap,
};

static int
v_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct file *file = (struct file *)(void *)f;
	int rc;

	(void)vfs;
	file->real = (sqlite3_file *)(void *)(file + 1);
	rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out);
	f->pMethods = file->real->pMethods != NULL ? &faulty_methods : NULL;
	return rc;
}

static int
register_vfs(void **state)
{
	(void)state;
	if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);   /* the faults are ours; syncing a real disk 5000 times proves nothing */
	real_vfs = sqlite3_vfs_find(NULL);
	faulty_vfs = *real_vfs;
	faulty_vfs.zName = "faulty";
	faulty_vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
	faulty_vfs.xOpen = v_open;
	return sqlite3_vfs_register(&faulty_vfs, 1) == SQLITE_OK ? 0 : -1;
}

/* --- the work --- */

static int
add_server(struct store *st, void *arg, struct err *e)
{
	struct server s = { 0 };
	int bad;

	s.name = xstrdup(arg);
	s.target = xstrdup(arg);
	s.os = xasprintf("%0*d", 9000, 1);     /* several pages */
	bad = store_server_save(st, &s, e);
	server_release(&s);
	if (bad == 0)
		bad = store_activity_add(st, arg, "server-add", "ok", e, "%s was added", (const char *)arg);
	return bad;
}

/* Opens, adds two servers, closes. done counts what was acknowledged. */
static int
work(const char *path, int *done, struct err *e)
{
	static char one[] = "mx1", two[] = "mx2";
	struct store *st = NULL;
	int bad;

	*done = 0;
	if (store_open(&st, path, e) < 0)
		return -1;
	bad = store_tx(st, add_server, one, e);
	if (bad == 0) {
		++*done;
		bad = store_tx(st, add_server, two, e);
	}
	if (bad == 0)
		++*done;
	store_close(st);
	return bad;
}

static void
check(const char *path, int done, int n)
{
	static char later[] = "mx3";
	struct store *st = NULL;
	struct server_list l;
	struct err e = { 0 };
	int64_t rows = 0;

	if (store_open(&st, path, &e) < 0)
		fail_msg("fault at call %d: afterwards: %s", n, e.text);
	assert_int_equal(store_servers(st, &l, &e), 0);
	if (l.n < (size_t)done)
		fail_msg("fault at call %d: %d servers were acknowledged, %zu are there", n, done, l.n);
	if (store_activity_verify(st, &rows, &e) < 0)
		fail_msg("fault at call %d: %s", n, e.text);
	assert_int_equal(rows, l.n);           /* both halves of each transaction or none */
	server_list_release(&l);
	assert_int_equal(store_tx(st, add_server, later, &e), 0);
	assert_int_equal(store_activity_verify(st, NULL, &e), 0);
	store_close(st);
}

static void
every_call_fails_once(void **state)
{
	static const struct { int fault; bool sticky; enum err_code code; } kinds[] = {
		{ SQLITE_FULL, true, RC_NOSPACE }, { SQLITE_FULL, false, RC_NOSPACE },
		{ SQLITE_IOERR_WRITE, true, RC_DB }, { SQLITE_IOERR_WRITE, false, RC_DB },
	};

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		int n, failed = 0;
		bool hit = true;

		for (n = 1; hit; n++) {
			/* each call fails with both causes, once for good and once not; MXSEAL_LONG: both in both ways */
			if (getenv("MXSEAL_LONG") == NULL && n % 2 != (k == 0 || k == 3))
				continue;
			char *dir = fixture_dir(), *path = xasprintf("%s/store.db", dir);
			struct err e = { 0 };
			int done, bad;

			fault = kinds[k].fault;
			sticky = kinds[k].sticky;
			countdown = n;
			bad = work(path, &done, &e);
			hit = countdown <= 1 && (sticky ? countdown == 1 : countdown == 0);
			countdown = 0;
			if (bad < 0) {
				failed++;
				if (e.code != kinds[k].code || strstr(e.text, path) == NULL)
					fail_msg("fault at call %d: %s: %s", n, err_name(e.code), e.text);
			}
			check(path, done, n);
			fixture_remove(dir);
			free(path);
			free(dir);
		}
		print_message("%s%s: %d calls, the work failed %d times\n", sqlite3_errstr(kinds[k].fault), kinds[k].sticky ? ", for good" : ", once",
		    n - 2, failed);
		assert_true(failed > 20);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_fails_once),
	};

	return cmocka_run_group_tests(tests, register_vfs, NULL);
}
