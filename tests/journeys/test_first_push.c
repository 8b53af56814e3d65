/* The big journey, with the real console against a real host of the lab: first start, host key, reading, own authority,
 * certificate wizard, properties, plan, a push; the console is killed while it waits, and the next one keeps it; a foreign client
 * then gets the certificate; mail that cannot be encrypted waits, and the queue view says why. Needs MXSEAL_LAB (the lab's script, a lab that is up) and root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mxseal/str.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/lab_console.h"

/* Six characters of the fingerprint that the screen shows. */
static void
accept_host_key(struct vt *t)
{
	char first[7] = "";

	vt_expect(t, "who is answering?", 20000);
	vt_expect(t, "> SHA256:", 2000);
	for (int row = 0; row < 24 && first[0] == '\0'; row++) {
		const char *p = strstr(vt_row(t, row), "  SHA256:");
		if (p != NULL)
			snprintf(first, sizeof(first), "%s", p + 9);
	}
	assert_int_equal(strlen(first), 6);
	vt_type(t, first);
	vt_type(t, "<Enter>");
}

static void
know_the_host(struct vt *t)
{
	vt_expect(t, "nobody has been contacted", 5000);
	vt_type(t, "<Enter>");
	vt_expect(t, "Add a server", 3000);
	vt_type(t, "mx1<Tab>mx1<Tab><Tab><Tab><Tab><Tab>");
	vt_expect(t, "> [ Add ]", 3000);
	vt_type(t, "<Enter>");
	vt_expect(t, "mx1 is known now", 3000);
	vt_type(t, "<Enter>");
	accept_host_key(t);
	vt_expect(t, "mx1 read: postfix", 30000);
	vt_expect(t, "smtp :25", 3000);
}

static void
allow_changes(struct vt *t)
{
	vt_expect(t, "[RO]", 3000);
	vt_type(t, "W");
	vt_expect(t, "[y/N]", 3000);
	vt_type(t, "y");
	vt_expect(t, "may be changed until this console ends", 3000);
	vt_expect_gone(t, "[RO]", 3000);
}

static void
make_an_authority(struct vt *t)
{
	vt_type(t, ":new auth<Enter>");
	vt_expect(t, "New authority", 3000);
	vt_type(t, "house<Tab>House CA<Tab><Tab><Tab><Tab>");
	vt_expect(t, "> [ Create ]", 3000);
	vt_type(t, "<Enter>");
	vt_expect(t, "passphrase >", 5000);
	vt_type(t, "correct horse<Enter>");
	vt_expect(t, "once more >", 5000);
	vt_type(t, "correct horse<Enter>");
	vt_expect(t, "can sign now", 10000);
}

static void
walk_the_wizard(struct vt *t)
{
	vt_type(t, ":go mx1/smtp<Enter>");
	vt_expect(t, ">       smtp :25", 3000);
	vt_type(t, "c");
	for (int page = 1; page < 8; page++) {
		char step[32];
		snprintf(step, sizeof(step), "Step %d of 8", page);
		vt_expect(t, step, 5000);
		vt_type(t, "<C-n>");
	}
	vt_expect(t, "Step 8 of 8: Review", 5000);
	vt_expect(t, "Nothing has been done yet", 2000);
	vt_type(t, "<Enter>");
	vt_expect(t, "ok  Done.", 60000);
	vt_type(t, "<Enter>");
	vt_expect(t, "not pushed yet", 5000);
}

/* Secure channel: offer. Outbound security: encrypt. */
static void
tick_the_boxes(struct vt *t)
{
	vt_expect(t, ">       smtp :25", 3000);
	vt_type(t, "e");
	vt_expect(t, "[1 General]", 5000);
	vt_type(t, "<C-n>");
	vt_expect(t, "[2 Access]", 3000);
	vt_expect(t, "> Secure channel", 3000);
	vt_type(t, "<Right><Right>");
	vt_type(t, "<C-n>");
	vt_expect(t, "[3 Messages]", 3000);
	vt_type(t, "<C-n>");
	vt_expect(t, "[4 Delivery]", 3000);
	vt_expect(t, "> Outbound security", 3000);
	vt_type(t, "<Right><Right><Right>");
	vt_type(t, ":finish<Enter>");
	vt_expect(t, "our mail wait for who cannot do that", 10000);
	vt_expect(t, "[y/N]", 3000);
	vt_type(t, "y");
	vt_expect(t, "kept here", 5000);
}

