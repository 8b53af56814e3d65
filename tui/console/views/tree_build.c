/* Builds the tree: Needs attention, then servers with their virtual servers, connectors and certificates, then authorities. All of it
 * is read from the store anew, a slice at a time; what the store says of one server is read in one slice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/tree.h"

#define SOON_DAYS 30
#define DAY 86400

struct tree_build {
	struct app *a;
	struct tree next;                /* its rows so far */
	struct server_list servers;
	struct connector_list connectors;
	struct certificate_list certs;
	struct request_list requests;
	int64_t *request_of;             /* the server of each request that waits; -1: it does not wait */
	struct attention_run *attention; /* until it is over */
	const struct server **order;     /* the servers as they are shown; NULL: nothing is read yet */
	size_t at;
};

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

static void
add_attention(struct tree *t, const struct attention_list *l)
{
	group(t, 0, "attention", 0, "Needs attention", l->n, true)->sign = l->n > 0 ? '!' : 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct attention *r = &l->v[i];
		struct node *n = add(t, NODE_ATTENTION, 1, "attention", (int64_t)i + 1, r->sign, r->text);
		n->server = r->server;
		n->id = r->authority != 0 ? r->authority : r->vserver;
		n->next = xstrdup(r->next);
		n->destination = xstrdup(r->destination);
		*(r->sign == '?' ? &t->unknown : &t->problems) += 1;
	}
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
	const struct certificate *c = certificate_described(a->j, v->served_pem);
	const char *level = NULL;

	for (size_t i = 0; i < v->found.n; i++)
		if (strcmp(v->found.v[i].name, "inbound.tls") == 0)
			level = v->found.v[i].value;
	if (listener_state(v, n))
		return;
	if (!v->present && v->listen == NULL) {
		n->sign = '?', n->state = xstrdup("? not read");
	} else if (v->served_trouble != NULL && v->served_pem == NULL && (level == NULL || strcmp(level, "off") != 0)) {
		n->sign = '!', n->state = xstrdup("! no TLS");
	} else if (c != NULL) {
		char *left = short_left(c->not_after, &n->sign);
		n->state = xstrdup(n->sign == '!' ? left : "ok");
		free(left);
	} else {
		bool pending = strcmp(certificate_state(a->j, v->id), "pending") == 0;
		n->state = xstrdup(pending ? "~ request" : "no TLS");
		n->sign = pending ? '~' : 0;
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
belongs(const struct certificate *c, int64_t server, const struct vserver_list *vs)
{
	bool yes = c->key_server == server;

	for (size_t i = 0; c->sealed_key != NULL && i < vs->n && !yes; i++)
		yes = vs->v[i].certificate == c->id || vs->v[i].second == c->id;
	return yes;
}

/* Certificates whose key is on this server, and requests that wait. server 0: of none. */
static void
add_certificates(struct tree_build *b, int64_t server, int depth, const struct vserver_list *vs)
{
	struct tree *t = &b->next;
	size_t count = 0;

	for (size_t i = 0; i < b->certs.n; i++)
		count += belongs(&b->certs.v[i], server, vs);
	for (size_t i = 0; i < b->requests.n; i++)
		count += b->request_of[i] == server;
	if (count == 0)
		return;
	group(t, depth, "certificates", server, "Certificates", count, count <= 6);
	for (size_t i = 0; i < b->requests.n; i++) {
		if (b->request_of[i] != server)
			continue;
		struct node *n = add(t, NODE_REQUEST, depth + 1, "request", b->requests.v[i].id, '~', b->requests.v[i].subject.cn);
		n->server = server;
		n->state = xstrdup("~ waits");
	}
	for (size_t i = 0; i < b->certs.n; i++) {
		const struct certificate *c = &b->certs.v[i];
		if (!belongs(c, server, vs))
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

static int
add_server(struct tree_build *b, const struct server *s, int depth, struct err *e)
{
	struct tree *t = &b->next;
	struct vserver_list vs = { NULL, 0 };
	struct node *n = add(t, NODE_SERVER, depth, "server", s->id, 0, s->name);
	int rc;

	n->server = s->id;
	n->object_name = xstrdup(s->name);
	server_state(b->a, s, n);
	if (store_vservers(b->a->st, s->id, &vs, e) != 0)
		return -1;
	if (vs.n > 0)
		fold(n, b->servers.n <= 3);
	add_vservers(t, b->a, s, depth + 1, &vs);
	add_connectors(t, &b->servers, s, depth + 1, &b->connectors);
	rc = add_rules(t, b->a, s, depth + 1, e);
	if (rc == 0)
		add_certificates(b, s->id, depth + 1, &vs);
	vserver_list_release(&vs);
	return rc;
}

/* Groups first, in alphabetical order, then who is in none; within one as in the store. */
static int
by_group(const void *x, const void *y)
{
	const struct server *const *a = x, *const *b = y;

	if ((*a)->group == NULL || (*b)->group == NULL)
		return ((*a)->group == NULL) - ((*b)->group == NULL) != 0 ? ((*a)->group == NULL) - ((*b)->group == NULL) : (*a > *b) - (*a < *b);
	int order = strcmp((*a)->group, (*b)->group);
	return order != 0 ? order : (*a > *b) - (*a < *b);
}

/* The row of a group, before the first of its servers. */
static void
add_group(struct tree_build *b, const char *name)
{
	size_t count = 0;
	struct node *n;

	for (size_t i = b->at; i < b->servers.n && text_eq(b->order[i]->group, name); i++)
		count++;
	n = group(&b->next, 1, "group", 0, name, count, true);
	snprintf(n->key, sizeof(n->key), "group %s", name);
	n->object_name = xasprintf("@%s", name);
}

static int
add_next_server(struct tree_build *b, struct err *e)
{
	const struct server *s = b->order[b->at];

	if (b->at == 0)
		group(&b->next, 0, "servers", 0, "Servers", b->servers.n, true);
	if (s->group != NULL && (b->at == 0 || !text_eq(b->order[b->at - 1]->group, s->group)))
		add_group(b, s->group);
	b->at++;
	return add_server(b, s, s->group != NULL ? 2 : 1, e);
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


struct tree_build *
tree_begin(struct app *a)
{
	struct tree_build *b = xcalloc(1, sizeof(*b));

	b->a = a;
	return b;
}

/* What is read once. */
static int
load(struct tree_build *b, struct err *e)
{
	struct app *a = b->a;

	if (store_servers(a->st, &b->servers, e) != 0 || store_connectors(a->st, &b->connectors, e) != 0
	    || store_certificates(a->st, &b->certs, e) != 0 || store_requests(a->st, 0, &b->requests, e) != 0
	    || (b->attention = attention_begin(a->j, ATTENTION_DAYS, e)) == NULL)
		return -1;
	b->next.servers = b->servers.n;
	b->next.connectors = b->connectors.n;
	b->order = xcalloc(b->servers.n + 1, sizeof(*b->order));
	for (size_t i = 0; i < b->servers.n; i++)
		b->order[i] = &b->servers.v[i];
	qsort(b->order, b->servers.n, sizeof(*b->order), by_group);
	b->request_of = xcalloc(b->requests.n + 1, sizeof(*b->request_of));
	for (size_t i = 0; i < b->requests.n; i++)
		b->request_of[i] = waits(&b->requests.v[i]) ? request_server(a->j, &b->requests.v[i]) : -1;
	return 0;
}

int
tree_some(struct tree_build *b, int64_t until_ms, struct err *e)
{
	struct attention_list l = { NULL, 0 };
	struct vserver_list none = { NULL, 0 };

	if (b->order == NULL && load(b, e) != 0)
		return -1;
	if (b->attention != NULL) {
		if (attention_some(b->attention, until_ms))
			return 1;
		attention_end(b->attention, &l);
		b->attention = NULL;
		add_attention(&b->next, &l);
		attention_list_release(&l);
	}
	while (b->at < b->servers.n) {
		if (when_monotonic_ms() >= until_ms)
			return 1;
		if (add_next_server(b, e) != 0)
			return -1;
	}
	if (b->servers.n == 0)
		group(&b->next, 0, "servers", 0, "Servers", 0, true);
	add_connectors(&b->next, &b->servers, NULL, 0, &b->connectors);
	add_certificates(b, 0, 0, &none);
	return add_authorities(&b->next, b->a, e);
}

void
tree_drop(struct tree_build *b)
{
	if (b == NULL)
		return;
	attention_end(b->attention, NULL);
	server_list_release(&b->servers);
	connector_list_release(&b->connectors);
	certificate_list_release(&b->certs);
	request_list_release(&b->requests);
	free(b->order);
	free(b->request_of);
	tree_release(&b->next);
	free(b);
}

void
tree_take(struct tree *t, struct tree_build *b, const char *filter)
{
	struct tree was = *t;

	*t = b->next;
	t->folded = was.folded;
	t->n_folded = was.n_folded;
	was.folded = NULL;
	was.n_folded = 0;
	b->next = was;
	tree_hide(t, filter);
	tree_tasks(t, b->a);
	tree_drop(b);
}
