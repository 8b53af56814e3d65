/* Builds the tree: Needs attention, then servers with their virtual servers, connectors and certificates, then authorities.
 * The whole of it is read from the store; a fleet of hundreds is milliseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/certificate.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/tree.h"

#define SOON_DAYS 30
#define DAY 86400

char
time_left(int64_t not_after, char out[48])
{
	int64_t left = not_after - when_now();
	char ago[16];

	if (not_after == 0) {
		snprintf(out, 48, "?");
		return '?';
	}
	when_ago(ago, left < 0 ? -left : left);
	if (left < 0) {
		snprintf(out, 48, "expired %s ago", ago);
		return '!';
	}
	snprintf(out, 48, "%s left", ago);
	return left < (int64_t)SOON_DAYS * DAY ? '!' : '+';
}

/* The same for a row of the tree, where room is short: "! 6 d", "89 d". Caller frees. */
static char *
short_left(int64_t not_after, char *sign)
{
	char left[48];
	size_t n;

	*sign = time_left(not_after, left);
	n = strlen(left);
	if (n > 5 && strcmp(left + n - 5, " left") == 0)
		left[n - 5] = '\0';
	return strncmp(left, "expired", 7) == 0 ? xstrdup("! expired") : xasprintf("%s%s", *sign == '!' ? "! " : "", left);
}

static int
folded(const struct tree *t, const char *key)
{
	for (size_t i = 0; i < t->n_folded; i++)
		if (strcmp(t->folded[i] + 1, key) == 0)
			return t->folded[i][0];
	return 0;
}

void
tree_fold(struct tree *t, const char *key, bool open)
{
	for (size_t i = 0; i < t->n_folded; i++)
		if (strcmp(t->folded[i] + 1, key) == 0) {
			t->folded[i][0] = open ? '+' : '-';
			return;
		}
	ARRAY_GROW(t->folded, t->n_folded);
	t->folded[t->n_folded++] = xasprintf("%c%s", open ? '+' : '-', key);
}

static struct node *
add(struct tree *t, enum node_kind kind, int depth, const char *type, int64_t id, char sign, const char *name)
{
	ARRAY_GROW(t->v, t->n);
	struct node *n = &t->v[t->n++];

	memset(n, 0, sizeof(*n));
	n->kind = kind;
	n->depth = depth;
	n->id = id;
	n->sign = sign;
	n->name = xstrdup(name);
	snprintf(n->key, sizeof(n->key), "%s %lld", type, (long long)id);
	return n;
}

static void
fold(struct node *n, bool open)
{
	n->folds = true;
	n->opens = open;
}

static struct node *
group(struct tree *t, int depth, const char *key, int64_t id, const char *title, size_t count, bool open)
{
	char *name = xasprintf("%s (%zu)", title, count);
	struct node *n = add(t, NODE_GROUP, depth, key, id, 0, name);

	free(name);
	fold(n, open);
	return n;
}

static int
add_attention(struct tree *t, struct app *a, struct err *e)
{
	struct attention_list l = { NULL, 0 };
	struct node *g;

	if (attention(a->j, &l, e) != 0)
		return -1;
	t->problems = t->unknown = 0;
	g = group(t, 0, "attention", 0, "Needs attention", l.n, true);
	g->sign = l.n > 0 ? '!' : 0;
	for (size_t i = 0; i < l.n; i++) {
		struct attention *r = &l.v[i];
		struct node *n = add(t, NODE_ATTENTION, 1, "attention", (int64_t)i + 1, r->sign, r->text);
		n->server = r->server;
		n->id = r->authority != 0 ? r->authority : r->vserver;
		n->next = xstrdup(r->next);
		n->destination = xstrdup(r->destination);
		*(r->sign == '?' ? &t->unknown : &t->problems) += 1;
	}
	attention_list_release(&l);
	return 0;
}

/* What is to become of it, or that it takes no mail in, comes before its TLS. */
static bool
listener_state(const struct vserver *v, struct node *n)
{
	const char *run = v->run != NULL ? v->run : "started", *wanted = v->run_wanted != NULL ? v->run_wanted : run;

	n->sign = '~';
	if (text_eq(v->ours, "removed"))
		n->state = xstrdup("~ removed");
	else if (text_eq(v->ours, "added") && !v->present)
		n->state = xstrdup("~ new");
	else if (strcmp(run, wanted) != 0)
		n->state = xasprintf("~ %s", strcmp(wanted, "started") == 0 ? "start" : strcmp(wanted, "paused") == 0 ? "pause" : "stop");
	else if (strcmp(run, "started") != 0)
		n->sign = '!', n->state = xasprintf("! %s", run);
	else if (v->port == 0 && text_eq(v->kind, "outbound"))
		n->sign = 0, n->state = xstrdup("sends");
	else
		n->sign = 0;
	return n->state != NULL;
}

