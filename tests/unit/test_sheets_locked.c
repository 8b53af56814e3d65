/* A setting that was wanted and is not offered any more (a virtual server that only sends now) can be unset, can stay, and
 * cannot be set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mxseal/journey.h"
#include "mxseal/sheet.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"

static void
locked(void **state)
{
	struct server s = { .queue_messages = -1 };
	struct vserver v = { .is_default = true };
	struct store *st = NULL;
	struct journey *j = NULL;
	struct form *f = NULL;
	char *dir = fixture_dir(), *path = xasprintf("%s/store.db", dir);
	struct err e;

	(void)state;
	assert_int_equal(journey_open(&j, path, &e), 0);
	st = journey_store(j);
	s.name = xstrdup("mx1");
	s.target = xstrdup("root@192.0.2.1");
	s.mailsys = xstrdup("postfix");
	assert_int_equal(store_server_save(st, &s, &e), 0);
	v.server = s.id;
	v.name = xstrdup("smtp");
	v.kind = xstrdup("outbound");
	assert_int_equal(store_vserver_save(st, &v, &e), 0);
	assert_int_equal(vserver_set(j, v.id, (const char *const[]){ "inbound.recipients" }, (const char *const[]){ "100" }, 1, &e), 0);

	assert_int_equal(form_open(&f, sheet_find("virtual-server"), j, v.id, "mx1/smtp", &e), 0);
	assert_non_null(form_locked(f, form_field(f, "inbound.recipients", NULL)));
	assert_string_equal(form_get(f, "inbound.recipients"), "100");
	assert_int_equal(form_check(f, NULL, NULL, &e), 0);
	assert_int_equal(form_set(f, "inbound.recipients", "200", &e), 0);
	assert_int_equal(form_check(f, NULL, NULL, &e), -1);
	assert_non_null(strstr(e.text, "it only sends"));
	assert_int_equal(form_set(f, "inbound.recipients", "", &e), 0);
	assert_int_equal(form_check(f, NULL, NULL, &e), 0);
	assert_true(form_edited(f));
	form_close(f);

	journey_close(j);
	server_release(&s);
	vserver_release(&v);
	fixture_remove(dir);
	free(path);
	free(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(locked) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
