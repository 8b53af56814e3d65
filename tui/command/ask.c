/* Jobs from the command line, and the questions they may come back with. Questions are asked on the terminal itself, so that
 * redirected output stays clean; without a terminal, or with --no-input, they are refused with what to do instead. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/command.h"

static int
terminal(struct cli *c, struct err *e)
{
	int fd = c->no_input ? -1 : open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (fd == -1)
		err_set(e, RC_USAGE, "there is nobody to ask%s", c->no_input ? " (--no-input)" : " (no terminal)");
	return fd;
}

static void
say(int fd, const char *text)
{
	struct str s = STR_INIT;

	clean_text(&s, text, strlen(text), true);
	(void)!write(fd, s.s, s.len);   /* when nobody reads, the answer will be missing too */
	str_release(&s);
}

int
cli_secret(struct cli *c, const char *prompt, struct secret *out, struct err *e)
{
	struct termios old, quiet;
	sigset_t held, before;
	int fd, rc;

	if (c->passphrase_fd != -1)
		return secret_read_fd(out, c->passphrase_fd, e);
	fd = terminal(c, e);
	if (fd == -1) {
		err_set(e, RC_PASSPHRASE, "%s is needed, and there is nobody to ask", prompt);
		return err_hint(e, "give it on a descriptor: --passphrase-fd N N<FILE");
	}
	say(fd, prompt);
	say(fd, ": ");
	/* Ctrl-C comes as a byte meanwhile, so that the terminal is never left without echo */
	tcgetattr(fd, &old);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
	sigemptyset(&held);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	sigprocmask(SIG_BLOCK, &held, &before);
	tcsetattr(fd, TCSAFLUSH, &quiet);
	rc = secret_read_fd(out, fd, e);
	tcsetattr(fd, TCSAFLUSH, &old);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (rc == 0 && memchr(out->mem, 3, out->len) != NULL) {
		secret_release(out);
		rc = err_set(e, RC_CANCELLED, "cancelled");
	}
	if (rc == -1 && e->code == RC_USAGE)
		err_set(e, RC_CANCELLED, "cancelled: nothing was typed");
	say(fd, "\n");
	close(fd);
	return rc;
}

int
cli_passphrase(struct cli *c, const char *what, bool confirm, struct err *e)
{
	struct secret one = { NULL, 0 }, two = { NULL, 0 };
	char prompt[200];
	int rc;

	if (journey_has_passphrase(c->j))
		return 0;
	snprintf(prompt, sizeof(prompt), "Passphrase for %s", what);
	rc = cli_secret(c, prompt, &one, e);
	if (rc == 0 && confirm && c->passphrase_fd == -1) {
		rc = cli_secret(c, "The same again", &two, e);
		if (rc == 0 && (one.len != two.len || memcmp(one.mem, two.mem, one.len) != 0))
			rc = err_set(e, RC_USAGE, "the two passphrases differ");
	}
	if (rc == 0)
		journey_passphrase(c->j, &one);
	c->passphrase_given = rc == 0;
	secret_release(&one);
	secret_release(&two);
	return rc;
}

static int
read_line(struct cli *c, const char *prompt, char *line, size_t size, struct err *e)
{
	int fd = terminal(c, e);
	ssize_t n;

	if (fd == -1)
		return -1;
	say(fd, prompt);
	n = read(fd, line, size - 1);
	close(fd);
	if (n <= 0)
		return err_set(e, RC_CANCELLED, "no answer");
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return 0;
}

int
cli_confirm(struct cli *c, bool *yes, struct err *e, const char *fmt, ...)
{
	char text[512], line[64];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof(text) - n, " [y/N] ");
	if (read_line(c, text, line, sizeof(line), e) == -1)
		return -1;
	*yes = line[0] == 'y' || line[0] == 'Y';
	return 0;
}

struct waiting { int rc; struct err e; };

static void
waited(void *arg, int rc, const struct err *e)
{
	struct waiting *w = arg;

	w->rc = rc;
	if (e != NULL)
		w->e = *e;
}

