/* See push_world.h. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/push_world.h"

void
text_write(const char *path, const char *text, unsigned mode)
{
	assert_int_equal(str_write_file(path, text, strlen(text), mode, NULL), 0);
}

char *
text_read(const char *path)
{
	struct str s = STR_INIT;

	if (str_read_file(&s, path, 1 << 20, NULL) != 0)
		return xstrdup("(not there)");
	return str_take(&s);
}

/* One client; it is treated as the file of the moment says. */
static void
serve_one(FILE *f, const char *main_cf)
{
	char *text = text_read(main_cf), line[512];
	bool good = strstr(text, "manners = good") != NULL, tls = strstr(text, "offer = yes") != NULL;

	free(text);
	if (!good)
		return;
	fprintf(f, "220 mx ESMTP\r\n");
	fflush(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "EHLO", 4) == 0)
			fprintf(f, tls ? "250-mx\r\n250 STARTTLS\r\n" : "250-mx\r\n250 SIZE\r\n");
		else if (strncmp(line, "STARTTLS", 8) == 0)
			fprintf(f, "454 4.7.0 TLS not available\r\n");
		else
			fprintf(f, "221 bye\r\n");
		fflush(f);
		if (strncmp(line, "QUIT", 4) == 0)
			break;
	}
}

static void
serve(int listener, const char *main_cf)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		FILE *f;

		if (fork() == 0) {                     /* a client that hangs is nobody else's matter */
			alarm(20);
			f = fdopen(fd, "r+");
			serve_one(f, main_cf);
			fclose(f);
			_exit(0);
		}
		close(fd);
	}
}

static void
start_server(struct push_world *w)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	w->port = ntohs(a.sin_port);
	w->server = fork();
	if (w->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		signal(SIGCHLD, SIG_IGN);
		serve(fd, w->main_cf);
		_exit(0);
	}
	close(fd);
}

static void
path_in(const struct push_world *w, char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", w->root, name);
}

