/* Generated main.cf and master.cf files: read, edited, put back: what is not edited keeps every byte.
 *   test_mailsys_generated --write DIR N    writes N pairs with what we read in them, before and after an edit, for
 *                                           tests/lab/postfix_edit.test.sh, where postconf itself is the judge */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/mailsys/cf.h"
#include "mxseal/xalloc.h"

#define ROUNDS 500
#define OPEN "texthash:/etc/mxseal/"

static unsigned seed;

static unsigned
dice(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16 & 0x7fff) % n;
}

/* Parameters that Postfix knows and takes any text for. */
static const char *const names[] = { "relayhost", "transport_maps", "smtp_tls_policy_maps", "smtpd_tls_chain_files", "smtp_helo_name",
	"smtp_tls_CAfile", "smtpd_banner", "smtp_bind_address", "content_filter" };
#define NAMES 9

static void
noise(struct str *out)
{
	static const char *const lines[] = { "\n", "# comment = x\n", "   # indented\n", "\t\n", "#smtpd_tls_security_level = may\n" };

	while (dice(3) == 0)
		str_add(out, lines[dice(5)]);
}

static void
generate_main(struct str *out)
{
	static const char *const gaps[] = { " = ", "=", " =\t", " =", " =\n  ", "= " };
	unsigned i, k, n = 1 + dice(12);

	if (dice(5) == 0)
		str_add(out, "  orphan = nothing\n");
	for (i = 0; i < n; i++) {
		noise(out);
		str_addf(out, "%s%s", names[dice(NAMES)], gaps[dice(6)]);
		for (k = dice(4); k > 0; k--) {
			str_addf(out, "v%u", dice(100));
			if (k > 1) {
				str_add(out, dice(2) ? ", " : ",\n");
				noise(out);
				str_add(out, dice(2) ? "    " : "\t");
			}
		}
		str_add(out, dice(8) ? "\n" : " \n");
	}
	noise(out);
	if (dice(4) == 0 && out->len && out->s[out->len - 1] == '\n')
		str_cut(out, out->len - 1);
}

static void
generate_master(struct str *out)
{
	static const char *const services[] = { "smtp", "submission", "127.0.0.1:10025", "[::1]:smtps", "smtps" };
	static const char *const gaps[] = { " ", "\n  ", "\n\t", "\n# note -o x=y\n   ", "\n\n  " };
	unsigned i, k, n = 1 + dice(5);

	for (i = 0; i < n; i++) {
		if (dice(2))
			str_add(out, "# a comment\n\n");
		str_addf(out, "%s\tinet  n       -       y       -       -       smtpd", services[i]);
		for (k = dice(5); k > 0; k--) {
			unsigned p = dice(4), v = dice(50);

			str_add(out, gaps[dice(5)]);
			switch (dice(5)) {
			case 0: str_addf(out, "-o p_%u=v%u", p, v); break;
			case 1: str_addf(out, "-op_%u=v%u", p, v); break;
			case 2: str_addf(out, "-o { p_%u = v%u w }", p, v); break;
			case 3: str_addf(out, "-o\n  p_%u=v%u", p, v); break;
			default: str_addf(out, "-vo p_%u=v%u", p, v); break;
			}
		}
		str_add(out, "\n");
	}
	str_add(out, "maildrop  unix  -       n       n       -       -       pipe\n  flags=DRXhu user=vmail argv=/usr/bin/maildrop\n");
}

static struct main_cf
read_main(const struct str *text)
{
	struct main_cf m;
	struct err e;

	if (main_cf_read(&m, text->s, text->len, &e) != 0)
		fail_msg("%s in:\n%s", e.text, text->s);
	assert_int_equal(m.t.text.len, text->len);
	assert_memory_equal(m.t.text.s, text->s, text->len);
	return m;
}

static struct master_cf
read_master(const struct str *text)
{
	struct master_cf m;
	struct err e;

	if (master_cf_read(&m, text->s, text->len, &e) != 0)
		fail_msg("%s in:\n%s", e.text, text->s);
	assert_string_equal(m.t.text.s, text->s);
	return m;
}

/* --- main.cf --- */

/* All assignments but those of one name. */
static char *
main_others(const struct main_cf *m, const char *but)
{
	struct str out = STR_INIT;
	size_t i;

	for (i = 0; i < m->n; i++)
		if (strcmp(m->v[i].name, but) != 0)
			str_addf(&out, "%s=%s\n", m->v[i].name, m->v[i].value);
	return str_take(&out);
}

