/* workaround, workaround end, watch, and what check does with work-arounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define TAKEN_MAX 20000          /* messages that are tried again after a push */
#define AT_ONCE 500              /* ... of them in one go */
#define FOLLOW 30                /* seconds that they are followed */
#define LOG_DAYS 7

/* --- the stuck messages: taken, tried again, followed out --- */

struct take { int64_t server; const char *domain; struct queue_view view; };

static int64_t
take_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct take *t = arg;

	queue_view_release(&t->view);
	return queue_poll(c->j, t->server, QUEUE_BY_DESTINATION, t->domain, TAKEN_MAX, &t->view, done, done_arg, e);
}

struct retry { int64_t server; const char *const *ids; size_t n; };

static int64_t
retry_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	const struct retry *r = arg;

	return queue_act(c->j, r->server, "retry", r->ids, r->n, done, done_arg, e);
}

/* How many of those ids wait now. */
static size_t
still_there(const struct queue_messages *m, char **ids, size_t n, bool *left)
{
	size_t i, k, there = 0;

	for (i = 0; i < n; i++) {
		for (k = 0; k < m->n && strcmp(m->v[k].id, ids[i]) != 0; k++)
			;
		left[i] = k == m->n;
		there += !left[i];
	}
	return there;
}

static void
tell_left(struct cli *c, const char *server, const char *domain, size_t asked, size_t there)
{
	if (c->json)
		out_json(json_pack("{s:o,s:o,s:I,s:I}", "server", json_text(server), "destination", json_text(domain), "retried",
		    (json_int_t)asked, "left", (json_int_t)(asked - there)));
	else
		printf("%s: %zu of %zu messages for %s left\n", server, asked - there, asked, clean(domain));
	(void)fflush(stdout);
}

/* Exactly what waits for it at this moment is tried again, by queue id; then it is looked how they leave. */
static int
retry_and_follow(struct cli *c, const struct server *sv, const char *domain, struct err *e)
{
	struct take t = { .server = sv->id, .domain = domain };
	struct timespec second = { .tv_sec = 1 };
	char **ids = NULL;
	bool *left = NULL;
	size_t n = 0, i, there, before;
	int rc = cli_job(c, sv->id, take_start, &t, e), tries;

	if (rc == -1 || t.view.taken.n == 0)
		goto out;
	n = t.view.taken.n;
	ids = xcalloc(n, sizeof(*ids));
	left = xcalloc(n, sizeof(*left));
	for (i = 0; i < n; i++)
		ids[i] = xstrdup(t.view.taken.v[i].id);
	for (i = 0; i < n && rc == 0; i += AT_ONCE) {
		struct retry r = { sv->id, (const char *const *)ids + i, n - i < AT_ONCE ? n - i : AT_ONCE };

		rc = cli_job(c, sv->id, retry_start, &r, e);
	}
	for (tries = 0, there = before = n; rc == 0 && there > 0 && tries < FOLLOW; tries++) {
		(void)nanosleep(&second, NULL);
		if ((rc = cli_job(c, sv->id, take_start, &t, e)) == 0 && (there = still_there(&t.view.taken, ids, n, left)) != before)
			tell_left(c, sv->name, domain, n, there);
		before = there;
	}
	if (rc == 0 && there > 0)
		fprintf(stderr, "mxseal: %zu of them still wait; mxseal queue messages %s --destination %s says for what\n", there, sv->name,
		    clean(domain));
out:
	for (i = 0; i < n; i++)
		free(ids[i]);
	free(ids);
	free(left);
	queue_view_release(&t.view);
	return rc;
}

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

static int64_t
traffic_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	return traffic_read(c->j, *(int64_t *)arg, LOG_DAYS, done, done_arg, e);
}

static int
read_log(struct cli *c, const struct workaround *w, const struct server *sv, const struct args *a, struct err *e)
{
	int64_t id = sv->id;

	(void)w, (void)a;
	return cli_job(c, id, traffic_start, &id, e);
}

static int
push_one(struct cli *c, const struct workaround *w, const struct server *sv, const struct args *a, struct err *e)
{
	(void)w;
	return push_server(c, sv->name, a, e);
}

static int
push_and_retry(struct cli *c, const struct workaround *w, const struct server *sv, const struct args *a, struct err *e)
{
	int rc = push_server(c, sv->name, a, e);

	return rc == 0 ? retry_and_follow(c, sv, w->domain, e) : -1;
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
		json_array_append_new(rows, json_pack("{s:o,s:o,s:i,s:o,s:o}", "server", json_text(sv.name), "at", json_when(l->last_at), "good",
		    l->good, "good_since", json_when(l->good_since), "text", json_text(l->text)));
		server_release(&sv);
	}
	return rows;
}

