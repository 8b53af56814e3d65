/* diagnose, and probe: one destination, or many at a time. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/remedies.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define PROBES_AT_ONCE 32
#define TICK_MS 500

struct diagnose_arg { int64_t server; const char *destination; struct destination_view view; };

static int64_t
diagnose_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct diagnose_arg *d = arg;

	destination_view_release(&d->view);
	return destination_diagnose(c->j, d->server, d->destination, &d->view, done, done_arg, e);
}

static json_t *
lines_json(const char *text)
{
	char **l = words_split(text, "\n", NULL);
	json_t *a = json_array();
	size_t i;

	for (i = 0; l[i] != NULL; i++)
		json_array_append_new(a, json_text(l[i]));
	words_free(l);
	return a;
}

static json_t *
comma_json(const char *list)
{
	char **l = words_split(list != NULL ? list : "", ",", NULL);
	json_t *out = json_array();
	size_t i;

	for (i = 0; l[i] != NULL; i++)
		json_array_append_new(out, json_text(l[i]));
	words_free(l);
	return out;
}

static json_t *
diagnosis_json(const struct destination_view *v, const struct remedy_offers *r)
{
	const struct diagnosis *d = &v->diagnosis;
	json_t *o = json_object(), *probes = json_array();
	json_t *names = json_array();
	size_t i;

	if (v->from_host.target != NULL)
		json_array_append_new(probes, probe_json(&v->from_host));
	for (i = 0; i < v->n_others; i++)
		json_array_append_new(probes, probe_json(&v->others[i]));
	if (v->from_here.target != NULL)
		json_array_append_new(probes, probe_json(&v->from_here));
	for (i = 0; i < r->n; i++)
		json_array_append_new(names, json_text(r->v[i].name));
	json_object_set_new(o, "destination", json_text(d->destination));
	json_object_set_new(o, "class", json_text(d->failure->name));
	json_object_set_new(o, "side", json_text(failure_side_name(d->side)));
	json_object_set_new(o, "where", json_text(d->where));
	json_object_set_new(o, "verdict", json_text(d->verdict));
	json_object_set_new(o, "tls", json_boolean(d->failure->tls));
	json_object_set_new(o, "title", json_text(d->failure->title));
	json_object_set_new(o, "explain", json_text(d->failure->explain));
	json_object_set_new(o, "advice", json_text(d->failure->advice));
	json_object_set_new(o, "level", json_text(v->level));
	json_object_set_new(o, "confidence", json_text(d->confidence));
	json_object_set_new(o, "since", v->since > 0 ? json_when(v->since) : json_null());
	json_object_set_new(o, "evidence", lines_json(d->evidence.s));
	json_object_set_new(o, "probes", probes);
	json_object_set_new(o, "decided_by", comma_json(d->failure->probes));
	json_object_set_new(o, "remedies", names);
	json_object_set_new(o, "choices", remedies_json(r));
	return o;
}

static void
diagnosis_print(const struct destination_view *v, const struct remedy_offers *r)
{
	const struct failure *f = v->diagnosis.failure;
	char ago[16];

	printf("%s: %s\n", clean(v->diagnosis.destination), f->title);
	if (v->diagnosis.verdict != NULL)
		printf("%s\n", clean(v->diagnosis.verdict));
	printf("class %s, side %s, sure: %s, our level %s\n\n", f->name, failure_side_name(v->diagnosis.side),
	    v->diagnosis.confidence ? v->diagnosis.confidence : "low", v->level ? clean(v->level) : "?");
	if (v->since > 0) {
		when_ago(ago, when_now() - v->since);
		printf("It began %s ago.\n", ago);
	}
	out_text(v->diagnosis.evidence.s);
	if (f->explain != NULL)
		printf("\n%s\n", f->explain);
	if (f->advice != NULL && v->diagnosis.side == f->side)
		printf("%s\n", f->advice);
	if (r->n > 0) {
		puts("\nWhat you can do:");
		remedies_print(r, false);
	}
}

int
cmd_diagnose(struct cli *c, const struct args *a, struct err *e)
{
	struct diagnose_arg d = { .destination = a->words[1] };
	struct remedy_offers r = { NULL, 0 };
	struct server sv = { .id = 0 };
	int rc = cli_server(c, a->words[0], &sv, e);

	d.server = sv.id;
	if (rc == 0)
		rc = cli_job(c, sv.id, diagnose_start, &d, e);
	if (rc == 0)
		remedies_for(c->j, sv.id, &d.view, &r);
	if (rc == 0 && c->json)
		out_json(diagnosis_json(&d.view, &r));
	else if (rc == 0)
		diagnosis_print(&d.view, &r);
	remedy_offers_release(&r);
	destination_view_release(&d.view);
	server_release(&sv);
	return rc;
}

/* --- probe --- */

struct probe_arg { int64_t server; char *target; int port; bool mx; struct probe_report report; };

static int64_t
probe_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct probe_arg *p = arg;

	probe_report_release(&p->report);
	return destination_probe(c->j, p->server, p->target, p->port, p->mx, &p->report, done, done_arg, e);
}

/* "name", "name:port", "[v6]:port", "[v6]" */
static int
split_target(char *text, struct probe_arg *p, struct err *e)
{
	char *colon = strrchr(text, ':'), *close = strrchr(text, ']'), *end;

	p->target = text;
	p->port = 0;
	/* a port or brackets mean this host, as in Postfix */
	p->mx = *text != '[';
	if (colon != NULL && (close != NULL ? colon > close : strchr(text, ':') == colon)) {
		*colon = '\0';
		p->port = (int)strtol(colon + 1, &end, 10);
		if (*end != '\0' || p->port < 1 || p->port > 65535)
			return err_set(e, RC_USAGE, "\"%s\" is not a port", clean(colon + 1));
		p->mx = false;
	}
	if (*text == '[' && close != NULL) {
		*close = '\0';
		p->target = text + 1;
	}
	return 0;
}

