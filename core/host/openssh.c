/* Transport by the user's own ssh program, where libssh2 cannot: hardened servers, RSA-only host keys, ProxyJump and
 * ProxyCommand, security keys, certificates. One connection (ControlMaster) with its socket in a private folder; commands
 * and tunnels go through it.
 * Host keys: a first run that knows no keys only has the key written down by a script (KnownHostsCommand) and ends there,
 * before a word of authentication; our reader judges the key like any other; then ssh itself connects with
 * StrictHostKeyChecking yes against the user's files and ours. That holds for jump hosts too, since they get the same
 * settings file. Weak algorithms are off, whatever the user's own file says of them.
 * Passwords and passphrases go through a named pipe in the private folder when ssh asks for them, never through an
 * argument, the environment or a file. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define ARGS_MAX 48
#define SSH_LOST 255

struct openssh {
	char *dir;
	struct stream *master;
};

struct args {
	const char *v[ARGS_MAX];
	size_t n;
	char port[16], wait[32];
	char *config, *control;
};

static char *
in_dir(const struct openssh *o, const char *name)
{
	return xasprintf("%s/%s", o->dir, name);
}

static void
arg(struct args *a, const char *word)
{
	if (a->n < ARGS_MAX - 1)
		a->v[a->n++] = word;
}

static void
opt(struct args *a, const char *setting)
{
	arg(a, "-o");
	arg(a, setting);
}

static void
args_begin(struct args *a, const struct host *h)
{
	const struct openssh *o = h->link;
	const struct target *t = &h->route.typed;

	*a = (struct args){ .n = 0 };
	a->config = in_dir(o, "config");
	a->control = in_dir(o, "ctl");
	arg(a, "ssh");
	arg(a, "-F");
	arg(a, a->config);
	arg(a, "-T");
	if (t->port != 0) {
		snprintf(a->port, sizeof(a->port), "%d", t->port);
		arg(a, "-p");
		arg(a, a->port);
	}
	if (t->user != NULL) {
		arg(a, "-l");
		arg(a, t->user);
	}
	if (h->route.connect_timeout_ms == 0) {
		snprintf(a->wait, sizeof(a->wait), "ConnectTimeout=%d", (h->timeout_ms + 999) / 1000);
		opt(a, a->wait);
	}
	if (!text_empty(h->login.identity)) {
		arg(a, "-i");
		arg(a, h->login.identity);
		opt(a, "IdentitiesOnly=yes");
	}
}

/* The host, then the command if there is one. */
static const char *const *
args_end(struct args *a, const struct host *h, const char *command)
{
	arg(a, "--");
	arg(a, h->route.typed.host);
	if (command != NULL)
		arg(a, command);
	a->v[a->n] = NULL;
	return a->v;
}

static void
args_release(struct args *a)
{
	free(a->config);
	free(a->control);
}

/* --- the private folder --- */

/* A path as a word of ssh_config(5): quoted, with "%" doubled. */
static int
add_path(struct str *out, const char *path, bool tokens, struct err *e)
{
	const char *p;

	if (!clean_is(path, strlen(path)) || strpbrk(path, "\"\\") != NULL || strstr(path, "${") != NULL)
		return err_set(e, RC_INVALID, "the path %s cannot be written into a configuration of ssh", clean(path));
	str_add(out, " \"");
	for (p = path; *p != '\0'; p++) {
		if (*p == '%' && tokens)
			str_addc(out, '%');
		str_addc(out, *p);
	}
	str_addc(out, '"');
	return 0;
}

