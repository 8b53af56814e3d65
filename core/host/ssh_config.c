/* Where a target leads: the grammar of targets, and the user's own OpenSSH settings as `ssh -G` tells them, without parsing
 * or touching their files. Where there is no ssh program, what was typed. `ssh -G` runs what a "Match exec" of the user's
 * file says, as every ssh does. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define NAME_LIMIT 255
#define KNOWN_LIMIT (16u * 1024 * 1024)

/* --- what was typed --- */

static bool
only(const char *s, size_t n, const char *also)
{
	size_t i;

	for (i = 0; i < n; i++) {
		char c = s[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			continue;
		if (c == '\0' || strchr(also, c) == NULL)
			return false;
	}
	return true;
}

static int
port_parse(int *out, const char *text, const char *whole, struct err *e)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n < 1 || n > 65535)
		return err_set(e, RC_INVALID, "\"%s\" has no port number from 1 to 65535 behind its colon", clean(whole));
	*out = (int)n;
	return 0;
}

/* A number of IP version 6, perhaps with a zone: fe80::1%eth0. */
static bool
is_v6(const char *s, size_t n)
{
	const char *zone = memchr(s, '%', n);
	size_t bare = zone != NULL ? (size_t)(zone - s) : n, i, colons = 0;

	for (i = 0; i < bare; i++) {
		if (strchr("0123456789abcdefABCDEF:.", s[i]) == NULL || s[i] == '\0')
			return false;
		colons += s[i] == ':';
	}
	return colons >= 2 && (zone == NULL || (n > bare + 1 && only(zone + 1, n - bare - 1, "._-")));
}

/* host, host:port, [v6], [v6]:port, v6 */
static int
host_parse(struct target *t, const char *p, const char *whole, struct err *e)
{
	const char *close, *colon;
	size_t n = strlen(p);

	if (*p == '[') {
		close = strchr(p, ']');
		if (close == NULL || (close[1] != '\0' && close[1] != ':') || !is_v6(p + 1, (size_t)(close - p - 1)))
			return err_set(e, RC_INVALID, "\"%s\": brackets are for a number of IP version 6, as in [2001:db8::1]:22",
			    clean(whole));
		if (close[1] == ':' && port_parse(&t->port, close + 2, whole, e) < 0)
			return -1;
		t->host = xstrndup(p + 1, (size_t)(close - p - 1));
		return 0;
	}
	if (is_v6(p, n)) {
		t->host = xstrdup(p);
		return 0;
	}
	colon = strchr(p, ':');
	if (colon != NULL && port_parse(&t->port, colon + 1, whole, e) < 0)
		return -1;
	n = colon != NULL ? (size_t)(colon - p) : n;
	if (n == 0)
		return err_set(e, RC_INVALID, "\"%s\" names no host", clean(whole));
	if (*p == '-')
		return err_set(e, RC_INVALID, "\"%s\": a host name does not begin with \"-\"", clean(whole));
	if (n > NAME_LIMIT || !only(p, n, "._-"))
		return err_set(e, RC_INVALID, "\"%s\": a host name has letters, digits, \".\", \"-\" and \"_\" only", clean(whole));
	t->host = xstrndup(p, n);
	return 0;
}

int
target_parse(struct target *out, const char *text, struct err *e)
{
	const char *at, *p = text;
	size_t n;
	int rc = -1;

	*out = (struct target){ .port = 0 };
	if (text_empty(text)) {
		err_set(e, RC_INVALID, "no host is named");
		goto out;
	}
	if (strcmp(text, "local:") == 0) {
		out->local = true;
		out->host = xstrdup("localhost");
		return 0;
	}
	at = strrchr(text, '@');
	if (at != NULL) {
		n = (size_t)(at - text);
		if (n == 0 || n > NAME_LIMIT || *text == '-' || !only(text, n, "._-+@")) {
			err_set(e, RC_INVALID, "\"%s\": a user name has letters, digits, \".\", \"-\", \"_\", \"+\" only and does not "
			    "begin with \"-\"", clean(text));
			goto out;
		}
		out->user = xstrndup(text, n);
		p = at + 1;
	}
	rc = host_parse(out, p, text, e);
out:
	if (rc < 0) {
		target_release(out);
		err_hint(e, "[user@]host[:port], a Host of the ssh configuration, or local:");
	}
	return rc;
}

void
target_release(struct target *t)
{
	free(t->user);
	free(t->host);
	*t = (struct target){ .port = 0 };
}

/* --- what ssh says --- */

