/* Connectors as rows of our own tables. A TLS policy is written under the next hop that will be used, letter by letter: the
 * domain with a route by DNS, "[relay.test]:587" with a smart host; under another key it would be dead in silence. A route
 * goes into transport_maps, only for a domain that would not go there of itself; ".domain" stands for all that is below it
 * (transport(5)). Every domain ("*") is a route by sender instead (sender_dependent_default_transport_maps), so that the
 * host's own domains and those it relays for are left alone. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/connector.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

#define ROWS_MAX 20000

/* A connector, made ready. */
struct way {
	const struct connector *c;
	const struct secret *password;
	const char *client;              /* service of its own, or NULL */
	char **hops; size_t n_hops;      /* normalised; by DNS none */
	char *next_hop;                  /* what stands behind the service in a route */
	char *policy;                    /* "secure match=bank.test", or NULL */
	bool used;
};

/* A key of a route: of transport_maps, or a sender ("" everybody). */
struct row { char *key; struct way *way; long cost; bool routed; };
struct rows { struct row *v; size_t n; };
struct policy { char *key; const struct way *way; };
struct policies { struct policy *v; size_t n; };

struct routing {
	const struct view *v;
	const struct wanted_host *want;
	struct way *ways; size_t n_ways;
	struct rows domains, senders;
	struct policies policies, logins;
	struct their_rows transport, policy;
	struct plan *plan;
};

static void
rows_release(struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->n; i++)
		free(rows->v[i].key);
	free(rows->v);
}

static void
policies_release(struct policies *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].key);
	free(l->v);
}

static void
routing_release(struct routing *r)
{
	size_t i, k;

	for (i = 0; i < r->n_ways; i++) {
		for (k = 0; k < r->ways[i].n_hops; k++)
			free(r->ways[i].hops[k]);
		free(r->ways[i].hops);
		free(r->ways[i].next_hop);
		free(r->ways[i].policy);
	}
	free(r->ways);
	rows_release(&r->domains);
	rows_release(&r->senders);
	policies_release(&r->policies);
	policies_release(&r->logins);
	their_rows_release(&r->transport);
	their_rows_release(&r->policy);
}

/* --- a connector made ready --- */

const char *
connector_client(const struct wanted_host *want, const struct connector *c)
{
	char **via = words_split(c->via ? c->via : "", " ", NULL);
	const char *client = NULL, *name = via[0] ? strchr(via[0], '/') : NULL;
	size_t i;

	for (i = 0; name && i < want->n_vs; i++)
		if (strcmp(want->vs[i].name, name + 1) == 0 && !want->vs[i].is_default)
			client = want->vs[i].client;
	words_free(via);
	return client;
}

char *
client_policy_file(const char *client)
{
	return xasprintf("policy-%s", client);
}

char *
client_policy_maps(const struct wanted_host *want, const char *client, int64_t generation)
{
	size_t i;

	for (i = 0; i < want->connectors.n; i++)
		if (text_eq(connector_client(want, &want->connectors.v[i]), client) && !text_empty(want->connectors.v[i].tls))
			return xasprintf("texthash:" OURS_DIR "%lld/policy-%s", (long long)generation, client);
	return xstrdup("");
}

/* "secure match=a:b"; with fingerprints the level of Postfix is another one. Names are separated by ':', which stands inside
 * fingerprints: these by '|' (postconf(5) smtp_tls_policy_maps). */
static char *
policy_of(const struct connector *c)
{
	char **w = words_split(c->match ? c->match : "", " ", NULL), hex[65];
	bool fingerprints = match_is_fingerprints(c->match);
	struct str out = STR_INIT;
	size_t i, k;

	str_add(&out, fingerprints ? "fingerprint" : c->tls);
	for (i = 0; w[i]; i++) {
		str_add(&out, i == 0 ? " match=" : fingerprints ? "|" : ":");
		if (!fingerprints)
			match_name(w[i], &out);
		for (k = 0; fingerprints && fingerprint_parse(w[i], hex) && hex[k]; k++)
			str_addf(&out, "%s%c", k > 0 && k % 2 == 0 ? ":" : "", hex[k] >= 'a' ? hex[k] - ('a' - 'A') : hex[k]);
	}
	words_free(w);
	return str_take(&out);
}

