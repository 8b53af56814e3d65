/* The terminal and the loop: keys in, jobs delivered, time told, screen out. ppoll, not poll: a resize that falls between
 * the look and the wait would be lost. Signals are let through only there. Nothing in here knows what a view is for. */
#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include "mxseal/certificate.h"
#include "mxseal/log.h"
#include "mxseal/secret.h"
#include "mxseal/when.h"
#include "tui/console/app.h"
#include "tui/console/console.h"
#include "tui/console/guard.h"

#define FRAME_MS 25        /* at most 40 pictures a second of what happens by itself: lines may be slow; a key is shown at once */
#define DELIVER_MS 3       /* of what jobs bring, between two looks at the keyboard */
#define TICK_MS 250
#define CODE_PASTE_BEGIN 2000
#define CODE_PASTE_END 2001

static volatile sig_atomic_t resized, ended, continued, stopped;

static void on_winch(int s) { (void)s; resized = 1; }
static void on_end(int s) { ended = s; }
static void on_cont(int s) { (void)s; continued = 1; }
static void on_stop(int s) { (void)s; stopped = 1; }

static void
catch_signals(void)
{
	static const struct { int sig; void (*fn)(int); } table[] = {
		{ SIGWINCH, on_winch }, { SIGTERM, on_end }, { SIGHUP, on_end }, { SIGINT, on_end }, { SIGCONT, on_cont },
		{ SIGTSTP, on_stop }
	};
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct sigaction sa = { .sa_handler = table[i].fn };
		sigaction(table[i].sig, &sa, NULL);
		sigaddset(&block, table[i].sig);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &block, NULL);
}

static void
tell(const char *sequence)
{
	fputs(sequence, stdout);
	fflush(stdout);
}

static void
terminal_modes(void)
{
	raw();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	define_key("\033[200~", CODE_PASTE_BEGIN);
	define_key("\033[201~", CODE_PASTE_END);
	tell("\033[?2004h");
}

static int
terminal_open(void)
{
	const char *delay = getenv("ESCDELAY"), *colour = getenv("NO_COLOR");

	if (newterm(NULL, stdout, stdin) == NULL)
		return -1;
	if (delay == NULL || *delay == '\0')
		set_escdelay(25);
	style_open(colour == NULL || *colour == '\0');
	terminal_modes();
	return 0;
}

static void
terminal_close(void)
{
	tell("\033[?2004l");
	curs_set(1);
	endwin();
}

/* Sleeps as the shell expects it: the whole group, with the terminal as it was. */
static void
suspend(struct app *a)
{
	struct sigaction sa = { .sa_handler = SIG_DFL }, was;
	sigset_t stop;

	a->suspend = false;
	tell("\033[?2004l");
	endwin();
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigaction(SIGTSTP, &sa, &was);
	kill(0, SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);             /* sleeps here until SIGCONT */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	sigaction(SIGTSTP, &was, NULL);
	continued = 1;
}

/* Clipboard of the terminal (OSC 52); inside tmux the sequence is passed through. */
static void
terminal_copy(struct app *a, const char *text)
{
	struct str t = STR_INIT, out = STR_INIT;
	bool tmux = getenv("TMUX") != NULL;

	(void)a;
	base64_encode(text, strlen(text), &t);
	str_addf(&out, "%s\033]52;c;%s\a%s", tmux ? "\033Ptmux;\033" : "", t.s, tmux ? "\033\\" : "");
	tell(out.s);
	str_release(&t);
	str_release(&out);
}

/* --- keys --- */

