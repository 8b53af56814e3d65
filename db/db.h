/* What the files of db/ know of each other. Nobody outside db/ includes this, except the tests of db/.
 *
 * A record's columns are a table (struct column): name in SQL, kind, place in the struct. Statements name their parameters
 * (:host_name) and their results (host_name), so binding and reading go by name and no order can be wrong. */
#ifndef MXSEAL_DB_H
#define MXSEAL_DB_H

#include <sqlite3.h>
#include <stddef.h>
#include "mxseal/store.h"

#define STORE_APPLICATION_ID 0x6d78736c   /* "mxsl" in the file's header: tells our file from any other SQLite file */
#define STORE_BUSY_MS 5000                /* how long a write waits for another console */

/* --- statements.c: THE TABLE of prepared statements --- */
enum stmt_id {
	ST_BEGIN, ST_COMMIT, ST_ROLLBACK, ST_SAVEPOINT, ST_RELEASE, ST_ROLLBACK_TO, ST_DATA_VERSION,
	ST_SERVER_LIST, ST_SERVER_GET, ST_SERVER_BY_NAME, ST_SERVER_INSERT, ST_SERVER_UPDATE, ST_SERVER_DELETE,
	ST_SERVER_DRAFTS_DELETE, ST_SERVER_FACTS_DELETE,
	ST_VSERVER_LIST, ST_VSERVER_GET, ST_VSERVER_BY_NAME, ST_VSERVER_DEFAULT, ST_VSERVER_INSERT, ST_VSERVER_UPDATE,
	ST_VSERVER_DELETE, ST_VSERVER_FACTS_DELETE,
	ST_FOUND_LIST, ST_FOUND_INSERT, ST_FOUND_CLEAR,
	ST_WANTED_SET, ST_WANTED_UNSET, ST_WANTED_EFFECTIVE,
	ST_REQUEST_LIST, ST_REQUEST_GET, ST_REQUEST_INSERT, ST_REQUEST_UPDATE,
	ST_CERTIFICATE_LIST, ST_CERTIFICATE_GET, ST_CERTIFICATE_BY_SHA256, ST_CERTIFICATE_INSERT, ST_CERTIFICATE_UPDATE,
	ST_AUTHORITY_LIST, ST_AUTHORITY_GET, ST_AUTHORITY_BY_NAME, ST_AUTHORITY_INSERT, ST_AUTHORITY_UPDATE,
	ST_ACME_ORDER_LIST, ST_ACME_ORDER_GET, ST_ACME_ORDER_OF, ST_ACME_ORDER_INSERT, ST_ACME_ORDER_UPDATE,
	ST_ISSUED_LIST, ST_ISSUED_BY_SERIAL, ST_ISSUED_INSERT, ST_ISSUED_REVOKE,
	ST_SUBMISSION_LIST, ST_SUBMISSION_GET, ST_SUBMISSION_OF, ST_SUBMISSION_INSERT, ST_SUBMISSION_UPDATE,
	ST_CONNECTOR_LIST, ST_CONNECTOR_GET, ST_CONNECTOR_BY_NAME, ST_CONNECTOR_INSERT, ST_CONNECTOR_UPDATE,
	ST_CONNECTOR_DELETE,
	ST_PUSH_LIST, ST_PUSH_GET, ST_PUSH_INSERT, ST_PUSH_UPDATE,
	ST_QUEUE_CELL_NOTE, ST_QUEUE_CELLS, ST_QUEUE_CELLS_OF, ST_QUEUE_CELLS_PRUNE,
	ST_WORKAROUND_LIST, ST_WORKAROUND_GET, ST_WORKAROUND_OF, ST_WORKAROUND_INSERT, ST_WORKAROUND_UPDATE, ST_WORKAROUND_LOOKS,
	ST_WORKAROUND_LOOK_SET, ST_WORKAROUND_LOOK_CLEAR,
	ST_TRAFFIC_LIST, ST_TRAFFIC_ADD, ST_TRAFFIC_CLEAR,
	ST_DRAFT_SET, ST_DRAFT_GET, ST_DRAFT_DELETE,
	ST_ACTIVITY_LAST, ST_ACTIVITY_INSERT, ST_ACTIVITY_LIST, ST_ACTIVITY_WALK, ST_ACTIVITY_COUNT,
	ST_FACT_SET, ST_FACT_GET, ST_FACT_DELETE,
	ST_FOUND_RULE_LIST, ST_FOUND_RULE_CLEAR, ST_FOUND_RULE_INSERT,
	ST_EDIT_LIST, ST_EDIT_GET, ST_EDIT_NEWEST, ST_EDIT_NEXT_AGAIN, ST_EDIT_SINCE, ST_EDIT_TOUCHES, ST_EDIT_INSERT, ST_EDIT_MARK,
	ST_EDIT_PRUNE, ST_EDIT_ROWS, ST_EDIT_ROW_INSERT,
	ST_EDIT_WANTED_KEY, ST_EDIT_WANTED_READ, ST_EDIT_WANTED_PUT, ST_EDIT_WANTED_DROP,
	ST_EDIT_VSERVER_READ, ST_EDIT_VSERVER_PUT, ST_EDIT_VSERVER_DROP, ST_EDIT_VSERVER_TAKE_AWAY,
	ST_EDIT_CONNECTOR_READ, ST_EDIT_CONNECTOR_PUT, ST_EDIT_CONNECTOR_DROP,
	ST_COUNT
};
extern const char *const statement_table[ST_COUNT];

enum column_kind {
	COL_INT64,        /* int64_t */
	COL_INT,          /* int */
	COL_BOOL,         /* bool */
	COL_TEXT,         /* char *, NULL is NULL */
	COL_REF,          /* int64_t id of another row: 0 is NULL */
	COL_WORD          /* an enum, stored as its word */
};

