/* The verdict on a certificate, situation by situation: what cert_fits refuses and warns of against what is expected, and
 * what cert_verify says against `openssl verify` on the same certificates, name and time. Each comes in one of the forms that
 * authorities and mail programs make of an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mxseal/certificate.h"
#include "support/fixture.h"
#include "support/pki.h"

static char *dir;

/* --- who signs --- */

enum signer {
	MIDDLE,          /* under the root that is trusted; in the file */
	MISSING,         /* the same, but not in the file */
	ROOT,            /* the trusted root itself, no issuer in the file needed */
	STRANGER,        /* a root that nobody here knows, not in the file */
	STRANGER_SENT,   /* the same, with an intermediate that is in the file */
	ITSELF,
	SHA1_MIDDLE,     /* an intermediate whose own signature is SHA-1 */
	OLD_MIDDLE,      /* an intermediate that has expired */
	SHORT_MIDDLE,    /* an intermediate that ends soon */
	LEAF_MIDDLE,     /* a server certificate that signed another */
	NO_SIGN_MIDDLE,  /* an authority whose key usage lacks signing */
	WEAK_MIDDLE,     /* an intermediate with RSA 1024 */
	LAST_MIDDLE,     /* under MIDDLE's sister that may make no other authority (pathlen 0) */
	A_MIDDLE,        /* may only issue for a.test */
	NOT_A_MIDDLE,    /* may issue for everything but a.test */
	CROSSED,         /* a root nobody knows that the trusted one has signed as well */
	SIGNERS
};

static struct { EVP_PKEY *key; X509 *x; } signers[SIGNERS], root, stranger, short_path, crossed_self;
static struct str root_pem = STR_INIT;

static void
make_signer(enum signer s, const char *cn, X509 *issuer, EVP_PKEY *issuer_key, const struct pki_spec *more)
{
	struct pki_spec spec = *more;

	signers[s].key = spec.key != NULL ? (EVP_PKEY *)(uintptr_t)spec.key : pki_key("P-256");
	spec.cn = cn;
	spec.key = signers[s].key;
	spec.issuer = issuer;
	spec.issuer_key = issuer_key;
	if (spec.constraints == NULL)
		spec.constraints = "critical,CA:TRUE";
	if (spec.until == 0)
		spec.until = PKI_NOW + 1000 * PKI_DAY;
	signers[s].x = pki_make(&spec);
}

static int
make(void **state)
{
	struct pki_spec ca = { .cn = "Root", .constraints = "critical,CA:TRUE", .until = PKI_NOW + 3000 * INT64_C(86400),
		.from = PKI_NOW - 3000 * INT64_C(86400) };
	struct pki_spec plain = { .cn = NULL };

	(void)state;
	dir = fixture_dir();
	ca.key = root.key = pki_key("P-256");
	root.x = pki_make(&ca);
	ca.cn = "Stranger";
	ca.key = stranger.key = pki_key("P-256");
	stranger.x = pki_make(&ca);
	pki_pem(root.x, &root_pem);
	pki_save(dir, "root.pem", root_pem.s, root_pem.len);
	make_signer(MIDDLE, "Middle", root.x, root.key, &plain);
	make_signer(MISSING, "Missing", root.x, root.key, &plain);
	make_signer(STRANGER_SENT, "Strange Middle", stranger.x, stranger.key, &plain);
	make_signer(SHA1_MIDDLE, "Old Style", root.x, root.key, &(struct pki_spec){ .digest = "SHA1" });
	make_signer(OLD_MIDDLE, "Past", root.x, root.key, &(struct pki_spec){ .from = PKI_NOW - 90 * PKI_DAY,
	    .until = PKI_NOW - 10 * PKI_DAY });
	make_signer(SHORT_MIDDLE, "Short", root.x, root.key, &(struct pki_spec){ .until = PKI_NOW + 10 * PKI_DAY });
	make_signer(LEAF_MIDDLE, "server.test", root.x, root.key, &(struct pki_spec){ .constraints = "critical,CA:FALSE" });
	make_signer(NO_SIGN_MIDDLE, "No Sign", root.x, root.key, &(struct pki_spec){ .usage = "critical,cRLSign" });
	make_signer(A_MIDDLE, "Only A", root.x, root.key, &(struct pki_spec){ .constrain = "critical,permitted;DNS:a.test" });
	make_signer(NOT_A_MIDDLE, "Not A", root.x, root.key, &(struct pki_spec){ .constrain = "critical,excluded;DNS:a.test" });
	make_signer(WEAK_MIDDLE, "Weak", root.x, root.key, &(struct pki_spec){ .key = EVP_RSA_gen(1024) });
	ca.constraints = "critical,CA:TRUE,pathlen:0";
	ca.cn = "Short Path";
	ca.key = short_path.key = pki_key("P-256");
	ca.issuer = root.x;
	ca.issuer_key = root.key;
	short_path.x = pki_make(&ca);
	make_signer(LAST_MIDDLE, "Too Far", short_path.x, short_path.key, &plain);
	make_signer(CROSSED, "New Root", root.x, root.key, &plain);
	ca = (struct pki_spec){ .cn = "New Root", .constraints = "critical,CA:TRUE", .key = signers[CROSSED].key,
	    .until = PKI_NOW + 3000 * INT64_C(86400) };
	crossed_self.x = pki_make(&ca);
	return dir == NULL;
}

