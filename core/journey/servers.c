/* Servers: known here, trusted, read. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static void
fill(struct server *sv, const char *target, const char *identity, const char *become, const char *system, const char *group)
{
	xset(&sv->target, target);
	xset(&sv->identity, text_empty(identity) ? NULL : identity);
	sv->become = text_eq(become, "sudo") ? BECOME_SUDO : BECOME_NONE;
	xset(&sv->system, text_empty(system) ? "auto" : system);
	xset(&sv->group, text_empty(group) ? NULL : group);
}

/* The record, and that it was done: both or none, whenever the program ends. */
struct noted_save { struct journey *j; struct server *sv; const char *verb, *text; };

static int
save_body(struct store *st, void *arg, struct err *e)
{
	struct noted_save *s = arg;

	if (store_server_save(st, s->sv, e) == -1)
		return -1;
	return note_activity(s->j, s->sv->name, s->verb, 0, e, s->text);
}

static int
save_noted(struct journey *j, struct server *sv, const char *verb, const char *text, struct err *e)
{
	return store_tx(j->store, save_body, &(struct noted_save){ j, sv, verb, text }, e);
}

int
server_add(struct journey *j, const char *name, const char *target, const char *identity, const char *become,
    const char *system, const char *group, int64_t *id, struct err *e)
{
	struct server sv = { .id = 0, .queue_messages = -1 };
	struct str text = STR_INIT;
	int rc = -1;

	if (store_server_by_name(j->store, name, &sv, NULL) == 0) {
		err_set(e, RC_EXISTS, "there is a server %s already", clean(name));
		goto out;
	}
	xset(&sv.name, name);
	fill(&sv, target, identity, become, system, group);
	sv.queue_messages = -1;
	str_addf(&text, "%s is at %s", name, target);
	if (login_check_target(target, e) == 0 && (rc = save_noted(j, &sv, "server-add", text.s, e)) == 0)
		*id = sv.id;
out:
	str_release(&text);
	server_release(&sv);
	return rc;
}

int
server_set(struct journey *j, int64_t id, const char *target, const char *identity, const char *become, const char *system,
    const char *group, struct err *e)
{
	struct server sv = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (store_server_get(j->store, id, &sv, e) == -1)
		return -1;
	fill(&sv, target, identity, become, system, group);
	str_addf(&text, "%s is at %s%s%s", sv.name, target, sv.group != NULL ? ", in group " : "", sv.group != NULL ? sv.group : "");
	if (login_check_target(target, e) == 0)
		rc = save_noted(j, &sv, "server-set", text.s, e);
	str_release(&text);
	server_release(&sv);
	return rc;
}

static int
remove_body(struct store *st, void *arg, struct err *e)
{
	struct noted_save *s = arg;

	if (workarounds_let_go(s->j, s->sv->name, e) == -1 || store_server_delete(st, s->sv->id, e) == -1 ||
	    workarounds_forget(s->j, s->sv->name, e) == -1)
		return -1;
	return note_activity(s->j, s->sv->name, s->verb, 0, e, s->text);
}

int
server_remove(struct journey *j, int64_t id, struct err *e)
{
	struct server sv = { .id = 0 };
	struct noted_save s = { j, &sv, "server-remove", "forgotten here; the host itself was not touched" };
	int rc = -1;

	if (store_server_get(j->store, id, &sv, e) == 0)
		rc = store_tx(j->store, remove_body, &s, e);
	server_release(&sv);
	return rc;
}

/* --- the host key --- */

struct key_look { struct host_job *hj; struct hostkey key; struct hostkey *out; };

static int
key_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct key_look *k = arg;

	return host_key_look(&k->hj->login, ctx, &k->key, e);
}

static void
key_done(void *arg, int rc, const struct err *e)
{
	struct key_look *k = arg;

	*k->out = k->key;                        /* also for a refused key: it is shown */
	memset(&k->key, 0, sizeof(k->key));
	k->hj->done(k->hj->arg, rc, e);
}

static void
key_drop(void *arg)
{
	struct key_look *k = arg;

	hostkey_release(&k->key);
	host_job_discard(k->hj);
	free(k);
}

int64_t
server_look_key(struct journey *j, int64_t id, struct hostkey *out, journey_done_fn *done, void *arg, struct err *e)
{
	struct key_look *k;
	struct host_job *hj = host_job_new(j, id, done, arg, e);
	struct job job = { .title = "host key", .key = id, .work = key_work, .done = key_done, .drop = key_drop };

	if (hj == NULL)
		return -1;
	k = xcalloc(1, sizeof(*k));
	k->hj = hj;
	k->out = out;
	job.arg = k;
	return jobq_submit(j->jobs, &job);
}

int
server_trust(struct journey *j, int64_t id, const struct hostkey *key, struct err *e)
{
	struct server sv = { .id = 0 };
	struct str text = STR_INIT;
	int rc = -1;

	if (store_server_get(j->store, id, &sv, e) == -1)
		goto out;
	if (j->known_hosts == NULL) {
		err_set(e, RC_BUG, "this store has no file for host keys");
		goto out;
	}
	if (key->verdict == HOSTKEY_OK) {
		rc = 0;
		goto out;
	}
	if (host_trust(j->known_hosts, key, e) == -1)
		goto out;
	str_addf(&text, "%s key %s was confirmed", key->type, key->fingerprint);
	rc = note_activity(j, sv.name, "server-trust", 0, e, text.s);
out:
	str_release(&text);
	server_release(&sv);
	return rc;
}

/* --- reading --- */

static void
looked_free(void *data)
{
	looked_release(data);
	free(data);
}

static int
read_work(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e)
{
	return look_at_host(h, hj->server.system, true, ctx, hj->data, e);
}

static int
read_finish(struct host_job *hj, int rc, struct err *e)
{
	if (rc == 0)
		rc = looked_store(hj->journey, hj->server.id, hj->data, e);
	return rc;
}

int64_t
server_read(struct journey *j, int64_t id, journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = host_job_new(j, id, done, arg, e);

	if (hj == NULL)
		return -1;
	hj->work = read_work;
	hj->finish = read_finish;
	hj->data = xcalloc(1, sizeof(struct looked));
	hj->free_data = looked_free;
	return host_job_start(hj, "read", e);
}