static void
comments(const char *text, struct str *out)
{
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = text + strcspn(text, "\n");
		if (text[strspn(text, " \t")] == '#' && strncmp(text, MAIN_CF_MARK, strlen(MAIN_CF_MARK)) != 0)
			str_addf(out, "%.*s\n", (int)(end - text), text);
	}
}

static void
main_kept(const struct main_cf *m, const char *name, const char *values, const struct str *was)
{
	char *after = main_others(m, name);
	struct str is = STR_INIT;

	comments(m->t.text.s, &is);
	assert_string_equal(after, values);
	assert_string_equal(is.s, was->s);
	free(after);
	str_release(&is);
}

static void
generated_main_cf(void **state)
{
	unsigned round;

	(void)state;
	for (round = 1; round <= ROUNDS; round++) {
		struct str text = STR_INIT, was = STR_INIT;
		struct main_cf m;
		const char *name;
		char *values;

		seed = round;
		generate_main(&text);
		m = read_main(&text);
		name = names[dice(NAMES)];

		/* a list entry in and out leaves no trace */
		if (!text_empty(main_cf_get(&m, name))) {
			assert_int_equal(main_cf_list_put(&m, name, OPEN, "/p", OPEN "1/p", NULL), 0);
			main_cf_list_drop(&m, name, OPEN, "/p");
			assert_int_equal(m.t.text.len, text.len);
			assert_memory_equal(m.t.text.s, text.s, text.len);
		}
		/* a new name neither, but for a newline where the file ended without one */
		assert_int_equal(main_cf_set(&m, "ours", "x y", NULL), 0);
		assert_string_equal(main_cf_get(&m, "ours"), "x y");
		main_cf_remove(&m, "ours");
		assert_memory_equal(m.t.text.s, text.s, text.len);
		assert_true(m.t.text.len <= text.len + 1);

		/* an edit touches one value and no comment */
		values = main_others(&m, name);
		comments(m.t.text.s, &was);
		assert_int_equal(main_cf_set(&m, name, "new value", NULL), 0);
		assert_string_equal(main_cf_get(&m, name), "new value");
		main_kept(&m, name, values, &was);
		main_cf_remove(&m, name);
		assert_null(main_cf_get(&m, name));
		main_kept(&m, name, values, &was);
		free(values);
		main_cf_release(&m);
		str_release(&text);
		str_release(&was);
	}
}

/* --- master.cf --- */

static char *
master_others(const struct master_cf *m, const char *service, const char *param)
{
	struct str out = STR_INIT;
	size_t i, k;

	for (i = 0; i < m->n; i++)
		for (k = 0; k < m->v[i].n; k++)
			if (strcmp(m->v[i].name, service) != 0 || strcmp(m->v[i].v[k].name, param) != 0)
				str_addf(&out, "%s %s %s\n", m->v[i].name, m->v[i].v[k].name, m->v[i].v[k].value);
	return str_take(&out);
}

static void
master_kept(const struct master_cf *m, const char *service, const char *param, const char *values)
{
	char *after = master_others(m, service, param);

	assert_string_equal(after, values);
	free(after);
}

static void
generated_master_cf(void **state)
{
	unsigned round;

	(void)state;
	for (round = 1; round <= ROUNDS; round++) {
		struct str text = STR_INIT;
		struct master_cf m;
		char param[16], *values, *service;

		seed = round;
		generate_master(&text);
		m = read_master(&text);
		service = xstrdup(m.v[dice((unsigned)m.n - 1)].name);
		assert_int_equal(master_cf_set(&m, service, "inet", "ours", "x", NULL), 0);
		master_cf_unset(&m, service, "inet", "ours");
		assert_string_equal(m.t.text.s, text.s);

		snprintf(param, sizeof(param), "p_%u", dice(4));
		values = master_others(&m, service, param);
		assert_int_equal(master_cf_set(&m, service, "inet", param, "new", NULL), 0);
		assert_string_equal(master_cf_option(master_cf_find(&m, service, "inet"), param), "new");
		master_kept(&m, service, param, values);
		master_cf_unset(&m, service, "inet", param);
		master_kept(&m, service, param, values);
		free(values);
		free(service);
		master_cf_release(&m);
		str_release(&text);
	}
}

/* --- whole services --- */

#define LISTENER "2525      inet  n       -       y       -       -       smtpd\n  -o syslog_name=postfix/side\n"
#define CLIENT "side-out  unix  -       -       y       -       -       smtp\n  -o { smtp_helo_name = a b }\n  -o smtp_tls_policy_maps=\n"
#define PAUSE "\n  -o smtpd_client_restrictions=defer\n  -o defer_code=421\n  -o smtpd_delay_reject=no"

