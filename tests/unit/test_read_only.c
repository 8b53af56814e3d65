/* Read-only binds everybody: each verb that changes a host is refused; each command and each action of the console that is
 * marked as changing one is refused before anything else; and what is not marked never gets to a host, even when hosts may
 * be changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/golden.h"
#include "support/pki.h"
#include "tui/command/command.h"
#include "tui/console/app.h"

static const struct view_ops *const views[] = { &view_main, &view_sheet, &view_plan, &view_push_watch, &view_queue, &view_probe,
    &view_activity, &view_certificate, &view_office, &view_route, &view_message, &view_help, &view_palette, &view_chooser, &view_hostkey, &view_drift,
    &view_workarounds, &view_remedy, &view_follow, &view_rehearsal };

/* None is forgotten: as many as app.h declares. */
static void
all_views(void **state)
{
	struct str text = STR_INIT;
	size_t n = 1;
	char *list;

	(void)state;
	assert_int_equal(str_read_file(&text, TEST_SOURCE_DIR "/tui/console/app.h", 100000, NULL), 0);
	list = strstr(text.s, "extern const struct view_ops view_");
	assert_non_null(list);
	for (; *list != ';'; list++)
		n += *list == ',';
	assert_int_equal(n, sizeof(views) / sizeof(*views));
	str_release(&text);
}

struct world { char *dir, *store; struct app *app; int64_t mx1, smtp; };

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct server s = { .queue_messages = -1 };
	struct vserver v = { .port = 25, .is_default = true };
	struct err e;

	screen_open(24, 80);
	style_open(false);
	w->dir = fixture_dir();
	w->store = xasprintf("%s/store.db", w->dir);
	setenv("HOME", w->dir, 1);
	unsetenv("MXSEAL_READ_ONLY");
	assert_int_equal(app_open(&w->app, w->store, false, &e), 0);
	s.name = xstrdup("mx1");
	s.target = xstrdup("root@192.0.2.1");
	assert_int_equal(store_server_save(w->app->st, &s, &e), 0);
	w->mx1 = v.server = s.id;
	v.name = xstrdup("smtp");
	assert_int_equal(store_vserver_save(w->app->st, &v, &e), 0);
	w->smtp = v.id;
	server_release(&s);
	vserver_release(&v);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	app_close(w->app);
	screen_close();
	unsetenv("MXSEAL_READ_ONLY");
	fixture_remove(w->dir);
	free(w->store);
	free(w->dir);
	free(w);
	return 0;
}

static void
never(void *arg, int rc, const struct err *e)
{
	(void)arg, (void)rc, (void)e;
	fail_msg("something was begun");
}

/* Every verb of the journeys that changes a host ends with code, before a job is made of it. */
static void
all_refused(struct world *w, enum err_code code)
{
	static const char *const acts[] = { "hold", "release", "retry", "delete" };
	static const char *const ids[] = { "4XyzAbc" };
	struct journey *j = w->app->j;
	struct push_options o = { .keep = true };
	struct push_report report;
	struct push_record_list l = { NULL, 0 };
	struct form *f = NULL;
	struct err e;
	size_t jobs = jobq_running(w->app->q);

#define REFUSED(call) do { \
		memset(&e, 0, sizeof(e)); \
		assert_true((call) == -1); \
		if (e.code != code) \
			fail_msg("%s: %s: %s", #call, err_name(e.code), e.text); \
	} while (0)
	REFUSED(push_start(j, w->mx1, NULL, &o, &report, never, NULL, &e));
	REFUSED(push_confirm(j, w->mx1, never, NULL, &e));
	REFUSED(push_revert(j, w->mx1, 0, &report, never, NULL, &e));
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		REFUSED(queue_act(j, w->mx1, acts[i], ids, 1, never, NULL, &e));
	assert_int_equal(form_open(&f, sheet_find("certificate"), j, w->smtp, "mx1/smtp", &e), 0);
	assert_int_equal(form_set(f, "out", "/nowhere/request.pem", &e), 0);
	REFUSED(certificate_request(j, f, never, NULL, &e));
	form_close(f);
	assert_int_equal(jobq_running(w->app->q), jobs);
	assert_int_equal(store_pushes(w->app->st, 0, &l, &e), 0);
	assert_int_equal(l.n, 0);
}

