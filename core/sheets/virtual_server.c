/* Properties of a virtual server: General, Access, Messages, Delivery, and what is to be read: Certificate, Raw, History
 * (virtual_server_pages.c). The fields are rows of the table of settings; beside them stands what the mail system will get. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtual_server.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static void
properties_free(void *data)
{
	struct properties *p = data;

	vserver_release(&p->vs);
	server_release(&p->server);
	listener_log_release(&p->log);
	wanted_list_release(&p->wanted);
	free(p);
}

static const struct properties *
of(const struct form *f)
{
	return f->data;
}

/* Communication is there only with a certificate, as in the original dialog. */
static int
check_needs_certificate(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)note;
	if (strcmp(value, "off") == 0 || of(f)->has_certificate)
		return 0;
	err_set(e, RC_INVALID, "%s has no valid certificate yet, so it cannot offer TLS", f->object_name);
	return err_hint(e, "request one with the certificate wizard (c), or assign one");
}

static bool
newly_stricter(const struct form *f, const char *name)
{
	size_t i = 0;

	return form_field(f, name, &i) != NULL && strcmp(f->value[i], f->was[i]) != 0 && vs_stricter(&of(f)->vs, name, f->value[i]);
}

/* "require", "tls1.2", "require,tls1.2": what is newly asked of senders, with what is asked of them anyway. */
static bool
inbound_forecast(const struct form *f, char out[64])
{
	const struct found_value *found = found_of_vs(&of(f)->vs, "inbound.tls");
	const char *tls = form_get(f, "inbound.tls"), *floor = form_get(f, "inbound.protocol-min");
	bool required = strcmp(*tls != '\0' ? tls : found && found->value ? found->value : "off", "require") == 0;
	bool floored = newly_stricter(f, "inbound.protocol-min");

	snprintf(out, 64, "%s%s%s", required ? "require" : "", required && floored ? "," : "", floored ? floor : "");
	return floored || (required && newly_stricter(f, "inbound.tls"));
}

/* A level of outbound security is rehearsed for all mail of the default virtual server. */
static bool
outbound_forecast(const struct form *f, char out[64])
{
	snprintf(out, 64, "%s", form_get(f, "outbound.tls"));
	return of(f)->vs.is_default && newly_stricter(f, "outbound.tls");
}

static bool
forecast(const struct form *f, const char *page, struct sheet_forecast *out)
{
	bool in_first = text_eq(page, "access");
	int i;

	out->server = of(f)->vs.server;
	out->vserver = of(f)->vs.id;
	for (i = 0; i < 2; i++) {
		out->inbound = in_first == (i == 0);
		if (out->inbound ? inbound_forecast(f, out->level) : outbound_forecast(f, out->level))
			return true;
	}
	return false;
}

/* With figures from the host's log. */
static void
note_strict(const struct form *f, const char *name, const char *value, struct str *note)
{
	bool in = text_starts(name, "inbound.");
	const char *service = in ? of(f)->log.service : NULL;
	size_t before;
	char level[64];

	if (!vs_stricter(&of(f)->vs, name, value))
		return;
	if (in && inbound_forecast(f, level) && rehearsal_fresh(f->journey, of(f)->server.id, service, level))
		(void)rehearsal_sentence(f->journey, of(f)->server.id, service, level, note);
	else
		traffic_sentence(f->journey, &of(f)->server, service, name, value, note);
	str_addc(note, ' ');
	before = note->len;
	if (in)
		listener_log_sentence(&of(f)->log, note);
	if (note->len == before)
		note->s[--note->len] = '\0';
}

static int
check_secure(const struct form *f, const char *value, struct str *note, struct err *e)
{
	if (check_needs_certificate(f, value, note, e) == -1)
		return -1;
	if (strcmp(value, "require") == 0 && of(f)->vs.port == 25)
		str_add(note, "Servers without TLS cannot deliver to you any more (RFC 3207 advises against it on port 25). ");
	note_strict(f, "inbound.tls", value, note);
	return 0;
}

static int
check_protocol(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)e;
	note_strict(f, "inbound.protocol-min", value, note);
	return 0;
}

static int
check_client_cert(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)e;
	note_strict(f, "inbound.client-cert", value, note);
	return 0;
}

static int
check_outbound(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)e;
	if (strcmp(value, "none") != 0 && strcmp(value, "may") != 0 && strcmp(value, "dane") != 0)
		str_add(note, "Mail to every destination that cannot do this will wait and then bounce; a connector makes "
		    "exceptions. ");
	note_strict(f, "outbound.tls", value, note);
	return 0;
}

static int
check_anonymous(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)e;
	if (strcmp(value, "no") == 0 && of(f)->vs.port == 25)
		str_add(note, "Other mail servers do not log in: no mail from outside comes in by port 25 any more.");
	return 0;
}

