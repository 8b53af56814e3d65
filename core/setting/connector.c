/* What the fields of a connector may say, alone and together. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/connector.h"
#include "mxseal/setting.h"
#include "mxseal/xalloc.h"

/* --- address spaces --- */

void
address_space_release(struct address_space *s)
{
	free(s->domain);
	*s = (struct address_space){ 0 };
}

static bool
is_domain(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(name)
	    && strspn(name, "0123456789.") != strlen(name);
}

int
address_space_parse(const char *word, struct address_space *out, struct err *e)
{
	const char *comma = strchr(word, ',');
	char *space = comma ? xstrndup(word, (size_t)(comma - word)) : xstrdup(word), *end = NULL;
	struct str name = STR_INIT;
	int rc = 0;

	*out = (struct address_space){ .cost = 1, .all = strcmp(space, "*") == 0, .below = text_starts(space, "*.") };
	if (comma) {
		out->cost = strtol(comma + 1, &end, 10);
		if (end == comma + 1 || *end || comma[1] == ' ' || out->cost < 0 || out->cost > 100)
			rc = err_set(e, RC_INVALID, "%s: the cost is a number from 0 to 100", clean(space));
	}
	if (rc == 0 && !out->all)
		rc = name_to_ascii(space, &name, e);
	if (rc == 0 && !out->all && !is_domain(name.s + (out->below ? 2 : 0)))
		rc = err_set(e, RC_INVALID, "\"%s\" is not a domain", clean(space));
	if (rc == 0)
		out->domain = xstrdup(out->all ? "" : name.s + (out->below ? 2 : 0));
	str_release(&name);
	free(space);
	return rc;
}

bool
address_space_has(const struct address_space *s, const char *domain)
{
	struct str ascii = STR_INIT;
	size_t n, below;
	bool yes;

	if (s->all)
		return true;
	for (n = 0; domain[n] != '\0' && (unsigned char)domain[n] < 128; n++)
		;
	if (domain[n] != '\0' && name_to_ascii(domain, &ascii, NULL) == 0)
		domain = ascii.s;
	n = strlen(domain);
	below = strlen(s->domain);
	if (s->below)
		yes = n > below + 1 && domain[n - below - 1] == '.' && text_ieq(domain + n - below, s->domain);
	else
		yes = text_ieq(domain, s->domain);
	str_release(&ascii);
	return yes;
}

/* --- next hops --- */

void
next_hop_release(struct next_hop *h)
{
	free(h->text);
	free(h->host);
	*h = (struct next_hop){ 0 };
}

static bool
is_address(const char *host, bool *v6)
{
	unsigned char mem[16];

	*v6 = inet_pton(AF_INET6, host, mem) == 1;
	return *v6 || inet_pton(AF_INET, host, mem) == 1;
}

/* ":587" to its number; 0: nothing stands there, -1: it is none. */
static int
port_of(const char *text)
{
	char *end;
	long n;

	if (*text == '\0')
		return 0;
	if (*text != ':' || text[1] < '0' || text[1] > '9')
		return -1;
	n = strtol(text + 1, &end, 10);
	return *end == '\0' && n > 0 && n < 65536 ? (int)n : -1;
}

static int
host_of(const char *typed, size_t len, struct next_hop *out, bool *address, struct err *e)
{
	char *host = xstrndup(typed, len);
	const char *bare = strncasecmp(host, "ipv6:", 5) == 0 ? host + 5 : host;
	struct str name = STR_INIT;
	bool v6;
	int rc = 0;

	*address = is_address(bare, &v6);
	if (*address) {
		out->host = xstrdup(bare);
		out->text = xasprintf("[%s%s]", v6 ? "ipv6:" : "", bare);
	} else if (strchr(host, ':') || strchr(host, '*'))
		rc = err_set(e, RC_INVALID, "\"%s\" is not a host name", clean(host));
	else
		rc = name_to_ascii(host, &name, e);
	if (rc == 0 && !*address && !is_domain(name.s))
		rc = err_set(e, RC_INVALID, "\"%s\" is not a host name", clean(host));
	if (rc == 0 && !*address)
		out->host = xstrdup(name.s);
	str_release(&name);
	free(host);
	return rc;
}

