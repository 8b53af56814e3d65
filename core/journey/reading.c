/* Reading a host: which mail system, its settings and certificates, and what its listeners really serve, looked at from the
 * host itself. In a worker up to looked_store, which puts it into the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/probe.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

void
looked_release(struct looked *l)
{
	size_t i;

	reading_release(&l->reading);
	for (i = 0; i < l->n_served; i++) {
		free(l->served[i].vs_name);
		free(l->served[i].pem);
		free(l->served[i].sha256);
		free(l->served[i].trouble);
		free(l->served[i].second);
	}
	free(l->served);
	free(l->push_state);
	memset(l, 0, sizeof(*l));
}

static size_t
cmd_count(const struct host_cmd *c)
{
	size_t n = 0;

	while (c[n].name != NULL)
		n++;
	return n;
}

static const struct mailsys *
stopped(struct host *h, const struct mailsys *m, struct sections *s, struct err *e)
{
	char *text = xasprintf("%.*s", (int)strcspn(m->complaint(s), "\n"), m->complaint(s));

	err_set(e, RC_CHECK, "%s stops at its own configuration on %s: %s; nothing was touched", m->title, host_address(h), clean(text));
	err_hint(e, "mend it on the host; what runs there now has not read it yet, or does not run");
	free(text);
	sections_release(s);
	return NULL;
}

/* Which driver knows this host? The sections of its detection stay in s. */
static const struct mailsys *
detect(struct host *h, const char *system, struct sections *s, struct err *e)
{
	size_t i;

	for (i = 0; mailsystems[i] != NULL; i++) {
		const struct mailsys *m = mailsystems[i];

		if (!text_empty(system) && strcmp(system, "auto") != 0 && strcmp(system, m->name) != 0)
			continue;
		if (host_read(h, m->detect, cmd_count(m->detect), s, e) == -1)
			return NULL;
		if (m->is_here(s))
			return m;
		if (m->complaint(s) != NULL)
			return stopped(h, m, s, e);
		sections_release(s);
	}
	err_set(e, RC_NOMAIL, "%s has no mail system that mxseal knows", clean(host_address(h)));
	err_hint(e, "it looks for Postfix (postconf in the usual places); is this the right host?");
	return NULL;
}

static int
read_more(struct host *h, const struct mailsys *m, struct sections *s, struct err *e)
{
	struct command_list l = { NULL, 0 };
	struct host_cmd *cmds = NULL;
	size_t i;
	int rc = -1;

	if (m->more(s, &l, e) == -1)
		goto out;
	cmds = xcalloc(l.n + 1, sizeof(*cmds));
	for (i = 0; i < l.n; i++)
		cmds[i] = (struct host_cmd){ l.v[i].name, (const char *const *)l.v[i].argv };
	rc = l.n > 0 ? host_read(h, cmds, l.n, s, e) : 0;
out:
	free(cmds);
	command_list_release(&l);
	return rc;
}

/* The address from the host's own point of view: "0.0.0.0:25" is reached on loopback. */
static char *
listen_address(const char *listen)
{
	char **w = words_split(listen, " ", NULL), *colon, *out;

	if (w[0] == NULL) {
		words_free(w);
		return NULL;
	}
	colon = strrchr(w[0], ':');
	if (colon != NULL)
		*colon = '\0';
	if (w[0][0] == '[') {
		w[0][strcspn(w[0], "]")] = '\0';
		out = xstrdup(strcmp(w[0] + 1, "::") == 0 ? "::1" : w[0] + 1);
	} else
		out = xstrdup(strcmp(w[0], "0.0.0.0") == 0 || *w[0] == '\0' ? "127.0.0.1" : w[0]);
	words_free(w);
	return out;
}

/* The kind of key of a certificate, "EC" or "RSA". */
static void
kind_of_pem(const char *pem, char kind[8])
{
	struct certificate c = { .id = 0 };

	kind[0] = '\0';
	if (pem != NULL && cert_describe(pem, &c, NULL) == 0 && c.key_type != NULL)
		snprintf(kind, 8, "%s", c.key_type);
	certificate_release(&c);
}

