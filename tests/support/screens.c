/* The world of the screens' tests: a store with a bit of everything, drawing without a terminal, what a verb would bring. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "mxseal/certificate.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "support/fixture.h"
#include "support/golden.h"
#include "support/screens.h"
#include "tui/console/app.h"

static const int sizes[][2] = { { 24, 80 }, { 40, 120 } };
static const int odd[][2] = { { 9, 40 }, { 5, 20 }, { 1, 1 }, { 2, 3 }, { 3, 200 }, { 60, 4 }, { 12, 64 } };

/* --- a store with a bit of everything --- */

void
must(int rc, const struct err *e)
{
	if (rc != 0)
		fail_msg("%s", e->text);
}

static void
add_found(struct vserver *v, const char *name, const char *value, const char *native)
{
	struct found_value *f = found_value_list_add(&v->found);

	f->name = xstrdup(name);
	f->value = xstrdup(value);
	f->native = xstrdup(native);
	f->source = xstrdup("main.cf");
}

int64_t
add_vserver(struct app *a, int64_t server, const char *name, int port, const char *pem)
{
	struct vserver v = { .server = server, .port = port, .is_default = port == 25, .present = true };
	struct err e;

	v.name = xstrdup(name);
	v.title = xasprintf("%s inet", name);
	v.listen = xasprintf("0.0.0.0:%d [::]:%d", port, port);
	add_found(&v, "inbound.tls", pem != NULL ? "offer" : "off", "smtpd_tls_security_level = may");
	add_found(&v, "outbound.tls", "may", "smtp_tls_security_level = may");
	if (pem != NULL) {
		v.cert_file = xstrdup("/etc/mxseal/3/smtp.pem");
		v.cert_pem = xstrdup(pem);
		v.served_pem = xstrdup(pem);
		v.served_at = NOW - 14;
	} else {
		v.served_trouble = xstrdup("STARTTLS is not offered");
	}
	must(store_vserver_save(a->st, &v, &e), &e);
	int64_t id = v.id;
	vserver_release(&v);
	return id;
}

int64_t
add_host(struct app *a, const char *name, const char *trouble)
{
	struct server s = { .read_at = NOW - 14, .tried_at = NOW - 14, .queue_messages = 412, .generation = 3 };
	struct err e;

	s.name = xstrdup(name);
	s.target = xasprintf("root@%s.example.org", name);
	s.system = xstrdup("auto");
	s.mailsys = xstrdup("postfix");
	s.version = xstrdup("3.7.11");
	s.config_dir = xstrdup("/etc/postfix");
	s.host_name = xasprintf("%s.example.org", name);
	s.domain = xstrdup("example.org");
	s.os = xstrdup("Debian GNU/Linux 12 (bookworm)");
	s.transport = xstrdup("libssh2");
	s.base = xstrdup("0");
	if (trouble != NULL) {
		s.trouble = xstrdup(trouble);
		s.trouble_code = xstrdup("timeout");
	}
	must(store_server_save(a->st, &s, &e), &e);
	int64_t id = s.id;
	server_release(&s);
	return id;
}

static void
add_papers(struct world *w, const char *pem)
{
	struct certificate c = { 0 };
	struct request r = { .vserver = w->smtp, .kind = KEY_EC_P256, .key_server = w->mx1, .created_at = NOW - 3600 };
	struct authority au = { .days = 397, .not_after = NOW + 3000 * INT64_C(86400), .created_at = NOW };
	struct connector co = { .created_at = NOW };
	struct err e;

	must(cert_describe(pem, &c, &e), &e);
	c.name = xstrdup("mail 2026");
	c.key_server = w->mx1;
	xset(&c.key_path, "/var/lib/mxseal/keys/1.pem");
	xset(&c.pem, pem);
	must(store_certificate_save(w->app->st, &c, &e), &e);
	w->certificate = c.id;
	certificate_release(&c);
	r.name = xstrdup("mail 2027");
	r.subject.cn = xstrdup("mx1.example.org");
	r.subject.o = xstrdup("Example, Inc.");
	r.key_path = xstrdup("/var/lib/mxseal/keys/2.pem");
	r.spki_sha256 = xstrdup("00");
	r.pem = xstrdup("-----BEGIN CERTIFICATE REQUEST-----\n");
	r.sha256 = xstrdup("4f1c");
	r.state = xstrdup("pending");
	must(store_request_save(w->app->st, &r, &e), &e);
	w->request = r.id;
	request_release(&r);
	au.name = xstrdup("house");
	au.kind = xstrdup("own");
	au.subject = xstrdup("CN=Example Org Mail CA");
	au.policy = xstrdup("always");
	au.sealed_key = xstrdup("sealed");
	au.pem = xstrdup(pem);
	must(store_authority_save(w->app->st, &au, &e), &e);
	w->authority = au.id;
	authority_release(&au);
	co.name = xstrdup("bank");
	co.domains = xstrdup("bank.test,1 *.bank.test,5");
	co.route = xstrdup("dns");
	co.via = xstrdup("mx1/smtp");
	co.tls = xstrdup("encrypt");
	co.reason = xstrdup("contract 12/2025");
	must(store_connector_save(w->app->st, &co, &e), &e);
	w->connector = co.id;
	connector_release(&co);
}