static int
unmake(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < SIGNERS; i++) {
		X509_free(signers[i].x);
		EVP_PKEY_free(signers[i].key);
	}
	X509_free(root.x);
	EVP_PKEY_free(root.key);
	X509_free(stranger.x);
	EVP_PKEY_free(stranger.key);
	X509_free(short_path.x);
	EVP_PKEY_free(short_path.key);
	X509_free(crossed_self.x);
	str_release(&root_pem);
	fixture_remove(dir);
	free(dir);
	return 0;
}

/* --- the situations --- */

#define NAMES "DNS:mail.a.test"
#define D(n) (PKI_NOW + (n) * INT64_C(86400))

static const struct situation {
	const char *title;
	struct pki_spec spec;
	const char *key;             /* P-256 */
	enum signer signer;
	const char *names;           /* asked for: "mail.a.test"; "-": none */
	enum { SAME_KEY, OTHER_KEY, NO_KEY } spki;
	enum { WHOLE, TAMPERED } damage;
	const char *form;            /* "pem", leaf and issuers; or a row of forms */
	const char *refusal;         /* words of it; NULL: fits */
	const char *warning;         /* words; NULL: none at all */
} situations[] = {
	{ .title = "all is well", .spec = { .names = NAMES }, .signer = MIDDLE },
	{ .title = "signed by the root", .spec = { .names = NAMES }, .signer = ROOT },
	{ .title = "RSA 2048", .spec = { .names = NAMES, .usage = "critical,digitalSignature,keyEncipherment" }, .key = "RSA2048" },
	{ .title = "P-384", .spec = { .names = NAMES }, .key = "P-384" },
	{ .title = "Ed25519", .spec = { .names = NAMES }, .key = "ED25519" },
	{ .title = "no key asked", .spec = { .names = NAMES }, .spki = NO_KEY },
	{ .title = "no names asked", .spec = { .names = NAMES }, .names = "-" },
	{ .title = "other key", .spec = { .names = NAMES }, .spki = OTHER_KEY, .refusal = "another key" },
	{ .title = "other key comes before all else", .spec = { .names = NAMES, .until = D(-1), .from = D(-9) }, .spki = OTHER_KEY,
	    .refusal = "another key" },
	{ .title = "an authority's", .spec = { .names = NAMES, .constraints = "critical,CA:TRUE" }, .refusal = "authority's own certificate" },
	{ .title = "an authority's, its own root", .spec = { .names = NAMES, .constraints = "CA:TRUE" }, .signer = ITSELF,
	    .refusal = "authority's own certificate" },
	{ .title = "expired a day ago", .spec = { .names = NAMES, .from = D(-90), .until = D(-1) }, .refusal = "expired on 2026-09-20" },
	{ .title = "expired a second ago", .spec = { .names = NAMES, .from = D(-90), .until = PKI_NOW - 1 }, .refusal = "expired on" },
	{ .title = "ends this second", .spec = { .names = NAMES, .from = D(-90), .until = PKI_NOW }, .warning = "ends soon: in 0 days" },
	{ .title = "ends tomorrow", .spec = { .names = NAMES, .from = D(-90), .until = D(1) }, .warning = "ends soon: in 1 day\n" },
	{ .title = "ends in 29 days of 365", .spec = { .names = NAMES, .from = D(-336), .until = D(29) }, .warning = "ends soon: in 29 days" },
	{ .title = "ends in 31 days", .spec = { .names = NAMES, .from = D(-336), .until = D(31) } },
	{ .title = "a new one of six days", .spec = { .names = NAMES, .from = PKI_NOW - 3600, .until = D(6) } },
	{ .title = "valid from tomorrow", .spec = { .names = NAMES, .from = D(1) }, .refusal = "not valid before 2026-09-22" },
	{ .title = "valid from the next second", .spec = { .names = NAMES, .from = PKI_NOW + 1 }, .refusal = "not valid before" },
	{ .title = "valid from this second", .spec = { .names = NAMES, .from = PKI_NOW } },
	{ .title = "other name", .spec = { .names = "DNS:web.a.test" }, .refusal = "does not cover: mail.a.test" },
	{ .title = "one of two names", .spec = { .names = NAMES }, .names = "mail.a.test mx.a.test", .refusal = "does not cover: mx.a.test" },
	{ .title = "both of two names", .spec = { .names = NAMES ",DNS:mx.a.test" }, .names = "mail.a.test mx.a.test" },
	{ .title = "wildcard", .spec = { .names = "DNS:*.a.test" } },
	{ .title = "wildcard, too deep", .spec = { .names = "DNS:*.a.test" }, .names = "x.mail.a.test", .refusal = "does not cover" },
	{ .title = "wildcard, the domain itself", .spec = { .names = "DNS:*.a.test" }, .names = "a.test", .refusal = "does not cover" },
	{ .title = "wildcard inside a label", .spec = { .names = "DNS:m*.a.test" }, .refusal = "does not cover" },
	{ .title = "name in capitals", .spec = { .names = "DNS:MAIL.A.TEST" } },
	{ .title = "address", .spec = { .names = NAMES ",IP:192.0.2.1" }, .names = "192.0.2.1" },
	{ .title = "address, not in it", .spec = { .names = NAMES ",IP:192.0.2.1" }, .names = "192.0.2.2", .refusal = "does not cover: 192.0.2.2" },
	{ .title = "address as a DNS name", .spec = { .names = "DNS:192.0.2.1" }, .names = "192.0.2.1", .refusal = "does not cover" },
	{ .title = "IPv6 address", .spec = { .names = "IP:2001:db8::1" }, .names = "2001:DB8:0::1" },
	{ .title = "IDN asked in Unicode", .spec = { .names = "DNS:xn--bcher-kva.test" }, .names = "b\xc3\xbc" "cher.test" },
	{ .title = "common name only", .spec = { .cn = "mail.a.test" }, .warning = "no subject alternative name" },
	{ .title = "common name does not count beside alternative names", .spec = { .cn = "mail.a.test", .names = "DNS:web.a.test" },
	    .refusal = "does not cover" },
	{ .title = "signed with SHA-1", .spec = { .names = NAMES, .digest = "SHA1" }, .refusal = "SHA-1" },
	{ .title = "signed with MD5", .spec = { .names = NAMES, .digest = "MD5" }, .key = "RSA2048", .signer = ITSELF,
	    .refusal = "MD5" },
	{ .title = "signed with SHA-512", .spec = { .names = NAMES, .digest = "SHA512" } },
	{ .title = "RSA 1024", .spec = { .names = NAMES }, .key = "RSA1024", .refusal = "RSA 1024; 2048 bits are the least" },
	{ .title = "EC of 224 bits", .spec = { .names = NAMES }, .key = "P-224", .refusal = "EC secp224r1; 256 bits" },
	{ .title = "DSA", .spec = { .names = NAMES }, .key = "DSA", .refusal = "DSA, which TLS does not take" },
	{ .title = "for clients", .spec = { .names = NAMES, .purpose = "clientAuth" }, .refusal = "may not be used for servers" },
	{ .title = "for mail signing", .spec = { .names = NAMES, .purpose = "emailProtection" }, .refusal = "may not be used for servers" },
	{ .title = "for servers and clients", .spec = { .names = NAMES, .purpose = "serverAuth,clientAuth" } },
	{ .title = "no purpose", .spec = { .names = NAMES, .purpose = "" } },
	{ .title = "no usage", .spec = { .names = NAMES, .usage = "" } },
	{ .title = "usage of an authority", .spec = { .names = NAMES, .usage = "critical,keyCertSign,cRLSign" },
	    .refusal = "may not be used for servers" },
	{ .title = "key encipherment only", .spec = { .names = NAMES, .usage = "critical,keyEncipherment" }, .key = "RSA2048",
	    .warning = "lacks digitalSignature" },
	{ .title = "no constraints", .spec = { .names = NAMES, .constraints = "" } },
	{ .title = "pre-certificate", .spec = { .names = NAMES, .critical = "1.3.6.1.4.1.11129.2.4.3" }, .refusal = "critical extension" },
	{ .title = "unknown critical extension", .spec = { .names = NAMES, .critical = "1.2.3.4" }, .refusal = "critical extension" },
	{ .title = "altered after signing", .spec = { .names = NAMES }, .damage = TAMPERED, .refusal = "altered or damaged" },
	{ .title = "altered after signing, signed by the root", .spec = { .names = NAMES }, .signer = ROOT, .damage = TAMPERED,
	    .refusal = "altered or damaged" },
	{ .title = "intermediate missing", .spec = { .names = NAMES }, .signer = MISSING, .warning = "chain is incomplete" },
	{ .title = "unknown root", .spec = { .names = NAMES }, .signer = STRANGER, .warning = "unknown here" },
	{ .title = "unknown root behind an intermediate", .spec = { .names = NAMES }, .signer = STRANGER_SENT,
	    .warning = "ends at an issuer that is unknown here: CN=Stranger" },
	{ .title = "signed by itself", .spec = { .names = NAMES }, .signer = ITSELF, .warning = "signed by itself" },
	{ .title = "intermediate signed with SHA-1", .spec = { .names = NAMES }, .signer = SHA1_MIDDLE, .warning = "SHA-1" },
	{ .title = "intermediate expired", .spec = { .names = NAMES }, .signer = OLD_MIDDLE, .warning = "issuer in the chain has expired" },
	{ .title = "intermediate ends first", .spec = { .names = NAMES }, .signer = SHORT_MIDDLE, .warning = "ends before this one" },
	{ .title = "intermediate that may not sign", .spec = { .names = NAMES }, .signer = NO_SIGN_MIDDLE, .warning = "may not sign (CN=No Sign)" },
	{ .title = "intermediate with RSA 1024", .spec = { .names = NAMES }, .signer = WEAK_MIDDLE,
	    .warning = "the key of an authority in the chain is too weak (CN=Weak: RSA 1024)" },
	{ .title = "path too long", .spec = { .names = NAMES }, .signer = LAST_MIDDLE, .warning = "not allowed to make another one" },
	{ .title = "name that its authority may issue", .spec = { .names = NAMES }, .signer = A_MIDDLE },
	{ .title = "name outside of what its authority may issue", .spec = { .names = "DNS:mail.b.test" }, .names = "mail.b.test",
	    .signer = A_MIDDLE, .warning = "may not issue for this name" },
	{ .title = "common name outside of it", .spec = { .cn = "mail.b.test" }, .names = "mail.b.test", .signer = A_MIDDLE,
	    .warning = "may not issue for this name" },
	{ .title = "name that its authority must not issue", .spec = { .names = NAMES }, .signer = NOT_A_MIDDLE,
	    .warning = "may not issue for this name" },
	{ .title = "root signed by an older root", .spec = { .names = NAMES }, .signer = CROSSED },
	{ .title = "both certificates of such a root", .spec = { .names = NAMES }, .signer = CROSSED, .form = "crossed" },
	{ .title = "DER, issuer not needed", .spec = { .names = NAMES }, .signer = ROOT, .form = "der" },
	{ .title = "DER, issuer missing", .spec = { .names = NAMES }, .signer = MISSING, .form = "der", .warning = "chain is incomplete" },
	{ .title = "bare base64", .spec = { .names = NAMES }, .signer = ROOT, .form = "bare" },
	{ .title = "PKCS#7 in PEM", .spec = { .names = NAMES }, .form = "p7-pem" },
	{ .title = "PKCS#7 in DER", .spec = { .names = NAMES }, .form = "p7-der" },
	{ .title = "wrong order, root included", .spec = { .names = NAMES }, .form = "reversed" },
	{ .title = "each twice", .spec = { .names = NAMES }, .form = "twice" },
	{ .title = "text around", .spec = { .names = NAMES }, .form = "letter" },
	{ .title = "quoted by a mail program", .spec = { .names = NAMES }, .form = "quoted" },
	{ .title = "quoted twice", .spec = { .names = NAMES }, .form = "quoted twice" },
	{ .title = "CRLF", .spec = { .names = NAMES }, .form = "crlf" },
	{ .title = "byte order mark", .spec = { .names = NAMES }, .form = "bom" },
	{ .title = "UTF-16", .spec = { .names = NAMES }, .form = "utf-16" },
	{ .title = "empty file", .spec = { .names = NAMES }, .form = "empty", .refusal = "it is empty" },
	{ .title = "cut off", .spec = { .names = NAMES }, .form = "cut", .refusal = "it was cut off" },
	{ .title = "only the root", .spec = { .names = NAMES }, .form = "root", .refusal = "authority's own certificate" },
	{ .title = "issued by a server certificate", .spec = { .names = NAMES }, .signer = LEAF_MIDDLE, .warning = "refuse it" },
};

