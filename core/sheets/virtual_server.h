/* Between the properties of a virtual server and their pages of text. */
#ifndef MXSEAL_SHEETS_VIRTUAL_SERVER_H
#define MXSEAL_SHEETS_VIRTUAL_SERVER_H

#include "private.h"

struct properties {
	struct vserver vs;
	struct server server;
	struct wanted_list wanted;       /* effective */
	struct rehearsal rehearsed;      /* of the level chosen for outbound security */
	bool has_certificate;            /* one that peers can use is assigned or in use */
};

const struct found_value *found_of_vs(const struct vserver *vs, const char *setting);    /* NULL: never read */

/* What stands on the pages that are read, several lines each. */
void vs_page_certificate(const struct form *f, struct str *out);
void vs_page_raw(const struct form *f, struct str *out);
void vs_page_history(const struct form *f, struct str *out);

#endif
