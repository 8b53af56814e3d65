/* Opening and closing the store, transactions, its version, and SQLite's complaints as sentences. What can fail: the place
 * (others may read it, another owner, a network file system), the file (not ours, newer, damaged), the disk (full, broken,
 * read-only), another console that holds the write lock too long. */
#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "mxseal/clean.h"
#include "mxseal/str.h"
#include "mxseal/xalloc.h"

#define CIFS_MAGIC 0xff534d42u   /* linux/magic.h of older systems has only SMB_SUPER_MAGIC */

#define CARRY_PAGES 1000

/* --- complaints --- */

static int
fail_constraint(struct store *st, struct err *e, int rc)
{
	switch (rc) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
		return err_set(e, RC_EXISTS, "the store already has one like it (%s)", clean(sqlite3_errmsg(st->db)));
	case SQLITE_CONSTRAINT_FOREIGNKEY:
		err_set(e, RC_CONFLICT, "what it belongs to is no longer in the store");
		return err_hint(e, "another console may have removed it: look at the list again");
	case SQLITE_CONSTRAINT_TRIGGER:
		return err_set(e, RC_DB, "the store refuses that: %s", clean(sqlite3_errmsg(st->db)));
	default:
		return err_set(e, RC_INVALID, "the store refuses that value (%s)", clean(sqlite3_errmsg(st->db)));
	}
}

int
db_fail(struct store *st, struct err *e, const char *doing)
{
	int rc = sqlite3_extended_errcode(st->db), os = sqlite3_system_errno(st->db);
	const char *path = clean(st->path);

	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
		return fail_constraint(st, e, rc);
	case SQLITE_FULL:
	full:
		err_set(e, RC_NOSPACE, "%s: no space left on the disk of the store %s; nothing was changed", doing, path);
		return err_hint(e, "make room there, then do it again");
	case SQLITE_IOERR:
		if (os == ENOSPC || os == EDQUOT)
			goto full;
		err_set(e, RC_DB, "%s: the disk of the store %s does not work as it should (%s); nothing was changed", doing, path,
		    os != 0 ? strerror(os) : sqlite3_errstr(rc));
		return err_hint(e, "look at the kernel's messages (dmesg), then do it again");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		err_set(e, RC_DB, "%s: another console has kept the store %s locked for %d seconds", doing, path,
		    STORE_BUSY_MS / 1000);
		return err_hint(e, "do it again; if it stays so, end the other console");
	case SQLITE_READONLY:
	case SQLITE_PERM:
		err_set(e, RC_DB, "%s: the store %s cannot be written", doing, path);
		return err_hint(e, "look at the owner and the mode of the file and its folder, and whether the disk is mounted read-only");
	case SQLITE_CANTOPEN:
		err_set(e, RC_DB, "%s: the store %s cannot be opened%s%s", doing, path, os != 0 ? ": " : "",
		    os != 0 ? strerror(os) : "");
		return err_hint(e, "look at the owner and the mode of the file and its folder");
	case SQLITE_NOTADB:
		err_set(e, RC_DB, "%s is not an mxseal store", path);
		return err_hint(e, "name another file with --store");
	case SQLITE_CORRUPT:
		err_set(e, RC_DB, "%s: the store %s is damaged", doing, path);
		return err_hint(e, "put a backup of it back; `sqlite3 FILE .recover` may save what is left");
	case SQLITE_NOMEM:
		return err_set(e, RC_LIMIT, "%s: not enough memory", doing);
	default:
		return err_set(e, RC_DB, "%s: the store %s says: %s", doing, path, clean(sqlite3_errmsg(st->db)));
	}
}

/* --- the place --- */

