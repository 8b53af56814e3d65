-- A store of version 9 with a record of each kind, as that version wrote it: input of test_db_migrations.
PRAGMA application_id=1836610412;
PRAGMA user_version=9;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE server (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	name TEXT NOT NULL UNIQUE CHECK (name <> '' AND instr(name, '/') = 0),
	target TEXT NOT NULL CHECK (target <> ''),
	identity TEXT,
	become TEXT NOT NULL CHECK (become IN ('none', 'sudo')),
	system TEXT,
	mailsys TEXT, version TEXT, config_dir TEXT, host_name TEXT, domain TEXT, os TEXT,
	transport TEXT, transport_why TEXT,
	read_at INTEGER NOT NULL, tried_at INTEGER NOT NULL,
	trouble TEXT, trouble_code TEXT,
	queue_messages INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	base TEXT
, "group" TEXT) STRICT;
INSERT INTO server VALUES(1,2,'mx1','root@mx1.example.org:22','/home/anna/.ssh/id_ed25519','sudo','auto','postfix','3.7.11','/etc/postfix','mx1.example.org','example.org','Debian GNU/Linux 12 (bookworm)','libssh2',NULL,1795474800,1795474900,'it''s not answering','net',12,3,'00ff','east');
CREATE TABLE authority (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	name TEXT NOT NULL UNIQUE CHECK (name <> ''),
	kind TEXT NOT NULL CHECK (kind <> ''),
	subject TEXT, pem TEXT, sealed_key TEXT,
	policy TEXT CHECK (policy IN ('always', 'ask')),
	days INTEGER NOT NULL,
	not_after INTEGER NOT NULL, created_at INTEGER NOT NULL
, crl_number INTEGER NOT NULL DEFAULT 0, directory TEXT, anchors TEXT, challenge TEXT, contact TEXT, account TEXT, terms TEXT) STRICT;
INSERT INTO authority VALUES(1,1,'Grün CA','own','CN=Grün CA',replace('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n','\n',char(10)),'sealed','always',90,1895474800,1795474800,2,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE certificate (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	name TEXT, subject TEXT, issuer TEXT, cn TEXT, san TEXT,
	not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
	serial TEXT, sha256 TEXT, spki_sha256 TEXT,
	key_type TEXT, key_bits INTEGER NOT NULL,
	key_server INTEGER REFERENCES server ON DELETE SET NULL,
	key_path TEXT,
	pem TEXT NOT NULL,
	authority INTEGER REFERENCES authority ON DELETE SET NULL,
	request INTEGER REFERENCES request ON DELETE SET NULL,
	created_at INTEGER NOT NULL
, sealed_key TEXT) STRICT;
INSERT INTO certificate VALUES(1,1,'mx1 2026','CN=mx1.example.org','CN=Grün CA','mx1.example.org','mx1.example.org mail.example.org',1795474800,1803250800,'0a0b','33','11','RSA',3072,1,'/var/lib/mxseal/keys/1.key',replace('-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n','\n',char(10)),1,1,1795474801,NULL);
CREATE TABLE vserver (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,
	name TEXT NOT NULL CHECK (name <> ''),
	title TEXT, listen TEXT,
	port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),
	is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
	implicit_tls INTEGER NOT NULL CHECK (implicit_tls IN (0, 1)),
	present INTEGER NOT NULL CHECK (present IN (0, 1)),
	cert_file TEXT, cert_pem TEXT, cert_trouble TEXT,
	served_pem TEXT, served_sha256 TEXT, served_trouble TEXT, served_at INTEGER NOT NULL,
	certificate INTEGER REFERENCES certificate ON DELETE SET NULL,
	certificate_set INTEGER NOT NULL CHECK (certificate_set IN (0, 1)), ours TEXT CHECK (ours IN ('added', 'removed')), listen_wanted TEXT, run TEXT CHECK (run IN ('started', 'paused', 'stopped')), run_wanted TEXT CHECK (run_wanted IN ('started', 'paused', 'stopped')), kind TEXT CHECK (kind IN ('smtp', 'submission', 'submissions', 'outbound')), second INTEGER REFERENCES certificate ON DELETE SET NULL, second_pem TEXT, second_served TEXT, log_service TEXT,
	UNIQUE (server, name)
) STRICT;
INSERT INTO vserver VALUES(1,2,1,'smtp','smtp inet','0.0.0.0:25 [::]:25',25,1,0,1,'/etc/ssl/x.pem',NULL,NULL,NULL,'abc','STARTTLS not offered',1795474800,1,1,NULL,NULL,'started',NULL,NULL,NULL,NULL,'abc','postfix/smtpd');
INSERT INTO vserver VALUES(2,1,1,'partner','added: submission','192.0.2.5:587',587,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,0,'added','192.0.2.5:587',NULL,'paused','submission',NULL,NULL,NULL,NULL);
CREATE TABLE found (
	vserver INTEGER NOT NULL REFERENCES vserver ON DELETE CASCADE,
	place INTEGER NOT NULL,
	name TEXT, value TEXT, native TEXT, source TEXT,
	PRIMARY KEY (vserver, place)
) STRICT, WITHOUT ROWID;
INSERT INTO found VALUES(1,0,'inbound.tls','off','smtpd_tls_security_level =','default');
CREATE TABLE wanted (
	id INTEGER PRIMARY KEY,
	scope TEXT NOT NULL,
	server INTEGER REFERENCES server ON DELETE CASCADE,
	vserver INTEGER REFERENCES vserver ON DELETE CASCADE,
	name TEXT NOT NULL CHECK (name <> ''),
	value TEXT NOT NULL,
	CHECK ((scope = 'site' AND server IS NULL AND vserver IS NULL)
		OR (scope = 'server' AND server IS NOT NULL AND vserver IS NULL)
		OR (scope = 'vs' AND server IS NULL AND vserver IS NOT NULL))
) STRICT;
INSERT INTO wanted VALUES(1,'site',NULL,NULL,'inbound.tls','offer');
INSERT INTO wanted VALUES(2,'server',1,NULL,'log.tls','1');
INSERT INTO wanted VALUES(3,'vs',NULL,1,'inbound.tls','require');
CREATE TABLE request (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	vserver INTEGER NOT NULL REFERENCES vserver ON DELETE CASCADE,
	name TEXT,
	cn TEXT, o TEXT, ou TEXT, c TEXT, st TEXT, l TEXT, san TEXT,
	kind TEXT NOT NULL CHECK (kind <> ''),
	key_server INTEGER REFERENCES server ON DELETE SET NULL,
	key_path TEXT, spki_sha256 TEXT, pem TEXT, sha256 TEXT, out_file TEXT,
	authority INTEGER REFERENCES authority ON DELETE SET NULL,
	state TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'dropped')),
	created_at INTEGER NOT NULL,
	certificate INTEGER REFERENCES certificate ON DELETE SET NULL
