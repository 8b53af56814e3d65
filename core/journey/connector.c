/* The story of connectors: what is kept, what is sealed, what is looked up while it is typed, and what keeps mail from one. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/connector.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

/* --- keeping --- */

/* Every virtual server must be there; a smart host must not be the server that sends to it. */
static int
via_check(struct journey *j, const struct connector *c, struct err *e)
{
	char **via = words_split(c->via, " ", NULL), **hosts = words_split(c->smart_hosts ? c->smart_hosts : "", " ", NULL);
	size_t i, k;
	int rc = via[0] != NULL ? 0 : err_set(e, RC_INVALID, "a connector needs a virtual server that sends for it");

	for (i = 0; via[i] != NULL && rc == 0; i++) {
		struct vserver vs = { .id = 0 };
		struct server sv = { .id = 0 };

		rc = store_vserver_by_name(j->store, via[i], &vs, e);
		if (rc == 0 && store_server_get(j->store, vs.server, &sv, NULL) == 0)
			for (k = 0; hosts[k] != NULL && rc == 0; k++) {
				struct next_hop h;

				if (next_hop_parse(hosts[k], &h, NULL) == 0 && text_ieq(h.host, sv.host_name))
					rc = err_set(e, RC_INVALID, "the smart host %s is the server %s itself: its mail would go in a circle",
					    h.text, sv.name);
				next_hop_release(&h);
			}
		vserver_release(&vs);
		server_release(&sv);
	}
	words_free(via);
	words_free(hosts);
	return rc;
}

/* Words as they are written to the mail system; empty ones become none. */
static void
tidy(struct connector *c)
{
	char **w = words_split(c->smart_hosts ? c->smart_hosts : "", " ", NULL);
	char **texts[] = { &c->smart_hosts, &c->auth_user, &c->senders, &c->match, &c->reason, &c->review };
	struct str hosts = STR_INIT;
	struct next_hop h;
	size_t i;

	for (i = 0; w[i] != NULL; i++) {
		if (next_hop_parse(w[i], &h, NULL) == 0)
			str_addf(&hosts, "%s%s", hosts.len ? " " : "", h.text);
		next_hop_release(&h);
	}
	xset(&c->smart_hosts, hosts.s);
	if (text_eq(c->delivery, "always"))
		xset(&c->delivery, NULL);
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (text_empty(*texts[i]))
			xset(texts[i], NULL);
	if (c->auth_user == NULL)
		xset(&c->auth_sealed, NULL);
	words_free(w);
	str_release(&hosts);
}

int
connector_save(struct journey *j, struct connector *c, struct err *e)
{
	struct connector other = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (store_connector_by_name(j->store, c->name, &other, NULL) == 0 && other.id != c->id) {
		err_set(e, RC_EXISTS, "there is a connector %s already", clean(c->name));
		goto out;
	}
	if (text_empty(c->tls)) {
		err_set(e, RC_INVALID, "a connector needs an outbound security");
		goto out;
	}
	if (connector_check(c, NULL, e) == -1 || via_check(j, c, e) == -1)
		goto out;
	tidy(c);
	if (c->auth_user != NULL && c->auth_sealed == NULL) {
		err_set(e, RC_INVALID, "the password of %s is needed", clean(c->auth_user));
		goto out;
	}
	if (c->created_at == 0)
		c->created_at = when_now();
	str_addf(&text, "%s: %s for %s%s%s by %s", c->name, c->tls, c->domains, c->smart_hosts ? " to " : "",
	    c->smart_hosts ? c->smart_hosts : "", c->via);
	if (store_edit_begin(j->store, e) == -1)
		goto out;
	rc = store_connector_save(j->store, c, e);
	if (rc == 0)
		rc = note_activity(j, NULL, "connector", 0, e, text.s);
	rc = store_edit_end(j->store, rc, e, "connector %s", text.s);
out:
	connector_release(&other);
	str_release(&text);
	return rc;
}

int
connector_remove(struct journey *j, int64_t id, struct err *e)
{
	struct connector c = { .id = 0 };
	int rc = store_edit_begin(j->store, e);

	if (rc == -1)
		return -1;
	rc = store_connector_get(j->store, id, &c, e);
	if (rc == 0)
		rc = store_connector_delete(j->store, id, e);
	if (rc == 0)
		rc = note_activity(j, NULL, "connector-remove", 0, e, c.name);
	rc = store_edit_end(j->store, rc, e, "connector %s removed", c.name != NULL ? c.name : "");
	connector_release(&c);
	return rc;
}

/* --- the password --- */

