/* drift: found against wanted, field by field, and the ways out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

static int64_t
look_start(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return drift_look(fleet_journey(h->fleet), h->server, &fleet_options(h->fleet)->push.plan, &h->plan, done, arg, e);
}

static const char *
state_word(const struct drift *d)
{
	switch (d->kind) {
	case DRIFT_EDITED: return "edited here, not pushed";
	case DRIFT_CHANGED: return "changed there";
	case DRIFT_LEFT: return "changed there, left so";
	case DRIFT_FILE: break;
	}
	return "touched by hand";
}

static json_t *
fields_json(const struct drift_list *l)
{
	json_t *rows = json_array();
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct drift *d = &l->v[i];

		json_array_append_new(rows, json_pack("{s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:o}", "object", json_text(d->object), "name",
		    json_text(d->name), "kind", drift_kind_name(d->kind), "wanted", json_text(d->wanted), "found", json_text(d->found),
		    "native", json_text(d->native), "source", json_text(d->source), "diff", json_text(d->diff)));
	}
	return rows;
}

static void
fields_print(const struct drift_list *l)
{
	static const char *const head[] = { "WHERE", "FIELD", "WANTED", "FOUND", "" };
	struct table t = { .head = head, .columns = 5 };
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct drift *d = &l->v[i];

		table_cell(&t, "%s", d->object);
		table_cell(&t, "%s", d->name);
		table_cell(&t, "%s", d->wanted != NULL ? d->wanted : "-");
		table_cell(&t, "%s", d->found != NULL ? d->found : d->native != NULL ? d->native : "?");
		table_cell(&t, "%s", state_word(d));
	}
	table_print(&t);
	for (i = 0; i < l->n; i++)
		if (l->v[i].diff != NULL)
			out_text(l->v[i].diff);
}

static void
plan_print(const struct plan *p)
{
	struct str text = STR_INIT;

	plan_render(p, &text);
	out_text(text.s);
	str_release(&text);
}

static int
drift_one(struct cli *c, struct fleet_host *h, const struct args *a, struct err *e)
{
	struct drift_list l = { NULL, 0 };
	bool drift;

	(void)a;
	if (drift_of_server(c->j, h->server, &l, e) == -1)
		return -1;
	drift = !plan_is_empty(&h->plan) || drift_count(&l) > 0;
	if (c->json)
		out_json(json_pack("{s:o,s:b,s:o,s:o}", "server", json_text(h->name), "drift", drift, "fields", fields_json(&l), "plan",
		    plan_json(&h->plan)));
	else {
		if (!drift)
			printf("%s: as wanted\n", h->name);
		if (l.n > 0)
			fields_print(&l);
		if (drift)
			plan_print(&h->plan);
	}
	drift_list_release(&l);
	return drift ? err_set(e, RC_FINDINGS, "%s differs from what is wanted", h->name) : 0;
}

typedef int way_fn(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e);
static const struct way { const char *option; way_fn *go; } ways[] = {
	{ "take", drift_take }, { "leave", drift_leave }, { "unleave", drift_unleave },
};

/* One of them, of the fields that the last reading saw. */
static int
way_out(struct cli *c, const struct args *a, const struct way *w, struct err *e)
{
	struct str words = STR_INIT, said = STR_INIT;
	struct server_list l = { NULL, 0 };
	char **fields;
	size_t i, n = 0, without = 0;
	int rc = cli_servers(c, a, &l, e);

	args_join(a, w->option, &words);
	fields = words_split(words.s, " ,", NULL);
	while (fields[n] != NULL)
		n++;
	if (rc == 0 && n == 0)
		rc = err_set(e, RC_USAGE, "--%s takes the name of a field, or all", w->option);
	for (i = 0; i < l.n && rc == 0; i++) {
		str_reset(&said);
		rc = w->go(c->j, l.v[i].id, (const char *const *)fields, n, &said, e);
		if (rc == -1 && e->code == RC_NOTFOUND && ++without < l.n)      /* one of several has it not */
			rc = 0;
		else if (rc == 0 && c->json)
			out_json(json_pack("{s:o,s:o}", "server", json_text(l.v[i].name), "text", json_text(said.s)));
		else if (rc == 0)
			printf("%s\n", clean(said.s));
	}
	words_free(fields);
	str_release(&words);
	str_release(&said);
	server_list_release(&l);
	return rc;
}

int
cmd_drift(struct cli *c, const struct args *a, struct err *e)
{
	const struct way *w = NULL;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!args_has(a, ways[i].option))
			continue;
		if (w != NULL)
			return err_set(e, RC_USAGE, "--%s or --%s, not both", w->option, ways[i].option);
		w = &ways[i];
	}
	if (w != NULL)
		return way_out(c, a, w, e);
	return cli_each(c, a, "drift", look_start, drift_one, e);
}