static void
vserver_state(struct app *a, const struct vserver *v, struct node *n)
{
	struct certificate c = { 0 };
	const char *level = NULL, *state = certificate_state(a->j, v->id);

	for (size_t i = 0; i < v->found.n; i++)
		if (strcmp(v->found.v[i].name, "inbound.tls") == 0)
			level = v->found.v[i].value;
	if (listener_state(v, n))
		return;
	if (!v->present && v->listen == NULL) {
		n->sign = '?', n->state = xstrdup("? not read");
	} else if (v->served_trouble != NULL && v->served_pem == NULL && (level == NULL || strcmp(level, "off") != 0)) {
		n->sign = '!', n->state = xstrdup("! no TLS");
	} else if (v->served_pem != NULL && cert_describe(v->served_pem, &c, NULL) == 0) {
		char *left = short_left(c.not_after, &n->sign);
		n->state = xstrdup(n->sign == '!' ? left : "ok");
		free(left);
		certificate_release(&c);
	} else {
		n->state = xstrdup(strcmp(state, "pending") == 0 ? "~ request" : "no TLS");
		n->sign = strcmp(state, "pending") == 0 ? '~' : 0;
	}
}

static void
add_vservers(struct tree *t, struct app *a, const struct server *s, int depth, const struct vserver_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct vserver *v = &l->v[i];
		char *name = xasprintf("%s :%d", v->name, v->port);
		struct node *n = add(t, NODE_VSERVER, depth, "vs", v->id, 0, v->port > 0 ? name : v->name);
		free(name);
		n->server = s->id;
		n->object_name = xasprintf("%s/%s", s->name, v->name);
		vserver_state(a, v, n);
		t->listeners += v->port > 0;   /* one that only sends does not listen */
	}
}

static bool
sends_for(const struct connector *c, const char *server)
{
	size_t n;
	char **via = words_split(c->via != NULL ? c->via : "", " ", &n);
	bool hit = false;

	for (size_t i = 0; i < n && !hit; i++) {
		size_t k = strcspn(via[i], "/");
		hit = strncmp(via[i], server, k) == 0 && server[k] == '\0';
	}
	words_free(via);
	return hit;
}

/* Does this connector stand below s? s NULL: below no server, because no known one sends for it. */
static bool
stands_below(const struct connector *c, const struct server *s, const struct server_list *servers)
{
	if (s != NULL)
		return sends_for(c, s->name);
	for (size_t i = 0; i < servers->n; i++)
		if (sends_for(c, servers->v[i].name))
			return false;
	return true;
}

static void
add_connectors(struct tree *t, const struct server_list *servers, const struct server *s, int depth,
    const struct connector_list *l)
{
	size_t count = 0;

	for (size_t i = 0; i < l->n; i++)
		count += stands_below(&l->v[i], s, servers);
	if (count == 0)
		return;
	group(t, depth, "connectors", s != NULL ? s->id : 0, "Connectors", count, count <= 6);
	for (size_t i = 0; i < l->n; i++) {
		if (!stands_below(&l->v[i], s, servers))
			continue;
		struct node *n = add(t, NODE_CONNECTOR, depth + 1, "connector", l->v[i].id, 0, l->v[i].name);
		snprintf(n->key, sizeof(n->key), "connector %lld %lld", (long long)(s != NULL ? s->id : 0),
		    (long long)l->v[i].id);
		n->server = s != NULL ? s->id : 0;
		n->object_name = xstrdup(l->v[i].name);
		n->state = xstrdup(l->v[i].tls);
	}
}

/* The administrator's own rules, as last read: below the connectors, and only to look at. */
static int
add_rules(struct tree *t, struct app *a, const struct server *s, int depth, struct err *e)
{
	struct found_rule_list l = { NULL, 0 };

	if (store_found_rules(a->st, s->id, &l, e) != 0)
		return -1;
	if (l.n > 0)
		group(t, depth, "found", s->id, "Found connectors", l.n, false);
	for (size_t i = 0; i < l.n; i++) {
		const char *name = *l.v[i].key != '\0' ? l.v[i].key : l.v[i].value;
		struct node *n = add(t, NODE_RULE, depth + 1, "rule", (int64_t)i, l.v[i].trouble != NULL ? '!' : 0, name);

		snprintf(n->key, sizeof(n->key), "rule %lld %lld", (long long)s->id, (long long)i);
		n->server = s->id;
		n->object_name = xstrdup(l.v[i].key);
		n->state = xstrdup(l.v[i].kind);
	}
	found_rule_list_release(&l);
	return 0;
}

static bool
waits(const struct request *r)
{
	return r->state != NULL && strcmp(r->state, "pending") == 0;
}

