/* The certificate wizard: pages in the order of the original one (what; delayed or immediate; name and key; organisation;
 * common name; geography; authority or file; review). Which branches there are depends on the state of the virtual server:
 * nothing installed, request pending, installed, both. No page acts; only the end does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "wizard.h"

#define FRIENDLY_MAX 200         /* bytes of the name that only people here see */
#define NOTE_LONG 300            /* bytes of remarks beside a field; what follows is left out */

static void
wizard_free(void *data)
{
	struct wizard *w = data;

	vserver_release(&w->vs);
	server_release(&w->server);
	str_release(&w->domains);
	branches_free(w);
	free(w);
}

static const struct wizard *
of(const struct form *f)
{
	return wizard_of(f);
}

/* --- branches --- */

static bool is_new(const struct form *f) { return wizard_is(f, "new"); }
static bool is_process(const struct form *f) { return wizard_is(f, "process"); }
static bool is_assign(const struct form *f) { return wizard_is(f, "assign"); }
static bool is_renew(const struct form *f) { return wizard_is(f, "renew"); }
static bool is_import(const struct form *f) { return wizard_is(f, "import"); }
static bool is_export(const struct form *f) { return wizard_is(f, "export"); }
static bool is_drop(const struct form *f) { return wizard_is(f, "drop"); }
static bool is_restore(const struct form *f) { return wizard_is(f, "restore"); }
static bool makes_request(const struct form *f) { return is_new(f) || is_renew(f); }
static bool makes_key(const struct form *f) { return is_new(f) || branch_renews_with_new_key(f); }
static bool is_now(const struct form *f) { return makes_request(f) && strcmp(form_get(f, "when"), "now") == 0; }
static bool is_later(const struct form *f) { return makes_request(f) && !is_now(f); }

/* An ACME authority leaves out what it cannot prove: organisation and place are not asked for. */
static bool
is_acme(const struct form *f)
{
	return is_now(f) && authority_is_acme(f->journey, form_get(f, "authority"));
}
static bool is_described(const struct form *f) { return is_new(f) && !is_acme(f); }

/* --- choices --- */

static void
request_options(const struct form *f, struct choice_list *out)
{
	branches_requests(f, "pending", "waiting since", out);
}

