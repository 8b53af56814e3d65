/* Rules that no mail can reach. The policy is asked for the next hop and for nothing else, so a row under the recipient's
 * domain is silently dead as soon as a transport row or relayhost sends the domain somewhere else; rows also die behind an
 * earlier table, by a "*" that Postfix does not know, or because mail for the domain never leaves. Only what is sure is
 * said: where a table cannot be listed, it may hold the route that a row waits for. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/xalloc.h"
#include "postfix_way.h"

#define SUBDOMAIN "some-host"            /* stands for all that is below a domain */

/* All that the judgement looks at. */
struct net {
	const struct view *v;
	const struct found_rule_list *rules;
	const struct words *listed;      /* maps whose rows are all among the rules */
	bool transports_known, senders_known;
};

void
verdict_release(struct verdict *d)
{
	free(d->why);
	free(d->repair);
	free(d->domains);
	free(d->smart_host);
}

static bool
all_listed(const struct net *n, const char *param)
{
	struct words maps;
	bool all = true;
	size_t i;

	param_words(n->v, NULL, param, &maps);
	for (i = 0; i < maps.n; i++)
		all = all && words_have(n->listed, maps.v[i]);
	words_release(&maps);
	return all;
}

/* Is domain among the names of a parameter as they stand there? What tables and files say is not known here. */
static bool
named_in(const struct view *v, const char *param, const char *domain)
{
	return word_in(v, param, domain);
}

/* --- where a name goes --- */

struct route { char *transport, *hop; const struct found_rule *rule; bool own; /* the hop is the name itself */ };

static void
route_release(struct route *r)
{
	free(r->transport);
	free(r->hop);
}

static void
route_take(struct route *r, const char *value, const char *domain)
{
	const char *colon = strchr(value, ':');
	size_t n = colon ? (size_t)(colon - value) : strlen(value);

	if (n > 0) {
		free(r->transport);
		r->transport = xstrndup(value, n);
	}
	if (colon && colon[1])
		xset(&r->hop, colon + 1);
	else if (n > 0)
		xset(&r->hop, domain);
}

/* The first table that has the key. */
static const struct found_rule *
rule_in(const struct net *n, const struct words *maps, const char *kind, const char *key)
{
	size_t i, k;

	for (i = 0; i < maps->n; i++)
		for (k = 0; k < n->rules->n; k++) {
			const struct found_rule *r = &n->rules->v[k];

			if (strcmp(r->kind, kind) == 0 && strcmp(r->source, maps->v[i]) == 0 && strcasecmp(r->key, key) == 0)
				return r;
		}
	return NULL;
}

static const struct found_rule *
transport_rule(const struct net *n, const char *domain)
{
	bool parents = parents_match(n->v, "transport_maps");
	const struct found_rule *found;
	struct words maps;

	param_words(n->v, NULL, "transport_maps", &maps);
	found = rule_in(n, &maps, "transport", domain);
	while (found == NULL && *domain && (domain = strchr(domain + 1, '.')) != NULL)
		found = rule_in(n, &maps, "transport", domain + parents);
	if (found == NULL)
		found = rule_in(n, &maps, "transport", "*");
	words_release(&maps);
	return found;
}

/* Where mail for anybody at a domain goes whose class is none of this host's. */
static void
route_of(const struct net *n, const char *domain, struct route *out)
{
	bool relay = named_in(n->v, "relay_domains", domain);
	char *transport = view_value(n->v, NULL, relay ? "relay_transport" : "default_transport");
	char *relayhost = view_value(n->v, NULL, "relayhost");

	memset(out, 0, sizeof(*out));
	out->hop = xstrdup(*relayhost ? relayhost : domain);
	route_take(out, transport, *relayhost ? relayhost : domain);
	out->rule = transport_rule(n, domain);
	if (out->rule)
		route_take(out, out->rule->value, domain);
	out->own = out->hop && strcasecmp(out->hop, domain) == 0;
	free(transport);
	free(relayhost);
}

/* --- next hops that are written somewhere --- */

struct written { char *dest, *transport; const struct found_rule *rule; };
struct written_list { struct written *v; size_t n; };

