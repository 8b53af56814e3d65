/* What the store asks of a server, put together for the planner; and what of it has not been pushed yet. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"

/* Does the list of virtual servers name one of this server? */
static bool
via_server(const struct connector *c, const char *server)
{
	char **w = words_split(c->via, " ", NULL);
	size_t i, n = strlen(server);
	bool yes = false;

	for (i = 0; w[i] != NULL; i++)
		yes = yes || (strncmp(w[i], server, n) == 0 && (w[i][n] == '\0' || w[i][n] == '/'));
	words_free(w);
	return yes;
}

/* Those of the virtual servers in the list that are this server's. */
static void
via_here(struct connector *c, const char *server)
{
	char **w = words_split(c->via, " ", NULL);
	size_t i, n = strlen(server);
	struct str here = STR_INIT;

	for (i = 0; w[i] != NULL; i++)
		if (strncmp(w[i], server, n) == 0 && (w[i][n] == '\0' || w[i][n] == '/'))
			str_addf(&here, "%s%s", here.len ? " " : "", w[i]);
	xset(&c->via, here.s);
	words_free(w);
	str_release(&here);
}

/* Keeps the connectors that this server sends for. */
static int
connectors_of(struct journey *j, const char *server, struct connector_list *out, struct err *e)
{
	struct connector_list all = { NULL, 0 };
	size_t i;

	if (store_connectors(j->store, &all, e) == -1)
		return -1;
	for (i = 0; i < all.n; i++)
		if (via_server(&all.v[i], server)) {
			via_here(&all.v[i], server);
			*connector_list_add(out) = all.v[i];
			memset(&all.v[i], 0, sizeof(all.v[i]));
		}
	connector_list_release(&all);
	return 0;
}

static int
wanted_one_certificate(struct journey *j, int64_t id, struct certificate **out, struct err *e)
{
	if (id == 0)
		return 0;
	*out = xcalloc(1, sizeof(**out));
	return store_certificate_get(j->store, id, *out, e);
}

static int
wanted_certificate(struct journey *j, const struct vserver *vs, struct wanted_vs *w, struct err *e)
{
	w->certificate_set = vs->certificate_set;
	if (!vs->certificate_set || vs->certificate == 0)
		return 0;
	if (wanted_one_certificate(j, vs->certificate, &w->certificate, e) == -1)
		return -1;
	return wanted_one_certificate(j, vs->second, &w->second, e);
}

static void
wanted_certificate_free(struct certificate **c)
{
	if (*c != NULL)
		certificate_release(*c);
	free(*c);
	*c = NULL;
}

void
wanted_free(struct wanted_host *w)
{
	size_t i;

	for (i = 0; i < w->n_vs; i++) {
		wanted_certificate_free(&w->vs[i].certificate);
		wanted_certificate_free(&w->vs[i].second);
	}
	wanted_host_release(w);
}

/* Is this virtual server, "mx1/notls", one that a connector is sent by? */
static bool
sends_for(const struct connector_list *l, const char *server, const char *name)
{
	char *word = xasprintf("%s/%s", server, name);
	bool yes = false;
	size_t i, k;

	for (i = 0; i < l->n && !yes; i++) {
		char **w = words_split(l->v[i].via ? l->v[i].via : "", " ", NULL);

		for (k = 0; w[k] != NULL; k++)
			yes = yes || strcmp(w[k], word) == 0;
		words_free(w);
	}
	free(word);
	return yes;
}

/* Does it need a client of its own: because it only sends, a connector is sent by it, or it sends otherwise than the host? */
static bool
sends_itself(const struct vserver *vs, const char *server, const struct wanted_host *w, const struct wanted_vs *of)
{
	size_t i;

	if (vs->is_default || text_eq(vs->ours, "removed") || (vs->ours == NULL && !vs->present))
		return false;
	if (text_eq(vs->kind, "outbound") || sends_for(&w->connectors, server, vs->name))
		return true;
	for (i = 0; i < of->settings.n; i++)
		if (text_eq(of->settings.v[i].scope, "vs") && text_starts(of->settings.v[i].name, "outbound."))
			return true;
	return false;
}

static int
wanted_one(struct journey *j, const char *server, const struct vserver *vs, struct wanted_host *out, struct err *e)
{
	struct wanted_vs *w = &out->vs[out->n_vs++];

	w->name = xstrdup(vs->name);
	w->is_default = vs->is_default;
	w->ours = xstrdup(vs->ours);
	w->listen = xstrdup(vs->listen_wanted);
	w->kind = xstrdup(vs->kind);
	w->run = xstrdup(vs->run_wanted);
	if (text_eq(vs->ours, "removed"))
		return 0;
	if (store_wanted(j->store, vs->id, &w->settings, e) == -1 || wanted_certificate(j, vs, w, e) == -1)
		return -1;
	if (sends_itself(vs, server, out, w))
		w->client = wanted_client_name(vs->name);
	return 0;
}