static void
certificate_options(const struct form *f, struct choice_list *out)
{
	struct certificate_list l = { NULL, 0 };
	char id[24], *label, date[16];
	size_t i;

	if (store_certificates(journey_store(f->journey), &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++) {
		if (l.v[i].key_server != of(f)->server.id && text_empty(l.v[i].sealed_key))
			continue;                      /* its key lives elsewhere */
		snprintf(id, sizeof(id), "%lld", (long long)l.v[i].id);
		when_date(date, l.v[i].not_after);
		label = xasprintf("#%s %s, until %s%s", id, l.v[i].cn ? l.v[i].cn : "-", date,
		    text_empty(l.v[i].sealed_key) ? "" : ", key kept here");
		choice_list_add(out, id, label);
		free(label);
	}
	certificate_list_release(&l);
}

static void
authority_options(const struct form *f, struct choice_list *out)
{
	struct authority_list l = { NULL, 0 };
	size_t i;

	if (store_authorities(journey_store(f->journey), &l, NULL) == -1)
		return;
	for (i = 0; i < l.n; i++)
		choice_list_add(out, l.v[i].name, l.v[i].subject ? l.v[i].subject : l.v[i].name);
	authority_list_release(&l);
}

static void
country_options(const struct form *f, struct choice_list *out)
{
	const struct country *c;

	(void)f;
	choice_list_add(out, "", "(none)");
	for (c = countries; c->code != NULL; c++)
		choice_list_add(out, c->code, c->name);
}

/* --- checks while typing --- */

/* Subject fields are checked by the name X.509 knows them by. */
#define SUBJECT_CHECK(function, field) \
	static int \
	function(const struct form *f, const char *value, struct str *note, struct err *e) \
	{ \
		(void)f; \
		(void)note; \
		return subject_field_check(field, value, e); \
	}

SUBJECT_CHECK(check_o, "o")
SUBJECT_CHECK(check_ou, "ou")
SUBJECT_CHECK(check_country, "c")
SUBJECT_CHECK(check_state, "st")
SUBJECT_CHECK(check_locality, "l")

static int
check_friendly(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	(void)note;
	if (clean_is(value, strlen(value)) && strlen(value) <= FRIENDLY_MAX)
		return 0;
	return err_set(e, RC_INVALID, "a name takes at most %d bytes of UTF-8 and no control characters", FRIENDLY_MAX);
}

/* Internationalised names are shown both ways. */
static void
note_spelling(const struct form *f, const char *name, struct str *note)
{
	struct str ascii = STR_INIT, other = STR_INIT;

	if (name_to_ascii(name, &ascii, NULL) == 0 && strcmp(ascii.s, name) != 0)
		str_addf(note, "%s in DNS: %s. ", clean(name), ascii.s);
	else if (name_to_people(name, &other))
		str_addf(note, "%s reads %s. ", clean(name), other.s);
	str_reset(&other);
	if (name_slip(name, of(f)->domains.s, &other))
		str_addf(note, "! %s: is %s meant? ", clean(name), other.s);
	str_release(&ascii);
	str_release(&other);
}

/* The EHLO name is compared at once, DNS is asked by look(). */
static int
check_cn(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct str ascii = STR_INIT;
	const char *helo = of(f)->server.host_name;
	int rc = subject_field_check("cn", value, e);

	if (rc == 0)
		rc = name_to_ascii(value, &ascii, e);
	if (rc == 0 && strchr(ascii.s, '.') == NULL) {
		err_set(e, RC_INVALID, "\"%s\" is not a fully qualified name", clean(value));
		rc = err_hint(e, "peers compare the name they looked up, for example mail.example.org");
	}
	if (rc == 0)
		note_spelling(f, value, note);
	if (rc == 0 && helo != NULL)
		str_addf(note, text_ieq(ascii.s, helo) ? "is the name %s says in EHLO. " : "%s says %s in EHLO. ",
		    of(f)->server.name, helo);
	str_release(&ascii);
	return rc;
}

static int
check_san(const struct form *f, const char *value, struct str *note, struct err *e)
{
	const char *helo = of(f)->server.host_name;

	char **w;
	size_t i;

	if (subject_field_check("san", value, e) == -1)
		return -1;
	w = words_split(value, " \t\r\n,", NULL);
	for (i = 0; w[i] != NULL && note->len < NOTE_LONG; i++)
		note_spelling(f, w[i], note);
	words_free(w);
	if (helo != NULL && !text_ieq(form_get(f, "cn"), helo) && strstr(value, helo) == NULL)
		str_addf(note, "%s, the name said in EHLO, is not covered. ", helo);
	return 0;
}

static int
check_key(const struct form *f, const char *value, struct str *note, struct err *e)
{
	enum key_kind kind;

	if (key_kind_parse(&kind, value, e) == -1)
		return -1;
	if (is_new(f) && (branch_is_second(f) || of(f)->second.id != 0) &&
	    certificate_kind_fits(f->journey, f->object, certificate_kind_word(kind), branch_is_second(f), e) == -1)
		return -1;
	if (kind == KEY_EC_P256 || kind == KEY_EC_P384)
		str_add(note, "peers from before about 2012 (Exchange 2003, OpenSSL 0.9.8, Java 6) take RSA only");
	else if (kind == KEY_RSA_4096)
		str_add(note, "the handshake costs several times that of RSA 2048");
	return 0;
}

static int
check_out(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)f;
	if (str_can_write_file(value, e) == -1)
		return -1;
	if (access(value, F_OK) == 0)
		str_add(note, "this file is there already and will be replaced");
	return 0;
}

