/* The way of mail: what the mail system's driver asks is asked on the host round by round, each next hop is looked at from
 * there, and which of our connectors decided is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define ROUNDS 60                /* far more than the longest way takes */
#define COMMANDS_AT_ONCE 400

/* --- rounds --- */

static int
ask_round(struct host *h, const struct command_list *next, struct sections *s, struct err *e)
{
	struct host_cmd *cmds = xcalloc(next->n + 1, sizeof(*cmds));
	size_t i, n;
	int rc = 0;

	for (i = 0; i < next->n; i++)
		cmds[i] = (struct host_cmd){ next->v[i].name, (const char *const *)next->v[i].argv };
	for (i = 0; i < next->n && rc == 0; i += n) {
		n = next->n - i < COMMANDS_AT_ONCE ? next->n - i : COMMANDS_AT_ONCE;
		rc = host_read(h, cmds + i, n, s, e);
	}
	free(cmds);
	return rc;
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
ways_find(struct host *h, const struct mailsys *m, const struct way_ask *asks, size_t n, struct job_ctx *ctx,
    struct mail_way_list *out, struct dead_rule_list *dead, struct err *e)
{
	struct sections s = { NULL, 0 };
	int round, rc = 1;

	for (round = 0; round < ROUNDS && rc == 1; round++) {
		struct command_list next = { NULL, 0 };

		rc = attempt(m, asks, n, &s, &next, out, dead, e);
		if (rc == 1 && job_cancelled(ctx))
			rc = err_set(e, RC_CANCELLED, "cancelled");
		if (rc == 1 && ask_round(h, &next, &s, e) == -1)
			rc = -1;
		command_list_release(&next);
	}
	if (rc == 1)
		rc = err_set(e, RC_LIMIT, "the way was given up after %d rounds of questions", ROUNDS);
	sections_release(&s);
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
		probe_report_release(&l->v[i].report);
	}
	free(l->v);
	*l = (struct looks){ NULL, 0 };
}

/* The same next hop is looked at once. */
static const struct probe_report *
look_at_hop(struct looks *l, struct host *h, const struct server *sv, const struct way_hop *hop, struct job_ctx *ctx)
{
	char *target = hop->mx ? xstrdup(hop->host) : xasprintf("[%s]", hop->host);
	struct probe_options o = { .timeout_ms = 5000, .implicit_tls = hop->wrapper, .roots = hop->roots, .families = hop->families };
	struct look *s;
	struct err failed = { .code = RC_OK };
	size_t i;

	for (i = 0; i < l->n; i++) {
		s = &l->v[i];
		if (strcasecmp(s->target, target) == 0 && s->port == hop->port && s->wrapper == hop->wrapper
		    && text_eq(s->roots, hop->roots)) {
			free(target);
			return &s->report;
		}
	}
	job_say(ctx, "looking at %s from %s", clean(hop->dest), sv->name);
	ARRAY_GROW(l->v, l->n);
	s = &l->v[l->n++];
	*s = (struct look){ .target = target, .port = hop->port, .wrapper = hop->wrapper, .roots = xstrdup(hop->roots) };
	if (probe_from_host(h, sv, target, hop->port, hop->mx, &o, ctx, &s->report, &failed) == -1) {
		probe_report_release(&s->report);
		s->report = (struct probe_report){ .target = xstrdup(target), .verdict = xstrdup(failed.text),
			.class_name = xstrdup(failed.code == RC_NOTFOUND ? "nosuch" : "blind") };
	}
	return &s->report;
}

void
ways_look(struct looks *l, bool look, struct mail_way_list *ways, struct host *h, const struct server *sv, struct job_ctx *ctx)
{
	size_t i, k, n;

	for (i = 0; i < ways->n; i++)
		for (k = 0; k < ways->v[i].ends.n; k++) {
			struct way_end *end = &ways->v[i].ends.v[k];

			for (n = 0; n < end->hops.n && !job_cancelled(ctx); n++) {
				struct way_hop *hop = &end->hops.v[n];

				hop_forecast(hop, hop->trouble || hop->dane || !look ? NULL : look_at_hop(l, h, sv, hop, ctx));
				if (hop->fate == FATE_TLS || hop->fate == FATE_CLEAR)
					break;                       /* no mail goes further */
			}
			end_forecast(end);
		}
}

static int
route_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	struct routing *r = hj->data;
	const struct mailsys *m = mailsys_find(hj->server.mailsys ? hj->server.mailsys : "postfix");

	if (m == NULL || m->way == NULL)
		return err_set(e, RC_NOMAIL, "what %s does with mail is not known to mxseal", hj->server.name);
	job_say(ctx, "asking %s", hj->server.name);
	if (ways_find(h, m, r->asks, r->n, ctx, &r->ways, r->want_dead ? &r->dead : NULL, e) == -1)
		return -1;
	ways_look(&r->looks, r->look, &r->ways, h, &hj->server, ctx);
	return job_cancelled(ctx) ? err_set(e, RC_CANCELLED, "cancelled") : 0;
}

/* --- which connector --- */

/* How well an address space fits: longer is better; 0 not at all. */
static size_t
space_fits(const char *space, const char *domain)
{
	size_t n = strcspn(space, ","), len = strlen(domain);

	if (n == 1 && *space == '*')
		return 1;
	if (n == len && strncasecmp(space, domain, n) == 0)
		return n + 100;
	if (n > 2 && text_starts(space, "*.") && len > n - 1 && strncasecmp(domain + len - (n - 1), space + 1, n - 1) == 0)
		return n;
	return 0;
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
