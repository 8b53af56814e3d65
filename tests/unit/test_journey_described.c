/* What stands in certificates is kept by their text: it is parsed once, asked again it is the same; beyond so many texts who was not
 * asked for the longest time goes, and nothing goes wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journey/private.h"
#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

#define KEPT 4096                /* as in described.c */

static int
set_up(void **state)
{
	struct err e;

	assert_int_equal(journey_open((struct journey **)state, ":memory:", &e), 0);
	return 0;
}

static int
tear_down(void **state)
{
	journey_close(*state);
	return 0;
}

static char *
chain(void)
{
	struct str pem = STR_INIT;
	struct err e;

	if (str_read_file(&pem, TEST_SOURCE_DIR "/tests/golden/screens/chain.pem", 65536, &e) == -1)
		fail_msg("%s", e.text);
	return str_take(&pem);
}

static void
asked_twice_it_is_the_same(void **state)
{
	struct journey *j = *state;
	char *pem = chain(), *copy = xstrdup(pem), *none = xstrdup("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	struct certificate own = { 0 };
	const struct certificate *c;
	struct err e;

	assert_null(certificate_described(j, NULL));
	assert_null(chain_described(j, NULL));
	assert_int_equal(cert_describe(pem, &own, &e), 0);
	c = certificate_described(j, pem);
	assert_non_null(c);
	assert_string_equal(c->sha256, own.sha256);
	assert_int_equal(c->not_after, own.not_after);
	free(pem);                                     /* by what it says, not by where it stands */
	assert_ptr_equal(certificate_described(j, copy), c);
	assert_int_equal(chain_described(j, copy)->n, chain_described(j, copy)->n);
	assert_true(chain_described(j, copy)->n > 1);
	assert_null(certificate_described(j, none));   /* twice: that it is none is kept as well */
	assert_null(certificate_described(j, none));
	assert_null(chain_described(j, none));
	copy[strcspn(copy, "\n") + 5] ^= 1;            /* another text */
	assert_true(certificate_described(j, copy) != c);
	certificate_release(&own);
	free(copy);
	free(none);
}

static void
who_was_not_asked_for_goes(void **state)
{
	struct journey *j = *state;
	char *pem = chain(), name[32];
	struct certificate own = { 0 };
	struct err e;

	assert_int_equal(cert_describe(pem, &own, &e), 0);
	for (int i = 0; i < KEPT + KEPT / 8; i++) {
		snprintf(name, sizeof(name), "no certificate %d", i);
		assert_null(certificate_described(j, name));
		if (i % 512 == 0)
			assert_string_equal(certificate_described(j, pem)->sha256, own.sha256);
	}
	for (int i = 0; i < KEPT; i++) {               /* now it goes as well, and is found anew */
		snprintf(name, sizeof(name), "none either %d", i);
		assert_null(chain_described(j, name));
	}
	assert_string_equal(certificate_described(j, pem)->sha256, own.sha256);
	described_forget(j);
	assert_string_equal(certificate_described(j, pem)->sha256, own.sha256);
	certificate_release(&own);
	free(pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asked_twice_it_is_the_same, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_was_not_asked_for_goes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
