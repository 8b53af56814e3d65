/* A live look at a mail server: MX and addresses, greeting, EHLO, STARTTLS, handshake, chain and name. The stream comes from
 * a dialer, so the same code looks from here and from a mail host through its SSH connection. Replies are hostile: lines of
 * at most 2048 bytes, 100 lines, deadlines everywhere (RFC 5321 4.5.3, RFC 3207). */
#ifndef MXSEAL_PROBE_H
#define MXSEAL_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/host.h"
#include "mxseal/job.h"
#include "mxseal/str.h"
#include "mxseal/stream.h"

/* How to open a connection. fn from here: probe_dial_here; from a host: probe_dial_host with arg = struct host *. */
typedef int dial_fn(void *arg, const char *address, int port, int timeout_ms, struct stream **out, char peer[64], struct err *e);
struct dialer { dial_fn *fn; void *arg; const char *from; /* "here" or the server's name */ };
extern dial_fn probe_dial_here;      /* arg: NULL or struct job_ctx * (cancel) */
extern dial_fn probe_dial_host;      /* arg: struct host * */

/* One endpoint looked at. Texts are as received, cleaned; certificates as PEM. */
struct probe_host {
	char *host;               /* MX name or what was asked */
	char *address; int port;
	int preference;           /* of the MX, -1 none */
	char *banner;
	char **ehlo; size_t n_ehlo;      /* extensions before TLS, without the code */
	bool starttls;            /* offered */
	bool tls;                 /* a session was established */
	char protocol[16], cipher[64];
	char *chain_pem;          /* leaf first */
	char sha256[65];
	bool trusted, name_ok, in_time;
	char *cert_subject, *cert_issuer; int64_t not_after;
	char *class_name;         /* failure class (failure.h) or "tls-ok" */
	char *trouble;            /* sentence, NULL when all is well */
	int ms;
	int64_t not_before;
	bool domain_ok;           /* the certificate is for the domain that was looked at or a name below it (level "secure") */
	char *works;              /* "TLSv1.3 TLSv1.2": versions that a handshake came up with, asked for one at a time; NULL: not asked */
	char *transcript;         /* the conversation, one line each, "S: " "C: " "-- " in front */
	bool unused;              /* mail does not go there: see probe_unused; trouble says why */
	char dane[16];            /* "match", "mismatch", "none" (no TLSA records), "insecure" (of DNS), "unusable", "lookup-error"; "": not asked */
};
void probe_host_release(struct probe_host *p);

struct probe_options {
	int timeout_ms;           /* per wait; 0: 10 s */
	bool implicit_tls;        /* TLS from the first byte */
	const char *name;         /* SNI and name check; NULL: the host looked at */
	const char *roots;        /* PEM beside the system's roots */
	int protocol_min, protocol_max;  /* 0, or TLS1_2_VERSION ...: for "which versions" */
	bool roots_only;          /* roots and no others: the trust store of a mail host */
	bool by_domain;           /* the name that counts is the domain's, as at level "secure" */
	bool versions;            /* where the handshake fails: try each version alone */
	const char *helo;         /* name we say; NULL: the machine's */
	const char *domain;       /* whose mail servers these are, for domain_ok; NULL: the host looked at */
	const char *families;     /* "all", "ipv4", "ipv6": what the mail system uses, for probe_unused; NULL: all */
	const char *key;          /* "EC", "RSA": take no certificate with another kind of key (RFC 8446 4.2.3); NULL or "": any */
};
/* Looks at one address:port. Returns 0 also when the peer is broken (then trouble and class say so); -1 only when cancelled. */
int probe_smtp(const struct dialer *d, const char *host, const char *address, int port, const struct probe_options *o,
        struct probe_host *out, struct err *e);

/* --- dns.c --- */
struct mx { char *name; int preference; char **addresses; size_t n_addresses; };
struct mx_list { struct mx *v; size_t n; bool implicit; /* no MX: the domain itself (RFC 5321 5.1) */ bool null_mx; /* RFC 7505 */ };
void mx_list_release(struct mx_list *l);
/* From here, by libunbound with the system's resolvers. RC_NOTFOUND: no such domain. RC_NET: no answer.
 * RC_REMOTE: the resolver says that it fails (SERVFAIL). */
int dns_mx(const char *domain, struct mx_list *out, struct err *e);
/* From a host: DNS over TCP (RFC 7766) to its own resolver through d. resolv_conf: text of its /etc/resolv.conf. */
int dns_mx_via(const struct dialer *d, const char *resolv_conf, const char *domain, struct mx_list *out, struct err *e);
/* Addresses of a host name, from here. */
int dns_addresses(const char *name, char ***out, size_t *n, struct err *e);
/* Names that DNS has for an address (PTR), from here. RC_NOTFOUND: none. */
int dns_names_of(const char *address, char ***out, size_t *n, struct err *e);

/* --- a whole destination --- */
struct probe_report {
	char *target, *from;
	struct probe_host *v; size_t n;
	char *verdict;            /* one sentence */
	char *class_name;         /* of the worst that decides, or "tls-ok" */
	char *side;               /* theirs, ours, path, none */
	/* what is published, after probe_published; NULL: not asked */
	char *dane;               /* the worst of its hosts, words as probe_host.dane */
	char *sts;                /* MTA-STS: "none", "ok", "mx-mismatch", "tls-fails", "unreachable", "invalid", "lookup-error" */
	char *sts_id, *sts_mode, *sts_mx, *sts_trouble; int64_t sts_max_age;
	char *names;              /* what DNS said: "10 mx1.bank.test 192.0.2.1 2001:db8::1; 20 ...", to compare vantage points */
};
void probe_report_release(struct probe_report *r);
/* All MX of a domain (or the one host when port is given or it is an address), from where d looks. resolv_conf NULL: from here.
 * At most 16 endpoints. RC_NOTFOUND: no such domain. A resolver that says "failure" is a report of class "dns". */
int probe_destination(const struct dialer *d, const char *resolv_conf, const char *target, int port, bool mx,
        const struct probe_options *o, struct job_ctx *ctx, struct probe_report *out, struct err *e);

/* Adds what the destination publishes: TLSA records of each host looked at (asked of the host's resolver, or here), and
 * its MTA-STS policy, fetched from where d looks; its web server is accepted by whom this machine trusts, or, from a host, by whom that
 * host's client trusts (roots, NULL: not known). Nothing published is no error. */
int probe_published(const struct dialer *d, const char *resolv_conf, const char *roots, bool mx, struct job_ctx *ctx,
        struct probe_report *r, struct err *e);
/* The mail of the place that looked makes no use of IPv6 addresses (else: of IPv4 ones): they say nothing of the other side. never:
 * whatever the look saw; else only those that it could not connect to. why: a sentence. */
void probe_unused(struct probe_report *r, bool ipv6, bool never, const char *why);
/* " at 2001:db8::1, IPv6"; and "mx.a.test at 192.0.2.1; mx.b.test at 2001:db8::1, IPv6" of those that are bad, the first three. */
void probe_address_text(struct str *out, const struct probe_host *p);
void probe_bad_places(struct str *out, const struct probe_report *r, bool (*bad)(const struct probe_host *p, const void *arg), const void *arg);
/* At the levels dane and dane-only (only): what was published decides about the certificate, not who signed it. */
void probe_judge_dane(struct probe_report *r, bool only);

#endif
