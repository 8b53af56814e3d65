/* What a server showed as its key, judged by our own reader of known_hosts, and the appending of a key that a person has
 * confirmed. Nothing here can be switched off: without a good verdict there is no login. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

void
hostkey_release(struct hostkey *k)
{
	free(k->line);
	free(k->known);
	*k = (struct hostkey){ .verdict = HOSTKEY_NEW };
}

bool
hostkey_type(const unsigned char *blob, size_t len, char type[64])
{
	size_t n, i;

	if (len < 4)
		return false;
	n = (size_t)blob[0] << 24 | (size_t)blob[1] << 16 | (size_t)blob[2] << 8 | blob[3];
	if (n == 0 || n >= 64 || n > len - 4)
		return false;
	for (i = 0; i < n; i++)
		if (blob[4 + i] <= ' ' || blob[4 + i] > '~')
			return false;
	memcpy(type, blob + 4, n);
	type[n] = '\0';
	return true;
}

int
hostkey_judge(struct hostkey *key, const struct route *r, const unsigned char *blob, size_t len, struct err *e)
{
	struct str line = STR_INIT, where = STR_INIT;
	const char *name = clean(r->lookup);

	hostkey_release(key);
	if (!hostkey_type(blob, len, key->type))
		return err_set(e, RC_HOSTKEY, "%s showed a host key that is none", name);
	memcpy(key->fingerprint, "SHA256:", 8);
	sha256_base64(blob, len, key->fingerprint + 7);
	str_addf(&line, "%s %s ", r->lookup, key->type);
	base64_encode(blob, len, &line);
	key->line = str_take(&line);
	key->verdict = known_hosts_verdict(r->keys, r->lookup, blob, len, &where);
	if (where.len > 0)
		key->known = xstrdup(where.s);
	switch (key->verdict) {
	case HOSTKEY_OK:
		break;
	case HOSTKEY_NEW:
		err_set(e, RC_HOSTKEY_NEW, "the host key of %s is not known: %s %s", name, key->type, key->fingerprint);
		err_hint(e, "compare the fingerprint with the one the host itself shows: "
		    "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
		break;
	case HOSTKEY_CHANGED:
		err_set(e, RC_HOSTKEY, "%s showed another host key than the one that is known: %s %s, known is %s",
		    name, key->type, key->fingerprint, key->known != NULL ? clean(key->known) : "another");
		err_hint(e, "somebody may be in between; only if the host was really set up anew, remove that line");
		break;
	case HOSTKEY_REVOKED:
		err_set(e, RC_HOSTKEY, "the host key of %s is revoked: %s %s, by %s", name, key->type, key->fingerprint,
		    key->known != NULL ? clean(key->known) : "known_hosts");
		err_hint(e, "this key must not be trusted any more; the host needs a new one");
		break;
	}
	str_release(&where);
	return key->verdict == HOSTKEY_OK ? 0 : -1;
}

int
host_trust(const char *path, const struct hostkey *key, struct err *e)
{
	struct str line = STR_INIT;
	struct stat st;
	int fd = -1, rc = -1;
	char last = '\n';

	if (key->line == NULL || !clean_is(key->line, strlen(key->line)))
		return err_set(e, RC_BUG, "there is no host key to trust");
	if (key->verdict == HOSTKEY_CHANGED || key->verdict == HOSTKEY_REVOKED)
		return err_set(e, RC_HOSTKEY, "a changed or revoked host key cannot be trusted by adding it");
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0) {
		err_set(e, RC_IO, "%s cannot be written: %s", clean(path), strerror(errno));
		goto out;
	}
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
		last = '\n';
	str_addf(&line, "%s%s\n", last == '\n' ? "" : "\n", key->line);
	if (write(fd, line.s, line.len) != (ssize_t)line.len || fsync(fd) < 0) {
		err_set(e, errno == ENOSPC ? RC_NOSPACE : RC_IO, "%s cannot be written: %s", clean(path), strerror(errno));
		goto out;
	}
	rc = 0;
out:
	if (fd >= 0)
		close(fd);
	str_release(&line);
	return rc;
}
