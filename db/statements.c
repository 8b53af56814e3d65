/* THE TABLE of prepared statements, and the few functions that run them: preparing at first use, binding typed arguments or
 * a record's columns by name, reading rows. No other SQL exists beside this table and the migrations. What SQLite refuses
 * becomes one sentence in db_fail (store.c). */
#include "db.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define SERVER_COLUMNS "id, rev, name, target, identity, become, system, mailsys, version, config_dir, host_name, domain, os, " \
	"transport, transport_why, read_at, tried_at, trouble, trouble_code, queue_messages, generation, base, \"group\""
#define VSERVER_COLUMNS "v.id, v.rev, v.server, v.name, v.title, v.listen, v.port, v.is_default, v.implicit_tls, v.present, " \
	"v.cert_file, v.cert_pem, v.cert_trouble, v.served_pem, v.served_sha256, v.served_trouble, v.served_at, " \
	"v.certificate, v.certificate_set, v.ours, v.listen_wanted, v.kind, v.run, v.run_wanted, " \
	"v.second, v.second_pem, v.second_served, v.log_service"
#define REQUEST_COLUMNS "id, rev, vserver, name, cn, o, ou, c, st, l, san, kind, key_server, key_path, spki_sha256, pem, " \
	"sha256, out_file, authority, state, created_at, certificate, second"
#define CERTIFICATE_COLUMNS "id, rev, name, subject, issuer, cn, san, not_before, not_after, serial, sha256, spki_sha256, " \
	"key_type, key_bits, key_server, key_path, sealed_key, pem, authority, request, created_at"
#define AUTHORITY_COLUMNS "id, rev, name, kind, subject, pem, sealed_key, policy, days, not_after, created_at, crl_number, " \
	"directory, anchors, challenge, contact, account, terms"
#define ACME_ORDER_COLUMNS "id, rev, authority, request, url, state, token, trouble, created_at, changed_at, renew_from, " \
	"renew_until, ask_again"
#define ISSUED_COLUMNS "id, authority, serial, subject, not_after, at, sha256, pem, revoked_at, reason"
#define SUBMISSION_COLUMNS "id, rev, authority, request, at, who, subject, san, spki_sha256, pem, state, why, decided_at, issued"
#define CONNECTOR_COLUMNS "id, rev, name, domains, route, smart_hosts, auth_user, auth_sealed, senders, delivery, via, tls, " \
	"\"match\", reason, review, created_at"
#define WORKAROUND_COLUMNS "id, rev, domain, servers, connector, level, target, port, reason, evidence, owner, since, review_at, " \
	"state, changed_at, falls, used_at, log_at, proof, in_clear"
#define PUSH_COLUMNS "id, server, started_at, ended_at, generation, result, plan_text, steps"
#define ACTIVITY_COLUMNS "id, at, who, server, verb, text, result, hash"

