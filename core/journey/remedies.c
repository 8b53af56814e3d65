/* THE TABLE of remedies. Which of them help, and in what order they are to be tried, says the failure class (queue/failures.c); a row
 * here says whether it is possible as things are, and fills in what it opens. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/remedies.h"
#include "mxseal/setting.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define TRANSCRIPT_LINES 40

struct asked {
	struct journey *j;
	const struct destination_view *seen;
	const struct failure *failure;
	const char *domain, *class_name;
	struct server sv;
	struct vserver vs;               /* the default one */
	char *vs_name;                   /* in full */
};

/* --- is it possible here? --- */

static bool
mail_waits(const struct asked *a)
{
	return a->seen->waiting > 0;
}

static bool
always(const struct asked *a)
{
	(void)a;
	return true;
}

static bool
helps(const struct asked *a)
{
	struct err ignored;

	return !text_eq(a->seen->level, "none") && workaround_helps(a->seen, &ignored) == 0;
}

static bool
is_ours(const struct asked *a)
{
	return a->seen->diagnosis.side == SIDE_OURS;
}

static bool
can_be_lowered(const struct asked *a)
{
	return a->failure->tls && !text_empty(a->seen->level) && !text_eq(a->seen->level, "none") && !text_eq(a->seen->level, "may");
}

/* --- what it opens --- */

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

/* "20:45 (in 4 min)"; another day with its date. */
static void
moment(struct str *out, int64_t at)
{
	int64_t now = when_now();
	char stamp[32], ago[16];

	when_rfc3339(stamp, at);
	stamp[16] = '\0';
	stamp[10] = ' ';
	when_ago(ago, at > now ? at - now : now - at);
	str_addf(out, "%s UTC (%s%s%s)", at - now < 43200 && now - at < 43200 ? stamp + 11 : stamp, at > now ? "in " : "", ago, at > now ? "" : " ago");
}

static int64_t
seconds_of(const struct asked *a, const char *name)
{
	const char *value = found(a, name);

	return value != NULL ? setting_seconds(value) : -1;
}

static void
wait_fill(const struct asked *a, struct remedy_offer *o)
{
	const struct destination_view *seen = a->seen;
	int64_t longest = seconds_of(a, "outbound.retry.max");
	int64_t now = when_now(), oldest = seen->oldest, notify = seconds_of(a, "outbound.notify-after"), end = seconds_of(a, "outbound.expire-after");
	char ago[16], most[16] = "few hours";

	if (longest > 0)
		when_ago(most, longest);
	if (seen->next_retry > now) {
		when_ago(ago, seen->next_retry - now);
		str_addf(&o->brief, "next try in %s", ago);
	} else
		str_addf(&o->brief, "tried again at least every %s", most);
	if (oldest > 0 && notify > 0 && oldest + notify > now) {
		when_ago(ago, oldest + notify - now);
		str_addf(&o->brief, "; \"delayed\" in %s", ago);
	}
	if (oldest > 0 && end > 0) {
		when_ago(ago, oldest + end - now);
		str_addf(&o->brief, "; returned in %s", oldest + end > now ? ago : "no time");
	}
	str_addf(&o->says, "Nothing is changed. %lld message%s for %s wait%s on %s.\n\n", (long long)seen->waiting, seen->waiting == 1 ? "" : "s",
	    clean(a->domain), seen->waiting == 1 ? "s" : "", a->sv.name);
	str_add(&o->says, "Oldest     ");
	moment(&o->says, oldest);
	str_add(&o->says, "\nNext try   ");
	if (seen->next_retry > now)
		moment(&o->says, seen->next_retry);
	else
		str_add(&o->says, "as soon as the host comes to it");
	str_addf(&o->says, ", then at least every %s\nDelayed    ", most);
	if (notify > 0 && oldest > 0) {
		str_add(&o->says, oldest + notify > now ? "the sender of the oldest is told at " : "the sender of the oldest was told at ");
		moment(&o->says, oldest + notify);
	} else
		str_add(&o->says, "senders are not told while it waits");
	str_add(&o->says, "\nReturned   ");
	if (end > 0 && oldest > 0) {
		str_add(&o->says, "the oldest to its sender at ");
		moment(&o->says, oldest + end);
	} else
		str_add(&o->says, "after the time that the host has set");
	str_addc(&o->says, '\n');
	opens(o, "virtual-server", a->vs.id, a->vs_name, (const char *const[]){ "@page", "delivery", NULL });
	o->command = xasprintf("mxseal queue %s", a->sv.name);
}

