/* What a rehearsal says of one peer: a client by what its sessions in the log did, a destination by its way and what was seen
 * there, and one that nobody looked at by what the log says of its mail. What is not known is not made up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

/* Strongest first: an exception is the first that works below the level asked for. */
const char *const rehearse_levels[] = { "dane-only", "dane", "secure", "verify", "encrypt", "may", "none", NULL };
/* In the order of their age; the last column as a log has it. */
static const struct { const char *ours, *logged; } protocols[] = {
	{ NULL, "SSLv2" }, { NULL, "SSLv3" }, { "tls1.0", "TLSv1" }, { "tls1.1", "TLSv1.1" }, { "tls1.2", "TLSv1.2" },
	{ "tls1.3", "TLSv1.3" },
};
#define PROTOCOLS ((int)(sizeof(protocols) / sizeof(protocols[0])))

#define MANY 10              /* messages of a client that make one sure of its habits */

const char *
rehearsed_outcome(const struct rehearsed *p)
{
	return p->outcome == REHEARSED_PASSES ? "passes" : p->outcome == REHEARSED_FAILS ? "fails" : "not sure";
}

/* --- what is asked --- */

static int
not_known(bool inbound, const char *word, struct err *e)
{
	err_set(e, RC_USAGE, "\"%s\" is no %s", clean(word), inbound ? "requirement of senders" : "level of outbound security");
	return err_hint(e, inbound ? "require, tls1.0, tls1.1, tls1.2, tls1.3, or both as require,tls1.2"
	    : "may, encrypt, verify, secure, dane, dane-only");
}

static bool
inbound_word(const char *word, struct rehearse_rule *out)
{
	int i;

	if (strcmp(word, "require") == 0)
		return out->require = true;
	for (i = 0; i < PROTOCOLS; i++)
		if (protocols[i].ours != NULL && strcmp(word, protocols[i].ours) == 0) {
			out->floor = i;
			return true;
		}
	return false;
}

int
rehearse_rule_parse(bool inbound, const char *level, struct rehearse_rule *out, struct err *e)
{
	char **words = words_split(level, ", ", NULL);
	size_t i;
	int rc = words[0] == NULL ? not_known(inbound, level, e) : 0;

	*out = (struct rehearse_rule){ .level = 0 };
	for (i = 0; inbound && words[i] != NULL && rc == 0; i++)
		if (!inbound_word(words[i], out))
			rc = not_known(inbound, words[i], e);
	if (!inbound && rc == 0) {
		for (i = 0; rehearse_levels[i] != NULL && strcmp(rehearse_levels[i], level) != 0; i++)
			;
		out->level = i;
		rc = rehearse_levels[i] == NULL ? not_known(inbound, level, e) : 0;
	}
	words_free(words);
	return rc;
}

/* --- clients --- */

static void
settle(struct rehearsed *p, int outcome, const char *confidence, char *why)
{
	p->outcome = outcome == REHEARSED_FAILS ? REHEARSED_FAILS : outcome == REHEARSED_PASSES ? REHEARSED_PASSES : REHEARSED_UNSURE;
	p->confidence = confidence;
	free(p->why);
	p->why = why;
}

static int
rank_of(const char *logged)
{
	int i;

	for (i = 0; logged != NULL && i < PROTOCOLS; i++)
		if (strcmp(protocols[i].logged, logged) == 0)
			return i;
	return PROTOCOLS;
}

static const char *
by_count(const struct traffic *t)
{
	return t->messages >= MANY ? "high" : "medium";
}

/* Does the log show that its handshakes fail, and that it then comes in clear text? */
static bool
falls_back(const struct traffic *t)
{
	return t->failed > 0 && t->clear > 0;
}

/* TLS is required: who never had it is lost. One that had it sometimes may be several behind one address. */
static void
judge_required(const struct rehearse_rule *rule, const struct traffic *t, struct rehearsed *p)
{
	if (t->clear == 0)
		settle(p, REHEARSED_PASSES, by_count(t), xstrdup("always used TLS"));
	else if (rule->in_tls_at == 0)
		settle(p, REHEARSED_UNSURE, "low", xstrdup("came without TLS, but the log tells of no TLS from anybody: it may not have been offered"));
	else if (t->last_at < rule->in_tls_at)
		settle(p, REHEARSED_UNSURE, "low", xstrdup("came without TLS, and only before the first sign of TLS in the log"));
	else if (t->clear < t->messages)
		settle(p, REHEARSED_UNSURE, "low", xasprintf("came without TLS for %lld of its messages", (long long)t->clear));
	else
		settle(p, REHEARSED_FAILS, by_count(t), xstrdup(t->failed > 0 ? "its TLS fails here, and it comes without" : "never used TLS"));
}

/* A version is required of those that use TLS; the message counts of their versions are not known. */
static void
judge_floor(const struct rehearse_rule *rule, const struct traffic *t, struct rehearsed *p)
{
	bool named = t->messages - t->clear - t->unnamed > 0;

	if (t->clear == t->messages)
		settle(p, REHEARSED_PASSES, by_count(t), xstrdup(t->failed > 0 ? "its TLS fails here already, and it comes without"
		    : "never used TLS, so no version matters"));
	else if (!named)
		settle(p, REHEARSED_UNSURE, "low", xstrdup("used TLS, of a version that is not logged (log.tls)"));
	else if (rank_of(t->newest) < rule->floor && rule->require)
		settle(p, REHEARSED_FAILS, by_count(t), xasprintf("never used more than %s", t->newest));
	else if (rank_of(t->newest) < rule->floor && falls_back(t))
		settle(p, REHEARSED_PASSES, "medium", xasprintf("never used more than %s, but comes without TLS where that fails", t->newest));
	else if (rank_of(t->newest) < rule->floor && t->clear > 0)
		settle(p, REHEARSED_UNSURE, "low", xasprintf("never used more than %s, but came without TLS as well", t->newest));
	else if (rank_of(t->newest) < rule->floor)
		settle(p, REHEARSED_FAILS, "medium", xasprintf("never used more than %s; lost unless it then comes without TLS", t->newest));
	else if (rank_of(t->oldest) < rule->floor)
		settle(p, REHEARSED_UNSURE, "low", xasprintf("used %s, but %s as well", t->newest, t->oldest));
	else if (t->unnamed > 0)
		settle(p, REHEARSED_UNSURE, "low", xasprintf("used %s or newer where the log names it; for %lld messages it does not", t->oldest,
		    (long long)t->unnamed));
	else
		settle(p, REHEARSED_PASSES, by_count(t), xasprintf("used %s or newer", t->oldest));
}