const char *const statement_table[ST_COUNT] = {
	/* a write lock from the start: a read that turns into a write cannot wait for another console, it fails at once */
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_SAVEPOINT] = "SAVEPOINT inner",
	[ST_RELEASE] = "RELEASE inner",
	[ST_ROLLBACK_TO] = "ROLLBACK TO inner",
	[ST_DATA_VERSION] = "PRAGMA data_version",

	[ST_SERVER_LIST] = "SELECT " SERVER_COLUMNS " FROM server ORDER BY name",
	[ST_SERVER_GET] = "SELECT " SERVER_COLUMNS " FROM server WHERE id = ?",
	[ST_SERVER_BY_NAME] = "SELECT " SERVER_COLUMNS " FROM server WHERE name = ?",
	[ST_SERVER_INSERT] = "INSERT INTO server (rev, name, target, identity, become, system, mailsys, version, config_dir, "
		"host_name, domain, os, transport, transport_why, read_at, tried_at, trouble, trouble_code, queue_messages, "
		"generation, base, \"group\") VALUES (1, :name, :target, :identity, :become, :system, :mailsys, :version, :config_dir, "
		":host_name, :domain, :os, :transport, :transport_why, :read_at, :tried_at, :trouble, :trouble_code, "
		":queue_messages, :generation, :base, :group)",
	[ST_SERVER_UPDATE] = "UPDATE server SET rev = rev + 1, name = :name, target = :target, identity = :identity, "
		"become = :become, system = :system, mailsys = :mailsys, version = :version, config_dir = :config_dir, "
		"host_name = :host_name, domain = :domain, os = :os, transport = :transport, transport_why = :transport_why, "
		"read_at = :read_at, tried_at = :tried_at, trouble = :trouble, trouble_code = :trouble_code, "
		"queue_messages = :queue_messages, generation = :generation, base = :base, \"group\" = :group WHERE id = :id AND rev = :rev",
	[ST_SERVER_DELETE] = "DELETE FROM server WHERE id = ?",
	/* keys of drafts end in the object's name: "certificate mx1", "certificate mx1/smtp" */
	[ST_SERVER_DRAFTS_DELETE] = "DELETE FROM draft WHERE instr(key || '/', "
		"' ' || (SELECT name FROM server WHERE id = ?) || '/') > 0",
	/* names of facts: a word, a colon, the id of the server; "run:" the id of a virtual server. Other words before an id are
	 * none of a server's. */
	[ST_SERVER_FACTS_DELETE] = "DELETE FROM fact WHERE name IN ('pushed:' || ?1, 'drift-left:' || ?1, 'touched:' || ?1, "
		"'mx-names:' || ?1, 'by-sni:' || ?1, 'file-troubles:' || ?1, 'addresses:' || ?1, 'traffic:' || ?1, 'queue-tls:' || ?1, "
		"'push-state:' || ?1, 'connectors-pushed:' || ?1, 'instances:' || ?1, 'warnings:' || ?1, 'queue-backing:' || ?1, 'follow:' || ?1) "
		"OR name GLOB 'rehearsed:' || ?1 || ':*' OR name IN (SELECT 'run:' || id FROM vserver WHERE server = ?1)",

	[ST_VSERVER_LIST] = "SELECT " VSERVER_COLUMNS " FROM vserver v JOIN server s ON s.id = v.server "
		"WHERE ?1 = 0 OR v.server = ?1 ORDER BY s.name, v.is_default DESC, v.name",
	[ST_VSERVER_GET] = "SELECT " VSERVER_COLUMNS " FROM vserver v WHERE v.id = ?",
	[ST_VSERVER_BY_NAME] = "SELECT " VSERVER_COLUMNS " FROM vserver v WHERE v.server = ? AND v.name = ?",
	[ST_VSERVER_DEFAULT] = "SELECT " VSERVER_COLUMNS " FROM vserver v WHERE v.server = ? AND v.is_default "
		"ORDER BY v.present DESC, v.id LIMIT 1",
	[ST_VSERVER_INSERT] = "INSERT INTO vserver (rev, server, name, title, listen, port, is_default, implicit_tls, present, "
		"cert_file, cert_pem, cert_trouble, served_pem, served_sha256, served_trouble, served_at, certificate, "
		"certificate_set, ours, listen_wanted, kind, run, run_wanted, second, second_pem, second_served, log_service) VALUES (1, :server, :name, :title, :listen, :port, "
		":is_default, :implicit_tls, :present, :cert_file, :cert_pem, :cert_trouble, :served_pem, :served_sha256, "
		":served_trouble, :served_at, :certificate, :certificate_set, :ours, :listen_wanted, :kind, :run, "
		":run_wanted, :second, :second_pem, :second_served, :log_service)",
	[ST_VSERVER_UPDATE] = "UPDATE vserver SET rev = rev + 1, server = :server, name = :name, title = :title, "
		"listen = :listen, port = :port, is_default = :is_default, implicit_tls = :implicit_tls, present = :present, "
		"cert_file = :cert_file, cert_pem = :cert_pem, cert_trouble = :cert_trouble, served_pem = :served_pem, "
		"served_sha256 = :served_sha256, served_trouble = :served_trouble, served_at = :served_at, "
		"certificate = :certificate, certificate_set = :certificate_set, ours = :ours, listen_wanted = :listen_wanted, "
		"kind = :kind, run = :run, run_wanted = :run_wanted, second = :second, second_pem = :second_pem, "
		"second_served = :second_served, log_service = :log_service WHERE id = :id AND rev = :rev",
	[ST_VSERVER_DELETE] = "DELETE FROM vserver WHERE id = ?",
	[ST_VSERVER_FACTS_DELETE] = "DELETE FROM fact WHERE name = 'run:' || ?",

	[ST_FOUND_LIST] = "SELECT name, value, native, source FROM found WHERE vserver = ? ORDER BY place",
	[ST_FOUND_INSERT] = "INSERT INTO found (vserver, place, name, value, native, source) VALUES (?, ?, ?, ?, ?, ?)",
	[ST_FOUND_CLEAR] = "DELETE FROM found WHERE vserver = ?",

	[ST_WANTED_SET] = "INSERT INTO wanted (scope, server, vserver, name, value) VALUES (?, ?, ?, ?, ?) "
		"ON CONFLICT (scope, ifnull(server, 0), ifnull(vserver, 0), name) DO UPDATE SET value = excluded.value",
	[ST_WANTED_UNSET] = "DELETE FROM wanted WHERE scope = ? AND server IS ? AND vserver IS ? AND name = ?",
	/* beside max() SQLite gives the other columns of the row that has the maximum: the nearest scope wins */
	[ST_WANTED_EFFECTIVE] = "SELECT name, value, scope, "
		"max(CASE scope WHEN 'vs' THEN 2 WHEN 'server' THEN 1 ELSE 0 END) AS nearness FROM wanted "
		"WHERE vserver = ?1 OR server = (SELECT server FROM vserver WHERE id = ?1) OR scope = 'site' "
		"GROUP BY name ORDER BY name",

	[ST_REQUEST_LIST] = "SELECT " REQUEST_COLUMNS " FROM request WHERE ?1 = 0 OR vserver = ?1 ORDER BY created_at, id",
	[ST_REQUEST_GET] = "SELECT " REQUEST_COLUMNS " FROM request WHERE id = ?",
	[ST_REQUEST_INSERT] = "INSERT INTO request (rev, vserver, name, cn, o, ou, c, st, l, san, kind, key_server, key_path, "
		"spki_sha256, pem, sha256, out_file, authority, state, created_at, certificate, second) VALUES (1, :vserver, :name, :cn, "
		":o, :ou, :c, :st, :l, :san, :kind, :key_server, :key_path, :spki_sha256, :pem, :sha256, :out_file, "
		":authority, :state, :created_at, :certificate, :second)",
	[ST_REQUEST_UPDATE] = "UPDATE request SET rev = rev + 1, vserver = :vserver, name = :name, cn = :cn, o = :o, ou = :ou, "
		"c = :c, st = :st, l = :l, san = :san, kind = :kind, key_server = :key_server, key_path = :key_path, "
		"spki_sha256 = :spki_sha256, pem = :pem, sha256 = :sha256, out_file = :out_file, authority = :authority, "
		"state = :state, created_at = :created_at, certificate = :certificate, second = :second WHERE id = :id AND rev = :rev",

	[ST_CERTIFICATE_LIST] = "SELECT " CERTIFICATE_COLUMNS " FROM certificate ORDER BY name, id",
	[ST_CERTIFICATE_GET] = "SELECT " CERTIFICATE_COLUMNS " FROM certificate WHERE id = ?",
	[ST_CERTIFICATE_BY_SHA256] = "SELECT " CERTIFICATE_COLUMNS " FROM certificate WHERE sha256 = ? ORDER BY id LIMIT 1",
	[ST_CERTIFICATE_INSERT] = "INSERT INTO certificate (rev, name, subject, issuer, cn, san, not_before, not_after, serial, "
		"sha256, spki_sha256, key_type, key_bits, key_server, key_path, sealed_key, pem, authority, request, created_at) VALUES (1, "
		":name, :subject, :issuer, :cn, :san, :not_before, :not_after, :serial, :sha256, :spki_sha256, :key_type, "
		":key_bits, :key_server, :key_path, :sealed_key, :pem, :authority, :request, :created_at)",
	[ST_CERTIFICATE_UPDATE] = "UPDATE certificate SET rev = rev + 1, name = :name, subject = :subject, issuer = :issuer, "
		"cn = :cn, san = :san, not_before = :not_before, not_after = :not_after, serial = :serial, sha256 = :sha256, "
		"spki_sha256 = :spki_sha256, key_type = :key_type, key_bits = :key_bits, key_server = :key_server, "
		"key_path = :key_path, sealed_key = :sealed_key, pem = :pem, authority = :authority, request = :request, created_at = :created_at "
		"WHERE id = :id AND rev = :rev",

	[ST_AUTHORITY_LIST] = "SELECT " AUTHORITY_COLUMNS " FROM authority ORDER BY name",
	[ST_AUTHORITY_GET] = "SELECT " AUTHORITY_COLUMNS " FROM authority WHERE id = ?",
	[ST_AUTHORITY_BY_NAME] = "SELECT " AUTHORITY_COLUMNS " FROM authority WHERE name = ?",
	[ST_AUTHORITY_INSERT] = "INSERT INTO authority (rev, name, kind, subject, pem, sealed_key, policy, days, not_after, "
		"created_at, crl_number, directory, anchors, challenge, contact, account, terms) VALUES (1, :name, :kind, :subject, "
		":pem, :sealed_key, :policy, :days, :not_after, :created_at, :crl_number, :directory, :anchors, :challenge, :contact, "
		":account, :terms)",
	[ST_AUTHORITY_UPDATE] = "UPDATE authority SET rev = rev + 1, name = :name, kind = :kind, subject = :subject, pem = :pem, "
		"sealed_key = :sealed_key, policy = :policy, days = :days, not_after = :not_after, created_at = :created_at, "
		"crl_number = :crl_number, directory = :directory, anchors = :anchors, challenge = :challenge, contact = :contact, "
		"account = :account, terms = :terms WHERE id = :id AND rev = :rev",
	[ST_ACME_ORDER_LIST] = "SELECT " ACME_ORDER_COLUMNS " FROM acme_order WHERE ?1 = 0 OR authority = ?1 ORDER BY id",
	[ST_ACME_ORDER_GET] = "SELECT " ACME_ORDER_COLUMNS " FROM acme_order WHERE id = ?",
	[ST_ACME_ORDER_OF] = "SELECT " ACME_ORDER_COLUMNS " FROM acme_order WHERE request = ? ORDER BY id DESC LIMIT 1",
	[ST_ACME_ORDER_INSERT] = "INSERT INTO acme_order (rev, authority, request, url, state, token, trouble, created_at, "
		"changed_at, renew_from, renew_until, ask_again) VALUES (1, :authority, :request, :url, :state, :token, :trouble, "
		":created_at, :changed_at, :renew_from, :renew_until, :ask_again)",
	[ST_ACME_ORDER_UPDATE] = "UPDATE acme_order SET rev = rev + 1, authority = :authority, request = :request, url = :url, "
		"state = :state, token = :token, trouble = :trouble, created_at = :created_at, changed_at = :changed_at, "
		"renew_from = :renew_from, renew_until = :renew_until, ask_again = :ask_again WHERE id = :id AND rev = :rev",
	[ST_ISSUED_LIST] = "SELECT " ISSUED_COLUMNS " FROM issued WHERE ?1 = 0 OR authority = ?1 ORDER BY at, id",
	[ST_ISSUED_BY_SERIAL] = "SELECT " ISSUED_COLUMNS " FROM issued WHERE authority = ? AND serial = ?",
	[ST_ISSUED_REVOKE] = "UPDATE issued SET revoked_at = ?, reason = ? WHERE id = ? AND revoked_at = 0",
	[ST_ISSUED_INSERT] = "INSERT INTO issued (authority, serial, subject, not_after, at, sha256, pem) VALUES (:authority, "
		":serial, :subject, :not_after, :at, :sha256, :pem)",
	[ST_SUBMISSION_LIST] = "SELECT " SUBMISSION_COLUMNS " FROM submission WHERE ?1 = 0 OR authority = ?1 ORDER BY at, id",
	[ST_SUBMISSION_GET] = "SELECT " SUBMISSION_COLUMNS " FROM submission WHERE id = ?",
	[ST_SUBMISSION_OF] = "SELECT " SUBMISSION_COLUMNS " FROM submission WHERE request = ? ORDER BY id DESC LIMIT 1",
	[ST_SUBMISSION_INSERT] = "INSERT INTO submission (rev, authority, request, at, who, subject, san, spki_sha256, pem, state, "
		"why, decided_at, issued) VALUES (1, :authority, :request, :at, :who, :subject, :san, :spki_sha256, :pem, :state, "
		":why, :decided_at, :issued)",
	[ST_SUBMISSION_UPDATE] = "UPDATE submission SET rev = rev + 1, authority = :authority, request = :request, at = :at, "
		"who = :who, subject = :subject, san = :san, spki_sha256 = :spki_sha256, pem = :pem, state = :state, why = :why, "
		"decided_at = :decided_at, issued = :issued WHERE id = :id AND rev = :rev",

	[ST_CONNECTOR_LIST] = "SELECT " CONNECTOR_COLUMNS " FROM connector ORDER BY name",
	[ST_CONNECTOR_GET] = "SELECT " CONNECTOR_COLUMNS " FROM connector WHERE id = ?",
	[ST_CONNECTOR_BY_NAME] = "SELECT " CONNECTOR_COLUMNS " FROM connector WHERE name = ?",
	[ST_CONNECTOR_INSERT] = "INSERT INTO connector (rev, name, domains, route, smart_hosts, auth_user, auth_sealed, senders, "
		"delivery, via, tls, \"match\", reason, review, created_at) VALUES (1, :name, :domains, :route, :smart_hosts, "
		":auth_user, :auth_sealed, :senders, :delivery, :via, :tls, :match, :reason, :review, :created_at)",
	[ST_CONNECTOR_UPDATE] = "UPDATE connector SET rev = rev + 1, name = :name, domains = :domains, route = :route, "
		"smart_hosts = :smart_hosts, auth_user = :auth_user, auth_sealed = :auth_sealed, senders = :senders, "
		"delivery = :delivery, via = :via, tls = :tls, \"match\" = :match, reason = :reason, review = :review, created_at = :created_at "
		"WHERE id = :id AND rev = :rev",
	[ST_CONNECTOR_DELETE] = "DELETE FROM connector WHERE id = ?",

	[ST_PUSH_LIST] = "SELECT " PUSH_COLUMNS " FROM push WHERE ?1 = 0 OR server = ?1 ORDER BY started_at DESC, id DESC",
	[ST_PUSH_GET] = "SELECT " PUSH_COLUMNS " FROM push WHERE id = ?",
	[ST_PUSH_INSERT] = "INSERT INTO push (server, started_at, ended_at, generation, result, plan_text, steps) VALUES "
		"(:server, :started_at, :ended_at, :generation, :result, :plan_text, :steps)",
	[ST_PUSH_UPDATE] = "UPDATE push SET server = :server, started_at = :started_at, ended_at = :ended_at, "
		"generation = :generation, result = :result, plan_text = :plan_text, steps = :steps WHERE id = :id",

	[ST_QUEUE_CELL_NOTE] = "INSERT INTO queue_cell (server, grouping, key, span, at, messages, high, oldest) VALUES (?, ?, ?, ?, ?, ?6, ?6, ?7) "
		"ON CONFLICT (grouping, key, span, server, at) DO UPDATE SET messages = excluded.messages, oldest = excluded.oldest, "
		"high = max(high, excluded.high) WHERE messages <> excluded.messages OR oldest <> excluded.oldest",
	/* + keeps SQLite from going through all cells of the last hour instead, whatever their key */
	[ST_QUEUE_CELLS] = "SELECT server, at, messages, high, oldest FROM queue_cell WHERE grouping = ? AND key = ? AND span = ? "
		"AND (server, at) > (?, ?) AND +at >= ? ORDER BY server, at LIMIT ?",
	[ST_QUEUE_CELLS_OF] = "SELECT at, messages, high, oldest FROM queue_cell WHERE grouping = ? AND key = ? AND span = ? AND server = ? "
		"AND at >= ? ORDER BY at",
	[ST_QUEUE_CELLS_PRUNE] = "DELETE FROM queue_cell WHERE (grouping, key, span, server, at) IN (SELECT grouping, key, span, server, at "
		"FROM queue_cell WHERE span = ? AND at < ? LIMIT ?)",

	[ST_WORKAROUND_LIST] = "SELECT " WORKAROUND_COLUMNS " FROM workaround ORDER BY state = 'ended', domain, id DESC",
	[ST_WORKAROUND_GET] = "SELECT " WORKAROUND_COLUMNS " FROM workaround WHERE id = ?",
	[ST_WORKAROUND_OF] = "SELECT " WORKAROUND_COLUMNS " FROM workaround WHERE domain = ? AND state <> 'ended'",
	[ST_WORKAROUND_INSERT] = "INSERT INTO workaround (rev, domain, servers, connector, level, target, port, reason, evidence, owner, "
		"since, review_at, state, changed_at, falls, used_at, log_at, proof, in_clear) VALUES (1, :domain, :servers, "
		":connector, :level, :target, :port, :reason, :evidence, :owner, :since, :review_at, :state, :changed_at, :falls, "
		":used_at, :log_at, :proof, :in_clear)",
	[ST_WORKAROUND_UPDATE] = "UPDATE workaround SET rev = rev + 1, domain = :domain, servers = :servers, connector = :connector, "
		"level = :level, target = :target, port = :port, reason = :reason, evidence = :evidence, owner = :owner, "
		"since = :since, review_at = :review_at, state = :state, changed_at = :changed_at, falls = :falls, "
		"used_at = :used_at, log_at = :log_at, proof = :proof, in_clear = :in_clear "
		"WHERE id = :id AND rev = :rev",
	[ST_WORKAROUND_LOOKS] = "SELECT server, last_at, good_since, good, bad, stuck, mark_at, text FROM workaround_look WHERE workaround = ? ORDER BY server",
	[ST_WORKAROUND_LOOK_SET] = "INSERT INTO workaround_look (workaround, server, last_at, good_since, good, bad, stuck, mark_at, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
		"ON CONFLICT (workaround, server) DO UPDATE SET last_at = excluded.last_at, good_since = excluded.good_since, "
		"good = excluded.good, bad = excluded.bad, stuck = excluded.stuck, mark_at = excluded.mark_at, text = excluded.text",
	[ST_WORKAROUND_LOOK_CLEAR] = "DELETE FROM workaround_look WHERE workaround = ?",

	[ST_TRAFFIC_LIST] = "SELECT direction, peer, nullif(service, '') AS service, messages, clear, waiting, oldest, newest, last_at FROM traffic "
		"WHERE server = ?1 AND (?2 IS NULL OR direction = ?2) ORDER BY clear DESC, messages DESC, peer, service",
	[ST_TRAFFIC_ADD] = "INSERT INTO traffic (server, direction, peer, service, messages, clear, waiting, oldest, newest, last_at) "
		"VALUES (?, ?, ?, ifnull(?, ''), ?, ?, ?, ?, ?, ?)",
	[ST_TRAFFIC_CLEAR] = "DELETE FROM traffic WHERE server = ?",

	[ST_DRAFT_SET] = "INSERT INTO draft (key, text) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET text = excluded.text",
	[ST_DRAFT_GET] = "SELECT text FROM draft WHERE key = ?",
	[ST_DRAFT_DELETE] = "DELETE FROM draft WHERE key = ?",

	[ST_ACTIVITY_LAST] = "SELECT hash FROM activity ORDER BY id DESC LIMIT 1",
	[ST_ACTIVITY_INSERT] = "INSERT INTO activity (id, at, who, server, verb, text, result, hash) VALUES (:id, :at, :who, "
		":server, :verb, :text, :result, :hash)",
	[ST_ACTIVITY_LIST] = "SELECT " ACTIVITY_COLUMNS " FROM activity ORDER BY id DESC LIMIT ?",
	[ST_ACTIVITY_WALK] = "SELECT " ACTIVITY_COLUMNS " FROM activity ORDER BY id",
	/* the highest id ever given, which SQLite keeps beside the table */
	[ST_ACTIVITY_COUNT] = "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'activity'), 0)",

	[ST_FACT_SET] = "INSERT INTO fact (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	[ST_FACT_GET] = "SELECT value FROM fact WHERE name = ?",
	[ST_FACT_DELETE] = "DELETE FROM fact WHERE name = ?",

	[ST_FOUND_RULE_LIST] = "SELECT kind, source, \"key\", value, trouble FROM found_rule WHERE server = ? ORDER BY place",
	[ST_FOUND_RULE_CLEAR] = "DELETE FROM found_rule WHERE server = ?",
	[ST_FOUND_RULE_INSERT] = "INSERT INTO found_rule (server, place, kind, source, \"key\", value, trouble) "
		"VALUES (?, ?, ?, ?, ?, ?, ?)",

	[ST_EDIT_LIST] = "SELECT id, at, who, text, undone FROM edit ORDER BY id DESC LIMIT ?",
	[ST_EDIT_GET] = "SELECT id, at, who, text, undone FROM edit WHERE id = ?",
	[ST_EDIT_NEWEST] = "SELECT id, at, who, text, undone FROM edit WHERE NOT undone ORDER BY id DESC LIMIT 1",
	/* the one undone last: what is undone is undone from the newest on; a new edit ends that */
	[ST_EDIT_NEXT_AGAIN] = "SELECT id, at, who, text, undone FROM edit WHERE undone AND id > ifnull((SELECT max(id) FROM edit WHERE "
		"NOT undone), 0) ORDER BY id LIMIT 1",
	[ST_EDIT_SINCE] = "SELECT id, at, who, text, undone FROM edit WHERE id > ? AND NOT undone AND EXISTS (SELECT 1 FROM "
		"edit_row r WHERE r.edit = edit.id AND r.noun = ? AND r.\"key\" = ?) ORDER BY id DESC LIMIT 1",
	[ST_EDIT_TOUCHES] = "SELECT count(*) FROM edit_row r JOIN server s ON s.id = ?2 WHERE r.edit = ?1 AND CASE r.noun WHEN "
		"'wanted' THEN json_extract(r.\"key\", '$[0]') = 'site' OR json_extract(r.\"key\", '$[1]') IS s.id OR EXISTS "
		"(SELECT 1 FROM vserver v WHERE v.id = json_extract(r.\"key\", '$[2]') AND v.server = s.id) WHEN 'vserver' "
		"THEN json_extract(ifnull(r.after, r.before), '$.server') = s.id ELSE instr(replace(' ' || "
		"ifnull(json_extract(r.before, '$.via'), '') || ' ' || ifnull(json_extract(r.after, '$.via'), '') || ' ', "
		"'/', ' '), ' ' || s.name || ' ') > 0 END",
	[ST_EDIT_INSERT] = "INSERT INTO edit (at, who, text) VALUES (?, ?, ?)",
	[ST_EDIT_MARK] = "UPDATE edit SET undone = ?2 WHERE id = ?1",
	[ST_EDIT_PRUNE] = "DELETE FROM edit WHERE id <= ?",
	[ST_EDIT_ROWS] = "SELECT place, noun, \"key\", before, after FROM edit_row WHERE edit = ? ORDER BY place",
	[ST_EDIT_ROW_INSERT] = "INSERT INTO edit_row (edit, place, noun, \"key\", before, after) VALUES (?, ?, ?, ?, ?, ?)",
	/* the state of one row as JSON, the row put to such a state, and taken away; ?1 is its key */
	[ST_EDIT_WANTED_KEY] = "SELECT json_array(?, ?, ?, ?)",
	[ST_EDIT_WANTED_READ] = "SELECT json_object('value', value) FROM wanted WHERE scope = json_extract(?1, '$[0]') AND server IS "
		"json_extract(?1, '$[1]') AND vserver IS json_extract(?1, '$[2]') AND name = json_extract(?1, '$[3]')",
	[ST_EDIT_WANTED_PUT] = "INSERT INTO wanted (scope, server, vserver, name, value) VALUES (json_extract(?1, '$[0]'), "
		"json_extract(?1, '$[1]'), json_extract(?1, '$[2]'), json_extract(?1, '$[3]'), json_extract(?2, "
		"'$.value')) ON CONFLICT (scope, ifnull(server, 0), ifnull(vserver, 0), name) DO UPDATE SET value = "
		"excluded.value",
	[ST_EDIT_WANTED_DROP] = "DELETE FROM wanted WHERE scope = json_extract(?1, '$[0]') AND server IS json_extract(?1, '$[1]') AND "
		"vserver IS json_extract(?1, '$[2]') AND name = json_extract(?1, '$[3]')",
	[ST_EDIT_VSERVER_READ] = "SELECT json_object('server', server, 'name', name, 'kind', kind, 'ours', ours, 'listen_wanted', "
		"listen_wanted, 'run_wanted', run_wanted, 'certificate', certificate, 'certificate_set', certificate_set, "
		"'second', second) "
		"FROM vserver WHERE id = CAST(?1 AS INTEGER)",
	[ST_EDIT_VSERVER_PUT] = "INSERT INTO vserver (id, rev, port, is_default, implicit_tls, present, served_at, listen, title, "
		"server, name, kind, ours, listen_wanted, run_wanted, certificate, certificate_set, second) VALUES (CAST(?1 AS INTEGER), 1, "
		/* "0.0.0.0:587": the digits at the end */
		"ifnull(CAST(substr(json_extract(?2, '$.listen_wanted'), length(rtrim(json_extract(?2, '$.listen_wanted'), '0123456789')) "
		"+ 1) AS INTEGER), 0), 0, ifnull(json_extract(?2, '$.kind'), '') = 'submissions', 0, 0, json_extract(?2, '$.listen_wanted'), "
		"'added: ' || json_extract(?2, '$.kind'), json_extract(?2, '$.server'), json_extract(?2, '$.name'), json_extract(?2, '$.kind'), "
		"json_extract(?2, '$.ours'), json_extract(?2, '$.listen_wanted'), json_extract(?2, '$.run_wanted'), "
		"json_extract(?2, '$.certificate'), json_extract(?2, '$.certificate_set'), json_extract(?2, '$.second')) ON CONFLICT (id) DO UPDATE SET "
		"rev = rev + 1, kind = excluded.kind, ours = excluded.ours, listen_wanted = excluded.listen_wanted, "
		"run_wanted = excluded.run_wanted, certificate = excluded.certificate, certificate_set = "
		"excluded.certificate_set, second = excluded.second",
	[ST_EDIT_VSERVER_DROP] = "DELETE FROM vserver WHERE id = CAST(?1 AS INTEGER)",
	[ST_EDIT_VSERVER_TAKE_AWAY] = "UPDATE vserver SET rev = rev + 1, ours = 'removed' WHERE id = CAST(?1 AS INTEGER) AND present",
	[ST_EDIT_CONNECTOR_READ] = "SELECT json_object('name', name, 'domains', domains, 'route', route, 'smart_hosts', smart_hosts, "
		"'auth_user', auth_user, 'auth_sealed', auth_sealed, 'senders', senders, 'delivery', delivery, 'via', "
		"via, 'tls', tls, 'match', \"match\", 'reason', reason, 'review', review, 'created_at', created_at) FROM "
		"connector WHERE id = CAST(?1 AS INTEGER)",
	[ST_EDIT_CONNECTOR_PUT] = "INSERT INTO connector (id, rev, name, domains, route, smart_hosts, auth_user, auth_sealed, senders, "
		"delivery, via, tls, \"match\", reason, review, created_at) VALUES (CAST(?1 AS INTEGER), 1, "
		"json_extract(?2, '$.name'), json_extract(?2, '$.domains'), json_extract(?2, '$.route'), json_extract(?2, "
		"'$.smart_hosts'), json_extract(?2, '$.auth_user'), json_extract(?2, '$.auth_sealed'), json_extract(?2, "
		"'$.senders'), json_extract(?2, '$.delivery'), json_extract(?2, '$.via'), json_extract(?2, '$.tls'), "
		"json_extract(?2, '$.match'), json_extract(?2, '$.reason'), json_extract(?2, '$.review'), "
		"json_extract(?2, '$.created_at')) ON CONFLICT (id) DO UPDATE SET rev = rev + 1, name = excluded.name, "
		"domains = excluded.domains, route = excluded.route, smart_hosts = excluded.smart_hosts, auth_user = "
		"excluded.auth_user, auth_sealed = excluded.auth_sealed, senders = excluded.senders, delivery = "
		"excluded.delivery, via = excluded.via, tls = excluded.tls, \"match\" = excluded.\"match\", reason = "
		"excluded.reason, review = excluded.review, created_at = excluded.created_at",
	[ST_EDIT_CONNECTOR_DROP] = "DELETE FROM connector WHERE id = CAST(?1 AS INTEGER)",
};

