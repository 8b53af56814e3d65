/* Work-arounds looked after: each is looked at from all hosts that send for it, all of them side by side; when its looks are in, what
 * they advise is carried out, host by host as every push. What a host could not take yet is noted in the store and tried again with
 * the next round, by whichever program comes. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define WAIT_MS 500

struct minded {
	struct minded *next;
	struct tend *t;
	int64_t id, due_ms;
	enum { IDLE, LOOKING, LOGGING, READY } phase;
	size_t left;                     /* jobs that run */
	bool missed;                     /* somebody could not look */
	char *trouble;                   /* told already */
	struct err now;                  /* of this round */
};

struct tend {
	struct cli *c;
	const struct args *a;
	tend_tell_fn *tell;
	void *arg;
	struct minded *all;
	bool learned;
	struct err worst;
};

/* One job of one of them on one server. */
struct part { struct minded *m; int64_t server; char *name; };

struct tend *
tend_new(struct cli *c, const struct args *a, tend_tell_fn *tell, void *arg)
{
	struct tend *t = xcalloc(1, sizeof(*t));

	*t = (struct tend){ .c = c, .a = a, .tell = tell, .arg = arg };
	return t;
}

void
tend_free(struct tend *t)
{
	struct minded *m;

	while ((m = t->all) != NULL) {
		t->all = m->next;
		free(m->trouble);
		free(m);
	}
	free(t);
}

bool
tend_busy(const struct tend *t)
{
	const struct minded *m;

	for (m = t->all; m != NULL; m = m->next)
		if (m->phase != IDLE)
			return true;
	return false;
}

int
tend_worst(const struct tend *t, struct err *e)
{
	if (t->worst.code == RC_OK)
		return 0;
	*e = t->worst;
	return -1;
}

static void
tell(struct tend *t, char sign, const char *about, const char *text)
{
	char *one = xstrndup(text, strcspn(text, "\n"));

	t->learned = true;
	t->tell(t->arg, sign, about, one);
	free(one);
}

/* --- looking --- */

static void looks_are_in(struct minded *m);

static void
part_ended(void *arg, int rc, const struct err *e)
{
	struct part *p = arg;
	struct minded *m = p->m;

	if (rc != 0) {
		m->missed = true;
		if (m->now.code == RC_OK) {
			m->now = *e;
			(void)err_set(&m->now, e->code, "not looked at from %s: %s", p->name, e->text);
		}
	}
	free(p->name);
	free(p);
	if (--m->left == 0)
		looks_are_in(m);
}

static int64_t
look_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	const struct part *p = arg;

	return workaround_look_now(c->j, p->m->id, p->server, done, done_arg, e);
}

static int64_t
log_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	const struct part *p = arg;

	return workaround_log_now(c->j, p->m->id, p->server, done, done_arg, e);
}

/* The job on each of its servers. */
static void
begin(struct minded *m, const struct workaround *w, start_fn *start)
{
	char **names = words_split(w->servers, " ", NULL);
	struct server sv = { .id = 0 };
	size_t i;

	m->left = 1;                             /* until all have begun */
	for (i = 0; names[i] != NULL; i++) {
		struct part *p;

		if (store_server_by_name(journey_store(m->t->c->j), names[i], &sv, NULL) == -1)
			continue;
		p = xcalloc(1, sizeof(*p));
		*p = (struct part){ m, sv.id, xstrdup(names[i]) };
		m->left++;
		cli_errand(m->t->c, sv.id, start, p, part_ended);
		server_release(&sv);
	}
	words_free(names);
	if (--m->left == 0)
		looks_are_in(m);
}

static void
looks_are_in(struct minded *m)
{
	struct workaround w = { .id = 0 };
	struct err e;

	if (m->phase == LOOKING && !m->missed && store_workaround_get(journey_store(m->t->c->j), m->id, &w, &e) == 0 &&
	    workaround_wants_log(&w, when_now())) {
		m->phase = LOGGING;
		begin(m, &w, log_start);
	} else
		m->phase = READY;
	workaround_release(&w);
}

