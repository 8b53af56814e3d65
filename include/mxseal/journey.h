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
#include "mxseal/retire.h"
#include "mxseal/secret.h"
#include "mxseal/sheet.h"
#include "mxseal/store.h"
#include "mxseal/way.h"

struct journey;
typedef void journey_done_fn(void *arg, int rc, const struct err *e);

/* --- core/journey/journey.c --- */
int  journey_open(struct journey **out, const char *store_path, struct err *e);
void journey_close(struct journey *j);
struct store *journey_store(struct journey *j);
struct jobq  *journey_jobs(struct journey *j);
/* Now and then, in a front end that draws and has said store_leave_carrying. */
void journey_tend_store(struct journey *j);
/* The first certificate of a PEM text, parsed once however often it is asked for; lent, and good until some hundred others were asked
 * for. NULL: there is none, or it is none. */
const struct certificate *certificate_described(struct journey *j, const char *pem);
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

/* --- core/journey/names.c --- */
/* The same for one that takes the place of a certificate: with its key, or with a new one. */
int64_t certificate_request_again(struct journey *j, struct form *f, int64_t certificate, bool same_key, journey_done_fn *done, void *arg,
        struct err *e);
/* Looks the names of the form up (addresses, MX, reverse lookups) and puts remarks beside them. Job id, or 0. */
int64_t certificate_names_look(struct journey *j, struct form *f, journey_done_fn *done, void *arg);
/* Asks DNS from here which MX names lead to this server, and keeps that: attention() compares them with its certificate. Without an
 * answer what was known stays. Job id; 0 when there is nothing to ask (done was called). */
int64_t names_watch(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e);
char *mx_names_known(struct journey *j, int64_t server);              /* what names_watch found, blank between; NULL: nothing */

/* --- core/journey/certificate.c: the certificate wizard's story --- */
/* What state a virtual server is in: "none", "pending", "installed", "renewal". */
const char *certificate_state(struct journey *j, int64_t vserver);
/* Makes key (on the host) and request; writes the file or asks the own CA; f is a form of the certificate wizard. */
int64_t certificate_request(struct journey *j, struct form *f, journey_done_fn *done, void *arg, struct err *e);
/* How an answer is taken; 0: it is only looked at. */
enum {
	ANSWER_COMMIT = 1,
	ANSWER_SECOND = 2,               /* as the second certificate, whatever its request says */
	ANSWER_ANY_ISSUER = 4,           /* although its chain leads to nobody that is known here, or is weak */
};
/* The authority's answer, bytes of a file. request 0: the pending one of this virtual server with that key. summary:
 * what is being installed, and warnings, for people. how: ANSWER_ bits. */
int  certificate_process(struct journey *j, int64_t vserver, int64_t request, const void *mem, size_t len, unsigned how,
        struct str *summary, int64_t *certificate, struct err *e);
/* The same with the file it lies in. ca: a file with roots that are trusted for this answer, or NULL. */
int  certificate_process_file(struct journey *j, int64_t vserver, int64_t request, const char *path, const char *ca, unsigned how,
        struct str *summary, int64_t *certificate, struct err *e);
/* second: beside the one in use, with the other kind of key. RC_CERT: of two with the same kind one only is ever served. */
int  certificate_assign(struct journey *j, int64_t vserver, int64_t certificate, bool second, struct err *e);
int  certificate_remove(struct journey *j, int64_t vserver, bool second, struct err *e);   /* unbinds both, or the second */
/* May a certificate with this kind of key ("EC", "RSA") be the first or the second one of a virtual server? RC_CERT: no. */
int  certificate_kind_fits(struct journey *j, int64_t vserver, const char *key_type, bool second, struct err *e);
const char *certificate_kind_word(enum key_kind kind);                            /* "EC", "RSA" */
/* The server that it is for, also when its key lives here; 0: it is gone. */
int64_t request_server(struct journey *j, const struct request *r);
/* Since when it waits, its SHA-256 and its text, for people; appended. */
void request_to_send(const struct request *r, struct str *out);
int  request_write(struct journey *j, int64_t request, const char *path, struct err *e);     /* its text to a file, once more */
int  request_drop(struct journey *j, int64_t request, bool restore, struct err *e);

