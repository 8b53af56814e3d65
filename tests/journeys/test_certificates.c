/* Certificates in the real console against a real host of the lab: a backup is imported in the wizard, its passphrase typed, the
 * weakness of its encryption accepted, pushed; then renewed with its own key at an authority of our own and pushed; then
 * replaced by a certificate with a new key. Each time a foreign client tells what is served. Needs MXSEAL_LAB and root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/lab_console.h"
#include "support/pki.h"

static const char *lab;
static char *dir;

static void
shell(const char *command)
{
	struct str out = STR_INIT;

	if (pki_run(dir, &out, "%s", command) != 0)
		fail_msg("%s: %s", command, out.s);
	str_release(&out);
}

static const char *
program(void)
{
	const char *p = getenv("MXSEAL_PROGRAM");

	return p != NULL ? p : TEST_PROGRAM;
}

/* The wizard with this branch chosen: keys from the one that it begins with, to create a new certificate. */
static void
choose(struct vt *t, const char *keys, const char *words)
{
	vt_type(t, ":go mx1/smtp<Enter>");
	vt_expect(t, ">       smtp :25", 5000);
	vt_type(t, "c");
	vt_expect(t, ": What", 5000);
	vt_type(t, keys);
	vt_expect(t, words, 3000);
	vt_type(t, "<C-n>");
}

static void
finish(struct vt *t)
{
	vt_expect(t, ": Review", 5000);
	vt_expect(t, "Nothing has been done yet", 2000);
	vt_type(t, "<Enter>");
}

static void
import_a_backup(struct vt *t)
{
	choose(t, "<Right>", "Import a certificate from a backup");
	vt_expect(t, ": Backup", 5000);
	vt_type(t, "old.pfx<Tab><Tab>");
	vt_expect(t, "> Its passphrase", 5000);
	vt_type(t, "geheim<Tab>");
	vt_expect(t, "> Import it all the same", 5000);
	vt_type(t, " <C-n>");
	finish(t);
	vt_expect(t, "passphrase >", 5000);
	vt_type(t, "correct horse<Enter>");
	vt_expect(t, "ok  Done.", 20000);
	vt_type(t, "<Enter>");
}

static void
renew_with_its_key(struct vt *t)
{
	choose(t, "", "Renew the certificate");
	vt_expect(t, ": Renewal", 5000);
	vt_type(t, "<Right>");
	vt_expect(t, "(o) the key that is in use", 3000);
	vt_type(t, "<C-n>");
	vt_expect(t, ": Delayed or", 5000);
	vt_type(t, "<C-n>");
	vt_expect(t, ": Authority", 5000);
	vt_type(t, "<C-n>");
	finish(t);
	vt_expect(t, "ok  Done.", 60000);
	vt_type(t, "<Enter>");
}

static void
replace_it(struct vt *t)
{
	choose(t, "<Right>", "Replace it by a new certificate");
	for (int page = 2; page < 8; page++) {
		char step[32];
		snprintf(step, sizeof(step), "Step %d of 8", page);
		vt_expect(t, step, 5000);
		vt_type(t, "<C-n>");
	}
	finish(t);
	vt_expect(t, "ok  Done.", 60000);
	vt_type(t, "<Enter>");
}

static void
push_and_keep(struct vt *t)
{
	vt_expect(t, "not pushed yet", 5000);
	vt_type(t, "P");
	vt_expect(t, "nothing is touched yet", 60000);
	vt_type(t, "A");
	if (vt_sees(t, "Type \"1 host\"", 1000)) {
		vt_expect(t, "to apply >", 2000);
		vt_type(t, "1 host<Enter>");
	} else {
		vt_expect(t, "[y/N]", 2000);
		vt_type(t, "y");
	}
	vt_expect(t, "Waiting for you", 90000);
	vt_type(t, "K");
	vt_expect(t, "mx1: kept", 30000);
	vt_type(t, "<Esc>");
	vt_expect(t, "Fleet", 5000);
}

/* What a foreign client is served, into served.pem. */
static void
look(void)
{
	struct str out = STR_INIT;

	if (pki_run(dir, &out, "'%s' ctl sh -c 'echo QUIT | openssl s_client -starttls smtp -connect mx1.lab.test:25 2>&1' | "
	    "openssl x509 -out served.pem", lab) != 0)
		fail_msg("no certificate is served: %s", out.s);
	str_release(&out);
}

/* The host, known and read. */
static void
known_host(void)
{
	char *trust = xasprintf("server trust mx1 --fingerprint $(ssh-keygen -lf \"$('%s' dir)/known_hosts\" | "
	    "awk '$3 ~ \"^mx1,\" && $NF == \"(ED25519)\" { print $2 }')", lab);

	lab_mxseal(dir, "server add mx1 mx1");
	lab_mxseal(dir, trust);
	free(trust);
	lab_mxseal(dir, "server read mx1");
}

/* The key that was imported, as a file has it and as its bytes: neither on the wire to the terminal nor left in memory, where a
 * core dump would show it. What surely is there is found. */
