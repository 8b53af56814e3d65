/* Edits of what is wanted: each verb is one edit, undone exactly and made again, refused with the name of who changed it since;
 * what a reading writes is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/journey.h"
#include "mxseal/xalloc.h"
#include "support/one_server.h"

static void
set(struct one_server *w, const char *name, const char *value)
{
	struct err e = { .code = RC_OK };

	if (vserver_set(w->j, w->smtp, &name, &value, 1, &e) != 0)
		fail_msg("%s: %s", name, e.text);
}

/* "outbound.tls=may ..." of the virtual server. */
static void
wants(struct one_server *w, const char *expected)
{
	struct wanted_list l = { NULL, 0 };
	struct str all = STR_INIT;

	assert_int_equal(store_wanted(w->st, w->smtp, &l, NULL), 0);
	for (size_t i = 0; i < l.n; i++)
		str_addf(&all, "%s%s=%s", i ? " " : "", l.v[i].name, l.v[i].value);
	assert_string_equal(all.s, expected);
	str_release(&all);
	wanted_list_release(&l);
}

static size_t
edits(struct one_server *w)
{
	struct wanted_edit_list l = { NULL, 0 };
	size_t n;

	assert_int_equal(store_edits(w->st, 100, &l, NULL), 0);
	n = l.n;
	wanted_edit_list_release(&l);
	return n;
}

static void
undo(struct one_server *w, int64_t id, bool again, const char *said)
{
	struct str text = STR_INIT;
	struct err e = { .code = RC_OK };

	if (edit_undo(w->j, id, again, &text, &e) != 0)
		fail_msg("%s", e.text);
	assert_string_equal(text.s, said);
	str_release(&text);
}

static int64_t
connector(struct one_server *w, const char *name, const char *domains)
{
	struct connector c = { .id = 0 };
	struct err e = { .code = RC_OK };
	int64_t id;

	c.name = xstrdup(name);
	c.domains = xstrdup(domains);
	c.route = xstrdup("dns");
	c.via = xstrdup("mx1/smtp");
	c.tls = xstrdup("encrypt");
	c.reason = xstrdup("they \"quoted\" it");
	if (connector_save(w->j, &c, &e) != 0)
		fail_msg("%s", e.text);
	id = c.id;
	connector_release(&c);
	return id;
}

static void
settings_back_and_forth(void **state)
{
	struct one_server *w = *state;

	set(w, "outbound.tls", "may");
	set(w, "outbound.tls", "may");                 /* changes nothing: no edit */
	assert_int_equal(edits(w), 1);
	set(w, "outbound.tls", "encrypt");
	wants(w, "outbound.tls=encrypt");
	undo(w, 0, false, "Undone: mx1/smtp: outbound.tls=encrypt");
	wants(w, "outbound.tls=may");
	undo(w, 0, false, "Undone: mx1/smtp: outbound.tls=may");
	wants(w, "");
	undo(w, 0, true, "Made again: mx1/smtp: outbound.tls=may");
	wants(w, "outbound.tls=may");
	undo(w, 0, true, "Made again: mx1/smtp: outbound.tls=encrypt");
	wants(w, "outbound.tls=encrypt");
	set(w, "outbound.tls", "");
	wants(w, "");
	undo(w, 0, false, "Undone: mx1/smtp: outbound.tls=");
	wants(w, "outbound.tls=encrypt");
}

