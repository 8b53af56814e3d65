/* From a key to the last byte of the frame that shows it, in the console with a fleet of 500 hosts (names on eight private sshds
 * of this machine, with a queue and a Postfix of scripts) of which 50 hang: half take the connection and say nothing, half do not
 * even take it. All queues are polled by the console itself meanwhile. In turns the same keys go to less with a file, under
 * a pseudo-terminal of the same size and the same load of the machine. Real hosts are other machines: the sshds run in a control
 * group that gets what processor is left, or niced where there can be none (which says little, as each session is a group by itself).
 * Prints median, 99th percentile and worst of both, and the ratio; fails when a key was never shown, when the 99th percentile is over
 * LIMIT_MS (Esc alone is waited for 25 ms, whether it begins another key: one in two hundred here), or when the load was not there:
 * one in twenty of the hosts that answer was not polled, or there were fewer than three rounds.
 * BENCH_KEEP: raises the fleet only, says how to look at it, and keeps it until a line or the end comes on standard input.
 * Usage: bench_keys [HOSTS [SECONDS]] */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vterm.h>

#include "mxseal/certificate.h"
#include "mxseal/store.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/pki.h"
#include "support/sshd.h"

#define SSHDS 8
#define ROWS 40
#define COLS 132
#define LOST_MS 5000             /* a key that was not shown by then */
#define KEYS_MAX 20000
#define LIMIT_MS 16
#define QUEUED 240               /* messages on each host */

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- a program under a terminal --- */

struct term { pid_t pid, draws; int fd; VTerm *vt; VTermScreen *screen; double last; };

static void
term_start(struct term *t, char *const argv[])
{
	struct winsize size = { .ws_row = ROWS, .ws_col = COLS };

	t->vt = vterm_new(ROWS, COLS);
	vterm_set_utf8(t->vt, 1);
	t->screen = vterm_obtain_screen(t->vt);
	vterm_screen_enable_altscreen(t->screen, 1);
	vterm_screen_reset(t->screen, 1);
	fflush(stdout);
	t->pid = forkpty(&t->fd, NULL, NULL, &size);
	if (t->pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	t->draws = t->pid;
	t->last = now_ms();
}

/* The console runs in a child of the program that was started, which only guards the terminal. */
static void
term_find_child(struct term *t)
{
	char path[64];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)t->pid, (int)t->pid);
	if ((f = fopen(path, "re")) != NULL && fscanf(f, "%d", &pid) == 1)
		t->draws = pid;
	if (f != NULL)
		fclose(f);
}

static void
term_end(struct term *t)
{
	kill(t->pid, SIGTERM);
	waitpid(t->pid, NULL, 0);
	close(t->fd);
	vterm_free(t->vt);
}

/* Takes what comes within ms; false: nothing came. */
static bool
term_take(struct term *t, double ms)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	struct timespec left = { (time_t)(ms / 1e3), (long)(ms * 1e6) % 1000000000 };
	static char mem[65536];
	ssize_t n;

	if (ms < 0 || ppoll(&p, 1, &left, NULL) <= 0 || (n = read(t->fd, mem, sizeof(mem))) <= 0)
		return false;
	t->last = now_ms();
	vterm_input_write(t->vt, mem, (size_t)n);
	return true;
}

static char *
term_row(struct term *t, int row, char out[COLS + 1])
{
	VTermScreenCell cell;
	int i;

	for (i = 0; i < COLS; i++) {
		VTermPos at = { row, i };

		vterm_screen_get_cell(t->screen, at, &cell);
		out[i] = cell.chars[0] >= 32 && cell.chars[0] < 127 ? (char)cell.chars[0] : cell.chars[0] == 0 ? ' ' : '*';
	}
	out[COLS] = '\0';
	return out;
}

static bool
term_sees(struct term *t, const char *text)
{
	char row[COLS + 1];
	int i;

	for (i = 0; i < ROWS; i++)
		if (strstr(term_row(t, i, row), text) != NULL)
			return true;
	return false;
}

static void
term_show(struct term *t)
{
	char row[COLS + 1];
	int i;

	for (i = 0; i < ROWS; i++)
		fprintf(stderr, "|%s|\n", term_row(t, i, row));
}

static void
term_wait(struct term *t, const char *text)
{
	double until = now_ms() + 30000;

	while (!term_sees(t, text) && now_ms() < until)
		term_take(t, 100);
	if (!term_sees(t, text)) {
		term_show(t);
		printf("never shown: %s\n", text);
		exit(1);
	}
}

