/* The list of mail systems that mxseal knows, and what belongs to none of them. A new driver is one line here. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/mailsys.h"

const struct mailsys *const mailsystems[] = {
	&mailsys_postfix,
	NULL
};

const struct mailsys *
mailsys_find(const char *name)
{
	size_t i;

	for (i = 0; name && mailsystems[i]; i++)
		if (strcmp(mailsystems[i]->name, name) == 0)
			return mailsystems[i];
	return NULL;
}

void
reading_release(struct reading *r)
{
	free(r->version);
	free(r->config_dir);
	free(r->host_name);
	free(r->domain);
	free(r->os);
	free(r->base);
	vserver_list_release(&r->vservers);
	str_release(&r->main_cf);
	str_release(&r->master_cf);
	str_release(&r->our_files);
	str_release(&r->warnings);
	str_release(&r->file_troubles);
	sections_release(&r->sections);
	memset(r, 0, sizeof(*r));
}

void
wanted_host_release(struct wanted_host *w)
{
	size_t i;

	for (i = 0; i < w->n_vs; i++) {
		free(w->vs[i].name);
		free(w->vs[i].ours);
		free(w->vs[i].listen);
		free(w->vs[i].kind);
		free(w->vs[i].run);
		free(w->vs[i].client);
		wanted_list_release(&w->vs[i].settings);
	}
	free(w->vs);
	for (i = 0; w->passwords != NULL && i < w->connectors.n; i++)
		secret_release(&w->passwords[i]);
	free(w->passwords);
	connector_list_release(&w->connectors);
	memset(w, 0, sizeof(*w));
}

char *
wanted_client_name(const char *vs)
{
	struct str out = STR_INIT;

	for (; *vs && out.len < 60; vs++)
		str_addc(&out, isalnum((unsigned char)*vs) ? (char)tolower((unsigned char)*vs) : '-');
	str_add(&out, "-out");
	return str_take(&out);
}
