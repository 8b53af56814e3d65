/* Lines of delivery attempts, in two pieces: whatever stands there, an attempt has a class, and its texts are of one line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/maillog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct attempts *a = attempts_new(size % 2 ? "bank.test" : NULL, INT64_C(1795721361));
	struct attempts_seen s;
	size_t i, half = size / 3;

	attempts_feed(a, (const char *)data, half);
	attempts_feed(a, (const char *)data + half, size - half);
	attempts_end(a, &s);
	for (i = 0; i < s.n; i++)
		if (s.v[i].failure == NULL || s.v[i].line == NULL || s.v[i].reason == NULL || strchr(s.v[i].line, '\n') != NULL)
			abort();
	attempts_seen_release(&s);
	attempts_free(a);
	return 0;
}
