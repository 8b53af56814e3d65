/* Properties of a virtual server: General, Access, Delivery. The fields are rows of the table of settings; beside them
 * stands what the mail system will get. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

struct properties {
	struct vserver vs;
	bool has_certificate;    /* one that peers can use is assigned or in use */
};

static void
properties_free(void *data)
{
	struct properties *p = data;

	vserver_release(&p->vs);
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

static int
check_require(const struct form *f, const char *value, struct str *note, struct err *e)
{
	if (check_needs_certificate(f, value, note, e) == -1)
		return -1;
	if (strcmp(value, "require") == 0 && of(f)->vs.port == 25)
		str_add(note, "Servers without TLS cannot deliver to you any more (RFC 3207 advises against it on port 25).");
	return 0;
}

static int
check_outbound(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	(void)e;
	if (strcmp(value, "none") != 0 && strcmp(value, "may") != 0 && strcmp(value, "dane") != 0)
		str_add(note, "Mail to every destination that cannot do this will wait and then bounce; a connector makes "
		    "exceptions.");
	return 0;
}

static const struct page pages[] = {
	{ .name = "general", .title = "General" },
	{ .name = "access", .title = "Access",
	  .intro = "Certificate and Communication: what peers and clients that connect to it may and must do." },
	{ .name = "delivery", .title = "Delivery", .intro = "Outbound security of all mail that no connector takes." },
	{ .name = NULL }
};

static bool
is_default(const struct form *f)
{
	return of(f) == NULL || of(f)->vs.is_default;
}

#define SETTING(n, p, ...) { .name = n, .page = p, .kind = FIELD_SETTING, ##__VA_ARGS__ }

static const struct field fields[] = {
	{ .name = "listen", .page = "general", .label = "Listens on", .kind = FIELD_NOTE,
	  .help = "Addresses and ports, from master.cf." },
	{ .name = "greets", .page = "general", .label = "Name in EHLO", .kind = FIELD_NOTE,
	  .help = "myhostname: the name peers see; the certificate should cover it." },
	SETTING("log.tls", "general"),
	{ .name = "certificate", .page = "access", .label = "Certificate", .kind = FIELD_NOTE,
	  .help = "c opens the certificate wizard." },
	SETTING("inbound.tls", "access", .check = check_require),
	SETTING("inbound.protocol-min", "access"),
	SETTING("inbound.ciphers", "access"),
	SETTING("inbound.auth-needs-tls", "access"),
	SETTING("inbound.client-cert", "access"),
	SETTING("outbound.tls", "delivery", .check = check_outbound, .shown = is_default),
	SETTING("outbound.protocol-min", "delivery", .shown = is_default),
	SETTING("outbound.ciphers", "delivery", .shown = is_default),
	SETTING("outbound.smart-host", "delivery", .shown = is_default),
	SETTING("outbound.helo-name", "delivery", .shown = is_default),
	SETTING("outbound.retry.first", "delivery", .shown = is_default),
	SETTING("outbound.retry.max", "delivery", .shown = is_default),
	SETTING("outbound.expire-after", "delivery", .shown = is_default),
	SETTING("outbound.notify-after", "delivery", .shown = is_default),
	{ .name = "sends", .page = "delivery", .label = "Outbound", .kind = FIELD_NOTE,
	  .help = "Mail is sent by the client of the default virtual server." },
	{ .name = NULL }
};

static const struct found_value *
found_find(const struct vserver *vs, const char *name)
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

static int
load(struct form *f, struct err *e)
{
	struct properties *p = xcalloc(1, sizeof(*p));
	struct wanted_list w = { NULL, 0 };
	struct server sv = { .id = 0 };
	const struct field *fd;
	size_t i;

	f->data = p;
	f->data_free = properties_free;
	if (store_vserver_get(journey_store(f->journey), f->object, &p->vs, e) == -1 ||
	    store_server_get(journey_store(f->journey), p->vs.server, &sv, e) == -1 ||
	    store_wanted(journey_store(f->journey), f->object, &w, e) == -1) {
		server_release(&sv);
		return -1;
	}
	(void)form_set(f, "listen", p->vs.listen ? p->vs.listen : "-", NULL);
	(void)form_set(f, "greets", sv.host_name ? sv.host_name : "-", NULL);
	(void)form_set(f, "sends", p->vs.is_default ? "this virtual server sends the host's mail"
	    : "set on the default virtual server of the host", NULL);
	for (i = 0; i < w.n; i++)
		(void)form_set(f, w.v[i].name, w.v[i].value, NULL);
	for (fd = f->sheet->fields; fd->name != NULL; fd++) {
		const struct found_value *fv = found_find(&p->vs, fd->name);

		if (fd->kind == FIELD_SETTING && fv != NULL)
			form_note(f, fd->name, "on the host: %s (%s)", fv->value ? fv->value : fv->native, fv->source);
	}
	load_certificate(f, p);
	wanted_list_release(&w);
	server_release(&sv);
	return 0;
}

static void
preview(const struct form *f, const char *page, struct str *out)
{
	const struct field *fd;
	struct str lines = STR_INIT;
	size_t i;

	for (i = 0; f->sheet->fields[i].name != NULL; i++) {
		fd = &f->sheet->fields[i];
		if (fd->kind != FIELD_SETTING || *f->value[i] == '\0' || (page != NULL && strcmp(page, fd->page) != 0))
			continue;
		str_reset(&lines);
		native_lines(f->journey, f->object, fd->name, f->value[i], &lines);
		for (char *save = NULL, *l = strtok_r(lines.s, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save))
			str_addf(out, "%c %s\n", strcmp(f->value[i], f->was[i]) ? '*' : ' ', l);
	}
	str_release(&lines);
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
	.fields = fields, .act = "Keep", .load = load, .preview = preview, .command = command, .start = start,
};