/* Looks at the file of an answer and changes nothing. What is not a file is not opened: a pipe would be waited for. */
static int
look_at_answer(const struct form *f, const char *path, unsigned how, struct str *summary, struct err *e)
{
	struct stat st;
	int64_t id;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return err_set(e, RC_INVALID, "%s is not a file", clean(path));
	return certificate_process_file(f->journey, f->object, strtoll(form_get(f, "request"), NULL, 10), path, NULL, how, summary, &id, e);
}

static unsigned
answer_how(const struct form *f)
{
	return form_yes(f, "accept-issuer") ? ANSWER_ANY_ISSUER : 0;
}

static int
try_answer(const struct form *f, const char *path, struct str *summary, struct err *e)
{
	return look_at_answer(f, path, answer_how(f), summary, e);
}

/* Is the chain all that stands against this answer? */
static bool
answer_is_unknown(const struct form *f)
{
	struct str summary = STR_INIT;
	const char *path = form_get(f, "answer");
	bool yes = is_process(f) && *path != '\0' && look_at_answer(f, path, 0, &summary, NULL) == -1 &&
	    look_at_answer(f, path, ANSWER_ANY_ISSUER, &summary, NULL) == 0;

	str_release(&summary);
	return yes;
}

static int
check_answer(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct str summary = STR_INIT;
	int rc = try_answer(f, value, &summary, e);

	if (rc == 0)
		str_add(note, "fits the request");
	str_release(&summary);
	return rc;
}

static int
check_when(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct choice_list l = { NULL, 0 };

	(void)e;
	authority_options(f, &l);
	if (strcmp(value, "now") == 0 && l.n == 0)
		str_add(note, "no authority is kept here yet: one can be made on the way");
	choice_list_release(&l);
	return 0;
}

static int
check_authority(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)value;
	(void)note;
	if (!journey_has_passphrase(f->journey))
		str_add(note, "its passphrase will be asked for");
	(void)e;
	return 0;
}

/* --- the table --- */

static const struct choice when_choices[] = {
	{ "later", "Prepare the request now, but send it later", "a PKCS#10 file to carry to an authority" },
	{ "now", "Send the request immediately to an authority", "an authority kept here" },
	{ NULL, NULL, NULL }
};

static const struct choice key_choices[] = {
	{ "ec-p256", "EC P-256 (fast, understood by all but very old peers)", NULL },
	{ "ec-p384", "EC P-384", NULL },
	{ "rsa-2048", "RSA 2048 (for peers older than about 2012)", NULL },
	{ "rsa-3072", "RSA 3072", NULL },
	{ "rsa-4096", "RSA 4096 (slow handshakes)", NULL },
	{ NULL, NULL, NULL }
};

static const struct choice renew_keys[] = {
	{ "new", "a new key, made on the mail host", NULL },
	{ "same", "the key that is in use", NULL },
	{ NULL, NULL, NULL }
};

static const struct choice key_places[] = {
	{ "server", "on the mail host; it never leaves it", NULL },
	{ NULL, NULL, NULL }
};

