/* A plan: the exact changes to one host, as data: what each file is before and after, what is checked before the switch,
 * what is reloaded, what is proved afterwards. A push carries out exactly that. State on the host: /var/lib/mxseal (0700
 * root): lock, journal, one directory per generation, keys; what the mail system reads: /etc/mxseal/<generation>/. */
#ifndef MXSEAL_PLAN_H
#define MXSEAL_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/host.h"
#include "mxseal/job.h"
#include "mxseal/secret.h"
#include "mxseal/str.h"

/* Commands made at run time (argv owned). */
struct command { char *name; char **argv; };
struct command_list { struct command *v; size_t n; };
struct command *command_add(struct command_list *l, const char *name, ...) __attribute__((sentinel));  /* words, NULL */
void command_list_release(struct command_list *l);

enum change_action { CHANGE_EDIT, CHANGE_CREATE, CHANGE_REMOVE };

struct change {
	char *path;
	enum change_action action;
	struct str before, after;    /* text; of a file with a key: the certificates only */
	unsigned mode;               /* of a created file; an edited one keeps owner and mode */
	char *key_path;              /* not NULL: the host puts this key file in front of `after` (0600); the key never travels */
	char *secret;                /* not NULL: the text is one that nobody may see; this sentence is shown in its place, it is
	                              * wiped at the end, and stands on the host for root only (0600) */
	bool is_switch;              /* in the live configuration: replaced at the switch. Else part of the new generation */
};

/* A listener to be proved after the switch, from the host itself. */
enum proof_state { PROOF_GREETS, PROOF_PAUSED /* answers 421 */, PROOF_GONE /* nobody answers there */ };
struct proof_want {
	enum proof_state state;
	char *listen;                /* "0.0.0.0:25" as shown */
	char *address; int port;     /* where to connect from the host: "127.0.0.1", 25 */
	bool implicit_tls;
	bool want_tls;               /* STARTTLS must be offered and work; false: it must at least greet */
	bool forbid_tls;             /* inbound TLS off: STARTTLS must not be offered */
	char sha256[65];             /* the leaf that must be served; "" = any */
	char key[8];                 /* "EC", "RSA": ... to a peer that takes no other kind of key; "": whatever comes */
	char *name;                  /* SNI and name check, may be NULL */
	char *roots;                 /* PEM: the chain must verify with these beside the system's; may be NULL */
};
struct proof {
	char *listen; bool ok;
	char sha256[65], protocol[16], cipher[64];
	bool chain_ok, name_ok;
	char *text;
};

struct check_result { char *name; bool ok; char *text; };

/* What whoever asks for a plan may ask of it. A plan keeps them, so that the plan shown and the plan pushed are the same. */
struct plan_options {
	bool no_shadow;              /* leave out the trial run of the staged configuration on the host */
};

/* A key that lives in the store and that the host does not have yet: put there for root only, before all files. */
struct plan_key { char *path; char *spki_sha256; struct secret pem; /* unset until a push is about to carry it */ };

struct plan {
	int64_t server; char *server_name;
	struct plan_options options; /* that it was made with */
	char *mailsys; char *config_dir;
	char *base;                  /* what it was made from: the driver's own mark. The push itself holds `before` of every
	                              * change in the live configuration against what is there */
	int64_t generation;          /* of the new files: above all numbers in use on the host (push_status.next) */
	struct change *changes; size_t n_changes;
	struct plan_key *keys; size_t n_keys;
	struct command_list checks;  /* run with the staged copy; "@STAGED@" in a word is replaced by the staged directory */
	struct command_list reload;  /* first the gentle one ... */
	struct command_list restart; /* ... and the escalation */
	struct command_list watch;   /* with a mark as one more word: how mail fared since (host_script.sh, "watching the mail") */
	struct proof_want *wants; size_t n_wants;
	char **warnings; size_t n_warnings;
	struct check_result *results; size_t n_results;   /* of checks made at planning time (ours) */
};

