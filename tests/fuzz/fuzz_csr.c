/* Any bytes as a request, as fields of a subject, as a host name, as a signature. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char public_key[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEddB1eCEkJ31u0qXRfCfsFESEi7KH\n"
    "RL2evFnMYFaLNPN0NLNfBhg+YMGEerXSZQ+AvH2X2lKrIaP4Y7Ki/+lIhw==\n"
    "-----END PUBLIC KEY-----\n";

static void
must(int ok)
{
	if (!ok)
		abort();
}

/* What came out is a name that gives itself, and covers itself. */
static void
as_name(const char *name)
{
	struct str once = STR_INIT, twice = STR_INIT;

	if (name_to_ascii(name, &once, NULL) == 0) {
		must(name_to_ascii(once.s, &twice, NULL) == 0 && strcmp(once.s, twice.s) == 0);
		must(once.s[0] == '*' || name_covers(once.s, once.s));
	}
	(void)name_covers("*.a.test", name);
	(void)name_covers(name, "mail.a.test");
	str_release(&once);
	str_release(&twice);
}

static void
as_subject(char *const *fields, size_t n, const uint8_t *data, size_t size)
{
	struct subject s = { .cn = fields[0] };
	struct str der = STR_INIT, pem = STR_INIT;
	struct err e = { .code = RC_OK };

	s.o = n > 1 ? fields[1] : NULL;
	s.c = n > 2 ? fields[2] : NULL;
	s.san = n > 3 ? fields[3] : NULL;
	if (csr_to_sign(&s, public_key, &der, &e) == 0)
		must(csr_finish(&der, public_key, data, size, &pem, &e) != 0 && e.code == RC_CERT);
	else
		must(e.code == RC_INVALID || e.code == RC_LIMIT);
	str_release(&der);
	str_release(&pem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct request r = { .id = 0 };
	struct str text = STR_INIT;
	char **fields;
	size_t n = 0;

	if (csr_read(data, size, &r, NULL) == 0) {
		struct request again = { .id = 0 };

		must(csr_read(r.pem, strlen(r.pem), &again, NULL) == 0 && strcmp(again.sha256, r.sha256) == 0);
		request_release(&again);
	}
	request_release(&r);
	if (size > 4096 || memchr(data, 0, size) != NULL)
		return 0;
	str_addn(&text, data, size);
	as_name(text.s);
	fields = words_split(text.s, "\n", &n);
	if (n > 0)
		as_subject(fields, n, data, size);
	words_free(fields);
	str_release(&text);
	return 0;
}