static const struct page pages[] = {
	{ .name = "what", .title = "What", .intro = "What shall be done with the certificate of this virtual server?" },
	{ .name = "renew", .title = "Renewal", .shown = is_renew,
	  .intro = "The names and the subject stay as they are. What is in use stays in use until a push replaces it." },
	{ .name = "when", .title = "Delayed or immediate", .shown = makes_request,
	  .intro = "A request can go straight to an authority that is kept here, or be saved to a file and sent later." },
	{ .name = "key", .title = "Name and key", .shown = makes_key,
	  .intro = "The key is made on the mail host and never leaves it. The name is for you, to tell certificates apart." },
	{ .name = "organisation", .title = "Organisation", .shown = is_described,
	  .intro = "This goes into the certificate for all to see, and is permanent. Many authorities ignore it." },
	{ .name = "name", .title = "Common name", .shown = is_new,
	  .intro = "The name peers look up: usually the MX name of your domain and the name said in EHLO." },
	{ .name = "geography", .title = "Geography", .shown = is_described, .intro = "Where the organisation is. May stay empty." },
	{ .name = "authority", .title = "Authority", .shown = is_now, .intro = "Who shall sign it? ACME authorities "
	  "take no organisation and no place into a certificate: those pages are left out." },
	{ .name = "file", .title = "Request file", .shown = is_later, .intro = "Where shall the request be saved?" },
	{ .name = "answer", .title = "Answer", .shown = is_process,
	  .intro = "The file that the authority sent back: DER, PEM or PKCS#7, with or without its chain." },
	{ .name = "existing", .title = "Certificate", .shown = is_assign,
	  .intro = "Certificates whose key lives on this host, or is kept here and can be shared by several hosts." },
	{ .name = "backup", .title = "Backup", .shown = is_import,
	  .intro = "A file with a certificate and its key. Opened and judged at once; nothing is kept before the end." },
	{ .name = "export", .title = "Export", .shown = is_export,
	  .intro = "The certificate, its chain and its key go into one file, under a passphrase of its own." },
	{ .name = "drop", .title = "Request", .shown = is_drop, .intro = "Which request goes to the trash?" },
	{ .name = "restore", .title = "Trash", .shown = is_restore, .intro = "Requests that were dropped. Their keys are kept." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "state-now", .page = "what", .label = "Now", .kind = FIELD_NOTE, .help = "What this virtual server has." },
	{ .name = "action", .page = "what", .label = "Do", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .options = branches_actions, .initial = "new", .help = "The choices depend on what is there." },
	{ .name = "second", .page = "what", .label = "As the second one", .kind = FIELD_CHECK, .initial = "no", .shown = branch_has_second,
	  .help = "A virtual server can have two certificates, one with an EC key and one with an RSA key: each peer gets the one it "
	  "understands. Postfix from 3.4 on." },
	{ .name = "renew-key", .page = "renew", .label = "Key", .kind = FIELD_CHOICE, .flags = FIELD_NO_OPTION, .choices = renew_keys,
	  .initial = "new", .help = "A new key ends what an old one, copied somewhere, could do. The same key is for DANE records and pins "
	  "that name it." },
	{ .name = "when", .page = "when", .label = "Send", .kind = FIELD_CHOICE, .flags = FIELD_NO_OPTION, .choices = when_choices,
	  .check = check_when, .initial = "later", .help = "At once: the certificate is issued, checked and assigned in one go. Later: the request "
	  "waits for its answer as long as needed, beside whatever is in use." },
	{ .name = "name", .page = "key", .label = "Name", .kind = FIELD_TEXT, .check = check_friendly,
	  .help = "A name for you; the common name where it stays empty.", .example = "mail 2027" },
	{ .name = "key", .page = "key", .label = "Key", .kind = FIELD_CHOICE, .choices = key_choices, .initial = "ec-p256",
	  .flags = FIELD_FREE, .check = check_key, .help = "Weaker keys than these are not offered: peers refuse them." },
	{ .name = "key-on", .page = "key", .label = "Made", .kind = FIELD_CHOICE, .flags = FIELD_NO_SCREEN, .choices = key_places,
	  .initial = "server", .help = "Where the key is made." },
	{ .name = "o", .page = "organisation", .label = "Organization", .kind = FIELD_TEXT, .check = check_o,
	  .help = "The legal name. Commas and quotes are fine.", .example = "Example, Inc." },
	{ .name = "ou", .page = "organisation", .label = "Organizational unit", .kind = FIELD_TEXT, .check = check_ou,
	  .help = "A department; most authorities leave it out nowadays.", .example = "Mail" },
	{ .name = "cn", .page = "name", .label = "Common name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = check_cn,
	  .help = "The fully qualified name as it appears on the Internet, not an internal one.", .example = "mail.example.org" },
	{ .name = "san", .page = "name", .label = "Other names", .kind = FIELD_LIST, .check = check_san,
	  .help = "More names or addresses the certificate shall cover, blank between. The common name is covered by itself.",
	  .example = "mx1.example.org mx2.example.org" },
	{ .name = "country", .page = "geography", .label = "Country/region", .kind = FIELD_CHOICE, .flags = FIELD_FREE, .options = country_options,
	  .check = check_country, .help = "Two letters of ISO 3166; another code can be typed.", .example = "DE" },
	{ .name = "state", .page = "geography", .label = "State/province", .kind = FIELD_TEXT, .check = check_state,
	  .help = "The full official name, no abbreviation." },
	{ .name = "locality", .page = "geography", .label = "City/locality", .kind = FIELD_TEXT, .check = check_locality,
	  .help = "The full official name." },
	{ .name = "authority", .page = "authority", .label = "Authority", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED,
	  .options = authority_options, .make = "authority", .check = check_authority, .help = "An authority kept here. Where "
	  "there is none yet, Space makes one, with a passphrase for its key." },
	{ .name = "out", .page = "file", .label = "File", .kind = FIELD_PATH, .flags = FIELD_REQUIRED, .check = check_out,
	  .help = "A file of this machine. Carry or paste it to the authority, then process the answer here.",
	  .example = "certreq.pem" },
	{ .name = "request", .page = "answer", .label = "Request", .kind = FIELD_CHOICE, .flags = FIELD_NO_OPTION,
	  .options = request_options, .help = "The request that was answered." },
	{ .name = "answer", .page = "answer", .label = "File", .kind = FIELD_PATH, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .check = check_answer, .help = "It is compared with the request before anything happens: same key, not an "
	  "authority's own certificate, in time, all names covered." },
	{ .name = "accept-issuer", .page = "answer", .label = "Take it all the same", .kind = FIELD_CHECK, .flags = FIELD_NO_OPTION,
	  .initial = "no", .shown = answer_is_unknown, .help = "Its chain leads to no authority that is known here, or is signed weakly: "
	  "peers that verify may refuse it." },
	{ .name = "certificate", .page = "existing", .label = "Certificate", .kind = FIELD_CHOICE,
	  .flags = FIELD_REQUIRED | FIELD_NO_OPTION, .options = certificate_options, .help = "It takes effect with a push." },
	{ .name = "backup", .page = "backup", .label = "File", .kind = FIELD_PATH, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .check = branch_check_backup, .help = "PKCS#12 (.p12, .pfx) or PEM, the certificates in any order.", .example = "mail.p12" },
	{ .name = "key-file", .page = "backup", .label = "Key file", .kind = FIELD_PATH, .flags = FIELD_NO_OPTION,
	  .check = branch_check_key_file, .help = "Only where the key is in a file of its own.", .example = "mail.key" },
	{ .name = "file-passphrase", .page = "backup", .label = "Its passphrase", .kind = FIELD_SECRET,
	  .flags = FIELD_REQUIRED | FIELD_NO_OPTION, .shown = branch_backup_is_locked, .check = branch_check_passphrase, .help = "What the file, or the key in it, is encrypted with. It is kept nowhere." },
	{ .name = "accept-weak", .page = "backup", .label = "Import it all the same", .kind = FIELD_CHECK, .flags = FIELD_NO_OPTION,
	  .initial = "no", .shown = branch_backup_is_weak, .check = branch_check_weak, .help = "The file is encrypted so weakly, as old Windows did, that who had it can "
	  "have the key. A certificate with a new key is better." },
	{ .name = "export", .page = "export", .label = "File", .kind = FIELD_PATH, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .check = branch_check_export, .help = "A file of this machine; only you can read it (0600).", .example = "mail.p12" },
	{ .name = "new-passphrase", .page = "export", .label = "Passphrase", .kind = FIELD_SECRET,
	  .flags = FIELD_REQUIRED | FIELD_NO_OPTION, .help = "Eight characters at least: it is all that stands between the file and the key." },
	{ .name = "again", .page = "export", .label = "Once more", .kind = FIELD_SECRET, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .help = "The same passphrase again." },
	{ .name = "dropping", .page = "drop", .label = "Request", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .options = request_options, .help = "Its key stays, and it can be restored from here." },
	{ .name = "dropped", .page = "restore", .label = "Request", .kind = FIELD_CHOICE, .flags = FIELD_REQUIRED | FIELD_NO_OPTION,
	  .options = branches_dropped, .help = "It waits for its answer again." },
	{ .name = NULL }
};

