/* THE TABLE of migrations. A row is a version and the SQL that leads to it from the version before; each runs in one
 * transaction together with its number (PRAGMA user_version), so a store is at one version or the next and never between.
 * A released row is never edited: a test holds its hash. A change to the tables is a new row at the end.
 *
 * Tables are STRICT, ids are never used twice (AUTOINCREMENT), and what belongs to a server goes with it (ON DELETE
 * CASCADE), while certificates and activity stay. */
#include "db.h"

#include <stdio.h>
#include "mxseal/clean.h"
#include "mxseal/log.h"

const struct migration migration_table[] = {
{ 1, "first",
	"CREATE TABLE server (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	name TEXT NOT NULL UNIQUE CHECK (name <> '' AND instr(name, '/') = 0),\n"
	"	target TEXT NOT NULL CHECK (target <> ''),\n"
	"	identity TEXT,\n"
	"	become TEXT NOT NULL CHECK (become IN ('none', 'sudo')),\n"
	"	system TEXT,\n"
	"	mailsys TEXT, version TEXT, config_dir TEXT, host_name TEXT, domain TEXT, os TEXT,\n"
	"	transport TEXT, transport_why TEXT,\n"
	"	read_at INTEGER NOT NULL, tried_at INTEGER NOT NULL,\n"
	"	trouble TEXT, trouble_code TEXT,\n"
	"	queue_messages INTEGER NOT NULL,\n"
	"	generation INTEGER NOT NULL,\n"
	"	base TEXT\n"
	") STRICT;\n"

	"CREATE TABLE authority (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	name TEXT NOT NULL UNIQUE CHECK (name <> ''),\n"
	"	kind TEXT NOT NULL CHECK (kind <> ''),\n"
	"	subject TEXT, pem TEXT, sealed_key TEXT,\n"
	"	policy TEXT CHECK (policy IN ('always', 'ask')),\n"
	"	days INTEGER NOT NULL,\n"
	"	not_after INTEGER NOT NULL, created_at INTEGER NOT NULL\n"
	") STRICT;\n"

	"CREATE TABLE certificate (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	name TEXT, subject TEXT, issuer TEXT, cn TEXT, san TEXT,\n"
	"	not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,\n"
	"	serial TEXT, sha256 TEXT, spki_sha256 TEXT,\n"
	"	key_type TEXT, key_bits INTEGER NOT NULL,\n"
	"	key_server INTEGER REFERENCES server ON DELETE SET NULL,\n"
	"	key_path TEXT,\n"
	"	pem TEXT NOT NULL,\n"
	"	authority INTEGER REFERENCES authority ON DELETE SET NULL,\n"
	"	request INTEGER REFERENCES request ON DELETE SET NULL,\n"
	"	created_at INTEGER NOT NULL\n"
	") STRICT;\n"
	"CREATE INDEX certificate_sha256 ON certificate (sha256);\n"
	"CREATE INDEX certificate_key_server ON certificate (key_server);\n"
	"CREATE INDEX certificate_request ON certificate (request);\n"

	"CREATE TABLE vserver (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	name TEXT NOT NULL CHECK (name <> ''),\n"
	"	title TEXT, listen TEXT,\n"
	"	port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),\n"
	"	is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),\n"
	"	implicit_tls INTEGER NOT NULL CHECK (implicit_tls IN (0, 1)),\n"
	"	present INTEGER NOT NULL CHECK (present IN (0, 1)),\n"
	"	cert_file TEXT, cert_pem TEXT, cert_trouble TEXT,\n"
	"	served_pem TEXT, served_sha256 TEXT, served_trouble TEXT, served_at INTEGER NOT NULL,\n"
	"	certificate INTEGER REFERENCES certificate ON DELETE SET NULL,\n"
	"	certificate_set INTEGER NOT NULL CHECK (certificate_set IN (0, 1)),\n"
	"	UNIQUE (server, name)\n"
	") STRICT;\n"
	"CREATE INDEX vserver_certificate ON vserver (certificate);\n"

	"CREATE TABLE found (\n"
	"	vserver INTEGER NOT NULL REFERENCES vserver ON DELETE CASCADE,\n"
	"	place INTEGER NOT NULL,\n"
	"	name TEXT, value TEXT, native TEXT, source TEXT,\n"
	"	PRIMARY KEY (vserver, place)\n"
	") STRICT, WITHOUT ROWID;\n"

	"CREATE TABLE wanted (\n"
	"	id INTEGER PRIMARY KEY,\n"
	"	scope TEXT NOT NULL,\n"
	"	server INTEGER REFERENCES server ON DELETE CASCADE,\n"
	"	vserver INTEGER REFERENCES vserver ON DELETE CASCADE,\n"
	"	name TEXT NOT NULL CHECK (name <> ''),\n"
	"	value TEXT NOT NULL,\n"
	"	CHECK ((scope = 'site' AND server IS NULL AND vserver IS NULL)\n"
	"		OR (scope = 'server' AND server IS NOT NULL AND vserver IS NULL)\n"
	"		OR (scope = 'vs' AND server IS NULL AND vserver IS NOT NULL))\n"
	") STRICT;\n"
	"CREATE UNIQUE INDEX wanted_one ON wanted (scope, ifnull(server, 0), ifnull(vserver, 0), name);\n"
	"CREATE INDEX wanted_server ON wanted (server);\n"
	"CREATE INDEX wanted_vserver ON wanted (vserver);\n"

	"CREATE TABLE request (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	vserver INTEGER NOT NULL REFERENCES vserver ON DELETE CASCADE,\n"
	"	name TEXT,\n"
	"	cn TEXT, o TEXT, ou TEXT, c TEXT, st TEXT, l TEXT, san TEXT,\n"
	"	kind TEXT NOT NULL CHECK (kind <> ''),\n"
	"	key_server INTEGER REFERENCES server ON DELETE SET NULL,\n"
	"	key_path TEXT, spki_sha256 TEXT, pem TEXT, sha256 TEXT, out_file TEXT,\n"
	"	authority INTEGER REFERENCES authority ON DELETE SET NULL,\n"
	"	state TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'dropped')),\n"
	"	created_at INTEGER NOT NULL,\n"
	"	certificate INTEGER REFERENCES certificate ON DELETE SET NULL\n"
	") STRICT;\n"
	"CREATE INDEX request_vserver ON request (vserver);\n"
	"CREATE INDEX request_key_server ON request (key_server);\n"

	"CREATE TABLE issued (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	authority INTEGER NOT NULL REFERENCES authority ON DELETE CASCADE,\n"
	"	serial TEXT NOT NULL CHECK (serial <> ''),\n"
	"	subject TEXT, not_after INTEGER NOT NULL, at INTEGER NOT NULL,\n"
	"	sha256 TEXT, pem TEXT,\n"
	"	UNIQUE (authority, serial)\n"
	") STRICT;\n"

	"CREATE TABLE connector (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	name TEXT NOT NULL UNIQUE CHECK (name <> ''),\n"
	"	domains TEXT, route TEXT, via TEXT, tls TEXT, match TEXT, reason TEXT, review TEXT,\n"
	"	created_at INTEGER NOT NULL\n"
	") STRICT;\n"

	"CREATE TABLE push (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,\n"
	"	generation INTEGER NOT NULL,\n"
	"	result TEXT NOT NULL CHECK (result IN ('applying', 'waiting', 'kept', 'undone', 'unchanged', 'refused', 'unknown')),\n"
	"	plan_text TEXT, steps TEXT\n"
	") STRICT;\n"
	"CREATE INDEX push_server ON push (server, started_at);\n"

	"CREATE TABLE queue_point (\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	destination TEXT NOT NULL,\n"
	"	at INTEGER NOT NULL,\n"
	"	messages INTEGER NOT NULL, oldest INTEGER NOT NULL,\n"
	"	PRIMARY KEY (server, destination, at)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE INDEX queue_point_at ON queue_point (at);\n"

	"CREATE TABLE draft (key TEXT PRIMARY KEY CHECK (key <> ''), text TEXT NOT NULL) STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE fact (name TEXT PRIMARY KEY CHECK (name <> ''), value TEXT NOT NULL) STRICT, WITHOUT ROWID;\n"

	"CREATE TABLE activity (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	at INTEGER NOT NULL,\n"
	"	who TEXT NOT NULL, server TEXT, verb TEXT NOT NULL, text TEXT NOT NULL, result TEXT NOT NULL,\n"
	"	hash TEXT NOT NULL CHECK (length(hash) = 64)\n"
	") STRICT;\n"
	"CREATE TRIGGER activity_no_update BEFORE UPDATE ON activity\n"
	"	BEGIN SELECT RAISE(ABORT, 'activity cannot be changed'); END;\n"
	"CREATE TRIGGER activity_no_delete BEFORE DELETE ON activity\n"
	"	BEGIN SELECT RAISE(ABORT, 'activity cannot be deleted'); END;\n"
	/* INSERT OR REPLACE deletes without asking the trigger above */
	"CREATE TRIGGER activity_no_replace BEFORE INSERT ON activity\n"
	"	WHEN EXISTS (SELECT 1 FROM activity WHERE id = NEW.id)\n"
	"	BEGIN SELECT RAISE(ABORT, 'activity cannot be replaced'); END;\n"
},
{ 2, "groups of servers",
	"ALTER TABLE server ADD COLUMN \"group\" TEXT;\n"
},
{ 3, "listeners of ours, routes of connectors, what was found, edits, an authority's office, keys that live here",
	"ALTER TABLE vserver ADD COLUMN ours TEXT CHECK (ours IN ('added', 'removed'));\n"
	"ALTER TABLE vserver ADD COLUMN listen_wanted TEXT;\n"
	"ALTER TABLE vserver ADD COLUMN run TEXT CHECK (run IN ('started', 'paused', 'stopped'));\n"
	"ALTER TABLE vserver ADD COLUMN run_wanted TEXT CHECK (run_wanted IN ('started', 'paused', 'stopped'));\n"
	"ALTER TABLE vserver ADD COLUMN kind TEXT CHECK (kind IN ('smtp', 'submission', 'submissions', 'outbound'));\n"

	"ALTER TABLE connector ADD COLUMN smart_hosts TEXT;\n"
	"ALTER TABLE connector ADD COLUMN auth_user TEXT;\n"
	"ALTER TABLE connector ADD COLUMN auth_sealed TEXT;\n"
	"ALTER TABLE connector ADD COLUMN senders TEXT;\n"
	"ALTER TABLE connector ADD COLUMN delivery TEXT CHECK (delivery IN ('always', 'etrn'));\n"

	/* the administrator's own rules, as the last reading saw them */
	"CREATE TABLE found_rule (\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	place INTEGER NOT NULL,\n"
	"	kind TEXT NOT NULL, source TEXT NOT NULL, \"key\" TEXT NOT NULL, value TEXT NOT NULL, trouble TEXT,\n"
	"	PRIMARY KEY (server, place)\n"
	") STRICT, WITHOUT ROWID;\n"

	/* who took mail from or brought mail to a server, from its log */
	"CREATE TABLE traffic (\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),\n"
	"	peer TEXT NOT NULL,\n"
	"	messages INTEGER NOT NULL, clear INTEGER NOT NULL, oldest TEXT, last_at INTEGER NOT NULL,\n"
	"	PRIMARY KEY (server, direction, peer)\n"
	") STRICT, WITHOUT ROWID;\n"

	/* what was edited here, so that each edit can be undone: the rows as they were before, oldest first */
	"CREATE TABLE edit (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	at INTEGER NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL,\n"
	"	undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1))\n"
	") STRICT;\n"
	"CREATE TABLE edit_row (\n"
	"	edit INTEGER NOT NULL REFERENCES edit ON DELETE CASCADE,\n"
	"	place INTEGER NOT NULL,\n"
	"	noun TEXT NOT NULL, \"key\" TEXT NOT NULL, before TEXT, after TEXT,\n"
	"	PRIMARY KEY (edit, place)\n"
	") STRICT, WITHOUT ROWID;\n"

	/* an authority's office: submissions, revocations */
	"ALTER TABLE issued ADD COLUMN revoked_at INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE issued ADD COLUMN reason TEXT;\n"
	"ALTER TABLE authority ADD COLUMN crl_number INTEGER NOT NULL DEFAULT 0;\n"
	"CREATE TABLE submission (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	authority INTEGER NOT NULL REFERENCES authority ON DELETE CASCADE,\n"
	"	request INTEGER REFERENCES request ON DELETE SET NULL,\n"
	"	at INTEGER NOT NULL, who TEXT NOT NULL,\n"
	"	subject TEXT, san TEXT, spki_sha256 TEXT, pem TEXT NOT NULL,\n"
	"	state TEXT NOT NULL CHECK (state IN ('pending', 'issued', 'denied')),\n"
	"	why TEXT, decided_at INTEGER NOT NULL, issued INTEGER REFERENCES issued ON DELETE SET NULL\n"
	") STRICT;\n"
	"CREATE INDEX submission_authority ON submission (authority);\n"
	"CREATE INDEX submission_request ON submission (request);\n"

	/* keys of certificates that live here */
	"ALTER TABLE certificate ADD COLUMN sealed_key TEXT;\n"
},
{ 4, "ACME: where an authority is, and orders",
	"ALTER TABLE authority ADD COLUMN directory TEXT;\n"
	"ALTER TABLE authority ADD COLUMN anchors TEXT;\n"
	"ALTER TABLE authority ADD COLUMN challenge TEXT;\n"
	"ALTER TABLE authority ADD COLUMN contact TEXT;\n"
	"ALTER TABLE authority ADD COLUMN account TEXT;\n"
	"ALTER TABLE authority ADD COLUMN terms TEXT;\n"
	"CREATE TABLE acme_order (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	authority INTEGER NOT NULL REFERENCES authority ON DELETE CASCADE,\n"
	"	request INTEGER NOT NULL REFERENCES request ON DELETE CASCADE,\n"
	"	url TEXT, state TEXT NOT NULL, token TEXT, trouble TEXT,\n"
	"	created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,\n"
	"	renew_from INTEGER NOT NULL DEFAULT 0, renew_until INTEGER NOT NULL DEFAULT 0, ask_again INTEGER NOT NULL DEFAULT 0\n"
	") STRICT;\n"
	"CREATE INDEX acme_order_authority ON acme_order (authority);\n"
	"CREATE INDEX acme_order_request ON acme_order (request);\n"
},
{ 5, "the second certificate of a virtual server, with the other kind of key",
	"ALTER TABLE vserver ADD COLUMN second INTEGER REFERENCES certificate ON DELETE SET NULL;\n"
	"ALTER TABLE vserver ADD COLUMN second_pem TEXT;\n"
	"ALTER TABLE vserver ADD COLUMN second_served TEXT;\n"
	"CREATE INDEX vserver_second ON vserver (second);\n"
	"ALTER TABLE request ADD COLUMN second INTEGER NOT NULL DEFAULT 0 CHECK (second IN (0, 1));\n"
},
{ 6, "what waited, in cells of five minutes and of an hour; work-arounds and looks at their destinations; traffic that waits",
	"CREATE TABLE queue_cell (\n"
	"	grouping TEXT NOT NULL CHECK (grouping IN ('destination', 'reason', 'sender', 'server')),\n"
	"	key TEXT NOT NULL,\n"
	"	span INTEGER NOT NULL,\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	at INTEGER NOT NULL,\n"
	"	messages INTEGER NOT NULL, high INTEGER NOT NULL, oldest INTEGER NOT NULL,\n"
	"	PRIMARY KEY (grouping, key, span, server, at)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE INDEX queue_cell_at ON queue_cell (span, at);\n"
	"CREATE INDEX queue_cell_server ON queue_cell (server);\n"
	/* nobody was watched before this: the marks of the servers are made up from the points themselves */
	"INSERT INTO queue_cell (grouping, key, span, server, at, messages, high, oldest) "
		"SELECT 'destination', destination, 3600, server, at - at % 3600, max(messages), max(messages), min(oldest) "
		"FROM queue_point GROUP BY server, destination, at - at % 3600;\n"
	"INSERT INTO queue_cell (grouping, key, span, server, at, messages, high, oldest) "
		"SELECT 'server', '', 3600, server, at - at % 3600, max(messages), max(messages), min(oldest) "
		"FROM queue_point GROUP BY server, at - at % 3600;\n"

	"CREATE TABLE workaround (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	domain TEXT NOT NULL, servers TEXT NOT NULL, connector TEXT NOT NULL, level TEXT, target TEXT,\n"
	"	port INTEGER NOT NULL DEFAULT 0, reason TEXT, evidence TEXT, owner TEXT,\n"
	"	since INTEGER NOT NULL, review_at INTEGER NOT NULL DEFAULT 0,\n"
	"	state TEXT NOT NULL CHECK (state IN ('open', 'proving', 'ended')), changed_at INTEGER NOT NULL,\n"
	"	falls INTEGER NOT NULL DEFAULT 0, used_at INTEGER NOT NULL DEFAULT 0, log_at INTEGER NOT NULL DEFAULT 0,\n"
	"	mail_at INTEGER NOT NULL DEFAULT 0, stuck INTEGER NOT NULL DEFAULT 0, proved INTEGER NOT NULL DEFAULT 0\n"
	") STRICT;\n"
	"CREATE UNIQUE INDEX workaround_domain ON workaround (domain) WHERE state <> 'ended';\n"
	"CREATE TABLE workaround_look (\n"
	"	workaround INTEGER NOT NULL REFERENCES workaround ON DELETE CASCADE,\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	last_at INTEGER NOT NULL, good_since INTEGER NOT NULL, good INTEGER NOT NULL, text TEXT,\n"
	"	PRIMARY KEY (workaround, server)\n"
	") STRICT, WITHOUT ROWID;\n"
	"CREATE INDEX workaround_look_server ON workaround_look (server);\n"

	"ALTER TABLE traffic ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;\n"
	"ALTER TABLE traffic ADD COLUMN newest TEXT;\n"
},
{ 7, "work-arounds on trial",
	/* a CHECK is changed only by a new table; the looks go along, or they would go with the old one */
	"CREATE TABLE workaround_new (\n"
	"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
	"	rev INTEGER NOT NULL,\n"
	"	domain TEXT NOT NULL, servers TEXT NOT NULL, connector TEXT NOT NULL, level TEXT, target TEXT,\n"
	"	port INTEGER NOT NULL DEFAULT 0, reason TEXT, evidence TEXT, owner TEXT,\n"
	"	since INTEGER NOT NULL, review_at INTEGER NOT NULL DEFAULT 0,\n"
	"	state TEXT NOT NULL CHECK (state IN ('open', 'trial', 'proving', 'ended')), changed_at INTEGER NOT NULL,\n"
	"	falls INTEGER NOT NULL DEFAULT 0, used_at INTEGER NOT NULL DEFAULT 0, log_at INTEGER NOT NULL DEFAULT 0,\n"
	"	proof TEXT, in_clear TEXT\n"
	") STRICT;\n"
	"INSERT INTO workaround_new (id, rev, domain, servers, connector, level, target, port, reason, evidence, owner, since, review_at, "
		"state, changed_at, falls, used_at, log_at, proof) SELECT id, rev, domain, servers, connector, level, target, port, reason, "
		"evidence, owner, since, review_at, state, changed_at, falls, used_at, log_at, iif(proved, 'mail left', NULL) FROM workaround;\n"
	"CREATE TABLE workaround_look_new (\n"
	"	workaround INTEGER NOT NULL REFERENCES workaround_new ON DELETE CASCADE,\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	last_at INTEGER NOT NULL, good_since INTEGER NOT NULL, good INTEGER NOT NULL, bad INTEGER NOT NULL,\n"
	"	stuck INTEGER NOT NULL DEFAULT 0, mark_at INTEGER NOT NULL DEFAULT 0, text TEXT,\n"
	"	PRIMARY KEY (workaround, server)\n"
	") STRICT, WITHOUT ROWID;\n"
	"INSERT INTO workaround_look_new (workaround, server, last_at, good_since, good, bad, text) "
		"SELECT workaround, server, last_at, good_since, good, good = 0, text FROM workaround_look;\n"
	"DROP TABLE workaround_look;\n"
	"DROP TABLE workaround;\n"
	"ALTER TABLE workaround_new RENAME TO workaround;\n"
	"ALTER TABLE workaround_look_new RENAME TO workaround_look;\n"
	"CREATE UNIQUE INDEX workaround_domain ON workaround (domain) WHERE state <> 'ended';\n"
	"CREATE INDEX workaround_look_server ON workaround_look (server);\n"
},
{ 8, "points of the queue are cells",
	"DROP TABLE queue_point;\n"      /* nobody writes or reads them since row 6 */
},
{ 9, "what the mail log calls a listener; traffic by it",
	"ALTER TABLE vserver ADD COLUMN log_service TEXT;\n"
	/* figures of a log are read again when they are needed: those that were there do not tell listeners apart */
	"DROP TABLE traffic;\n"
	"DELETE FROM fact WHERE name GLOB 'traffic:*';\n"
	"CREATE TABLE traffic (\n"
	"	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,\n"
	"	direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),\n"
	"	peer TEXT NOT NULL, service TEXT NOT NULL,\n"
	"	messages INTEGER NOT NULL, clear INTEGER NOT NULL, waiting INTEGER NOT NULL, oldest TEXT, newest TEXT, last_at INTEGER NOT NULL,\n"
	"	PRIMARY KEY (server, direction, peer, service)\n"
	") STRICT, WITHOUT ROWID;\n"
},
{ 0, NULL, NULL }
};

