/* The administrator's own rules beside those of connectors: where mail goes without us, which of their rows ours put out of
 * use, and which go past ours. A table is asked key by key, the most specific first, and for each key all tables of the list
 * in order (transport(5), postconf(5) smtp_tls_policy_maps): so a row of theirs that is more specific beats ours in front. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

/* "key value" lines, also continued, as postmap(1) reads them. */
static void
source_read(struct pairs *out, const char *text)
{
	struct cf_text t;
	size_t i;

	if (cf_read(&t, text, strlen(text), "map", NULL) == 0)
		for (i = 0; i < t.n; i++) {
			char *line = t.lines[i].joined, *value = line;

			if (t.lines[i].orphan)
				continue;
			for (; *value && !cf_blank(*value); value++)
				if (*value >= 'A' && *value <= 'Z')
					*value += 'a' - 'A';
			if (*value)
				*value++ = '\0';
			pairs_add(out, line, text_trim(value));
		}
	cf_release(&t);
}

void
their_rows_read(struct their_rows *t, const char *param, const struct view *v, const struct reading *have,
        const struct file_list *files)
{
	char *list = view_value(v, NULL, param);
	char **maps = words_split(list, ", \t\r\n", NULL);
	size_t i;

	*t = (struct their_rows){ .param = param, .unreadable = STR_INIT };
	for (i = 0; maps && maps[i]; i++) {
		const char *map = text_starts(maps[i], "proxy:") ? maps[i] + 6 : maps[i], *path = strchr(map, ':'), *text;

		if (text_starts(map, "texthash:" OURS_DIR))
			continue;
		text = path ? file_text(files, &have->sections, FILE_MAP, path + 1, "map") : NULL;
		if (text)
			source_read(&t->rows, text);
		else
			str_addf(&t->unreadable, "%s%s", t->unreadable.len ? " " : "", maps[i]);
	}
	pairs_sort(&t->rows);
	for (i = 0; i < t->rows.n && !t->addresses; i++)
		t->addresses = strchr(t->rows.v[i].name, '@') != NULL;
	words_free(maps);
	free(list);
}

void
their_rows_release(struct their_rows *t)
{
	pairs_release(&t->rows);
	str_release(&t->unreadable);
}

/* --- where a domain goes without us --- */

/* Is the administrator's answer for a domain one that means "by DNS, with the domain as next hop"? */
static bool
by_dns(const char *answer, const char *domain)
{
	return strcasecmp(answer, "smtp:") == 0
	    || (strncasecmp(answer, "smtp:", 5) == 0 && strcasecmp(answer + 5, domain) == 0);
}

bool
goes_elsewhere(const struct view *v, const struct their_rows *transport, const char *key)
{
	static const char *const others[] = { "relayhost", "sender_dependent_relayhost_maps",
		"sender_dependent_default_transport_maps" };
	const char *lookup = key, *answer = pairs_get(&transport->rows, key);
	char *name;
	bool elsewhere;
	size_t i;

	if (transport->unreadable.len)
		return true;
	while (answer == NULL && strcmp(lookup, "*") != 0) {        /* bank.test, .test, * */
		lookup = strchr(lookup + 1, '.');
		if (lookup == NULL)
			lookup = "*";
		answer = pairs_get(&transport->rows, lookup);
	}
	if (answer && strcmp(answer, ":") != 0)
		return !by_dns(answer, key + (*key == '.'));
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char *value = view_value(v, NULL, others[i]);
		size_t ours_len;
		/* what is ours there is for every domain, and the planner knows of it */
		long ours = list_find(value, "regexp:" OURS_DIR, "", &ours_len);

		elsewhere = *value != '\0' && (ours != 0 || value[ours_len] != '\0');
		free(value);
		if (elsewhere)
			return true;
	}
	name = view_value(v, NULL, "default_transport");
	elsewhere = strcmp(name, "smtp") != 0 && strcmp(name, "smtp:") != 0;
	free(name);
	return elsewhere;
}

/* --- domains of the host itself --- */

static const char *const classes[] = { "mydestination", "virtual_mailbox_domains", "virtual_alias_domains" };
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

