/* Every record of the store comes back as it went in: all fields, absent fields, UTF-8, texts that look like SQL. And: lost
 * races, what goes with a server, inheritance of settings, names that are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "db/db.h"
#include "mxseal/store.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

/* Texts that must be data and nothing else. */
static const char *const hostile[] = {
	"plain", "Gr\303\274n \342\234\224 \360\237\224\222", "x'; DROP TABLE server; --", "a\"b", "\\", "%s%n", "?1 :name @x",
	"line\nline\ttab\r", "\033[31mred", "\302\233", "\377\376 not UTF-8", " blanks ", "NULL", "0", "1e400",
};
#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))

static size_t turn;

/* A different text each time; prefixed so that names stay unique and free of slashes. */
static char *
text(void)
{
	turn++;
	return xasprintf("%zu %s", turn, hostile[turn % HOSTILE]);
}

static int
open_store(void **state)
{
	struct store *st = NULL;
	struct err e = { 0 };

	if (store_open(&st, ":memory:", &e) < 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	*state = st;
	return 0;
}

static int
close_store(void **state)
{
	store_close(*state);
	return 0;
}

#define OK(call) \
	do { \
		struct err e = { 0 }; \
		if ((call) != 0) \
			fail_msg("%s: %s", #call, e.text); \
	} while (0)
#define FAILS(call, rc) \
	do { \
		struct err e = { 0 }; \
		assert_int_equal((call), -1); \
		assert_int_equal(e.code, rc); \
		assert_true(e.text[0] != '\0'); \
	} while (0)

/* What a caller passes in and what it gets back: text by text. NULL stays NULL. */
static void
same_text(const char *a, const char *b, const char *field)
{
	if (a == NULL || b == NULL) {
		if (a != b)
			fail_msg("%s: \"%s\" became \"%s\"", field, a ? a : "(null)", b ? b : "(null)");
	} else if (strcmp(a, b) != 0) {
		fail_msg("%s: \"%s\" became \"%s\"", field, a, b);
	}
}
#define SAME(field) same_text(a->field, b->field, #field)
#define SAME_N(field) assert_int_equal(a->field, b->field)

static int64_t
a_server(struct store *st, const char *name)
{
	struct server s = { 0 };
	int64_t id;

	s.name = xstrdup(name);
	s.target = xstrdup("root@192.0.2.1:22");
	s.queue_messages = -1;
	OK(store_server_save(st, &s, &e));
	id = s.id;
	server_release(&s);
	return id;
}

static int64_t
a_vserver(struct store *st, int64_t server, const char *name, bool is_default)
{
	struct vserver v = { 0 };
	int64_t id;

	v.server = server;
	v.name = xstrdup(name);
	v.port = 25;
	v.is_default = is_default;
	OK(store_vserver_save(st, &v, &e));
	id = v.id;
	vserver_release(&v);
	return id;
}

static int64_t
a_certificate(struct store *st, int64_t key_server)
{
	struct certificate c = { 0 };
	int64_t id;

	c.pem = xstrdup("-----BEGIN CERTIFICATE-----\n");
	c.key_server = key_server;
	c.sha256 = xasprintf("%064zu", ++turn);
	OK(store_certificate_save(st, &c, &e));
	id = c.id;
	certificate_release(&c);
	return id;
}

/* --- round trips --- */

static void
server_fill(struct server *s)
{
	s->name = text(); s->target = text(); s->identity = text(); s->become = BECOME_SUDO; s->system = text();
	s->mailsys = text(); s->version = text(); s->config_dir = text(); s->host_name = text(); s->domain = text();
	s->os = text(); s->transport = text(); s->transport_why = text(); s->trouble = text(); s->trouble_code = text();
	s->base = text(); s->group = text();
	for (char *p = s->name; *p != '\0'; p++)   /* a slash parts server and virtual server */
		if (*p == '/')
			*p = '_';
	s->read_at = 1; s->tried_at = INT64_MAX; s->queue_messages = -1; s->generation = 7;
}

static void
server_same(const struct server *a, const struct server *b)
{
	SAME_N(id); SAME_N(rev); SAME(name); SAME(target); SAME(identity); SAME_N(become); SAME(system); SAME(mailsys);
	SAME(version); SAME(config_dir); SAME(host_name); SAME(domain); SAME(os); SAME(transport); SAME(transport_why);
	SAME_N(read_at); SAME_N(tried_at); SAME(trouble); SAME(trouble_code); SAME_N(queue_messages); SAME_N(generation);
	SAME(base); SAME(group);
}

static void
server_comes_back(void **state)
{
	struct store *st = *state;

	for (size_t i = 0; i < 2 * HOSTILE; i++) {
		struct server a = { 0 }, b, c;
		struct server_list all;

		server_fill(&a);
		OK(store_server_save(st, &a, &e));
		assert_int_equal(a.rev, 1);
		OK(store_server_get(st, a.id, &b, &e));
		server_same(&a, &b);
		OK(store_server_by_name(st, a.name, &c, &e));
		server_same(&a, &c);
		server_release(&b);
		/* again, with most of it gone */
		xset(&c.identity, NULL);
		xset(&c.trouble, NULL);
		xset(&c.base, "");
		c.become = BECOME_NONE;
		OK(store_server_save(st, &c, &e));
		assert_int_equal(c.rev, 2);
		OK(store_server_get(st, a.id, &b, &e));
		server_same(&c, &b);
		OK(store_servers(st, &all, &e));
		assert_int_equal(all.n, i + 1);
		server_list_release(&all);
		server_release(&a);
		server_release(&b);
		server_release(&c);
	}
}

static void
bare_records_are_fine(void **state)
{
	struct store *st = *state;
	struct server a = { 0 }, b;

	a.name = xstrdup("mx1");
	a.target = xstrdup("mx1");
	OK(store_server_save(st, &a, &e));
	OK(store_server_get(st, a.id, &b, &e));
	server_same(&a, &b);
	server_release(&a);
	server_release(&b);
}

static void
vserver_same(const struct vserver *a, const struct vserver *b)
{
	SAME_N(id); SAME_N(rev); SAME_N(server); SAME(name); SAME(title); SAME(listen); SAME_N(port); SAME_N(is_default);
	SAME_N(implicit_tls); SAME_N(present); SAME(cert_file); SAME(cert_pem); SAME(cert_trouble); SAME(served_pem);
	SAME(served_sha256); SAME(served_trouble); SAME_N(served_at); SAME_N(certificate); SAME_N(certificate_set);
	SAME_N(found.n);
	for (size_t i = 0; i < a->found.n; i++) {
		SAME(found.v[i].name); SAME(found.v[i].value); SAME(found.v[i].native); SAME(found.v[i].source);
	}
}

static void
vserver_comes_back(void **state)
{
	struct store *st = *state;
	int64_t server = a_server(st, "mx1"), certificate = a_certificate(st, 0);

	for (size_t i = 0; i < HOSTILE; i++) {
		struct vserver a = { 0 }, b;
		char *full;

		a.server = server;
		a.name = text(); a.title = text(); a.listen = text(); a.cert_file = text(); a.cert_pem = text();
		a.cert_trouble = text(); a.served_pem = text(); a.served_sha256 = text(); a.served_trouble = text();
		a.port = 65535; a.implicit_tls = i % 2; a.present = true; a.served_at = -1; a.certificate = certificate;
		a.certificate_set = true;
		for (size_t k = 0; k < i; k++) {
			struct found_value *f = found_value_list_add(&a.found);

			f->name = text();
			f->value = k % 2 ? text() : NULL;
			f->native = text();
			f->source = k % 3 ? text() : NULL;
		}
		OK(store_vserver_save(st, &a, &e));
		OK(store_vserver_get(st, a.id, &b, &e));
		vserver_same(&a, &b);
		vserver_release(&b);
		/* found values are replaced, not added */
		if (a.found.n > 0)
			found_value_release(&a.found.v[--a.found.n]);
		a.certificate = 0;
		OK(store_vserver_save(st, &a, &e));
		full = xasprintf("mx1/%s", a.name);
		OK(store_vserver_by_name(st, full, &b, &e));
		vserver_same(&a, &b);
		free(full);
		vserver_release(&a);
		vserver_release(&b);
	}
}

static void
vserver_names(void **state)
{
	struct store *st = *state;
	int64_t mx1 = a_server(st, "mx1"), mx2 = a_server(st, "mx2"), smtp = a_vserver(st, mx1, "smtp", true);
	struct vserver v;
	struct vserver_list all;

	a_vserver(st, mx1, "127.0.0.1:10025", false);
	a_vserver(st, mx1, "a/b", false);
	OK(store_vserver_by_name(st, "mx1", &v, &e));
	assert_int_equal(v.id, smtp);
	vserver_release(&v);
	OK(store_vserver_by_name(st, "mx1/smtp", &v, &e));
	assert_int_equal(v.id, smtp);
	vserver_release(&v);
	OK(store_vserver_by_name(st, "mx1/a/b", &v, &e));
	assert_string_equal(v.name, "a/b");
	vserver_release(&v);
	FAILS(store_vserver_by_name(st, "mx1/nothing", &v, &e), RC_NOTFOUND);
	FAILS(store_vserver_by_name(st, "mx2", &v, &e), RC_NOTFOUND);
	FAILS(store_vserver_by_name(st, "mx9/smtp", &v, &e), RC_NOTFOUND);
	FAILS(store_vserver_by_name(st, "", &v, &e), RC_NOTFOUND);
	FAILS(store_vserver_by_name(st, "/", &v, &e), RC_NOTFOUND);
	/* the default one first, then by name; all or of one server */
	OK(store_vservers(st, mx1, &all, &e));
	assert_int_equal(all.n, 3);
	assert_string_equal(all.v[0].name, "smtp");
	assert_string_equal(all.v[1].name, "127.0.0.1:10025");
	vserver_list_release(&all);
	OK(store_vservers(st, mx2, &all, &e));
	assert_int_equal(all.n, 0);
	OK(store_vservers(st, 0, &all, &e));
	assert_int_equal(all.n, 3);
	vserver_list_release(&all);
}

static void
request_comes_back(void **state)
{
	struct store *st = *state;
	int64_t server = a_server(st, "mx1"), vs = a_vserver(st, server, "smtp", true);
	struct request_list all;

	for (int kind = KEY_EC_P256; kind <= KEY_RSA_4096; kind++) {
		struct request r = { 0 }, back;
		const struct request *a = &r, *b = &back;

		r.vserver = vs;
		r.kind = (enum key_kind)kind;
		r.name = text(); r.subject.cn = text(); r.subject.o = text(); r.subject.ou = text(); r.subject.c = text();
		r.subject.st = text(); r.subject.l = text(); r.subject.san = text(); r.key_path = text(); r.spki_sha256 = text();
		r.pem = text(); r.sha256 = text(); r.out_file = text();
		r.state = xstrdup(kind % 2 ? "pending" : "dropped");
		r.key_server = server; r.created_at = 1000 - kind; r.certificate = kind % 2 ? a_certificate(st, server) : 0;
		OK(store_request_save(st, &r, &e));
		OK(store_request_get(st, r.id, &back, &e));
		SAME_N(id); SAME_N(rev); SAME_N(vserver); SAME(name); SAME(subject.cn); SAME(subject.o); SAME(subject.ou);
		SAME(subject.c); SAME(subject.st); SAME(subject.l); SAME(subject.san); SAME_N(kind); SAME_N(key_server);
		SAME(key_path); SAME(spki_sha256); SAME(pem); SAME(sha256); SAME(out_file); SAME_N(authority); SAME(state);
		SAME_N(created_at); SAME_N(certificate);
		xset(&back.state, "answered");
		OK(store_request_save(st, &back, &e));
		request_release(&r);
		request_release(&back);
	}
	OK(store_requests(st, 0, &all, &e));
	assert_int_equal(all.n, KEY_RSA_4096 + 1);
	for (size_t i = 1; i < all.n; i++)
		assert_true(all.v[i - 1].created_at <= all.v[i].created_at);
	request_list_release(&all);
	OK(store_requests(st, vs + 1, &all, &e));
	assert_int_equal(all.n, 0);
}

static void
certificate_comes_back(void **state)
{
	struct store *st = *state;
	int64_t server = a_server(st, "mx1");
	struct certificate r = { 0 }, back;
	const struct certificate *a = &r, *b = &back;
	struct certificate_list all;

	r.name = text(); r.subject = text(); r.issuer = text(); r.cn = text(); r.san = text(); r.serial = text();
	r.sha256 = text(); r.spki_sha256 = text(); r.key_type = text(); r.key_path = text(); r.pem = text();
	r.not_before = 1; r.not_after = 2; r.key_bits = 256; r.key_server = server; r.created_at = 3;
	OK(store_certificate_save(st, &r, &e));
	OK(store_certificate_by_sha256(st, r.sha256, &back, &e));
	SAME_N(id); SAME_N(rev); SAME(name); SAME(subject); SAME(issuer); SAME(cn); SAME(san); SAME_N(not_before);
	SAME_N(not_after); SAME(serial); SAME(sha256); SAME(spki_sha256); SAME(key_type); SAME_N(key_bits); SAME_N(key_server);
	SAME(key_path); SAME(pem); SAME_N(authority); SAME_N(request); SAME_N(created_at);
	xset(&back.name, "renamed");
	OK(store_certificate_save(st, &back, &e));
	OK(store_certificates(st, &all, &e));
	assert_int_equal(all.n, 1);
	assert_string_equal(all.v[0].name, "renamed");
	certificate_list_release(&all);
	certificate_release(&r);
	FAILS(store_certificate_get(st, 4711, &r, &e), RC_NOTFOUND);
	FAILS(store_certificate_by_sha256(st, "none", &r, &e), RC_NOTFOUND);
	certificate_release(&back);
}

static void
authority_comes_back(void **state)
{
	struct store *st = *state;
	struct authority r = { 0 }, back;
	const struct authority *a = &r, *b = &back;
	struct authority_list all;
	struct issued i = { 0 };
	struct issued_list given;

	r.name = text(); r.kind = xstrdup("own"); r.subject = text(); r.pem = text(); r.sealed_key = text();
	r.policy = xstrdup("ask"); r.days = 90; r.not_after = 4; r.created_at = 5;
	OK(store_authority_save(st, &r, &e));
	OK(store_authority_by_name(st, r.name, &back, &e));
	SAME_N(id); SAME_N(rev); SAME(name); SAME(kind); SAME(subject); SAME(pem); SAME(sealed_key); SAME(policy); SAME_N(days);
	SAME_N(not_after); SAME_N(created_at);
	back.days = 30;
	OK(store_authority_save(st, &back, &e));
	OK(store_authorities(st, &all, &e));
	assert_int_equal(all.n, 1);
	assert_int_equal(all.v[0].days, 30);
	authority_list_release(&all);
	i.authority = r.id;
	i.serial = xstrdup("0a"); i.subject = text(); i.sha256 = text(); i.pem = text(); i.not_after = 6; i.at = 7;
	OK(store_issued_add(st, &i, &e));
	FAILS(store_issued_add(st, &i, &e), RC_EXISTS);   /* a serial is given once */
	OK(store_issued(st, r.id, &given, &e));
	assert_int_equal(given.n, 1);
	same_text(given.v[0].subject, i.subject, "subject");
	same_text(given.v[0].serial, i.serial, "serial");
	same_text(given.v[0].sha256, i.sha256, "sha256");
	same_text(given.v[0].pem, i.pem, "pem");
	assert_int_equal(given.v[0].not_after, 6);
	assert_int_equal(given.v[0].at, 7);
	issued_list_release(&given);
	issued_release(&i);
	authority_release(&r);
	authority_release(&back);
}

static void
connector_comes_back(void **state)
{
	struct store *st = *state;
	struct connector r = { 0 }, back;
	const struct connector *a = &r, *b = &back;
	struct connector_list all;

	r.name = text(); r.domains = text(); r.route = text(); r.via = text(); r.tls = text(); r.match = text();
	r.reason = text(); r.review = text(); r.created_at = 9;
	OK(store_connector_save(st, &r, &e));
	OK(store_connector_by_name(st, r.name, &back, &e));
	SAME_N(id); SAME_N(rev); SAME(name); SAME(domains); SAME(route); SAME(via); SAME(tls); SAME(match); SAME(reason);
	SAME(review); SAME_N(created_at);
	xset(&back.match, NULL);
	OK(store_connector_save(st, &back, &e));
	OK(store_connectors(st, &all, &e));
	assert_int_equal(all.n, 1);
	assert_null(all.v[0].match);
	connector_list_release(&all);
	OK(store_connector_delete(st, r.id, &e));
	FAILS(store_connector_delete(st, r.id, &e), RC_NOTFOUND);
	connector_release(&r);
	connector_release(&back);
}

static void
push_comes_back(void **state)
{
	struct store *st = *state;
	int64_t server = a_server(st, "mx1");
	struct push_record_list all;

	for (int i = 0; i < 3; i++) {
		struct push_record r = { 0 };

		r.server = server; r.started_at = 100 + i; r.generation = i; r.result = xstrdup("applying"); r.plan_text = text();
		OK(store_push_save(st, &r, &e));
		xset(&r.result, "kept");
		r.steps = text();
		r.ended_at = 200 + i;
		OK(store_push_save(st, &r, &e));
		OK(store_pushes(st, server, &all, &e));
		assert_int_equal(all.n, (size_t)i + 1);
		same_text(all.v[0].result, "kept", "result");   /* the newest is the first */
		same_text(all.v[0].plan_text, r.plan_text, "plan_text");
		same_text(all.v[0].steps, r.steps, "steps");
		assert_int_equal(all.v[0].ended_at, 200 + i);
		assert_int_equal(all.v[0].generation, i);
		push_record_list_release(&all);
		xset(&r.result, "wonderful");
		FAILS(store_push_save(st, &r, &e), RC_INVALID);
		push_record_release(&r);
	}
}

static void
queue_cells_come_back(void **state)
{
	struct store *st = *state;
	int64_t server = a_server(st, "mx1"), other = a_server(st, "mx2"), hour = when_now() / QUEUE_HOUR * QUEUE_HOUR;
	struct queue_cell_list l;

	OK(store_queue_cell_note(st, server, "destination", "old.test", hour - 40 * 86400, 1, 1, &e));
	OK(store_queue_cell_note(st, server, "destination", "b'ank.test", hour - 600, 10, hour - 9000, &e));
	OK(store_queue_cell_note(st, server, "destination", "b'ank.test", hour, 14, hour - 9600, &e));
	OK(store_queue_cell_note(st, server, "destination", "b'ank.test", hour + 299, 13, hour - 9500, &e));
	OK(store_queue_cell_note(st, other, "destination", "b'ank.test", hour + 10, 2, hour - 50, &e));
	OK(store_queue_cell_note(st, server, "sender", "b'ank.test", hour, 1, hour, &e));
	OK(store_queue_cells(st, server, "destination", "b'ank.test", QUEUE_CELL, 0, &l, &e));
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[0].at, hour - 600);
	assert_int_equal(l.v[1].messages, 13);       /* the last, the highest, the oldest of the last */
	assert_int_equal(l.v[1].high, 14);
	assert_int_equal(l.v[1].oldest, hour - 9500);
	free(l.v);
	OK(store_queue_cells(st, 0, "destination", "b'ank.test", QUEUE_HOUR, hour, &l, &e));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.v[0].messages, 15);       /* of both servers */
	free(l.v);
	assert_int_equal(store_queue_cells_prune(st, hour, 1, NULL), 2);   /* one of either span */
	assert_int_equal(store_queue_cells_prune(st, hour, 1, NULL), 0);
	OK(store_queue_cells(st, server, "destination", "old.test", QUEUE_HOUR, 0, &l, &e));
	assert_int_equal(l.n, 0);
	FAILS(store_queue_cell_note(st, other + 1, "server", "", hour, 1, 1, &e), RC_CONFLICT);
}

