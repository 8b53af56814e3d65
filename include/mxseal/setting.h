/* Settings: each is one row of setting_table with its words, choices and help. Property dialogs, options of `vs set`, help
 * and the drivers' maps are made from these rows. Values are texts; each kind can check and normalise one. Values inherit
 * downward: site, server, virtual server. */
#ifndef MXSEAL_SETTING_H
#define MXSEAL_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/err.h"
#include <stdint.h>
#include "mxseal/str.h"

enum setting_kind {
	SETTING_CHOICE,           /* one of choices */
	SETTING_BOOL,             /* "yes", "no" */
	SETTING_NUMBER,           /* min..max, unit */
	SETTING_TIME,             /* "30s" "5m" "2h" "5d" */
	SETTING_HOST,             /* a host name, [address], optional :port */
	SETTING_NAME,             /* a host name */
	SETTING_SIZE,             /* bytes: "10M" "512K" "0" */
	SETTING_NETWORKS,         /* "192.0.2.0/24 2001:db8::/32", blank between, or "none" */
	SETTING_DOMAINS,          /* mail domains, blank between, or "none" */
	SETTING_MAIL              /* one mail address, or "none" */
};

struct choice {
	const char *name;         /* what is stored and typed: "require" */
	const char *label;        /* on the screen: "Require secure channel" */
	const char *help;
};

struct setting {
	const char *name;         /* "inbound.tls" */
	const char *tab;          /* "Access", "Delivery", "General" */
	const char *label;        /* "Secure channel" */
	const char *help;         /* what it does, for whom; may be several sentences */
	enum setting_kind kind;
	const struct choice *choices;   /* ended by a row without name */
	long min, max;
	const char *unit;
	const char *initial;      /* what the mail system does when nobody says anything, in our words */
	const char *affects;      /* who notices: "clients that connect to it" */
	bool warn_strict;         /* some values strand peers, ask first: those from the place strict_from of choices on ... */
	int strict_from;
	const char *lax;          /* ... but for this one */
};

extern const struct setting setting_table[];   /* ended by a row without name */

const struct setting *setting_find(const char *name);
/* Checks a value and writes its normal form. RC_INVALID with a sentence naming the setting and what it takes. */
int setting_check(const struct setting *s, const char *value, struct str *normal, struct err *e);
/* Would going from one value to the other (NULL or "": not known, unset) shut out peers that get through now? */
bool setting_stricter(const struct setting *s, const char *from, const char *to);
/* Seconds of the value of a time ("4h"); -1: it is none. */
int64_t setting_seconds(const char *value);
/* What it takes, for --help: "off, offer, require". */
void setting_takes(const struct setting *s, struct str *out);

extern const struct choice tls_level_choices[];   /* none may encrypt verify secure dane dane-only */

#endif
