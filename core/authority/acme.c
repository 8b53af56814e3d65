/* A session with an ACME authority (RFC 8555): directory, nonces, signed questions, the account, the renewal window. The way of
 * an order is acme_flow.c. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acme.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/x509.h"
#include "mxseal/xalloc.h"

#define NONCE_TRIES 6
#define ANCHORS_MAX 200
#define WINDOW_AGAIN (6 * 3600)          /* RFC 9773 section 4.3.2: where the authority says nothing */
#define WINDOW_AGAIN_MAX 86400

const struct acme_public acme_public[] = {
	{ "letsencrypt", "https://acme-v02.api.letsencrypt.org/directory", "Let's Encrypt" },
	{ "letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory", "Let's Encrypt, for trials (nobody trusts it)" },
	{ "zerossl", "https://acme.zerossl.com/v2/DV90", "ZeroSSL (external account)" },
	{ "google", "https://dv.acme-v02.api.pki.goog/directory", "Google Trust Services (external account)" },
	{ NULL, NULL, NULL }
};

int
acme_directory_check(const char *url, struct err *e)
{
	char *origin = acme_origin(url);
	int rc = -1;

	if (origin == NULL) {
		err_set(e, RC_INVALID, "\"%s\" is not the URL of a directory", clean(url));
		err_hint(e, "such as https://acme-v02.api.letsencrypt.org/directory");
	} else if ((rc = acme_url_check(url, origin, "the directory", e)) == -1) {
		err_set(e, RC_INVALID, "\"%s\" is not the URL of a directory", clean(url));
		err_hint(e, "such as https://acme-v02.api.letsencrypt.org/directory");
	}
	free(origin);
	return rc;
}

const char *
acme_challenge_kind(const char *challenge, const char **detail)
{
	const char *colon = strchr(challenge, ':');

	if (detail != NULL)
		*detail = colon != NULL ? colon + 1 : NULL;
	return text_starts(challenge, "dns-hook:") ? "dns-01" : "http-01";
}

int
acme_challenge_check(const char *challenge, struct err *e)
{
	const char *colon = strchr(challenge, ':');

	if (strcmp(challenge, "http-standalone") == 0)
		return 0;
	if (!text_starts(challenge, "http-webroot:") && !text_starts(challenge, "dns-hook:")) {
		err_set(e, RC_INVALID, "\"%s\" is no way to prove a name", clean(challenge));
		return err_hint(e, "http-standalone, http-webroot:DIR (a folder of the mail host), dns-hook:PROGRAM (of this machine)");
	}
	if (colon[1] == '/' && clean_is(challenge, strlen(challenge)) && strlen(colon) < 1000 && strstr(colon, "/../") == NULL)
		return 0;
	return err_set(e, RC_INVALID, "%.*s wants a path from the root on, not \"%s\"", (int)(colon - challenge), challenge, clean(colon + 1));
}

int
acme_open(struct acme **out, const char *directory, const char *anchors, const struct acme_patience *p, struct job_ctx *ctx,
    struct err *e)
{
	STACK_OF(X509) *all;
	struct acme *c;

