/* The activity table: append-only (triggers in migrations.c) and chained. The hash of a row covers the hash before it and
 * every field with its length, so that no byte can change, move to the next field or vanish unseen. What the chain cannot
 * see is the end cut off; the highest number ever given, which SQLite keeps beside the table, shows that. Somebody who may
 * write the file can make a new chain: this guards against accidents and clumsy hands, not against the owner. */
#include "db.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define COL(field, kind) { #field, kind, offsetof(struct activity, field), NULL, 0 }
#define FIRST "0000000000000000000000000000000000000000000000000000000000000000"   /* the hash before the first row */
#define TEXT_MAX 4096

static const struct column activity_columns[] = {
	COL(id, COL_INT64), COL(at, COL_INT64), COL(who, COL_TEXT), COL(server, COL_TEXT), COL(verb, COL_TEXT),
	COL(text, COL_TEXT), COL(result, COL_TEXT), COL(hash, COL_TEXT),
	{ NULL, COL_TEXT, 0, NULL, 0 }
};

static void
hash_field(struct str *b, const char *text)
{
	if (text == NULL)
		str_add(b, "-,");
	else
		str_addf(b, "%zu:%s,", strlen(text), text);
}

static void
row_hash(const char *before, const struct activity *a, char out[65])
{
	struct str b = STR_INIT;

	hash_field(&b, before);
	str_addf(&b, "%" PRId64 ",%" PRId64 ",", a->id, a->at);
	hash_field(&b, a->who);
	hash_field(&b, a->server);
	hash_field(&b, a->verb);
	hash_field(&b, a->text);
	hash_field(&b, a->result);
	sha256_hex(b.s, b.len, out);
	str_release(&b);
}

const char *
store_who(struct store *st)
{
	char machine[256] = "";
	struct passwd *pw;

	if (st->who == NULL) {
		pw = getpwuid(getuid());
		if (gethostname(machine, sizeof(machine) - 1) < 0 || machine[0] == '\0')
			strcpy(machine, "localhost");
		st->who = pw != NULL ? xasprintf("%s@%s", pw->pw_name, machine) :
		    xasprintf("uid%lu@%s", (unsigned long)getuid(), machine);
	}
	return st->who;
}

/* Number and hash are taken under the write lock, so two consoles cannot continue the same row. */
static int
add_body(struct store *st, void *arg, struct err *e)
{
	struct activity *a = arg;
	char *before = NULL, hash[65];
	int64_t highest;
	int found;

	if (db_number_get(st, ST_ACTIVITY_COUNT, &highest, e, "") < 0)
		return -1;
	found = db_text_get(st, ST_ACTIVITY_LAST, &before, e, "");
	if (found < 0)
		return -1;
	a->id = highest + 1;
	row_hash(found == 1 ? before : FIRST, a, hash);
	free(before);
	xset(&a->hash, hash);
	return db_row_run(st, ST_ACTIVITY_INSERT, NULL, activity_columns, a, e);
}

int
store_activity_add(struct store *st, const char *server, const char *verb, const char *result, struct err *e, const char *fmt, ...)
{
	struct activity a = { 0 };
	char text[TEXT_MAX];
	va_list ap;
	int bad;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a.at = when_now();
	xset(&a.who, store_who(st));
	xset(&a.server, server);
	xset(&a.verb, verb);
	xset(&a.text, text);
	xset(&a.result, result);
	bad = store_tx(st, add_body, &a, e);
	activity_release(&a);
	return bad;
}

int
store_activities(struct store *st, size_t limit, struct activity_list *out, struct err *e)
{
	FILL_LIST(activity, st, out, ST_ACTIVITY_LIST, activity_columns, e, "i", limit == 0 ? (int64_t)-1 : (int64_t)limit);
}

/* One row against the hash before it; before becomes its own. */
static int
verify_row(const struct activity *a, int64_t expected, char before[65], struct err *e)
{
	char hash[65];

	if (a->id != expected)
		return err_set(e, RC_FINDINGS, "activity row %" PRId64 " is missing: the history was shortened by hand", expected);
	row_hash(before, a, hash);
	if (a->hash == NULL || strcmp(a->hash, hash) != 0)
		return err_set(e, RC_FINDINGS, "activity row %" PRId64 " does not fit the rows before it: the history was changed by "
		    "hand", a->id);
	memcpy(before, hash, sizeof(hash));
	return 0;
}

int
store_activity_verify(struct store *st, int64_t *rows, struct err *e)
{
	char before[65] = FIRST;
	int64_t highest = 0, count = 0;
	sqlite3_stmt *q;
	int more, bad = 0;

	if (rows != NULL)
		*rows = 0;
	if (db_query(st, &q, ST_ACTIVITY_WALK, e, "") < 0)
		return -1;
	while (bad == 0 && (more = db_next(st, q, e)) != 0) {
		struct activity a = { 0 };

		if (more < 0)
			return -1;
		db_row_read(q, activity_columns, &a);
		bad = verify_row(&a, count + 1, before, e);
		activity_release(&a);
		count++;
	}
	if (bad < 0) {
		db_end(q);
		return -1;
	}
	if (db_number_get(st, ST_ACTIVITY_COUNT, &highest, e, "") < 0)
		return -1;
	if (highest != count)
		return err_set(e, RC_FINDINGS, "activity rows %" PRId64 " to %" PRId64 " are missing: the history was shortened by "
		    "hand", count + 1, highest);
	if (rows != NULL)
		*rows = count;
	return 0;
}