/* --- how each is asked --- */

struct made {
	EVP_PKEY *key;
	struct str leaf, issuer, all;     /* PEM */
	struct str sent;                  /* in its form */
	char spki[65];
};

/* A bit of the serial number is turned: everything reads as before, only the signature no longer fits. */
static X509 *
tampered(X509 *x)
{
	unsigned char *der = NULL;
	const unsigned char *p;
	int len = i2d_X509(x, &der);
	unsigned char *at = memmem(der, (size_t)len, "\xa0\x03\x02\x01\x02\x02\x02", 7);

	assert_non_null(at);
	at[8] ^= 1;
	X509_free(x);
	p = der;
	x = d2i_X509(NULL, &p, len);
	assert_non_null(x);
	OPENSSL_free(der);
	return x;
}

/* --- forms --- */

static void
each_line(const struct str *text, const char *front, const char *end, struct str *out)
{
	const char *p;
	size_t n;

	for (p = text->s; *p != '\0'; p += n + 1) {
		n = strcspn(p, "\n");
		str_addf(out, "%s%.*s%s", front, (int)n, p, end);
	}
}

static void
send_as(const char *form, X509 *leaf, X509 *issuer, const struct str *all, struct str *out)
{
	X509 *chain[] = { root.x, issuer, leaf };
	size_t i;

	if (form == NULL)
		str_add(out, all->s);
	else if (strcmp(form, "der") == 0)
		pki_der(leaf, out);
	else if (strcmp(form, "bare") == 0)
		str_addn(out, all->s + strlen("-----BEGIN CERTIFICATE-----"), (size_t)(strstr(all->s, "-----END") - all->s)
		    - strlen("-----BEGIN CERTIFICATE-----"));
	else if (strncmp(form, "p7-", 3) == 0)
		pki_p7(chain, 3, strcmp(form, "p7-pem") == 0, out);
	else if (strcmp(form, "reversed") == 0)
		for (i = 0; i < 3; i++)
			pki_pem(chain[i], out);
	else if (strcmp(form, "twice") == 0)
		str_addf(out, "%s%s", all->s, all->s);
	else if (strcmp(form, "letter") == 0)
		str_addf(out, "Dear customer,\n-----------\nhere it is:\n%sregards -----\n", all->s);
	else if (strcmp(form, "quoted") == 0)
		each_line(all, "> ", "\n", out);
	else if (strcmp(form, "quoted twice") == 0)
		each_line(all, ">> ", "\r\n", out);
	else if (strcmp(form, "crlf") == 0)
		each_line(all, "", "\r\n", out);
	else if (strcmp(form, "bom") == 0)
		str_addf(out, "\xef\xbb\xbf%s", all->s);
	else if (strcmp(form, "utf-16") == 0) {
		str_add(out, "\xff\xfe");
		for (i = 0; i < all->len; i++) {
			str_addc(out, all->s[i]);
			str_addn(out, "", 1);
		}
	} else if (strcmp(form, "cut") == 0)
		str_addn(out, all->s, all->len - 300);
	else if (strcmp(form, "root") == 0)
		pki_pem(root.x, out);
	else if (strcmp(form, "crossed") == 0) {
		pki_pem(crossed_self.x, out);
		str_add(out, all->s);
	}
}

