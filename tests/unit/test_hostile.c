/* Two thousand hostile strings, given to every word and every option of every command, to what reaches a host, and to what is
 * read from files: nothing of them is executed, here or there, no program but ssh is started, and no byte that a terminal
 * would obey comes out. Walks THE TABLE of commands and the sheets, so that a new option is tested the moment it is a row.
 * The table runs in a child for each command line, over a store with a server behind a real sshd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/clean.h"
#include "mxseal/host.h"
#include "mxseal/store.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/sshd.h"
#include "tui/command/command.h"

#define STRINGS 2000
#define LANES 2
#define SHOWN 10                      /* complaints */

static struct sshd server;
static char *dir, *store, *canary, *said_path;
static char **strings;

/* --- what is started: counted in memory that children share --- */

static struct counts { int ssh, other, complaints, taken, refused; char last[200]; } *counts;

static void
note_start(const char *path)
{
	const char *name = strrchr(path, '/');

	if (strcmp(name != NULL ? name + 1 : path, "ssh") == 0) {
		__atomic_add_fetch(&counts->ssh, 1, __ATOMIC_SEQ_CST);
		return;
	}
	__atomic_add_fetch(&counts->other, 1, __ATOMIC_SEQ_CST);
	snprintf(counts->last, sizeof(counts->last), "%s", path);
}

static void *
real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

/* Only these end in a new program; they stand in front of those of libc. */
int
posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *at,
    char *const argv[], char *const env[])
{
	int (*next)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
	    char *const[]);

	*(void **)&next = real("posix_spawnp");
	if (counts != NULL)
		note_start(file);
	return next(pid, file, fa, at, argv, env);
}

int
execve(const char *path, char *const argv[], char *const env[])
{
	int (*next)(const char *, char *const[], char *const[]);

	*(void **)&next = real("execve");
	if (counts != NULL)
		note_start(path);
	return next(path, argv, env);
}

FILE *
popen(const char *command, const char *type)
{
	(void)type;
	note_start(command);
	errno = EPERM;
	return NULL;
}

/* --- the strings --- */

static uint32_t dice = 2463534242u;

static uint32_t
roll(uint32_t n)
{
	dice ^= dice << 13;
	dice ^= dice >> 17;
	dice ^= dice << 5;
	return dice % n;
}

/* %C is a command that leaves the canary. */
static const char *const attacks[] = { "$(%C)", "`%C`", ";%C;", "|%C", "&&%C", "||%C", "&%C&", "\n%C\n", "\r\n%C\r\n", "';%C;'", "\";%C;\"",
	"'$(%C)'", "\"$(%C)\"", "\\$(%C)", "\\`%C\\`", "$((`%C`))", "${IFS}$(%C)", "<(%C)", ">(%C)", "${x:-$(%C)}", "-oProxyCommand=%C",
	"-o ProxyCommand=%C", "--ProxyCommand=%C", "-F/dev/stdin", "-", "--", "-e%C", "-c %C", "%%(%C)", "%h$(%C)", "%%{%C}", "!%C",
	"\nProxyCommand %C\n", "\nMatch exec \"%C\"\n", "x@$(%C)", "$(%C)@x", "x:$(%C)", "[$(%C)]:22", "../../../../etc/passwd",
	"..", "/../..", "~root", "~/$(%C)", "*", "?", "[a-z]*", "{a,b}", "'", "\"", "\\", "$", "`", "%", "%n%n%n%s%s", "%s%p%x", "#", ";", "\t",
	"\033[31mred", "\033]0;title\007", "\033]52;c;%C\007", "\033P$q\033\\", "\033[6n", "\233" "31m", "\302\233" "31m", "\177\010\010",
	"\r" "all is well", "\342\200\256gnp.exe", "\342\201\246x\342\201\251", "\342\200\217x", "\342\200\250x", "\342\200\213x",
	"\330\234x", "\355\240\200", "\300\200", "\377\376", "\360\200\200\257", "\303", "\342\202", "\357\273\277x", "\342\200\245/", "\357\274\217x",
	"\342\210\225etc", "a\314\201\314\201\314\201", "'; DROP TABLE server; --", "' OR '1'='1", "\"}],\"x\":[{\"", "$IFS$9%C", "pipe:%C", "|%C|",
	"tcp:$(%C)", "inline:{x=$(%C)}", "file:/etc/shadow", "proxy:$(%C)", "${smtpd_banner}", "$(%C).example.com", "`%C`.example.com",
	"a.example.com;%C", "a.example.com\n%C", "0;%C", "1$(%C)", "-1", "99999999999999999999", "0x10", "1e9", "NaN", "" };