/* A trend of all servers is read through its own cells only, also in pieces, however much else waits. */
static void
queue_cells_of_one_key_cost_their_own(void **state)
{
	struct store *st = *state;
	int64_t hour = when_now() / QUEUE_HOUR * QUEUE_HOUR, servers[20];
	struct queue_cells_walk w = { .grouping = "destination", .key = "d7.test", .span = QUEUE_CELL, .since = hour };
	struct queue_cell_list l = { NULL, 0 };
	size_t i, pieces = 0;
	int more, k;

	for (i = 0; i < 20; i++) {
		char name[16], key[16];

		snprintf(name, sizeof(name), "mx%zu", i);
		servers[i] = a_server(st, name);
		for (k = 0; k < 40; k++) {
			snprintf(key, sizeof(key), "d%d.test", k);
			OK(store_queue_cell_note(st, servers[i], "destination", key, hour + 3600, 5, hour + (int64_t)i, NULL));
			OK(store_queue_cell_note(st, servers[i], "destination", key, hour, 3, hour + 100 + (int64_t)i, NULL));
		}
	}
	while ((more = store_queue_cells_some(st, &w, 7, &l, NULL)) == 1)
		pieces++;
	assert_int_equal(more, 0);
	assert_int_equal(pieces, 5);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[0].at, hour);
	assert_int_equal(l.v[0].messages, 60);
	assert_int_equal(l.v[0].oldest, hour + 100);
	assert_int_equal(l.v[1].messages, 100);
	assert_int_equal(l.v[1].oldest, hour);
	free(l.v);
	(void)sqlite3_stmt_status(st->stmts[ST_QUEUE_CELLS], SQLITE_STMTSTATUS_VM_STEP, 1);
	OK(store_queue_cells(st, 0, "destination", "d8.test", QUEUE_CELL, hour, &l, NULL));
	assert_int_equal(l.n, 2);
	assert_true(sqlite3_stmt_status(st->stmts[ST_QUEUE_CELLS], SQLITE_STMTSTATUS_VM_STEP, 1) < 40 * 30);
	free(l.v);
}

