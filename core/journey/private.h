/* What the journeys share: the journey itself, connections that are kept, and jobs that need one. */
#ifndef MXSEAL_JOURNEY_PRIVATE_H
#define MXSEAL_JOURNEY_PRIVATE_H

#include "mxseal/host.h"
#include "mxseal/journey.h"
#include "mxseal/mailsys.h"
#include "mxseal/way.h"

/* One connection per server, kept between jobs. Jobs of one server never run at the same time (job key), so a slot has one
 * user at a time; the list itself belongs to the main thread. */
struct slot {
	int64_t server;
	struct host *host;               /* used by the running job only; so is */
	char *opened;                    /* ... what it was opened with: a changed address means a new connection */
	struct secret login, sudo;       /* asked for, main thread */
	struct queue_mirror *queue;      /* what was last seen of its queue, or NULL; used by the running job only */
	struct note *note;               /* of what waits there, not whole in the store yet; main thread, as ... */
	int64_t queue_noted_ms;          /* when such a one was taken last */
	char *queue_in_full;             /* why it cannot be looked at but in full, or NULL; so are */
	int64_t queue_again_ms;          /* ... and when it is tried again */
	struct slot *next;
};

struct journey {
	struct store *store;
	struct jobq *jobs;
	struct secret passphrase;
	struct slot *slots;
	bool read_only_session, read_only_asked;   /* gate.c: the console's start state; --read-only */
	bool past_mark;                  /* changes were allowed although the store is marked */
	bool reads_only;                 /* who runs now did not say that he would change a host */
	struct kept_rehearsal *rehearsals;         /* rehearse.c */
	char *known_hosts;               /* our own file of confirmed keys */
	int64_t carrying;                /* the job that carries the store's log into it, or 0 */
	struct described_kept *described;          /* described.c */
	struct note *notes;              /* queue_note.c: to be written, the oldest first */
	bool noted, notes_later;
	int64_t pruned_ms;
};

struct slot *slot_of(struct journey *j, int64_t server);

/* A job on a host. work runs in a worker with an open connection; finish on the main thread, also after a failure (rc -1),
 * and may turn success into failure; both may be NULL. data is freed by free_data. */
struct host_job {
	struct journey *journey;
	struct slot *slot;
	struct login login;
	struct server server;            /* a copy */
	int  (*work)(struct host_job *hj, struct host *h, struct job_ctx *ctx, struct err *e);
	int  (*finish)(struct host_job *hj, int rc, struct err *e);
	void (*free_data)(void *data);
	void *data;
	journey_done_fn *done;
	void *arg;
	char *transport, *transport_why; /* noted by the worker */
};

/* Fills a host_job for a server; NULL when the server is not in the store. */
struct host_job *host_job_new(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e);
/* The same for a verb that changes the host: NULL also when nothing may be changed (gate.c). No other way leads to one. */
struct host_job *host_change_new(struct journey *j, int64_t server, journey_done_fn *done, void *arg, struct err *e);
/* Frees one that was not started. */
void host_job_discard(struct host_job *hj);
/* Gives it away. title is what the activity and the screen call it. */
int64_t host_job_start(struct host_job *hj, const char *title, struct err *e);

/* --- lanes.c: the same work for many things on one host, over several connections at a time (worker) --- */
typedef void lane_fn(void *arg, size_t item, struct host *h, struct job_ctx *ctx);
/* Runs fn once for each item below n, in any order, in other threads than this one; says "DOING: 5 of 60" on the way. hj NULL: one
 * after the other over h. Nothing of it runs any more when it returns. RC_CANCELLED, or RC_NET when h is lost. */
int lanes_run(struct host_job *hj, struct host *h, size_t n, lane_fn *fn, void *arg, const char *doing, struct job_ctx *ctx,
        struct err *e);

/* --- route.c: where mail goes, asked on the host in rounds (worker) --- */
/* Who is asked, and what he has answered: no question is asked twice. hj NULL: looks go one after the other. */
struct way_host { struct host_job *hj; struct host *h; struct job_ctx *ctx; struct sections known; };
/* A way for each asked; dead may be NULL. The caller releases what is known in the end. */
int ways_find(struct way_host *w, const struct mailsys *m, const struct way_ask *asks, size_t n, struct mail_way_list *out,
        struct dead_rule_list *dead, struct err *e);

/* What was seen of next hops, each looked at once. */
struct look { char *target; int port; bool wrapper, mx, dane, seen; char *roots, *families; struct probe_report report; };
struct looks { struct look *v; size_t n; };
void looks_release(struct looks *l);
/* Fills the fates of all ways; without look only what can be said without. */
int ways_look(struct way_host *w, struct looks *l, bool look, struct mail_way_list *ways, const struct server *sv, struct err *e);

