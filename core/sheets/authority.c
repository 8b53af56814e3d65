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

static const struct page pages[] = {
	{ .name = "authority", .title = "Own certificate authority",
	  .intro = "Makes a root certificate and a key here. The key is sealed with your passphrase and never stored in clear." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "name", .page = "authority", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED,
	  .check = sheet_check_name, .help = "What you call it here.", .example = "house" },
	{ .name = "cn", .page = "authority", .label = "Common name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED,
	  .check = check_cn, .help = "The subject that everybody who trusts it will see. Permanent.", .example = "Example Org Mail CA" },
	{ .name = "days", .page = "authority", .label = "Days", .kind = FIELD_NUMBER, .initial = "3650", .check = check_days,
	  .help = "How long the root is good. What it issues lives for a year at the most." },
	{ .name = "key", .page = "authority", .label = "Key", .kind = FIELD_CHOICE, .choices = keys, .initial = "ec-p256",
	  .help = "EC P-256 is understood by every mail server of the last ten years." },
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
	int rc = authority_add_own(f->journey, form_get(f, "name"), form_get(f, "cn"), form_get(f, "key"),
	    atoi(form_get(f, "days")), &id, e);

	if (rc == 0) {
		f->result_id = id;
		str_addf(&f->result, "The authority %s can sign now.\nPeers that shall trust it need its certificate: "
		    "mxseal authority certificate %s --out FILE\n", form_get(f, "name"), form_get(f, "name"));
	}
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_authority = {
	.name = "authority", .title = "New authority", .kind = SHEET_DIALOG, .object = OBJECT_NONE, .pages = pages,
	.fields = fields, .act = "Create", .command = command, .start = start,
};
