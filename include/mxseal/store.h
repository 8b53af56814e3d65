/* The store: SQLite (WAL, synchronous FULL, foreign keys, STRICT tables), used on the main thread only. Migrations and
 * statements are tables in db/. Several consoles may have it open: records carry rev, saving an old rev is RC_CONFLICT and
 * says so. Lists come in a stable order (by name or time). Each save with id 0 inserts and sets id; otherwise updates and
 * raises rev. Getters give RC_NOTFOUND with the name in words. What they fill is yours to release. */
#ifndef MXSEAL_STORE_H
#define MXSEAL_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/model.h"
#include "mxseal/secret.h"

struct store;

/* Opens, migrates, checks: folder 0700, file 0600 (made so; refused when others may read them). path NULL: $MXSEAL_STORE or
 * $XDG_DATA_HOME/mxseal/store.db. ":memory:" for tests. A store of a newer version is refused, not damaged. */
int  store_open(struct store **out, const char *path, struct err *e);
void store_close(struct store *st);
const char *store_path(const struct store *st);
/* A file beside the store ("known_hosts"); caller frees. NULL for :memory:. */
char *store_file(const struct store *st, const char *name);

/* All or nothing. Nested calls join the outer one: an inner one that fails takes back its own part, and the outer one decides.
 * After a failure read the records again: their id and rev may be ahead of what is stored. */
typedef int store_body_fn(struct store *st, void *arg, struct err *e);
int  store_tx(struct store *st, store_body_fn *body, void *arg, struct err *e);
/* The same for what was only seen and will be seen again (that a host answered, what waits there): nobody waits for the disk. A kill
 * takes nothing of it and the store stays whole; a power failure may take the newest of it. */
int  store_tx_seen(struct store *st, store_body_fn *body, void *arg, struct err *e);
/* For a front end that draws: SQLite's own work of carrying its log into the file, which waits for the disk, is not done in between.
 * due: it is time for store_carry, which a worker may call: it uses a connection of its own. */
void store_leave_carrying(struct store *st);
bool store_carry_due(struct store *st);          /* once for each time */
int  store_carry(const char *path, struct err *e);
/* Grows whenever anything in the store changed through this handle or another process: views compare it. */
int64_t store_version(struct store *st);
/* The same without what this handle noted by store_tx_seen: some hundred hosts say something new all the time, and none of it is
 * anything that is wanted. */
int64_t store_version_but_seen(struct store *st);

int store_servers(struct store *st, struct server_list *out, struct err *e);
int store_server_get(struct store *st, int64_t id, struct server *out, struct err *e);
int store_server_by_name(struct store *st, const char *name, struct server *out, struct err *e);
int store_server_save(struct store *st, struct server *r, struct err *e);
int store_server_delete(struct store *st, int64_t id, struct err *e);

/* Virtual servers of a server (server 0: all). found values come with them. */
int store_vservers(struct store *st, int64_t server, struct vserver_list *out, struct err *e);
int store_vserver_get(struct store *st, int64_t id, struct vserver *out, struct err *e);
/* "mx1/smtp", or "mx1" for the default one. */
int store_vserver_by_name(struct store *st, const char *name, struct vserver *out, struct err *e);
int store_vserver_save(struct store *st, struct vserver *r, struct err *e);    /* replaces its found values too */
int store_vserver_delete(struct store *st, int64_t id, struct err *e);

/* Wanted settings. scope: "site" (owner 0), "server", "vs". value NULL removes. */
int store_wanted_set(struct store *st, const char *scope, int64_t owner, const char *name, const char *value, struct err *e);
/* Effective settings of a virtual server: its own, its server's, the site's, the nearest wins. 0: the site's alone. */
int store_wanted(struct store *st, int64_t vserver, struct wanted_list *out, struct err *e);

/* The administrator's own rules of a server, in the order they were read; set replaces them. */
int store_found_rules(struct store *st, int64_t server, struct found_rule_list *out, struct err *e);
int store_found_rules_set(struct store *st, int64_t server, const struct found_rule_list *l, struct err *e);

int store_requests(struct store *st, int64_t vserver, struct request_list *out, struct err *e);   /* 0: all; dropped ones too */
int store_request_get(struct store *st, int64_t id, struct request *out, struct err *e);
int store_request_save(struct store *st, struct request *r, struct err *e);

int store_certificates(struct store *st, struct certificate_list *out, struct err *e);
int store_certificate_get(struct store *st, int64_t id, struct certificate *out, struct err *e);
int store_certificate_by_sha256(struct store *st, const char *sha256, struct certificate *out, struct err *e);
int store_certificate_save(struct store *st, struct certificate *r, struct err *e);

int store_authorities(struct store *st, struct authority_list *out, struct err *e);
int store_authority_get(struct store *st, int64_t id, struct authority *out, struct err *e);
int store_authority_by_name(struct store *st, const char *name, struct authority *out, struct err *e);
int store_authority_save(struct store *st, struct authority *r, struct err *e);
int store_issued(struct store *st, int64_t authority, struct issued_list *out, struct err *e);
int store_issued_add(struct store *st, struct issued *r, struct err *e);
int store_issued_by_serial(struct store *st, int64_t authority, const char *serial, struct issued *out, struct err *e);
/* RC_INVALID when it is revoked already: the first reason stays. */
int store_issued_revoke(struct store *st, int64_t id, int64_t at, const char *reason, struct err *e);
int store_submissions(struct store *st, int64_t authority, struct submission_list *out, struct err *e);      /* 0: all; oldest first */
int store_submission_get(struct store *st, int64_t id, struct submission *out, struct err *e);
/* The last one of a request: 1 there is one, 0 none, -1. */
int store_submission_of(struct store *st, int64_t request, struct submission *out, struct err *e);
int store_acme_orders(struct store *st, int64_t authority, struct acme_order_list *out, struct err *e);      /* 0: all; oldest first */
/* The last one of a request: 1 there is one, 0 none, -1. */
int store_acme_order_of(struct store *st, int64_t request, struct acme_order *out, struct err *e);
int store_acme_order_save(struct store *st, struct acme_order *r, struct err *e);
int store_submission_save(struct store *st, struct submission *r, struct err *e);