static void
written_add(struct written_list *l, const char *transport, size_t len, const char *hops, const struct found_rule *rule)
{
	struct words w;
	size_t i;

	words_of(&w, hops);
	for (i = 0; i < w.n; i++) {
		ARRAY_GROW(l->v, l->n);
		l->v[l->n++] = (struct written){ xstrdup(w.v[i]), xstrndup(transport, len), rule };
	}
	words_release(&w);
}

static void
written_value(struct written_list *l, const char *value, const char *otherwise, const struct found_rule *rule)
{
	const char *colon = strchr(value, ':');

	if (colon && colon[1])
		written_add(l, colon == value ? otherwise : value, colon == value ? strlen(otherwise) : (size_t)(colon - value),
		    colon + 1, rule);
}

static void
written_all(const struct net *n, struct written_list *l)
{
	static const char *const transports[] = { "default_transport", "relay_transport", "virtual_transport", "local_transport" };
	char *plain[4], *relayhost = view_value(n->v, NULL, "relayhost");
	size_t i, k;

	*l = (struct written_list){ NULL, 0 };
	for (i = 0; i < 4; i++) {
		plain[i] = view_value(n->v, NULL, transports[i]);
		written_value(l, plain[i], "", NULL);
		plain[i][strcspn(plain[i], ":")] = '\0';
	}
	for (i = 0; i < 2; i++)
		written_add(l, plain[i], strlen(plain[i]), relayhost, NULL);
	for (k = 0; k < n->rules->n; k++) {
		const struct found_rule *r = &n->rules->v[k];

		if (strcmp(r->kind, "transport") == 0 || strcmp(r->kind, "sender-transport") == 0)
			for (i = 0; i < 2; i++)
				written_value(l, r->value, plain[i], r);
		else if (strcmp(r->kind, "sender-relay") == 0)
			for (i = 0; i < 2; i++)
				written_add(l, plain[i], strlen(plain[i]), r->value, r);
	}
	for (i = 0; i < n->v->master.n; i++) {
		const struct master_service *s = &n->v->master.v[i];
		char *fallback = view_value(n->v, s, "smtp_fallback_relay");

		if (strcmp(s->type, "unix") == 0)
			written_add(l, s->name, strlen(s->name), fallback, NULL);
		free(fallback);
	}
	for (i = 0; i < 4; i++)
		free(plain[i]);
	free(relayhost);
}

static void
written_release(struct written_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].dest);
		free(l->v[i].transport);
	}
	free(l->v);
}

/* --- policy rows --- */

/* Does the client of this transport ask this table? */
static bool
client_asks(const struct view *v, const char *transport, const char *map)
{
	const struct master_service *s = client_service(v, transport);
	struct words maps;
	bool asks;

	if (s == NULL || !service_runs(s, "smtp"))
		return false;
	param_words(v, s, "smtp_tls_policy_maps", &maps);
	asks = words_have(&maps, map);
	words_release(&maps);
	return asks;
}

static bool
below(const char *domain, const char *dotted)
{
	size_t n = strlen(dotted), len = strlen(domain);

	return *dotted == '.' && len > n && strcasecmp(domain + len - n, dotted) == 0;
}

static bool
key_takes(const char *key, const char *dest)
{
	return strcasecmp(key, dest) == 0 || (strpbrk(dest, "[:") == NULL && below(dest, key));
}

/* Every client that asks the table meets the key in an earlier one. */
static const struct found_rule *
in_front_of(const struct net *n, const struct found_rule *r)
{
	const struct found_rule *front = NULL, *first;
	size_t i;

	for (i = 0; i < n->v->master.n; i++) {
		const struct master_service *s = &n->v->master.v[i];
		struct words maps;

		if (!client_asks(n->v, s->name, r->source) || strcmp(s->type, "unix") != 0)
			continue;
		param_words(n->v, s, "smtp_tls_policy_maps", &maps);
		first = rule_in(n, &maps, r->kind, r->key);
		words_release(&maps);
		if (first == NULL || strcmp(first->source, r->source) == 0)
			return NULL;
		front = first;
	}
	return front;
}