/* --- core/journey/backup.c: certificates with their keys, from files and into files --- */
struct backup_file { const char *path, *key_path /* the key's own file, or NULL */; const struct secret *passphrase; /* or NULL */ };
struct backup_view {
	bool locked;                     /* after -1: the file's passphrase is missing or wrong */
	bool in_clear;                   /* its key is not encrypted */
	char *weak;                      /* not NULL: ciphers that do not protect it; it is imported only when that is accepted */
	char *names;                     /* of the certificate */
	struct str summary;              /* what is in it, and warnings, for people */
};
void backup_view_release(struct backup_view *v);
/* Opens a backup and judges it for a virtual server as an answer of an authority is judged; changes nothing. v: with an empty
 * summary. RC_INVALID with v->locked, RC_CERT, RC_PARSE, RC_LIMIT. */
int  backup_look(struct journey *j, int64_t vserver, const struct backup_file *in, struct backup_view *v, struct err *e);
/* The same, then its key is sealed here (RC_PASSPHRASE until the store's passphrase is given) and the certificate assigned.
 * name: what people call it, NULL: its common name. RC_CERT when it is weakly encrypted and accept_weak is not said. */
int  certificate_import(struct journey *j, int64_t vserver, const struct backup_file *in, const char *name, bool accept_weak, bool second,
        struct str *summary, int64_t *certificate, struct err *e);
/* Can it be exported: does its key live here? RC_CERT with where it lives instead. */
int  certificate_exportable(struct journey *j, int64_t certificate, struct err *e);
#define BACKUP_PASSPHRASE_MIN 8
int  backup_passphrase_check(const struct secret *s, struct err *e);
/* PKCS#12 (backup_write) under the passphrase, 0600. RC_PASSPHRASE until the store's is given. */
int  certificate_export(struct journey *j, int64_t certificate, const char *path, const struct secret *passphrase, struct err *e);

/* --- core/journey/sealed.c --- */
/* Are there keys or passwords here that a passphrase seals? They have one in common; the first one has to be typed twice. */
bool sealed_keys_exist(struct journey *j);

/* --- core/journey/authority.c: the own authority --- */
/* parent: name of the authority above it, NULL or "": a root; that of the wish is not used. RC_PASSPHRASE until one is given. */
int  authority_add_own(struct journey *j, const struct authority_wish *wish, const char *parent, int64_t *id, struct err *e);
/* New dates under the same key; those below it get its new certificate into their chain. days 0: as many as before. */
int  authority_renew_own(struct journey *j, int64_t authority, int days, struct err *e);
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
	bool second;                     /* the second certificate, not the first */
	bool new_key;
	const char *kind;                /* of the new key; NULL: as the one before */
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
bool certificate_is_due(struct journey *j, int64_t certificate, struct str *why);

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
/* Does a setting mean nothing on this virtual server? why gets "not on Postfix: ..." with what there is instead. */
bool setting_declined(struct journey *j, int64_t vserver, const char *setting, struct str *why);
/* What the mail system would get for a setting's value, one native line each; "" where it has none. */
void native_lines(struct journey *j, int64_t vserver, const char *setting, const char *value, struct str *out);

/* --- core/journey/traffic.c: figures from the host's mail log --- */
/* Reads the log of the last days and stores who brought and took mail, with TLS and without. */
int64_t traffic_read(struct journey *j, int64_t server, int days, journey_done_fn *done, void *arg, struct err *e);
struct traffic_taken {
	int64_t at, first_at;            /* when; first line that counted, 0: none */
	int days;
	bool cut, tls_seen;              /* this, and what follows, as in maillog_figures */
	int64_t bytes, sent, deferred, bounced;
	char missing[1200];              /* sentences, one a line; "" none */
};
bool traffic_taken(struct journey *j, int64_t server, struct traffic_taken *out);   /* false: never read */
/* The same from files of this machine, packed by gzip or not; nothing is stored. */
int  traffic_files(const char *const *logs, size_t n, int days, struct traffic_list *peers, struct traffic_taken *taken, struct err *e);
/* Who would be shut out by this value, as far as the figures tell; or that there are none and how to get them. service: inbound,
 * of the listener that the log calls so; NULL: of all. */