/* What to do about a key that is not known, with the server's own name. Returns -1. */
static int
how_to_trust(struct cli *c, int64_t server, struct err *e)
{
	struct server sv = { .id = 0 };

	if (store_server_get(journey_store(c->j), server, &sv, NULL) == 0)
		err_hint(e, "compare it on the host: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub; then: mxseal server trust %s "
		    "--fingerprint SHA256:...", clean(sv.name));
	server_release(&sv);
	return -1;
}

int
cli_answer(struct cli *c, int64_t server, const struct err *asked, struct err *e)
{
	struct secret s = { NULL, 0 };
	bool sudo = strstr(asked->text, "sudo") != NULL;
	int rc;

	switch (asked->code) {
	case RC_HOSTKEY_NEW:
		if (c->no_input) {
			*e = *asked;
			return how_to_trust(c, server, e);
		}
		return cli_trust(c, server, NULL, e);
	case RC_PASSWORD:
		rc = cli_secret(c, asked->text, &s, e);
		if (rc == -1 && e->code == RC_PASSPHRASE) {     /* nobody to ask: what was asked says it already */
			err_set(e, RC_PASSWORD, "%s", asked->text);
			err_hint(e, "give it on a descriptor: --passphrase-fd N N<FILE%s%s", asked->hint[0] ? "; " : "", asked->hint);
		}
		if (rc == 0)
			journey_password(c->j, server, sudo ? "sudo" : "login", &s);
		secret_release(&s);
		return rc;
	case RC_PASSPHRASE:
		if (c->passphrase_given && c->passphrase_fd != -1) {
			*e = *asked;             /* a descriptor has no better one */
			return -1;
		}
		if (c->passphrase_given)
			fprintf(stderr, "mxseal: %s\n", clean(asked->text));
		return cli_passphrase(c, "the keys kept here", false, e);
	default:
		*e = *asked;
		return -1;
	}
}

/* seconds 0: as long as it takes. */
static void
wait_for(struct cli *c, int64_t id, int seconds)
{
	struct jobq *q = journey_jobs(c->j);
	int64_t end = when_monotonic_ms() + seconds * INT64_C(1000), left;

	while (seconds > 0 && jobq_busy(q, id) && (left = end - when_monotonic_ms()) > 0) {
		struct pollfd p = { .fd = jobq_fd(q), .events = POLLIN };

		poll(&p, 1, (int)left);
		jobq_deliver(q);
	}
	if (seconds > 0 && jobq_busy(q, id))
		jobq_cancel(q, id);
	jobq_wait(q, id);
}

int
cli_job(struct cli *c, int64_t server, start_fn *start, void *arg, struct err *e)
{
	return cli_job_within(c, server, 0, start, arg, e);
}

int
cli_job_within(struct cli *c, int64_t server, int seconds, start_fn *start, void *arg, struct err *e)
{
	struct waiting w;
	int64_t id;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		memset(&w, 0, sizeof(w));
		id = start(c, arg, waited, &w, &w.e);
		if (id == -1)
			w.rc = -1;
		else if (id > 0)
			wait_for(c, id, seconds);
		if (w.rc == 0)
			return 0;
		if (cli_answer(c, server, &w.e, e) == -1)
			return -1;
	}
	*e = w.e;
	return -1;
}

/* --- errands --- */

struct errand {
	struct errand *next;
	struct cli *c;
	int64_t server, job;
	start_fn *start;
	void *arg;
	cli_ended_errand_fn *ended;
	int tries;
};

static void errand_start(struct errand *x);

static void
errand_done(void *arg, int rc, const struct err *e)
{
	struct errand *x = arg, **p;
	struct err own = { .code = RC_OK };

	if (rc != 0 && e->code != RC_CANCELLED && x->tries < 4) {
		if (cli_answer(x->c, x->server, e, &own) == 0) {
			errand_start(x);
			return;
		}
		e = &own;
	}
	for (p = &x->c->errands; *p != x; p = &(*p)->next)
		;
	*p = x->next;
	x->ended(x->arg, rc, e);
	free(x);
}

