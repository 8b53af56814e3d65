/* Backups: what the openssl program writes in every way, old Windows' among them, is read; what is written is read by the
 * openssl program; what does not fit is refused with a sentence. */
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

static void
shell(const char *command)
{
	struct str out = STR_INIT;

	if (pki_run(dir, &out, "%s", command) != 0)
		fail_msg("%s: %s", command, out.s);
	str_release(&out);
}

/* root, mid, leaf (with their keys), other.key; all by the openssl program */
static int
make(void **state)
{
	(void)state;
	dir = fixture_dir();
	shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -subj /CN=Root -days 99");
	shell("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout mid.key -subj /CN=Mid -out mid.csr");
	shell("printf 'basicConstraints=critical,CA:TRUE\\n' >ca.ext && openssl x509 -req -in mid.csr -CA root.pem -CAkey root.key -days 90 "
	    "-extfile ca.ext -set_serial 2 -out mid.pem");
	shell("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -subj /CN=mail.a.test -out leaf.csr");
	shell("printf 'subjectAltName=DNS:mail.a.test\\n' >leaf.ext && openssl x509 -req -in leaf.csr -CA mid.pem -CAkey mid.key -days 80 "
	    "-extfile leaf.ext -set_serial 3 -out leaf.pem");
	shell("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out other.key && cat mid.pem root.pem >chain.pem");
	return 0;
}

static int
unmake(void **state)
{
	(void)state;
	fixture_remove(dir);
	free(dir);
	return 0;
}

static int
read_file(const char *name, const char *key, const char *passphrase, struct backup *out, struct err *e)
{
	struct str mem = STR_INIT, key_mem = STR_INIT, path = STR_INIT;
	struct secret s = { NULL, 0 };
	int rc;

	str_addf(&path, "%s/%s", dir, name);
	assert_int_equal(str_read_file(&mem, path.s, 10 * CERT_MAX, e), 0);
	str_reset(&path);
	str_addf(&path, "%s/%s", dir, key != NULL ? key : "-");
	if (key != NULL)
		assert_int_equal(str_read_file(&key_mem, path.s, CERT_MAX, e), 0);
	if (passphrase != NULL)
		secret_set(&s, passphrase, strlen(passphrase));
	err_clear(e);
	rc = backup_read(mem.s, mem.len, key_mem.s, key_mem.len, passphrase != NULL ? &s : NULL, out, e);
	secret_release(&s);
	str_release(&mem);
	str_release(&key_mem);
	str_release(&path);
	return rc;
}

/* It is read, and what comes out is leaf.key and leaf.pem before mid.pem. */
static void
good(const char *name, const char *key, const char *passphrase, const char *weak, bool clear)
{
	struct backup b;
	struct certificate c = { .id = 0 };
	struct str out = STR_INIT;
	struct err e;

	if (read_file(name, key, passphrase, &b, &e) != 0)
		fail_msg("%s: %s", name, e.text);
	if (weak == NULL)
		assert_null(b.weak);
	else
		assert_string_equal(b.weak, weak);
	assert_int_equal(b.clear, clear);
	assert_int_equal(cert_read(b.pem.s, b.pem.len, b.spki_sha256, &c, &e), 0);
	assert_string_equal(c.cn, "mail.a.test");
	pki_save(dir, "out.key", b.key.mem, b.key.len);
	pki_save(dir, "out.pem", c.pem, strlen(c.pem));
	shell("openssl pkey -in leaf.key -outform DER -out a && openssl pkey -in out.key -outform DER -out b && cmp a b");
	shell("cat leaf.pem mid.pem | sed -n '/^-----BEGIN/,/^-----END/p' | cmp - out.pem");
	backup_release(&b);
	certificate_release(&c);
	str_release(&out);
}

static void
bad(const char *name, const char *key, const char *passphrase, enum err_code code, const char *sentence)
{
	struct backup b;
	struct err e;

	assert_int_equal(read_file(name, key, passphrase, &b, &e), -1);
	if (e.code != code || strstr(e.text, sentence) == NULL)
		fail_msg("%s: not \"%s\" but %s: \"%s\"", name, sentence, err_name(e.code), e.text);
	assert_null(b.key.mem);
}

