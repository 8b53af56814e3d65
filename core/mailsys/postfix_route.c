/* Connectors as rows of our own two maps: smtp_tls_policy_maps, whose key is the next hop, and transport_maps, only for
 * a domain that would not go by DNS of itself. With a route by DNS the next hop is the recipient's domain, so both rows
 * have the same key; ".domain" stands for all that is below it (transport(5), postconf(5) smtp_tls_policy_maps). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

#define ROWS_MAX 20000

struct row { char *key; const char *level, *match, *connector; long cost; };
struct rows { struct row *v; size_t n; };

static void
rows_release(struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->n; i++)
		free(rows->v[i].key);
	free(rows->v);
}

/* --- from connectors to rows --- */

/* One address space "domain", "*.domain", with ",cost", to a key of our maps. */
static int
space_key(const struct connector *c, char *space, char **key, long *cost, struct err *e)
{
	char *comma = strchr(space, ','), *end = NULL;
	struct str name = STR_INIT;
	const char *plain;

	*cost = 1;
	if (comma) {
		*comma = '\0';
		*cost = strtol(comma + 1, &end, 10);
		if (end == comma + 1 || *end || *cost < 1 || *cost > 100)
			return err_set(e, RC_INVALID, "connector %s: the cost of %s is not a number from 1 to 100",
			    clean(c->name), clean(space));
	}
	if (name_to_ascii(space, &name, e) != 0) {
		str_release(&name);
		return err_wrap(e, "connector %s", clean(c->name));
	}
	plain = text_starts(name.s, "*.") ? name.s + 2 : name.s;
	if (*plain == '\0' || strspn(plain, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != strlen(plain)
	    || strspn(plain, "0123456789.") == strlen(plain)) {
		str_release(&name);
		return err_set(e, RC_INVALID, "connector %s: \"%s\" is not a domain", clean(c->name), clean(space));
	}
	*key = plain == name.s ? xstrdup(plain) : xasprintf(".%s", plain);
	str_release(&name);
	return 0;
}

static int
level_known(const struct connector *c, const char *level, struct err *e)
{
	const struct choice *l;

	for (l = tls_level_choices; l->name; l++)
		if (strcmp(l->name, level) == 0)
			return 0;
	return err_set(e, RC_INVALID, "connector %s: \"%s\" is not an outbound security level", clean(c->name), clean(level));
}

/* Names for "match=": host names, ".domain", and the words Postfix has for them. */
static int
match_known(const struct connector *c, struct err *e)
{
	const char *p = c->match;

	if (p == NULL || strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_ ") == strlen(p))
		return 0;
	return err_set(e, RC_INVALID, "connector %s: \"%s\" are not names that a certificate could carry", clean(c->name),
	    clean(p));
}

static void
row_add(struct rows *rows, struct row new, struct plan *p)
{
	size_t i;

	for (i = 0; i < rows->n; i++) {
		struct row *old = &rows->v[i];
		struct row lost;

		if (strcmp(old->key, new.key) != 0)
			continue;
		lost = new.cost < old->cost ? *old : new;
		plan_warn(p, "%s: connector %s (cost %ld) has it too, but is not used for it", clean(new.key),
		    clean(lost.connector), lost.cost);
		if (new.cost < old->cost)
			*old = new;
		free(lost.key);
		return;
	}
	ARRAY_GROW(rows->v, rows->n);
	rows->v[rows->n++] = new;
}

static int
rows_of(const struct connector *c, struct rows *rows, struct plan *p, struct err *e)
{
	char **spaces = words_split(c->domains ? c->domains : "", " \t\n", NULL);
	size_t i;
	int rc = -1;

	if (!text_empty(c->route) && strcmp(c->route, "dns") != 0) {
		err_set(e, RC_INVALID, "connector %s: \"%s\" is not a route", clean(c->name), clean(c->route));
		goto out;
	}
	if ((!text_empty(c->tls) && level_known(c, c->tls, e) != 0) || match_known(c, e) != 0)
		goto out;
	for (i = 0; spaces && spaces[i]; i++) {
		struct row row = { .level = c->tls, .match = c->match, .connector = c->name };

		if (rows->n >= ROWS_MAX) {
			err_set(e, RC_LIMIT, "the connectors have more than %d address spaces", ROWS_MAX);
			goto out;
		}
		if (space_key(c, spaces[i], &row.key, &row.cost, e) != 0)
			goto out;
		row_add(rows, row, p);
	}
	rc = 0;
out:
	words_free(spaces);
	return rc;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

/* --- where a domain goes without us --- */

/* The administrator's transport maps, as far as their source is text. */
struct admin_maps { struct pairs rows; bool unreadable; };

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

static void
admin_maps_read(struct admin_maps *m, const struct view *v, const struct reading *have, const struct file_list *files)
{
	char *list = view_value(v, NULL, "transport_maps");
	char **maps = words_split(list, ", \t\r\n", NULL);
	size_t i;

	*m = (struct admin_maps){ .unreadable = false };
	for (i = 0; maps && maps[i]; i++) {
		const char *map = text_starts(maps[i], "proxy:") ? maps[i] + 6 : maps[i], *path = strchr(map, ':'), *text;

		if (text_starts(map, "texthash:" OURS_DIR))
			continue;
		text = path ? file_text(files, &have->sections, FILE_MAP, path + 1, "map") : NULL;
		if (text)
			source_read(&m->rows, text);
		else
			m->unreadable = true;
	}
	pairs_sort(&m->rows);
	words_free(maps);
	free(list);
}

/* Is the administrator's answer for a domain one that means "by DNS, with the domain as next hop"? */
static bool
by_dns(const char *answer, const char *domain)
{
	return strcasecmp(answer, "smtp:") == 0
	    || (strncasecmp(answer, "smtp:", 5) == 0 && strcasecmp(answer + 5, domain) == 0);
}

/* Would mail for this key not go by DNS? Not sure counts as yes. */
static bool
goes_elsewhere(const struct view *v, const struct admin_maps *admin, const char *key)
{
	static const char *const others[] = { "relayhost", "sender_dependent_relayhost_maps",
		"sender_dependent_default_transport_maps" };
	const char *lookup = key, *answer = pairs_get(&admin->rows, key);
	char *transport;
	bool elsewhere;
	size_t i;

	if (admin->unreadable)
		return true;
	while (answer == NULL && strcmp(lookup, "*") != 0) {        /* bank.test, .test, * */
		lookup = strchr(lookup + 1, '.');
		if (lookup == NULL)
			lookup = "*";
		answer = pairs_get(&admin->rows, lookup);
	}
	if (answer && strcmp(answer, ":") != 0)
		return !by_dns(answer, key + (*key == '.'));
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!view_empty(v, NULL, others[i]))
			return true;
	transport = view_value(v, NULL, "default_transport");
	elsewhere = strcmp(transport, "smtp") != 0 && strcmp(transport, "smtp:") != 0;
	free(transport);
	return elsewhere;
}

/* Domains whose mail never leaves this host: a rule for them is dead, and a route would make a loop. */
static bool
is_local(const struct view *v, const char *key)
{
	static const char *const classes[] = { "mydestination", "virtual_mailbox_domains", "virtual_alias_domains" };
	bool local = false;
	size_t i, k;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]) && !local; i++) {
		char *list = view_value(v, NULL, classes[i]);
		char **words = words_split(list, ", \t\r\n", NULL);

		for (k = 0; words && words[k]; k++)
			local = local || strcasecmp(words[k], key) == 0;
		words_free(words);
		free(list);
	}
	return local;
}

