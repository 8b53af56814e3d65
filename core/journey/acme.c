/* ACME authorities in the certificate story: an account is made, orders are carried through on the host whose name is proved.
 * The order is in the store before each of its steps, so that a crash leaves nothing that cannot be gone on with. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/acme.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/log.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define ANCHORS_MAX (512 * 1024)
#define LISTEN_SECONDS "240"     /* a proof that is answered on port 80 of the host is not waited for longer */
#define HOOK_MS 120000

struct order {
	struct journey *j;
	struct authority a;
	struct acme_key *key;
	struct acme_order row;
	struct host_job *hj;             /* while it runs, and so are */
	struct request *r;
	struct job_ctx *ctx;
	struct talk *talk;
	struct str pem;
};

int
order_new(struct journey *j, const struct authority *a, int64_t request, struct order **out, struct err *e)
{
	struct order *o;

	*out = NULL;
	if (!journey_has_passphrase(j))
		return err_set(e, RC_PASSPHRASE, "the account key of %s is sealed: its passphrase is needed", clean(a->name));
	o = xcalloc(1, sizeof(*o));
	str_init(&o->pem, 0);
	o->j = j;
	if (store_authority_get(j->store, a->id, &o->a, e) == -1 || acme_key_unseal(&o->key, a, &j->passphrase, e) == -1 ||
	    (request != 0 && store_acme_order_of(j->store, request, &o->row, e) == -1)) {
		if (e->code == RC_PASSPHRASE)
			journey_passphrase(j, NULL);
		order_free(o);
		return -1;
	}
	if (o->row.id != 0 && (text_eq(o->row.state, "done") || o->row.authority != a->id))
		acme_order_release(&o->row);     /* a further one */
	*out = o;
	return 0;
}

void
order_free(struct order *o)
{
	if (o == NULL)
		return;
	acme_key_free(o->key);
	acme_order_release(&o->row);
	authority_release(&o->a);
	str_release(&o->pem);
	free(o);
}

const struct str *
order_answer(const struct order *o)
{
	return &o->pem;
}

/* --- what an order asks of us --- */

static int
save_body(struct store *st, void *arg, struct err *e)
{
	struct order *o = arg;

	if (o->r->id == 0 && store_request_save(st, o->r, e) == -1)
		return -1;
	o->row.authority = o->a.id;
	o->row.request = o->r->id;
	o->row.changed_at = when_now();
	if (o->row.created_at == 0)
		o->row.created_at = o->row.changed_at;
	return store_acme_order_save(st, &o->row, e);
}

static int
save_here(void *arg, struct err *e)
{
	struct order *o = arg;
	int64_t request = o->r->id, request_rev = o->r->rev, order = o->row.id, order_rev = o->row.rev;

	if (store_tx(o->j->store, save_body, o, e) == 0)
		return 0;
	o->r->id = request;                      /* nothing of it is in the store */
	o->r->rev = request_rev;
	o->row.id = order;
	o->row.rev = order_rev;
	return -1;
}

static int
save(void *arg, struct err *e)
{
	struct order *o = arg;

	return job_on_main(o->ctx, save_here, o, e);
}

static int
on_host(struct order *o, const char *verb, const char *folder, const char *token, const char *seconds, const char *answer, struct err *e)
{
	talk_verb(o->talk, verb);
	if (folder != NULL)
		talk_arg(o->talk, folder);
	if (token != NULL)
		talk_arg(o->talk, token);
	if (seconds != NULL)
		talk_arg(o->talk, seconds);
	if (answer != NULL)
		talk_blob(o->talk, answer, strlen(answer));
	return talk_ask(o->talk, NULL, 30000, e) == 0 ? 0 : -1;
}

/* PROGRAM present|cleanup NAME VALUE: no shell, no terminal, nothing else of ours. */
static int
hook(struct order *o, const char *program, const char *what, const struct acme_proof *p, struct err *e)
{
	char *name = xasprintf("_acme-challenge.%s", p->domain);
	const char *argv[] = { program, what, name, p->answer, NULL };
	struct str out, errors;
	int status = 0, rc;

	str_init(&out, 4096);
	str_init(&errors, 4096);
	rc = child_run(argv, &out, &errors, &status, HOOK_MS, job_cancel_fd(o->ctx), e);
	if (rc == 0 && status != 0)
		rc = err_set(e, RC_REMOTE, "%s %s %s ended with status %d%s%s", clean(program), what, clean(name), status,
		    errors.len ? ": " : "", errors.len ? clean(text_trim(errors.s)) : "");
	free(name);
	str_release(&out);
	str_release(&errors);
	return rc;
}

static int
prove(void *arg, const struct acme_proof *p, struct err *e)
{
	struct order *o = arg;
	const char *detail;

	if (strcmp(acme_challenge_kind(o->a.challenge, &detail), "dns-01") == 0)
		return hook(o, detail, "present", p, e);
	return detail != NULL ? on_host(o, "challenge_put", detail, p->token, NULL, p->answer, e)
	    : on_host(o, "challenge_listen", NULL, p->token, LISTEN_SECONDS, p->answer, e);
}

