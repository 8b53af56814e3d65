/* The transport of the ACME client: https by libcurl, and nothing else. One connection, deadlines for each answer and for all
 * of them, ceilings for body and header, no redirect, no compression, TLS 1.2 or later, the anchors that were named or the
 * system's. What can fail: the network (RC_NET, RC_TIMEOUT), the certificate of the other side (RC_TLS), too much (RC_LIMIT). */
#include <curl/curl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "acme.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define HEADER_MAX (64u * 1024)
#define RETRY_MAX (366LL * 86400)        /* nobody means more; also keeps sums in range */
#define REPLY_MS 20000
#define WHOLE_MS 180000

struct http {
	CURL *curl;
	struct curl_slist *headers;
	char *anchors;
	struct acme_patience patience;
	int64_t until;
	struct job_ctx *ctx;
	struct reply *reply;             /* being received */
	size_t header_bytes;
	char reason[CURL_ERROR_SIZE];
};

void
http_reply_release(struct reply *r)
{
	str_release(&r->body);
	free(r->location);
	free(r->nonce);
	free(r->type);
	memset(r, 0, sizeof(*r));
	str_init(&r->body, ACME_BODY_MAX);
}

static size_t
on_body(char *mem, size_t size, size_t n, void *arg)
{
	struct http *h = arg;

	str_addn(&h->reply->body, mem, size * n);
	return h->reply->body.over ? 0 : size * n;
}

static int64_t
retry_at(const char *text)
{
	char *end;
	long long n = strtoll(text, &end, 10);
	time_t at;

	if (end != text && *end == '\0')
		return n < 0 ? 0 : when_now() + (n > RETRY_MAX ? RETRY_MAX : n);
	at = curl_getdate(text, NULL);
	return at <= 0 ? 0 : at > when_now() + RETRY_MAX ? when_now() + RETRY_MAX : (int64_t)at;
}

static size_t
on_header(char *mem, size_t size, size_t n, void *arg)
{
	struct http *h = arg;
	size_t len = size * n;
	char *line = xstrndup(mem, len), *colon = strchr(line, ':'), *value;

	h->header_bytes += len;
	if (colon != NULL && strlen(line) < ACME_URL_MAX + 64) {
		*colon = '\0';
		value = text_trim(colon + 1);
		if (strcasecmp(line, "Location") == 0)
			xset(&h->reply->location, value);
		else if (strcasecmp(line, "Replay-Nonce") == 0)
			xset(&h->reply->nonce, acme_is_token(value) ? value : NULL);
		else if (strcasecmp(line, "Content-Type") == 0)
			xset(&h->reply->type, value);
		else if (strcasecmp(line, "Retry-After") == 0)
			h->reply->retry_at = retry_at(value);
	}
	free(line);
	return h->header_bytes > HEADER_MAX ? 0 : len;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct http *h = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return job_cancelled(h->ctx) ? 1 : 0;
}

int
http_open(struct http **out, const char *anchors, const struct acme_patience *p, struct job_ctx *ctx, struct err *e)
{
	struct http *h = xcalloc(1, sizeof(*h));
	struct curl_blob blob = { .flags = CURL_BLOB_COPY };
	CURL *c = curl_easy_init();
	bool ok;

	*out = NULL;
	h->curl = c;
	h->ctx = ctx;
	h->patience = p != NULL ? *p : (struct acme_patience){ REPLY_MS, WHOLE_MS };
	h->until = when_monotonic_ms() + h->patience.whole_ms;
	ok = c != NULL && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_USERAGENT, "mxseal/" MXSEAL_VERSION) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->reason) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_WRITEDATA, h) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_HEADERDATA, h) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK
	    && curl_easy_setopt(c, CURLOPT_XFERINFODATA, h) == CURLE_OK;
	if (ok && !text_empty(anchors)) {
		blob.data = (void *)(uintptr_t)anchors;
		blob.len = strlen(anchors);
		/* these and no others */
		ok = curl_easy_setopt(c, CURLOPT_CAINFO, NULL) == CURLE_OK && curl_easy_setopt(c, CURLOPT_CAPATH, NULL) == CURLE_OK
		    && curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK;
	}
	if (!ok) {
		http_close(h);
		return err_set(e, RC_BUG, "this libcurl cannot do what an ACME client needs");
	}
	*out = h;
	return 0;
}