static void
make_situation(const struct situation *s, struct made *m)
{
	struct pki_spec spec = s->spec;
	EVP_PKEY *other;
	X509 *x;

	memset(m, 0, sizeof(*m));
	str_init(&m->leaf, 0);
	str_init(&m->issuer, 0);
	str_init(&m->all, 0);
	str_init(&m->sent, 0);
	m->key = pki_key(s->key != NULL ? s->key : "P-256");
	spec.key = m->key;
	if (s->signer == ROOT || s->signer == STRANGER) {
		spec.issuer = s->signer == ROOT ? root.x : stranger.x;
		spec.issuer_key = s->signer == ROOT ? root.key : stranger.key;
	} else if (s->signer != ITSELF) {
		spec.issuer = signers[s->signer].x;
		spec.issuer_key = signers[s->signer].key;
		if (s->signer != MISSING)
			pki_pem(signers[s->signer].x, &m->issuer);
		if (s->signer == LAST_MIDDLE)
			pki_pem(short_path.x, &m->issuer);
	}
	x = pki_make(&spec);
	if (s->damage == TAMPERED)
		x = tampered(x);
	pki_pem(x, &m->leaf);
	str_addf(&m->all, "%s%s", m->leaf.s, m->issuer.s);
	send_as(s->form, x, signers[s->signer].x, &m->all, &m->sent);
	if (s->spki == OTHER_KEY) {
		other = pki_key("P-256");
		pki_spki(other, m->spki);
		EVP_PKEY_free(other);
	} else
		pki_spki(m->key, m->spki);
	X509_free(x);
}