static void
errand_start(struct errand *x)
{
	struct err e = { .code = RC_OK };

	x->tries++;
	x->job = x->start(x->c, x->arg, errand_done, x, &e);
	if (x->job == -1)
		errand_done(x, -1, &e);
}

void
cli_errand(struct cli *c, int64_t server, start_fn *start, void *arg, cli_ended_errand_fn *ended)
{
	struct errand *x = xcalloc(1, sizeof(*x));

	*x = (struct errand){ .next = c->errands, .c = c, .server = server, .start = start, .arg = arg, .ended = ended };
	c->errands = x;
	errand_start(x);
}

void
cli_errands_stop(struct cli *c)
{
	struct errand *x;

	for (x = c->errands; x != NULL; x = x->next)
		jobq_cancel(journey_jobs(c->j), x->job);
	while (c->errands != NULL)
		jobq_wait(journey_jobs(c->j), c->errands->job);
}

/* --- host keys --- */

struct key_arg { int64_t server; struct hostkey key; };

static int64_t
key_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct key_arg *k = arg;

	hostkey_release(&k->key);
	memset(&k->key, 0, sizeof(k->key));
	return server_look_key(c->j, k->server, &k->key, done, done_arg, e);
}

int
cli_trust(struct cli *c, int64_t server, const char *fingerprint, struct err *e)
{
	struct key_arg k = { .server = server };
	char text[512], line[128];
	int rc = cli_job(c, 0, key_start, &k, e);

	if (rc == -1 || (k.key.verdict == HOSTKEY_OK && fingerprint == NULL))
		goto out;
	if (fingerprint != NULL)
		snprintf(line, sizeof(line), "%s", fingerprint);
	else if (c->no_input) {
		err_set(e, RC_HOSTKEY_NEW, "the host key is not known: %s %s", k.key.type, k.key.fingerprint);
		rc = how_to_trust(c, server, e);
		goto out;
	} else {
		snprintf(text, sizeof(text), "The host shows a key that was never seen before:\n  %s %s\nCompare it on the host with:  "
		    "ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\nType the fingerprint (SHA256:...) to accept it: ", k.key.type,
		    k.key.fingerprint);
		rc = read_line(c, text, line, sizeof(line), e);
		if (rc == -1)
			goto out;
	}
	if (strcmp(text_trim(line), k.key.fingerprint) != 0) {
		rc = err_set(e, RC_HOSTKEY, "the host shows %s %s, not what was given; nothing was accepted", k.key.type,
		    k.key.fingerprint);
		goto out;
	}
	rc = server_trust(c->j, server, &k.key, e);
out:
	hostkey_release(&k.key);
	return rc;
}

/* Whose step is it? */
static const char *
server_of(const struct cli *c, const struct job_progress *p)
{
	for (size_t i = 0; c->fleet != NULL && i < fleet_size(c->fleet); i++)
		if (fleet_nth(c->fleet, i)->job == p->id)
			return fleet_nth(c->fleet, i)->name;
	return c->server;
}

void
cli_progress(const struct job_progress *p, void *arg)
{
	struct cli *c = arg;
	bool many = c->fleet != NULL && fleet_size(c->fleet) > 1;

	if (c->stream_steps && p->step > 0 && strcmp(p->state, "run") != 0) {
		json_t *o = json_object();

		json_object_set_new(o, "server", json_text(server_of(c, p)));
		json_object_set_new(o, "step", json_text(p->name));
		json_object_set_new(o, "ok", json_boolean(strcmp(p->state, "ok") == 0));
		json_object_set_new(o, "seconds", json_real(p->seconds));
		json_object_set_new(o, "text", json_text(p->text));
		out_json(o);
	} else if (!c->quiet && !c->json && p->step > 0 && strcmp(p->state, "run") != 0)
		fprintf(stderr, "  %s%s%-8s %-5s %5.1f s  %s\n", many ? server_of(c, p) : "", many ? ": " : "", p->name, p->state,
		    p->seconds, clean(p->text));
}