static void
say_front(const struct found_rule *front, struct verdict *d)
{
	d->why = xasprintf("%s has the same key and is asked first (%s)", front->source, front->value);
	d->repair = xstrdup(strstr(front->source, ":" OURS_DIR) ? "a connector decides here; drop the row, or the connector"
	    : "drop one of the two");
}

/* Wrong in itself, wherever mail goes. */
static bool
policy_form(const struct found_rule *r, struct verdict *d)
{
	const char *colon = strchr(r->key, ':');

	if (text_starts(r->key, "*.")) {
		d->why = xstrdup("Postfix knows no * in a policy key");
		d->repair = xasprintf("write it as %s", r->key + 1);
		d->domains = xstrdup(r->key);
	} else if (strchr(r->key, '@')) {
		d->why = xstrdup("a policy is asked for the next hop, never for an address");
		d->repair = xstrdup("write it under the next hop of this mail");
	} else if (colon && strchr(r->key, '[') && strchr(r->key, '[') > colon) {
		d->why = xstrdup("a policy is asked for the next hop without the transport in front of it");
		d->repair = xasprintf("write it as %s", colon + 1);
	}
	return d->why != NULL;
}

/* A key with brackets or a port: one of the next hops has to be written exactly so. */
static void
policy_literal(const struct net *n, const struct found_rule *r, const struct written_list *l, struct verdict *d)
{
	const struct written *near = NULL;
	char *host = NULL, *other = NULL;
	bool mx;
	int port;
	size_t i;

	if (!n->transports_known || !n->senders_known)
		return;
	(void)hop_parse(r->key, &host, &port, &mx);
	for (i = 0; host && near == NULL && i < l->n; i++) {
		if (hop_parse(l->v[i].dest, &other, &port, &mx) && strcasecmp(other, host) == 0
		    && client_asks(n->v, l->v[i].transport, r->source))
			near = &l->v[i];
		free(other);
		other = NULL;
	}
	if (near) {
		d->why = xasprintf("the next hop is written %s, and a policy is asked for exactly what is written", near->dest);
		d->repair = xasprintf("write it under %s", near->dest);
		d->smart_host = xstrdup(near->dest);
		if (near->rule && strcmp(near->rule->kind, "transport") == 0 && strpbrk(near->rule->key, "@*") == NULL)
			d->domains = *near->rule->key == '.' ? xasprintf("*%s", near->rule->key) : xstrdup(near->rule->key);
	} else {
		d->why = xstrdup("no route names this next hop");
		d->repair = xstrdup("name the next hop as the transport row or relayhost does, or drop the row");
	}
	free(host);
}

/* Does a row for single users or sub-domains still send mail to the domain itself? */
static bool
kept_by_a_row(const struct net *n, const struct found_rule *policy)
{
	const char *plain = policy->key + (*policy->key == '.');
	bool parents = parents_match(n->v, "transport_maps");
	size_t i;

	for (i = 0; i < n->rules->n; i++) {
		const struct found_rule *r = &n->rules->v[i];
		const char *domain = strrchr(r->key, '@');
		struct route at = { NULL, NULL, NULL, false };
		bool takes, keeps;

		if (strcmp(r->kind, "transport") != 0)
			continue;
		domain = domain ? domain + 1 : r->key + (*r->key == '.');
		takes = *policy->key == '.' ? below(domain, policy->key) || ((*r->key == '.' || parents) && strcasecmp(domain, plain) == 0)
		    : *r->key != '.' && strcasecmp(domain, plain) == 0;
		if (!takes)
			continue;
		route_of(n, domain, &at);
		route_take(&at, r->value, domain);
		keeps = at.hop && strcasecmp(at.hop, domain) == 0 && at.transport && client_asks(n->v, at.transport, policy->source);
		route_release(&at);
		if (keeps)
			return true;
	}
	return false;
}

