/* The records that cross folders: plain data, texts owned by the record (NULL = unknown or unset), times in seconds since
 * the epoch (0 = never), ids from the store (0 = not stored). Each has X_release (contents); a list X_list is an array that
 * its owner releases with X_list_release. */
#ifndef MXSEAL_MODEL_H
#define MXSEAL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/str.h"

#define RECORD(name) \
	struct name##_list { struct name *v; size_t n; }; \
	void name##_release(struct name *r); \
	void name##_list_release(struct name##_list *l); \
	struct name *name##_list_add(struct name##_list *l)   /* a new zeroed one at the end; valid until the next add */

enum become { BECOME_NONE, BECOME_SUDO };

/* One mail host. */
struct server {
	int64_t id;
	int64_t rev;              /* grows with each change: a lost race is noticed */
	char *name;               /* "mx1" */
	char *target;             /* as typed: [user@]host[:port], an ssh alias, or "local:" */
	char *identity;           /* key file, or NULL */
	enum become become;
	char *system;             /* wanted: "auto" or a driver's name */
	/* found at the last reading */
	char *mailsys;            /* driver's name: "postfix" */
	char *version;            /* of the mail system: "3.7.11" */
	char *config_dir;         /* "/etc/postfix" */
	char *host_name;          /* the name it says in EHLO (myhostname) */
	char *domain;             /* mydomain */
	char *os;                 /* "Debian GNU/Linux 12 (bookworm)" */
	char *transport;          /* "libssh2", "openssh", "local" */
	char *transport_why;      /* why not the first choice, or NULL */
	int64_t read_at;          /* last good reading */
	int64_t tried_at;         /* last attempt */
	char *trouble;            /* sentence of the last failure, NULL when the last attempt was good */
	char *trouble_code;       /* err_name() of it */
	int64_t queue_messages;   /* -1 unknown */
	int64_t generation;       /* current generation of ours on the host, 0 none */
	char *base;               /* hash of the files a plan would be made from */
	char *group;              /* named on the command line as @group, or NULL */
};
RECORD(server);

/* One value found on a host: native parameter of the mail system, where it comes from. */
struct found_value {
	char *name;               /* our setting's name */
	char *value;              /* in our words, or NULL when the native value has none */
	char *native;             /* "smtpd_tls_security_level = may" (one per line when several) */
	char *source;             /* "default", "main.cf", "master.cf" */
};
RECORD(found_value);

/* One SMTP identity of a server. */
struct vserver {
	int64_t id, rev, server;
	char *name;               /* "smtp", "submission", "127.0.0.1:10025" */
	char *title;              /* "smtp inet", as master.cf has it */
	char *listen;             /* "0.0.0.0:25 [::]:25": addresses and ports, blank between */
	int port;
	bool is_default;          /* main.cf itself */
	bool implicit_tls;        /* wrapper mode: TLS from the first byte */
	bool present;             /* in the last reading */
	struct found_value_list found;
	/* certificate in use by configuration, as read from the host (its chain, never its key) */
	char *cert_file;          /* path in the configuration */
	char *cert_pem;           /* what is in it (certificates only) */
	char *cert_trouble;       /* "key does not fit", ... or NULL */
	char *second_pem;         /* where the configuration names two: what is in the second, which has the other kind of key */
	char *second_served;      /* SHA-256 of the leaf that a peer gets who takes only that kind of key */
	/* certificate served, seen from the host itself */
	char *served_pem;         /* leaf first */
	char *served_sha256;      /* of the leaf */
	char *served_trouble;     /* "STARTTLS not offered", ... or NULL */
	int64_t served_at;
	/* wanted */
	int64_t certificate;      /* assigned certificate, 0 none of ours */
	bool certificate_set;     /* the store has an opinion (0 then means: unbound) */
	int64_t second;           /* beside certificate: one with the other kind of key (RSA beside EC), 0 none */
	char *ours;               /* "added": its listener is made by a push; "removed": taken away by one; NULL: the host's own */
	char *listen_wanted;      /* "192.0.2.5:2525", "0.0.0.0:587"; NULL: as it is on the host; "" : it only sends */
	char *kind;               /* of an added one: "smtp", "submission", "submissions" (implicit TLS), "outbound" (only sends) */
	char *run;                /* found: "started", "paused" (greets with 421), "stopped" (does not listen) */
	char *run_wanted;         /* the same; NULL: as it is */
	char *log_service;        /* found: what the mail log calls what takes its mail in, "postfix/submission/smtpd"; NULL: not known */
};
RECORD(vserver);

/* What the wizard asks for a subject. All UTF-8; empty = absent. */
struct subject {
	char *cn, *o, *ou, *c, *st, *l;
	char *san;                /* DNS names or IP addresses, blank between; the common name is added by itself */
};
void subject_release(struct subject *s);
void subject_copy(struct subject *to, const struct subject *from);

