/* See the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"
#include "support/recording.h"
#include "support/want.h"

/* --- from words to what a store would ask --- */

static void
read_certificate(struct certificate *c, const char *name)
{
	struct str pem = STR_INIT;
	struct err e;
	char *path = xasprintf(GOLDEN "%s.pem", name);

	if (str_read_file(&pem, path, CERT_MAX, &e) != 0 || cert_read(pem.s, pem.len, NULL, c, &e) != 0)
		fail_msg("%s: %s", path, e.text);
	xset(&c->name, name);
	free(c->key_path);
	c->key_path = xasprintf("/var/lib/mxseal/keys/%s.key", name);
	str_release(&pem);
	free(path);
}

static struct wanted_vs *
wanted_vs(struct wanted_host *w, const struct reading *r, const char *name, size_t len)
{
	struct wanted_vs *vs;
	size_t i;

	for (i = 0; i < w->n_vs; i++)
		if (strlen(w->vs[i].name) == len && strncmp(w->vs[i].name, name, len) == 0)
			return &w->vs[i];
	vs = &w->vs[w->n_vs++];
	vs->name = xstrndup(name, len);
	vs->is_default = strcmp(r->vservers.v[0].name, vs->name) == 0;
	return vs;
}

static void
listener_make(struct wanted_vs *vs, const char *rest)
{
	char *copy = xstrdup(rest), *next = copy;
	char **const fields[] = { &vs->ours, &vs->listen, &vs->kind, &vs->run, &vs->client };
	size_t k;

	for (k = 0; k < 5; k++) {
		const char *text = strsep(&next, "|");

		*fields[k] = *text ? xstrdup(text) : NULL;
	}
	free(copy);
}

void
want_make(struct wanted_host *w, struct certificate certificates[4], const struct reading *r, const struct want *want)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	memset(certificates, 0, 4 * sizeof(*certificates));
	w->vs = xcalloc(32, sizeof(*w->vs));
	for (i = 0; want->settings[i]; i++) {
		const char *bar = strchr(want->settings[i], '|'), *slash = strchr(want->settings[i], '/'), *equals;
		struct wanted *s;

		if (bar) {
			listener_make(wanted_vs(w, r, want->settings[i], (size_t)(bar - want->settings[i])), bar + 1);
			continue;
		}
		equals = strchr(slash, '=');
		s = wanted_list_add(&wanted_vs(w, r, want->settings[i], (size_t)(slash - want->settings[i]))->settings);

		s->name = xstrndup(slash + 1, (size_t)(equals - slash - 1));
		s->value = xstrdup(equals + 1);
		s->scope = xstrdup("vs");
	}
	for (i = 0; want->certificates[i]; i++) {
		const char *equals = strchr(want->certificates[i], '=');
		struct wanted_vs *vs = wanted_vs(w, r, want->certificates[i], (size_t)(equals - want->certificates[i]));

		vs->certificate_set = true;
		if (equals[1]) {
			read_certificate(&certificates[i], equals + 1);
			vs->certificate = &certificates[i];
		}
	}
	for (i = 0; want->connectors[i]; i++) {
		struct connector *c = connector_list_add(&w->connectors);
		char *copy = xstrdup(want->connectors[i]), *rest = copy;

		c->name = xstrdup(strsep(&rest, "|"));
		c->domains = xstrdup(strsep(&rest, "|"));
		c->tls = xstrdup(strsep(&rest, "|"));
		c->match = xstrdup(rest);
		c->route = xstrdup("dns");
		free(copy);
	}
}

void
want_free(struct wanted_host *w, struct certificate certificates[4])
{
	size_t i;

	for (i = 0; i < 4; i++)
		certificate_release(&certificates[i]);
	wanted_host_release(w);
}

void
want_load(const char *name, struct sections *s)
{
	char path[512];

	snprintf(path, sizeof(path), GOLDEN "%s.rec", name);
	recording_load(path, s);
}

void
want_read(struct sections *s, struct reading *r)
{
	struct err e;

	if (mailsys_postfix.read(s, r, &e) != 0)
		fail_msg("%s", e.text);
}

/* --- a plan as text --- */

void
plan_dump(const struct plan *p, struct str *out)
{
	size_t i;

	str_addf(out, "generation %d\n", (int)p->generation);
	for (i = 0; i < p->n_results; i++)
		str_addf(out, "%s: %s%s%s\n", p->results[i].ok ? "good" : "BAD", p->results[i].name,
		    *p->results[i].text ? ": " : "", p->results[i].text);
	for (i = 0; i < p->n_warnings; i++)
		str_addf(out, "warning: %s\n", p->warnings[i]);
	for (i = 0; i < p->n_wants; i++)
		str_addf(out, "prove %s%s at %s port %d%s%s%s%s%s %.16s\n", p->wants[i].state == PROOF_GONE ? "gone "
		    : p->wants[i].state == PROOF_PAUSED ? "paused " : "", p->wants[i].listen, p->wants[i].address, p->wants[i].port,
		    p->wants[i].implicit_tls ? " implicit" : "", p->wants[i].want_tls ? " tls" : "",
		    p->wants[i].forbid_tls ? " no-tls" : "", p->wants[i].name ? " name " : "",
		    p->wants[i].name ? p->wants[i].name : "", *p->wants[i].sha256 ? p->wants[i].sha256 : "any");
	for (i = 0; i < p->checks.n; i++)
		str_addf(out, "check: %s\n", p->checks.v[i].name);
	for (i = 0; i < p->n_changes; i++)
		str_addf(out, "\n==== %s %s mode %04o%s%s%s\n%s", p->changes[i].action == CHANGE_EDIT ? "edit" : "create",
		    p->changes[i].path, p->changes[i].mode, p->changes[i].key_path ? " behind the key " : "",
		    p->changes[i].key_path ? p->changes[i].key_path : "", p->changes[i].is_switch ? " (switch)" : "",
		    p->changes[i].after.s);
}

