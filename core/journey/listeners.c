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
	free(l->service);
	free(l->with);
	*l = (struct listener_log){ NULL, NULL, false };
}

static bool
listens(const struct vserver *vs)
{
	return vs->present && !text_empty(vs->listen);
}

void
listener_log(struct journey *j, const struct vserver *vs, struct listener_log *out)
{
	struct vserver_list l = { NULL, 0 };
	struct server sv = { .id = 0 };
	struct str with = STR_INIT;
	size_t i;

	*out = (struct listener_log){ .service = xstrdup(vs->log_service) };
	if (store_server_get(j->store, vs->server, &sv, NULL) == 0 && store_vservers(j->store, vs->server, &l, NULL) == 0)
		for (i = 0; i < l.n; i++) {
			const struct vserver *other = &l.v[i];

			if (other->id == vs->id || !listens(other))
				continue;
			out->others = true;
			if (vs->log_service == NULL || other->log_service == NULL || strcmp(vs->log_service, other->log_service) == 0)
				str_addf(&with, "%s%s/%s", with.len > 0 ? ", " : "", sv.name, clean(other->name));
		}
	out->with = with.len > 0 ? str_take(&with) : NULL;
	str_release(&with);
	vserver_list_release(&l);
	server_release(&sv);
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
