/* A fleet of 200 hosts (names on eight private sshds of this machine): log in to each, run ten commands, make one small change
 * (a file written anew and renamed), by mxseal's engine, by parallel-ssh and by ansible's raw module, 32 at a time each. Prints
 * for each the wall time, the processor time and the peak memory of all its processes together, without those of the sshds,
 * and the ratios.
 * The sshds run here as well and take most of the time of all three. Usage: bench_fleet [HOSTS] */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mxseal/host.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/sshd.h"

#define SSHDS 8
#define COMMANDS 10
#define AT_ONCE 32

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- ours, in a process of its own: bench_fleet --ours CONFIG HOSTS OUT --- */

struct one { struct login l; char name[16]; const char *out; size_t *failed; };

static int
read_and_change(struct job_ctx *ctx, void *arg, struct err *e)
{
	static const char *const uname_argv[] = { "uname", "-a", NULL };
	static const char change_text[] = "umask 077; echo 1 >$0/$$.new && mv $0/$$.new $0/$$";
	struct one *o = arg;
	const char *const change[] = { "sh", "-c", change_text, o->out, NULL };
	struct host_cmd cmds[COMMANDS], write_it = { "change", change };
	struct sections s = { .n = 0 };
	struct host *h;
	int rc, i;

	for (i = 0; i < COMMANDS; i++)
		cmds[i] = (struct host_cmd){ "uname", uname_argv };
	if (host_open(&h, &o->l, ctx, NULL, e) < 0)
		return -1;
	rc = host_read(h, cmds, COMMANDS, &s, e);
	if (rc == 0)
		rc = host_read(h, &write_it, 1, &s, e);
	sections_release(&s);
	host_close(h);
	return rc;
}

static void
note_end(void *arg, int rc, const struct err *e)
{
	struct one *o = arg;

	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", o->name, e->text);
		*o->failed += 1;
	}
}

static int
ours(const char *config, size_t n, const char *out)
{
	struct one *all = xcalloc(n, sizeof(*all));
	int64_t *id = xcalloc(n, sizeof(*id));
	size_t i, failed = 0;
	struct jobq *q;
	struct err e;

	if (jobq_open(&q, AT_ONCE, &e) < 0)
		return 1;
	for (i = 0; i < n; i++) {
		struct job j = { .title = all[i].name, .key = (int64_t)i + 1, .work = read_and_change, .done = note_end, .arg = &all[i] };

		snprintf(all[i].name, sizeof(all[i].name), "h%zu", i + 1);
		all[i].l = (struct login){ .target = all[i].name, .ssh_config = (char *)(uintptr_t)config };
		all[i].failed = &failed;
		all[i].out = out;
		id[i] = jobq_submit(q, &j);
	}
	for (i = 0; i < n; i++)
		jobq_wait(q, id[i]);
	jobq_close(q);
	free(all);
	free(id);
	return failed > 0;
}

/* --- measuring --- */

static long
parent_of(const char *pid)
{
	char path[300], text[512];
	long ppid = -1;
	const char *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	p = strrchr(text, ')');
	if (p == NULL || sscanf(p + 2, "%*c %ld", &ppid) != 1)
		return -1;
	return ppid;
}

static long
pss_kb(long pid)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
	f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Pss: %ld kB", &kb) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kb;
}

/* Proportional memory of a process and all below it. */
static long
tree_kb(pid_t root)
{
	static struct { long pid, ppid; } all[8192];
	static bool in[8192];
	size_t n = 0, i, k;
	struct dirent *d;
	bool grew = true;
	long sum = 0;
	DIR *proc = opendir("/proc");

	while (proc != NULL && n < 8192 && (d = readdir(proc)) != NULL)
		if (d->d_name[0] >= '0' && d->d_name[0] <= '9') {
			all[n].pid = strtol(d->d_name, NULL, 10);
			all[n].ppid = parent_of(d->d_name);
			in[n] = all[n].pid == root;
			n++;
		}
	if (proc != NULL)
		closedir(proc);
	while (grew)
		for (grew = false, i = 0; i < n; i++)
			for (k = 0; k < n && !in[i]; k++)
				if (in[k] && all[i].ppid == all[k].pid)
					in[i] = grew = true;
	for (i = 0; i < n; i++)
		if (in[i])
			sum += pss_kb(all[i].pid);
	return sum;
}

static size_t
files_in(const char *path)
{
	struct dirent *d;
	size_t n = 0;
	DIR *dir = opendir(path);

	while (dir != NULL && (d = readdir(dir)) != NULL)
		n += d->d_name[0] != '.' && strstr(d->d_name, ".new") == NULL;
	if (dir != NULL)
		closedir(dir);
	return n;
}

struct figure { double seconds, cpu; long kb; };

