/* Secrets: wiped, locked in memory where allowed, no core dumps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mxseal/secret.h"
#include "mxseal/xalloc.h"

void
secret_wipe(void *mem, size_t len)
{
	if (mem != NULL)
		explicit_bzero(mem, len);
}

void
secret_set(struct secret *s, const void *mem, size_t len)
{
	char *fresh = xcalloc(len + 1, 1);

	(void)mlock(fresh, len + 1);   /* refused under a small RLIMIT_MEMLOCK: then it is only wiped */
	if (len > 0)
		memcpy(fresh, mem, len);
	secret_release(s);
	s->mem = fresh;
	s->len = len;
}

void
secret_copy(struct secret *to, const struct secret *from)
{
	if (from->mem == NULL)
		secret_release(to);
	else
		secret_set(to, from->mem, from->len);
}

bool
secret_is_set(const struct secret *s)
{
	return s->mem != NULL;
}

void
secret_release(struct secret *s)
{
	if (s->mem != NULL) {
		secret_wipe(s->mem, s->len + 1);
		(void)munlock(s->mem, s->len + 1);
		free(s->mem);
	}
	s->mem = NULL;
	s->len = 0;
}

int
secret_read_fd(struct secret *out, int fd, struct err *e)
{
	char buf[1025];
	size_t len = 0;
	ssize_t n;

	/* one byte at a time: what follows the line belongs to others; one that does not fit is no secret cut short */
	for (;;) {
		if (len == sizeof(buf)) {
			secret_wipe(buf, sizeof(buf));
			return err_set(e, RC_LIMIT, "the passphrase on descriptor %d is longer than %zu bytes", fd, sizeof(buf) - 1);
		}
		n = read(fd, buf + len, 1);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			secret_wipe(buf, sizeof(buf));
			return err_set(e, RC_IO, "cannot read the passphrase from descriptor %d: %s", fd, strerror(errno));
		}
		if (n == 0 || buf[len] == '\n')
			break;
		len++;
	}
	if (len > 0 && buf[len - 1] == '\r')
		len--;
	if (len == 0)
		return err_set(e, RC_USAGE, "the passphrase on descriptor %d is empty", fd);
	secret_set(out, buf, len);
	secret_wipe(buf, sizeof(buf));
	return 0;
}

void
secret_process_guard(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
