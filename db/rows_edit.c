/* Edits of what is wanted, kept so that each can be undone as a whole: the rows as they were before and as they were left, as
 * JSON made by SQLite from the columns that are wanted (never those that a reading fills). The functions that write such rows
 * note them here; between store_edit_begin and store_edit_end all of them are one edit, and a setting or a connector that is
 * written outside is an edit of its own, so that no verb can forget it. Not so a virtual server: a reading writes it as well,
 * which is no edit; a verb that changes what is wanted of one opens the edit itself. */
#include "db.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define EDITS_KEPT 1000

/* What can be edited. Keys: of wanted a JSON array of scope, server, virtual server, name; of the others the id. */
static const struct edit_noun { const char *word; enum stmt_id read, put, drop; } nouns[] = {
	[EDIT_WANTED] = { "wanted", ST_EDIT_WANTED_READ, ST_EDIT_WANTED_PUT, ST_EDIT_WANTED_DROP },
	[EDIT_VSERVER] = { "vserver", ST_EDIT_VSERVER_READ, ST_EDIT_VSERVER_PUT, ST_EDIT_VSERVER_DROP },
	[EDIT_CONNECTOR] = { "connector", ST_EDIT_CONNECTOR_READ, ST_EDIT_CONNECTOR_PUT, ST_EDIT_CONNECTOR_DROP },
};
#define NOUNS (sizeof(nouns) / sizeof(nouns[0]))

static const struct column edit_columns[] = {
	{ "id", COL_INT64, offsetof(struct wanted_edit, id), NULL, 0 },
	{ "at", COL_INT64, offsetof(struct wanted_edit, at), NULL, 0 },
	{ "who", COL_TEXT, offsetof(struct wanted_edit, who), NULL, 0 },
	{ "text", COL_TEXT, offsetof(struct wanted_edit, text), NULL, 0 },
	{ "undone", COL_BOOL, offsetof(struct wanted_edit, undone), NULL, 0 },
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

/* --- noting --- */

void
db_edit_release(struct edit_log *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].key);
		free(l->v[i].before);
	}
	free(l->v);
	*l = (struct edit_log){ .depth = l->depth };
}

static int
state_of(struct store *st, enum edit_kind kind, const char *key, char **out, struct err *e)
{
	*out = NULL;
	return db_text_get(st, nouns[kind].read, out, e, "t", key) < 0 ? -1 : 0;
}

static bool
is_noted(const struct edit_log *l, enum edit_kind kind, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == kind && strcmp(l->v[i].key, key) == 0)
			return true;
	return false;
}

static void
note(struct edit_log *l, enum edit_kind kind, const char *key, char *before)
{
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = (struct edit_note){ kind, xstrdup(key), before };
}

int
db_edit_note(struct store *st, enum edit_kind kind, const char *key, struct err *e)
{
	char *before;

	if (st->edit.depth == 0 || is_noted(&st->edit, kind, key))
		return 0;
	if (state_of(st, kind, key, &before, e) < 0)
		return -1;
	note(&st->edit, kind, key, before);
	return 0;
}

int
db_edit_note_id(struct store *st, enum edit_kind kind, int64_t id, struct err *e)
{
	char key[24];

	snprintf(key, sizeof(key), "%lld", (long long)id);
	return db_edit_note(st, kind, key, e);
}

void
db_edit_new(struct store *st, enum edit_kind kind, int64_t id)
{
	char key[24];

	snprintf(key, sizeof(key), "%lld", (long long)id);
	if (st->edit.depth > 0 && !is_noted(&st->edit, kind, key))
		note(&st->edit, kind, key, NULL);
}

int
db_edit_note_wanted(struct store *st, const char *scope, int64_t server, int64_t vserver, const char *name, struct err *e)
{
	char *key = NULL;
	int rc = -1;

	if (st->edit.depth == 0)
		return 0;
	if (db_text_get(st, ST_EDIT_WANTED_KEY, &key, e, "trrt", scope, server, vserver, name) == 1)
		rc = db_edit_note(st, EDIT_WANTED, key, e);
	free(key);
	return rc;
}

