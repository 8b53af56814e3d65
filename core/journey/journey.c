/* The journey: store, jobs, kept connections, secrets that were asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/log.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define WORKERS 128        /* threads are made when they are needed; those of mxseal/places.h and some more */

int
journey_open(struct journey **out, const char *path, struct err *e)
{
	struct journey *j = xcalloc(1, sizeof(*j));

	if (store_open(&j->store, path, e) == -1 || jobq_open(&j->jobs, WORKERS, e) == -1) {
		journey_close(j);
		return -1;
	}
	j->known_hosts = store_file(j->store, "known_hosts");
	*out = j;
	return 0;
}

void
journey_close(struct journey *j)
{
	struct slot *s, *next;

	if (j == NULL)
		return;
	if (j->jobs != NULL)
		jobq_close(j->jobs);
	queue_notes_forget(j);
	for (s = j->slots; s != NULL; s = next) {
		next = s->next;
		host_close(s->host);
		free(s->opened);
		queue_mirror_free(s->queue);
		free(s->queue_in_full);
		secret_release(&s->login);
		secret_release(&s->sudo);
		free(s);
	}
	if (j->store != NULL)
		store_close(j->store);
	secret_release(&j->passphrase);
	rehearsals_forget(j);
	described_forget(j);
	free(j->known_hosts);
	free(j);
}

struct store *
journey_store(struct journey *j)
{
	return j->store;
}

struct jobq *
journey_jobs(struct journey *j)
{
	return j->jobs;
}

/* --- the store's log --- */

static int
carry_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	(void)ctx;
	return store_carry(arg, e);
}

static void
carry_done(void *arg, int rc, const struct err *e)
{
	(void)arg;
	if (rc == -1)
		log_line("%s", e->text);
}

void
journey_tend_store(struct journey *j)
{
	struct job job = { .title = "carry the store's log", .work = carry_work, .done = carry_done, .drop = free };

	if ((j->carrying != 0 && jobq_busy(j->jobs, j->carrying)) || !store_carry_due(j->store))
		return;
	job.arg = xstrdup(store_path(j->store));
	j->carrying = jobq_submit(j->jobs, &job);
}

struct slot *
slot_of(struct journey *j, int64_t server)
{
	struct slot *s;

	for (s = j->slots; s != NULL; s = s->next)
		if (s->server == server)
			return s;
	s = xcalloc(1, sizeof(*s));
	s->server = server;
	s->next = j->slots;
	j->slots = s;
	return s;
}

void
journey_password(struct journey *j, int64_t server, const char *what, const struct secret *s)
{
	struct slot *slot = slot_of(j, server);
	struct secret *to = strcmp(what, "sudo") == 0 ? &slot->sudo : &slot->login;

	if (s != NULL)
		secret_copy(to, s);
	else
		secret_release(to);
}

void
journey_passphrase(struct journey *j, const struct secret *s)
{
	if (s != NULL)
		secret_copy(&j->passphrase, s);
	else
		secret_release(&j->passphrase);
}

bool
journey_has_passphrase(const struct journey *j)
{
	return secret_is_set(&j->passphrase);
}

int
note_activity(struct journey *j, const char *server, const char *verb, int rc, struct err *e, const char *text)
{
	struct err own;

	log_line("%s %s %s: %s", server ? server : "-", verb, rc == 0 ? "ok" : err_name(e->code), rc == 0 ? text : e->text);
	if (store_activity_add(j->store, server, verb, rc == 0 ? "ok" : err_name(e->code), &own, "%s", rc == 0 ? text : e->text) == 0)
		return 0;
	if (rc == 0 && e != NULL)
		*e = own;                        /* what failed before is the worse news */
	return -1;
}

/* --- jobs on a host --- */

static void
host_job_free(void *arg)
{
	struct host_job *hj = arg;

	if (hj->free_data != NULL && hj->data != NULL)
		hj->free_data(hj->data);
	login_release(&hj->login);
	server_release(&hj->server);
	free(hj->transport);
	free(hj->transport_why);
	free(hj);
}

void
host_job_discard(struct host_job *hj)
{
	host_job_free(hj);
}

