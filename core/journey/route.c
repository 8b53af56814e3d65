/* The way of mail: what the mail system's driver asks is asked on the host round by round, each next hop is looked at from
 * there, and which of our connectors decided is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/connector.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define ROUNDS 60                /* far more than the longest way takes */
#define COMMANDS_AT_ONCE 400
#define LOOKS_AT_ONCE 600       /* in one go */

/* --- rounds --- */

static int
ask_commands(struct host *h, const struct command *v, size_t n, struct sections *s, struct err *e)
{
	struct host_cmd *cmds = xcalloc(n + 1, sizeof(*cmds));
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		cmds[i] = (struct host_cmd){ v[i].name, (const char *const *)v[i].argv };
	rc = host_read(h, cmds, n, s, e);
	free(cmds);
	return rc;
}

static bool
is_look(const struct command *c)
{
	return text_starts(c->name, WAY_LOOK ".");
}

/* Those that look at other hosts, at the end. Returns where they begin. */
static size_t
looks_last(struct command_list *l)
{
	struct command *sorted = xcalloc(l->n + 1, sizeof(*sorted));
	size_t i, n = 0, first;

	for (i = 0; i < l->n; i++)
		if (!is_look(&l->v[i]))
			sorted[n++] = l->v[i];
	for (first = n, i = 0; i < l->n; i++)
		if (is_look(&l->v[i]))
			sorted[n++] = l->v[i];
	if (n > 0)
		memcpy(l->v, sorted, n * sizeof(*sorted));
	free(sorted);
	return first;
}

struct host_looks { const struct command *v; struct sections *seen; };

/* What cannot be asked is an answer too, or it would be asked for ever. */
static void
host_look(void *arg, size_t i, struct host *h, struct job_ctx *ctx)
{
	struct host_looks *l = arg;
	struct err ignored;

	(void)ctx;
	(void)ask_commands(h, &l->v[i], 1, &l->seen[i], &ignored);
}

static int
ask_looks(struct way_host *w, const struct command *v, size_t n, struct err *e)
{
	struct host_looks l = { v, xcalloc(n + 1, sizeof(*l.seen)) };
	int rc = lanes_run(w->hj, w->h, n, host_look, &l, "looking at destinations", w->ctx, e);
	size_t i;

	for (i = 0; i < n; i++) {
		struct section none = { .name = xstrdup(v[i].name), .status = 127, .text = STR_INIT };

		ARRAY_GROW(w->known.v, w->known.n);
		if (l.seen[i].n == 1) {
			w->known.v[w->known.n++] = l.seen[i].v[0];
			l.seen[i].n = 0;
			free(none.name);
		} else {
			w->known.v[w->known.n++] = none;
		}
		sections_release(&l.seen[i]);
	}
	free(l.seen);
	return rc;
}

static int
ask_round(struct way_host *w, struct command_list *next, struct err *e)
{
	size_t looks = looks_last(next), i, n;
	int rc = 0;

	for (i = 0; i < looks && rc == 0; i += n) {
		n = looks - i < COMMANDS_AT_ONCE ? looks - i : COMMANDS_AT_ONCE;
		rc = ask_commands(w->h, next->v + i, n, &w->known, e);
	}
	return rc == 0 && looks < next->n ? ask_looks(w, next->v + looks, next->n - looks, e) : rc;
}

/* One more attempt with what is known. 1: there is more to ask. */
static int
attempt(const struct mailsys *m, const struct way_ask *asks, size_t n, const struct sections *s, struct command_list *next,
    struct mail_way_list *out, struct dead_rule_list *dead, struct err *e)
{
	bool again = false;
	size_t i;
	int rc = 0;

	mail_way_list_release(out);
	for (i = 0; i < n && rc != -1; i++) {
		rc = m->way(&asks[i], s, next, mail_way_list_add(out), e);
		again = again || rc == 1;
	}
	if (rc != -1 && dead != NULL && m->dead != NULL) {
		dead_rule_list_release(dead);
		rc = m->dead(s, next, dead, e);
		again = again || rc == 1;
	}
	return rc == -1 ? -1 : again;
}

int
ways_find(struct way_host *w, const struct mailsys *m, const struct way_ask *asks, size_t n, struct mail_way_list *out,
    struct dead_rule_list *dead, struct err *e)
{
	int round, rc = 1;