int
store_edit_begin(struct store *st, struct err *e)
{
	if (db_tx_begin(st, e) < 0)
		return -1;
	st->edit.depth++;
	return 0;
}

/* Writes the rows that are not as they were; an edit without any is none. */
static int
edit_write(struct store *st, const char *text, struct err *e)
{
	int64_t id = 0, place = 0;

	for (size_t i = 0; i < st->edit.n; i++) {
		const struct edit_note *n = &st->edit.v[i];
		char *after;
		int rc = 0;

		if (state_of(st, n->kind, n->key, &after, e) < 0)
			return -1;
		if (text_eq(n->before, after)) {
			free(after);
			continue;
		}
		if (id == 0) {
			rc = db_run(st, ST_EDIT_INSERT, NULL, e, "itt", when_now(), store_who(st), text);
			id = sqlite3_last_insert_rowid(st->db);
		}
		if (rc == 0)
			rc = db_run(st, ST_EDIT_ROW_INSERT, NULL, e, "iitttt", id, place++, nouns[n->kind].word, n->key, n->before,
			    after);
		free(after);
		if (rc < 0)
			return -1;
	}
	return id == 0 ? 0 : db_run(st, ST_EDIT_PRUNE, NULL, e, "i", id - EDITS_KEPT);
}

int
store_edit_end(struct store *st, int rc, struct err *e, const char *fmt, ...)
{
	bool outer = st->edit.depth == 1;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (outer && rc == 0)
		rc = edit_write(st, text, e);
	st->edit.depth--;
	if (outer)
		db_edit_release(&st->edit);
	return db_tx_end(st, rc, e);
}

/* --- looking --- */

int
store_edits(struct store *st, size_t limit, struct wanted_edit_list *out, struct err *e)
{
	FILL_LIST(wanted_edit, st, out, ST_EDIT_LIST, edit_columns, e, "i", (int64_t)limit);
}

int
store_edit_touches(struct store *st, int64_t id, int64_t server, bool *yes, struct err *e)
{
	int64_t n = 0;
	int found = db_number_get(st, ST_EDIT_TOUCHES, &n, e, "ii", id, server);

	*yes = n > 0;
	return found < 0 ? -1 : 0;
}

/* --- undoing --- */

struct edit_row { int64_t place; char *noun, *key, *before, *after; };
struct edit_rows { struct edit_row *v; size_t n; };

static const struct column row_columns[] = {
	{ "place", COL_INT64, offsetof(struct edit_row, place), NULL, 0 },
	{ "noun", COL_TEXT, offsetof(struct edit_row, noun), NULL, 0 },
	{ "key", COL_TEXT, offsetof(struct edit_row, key), NULL, 0 },
	{ "before", COL_TEXT, offsetof(struct edit_row, before), NULL, 0 },
	{ "after", COL_TEXT, offsetof(struct edit_row, after), NULL, 0 },
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

static void
rows_release(struct edit_rows *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].noun);
		free(l->v[i].key);
		free(l->v[i].before);
		free(l->v[i].after);
	}
	free(l->v);
	*l = (struct edit_rows){ 0 };
}

static int
rows_get(struct store *st, int64_t id, struct edit_rows *out, struct err *e)
{
	sqlite3_stmt *q;
	int more;

	if (db_query(st, &q, ST_EDIT_ROWS, e, "i", id) < 0)
		return -1;
	while ((more = db_next(st, q, e)) == 1) {
		ARRAY_GROW(out->v, out->n);
		out->v[out->n] = (struct edit_row){ 0 };
		db_row_read(q, row_columns, &out->v[out->n++]);
	}
	return more;
}

static const struct edit_noun *
noun_of(const struct edit_row *r)
{
	for (size_t i = 0; i < NOUNS; i++)
		if (text_eq(nouns[i].word, r->noun))
			return &nouns[i];
	return NULL;
}