static const struct { int code, key; } codes[] = {
	{ KEY_UP, K_UP }, { KEY_DOWN, K_DOWN }, { KEY_LEFT, K_LEFT }, { KEY_RIGHT, K_RIGHT }, { KEY_PPAGE, K_PGUP },
	{ KEY_NPAGE, K_PGDN }, { KEY_HOME, K_HOME }, { KEY_END, K_END }, { KEY_DC, K_DELETE }, { KEY_BTAB, K_BACKTAB },
	{ KEY_BACKSPACE, K_BACKSPACE }, { KEY_ENTER, K_ENTER }, { '\n', K_ENTER }, { '\b', K_BACKSPACE },
	{ KEY_F(1), K_F1 }, { KEY_F(2), K_F2 }, { KEY_F(3), K_F3 }, { KEY_F(4), K_F4 }, { KEY_F(5), K_F5 },
	{ KEY_F(6), K_F6 }, { KEY_F(7), K_F7 }, { KEY_F(8), K_F8 }, { KEY_F(9), K_F9 }, { KEY_F(10), K_F10 },
	{ CODE_PASTE_BEGIN, K_PASTE_BEGIN }, { CODE_PASTE_END, K_PASTE_END },
	{ 0, 0 }
};

struct reader { mbstate_t state; bool escape, pasting; };

/* wgetch gives bytes; wget_wch would lose a character that arrives in two pieces. 0: not a whole key yet. */
static int
decode(struct reader *r, int c)
{
	char byte = (char)c;
	wchar_t wide;

	for (int i = 0; codes[i].code != 0; i++)
		if (codes[i].code == c && !(c < 32 && r->pasting))
			return codes[i].key;
	if (c > 255)
		return 0;
	size_t n = mbrtowc(&wide, &byte, 1, &r->state);
	if (n == (size_t)-2)
		return 0;
	if (n == (size_t)-1) {
		memset(&r->state, 0, sizeof(r->state));
		return 0;
	}
	return (int)wide;
}

static void
paste_add(struct app *a, int key)
{
	struct edit one;

	if (key == K_ENTER)
		key = '\n';
	if (key < 32) {
		str_addc(&a->paste, key == '\n' || key == '\t' ? ' ' : '?');
		return;
	}
	edit_open(&one, "");
	edit_key(&one, key);
	str_add(&a->paste, one.text.s);
	edit_close(&one);
}

static void
take_key(struct app *a, struct reader *r, int key)
{
	if (key == K_PASTE_BEGIN) {
		r->pasting = true;
		str_reset(&a->paste);
	} else if (key == K_PASTE_END) {
		r->pasting = false;
		app_key(a, K_PASTE);
	} else if (r->pasting) {
		paste_add(a, key);
	} else {
		app_key(a, key);
	}
}

/* Reads all there is. Esc followed at once by a digit is Alt-digit. */
static bool
read_keys(struct app *a, struct reader *r)
{
	bool any = false;
	int c, key;

	while (!a->quit && (c = wgetch(stdscr)) != ERR) {
		if (a->discard)
			continue;
		key = decode(r, c);
		if (key == 0 || c == KEY_RESIZE)
			continue;
		any = true;
		if (key == K_ESC && !r->pasting) {
			int next = wgetch(stdscr);
			if (next >= '0' && next <= '9') {
				key = K_ALT_0 + next - '0';
			} else if (next != ERR) {
				ungetch(next);
			}
		}
		take_key(a, r, key);
	}
	return any;
}

/* --- the loop --- */

static void
resize(struct app *a)
{
	struct winsize w;

	resized = 0;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0)
		resizeterm(w.ws_row, w.ws_col);
	a->repaint = a->dirty = true;
}

static void
paint(struct app *a)
{
	if (a->repaint)
		clearok(stdscr, TRUE);
	a->repaint = false;
	if (a->discard) {                                  /* what was typed before this is painted does not count */
		flushinp();
		a->discard = false;
	}
	curs_set(a->prompt.kind != PROMPT_NONE || (a->top->ops->typing != NULL && a->top->ops->typing(a->top)) ? 1 : 0);
	app_draw(a);
	refresh();
}