/* Its key is on this server; or it is kept here, and one of its virtual servers has it. */
static bool
belongs(struct app *a, const struct certificate *c, int64_t server)
{
	struct vserver_list l = { NULL, 0 };
	bool yes = c->key_server == server;

	if (c->sealed_key != NULL && store_vservers(a->st, server, &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++)
			yes = yes || l.v[i].certificate == c->id || l.v[i].second == c->id;
	vserver_list_release(&l);
	return yes;
}

/* Certificates whose key is on this server, and requests that wait. */
static void
add_certificates(struct tree *t, struct app *a, int64_t server, int depth, const struct certificate_list *certs,
    const struct request_list *requests)
{
	size_t count = 0;

	for (size_t i = 0; i < certs->n; i++)
		count += belongs(a, &certs->v[i], server);
	for (size_t i = 0; i < requests->n; i++)
		count += waits(&requests->v[i]) && request_server(a->j, &requests->v[i]) == server;
	if (count == 0)
		return;
	group(t, depth, "certificates", server, "Certificates", count, count <= 6);
	for (size_t i = 0; i < requests->n; i++) {
		const struct request *r = &requests->v[i];
		if (!waits(r) || request_server(a->j, r) != server)
			continue;
		struct node *n = add(t, NODE_REQUEST, depth + 1, "request", r->id, '~', r->subject.cn);
		n->server = server;
		n->state = xstrdup("~ waits");
	}
	for (size_t i = 0; i < certs->n; i++) {
		const struct certificate *c = &certs->v[i];
		if (!belongs(a, c, server))
			continue;
		char *name = xasprintf("#%lld %s", (long long)c->id, c->cn != NULL ? c->cn : c->name);
		struct node *n = add(t, NODE_CERTIFICATE, depth + 1, "certificate", c->id, 0, name);
		free(name);
		n->server = server;
		n->state = short_left(c->not_after, &n->sign);
		t->certificates++;
	}
}

/* What a server's row says when nothing runs there: what is wrong, else what is edited, else ok. */
static void
server_state(struct app *a, const struct server *s, struct node *n)
{
	if (s->trouble != NULL) {
		n->sign = s->trouble_code != NULL && strcmp(s->trouble_code, "net") != 0
		    && strcmp(s->trouble_code, "timeout") != 0 ? '!' : '?';
		n->state = xasprintf("%c %s", n->sign, s->trouble_code != NULL ? s->trouble_code : "trouble");
	} else if (s->read_at == 0) {
		n->sign = '?';
		n->state = xstrdup("? not read");
	} else if (pending_edits(a->j, s->id, NULL) > 0) {
		n->sign = '~';
		n->state = xstrdup("~ edited");
	} else {
		n->sign = '+';
		n->state = xstrdup("ok");
	}
}

void
tree_tasks(struct tree *t, struct app *a)
{
	for (size_t i = 0; i < t->n; i++) {
		struct node *n = &t->v[i];
		struct task *task = n->kind == NODE_SERVER ? task_of_server(a, n->server) : NULL;

		free(n->runs);
		n->runs = task != NULL ? xasprintf("%s ...", task->verb) : NULL;
	}
}

/* What add_server needs of the store, read once. */
struct stock {
	const struct server_list *servers;
	const struct connector_list *connectors;
	const struct certificate_list *certs;
	const struct request_list *requests;
};

static int
add_server(struct tree *t, struct app *a, const struct stock *k, const struct server *s, int depth, struct err *e)
{
	struct vserver_list vs = { NULL, 0 };
	struct node *n = add(t, NODE_SERVER, depth, "server", s->id, 0, s->name);

	n->server = s->id;
	n->object_name = xstrdup(s->name);
	server_state(a, s, n);
	if (store_vservers(a->st, s->id, &vs, e) != 0)
		return -1;
	if (vs.n > 0)
		fold(n, k->servers->n <= 3);
	add_vservers(t, a, s, depth + 1, &vs);
	vserver_list_release(&vs);
	add_connectors(t, k->servers, s, depth + 1, k->connectors);
	if (add_rules(t, a, s, depth + 1, e) != 0)
		return -1;
	add_certificates(t, a, s->id, depth + 1, k->certs, k->requests);
	return 0;
}

/* The next group in alphabetical order behind this one (NULL: the first). NULL: there is none. */
static const char *
group_after(const struct server_list *l, const char *group)
{
	const char *next = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].group != NULL && (group == NULL || strcmp(l->v[i].group, group) > 0)
		    && (next == NULL || strcmp(l->v[i].group, next) < 0))
			next = l->v[i].group;
	return next;
}

