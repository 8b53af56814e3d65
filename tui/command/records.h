/* Records as JSON objects and as text for people: one function each, used by all commands. */
#ifndef MXSEAL_RECORDS_H
#define MXSEAL_RECORDS_H

#include "tui/command/command.h"

json_t *words_json(const char *words);                               /* blank-separated words as an array */
json_t *server_json(struct cli *c, const struct server *sv, bool whole);
json_t *vserver_json(struct cli *c, const struct vserver *vs);
json_t *certificate_json(struct cli *c, const struct certificate *cert, const char *state);
json_t *request_json(struct cli *c, const struct request *r);
json_t *proofs_json(const struct push_report *r);
json_t *mail_json(const struct push_mail *m);                        /* null: not watched */
json_t *plan_json(const struct plan *p);
json_t *groups_json(const struct queue_groups *g);
json_t *probe_json(const struct probe_report *r);
void server_print(struct cli *c, const struct server *sv);
void vserver_print(struct cli *c, const struct vserver *vs);
void certificate_print(struct cli *c, const struct certificate *cert, const char *state);
void probe_print(const struct probe_report *r);
/* "mx1/smtp", for ids; in a ring of four buffers. */
const char *vserver_name(struct cli *c, int64_t id);
/* "started", "paused", "stopped", "new, not pushed", "to be removed", "removed", "gone" */
const char *vserver_state(const struct vserver *vs);
const char *certificate_state_now(struct cli *c, const struct certificate *cert);   /* "in use", "wanted", "expired", "unused" */
struct remedy_offers;
json_t *remedies_json(const struct remedy_offers *o);
void remedies_print(const struct remedy_offers *o, bool in_full);
json_t *finding_json(struct cli *c, const struct attention *f);      /* which thing a finding is about */
void table_print_unless(struct table *t, bool json);                 /* prints or only frees */
void servers_read_all(struct cli *c);
void servers_names_all(struct cli *c);                               /* asks DNS which MX names lead to each */
int  server_read_now(struct cli *c, int64_t id, struct err *e);

#endif
