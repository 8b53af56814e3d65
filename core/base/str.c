/* Growing text with a ceiling, and careful reading and writing of local files. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/secret.h"
#include "mxseal/str.h"
#include "mxseal/xalloc.h"

char str_nothing[1] = "";

void
str_init(struct str *b, size_t ceiling)
{
	*b = (struct str)STR_INIT;
	b->ceiling = ceiling;
}

/* Makes room for len more bytes; false when that is over the ceiling. It may be a secret that grows: what it leaves behind is
 * wiped, which realloc would not do. */
static bool
str_room(struct str *b, size_t len)
{
	size_t ceiling = b->ceiling ? b->ceiling : STR_CEILING, cap;
	char *roomy;

	if (len > ceiling || b->len > ceiling - len) {
		b->over = true;
		return false;
	}
	if (b->len + len + 1 <= b->cap)
		return true;
	cap = b->cap ? b->cap : 64;
	while (cap < b->len + len + 1)
		cap *= 2;
	roomy = xrealloc(NULL, cap, 1);
	memcpy(roomy, b->s, b->len + 1);
	if (b->cap) {
		secret_wipe(b->s, b->cap);
		free(b->s);
	}
	b->s = roomy;
	b->cap = cap;
	return true;
}

void
str_addn(struct str *b, const void *mem, size_t len)
{
	if (len == 0 || !str_room(b, len))
		return;
	memcpy(b->s + b->len, mem, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void
str_add(struct str *b, const char *text)
{
	if (text != NULL)
		str_addn(b, text, strlen(text));
}

void
str_add_word(struct str *b, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-#";

	if (*text != '\0' && *text != '#' && strspn(text, plain) == strlen(text)) {
		str_add(b, text);
		return;
	}
	str_addc(b, '\'');
	for (; *text != '\0'; text++)
		if (*text == '\'')
			str_add(b, "'\\''");
		else
			str_addc(b, *text);
	str_addc(b, '\'');
}

void
str_addc(struct str *b, char c)
{
	str_addn(b, &c, 1);
}

void
str_addf(struct str *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0 && str_room(b, (size_t)n)) {
		vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void
str_cut(struct str *b, size_t len)
{
	if (len < b->len) {
		b->len = len;
		b->s[len] = '\0';
	}
}

void
str_reset(struct str *b)
{
	str_cut(b, 0);
	b->over = false;
}

char *
str_take(struct str *b)
{
	char *s = b->cap ? b->s : xstrdup("");
	size_t ceiling = b->ceiling;

	str_init(b, ceiling);
	return s;
}

void
str_release(struct str *b)
{
	if (b->cap)
		free(b->s);
	str_init(b, b->ceiling);
}

void
str_wipe(struct str *b)
{
	if (b->cap)
		secret_wipe(b->s, b->cap);
	str_release(b);
}

static int
io_error(struct err *e, const char *what, const char *path)
{
	int code = errno;

	err_set(e, code == ENOENT ? RC_NOTFOUND : code == ENOSPC || code == EDQUOT ? RC_NOSPACE : RC_IO, "cannot %s %s: %s",
	    what, clean(path), strerror(code));
	if (code == ENOSPC)
		err_hint(e, "make room on that disk and try again");
	return -1;
}

int
str_read_file(struct str *out, const char *path, size_t max, struct err *e)
{
	char buf[65536];                 /* wiped: it may be a key that is read */
	ssize_t n;
	int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd == -1)
		return io_error(e, "open", path);
	while (rc == 0 && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			rc = io_error(e, "read", path);
		else if (out->len + (size_t)n > max)
			rc = err_set(e, RC_LIMIT, "%s is larger than %zu bytes: that is not what it should be", clean(path), max);
		else
			str_addn(out, buf, (size_t)n);
	}
	secret_wipe(buf, sizeof(buf));
	close(fd);
	return rc;
}

static int
write_all(int fd, const char *mem, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, mem, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		mem += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Where the bytes go: behind a symbolic link, what it leads to. Only a file is replaced: root could put one in the place of
 * /dev/null. NULL with e set. */
static char *
write_target(const char *path, struct err *e)
{
	struct stat st;
	char *real;

	if (stat(path, &st) == -1)
		return xstrdup(path);
	if (!S_ISREG(st.st_mode)) {
		err_set(e, RC_IO, "cannot write %s: it is %s", clean(path), S_ISDIR(st.st_mode) ? "a directory" : "no file");
		return NULL;
	}
	real = realpath(path, NULL);
	if (real == NULL)
		io_error(e, "write", path);
	return real;
}

int
str_can_write_file(const char *path, struct err *e)
{
	char *target = write_target(path, e), *slash, *folder;
	int rc = -1;

	if (target == NULL)
		return -1;
	slash = strrchr(target, '/');
	folder = slash == NULL ? xstrdup(".") : xasprintf("%.*s/", (int)(slash - target), target);
	if (access(folder, W_OK | X_OK) == 0)
		rc = 0;
	else
		io_error(e, "write", path);
	free(folder);
	free(target);
	return rc;
}

int
str_write_file(const char *path, const void *mem, size_t len, unsigned mode, struct err *e)
{
	char *target = write_target(path, e), *fresh = NULL;
	int fd, rc = -1;

	if (target == NULL)
		return -1;
	fresh = xasprintf("%s.new.%ld", target, (long)getpid());
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
	if (fd == -1) {
		io_error(e, "write", path);
		goto out;
	}
	if (write_all(fd, mem, len) == -1 || fsync(fd) == -1) {
		io_error(e, "write", path);
		close(fd);
		unlink(fresh);
		goto out;
	}
	if (close(fd) == -1 || rename(fresh, target) == -1) {
		io_error(e, "write", path);
		unlink(fresh);
		goto out;
	}
	rc = 0;
out:
	free(fresh);
	free(target);
	return rc;
}

bool
text_eq(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
text_ieq(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcasecmp(a, b) == 0);
}

bool
text_starts(const char *s, const char *prefix)
{
	return s != NULL && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
text_empty(const char *s)
{
	return s == NULL || *s == '\0';
}

char *
text_trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL)
		s[--n] = '\0';
	return s;
}

char **
words_split(const char *s, const char *seps, size_t *n)
{
	char *copy = xstrdup(s ? s : ""), **v = NULL, *p, *save = NULL;
	size_t count = 0;

	/* v[-1] holds the copy, so that one pointer frees both */
	v = xcalloc(strlen(copy) / 2 + 3, sizeof(*v));
	v[0] = copy;
	for (p = strtok_r(copy, seps, &save); p != NULL; p = strtok_r(NULL, seps, &save))
		v[1 + count++] = p;
	if (n != NULL)
		*n = count;
	return v + 1;
}

void
words_free(char **words)
{
	if (words == NULL)
		return;
	free(words[-1]);
	free(words - 1);
}
