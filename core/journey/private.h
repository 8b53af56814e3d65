/* What the journeys share: the journey itself, connections that are kept, and jobs that need one. */
#ifndef MXSEAL_JOURNEY_PRIVATE_H
#define MXSEAL_JOURNEY_PRIVATE_H

#include "mxseal/host.h"
#include "mxseal/journey.h"
#include "mxseal/mailsys.h"

/* One connection per server, kept between jobs. Jobs of one server never run at the same time (job key), so a slot has one
 * user at a time; the list itself belongs to the main thread. */
struct slot {
	int64_t server;
	struct host *host;               /* used by the running job only; so is */
	char *opened;                    /* ... what it was opened with: a changed address means a new connection */
	struct secret login, sudo;       /* asked for, main thread */
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
	char *known_hosts;               /* our own file of confirmed keys */
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

/* --- way.c: where a destination's mail goes, and how secured (worker) --- */
struct way {
	char *level;                     /* outbound security level in force, NULL: unknown */
	char *next_hop;                  /* "[host]" or a domain, NULL: the destination's own mail servers */
	int port;                        /* 0: the usual one */
	const char *by;                  /* the parameter that says so */
};
void way_in_force(struct host *h, const char *domain, struct way *w);

/* --- reading.c: a reading and what is done with it --- */
struct served { char *vs_name; char *pem, *sha256, *trouble; };
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

/* --- wanted.c --- */
/* What the store asks of a server. */
int wanted_build(struct journey *j, int64_t server, struct wanted_host *out, struct err *e);
void wanted_free(struct wanted_host *w);   /* with the certificates that wanted_build lent it */
/* Hash over the connectors that a server sends for: what was pushed last is kept as a fact. */
void connectors_hash(const struct connector_list *l, char out[65]);
char *connectors_fact(int64_t server);

/* --- authority.c --- */
/* Could it sign now? Asked before a key is made on the host for a request that nobody would sign. RC_PASSPHRASE: ask. */
int authority_ready(struct journey *j, const char *name, struct err *e);

/* Does the passphrase open the keys that are sealed here already? One that does not is forgotten. */
int passphrase_is_ours(struct journey *j, struct err *e);

/* --- certificate.c: a request on its way --- */
struct make {
	struct request r;                /* with an id: it is stored already; with pem: it is made already */
	char *key_id;                    /* of a key to be made, NULL: r.key_path is there */
	struct order *order;             /* at an ACME authority */
	const char *verb;                /* for the activity */
	struct str *result;              /* lent */
	int64_t *result_id;
};
void make_free(void *make);
/* Takes m. authority: its name, NULL: by hand, into the file out. Job id. */
int64_t make_start(struct journey *j, struct make *m, bool new_key, const char *authority, const char *out, journey_done_fn *done,
        void *arg, struct err *e);

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

/* Writes a row of activity; a failure to write it is itself an error. */
int note_activity(struct journey *j, const char *server, const char *verb, int rc, const struct err *e, const char *text);

#endif
