/* From stuck mail to delivered mail, in the real console against a real host of the lab that requires TLS: queue, group, diagnosis, the
 * digit of a work-around, its dialog, the push. One that is undone sets nothing going; after the one that is kept exactly what was stuck is
 * tried again, and is seen leaving on the screen and in the destination's own record. Then marks: they stay the messages of one moment,
 * and who has gone is told; at 40x9 as well. Needs MXSEAL_LAB (a lab that is up) and root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/lab_console.h"
#include "support/pki.h"

static char *dir, who[40];

static void
run_in_lab(const char *begin, const char *middle, const char *end)
{
	char *words = xasprintf("%s%s%s", begin, middle, end);
	struct str out = STR_INIT;

	if (lab_run(dir, &out, words) != 0)
		fail_msg("%s: %s", words, out.s);
	str_release(&out);
	free(words);
}

static void
mail_to(const char *domain, int n)
{
	char *to = xasprintf("%s%d@%s", who, n, domain);

	run_in_lab("exec mx1 sh -c 'echo test | sendmail -f root@mx1.lab.test ", to, "'");
	free(to);
}

/* Lines of the host's queue that have this. */
static int
waiting(const char *text)
{
	char *words = xasprintf("exec mx1 sh -c 'postqueue -j | grep -c \"%s\" || true'", text);
	struct str out = STR_INIT;
	int n;

	assert_int_equal(lab_run(dir, &out, words), 0);
	n = atoi(out.s);
	str_release(&out);
	free(words);
	return n;
}

/* How many of ours the destination says it took, and whether any of them with TLS. */
static int
taken(const char *domain, const char *filter)
{
	char *words = xasprintf("exec dest cat /var/log/destd.jsonl | jq -rs '[.[] | select(.domain == \"%s\" and .mails > 0%s and "
	    "any(.dialog[]; startswith(\"C: RCPT TO:<%s\")))] | length'", domain, filter, who);
	struct str out = STR_INIT;
	int n;

	assert_int_equal(lab_run(dir, &out, words), 0);
	n = atoi(out.s);
	str_release(&out);
	free(words);
	return n;
}

static int
set_up(void **state)
{
	struct str print = STR_INIT;
	char *trust;

	(void)state;
	dir = fixture_dir();
	snprintf(who, sizeof(who), "stuck%ld-%lld-", (long)getpid(), (long long)time(NULL));
	lab_ssh_config(dir);
	if (lab_run(dir, NULL, "reset mx1") != 0 || lab_run(dir, &print, "exec mx1 ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub") != 0)
		return -1;
	lab_mxseal(dir, "server add mx1 mx1");
	trust = xasprintf("server trust mx1 --fingerprint %.50s", strstr(print.s, "SHA256:"));
	lab_mxseal(dir, trust);
	lab_mxseal(dir, "server read mx1");
	lab_mxseal(dir, "vs set mx1 outbound.tls=encrypt --yes");
	lab_mxseal(dir, "push mx1 --yes --no-shadow");
	free(trust);
	str_release(&print);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	lab_run("/", NULL, "reset mx1");
	fixture_remove(dir);
	free(dir);
	return 0;
}

/* --- the way --- */

static void
to_the_diagnosis(struct vt *t)
{
	vt_expect(t, "Fleet", 5000);
	vt_type(t, "Q");
	vt_expect(t, "Waiting mail by destination", 5000);
	vt_expect(t, "pix.test", 60000);
	vt_expect(t, ">        2", 60000);
	vt_expect(t, "The other side offers no TLS", 30000);
	vt_type(t, "<Enter>");
	vt_expect(t, "What you can do", 60000);
	vt_expect(t, " 2 workaround", 2000);
	vt_expect(t, "1-9 pick", 2000);
}

static void
choose_the_workaround(struct vt *t)
{
	vt_type(t, "1");
	vt_expect(t, "Next try", 3000);
	vt_expect_gone(t, "What you can do", 3000);         /* painted to its end */
	vt_type(t, "<Esc>");
	vt_expect(t, "What you can do", 3000);
	vt_type(t, "2");
	vt_expect(t, "> Without TLS                notls.test", 3000);
	vt_type(t, "<Tab><Tab><Tab><Tab>");
	vt_expect(t, "> [ Keep ]", 3000);
	vt_type(t, "<Enter>");
	vt_expect(t, "will leave mx1 without TLS", 60000);
}