	*out = NULL;
	if (acme_directory_check(directory, e) == -1)
		return -1;
	if (!text_empty(anchors)) {
		all = x509_read_many(anchors, strlen(anchors), ANCHORS_MAX, e);
		if (all == NULL) {
			err_wrap(e, "reading the trust anchors");
			e->code = RC_INVALID;
			return -1;
		}
		x509_stack_free(all);
	}
	c = xcalloc(1, sizeof(*c));
	c->url = xstrdup(directory);
	c->origin = acme_origin(directory);
	c->who = xstrdup(clean(c->origin + strlen("https://")));
	c->ctx = ctx;
	if (http_open(&c->http, anchors, p, ctx, e) == -1) {
		acme_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

void
acme_close(struct acme *c)
{
	if (c == NULL)
		return;
	http_close(c->http);
	acme_directory_release(&c->directory);
	free(c->url);
	free(c->origin);
	free(c->who);
	free(c->nonce);
	free(c);
}

/* --- answers --- */

static bool
has_type(const struct reply *r, const char *type)
{
	size_t n = strlen(type);

	return r->type != NULL && strncasecmp(r->type, type, n) == 0 && strchr("; \t", r->type[n]) != NULL;
}

/* A good answer, or the reason as a sentence. */
static int
judge(struct acme *c, const struct reply *r, const char *accept, struct err *e)
{
	struct acme_problem p = { .type = "" };

	if (r->status >= 200 && r->status < 300) {
		if (has_type(r, accept != NULL ? accept : "application/json"))
			return 0;
		return err_set(e, RC_PARSE, "%s answers with %s, not with %s", c->who,
		    text_empty(r->type) ? "something it does not name" : clean(r->type), accept != NULL ? accept : "JSON");
	}
	(void)acme_parse_problem(r->body.s, r->body.len, &p);
	return acme_refused(c->who, r->status, &p, r->retry_at, e);
}

static bool
is_bad_nonce(const struct reply *r)
{
	struct acme_problem p;

	return r->status == 400 && acme_parse_problem(r->body.s, r->body.len, &p) && strcmp(p.type, "badNonce") == 0;
}

static int
look(struct acme *c, struct err *e)
{
	struct reply r = REPLY_INIT;
	int rc = 0;

	if (!c->looked) {
		rc = http_ask(c->http, "GET", c->url, NULL, NULL, &r, e);
		if (rc == 0)
			rc = judge(c, &r, NULL, e);
		if (rc == 0)
			rc = acme_parse_directory(r.body.s, r.body.len, c->origin, &c->directory, e);
		c->looked = rc == 0;
	}
	http_reply_release(&r);
	return rc;
}

int
acme_look(struct acme *c, char **terms, bool *bound, struct err *e)
{
	if (look(c, e) == -1)
		return -1;
	if (terms != NULL)
		*terms = xstrdup(c->directory.terms);
	if (bound != NULL)
		*bound = c->directory.bound;
	return 0;
}

/* A nonce is used once; each answer brings the next. */
static int
fresh_nonce(struct acme *c, struct err *e)
{
	struct reply r = REPLY_INIT;
	int rc = 0;

	if (c->nonce == NULL) {
		rc = http_ask(c->http, "HEAD", c->directory.new_nonce, NULL, NULL, &r, e);
		if (rc == 0 && (r.nonce == NULL || r.status < 200 || r.status > 299))
			rc = err_set(e, RC_PARSE, "%s gives no nonce", c->who);
		if (rc == 0)
			xset(&c->nonce, r.nonce);
	}
	http_reply_release(&r);
	return rc;
}

int
acme_post(struct acme *c, const struct acme_key *k, const char *kid, const char *url, const char *payload, const char *accept,
    struct reply *r, struct err *e)
{
	struct str body = STR_INIT;
	int tries, rc = look(c, e);

	if (rc == 0)
		rc = acme_url_check(url, c->origin, "a URL", e);
	for (tries = 0; rc == 0; tries++) {
		if ((rc = fresh_nonce(c, e)) == -1)
			break;
		str_reset(&body);
		rc = acme_sign(k, &(struct acme_jws){ kid, c->nonce, url }, payload, &body, e);
		xset(&c->nonce, NULL);
		if (rc == 0)
			rc = http_ask(c->http, "POST", url, body.s, accept, r, e);
		if (rc == 0 && r->nonce != NULL)
			xset(&c->nonce, r->nonce);
		if (rc == -1 || !is_bad_nonce(r))
			break;
		if (tries + 1 == NONCE_TRIES)
			rc = err_set(e, RC_PARSE, "%s refuses every nonce that it gives", c->who);
	}
	str_release(&body);
	return rc == 0 ? judge(c, r, accept, e) : -1;
}

/* --- account (section 7.3) --- */

static int
account_payload(struct acme *c, const struct acme_key *k, const char *contact, const char *kid, const struct secret *key, struct str *out,
    struct err *e)
{
	char *mail = text_empty(contact) ? NULL : xasprintf("mailto:%s", contact);
	json_t *list = mail != NULL ? json_pack("[s]", mail) : NULL;
	char *text = list != NULL ? json_dumps(list, JSON_COMPACT) : NULL;
	int rc = 0;

	str_add(out, "{\"termsOfServiceAgreed\":true");
	if (text != NULL)
		str_addf(out, ",\"contact\":%s", text);
	if (!text_empty(kid)) {
		str_add(out, ",\"externalAccountBinding\":");
		rc = acme_bind(k, kid, key, c->directory.new_account, out, e);
	}
	str_add(out, "}");
	free(text);
	free(mail);
	json_decref(list);
	return rc;
}

int
acme_register(struct acme *c, const struct acme_key *k, const char *contact, bool agreed, const char *eab_kid,
    const struct secret *eab_key, char **account, struct err *e)
{
	struct str payload = STR_INIT;
	struct reply r = REPLY_INIT;
	int rc = look(c, e);

	*account = NULL;
	if (rc == 0 && c->directory.terms != NULL && !agreed) {
		rc = err_set(e, RC_INVALID, "%s has terms of service: %s", c->who, clean(c->directory.terms));
		err_hint(e, "read them, then say that you agree: --agree-tos, or \"Terms agreed\"");
	}
	if (rc == 0 && c->directory.bound && (text_empty(eab_kid) || !secret_is_set(eab_key))) {
		rc = err_set(e, RC_INVALID, "%s wants an account that is known to it already", c->who);
		err_hint(e, "it gives a key id and a key on its web pages: --eab-kid ID, the key is asked for");
	}
	if (rc == 0)
		rc = account_payload(c, k, contact, eab_kid, eab_key, &payload, e);
	if (rc == 0)
		rc = acme_post(c, k, NULL, c->directory.new_account, payload.s, NULL, &r, e);
	if (rc == 0)
		rc = acme_parse_account(r.body.s, r.body.len, e);
	if (rc == 0)
		rc = acme_url_check(r.location, c->origin, "the URL of the account", e);
	if (rc == 0)
		*account = xstrdup(r.location);
	http_reply_release(&r);
	str_release(&payload);
	return rc;
}

/* --- renewal (RFC 9773) --- */

int
acme_window(struct acme *c, const char *cert_pem, bool *said, int64_t *from, int64_t *until, int64_t *again, struct err *e)
{
	struct str url = STR_INIT;
	struct reply r = REPLY_INIT;
	int64_t now = when_now();
	int rc = look(c, e);

	*said = false;
	*again = now + WINDOW_AGAIN;
	if (rc == 0 && c->directory.renewal_info != NULL) {
		str_addf(&url, "%s/", c->directory.renewal_info);
		if (acme_certificate_id(cert_pem, &url)) {
			rc = http_ask(c->http, "GET", url.s, NULL, NULL, &r, e);
			if (rc == 0)
				rc = judge(c, &r, NULL, e);
			if (rc == 0)
				rc = acme_parse_window(r.body.s, r.body.len, from, until, e);
			*said = rc == 0;
			if (r.retry_at > now)
				*again = r.retry_at < now + WINDOW_AGAIN_MAX ? r.retry_at : now + WINDOW_AGAIN_MAX;
		}
	}
	http_reply_release(&r);
	str_release(&url);
	return rc;
}
