/* Slips of the finger in host names: a letter too many, too few, exchanged; a dot left out; ".con". Compared with names that are known
 * to be right. Only a guess: it is a question to the person, never a refusal. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"

#define NAME_LONG 64             /* longer parts are not compared */

/* Endings that are no top level domain and look like one. */
static const struct { const char *typed, *meant; } endings[] = {
	{ "con", "com" }, { "cmo", "com" }, { "ocm", "com" }, { "vom", "com" }, { "xom", "com" }, { "comm", "com" }, { "cpm", "com" },
	{ "ogr", "org" }, { "rog", "org" }, { "orgg", "org" }, { "nte", "net" }, { "ent", "net" }, { "nett", "net" }, { NULL, NULL }
};

/* How many letters have to be added, left out, replaced or exchanged with their neighbour. */
static int
distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), i, k;
	int row[3][NAME_LONG + 1], *before = row[0], *last = row[1], *now = row[2], *spare, best;

	if (n > NAME_LONG || m > NAME_LONG)
		return NAME_LONG;
	memset(row, 0, sizeof(row));
	for (k = 0; k <= m; k++)
		last[k] = (int)k;
	for (i = 1; i <= n; i++) {
		now[0] = (int)i;
		for (k = 1; k <= m; k++) {
			best = last[k - 1] + (a[i - 1] != b[k - 1]);
			if (last[k] + 1 < best)
				best = last[k] + 1;
			if (now[k - 1] + 1 < best)
				best = now[k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && before[k - 2] + 1 < best)
				best = before[k - 2] + 1;
			now[k] = best;
		}
		spare = before;
		before = last;
		last = now;
		now = spare;
	}
	return last[m];
}

static bool
same_without_dots(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '.')
			a++;
		while (*b == '.')
			b++;
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
	}
}

static bool
ending_slip(const char *name, struct str *meant)
{
	const char *dot = strrchr(name, '.');
	size_t i;

	for (i = 0; dot != NULL && endings[i].typed != NULL; i++)
		if (strcmp(dot + 1, endings[i].typed) == 0) {
			str_addf(meant, "%.*s.%s", (int)(dot - name), name, endings[i].meant);
			return true;
		}
	return false;
}

/* Is a part of the name, from a dot to its end, this domain? */
static bool
is_or_is_below(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	return n >= d && strcmp(name + n - d, domain) == 0 && (n == d || name[n - d - 1] == '.');
}

static bool
domain_slip(const char *name, const char *known, struct str *meant)
{
	const char *part = name;
	int near = strlen(known) >= 12 ? 2 : 1;

	if (strlen(known) < 5)
		return false;
	if (strcmp(name, known) != 0 && same_without_dots(name, known)) {
		str_add(meant, known);
		return true;
	}
	for (; part != NULL && strchr(part, '.') != NULL; part = strchr(part, '.'), part = part != NULL ? part + 1 : NULL)
		if (distance(part, known) <= near) {
			str_addf(meant, "%.*s%s", (int)(part - name), name, known);
			return true;
		}
	return false;
}

bool
name_slip(const char *name, const char *domains, struct str *meant)
{
	char **known = words_split(domains != NULL ? domains : "", " ", NULL);
	struct str ascii = STR_INIT;
	bool fine = false, slip = false;
	const char *bare;
	size_t i;

	if (name_to_ascii(name, &ascii, NULL) != 0 || strspn(ascii.s, "0123456789.") == ascii.len || strchr(ascii.s, ':') != NULL)
		fine = true;                         /* refused elsewhere, or a number */
	bare = text_starts(ascii.s, "*.") ? ascii.s + 2 : ascii.s;
	for (i = 0; known[i] != NULL && !fine; i++)
		fine = is_or_is_below(bare, known[i]);
	for (i = 0; known[i] != NULL && !fine && !slip; i++)
		slip = domain_slip(bare, known[i], meant);
	if (!fine && !slip)
		slip = ending_slip(bare, meant);
	words_free(known);
	str_release(&ascii);
	return slip;
}
