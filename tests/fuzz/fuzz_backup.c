/* Any bytes as a backup: as PKCS#12 or PEM, and as the key's own file beside a certificate. Nothing hangs, nothing comes out
 * when it is refused. */
#include <stdint.h>
#include <stdlib.h>

#include "mxseal/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBgzCCASmgAwIBAgIUUjWVUVkmwoWq4B9meFkes6fpF0owCgYIKoZIzj0EAwIw\n"
    "FjEUMBIGA1UEAwwLbWFpbC5hLnRlc3QwIBcNMjYxMTI2MjIwMzAwWhgPMjA1MTA3\n"
    "MTgyMjAzMDBaMBYxFDASBgNVBAMMC21haWwuYS50ZXN0MFkwEwYHKoZIzj0CAQYI\n"
    "KoZIzj0DAQcDQgAEIozs2RnBSTAUjicxtEGvubMpztNze25DNA+LSHXec8uVQVj8\n"
    "WpyEcDfDf32IU+NWMv/SUtqjgpEex3j8EvzFg6NTMFEwHQYDVR0OBBYEFPVrRJNb\n"
    "YB+u8zzeVviimZf8J1ErMB8GA1UdIwQYMBaAFPVrRJNbYB+u8zzeVviimZf8J1Er\n"
    "MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIhAIgz/GG0zu9289cu\n"
    "7NKsPJ3DbPnllO4Vvecuxxj43N1mAiAZscarska7j0RFGozpG5uE/xrTBlax0QIK\n"
    "tcvAL0aQcw==\n"
    "-----END CERTIFICATE-----\n";

static void
read_one(const void *mem, size_t len, const void *key, size_t key_len, const struct secret *s)
{
	struct backup b;
	struct err e;

	if (backup_read(mem, len, key, key_len, s, &b, &e) == 0) {
		if (b.pem.len == 0 || !secret_is_set(&b.key) || b.spki_sha256[0] == '\0')
			abort();
		backup_release(&b);
	} else if (secret_is_set(&b.key) || b.weak != NULL || e.text[0] == '\0')
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secret s = { NULL, 0 };

	if (size > 65536)
		return 0;
	secret_set(&s, "geheim", 6);
	read_one(data, size, NULL, 0, &s);
	read_one(data, size, NULL, 0, NULL);
	read_one(certificate, sizeof(certificate) - 1, data, size, &s);
	secret_release(&s);
	return 0;
}
