/* queue, queue messages; classify. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define READ_SIZE 262144

struct poll_arg { int64_t server; enum queue_by by; const char *destination; size_t limit; struct queue_view *view; };

static int64_t
poll_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct poll_arg *p = arg;

	queue_view_release(p->view);
	return queue_poll(c->j, p->server, p->by, p->destination, p->limit, p->view, done, done_arg, e);
}

static void
groups_print(const struct queue_groups *g, const char *by, const struct queue_backing_list *backing)
{
	const char *const head[] = { "MESSAGES", "OLDEST", "RETRY", by, "WHY", "SIDE" };
	struct table t = { .head = head, .columns = 6 };
	char ago[16], retry[16], usual[64];
	const struct queue_backing *b;
	size_t i;

	for (i = 0; i < g->n; i++) {
		const struct queue_group *q = &g->v[i];

		when_ago(ago, q->oldest > 0 ? when_now() - q->oldest : 0);
		table_cell(&t, "%lld", (long long)q->messages);
		table_cell(&t, "%s", ago);
		when_ago(retry, q->next_retry - when_now() > 0 ? q->next_retry - when_now() : 0);
		table_cell(&t, "%s", q->next_retry > 0 ? retry : "-");
		table_cell(&t, "%s", q->key);
		if (q->failure == NULL)
			table_cell(&t, q->states[QUEUE_HOLD] == q->messages ? "on hold" : "-");
		else
			table_cell(&t, "%s%s", q->failure->title, q->failure->tls ? "" : " (not TLS)");
		table_cell(&t, "%s", q->failure ? failure_side_name(q->failure->side) : "-");
	}
	table_print(&t);
	for (i = 0; i < g->n; i++)
		if ((b = queue_backing_of(backing, g->v[i].key)) != NULL) {
			queue_backing_usual(b, usual);
			when_ago(ago, when_now() - b->since);
			printf("%s backs up: %lld wait, %s; for %s now\n", clean(b->destination), (long long)b->messages, usual, ago);
		}
}

/* A saved listing, streamed. */
static int
from_file(const char *path, enum queue_by by, struct queue_view *out, struct err *e)
{
	struct queue_reader *q = queue_reader_new(by, "file", NULL, 0);
	char *buf = malloc(READ_SIZE);
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n = 0;

	if (fd == -1 || buf == NULL) {
		err_set(e, errno == ENOENT ? RC_NOTFOUND : RC_IO, "cannot open %s: %s", clean(path), strerror(errno));
		free(buf);
		queue_reader_free(q);
		return -1;
	}
	while (rc == 0 && (n = read(fd, buf, READ_SIZE)) > 0)
		rc = queue_reader_feed(q, buf, (size_t)n);
	if (rc == -1)
		err_set(e, RC_LIMIT, "%s has more groups than mxseal counts (4 million)", clean(path));
	else if (n == -1)
		rc = err_set(e, RC_IO, "cannot read %s: %s", clean(path), strerror(errno));
	if (fd != STDIN_FILENO)
		close(fd);
	queue_reader_end(q, &out->groups);
	out->messages = queue_reader_messages(q);
	out->bad_lines = queue_reader_bad_lines(q);
	out->taken_at = when_now();
	if (rc == 0 && out->messages == 0 && out->bad_lines > 0) {
		rc = err_set(e, RC_PARSE, "%s is no listing of a queue: none of its %lld lines can be read", clean(path),
		    (long long)out->bad_lines);
		err_hint(e, "what is read here is the output of postqueue -j");
	}
	queue_reader_free(q);
	free(buf);
	return rc;
}

struct queue_sum { struct queue_groups groups; struct queue_backing_list backing; json_t *servers; int64_t messages, bad; size_t counted; };

