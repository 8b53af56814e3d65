/* The Postfix configuration in force: settings of a service in master.cf stand over main.cf, which stands over what
 * Postfix assumes. Expands plain references; formulas ("${a?b}") stay as they are. Everything read here may be garbage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

#define EXPAND_STEPS 2000         /* references followed for one value */
#define EXPAND_DEPTH 20
#define VALUE_MAX (256 * 1024)

/* --- "name = value" lists as postconf prints them --- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

void
pairs_add(struct pairs *p, const char *name, const char *value)
{
	ARRAY_GROW(p->v, p->n);
	p->v[p->n++] = (struct pair){ xstrdup(name), xstrdup(value) };
}

void
pairs_sort(struct pairs *p)
{
	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), by_name);
}

void
pairs_read(struct pairs *p, const char *text)
{
	const char *line, *end, *name_end, *value;

	for (line = text; line && *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		name_end = line + strcspn(line, " =\n");
		value = name_end + strspn(name_end, " ");
		if (name_end == line || *value != '=')
			continue;
		for (value++; *value == ' '; value++)
			;
		ARRAY_GROW(p->v, p->n);
		p->v[p->n++] = (struct pair){ xstrndup(line, (size_t)(name_end - line)),
		    xstrndup(value, value < end ? (size_t)(end - value) : 0) };
	}
	pairs_sort(p);
}

const char *
pairs_get(const struct pairs *p, const char *name)
{
	struct pair key = { .name = (char *)(uintptr_t)name };
	const struct pair *found = p->n ? bsearch(&key, p->v, p->n, sizeof(*p->v), by_name) : NULL;

	return found ? found->value : NULL;
}

void
pairs_release(struct pairs *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		free(p->v[i].name);
		free(p->v[i].value);
	}
	free(p->v);
	*p = (struct pairs){ 0 };
}

/* --- loading --- */

static int
file_section(const struct sections *s, const char *name, const struct section **out, struct err *e)
{
	const struct section *f = section_find(s, name);

	if (f == NULL || f->status != 0) {
		err_set(e, RC_PARSE, "%s could not be read%s%.200s", name, f ? ": " : "", f ? clean(f->text.s) : "");
		return err_hint(e, "Postfix is installed there, but its configuration is not whole; see \"postfix check\".");
	}
	*out = f;
	return 0;
}

int
view_load(struct view *v, const struct sections *s, struct err *e)
{
	const char *version = section_text(s, "version");
	const struct section *main_cf = NULL, *master_cf = NULL;

	memset(v, 0, sizeof(*v));
	if (version == NULL || sscanf(version, "%d.%d", &v->version[0], &v->version[1]) != 2)
		return err_set(e, RC_NOMAIL, "there is no Postfix that tells its version (postconf -h mail_version: \"%.100s\")",
		    section_find(s, "version") ? clean(section_find(s, "version")->text.s) : "no answer");
	if (file_section(s, "main.cf", &main_cf, e) != 0 || file_section(s, "master.cf", &master_cf, e) != 0)
		return -1;
	pairs_read(&v->defaults, section_text(s, "defaults"));
	pairs_read(&v->expanded, section_text(s, "expanded"));
	if (main_cf_read(&v->main, main_cf->text.s, main_cf->text.len, e) != 0)
		return -1;
	return master_cf_read(&v->master, master_cf->text.s, master_cf->text.len, e);
}

static void
pairs_copy(struct pairs *to, const struct pairs *from)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		pairs_add(to, from->v[i].name, from->v[i].value);
}

int
view_copy(struct view *to, const struct view *from, struct err *e)
{
	memset(to, 0, sizeof(*to));
	memcpy(to->version, from->version, sizeof(to->version));
	to->standard = xstrdup(from->standard);
	pairs_copy(&to->defaults, &from->defaults);
	pairs_copy(&to->expanded, &from->expanded);
	pairs_copy(&to->run, &from->run);
	if (main_cf_read(&to->main, from->main.t.text.s, from->main.t.text.len, e) != 0)
		return -1;
	return master_cf_read(&to->master, from->master.t.text.s, from->master.t.text.len, e);
}

void
view_release(struct view *v)
{
	free(v->standard);
	pairs_release(&v->run);
	main_cf_release(&v->main);
	master_cf_release(&v->master);
	pairs_release(&v->defaults);
	pairs_release(&v->expanded);
	memset(v, 0, sizeof(*v));
}

/* --- values --- */

const char *
view_raw(const struct view *v, const struct master_service *service, const char *name, const char **source)
{
	const char *value = service ? master_cf_option(service, name) : NULL, *from = "master.cf";

	if (service && strcmp(name, "service_name") == 0)        /* Postfix sets it itself, from 3.3 on */
		value = service->name;
	if (value == NULL) {
		value = main_cf_get(&v->main, name);
		from = "main.cf";
		if (v->settled && value && pairs_get(&v->expanded, name))
			value = pairs_get(&v->expanded, name);
	}
	if (value == NULL) {
		value = pairs_get(&v->expanded, name);
		if (value == NULL)
			value = pairs_get(&v->defaults, name);
		from = "default";
	}
	if (source)
		*source = from;
	return value ? value : "";
}

