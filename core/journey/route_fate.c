/* What becomes of mail, from the level in force and what a look at the next hop saw: as smtp(8) decides. A server that
 * cannot be talked to is passed over; the first that takes mail takes it; else it waits, by the first reason found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/failure.h"
#include "mxseal/xalloc.h"
#include "private.h"

static void
settle(struct way_hop *hop, enum way_fate fate, char *forecast)
{
	hop->fate = fate;
	free(hop->forecast);
	hop->forecast = forecast;
}

/* Does Postfix's list of protocols leave this one? ">=TLSv1.2", "!TLSv1", "TLSv1.3". */
static bool
protocol_allowed(const char *list, const char *protocol)
{
	static const char *const order[] = { "SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
	char **words = words_split(list ? list : "", ", :\t", NULL);
	bool allowed = true, named = false, found = false;
	int at = -1, bound, i, k;

	for (i = 0; i < 6; i++)
		if (strcasecmp(order[i], protocol) == 0)
			at = i;
	for (k = 0; words[k] && at >= 0; k++) {
		const char *w = words[k], *name = w + strspn(w, "<>=!");

		for (bound = 0; bound < 6 && strcasecmp(order[bound], name) != 0; bound++)
			;
		if (text_starts(w, ">="))
			allowed = allowed && (bound == 6 || at >= bound);
		else if (text_starts(w, "<="))
			allowed = allowed && (bound == 6 || at <= bound);
		else if (*w == '!')
			allowed = allowed && at != bound;
		else {
			named = true;
			found = found || at == bound;
		}
	}
	words_free(words);
	return allowed && (!named || found);
}

/* Do the names of the certificate satisfy one word of a "match" list? */
static bool
name_satisfies(const char *word, const char *name, const struct way_hop *hop, const struct probe_host *p)
{
	size_t n, len = strlen(name);

	if (strcasecmp(word, "hostname") == 0)
		return name_covers(name, p->host);
	if (strcasecmp(word, "nexthop") == 0)
		return name_covers(name, hop->host);
	if (strcasecmp(word, "dot-nexthop") == 0) {
		n = strlen(hop->host);
		return len > n + 1 && name[len - n - 1] == '.' && strcasecmp(name + len - n, hop->host) == 0;
	}
	n = strlen(word);
	if (*word == '.')
		return len > n && strcasecmp(name + len - n, word) == 0;
	return name_covers(name, word);
}

static bool
names_match(const struct way_hop *hop, const struct probe_host *p)
{
	struct certificate c = { .id = 0 };
	char **words = words_split(hop->match ? hop->match : "", " ", NULL), **names;
	struct err ignored;
	bool match = false;
	size_t i, k;

	if (p->chain_pem != NULL && cert_describe(p->chain_pem, &c, &ignored) == 0) {
		names = words_split(!text_empty(c.san) ? c.san : c.cn ? c.cn : "", " ", NULL);
		for (i = 0; words[i] && !match; i++)
			for (k = 0; names[k] && !match; k++)
				match = name_satisfies(words[i], names[k], hop, p);
		words_free(names);
	}
	certificate_release(&c);
	words_free(words);
	return match;
}

/* "AB:CD:..." against the SHA-256 of the certificate and of its key; of other digests it is not known. */
static enum way_fate
fingerprint_fate(const struct way_hop *hop, const struct probe_host *p)
{
	char **words = words_split(hop->match ? hop->match : "", " ", NULL);
	struct certificate c = { .id = 0 };
	enum way_fate fate = FATE_WAITS;
	struct err ignored;
	size_t i;

	if (p->chain_pem != NULL)
		(void)cert_describe(p->chain_pem, &c, &ignored);
	for (i = 0; words[i]; i++) {
		char hex[129];
		size_t n = 0;
		const char *at;

		for (at = words[i]; *at && n < sizeof(hex) - 1; at++)
			if (*at != ':')
				hex[n++] = *at;
		hex[n] = '\0';
		if (n == 64 && (strcasecmp(hex, p->sha256) == 0 || (c.spki_sha256 && strcasecmp(hex, c.spki_sha256) == 0)))
			fate = FATE_TLS;
		else if (fate == FATE_WAITS && (n == 32 || n == 40 || n == 96 || n == 128))
			fate = FATE_UNKNOWN;
	}
	certificate_release(&c);
	words_free(words);
	return fate;
}

static bool
certificate_counts(const char *level)
{
	return strcasecmp(level, "verify") == 0 || strcasecmp(level, "secure") == 0;
}

/* The session is encrypted: is the certificate good enough for the level? */
static void
judge_certificate(struct way_hop *hop, const struct probe_host *p)
{
	enum way_fate fate;

	if (certificate_counts(hop->level)) {
		if (strcasecmp(p->protocol, "TLSv1") == 0 || strcasecmp(p->protocol, "TLSv1.1") == 0)
			settle(hop, FATE_WAITS, xasprintf("waits: %s proves itself with SHA-1 only, as %s has it, and OpenSSL 3 takes no such proof",
			    p->host, p->protocol));
		else if (!hop->trusts)
			settle(hop, FATE_WAITS, xstrdup("waits: the client knows no authority, so no certificate can be verified"));
		else if (!p->trusted)
			settle(hop, FATE_WAITS, xasprintf("waits: the certificate of %s is of no authority that is known", p->host));
		else if (!p->in_time)
			settle(hop, FATE_WAITS, xasprintf("waits: the certificate of %s is not valid now", p->host));
		else if (!names_match(hop, p))
			settle(hop, FATE_WAITS, xasprintf("waits: the certificate of %s is for none of the names that count (%s)", p->host,
			    hop->match ? hop->match : "none"));
		else
			settle(hop, FATE_TLS, xasprintf("is delivered to %s with %s, the certificate verified", p->host, p->protocol));
		return;
	}
	if (strcasecmp(hop->level, "fingerprint") == 0) {
		fate = fingerprint_fate(hop, p);
		settle(hop, fate, fate == FATE_TLS ? xasprintf("is delivered to %s with %s, the fingerprint matches", p->host, p->protocol)
		    : fate == FATE_WAITS ? xasprintf("waits: the certificate of %s has another fingerprint", p->host)
		    : xstrdup("depends on a fingerprint that is no SHA-256, or on the key's"));
		return;
	}
	if (text_starts(hop->level, "dane")) {
		settle(hop, FATE_UNKNOWN, xstrdup("depends on the TLSA records of the other side, which were not looked at"));
		return;
	}
	settle(hop, FATE_TLS, xasprintf("is delivered to %s with %s", p->host, p->protocol));
}

/* What the other side said to STARTTLS was a 5xx: then mail is returned at once. */
static bool
refused_for_good(const struct probe_host *p)
{
	const char *code = p->trouble ? strstr(p->trouble, ": 5") : NULL;

	return code && strspn(code + 2, "0123456789") == 3;
}

/* One server. False: it cannot be talked to, the next is tried. */
static bool
judge_host(struct way_hop *hop, const struct probe_host *p)
{
	bool none = strcasecmp(hop->level, "none") == 0, may = strcasecmp(hop->level, "may") == 0;
	bool refused = text_eq(p->class_name, "starttls-refused"), talks = p->n_ehlo > 0 || p->tls || p->starttls;

	if (!talks) {
		if (hop->forecast == NULL)
			settle(hop, FATE_WAITS, xasprintf("waits: %s", p->trouble ? p->trouble : failure_find(p->class_name)->title));
		return false;
	}
	if (none || (may && !p->starttls && !hop->wrapper) || (may && refused)) {
		settle(hop, FATE_CLEAR, xasprintf("is delivered to %s in clear text%s", p->host, none ? ""
		    : refused ? ", because it refuses STARTTLS" : ", because it offers no TLS"));
		return true;
	}
	if (!p->starttls && !hop->wrapper && !text_starts(hop->level, "dane")) {
		settle(hop, FATE_WAITS, xasprintf("waits: TLS is required, but %s does not offer it", p->host));
		return false;
	}
	if (!p->tls || !protocol_allowed(hop->protocols, p->protocol)) {
		if (refused && refused_for_good(p))
			settle(hop, FATE_BOUNCES, xasprintf("is returned: %s refuses STARTTLS for good", p->host));
		else if (may)
			settle(hop, FATE_WAITS, xasprintf("waits at first: the handshake with %s fails; in clear text once it is older than "
			    "minimal_backoff_time", p->host));
		else
			settle(hop, FATE_WAITS, xasprintf("waits: %s", p->trouble ? p->trouble
			    : "the other side speaks no TLS version that is allowed"));
		return hop->fate == FATE_BOUNCES;
	}
	judge_certificate(hop, p);
	return hop->fate != FATE_WAITS;
}

/* The first of several mail servers does not do what its records say: is there one behind it that does, or has none? */
static bool
another_by_dane(struct way_hop *hop, const struct probe_report *seen)
{
	bool only = strcasecmp(hop->level, "dane-only") == 0;
	size_t i;

	for (i = 0; seen != NULL && i < seen->n; i++) {
		const struct probe_host *p = &seen->v[i];
		bool free = !only && (text_eq(p->dane, "none") || text_eq(p->dane, "insecure")), talks = p->n_ehlo > 0 || p->tls;

		if (p->tls && (free || text_eq(p->dane, "match")))
			settle(hop, FATE_TLS, xasprintf("is delivered to %s with TLS%s; what stands before it is passed over", p->host, free ? ""
			    : ", verified by its TLSA records"));
		else if (free && talks && !p->starttls)
			settle(hop, FATE_CLEAR, xasprintf("is delivered to %s in clear text, because it offers no TLS", p->host));
		else
			continue;
		return true;
	}
	return false;
}

/* The host itself has looked, with its own TLS code and resolver. */
static void
judge_dane(struct way_hop *hop, const struct probe_report *seen)
{
	static const struct { const char *seen, *says; } why[] = {
		{ "failed", "waits: the certificate is none that the other side's TLSA records allow" },
		{ "no-tls", "waits: the other side has TLSA records, but offers no TLS" },
		{ "lookup", "waits: the other side's TLSA records cannot be looked up" },
		{ "none", "waits: the other side has no TLSA records" },
		{ "unreachable", "waits: the other side cannot be reached" },
	};
	size_t i;

	if (strcmp(hop->dane, "verified") == 0)
		settle(hop, FATE_TLS, xasprintf("is delivered to %s with TLS, verified by its TLSA records",
		    hop->dane_host ? hop->dane_host : hop->host));
	if ((strcmp(hop->dane, "failed") == 0 || strcmp(hop->dane, "no-tls") == 0) && another_by_dane(hop, seen))
		return;
	for (i = 0; i < sizeof(why) / sizeof(why[0]); i++)
		if (strcmp(hop->dane, why[i].seen) == 0)
			settle(hop, FATE_WAITS, xstrdup(why[i].says));
}

void
hop_forecast(struct way_hop *hop, const struct probe_report *seen)
{
	size_t i;

	settle(hop, FATE_UNKNOWN, NULL);
	if (hop->trouble != NULL) {
		settle(hop, FATE_WAITS, xasprintf("waits: %s", hop->trouble));
		return;
	}
	if (hop->dane != NULL) {
		judge_dane(hop, seen);
		return;
	}
	if (seen == NULL || text_eq(seen->class_name, "blind")) {
		settle(hop, FATE_UNKNOWN, seen ? xasprintf("is not known: %s", seen->verdict) : NULL);
		return;
	}
	if (seen->n == 0)
		settle(hop, text_eq(seen->class_name, "nosuch") || strstr(seen->verdict, "null MX") ? FATE_BOUNCES : FATE_WAITS,
		    xasprintf("%s: %s", text_eq(seen->class_name, "nosuch") || strstr(seen->verdict, "null MX") ? "is returned" : "waits",
		    seen->verdict));
	for (i = 0; i < seen->n; i++)
		if (judge_host(hop, &seen->v[i]))
			break;
}

void
end_forecast(struct way_end *end)
{
	const struct way_hop *hop = NULL;
	size_t i;

	for (i = 0; i < end->hops.n; i++) {
		const struct way_hop *h = &end->hops.v[i];

		if (hop == NULL)
			hop = h;
		if (h->fate != FATE_WAITS) {
			hop = h;
			break;
		}
	}
	if (hop == NULL || end->forecast != NULL)
		return;
	end->fate = hop->fate;
	/* a relay that has no name is our own mistake: mail waits for it to be mended */
	if (hop->fate == FATE_BOUNCES && text_eq(end->by, "relayhost") && text_starts(hop->forecast, "is returned: "))
		end->fate = FATE_WAITS;
	end->forecast = xasprintf("%s%s", end->fate == hop->fate ? "" : "waits: ", hop->forecast ? end->fate == hop->fate
	    ? hop->forecast : hop->forecast + strlen("is returned: ") : "was not looked at");
}
