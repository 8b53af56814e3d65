/* Many servers from the command line: the fleet of core/journey, with its questions asked on the terminal. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/command.h"

#define TRIES 4

size_t
cli_at_once(const struct args *a, size_t usual, struct err *e)
{
	const char *text = args_get(a, "at-once");
	char *end;
	unsigned long n;

	if (text == NULL)
		return usual;
	n = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && n >= 1 && n <= FLEET_AT_ONCE_MAX)
		return n;
	err_set(e, RC_USAGE, "--at-once takes 1 to %d", FLEET_AT_ONCE_MAX);
	return 0;
}

/* --- running --- */

struct many { struct cli *c; cli_ended_fn *ended; void *arg; };
struct try { struct cli *c; struct fleet_run *r; int n; };

static void try_start(struct try *t);

static void
try_done(void *arg, int rc, const struct err *e)
{
	struct try *t = arg;
	struct fleet_host *h = fleet_run_host(t->r);
	struct err own;

	if (rc != 0 && t->n < TRIES) {
		if (cli_answer(t->c, h->server, e, &own) == 0) {
			try_start(t);
			return;
		}
		e = &own;
	}
	fleet_run_end(t->r, rc, e);
	fleet_run_free(t->r);
	free(t);
}

static void
try_start(struct try *t)
{
	struct fleet_host *h = fleet_run_host(t->r);
	struct err e = { .code = RC_OK };
	int64_t id;

	t->n++;
	id = fleet_run_start(t->r, try_done, t, &e);
	if (id > 0)
		h->job = id;
	else if (id < 0)
		try_done(t, -1, &e);
}

static void
many_run(void *arg, struct fleet_run *r)
{
	struct many *m = arg;
	struct try *t = xcalloc(1, sizeof(*t));

	t->c = m->c;
	t->r = r;
	try_start(t);
}

static void
many_changed(void *arg, struct fleet_host *h)
{
	struct many *m = arg;

	if (h->state == FLEET_DONE && m->ended != NULL)
		m->ended(m->c, h, m->arg);
}

struct fleet *
cli_fleet(struct cli *c, const struct server_list *l, const struct fleet_options *o, cli_ended_fn *ended, void *arg)
{
	struct many *m = xcalloc(1, sizeof(*m));
	struct fleet_user u = { .run = many_run, .changed = many_changed, .arg = m };
	struct fleet *f = fleet_new(c->j, o, &u);

	*m = (struct many){ c, ended, arg };
	for (size_t i = 0; i < l->n; i++)
		(void)fleet_add(f, l->v[i].id, l->v[i].name);
	c->fleet = f;
	c->many = m;
	return f;
}

void
cli_fleet_wait(struct cli *c, struct fleet *f)
{
	struct jobq *q = journey_jobs(c->j);

	while (!fleet_over(f)) {
		struct pollfd p = { .fd = jobq_fd(q), .events = POLLIN };

		(void)poll(&p, 1, PLACES_TICK_MS);
		jobq_deliver(q);
		fleet_tick(f, when_monotonic_ms());
	}
}

void
cli_fleet_free(struct cli *c, struct fleet *f)
{
	c->fleet = NULL;
	fleet_free(f);
	free(c->many);
	c->many = NULL;
}

/* --- a verb on each --- */

struct each { const struct args *a; cli_print_fn *print; size_t printed; struct err first; };

/* Prints all that are done and have nobody before them who is not. */
static void
each_ended(struct cli *c, struct fleet_host *h, void *arg)
{
	struct each *x = arg;
	struct fleet *f = h->fleet;
	struct err now;

	for (; x->printed < fleet_size(f) && fleet_nth(f, x->printed)->state == FLEET_DONE; x->printed++) {
		h = fleet_nth(f, x->printed);
		now = h->err;
		if (h->rc == 0 && x->print(c, h, x->a, &now) == 0)
			continue;
		if (now.code != RC_FINDINGS && fleet_size(f) > 1)
			fprintf(stderr, "mxseal: %s: %s\n", h->name, clean(now.text));
		if (x->first.code == RC_OK || x->first.code == RC_FINDINGS)
			x->first = now;
	}
	(void)fflush(stdout);
}

int
cli_each(struct cli *c, const struct args *a, const char *verb, fleet_verb_fn *start, cli_print_fn *print, struct err *e)
{
	struct server_list l = { NULL, 0 };
	struct each x = { .a = a, .print = print };
	struct fleet_options o = { .at_once = cli_at_once(a, CLI_READS_AT_ONCE, e),
	    .push = { .plan = { .no_shadow = args_has(a, "no-shadow") } } };
	int rc = o.at_once == 0 ? -1 : cli_servers(c, a, &l, e);

	if (rc == 0) {
		struct fleet *f = cli_fleet(c, &l, &o, each_ended, &x);

		fleet_each(f, verb, start);
		cli_fleet_wait(c, f);
		cli_fleet_free(c, f);
	}
	server_list_release(&l);
	if (rc == 0 && x.first.code != RC_OK) {
		*e = x.first;
		rc = -1;
	}
	return rc;
}