static int
add_group(struct tree *t, struct app *a, const struct stock *k, const char *name, struct err *e)
{
	size_t count = 0;
	struct node *n;

	for (size_t i = 0; i < k->servers->n; i++)
		count += text_eq(k->servers->v[i].group, name);
	n = group(t, 1, "group", 0, name, count, true);
	snprintf(n->key, sizeof(n->key), "group %s", name);
	fold(n, true);
	n->object_name = xasprintf("@%s", name);
	for (size_t i = 0; i < k->servers->n; i++)
		if (text_eq(k->servers->v[i].group, name) && add_server(t, a, k, &k->servers->v[i], 2, e) != 0)
			return -1;
	return 0;
}

/* Groups first, then who is in none. */
static int
add_servers(struct tree *t, struct app *a, const struct stock *k, struct err *e)
{
	t->servers = k->servers->n;
	group(t, 0, "servers", 0, "Servers", k->servers->n, true);
	for (const char *g = group_after(k->servers, NULL); g != NULL; g = group_after(k->servers, g))
		if (add_group(t, a, k, g, e) != 0)
			return -1;
	for (size_t i = 0; i < k->servers->n; i++)
		if (k->servers->v[i].group == NULL && add_server(t, a, k, &k->servers->v[i], 1, e) != 0)
			return -1;
	return 0;
}

static int
add_authorities(struct tree *t, struct app *a, struct err *e)
{
	struct authority_list l = { NULL, 0 };

	if (store_authorities(a->st, &l, e) != 0)
		return -1;
	group(t, 0, "authorities", 0, "Authorities", l.n, true);
	t->authorities = l.n;
	for (size_t i = 0; i < l.n; i++) {
		struct node *n = add(t, NODE_AUTHORITY, 1, "authority", l.v[i].id, 0, l.v[i].name);
		n->object_name = xstrdup(l.v[i].name);
		if (l.v[i].not_after != 0)
			n->state = short_left(l.v[i].not_after, &n->sign);
		else
			n->state = xstrdup("ACME");
	}
	authority_list_release(&l);
	return 0;
}

void
tree_hide(struct tree *t, const char *filter)
{
	int closed = 1 << 20, need[8] = { 0 };

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].folds) {
			int told = folded(t, t->v[i].key);
			t->v[i].open = told == 0 ? t->v[i].opens : told == '+';
		}

	if (filter == NULL) {
		for (size_t i = 0; i < t->n; i++) {
			struct node *n = &t->v[i];
			if (n->depth <= closed)
				closed = 1 << 20;
			n->hidden = n->depth > closed;
			if (n->folds && !n->open && !n->hidden)
				closed = n->depth;
		}
		return;
	}
	for (size_t i = t->n; i-- > 0; ) {
		struct node *n = &t->v[i];
		bool hit = match_words(n->name, filter) || (n->state != NULL && match_words(n->state, filter));
		n->hidden = !hit && !need[n->depth + 1];
		for (int d = n->depth + 1; d < 8; d++)
			need[d] = 0;
		if (!n->hidden)
			need[n->depth] = 1;
		if (n->folds)
			n->open = true;
	}
}

static void
release_rows(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].name);
		free(t->v[i].state);
		free(t->v[i].runs);
		free(t->v[i].object_name);
		free(t->v[i].next);
		free(t->v[i].destination);
	}
	free(t->v);
	t->v = NULL;
	t->n = 0;
}

int
tree_build(struct tree *t, struct app *a, const char *filter, struct err *e)
{
	struct server_list servers = { NULL, 0 };
	struct connector_list connectors = { NULL, 0 };
	struct certificate_list certs = { NULL, 0 };
	struct request_list requests = { NULL, 0 };
	struct stock stock = { &servers, &connectors, &certs, &requests };
	int rc = -1;

	release_rows(t);
	t->listeners = t->certificates = 0;
	if (store_servers(a->st, &servers, e) != 0 || store_connectors(a->st, &connectors, e) != 0
	    || store_certificates(a->st, &certs, e) != 0 || store_requests(a->st, 0, &requests, e) != 0)
		goto out;
	t->connectors = connectors.n;
	if (add_attention(t, a, e) != 0 || add_servers(t, a, &stock, e) != 0)
		goto out;
	add_connectors(t, &servers, NULL, 0, &connectors);
	add_certificates(t, a, 0, 0, &certs, &requests);
	if (add_authorities(t, a, e) != 0)
		goto out;
	tree_hide(t, filter);
	tree_tasks(t, a);
	rc = 0;
out:
	server_list_release(&servers);
	connector_list_release(&connectors);
	certificate_list_release(&certs);
	request_list_release(&requests);
	return rc;
}

void
tree_release(struct tree *t)
{
	release_rows(t);
	for (size_t i = 0; i < t->n_folded; i++)
		free(t->folded[i]);
	free(t->folded);
	*t = (struct tree){ .v = NULL };
}
