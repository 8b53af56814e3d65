/* A process that is killed cannot clean up after itself, so its parent does: terminal settings as they were, alternate
 * screen left, bracketed paste off, cursor shown. When the console ended in order, nothing is written. */
#include <curses.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include "tui/console/guard.h"

static volatile sig_atomic_t child;

static void
pass_on(int sig)
{
	if (child > 0)
		kill((pid_t)child, sig);
}

static bool
has_alternate_screen(void)
{
	int status;
	char *leave;

	if (setupterm(NULL, STDOUT_FILENO, &status) != OK)
		return true;
	leave = tigetstr("rmcup");
	return leave != NULL && leave != (char *)-1;
}

static void
restore(const struct termios *was)
{
	/* leave the alternate screen, paste as typed, show the cursor, normal attributes */
	static const char back[] = "\033[?2004l\033[?1l\033>\033[?1049l\033[?25h\033[m\r\n";
	static const char below[] = "\033[r\033[999;1H\r\n";      /* where the picture stays: under it */
	const char *term = getenv("TERM");

	tcsetattr(STDIN_FILENO, TCSAFLUSH, was);
	if (term != NULL && strcmp(term, "dumb") != 0 && write(STDOUT_FILENO, back, sizeof(back) - 1) > 0 && !has_alternate_screen() &&
	    write(STDOUT_FILENO, below, sizeof(below) - 1) < 0)
		return;
}

int
guard_run(void)
{
	static const int passed[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT };
	struct termios was;
	struct sigaction sa = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	pid_t parent = getpid(), pid;
	int status = 0;

	if (tcgetattr(STDIN_FILENO, &was) != 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;                                 /* no guard is better than no console */
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		return -1;
	}
	child = pid;
	for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
		sigaction(passed[i], &sa, NULL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 7;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	restore(&was);
	fprintf(stderr, "mxseal: the console was ended by signal %d (%s). The store is whole; a push that was running is "
	    "finished or undone by its host: mxseal status\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}
