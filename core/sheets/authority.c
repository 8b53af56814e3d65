/* The dialog that makes an own certificate authority: its key is sealed with the passphrase of the store. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"

static const struct choice keys[] = {
	{ "ec-p256", "EC P-256", NULL }, { "ec-p384", "EC P-384", NULL },
	{ "rsa-3072", "RSA 3072", NULL }, { "rsa-4096", "RSA 4096", NULL },
	{ NULL, NULL, NULL }
};

static int
check_cn(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	(void)note;
	return subject_field_check("cn", value, e);
}

static int
check_days(const struct form *f, const char *value, struct str *note, struct err *e)
{
	char *end;
	long days = strtol(value, &end, 10);

	(void)f;
	(void)note;
	if (*end != '\0' || days < 30 || days > 36500)
		return err_set(e, RC_INVALID, "days takes 30 to 36500, not \"%s\"", clean(value));
	return 0;
}

static int
check_permit(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	if (authority_permit_check(value, e) == -1)
		return -1;
	if (*value != '\0')
		str_add(note, "for these and what is below them; for no IP address");
	return 0;
}

/* Roots, which one more may stand below. */
static void
parent_options(const struct form *f, struct choice_list *out)
{
	struct authority_list l = { NULL, 0 };
	struct str permits = STR_INIT;
	bool root = false;
	size_t i;

	choice_list_add(out, "", "(none: a root of its own)");
	if (store_authorities(journey_store(f->journey), &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		if (text_empty(l.v[i].sealed_key))
			continue;
		str_reset(&permits);
		authority_limits(&l.v[i], &permits, &root);
		if (root)
			choice_list_add(out, l.v[i].name, l.v[i].subject ? l.v[i].subject : l.v[i].name);
	}
	str_release(&permits);
	authority_list_release(&l);
}

static bool
has_roots(const struct form *f)
{
	struct choice_list l = { NULL, 0 };
	bool yes;

	parent_options(f, &l);
	yes = l.n > 1;
	choice_list_release(&l);
	return yes;
}

static const struct page pages[] = {
	{ .name = "authority", .title = "Own certificate authority",
	  .intro = "Makes the certificate of an authority and its key here. The key is sealed with your passphrase and never stored in "
	      "clear." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "name", .page = "authority", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED,
	  .check = sheet_check_name, .help = "What you call it here.", .example = "house" },
	{ .name = "cn", .page = "authority", .label = "Common name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED,
	  .check = check_cn, .help = "The subject that everybody who trusts it will see. Permanent.", .example = "Example Org Mail CA" },
	{ .name = "days", .page = "authority", .label = "Days", .kind = FIELD_NUMBER, .initial = "3650", .check = check_days,
	  .help = "How long it is good, never beyond the one above it. What it issues lives for a year at the most." },
	{ .name = "key", .page = "authority", .label = "Key", .kind = FIELD_CHOICE, .choices = keys, .initial = "ec-p256",
	  .help = "EC P-256 is understood by every mail server of the last ten years." },
	{ .name = "permit", .page = "authority", .label = "Only for", .kind = FIELD_LIST, .check = check_permit, .initial = "",
	  .help = "Domains. It can then issue for names under them only, and peers refuse anything else from it: whoever trusts it risks "
	  "no more than these. Empty: for all names.", .example = "example.org example.net" },
	{ .name = "parent", .page = "authority", .label = "Below", .kind = FIELD_CHOICE, .options = parent_options, .initial = "", .shown = has_roots,
	  .help = "A root kept here that signs it: peers trust the root, servers send both. None: a root of its own." },
	{ .name = NULL }
};

static void
command(const struct form *f, struct str *out)
{
	static const char *const words[] = { "name", NULL };

	str_add(out, "mxseal authority add own ");
	str_add_word(out, form_get(f, "name"));
	sheet_options(f, words, out);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	int64_t id = 0;
	struct authority_wish w = { .name = form_get(f, "name"), .cn = form_get(f, "cn"), .days = atoi(form_get(f, "days")),
	    .permit = form_get(f, "permit") };
	int rc = key_kind_parse(&w.kind, form_get(f, "key"), e);

	if (rc == 0)
		rc = authority_add_own(f->journey, &w, form_get(f, "parent"), &id, e);
	if (rc == 0) {
		f->result_id = id;
		str_addf(&f->result, "The authority %s can sign now.\nPeers that shall trust it need %s certificate: "
		    "mxseal authority certificate %s --out FILE\n", form_get(f, "name"), *form_get(f, "parent") ? "that root's" : "its",
		    *form_get(f, "parent") ? form_get(f, "parent") : form_get(f, "name"));
	}
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_authority = {
	.name = "authority", .title = "New authority", .kind = SHEET_DIALOG, .object = OBJECT_NONE, .pages = pages,
	.fields = fields, .act = "Create", .command = command, .start = start,
};
