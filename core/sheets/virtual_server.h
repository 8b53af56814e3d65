/* Between the properties of a virtual server and their pages of text. */
#ifndef MXSEAL_SHEETS_VIRTUAL_SERVER_H
#define MXSEAL_SHEETS_VIRTUAL_SERVER_H

#include "private.h"

struct properties {
	struct vserver vs;
	struct server server;
	struct listener_log log;         /* what the figures of its senders are counted by */
	struct wanted_list wanted;       /* effective */
	bool has_certificate;            /* one that peers can use is assigned or in use */
};

const struct found_value *found_of_vs(const struct vserver *vs, const char *setting);    /* NULL: never read */

/* Does the value ask more of peers than the host does now? A floor of TLS shuts nobody out while no TLS is offered. */
bool vs_stricter(const struct vserver *vs, const char *setting, const char *value);
/* in, out: "SETTING=VALUE ..." that shuts others out, that makes our mail wait; either may be empty. */
void strict_question(const char *in, const char *out, struct str *question);
/* For look of a sheet that will ask: reads the figures of who does TLS from the host's log, where they are older than a day. */
int64_t figures_look(struct form *f, int64_t server, sheet_done_fn *done, void *arg);

/* What stands on the pages that are read, several lines each. */
void vs_page_certificate(const struct form *f, struct str *out);
void vs_page_raw(const struct form *f, struct str *out);
void vs_page_history(const struct form *f, struct str *out);

#endif
