/* Two recipes, each one edit that a push carries out: TLS to selected domains (a connector), and TLS everywhere but a few (the
 * default virtual server sends with TLS only, a virtual server that only sends does without, and a connector for the few is
 * bound to it). */
#include <stdlib.h>
#include <string.h>

#include "virtual_server.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

static const struct choice levels[] = {
	{ "encrypt", "Encrypt: TLS or the mail waits", "Any certificate will do: it keeps those out who only listen." },
	{ "verify", "Verify: and the certificate must name the mail host", NULL },
	{ "secure", "Secure: and it must name the domain", "Whoever answers for the domain's MX in DNS cannot take the mail." },
	{ "dane", "DANE: as the domain's own DNS says, where it says so", NULL },
	{ "dane-only", "DANE only: or the mail waits", NULL },
	{ NULL, NULL, NULL }
};

/* "mx1/smtp" of "mx1", as the store knows the default one. */
static int
default_of(const struct form *f, const char *server, struct vserver *out, struct err *e)
{
	return store_vserver_by_name(journey_store(f->journey), server, out, e);
}

static void
each_domain(const char *domains, const char *before, const char *after, struct str *out)
{
	char **w = words_split(domains, " ", NULL);
	size_t i;

	for (i = 0; w[i] != NULL; i++) {
		w[i][strcspn(w[i], ",")] = '\0';
		str_addf(out, "%s%s%s\n", before, w[i][0] == '*' ? w[i] + 1 : w[i], after);
	}
	words_free(w);
}

static int
free_name(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct connector c = { .id = 0 };

	if (sheet_check_name(f, value, note, e) == -1)
		return -1;
	if (store_connector_by_name(journey_store(f->journey), value, &c, NULL) == -1)
		return 0;
	connector_release(&c);
	return err_set(e, RC_EXISTS, "there is a connector %s already", clean(value));
}

/* Not all of them: that is a setting of the virtual server. */
static int
chosen_domains(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char **w = words_split(value, " ", NULL);
	bool all = false;

	for (size_t i = 0; w[i] != NULL; i++)
		all = all || strcmp(w[i], "*") == 0 || text_starts(w[i], "*,");
	words_free(w);
	if (!all)
		return sheet_check_domains(f, value, note, e);
	err_set(e, RC_INVALID, "* is every domain, and this is for some of them");
	return err_hint(e, "what holds for all mail is set on the virtual server: outbound.tls");
}

static void
fill(const struct form *f, struct connector *c, const char *via, const char *tls)
{
	c->name = xstrdup(form_get(f, "name"));
	c->domains = xstrdup(form_get(f, "domain"));
	c->route = xstrdup("dns");
	c->via = xstrdup(via);
	c->tls = xstrdup(tls);
	c->reason = *form_get(f, "reason") ? xstrdup(form_get(f, "reason")) : NULL;
	c->review = *form_get(f, "review") ? xstrdup(form_get(f, "review")) : NULL;
}

#define REASON(on) { .name = "reason", .page = on, .label = "Reason", .kind = FIELD_TEXT, \
	  .help = "Why it is so: your colleagues will ask." }
#define REVIEW(on) { .name = "review", .page = on, .label = "Review on", .kind = FIELD_TEXT, .check = sheet_check_review, \
	  .help = "The day when somebody should ask whether it is still needed.", .example = "2027-03-31" }

/* --- TLS to selected domains --- */

static const struct page to_pages[] = {
	{ .name = "domains", .title = "Domains", .intro = "Mail to these domains leaves with TLS, or waits here until it can. All other "
	  "mail goes on as before." },
	{ .name = "security", .title = "How sure", .intro = "What must be right before mail for them leaves?" },
	{ .name = "sender", .title = "Sent by", .intro = "Which virtual servers send to them, and what shall it be called?" },
	{ .name = NULL }
};

static const struct field to_fields[] = {
	{ .name = "domain", .page = "domains", .label = "E-mail domains", .kind = FIELD_LIST, .flags = FIELD_REQUIRED,
	  .check = chosen_domains, .help = "The domains, blank between; *.bank.test is all below bank.test.",
	  .example = "bank.test *.bank.test" },
	{ .name = "tls", .page = "security", .label = "Outbound security", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED, .choices = levels,
	  .initial = "encrypt", .help = "What is asked of the other side; where it cannot do that, mail waits and then returns." },
	{ .name = "name", .page = "sender", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = free_name,
	  .help = "What the connector is called that does it.", .example = "bank" },
	{ .name = "via", .page = "sender", .label = "Sent by", .kind = FIELD_LIST, .flags = FIELD_REQUIRED, .check = sheet_check_via,
	  .help = "The virtual servers that send, blank between; one for each host.", .example = "mx1/smtp" },
	REASON("sender"),
	REVIEW("sender"),
	{ .name = NULL }
};

