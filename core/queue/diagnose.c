/* Why mail for a destination waits: the class of its delay reason, decided further by a look from the mail host and one from
 * here. The reason says what happened, the looks say what is so now; where they disagree the evidence says both, and the
 * confidence falls. Nothing can fail. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/probe.h"
#include "mxseal/queue.h"
#include "mxseal/xalloc.h"

/* How far a conversation comes before a failure of this class: where the mail host stops earlier than we do, the path or the
 * host is to blame. */
enum stage { STAGE_NAME, STAGE_CONNECT, STAGE_GREETING, STAGE_STARTTLS, STAGE_HANDSHAKE, STAGE_CERTIFICATE, STAGE_DONE };

static const struct { const char *name; enum stage stage; } stages[] = {
	{ "dns", STAGE_NAME },
	{ "connect-refused", STAGE_CONNECT }, { "connect-timeout", STAGE_CONNECT }, { "network-unreachable", STAGE_CONNECT },
	{ "banner-rejected", STAGE_GREETING }, { "lost-connection", STAGE_GREETING }, { "sender-rejected", STAGE_GREETING },
	{ "tls-not-offered", STAGE_STARTTLS }, { "starttls-refused", STAGE_STARTTLS },
	{ "handshake-failed", STAGE_HANDSHAKE }, { "lost-connection-after-starttls", STAGE_HANDSHAKE },
	{ "timeout-in-handshake", STAGE_HANDSHAKE }, { "protocol-version", STAGE_HANDSHAKE },
	{ "cipher-mismatch", STAGE_HANDSHAKE }, { "wrapper-mismatch", STAGE_HANDSHAKE },
	{ "client-cert-required", STAGE_HANDSHAKE }, { "peer-rejected-our-cert", STAGE_HANDSHAKE },
	{ "cert-untrusted", STAGE_CERTIFICATE }, { "self-signed", STAGE_CERTIFICATE }, { "cert-expired", STAGE_CERTIFICATE },
	{ "cert-not-yet-valid", STAGE_CERTIFICATE }, { "cert-name-mismatch", STAGE_CERTIFICATE },
	{ "cert-revoked", STAGE_CERTIFICATE }, { "cert-weak", STAGE_CERTIFICATE }, { "cert-not-verified", STAGE_CERTIFICATE },
	{ "tls-ok", STAGE_DONE },
};

static enum stage
stage_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (text_eq(stages[i].name, name))
			return stages[i].stage;
	return STAGE_DONE;
}

/* Is name in the comma list? */
static bool
listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (list != NULL && *list != '\0') {
		if (strncmp(list, name, n) == 0 && (list[n] == ',' || list[n] == '\0'))
			return true;
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return false;
}

/* At these levels a certificate that is not good stops mail; below them it does not matter. */
static bool
level_verifies(const char *level)
{
	return text_eq(level, "verify") || text_eq(level, "secure") || text_eq(level, "fingerprint") || text_eq(level, "dane") ||
	    text_eq(level, "dane-only");
}

static bool
level_demands_tls(const char *level)
{
	return level_verifies(level) || text_eq(level, "encrypt");
}

/* Would this finding of a look stop mail at this level? An unknown level: what is found counts. */
static bool
stops_mail(const char *class_name, const char *level)
{
	switch (stage_of(class_name)) {
	case STAGE_DONE:
		return false;
	case STAGE_CERTIFICATE:
		return level == NULL || level_verifies(level);
	case STAGE_STARTTLS:
		return level == NULL || level_demands_tls(level);
	case STAGE_HANDSHAKE:
		return !text_eq(level, "none");
	default:
		return true;
	}
}

/* --- would mail be delivered now? --- */

#define SESSIONS_TRIED 2     /* postconf(5), smtp_mx_session_limit ... */
#define ADDRESSES_TRIED 5    /* ... and smtp_mx_address_limit */

/* Does this endpoint take mail at that level? As smtp(8) decides, of which nothing is assumed that makes it milder: an old
 * version is no TLS, a handshake that fails is no delivery even at may (Postfix falls back only to a later attempt). */
