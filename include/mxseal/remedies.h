/* What can be done about a diagnosis, each with what it opens, filled in. */
#ifndef MXSEAL_REMEDIES_H
#define MXSEAL_REMEDIES_H

#include "mxseal/journey.h"

struct remedy_offer {
	const char *name;                /* "wait" "lower" "workaround" "repair" "complain" "hold" */
	const char *title;
	struct str brief;                /* the same in half a line */
	struct str says;                 /* what it does or means here, for people; lines */
	const char *sheet;               /* opened with object and preset; NULL: nothing is opened */
	int64_t object;
	char *object_name;
	char **preset;                   /* name, value, ..., NULL; "@page": where it opens */
	char *route;                     /* the route of this address shows what is to be mended; NULL: it does not */
	char *command;                   /* the same on the command line; NULL: there is nothing to run */
};
struct remedy_offers { struct remedy_offer *v; size_t n; };
/* Those that help by the failure class, in its order, and are possible as things are. */
void remedies_for(struct journey *j, int64_t server, const struct destination_view *seen, struct remedy_offers *out);
void remedy_offers_release(struct remedy_offers *o);
/* A letter to the remote postmaster: what is seen, since when, and a command that shows it to him. */
void complaint_text(struct journey *j, int64_t server, const struct destination_view *seen, struct str *out);

#endif