static void
verbs(void **state)
{
	struct world *w = *state;
	struct journey *j = w->app->j;
	struct str why = STR_INIT;
	struct err e;

	(void)journey_intend(j, true);
	assert_int_equal(journey_read_only(j, NULL), READ_ONLY_SESSION);
	all_refused(w, RC_READ_ONLY);
	assert_int_equal(err_exit_status(RC_READ_ONLY), 4);

	/* allowed, but by somebody who never said that he changes hosts */
	assert_int_equal(journey_allow_changes(j, &e), 0);
	(void)journey_intend(j, false);
	all_refused(w, RC_BUG);
	(void)journey_intend(j, true);
	assert_int_equal(may_change(j, &e), 0);

	/* the mark of the store: for everybody, also when it is made by another process; the session is lifted only for itself */
	assert_int_equal(journey_mark_read_only(j, true, &e), 0);
	all_refused(w, RC_READ_ONLY);
	assert_int_equal(journey_read_only(j, &why), READ_ONLY_STORE);
	assert_non_null(strstr(why.s, "made read-only by"));
	assert_int_equal(journey_allow_changes(j, &e), 0);
	assert_int_equal(may_change(j, &e), 0);
	journey_start_read_only(j);
	all_refused(w, RC_READ_ONLY);
	assert_int_equal(journey_mark_read_only(j, false, &e), 0);
	assert_int_equal(journey_allow_changes(j, &e), 0);
	assert_int_equal(may_change(j, &e), 0);

	/* the environment and --read-only cannot be lifted at all */
	setenv("MXSEAL_READ_ONLY", "1", 1);
	all_refused(w, RC_READ_ONLY);
	assert_int_equal(journey_allow_changes(j, &e), -1);
	assert_int_equal(e.code, RC_READ_ONLY);
	unsetenv("MXSEAL_READ_ONLY");
	journey_stay_read_only(j);
	assert_int_equal(journey_allow_changes(j, &e), -1);
	all_refused(w, RC_READ_ONLY);
	str_release(&why);
}

/* --- THE TABLE of commands --- */

/* The shipped program with a command, its least words and an option; 4 and the sentence is the only good answer. */
static void
command_refused(const struct world *w, const char *before, const struct cli_command *c, const char *option)
{
	const char *program = getenv("MXSEAL_PROGRAM");
	struct str line = STR_INIT, out = STR_INIT;
	int rc;

	str_addf(&line, "%s '%s' --store '%s' --no-input %s %s", strchr(before, '=') != NULL ? before : "", program != NULL ? program :
	    TEST_PROGRAM, w->store, strchr(before, '=') == NULL ? before : "", c->words);
	for (size_t i = 0; i < ((c->flags & SHOWS_ALONE) != 0 ? c->most : c->least); i++)
		str_add(&line, " 1");
	str_addf(&line, " %s 2>&1", option);
	rc = pki_run(w->dir, &out, "%s", line.s);
	if (rc != 4 || strstr(out.s, "read-only: no host is changed") == NULL)
		fail_msg("%s: status %d: %s", line.s, rc, out.s);
	str_release(&line);
	str_release(&out);
}

static void
commands_of_the_table(void **state)
{
	static const char *const must[] = { "push", "keep", "undo", "cert request", "queue hold", "queue release", "queue retry",
	    "queue delete", "workaround", "workaround end" };
	struct world *w = *state;
	size_t marked = 0, found = 0;

	for (const struct cli_command *c = commands; c->words != NULL; c++) {
		if (c->flags & CHANGES_HOST) {
			marked++;
			for (size_t i = 0; i < sizeof(must) / sizeof(*must); i++)
				found += strcmp(must[i], c->words) == 0;
			command_refused(w, "--read-only", c, "");
		}
		for (const struct option *o = c->options; o != NULL && o->name != NULL; o++)
			if (strcmp(o->name, "use") == 0)
				command_refused(w, marked % 2 ? "--read-only" : "MXSEAL_READ_ONLY=1", c, "--use");
	}
	assert_int_equal(found, sizeof(must) / sizeof(*must));
	assert_true(marked >= found);
}