enum key_kind { KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_RSA_3072, KEY_RSA_4096 };
const char *key_kind_name(enum key_kind k);                  /* "ec-p256" */
int key_kind_parse(enum key_kind *out, const char *name, struct err *e);

int key_kind_of(const char *type, int bits, enum key_kind *out);   /* of a certificate's key; -1: none of them */

/* A key and its PKCS#10, waiting for the certificate. */
struct request {
	int64_t id, rev, vserver;
	char *name;               /* friendly */
	struct subject subject;
	enum key_kind kind;
	int64_t key_server;       /* the key lives on this server */
	char *key_path;
	char *spki_sha256;        /* of the public key, lower-case hex */
	char *pem;                /* the PKCS#10 */
	char *sha256;             /* of its DER */
	char *out_file;           /* where it was written, or NULL */
	int64_t authority;        /* asked at this authority, 0: by hand */
	char *state;              /* "pending", "answered", "dropped" */
	int64_t created_at;
	int64_t certificate;      /* the answer */
	bool second;              /* the answer is to be the virtual server's second certificate */
};
RECORD(request);

/* A certificate with its chain and where its key lives. */
struct certificate {
	int64_t id, rev;
	char *name;               /* friendly */
	char *subject, *issuer;   /* one line, RFC 4514-like, for people */
	char *cn;
	char *san;                /* blank between */
	int64_t not_before, not_after;
	char *serial;             /* hex */
	char *sha256, *spki_sha256;
	char *key_type;           /* "EC", "RSA" */
	int key_bits;
	int64_t key_server;       /* 0: no key known, or it lives here */
	char *key_path;
	char *sealed_key;         /* not NULL: the key lives here, sealed (seal.c); pushes carry it to key_path on the hosts */
	char *pem;                /* leaf, then chain; no root needed */
	int64_t authority;        /* issued by this one of ours */
	int64_t request;
	int64_t created_at;
};
RECORD(certificate);

/* Who signs. */
struct authority {
	int64_t id, rev;
	char *name;
	char *kind;               /* "own", "acme" */
	char *subject;
	char *pem;                /* its certificate */
	char *sealed_key;         /* text from seal.h */
	char *policy;             /* "always", "ask" */
	int days;                 /* life of what it issues */
	int64_t not_after;
	int64_t created_at;
	int64_t crl_number;       /* of the last revocation list that it made, 0 none */
	/* of an ACME one; sealed_key is then that of the account */
	char *directory;          /* its URL */
	char *anchors;            /* PEM: who vouches for its https, NULL: the system's */
	char *challenge;          /* "http-webroot:DIR", "http-standalone", "dns-hook:PROGRAM" */
	char *contact;            /* mail address, or NULL */
	char *account;            /* URL of the account there */
	char *terms;              /* URL of the terms of service that were agreed to, or NULL */
};
RECORD(authority);

/* An order at an ACME authority (RFC 8555 section 7.1.3), as it stood before the step that was begun last. */
struct acme_order {
	int64_t id, rev, authority, request;
	char *url;                /* of the order, NULL: none is known to be there */
	char *state;              /* the step that was begun last: a word of acme_steps; "done" */
	char *token;              /* of proofs that may still lie in the web root of the host, blank between, or NULL */
	char *trouble;            /* why it failed, or NULL */
	int64_t created_at, changed_at;
	/* when the authority would like to see the certificate renewed (ARI, RFC 9773); 0: it never said */
	int64_t renew_from, renew_until, ask_again;
};
RECORD(acme_order);

/* What an authority issued. */
struct issued {
	int64_t id, authority;
	char *serial;             /* hex */
	char *subject;
	int64_t not_after, at;
	char *sha256;
	char *pem;
	int64_t revoked_at;       /* 0: it holds */
	char *reason;             /* why it was revoked: a word of revocation_reasons (authority.h) */
};
RECORD(issued);

/* A request that an authority was asked to sign, from the wizard or from a file. */
struct submission {
	int64_t id, rev, authority;
	int64_t request;          /* the wizard's own, 0: it came as a file */
	int64_t at;
	char *who;                /* who submitted it */
	char *subject, *san, *spki_sha256;
	char *pem;                /* the PKCS#10 */
	char *state;              /* "pending", "issued", "denied" */
	char *why;                /* of a denied one */
	int64_t decided_at;
	int64_t issued;           /* what came of it */
};
RECORD(submission);