static sqlite3_stmt *
stmt_get(struct store *st, enum stmt_id id, struct err *e)
{
	sqlite3_stmt *q = st->stmts[id];

	if (q == NULL) {
		if (sqlite3_prepare_v3(st->db, statement_table[id], -1, SQLITE_PREPARE_PERSISTENT, &q, NULL) != SQLITE_OK) {
			db_fail(st, e, "asking the store");
			return NULL;
		}
		st->stmts[id] = q;
	}
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return q;
}

static void
bind_text(sqlite3_stmt *q, int i, const char *text)
{
	if (text == NULL)
		sqlite3_bind_null(q, i);
	else
		sqlite3_bind_text(q, i, text, -1, SQLITE_TRANSIENT);
}

static void
bind_ref(sqlite3_stmt *q, int i, int64_t id)
{
	if (id == 0)
		sqlite3_bind_null(q, i);
	else
		sqlite3_bind_int64(q, i, id);
}

static void
bind_args(sqlite3_stmt *q, const char *types, va_list ap)
{
	for (int i = 1; *types != '\0'; types++, i++)
		switch (*types) {
		case 'i':
			sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
			break;
		case 'r':
			bind_ref(q, i, va_arg(ap, int64_t));
			break;
		case 't':
			bind_text(q, i, va_arg(ap, const char *));
			break;
		default:
			abort();   /* a letter we do not have: found by the first test that runs the line */
		}
}