/* The plan from the queue, without a trial run, applied, up to the question whether it is to be kept. */
static void
push(struct vt *t)
{
	vt_type(t, "P");
	vt_expect(t, "nothing is touched yet", 60000);
	vt_type(t, "S");
	vt_expect(t, "No shadow", 3000);
	vt_expect(t, "checks ", 60000);
	vt_type(t, "A");
	vt_expect(t, "Type \"1 host\"", 3000);
	vt_expect(t, "to apply >", 2000);
	vt_type(t, "1 host<Enter>");
	vt_expect(t, "Waiting for you", 90000);
}

static void
undone_sets_nothing_going(struct vt *t)
{
	push(t);
	vt_type(t, "U");
	vt_expect(t, "the old state is back", 60000);
	assert_false(vt_sees(t, "What was stuck before the push", 1500));
	assert_int_equal(waiting("notls.test"), 2);
	assert_int_equal(taken("notls.test", ""), 0);
	vt_type(t, "<Esc>");
	vt_expect(t, "Waiting mail by destination", 5000);
}

static void
kept_and_followed_out(struct vt *t)
{
	push(t);
	vt_type(t, "K");
	vt_expect(t, "What was stuck before the push", 60000);
	vt_expect(t, "ok  2 of 2 messages for notls.test have left", 60000);
	assert_int_equal(waiting("notls.test"), 0);
	assert_true(taken("notls.test", "") > 0);
	assert_int_equal(taken("notls.test", " and .tls.version != null"), 0);
	assert_int_equal(waiting("pix.test"), 1);           /* what it was not about still waits, as it did */
	vt_type(t, "<Esc>");
	vt_expect(t, "Push  mx1  kept", 5000);
	vt_type(t, "<Esc>");
	vt_expect(t, "Waiting mail by destination", 5000);
}

/* A mark is the messages of one moment: what comes later is not touched. */
static void
marks(struct vt *t)
{
	vt_expect_gone(t, "notls.test  ", 20000);     /* its row */
	vt_expect(t, ">        1", 5000);
	vt_type(t, " ");
	vt_expect(t, "1 message as counted at", 20000);
	mail_to("pix.test", 4);
	vt_type(t, "r");
	vt_expect(t, "* ", 3000);
	vt_expect(t, "> *      2", 60000);
	vt_expect(t, "1 message as counted at", 2000);
	vt_type(t, "Adelete<Enter>");
	vt_expect(t, "for good? Type 1", 5000);
	vt_expect(t, "> ", 2000);
	usleep(200000);                                     /* what is typed before it was painted is dropped, as it should be */
	vt_type(t, "1<Enter>");
	vt_expect(t, "delete: 1 message.", 20000);
	assert_int_equal(waiting("pix.test"), 1);
	vt_type(t, " ");
	vt_expect(t, "1 message as counted at", 20000);
	run_in_lab("exec mx1 postsuper -d ALL", "", "");    /* somebody else is quicker */
	vt_type(t, "Ahold<Enter>");
	vt_expect(t, "hold 1 message", 5000);
	usleep(200000);
	vt_type(t, "y");
	vt_expect(t, "hold: 0 of 1 messages; the others were gone", 20000);
}

static void
on_a_braille_line(struct vt *t)
{
	mail_to("pix.test", 5);
	vt_resize(t, 9, 40);
	vt_type(t, "r");
	vt_expect(t, "> ", 3000);
	vt_expect(t, "pix.test", 60000);
	vt_expect(t, "The other side offers no", 60000);
	vt_type(t, "<Enter>");
	vt_expect(t, "1 wait  2 workaround  3 lower", 60000);
	vt_expect(t, "4 complain  5 hold", 2000);
	vt_type(t, "5");
	vt_expect(t, "hold 1 message of pix.test", 20000);
	usleep(200000);
	vt_type(t, "y");
	vt_expect(t, "hold: 1 message.", 20000);
	assert_int_equal(waiting("\\\"queue_name\\\": \\\"hold\\\""), 1);
}

static void
stuck_mail_leaves(void **state)
{
	struct vt *t;

	(void)state;
	mail_to("notls.test", 1);
	mail_to("notls.test", 2);
	mail_to("pix.test", 3);
	t = lab_console(dir, "--write", 24, 80);
	to_the_diagnosis(t);
	choose_the_workaround(t);
	if (getenv("MXSEAL_LONG") != NULL)                  /* else the screens' test says so */
		undone_sets_nothing_going(t);
	kept_and_followed_out(t);
	marks(t);
	on_a_braille_line(t);
	vt_type(t, "q");
	vt_expect(t, "mx1", 5000);
	vt_type(t, "q");
	assert_int_equal(vt_finish(t, 10000), 0);
	assert_true(vt_termios_restored(t));
	vt_close(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(stuck_mail_leaves, set_up, tear_down) };

	if (!lab_is_up())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
