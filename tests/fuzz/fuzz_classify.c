/* Log lines and delay reasons: a class is always found, and folding stays short. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/failure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const systems[] = { NULL, "postfix", "exim", "sendmail", "opensmtpd", "dovecot" };
	struct str folded = STR_INIT;
	struct classified c;
	size_t i;

	for (i = 0; i < sizeof(systems) / sizeof(systems[0]); i++) {
		classify((const char *)data, size, systems[i], &c);
		if (c.failure == NULL || c.failure->name == NULL || memchr(c.inner, '\0', sizeof(c.inner)) == NULL)
			abort();
	}
	reason_fold((const char *)data, size, &folded);
	if (folded.len > 300)
		abort();
	str_release(&folded);
	return 0;
}
