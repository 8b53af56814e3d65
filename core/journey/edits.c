/* Undoing what was edited here: nothing of it touches a host; what was pushed already goes back by the next push. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

char *
vserver_full_name(struct journey *j, int64_t id)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	char *name = NULL;

	if (store_vserver_get(j->store, id, &vs, NULL) == 0 && store_server_get(j->store, vs.server, &sv, NULL) == 0)
		name = xasprintf("%s/%s", sv.name, vs.name);
	vserver_release(&vs);
	server_release(&sv);
	return name != NULL ? name : xasprintf("virtual server %lld", (long long)id);
}

/* When was the push begun that brought what is in force there now? 0: none of ours. */
static int64_t
pushed_at(struct journey *j, const struct server *sv)
{
	struct push_record_list l = { NULL, 0 };
	int64_t at = 0;
	size_t i;

	if (store_pushes(j->store, sv->id, &l, NULL) == 0)
		for (i = 0; i < l.n && at == 0; i++)
			if (l.v[i].generation == sv->generation && (text_eq(l.v[i].result, "kept") ||
			    text_eq(l.v[i].result, "waiting") || text_eq(l.v[i].result, "unchanged")))
				at = l.v[i].started_at;
	push_record_list_release(&l);
	return at;
}

bool
push_waits(struct journey *j, const struct server *sv, int64_t since)
{
	return pending_edits(j, sv->id, NULL) > 0 && since > pushed_at(j, sv);
}

bool
edit_is_pushed(struct journey *j, const struct wanted_edit *w)
{
	struct server_list l = { NULL, 0 };
	bool waits = false, touches = false;
	size_t i;

	if (w->undone || store_servers(j->store, &l, NULL) == -1)
		return false;
	for (i = 0; i < l.n && !waits; i++)
		if (store_edit_touches(j->store, w->id, l.v[i].id, &touches, NULL) == 0 && touches)
			waits = push_waits(j, &l.v[i], w->at);
	server_list_release(&l);
	return !waits;
}

struct undoing { struct journey *j; int64_t id; bool again; struct wanted_edit w; };

static int
undo_body(struct store *st, void *arg, struct err *e)
{
	struct undoing *u = arg;

	if (store_edit_undo(st, u->id, u->again, &u->w, e) == -1)
		return -1;
	return note_activity(u->j, NULL, u->again ? "edit-again" : "edit-undo", 0, e, u->w.text);
}

int
edit_undo(struct journey *j, int64_t id, bool again, struct str *said, struct err *e)
{
	struct undoing u = { .j = j, .id = id, .again = again };
	int rc = store_tx(j->store, undo_body, &u, e);

	if (rc == 0 && said != NULL)
		str_addf(said, "%s: %s", again ? "Made again" : "Undone", clean(u.w.text));
	wanted_edit_release(&u.w);
	return rc;
}