int
next_hop_parse(const char *word, struct next_hop *out, struct err *e)
{
	bool brackets = *word == '[', address, v6;
	const char *host = word + brackets, *end = brackets ? strchr(word, ']') : strchr(word, ':'), *rest;
	char *text;

	*out = (struct next_hop){ .mx = !brackets };
	if (brackets && end == NULL)
		return err_set(e, RC_INVALID, "%s: the closing bracket is missing", clean(word));
	if (!brackets && is_address(word, &v6) && v6) {
		err_set(e, RC_INVALID, "%s: an IPv6 address stands in brackets, so that a port can be told from it", clean(word));
		return err_hint(e, "write [%s] or [%s]:25", clean(word), clean(word));
	}
	if (end == NULL)
		end = word + strlen(word);
	rest = end + brackets;
	out->port = port_of(rest);
	if (out->port < 0)
		return err_set(e, RC_INVALID, "%s: behind the host only \":\" and a port number from 1 to 65535 may stand", clean(word));
	if (host_of(host, (size_t)(end - host), out, &address, e) != 0)
		return -1;
	if (address)
		out->mx = false;
	else
		out->text = out->mx ? xstrdup(out->host) : xasprintf("[%s]", out->host);
	if (out->port > 0) {
		text = xasprintf("%s:%d", out->text, out->port);
		free(out->text);
		out->text = text;
	}
	return 0;
}

/* --- matching and senders --- */

bool
fingerprint_parse(const char *word, char hex[65])
{
	size_t n = 0;

	hex[0] = '\0';
	if (strncasecmp(word, "sha256:", 7) != 0)
		return false;
	for (word += 7; *word; word++) {
		const char *digit = strchr("0123456789abcdef", *word >= 'A' && *word <= 'F' ? *word + ('a' - 'A') : *word);

		if (*word == ':' && n > 0 && n % 2 == 0 && word[1] != ':' && word[1])
			continue;
		if (digit == NULL || n == 64) {
			hex[0] = '\0';
			return true;
		}
		hex[n++] = *digit;
	}
	hex[n == 64 ? 64 : 0] = '\0';
	return true;
}

bool
match_is_fingerprints(const char *match)
{
	char hex[65];

	return match && fingerprint_parse(match + strspn(match, " "), hex);
}

int
match_name(const char *word, struct str *out)
{
	static const char *const rules[] = { "nexthop", "dot-nexthop", "hostname" };
	struct str name = STR_INIT;
	size_t i;
	int rc;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (strcmp(word, rules[i]) == 0) {
			str_add(out, word);
			return 0;
		}
	rc = name_to_ascii(word + (*word == '.'), &name, NULL);
	if (rc == 0 && !is_domain(name.s))
		rc = -1;
	if (rc == 0)
		str_addf(out, "%s%s", *word == '.' ? "." : "", name.s);
	str_release(&name);
	return rc;
}

static int
match_check(const struct connector *c, struct err *e)
{
	char **w = words_split(c->match ? c->match : "", " ", NULL), hex[65];
	size_t fingerprints = 0, n;
	struct str name = STR_INIT;
	int rc = 0;

	for (n = 0; w[n] && rc == 0; n++) {
		if (fingerprint_parse(w[n], hex)) {
			fingerprints++;
			if (hex[0] == '\0') {
				err_set(e, RC_INVALID, "%s is not sha256: and 64 hexadecimal digits", clean(w[n]));
				rc = err_hint(e, "`mxseal probe HOST --json` shows what a server has now");
			}
			continue;
		}
		str_reset(&name);
		if (match_name(w[n], &name) == 0)
			continue;
		rc = name_to_ascii(w[n] + (*w[n] == '.'), &name, e) != 0 ? err_wrap(e, "names to match")
		    : err_set(e, RC_INVALID, "names to match: \"%s\" matches nothing: write a host name, or a domain with a dot in front for "
		      "all below it", clean(w[n]));
	}
	if (rc == 0 && n > 0 && !text_eq(c->tls, "verify") && !text_eq(c->tls, "secure"))
		rc = err_set(e, RC_INVALID, "names and fingerprints are matched at verify and secure only, not at %s", clean(c->tls));
	if (rc == 0 && fingerprints > 0 && fingerprints < n)
		rc = err_set(e, RC_INVALID, "names and fingerprints cannot be matched at once: a fingerprint stands for the whole "
		    "certificate");
	str_release(&name);
	words_free(w);
	return rc;
}