void traffic_sentence(struct journey *j, const struct server *sv, const char *service, const char *setting, const char *value,
        struct str *out);

/* --- core/journey/listeners.c: which listener a client came to --- */
struct listener_log {
	char *name;                      /* "mx1/smtp"; NULL: there is none */
	char *service;                   /* what the mail log calls it; NULL: not known, and all of the server are counted */
	char *with;                      /* "mx1/smtp, mx1/old": those that the log does not tell from it; NULL: none */
	bool others;                     /* the server has more listeners */
};
/* vserver 0: the default one. out can be released in any case. */
int  listener_log(struct journey *j, int64_t server, int64_t vserver, struct listener_log *out, struct err *e);
void listener_log_sentence(const struct listener_log *l, struct str *out);     /* what is counted; nothing where that is plain */
void listener_log_release(struct listener_log *l);

/* --- core/journey/vservers.c: virtual servers are added, taken away, started and stopped: what is wanted; a push does it --- */
/* "192.0.2.5:2525", "[2001:db8::1]:587", "587" or "*:587" (all addresses), "none" (only sends) in normal form: "0.0.0.0:587"
 * for all, "" for none. RC_INVALID. */
int  vserver_listen_parse(const char *text, struct str *normal, struct err *e);
/* May a virtual server of this server be called so, or listen there (normal form)? note gets what is worth knowing. */
int  vserver_name_free(struct journey *j, int64_t server, const char *name, struct err *e);
int  vserver_listen_free(struct journey *j, int64_t server, const char *listen, struct str *note, struct err *e);
/* kind: "smtp", "submission", "submissions"; nothing is asked of it when it only sends. outbound_tls: NULL or "": as the host's.
 * said (of all three): what was kept, for people. */
int  vserver_add(struct journey *j, int64_t server, const char *name, const char *listen, const char *kind,
        const char *outbound_tls, int64_t *id, struct str *said, struct err *e);
/* Never the default one. One that no push has made yet is forgotten at once. */
int  vserver_remove(struct journey *j, int64_t vserver, struct str *said, struct err *e);
/* "started" (also of one that was to be removed), "paused", "stopped". */
int  vserver_run(struct journey *j, int64_t vserver, const char *run, struct str *said, struct err *e);
/* What a question before it should say; "" when there is nothing to ask. verb: "remove", "stop", "pause". */
void vserver_ask(struct journey *j, int64_t vserver, const char *verb, struct str *question);

/* --- core/journey/connector.c --- */
int  connector_save(struct journey *j, struct connector *c, struct err *e);       /* checks everything */
int  connector_remove(struct journey *j, int64_t id, struct err *e);
/* Seals the password that its user logs in with, into c. RC_PASSPHRASE until one is given. */
int  connector_seal(struct journey *j, struct connector *c, const struct secret *password, struct err *e);
/* What keeps mail from this connector, as far as the store knows: one sentence per line. */
void connector_troubles(struct journey *j, const struct connector *c, struct str *out);
/* Looks the smart hosts of the form up in DNS and puts remarks beside the field. Job id, or 0: nothing to do. */
int64_t connector_hosts_look(struct journey *j, struct form *f, journey_done_fn *done, void *arg);

/* --- core/journey/rules.c --- */
/* Makes a connector that does what the administrator's own rows for this key ("bank.test", ".bank.test") do. name NULL: the key.
 * Refused where a connector cannot say the same. said gets a sentence. */
int  rule_take(struct journey *j, int64_t server, const char *key, const char *name, int64_t *id, struct str *said, struct err *e);

/* --- core/journey/edits.c --- */
/* Undoes an edit of what is wanted (store_edit_undo), or makes an undone one again; id 0: the newest. said gets one sentence.
 * No host is touched. */
int  edit_undo(struct journey *j, int64_t id, bool again, struct str *said, struct err *e);
/* Has all of it been carried to its hosts? */
bool edit_is_pushed(struct journey *j, const struct wanted_edit *w);

