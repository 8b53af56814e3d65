/* A host: which transport reaches it, how we become root there, and what may be asked once we are. The order of transports
 * is: this machine, libssh2, and the user's own ssh program where libssh2 cannot. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"
#include "host_script.inc"

#define BUSY_PAUSE_MS 250             /* before the second try at an sshd that turned us away; then twice that, and so on */
#define LINES_BEFORE 1000             /* a login shell may be talkative, not endless */

void
login_copy(struct login *to, const struct login *from)
{
	*to = (struct login){
		.target = xstrdup(from->target),
		.identity = xstrdup(from->identity),
		.become = from->become,
		.known_hosts = xstrdup(from->known_hosts),
		.ssh_config = xstrdup(from->ssh_config),
		.timeout_ms = from->timeout_ms,
	};
	secret_copy(&to->password, &from->password);
	secret_copy(&to->sudo, &from->sudo);
}

void
login_release(struct login *l)
{
	free(l->target);
	free(l->identity);
	free(l->known_hosts);
	free(l->ssh_config);
	secret_release(&l->password);
	secret_release(&l->sudo);
	*l = (struct login){ .timeout_ms = 0 };
}

int
host_lost(struct host *h, const struct err *e)
{
	if (e == NULL || e->code == RC_NET || e->code == RC_TIMEOUT || e->code == RC_CANCELLED)
		atomic_store(&h->dead, true);
	return -1;
}

bool
host_alive(const struct host *h)
{
	return h != NULL && !atomic_load(&h->dead);
}

const char *
host_transport(const struct host *h)
{
	return h->ops->name;
}

const char *
host_transport_why(const struct host *h)
{
	return h->why;
}

const char *
host_address(const struct host *h)
{
	return h->address;
}

void
host_abort(void *host)
{
	struct host *h = host;
	ssize_t n;

	atomic_store(&h->dead, true);
	do
		n = write(h->wake[1], "x", 1);
	while (n < 0 && errno == EINTR);
}

void
host_close(struct host *h)
{
	if (h == NULL)
		return;
	talk_close(h->reader);
	if (h->link != NULL)
		h->ops->close(h);
	if (h->wake[0] >= 0) {
		close(h->wake[0]);
		close(h->wake[1]);
	}
	login_release(&h->login);
	route_release(&h->route);
	jumps_release(h);
	free(h->name);
	free(h->address);
	free(h->why);
	free(h);
}

/* --- root --- */

/* One sentence for what sudo said. Returns -1. */
static int
sudo_refused(struct host *h, const char *said, struct err *e)
{
	const char *user = clean(h->route.user);

	if (strstr(said, "must have a tty") != NULL) {
		err_set(e, RC_SUDO, "sudo on %s runs only on a terminal for %s (requiretty)", h->name, user);
		return err_hint(e, "add a file to /etc/sudoers.d with: Defaults:%s !requiretty", user);
	}
	if (strstr(said, "not in the sudoers") != NULL || strstr(said, "may not run sudo") != NULL
	    || strstr(said, "not allowed to") != NULL) {
		err_set(e, RC_SUDO, "%s may not become root by sudo on %s", user, h->name);
		return err_hint(e, "log in as root, or let %s run everything in sudoers", user);
	}
	if (strstr(said, "not found") != NULL || strstr(said, "No such file") != NULL) {
		err_set(e, RC_SUDO, "there is no sudo on %s, and %s is not root", h->name, user);
		return err_hint(e, "log in as root, or install sudo there");
	}
	if (strstr(said, "password has expired") != NULL || strstr(said, "account validation failure") != NULL) {
		err_set(e, RC_SUDO, "sudo on %s does not take the account of %s: %s", h->name, user, clean(said));
		return err_hint(e, "log in by hand and see what it asks");
	}
	err_set(e, RC_SUDO, "sudo on %s refused %s: %s", h->name, user, *said ? clean(said) : "it said nothing");
	return err_hint(e, "try on the host: sudo -n true");
}