static int
to_load(struct form *f, struct err *e)
{
	return f->object_name != NULL ? form_set(f, "via", f->object_name, e) : 0;
}

static void
to_preview(const struct form *f, const char *page, struct str *out)
{
	char *level = xasprintf(" %s", form_get(f, "tls"));

	(void)page;
	str_addf(out, "One connector, %s, sent by %s.\nWhat Postfix will get, in front of the administrator's own rules "
	    "(smtp_tls_policy_maps):\n", *form_get(f, "name") ? form_get(f, "name") : "NAME", *form_get(f, "via") ? form_get(f, "via") : "nobody yet");
	each_domain(form_get(f, "domain"), "  ", level, out);
	str_add(out, "Where a domain has another next hop than itself, the rule stands under that: the plan shows it.\n");
	free(level);
}

static void
to_command(const struct form *f, struct str *out)
{
	static const char *const words[] = { "name", NULL };

	str_add(out, "mxseal recipe tls-to ");
	str_add_word(out, *form_get(f, "name") ? form_get(f, "name") : "NAME");
	sheet_options(f, words, out);
}

static int64_t
to_start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	struct store *st = journey_store(f->journey);
	struct connector c = { .id = 0 };
	int rc = store_edit_begin(st, e);

	if (rc == -1)
		return -1;
	fill(f, &c, form_get(f, "via"), form_get(f, "tls"));
	rc = connector_save(f->journey, &c, e);
	rc = store_edit_end(st, rc, e, "TLS (%s) to %s by %s", c.tls, c.domains, c.via);
	if (rc == 0) {
		f->result_id = c.id;
		str_addf(&f->result, "Mail to %s will leave with TLS or wait: the connector %s is kept here. A push carries it to the hosts.\n",
		    c.domains, c.name);
	}
	connector_release(&c);
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_recipe_tls_to = {
	.name = "tls-to", .title = "TLS to selected domains", .kind = SHEET_WIZARD, .object = OBJECT_NONE, .pages = to_pages,
	.fields = to_fields, .act = "Keep", .load = to_load, .preview = to_preview, .command = to_command, .start = to_start,
};

/* --- TLS everywhere but a few --- */

static int
free_sender(const struct form *f, const char *value, struct str *note, struct err *e)
{
	if (free_name(f, value, note, e) == -1)
		return -1;
	return vserver_name_free(f->journey, f->object, value, e);
}

static bool
except_ask(const struct form *f, struct str *question)
{
	char *edit = xasprintf("outbound.tls=%s", form_get(f, "tls"));
	struct vserver vs = { .id = 0 };

	if (default_of(f, f->object_name, &vs, NULL) == 0 && vs_stricter(&vs, "outbound.tls", form_get(f, "tls")))
		strict_question("", edit, question);
	vserver_release(&vs);
	free(edit);
	return question->len > 0;
}

/* Figures are read as soon as it is sure that they are needed. */
static int64_t
except_look(struct form *f, const char *page, sheet_done_fn *done, void *arg)
{
	struct str question = STR_INIT;
	bool needed = except_ask(f, &question);

	(void)page;
	str_release(&question);
	return needed ? figures_look(f, f->object, done, arg) : 0;
}

/* Who of those that take our mail did without TLS; nothing where nobody is worse off than now. */
static void
except_figures(const struct form *f, struct str *out)
{
	struct str question = STR_INIT;
	struct server sv = { .id = 0 };

	if (except_ask(f, &question) && store_server_get(journey_store(f->journey), f->object, &sv, NULL) == 0)
		traffic_sentence(f->journey, &sv, NULL, "outbound.tls", form_get(f, "tls"), out);
	server_release(&sv);
	str_release(&question);
}

static int
check_everywhere(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)value;
	(void)e;
	except_figures(f, note);
	return 0;
}

static const struct page except_pages[] = {
	{ .name = "level", .title = "Everywhere", .intro = "Mail to every destination leaves with TLS, or waits here and returns after some "
	  "days." },
	{ .name = "few", .title = "But a few", .intro = "The destinations that cannot do TLS. They get their mail without, by a virtual server "
	  "of their own that only sends." },
	{ .name = NULL }
};

