/* The work-around: mail for one domain leaves without TLS. The destination is looked at first; what is seen is kept as the evidence,
 * and a work-around that would not help is refused. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static int
one_domain(const struct form *f, const char *value, struct str *note, struct err *e)
{
	if (strpbrk(value, " ,*") != NULL)
		return err_set(e, RC_INVALID, "one domain, as it stands behind the @: not \"%s\"", clean(value));
	return sheet_check_domains(f, value, note, e);
}

static const struct page pages[] = {
	{ .name = "workaround", .title = "Work-around", .intro = "A virtual server without TLS, paired with a connector for just this domain. Its "
	  "mail can be read on the way; all other mail goes on as before. It is looked after, and ends when the other side can do TLS again." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "domain", .page = "workaround", .label = "Without TLS", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .check = one_domain, .help = "The domain that gets its mail without TLS.", .example = "old.test" },
	{ .name = "reason", .page = "workaround", .label = "Reason", .kind = FIELD_TEXT,
	  .help = "Why it is so: your colleagues will ask. Otherwise what the look finds." },
	{ .name = "review", .page = "workaround", .label = "Review on", .kind = FIELD_TEXT, .check = sheet_check_review,
	  .help = "The day when somebody should ask whether it is still needed; a month from now. Mail goes on after it.", .example = "2027-03-31" },
	{ .name = "anyway", .page = "workaround", .label = "Even if it would not help", .kind = FIELD_CHECK, .initial = "no",
	  .help = "Also when the look at the destination says that TLS is not what holds mail up." },
	{ .name = NULL }
};

static int
load(struct form *f, struct err *e)
{
	char date[16];

	when_date(date, when_now() + 30 * 86400);
	return form_set(f, "review", date, e);
}

static void
preview(const struct form *f, const char *page, struct str *out)
{
	const char *server = f->object_name ? f->object_name : "SERVER", *domain = *form_get(f, "domain") ? form_get(f, "domain") : "DOMAIN";

	(void)page;
	str_addf(out, "1. %s is looked at, from %s and from here; what is seen is kept as the evidence.\n", domain, server);
	str_addf(out, "2. A virtual server %s/notls that only sends, without TLS:\n  notls-out unix ... smtp -o smtp_tls_security_level=none\n", server);
	str_addf(out, "3. A connector notls-%s bound to it (transport_maps):\n  %s notls-out:\n", domain, domain);
	str_add(out, "4. After the push, what waits for it now is tried again.\n! Mail for it can be read on the way until it ends.\n");
}

static void
command(const struct form *f, struct str *out)
{
	static const char *const words[] = { "domain", NULL };

	str_add(out, "mxseal workaround ");
	str_add_word(out, f->object_name ? f->object_name : "SERVER");
	str_addc(out, ' ');
	str_add_word(out, *form_get(f, "domain") ? form_get(f, "domain") : "DOMAIN");
	sheet_options(f, words, out);
}

struct starting { struct form *form; struct destination_view view; sheet_done_fn *done; void *arg; };

static void
looked(void *arg, int rc, const struct err *e)
{
	struct starting *s = arg;
	struct form *f = s->form;
	struct err own = { .code = RC_OK };

	if (rc == 0 && !form_yes(f, "anyway"))
		rc = workaround_helps(&s->view, &own);
	else if (rc == -1)
		own = *e;
	if (rc == 0)
		rc = workaround_make(f->journey, f->object, form_get(f, "domain"), form_get(f, "reason"), form_get(f, "review"), &s->view,
		    &f->result_id, &f->result, &own);
	s->done(s->arg, rc, &own);
	destination_view_release(&s->view);
	free(s);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	struct starting *s = xcalloc(1, sizeof(*s));
	int64_t job;

	s->form = f;
	s->done = done;
	s->arg = arg;
	str_init(&s->view.diagnosis.evidence, 0);
	job = destination_diagnose(f->journey, f->object, form_get(f, "domain"), &s->view, looked, s, e);
	if (job == -1)
		free(s);
	return job;
}

const struct sheet sheet_workaround = {
	.name = "workaround", .title = "Work-around without TLS", .kind = SHEET_DIALOG, .object = OBJECT_SERVER, .pages = pages,
	.fields = fields, .act = "Keep", .load = load, .preview = preview, .command = command, .start = start,
};