static void
pkcs12_of_every_age(void **state)
{
	(void)state;
	shell("openssl pkcs12 -export -inkey leaf.key -in leaf.pem -certfile chain.pem -passout pass:geheim -out modern.p12");
	good("modern.p12", NULL, "geheim", NULL, false);
	/* what Windows wrote until 2016 or so: certificates under RC2-40, the key under 3DES, SHA-1 */
	shell("openssl pkcs12 -export -legacy -inkey leaf.key -in leaf.pem -certfile chain.pem -passout pass:geheim -out windows.p12");
	good("windows.p12", NULL, "geheim", "RC2 with 40 bits, 3DES", false);
	shell("openssl pkcs12 -export -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 -inkey leaf.key -in leaf.pem "
	    "-certfile chain.pem -passout pass:geheim -out 3des.p12");
	good("3des.p12", NULL, "geheim", "3DES", false);
	shell("openssl pkcs12 -export -keypbe NONE -certpbe NONE -nomac -inkey leaf.key -in leaf.pem -certfile chain.pem -passout pass: "
	    "-out bare.p12");
	good("bare.p12", NULL, NULL, NULL, true);
	shell("openssl pkcs12 -export -inkey leaf.key -in leaf.pem -certfile chain.pem -passout pass: -out empty.p12");
	good("empty.p12", NULL, NULL, NULL, false);
	shell("openssl pkcs12 -export -inkey leaf.key -in leaf.pem -certfile chain.pem -passout pass:$(printf 'gr\\303\\274n') -out utf8.p12");
	good("utf8.p12", NULL, "gr\303\274n", NULL, false);
}

static void
pem_in_every_form(void **state)
{
	(void)state;
	shell("cat root.pem leaf.key mid.pem leaf.pem >any.pem");
	good("any.pem", NULL, NULL, NULL, true);
	shell("openssl pkey -in leaf.key -aes256 -passout pass:geheim -out enc.key && cat mid.pem enc.key leaf.pem root.pem >enc.pem");
	good("enc.pem", NULL, "geheim", NULL, false);
	shell("cat leaf.pem chain.pem >certs.pem");
	good("certs.pem", "enc.key", "geheim", NULL, false);
	shell("openssl ec -in leaf.key -aes128 -passout pass:geheim -out trad.key");
	good("certs.pem", "trad.key", "geheim", NULL, false);
	shell("openssl pkcs8 -topk8 -in leaf.key -v1 PBE-SHA1-RC2-40 -provider legacy -provider default -passout pass:geheim -out rc2.key");
	good("certs.pem", "rc2.key", "geheim", "RC2 with 40 bits", false);
	shell("openssl pkcs8 -topk8 -in leaf.key -scrypt -passout pass:geheim -outform DER -out scrypt.der");
	good("certs.pem", "scrypt.der", "geheim", NULL, false);
	shell("openssl pkey -in leaf.key -outform DER -out plain.der && openssl crl2pkcs7 -nocrl -certfile certs.pem -outform DER -out certs.p7b");
	good("certs.p7b", "plain.der", NULL, NULL, true);
}

static void
refusals(void **state)
{
	(void)state;
	bad("modern.p12", NULL, NULL, RC_PASSPHRASE, "its passphrase is needed");
	bad("modern.p12", NULL, "falsch", RC_PASSPHRASE, "this is not its passphrase");
	bad("windows.p12", NULL, "falsch", RC_PASSPHRASE, "this is not its passphrase");
	bad("enc.pem", NULL, NULL, RC_PASSPHRASE, "its passphrase is needed");
	bad("enc.pem", NULL, "falsch", RC_PASSPHRASE, "this is not its passphrase");
	bad("certs.pem", "trad.key", "falsch", RC_PASSPHRASE, "this is not its passphrase");
	bad("certs.pem", "scrypt.der", "falsch", RC_PASSPHRASE, "this is not its passphrase");
	bad("certs.pem", NULL, NULL, RC_CERT, "no key in it");
	bad("certs.pem", "chain.pem", NULL, RC_CERT, "no key in it");
	bad("certs.pem", "other.key", NULL, RC_CERT, "fits none of its 3 certificates");
	bad("leaf.pem", "other.key", NULL, RC_CERT, "does not fit its certificate");
	shell("cat any.pem other.key >two.pem");
	bad("two.pem", NULL, NULL, RC_CERT, "several keys");
	bad("modern.p12", "leaf.key", "geheim", RC_INVALID, "leave the file of the key out");
	bad("leaf.key", NULL, NULL, RC_PARSE, "only a key");
	shell("openssl pkcs12 -export -nocerts -inkey leaf.key -passout pass:geheim -out keyonly.p12");
	bad("keyonly.p12", NULL, "geheim", RC_CERT, "no certificate in it");
	shell("openssl pkcs12 -export -nokeys -in leaf.pem -passout pass:geheim -out nokey.p12");
	bad("nokey.p12", NULL, "geheim", RC_CERT, "no key in it");
	shell("head -c 700 modern.p12 >cut.p12");
	bad("cut.p12", NULL, "geheim", RC_PARSE, "cut off");
	shell("head -c 2000000 /dev/zero >big.p12");
	bad("big.p12", NULL, "geheim", RC_LIMIT, "are not read");
	shell("printf '' >nothing");
	bad("nothing", NULL, NULL, RC_PARSE, "empty");
}

