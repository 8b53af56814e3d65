/* core/push: whole pushes through the transport "local:" on a fake root, with a small SMTP listener whose manners depend on
 * the live configuration, as those of a real one do. TLS is proved in the lab, against real mail systems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "mxseal/host.h"
#include "mxseal/plan.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/push_world.h"

#define OLD_TEXT WORLD_OLD

static struct push_world w;

static void
main_is(const char *want)
{
	char *text = text_read(w.main_cf);
	struct stat st;

	assert_string_equal(text, want);
	assert_int_equal(stat(w.main_cf, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	free(text);
}

static int
set_up(void **state)
{
	(void)state;
	world_open(&w);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	world_close(&w);
	return 0;
}

static void
make_plan(struct plan *p, int64_t generation, const char *before, const char *after)
{
	world_plan(&w, p, generation, before, after, false);
}

static int
push(int64_t generation, const char *before, const char *after, const struct push_options *o, struct push_report *r,
    struct err *e)
{
	struct plan p;
	int rc;

	make_plan(&p, generation, before, after);
	err_clear(e);
	rc = push_apply(&p, w.h, o, NULL, r, e);
	plan_release(&p);
	return rc;
}

static void
look(const char *state, int64_t generation)
{
	struct push_status s;
	struct err e;

	if (push_look(w.h, false, &s, &e) != 0)
		fail_msg("%s", e.text);
	assert_string_equal(s.state, state);
	assert_int_equal(s.generation, generation);
	push_status_release(&s);
}

static void
a_push_is_kept(void **state)
{
	const struct push_options o = { .keep = true };
	struct push_report r;
	struct push_status s;
	struct err e;
	char *ran;

	(void)state;
	if (push(1, OLD_TEXT, OLD_TEXT "new = 1\n", &o, &r, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.result, PUSH_KEPT);
	assert_int_equal(r.n_proofs, 1);
	assert_true(r.proofs[0].ok);
	assert_non_null(strstr(r.steps.s, "keep    ok"));
	main_is(OLD_TEXT "new = 1\n");
	ran = text_read(w.ran);
	assert_string_equal(ran, "reload\n");
	free(ran);
	push_report_release(&r);

	/* the same again: nothing */
	assert_int_equal(push(2, OLD_TEXT "new = 1\n", OLD_TEXT "new = 1\n", &o, &r, &e), 0);
	assert_int_equal(r.result, PUSH_KEPT);        /* the plan still creates a file; an empty one is below */
	push_report_release(&r);
	{
		struct plan p;

		plan_init(&p);
		assert_int_equal(push_apply(&p, w.h, &o, NULL, &r, &e), 0);
		assert_int_equal(r.result, PUSH_UNCHANGED);
		push_report_release(&r);
		plan_release(&p);
	}

	assert_int_equal(push_look(w.h, false, &s, &e), 0);
	assert_string_equal(s.state, "idle");
	assert_int_equal(s.generation, 2);
	assert_int_equal(s.next, 3);
	assert_null(s.owner);
	assert_non_null(strstr(s.generations.s, "kept\n"));
	push_status_release(&s);

	/* undo of a kept one: what was before it, twice */
	if (push_undo(w.h, 0, NULL, &r, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(r.result, PUSH_UNDONE);
	assert_int_equal(r.generation, 1);
	push_report_release(&r);
	if (push_undo(w.h, 0, NULL, &r, &e) != 0)
		fail_msg("%s", e.text);
	push_report_release(&r);
	main_is(OLD_TEXT);
	look("idle", 0);
	assert_int_equal(push_undo(w.h, 0, NULL, &r, &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	push_report_release(&r);
	if (push_undo(w.h, 2, NULL, &r, &e) != 0)      /* and any kept one can be had again */
		fail_msg("%s", e.text);
	push_report_release(&r);
	main_is(OLD_TEXT "new = 1\n");
}

static void
a_bad_proof_is_undone(void **state)
{
	const struct push_options o = { .keep = true };
	struct push_report r;
	struct err e;

	(void)state;
	assert_int_equal(push(1, OLD_TEXT, "myhostname = mx\nmanners = none\n", &(struct push_options){ .keep = true,
	    .confirm_within = 6 }, &r, &e), -1);
	assert_int_equal(e.code, RC_UNDONE);
	assert_non_null(strstr(e.text, "undone"));
	assert_int_equal(r.result, PUSH_UNDONE);
	assert_true(r.proofs[0].ok);                   /* of the old state */
	main_is(OLD_TEXT);
	look("idle", 0);
	push_report_release(&r);

	/* it greets, but offers what it must not */
	assert_int_equal(push(2, OLD_TEXT, OLD_TEXT "offer = yes\n", &(struct push_options){ .keep = true,
	    .confirm_within = 6 }, &r, &e), -1);
	assert_int_equal(e.code, RC_UNDONE);
	assert_non_null(strstr(e.text, "STARTTLS is still offered"));
	main_is(OLD_TEXT);
	push_report_release(&r);
	assert_int_equal(push(3, OLD_TEXT, OLD_TEXT "fine = yes\n", &o, &r, &e), 0);
	push_report_release(&r);
}

/* The listener dies for good with the new files: what the state is cannot be said, and is not said. */
static void
a_bad_undo_is_said_loudly(void **state)
{
	struct plan p;
	struct push_report r;
	struct err e;
	char pid[32];

	(void)state;
	make_plan(&p, 1, OLD_TEXT, OLD_TEXT "x = 1\n");
	command_list_release(&p.reload);
	snprintf(pid, sizeof(pid), "%d", (int)w.server);
	command_add(&p.reload, "reload", "sh", "-c", "kill -9 \"$0\" 2>/dev/null; true", pid, NULL);
	assert_int_equal(push_apply(&p, w.h, &(struct push_options){ .keep = true, .confirm_within = 5 }, NULL, &r, &e), -1);
	assert_int_equal(e.code, RC_UNKNOWN);
	assert_int_equal(r.result, PUSH_UNKNOWN);
	assert_non_null(strstr(e.text, "UNKNOWN"));
	main_is(OLD_TEXT);
	push_report_release(&r);
	plan_release(&p);
}

static void
refusals_touch_nothing(void **state)
{
	const struct push_options o = { .keep = true };
	struct push_report r;
	struct plan p;
	struct talk *t;
	struct err e;

	(void)state;
	assert_int_equal(push(1, "other\n", "new\n", &o, &r, &e), -1);
	assert_int_equal(e.code, RC_CONFLICT);
	assert_int_equal(r.result, PUSH_REFUSED);
	main_is(OLD_TEXT);
	push_report_release(&r);

	make_plan(&p, 1, OLD_TEXT, "nothing to be found here\n");      /* the check looks for a name */
	assert_int_equal(push_apply(&p, w.h, &o, NULL, &r, &e), -1);
	assert_int_equal(e.code, RC_CHECK);
	assert_non_null(strstr(e.text, "names"));
	push_report_release(&r);
	plan_check(&p, "planned", false, "no");
	assert_int_equal(push_apply(&p, w.h, &o, NULL, &r, &e), -1);
	assert_int_equal(e.code, RC_CHECK);
	push_report_release(&r);
	plan_release(&p);

	make_plan(&p, 1, OLD_TEXT, OLD_TEXT "x = 1\n");
	p.changes[0].key_path = xstrdup("/var/lib/mxseal/keys/none.key");
	assert_int_equal(push_apply(&p, w.h, &o, NULL, &r, &e), -1);
	assert_int_equal(e.code, RC_CHECK);
	assert_non_null(strstr(e.text, "none.key is not on this host"));
	push_report_release(&r);
	plan_release(&p);

	assert_int_equal(talk_open(&t, w.h, &e), 0);
	talk_verb(t, "lock");
	talk_arg(t, "anna@elsewhere");
	assert_int_equal(talk_ask(t, NULL, 10000, &e), 0);
	assert_int_equal(push(1, OLD_TEXT, OLD_TEXT "x = 1\n", &o, &r, &e), -1);
	assert_int_equal(e.code, RC_LOCKED);
	assert_non_null(strstr(e.text, "anna@elsewhere is pushing to mx since "));
	push_report_release(&r);
	talk_close(t);
	main_is(OLD_TEXT);
	look("idle", 0);
}

static void
a_push_waits_for_a_word(void **state)
{
	struct push_report r;
	struct push_status s;
	int64_t generation = 0;
	struct err e;

	(void)state;
	assert_int_equal(push_keep(w.h, NULL, &generation, &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	assert_int_equal(push(1, OLD_TEXT, OLD_TEXT "x = 1\n", &(struct push_options){ .confirm_within = 60 }, &r, &e), 0);
	assert_int_equal(r.result, PUSH_WAITING);
	assert_in_range(r.undo_at, when_now() + 30, when_now() + 61);
	push_report_release(&r);
	assert_int_equal(push_look(w.h, true, &s, &e), 0);
	assert_string_equal(s.state, "waiting");
	assert_int_equal(s.generation, 1);
	assert_true(s.undo_at > 0);
	push_status_release(&s);
	assert_int_equal(push(2, OLD_TEXT "x = 1\n", OLD_TEXT "x = 2\n", &(struct push_options){ 0 }, &r, &e), -1);
	assert_int_equal(e.code, RC_LOCKED);
	push_report_release(&r);
	assert_int_equal(push_keep(w.h, NULL, &generation, &e), 0);
	assert_int_equal(generation, 1);
	look("idle", 1);

	assert_int_equal(push(2, OLD_TEXT "x = 1\n", OLD_TEXT "x = 2\n", &(struct push_options){ 0 }, &r, &e), 0);
	push_report_release(&r);
	assert_int_equal(push_undo(w.h, 0, NULL, &r, &e), 0);
	assert_int_equal(r.result, PUSH_UNDONE);
	push_report_release(&r);
	main_is(OLD_TEXT "x = 1\n");
	look("idle", 1);
}

static void
nobody_confirms(void **state)
{
	struct push_report r;
	struct push_status s;
	struct err e;
	int64_t until = when_monotonic_ms() + 30000;
	bool idle = false;

	(void)state;
	assert_int_equal(push(1, OLD_TEXT, OLD_TEXT "x = 1\n", &(struct push_options){ .confirm_within = 1 }, &r, &e), 0);
	push_report_release(&r);
	while (!idle && when_monotonic_ms() < until) {
		assert_int_equal(push_look(w.h, false, &s, &e), 0);
		idle = strcmp(s.state, "idle") == 0;
		if (idle)
			assert_non_null(strstr(s.generations.s, "undone: nobody confirmed it in time"));
		push_status_release(&s);
	}
	assert_true(idle);
	main_is(OLD_TEXT);
}

/* The shell on the host dies at points of a push: refused before the switch, unknown after it, and the host ends old. */
static void
a_lost_host_is_not_lied_about(void **state)
{
	static const struct { const char *point; enum err_code code; enum push_result result; } cases[] = {
		{ "begin", RC_NET, PUSH_REFUSED },
		{ "armed", RC_NET, PUSH_REFUSED },
		{ "switch:1", RC_UNKNOWN, PUSH_UNKNOWN },
		{ "switch-done", RC_UNKNOWN, PUSH_UNKNOWN },
	};
	struct push_report r;
	struct push_status s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		host_close(w.h);
		setenv("MXSEAL_FAULT", cases[i].point, 1);
		world_login(&w);
		assert_int_equal(push((int64_t)i + 1, OLD_TEXT, OLD_TEXT "x = 1\n", &(struct push_options){ .keep = true }, &r, &e), -1);
		assert_int_equal(e.code, cases[i].code);
		assert_int_equal(r.result, cases[i].result);
		push_report_release(&r);
		host_close(w.h);
		unsetenv("MXSEAL_FAULT");
		world_login(&w);
		if (push_look(w.h, true, &s, &e) != 0)
			fail_msg("%s", e.text);
		assert_string_equal(s.state, "idle");
		assert_non_null(s.recovered);
		push_status_release(&s);
		main_is(OLD_TEXT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_push_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bad_proof_is_undone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bad_undo_is_said_loudly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refusals_touch_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_push_waits_for_a_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_confirms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lost_host_is_not_lied_about, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