, second INTEGER NOT NULL DEFAULT 0 CHECK (second IN (0, 1))) STRICT;
INSERT INTO request VALUES(1,2,1,'mx1 2026','mx1.example.org','Example',NULL,'DE',NULL,NULL,'mx1.example.org mail.example.org','rsa-3072',1,'/var/lib/mxseal/keys/1.key','11',replace('-----BEGIN CERTIFICATE REQUEST-----\n','\n',char(10)),'22','/home/anna/a''b.csr',NULL,'answered',1795474800,1,0);
CREATE TABLE issued (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	authority INTEGER NOT NULL REFERENCES authority ON DELETE CASCADE,
	serial TEXT NOT NULL CHECK (serial <> ''),
	subject TEXT, not_after INTEGER NOT NULL, at INTEGER NOT NULL,
	sha256 TEXT, pem TEXT, revoked_at INTEGER NOT NULL DEFAULT 0, reason TEXT,
	UNIQUE (authority, serial)
) STRICT;
INSERT INTO issued VALUES(1,1,'0a0b','CN=mx1.example.org',1803250800,1795474801,'33',replace('-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n','\n',char(10)),1795474900,'superseded');
CREATE TABLE connector (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	name TEXT NOT NULL UNIQUE CHECK (name <> ''),
	domains TEXT, route TEXT, via TEXT, tls TEXT, match TEXT, reason TEXT, review TEXT,
	created_at INTEGER NOT NULL
, smart_hosts TEXT, auth_user TEXT, auth_sealed TEXT, senders TEXT, delivery TEXT CHECK (delivery IN ('always', 'etrn'))) STRICT;
INSERT INTO connector VALUES(1,1,'bank','bank.test,1 *.bank.test,5','smart-host','mx1/smtp','verify','mail.bank.test','asked by "audit"','2027-01-31',1795474802,'[relay.test]:587 backup.test','anna','sealed',NULL,'always');
CREATE TABLE push (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,
	started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	result TEXT NOT NULL CHECK (result IN ('applying', 'waiting', 'kept', 'undone', 'unchanged', 'refused', 'unknown')),
	plan_text TEXT, steps TEXT
) STRICT;
INSERT INTO push VALUES(1,1,1795474803,1795474805,3,'kept',replace('-a\n+b\n','\n',char(10)),replace('lock ok\ncheck ok\n','\n',char(10)));
CREATE TABLE draft (key TEXT PRIMARY KEY CHECK (key <> ''), text TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO draft VALUES('certificate mx1/smtp','{"cn":"mx1.example.org"}');
CREATE TABLE fact (name TEXT PRIMARY KEY CHECK (name <> ''), value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO fact VALUES('seal-check','x');
CREATE TABLE activity (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL,
	who TEXT NOT NULL, server TEXT, verb TEXT NOT NULL, text TEXT NOT NULL, result TEXT NOT NULL,
	hash TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;
INSERT INTO activity VALUES(1,1795474806,'root@adm1','mx1','server-add','row 1, Grün','ok','5543666a12947d3e0010f253b82260654f98fb17ab303baab57e404ee485dbb4');
INSERT INTO activity VALUES(2,1795474806,'root@adm1',NULL,'server-add','row 2, Grün','ok','37d77867376be2f8c1ef8dc655cc26ed7d0179ccb4ee6c46286f43fd393320c2');
INSERT INTO activity VALUES(3,1795474806,'root@adm1','mx1','push','row 3, Grün','ok','f31bd2f31e6892778784b53382c9fe6269f6ac6d631fe1bbb5d6eb5b344ce459');
CREATE TABLE found_rule (
	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,
	place INTEGER NOT NULL,
	kind TEXT NOT NULL, source TEXT NOT NULL, "key" TEXT NOT NULL, value TEXT NOT NULL, trouble TEXT,
	PRIMARY KEY (server, place)
) STRICT, WITHOUT ROWID;
INSERT INTO found_rule VALUES(1,0,'transport','hash:/etc/postfix/transport','bank.test','smtp:[gw.bank.test]',NULL);
CREATE TABLE edit (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	at INTEGER NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL,
	undone INTEGER NOT NULL DEFAULT 0 CHECK (undone IN (0, 1))
) STRICT;
INSERT INTO edit VALUES(1,1795474800,'anna@adm1','mx1/smtp: outbound.tls=encrypt',0);
CREATE TABLE edit_row (
	edit INTEGER NOT NULL REFERENCES edit ON DELETE CASCADE,
	place INTEGER NOT NULL,
	noun TEXT NOT NULL, "key" TEXT NOT NULL, before TEXT, after TEXT,
	PRIMARY KEY (edit, place)
) STRICT, WITHOUT ROWID;
INSERT INTO edit_row VALUES(1,0,'wanted','["vs",null,1,"outbound.tls"]',NULL,'{"value":"encrypt"}');
CREATE TABLE submission (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	authority INTEGER NOT NULL REFERENCES authority ON DELETE CASCADE,
	request INTEGER REFERENCES request ON DELETE SET NULL,
	at INTEGER NOT NULL, who TEXT NOT NULL,
	subject TEXT, san TEXT, spki_sha256 TEXT, pem TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('pending', 'issued', 'denied')),
	why TEXT, decided_at INTEGER NOT NULL, issued INTEGER REFERENCES issued ON DELETE SET NULL
) STRICT;
INSERT INTO submission VALUES(1,1,1,NULL,1795474800,'anna@adm1','mx9.example.org','mx9.example.org','9a','pem','pending',NULL,0,NULL);
CREATE TABLE acme_order (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	authority INTEGER NOT NULL REFERENCES authority ON DELETE CASCADE,
	request INTEGER NOT NULL REFERENCES request ON DELETE CASCADE,
	url TEXT, state TEXT NOT NULL, token TEXT, trouble TEXT,
	created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL,
	renew_from INTEGER NOT NULL DEFAULT 0, renew_until INTEGER NOT NULL DEFAULT 0, ask_again INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO acme_order VALUES(1,1,1,1,NULL,'ready',NULL,NULL,1795474800,1795474900,0,0,0);
CREATE TABLE queue_cell (
	grouping TEXT NOT NULL CHECK (grouping IN ('destination', 'reason', 'sender', 'server')),
	key TEXT NOT NULL,
	span INTEGER NOT NULL,
	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,
	at INTEGER NOT NULL,
	messages INTEGER NOT NULL, high INTEGER NOT NULL, oldest INTEGER NOT NULL,
	PRIMARY KEY (grouping, key, span, server, at)
) STRICT, WITHOUT ROWID;
INSERT INTO queue_cell VALUES('destination','bank.test',3600,1,1795474800,12,12,1795470000);
INSERT INTO queue_cell VALUES('server','',3600,1,1795474800,12,12,1795470000);
CREATE TABLE IF NOT EXISTS "workaround" (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	rev INTEGER NOT NULL,
	domain TEXT NOT NULL, servers TEXT NOT NULL, connector TEXT NOT NULL, level TEXT, target TEXT,
	port INTEGER NOT NULL DEFAULT 0, reason TEXT, evidence TEXT, owner TEXT,
	since INTEGER NOT NULL, review_at INTEGER NOT NULL DEFAULT 0,
	state TEXT NOT NULL CHECK (state IN ('open', 'trial', 'proving', 'ended')), changed_at INTEGER NOT NULL,
	falls INTEGER NOT NULL DEFAULT 0, used_at INTEGER NOT NULL DEFAULT 0, log_at INTEGER NOT NULL DEFAULT 0,
	proof TEXT, in_clear TEXT
) STRICT;
INSERT INTO workaround VALUES(1,1,'bank.test','mx1','workaround-bank.test','encrypt',NULL,0,'their renewal','TLS is required, but was not offered','anna@adm1',1795700000,1798300000,'trial',1795700000,0,0,0,NULL,NULL);
CREATE TABLE IF NOT EXISTS "workaround_look" (
	workaround INTEGER NOT NULL REFERENCES "workaround" ON DELETE CASCADE,
	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,
	last_at INTEGER NOT NULL, good_since INTEGER NOT NULL, good INTEGER NOT NULL, bad INTEGER NOT NULL,
	stuck INTEGER NOT NULL DEFAULT 0, mark_at INTEGER NOT NULL DEFAULT 0, text TEXT,
	PRIMARY KEY (workaround, server)
) STRICT, WITHOUT ROWID;
INSERT INTO workaround_look VALUES(1,1,1795700100,0,0,1,0,0,'STARTTLS is not offered');
CREATE TABLE traffic (
	server INTEGER NOT NULL REFERENCES server ON DELETE CASCADE,
	direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
	peer TEXT NOT NULL, service TEXT NOT NULL,
	messages INTEGER NOT NULL, clear INTEGER NOT NULL, waiting INTEGER NOT NULL, oldest TEXT, newest TEXT, last_at INTEGER NOT NULL,
	PRIMARY KEY (server, direction, peer, service)
) STRICT, WITHOUT ROWID;
INSERT INTO traffic VALUES(1,'in','mx.bank.test','postfix/smtpd',31,9,0,'TLSv1.2','TLSv1.3',1795474800);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('server',1);
INSERT INTO sqlite_sequence VALUES('authority',1);
INSERT INTO sqlite_sequence VALUES('vserver',2);
INSERT INTO sqlite_sequence VALUES('request',1);
INSERT INTO sqlite_sequence VALUES('certificate',1);
INSERT INTO sqlite_sequence VALUES('issued',1);
INSERT INTO sqlite_sequence VALUES('connector',1);
INSERT INTO sqlite_sequence VALUES('push',1);
INSERT INTO sqlite_sequence VALUES('activity',3);
INSERT INTO sqlite_sequence VALUES('edit',1);
INSERT INTO sqlite_sequence VALUES('submission',1);
INSERT INTO sqlite_sequence VALUES('acme_order',1);
INSERT INTO sqlite_sequence VALUES('workaround',1);
CREATE INDEX certificate_sha256 ON certificate (sha256);
CREATE INDEX certificate_key_server ON certificate (key_server);
CREATE INDEX certificate_request ON certificate (request);
CREATE INDEX vserver_certificate ON vserver (certificate);
CREATE UNIQUE INDEX wanted_one ON wanted (scope, ifnull(server, 0), ifnull(vserver, 0), name);
CREATE INDEX wanted_server ON wanted (server);
CREATE INDEX wanted_vserver ON wanted (vserver);
CREATE INDEX request_vserver ON request (vserver);
CREATE INDEX request_key_server ON request (key_server);
CREATE INDEX push_server ON push (server, started_at);
CREATE TRIGGER activity_no_update BEFORE UPDATE ON activity
	BEGIN SELECT RAISE(ABORT, 'activity cannot be changed'); END;
CREATE TRIGGER activity_no_delete BEFORE DELETE ON activity
	BEGIN SELECT RAISE(ABORT, 'activity cannot be deleted'); END;
CREATE TRIGGER activity_no_replace BEFORE INSERT ON activity
	WHEN EXISTS (SELECT 1 FROM activity WHERE id = NEW.id)
	BEGIN SELECT RAISE(ABORT, 'activity cannot be replaced'); END;
CREATE INDEX submission_authority ON submission (authority);
CREATE INDEX submission_request ON submission (request);
CREATE INDEX acme_order_authority ON acme_order (authority);
CREATE INDEX acme_order_request ON acme_order (request);
CREATE INDEX vserver_second ON vserver (second);
CREATE INDEX queue_cell_at ON queue_cell (span, at);
CREATE INDEX queue_cell_server ON queue_cell (server);
CREATE UNIQUE INDEX workaround_domain ON workaround (domain) WHERE state <> 'ended';
CREATE INDEX workaround_look_server ON workaround_look (server);
COMMIT;
