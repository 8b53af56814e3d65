/* A new virtual server: name, where it listens, what for, how secure it sends. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define AS_HOST "host"

static const struct choice kinds[] = {
	{ "smtp", "Mail from other mail hosts (SMTP)", "Like port 25: anybody may connect; TLS begins with STARTTLS, if at all." },
	{ "submission", "Mail from own users, STARTTLS (587)", "Who connects says STARTTLS before a password is asked for." },
	{ "submissions", "Mail from own users, TLS at once (465)", "TLS from the first byte (implicit TLS), without STARTTLS." },
	{ NULL, NULL, NULL }
};

static bool
listens(const struct form *f)
{
	return strcmp(form_get(f, "listen"), "none") != 0;
}

static int
check_name(const struct form *f, const char *value, struct str *note, struct err *e)
{
	(void)note;
	return vserver_name_free(f->journey, f->object, value, e);
}

/* Is this one of the host's addresses, as far as it was read? */
static void
note_address(const struct form *f, const char *listen, struct str *note)
{
	char *fact = xasprintf("addresses:%lld", (long long)f->object), *known = NULL;
	size_t n = strcspn(listen, "]"), k;
	const char *address = *listen == '[' ? listen + 1 : listen;
	char **w;
	bool found = text_starts(listen, "0.0.0.0:") || text_starts(listen, "127.") || text_starts(listen, "[::1]");

	n = *listen == '[' ? n - 1 : (size_t)(strrchr(listen, ':') - listen);
	if (store_fact_get(journey_store(f->journey), fact, &known, NULL) == 0 && !text_empty(known)) {
		w = words_split(known, " \n", NULL);
		for (k = 0; w[k] != NULL && !found; k++)
			found = strlen(w[k]) == n && strncmp(w[k], address, n) == 0;
		if (!found) {
			str_addf(note, "! %.*s is none of the host's addresses:", (int)n, address);
			for (k = 0; w[k] != NULL && k < 8; k++)
				str_addf(note, " %s", w[k]);
			str_add(note, ". ");
		}
		words_free(w);
	}
	free(fact);
	free(known);
}

/* The two ports of submission begin TLS in two ways, and each hangs with the other's. */
static void
note_port(const struct form *f, const char *listen, struct str *note)
{
	const char *port = strrchr(listen, ':') + 1, *kind = form_get(f, "kind");

	if (strcmp(port, "465") == 0 && strcmp(kind, "submissions") != 0)
		str_add(note, "! On 465 programs begin TLS with the first byte and would wait for ever here: the kind for it is submissions. ");
	else if (strcmp(port, "587") == 0 && strcmp(kind, "submissions") == 0)
		str_add(note, "! On 587 programs expect a greeting and then STARTTLS; with TLS at once they would wait for ever: the kind for it "
		    "is submission. ");
	else if (strcmp(port, "25") == 0 && strcmp(kind, "submissions") == 0)
		str_add(note, "! No mail host begins TLS at once on port 25. ");
	else if (strcmp(port, "587") == 0 && strcmp(kind, "smtp") == 0)
		str_add(note, "! 587 is where users hand in mail with a password: the kind for it is submission. ");
}

static int
check_listen(const struct form *f, const char *value, struct str *note, struct err *e)
{
	struct str normal = STR_INIT;
	int rc = vserver_listen_parse(value, &normal, e);

	if (rc == 0)
		rc = vserver_listen_free(f->journey, f->object, normal.s, note, e);
	if (rc == 0 && normal.len > 0) {
		note_address(f, normal.s, note);
		note_port(f, normal.s, note);
	}
	str_release(&normal);
	return rc;
}

/* The levels, and "host" for none of its own. */
static void
levels(const struct form *f, struct choice_list *out)
{
	(void)f;
	choice_list_add(out, AS_HOST, "as the host sends");
	for (const struct choice *c = tls_level_choices; c->name != NULL; c++)
		choice_list_add(out, c->name, c->label);
}