static void
drafts_and_facts(void **state)
{
	struct store *st = *state;
	char *back = NULL;

	FAILS(store_draft_get(st, "certificate mx1/smtp", &back, &e), RC_NOTFOUND);
	assert_null(back);
	for (size_t i = 0; i < HOSTILE; i++) {
		OK(store_draft_set(st, hostile[i], hostile[HOSTILE - 1 - i], &e));
		OK(store_fact_set(st, hostile[i], hostile[i], &e));
	}
	for (size_t i = 0; i < HOSTILE; i++) {
		OK(store_draft_get(st, hostile[i], &back, &e));
		assert_string_equal(back, hostile[HOSTILE - 1 - i]);
		free(back);
		OK(store_fact_get(st, hostile[i], &back, &e));
		assert_string_equal(back, hostile[i]);
		free(back);
	}
	OK(store_draft_set(st, "plain", NULL, &e));
	FAILS(store_draft_get(st, "plain", &back, &e), RC_NOTFOUND);
	OK(store_draft_set(st, "plain", NULL, &e));
	FAILS(store_fact_get(st, "nothing", &back, &e), RC_NOTFOUND);
}

/* --- rules --- */

static void
a_lost_race_says_so(void **state)
{
	struct store *st = *state;
	struct server a, b;
	struct err why = { 0 };
	int64_t id = a_server(st, "mx1");

	OK(store_server_get(st, id, &a, &e));
	OK(store_server_get(st, id, &b, &e));
	xset(&a.os, "first");
	OK(store_server_save(st, &a, &e));
	xset(&b.os, "second");
	assert_int_equal(store_server_save(st, &b, &why), -1);
	assert_int_equal(why.code, RC_CONFLICT);
	assert_string_equal(why.text, "mx1 was changed by another console since it was read");
	assert_true(why.hint[0] != '\0');
	server_release(&b);
	OK(store_server_get(st, id, &b, &e));
	assert_string_equal(b.os, "first");
	OK(store_server_delete(st, id, &e));
	assert_int_equal(store_server_save(st, &b, &why), -1);
	assert_int_equal(why.code, RC_CONFLICT);
	assert_string_equal(why.text, "mx1 was removed from the store by another console since it was read");
	server_release(&a);
	server_release(&b);
}

