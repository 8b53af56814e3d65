/* The office of an own authority: what is submitted waits, is approved or denied once; what is revoked stands on the list, and
 * whoever asks that list refuses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/authority.h"
#include "mxseal/journey.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/pki.h"

static char *dir;
static struct journey *j;
static int64_t house;

static int
setup(void **state)
{
	struct secret pass = { NULL, 0 };
	struct err e = { 0 };
	char *path;

	(void)state;
	dir = fixture_dir();
	path = xasprintf("%s/store.db", dir);
	secret_set(&pass, "passphrase", 10);
	if (journey_open(&j, path, &e) == -1)
		fail_msg("%s", e.text);
	journey_passphrase(j, &pass);
	if (authority_add_own(j, &(struct authority_wish){ .name = "house", .cn = "House CA", .days = 3650 }, NULL, &house, &e) == -1)
		fail_msg("%s", e.text);
	secret_release(&pass);
	free(path);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	journey_close(j);
	fixture_remove(dir);
	free(dir);
	return 0;
}

/* A request made elsewhere. */
static int64_t
submit(EVP_PKEY *key, const char *cn, struct err *e)
{
	char *san = xasprintf("DNS:%s", cn);
	X509_REQ *req = pki_request(key, cn, san);
	struct str pem = STR_INIT;
	int64_t id = 0;

	pki_request_pem(req, &pem);
	if (authority_submit(j, house, 0, pem.s, pem.len, &id, e) == -1)
		id = -1;
	X509_REQ_free(req);
	str_release(&pem);
	free(san);
	return id;
}

static X509 *
certificate_in(const char *pem)
{
	BIO *b = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);

	BIO_free(b);
	assert_non_null(x);
	return x;
}