/* --- keys --- */

/* What the mark of the selection stands before: its name, which nobody but a key changes; of less the first line. */
static void
selected(struct term *t, bool ours, char out[24])
{
	char row[COLS + 1], *at, *name, *pane;
	int i;

	*out = '\0';
	if (!ours) {
		snprintf(out, 24, "%s", term_row(t, 0, row));
		return;
	}
	for (i = 1; i < ROWS - 3; i++)
		if ((at = strstr(term_row(t, i, row), "> ")) != NULL && at - row < 4) {
			if ((pane = strstr(at, "**")) != NULL)       /* beside it stands another one */
				*pane = '\0';
			for (name = strstr(at, ".example"); name != NULL && name > at && name[-1] != ' '; name--)
				;
			snprintf(out, 24, "%.*s", 22, name != NULL ? name : at + 2);
			return;
		}
}

/* own: without the time that the thread that draws stood in line for a processor, which a busy machine makes long. */
struct times { double v[KEYS_MAX], own[KEYS_MAX]; size_t n, lost; };

static double
in_line_ms(pid_t pid)
{
	char path[64];
	unsigned long long ran, waited = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)pid);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(f, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	fclose(f);
	return (double)waited / 1e6;
}

/* shows NULL: the selection moves. */
static void
press(struct term *t, bool ours, const char *key, const char *shows, struct times *to)
{
	double began, until, in_line;
	char before[24], now[24];
	bool shown = false;

	while (term_take(t, 0))
		;
	selected(t, ours, before);
	in_line = in_line_ms(t->draws);
	began = now_ms();
	until = began + LOST_MS;
	if (write(t->fd, key, strlen(key)) == -1)
		exit(1);
	while (!shown && now_ms() < until) {
		if (!term_take(t, until - now_ms()))
			break;
		selected(t, ours, now);
		shown = shows != NULL ? term_sees(t, shows) : strcmp(before, now) != 0;
	}
	while (shown && term_take(t, 1))         /* the frame is whole when nothing follows */
		;
	if (!shown) {
		to->lost++;
		fprintf(stderr, "not shown: %s %s, was %s\n", *key == 27 ? key + 1 : key, shows != NULL ? shows : "", before);
		term_show(t);
	} else if (to->n < KEYS_MAX) {
		to->v[to->n] = t->last - began;
		in_line = in_line_ms(t->draws) - in_line;
		to->own[to->n] = in_line < to->v[to->n] ? to->v[to->n] - in_line : 0;
		to->n++;
	}
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double
part(const struct times *t, const double *v, size_t per_mille)
{
	size_t at = t->n * per_mille / 1000;

	return t->n == 0 ? 0 : v[at < t->n ? at : t->n - 1];
}

static void
tell(const char *name, struct times *t)
{
	qsort(t->v, t->n, sizeof(*t->v), by_size);
	qsort(t->own, t->n, sizeof(*t->own), by_size);
	printf("%-28s %5zu keys   p50 %6.2f   p99 %6.2f   worst %7.2f ms   (without standing in line: %6.2f %6.2f %7.2f)   not shown %zu\n",
	    name, t->n, part(t, t->v, 500), part(t, t->v, 990), part(t, t->v, 1000), part(t, t->own, 500), part(t, t->own, 990),
	    part(t, t->own, 1000), t->lost);
}

static void
add(struct times *to, const struct times *from)
{
	size_t i;

	for (i = 0; i < from->n && to->n < KEYS_MAX; i++) {
		to->v[to->n] = from->v[i];
		to->own[to->n++] = from->own[i];
	}
	to->lost += from->lost;
}

#define DOWN "j"
#define UP "k"
#define PAGE_DOWN "\033[6~"
#define PAGE_UP "\033[5~"
#define HOME "\033OH"
/* Comes back to where it began. */
static const char *const walk[] = { DOWN, DOWN, PAGE_DOWN, DOWN, UP, PAGE_DOWN, PAGE_UP, PAGE_UP, UP, UP };

/* Between keys, as a person holds one down or thinks. */
static void
pause_between(struct term *a, struct term *b)
{
	double until = now_ms() + 15 + (double)(random() % 50);

	while (now_ms() < until) {
		term_take(a, 5);
		term_take(b, 0);
	}
}

static void
walk_for(double ms, struct term *ours, struct term *less, struct times *our, struct times *theirs)
{
	double until = now_ms() + ms;
	size_t i;

	while (now_ms() < until)
		for (i = 0; i < sizeof(walk) / sizeof(walk[0]); i++) {
			press(ours, true, walk[i], NULL, our);
			pause_between(ours, less);
			press(less, false, walk[i], NULL, theirs);
			pause_between(ours, less);
		}
}

/* --- the fleet --- */

/* What Postfix says of its queue, to who asks so. There is no log and no main.cf, so each look asks anew, and leaves a byte. */
static const char postconf_text[] = "#!/bin/sh\nprintf . >>\"$SPOOL/looks\"\n"
    "[ \"$*\" = '-h queue_directory hash_queue_depth hash_queue_names maillog_file config_directory' ] || exit 1\n"
    "printf '%s\\n' \"$SPOOL\" 0 '' \"$SPOOL/none.log\" \"$SPOOL\"\n";

static void
put(const char *dir, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);

	if (str_write_file(path, text, strlen(text), 0755, NULL) < 0)
		exit(1);
	free(path);
}