static bool
endpoint_meets(const struct probe_host *p, const char *level)
{
	enum stage stage = stage_of(p->class_name);
	bool verified = p->trusted && p->in_time, dane = text_starts(level, "dane");

	if (stage <= STAGE_GREETING || text_eq(failure_find(p->class_name)->name, "unknown"))
		return false;
	if (text_eq(level, "none"))
		return true;
	/* with TLSA records, "dane" takes nothing else; without them it is "may", and "dane-only" takes nothing */
	if (dane && text_eq(p->dane, "match"))
		return p->tls && stage >= STAGE_CERTIFICATE;
	if (dane && !text_empty(p->dane) && !text_eq(p->dane, "none") && !text_eq(p->dane, "insecure"))
		return false;
	if (text_eq(level, "dane-only"))
		return false;
	if (text_eq(level, "may") || dane)
		return stage == STAGE_STARTTLS || (p->tls && stage >= STAGE_CERTIFICATE);
	if (!p->tls || stage < STAGE_CERTIFICATE)
		return false;
	if (text_eq(level, "encrypt"))
		return true;
	if (text_eq(level, "verify"))
		return verified && p->name_ok;
	/* "secure": the domain that was asked for, not the name that DNS gave its mail server */
	return text_eq(level, "secure") && verified && p->domain_ok;
}

static bool
answers(const struct probe_host *p)
{
	return stage_of(p->class_name) > STAGE_CONNECT;
}

bool
probe_meets(const struct probe_report *r, const char *level)
{
	size_t at, next, i, talked = 0, tried = 0;
	bool good;

	if (r == NULL)
		return false;
	/* servers of one preference are tried in any order: of those it counts the bad ones first */
	for (at = 0; at < r->n && talked < SESSIONS_TRIED && tried < ADDRESSES_TRIED; at = next) {
		for (next = at + 1; next < r->n && r->v[next].preference == r->v[at].preference; next++)
			;
		for (i = at, good = false; i < next; i++) {
			if (endpoint_meets(&r->v[i], level)) {
				good = true;
				continue;
			}
			tried++;
			talked += answers(&r->v[i]);
		}
		if (good && talked < SESSIONS_TRIED && tried < ADDRESSES_TRIED)
			return true;
	}
	return false;
}

static void
say(struct diagnosis *d, const char *text)
{
	str_add(&d->evidence, text);
	str_addc(&d->evidence, '\n');
}

static void
say_report(struct diagnosis *d, const struct probe_report *r)
{
	char *line = xasprintf("Seen from %s: %s", text_eq(r->from, "here") ? "here" : clean(r->from), clean(r->verdict));

	say(d, line);
	free(line);
}

static void
say_reason(struct diagnosis *d, const struct queue_group *g)
{
	char *line;

	if (g == NULL || g->failure == NULL) {
		say(d, g == NULL ? "No mail for it waits." : "Mail for it waits, and the queue names no reason yet.");
		return;
	}
	line = xasprintf("The queue says for %lld of %lld recipients: %s", (long long)g->failure_recipients,
	    (long long)g->recipients, clean(g->reason));
	say(d, line);
	free(line);
}

/* TLS came up all the same, only with an old version: the lowest one that the mail host allows decides. */
static bool
old_but_up(const struct probe_report *look)
{
	size_t i;

	for (i = 0; i < look->n; i++)
		if (look->v[i].tls && text_eq(look->v[i].class_name, "protocol-version"))
			return text_eq(look->class_name, "protocol-version");
	return false;
}

/* Another mail server of the destination where TLS works: mail goes on to it. */
static const char *
way_round(const struct probe_report *look)
{
	size_t i;

	for (i = 0; i < look->n; i++)
		if (text_eq(look->v[i].class_name, "tls-ok"))
			return look->v[i].host;
	return NULL;
}

/* Nothing waits, or no reason is known yet: the look says what mail would meet. */
static void
foretell(struct diagnosis *d, const struct queue_group *g, const char *level, const struct probe_report *look)
{
	const struct failure *seen = failure_find(look->class_name);

	d->failure = seen;
	if (text_eq(seen->name, "tls-ok"))
		d->confidence = xstrdup(g == NULL ? "high" : "medium");
	else if (way_round(look) != NULL) {
		say(d, "Mail can take another of its mail servers, where TLS works.");
		d->failure = failure_find("tls-ok");
		d->confidence = xstrdup("medium");
	} else if (old_but_up(look)) {
		say(d, "The handshake succeeds: it stops mail only where the mail host refuses such an old version.");
		d->confidence = xstrdup("low");
	} else if (stops_mail(seen->name, level))
		d->confidence = xstrdup("medium");
	else if (stage_of(seen->name) == STAGE_CERTIFICATE) {
		say(d, "That certificate does not matter at the level set for this destination.");
		d->failure = failure_find("tls-ok");
		d->confidence = xstrdup("medium");
	} else {
		say(d, "It stops no mail at the level set for this destination.");
		d->confidence = xstrdup("low");
	}
}

