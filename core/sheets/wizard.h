/* What the files of the certificate wizard share: certificate.c has its pages and fields, certificate_branches.c the state of a
 * virtual server, the branches it opens, and those that need no request: backups, renewal, the trash. */
#ifndef MXSEAL_SHEETS_WIZARD_H
#define MXSEAL_SHEETS_WIZARD_H

#include "private.h"

/* A backup that was looked at, and with what: opening one costs time, and fields are checked with each key. */
struct looked_backup {
	char *with;                      /* digest of path, path of the key and passphrase */
	int rc;
	struct err err;
	struct backup_view view;
};

/* What the form knows of its virtual server. */
struct wizard {
	struct vserver vs;
	struct server server;
	const char *state;
	struct str domains;              /* names known to be right: the server's own, and those of the certificate in use */
	struct certificate mine;         /* the one assigned; id 0: none */
	struct certificate second;       /* the second one, with the other kind of key; id 0: none */
	struct looked_backup backup;
};

struct wizard *wizard_of(const struct form *f);
bool wizard_is(const struct form *f, const char *action);

/* --- certificate_branches.c --- */
int  branches_load(struct form *f, struct err *e);         /* state, and what the branches propose */
void branches_free(struct wizard *w);
void branches_actions(const struct form *f, struct choice_list *out);
/* Requests of the virtual server in this state ("pending"), each "#4 NAME, SINCE DATE". */
void branches_requests(const struct form *f, const char *state, const char *since, struct choice_list *out);
void branches_dropped(const struct form *f, struct choice_list *out);     /* requests in the trash */
bool branch_has_pending(const struct form *f);
bool branch_has_installed(const struct form *f);
bool branch_renews_with_new_key(const struct form *f);
bool branch_has_second(const struct form *f);              /* can the branch be about the second certificate? */
bool branch_is_second(const struct form *f);               /* ... and it is */
const struct certificate *branch_certificate(const struct form *f);       /* the one that it is about */
bool branch_backup_is_weak(const struct form *f);
bool branch_backup_is_locked(const struct form *f);
int  branch_check_backup(const struct form *f, const char *value, struct str *note, struct err *e);
int  branch_check_passphrase(const struct form *f, const char *value, struct str *note, struct err *e);
int  branch_check_weak(const struct form *f, const char *value, struct str *note, struct err *e);
int  branch_check_key_file(const struct form *f, const char *value, struct str *note, struct err *e);
int  branch_check_export(const struct form *f, const char *value, struct str *note, struct err *e);
int  branches_check(const struct form *f, const char **field, struct err *e);
/* True: it is one of these branches and was handled. */
bool branches_preview(const struct form *f, struct str *out);
bool branches_command(const struct form *f, struct str *out);
bool branches_start(struct form *f, sheet_done_fn *done, void *arg, int64_t *job, struct err *e);

#endif
