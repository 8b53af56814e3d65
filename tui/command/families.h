/* The functions of THE TABLE of commands, a file per family. */
#ifndef MXSEAL_FAMILIES_H
#define MXSEAL_FAMILIES_H

#include <stddef.h>

#include "tui/command/command.h"

/* Opens the store and the journey, once. */
int cli_open(struct cli *c, struct err *e);
/* Plan and push of one server, as `push` does it: for --use. */
int push_server(struct cli *c, const char *name, const struct args *a, struct err *e);

/* What a push is to set free, of one server at a time: taken before it is kept (waits: it waits for that on the host); after that tried
 * again and followed for half a minute. */
struct queue_follow;
struct follows { struct queue_follow *v; size_t n; };
void follows_take(struct cli *c, int64_t server, const char *name, bool waits, struct follows *out);
void follows_out(struct cli *c, int64_t server, const char *name, struct follows *l);
void follows_release(struct follows *l);
/* Exactly what waits for its destinations at this moment is taken and tried again. */
int  retry_now(struct cli *c, struct queue_follow *f, struct err *e);

/* The same when --use was given; vs: a virtual server's name. */
int use_if_asked(struct cli *c, const struct args *a, const char *vs, struct err *e);
/* Everything that is due and can be renewed without a person: renewed, pushed, proved. */
int renew_due(struct cli *c, const struct args *a, json_t *rows, struct err *e);

/* --- tend.c: work-arounds looked after, side by side; with --retire what is advised is done: pushed, proved, tried again --- */
struct tend;
/* One thing that happened: server or domain it is about, a sentence. */
typedef void tend_tell_fn(void *arg, char sign, const char *about, const char *text);
struct tend *tend_new(struct cli *c, const struct args *a, tend_tell_fn *tell, void *arg);
void tend_free(struct tend *t);
/* Begins a round of looks for those whose time has come; the next is every_ms later, 0: never. Returns the time of the next one. */
int64_t tend_due(struct tend *t, int64_t now_ms, int64_t every_ms);
/* Carries out what is advised where all looks are in. Returns whether anything was learned since. */
bool tend_act(struct tend *t);
bool tend_busy(const struct tend *t);                /* looks are under way */
int  tend_worst(const struct tend *t, struct err *e);
/* One round over all of them; rows gets what was done. */
int  workarounds_tend(struct cli *c, const struct args *a, json_t *rows, struct err *e);

/* Where the work-around's change has been carried to that server: its log counts from now on. */
int  workaround_marked(struct cli *c, int64_t workaround, int64_t server, struct err *e);

/* Every setting with what it takes and its default: for the help of vs set. */
void settings_help(struct str *out);

typedef int cmd_fn(struct cli *c, const struct args *a, struct err *e);
cmd_fn cmd_server_add, cmd_server_set, cmd_server_trust, cmd_server_list, cmd_server_show, cmd_server_read, cmd_server_remove;
cmd_fn cmd_cert_request, cmd_cert_request_text, cmd_cert_requests, cmd_cert_process, cmd_cert_drop, cmd_cert_restore, cmd_cert_list, cmd_cert_show,
    cmd_cert_served, cmd_cert_assign, cmd_cert_remove, cmd_cert_import, cmd_cert_renew, cmd_cert_resume, cmd_cert_export;
cmd_fn cmd_authority_add, cmd_authority_add_acme, cmd_authority_renew, cmd_authority_list, cmd_authority_show, cmd_authority_certificate;
cmd_fn cmd_traffic, cmd_rehearse;
cmd_fn cmd_authority_policy, cmd_authority_submit, cmd_authority_pending, cmd_authority_approve, cmd_authority_deny,
    cmd_authority_revoke, cmd_authority_crl;
cmd_fn cmd_vs_list, cmd_vs_show, cmd_vs_set, cmd_vs_unset, cmd_vs_add, cmd_vs_remove, cmd_vs_start, cmd_vs_stop, cmd_vs_pause;
cmd_fn cmd_connector_add, cmd_connector_list, cmd_connector_show, cmd_connector_set, cmd_connector_remove;
cmd_fn cmd_plan, cmd_push, cmd_keep, cmd_undo, cmd_status, cmd_drift;
cmd_fn cmd_queue, cmd_queue_messages, cmd_queue_hold, cmd_queue_release, cmd_queue_retry, cmd_queue_delete, cmd_classify,
    cmd_diagnose, cmd_probe, cmd_route;
cmd_fn cmd_connector_take, cmd_recipe_tls_to, cmd_recipe_tls_except;
cmd_fn cmd_remedy, cmd_remedy_complain, cmd_workaround, cmd_workaround_end, cmd_workaround_try, cmd_watch;
cmd_fn cmd_edits, cmd_edits_undo, cmd_edits_redo;
cmd_fn cmd_check, cmd_read_only, cmd_history, cmd_doctor, cmd_completion, cmd_help;

#endif
