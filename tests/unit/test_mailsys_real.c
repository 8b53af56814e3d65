/* Configurations as hosts really have them (tests/golden/postfix/real): read into virtual servers and the administrator's own
 * rules (expect.txt of each); and every setting and a connector planned on each changes no line but those it means, and a
 * second plan over the result is empty.
 *   test_mailsys_real --write DIR FIRST     writes them as pairs from number FIRST on with what we read in them, for
 *                                           tests/lab/postfix_edit.test.sh, where postconf itself is the judge */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/mailsys/postfix.h"
#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/recording.h"

#define GOLDEN TEST_SOURCE_DIR "/tests/golden/postfix/"

static bool
file_of(const char *dir, const char *name, struct str *out)
{
	char *path = xasprintf(GOLDEN "real/%s/%s", dir, name);
	bool there = str_read_file(out, path, CF_MAX, NULL) == 0;

	free(path);
	return there;
}

/* The answers of a host with this configuration: those of a recorded one, and these files. */
static void
sections_of(const char *dir, struct sections *s)
{
	struct str main_cf = STR_INIT, master_cf = STR_INIT;
	struct command_list more = { NULL, 0 };

	recording_load(GOLDEN "debian.rec", s);
	assert_true(file_of(dir, "main.cf", &main_cf) && file_of(dir, "master.cf", &master_cf));
	recording_set(s, "main.cf", 0, main_cf.s);
	recording_set(s, "master.cf", 0, master_cf.s);
	recording_set(s, "ours", 0, "");
	recording_set(s, "generations", 0, "");
	assert_int_equal(files_more(s, &more, NULL), 0);
	for (size_t i = 0; i < more.n; i++) {
		struct str text = STR_INIT;
		const char *path = more.v[i].argv[4];

		if (text_starts(more.v[i].name, "map.") && text_starts(path, "/etc/postfix/") && file_of(dir, path + 13, &text))
			recording_set(s, more.v[i].name, 0, text.s);
		else
			recording_set(s, more.v[i].name, 1, "not there");
		str_release(&text);
	}
	command_list_release(&more);
	str_release(&main_cf);
	str_release(&master_cf);
}

static size_t
each(void (*fn)(const char *dir, void *arg), void *arg)
{
	struct dirent **names;
	int n = scandir(GOLDEN "real", &names, NULL, alphasort);
	size_t count = 0;

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			fn(names[i]->d_name, arg);
			count++;
		}
		free(names[i]);
	}
	free(names);
	return count;
}

static void
describe(const struct reading *r, struct str *out)
{
	for (size_t i = 0; i < r->vservers.n; i++) {
		const struct vserver *v = &r->vservers.v[i];

		str_addf(out, "%s%s listens on %s%s, certificate %s\n", v->is_default ? "* " : "", v->name, v->listen, v->implicit_tls ? " (TLS)" : "",
		    v->cert_file != NULL ? v->cert_file : "none");
		for (size_t k = 0; k < v->found.n; k++)
			if (!text_eq(v->found.v[k].source, "default"))
				str_addf(out, "    %s = %s (%s)\n", v->found.v[k].name, v->found.v[k].value != NULL ? v->found.v[k].value : "?",
				    v->found.v[k].source);
	}
	for (size_t i = 0; i < r->rules.n; i++)
		str_addf(out, "%s  %s  [%s] -> %s\n", r->rules.v[i].kind, r->rules.v[i].source, r->rules.v[i].key, r->rules.v[i].value);
}

static void
read_one(const char *dir, void *arg)
{
	struct sections s;
	struct reading r;
	struct str is = STR_INIT, should = STR_INIT;
	struct err e = { .code = RC_OK };
	char *path = xasprintf(GOLDEN "real/%s/expect.txt", dir);

	(void)arg;
	sections_of(dir, &s);
	if (postfix_read(&s, &r, &e) != 0)
		fail_msg("%s: %s", dir, e.text);
	describe(&r, &is);
	if (getenv("UPDATE") != NULL)
		assert_int_equal(str_write_file(path, is.s, is.len, 0644, &e), 0);
	assert_true(file_of(dir, "expect.txt", &should));
	if (strcmp(is.s, should.s) != 0)
		fail_msg("%s: is\n%s\nshould be\n%s", dir, is.s, should.s);
	reading_release(&r);
	str_release(&is);
	str_release(&should);
	free(path);
}

static void
read_as_expected(void **state)
{
	(void)state;
	assert_true(each(read_one, NULL) >= 20);
}

