/* THE TABLE of remedies. A row says when it fits, and fills in what it opens. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/remedies.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

struct asked {
	struct journey *j;
	const struct destination_view *seen;
	const struct failure *failure;
	const char *domain, *class_name;
	struct server sv;
	struct vserver vs;               /* the default one */
};

static bool
is_bad(const struct asked *a)
{
	return !text_eq(a->class_name, "tls-ok");
}

static bool
is_theirs(const struct asked *a)
{
	return is_bad(a) && a->seen->diagnosis.side != SIDE_OURS;
}

static bool
is_theirs_about_tls(const struct asked *a)
{
	return is_theirs(a) && a->failure->tls;
}

static bool
is_ours(const struct asked *a)
{
	return is_bad(a) && a->seen->diagnosis.side == SIDE_OURS;
}

static bool
can_be_lowered(const struct asked *a)
{
	return is_theirs_about_tls(a) && a->seen->level != NULL && !text_eq(a->seen->level, "none") && !text_eq(a->seen->level, "may");
}

static void
opens(struct remedy_offer *o, const char *sheet, int64_t object, const char *object_name, const char *const *preset)
{
	size_t n = 0, i;

	while (preset[n] != NULL)
		n += 2;
	o->preset = xcalloc(n + 1, sizeof(*o->preset));
	for (i = 0; i < n; i++)
		o->preset[i] = xstrdup(preset[i]);
	o->sheet = sheet;
	o->object = object;
	o->object_name = xstrdup(object_name);
}

/* The host's own setting, as the last reading found it: "4h" of "maximal_backoff_time = 4h". */
static const char *
found(const struct asked *a, const char *name)
{
	size_t i;

	for (i = 0; i < a->vs.found.n; i++)
		if (text_eq(a->vs.found.v[i].name, name) && !text_empty(a->vs.found.v[i].value))
			return a->vs.found.v[i].value;
	return NULL;
}

static void
wait_fill(const struct asked *a, struct remedy_offer *o)
{
	const char *retry = found(a, "outbound.retry.max"), *notify = found(a, "outbound.notify-after"), *end = found(a, "outbound.expire-after");
	char stamp[32];

	if (a->seen->since > 0) {
		when_rfc3339(stamp, a->seen->since);
		str_addf(&o->says, "The oldest message is here since %s. ", stamp);
	}
	str_addf(&o->says, "%s tries it again at least every %s; ", a->sv.name, retry ? retry : "few hours");
	if (notify != NULL && strcmp(notify, "0") != 0 && strcmp(notify, "0s") != 0)
		str_addf(&o->says, "its sender is told \"delayed\" after %s; ", notify);
	else
		str_add(&o->says, "its sender is not told about the delay; ");
	str_addf(&o->says, "after %s in all it is returned.", end ? end : "the time that the host has set");
}

static void
lower_fill(const struct asked *a, struct remedy_offer *o)
{
	static const char *const down[][2] = { { "dane-only", "encrypt" }, { "dane", "encrypt" }, { "secure", "verify" }, { "verify", "encrypt" },
		{ "encrypt", "may" } };
	const char *level = "may", *not_offered = "tls-not-offered";
	char review[16], *via = xasprintf("%s/%s", a->sv.name, a->vs.name);
	size_t i;

	for (i = 0; i < sizeof(down) / sizeof(down[0]); i++)
		if (text_eq(a->seen->level, down[i][0]) && !text_eq(a->class_name, not_offered))
			level = down[i][1];
	when_date(review, when_now() + 30 * 86400);
	opens(o, "connector", 0, via, (const char *const[]){ "name", a->domain, "domain", a->domain, "via", via, "tls", level, "reason",
	    a->failure->title, "review", review, NULL });
	str_addf(&o->says, "A connector for %s with %s instead of %s, to be reviewed on %s.", clean(a->domain), level, clean(a->seen->level), review);
	o->command = xasprintf("mxseal connector add %s --domain %s --via %s --tls %s --review %s", a->domain, a->domain, via, level, review);
	free(via);
}

static void
workaround_fill(const struct asked *a, struct remedy_offer *o)
{
	opens(o, "workaround", a->sv.id, a->sv.name, (const char *const[]){ "domain", a->domain, NULL });
	str_add(&o->says, "A virtual server without TLS, paired with a connector for just this domain; what waits is tried again after the push. It "
	    "ends by itself when the other side can do TLS again.");
	o->command = xasprintf("mxseal workaround %s %s", a->sv.name, a->domain);
}

static void
repair_fill(const struct asked *a, struct remedy_offer *o)
{
	char *vs = xasprintf("%s/%s", a->sv.name, a->vs.name);

	if (text_eq(a->class_name, "local-key-problem") || text_eq(a->class_name, "peer-rejected-our-cert")) {
		opens(o, "certificate", a->vs.id, vs, (const char *const[]){ NULL });
		str_addf(&o->says, "The certificate or key of %s is in the way: the certificate wizard makes another.", vs);
		o->command = xasprintf("mxseal cert request %s", vs);
	} else if (text_eq(a->class_name, "local-policy-problem")) {
		str_addf(&o->says, "The row of %s's TLS policy for this next hop is wrong: the route shows which one, and its repair.", a->sv.name);
		o->command = xasprintf("mxseal route %s anybody@%s --repair", a->sv.name, a->domain);
	} else if (text_starts(a->class_name, "cert-") || text_eq(a->class_name, "self-signed"))
		str_addf(&o->says, "%s trusts other authorities than we do here: give it the distribution's own (smtp_tls_CApath = /etc/ssl/certs, or "
		    "smtp_tls_CAfile), then read it again.", a->sv.name);
	else
		str_addf(&o->says, "%s", a->failure->advice ? a->failure->advice : "It is on our side; the evidence says where.");
	free(vs);
}

