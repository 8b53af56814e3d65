/* What waited for the destinations that a push changes something for: told as it leaves, when the push was kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"

#define FOLLOW_SECONDS 30

static int64_t
take_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	return queue_follow_take(c->j, arg, done, done_arg, e);
}

static int64_t
retry_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	return queue_follow_retry(c->j, arg, done, done_arg, e);
}

static int64_t
look_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	return queue_follow_look(c->j, arg, done, done_arg, e);
}

int
retry_now(struct cli *c, struct queue_follow *f, struct err *e)
{
	int rc = cli_job(c, f->server, take_start, f, e);

	return rc == 0 && f->taken > 0 ? cli_job(c, f->server, retry_start, f, e) : rc;
}

void
follows_take(struct cli *c, int64_t server, const char *name, bool waits, struct follows *out)
{
	char **rows = queue_follow_destinations(c->j, server, waits);
	struct err own;
	size_t k;

	for (k = 0; rows[k] != NULL; k++) {
		struct queue_follow one = { .server = server, .destinations = xstrdup(rows[k]) };
		struct str what = STR_INIT;

		queue_follow_name(&one, &what);
		own = (struct err){ .code = RC_OK };
		if (cli_job(c, server, take_start, &one, &own) == -1 && !c->quiet)
			fprintf(stderr, "mxseal: %s: what waits for %s could not be counted, so it will not be tried again: %s\n", name, what.s,
			    clean(own.text));
		str_release(&what);
		if (one.taken == 0) {
			queue_follow_release(&one);
			continue;
		}
		ARRAY_GROW(out->v, out->n);
		out->v[out->n++] = one;
	}
	words_free(rows);
}

static void
tell(struct cli *c, const char *name, const struct queue_follow *f)
{
	struct str text = STR_INIT;

	queue_follow_say(f, &text);
	fprintf(c->json ? stderr : stdout, "%s: %s\n", name, text.s);        /* a result ends what --json says of a server */
	(void)fflush(stdout);
	str_release(&text);
}

static void
failed(const char *name, const struct queue_follow *f, const struct err *e)
{
	struct str what = STR_INIT;

	queue_follow_name(f, &what);
	fprintf(stderr, "mxseal: %s: the messages for %s could not be followed: %s\n", name, what.s, clean(e->text));
	str_release(&what);
}

/* A second later: false when there is nothing more to see of it. */
static bool
look_again(struct cli *c, const char *name, struct queue_follow *f)
{
	struct err own = { .code = RC_OK };
	size_t before = f->looked_at > 0 ? f->left : (size_t)-1;

	if (cli_job(c, f->server, look_start, f, &own) == -1) {
		failed(name, f, &own);
		return false;
	}
	if (f->left != before && f->left > 0)
		tell(c, name, f);
	return !queue_follow_over(f);
}

static void
tell_rest(struct cli *c, const char *name, const struct queue_follow *f)
{
	size_t i;

	if (f->left == 0)
		tell(c, name, f);
	for (i = 0; i < f->n; i++)
		fprintf(c->json ? stderr : stdout, "  %zu %s: %s\n", f->v[i].n, f->v[i].fresh ? "for a new reason" : "for the reason of before", clean(f->v[i].reason));
}

void
follows_out(struct cli *c, int64_t server, const char *name, struct follows *l)
{
	struct timespec second = { .tv_sec = 1 };
	bool *goes_on = xcalloc(l->n + 1, sizeof(*goes_on)), any = false;
	struct err own;
	size_t k;
	int i;

	(void)queue_follow_forget(c->j, server, NULL);
	for (k = 0; k < l->n; k++) {
		own = (struct err){ .code = RC_OK };
		if (l->v[k].server != server)
			continue;
		goes_on[k] = cli_job(c, server, retry_start, &l->v[k], &own) == 0;
		if (!goes_on[k])
			failed(name, &l->v[k], &own);
		any = any || goes_on[k];
	}
	for (i = 0; i < FOLLOW_SECONDS && any; i++) {
		any = false;
		(void)nanosleep(&second, NULL);
		for (k = 0; k < l->n; k++) {
			goes_on[k] = goes_on[k] && look_again(c, name, &l->v[k]);
			any = any || goes_on[k];
		}
	}
	for (k = 0; k < l->n; k++)
		if (goes_on[k])
			tell_rest(c, name, &l->v[k]);
	free(goes_on);
}

void
follows_release(struct follows *l)
{
	while (l->n > 0)
		queue_follow_release(&l->v[--l->n]);
	free(l->v);
	l->v = NULL;
}
