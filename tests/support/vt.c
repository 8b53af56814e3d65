/* forkpty and libvterm. The terminal's answers to queries go back to the program; every wait reads until the screen says what
 * is expected or the time is up. The slave side stays open here, so that terminal settings can be looked at after the end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>
#include <unistd.h>
#include <vterm.h>

#include <cmocka.h>

#include "mxseal/str.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/vt.h"

#define SLOW 4      /* sanitizers make everything slower: times are upper bounds, so be generous */

struct vt {
	struct str sent;               /* all that came from it */
	int fd, slave;
	pid_t pid;
	VTerm *vt;
	VTermScreen *screen;
	int rows, cols, status;
	bool over, alternate, cursor;
	bool pastes;
	char held[64];            /* tail of the output, to find mode switches across reads */
	size_t n_held;
	struct termios was;
	char line[4096];
};

static int
on_property(VTermProp prop, VTermValue *value, void *arg)
{
	struct vt *t = arg;

	if (prop == VTERM_PROP_ALTSCREEN)
		t->alternate = value->boolean;
	if (prop == VTERM_PROP_CURSORVISIBLE)
		t->cursor = value->boolean;
	return 1;
}

static const VTermScreenCallbacks callbacks = { .settermprop = on_property };

static void
in_child(const char *const argv[], const char *const env[])
{
	static const char *const fixed[] = { "TERM=xterm-256color", "LC_ALL=C.UTF-8", "TZ=UTC", "ESCDELAY=25", NULL };
	const char *path = getenv("PATH"), *asan = getenv("ASAN_OPTIONS");
	char *keep_path = xasprintf("PATH=%s", path != NULL ? path : "/usr/bin:/bin");
	char *keep_asan = asan != NULL ? xasprintf("ASAN_OPTIONS=%s", asan) : NULL;

	clearenv();
	putenv(keep_path);
	if (keep_asan != NULL)
		putenv(keep_asan);
	for (size_t i = 0; fixed[i] != NULL; i++)
		putenv(xstrdup(fixed[i]));
	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		putenv(xstrdup(env[i]));
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

struct vt *
vt_start(const char *const argv[], const char *const env[], int rows, int cols)
{
	struct vt *t = xcalloc(1, sizeof(*t));
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };

	t->rows = rows;
	t->cols = cols;
	t->cursor = true;
	str_init(&t->sent, 0);
	t->vt = vterm_new(rows, cols);
	vterm_set_utf8(t->vt, 1);
	t->screen = vterm_obtain_screen(t->vt);
	vterm_screen_enable_altscreen(t->screen, 1);
	vterm_screen_set_callbacks(t->screen, &callbacks, t);
	vterm_screen_reset(t->screen, 1);
	if (openpty(&t->fd, &t->slave, NULL, NULL, &size) != 0 || tcgetattr(t->slave, &t->was) != 0)
		fail_msg("no pseudo-terminal: %s", strerror(errno));
	t->pid = fork();
	if (t->pid == 0) {
		close(t->fd);
		login_tty(dup(t->slave));
		in_child(argv, env);
	}
	if (t->pid < 0)
		fail_msg("fork: %s", strerror(errno));
	fcntl(t->fd, F_SETFL, fcntl(t->fd, F_GETFL) | O_NONBLOCK);
	return t;
}

pid_t
vt_pid(const struct vt *t)
{
	return t->pid;
}

/* --- output --- */

static void
answer(struct vt *t)
{
	char out[512];
	size_t n;

	while ((n = vterm_output_read(t->vt, out, sizeof(out))) > 0)
		if (write(t->fd, out, n) < 0)
			return;
}

/* Bracketed paste is a mode that libvterm keeps to itself. */
static void
watch_modes(struct vt *t, const char *mem, size_t n)
{
	struct str s = STR_INIT;
	const char *on, *off;

	str_addn(&s, t->held, t->n_held);
	for (size_t i = 0; i < n; i++)
		str_addc(&s, mem[i] != '\0' ? mem[i] : ' ');
	for (const char *p = s.s; p != NULL; ) {
		on = strstr(p, "\033[?2004h");
		off = strstr(p, "\033[?2004l");
		if (on == NULL && off == NULL)
			break;
		t->pastes = off == NULL || (on != NULL && on < off);
		p = (t->pastes ? on : off) + 4;
	}
	t->n_held = s.len < 7 ? s.len : 7;
	memcpy(t->held, s.s + s.len - t->n_held, t->n_held);
	str_release(&s);
}

/* Reads what there is; waits up to ms for something. */
static void
take(struct vt *t, int ms)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	char mem[65536];
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return;
	while ((n = read(t->fd, mem, sizeof(mem))) > 0) {
		watch_modes(t, mem, (size_t)n);
		str_addn(&t->sent, mem, (size_t)n);
		vterm_input_write(t->vt, mem, (size_t)n);
		vterm_screen_flush_damage(t->screen);
		answer(t);
	}
}

