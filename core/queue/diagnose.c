/* Why mail for a destination waits: the class of its delay reason, decided further by a look from the mail host and one from
 * here. The reason says what happened, the looks say what is so now; where they disagree the evidence says both, and the
 * confidence falls. Nothing can fail. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/maillog.h"
#include "mxseal/probe.h"
#include "mxseal/queue.h"
#include "mxseal/when.h"
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
	{ "dane-no-tlsa", STAGE_CERTIFICATE }, { "dane-mismatch", STAGE_CERTIFICATE }, { "dane-lookup-error", STAGE_CERTIFICATE },
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
probe_meets(const struct probe_report *r, const char *level, bool every)
{
	size_t at, next, i, talked = 0, tried = 0;
	bool good;

	if (r == NULL)
		return false;
	if (every) {
		for (i = 0; i < r->n && endpoint_meets(&r->v[i], level); i++)
			;
		return r->n > 0 && i == r->n;
	}
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

/* An MTA-STS policy asks senders that follow it for a good certificate; Postfix alone does not. */
static void
say_policy(struct diagnosis *d, const struct probe_report *r)
{
	if (r->sts == NULL || text_eq(r->sts, "none"))
		return;
	str_addf(&d->evidence, "It publishes an MTA-STS policy, as %s sees it", clean(r->from));
	if (r->sts_mode != NULL)
		str_addf(&d->evidence, " in mode %s", r->sts_mode);
	str_addf(&d->evidence, ": %s.\n", r->sts_trouble != NULL ? clean(r->sts_trouble) : "its mail servers keep it");
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
	else if (way_round(look) != NULL && stops_mail(seen->name, level)) {
		say(d, "Mail can take another of its mail servers, where TLS works.");
		d->confidence = xstrdup("high");
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

/* --- whose it is --- */

#define CLOCK_OFF 120        /* seconds that a clock may be wrong without being the cause */

/* Of the places beside the mail host the one that came furthest; NULL: there is none. */
static const struct probe_report *
elsewhere(const struct diagnose_facts *f)
{
	const struct probe_report *best = f->from_here;
	size_t i;

	for (i = 0; i < f->n_others; i++)
		if (!text_eq(f->others[i].class_name, "unknown") &&
		    (best == NULL || stage_of(f->others[i].class_name) > stage_of(best->class_name)))
			best = &f->others[i];
	return best;
}

static const char *
place(const struct probe_report *r)
{
	return text_eq(r->from, "here") ? "here" : clean(r->from);
}

static void
blame(struct diagnosis *d, enum failure_side side, const char *where, const char *confidence)
{
	d->side = side;
	d->where = where;
	if (confidence != NULL)
		xset(&d->confidence, confidence);
}

static bool
is_about_dates(const struct failure *f)
{
	return text_eq(f->name, "cert-expired") || text_eq(f->name, "cert-not-yet-valid");
}

/* The mail host says that a certificate's time is over or not begun, and a look with our clock finds it in time. */
static bool
clock_is_wrong(const struct diagnose_facts *f, const struct failure *said, int64_t said_at, struct diagnosis *d)
{
	const struct probe_report *look = f->from_here != NULL ? f->from_here : f->from_host;
	int64_t ahead = f->clock_ahead != 0 ? f->clock_ahead : f->mail_ahead;
	const struct probe_host *p = NULL;
	bool off = ahead > CLOCK_OFF || ahead < -CLOCK_OFF;
	size_t i;

	for (i = 0; look != NULL && i < look->n && p == NULL; i++)
		if (look->v[i].tls && look->v[i].chain_pem != NULL)
			p = &look->v[i];
	if (!is_about_dates(said) || p == NULL || !p->in_time)
		return false;
	/* a certificate that was made after the attempt has been renewed since */
	if (!off && (said_at == 0 || p->not_before > said_at - 3600))
		return false;
	d->failure = said;
	if (text_eq(said->name, "cert-expired"))
		say(d, "Its certificate was valid at that time and is now: the clock that the mail system there goes by is ahead.");
	else
		say(d, "Its certificate was valid at that time and is now: the clock that the mail system there goes by is behind.");
	blame(d, SIDE_OURS, "clock", off ? "high" : "medium");
	return true;
}

/* DNS of the mail host says something else than DNS elsewhere, and what it says does not work. */
static bool
resolver_lies(const struct diagnose_facts *f, struct diagnosis *d)
{
	const struct probe_report *host = f->from_host, *other = elsewhere(f);
	size_t i, agree = 0;
	char *line;

	if (host == NULL || other == NULL || stage_of(other->class_name) <= stage_of(host->class_name))
		return false;
	if (text_eq(host->class_name, "dns") ? text_eq(other->class_name, "dns") : host->names == NULL || other->names == NULL ||
	    strcmp(host->names, other->names) == 0)
		return false;
	for (i = 0; i < f->n_others; i++)
		agree += f->from_here != NULL && f->others[i].names != NULL && text_eq(f->others[i].names, f->from_here->names);
	line = xasprintf("DNS of %s says \"%s\", DNS %s%s says \"%s\".", clean(f->server), clean(host->names != NULL ? host->names :
	    host->verdict), text_eq(other->from, "here") ? "" : "of ", place(other), clean(other->names != NULL ? other->names : "?"));
	say(d, line);
	free(line);
	blame(d, SIDE_OURS, "resolver", agree > 0 || text_eq(host->class_name, "dns") ? "high" : "medium");
	return true;
}

/* It has addresses of one family only, which the mail host or its mail system does without. */
static bool
family_is_missing(const struct diagnose_facts *f, struct diagnosis *d)
{
	const struct probe_report *host = f->from_host;
	size_t i;

	if (host == NULL || host->n == 0)
		return false;
	for (i = 0; i < host->n; i++)
		if (!host->v[i].unused)
			return false;
	if (!text_eq(d->failure->name, "dns"))
		d->failure = failure_find("network-unreachable");
	str_addf(&d->evidence, "None of its addresses can be used: %s\n", clean(host->v[0].trouble));
	blame(d, SIDE_OURS, strchr(host->v[0].address, ':') != NULL ? "ipv6" : "ipv4", "high");
	return true;
}

/* The certificate is trusted elsewhere and not by what the mail host trusts. */
static bool
trust_store_is_poor(const struct diagnose_facts *f, const struct failure *said, struct diagnosis *d)
{
	const struct probe_report *host = f->from_host, *other = elsewhere(f);
	bool good_elsewhere = other != NULL && stage_of(other->class_name) == STAGE_DONE;

	if (!level_verifies(f->level) || host == NULL)
		return false;
	if (text_eq(host->class_name, "cert-untrusted") && good_elsewhere) {
		d->failure = failure_find("cert-untrusted");
		say(d, f->trusts_nobody ? "The client that sends there is given no trusted authorities at all (smtp_tls_CAfile, "
		    "smtp_tls_CApath)." : "Its issuer is trusted elsewhere: the mail host's own trusted authorities differ.");
		blame(d, SIDE_OURS, "trust-store", "high");
		return true;
	}
	if (text_eq(said->name, "cert-not-verified") && text_eq(host->class_name, "tls-ok") && f->trusts_nobody) {
		blame(d, SIDE_OURS, "trust-store", "high");
		return true;
	}
	/* what every look finds good and the mail host did not */
	if (text_eq(d->failure->name, "cert-not-verified") && text_eq(host->class_name, "tls-ok")) {
		blame(d, SIDE_OURS, "trust-store", NULL);
		return true;
	}
	return false;
}

static void
say_who_agrees(const struct diagnose_facts *f, struct diagnosis *d)
{
	enum stage host = stage_of(f->from_host->class_name);
	size_t i, further = 0, same = 0;

	for (i = 0; i < f->n_others; i++)
		if (stage_of(f->others[i].class_name) > host)
			further++;
		else
			same++;
	if (further + same == 0)
		return;
	if (same == 0)
		xset(&d->confidence, "high");
	str_addf(&d->evidence, "Of %zu other mail host%s that looked, %zu came further than %s.\n", further + same,
	    further + same == 1 ? "" : "s", further, clean(f->server));
}

/* Where the mail host stops earlier than others, the path is to blame. */
static bool
path_is_bad(const struct diagnose_facts *f, struct diagnosis *d)
{
	const struct probe_report *host = f->from_host, *other = elsewhere(f);
	enum stage at, there;

	if (host == NULL || other == NULL || text_eq(host->class_name, "unknown") || text_eq(other->class_name, "unknown"))
		return false;
	at = stage_of(host->class_name);
	there = stage_of(other->class_name);
	if (there <= at || at >= STAGE_CERTIFICATE || at <= STAGE_NAME)
		return false;
	if (at == STAGE_STARTTLS)
		str_addf(&d->evidence, "STARTTLS is seen from %s and not from the mail host: something between the two removes it.\n", place(other));
	else
		str_addf(&d->evidence, "From %s the conversation comes further: the path from the mail host is to blame, or it is blocked by its "
		    "address.\n", place(other));
	blame(d, SIDE_PATH, at == STAGE_STARTTLS ? "stripped" : "blocked", NULL);
	say_who_agrees(f, d);
	return true;
}

static bool
stops_here(const struct probe_host *p, const void *level)
{
	return !text_eq(p->class_name, "tls-ok") && stops_mail(p->class_name, level);
}

/* All of its mail servers, or only some? */
static const char *
how_many(const struct probe_report *r, const char *level, size_t *bad)
{
	size_t i;

	*bad = 0;
	for (i = 0; r != NULL && i < r->n; i++)
		*bad += stops_here(&r->v[i], level);
	if (r == NULL || r->n == 0 || *bad == 0)
		return NULL;
	return *bad < r->n ? "one-mx" : "all-mx";
}

static void
take_sides(const struct diagnose_facts *f, const struct failure *said, int64_t said_at, struct diagnosis *d)
{
	const struct probe_report *look = f->from_host != NULL ? f->from_host : f->from_here;
	size_t bad;

	d->side = d->failure->side;
	if (text_eq(d->failure->name, "local-policy-problem") || text_eq(d->failure->name, "local-key-problem") ||
	    text_eq(d->failure->name, "peer-rejected-our-cert") || text_eq(d->failure->name, "client-cert-required")) {
		blame(d, SIDE_OURS, text_eq(d->failure->name, "local-policy-problem") ? "policy" : f->tls_off ? "trust-store" : "key", NULL);
		return;
	}
	if (family_is_missing(f, d) || clock_is_wrong(f, said, said_at, d) || resolver_lies(f, d) || trust_store_is_poor(f, said, d) || path_is_bad(f, d))
		return;
	if (d->side == SIDE_PATH && f->from_host != NULL && f->from_here != NULL && !text_eq(f->from_here->class_name, "unknown") &&
	    stage_of(f->from_here->class_name) == stage_of(f->from_host->class_name) &&
	    stage_of(f->from_host->class_name) < STAGE_DONE) {
		d->side = SIDE_THEIRS;
		say(d, "It is the same from here: the other side is to blame.");
	}
	if (d->side == SIDE_THEIRS)
		d->where = how_many(look, f->level, &bad);
}

/* Where not all are bad, which are. */
static char *
some_addresses(const struct probe_report *look, const char *level, size_t bad, const char *title)
{
	struct str text = STR_INIT;

	str_addf(&text, "Theirs, %zu of %zu of their addresses", bad, look->n);
	if (bad < look->n) {
		str_add(&text, " (");
		probe_bad_places(&text, look, stops_here, level);
		str_addc(&text, ')');
	}
	str_addf(&text, ": %s.%s", title, bad < look->n ? " Mail can take another." : "");
	return str_take(&text);
}

/* One sentence that says it all. */
static void
sum_up(const struct diagnose_facts *f, struct diagnosis *d)
{
	static const struct { const char *where, *says; } ours[] = {
		{ "policy", "its TLS policy" }, { "key", "its certificate or key" }, { "trust-store", "the authorities it trusts" },
		{ "resolver", "its resolver" }, { "clock", "its clock" }, { "ipv6", "which does without IPv6" },
		{ "ipv4", "which does without IPv4" },
	};
	const struct probe_report *look = f->from_host != NULL ? f->from_host : f->from_here;
	const char *server = text_empty(f->server) ? "the mail host" : clean(f->server);
	size_t i, bad = 0;

	free(d->verdict);
	if (d->side == SIDE_NONE) {
		d->verdict = text_eq(d->failure->name, "tls-ok") ? xstrdup("Healthy: mail for it can leave as it should.") :
		    xasprintf("Not decided: %s.", d->failure->title);
		return;
	}
	if (d->side == SIDE_OURS) {
		for (i = 0; i < sizeof(ours) / sizeof(ours[0]) && !text_eq(ours[i].where, d->where); i++)
			;
		d->verdict = xasprintf("Ours, at %s%s%s: %s.", server, i < sizeof(ours) / sizeof(ours[0]) ? ", " : "",
		    i < sizeof(ours) / sizeof(ours[0]) ? ours[i].says : "", d->failure->title);
	} else if (d->side == SIDE_PATH)
		d->verdict = xasprintf("The path from %s%s: %s.", server, text_eq(d->where, "stripped") ? ", where STARTTLS is removed" : "",
		    d->failure->title);
	else if (how_many(look, f->level, &bad) != NULL && look->n > 1)
		d->verdict = some_addresses(look, f->level, bad, d->failure->title);
	else
		d->verdict = xasprintf("Theirs: %s.", d->failure->title);
}

/* What is ours is repaired; a class that is ours anyhow may know more. */
static const char *
remedies_of(const struct diagnosis *d)
{
	switch (d->side) {
	case SIDE_NONE:
		return text_eq(d->failure->name, "tls-ok") || d->failure->remedies == NULL ? "" : d->failure->remedies;
	case SIDE_OURS:
		return d->failure->side == SIDE_OURS && d->failure->remedies != NULL ? d->failure->remedies : "repair,hold";
	default:
		return d->failure->remedies != NULL ? d->failure->remedies : "";
	}
}

/* --- what the log adds --- */

/* The newest attempt that the queue's reason may be about. */
static const struct attempt *
attempt_of(const struct diagnose_facts *f, const struct failure *base)
{
	size_t i;

	for (i = f->log != NULL ? f->log->n : 0; i > 0; i--) {
		const struct attempt *a = &f->log->v[i - 1];

		if (base == NULL || a->failure == base || listed(base->refine, a->failure->name) || text_eq(base->name, "unknown"))
			return a;
	}
	return NULL;
}

static const struct failure *
join_log(const struct diagnose_facts *f, const struct failure *base, struct diagnosis *d, int64_t *at)
{
	const struct attempt *a = attempt_of(f, base);
	char stamp[32];

	*at = 0;
	if (a == NULL || text_eq(a->failure->name, "unknown"))
		return base;
	*at = a->at;
	if (a->failure == base && !a->joined)
		return base;
	when_rfc3339(stamp, a->at);
	str_addf(&d->evidence, "The log of %s says about its attempt of %s: ", clean(f->server), stamp);
	str_addf(&d->evidence, "%s\n", clean(a->line));
	return a->failure;
}

static void
say_clock(const struct diagnose_facts *f, struct diagnosis *d)
{
	int64_t ahead = f->clock_ahead != 0 ? f->clock_ahead : f->mail_ahead;
	char ago[16];

	if (ahead <= CLOCK_OFF && ahead >= -CLOCK_OFF)
		return;
	when_ago(ago, ahead < 0 ? -ahead : ahead);
	str_addf(&d->evidence, "%s %s is %s %s ours.\n", f->clock_ahead != 0 ? "The clock of" : "The clock of the mail system on",
	    clean(f->server), ago, ahead > 0 ? "ahead of" : "behind");
}

static void
say_damage(const struct diagnose_facts *f, struct diagnosis *d)
{
	char **lines = words_split(f->damage, "\n", NULL);
	size_t i;

	for (i = 0; lines[i] != NULL; i++)
		str_addf(&d->evidence, "Of the authorities that %s trusts, %s.\n", f->server, clean(lines[i]));
	words_free(lines);
}

void
diagnose_facts(const struct diagnose_facts *f, struct diagnosis *out)
{
	const struct queue_group *g = f->group;
	const struct failure *base = g != NULL && g->failure != NULL ? g->failure : NULL, *said;
	const struct probe_report *look = f->from_host != NULL ? f->from_host : f->from_here;
	int64_t said_at = 0;
	size_t i;

	*out = (struct diagnosis){ .destination = xstrdup(f->destination), .evidence = STR_INIT };
	say_reason(out, g);
	said = base != NULL ? join_log(f, base, out, &said_at) : failure_find("unknown");
	if (f->level != NULL)
		str_addf(&out->evidence, "Mail for it leaves at security level \"%s\".\n", clean(f->level));
	if (f->from_host != NULL) {
		say_report(out, f->from_host);
		say_policy(out, f->from_host);
	}
	if (f->from_here != NULL)
		say_report(out, f->from_here);
	for (i = 0; i < f->n_others; i++)
		say_report(out, &f->others[i]);
	say_clock(f, out);
	say_damage(f, out);
	if (f->trouble != NULL) {
		str_addf(&out->evidence, "Its own configuration keeps mail from it: %s.\n", clean(f->trouble));
		out->failure = failure_find(f->tls_off ? "local-key-problem" : "local-policy-problem");
		out->confidence = xstrdup("high");
	} else if (look != NULL && base == NULL)
		foretell(out, g, f->level, look);
	else
		decide(out, said, f->level, look);
	/* what is only seen from here may be otherwise where the mail leaves */
	if (f->from_host == NULL && f->from_here != NULL && text_eq(out->confidence, "high") && out->failure->tls)
		xset(&out->confidence, "medium");
	take_sides(f, said, said_at, out);
	if (text_eq(out->failure->name, "unknown") && f->from_host != NULL && text_eq(f->from_host->class_name, "tls-ok"))
		say(out, "TLS to this destination works from the mail host.");
	sum_up(f, out);
	out->remedies = remedies_of(out);
}

void
diagnose(const char *destination, const struct queue_group *g, const char *level, const struct probe_report *from_host,
    const struct probe_report *from_here, struct diagnosis *out)
{
	struct diagnose_facts f = { .destination = destination, .server = from_host != NULL ? from_host->from : "the mail host", .group = g,
		.level = level, .from_host = from_host, .from_here = from_here };

	diagnose_facts(&f, out);
}

void
diagnosis_release(struct diagnosis *d)
{
	free(d->destination);
	free(d->confidence);
	free(d->verdict);
	str_release(&d->evidence);
	*d = (struct diagnosis){ .evidence = STR_INIT };
}
