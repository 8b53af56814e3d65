/* The way mail for an address takes out of a mail system, as its configuration and its tables say now: rewriting, transport,
 * next hop, the policy row that decides about TLS; and the rows that no mail can reach. Texts are owned by their record;
 * NULL: there is none. Foreign text in them is not cleaned. */
#ifndef MXSEAL_WAY_H
#define MXSEAL_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/model.h"

/* What is asked: the way of mail for address from sender ("": the null sender of bounces; NULL: nobody in particular). look:
 * the host may be asked to look at the other side itself, where nothing else can tell (DANE). level: as if that were the level
 * where no rule says otherwise; NULL: as it is. */
struct way_ask { const char *address, *sender; bool look; const char *level; };

/* One step of the chain: a sentence, and what was looked up where, when it was a table that said so. */
struct way_step { char *text, *map, *key, *row; };
RECORD(way_step);

/* What becomes of mail at the end of its way. */
enum way_fate {
	FATE_UNKNOWN,                 /* nobody looked, or a look does not tell */
	FATE_TLS, FATE_CLEAR,         /* handed over, with or without TLS */
	FATE_LOCAL,                   /* stays on the host, or is given to a program there */
	FATE_WAITS, FATE_BOUNCES, FATE_DISCARDED
};
const char *way_fate_name(enum way_fate f);      /* "tls", "clear", "local", "waits", "bounces", "discarded", "unknown" */

/* One next hop that is tried, in the order of trying. */
struct way_hop {
	char *dest;                   /* as the policy is asked for it: "[gw.bank.test]:587" */
	char *host; int port;         /* where that is; port 0: the usual one */
	bool mx;                      /* the mail servers of the domain, not the host itself */
	bool wrapper;                 /* TLS from the first byte */
	bool fallback;                /* only when nothing before it could be reached */
	char *policy_map, *policy_key, *policy_row;      /* the row that decided, NULL: none */
	char *level, *level_by;       /* in force, and what says so: a map, or a parameter */
	char *match;                  /* names and fingerprints it takes, as Postfix spells them, blank between */
	char *protocols;              /* as Postfix spells them */
	char *families;               /* of addresses that are used: "all", "ipv4", "ipv6" */
	bool trusts;                  /* it knows authorities to check certificates with ... */
	char *roots;                  /* ... these (PEM) */
	char *damage;                 /* what of them it cannot read, a sentence a line; NULL: nothing */
	char *dane, *dane_host;       /* what the host's look at the other side saw: "verified", "failed", "no-tls", "lookup" (TLSA
	                               * records cannot be), "none" (of them), "unreachable"; and where; NULL: it did not look */
	char *trouble;                /* our own configuration keeps mail from it, whatever the other side does ... */
	bool tls_off;                 /* ... as its authorities cannot be loaded */
	enum way_fate fate; char *forecast;              /* filled by a look at it */
};
RECORD(way_hop);

/* Where one recipient's mail ends up. */
struct way_end {
	char *address;                /* after rewriting */
	char *address_class;          /* "local", "virtual-alias", "virtual-mailbox", "relay", "default" */
	char *transport, *next_hop;   /* of the queue manager */
	char *by;                     /* what decided them: a table or a parameter, a sentence's half */
	char *route_map, *route_key, *route_row;         /* the transport row that did, NULL: none */
	struct way_step_list steps;
	struct way_hop_list hops;     /* empty: it does not leave by SMTP or LMTP */
	enum way_fate fate; char *forecast;
};
RECORD(way_end);

struct mail_way {
	char *address, *sender;
	struct way_step_list steps;   /* rewriting, before the ways of several recipients part */
	struct way_end_list ends;
	char *connector;              /* of ours, whose row decided */
};
RECORD(mail_way);

/* A rule of the administrator or of ours that no mail can reach, and what mends it. rule.trouble says why. */
struct dead_rule {
	struct found_rule rule;
	long line;                    /* in the source, 0 unknown */
	char *repair;                 /* sentence */
	/* the connector that says the same where it bites; domains NULL: none would */
	char *domains, *smart_host, *tls, *match;
};
RECORD(dead_rule);

#endif