int
migrations_newest(void)
{
	int newest = 0;

	for (const struct migration *m = migration_table; m->sql != NULL; m++)
		newest = m->version;
	return newest;
}

/* PRAGMA takes no parameters; what is put into it here are two of our own numbers. */
static int
pragma_number(sqlite3 *db, const char *pragma, int64_t *out)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db, pragma, -1, &q, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		*out = sqlite3_column_int64(q, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(q);
	return rc == SQLITE_OK ? 0 : -1;
}

static int
pragma_set(sqlite3 *db, const char *pragma, int value)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA %s=%d", pragma, value);
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -1;
}

/* Refuses what is not ours or too new, before anything is written. version gets what the file has. */
static int
version_read(struct store *st, int64_t *version, struct err *e)
{
	int64_t application = 0, tables = 0;

	if (pragma_number(st->db, "PRAGMA user_version", version) < 0 ||
	    pragma_number(st->db, "PRAGMA application_id", &application) < 0 ||
	    pragma_number(st->db, "SELECT count(*) FROM sqlite_schema", &tables) < 0)
		return db_fail(st, e, "opening the store");
	if (application != STORE_APPLICATION_ID && (application != 0 || *version != 0 || tables != 0)) {
		err_set(e, RC_DB, "%s is a database of another program, not an mxseal store", clean(st->path));
		return err_hint(e, "name another file with --store");
	}
	if (*version > migrations_newest()) {
		err_set(e, RC_DB, "the store %s was written by a newer mxseal (it has version %d, this one knows %d)",
		    clean(st->path), (int)*version, migrations_newest());
		return err_hint(e, "use the newer mxseal, or another store with --store; nothing was changed");
	}
	return 0;
}

