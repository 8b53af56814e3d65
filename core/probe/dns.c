/* MX and addresses of a domain as seen from this machine, by libunbound with the system's resolvers and /etc/hosts. What DNS
 * says is hostile: names are checked, lists are short, everything has a deadline. No DNSSEC is asked for here. */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unbound.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define QUESTION_MS 10000
#define ADDRESSES_MAX 8      /* of one mail server */

bool
is_address(const char *text)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
}

bool
dns_name_good(const char *name)
{
	size_t n = strlen(name), i;

	if (n == 0 || n > 253 || name[0] == '.' || name[0] == '-')
		return false;
	for (i = 0; i < n; i += strcspn(name + i, ".") + 1)
		if (name[i] == '.' || strcspn(name + i, ".") > 63)
			return false;            /* an empty or endless label */
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '.' && name[i] != '-' && name[i] != '_')
			return false;
	return true;
}

void
mx_list_release(struct mx_list *l)
{
	size_t i, j;

	for (i = 0; i < l->n; i++) {
		for (j = 0; j < l->v[i].n_addresses; j++)
			free(l->v[i].addresses[j]);
		free(l->v[i].addresses);
		free(l->v[i].name);
	}
	free(l->v);
	*l = (struct mx_list){ .v = NULL };
}

/* --- what the two ways have in common --- */

int
dns_addresses_by(ask_fn *ask, void *arg, const char *name, char ***out, size_t *n, struct err *e)
{
	static const int types[] = { ns_t_a, ns_t_aaaa };
	struct answers *got = xcalloc(1, sizeof(*got));
	struct err first = { .code = RC_OK };
	size_t t, i;
	bool any = false;

	for (t = 0; t < 2; t++) {
		struct err here = { .code = RC_OK };

		if (ask(arg, name, types[t], got, &here) != 0) {
			if (first.code == RC_OK)
				first = here;
			continue;
		}
		any = true;
		for (i = 0; i < got->n && *n < ADDRESSES_MAX; i++) {
			ARRAY_GROW(*out, *n);
			(*out)[(*n)++] = xstrdup(got->v[i].text);
		}
	}
	free(got);
	if (any)
		return 0;
	if (e != NULL)
		*e = first;
	return -1;
}

static int
by_preference(const void *a, const void *b)
{
	const struct mx *x = a, *y = b;

	return x->preference != y->preference ? (x->preference > y->preference) - (x->preference < y->preference) :
	    strcmp(x->name, y->name);
}

static struct mx *
mx_add(struct mx_list *out, const char *name, int preference)
{
	ARRAY_GROW(out->v, out->n);
	out->v[out->n] = (struct mx){ .name = xstrdup(name), .preference = preference };
	return &out->v[out->n++];
}

int
dns_collect(ask_fn *ask, void *arg, const char *domain, struct mx_list *out, struct err *e)
{
	struct answers *got = xcalloc(1, sizeof(*got));
	struct str ascii = STR_INIT;
	struct mx *m;
	size_t i;
	int rc = -1;

	*out = (struct mx_list){ .v = NULL };
	if (is_address(domain)) {
		m = mx_add(out, domain, 0);
		out->implicit = true;
		ARRAY_GROW(m->addresses, m->n_addresses);
		m->addresses[m->n_addresses++] = xstrdup(domain);
		free(got);
		return 0;
	}
	if (name_to_ascii(domain, &ascii, NULL) != 0) {
		str_reset(&ascii);
		str_add(&ascii, domain);
	}
	if (!dns_name_good(ascii.s)) {
		err_set(e, RC_INVALID, "%s is no domain name", clean(domain));
		goto out;
	}
	if (ask(arg, ascii.s, ns_t_mx, got, e) != 0)
		goto out;
	/* "." as the only mail server: this domain takes no mail (RFC 7505) */
	if (got->n == 1 && got->v[0].text[0] == '\0') {
		out->null_mx = true;
		rc = 0;
		goto out;
	}
	for (i = 0; i < got->n; i++)
		if (got->v[i].text[0] != '\0')
			mx_add(out, got->v[i].text, got->v[i].preference);
	if (out->n == 0) {
		out->implicit = true;
		mx_add(out, ascii.s, 0);
	}
	qsort(out->v, out->n, sizeof(*out->v), by_preference);
	for (i = 0; i < out->n; i++) {
		m = &out->v[i];
		/* a mail server without an address stays in the list: that is a finding, not a failure */
		if (dns_addresses_by(ask, arg, m->name, &m->addresses, &m->n_addresses, e) != 0 && out->implicit)
			goto out;
	}
	if (out->implicit && out->v[0].n_addresses == 0) {
		err_set(e, RC_NOTFOUND, "%s has neither mail servers (MX) nor an address in DNS", clean(domain));
		goto out;
	}
	rc = 0;
out:
	if (rc != 0)
		mx_list_release(out);
	str_release(&ascii);
	free(got);
	return rc;
}

/* --- from here --- */

struct here { struct ub_ctx *ub; int64_t until; };
struct wait { struct ub_result *result; int rc; bool done; };