/* Our settings come first and so win; the user's own follow. Before any Host line they hold for jump hosts as well. */
static int
write_config(const struct host *h, struct err *e)
{
	static const char head[] = "BatchMode yes\nStrictHostKeyChecking yes\nUpdateHostKeys no\nKnownHostsCommand none\n"
		"VerifyHostKeyDNS no\nNumberOfPasswordPrompts 1\nControlPath none\nControlMaster no\nControlPersist no\n"
		"ClearAllForwardings yes\nForwardAgent no\nForwardX11 no\nPermitLocalCommand no\nRequestTTY no\n"
		"RemoteCommand none\nSessionType default\nForkAfterAuthentication no\nStdinNull no\nEscapeChar none\n"
		"LogLevel ERROR\nServerAliveInterval 5\nServerAliveCountMax 3\nTCPKeepAlive yes\n"
		"KexAlgorithms -*-sha1\nCiphers -*-cbc*,arcfour*\nMACs -*md5*,*sha1*,umac-64*,*ripemd*\n"
		"HostKeyAlgorithms -ssh-rsa,ssh-rsa-cert-v01@openssh.com,ssh-dss*\n";
	const struct route *r = &h->route;
	struct str text = STR_INIT;
	char *path = in_dir(h->link, "config"), *own = NULL;
	size_t i;
	int rc = 0;

	str_add(&text, head);
	str_add(&text, "UserKnownHostsFile");
	for (i = 0; i < r->known_user && rc == 0; i++)
		rc = add_path(&text, r->known[i], true, e);
	if (rc == 0 && !text_empty(h->login.known_hosts))
		rc = add_path(&text, h->login.known_hosts, true, e);
	if (r->known_user == 0 && text_empty(h->login.known_hosts))
		str_add(&text, " /dev/null");
	str_add(&text, "\nInclude");
	if (!text_empty(h->login.ssh_config)) {
		own = h->login.ssh_config[0] == '/' ? xstrdup(h->login.ssh_config) : realpath(h->login.ssh_config, NULL);
		rc = rc == 0 ? add_path(&text, own != NULL ? own : h->login.ssh_config, false, e) : rc;
	} else {
		own = xasprintf("%s/.ssh/config", r->home);
		rc = rc == 0 ? add_path(&text, own, false, e) : rc;
		str_add(&text, " /etc/ssh/ssh_config");
	}
	str_addc(&text, '\n');
	if (rc == 0)
		rc = str_write_file(path, text.s, text.len, 0600, e);
	str_release(&text);
	free(path);
	free(own);
	return rc;
}

/* ssh runs this when it wants a secret: it leaves the question and takes the answer from the pipe, or finds none. */
static int
write_askpass(const struct host *h, struct err *e)
{
	struct openssh *o = h->link;
	static const char text[] = "#!/bin/sh\nd=${0%/*}\nprintf '%s' \"$1\" >\"$d/question.new\" && "
		"mv \"$d/question.new\" \"$d/question\"\nexec cat \"$d/answer\"\n";
	char *path = in_dir(o, "askpass"), *pipe = in_dir(o, "answer");
	int rc;

	rc = str_write_file(path, text, strlen(text), 0700, e);
	if (rc == 0 && secret_is_set(&h->login.password) && mkfifo(pipe, 0600) < 0)
		rc = err_set(e, RC_IO, "%s cannot be made: %s", clean(pipe), strerror(errno));
	free(path);
	free(pipe);
	return rc;
}

/* ssh asks this for known keys and tells it the one that was shown: it writes that down and knows none. */
static int
write_look(const struct host *h, struct err *e)
{
	static const char text[] = "#!/bin/sh\n[ \"$2\" = NONE ] || printf 'host %s %s\\n' \"$1\" \"$2\" >\"${0%/*}/seen\"\n";
	char *path = in_dir(h->link, "look");
	int rc = str_write_file(path, text, strlen(text), 0700, e);

	free(path);
	return rc;
}

static int
make_dir(struct openssh *o, struct err *e)
{
	const char *base = getenv("XDG_RUNTIME_DIR");

	/* the path of a socket has room for 107 bytes, of which ssh takes some for a temporary name */
	if (text_empty(base) || *base != '/' || strlen(base) > 60 || access(base, W_OK) != 0)
		base = "/tmp";
	o->dir = xasprintf("%s/mxseal-XXXXXX", base);
	if (mkdtemp(o->dir) == NULL) {
		err_set(e, RC_IO, "no private folder can be made in %s: %s", clean(base), strerror(errno));
		free(o->dir);
		o->dir = NULL;
		return -1;
	}
	return 0;
}

static void
remove_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (!text_eq(entry->d_name, ".") && !text_eq(entry->d_name, ".."))
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

/* --- what ssh says when it fails --- */