int
wanted_build(struct journey *j, int64_t server, struct wanted_host *out, struct err *e)
{
	struct server sv = { .id = 0 };
	struct vserver_list l = { NULL, 0 };
	size_t i;
	int rc = -1;

	if (store_server_get(j->store, server, &sv, e) == -1 || store_vservers(j->store, server, &l, e) == -1 ||
	    connectors_of(j, sv.name, &out->connectors, e) == -1)
		goto out;
	out->vs = xcalloc(l.n + 1, sizeof(*out->vs));
	for (i = 0; i < l.n; i++)
		if (wanted_one(j, sv.name, &l.v[i], out, e) == -1)
			goto out;
	rc = 0;
out:
	server_release(&sv);
	vserver_list_release(&l);
	return rc;
}

/* Over all of the connectors that reaches the host. What came later is added only where it is set: what was pushed before
 * stays known as pushed. */
void
connectors_hash(const struct connector_list *l, char out[65])
{
	struct str s = STR_INIT;
	size_t i, k;

	for (i = 0; i < l->n; i++) {
		const struct connector *c = &l->v[i];
		const char *slash = c->via ? strchr(c->via, '/') : NULL;
		const char *const more[] = { c->smart_hosts, c->auth_user, c->auth_sealed, c->senders, c->delivery };

		str_addf(&s, "%s|%s|%s|%s\n", c->domains, c->route, c->tls, c->match ? c->match : "");
		if (slash != NULL && strcmp(slash, "/smtp") != 0)
			str_addf(&s, "via %s\n", c->via);
		for (k = 0; k < sizeof(more) / sizeof(more[0]); k++)
			if (!text_empty(more[k]) && strcmp(more[k], "always") != 0)
				str_addf(&s, "%zu %s\n", k, more[k]);
	}
	sha256_hex(s.s, s.len, out);
	str_release(&s);
}

static size_t
pending_settings(const struct drift_facts *facts, const struct vserver *vs, const char *name, const struct wanted_vs *w, struct str *out)
{
	size_t i, n = 0;

	for (i = 0; i < w->settings.n; i++) {
		const struct wanted *s = &w->settings.v[i];
		const struct found_value *v = found_value_of(vs, s->name);
		const char *found = v != NULL ? v->value : NULL;

		if (text_eq(found, s->value))
			continue;
		if (drift_kind_of(facts, w->name, s->name, s->value, found) != DRIFT_EDITED)
			continue;                      /* it was changed there: no edit of ours */
		n++;
		if (out != NULL && text_eq(vs->ours, "added") && !vs->present)
			str_addf(out, "%s/%s: %s = %s\n", name, w->name, s->name, s->value);
		else if (out != NULL)
			str_addf(out, "%s/%s: %s = %s (on the host: %s)\n", name, w->name, s->name, s->value,
			    found != NULL ? found : "unknown");
	}
	return n;
}

bool
wanted_certificate_waits(struct journey *j, const struct vserver *vs, const struct wanted_vs *w)
{
	const struct certificate *in_use;
	bool same = false;

	if (!w->certificate_set)
		return false;
	in_use = certificate_described(j, vs->cert_pem);
	if (in_use != NULL)
		same = w->certificate != NULL && text_eq(in_use->sha256, w->certificate->sha256) && vs->cert_trouble == NULL;
	else
		same = w->certificate == NULL;
	if (w->certificate == NULL && !text_starts(vs->cert_file, "/etc/mxseal/"))
		same = true;                           /* unbound: what is configured by hand is not ours */
	return !same;
}

/* Without a first one of ours there is no second, and what is configured by hand is not ours. */
bool
wanted_second_waits(struct journey *j, const struct vserver *vs, const struct wanted_vs *w)
{
	const struct certificate *in_use;

	if (w->certificate == NULL || (w->second == NULL && !text_starts(vs->cert_file, "/etc/mxseal/")))
		return false;
	in_use = certificate_described(j, vs->second_pem);
	if (in_use == NULL)
		return w->second != NULL;
	return w->second == NULL || !text_eq(in_use->sha256, w->second->sha256);
}