/* The token is forgotten only when its file is gone. */
static void
unprove(void *arg, const struct acme_proof *p)
{
	struct order *o = arg;
	const char *detail;
	struct err e;
	int rc;

	if (strcmp(acme_challenge_kind(o->a.challenge, &detail), "dns-01") == 0)
		rc = hook(o, detail, "cleanup", p, &e);
	else
		rc = detail != NULL ? on_host(o, "challenge_drop", detail, p->token, NULL, NULL, &e)
		    : on_host(o, "challenge_hush", NULL, NULL, NULL, NULL, &e);
	if (rc == 0)
		acme_token_gone(&o->row, p->token);
	else
		log_line("%s: the proof for %s could not be taken away: %s", o->hj->server.name, clean(p->domain), clean(e.text));
}

/* Proofs in the web root that a console which was killed left there, or that could not be taken away. */
static void
drop_left(struct order *o)
{
	const char *detail;
	bool files = strcmp(acme_challenge_kind(o->a.challenge, &detail), "http-01") == 0 && detail != NULL;
	char **w = words_split(o->row.token, " ", NULL);
	struct err e;

	for (size_t i = 0; w[i] != NULL; i++)
		if (!files || on_host(o, "challenge_drop", detail, w[i], NULL, NULL, &e) == 0)
			acme_token_gone(&o->row, w[i]);
	words_free(w);
}

int
order_run(struct order *o, struct host_job *hj, struct talk *t, struct request *r, struct job_ctx *ctx, struct err *e)
{
	struct acme_ways ways = { o, save, prove, unprove };
	struct str names = STR_INIT;
	struct acme *c = NULL;
	struct err own;
	bool said;
	int rc;

	o->hj = hj;
	o->talk = t;
	o->r = r;
	o->ctx = ctx;
	xset(&o->row.trouble, NULL);
	if (o->row.state == NULL)
		o->row.state = xstrdup(acme_steps[0]);
	if (save(o, e) == -1)
		return -1;
	drop_left(o);
	rc = subject_names(&r->subject, &names, e);
	if (rc == 0)
		rc = acme_open(&c, o->a.directory, o->a.anchors, NULL, ctx, e);
	if (rc == 0)
		rc = acme_obtain(c, o->key, o->a.account, acme_challenge_kind(o->a.challenge, NULL), &o->row, names.s, r->pem, &ways,
		    &o->pem, e);
	if (rc == 0) {
		xset(&o->row.state, "done");
		if (acme_window(c, o->pem.s, &said, &o->row.renew_from, &o->row.renew_until, &o->row.ask_again, &own) == -1)
			log_line("%s: no renewal window: %s", o->a.name, own.text);
	} else
		xset(&o->row.trouble, e->text);
	if (save(o, &own) == -1 && rc == 0) {
		*e = own;
		rc = -1;
	}
	acme_close(c);
	str_release(&names);
	return rc;
}

/* --- making an account --- */

struct joining {
	struct journey *j;
	struct authority a;
	struct secret passphrase, eab_key;
	enum key_kind kind;
	char *eab_kid;
	bool agreed;
	int64_t *id;
	journey_done_fn *done;
	void *arg;
};

static void
joining_free(void *arg)
{
	struct joining *g = arg;

	authority_release(&g->a);
	secret_release(&g->passphrase);
	secret_release(&g->eab_key);
	free(g->eab_kid);
	free(g);
}

static int
join_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct joining *g = arg;
	struct str sealed = STR_INIT;
	struct acme_key *k = NULL;
	struct acme *c = NULL;
	int rc = acme_open(&c, g->a.directory, g->a.anchors, NULL, ctx, e);

	job_say(ctx, "making an account at %s", clean(g->a.directory));
	if (rc == 0)
		rc = acme_look(c, &g->a.terms, NULL, e);
	if (rc == 0)
		rc = acme_key_make(&k, g->kind, e);
	/* sealed before it is used: an account whose key is lost would be of no use */
	if (rc == 0)
		rc = acme_key_seal(k, &g->passphrase, &sealed, e);
	if (rc == 0)
		rc = acme_register(c, k, g->a.contact, g->agreed, g->eab_kid, &g->eab_key, &g->a.account, e);
	if (rc == 0)
		g->a.sealed_key = str_take(&sealed);
	acme_key_free(k);
	acme_close(c);
	str_release(&sealed);
	return rc;
}

static void
join_done(void *arg, int rc, const struct err *e)
{
	struct joining *g = arg;
	struct err own = e != NULL ? *e : (struct err){ .code = RC_OK };
	char *text = xasprintf("%s, ACME at %s", g->a.name, g->a.directory);

	if (rc == 0)
		rc = store_authority_save(g->j->store, &g->a, &own);
	if (note_activity(g->j, NULL, "authority-add", rc, &own, text) == -1 && rc == 0)
		rc = err_wrap(&own, "the authority was added, but the activity could not be written");
	if (rc == 0)
		*g->id = g->a.id;
	free(text);
	g->done(g->arg, rc, &own);
}

