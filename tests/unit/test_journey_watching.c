/* What is watched of certificates: each finding from records as a reading leaves them, and none where all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/certificate.h"
#include "mxseal/journey.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/pki.h"

#define D(n) (PKI_NOW + (n) * INT64_C(86400))

static char *dir;
static struct journey *j;
static int64_t server, vserver;
static EVP_PKEY *key, *ca_key;
static struct str good = STR_INIT, other = STR_INIT, old_chain = STR_INIT;

/* A certificate for mx1.a.test and its issuer, which ends as told. */
static void
make_chain(struct str *out, const char *names, int64_t issuer_until)
{
	struct pki_spec ca = { .cn = "Middle", .constraints = "critical,CA:TRUE", .key = ca_key, .until = issuer_until };
	X509 *issuer = pki_make(&ca), *leaf;
	struct pki_spec spec = { .cn = "mx1.a.test", .names = names, .key = key, .issuer = issuer, .issuer_key = ca_key };

	leaf = pki_make(&spec);
	pki_pem(leaf, out);
	pki_pem(issuer, out);
	X509_free(leaf);
	X509_free(issuer);
}

static int
make(void **state)
{
	struct server sv = { .id = 0 };
	struct vserver vs = { .id = 0 };
	char *path, now[32];
	struct err e;

	(void)state;
	snprintf(now, sizeof(now), "%lld", (long long)PKI_NOW);
	setenv("MXSEAL_NOW", now, 1);
	dir = fixture_dir();
	path = xasprintf("%s/store.db", dir);
	key = pki_key("P-256");
	ca_key = pki_key("P-256");
	make_chain(&good, "DNS:mx1.a.test", D(300));
	make_chain(&other, "DNS:mail.b.test", D(300));
	make_chain(&old_chain, "DNS:mx1.a.test", D(40));
	if (journey_open(&j, path, &e) == -1)
		return -1;
	free(path);
	sv.name = xstrdup("mx1");
	sv.target = xstrdup("mx1");
	sv.host_name = xstrdup("mx1.a.test");
	sv.domain = xstrdup("a.test");
	sv.mailsys = xstrdup("postfix");
	sv.read_at = PKI_NOW;
	if (store_server_save(journey_store(j), &sv, &e) == -1)
		return -1;
	server = sv.id;
	vs.server = server;
	vs.name = xstrdup("smtp");
	vs.port = 25;
	vs.is_default = vs.present = true;
	if (store_vserver_save(journey_store(j), &vs, &e) == -1)
		return -1;
	vserver = vs.id;
	server_release(&sv);
	vserver_release(&vs);
	return 0;
}

static int
unmake(void **state)
{
	(void)state;
	journey_close(j);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	str_release(&good);
	str_release(&other);
	str_release(&old_chain);
	fixture_remove(dir);
	free(dir);
	return 0;
}

/* The virtual server as a reading left it. */
static void
as_read(const char *served, const char *file)
{
	struct vserver vs = { .id = 0 };
	struct certificate c = { .id = 0 };

	assert_int_equal(store_vserver_get(journey_store(j), vserver, &vs, NULL), 0);
	assert_int_equal(cert_describe(served, &c, NULL), 0);
	xset(&vs.served_pem, served);
	xset(&vs.served_sha256, c.sha256);
	xset(&vs.cert_pem, file);
	xset(&vs.cert_file, "/etc/ssl/mx1.pem");
	assert_int_equal(store_vserver_save(journey_store(j), &vs, NULL), 0);
	certificate_release(&c);
	vserver_release(&vs);
}

/* All findings, one a line. */
static void
findings(int days, struct str *out)
{
	struct attention_list l = { NULL, 0 };
	size_t i;

	str_reset(out);
	assert_int_equal(attention_within(j, days, &l, NULL), 0);
	for (i = 0; i < l.n; i++)
		str_addf(out, "%c %s\n", l.v[i].sign, l.v[i].text);
	attention_list_release(&l);
}

static void
expect(const char *text, const char *what)
{
	if (strstr(text, what) == NULL)
		fail_msg("no \"%s\" in:\n%s", what, text);
}