/* One row, in one transaction with its number. Another console may have been faster: then there is nothing to do. */
static int
migrate_one(struct store *st, const struct migration *m, struct err *e)
{
	int64_t now_at = 0;

	if (sqlite3_exec(st->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(st, e, "bringing the store up to date");
	if (version_read(st, &now_at, e) < 0)
		goto undo;
	if (now_at >= m->version) {
		sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
		return 0;
	}
	if (sqlite3_exec(st->db, m->sql, NULL, NULL, NULL) != SQLITE_OK ||
	    pragma_set(st->db, "application_id", STORE_APPLICATION_ID) < 0 ||
	    pragma_set(st->db, "user_version", m->version) < 0 ||
	    sqlite3_exec(st->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) {
		db_fail(st, e, "bringing the store up to date");
		goto undo;
	}
	log_line("store %s: migrated to version %d (%s)", st->path, m->version, m->name);
	return 0;
undo:
	if (!sqlite3_get_autocommit(st->db))
		sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int
migrations_check(struct store *st, struct err *e)
{
	int64_t version = 0;

	return version_read(st, &version, e);
}

int
migrations_run(struct store *st, int upto, struct err *e)
{
	int64_t version = 0;

	if (version_read(st, &version, e) < 0)
		return -1;
	for (const struct migration *m = migration_table; m->sql != NULL && m->version <= upto; m++)
		if (m->version > version && migrate_one(st, m, e) < 0)
			return -1;
	return 0;
}
