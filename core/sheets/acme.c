/* The dialog that makes an account at an ACME authority (RFC 8555): which directory, how names are proved, its terms. */
#include <string.h>

#include "private.h"
#include "mxseal/acme.h"
#include "mxseal/clean.h"

#define OTHER "other"

static const struct choice keys[] = {
	{ "ec-p256", "EC P-256", NULL }, { "rsa-2048", "RSA 2048 (where EC is not taken)", NULL }, { "rsa-3072", "RSA 3072", NULL },
	{ NULL, NULL, NULL }
};

static void
public_options(const struct form *f, struct choice_list *out)
{
	const struct acme_public *p;

	(void)f;
	for (p = acme_public; p->name != NULL; p++)
		choice_list_add(out, p->name, p->title);
	choice_list_add(out, OTHER, "another one, by its URL");
}

static bool
is_other(const struct form *f)
{
	return strcmp(form_get(f, "provider"), OTHER) == 0;
}

/* The URL, listed or typed. */
static const char *
directory_of(const struct form *f)
{
	const struct acme_public *p;

	for (p = acme_public; p->name != NULL; p++)
		if (strcmp(p->name, form_get(f, "provider")) == 0)
			return p->directory;
	return form_get(f, "directory");
}

static int
check_directory(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	(void)note;
	return acme_directory_check(value, e);
}

static int
check_challenge(const struct form *f, const char *value, struct str *note, struct err *e)
{
	const char *detail;

	(void)f;
	if (acme_challenge_check(value, e) == -1)
		return -1;
	if (strcmp(acme_challenge_kind(value, &detail), "dns-01") == 0)
		str_addf(note, "%s present|cleanup NAME VALUE runs on this machine", detail);
	else
		str_add(note, detail != NULL ? "a file there, as long as the proof takes" : "port 80 of the mail host, as long as the proof takes");
	return 0;
}

static int
check_contact(const struct form *f, const char *value, struct str *note, struct err *e)
{
	const char *at = strchr(value, '@');

	(void)f;
	(void)note;
	if (*value == '\0' || (at != NULL && at > value && strchr(at, '.') != NULL && strlen(value) <= 254 && strpbrk(value, " ,;<>?&%\"\\") == NULL &&
	    clean_is(value, strlen(value))))
		return 0;
	err_set(e, RC_INVALID, "\"%s\" is not a mail address", clean(value));
	return err_hint(e, "one address, such as postmaster@example.org");
}

static const struct page pages[] = {
	{ .name = "directory", .title = "ACME authority",
	  .intro = "An account is made there. Its key is sealed here with your passphrase; keys of certificates stay on the mail hosts." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "name", .page = "directory", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = sheet_check_name,
	  .help = "What you call it here.", .example = "letsencrypt" },
	{ .name = "provider", .page = "directory", .label = "Authority", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .options = public_options, .initial = "letsencrypt", .help = "Public authorities, or another one by the URL of its directory." },
	{ .name = "directory", .page = "directory", .label = "Directory", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .shown = is_other,
	  .check = check_directory, .help = "The URL where the authority says what it offers: https only.",
	  .example = "https://acme.example.org/directory" },
	{ .name = "ca-file", .page = "directory", .label = "Trust anchor", .kind = FIELD_PATH, .shown = is_other,
	  .help = "PEM file with the certificate that vouches for its https; only that one is trusted then. Empty: what this machine trusts.",
	  .example = "/etc/ssl/house-ca.pem" },
	{ .name = "challenge", .page = "directory", .label = "Proof", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = check_challenge,
	  .initial = "http-standalone", .help = "How it is proved that a name is yours. http-standalone: port 80 of the mail host is answered as "
	  "long as it takes. http-webroot:DIR: a file in the web root of the mail host. dns-hook:PROGRAM: a program of this machine puts a "
	  "TXT record up, called with present or cleanup, the record's name and its value.", .example = "http-webroot:/var/www/html" },
	{ .name = "contact", .page = "directory", .label = "Contact", .kind = FIELD_TEXT, .check = check_contact,
	  .help = "A mail address for the authority's warnings. May stay empty.", .example = "postmaster@example.org" },
	{ .name = "account-key", .page = "directory", .label = "Account key", .kind = FIELD_CHOICE, .choices = keys, .initial = "ec-p256",
	  .help = "The key that signs what is asked there; not that of a certificate." },
	{ .name = "eab-kid", .page = "directory", .label = "External account", .kind = FIELD_TEXT,
	  .help = "The key id of an account that you have there already, where the authority wants one." },
	{ .name = "eab-key", .page = "directory", .label = "Its key", .kind = FIELD_SECRET, .flags = FIELD_NO_OPTION,
	  .help = "The key (HMAC) that belongs to the key id. It is used once and not kept." },
	{ .name = "agree-tos", .page = "directory", .label = "Terms agreed", .kind = FIELD_CHECK,
	  .help = "The authority's terms of service, where it has any. Without this nothing is made, and the refusal says where they are to be read." },
	{ .name = NULL }
};

static int
check(const struct form *f, const char **field, struct err *e)
{
	if (*form_get(f, "eab-kid") == '\0' || *form_get(f, "eab-key") != '\0')
		return 0;
	*field = "eab-key";
	return err_set(e, RC_INVALID, "the key of the external account is missing");
}

static void
command(const struct form *f, struct str *out)
{
	static const char *const words[] = { "name", "directory", NULL };

	str_add(out, "mxseal authority add acme ");
	str_add_word(out, form_get(f, "name"));
	str_add(out, " --directory ");
	str_add_word(out, directory_of(f));
	sheet_options(f, words, out);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	struct secret key = { NULL, 0 };
	struct acme_wish w = {
		.name = form_get(f, "name"), .directory = directory_of(f), .anchors_file = is_other(f) ? form_get(f, "ca-file") : "",
		.challenge = form_get(f, "challenge"), .contact = form_get(f, "contact"), .account_key = form_get(f, "account-key"),
		.eab_kid = form_get(f, "eab-kid"), .eab_key = &key, .agreed = form_yes(f, "agree-tos"),
	};
	int64_t id;

	if (*form_get(f, "eab-key") != '\0')
		secret_set(&key, form_get(f, "eab-key"), strlen(form_get(f, "eab-key")));
	str_reset(&f->result);
	str_addf(&f->result, "%s has an account for us. Certificates can be requested: mxseal cert request VS --authority %s --use\n",
	    form_get(f, "name"), form_get(f, "name"));
	id = authority_add_acme(f->journey, &w, &f->result_id, done, arg, e);
	secret_release(&key);
	return id;
}

const struct sheet sheet_acme = {
	.name = "acme", .title = "New ACME authority", .kind = SHEET_DIALOG, .object = OBJECT_NONE, .pages = pages, .fields = fields,
	.act = "Create", .check = check, .command = command, .start = start,
};