/* A sender's transport may be another client that keeps the next hop. */
static bool
kept_by_a_sender(const struct net *n, const struct found_rule *policy, const struct route *at)
{
	size_t i;

	for (i = 0; i < n->rules->n; i++) {
		const struct found_rule *r = &n->rules->v[i];

		if (strcmp(r->kind, "sender-transport") == 0 && at->own && (at->rule == NULL || strcmp(at->rule->value, ":") == 0)) {
			char *transport = xstrndup(r->value, strcspn(r->value, ":"));
			bool asks = client_asks(n->v, transport, policy->source);

			free(transport);
			if (asks)
				return true;
		}
	}
	return false;
}

static bool
stays_here(const struct net *n, const char *key, struct verdict *d)
{
	static const char *const classes[] = { "mydestination", "virtual_alias_domains" };
	size_t i;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (named_in(n->v, classes[i], key)) {
			if (i == 0 && transport_rule(n, key))
				return false;                     /* transport(5) stands over the class */
			d->why = xasprintf("mail for %s stays on this host (%s)", key, classes[i]);
			d->repair = xstrdup("drop the row");
			return true;
		}
	return false;
}

/* The row has a name: is a domain's mail still sent to the domain itself, by a client that asks this table? */
static void
policy_name(const struct net *n, const struct found_rule *r, struct verdict *d)
{
	char *domain = *r->key == '.' ? xasprintf("%s%s", SUBDOMAIN, r->key) : xstrdup(r->key);
	char *space = *r->key == '.' ? xasprintf("*%s", r->key) : xstrdup(r->key);
	struct route at = { NULL, NULL, NULL, false };
	struct words maps;

	if (stays_here(n, r->key, d) || !n->transports_known)
		goto out;
	route_of(n, domain, &at);
	if (at.transport == NULL || (named_in(n->v, "virtual_mailbox_domains", domain) && at.rule == NULL))
		goto out;                        /* virtual_transport: its client asks under the domain */
	if ((at.own && client_asks(n->v, at.transport, r->source)) || kept_by_a_row(n, r))
		goto out;
	if (!n->senders_known || kept_by_a_sender(n, r, &at))
		goto out;
	if (at.own) {
		d->why = xasprintf("mail for %s leaves by \"%s\", which does not ask this table", space, at.transport);
		d->repair = xasprintf("write it into the table that \"%s\" asks", at.transport);
		goto out;
	}
	param_words(n->v, client_service(n->v, at.transport), "smtp_tls_policy_maps", &maps);
	if (at.rule)
		d->why = xasprintf("the policy is asked for the next hop, and %s sends mail for %s to %s", at.rule->source, space,
		    at.hop);
	else
		d->why = xasprintf("the policy is asked for the next hop, and relayhost sends mail for %s to %s", space, at.hop);
	if (rule_in(n, &maps, "policy", at.hop)) {
		d->repair = xasprintf("the row under %s decides; drop this one", at.hop);
	} else if (client_service(n->v, at.transport) && service_runs(client_service(n->v, at.transport), "smtp")) {
		d->repair = xasprintf("write the rule as a connector for %s, it then stands under %s", space, at.hop);
		d->domains = xstrdup(space);
		d->smart_host = xstrdup(at.hop);
	} else {
		d->repair = xasprintf("mail for it goes by \"%s\", where no policy is asked; drop the row", at.transport);
	}
	words_release(&maps);
out:
	route_release(&at);
	free(domain);
	free(space);
}

static void
judge_policy(const struct net *n, const struct found_rule *r, const struct written_list *l, struct verdict *d)
{
	const struct found_rule *front;
	size_t i;

	if (policy_form(r, d))
		return;
	if ((front = in_front_of(n, r)) != NULL) {
		say_front(front, d);
		return;
	}
	for (i = 0; i < l->n; i++)
		if (key_takes(r->key, l->v[i].dest) && client_asks(n->v, l->v[i].transport, r->source))
			return;
	if (strpbrk(r->key, "[:") != NULL)
		policy_literal(n, r, l, d);
	else
		policy_name(n, r, d);
}

/* --- transport rows --- */