/* --- actions of the console --- */

static void
actions_of_the_views(void **state)
{
	struct world *w = *state;
	size_t marked = 0;

	for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++)
		for (const struct action *t = views[i]->actions; t != NULL && t->name != NULL; t++) {
			struct view v = { .ops = views[i], .app = w->app };

			if (!(t->flags & ACTION_CHANGES))
				continue;
			marked++;
			w->app->message[0] = '\0';
			action_run(&v, t);              /* it would not survive without its data */
			if (strstr(w->app->message, "read-only: no host is changed") == NULL)
				fail_msg("%s, %s: %s", views[i]->name, t->name, w->app->message);
		}
	assert_true(marked >= 4);
	for (size_t i = 0; sheets[i] != NULL; i++)
		assert_int_equal(sheets[i]->changes, strcmp(sheets[i]->name, "certificate") == 0);
}

/* What an action that is not marked starts, asks or opens cannot change a host either. */
static void
sly(struct view *v)
{
	struct push_report report;
	struct err e = { .code = RC_OK };

	assert_true(push_revert(v->app->j, 1, 0, &report, never, NULL, &e) == -1);
	assert_int_equal(e.code, RC_BUG);
}

static void
sly_answer(struct app *a, struct view *v, int64_t arg, const char *text)
{
	(void)v, (void)arg, (void)text;
	sly(a->top);
}

static void
sly_asks(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, NULL, 0, sly_answer, "?");
}

static int64_t
sly_start(struct task *t, struct err *e)
{
	(void)e;
	sly(t->app->top);
	return 0;
}

static void
sly_runs(struct view *v)
{
	struct task t = { .verb = "sly", .start = sly_start };

	task_run(v->app, &t);
}

static void
what_is_not_marked(void **state)
{
	static const struct action actions[] = { { 'x', "x", "x", "x", NULL, sly, NULL, 0 },
	    { 'y', "y", "y", "y", NULL, sly_asks, NULL, 0 }, { 'z', "z", "z", "z", NULL, sly_runs, NULL, 0 } };
	struct world *w = *state;
	struct err e;

	assert_int_equal(journey_allow_changes(w->app->j, &e), 0);
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		action_run(w->app->top, &actions[i]);
	app_key(w->app, K_ENTER);
}

/* The key lifts it after a question, and says so. */
static void
the_key(void **state)
{
	struct world *w = *state;
	struct err e;

	app_key(w->app, 'W');
	assert_int_equal(w->app->prompt.kind, PROMPT_YESNO);
	w->app->prompt.ready_ms = 0;
	app_key(w->app, K_ENTER);                          /* the default is no */
	assert_int_equal(journey_read_only(w->app->j, NULL), READ_ONLY_SESSION);
	app_key(w->app, 'W');
	w->app->prompt.ready_ms = 0;
	app_key(w->app, 'y');
	assert_int_equal(journey_read_only(w->app->j, NULL), READ_ONLY_NO);
	app_key(w->app, 'W');
	assert_int_equal(journey_read_only(w->app->j, NULL), READ_ONLY_SESSION);
	assert_int_equal(journey_mark_read_only(w->app->j, true, &e), 0);
	app_key(w->app, 'W');
	assert_non_null(strstr(w->app->prompt.question, "made read-only by"));
	w->app->prompt.ready_ms = 0;
	app_key(w->app, K_ESC);
	setenv("MXSEAL_READ_ONLY", "1", 1);
	app_key(w->app, 'W');
	assert_int_equal(w->app->prompt.kind, PROMPT_NONE);
	assert_non_null(strstr(w->app->message, "MXSEAL_READ_ONLY is set"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_views),
		cmocka_unit_test_setup_teardown(verbs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(commands_of_the_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(actions_of_the_views, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_marked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_key, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
