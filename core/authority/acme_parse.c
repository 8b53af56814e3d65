/* What an ACME authority says, as data. All of it is foreign: JSON objects of a stated size, texts of a stated length, URLs at
 * the directory's own host, tokens of RFC 8555 section 8. What is missing or odd is RC_PARSE with the name of the thing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acme.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static int
read_object(const char *mem, size_t len, const char *what, json_t **out, struct err *e)
{
	json_error_t why;

	*out = NULL;
	if (len > ACME_BODY_MAX)
		return err_set(e, RC_LIMIT, "%s is larger than %u bytes", what, ACME_BODY_MAX);
	*out = json_loadb(mem, len, JSON_REJECT_DUPLICATES, &why);
	if (*out == NULL)
		return err_set(e, RC_PARSE, "%s is not JSON: %s", what, clean(why.text));
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(e, RC_PARSE, "%s is not a JSON object", what);
}

/* A text of an object, or NULL: missing, of another kind, or with bytes that no text of RFC 8555 has. */
static const char *
text_of(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v) ? json_string_value(v) : NULL;
}

char *
acme_origin(const char *url)
{
	size_t n;

	if (url == NULL || strncmp(url, "https://", 8) != 0)
		return NULL;
	n = strcspn(url + 8, "/?#");
	if (n == 0 || n > 280 || memchr(url + 8, '@', n) != NULL || memchr(url + 8, '\\', n) != NULL)
		return NULL;
	return xstrndup(url, 8 + n);
}

