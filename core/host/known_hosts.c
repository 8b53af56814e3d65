/* Reader of known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) and the verdict on a key, equal to OpenSSH's. libssh2's
 * own calls a changed key new and a revoked one good, and gives up on a broken line. Lines that are none (also the RSA1
 * keys of SSH 1) are counted and left out, as ssh does. Host certificates are not ours: a @cert-authority line makes no
 * plain key known. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define LINE_MAX_BYTES (64u * 1024)
#define BLOB_MAX 16384
#define PATTERN_MAX 1023              /* of one pattern of a list: longer never matches, as in ssh */

enum mark { MARK_NONE, MARK_AUTHORITY, MARK_REVOKED };

struct entry {
	enum mark mark;
	char *hosts;              /* the list as written */
	char type[64];
	unsigned char *blob;
	size_t len;
	const char *file;         /* owned by files */
	unsigned line;
};

struct known_hosts {
	struct entry *v;
	size_t n, broken;
	char **files;
	size_t n_files;
};

struct known_hosts *
known_hosts_new(void)
{
	return xcalloc(1, sizeof(struct known_hosts));
}

void
known_hosts_free(struct known_hosts *k)
{
	size_t i;

	if (k == NULL)
		return;
	for (i = 0; i < k->n; i++) {
		free(k->v[i].hosts);
		free(k->v[i].blob);
	}
	for (i = 0; i < k->n_files; i++)
		free(k->files[i]);
	free(k->v);
	free(k->files);
	free(k);
}

/* --- reading --- */

/* What a blob of this type is made of behind its name: s = string, m = mpint, c = the curve's name (a string that fits the
 * type), p = point, e = 32 bytes. A blob must fit to the last byte. */
static const struct {
	const char *type, *form, *curve;
} key_types[] = {
	{ "ssh-ed25519", "e", NULL },
	{ "ecdsa-sha2-nistp256", "cp", "nistp256" },
	{ "ecdsa-sha2-nistp384", "cp", "nistp384" },
	{ "ecdsa-sha2-nistp521", "cp", "nistp521" },
	{ "ssh-rsa", "mm", NULL },
	{ "ssh-dss", "mmmm", NULL },
	{ "sk-ssh-ed25519@openssh.com", "es", NULL },
	{ "sk-ecdsa-sha2-nistp256@openssh.com", "cps", "nistp256" },
};

static bool
blob_string(const unsigned char **p, const unsigned char *end, const unsigned char **s, size_t *n)
{
	if (end - *p < 4)
		return false;
	*n = (size_t)(*p)[0] << 24 | (size_t)(*p)[1] << 16 | (size_t)(*p)[2] << 8 | (*p)[3];
	*p += 4;
	if (*n > (size_t)(end - *p))
		return false;
	*s = *p;
	*p += *n;
	return true;
}