static int
check_relay(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	(void)e;
	if (strcmp(value, "none") == 0)
		str_add(note, "Programs on the host itself that send by SMTP may then not relay either: 127.0.0.0/8 and ::1 let them.");
	return 0;
}

static const struct page pages[] = {
	{ .name = "general", .title = "General" },
	{ .name = "access", .title = "Access" },
	{ .name = "messages", .title = "Messages" },
	{ .name = "delivery", .title = "Delivery" },
	{ .name = "certificate", .title = "Certificate", .text = true },
	{ .name = "raw", .title = "Raw", .text = true },
	{ .name = "history", .title = "History", .text = true },
	{ .name = NULL }
};

#define SETTING(n, p, ...) { .name = n, .page = p, .kind = FIELD_SETTING, ##__VA_ARGS__ }

static const struct field fields[] = {
	{ .name = "listen", .page = "general", .label = "Listens on", .kind = FIELD_NOTE,
	  .help = "Addresses and ports, from master.cf." },
	SETTING("inbound.name", "general"),
	SETTING("inbound.connections", "general"),
	SETTING("inbound.connections-per-client", "general"),
	SETTING("inbound.timeout", "general"),
	SETTING("log.tls", "general"),
	SETTING("log.format", "general"),
	{ .name = "certificate", .page = "access", .label = "Certificate", .kind = FIELD_NOTE,
	  .help = "What TLS is offered with; the page Certificate tells more, and c in the tree opens the wizard." },
	SETTING("inbound.tls", "access", .check = check_secure),
	SETTING("inbound.protocol-min", "access", .check = check_protocol),
	SETTING("inbound.ciphers", "access"),
	SETTING("inbound.client-cert", "access", .check = check_client_cert),
	SETTING("inbound.anonymous", "access", .check = check_anonymous),
	SETTING("inbound.auth", "access"),
	SETTING("inbound.auth-needs-tls", "access"),
	SETTING("inbound.auth-domain", "access"),
	SETTING("inbound.auth-windows", "access"),
	SETTING("inbound.clients.only", "access"),
	SETTING("inbound.clients.except", "access"),
	SETTING("inbound.relay.networks", "access", .check = check_relay),
	SETTING("inbound.relay.authenticated", "access"),
	SETTING("inbound.reverse-lookup", "access"),
	SETTING("inbound.message-size", "messages"),
	SETTING("inbound.session-size", "messages"),
	SETTING("outbound.messages-per-connection", "messages"),
	SETTING("inbound.recipients", "messages"),
	SETTING("notices.copy-to", "messages"),
	SETTING("notices.badmail", "messages"),
	SETTING("inbound.unknown-recipients", "messages"),
	SETTING("outbound.tls", "delivery", .check = check_outbound),
	SETTING("outbound.protocol-min", "delivery"),
	SETTING("outbound.ciphers", "delivery"),
	SETTING("outbound.auth", "delivery"),
	SETTING("outbound.retry.first", "delivery"),
	SETTING("outbound.retry.second", "delivery"),
	SETTING("outbound.retry.max", "delivery"),
	SETTING("outbound.notify-after", "delivery"),
	SETTING("outbound.expire-after", "delivery"),
	SETTING("notices.expire-after", "delivery"),
	SETTING("local.expire-after", "delivery"),
	SETTING("outbound.connections", "delivery"),
	SETTING("outbound.timeout.connect", "delivery"),
	SETTING("outbound.timeout", "delivery"),
	SETTING("outbound.connections-per-domain", "delivery"),
	SETTING("outbound.port", "delivery"),
	SETTING("outbound.hop-count", "delivery"),
	SETTING("outbound.masquerade", "delivery"),
	SETTING("outbound.helo-name", "delivery"),
	SETTING("outbound.helo-only", "delivery"),
	SETTING("outbound.smart-host", "delivery"),
	SETTING("outbound.fallback-host", "delivery"),
	SETTING("outbound.dns-servers", "delivery"),
	{ .name = NULL }
};

const struct found_value *
found_of_vs(const struct vserver *vs, const char *name)
{
	size_t i;

	for (i = 0; i < vs->found.n; i++)
		if (text_eq(vs->found.v[i].name, name))
			return &vs->found.v[i];
	return NULL;
}