static void
ends(void **state)
{
	struct str said = STR_INIT;

	(void)state;
	as_read(good.s, good.s);
	findings(30, &said);
	assert_string_equal(said.s, "");
	findings(95, &said);
	assert_string_equal(said.s, "! mx1/smtp: the certificate ends in 90 days\n");
	as_read(old_chain.s, old_chain.s);
	findings(30, &said);
	assert_string_equal(said.s, "");
	findings(45, &said);
	assert_string_equal(said.s, "! mx1/smtp: an issuer in the chain of its certificate, CN=Middle, ends in 40 days, on 2026-10-31: ask the "
	    "authority for the answer with a newer chain\n");
	str_release(&said);
}

static void
served_and_file(void **state)
{
	struct str said = STR_INIT;

	(void)state;
	as_read(good.s, other.s);
	findings(30, &said);
	expect(said.s, "! mx1/smtp serves another certificate than the one in /etc/ssl/mx1.pem: postfix has not taken it up");
	/* the name that was asked for can be the reason */
	assert_int_equal(store_fact_set(journey_store(j), "by-sni:1", "yes", NULL), 0);
	findings(30, &said);
	assert_string_equal(said.s, "");
	assert_int_equal(store_fact_set(journey_store(j), "by-sni:1", NULL, NULL), 0);
	str_release(&said);
}

static void
names(void **state)
{
	struct str said = STR_INIT;

	(void)state;
	as_read(good.s, good.s);
	assert_int_equal(store_fact_set(journey_store(j), "mx-names:1", "mx1.a.test mail.a.test", NULL), 0);
	findings(30, &said);
	assert_string_equal(said.s, "? mx1/smtp: its certificate does not have mail.a.test, the name that MX leads peers to: request one that "
	    "has it\n");
	assert_int_equal(store_fact_set(journey_store(j), "mx-names:1", NULL, NULL), 0);
	str_release(&said);
}

static void
assigned(void **state)
{
	struct certificate c = { .id = 0, .key_server = server };
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	struct str said = STR_INIT;

	(void)state;
	assert_int_equal(cert_read(other.s, other.len, NULL, &c, NULL), 0);
	assert_int_equal(store_certificate_save(journey_store(j), &c, NULL), 0);
	assert_int_equal(store_vserver_get(journey_store(j), vserver, &vs, NULL), 0);
	vs.certificate = c.id;
	vs.certificate_set = true;
	assert_int_equal(store_vserver_save(journey_store(j), &vs, NULL), 0);
	findings(30, &said);                           /* not pushed yet: an edit, no finding */
	assert_string_equal(said.s, "");
	assert_int_equal(store_server_get(journey_store(j), server, &sv, NULL), 0);
	sv.generation = 1;
	assert_int_equal(store_server_save(journey_store(j), &sv, NULL), 0);
	findings(30, &said);
	expect(said.s, "! mx1/smtp is set to a certificate that is not the one assigned to it (#1): changed by hand there");
	as_read(other.s, other.s);
	findings(30, &said);
	assert_string_equal(said.s, "? mx1/smtp: its certificate does not have mx1.a.test, the name said in EHLO: request one that has it\n");
	certificate_release(&c);
	vserver_release(&vs);
	server_release(&sv);
	str_release(&said);
}

static void
files_and_requests(void **state)
{
	struct request r = { .vserver = vserver, .key_server = server, .created_at = D(-20) };
	struct str said = STR_INIT;

	(void)state;
	as_read(good.s, good.s);
	assert_int_equal(store_fact_set(journey_store(j), "file-troubles:1", "the key in /k belongs to anna, who can exchange it: chown root\n",
	    NULL), 0);
	r.subject.cn = xstrdup("mx1.a.test");
	r.state = xstrdup("pending");
	assert_int_equal(store_request_save(journey_store(j), &r, NULL), 0);
	findings(30, &said);
	expect(said.s, "! mx1: the key in /k belongs to anna, who can exchange it: chown root\n");
	expect(said.s, "? request #1 for mx1.a.test waits for its answer since 2026-09-01, 20 days: ask the authority, or drop it\n");
	request_release(&r);
	str_release(&said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),
		cmocka_unit_test(served_and_file),
		cmocka_unit_test(names),
		cmocka_unit_test(assigned),
		cmocka_unit_test(files_and_requests),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