static int
ssh_failed(struct host *h, const char *said, struct err *e)
{
	char *line = xstrdup(said), *p;
	const char *text;

	for (p = line; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	text = text_trim(line);
	text = *text != '\0' ? clean(text) : "it said nothing";
	if (strstr(said, "Host key verification failed") != NULL || strstr(said, "REVOKED HOST KEY") != NULL) {
		err_set(e, RC_HOSTKEY, "ssh refuses a host key on the way to %s: %s", h->name, text);
		err_hint(e, "a jump host must be known to ssh: log in to it once by hand");
	} else if (strstr(said, "Permission denied") != NULL || strstr(said, "Too many authentication") != NULL
	    || strstr(said, "No more authentication") != NULL) {
		err_set(e, RC_AUTH, "%s does not let %s in: %s", h->name, clean(h->route.user), text);
		err_hint(e, "try: ssh %s", clean(h->login.target));
	} else if (strstr(said, "no matching ") != NULL) {
		err_set(e, RC_NET, "%s, or a jump host before it, offers only algorithms that are weak or unknown here: %s", h->name, text);
		err_hint(e, "its OpenSSH needs an update, or its sshd_config stronger algorithms");
	} else if (strstr(said, "kex_exchange_identification: ") != NULL || strstr(said, "Exceeded MaxStartups") != NULL) {
		h->busy = true;
		err_set(e, RC_NET, "%s, or a jump host before it, turns connections away just now: %s", h->name, text);
		err_hint(e, "its sshd has too many logins under way (MaxStartups), or something else listens there");
	} else if (strstr(said, "timed out") != NULL) {
		err_set(e, RC_TIMEOUT, "%s cannot be reached: %s", h->name, text);
		err_hint(e, "try: ssh %s", clean(h->login.target));
	} else {
		err_set(e, RC_NET, "%s cannot be reached by ssh: %s", h->name, text);
		err_hint(e, "try: ssh %s", clean(h->login.target));
	}
	free(line);
	return -1;
}

/* --- the host key --- */

static void
add_algorithms(struct str *out, const char *type)
{
	/* a type of key and the signatures by it */
	if (strstr(out->s, type) == NULL || text_eq(type, "ssh-rsa"))
		str_addf(out, "%s%s", out->len > 0 && out->s[out->len - 1] != '=' ? "," : "",
		    text_eq(type, "ssh-rsa") ? "rsa-sha2-512,rsa-sha2-256" : type);
}

/* Reads the one line that ssh has written. */
static int
read_seen(struct host *h, const char *path, struct hostkey *key, struct err *e)
{
	struct str text = STR_INIT;
	unsigned char blob[16384];
	char **words = NULL;
	size_t n = 0, len;
	int rc;

	str_read_file(&text, path, 65536, NULL);
	words = words_split(text.s, " \t\r\n", &n);
	if (n < 3 || base64_decode(words[2], strlen(words[2]), blob, sizeof(blob), &len) < 0)
		rc = err_set(e, RC_NET, "%s showed no host key", h->name);
	else
		rc = hostkey_judge(key, &h->route, blob, len, e);
	words_free(words);
	str_release(&text);
	return rc;
}

/* The settings of a run that is only to see the host key. */
static void
opt_no_login(struct args *a)
{
	opt(a, "PreferredAuthentications=none");
	opt(a, "PubkeyAuthentication=no");
}

/* Does an authority of known_hosts vouch for the host? ssh checks the certificate; what it took is read from what it tells.
 * 1 yes, 0 no: a plain key is to be judged, -1. */
static int
look_at_certificate(struct host *h, struct hostkey *key, struct err *e)
{
	/* at the beginning of a line: what the other side calls its software stands in the middle of one */
	static const char shown[] = "\ndebug1: Server host certificate: ";
	struct str errors = STR_INIT, out = STR_INIT;
	struct args a;
	const char *at;
	int status, rc;

	if (!known_hosts_authority(h->route.keys, h->route.lookup))
		return 0;
	args_begin(&a, h);
	opt(&a, "LogLevel=DEBUG1");
	opt(&a, "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
	    "ecdsa-sha2-nistp384-cert-v01@openssh.com,ecdsa-sha2-nistp521-cert-v01@openssh.com,"
	    "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com");
	opt_no_login(&a);
	rc = child_run(args_end(&a, h, "true"), &out, &errors, &status, 2 * h->timeout_ms, h->wake[0], e);
	at = strstr(errors.s, shown);
	if (rc == 0 && strstr(errors.s, "timed out") != NULL) {
		rc = err_set(e, RC_TIMEOUT, "%s cannot be reached: connection timed out", h->name);
	} else if (rc == 0 && at != NULL && strstr(at, " is known and matches the ") != NULL
	    && strstr(at, " host certificate.") != NULL
	    && sscanf(at + strlen(shown), "%63s %63[A-Za-z0-9+/:]", key->type, key->fingerprint) == 2) {
		key->verdict = HOSTKEY_OK;
		rc = 1;
	}
	args_release(&a);
	str_release(&errors);
	str_release(&out);
	return rc;
}

static int
look_at_plain_key(struct host *h, struct hostkey *key, struct err *e)
{
	static const char *const types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
		"ssh-rsa", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com" };
	struct str errors = STR_INIT, out = STR_INIT, algorithms = STR_INIT, known = STR_INIT;
	const struct openssh *o = h->link;
	char *seen = in_dir(o, "seen"), *look = xasprintf("KnownHostsCommand=%s/look %%t %%K", o->dir), **words;
	struct args a;
	int status, rc;
	size_t i;

	known_hosts_types(h->route.keys, h->route.lookup, &known);
	words = words_split(known.s, ",", NULL);
	str_add(&algorithms, "HostKeyAlgorithms=");
	for (i = 0; words[i] != NULL; i++)
		if (!text_eq(words[i], "ssh-dss"))
			add_algorithms(&algorithms, words[i]);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		add_algorithms(&algorithms, types[i]);
	words_free(words);
	args_begin(&a, h);
	opt(&a, look);
	opt(&a, "LogLevel=INFO");                         /* says which algorithms do not fit; no banner comes so early */
	opt(&a, "UserKnownHostsFile=/dev/null");
	opt(&a, "GlobalKnownHostsFile=/dev/null");
	opt(&a, "CheckHostIP=no");
	opt_no_login(&a);
	opt(&a, algorithms.s);
	rc = child_run(args_end(&a, h, "true"), &out, &errors, &status, 2 * h->timeout_ms, h->wake[0], e);
	if (rc == 0 && access(seen, R_OK) != 0)
		rc = ssh_failed(h, errors.s, e);
	if (rc == 0)
		rc = read_seen(h, seen, key, e);
	unlink(seen);
	args_release(&a);
	str_release(&errors);
	str_release(&out);
	str_release(&algorithms);
	str_release(&known);
	free(seen);
	free(look);
	return rc;
}

static int
look_at_key(struct host *h, struct hostkey *key, struct err *e)
{
	int rc = look_at_certificate(h, key, e);

	return rc != 0 ? (rc > 0 ? 0 : -1) : look_at_plain_key(h, key, e);
}

/* --- the connection --- */

/* Gives the secret to the askpass that waits for it, if one does. True when it went out. */
static bool
answer(const struct host *h)
{
	char *pipe = in_dir(h->link, "answer");
	int fd = open(pipe, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		/* a second question finds no pipe: nothing is sent twice */
		unlink(pipe);
		n = write(fd, h->login.password.mem, h->login.password.len);
		n = n < 0 ? n : write(fd, "\n", 1);
		close(fd);
	}
	free(pipe);
	return n >= 0;
}

/* The login failed: was it for want of a secret, or for a wrong one? */
static int
login_failed(struct host *h, const char *said, bool answered, struct err *e)
{
	char *path = in_dir(h->link, "question");
	struct str question = STR_INIT;
	bool asked = str_read_file(&question, path, 4096, NULL) == 0 && question.len > 0;
	bool key = strstr(question.s, "passphrase") != NULL;

	if (asked && !answered && strstr(said, "Host key verification") == NULL) {
		err_set(e, RC_PASSWORD, key ? "a key is encrypted: its passphrase is needed to log in to %s (%s)"
		    : "login on %s asks: %s", h->name, clean(text_trim(question.s)));
	} else if (asked && strstr(said, "Permission denied") != NULL) {
		err_set(e, RC_AUTH, key ? "the passphrase did not open the key, or %s refused it: %s"
		    : "%s refused the password: %s", h->name, clean(text_trim(question.s)));
		err_hint(e, "give it again; it was used once only");
	} else {
		ssh_failed(h, said, e);
	}
	str_release(&question);
	free(path);
	return -1;
}

/* Waits until the master's own command says that we are in, answering at most one question on the way. */
static int
wait_login(struct host *h, struct openssh *o, struct err *e)
{
	int64_t until = when_monotonic_ms() + 2 * (int64_t)h->timeout_ms;
	bool secret = secret_is_set(&h->login.password), answered = false;
	struct str line = STR_INIT;
	int rc;

	for (;;) {
		rc = stream_line(o->master, &line, 65536, secret && !answered ? 50 : 2 * h->timeout_ms, e);
		if (rc == 1 && text_eq(line.s, "#ready"))
			break;
		if (rc == 1)
			continue;
		if (rc < 0 && e->code == RC_TIMEOUT && when_monotonic_ms() < until) {
			answered = answered || (secret && answer(h));
			continue;
		}
		if (rc == 0 || e->code == RC_NET)
			rc = login_failed(h, o->master->errors.s, answered, e);
		break;
	}
	str_release(&line);
	return rc == 1 ? 0 : -1;
}

static int
start_master(struct host *h, struct openssh *o, struct err *e)
{
	char *ask = xasprintf("SSH_ASKPASS=%s/askpass", o->dir);
	const char *env[] = { ask, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=mxseal:0", NULL };
	struct args a;
	int rc;

	args_begin(&a, h);
	arg(&a, "-M");
	arg(&a, "-S");
	arg(&a, a.control);
	opt(&a, "BatchMode=no");                          /* questions go to our askpass; those about host keys are off */
	/* lives as long as we hold its input: a killed console leaves no connection behind */
	rc = child_open(&o->master, args_end(&a, h, "exec sh -c 'echo; echo \"#ready\"; exec cat >/dev/null'"), env, h->wake[0],
	    SSH_LOST, e);
	if (rc == 0)
		rc = wait_login(h, o, e);
	args_release(&a);
	free(ask);
	return rc;
}

static int
openssh_open(struct host *h, struct hostkey *key, bool look_only, struct err *e)
{
	struct openssh *o = xcalloc(1, sizeof(*o));
	const struct route *first;
	char gate[600];
	int rc;

	h->link = o;
	xset(&h->address, h->route.host);
	if (make_dir(o, e) < 0 || write_config(h, e) < 0 || write_askpass(h, e) < 0 || write_look(h, e) < 0)
		return -1;
	/* behind a jump host it is that one's sshd, the first one's of several, that must not be overrun */
	first = h->n_jumps > 0 ? &h->jumps[0].route : &h->route;
	if (first->proxy != NULL)
		snprintf(gate, sizeof(gate), "login %s", first->proxy);
	else
		snprintf(gate, sizeof(gate), "login %s:%d", first->host, first->port);
	if (job_gate_enter(h->ctx, gate, HOST_LOGINS_MAX, e) < 0)
		return -1;
	/* ssh does not say when a jump host has let it through: the host behind that hangs shall keep no other from it */
	if (h->n_jumps > 0)
		job_gate_expire(h->ctx, gate, h->timeout_ms / 3);
	rc = look_at_key(h, key, e);
	if (h->n_jumps > 0)                                /* anew, for the second connection */
		job_gate_expire(h->ctx, gate, h->timeout_ms / 3);
	if (rc == 0 && !look_only)
		rc = start_master(h, o, e);
	job_gate_leave(h->ctx, gate);
	return rc;
}

static int
openssh_exec(struct host *h, const char *command, struct stream **out, struct err *e)
{
	struct args a;
	int rc;

	args_begin(&a, h);
	arg(&a, "-S");
	arg(&a, a.control);
	rc = child_open(out, args_end(&a, h, command), NULL, h->wake[0], SSH_LOST, e);
	args_release(&a);
	return rc;
}

/* ssh does not say when the far end has connected: a refusal comes out at the first reading. */
static int
openssh_tunnel(struct host *h, const char *address, int port, int timeout_ms, struct stream **out, struct err *e)
{
	char *to = xasprintf(strchr(address, ':') != NULL ? "[%s]:%d" : "%s:%d", address, port), name[128];
	struct args a;
	int rc;

	(void)timeout_ms;
	args_begin(&a, h);
	arg(&a, "-S");
	arg(&a, a.control);
	arg(&a, "-W");
	arg(&a, to);
	rc = child_open(out, args_end(&a, h, NULL), NULL, h->wake[0], SSH_LOST, e);
	if (rc == 0) {
		snprintf(name, sizeof(name), "%s cannot connect to %s port %d", h->name, clean(address), port);
		child_rename(*out, name);
	}
	args_release(&a);
	free(to);
	return rc;
}

static void
openssh_close(struct host *h)
{
	struct openssh *o = h->link;

	stream_close(o->master, NULL);
	if (o->dir != NULL)
		remove_dir(o->dir);
	free(o->dir);
	free(o);
	h->link = NULL;
}

const struct transport transport_openssh = {
	.name = "openssh",
	.open = openssh_open,
	.exec = openssh_exec,
	.tunnel = openssh_tunnel,
	.close = openssh_close,
};