/* The certificate in use: the one assigned, else what is served. NULL: none, or one that was signed by itself. */
static char *
names_in_use(const struct form *f)
{
	struct certificate c = { .id = 0 };
	const struct vserver *vs = &of(f)->vs;
	char *names = NULL;

	if (vs->certificate_set && vs->certificate != 0)
		(void)store_certificate_get(journey_store(f->journey), vs->certificate, &c, NULL);
	else if (vs->served_pem != NULL)
		(void)cert_describe(vs->served_pem, &c, NULL);
	if (c.subject != NULL && !text_eq(c.subject, c.issuer))
		names = xstrdup(c.san);
	certificate_release(&c);
	return names;
}

static void
add_domain(struct str *domains, const char *name)
{
	const char *dot;

	if (name == NULL || *name == '\0')
		return;
	str_addf(domains, " %s", name);
	dot = strchr(name, '.');
	if (dot != NULL && strchr(dot + 1, '.') != NULL)
		str_addf(domains, " %s", dot + 1);
}

/* Other names: those of the certificate in use, and those that MX leads here by, as far as that was looked at. */
static void
propose_names(struct form *f, struct wizard *w)
{
	char *used = names_in_use(f), *mx = mx_names_known(f->journey, w->server.id), **words;
	char *both = xasprintf("%s %s", used ? used : "", mx ? mx : "");
	struct str san = STR_INIT;
	size_t i, k;

	add_domain(&w->domains, w->server.host_name);
	add_domain(&w->domains, w->server.domain);
	words = words_split(both, " ", NULL);
	for (i = 0; words[i] != NULL; i++) {
		add_domain(&w->domains, text_starts(words[i], "*.") ? words[i] + 2 : words[i]);
		for (k = 0; k < i && !text_ieq(words[k], words[i]); k++)
			;
		if (k == i && !text_ieq(words[i], form_get(f, "cn")))
			str_addf(&san, "%s%s", san.len > 0 ? " " : "", words[i]);
	}
	if (san.len > 0)
		(void)form_set(f, "san", san.s, NULL);
	words_free(words);
	str_release(&san);
	free(both);
	free(used);
	free(mx);
}

