/* Which of a server's listeners a client came to, as the mail log of the host tells it: by the name of what took its mail in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

void
listener_log_release(struct listener_log *l)
{
	free(l->name);
	free(l->service);
	free(l->with);
	*l = (struct listener_log){ .name = NULL };
}

static bool
listens(const struct vserver *vs)
{
	return vs->present && !text_empty(vs->listen);
}

/* Those of l that the log does not tell from own. */
static void
take_others(const struct vserver_list *l, const struct vserver *own, const char *server, struct listener_log *out)
{
	struct str with = STR_INIT;
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct vserver *other = &l->v[i];

		if (other == own || !listens(other))
			continue;
		out->others = true;
		if (own->log_service == NULL || other->log_service == NULL || strcmp(own->log_service, other->log_service) == 0)
			str_addf(&with, "%s%s/%s", with.len > 0 ? ", " : "", server, clean(other->name));
	}
	out->with = with.len > 0 ? str_take(&with) : NULL;
	str_release(&with);
}

int
listener_log(struct journey *j, int64_t server, int64_t vserver, struct listener_log *out, struct err *e)
{
	struct vserver_list l = { NULL, 0 };
	struct server sv = { .id = 0 };
	const struct vserver *own = NULL;
	size_t i;
	int rc = store_server_get(j->store, server, &sv, e);

	*out = (struct listener_log){ .name = NULL };
	if (rc == 0)
		rc = store_vservers(j->store, server, &l, e);
	for (i = 0; rc == 0 && i < l.n && own == NULL; i++)
		if (vserver != 0 ? l.v[i].id == vserver : l.v[i].is_default)
			own = &l.v[i];
	if (own != NULL) {
		out->name = xasprintf("%s/%s", sv.name, own->name);
		out->service = xstrdup(own->log_service);
		take_others(&l, own, sv.name, out);
	}
	vserver_list_release(&l);
	server_release(&sv);
	return rc;
}

void
listener_log_sentence(const struct listener_log *l, struct str *out)
{
	if (l->with != NULL && l->service == NULL)
		str_addf(out, "Counted together with %s: what each is called in the log is not known; reading the server again may tell.", l->with);
	else if (l->with != NULL)
		str_addf(out, "Counted together with %s: the log does not tell them apart, where it is %s. A syslog_name of its own in master.cf would.",
		    l->with, clean(l->service));
	else if (l->service != NULL && l->others)
		str_addf(out, "Counted by its name in the log, %s.", clean(l->service));
}