int
sender_parse(const char *word, struct err *e)
{
	const char *at = strrchr(word, '@');
	struct str name = STR_INIT;
	int rc;

	if (at == NULL)
		return err_set(e, RC_INVALID, "%s: a sender is an address, or @ and a domain for all of it", clean(word));
	if ((size_t)(at - word) > 64
	    || strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#%&'*+-/=?_`{|}~") != (size_t)(at - word))
		return err_set(e, RC_INVALID, "\"%s\" is not the address of a sender", clean(word));
	rc = strchr(at + 1, '*') ? err_set(e, RC_INVALID, "%s: write @ and the domain", clean(word))
	    : name_to_ascii(at + 1, &name, e);
	if (rc == 0 && !is_domain(name.s))
		rc = err_set(e, RC_INVALID, "%s: behind the @ stands a domain, not an address", clean(word));
	str_release(&name);
	return rc;
}

/* --- authentication --- */

int
auth_user_check(const char *user, struct err *e)
{
	size_t len = strlen(user);

	if (len > 255 || !clean_is(user, len) || strchr(user, ':') || (len > 0 && (user[0] == ' ' || user[len - 1] == ' ')))
		return err_set(e, RC_INVALID, "\"%s\" is no user name: no colon, no blank at its ends, at most 255 bytes", clean(user));
	return 0;
}

int
auth_password_check(const char *mem, size_t len, struct err *e)
{
	size_t i;

	for (i = 0; i < len && (unsigned char)mem[i] >= ' ' && mem[i] != 0x7f; i++)
		;
	if (len == 0 || len > 500 || i < len || mem[0] == ' ' || mem[len - 1] == ' ')
		return err_set(e, RC_INVALID, "the password is empty, longer than 500 bytes, or has control characters or blanks at its "
		    "ends, which a password file cannot hold");
	return 0;
}

static int
auth_check(const struct connector *c, struct err *e)
{
	static const char *const clear[] = { "none", "may", "dane" };
	size_t i;

	if (text_empty(c->auth_user))
		return 0;
	if (auth_user_check(c->auth_user, e) != 0)
		return -1;
	if (!connector_by_smart_host(c))
		return err_set(e, RC_INVALID, "there is nobody to log in to: a user belongs to smart hosts, not to a route by DNS");
	for (i = 0; i < sizeof(clear) / sizeof(clear[0]); i++)
		if (text_empty(c->tls) || strcmp(c->tls, clear[i]) == 0) {
			err_set(e, RC_INVALID, "at the level \"%s\" the password of %s could travel without TLS", clean(c->tls),
			    clean(c->auth_user));
			return err_hint(e, "take encrypt, or verify or secure so that nobody else can ask for it");
		}
	return 0;
}

/* --- all of it --- */

bool
connector_is_all(const struct connector *c)
{
	char **w = words_split(c->domains ? c->domains : "", " ", NULL);
	bool all = false;
	size_t i;

	for (i = 0; w[i]; i++)
		all = all || strcmp(w[i], "*") == 0 || text_starts(w[i], "*,");
	words_free(w);
	return all;
}

bool
connector_by_smart_host(const struct connector *c)
{
	return text_eq(c->route, "smart-host");
}

bool
connector_on_demand(const struct connector *c)
{
	return text_eq(c->delivery, "etrn");
}

static int
domains_check(const struct connector *c, struct err *e)
{
	char **w = words_split(c->domains ? c->domains : "", " ", NULL);
	bool all = connector_is_all(c);
	struct address_space s;
	size_t i;
	int rc = w[0] ? 0 : err_set(e, RC_INVALID, "a connector needs at least one domain");

	for (i = 0; w[i] && rc == 0; i++) {
		rc = address_space_parse(w[i], &s, e);
		address_space_release(&s);
	}
	if (rc == 0 && all && !connector_by_smart_host(c)) {
		err_set(e, RC_INVALID, "the address space * by DNS is what a virtual server does by itself");
		rc = err_hint(e, "its outbound security stands on its Delivery tab (vs set VS outbound.tls=LEVEL); * is for smart hosts");
	}
	words_free(w);
	return rc;
}

static int
route_check(const struct connector *c, struct err *e)
{
	char **w = words_split(c->smart_hosts ? c->smart_hosts : "", " ", NULL);
	struct next_hop h;
	size_t i;
	int rc = 0;

	for (i = 0; w[i] && rc == 0; i++) {
		rc = next_hop_parse(w[i], &h, e);
		next_hop_release(&h);
	}
	if (rc == 0 && connector_by_smart_host(c) && i == 0)
		rc = err_set(e, RC_INVALID, "a route by smart hosts needs at least one");
	else if (rc == 0 && !connector_by_smart_host(c) && i > 0)
		rc = err_set(e, RC_INVALID, "smart hosts are given, but the route is by DNS");
	else if (rc == 0 && i > SMART_HOSTS_MAX)
		rc = err_set(e, RC_INVALID, "more than %d smart hosts", SMART_HOSTS_MAX);
	words_free(w);
	return rc;
}

static int
senders_check(const struct connector *c, struct err *e)
{
	char **w = words_split(c->senders ? c->senders : "", " ", NULL), **spaces;
	size_t i, n = 0;
	int rc = 0;

	for (i = 0; w[i] && rc == 0; i++)
		rc = sender_parse(w[i], e);
	spaces = words_split(c->domains ? c->domains : "", " ", &n);
	if (rc == 0 && i > 0 && (n != 1 || !connector_is_all(c))) {
		err_set(e, RC_INVALID, "a restriction to senders is kept only with the one address space *");
		rc = err_hint(e, "for a domain of its own the mail system looks at the recipient alone: other senders would use it too");
	}
	words_free(spaces);
	words_free(w);
	return rc;
}

static int
level_check(const struct connector *c, struct err *e)
{
	const struct choice *l;

	for (l = tls_level_choices; l->name && !text_empty(c->tls); l++)
		if (strcmp(l->name, c->tls) == 0)
			return 0;
	return text_empty(c->tls) ? 0
	    : err_set(e, RC_INVALID, "\"%s\" is not a level of outbound security", clean(c->tls));
}

static int
delivery_check(const struct connector *c, struct err *e)
{
	if (text_empty(c->delivery) || strcmp(c->delivery, "always") == 0)
		return 0;
	if (!connector_on_demand(c))
		return err_set(e, RC_INVALID, "\"%s\" is no way to deliver: always, etrn", clean(c->delivery));
	return connector_is_all(c)
	    ? err_set(e, RC_INVALID, "mail waits for ETRN by domain: not with the address space *") : 0;
}

static int
words_check(const struct connector *c, struct err *e)
{
	if (!text_empty(c->route) && strcmp(c->route, "dns") != 0 && strcmp(c->route, "smart-host") != 0)
		return err_set(e, RC_INVALID, "\"%s\" is not a route: dns, smart-host", clean(c->route));
	return 0;
}

int
connector_check(const struct connector *c, const char **field, struct err *e)
{
	static const struct { const char *field; int (*fn)(const struct connector *, struct err *); } rules[] = {
		{ "route", words_check }, { "smart-host", route_check }, { "domain", domains_check }, { "tls", level_check },
		{ "match", match_check }, { "auth-user", auth_check }, { "sender", senders_check }, { "delivery", delivery_check },
	};
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].fn(c, e) != 0) {
			if (field)
				*field = rules[i].field;
			return -1;
		}
	if (field)
		*field = NULL;
	return 0;
}