static char *
default_path(struct err *e)
{
	const char *env = getenv("MXSEAL_STORE"), *home;
	struct passwd *pw;

	if (env != NULL && env[0] != '\0')
		return xstrdup(env);
	env = getenv("XDG_DATA_HOME");
	if (env != NULL && env[0] == '/')   /* the XDG specification: a relative path is to be ignored */
		return xasprintf("%s/mxseal/store.db", env);
	home = getenv("HOME");
	if (home == NULL || home[0] != '/') {
		pw = getpwuid(geteuid());
		home = pw != NULL ? pw->pw_dir : NULL;
	}
	if (home == NULL || home[0] != '/') {
		err_set(e, RC_DB, "there is no home directory to keep the store in");
		err_hint(e, "name a file with --store or MXSEAL_STORE");
		return NULL;
	}
	return xasprintf("%s/.local/share/mxseal/store.db", home);
}

/* mkdir -p, everything new 0700. */
static int
make_folders(const char *folder, struct err *e)
{
	char *path = xstrdup(folder);
	int bad = 0;

	for (char *at = path + 1; bad == 0 && *at != '\0'; at++) {
		char was = at[1];

		if (*at == '/') {
			*at = '\0';
			if (mkdir(path, 0700) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
				bad = -1;
			*at = '/';
		}
		if (was == '\0')
			break;
	}
	if (bad < 0 || (mkdir(path, 0700) < 0 && errno != EEXIST))
		bad = err_set(e, RC_DB, "the folder of the store, %s, cannot be made: %s", clean(folder), strerror(errno));
	free(path);
	return bad;
}

static int
check_owner(const struct stat *sb, const char *what, const char *path, struct err *e)
{
	struct passwd *pw;

	if (sb->st_uid == geteuid())
		return 0;
	pw = getpwuid(sb->st_uid);
	err_set(e, RC_DB, "the %s %s belongs to %s, not to you", what, clean(path),
	    pw != NULL ? clean(pw->pw_name) : "another user");
	return err_hint(e, "run mxseal as its owner, or name another file with --store");
}

static int
check_folder(const char *folder, struct err *e)
{
	struct stat sb;
	struct statfs fs;

	if (stat(folder, &sb) < 0 || !S_ISDIR(sb.st_mode))
		return err_set(e, RC_DB, "%s, where the store should lie, is not a folder", clean(folder));
	if (check_owner(&sb, "folder of the store,", folder, e) < 0)
		return -1;
	if ((sb.st_mode & 077) != 0) {
		err_set(e, RC_DB, "the folder of the store, %s, is open to others (mode %04o)", clean(folder),
		    (unsigned)sb.st_mode & 07777);
		return err_hint(e, "close it with `chmod 700`, or name a file in a folder of its own with --store");
	}
	if (statfs(folder, &fs) == 0 && ((unsigned long)fs.f_type == NFS_SUPER_MAGIC ||
	    (unsigned long)fs.f_type == SMB_SUPER_MAGIC || (unsigned long)fs.f_type == CIFS_MAGIC)) {
		err_set(e, RC_DB, "the folder of the store, %s, lies on a network file system, where locks do not hold",
		    clean(folder));
		return err_hint(e, "name a file on a local disk with --store");
	}
	return 0;
}

/* A new file is made here, 0600 from the first byte. An existing one is only looked at: opening and closing it would drop
 * the locks that another handle of this process holds (POSIX). */
static int
check_file(const char *path, struct err *e)
{
	struct stat sb;
	int fd;

	if (lstat(path, &sb) < 0) {
		if (errno != ENOENT)
			return err_set(e, RC_DB, "the store %s cannot be reached: %s", clean(path), strerror(errno));
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd >= 0) {
			close(fd);
			return 0;
		}
		if (errno == ENOSPC || errno == EDQUOT)
			return err_set(e, RC_NOSPACE, "the store %s cannot be made: no space left on the disk", clean(path));
		if (errno != EEXIST || lstat(path, &sb) < 0)   /* another console may have just made it */
			return err_set(e, RC_DB, "the store %s cannot be made: %s", clean(path), strerror(errno));
	}
	if (!S_ISREG(sb.st_mode))
		return err_set(e, RC_DB, "the store %s is not a plain file", clean(path));
	if (check_owner(&sb, "store", path, e) < 0)
		return -1;
	if ((sb.st_mode & 077) != 0) {
		err_set(e, RC_DB, "the store %s may be read by others (mode %04o)", clean(path), (unsigned)sb.st_mode & 07777);
		return err_hint(e, "close it with `chmod 600`");
	}
	return 0;
}