/* --- core/journey/drift.c: found against wanted, as the last reading saw it --- */
enum drift_kind {
	DRIFT_EDITED,             /* edited here and not pushed: no drift, only not done yet */
	DRIFT_CHANGED,            /* changed on the host since the last push */
	DRIFT_LEFT,               /* the same, and left so until it changes again */
	DRIFT_FILE                /* a line or file that is ours was edited or deleted there by hand */
};
const char *drift_kind_name(enum drift_kind k);   /* "edited", "changed", "left", "file" */
struct drift {
	enum drift_kind kind;
	int64_t vserver;          /* 0: of a file */
	char *object;             /* "mx1/smtp"; of a file "mx1" */
	char *name;               /* a setting, "certificate", or the path of a file */
	char *wanted, *found;     /* in our words; found NULL: no word for it. Of a file: what was touched */
	char *native, *source;    /* as found: lines of the mail system, and where they stand */
	char *diff;               /* of a file, cleaned */
};
struct drift_list { struct drift *v; size_t n; };
void drift_list_release(struct drift_list *l);
int  drift_of_server(struct journey *j, int64_t server, struct drift_list *out, struct err *e);
size_t drift_count(const struct drift_list *l);   /* changed there and not left so */
/* Reads the host, stores what was found, makes the plan that would put everything back. As plan_make otherwise. */
int64_t drift_look(struct journey *j, int64_t server, const struct plan_options *o, struct plan *out, journey_done_fn *done,
        void *arg, struct err *e);
/* Two of the three ways out (the third is a push). fields: "all", "outbound.tls", "smtp/outbound.tls". What is found becomes
 * what is wanted, as one edit; or it is left until it changes again. said gets a sentence. */
int  drift_take(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e);
int  drift_leave(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e);
/* Takes the leaving back: a push puts it back to what is wanted again. */
int  drift_unleave(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e);

/* --- core/journey/queue.c --- */
struct queue_view {
	int64_t taken_at, server, messages, bad_lines;
	struct queue_groups groups;
	struct queue_messages taken;     /* when asked for */
	struct queue_look look;          /* how it was looked at */
	char *note;                      /* why only a full listing tells about this queue; NULL: there is no such reason */
};
void queue_view_release(struct queue_view *v);
/* Destinations whose mail backs up, as of the last time what waits there was noted: held against what is usual for them (days: on
 * how many days that rests, 0: on the hours of the first). */
struct queue_backing { char *destination; int64_t messages, usual, since; int days; };
struct queue_backing_list { struct queue_backing *v; size_t n; };
void queue_backing_list_release(struct queue_backing_list *l);
void queue_backings(struct journey *j, int64_t server, struct queue_backing_list *out);        /* added to those in it */
const struct queue_backing *queue_backing_of(const struct queue_backing_list *l, const char *destination);     /* NULL: it does not */
void queue_backing_usual(const struct queue_backing *b, char out[64]);     /* "usually none", "before that no more than 12" */
/* Streams the queue of one server, groups it, notes it in the store. destination/limit: messages to take, or NULL, 0. */
int64_t queue_poll(struct journey *j, int64_t server, enum queue_by by, const char *destination, size_t limit,
        struct queue_view *out, journey_done_fn *done, void *arg, struct err *e);
/* A console lets what polls note of queues wait, and writes it between keys: pieces until until_ms (when_monotonic_ms), one at
 * least. 1: there is more; 0: none waits; -1: one could not be written and is dropped. What waits when the journey is closed is
 * dropped as well. */
void journey_notes_later(struct journey *j);
int  journey_notes_some(struct journey *j, int64_t until_ms, struct err *e);
/* The messages of a group (key NULL: all) as they are at this moment; where only full listings are to be had, of a destination
 * only. */
int64_t queue_take(struct journey *j, int64_t server, enum queue_by by, const char *key, struct queue_ids *out, journey_done_fn *done,
        void *arg, struct err *e);
/* What to do with messages: "hold" "release" "retry" "delete". The queue is read again first: what has gone, or is another
 * message by now, is not touched but counted. ids is copied. */
struct queue_acted { size_t asked, gone, done; };
int64_t queue_act_on(struct journey *j, int64_t server, const char *verb, const struct queue_ids *ids, struct queue_acted *out,
        journey_done_fn *done, void *arg, struct err *e);
/* The same by queue ids alone, without reading it again. */
int64_t queue_act(struct journey *j, int64_t server, const char *verb, const char *const *ids, size_t n, journey_done_fn *done,
        void *arg, struct err *e);

