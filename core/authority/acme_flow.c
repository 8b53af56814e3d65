/* The way of an order (RFC 8555 section 7.4) as a table of steps. Before each step the order is saved; one that was left
 * anywhere goes on from what the authority says of it. What is not as ordered is refused. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acme.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/x509.h"
#include "mxseal/xalloc.h"

#define CHAIN_LIMIT 10           /* certificates in one answer */
#define ASKS_MAX 100             /* questions after one thing's state */
#define PEM_TYPE "application/pem-certificate-chain"

struct flow {
	struct acme *c;
	const struct acme_key *k;
	const char *account, *kind, *names, *csr;
	struct acme_order *o;
	const struct acme_ways *w;
	struct acme_order_view view;
	bool anew;                       /* an order that could not be gone on with was replaced already */
	struct str *pem;
};

enum { STEP_DIRECTORY, STEP_ACCOUNT, STEP_ORDER, STEP_AUTHORIZATION, STEP_READY, STEP_FINALIZE, STEP_CERTIFICATE, STEP_END };

static int
post(struct flow *f, const char *url, const char *payload, struct reply *r, struct err *e)
{
	return acme_post(f->c, f->k, f->account, url, payload, NULL, r, e);
}

/* How long to wait before asking again: what the authority says, else a little longer each time. */
static int
wait_again(struct flow *f, const struct reply *r, int asked, struct err *e)
{
	int64_t ms = r->retry_at != 0 ? (r->retry_at - when_now()) * 1000 : asked < 4 ? 250 << asked : 4000;

	if (asked >= ASKS_MAX)
		return err_set(e, RC_TIMEOUT, "%s was asked %d times and is not ready", f->c->who, asked);
	return http_wait(f->c->http, ms < 200 ? 200 : ms, r->retry_at != 0, e);
}

static int
take_order(struct flow *f, const struct reply *r, struct err *e)
{
	acme_order_view_release(&f->view);
	return acme_parse_order(r->body.s, r->body.len, f->c->origin, f->names, &f->view, e);
}

/* Why an order is invalid: its own problem says it, where it has one. */
static int
order_failed(struct flow *f, const struct reply *r, struct err *e)
{
	json_t *o = json_loadb(r->body.s, r->body.len, 0, NULL), *inner = json_object_get(o, "error");
	char *text = inner != NULL ? json_dumps(inner, 0) : NULL;
	struct acme_problem p = { .type = "" };

	if (text != NULL && acme_parse_problem(text, strlen(text), &p))
		acme_refused(f->c->who, 200, &p, 0, e);
	else
		err_set(e, RC_REMOTE, "the order at %s is %s", f->c->who, f->view.status);
	free(text);
	json_decref(o);
	xset(&f->o->url, NULL);          /* the next attempt places another one */
	return -1;
}

/* --- the steps; each returns the next one, -1 with e --- */

static int
step_directory(struct flow *f, struct err *e)
{
	return acme_look(f->c, NULL, NULL, e) == 0 ? STEP_ACCOUNT : -1;
}

static int
step_account(struct flow *f, struct err *e)
{
	struct reply r = REPLY_INIT;
	int rc = acme_url_check(f->account, f->c->origin, "the URL of the account", e);

	if (rc == 0)
		rc = post(f, f->account, NULL, &r, e);
	if (rc == 0)
		rc = acme_parse_account(r.body.s, r.body.len, e);
	http_reply_release(&r);
	return rc == 0 ? STEP_ORDER : -1;
}

static int
place(struct flow *f, struct reply *r, struct err *e)
{
	json_t *list = json_array(), *o;
	char **names = words_split(f->names, " ", NULL), *payload;
	int rc;

	for (size_t i = 0; names[i] != NULL; i++) {
		bool ip = strchr(names[i], ':') != NULL || strspn(names[i], "0123456789.") == strlen(names[i]);

		json_array_append_new(list, json_pack("{s:s,s:s}", "type", ip ? "ip" : "dns", "value", names[i]));
	}
	o = json_pack("{s:o}", "identifiers", list);
	payload = json_dumps(o, JSON_COMPACT);
	rc = post(f, f->c->directory.new_order, payload, r, e);
	if (rc == 0)
		rc = acme_url_check(r->location, f->c->origin, "the URL of the order", e);
	if (rc == 0)
		xset(&f->o->url, r->location);
	free(payload);
	json_decref(o);
	words_free(names);
	return rc;
}

