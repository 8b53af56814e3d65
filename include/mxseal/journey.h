/* The stories: the only verbs front ends call. A verb ending in "…job id" works in the background: it returns an id > 0 and
 * calls done on the main thread when it is delivered; -1 with e set when it could not start. What `out` points to must live
 * until then and is filled before done is called. Questions come back as codes: RC_HOSTKEY_NEW (look at the key, ask, call
 * server_trust), RC_PASSWORD (ask, call journey_password), RC_PASSPHRASE (ask, call journey_passphrase), then call the verb
 * again. Every verb that changes something writes a row of activity. */
#ifndef MXSEAL_JOURNEY_H
#define MXSEAL_JOURNEY_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/authority.h"
#include "mxseal/err.h"
#include "mxseal/job.h"
#include "mxseal/model.h"
#include "mxseal/plan.h"
#include "mxseal/probe.h"
#include "mxseal/queue.h"
#include "mxseal/secret.h"
#include "mxseal/sheet.h"
#include "mxseal/store.h"

struct journey;
typedef void journey_done_fn(void *arg, int rc, const struct err *e);

/* --- core/journey/journey.c --- */
int  journey_open(struct journey **out, const char *store_path, struct err *e);
void journey_close(struct journey *j);
struct store *journey_store(struct journey *j);
struct jobq  *journey_jobs(struct journey *j);
/* what: "login" or "sudo". Kept in memory, wiped at close. NULL forgets. */
void journey_password(struct journey *j, int64_t server, const char *what, const struct secret *s);
void journey_passphrase(struct journey *j, const struct secret *s);
bool journey_has_passphrase(const struct journey *j);

/* --- core/journey/gate.c: read-only until asked otherwise --- */
/* Why nothing on a host may be changed now, the strongest reason first. A fresh journey is not read-only by itself. */
enum read_only { READ_ONLY_NO, READ_ONLY_ASKED, READ_ONLY_ENVIRONMENT, READ_ONLY_STORE, READ_ONLY_SESSION };
enum read_only journey_read_only(struct journey *j, struct str *why);            /* why may be NULL: half a sentence */
void journey_stay_read_only(struct journey *j);                                   /* --read-only: for good */
void journey_start_read_only(struct journey *j);                                  /* as the console starts */
/* Lifts the start state, and the store's mark for this session only; refused for the other reasons. */
int  journey_allow_changes(struct journey *j, struct err *e);
int  journey_mark_read_only(struct journey *j, bool on, struct err *e);           /* the store's mark, for everybody */
/* Says whether what runs next may change a host at all: an action or command that is not marked so is refused as our own
 * fault. Returns what was said before. A fresh journey: it may. */
bool journey_intend(struct journey *j, bool change);
bool journey_intends(const struct journey *j);
/* The gate itself: RC_READ_ONLY. Every verb that changes a host asks it; front ends ask before they put questions. */
int  may_change(struct journey *j, struct err *e);

/* --- core/journey/servers.c --- */
int  server_add(struct journey *j, const char *name, const char *target, const char *identity, const char *become,
        const char *system, const char *group, int64_t *id, struct err *e);
/* The same for one that is there; its name stays. */
int  server_set(struct journey *j, int64_t id, const char *target, const char *identity, const char *become,
        const char *system, const char *group, struct err *e);
int  server_remove(struct journey *j, int64_t id, struct err *e);          /* from the store; the host is not touched */
int64_t server_look_key(struct journey *j, int64_t id, struct hostkey *out, journey_done_fn *done, void *arg, struct err *e);
int  server_trust(struct journey *j, int64_t id, const struct hostkey *key, struct err *e);
/* Logs in, reads everything, looks at every listener, stores what was found. */
int64_t server_read(struct journey *j, int64_t id, journey_done_fn *done, void *arg, struct err *e);

/* --- core/journey/certificate.c: the certificate wizard's story --- */
/* What state a virtual server is in: "none", "pending", "installed", "renewal". */
const char *certificate_state(struct journey *j, int64_t vserver);
/* Makes key (on the host) and request; writes the file or asks the own CA; f is a form of the certificate wizard. */
int64_t certificate_request(struct journey *j, struct form *f, journey_done_fn *done, void *arg, struct err *e);
/* Looks the names of the form up (addresses, MX of the domain above, EHLO name) and puts remarks beside them. Job id, or 0. */
int64_t certificate_names_look(struct journey *j, struct form *f, journey_done_fn *done, void *arg);
/* The authority's answer, bytes of a file. request 0: the pending one of this virtual server with that key. summary:
 * what is being installed, and warnings, for people. commit false: only looks. */
