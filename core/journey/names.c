/* Names and DNS: what is known of the names of a request while it is written, which others would be worth having in it, and which
 * names lead to a host by MX. All of it is asked from here, in a worker. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/probe.h"
#include "mxseal/xalloc.h"

#define NAMES_LOOKED 20          /* of a form: the rest is not looked up */

static void
words_drop(char **v, size_t n)
{
	while (n > 0)
		free(v[--n]);
	free(v);
}

static bool
has_word(const char *words, const char *word)
{
	char **w = words_split(words, " ", NULL);
	bool yes = false;
	size_t i;

	for (i = 0; w[i] != NULL; i++)
		yes = yes || text_ieq(w[i], word);
	words_free(w);
	return yes;
}

static void
add_word(struct str *words, const char *word)
{
	if (!text_empty(word) && !has_word(words->s, word))
		str_addf(words, "%s%s", words->len > 0 ? " " : "", word);
}

/* --- which MX names lead to a host --- */

static bool
share_one(char *const *a, size_t n, char *const *b, size_t m)
{
	size_t i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < m; k++)
			if (text_ieq(a[i], b[k]))
				return true;
	return false;
}

/* The mail servers of a domain that are this host: by their name, or by an address they have in common. */
static int
mx_names(const char *domain, const char *host, struct str *out, struct err *e)
{
	struct mx_list mx = { .n = 0 };
	char **addresses = NULL;
	size_t n = 0, i;

	if (text_empty(domain) || dns_mx(domain, &mx, e) == -1)
		return -1;
	(void)dns_addresses(host, &addresses, &n, NULL);
	for (i = 0; i < mx.n && !mx.implicit; i++)
		if (text_ieq(mx.v[i].name, host) || share_one(addresses, n, mx.v[i].addresses, mx.v[i].n_addresses))
			add_word(out, mx.v[i].name);
	words_drop(addresses, n);
	mx_list_release(&mx);
	return 0;
}

/* "a.b.test" for "mx.a.b.test"; NULL where nothing but a top level is left. */
static const char *
parent_of(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot != NULL && strchr(dot + 1, '.') != NULL ? dot + 1 : NULL;
}

char *
mx_names_fact(int64_t server)
{
	return xasprintf("mx-names:%lld", (long long)server);
}

char *
mx_names_known(struct journey *j, int64_t server)
{
	char *fact = mx_names_fact(server), *names = NULL;

	(void)store_fact_get(j->store, fact, &names, NULL);
	free(fact);
	return names;
}

struct watch {
	struct journey *j;
	int64_t server;
	char *host, *domain;
	struct str names;
	journey_done_fn *done;
	void *arg;
};

static void
watch_free(void *arg)
{
	struct watch *w = arg;

	free(w->host);
	free(w->domain);
	str_release(&w->names);
	free(w);
}

static int
watch_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct watch *w = arg;

	(void)ctx;
	return mx_names(w->domain, w->host, &w->names, e);
}

static void
watch_done(void *arg, int rc, const struct err *e)
{
	struct watch *w = arg;
	char *fact = mx_names_fact(w->server);
	struct server sv = { .id = 0 };

	if (store_server_get(w->j->store, w->server, &sv, NULL) == -1)
		;                                        /* forgotten meanwhile: no fact of it is kept */
	else if (rc == 0)
		(void)store_fact_set(w->j->store, fact, w->names.s, NULL);
	else if (e->code == RC_NOTFOUND)                 /* no such domain: no MX leads here */
		(void)store_fact_set(w->j->store, fact, "", NULL);
	server_release(&sv);
	free(fact);
	w->done(w->arg, 0, e);                           /* DNS is nobody's fault here */
}

int64_t
names_watch(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e)
{
	struct server sv = { .id = 0 };
	struct err none = { .code = RC_OK };
	struct watch *w;
	struct job job = { .title = "MX names", .work = watch_work, .done = watch_done, .drop = watch_free };

	if (store_server_get(j->store, server, &sv, e) == -1)
		return -1;
	if (text_empty(sv.host_name) || text_empty(sv.domain)) {
		server_release(&sv);
		done(arg, 0, &none);
		return 0;
	}
	w = xcalloc(1, sizeof(*w));
	*w = (struct watch){ .j = j, .server = server, .host = xstrdup(sv.host_name), .domain = xstrdup(sv.domain), .done = done, .arg = arg };
	str_init(&w->names, 4096);
	server_release(&sv);
	job.arg = w;
	return jobq_submit(j->jobs, &job);
}

/* --- the names of a form --- */

struct names_look {
	struct form *form;
	char *cn, *san;                  /* as they were when it began */
	char *host, *domain;             /* of the server, or NULL */
	struct str cn_remark, san_remark;
	bool silent;                     /* DNS does not answer: no more is asked */
	journey_done_fn *done;
	void *arg;
};

static void
names_free(void *arg)
{
	struct names_look *l = arg;

	free(l->cn);
	free(l->san);
	free(l->host);
	free(l->domain);
	str_release(&l->cn_remark);
	str_release(&l->san_remark);
	free(l);
}

static bool
is_mx_of(const char *name, const char *domain)
{
	struct str names = STR_INIT;
	bool yes = domain != NULL && mx_names(domain, name, &names, NULL) == 0 && has_word(names.s, name);

	str_release(&names);
	return yes;
}

