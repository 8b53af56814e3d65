/* All rows of the tables that say where a host's mail goes and how, asked for in the rounds of the way; and which of them no
 * mail can reach (postfix_dead.c), with the connector that would say the same. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/xalloc.h"
#include "postfix_way.h"

#define ROWS_MAX 5000

static void
rules_of_text(struct found_rule_list *out, const char *kind, const char *map, const char *text)
{
	const char *line, *end;
	size_t n = 0;

	for (line = text; *line && n < ROWS_MAX; line = *end ? end + 1 : end) {
		size_t key;

		end = line + strcspn(line, "\n");
		key = strcspn(line, "\t\n");
		if (key == 0 || line[key] != '\t' || key > WAY_KEY_MAX || end - line > 8192)
			continue;
		n++;
		*found_rule_list_add(out) = (struct found_rule){ .kind = xstrdup(kind), .source = xstrdup(map),
			.key = xstrndup(line, key), .value = xstrndup(line + key + 1, (size_t)(end - line) - key - 1) };
	}
}

/* The rules of regexp_table(5) and pcre_table(5): "/pattern/flags value". */
static void
rules_of_patterns(struct found_rule_list *out, const char *kind, const char *map, const char *text)
{
	struct cf_text t;
	size_t i, n;

	if (cf_read(&t, text, strlen(text), "map", NULL) == 0)
		for (i = 0; i < t.n && i < ROWS_MAX; i++) {
			const char *line = t.lines[i].joined, *from = line + (*line == '!');

			if (t.lines[i].orphan || cf_blank(*from) || strchr("\"'", *from) || text_starts(line, "if") || text_starts(line, "endif"))
				continue;
			for (n = 1; from[n] && from[n] != *from; n++)
				n += from[n] == '\\' && from[n + 1];
			for (n += from[n] != '\0'; from[n] && !cf_blank(from[n]); n++)
				;
			*found_rule_list_add(out) = (struct found_rule){ .kind = xstrdup(kind), .source = xstrdup(map),
				.key = xstrndup(line, (size_t)(from + n - line)), .value = xstrdup(from + n + strspn(from + n, " \t\r\n")) };
		}
	cf_release(&t);
}

static void
list_map(struct way_work *w, const char *kind, const char *map, struct found_rule_list *rules, struct words *listed)
{
	const char *plain = text_starts(map, "proxy:") ? map + strlen("proxy:") : map, *text;

	if (text_starts(plain, "regexp:/") || text_starts(plain, "pcre:/")) {
		if (ask_file(w, strchr(plain, '/'), &text) != ANSWER_FOUND)
			return;
		rules_of_patterns(rules, kind, map, text);
	} else {
		if (ask_rows(w, map, &text) != ANSWER_FOUND)
			return;
		rules_of_text(rules, kind, map, text);
	}
	(void)words_put(listed, map);
}

static void
list_param(struct way_work *w, const struct master_service *s, const char *kind, const char *param,
    struct found_rule_list *rules, struct words *listed, struct words *seen)
{
	struct words maps;
	char *mark;
	size_t i;

	param_words(&w->v, s, param, &maps);
	for (i = 0; i < maps.n; i++) {
		mark = xasprintf("%s %s", kind, maps.v[i]);
		if (words_put(seen, mark))
			list_map(w, kind, maps.v[i], rules, listed);
		free(mark);
	}
	words_release(&maps);
}

static void
list_all(struct way_work *w, struct found_rule_list *rules, struct words *listed)
{
	struct words seen = { NULL, 0 };
	size_t i;

	list_param(w, NULL, "transport", "transport_maps", rules, listed, &seen);
	list_param(w, NULL, "sender-relay", "sender_dependent_relayhost_maps", rules, listed, &seen);
	list_param(w, NULL, "sender-transport", "sender_dependent_default_transport_maps", rules, listed, &seen);
	list_param(w, NULL, "policy", "smtp_tls_policy_maps", rules, listed, &seen);
	for (i = 0; i < w->v.master.n; i++)
		if (master_cf_option(&w->v.master.v[i], "smtp_tls_policy_maps"))
			list_param(w, &w->v.master.v[i], "policy", "smtp_tls_policy_maps", rules, listed, &seen);
	words_release(&seen);
}

/* The line of the source that has the key in front. */
static long
line_of(struct way_work *w, const struct found_rule *r)
{
	const char *path = map_source_file(r->source), *text;
	struct cf_text t;
	size_t i, n = strlen(r->key);
	long line = 0;

	if (path == NULL || ask_file(w, path, &text) != ANSWER_FOUND)
		return 0;
	if (cf_read(&t, text, strlen(text), "map", NULL) == 0)
		for (i = 0; i < t.n && line == 0; i++)
			if (!t.lines[i].orphan && strncasecmp(t.lines[i].joined, r->key, n) == 0
			    && (cf_blank(t.lines[i].joined[n]) || t.lines[i].joined[n] == '\0'))
				line = (long)t.lines[i].number;
	cf_release(&t);
	return line;
}

/* The connector that says the same: level and names of the row, for the domains, by the hop. */
static void
propose(struct dead_rule *to, struct verdict *d)
{
	struct words l;
	size_t i;

	words_of(&l, to->rule.value);
	if (d->domains && l.n > 0 && level_is_known(l.v[0]) && strcasecmp(l.v[0], "fingerprint") != 0) {
		to->domains = xstrdup(d->domains);
		to->smart_host = xstrdup(d->smart_host);
		to->tls = xstrdup(l.v[0]);
		for (i = 1; i < l.n; i++)
			if (text_starts(l.v[i], "match=") && to->match == NULL) {
				char *p;

				to->match = xstrdup(l.v[i] + strlen("match="));
				for (p = to->match; *p; p++)
					if (*p == ':')
						*p = ' ';
			}
	}
	words_release(&l);
}

static void
dead_add(struct way_work *w, const struct found_rule *r, struct verdict *d, struct dead_rule_list *out)
{
	struct dead_rule *to = dead_rule_list_add(out);

	to->rule = (struct found_rule){ .kind = xstrdup(r->kind), .source = xstrdup(r->source), .key = xstrdup(r->key),
		.value = xstrdup(r->value), .trouble = xstrdup(d->why) };
	to->repair = xstrdup(d->repair);
	to->line = line_of(w, r);
	propose(to, d);
}

int
postfix_dead(const struct sections *s, struct command_list *next, struct dead_rule_list *out, struct err *e)
{
	struct way_work w = { .s = s, .next = next };
	struct found_rule_list rules = { NULL, 0 };
	struct words listed = { NULL, 0 };
	struct verdict *d;
	size_t i;
	int rc = way_view(&w.v, s, next, e);

	*out = (struct dead_rule_list){ NULL, 0 };
	if (rc == 0) {
		list_all(&w, &rules, &listed);
		d = xcalloc(rules.n + 1, sizeof(*d));
		if (!w.wait)
			rules_verdicts(&w.v, &rules, &listed, d);
		for (i = 0; i < rules.n; i++) {
			if (d[i].why)
				dead_add(&w, &rules.v[i], &d[i], out);
			verdict_release(&d[i]);
		}
		free(d);
	}
	if (rc == 0 && w.wait)
		rc = 1;
	if (rc != 0)
		dead_rule_list_release(out);
	words_release(&listed);
	found_rule_list_release(&rules);
	view_release(&w.v);
	return rc;
}