/* --- the shell that runs the script --- */

/* What the first shell told before it was ready, or instead. */
struct who {
	long uid;                 /* -1: it never came so far */
	int status;               /* of sudo -n, -1: not said */
	struct str said;          /* everything else */
};

static int
says_too_much(struct host *h, struct err *e)
{
	err_set(e, RC_PARSE, "the shell of %s on %s does not stop talking before it begins", clean(h->route.user), h->name);
	return err_hint(e, "look at what its profile prints when it is not interactive");
}

/* Reads lines until the bootstrap says that it runs as root. */
static int
wait_ready(struct host *h, struct stream *s, struct err *e)
{
	struct str line = STR_INIT;
	int rc, tries = LINES_BEFORE;

	do
		rc = stream_line(s, &line, 65536, h->timeout_ms, e);
	while (rc == 1 && !text_eq(line.s, "#ready") && --tries > 0);
	str_release(&line);
	return rc == 1 && tries == 0 ? says_too_much(h, e) : rc;
}

/* Answers sudo's question, which is known by the mark that we gave it. The password goes out only after that, once; a
 * second question means that it was wrong. */
static int
answer_sudo(struct host *h, struct stream *s, const char *mark, struct err *e)
{
	int64_t until = when_monotonic_ms() + h->timeout_ms;
	bool sent = false;
	struct err mine;
	const char *asked;
	size_t seen = 0;
	int rc;

	for (;;) {
		asked = strstr(s->errors.s + seen, mark);
		if (asked != NULL && sent)
			break;
		if (asked != NULL) {
			seen = (size_t)(asked - s->errors.s) + strlen(mark);
			if (stream_write(s, h->login.sudo.mem, h->login.sudo.len, h->timeout_ms, e) < 0
			    || stream_write(s, "\n", 1, h->timeout_ms, e) < 0)
				return host_lost(h, e);
			sent = true;
		}
		s->errors_wake = true;
		rc = when_monotonic_ms() >= until ? err_set(&mine, RC_TIMEOUT, "sudo on %s asked nothing", h->name)
		    : wait_ready(h, s, &mine);
		s->errors_wake = false;
		if (rc == 1)
			return 0;
		if (rc == 0)          /* sudo ended: it says why, after the question if there was one */
			return sudo_refused(h, text_trim(s->errors.s + seen), e);
		if (mine.code == RC_TIMEOUT) {
			err_set(e, RC_SUDO, "sudo on %s asks something that cannot be answered here: %s", h->name,
			    clean(text_trim(s->errors.s + seen)));
			return err_hint(e, "try by hand: ssh %s sudo -k true", clean(h->login.target));
		}
		if (mine.code != RC_FINDINGS) {
			err_set(e, mine.code, "%s", mine.text);
			return host_lost(h, e);
		}
	}
	err_set(e, RC_SUDO, "the sudo password of %s on %s was wrong", clean(h->route.user), h->name);
	return err_hint(e, "give it again; it was tried once only");
}

