/* What a destination publishes about its TLS: TLSA records of its mail servers (DANE, RFC 6698 and 7672), which count only
 * when DNS vouches for them, and an MTA-STS policy. Held against what the look saw. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

/* How bad a state is for a destination: the worst of its hosts stands for it. */
static const char *const dane_states[] = { "none", "match", "insecure", "unusable", "lookup-error", "mismatch" };

static size_t
rank(const char *state)
{
	size_t i;

	for (i = 0; i < sizeof(dane_states) / sizeof(dane_states[0]); i++)
		if (text_eq(dane_states[i], state))
			return i;
	return 0;
}

/* Does one of the records allow this chain? Usage 3 is the server's own certificate, 2 one of its chain; others are not used
 * with SMTP (RFC 7672 3.1.3). */
static const char *
match(const struct answers *records, const char *chain_pem)
{
	bool usable = false, matched = false;
	char value[256];
	int usage, selector, type;
	size_t i;

	for (i = 0; i < records->n && !matched; i++) {
		if (sscanf(records->v[i].text, "%d %d %d %255s", &usage, &selector, &type, value) != 4 || (usage != 2 && usage != 3) ||
		    selector < 0 || selector > 1 || type < 0 || type > 2)
			continue;
		usable = true;
		matched = chain_pem != NULL && cert_tlsa_matches(chain_pem, usage, selector, type, value);
	}
	return matched ? "match" : usable ? "mismatch" : "unusable";
}

static void
look_at_tlsa(ask_fn *ask, void *arg, struct probe_host *p, bool mx_secure)
{
	char name[300];
	struct answers *got = xcalloc(1, sizeof(*got));
	struct err e = { .code = RC_OK };
	const char *state;

	snprintf(name, sizeof(name), "_%d._tcp.%s", p->port, p->host);
	if (ask(arg, name, TYPE_TLSA, got, &e) != 0)
		/* a name without records is no error, also where DNS says so by NXDOMAIN */
		state = e.code == RC_NOTFOUND ? "none" : "lookup-error";
	else if (got->n == 0)
		state = "none";
	else if (!got->secure || !mx_secure)
		state = "insecure";
	else
		state = match(got, p->chain_pem);
	snprintf(p->dane, sizeof(p->dane), "%s", state);
	free(got);
}

static void
look_at_dane(ask_fn *ask, void *arg, const char *domain, bool mx, struct probe_report *r)
{
	struct answers *got = xcalloc(1, sizeof(*got));
	const struct probe_host *worst = NULL;
	bool secure = true;
	size_t i, k;

	if (mx)
		secure = ask(arg, domain, TYPE_MX, got, NULL) == 0 && got->secure;
	free(got);
	for (i = 0; i < r->n; i++) {
		struct probe_host *p = &r->v[i];

		if (is_address(p->host))
			continue;
		/* another address of the same name */
		for (k = 0; k < i && !(text_eq(r->v[k].host, p->host) && text_eq(r->v[k].sha256, p->sha256)); k++)
			;
		if (k < i)
			snprintf(p->dane, sizeof(p->dane), "%s", r->v[k].dane);
		else
			look_at_tlsa(ask, arg, p, secure);
		if (worst == NULL || rank(p->dane) > rank(worst->dane))
			worst = p;
	}
	if (worst != NULL)
		xset(&r->dane, worst->dane);
}

/* "v=STSv1; id=20260101T000000;" */
static char *
sts_id(const struct answers *txt)
{
	const char *p;
	size_t i, n;

	for (i = 0; i < txt->n; i++) {
		if (!text_starts(txt->v[i].text, "v=STSv1"))
			continue;
		p = strstr(txt->v[i].text, "id=");
		n = p != NULL ? strspn(p + 3, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
		return xstrndup(p != NULL ? p + 3 : "", n < 32 ? n : 32);
	}
	return NULL;
}

static void
look_at_sts(const struct dialer *d, ask_fn *ask, void *arg, const char *domain, const char *roots, bool here, struct job_ctx *ctx,
    struct probe_report *r)
{
	struct answers *got = xcalloc(1, sizeof(*got));
	struct sts_policy p = { .mode = NULL };
	struct err e = { .code = RC_OK };
	char name[300];
	size_t i;

	snprintf(name, sizeof(name), "_mta-sts.%s", domain);
	if (ask(arg, name, TYPE_TXT, got, &e) != 0)
		got->n = 0;
	r->sts_id = sts_id(got);
	free(got);
	if (r->sts_id == NULL) {
		xset(&r->sts, e.code == RC_OK || e.code == RC_NOTFOUND ? "none" : "lookup-error");
		return;
	}
	if ((here ? sts_policy_fetch(domain, ctx, &p, &e) : sts_policy_fetch_via(d, ask, arg, domain, roots, &p, &e)) != 0) {
		xset(&r->sts, e.code == RC_PARSE ? "invalid" : "unreachable");
		xset(&r->sts_trouble, e.text);
		return;
	}
	r->sts_mode = xstrdup(p.mode);
	r->sts_mx = xstrdup(p.mx);
	r->sts_max_age = p.max_age;
	xset(&r->sts, "ok");
	for (i = 0; i < r->n && text_eq(r->sts, "ok"); i++)
		if (!sts_mx_matches(&p, r->v[i].host)) {
			xset(&r->sts, "mx-mismatch");
			r->sts_trouble = xasprintf("its policy does not list %s", clean(r->v[i].host));
		} else if (!r->v[i].tls || !r->v[i].trusted || !r->v[i].in_time || !r->v[i].name_ok) {
			xset(&r->sts, "tls-fails");
			r->sts_trouble = xasprintf("its policy asks for a good certificate of %s", clean(r->v[i].host));
		}
	sts_policy_release(&p);
}

int
probe_published(const struct dialer *d, const char *resolv_conf, const char *roots, bool mx, struct job_ctx *ctx, struct probe_report *r,
    struct err *e)
{
	struct dns_asker *a = dns_asker_new(d, resolv_conf, e);
	size_t len = r->target != NULL ? strlen(r->target) : 0;
	bool bracket = len > 2 && r->target[0] == '[';
	struct str ascii = STR_INIT;

	if (a == NULL)
		return -1;
	if (!bracket && name_to_ascii(r->target, &ascii, NULL) != 0)
		str_reset(&ascii);
	mx = mx && ascii.len > 0 && !is_address(ascii.s);
	look_at_dane(dns_ask, a, mx ? ascii.s : "", mx, r);
	if (mx && !(ctx != NULL && job_cancelled(ctx)))
		look_at_sts(d, dns_ask, a, ascii.s, roots, resolv_conf == NULL, ctx, r);
	str_release(&ascii);
	dns_asker_free(a);
	return 0;
}