/* QUEUED messages to 60 destinations, so long ago, for one reason or another. */
static void
put_queue(const char *dir)
{
	static const char *const reasons[] = {
		"TLS is required, but was not offered by host mx.example[192.0.2.9]", "Server certificate not verified",
		"connect to mx.example[192.0.2.9]:25: Connection timed out", "host mx.example[192.0.2.9] said: 450 4.2.1 try later"
	};
	struct str t = STR_INIT;
	int i;

	str_add(&t, "#!/bin/sh\ncat <<'END'\n");
	for (i = 0; i < QUEUED; i++) {
		str_addf(&t, "{\"queue_name\": \"deferred\", \"queue_id\": \"%010X\", \"arrival_time\": %lld, \"message_size\": 2345, "
		    "\"forced_expire\": false, \"sender\": \"a@s%d.example\", \"recipients\": [{\"address\": \"b@d%d.example\", "
		    "\"delay_reason\": \"", 0xA0000 + i, (long long)when_now() - 60 * i, i % 17, i % 60);
		str_addf(&t, "%s\"}]}\n", reasons[i % 4]);
	}
	str_add(&t, "END\n");
	put(dir, "postqueue", t.s);
	str_release(&t);
}

/* A port that takes connections and says nothing, or (full) one whose line is full, so that nothing is heard of it: one for each host
 * that hangs, as they would have. */
static int
dead_port(bool full)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0
	    || listen(fd, full ? 0 : 4096) < 0)
		exit(1);
	for (i = 0; full && i < 4; i++) {
		int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		(void)connect(one, (struct sockaddr *)&a, sizeof(a));
	}
	return ntohs(a.sin_port);
}

static void
put_store(const char *path, size_t n)
{
	struct pki_spec spec = { .cn = "mail.example", .names = "DNS:mail.example", .from = when_now() - PKI_DAY,
		.until = when_now() + 90 * PKI_DAY, .key = pki_key("P-256") };
	X509 *x = pki_make(&spec);
	struct str pem = STR_INIT;
	struct store *st;
	struct err e;
	size_t i;

	pki_pem(x, &pem);
	if (store_open(&st, path, &e) < 0) {
		printf("%s\n", e.text);
		exit(1);
	}
	for (i = 0; i < n; i++) {
		struct server s = { .name = xasprintf("h%zu", i + 1), .target = xasprintf("h%zu", i + 1), .system = xstrdup("auto"),
			.mailsys = xstrdup("postfix"), .version = xstrdup("3.7.11"), .config_dir = xstrdup("/etc/postfix"),
			.host_name = xasprintf("h%zu.example", i + 1), .read_at = when_now(), .tried_at = when_now(), .queue_messages = -1 };
		struct vserver v = { .name = xstrdup("smtp"), .title = xstrdup("smtp inet"), .listen = xstrdup("0.0.0.0:25"), .port = 25,
			.is_default = true, .present = true, .cert_pem = xstrdup(pem.s), .served_pem = xstrdup(pem.s), .served_at = when_now(),
			.run = xstrdup("started") };
		struct found_value *f;

		if (store_server_save(st, &s, &e) < 0)
			exit(1);
		v.server = s.id;
		f = found_value_list_add(&v.found);
		*f = (struct found_value){ xstrdup("inbound.tls"), xstrdup("may"), xstrdup("smtpd_tls_security_level = may"), xstrdup("main.cf") };
		if (store_vserver_save(st, &v, &e) < 0) {
			printf("%s\n", e.text);
			exit(1);
		}
		server_release(&s);
		vserver_release(&v);
	}
	store_close(st);
	str_release(&pem);
	X509_free(x);
}