int
connector_seal(struct journey *j, struct connector *c, const struct secret *password, struct err *e)
{
	struct str sealed = STR_INIT;
	int rc = auth_password_check(password->mem ? password->mem : "", password->len, e);

	if (rc == 0 && !journey_has_passphrase(j))
		rc = err_set(e, RC_PASSPHRASE, "the password of %s will be sealed: %s", clean(c->auth_user),
		    sealed_keys_exist(j) ? "the passphrase of what is sealed here is needed" : "choose a passphrase");
	if (rc == 0)
		rc = passphrase_fits(j, e);
	if (rc == 0)
		rc = seal(password, &j->passphrase, &sealed, e);
	if (rc == 0)
		xset(&c->auth_sealed, sealed.s);
	str_release(&sealed);
	return rc;
}

int
connector_passwords(struct journey *j, struct wanted_host *w, struct err *e)
{
	size_t i;

	for (i = 0; i < w->connectors.n; i++) {
		const struct connector *c = &w->connectors.v[i];

		if (text_empty(c->auth_user) || text_empty(c->auth_sealed))
			continue;
		if (!journey_has_passphrase(j))
			return err_set(e, RC_PASSPHRASE, "the password of %s for connector %s is sealed: its passphrase is needed",
			    clean(c->auth_user), clean(c->name));
		if (w->passwords == NULL)
			w->passwords = xcalloc(w->connectors.n, sizeof(*w->passwords));
		if (unseal(c->auth_sealed, &j->passphrase, &w->passwords[i], e) == -1) {
			passphrase_wrong(j, e);
			return -1;
		}
	}
	return 0;
}

/* --- what keeps mail from it --- */

/* The first virtual server of each host sends; the one that both name for the same host, or only the host. NULL: they share
 * no host. same (may be NULL): is it the same virtual server? Given away. */
static char *
common_server(const struct connector *a, const struct connector *b, bool *same)
{
	char **x = words_split(a->via ? a->via : "", " ", NULL), **y = words_split(b->via ? b->via : "", " ", NULL), *name = NULL;
	size_t i, k;

	for (i = 0; x[i] != NULL && name == NULL; i++)
		for (k = 0; y[k] != NULL && name == NULL; k++) {
			size_t n = strcspn(x[i], "/");

			if (n != strcspn(y[k], "/") || strncmp(x[i], y[k], n) != 0)
				continue;
			name = xstrndup(x[i], n);
			if (same != NULL)
				*same = strcmp(x[i], y[k]) == 0;
		}
	words_free(x);
	words_free(y);
	return name;
}

/* What a connector's TLS rules are written under: its smart hosts, or its domains. */
static char **
next_hops(const struct connector *c)
{
	struct str keys = STR_INIT;
	char **w, **out;
	struct address_space s;
	size_t i;

	if (connector_by_smart_host(c))
		return words_split(c->smart_hosts ? c->smart_hosts : "", " ", NULL);
	w = words_split(c->domains ? c->domains : "", " ", NULL);
	for (i = 0; w[i] != NULL; i++) {
		if (address_space_parse(w[i], &s, NULL) == 0)
			str_addf(&keys, "%s%s%s", keys.len ? " " : "", s.below ? "." : "", s.domain);
		address_space_release(&s);
	}
	words_free(w);
	out = words_split(keys.s, " ", NULL);
	str_release(&keys);
	return out;
}

/* Two levels under one next hop: a push would be refused. */
static void
say_conflict(const struct connector *a, const struct connector *b, const char *server, struct str *out)
{
	char **x, **y;
	const char *both = NULL;
	size_t i, k;

	/* of two by DNS the one with the lower cost has the domain: no conflict */
	if ((text_eq(a->tls, b->tls) && text_eq(a->match, b->match)) || (!connector_by_smart_host(a) && !connector_by_smart_host(b)))
		return;
	x = next_hops(a);
	y = next_hops(b);
	for (i = 0; x[i] != NULL && both == NULL; i++)
		for (k = 0; y[k] != NULL && both == NULL; k++)
			if (strcmp(x[i], y[k]) == 0)
				both = x[i];
	if (both != NULL)
		str_addf(out, "%s: the connector %s sends there from %s too, with another outbound security; give both the same, or one of "
		    "them another virtual server\n", both, b->name, server);
	words_free(x);
	words_free(y);
}

/* Does the other connector have this address space too, and before us? The planner decides the same way. */
static bool
loses_to(const struct connector *c, const struct address_space *s, const struct connector *other)
{
	char **w = words_split(other->domains ? other->domains : "", " ", NULL);
	struct address_space o;
	bool loses = false;
	size_t i;

	for (i = 0; w[i] != NULL && !loses; i++) {
		if (address_space_parse(w[i], &o, NULL) == 0 && o.all == s->all && o.below == s->below
		    && strcmp(o.domain, s->domain) == 0 && (!s->all || text_eq(c->senders, other->senders)))
			loses = o.cost < s->cost || (o.cost == s->cost && strcmp(other->name, c->name) < 0);
		address_space_release(&o);
	}
	words_free(w);
	return loses;
}

