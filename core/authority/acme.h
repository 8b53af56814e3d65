/* What the files of the ACME client share. Private to this folder and its tests. */
#ifndef MXSEAL_AUTHORITY_ACME_H
#define MXSEAL_AUTHORITY_ACME_H

#include <jansson.h>

#include "mxseal/acme.h"

#define ACME_BODY_MAX (256u * 1024)      /* of an answer */
#define ACME_URL_MAX 2000
#define ACME_TOKEN_MAX 256
#define ACME_NAMES_MAX 100

/* --- acme_parse.c: what an authority says, as data; foreign to the last byte --- */
struct acme_directory { char *new_nonce, *new_account, *new_order, *renewal_info, *terms; bool bound; };
void acme_directory_release(struct acme_directory *d);
struct acme_order_view { char status[16]; char *finalize, *certificate; char **authorizations; size_t n; };
void acme_order_view_release(struct acme_order_view *v);
struct acme_challenge { char *url, *token; char status[16]; char *trouble; };
struct acme_authorization { char status[16]; char *domain; struct acme_challenge challenge; char *offered; };
void acme_authorization_release(struct acme_authorization *a);
struct acme_problem { char type[48]; char detail[200]; };

/* "https://host:port" of a URL; NULL when it is no https URL. */
char *acme_origin(const char *url);
bool acme_is_token(const char *text);
/* Is it a URL at the origin, and nothing else? what: for the sentence. */
int acme_url_check(const char *url, const char *origin, const char *what, struct err *e);
int acme_parse_directory(const char *mem, size_t len, const char *origin, struct acme_directory *out, struct err *e);
/* names: what was ordered; another set is RC_PARSE. */
int acme_parse_order(const char *mem, size_t len, const char *origin, const char *names, struct acme_order_view *out, struct err *e);
/* kind: of the challenge wanted. challenge.url is NULL when it is not offered; offered then says what is. */
int acme_parse_authorization(const char *mem, size_t len, const char *origin, const char *names, const char *kind,
        struct acme_authorization *out, struct err *e);
int acme_parse_account(const char *mem, size_t len, struct err *e);
int acme_parse_window(const char *mem, size_t len, int64_t *from, int64_t *until, struct err *e);
/* False: it is no problem document (RFC 7807). */
bool acme_parse_problem(const char *mem, size_t len, struct acme_problem *out);
/* One sentence with its code. retry_at: when it may be tried again, 0 unknown. Returns -1. */
int acme_refused(const char *who, long status, const struct acme_problem *p, int64_t retry_at, struct err *e);

/* --- acme_jws.c: RFC 7515, 7638 --- */
struct acme_jws { const char *kid; const char *nonce, *url; };   /* kid NULL: the key itself is sent along */
void base64url(const void *mem, size_t len, struct str *out);
/* Appends the signed request. payload NULL: POST-as-GET. */
int acme_sign(const struct acme_key *k, const struct acme_jws *head, const char *payload, struct str *out, struct err *e);
/* Appends token.thumbprint. */
int acme_key_authorization(const struct acme_key *k, const char *token, struct str *out, struct err *e);
/* The inner object that binds an external account (section 7.3.4). RC_INVALID: its key is not base64url. */
int acme_bind(const struct acme_key *k, const char *kid, const struct secret *key, const char *url, struct str *out, struct err *e);
int acme_csr_base64url(const char *csr_pem, struct str *out, struct err *e);
/* KEYID.SERIAL of RFC 9773 section 4.1; false: the certificate has no authority key identifier. */
bool acme_certificate_id(const char *cert_pem, struct str *out);

/* --- acme_http.c: libcurl --- */
struct http;
struct reply {
	long status;
	struct str body;
	char *location, *nonce, *type;
	int64_t retry_at;                /* 0: it did not say */
};
#define REPLY_INIT { .body = STR_INIT }
void http_reply_release(struct reply *r);
int  http_open(struct http **out, const char *anchors, const struct acme_patience *p, struct job_ctx *ctx, struct err *e);
void http_close(struct http *h);
/* method "GET", "HEAD" or "POST" (with body). Any status is an answer; a redirect is not. Release r also after a failure. */
int  http_ask(struct http *h, const char *method, const char *url, const char *body, const char *accept, struct reply *r,
         struct err *e);
/* Waits; RC_TIMEOUT at once when that is longer than there is patience. asked: the authority named the time. */
int  http_wait(struct http *h, int64_t ms, bool asked, struct err *e);

/* --- acme.c --- */
struct acme {
	struct http *http;
	char *url, *origin, *who;        /* who: host name, cleaned, for sentences */
	bool looked;
	struct acme_directory directory;
	char *nonce;
	struct job_ctx *ctx;
};
/* A signed question and its good answer (2xx, JSON unless accept says otherwise); everything else is an error. */
int acme_post(struct acme *c, const struct acme_key *k, const char *kid, const char *url, const char *payload, const char *accept,
        struct reply *r, struct err *e);

#endif