/* --- traffic.c --- */
struct maillog;
struct maillog_figures;
/* The host's own log of the last days, into log. */
int traffic_host_log(struct host *h, const struct server *sv, int days, struct maillog *log, struct err *e);
int traffic_keep(struct journey *j, int64_t server, int days, const struct maillog_figures *figures, struct err *e);

/* --- rehearse.c, rehearse_judge.c --- */
struct rehearse_rule {
	size_t level;                    /* index in rehearse_levels, outbound */
	bool require;                    /* inbound: TLS from everybody ... */
	int floor;                       /* ... and of this version at least (rank of maillog's words), 0: any */
	int64_t in_tls_at;               /* the first sign of TLS from any client, 0: none */
};
extern const char *const rehearse_levels[];          /* strongest first, NULL-ended */
struct traffic;
int  rehearse_rule_parse(bool inbound, const char *level, struct rehearse_rule *out, struct err *e);
void rehearse_judge_client(const struct rehearse_rule *rule, const struct traffic *t, struct rehearsed *p);
void rehearse_judge_unseen(const struct rehearse_rule *rule, const struct traffic *t, struct rehearsed *p);
void rehearse_judge_way(struct rehearsed *p, const struct mail_way *w, const struct looks *l);
const struct way_end *rehearse_worst_end(const struct mail_way *w);
void rehearsals_forget(struct journey *j);

/* --- route_fate.c --- */
/* What becomes of mail at this next hop, by what a look at it saw. Fills fate and forecast. */
void hop_forecast(struct way_hop *hop, const struct probe_report *seen);
/* What becomes of it in the end: the first next hop that takes it, else the first that does not. */
void end_forecast(struct way_end *end);

/* --- queue.c --- */
const struct mailsys *system_of(const struct server *sv);
/* Looks at the queue of the job's server so that it costs what has changed since the last look, or in full where that cannot
 * be; messages of a destination are taken as well when asked for (worker). */
int64_t queue_again_ms(int64_t began_ms, int64_t failed_ms);    /* when to try again what failed */
int poll_queue(struct host_job *hj, struct host *h, enum queue_by by, const char *destination, size_t limit,
        struct queue_view *out, struct err *e);

/* --- queue_freed.c --- */
/* Words for queue_follow: whose mail a push of what is wanted now may set free; NULL: nobody's. Given away. Noted when the push waits. */
char *freed_words(struct journey *j, int64_t server);
int freed_note(struct journey *j, int64_t server, const char *words, struct err *e);

/* --- queue_note.c: what waits, over time --- */
struct note;
bool queue_note_due(const struct slot *s);
/* Counts of all groupings (by enum queue_by) and what they mean for Needs attention (worker). Yours until it is queued. */
struct note *queue_note_new(struct slot *s, const struct queue_view *v, const struct queue_groups *const groups[QUEUE_BY_SERVER]);
/* Queues it to be written, or writes it now (main thread). Takes it. */
int  queue_note(struct journey *j, struct note *note, struct err *e);
void queue_note_free(struct note *note);
void queue_notes_forget(struct journey *j);
/* Sets a fact that is not so yet. */
int  fact_note(struct store *st, const char *name, const char *value, struct err *e);

/* --- backing.c: what backs up --- */
struct backing_judge { int64_t server, now; struct queue_backing_list already; struct queue_cell_list watched; struct str fact; };
int  backing_begin(struct store *st, int64_t server, int64_t now, struct backing_judge *j, struct err *e);
void backing_judge(struct store *st, struct backing_judge *j, const char *destination, int64_t messages, int64_t oldest);
/* Who backs up by now stands in the store, and who does no more does not. */
int  backing_end(struct store *st, const struct backing_judge *j, struct err *e);
void backing_judge_release(struct backing_judge *j);

/* --- diagnosis.c --- */
/* Looks from the host, with its own resolver (worker). */
int probe_from_host(struct host *h, const struct server *sv, const char *target, int port, bool mx,
        const struct probe_options *o, struct job_ctx *ctx, struct probe_report *out, struct err *e);

/* TLSA records, asked of the host's own resolver, and the MTA-STS policy as the host gets it; that they cannot be is told by
 * their absence (worker). */
void published_from_host(struct host *h, const struct server *sv, const char *roots, bool mx, struct job_ctx *ctx, struct probe_report *r);

/* Is that failure what a look found: a name that DNS does not know? Then it is the report. */
bool look_found_no_name(struct probe_report *r, const char *destination, const char *from, const struct err *e);

