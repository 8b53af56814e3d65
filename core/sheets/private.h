/* What the sheets share among themselves. */
#ifndef MXSEAL_SHEETS_PRIVATE_H
#define MXSEAL_SHEETS_PRIVATE_H

#include "mxseal/journey.h"
#include "mxseal/sheet.h"

extern const struct sheet sheet_server, sheet_server_set, sheet_certificate, sheet_virtual_server, sheet_connector, sheet_authority,
    sheet_listener, sheet_recipe_tls_to, sheet_recipe_tls_except, sheet_acme,
    sheet_workaround;

/* The options of the command line that make this form of a fresh one, each with a blank in front. Passed over are the fields
 * in except (NULL-ended, may be NULL): they stand in the command as words. */
void sheet_options(const struct form *f, const char *const *except, struct str *out);
/* Those of these fields (NULL-ended) that stand as load proposed them: the command line does not make these proposals. */
void sheet_options_proposed(const struct form *f, const char *const *names, struct str *out);

/* For sheets whose start does everything at once: calls done and returns 0, or -1 when rc is. */
int64_t sheet_finish(sheet_done_fn *done, void *arg, int rc, struct err *e);

/* What a server or an authority may be called here. */
int sheet_check_name(const struct form *f, const char *value, struct str *note, struct err *e);
/* Address spaces, virtual servers, a date: as the connector dialog takes them. */
int sheet_check_domains(const struct form *f, const char *value, struct str *note, struct err *e);
int sheet_check_via(const struct form *f, const char *value, struct str *note, struct err *e);
int sheet_check_review(const struct form *f, const char *value, struct str *note, struct err *e);

#endif