static int
hops_of(struct routing *r, struct way *way, struct err *e)
{
	char **w = words_split(way->c->smart_hosts ? way->c->smart_hosts : "", " ", NULL);
	char *self = view_value(r->v, NULL, "myhostname");
	struct str all = STR_INIT;
	struct next_hop h;
	size_t i;
	int rc = 0;

	for (i = 0; w[i] && rc == 0; i++) {
		rc = next_hop_parse(w[i], &h, e);
		if (rc == 0 && strcasecmp(h.host, self) == 0)
			rc = err_set(e, RC_INVALID, "the smart host %s is this host itself: its mail would go in a circle", h.text);
		if (rc == 0) {
			ARRAY_GROW(way->hops, way->n_hops);
			way->hops[way->n_hops++] = xstrdup(h.text);
			str_addf(&all, "%s%s", all.len ? ", " : "", h.text);
		}
		next_hop_release(&h);
	}
	way->next_hop = str_take(&all);
	if (rc == 0 && way->n_hops > 1 && !version_at_least(r->v->version, 3, 5)) {
		err_set(e, RC_INVALID, "several smart hosts need Postfix 3.5 or later, and this host has %d.%d", r->v->version[0],
		    r->v->version[1]);
		err_hint(e, "keep one, for example a name whose MX records list them all");
		rc = -1;
	}
	words_free(w);
	free(self);
	return rc;
}

/* Several virtual servers of one host cannot share the mail of one domain. */
static void
say_bridgeheads(const struct connector *c, struct plan *p)
{
	size_t n = 0;
	char **via = words_split(c->via ? c->via : "", " ", &n);

	if (n > 1)
		plan_warn(p, "connector %s names %zu virtual servers of this host, but Postfix sends the mail of a domain by one: %s is used",
		    clean(c->name), n, clean(via[0]));
	words_free(via);
}

static int
way_make(struct routing *r, size_t i, struct err *e)
{
	const struct connector *c = &r->want->connectors.v[i];
	struct way *way = &r->ways[r->n_ways++];

	*way = (struct way){ .c = c, .client = connector_client(r->want, c) };
	if (connector_check(c, NULL, e) != 0)
		return -1;
	say_bridgeheads(c, r->plan);
	if (!text_empty(c->auth_user)) {
		way->password = r->want->passwords ? &r->want->passwords[i] : NULL;
		if (way->password == NULL || !secret_is_set(way->password))
			return err_set(e, RC_INVALID, "the password of %s is not known here", clean(c->auth_user));
		if (auth_password_check(way->password->mem, way->password->len, e) != 0)
			return -1;
	}
	if (connector_on_demand(c) && way->client)
		return err_set(e, RC_INVALID, "mail waits for ETRN at the default virtual server only; take that one as bridgehead");
	if (!text_empty(c->tls))
		way->policy = policy_of(c);
	return hops_of(r, way, e);
}

/* --- which connector has an address space --- */

/* Among equals the lower cost has it. */
static void
row_add(struct rows *rows, struct row new, const char *space, struct plan *p)
{
	size_t i;

	for (i = 0; i < rows->n; i++) {
		struct row *old = &rows->v[i];
		struct row lost;

		if (strcmp(old->key, new.key) != 0)
			continue;
		lost = new.cost < old->cost ? *old : new;
		if (new.cost < old->cost)
			*old = new;
		plan_warn(p, "%.*s: connector %s (cost %ld) has it too, but is not used for it: %s has cost %ld", (int)strcspn(space, ","),
		    clean(space), clean(lost.way->c->name), lost.cost, clean(old->way->c->name), old->cost);
		free(lost.key);
		return;
	}
	ARRAY_GROW(rows->v, rows->n);
	rows->v[rows->n++] = new;
}

