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

static int
check_group(const struct form *f, const char *value, struct str *note, struct err *e)
{
	if (*value == '@')
		return err_set(e, RC_INVALID, "the name of a group is written without @ here");
	return *value == '\0' ? 0 : sheet_check_name(f, value, note, e);
}

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
	{ .name = "group", .page = "server", .label = "Group", .kind = FIELD_TEXT, .check = check_group,
	  .help = "Servers of one group stand together, and the command line takes them all as @GROUP.", .example = "east" },
	{ .name = NULL }
};

static int
load(struct form *f, struct err *e)
{
	struct server sv = { .id = 0 };

	if (store_server_get(journey_store(f->journey), f->object, &sv, e) == -1)
		return -1;
	const struct { const char *name, *value; } rows[] = {
		{ "name", sv.name }, { "target", sv.target }, { "identity", sv.identity },
		{ "become", sv.become == BECOME_SUDO ? "sudo" : "none" }, { "system", sv.system }, { "group", sv.group },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		(void)form_set(f, rows[i].name, rows[i].value ? rows[i].value : "", NULL);
	server_release(&sv);
	return 0;
}

/* Everything here refers to a server by its name. */
static int
name_stays(const struct form *f, const char **field, struct err *e)
{
	size_t i;

	(void)form_field(f, "name", &i);
	if (strcmp(f->value[i], f->was[i]) == 0)
		return 0;
	*field = "name";
	return err_set(e, RC_INVALID, "a server keeps its name; its address may change");
}

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
	static const char *const words[] = { "name", "target", NULL }, *const set_words[] = { "name", NULL };

	str_addf(out, "mxseal server %s ", f->object != 0 ? "set" : "add");
	str_add_word(out, form_get(f, "name"));
	if (f->object == 0) {
		str_addc(out, ' ');
		str_add_word(out, form_get(f, "target"));
	}
	sheet_options(f, f->object != 0 ? set_words : words, out);
}

static int64_t
start(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	int64_t id = 0;
	int rc = server_add(f->journey, form_get(f, "name"), form_get(f, "target"), form_get(f, "identity"),
	    form_get(f, "become"), form_get(f, "system"), form_get(f, "group"), &id, e);

	if (rc == 0) {
		f->result_id = id;
		str_addf(&f->result, "%s is known now. Next: read it.\n", form_get(f, "name"));
	}
	return sheet_finish(done, arg, rc, e);
}

static int64_t
set(struct form *f, sheet_done_fn *done, void *arg, struct err *e)
{
	int rc = server_set(f->journey, f->object, form_get(f, "target"), form_get(f, "identity"), form_get(f, "become"),
	    form_get(f, "system"), form_get(f, "group"), e);

	if (rc == 0)
		str_addf(&f->result, "%s is kept as it is here.\n", form_get(f, "name"));
	return sheet_finish(done, arg, rc, e);
}

const struct sheet sheet_server_set = {
	.name = "server-set", .title = "Server", .kind = SHEET_DIALOG, .object = OBJECT_SERVER, .pages = pages, .fields = fields,
	.act = "Keep", .load = load, .check = name_stays, .preview = preview, .command = command, .start = set,
};

const struct sheet sheet_server = {
	.name = "server", .title = "Add a server", .kind = SHEET_DIALOG, .object = OBJECT_NONE, .pages = pages, .fields = fields,
	.act = "Add", .preview = preview, .command = command, .start = start,
};
