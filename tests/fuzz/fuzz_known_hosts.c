/* known_hosts files: any bytes are read without harm, and asking about them is harmless too. */
#include <stdint.h>
#include <stdlib.h>

#include "mxseal/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char key[] = "\0\0\0\13ssh-ed25519\0\0\0 0123456789abcdef0123456789abcdef";
	static const char *const hosts[] = { "mx1", "[mx1]:2222", "mail.example.com", "[]:1", "*" };
	struct known_hosts *k = known_hosts_new();
	struct str where = STR_INIT, types = STR_INIT;
	size_t i;

	known_hosts_read(k, (const char *)data, size, "input");
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		enum hostkey_verdict v = known_hosts_verdict(k, hosts[i], key, sizeof(key) - 1, &where);

		known_hosts_types(k, hosts[i], &types);
		known_hosts_authority(k, hosts[i]);
		if (v == HOSTKEY_NEW && types.len > 0 && hosts[i][0] != '[')
			abort();              /* a host with known keys is never new */
		str_reset(&types);
	}
	str_release(&where);
	str_release(&types);
	known_hosts_free(k);
	return 0;
}