/* Proposes what can be known: the names, the file, the pending request. */
static int
load(struct form *f, struct err *e)
{
	struct wizard *w = xcalloc(1, sizeof(*w));
	struct choice_list l = { NULL, 0 };
	char *file;

	str_init(&w->domains, 65536);
	f->data = w;
	f->data_free = wizard_free;
	if (store_vserver_get(journey_store(f->journey), f->object, &w->vs, e) == -1 ||
	    store_server_get(journey_store(f->journey), w->vs.server, &w->server, e) == -1)
		return -1;
	w->state = certificate_state(f->journey, f->object);
	if (w->server.host_name != NULL)
		(void)form_set(f, "cn", w->server.host_name, NULL);
	propose_names(f, w);
	file = xasprintf("%s-%s.csr.pem", w->server.name, w->vs.is_default ? "smtp" : w->vs.name);
	(void)form_set(f, "out", file, NULL);
	free(file);
	if (branch_has_pending(f))
		(void)form_set(f, "action", certificate_unfinished(f->journey, f->object) != 0 ? "resume" : "process", NULL);
	else if (branch_has_installed(f))        /* what is due: the same once more; "new" is to replace it */
		(void)form_set(f, "action", w->vs.certificate != 0 ? "renew" : "new", NULL);
	request_options(f, &l);
	if (l.n > 0)
		(void)form_set(f, "request", l.v[0].name, NULL);
	if (l.n > 0)
		(void)form_set(f, "dropping", l.v[0].name, NULL);
	choice_list_release(&l);
	certificate_options(f, &l);
	if (l.n > 0)
		(void)form_set(f, "certificate", l.v[0].name, NULL);
	choice_list_release(&l);
	authority_options(f, &l);
	if (l.n > 0) {
		(void)form_set(f, "authority", l.v[0].name, NULL);
		(void)form_set(f, "when", "now", NULL);
	}
	choice_list_release(&l);
	return branches_load(f, e);
}