int store_connectors(struct store *st, struct connector_list *out, struct err *e);
int store_connector_get(struct store *st, int64_t id, struct connector *out, struct err *e);
int store_connector_by_name(struct store *st, const char *name, struct connector *out, struct err *e);
int store_connector_save(struct store *st, struct connector *r, struct err *e);
int store_connector_delete(struct store *st, int64_t id, struct err *e);

/* Pushes: written before anything happens (result "applying"), then as they go. */
int store_push_save(struct store *st, struct push_record *r, struct err *e);
int store_pushes(struct store *st, int64_t server, struct push_record_list *out, struct err *e);   /* newest first */

/* What waited, in cells of five minutes (kept for three hours) and of an hour (kept for four weeks). grouping: "destination",
 * "reason", "sender", or "server" with the key "" for all mail of it. */
int store_queue_cell_note(struct store *st, int64_t server, const char *grouping, const char *key, int64_t at, int64_t messages,
        int64_t oldest, struct err *e);
/* span: QUEUE_CELL or QUEUE_HOUR. server 0: of all of them together. Oldest cell first. */
int store_queue_cells(struct store *st, int64_t server, const char *grouping, const char *key, int span, int64_t since,
        struct queue_cell_list *out, struct err *e);
/* The same of all servers together, at most max rows of the store at a time, which are added to out: 1: there is more; 0: that was the
 * last; -1. server and at, 0 to begin with, are where it goes on. A failure leaves what came before in out. */
struct queue_cells_walk { const char *grouping, *key; int span; int64_t since, server, at; };
int store_queue_cells_some(struct store *st, struct queue_cells_walk *w, int max, struct queue_cell_list *out, struct err *e);
/* Drops at most max that are too old of either span. How many, or -1. */
int store_queue_cells_prune(struct store *st, int64_t now, int max, struct err *e);

/* Who took and who brought mail, from the log: all of a server at once. direction: "in", "out", or NULL: both; those with most messages without
 * TLS first. */
int store_traffic_set(struct store *st, int64_t server, const struct traffic_list *l, struct err *e);
int store_traffic(struct store *st, int64_t server, const char *direction, struct traffic_list *out, struct err *e);

/* Work-arounds: those that are not ended first, by domain. */
int store_workarounds(struct store *st, struct workaround_list *out, struct err *e);
int store_workaround_get(struct store *st, int64_t id, struct workaround *out, struct err *e);
/* The one of a domain that is not ended: 1 there is one, 0 none, -1. */
int store_workaround_of(struct store *st, const char *domain, struct workaround *out, struct err *e);
int store_workaround_save(struct store *st, struct workaround *r, struct err *e);
int store_workaround_looks(struct store *st, int64_t workaround, struct workaround_look_list *out, struct err *e);
int store_workaround_look_set(struct store *st, int64_t workaround, const struct workaround_look *l, struct err *e);
int store_workaround_looks_forget(struct store *st, int64_t workaround, struct err *e);

/* Drafts of open dialogs: one text (JSON) per key ("certificate mx1/smtp"). NULL removes. get: RC_NOTFOUND. */
int store_draft_set(struct store *st, const char *key, const char *text, struct err *e);
int store_draft_get(struct store *st, const char *key, char **out, struct err *e);

/* Activity: append-only, chained: hash = sha256(previous hash, row). Who is user@machine. Rows cannot be changed or deleted
 * (triggers). verify: RC_FINDINGS with the first broken row. */
int store_activity_add(struct store *st, const char *server, const char *verb, const char *result, struct err *e,
        const char *fmt, ...) PRINTF_LIKE(6, 7);
int store_activities(struct store *st, size_t limit, struct activity_list *out, struct err *e);     /* newest first */
int store_activity_verify(struct store *st, int64_t *rows, struct err *e);

/* What is wanted (settings, connectors, what is wanted of virtual servers) is changed in edits, each undone as a whole. begin
 * and end stand around a verb and are a transaction like store_tx: rc is what the verb said, the text says what it did ("mx1/smtp:
 * outbound.tls = encrypt"). Nested ones join the outer one, whose text counts; an edit that changes no row is none. Settings and
 * connectors written outside are an edit each; virtual servers are none there, as readings write them too. The newest 1000
 * are kept. */
int store_edit_begin(struct store *st, struct err *e);
int store_edit_end(struct store *st, int rc, struct err *e, const char *fmt, ...) PRINTF_LIKE(4, 5);
int store_edits(struct store *st, size_t limit, struct wanted_edit_list *out, struct err *e);       /* newest first */
/* Has the edit rows of this server? */
int store_edit_touches(struct store *st, int64_t edit, int64_t server, bool *yes, struct err *e);
/* Puts the rows of an edit back, or (again) makes an undone one again; id 0: the newest, or the one undone last. RC_CONFLICT
 * when a row is not as the edit left it, with who changed it since. out (may be NULL): which one it was; yours to release. */
int store_edit_undo(struct store *st, int64_t id, bool again, struct wanted_edit *out, struct err *e);

/* Who writes those rows: user@machine. */
const char *store_who(struct store *st);

/* Facts of the store itself ("seal-check" and the like). */
int store_fact_set(struct store *st, const char *name, const char *value, struct err *e);
int store_fact_get(struct store *st, const char *name, char **out, struct err *e);

#endif