/* --- edits --- */

static const char *const wishes[][2] = {
	{ "inbound.tls", "require" }, { "inbound.protocol-min", "tls1.2" }, { "inbound.ciphers", "high" }, { "inbound.auth-needs-tls", "yes" },
	{ "inbound.client-cert", "ask" }, { "outbound.tls", "encrypt" }, { "outbound.protocol-min", "tls1.3" }, { "outbound.ciphers", "high" },
	{ "outbound.smart-host", "[wanted.test]:587" }, { "outbound.helo-name", "helo.test" }, { "outbound.retry.first", "10m" },
	{ "outbound.retry.max", "2h" }, { "outbound.expire-after", "2d" }, { "outbound.notify-after", "4h" }, { "log.tls", "summary" },
};

static void
wish(struct wanted_host *w, const struct reading *r)
{
	struct connector *c;

	memset(w, 0, sizeof(*w));
	w->vs = xcalloc(r->vservers.n, sizeof(*w->vs));
	w->n_vs = 1;
	w->vs[0].name = xstrdup(r->vservers.v[0].name);
	w->vs[0].is_default = true;
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		struct wanted *s = wanted_list_add(&w->vs[0].settings);

		s->name = xstrdup(wishes[i][0]);
		s->value = xstrdup(wishes[i][1]);
		s->scope = xstrdup("vs");
	}
	c = connector_list_add(&w->connectors);
	c->name = xstrdup("bank");
	c->domains = xstrdup("bank.test");
	c->tls = xstrdup("may");
	c->route = xstrdup("dns");
	c->via = xstrdup("mx1");
}

static bool
names(const char *line, const char *param)
{
	size_t n = strlen(param);

	for (const char *at = line; (at = strstr(at, param)) != NULL; at++)
		if ((at == line || strchr(" \t{,", at[-1]) != NULL) && at[n + strspn(at + n, " \t")] == '=')
			return true;
	return false;
}

/* Does this line set a parameter that was asked for? */
static bool
is_meant(const char *line)
{
	for (size_t w = 0; w < sizeof(wishes) / sizeof(wishes[0]); w++) {
		const struct map_row *m = map_find(wishes[w][0]);

		for (int i = 0; i < MAP_PARAMS && m->param[i] != NULL; i++)
			if (names(line, m->param[i]))
				return true;
	}
	return names(line, "smtp_tls_policy_maps") || names(line, "transport_maps");
}

static char *
next_line(const char **at)
{
	size_t n = strcspn(*at, "\n");
	char *line = **at != '\0' ? xstrndup(*at, n) : NULL;

	*at += n + ((*at)[n] != '\0');
	return line;
}

/* Every line that is not meant, nor continues one that is, comes again, in the same order. */
static void
lines_kept(const char *dir, const char *before, const char *after)
{
	bool meant = false;
	char *line, *other;

	while ((line = next_line(&before)) != NULL) {
		if ((*line != ' ' && *line != '\t' && *line != '#') || strncmp(line + strspn(line, " \t"), "-o", 2) == 0)
			meant = false;
		meant = meant || is_meant(line);
		while (!meant) {
			bool same;

			other = next_line(&after);
			if (other == NULL)
				fail_msg("%s: the line \"%s\" is gone, or has moved", dir, line);
			same = strcmp(line, other) == 0;
			free(other);
			if (same)
				break;
		}
		free(line);
	}
}

static void
edit_one(const char *dir, void *arg)
{
	struct sections s, again;
	struct reading r, second;
	struct wanted_host w;
	struct plan p, empty;
	struct plan_options o = { .no_shadow = true };
	struct str ours = STR_INIT;
	struct err e = { .code = RC_OK };

	(void)arg;
	sections_of(dir, &s);
	sections_of(dir, &again);
	assert_int_equal(postfix_read(&s, &r, &e), 0);
	wish(&w, &r);
	if (postfix_plan(&r, &w, &o, &p, &e) != 0)
		fail_msg("%s: %s", dir, e.text);
	assert_false(plan_is_empty(&p));
	for (size_t i = 0; i < p.n_changes; i++) {
		char hex[65];

		if (p.changes[i].action == CHANGE_EDIT) {
			lines_kept(dir, p.changes[i].before.s, p.changes[i].after.s);
			recording_set(&again, strrchr(p.changes[i].path, '/') + 1, 0, p.changes[i].after.s);
			continue;
		}
		sha256_hex(p.changes[i].after.s, p.changes[i].after.len, hex);
		str_addf(&ours, "%s  %s\n", hex, p.changes[i].path);
	}
	recording_set(&again, "ours", 0, ours.s);
	recording_set(&again, "generations", 0, "1\n");
	str_release(&ours);
	assert_int_equal(postfix_read(&again, &second, &e), 0);
	assert_int_equal(postfix_plan(&second, &w, &o, &empty, &e), 0);
	if (!plan_is_empty(&empty)) {
		struct str text = STR_INIT;

		plan_render(&empty, &text);
		fail_msg("%s: a second plan is not empty:\n%s", dir, text.s);
	}
	plan_release(&p);
	plan_release(&empty);
	wanted_host_release(&w);
	reading_release(&r);
	reading_release(&second);
}

