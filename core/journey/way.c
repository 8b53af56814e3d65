/* The way mail for a destination takes out of a Postfix host, as its configuration says now: transport_maps or relayhost name
 * the next hop, and the next hop is what smtp_tls_policy_maps are asked for (postconf(5)). Reads only; what cannot be read
 * stays unknown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/str.h"
#include "mxseal/xalloc.h"

#define MAPS_MAX 8
#define KEYS_MAX 6
#define HOP_MAX 255

/* The first answer of the maps to the keys: keys in their order, for each the maps in theirs. */
static char *
ask_maps(struct host *h, const char *maps_value, const char *const *keys, size_t n_keys)
{
	char **maps = words_split(maps_value != NULL ? maps_value : "", " ,\n", NULL), *answer = NULL;
	const char *argv[KEYS_MAX * MAPS_MAX][5];
	struct host_cmd cmds[KEYS_MAX * MAPS_MAX];
	char names[KEYS_MAX * MAPS_MAX][8];
	struct sections s = { NULL, 0 };
	size_t k, m, i, n = 0;

	for (k = 0; k < n_keys; k++)
		for (m = 0; m < MAPS_MAX && maps[m] != NULL; m++) {
			const char *line[] = { "postmap", "-q", keys[k], maps[m], NULL };

			memcpy(argv[n], line, sizeof(line));
			snprintf(names[n], sizeof(names[n]), "row%zu", n);
			cmds[n] = (struct host_cmd){ names[n], argv[n] };
			n++;
		}
	if (n > 0 && host_read(h, cmds, n, &s, NULL) == 0)
		for (i = 0; i < n && answer == NULL; i++) {
			const char *text = section_text(&s, names[i]);

			if (!text_empty(text) && *text != '\n')
				answer = xstrdup(text);
		}
	sections_release(&s);
	words_free(maps);
	if (answer != NULL)
		answer[strcspn(answer, "\r\n")] = '\0';
	return answer;
}

/* "a.b.test", ".b.test", ".test": a domain and its parents. */
static size_t
keys_of(const char *domain, const char *keys[KEYS_MAX])
{
	size_t n = 0;

	do
		keys[n++] = domain;
	while (n < KEYS_MAX - 1 && (domain = strchr(domain + 1, '.')) != NULL);
	return n;
}

static int
port_of(const char *word)
{
	static const struct { const char *name; int port; } services[] = {
		{ "smtp", 25 }, { "submission", 587 }, { "smtps", 465 }, { "submissions", 465 },
	};
	size_t i;
	int port = atoi(word);

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(word, services[i].name) == 0)
			return services[i].port;
	return port > 0 && port <= 65535 ? port : -1;
}

/* "[host]:port", "[host]", "host:port", "host", as in transport(5). */
static void
take_hop(struct way *w, const char *hop, const char *by)
{
	const char *colon = strrchr(hop, ':'), *close = strrchr(hop, ']');
	size_t n = strlen(hop);

	if (n == 0 || n > HOP_MAX || strspn(hop, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:") != n)
		return;
	if (colon != NULL && (close != NULL ? colon > close : strchr(hop, ':') == colon)) {
		if ((w->port = port_of(colon + 1)) < 0) {
			w->port = 0;
			return;
		}
		n = (size_t)(colon - hop);
	}
	w->next_hop = xstrndup(hop, n);
	w->by = by;
}

static void
find_hop(struct host *h, const struct sections *conf, const char *domain, char **policy_key, struct way *w)
{
	const char *keys[KEYS_MAX], *relay = section_text(conf, "relayhost"), *hop;
	size_t n = keys_of(domain, keys);
	char *row, *text;

	keys[n++] = "*";
	row = ask_maps(h, section_text(conf, "transport"), keys, n);
	if (row != NULL && (hop = strchr(row, ':')) != NULL) {
		/* "smtp:" is the domain itself, ":" leaves all as it is */
		if (hop[1] != '\0')
			take_hop(w, hop + 1, "transport_maps");
		if (hop[1] != '\0' && w->next_hop != NULL)
			*policy_key = xstrdup(hop + 1);
		if (hop[1] != '\0' || hop != row) {
			free(row);
			return;
		}
	}
	free(row);
	if (relay == NULL)
		return;
	text = xstrdup(relay);
	take_hop(w, text_trim(text), "relayhost");
	if (w->next_hop != NULL)
		*policy_key = xstrdup(text_trim(text));
	free(text);
}

void
way_in_force(struct host *h, const char *domain, struct way *w)
{
	const char *const transport[] = { "postconf", "-h", "transport_maps", NULL };
	const char *const relayhost[] = { "postconf", "-h", "relayhost", NULL };
	const char *const policy[] = { "postconf", "-h", "smtp_tls_policy_maps", NULL };
	const char *const level[] = { "postconf", "-h", "smtp_tls_security_level", NULL };
	const struct host_cmd cmds[] = { { "transport", transport }, { "relayhost", relayhost }, { "policy", policy },
		{ "level", level } };
	struct sections conf = { NULL, 0 };
	const char *keys[KEYS_MAX];
	char *key = NULL, *text;

	*w = (struct way){ .by = "" };
	if (host_read(h, cmds, 4, &conf, NULL) == -1)
		return;
	find_hop(h, &conf, domain, &key, w);
	/* a next hop with brackets or a port is asked for as it is, a domain with its parents */
	keys[0] = key;
	w->level = ask_maps(h, section_text(&conf, "policy"), keys,
	    key != NULL && strpbrk(key, "[:") != NULL ? 1 : keys_of(key != NULL ? key : domain, keys));
	if (w->level == NULL && section_text(&conf, "level") != NULL) {
		text = xstrdup(section_text(&conf, "level"));
		w->level = xstrdup(text_trim(text));
		free(text);
	}
	if (w->level != NULL)
		w->level[strcspn(w->level, " \t")] = '\0';
	if (w->level != NULL && w->level[0] == '\0')
		xset(&w->level, "none");             /* what an empty smtp_tls_security_level means */
	free(key);
	sections_release(&conf);
}