static void
a_lost_race_keeps_found_values(void **state)
{
	struct store *st = *state;
	int64_t id = a_vserver(st, a_server(st, "mx1"), "smtp", true);
	struct vserver a, b;

	OK(store_vserver_get(st, id, &a, &e));
	OK(store_vserver_get(st, id, &b, &e));
	xset(&found_value_list_add(&a.found)->name, "inbound.tls");
	OK(store_vserver_save(st, &a, &e));
	FAILS(store_vserver_save(st, &b, &e), RC_CONFLICT);
	assert_int_equal(b.rev, 1);
	vserver_release(&b);
	OK(store_vserver_get(st, id, &b, &e));
	assert_int_equal(b.found.n, 1);
	vserver_release(&a);
	vserver_release(&b);
}

static void
names_are_taken_once(void **state)
{
	struct store *st = *state;
	struct server s = { 0 };
	struct err why = { 0 };

	a_server(st, "mx1");
	s.name = xstrdup("mx1");
	s.target = xstrdup("elsewhere");
	assert_int_equal(store_server_save(st, &s, &why), -1);
	assert_int_equal(why.code, RC_EXISTS);
	assert_string_equal(why.text, "there is already a server named \"mx1\"");
	assert_int_equal(s.id, 0);
	xset(&s.name, "with/slash");
	FAILS(store_server_save(st, &s, &e), RC_INVALID);
	xset(&s.name, "");
	FAILS(store_server_save(st, &s, &e), RC_INVALID);
	xset(&s.name, NULL);
	FAILS(store_server_save(st, &s, &e), RC_INVALID);
	server_release(&s);
}