	for (round = 0; round < ROUNDS && rc == 1; round++) {
		struct command_list next = { NULL, 0 };

		rc = attempt(m, asks, n, &w->known, &next, out, dead, e);
		if (rc == 1 && job_cancelled(w->ctx))
			rc = err_set(e, RC_CANCELLED, "cancelled");
		if (rc == 1 && ask_round(w, &next, e) == -1)
			rc = -1;
		command_list_release(&next);
	}
	if (rc == 1)
		rc = err_set(e, RC_LIMIT, "the way was given up after %d rounds of questions", ROUNDS);
	if (rc == -1)
		mail_way_list_release(out);
	return rc;
}

/* --- looks --- */

struct routing {
	struct way_ask *asks; size_t n;
	bool look, want_dead;
	struct mail_way_list ways, *out;
	struct dead_rule_list dead, *dead_out;
	struct looks looks;
};

static void
routing_free(void *data)
{
	struct routing *r = data;
	size_t i;

	for (i = 0; i < r->n; i++) {
		free((char *)(uintptr_t)r->asks[i].address);
		free((char *)(uintptr_t)r->asks[i].sender);
	}
	looks_release(&r->looks);
	free(r->asks);
	mail_way_list_release(&r->ways);
	dead_rule_list_release(&r->dead);
	free(r);
}

void
looks_release(struct looks *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].target);
		free(l->v[i].roots);
		free(l->v[i].families);
		probe_report_release(&l->v[i].report);
	}
	free(l->v);
	*l = (struct looks){ NULL, 0 };
}

/* The same next hop is looked at once. */
static struct look *
look_of(struct looks *l, const struct way_hop *hop)
{
	char *target = hop->mx ? xstrdup(hop->host) : xasprintf("[%s]", hop->host);
	struct look *s;
	size_t i;

	for (i = 0; i < l->n; i++) {
		s = &l->v[i];
		if (strcasecmp(s->target, target) == 0 && s->port == hop->port && s->wrapper == hop->wrapper
		    && s->dane == (hop->dane != NULL) && text_eq(s->roots, hop->roots) && text_eq(s->families, hop->families)) {
			free(target);
			return s;
		}
	}
	ARRAY_GROW(l->v, l->n);
	s = &l->v[l->n++];
	*s = (struct look){ .target = target, .port = hop->port, .wrapper = hop->wrapper, .mx = hop->mx,
	    .dane = hop->dane != NULL, .roots = xstrdup(hop->roots), .families = xstrdup(hop->families) };
	return s;
}

/* Postfix's own look at the TLSA records ends at the first mail server that it can talk to: mail goes on to the next. */
static bool
dane_tells(const struct way_hop *hop)
{
	return hop->dane != NULL && (!hop->mx || (strcmp(hop->dane, "failed") != 0 && strcmp(hop->dane, "no-tls") != 0));
}

/* The fates of the next hops of one end, in their order, as far as what was seen of them goes. Returns how many are still to be
 * looked at (0 or 1): what comes behind one that takes the mail is not. */
static size_t
end_look(struct looks *l, bool look, struct way_end *end)
{
	size_t n;

	for (n = 0; n < end->hops.n; n++) {
		struct way_hop *hop = &end->hops.v[n];
		struct look *s = hop->trouble || dane_tells(hop) || !look ? NULL : look_of(l, hop);

		if (s != NULL && !s->seen)
			return 1;
		hop_forecast(hop, s != NULL ? &s->report : NULL);
		if (hop->fate == FATE_TLS || hop->fate == FATE_CLEAR)
			break;                       /* no mail goes further */
	}
	return 0;
}

struct looking { struct look *v[LOOKS_AT_ONCE]; size_t n; const struct server *server; };

static void
look_at_one(void *arg, size_t i, struct host *h, struct job_ctx *ctx)
{
	struct looking *g = arg;
	struct look *s = g->v[i];
	struct probe_options o = { .timeout_ms = 5000, .implicit_tls = s->wrapper, .roots = s->roots, .families = s->families };
	struct err failed = { .code = RC_OK };

	if (probe_from_host(h, g->server, s->target, s->port, s->mx, &o, ctx, &s->report, &failed) == -1) {
		probe_report_release(&s->report);
		s->report = (struct probe_report){ .target = xstrdup(s->target), .verdict = xstrdup(failed.text),
			.class_name = xstrdup(failed.code == RC_NOTFOUND ? "nosuch" : "blind") };
	} else if (s->dane)
		published_from_host(h, g->server, s->roots, s->mx, ctx, &s->report);
	s->seen = true;
}

