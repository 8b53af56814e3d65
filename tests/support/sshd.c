/* See sshd.h. Only processes started here are ended, by their number. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mxseal/str.h"
#include "mxseal/xalloc.h"
#include "support/sshd.h"

static void
die(const char *what)
{
	fprintf(stderr, "sshd of the tests: %s\n", what);
	exit(1);
}

const char *
sshd_missing(void)
{
	if (access("/usr/sbin/sshd", X_OK) != 0)
		return "there is no /usr/sbin/sshd";
	if (getuid() != 0)
		return "not root";
	if (system("command -v ssh >/dev/null && command -v ssh-keygen >/dev/null && command -v ssh-agent >/dev/null") != 0)
		return "there is no OpenSSH client";
	return NULL;
}

void
sshd_run(const char *fmt, ...)
{
	char command[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		die(command);
}

void
sshd_make_keys(const char *d)
{
	sshd_run("cd %s && for k in host user; do for t in ed25519 ecdsa rsa; do "
	    "ssh-keygen -q -t $t -N '' -C '' -f ${k}_$t || exit 1; done; done && "
	    "ssh-keygen -q -t ed25519 -N sealed -f user_enc && ssh-keygen -q -t ed25519 -N '' -f other && "
	    "ssh-keygen -q -t rsa -m PEM -N '' -f user_rsa_pem && ssh-keygen -q -t rsa -m PEM -N sealed -f user_rsa_pem_enc && "
	    "ssh-keygen -q -t rsa -N sealed -f user_rsa_enc && cat user_*.pub > authorized_keys", d);
}

static int
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		die("no free port");
	close(fd);
	return ntohs(a.sin_port);
}

/* Waits until somebody listens. */
static void
wait_listening(const struct sshd *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)s->port) };
	int tries, fd, rc;

	for (tries = 0; tries < 500; tries++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
		close(fd);
		if (rc == 0)
			return;
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
			die("it ended at once");
		poll(NULL, 0, 10);
	}
	die("it does not listen");
}

void
sshd_start(struct sshd *s, const char *dir, const char *host_keys, const char *extra)
{
	char **keys = words_split(host_keys, " ", NULL), *conf = xasprintf("%s/sshd_config", dir);
	struct str text = STR_INIT, lines = STR_INIT, key = STR_INIT;
	char *path, log[256];
	size_t i;

	*s = (struct sshd){ .port = free_port(), .dir = xstrdup(dir) };
	snprintf(s->target, sizeof(s->target), "root@127.0.0.1:%d", s->port);
	snprintf(s->config, sizeof(s->config), "%s/ssh_config", dir);
	snprintf(s->known, sizeof(s->known), "%s/known_hosts", dir);
	mkdir("/run/sshd", 0755);             /* sshd's own, where no system has made it yet */
	/* of each setting the first line counts */
	str_addf(&text, "%s\nPort %d\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
	    "AuthorizedKeysFile %s/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
	    "LogLevel VERBOSE\nSetEnv HOME=%s\n", extra != NULL ? extra : "", s->port, dir, dir);
	for (i = 0; keys[i] != NULL; i++) {
		str_addf(&text, "HostKey %s/%s\n", dir, keys[i]);
		path = xasprintf("%s/%s.pub", dir, keys[i]);
		str_reset(&key);
		if (str_read_file(&key, path, 65536, NULL) == 0)
			str_addf(&lines, "[127.0.0.1]:%d %s", s->port, key.s);
		free(path);
	}
	if (str_write_file(conf, text.s, text.len, 0600, NULL) < 0 || str_write_file(s->known, lines.s, lines.len, 0600, NULL) < 0)
		die("its files cannot be written");
	snprintf(log, sizeof(log), "%s/sshd.log", dir);
	s->pid = fork();
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);              /* a test that failed does not stop it */
		execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-f", conf, "-E", log, (char *)NULL);
		_exit(127);
	}
	wait_listening(s);
	sshd_config(s, "user_ed25519", NULL, NULL);
	words_free(keys);
	str_release(&text);
	str_release(&lines);
	str_release(&key);
	free(conf);
}

void
sshd_stop(struct sshd *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		waitpid(s->pid, NULL, 0);
	}
	free(s->dir);
	*s = (struct sshd){ .pid = 0 };
}

void
sshd_config(struct sshd *s, const char *identity, const char *agent, const char *more)
{
	struct str text = STR_INIT;

	str_addf(&text, "%s\nIdentityAgent %s\nUserKnownHostsFile %s %s.2\nGlobalKnownHostsFile /dev/null\n", more != NULL ? more : "",
	    agent != NULL ? agent : "none", s->known, s->known);
	if (identity != NULL)
		str_addf(&text, "IdentityFile %s/%s\nIdentitiesOnly yes\n", s->dir, identity);
	if (str_write_file(s->config, text.s, text.len, 0600, NULL) < 0)
		die("ssh_config cannot be written");
	str_release(&text);
}

void
sshd_known(struct sshd *s, ...)
{
	struct str text = STR_INIT, key = STR_INIT;
	const char *names, *which;
	va_list ap;
	char *path;

	va_start(ap, s);
	while ((names = va_arg(ap, const char *)) != NULL) {
		which = va_arg(ap, const char *);
		path = xasprintf("%s/%s.pub", s->dir, which);
		str_reset(&key);
		if (str_read_file(&key, path, 65536, NULL) < 0)
			die("no such key");
		str_addf(&text, "%s %s", names, key.s);
		free(path);
	}
	va_end(ap);
	if (str_write_file(s->known, text.s, text.len, 0600, NULL) < 0)
		die("known_hosts cannot be written");
	str_release(&text);
	str_release(&key);
}