bool
is_local_domain(const struct view *v, const char *key)
{
	bool local = false;
	size_t i, k;

	for (i = 0; i < CLASSES && !local; i++) {
		char *list = view_value(v, NULL, classes[i]);
		char **words = words_split(list, ", \t\r\n", NULL);

		for (k = 0; words && words[k]; k++)
			local = local || strcasecmp(words[k], key) == 0;
		words_free(words);
		free(list);
	}
	return local;
}

static bool
ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcasecmp(name + n - m, end) == 0;
}

static bool
has_word(const struct str *words, const char *word)
{
	char *blanked = xasprintf(" %s ", words->s), *needle = xasprintf(" %s ", word);
	bool has = strstr(blanked, needle) != NULL;

	free(blanked);
	free(needle);
	return has;
}

void
local_below(const struct view *v, const char *key, struct str *out, bool *tables)
{
	size_t i, k;

	for (i = 0; i < CLASSES; i++) {
		char *list = view_value(v, NULL, classes[i]), *p;
		char **words = words_split(list, ", \t\r\n", NULL);

		for (k = 0; words && words[k]; k++) {
			for (p = words[k]; *p; p++)
				if (*p >= 'A' && *p <= 'Z')
					*p += 'a' - 'A';
			if (tables && strpbrk(words[k], ":/"))
				*tables = true;
			if (ends_in(words[k], key)
			    && strspn(words[k], "abcdefghijklmnopqrstuvwxyz0123456789.-_") == strlen(words[k]) && !has_word(out, words[k]))
				str_addf(out, "%s%s", out->len ? " " : "", words[k]);
		}
		words_free(words);
		free(list);
	}
}

/* --- what is put out of use, and what goes past --- */

/* Is their key below ours: "a.bank.test", ".a.bank.test", "anna@a.bank.test" below ".bank.test"; "anna@bank.test" belongs to
 * "bank.test" and to no wildcard. */
static bool
goes_past(const char *theirs, const char *ours)
{
	const char *at = strrchr(theirs, '@'), *domain = at ? at + 1 : theirs;

	if (*ours == '.')
		return ends_in(domain, ours);
	return at != NULL && strcasecmp(domain, ours) == 0;
}

void
their_rows_report(const struct their_rows *t, const char *key, bool same_too, const char *connector, struct plan *p)
{
	const char *same = pairs_get(&t->rows, key), *first = NULL;
	size_t i, n = 0;

	if (same && same_too)
		plan_warn(p, "the host's own row \"%s %.100s\" in %s is no longer used: connector %s stands in front of it", key, clean(same),
		    t->param, clean(connector));
	for (i = 0; i < t->rows.n && (*key == '.' || t->addresses); i++)
		if (goes_past(t->rows.v[i].name, key) && n++ == 0)
			first = t->rows.v[i].name;
	if (n == 0)
		return;
	plan_warn(p, "%zu row%s of the host's own in %s %s more specific than %s of connector %s and go%s past it, for example for %.100s",
	    n, n == 1 ? "" : "s", t->param, n == 1 ? "is" : "are", key, clean(connector), n == 1 ? "es" : "", clean(first));
}

void
their_all_report(const struct view *v, const struct their_rows *transport, const char *connector, bool everybody, struct plan *p)
{
	static const char *const params[] = { "relayhost", "sender_dependent_relayhost_maps" };
	size_t i, n = 0;

	for (i = 0; i < transport->rows.n; i++)
		n += strcmp(transport->rows.v[i].name, "*") != 0;
	if (n > 0)
		plan_warn(p, "%zu row%s of the host's own in transport_maps %s more specific than * of connector %s and go%s past it", n,
		    n == 1 ? "" : "s", n == 1 ? "is" : "are", clean(connector), n == 1 ? "es" : "");
	if (!everybody && pairs_get(&transport->rows, "*"))
		plan_warn(p, "the host's own row * in transport_maps is for every sender: no mail reaches connector %s before it is gone",
		    clean(connector));
	for (i = 0; everybody && i < sizeof(params) / sizeof(params[0]); i++) {
		char *value = view_value(v, NULL, params[i]);

		if (*value)
			plan_warn(p, "the host's own %s = %.100s is used only for relay_domains now: connector %s has every other domain",
			    params[i], clean(value), clean(connector));
		free(value);
	}
}