static void
arrived(void *arg, int rc, struct ub_result *result)
{
	struct wait *w = arg;

	w->rc = rc;
	w->result = result;
	w->done = true;
}

/* A name in wire form without compression (RFC 1035 3.1). */
static int
wire_name(const unsigned char *p, size_t len, char out[256])
{
	size_t n = 0, i = 0;

	while (i < len && p[i] != 0) {
		size_t label = p[i++];

		if (label > 63 || i + label > len || n + label + 1 > 254)
			return -1;
		if (n > 0)
			out[n++] = '.';
		memcpy(out + n, p + i, label);
		n += label;
		i += label;
	}
	out[n] = '\0';
	return i < len && (n == 0 || dns_name_good(out)) ? 0 : -1;
}

static void
take(const struct ub_result *r, int type, struct answers *out)
{
	int i;

	for (i = 0; r->data != NULL && r->data[i] != NULL && out->n < DNS_ANSWERS_MAX; i++) {
		const unsigned char *p = (const unsigned char *)r->data[i];
		struct answer *a = &out->v[out->n];
		size_t len = r->len[i] > 0 ? (size_t)r->len[i] : 0;

		if (type == ns_t_mx) {
			if (len < 3 || wire_name(p + 2, len - 2, a->text) != 0)
				continue;
			a->preference = p[0] << 8 | p[1];
		} else if (type == ns_t_ptr) {
			if (wire_name(p, len, a->text) != 0 || a->text[0] == '\0')
				continue;
		} else if (type == TYPE_TXT || type == TYPE_TLSA) {
			if (!dns_data_text(type, p, len, a->text))
				continue;
		} else if (len != (type == ns_t_a ? 4u : 16u) ||
		    inet_ntop(type == ns_t_a ? AF_INET : AF_INET6, p, a->text, sizeof(a->text)) == NULL)
			continue;
		out->n++;
	}
}

static int
ask_here(void *arg, const char *name, int type, struct answers *out, struct err *e)
{
	struct here *h = arg;
	struct wait w = { .result = NULL };
	int id = 0, rc = -1;

	out->n = 0;
	out->secure = false;
	if (ub_resolve_async(h->ub, name, type, ns_c_in, &w, arrived, &id) != 0)
		return err_set(e, RC_NET, "DNS cannot be asked for %s", clean(name));
	while (!w.done) {
		struct pollfd p = { .fd = ub_fd(h->ub), .events = POLLIN };
		int64_t left = h->until - when_monotonic_ms();

		if (left <= 0) {
			ub_cancel(h->ub, id);
			return err_set(e, RC_NET, "DNS does not answer for %s", clean(name));
		}
		if (poll(&p, 1, (int)left) > 0 && ub_process(h->ub) != 0)
			return err_set(e, RC_NET, "DNS cannot be asked for %s", clean(name));
	}
	if (w.rc != 0 || w.result == NULL)
		err_set(e, RC_NET, "DNS cannot be asked for %s: %s", clean(name), ub_strerror(w.rc));
	else if (w.result->nxdomain)
		err_set(e, RC_NOTFOUND, "DNS knows no %s", clean(name));
	else if (w.result->rcode != ns_r_noerror)
		err_set(e, RC_REMOTE, "DNS fails for %s (answer code %d%s)", clean(name), w.result->rcode,
		    w.result->rcode == ns_r_servfail ? ", server failure" : "");
	else if (w.result->bogus)
		err_set(e, RC_REMOTE, "DNS of %s is damaged or forged: %s", clean(name), w.result->why_bogus != NULL ? clean(w.result->why_bogus) :
		    "DNSSEC does not vouch for it");
	else {
		take(w.result, type, out);
		out->secure = w.result->secure != 0;
		rc = 0;
	}
	ub_resolve_free(w.result);
	return rc;
}

static int
here_open(struct here *h, bool validating, struct err *e)
{
	const char *anchor = getenv("MXSEAL_DNS_ANCHOR");

	h->ub = ub_ctx_create();
	if (h->ub == NULL)
		return err_set(e, RC_BUG, "The resolver library does not start.");
	ub_ctx_async(h->ub, 1);                /* a thread of its own, no second process */
	ub_ctx_set_option(h->ub, "do-not-query-localhost:", "no");
	if (ub_ctx_resolvconf(h->ub, NULL) != 0) {
		ub_ctx_delete(h->ub);
		return err_set(e, RC_NET, "This machine's resolver settings (/etc/resolv.conf) cannot be read.");
	}
	ub_ctx_hosts(h->ub, NULL);             /* a machine without /etc/hosts is fine */
	if (validating && ub_ctx_add_ta_file(h->ub, !text_empty(anchor) ? anchor : "/usr/share/dns/root.key") != 0) {
		ub_ctx_delete(h->ub);
		return err_set(e, RC_INVALID, "The key of the DNS root cannot be read from %s.",
		    clean(!text_empty(anchor) ? anchor : "/usr/share/dns/root.key"));
	}
	/* the library answers some private domains by itself; the system's resolver may know them. After all else: it ends
	 * the time of settings. */
	ub_ctx_zone_remove(h->ub, "test.");
	ub_ctx_zone_remove(h->ub, "home.arpa.");
	h->until = when_monotonic_ms() + 2 * QUESTION_MS;
	return 0;
}

