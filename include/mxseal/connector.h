/* The texts of a connector taken apart, and the rules between its fields that need neither store nor network. The dialog,
 * the command line, the store and the planner all ask here, so that they refuse the same things with the same words. */
#ifndef MXSEAL_CONNECTOR_H
#define MXSEAL_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/err.h"
#include "mxseal/model.h"
#include "mxseal/str.h"

#define SMART_HOSTS_MAX 20

/* An address space: "bank.test", "*.bank.test" (all below it), "*" (every domain), each with ",cost" from 0 to 100; 1 where none
 * is given, so that 0 (work-arounds) stands before all others. */
struct address_space {
	char *domain;             /* in A-labels, lower case, without "*."; "" of "*" */
	bool below, all;
	long cost;
};
/* RC_INVALID with the sentence; what out has can be released in any case. */
int  address_space_parse(const char *word, struct address_space *out, struct err *e);
void address_space_release(struct address_space *s);
/* Does a domain of a recipient lie in it? It may come as U-labels, which are compared as A-labels. */
bool address_space_has(const struct address_space *s, const char *domain);

/* A next hop as transport(5) of Postfix and our own texts have it: "relay.test" (its MX records are looked up), "[relay.test]"
 * (the host itself), each with ":port"; an address stands in brackets. */
struct next_hop {
	char *text;               /* as it is written to the mail system: this is the key of its TLS policy */
	char *host;               /* name or address alone */
	int port;                 /* 0: the usual one */
	bool mx;                  /* its MX records are looked up */
};
int  next_hop_parse(const char *word, struct next_hop *out, struct err *e);
void next_hop_release(struct next_hop *h);

/* "sha256:HEX", with or without colons between the bytes, of a certificate or of its public key. hex gets 64 lower-case
 * digits. false: it does not begin with "sha256:"; then hex is "". RC_INVALID of a broken one: hex is "" and true. */
bool fingerprint_parse(const char *word, char hex[65]);
/* Are the words of match fingerprints? None at all are not. */
bool match_is_fingerprints(const char *match);

/* A name to match, as a mail system wants it: a host, ".domain" for all below it, or one of nexthop, dot-nexthop, hostname;
 * in ASCII letters. Added to out. -1: it would match nothing ("*.x", an address, no name). */
int  match_name(const char *word, struct str *out);

/* "@sales.test" or "anna@bank.test": RC_INVALID with the sentence. */
int  sender_parse(const char *word, struct err *e);

bool connector_is_all(const struct connector *c);         /* one of its address spaces is "*" */
bool connector_by_smart_host(const struct connector *c);
bool connector_on_demand(const struct connector *c);      /* kept until the other side asks (ETRN) */
/* Everything about it. field (may be NULL) gets the name of the field of the dialog that is wrong. The words are checked too,
 * so that what comes from the store is no better trusted than what is typed. */
int  connector_check(const struct connector *c, const char **field, struct err *e);
/* The user name and the password for a smart host: what a password file of a mail system cannot hold is refused. */
int  auth_user_check(const char *user, struct err *e);
int  auth_password_check(const char *mem, size_t len, struct err *e);

#endif