static struct minded *
minded_of(struct tend *t, int64_t id)
{
	struct minded *m;

	for (m = t->all; m != NULL; m = m->next)
		if (m->id == id)
			return m;
	m = xcalloc(1, sizeof(*m));
	*m = (struct minded){ .next = t->all, .t = t, .id = id };
	t->all = m;
	return m;
}

int64_t
tend_due(struct tend *t, int64_t now_ms, int64_t every_ms)
{
	struct workaround_list l = { NULL, 0 };
	int64_t next = INT64_MAX;
	struct err e;
	size_t i;

	if (store_workarounds(journey_store(t->c->j), &l, &e) == -1 && t->worst.code == RC_OK)
		t->worst = e;
	for (i = 0; i < l.n; i++) {
		struct minded *m;

		if (strcmp(l.v[i].state, "ended") == 0)
			continue;
		m = minded_of(t, l.v[i].id);
		if (m->phase == IDLE && m->due_ms <= now_ms) {
			m->due_ms = every_ms > 0 ? now_ms + every_ms : INT64_MAX;
			m->phase = LOOKING;
			m->missed = false;
			m->now = (struct err){ .code = RC_OK };
			begin(m, &l.v[i], look_start);
		}
		if (m->phase == READY)
			next = now_ms;                   /* a job that could not even begin */
		next = m->due_ms < next ? m->due_ms : next;
	}
	workaround_list_release(&l);
	return next;
}

/* --- carrying out --- */

static char *
due_fact(int64_t workaround, int64_t server)
{
	return xasprintf("workaround-push:%lld:%lld", (long long)workaround, (long long)server);
}

/* Its servers that are known. */
static void
servers_of(struct cli *c, const struct workaround *w, struct server_list *out)
{
	char **names = words_split(w->servers, " ", NULL);
	size_t i;

	for (i = 0; names[i] != NULL; i++) {
		struct server sv = { .id = 0 };

		if (store_server_by_name(journey_store(c->j), names[i], &sv, NULL) == 0)
			*server_list_add(out) = sv;
	}
	words_free(names);
}

/* Nobody is here to look at what else would be pushed. */
static int
no_other_edits(struct cli *c, const struct server *sv, const char *but, struct err *e)
{
	struct str all = STR_INIT;
	int rc = 0;

	str_add(&all, "");
	if (pending_edits(c->j, sv->id, &all) > 0 && (but == NULL || strcmp(but, all.s) != 0)) {
		rc = err_set(e, RC_CONFLICT, "%s: other edits are not pushed yet, and nobody is here to look at them: %.*s", sv->name,
		    (int)strcspn(all.s, "\n"), all.s);
		err_hint(e, "push them, or take them back; then --retire goes on");
	}
	str_release(&all);
	return rc;
}

/* Notes what is to be pushed there: exactly that, with nothing that comes between. */
static void
note_due(struct cli *c, const struct workaround *w, const struct server *sv)
{
	char *fact = due_fact(w->id, sv->id);
	struct str all = STR_INIT;

	(void)store_fact_set(journey_store(c->j), fact, pending_edits(c->j, sv->id, &all) > 0 ? all.s : NULL, NULL);
	str_release(&all);
	free(fact);
}

static void
push_told(struct cli *c, struct fleet_host *h, void *arg)
{
	struct tend *t = arg;
	char *text;

	(void)c;
	if (h->rc != 0)
		text = xasprintf("%s: %s: %s", h->name, h->result, h->err.text);
	else if (h->report.generation > 0)
		text = xasprintf("%s: %s, generation %lld", h->name, h->result, (long long)h->report.generation);
	else
		text = xasprintf("%s: %s", h->name, h->result);
	tell(t, h->rc != 0 ? '!' : '=', h->name, text);
	free(text);
}

