/* MTA-STS (RFC 8461): the policy's text taken apart, fetched over https without redirects, at most 64 KiB; from here by libcurl,
 * from a mail host through its SSH connection. What it says is hostile: words are checked before they are kept. */
#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define POLICY_MAX 65536     /* RFC 8461 section 3.3 */
#define FETCH_MS 10000
#define MX_MAX 64
#define HEAD_MAX 16384       /* of an answer, before the policy */
#define ADDRESSES_TRIED 3

void
sts_policy_release(struct sts_policy *p)
{
	free(p->mode);
	free(p->mx);
	*p = (struct sts_policy){ .mode = NULL };
}

static bool
is_pattern(const char *s)
{
	return dns_name_good(text_starts(s, "*.") ? s + 2 : s);
}

static int
take_field(struct sts_policy *p, const char *name, const char *value, bool *version, size_t *n)
{
	char *end;

	if (text_ieq(name, "version"))
		*version = strcmp(value, "STSv1") == 0;
	else if (text_ieq(name, "mode")) {
		if (strcmp(value, "enforce") != 0 && strcmp(value, "testing") != 0 && strcmp(value, "none") != 0)
			return -1;
		xset(&p->mode, value);
	} else if (text_ieq(name, "max_age")) {
		p->max_age = strtoll(value, &end, 10);
		if (!isdigit((unsigned char)*value) || *end != '\0' || p->max_age > 31557600)
			return -1;
	} else if (text_ieq(name, "mx") && (*n)++ < MX_MAX) {
		char *both;

		if (!is_pattern(value))
			return -1;
		both = p->mx != NULL ? xasprintf("%s %s", p->mx, value) : xstrdup(value);
		free(p->mx);
		p->mx = both;
	}
	return 0;
}

int
sts_policy_parse(const char *text, size_t len, struct sts_policy *out, struct err *e)
{
	char *copy = xstrndup(text, len), *line, *save = NULL, *colon;
	bool version = false, first = true;
	size_t n = 0;
	int rc = 0;

	*out = (struct sts_policy){ .max_age = -1 };
	for (line = strtok_r(copy, "\r\n", &save); line != NULL && rc == 0; line = strtok_r(NULL, "\r\n", &save)) {
		if ((colon = strchr(line, ':')) == NULL)
			continue;
		*colon = '\0';
		rc = take_field(out, text_trim(line), text_trim(colon + 1), &version, &n);
		if (first && !version)
			rc = -1;
		first = false;
	}
	free(copy);
	if (rc == 0 && (!version || out->mode == NULL || out->max_age < 0 || (out->mx == NULL && strcmp(out->mode, "none") != 0)))
		rc = -1;
	if (rc == 0)
		return 0;
	sts_policy_release(out);
	return err_set(e, RC_PARSE, "the policy is not written as RFC 8461 wants it");
}

bool
sts_mx_matches(const struct sts_policy *p, const char *host)
{
	char **words = words_split(p->mx != NULL ? p->mx : "", " ", NULL);
	bool found = false;
	size_t i;

	for (i = 0; words[i] != NULL && !found; i++)
		found = text_starts(words[i], "*.") ? strchr(host, '.') != NULL && text_ieq(strchr(host, '.') + 1, words[i] + 2) :
		    text_ieq(words[i], host);
	words_free(words);
	return found;
}

/* --- fetching --- */

static size_t
on_body(char *mem, size_t size, size_t n, void *arg)
{
	struct str *body = arg;

	str_addn(body, mem, size * n);
	return body->over ? 0 : size * n;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return arg != NULL && job_cancelled(arg) ? 1 : 0;
}

int
sts_policy_fetch(const char *domain, struct job_ctx *ctx, struct sts_policy *out, struct err *e)
{
	char *url = xasprintf("https://mta-sts.%s/.well-known/mta-sts.txt", domain), reason[CURL_ERROR_SIZE] = "";
	struct str body;
	CURL *c = curl_easy_init();
	CURLcode rc;
	long status = 0;
	int result = -1;

	str_init(&body, POLICY_MAX);
	*out = (struct sts_policy){ .mode = NULL };
	if (c == NULL || curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_URL, url) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)FETCH_MS) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_WRITEDATA, &body) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) != CURLE_OK
	    || curl_easy_setopt(c, CURLOPT_XFERINFODATA, ctx) != CURLE_OK) {
		err_set(e, RC_BUG, "this libcurl cannot fetch a policy");
		goto out;
	}
	rc = curl_easy_perform(c);
	if (rc == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	if (ctx != NULL && job_cancelled(ctx))
		err_set(e, RC_CANCELLED, "cancelled");
	else if (rc != CURLE_OK)
		err_set(e, RC_NET, "%s", clean(reason[0] != '\0' ? reason : curl_easy_strerror(rc)));
	else if (status != 200)
		err_set(e, RC_NET, "its web server answers with status %ld", status);
	else
		result = sts_policy_parse(body.len > 0 ? body.s : "", body.len, out, e);
out:
	if (c != NULL)
		curl_easy_cleanup(c);
	str_release(&body);
	free(url);
	return result;
}

/* --- from a mail host --- */