static void
preview_new(const struct form *f, struct str *out)
{
	str_add(out, "What will happen, in order\n");
	str_addf(out, "  1 %s: a new key under /var/lib/mxseal/keys, 0600 root\n", of(f)->server.name);
	str_addf(out, "  2 here: the request is built; %s signs it with that key\n", of(f)->server.name);
	if (is_now(f) && authority_asks(f->journey, form_get(f, "authority")))
		str_addf(out, "  3 here: the request waits at %s until somebody approves it\n", form_get(f, "authority"));
	else if (is_acme(f)) {
		str_addf(out, "  3 here: %s is asked; it wants a proof for each name, which is put up and taken away\n", form_get(f, "authority"));
		str_add(out, "  4 here: the answer is checked and assigned\n");
		str_add(out, "  5 a push plan shows the rest; you confirm it separately\n");
	} else if (is_now(f)) {
		str_addf(out, "  3 here: %s signs; the answer is checked and assigned\n", form_get(f, "authority"));
		str_add(out, "  4 a push plan shows the rest; you confirm it separately\n");
	} else
		str_addf(out, "  3 here: the request is written to %s and waits for its answer\n", form_get(f, "out"));
	str_addf(out, "\nNothing that is in use on %s changes before a push.\n", of(f)->server.name);
}

/* No answer yet: what it is the answer to. */
static void
preview_waiting(const struct form *f, struct str *out)
{
	struct request r = { .id = 0 };

	if (store_request_get(journey_store(f->journey), strtoll(form_get(f, "request"), NULL, 10), &r, NULL) == 0) {
		str_addf(out, "Request #%lld for %s\n", (long long)r.id, r.subject.cn);
		request_to_send(&r, out);
	}
	request_release(&r);
}

static void
preview_answer(const struct form *f, struct str *out)
{
	struct err e;

	if (*form_get(f, "answer") == '\0')
		preview_waiting(f, out);
	else if (try_answer(f, form_get(f, "answer"), out, &e) == -1)
		str_addf(out, "! %s\n", e.text);
}

static void
preview(const struct form *f, const char *page, struct str *out)
{
	if (page != NULL && strcmp(page, "answer") != 0 && strcmp(page, "backup") != 0 && strcmp(page, "renew") != 0)
		return;
	if (branches_preview(f, out))
		return;
	if (is_new(f))
		preview_new(f, out);
	else if (is_process(f))
		preview_answer(f, out);
	else if (is_assign(f))
		str_addf(out, "Certificate #%s is assigned to %s%s. A push carries it there.\n", form_get(f, "certificate"),
		    f->object_name, branch_is_second(f) ? ", beside the one that it has" : "");
	else if (wizard_is(f, "resume"))
		str_add(out, "The order goes on from where it stopped; the answer is checked and assigned. A push carries it to the host.\n");
	else if (is_drop(f))
		str_add(out, "The request goes to the trash; its key stays on the host, so it can be restored.\n");
	else if (branch_is_second(f))
		str_addf(out, "The second certificate, #%lld, goes with the next push; the first one stays. It stays here and can be assigned "
		    "again.\n", (long long)of(f)->second.id);
	else
		str_add(out, "The virtual server gets no certificate of ours. TLS stops with the next push unless one is configured "
		    "by hand. The certificate stays here and can be assigned again.\n");
}