/* The connector for exactly this domain by this server, if there is one. */
static bool
connector_of(const struct asked *a, struct connector *out)
{
	struct connector_list l = { NULL, 0 };
	size_t i, k, len = strlen(a->sv.name);
	bool is = false;

	if (store_connectors(a->j->store, &l, NULL) == -1)
		return false;
	for (i = 0; i < l.n && !is; i++) {
		char **domains = words_split(l.v[i].domains != NULL ? l.v[i].domains : "", " ", NULL);
		char **via = words_split(l.v[i].via != NULL ? l.v[i].via : "", " ", NULL);
		bool ours = false;

		for (k = 0; via[k] != NULL; k++)
			ours = ours || (strncmp(via[k], a->sv.name, len) == 0 && (via[k][len] == '/' || via[k][len] == '\0'));
		for (k = 0; ours && domains[k] != NULL && !is; k++) {
			domains[k][strcspn(domains[k], ",")] = '\0';
			is = text_ieq(domains[k], a->domain);
		}
		words_free(domains);
		words_free(via);
		if (is) {
			*out = l.v[i];
			memset(&l.v[i], 0, sizeof(l.v[i]));
		}
	}
	connector_list_release(&l);
	return is;
}

/* The connector's dialog at its page of outbound security: that of the domain, or a new one. */
static void
opens_connector(const struct asked *a, struct remedy_offer *o, const char *level)
{
	struct connector c = { .id = 0 };
	char review[16];

	when_date(review, when_now() + 30 * 86400);
	if (connector_of(a, &c)) {
		opens(o, "connector", c.id, c.name, (const char *const[]){ "tls", level, "reason", a->failure->title, "review", review, "@page",
		    "advanced", NULL });
		o->command = xasprintf("mxseal connector set %s --tls %s --review %s", c.name, level, review);
	} else {
		opens(o, "connector", 0, a->vs_name, (const char *const[]){ "name", a->domain, "domain", a->domain, "via", a->vs_name, "tls", level,
		    "reason", a->failure->title, "review", review, "@page", "advanced", NULL });
		o->command = xasprintf("mxseal connector add %s --domain %s --via %s --tls %s --review %s", a->domain, a->domain, a->vs_name, level,
		    review);
	}
	connector_release(&c);
}

/* The strictest of the weaker levels at which its mail would leave by what the host saw; without a look what the class lets expect. */
static const char *
lower_level(const struct asked *a)
{
	static const char *const weaker[] = { "secure", "verify", "encrypt", "may" };
	const size_t n = sizeof(weaker) / sizeof(weaker[0]);
	const struct probe_report *look = &a->seen->from_host;
	size_t i, from = 0;

	for (i = 0; i < n; i++)
		if (text_eq(a->seen->level, weaker[i]))
			from = i + 1;
	for (i = from; i < n; i++)
		if (probe_meets(look, weaker[i], false))
			return weaker[i];
	return look->n > 0 || text_eq(a->seen->level, "encrypt") || text_eq(a->class_name, "tls-not-offered") ? "may" : "encrypt";
}

static void
lower_fill(const struct asked *a, struct remedy_offer *o)
{
	const char *level = lower_level(a);

	opens_connector(a, o, level);
	str_addf(&o->brief, "\"%s\" instead of \"%s\" for this domain: a plan first", level, clean(a->seen->level));
	str_addf(&o->says, "A connector for %s asks \"%s\" instead of \"%s\", with a day of review%s; other mail goes on as before.", clean(a->domain), level,
	    clean(a->seen->level), strcmp(level, "may") == 0 ? ". Its mail may then leave without TLS" : "");
}

static void
workaround_fill(const struct asked *a, struct remedy_offer *o)
{
	opens(o, "workaround", a->sv.id, a->sv.name, (const char *const[]){ "domain", a->domain, NULL });
	str_add(&o->brief, "its mail leaves without TLS until they can: a plan first");
	str_add(&o->says, "A virtual server without TLS, paired with a connector for just this domain; what waits is tried again after the push. It "
	    "ends by itself when the other side can do TLS again.");
	o->command = xasprintf("mxseal workaround %s %s", a->sv.name, a->domain);
}

