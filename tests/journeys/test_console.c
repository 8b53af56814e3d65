/* The shipped console under a pseudo-terminal: first start, a server added, help, find, palette, every size, Esc everywhere,
 * and the terminal whole again after every kind of end. Contacts nobody. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/vt.h"

struct world { char *dir; struct vt *t; };

static struct vt *
start(struct world *w, int rows, int cols, const char *more)
{
	char *store = xasprintf("MXSEAL_STORE=%s/store.db", w->dir), *home = xasprintf("HOME=%s", w->dir);
	const char *env[] = { store, home, more, NULL };
	const char *program = getenv("MXSEAL_PROGRAM"), *argv[] = { program != NULL ? program : TEST_PROGRAM, NULL };

	w->t = vt_start(argv, env, rows, cols);
	free(store);
	free(home);
	return w->t;
}

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->dir = fixture_dir();
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	if (w->t != NULL)
		vt_close(w->t);
	fixture_remove(w->dir);
	free(w->dir);
	free(w);
	return 0;
}

static void
assert_terminal_whole(struct vt *t)
{
	assert_true(vt_termios_restored(t));
	assert_false(vt_on_alternate_screen(t));
	assert_false(vt_pastes_bracketed(t));
	assert_true(vt_cursor_shown(t));
}

static void
add_server(struct vt *t)
{
	vt_expect(t, "Which mail servers do you look after?", 3000);
	vt_type(t, "<Enter>");
	vt_expect(t, "Add a server", 2000);
	vt_type(t, "mx1<Tab>root@192.0.2.1<Tab><Tab><Tab><Tab><Tab>");
	vt_expect(t, "> [ Add ]", 2000);
	vt_type(t, "<Enter>");
	vt_expect(t, "mx1 is known now", 2000);
	vt_expect(t, "not read", 2000);
}

static void
first_start(void **state)
{
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, NULL);

	vt_expect(t, "nobody has been contacted", 3000);
	assert_true(vt_on_alternate_screen(t));
	assert_true(vt_pastes_bracketed(t));
	vt_type(t, "<Esc>");
	vt_expect(t, "q quits", 2000);
	add_server(t);
	vt_type(t, "q");
	assert_int_equal(vt_finish(t, 3000), 0);
	assert_terminal_whole(t);
}

static void
a_draft_survives(void **state)
{
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, NULL);

	vt_expect(t, "Which mail servers", 3000);
	vt_type(t, "<Enter>");
	vt_expect(t, "Add a server", 2000);
	vt_type(t, "wichtig<Esc>");
	vt_expect(t, "The draft is kept", 2000);
	vt_type(t, "<Enter>");
	vt_expect(t, "wichtig", 2000);
	vt_expect(t, "Your draft of this dialog is back", 2000);
	/* letters in a text field are text, also q and ? */
	vt_type(t, "q?");
	vt_expect(t, "wichtigq?", 2000);
	vt_paste(t, "one\ntwo");
	vt_expect(t, "wichtigq?one two", 2000);
}

static void
help_find_palette(void **state)
{
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, NULL);

	add_server(t);
	vt_type(t, "?");
	vt_expect(t, "Help: Fleet", 2000);
	vt_expect(t, "mxseal plan [SERVER]", 2000);
	vt_type(t, "/fold");
	vt_expect(t, "Opens or mends what is selected; folds groups.", 2000);
	vt_expect_gone(t, "mxseal plan [SERVER]", 2000);
	vt_type(t, "<Esc>");
	vt_expect(t, "mxseal plan [SERVER]", 2000);
	vt_type(t, "<Esc>");
	vt_expect_gone(t, "Help: Fleet", 2000);
	vt_type(t, "/mx1");
	vt_expect(t, "[filter: mx1]", 2000);
	vt_expect_gone(t, "Authorities", 2000);
	vt_type(t, "<Esc>");
	vt_expect(t, "Authorities", 2000);
	vt_type(t, ":new auth<Enter>");
	vt_expect(t, "New authority", 2000);
	vt_type(t, "<Esc>");
	vt_expect(t, "never read", 2000);
	vt_type(t, ":go mx1<Enter>L");
	vt_expect(t, "Activity, newest first", 2000);
	vt_expect(t, "records ok", 2000);
	vt_type(t, "q");
	vt_expect(t, "never read", 2000);
	vt_type(t, "<F9>");
	vt_expect(t, "Command", 2000);
	vt_type(t, "<Esc><C-c>");
	vt_expect(t, "q quits (or Ctrl-C once more)", 2000);
	vt_type(t, "<C-c>");
	assert_int_equal(vt_finish(t, 3000), 0);
	assert_terminal_whole(t);
}