bool
acme_is_token(const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;

	return n > 0 && n <= ACME_TOKEN_MAX && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

int
acme_url_check(const char *url, const char *origin, const char *what, struct err *e)
{
	size_t n = strlen(origin), i;

	if (url == NULL)
		return err_set(e, RC_PARSE, "the authority does not say %s", what);
	for (i = 0; url[i] > ' ' && url[i] < 0x7f && url[i] != '"' && url[i] != '\\'; i++)
		;
	if (url[i] != '\0' || i > ACME_URL_MAX)
		return err_set(e, RC_PARSE, "%s is no URL: %s", what, clean(url));
	if (strncmp(url, origin, n) != 0 || url[n] != '/')
		return err_set(e, RC_PARSE, "%s is not at %s: %s", what, clean(origin), clean(url));
	return 0;
}

static int
take_url(const json_t *o, const char *name, const char *origin, const char *what, char **out, struct err *e)
{
	const char *url = text_of(o, name);

	if (acme_url_check(url, origin, what, e) == -1)
		return -1;
	*out = xstrdup(url);
	return 0;
}

/* Status words are short and lower-case; which ones there may be is for those who look at them. */
static int
take_status(const json_t *o, const char *what, char out[16], struct err *e)
{
	const char *s = text_of(o, "status");

	if (s == NULL || strlen(s) >= 16 || strspn(s, "abcdefghijklmnopqrstuvwxyz") != strlen(s) || *s == '\0')
		return err_set(e, RC_PARSE, "%s has no status", what);
	strcpy(out, s);
	return 0;
}

/* --- directory (section 7.1.1) --- */

void
acme_directory_release(struct acme_directory *d)
{
	free(d->new_nonce);
	free(d->new_account);
	free(d->new_order);
	free(d->renewal_info);
	free(d->terms);
	memset(d, 0, sizeof(*d));
}

int
acme_parse_directory(const char *mem, size_t len, const char *origin, struct acme_directory *out, struct err *e)
{
	const json_t *meta;
	json_t *o;
	const char *terms;
	int rc = -1;

	if (read_object(mem, len, "the directory", &o, e) == -1)
		return -1;
	if (take_url(o, "newNonce", origin, "the URL of nonces", &out->new_nonce, e) == 0 &&
	    take_url(o, "newAccount", origin, "the URL of new accounts", &out->new_account, e) == 0 &&
	    take_url(o, "newOrder", origin, "the URL of new orders", &out->new_order, e) == 0 &&
	    (json_object_get(o, "renewalInfo") == NULL ||
	    take_url(o, "renewalInfo", origin, "the URL of renewals", &out->renewal_info, e) == 0))
		rc = 0;
	meta = json_object_get(o, "meta");
	terms = text_of(meta, "termsOfService");
	/* shown to a person only, never asked for: it may stand anywhere */
	if (rc == 0 && terms != NULL && strlen(terms) <= ACME_URL_MAX && clean_is(terms, strlen(terms)))
		out->terms = xstrdup(terms);
	out->bound = rc == 0 && json_is_true(json_object_get(meta, "externalAccountRequired"));
	if (rc == -1)
		acme_directory_release(out);
	json_decref(o);
	return rc;
}

/* --- names --- */

static bool
is_among(const char *name, const char *names)
{
	size_t n = strlen(name);

	for (const char *p = names; *p != '\0'; p += strcspn(p, " "), p += strspn(p, " "))
		if (strcspn(p, " ") == n && strncasecmp(p, name, n) == 0)
			return true;
	return false;
}

/* The name of an identifier object; NULL when it is none. */
static const char *
identifier(const json_t *o)
{
	const char *type = text_of(o, "type"), *value = text_of(o, "value");

	if (type == NULL || value == NULL || (strcmp(type, "dns") != 0 && strcmp(type, "ip") != 0))
		return NULL;
	return strlen(value) <= 255 && strpbrk(value, " \t\r\n") == NULL ? value : NULL;
}

/* Is this the very set that was ordered? */
static int
same_names(const json_t *list, const char *names, struct err *e)
{
	struct str theirs = STR_INIT;
	const json_t *one;
	const char *name, *p;
	size_t i;
	int rc = 0;

	if (!json_is_array(list) || json_array_size(list) > ACME_NAMES_MAX)
		return err_set(e, RC_PARSE, "the order has no list of names");
	json_array_foreach(list, i, one) {
		name = identifier(one);
		if (name == NULL)
			rc = err_set(e, RC_PARSE, "the order has a name that is none");
		else if (!is_among(name, names))
			rc = err_set(e, RC_PARSE, "the order is for %s, which nobody asked for", clean(name));
		if (rc == -1)
			break;
		str_addf(&theirs, "%s%s", theirs.len ? " " : "", name);
	}
	for (p = names; rc == 0 && *p != '\0'; p += strcspn(p, " "), p += strspn(p, " ")) {
		char *mine = xstrndup(p, strcspn(p, " "));

		if (!is_among(mine, theirs.s))
			rc = err_set(e, RC_PARSE, "the order leaves %s out", clean(mine));
		free(mine);
	}
	str_release(&theirs);
	return rc;
}

/* --- order (section 7.1.3) --- */

void
acme_order_view_release(struct acme_order_view *v)
{
	while (v->n > 0)
		free(v->authorizations[--v->n]);
	free(v->authorizations);
	free(v->finalize);
	free(v->certificate);
	memset(v, 0, sizeof(*v));
}

int
acme_parse_order(const char *mem, size_t len, const char *origin, const char *names, struct acme_order_view *out, struct err *e)
{
	const json_t *list, *one;
	json_t *o;
	const char *url;
	size_t i;
	int rc = -1;

	if (read_object(mem, len, "the order", &o, e) == -1)
		return -1;
	list = json_object_get(o, "authorizations");
	if (take_status(o, "the order", out->status, e) == -1 || same_names(json_object_get(o, "identifiers"), names, e) == -1 ||
	    take_url(o, "finalize", origin, "the URL of finalize", &out->finalize, e) == -1)
		goto out;
	if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > ACME_NAMES_MAX) {
		err_set(e, RC_PARSE, "the order has no list of authorizations");
		goto out;
	}
	out->authorizations = xcalloc(json_array_size(list), sizeof(char *));
	json_array_foreach(list, i, one) {
		url = json_is_string(one) && strlen(json_string_value(one)) == json_string_length(one) ? json_string_value(one) : NULL;
		if (acme_url_check(url, origin, "the URL of an authorization", e) == -1)
			goto out;
		out->authorizations[out->n++] = xstrdup(url);
	}
	rc = strcmp(out->status, "valid") != 0 ? 0
	    : take_url(o, "certificate", origin, "the URL of the certificate", &out->certificate, e);
out:
	if (rc == -1)
		acme_order_view_release(out);
	json_decref(o);
	return rc;
}