static void
add_view(struct queue_sum *sum, const char *name, struct queue_view *v)
{
	queue_groups_merge(&sum->groups, &v->groups);
	json_array_append_new(sum->servers, json_pack("{s:o,s:I,s:b,s:o}", "server", json_text(name), "messages",
	    (json_int_t)v->messages, "unreachable", 0, "note", json_text(v->note)));
	sum->counted++;
	sum->messages += v->messages;
	sum->bad += v->bad_lines;
	queue_view_release(v);
}

struct polled { enum queue_by by; struct queue_view view; };

static int64_t
each_start(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	struct polled *p = h->data;

	queue_view_release(&p->view);
	return queue_poll(fleet_journey(h->fleet), h->server, p->by, NULL, 0, &p->view, done, arg, e);
}

/* Into the sum, or why it is not counted. */
static void
add_host(struct fleet_host *h, struct queue_sum *sum, struct err *first)
{
	struct polled *p = h->data;

	if (h->rc == 0) {
		add_view(sum, h->name, &p->view);
		return;
	}
	if (fleet_size(h->fleet) > 1)
		fprintf(stderr, "mxseal: %s is not counted: %s\n", h->name, clean(h->err.text));
	json_array_append_new(sum->servers, json_pack("{s:o,s:n,s:b,s:o}", "server", json_text(h->name), "messages",
	    "unreachable", err_exit_status(h->err.code) == 3, "error", json_text(h->err.text)));
	if (first->code == RC_OK)
		*first = h->err;
}

static int
from_servers(struct cli *c, const struct args *a, enum queue_by by, struct queue_sum *sum, struct err *e)
{
	struct server_list l = { NULL, 0 };
	struct fleet_options o = { .at_once = cli_at_once(a, CLI_READS_AT_ONCE, e) };
	struct err first = { .code = RC_OK };
	struct polled *p;
	struct fleet *f;
	size_t i;
	int rc = o.at_once > 0 ? cli_open(c, e) : -1;

	if (rc == 0)
		rc = cli_servers(c, a, &l, e);
	if (rc == 0) {
		f = cli_fleet(c, &l, &o, NULL, NULL);
		p = xcalloc(l.n + 1, sizeof(*p));
		for (i = 0; i < l.n; i++) {
			p[i].by = by;
			fleet_nth(f, i)->data = &p[i];
		}
		fleet_each(f, "queue", each_start);
		cli_fleet_wait(c, f);
		for (i = 0; i < l.n; i++)
			add_host(fleet_nth(f, i), sum, &first);
		for (i = 0; i < l.n && by == QUEUE_BY_DESTINATION; i++)
			if (fleet_nth(f, i)->rc == 0)
				queue_backings(c->j, l.v[i].id, &sum->backing);
		cli_fleet_free(c, f);
		free(p);
	}
	server_list_release(&l);
	if (rc == 0 && first.code != RC_OK) {
		*e = first;
		rc = -1;
	}
	return rc;
}

#define TREND 12

static int64_t
cell_at(const struct queue_cell_list *l, int64_t at)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].at == at)
			return l->v[i].messages;
	return -1;
}

/* How many messages more wait in a group than an hour ago, and how many it were in each five minutes since, oldest first; null
 * where nobody looked. watched: cells of all mail of the servers. */
static void
trend_of(const struct queue_cell_list *own, const struct queue_cell_list *watched, int64_t now, json_t *group)
{
	int64_t at = now - now % QUEUE_CELL - (TREND - 1) * QUEUE_CELL, first = -1, last = -1, n;
	json_t *history = json_array();
	int i;

	for (i = 0; i < TREND; i++, at += QUEUE_CELL) {
		n = cell_at(own, at);
		if (n < 0 && cell_at(watched, at) >= 0)
			n = 0;
		json_array_append_new(history, n < 0 ? json_null() : json_integer(n));
		if (n >= 0 && first < 0)
			first = n;
		if (n >= 0)
			last = n;
	}
	json_object_set_new(group, "trend", own->n > 1 ? json_integer(last - first) : json_null());
	json_object_set_new(group, "history", history);
}