static size_t
count(const struct master_cf *m, const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < m->n; i++)
		n += strcmp(m->v[i].name, name) == 0;
	return n;
}

static void
same_bytes(const struct master_cf *m, const struct str *text)
{
	assert_int_equal(m->t.text.len, text->len);
	assert_memory_equal(m->t.text.s, text->s, text->len);
}

/* Stopped, all other services are as they were; started, so is every byte. */
static void
stop_and_start(struct master_cf *m, const char *service, const struct str *text)
{
	size_t n = m->n, from = 0, lines = m->t.lines[m->n - 1].number;
	char *name = NULL, *type = NULL;

	assert_int_equal(master_cf_stop(m, service, "inet", NULL), 0);
	assert_int_equal(m->n, n - 1);
	assert_null(master_cf_find(m, service, "inet"));
	assert_int_equal(m->t.lines[m->n - 1].number, lines);        /* sentences name lines */
	assert_true(master_cf_start(m, &from, &name, &type));
	assert_string_equal(name, service);
	assert_string_equal(type, "inet");
	free(name);
	free(type);
	same_bytes(m, text);
	assert_false(master_cf_start(m, &from, &name, &type));
	from = 0;
	assert_false(master_cf_start(m, &from, &name, &type));
}

static void
pause_and_start(struct master_cf *m, const char *service, const struct str *text)
{
	assert_int_equal(master_cf_put(m, service, "inet", PAUSE, NULL), 0);
	assert_string_equal(master_cf_option(master_cf_find(m, service, "inet"), "defer_code"), "421");
	assert_string_equal(master_cf_option(master_cf_find(m, service, "inet"), "smtpd_delay_reject"), "no");
	assert_true(master_cf_drop(m, service, "inet", PAUSE));
	same_bytes(m, text);
	assert_false(master_cf_drop(m, service, "inet", PAUSE));
}

static void
added(struct master_cf *m, const char *owner, const char *lines, const char *name, const char *type)
{
	size_t n = m->n;
	char *is;

	assert_int_equal(master_cf_add(m, owner, lines, NULL), 0);
	assert_int_equal(m->n, n + 1);
	assert_non_null(master_cf_find(m, name, type));
	is = master_cf_owner(m, master_cf_find(m, name, type));
	assert_string_equal(is, owner);
	free(is);
}

static void
generated_services(void **state)
{
	unsigned round;

	(void)state;
	for (round = 1; round <= ROUNDS; round++) {
		struct str text = STR_INIT;
		struct master_cf m;
		char *service, *owner;

		seed = round;
		generate_master(&text);
		if (dice(3) == 0)
			str_cut(&text, text.len - 1);
		m = read_master(&text);
		service = xstrdup(m.v[dice((unsigned)m.n - 1)].name);
		owner = master_cf_owner(&m, &m.v[0]);
		assert_null(owner);
		if (count(&m, service) == 1)
			stop_and_start(&m, service, &text);
		pause_and_start(&m, service, &text);

		/* a listener and a client come, one is stopped and paused meanwhile, and they go in either order */
		added(&m, "side", LISTENER, "2525", "inet");
		if (text.s[text.len - 1] != '\n')
			str_addc(&text, '\n');
		added(&m, "side", CLIENT, "side-out", "unix");
		if (count(&m, service) == 1) {
			struct str with = STR_INIT;

			str_addn(&with, m.t.text.s, m.t.text.len);
			stop_and_start(&m, "2525", &with);
			pause_and_start(&m, "2525", &with);
			stop_and_start(&m, service, &with);
			str_release(&with);
		}
		if (dice(2))
			master_cf_remove(&m, "2525", "inet");
		master_cf_remove(&m, "side-out", "unix");
		master_cf_remove(&m, "2525", "inet");
		same_bytes(&m, &text);
		free(service);
		master_cf_release(&m);
		str_release(&text);
	}
}

/* --- pairs for postconf to judge --- */

static void
save(const char *dir, unsigned n, const char *way, const char *file, const struct str *text)
{
	char *path = xasprintf("%s/%u/%s", dir, n, way);
	struct err e;

	mkdir(path, 0755);
	free(path);
	path = xasprintf("%s/%u/%s/%s", dir, n, way, file);
	if (str_write_file(path, text->s, text->len, 0644, &e) != 0)
		fprintf(stderr, "%s\n", e.text);
	free(path);
}

/* As postconf -n prints: the last assignment of each name. */
static void
main_view(const struct main_cf *m, struct str *out)
{
	size_t k;

	for (k = 0; k < NAMES; k++) {
		const char *value = main_cf_get(m, names[k]);

		if (value)
			str_addf(out, "%s =%s%s\n", names[k], *value ? " " : "", value);
	}
}

