/* What became of pushes that nobody here saw the end of: the console was killed, the connection lost, or the host undid by
 * itself. The host's journal is the second copy of our record; what it knows is written into ours, once, with an activity. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define CLOCKS 120          /* seconds that a host's clock may be behind ours */
#define SURELY_OVER 900     /* seconds after which no push is still on its way to its first word on the host */

static bool
open_end(const struct push_record *r)
{
	return text_eq(r->result, "waiting") || text_eq(r->result, "unknown") || text_eq(r->result, "applying");
}

/* A console that was killed had not noted which generation it began: the first of the journal since then that no record has. */
static int64_t
generation_of(const struct push_record_list *l, const struct push_record *r, const struct push_status *s)
{
	const char *line = s->journal.s;
	long long at, number;
	char state[16];

	for (; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		bool taken = false;

		if (sscanf(line, "%lld %lld %15s", &at, &number, state) != 3 || strcmp(state, "begun") != 0 ||
		    at < r->started_at - CLOCKS)
			continue;
		for (size_t i = 0; i < l->n; i++)
			taken |= l->v[i].generation == number;
		if (!taken)
			return number;
	}
	return 0;
}

/* The word for it in our record, or NULL: still not known. */
static const char *
result_of(const struct push_record *r, const struct push_status *s, struct str *why)
{
	const char *fate = r->generation > 0 ? push_fate(s, r->generation, why) : NULL;

	if (fate == NULL && text_eq(r->result, "applying") && r->started_at < when_now() - SURELY_OVER)
		return "refused";
	if (fate == NULL || text_eq(fate, "unfinished"))
		return NULL;
	return text_eq(fate, "dropped") ? "refused" : fate;
}

static void
learn(struct journey *j, const struct server *sv, struct push_record *r, const char *result, const char *why, char **undone)
{
	char *text = xasprintf("generation %lld was %s%s%s", (long long)r->generation, result, *why != '\0' ? ": " : "", why);
	bool bad = text_eq(result, "undone");
	struct err e;

	err_clear(&e);
	xset(&r->result, result);
	r->ended_at = when_now();
	if (bad) {
		err_set(&e, RC_UNDONE, "%s: %s", sv->name, text);
		xset(undone, e.text);
	}
	if (store_push_save(j->store, r, NULL) == 0 && !text_eq(result, "waiting"))
		(void)note_activity(j, sv->name, "push", bad ? -1 : 0, &e, text);
	free(text);
}

void
fates_learn(struct journey *j, const struct server *sv, const struct push_status *s, int64_t except, char **undone)
{
	struct push_record_list l = { NULL, 0 };
	struct str why = STR_INIT;

	/* somebody at work there may be one of us, with a record that is not ours to end */
	if (s->owner != NULL || store_pushes(j->store, sv->id, &l, NULL) != 0)
		return;
	for (size_t i = l.n; i-- > 0; ) {
		const char *result;

		if (!open_end(&l.v[i]) || l.v[i].id == except)
			continue;
		if (l.v[i].generation == 0)
			l.v[i].generation = generation_of(&l, &l.v[i], s);
		str_reset(&why);
		result = result_of(&l.v[i], s, &why);
		if (result != NULL && !text_eq(result, l.v[i].result))
			learn(j, sv, &l.v[i], result, why.s, undone);
	}
	str_release(&why);
	push_record_list_release(&l);
}
