/* The administrator's own rules that say where mail goes and how: rows of the maps that transport_maps, relayhost,
 * smtp_tls_policy_maps, sender_dependent_*_maps and tls_server_sni_maps name, with where each stands. Of a map whose source is
 * text the source is read, else what postmap -s lists; patterns are shown as they are; what only a query can tell is said to be
 * so. Nothing of ours is among them. Of tls_server_sni_maps only the names are, for behind them stand private keys. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

#define MAP_ROWS 300            /* rows of one map, and "and N more" */
#define ALL_ROWS 1500
#define ROW_LEN 500             /* of a key or value */
#define KEYS_KIND "sni"         /* a rule of it never has a value */

static const struct { const char *param, *kind; bool sends, receives; } places[] = {
	{ "transport_maps", "transport", false, false },
	{ "smtp_tls_policy_maps", "policy", true, false },
	{ "sender_dependent_relayhost_maps", "sender-relay", false, false },
	{ "sender_dependent_default_transport_maps", "sender-transport", false, false },
	{ "tls_server_sni_maps", KEYS_KIND, false, true },
};
#define PLACES (sizeof(places) / sizeof(places[0]))

struct rules {
	const struct view *v;
	const struct file_list *files;
	const struct sections *s;
	struct found_rule_list *out;
	const char *kind, *source;
	size_t rows, more;        /* of this map */
};

static char *
bounded(const char *text, size_t len)
{
	struct str out = STR_INIT;

	clean_text(&out, text, len < ROW_LEN ? len : ROW_LEN, false);
	return str_take(&out);
}

static void
row(struct rules *r, const char *key, size_t key_len, const char *value, size_t value_len)
{
	struct found_rule *f;

	if (r->rows >= MAP_ROWS || r->out->n >= ALL_ROWS) {
		r->more++;
		return;
	}
	r->rows++;
	f = found_rule_list_add(r->out);
	f->kind = xstrdup(r->kind);
	f->source = bounded(r->source, strlen(r->source));
	f->key = bounded(key, key_len);
	f->value = strcmp(r->kind, KEYS_KIND) == 0 ? xstrdup("") : bounded(value, value_len);
}

static void
row_text(struct rules *r, const char *key, const char *value)
{
	row(r, key, strlen(key), value, strlen(value));
}

/* Says something of the map itself, which is no value of it. */
static void
note(struct rules *r, const char *text)
{
	size_t n = r->out->n;

	row_text(r, "", "");
	if (r->out->n > n)
		xset(&r->out->v[n].value, text);
}

/* Where the key of a pattern row ends: "/x y/i ", "!/x/", "if /x/", "endif". */
static size_t
pattern_end(const char *line)
{
	size_t at = strncmp(line, "if ", 3) == 0 ? 3 + strspn(line + 3, " \t") : 0;
	char close;

	at += line[at] == '!';
	close = line[at];
	if (close == '\0' || strncmp(line, "endif", 5) == 0)
		return strcspn(line, " \t");
	for (at++; line[at] != '\0' && line[at] != close; at++)
		if (line[at] == '\\' && line[at + 1] != '\0')
			at++;
	return at + strcspn(line + at, " \t");
}

/* "key value" logical lines, as postmap(1) reads them; or pattern rows, pcre_table(5). */
static void
text_rows(struct rules *r, const char *text, bool patterns)
{
	struct cf_text t;
	size_t i, end;

	if (cf_read(&t, text, strlen(text), "map", NULL) == 0)
		for (i = 0; i < t.n; i++) {
			char *line = t.lines[i].joined;

			if (t.lines[i].orphan)
				continue;
			for (end = 0; line[end] != '\0' && !cf_blank(line[end]); end++)
				;
			if (patterns)
				end = pattern_end(line);
			row(r, line, end, text_trim(line + end), strlen(text_trim(line + end)));
		}
	cf_release(&t);
}

