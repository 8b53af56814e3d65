/* The connector dialog: a route by DNS or smart hosts for address spaces, the virtual servers that send for it, outbound
 * security, logging in, and what the original dialog had and a mail system cannot do, each with the reason. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/connector.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static bool
level_has_match(const struct form *f)
{
	return strcmp(form_get(f, "tls"), "verify") == 0 || strcmp(form_get(f, "tls"), "secure") == 0;
}

static bool
by_smart_host(const struct form *f)
{
	return strcmp(form_get(f, "route"), "smart-host") == 0;
}

static bool
logs_in(const struct form *f)
{
	return by_smart_host(f) && *form_get(f, "auth-user") != '\0';
}

/* --- while typing --- */

static int
check_name(const struct form *f, const char *value, struct str *note, struct err *e)
{
	size_t name = 0;

	(void)form_field(f, "name", &name);
	return strcmp(value, f->was[name]) == 0 && f->object ? 0 : sheet_check_name(f, value, note, e);
}

/* "bank.test", "*.bank.test", each with ",cost" */
int
sheet_check_domains(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char **w = words_split(value, " ", NULL);
	struct address_space s;
	int rc = 0;
	size_t i;

	for (i = 0; w[i] != NULL && rc == 0; i++) {
		rc = address_space_parse(w[i], &s, e);
		w[i][strcspn(w[i], ",")] = '\0';
		if (rc == 0 && !s.all && !text_ieq(s.domain, w[i] + (s.below ? 2 : 0)))
			str_addf(note, "%s is %s%s in DNS. ", w[i], s.below ? "*." : "", s.domain);
		if (rc == 0 && s.all && by_smart_host(f))
			str_add(note, "* is every domain that is neither this host's own nor one it relays for. ");
		address_space_release(&s);
	}
	words_free(w);
	return rc;
}

static int
check_smart_hosts(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char **w = words_split(value, " ", NULL);
	struct next_hop h;
	int rc = 0;
	size_t i;

	(void)f;
	for (i = 0; w[i] != NULL && rc == 0; i++) {
		rc = next_hop_parse(w[i], &h, e);
		if (rc == 0 && strcmp(h.text, w[i]) != 0)
			str_addf(note, "%s is kept as %s. ", w[i], h.text);
		next_hop_release(&h);
	}
	words_free(w);
	return rc;
}

int
sheet_check_via(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char **w = words_split(value, " ", NULL);
	struct vserver vs = { .id = 0 };
	int64_t first = 0;
	int rc = 0;
	size_t i;

	for (i = 0; w[i] != NULL && rc == 0; i++) {
		rc = store_vserver_by_name(journey_store(f->journey), w[i], &vs, e);
		if (rc == 0 && i > 0 && vs.server == first && note->len == 0)
			str_addf(note, "! Of several virtual servers of one host only the first sends. ");
		if (i == 0)
			first = vs.server;
		vserver_release(&vs);
	}
	words_free(w);
	return rc;
}

static int
check_senders(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char **w = words_split(value, " ", NULL);
	int rc = 0;
	size_t i;

	(void)f, (void)note;
	for (i = 0; w[i] != NULL && rc == 0; i++)
		rc = sender_parse(w[i], e);
	words_free(w);
	return rc;
}

static int
check_match(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct connector c = { .domains = xstrdup("example.org"), .tls = xstrdup(form_get(f, "tls")), .match = xstrdup(value) };
	int rc = connector_check(&c, NULL, e);

	(void)note;
	connector_release(&c);
	return rc;
}

static int
check_user(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f, (void)note;
	return auth_user_check(value, e);
}

static int
check_password(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f, (void)note;
	return auth_password_check(value, strlen(value), e);
}

int
sheet_check_review(const struct form *f, const char *value, struct str *note, struct err *e)
{
	int64_t t;

	(void)f;
	(void)note;
	return when_parse_date(&t, value, e);
}

/* --- the tables --- */

static const struct page pages[] = {
	{ .name = "general", .title = "General" },
	{ .name = "space", .title = "Address space" },
	{ .name = "content", .title = "Content", .intro = "Content restrictions." },
	{ .name = "options", .title = "Delivery", .intro = "Delivery options." },
	{ .name = "advanced", .title = "Advanced", .intro = "Outbound security for these domains only." },
	{ .name = "restrictions", .title = "Restrictions", .intro = "Delivery restrictions." },
	{ .name = "details", .title = "Details" },
	{ .name = NULL }
};

static const struct choice routes[] = {
	{ "dns", "by DNS, for each address space", NULL },
	{ "smart-host", "through smart hosts", NULL },
	{ NULL, NULL, NULL }
};