/* --- a host after the push, made from the recording --- */

/* What the host's files would answer to the second look: the same commands, from the plan or from the recording. */
static char *
answer(const struct plan *p, const struct sections *old, const struct command_list *old_more, const struct command *c)
{
	const char *path = c->argv[0] && strcmp(c->argv[0], "openssl") == 0 ? c->argv[3] : NULL;
	size_t i, n;

	for (n = 0; c->argv[n]; n++)
		;
	path = path ? path : c->argv[n - 1];
	for (i = 0; i < p->n_changes; i++) {
		const struct section *keys = section_find(old, "keys");
		const char *key;
		char *line;

		if (strcmp(p->changes[i].path, path) != 0)
			continue;
		if (text_starts(c->name, "mode."))
			return xstrdup("600 root:root\n");
		if (p->changes[i].key_path == NULL || text_starts(c->name, "cert."))
			return xstrdup(p->changes[i].after.s);
		line = xasprintf("key %s\n", p->changes[i].key_path);
		key = strstr(keys->text.s, line);
		assert_non_null(key);
		key += strlen(line);
		free(line);
		return xstrndup(key, (size_t)(strstr(key, "-----END PUBLIC KEY-----") + 25 - key));
	}
	for (i = 0; i < old_more->n; i++) {
		bool same = strncmp(old_more->v[i].name, c->name, strcspn(c->name, ".") + 1) == 0;

		for (n = 0; same && c->argv[n]; n++)
			same = text_eq(c->argv[n], old_more->v[i].argv[n]);
		if (same)
			return xstrdup(section_text(old, old_more->v[i].name));
	}
	return NULL;
}

void
want_apply(struct sections *s, const struct plan *p)
{
	struct command_list before = { NULL, 0 }, after = { NULL, 0 };
	struct str ours = STR_INIT, numbers = STR_INIT;
	char **answers;
	size_t i;

	assert_int_equal(mailsys_postfix.more(s, &before, NULL), 0);
	for (i = 0; i < p->n_changes; i++) {
		const struct change *c = &p->changes[i];
		char hex[65];

		if (c->is_switch) {
			recording_set(s, strrchr(c->path, '/') + 1, 0, c->after.s);
			continue;
		}
		sha256_hex(c->after.s, c->after.len, hex);
		str_addf(&ours, "%s  %s\n", hex, c->path);
	}
	str_addf(&numbers, "/etc/mxseal:\n%d\n", (int)p->generation);
	assert_int_equal(mailsys_postfix.more(s, &after, NULL), 0);
	answers = xcalloc(after.n + 1, sizeof(*answers));
	for (i = 0; i < after.n; i++)
		answers[i] = answer(p, s, &before, &after.v[i]);
	for (i = 0; i < after.n; i++) {
		recording_set(s, after.v[i].name, answers[i] ? 0 : 1, answers[i] ? answers[i] : "");
		free(answers[i]);
	}
	recording_set(s, "ours", 0, ours.s);
	recording_set(s, "generations", 0, numbers.s);
	free(answers);
	command_list_release(&before);
	command_list_release(&after);
	str_release(&ours);
	str_release(&numbers);
}

static void
plan_of(const struct want *w, const char *recording, const char *section, const char *text, struct str *out)
{
	struct certificate certificates[4];
	struct wanted_host want;
	struct sections s;
	struct reading r;
	struct plan p;
	struct err e;

	want_load(recording, &s);
	if (section)
		recording_set(&s, section, 0, text);
	want_read(&s, &r);
	want_make(&want, certificates, &r, w);
	if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != 0)
		fail_msg("%s", e.text);
	plan_dump(&p, out);
	plan_release(&p);
	reading_release(&r);
	want_free(&want, certificates);
}

void
plan_contains(const struct want *w, const char *recording, const char *section, const char *text, const char *must)
{
	struct str out = STR_INIT;

	plan_of(w, recording, section, text, &out);
	if (strstr(out.s, must) == NULL)
		fail_msg("no \"%s\" in:\n%s", must, out.s);
	str_release(&out);
}

void
plan_lacks(const struct want *w, const char *recording, const char *section, const char *text, const char *must_not)
{
	struct str out = STR_INIT;

	plan_of(w, recording, section, text, &out);
	if (strstr(out.s, must_not) != NULL)
		fail_msg("\"%s\" in:\n%s", must_not, out.s);
	str_release(&out);
}

/* One push of what is wanted; master_cf gets the file after it. */
void
want_stage(struct sections *s, const struct want *w, struct str *master_cf)
{
	struct certificate certificates[4];
	struct wanted_host want;
	struct reading r;
	struct plan p;
	struct err e;
	struct sections copy = { 0 };

	for (size_t i = 0; i < s->n; i++)
		recording_set(&copy, s->v[i].name, s->v[i].status, s->v[i].text.s);
	want_read(&copy, &r);
	want_make(&want, certificates, &r, w);
	if (mailsys_postfix.plan(&r, &want, &(struct plan_options){ false }, &p, &e) != 0)
		fail_msg("%s", e.text);
	want_apply(s, &p);
	str_reset(master_cf);
	str_add(master_cf, section_text(s, "master.cf"));
	plan_release(&p);
	reading_release(&r);
	want_free(&want, certificates);
}