static void
every_size(void **state)
{
	static const int sizes[][2] = { { 1, 1 }, { 2, 5 }, { 3, 20 }, { 5, 20 }, { 9, 40 }, { 12, 60 }, { 40, 120 }, { 50, 200 },
	    { 1, 200 }, { 60, 2 } };
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, NULL);

	add_server(t);
	for (int round = 0; round < 5; round++)
		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			vt_resize(t, sizes[i][0], sizes[i][1]);
	vt_resize(t, 24, 80);
	vt_expect(t, "never read: nobody has been", 3000);
	vt_resize(t, 9, 40);
	vt_expect_gone(t, "Fleet", 3000);
	vt_expect(t, "mx1", 2000);
	vt_expect(t, "? help", 2000);
	static const char *const places[] = { "?", "n", ":", "L", "Q", "/x", NULL };
	for (int i = 0; places[i] != NULL; i++) {
		vt_type(t, places[i]);
		for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++)
			vt_resize(t, sizes[k][0], sizes[k][1]);
		vt_resize(t, 9, 40);
		vt_type(t, "<Esc><Esc>");
		vt_expect(t, "q quit", 3000);
	}
	vt_type(t, "q");
	assert_int_equal(vt_finish(t, 3000), 0);
	assert_terminal_whole(t);
}

static void
ended_by_sigterm(void **state)
{
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, NULL);

	vt_expect(t, "Which mail servers", 3000);
	kill(vt_pid(t), SIGTERM);
	assert_int_equal(vt_finish(t, 3000), 128 + SIGTERM);
	assert_terminal_whole(t);
}

/* The process that draws is the child of the one we started. */
static pid_t
child_of(pid_t parent)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	pid_t found = 0;

	while ((d = readdir(proc)) != NULL && found == 0) {
		char path[300];
		int pid = atoi(d->d_name), of = 0;
		snprintf(path, sizeof(path), "/proc/%.20s/stat", d->d_name);
		FILE *f = pid > 0 ? fopen(path, "r") : NULL;
		if (f == NULL)
			continue;
		if (fscanf(f, "%*d (%*[^)]) %*c %d", &of) == 1 && of == (int)parent)
			found = pid;
		fclose(f);
	}
	closedir(proc);
	return found;
}

static void
a_closed_window_leaves_no_process(void **state)
{
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, NULL);
	pid_t drawing;

	vt_expect(t, "Which mail servers", 3000);
	drawing = child_of(vt_pid(t));
	assert_true(drawing > 0);
	vt_hangup(t, 5000);
	assert_int_equal(kill(drawing, 0), -1);
}

static void
killed(struct world *w, int sig)
{
	struct vt *t = start(w, 24, 80, NULL);

	vt_expect(t, "Which mail servers", 3000);
	pid_t child = child_of(vt_pid(t));
	assert_true(child > 0);
	kill(child, sig);
	assert_int_equal(vt_finish(t, 3000), 128 + sig);
	assert_terminal_whole(t);
	vt_expect(t, "the console was ended by signal", 1000);
}

static void killed_by_sigkill(void **state) { killed(*state, SIGKILL); }

static void
refuses_a_dumb_terminal(void **state)
{
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, "TERM=dumb");

	vt_expect(t, "mxseal help", 2000);
	assert_int_equal(vt_finish(t, 2000), 2);
	assert_terminal_whole(t);
}

static void
plain_lines_and_no_colour(void **state)
{
	struct world *w = *state;
	struct vt *t = start(w, 24, 80, "LC_ALL=C");

	vt_expect(t, "+-- Welcome ---", 3000);
	vt_type(t, "q");
	assert_int_equal(vt_finish(t, 3000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_draft_survives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(help_find_palette, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ended_by_sigterm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(killed_by_sigkill, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_closed_window_leaves_no_process, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_a_dumb_terminal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(plain_lines_and_no_colour, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