static void
push(struct vt *t)
{
	vt_type(t, "P");
	vt_expect(t, "nothing is touched yet", 60000);
	vt_expect(t, "main.cf", 5000);
	vt_type(t, "A");
	if (vt_sees(t, "Type \"1 host\"", 1000)) {
		vt_expect(t, "to apply >", 2000);
		vt_type(t, "1 host<Enter>");
	} else {
		vt_expect(t, "[y/N]", 2000);
		vt_type(t, "y");
	}
	vt_expect(t, "Waiting for you", 90000);
	vt_expect(t, "Do nothing: mx1 puts the old files back", 2000);
}

/* The window is gone while the push waits; the next console has it in front. */
static struct vt *
come_back_and_keep(const char *dir, struct vt *t)
{
	vt_close(t);
	t = lab_console(dir, "--write", 24, 80);
	vt_expect(t, "a push is waiting", 10000);
	vt_expect(t, "keep or undo", 2000);
	vt_type(t, "<Enter>");
	vt_expect(t, "Do nothing: mx1 puts the old files back", 20000);
	vt_type(t, "K");
	vt_expect(t, "mx1: kept", 30000);
	vt_type(t, "<Esc>");
	vt_expect(t, "Fleet", 5000);
	return t;
}

static void
foreign_client_gets_it(const char *dir)
{
	struct str out = STR_INIT;

	lab_run(dir, &out, "ctl sh -c 'echo QUIT | openssl s_client -starttls smtp -connect mx1.lab.test:25 2>&1'");
	if (strstr(out.s, "House CA") == NULL)
		fail_msg("the foreign client saw: %.2000s", out.s);
	str_release(&out);
}

static void
why_mail_waits(const char *dir, struct vt *t)
{
	assert_int_equal(lab_run(dir, NULL, "exec mx1 sh -c 'echo test | sendmail -f root@mx1.lab.test someone@notls.test'"), 0);
	vt_type(t, "Q");
	vt_expect(t, "Waiting mail by destination", 5000);
	vt_expect(t, "notls.test", 60000);
	vt_expect(t, "The other side offers no TLS", 60000);
	vt_type(t, "<Enter>");
	vt_expect(t, "sure: high", 60000);
	vt_expect(t, "What you can do", 5000);
	vt_type(t, "<Tab><PgDn>");
	vt_expect(t, "Evidence", 5000);
	vt_type(t, "<Esc>");
	vt_expect(t, "Fleet", 5000);
	vt_type(t, "L");
	vt_expect(t, "records ok", 5000);
	vt_type(t, "<Esc>q");
}

static void
first_start_to_diagnosis(void **state)
{
	char *dir = fixture_dir();
	struct vt *t;

	(void)state;
	assert_int_equal(lab_run(dir, NULL, "reset mx1"), 0);
	lab_ssh_config(dir);
	t = lab_console(dir, NULL, 24, 80);
	know_the_host(t);
	allow_changes(t);
	make_an_authority(t);
	walk_the_wizard(t);
	tick_the_boxes(t);
	push(t);
	t = come_back_and_keep(dir, t);
	foreign_client_gets_it(dir);
	why_mail_waits(dir, t);
	assert_int_equal(vt_finish(t, 10000), 0);
	assert_true(vt_termios_restored(t));
	vt_close(t);
	lab_run(dir, NULL, "reset mx1");
	fixture_remove(dir);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(first_start_to_diagnosis) };

	if (!lab_is_up())             /* MXSEAL_LAB */
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