static const struct column *
column_find(const struct column *columns, const char *name)
{
	for (; columns->name != NULL; columns++)
		if (strcmp(columns->name, name) == 0)
			return columns;
	return NULL;
}

static void
bind_column(sqlite3_stmt *q, int i, const struct column *c, const char *at)
{
	switch (c->kind) {
	case COL_INT64:
		sqlite3_bind_int64(q, i, *(const int64_t *)(const void *)at);
		break;
	case COL_REF:
		bind_ref(q, i, *(const int64_t *)(const void *)at);
		break;
	case COL_INT:
		sqlite3_bind_int(q, i, *(const int *)(const void *)at);
		break;
	case COL_BOOL:
		sqlite3_bind_int(q, i, *(const bool *)(const void *)at ? 1 : 0);
		break;
	case COL_TEXT:
		bind_text(q, i, *(char *const *)(const void *)at);
		break;
	case COL_WORD:
		bind_text(q, i, c->word(*(const int *)(const void *)at));
		break;
	}
}

static void
bind_record(sqlite3_stmt *q, const struct column *columns, const void *record)
{
	for (int i = 1; i <= sqlite3_bind_parameter_count(q); i++) {
		const struct column *c = column_find(columns, sqlite3_bind_parameter_name(q, i) + 1);

		if (c == NULL)
			abort();   /* a parameter without a column: found by the first test that saves such a record */
		bind_column(q, i, c, (const char *)record + c->at);
	}
}

