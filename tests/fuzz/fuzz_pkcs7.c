/* Any bytes as the inside of PKCS#7: bare, in base64, and under the labels that authorities use. All forms must give the
 * same certificate, or none. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_one(const char *mem, size_t len, char sha256[65])
{
	struct certificate c = { .id = 0 };

	sha256[0] = '\0';
	if (cert_read(mem, len, NULL, &c, NULL) == 0)
		memcpy(sha256, c.sha256, 65);
	certificate_release(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const labels[] = { "PKCS7", "CMS", "CERTIFICATE" };
	char bare[65], wrapped[65];
	struct str text = STR_INIT;
	size_t i;

	/* what begins as a SEQUENCE; everything else is told apart by other rules */
	if (size == 0 || size > 65536 || data[0] != 0x30)
		return 0;
	read_one((const char *)data, size, bare);
	for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		str_reset(&text);
		str_addf(&text, "-----BEGIN %s-----\n", labels[i]);
		base64_encode(data, size, &text);
		str_addf(&text, "\n-----END %s-----\n", labels[i]);
		read_one(text.s, text.len, wrapped);
		if (memmem(data, size, "-----BEGIN ", 11) == NULL && strcmp(bare, wrapped) != 0)
			abort();
	}
	str_release(&text);
	return 0;
}
