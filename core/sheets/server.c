/* The dialog of a server: where it is and how to log in. Saving contacts nobody. */
#include <string.h>

#include "private.h"

static const struct choice becomes[] = {
	{ "none", "I log in as root", NULL },
	{ "sudo", "sudo after login (asks for its password when the host does)", NULL },
	{ NULL, NULL, NULL }
};

static const struct choice systems[] = {
	{ "auto", "find out", NULL },
	{ "postfix", "Postfix", NULL },
	{ NULL, NULL, NULL }
};

static const struct page pages[] = {
	{ .name = "server", .title = "Server",
	  .intro = "Nobody is contacted by this dialog. The host key is shown and asked for before the first login." },
	{ .name = NULL }
};

static const struct field fields[] = {
	{ .name = "name", .page = "server", .label = "Name", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED, .check = sheet_check_name,
	  .help = "What you call this mail host here.", .example = "mx1" },
	{ .name = "target", .page = "server", .label = "Address", .kind = FIELD_TEXT, .flags = FIELD_REQUIRED,
	  .help = "[user@]host[:port], a Host of your ssh configuration, or local: for this machine. Your own OpenSSH settings "
	  "(user, port, keys, ProxyJump) are used.", .example = "root@mx1.example.org" },
	{ .name = "identity", .page = "server", .label = "Key file", .kind = FIELD_PATH,
	  .help = "The SSH key to log in with, if it is not the usual one.", .example = "~/.ssh/id_ed25519" },
	{ .name = "become", .page = "server", .label = "Become root", .kind = FIELD_CHOICE, .choices = becomes, .initial = "none",
	  .help = "Settings and keys of a mail system belong to root: log in as root, or as somebody who may use sudo." },
	{ .name = "system", .page = "server", .label = "Mail system", .kind = FIELD_CHOICE, .choices = systems, .initial = "auto",
	  .help = "Which mail system to look for." },
	{ .name = NULL }
};

static void
preview(const struct form *f, const char *page, struct str *out)
{
	(void)page;
	str_addf(out, "The first reading logs in to %s, reads the settings, certificates (never private keys) and the size "
	    "of the queue. It writes nothing there.\n", *form_get(f, "target") ? form_get(f, "target") : "the host");
}

static void
command(const struct form *f, struct str *out)
{
	static const char *const words[] = { "name", "target", NULL };

	str_add(out, "mxseal server add ");
	str_add_word(out, form_get(f, "name"));
	str_addc(out, ' ');
	str_add_word(out, form_get(f, "target"));
	sheet_options(f, words, out);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	int64_t id = 0;
	int rc = server_add(f->journey, form_get(f, "name"), form_get(f, "target"), form_get(f, "identity"),
	    form_get(f, "become"), form_get(f, "system"), &id, e);

	if (rc == 0) {
		f->result_id = id;
		str_addf(&f->result, "%s is known now. Next: read it.\n", form_get(f, "name"));
	}
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_server = {
	.name = "server", .title = "Add a server", .kind = SHEET_DIALOG, .object = OBJECT_NONE, .pages = pages, .fields = fields,
	.act = "Add", .preview = preview, .command = command, .start = start,
};