static int
finish(struct store *st, sqlite3_stmt *q, int64_t *changed, struct err *e)
{
	int rc = sqlite3_step(q), bad = 0;

	if (rc == SQLITE_ROW)
		rc = SQLITE_DONE;
	if (rc != SQLITE_DONE)
		bad = db_fail(st, e, "writing to the store");
	else if (changed != NULL)
		*changed = sqlite3_changes64(st->db);
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
	return bad;
}

int
db_run(struct store *st, enum stmt_id id, int64_t *changed, struct err *e, const char *types, ...)
{
	sqlite3_stmt *q = stmt_get(st, id, e);
	va_list ap;

	if (q == NULL)
		return -1;
	va_start(ap, types);
	bind_args(q, types, ap);
	va_end(ap);
	return finish(st, q, changed, e);
}

int
db_row_run(struct store *st, enum stmt_id id, int64_t *changed, const struct column *columns, const void *record, struct err *e)
{
	sqlite3_stmt *q = stmt_get(st, id, e);

	if (q == NULL)
		return -1;
	bind_record(q, columns, record);
	return finish(st, q, changed, e);
}

int
db_query(struct store *st, sqlite3_stmt **q, enum stmt_id id, struct err *e, const char *types, ...)
{
	va_list ap;

	*q = stmt_get(st, id, e);
	if (*q == NULL)
		return -1;
	va_start(ap, types);
	bind_args(*q, types, ap);
	va_end(ap);
	return 0;
}

