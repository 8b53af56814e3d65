/* queue hold, release, retry, delete: by id, or all messages of a group as they are at one moment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

struct take_arg { int64_t server; enum queue_by by; const char *key; struct queue_ids *ids; };

static int64_t
take_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct take_arg *p = arg;

	queue_ids_release(p->ids);
	return queue_take(c->j, p->server, p->by, p->key, p->ids, done, done_arg, e);
}

struct act_arg { int64_t server; const char *verb; const struct queue_ids *ids; struct queue_acted *acted; };

static int64_t
act_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct act_arg *p = arg;

	return queue_act_on(c->j, p->server, p->verb, p->ids, p->acted, done, done_arg, e);
}

/* Which group is meant; key NULL: none. */
static int
group_asked(const struct args *a, enum queue_by *by, const char **key, struct err *e)
{
	static const char *const names[] = { "destination", "reason", "sender" };
	size_t i;
	int n = 0;

	*key = NULL;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (args_has(a, names[i])) {
			*by = (enum queue_by)i;
			*key = args_get(a, names[i]);
			n++;
		}
	if (n > 1 || (n == 1) == (a->n > 1))
		return err_set(e, RC_USAGE, "say which messages: their ids, or one of --destination, --reason, --sender");
	return 0;
}

static int
ids_of_words(const struct args *a, struct queue_ids *ids, struct err *e)
{
	size_t i;

	ids->v = xcalloc(a->n + 1, sizeof(*ids->v));
	for (i = 1; i < a->n; i++) {
		if (strlen(a->words[i]) >= sizeof(ids->v->id) || a->words[i][0] == '\0' ||
		    strspn(a->words[i], "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(a->words[i]))
			return err_set(e, RC_USAGE, "\"%s\" is not a queue id", clean(a->words[i]));
		strcpy(ids->v[ids->n++].id, a->words[i]);
	}
	return 0;
}

/* Deleting asks for the number; --count says it where nobody is there to ask. */
static int
delete_agreed(struct cli *c, const struct args *a, size_t n, struct err *e)
{
	bool yes = args_has(a, "yes");

	if (args_has(a, "count") && strtoull(args_get(a, "count"), NULL, 10) != n)
		return err_set(e, RC_CONFLICT, "it are %zu messages now, not %s: nothing was deleted", n, clean(args_get(a, "count")));
	if (!yes && !args_has(a, "count") && cli_confirm(c, &yes, e, "Delete %zu message%s for good?", n, n == 1 ? "" : "s") == -1)
		return -1;
	return yes || args_has(a, "count") ? 0 : err_set(e, RC_CANCELLED, "nothing was deleted");
}

static void
say(struct cli *c, const struct server *sv, const char *verb, const struct queue_acted *acted)
{
	if (c->json) {
		out_json(json_pack("{s:o,s:s,s:I,s:I,s:I}", "server", json_text(sv->name), "verb", verb, "messages",
		    (json_int_t)acted->done, "asked", (json_int_t)acted->asked, "gone", (json_int_t)(acted->asked - acted->done)));
		return;
	}
	printf("%s: %s, %zu message%s", sv->name, verb, acted->done, acted->done == 1 ? "" : "s");
	if (acted->done < acted->asked)
		printf("; %zu %s", acted->asked - acted->done, strcmp(verb, "retry") == 0 ? "did not wait for a retry any more" :
		    strcmp(verb, "release") == 0 ? "were not on hold" : strcmp(verb, "hold") == 0 ? "were gone or on hold" : "were gone");
	printf("\n");
}

static int
act(struct cli *c, const struct args *a, const char *verb, struct err *e)
{
	struct server sv = { .id = 0 };
	struct queue_ids ids = { NULL, 0 };
	struct queue_acted acted = { 0, 0, 0 };
	enum queue_by by = QUEUE_BY_DESTINATION;
	const char *key;
	int rc = group_asked(a, &by, &key, e);

	if (rc == 0)
		rc = cli_server(c, a->words[0], &sv, e);
	if (rc == 0 && key != NULL) {
		struct take_arg p = { sv.id, by, key, &ids };

		rc = cli_job(c, sv.id, take_start, &p, e);
	} else if (rc == 0)
		rc = ids_of_words(a, &ids, e);
	if (rc == 0 && ids.n > 0 && strcmp(verb, "delete") == 0)
		rc = delete_agreed(c, a, ids.n, e);
	if (rc == 0 && ids.n > 0) {
		struct act_arg p = { sv.id, verb, &ids, &acted };

		rc = cli_job(c, sv.id, act_start, &p, e);
	}
	if (rc == 0)
		say(c, &sv, verb, &acted);
	queue_ids_release(&ids);
	server_release(&sv);
	return rc;
}

int
cmd_queue_hold(struct cli *c, const struct args *a, struct err *e)
{
	return act(c, a, "hold", e);
}

int
cmd_queue_release(struct cli *c, const struct args *a, struct err *e)
{
	return act(c, a, "release", e);
}

int
cmd_queue_delete(struct cli *c, const struct args *a, struct err *e)
{
	return act(c, a, "delete", e);
}

int
cmd_queue_retry(struct cli *c, const struct args *a, struct err *e)
{
	return act(c, a, "retry", e);
}