static void
add_filled(struct str *out, const char *attack)
{
	for (; *attack != '\0'; attack++) {
		if (attack[0] == '%' && attack[1] == 'C') {
			str_addf(out, "touch %s", canary);
			attack++;
		} else {
			str_addc(out, *attack);
		}
	}
}

static void
make_strings(void)
{
	static const char *const heads[] = { "", "", "mx1", "mx1/smtp", "bank.test", "root@", "/tmp/", "inbound.tls=", "a=", "x", "-", "'", "\"", "\\" };
	static const char *const tails[] = { "", "", ".test", ":25", "/x", "@bank.test", ",1", "'", "\"", "=offer", "\n" };
	size_t n = sizeof(attacks) / sizeof(attacks[0]), i;

	strings = xcalloc(STRINGS, sizeof(*strings));
	for (i = 0; i < STRINGS; i++) {
		struct str s = STR_INIT;

		if (i >= n)
			str_add(&s, heads[roll(sizeof(heads) / sizeof(heads[0]))]);
		add_filled(&s, attacks[i < n ? i : roll((uint32_t)n)]);
		if (i >= 2 * n)
			add_filled(&s, attacks[roll((uint32_t)n)]);
		if (i >= n)
			str_add(&s, tails[roll(sizeof(tails) / sizeof(tails[0]))]);
		if (i % 97 == 96)     /* and one that is long */
			while (s.len < 5000)
				add_filled(&s, attacks[roll((uint32_t)n)]), str_addc(&s, 'x');
		strings[i] = s.len > 0 ? str_take(&s) : xstrdup("");
	}
}

/* --- what comes out --- */

/* Bytes that a terminal obeys or that turn the text around. */
static size_t
dirty(const char *mem, size_t len, size_t *at)
{
	size_t i, from = 0, bad = 0;

	for (i = 0; i <= len; i++) {
		if (i < len && mem[i] != '\n')
			continue;
		if (!clean_is(mem + from, i - from)) {
			*at = from;
			bad++;
		}
		from = i + 1;
	}
	return bad;
}

static void
complain(const char *what, char *const argv[], const char *detail)
{
	struct str line = STR_INIT;
	int i;

	if (__atomic_fetch_add(&counts->complaints, 1, __ATOMIC_SEQ_CST) < SHOWN) {
		for (i = 0; argv != NULL && argv[i] != NULL; i++) {
			str_add(&line, " <");
			clean_text(&line, argv[i], strlen(argv[i]) < 100 ? strlen(argv[i]) : 100, false);
			str_addc(&line, '>');
		}
		print_message("%s:%s %s\n", what, line.s, detail);
	}
	str_release(&line);
}