void
world_fill(const struct push_world *w)
{
	static const char *const folders[] = { "etc", "etc/postfix", "var", "var/lib" };
	char *command = xasprintf("rm -rf '%s'/*", w->root), path[600];

	if (system(command) != 0)
		fail_msg("%s", command);
	free(command);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		path_in(w, path, sizeof(path), folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	text_write(w->main_cf, WORLD_OLD, 0640);
	text_write(w->master_cf, "smtp inet n - y - - smtpd\n", 0644);
	path_in(w, path, sizeof(path), "etc/postfix/gone");
	text_write(path, "to be removed\n", 0600);
	text_write(w->mail_log, "sent 1\n", 0600);
	if (getuid() == 0)
		assert_int_equal(chown(w->main_cf, 33, 8), 0);
}

void
world_login(struct push_world *w)
{
	struct login l = { .target = xstrdup("local:") };
	struct hostkey key = { 0 };
	struct err e;

	if (host_open(&w->h, &l, NULL, &key, &e) != 0)
		fail_msg("%s", e.text);
	hostkey_release(&key);
	login_release(&l);
}

void
world_open(struct push_world *w)
{
	const char *tmp = getenv("TMPDIR");

	*w = (struct push_world){ 0 };
	if (tmp == NULL && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);       /* what is synced a thousand times should not wait for a disk */
	w->root = fixture_dir();
	if (tmp == NULL)
		unsetenv("TMPDIR");
	path_in(w, w->main_cf, sizeof(w->main_cf), "etc/postfix/main.cf");
	path_in(w, w->master_cf, sizeof(w->master_cf), "etc/postfix/master.cf");
	path_in(w, w->ran, sizeof(w->ran), "ran");
	path_in(w, w->mail_log, sizeof(w->mail_log), "mail.log");
	world_fill(w);
	setenv("MXSEAL_ROOT", w->root, 1);
	unsetenv("MXSEAL_FAULT");
	start_server(w);
	world_login(w);
}

void
world_close(struct push_world *w)
{
	struct push_report r = { .steps = STR_INIT };

	unsetenv("MXSEAL_FAULT");
	host_close(w->h);
	world_login(w);
	(void)push_undo(w->h, PUSH_UNDO_WAITING, NULL, &r, NULL);
	push_report_release(&r);
	host_close(w->h);
	kill(w->server, SIGKILL);
	waitpid(w->server, NULL, 0);
	fixture_remove(w->root);
	free(w->root);
}

static void
add_many(struct plan *p)
{
	struct change *c = plan_change(p, "/etc/postfix/master.cf", CHANGE_EDIT);

	c->is_switch = true;
	str_add(&c->before, "smtp inet n - y - - smtpd\n");
	str_add(&c->after, "smtp inet n - y - - smtpd\nsmtps inet n - y - - smtpd\n");
	c = plan_change(p, "/etc/postfix/gone", CHANGE_REMOVE);
	c->is_switch = true;
	str_add(&c->before, "to be removed\n");
	c = plan_change(p, "/etc/postfix/extra", CHANGE_CREATE);
	c->is_switch = true;
	c->mode = 0600;
	str_add(&c->after, "extra\n");
}

void
world_plan(const struct push_world *w, struct plan *p, int64_t generation, const char *before, const char *after, bool many)
{
	struct change *c;
	char path[128], show[64];

	plan_init(p);
	p->server_name = xstrdup("mx");
	p->config_dir = xstrdup("/etc/postfix");
	p->base = xstrdup("whatever");
	p->generation = generation;
	snprintf(path, sizeof(path), "/etc/mxseal/%d/policy", (int)generation);
	c = plan_change(p, path, CHANGE_CREATE);
	str_add(&c->after, "example.org encrypt\n");
	c = plan_change(p, "/etc/postfix/main.cf", CHANGE_EDIT);
	c->is_switch = true;
	str_add(&c->before, before);
	str_add(&c->after, after);
	if (many)
		add_many(p);
	command_add(&p->checks, "names", "grep", "-q", "myhostname", "@STAGED@/main.cf", NULL);
	command_add(&p->reload, "reload", "sh", "-c", "echo reload >> \"$0\"", w->ran, NULL);
	command_add(&p->restart, "restart", "sh", "-c", "echo restart >> \"$0\"", w->ran, NULL);
	command_add(&p->watch, "watch", "sh", "-c", "n=$(wc -l < \"$0\") || exit 1; at=${1#-300}; tail -n \"+${at:-1}\" \"$0\"; "
	    "echo \"mark $((n + 1))\"", w->mail_log, NULL);
	p->wants = xcalloc(1, sizeof(*p->wants));
	p->n_wants = 1;
	snprintf(show, sizeof(show), "0.0.0.0:%d", w->port);
	p->wants[0].listen = xstrdup(show);
	p->wants[0].address = xstrdup("127.0.0.1");
	p->wants[0].port = w->port;
	p->wants[0].forbid_tls = true;
}

char *
world_tree(const struct push_world *w)
{
	char *command = xasprintf("cd '%s/etc/postfix' && for f in * .[!.]*; do [ ! -e \"$f\" ] || "
	    "echo \"$f $(stat -c '%%a %%u %%g' \"$f\") $(sha256sum < \"$f\")\"; done", w->root);
	FILE *f = popen(command, "r");
	struct str s = STR_INIT;
	char line[1024];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		str_add(&s, line);
	assert_int_equal(pclose(f), 0);
	free(command);
	return str_take(&s);
}

bool
world_greets(const struct push_world *w)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)w->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = 3 };
	char word[5] = "";

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && recv(fd, word, 4, MSG_WAITALL) < 0)
		word[0] = '\0';
	close(fd);
	return strcmp(word, "220 ") == 0;
}

bool
world_journal(const struct push_world *w, long long *generation, char state[16])
{
	char path[600], *text, *line;
	bool found;

	path_in(w, path, sizeof(path), "var/lib/mxseal/journal");
	text = text_read(path);
	if (text[0] != '\0')
		text[strlen(text) - 1] = '\0';         /* the last newline */
	line = strrchr(text, '\n') != NULL ? strrchr(text, '\n') + 1 : text;
	found = sscanf(line, "%*s %lld %15s", generation, state) == 2;
	free(text);
	return found;
}
