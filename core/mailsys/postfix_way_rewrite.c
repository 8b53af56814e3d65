/* What happens to a recipient before it is routed: completed by trivial-rewrite(8), then canonical(5) and virtual(5) tables
 * of cleanup(8), several levels and several recipients; for a local one aliases(5). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/xalloc.h"
#include "postfix_way.h"

#define LEVELS 20                /* tables that lead to tables; Postfix's own ceilings are higher and lead nowhere either */

static void
add(struct words *l, char *word)
{
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = word;
}

static bool
has(const struct words *l, const char *word)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcasecmp(l->v[i], word) == 0)
			return true;
	return false;
}

enum answer
way_complete(struct way_work *w, const char *address, char **out)
{
	const char *at = strrchr(address, '@'), *text;
	char *origin, *domain;
	enum answer a = ANSWER_FOUND;

	if (at == NULL) {
		origin = view_value(&w->v, NULL, "myorigin");
		if (*origin == '/' && (a = ask_file(w, origin, &text)) == ANSWER_FOUND) {
			free(origin);
			origin = xstrndup(text, strcspn(text, " \t\r\n"));
		}
		*out = a == ANSWER_FOUND ? xasprintf("%s@%s", address, origin) : NULL;
		free(origin);
		return a;
	}
	if (strchr(at, '.') == NULL && at[1] != '[' && view_yes(&w->v, NULL, "append_dot_mydomain")
	    && strcasecmp(at + 1, "localhost") != 0) {
		domain = view_value(&w->v, NULL, "mydomain");
		*out = xasprintf("%s.%s", address, domain);
		free(domain);
	} else {
		*out = xstrdup(address);
	}
	return ANSWER_FOUND;
}

/* Addresses of a row: by comma or white space, quoted text held together. */
static void
addresses_of(const char *row, struct words *out)
{
	while (*(row += strspn(row, ", \t")) && out->n < WAY_ENDS) {
		size_t n = 0;
		bool quoted = false;

		while (row[n] && (quoted || !strchr(", \t", row[n]))) {
			if (row[n] == '\\' && row[n + 1])
				n++;
			else if (row[n] == '"')
				quoted = !quoted;
			n++;
		}
		add(out, xstrndup(row, n));
		row += n;
	}
}

/* One answer of a table to an address: "@other" keeps the user, what of the extension was not matched is put on again. */
static enum answer
apply(struct way_work *w, const char *address, const struct hit *h, bool propagate, struct words *out)
{
	const char *at = strrchr(address, '@'), *ext = NULL;
	char *bare = without_extension(&w->v, address, &ext);
	bool bare_hit = bare && (strcasecmp(h->key, bare) == 0
	    || (strchr(h->key, '@') == NULL && strlen(h->key) < (size_t)(at - address)));
	struct words found = { NULL, 0 };
	enum answer a = ANSWER_FOUND;
	size_t i;

	addresses_of(h->row, &found);
	for (i = 0; i < found.n && a == ANSWER_FOUND; i++) {
		const char *new = found.v[i], *new_at = strrchr(new, '@');
		char *raw, *done = NULL;

		if (*new == '@')
			raw = xasprintf("%.*s%s", (int)(at - address), address, new);
		else if (bare_hit && propagate && strchr("\"|/:\\", *new) == NULL)
			raw = xasprintf("%.*s%.*s%s", (int)(new_at ? new_at - new : (long)strlen(new)), new, (int)(at - ext), ext,
			    new_at ? new_at : "");
		else
			raw = xstrdup(new);
		a = way_complete(w, raw, &done);
		if (a == ANSWER_FOUND)
			add(out, done);
		free(raw);
	}
	words_release(&found);
	free(bare);
	return a;
}

/* One-to-one tables, as canonical(5). *address is replaced. */
static enum answer
canonical(struct way_work *w, const char *param, char **address)
{
	bool propagate = word_in(&w->v, "propagate_unmatched_extensions", "canonical");
	enum answer a;
	int level;

	for (level = 0; level < LEVELS; level++) {
		struct hit h = { NULL, NULL, NULL };
		struct words new = { NULL, 0 };
		bool same = true;

		a = ask_address(w, param, *address, &h);
		if (a == ANSWER_FOUND)
			a = apply(w, *address, &h, propagate, &new);
		if (a == ANSWER_BROKEN)
			step_add(&w->out->steps, &h, "%s cannot be asked: Postfix takes no mail for this address", param);
		if (a == ANSWER_FOUND && new.n > 0 && !(same = strcasecmp(new.v[0], *address) == 0)) {
			step_add(&w->out->steps, &h, "%s makes it %s", param, new.v[0]);
			xset(address, new.v[0]);
		}
		words_release(&new);
		hit_release(&h);
		if (a != ANSWER_FOUND)
			return a == ANSWER_NONE ? ANSWER_FOUND : a;
		if (same)
			break;
	}
	return ANSWER_FOUND;
}

