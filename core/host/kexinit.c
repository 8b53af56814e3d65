/* Says which algorithms a server and libssh2 do not share. libssh2 has one sentence for all of it; but a server's offer comes
 * in clear (RFC 4253 sections 4.2, 6, 7.1), so it can be read from the first bytes received. Pure text work on hostile bytes. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"
#include "keys.h"

#define SHOWN 160                     /* bytes of a server's list in a sentence */

static bool
list_shares(const char *a, const char *b)
{
	char **mine = words_split(a, ",", NULL), **theirs = words_split(b, ",", NULL);
	bool found = false;
	size_t i, k;

	for (i = 0; mine[i] != NULL && !found; i++)
		for (k = 0; theirs[k] != NULL && !found; k++)
			found = strcmp(mine[i], theirs[k]) == 0;
	words_free(mine);
	words_free(theirs);
	return found;
}

/* Skips the banner and what may stand in front of it. */
static const unsigned char *
after_banner(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *nl;
	bool banner;

	do {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL)
			return NULL;
		banner = nl - p >= 4 && memcmp(p, "SSH-", 4) == 0;
		p = nl + 1;
	} while (!banner && p < end);
	return banner ? p : NULL;
}

void
kexinit_why(const void *mem, size_t len, const char *const offered[4], struct str *out)
{
	/* the ten lists of a KEXINIT, and which of ours each is held against; the language lists are of no interest */
	static const struct { const char *what; int ours; } lists[] = {
		{ "key exchange", 0 }, { "host key", 1 }, { "cipher", 2 }, { "cipher", 2 }, { "MAC", 3 }, { "MAC", 3 },
	};
	const unsigned char *end = (const unsigned char *)mem + len, *p = after_banner(mem, end), *s;
	const char *last = "";
	struct wire w;
	uint32_t size;
	size_t n, i;
	char *list;

	if (p == NULL || end - p < 4 + 1 + 1 + 16)
		return;
	w = (struct wire){ p, end };
	wire_get_u32(&w, &size);
	if (p[5] != 20 || size > (size_t)(end - w.p))
		return;
	w.end = w.p + size;
	w.p += 2 + 16;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]) && wire_get_string(&w, &s, &n); i++) {
		list = xstrndup((const char *)s, n);
		if (strcmp(last, lists[i].what) != 0 && !list_shares(offered[lists[i].ours], list)) {
			str_addf(out, "%sits %s algorithms are only ", out->len > 0 ? ", " : "", lists[i].what);
			clean_text(out, list, strlen(list) < SHOWN ? strlen(list) : SHOWN, false);
			if (strlen(list) > SHOWN)
				str_add(out, "...");
			last = lists[i].what;
		}
		free(list);
	}
}