bool
vt_was_sent(const struct vt *t, const void *mem, size_t len)
{
	return t->sent.len > 0 && memmem(t->sent.s, t->sent.len, mem, len) != NULL;
}

#define REGION_MAX ((size_t)512 << 20)       /* more is the address sanitizer's own */

bool
vt_in_memory(const struct vt *t, const void *mem, size_t len)
{
	char line[512], *path = xasprintf("/proc/%ld/maps", (long)t->pid);
	FILE *maps = fopen(path, "r");
	size_t read_all = 0;
	bool found = false;
	int fd;

	free(path);
	path = xasprintf("/proc/%ld/mem", (long)t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	while (maps != NULL && fd >= 0 && !found && fgets(line, sizeof(line), maps) != NULL) {
		unsigned long from, to;
		char mode[8], *copy;
		ssize_t n;

		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || strncmp(mode, "rw", 2) != 0 || to - from > REGION_MAX)
			continue;
		copy = xcalloc(to - from, 1);
		n = pread(fd, copy, to - from, (off_t)from);
		if (n > 0) {
			read_all += (size_t)n;
			found = memmem(copy, (size_t)n, mem, len) != NULL;
		}
		free(copy);
	}
	if (maps != NULL)
		fclose(maps);
	if (fd >= 0)
		close(fd);
	if (read_all < 100000)
		fail_msg("the memory of process %ld cannot be read", (long)t->pid);
	return found;
}