/* --- authorization and challenge (sections 7.1.4, 8) --- */

void
acme_authorization_release(struct acme_authorization *a)
{
	free(a->domain);
	free(a->offered);
	free(a->challenge.url);
	free(a->challenge.token);
	free(a->challenge.trouble);
	memset(a, 0, sizeof(*a));
}

static int
take_challenge(const json_t *o, const char *origin, struct acme_challenge *out, struct err *e)
{
	const char *token = text_of(o, "token"), *why = text_of(json_object_get(o, "error"), "detail");

	if (!acme_is_token(token))
		return err_set(e, RC_PARSE, "the token of the proof is not made of letters, digits, hyphen and underscore: %s",
		    clean(token));
	if (take_status(o, "the proof", out->status, e) == -1 || take_url(o, "url", origin, "the URL of the proof", &out->url, e) == -1)
		return -1;
	out->token = xstrdup(token);
	out->trouble = why != NULL ? xstrdup(clean(why)) : NULL;
	return 0;
}

int
acme_parse_authorization(const char *mem, size_t len, const char *origin, const char *names, const char *kind,
    struct acme_authorization *out, struct err *e)
{
	struct str offered = STR_INIT;
	const json_t *list, *one;
	const char *name, *type;
	char *whole;
	json_t *o;
	size_t i;
	int rc = -1;

	if (read_object(mem, len, "the authorization", &o, e) == -1)
		return -1;
	name = identifier(json_object_get(o, "identifier"));
	list = json_object_get(o, "challenges");
	if (take_status(o, "the authorization", out->status, e) == -1)
		goto out;
	/* of a wildcard the name behind the asterisk is proved */
	whole = xasprintf("%s%s", json_is_true(json_object_get(o, "wildcard")) ? "*." : "", name != NULL ? name : "");
	if (name == NULL || !is_among(whole, names)) {
		err_set(e, RC_PARSE, "the authorization is for %s, which nobody asked for", clean(whole));
		free(whole);
		goto out;
	}
	free(whole);
	out->domain = xstrdup(name);
	rc = 0;
	if (!json_is_array(list) || json_array_size(list) > 20)
		rc = err_set(e, RC_PARSE, "the authorization has no list of proofs");
	else
		json_array_foreach(list, i, one) {
			type = text_of(one, "type");
			if (type == NULL || rc == -1)
				continue;
			if (strcmp(type, kind) == 0 && out->challenge.url == NULL)
				rc = take_challenge(one, origin, &out->challenge, e);
			else
				str_addf(&offered, "%s%s", offered.len ? ", " : "", clean(type));
		}
	if (rc == 0)
		out->offered = str_take(&offered);
out:
	if (rc == -1)
		acme_authorization_release(out);
	str_release(&offered);
	json_decref(o);
	return rc;
}

int
acme_parse_account(const char *mem, size_t len, struct err *e)
{
	char status[16];
	json_t *o;
	int rc;

	if (read_object(mem, len, "the account", &o, e) == -1)
		return -1;
	rc = take_status(o, "the account", status, e);
	if (rc == 0 && strcmp(status, "valid") != 0) {
		rc = err_set(e, RC_REMOTE, "the account at the authority is %s", status);
		err_hint(e, "add the authority under another name: that makes a new account");
	}
	json_decref(o);
	return rc;
}

/* --- renewal window (RFC 9773 section 4.2) --- */

/* RFC 3339 in UTC; fractions of a second are left out. */
static int
parse_time(const char *text, int64_t *out)
{
	char whole[32];

	if (text == NULL || strlen(text) < 20 || strlen(text) > 40 || text[strlen(text) - 1] != 'Z')
		return -1;
	snprintf(whole, sizeof(whole), "%.19sZ", text);
	return when_parse_date(out, whole, NULL);
}