static void
judge_transport(const struct net *n, const struct found_rule *r, struct verdict *d)
{
	const struct found_rule *first;
	struct words maps;

	param_words(n->v, NULL, "transport_maps", &maps);
	first = rule_in(n, &maps, "transport", r->key);
	words_release(&maps);
	if (first && strcmp(first->source, r->source) != 0) {
		say_front(first, d);
	} else if (text_starts(r->key, "*.")) {
		d->why = xstrdup("Postfix knows no * in front of a domain");
		d->repair = xasprintf("write it as %s", r->key + (parents_match(n->v, "transport_maps") ? 2 : 1));
	} else if (*r->key == '@') {
		d->why = xstrdup("transport tables are asked for a domain without the @");
		d->repair = xasprintf("write it as %s", r->key + 1);
	} else if (*r->key == '.' && parents_match(n->v, "transport_maps")) {
		d->why = xstrdup("parent_domain_matches_subdomains has transport_maps, so no key with a dot in front is ever asked for");
		d->repair = xasprintf("write it as %s", r->key + 1);
	} else if (named_in(n->v, "virtual_alias_domains", r->key)) {
		d->why = xasprintf("%s is a virtual alias domain, whose mail is rewritten or refused before it is routed", r->key);
		d->repair = xstrdup("drop the row");
	}
}

/* --- all --- */

static void
judge(const struct net *n, const struct found_rule *r, const struct written_list *l, struct verdict *d)
{
	memset(d, 0, sizeof(*d));
	if (*r->key == '\0' || map_is_pattern(r->source))     /* of a table that cannot be listed; not a key but what matches keys */
		return;
	if (strcmp(r->kind, "policy") == 0)
		judge_policy(n, r, l, d);
	else if (strcmp(r->kind, "transport") == 0)
		judge_transport(n, r, d);
}

/* Does a pattern send mail to whatever its domain is? Then no row can be called dead. */
static bool
patterns_keep(const struct found_rule_list *rules)
{
	size_t i;

	for (i = 0; i < rules->n; i++) {
		const struct found_rule *r = &rules->v[i];
		const char *colon = strchr(r->value, ':');

		if (strcmp(r->kind, "transport") == 0 && map_is_pattern(r->source)
		    && (colon == NULL || colon[1] == '\0' || strchr(r->value, '$') != NULL))
			return true;
	}
	return false;
}

static void
net_of(struct net *n, const struct view *v, const struct found_rule_list *rules, const struct words *listed)
{
	*n = (struct net){ v, rules, listed, false, false };
	n->transports_known = all_listed(n, "transport_maps") && !patterns_keep(rules);
	n->senders_known = all_listed(n, "sender_dependent_relayhost_maps")
	    && all_listed(n, "sender_dependent_default_transport_maps");
}

void
rules_verdicts(const struct view *v, const struct found_rule_list *rules, const struct words *listed, struct verdict *out)
{
	struct written_list l;
	struct net n;
	size_t i;

	net_of(&n, v, rules, listed);
	written_all(&n, &l);
	for (i = 0; i < rules->n; i++)
		judge(&n, &rules->v[i], &l, &out[i]);
	written_release(&l);
}

void
rules_judge(const struct view *v, struct found_rule_list *rules)
{
	struct verdict *d = xcalloc(rules->n + 1, sizeof(*d));
	struct words listed = { NULL, 0 };
	size_t i, k;

	for (i = 0; i < rules->n; i++) {
		if (i > 0 && strcmp(rules->v[i].source, rules->v[i - 1].source) == 0)
			continue;
		for (k = 0; k < rules->n; k++)       /* a row without a key says that the table holds more than is known */
			if (strcmp(rules->v[k].source, rules->v[i].source) == 0 && *rules->v[k].key == '\0')
				break;
		if (k == rules->n)
			(void)words_put(&listed, rules->v[i].source);
	}
	rules_verdicts(v, rules, &listed, d);
	for (i = 0; i < rules->n; i++) {
		free(rules->v[i].trouble);
		rules->v[i].trouble = d[i].why ? xasprintf("%s: %s", d[i].why, d[i].repair) : NULL;
		verdict_release(&d[i]);
	}
	words_release(&listed);
	free(d);
}