static void
release_made(struct made *m)
{
	EVP_PKEY_free(m->key);
	str_release(&m->leaf);
	str_release(&m->issuer);
	str_release(&m->all);
	str_release(&m->sent);
}

static const char *
asked(const struct situation *s)
{
	return s->names == NULL ? "mail.a.test" : strcmp(s->names, "-") == 0 ? NULL : s->names;
}

static void
verdicts(void **state)
{
	size_t i, n = sizeof(situations) / sizeof(situations[0]);
	struct str warnings = STR_INIT;
	int wrong = 0;

	(void)state;
	assert_true(n >= 87);
	for (i = 0; i < n; i++) {
		const struct situation *s = &situations[i];
		struct certificate c = { .id = 0 };
		struct err e = { .code = RC_OK };
		struct made m;
		int rc;

		make_situation(s, &m);
		str_reset(&warnings);
		rc = cert_read(m.sent.s, m.sent.len, NULL, &c, &e);
		if (rc == 0)
			rc = cert_fits(&c, s->spki == NO_KEY ? NULL : m.spki, asked(s), root_pem.s, PKI_NOW, &warnings, &e);
		if ((rc == 0) != (s->refusal == NULL) || (rc != 0 && ((e.code != RC_CERT && e.code != RC_PARSE)
		    || strstr(e.text, s->refusal) == NULL))) {
			print_error("%s: %s %s\n", s->title, rc == 0 ? "fits" : "refused:", rc == 0 ? "" : e.text);
			wrong++;
		} else if (rc == 0 && (s->warning == NULL ? warnings.len > 0 : strstr(warnings.s, s->warning) == NULL)) {
			print_error("%s: warns: %s\n", s->title, warnings.s);
			wrong++;
		}
		certificate_release(&c);
		release_made(&m);
	}
	str_release(&warnings);
	print_message("%zu of %zu situations as expected\n", n - (size_t)wrong, n);
	assert_int_equal(wrong, 0);
}

