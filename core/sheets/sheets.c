/* The list of sheets: a new dialog or wizard is one file and one line here. */
#include <string.h>

#include "private.h"

const struct sheet *const sheets[] = {
	&sheet_server,
	&sheet_certificate,
	&sheet_virtual_server,
	&sheet_connector,
	&sheet_authority,
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

int64_t
sheet_finish(sheet_done_fn *done, void *arg, int rc, struct err *e)
{
	if (rc == -1)
		return -1;
	done(arg, 0, e);
	return 0;
}