int
host_shell(struct host *h, struct stream **out, struct err *e)
{
	unsigned char salt[8];
	char mark[48] = "", how[96] = "";
	struct str command = STR_INIT;
	struct stream *s = NULL;
	int rc;

	*out = NULL;
	if (!host_alive(h))
		return err_set(e, RC_NET, "the connection to %s is gone", h->name);
	if (h->root == ROOT_SUDO) {
		snprintf(how, sizeof(how), "sudo -n");
	} else if (h->root == ROOT_SUDO_PASSWORD) {
		random_bytes(salt, sizeof(salt));
		snprintf(mark, sizeof(mark), "mxseal-%02x%02x%02x%02x%02x%02x%02x%02x:", salt[0], salt[1], salt[2], salt[3],
		    salt[4], salt[5], salt[6], salt[7]);
		snprintf(how, sizeof(how), "sudo -k -S -p %s", mark);
	}
	str_addf(&command, HOST_SHELL, how, sizeof(host_script));
	rc = h->ops->exec(h, command.s, &s, e);
	str_release(&command);
	if (rc < 0)
		return host_lost(h, e);
	if (h->root == ROOT_SUDO_PASSWORD)
		rc = answer_sudo(h, s, mark, e);
	if (rc == 0) {
		rc = stream_write(s, host_script, sizeof(host_script), h->timeout_ms, e);
		if (rc == 0 && h->root != ROOT_SUDO_PASSWORD) {
			rc = wait_ready(h, s, e);
			if (rc == 0)
				rc = err_set(e, RC_NET, "the shell on %s did not start: %s", h->name,
				    s->errors.len > 0 ? clean(text_trim(s->errors.s)) : "it said nothing");
			rc = rc < 0 ? -1 : 0;
		}
		if (rc < 0)
			host_lost(h, e);
	}
	if (rc < 0) {
		stream_close(s, NULL);
		return -1;
	}
	*out = s;
	return 0;
}

/* Listens to the first shell. 1: it is ready; 0: it ended; -1. */
static int
hear_who(struct host *h, struct stream *s, struct who *w, struct err *e)
{
	struct str line = STR_INIT;
	int rc, tries = LINES_BEFORE;

	while ((rc = stream_line(s, &line, 65536, h->timeout_ms, e)) == 1 && !text_eq(line.s, "#ready")) {
		if (--tries == 0) {
			rc = says_too_much(h, e);
			break;
		}
		if (text_starts(line.s, "#uid "))
			w->uid = strtol(line.s + 5, NULL, 10);
		else if (text_starts(line.s, "#= "))
			w->status = (int)strtol(line.s + 3, NULL, 10);
		else if (line.len > 0)
			str_addf(&w->said, "%s%s", w->said.len > 0 ? " " : "", line.s);
	}
	if (rc == 0 && w->uid < 0 && w->said.len == 0)
		str_addn(&w->said, s->errors.s, s->errors.len);
	str_release(&line);
	return rc;
}

/* The first shell did not become root: why not, or what else may help. */
static int
not_root(struct host *h, const struct who *w, struct err *e)
{
	const char *user = clean(h->route.user);

	if (w->uid < 0) {
		err_set(e, RC_AUTH, "%s let us in, but the shell of %s runs no commands: %s", h->name, user,
		    w->said.len > 0 ? clean(text_trim(w->said.s)) : "it said nothing");
		return err_hint(e, "give the account a login shell, or use another");
	}
	if (h->login.become == BECOME_NONE) {
		err_set(e, RC_SUDO, "%s is not root on %s", user, h->name);
		return err_hint(e, "log in as root, or set \"become\" of the server to sudo");
	}
	if (strstr(w->said.s, "password is required") == NULL)
		return sudo_refused(h, w->said.s, e);
	if (!secret_is_set(&h->login.sudo))
		return err_set(e, RC_PASSWORD, "sudo on %s asks for the password of %s", h->name, user);
	h->root = ROOT_SUDO_PASSWORD;
	return talk_open(&h->reader, h, e);            /* proves the password */
}

/* Starts the shell that host_read keeps; the script goes out with the command, to spare a round trip. */
static int
become_root(struct host *h, struct err *e)
{
	struct who w = { .uid = -1, .status = -1, .said = STR_INIT };
	struct str command = STR_INIT;
	struct stream *s = NULL;
	struct stream_end end;
	int rc;

	str_init(&w.said, 4096);
	str_addf(&command, HOST_FIRST, h->login.become == BECOME_SUDO ? "sudo -n env LC_ALL=C sh -c :" : "(exit 1)",
	    sizeof(host_script));
	rc = h->ops->exec(h, command.s, &s, e);
	str_release(&command);
	if (rc < 0)
		return host_lost(h, e);
	/* when nobody reads the script, what was said meanwhile tells why */
	if (stream_write(s, host_script, sizeof(host_script), h->timeout_ms, e) < 0 && e->code != RC_NET)
		rc = -1;
	else
		rc = hear_who(h, s, &w, e);
	if (rc == 1) {
		h->root = w.uid == 0 ? ROOT_DIRECT : ROOT_SUDO;
		h->reader = talk_new(h, s);
		rc = 0;
	} else {
		stream_close(s, &end);
		if (rc == 0 && !end.closed && w.status < 0)
			rc = err_set(e, RC_NET, "connection lost while %s was asked who we are", h->name);
		rc = rc < 0 ? host_lost(h, e) : not_root(h, &w, e);
	}
	str_release(&w.said);
	return rc;
}