void plan_init(struct plan *p);
void plan_release(struct plan *p);
struct change *plan_change(struct plan *p, const char *path, enum change_action a);
void plan_carry_key(struct plan *p, const char *path, const char *spki_sha256);      /* once per path */
void plan_warn(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void plan_check(struct plan *p, const char *name, bool ok, const char *text);
bool plan_is_empty(const struct plan *p);      /* nothing to change */
bool plan_is_refused(const struct plan *p);    /* one of the results is not ok */
/* Unified diff of one change (three lines of context); key blocks never appear. */
void plan_diff(const struct change *c, struct str *out);
/* The plan as it is shown and recorded: files, diffs, checks, warnings. */
void plan_render(const struct plan *p, struct str *out);

enum push_result { PUSH_KEPT, PUSH_WAITING, PUSH_UNCHANGED, PUSH_UNDONE, PUSH_REFUSED, PUSH_UNKNOWN };
const char *push_result_name(enum push_result r);

struct push_options {
	int confirm_within;          /* seconds until the host undoes by itself; 0: 120 */
	bool keep;                   /* keep after a good proof; else wait for push_keep */
	struct plan_options plan;    /* for the plan that is made anew on the host */
	int watch;                   /* before keeping, watch the mail log for so many seconds; 0: only what is known already */
};

/* How mail fares, from the host's own mail log. Of deferred and bounced messages and of peers with TLS errors each counts
 * once, and since the switch only when it did not fail before. */
struct mail_counts { int64_t seconds, sent, received, deferred, bounced, tls_errors; };
struct push_mail {
	bool watched;
	struct mail_counts before, since, lately;    /* of the switch; lately: the last 20 s or so */
	char *alarm;                 /* how it is worse than before; the host undoes then. Or NULL */
};
void push_mail_release(struct push_mail *m);
/* "sent 31, received 44, deferred 0, TLS errors 0", with what stands between. */
void push_mail_counts(const struct mail_counts *c, const char *between, struct str *out);
/* All of it as one sentence. */
void push_mail_text(const struct push_mail *m, struct str *out);
struct push_report {
	enum push_result result;
	int64_t generation;
	struct proof *proofs; size_t n_proofs;
	int64_t undo_at;             /* waiting: when the host undoes by itself */
	struct push_mail mail;
	struct str steps;            /* one line each, for the record */
};
void push_report_release(struct push_report *r);

/* Carries out the plan; runs in a worker. Steps are reported by job_step. 0 for kept, waiting, unchanged; -1 with
 * RC_CONFLICT / RC_LOCKED / RC_CHECK (refused, nothing touched), RC_UNDONE (old state proved), RC_UNKNOWN. */
int push_apply(const struct plan *p, struct host *h, const struct push_options *o, struct job_ctx *ctx,
        struct push_report *report, struct err *e);
/* Confirms the push that waits. RC_NOTFOUND when none does, RC_UNDONE when the host undid it meanwhile. */
int push_keep(struct host *h, struct job_ctx *ctx, int64_t *generation, struct err *e);
/* Puts back what was before a push that waits; when none does, a kept generation's predecessor (to = 0) or any kept
 * generation, with reload and proof. PUSH_UNDO_WAITING: only the one that waits, or waited and was undone meanwhile. */
#define PUSH_UNDO_WAITING (-1)
#define PUSH_UNDO_ALL     (-2)      /* as it was before the first of ours */
int push_undo(struct host *h, int64_t to, struct job_ctx *ctx, struct push_report *report, struct err *e);
/* What the host's journal says; also finishes or reverses what a broken push left (recovery). */
struct push_status {
	char *state;                 /* "idle", "waiting", "unfinished" */
	int64_t generation;          /* in force, 0 none of ours */
	int64_t next;                /* first number above all that were ever used there */
	int64_t undo_at;             /* waiting: when the host undoes by itself; 0: its timer is gone, it will not */
	char *owner;                 /* who holds the lock, since when; or NULL */
	char *recovered;             /* what recovery did just now, or NULL */
	struct push_mail mail;       /* waiting: how mail fares since the switch */
	struct str journal;          /* the host's own lines, for push_fate */
	char *undone;                /* what a journey learned from it: a push of ours was undone by the host. Or NULL */
	struct str generations;      /* one per line: number, time, who, state */
};
void push_status_init(struct push_status *s);
void push_status_release(struct push_status *s);     /* and ready for the next look */
int push_look(struct host *h, bool recover, struct push_status *out, struct err *e);
/* What became of a generation, by the host's journal: "kept", "undone", "dropped" (never switched on), "waiting",
 * "unfinished", or NULL when it knows none of that number. why (may be NULL): of an undone one. */
const char *push_fate(const struct push_status *s, int64_t generation, struct str *why);

#endif
