/* Any bytes as what an ACME authority says: directory, order, authorization, account, renewal window, problem. The first byte
 * says which; whatever comes out is at the origin, is a token, is clean. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/authority/acme.h"
#include "mxseal/clean.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ORIGIN "https://acme.example.org"
#define NAMES "mx.example.org www.example.org *.example.org"

static void
must(int ok)
{
	if (!ok)
		abort();
}

static void
at_origin(const char *url)
{
	must(url == NULL || (strncmp(url, ORIGIN "/", sizeof(ORIGIN)) == 0 && strpbrk(url, "\"\\ \r\n") == NULL));
}

/* A refusal is one clean sentence. */
static void
refused(const struct err *e)
{
	must(e->text[0] != '\0' && clean_is(e->text, strlen(e->text)));
}

static void
as_directory(const char *mem, size_t len)
{
	struct acme_directory d = { .terms = NULL };
	struct err e;

	if (acme_parse_directory(mem, len, ORIGIN, &d, &e) == -1)
		refused(&e);
	at_origin(d.new_nonce);
	at_origin(d.new_account);
	at_origin(d.new_order);
	at_origin(d.renewal_info);
	must(d.terms == NULL || clean_is(d.terms, strlen(d.terms)));
	acme_directory_release(&d);
}

static void
as_order(const char *mem, size_t len)
{
	struct acme_order_view v = { .n = 0 };
	struct err e;

	if (acme_parse_order(mem, len, ORIGIN, NAMES, &v, &e) == -1)
		refused(&e);
	at_origin(v.finalize);
	at_origin(v.certificate);
	for (size_t i = 0; i < v.n; i++)
		at_origin(v.authorizations[i]);
	acme_order_view_release(&v);
}

static void
as_authorization(const char *mem, size_t len)
{
	struct acme_authorization a = { .domain = NULL };
	struct err e;

	if (acme_parse_authorization(mem, len, ORIGIN, NAMES, "http-01", &a, &e) == -1)
		refused(&e);
	at_origin(a.challenge.url);
	must(a.challenge.url == NULL || acme_is_token(a.challenge.token));
	must(a.domain == NULL || strcasestr(NAMES, a.domain) != NULL);
	acme_authorization_release(&a);
}

static void
as_problem(const char *mem, size_t len)
{
	struct acme_problem p;
	struct err e;

	(void)acme_parse_problem(mem, len, &p);
	(void)acme_refused("acme.example.org", 400, &p, 0, &e);
	refused(&e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *mem = (const char *)data + 1;
	int64_t from = 0, until = 0;
	struct err e;

	if (size == 0)
		return 0;
	size--;
	switch (data[0]) {
	case 'd': as_directory(mem, size); break;
	case 'o': as_order(mem, size); break;
	case 'a': as_authorization(mem, size); break;
	case 'p': as_problem(mem, size); break;
	case 'w':
		if (acme_parse_window(mem, size, &from, &until, &e) == -1)
			refused(&e);
		break;
	default:
		if (acme_parse_account(mem, size, &e) == -1)
			refused(&e);
	}
	return 0;
}