/* A row that is not as the edit left it: who has changed it since? */
static int
changed_since(struct store *st, const struct wanted_edit *w, const struct edit_row *r, const char *doing, struct err *e)
{
	struct wanted_edit later = { 0 };
	int found = db_row_get(st, ST_EDIT_SINCE, edit_columns, &later, e, "itt", w->id, r->noun, r->key);

	if (found < 0)
		return -1;
	if (found == 1) {
		err_set(e, RC_CONFLICT, "edit #%lld (%.120s) cannot be %s: %.60s changed the same since (edit #%lld: %.120s)",
		    (long long)w->id, clean(w->text), doing, clean(later.who), (long long)later.id, clean(later.text));
		err_hint(e, "mxseal edits undo %lld first, or edit it anew", (long long)later.id);
	} else {
		err_set(e, RC_CONFLICT, "edit #%lld (%.120s) cannot be %s: what it edited is not as it left it", (long long)w->id,
		    clean(w->text), doing);
		err_hint(e, "a server was read or pushed since, or something was removed: look at it and edit it anew");
	}
	wanted_edit_release(&later);
	return -1;
}

static int
row_put(struct store *st, const struct edit_noun *n, const struct edit_row *r, const char *state, struct err *e)
{
	int64_t changed = 0;

	if (state != NULL)
		return db_run(st, n->put, NULL, e, "tt", r->key, state);
	/* a listener that a push has made meanwhile is there: it goes by a push as well */
	if (n == &nouns[EDIT_VSERVER] && (db_run(st, ST_EDIT_VSERVER_TAKE_AWAY, &changed, e, "t", r->key) < 0 || changed > 0))
		return changed > 0 ? 0 : -1;
	return db_run(st, n->drop, NULL, e, "t", r->key);
}

struct turn { int64_t id; bool again; struct wanted_edit *out; };

static int
turn_rows(struct store *st, const struct turn *t, const struct wanted_edit *w, const struct edit_rows *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct edit_row *r = &l->v[i];
		const struct edit_noun *n = noun_of(r);
		char *now = NULL;
		bool same;

		if (n == NULL)
			return err_set(e, RC_BUG, "edit #%lld has a row of an unknown kind", (long long)w->id);
		if (db_text_get(st, n->read, &now, e, "t", r->key) < 0)
			return -1;
		same = text_eq(now, t->again ? r->before : r->after);
		free(now);
		if (!same)
			return changed_since(st, w, r, t->again ? "made again" : "undone", e);
	}
	for (size_t i = 0; i < l->n; i++) {        /* backwards what was done forwards: a part stands after its whole */
		const struct edit_row *r = &l->v[t->again ? i : l->n - 1 - i];

		if (row_put(st, noun_of(r), r, t->again ? r->after : r->before, e) < 0)
			return -1;
	}
	return db_run(st, ST_EDIT_MARK, NULL, e, "ii", w->id, (int64_t)(t->again ? 0 : 1));
}

static int
turn_body(struct store *st, void *arg, struct err *e)
{
	struct turn *t = arg;
	struct wanted_edit w = { 0 };
	struct edit_rows l = { NULL, 0 };
	int rc = -1, found = t->id != 0 ? db_row_get(st, ST_EDIT_GET, edit_columns, &w, e, "i", t->id)
	    : db_row_get(st, t->again ? ST_EDIT_NEXT_AGAIN : ST_EDIT_NEWEST, edit_columns, &w, e, "");

	if (found < 0)
		return -1;
	if (found == 0 && t->id == 0)
		return err_set(e, RC_NOTFOUND, t->again ? "there is no undone edit to make again" : "there is no edit to undo");
	if (found == 0) {
		db_no_such_id(e, "edit", t->id);
		return err_hint(e, "mxseal edits lists them");
	}
	if (w.undone != t->again)
		err_set(e, RC_CONFLICT, "edit #%lld (%.200s) %s", (long long)w.id, clean(w.text),
		    t->again ? "is in force: it was not undone" : "is undone already");
	else if (rows_get(st, w.id, &l, e) == 0)
		rc = turn_rows(st, t, &w, &l, e);
	rows_release(&l);
	if (rc == 0 && t->out != NULL)
		*t->out = w;
	else
		wanted_edit_release(&w);
	return rc;
}

int
store_edit_undo(struct store *st, int64_t id, bool again, struct wanted_edit *out, struct err *e)
{
	struct turn t = { id, again, out };

	return store_tx(st, turn_body, &t, e);
}
