/* The exceptions of a rehearsal: connectors for the destinations that need a lower level than all the others shall get. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define EXCEPTION_DAYS 90        /* until somebody should ask again */

/* "rehearsed-may", and with a number where such a connector is there. */
static char *
free_name(struct journey *j, const char *level)
{
	char *name = xasprintf("rehearsed-%s", level);
	int n;

	for (n = 2; n < 1000; n++) {
		struct connector c = { .id = 0 };

		if (store_connector_by_name(j->store, name, &c, NULL) == -1)
			break;
		connector_release(&c);
		free(name);
		name = xasprintf("rehearsed-%s-%d", level, n);
	}
	return name;
}

static bool
wants_exception(const struct rehearsed *p)
{
	return p->outcome == REHEARSED_FAILS && p->works != NULL;
}

/* One connector for all that fail alike: the same level works, by the same next hop. */
static int
except(struct journey *j, const char *via, const struct rehearsal *r, const bool *only, size_t first, bool *done, struct str *said, struct err *e)
{
	const struct rehearsed *like = &r->v[first];
	struct connector c = { .id = 0 };
	struct str domains = STR_INIT;
	char date[16];
	size_t i, n = 0;
	int rc;

	for (i = first; i < r->n; i++)
		if (wants_exception(&r->v[i]) && (only == NULL || only[i]) && text_eq(r->v[i].works, like->works) &&
		    text_eq(r->v[i].hop, like->hop)) {
			str_addf(&domains, "%s%s", n++ ? " " : "", r->v[i].peer);
			done[i] = true;
		}
	c.name = free_name(j, like->works);
	c.domains = str_take(&domains);
	c.route = xstrdup(like->hop ? "smart-host" : "dns");
	c.smart_hosts = xstrdup(like->hop);
	c.via = xstrdup(via);
	c.tls = xstrdup(like->works);
	when_date(date, when_now());
	c.reason = xasprintf("rehearsed on %s: mail would wait at %s", date, r->level);
	when_date(date, when_now() + INT64_C(86400) * EXCEPTION_DAYS);
	c.review = xstrdup(date);
	rc = connector_save(j, &c, e);
	if (rc == 0)
		str_addf(said, "Connector %s: %zu domain%s at %s, to be reviewed on %s.\n", c.name, n, n == 1 ? "" : "s", c.tls, c.review);
	connector_release(&c);
	return rc;
}

int
rehearsal_take(struct journey *j, int64_t server, const struct rehearsal *r, const bool *only, struct str *said, struct err *e)
{
	bool *done = xcalloc(r->n + 1, sizeof(*done));
	struct server sv = { .id = 0 };
	struct vserver vs = { .id = 0 };
	char *via = NULL;
	size_t i, n = 0;
	int rc = store_server_get(j->store, server, &sv, e);

	if (rc == 0 && (rc = store_vserver_by_name(j->store, sv.name, &vs, e)) == 0)
		via = xasprintf("%s/%s", sv.name, vs.name);
	if (rc == 0)
		rc = store_edit_begin(j->store, e);
	if (rc == 0) {
		for (i = 0; rc == 0 && i < r->n; i++)
			if (wants_exception(&r->v[i]) && (only == NULL || only[i]) && !done[i] && ++n)
				rc = except(j, via, r, only, i, done, said, e);
		if (rc == 0 && n == 0)
			rc = err_set(e, RC_NOTFOUND, "there is nothing to except: no destination that fails at %s would take mail at a lower level",
			    clean(r->level));
		rc = store_edit_end(j->store, rc, e, "%s: exceptions to %s, as rehearsed", sv.name, r->level);
	}
	free(via);
	free(done);
	vserver_release(&vs);
	server_release(&sv);
	return rc;
}