/* "inline:{ a = b, { c = d e } }" without the outer braces (inline in DATABASE_README). */
static void
inline_rows(struct rules *r, char *body)
{
	char *p = body;

	while (*p != '\0') {
		char *start, *equals;
		size_t n = 0;
		int depth = 0;

		p += strspn(p, ", \t\r\n");
		if (*p == '\0')
			return;
		start = p;
		for (; start[n] != '\0' && (depth > 0 || strchr(", \t\r\n", start[n]) == NULL); n++)
			depth += start[n] == '{' ? 1 : start[n] == '}' ? -1 : 0;
		p = start + n + (start[n] != '\0');
		start[n] = '\0';
		if (*start == '{' && n > 1) {
			start[n - 1] = '\0';
			start++;
		}
		equals = strchr(start, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		start = text_trim(start);
		row_text(r, start, text_trim(equals + 1));
	}
}

static void
one_map(struct rules *r, char *map)
{
	char *plain = text_starts(map, "proxy:") ? map + 6 : map, *name = strchr(plain, ':');
	const char *text;
	size_t len;

	if (name == NULL || text_starts(name + 1, OURS_DIR))
		return;
	*r = (struct rules){ .v = r->v, .files = r->files, .s = r->s, .out = r->out, .kind = r->kind, .source = map };
	name++;
	len = strlen(name);
	if (text_starts(plain, "inline:") && name[0] == '{' && name[len - 1] == '}') {
		char *body = xstrndup(name + 1, len - 2);

		inline_rows(r, body);
		free(body);
	} else if (text_starts(plain, "static:")) {
		row_text(r, "", name);
	} else {
		bool patterns = text_starts(plain, "pcre:") || text_starts(plain, "regexp:");

		text = file_text(r->files, r->s, text_starts(plain, "cidr:") || patterns ? FILE_PATTERNS
		    : strcmp(r->kind, KEYS_KIND) == 0 ? FILE_NAMES : FILE_MAP, name, "map");
		if (text == NULL && strcmp(r->kind, KEYS_KIND) != 0)
			text = file_text(r->files, r->s, FILE_MAP, name, "maplist");
		if (text != NULL)
			text_rows(r, text, patterns);
		else if (r->out->n < ALL_ROWS)
			note(r, "(asked row by row; its rows cannot be listed)");
	}
	if (r->more > 0) {
		char *rest = xasprintf("(and %zu more)", r->more);

		r->rows = 0;
		if (r->out->n >= ALL_ROWS)
			found_rule_release(&r->out->v[--r->out->n]);
		note(r, rest);
		free(rest);
	}
}

/* Names of maps in a list: words, but what stands in braces is one word. */
static void
each_map(struct rules *r, char *list)
{
	while (*(list += strspn(list, ", \t\r\n")) != '\0') {
		size_t n = 0;
		int depth = 0;
		bool last;

		for (; list[n] != '\0' && (depth > 0 || strchr(", \t\r\n", list[n]) == NULL); n++)
			depth += list[n] == '{' ? 1 : list[n] == '}' ? -1 : 0;
		last = list[n] == '\0';
		list[n] = '\0';
		one_map(r, list);
		list += n + !last;
	}
}

void
postfix_rules(const struct view *v, const struct file_list *files, const struct sections *s, struct found_rule_list *out)
{
	struct rules r = { .v = v, .files = files, .s = s, .out = out };
	char *value = view_value(v, NULL, "relayhost");
	size_t i;

	if (*value != '\0') {
		r.kind = "relay";
		r.source = "main.cf relayhost";
		row_text(&r, "", value);
	}
	free(value);
	for (i = 0; i < PLACES; i++) {
		r.kind = places[i].kind;
		value = view_value(v, places[i].sends ? master_cf_find(&v->master, CLIENT_SERVICE, "unix")
		    : places[i].receives ? view_default_service(v) : NULL, places[i].param);
		each_map(&r, value);
		free(value);
	}
}