static void
add_trends(struct cli *c, const struct queue_groups *g, enum queue_by by, const json_t *servers, json_t *groups)
{
	static const char *const names[] = { "destination", "reason", "sender", "server" };
	struct queue_cell_list own, watched;
	struct server sv = { .id = 0 };
	int64_t now = when_now(), server = 0;
	size_t i;

	/* of one server, or of all of them together */
	if (json_array_size(servers) == 1 && cli_server(c, json_string_value(json_object_get(json_array_get(servers, 0), "server")), &sv, NULL) == 0)
		server = sv.id;
	server_release(&sv);
	if (store_queue_cells(journey_store(c->j), server, "server", "", QUEUE_CELL, now - TREND * QUEUE_CELL, &watched, NULL) == -1)
		return;
	/* the store remembers no more groups of one look */
	for (i = 0; i < g->n && i < 200; i++) {
		int64_t of = server;

		if (by == QUEUE_BY_SERVER && cli_server(c, g->v[i].key, &sv, NULL) == 0)
			of = sv.id;
		server_release(&sv);
		if (store_queue_cells(journey_store(c->j), of, names[by], by == QUEUE_BY_SERVER ? "" : g->v[i].key, QUEUE_CELL,
		    now - TREND * QUEUE_CELL, &own, NULL) == -1)
			continue;
		trend_of(&own, &watched, now, json_array_get(groups, i));
		free(own.v);
	}
	free(watched.v);
}

/* Whether more waits for a destination than is usual for it, of any of the servers; null where groups are no destinations. */
static void
add_backing(const struct queue_sum *sum, bool known, json_t *groups)
{
	size_t i;

	for (i = 0; i < sum->groups.n; i++) {
		const struct queue_backing *b = queue_backing_of(&sum->backing, sum->groups.v[i].key);
		json_t *o = json_array_get(groups, i);

		json_object_set_new(o, "backing_up", known ? json_boolean(b != NULL) : json_null());
		json_object_set_new(o, "backing_up_since", b != NULL ? json_when(b->since) : json_null());
		json_object_set_new(o, "usual", b != NULL ? json_integer(b->usual) : json_null());
	}
}

int
cmd_queue(struct cli *c, const struct args *a, struct err *e)
{
	struct queue_sum sum = { .servers = json_array() };
	struct queue_view v = { .taken_at = 0 };
	enum queue_by by = QUEUE_BY_DESTINATION;
	const char *group = args_get(a, "group");
	json_t *groups;
	int rc = 0;

	if (group != NULL)
		rc = queue_by_parse(&by, group, e);
	if (rc == 0 && args_has(a, "system") && strcmp(args_get(a, "system"), "postfix") != 0)
		rc = err_set(e, RC_USAGE, "--system takes postfix, not \"%s\"", clean(args_get(a, "system")));
	if (rc == 0 && args_has(a, "from")) {
		rc = from_file(args_get(a, "from"), by, &v, e);
		if (rc == 0 || v.bad_lines > 0)
			add_view(&sum, args_get(a, "from"), &v);
		queue_view_release(&v);
	} else if (rc == 0)
		rc = from_servers(c, a, by, &sum, e);
	/* what could be read is shown even when a server could not */
	if (rc == 0 || json_array_size(sum.servers) > 0) {
		if (c->json) {
			groups = groups_json(&sum.groups);
			if (!args_has(a, "from"))
				add_trends(c, &sum.groups, by, sum.servers, groups);
			add_backing(&sum, by == QUEUE_BY_DESTINATION && !args_has(a, "from"), groups);
			out_json(json_pack("{s:o,s:O,s:o,s:I}", "taken_at", json_when(when_now()), "servers", sum.servers, "groups",
			    groups, "bad_lines", (json_int_t)sum.bad));
		} else if (sum.counted > 0) {
			groups_print(&sum.groups, by == QUEUE_BY_REASON ? "REASON" : by == QUEUE_BY_SENDER ? "SENDER" :
			    by == QUEUE_BY_SERVER ? "SERVER" : "DESTINATION", &sum.backing);
			printf("%lld message%s", (long long)sum.messages, sum.messages == 1 ? "" : "s");
			if (sum.bad > 0)
				printf(", %lld line%s could not be read", (long long)sum.bad, sum.bad == 1 ? "" : "s");
			printf("\n");
		}
	}
	queue_groups_release(&sum.groups);
	queue_backing_list_release(&sum.backing);
	json_decref(sum.servers);
	return rc;
}