/* Runs a command line in a child; its words were checked. */
static void
run_line(char *argv[], int argc)
{
	struct str out = STR_INIT;
	size_t at = 0;
	int status = 0, fd;
	pid_t pid;

	fd = open(said_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		alarm(30);
		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		status = command_main(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	close(fd);
	if (str_read_file(&out, said_path, 64u * 1024 * 1024, NULL) < 0)
		complain("no output can be read", argv, "");
	if (!WIFEXITED(status) || (WEXITSTATUS(status) > 7 && WEXITSTATUS(status) != 130))
		complain("ended badly", argv, out.s);
	else
		__atomic_add_fetch(WEXITSTATUS(status) == 0 ? &counts->taken : &counts->refused, 1, __ATOMIC_SEQ_CST);
	if (dirty(out.s, out.len, &at) > 0)
		complain("dirty output", argv, clean(out.s + at));
	if (access(canary, F_OK) == 0) {
		complain("THE CANARY", argv, "");
		unlink(canary);
	}
	str_release(&out);
}

/* --- the table --- */

/* What may stand for a word of a usage line. */
static const char *
good_word(const struct cli_command *c, const char *usage)
{
	static const struct { const char *word, *good; } words[] = {
		{ "VS", "mx2/smtp" }, { "FILE", "/dev/null" }, { "TARGET", "root@127.0.0.1:1" }, { "KEY=VALUE", "inbound.tls=offer" }, { "KEY", "inbound.tls" },
		{ "DESTINATION", "bank.test" }, { "ID", "1" }, { "bash", "bash" }, { "COMMAND", "push" },
	};
	size_t i;

	while (*usage == '[')
		usage++;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (text_starts(usage, words[i].word))
			return words[i].good;
	/* where something foreign goes to a host as a word of a command, one that is really there */
	return text_starts(c->words, "queue ") ? "mx1" : "mx2";
}

struct slot { const struct cli_command *c; int word; const char *option; };

static size_t
all_slots(struct slot **out)
{
	const struct cli_command *c;
	const struct option *o;
	const struct field *f;
	struct slot *v = NULL;
	size_t n = 0, i;

	for (c = commands; c->words != NULL; c++) {
		for (i = 0; i < c->most && i < c->least + 1; i++) {
			ARRAY_GROW(v, n);
			v[n++] = (struct slot){ c, (int)i, NULL };
		}
		for (o = c->options; o != NULL && o->name != NULL; o++)
			if (o->value != NULL) {
				ARRAY_GROW(v, n);
				v[n++] = (struct slot){ c, -1, o->name };
			}
		for (f = c->sheet != NULL ? sheet_find(c->sheet)->fields : NULL; f != NULL && f->name != NULL; f++)
			if (f->kind != FIELD_NOTE && f->kind != FIELD_CHECK && !(f->flags & FIELD_NO_OPTION)) {
				ARRAY_GROW(v, n);
				v[n++] = (struct slot){ c, -1, f->name };
			}
	}
	*out = v;
	return n;
}

static void
run_slot(const struct slot *s, const char *hostile, bool json)
{
	char **w = words_split(s->c->words, " ", NULL), **usage = words_split(s->c->usage, " ", NULL), *argv[40], *option = NULL;
	int argc = 0, i;

	argv[argc++] = (char *)(uintptr_t)"mxseal";
	argv[argc++] = (char *)(uintptr_t)"--store";
	argv[argc++] = store;
	argv[argc++] = (char *)(uintptr_t)"--no-input";
	if (json)
		argv[argc++] = (char *)(uintptr_t)"--json";
	for (i = 0; w[i] != NULL; i++)
		argv[argc++] = w[i];
	if (s->option != NULL) {
		option = xasprintf("--%s=%s", s->option, hostile);
		argv[argc++] = option;
	}
	for (i = 0; i < (int)s->c->least || i <= s->word; i++)
		argv[argc++] = i == s->word ? (char *)(uintptr_t)hostile : (char *)(uintptr_t)good_word(s->c, usage[i] != NULL ? usage[i] : "ID");
	argv[argc] = NULL;
	run_line(argv, argc);
	free(option);
	words_free(w);
	words_free(usage);
}

/* Each lane writes what it hears into a file of its own. */
static void
take_lane(size_t lane)
{
	char *own = xasprintf("%s.%zu", said_path, lane);

	xset(&said_path, own);
	free(own);
}

static void
every_word_and_option(void **state)
{
	struct slot *slots;
	size_t n = all_slots(&slots), i, lane;
	int64_t t = when_monotonic_ms();
	pid_t pid[LANES];

	(void)state;
	memset(counts, 0, sizeof(*counts));
	/* every string once; every slot in its turn, so that each sees others */
	for (lane = 0; lane < LANES; lane++) {
		fflush(NULL);
		pid[lane] = fork();
		assert_true(pid[lane] >= 0);
		if (pid[lane] > 0)
			continue;
		take_lane(lane);
		for (i = lane; i < STRINGS; i += LANES)
			run_slot(&slots[(i * 7919) % n], strings[i], i / LANES % 2);
		fflush(NULL);
		_exit(0);
	}
	for (lane = 0; lane < LANES; lane++)
		assert_int_equal(waitpid(pid[lane], NULL, 0), pid[lane]);
	print_message("%d strings in %zu words and options of the table: %d taken, %d refused, %d times ssh started, %d other programs%s%s, "
	    "%d complaints, %.1f s\n", STRINGS, n, counts->taken, counts->refused, counts->ssh, counts->other,
	    counts->other > 0 ? ": " : "", counts->last, counts->complaints, (double)(when_monotonic_ms() - t) / 1000);
	free(slots);
	assert_int_equal(counts->taken + counts->refused, STRINGS);
	assert_int_equal(counts->complaints, 0);
	assert_int_equal(counts->other, 0);
	assert_true(counts->ssh > 0);
}

/* --- what reaches a host --- */

static void
targets(void **state)
{
	struct login l = { .ssh_config = server.config, .timeout_ms = 1000 };
	int let_through = 0;
	struct hostkey key;
	struct err e;
	size_t i, at;

	(void)state;
	memset(counts, 0, sizeof(*counts));
	for (i = 0; i < STRINGS; i++) {
		char *argv[] = { strings[i], NULL };

		l.target = strings[i];
		if (login_check_target(strings[i], &e) == 0) {
			let_through++;
			if (strpbrk(strings[i], "$`;|&<>(){}'\"\\ \n\r\t!*?~%/") != NULL || *strings[i] == '-')
				complain("a target", argv, "");
			continue;     /* a name like any other */
		}
		if (host_key_look(&l, NULL, &key, &e) == 0)
			complain("reached", argv, "");
		hostkey_release(&key);
		if (dirty(e.text, strlen(e.text), &at) > 0)
			complain("dirty sentence", argv, clean(e.text));
	}
	print_message("%d as targets: %d are names, %d programs started\n", STRINGS, let_through, counts->ssh + counts->other);
	assert_int_equal(counts->ssh + counts->other, 0);
	assert_int_equal(access(canary, F_OK), -1);
	assert_int_equal(counts->complaints, 0);
}

/* Words of commands, addresses of tunnels, arguments and blobs of verbs. */
static void
through_the_script(void **state)
{
	struct login l = { .target = server.target, .ssh_config = server.config };
	struct err e = { .code = RC_OK };
	struct stream *s;
	struct host *h;
	size_t i, same = 0, refused = 0;

	(void)state;
	if (host_open(&h, &l, NULL, NULL, &e) < 0)
		fail_msg("%s", e.text);
	for (i = 0; i < STRINGS; i++) {
		const char *const argv[] = { "printf", "%s", strings[i], NULL };
		const struct host_cmd cmd = { "say", argv };
		struct sections out = { .n = 0 };

		if (host_read(h, &cmd, 1, &out, &e) == 0) {
			assert_string_equal(out.v[0].text.s, strings[i]);
			same++;
		} else {
			assert_int_equal(e.code, RC_INVALID);
			refused++;
		}
		sections_release(&out);
		if (strpbrk(strings[i], " $`;|&<>(){}'\"\\\n") != NULL && host_tunnel(h, strings[i], 1, 1000, &s, &e) == 0)
			fail_msg("a tunnel to <%s>", clean(strings[i]));
	}
	assert_true(host_alive(h));
	host_close(h);
	print_message("%d through the script: %zu came back byte by byte, %zu refused for their control characters\n", STRINGS, same, refused);
	assert_int_equal(access(canary, F_OK), -1);
	assert_true(same > STRINGS / 2);
}

/* --- what is read from files --- */

static void
files(void **state)
{
	char *path = xasprintf("%s/lines", dir), *argv[] = { (char *)(uintptr_t)"mxseal", (char *)(uintptr_t)"classify", path, NULL };
	char *queue[] = { (char *)(uintptr_t)"mxseal", (char *)(uintptr_t)"queue", (char *)(uintptr_t)"--from", path, NULL };
	struct str text = STR_INIT;
	size_t i;

	(void)state;
	memset(counts, 0, sizeof(*counts));
	for (i = 0; i < STRINGS; i++) {
		str_add(&text, "Nov 26 10:00:00 mx1 postfix/smtp[1]: ABC: to=<a@");
		str_add(&text, strings[i]);
		str_addc(&text, '\0');
		str_add(&text, ">, relay=none, status=deferred (");
		str_add(&text, strings[(i + 1) % STRINGS]);
		str_add(&text, ")\n");
	}
	assert_int_equal(str_write_file(path, text.s, text.len, 0600, NULL), 0);
	run_line(argv, 3);
	str_reset(&text);
	for (i = 0; i < STRINGS; i++) {
		const char *p;

		str_add(&text, "{\"queue_name\":\"deferred\",\"queue_id\":\"A1\",\"arrival_time\":1,\"message_size\":1,\"sender\":\"a@b.test\","
		    "\"recipients\":[{\"address\":\"");
		for (p = strings[i]; *p != '\0'; p++) {
			if ((unsigned char)*p < 32 || *p == '"' || *p == '\\')
				str_addf(&text, "\\u%04x", (unsigned char)*p);
			else
				str_addc(&text, *p);
		}
		str_addf(&text, "@x%zu.test\",\"delay_reason\":\"\\u001b[31m\\u202e", i % 7);
		str_add(&text, "\"}]}\n");
	}
	assert_int_equal(str_write_file(path, text.s, text.len, 0600, NULL), 0);
	run_line(queue, 4);
	str_release(&text);
	free(path);
	assert_int_equal(counts->complaints, 0);
	assert_int_equal(counts->other + counts->ssh, 0);
}

/* --- the shipped program, watched by strace --- */

static void
what_the_kernel_saw(void **state)
{
	char *trace = xasprintf("%s/trace", dir), *save = NULL, *line;
	struct str text = STR_INIT;
	size_t i, ours = 0, ssh = 0;

	(void)state;
	if (system("command -v strace >/dev/null") != 0) {
		free(trace);
		print_message("no strace here\n");
		return;
	}
	for (i = 0; i < 12; i++) {
		const char *const lines[][4] = { { "queue", "hold", "mx1", strings[i] }, { "server", "add", strings[i], "root@127.0.0.1:1" },
			{ "server", "add", "x", strings[i] }, { "server", "read", "mx1", NULL } };
		const char *const *l = lines[i % 4];
		char *argv[] = { (char *)(uintptr_t)"strace", (char *)(uintptr_t)"-f", (char *)(uintptr_t)"-qq", (char *)(uintptr_t)"-A",
			(char *)(uintptr_t)"-e", (char *)(uintptr_t)"trace=execve,execveat", (char *)(uintptr_t)"-e",
			(char *)(uintptr_t)"status=successful", (char *)(uintptr_t)"-o", trace, (char *)(uintptr_t)TEST_PROGRAM,
			(char *)(uintptr_t)"--store", store, (char *)(uintptr_t)"--no-input", (char *)(uintptr_t)l[0], (char *)(uintptr_t)l[1],
			(char *)(uintptr_t)l[2], (char *)(uintptr_t)l[3], NULL };
		pid_t pid = fork();
		int null;

		if (pid == 0) {
			null = open("/dev/null", O_RDWR);
			dup2(null, 0);
			dup2(null, 1);
			dup2(null, 2);
			setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
			execvp("strace", argv);
			_exit(127);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_int_equal(str_read_file(&text, trace, 16u * 1024 * 1024, NULL), 0);
	for (line = strtok_r(text.s, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "/mxseal\", [") != NULL)
			ours++;
		else if (strstr(line, "/ssh\", [\"ssh\", \"-T\", \"-G\"") != NULL)
			ssh++;
		else if (strstr(line, "execve") != NULL)
			fail_msg("started: %s", clean(line));
	}
	print_message("the kernel saw %zu starts of mxseal, %zu of ssh -G, and no others\n", ours, ssh);
	assert_int_equal(ours, 12);
	assert_true(ssh > 0);
	assert_int_equal(access(canary, F_OK), -1);
	str_release(&text);
	free(trace);
}

static void
fill_store(void)
{
	static const char *const names[] = { "mx1", "mx2" };
	struct store *st;
	struct err e;
	size_t i;

	if (store_open(&st, store, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	for (i = 0; i < 2; i++) {
		struct server sv = { .queue_messages = -1 };
		struct vserver vs = { .present = true, .is_default = true, .port = 25 };

		xset(&sv.name, names[i]);
		xset(&sv.target, i == 0 ? server.target : "root@127.0.0.1:1");
		xset(&sv.system, "postfix");
		if (store_server_save(st, &sv, &e) < 0)
			exit(1);
		vs.server = sv.id;
		xset(&vs.name, "smtp");
		xset(&vs.title, "smtp inet");
		xset(&vs.listen, "127.0.0.1:25");
		if (store_vserver_save(st, &vs, &e) < 0)
			exit(1);
		server_release(&sv);
		vserver_release(&vs);
	}
	store_close(st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_word_and_option),
		cmocka_unit_test(targets),
		cmocka_unit_test(through_the_script),
		cmocka_unit_test(files),
		cmocka_unit_test(what_the_kernel_saw),
	};
	int rc;
	size_t i;

	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	store = xasprintf("%s/store.db", dir);
	canary = xasprintf("%s/CANARY", dir);
	said_path = xasprintf("%s/said", dir);
	sshd_run("mkdir %s/work", dir);
	sshd_make_keys(dir);
	sshd_start(&server, dir, "host_ed25519", NULL);
	setenv("MXSEAL_SSH_CONFIG", server.config, 1);
	setenv("HOME", dir, 1);
	fill_store();
	make_strings();
	if (chdir(dir) < 0 || chdir("work") < 0)
		return 1;
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return 1;
	cmocka_set_test_filter(getenv("TEST_FILTER"));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	if (chdir("/") < 0)
		rc = 1;
	sshd_stop(&server);
	fixture_remove(dir);
	for (i = 0; i < STRINGS; i++)
		free(strings[i]);
	free(strings);
	free(store);
	free(canary);
	free(said_path);
	free(dir);
	return rc;
}