static void
look_served(struct host *h, const struct reading *r, struct job_ctx *ctx, struct looked *out)
{
	struct dialer d = { probe_dial_host, h, "the host" };
	size_t i;

	out->served = xcalloc(r->vservers.n + 1, sizeof(*out->served));
	for (i = 0; i < r->vservers.n && host_alive(h) && !job_cancelled(ctx); i++) {
		const struct vserver *vs = &r->vservers.v[i];
		struct probe_options o = { .timeout_ms = 5000, .implicit_tls = vs->implicit_tls, .name = r->host_name };
		struct served *s = &out->served[out->n_served];
		struct probe_host p = { .host = NULL };
		char first[8] = "", second[8] = "";
		char *address = listen_address(vs->listen ? vs->listen : "");

		if (address == NULL || vs->port == 0 || (vs->run != NULL && strcmp(vs->run, "started") != 0) || vs->served_trouble != NULL) {
			free(address);
			continue;
		}
		job_say(ctx, "looking at port %d", vs->port);
		if (vs->second_pem != NULL) {        /* of two, which one is served is the client's choice */
			kind_of_pem(vs->cert_pem, first);
			kind_of_pem(vs->second_pem, second);
			o.key = first;
		}
		if (probe_smtp(&d, address, address, vs->port, &o, &p, NULL) == 0) {
			s->vs_name = xstrdup(vs->name);
			s->pem = xstrdup(p.chain_pem);
			s->sha256 = *p.sha256 ? xstrdup(p.sha256) : NULL;
			s->trouble = xstrdup(p.tls ? NULL : p.trouble ? p.trouble : "no TLS");
			out->n_served++;
		}
		probe_host_release(&p);
		memset(&p, 0, sizeof(p));
		o.key = second;
		if (*second != '\0' && probe_smtp(&d, address, address, vs->port, &o, &p, NULL) == 0 && s->vs_name != NULL && *p.sha256 != '\0')
			s->second = xstrdup(p.sha256);
		probe_host_release(&p);
		free(address);
	}
}

int
look_at_host(struct host *h, const char *system, bool serve, struct job_ctx *ctx, struct looked *out, struct err *e)
{
	struct sections s = { NULL, 0 };
	struct push_status st = { .state = NULL };
	const struct mailsys *m = detect(h, system, &s, e);

	if (m == NULL)
		goto fail;
	out->mailsys = m;
	job_say(ctx, "reading %s", m->title);
	if (host_read(h, m->look, cmd_count(m->look), &s, e) == -1 || read_more(h, m, &s, e) == -1 ||
	    m->read(&s, &out->reading, e) == -1)
		goto fail;
	if (push_look(h, false, &st, e) == -1)
		goto fail;
	out->push_state = xstrdup(st.state);
	push_status_release(&st);
	if (serve)
		look_served(h, &out->reading, ctx, out);
	return 0;
fail:
	sections_release(&s);
	push_status_release(&st);
	return -1;
}

/* --- into the store --- */

static const struct served *
served_of(const struct looked *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n_served; i++)
		if (strcmp(l->served[i].vs_name, name) == 0)
			return &l->served[i];
	return NULL;
}

static void
keep_wanted(struct vserver *fresh, const struct vserver *old)
{
	fresh->id = old->id;
	fresh->rev = old->rev;
	fresh->certificate = old->certificate;
	fresh->certificate_set = old->certificate_set;
	fresh->second = old->second;
	if (old->ours != NULL) {                 /* else: as the host says */
		xset(&fresh->ours, old->ours);
		xset(&fresh->listen_wanted, old->listen_wanted);
		xset(&fresh->kind, old->kind);
	}
	xset(&fresh->run_wanted, old->run_wanted);
}

char *
run_fact(int64_t vserver)
{
	return xasprintf("run:%lld", (long long)vserver);
}

/* Since when it is stopped or paused: since it was first seen so. */
static int
note_run(struct journey *j, const struct vserver *vs, struct err *e)
{
	char *fact = run_fact(vs->id), *was = NULL, *now;
	const char *run = vs->run ? vs->run : "started";
	int rc = 0;

	(void)store_fact_get(j->store, fact, &was, NULL);
	if (was != NULL ? !text_starts(was, run) : strcmp(run, "started") != 0) {
		now = xasprintf("%s %lld", run, (long long)when_now());
		rc = store_fact_set(j->store, fact, now, e);
		free(now);
	}
	free(fact);
	free(was);
	return rc;
}

