/* The connector dialog: address spaces by DNS route, outbound security, the virtual servers that send for it. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static bool
level_has_match(const struct form *f)
{
	return strcmp(form_get(f, "tls"), "verify") == 0 || strcmp(form_get(f, "tls"), "secure") == 0;
}

/* "bank.test", "*.bank.test", each with ",cost" */
static int
check_domains(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char **w = words_split(value, " ", NULL), *comma, *end;
	struct str name = STR_INIT;
	int rc = 0;
	long cost;
	size_t i;

	(void)f;
	for (i = 0; w[i] != NULL && rc == 0; i++) {
		comma = strchr(w[i], ',');
		if (comma != NULL) {
			*comma = '\0';
			cost = strtol(comma + 1, &end, 10);
			if (*end != '\0' || end == comma + 1 || cost < 1 || cost > 100)
				rc = err_set(e, RC_INVALID, "%s: the cost is a number from 1 to 100", clean(w[i]));
		}
		str_reset(&name);
		if (rc == 0 && strcmp(w[i], "*") == 0) {
			err_set(e, RC_INVALID, "the address space * is every domain");
			rc = err_hint(e, "that is the Delivery tab of the virtual server, not a connector by DNS route");
		} else if (rc == 0)
			rc = name_to_ascii(w[i], &name, e);
		if (rc == 0 && strcmp(name.s, w[i]) != 0)
			str_addf(note, "%s is %s in DNS. ", w[i], name.s);
	}
	words_free(w);
	str_release(&name);
	return rc;
}

static int
check_via(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char **w = words_split(value, " ", NULL);
	struct vserver vs = { .id = 0 };
	int rc = 0;
	size_t i;

	(void)note;
	for (i = 0; w[i] != NULL && rc == 0; i++) {
		rc = store_vserver_by_name(journey_store(f->journey), w[i], &vs, e);
		vserver_release(&vs);
	}
	words_free(w);
	return rc;
}

static int
check_review(const struct form *f, const char *value, struct str *note, struct err *e)
{
	int64_t t;

	(void)f;
	(void)note;
	return when_parse_date(&t, value, e);
}

static const struct page pages[] = {
	{ .name = "general", .title = "General" },
	{ .name = "space", .title = "Address space" },
	{ .name = "advanced", .title = "Advanced", .intro = "Outbound security for these domains only." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "name", .page = "general", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED,
	  .help = "What you call this connector.", .example = "bank" },
	{ .name = "via", .page = "general", .label = "Sent by", .kind = FIELD_LIST, .flags = FIELD_REQUIRED, .check = check_via,
	  .help = "The virtual servers that send for it (local bridgeheads), blank between.", .example = "mx1/smtp" },
	{ .name = "reason", .page = "general", .label = "Reason", .kind = FIELD_TEXT,
	  .help = "Why it is there: your colleagues will ask." },
	{ .name = "review", .page = "general", .label = "Review on", .kind = FIELD_TEXT, .check = check_review,
	  .help = "The day when somebody should ask whether it is still needed.", .example = "2027-03-31" },
	{ .name = "domain", .page = "space", .label = "E-mail domains", .kind = FIELD_LIST, .flags = FIELD_REQUIRED,
	  .check = check_domains, .help = "The domains this connector is for, blank between; *.bank.test is all below "
	  "bank.test. The more specific one wins over the less specific. A cost may follow after a comma.",
	  .example = "bank.test,1 *.bank.test,5" },
	{ .name = "tls", .page = "advanced", .label = "Outbound security", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED,
	  .choices = tls_level_choices,
	  .initial = "encrypt", .help = "What this connector asks of the other side. none: never TLS, the way around a "
	  "destination whose TLS is broken. encrypt: TLS or the mail waits, any certificate. verify, secure: the "
	  "certificate must be right as well." },
	{ .name = "match", .page = "advanced", .label = "Names to match", .kind = FIELD_LIST, .shown = level_has_match,
	  .help = "Names the certificate may have, where they are not the usual ones (verify: the MX name, secure: the "
	  "domain).", .example = "mx.bank.test" },
	{ .name = NULL }
};

static void
to_record(const struct form *f, struct connector *c)
{
	xset(&c->name, form_get(f, "name"));
	xset(&c->domains, form_get(f, "domain"));
	xset(&c->route, "dns");
	xset(&c->via, form_get(f, "via"));
	xset(&c->tls, form_get(f, "tls"));
	xset(&c->match, level_has_match(f) && *form_get(f, "match") ? form_get(f, "match") : NULL);
	xset(&c->reason, *form_get(f, "reason") ? form_get(f, "reason") : NULL);
	xset(&c->review, *form_get(f, "review") ? form_get(f, "review") : NULL);
}

static int
load(struct form *f, struct err *e)
{
	struct connector c = { .id = 0 };
	size_t i;

	if (f->object == 0) {
		if (f->object_name != NULL)            /* opened on a virtual server: it sends */
			return form_set(f, "via", f->object_name, e);
		return 0;
	}
	if (store_connector_get(journey_store(f->journey), f->object, &c, e) == -1)
		return -1;
	const struct { const char *name, *value; } rows[] = {
		{ "name", c.name }, { "domain", c.domains }, { "via", c.via }, { "tls", c.tls }, { "match", c.match },
		{ "reason", c.reason }, { "review", c.review },
	};
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		(void)form_set(f, rows[i].name, rows[i].value ? rows[i].value : "", NULL);
	connector_release(&c);
	return 0;
}

static void
preview(const struct form *f, const char *page, struct str *out)
{
	char **w = words_split(form_get(f, "domain"), " ", NULL), *comma;
	size_t i;

	(void)page;
	if (w[0] != NULL)
		str_addf(out, "What Postfix will get, in front of the administrator's own rules:\n");
	for (i = 0; w[i] != NULL; i++) {
		comma = strchr(w[i], ',');
		if (comma != NULL)
			*comma = '\0';
		str_addf(out, "  %s %s", w[i][0] == '*' ? w[i] + 1 : w[i], form_get(f, "tls"));
		if (level_has_match(f) && *form_get(f, "match"))
			str_addf(out, " match=%s", form_get(f, "match"));
		str_addc(out, '\n');
	}
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
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	struct connector c = { .id = 0 };
	int rc = 0;

	if (f->object != 0)
		rc = store_connector_get(journey_store(f->journey), f->object, &c, e);
	if (rc == 0) {
		to_record(f, &c);
		rc = connector_save(f->journey, &c, e);
	}
	if (rc == 0) {
		f->result_id = c.id;
		str_addf(&f->result, "The connector %s is kept here. A push carries it to the hosts.\n", c.name);
	}
	connector_release(&c);
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_connector = {
	.name = "connector", .title = "SMTP connector", .kind = SHEET_TABS, .object = OBJECT_CONNECTOR, .pages = pages,
	.fields = fields, .act = "Keep", .load = load, .preview = preview, .command = command, .start = start,
};