/* The number of rounds is the file's: it may ask for hours. */
static void
work_has_a_ceiling(void **state)
{
	(void)state;
	shell("openssl pkcs12 -export -iter 66051 -inkey leaf.key -in leaf.pem -passout pass:geheim -out slow.p12");
	/* 66051 as DER: 02 03 01 02 03 */
	shell("perl -0777 -pe 's/\\x02\\x03\\x01\\x02\\x03/\\x02\\x03\\x7f\\xff\\xff/g' slow.p12 >slower.p12 && ! cmp -s slow.p12 slower.p12");
	bad("slower.p12", NULL, "geheim", RC_LIMIT, "rounds of work");
}

static void
written_and_read(void **state)
{
	static const char passphrase[] = "acht Zeichen \303\274", name[] = "Post 2027 \303\244";
	struct secret s = { NULL, 0 };
	struct backup b, again;
	struct str out = STR_INIT, text = STR_INIT;
	struct certificate c = { .id = 0 };
	struct err e;

	(void)state;
	secret_set(&s, passphrase, strlen(passphrase));
	assert_int_equal(read_file("any.pem", NULL, NULL, &b, &e), 0);
	assert_int_equal(cert_read(b.pem.s, b.pem.len, b.spki_sha256, &c, &e), 0);
	assert_int_equal(backup_write(c.pem, &b.key, name, &s, &out, &e), 0);
	pki_save(dir, "ours.p12", out.s, out.len);
	pki_save(dir, "pass", passphrase, strlen(passphrase));
	shell("openssl pkcs12 -in ours.p12 -passin file:pass -nodes -nocerts | openssl pkey -outform DER | cmp - a");
	assert_int_equal(pki_run(dir, &text, "openssl pkcs12 -in ours.p12 -passin file:pass -info -noout"), 0);
	assert_non_null(strstr(text.s, "MAC: sha256"));
	assert_non_null(strstr(text.s, "PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256"));
	assert_null(strstr(text.s, "3DES"));
	assert_int_equal(backup_read(out.s, out.len, NULL, 0, &s, &again, &e), 0);
	assert_memory_equal(again.key.mem, b.key.mem, b.key.len);
	/* a key that is not the certificate's, and no passphrase */
	backup_release(&again);
	assert_int_equal(read_file("mid.pem", "mid.key", NULL, &again, &e), 0);
	assert_int_equal(backup_write(c.pem, &again.key, name, &s, &out, &e), -1);
	assert_string_equal(e.text, "the key kept here does not fit the certificate");
	secret_set(&s, "", 0);
	assert_int_equal(backup_write(c.pem, &b.key, name, &s, &out, &e), -1);
	assert_string_equal(e.text, "a backup is written under a passphrase only");
	backup_release(&b);
	backup_release(&again);
	certificate_release(&c);
	secret_release(&s);
	str_release(&out);
	str_release(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pkcs12_of_every_age),
		cmocka_unit_test(pem_in_every_form),
		cmocka_unit_test(refusals),
		cmocka_unit_test(work_has_a_ceiling),
		cmocka_unit_test(written_and_read),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