static const struct choice deliveries[] = {
	{ "always", "always", NULL },
	{ "etrn", "kept until the other side asks (ETRN)", NULL },
	{ NULL, NULL, NULL }
};

static const struct field fields[] = {
	{ .name = "name", .page = "general", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = check_name,
	  .help = "What you call this connector.", .example = "bank" },
	{ .name = "route", .page = "general", .label = "Route", .kind = FIELD_CHOICE, .choices = routes, .initial = "dns",
	  .help = "dns: to the mail servers of each domain. smart-host: all of it to other hosts, which pass it on." },
	{ .name = "smart-host", .page = "general", .label = "Smart hosts", .kind = FIELD_LIST, .check = check_smart_hosts,
	  .shown = by_smart_host, .help = "In the order they are tried, blank between, each with :port where it is not 25. [name] is "
	  "that host; a name without brackets is looked up like a mail domain (MX). TLS rules are written under this very text.",
	  .example = "[relay.test]:587 [backup.test]" },
	{ .name = "via", .page = "general", .label = "Sent by", .kind = FIELD_LIST, .flags = FIELD_REQUIRED, .check = sheet_check_via,
	  .help = "The virtual servers that send for it (local bridgeheads), blank between; one for each host.", .example = "mx1/smtp" },

	{ .name = "domain", .page = "space", .label = "E-mail domains", .kind = FIELD_LIST, .flags = FIELD_REQUIRED,
	  .check = sheet_check_domains, .help = "The domains this connector is for, blank between; *.bank.test is all below bank.test, * is "
	  "every domain (smart hosts only). The more specific one wins whatever it costs; among equals the lower cost, 1 to 100 "
	  "after a comma.", .example = "bank.test,1 *.bank.test,5" },
	{ .name = "relay-note", .page = "space", .label = "Relay for these", .kind = FIELD_NOTE,
	  .initial = "Not here on Postfix: who may relay stands on the Access tab of the virtual server, for all domains." },

	{ .name = "size-note", .page = "content", .label = "Allowed sizes", .kind = FIELD_NOTE,
	  .initial = "Not on Postfix: it has no size limit for a route. A message over a limit would take another one past this "
	  "connector's TLS; the limit for all is on the Messages tab of the virtual server." },
	{ .name = "priority-note", .page = "content", .label = "Priorities", .kind = FIELD_NOTE,
	  .initial = "Not on Postfix: it routes by addresses and never by what stands in a message." },
	{ .name = "type-note", .page = "content", .label = "Types", .kind = FIELD_NOTE,
	  .initial = "Not on Postfix: reports have an empty sender, but are routed like all mail." },

	{ .name = "delivery", .page = "options", .label = "Messages are sent", .kind = FIELD_CHOICE, .choices = deliveries,
	  .initial = "always", .help = "always, or etrn: mail for these domains is kept in the queue until somebody asks for the domain by ETRN. It "
	  "leaves by a client service of its own; when it is asked for, it goes the connector's route." },
	{ .name = "schedule-note", .page = "options", .label = "Connection time", .kind = FIELD_NOTE,
	  .initial = "Not on Postfix: it has no times of the day for a route. With ETRN a timer on the host can ask: "
	  "postqueue -s DOMAIN." },
	{ .name = "oversize-note", .page = "options", .label = "Oversize messages", .kind = FIELD_NOTE,
	  .initial = "Not on Postfix: no other times for large ones." },

	{ .name = "tls", .page = "advanced", .label = "Outbound security", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED,
	  .choices = tls_level_choices,
	  .initial = "encrypt", .help = "What this connector asks of the other side. none: never TLS, the way around a "
	  "destination whose TLS is broken. encrypt: TLS or the mail waits, any certificate. verify, secure: the "
	  "certificate must be right as well." },
	{ .name = "match", .page = "advanced", .label = "Names to match", .kind = FIELD_LIST, .shown = level_has_match,
	  .check = check_match,
	  .help = "Names the certificate may have, where they are not the usual ones (verify: the MX name, secure: the "
	  "domain or smart host). Or fingerprints of certificates, sha256:HEX: then nothing else is looked at.",
	  .example = "mx.bank.test" },
	{ .name = "auth-user", .page = "advanced", .label = "Log in as", .kind = FIELD_TEXT, .shown = by_smart_host,
	  .check = check_user, .help = "The user that logs in to the smart hosts; empty: nobody. Needs encrypt or stronger, so that the "
	  "password never travels without TLS." },
	{ .name = "password", .page = "advanced", .label = "Password", .kind = FIELD_SECRET, .flags = FIELD_NO_OPTION,
	  .shown = logs_in, .check = check_password, .help = "Sealed here with your passphrase; on the host it stands in one file that "
	  "only root may read. Empty: as it was." },
	{ .name = "helo-note", .page = "advanced", .label = "HELO, not EHLO", .kind = FIELD_NOTE,
	  .initial = "Not offered: without EHLO there is no STARTTLS. Postfix falls back to HELO by itself at none and may." },
	{ .name = "etrn-note", .page = "advanced", .label = "Send ETRN/TURN", .kind = FIELD_NOTE,
	  .initial = "Not on Postfix: it answers ETRN (Delivery) and never asks." },

	{ .name = "sender", .page = "restrictions", .label = "Only from", .kind = FIELD_LIST, .check = check_senders,
	  .help = "Only mail from these senders takes this connector: addresses, or @ and a domain. Kept only with the address space *: "
	  "for a domain of its own Postfix looks at the recipient alone.", .example = "@sales.test anna@bank.test" },
	{ .name = "reject-note", .page = "restrictions", .label = "Reject from", .kind = FIELD_NOTE,
	  .initial = "Not on Postfix: a route refuses nobody. Who may send at all stands on the Access tab of the virtual server." },

	{ .name = "reason", .page = "details", .label = "Reason", .kind = FIELD_TEXT,
	  .help = "Why it is there: your colleagues will ask." },
	{ .name = "review", .page = "details", .label = "Review on", .kind = FIELD_TEXT, .check = sheet_check_review,
	  .help = "The day when somebody should ask whether it is still needed.", .example = "2027-03-31" },
	{ .name = "created-note", .page = "details", .label = "Made", .kind = FIELD_NOTE, .initial = "not yet" },
	{ .name = NULL }
};