static void
list_add(char ***list, char *value)
{
	size_t n = 0;

	while (*list != NULL && (*list)[n] != NULL)
		n++;
	*list = xrealloc(*list, n + 2, sizeof(**list));
	(*list)[n] = value;
	(*list)[n + 1] = NULL;
}

static void
list_free(char **list)
{
	size_t n;

	for (n = 0; list != NULL && list[n] != NULL; n++)
		free(list[n]);
	free(list);
}

/* "~" and "~/x" of the user; other people's homes are left as they are and then not found. */
static char *
expand(const char *path, const char *home)
{
	if (path[0] == '~' && (path[1] == '/' || path[1] == '\0'))
		return xasprintf("%s%s", home, path + 1);
	return xstrdup(path);
}

static void
known_add(struct route *r, const char *files, const char *home, bool user)
{
	char **words = words_split(files, " \t", NULL);
	size_t i;

	for (i = 0; words[i] != NULL; i++) {
		if (text_ieq(words[i], "none") || text_eq(words[i], "/dev/null"))
			continue;
		list_add(&r->known, expand(words[i], home));
		r->known_user += user;
	}
	words_free(words);
}

/* One "name value" line. */
static void
route_line(struct route *r, const char *name, const char *value, const char *home, char **global)
{
	char *end;
	long n;

	if (text_eq(name, "hostname")) {
		xset(&r->host, value);
	} else if (text_eq(name, "user")) {
		xset(&r->user, value);
	} else if (text_eq(name, "port")) {
		n = strtol(value, &end, 10);
		if (n > 0 && n < 65536)
			r->port = (int)n;
	} else if (text_eq(name, "identityfile")) {
		list_add(&r->identities, expand(value, home));
	} else if (text_eq(name, "identitiesonly")) {
		r->identities_only = text_eq(value, "yes");
	} else if (text_eq(name, "identityagent")) {
		if (text_eq(value, "none"))
			xset(&r->agent, NULL);
		else if (!text_eq(value, "SSH_AUTH_SOCK"))
			xset(&r->agent, value);
	} else if (text_eq(name, "proxyjump") || text_eq(name, "proxycommand")) {
		if (!text_eq(value, "none")) {
			free(r->proxy);
			r->proxy = xasprintf("%s %s", text_eq(name, "proxyjump") ? "ProxyJump" : "ProxyCommand", value);
		}
	} else if (text_eq(name, "userknownhostsfile")) {
		known_add(r, value, home, true);
	} else if (text_eq(name, "globalknownhostsfile")) {
		xset(global, value);
	} else if (text_eq(name, "hostkeyalias")) {
		xset(&r->lookup, value);
		r->aliased = true;
	} else if (text_eq(name, "connecttimeout")) {
		n = strtol(value, &end, 10);
		if (n > 0 && n < 3600)
			r->connect_timeout_ms = (int)n * 1000;
	}
}

void
route_parse(struct route *r, const char *text, const char *home)
{
	char *copy = xstrdup(text), *save = NULL, *line, *space, *global = NULL;

	xset(&r->agent, getenv("SSH_AUTH_SOCK"));
	for (line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		line = text_trim(line);
		space = strchr(line, ' ');
		if (space == NULL)
			continue;
		*space = '\0';
		route_line(r, line, text_trim(space + 1), home, &global);
	}
	if (global != NULL)
		known_add(r, global, home, false);
	free(global);
	free(copy);
}

/* What ssh would do without any configuration. */
void
route_defaults(struct route *r, const char *home)
{
	static const char *const keys[] = { "id_ed25519", "id_ecdsa", "id_rsa" };
	size_t i;

	xset(&r->agent, getenv("SSH_AUTH_SOCK"));
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		list_add(&r->identities, xasprintf("%s/.ssh/%s", home, keys[i]));
	known_add(r, "~/.ssh/known_hosts ~/.ssh/known_hosts2", home, true);
	known_add(r, "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2", home, false);
}

bool
route_jumps(const struct route *r)
{
	return r->proxy != NULL && text_starts(r->proxy, "ProxyJump ");
}

void
route_release(struct route *r)
{
	target_release(&r->typed);
	free(r->host);
	free(r->user);
	free(r->lookup);
	free(r->agent);
	free(r->proxy);
	free(r->home);
	list_free(r->identities);
	list_free(r->known);
	known_hosts_free(r->keys);
	*r = (struct route){ .port = 0 };
}