static void
reap(struct vt *t)
{
	int status;

	if (!t->over && waitpid(t->pid, &status, WNOHANG) == t->pid) {
		t->over = true;
		t->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

const char *
vt_row(struct vt *t, int row)
{
	size_t n = 0, end = 0;
	VTermScreenCell cell;

	for (int col = 0; col < t->cols && n + 32 < sizeof(t->line); col++) {
		VTermPos at = { .row = row, .col = col };
		vterm_screen_get_cell(t->screen, at, &cell);
		if (cell.chars[0] == (uint32_t)-1)
			continue;                          /* right half of a wide character */
		for (int i = 0; i == 0 || (i < VTERM_MAX_CHARS_PER_CELL && cell.chars[i] != 0); i++) {
			uint32_t c = cell.chars[i] != 0 ? cell.chars[i] : ' ';
			if (c < 0x80)
				t->line[n++] = (char)c;
			else if (c < 0x800)
				t->line[n++] = (char)(0xc0 | c >> 6), t->line[n++] = (char)(0x80 | (c & 0x3f));
			else if (c < 0x10000)
				t->line[n++] = (char)(0xe0 | c >> 12), t->line[n++] = (char)(0x80 | (c >> 6 & 0x3f)),
				    t->line[n++] = (char)(0x80 | (c & 0x3f));
			else
				t->line[n++] = '?';
			if (c != ' ')
				end = n;
		}
	}
	t->line[end] = '\0';
	return t->line;
}

static bool
on_screen(struct vt *t, const char *text)
{
	for (int row = 0; row < t->rows; row++)
		if (strstr(vt_row(t, row), text) != NULL)
			return true;
	return false;
}

static void
print_screen(struct vt *t)
{
	for (int row = 0; row < t->rows; row++)
		fprintf(stderr, "  |%-*s|\n", t->cols, vt_row(t, row));
	reap(t);
	fprintf(stderr, t->over ? "  (the program has ended with status %d)\n" : "  (the program is running)\n", t->status);
}

static bool
wait_for(struct vt *t, const char *text, bool there, int ms)
{
	int64_t until = when_monotonic_ms() + (int64_t)ms * SLOW;

	for (;;) {
		take(t, 20);
		if (on_screen(t, text) == there)
			return true;
		reap(t);
		if (when_monotonic_ms() > until || t->over) {
			take(t, 20);
			return on_screen(t, text) == there;
		}
	}
}

void
vt_expect(struct vt *t, const char *text, int ms)
{
	if (wait_for(t, text, true, ms))
		return;
	print_screen(t);
	fflush(stderr);
	fail_msg("\"%s\" did not appear", text);
}

void
vt_expect_gone(struct vt *t, const char *text, int ms)
{
	if (wait_for(t, text, false, ms))
		return;
	print_screen(t);
	fail_msg("\"%s\" did not go away", text);
}

bool
vt_sees(struct vt *t, const char *text, int ms)
{
	return wait_for(t, text, true, ms);
}

bool vt_on_alternate_screen(const struct vt *t) { return t->alternate; }
bool vt_pastes_bracketed(const struct vt *t) { return t->pastes; }
bool vt_cursor_shown(const struct vt *t) { return t->cursor; }

bool
vt_termios_restored(struct vt *t)
{
	struct termios now;

	return tcgetattr(t->slave, &now) == 0 && now.c_lflag == t->was.c_lflag && now.c_iflag == t->was.c_iflag
	    && now.c_oflag == t->was.c_oflag;
}

/* --- input --- */

static const struct { const char *name; VTermKey key; VTermModifier mod; } named[] = {
	{ "Enter", VTERM_KEY_ENTER, VTERM_MOD_NONE }, { "Tab", VTERM_KEY_TAB, VTERM_MOD_NONE },
	{ "S-Tab", VTERM_KEY_TAB, VTERM_MOD_SHIFT }, { "Esc", VTERM_KEY_ESCAPE, VTERM_MOD_NONE },
	{ "Backspace", VTERM_KEY_BACKSPACE, VTERM_MOD_NONE }, { "Up", VTERM_KEY_UP, VTERM_MOD_NONE },
	{ "Down", VTERM_KEY_DOWN, VTERM_MOD_NONE }, { "Left", VTERM_KEY_LEFT, VTERM_MOD_NONE },
	{ "Right", VTERM_KEY_RIGHT, VTERM_MOD_NONE }, { "Home", VTERM_KEY_HOME, VTERM_MOD_NONE },
	{ "End", VTERM_KEY_END, VTERM_MOD_NONE }, { "PgUp", VTERM_KEY_PAGEUP, VTERM_MOD_NONE },
	{ "PgDn", VTERM_KEY_PAGEDOWN, VTERM_MOD_NONE }, { "F1", VTERM_KEY_FUNCTION(1), VTERM_MOD_NONE },
	{ "F9", VTERM_KEY_FUNCTION(9), VTERM_MOD_NONE }, { "Del", VTERM_KEY_DEL, VTERM_MOD_NONE },
	{ NULL, VTERM_KEY_NONE, VTERM_MOD_NONE }
};

static void
type_named(struct vt *t, const char *name)
{
	for (int i = 0; named[i].name != NULL; i++)
		if (strcmp(named[i].name, name) == 0) {
			vterm_keyboard_key(t->vt, named[i].key, named[i].mod);
			answer(t);
			if (named[i].key == VTERM_KEY_ESCAPE)
				take(t, 60);               /* a person does not type on within the escape delay */
			return;
		}
	if (strcmp(name, "lt") == 0)
		vterm_keyboard_unichar(t->vt, '<', VTERM_MOD_NONE);
	else if (strncmp(name, "C-", 2) == 0)
		vterm_keyboard_unichar(t->vt, (uint32_t)name[2], VTERM_MOD_CTRL);
	else if (strncmp(name, "M-", 2) == 0)
		vterm_keyboard_unichar(t->vt, (uint32_t)name[2], VTERM_MOD_ALT);
	else
		fail_msg("no key is called <%s>", name);
	answer(t);
}

void
vt_type(struct vt *t, const char *keys)
{
	for (const char *p = keys; *p != '\0'; p++) {
		const char *end = *p == '<' ? strchr(p, '>') : NULL;
		if (end == NULL) {
			if (write(t->fd, p, 1) != 1)
				return;
			continue;
		}
		char *name = xstrndup(p + 1, (size_t)(end - p - 1));
		type_named(t, name);
		free(name);
		p = end;
	}
}

void
vt_paste(struct vt *t, const char *text)
{
	char *whole = t->pastes ? xasprintf("\033[200~%s\033[201~", text) : xstrdup(text);

	for (size_t at = 0, n = strlen(whole); at < n; ) {
		ssize_t w = write(t->fd, whole + at, n - at);
		if (w > 0)
			at += (size_t)w;
		else
			take(t, 20);
	}
	free(whole);
}

void
vt_resize(struct vt *t, int rows, int cols)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };

	take(t, 0);
	t->rows = rows;
	t->cols = cols;
	vterm_set_size(t->vt, rows, cols);
	vterm_screen_flush_damage(t->screen);
	ioctl(t->fd, TIOCSWINSZ, &size);
}

/* --- the end --- */

int
vt_finish(struct vt *t, int ms)
{
	int64_t until = when_monotonic_ms() + (int64_t)ms * SLOW;

	while (!t->over && when_monotonic_ms() < until) {
		take(t, 20);
		reap(t);
	}
	take(t, 20);
	if (!t->over) {
		print_screen(t);
		fail_msg("the program did not end");
	}
	return t->status;
}

int
vt_hangup(struct vt *t, int ms)
{
	int64_t until = when_monotonic_ms() + (int64_t)ms * SLOW;

	close(t->fd);
	close(t->slave);
	t->fd = t->slave = -1;
	while (!t->over && when_monotonic_ms() < until) {
		poll(NULL, 0, 10);
		reap(t);
	}
	if (!t->over)
		fail_msg("the program did not end when its terminal went away");
	return t->status;
}

void
vt_close(struct vt *t)
{
	int status;

	if (!t->over && kill(t->pid, SIGKILL) == 0)
		waitpid(t->pid, &status, 0);
	if (t->fd != -1) {
		close(t->fd);
		close(t->slave);
	}
	vterm_free(t->vt);
	str_release(&t->sent);
	free(t);
}
