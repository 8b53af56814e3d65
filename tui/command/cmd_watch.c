/* watch: every so often each host's queue is listed and work-arounds are looked after, all side by side; what needs attention is told
 * as it comes and goes, a line for each event. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define NEWS_MS 1000             /* what needs attention is gone through so often at most */

struct watch;
struct watched {
	struct watch *w;
	int64_t server, due_ms, began_ms;
	const char *name;
	bool busy;
	char *trouble;                   /* told already */
	struct queue_view view;
};

struct watch {
	struct cli *c;
	struct server_list l;
	struct watched *v;
	struct tend *tend;
	struct attention_list before;
	bool once, learned, found;
	int64_t every_ms, news_ms;
};

/* --- telling --- */

static void
tell_line(const struct watch *w, char sign, const char *event, const char *about, const char *text)
{
	char stamp[32];

	when_rfc3339(stamp, when_now());
	if (w->c->json)
		out_json(json_pack("{s:s#,s:s,s:o,s:o,s:o}", "sign", &sign, 1, "event", event, "about", json_text(about), "text", json_text(text), "at",
		    json_when(when_now())));
	else
		printf("%s %c %s%s\n", stamp, sign, strcmp(event, "gone") == 0 ? "gone: " : "", clean(text));
	(void)fflush(stdout);
}

static void
tell_done(void *arg, char sign, const char *about, const char *text)
{
	tell_line(arg, sign, "did", about, text);
}

static void
tell_finding(const struct watch *w, const struct attention *f, const char *event)
{
	json_t *o;

	if (!w->c->json) {
		tell_line(w, f->sign, event, NULL, f->text);
		return;
	}
	o = finding_json(w->c, f);
	json_object_set_new(o, "event", json_string(event));
	json_object_set_new(o, "at", json_when(when_now()));
	out_json(o);
	(void)fflush(stdout);
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

static bool
concerns(const struct watch *w, const struct attention *f)
{
	size_t i;

	for (i = 0; i < w->l.n; i++)
		if (w->l.v[i].id == f->server)
			return true;
	return f->server == 0;
}

static int
tell_news(struct watch *w, struct err *e)
{
	struct attention_list now = { NULL, 0 };
	size_t i;

	if (attention(w->c->j, &now, e) == -1)
		return -1;
	for (i = 0; i < now.n; i++)
		if (concerns(w, &now.v[i])) {
			w->found = true;
			if (!is_in(&w->before, &now.v[i]))
				tell_finding(w, &now.v[i], w->once ? "is" : "new");
		}
	for (i = 0; i < w->before.n; i++)
		if (concerns(w, &w->before.v[i]) && !is_in(&now, &w->before.v[i]))
			tell_finding(w, &w->before.v[i], "gone");
	attention_list_release(&w->before);
	w->before = now;
	return 0;
}

/* --- hosts --- */

static int64_t
look_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct watched *v = arg;

	queue_view_release(&v->view);
	return queue_poll(c->j, v->server, QUEUE_BY_DESTINATION, NULL, 0, &v->view, done, done_arg, e);
}

/* Does the host's own record say it? Then it needs attention, and is told as that. */
static bool
is_on_record(const struct watched *v, const char *trouble)
{
	struct server sv = { .id = 0 };
	bool is = store_server_get(journey_store(v->w->c->j), v->server, &sv, NULL) == 0 && text_eq(sv.trouble, trouble);

	server_release(&sv);
	return is;
}

/* The poll has noted what waits, which findings are made of. What else kept it from looking is told once. */
static void
looked(void *arg, int rc, const struct err *e)
{
	struct watched *v = arg;
	const char *trouble = rc != 0 && !is_on_record(v, e->text) ? e->text : NULL;
	char *text;

	v->busy = false;
	v->w->learned = true;
	queue_view_release(&v->view);
	if (rc != 0 && e->code == RC_CANCELLED)
		return;
	if (!text_eq(v->trouble, trouble)) {
		text = xasprintf("%s: %s", v->name, trouble != NULL ? trouble : v->trouble);
		tell_line(v->w, '?', trouble == NULL ? "gone" : v->w->once ? "is" : "new", v->name, text);
		free(text);
		xset(&v->trouble, trouble);
	}
	v->w->found = v->w->found || rc != 0;
}

/* The one that is due first, of those that nobody looks at. NULL: all are looked at. */
static struct watched *
due_first(const struct watch *w)
{
	struct watched *first = NULL;
	size_t i;

	for (i = 0; i < w->l.n; i++)
		if (!w->v[i].busy && (first == NULL || w->v[i].due_ms < first->due_ms))
			first = &w->v[i];
	return first;
}