/* All that are still to be looked at. */
static int
look_at_all(struct way_host *w, struct looks *l, const struct server *sv, struct err *e)
{
	struct looking g = { .server = sv };
	char *doing = xasprintf("looking at destinations from %s", sv->name);
	size_t i;
	int rc = 0;

	for (i = 0; i < l->n && rc == 0; i++) {
		if (!l->v[i].seen)
			g.v[g.n++] = &l->v[i];
		if (g.n == LOOKS_AT_ONCE || (g.n > 0 && i + 1 == l->n)) {
			if (g.n == 1)
				job_say(w->ctx, "looking at %s from %s", clean(g.v[0]->target), sv->name);
			rc = lanes_run(w->hj, w->h, g.n, look_at_one, &g, doing, w->ctx, e);
			g.n = 0;
		}
	}
	free(doing);
	return rc;
}

int
ways_look(struct way_host *w, struct looks *l, bool look, struct mail_way_list *ways, const struct server *sv, struct err *e)
{
	size_t i, k, missing = 1;
	int rc = 0;

	while (rc == 0 && missing > 0) {
		for (missing = 0, i = 0; i < ways->n; i++)
			for (k = 0; k < ways->v[i].ends.n; k++)
				missing += end_look(l, look, &ways->v[i].ends.v[k]);
		if (missing > 0)
			rc = look_at_all(w, l, sv, e);
	}
	for (i = 0; i < ways->n && rc == 0; i++)
		for (k = 0; k < ways->v[i].ends.n; k++)
			end_forecast(&ways->v[i].ends.v[k]);
	return rc;
}

static int
route_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct routing *r = hj->data;
	const struct mailsys *m = mailsys_find(hj->server.mailsys ? hj->server.mailsys : "postfix");
	struct way_host w = { .hj = hj, .h = h, .ctx = ctx };
	int rc;

	if (m == NULL || m->way == NULL)
		return err_set(e, RC_NOMAIL, "what %s does with mail is not known to mxseal", hj->server.name);
	job_say(ctx, "asking %s", hj->server.name);
	rc = ways_find(&w, m, r->asks, r->n, &r->ways, r->want_dead ? &r->dead : NULL, e);
	if (rc == 0)
		rc = ways_look(&w, &r->looks, r->look, &r->ways, &hj->server, e);
	sections_release(&w.known);
	return rc;
}

/* --- which connector --- */

/* How well an address space fits: longer is better; 0 not at all. */
static size_t
space_fits(const char *space, const char *domain)
{
	struct address_space s;
	size_t fits = 0;

	if (address_space_parse(space, &s, NULL) == 0 && address_space_has(&s, domain))
		fits = s.all ? 1 : strlen(s.domain) + (s.below ? 2 : 100);
	address_space_release(&s);
	return fits;
}

/* The connector of ours whose address space fits the domain best, among those this server sends for. */
static void
name_connector(const struct connector_list *l, const char *server, struct mail_way *way, const char *domain)
{
	size_t i, k, best = 0;

	for (i = 0; i < l->n; i++) {
		char **via = words_split(l->v[i].via ? l->v[i].via : "", " ", NULL);
		char **spaces = words_split(l->v[i].domains ? l->v[i].domains : "", " ", NULL);
		bool ours = false;

		for (k = 0; via[k]; k++)
			ours = ours || (text_starts(via[k], server) && strchr("/", via[k][strlen(server)]));
		for (k = 0; ours && spaces[k]; k++)
			if (space_fits(spaces[k], domain) > best) {
				best = space_fits(spaces[k], domain);
				xset(&way->connector, l->v[i].name);
			}
		words_free(via);
		words_free(spaces);
	}
}

static bool
ours_decided(const struct way_end *end)
{
	size_t i;

	if (end->route_map && strstr(end->route_map, ":/etc/mxseal/"))
		return true;
	for (i = 0; i < end->hops.n; i++)
		if (end->hops.v[i].policy_map && strstr(end->hops.v[i].policy_map, ":/etc/mxseal/"))
			return true;
	return false;
}