int  certificate_process(struct journey *j, int64_t vserver, int64_t request, const void *mem, size_t len, bool commit,
        struct str *summary, int64_t *certificate, struct err *e);
/* The same with the file it lies in. */
int  certificate_process_file(struct journey *j, int64_t vserver, int64_t request, const char *path, bool commit,
        struct str *summary, int64_t *certificate, struct err *e);
int  certificate_assign(struct journey *j, int64_t vserver, int64_t certificate, struct err *e);
int  certificate_remove(struct journey *j, int64_t vserver, struct err *e);       /* unbinds */
int  request_drop(struct journey *j, int64_t request, bool restore, struct err *e);

/* --- core/journey/authority.c: the own authority --- */
/* Are there keys here that a passphrase seals? They have one in common; the first one has to be typed twice. */
bool sealed_keys_exist(struct journey *j);
int  authority_add_own(struct journey *j, const char *name, const char *cn, const char *key, int days, int64_t *id,
        struct err *e);                                                           /* RC_PASSPHRASE until one is given */
/* The own CA signs a pending request (or any PKCS#10): pem with the chain. */
int  authority_sign(struct journey *j, int64_t authority, const char *csr_pem, struct str *pem, struct err *e);

/* --- core/journey/acme.c: ACME authorities --- */
struct acme_wish { const char *name, *directory, *anchors_file, *challenge, *contact, *account_key, *eab_kid; const struct secret *eab_key;
	bool agreed; };
/* Makes an account there and stores the authority with its key sealed; all in w is copied. RC_PASSPHRASE until one is given;
 * RC_INVALID when it has terms of service (the sentence says where) and agreed is false. Job id. */
int64_t authority_add_acme(struct journey *j, const struct acme_wish *w, int64_t *id, journey_done_fn *done, void *arg, struct err *e);
bool authority_is_acme(struct journey *j, const char *name);
/* Asks when the authority would like the certificate renewed, where it is time to ask again: job id, 0: it is not. */
int64_t certificate_window_ask(struct journey *j, int64_t certificate, journey_done_fn *done, void *arg, struct err *e);

/* --- core/journey/renew.c: the same certificate once more --- */
/* What is being asked of a renewal, and what came of it; lent until done is called. */
struct renewal {
	bool new_key;
	const char *authority;           /* name; NULL: who issued it the last time */
	const char *out;                 /* or a file, to be sent by hand */
	struct str result;               /* for people */
	int64_t result_id;               /* of the certificate, or with out of the request */
};
/* A request with the subject and names of the certificate in use, with its key or a new one; its answer is processed and
 * assigned as any other. RC_NOTFOUND: there is none of ours. Job id. */
int64_t certificate_renew(struct journey *j, int64_t vserver, struct renewal *w, journey_done_fn *done, void *arg, struct err *e);
/* Goes on with the order of a request that waits at an ACME authority. Job id. */
int64_t certificate_resume(struct journey *j, int64_t request, struct str *result, int64_t *result_id, journey_done_fn *done, void *arg,
        struct err *e);
/* The request of this virtual server whose order at an ACME authority was left on its way: its id, 0 none. */
int64_t certificate_unfinished(struct journey *j, int64_t vserver);
/* Is it time to renew the certificate in use, and can that be done without a person: an ACME authority, or an own one that
 * always signs? why: half a sentence. */
bool certificate_is_due(struct journey *j, const struct vserver *vs, struct str *why);

/* --- core/journey/office.c: an own authority at work --- */
int  authority_policy(struct journey *j, int64_t authority, const char *policy, struct err *e);          /* "always", "ask" */
bool authority_asks(struct journey *j, const char *name);                  /* does a request wait for somebody there? */
/* A PKCS#10, PEM or DER, waits for a decision whatever the policy is. request: the wizard's own, 0 none. RC_EXISTS: a request
 * with this key waits there. */
int  authority_submit(struct journey *j, int64_t authority, int64_t request, const void *mem, size_t len, int64_t *id,
        struct err *e);