static void
command(const struct form *f, struct str *out)
{
	static const char *const proposed[] = { "san", "key", NULL };

	if (branches_command(f, out))
		return;
	if (is_new(f)) {
		str_addf(out, "mxseal cert request %s", f->object_name);
		sheet_options(f, NULL, out);
		sheet_options_proposed(f, proposed, out);
	} else if (is_process(f)) {
		str_addf(out, "mxseal cert process %s ", f->object_name);
		str_add_word(out, form_get(f, "answer"));
		str_add(out, form_yes(f, "accept-issuer") ? " --accept-unknown-issuer" : "");
	} else if (is_assign(f))
		str_addf(out, "mxseal cert assign %s %s%s", f->object_name, form_get(f, "certificate"), branch_is_second(f) ? " --second" : "");
	else if (wizard_is(f, "resume"))
		str_addf(out, "mxseal cert resume %s", f->object_name);
	else if (wizard_is(f, "drop"))
		str_addf(out, "mxseal cert drop-request %s", form_get(f, "dropping"));
	else
		str_addf(out, "mxseal cert remove %s%s", f->object_name, branch_is_second(f) ? " --second" : "");
}

/* Of two certificates the second has the other kind of key. */
static void
propose_key(struct form *f)
{
	enum key_kind kind;

	if (is_new(f) && branch_is_second(f) && key_kind_parse(&kind, form_get(f, "key"), NULL) == 0 &&
	    text_eq(certificate_kind_word(kind), of(f)->mine.key_type))
		(void)form_set(f, "key", text_eq(of(f)->mine.key_type, "EC") ? "rsa-2048" : "ec-p256", NULL);
}

static int64_t
look(struct form *f, const char *page, sheet_done_fn *done, void *arg)
{
	if (strcmp(page, "key") == 0)
		propose_key(f);
	if (strcmp(page, "name") != 0)
		return 0;
	return certificate_names_look(f->journey, f, done, arg);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	int64_t job = -1;
	int rc;

	if (branches_start(f, done, arg, &job, e))
		return job;
	if (is_new(f))
		return certificate_request(f->journey, f, done, arg, e);
	if (wizard_is(f, "resume"))
		return certificate_resume(f->journey, certificate_unfinished(f->journey, f->object), &f->result, &f->result_id, done, arg, e);
	if (is_process(f))
		rc = certificate_process_file(f->journey, f->object, strtoll(form_get(f, "request"), NULL, 10), form_get(f, "answer"), NULL,
		    ANSWER_COMMIT | answer_how(f), &f->result, &f->result_id, e);
	else if (is_assign(f)) {
		rc = certificate_assign(f->journey, f->object, strtoll(form_get(f, "certificate"), NULL, 10), branch_is_second(f), e);
		str_add(&f->result, rc == 0 ? "The certificate is assigned. A push carries it to the host.\n" : "");
	} else if (wizard_is(f, "drop")) {
		rc = request_drop(f->journey, strtoll(form_get(f, "dropping"), NULL, 10), false, e);
		str_add(&f->result, rc == 0 ? "The request is in the trash; its key is kept.\n" : "");
	} else {
		rc = certificate_remove(f->journey, f->object, branch_is_second(f), e);
		str_add(&f->result, rc == 0 ? "The certificate is unbound. A push carries that to the host.\n" : "");
	}
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_certificate = {
	.name = "certificate", .title = "Certificate wizard", .kind = SHEET_WIZARD, .object = OBJECT_VSERVER, .pages = pages,
	.fields = fields, .changes = true, .act = "Finish",
	.load = load, .check = branches_check, .preview = preview, .command = command, .look = look, .start = start,
};