/* Moves what was found into the stored record, keeping its identity and what is wanted. */
static int
vserver_store(struct journey *j, int64_t server, struct vserver *fresh, const struct vserver_list *old, const struct looked *l,
    struct err *e)
{
	const struct served *s = served_of(l, fresh->name);
	size_t i;

	fresh->server = server;
	fresh->present = true;
	for (i = 0; i < old->n; i++)
		if (text_eq(old->v[i].name, fresh->name))
			keep_wanted(fresh, &old->v[i]);
	xset(&fresh->served_pem, s ? s->pem : NULL);
	xset(&fresh->served_sha256, s ? s->sha256 : NULL);
	xset(&fresh->second_served, s ? s->second : NULL);
	if (s != NULL)                           /* else: what the reading itself says of it, that another program is there */
		xset(&fresh->served_trouble, s->trouble);
	fresh->served_at = s ? when_now() : 0;
	if (store_vserver_save(j->store, fresh, e) == -1)
		return -1;
	return note_run(j, fresh, e);
}

/* The one that listens there and is not the default one; NULL. */
static struct vserver *
listens_on(const struct reading *r, const char *listen)
{
	size_t i, n = strlen(listen);

	for (i = 0; i < r->vservers.n; i++) {
		const struct vserver *vs = &r->vservers.v[i];

		if (!vs->is_default && vs->listen && strncmp(vs->listen, listen, n) == 0 && (vs->listen[n] == '\0' || vs->listen[n] == ' '))
			return &r->vservers.v[i];
	}
	return NULL;
}

/* An added one whose name the host does not know any more is known by its address. */
static void
name_added(const struct reading *r, const struct vserver_list *old)
{
	size_t i, k;

	for (i = 0; i < old->n; i++) {
		const struct vserver *vs = &old->v[i];
		struct vserver *there = NULL;

		if (text_eq(vs->ours, "added") && !text_empty(vs->listen_wanted))
			there = listens_on(r, vs->listen_wanted);
		for (k = 0; k < r->vservers.n && there != NULL; k++)
			if (text_eq(r->vservers.v[k].name, vs->name))
				there = NULL;
		if (there != NULL)
			xset(&there->name, vs->name);
	}
}

/* Is something wanted of this virtual server, or on its way to it? */
static int
is_wanted(struct journey *j, const struct vserver *vs, bool *yes, struct err *e)
{
	struct wanted_list l = { NULL, 0 };
	int rc = store_wanted(j->store, vs->id, &l, e);
	size_t i;

	*yes = vs->ours != NULL || vs->certificate_set || vs->run_wanted != NULL || request_is_pending(j, vs->id);
	for (i = 0; i < l.n; i++)
		*yes = *yes || text_eq(l.v[i].scope, "vs");
	wanted_list_release(&l);
	return rc;
}

/* A virtual server that is gone from master.cf stays while something is wanted for it, marked as absent; one that a push took
 * away until that push is kept. */
static int
vservers_gone(struct journey *j, const struct vserver_list *old, const struct looked *l, struct err *e)
{
	const struct reading *r = &l->reading;
	bool settled = l->push_state == NULL || strcmp(l->push_state, "idle") == 0, stays;
	size_t i, k;

	for (i = 0; i < old->n; i++) {
		struct vserver *vs = &old->v[i];

		for (k = 0; k < r->vservers.n && !text_eq(vs->name, r->vservers.v[k].name); k++)
			;
		if (k < r->vservers.n)
			continue;
		stays = !settled;
		if (!text_eq(vs->ours, "removed") && is_wanted(j, vs, &stays, e) == -1)
			return -1;
		if (!stays && store_vserver_delete(j->store, vs->id, e) == -1)
			return -1;
		vs->present = false;
		xset(&vs->run, NULL);
		if (stays && store_vserver_save(j->store, vs, e) == -1)
			return -1;
	}
	return 0;
}

/* Blanks between, as the mail system wrote them. */
static char *
instances_fact(int64_t server)
{
	return xasprintf("instances:%lld", (long long)server);
}