static void
edited_and_nothing_else(void **state)
{
	(void)state;
	each(edit_one, NULL);
}

/* --- pairs for postconf to judge --- */

struct pairs_arg { const char *dir; unsigned next; };

static void
put(const struct pairs_arg *a, const char *way, const char *file, const char *text)
{
	char *path = xasprintf("%s/%u/%s/%s", a->dir, a->next, way, file);
	struct err e;

	if (str_write_file(path, text, strlen(text), 0644, &e) != 0)
		fprintf(stderr, "%s\n", e.text);
	free(path);
}

/* As postconf -x and postconf -P print. What nobody sets is computed by each host for itself, so it is left out. */
static void
views(const struct view *v, struct str *expanded, struct str *services)
{
	for (const struct map_row *m = map_table; m->setting != NULL; m++)
		for (int i = 0; i < MAP_PARAMS && m->param[i] != NULL; i++) {
			const char *source;
			char *value = view_value(v, NULL, m->param[i]);

			(void)view_raw(v, NULL, m->param[i], &source);
			if (strcmp(source, "default") != 0)
				str_addf(expanded, "%s =%s%s\n", m->param[i], *value ? " " : "", value);
			free(value);
		}
	for (size_t i = 0; i < v->master.n; i++)
		for (size_t k = 0; k < v->master.v[i].n; k++)
			str_addf(services, "%s/%s/%s =%s%s\n", v->master.v[i].name, v->master.v[i].type, v->master.v[i].v[k].name,
			    *v->master.v[i].v[k].value ? " " : "", v->master.v[i].v[k].value);
}

static void
pair(const struct pairs_arg *a, const char *way, const struct sections *s)
{
	struct view v;
	struct str expanded = STR_INIT, services = STR_INIT;
	char *path = xasprintf("%s/%u/%s", a->dir, a->next, way);

	mkdir(path, 0755);
	free(path);
	if (view_load(&v, s, NULL) != 0)
		abort();
	views(&v, &expanded, &services);
	put(a, way, "main.cf", v.main.t.text.s);
	put(a, way, "master.cf", v.master.t.text.s);
	put(a, way, "expanded.view", expanded.s);
	put(a, way, "master.view", services.s);
	view_release(&v);
	str_release(&expanded);
	str_release(&services);
}

static void
write_one(const char *dir, void *arg)
{
	struct pairs_arg *a = arg;
	struct sections s, after;
	struct reading r;
	struct wanted_host w;
	struct plan p;
	struct plan_options o = { .no_shadow = true };
	struct err e = { .code = RC_OK };
	char *path = xasprintf("%s/%u", a->dir, a->next);

	mkdir(path, 0755);
	free(path);
	sections_of(dir, &s);
	sections_of(dir, &after);
	pair(a, "before", &s);
	if (postfix_read(&s, &r, &e) != 0)
		abort();
	wish(&w, &r);
	if (postfix_plan(&r, &w, &o, &p, &e) != 0)
		abort();
	for (size_t i = 0; i < p.n_changes; i++)
		if (p.changes[i].action == CHANGE_EDIT)
			recording_set(&after, strrchr(p.changes[i].path, '/') + 1, 0, p.changes[i].after.s);
	pair(a, "after", &after);
	sections_release(&after);
	plan_release(&p);
	wanted_host_release(&w);
	reading_release(&r);
	a->next++;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(read_as_expected), cmocka_unit_test(edited_and_nothing_else) };

	if (argc == 4 && strcmp(argv[1], "--write") == 0) {
		each(write_one, &(struct pairs_arg){ argv[2], (unsigned)strtoul(argv[3], NULL, 10) });
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
