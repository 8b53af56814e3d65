/* What was seen waiting goes into the store, once a minute and host: cells for the trends, what backs up, what TLS has to do with
 * it. A worker makes a note of a look; the main thread, whose the store is, writes notes a few rows at a time, since one of a
 * host with many destinations takes longer than a key may wait for its picture (journey_notes_later). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define EVERY_MS 60000
#define TOP 200                  /* groups of a grouping that are noted, those with most messages */
#define JUDGED 50                /* destinations, the same */
#define PRUNE_EVERY_MS (3600 * 1000)
#define PRUNED 40                /* rows at a time */

struct noted { const char *grouping; char *key; int64_t messages, oldest; };

/* In this order: destinations are judged, the facts are set, the cells are written. Judged before it is noted: an hour is no past
 * of itself. */
struct note {
	struct note *next;
	struct slot *slot;
	int64_t server, at, messages, oldest;
	char *tls;                       /* the fact, or NULL */
	struct noted *v;                 /* destinations first, those with most messages first */
	size_t n, destinations, judged, written;
	bool begun, facts;
	struct backing_judge judge;
};

void
queue_note_free(struct note *note)
{
	size_t i;

	if (note == NULL)
		return;
	for (i = 0; i < note->n; i++)
		free(note->v[i].key);
	free(note->v);
	free(note->tls);
	backing_judge_release(&note->judge);
	free(note);
}

/* --- made by a worker --- */

bool
queue_note_due(const struct slot *s)
{
	return s->note == NULL && (s->queue_noted_ms == 0 || when_monotonic_ms() - s->queue_noted_ms >= EVERY_MS);
}

static void
take_groups(struct note *note, const char *grouping, const struct queue_groups *groups)
{
	size_t i;

	for (i = 0; i < groups->n && i < TOP; i++) {
		ARRAY_GROW(note->v, note->n);
		note->v[note->n++] = (struct noted){ grouping, xstrdup(groups->v[i].key), groups->v[i].messages, groups->v[i].oldest };
	}
}

/* What TLS has to do with it: "12 bank.test: why, and 3 more destinations"; NULL: nothing. */
static char *
tls_words(const struct queue_groups *destinations)
{
	struct str tls = STR_INIT;
	int64_t waiting = 0;
	char *text = NULL;
	size_t i, n = 0;

	for (i = 0; i < destinations->n; i++) {
		const struct queue_group *g = &destinations->v[i];

		if (g->failure == NULL || !g->failure->tls || g->deferred == 0)
			continue;
		if (n++ == 0)
			str_addf(&tls, " %s: %s", clean(g->key), g->failure->title);
		waiting += g->deferred;
	}
	if (n > 1)
		str_addf(&tls, ", and %zu more destination%s", n - 1, n == 2 ? "" : "s");
	if (waiting > 0)
		text = xasprintf("%lld%s", (long long)waiting, tls.s);
	str_release(&tls);
	return text;
}

struct note *
queue_note_new(struct slot *s, const struct queue_view *v, const struct queue_groups *const groups[QUEUE_BY_SERVER])
{
	static const char *const names[QUEUE_BY_SERVER] = { "destination", "reason", "sender" };
	const struct queue_groups *destinations = groups[QUEUE_BY_DESTINATION];
	struct note *note = xcalloc(1, sizeof(*note));
	size_t i;
	int by;

	note->slot = s;
	note->server = v->server;
	note->at = v->taken_at;
	note->messages = v->messages;
	note->tls = tls_words(destinations);
	note->judge = (struct backing_judge){ .fact = STR_INIT };
	for (i = 0; i < destinations->n; i++)
		if (destinations->v[i].oldest > 0 && (note->oldest == 0 || destinations->v[i].oldest < note->oldest))
			note->oldest = destinations->v[i].oldest;
	for (by = 0; by < QUEUE_BY_SERVER; by++) {
		take_groups(note, names[by], groups[by]);
		if (by == QUEUE_BY_DESTINATION)
			note->destinations = note->n < JUDGED ? note->n : JUDGED;
	}
	return note;
}

/* --- written by the main thread --- */

int
fact_note(struct store *st, const char *name, const char *value, struct err *e)
{
	char *was = NULL;
	int rc = 0;

	if (store_fact_get(st, name, &was, NULL) == -1)
		was = NULL;
	if (!text_eq(was, value))
		rc = store_fact_set(st, name, value, e);
	free(was);
	return rc;
}