static int
read_anchors(const char *path, char **out, struct err *e)
{
	struct str text = STR_INIT;
	int rc = text_empty(path) ? 0 : str_read_file(&text, path, ANCHORS_MAX, e);

	*out = rc == 0 && text.len > 0 ? str_take(&text) : NULL;
	str_release(&text);
	return rc;
}

int64_t
authority_add_acme(struct journey *j, const struct acme_wish *w, int64_t *id, journey_done_fn *done, void *arg, struct err *e)
{
	struct job job = { .title = "ACME account", .work = join_work, .done = join_done, .drop = joining_free };
	struct authority old = { .id = 0 };
	struct joining *g;

	if (store_authority_by_name(j->store, w->name, &old, NULL) == 0) {
		authority_release(&old);
		return err_set(e, RC_EXISTS, "there is an authority %s already", clean(w->name));
	}
	if (!journey_has_passphrase(j))
		return err_set(e, RC_PASSPHRASE, "the account key of %s will be sealed: choose a passphrase", clean(w->name));
	g = xcalloc(1, sizeof(*g));
	job.arg = g;
	if (passphrase_fits(j, e) == -1 || acme_directory_check(w->directory, e) == -1 || acme_challenge_check(w->challenge, e) == -1 ||
	    key_kind_parse(&g->kind, text_empty(w->account_key) ? "ec-p256" : w->account_key, e) == -1 ||
	    read_anchors(w->anchors_file, &g->a.anchors, e) == -1) {
		joining_free(g);
		return -1;
	}
	g->j = j;
	g->id = id;
	g->done = done;
	g->arg = arg;
	g->agreed = w->agreed;
	secret_copy(&g->passphrase, &j->passphrase);
	if (w->eab_key != NULL && secret_is_set(w->eab_key))
		secret_copy(&g->eab_key, w->eab_key);
	g->eab_kid = text_empty(w->eab_kid) ? NULL : xstrdup(w->eab_kid);
	g->a.name = xstrdup(w->name);
	g->a.kind = xstrdup("acme");
	g->a.subject = xasprintf("ACME, %s", w->directory);
	g->a.policy = xstrdup("always");
	g->a.directory = xstrdup(w->directory);
	g->a.challenge = xstrdup(w->challenge);
	g->a.contact = text_empty(w->contact) ? NULL : xstrdup(w->contact);
	g->a.created_at = when_now();
	return jobq_submit(j->jobs, &job);
}

bool
authority_is_acme(struct journey *j, const char *name)
{
	struct authority a = { .id = 0 };
	bool yes = store_authority_by_name(j->store, name, &a, NULL) == 0 && text_eq(a.kind, "acme");

	authority_release(&a);
	return yes;
}

/* --- when would it like to be asked for the next one? --- */

struct asking {
	struct journey *j;
	struct authority a;
	struct acme_order row;
	char *pem;
	journey_done_fn *done;
	void *arg;
};

static void
asking_free(void *arg)
{
	struct asking *g = arg;

	authority_release(&g->a);
	acme_order_release(&g->row);
	free(g->pem);
	free(g);
}

static int
asking_work(struct job_ctx *ctx, void *arg, struct err *e)
{
	struct asking *g = arg;
	struct acme *c = NULL;
	bool said;
	int rc = acme_open(&c, g->a.directory, g->a.anchors, NULL, ctx, e);

	if (rc == 0)
		rc = acme_window(c, g->pem, &said, &g->row.renew_from, &g->row.renew_until, &g->row.ask_again, e);
	acme_close(c);
	return rc;
}

static void
asking_done(void *arg, int rc, const struct err *e)
{
	struct asking *g = arg;
	struct err own = e != NULL ? *e : (struct err){ .code = RC_OK };

	struct err unsaved;

	/* one that does not answer says when to ask again as well, if not when to renew */
	if (store_acme_order_save(g->j->store, &g->row, &unsaved) == -1 && rc == 0) {
		own = unsaved;
		rc = -1;
	}
	g->done(g->arg, rc, &own);
}

int64_t
certificate_window_ask(struct journey *j, int64_t certificate, journey_done_fn *done, void *arg, struct err *e)
{
	struct job job = { .title = "renewal window", .work = asking_work, .done = asking_done, .drop = asking_free };
	struct asking *g = xcalloc(1, sizeof(*g));
	struct certificate c = { .id = 0 };
	int64_t id = store_certificate_get(j->store, certificate, &c, e);
	int known = 0;

	job.arg = g;
	if (id == 0 && c.request != 0 && c.authority != 0)
		known = store_acme_order_of(j->store, c.request, &g->row, e);
	if (known == -1 || (known == 1 && store_authority_get(j->store, c.authority, &g->a, e) == -1))
		id = -1;
	else if (known == 1 && g->row.ask_again <= when_now() && g->a.directory != NULL) {
		g->j = j;
		g->pem = xstrdup(c.pem);
		g->done = done;
		g->arg = arg;
		id = jobq_submit(j->jobs, &job);
	}
	certificate_release(&c);
	if (id <= 0)
		asking_free(g);
	return id;
}
