/* Readings of real hosts kept as files, so that drivers are tested without a host; and how they are made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mxseal/xalloc.h"
#include "support/recording.h"

static struct section *
section_add(struct sections *s, const char *name, size_t len)
{
	struct section *new;

	ARRAY_GROW(s->v, s->n);
	new = &s->v[s->n++];
	*new = (struct section){ .name = xstrndup(name, len) };
	str_init(&new->text, HOST_SECTION_MAX);
	return new;
}

void
recording_load(const char *path, struct sections *out)
{
	struct str text = STR_INIT;
	struct err e;
	const char *p, *end;

	*out = (struct sections){ .n = 0 };
	if (str_read_file(&text, path, 16u << 20, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	for (p = text.s, end = text.s + text.len; p < end && strncmp(p, "#+ ", 3) == 0; ) {
		struct section *s = section_add(out, p + 3, strcspn(p + 3, " "));
		size_t bytes;
		char *at;

		s->status = (int)strtol(p + 3 + strlen(s->name), &at, 10);
		bytes = strtoul(at, &at, 10);
		if (at + 1 + bytes > end)
			abort();
		str_addn(&s->text, at + 1, bytes);
		p = at + 1 + bytes + 1;
	}
	str_release(&text);
}

void
recording_save(const char *path, const struct sections *s)
{
	struct str text = STR_INIT;
	struct err e;
	size_t i;

	for (i = 0; i < s->n; i++) {
		str_addf(&text, "#+ %s %d %zu\n", s->v[i].name, s->v[i].status, s->v[i].text.len);
		str_addn(&text, s->v[i].text.s, s->v[i].text.len);
		str_addc(&text, '\n');
	}
	if (str_write_file(path, text.s, text.len, 0644, &e) != 0)
		fprintf(stderr, "%s\n", e.text);
	str_release(&text);
}

void
recording_set(struct sections *s, const char *name, int status, const char *text)
{
	struct section *found = NULL;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			found = &s->v[i];
	if (found == NULL)
		found = section_add(s, name, strlen(name));
	found->status = status;
	str_reset(&found->text);
	str_add(&found->text, text);
}

/* One command; both outputs, as the script on a host takes them. */
static int
run(const char *prefix, const char *const argv[], struct section *out)
{
	char **words = words_split(prefix, " ", NULL), buffer[4096];
	const char *all[512];
	size_t n = 0, i;
	int p[2], status;
	ssize_t got;
	pid_t pid;

	for (i = 0; words[i] && n < 32; i++)
		all[n++] = words[i];
	for (i = 0; argv[i] && n < 511; i++)
		all[n++] = argv[i];
	all[n] = NULL;
	if (pipe(p) != 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		if (freopen("/dev/null", "r", stdin) == NULL)
			_exit(126);
		dup2(p[1], 1);
		dup2(p[1], 2);
		close(p[0]);
		close(p[1]);
		setenv("LC_ALL", "C", 1);
		execvp(all[0], (char *const *)(uintptr_t)all);
		_exit(127);
	}
	close(p[1]);
	while ((got = read(p[0], buffer, sizeof(buffer))) > 0)
		str_addn(&out->text, buffer, (size_t)got);
	close(p[0]);
	waitpid(pid, &status, 0);
	out->status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
	words_free(words);
	return 0;
}

int
recording_make(const struct mailsys *m, const char *prefix, struct sections *out, struct err *e)
{
	struct command_list more = { NULL, 0 };
	size_t i;

	*out = (struct sections){ .n = 0 };
	for (i = 0; m->look[i].name; i++)
		if (run(prefix, m->look[i].argv, section_add(out, m->look[i].name, strlen(m->look[i].name))) != 0)
			return err_set(e, RC_IO, "cannot run commands");
	if (m->more(out, &more, e) != 0) {
		command_list_release(&more);
		return -1;
	}
	for (i = 0; i < more.n; i++)
		if (run(prefix, (const char *const *)more.v[i].argv, section_add(out, more.v[i].name, strlen(more.v[i].name))) != 0)
			return err_set(e, RC_IO, "cannot run commands");
	command_list_release(&more);
	return 0;
}

int
recording_ways(const struct mailsys *m, const char *prefix, const struct way_ask *asks, size_t n, struct sections *out,
    struct err *e)
{
	int rc = 1;

	while (rc == 1) {
		struct command_list next = { NULL, 0 };
		struct dead_rule_list dead = { NULL, 0 };
		size_t i;

		rc = m->dead(out, &next, &dead, e);
		dead_rule_list_release(&dead);
		for (i = 0; i < n && rc != -1; i++) {
			struct mail_way way;
			int one = m->way(&asks[i], out, &next, &way, e);

			rc = one == 0 ? rc : one;
			mail_way_release(&way);
		}
		for (i = 0; rc == 1 && i < next.n; i++) {
			struct section *s = section_add(out, next.v[i].name, strlen(next.v[i].name));

			if (run(prefix, (const char *const *)next.v[i].argv, s) == -1)
				rc = err_set(e, RC_IO, "cannot run %s", prefix);
			if (s->text.len > 64 * 1024 && strncmp(s->name, "file.", 5) == 0)
				str_reset(&s->text);
		}
		command_list_release(&next);
	}
	return rc;
}