int
db_next(struct store *st, sqlite3_stmt *q, struct err *e)
{
	int rc = sqlite3_step(q), bad = 0;

	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		bad = db_fail(st, e, "reading the store");
	db_end(q);
	return bad;
}

void
db_end(sqlite3_stmt *q)
{
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
}

static char *
text_of(sqlite3_stmt *q, int i)
{
	return xstrdup((const char *)sqlite3_column_text(q, i));
}

static int
word_value(const struct column *c, const char *word)
{
	for (int i = 0; word != NULL && i < c->words; i++)
		if (strcmp(c->word(i), word) == 0)
			return i;
	return 0;
}

void
db_row_read(sqlite3_stmt *q, const struct column *columns, void *record)
{
	for (int i = 0; i < sqlite3_column_count(q); i++) {
		const struct column *c = column_find(columns, sqlite3_column_name(q, i));
		char *at;

		if (c == NULL)
			continue;
		at = (char *)record + c->at;
		switch (c->kind) {
		case COL_INT64:
		case COL_REF:
			*(int64_t *)(void *)at = sqlite3_column_int64(q, i);
			break;
		case COL_INT:
			*(int *)(void *)at = sqlite3_column_int(q, i);
			break;
		case COL_BOOL:
			*(bool *)(void *)at = sqlite3_column_int(q, i) != 0;
			break;
		case COL_TEXT:
			*(char **)(void *)at = text_of(q, i);
			break;
		case COL_WORD:
			*(int *)(void *)at = word_value(c, (const char *)sqlite3_column_text(q, i));
			break;
		}
	}
}