/* Where an order stands says what comes next. */
static int
after(struct flow *f, const struct reply *r, struct err *e)
{
	static const struct { const char *status; int next; } nexts[] = {
		{ "pending", STEP_AUTHORIZATION }, { "ready", STEP_FINALIZE }, { "processing", STEP_CERTIFICATE },
		{ "valid", STEP_CERTIFICATE },
	};

	for (size_t i = 0; i < sizeof(nexts) / sizeof(nexts[0]); i++)
		if (strcmp(f->view.status, nexts[i].status) == 0)
			return nexts[i].next;
	if (strcmp(f->view.status, "invalid") == 0)
		return order_failed(f, r, e);
	return err_set(e, RC_PARSE, "%s says that the order is \"%s\", which RFC 8555 does not know", f->c->who, f->view.status);
}

static int
step_order(struct flow *f, struct err *e)
{
	struct reply r = REPLY_INIT;
	bool had = f->o->url != NULL;
	int rc, next = -1;

	rc = had ? post(f, f->o->url, NULL, &r, e) : place(f, &r, e);
	if (rc == 0)
		rc = take_order(f, &r, e);
	/* what was left and cannot be gone on with is placed anew, once */
	if (had && !f->anew && (rc == 0 ? strcmp(f->view.status, "invalid") == 0 : r.status == 404 || r.status == 403)) {
		f->anew = true;
		xset(&f->o->url, NULL);
		next = STEP_ORDER;
	} else if (rc == 0)
		next = after(f, &r, e);
	http_reply_release(&r);
	return next;
}

/* Asks after an authorization until it is decided. */
static int
wait_for(struct flow *f, const char *url, struct acme_authorization *a, struct err *e)
{
	struct reply r = REPLY_INIT;
	int asked, rc = 0;

	for (asked = 0; rc == 0; asked++) {
		acme_authorization_release(a);
		rc = post(f, url, NULL, &r, e);
		if (rc == 0)
			rc = acme_parse_authorization(r.body.s, r.body.len, f->c->origin, f->names, f->kind, a, e);
		if (rc == -1 || strcmp(a->status, "pending") != 0)
			break;
		rc = wait_again(f, &r, asked, e);
	}
	if (rc == 0 && strcmp(a->status, "valid") != 0) {
		rc = err_set(e, RC_REMOTE, "%s does not accept the proof for %s%s%s", f->c->who, clean(a->domain),
		    a->challenge.trouble ? ": " : "", a->challenge.trouble ? a->challenge.trouble : "");
		err_hint(e, strcmp(f->kind, "http-01") == 0 ? "port 80 of the host must be reachable for it under this name, by IPv4 and IPv6 "
		    "where there are addresses of both" : "the record must be visible when the program that puts it up returns");
	}
	http_reply_release(&r);
	return rc;
}

/* Beside those that an earlier proof left there: they are to be taken away as well. */
static void
token_note(struct acme_order *o, const char *token)
{
	char *all;

	acme_token_gone(o, token);               /* each stands there once */
	all = o->token != NULL ? xasprintf("%s %s", o->token, token) : xstrdup(token);
	free(o->token);
	o->token = all;
}

void
acme_token_gone(struct acme_order *o, const char *token)
{
	char **w = words_split(o->token, " ", NULL);
	struct str left = STR_INIT;

	for (size_t i = 0; w[i] != NULL; i++)
		if (strcmp(w[i], token) != 0)
			str_addf(&left, "%s%s", left.len > 0 ? " " : "", w[i]);
	xset(&o->token, left.len > 0 ? left.s : NULL);
	words_free(w);
	str_release(&left);
}