static void
complain_fill(const struct asked *a, struct remedy_offer *o)
{
	complaint_text(a->j, a->sv.id, a->seen, &o->says);
	o->command = xasprintf("mxseal remedy complain %s %s --out FILE", a->sv.name, a->domain);
}

static void
hold_fill(const struct asked *a, struct remedy_offer *o)
{
	str_add(&o->says, "What waits for it is kept and not tried until it is released; it is not returned meanwhile.");
	o->command = xasprintf("mxseal queue messages %s --destination %s", a->sv.name, a->domain);
}

static const struct remedy {
	const char *name, *title;
	bool (*fits)(const struct asked *a);
	void (*fill)(const struct asked *a, struct remedy_offer *o);
} remedies[] = {
	{ "wait", "Wait", is_theirs, wait_fill },
	{ "lower", "Lower what is asked of this domain", can_be_lowered, lower_fill },
	{ "workaround", "Let its mail leave without TLS for a while", is_theirs_about_tls, workaround_fill },
	{ "repair", "Repair it on our side", is_ours, repair_fill },
	{ "complain", "Write to their postmaster", is_theirs, complain_fill },
	{ "hold", "Keep the messages back", is_bad, hold_fill },
};

void
remedies_for(struct journey *j, int64_t server, const struct destination_view *seen, struct remedy_offers *out)
{
	struct asked a = { .j = j, .seen = seen, .failure = seen->diagnosis.failure, .domain = seen->diagnosis.destination };
	size_t i;

	memset(out, 0, sizeof(*out));
	if (a.failure == NULL || a.domain == NULL || store_server_get(j->store, server, &a.sv, NULL) == -1)
		return;
	a.class_name = a.failure->name;
	(void)store_vserver_by_name(j->store, a.sv.name, &a.vs, NULL);
	for (i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		struct remedy_offer *o;

		if (!remedies[i].fits(&a))
			continue;
		ARRAY_GROW(out->v, out->n);
		o = &out->v[out->n++];
		memset(o, 0, sizeof(*o));
		o->name = remedies[i].name;
		o->title = remedies[i].title;
		str_init(&o->says, 0);
		remedies[i].fill(&a, o);
	}
	server_release(&a.sv);
	vserver_release(&a.vs);
}

void
remedy_offers_release(struct remedy_offers *o)
{
	size_t i, k;

	for (i = 0; i < o->n; i++) {
		str_release(&o->v[i].says);
		for (k = 0; o->v[i].preset != NULL && o->v[i].preset[k] != NULL; k++)
			free(o->v[i].preset[k]);
		free(o->v[i].preset);
		free(o->v[i].object_name);
		free(o->v[i].command);
	}
	free(o->v);
	memset(o, 0, sizeof(*o));
}

void
complaint_text(struct journey *j, int64_t server, const struct destination_view *seen, struct str *out)
{
	const struct probe_report *look = seen->from_host.target != NULL ? &seen->from_host : &seen->from_here;
	const struct diagnosis *d = &seen->diagnosis;
	struct server sv = { .id = 0 };
	char stamp[32];
	size_t i;

	(void)store_server_get(j->store, server, &sv, NULL);
	str_addf(out, "To: postmaster@%s\nSubject: TLS of your mail servers: %s\n\n", clean(d->destination), d->failure ? d->failure->title : "trouble");
	str_addf(out, "Mail from %s to %s does not leave here: %s.\n", sv.host_name ? clean(sv.host_name) : "our mail host", clean(d->destination),
	    d->failure ? d->failure->title : "the cause is not known");
	if (seen->since > 0) {
		when_rfc3339(stamp, seen->since);
		str_addf(out, "It waits since %s.\n", stamp);
	}
	when_rfc3339(stamp, when_now());
	str_addf(out, "\nWhat we see (%s):\n", stamp);
	for (i = 0; i < look->n; i++) {
		const struct probe_host *p = &look->v[i];

		str_addf(out, "  %s [%s]:%d: %s", clean(p->host), clean(p->address), p->port, p->trouble ? clean(p->trouble) : "TLS works");
		if (p->tls)
			str_addf(out, " (%s, %s)", clean(p->protocol), clean(p->cipher));
		str_addc(out, '\n');
	}
	clean_text(out, d->evidence.s, d->evidence.len, true);
	str_add(out, "\nTo see it yourself:\n");
	if (look->n > 0) {
		str_add(out, "  openssl s_client -starttls smtp -verify_return_error -connect ");
		str_add_word(out, clean(look->v[0].host));
		str_addf(out, ":%d -servername ", look->v[0].port);
		str_add_word(out, clean(look->v[0].host));
		str_addc(out, '\n');
	}
	str_addf(out, "  posttls-finger -l %s ", text_empty(seen->level) ? "encrypt" : clean(seen->level));
	str_add_word(out, clean(d->destination));
	str_addc(out, '\n');
	server_release(&sv);
}
