/* Whose waiting mail a push may set free: for which destinations it changes how mail leaves, as what is wanted differs from what was
 * pushed last and from what was found on the host. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/connector.h"
#include "mxseal/xalloc.h"

#define ROWS 8                   /* more words than that are followed as one */
#define WORDS_MAX 1000           /* and more than that are not told apart: all that TLS holds up */

struct freed { char **v; size_t n; };

static void
add(struct freed *f, const char *word)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (text_ieq(f->v[i], word))
			return;
	if (f->n >= WORDS_MAX)
		word = "*";
	if (f->n > WORDS_MAX)
		return;
	ARRAY_GROW(f->v, f->n);
	f->v[f->n++] = xstrdup(word);
}

static bool
has(const struct freed *f, const char *word)
{
	size_t i = 0;

	while (i < f->n && !text_ieq(f->v[i], word))
		i++;
	return i < f->n;
}

static void
add_words(struct freed *f, const char *text)
{
	char **w = words_split(text != NULL ? text : "", " ", NULL);
	size_t i;

	for (i = 0; w[i] != NULL; i++) {
		w[i][strcspn(w[i], ",")] = '\0';               /* of an address space its domain, without the cost */
		add(f, w[i]);
	}
	words_free(w);
}

/* --- what was told --- */

static char *
note_fact(int64_t server)
{
	return xasprintf("follow:%lld", (long long)server);
}

static void
add_noted(struct freed *f, struct journey *j, int64_t server)
{
	char *fact = note_fact(server), *text = NULL;

	if (store_fact_get(j->store, fact, &text, NULL) == 0)
		add_words(f, text);
	free(fact);
	free(text);
}

static void
freed_release(struct freed *f)
{
	while (f->n > 0)
		free(f->v[--f->n]);
	free(f->v);
	f->v = NULL;
}

static char *
as_text(const struct freed *f)
{
	struct str text = STR_INIT;
	size_t i;

	for (i = 0; i < f->n; i++)
		str_addf(&text, "%s%s", i > 0 ? " " : "", f->v[i]);
	return text.len > 0 ? str_take(&text) : NULL;
}

int
freed_note(struct journey *j, int64_t server, const char *words, struct err *e)
{
	char *fact = note_fact(server);
	int rc = store_fact_set(j->store, fact, words, e);

	free(fact);
	return rc;
}

int
queue_follow_note(struct journey *j, int64_t server, const char *destination, struct err *e)
{
	struct freed f = { NULL, 0 };
	char *words;
	int rc;

	add_noted(&f, j, server);
	add(&f, destination);
	words = as_text(&f);
	rc = freed_note(j, server, words, e);
	free(words);
	freed_release(&f);
	return rc;
}

int
queue_follow_forget(struct journey *j, int64_t server, struct err *e)
{
	return freed_note(j, server, NULL, e);
}

/* --- what differs --- */

static bool
frees(const char *setting)
{
	static const char *const names[] = { "tls", "protocol-min", "ciphers", "smart-host", "fallback-host", "port", "dns-servers", NULL };
	size_t i;

	for (i = 0; text_starts(setting, "outbound.") && names[i] != NULL; i++)
		if (strcmp(setting + strlen("outbound."), names[i]) == 0)
			return true;
	return false;
}

/* Will this virtual server send otherwise than it does? */
static bool
sends_otherwise(const struct drift_facts *facts, const struct vserver *vs, const struct wanted_vs *w)
{
	char **was = pushed_settings(facts, w->name);
	bool yes = false;
	size_t i, k;

	for (i = 0; i < w->settings.n && !yes; i++) {
		const struct wanted *s = &w->settings.v[i];
		const struct found_value *v = found_value_of(vs, s->name);
		const char *found = v != NULL ? v->value : NULL;

		yes = frees(s->name) && !text_eq(found, s->value) && drift_kind_of(facts, w->name, s->name, s->value, found) != DRIFT_LEFT;
	}
	for (i = 0; was[i] != NULL && !yes; i++) {                 /* unset since: the host's own value comes back */
		for (k = 0; k < w->settings.n && !text_eq(w->settings.v[k].name, was[i]); k++)
			;
		yes = frees(was[i]) && k == w->settings.n;
	}
	words_free(was);
	return yes;
}