int
dns_mx(const char *domain, struct mx_list *out, struct err *e)
{
	struct here h;
	int rc;

	*out = (struct mx_list){ .v = NULL };
	if (here_open(&h, false, e) != 0)
		return -1;
	rc = dns_collect(ask_here, &h, domain, out, e);
	ub_ctx_delete(h.ub);
	return rc;
}

int
dns_addresses(const char *name, char ***out, size_t *n, struct err *e)
{
	struct here h;
	int rc;

	*out = NULL;
	*n = 0;
	if (is_address(name)) {
		ARRAY_GROW(*out, *n);
		(*out)[(*n)++] = xstrdup(name);
		return 0;
	}
	if (!dns_name_good(name))
		return err_set(e, RC_INVALID, "%s is no host name", clean(name));
	if (here_open(&h, false, e) != 0)
		return -1;
	rc = dns_addresses_by(ask_here, &h, name, out, n, e);
	ub_ctx_delete(h.ub);
	if (rc == 0 && *n == 0)
		return err_set(e, RC_NOTFOUND, "%s has no address in DNS", clean(name));
	return rc;
}

/* "7.2.0.192.in-addr.arpa", and the half bytes of IPv6 under ip6.arpa (RFC 1035 3.5, RFC 3596 2.5). */
static int
reverse_name(const char *address, char out[80])
{
	unsigned char raw[16];
	size_t n = 0;
	int i;

	if (inet_pton(AF_INET, address, raw) == 1) {
		snprintf(out, 80, "%d.%d.%d.%d.in-addr.arpa", raw[3], raw[2], raw[1], raw[0]);
		return 0;
	}
	if (inet_pton(AF_INET6, address, raw) != 1)
		return -1;
	for (i = 15; i >= 0; i--)
		n += (size_t)snprintf(out + n, 80 - n, "%x.%x.", raw[i] & 15, raw[i] >> 4);
	snprintf(out + n, 80 - n, "ip6.arpa");
	return 0;
}

int
dns_names_of(const char *address, char ***out, size_t *n, struct err *e)
{
	struct answers *got;
	struct here h;
	char name[80];
	size_t i;
	int rc;

	*out = NULL;
	*n = 0;
	if (reverse_name(address, name) != 0)
		return err_set(e, RC_INVALID, "%s is no IP address", clean(address));
	if (here_open(&h, false, e) != 0)
		return -1;
	got = xcalloc(1, sizeof(*got));
	rc = ask_here(&h, name, ns_t_ptr, got, e);
	ub_ctx_delete(h.ub);
	for (i = 0; rc == 0 && i < got->n && *n < ADDRESSES_MAX; i++) {
		ARRAY_GROW(*out, *n);
		(*out)[(*n)++] = xstrdup(got->v[i].text);
	}
	free(got);
	if (rc == 0 && *n == 0)
		return err_set(e, RC_NOTFOUND, "%s has no name in DNS", clean(address));
	return rc;
}

/* --- either way --- */

struct dns_asker { struct here here; struct via *via; };

struct dns_asker *
dns_asker_new(const struct dialer *d, const char *resolv_conf, struct err *e)
{
	struct dns_asker *a = xcalloc(1, sizeof(*a));

	if (resolv_conf != NULL)
		a->via = via_new(d, resolv_conf);
	else if (here_open(&a->here, true, e) != 0) {
		free(a);
		return NULL;
	}
	return a;
}

int
dns_ask(void *asker, const char *name, int type, struct answers *out, struct err *e)
{
	struct dns_asker *a = asker;

	return a->via != NULL ? via_ask(a->via, name, type, out, e) : ask_here(&a->here, name, type, out, e);
}

void
dns_asker_free(struct dns_asker *a)
{
	via_free(a->via);
	if (a->here.ub != NULL)
		ub_ctx_delete(a->here.ub);
	free(a);
}

bool
dns_data_text(int type, const unsigned char *data, size_t len, char out[256])
{
	size_t n = 0, i, k;

	if (type == TYPE_TLSA) {
		if (len < 4 || 12 + 2 * (len - 3) > 255)
			return false;
		n = (size_t)snprintf(out, 256, "%d %d %d ", data[0], data[1], data[2]);
		for (i = 3; i < len; i++)
			n += (size_t)snprintf(out + n, 256 - n, "%02x", data[i]);
		return true;
	}
	for (i = 0; i < len; i += 1u + data[i])
		for (k = 0; k < data[i]; k++) {
			if (i + 1 + k >= len || n > 254)
				return false;
			out[n++] = data[i + 1 + k] >= 0x20 && data[i + 1 + k] < 0x7f ? (char)data[i + 1 + k] : '?';
		}
	out[n] = '\0';
	return true;
}