/* What is wrong on the host and only a person can mend there: nothing here changes it, so it says what to do. By where it is, or by class. */
static const struct by_hand { const char *where, *brief, *says; } by_hands[] = {
	{ "clock", "its clock, by hand on the host",
	  "Its clock is wrong, so certificates look expired or not begun there. Nothing here sets clocks. On the host:\n\n"
	  "  timedatectl                     what it thinks, and whether it is synchronised\n"
	  "  timedatectl set-ntp true        or: chronyc makestep\n" },
	{ "resolver", "its resolver, by hand on the host",
	  "Its DNS says something else than elsewhere. Nothing here changes its resolver. On the host:\n\n"
	  "  cat /etc/resolv.conf            who is asked\n"
	  "  getent ahosts MAIL-SERVER       what it says for the mail servers in the evidence\n\n"
	  "Name another resolver there, or mend that one; then restart Postfix, which keeps a copy of that file for what runs in its cage.\n" },
	{ "trust-store", "the authorities it trusts, by hand on the host",
	  "It knows too few authorities, or cannot read them, so it rejects certificates that are good or does no TLS at all. On the host:\n\n"
	  "  update-ca-certificates --fresh  makes them anew, where one is damaged; a file of your own: mend what the evidence names\n"
	  "  ls -l /etc/ssl/certs | wc -l    are they there? else: apt-get install ca-certificates\n"
	  "  postconf -e smtp_tls_CApath=/etc/ssl/certs\n"
	  "  postfix reload\n\n"
	  "An authority of one partner alone: put its certificate into a file and name that as smtp_tls_CAfile.\n" },
	{ "client-cert-required", "a client certificate, by hand on the host",
	  "The other side wants a certificate of ours, and none is shown when it sends. If its own certificate is accepted there, on the host:\n\n"
	  "  postconf smtpd_tls_chain_files                  the certificate that it has\n"
	  "  postconf -e smtp_tls_chain_files=THAT-FILE\n"
	  "  postfix reload\n" },
	{ "local-error", "its mail system, by hand on the host",
	  "A disk, a program or a setting of it fails. On the host:\n\n"
	  "  df -h /var/spool/postfix; postfix check; tail -n 50 /var/log/mail.log\n" },
	{ "sender-rejected", "our name or address, by hand",
	  "The other side rejects who we are. Its reply, in the evidence, usually names the list or the record: its reverse DNS, SPF of the sender's "
	  "domain, or a block list that has a form to be taken off.\n" },
};

static void
repair_certificate(const struct asked *a, struct remedy_offer *o)
{
	opens(o, "certificate", a->vs.id, a->vs_name, (const char *const[]){ NULL });
	str_addf(&o->brief, "the certificate of %s: the wizard makes another", a->vs_name);
	str_addf(&o->says, "The certificate or key of %s is in the way: the certificate wizard makes another, a push puts it there.", a->vs_name);
	o->command = xasprintf("mxseal cert request %s", a->vs_name);
}

/* Ours are asked before the administrator's own tables, and who answers first decides. */
static void
repair_policy(const struct asked *a, struct remedy_offer *o)
{
	const char *level = found(a, "outbound.tls");

	opens_connector(a, o, level != NULL ? level : "may");
	str_addf(&o->brief, "a connector (\"%s\") in front of the wrong row: a plan first", level != NULL ? level : "may");
	str_addf(&o->says, "What %s's TLS policy says for this next hop cannot be used. A connector for %s asks for what holds elsewhere there, and "
	    "is asked before it. The row itself is its administrator's: mxseal route %s anybody@%s shows where it stands.", a->sv.name,
	    clean(a->domain), a->sv.name, clean(a->domain));
}

static void
repair_level(const struct asked *a, struct remedy_offer *o)
{
	opens_connector(a, o, "encrypt");
	str_add(&o->brief, "\"encrypt\" for this domain: a plan first");
	str_addf(&o->says, "A connector for %s asks for TLS, which its server insists on.", clean(a->domain));
}

static void
repair_connector(const struct asked *a, struct remedy_offer *o)
{
	struct connector c = { .id = 0 };

	if (connector_of(a, &c)) {
		opens(o, "connector", c.id, c.name, (const char *const[]){ NULL });
		o->command = xasprintf("mxseal connector show %s", c.name);
		str_addf(&o->brief, "route, port and login of the connector %s", clean(c.name));
		str_addf(&o->says, "%s Its connector is %s.", a->failure->advice, clean(c.name));
	} else {
		o->route = xasprintf("anybody@%s", a->domain);
		o->command = xasprintf("mxseal route %s anybody@%s", a->sv.name, a->domain);
		str_add(&o->brief, "the route shows who decides where it goes");
		str_addf(&o->says, "%s No connector of ours is for it: the route shows what decides.", a->failure->advice);
	}
	connector_release(&c);
}