/* --- record and form --- */

static void
put(char **to, const struct form *f, const char *name, bool use)
{
	xset(to, use && *form_get(f, name) != '\0' ? form_get(f, name) : NULL);
}

static void
to_record(const struct form *f, struct connector *c)
{
	put(&c->name, f, "name", true);
	put(&c->domains, f, "domain", true);
	put(&c->route, f, "route", true);
	put(&c->smart_hosts, f, "smart-host", by_smart_host(f));
	put(&c->via, f, "via", true);
	put(&c->tls, f, "tls", true);
	put(&c->match, f, "match", level_has_match(f));
	put(&c->auth_user, f, "auth-user", by_smart_host(f));
	put(&c->senders, f, "sender", true);
	put(&c->delivery, f, "delivery", true);
	put(&c->reason, f, "reason", true);
	put(&c->review, f, "review", true);
}

static void
say_troubles(struct form *f, const struct connector *c)
{
	struct str text = STR_INIT;

	connector_troubles(f->journey, c, &text);
	if (text.len > 0)
		form_note(f, "domain", "! %.*s", (int)strcspn(text.s, "\n"), text.s);
	str_release(&text);
}

static int
load(struct form *f, struct err *e)
{
	struct connector c = { .id = 0 };
	char date[16];
	size_t i;

	if (f->object == 0) {
		if (f->object_name != NULL)            /* opened on a virtual server: it sends */
			return form_set(f, "via", f->object_name, e);
		return 0;
	}
	if (store_connector_get(journey_store(f->journey), f->object, &c, e) == -1)
		return -1;
	when_date(date, c.created_at);
	const struct { const char *name, *value; } rows[] = {
		{ "name", c.name }, { "domain", c.domains }, { "route", text_empty(c.route) ? "dns" : c.route },
		{ "smart-host", c.smart_hosts }, { "via", c.via }, { "tls", c.tls }, { "match", c.match },
		{ "auth-user", c.auth_user }, { "sender", c.senders }, { "delivery", text_empty(c.delivery) ? "always" : c.delivery },
		{ "reason", c.reason }, { "review", c.review }, { "created-note", date },
	};
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		(void)form_set(f, rows[i].name, rows[i].value ? rows[i].value : "", NULL);
	if (!text_empty(c.auth_sealed))
		form_note(f, "password", "kept here, sealed");
	say_troubles(f, &c);
	connector_release(&c);
	return 0;
}

/* Is the password of this user kept already? */
static bool
password_kept(const struct form *f)
{
	struct connector c = { .id = 0 };
	bool kept = f->object != 0 && store_connector_get(journey_store(f->journey), f->object, &c, NULL) == 0
	    && !text_empty(c.auth_sealed) && text_eq(c.auth_user, form_get(f, "auth-user"));

	connector_release(&c);
	return kept;
}

static int
check(const struct form *f, const char **field, struct err *e)
{
	struct connector c = { .id = 0 };
	const char *wrong = NULL;
	int rc;

	to_record(f, &c);
	rc = connector_check(&c, &wrong, e);
	if (rc == 0 && c.auth_user != NULL && *form_get(f, "password") == '\0' && !password_kept(f)) {
		rc = err_set(e, RC_INVALID, "the password of %s is needed", clean(c.auth_user));
		wrong = "password";
	}
	if (field != NULL)
		*field = wrong;
	connector_release(&c);
	return rc;
}

