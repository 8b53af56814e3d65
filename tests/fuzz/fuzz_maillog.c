/* A mail log, in two pieces, as a file or as a host sends it: whatever stands there, counts add up and names are names. */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/maillog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maillog *m = maillog_new(INT64_C(1795721361), size % 2 ? 7 : 0);
	struct maillog_figures f;
	const char *p;
	size_t i, half = size / 3;

	if (size >= 3 && memcmp(data, "-- ", 3) == 0) {
		struct err e;

		if (maillog_host(m, (const char *)data, half, &e) == 0 && maillog_host(m, (const char *)data + half, size - half, &e) == 0)
			(void)maillog_host_end(m, &e);
	} else {
		maillog_feed(m, (const char *)data, half);
		maillog_feed(m, (const char *)data + half, size - half);
	}
	maillog_figures(m, &f);
	for (i = 0; i < f.traffic.n; i++) {
		const struct traffic *t = &f.traffic.v[i];

		if (t->clear < 0 || t->unnamed < 0 || t->clear + t->unnamed > t->messages
		    || (t->oldest == NULL) != (t->clear + t->unnamed == t->messages))
			abort();
		for (p = t->peer; *p; p++)
			if (!isalnum((unsigned char)*p) && !strchr("._:-()", *p))
				abort();
	}
	maillog_figures_release(&f);
	maillog_free(m);
	return 0;
}