static int
route_finish(struct host_job *hj, int rc, struct err *e)
{
	struct routing *r = hj->data;
	struct connector_list l = { NULL, 0 };
	size_t i, k;

	if (rc == 0)
		rc = store_connectors(hj->journey->store, &l, e);
	for (i = 0; rc == 0 && i < r->ways.n; i++)
		for (k = 0; k < r->ways.v[i].ends.n && r->ways.v[i].connector == NULL; k++)
			if (ours_decided(&r->ways.v[i].ends.v[k]))
				name_connector(&l, hj->server.name, &r->ways.v[i], strrchr(r->ways.v[i].ends.v[k].address, '@') + 1);
	if (rc == 0) {
		*r->out = r->ways;
		r->ways = (struct mail_way_list){ NULL, 0 };
		if (r->dead_out != NULL) {
			*r->dead_out = r->dead;
			r->dead = (struct dead_rule_list){ NULL, 0 };
		}
	}
	connector_list_release(&l);
	return rc;
}

int64_t
mail_route(struct journey *j, int64_t server, const struct way_ask *asks, size_t n, bool look, struct mail_way_list *out,
    struct dead_rule_list *dead, journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, server, done, arg, e);
	struct routing *r;
	size_t i;

	if (hj == NULL)
		return -1;
	r = xcalloc(1, sizeof(*r));
	r->asks = xcalloc(n + 1, sizeof(*r->asks));
	for (r->n = n, i = 0; i < n; i++)
		r->asks[i] = (struct way_ask){ xstrdup(asks[i].address), xstrdup(asks[i].sender), look, NULL };
	r->look = look;
	r->want_dead = dead != NULL;
	r->out = out;
	r->dead_out = dead;
	hj->data = r;
	hj->free_data = routing_free;
	hj->work = route_work;
	hj->finish = route_finish;
	return host_job_start(hj, "route", e);
}

/* --- the repair of a dead row --- */

static char *
default_vs(struct journey *j, const struct server *sv)
{
	struct vserver_list l = { NULL, 0 };
	char *name = NULL;
	size_t i;

	if (store_vservers(j->store, sv->id, &l, NULL) == 0)
		for (i = 0; i < l.n && name == NULL; i++)
			if (l.v[i].is_default)
				name = xasprintf("%s/%s", sv->name, l.v[i].name);
	vserver_list_release(&l);
	return name;
}

/* A name that no connector has yet. */
static char *
free_name(struct journey *j, const char *wanted)
{
	char *name = xstrdup(wanted);
	int n;

	for (n = 2; n < 100; n++) {
		struct connector c = { .id = 0 };

		if (store_connector_by_name(j->store, name, &c, NULL) == -1)
			break;
		connector_release(&c);
		free(name);
		name = xasprintf("%s-%d", wanted, n);
	}
	return name;
}

char **
route_repair(struct journey *j, const struct server *sv, const struct dead_rule *d, struct err *e)
{
	char **preset, *via;
	size_t n = 0;

	if (d->domains == NULL || (via = default_vs(j, sv)) == NULL) {
		err_set(e, RC_NOTFOUND, "no connector says what the row %s of %s says", clean(d->rule.key), clean(d->rule.source));
		err_hint(e, "%s", clean(d->repair));
		return NULL;
	}
	preset = xcalloc(17, sizeof(*preset));
	preset[n++] = xstrdup("name");
	preset[n++] = free_name(j, text_starts(d->domains, "*.") ? d->domains + 2 : d->domains);
	preset[n++] = xstrdup("domain");
	preset[n++] = xstrdup(d->domains);
	preset[n++] = xstrdup("via");
	preset[n++] = via;
	preset[n++] = xstrdup("tls");
	preset[n++] = xstrdup(d->tls);
	if (d->smart_host) {
		preset[n++] = xstrdup("route");
		preset[n++] = xstrdup("smart-host");
		preset[n++] = xstrdup("smart-host");
		preset[n++] = xstrdup(d->smart_host);
	}
	if (d->match) {
		preset[n++] = xstrdup("match");
		preset[n++] = xstrdup(d->match);
	}
	preset[n++] = xstrdup("reason");
	preset[n++] = xasprintf("stood unused under %s in %s", d->rule.key, d->rule.source);
	return preset;
}

void
route_repair_free(char **preset)
{
	size_t i;

	for (i = 0; preset && preset[i]; i++)
		free(preset[i]);
	free(preset);
}