static bool
sent_by(const struct connector *c, const char *vs)
{
	char **w = words_split(c->via != NULL ? c->via : "", " ", NULL);
	bool yes = false;
	size_t i;

	for (i = 0; w[i] != NULL; i++) {
		const char *slash = strchr(w[i], '/');

		yes = yes || (slash != NULL && strcmp(slash + 1, vs) == 0);
	}
	words_free(w);
	return yes;
}

static void
add_changed(struct freed *f, const struct drift_facts *facts, const struct vserver_list *l, const struct wanted_host *w)
{
	char **spaces = pushed_otherwise(facts, &w->connectors);
	size_t i, k;

	for (i = 0; spaces[i] != NULL; i++)
		add(f, spaces[i]);
	words_free(spaces);
	for (i = 0; i < l->n && i < w->n_vs; i++) {
		if (!sends_otherwise(facts, &l->v[i], &w->vs[i]))
			continue;
		if (w->vs[i].is_default)
			add(f, "*");
		for (k = 0; k < w->connectors.n && !w->vs[i].is_default; k++)
			if (sent_by(&w->connectors.v[k], w->vs[i].name))
				add_words(f, w->connectors.v[k].domains);
	}
}

/* A line for each row. "*" is the mail of no other address space, neither of a connector nor of a row of its own. */
static char **
as_rows(const struct freed *f, const struct connector_list *connectors)
{
	struct freed others = { NULL, 0 };
	struct str text = STR_INIT;
	bool one = f->n > ROWS;
	char **rows;
	size_t i, k;

	for (i = 0; i < connectors->n; i++)
		add_words(&others, connectors->v[i].domains);
	for (i = 0; i < f->n; i++)
		add(&others, f->v[i]);
	for (i = 0; i < f->n; i++) {
		str_addf(&text, "%s%s", i == 0 ? "" : one ? " " : "\n", f->v[i]);
		for (k = 0; strcmp(f->v[i], "*") == 0 && k < others.n; k++)
			if (strcmp(others.v[k], "*") != 0 && !(one && has(f, others.v[k])))
				str_addf(&text, " !%s", others.v[k]);
	}
	rows = words_split(text.len > 0 ? text.s : "", "\n", NULL);
	freed_release(&others);
	str_release(&text);
	return rows;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
freed_of(struct journey *j, int64_t server, bool waits, struct freed *out, struct wanted_host *w)
{
	struct server sv = { .id = 0 };
	struct vserver_list l = { NULL, 0 };
	struct drift_facts *facts;

	add_noted(out, j, server);
	if (store_server_get(j->store, server, &sv, NULL) == 0 && store_vservers(j->store, server, &l, NULL) == 0 &&
	    wanted_build(j, server, w, NULL) == 0 && !waits) {
		facts = drift_facts_get(j, &sv);
		add_changed(out, facts, &l, w);
		drift_facts_free(facts);
	}
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), by_name);
	vserver_list_release(&l);
	server_release(&sv);
}

char *
freed_words(struct journey *j, int64_t server)
{
	struct freed f = { NULL, 0 };
	struct wanted_host w = { .vs = NULL };
	char *words;

	freed_of(j, server, false, &f, &w);
	words = as_text(&f);
	wanted_free(&w);
	freed_release(&f);
	return words;
}

char **
queue_follow_destinations(struct journey *j, int64_t server, bool waits)
{
	struct freed f = { NULL, 0 };
	struct wanted_host w = { .vs = NULL };
	char **rows;

	freed_of(j, server, waits, &f, &w);
	rows = as_rows(&f, &w.connectors);
	wanted_free(&w);
	freed_release(&f);
	return rows;
}