struct host_job *
host_job_new(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e)
{
	struct host_job *hj = xcalloc(1, sizeof(*hj));
	struct login l = { .target = NULL };

	hj->journey = j;
	hj->done = done;
	hj->arg = arg;
	if (store_server_get(j->store, server, &hj->server, e) == -1) {
		host_job_free(hj);
		return NULL;
	}
	hj->slot = slot_of(j, server);
	l.target = hj->server.target;
	l.identity = hj->server.identity;
	l.become = hj->server.become;
	l.known_hosts = j->known_hosts;
	l.ssh_config = getenv("MXSEAL_SSH_CONFIG");
	l.password = hj->slot->login;
	l.sudo = hj->slot->sudo;
	login_copy(&hj->login, &l);
	return hj;
}

static int
host_job_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct host_job *hj = arg;
	struct slot *s = hj->slot;
	int rc;

	char *with = xasprintf("%s %s %d", hj->login.target, hj->login.identity ? hj->login.identity : "-", (int)hj->login.become);

	if (s->host != NULL && (!host_alive(s->host) || !text_eq(s->opened, with))) {
		host_close(s->host);
		s->host = NULL;
		xset(&s->queue_in_full, NULL);
	}
	free(s->opened);
	s->opened = with;
	if (s->host == NULL) {
		job_say(ctx, "login");
		if (host_open(&s->host, &hj->login, ctx, NULL, e) == -1) {
			s->host = NULL;
			return -1;
		}
	}
	hj->transport = xstrdup(host_transport(s->host));
	hj->transport_why = xstrdup(host_transport_why(s->host));
	job_on_cancel(ctx, host_abort, s->host);
	rc = hj->work(hj, s->host, ctx, e);
	job_on_cancel(ctx, NULL, NULL);
	if (!host_alive(s->host)) {
		host_close(s->host);
		s->host = NULL;
	}
	if (rc == -1 && job_cancelled(ctx) && e->code != RC_UNKNOWN)
		err_set(e, RC_CANCELLED, "cancelled");
	return rc;
}

#define NOTED_EVERY 60            /* seconds */

static int
save_server(struct store *st, void *server, struct err *e)
{
	return store_server_save(st, server, e);
}

/* Notes in the store how the attempt went, so that the tree can say it. */
static void
server_note(struct host_job *hj, int rc, const struct err *e)
{
	struct server sv = { .id = 0 };

	if (store_server_get(hj->journey->store, hj->server.id, &sv, NULL) == -1)
		return;
	/* looks at a queue come every few seconds: what they say again need not be written again */
	if (rc == 0 && sv.trouble == NULL && text_eq(sv.transport, hj->transport) && when_now() - sv.tried_at < NOTED_EVERY) {
		server_release(&sv);
		return;
	}
	sv.tried_at = when_now();
	xset(&sv.trouble, rc == 0 ? NULL : e->text);
	xset(&sv.trouble_code, rc == 0 ? NULL : err_name(e->code));
	if (hj->transport != NULL) {
		xset(&sv.transport, hj->transport);
		xset(&sv.transport_why, hj->transport_why);
	}
	(void)store_tx_seen(hj->journey->store, save_server, &sv, NULL);
	server_release(&sv);
}

/* Does this failure say something about the way to the host, rather than about what was asked of it? */
static bool
is_about_reach(enum err_code code)
{
	return err_exit_status(code) == 3 || code == RC_HOSTKEY || code == RC_HOSTKEY_NEW || code == RC_NOMAIL;
}

static void
host_job_done(void *arg, int rc, const struct err *e)
{
	struct host_job *hj = arg;
	struct err own = e != NULL ? *e : (struct err){ .code = RC_OK };

	/* a password that was refused must not be tried again by itself */
	if (rc == -1 && own.code == RC_AUTH)
		journey_password(hj->journey, hj->server.id, "login", NULL);
	if (rc == -1 && own.code == RC_SUDO)
		journey_password(hj->journey, hj->server.id, "sudo", NULL);
	if (rc == 0 || is_about_reach(own.code))
		server_note(hj, rc, &own);
	if (hj->finish != NULL)
		rc = hj->finish(hj, rc, &own);
	if (hj->done != NULL)
		hj->done(hj->arg, rc, &own);
}

int64_t
host_job_start(struct host_job *hj, const char *what, struct err *e)
{
	char title[160];
	struct job job = {
		.title = title, .key = hj->server.id, .work = host_job_work, .done = host_job_done, .drop = host_job_free, .arg = hj,
	};

	(void)e;
	snprintf(title, sizeof(title), "%s %s", what, hj->server.name);
	return jobq_submit(hj->journey->jobs, &job);
}