/* What the Certificate line says, and whether there is one that peers can use. */
static void
load_certificate(struct form *f, struct properties *p)
{
	struct certificate c = { .id = 0 };
	struct cert_verdict v = { .in_time = false };
	struct str s = STR_INIT;
	char date[16];

	if (p->vs.certificate_set && p->vs.certificate != 0 &&
	    store_certificate_get(journey_store(f->journey), p->vs.certificate, &c, NULL) == 0) {
		when_date(date, c.not_after);
		str_addf(&s, "#%lld %s, good until %s", (long long)c.id, c.cn ? c.cn : "-", date);
		p->has_certificate = c.not_after > when_now();
	} else if (!p->vs.certificate_set && p->vs.cert_pem != NULL && cert_describe(p->vs.cert_pem, &c, NULL) == 0) {
		when_date(date, c.not_after);
		cert_verify(p->vs.cert_pem, NULL, NULL, when_now(), &v);
		str_addf(&s, "found: %s, by %s, until %s%s%s", c.cn ? c.cn : "-", c.issuer, date,
		    p->vs.cert_trouble ? "; " : "", p->vs.cert_trouble ? p->vs.cert_trouble : "");
		/* Debian's snake oil is a certificate, but none that helps anybody */
		p->has_certificate = v.in_time && p->vs.cert_trouble == NULL && !text_eq(c.subject, c.issuer);
	} else
		str_add(&s, "none");
	(void)form_set(f, "certificate", s.s, NULL);
	str_release(&s);
	certificate_release(&c);
}

static const struct wanted *
wanted_of_vs(const struct properties *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->wanted.n; i++)
		if (strcmp(p->wanted.v[i].name, name) == 0)
			return &p->wanted.v[i];
	return NULL;
}

/* What is on the host now, where that comes from, and where what is wanted was said when not here. */
static void
note_found(struct form *f, const struct properties *p, const char *name)
{
	const struct found_value *fv = found_of_vs(&p->vs, name);
	const struct wanted *w = wanted_of_vs(p, name);
	const char *text = fv ? fv->value ? fv->value : fv->native : NULL;
	struct str s = STR_INIT;

	if (text != NULL)
		str_addf(&s, "on the host: %.*s (%s)", (int)strcspn(text, "\n"), text,
		    w && text_eq(w->value, fv->value) && strcmp(fv->source, "default") != 0 ? "ours" : fv->source);
	if (w != NULL && strcmp(w->scope, "vs") != 0)
		str_addf(&s, "%swanted for the whole %s", s.len ? "; " : "", w->scope);
	form_note(f, name, "%s", s.s);
	str_release(&s);
}

static int
load(struct form *f, struct err *e)
{
	struct properties *p = xcalloc(1, sizeof(*p));
	struct str why = STR_INIT;
	const struct field *fd;
	size_t i;

	f->data = p;
	f->data_free = properties_free;
	if (store_vserver_get(journey_store(f->journey), f->object, &p->vs, e) == -1 ||
	    store_server_get(journey_store(f->journey), p->vs.server, &p->server, e) == -1 ||
	    store_wanted(journey_store(f->journey), f->object, &p->wanted, e) == -1)
		return -1;
	(void)listener_log(f->journey, p->vs.server, p->vs.id, &p->log, NULL);
	(void)form_set(f, "listen", p->vs.listen ? p->vs.listen : "-", NULL);
	for (fd = f->sheet->fields; fd->name != NULL; fd++) {
		if (fd->kind != FIELD_SETTING)
			continue;
		str_reset(&why);
		if (text_starts(fd->name, "inbound.") && (text_eq(p->vs.kind, "outbound") || text_eq(p->vs.listen_wanted, "")))
			form_lock(f, fd->name, "it only sends");
		else if (setting_declined(f->journey, f->object, fd->name, &why))
			form_lock(f, fd->name, why.s);
		else
			note_found(f, p, fd->name);
	}
	for (i = 0; i < p->wanted.n; i++) {
		fd = form_field(f, p->wanted.v[i].name, NULL);
		if (fd != NULL)
			(void)form_set(f, fd->name, p->wanted.v[i].value, NULL);
	}
	load_certificate(f, p);
	str_release(&why);
	return 0;
}

/* Without EHLO there is no TLS: the two do not go together, whichever is edited. */
static int
check(const struct form *f, const char **field, struct err *e)
{
	const struct found_value *tls = found_of_vs(&of(f)->vs, "outbound.tls"), *helo = found_of_vs(&of(f)->vs, "outbound.helo-only");
	const char *level = form_get(f, "outbound.tls"), *only = form_get(f, "outbound.helo-only");

	if (*level == '\0' && *only == '\0')
		return 0;
	if (*level == '\0')
		level = tls && tls->value ? tls->value : "none";
	if (*only == '\0')
		only = helo && helo->value ? helo->value : "no";
	if (strcmp(only, "yes") != 0 || strcmp(level, "none") == 0 || strcmp(level, "may") == 0)
		return 0;
	if (field != NULL)
		*field = "outbound.helo-only";
	err_set(e, RC_INVALID, "HELO instead of EHLO does not go together with outbound security %s: without EHLO there is no TLS", level);
	return err_hint(e, "set outbound.helo-only=no, or outbound.tls=none");
}