/* Is it there? put: it is from now on. */
static bool
fact_of(struct store *st, const char *word, int64_t id, bool put)
{
	char *name = xasprintf("%s:%lld", word, (long long)id), *text = NULL;
	struct err e;
	bool there = (put ? store_fact_set(st, name, "x", &e) : store_fact_get(st, name, &text, &e)) == 0;

	free(name);
	free(text);
	return there;
}

static void
what_goes_with_a_server(void **state)
{
	static const char *const facts[] = { "pushed", "drift-left", "touched", "mx-names", "by-sni", "file-troubles", "addresses", "traffic",
		"queue-tls", "push-state", "instances", "warnings", NULL };
	struct store *st = *state;
	int64_t mx1 = a_server(st, "mx1"), mx10 = a_server(st, "mx10"), vs = a_vserver(st, mx1, "smtp", true);
	int64_t other = a_vserver(st, mx10, "smtp", true), certificate = a_certificate(st, mx1), verified = 0;
	struct request r = { .vserver = vs, .key_server = mx1 };
	struct push_record p = { .server = mx1 };
	struct certificate c;
	struct vserver_list vservers;
	struct request_list requests;
	struct push_record_list pushes;
	struct activity_list history;
	struct wanted_list wanted;
	struct queue_cell_list cells;
	char *draft;

	r.state = xstrdup("pending");
	p.result = xstrdup("kept");
	OK(store_request_save(st, &r, &e));
	OK(store_push_save(st, &p, &e));
	OK(store_wanted_set(st, "server", mx1, "inbound.tls", "offer", &e));
	OK(store_wanted_set(st, "vs", vs, "inbound.tls", "require", &e));
	OK(store_wanted_set(st, "vs", other, "inbound.tls", "require", &e));
	OK(store_queue_cell_note(st, mx1, "destination", "bank.test", when_now(), 1, 1, &e));
	OK(store_draft_set(st, "certificate mx1/smtp", "{}", &e));
	OK(store_draft_set(st, "server mx1", "{}", &e));
	OK(store_draft_set(st, "certificate mx10/smtp", "{}", &e));
	OK(store_activity_add(st, "mx1", "server-add", "ok", &e, "mx1 was added"));
	for (size_t i = 0; facts[i] != NULL; i++) {
		fact_of(st, facts[i], mx1, true);
		fact_of(st, facts[i], mx10, true);
	}
	fact_of(st, "run", vs, true);
	fact_of(st, "run", other, true);
	OK(store_fact_set(st, "rehearsed:1:postfix/smtpd:require", "x", &e));
	OK(store_fact_set(st, "rehearsed:2:postfix/smtpd:require", "x", &e));

	OK(store_server_delete(st, mx1, &e));
	for (size_t i = 0; facts[i] != NULL; i++) {
		assert_false(fact_of(st, facts[i], mx1, false));
		assert_true(fact_of(st, facts[i], mx10, false));
	}
	assert_int_equal(mx1, 1);
	assert_int_equal(mx10, 2);
	FAILS(store_fact_get(st, "rehearsed:1:postfix/smtpd:require", &draft, &e), RC_NOTFOUND);
	OK(store_fact_get(st, "rehearsed:2:postfix/smtpd:require", &draft, &e));
	free(draft);
	assert_false(fact_of(st, "run", vs, false));
	assert_true(fact_of(st, "run", other, false));
	OK(store_vservers(st, 0, &vservers, &e));
	assert_int_equal(vservers.n, 1);
	vserver_list_release(&vservers);
	OK(store_requests(st, 0, &requests, &e));
	assert_int_equal(requests.n, 0);
	OK(store_pushes(st, 0, &pushes, &e));
	assert_int_equal(pushes.n, 0);
	OK(store_wanted(st, vs, &wanted, &e));
	assert_int_equal(wanted.n, 0);
	OK(store_wanted(st, other, &wanted, &e));
	assert_int_equal(wanted.n, 1);
	wanted_list_release(&wanted);
	OK(store_queue_cells(st, mx1, "destination", "bank.test", QUEUE_HOUR, 0, &cells, &e));
	assert_int_equal(cells.n, 0);
	FAILS(store_draft_get(st, "certificate mx1/smtp", &draft, &e), RC_NOTFOUND);
	FAILS(store_draft_get(st, "server mx1", &draft, &e), RC_NOTFOUND);
	OK(store_draft_get(st, "certificate mx10/smtp", &draft, &e));
	free(draft);
	/* what stays */
	OK(store_certificate_get(st, certificate, &c, &e));
	assert_int_equal(c.key_server, 0);
	certificate_release(&c);
	OK(store_activities(st, 0, &history, &e));
	assert_int_equal(history.n, 1);
	activity_list_release(&history);
	OK(store_activity_verify(st, &verified, &e));
	assert_int_equal(verified, 1);
	OK(store_vserver_delete(st, other, &e));
	assert_false(fact_of(st, "run", other, false));
	/* and a new server never gets the old number */
	assert_true(a_server(st, "mx1") > mx10);
	FAILS(store_server_delete(st, mx1, &e), RC_NOTFOUND);
	request_release(&r);
	push_record_release(&p);
}