/* --- opening --- */

static struct host *
host_new(const struct login *l, struct job_ctx *ctx)
{
	struct host *h = xcalloc(1, sizeof(*h));

	login_copy(&h->login, l);
	h->timeout_ms = l->timeout_ms > 0 ? l->timeout_ms : HOST_TIMEOUT_MS;
	h->name = xstrdup(clean(l->target));
	h->ctx = ctx;
	if (pipe2(h->wake, O_CLOEXEC | O_NONBLOCK) < 0)
		h->wake[0] = h->wake[1] = -1;
	return h;
}

/* Why libssh2 is not even tried at one sshd: a sentence that is given away, or NULL. */
static char *
why_not_there(const struct route *r)
{
	struct str types = STR_INIT;
	char *why = NULL;

	known_hosts_types(r->keys, r->lookup, &types);
	if (r->proxy != NULL && !route_jumps(r))
		why = xasprintf("the way there leads through %.*s", (int)strcspn(r->proxy, " "), r->proxy);
	else if (known_hosts_authority(r->keys, r->lookup))
		why = xstrdup("its host key is vouched for by an authority, and libssh2 1.10 knows no host certificates");
	else if (types.len > 0 && strstr(types.s, "ecdsa-sha2-nistp") == NULL && strstr(types.s, "ssh-ed25519") == NULL)
		why = xasprintf("its known host key is %s, which libssh2 1.10 cannot check", types.s);
	str_release(&types);
	return why;
}

/* The same for the whole way. */
static char *
why_not_libssh2(const struct host *h)
{
	char *why = why_not_there(&h->route), *jump;
	size_t i;

	for (i = 0; i < h->n_jumps && why == NULL; i++) {
		jump = why_not_there(&h->jumps[i].route);
		if (jump != NULL)
			why = xasprintf("%s: %s", h->jumps[i].name, jump);
		free(jump);
	}
	return why;
}

static int
open_by(struct host *h, const struct transport *t, struct hostkey *key, bool look, struct err *e)
{
	int rc;

	h->ops = t;
	rc = t->open(h, key, look, e);
	if (rc < 0 && h->link != NULL) {
		t->close(h);
		h->link = NULL;
	}
	return rc;
}

/* By libssh2, or by the ssh program where libssh2 cannot. */
static int
open_by_ssh(struct host *h, struct hostkey *key, bool look, struct err *e)
{
	struct err first = { .code = RC_OK };
	int rc;

	h->other = h->busy = false;
	if (h->why != NULL && !h->route.have_ssh) {
		err_set(e, RC_NET, "%s cannot be reached: %s, and there is no ssh program here", h->name, clean(h->why));
		return err_hint(e, "install the OpenSSH client");
	}
	if (h->why != NULL)
		return open_by(h, &transport_openssh, key, look, e);
	rc = open_by(h, &transport_ssh, key, look, e);
	if (rc == 0 || !h->other || !h->route.have_ssh)
		return rc;
	first = *e;
	rc = open_by(h, &transport_openssh, key, look, e);
	if (rc < 0 && first.code == RC_PASSWORD && e->code == RC_AUTH)
		*e = first;
	return rc;
}