/* --- vantage.c: one destination, looked at from several places at once (main thread) --- */
struct vantages;
/* Begins: from here, and from other known hosts than except. */
struct vantages *vantages_start(struct journey *j, int64_t except, const char *target, int port, const struct probe_options *o);
size_t vantages_missing(const struct vantages *all);
/* Takes what is back, gives up the rest, and frees it. others is yours; blind: a sentence for each that could not look. */
void vantages_end(struct vantages *all, struct probe_report *here, bool *seen_here, struct probe_report **others, size_t *n,
        struct str *blind);
void vantages_forget(struct vantages *all);         /* when the queue of jobs is closed: they are given up already */

/* --- reading.c: a reading and what is done with it --- */
struct served { char *vs_name; char *pem, *sha256, *trouble, *second; };
struct looked {
	const struct mailsys *mailsys;
	struct reading reading;
	struct served *served; size_t n_served;
	char *push_state;                /* "idle", "waiting", "unfinished" */
};
void looked_release(struct looked *l);
/* Reads the host (worker). serve: also look at what every listener serves. */
int look_at_host(struct host *h, const char *system, bool serve, struct job_ctx *ctx, struct looked *out, struct err *e);
/* Stores it (main thread). */
int looked_store(struct journey *j, int64_t server, const struct looked *l, struct err *e);

/* The name of the fact that says since when a virtual server runs as it does: "stopped 1790000000". Given away. */
char *run_fact(int64_t vserver);

/* --- wanted.c --- */
/* What the store asks of a server. */
int wanted_build(struct journey *j, int64_t server, struct wanted_host *out, struct err *e);
void wanted_free(struct wanted_host *w);   /* with the certificates that wanted_build lent it */
void connectors_hash(const struct connector_list *l, char out[65]);      /* of those that a server sends for */

/* --- described.c (main thread) --- */
/* Subjects and dates of all in a PEM text, as certificate_described lends it. NULL: it is no chain. */
const struct cert_line_list *chain_described(struct journey *j, const char *pem);
void described_forget(struct journey *j);

/* --- drift.c --- */
struct drift_facts;
struct drift_facts *drift_facts_get(struct journey *j, const struct server *sv);
void drift_facts_free(struct drift_facts *f);
/* Why does this differ? wanted and found in our words; of "certificate" their SHA-256. */
enum drift_kind drift_kind_of(const struct drift_facts *f, const char *vs, const char *name, const char *wanted, const char *found);
/* The hash of the connectors that are in force there; NULL: of none is known that they were pushed. Lent. */
const char *pushed_connectors(const struct drift_facts *f);
/* Names of the settings that were pushed to a virtual server; address spaces whose mail is to go otherwise than was pushed. Words, to
 * words_free. */
char **pushed_settings(const struct drift_facts *f, const char *vs);
char **pushed_otherwise(const struct drift_facts *f, const struct connector_list *l);
const struct found_value *found_value_of(const struct vserver *vs, const char *name);    /* NULL: none; vs may be NULL */
/* The fact of what a push carried there; given away. Made of all that was wanted, before drift_leave_out. */
char *pushed_make(const struct wanted_host *w, const struct plan *p, int64_t generation, const struct drift_facts *before);
int  pushed_store(struct journey *j, int64_t server, const char *text, struct err *e);    /* NULL: forgets it */
int  touched_store(struct journey *j, const struct server *sv, const struct looked *l, struct err *e);
/* What the plan puts back over somebody's changes, as warnings (worker). */
void drift_warn(const struct drift_facts *f, const struct mailsys *m, const struct reading *r, const struct wanted_host *w, struct plan *p);
void drift_leave_out(const struct drift_facts *f, const struct vserver_list *found, struct wanted_host *w);
bool wanted_certificate_waits(struct journey *j, const struct vserver *vs, const struct wanted_vs *w);       /* wanted.c: it differs */
bool wanted_second_waits(struct journey *j, const struct vserver *vs, const struct wanted_vs *w);            /* the same of the second one */

/* --- sealed.c --- */
/* Is the passphrase that was given the one of all that is sealed here? A slip of the finger must not seal one secret with
 * another than the rest. RC_PASSPHRASE: no, and it is forgotten. */
int passphrase_fits(struct journey *j, struct err *e);
void passphrase_wrong(struct journey *j, const struct err *e);   /* forgets it when that is what e says */