/* What is wanted of its own; "": nothing. */
static const char *
level_of(const struct form *f)
{
	const char *level = form_get(f, "outbound-tls");

	return strcmp(level, AS_HOST) == 0 ? "" : level;
}

static const struct page pages[] = {
	{ .name = "listener", .title = "Virtual server", .intro = "One more SMTP identity of this host. A push makes it; before that it can be given "
	  "settings and a certificate." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "name", .page = "listener", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED | FIELD_NO_OPTION, .check = check_name,
	  .help = "What you call it; the mail log shows it as postfix/NAME. Small letters, digits, hyphens.", .example = "submission" },
	{ .name = "kind", .page = "listener", .label = "Takes in", .kind = FIELD_CHOICE, .choices = kinds, .initial = "smtp", .shown = listens,
	  .help = "Who is to connect, and how TLS begins. STARTTLS: a greeting in the clear, then the client asks for TLS (25, 587). TLS at "
	  "once: nothing is said before TLS (465). A client that expects the one hangs with the other." },
	{ .name = "listen", .page = "listener", .label = "Listens on", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = check_listen,
	  .help = "Address and port. *:587 is every address the host has for mail. none: it does not listen, and is there only to send for "
	  "connectors.", .example = "192.0.2.5:2525" },
	{ .name = "outbound-tls", .page = "listener", .label = "Sends with", .kind = FIELD_CHOICE, .options = levels, .initial = AS_HOST,
	  .help = "Outbound security of what it sends for its connectors. With another level than the host's it gets a client service of its "
	  "own. none: never TLS, for the few destinations whose TLS is broken." },
	{ .name = NULL }
};

static void
preview(const struct form *f, const char *page, struct str *out)
{
	const char *kind = form_get(f, "kind"), *name = *form_get(f, "name") ? form_get(f, "name") : "NAME";
	const char *level = level_of(f);
	struct str normal = STR_INIT;

	(void)page;
	if (vserver_listen_parse(form_get(f, "listen"), &normal, NULL) == 0) {
		str_add(out, "In master.cf, at its end:\n");
		if (normal.len > 0)
			str_addf(out, "  %s inet ... smtpd\n    -o syslog_name=postfix/%s\n",
			    text_starts(normal.s, "0.0.0.0:") ? normal.s + 8 : normal.s, name);
		if (normal.len > 0 && text_starts(kind, "submission"))
			str_addf(out, "    -o %s\n    -o smtpd_tls_auth_only=yes\n  Only who gives a password (SASL) may hand in mail; where the host has no "
			    "SASL, only mynetworks. It needs a certificate before its first push.\n",
			    strcmp(kind, "submissions") == 0 ? "smtpd_tls_wrappermode=yes" : "smtpd_tls_security_level=encrypt");
		if (normal.len == 0 || *level)
			str_addf(out, "  %s-out unix ... smtp\n    -o syslog_name=postfix/%s-out\n", name, name);
		if (*level)
			str_addf(out, "    -o smtp_tls_security_level=%s\n", level);
	}
	str_release(&normal);
}

static void
command(const struct form *f, struct str *out)
{
	static const char *const words[] = { "name", NULL };

	str_add(out, "mxseal vs add ");
	str_add_word(out, f->object_name ? f->object_name : "SERVER");
	str_addc(out, ' ');
	str_add_word(out, form_get(f, "name"));
	sheet_options(f, words, out);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	return sheet_finish(done, arg, vserver_add(f->journey, f->object, form_get(f, "name"), form_get(f, "listen"), form_get(f, "kind"),
	    level_of(f), &f->result_id, &f->result, e), e);
}

const struct sheet sheet_listener = {
	.name = "listener", .title = "New virtual server", .kind = SHEET_DIALOG, .object = OBJECT_SERVER, .pages = pages, .fields = fields,
	.act = "Keep", .preview = preview, .command = command, .start = start,
};