static int
write_facts(struct store *st, struct note *note, struct err *e)
{
	char *name = xasprintf("queue-tls:%lld", (long long)note->server);
	struct server sv = { .id = 0 };
	int rc = backing_end(st, &note->judge, e);

	if (rc == 0)
		rc = fact_note(st, name, note->tls, e);
	if (rc == 0)
		rc = store_queue_cell_note(st, note->server, "server", "", note->at, note->messages, note->oldest, e);
	if (rc == 0 && (rc = store_server_get(st, note->server, &sv, e)) == 0 && sv.queue_messages != note->messages) {
		sv.queue_messages = note->messages;
		rc = store_server_save(st, &sv, e);
	}
	server_release(&sv);
	free(name);
	note->facts = true;
	return rc;
}

/* One more piece. 1: there is more; 0: that was the last. */
static int
write_piece(struct store *st, struct note *note, struct err *e)
{
	const struct noted *g;
	int rc;

	if (!note->begun) {
		note->begun = true;
		rc = backing_begin(st, note->server, note->at, &note->judge, e);
	} else if (note->judged < note->destinations) {
		g = &note->v[note->judged++];
		backing_judge(st, &note->judge, g->key, g->messages, g->oldest);
		rc = 0;
	} else if (!note->facts) {
		rc = write_facts(st, note, e);
	} else if (note->written < note->n) {
		g = &note->v[note->written++];
		rc = store_queue_cell_note(st, note->server, g->grouping, g->key, note->at, g->messages, g->oldest, e);
	} else {
		return 0;
	}
	return rc == 0 ? 1 : -1;
}

struct slice { struct note *note; int64_t until_ms; bool more; };

static int
slice_body(struct store *st, void *arg, struct err *e)
{
	struct slice *s = arg;
	int rc;

	while ((rc = write_piece(st, s->note, e)) == 1)
		if (when_monotonic_ms() >= s->until_ms)
			break;
	s->more = rc == 1;
	return rc == -1 ? -1 : 0;
}

static int
prune_body(struct store *st, void *arg, struct err *e)
{
	struct slice *s = arg;
	int gone;

	while ((gone = store_queue_cells_prune(st, when_now(), PRUNED, e)) > 0)
		if (when_monotonic_ms() >= s->until_ms)
			break;
	s->more = gone > 0;
	return gone == -1 ? -1 : 0;
}

static void
note_drop(struct journey *j, struct note *note)
{
	struct note **at;

	for (at = &j->notes; *at != note; at = &(*at)->next)
		;
	*at = note->next;
	note->slot->note = NULL;
	queue_note_free(note);
}

void
queue_notes_forget(struct journey *j)
{
	while (j->notes != NULL)
		note_drop(j, j->notes);
}

/* Who was removed from the store meanwhile is no failure. */
static bool
server_gone(struct journey *j, int64_t server)
{
	struct server sv = { .id = 0 };
	bool gone = store_server_get(j->store, server, &sv, NULL) == -1;

	server_release(&sv);
	return gone;
}

int
journey_notes_some(struct journey *j, int64_t until_ms, struct err *e)
{
	struct slice s = { j->notes, until_ms, false };
	int rc = 0;

	if (s.note != NULL) {
		rc = store_tx_seen(j->store, slice_body, &s, e);
		if (rc == -1 && server_gone(j, s.note->server))
			rc = 0;
		if (rc == -1 || !s.more) {
			note_drop(j, s.note);
			s.more = j->notes != NULL || j->pruned_ms == 0;
		}
	} else if (j->noted && (j->pruned_ms == 0 || when_monotonic_ms() - j->pruned_ms >= PRUNE_EVERY_MS)) {
		rc = store_tx_seen(j->store, prune_body, &s, e);
		if (rc == -1 || !s.more)
			j->pruned_ms = when_monotonic_ms();
	}
	return rc == -1 ? -1 : s.more;
}

void
journey_notes_later(struct journey *j)
{
	j->notes_later = true;
}

int
queue_note(struct journey *j, struct note *note, struct err *e)
{
	struct note **at;
	int more = 0;

	for (at = &j->notes; *at != NULL; at = &(*at)->next)
		;
	*at = note;
	j->noted = true;
	note->slot->note = note;
	note->slot->queue_noted_ms = when_monotonic_ms();
	while (!j->notes_later && (more = journey_notes_some(j, INT64_MAX, e)) == 1)
		;
	return more == -1 ? -1 : 0;
}
