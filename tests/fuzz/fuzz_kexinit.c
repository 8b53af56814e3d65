/* What a server sends before encryption, and private key files: bytes that are looked into by hand. */
#include <stdint.h>
#include <stdlib.h>

#include "../../core/host/keys.h"
#include "mxseal/xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const ours[4] = { "curve25519-sha256", "ssh-ed25519", "aes128-ctr", "hmac-sha2-256" };
	struct keyfile k = { .path = xstrdup("id") };
	struct str why = STR_INIT;
	struct err e;

	kexinit_why(data, size, ours, &why);
	str_release(&why);
	str_init(&k.text, 65536);
	str_addn(&k.text, data, size);
	keyfile_parse(&k, &e);
	keyfile_release(&k);
	return 0;
}