/* A control group of processes that run when nobody else wants to; NULL: there can be none. */
static char *
idle_group(void)
{
	static const char *const trees[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup" };
	size_t i;

	for (i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		char *dir = xasprintf("%s/mxseal-bench-%d", trees[i], (int)getpid()), *idle = xasprintf("%s/cpu.idle", dir);
		FILE *f = mkdir(dir, 0755) == 0 ? fopen(idle, "r+e") : NULL;
		bool good = f != NULL && fputs("1", f) >= 0 && fflush(f) == 0;

		if (f != NULL)
			fclose(f);
		free(idle);
		if (good)
			return dir;
		rmdir(dir);
		free(dir);
	}
	return NULL;
}

static void
stand_behind(const char *group, pid_t pid)
{
	char *procs = group != NULL ? xasprintf("%s/cgroup.procs", group) : NULL;
	FILE *f = procs != NULL ? fopen(procs, "we") : NULL;

	if (f != NULL)
		fprintf(f, "%d", (int)pid);
	if (f == NULL || fclose(f) != 0)
		setpriority(PRIO_PROCESS, (id_t)pid, 10);
	free(procs);
}

static void
put_fleet(const char *dir, struct sshd s[SSHDS], size_t n, const char *group)
{
	char *bin = xasprintf("%s/bin", dir), *config = xasprintf("%s/config", dir);
	struct str text = STR_INIT;
	size_t i;

	sshd_run("cd %s && for k in host user; do ssh-keygen -q -t ed25519 -N '' -C '' -f ${k}_ed25519; done && cp user_ed25519.pub authorized_keys"
	    " && mkdir bin && sed 's/^/all /' host_ed25519.pub >known", dir);
	put(bin, "postconf", postconf_text);
	put(bin, "postcat", "#!/bin/sh\nexit 0\n");
	put_queue(bin);
	for (i = 0; i < SSHDS; i++) {
		char *d = xasprintf("%s/%zu", dir, i), *set = xasprintf("SetEnv PATH=%s:/usr/bin:/bin SPOOL=%s/spool HOME=%s\n", bin, d, d);

		sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s && cd %s && mkdir -p spool/deferred spool/hold spool/active "
		    "spool/incoming spool/maildrop && for i in $(seq %d %d); do n=$(printf %%010X $i); : >spool/deferred/$n; done && "
		    "chmod 700 spool/deferred/*", d, dir, dir, dir, d, d, 0xA0000, 0xA0000 + QUEUED - 1);
		sshd_start(&s[i], d, "host_ed25519", set);
		stand_behind(group, s[i].pid);
		free(d);
		free(set);
	}
	for (i = 0; i < n; i++)          /* every tenth hangs */
		str_addf(&text, "Host h%zu\n  Port %d\n", i + 1, i % 10 != 9 ? s[i % SSHDS].port : dead_port(i % 20 == 9));
	str_addf(&text, "Host *\n  HostName 127.0.0.1\n  HostKeyAlias all\n  User root\n  IdentityFile %s/user_ed25519\n  IdentitiesOnly yes\n"
	    "  IdentityAgent none\n  UserKnownHostsFile %s/known\n  GlobalKnownHostsFile /dev/null\n", dir, dir);
	if (str_write_file(config, text.s, text.len, 0600, NULL) < 0)
		exit(1);
	setenv("MXSEAL_SSH_CONFIG", config, 1);
	str_release(&text);
	free(bin);
	free(config);
}

/* Hosts that answered, and those of which it is said that they do not. */
static void
hosts_noted(const char *path, size_t *good, size_t *bad)
{
	struct server_list l = { NULL, 0 };
	struct store *st;
	struct err e;
	size_t i;

	*good = *bad = 0;
	if (store_open(&st, path, &e) < 0)
		return;
	if (store_servers(st, &l, &e) == 0)
		for (i = 0; i < l.n; i++) {
			*good += l.v[i].queue_messages > 0;
			*bad += l.v[i].trouble != NULL;
		}
	server_list_release(&l);
	store_close(st);
}

static size_t
looks(struct sshd s[SSHDS])
{
	struct stat sb;
	size_t i, n = 0;

	for (i = 0; i < SSHDS; i++) {
		char *path = xasprintf("%s/spool/looks", s[i].dir);

		n += stat(path, &sb) == 0 ? (size_t)sb.st_size : 0;
		free(path);
	}
	return n;
}