static const struct field except_fields[] = {
	{ .name = "tls", .page = "level", .label = "Outbound security", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED, .choices = levels,
	  .check = check_everywhere, .initial = "encrypt", .help = "What is asked of every destination but the few." },
	{ .name = "domain", .page = "few", .label = "Without TLS", .kind = FIELD_LIST, .flags = FIELD_REQUIRED, .check = chosen_domains,
	  .help = "The domains that get their mail without TLS, blank between.", .example = "old.test *.old.test" },
	{ .name = "name", .page = "few", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = free_sender, .initial = "clear",
	  .help = "What the virtual server without TLS, and the connector bound to it, are called." },
	REASON("few"),
	REVIEW("few"),
	{ .name = NULL }
};

static void
except_preview(const struct form *f, const char *page, struct str *out)
{
	const char *name = *form_get(f, "name") ? form_get(f, "name") : "NAME", *server = f->object_name != NULL ? f->object_name : "SERVER";
	struct vserver vs = { .id = 0 };
	struct str lines = STR_INIT, figures = STR_INIT;
	char *transport = xasprintf("  %s-out:", name);

	(void)page;
	if (f->object_name != NULL && default_of(f, server, &vs, NULL) == 0)
		native_lines(f->journey, vs.id, "outbound.tls", form_get(f, "tls"), &lines);
	str_add(out, "! Mail to every other destination that cannot do TLS will wait and then return.\n");
	except_figures(f, &figures);
	if (figures.len > 0)
		str_addf(out, "%s\n", figures.s);
	str_release(&figures);
	str_addf(out, "1. %s sends with TLS only (outbound.tls = %s):\n  %s\n", server, form_get(f, "tls"), lines.len > 0 ? text_trim(lines.s) : "");
	str_addf(out, "2. A virtual server %s/%s that only sends, without TLS:\n  %s-out unix ... smtp -o smtp_tls_security_level=none\n", server, name, name);
	str_addf(out, "3. A connector %s bound to it (transport_maps):\n", name);
	each_domain(form_get(f, "domain"), "  ", transport, out);
	vserver_release(&vs);
	str_release(&lines);
	free(transport);
}

static void
except_command(const struct form *f, struct str *out)
{
	str_add(out, "mxseal recipe tls-except ");
	str_add_word(out, f->object_name ? f->object_name : "SERVER");
	sheet_options(f, NULL, out);
}

static int
except_make(struct form *f, struct err *e)
{
	const char *tls = form_get(f, "tls"), *name = form_get(f, "name");
	struct connector c = { .id = 0 };
	struct vserver vs = { .id = 0 };
	struct str said = STR_INIT;
	char *via = xasprintf("%s/%s", f->object_name, name);
	int64_t id;
	int rc = default_of(f, f->object_name, &vs, e);

	if (rc == 0)
		rc = vserver_set(f->journey, vs.id, (const char *const[]){ "outbound.tls" }, &tls, 1, e);
	if (rc == 0)
		rc = vserver_add(f->journey, f->object, name, "none", "smtp", "none", &id, &said, e);
	if (rc == 0) {
		fill(f, &c, via, "none");
		rc = connector_save(f->journey, &c, e);
	}
	if (rc == 0)
		f->result_id = c.id;
	connector_release(&c);
	vserver_release(&vs);
	str_release(&said);
	free(via);
	return rc;
}

static int64_t
except_start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	struct store *st = journey_store(f->journey);
	int rc = store_edit_begin(st, e);

	if (rc == -1)
		return -1;
	rc = except_make(f, e);
	rc = store_edit_end(st, rc, e, "%s: TLS (%s) everywhere but %s", f->object_name, form_get(f, "tls"), form_get(f, "domain"));
	if (rc == 0)
		str_addf(&f->result, "%s will send with TLS only, but to %s without: kept here as one edit. A push carries it to the host.\n",
		    f->object_name, form_get(f, "domain"));
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_recipe_tls_except = {
	.name = "tls-except", .title = "TLS everywhere but a few", .kind = SHEET_WIZARD, .object = OBJECT_SERVER, .pages = except_pages,
	.fields = except_fields, .act = "Keep", .ask = except_ask, .look = except_look, .preview = except_preview, .command = except_command, .start = except_start,
};