static int
openssl_verifies(const struct made *m, const char *name, const char *time)
{
	struct str said = STR_INIT, host = STR_INIT;
	int rc;

	pki_save(dir, "leaf.pem", m->leaf.s, m->leaf.len);
	pki_save(dir, "all.pem", m->all.s, m->all.len);
	if (name != NULL) {
		assert_int_equal(name_to_ascii(name, &host, NULL), 0);
		str_reset(&said);
	}
	rc = pki_run(dir, &said, "openssl verify -attime %s -purpose sslserver -auth_level 2 -no-CApath -no-CAstore -CAfile root.pem"
	    " -untrusted all.pem %s %s leaf.pem", time, name == NULL ? "" : strchr(name, ':') != NULL || strncmp(name, "192.", 4) == 0
	    ? "-verify_ip" : "-verify_hostname", host.s);
	str_release(&said);
	str_release(&host);
	return rc == 0;
}

/* cert_verify is asked for each situation and each single name, at three times. */
static void
same_as_openssl_verify(void **state)
{
	static const int64_t days[] = { -5, 0, 20 };
	size_t i, d, words, w, asked_for = 0;
	int wrong = 0;

	(void)state;
	for (i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
		const struct situation *s = &situations[i];
		char **names = words_split(asked(s) != NULL ? asked(s) : "", " ", &words);
		struct certificate c = { .id = 0 };
		const char *chain;
		struct made m;

		make_situation(s, &m);
		/* what peers are sent, out of whatever form it came in */
		chain = m.all.s;
		if (s->form != NULL && s->refusal == NULL) {
			struct err e = { .code = RC_OK };

			if (cert_read(m.sent.s, m.sent.len, m.spki, &c, &e) == 0) {
				chain = c.pem;
			} else {
				print_error("%s: not read: %s\n", s->title, e.text);
				wrong++;
			}
		}
		for (w = 0; w < (words > 0 ? words : 1); w++)
			for (d = 0; d < 3; d++) {
				const char *name = words > 0 ? names[w] : NULL;
				struct cert_verdict v;
				char time[32];
				int theirs;
				bool ours;

				snprintf(time, sizeof(time), "%lld", (long long)D(days[d]));
				cert_verify(chain, name, root_pem.s, D(days[d]), &v);
				ours = v.trusted && v.name_ok && v.in_time;
				/* partial wildcards are allowed by the program's default, refused by Postfix and by us */
				if (strcmp(s->title, "wildcard inside a label") == 0)
					continue;
				asked_for++;
				theirs = openssl_verifies(&m, name, time);
				if (ours != (theirs == 1) || ours != (v.code == 0) || v.text[0] == '\0') {
					print_error("%s, %s, day %d: ours %d (%s), openssl %d\n", s->title, name, (int)days[d], ours,
					    v.text, theirs);
					wrong++;
				}
			}
		words_free(names);
		certificate_release(&c);
		release_made(&m);
	}
	print_message("%zu of %zu verdicts equal to openssl verify\n", asked_for - (size_t)wrong, asked_for);
	assert_int_equal(wrong, 0);
	assert_true(asked_for >= 264);
}

