/* kill -9 of the console at random moments: while it starts, while a dialog is typed into, while a wizard is walked, while
 * edits are kept. What the screen had acknowledged is there afterwards; a draft and the page of a wizard come back; the store
 * is whole. MXSEAL_KILLS says how often (a hundred otherwise, as many as fit beside the other tests; check --long: 1,000),
 * in two processes at a time with a store each. Contacts nobody. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/db.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/vt.h"

#define KILLS 100
#define WORKERS 2
#define EARLY 5             /* one life of so many ends while it starts */
#define WAIT_MS 6000

/* What this life and those before it were told. */
struct told {
	int servers;              /* s1 ... sN are known */
	int settings;             /* edits of settings kept */
	char draft[32];           /* name in the dialog of a new server, as "draft saved" was on the screen */
	char wish[32];            /* typed after that, or wished to be gone: "" */
	bool finishing;           /* the dialog's button was pressed and nothing was said yet */
	int page, wish_page;      /* of the wizard */
	int drafts_seen, pages_seen;
	int first_ms;             /* from start to first frame, lately */
};
struct life { const char *dir, *path; struct vt *t; struct told *k; };

static void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

/* --- the store, before and after --- */

static void
prepare(const char *path)
{
	struct server s = { .read_at = when_now(), .tried_at = when_now(), .queue_messages = 0 };
	struct vserver v = { .port = 25, .is_default = true, .present = true };
	struct authority a = { .days = 397, .not_after = when_now() + 86400 * 400, .created_at = when_now() };
	struct found_value *f;
	struct store *st = NULL;
	struct err e;

	s.name = xstrdup("mx1");
	s.target = xstrdup("root@192.0.2.1");
	s.mailsys = xstrdup("postfix");
	s.version = xstrdup("3.7.11");
	s.config_dir = xstrdup("/etc/postfix");
	s.host_name = xstrdup("mx1.example.org");
	v.name = xstrdup("smtp");
	v.title = xstrdup("smtp inet");
	v.listen = xstrdup("0.0.0.0:25");
	f = found_value_list_add(&v.found);
	f->name = xstrdup("inbound.tls");
	f->value = xstrdup("off");
	f->native = xstrdup("smtpd_tls_security_level =");
	f->source = xstrdup("main.cf");
	a.name = xstrdup("house");
	a.kind = xstrdup("own");
	a.subject = xstrdup("CN=House");
	a.policy = xstrdup("always");
	a.sealed_key = xstrdup("sealed");
	a.pem = xstrdup("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
	if (store_open(&st, path, &e) < 0 || store_server_save(st, &s, &e) < 0 || (v.server = s.id, store_vserver_save(st, &v, &e)) < 0 ||
	    store_authority_save(st, &a, &e) < 0)
		die("%s", e.text);
	store_close(st);
	server_release(&s);
	vserver_release(&v);
	authority_release(&a);
}

static int64_t
number(struct store *st, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t n = -1;

	if (sqlite3_prepare_v2(st->db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return n;
}

static void
check_draft(struct store *st, struct told *k)
{
	char *json = NULL;
	bool there = store_draft_get(st, "server new", &json, NULL) == 0;

	if (k->draft[0] != '\0' && !there && !k->finishing && k->wish[0] != '\0')
		die("the draft with the name %s is gone", k->draft);
	if (k->draft[0] != '\0' && there && strstr(json, k->draft) == NULL && strstr(json, k->wish) == NULL)
		die("the draft was acknowledged with the name %s and is now %s", k->draft, json);
	k->drafts_seen += k->draft[0] != '\0' && there;
	if (!there)
		k->draft[0] = '\0';
	free(json);
}

/* Everything that was acknowledged is there; what was only asked for is there or not. */
static void
check_store(const char *path, struct told *k, bool thorough)
{
	struct store *st = NULL;
	struct server s;
	struct err e;
	char name[16];
	int64_t n;

	if (store_open(&st, path, &e) < 0)
		die("%s", e.text);
	for (int i = 1; i <= k->servers; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		if (store_server_by_name(st, name, &s, &e) < 0)
			die("%s was acknowledged: %s", name, e.text);
		server_release(&s);
	}
	snprintf(name, sizeof(name), "s%d", k->servers + 1);
	if (store_server_by_name(st, name, &s, NULL) == 0) {      /* kept, and the word for it came too late */
		server_release(&s);
		k->servers++;
	}
	n = number(st, "SELECT count(*) FROM activity WHERE verb = 'server-add'");
	if (n != k->servers)
		die("%d servers are known, their activity has %lld rows", k->servers, (long long)n);
	n = number(st, "SELECT count(*) FROM activity WHERE verb = 'settings'");
	if (n < k->settings || n > k->settings + 1)
		die("%d edits of settings were acknowledged, %lld are there", k->settings, (long long)n);
	k->settings = (int)n;
	check_draft(st, k);
	if (thorough && (store_activity_verify(st, NULL, &e) < 0 ||
	    number(st, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") != 1 ||
	    number(st, "SELECT count(*) FROM pragma_foreign_key_check") != 0))
		die("the store is not whole");
	store_close(st);
}

/* --- lives --- */

/* The console itself: the child of the guard that restores the terminal. */
static pid_t
console_of(pid_t guard)
{
	char path[64], text[32] = "";
	struct timespec pause = { 0, 2000000 };

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)guard, (int)guard);
	for (int i = 0; i < 2000; i++) {
		FILE *f = fopen(path, "r");
		bool there = f != NULL && fgets(text, sizeof(text), f) != NULL;

		if (f != NULL)
			fclose(f);
		if (there)
			return (pid_t)atoi(text);
		nanosleep(&pause, NULL);
	}
	die("the console does not start");
}

/* A process that kills it later: the moment is the one thing here that is meant to be left to chance. */
static pid_t
killer(pid_t console, int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	pid_t pid = fork();

	if (pid == 0) {
		nanosleep(&t, NULL);
		kill(console, SIGKILL);
		_exit(0);
	}
	return pid;
}

static bool
sees(struct life *l, const char *text)
{
	return vt_sees(l->t, text, WAIT_MS);
}

/* Half of the people think about it until they are interrupted. */
static bool
lingers(struct life *l)
{
	return rand() % 2 == 0 && !sees(l, "nothing ever says this");
}

/* A new server: the draft of the life before is back, or there was none. */
static void
add_server(struct life *l)
{
	struct told *k = l->k;
	char keys[64], back[64];

	vt_type(l->t, ":new server<Enter>");
	if (!sees(l, "Add a server"))
		return;
	if (k->draft[0] != '\0') {
		if (!sees(l, "Your draft of this dialog is back"))
			return;
		snprintf(back, sizeof(back), "%s", k->draft);
		if (!vt_sees(l->t, back, 200) && !vt_sees(l->t, k->wish, 200) && vt_sees(l->t, "Add a server", 0))
			die("the dialog shows neither %s nor %s", back, k->wish);
	}
	snprintf(k->wish, sizeof(k->wish), "s%d", k->servers + 1);
	snprintf(keys, sizeof(keys), "<End><C-u>%s<Tab>", k->wish);
	vt_type(l->t, keys);
	if (!sees(l, "draft saved"))
		return;
	if (vt_sees(l->t, k->wish, 200))
		snprintf(k->draft, sizeof(k->draft), "%s", k->wish);
	if (lingers(l))
		return;
	vt_type(l->t, "<End><C-u>root@192.0.2.9<Tab><Tab><Tab><Tab><Tab>");
	if (!sees(l, "> [ Add ]"))
		return;
	k->finishing = true;
	snprintf(keys, sizeof(keys), "s%d is known now", k->servers + 1);
	vt_type(l->t, "<Enter>");
	if (!sees(l, keys))
		return;
	k->servers++;
	k->draft[0] = k->wish[0] = '\0';
	k->finishing = false;
}

static int
page_shown_now(struct life *l)
{
	char text[32];

	for (int page = 1; page <= 8; page++) {
		snprintf(text, sizeof(text), "Step %d of 8", page);
		if (vt_sees(l->t, text, 0))
			return page;
	}
	return 0;
}

/* One or two pages further in the wizard; at its end back to the beginning. */
static void
walk_wizard(struct life *l)
{
	struct told *k = l->k;
	char text[32];

	vt_type(l->t, ":go mx1/smtp<Enter>");
	if (!sees(l, "> "))
		return;
	vt_type(l->t, "c");
	if (!sees(l, "Step "))
		return;
	int page = page_shown_now(l);
	if (page != 0 && page != k->page && page != k->wish_page)
		die("the wizard was left at page %d (or on the way to %d) and opens at %d", k->page, k->wish_page, page);
	k->pages_seen += page > 1;
	for (int i = 0; i < 2 && page != 0; i++) {
		k->page = page;
		k->wish_page = page < 7 ? page + 1 : 1;
		vt_type(l->t, page < 7 ? "<C-n>" : "<M-1>");
		snprintf(text, sizeof(text), "Step %d of 8", k->wish_page);
		if (!sees(l, text))
			return;
		k->page = page = k->wish_page;
	}
	if (lingers(l))
		return;
	vt_type(l->t, "<Esc>");
	(void)sees(l, "Fleet");
}

/* The secure channel of the virtual server, one choice further. */
static void
keep_settings(struct life *l)
{
	vt_type(l->t, ":go mx1/smtp<Enter>");
	if (!sees(l, "> "))
		return;
	vt_type(l->t, "e");
	if (!sees(l, "[1 General]"))
		return;
	vt_type(l->t, "<C-n>");
	if (!sees(l, "> Secure channel"))
		return;
	vt_type(l->t, "<Right>:finish<Enter>");
	if (sees(l, "kept here"))
		l->k->settings++;
}

static void
live_and_die(const char *dir, const char *path, struct told *k, int how)
{
	char *store = xasprintf("MXSEAL_STORE=%s", path), *home = xasprintf("HOME=%s", dir);
	const char *env[] = { store, home, NULL }, *program = getenv("MXSEAL_PROGRAM");
	const char *argv[] = { program != NULL ? program : TEST_PROGRAM, NULL };
	struct life l = { dir, path, vt_start(argv, env, 24, 80), k };
	pid_t console = console_of(vt_pid(l.t)), reaper = 0;
	int64_t began = when_monotonic_ms();
	bool early = rand() % EARLY == 0;
	int status;

	if (early)
		reaper = killer(console, rand() % k->first_ms);
	if (sees(&l, "[RO]") && !early) {
		/* a slow machine is given its time: most lives get to do something, none gets to do everything */
		k->first_ms = (int)(when_monotonic_ms() - began) + 1;
		reaper = killer(console, rand() % (2000 + 8 * k->first_ms));
		if (how == 2)
			keep_settings(&l);
		if (how != 1)
			add_server(&l);
		if (how != 0)
			walk_wizard(&l);
	}
	if (reaper == 0)
		die("the console shows nothing within %d ms", WAIT_MS);
	waitpid(reaper, &status, 0);
	status = vt_finish(l.t, 10000);
	if (status != 128 + SIGKILL)
		die("the console ended with status %d", status);
	vt_close(l.t);
	free(store);
	free(home);
}

static void
worker(int kills, unsigned seed)
{
	char *dir = fixture_dir(), *path = xasprintf("%s/store.db", dir);
	struct told k = { .page = 1, .wish_page = 1, .first_ms = 300 };

	srand(seed);
	prepare(path);
	for (int i = 0; i < kills; i++) {
		live_and_die(dir, path, &k, i % 3);
		check_store(path, &k, i % 25 == 24 || i == kills - 1);
	}
	printf("%d kills (seed %u): %d servers, %d edits kept; drafts were back %d times, a later page of the wizard %d times\n", kills,
	    seed, k.servers, k.settings, k.drafts_seen, k.pages_seen);
	fflush(stdout);
	/* a test that was told nothing proves nothing */
	if (kills >= 40 && (k.servers < kills / 40 || k.settings < 1 || k.drafts_seen < kills / 40 || k.pages_seen < 1))
		die("the console was killed too early too often");
	fixture_remove(dir);
	free(path);
	free(dir);
	_exit(0);
}

static void
nothing_acknowledged_is_lost(void **state)
{
	const char *text = getenv("MXSEAL_KILLS");
	int kills = text != NULL ? atoi(text) : KILLS, status;
	unsigned seed = (unsigned)time(NULL);
	pid_t pid[WORKERS];

	(void)state;
	fflush(NULL);
	for (int i = 0; i < WORKERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			worker(kills / WORKERS, seed + (unsigned)i);
	}
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		if (status != 0)
			fail_msg("seed %u found something", seed + (unsigned)i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_acknowledged_is_lost) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