int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct str pem = STR_INIT;
	char *store, *fact, *text;
	struct err e;

	setlocale(LC_ALL, "C.UTF-8");
	setenv("MXSEAL_NOW", "1790000000", 1);
	screen_open(24, 80);
	style_open(false);
	w->dir = fixture_dir();
	setenv("HOME", w->dir, 1);
	store = xasprintf("%s/store.db", w->dir);
	must(app_open(&w->app, store, false, &e), &e);
	must(journey_allow_changes(w->app->j, &e), &e);
	free(store);
	must(str_read_file(&pem, TEST_SOURCE_DIR "/tests/golden/screens/chain.pem", 65536, &e), &e);
	w->mx1 = add_host(w->app, "mx1", NULL);
	w->mx2 = add_host(w->app, "mx2", "no answer from mx2.example.org port 22 within 15 s");
	w->smtp = add_vserver(w->app, w->mx1, "smtp", 25, NULL);
	w->submission = add_vserver(w->app, w->mx1, "submission", 587, pem.s);
	add_papers(w, pem.s);
	str_release(&pem);
	fact = xasprintf("traffic:%lld", (long long)w->mx1);       /* its log was read: nobody looks for the host */
	text = xasprintf("%lld 7 %lld 0 1", (long long)NOW - 7200, (long long)NOW - 600000);
	must(store_fact_set(w->app->st, fact, text, &e), &e);
	free(fact);
	free(text);
	app_tick(w->app, when_monotonic_ms());
	*state = w;
	return 0;
}

int
tear_down(void **state)
{
	struct world *w = *state;

	app_close(w->app);
	screen_close();
	fixture_remove(w->dir);
	free(w->dir);
	free(w);
	return 0;
}

/* --- drawing --- */

void
survive_odd_sizes(struct app *a)
{
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		screen_size(odd[i][0], odd[i][1]);
		app_draw(a);
	}
}

/* Every screen there is, at every size with a head line, says that nothing can be changed. */
static void
says_read_only(struct app *a)
{
	struct err e;

	journey_start_read_only(a->j);
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd) + 2; i++) {
		const int *size = i < 2 ? sizes[i] : odd[i - 2];
		struct str t = STR_INIT;

		screen_size(size[0], size[1]);
		app_draw(a);
		screen_text(&t);
		char *head = strchr(t.s, '\n');          /* below the frame */
		if (head != NULL && size[0] >= 6)
			head[1 + strcspn(head + 1, "\n")] = '\0';
		if (size[1] >= 20 && size[0] >= 6 && strstr(t.s, "[read-only]") == NULL && strstr(t.s, "[RO]") == NULL)
			fail_msg("at %dx%d nothing says read-only: %s", size[1], size[0], t.s);
		str_release(&t);
	}
	must(journey_allow_changes(a->j, &e), &e);
}

void
shot_at(struct app *a, const char *name, int rows, int cols)
{
	struct str t = STR_INIT;
	char *file = xasprintf("screens/%s-%dx%d", name, cols, rows);

	screen_size(rows, cols);
	app_draw(a);
	screen_text(&t);
	golden_check(file, t.s);
	str_release(&t);
	free(file);
}

void
shot(struct app *a, const char *name)
{
	for (struct task *t = a->tasks; t != NULL; t = t->next)
		t->since_ms = when_monotonic_ms();         /* what runs has just begun, however slow this machine is */
	for (size_t i = 0; i < 2; i++)
		shot_at(a, name, sizes[i][0], sizes[i][1]);
	survive_odd_sizes(a);
	says_read_only(a);
	screen_size(24, 80);
	app_draw(a);
}

struct task *
task_with(struct app *a, const char *verb)
{
	for (struct task *t = a->tasks; t != NULL; t = t->next)
		if (strcmp(t->verb, verb) == 0)
			return t;
	fail_msg("nothing runs that is called \"%s\"", verb);
	return NULL;
}

void
close_all(struct app *a)
{
	struct err cancelled = { .code = RC_CANCELLED };

	while (a->top->below != NULL)
		view_pop(a->top);
	while (a->tasks != NULL)
		task_done(a->tasks, -1, &cancelled);
	a->message[0] = '\0';
}

void
type(struct app *a, const char *text)
{
	for (; *text != '\0'; text++)
		app_key(a, *text == '\t' ? K_TAB : *text == '\n' ? K_ENTER : *text);
}