/* Is this blob a key of this type? */
static bool
blob_fits(const char *type, const unsigned char *blob, size_t len)
{
	const unsigned char *p = blob, *end = blob + len, *s;
	const char *f;
	size_t i, n;

	for (i = 0; i < sizeof(key_types) / sizeof(key_types[0]); i++)
		if (strcmp(type, key_types[i].type) == 0)
			break;
	if (i == sizeof(key_types) / sizeof(key_types[0]))
		return false;
	if (!blob_string(&p, end, &s, &n) || n != strlen(type) || memcmp(s, type, n) != 0)
		return false;
	for (f = key_types[i].form; *f != '\0'; f++) {
		if (!blob_string(&p, end, &s, &n))
			return false;
		switch (*f) {
		case 'e':
			if (n != 32)
				return false;
			break;
		case 'c':
			if (n != strlen(key_types[i].curve) || memcmp(s, key_types[i].curve, n) != 0)
				return false;
			break;
		case 'p':
			if (n < 3 || s[0] != 4 || n % 2 != 1)
				return false;
			break;
		case 'm':
			if (n == 0 || (s[0] & 0x80))
				return false;
			break;
		}
	}
	return p == end;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the next word off *p. */
static size_t
word(const char **p, const char *end, const char **out)
{
	while (*p < end && is_blank(**p))
		(*p)++;
	*out = *p;
	while (*p < end && !is_blank(**p))
		(*p)++;
	return (size_t)(*p - *out);
}

/* One line without its end: 1 an entry, 0 nothing (comment), -1 broken. */
static int
entry_read(struct entry *en, const char *p, const char *end)
{
	unsigned char blob[BLOB_MAX];
	const char *w, *hosts;
	size_t n, hosts_n;

	while (end > p && (end[-1] == '\r' || is_blank(end[-1])))
		end--;
	while (p < end && is_blank(*p))
		p++;
	if (p == end || *p == '#')
		return 0;
	if ((size_t)(end - p) > LINE_MAX_BYTES || memchr(p, '\0', (size_t)(end - p)) != NULL)
		return -1;
	if (*p == '@') {
		n = word(&p, end, &w);
		if (n == 15 && memcmp(w, "@cert-authority", n) == 0)
			en->mark = MARK_AUTHORITY;
		else if (n == 8 && memcmp(w, "@revoked", n) == 0)
			en->mark = MARK_REVOKED;
		else
			return -1;
	}
	hosts_n = word(&p, end, &hosts);
	n = word(&p, end, &w);
	if (hosts_n == 0 || hosts[0] == '@' || n == 0 || n >= sizeof(en->type))
		return -1;
	memcpy(en->type, w, n);
	en->type[n] = '\0';
	n = word(&p, end, &w);                /* what follows is a comment */
	if (n == 0 || base64_decode(w, n, blob, sizeof(blob), &en->len) < 0 || !blob_fits(en->type, blob, en->len))
		return -1;
	en->hosts = xstrndup(hosts, hosts_n);
	en->blob = xcalloc(1, en->len);
	memcpy(en->blob, blob, en->len);
	return 1;
}

void
known_hosts_read(struct known_hosts *k, const char *text, size_t len, const char *name)
{
	const char *p = text, *end = text + len, *nl;
	unsigned line = 0;
	int rc;

	ARRAY_GROW(k->files, k->n_files);
	k->files[k->n_files++] = xstrdup(name);
	for (; p < end; p = nl + 1) {
		struct entry en = { .mark = MARK_NONE };

		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			nl = end;
		line++;
		rc = entry_read(&en, p, nl);
		if (rc < 0)
			k->broken++;
		if (rc <= 0)
			continue;
		en.file = k->files[k->n_files - 1];
		en.line = line;
		ARRAY_GROW(k->v, k->n);
		k->v[k->n++] = en;
	}
}

size_t
known_hosts_broken(const struct known_hosts *k)
{
	return k->broken;
}

/* --- matching --- */

/* "*" and "?" (ssh_config(5), PATTERNS); both texts in lower case. One step back is enough: a later star takes all that an
 * earlier one could. */
static bool
wild_match(const char *s, const char *p)
{
	const char *star = NULL, *from = NULL;

	while (*s != '\0') {
		if (*p == '*') {
			star = ++p;
			from = s;
		} else if (*p == '?' || *p == *s) {
			p++;
			s++;
		} else if (star != NULL) {
			p = star;
			s = ++from;
		} else {
			return false;
		}
	}
	while (*p == '*')
		p++;
	return *p == '\0';
}

/* A comma list with negation: a negated pattern that fits decides. */
static bool
list_match(const char *host, const char *list)
{
	char pattern[PATTERN_MAX + 1];
	bool good = false, negated;
	const char *p = list;
	size_t n, i;

	for (;;) {
		negated = *p == '!';
		if (negated)
			p++;
		n = strcspn(p, ",");
		if (n > PATTERN_MAX)
			return false;
		for (i = 0; i < n; i++)
			pattern[i] = (char)tolower((unsigned char)p[i]);
		pattern[n] = '\0';
		if (wild_match(host, pattern)) {
			if (negated)
				return false;
			good = true;
		}
		if (p[n] == '\0')
			return good;
		p += n + 1;
	}
}

/* "|1|salt|hash" (base64, HMAC-SHA1 of the name with the salt as key). */
static bool
hash_match(const char *host, const char *hashed)
{
	unsigned char salt[20], want[20], have[20];
	const char *mid;
	size_t n;

	if (!text_starts(hashed, "|1|") || (mid = strchr(hashed + 3, '|')) == NULL)
		return false;
	if (base64_decode(hashed + 3, (size_t)(mid - (hashed + 3)), salt, sizeof(salt), &n) < 0 || n != sizeof(salt))
		return false;
	if (base64_decode(mid + 1, strlen(mid + 1), want, sizeof(want), &n) < 0 || n != sizeof(want))
		return false;
	hmac_sha1(salt, sizeof(salt), host, strlen(host), have);
	return memcmp(want, have, sizeof(have)) == 0;
}

static bool
entry_match(const struct entry *en, const char *host)
{
	return en->hosts[0] == '|' ? hash_match(host, en->hosts) : list_match(host, en->hosts);
}

static char *
lower(const char *s, size_t n)
{
	char *out = xstrndup(s, n), *p;

	for (p = out; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

/* "mx1" of "[mx1]:2222", or NULL. */
static char *
without_port(const char *host)
{
	const char *close = strrchr(host, ']');

	if (host[0] != '[' || close == NULL || close[1] != ':')
		return NULL;
	return lower(host + 1, (size_t)(close - host - 1));
}

/* The verdict for exactly this name. */
static enum hostkey_verdict
verdict_of(const struct known_hosts *k, const char *host, const unsigned char *blob, size_t len, const struct entry **by)
{
	enum hostkey_verdict v = HOSTKEY_NEW;
	const struct entry *en;
	size_t i;

	*by = NULL;
	for (i = 0; i < k->n; i++) {
		bool same;

		en = &k->v[i];
		same = en->len == len && memcmp(en->blob, blob, len) == 0;
		if (en->mark == MARK_AUTHORITY || (en->mark == MARK_REVOKED && !same) || !entry_match(en, host))
			continue;
		if (en->mark == MARK_REVOKED) {
			*by = en;
			return HOSTKEY_REVOKED;
		}
		if (same && v != HOSTKEY_OK) {
			v = HOSTKEY_OK;
			*by = en;
		} else if (v == HOSTKEY_NEW) {
			v = HOSTKEY_CHANGED;      /* of whatever type: a known host is never new */
			*by = en;
		}
	}
	return v;
}

enum hostkey_verdict
known_hosts_verdict(const struct known_hosts *k, const char *host, const unsigned char *blob, size_t len,
    struct str *where)
{
	char *name = lower(host, strlen(host)), *bare = without_port(host);
	const struct entry *by, *bare_by;
	enum hostkey_verdict v, bare_v;

	v = verdict_of(k, name, blob, len, &by);
	if (v == HOSTKEY_NEW && bare != NULL) {
		/* a key known for the host without its port is good for a port of its own, another one says nothing */
		bare_v = verdict_of(k, bare, blob, len, &bare_by);
		if (bare_v == HOSTKEY_OK || bare_v == HOSTKEY_REVOKED) {
			v = bare_v;
			by = bare_by;
		}
	}
	if (where != NULL && by != NULL)
		str_addf(where, "%s in %s line %u", by->type, by->file, by->line);
	free(name);
	free(bare);
	return v;
}

static bool
list_has(const struct str *list, const char *type)
{
	size_t n = strlen(type);
	const char *p = list->s;

	while ((p = strstr(p, type)) != NULL) {
		if ((p == list->s || p[-1] == ',') && (p[n] == '\0' || p[n] == ','))
			return true;
		p += n;
	}
	return false;
}

static void
types_of(const struct known_hosts *k, const char *host, struct str *out)
{
	size_t i;

	for (i = 0; i < k->n; i++)
		if (k->v[i].mark == MARK_NONE && entry_match(&k->v[i], host) && !list_has(out, k->v[i].type))
			str_addf(out, "%s%s", out->len > 0 ? "," : "", k->v[i].type);
}

void
known_hosts_types(const struct known_hosts *k, const char *host, struct str *out)
{
	char *name = lower(host, strlen(host)), *bare = without_port(host);
	size_t before = out->len;

	types_of(k, name, out);
	if (out->len == before && bare != NULL)
		types_of(k, bare, out);
	free(name);
	free(bare);
}

bool
known_hosts_authority(const struct known_hosts *k, const char *host)
{
	char *name = lower(host, strlen(host));
	bool found = false;
	size_t i;

	for (i = 0; i < k->n && !found; i++)
		found = k->v[i].mark == MARK_AUTHORITY && entry_match(&k->v[i], name);
	free(name);
	return found;
}