static void
key_is_nowhere(struct vt *t)
{
	struct str pem = STR_INIT, der = STR_INIT;
	struct err e;

	shell("openssl pkey -in old.key -outform DER -out key.der && sed -n 9p old.key | tr -d '\\n' >key.line");
	if (str_read_file(&pem, "key.line", 4096, &e) != 0 || str_read_file(&der, "key.der", 65536, &e) != 0)
		fail_msg("%s", e.text);
	assert_true(pem.len == 64 && der.len > 1000);
	assert_true(vt_was_sent(t, "Fleet", 5) && vt_in_memory(t, dir, strlen(dir)));
	assert_false(vt_was_sent(t, pem.s, pem.len));
	assert_false(vt_in_memory(t, pem.s, pem.len));
	/* the private exponent and a prime, as PKCS#8 has them */
	assert_false(vt_in_memory(t, der.s + 400, 48));
	assert_false(vt_in_memory(t, der.s + 620, 48));
	for (size_t i = 0; i < 24; i++) {                    /* and as numbers lie in memory */
		char c = der.s[400 + i];

		der.s[400 + i] = der.s[447 - i];
		der.s[447 - i] = c;
	}
	assert_false(vt_in_memory(t, der.s + 400, 48));
	str_release(&pem);
	str_release(&der);
}

static void
import_renew_replace(void **state)
{
	struct vt *t;

	(void)state;
	shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj '/CN=Old CA' -days 99 && "
	    "openssl req -newkey rsa:2048 -nodes -keyout old.key -subj /CN=mx1.lab.test -out old.csr && "
	    "printf 'subjectAltName=DNS:mx1.lab.test\\n' >ext && "
	    "openssl x509 -req -in old.csr -CA ca.pem -CAkey ca.key -days 80 -extfile ext -set_serial 7 -out old.pem && "
	    "openssl pkcs12 -export -legacy -inkey old.key -in old.pem -certfile ca.pem -passout pass:geheim -out old.pfx && "
	    "printf 'correct horse\\n' >passphrase");
	known_host();
	lab_mxseal(dir, "authority add own house --cn \"House CA\"");
	assert_int_equal(chdir(dir), 0);
	t = lab_console(dir, "--write", 24, 80);
	import_a_backup(t);
	lab_mxseal(dir, "vs set mx1 inbound.tls=offer");
	push_and_keep(t);
	look();
	shell("openssl x509 -in old.pem -outform DER -out a && openssl x509 -in served.pem -outform DER -out b && cmp a b");
	key_is_nowhere(t);
	renew_with_its_key(t);
	push_and_keep(t);
	look();
	shell("openssl x509 -in served.pem -noout -issuer | grep 'House CA'");
	shell("openssl pkey -in old.key -pubout -out a && openssl x509 -in served.pem -noout -pubkey | cmp - a");
	replace_it(t);
	push_and_keep(t);
	look();
	shell("openssl x509 -in served.pem -noout -pubkey >b && ! cmp -s a b");
	vt_type(t, "q");
	assert_int_equal(vt_finish(t, 10000), 0);
	assert_true(vt_termios_restored(t));
	vt_close(t);
}

/* Ordered from a real ACME server and proved on port 80 of the host, all in the wizard; served after the push; and renewed by
 * check --renew, without a person, with another key. */
static void
from_an_acme_authority(void **state)
{
	static const char *const steps[] = { ": What", ": Delayed or", ": Name and key", ": Common name", ": Authority" };
	struct vt *t;
	char *line;

	(void)state;
	shell("printf 'correct horse\n' >passphrase");
	line = xasprintf("'%s' up mx1 acme && cp \"$('%s' dir)/ca.pem\" .", lab, lab);
	shell(line);
	free(line);
	known_host();
	lab_mxseal(dir, "authority add acme pebble --directory https://acme.lab.test:14000/dir --ca-file ca.pem --agree-tos");
	assert_int_equal(chdir(dir), 0);
	t = lab_console(dir, "--write", 24, 80);
	vt_expect(t, "Fleet", 5000);
	vt_type(t, ":go mx1/smtp<Enter>");
	vt_expect(t, ">       smtp :25", 5000);
	vt_type(t, "c");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		vt_expect(t, steps[i], 5000);
		if (i == 4)
			vt_expect(t, "(o) ACME, https://acme.lab.test:14000/dir", 3000);
		vt_type(t, "<C-n>");
	}
	finish(t);
	vt_expect(t, "passphrase is needed >", 10000);
	vt_type(t, "correct horse<Enter>");
	vt_expect(t, "ok  Done.", 60000);
	vt_type(t, "<Enter>");
	lab_mxseal(dir, "vs set mx1 inbound.tls=offer");
	push_and_keep(t);
	look();
	shell("openssl x509 -in served.pem -noout -issuer | grep -i pebble && openssl x509 -in served.pem -noout -pubkey >a");
	vt_type(t, "q");
	assert_int_equal(vt_finish(t, 10000), 0);
	vt_close(t);
	/* four years on it is due; what else needs attention by then (status 1) is no matter here */
	line = xasprintf("MXSEAL_NOW=$(($(date +%%s) + 4 * 365 * 86400)) MXSEAL_STORE=$PWD/store.db XDG_STATE_HOME=$PWD "
	    "MXSEAL_SSH_CONFIG=$PWD/ssh_config '%s' ctl '%s' --no-input --passphrase-fd 9 check --renew 9<passphrase || [ $? = 1 ]", lab, program());
	shell(line);
	free(line);
	look();
	shell("openssl x509 -in served.pem -noout -issuer | grep -i pebble && openssl x509 -in served.pem -noout -pubkey >b && ! cmp -s a b");
}

static int
set_up(void **state)
{
	(void)state;
	dir = fixture_dir();
	lab_ssh_config(dir);
	return lab_run(dir, NULL, "reset mx1");
}

static int
tear_down(void **state)
{
	(void)state;
	pki_run("/", NULL, "'%s' reset mx1", lab);
	assert_int_equal(chdir("/"), 0);
	fixture_remove(dir);
	free(dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(import_renew_replace, set_up, tear_down),
		cmocka_unit_test_setup_teardown(from_an_acme_authority, set_up, tear_down) };

	lab = getenv("MXSEAL_LAB");
	if (!lab_is_up())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
