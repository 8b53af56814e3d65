/* See cutter.h. Only processes of a test's own root are killed: they are told by MXSEAL_ROOT in their environment. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mxseal/str.h"
#include "mxseal/xalloc.h"
#include "support/cutter.h"

struct cut *
cut_new(void)
{
	struct cut *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED)
		exit(1);
	return c;
}

int
cut_listen(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		exit(1);
	*port = ntohs(a.sin_port);
	return fd;
}

/* The whole of a /proc file, NULs and all. */
static bool
proc_has(const char *pid, const char *file, const char *word, size_t len)
{
	char path[64], mem[16384];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, file);
	f = fopen(path, "r");
	if (f == NULL)
		return false;
	n = fread(mem, 1, sizeof(mem), f);
	fclose(f);
	return memmem(mem, n, word, len) != NULL;
}

int
cut_kill_shells(const char *root)
{
	char *mine = xasprintf("MXSEAL_ROOT=%s", root);
	struct dirent *d;
	int n = 0;
	DIR *dir = opendir("/proc");

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		/* with its NUL: another root may begin with the same letters */
		if (!isdigit((unsigned char)d->d_name[0]) || !proc_has(d->d_name, "environ", mine, strlen(mine) + 1) ||
		    !proc_has(d->d_name, "comm", "sh\n", 3) || proc_has(d->d_name, "cmdline", "\0timer\0", 7))
			continue;
		kill((pid_t)atoi(d->d_name), SIGKILL);
		n++;
	}
	if (dir != NULL)
		closedir(dir);
	free(mine);
	return n;
}

static bool
send_all(int fd, const char *mem, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, mem, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		mem += sent;
		n -= (size_t)sent;
	}
	return true;
}

static void
reset(int fd)
{
	struct linger l = { 1, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

/* After this nothing is carried any more. */
static void
strike(struct cut *c, int client, int server)
{
	c->done = 1;
	switch (c->how) {
	case CUT_KILL:
		kill(c->client, SIGKILL);              /* its socket is closed by the system, and ours after it */
		close(client);
		close(server);
		_exit(0);
	case CUT_RESET:
		reset(client);
		reset(server);
		_exit(0);
	case CUT_SCRIPT:
		(void)cut_kill_shells(c->root);
		return;                                /* the connection itself lives */
	default:
		for (;;)
			pause();                       /* both sides wait for ever */
	}
}

static void
carry(int client, int server, struct cut *c)
{
	struct pollfd fd[2] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
	bool answered = true, due = false;
	static char mem[65536];
	ssize_t n;

	while (poll(fd, 2, -1) > 0) {
		if (fd[0].revents != 0) {
			if ((n = recv(client, mem, sizeof(mem), 0)) <= 0)
				break;
			if (answered && ++c->exchanges == c->exchange)
				due = true;
			answered = false;
			if (due && c->where == CUT_BEFORE) {
				strike(c, client, server);
				due = false;
			} else if (due && c->where == CUT_HALF) {
				if (n > 1)
					(void)send_all(server, mem, (size_t)n / 2);
				strike(c, client, server);
				(void)send_all(server, mem + n / 2, (size_t)(n - n / 2));
				due = false;
				continue;
			}
			if (!send_all(server, mem, (size_t)n))
				break;
			if (due && c->where == CUT_AFTER) {
				strike(c, client, server);
				due = false;
			}
		}
		if (fd[1].revents != 0) {
			if ((n = recv(server, mem, sizeof(mem), 0)) <= 0)
				break;
			answered = true;
			if (due && c->where == CUT_ANSWERED) {
				strike(c, client, server);
				due = false;
			}
			if (!send_all(client, mem, (size_t)n))
				break;
		}
	}
}

pid_t
cut_start(int listener, int sshd_port, struct cut *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)sshd_port) };
	pid_t pid = fork();
	int client, server;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	client = accept(listener, NULL, NULL);
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client >= 0 && connect(server, (struct sockaddr *)&a, sizeof(a)) == 0)
		carry(client, server, c);
	_exit(0);
}