int
main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 500, i;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 120;
	static struct times in_main, in_queue, screens, all, theirs;
	char program[] = TEST_PROGRAM, option[] = "--store", less_name[] = "less", *dir, *store, *file, *group;
	struct sshd s[SSHDS];
	struct term ours, less;
	struct rusage use;
	size_t answered, silent, rounds, live = n - n / 10;
	bool loaded;
	FILE *f;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	store = xasprintf("%s/store.db", dir);
	file = xasprintf("%s/file", dir);
	group = idle_group();
	put_fleet(dir, s, n, group);
	put_store(store, n);
	if ((f = fopen(file, "we")) == NULL)
		return 1;
	for (i = 0; i < 5000; i++)
		fprintf(f, "line %zu of a file that less has to show on a terminal, wide as the lists of the other program are\n", i);
	fclose(f);
	setenv("TERM", "xterm-256color", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	setenv("XDG_STATE_HOME", dir, 1);
	setenv("HOME", dir, 1);
	srandom(6);
	if (getenv("BENCH_KEEP") != NULL) {
		printf("MXSEAL_SSH_CONFIG=%s/config XDG_STATE_HOME=%s HOME=%s %s --store %s\n", dir, dir, dir, program, store);
		fflush(stdout);
		(void)getchar();
		for (i = 0; i < SSHDS; i++)
			sshd_stop(&s[i]);
		fixture_remove(dir);
		return 0;
	}
	term_start(&less, (char *const[]){ less_name, file, NULL });
	term_start(&ours, (char *const[]){ getenv("MXSEAL_PROGRAM") ? getenv("MXSEAL_PROGRAM") : program, option, store, NULL });
	term_wait(&ours, "Fleet");
	term_find_child(&ours);
	term_wait(&less, "line 3");
	/* the queues, from which all hosts are polled, a long time and three times a short one, and the tree between */
	for (i = 0; i < 4; i++) {
		walk_for(seconds * 1000 / 20, &ours, &less, &in_main, &theirs);
		if (write(ours.fd, HOME, strlen(HOME)) == -1)    /* on a server Q shows that one only */
			return 1;
		pause_between(&ours, &less);
		press(&ours, true, "Q", "Waiting mail by destination", &screens);
		term_wait(&ours, "d20.example");
		walk_for(seconds * 1000 / (i == 0 ? 2 : 10), &ours, &less, &in_queue, &theirs);
		press(&ours, true, "g", "Waiting mail by reason", &screens);
		pause_between(&ours, &less);
		press(&ours, true, "?", "Help", &screens);
		pause_between(&ours, &less);
		press(&ours, true, "\033", "Waiting mail by reason", &screens);
		pause_between(&ours, &less);
		press(&ours, true, "\033", "Fleet", &screens);
	}
	if (getenv("BENCH_SHOW") != NULL)
		term_show(&ours);
	term_end(&ours);
	getrusage(RUSAGE_CHILDREN, &use);
	term_end(&less);
	hosts_noted(store, &answered, &silent);
	rounds = looks(s) / live;
	printf("%zu hosts, %zu of them hang: %zu of the others were polled, %zu looks or %zu rounds; %zu were told to be silent; terminal of %d x %d; hosts%s\n",
	    n, n / 10, answered, looks(s), rounds, silent, COLS, ROWS,
	    group != NULL ? " in a group that gets what is left" : " niced");
	add(&all, &in_main);
	add(&all, &in_queue);
	add(&all, &screens);
	tell("mxseal, moving in the tree", &in_main);
	tell("mxseal, moving in the queue", &in_queue);
	tell("mxseal, opening and leaving", &screens);
	tell("mxseal, all", &all);
	tell("less", &theirs);
	printf("mxseal: peak %ld KiB, processor %.1f s\nratio: mxseal takes %.1f times as long as less at p50, %.1f times at p99\n", use.ru_maxrss,
	    (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
	    part(&all, all.v, 500) / part(&theirs, theirs.v, 500), part(&all, all.v, 990) / part(&theirs, theirs.v, 990));
	loaded = answered >= live * 95 / 100 && rounds >= 3;
	for (i = 0; i < SSHDS; i++)
		sshd_stop(&s[i]);
	if (group != NULL)
		rmdir(group);
	fixture_remove(dir);
	free(dir);
	free(group);
	free(store);
	free(file);
	if (!loaded)
		puts("these figures prove nothing: too few hosts were polled meanwhile");
	return all.lost > 0 || !loaded || part(&all, all.v, 990) > LIMIT_MS;
}