static void
senders_add(struct routing *r, struct way *way, long cost)
{
	char **w = words_split(way->c->senders ? way->c->senders : "", " ", NULL), *p;
	size_t i;

	for (i = 0; w[i]; i++) {
		struct str key = STR_INIT;

		for (p = w[i]; *p; p++)
			if (*p >= 'A' && *p <= 'Z')
				*p += 'a' - 'A';
		p = strrchr(w[i], '@') + 1;              /* senders have one, and a domain: sender_parse */
		str_addn(&key, w[i], (size_t)(p - w[i]));
		(void)name_to_ascii(p, &key, NULL);
		row_add(&r->senders, (struct row){ .key = str_take(&key), .way = way, .cost = cost }, w[i], r->plan);
	}
	if (i == 0)
		row_add(&r->senders, (struct row){ .key = xstrdup(""), .way = way, .cost = cost }, "*", r->plan);
	words_free(w);
}

static int
rows_of(struct routing *r, struct way *way, struct err *e)
{
	char **spaces = words_split(way->c->domains, " ", NULL);
	struct address_space s;
	size_t i;
	int rc = 0;

	for (i = 0; spaces[i] && rc == 0; i++) {
		if (r->domains.n + r->senders.n >= ROWS_MAX) {
			rc = err_set(e, RC_LIMIT, "the connectors have more than %d address spaces", ROWS_MAX);
			break;
		}
		rc = address_space_parse(spaces[i], &s, e);
		if (rc == 0 && s.all)
			senders_add(r, way, s.cost);
		else if (rc == 0)
			row_add(&r->domains, (struct row){ .key = xasprintf("%s%s", s.below ? "." : "", s.domain), .way = way,
			    .cost = s.cost }, spaces[i], r->plan);
		address_space_release(&s);
	}
	words_free(spaces);
	return rc;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key);
}

/* Senders of a domain behind single ones, everybody at the end: the table is asked from the top. */
static int
by_sender(const void *a, const void *b)
{
	const char *x = ((const struct row *)a)->key, *y = ((const struct row *)b)->key;
	int rank_x = *x == '\0' ? 2 : *x == '@', rank_y = *y == '\0' ? 2 : *y == '@';

	return rank_x != rank_y ? rank_x - rank_y : strcmp(x, y);
}

static const struct row *
row_find(const struct rows *rows, const char *key)
{
	const struct row wanted = { .key = (char *)(uintptr_t)key };

	return rows->n ? bsearch(&wanted, rows->v, rows->n, sizeof(*rows->v), by_key) : NULL;
}

/* --- policies --- */

static int
policy_add(struct policies *l, const char *key, const struct way *way, struct err *e)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct way *old = l->v[i].way;

		if (strcmp(l->v[i].key, key) != 0 || !text_eq(old->client, way->client))
			continue;
		if (text_eq(old->policy, way->policy))
			return 0;
		err_set(e, RC_INVALID, "the connectors %s and %s send to the next hop %s by the same virtual server, one with \"%.60s\" and "
		    "one with \"%.60s\": Postfix keeps one rule for a next hop", clean(old->c->name), clean(way->c->name), clean(key),
		    clean(old->policy ? old->policy : "no security of its own"), clean(way->policy ? way->policy : "no security of its own"));
		return err_hint(e, "give both the same outbound security, or one of them another virtual server as bridgehead");
	}
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = (struct policy){ xstrdup(key), way };
	return 0;
}

static bool
same_login(const struct way *a, const struct way *b)
{
	return text_eq(a->c->auth_user, b->c->auth_user) && a->password->len == b->password->len
	    && memcmp(a->password->mem, b->password->mem, a->password->len) == 0;
}

static int
login_add(struct policies *l, const char *key, const struct way *way, struct err *e)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->v[i].key, key) == 0)
			return same_login(l->v[i].way, way) ? 0 : err_set(e, RC_INVALID, "the connectors %s and %s log in to %s as different "
			    "users: Postfix keeps one for a next hop", clean(l->v[i].way->c->name), clean(way->c->name), clean(key));
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = (struct policy){ xstrdup(key), way };
	return 0;
}

/* What this row's mail needs at its next hop. */
static int
secure_row(struct routing *r, const struct row *row, struct err *e)
{
	struct way *way = row->way;
	size_t i;

	way->used = true;
	if (way->n_hops == 0)                    /* without a policy too: it must not get that of another connector unasked */
		return policy_add(&r->policies, row->key, way, e);
	for (i = 0; i < way->n_hops; i++)
		if (policy_add(&r->policies, way->hops[i], way, e) != 0 || (way->password && login_add(&r->logins, way->hops[i], way, e) != 0))
			return -1;
	return 0;
}