int
db_row_get(struct store *st, enum stmt_id id, const struct column *columns, void *record, struct err *e, const char *types, ...)
{
	sqlite3_stmt *q = stmt_get(st, id, e);
	va_list ap;
	int found;

	if (q == NULL)
		return -1;
	va_start(ap, types);
	bind_args(q, types, ap);
	va_end(ap);
	found = db_next(st, q, e);
	if (found == 1) {
		db_row_read(q, columns, record);
		db_end(q);
	}
	return found;
}

int
db_text_get(struct store *st, enum stmt_id id, char **out, struct err *e, const char *types, ...)
{
	sqlite3_stmt *q = stmt_get(st, id, e);
	va_list ap;
	int found;

	*out = NULL;
	if (q == NULL)
		return -1;
	va_start(ap, types);
	bind_args(q, types, ap);
	va_end(ap);
	found = db_next(st, q, e);
	if (found == 1) {
		*out = text_of(q, 0);
		db_end(q);
	}
	return found;
}

int
db_number_get(struct store *st, enum stmt_id id, int64_t *out, struct err *e, const char *types, ...)
{
	sqlite3_stmt *q = stmt_get(st, id, e);
	va_list ap;
	int found;

	*out = 0;
	if (q == NULL)
		return -1;
	va_start(ap, types);
	bind_args(q, types, ap);
	va_end(ap);
	found = db_next(st, q, e);
	if (found == 1) {
		*out = sqlite3_column_int64(q, 0);
		db_end(q);
	}
	return found;
}

