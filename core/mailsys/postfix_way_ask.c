/* Asking the tables of a host: any type of table is asked by postmap(1) -q, key and map as two words of a command. A question
 * and its answer share a name made of both, so the same question is asked once. The orders of keys are those of Postfix:
 * mail_addr_find(3), match_list(3), maps(3). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix_way.h"

#define MAP_MAX 2048
#define ROW_MAX 16384
#define LIST_MAX 200
#define KEYS_AT_ONCE 300
#define QUERY_WORDS 5            /* of the command before its keys */
#define ROUNDS_MAX 100

/* --- words --- */

void
words_release(struct words *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){ NULL, 0 };
}

void
words_of(struct words *w, const char *list)
{
	*w = (struct words){ NULL, 0 };
	while (*(list += strspn(list, ", \t\r\n")) && w->n < LIST_MAX) {
		size_t n = 0;
		int depth = 0;

		while (list[n] && (depth > 0 || !strchr(", \t\r\n", list[n]))) {
			depth += list[n] == '{' ? 1 : list[n] == '}' ? -1 : 0;
			n++;
		}
		ARRAY_GROW(w->v, w->n);
		w->v[w->n++] = xstrndup(list, n);
		list += n;
	}
}

bool
words_have(const struct words *w, const char *word)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (strcmp(w->v[i], word) == 0)
			return true;
	return false;
}

bool
words_put(struct words *w, const char *word)
{
	if (words_have(w, word))
		return false;
	ARRAY_GROW(w->v, w->n);
	w->v[w->n++] = xstrdup(word);
	return true;
}

void
param_words(const struct view *v, const struct master_service *s, const char *param, struct words *out)
{
	char *list = view_value(v, s, param);

	words_of(out, list);
	free(list);
}

void
hit_release(struct hit *h)
{
	free(h->map);
	free(h->key);
	free(h->row);
	*h = (struct hit){ NULL, NULL, NULL };
}

void
step_add(struct way_step_list *l, const struct hit *h, const char *fmt, ...)
{
	struct way_step *s = way_step_list_add(l);
	struct str text = STR_INIT;
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	str_add(&text, line);
	s->text = str_take(&text);
	if (h == NULL)
		return;
	s->map = xstrdup(h->map);
	s->key = xstrdup(h->key);
	s->row = xstrdup(h->row);
}

/* --- maps --- */

static const char *
plain_map(const char *map)
{
	return text_starts(map, "proxy:") ? map + strlen("proxy:") : map;
}

const char *
map_source_file(const char *map)
{
	static const char *const types[] = { "texthash:", "hash:", "btree:", "lmdb:", "cdb:", "dbm:", "sdbm:" };
	size_t i;

	map = plain_map(map);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (text_starts(map, types[i]) && map[strlen(types[i])] == '/')
			return map + strlen(types[i]);
	return NULL;
}

bool
map_is_pattern(const char *map)
{
	static const char *const types[] = { "regexp:", "pcre:", "tcp:", "cidr:" };
	size_t i;

	map = plain_map(map);
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (text_starts(map, types[i])
		    || ((text_starts(map, "pipemap:") || text_starts(map, "unionmap:")) && strstr(map, types[i])))
			return true;
	return false;
}