/* --- keys.c: keys of certificates that live here --- */
struct open_key { char *path; struct secret pem; };
struct open_keys { struct open_key *v; size_t n; };
void open_keys_release(struct open_keys *k);
char *key_path_for(const char *spki_sha256);        /* where it lies on every host that has it; given away */
int sealed_key_open(struct journey *j, const struct certificate *c, struct secret *key, struct err *e);
/* Those that a push to the server may have to carry. RC_PASSPHRASE when one is not known to be there and none was given. */
int keys_open(struct journey *j, int64_t server, const struct wanted_host *w, struct open_keys *out, struct err *e);
/* Puts them into a plan that wants them (worker). RC_PASSPHRASE: one is missing. */
int keys_give(const struct open_keys *k, struct plan *p, struct err *e);

/* --- certificate.c --- */
bool request_is_pending(struct journey *j, int64_t vserver);     /* one of this virtual server */
char *own_roots(struct journey *j);                 /* certificates of the authorities kept here, PEM; given away */
/* What is being installed, for people. warnings: one per line. */
void certificate_summarise(const struct certificate *c, const struct str *warnings, struct str *out);

/* --- connector.c --- */
/* Unseals the passwords of the connectors of w for the planner. RC_PASSPHRASE when there are any and none was given. */
int connector_passwords(struct journey *j, struct wanted_host *w, struct err *e);

/* --- edits.c --- */
/* "mx1/smtp"; given away, never NULL. */
char *vserver_full_name(struct journey *j, int64_t id);
/* Does what was edited then still wait for a push to that server? */
bool push_waits(struct journey *j, const struct server *sv, int64_t since);

/* --- authority.c --- */
/* For what only an authority of our own does. RC_INVALID: it is an ACME one. */
int own_authority_get(struct journey *j, int64_t id, struct authority *out, struct err *e);
/* Could it sign now? Asked before a key is made on the host for a request that nobody would sign. RC_PASSPHRASE: ask. */
int authority_ready(struct journey *j, const char *name, struct err *e);

/* --- request.c: a request on its way --- */
struct make {
	struct request r;                /* with an id: it is stored already; with pem: it is made already */
	char *key_id;                    /* of a key to be made, NULL: r.key_path is there */
	struct order *order;             /* at an ACME authority */
	const char *verb;                /* for the activity */
	struct str *result;              /* lent */
	int64_t *result_id;
};
void make_free(void *make);
/* Takes m. key: one that lives here, lent; NULL: it is on the host, or made there. authority: its name, NULL: by hand, into the
 * file out. Job id, 0: done at once. */
int64_t make_start(struct journey *j, struct make *m, bool new_key, const struct secret *key, const char *authority, const char *out,
        journey_done_fn *done, void *arg, struct err *e);
/* With the key of a certificate instead of a new one. RC_CERT: of a kind that requests are not made for. */
int  make_with(struct make *m, const struct certificate *c, struct err *e);

/* --- acme.c: the order of a request at an ACME authority --- */
struct order;
/* Takes the account's key out of its seal (RC_PASSPHRASE) and what is known of an earlier order of the request (0: a new one). */
int  order_new(struct journey *j, const struct authority *a, int64_t request, struct order **out, struct err *e);
/* In a worker, in a conversation with the host of the request: stores request and order before anything else, and carries it
 * through. */
int  order_run(struct order *o, struct host_job *hj, struct talk *t, struct request *r, struct job_ctx *ctx, struct err *e);
/* Lends the answer. */
const struct str *order_answer(const struct order *o);
void order_free(struct order *o);                   /* NULL is fine */

/* --- fate.c --- */
/* Records of pushes without an end get the one that the host's journal knows. except: the id of a record that is being
 * written, 0 none. undone: set to a sentence when one turns out to be undone. */
void fates_learn(struct journey *j, const struct server *sv, const struct push_status *s, int64_t except, char **undone);

/* --- attention.c, watching.c: findings; sentence is given away --- */
struct attention *attention_add(struct attention_list *l, char sign, int64_t server, const char *next, char *sentence);
/* soon: seconds; what ends within them is named. */
void watch_vserver(struct journey *j, const struct server *sv, const struct vserver *vs, int64_t soon, struct attention_list *out);
void watch_files(struct journey *j, const struct server *sv, struct attention_list *out);
char *request_waits(const struct request *r);       /* how long, and what to do when that is long */
/* Names of facts: sentences on files that others can read, one a line; MX names that lead to a server, blank between. */
char *file_troubles_fact(int64_t server);
char *mx_names_fact(int64_t server);
char *by_sni_fact(int64_t server);                  /* set: the certificate served depends on the name asked for */

/* Writes a row of activity: text, or the error that e is when rc is -1. A failure to write it is itself an error, which e says
 * unless it says one already. */
int note_activity(struct journey *j, const char *server, const char *verb, int rc, struct err *e, const char *text);

#endif