/* A host has taken it: its log counts from now on, and what waited is tried again. */
static void
carried(struct tend *t, const struct workaround *w, const struct server *sv)
{
	char *fact = due_fact(w->id, sv->id), *text;
	struct queue_follow f = { .server = sv->id };
	struct err e = { .code = RC_OK };

	(void)store_fact_set(journey_store(t->c->j), fact, NULL, NULL);
	if (strcmp(w->state, "open") == 0) {
		f.destinations = xstrdup(w->domain);
		if (retry_now(t->c, &f, &e) == 0 && f.taken > 0) {
			text = xasprintf("%s: %zu messages for %s are tried again", sv->name, f.taken, w->domain);
			tell(t, '=', sv->name, text);
			free(text);
		}
		queue_follow_release(&f);
	} else
		(void)workaround_marked(t->c, w->id, sv->id, &e);        /* else the next reading of the log is the mark */
	free(fact);
}

/* Pushes what is due. Who cannot be reached keeps it for the next round. 0 also then; -1: a host refused or undid it. */
static int
carry(struct tend *t, const struct workaround *w, struct err *e)
{
	struct fleet_options o = { .at_once = FLEET_AT_ONCE, .leave = true,
	    .push = { .confirm_within = 120, .keep = true, .plan = { .no_shadow = args_has(t->a, "no-shadow") } } };
	struct server_list all = { NULL, 0 }, due = { NULL, 0 };
	struct fleet *f;
	size_t i;
	int rc = 0;

	servers_of(t->c, w, &all);
	for (i = 0; i < all.n && rc == 0; i++) {
		char *fact = due_fact(w->id, all.v[i].id), *text = NULL;

		if (store_fact_get(journey_store(t->c->j), fact, &text, NULL) == 0 && text != NULL) {
			if ((rc = no_other_edits(t->c, &all.v[i], text, e)) == 0)
				(void)store_server_get(journey_store(t->c->j), all.v[i].id, server_list_add(&due), NULL);
		}
		free(fact);
		free(text);
	}
	if (rc == 0 && due.n > 0) {
		bool quiet = t->c->quiet;

		t->c->quiet = true;
		f = cli_fleet(t->c, &due, &o, push_told, t);
		fleet_push(f);
		cli_fleet_wait(t->c, f);
		for (i = 0; i < due.n; i++) {
			struct fleet_host *h = fleet_of_server(f, due.v[i].id);

			if (h->state == FLEET_DONE && h->rc == 0)
				carried(t, w, &due.v[i]);
			else if (h->state == FLEET_DONE && err_exit_status(h->err.code) != 3 && rc == 0) {
				*e = h->err;
				rc = -1;
			}
		}
		cli_fleet_free(t->c, f);
		t->c->quiet = quiet;
	}
	server_list_release(&due);
	server_list_release(&all);
	return rc;
}

static int
become(struct tend *t, struct workaround *w, enum retire_state to, struct err *e)
{
	struct server_list all = { NULL, 0 };
	struct str said = STR_INIT;
	int64_t id = w->id;
	size_t i;
	int rc = workaround_become(t->c->j, id, to, true, &said, e);

	if (rc == 0) {
		tell(t, '=', w->domain, said.s);
		workaround_release(w);
		rc = store_workaround_get(journey_store(t->c->j), id, w, e);
	}
	if (rc == 0 && to != RETIRE_ENDED) {
		servers_of(t->c, w, &all);
		for (i = 0; i < all.n; i++)
			note_due(t->c, w, &all.v[i]);
		server_list_release(&all);
	}
	str_release(&said);
	return rc;
}

/* What is advised, carried out. What a host does not take is taken back here and, where it was carried to, there. */
static int
follow(struct tend *t, struct workaround *w, enum retire_state from, enum retire_state to, struct err *e)
{
	struct server_list all = { NULL, 0 };
	struct err ignored;
	size_t i;
	int rc = 0;

	servers_of(t->c, w, &all);
	for (i = 0; i < all.n && rc == 0; i++)
		rc = no_other_edits(t->c, &all.v[i], NULL, e);
	server_list_release(&all);
	if (rc == 0)
		rc = become(t, w, to, e);
	if (rc == 0 && (rc = carry(t, w, e)) == -1 && to != RETIRE_OPEN && become(t, w, from, &ignored) == 0)
		(void)carry(t, w, &ignored);
	return rc;
}