char *
server_instances(struct journey *j, const struct server *sv)
{
	char *fact = instances_fact(sv->id), *text = NULL, *sentence = NULL;

	if (store_fact_get(j->store, fact, &text, NULL) == 0)
		sentence = xasprintf("%s has other instances of its mail system (%s): only the one of %s is looked at and changed; what waits in the "
		    "others is not seen.", sv->name, clean(text_trim(text)), clean(sv->config_dir));
	free(text);
	free(fact);
	return sentence;
}

static char *
warnings_fact(int64_t server)
{
	return xasprintf("warnings:%lld", (long long)server);
}

char *
server_warnings(struct journey *j, int64_t server)
{
	char *fact = warnings_fact(server), *text = NULL;

	if (store_fact_get(j->store, fact, &text, NULL) == -1 || *text_trim(text) == '\0')
		xset(&text, NULL);
	free(fact);
	return text;
}

/* What is known of the server beside its record. */
static int
facts_store(struct journey *j, const struct server *sv, const struct looked *l, struct err *e)
{
	char *state = xasprintf("push-state:%lld", (long long)sv->id), *addresses = xasprintf("addresses:%lld", (long long)sv->id);
	char *files = file_troubles_fact(sv->id), *sni = by_sni_fact(sv->id), *instances = instances_fact(sv->id);
	char *warnings = warnings_fact(sv->id);
	const char *others = section_text(&l->reading.sections, "instances"), *said = section_text(&l->reading.sections, "addresses");
	int rc = store_fact_set(j->store, state, l->push_state, e);

	if (rc == 0 && said != NULL && strspn(said, "0123456789abcdef.: \n") == strlen(said) && strlen(said) < 4096)
		rc = store_fact_set(j->store, addresses, said, e);
	if (rc == 0)
		rc = store_fact_set(j->store, files, l->reading.file_troubles.s, e);
	if (rc == 0)
		rc = store_fact_set(j->store, warnings, l->reading.warnings.len > 0 ? l->reading.warnings.s : NULL, e);
	if (rc == 0)
		rc = store_fact_set(j->store, sni, l->reading.by_sni ? "yes" : NULL, e);
	if (rc == 0)
		rc = store_fact_set(j->store, instances, others != NULL && strspn(others, " \n") < strlen(others) && strlen(others) < 4096 ? others :
		    NULL, e);
	if (rc == 0)
		rc = touched_store(j, sv, l, e);
	free(instances);
	free(warnings);
	free(state);
	free(addresses);
	free(files);
	free(sni);
	return rc;
}

struct store_arg { struct journey *j; int64_t server; const struct looked *l; };

static int
store_body(struct store *st, void *arg, struct err *e)
{
	struct store_arg *a = arg;
	const struct reading *r = &a->l->reading;
	struct server sv = { .id = 0 };
	struct vserver_list old = { NULL, 0 };
	size_t i;
	int rc = -1;

	if (store_server_get(st, a->server, &sv, e) == -1 || store_vservers(st, a->server, &old, e) == -1)
		goto out;
	xset(&sv.mailsys, a->l->mailsys->name);
	xset(&sv.version, r->version);
	xset(&sv.config_dir, r->config_dir);
	xset(&sv.host_name, r->host_name);
	xset(&sv.domain, r->domain);
	xset(&sv.os, r->os);
	xset(&sv.base, r->base);
	sv.queue_messages = r->queue_messages;
	sv.generation = r->generation;
	sv.read_at = when_now();
	if (store_server_save(st, &sv, e) == -1)
		goto out;
	name_added(r, &old);
	for (i = 0; i < r->vservers.n; i++)
		if (vserver_store(a->j, a->server, &r->vservers.v[i], &old, a->l, e) == -1)
			goto out;
	rc = store_found_rules_set(st, a->server, &r->rules, e);
	if (rc == 0)
		rc = vservers_gone(a->j, &old, a->l, e);
	if (rc == 0)
		rc = facts_store(a->j, &sv, a->l, e);
out:
	server_release(&sv);
	vserver_list_release(&old);
	return rc;
}

int
looked_store(struct journey *j, int64_t server, const struct looked *l, struct err *e)
{
	return store_tx(j->store, store_body, &(struct store_arg){ j, server, l }, e);
}
