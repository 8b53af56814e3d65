/* The records of model.h: nothing is leaked or left dangling (the sanitizers watch), lists grow, key kinds have names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "mxseal/err.h"
#include "mxseal/model.h"
#include "mxseal/xalloc.h"

/* Every byte of a record of these types is a text, an id or a list: a released record is all zero. */
#define ALL_ZERO(r) \
	do { \
		static const char zero[sizeof(r)]; \
		assert_memory_equal(&(r), zero, sizeof(r)); \
	} while (0)

static void
release_leaves_nothing(void **state)
{
	struct server s = { .id = 1, .name = xstrdup("mx1"), .base = xstrdup("x"), .queue_messages = -1 };
	struct vserver v = { .name = xstrdup("smtp") };
	struct request r = { .name = xstrdup("r"), .subject.cn = xstrdup("cn"), .subject.san = xstrdup("san") };
	struct found_value *f = found_value_list_add(&v.found);

	(void)state;
	f->name = xstrdup("inbound.tls");
	f->source = xstrdup("main.cf");
	server_release(&s);
	vserver_release(&v);
	request_release(&r);
	ALL_ZERO(s);
	ALL_ZERO(v);
	ALL_ZERO(r);
	server_release(&s);   /* again is fine */
}

static void
lists_grow(void **state)
{
	struct server_list l = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct server *s = server_list_add(&l);

		ALL_ZERO(*s);
		s->id = i;
		s->name = xasprintf("mx%d", i);
	}
	assert_int_equal(l.n, 1000);
	assert_string_equal(l.v[777].name, "mx777");
	server_list_release(&l);
	assert_null(l.v);
	server_list_release(&l);
}

static void
subjects_are_copied(void **state)
{
	struct subject a = { .cn = xstrdup("mx1.example.org"), .c = xstrdup("DE") }, b = { .cn = xstrdup("old"), .l = xstrdup("old") };

	(void)state;
	subject_copy(&b, &a);
	assert_string_equal(b.cn, "mx1.example.org");
	assert_ptr_not_equal(a.cn, b.cn);
	assert_null(b.l);
	subject_copy(&a, &a);
	assert_string_equal(a.c, "DE");
	subject_release(&a);
	subject_release(&b);
}

static void
key_kinds_have_names(void **state)
{
	enum key_kind k;
	struct err e;

	(void)state;
	for (int i = KEY_EC_P256; i <= KEY_RSA_4096; i++) {
		assert_int_equal(key_kind_parse(&k, key_kind_name((enum key_kind)i), &e), 0);
		assert_int_equal(k, i);
	}
	assert_int_equal(key_kind_parse(&k, "RSA-2048", &e), 0);
	assert_int_equal(key_kind_parse(&k, "rsa-1024", &e), -1);
	assert_int_equal(e.code, RC_INVALID);
	assert_non_null(strstr(e.hint, "ec-p256"));
	assert_int_equal(key_kind_parse(&k, NULL, &e), -1);
	assert_int_equal(key_kind_parse(&k, "", &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(release_leaves_nothing),
		cmocka_unit_test(lists_grow),
		cmocka_unit_test(subjects_are_copied),
		cmocka_unit_test(key_kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