/* Each of these opens what mends it. */
static const struct mends { const char *class_name; void (*fill)(const struct asked *a, struct remedy_offer *o); } mends[] = {
	{ "local-key-problem", repair_certificate }, { "peer-rejected-our-cert", repair_certificate }, { "local-policy-problem", repair_policy },
	{ "remote-requires-tls", repair_level }, { "relay-denied", repair_connector }, { "auth-failed", repair_connector },
	{ "wrapper-mismatch", repair_connector },
};

static void
repair_fill(const struct asked *a, struct remedy_offer *o)
{
	size_t i;

	for (i = 0; i < sizeof(mends) / sizeof(mends[0]); i++)
		if (text_eq(mends[i].class_name, a->class_name) && !text_eq(a->seen->diagnosis.where, "trust-store")) {
			mends[i].fill(a, o);
			return;
		}
	for (i = 0; i < sizeof(by_hands) / sizeof(by_hands[0]); i++)
		if (text_eq(by_hands[i].where, a->seen->diagnosis.where) || text_eq(by_hands[i].where, a->class_name)) {
			str_add(&o->brief, by_hands[i].brief);
			str_addf(&o->says, "On %s. %s", a->sv.name, by_hands[i].says);
			return;
		}
	str_addf(&o->brief, "by hand on %s: the evidence says where", a->sv.name);
	str_addf(&o->says, "%s Nothing here can change that; a person has to, on %s.", a->failure->advice != NULL ? a->failure->advice :
	    "It is on our side; the evidence says where.", a->sv.name);
}

static void
complain_fill(const struct asked *a, struct remedy_offer *o)
{
	str_add(&o->brief, "a letter to their postmaster, to be copied or saved");
	complaint_text(a->j, a->sv.id, a->seen, &o->says);
	o->command = xasprintf("mxseal remedy complain %s %s --out FILE", a->sv.name, a->domain);
}

static void
hold_fill(const struct asked *a, struct remedy_offer *o)
{
	str_addf(&o->brief, "keep %s back, neither tried nor returned", a->seen->waiting == 1 ? "the message" : "the messages");
	str_addf(&o->says, "The %lld message%s that wait%s for it %s kept and not tried until released (mxseal queue release); %s not returned meanwhile.",
	    (long long)a->seen->waiting, a->seen->waiting == 1 ? "" : "s", a->seen->waiting == 1 ? "s" : "", a->seen->waiting == 1 ? "is" : "are",
	    a->seen->waiting == 1 ? "it is" : "they are");
	o->command = xasprintf("mxseal queue hold %s --destination %s", a->sv.name, a->domain);
}

static const struct remedy {
	const char *name, *title;
	bool (*possible)(const struct asked *a);
	void (*fill)(const struct asked *a, struct remedy_offer *o);
} remedies[] = {
	{ "wait", "Wait", mail_waits, wait_fill },
	{ "lower", "Lower what is asked of this domain", can_be_lowered, lower_fill },
	{ "workaround", "Let its mail leave without TLS for a while", helps, workaround_fill },
	{ "repair", "Repair it on our side", is_ours, repair_fill },
	{ "complain", "Write to their postmaster", always, complain_fill },
	{ "hold", "Keep the messages back", mail_waits, hold_fill },
};

static const struct remedy *
remedy_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
		if (strcmp(remedies[i].name, name) == 0)
			return &remedies[i];
	return NULL;
}

static void
offer(const struct remedy *r, const struct asked *a, struct remedy_offers *out)
{
	struct remedy_offer *o;

	ARRAY_GROW(out->v, out->n);
	o = &out->v[out->n++];
	memset(o, 0, sizeof(*o));
	o->name = r->name;
	o->title = r->title;
	str_init(&o->says, 0);
	str_init(&o->brief, 0);
	r->fill(a, o);
}

void
remedies_for(struct journey *j, int64_t server, const struct destination_view *seen, struct remedy_offers *out)
{
	struct asked a = { .j = j, .seen = seen, .failure = seen->diagnosis.failure, .domain = seen->diagnosis.destination };
	char **names;
	size_t i;

	memset(out, 0, sizeof(*out));
	if (a.failure == NULL || a.domain == NULL || store_server_get(j->store, server, &a.sv, NULL) == -1)
		return;
	a.class_name = a.failure->name;
	(void)store_vserver_by_name(j->store, a.sv.name, &a.vs, NULL);
	a.vs_name = a.vs.name != NULL ? xasprintf("%s/%s", a.sv.name, a.vs.name) : xstrdup(a.sv.name);
	names = words_split(seen->diagnosis.remedies != NULL ? seen->diagnosis.remedies : "", ",", NULL);
	for (i = 0; names[i] != NULL; i++) {
		const struct remedy *r = remedy_find(names[i]);

		if (r != NULL && r->possible(&a))
			offer(r, &a, out);
	}
	words_free(names);
	free(a.vs_name);
	server_release(&a.sv);
	vserver_release(&a.vs);
}

