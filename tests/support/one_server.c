/* See the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/one_server.h"

int
one_server_set_up(void **state)
{
	struct one_server *w = xcalloc(1, sizeof(*w));
	struct server s = { .queue_messages = -1, .read_at = 1790000000 };
	struct vserver v = { .port = 25, .is_default = true, .present = true };
	struct err e;
	char *store;

	w->dir = fixture_dir();
	store = xasprintf("%s/store.db", w->dir);
	assert_int_equal(journey_open(&w->j, store, &e), 0);
	free(store);
	w->st = journey_store(w->j);
	s.name = xstrdup("mx1");
	s.target = xstrdup("root@192.0.2.1");
	s.system = xstrdup("auto");
	s.host_name = xstrdup("mx1.lab.test");
	s.mailsys = xstrdup("postfix");
	s.version = xstrdup("3.7.11");
	assert_int_equal(store_server_save(w->st, &s, &e), 0);
	w->mx1 = v.server = s.id;
	v.name = xstrdup("smtp");
	v.listen = xstrdup("0.0.0.0:25 [::]:25");
	v.run = xstrdup("started");
	assert_int_equal(store_vserver_save(w->st, &v, &e), 0);
	w->smtp = v.id;
	server_release(&s);
	vserver_release(&v);
	*state = w;
	return 0;
}

int
one_server_tear_down(void **state)
{
	struct one_server *w = *state;

	journey_close(w->j);
	fixture_remove(w->dir);
	free(w->dir);
	free(w);
	return 0;
}