/* The absolute path, after its folder exists. It starts with a slash, so SQLite cannot take it for a URI. */
static int
place(const char *path, char **out, struct err *e)
{
	char *folder = NULL, *real = NULL, *given = NULL;
	const char *base, *slash;
	int bad = -1;

	given = path != NULL ? xstrdup(path) : default_path(e);
	if (given == NULL)
		return -1;
	slash = strrchr(given, '/');
	base = slash != NULL ? slash + 1 : given;
	if (base[0] == '\0') {
		err_set(e, RC_DB, "%s names a folder, not a file for the store", clean(given));
		goto out;
	}
	folder = slash == NULL ? xstrdup(".") : slash == given ? xstrdup("/") : xstrndup(given, (size_t)(slash - given));
	if (make_folders(folder, e) < 0)
		goto out;
	real = realpath(folder, NULL);
	if (real == NULL) {
		err_set(e, RC_DB, "the folder of the store, %s, cannot be reached: %s", clean(folder), strerror(errno));
		goto out;
	}
	if (check_folder(real, e) < 0)
		goto out;
	*out = xasprintf("%s/%s", strcmp(real, "/") == 0 ? "" : real, base);
	bad = check_file(*out, e);
out:
	free(given);
	free(folder);
	free(real);
	return bad;
}

/* --- opening --- */

/* Every connection needs these again; SQLite keeps only WAL in the file. What is not ours is found out before the first
 * pragma that writes. */
