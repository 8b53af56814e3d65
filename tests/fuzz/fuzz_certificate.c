/* Any bytes as the answer of an authority: read, described, judged, verified. What was read must read again as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1790000000)

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
all_clean(const struct certificate *c)
{
	const char *const texts[] = { c->subject, c->issuer, c->cn, c->san, c->serial, c->key_type };
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		must(texts[i] == NULL || clean_is(texts[i], strlen(texts[i])));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct certificate c = { .id = 0 }, again = { .id = 0 };
	struct cert_line_list lines = { .v = NULL };
	struct str warnings = STR_INIT;
	struct cert_verdict v;
	struct err e = { .code = RC_OK };

	if (cert_read(data, size, NULL, &c, &e) != 0) {
		must(e.code == RC_PARSE || e.code == RC_LIMIT);
		goto out;
	}
	all_clean(&c);
	must(cert_chain_lines(c.pem, &lines, &e) == 0 && lines.n >= 1 && lines.n <= CHAIN_MAX);
	must(strcmp(lines.v[0].sha256, c.sha256) == 0);
	must(cert_read(c.pem, strlen(c.pem), c.spki_sha256, &again, &e) == 0);
	must(strcmp(again.spki_sha256, c.spki_sha256) == 0);
	must(cert_describe(c.pem, &again, &e) == 0 && strcmp(again.sha256, c.sha256) == 0);
	must(cert_fits(&c, c.spki_sha256, "mail.a.test 192.0.2.1", c.pem, NOW, &warnings, &e) == 0 || e.code == RC_CERT);
	cert_verify(c.pem, "mail.a.test", NULL, NOW, &v);
	must(v.text[0] != '\0' && clean_is(v.text, strlen(v.text)));
out:
	cert_line_list_release(&lines);
	certificate_release(&c);
	certificate_release(&again);
	str_release(&warnings);
	return 0;
}