/* --- routes --- */

/* Does a wider address space of ours, with a route, have this domain too? */
static bool
covered_by_ours(const struct routing *r, const char *key)
{
	const char *parent = key;

	if (r->senders.n > 0)
		return true;
	while ((parent = strchr(parent + 1, '.'))) {
		const struct row *wider = row_find(&r->domains, parent);

		if (wider && wider->routed)
			return true;
	}
	return false;
}

static bool
needs_route(const struct routing *r, const struct row *row)
{
	const struct way *way = row->way;

	return way->n_hops > 0 || way->client || connector_on_demand(way->c) || goes_elsewhere(r->v, &r->transport, row->key);
}

static const char *
service_of(const struct way *way)
{
	return way->client ? way->client : connector_on_demand(way->c) ? ETRN_SERVICE : CLIENT_SERVICE;
}

static const char transport_head[] =
    "# Written by mxseal: routes of connectors (transport_maps). The next push replaces this file;\n"
    "# edit the connectors instead. \"mxseal undo\" puts the former state back.\n";

static void
add_route(struct str *out, const char *key, const char *service, const char *next_hop)
{
	if (out->len == 0)
		str_add(out, transport_head);
	str_addf(out, "%s %s:%s\n", key, service, next_hop);
}

/* A route for all below a domain would take the host's own domains with it: they keep theirs. */
static void
spare_local(const struct routing *r, const char *key, const char *connector, struct str *out)
{
	struct str names = STR_INIT;
	bool tables = false;
	char **w;
	size_t i;

	local_below(r->v, key, &names, &tables);
	w = words_split(names.s, " ", NULL);
	for (i = 0; w[i]; i++) {
		char *line = xasprintf("\n%s :", w[i]);

		if (row_find(&r->domains, w[i]) == NULL && pairs_get(&r->transport.rows, w[i]) == NULL && strstr(out->s, line) == NULL)
			add_route(out, w[i], "", "");
		free(line);
	}
	if (tables)
		plan_warn(r->plan, "connector %s: domains of this host that stand in tables are not known here; one of them below %s would "
		    "leave by the connector", clean(connector), key);
	words_free(w);
	str_release(&names);
}

static int
render_domains(struct routing *r, struct map_files *out, struct err *e)
{
	size_t i;

	for (i = 0; i < r->domains.n; i++)
		r->domains.v[i].routed = !is_local_domain(r->v, r->domains.v[i].key) && needs_route(r, &r->domains.v[i]);
	for (i = 0; i < r->domains.n; i++) {
		struct row *row = &r->domains.v[i];
		const char *name = row->way->c->name;

		if (is_local_domain(r->v, row->key)) {
			plan_warn(r->plan, "connector %s: mail for %s stays on this host, so the rule has nothing to do", clean(name), row->key);
			continue;
		}
		row->routed = row->routed || covered_by_ours(r, row->key);
		if (row->routed) {
			add_route(&out->transport, row->key, service_of(row->way), row->way->next_hop);
			their_rows_report(&r->transport, row->key, true, name, r->plan);
			if (*row->key == '.')
				spare_local(r, row->key, name, &out->transport);
		}
		if (connector_on_demand(row->way->c))
			str_addf(&out->etrn, "%s mail for it waits until it is asked for\n", row->key + (*row->key == '.'));
		if (secure_row(r, row, e) != 0)
			return -1;
	}
	return 0;
}

/* --- every domain, by sender --- */

static const char senders_head[] =
    "# Written by mxseal: connectors for every domain, by sender (sender_dependent_default_transport_maps).\n"
    "# The next push replaces this file; edit the connectors instead. \"mxseal undo\" puts the former state back.\n";