struct column {
	const char *name;
	enum column_kind kind;
	size_t at;
	const char *(*word)(int value);   /* COL_WORD */
	int words;
};

/* One kind of record and the statements that save it. */
struct noun {
	const char *word;                 /* "server" */
	const struct column *columns;     /* ended by a row without name */
	size_t id, rev, name;             /* offsets; NOWHERE when the record has none */
	enum stmt_id get, insert, update; /* get: by id */
};
#define NOWHERE ((size_t)-1)

/* What an open edit has noted (rows_edit.c). */
enum edit_kind { EDIT_WANTED, EDIT_VSERVER, EDIT_CONNECTOR };
struct edit_note { enum edit_kind kind; char *key, *before; };   /* before NULL: it was not there */
struct edit_log { int depth; struct edit_note *v; size_t n; };

struct store {
	sqlite3 *db;
	char *path;                       /* absolute, or ":memory:" */
	char *who;                        /* "anna@adm1", found at the first activity */
	sqlite3_stmt *stmts[ST_COUNT];
	int depth;                        /* of store_tx */
	struct edit_log edit;
	struct store_state { int64_t version, data, changes; } all, but_seen;      /* as last told, see store_version */
	int64_t seen_changes;             /* of the handle's: those of store_tx_seen */
	int wal_pages;                   /* of the log at the last commit; counted when checkpoints are left to others */
};

/* types: one letter per argument: i int64_t, t const char * (NULL is NULL), r int64_t with 0 as NULL. Parameters are numbered
 * in the order of their first appearance in the SQL. */

/* Runs a statement that gives no rows; changed (may be NULL) gets the number of rows it touched. */
int db_run(struct store *st, enum stmt_id id, int64_t *changed, struct err *e, const char *types, ...);
/* Starts a statement that gives rows. Then db_next until it says 0 (no more) or -1; db_end after leaving early. */
int db_query(struct store *st, sqlite3_stmt **q, enum stmt_id id, struct err *e, const char *types, ...);
int db_next(struct store *st, sqlite3_stmt *q, struct err *e);
void db_end(sqlite3_stmt *q);
/* Reads the columns of the current row that the table knows into a zeroed record. */
void db_row_read(sqlite3_stmt *q, const struct column *columns, void *record);
/* Binds the parameters of a statement that the table knows by name, then runs it. */
int db_row_run(struct store *st, enum stmt_id id, int64_t *changed, const struct column *columns, const void *record, struct err *e);
/* One row into a zeroed record; 1 found, 0 not, -1. */
int db_row_get(struct store *st, enum stmt_id id, const struct column *columns, void *record, struct err *e, const char *types, ...);
/* One text or number of one row; the same. */
int db_text_get(struct store *st, enum stmt_id id, char **out, struct err *e, const char *types, ...);
int db_number_get(struct store *st, enum stmt_id id, int64_t *out, struct err *e, const char *types, ...);
/* The whole body of a function that fills a list: every row of the statement becomes a record; on failure the list is empty. */
#define FILL_LIST(type, st, out, id, columns, e, ...) \
	do { \
		sqlite3_stmt *q; \
		int more; \
\
		*(out) = (struct type##_list){ 0 }; \
		if (db_query(st, &q, id, e, __VA_ARGS__) < 0) \
			return -1; \
		while ((more = db_next(st, q, e)) == 1) \
			db_row_read(q, columns, type##_list_add(out)); \
		if (more < 0) \
			type##_list_release(out); \
		return more; \
	} while (0)
/* Saves by the rules of store.h: inserts, or updates when rev is still the stored one. */
int db_row_save(struct store *st, const struct noun *n, void *record, struct err *e);
/* A getter's end: 1 is success, 0 becomes RC_NOTFOUND in words. */
int db_got(int found, struct err *e, const char *noun, const char *name, int64_t id);
/* RC_NOTFOUND in words. */
int db_no_such(struct err *e, const char *noun, const char *name);
int db_no_such_id(struct err *e, const char *noun, int64_t id);

/* --- store.c --- */
/* Turns what SQLite said last into one sentence; doing: "saving mx1". Returns -1. */
int db_fail(struct store *st, struct err *e, const char *doing);

/* --- migrations.c: THE TABLE of migrations --- */
struct migration { int version; const char *name; const char *sql; };
extern const struct migration migration_table[];   /* ended by a row without sql */
int migrations_newest(void);
/* Refuses what is not ours or newer than we are, without writing. */
int migrations_check(struct store *st, struct err *e);
/* Brings the store to version upto (tests stop early; store_open goes to the newest). */
int migrations_run(struct store *st, int upto, struct err *e);

/* The two ends of store_tx, for what cannot be one function. end takes what the body said and gives what became of it. */
int db_tx_begin(struct store *st, struct err *e);
int db_tx_end(struct store *st, int bad, struct err *e);

/* --- rows_edit.c --- */
/* Notes a row before it is written; nothing while no edit is open. new: one that was just inserted. */
int  db_edit_note(struct store *st, enum edit_kind kind, const char *key, struct err *e);
int  db_edit_note_id(struct store *st, enum edit_kind kind, int64_t id, struct err *e);
int  db_edit_note_wanted(struct store *st, const char *scope, int64_t server, int64_t vserver, const char *name, struct err *e);
void db_edit_new(struct store *st, enum edit_kind kind, int64_t id);
void db_edit_release(struct edit_log *l);

/* Opens without migrating; for tests. */
int store_open_raw(struct store **out, const char *path, struct err *e);

#endif