/* Address spaces, a route, the virtual servers that send for it, outbound security. */
struct connector {
	int64_t id, rev;
	char *name;
	char *domains;            /* "bank.test,1 *.bank.test,5": with costs, blank between */
	char *route;              /* "dns", "smart-host" */
	char *smart_hosts;        /* in the order they are tried, blank between: "[relay.test]:587 backup.test"; NULL with "dns" */
	char *auth_user;          /* who logs in to them; NULL: nobody */
	char *auth_sealed;        /* the password, text from seal.h */
	char *senders;            /* only mail from these: "@sales.test anna@bank.test"; NULL: everybody */
	char *delivery;           /* NULL or "always"; "etrn": kept until the other side asks for it */
	char *via;                /* virtual servers "mx1/smtp mx2/smtp", blank between */
	char *tls;                /* outbound level */
	char *match;              /* names for verify and secure, or "sha256:HEX" fingerprints, blank between; or NULL */
	char *reason, *review;    /* why; date or NULL */
	int64_t created_at;
};
RECORD(connector);

/* A wanted setting. */
struct wanted {
	char *name, *value;
	char *scope;              /* "site", "server", "vs" : where it is set */
};
RECORD(wanted);

/* A rule of the administrator's own that says where mail goes and how, as the last reading saw it. */
struct found_rule {
	char *kind;               /* "transport", "policy", "relay", "sender-relay", "sender-transport", "sni" */
	char *source;             /* "hash:/etc/postfix/transport", "main.cf relayhost" */
	char *key, *value;        /* "bank.test", "smtp:[gw.bank.test]"; key "" of a rule for everything */
	char *trouble;            /* why no mail can reach it, and what mends it; or NULL */
};
RECORD(found_rule);

/* Who took mail from a server ("out": the next hop's domain) or brought mail to it ("in": the client), from its log. */
struct traffic {
	char *direction, *peer;
	char *service;            /* of a client: what took its mail in, as the log calls it (vserver, log_service); one row for each; else NULL */
	int64_t messages;         /* deliveries */
	int64_t clear;            /* of these without TLS */
	int64_t waiting;          /* messages beside them that were tried and not delivered yet, or returned */
	char *oldest, *newest;    /* TLS versions seen: "TLSv1.2", or NULL */
	int64_t last_at;
	int64_t unnamed, failed;  /* of a client, not stored: messages with TLS of a version that is not logged; handshakes that failed */
};
RECORD(traffic);

/* A work-around: mail for a domain leaves without TLS, by a connector of its own, until the other side can do it again. */
struct workaround {
	int64_t id, rev;
	char *domain;
	char *servers;            /* "mx1 mx2": who sends for it */
	char *connector;          /* name of the connector that does it */
	char *level;              /* that held before, and holds again afterwards; NULL unknown */
	char *target; int port;   /* next hop that is looked at; port 0: the usual one */
	char *reason, *evidence;  /* why, as a person put it; what was seen then */
	char *owner;              /* user@machine */
	int64_t since, review_at; /* review_at 0: none */
	char *state;              /* "open", "trial", "proving", "ended": retire.h */
	int64_t changed_at;
	int falls;                /* how often the other side fell back */
	int64_t used_at, log_at;  /* last mail seen for it, when the log was read for that */
	char *proof;              /* since the last change: mail that left with TLS, as its host's log says it */
	char *in_clear;           /* ... and mail that left without; NULL: none */
};
RECORD(workaround);

/* The looks of one sender at a work-around's destination. */
struct workaround_look {
	int64_t server;
	int64_t last_at, good_since;
	int good;                 /* in a row */
	bool bad;                 /* the last one saw that TLS is in the way */
	int64_t stuck;            /* messages that waited because of TLS then */
	int64_t mark_at;          /* the host's clock at the last change: what its log says of later counts; 0: not known */
	char *text;               /* what the last one saw */
};
RECORD(workaround_look);

/* One edit of what is wanted, to be undone as a whole. */
struct wanted_edit {
	int64_t id, at;
	char *who, *text;         /* "mx1/smtp: outbound.tls = encrypt" */
	bool undone;
};
RECORD(wanted_edit);

/* One row of the append-only activity table. */
struct activity {
	int64_t id, at;
	char *who;                /* "anna@adm1" */
	char *server;             /* or NULL */
	char *verb;               /* "push", "certificate-request" ... */
	char *text;               /* a sentence */
	char *result;             /* "ok", "undone", err_name() */
	char *hash;               /* sha256 over the row and the hash before it */
};
RECORD(activity);

/* A push as recorded. */
struct push_record {
	int64_t id, server, started_at, ended_at;
	int64_t generation;
	char *result;             /* "applying", "waiting", "kept", "undone", "unchanged", "refused", "unknown" */
	char *plan_text;          /* the diff as it was shown (no secrets in it) */
	char *steps;              /* one line each */
};
RECORD(push_record);

/* What waited in five minutes or an hour: the last number, the highest, arrival of the oldest. */
enum { QUEUE_CELL = 300, QUEUE_HOUR = 3600 };
struct queue_cell { int64_t at; int64_t messages; int64_t high; int64_t oldest; };
struct queue_cell_list { struct queue_cell *v; size_t n; };

#endif
