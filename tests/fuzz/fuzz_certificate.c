/* Any bytes as the answer of an authority: read, described, judged, verified. What was read must read again as the same. And as what a
 * mail host trusts. */
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

/* As the authorities that a mail host trusts. */
static void
trusted(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct str said = STR_INIT;
	struct cert_verdict v;
	struct err e;

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	must(cert_bundle_check(text, &e) == 0 || (e.code == RC_CERT && clean_is(e.text, strlen(e.text))));
	cert_folder_damage(text, &said);
	must(said.len < 8192);
	cert_verify_by(text, "mail.a.test", text, NOW, &v);
	str_release(&said);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct certificate c = { .id = 0 }, again = { .id = 0 };
	struct cert_line_list lines = { .v = NULL };
	struct str warnings = STR_INIT;
	struct cert_verdict v;
	struct err e = { .code = RC_OK };

	trusted(data, size);
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