int
acme_parse_window(const char *mem, size_t len, int64_t *from, int64_t *until, struct err *e)
{
	int64_t start, end;
	const json_t *w;
	json_t *o;
	int rc = -1;

	if (read_object(mem, len, "the renewal window", &o, e) == -1)
		return -1;
	w = json_object_get(o, "suggestedWindow");
	if (parse_time(text_of(w, "start"), &start) == 0 && parse_time(text_of(w, "end"), &end) == 0 && start > 0 && start < end) {
		*from = start;           /* one that is refused leaves what was known */
		*until = end;
		rc = 0;
	} else
		err_set(e, RC_PARSE, "the renewal window has no start before its end");
	json_decref(o);
	return rc;
}

/* --- problems (RFC 7807; types of section 6.7) --- */

static const struct {
	const char *type, *words, *hint;
} problems[] = {
	{ "rateLimited", "it has had too many requests for now", "wait, or use the authority's staging directory for trials" },
	{ "unauthorized", "the proof does not convince it", "the name must lead to this host: look at its A and AAAA records" },
	{ "connection", "it cannot reach the host", "port 80 of the host must be reachable from the Internet, by IPv4 and IPv6 if there are "
	  "addresses of both" },
	{ "dns", "it cannot look the name up", "look at the DNS of the name; mxseal probe shows what is there" },
	{ "caa", "a CAA record forbids it", "add the authority to the CAA records of the domain" },
	{ "rejectedIdentifier", "it does not issue for this name", NULL },
	{ "unsupportedIdentifier", "it does not issue for this kind of name", NULL },
	{ "externalAccountRequired", "it wants an account that is known to it already", "give --eab-kid, and its key when asked" },
	{ "userActionRequired", "something must be done by hand there first", "the terms of service may have changed" },
	{ "accountDoesNotExist", "it knows no such account", "add the authority anew" },
	{ "badCSR", "it does not take the request", NULL },
	{ "badPublicKey", "it does not take the key", "try another kind of key" },
	{ "badSignatureAlgorithm", "it does not take the account key's signatures", "add it with --account-key rsa-2048" },
	{ "invalidContact", "it does not take the contact address", NULL },
	{ "unsupportedContact", "it does not take this kind of contact", NULL },
	{ "orderNotReady", "the order is not ready", NULL },
	{ "incorrectResponse", "the proof it found is another one", "another program may answer for the name" },
	{ "tls", "TLS failed while it looked for the proof", NULL },
	{ "serverInternal", "it has trouble of its own", "try again later" },
	{ NULL, NULL, NULL }
};

bool
acme_parse_problem(const char *mem, size_t len, struct acme_problem *out)
{
	static const char prefix[] = "urn:ietf:params:acme:error:";
	const char *type, *detail;
	json_t *o;

	memset(out, 0, sizeof(*out));
	if (read_object(mem, len, "the answer", &o, NULL) == -1)
		return false;
	type = text_of(o, "type");
	detail = text_of(o, "detail");
	if (type != NULL)
		clean_fit(out->type, sizeof(out->type), text_starts(type, prefix) ? type + sizeof(prefix) - 1 : type);
	if (detail != NULL)
		clean_fit(out->detail, sizeof(out->detail), detail);
	json_decref(o);
	return type != NULL || detail != NULL;
}

int
acme_refused(const char *who, long status, const struct acme_problem *p, int64_t retry_at, struct err *e)
{
	char when[32] = "";
	size_t i;

	for (i = 0; problems[i].type != NULL && strcmp(problems[i].type, p->type) != 0; i++)
		;
	if (retry_at != 0)
		when_rfc3339(when, retry_at);
	if (p->type[0] == '\0' && p->detail[0] == '\0')
		return err_set(e, status >= 500 ? RC_NET : RC_REMOTE, "%s refuses with status %ld and no reason", who, status);
	err_set(e, RC_REMOTE, "%s refuses: %s%s%s%s%s", who, problems[i].type != NULL ? problems[i].words : p->type,
	    p->detail[0] ? ": " : "", p->detail, retry_at ? "; not before " : "", when);
	return problems[i].hint != NULL ? err_hint(e, "%s", problems[i].hint) : -1;
}