/* Puts the proof up, says so, waits for the verdict; takes it away whatever came of it. */
static int
prove(struct flow *f, const char *url, struct acme_authorization *a, struct err *e)
{
	struct str answer = STR_INIT, digest = STR_INIT;
	struct acme_proof p = { .kind = f->kind };
	struct reply r = REPLY_INIT;
	char *domain = xstrdup(a->domain), *token = xstrdup(a->challenge.token), *at = xstrdup(a->challenge.url);
	unsigned char sum[32];
	int rc = acme_key_authorization(f->k, token, &answer, e);

	if (rc == 0 && strcmp(f->kind, "dns-01") == 0) {
		EVP_Digest(answer.s, answer.len, sum, NULL, EVP_sha256(), NULL);
		base64url(sum, sizeof(sum), &digest);
	}
	p.domain = domain;
	p.token = token;
	p.answer = digest.len ? digest.s : answer.s;
	if (rc == 0) {
		token_note(f->o, token);
		rc = f->w->save(f->w->arg, e);
	}
	if (rc == 0) {
		job_say(f->c->ctx, "proving %s", clean(domain));
		rc = f->w->prove(f->w->arg, &p, e);
		if (rc == 0)
			rc = post(f, at, "{}", &r, e);
		if (rc == 0)
			rc = wait_for(f, url, a, e);
		f->w->unprove(f->w->arg, &p);
	}
	http_reply_release(&r);
	str_release(&answer);
	str_release(&digest);
	free(domain);
	free(token);
	free(at);
	return rc;
}

static int
step_authorization(struct flow *f, struct err *e)
{
	struct acme_authorization a = { .domain = NULL };
	struct reply r = REPLY_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; i < f->view.n && rc == 0; i++) {
		acme_authorization_release(&a);
		rc = post(f, f->view.authorizations[i], NULL, &r, e);
		if (rc == 0)
			rc = acme_parse_authorization(r.body.s, r.body.len, f->c->origin, f->names, f->kind, &a, e);
		if (rc == -1 || strcmp(a.status, "valid") == 0)
			continue;
		if (strcmp(a.status, "pending") != 0)
			rc = err_set(e, RC_REMOTE, "the authorization of %s at %s is %s", clean(a.domain), f->c->who, a.status);
		else if (a.challenge.url == NULL) {
			rc = err_set(e, RC_REMOTE, "%s takes no %s proof for %s, only %s", f->c->who, f->kind, clean(a.domain),
			    *a.offered ? a.offered : "none");
			err_hint(e, "a wildcard wants --challenge dns-hook:PROGRAM");
		} else
			rc = prove(f, f->view.authorizations[i], &a, e);
	}
	if (rc == -1 && e->code == RC_REMOTE)
		xset(&f->o->url, NULL);          /* a proof that failed spoils its order */
	acme_authorization_release(&a);
	http_reply_release(&r);
	return rc == 0 ? STEP_READY : -1;
}

/* Asks after the order while it is in one of the states given. */
static int
wait_order(struct flow *f, const char *while_is, struct err *e)
{
	struct reply r = REPLY_INIT;
	int asked, rc, next = -1;

	for (asked = 0;; asked++) {
		rc = post(f, f->o->url, NULL, &r, e);
		if (rc == 0)
			rc = take_order(f, &r, e);
		if (rc == -1 || strcmp(f->view.status, while_is) != 0)
			break;
		if ((rc = wait_again(f, &r, asked, e)) == -1)
			break;
	}
	if (rc == 0)
		next = after(f, &r, e);
	http_reply_release(&r);
	return next;
}

static int
step_ready(struct flow *f, struct err *e)
{
	return wait_order(f, "pending", e);
}

static int
step_finalize(struct flow *f, struct err *e)
{
	struct str csr = STR_INIT, payload = STR_INIT;
	struct reply r = REPLY_INIT;
	int rc = acme_csr_base64url(f->csr, &csr, e);

	if (rc == 0) {
		str_addf(&payload, "{\"csr\":\"%s\"}", csr.s);
		rc = post(f, f->view.finalize, payload.s, &r, e);
	}
	if (rc == 0)
		rc = take_order(f, &r, e);
	if (rc == 0 && strcmp(f->view.status, "invalid") == 0)
		rc = order_failed(f, &r, e);
	http_reply_release(&r);
	str_release(&csr);
	str_release(&payload);
	return rc == 0 ? STEP_CERTIFICATE : -1;
}