void
remedy_offers_release(struct remedy_offers *o)
{
	size_t i, k;

	for (i = 0; i < o->n; i++) {
		str_release(&o->v[i].says);
		str_release(&o->v[i].brief);
		free(o->v[i].route);
		for (k = 0; o->v[i].preset != NULL && o->v[i].preset[k] != NULL; k++)
			free(o->v[i].preset[k]);
		free(o->v[i].preset);
		free(o->v[i].object_name);
		free(o->v[i].command);
	}
	free(o->v);
	memset(o, 0, sizeof(*o));
}

/* A title as it is said to those whom it is about: "Their certificate has expired: mx1 ..." is ours, up to the colon. */
static void
say_to_them(const char *words, struct str *out)
{
	static const struct { const char *ours, *theirs; } say[] = { { "Their ", "Your " }, { "their ", "your " },
	    { "The other side ", "Your mail server " } };
	const char *end = strstr(words, ": "), *p = words;
	size_t i;

	for (end = end != NULL ? end : words + strlen(words); p < end; p++) {
		for (i = 0; i < sizeof(say) / sizeof(say[0]) && !text_starts(p, say[i].ours); i++)
			;
		if (i < sizeof(say) / sizeof(say[0]) && (p == words || p[-1] == ' ')) {
			str_add(out, say[i].theirs);
			p += strlen(say[i].ours) - 1;
		} else {
			str_addc(out, *p);
		}
	}
	str_add(out, end);
}

/* What is done on our side is nobody's business there. */
static void
complaint_evidence(const char *evidence, struct str *out)
{
	char **lines = words_split(evidence, "\n", NULL);
	size_t i;

	for (i = 0; lines[i] != NULL; i++) {
		const char *verdict = text_starts(lines[i], "Seen from ") ? strstr(lines[i], ": ") : NULL;
		struct str line = STR_INIT;

		if (text_starts(lines[i], "On our side"))
			continue;
		if (verdict != NULL) {
			str_addn(&line, lines[i], (size_t)(verdict + 2 - lines[i]));
			say_to_them(verdict + 2, &line);
		} else {
			str_add(&line, lines[i]);
		}
		clean_text(out, line.s, line.len, false);
		str_addc(out, '\n');
		str_release(&line);
	}
	words_free(lines);
}

/* What was said with the first of their servers that failed. */
static void
complaint_transcript(const struct probe_report *look, struct str *out)
{
	size_t i, n = 0;
	char **lines;

	for (i = 0; i < look->n && (look->v[i].trouble == NULL || text_empty(look->v[i].transcript)); i++)
		;
	if (i == look->n)
		return;
	str_addf(out, "\nWhat was said with %s (C: we, S: your server):\n", clean(look->v[i].host));
	lines = words_split(look->v[i].transcript, "\n", NULL);
	for (; lines[n] != NULL && n < TRANSCRIPT_LINES; n++) {
		str_add(out, "  ");
		clean_text(out, lines[n], strlen(lines[n]), false);
		str_addc(out, '\n');
	}
	words_free(lines);
}

void
complaint_text(struct journey *j, int64_t server, const struct destination_view *seen, struct str *out)
{
	const struct probe_report *look = seen->from_host.target != NULL ? &seen->from_host : &seen->from_here;
	const struct diagnosis *d = &seen->diagnosis;
	struct server sv = { .id = 0 };
	struct str title = STR_INIT;
	char stamp[32];
	size_t i;

	(void)store_server_get(j->store, server, &sv, NULL);
	say_to_them(d->failure ? d->failure->title : "the cause is not known", &title);
	str_addf(out, "To: postmaster@%s\nSubject: TLS of your mail servers: %s\n\n", clean(d->destination), title.s);
	str_addf(out, seen->waiting > 0 || seen->since > 0 ? "Mail from %s to " : "We looked from %s at the mail servers of ", sv.host_name ?
	    clean(sv.host_name) : "our mail host");
	str_addf(out, seen->waiting > 0 || seen->since > 0 ? "%s does not leave here: " : "%s: ", clean(d->destination));
	str_addf(out, "%s.\n", title.s);
	str_release(&title);
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
	complaint_evidence(d->evidence.s, out);
	complaint_transcript(look, out);
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