/* Sleeps, unless the job is cancelled meanwhile. */
static void
host_pause(const struct host *h, int ms)
{
	struct pollfd p = { .fd = h->wake[0], .events = POLLIN };

	poll(&p, 1, ms);
}

static int
host_connect(struct host *h, struct hostkey *key, bool look, struct err *e)
{
	int64_t until = when_monotonic_ms() + h->timeout_ms;
	int rc, pause = BUSY_PAUSE_MS;
	unsigned char dice;

	if (h->wake[0] < 0)
		return err_set(e, RC_IO, "no more files can be opened: %s", strerror(errno));
	if (route_find(&h->route, &h->login, h->wake[0], e) < 0)
		return -1;
	xset(&h->name, clean(h->route.typed.local ? "this machine" : h->route.typed.host));
	if (h->route.typed.local)
		return open_by(h, &transport_local, key, look, e);
	if (jumps_find(h, e) < 0)
		return -1;
	h->why = why_not_libssh2(h);
	/* others may be logging in there as well: not all of them shall come back at the same moment */
	for (;; pause *= 2) {
		rc = open_by_ssh(h, key, look, e);
		random_bytes(&dice, 1);
		pause += pause * dice / 256;
		if (rc == 0 || !h->busy || !host_alive(h) || when_monotonic_ms() + pause >= until)
			return rc;
		job_say(h->ctx, "%s; trying again", e->text);
		host_pause(h, pause);
	}
}

static int
host_start(struct host **out, const struct login *l, struct job_ctx *ctx, struct hostkey *key, bool look, struct err *e)
{
	struct hostkey unseen = { .verdict = HOSTKEY_NEW };
	struct host *h = host_new(l, ctx);
	int rc;

	if (key == NULL)
		key = &unseen;
	*key = (struct hostkey){ .verdict = HOSTKEY_NEW };
	if (ctx != NULL)
		job_on_cancel(ctx, host_abort, h);
	rc = ctx != NULL && job_cancelled(ctx) ? err_set(e, RC_CANCELLED, "given up on request")
	    : host_connect(h, key, look, e);
	if (rc == 0 && !look)
		rc = become_root(h, e);
	if (ctx != NULL) {
		job_on_cancel(ctx, NULL, NULL);
		if (rc < 0 && job_cancelled(ctx))
			err_set(e, RC_CANCELLED, "given up on request");
	}
	h->ctx = NULL;
	if (key == &unseen)
		hostkey_release(&unseen);
	if (rc < 0 || out == NULL)
		host_close(h);
	else
		*out = h;
	return rc;
}

int
host_open(struct host **out, const struct login *l, struct job_ctx *ctx, struct hostkey *key, struct err *e)
{
	struct err mine = { .code = RC_OK };

	*out = NULL;
	return host_start(out, l, ctx, key, false, e != NULL ? e : &mine);
}

int
host_key_look(const struct login *l, struct job_ctx *ctx, struct hostkey *key, struct err *e)
{
	struct err mine;
	int rc;

	if (e == NULL)
		e = &mine;
	rc = host_start(NULL, l, ctx, key, true, e);
	if (rc < 0 && e->code == RC_HOSTKEY_NEW) {
		err_clear(e);
		rc = 0;
	}
	return rc;
}

int
host_tunnel(struct host *h, const char *address, int port, int timeout_ms, struct stream **out, struct err *e)
{
	struct err mine;

	if (e == NULL)
		e = &mine;
	*out = NULL;
	if (!host_alive(h))
		return err_set(e, RC_NET, "the connection to %s is gone", h->name);
	if (text_empty(address) || strlen(address) > 255 || *address == '-' || !clean_is(address, strlen(address))
	    || strpbrk(address, " []/") != NULL || port < 1 || port > 65535)
		return err_set(e, RC_INVALID, "\"%s\" port %d is no address to connect to", clean(address), port);
	return h->ops->tunnel(h, address, port, timeout_ms, out, e);
}