/* As postconf -P prints. */
static void
master_view(const struct master_cf *m, struct str *out)
{
	size_t i, k, later;

	for (i = 0; i < m->n; i++)
		for (k = 0; k < m->v[i].n; k++) {
			const struct master_option *o = &m->v[i].v[k];

			for (later = k + 1; later < m->v[i].n && strcmp(m->v[i].v[later].name, o->name) != 0; later++)
				;
			if (later == m->v[i].n)
				str_addf(out, "%s/%s/%s =%s%s\n", m->v[i].name, m->v[i].type, o->name, *o->value ? " " : "", o->value);
		}
}

/* The eight fields of each service, as postconf -M prints them first. */
static void
service_view(const struct master_cf *m, struct str *out)
{
	size_t i, k;

	for (i = 0; i < m->n; i++) {
		str_addf(out, "%s %s", m->v[i].name, m->v[i].type);
		for (k = 0; k < MASTER_COLUMNS; k++)
			str_addf(out, " %s", m->v[i].column[k]);
		str_addf(out, " %s\n", m->v[i].command);
	}
}

static void
save_both(const char *dir, unsigned n, const char *way, const struct main_cf *m, const struct master_cf *s)
{
	struct str view = STR_INIT;

	save(dir, n, way, "main.cf", &m->t.text);
	save(dir, n, way, "master.cf", &s->t.text);
	main_view(m, &view);
	save(dir, n, way, "main.view", &view);
	str_reset(&view);
	master_view(s, &view);
	save(dir, n, way, "master.view", &view);
	str_reset(&view);
	service_view(s, &view);
	save(dir, n, way, "service.view", &view);
	str_release(&view);
}

/* The same pair with a listener and a client more, one service stopped and one paused. */
static void
save_services(const char *dir, unsigned n, const struct main_cf *m, const struct str *text)
{
	struct master_cf s = read_master(text);
	char *service = xstrdup(s.v[dice((unsigned)s.n - 1)].name), *other = xstrdup(s.v[dice((unsigned)s.n - 1)].name);

	(void)master_cf_add(&s, "side", LISTENER, NULL);
	(void)master_cf_add(&s, "side", CLIENT, NULL);
	(void)master_cf_put(&s, other, "inet", PAUSE, NULL);
	(void)master_cf_stop(&s, service, "inet", NULL);
	save_both(dir, n, "services", m, &s);
	free(service);
	free(other);
	master_cf_release(&s);
}

static int
write_pairs(const char *dir, unsigned count)
{
	unsigned n;

	for (n = 1; n <= count; n++) {
		struct str main_text = STR_INIT, master_text = STR_INIT, edit = STR_INIT;
		struct main_cf m;
		struct master_cf s;
		char *path = xasprintf("%s/%u", dir, n), *service, param[16];
		const char *name;

		mkdir(path, 0755);
		free(path);
		seed = n;
		generate_main(&main_text);
		generate_master(&master_text);
		m = read_main(&main_text);
		s = read_master(&master_text);
		save_both(dir, n, "before", &m, &s);
		save_services(dir, n, &m, &master_text);

		name = names[dice(NAMES)];
		service = xstrdup(s.v[dice((unsigned)s.n - 1)].name);
		snprintf(param, sizeof(param), "p_%u", dice(4));
		if (dice(3)) {
			str_addf(&edit, "new %u", n);
			(void)main_cf_set(&m, name, edit.s, NULL);
			str_reset(&edit);
			str_addf(&edit, "w%u", n);
			(void)master_cf_set(&s, service, "inet", param, edit.s, NULL);
			str_reset(&edit);
			str_addf(&edit, "-e|%s=new %u\n-P|%s/inet/%s=w%u\n", name, n, service, param, n);
		} else {
			main_cf_remove(&m, name);
			master_cf_unset(&s, service, "inet", param);
			str_addf(&edit, "-X|%s\n-PX|%s/inet/%s\n", name, service, param);
		}
		save_both(dir, n, "after", &m, &s);
		save(dir, n, "after", "edit", &edit);
		free(service);
		main_cf_release(&m);
		master_cf_release(&s);
		str_release(&main_text);
		str_release(&master_text);
		str_release(&edit);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generated_main_cf), cmocka_unit_test(generated_master_cf),
		cmocka_unit_test(generated_services),
	};

	if (argc == 4 && strcmp(argv[1], "--write") == 0)
		return write_pairs(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
