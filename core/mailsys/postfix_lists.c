/* Edits of lists that are the administrator's: restrictions and classes. What he wrote keeps its place and its words; only
 * our element comes or goes. And the table of clients that connection control is made of (cidr_table(5), access(5)). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/xalloc.h"
#include "postfix.h"

#define SEPARATORS ", \t\r\n"
#define LOGGED_IN "permit_sasl_authenticated"
#define ACCESS "check_client_access"
#define ACCESS_TABLE "cidr:" OURS_DIR
#define TABLE_MARK "# Written by mxseal: who may connect.\n"

/* The next word of a list; NULL at its end. *p moves behind it. */
static const char *
next_word(const char **p, size_t *len)
{
	const char *start = *p + strspn(*p, SEPARATORS);

	*len = strcspn(start, SEPARATORS);
	*p = start + *len;
	return *len ? start : NULL;
}

static bool
is_word(const char *start, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(start, word, len) == 0;
}

static const char *
find_word(const char *list, const char *word)
{
	const char *start;
	size_t len;

	while ((start = next_word(&list, &len)))
		if (is_word(start, len, word))
			return start;
	return NULL;
}

bool
list_has(const char *list, const char *word)
{
	return find_word(list, word) != NULL;
}

/* Without bytes from..to, and without the separators that would then stand twice or at an end. */
static char *
cut(const char *list, size_t from, size_t to)
{
	size_t end = strlen(list);

	while (to < end && strchr(SEPARATORS, list[to]))
		to++;
	if (to == end)
		while (from > 0 && strchr(SEPARATORS, list[from - 1]))
			from--;
	return xasprintf("%.*s%s", (int)from, list, list + to);
}

static char *
append(const char *list, const char *text)
{
	size_t len = strlen(list);

	while (len > 0 && strchr(SEPARATORS, list[len - 1]))
		len--;
	return len ? xasprintf("%.*s, %s", (int)len, list, text) : xstrdup(text);
}

static char *
drop_word(const char *list, const char *word)
{
	char *out = xstrdup(list), *next;
	const char *at;

	while ((at = find_word(out, word))) {
		next = cut(out, (size_t)(at - out), (size_t)(at - out) + strlen(word));
		free(out);
		out = next;
	}
	return out;
}

char *
list_word(const char *list, const char *word, bool in)
{
	if (!in)
		return drop_word(list, word);
	return list_has(list, word) ? xstrdup(list) : append(list, word);
}

/* --- who may hand over mail --- */

/* Where "permit_sasl_authenticated, reject" begins at the end of a list; -1: it does not end so. */
static long
closing(const char *list)
{
	const char *p = list, *start, *before = NULL, *last = NULL;
	size_t len, before_len = 0, last_len = 0;

	while ((start = next_word(&p, &len))) {
		before = last;
		before_len = last_len;
		last = start;
		last_len = len;
	}
	return before && is_word(before, before_len, LOGGED_IN) && is_word(last, last_len, "reject") ? before - list : -1;
}

bool
list_is_anonymous(const char *list)
{
	return closing(list) < 0;
}

char *
list_anonymous(const char *list, bool yes)
{
	long at = closing(list);

	if (yes)
		return at < 0 ? xstrdup(list) : cut(list, (size_t)at, strlen(list));
	return at >= 0 ? xstrdup(list) : append(list, LOGGED_IN ", reject");
}

char *
list_may_relay(const char *list, bool yes)
{
	const char *p = list, *start;
	size_t len;

	if (!yes)
		return drop_word(list, LOGGED_IN);
	if (list_has(list, LOGGED_IN))
		return xstrdup(list);
	while ((start = next_word(&p, &len)))
		if (strncasecmp(start, "reject", 6) == 0 || strncasecmp(start, "defer", 5) == 0)
			return xasprintf("%.*s" LOGGED_IN ", %s", (int)(start - list), list, start);
	return append(list, LOGGED_IN);
}

/* --- who may connect --- */

static void
access_lines(const char *networks, const char *action, struct str *out)
{
	char **words = words_split(networks, " ", NULL);
	size_t i;

	for (i = 0; words[i] && strcmp(networks, "none") != 0; i++)
		str_addf(out, "%s %s\n", words[i], action);
	words_free(words);
}

void
access_table(const char *only, const char *except, struct str *out)
{
	str_add(out, TABLE_MARK);
	access_lines(except, "REJECT", out);
	if (strcmp(only, "none") == 0)
		return;
	access_lines(only, "DUNNO", out);
	str_add(out, "0.0.0.0/0 REJECT\n::/0 REJECT\n");
}

/* Whatever is written there, only a table that reads as we would write it says who may connect: a line that somebody put in
 * by hand may mean something else. */
char *
access_ours(const char *setting, const char *table)
{
	struct str only = STR_INIT, except = STR_INIT, again = STR_INIT;
	const char *line, *end;
	bool ours = table && (*table == '\0' || text_starts(table, TABLE_MARK));
	char *out = NULL;

	if (!ours)
		return NULL;
	for (line = *table ? table + strlen(TABLE_MARK) : table; *line; line = *end ? end + 1 : end) {
		size_t word = strcspn(line, " \n");
		bool permits;
		struct str *to;

		end = line + strcspn(line, "\n");
		ours = ours && strspn(line, "0123456789abcdefABCDEF.:/") == word;
		permits = text_starts(line + word, " DUNNO");
		to = permits ? &only : &except;
		if (permits || only.len == 0)           /* behind those stands the REJECT for everybody */
			str_addf(to, "%s%.*s", to->len ? " " : "", (int)word, line);
	}
	if (only.len == 0)
		str_add(&only, "none");
	if (except.len == 0)
		str_add(&except, "none");
	access_table(only.s, except.s, &again);
	if (ours && (*table == '\0' || strcmp(again.s, table) == 0))
		out = str_take(strcmp(setting, "inbound.clients.only") == 0 ? &only : &except);
	str_release(&only);
	str_release(&except);
	str_release(&again);
	return out;
}

/* Our pair of words in a list: where it begins, where its table does and where it ends. */
static bool
find_access(const char *list, size_t *from, size_t *table, size_t *to)
{
	const char *p = list, *start, *before = NULL;
	size_t len;

	for (; (start = next_word(&p, &len)); before = is_word(start, len, ACCESS) ? start : NULL)
		if (before && text_starts(start, ACCESS_TABLE)) {
			*from = (size_t)(before - list);
			*table = (size_t)(start - list);
			*to = *table + len;
			return true;
		}
	return false;
}

char *
access_path(const char *list)
{
	size_t from, table, to;

	if (!find_access(list, &from, &table, &to))
		return NULL;
	table += strlen("cidr:");
	return xstrndup(list + table, to - table);
}

char *
access_put(const char *list, const char *path)
{
	size_t from, table, to;
	char *rest = find_access(list, &from, &table, &to) ? cut(list, from, to) : xstrdup(list), *out;

	if (path == NULL)
		return rest;
	out = xasprintf(ACCESS " cidr:%s%s%s", path, *rest ? ", " : "", rest);
	free(rest);
	return out;
}
