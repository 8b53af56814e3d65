/* The client that a transport names, its next hops in the order smtp(8) tries them, and for each the row of
 * smtp_tls_policy_maps (or the older smtp_tls_per_site) that decides about TLS. A next hop with brackets or a port is asked
 * for as it is and no other way; a domain with its parents (postconf(5), smtp_tls_policy_maps). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "postfix_way.h"

#define HOPS_MAX 20

static const char *const levels[] = { "none", "may", "encrypt", "fingerprint", "verify", "secure", "dane", "dane-only" };

bool
level_is_known(const char *level)
{
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcasecmp(level, levels[i]) == 0)
			return true;
	return false;
}

const struct master_service *
client_service(const struct view *v, const char *transport)
{
	return transport ? master_cf_find(&v->master, transport, "unix") : NULL;
}

bool
service_runs(const struct master_service *s, const char *program)
{
	size_t n = strcspn(s->command, " \t"), len = strlen(program);

	return n >= len && strncmp(s->command + n - len, program, len) == 0 && (n == len || s->command[n - len - 1] == '/');
}

bool
hop_parse(const char *dest, char **host, int *port, bool *mx)
{
	const char *end = strchr(dest, ']'), *colon;

	*port = 0;
	*mx = *dest != '[';
	*host = NULL;
	if (*dest == '[') {
		if (end == NULL || end == dest + 1 || (end[1] && end[1] != ':'))
			return false;
		colon = end[1] == ':' ? end + 1 : NULL;
		dest += strncasecmp(dest, "[ipv6:", 6) == 0 ? 6 : 1;
		*host = xstrndup(dest, (size_t)(end - dest));
	} else {
		colon = strrchr(dest, ':');
		*host = xstrndup(dest, colon ? (size_t)(colon - dest) : strlen(dest));
	}
	if (colon && colon[1] && (*port = service_port(colon + 1, NULL, 0)) == 0)
		return false;
	return **host != '\0' && strspn(*host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") == strlen(*host);
}

/* Is it a name that policies are asked for with its parents? */
static bool
is_host_name(const char *dest)
{
	return *dest && strspn(dest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == strlen(dest)
	    && strspn(dest, "0123456789.") != strlen(dest);
}

/* --- parameters of a client: smtp_ or lmtp_ --- */

struct client { const struct view *v; const struct master_service *service; const char *prefix; const char *level; };

static char *
client_value(const struct client *c, const char *name)
{
	char *param = xasprintf("%s_%s", c->prefix, name), *value = view_value(c->v, c->service, param);

	free(param);
	return value;
}

static bool
client_yes(const struct client *c, const char *name)
{
	char *value = client_value(c, name);
	bool yes = strcasecmp(value, "yes") == 0;

	free(value);
	return yes;
}

/* The level without any policy row; by: what says so. */
static char *
client_level(const struct client *c, char **by)
{
	char *level = client_value(c, "tls_security_level");
	bool override = master_cf_option(c->service, strcmp(c->prefix, "smtp") == 0 ? "smtp_tls_security_level"
	    : "lmtp_tls_security_level") != NULL;

	if (c->level != NULL && !override && strcmp(c->prefix, "smtp") == 0) {
		free(level);
		*by = xstrdup("as asked");
		return xstrdup(c->level);
	}
	*by = xasprintf("%s_tls_security_level%s%s", c->prefix, override ? " of the service " : "",
	    override ? c->service->name : "");
	if (*level)
		return level;
	free(level);
	free(*by);
	if (client_yes(c, "enforce_tls")) {
		*by = xasprintf("%s_enforce_tls", c->prefix);
		return xstrdup(client_yes(c, "tls_enforce_peername") ? "verify" : "encrypt");
	}
	*by = xasprintf("%s_use_tls", c->prefix);
	return xstrdup(client_yes(c, "use_tls") ? "may" : "none");
}

/* --- a policy row --- */

static void
hop_trouble(struct way_hop *hop, char *text)
{
	if (hop->trouble == NULL)
		hop->trouble = text;
	else
		free(text);
}

static void
join(char **field, const char *value, char separator)
{
	char *copy = xstrdup(value), *p, *both;

	for (p = copy; *p; p++)
		if (*p == separator)
			*p = ' ';
	both = *field ? xasprintf("%s %s", *field, copy) : xstrdup(copy);
	free(copy);
	free(*field);
	*field = both;
}

static void
policy_attribute(struct way_hop *hop, const char *word)
{
	static const char *const others[] = { "ciphers", "servername", "exclude", "tafile", "connection_reuse", "enable_rpk",
		"policy_ttl", "policy_type", "policy_domain", "policy_string", "mx_host_pattern", "policy_failure" };
	const char *equals = strchr(word, '='), *value = equals ? equals + 1 : "";
	size_t n = equals ? (size_t)(equals - word) : 0, i;

	if (n == 5 && strncasecmp(word, "match", 5) == 0) {
		bool prints = strcasecmp(hop->level, "fingerprint") == 0;

		if (*value == '\0' || (!prints && strcasecmp(hop->level, "verify") != 0 && strcasecmp(hop->level, "secure") != 0))
			hop_trouble(hop, xasprintf("\"match\" means nothing at level %s, and the whole row is invalid by it", hop->level));
		else
			join(&hop->match, value, prints ? '|' : ':');
		return;
	}
	if (n == 9 && strncasecmp(word, "protocols", 9) == 0) {
		xset(&hop->protocols, value);
		return;
	}
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (n == strlen(others[i]) && strncasecmp(word, others[i], n) == 0)
			return;
	hop_trouble(hop, xasprintf("\"%.*s\" in the policy row is no attribute, and the whole row is invalid by it",
	    (int)(n ? n : strlen(word)), word));
}

/* Takes the row apart as smtp(8) does: a wrong word makes all of it a configuration problem, and mail waits. */
static void
policy_row(struct way_hop *hop)
{
	struct words l;
	size_t i;

	words_of(&l, hop->policy_row);
	xset(&hop->level, l.n ? l.v[0] : "");
	if (l.n == 0)
		hop_trouble(hop, xstrdup("the policy row is empty"));
	else if (!level_is_known(l.v[0]))
		hop_trouble(hop, xasprintf("\"%s\" in the policy row is no level", l.v[0]));
	else if (strcasecmp(l.v[0], "none") != 0)
		for (i = 1; i < l.n; i++) {
			char *word = l.v[i];

			if (*word == '{') {                       /* "{ name = value }" */
				word++;
				word[strcspn(word, "}")] = '\0';
				word = text_trim(word);
			}
			policy_attribute(hop, word);
		}
	words_release(&l);
}

static enum answer
policy_lookup(struct way_work *w, const struct client *c, const char *list, struct way_hop *hop)
{
	struct way_keys keys = { NULL, 0 };
	struct hit h = { NULL, NULL, NULL };
	const char *key = hop->dest;
	struct words maps;
	enum answer a;

	words_of(&maps, list);
	way_key_add(&keys, false, "%s", key);
	if (is_host_name(key))
		while ((key = strchr(key + 1, '.')) != NULL && key[1])
			way_key_add(&keys, false, "%s", key);
	a = ask_keys(w, &maps, &keys, &h);
	if (a == ANSWER_FOUND) {
		hop->policy_map = xstrdup(h.map);
		hop->policy_key = xstrdup(h.key);
		hop->policy_row = xstrdup(h.row);
		xset(&hop->level_by, h.map);
		policy_row(hop);
	} else if (a == ANSWER_BROKEN) {
		hop_trouble(hop, xasprintf("%s_tls_policy_maps: %s cannot be asked", c->prefix, h.map));
	}
	hit_release(&h);
	way_keys_release(&keys);
	words_release(&maps);
	return a == ANSWER_MISSING ? a : ANSWER_FOUND;
}

/* smtp_tls_per_site: none over may, then the stronger wins. Asked for the next hop; the host's own name is known only when
 * the next hop is one. */
static enum answer
per_site_lookup(struct way_work *w, const char *list, struct way_hop *hop)
{
	static const struct { const char *word, *level; int rank; } known[] = {
		{ "MAY", "may", 1 }, { "NONE", "none", 2 }, { "MUST_NOPEERMATCH", "encrypt", 3 }, { "MUST", "verify", 4 } };
	const char *ask_for[] = { hop->dest, !hop->mx && hop->host && strcasecmp(hop->host, hop->dest) != 0 ? hop->host : NULL };
	struct words maps;
	enum answer a = ANSWER_FOUND;
	int best = 0;
	size_t i, k;

	words_of(&maps, list);
	for (i = 0; i < 2 && ask_for[i]; i++) {
		struct hit h = { NULL, NULL, NULL };
		enum answer one = ask_maps(w, &maps, ask_for[i], false, &h);

		if (one == ANSWER_MISSING)
			a = one;
		for (k = 0; one == ANSWER_FOUND && k < 4 && strcasecmp(h.row, known[k].word) != 0; k++)
			;
		if (one == ANSWER_BROKEN || (one == ANSWER_FOUND && k == 4))
			hop_trouble(hop, xasprintf("smtp_tls_per_site says nothing that Postfix understands for %s", ask_for[i]));
		else if (one == ANSWER_FOUND && known[k].rank > best) {
			bool stronger = known[k].rank == 1 && strcmp(hop->level, "none") != 0;     /* the wildcard "may" */

			best = known[k].rank;
			xset(&hop->policy_map, h.map);
			xset(&hop->policy_key, h.key);
			xset(&hop->policy_row, h.row);
			if (!stronger) {
				xset(&hop->level, known[k].level);
				xset(&hop->level_by, h.map);
			}
		}
		hit_release(&h);
	}
	words_release(&maps);
	return a;
}

/* --- what verifies --- */

static bool
level_checks(const char *level)
{
	return strcasecmp(level, "verify") == 0 || strcasecmp(level, "secure") == 0;
}

/* "tafile=" of the policy row: these anchors and no others. */
static enum answer
policy_roots(struct way_work *w, struct way_hop *hop, bool *named)
{
	enum answer a = ANSWER_FOUND, one;
	struct str roots = STR_INIT;
	const char *text;
	struct words l;
	size_t i;

	words_of(&l, hop->policy_row ? hop->policy_row : "");
	for (i = 1; i < l.n; i++) {
		if (!text_starts(l.v[i], "tafile="))
			continue;
		*named = true;
		if ((one = ask_file(w, l.v[i] + strlen("tafile="), &text)) == ANSWER_MISSING)
			a = one;
		else if (one == ANSWER_FOUND)
			str_add(&roots, text);
	}
	words_release(&l);
	if (roots.len)
		hop->roots = str_take(&roots);
	str_release(&roots);
	return a;
}

/* Postfix loads its file of authorities when a client starts, at any level. When OpenSSL does not take it, TLS is off. */
static enum answer
hop_bundle(struct way_work *w, const struct client *c, struct way_hop *hop)
{
	char *file = client_value(c, "tls_CAfile"), *why = NULL;
	const char *text;
	struct err e;
	enum answer a = hop->level == NULL || *file != '/' || strcasecmp(hop->level, "none") == 0 ? ANSWER_NONE : ask_file(w, file, &text);

	if (a == ANSWER_BROKEN)
		why = xstrdup("it cannot be read");
	else if (a == ANSWER_FOUND && !WAY_FILE_CUT(text) && cert_bundle_check(text, &e) == -1)
		why = xstrdup(e.text);
	if (why != NULL && strcasecmp(hop->level, "may") == 0) {
		char *by = xasprintf("may, but without TLS: %s_tls_CAfile %s is not loaded, %s", c->prefix, file, why);

		xset(&hop->level, "none");
		free(hop->level_by);
		hop->level_by = by;
	} else if (why != NULL && hop->trouble == NULL) {
		hop_trouble(hop, xasprintf("%s_tls_CAfile %s is not loaded, and TLS is off: %s", c->prefix, file, why));
		hop->tls_off = true;
	}
	free(file);
	free(why);
	return a == ANSWER_MISSING ? a : ANSWER_FOUND;
}

static enum answer
hop_roots(struct way_work *w, const struct client *c, struct way_hop *hop)
{
	char *file = client_value(c, "tls_CAfile"), *dir = client_value(c, "tls_CApath");
	bool named = false, usual = view_yes(c->v, NULL, "tls_append_default_CA");
	enum answer a = policy_roots(w, hop, &named), one = ANSWER_NONE;
	struct str roots = STR_INIT, damage = STR_INIT;
	const char *text;

	if (named) {
		hop->trusts = true;
		goto out;
	}
	hop->trusts = *file || *dir || usual;
	if (*dir == '\0' && usual)
		xset(&dir, "/etc/ssl/certs");
	if (*file && (one = ask_file(w, file, &text)) == ANSWER_MISSING)
		a = one;
	else if (*file && one == ANSWER_FOUND)
		str_addf(&roots, "%s\n", text);
	if (*dir && (one = ask_roots(w, dir, &text)) == ANSWER_MISSING)
		a = one;
	else if (*dir && one == ANSWER_FOUND) {
		str_add(&roots, text);
		if (!WAY_FILE_CUT(text))
			cert_folder_damage(text, &damage);
	}
	if (roots.len)
		hop->roots = str_take(&roots);
	if (damage.len)
		hop->damage = str_take(&damage);
out:
	str_release(&roots);
	str_release(&damage);
	free(file);
	free(dir);
	return a;
}

static void
hop_match(const struct client *c, struct way_hop *hop)
{
	const char *param = strcasecmp(hop->level, "verify") == 0 ? "tls_verify_cert_match"
	    : strcasecmp(hop->level, "secure") == 0 ? "tls_secure_cert_match"
	    : strcasecmp(hop->level, "fingerprint") == 0 ? "tls_fingerprint_cert_match" : NULL;
	struct words l;
	char *list;
	size_t i;

	if (param == NULL || hop->match)
		return;
	list = client_value(c, param);
	words_of(&l, list);
	for (i = 0; i < l.n; i++)
		join(&hop->match, l.v[i], strcasecmp(hop->level, "fingerprint") == 0 ? ' ' : ':');
	if (hop->match == NULL && strcasecmp(hop->level, "fingerprint") == 0)
		hop_trouble(hop, xstrdup("no fingerprint is given to match"));
	words_release(&l);
	free(list);
}

static void
hop_judge(const struct client *c, struct way_hop *hop)
{
	char *dns = client_value(c, "dns_support_level");

	if (c->level != NULL && text_starts(c->level, "dane"))
		xset(&dns, "dnssec");            /* that comes with the level */
	hop->wrapper = client_yes(c, "tls_wrappermode");
	if (hop->level && text_starts(hop->level, "dane") && strcasecmp(dns, "dnssec") != 0) {
		if (strcasecmp(hop->level, "dane") == 0) {
			xset(&hop->level, "may");
			free(hop->level_by);
			hop->level_by = xasprintf("dane, which falls back to may without %s_dns_support_level = dnssec", c->prefix);
		} else {
			hop_trouble(hop, xasprintf("dane-only needs %s_dns_support_level = dnssec", c->prefix));
		}
	}
	if (hop->level && !level_is_known(hop->level))
		hop_trouble(hop, xasprintf("%s says \"%s\", which is no level: the client does not start", hop->level_by, hop->level));
	else if (hop->wrapper && (strcasecmp(hop->level, "none") == 0 || strcasecmp(hop->level, "may") == 0))
		hop_trouble(hop, xasprintf("%s_tls_wrappermode needs the level encrypt or stronger", c->prefix));
	if (hop->protocols == NULL)
		hop->protocols = client_value(c, hop->level && strcasecmp(hop->level, "may") == 0 ? "tls_protocols"
		    : "tls_mandatory_protocols");
	free(dns);
}

/* DANE is what the other side publishes: without TLSA records "dane" is "may", with none of use "encrypt"; "dane-only" waits. */
static enum answer
hop_dane(struct way_work *w, struct way_hop *hop)
{
	static const char established[] = "TLS connection established to ";
	const char *text, *at;
	enum answer a;

	if (!w->look || hop->trouble || !text_starts(hop->level, "dane"))
		return ANSWER_FOUND;
	if ((a = ask_dane(w, hop->dest, &text)) != ANSWER_FOUND)
		return a == ANSWER_MISSING ? a : ANSWER_FOUND;
	if (strstr(text, ", resorting to ") != NULL && strcasecmp(hop->level, "dane") == 0) {
		bool useless = strstr(text, "no usable TLSA records") != NULL;

		xset(&hop->level, useless ? "encrypt" : "may");
		xset(&hop->level_by, useless ? "dane, which is encrypt where the other side's TLSA records are of no use"
		    : "dane, which is may where the other side has no TLSA records");
		return ANSWER_FOUND;
	}
	at = strstr(text, established);
	xset(&hop->dane, strstr(text, ", resorting to ") ? "none" : strstr(text, "TLSA lookup error") ? "lookup"
	    : strstr(text, "Verified TLS connection") ? "verified" : at || strstr(text, "SSL_connect") ? "failed"
	    : strstr(text, "Failed to establish session") || strstr(text, "lookup failed") ? "unreachable" : "no-tls");
	if (at) {
		at += strlen(established);
		hop->dane_host = xstrndup(at, strcspn(at, "[ \n"));
	}
	return ANSWER_FOUND;
}

static enum answer
hop_level(struct way_work *w, const struct client *c, struct way_hop *hop)
{
	char *policy = client_value(c, "tls_policy_maps"), *per_site = client_value(c, "tls_per_site");
	enum answer a = ANSWER_FOUND;

	hop->level = client_level(c, &hop->level_by);
	hop->families = view_value(c->v, c->service, "inet_protocols");
	if (*policy)
		a = policy_lookup(w, c, policy, hop);
	else if (*per_site)
		a = per_site_lookup(w, per_site, hop);
	if (a == ANSWER_FOUND) {
		hop_judge(c, hop);
		a = hop_bundle(w, c, hop);
		if (a == ANSWER_FOUND)
			a = hop_dane(w, hop);
		hop_match(c, hop);
		if (a == ANSWER_FOUND && level_checks(hop->level))
			a = hop_roots(w, c, hop);
	}
	free(policy);
	free(per_site);
	return a;
}

/* --- all of them --- */

static void
say_hop(const struct client *c, struct way_end *end, const struct way_hop *hop)
{
	struct hit h = { hop->policy_map, hop->policy_key, hop->policy_row };

	if (hop->policy_map)
		step_add(&end->steps, &h, "TLS to %s: %s by the policy under %s", hop->dest, hop->level, hop->policy_key);
	else
		step_add(&end->steps, NULL, "TLS to %s: %s (%s)", hop->dest, hop->level, hop->level_by);
	if (hop->trouble)
		step_add(&end->steps, NULL, "its mail waits: %s", hop->trouble);
	if (hop->damage)
		step_add(&end->steps, NULL, "of the authorities it trusts, %.*s", (int)strcspn(hop->damage, "\n"), hop->damage);
	(void)c;
}

static enum answer
add_hops(struct way_work *w, const struct client *c, const char *list, bool fallback, struct way_end *end)
{
	char *default_port = client_value(c, "tcp_port");
	enum answer a = ANSWER_FOUND, one;
	struct words l;
	size_t i;

	words_of(&l, list);
	for (i = 0; i < l.n && end->hops.n < HOPS_MAX; i++) {
		const char *dest = strcmp(c->prefix, "lmtp") == 0 && text_starts(l.v[i], "inet:") ? l.v[i] + 5 : l.v[i];
		struct way_hop *hop = way_hop_list_add(&end->hops);

		hop->dest = xstrdup(dest);
		hop->fallback = fallback;
		if (!hop_parse(dest, &hop->host, &hop->port, &hop->mx))
			hop_trouble(hop, xasprintf("\"%s\" is no host that the client understands", dest));
		if (hop->port == 0)
			hop->port = service_port(default_port, NULL, 0);
		if (hop->port == 25 && strcmp(c->prefix, "smtp") == 0)
			hop->port = 0;
		hop->mx = hop->mx && strcmp(c->prefix, "smtp") == 0;
		one = hop_level(w, c, hop);
		if (one == ANSWER_FOUND)
			say_hop(c, end, hop);
		else
			a = one;
	}
	words_release(&l);
	free(default_port);
	return a;
}

enum answer
way_hops(struct way_work *w, struct way_end *end)
{
	const struct master_service *s = client_service(&w->v, end->transport);
	struct client c = { &w->v, s, "smtp", w->level };
	char *fallback;
	enum answer a, b;

	if (s == NULL || (!service_runs(s, "smtp") && !service_runs(s, "lmtp")))
		return ANSWER_FOUND;
	if (service_runs(s, "lmtp"))
		c.prefix = "lmtp";
	if (strcmp(c.prefix, "lmtp") == 0 && (text_starts(end->next_hop, "unix:") || *end->next_hop == '/'))
		return ANSWER_FOUND;
	fallback = client_value(&c, "fallback_relay");
	a = add_hops(w, &c, end->next_hop, false, end);
	b = add_hops(w, &c, fallback, true, end);
	free(fallback);
	return a == ANSWER_FOUND ? b : a;
}
