/* An MTA-STS policy, a web server's answer with it, and DNS data as text: whatever stands there, what is kept is made of words that were checked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/probe/private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sts_policy p;
	struct err e;
	char text[256];

	if (sts_policy_parse((const char *)data, size, &p, &e) == 0) {
		if (p.mode == NULL || p.max_age < 0 || (p.mx != NULL && strpbrk(p.mx, "\r\n\t") != NULL))
			abort();
		(void)sts_mx_matches(&p, "mx.bank.test");
		sts_policy_release(&p);
	}
	if (sts_answer_parse((const char *)data, size, true, &p, &e) == 0)
		sts_policy_release(&p);
	if (dns_data_text(TYPE_TXT, data, size, text) && strlen(text) > 255)
		abort();
	if (dns_data_text(TYPE_TLSA, data, size, text) && strspn(text, "0123456789abcdef ") != strlen(text))
		abort();
	return 0;
}
