/* Taking over a rule of the administrator's own: a connector that does what his rows for a domain do. After a push our rows stand
 * in front of his and do the same; his files keep every byte. Only when asked, and only what a connector can say. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

static const struct found_rule *
rule_of(const struct found_rule_list *l, const char *kind, const char *key)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (text_eq(l->v[i].kind, kind) && text_ieq(l->v[i].key, key))
			return &l->v[i];
	return NULL;
}

/* The next hop of a transport row "smtp:[gw.test]:25"; "" where it is the domain itself. NULL: a route that is none of SMTP. */
static char *
next_hop(const struct found_rule *r, struct err *e)
{
	const char *colon = strchr(r->value, ':');
	size_t n = colon != NULL ? (size_t)(colon - r->value) : strlen(r->value);

	if (colon != NULL && (n == 0 || (n == 4 && strncmp(r->value, "smtp", 4) == 0) || (n == 5 && strncmp(r->value, "relay", 5) == 0)))
		return xstrdup(colon + 1);
	err_set(e, RC_INVALID, "%s in %s goes to \"%s\": that is no route a connector has", clean(r->key), clean(r->source), clean(r->value));
	err_hint(e, "it stays as it is; connectors send by smtp and relay only");
	return NULL;
}

/* "encrypt", "secure match=a:b": into level and match of c. */
static int
policy(const struct found_rule *r, struct connector *c, struct err *e)
{
	char **w = words_split(r->value, " \t,", NULL);
	size_t i;
	int rc = w[0] != NULL ? 0 : err_set(e, RC_INVALID, "%s in %s has no level", clean(r->key), clean(r->source));

	if (rc == 0)
		xset(&c->tls, w[0]);
	for (i = 1; rc == 0 && w[i] != NULL; i++) {
		if (!text_starts(w[i], "match=")) {
			err_set(e, RC_INVALID, "%s in %s says %s, which a connector cannot", clean(r->key), clean(r->source), clean(w[i]));
			rc = err_hint(e, "it stays as it is: taken over it would do something else");
			break;
		}
		for (char *p = w[i]; *p != '\0'; p++)
			if (*p == ':' || *p == '|')
				*p = ' ';
		xset(&c->match, w[i] + 6);
	}
	words_free(w);
	return rc;
}

/* Which level applies to it where no row says so: that of the default virtual server. */
static void
level_in_force(struct journey *j, const char *server, struct connector *c)
{
	struct vserver vs = { .id = 0 };
	size_t i;

	if (c->tls == NULL && store_vserver_by_name(j->store, server, &vs, NULL) == 0)
		for (i = 0; i < vs.found.n; i++)
			if (text_eq(vs.found.v[i].name, "outbound.tls"))
				xset(&c->tls, vs.found.v[i].value);
	vserver_release(&vs);
	if (c->tls == NULL)
		c->tls = xstrdup("may");
}

static int
as_connector(struct journey *j, const struct server *sv, const char *key, const struct found_rule_list *l, struct connector *c,
    struct err *e)
{
	const struct found_rule *route = rule_of(l, "transport", key), *level;
	char *hop = route != NULL ? next_hop(route, e) : xstrdup("");
	int rc = 0;

	if (hop == NULL)
		return -1;
	level = rule_of(l, "policy", *hop != '\0' ? hop : key);
	if (route == NULL && level == NULL) {
		err_set(e, RC_NOTFOUND, "%s has no transport or TLS policy row for %s", sv->name, clean(key));
		rc = err_hint(e, "mxseal connector list --found shows the rules of the administrator");
	}
	c->domains = key[0] == '.' ? xasprintf("*%s", key) : xstrdup(key);
	c->route = xstrdup(*hop != '\0' ? "smart-host" : "dns");
	c->smart_hosts = *hop != '\0' ? xstrdup(hop) : NULL;
	c->via = xstrdup(sv->name);
	c->reason = xasprintf("taken over from %s", route != NULL ? route->source : level != NULL ? level->source : "");
	if (rc == 0 && level != NULL)
		rc = policy(level, c, e);
	level_in_force(j, sv->name, c);
	free(hop);
	return rc;
}

int
rule_take(struct journey *j, int64_t server, const char *key, const char *name, int64_t *id, struct str *said, struct err *e)
{
	struct found_rule_list l = { NULL, 0 };
	struct connector c = { .id = 0 };
	struct server sv = { .id = 0 };
	int rc = -1;

	if (store_server_get(j->store, server, &sv, e) == -1 || store_found_rules(j->store, server, &l, e) == -1 ||
	    as_connector(j, &sv, key, &l, &c, e) == -1)
		goto out;
	c.name = xstrdup(name != NULL ? name : key + strspn(key, "."));
	rc = store_edit_begin(j->store, e);
	if (rc == -1)
		goto out;
	rc = connector_save(j, &c, e);
	rc = store_edit_end(j->store, rc, e, "%s: the rule for %s taken over as connector %s", sv.name, key, c.name);
	if (rc == 0) {
		*id = c.id;
		str_addf(said, "The connector %s does what %s has for %s: %s%s, TLS %s. The administrator's file stays as it is; after a push "
		    "ours stands in front.\n", c.name, clean(c.reason + strlen("taken over from ")), clean(key), c.smart_hosts != NULL ? "by " : "by DNS",
		    c.smart_hosts != NULL ? clean(c.smart_hosts) : "", c.tls);
	}
out:
	found_rule_list_release(&l);
	connector_release(&c);
	server_release(&sv);
	return rc;
}