/* --- core/journey/queue_follow.c, queue_freed.c: what a push is to set free --- */
/* Taken before the push is kept, tried again after it, and then looked at until it has left. Zero it, name server and destinations
 * (an own copy), call the verbs one after the other; each fills it when it is done, and it must live until then.
 * Destinations are words: "bank.test" and "*.bank.test" (all below it): whatever waits for them; "*": what TLS holds up, for any
 * destination but those that stand there with an ! in front. */
#define QUEUE_FOLLOW_MAX 10000           /* messages that are tried at once: half of what Postfix has active at a time (postconf(5)) */
struct queue_follow_reason {
	char *reason;                    /* names and numbers may be folded away */
	const struct failure *failure;
	size_t n;
	bool fresh;                      /* none of them waited for that before the push */
};
struct queue_follow {
	int64_t server;
	char *destinations;
	struct queue_ids ids;            /* of those that still wait */
	size_t taken;                    /* how many they were; what is on hold is left alone */
	size_t rest;                     /* more than can be tried at once: these, the newest, wait for their own next try */
	struct queue_acted acted;        /* when they were tried again */
	size_t left, trying;             /* of taken: not in the queue any more, in the middle of an attempt */
	int64_t taken_at, retried_at, looked_at;         /* 0: not yet */
	struct queue_follow_reason *v; size_t n;         /* why the rest waits, most messages first */
	struct queue_follow_reason *before; size_t n_before;
};
int64_t queue_follow_take(struct journey *j, struct queue_follow *f, journey_done_fn *done, void *arg, struct err *e);
int64_t queue_follow_retry(struct journey *j, struct queue_follow *f, journey_done_fn *done, void *arg, struct err *e);
int64_t queue_follow_look(struct journey *j, struct queue_follow *f, journey_done_fn *done, void *arg, struct err *e);
bool queue_follow_over(const struct queue_follow *f);                  /* all of them have left */
/* Whose mail the next push of a server may set free, by what is wanted and what was noted; waits: the push that waits there to be
 * kept. Each is for a follow of its own: destinations. Words, NULL at the end, to words_free. */
char **queue_follow_destinations(struct journey *j, int64_t server, bool waits);
/* Noted for the push that comes or waits; forgotten after one that was kept. */
int  queue_follow_note(struct journey *j, int64_t server, const char *destination, struct err *e);
int  queue_follow_forget(struct journey *j, int64_t server, struct err *e);
/* "bank.test", "12 destinations", "all that TLS holds up". */
void queue_follow_name(const struct queue_follow *f, struct str *out);
const char *queue_follow_only(const struct queue_follow *f);          /* its one destination; NULL: it has more */
/* One sentence: "2 of 3 messages for bank.test have left, 1 is being tried". */
void queue_follow_say(const struct queue_follow *f, struct str *out);
void queue_follow_release(struct queue_follow *f);

/* --- core/journey/diagnosis.c --- */
/* Looks at a destination: all MX; from here (server 0) or from the server. */
int64_t destination_probe(struct journey *j, int64_t server, const char *target, int port, bool mx, struct probe_report *out,
        journey_done_fn *done, void *arg, struct err *e);
/* A sentence when other instances of the mail system were found on the host at the last reading (postmulti(1)), which are left alone;
 * else NULL. Given away. */
char *server_instances(struct journey *j, const struct server *sv);
/* What its mail system said of its own configuration at the last reading, one sentence a line, clean; NULL: nothing. Given away. */
char *server_warnings(struct journey *j, int64_t server);
/* Queue text, log lines of the same process, probes from the host and from here: one verdict. */
struct destination_view {
	struct diagnosis diagnosis;
	struct probe_report from_host, from_here;
	char *level;                     /* in force for it */
	int64_t since;                   /* first failed attempt since the last success, or the oldest message; 0: nothing waits */
	struct probe_report *others; size_t n_others;    /* from other known hosts */
	bool changed;                    /* something was done from here shortly before it began; the evidence says what */
	int64_t waiting, oldest, next_retry;     /* its messages in the queue of the server, 0: none; 0: not known */
};
void destination_view_release(struct destination_view *v);
int64_t destination_diagnose(struct journey *j, int64_t server, const char *destination, struct destination_view *out,
        journey_done_fn *done, void *arg, struct err *e);