/* --- what comes of it --- */

static void
preview_policy(const struct form *f, const char *key, struct str *out)
{
	bool match = level_has_match(f) && *form_get(f, "match") != '\0';

	str_addf(out, "  %s %s%s%s\n", key, match && match_is_fingerprints(form_get(f, "match")) ? "fingerprint" : form_get(f, "tls"),
	    match ? " match=" : "", match ? form_get(f, "match") : "");
}

static void
preview_smart_hosts(const struct form *f, char *const *spaces, struct str *out)
{
	char **hosts = words_split(form_get(f, "smart-host"), " ", NULL), **senders = words_split(form_get(f, "sender"), " ", NULL);
	struct str all = STR_INIT;
	struct next_hop h;
	size_t i, k;

	for (i = 0; hosts[i] != NULL; i++) {
		if (next_hop_parse(hosts[i], &h, NULL) == 0)
			str_addf(&all, "%s%s", all.len ? ", " : "", h.text);
		next_hop_release(&h);
	}
	str_add(out, "Routes:\n");
	for (i = 0; spaces[i] != NULL; i++)
		if (strcmp(spaces[i], "*") != 0)
			str_addf(out, "  %s smtp:%s\n", spaces[i] + (*spaces[i] == '*'), all.s);
		else {
			for (k = 0; senders[k] != NULL; k++)
				str_addf(out, "  from %s smtp:%s\n", senders[k], all.s);
			if (k == 0)
				str_addf(out, "  from everybody smtp:%s\n", all.s);
		}
	str_add(out, "TLS, by next hop:\n");
	for (i = 0; hosts[i] != NULL; i++) {
		if (next_hop_parse(hosts[i], &h, NULL) == 0)
			preview_policy(f, h.text, out);
		next_hop_release(&h);
	}
	words_free(hosts);
	words_free(senders);
	str_release(&all);
}

static void
preview(const struct form *f, const char *page, struct str *out)
{
	char **w = words_split(form_get(f, "domain"), " ", NULL);
	size_t i;

	(void)page;
	if (w[0] != NULL)
		str_addf(out, "What Postfix will get, in front of the administrator's own rules:\n");
	for (i = 0; w[i] != NULL; i++)
		w[i][strcspn(w[i], ",")] = '\0';
	if (by_smart_host(f))
		preview_smart_hosts(f, w, out);
	else
		for (i = 0; w[i] != NULL; i++)
			preview_policy(f, w[i] + (*w[i] == '*'), out);
	words_free(w);
}

static void
command(const struct form *f, struct str *out)
{
	static const char *const words[] = { "name", NULL };

	size_t name = 0;

	(void)form_field(f, "name", &name);
	str_addf(out, "mxseal connector %s ", f->object ? "set" : "add");
	str_add_word(out, f->object ? f->was[name] : f->value[name]);
	sheet_options(f, strcmp(f->was[name], f->value[name]) != 0 && f->object ? NULL : words, out);
}

static int64_t
look(struct form *f, const char *page, sheet_done_fn *done, void *arg)
{
	return strcmp(page, "general") == 0 ? connector_hosts_look(f->journey, f, done, arg) : 0;
}

/* --- keeping it --- */

static int
seal_password(const struct form *f, struct connector *c, struct err *e)
{
	const char *typed = form_get(f, "password");
	struct secret password = { NULL, 0 };
	int rc;

	if (c->auth_user == NULL || *typed == '\0')
		return 0;
	secret_set(&password, typed, strlen(typed));
	rc = connector_seal(f->journey, c, &password, e);
	secret_release(&password);
	return rc;
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	struct connector c = { .id = 0 };
	struct str troubles = STR_INIT;
	int rc = 0;

	if (f->object != 0)
		rc = store_connector_get(journey_store(f->journey), f->object, &c, e);
	if (rc == 0) {
		to_record(f, &c);
		rc = seal_password(f, &c, e);
	}
	if (rc == 0)
		rc = connector_save(f->journey, &c, e);
	if (rc == 0) {
		f->result_id = c.id;
		connector_troubles(f->journey, &c, &troubles);
		str_addf(&f->result, "The connector %s is kept here. A push carries it to the hosts.\n%s", c.name, troubles.s);
	}
	connector_release(&c);
	str_release(&troubles);
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_connector = {
	.name = "connector", .title = "SMTP connector", .kind = SHEET_TABS, .object = OBJECT_CONNECTOR, .pages = pages,
	.fields = fields, .act = "Keep", .load = load, .check = check, .preview = preview, .command = command, .look = look,
	.start = start,
};
