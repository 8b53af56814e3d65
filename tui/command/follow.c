/* What waited for the destinations whose rule a push changes: told as it leaves, when the push was kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mxseal/clean.h"
#include "mxseal/fleet.h"
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
follows_take(struct cli *c, const struct fleet *f, struct follows *out)
{
	struct err own;
	size_t i, k;

	for (i = 0; i < fleet_size(f); i++) {
		const struct fleet_host *h = fleet_nth(f, i);
		char **destinations = h->rc == 0 ? queue_follow_destinations(c->j, h->server) : words_split("", " ", NULL);

		for (k = 0; destinations[k] != NULL; k++) {
			struct queue_follow one = { .server = h->server, .destination = xstrdup(destinations[k]) };

			own = (struct err){ .code = RC_OK };
			if (cli_job(c, h->server, take_start, &one, &own) == -1 && !c->quiet)
				fprintf(stderr, "mxseal: %s: what waits for %s could not be counted, so it will not be tried again: %s\n", h->name,
				    clean(one.destination), clean(own.text));
			if (one.taken == 0) {
				queue_follow_release(&one);
				continue;
			}
			ARRAY_GROW(out->v, out->n);
			out->v[out->n++] = one;
		}
		words_free(destinations);
	}
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
follow_one(struct cli *c, const char *name, struct queue_follow *f)
{
	struct timespec second = { .tv_sec = 1 };
	struct err own = { .code = RC_OK };
	size_t told = (size_t)-1;
	int rc = cli_job(c, f->server, retry_start, f, &own), i;

	for (i = 0; i < FOLLOW_SECONDS && rc == 0 && !queue_follow_over(f); i++) {
		(void)nanosleep(&second, NULL);
		rc = cli_job(c, f->server, look_start, f, &own);
		if (rc == 0 && f->left != told && f->left > 0)
			tell(c, name, f);
		told = f->left;
	}
	if (rc == -1)
		fprintf(stderr, "mxseal: %s: the messages for %s could not be followed: %s\n", name, clean(f->destination), clean(own.text));
	else if (!queue_follow_over(f) && f->left == 0)
		tell(c, name, f);
	for (i = 0; (size_t)i < f->n && rc == 0 && !queue_follow_over(f); i++)
		fprintf(c->json ? stderr : stdout, "  %zu %s: %s\n", f->v[i].n, f->v[i].fresh ? "for a new reason" : "for the reason of before", clean(f->v[i].reason));
}

void
follows_out(struct cli *c, const struct fleet *f, struct follows *l)
{
	struct err ignored;
	size_t i, k;

	for (i = 0; i < fleet_size(f); i++) {
		const struct fleet_host *h = fleet_nth(f, i);

		if (h->state != FLEET_DONE || !text_eq(h->result, "kept"))
			continue;
		(void)queue_follow_forget(c->j, h->server, &ignored);
		for (k = 0; k < l->n; k++)
			if (l->v[k].server == h->server)
				follow_one(c, h->name, &l->v[k]);
	}
	for (k = 0; k < l->n; k++)
		queue_follow_release(&l->v[k]);
	free(l->v);
	*l = (struct follows){ NULL, 0 };
}