static const char *const advice_words[] = { "keep", "tighten", "come-back", "done" };

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
		json_array_append_new(rows, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:b,s:s,s:o,s:o}", "domain",
		    json_text(w->domain), "servers", words_json(w->servers), "state", json_text(w->state), "level", json_text(w->level),
		    "connector", json_text(w->connector), "since", json_when(w->since), "review", json_when(w->review_at), "owner",
		    json_text(w->owner), "reason", json_text(w->reason), "evidence", json_text(w->evidence), "falls", w->falls, "used",
		    json_when(w->used_at), "unused", retire_unused(&v.r, now), "advice", advice_words[retire_next(&v.r, now)], "why",
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
	struct workaround w = { .id = 0 };
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
	if (rc == 0)
		rc = store_workaround_get(journey_store(c->j), f->result_id, &w, e);
	if (rc == 0 && !args_has(a, "no-push"))
		rc = push_and_retry(c, &w, &sv, a, e);
	form_close(f);
	workaround_release(&w);
	server_release(&sv);
	return rc;
}

/* The log is read first, so that the first mail afterwards is known for what it is. */
static int
end_it(struct cli *c, const struct workaround *w, bool by_itself, const struct args *a, struct str *said, struct err *e)
{
	struct err ignored;

	if (!args_has(a, "no-push") && each_server(c, w, a, read_log, &ignored) == 0)
		(void)workaround_log_read(c->j, w->id, &ignored);
	return workaround_end(c->j, w->id, by_itself, said, e);
}

int
cmd_workaround_end(struct cli *c, const struct args *a, struct err *e)
{
	struct workaround w = { .id = 0 };
	struct str said = STR_INIT;
	int rc = store_workaround_of(journey_store(c->j), a->words[0], &w, e);

	if (rc == 0) {
		rc = err_set(e, RC_NOTFOUND, "there is no work-around for %s", clean(a->words[0]));
		err_hint(e, "mxseal workaround lists them");
	} else if (rc == 1)
		rc = end_it(c, &w, false, a, &said, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:o}", "domain", json_text(w.domain), "text", json_text(said.s)));
	else if (rc == 0)
		out_text(said.s);
	if (rc == 0 && !args_has(a, "no-push"))
		rc = each_server(c, &w, a, push_one, e);
	workaround_release(&w);
	str_release(&said);
	return rc;
}

/* --- looking after them: check, watch --- */

struct look { int64_t id, server; };

static int64_t
look_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	const struct look *l = arg;

	return workaround_look_now(c->j, l->id, l->server, NULL, done, done_arg, e);
}

static int
look_one(struct cli *c, const struct workaround *w, const struct server *sv, const struct args *a, struct err *e)
{
	struct look l = { w->id, sv->id };

	(void)a;
	return cli_job(c, sv->id, look_start, &l, e);
}

static int
no_other_edits(struct cli *c, const struct workaround *w, const struct server *sv, const struct args *a, struct err *e)
{
	struct str all = STR_INIT;
	int rc = 0;

	(void)w, (void)a;
	if (pending_edits(c->j, sv->id, &all) > 0) {
		rc = err_set(e, RC_CONFLICT, "%s: other edits are not pushed yet, and nobody is here to look at them: %.*s", sv->name,
		    (int)strcspn(all.s, "\n"), all.s);
		err_hint(e, "push them, or take them back; then --retire goes on");
	}
	str_release(&all);
	return rc;
}

/* What is advised, carried out. A tightening whose push fails is taken back here as well. */
static int
follow_advice(struct cli *c, const struct args *a, const struct workaround *w, enum retire_advice advice, struct err *e)
{
	struct str said = STR_INIT, back = STR_INIT;
	struct err ignored;
	int rc = each_server(c, w, a, no_other_edits, e);

	if (rc == 0 && advice == RETIRE_TIGHTEN)
		rc = end_it(c, w, true, a, &said, e);
	else if (rc == 0)
		rc = workaround_come_back(c->j, w->id, &said, e);
	if (rc == 0 && !c->json)
		out_text(said.s);
	if (rc == 0) {
		rc = each_server(c, w, a, advice == RETIRE_TIGHTEN ? push_one : push_and_retry, e);
		if (rc == -1 && advice == RETIRE_TIGHTEN)
			(void)workaround_come_back(c->j, w->id, &back, &ignored);
	}
	str_release(&said);
	str_release(&back);
	return rc;
}