/* The three parts of a verdict are apart: one complaint does not hide another. */
static void
parts_of_a_verdict(void **state)
{
	static const struct { const char *title; bool trusted, name_ok, in_time; const char *says; } rows[] = {
		{ "all is well", true, true, true, "trusted authority" },
		{ "expired a day ago", true, true, false, "the certificate has expired" },
		{ "valid from tomorrow", true, true, false, "the certificate is not valid yet" },
		{ "other name", true, false, true, "does not have the name mail.a.test" },
		{ "unknown root", false, true, true, "not known here" },
		{ "signed by itself", false, true, true, "signed by itself" },
		{ "intermediate expired", true, true, false, "a certificate in the chain has expired" },
		{ "altered after signing", false, true, true, "altered or damaged" },
		{ "issued by a server certificate", false, true, true, "no authority" },
		{ "RSA 1024", false, true, true, "too weak" },
	};
	struct cert_verdict v;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct made m;

		for (k = 0; strcmp(situations[k].title, rows[i].title) != 0; k++)
			;
		make_situation(&situations[k], &m);
		cert_verify(m.all.s, "mail.a.test", root_pem.s, PKI_NOW, &v);
		if (v.trusted != rows[i].trusted || v.name_ok != rows[i].name_ok || v.in_time != rows[i].in_time
		    || strstr(v.text, rows[i].says) == NULL)
			fail_msg("%s: trusted %d name %d time %d: %s", rows[i].title, v.trusted, v.name_ok, v.in_time, v.text);
		/* nobody here knows the root when it is not given */
		cert_verify(m.all.s, "mail.a.test", NULL, PKI_NOW, &v);
		assert_false(v.trusted);
		release_made(&m);
	}
	cert_verify("nonsense", "mail.a.test", NULL, PKI_NOW, &v);
	assert_false(v.trusted || v.name_ok || v.in_time);
	assert_true(v.code != 0 && strstr(v.text, "no certificate") != NULL);
	cert_verify(NULL, NULL, NULL, PKI_NOW, &v);
	assert_false(v.trusted);
}