static int
configure(struct store *st, struct err *e)
{
	static const struct { int option, value; } options[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 1 },
		{ SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
	};
	static const char *const pragmas[] = {
		"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA cell_size_check=ON", "PRAGMA mmap_size=0",
		"PRAGMA temp_store=MEMORY", "PRAGMA secure_delete=ON",
	};

	sqlite3_extended_result_codes(st->db, 1);
	sqlite3_busy_timeout(st->db, STORE_BUSY_MS);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (sqlite3_db_config(st->db, options[i].option, options[i].value, NULL) != SQLITE_OK)
			return db_fail(st, e, "opening the store");
	if (migrations_check(st, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
		if (sqlite3_exec(st->db, pragmas[i], NULL, NULL, NULL) != SQLITE_OK)
			return db_fail(st, e, "opening the store");
	return 0;
}

int
store_open_raw(struct store **out, const char *path, struct err *e)
{
	struct store *st = xcalloc(1, sizeof(*st));

	*out = NULL;
	/* sums of all memory have one lock for all threads, and nobody asks for them; refused once SQLite is in use, when it is so already */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (path != NULL && strcmp(path, ":memory:") == 0)
		st->path = xstrdup(path);
	else if (place(path, &st->path, e) < 0)
		goto bad;
	if (sqlite3_open_v2(st->path, &st->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL) != SQLITE_OK) {
		if (st->db == NULL)
			err_set(e, RC_LIMIT, "opening the store: not enough memory");
		else
			db_fail(st, e, "opening the store");
		goto bad;
	}
	if (configure(st, e) < 0)
		goto bad;
	*out = st;
	return 0;
bad:
	store_close(st);
	return -1;
}

int
store_open(struct store **out, const char *path, struct err *e)
{
	if (store_open_raw(out, path, e) < 0)
		return -1;
	if (migrations_run(*out, migrations_newest(), e) < 0) {
		store_close(*out);
		*out = NULL;
		return -1;
	}
	return 0;
}

void
store_close(struct store *st)
{
	if (st == NULL)
		return;
	for (int i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(st->stmts[i]);
	sqlite3_close(st->db);
	db_edit_release(&st->edit);
	free(st->who);
	free(st->path);
	free(st);
}

const char *
store_path(const struct store *st)
{
	return st->path;
}

char *
store_file(const struct store *st, const char *name)
{
	const char *slash = strrchr(st->path, '/');

	return slash == NULL ? NULL : xasprintf("%.*s/%s", (int)(slash - st->path), st->path, name);
}

/* --- transactions --- */

static int
tx_end(struct store *st, bool outer, int bad, struct err *e)
{
	struct err ignored;

	/* a full disk or an I/O error has rolled everything back already */
	if (sqlite3_get_autocommit(st->db)) {
		if (bad == 0)
			bad = err_set(e, RC_DB, "the change to the store %s was taken back by SQLite", clean(st->path));
		return bad;
	}
	if (bad == 0 && db_run(st, outer ? ST_COMMIT : ST_RELEASE, NULL, e, "") == 0)
		return 0;
	if (sqlite3_get_autocommit(st->db))
		return -1;
	if (outer) {
		db_run(st, ST_ROLLBACK, NULL, &ignored, "");
	} else {
		db_run(st, ST_ROLLBACK_TO, NULL, &ignored, "");
		db_run(st, ST_RELEASE, NULL, &ignored, "");
	}
	return -1;
}

int
db_tx_begin(struct store *st, struct err *e)
{
	if (db_run(st, st->depth == 0 ? ST_BEGIN : ST_SAVEPOINT, NULL, e, "") < 0)
		return -1;
	st->depth++;
	return 0;
}

int
db_tx_end(struct store *st, int bad, struct err *e)
{
	st->depth--;
	return tx_end(st, st->depth == 0, bad, e);
}

int
store_tx(struct store *st, store_body_fn *body, void *arg, struct err *e)
{
	if (db_tx_begin(st, e) < 0)
		return -1;
	return db_tx_end(st, body(st, arg, e), e);
}

static int
wait_for_disk(struct store *st, bool on, struct err *e)
{
	if (sqlite3_exec(st->db, on ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(st, e, "changing the store");
	return 0;
}

int
store_tx_seen(struct store *st, store_body_fn *body, void *arg, struct err *e)
{
	struct err after;
	int64_t before;
	int rc;

	if (st->depth > 0)
		return store_tx(st, body, arg, e);
	if (wait_for_disk(st, false, e) < 0)
		return -1;
	before = sqlite3_total_changes64(st->db);
	rc = store_tx(st, body, arg, e);
	st->seen_changes += sqlite3_total_changes64(st->db) - before;
	if (wait_for_disk(st, true, &after) < 0 && rc == 0) {
		rc = -1;
		if (e != NULL)
			*e = after;
	}
	return rc;
}

/* --- carrying the log into the file --- */

static int
on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *st = arg;

	(void)db, (void)name;
	st->wal_pages = pages;
	return SQLITE_OK;
}

void
store_leave_carrying(struct store *st)
{
	sqlite3_wal_hook(st->db, on_commit, st);       /* in place of SQLite's own, which carries */
}

bool
store_carry_due(struct store *st)
{
	bool due = st->wal_pages >= CARRY_PAGES;

	if (due)
		st->wal_pages = 0;                     /* the next commit counts again */
	return due;
}

int
store_carry(const char *path, struct err *e)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL);

	if (rc == SQLITE_OK)                           /* that there is a log is seen by reading */
		rc = sqlite3_exec(db, "PRAGMA user_version; PRAGMA wal_checkpoint(PASSIVE)", NULL, NULL, NULL);
	sqlite3_close(db);
	if (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED)      /* somebody else does it */
		return 0;
	return err_set(e, RC_DB, "the log of the store %s could not be carried into it: %s", clean(path), sqlite3_errstr(rc));
}

static int64_t
version_of(struct store *st, struct store_state *s, int64_t changes)
{
	int64_t data = 0;

	if (db_number_get(st, ST_DATA_VERSION, &data, NULL, "") != 1)
		data = s->data;
	if (data != s->data || changes != s->changes)
		*s = (struct store_state){ s->version + 1, data, changes };
	return s->version;
}

int64_t
store_version(struct store *st)
{
	return version_of(st, &st->all, sqlite3_total_changes64(st->db));
}

int64_t
store_version_but_seen(struct store *st)
{
	return version_of(st, &st->but_seen, sqlite3_total_changes64(st->db) - st->seen_changes);
}
