/* The list of sheets: a new dialog or wizard is one file and one line here. */
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"

const struct sheet *const sheets[] = {
	&sheet_server,
	&sheet_server_set,
	&sheet_certificate,
	&sheet_virtual_server,
	&sheet_listener,
	&sheet_recipe_tls_to,
	&sheet_recipe_tls_except,
	&sheet_connector,
	&sheet_authority,
	&sheet_acme,
	&sheet_workaround,
	NULL
};

const struct sheet *
sheet_find(const char *name)
{
	size_t i;

	for (i = 0; sheets[i] != NULL; i++)
		if (strcmp(sheets[i]->name, name) == 0)
			return sheets[i];
	return NULL;
}

int
sheet_check_name(const struct form *f, const char *value, struct str *note, struct err *e)
{
	const char *what = f->sheet->name;

	(void)note;
	if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(value) &&
	    strlen(value) <= 64 && *value != '-')
		return 0;
	err_set(e, RC_INVALID, "\"%s\" cannot be the name of %s %s", clean(value), strchr("aeiou", what[0]) != NULL ? "an" : "a", what);
	return err_hint(e, "letters, digits, dot, hyphen and underscore, at most 64");
}

int64_t
sheet_finish(sheet_done_fn *done, void *arg, int rc, struct err *e)
{
	if (rc == -1)
		return -1;
	done(arg, 0, e);
	return 0;
}
