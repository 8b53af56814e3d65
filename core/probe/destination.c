/* A look at a whole destination: its mail servers in the order mail would try them, and one verdict: what keeps mail from
 * being sent with TLS, and whose side it is. A server that cannot be reached does not decide while another can. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/failure.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define ENDPOINTS_MAX 16
#define VERSION_MS 3000      /* of a further look with one version */
#define PLACES_SAID 3        /* of endpoints in one sentence */
#define LOOK_MS 30000        /* when that is over, no further mail server is looked at */

void
probe_report_release(struct probe_report *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		probe_host_release(&r->v[i]);
	free(r->v);
	free(r->target);
	free(r->from);
	free(r->verdict);
	free(r->class_name);
	free(r->side);
	free(r->dane);
	free(r->sts);
	free(r->sts_id);
	free(r->sts_mode);
	free(r->sts_mx);
	free(r->sts_trouble);
	free(r->names);
	*r = (struct probe_report){ .target = NULL };
}

static bool
handshake_failed(const struct probe_host *p)
{
	static const char *const classes[] = { "handshake-failed", "protocol-version", "cipher-mismatch", "lost-connection-after-starttls",
		"timeout-in-handshake" };
	size_t i;

	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (text_eq(p->class_name, classes[i]))
			return p->starttls || p->tls;
	return false;
}

/* Which versions would work? Each alone, the newest first; one that hangs is asked for once only. */
static int
try_versions(const struct dialer *d, const char *host, const char *address, int port, const struct probe_options *o,
    struct probe_host *p, struct err *e)
{
	static const struct { int version; const char *name; } all[] = { { TLS1_3_VERSION, "TLSv1.3" }, { TLS1_2_VERSION, "TLSv1.2" },
		{ TLS1_1_VERSION, "TLSv1.1" }, { TLS1_VERSION, "TLSv1" } };
	bool hangs = text_eq(p->class_name, "timeout-in-handshake");
	struct probe_options one = *o;
	struct probe_host seen;
	struct str works = STR_INIT;
	size_t i;
	int rc = 0;

	str_add(&works, "");
	one.versions = false;
	one.timeout_ms = VERSION_MS;
	for (i = hangs ? 1 : 0; i < (hangs ? 2 : sizeof(all) / sizeof(all[0])) && rc == 0; i++) {
		one.protocol_min = one.protocol_max = all[i].version;
		if ((rc = probe_smtp(d, host, address, port, &one, &seen, e)) == 0 && seen.tls)
			str_addf(&works, "%s%s", works.len > 0 ? " " : "", all[i].name);
		probe_host_release(&seen);
	}
	p->works = str_take(&works);
	return rc;
}

static int
look_at(const struct dialer *d, const char *host, const char *address, int port, int preference,
    const struct probe_options *o, struct job_ctx *ctx, struct probe_report *out, struct err *e)
{
	struct probe_host *p;

	if (ctx != NULL && job_cancelled(ctx))
		return err_set(e, RC_CANCELLED, "Given up on request.");
	job_say(ctx, "looking at %s, port %d, from %s", clean(host), port, clean(d->from));
	ARRAY_GROW(out->v, out->n);
	p = &out->v[out->n++];
	if (probe_smtp(d, host, address, port, o, p, e) != 0)
		return -1;
	p->preference = preference;
	return o->versions && handshake_failed(p) ? try_versions(d, host, address, port, o, p, e) : 0;
}

static bool
reached(const struct probe_host *p)
{
	return !text_eq(p->class_name, "connect-refused") && !text_eq(p->class_name, "connect-timeout") &&
	    !text_eq(p->class_name, "network-unreachable");
}

/* The endpoint that decides: the first that is not good among those reached; where none was, the first that is more than an
 * address family without a network. */
static const struct probe_host *
decider(const struct probe_report *r)
{
	const struct probe_host *good = NULL, *bad = NULL, *dead = NULL, *nowhere = NULL, *p;

	for (p = r->v; p < r->v + r->n; p++) {
		const struct probe_host **place = text_eq(p->class_name, "network-unreachable") ? &nowhere : !reached(p) ? &dead :
		    text_eq(p->class_name, "tls-ok") ? &good : &bad;

		if (*place == NULL)
			*place = p;
	}
	return bad != NULL ? bad : good != NULL ? good : dead != NULL ? dead : nowhere;
}

void
probe_address_text(struct str *out, const struct probe_host *p)
{
	if (p->address != NULL && !text_ieq(p->host, p->address))
		str_addf(out, " at %s", clean(p->address));
	if (p->address != NULL && strchr(p->address, ':') != NULL)
		str_add(out, ", IPv6");
}