int
sts_answer_parse(const char *text, size_t len, bool ended, struct sts_policy *out, struct err *e)
{
	char *copy = xstrndup(text, len), *head = copy, *body = strstr(copy, "\r\n\r\n"), *line, *save = NULL;
	size_t body_len = body != NULL ? len - (size_t)(body + 4 - copy) : 0, said = SIZE_MAX;
	int status = 0, rc = -1;

	*out = (struct sts_policy){ .mode = NULL };
	if (body == NULL || strlen(copy) != len || sscanf(head, "HTTP/1.%*1[01] %3d ", &status) != 1 || status < 100) {
		err_set(e, RC_PARSE, "its web server does not speak HTTP");
		goto out;
	}
	*body = '\0';
	body += 4;
	for (line = strtok_r(head, "\r\n", &save); line != NULL; line = strtok_r(NULL, "\r\n", &save)) {
		if (strncasecmp(line, "Transfer-Encoding:", 18) == 0 || strncasecmp(line, "Content-Encoding:", 17) == 0) {
			err_set(e, RC_PARSE, "its web server packs its answer in a way that was not asked for");
			goto out;
		}
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			said = strtoul(line + 15, NULL, 10);
	}
	if (status != 200)
		err_set(e, RC_NET, "its web server answers with status %d", status);
	else if (said != SIZE_MAX ? said > body_len : !ended)
		err_set(e, RC_NET, "the answer of its web server ends too early");
	else if (body_len > POLICY_MAX)
		err_set(e, RC_PARSE, "the policy is longer than RFC 8461 allows");
	else
		rc = sts_policy_parse(body, said < body_len ? said : body_len, out, e);
out:
	free(copy);
	return rc;
}

/* The whole answer, until the other side ends it; *ended: as TLS ends, and not by hanging up, as many web servers do. */
static int
read_answer(struct stream *s, int64_t until, struct str *out, bool *ended, struct err *e)
{
	char mem[4096];
	ssize_t got;

	do {
		int64_t left = until - when_monotonic_ms();
		struct err here = { .code = RC_OK };

		got = stream_read(s, mem, sizeof(mem), left > 0 ? (int)left : 0, &here);
		if (got < 0 && (here.code != RC_NET || out->len == 0)) {
			if (e != NULL)
				*e = here;
			return -1;
		}
		str_addn(out, mem, got > 0 ? (size_t)got : 0);
		*ended = got == 0;
	} while (got > 0 && !out->over);
	return out->over ? err_set(e, RC_PARSE, "the policy is longer than RFC 8461 allows") : 0;
}

static int
ask_web_server(const struct dialer *d, const char *name, const char *address, const char *roots, int64_t until, struct sts_policy *out,
    struct err *e)
{
	int64_t left = until - when_monotonic_ms();
	struct tls_options o = { .name = name, .timeout_ms = left > 0 ? (int)left : 0, .protocol_min = TLS1_2_VERSION };
	struct tls_seen seen = { .chain_pem = NULL };
	const char *class_name = NULL;
	struct cert_verdict v;
	struct stream *s = NULL;
	struct str text;
	bool ended = false;
	char peer[64] = "", *request = xasprintf("GET /.well-known/mta-sts.txt HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", name);
	int rc = -1;

	str_init(&text, HEAD_MAX + POLICY_MAX);
	if (d->fn(d->arg, address, 443, o.timeout_ms, &s, peer, e) != 0)
		goto out;
	if (tls_begin(&s, &o, &seen, &class_name, e) != 0)
		goto out;
	cert_verify(seen.chain_pem != NULL ? seen.chain_pem : "", name, NULL, when_now(), &v);
	if (seen.chain_pem != NULL && !v.trusted && roots != NULL)
		cert_verify_by(seen.chain_pem, name, roots, when_now(), &v);
	if (seen.chain_pem == NULL || !v.trusted || !v.in_time || !v.name_ok)
		err_set(e, RC_NET, "the certificate of its web server is not accepted%s: %s", seen.chain_pem == NULL || v.trusted ? "" :
		    roots != NULL ? " by the authorities that are trusted here or by the mail host" :
		    " by the authorities that are trusted here; whom the mail host trusts is not known", seen.chain_pem != NULL ? v.text : "there is none");
	else if (stream_write(s, request, strlen(request), FETCH_MS, e) == 0 && read_answer(s, until, &text, &ended, e) == 0)
		rc = sts_answer_parse(text.len > 0 ? text.s : "", text.len, ended, out, e);
out:
	stream_close(s, NULL);
	free(seen.chain_pem);
	str_release(&text);
	free(request);
	return rc;
}

int
sts_policy_fetch_via(const struct dialer *d, ask_fn *ask, void *arg, const char *domain, const char *roots, struct sts_policy *out,
    struct err *e)
{
	int64_t until = when_monotonic_ms() + FETCH_MS;
	char *name = xasprintf("mta-sts.%s", domain), **addresses = NULL;
	size_t n = 0, i;
	int rc = -1;

	*out = (struct sts_policy){ .mode = NULL };
	if (dns_addresses_by(ask, arg, name, &addresses, &n, e) == 0 && n == 0)
		err_set(e, RC_NET, "%s has no address in DNS", clean(name));
	for (i = 0; i < n && i < ADDRESSES_TRIED && rc != 0; i++) {
		rc = ask_web_server(d, name, addresses[i], roots, until, out, e);
		if (rc != 0 && e != NULL && (e->code == RC_CANCELLED || e->code == RC_PARSE))
			break;
	}
	for (i = 0; i < n; i++)
		free(addresses[i]);
	free(addresses);
	free(name);
	return rc;
}