static void
nothing_left(void **state)
{
	struct one_server *w = *state;
	struct err e = { .code = RC_OK };

	assert_int_equal(edit_undo(w->j, 0, false, NULL, &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	set(w, "outbound.tls", "may");
	undo(w, 0, false, "Undone: mx1/smtp: outbound.tls=may");
	assert_int_equal(edit_undo(w->j, 1, false, NULL, &e), -1);
	assert_int_equal(e.code, RC_CONFLICT);
	set(w, "outbound.tls", "none");                /* a new edit: the undone one cannot be made again by itself */
	assert_int_equal(edit_undo(w->j, 0, true, NULL, &e), -1);
	assert_int_equal(e.code, RC_NOTFOUND);
	assert_int_equal(edit_undo(w->j, 1, true, NULL, &e), -1);
	assert_int_equal(e.code, RC_CONFLICT);
	assert_non_null(strstr(e.text, "changed the same since (edit #2: mx1/smtp: outbound.tls=none)"));
	wants(w, "outbound.tls=none");
}

static void
connectors_whole(void **state)
{
	struct one_server *w = *state;
	struct connector c = { .id = 0 };
	int64_t id = connector(w, "bank", "bank.test,1 *.bank.test,5");
	struct err e = { .code = RC_OK };

	assert_int_equal(connector_remove(w->j, id, &e), 0);
	undo(w, 0, false, "Undone: connector bank removed");
	assert_int_equal(store_connector_get(w->st, id, &c, &e), 0);
	assert_string_equal(c.domains, "bank.test,1 *.bank.test,5");
	assert_string_equal(c.reason, "they \"quoted\" it");
	assert_null(c.match);
	connector_release(&c);
	undo(w, 1, false, "Undone: connector bank: encrypt for bank.test,1 *.bank.test,5 by mx1/smtp");
	assert_int_equal(store_connector_get(w->st, id, &c, NULL), -1);
}

static void
changed_since(void **state)
{
	struct one_server *w = *state;
	struct err e = { .code = RC_OK };

	set(w, "outbound.tls", "may");
	set(w, "outbound.tls", "encrypt");
	assert_int_equal(edit_undo(w->j, 1, false, NULL, &e), -1);
	assert_int_equal(e.code, RC_CONFLICT);
	assert_non_null(strstr(e.text, "changed the same since (edit #2: mx1/smtp: outbound.tls=encrypt)"));
	assert_string_equal(e.hint, "mxseal edits undo 2 first, or edit it anew");
	wants(w, "outbound.tls=encrypt");
}

/* A recipe: a new virtual server with settings and a connector, one edit; undone, nothing of it stays. */
static void
several_as_one(void **state)
{
	struct one_server *w = *state;
	struct vserver v = { .port = 0 };
	struct vserver_list l = { NULL, 0 };
	struct connector_list k = { NULL, 0 };
	struct err e = { .code = RC_OK };
	int rc;

	assert_int_equal(store_edit_begin(w->st, &e), 0);
	set(w, "outbound.tls", "encrypt");
	v.server = w->mx1;
	v.name = xstrdup("clear");
	v.kind = xstrdup("outbound");
	v.ours = xstrdup("added");
	v.listen_wanted = xstrdup("");
	assert_int_equal(store_vserver_save(w->st, &v, &e), 0);
	assert_int_equal(store_wanted_set(w->st, "vs", v.id, "outbound.tls", "none", &e), 0);
	(void)connector(w, "few", "few.test");
	rc = store_edit_end(w->st, 0, &e, "TLS everywhere but few.test");
	assert_int_equal(rc, 0);
	assert_int_equal(edits(w), 1);
	undo(w, 0, false, "Undone: TLS everywhere but few.test");
	wants(w, "");
	assert_int_equal(store_vservers(w->st, w->mx1, &l, &e), 0);
	assert_int_equal(l.n, 1);
	vserver_list_release(&l);
	assert_int_equal(store_connectors(w->st, &k, &e), 0);
	assert_int_equal(k.n, 0);
	undo(w, 0, true, "Made again: TLS everywhere but few.test");
	assert_int_equal(store_vservers(w->st, w->mx1, &l, &e), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[1].kind, "outbound");
	assert_string_equal(l.v[1].listen_wanted, "");
	vserver_list_release(&l);
	/* its listener was made by a push meanwhile: undoing asks the next push to take it away */
	v.rev = 1;
	v.present = true;
	assert_int_equal(store_vserver_save(w->st, &v, &e), 0);
	undo(w, 0, false, "Undone: TLS everywhere but few.test");
	vserver_release(&v);
	assert_int_equal(store_vserver_by_name(w->st, "mx1/clear", &v, &e), 0);
	assert_string_equal(v.ours, "removed");
	vserver_release(&v);
}

static void
failed_ones_are_none(void **state)
{
	struct one_server *w = *state;
	const char *names[] = { "outbound.tls", "no.such" }, *values[] = { "may", "x" };
	struct err e = { .code = RC_OK };

	assert_int_equal(vserver_set(w->j, w->smtp, names, values, 2, &e), -1);
	assert_int_equal(store_edit_begin(w->st, &e), 0);
	set(w, "outbound.tls", "encrypt");
	assert_int_equal(store_edit_end(w->st, -1, &e, "failed"), -1);
	wants(w, "");
	assert_int_equal(edits(w), 0);
}

static void
readings_are_none(void **state)
{
	struct one_server *w = *state;
	struct vserver v = { .id = 0 };
	struct err e = { .code = RC_OK };

	assert_int_equal(store_vserver_get(w->st, w->smtp, &v, &e), 0);
	xset(&v.listen, "0.0.0.0:25");
	assert_int_equal(store_vserver_save(w->st, &v, &e), 0);
	vserver_release(&v);
	assert_int_equal(edits(w), 0);
}

/* Virtual servers that are dropped come back with what was wanted of them. */
static void
whole_before_parts(void **state)
{
	struct one_server *w = *state;
	struct err e = { .code = RC_OK };

	set(w, "outbound.tls", "encrypt");
	assert_int_equal(store_edit_begin(w->st, &e), 0);
	assert_int_equal(store_edit_end(w->st, store_vserver_delete(w->st, w->smtp, &e), &e, "gone"), 0);
	undo(w, 0, false, "Undone: gone");
	wants(w, "outbound.tls=encrypt");
}

static void
not_pushed_yet(void **state)
{
	struct one_server *w = *state;
	struct wanted_edit_list l = { NULL, 0 };
	struct vserver v = { .id = 0 };
	struct err e = { .code = RC_OK };
	bool yes;

	set(w, "outbound.tls", "encrypt");
	assert_int_equal(store_edits(w->st, 1, &l, &e), 0);
	assert_int_equal(store_edit_touches(w->st, l.v[0].id, w->mx1, &yes, &e), 0);
	assert_true(yes);
	assert_int_equal(store_edit_touches(w->st, l.v[0].id, w->mx1 + 1, &yes, &e), 0);
	assert_false(yes);
	assert_false(edit_is_pushed(w->j, &l.v[0]));
	/* found so: nothing waits there any more */
	assert_int_equal(store_vserver_get(w->st, w->smtp, &v, &e), 0);
	*found_value_list_add(&v.found) = (struct found_value){ .name = xstrdup("outbound.tls"), .value = xstrdup("encrypt") };
	assert_int_equal(store_vserver_save(w->st, &v, &e), 0);
	assert_true(edit_is_pushed(w->j, &l.v[0]));
	vserver_release(&v);
	wanted_edit_list_release(&l);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, one_server_set_up, one_server_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(settings_back_and_forth), TEST(nothing_left), TEST(connectors_whole), TEST(changed_since), TEST(several_as_one),
		TEST(failed_ones_are_none), TEST(readings_are_none), TEST(whole_before_parts), TEST(not_pushed_yet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