static int
probe_one(struct cli *c, const struct args *a, int64_t server, struct err *e)
{
	struct probe_arg p = { .server = server };
	char *text = xstrdup(a->words[0]);
	int rc = split_target(text, &p, e);

	p.mx = p.mx || args_has(a, "mx");
	if (rc == 0)
		rc = cli_job(c, server, probe_start, &p, e);
	if (rc == 0 && c->json)
		out_json(probe_json(&p.report));
	else if (rc == 0)
		probe_print(&p.report);
	probe_report_release(&p.report);
	free(text);
	return rc;
}

/* --- many --- */

struct many_probes {
	struct cli *c;
	const struct args *a;
	int64_t server;
	size_t at;                    /* next word of the command line */
	FILE *list;                   /* then its lines, NULL: there is none or it has ended */
	char *line; size_t cap;
	size_t running, most, done, good;
};
struct one_of_many { struct many_probes *m; char *text, *asked; struct probe_arg p; };

static void
one_free(struct one_of_many *o)
{
	probe_report_release(&o->p.report);
	free(o->text);
	free(o->asked);
	free(o);
}

/* A target that could not be looked at is an answer among the others. */
static void
print_failure(const struct one_of_many *o, const struct err *e)
{
	if (o->m->c->json)
		out_json(json_pack("{s:o,s:[],s:s,s:s,s:n,s:n,s:o}", "target", json_text(o->asked), "hosts", "class", e->code == RC_NOTFOUND ?
		    "dns" : "unknown", "side", e->code == RC_NOTFOUND ? "theirs" : "none", "dane", "mta_sts", "verdict", json_text(e->text)));
	else
		printf("%-30s %-30s %s\n", clean(o->asked), e->code == RC_NOTFOUND ? "dns" : "-", clean(e->text));
}

static void
one_done(void *arg, int rc, const struct err *e)
{
	struct one_of_many *o = arg;
	const struct probe_report *r = &o->p.report;

	if (rc != 0)
		print_failure(o, e);
	else if (o->m->c->json)
		out_json(probe_json(r));
	else
		printf("%-30s %-30s %s\n", clean(o->asked), r->class_name, clean(r->verdict));
	o->m->good += rc == 0 && strcmp(r->class_name, "tls-ok") == 0;
	o->m->done++;
	o->m->running--;
	one_free(o);
}

/* The next target: words, then lines of the file ("#" begins a comment). Given away; NULL: that was all. */
static char *
next_target(struct many_probes *m)
{
	while (m->at < m->a->n)
		return xstrdup(m->a->words[m->at++]);
	while (m->list != NULL && getline(&m->line, &m->cap, m->list) > 0) {
		m->line[strcspn(m->line, "#\r\n")] = '\0';
		if (*text_trim(m->line) != '\0')
			return xstrdup(text_trim(m->line));
	}
	return NULL;
}

static bool
start_next(struct many_probes *m)
{
	struct one_of_many *o;
	struct err e = { .code = RC_OK };
	char *text = next_target(m);

	if (text == NULL)
		return false;
	o = xcalloc(1, sizeof(*o));
	o->m = m;
	o->text = text;
	o->asked = xstrdup(text);
	o->p.server = m->server;
	m->running++;
	if (split_target(text, &o->p, &e) != 0 || probe_start(m->c, &o->p, one_done, o, &e) == -1)
		one_done(o, -1, &e);
	return true;
}

static int
probe_many(struct cli *c, const struct args *a, int64_t server, struct err *e)
{
	struct many_probes m = { .c = c, .a = a, .server = server, .most = cli_at_once(a, PROBES_AT_ONCE, e) };
	struct jobq *q = journey_jobs(c->j);
	const char *path = args_get(a, "list");
	bool more = true;

	if (m.most == 0)
		return -1;
	if (path != NULL && (m.list = strcmp(path, "-") == 0 ? stdin : fopen(path, "re")) == NULL)
		return err_set(e, errno == ENOENT ? RC_NOTFOUND : RC_IO, "cannot open %s: %s", clean(path), strerror(errno));
	while (more || m.running > 0) {
		struct pollfd p = { .fd = jobq_fd(q), .events = POLLIN };

		while (more && m.running < m.most)
			more = start_next(&m);
		if (m.running == 0)
			continue;
		(void)poll(&p, 1, TICK_MS);
		jobq_deliver(q);
	}
	if (m.list != NULL && m.list != stdin)
		fclose(m.list);
	free(m.line);
	if (!c->json)
		printf("%zu looked at, at %zu TLS works and the certificate is good\n", m.done, m.good);
	return 0;
}

int
cmd_probe(struct cli *c, const struct args *a, struct err *e)
{
	struct server sv = { .id = 0 };
	int rc = 0;

	if (a->n == 0 && !args_has(a, "list"))
		return err_set(e, RC_USAGE, "name a domain, or a file of them by --list");
	if (args_has(a, "via"))
		rc = cli_server(c, args_get(a, "via"), &sv, e);
	if (rc == 0)
		rc = a->n == 1 && !args_has(a, "list") ? probe_one(c, a, sv.id, e) : probe_many(c, a, sv.id, e);
	server_release(&sv);
	return rc;
}