int  authority_submit_file(struct journey *j, int64_t authority, const char *path, int64_t *id, struct err *e);
/* Signs one that waits: pem gets the certificate and its chain. A request of the wizard is processed and assigned as well;
 * summary says what was done. RC_PASSPHRASE until one is given. */
int  authority_approve(struct journey *j, int64_t submission, struct str *pem, struct str *summary, struct err *e);
int  authority_deny(struct journey *j, int64_t submission, const char *why, struct err *e);               /* why may be NULL */
/* reason: a word of revocation_reasons. It counts for those who ask once a new list is made and published. */
int  authority_revoke(struct journey *j, int64_t authority, const char *serial, const char *reason, struct err *e);
int  authority_make_crl(struct journey *j, int64_t authority, int days, struct str *pem, size_t *revoked, struct err *e);

/* --- core/journey/settings.c: store, plan, push, prove --- */
/* edits: NAME=VALUE; value "" removes. Checked all, then stored all. */
int  vserver_set(struct journey *j, int64_t vserver, const char *const *names, const char *const *values, size_t n,
        struct err *e);
/* How many things are edited and not pushed, per server (server 0: all). Compares wanted with found, no network. */
size_t pending_edits(struct journey *j, int64_t server, struct str *sentences);
int64_t plan_make(struct journey *j, int64_t server, const struct plan_options *o, struct plan *out, journey_done_fn *done,
        void *arg, struct err *e);
/* Makes the plan anew on the host and refuses (RC_CONFLICT) when it is not the one shown (base differs). shown may be NULL. */
int64_t push_start(struct journey *j, int64_t server, const struct plan *shown, const struct push_options *o,
        struct push_report *report, journey_done_fn *done, void *arg, struct err *e);
int64_t push_confirm(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e);
int64_t push_revert(struct journey *j, int64_t server, int64_t to, struct push_report *report, journey_done_fn *done,
        void *arg, struct err *e);
int64_t push_state(struct journey *j, int64_t server, struct push_status *out, journey_done_fn *done, void *arg,
        struct err *e);
int  connector_save(struct journey *j, struct connector *c, struct err *e);       /* checks everything */
int  connector_remove(struct journey *j, int64_t id, struct err *e);
/* What the mail system would get for a setting's value, one native line each; "" where it has none. */
void native_lines(struct journey *j, int64_t vserver, const char *setting, const char *value, struct str *out);

/* --- core/journey/queue.c --- */
struct queue_view {
	int64_t taken_at, server, messages, bad_lines;
	struct queue_groups groups;
	struct queue_messages taken;     /* when asked for */
};
void queue_view_release(struct queue_view *v);
/* Streams the queue of one server, groups it, notes it in the store. destination/limit: messages to take, or NULL, 0. */
int64_t queue_poll(struct journey *j, int64_t server, enum queue_by by, const char *destination, size_t limit,
        struct queue_view *out, journey_done_fn *done, void *arg, struct err *e);
/* What to do with messages: "hold" "release" "retry" "delete" by queue id. */
int64_t queue_act(struct journey *j, int64_t server, const char *verb, const char *const *ids, size_t n, journey_done_fn *done,
        void *arg, struct err *e);
/* Looks at a destination: all MX; from here (server 0) or from the server. */
int64_t destination_probe(struct journey *j, int64_t server, const char *target, int port, bool mx, struct probe_report *out,
        journey_done_fn *done, void *arg, struct err *e);
/* Queue text, log lines of the same process, probes from the host and from here: one verdict. */
struct destination_view {
	struct diagnosis diagnosis;
	struct probe_report from_host, from_here;
	char *level;                     /* in force for it */
	int64_t since;                   /* arrival of the oldest message that waits, 0: none */
};
void destination_view_release(struct destination_view *v);
int64_t destination_diagnose(struct journey *j, int64_t server, const char *destination, struct destination_view *out,
        journey_done_fn *done, void *arg, struct err *e);

/* --- core/journey/attention.c --- */
/* What needs attention, worst first, each one sentence with the thing that mends it. */
struct attention { char *text; char sign; /* '!' '?' */ int64_t server, vserver, request, authority; char *next; /* "renew", "push" ... */ };
struct attention_list { struct attention *v; size_t n; };
void attention_list_release(struct attention_list *l);
int  attention(struct journey *j, struct attention_list *out, struct err *e);

#endif