/* --- core/journey/route.c --- */
/* Where mail for addresses goes, as the host's configuration and tables say now, and what would become of it: with `look`,
 * each next hop is looked at from the host. dead: rows that no mail can reach (may be NULL). */
int64_t mail_route(struct journey *j, int64_t server, const struct way_ask *asks, size_t n, bool look, struct mail_way_list *out,
        struct dead_rule_list *dead, journey_done_fn *done, void *arg, struct err *e);
/* What the connector sheet is to be filled in with so that a dead row's rule stands where it bites: name, value, ..., NULL.
 * NULL with e: no connector says the same. Given away, to route_repair_free. */
char **route_repair(struct journey *j, const struct server *sv, const struct dead_rule *d, struct err *e);
void route_repair_free(char **preset);

/* --- core/journey/rehearse.c: what would become of mail if more were required of the other side --- */
struct rehearsed {
	char *peer;                      /* domain that takes mail, client that brings it */
	int64_t messages, per_week;      /* in the days looked at; in seven days, were all like these */
	enum { REHEARSED_PASSES, REHEARSED_FAILS, REHEARSED_UNSURE } outcome;
	const char *confidence;          /* "high", "medium", "low" */
	char *why;                       /* sentence's half */
	bool looked;                     /* at its mail servers; else the log alone speaks */
	bool excepted;                   /* a connector of ours decides about it */
	char *now;                       /* what becomes of its mail as it is now: way_fate_name(); NULL: not looked at */
	char *works;                     /* of one that fails: the strongest level at which its mail is delivered, NULL none */
	char *hop;                       /* the next hop where that is not the domain itself, NULL */
};
struct rehearsal {
	bool inbound;
	char *level;                     /* "encrypt"; inbound "require", "tls1.2", "require,tls1.2" */
	char *listener, *service;        /* inbound: the virtual server, "mx1/smtp", and what the log calls it; service NULL: all are counted */
	char *counted;                   /* inbound: of whom that is, and whom it leaves out, sentences, one a line; NULL: plain */
	int days;
	int64_t at;                      /* when it was made */
	int64_t first_at;                /* oldest line that counted, 0 none */
	bool cut, tls_seen;              /* as in maillog_figures */
	char *missing;                   /* of the log, as there; NULL: nothing */
	int64_t messages, peers;         /* all that the log tells of */
	int64_t unseen, unseen_messages; /* of these not looked at: those with the fewest messages */
	struct rehearsed *v; size_t n;   /* most messages first */
};
void rehearsal_release(struct rehearsal *r);
const char *rehearsed_outcome(const struct rehearsed *p);        /* "passes", "fails", "not sure" */
/* How many of this outcome, and their messages in all. */
void rehearsal_sum(const struct rehearsal *r, int outcome, int64_t *peers, int64_t *messages);
/* vserver: inbound, whose senders; 0: the default one's. logs: files here, packed by gzip or not, in place of the host's own log.
 * main: so many destinations are looked at, those with the most messages; 0: REHEARSE_MAIN. */
struct rehearse_ask { bool inbound; int64_t vserver; const char *level; int days; size_t main; const char *const *logs; size_t n_logs; };
#define REHEARSE_MAIN 500
#define REHEARSE_DAYS 7
#define REHEARSAL_GOOD (24 * 3600)   /* seconds; after that it is made again */
/* Reads the log, then outbound finds the way of mail to each destination as if level were that of the default virtual server,
 * and looks at its next hop from the host. RC_USAGE for a level that there is not. All of ask is copied; out may be NULL: it is
 * kept in any case (rehearsal_kept). Job id. */
int64_t rehearse(struct journey *j, int64_t server, const struct rehearse_ask *ask, struct rehearsal *out, journey_done_fn *done,
        void *arg, struct err *e);
/* The last of this level by the host's own log in this session; NULL: there was none. Lent, until the next one is made. service,
 * here and below: inbound, that of the listener (listener_log); else NULL. */