static void
look_cn(struct names_look *l)
{
	char **addresses = NULL;
	struct err e = { .code = RC_OK };
	size_t n = 0;

	if (dns_addresses(l->cn, &addresses, &n, &e) == -1 && e.code == RC_NET) {
		str_add(&l->cn_remark, "? DNS does not answer from here");
		l->silent = true;
		return;
	}
	if (n == 0)
		str_add(&l->cn_remark, "! not found in DNS from here; ");
	else
		str_addf(&l->cn_remark, "DNS: %s; ", clean(addresses[0]));
	words_drop(addresses, n);
	if (is_mx_of(l->cn, l->cn))
		str_addf(&l->cn_remark, "MX of %s", clean(l->cn));
	else if (parent_of(l->cn) != NULL && is_mx_of(l->cn, parent_of(l->cn)))
		str_addf(&l->cn_remark, "MX of %s", clean(parent_of(l->cn)));
	else
		str_add(&l->cn_remark, "! not an MX of its domain: peers look up the MX name");
}

/* Each other name: a certificate for one that DNS does not know is refused by public authorities, and helps nobody. */
static void
look_others(struct names_look *l)
{
	char **w = words_split(l->san, " \t\r\n,", NULL), **addresses;
	struct str lost = STR_INIT, ascii = STR_INIT;
	struct err e = { .code = RC_OK };
	size_t i, n, found = 0;

	for (i = 0; w[i] != NULL && i < NAMES_LOOKED && !l->silent; i++) {
		str_reset(&ascii);
		if (text_starts(w[i], "*.") || name_to_ascii(w[i], &ascii, NULL) == -1)
			continue;
		addresses = NULL;
		n = 0;
		if (dns_addresses(ascii.s, &addresses, &n, &e) == -1 && e.code == RC_NET)
			l->silent = true;
		else if (n == 0)
			add_word(&lost, clean(w[i]));
		else
			found++;
		words_drop(addresses, n);
	}
	if (l->silent)
		str_add(&l->san_remark, "? DNS does not answer from here; ");
	else if (lost.len > 0)
		str_addf(&l->san_remark, "! not found in DNS from here: %s; ", lost.s);
	else if (found > 0)
		str_add(&l->san_remark, "all are in DNS; ");
	words_free(w);
	str_release(&lost);
	str_release(&ascii);
}

/* Other names that lead to this host: by MX, and by the reverse lookup of its addresses. */
static void
look_proposals(struct names_look *l)
{
	struct str more = STR_INIT, names = STR_INIT;
	char **addresses = NULL, **reverse, **w;
	size_t n = 0, m, i, k;

	if (text_empty(l->host) || l->silent)
		return;
	(void)mx_names(l->domain, l->host, &names, NULL);
	if (dns_addresses(l->host, &addresses, &n, NULL) == 0)
		for (i = 0; i < n && i < 4; i++) {
			if (dns_names_of(addresses[i], &reverse, &m, NULL) == 0)
				for (k = 0; k < m; k++)
					add_word(&names, reverse[k]);
			words_drop(reverse, m);
		}
	words_drop(addresses, n);
	w = words_split(names.s, " ", NULL);
	for (i = 0; w[i] != NULL; i++)
		if (!text_ieq(w[i], l->cn) && !has_word(l->san, w[i]))
			add_word(&more, clean(w[i]));
	if (more.len > 0)
		str_addf(&l->san_remark, "DNS also leads here by: %s; ", more.s);
	words_free(w);
	str_release(&more);
	str_release(&names);
}

static int
names_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct names_look *l = arg;

	(void)e;
	look_cn(l);
	if (!job_cancelled(ctx))
		look_others(l);
	if (!job_cancelled(ctx))
		look_proposals(l);
	return 0;
}

static void
names_done(void *arg, int rc, const struct err *e)
{
	struct names_look *l = arg;

	if (rc == 0 && l->cn_remark.len > 0 && strcmp(form_get(l->form, "cn"), l->cn) == 0)
		form_note(l->form, "cn", "%s", l->cn_remark.s);
	if (rc == 0 && l->san_remark.len > 2 && strcmp(form_get(l->form, "san"), l->san) == 0)
		form_note(l->form, "san", "%.*s", (int)l->san_remark.len - 2, l->san_remark.s);
	l->done(l->arg, rc, e);
}

/* The server of the form's virtual server, where it has one. */
static void
server_of(struct journey *j, int64_t vserver, struct names_look *l)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };

	if (store_vserver_get(j->store, vserver, &vs, NULL) == 0 && store_server_get(j->store, vs.server, &sv, NULL) == 0) {
		l->host = xstrdup(sv.host_name);
		l->domain = xstrdup(sv.domain);
	}
	vserver_release(&vs);
	server_release(&sv);
}

int64_t
certificate_names_look(struct journey *j, struct form *f, journey_done_fn *done, void *arg)
{
	struct names_look *l;
	struct job job = { .title = "names in DNS", .work = names_work, .done = names_done, .drop = names_free };

	if (*form_get(f, "cn") == '\0')
		return 0;
	l = xcalloc(1, sizeof(*l));
	l->form = f;
	l->cn = xstrdup(form_get(f, "cn"));
	l->san = xstrdup(form_get(f, "san"));
	str_init(&l->cn_remark, 4096);
	str_init(&l->san_remark, 4096);
	server_of(j, f->object, l);
	l->done = done;
	l->arg = arg;
	job.arg = l;
	return jobq_submit(j->jobs, &job);
}