void
connector_troubles(struct journey *j, const struct connector *c, struct str *out)
{
	struct connector_list all = { NULL, 0 };
	char **w = words_split(c->domains ? c->domains : "", " ", NULL);
	struct address_space s;
	size_t i, k;

	if (store_connectors(j->store, &all, NULL) == -1)
		all.n = 0;
	for (i = 0; w[i] != NULL; i++) {
		int rc = address_space_parse(w[i], &s, NULL);

		for (k = 0; rc == 0 && k < all.n; k++) {
			char *server = all.v[k].id != c->id && loses_to(c, &s, &all.v[k]) ? common_server(c, &all.v[k], NULL) : NULL;

			if (server != NULL)
				str_addf(out, "%.*s: on %s the connector %s has it, with a lower cost or the same and before in the alphabet\n",
				    (int)strcspn(w[i], ","), w[i], server, all.v[k].name);
			free(server);
		}
		address_space_release(&s);
	}
	for (k = 0; k < all.n; k++) {
		bool same = false;
		char *server = all.v[k].id != c->id ? common_server(c, &all.v[k], &same) : NULL;

		if (same)
			say_conflict(c, &all.v[k], server, out);
		free(server);
	}
	words_free(w);
	connector_list_release(&all);
}

/* --- names: what DNS says about the smart hosts --- */

struct hosts_look {
	struct form *form;
	char *hosts;
	struct str remark;
	journey_done_fn *done;
	void *arg;
};

static void
hosts_free(void *arg)
{
	struct hosts_look *l = arg;

	free(l->hosts);
	str_release(&l->remark);
	free(l);
}

static bool
is_name(const struct next_hop *h)
{
	return strspn(h->host, "0123456789.") != strlen(h->host) && strchr(h->host, ':') == NULL;
}

/* Only names that can be looked up; the rest is complained about by the check of the field. */
static bool
some_name(const char *hosts)
{
	char **w = words_split(hosts, " ", NULL);
	struct next_hop h;
	bool yes = false;
	size_t i;

	for (i = 0; w[i] != NULL; i++) {
		if (next_hop_parse(w[i], &h, NULL) == 0 && is_name(&h))
			yes = true;
		next_hop_release(&h);
	}
	words_free(w);
	return yes;
}

/* A name without brackets is looked up as a mail domain, one in brackets as a host. */
static void
look_at_hop(const struct next_hop *h, struct str *remark)
{
	char **addresses = NULL;
	struct mx_list mx = { .n = 0 };
	size_t n = 0;

	if (!is_name(h))
		return;
	if (h->mx && dns_mx(h->host, &mx, NULL) == 0 && !mx.implicit && mx.n > 0)
		str_addf(remark, "%s: MX %s; ", h->text, clean(mx.v[0].name));
	else if (dns_addresses(h->host, &addresses, &n, NULL) == -1 || n == 0)
		str_addf(remark, "! %s: not found in DNS from here; ", h->text);
	else
		str_addf(remark, "%s: %s; ", h->text, clean(addresses[0]));
	while (n > 0)
		free(addresses[--n]);
	free(addresses);
	mx_list_release(&mx);
}

static int
hosts_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct hosts_look *l = arg;
	char **w = words_split(l->hosts, " ", NULL);
	struct next_hop h;
	size_t i;

	(void)e;
	for (i = 0; w[i] != NULL && !job_cancelled(ctx); i++) {
		if (next_hop_parse(w[i], &h, NULL) == 0)
			look_at_hop(&h, &l->remark);
		next_hop_release(&h);
	}
	if (l->remark.len > 2)
		str_cut(&l->remark, l->remark.len - 2);
	words_free(w);
	return 0;
}

static void
hosts_done(void *arg, int rc, const struct err *e)
{
	struct hosts_look *l = arg;

	if (rc == 0 && strcmp(form_get(l->form, "smart-host"), l->hosts) == 0)
		form_note(l->form, "smart-host", "%s", l->remark.s);
	l->done(l->arg, rc, e);
}

int64_t
connector_hosts_look(struct journey *j, struct form *f, journey_done_fn *done, void *arg)
{
	struct hosts_look *l;
	struct job job = { .title = "smart hosts in DNS", .work = hosts_work, .done = hosts_done, .drop = hosts_free };

	if (strcmp(form_get(f, "route"), "smart-host") != 0 || !some_name(form_get(f, "smart-host")))
		return 0;
	l = xcalloc(1, sizeof(*l));
	l->form = f;
	l->hosts = xstrdup(form_get(f, "smart-host"));
	str_init(&l->remark, 4096);
	l->done = done;
	l->arg = arg;
	job.arg = l;
	return jobq_submit(j->jobs, &job);
}