void rehearsal_keep(struct journey *j, int64_t server, const struct rehearsal *r);     /* as that; copied */
const struct rehearsal *rehearsal_kept(const struct journey *j, int64_t server, const char *service, bool inbound, const char *level);
/* Keeps a connector for each level that works where the rehearsed one does not, as one edit; said tells. only: as many as r has,
 * those to take, NULL all. RC_NOTFOUND: there is nothing to except. */
int  rehearsal_take(struct journey *j, int64_t server, const struct rehearsal *r, const bool *only, struct str *said, struct err *e);
/* When the last rehearsal of this level was, 0: never; out (may be NULL) gets what it came to as a sentence. */
int64_t rehearsal_sentence(struct journey *j, int64_t server, const char *service, const char *level, struct str *out);
bool rehearsal_fresh(struct journey *j, int64_t server, const char *service, const char *level);       /* one is there that is not too old */

/* --- core/journey/workaround.c: the article's work-around, for as long as it is needed --- */
/* Mail for domain leaves the server without TLS: by the virtual server SERVER/notls, which only sends, and a connector of its own
 * bound to it; one edit. seen: the diagnosis that speaks for it (evidence, the level that held), NULL: nobody looked. review: a
 * date, NULL: a month from now. One that is there for another server is widened. said gets what was kept. */
int  workaround_make(struct journey *j, int64_t server, const char *domain, const char *reason, const char *review,
        const struct destination_view *seen, int64_t *id, struct str *said, struct err *e);
/* Does that help against what was found? RC_INVALID with what would. */
int  workaround_helps(const struct destination_view *seen, struct err *e);
/* The next state of one, as one edit that a push carries out: back to no TLS, on trial (TLS where it is offered), ended (what held
 * before holds, its first mail is watched), over (nothing changes any more). by_itself: on what the looks say, for the activities,
 * which get the evidence. RC_INVALID: it is so already. */
int  workaround_become(struct journey *j, int64_t id, enum retire_state to, bool by_itself, struct str *said, struct err *e);
/* May this server be forgotten? RC_CONFLICT: it sends mail without TLS by a work-around. */
int  workarounds_let_go(struct journey *j, const char *server, struct err *e);
int  workarounds_forget(struct journey *j, const char *server, struct err *e);      /* it is */

/* --- core/journey/workaround_look.c --- */
/* One look from one of its servers at the destination and the queue; what came of it is stored. Job id. */
int64_t workaround_look_now(struct journey *j, int64_t id, int64_t server, journey_done_fn *done, void *arg, struct err *e);
/* What the server's own log says of its mail: when one was used, and after a change what mail left with; stored. Job id. */
int64_t workaround_log_now(struct journey *j, int64_t id, int64_t server, journey_done_fn *done, void *arg, struct err *e);
bool workaround_wants_log(const struct workaround *w, int64_t now);
/* From this moment on, by the host's own clock, the log counts: after the push that carried a change there. Job id. */
int64_t workaround_mark(struct journey *j, int64_t id, int64_t server, journey_done_fn *done, void *arg, struct err *e);
/* What the state machine is asked with; looks must live as long. */
struct retire_view { struct retire r; struct retire_sender v[64]; struct workaround_look_list looks; };
int  workaround_facts(struct journey *j, const struct workaround *w, struct retire_view *out, struct err *e);
void retire_view_release(struct retire_view *v);

/* --- core/journey/attention.c --- */
/* What needs attention, worst first, each one sentence with the thing that mends it. */
struct attention {
	char *text; char sign; /* '!' '?' */
	int64_t server, vserver, request, authority;
	char *next;                      /* "renew", "push" ... */
	char *destination;               /* whose mail waits, or NULL */
};
struct attention_list { struct attention *v; size_t n; };
void attention_list_release(struct attention_list *l);
int  attention(struct journey *j, struct attention_list *out, struct err *e);
/* The same, naming what ends within so many days. */
#define ATTENTION_DAYS 30
int  attention_within(struct journey *j, int days, struct attention_list *out, struct err *e);
/* The same of many servers in slices: some until it says false, then end, which frees it (out NULL: it is not wanted any more). */
struct attention_run;
struct attention_run *attention_begin(struct journey *j, int days, struct err *e);
bool attention_some(struct attention_run *r, int64_t until_ms);
void attention_end(struct attention_run *r, struct attention_list *out);

#endif