static size_t
pending_second(struct journey *j, const struct drift_facts *facts, const struct vserver *vs, const char *name, const struct wanted_vs *w, struct str *out)
{
	if (!wanted_second_waits(j, vs, w) || drift_kind_of(facts, w->name, "second", w->second != NULL ? w->second->sha256 : "", NULL)
	    != DRIFT_EDITED)
		return 0;
	if (out != NULL && w->second != NULL)
		str_addf(out, "%s/%s: certificate #%lld %s, as the second one\n", name, w->name, (long long)w->second->id,
		    w->second->cn ? w->second->cn : "");
	else if (out != NULL)
		str_addf(out, "%s/%s: no second certificate any more\n", name, w->name);
	return 1;
}

static size_t
pending_certificate(struct journey *j, const struct drift_facts *facts, const struct vserver *vs, const char *name, const struct wanted_vs *w, struct str *out)
{
	if (!wanted_certificate_waits(j, vs, w) || drift_kind_of(facts, w->name, "certificate", w->certificate != NULL ?
	    w->certificate->sha256 : "", NULL) != DRIFT_EDITED)
		return 0;
	if (out != NULL && w->certificate != NULL)
		str_addf(out, "%s/%s: certificate #%lld %s\n", name, w->name, (long long)w->certificate->id,
		    w->certificate->cn ? w->certificate->cn : "");
	else if (out != NULL)
		str_addf(out, "%s/%s: no certificate of ours any more\n", name, w->name);
	return 1;
}

/* The virtual server itself: added, removed, started, stopped. */
static size_t
pending_vserver(const struct vserver *vs, const char *name, struct str *out)
{
	const char *run = vs->run ? vs->run : "started";

	if (text_eq(vs->ours, "removed")) {
		if (!vs->present)
			return 0;
		if (out != NULL)
			str_addf(out, "%s/%s: removed\n", name, vs->name);
		return 1;
	}
	if (text_eq(vs->ours, "added") && !vs->present) {
		if (out != NULL && text_empty(vs->listen_wanted))
			str_addf(out, "%s: new virtual server %s, which only sends\n", name, vs->name);
		else if (out != NULL)
			str_addf(out, "%s: new virtual server %s on %s\n", name, vs->name, vs->listen_wanted);
		if (out != NULL && vs->run_wanted != NULL && !text_eq(vs->run_wanted, "started")) {
			str_cut(out, out->len - 1);
			str_addf(out, ", %s\n", vs->run_wanted);
		}
		return 1;
	}
	if (vs->run_wanted == NULL || text_eq(vs->run_wanted, run))
		return 0;
	if (out != NULL)
		str_addf(out, "%s/%s: %s (on the host: %s)\n", name, vs->name, vs->run_wanted, vs->present ? run : "not there");
	return 1;
}

static size_t
pending_connectors(const struct drift_facts *facts, const struct server *sv, const struct wanted_host *w, struct str *out)
{
	const char *pushed = pushed_connectors(facts);
	char hash[65];

	connectors_hash(&w->connectors, hash);
	if (pushed != NULL ? strcmp(pushed, hash) == 0 : w->connectors.n == 0)
		return 0;
	if (out != NULL)
		str_addf(out, "%s: connectors (%zu)\n", sv->name, w->connectors.n);
	return 1;
}

static size_t
pending_server(struct journey *j, const struct server *sv, struct str *out)
{
	struct wanted_host w = { .vs = NULL };
	struct vserver_list l = { NULL, 0 };
	struct drift_facts *facts = drift_facts_get(j, sv);
	size_t i, n = 0;

	if (sv->read_at == 0 || wanted_build(j, sv->id, &w, NULL) == -1 || store_vservers(j->store, sv->id, &l, NULL) == -1)
		goto out;
	for (i = 0; i < l.n && i < w.n_vs; i++)
		n += pending_vserver(&l.v[i], sv->name, out) + pending_settings(facts, &l.v[i], sv->name, &w.vs[i], out)
		    + pending_certificate(j, facts, &l.v[i], sv->name, &w.vs[i], out) + pending_second(j, facts, &l.v[i], sv->name, &w.vs[i], out);
	n += pending_connectors(facts, sv, &w, out);
out:
	drift_facts_free(facts);
	wanted_free(&w);
	vserver_list_release(&l);
	return n;
}

size_t
pending_edits(struct journey *j, int64_t server, struct str *sentences)
{
	struct server_list l = { NULL, 0 };
	struct server one = { .id = 0 };
	size_t i, n = 0;

	if (server != 0) {               /* asked for each row of a long list: the others are not read for it */
		if (store_server_get(j->store, server, &one, NULL) == 0)
			n = pending_server(j, &one, sentences);
		server_release(&one);
		return n;
	}
	if (store_servers(j->store, &l, NULL) == -1)
		return 0;
	for (i = 0; i < l.n; i++)
		n += pending_server(j, &l.v[i], sentences);
	server_list_release(&l);
	return n;
}