static void
wait_for_events(struct app *a, int64_t until_ms)
{
	struct pollfd fds[] = { { STDIN_FILENO, POLLIN, 0 }, { jobq_fd(a->q), POLLIN, 0 } };
	int64_t left = until_ms - when_monotonic_ms();
	struct timespec t;
	sigset_t none;

	if (left < 0)
		left = 0;
	t.tv_sec = left / 1000;
	t.tv_nsec = left % 1000 * 1000000;
	sigemptyset(&none);
	/* a terminal that is gone stays readable for ever, and ppoll then lets no signal through either */
	if (ppoll(fds, 2, &t, &none) > 0 && (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		ended = SIGHUP;
}

static bool
key_waits(void)
{
	struct pollfd p = { STDIN_FILENO, POLLIN, 0 };

	return poll(&p, 1, 0) > 0;
}

static int
loop(struct app *a)
{
	struct reader r = { .pasting = false };
	int64_t tick = 0, painted = 0;
	bool more = false;

	a->dirty = true;
	while (!a->quit && !ended) {
		int64_t now = when_monotonic_ms();
		if (resized)
			resize(a);
		if (stopped || a->suspend) {
			stopped = 0;
			suspend(a);
		}
		if (continued) {
			continued = 0;
			terminal_modes();
			resize(a);
		}
		if (now >= tick) {
			app_tick(a, now);
			tick = now + TICK_MS;
		}
		if (a->dirty && now - painted >= FRAME_MS) {
			paint(a);
			painted = when_monotonic_ms();
		}
		wait_for_events(a, more ? 0 : a->dirty && painted + FRAME_MS < tick ? painted + FRAME_MS : tick);
		if (read_keys(a, &r) && a->dirty && !a->quit && !r.pasting) {    /* before anything else is done */
			paint(a);
			painted = when_monotonic_ms();
		}
		jobq_deliver_some(a->q, DELIVER_MS);
		more = key_waits() || app_idle(a, when_monotonic_ms() + SLICE_MS);
	}
	return ended ? 128 + ended : 0;
}

static int
open_app(struct app **a, const struct console_options *o, struct err *e)
{
	if (app_open(a, o->store, o->ascii, e) != 0)
		return -1;
	if (o->read_only)
		journey_stay_read_only((*a)->j);
	if (!o->write || journey_allow_changes((*a)->j, e) == 0)
		return 0;
	app_close(*a);
	return -1;
}

/* The child of the guard: everything the person sees. */
static int
run(const struct console_options *o)
{
	struct app *a = NULL;
	struct err e = { .code = RC_OK };
	int status;

	catch_signals();
	secret_process_guard();
	(void)log_open(NULL, NULL);
	if (open_app(&a, o, &e) != 0) {
		fprintf(stderr, "mxseal: %s\n", e.text);
		if (e.hint[0] != '\0')
			fprintf(stderr, "mxseal: %s\n", e.hint);
		return err_exit_status(e.code);
	}
	if (terminal_open() != 0) {
		app_close(a);
		fprintf(stderr, "mxseal: the terminal type \"%s\" is not known here; try TERM=xterm, or use the command line: "
		    "mxseal help\n", getenv("TERM") != NULL ? getenv("TERM") : "");
		return 2;
	}
	a->copy = terminal_copy;
	status = loop(a);
	terminal_close();
	app_close(a);
	log_close();
	return status;
}

int
console_main(const struct console_options *o)
{
	const char *term = getenv("TERM"), *accessible = getenv("ACCESSIBLE");
	int status;

	if ((accessible != NULL && *accessible != '\0' && strcmp(accessible, "0") != 0) || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || term == NULL || strcmp(term, "dumb") == 0) {
		fprintf(stderr, "mxseal: this terminal cannot show the console; every action is on the command line: "
		    "mxseal help\n");
		return 2;
	}
	setlocale(LC_ALL, "");
	fflush(NULL);
	status = guard_run();
	if (status >= 0)
		return status;
	return run(o);
}