static int
ask_ssh(struct route *r, const struct login *l, const char *home, int cancel_fd, struct err *e)
{
	struct str out = STR_INIT, errors = STR_INIT;
	const char *argv[16];
	char port[16];
	int n = 0, status, rc = -1;
	const char *line;

	argv[n++] = "ssh";
	argv[n++] = "-T";
	argv[n++] = "-G";
	if (!text_empty(l->ssh_config)) {
		argv[n++] = "-F";
		argv[n++] = l->ssh_config;
	}
	if (r->typed.port != 0) {
		snprintf(port, sizeof(port), "%d", r->typed.port);
		argv[n++] = "-p";
		argv[n++] = port;
	}
	if (r->typed.user != NULL) {
		argv[n++] = "-l";
		argv[n++] = r->typed.user;
	}
	argv[n++] = "--";
	argv[n++] = r->typed.host;
	argv[n] = NULL;
	str_init(&out, 1024 * 1024);
	str_init(&errors, 16384);
	if (child_run(argv, &out, &errors, &status, HOST_TIMEOUT_MS, cancel_fd, e) < 0) {
		err_wrap(e, "asking ssh for its settings of %s", clean(r->typed.host));
		goto out;
	}
	if (status != 0) {
		line = text_trim(errors.s);
		err_set(e, RC_INVALID, "ssh does not accept \"%s\": %s", clean(l->target), *line ? clean(line) : "no reason given");
		err_hint(e, "try: ssh -G %s", clean(r->typed.host));
		goto out;
	}
	route_parse(r, out.s, home);
	rc = 0;
out:
	str_release(&out);
	str_release(&errors);
	return rc;
}

static void
keys_read(struct route *r, const struct login *l)
{
	struct str text = STR_INIT;
	size_t i;

	r->keys = known_hosts_new();
	for (i = 0; r->known != NULL && r->known[i] != NULL; i++) {
		str_reset(&text);
		if (str_read_file(&text, r->known[i], KNOWN_LIMIT, NULL) == 0)
			known_hosts_read(r->keys, text.s, text.len, r->known[i]);
	}
	str_reset(&text);
	if (!text_empty(l->known_hosts) && str_read_file(&text, l->known_hosts, KNOWN_LIMIT, NULL) == 0)
		known_hosts_read(r->keys, text.s, text.len, l->known_hosts);
	str_release(&text);
}

/* The home of the password file, as ssh takes it, not of the environment. */
static char *
home_of(char **user)
{
	struct passwd pw, *found = NULL;
	char mem[4096];

	if (getpwuid_r(getuid(), &pw, mem, sizeof(mem), &found) != 0 || found == NULL) {
		*user = xstrdup("root");
		return xstrdup(getenv("HOME") != NULL ? getenv("HOME") : "/");
	}
	*user = xstrdup(pw.pw_name);
	return xstrdup(pw.pw_dir);
}

int
route_find(struct route *r, const struct login *l, int cancel_fd, struct err *e)
{
	char *home = NULL, *me = NULL, *p;
	int rc = -1;

	*r = (struct route){ .port = 22 };
	if (target_parse(&r->typed, l->target, e) < 0)
		return -1;
	home = home_of(&me);
	r->have_ssh = !r->typed.local && child_exists("ssh");
	if (r->have_ssh && ask_ssh(r, l, home, cancel_fd, e) < 0)
		goto out;
	if (!r->have_ssh)
		route_defaults(r, home);
	if (r->typed.port != 0)
		r->port = r->typed.port;
	if (r->host == NULL)
		r->host = xstrdup(r->typed.host);
	if (r->user == NULL)
		r->user = xstrdup(r->typed.user != NULL ? r->typed.user : me);
	if (r->lookup == NULL)
		r->lookup = r->port == 22 ? xstrdup(r->host) : xasprintf("[%s]:%d", r->host, r->port);
	for (p = r->lookup; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	/* from the user's configuration: it goes into a line of known_hosts and in front of the eyes */
	if (r->lookup[0] == '\0' || strpbrk(r->lookup, " \t,*?!#|") != NULL || !clean_is(r->lookup, strlen(r->lookup))) {
		err_set(e, RC_INVALID, "\"%s\" is no name under which a host key can be kept", clean(r->lookup));
		goto out;
	}
	keys_read(r, l);
	r->home = home;
	home = NULL;
	rc = 0;
out:
	free(home);
	free(me);
	if (rc < 0)
		route_release(r);
	return rc;
}

int
login_check_target(const char *target, struct err *e)
{
	struct target t;

	if (target_parse(&t, target, e) == -1)
		return -1;
	target_release(&t);
	return 0;
}