/* Runs it to its end. False when not every host was changed. */
static bool
measure(const char *name, const char *const argv[], const char *out, size_t n, struct figure *f)
{
	double t = now_s();
	struct rusage use;
	int status = 0;
	pid_t pid;
	long kb;

	sshd_run("rm -rf %s && mkdir %s", out, out);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "r", stdin) == NULL || freopen("/dev/null", "w", stdout) == NULL)
			_exit(127);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	f->kb = 0;
	while (wait4(pid, &status, WNOHANG, &use) == 0) {
		kb = tree_kb(pid);
		f->kb = kb > f->kb ? kb : f->kb;
		poll(NULL, 0, 200);
	}
	f->seconds = now_s() - t;
	f->cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
	printf("%-14s %7.1f s %7.1f s of processor %8.1f MB   %zu of %zu hosts changed\n", name, f->seconds, f->cpu, (double)f->kb / 1024,
	    files_in(out), n);
	fflush(stdout);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 && files_in(out) == n;
}

static void
compare(const char *name, const struct figure *us, const struct figure *them)
{
	printf("mxseal against %s: %.1f times as fast, %.1f times less processor, %.1f times less memory\n", name,
	    them->seconds / us->seconds, them->cpu / us->cpu, (double)them->kb / (double)us->kb);
}

static bool
have(const char *program)
{
	char *command = xasprintf("command -v %s >/dev/null", program);
	bool yes = system(command) == 0;

	free(command);
	return yes;
}

int
main(int argc, char **argv)
{
	size_t n = argc == 2 ? strtoul(argv[1], NULL, 10) : 200, i;
	struct str config = STR_INIT, hosts = STR_INIT;
	char *dir, *path, *list, *out, *number, *args, *change, *forks, *self;
	struct figure us, pssh, ansible;
	struct sshd s[SSHDS];
	bool good;

	if (argc == 5)
		return ours(argv[2], strtoul(argv[3], NULL, 10), argv[4]);
	if (sshd_missing() != NULL) {
		printf("skipped: %s\n", sshd_missing());
		return 77;
	}
	dir = fixture_dir();
	path = xasprintf("%s/config", dir);
	list = xasprintf("%s/hosts", dir);
	out = xasprintf("%s/out", dir);
	sshd_run("cd %s && for k in host user; do ssh-keygen -q -t ed25519 -N '' -C '' -f ${k}_ed25519; done && cp user_ed25519.pub authorized_keys", dir);
	for (i = 0; i < SSHDS; i++) {
		char *d = xasprintf("%s/%zu", dir, i);

		sshd_run("mkdir %s && cp %s/host_* %s/user_* %s/authorized_keys %s", d, dir, dir, dir, d);
		sshd_start(&s[i], d, "host_ed25519", NULL);
		free(d);
	}
	for (i = 0; i < n; i++) {
		str_addf(&config, "Host h%zu\n  Port %d\n", i + 1, s[i % SSHDS].port);
		str_addf(&hosts, "h%zu\n", i + 1);
	}
	str_addf(&config, "Host *\n  HostName 127.0.0.1\n  HostKeyAlias all\n  User root\n  IdentityFile %s/user_ed25519\n  IdentitiesOnly yes\n"
	    "  IdentityAgent none\n  UserKnownHostsFile %s/known\n  GlobalKnownHostsFile /dev/null\n", dir, dir);
	sshd_run("sed 's/^/all /' %s/host_ed25519.pub >%s/known", dir, dir);
	if (str_write_file(path, config.s, config.len, 0600, NULL) < 0 || str_write_file(list, hosts.s, hosts.len, 0600, NULL) < 0)
		return 1;
	number = xasprintf("%zu", n);
	forks = xasprintf("%d", AT_ONCE);
	self = realpath("/proc/self/exe", NULL);
	change = xasprintf("for i in 1 2 3 4 5 6 7 8 9 10; do uname -a; done; umask 077; echo 1 >%s/$$.new && mv %s/$$.new %s/$$", out, out, out);
	printf("%zu hosts on %d sshds, %d at a time\n", n, SSHDS, AT_ONCE);
	good = measure("mxseal", (const char *const[]){ self, "--ours", path, number, out, NULL }, out, n, &us);
	args = xasprintf("-F %s", path);
	if (have("parallel-ssh")) {
		measure("parallel-ssh", (const char *const[]){ "parallel-ssh", "-h", list, "-p", forks, "-t", "0", "-x", args, change, NULL }, out, n,
		    &pssh);
		compare("parallel-ssh", &us, &pssh);
	} else {
		printf("parallel-ssh is not here (package pssh)\n");
	}
	if (have("ansible")) {
		sshd_run("mkdir -p %s/ansible", dir);
		setenv("ANSIBLE_LOCAL_TEMP", dir, 1);
		setenv("ANSIBLE_SSH_CONTROL_PATH_DIR", dir, 1);
		setenv("ANSIBLE_SSH_ARGS", "-o ControlMaster=no", 1);        /* no connection is used twice here */
		measure("ansible", (const char *const[]){ "ansible", "all", "-i", list, "-f", forks, "-m", "raw", "-a", change,
		    "--ssh-common-args", args, NULL }, out, n, &ansible);
		compare("ansible", &us, &ansible);
	} else {
		printf("ansible is not here (package ansible-core)\n");
	}
	for (i = 0; i < SSHDS; i++)
		sshd_stop(&s[i]);
	fixture_remove(dir);
	str_release(&config);
	str_release(&hosts);
	free(dir), free(path), free(list), free(out), free(number), free(args), free(change), free(forks), free(self);
	return good ? 0 : 1;
}
