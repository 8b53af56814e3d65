/* workaround, workaround try, workaround end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

/* --- workaround --- */

/* Runs a verb for each server that sends for it. */
typedef int each_fn(struct cli *c, const struct workaround *w, const struct server *sv, const struct args *a, struct err *e);

static int
each_server(struct cli *c, const struct workaround *w, const struct args *a, each_fn *fn, struct err *e)
{
	char **names = words_split(w->servers, " ", NULL);
	struct err own;
	size_t i;
	int rc = 0;

	for (i = 0; names[i] != NULL; i++) {
		struct server sv = { .id = 0 };

		own = (struct err){ .code = RC_OK };
		if ((store_server_by_name(journey_store(c->j), names[i], &sv, &own) == -1 || fn(c, w, &sv, a, &own) == -1) && rc == 0) {
			*e = own;
			rc = -1;
		}
		server_release(&sv);
	}
	words_free(names);
	return rc;
}

struct mark { int64_t workaround, server; };

static int64_t
mark_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	const struct mark *m = arg;

	return workaround_mark(c->j, m->workaround, m->server, done, done_arg, e);
}

int
workaround_marked(struct cli *c, int64_t workaround, int64_t server, struct err *e)
{
	struct mark m = { workaround, server };

	return cli_job(c, server, mark_start, &m, e);
}

static int
push_and_mark(struct cli *c, const struct workaround *w, const struct server *sv, const struct args *a, struct err *e)
{
	struct err ignored;
	int rc = push_server(c, sv->name, a, e);

	if (rc == 0)
		(void)workaround_marked(c, w->id, sv->id, &ignored);     /* else the next reading of the log is the mark */
	return rc;
}

static json_t *
looks_json(struct cli *c, const struct retire_view *v)
{
	json_t *rows = json_array();
	struct server sv;
	size_t i;

	for (i = 0; i < v->looks.n; i++) {
		const struct workaround_look *l = &v->looks.v[i];

		sv = (struct server){ .id = 0 };
		(void)store_server_get(journey_store(c->j), l->server, &sv, NULL);
		json_array_append_new(rows, json_pack("{s:o,s:o,s:i,s:b,s:I,s:o,s:o}", "server", json_text(sv.name), "at", json_when(l->last_at), "good",
		    l->good, "bad", l->bad, "stuck", (json_int_t)l->stuck, "good_since", json_when(l->good_since), "text", json_text(l->text)));
		server_release(&sv);
	}
	return rows;
}

static int
list_all(struct cli *c, struct err *e)
{
	static const char *const head[] = { "DOMAIN", "SERVERS", "STATE", "SINCE", "REVIEW", "OWNER", "REASON", "LOOKS" };
	struct table t = { .head = head, .columns = 8 };
	struct workaround_list l = { NULL, 0 };
	json_t *rows = json_array();
	struct retire_view v;
	int64_t now = when_now();
	char since[16], review[16];
	size_t i;
	int rc = store_workarounds(journey_store(c->j), &l, e);

	for (i = 0; i < l.n && rc == 0; i++) {
		const struct workaround *w = &l.v[i];
		struct str why = STR_INIT;

		if ((rc = workaround_facts(c->j, w, &v, e)) == -1)
			break;
		retire_why(&v.r, now, &why);
		json_array_append_new(rows, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:b,s:b,s:o,s:o,s:s,s:o,s:o}", "domain",
		    json_text(w->domain), "servers", words_json(w->servers), "state", json_text(w->state), "level", json_text(w->level),
		    "connector", json_text(w->connector), "since", json_when(w->since), "changed", json_when(w->changed_at), "review", json_when(w->review_at), "owner",
		    json_text(w->owner), "reason", json_text(w->reason), "evidence", json_text(w->evidence), "falls", w->falls, "used",
		    json_when(w->used_at), "unused", retire_unused(&v.r, now), "overdue", retire_overdue(&v.r, now), "proof", json_text(w->proof), "in_clear",
		    json_text(w->in_clear), "advice", retire_advice_name(retire_next(&v.r, now)), "why",
		    json_text(why.s), "looks", looks_json(c, &v)));
		when_date(since, w->since);
		when_date(review, w->review_at);
		table_cell(&t, "%s", w->domain);
		table_cell(&t, "%s", w->servers);
		table_cell(&t, "%s", w->state);
		table_cell(&t, "%s", since);
		table_cell(&t, "%s", w->review_at != 0 ? review : "-");
		table_cell(&t, "%s", w->owner ? w->owner : "-");
		table_cell(&t, "%s", w->reason ? w->reason : "-");
		table_cell(&t, "%s", why.s);
		str_release(&why);
		retire_view_release(&v);
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "workarounds", rows));
	else if (rc == 0 && l.n == 0)
		puts("there is no work-around");
	table_print_unless(&t, c->json || rc == -1 || l.n == 0);
	json_decref(rows);
	workaround_list_release(&l);
	return rc;
}

int
cmd_workaround(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	struct form *f = NULL;
	int rc;

	if (a->n == 0)
		return list_all(c, e);
	if (a->n == 1)
		return err_set(e, RC_USAGE, "workaround takes a server and a domain; without words it lists them");
	rc = cli_server(c, a->words[0], &sv, e);
	if (rc == 0)
		rc = cli_form(c, sheet_find("workaround"), sv.id, sv.name, a, &f, e);
	if (rc == 0)
		rc = form_set(f, "domain", a->words[1], e);
	if (rc == 0)
		rc = cli_form_run(c, f, sv.id, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:o}", "domain", json_text(form_get(f, "domain")), "text", json_text(f->result.s)));
	else if (rc == 0)
		out_text(f->result.s);
	if (rc == 0 && !args_has(a, "no-push"))
		rc = push_server(c, sv.name, a, e);
	form_close(f);
	server_release(&sv);
	return rc;
}

/* The next state of the one that is named, and the push that carries it to its servers. */
static int
become(struct cli *c, const struct args *a, enum retire_state to, struct err *e)
{
	struct workaround w = { .id = 0 };
	struct str said = STR_INIT;
	int rc = store_workaround_of(journey_store(c->j), a->words[0], &w, e);

	if (rc == 0) {
		rc = err_set(e, RC_NOTFOUND, "there is no work-around for %s", clean(a->words[0]));
		err_hint(e, "mxseal workaround lists them");
	} else if (rc == 1)
		rc = workaround_become(c->j, w.id, to, false, &said, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:o}", "domain", json_text(w.domain), "text", json_text(said.s)));
	else if (rc == 0)
		out_text(said.s);
	if (rc == 0 && !args_has(a, "no-push"))
		rc = each_server(c, &w, a, push_and_mark, e);
	workaround_release(&w);
	str_release(&said);
	return rc;
}

int
cmd_workaround_end(struct cli *c, const struct args *a, struct err *e)
{
	return become(c, a, RETIRE_PROVING, e);
}

int
cmd_workaround_try(struct cli *c, const struct args *a, struct err *e)
{
	return become(c, a, RETIRE_TRIAL, e);
}