static int
render_senders(struct routing *r, struct map_files *out, struct err *e)
{
	size_t i;

	for (i = 0; i < r->senders.n; i++) {
		const struct row *row = &r->senders.v[i];
		const char *p;

		if (out->senders.len == 0)
			str_add(&out->senders, senders_head);
		str_addf(&out->senders, "/%s", *row->key == '@' ? "" : "^");
		for (p = row->key; *p; p++)
			str_addf(&out->senders, "%s%c", strchr(".+*?^$|(){}[]\\/", *p) ? "\\" : "", *p);
		str_addf(&out->senders, "%s/ %s:%s\n", *row->key ? "$" : "", service_of(row->way), row->way->next_hop);
		if (*row->key == '\0' && pairs_get(&r->transport.rows, "*"))
			add_route(&out->transport, "*", service_of(row->way), row->way->next_hop);
		their_all_report(r->v, &r->transport, row->way->c->name, *row->key == '\0', r->plan);
		if (secure_row(r, row, e) != 0)
			return -1;
	}
	return 0;
}

/* --- the files --- */

static const char policy_head[] =
    "# Written by mxseal: TLS by next hop (smtp_tls_policy_maps). The next push replaces this file;\n"
    "# edit the connectors instead. \"mxseal undo\" puts the former state back.\n";
static const char passwords_head[] =
    "# Written by mxseal: who logs in at which next hop (smtp_sasl_password_maps). The next push replaces this file.\n";
static const char etrn_head[] =
    "# Written by mxseal: domains that may be asked for by ETRN (fast_flush_domains). The next push replaces this file.\n";

static struct str *
client_text(struct map_files *out, const char *client)
{
	size_t i;

	for (i = 0; i < out->n_clients; i++)
		if (strcmp(out->clients[i].client, client) == 0)
			return &out->clients[i].text;
	ARRAY_GROW(out->clients, out->n_clients);
	out->clients[out->n_clients] = (struct client_policy){ .client = xstrdup(client), .text = STR_INIT };
	str_add(&out->clients[out->n_clients].text, policy_head);
	return &out->clients[out->n_clients++].text;
}

static void
login_client(struct map_files *out, const char *service)
{
	size_t i;

	for (i = 0; i < out->n_logins; i++)
		if (strcmp(out->logins[i], service) == 0)
			return;
	ARRAY_GROW(out->logins, out->n_logins);
	out->logins[out->n_logins++] = xstrdup(service);
}

static int
policy_order(const void *a, const void *b)
{
	return strcmp(((const struct policy *)a)->key, ((const struct policy *)b)->key);
}

static void
render_policies(struct routing *r, struct map_files *out)
{
	size_t i;

	if (r->policies.n)
		qsort(r->policies.v, r->policies.n, sizeof(*r->policies.v), policy_order);
	for (i = 0; i < r->n_ways; i++)        /* the service names its map, also when nothing stands in it */
		if (r->ways[i].client && r->ways[i].policy)
			(void)client_text(out, r->ways[i].client);
	for (i = 0; i < r->policies.n; i++) {
		const struct policy *l = &r->policies.v[i];
		struct str *text;

		if (l->way->policy == NULL)
			continue;
		text = l->way->client ? client_text(out, l->way->client) : &out->policy;
		if (text->len == 0)
			str_add(text, policy_head);
		str_addf(text, "%s %s\n", l->key, l->way->policy);
		if (l->way->client == NULL)
			their_rows_report(&r->policy, l->key, true, l->way->c->name, r->plan);
		out->needs_digest = out->needs_digest || text_starts(l->way->policy, "fingerprint");
		out->needs_ca = out->needs_ca || text_starts(l->way->policy, "verify") || text_starts(l->way->policy, "secure");
		out->needs_dnssec = out->needs_dnssec || text_starts(l->way->policy, "dane");
	}
	for (i = 0; i < r->logins.n; i++) {
		const struct policy *l = &r->logins.v[i];

		login_client(out, service_of(l->way));
		if (i == 0)
			str_add(&out->passwords, passwords_head);
		str_addf(&out->passwords, "%s %s:", l->key, l->way->c->auth_user);
		str_addn(&out->passwords, l->way->password->mem, l->way->password->len);
		str_addc(&out->passwords, '\n');
		str_addf(&out->passwords_shown, "%s %s at %s", i ? "," : "the password of", l->way->c->auth_user, l->key);
	}
}