static void
same_wanted(struct store *st, int64_t vs, const char *want)
{
	struct wanted_list l;
	struct str got = STR_INIT;

	OK(store_wanted(st, vs, &l, &e));
	for (size_t i = 0; i < l.n; i++)
		str_addf(&got, "%s=%s(%s) ", l.v[i].name, l.v[i].value, l.v[i].scope);
	assert_string_equal(got.s, want);
	wanted_list_release(&l);
	str_release(&got);
}

static void
the_nearest_setting_wins(void **state)
{
	struct store *st = *state;
	int64_t mx1 = a_server(st, "mx1"), mx2 = a_server(st, "mx2");
	int64_t smtp = a_vserver(st, mx1, "smtp", true), sub = a_vserver(st, mx1, "submission", false);
	int64_t two = a_vserver(st, mx2, "smtp", true);

	same_wanted(st, smtp, "");
	OK(store_wanted_set(st, "site", 0, "inbound.tls", "offer", &e));
	OK(store_wanted_set(st, "site", 0, "log.tls", "1", &e));
	OK(store_wanted_set(st, "server", mx1, "inbound.tls", "off", &e));
	OK(store_wanted_set(st, "vs", sub, "inbound.tls", "require", &e));
	same_wanted(st, smtp, "inbound.tls=off(server) log.tls=1(site) ");
	same_wanted(st, sub, "inbound.tls=require(vs) log.tls=1(site) ");
	same_wanted(st, two, "inbound.tls=offer(site) log.tls=1(site) ");
	OK(store_wanted_set(st, "vs", sub, "inbound.tls", "offer", &e));        /* again: replaced */
	same_wanted(st, sub, "inbound.tls=offer(vs) log.tls=1(site) ");
	OK(store_wanted_set(st, "vs", sub, "inbound.tls", NULL, &e));
	OK(store_wanted_set(st, "server", mx1, "inbound.tls", NULL, &e));
	OK(store_wanted_set(st, "server", mx1, "inbound.tls", NULL, &e));       /* gone already: fine */
	same_wanted(st, sub, "inbound.tls=offer(site) log.tls=1(site) ");
	FAILS(store_wanted_set(st, "vs", 4711, "inbound.tls", "offer", &e), RC_CONFLICT);
	FAILS(store_wanted_set(st, "everywhere", 1, "inbound.tls", "offer", &e), RC_BUG);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_store, close_store)
	const struct CMUnitTest tests[] = {
		TEST(server_comes_back),
		TEST(bare_records_are_fine),
		TEST(vserver_comes_back),
		TEST(vserver_names),
		TEST(request_comes_back),
		TEST(certificate_comes_back),
		TEST(authority_comes_back),
		TEST(connector_comes_back),
		TEST(push_comes_back),
		TEST(queue_cells_come_back),
		TEST(queue_cells_of_one_key_cost_their_own),
		TEST(drafts_and_facts),
		TEST(a_lost_race_says_so),
		TEST(a_lost_race_keeps_found_values),
		TEST(names_are_taken_once),
		TEST(what_goes_with_a_server),
		TEST(the_nearest_setting_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