/* Exactly the names that were ordered, in a chain of sane length that is in time: nobody looks at warnings here. */
static int
answer_check(const struct flow *f, const char *pem, struct err *e)
{
	struct certificate cert = { .id = 0 };
	struct cert_line_list l = { NULL, 0 };
	char **theirs = NULL;
	size_t i;
	int rc = cert_read(pem, strlen(pem), NULL, &cert, e);

	if (rc == 0)
		rc = cert_chain_lines(cert.pem, &l, e);
	if (rc == 0 && l.n > CHAIN_LIMIT)
		rc = err_set(e, RC_LIMIT, "%s sends a chain of %zu certificates", f->c->who, l.n);
	for (i = 0; rc == 0 && i < l.n; i++)
		if (l.v[i].not_after <= when_now() && !(i > 0 && l.v[i].self_signed))
			rc = err_set(e, RC_CERT, "%s sends a chain that has expired: %s", f->c->who, clean(l.v[i].subject));
	theirs = words_split(cert.san != NULL ? cert.san : "", " ", NULL);
	for (i = 0; rc == 0 && theirs[i] != NULL; i++) {
		char *padded = xasprintf(" %s ", f->names), *one = xasprintf(" %s ", theirs[i]);

		if (strcasestr(padded, one) == NULL)
			rc = err_set(e, RC_CERT, "%s sends a certificate for %s, which nobody asked for", f->c->who, clean(theirs[i]));
		free(padded);
		free(one);
	}
	words_free(theirs);
	cert_line_list_release(&l);
	certificate_release(&cert);
	return rc;
}

static int
step_certificate(struct flow *f, struct err *e)
{
	struct reply r = REPLY_INIT;
	int rc = 0, next = STEP_CERTIFICATE;

	if (strcmp(f->view.status, "valid") != 0)
		next = wait_order(f, "processing", e);
	if (next != STEP_CERTIFICATE)
		return next == -1 ? -1 : err_set(e, RC_PARSE, "%s took the request, and now says that the order is %s", f->c->who, f->view.status);
	rc = acme_post(f->c, f->k, f->account, f->view.certificate, NULL, PEM_TYPE, &r, e);
	if (rc == 0)
		rc = answer_check(f, r.body.s, e);
	if (rc == 0)
		str_addn(f->pem, r.body.s, r.body.len);
	http_reply_release(&r);
	return rc == 0 ? STEP_END : -1;
}

static const struct {
	const char *said;
	int (*run)(struct flow *f, struct err *e);
} steps[STEP_END] = {
	[STEP_DIRECTORY] = { "asking what the authority offers", step_directory },
	[STEP_ACCOUNT] = { "looking at the account", step_account },
	[STEP_ORDER] = { "placing the order", step_order },
	[STEP_AUTHORIZATION] = { "proving the names", step_authorization },
	[STEP_READY] = { "waiting until the order is ready", step_ready },
	[STEP_FINALIZE] = { "handing the request in", step_finalize },
	[STEP_CERTIFICATE] = { "fetching the certificate", step_certificate },
};
const char *const acme_steps[] = { "directory", "account", "order", "authorization", "ready", "finalize", "certificate", NULL };

int
acme_obtain(struct acme *c, const struct acme_key *k, const char *account, const char *kind, struct acme_order *o, const char *names,
    const char *csr_pem, const struct acme_ways *w, struct str *pem, struct err *e)
{
	struct flow f = { .c = c, .k = k, .account = account, .kind = kind, .names = names, .csr = csr_pem, .o = o, .w = w, .pem = pem };
	int64_t begun;
	int at = STEP_DIRECTORY, next, turns;

	for (turns = 0; at != STEP_END; turns++, at = next) {
		xset(&o->state, acme_steps[at]);
		if (w->save(w->arg, e) == -1)
			return -1;
		job_step(c->ctx, at + 1, acme_steps[at], "run", 0, "%s", steps[at].said);
		begun = when_monotonic_ms();
		next = turns > 2 * STEP_END ? err_set(e, RC_PARSE, "the order at %s goes back and forth", c->who) : steps[at].run(&f, e);
		job_step(c->ctx, at + 1, acme_steps[at], next == -1 ? "fail" : "ok", (double)(when_monotonic_ms() - begun) / 1000, "%s",
		    steps[at].said);
		if (next == -1)
			break;
	}
	acme_order_view_release(&f.view);
	return at == STEP_END ? 0 : -1;
}