/* The class from the reason and the deciding look (from the host if there is one). */
static void
decide(struct diagnosis *d, const struct failure *base, const char *level, const struct probe_report *look)
{
	const struct failure *seen = look != NULL ? failure_find(look->class_name) : NULL;
	bool unknown = text_eq(base->name, "unknown");

	d->failure = base;
	/* no look from outside can see these, and the sentence is plain */
	if (text_eq(base->name, "local-policy-problem") || text_eq(base->name, "local-key-problem")) {
		d->confidence = xstrdup("high");
		return;
	}
	if (seen == NULL) {
		d->confidence = xstrdup(unknown ? "low" : base->refine == NULL ? "high" : "medium");
		return;
	}
	if (text_eq(seen->name, "tls-ok")) {
		if (base->tls) {
			say(d, text_eq(base->name, "cert-not-verified") ? "The certificate is good now: unless it was renewed just now, "
			    "the mail host knows too few authorities (smtp_tls_CAfile, smtp_tls_CApath) or demands another name." :
			    "The failure does not show now: it may have been repaired, it may come and go, or the mail host's own "
			    "settings differ from this look.");
			d->confidence = xstrdup("low");
		} else
			d->confidence = xstrdup(unknown ? "low" : "high");
		return;
	}
	if (seen == base || listed(base->refine, seen->name)) {
		d->failure = seen;
		d->confidence = xstrdup("high");
		return;
	}
	if (!stops_mail(seen->name, level)) {
		if (stage_of(seen->name) == STAGE_CERTIFICATE)
			say(d, "That certificate does not matter at the level set for this destination.");
		d->confidence = xstrdup(unknown ? "low" : "medium");
		return;
	}
	/* the reason speaks of the past; what stops mail now decides when the reason says little or is about TLS as well */
	if (unknown || (base->tls && seen->tls)) {
		d->failure = seen;
		d->confidence = xstrdup("medium");
		return;
	}
	d->confidence = xstrdup(base->refine == NULL ? "medium" : "low");
}

static void
take_sides(struct diagnosis *d, const struct probe_report *from_host, const struct probe_report *from_here)
{
	enum stage host, here;

	d->side = d->failure->side;
	/* what every look finds good and the mail host does not */
	if (from_host != NULL && text_eq(d->failure->name, "cert-not-verified") && text_eq(from_host->class_name, "tls-ok"))
		d->side = SIDE_OURS;
	if (from_host == NULL || from_here == NULL || d->side == SIDE_OURS || text_eq(from_host->class_name, "unknown") ||
	    text_eq(from_here->class_name, "unknown"))
		return;
	host = stage_of(from_host->class_name);
	here = stage_of(from_here->class_name);
	if (here > host && host < STAGE_CERTIFICATE && host > STAGE_NAME) {
		d->side = SIDE_PATH;
		say(d, host == STAGE_STARTTLS ? "STARTTLS is seen from here and not from the mail host: something between the two "
		    "removes it." : "From here the conversation comes further: the path from the mail host is to blame, or it is "
		    "blocked by its address.");
	} else if (here > host && host == STAGE_CERTIFICATE && text_eq(from_host->class_name, "cert-untrusted")) {
		d->side = SIDE_OURS;
		say(d, "Its issuer is trusted here: the mail host's own trusted authorities, or what is given to verify with, differ.");
	} else if (here == host && d->side == SIDE_PATH && host < STAGE_DONE) {
		d->side = SIDE_THEIRS;
		say(d, "It is the same from here: the other side is to blame.");
	}
}

void
diagnose(const char *destination, const struct queue_group *g, const char *level, const struct probe_report *from_host,
    const struct probe_report *from_here, struct diagnosis *out)
{
	const struct failure *base = g != NULL && g->failure != NULL ? g->failure : failure_find("unknown");
	const struct probe_report *look = from_host != NULL ? from_host : from_here;
	char *line;

	*out = (struct diagnosis){ .destination = xstrdup(destination), .evidence = STR_INIT };
	say_reason(out, g);
	if (level != NULL) {
		line = xasprintf("Mail for it leaves at security level \"%s\".", clean(level));
		say(out, line);
		free(line);
	}
	if (from_host != NULL)
		say_report(out, from_host);
	if (from_here != NULL)
		say_report(out, from_here);
	if (look != NULL && (g == NULL || g->failure == NULL))
		foretell(out, g, level, look);
	else
		decide(out, base, level, look);
	/* what is only seen from here may be otherwise where the mail leaves */
	if (from_host == NULL && from_here != NULL && text_eq(out->confidence, "high") && out->failure->tls)
		xset(&out->confidence, "medium");
	take_sides(out, from_host, from_here);
	if (text_eq(out->failure->name, "unknown") && from_host != NULL && text_eq(from_host->class_name, "tls-ok"))
		say(out, "TLS to this destination works from the mail host.");
}

void
diagnosis_release(struct diagnosis *d)
{
	free(d->destination);
	free(d->confidence);
	str_release(&d->evidence);
	*d = (struct diagnosis){ .evidence = STR_INIT };
}