static int
tend_one(struct cli *c, const struct args *a, struct workaround *w, struct err *e)
{
	enum retire_advice advice = RETIRE_KEEP;
	struct retire_view v;
	struct err own = { .code = RC_OK };
	int64_t id = w->id;
	int rc;

	if (each_server(c, w, a, look_one, &own) == -1 && !c->quiet)
		fprintf(stderr, "mxseal: %s could not be looked at from everywhere: %s\n", clean(w->domain), clean(own.text));
	if (workaround_wants_log(w, when_now()) && each_server(c, w, a, read_log, &own) == 0)
		(void)workaround_log_read(c->j, id, &own);
	workaround_release(w);
	rc = store_workaround_get(journey_store(c->j), id, w, e);
	if (rc == 0 && (rc = workaround_facts(c->j, w, &v, e)) == 0) {
		advice = retire_next(&v.r, when_now());
		retire_view_release(&v);
	}
	if (rc == 0 && advice == RETIRE_DONE)
		rc = workaround_done(c->j, id, e);
	else if (rc == 0 && advice != RETIRE_KEEP && args_has(a, "retire"))
		rc = follow_advice(c, a, w, advice, e);
	if (rc == -1)
		fprintf(stderr, "mxseal: the work-around for %s: %s\n", clean(w->domain), clean(e->text));
	return rc;
}

int
workarounds_tend(struct cli *c, const struct args *a, struct err *e)
{
	struct workaround_list l = { NULL, 0 };
	struct err own;
	size_t i;
	int rc = store_workarounds(journey_store(c->j), &l, e);

	if (rc == -1)
		return -1;
	for (i = 0; i < l.n; i++) {
		own = (struct err){ .code = RC_OK };
		if (strcmp(l.v[i].state, "ended") == 0 || tend_one(c, a, &l.v[i], &own) == 0)
			continue;
		if (rc == 0)
			*e = own;
		rc = -1;
	}
	workaround_list_release(&l);
	return rc;
}

static bool
is_in(const struct attention_list *l, const struct attention *a)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->v[i].text, a->text) == 0)
			return true;
	return false;
}

static void
tell_finding(struct cli *c, const struct attention *f, const char *event)
{
	char stamp[32];
	json_t *o;

	when_rfc3339(stamp, when_now());
	if (c->json) {
		o = finding_json(c, f);
		json_object_set_new(o, "event", json_string(event));
		json_object_set_new(o, "at", json_when(when_now()));
		out_json(o);
	} else
		printf("%s %c %s%s\n", stamp, f->sign, strcmp(event, "gone") == 0 ? "gone: " : "", clean(f->text));
	(void)fflush(stdout);
}

static int
watched_seconds(const struct args *a, int *out, struct err *e)
{
	char *end;
	long n = args_has(a, "every") ? strtol(args_get(a, "every"), &end, 10) : 300;

	if (args_has(a, "every") && (*end != '\0' || n < 10 || n > 86400))
		return err_set(e, RC_USAGE, "--every takes 10 to 86400 seconds, not \"%s\"", clean(args_get(a, "every")));
	*out = (int)n;
	return 0;
}

/* A poll notes what waits, which findings are made of. */
static void
poll_all(struct cli *c, const struct server_list *l)
{
	struct err own;
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct take t = { .server = l->v[i].id };

		if (cli_job(c, l->v[i].id, take_start, &t, &own) == -1 && !c->quiet)
			fprintf(stderr, "mxseal: %s: %s\n", l->v[i].name, clean(own.text));
		queue_view_release(&t.view);
	}
}

static bool
concerns(const struct attention *f, const struct server_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].id == f->server)
			return true;
	return f->server == 0;
}

int
cmd_watch(struct cli *c, const struct args *a, struct err *e)
{
	struct attention_list now = { NULL, 0 }, before = { NULL, 0 };
	struct server_list l = { NULL, 0 };
	struct timespec wait = { .tv_sec = 0 };
	struct err bad = { .code = RC_OK };
	bool once = args_has(a, "once"), any = false;
	int every = 0, rc = watched_seconds(a, &every, e);
	size_t i;

	if (rc == 0)
		rc = cli_servers(c, a, &l, e);
	wait.tv_sec = every;
	while (rc == 0) {
		poll_all(c, &l);
		(void)workarounds_tend(c, a, &bad);
		memset(&now, 0, sizeof(now));
		if ((rc = attention(c->j, &now, e)) == -1)
			break;
		for (i = 0; i < now.n; i++)
			if (concerns(&now.v[i], &l)) {
				any = true;
				if (!is_in(&before, &now.v[i]))
					tell_finding(c, &now.v[i], once ? "is" : "new");
			}
		for (i = 0; i < before.n; i++)
			if (concerns(&before.v[i], &l) && !is_in(&now, &before.v[i]))
				tell_finding(c, &before.v[i], "gone");
		attention_list_release(&before);
		before = now;
		if (once)
			break;
		(void)nanosleep(&wait, NULL);
	}
	attention_list_release(&before);
	server_list_release(&l);
	if (rc == 0 && bad.code != RC_OK) {
		*e = bad;
		rc = -1;
	} else if (rc == 0 && any) {
		err_set(e, RC_FINDINGS, "%s", "");
		rc = -1;
	}
	return rc;
}