static void
approved_once(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct str pem = STR_INIT, said = STR_INIT;
	struct submission s = { .id = 0 };
	struct err e = { 0 };
	int64_t id = submit(key, "mx.bank.test", &e);
	X509 *x;

	(void)state;
	assert_true(id > 0);
	assert_int_equal(submit(key, "mx.bank.test", &e), -1);
	assert_int_equal(e.code, RC_EXISTS);
	if (authority_approve(j, id, &pem, &said, &e) == -1)
		fail_msg("%s", e.text);
	x = certificate_in(pem.s);
	assert_int_equal(X509_check_host(x, "mx.bank.test", 0, 0, NULL), 1);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), key), 1);
	assert_non_null(strstr(said.s, "CN=mx.bank.test"));
	assert_int_equal(store_submission_get(journey_store(j), id, &s, &e), 0);
	assert_string_equal(s.state, "issued");
	assert_true(s.issued > 0 && s.decided_at > 0);
	assert_int_equal(authority_approve(j, id, &pem, &said, &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(authority_deny(j, id, NULL, &e), -1);
	submission_release(&s);
	X509_free(x);
	EVP_PKEY_free(key);
	str_release(&pem);
	str_release(&said);
}

static void
denied(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct submission s = { .id = 0 };
	struct str pem = STR_INIT, said = STR_INIT;
	struct err e = { 0 };
	int64_t id = submit(key, "mx.evil.test", &e);

	(void)state;
	assert_int_equal(authority_deny(j, id, "nobody knows this host", &e), 0);
	assert_int_equal(store_submission_get(journey_store(j), id, &s, &e), 0);
	assert_string_equal(s.state, "denied");
	assert_string_equal(s.why, "nobody knows this host");
	assert_int_equal(authority_approve(j, id, &pem, &said, &e), -1);
	assert_int_equal(pem.len, 0);
	assert_true(submit(key, "mx.evil.test", &e) > 0);       /* the key may be submitted again */
	submission_release(&s);
	EVP_PKEY_free(key);
}

static void
without_a_passphrase_it_asks(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct str pem = STR_INIT, said = STR_INIT;
	struct secret pass = { NULL, 0 };
	struct err e = { 0 };
	int64_t id = submit(key, "mx3.bank.test", &e);
	size_t revoked;

	(void)state;
	secret_set(&pass, "wrong", 5);
	journey_passphrase(j, &pass);
	assert_int_equal(authority_approve(j, id, &pem, &said, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	assert_int_equal(authority_make_crl(j, house, 30, &pem, &revoked, &e), -1);
	assert_int_equal(e.code, RC_PASSPHRASE);
	assert_int_equal(pem.len, 0);
	secret_set(&pass, "passphrase", 10);
	journey_passphrase(j, &pass);
	assert_int_equal(authority_approve(j, id, &pem, &said, &e), 0);
	secret_release(&pass);
	EVP_PKEY_free(key);
	str_release(&pem);
	str_release(&said);
}

/* What a verifier that asks the list says of this certificate: X509_V_OK, X509_V_ERR_CERT_REVOKED ... */
static int
asked(X509 *leaf, X509 *root, const char *crl_pem)
{
	BIO *b = BIO_new_mem_buf(crl_pem, -1);
	X509_CRL *crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL);
	X509_STORE *trust = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int result;

	assert_non_null(crl);
	assert_int_equal(X509_STORE_add_cert(trust, root), 1);
	assert_int_equal(X509_STORE_add_crl(trust, crl), 1);
	X509_STORE_set_flags(trust, X509_V_FLAG_CRL_CHECK);
	assert_int_equal(X509_STORE_CTX_init(ctx, trust, leaf, NULL), 1);
	(void)X509_verify_cert(ctx);
	result = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(trust);
	X509_CRL_free(crl);
	BIO_free(b);
	ERR_clear_error();
	return result;
}

static int64_t
crl_number(const char *crl_pem)
{
	BIO *b = BIO_new_mem_buf(crl_pem, -1);
	X509_CRL *crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL);
	ASN1_INTEGER *n = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	int64_t number = 0;

	assert_int_equal(ASN1_INTEGER_get_int64(&number, n), 1);
	ASN1_INTEGER_free(n);
	X509_CRL_free(crl);
	BIO_free(b);
	return number;
}

static void
revoked_ones_are_refused_by_who_asks(void **state)
{
	struct str first = STR_INIT, second = STR_INIT, a_pem = STR_INIT, b_pem = STR_INIT, said = STR_INIT;
	EVP_PKEY *ka = EVP_EC_gen("P-256"), *kb = EVP_EC_gen("P-384");
	struct authority r = { .id = 0 };
	struct issued_list l = { NULL, 0 };
	struct err e = { 0 };
	X509 *a, *b, *root;
	const char *serial;
	size_t n = 9;

	(void)state;
	assert_int_equal(authority_approve(j, submit(ka, "a.bank.test", &e), &a_pem, &said, &e), 0);
	assert_int_equal(authority_approve(j, submit(kb, "b.bank.test", &e), &b_pem, &said, &e), 0);
	assert_int_equal(store_authority_get(journey_store(j), house, &r, &e), 0);
	root = certificate_in(r.pem);
	a = certificate_in(a_pem.s);
	b = certificate_in(b_pem.s);
	assert_int_equal(authority_make_crl(j, house, 30, &first, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(asked(a, root, first.s), X509_V_OK);
	assert_int_equal(store_issued(journey_store(j), house, &l, &e), 0);
	serial = l.v[l.n - 2].serial;
	assert_int_equal(authority_revoke(j, house, serial, "because", &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_int_equal(authority_revoke(j, house, "00ff", "superseded", &e), -1);
	assert_int_equal(authority_revoke(j, house, serial, "key-compromise", &e), 0);
	assert_int_equal(authority_revoke(j, house, serial, "superseded", &e), -1);
	assert_int_equal(authority_make_crl(j, house, 30, &second, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(asked(a, root, second.s), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(asked(b, root, second.s), X509_V_OK);
	assert_int_equal(crl_number(second.s), crl_number(first.s) + 1);
	assert_int_equal(authority_make_crl(j, house, 0, &second, &n, &e), -1);
	X509_free(a);
	X509_free(b);
	X509_free(root);
	EVP_PKEY_free(ka);
	EVP_PKEY_free(kb);
	authority_release(&r);
	issued_list_release(&l);
	str_release(&first);
	str_release(&second);
	str_release(&a_pem);
	str_release(&b_pem);
	str_release(&said);
}

/* A request of the wizard for a virtual server of a host, with this key; asked: the names that were wished for. */
static int64_t
wished(EVP_PKEY *key, const char *cn, const char *asked, struct request *r)
{
	struct server s = { .queue_messages = -1 };
	struct vserver v = { .port = 25, .is_default = true };
	char spki[65], *san = xasprintf("DNS:%s", cn);
	X509_REQ *req = pki_request(key, cn, san);
	struct str pem = STR_INIT;
	struct err e;

	pki_request_pem(req, &pem);
	pki_spki(key, spki);
	s.name = xstrdup(cn);
	s.target = xstrdup("root@192.0.2.1");
	assert_int_equal(store_server_save(journey_store(j), &s, &e), 0);
	v.server = s.id;
	v.name = xstrdup("smtp");
	assert_int_equal(store_vserver_save(journey_store(j), &v, &e), 0);
	*r = (struct request){ .vserver = v.id, .key_server = s.id, .authority = house, .created_at = 1 };
	r->name = xstrdup(cn);
	r->subject.cn = xstrdup(cn);
	r->subject.san = xstrdup(asked);
	r->key_path = xstrdup("/var/lib/mxseal/keys/made-there.key");
	r->spki_sha256 = xstrdup(spki);
	r->pem = xstrdup(pem.s);
	r->state = xstrdup("pending");
	assert_int_equal(store_request_save(journey_store(j), r, &e), 0);
	X509_REQ_free(req);
	str_release(&pem);
	server_release(&s);
	vserver_release(&v);
	free(san);
	return r->id;
}

/* A certificate that was imported since with its key: the answer to its request does not take the key away again. */
static void
an_answer_again_keeps_the_sealed_key(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct str pem = STR_INIT, said = STR_INIT;
	struct certificate c = { .id = 0 };
	struct request r;
	struct err e = { 0 };
	int64_t id = 0, again = 0;

	(void)state;
	wished(key, "imported.bank.test", "imported.bank.test", &r);
	assert_int_equal(authority_sign(j, house, r.pem, &pem, &e), 0);
	assert_int_equal(certificate_process(j, r.vserver, r.id, pem.s, pem.len, true, &said, &id, &e), 0);
	assert_int_equal(store_certificate_get(journey_store(j), id, &c, &e), 0);
	assert_null(c.sealed_key);
	xset(&c.sealed_key, "sealed");
	xset(&c.key_path, "/var/lib/mxseal/keys/imported.key");
	c.key_server = 0;
	c.created_at = 1700000000;
	assert_int_equal(store_certificate_save(journey_store(j), &c, &e), 0);
	certificate_release(&c);
	assert_int_equal(certificate_process(j, r.vserver, r.id, pem.s, pem.len, true, &said, &again, &e), 0);
	assert_int_equal(again, id);
	assert_int_equal(store_certificate_get(journey_store(j), id, &c, &e), 0);
	assert_string_equal(c.sealed_key, "sealed");
	assert_string_equal(c.key_path, "/var/lib/mxseal/keys/imported.key");
	assert_int_equal(c.key_server, 0);
	assert_int_equal(c.created_at, 1700000000);
	certificate_release(&c);
	request_release(&r);
	EVP_PKEY_free(key);
	str_release(&pem);
	str_release(&said);
}

/* What is issued is issued: one that cannot be assigned is given out all the same, and it is said why it was not. */
static void
issued_but_not_assigned(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct str pem = STR_INIT, said = STR_INIT;
	struct submission s = { .id = 0 };
	struct request r;
	struct err e = { 0 };
	int64_t id = 0;
	X509 *x;

	(void)state;
	wished(key, "short.bank.test", "short.bank.test also.bank.test", &r);   /* the request that is sent has one name only */
	assert_int_equal(authority_submit(j, house, r.id, r.pem, strlen(r.pem), &id, &e), 0);
	if (authority_approve(j, id, &pem, &said, &e) == -1)
		fail_msg("%s", e.text);
	x = certificate_in(pem.s);
	assert_non_null(strstr(said.s, "CN=short.bank.test"));
	assert_non_null(strstr(said.s, "! it is not assigned: "));
	assert_int_equal(store_submission_get(journey_store(j), id, &s, &e), 0);
	assert_string_equal(s.state, "issued");
	X509_free(x);
	submission_release(&s);
	request_release(&r);
	EVP_PKEY_free(key);
	str_release(&pem);
	str_release(&said);
}

/* Verbs that cannot write their activity say why. */
static void
without_its_activity_it_fails(void **state)
{
	char *path = xasprintf("%s/store.db", dir);
	struct err e = { 0 };
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TRIGGER full BEFORE INSERT ON activity BEGIN SELECT RAISE(ABORT, 'no room'); END", NULL,
	    NULL, NULL), SQLITE_OK);
	assert_int_equal(authority_policy(j, house, "always", &e), -1);
	assert_int_equal(e.code, RC_DB);
	assert_non_null(strstr(e.text, "no room"));
	assert_int_equal(sqlite3_exec(db, "DROP TRIGGER full", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	free(path);
}

/* What an own authority does, an ACME one is not asked to do. */
static void
not_at_an_acme_authority(void **state)
{
	struct authority a = { .created_at = 1 };
	struct authority_wish below = { .name = "below", .cn = "Below CA", .days = 365 };
	struct str pem = STR_INIT;
	struct err e = { 0 };
	int64_t id = 0;
	size_t n;

	(void)state;
	a.name = xstrdup("public");
	a.kind = xstrdup("acme");
	a.subject = xstrdup("ACME, https://ca.test/");
	a.directory = xstrdup("https://ca.test/");
	a.policy = xstrdup("ask");
	a.sealed_key = xstrdup("sealed");
	assert_int_equal(store_authority_save(journey_store(j), &a, &e), 0);
	assert_false(authority_asks(j, "public"));
#define REFUSED(call) (assert_int_equal(call, -1), assert_int_equal(e.code, RC_INVALID), \
	assert_string_equal(e.text, "public is no authority of our own"), e = (struct err){ 0 })
	REFUSED(authority_policy(j, a.id, "ask", &e));
	REFUSED(authority_submit(j, a.id, 0, "x", 1, &id, &e));
	REFUSED(authority_revoke(j, a.id, "00ff", "superseded", &e));
	REFUSED(authority_make_crl(j, a.id, 30, &pem, &n, &e));
	REFUSED(authority_renew_own(j, a.id, 365, &e));
	REFUSED(authority_sign(j, a.id, "x", &pem, &e));
	REFUSED(authority_add_own(j, &below, "public", &id, &e));
	assert_int_equal(pem.len, 0);
	authority_release(&a);
	str_release(&pem);
}

static void
what_is_no_request(void **state)
{
	struct err e = { 0 };
	char *path = xasprintf("%s/junk", dir);
	int64_t id;

	(void)state;
	assert_int_equal(str_write_file(path, "junk", 4, 0600, &e), 0);
	assert_int_equal(authority_submit_file(j, house, path, &id, &e), -1);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(authority_policy(j, house, "never", &e), -1);
	assert_int_equal(authority_policy(j, house, "ask", &e), 0);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(approved_once),
		cmocka_unit_test(denied),
		cmocka_unit_test(without_a_passphrase_it_asks),
		cmocka_unit_test(revoked_ones_are_refused_by_who_asks),
		cmocka_unit_test(an_answer_again_keeps_the_sealed_key),
		cmocka_unit_test(issued_but_not_assigned),
		cmocka_unit_test(without_its_activity_it_fails),
		cmocka_unit_test(not_at_an_acme_authority),
		cmocka_unit_test(what_is_no_request),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