/* A root whose own certificate came along, as when somebody exported "everything". */
static void
root_in_the_file_is_no_trust(void **state)
{
	struct pki_spec spec = { .names = NAMES, .issuer = stranger.x, .issuer_key = stranger.key };
	struct str all = STR_INIT, warnings = STR_INIT, many = STR_INIT;
	struct certificate c = { .id = 0 };
	struct cert_verdict v;
	EVP_PKEY *key = pki_key("P-256");
	X509 *x, *another;
	struct err e;
	int i;

	(void)state;
	spec.key = key;
	x = pki_make(&spec);
	pki_pem(x, &all);
	pki_pem(stranger.x, &all);
	cert_verify(all.s, "mail.a.test", root_pem.s, PKI_NOW, &v);
	assert_false(v.trusted);
	assert_non_null(strstr(v.text, "root"));
	/* known to us, that root is enough */
	str_reset(&warnings);
	assert_int_equal(cert_read(all.s, all.len, NULL, &c, &e), 0);
	str_add(&warnings, root_pem.s);
	pki_pem(stranger.x, &warnings);
	cert_verify(c.pem, "mail.a.test", warnings.s, PKI_NOW, &v);
	assert_true(v.trusted);
	/* also as the last of many: a list of authorities is no chain */
	for (i = 0; i < 20; i++) {
		another = pki_make(&(struct pki_spec){ .cn = "another", .key = key, .constraints = "critical,CA:TRUE", .from = PKI_NOW - i });
		pki_pem(another, &many);
		X509_free(another);
	}
	pki_pem(stranger.x, &many);
	cert_verify(c.pem, "mail.a.test", many.s, PKI_NOW, &v);
	assert_true(v.trusted);
	str_release(&many);
	X509_free(x);
	EVP_PKEY_free(key);
	certificate_release(&c);
	str_release(&all);
	str_release(&warnings);
}

/* Many names that do not fit, and hostile text in the subject: the sentence stays one safe line. */
static void
long_and_hostile(void **state)
{
	struct pki_spec spec = { .cn = "a\033[2Jb", .names = "DNS:x.test" };
	struct str names = STR_INIT, pem = STR_INIT;
	struct certificate c = { .id = 0 };
	EVP_PKEY *key = pki_key("P-256");
	struct err e;
	X509 *x;
	int i;

	(void)state;
	spec.key = key;
	x = pki_make(&spec);
	pki_pem(x, &pem);
	for (i = 0; i < 200; i++)
		str_addf(&names, "host-%d.example.test ", i);
	assert_int_equal(cert_read(pem.s, pem.len, NULL, &c, &e), 0);
	assert_int_equal(cert_fits(&c, NULL, names.s, NULL, PKI_NOW, NULL, &e), -1);
	assert_non_null(strstr(e.text, "a<1B>[2Jb"));
	assert_non_null(strstr(e.text, "does not cover: host-0.example.test"));
	assert_non_null(strstr(e.hint, "x.test"));
	assert_null(strchr(e.text, '\033'));
	certificate_release(&c);
	assert_int_equal(cert_fits(&c, NULL, NULL, NULL, PKI_NOW, NULL, &e), -1);
	assert_int_equal(e.code, RC_PARSE);
	X509_free(x);
	EVP_PKEY_free(key);
	str_release(&names);
	str_release(&pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(same_as_openssl_verify),
		cmocka_unit_test(parts_of_a_verdict),
		cmocka_unit_test(root_in_the_file_is_no_trust),
		cmocka_unit_test(long_and_hostile),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