/* --- the two files --- */

static const char policy_head[] =
    "# Written by mxseal: TLS by next hop (smtp_tls_policy_maps). The next push replaces this file;\n"
    "# edit the connectors instead. \"mxseal undo\" puts the former state back.\n";
static const char transport_head[] =
    "# Written by mxseal: routes of connectors (transport_maps). The next push replaces this file;\n"
    "# edit the connectors instead. \"mxseal undo\" puts the former state back.\n";

static void
add_policy(struct str *out, const struct row *row)
{
	const char *p = row->match;

	if (out->len == 0)
		str_add(out, policy_head);
	str_addf(out, "%s %s", row->key, row->level);
	if (!text_empty(p) && (strcmp(row->level, "verify") == 0 || strcmp(row->level, "secure") == 0)) {
		const char *sign = " match=";

		while (*(p += strspn(p, " "))) {
			size_t n = strcspn(p, " ");

			str_addf(out, "%s%.*s", sign, (int)n, p);
			sign = ":";
			p += n;
		}
	}
	str_addc(out, '\n');
}

int
route_render(const struct view *v, const struct reading *have, const struct file_list *files,
        const struct connector_list *connectors, struct map_files *out, bool *needs_ca, bool *needs_dnssec,
        struct plan *p, struct err *e)
{
	struct rows rows = { 0 };
	struct admin_maps admin;
	size_t i;
	int rc = -1;

	admin_maps_read(&admin, v, have, files);
	for (i = 0; i < connectors->n; i++)
		if (rows_of(&connectors->v[i], &rows, p, e) != 0)
			goto out;
	if (rows.n)
		qsort(rows.v, rows.n, sizeof(*rows.v), by_key);
	for (i = 0; i < rows.n; i++) {
		const struct row *row = &rows.v[i];

		if (is_local(v, row->key)) {
			plan_warn(p, "connector %s: mail for %s stays on this host, so the rule has nothing to do",
			    clean(row->connector), row->key);
			continue;
		}
		if (goes_elsewhere(v, &admin, row->key)) {
			if (out->transport.len == 0)
				str_add(&out->transport, transport_head);
			str_addf(&out->transport, "%s smtp:\n", row->key);
		}
		if (text_empty(row->level))
			continue;
		add_policy(&out->policy, row);
		*needs_ca = *needs_ca || strcmp(row->level, "verify") == 0 || strcmp(row->level, "secure") == 0;
		*needs_dnssec = *needs_dnssec || text_starts(row->level, "dane");
	}
	rc = 0;
out:
	rows_release(&rows);
	pairs_release(&admin.rows);
	return rc;
}