/* The name of an endpoint, with its address and family where the same name has another one that does otherwise. */
static void
add_place(struct str *out, const struct probe_report *r, const struct probe_host *p)
{
	const struct probe_host *q;

	str_add(out, clean(p->host));
	for (q = r->v; q < r->v + r->n; q++)
		if (text_ieq(q->host, p->host) && !text_eq(q->address, p->address) && !text_eq(q->class_name, p->class_name)) {
			probe_address_text(out, p);
			return;
		}
}

void
probe_bad_places(struct str *out, const struct probe_report *r, bool (*bad)(const struct probe_host *p, const void *arg), const void *arg)
{
	size_t i, n = 0;

	for (i = 0; i < r->n; i++) {
		if (!bad(&r->v[i], arg))
			continue;
		if (++n > PLACES_SAID)
			continue;
		str_addf(out, "%s%s", n > 1 ? "; " : "", clean(r->v[i].host));
		probe_address_text(out, &r->v[i]);
	}
	if (n > PLACES_SAID)
		str_addf(out, "; %zu more", n - PLACES_SAID);
}

static bool
not_good(const struct probe_host *p, const void *arg)
{
	(void)arg;
	return !text_eq(p->class_name, "tls-ok");
}

static void
conclude(struct probe_report *r, const struct probe_host *p)
{
	const struct failure *f = failure_find(p->class_name);
	const struct probe_host *works = NULL;
	struct str text = STR_INIT;
	size_t i, good = 0;

	for (i = 0; i < r->n; i++)
		if (text_eq(r->v[i].class_name, "tls-ok")) {
			works = works != NULL ? works : &r->v[i];
			good++;
		}
	xset(&r->class_name, p->class_name);
	xset(&r->side, failure_side_name(f->side));
	if (!text_eq(p->class_name, "tls-ok")) {
		str_addf(&text, "%s: ", f->title);
		add_place(&text, r, p);
		if (p->trouble != NULL)
			str_addf(&text, ": %s", p->trouble);
		if (works != NULL) {
			str_add(&text, " At ");
			add_place(&text, r, works);
			str_add(&text, " TLS works.");
		}
	} else if (good == r->n) {
		str_addf(&text, "TLS works and the certificate is good (%s at %s).", p->protocol, clean(p->host));
	} else {
		str_addf(&text, "TLS works and the certificate is good, but only %zu of %zu addresses answer%s: not ", good, r->n,
		    good == 1 ? "s" : "");
		probe_bad_places(&text, r, not_good, NULL);
		str_addc(&text, '.');
	}
	free(r->verdict);
	r->verdict = str_take(&text);
}

static bool
is_ipv6(const struct probe_host *p)
{
	return p->address != NULL && strchr(p->address, ':') != NULL;
}

void
probe_unused(struct probe_report *r, bool ipv6, bool never, const char *why)
{
	bool any = false;
	size_t i;

	for (i = 0; i < r->n; i++) {
		struct probe_host *p = &r->v[i];

		if (is_ipv6(p) != ipv6 || (!is_address(p->address)) ||
		    (!never && !text_eq(p->class_name, "connect-refused") && !text_eq(p->class_name, "network-unreachable")))
			continue;
		p->unused = any = true;
		xset(&p->class_name, "network-unreachable");
		xset(&p->trouble, why);
	}
	if (any)
		conclude(r, decider(r));
}

static void
conclude_without(struct probe_report *r, const char *class_name, char *verdict)
{
	xset(&r->class_name, class_name);
	xset(&r->side, failure_side_name(failure_find(class_name)->side));
	free(r->verdict);
	r->verdict = verdict;
}

/* More endpoints than were looked at: too many, or too slow. */
static void
say_unseen(struct probe_report *r, const struct mx_list *l)
{
	size_t i, all = 0;
	char *longer;

	for (i = 0; i < l->n; i++)
		all += l->v[i].n_addresses;
	if (all <= r->n || r->verdict == NULL)
		return;
	longer = xasprintf("%s Of its %zu addresses the first %zu were looked at.", r->verdict, all, r->n);
	free(r->verdict);
	r->verdict = longer;
}

static int
look_at_list(const struct dialer *d, const struct mx_list *l, int port, const struct probe_options *o, struct job_ctx *ctx,
    struct probe_report *out, struct err *e)
{
	int64_t until = when_monotonic_ms() + LOOK_MS;
	size_t i, j;

	for (i = 0; i < l->n; i++)
		for (j = 0; j < l->v[i].n_addresses && out->n < ENDPOINTS_MAX && when_monotonic_ms() < until; j++)
			if (look_at(d, l->v[i].name, l->v[i].addresses[j], port, l->implicit ? -1 : l->v[i].preference, o, ctx, out,
			    e) != 0)
				return -1;
	return 0;
}