void
http_close(struct http *h)
{
	if (h == NULL)
		return;
	curl_slist_free_all(h->headers);
	if (h->curl != NULL)
		curl_easy_cleanup(h->curl);
	free(h);
}

static int
impatient(struct http *h, const char *who, struct err *e)
{
	return err_set(e, RC_TIMEOUT, "%s takes longer than %d s over all of it", clean(who), h->patience.whole_ms / 1000);
}

int
http_wait(struct http *h, int64_t ms, bool asked, struct err *e)
{
	struct pollfd p = { .fd = job_cancel_fd(h->ctx), .events = POLLIN };
	int64_t end = when_monotonic_ms() + ms, left;

	if (end > h->until) {
		if (asked)
			err_set(e, RC_TIMEOUT, "the authority wants to be asked again in %lld s, and that is too long to wait for here",
			    (long long)(ms / 1000));
		else
			err_set(e, RC_TIMEOUT, "the authority is not ready yet, and was waited for long enough");
		return err_hint(e, "the order is kept: it can be gone on with later");
	}
	while ((left = end - when_monotonic_ms()) > 0 && !job_cancelled(h->ctx))
		(void)poll(&p, p.fd >= 0 ? 1 : 0, (int)left);
	return job_cancelled(h->ctx) ? err_set(e, RC_CANCELLED, "cancelled") : 0;
}

/* What libcurl says, in our codes. */
static int
failed(struct http *h, CURLcode rc, const char *who, struct err *e)
{
	const char *why = h->reason[0] != '\0' ? h->reason : curl_easy_strerror(rc);

	if (job_cancelled(h->ctx))
		return err_set(e, RC_CANCELLED, "cancelled");
	if (h->reply->body.over)
		return err_set(e, RC_LIMIT, "%s sends more than %u bytes for an answer", clean(who), ACME_BODY_MAX);
	if (h->header_bytes > HEADER_MAX)
		return err_set(e, RC_LIMIT, "%s sends more than %u bytes of header", clean(who), HEADER_MAX);
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, RC_TIMEOUT, "%s does not answer in time", clean(who));
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
		err_set(e, RC_TLS, "%s is not trusted: %s", clean(who), clean(why));
		return err_hint(e, "a private authority needs --ca-file with the certificate that vouches for its https");
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(e, RC_INVALID, "the file of trust anchors has no usable certificate");
	default:
		return err_set(e, RC_NET, "%s cannot be asked: %s", clean(who), clean(why));
	}
}

static void
prepare(struct http *h, const char *method, const char *url, const char *body, const char *accept)
{
	struct str line = STR_INIT;

	curl_slist_free_all(h->headers);
	str_addf(&line, "Accept: %s", accept != NULL ? accept : "application/json, application/problem+json");
	h->headers = curl_slist_append(NULL, line.s);
	h->headers = curl_slist_append(h->headers, "Expect:");
	if (body != NULL)
		h->headers = curl_slist_append(h->headers, "Content-Type: application/jose+json");
	str_release(&line);
	curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(h->curl, CURLOPT_NOBODY, strcmp(method, "HEAD") == 0 ? 1L : 0L);
	if (body != NULL) {
		curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
}

int
http_ask(struct http *h, const char *method, const char *url, const char *body, const char *accept, struct reply *r, struct err *e)
{
	int64_t left = h->until - when_monotonic_ms();
	char *who = acme_origin(url);
	CURLcode rc;
	int bad = 0;

	http_reply_release(r);
	h->reply = r;
	h->header_bytes = 0;
	h->reason[0] = '\0';
	if (left <= 0)
		bad = impatient(h, who, e);
	else {
		prepare(h, method, url, body, accept);
		curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, (long)(left < h->patience.reply_ms ? left : h->patience.reply_ms));
		curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(left < 10000 ? left : 10000));
		rc = curl_easy_perform(h->curl);
		if (rc != CURLE_OK)
			bad = failed(h, rc, who, e);
		else
			curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &r->status);
	}
	if (bad == 0 && r->status >= 300 && r->status < 400)
		bad = err_set(e, RC_PARSE, "%s sends us elsewhere (status %ld): redirects are not followed", clean(who), r->status);
	h->reply = NULL;
	free(who);
	return bad;
}
