/* A mail log that lies here, as it is or packed by gzip. */
#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "mxseal/clean.h"
#include "mxseal/maillog.h"

int
maillog_file(struct maillog *m, const char *path, struct err *e)
{
	char buf[65536];
	gzFile f = gzopen(path, "rb");
	size_t all = 0;
	int n, rc = 0;

	if (f == NULL)
		return err_set(e, RC_NOTFOUND, "%s cannot be read: %s", clean(path), strerror(errno));
	while (all <= MAILLOG_MAX && (n = gzread(f, buf, sizeof(buf))) > 0) {
		maillog_feed(m, buf, (size_t)n);
		all += (size_t)n;
	}
	if (all <= MAILLOG_MAX && n < 0) {
		err_set(e, RC_PARSE, "%s cannot be unpacked: it is damaged after %zu bytes", clean(path), all);
		rc = err_hint(e, "unpack it first, or leave it out");
	}
	gzclose(f);
	return rc;
}