/* Begins what is due, as long as there are places; returns when the next is. */
static int64_t
hosts_due(struct watch *w, int64_t now_ms)
{
	struct places p = { 0, 0 };
	struct watched *v;
	size_t i;

	for (i = 0; i < w->l.n; i++)
		if (w->v[i].busy)
			places_take(&p, now_ms - w->v[i].began_ms);
	while ((v = due_first(w)) != NULL && v->due_ms <= now_ms) {
		if (!places_free(&p, CLI_READS_AT_ONCE))
			return now_ms + PLACES_TICK_MS;
		v->due_ms = w->once ? INT64_MAX : now_ms + w->every_ms;
		v->began_ms = now_ms;
		v->busy = true;
		places_take(&p, 0);
		cli_errand(w->c, v->server, look_start, v, looked);
	}
	return v != NULL ? v->due_ms : INT64_MAX;
}

static bool
hosts_busy(const struct watch *w)
{
	size_t i;

	for (i = 0; i < w->l.n; i++)
		if (w->v[i].busy)
			return true;
	return false;
}

/* --- signals --- */

static volatile sig_atomic_t asked_to_end;

static void
end_asked(int signal)
{
	(void)signal;
	asked_to_end = 1;
}

/* They come while we wait and at no other time; what was ignored stays so (nohup). waiting: the mask to wait with. */
static void
signals_take(sigset_t *waiting)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction act = { .sa_handler = end_asked }, was;
	sigset_t held;
	size_t i;

	asked_to_end = 0;
	sigemptyset(&held);
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (sigaction(ours[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN && sigaction(ours[i], &act, NULL) == 0)
			sigaddset(&held, ours[i]);
	sigprocmask(SIG_BLOCK, &held, waiting);
}

/* --- watch --- */

static int
watched_ms(const struct args *a, int64_t *out, struct err *e)
{
	int n = 300;

	if (args_has(a, "every") && cli_number(args_get(a, "every"), "--every", 10, 86400, &n, e) == -1)
		return -1;
	*out = (int64_t)n * 1000;
	return 0;
}

static void
wait_until(struct watch *w, int64_t until_ms, const sigset_t *waiting)
{
	int64_t ms = until_ms - when_monotonic_ms();
	struct timespec t;
	struct pollfd p = { .fd = jobq_fd(journey_jobs(w->c->j)), .events = POLLIN };

	ms = ms < 0 ? 0 : ms > 3600000 ? 3600000 : ms;
	t = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	if (ppoll(&p, 1, &t, waiting) >= 0)
		jobq_deliver(journey_jobs(w->c->j));
}

static int
watch_on(struct watch *w, const sigset_t *waiting, struct err *e)
{
	int64_t next, tended;
	int rc = 0;

	while (rc == 0 && !asked_to_end) {
		w->learned = tend_act(w->tend) || w->learned;
		next = hosts_due(w, when_monotonic_ms());
		tended = tend_due(w->tend, when_monotonic_ms(), w->once ? 0 : w->every_ms);
		next = tended < next ? tended : next;
		if (w->once && !hosts_busy(w) && !tend_busy(w->tend))
			return tell_news(w, e);
		if (w->learned && !w->once && when_monotonic_ms() >= w->news_ms) {
			w->learned = false;
			w->news_ms = when_monotonic_ms() + NEWS_MS;
			rc = tell_news(w, e);
		}
		wait_until(w, w->learned && !w->once && w->news_ms < next ? w->news_ms : next, waiting);
	}
	return rc;
}

int
cmd_watch(struct cli *c, const struct args *a, struct err *e)
{
	struct watch w = { .c = c, .once = args_has(a, "once") };
	sigset_t waiting;
	size_t i;
	int rc = watched_ms(a, &w.every_ms, e);

	if (rc == 0)
		rc = cli_servers(c, a, &w.l, e);
	if (rc == -1) {
		server_list_release(&w.l);
		return -1;
	}
	w.v = xcalloc(w.l.n + 1, sizeof(*w.v));
	for (i = 0; i < w.l.n; i++)
		w.v[i] = (struct watched){ .w = &w, .server = w.l.v[i].id, .name = w.l.v[i].name };
	w.tend = tend_new(c, a, tell_done, &w);
	signals_take(&waiting);
	rc = watch_on(&w, &waiting, e);
	cli_errands_stop(c);
	if (rc == 0 && w.once && (rc = tend_worst(w.tend, e)) == 0 && w.found) {
		err_set(e, RC_FINDINGS, "%s", "");
		rc = -1;
	}
	tend_free(w.tend);
	for (i = 0; i < w.l.n; i++)
		free(w.v[i].trouble);
	free(w.v);
	attention_list_release(&w.before);
	server_list_release(&w.l);
	return rc;
}
