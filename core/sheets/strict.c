/* What asks more of the other side than the host does now, in whichever dialog: the question before it, and the figures that it is
 * asked with. */
#include <string.h>

#include "virtual_server.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define FIGURES_GOOD (24 * 3600)     /* the log is not read again within this time */
#define FIGURES_DAYS 7

bool
vs_stricter(const struct vserver *vs, const char *name, const char *value)
{
	const struct found_value *fv = found_of_vs(vs, name), *tls = found_of_vs(vs, "inbound.tls");

	if (!vs->present && text_starts(name, "inbound."))       /* nobody comes to it yet */
		return false;
	if (strcmp(name, "inbound.protocol-min") == 0 && (tls == NULL || text_eq(tls->value, "off")))
		return false;
	return setting_stricter(setting_find(name), fv ? fv->value : NULL, value);
}

void
strict_question(const char *in, const char *out, struct str *question)
{
	if (*in != '\0')
		str_addf(question, "Shut out who cannot do that (%s)%s", in, *out != '\0' ? ", and let" : "?");
	if (*out != '\0')
		str_addf(question, "%s our mail wait for who cannot do that (%s)?", *in != '\0' ? "" : "Let", out);
}

int64_t
figures_look(struct form *f, int64_t server, sheet_done_fn *done, void *arg)
{
	struct traffic_taken t;

	if (traffic_taken(f->journey, server, &t) && when_now() - t.at < FIGURES_GOOD)
		return 0;
	return traffic_read(f->journey, server, FIGURES_DAYS, done, arg, NULL);
}