static json_t *
message_json(const struct queue_message *m)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:i,s:o,s:I,s:o,s:o}", "id", json_text(m->id), "queue", json_text(m->queue), "sender",
	    json_text(m->sender), "recipient", json_text(m->recipient), "recipients", m->recipients, "arrival", json_when(m->arrival),
	    "size", (json_int_t)m->size, "reason", json_text(m->reason), "class",
	    m->failure ? json_text(m->failure->name) : json_null());
}

int
cmd_queue_messages(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "ID", "QUEUE", "AGE", "SENDER", "RECIPIENT", "WHY" };
	struct table t = { .head = head, .columns = 6 };
	struct queue_view v = { .taken_at = 0 };
	struct server sv = { .id = 0 };
	struct poll_arg p = { 0, QUEUE_BY_DESTINATION, args_get(a, "destination"), 100, &v };
	json_t *rows = json_array();
	char ago[16];
	size_t i;
	int rc = cli_server(c, a->words[0], &sv, e);

	if (rc == 0 && args_has(a, "limit") && (p.limit = (size_t)atoll(args_get(a, "limit"))) == 0)
		rc = err_set(e, RC_USAGE, "--limit takes a number from 1 on");
	p.server = sv.id;
	if (rc == 0)
		rc = cli_job(c, sv.id, poll_start, &p, e);
	for (i = 0; i < v.taken.n; i++) {
		const struct queue_message *m = &v.taken.v[i];

		json_array_append_new(rows, message_json(m));
		when_ago(ago, when_now() - m->arrival);
		table_cell(&t, "%s", m->id);
		table_cell(&t, "%s", m->queue);
		table_cell(&t, "%s", ago);
		table_cell(&t, "%s", m->sender);
		table_cell(&t, "%s", m->recipient);
		table_cell(&t, "%s", m->failure ? m->failure->title : "-");
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:o,s:O}", "server", json_text(sv.name), "messages", rows));
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	queue_view_release(&v);
	server_release(&sv);
	return rc;
}

/* --- classify --- */

static void
classify_line(struct cli *c, const char *line, size_t len, const char *system)
{
	struct classified k;
	json_t *o;
	char *text = strndup(line, len), *advice;

	classify(line, len, system, &k);
	if (c->json) {
		advice = xasprintf("%s%s%s", k.failure->look ? k.failure->look : "", k.failure->look ? " " : "", k.failure->advice);
		o = json_pack("{s:o,s:s,s:b,s:s,s:o,s:o}", "text", json_text(text), "class", k.failure->name, "tls", k.failure->tls,
		    "side", failure_side_name(k.failure->side), "title", json_text(k.failure->title), "advice",
		    json_text(advice));
		out_json(o);
		free(advice);
	} else
		printf("%-30s %-3s %-6s %s\n", k.failure->name, k.failure->tls ? "tls" : "-", failure_side_name(k.failure->side),
		    clean(text));
	free(text);
}

int
cmd_classify(struct cli *c, const struct args *a, struct err *e)
{
	FILE *in = stdin;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (a->n > 0 && strcmp(a->words[0], "-") != 0 && (in = fopen(a->words[0], "re")) == NULL)
		return err_set(e, errno == ENOENT ? RC_NOTFOUND : RC_IO, "cannot open %s: %s", clean(a->words[0]), strerror(errno));
	while ((n = getline(&line, &cap, in)) > 0) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			n--;
		if (n > 0)
			classify_line(c, line, (size_t)n, args_get(a, "system"));
	}
	free(line);
	if (in != stdin)
		fclose(in);
	return 0;
}
