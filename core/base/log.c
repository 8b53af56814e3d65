/* The log file. One write per line, so threads do not mix; a log that cannot be written is silently off, because nothing of
 * what the program does depends on it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/log.h"
#include "mxseal/str.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static int log_fd = -1;

static char *
default_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *dir, *path;

	if (text_empty(home) && text_empty(state))
		return NULL;
	dir = text_empty(state) ? xasprintf("%s/.local/state", home) : xstrdup(state);
	path = xasprintf("%s/mxseal", dir);
	for (char *p = path + 1; *p; p++)     /* mkdir -p */
		if (*p == '/') {
			*p = '\0';
			(void)mkdir(path, 0700);
			*p = '/';
		}
	(void)mkdir(path, 0700);
	free(dir);
	dir = path;
	path = xasprintf("%s/log", dir);
	free(dir);
	return path;
}

int
log_open(const char *path, struct err *e)
{
	char *own = path ? xstrdup(path) : default_path();
	int rc = 0;

	log_close();
	if (own == NULL)
		return err_set(e, RC_IO, "no place for the log: neither HOME nor XDG_STATE_HOME is set");
	log_fd = open(own, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log_fd == -1)
		rc = err_set(e, RC_IO, "cannot open the log %s: %s", clean(own), strerror(errno));
	free(own);
	return rc;
}

void
log_line(const char *fmt, ...)
{
	struct str line = STR_INIT;
	char stamp[32], text[2048];
	va_list ap;

	if (log_fd == -1)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	when_rfc3339(stamp, when_now());
	str_addf(&line, "%s ", stamp);
	clean_text(&line, text, strlen(text), false);
	str_addc(&line, '\n');
	if (write(log_fd, line.s, line.len) == -1)
		log_close();
	str_release(&line);
}

void
log_close(void)
{
	if (log_fd != -1)
		close(log_fd);
	log_fd = -1;
}