/* "type:name", without a character that would not be one word of one line. */
static bool
map_is_sane(const char *map)
{
	size_t n = strspn(map, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n > 0 && map[n] == ':' && strlen(map) < MAP_MAX && clean_is(map, strlen(map));
}

/* The section of a question; NULL: it was not answered yet, and now is asked. */
static const struct section *
asked(struct way_work *w, const char *name, const char *const words[])
{
	const struct section *s = section_find(w->s, name);
	struct command *c;
	size_t i, n;

	if (s != NULL)
		return s;
	w->wait = true;
	for (i = 0; i < w->next->n; i++)
		if (strcmp(w->next->v[i].name, name) == 0)
			return NULL;
	if (w->next->n >= WAY_LOOKUPS)           /* the round is full: in the next one */
		return NULL;
	for (n = 0; words[n]; n++)
		;
	ARRAY_GROW(w->next->v, w->next->n);
	c = &w->next->v[w->next->n++];
	c->name = xstrdup(name);
	c->argv = xcalloc(n + 1, sizeof(*c->argv));
	for (i = 0; i < n; i++)
		c->argv[i] = xstrdup(words[i]);
	return NULL;
}

static void
question_name(char out[32], const char *kind, const char *a, const char *b)
{
	char *both = xasprintf("%s\n%s\n%s", kind, a, b), hex[65];

	sha256_hex(both, strlen(both), hex);
	snprintf(out, 32, "%s.%.20s", kind, hex);
	free(both);
}

enum answer
ask_file(struct way_work *w, const char *path, const char **text)
{
	const char *words[] = { "head", "-c", WAY_FILE_MAX, "--", path, NULL };
	const struct section *s;
	char name[32];

	*text = "no path that could be read";
	if (*path != '/' || strlen(path) > 1024 || !clean_is(path, strlen(path)))
		return ANSWER_BROKEN;
	question_name(name, "file", path, "");
	s = asked(w, name, words);
	if (s == NULL)
		return ANSWER_MISSING;
	*text = s->text.s;
	return s->status == 0 ? ANSWER_FOUND : ANSWER_BROKEN;
}

enum answer
ask_roots(struct way_work *w, const char *dir, const char **text)
{
	/* a folder as openssl-rehash(1) leaves it; a fixed text: the folder is an argument of it */
	const char *words[] = { "sh", "-c", "for f in \"$1\"/*.[0-9]; do [ -f \"$f\" ] || continue; printf '\\n==> %s <==\\n' \"$f\"; head -c 65536 -- \"$f\"; done 2>/dev/null | "
		"head -c " WAY_FILE_MAX, "sh", dir, NULL };
	const struct section *s;
	char name[32];

	*text = "";
	if (*dir != '/' || strlen(dir) > 1024 || !clean_is(dir, strlen(dir)))
		return ANSWER_BROKEN;
	question_name(name, "roots", dir, "");
	s = asked(w, name, words);
	if (s == NULL)
		return ANSWER_MISSING;
	*text = s->text.s;
	return s->text.len > 0 ? ANSWER_FOUND : ANSWER_BROKEN;
}

enum answer
ask_rows(struct way_work *w, const char *map, const char **text)
{
	/* a fixed text: the map is an argument of it */
	const char *words[] = { "sh", "-c", "postmap -s \"$1\" | head -c " WAY_FILE_MAX, "sh", plain_map(map), NULL };
	const struct section *s;
	char name[32];

	if (!map_is_sane(plain_map(map)) || map_is_pattern(map))
		return ANSWER_BROKEN;
	question_name(name, "rows", plain_map(map), "");
	s = asked(w, name, words);
	if (s == NULL)
		return ANSWER_MISSING;
	*text = s->text.s;
	return s->status != 0 || text_starts(s->text.s, "postmap: ") || strstr(s->text.s, "\npostmap: ") ? ANSWER_BROKEN
	    : ANSWER_FOUND;
}

enum answer
ask_dane(struct way_work *w, const char *dest, const char **text)
{
	const char *words[] = { "posttls-finger", "-t", "8", "-T", "8", "-c", "-l", "dane-only", "-L", "summary", "--", dest, NULL };
	const struct section *s;
	char name[32];

	if (!clean_is(dest, strlen(dest)) || strlen(dest) > WAY_KEY_MAX)
		return ANSWER_BROKEN;
	question_name(name, WAY_LOOK, dest, "dane");
	s = asked(w, name, words);
	if (s == NULL)
		return ANSWER_MISSING;
	*text = s->text.s;
	return s->status == 126 || s->status == 127 ? ANSWER_BROKEN : ANSWER_FOUND;
}

/* Many keys of one table are asked by one postmap: the keys, a blank line, "key<tab>value" lines, a blank line, "= status",
 * and what postmap said. A fixed text; table and keys are arguments of it. */
static const char query[] =
    "map=$1; shift; printf '%s\\n' \"$@\" ''; exec 3>&1; "
    "said=$(printf '%s\\n' \"$@\" | postmap -q - \"$map\" 2>&1 >&3); printf '\\n= %s\\n%s\\n' \"$?\" \"$said\"";

/* The line from *at on that begins with key and the character behind it; NULL: none before a blank line. *at: the line
 * behind it, or behind the blank one. */
static const char *
line_with(const char **at, const char *key, char behind)
{
	const char *line = *at, *end, *found = NULL;
	size_t n = strlen(key);

	for (; *line && *line != '\n'; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (found == NULL && strncmp(line, key, n) == 0 && line[n] == behind)
			found = line;
	}
	*at = line + (*line == '\n');
	return found;
}

/* What one answer says of a key: missing when it was not among those asked. */
static enum answer
answer_in(const char *text, const char *key, char **row)
{
	const char *keys = line_with(&text, key, '\n'), *value = NULL, *line;
	size_t n = strlen(key), len;

	if (keys == NULL)
		return ANSWER_MISSING;
	line = line_with(&text, key, '\t');
	if (line != NULL) {
		value = line + n + 1;
		len = strcspn(value, "\n");
		*row = xstrndup(value, len < ROW_MAX ? len : ROW_MAX);
		return ANSWER_FOUND;
	}
	/* status 1 and no word: it is not there */
	return text_starts(text, "= 0\n") || (text_starts(text, "= 1\n") && strstr(text, "postmap: fatal:") == NULL)
	    ? ANSWER_NONE : ANSWER_BROKEN;
}

/* Puts a key to those of the table that are asked next. */
static void
ask_next(struct way_work *w, const char *name, const char *map, const char *key)
{
	struct command *c = NULL;
	size_t i, n;

	w->wait = true;
	for (i = 0; i < w->next->n && c == NULL; i++)
		if (strcmp(w->next->v[i].name, name) == 0)
			c = &w->next->v[i];
	if (c == NULL)
		c = command_add(w->next, name, "sh", "-c", query, "sh", map, (char *)NULL);
	for (n = QUERY_WORDS; c->argv[n]; n++)
		if (strcmp(c->argv[n], key) == 0)
			return;
	if (n - QUERY_WORDS >= KEYS_AT_ONCE)             /* in the next round */
		return;
	c->argv = xrealloc(c->argv, n + 2, sizeof(*c->argv));
	c->argv[n] = xstrdup(key);
	c->argv[n + 1] = NULL;
}

static enum answer
ask_map(struct way_work *w, const char *map, const char *key, char **row)
{
	const struct section *s;
	char name[32], numbered[48];
	enum answer a = ANSWER_MISSING;
	int round;

	*row = NULL;
	map = plain_map(map);
	if (*key == '\0' || strlen(key) > WAY_KEY_MAX || !clean_is(key, strlen(key)))
		return ANSWER_NONE;
	if (!map_is_sane(map))
		return ANSWER_BROKEN;
	if (++w->lookups > WAY_LOOKUPS) {
		w->over = true;
		return ANSWER_BROKEN;
	}
	question_name(name, "ask", map, "");
	for (round = 0; a == ANSWER_MISSING && round < ROUNDS_MAX; round++) {
		snprintf(numbered, sizeof(numbered), "%s.%d", name, round);
		if ((s = section_find(w->s, numbered)) == NULL) {
			ask_next(w, numbered, map, key);
			return ANSWER_MISSING;
		}
		a = s->status == 0 ? answer_in(s->text.s, key, row) : ANSWER_BROKEN;
	}
	return a == ANSWER_MISSING ? ANSWER_BROKEN : a;
}

/* All tables are asked at once, even when the first may know: a round trip costs more than they do. */
enum answer
ask_maps(struct way_work *w, const struct words *maps, const char *key, bool partial, struct hit *h)
{
	bool missing = false;
	char *row;
	size_t i;

	for (i = 0; i < maps->n; i++) {
		enum answer a;

		if (partial && map_is_pattern(maps->v[i]))
			continue;
		a = ask_map(w, maps->v[i], key, &row);
		missing = missing || a == ANSWER_MISSING;
		if (missing) {
			free(row);
			continue;
		}
		if (a == ANSWER_FOUND || a == ANSWER_BROKEN) {
			*h = (struct hit){ xstrdup(maps->v[i]), xstrdup(key), row };
			return a;
		}
	}
	return missing ? ANSWER_MISSING : ANSWER_NONE;
}

void
way_key_add(struct way_keys *k, bool partial, const char *fmt, ...)
{
	char text[WAY_KEY_MAX + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ARRAY_GROW(k->v, k->n);
	k->v[k->n++] = (struct way_key){ xstrdup(text), partial };
}

void
way_keys_release(struct way_keys *k)
{
	size_t i;

	for (i = 0; i < k->n; i++)
		free(k->v[i].text);
	free(k->v);
	*k = (struct way_keys){ NULL, 0 };
}

enum answer
ask_keys(struct way_work *w, const struct words *maps, const struct way_keys *keys, struct hit *h)
{
	bool missing = false;
	size_t i;

	for (i = 0; i < keys->n; i++) {
		enum answer a = ask_maps(w, maps, keys->v[i].text, keys->v[i].partial, h);

		missing = missing || a == ANSWER_MISSING;
		if (missing)
			hit_release(h);
		else if (a != ANSWER_NONE)
			return a;
	}
	return missing ? ANSWER_MISSING : ANSWER_NONE;
}

/* --- addresses --- */

char *
without_extension(const struct view *v, const char *address, const char **ext)
{
	char *delimiters = view_value(v, NULL, "recipient_delimiter"), *bare = NULL;
	const char *at = strrchr(address, '@');
	size_t local = at ? (size_t)(at - address) : strlen(address), n = 0;

	/* never of postmaster and mailer-daemon, nor so that nothing is left */
	if (*delimiters && !(local == 10 && strncasecmp(address, "postmaster", 10) == 0)
	    && !(local == 13 && strncasecmp(address, "mailer-daemon", 13) == 0) && *address != '"')
		n = strcspn(address, delimiters);
	if (n > 0 && n < local) {
		bare = xasprintf("%.*s%s", (int)n, address, at ? at : "");
		if (ext)
			*ext = address + n;
	}
	free(delimiters);
	return bare;
}

bool
word_in(const struct view *v, const char *param, const char *word)
{
	char *list = view_value(v, NULL, param);
	struct words w;
	bool found = false;
	size_t i;

	words_of(&w, list);
	for (i = 0; i < w.n; i++)
		found = found || strcasecmp(w.v[i], word) == 0;
	words_release(&w);
	free(list);
	return found;
}

bool
parents_match(const struct view *v, const char *param)
{
	return word_in(v, "parent_domain_matches_subdomains", param);
}

enum answer
ask_address(struct way_work *w, const char *param, const char *address, struct hit *h)
{
	char *list = view_value(&w->v, NULL, param), *bare = NULL, *origin = NULL;
	const char *at = strrchr(address, '@');
	struct way_keys keys = { NULL, 0 };
	struct words maps;
	enum answer a = ANSWER_NONE, ours = ANSWER_NONE;

	words_of(&maps, list);
	if (maps.n == 0 || at == NULL)
		goto out;
	way_key_add(&keys, false, "%s", address);
	if ((bare = without_extension(&w->v, address, NULL)) != NULL)
		way_key_add(&keys, true, "%s", bare);
	if ((ours = way_complete(w, "x", &origin)) == ANSWER_FOUND)
		ours = strcasecmp(strrchr(origin, '@') + 1, at + 1) == 0 ? ANSWER_FOUND : domain_is_local(w, at + 1);
	if (ours == ANSWER_FOUND) {
		way_key_add(&keys, true, "%.*s", (int)(at - address), address);
		if (bare)
			way_key_add(&keys, true, "%.*s", (int)(strrchr(bare, '@') - bare), bare);
	}
	way_key_add(&keys, true, "%s", at);
	a = ask_keys(w, &maps, &keys, h);
	if (ours == ANSWER_MISSING || ours == ANSWER_BROKEN) {
		hit_release(h);
		a = ours;
	}
out:
	way_keys_release(&keys);
	words_release(&maps);
	free(bare);
	free(origin);
	free(list);
	return a;
}

/* --- lists of domains --- */

static bool
name_matches(const char *pattern, const char *domain, bool dotted, bool parents)
{
	size_t n = strlen(pattern), len = strlen(domain);

	if (strcasecmp(pattern, domain) == 0)
		return true;
	if (parents && len > n && domain[len - n - 1] == '.')
		return strcasecmp(domain + len - n, pattern) == 0;
	return dotted && !parents && *pattern == '.' && len > n && strcasecmp(domain + len - n, pattern) == 0;
}

static enum answer
table_lists(struct way_work *w, const char *map, const char *domain, bool dotted, bool parents)
{
	struct words maps = { (char *[]){ (char *)(uintptr_t)map }, 1 };
	struct way_keys keys = { NULL, 0 };
	struct hit h = { NULL, NULL, NULL };
	enum answer a;

	way_key_add(&keys, false, "%s", domain);
	while (dotted && (domain = strchr(domain + 1, '.')) != NULL) {
		domain += parents;
		way_key_add(&keys, false, "%s", domain);
	}
	a = ask_keys(w, &maps, &keys, &h);
	hit_release(&h);
	way_keys_release(&keys);
	return a;
}

static enum answer words_list(struct way_work *w, const struct words *l, const char *domain, bool dotted, bool parents,
        int depth);

static enum answer
file_lists(struct way_work *w, const char *path, const char *domain, bool dotted, bool parents, int depth)
{
	const char *text;
	struct words l;
	enum answer a = ask_file(w, path, &text);

	if (a != ANSWER_FOUND || depth > 3)
		return a == ANSWER_FOUND ? ANSWER_BROKEN : a;
	words_of(&l, text);
	a = words_list(w, &l, domain, dotted, parents, depth + 1);
	words_release(&l);
	return a;
}

static enum answer
words_list(struct way_work *w, const struct words *l, const char *domain, bool dotted, bool parents, int depth)
{
	bool missing = false;
	size_t i;

	for (i = 0; i < l->n; i++) {
		const char *word = l->v[i];
		bool not_it = *word == '!';
		enum answer a;

		word += not_it;
		if (*word == '/')
			a = file_lists(w, word, domain, dotted, parents, depth);
		else if (*word != '[' && strchr(word, ':'))
			a = table_lists(w, word, domain, dotted, parents);
		else
			a = name_matches(word, domain, dotted, parents) ? ANSWER_FOUND : ANSWER_NONE;
		missing = missing || a == ANSWER_MISSING;
		if (!missing && a == ANSWER_BROKEN)
			return a;
		if (!missing && a == ANSWER_FOUND)
			return not_it ? ANSWER_NONE : ANSWER_FOUND;
	}
	return missing ? ANSWER_MISSING : ANSWER_NONE;
}

enum answer
domain_listed(struct way_work *w, const char *param, const char *domain, bool dotted, bool parents)
{
	char *list = view_value(&w->v, NULL, param);
	struct words l;
	enum answer a;

	words_of(&l, list);
	a = words_list(w, &l, domain, dotted, parents, 0);
	words_release(&l);
	free(list);
	return a;
}

enum answer
domain_is_local(struct way_work *w, const char *domain)
{
	static const char *const own[] = { "[127.0.0.1]", "[::1]", "[ipv6:::1]" };
	size_t i;

	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcasecmp(domain, own[i]) == 0)
			return ANSWER_FOUND;
	return domain_listed(w, "mydestination", domain, true, false);
}