/* What DNS said, in one line. */
static char *
names_text(const struct mx_list *l)
{
	struct str text = STR_INIT;
	size_t i, j;

	str_add(&text, "");
	for (i = 0; i < l->n; i++) {
		str_addf(&text, "%s%d %s", i > 0 ? "; " : "", l->v[i].preference, clean(l->v[i].name));
		for (j = 0; j < l->v[i].n_addresses; j++)
			str_addf(&text, " %s", l->v[i].addresses[j]);
	}
	return str_take(&text);
}

int
probe_destination(const struct dialer *d, const char *resolv_conf, const char *target, int port, bool mx,
    const struct probe_options *o, struct job_ctx *ctx, struct probe_report *out, struct err *e)
{
	size_t len = strlen(target), i;
	struct mx_list l = { .v = NULL };
	struct probe_options of_domain = *o;
	char *name, **addresses = NULL;
	struct err failed = { .code = RC_OK };
	size_t n = 0;
	int rc = -1;

	*out = (struct probe_report){ .target = xstrdup(target), .from = xstrdup(d->from) };
	if (port <= 0)
		port = o->implicit_tls ? 465 : 25;
	/* "[host]" is one host, as in a route */
	if (len > 2 && target[0] == '[' && target[len - 1] == ']') {
		name = xstrndup(target + 1, len - 2);
		mx = false;
	} else
		name = xstrdup(target);
	if (mx && !is_address(name)) {
		of_domain.domain = o->domain != NULL ? o->domain : name;
		rc = resolv_conf != NULL ? dns_mx_via(d, resolv_conf, name, &l, &failed) : dns_mx(name, &l, &failed);
		if (rc != 0 && failed.code == RC_REMOTE) {
			conclude_without(out, "dns", xasprintf("%s.", failed.text));
			rc = 0;
		} else if (rc != 0 && e != NULL) {
			*e = failed;
		} else if (rc == 0 && (out->names = names_text(&l)) != NULL && (rc = look_at_list(d, &l, port, &of_domain, ctx, out, e)) == 0 && out->n == 0)
			conclude_without(out, "dns", l.null_mx ? xasprintf("%s says in DNS that it takes no mail (null MX).",
			    clean(name)) : xasprintf("None of the mail servers of %s has an address in DNS.", clean(name)));
	} else if (resolv_conf != NULL || is_address(name)) {
		/* the host's own sshd looks the name up */
		rc = look_at(d, name, name, port, -1, o, ctx, out, e);
	} else if ((rc = dns_addresses(name, &addresses, &n, e)) == 0)
		for (i = 0; i < n && rc == 0; i++)
			rc = look_at(d, name, addresses[i], port, -1, o, ctx, out, e);
	if (rc == 0 && out->n > 0)
		conclude(out, decider(out));
	if (rc == 0 && out->n > 0)
		say_unseen(out, &l);
	for (i = 0; i < n; i++)
		free(addresses[i]);
	free(addresses);
	mx_list_release(&l);
	free(name);
	if (rc != 0)
		probe_report_release(out);
	return rc;
}

/* What an endpoint is worth where TLSA records decide: a certificate that they allow is good whoever signed it. */
static void
judge_by_dane(struct probe_host *p, bool only)
{
	static const struct { const char *state, *class_name, *trouble; } bad[] = {
		{ "mismatch", "dane-mismatch", "The certificate is none that its TLSA records allow." },
		{ "unusable", "dane-no-tlsa", "Its TLSA records are of no kind that can be used." },
		{ "lookup-error", "dane-lookup-error", "Its TLSA records cannot be looked up." },
		{ "none", "dane-no-tlsa", "It has no TLSA records." },
		{ "insecure", "dane-no-tlsa", "DNS does not vouch for its TLSA records." },
	};
	bool about_certificate = p->tls && !text_eq(p->class_name, "protocol-version") && !text_eq(p->class_name, "client-cert-required");
	bool may = text_eq(p->dane, "none") || text_eq(p->dane, "insecure");
	size_t i;

	if (!text_eq(p->dane, "lookup-error") && !about_certificate)
		return;
	if (text_eq(p->dane, "match") || (may && !only)) {
		xset(&p->class_name, "tls-ok");
		xset(&p->trouble, NULL);
		return;
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (text_eq(p->dane, bad[i].state)) {
			xset(&p->class_name, bad[i].class_name);
			xset(&p->trouble, bad[i].trouble);
		}
}

void
probe_judge_dane(struct probe_report *r, bool only)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		judge_by_dane(&r->v[i], only);
	if (r->n > 0)
		conclude(r, decider(r));
}
