/* Plans of Postfix over recordings of real hosts: what is wanted, in words; a plan as text; the recording as the host would be after it. */
#ifndef MXSEAL_TEST_WANT_H
#define MXSEAL_TEST_WANT_H

#include "mxseal/mailsys.h"

#define GOLDEN TEST_SOURCE_DIR "/tests/golden/postfix/"

/* settings: "vs/name=value"; certificates "vs=name" (of a .pem here, with its key on the host) or "vs=" (unbound);
 * connectors: "name|domains|level|match". Among the settings also virtual servers: "vs|ours|listen|kind|run|client", "" for
 * NULL. Each list ends with NULL. */
struct want { const char *settings[56], *certificates[4], *connectors[4]; };

void want_make(struct wanted_host *w, struct certificate certificates[4], const struct reading *r, const struct want *want);
void want_free(struct wanted_host *w, struct certificate certificates[4]);
void want_load(const char *name, struct sections *s);              /* the recording of this name */
void want_read(struct sections *s, struct reading *r);             /* takes the sections */
/* The recording as the host's files would answer to a second look, after this plan. */
void want_apply(struct sections *s, const struct plan *p);
/* One push of what is wanted; master_cf gets the file after it. */
void want_stage(struct sections *s, const struct want *w, struct str *master_cf);

void plan_dump(const struct plan *p, struct str *out);             /* everything about it */
/* The plan over a recording, in which a section may be another, says this somewhere, or nowhere. */
void plan_contains(const struct want *w, const char *recording, const char *section, const char *text, const char *must);
void plan_lacks(const struct want *w, const char *recording, const char *section, const char *text, const char *must_not);

#endif
