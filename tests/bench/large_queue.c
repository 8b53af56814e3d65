/* A large queue on a host whose mail system is stopped, for bench_look.sh. SPOOL holds some deferred messages for users at d00000.
 *   large_queue fill SPOOL N    N copies of them under other ids, for 20,000 domains, two thirds of them for 200 of these
 *   large_queue stir SPOOL N    N changes: a third goes, a third is new, a third was tried again, with the line that qmgr(8) writes
 *                               about it on standard output */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SEEDS 64
#define DOMAIN "d00000"

struct file { char *s; size_t len; };
struct seed { struct file message, reasons; uid_t uid; gid_t gid; };

static struct seed seeds[SEEDS];
static size_t n_seeds;
static const char *spool;

static bool
slurp(const char *path, struct file *f, struct stat *st)
{
	int fd = open(path, O_RDONLY);
	bool good = fd >= 0 && fstat(fd, st) == 0 && (f->s = malloc((size_t)st->st_size + 1)) != NULL;

	if (good)
		f->len = (size_t)read(fd, f->s, (size_t)st->st_size);
	close(fd);
	return good;
}

/* With the next attempt in a month, so that the queue holds still. */
static bool
spill(const char *path, const struct file *f, mode_t mode)
{
	struct timespec when[2] = { { .tv_sec = time(NULL) }, { .tv_sec = time(NULL) + 30 * 86400 } };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	bool good = fd >= 0 && write(fd, f->s, f->len) == (ssize_t)f->len && fchown(fd, seeds[0].uid, seeds[0].gid) == 0
	    && fchmod(fd, mode) == 0 && futimens(fd, when) == 0;

	close(fd);
	return good;
}

static void
domain_set(struct file *f, size_t number)
{
	char domain[32];
	char *p;

	snprintf(domain, sizeof(domain), "d%05zu", number % 3 == 0 ? number / 3 * 7919 % 20000 : number % 200);
	for (p = f->s; (p = memmem(p, f->len - (size_t)(p - f->s), DOMAIN, strlen(DOMAIN))) != NULL; p += strlen(DOMAIN))
		memcpy(p, domain, strlen(DOMAIN));
}

static void
path_of(char path[512], const char *queue, const char *id)
{
	snprintf(path, 512, "%s/%s/%c/%s", spool, queue, id[0], id);
}

static void
id_of(char id[32], size_t number)
{
	snprintf(id, 32, "%05zX%zX", number * 7919 % 1000000, number + 0x100000);
}

static bool
one_more(size_t number)
{
	const struct seed *o = &seeds[number % n_seeds];
	struct file message = { memcpy(malloc(o->message.len), o->message.s, o->message.len), o->message.len };
	struct file reasons = { memcpy(malloc(o->reasons.len), o->reasons.s, o->reasons.len), o->reasons.len };
	char id[32], to[512], why[512];
	bool good;

	domain_set(&message, number);
	domain_set(&reasons, number);
	id_of(id, number);
	path_of(to, "deferred", id);
	path_of(why, "defer", id);
	good = spill(to, &message, 0700) && spill(why, &reasons, 0600);
	free(message.s);
	free(reasons.s);
	return good;
}

static void
seeds_find(void)
{
	char path[512];
	struct dirent *e;
	struct stat st;
	DIR *dir;
	int d;

	for (d = 0; d < 16; d++) {
		snprintf(path, sizeof(path), "%s/deferred/%X", spool, d);
		dir = opendir(path);
		while (dir != NULL && n_seeds < SEEDS && (e = readdir(dir)) != NULL) {
			struct seed *o = &seeds[n_seeds];

			if (e->d_name[0] == '.')
				continue;
			path_of(path, "defer", e->d_name);
			if (!slurp(path, &o->reasons, &st))
				continue;
			path_of(path, "deferred", e->d_name);
			if (!slurp(path, &o->message, &st))
				continue;
			o->uid = st.st_uid;
			o->gid = st.st_gid;
			n_seeds++;
		}
		if (dir != NULL)
			closedir(dir);
	}
}

static bool
folders_make(void)
{
	static const char *const queues[] = { "deferred", "defer" };
	char path[512];
	int d, q;

	for (d = 0; d < 16; d++)
		for (q = 0; q < 2; q++) {
			snprintf(path, sizeof(path), "%s/%s/%X", spool, queues[q], d);
			if (mkdir(path, 0700) == 0 && chown(path, seeds[0].uid, seeds[0].gid) != 0)
				return false;
		}
	return true;
}

/* A third of the changes each. */
static bool
change(size_t i)
{
	char id[32], path[512], why[512], active[512];
	struct file reasons;
	struct stat st;
	bool good;

	if (i % 3 == 1)
		return one_more(i + 0x1000000);
	id_of(id, i * 50);
	path_of(path, "deferred", id);
	path_of(why, "defer", id);
	if (i % 3 == 0)
		return unlink(path) == 0 && unlink(why) == 0;
	snprintf(active, sizeof(active), "%s/active/%s", spool, id);
	if (rename(path, active) != 0 || rename(active, path) != 0 || !slurp(why, &reasons, &st))
		return false;
	good = spill(why, &reasons, 0600);
	free(reasons.s);
	printf("Nov 27 00:00:00 mx1 postfix/qmgr[1]: %s: from=<s@sender.test>, size=300, nrcpt=1 (queue active)\n", id);
	return good;
}

int
main(int argc, char **argv)
{
	size_t n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0, i;
	bool fill = argc == 4 && strcmp(argv[1], "fill") == 0;

	if (argc != 4 || (!fill && strcmp(argv[1], "stir") != 0)) {
		fputs("usage: large_queue fill|stir SPOOL N\n", stderr);
		return 2;
	}
	spool = argv[2];
	seeds_find();
	if (n_seeds == 0 || !folders_make()) {
		fprintf(stderr, "large_queue: no deferred messages in %s\n", spool);
		return 1;
	}
	for (i = 0; i < n; i++)
		if (fill ? !one_more(i) : !change(i)) {
			perror(spool);
			return 1;
		}
	return 0;
}