static int
badness(const struct rehearsed *p)
{
	return p->outcome == REHEARSED_FAILS ? 2 : p->outcome == REHEARSED_UNSURE;
}

void
rehearse_judge_client(const struct rehearse_rule *rule, const struct traffic *t, struct rehearsed *p)
{
	struct rehearsed floor = { .peer = NULL };

	if (t->messages == 0) {
		settle(p, REHEARSED_FAILS, "medium", xstrdup("its TLS fails here already, and it brings nothing"));
		return;
	}
	if (rule->require)
		judge_required(rule, t, p);
	if (rule->floor > 0) {
		judge_floor(rule, t, &floor);
		if (!rule->require || badness(&floor) > badness(p)) {
			settle(p, floor.outcome, floor.confidence, floor.why);
			return;
		}
		free(floor.why);
	}
}

/* --- destinations --- */

/* It has too few messages to be looked at: the log says whether its mail had TLS, and nothing of certificates. */
void
rehearse_judge_unseen(const struct rehearse_rule *rule, const struct traffic *t, struct rehearsed *p)
{
	const char *level = rehearse_levels[rule->level];

	if (strcmp(level, "may") == 0)
		settle(p, REHEARSED_PASSES, "low", xstrdup("was not looked at; \"may\" asks for nothing"));
	else if (strcmp(level, "encrypt") == 0 && t->messages > 0 && t->clear == 0)
		settle(p, REHEARSED_PASSES, "low", xstrdup("was not looked at; by the log all its mail left with TLS"));
	else if (t->messages == 0)
		settle(p, REHEARSED_UNSURE, "low", xstrdup("was not looked at; by the log its mail does not leave now either"));
	else if (t->clear == 0)
		settle(p, REHEARSED_UNSURE, "low", xstrdup("was not looked at; by the log its mail left with TLS, its certificate is not known"));
	else
		settle(p, REHEARSED_UNSURE, "low", xasprintf("was not looked at; by the log %lld of its messages left without TLS",
		    (long long)t->clear));
}

static bool
fails(enum way_fate f)
{
	return f == FATE_WAITS || f == FATE_BOUNCES;
}

/* Of several recipients that one became, the first whose mail does not get out decides. */
const struct way_end *
rehearse_worst_end(const struct mail_way *w)
{
	const struct way_end *end = w->ends.n > 0 ? &w->ends.v[0] : NULL;
	size_t i;

	for (i = 0; w->ends.n > 0 && i < w->ends.n; i++)
		if (fails(w->ends.v[i].fate))
			return &w->ends.v[i];
	return end;
}

/* Mail gets out, but not by all mail servers of the destination: how many would not take it alone? */
static size_t
bad_servers(const struct way_hop *hop, const struct looks *l, size_t *all)
{
	struct way_hop one = *hop;
	struct probe_report alone;
	size_t i, k, bad = 0;

	*all = 0;
	for (i = 0; i < l->n && *all == 0; i++) {
		const struct look *s = &l->v[i];

		if (!hop->mx || !s->mx || strcasecmp(s->target, hop->host) != 0 || s->port != hop->port || !text_eq(s->roots, hop->roots))
			continue;
		*all = s->report.n;
		for (k = 0; k < s->report.n; k++) {
			alone = s->report;
			alone.v = &s->report.v[k];
			alone.n = 1;
			one.forecast = NULL;
			hop_forecast(&one, &alone);
			bad += fails(one.fate);
			free(one.forecast);
		}
	}
	return bad;
}

void
rehearse_judge_way(struct rehearsed *p, const struct mail_way *w, const struct looks *l)
{
	const struct way_end *end = rehearse_worst_end(w);
	const struct way_hop *hop = end && end->hops.n > 0 ? &end->hops.v[0] : NULL;
	size_t all = 0, bad = 0;
	struct str why = STR_INIT;

	p->looked = true;
	str_add(&why, end && end->forecast ? end->forecast : "its way is not known");
	if (hop && end->hops.n == 1 && hop->dane == NULL && (end->fate == FATE_TLS || end->fate == FATE_CLEAR))
		bad = bad_servers(hop, l, &all);
	if (bad > 0)
		str_addf(&why, "; %zu of its %zu mail servers would not take it", bad, all);
	if (hop && hop->policy_key)
		str_addf(&why, "; a rule of its own decides, under %s", hop->policy_key);
	p->excepted = hop && hop->policy_map && strstr(hop->policy_map, ":/etc/mxseal/");
	if (end == NULL || end->fate == FATE_UNKNOWN)
		settle(p, REHEARSED_UNSURE, "low", str_take(&why));
	else
		settle(p, fails(end->fate) ? REHEARSED_FAILS : REHEARSED_PASSES, bad > 0 ? "medium" : "high", str_take(&why));
	if (hop && strcasecmp(hop->dest, p->peer) != 0)
		p->hop = xstrdup(hop->dest);
	str_release(&why);
}