static void
decide(struct minded *m)
{
	struct tend *t = m->t;
	struct workaround w = { .id = 0 };
	struct retire_view v = { .looks = { NULL, 0 } };
	enum retire_advice advice = RETIRE_KEEP;
	enum retire_state from = RETIRE_ENDED, to = RETIRE_ENDED;
	bool may_act = args_has(t->a, "retire");
	int rc = store_workaround_get(journey_store(t->c->j), m->id, &w, &m->now);

	if (rc == 0 && may_act && strcmp(w.state, "ended") != 0)
		rc = carry(t, &w, &m->now);          /* what is left of before */
	if (rc == 0 && (rc = workaround_facts(t->c->j, &w, &v, &m->now)) == 0) {
		advice = retire_next(&v.r, when_now());
		from = v.r.state;
		to = retire_after(&v.r, advice);
		retire_view_release(&v);
	}
	/* who could not look just now might not be reached by a push either; the way back waits for nobody */
	if ((advice == RETIRE_TRY || advice == RETIRE_TIGHTEN) && m->missed)
		advice = RETIRE_KEEP;
	if (rc == 0 && advice == RETIRE_DONE)
		rc = become(t, &w, to, &m->now);
	else if (rc == 0 && advice != RETIRE_KEEP && may_act)
		rc = follow(t, &w, from, to, &m->now);
	if (m->now.code != RC_OK && (t->worst.code == RC_OK || rc == -1))
		t->worst = m->now;
	if (!text_eq(m->trouble, m->now.code != RC_OK ? m->now.text : NULL)) {
		char *text = m->now.code != RC_OK ? xasprintf("the work-around for %s: %s", w.domain ? w.domain : "", m->now.text)
		    : xasprintf("the work-around for %s is looked after again", w.domain ? w.domain : "");

		tell(t, m->now.code != RC_OK ? '!' : '=', w.domain, text);
		xset(&m->trouble, m->now.code != RC_OK ? m->now.text : NULL);
		free(text);
	}
	t->learned = true;
	workaround_release(&w);
}

static struct minded *
first_ready(const struct tend *t)
{
	struct minded *m;

	for (m = t->all; m != NULL && m->phase != READY; m = m->next)
		;
	return m;
}

bool
tend_act(struct tend *t)
{
	struct minded *m;
	bool learned;

	/* from the beginning each time: while one is pushed, the looks at others come in */
	while ((m = first_ready(t)) != NULL) {
		m->phase = IDLE;
		decide(m);
	}
	learned = t->learned;
	t->learned = false;
	return learned;
}

/* --- one round --- */

struct told { struct cli *c; json_t *rows; };

static void
tell_once(void *arg, char sign, const char *about, const char *text)
{
	struct told *d = arg;

	if (d->c->json)
		json_array_append_new(d->rows, json_pack("{s:s#,s:o,s:o,s:o}", "sign", &sign, 1, "about", json_text(about), "text", json_text(text), "at",
		    json_when(when_now())));
	else if (sign != '!')
		printf("%s\n", clean(text));
	else if (!d->c->quiet)
		fprintf(stderr, "mxseal: %s\n", clean(text));
}

int
workarounds_tend(struct cli *c, const struct args *a, json_t *rows, struct err *e)
{
	struct told told = { c, rows };
	struct tend *t = tend_new(c, a, tell_once, &told);
	struct jobq *q = journey_jobs(c->j);
	int rc;

	(void)tend_due(t, 0, 0);
	for (;;) {
		struct pollfd p = { .fd = jobq_fd(q), .events = POLLIN };

		(void)tend_act(t);
		if (!tend_busy(t))
			break;
		(void)poll(&p, 1, WAIT_MS);
		jobq_deliver(q);
	}
	rc = tend_worst(t, e);
	tend_free(t);
	return rc;
}