static void
say_expansion(struct way_work *w, const char *from, const struct hit *h, const struct words *new)
{
	struct str to = STR_INIT;
	size_t i;

	for (i = 0; i < new->n; i++)
		str_addf(&to, "%s%s", i == 0 ? "" : i + 1 == new->n ? " and " : ", ", new->v[i]);
	step_add(&w->out->steps, h, "virtual_alias_maps: mail for %s goes to %s", from, to.s);
	str_release(&to);
}

/* One-to-many tables, as virtual(5): the list is rewritten in place until nothing in it is known any more. */
static enum answer
virtual_aliases(struct way_work *w, struct words *l)
{
	bool propagate = word_in(&w->v, "propagate_unmatched_extensions", "virtual");
	struct words been = { NULL, 0 };
	enum answer a = ANSWER_FOUND;
	size_t at, i;
	bool missing = false;

	for (at = 0; at < l->n && at < WAY_ENDS; at++) {
		int level;

		for (level = 0; level < LEVELS && !has(&been, l->v[at]); level++) {
			struct hit h = { NULL, NULL, NULL };
			struct words new = { NULL, 0 };
			char *from = xstrdup(l->v[at]);

			add(&been, xstrdup(from));
			a = ask_address(w, "virtual_alias_maps", from, &h);
			if (a == ANSWER_FOUND)
				a = apply(w, from, &h, propagate, &new);
			if (a == ANSWER_FOUND && new.n > 0 && !(new.n == 1 && strcasecmp(new.v[0], from) == 0))
				say_expansion(w, from, &h, &new);
			for (i = 0; a == ANSWER_FOUND && i < new.n; i++) {
				if (i == 0)
					xset(&l->v[at], new.v[0]);
				else if (l->n < WAY_ENDS)
					add(l, xstrdup(new.v[i]));
			}
			if (a == ANSWER_BROKEN)
				step_add(&w->out->steps, &h, "virtual_alias_maps cannot be asked: Postfix takes no mail for this address");
			missing = missing || a == ANSWER_MISSING;
			words_release(&new);
			hit_release(&h);
			free(from);
			if (a != ANSWER_FOUND)
				break;
		}
		if (a == ANSWER_BROKEN)
			break;
		a = ANSWER_FOUND;
	}
	words_release(&been);
	return missing ? ANSWER_MISSING : a;
}

/* The same recipient twice gets one copy. */
static void
drop_doubles(struct words *l)
{
	struct words once = { NULL, 0 };
	size_t i;

	for (i = 0; i < l->n; i++)
		if (!has(&once, l->v[i]))
			add(&once, xstrdup(l->v[i]));
	words_release(l);
	*l = once;
}

enum answer
way_rewrite(struct way_work *w, const char *address, struct words *out)
{
	char *whole = NULL;
	enum answer a = way_complete(w, address, &whole);

	if (a == ANSWER_FOUND && strcmp(whole, address) != 0)
		step_add(&w->out->steps, NULL, "completed to %s", whole);
	if (a == ANSWER_FOUND && word_in(&w->v, "recipient_canonical_classes", "envelope_recipient"))
		a = canonical(w, "recipient_canonical_maps", &whole);
	if (a == ANSWER_FOUND && word_in(&w->v, "canonical_classes", "envelope_recipient"))
		a = canonical(w, "canonical_maps", &whole);
	if (a == ANSWER_FOUND) {
		add(out, whole);
		whole = NULL;
		a = virtual_aliases(w, out);
		drop_doubles(out);
	}
	free(whole);
	return a;
}

enum answer
way_aliases(struct way_work *w, const char *address, struct words *out, struct way_step_list *steps)
{
	const char *at = strrchr(address, '@');
	char *bare = without_extension(&w->v, address, NULL), *list = view_value(&w->v, NULL, "alias_maps");
	struct way_keys keys = { NULL, 0 };
	struct hit h = { NULL, NULL, NULL };
	struct words maps;
	enum answer a;

	words_of(&maps, list);
	way_key_add(&keys, true, "%.*s", (int)(at - address), address);
	if (bare)
		way_key_add(&keys, true, "%.*s", (int)(strrchr(bare, '@') - bare), bare);
	a = ask_keys(w, &maps, &keys, &h);
	if (a == ANSWER_FOUND) {
		step_add(steps, &h, "alias_maps: mail for %.*s goes to %s", (int)(at - address), address, h.row);
		addresses_of(h.row, out);
	} else if (a == ANSWER_BROKEN) {
		step_add(steps, &h, "alias_maps cannot be asked: its mail waits");
	}
	hit_release(&h);
	way_keys_release(&keys);
	words_release(&maps);
	free(bare);
	free(list);
	return a;
}