/* Everything edited that asks more of peers, as one question. */
static bool
ask(const struct form *f, struct str *question)
{
	struct str in = STR_INIT, out = STR_INIT, *names;
	size_t i;

	for (i = 0; f->sheet->fields[i].name != NULL; i++) {
		const struct field *fd = &f->sheet->fields[i];

		names = text_starts(fd->name, "outbound.") ? &out : &in;
		if (fd->kind != FIELD_SETTING || strcmp(f->value[i], f->was[i]) == 0 || !vs_stricter(&of(f)->vs, fd->name, f->value[i]))
			continue;
		str_addf(names, "%s%s=%s", names->len ? " " : "", fd->name, f->value[i]);
	}
	strict_question(in.s, out.s, question);
	str_release(&in);
	str_release(&out);
	return question->len > 0;
}

/* Rehearsed when somebody has chosen what is stricter: each destination is looked at from the host, senders are judged by its
 * log; else figures are read for what needs them. */
static int64_t
look(struct form *f, const char *page, sheet_done_fn *done, void *arg)
{
	struct sheet_forecast first;
	bool wanted = forecast(f, page, &first);
	struct rehearse_ask rehearsing = { .inbound = first.inbound, .vserver = first.vserver, .level = first.level, .days = REHEARSE_DAYS };
	struct str question = STR_INIT;
	bool needed = ask(f, &question);

	str_release(&question);
	if (wanted && !rehearsal_fresh(f->journey, first.server, first.inbound ? of(f)->log.service : NULL, first.level))
		return rehearse(f->journey, first.server, &rehearsing, NULL, done, arg, NULL);
	return needed ? figures_look(f, of(f)->vs.server, done, arg) : 0;
}

static void
preview_fields(const struct form *f, const char *page, struct str *out)
{
	const struct field *fd;
	struct str lines = STR_INIT;
	size_t i;

	for (i = 0; f->sheet->fields[i].name != NULL; i++) {
		fd = &f->sheet->fields[i];
		if (fd->kind != FIELD_SETTING || *f->value[i] == '\0' || form_locked(f, fd) != NULL || (page != NULL && strcmp(page, fd->page) != 0))
			continue;
		str_reset(&lines);
		native_lines(f->journey, f->object, fd->name, f->value[i], &lines);
		for (char *save = NULL, *l = strtok_r(lines.s, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save))
			str_addf(out, "%c %s\n", strcmp(f->value[i], f->was[i]) ? '*' : ' ', l);
	}
	str_release(&lines);
}

static void
preview(const struct form *f, const char *page, struct str *out)
{
	if (text_eq(page, "certificate"))
		vs_page_certificate(f, out);
	else if (text_eq(page, "raw"))
		vs_page_raw(f, out);
	else if (text_eq(page, "history"))
		vs_page_history(f, out);
	else
		preview_fields(f, page, out);
}

static void
command(const struct form *f, struct str *out)
{
	struct str word = STR_INIT;
	size_t i;

	for (i = 0; f->sheet->fields[i].name != NULL; i++) {
		if (f->sheet->fields[i].kind != FIELD_SETTING || strcmp(f->value[i], f->was[i]) == 0)
			continue;
		if (out->len == 0)
			str_addf(out, "mxseal vs set %s", f->object_name);
		str_reset(&word);
		str_addf(&word, "%s=%s", f->sheet->fields[i].name, f->value[i]);
		str_addc(out, ' ');
		str_add_word(out, word.s);
	}
	str_release(&word);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	const char *names[64], *values[64];
	size_t i, n = 0;
	int rc = 0;

	for (i = 0; f->sheet->fields[i].name != NULL && n < 64; i++)
		if (f->sheet->fields[i].kind == FIELD_SETTING && strcmp(f->value[i], f->was[i]) != 0) {
			names[n] = f->sheet->fields[i].name;
			values[n++] = f->value[i];
		}
	if (n > 0)
		rc = vserver_set(f->journey, f->object, names, values, n, e);
	if (rc == 0 && n == 0)
		str_add(&f->result, "Nothing was edited.\n");
	else if (rc == 0)
		str_addf(&f->result, "%zu edit%s kept here. A push carries %s to the host.\n", n, n == 1 ? " is" : "s are",
		    n == 1 ? "it" : "them");
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_virtual_server = {
	.name = "virtual-server", .title = "Properties", .kind = SHEET_TABS, .object = OBJECT_VSERVER, .pages = pages,
	.fields = fields, .act = "Keep", .load = load, .check = check, .ask = ask,
	.look = look, .forecast = forecast, .preview = preview, .command = command, .start = start,
};
