/* What the files of this folder share: SMTP talk, a TLS stream over another stream, DNS answers. */
#ifndef MXSEAL_PROBE_PRIVATE_H
#define MXSEAL_PROBE_PRIVATE_H

#include <openssl/ssl.h>

#include "mxseal/probe.h"
#include "mxseal/str.h"

#define LINE_MAX_SMTP 2048
#define LINES_MAX 100

/* A reply of an SMTP server: code and the lines without it, cleaned. */
struct reply { int code; char **lines; size_t n; };
void reply_release(struct reply *r);
/* Reads one reply within timeout_ms for all of its lines. RC_PARSE: not SMTP. RC_NET with "closed" when the peer ended. */
int  smtp_reply(struct stream *s, int timeout_ms, struct reply *out, struct err *e);
/* Sends a command (no control characters in it) and reads the reply. */
int  smtp_ask(struct stream *s, const char *command, int timeout_ms, struct reply *out, struct err *e);
/* A name fit for EHLO. */
void smtp_helo_name(const char *wanted, struct str *out);

/* --- tls.c --- */
struct tls_options {
	const char *name;         /* SNI, may be NULL or a number */
	int timeout_ms;           /* of the whole handshake, then of each wait */
	int protocol_min, protocol_max;  /* 0: all */
	const char *key;          /* as in probe_options */
};
struct tls_seen {
	char protocol[16], cipher[64];
	char *chain_pem;
	bool wants_client_cert;   /* the peer asked for one */
	bool old_protocol;        /* below TLS 1.2 */
};
/* Shakes hands over *s without judging the certificate. On success *s becomes the TLS stream, which owns the one below. On
 * failure -1, *s stays as it is, and class_name is a failure class. */
int tls_begin(struct stream **s, const struct tls_options *o, struct tls_seen *seen, const char **class_name, struct err *e);
/* The class of an error met while reading through a TLS stream, NULL when it says nothing about TLS. */
const char *tls_trouble(struct stream *s);

/* --- dns.c and dns_via.c: one question, by whatever way --- */
#define DNS_ANSWERS_MAX 32
#define TYPE_MX 15
#define TYPE_TXT 16
#define TYPE_TLSA 52
struct answer { int preference; char text[256]; };    /* a host name or a number; TXT: its strings joined; TLSA: "3 1 1 HEX" */
struct answers { struct answer v[DNS_ANSWERS_MAX]; size_t n; bool secure; /* DNSSEC vouches for it */ };
typedef int ask_fn(void *arg, const char *name, int type, struct answers *out, struct err *e);
/* Addresses of a name, asked by ask: at most 8, appended. -1: neither kind of question was answered. */
int dns_addresses_by(ask_fn *ask, void *arg, const char *name, char ***out, size_t *n, struct err *e);
/* MX of a domain and their addresses, asked by ask. */
int dns_collect(ask_fn *ask, void *arg, const char *domain, struct mx_list *out, struct err *e);
/* The two ways as one: resolv_conf NULL: from here, validated by libunbound with the root's key (/usr/share/dns/root.key, or the
 * file that MXSEAL_DNS_ANCHOR names); else through d by the host's own resolver, whose AD bit is believed, as Postfix does. */
struct dns_asker;
struct dns_asker *dns_asker_new(const struct dialer *d, const char *resolv_conf, struct err *e);
int  dns_ask(void *asker, const char *name, int type, struct answers *out, struct err *e);
void dns_asker_free(struct dns_asker *a);
/* Record data of TXT and TLSA as text; false: damaged, or too long to hold. */
bool dns_data_text(int type, const unsigned char *data, size_t len, char out[256]);
struct via;
struct via *via_new(const struct dialer *d, const char *resolv_conf);
int  via_ask(void *via, const char *name, int type, struct answers *out, struct err *e);
void via_free(struct via *v);

/* --- sts.c --- */
struct sts_policy { char *mode, *mx; int64_t max_age; };          /* mx: patterns, blank between */
void sts_policy_release(struct sts_policy *p);
int  sts_policy_parse(const char *text, size_t len, struct sts_policy *out, struct err *e);      /* RC_PARSE */
int  sts_policy_fetch(const char *domain, struct job_ctx *ctx, struct sts_policy *out, struct err *e);
/* The same through d, with addresses that ask gives: one request of HTTP/1.0 inside TLS, the certificate judged by the roots
 * here and, where those do not vouch for it, by what the mail host trusts (roots, as cert_verify_by; NULL: not known). */
int  sts_policy_fetch_via(const struct dialer *d, ask_fn *ask, void *arg, const char *domain, const char *roots, struct sts_policy *out,
        struct err *e);
/* What a web server answered: the policy of it. ended: it is known to be whole. RC_NET: another status than 200, or cut off. RC_PARSE:
 * no HTTP, or no policy. */
int  sts_answer_parse(const char *text, size_t len, bool ended, struct sts_policy *out, struct err *e);
bool sts_mx_matches(const struct sts_policy *p, const char *host);

bool dns_name_good(const char *name);
bool is_address(const char *text);

#endif