struct expansion { const struct view *v; const struct master_service *service; struct str out; int steps; };

/* One reference at *p (which points behind the '$'); false when it is not a plain name. */
static bool
expand_name(const char **p, char *name, size_t size)
{
	const char *s = *p, close = *s == '{' ? '}' : *s == '(' ? ')' : '\0';
	size_t n;

	s += close != '\0';
	n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	if (n == 0 || n >= size || (close && s[n] != close))
		return false;
	memcpy(name, s, n);
	name[n] = '\0';
	*p = s + n + (close != '\0');
	return true;
}

static void
expand(struct expansion *x, const char *text, int depth)
{
	char name[128];

	while (*text) {
		size_t plain = strcspn(text, "$");

		str_addn(&x->out, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		text++;
		if (*text == '$') {
			str_addc(&x->out, *text++);
		} else if (depth < EXPAND_DEPTH && x->steps < EXPAND_STEPS && expand_name(&text, name, sizeof(name))) {
			x->steps++;
			expand(x, view_raw(x->v, x->service, name, NULL), depth + 1);
		} else {
			str_addc(&x->out, '$');
		}
	}
}

char *
view_value(const struct view *v, const struct master_service *service, const char *name)
{
	struct expansion x = { .v = v, .service = service };

	str_init(&x.out, VALUE_MAX);
	expand(&x, view_raw(v, service, name, NULL), 0);
	return str_take(&x.out);
}

bool
view_yes(const struct view *v, const struct master_service *service, const char *name)
{
	char *value = view_value(v, service, name);
	bool yes = strcasecmp(value, "yes") == 0;

	free(value);
	return yes;
}

bool
view_empty(const struct view *v, const struct master_service *service, const char *name)
{
	char *value = view_value(v, service, name);
	bool empty = *value == '\0';

	free(value);
	return empty;
}

/* An empty level means what the parameters of Postfix 2.2 say (postconf(5), smtpd_use_tls). */
char *
view_level(const struct view *v, const struct master_service *service, bool client)
{
	char *level = view_value(v, service, client ? "smtp_tls_security_level" : "smtpd_tls_security_level");

	if (*level)
		return level;
	free(level);
	if (view_yes(v, service, client ? "smtp_enforce_tls" : "smtpd_enforce_tls"))
		return xstrdup(client && view_yes(v, service, "smtp_tls_enforce_peername") ? "verify" : "encrypt");
	return xstrdup(view_yes(v, service, client ? "smtp_use_tls" : "smtpd_use_tls") ? "may" : "none");
}

char *
view_param(const struct view *v, const struct master_service *service, const char *name)
{
	if (strcmp(name, "smtpd_tls_security_level") == 0 || strcmp(name, "smtp_tls_security_level") == 0)
		return view_level(v, service, strcmp(name, "smtp_tls_security_level") == 0);
	return view_value(v, service, name);
}

bool
version_at_least(const int version[2], int major, int minor)
{
	return version[0] > major || (version[0] == major && version[1] >= minor);
}

/* --- services --- */

bool
service_is_server(const struct master_service *s)
{
	const char *command = strrchr(s->command, '/');

	command = command ? command + 1 : s->command;
	return strcmp(s->type, "inet") == 0 && (strcmp(command, "smtpd") == 0 || strcmp(command, "postscreen") == 0);
}

int
service_port(const char *name, char *address, size_t size)
{
	static const struct { const char *name; int port; } ports[] = {
		{ "smtp", 25 }, { "mail", 25 }, { "submission", 587 }, { "submissions", 465 }, { "smtps", 465 }, { "urd", 465 },
	};
	const char *colon = strrchr(name, ':'), *port = colon ? colon + 1 : name, *host = name;
	size_t i, len = colon ? (size_t)(colon - name) : 0;
	long n;
	char *end;

	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	if (address && size)
		snprintf(address, size, "%.*s", (int)(len < 255 ? len : 255), host);
	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (strcasecmp(port, ports[i].name) == 0)
			return ports[i].port;
	n = strtol(port, &end, 10);
	return end != port && *end == '\0' && n > 0 && n < 65536 ? (int)n : 0;
}

/* "smtp" itself, else the first on port 25 that the world can reach, else any on port 25. */
const struct master_service *
view_default_service(const struct view *v)
{
	const struct master_service *best = v->standard ? master_cf_find(&v->master, v->standard, "inet") : NULL;
	int best_rank = 0;
	size_t i;

	if (v->standard)
		return best;
	for (i = 0; i < v->master.n; i++) {
		const struct master_service *s = &v->master.v[i];
		char address[256], *added;
		int rank = 0;

		if (!service_is_server(s) || service_port(s->name, address, sizeof(address)) != 25)
			continue;
		added = master_cf_owner(&v->master, s);            /* beside the default one, whatever that is */
		free(added);
		if (added)
			continue;
		rank = strcmp(s->name, "smtp") == 0 ? 4 : *address == '\0' ? 3
		    : strncmp(address, "127.", 4) != 0 && strcmp(address, "::1") != 0 && strcmp(address, "localhost") != 0 ? 2 : 1;
		if (rank > best_rank) {
			best = s;
			best_rank = rank;
		}
	}
	return best;
}