int
db_no_such(struct err *e, const char *noun, const char *name)
{
	return err_set(e, RC_NOTFOUND, "there is no %s \"%s\" in the store", noun, clean(name));
}

int
db_no_such_id(struct err *e, const char *noun, int64_t id)
{
	return err_set(e, RC_NOTFOUND, "there is no %s number %lld in the store", noun, (long long)id);
}

int
db_got(int found, struct err *e, const char *noun, const char *name, int64_t id)
{
	if (found != 0)
		return found < 0 ? -1 : 0;
	return name != NULL ? db_no_such(e, noun, name) : db_no_such_id(e, noun, id);
}

/* What the sentence calls a record: its name, or its number where it has none. */
static const char *
record_name(const struct noun *n, const void *record, char number[64])
{
	const char *name = n->name == NOWHERE ? NULL : *(char *const *)(const void *)((const char *)record + n->name);

	if (name != NULL && name[0] != '\0')
		return clean(name);
	sqlite3_snprintf(64, number, "%s %lld", n->word, (long long)*(const int64_t *)(const void *)((const char *)record + n->id));
	return number;
}

/* An update that touched nothing: somebody else was there between our reading and our saving. */
static int
lost_race(struct store *st, const struct noun *n, const void *record, struct err *e)
{
	char number[64];
	int64_t ignored;
	int found = db_number_get(st, n->get, &ignored, e, "i", *(const int64_t *)(const void *)((const char *)record + n->id));

	if (found < 0)
		return -1;
	if (found == 0) {
		err_set(e, RC_CONFLICT, "%s was removed from the store by another console since it was read",
		    record_name(n, record, number));
		return err_hint(e, "look at the list again");
	}
	err_set(e, RC_CONFLICT, "%s was changed by another console since it was read", record_name(n, record, number));
	return err_hint(e, "open it again and repeat the change: nothing of yours was stored");
}

int
db_row_save(struct store *st, const struct noun *n, void *record, struct err *e)
{
	int64_t *id = (int64_t *)(void *)((char *)record + n->id);
	int64_t *rev = n->rev == NOWHERE ? NULL : (int64_t *)(void *)((char *)record + n->rev);
	char number[64];
	int64_t changed = 0;
	struct err why = { 0 };

	if (db_row_run(st, *id == 0 ? n->insert : n->update, &changed, n->columns, record, &why) < 0) {
		if (why.code == RC_EXISTS)
			return err_set(e, RC_EXISTS, "there is already a %s named \"%s\"", n->word, record_name(n, record, number));
		if (e != NULL)
			*e = why;
		return err_wrap(e, "saving %s", record_name(n, record, number));
	}
	if (*id == 0) {
		*id = sqlite3_last_insert_rowid(st->db);
		if (rev != NULL)
			*rev = 1;
		return 0;
	}
	if (changed == 0)
		return lost_race(st, n, record, e);
	if (rev != NULL)
		++*rev;
	return 0;
}