/* A connector that no mail can reach is worth a sentence of its own. */
static void
say_unused(const struct routing *r)
{
	size_t i;

	for (i = 0; i < r->n_ways; i++)
		if (!r->ways[i].used)
			plan_warn(r->plan, "connector %s: no mail can reach it on this host", clean(r->ways[i].c->name));
}

/* A table that cannot be looked into may hold rows that go past ours. */
static void
say_unreadable(const struct routing *r, const struct map_files *out)
{
	if (out->transport.len && r->transport.unreadable.len)
		plan_warn(r->plan, "transport_maps: %.200s cannot be looked into here: rows there for single addresses or more specific "
		    "domains still go past the connectors", clean(r->transport.unreadable.s));
	if (out->policy.len && r->policy.unreadable.len)
		plan_warn(r->plan, "smtp_tls_policy_maps: %.200s cannot be looked into here: rows there for more specific domains still "
		    "go past the connectors", clean(r->policy.unreadable.s));
}

static int
parents_are_plain(const struct routing *r, struct err *e)
{
	char *list = view_value(r->v, NULL, "parent_domain_matches_subdomains");
	char **w = words_split(list, ", \t\r\n", NULL);
	bool odd = false;
	size_t i;

	for (i = 0; w[i]; i++)
		odd = odd || strcmp(w[i], "transport_maps") == 0;
	words_free(w);
	free(list);
	for (i = 0; odd && i < r->domains.n; i++)
		if (*r->domains.v[i].key == '.' && r->domains.v[i].routed) {
			err_set(e, RC_INVALID, "connector %s: parent_domain_matches_subdomains of the host names transport_maps, so that *%s would "
			    "match nothing", clean(r->domains.v[i].way->c->name), r->domains.v[i].key);
			return err_hint(e, "take transport_maps out of it on the host (postconf(5)), or name the domains one by one");
		}
	return 0;
}

void
map_files_release(struct map_files *m)
{
	size_t i;

	for (i = 0; i < m->n_clients; i++) {
		free(m->clients[i].client);
		str_release(&m->clients[i].text);
	}
	free(m->clients);
	for (i = 0; i < m->n_logins; i++)
		free(m->logins[i]);
	free(m->logins);
	str_release(&m->policy);
	str_release(&m->transport);
	str_release(&m->senders);
	str_wipe(&m->passwords);
	str_release(&m->passwords_shown);
	str_release(&m->etrn);
	*m = (struct map_files){ .policy = STR_INIT, .transport = STR_INIT, .senders = STR_INIT, .passwords = STR_INIT,
		.passwords_shown = STR_INIT, .etrn = STR_INIT };
}

int
route_render(const struct view *v, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        struct map_files *out, struct plan *p, struct err *e)
{
	struct routing r = { .v = v, .want = want, .plan = p };
	size_t i;
	int rc = 0;

	their_rows_read(&r.transport, "transport_maps", v, have, files);
	their_rows_read(&r.policy, "smtp_tls_policy_maps", v, have, files);
	r.ways = xcalloc(want->connectors.n + 1, sizeof(*r.ways));
	for (i = 0; i < want->connectors.n && rc == 0; i++) {
		rc = way_make(&r, i, e);
		if (rc == 0)
			rc = rows_of(&r, &r.ways[i], e);
		if (rc != 0)
			err_wrap(e, "connector %s", clean(want->connectors.v[i].name));
	}
	if (r.domains.n)
		qsort(r.domains.v, r.domains.n, sizeof(*r.domains.v), by_key);
	if (r.senders.n)
		qsort(r.senders.v, r.senders.n, sizeof(*r.senders.v), by_sender);
	if (rc == 0)
		rc = render_domains(&r, out, e);
	if (rc == 0)
		rc = render_senders(&r, out, e);
	if (rc == 0)
		rc = parents_are_plain(&r, e);
	if (rc == 0) {
		render_policies(&r, out);
		say_unused(&r);
		say_unreadable(&r, out);
		if (out->etrn.len) {
			struct str rows = out->etrn;

			out->etrn = (struct str)STR_INIT;
			str_add(&out->etrn, etrn_head);
			str_add(&out->etrn, rows.s);
			str_release(&rows);
		}
	}
	routing_release(&r);
	return rc;
}
