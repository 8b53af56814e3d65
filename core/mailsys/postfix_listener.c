/* Virtual servers as services of master.cf: an inet service for the listener, and where one sends by itself a client
 * service of its own. Added ones stand below our comment, by which they are known again. A stopped one is commented out, a
 * paused one answers 421; both are edited as if they ran, and stopped or paused again at the end. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

#define RUNS_MAX 64               /* stopped and paused ones that are brought back: each means to read the file anew */

/* Behind the service's own settings, of which the last one counts. smtpd answers the greeting with it and hangs up. */
static const char pause_text[] = "\n  -o smtpd_client_restrictions=defer\n  -o defer_code=421\n  -o smtpd_delay_reject=no";

/* --- as it runs --- */

void
view_start(struct view *v)
{
	const struct master_service *s;
	size_t from = 0, i;
	char *name, *type;

	while (v->run.n < RUNS_MAX && master_cf_start(&v->master, &from, &name, &type)) {
		s = master_cf_find(&v->master, name, type);
		if (s && service_is_server(s))
			pairs_add(&v->run, name, "stopped");
		else
			(void)master_cf_stop(&v->master, name, type, NULL);
		free(name);
		free(type);
	}
	pairs_sort(&v->run);
	for (i = 0; i < v->master.n && v->run.n < 2 * RUNS_MAX; i++) {
		bool stopped = pairs_get(&v->run, v->master.v[i].name) != NULL;

		if (!service_is_server(&v->master.v[i]) || !service_paused(&v->master.v[i]))
			continue;
		name = xstrdup(v->master.v[i].name);
		if (master_cf_drop(&v->master, name, "inet", pause_text) && !stopped) {
			pairs_add(&v->run, name, "paused");
			pairs_sort(&v->run);
		}
		free(name);
	}
	s = view_default_service(v);
	v->standard = s ? xstrdup(s->name) : NULL;
}

const char *
view_run(const struct view *v, const struct master_service *s)
{
	const char *run = pairs_get(&v->run, s->name);

	return run ? run : "started";
}

bool
service_paused(const struct master_service *s)
{
	return text_eq(master_cf_option(s, "smtpd_client_restrictions"), "defer")
	    && text_eq(master_cf_option(s, "defer_code"), "421") && text_eq(master_cf_option(s, "smtpd_delay_reject"), "no");
}

/* --- names --- */

char *
service_vs(const struct view *v, const struct master_service *s)
{
	char *owner = master_cf_owner(&v->master, s);

	return owner ? owner : xstrdup(s->name);
}

char *
service_name(const char *listen)
{
	return xstrdup(text_starts(listen, "0.0.0.0:") ? listen + strlen("0.0.0.0:") : listen);
}

char *
client_of(const struct view *v, const struct master_service *s)
{
	size_t n = strlen(s->name);

	if (strcmp(s->type, "unix") != 0 || strcmp(s->command, "smtp") != 0 || n < 5 || strcmp(s->name + n - 4, "-out") != 0)
		return NULL;
	return master_cf_owner(&v->master, s);
}

/* Is this service, named as the client of a virtual server's own, really that? By our comment, and when somebody took that
 * away by the name in the log. */
static bool
is_client_of(const struct view *v, const struct master_service *s, const char *vs)
{
	char *owner = master_cf_owner(&v->master, s), *log = xasprintf("postfix/%s", s->name);
	bool yes = strcmp(s->command, "smtp") == 0 && (owner ? strcmp(owner, vs) == 0 : text_eq(master_cf_option(s, "syslog_name"), log));

	free(owner);
	free(log);
	return yes;
}

const struct master_service *
vs_client(const struct view *v, const char *vs, bool is_default)
{
	char *name = wanted_client_name(vs);
	const struct master_service *s = is_default ? NULL : master_cf_find(&v->master, name, "unix");

	free(name);
	return s && is_client_of(v, s, vs) ? s : master_cf_find(&v->master, CLIENT_SERVICE, "unix");
}

/* One that we added by our comment, and when somebody took that away by where it listens: a service of the same name is
 * another one. Else by its own name. */
const struct master_service *
vs_service(const struct view *v, const struct wanted_vs *vs)
{
	bool ours = vs->ours && !text_empty(vs->listen);
	const struct master_service *s = vs->is_default ? view_default_service(v)
	    : ours ? NULL : master_cf_find(&v->master, vs->name, "inet");
	size_t i;

	for (i = 0; s == NULL && !vs->is_default && i < v->master.n; i++) {
		char *owner = master_cf_owner(&v->master, &v->master.v[i]);

		if (strcmp(v->master.v[i].type, "inet") == 0 && text_eq(owner, vs->name))
			s = &v->master.v[i];
		free(owner);
	}
	if (s == NULL && text_eq(vs->ours, "added") && !text_empty(vs->listen)) {
		char *name = service_name(vs->listen);

		s = master_cf_find(&v->master, name, "inet");
		free(name);
	}
	return s && service_is_server(s) ? s : NULL;
}

/* --- added --- */

/* Does this Postfix ask anybody for passwords, or know whom to ask? */
static bool
has_sasl(const struct view *v)
{
	const char *source;
	bool yes = view_yes(v, NULL, "smtpd_sasl_auth_enable");
	size_t i;

	for (i = 0; i < v->master.n; i++)
		yes = yes || (service_is_server(&v->master.v[i]) && view_yes(v, &v->master.v[i], "smtpd_sasl_auth_enable"));
	(void)view_raw(v, NULL, "smtpd_sasl_path", &source);
	yes = yes || strcmp(source, "main.cf") == 0;
	(void)view_raw(v, NULL, "smtpd_sasl_type", &source);
	return yes || strcmp(source, "main.cf") == 0;
}

/* The eight fields, in the columns that everybody knows. model: whose chroot and the like it has. */
static void
service_line(struct str *out, const char *name, const char *type, const char *private, const struct master_service *model,
        const char *command)
{
	str_addf(out, "%-9s %-5s %-7s %-7s %-7s %-7s %-7s %s\n", name, type, private,
	    model ? model->column[MASTER_UNPRIV] : "-", model ? model->column[MASTER_CHROOT] : "n", "-", "-", command);
}

/* As Debian's master.cf has it for those who hand in mail with a password. */
static void
submission_options(struct str *out, const struct view *v, const struct wanted_vs *vs, struct plan *p)
{
	bool sasl = has_sasl(v);

	if (strcmp(vs->kind, "submissions") == 0)
		str_add(out, "  -o smtpd_tls_wrappermode=yes\n");
	else
		str_add(out, "  -o smtpd_tls_security_level=encrypt\n");
	if (sasl)
		str_add(out, "  -o smtpd_sasl_auth_enable=yes\n");
	else
		plan_warn(p, "%s: Postfix asks for no passwords on this host (SASL is not set up), so only who is in mynetworks can hand "
		    "in mail there", clean(vs->name));
	str_addf(out, "  -o smtpd_tls_auth_only=yes\n  -o smtpd_client_restrictions=\n  -o smtpd_helo_restrictions=\n"
	    "  -o smtpd_reject_unlisted_recipient=no\n  -o smtpd_recipient_restrictions=\n"
	    "  -o smtpd_relay_restrictions=%s,reject\n  -o milter_macro_daemon_name=ORIGINATING\n",
	    sasl ? "permit_sasl_authenticated" : "permit_mynetworks");
}

static int
add_listener(struct view *v, const struct wanted_vs *vs, struct plan *p, struct err *e)
{
	char *name = service_name(vs->listen);
	struct str text = STR_INIT;
	int rc;

	service_line(&text, name, "inet", "n", view_default_service(v), "smtpd");
	str_addf(&text, "  -o syslog_name=postfix/%s\n", vs->name);
	if (text_starts(vs->kind, "submission"))
		submission_options(&text, v, vs, p);
	rc = master_cf_add(&v->master, vs->name, text.s, e);
	free(name);
	str_release(&text);
	return rc;
}

/* --- clients of their own --- */

static int
add_client(struct view *v, const struct wanted_vs *vs, struct err *e)
{
	const struct master_service *host = master_cf_find(&v->master, CLIENT_SERVICE, "unix");
	struct str text = STR_INIT;
	int rc;

	service_line(&text, vs->client, "unix", host ? host->column[MASTER_PRIVATE] : "-", host, "smtp");
	str_addf(&text, "  -o syslog_name=postfix/%s\n  -o smtp_tls_policy_maps=\n", vs->client);
	rc = master_cf_add(&v->master, vs->name, text.s, e);
	str_release(&text);
	return rc;
}

/* Is a client there under this name, and is it the one of this virtual server? */
static int
find_client(struct view *v, const struct wanted_vs *vs, struct err *e)
{
	const struct master_service *s = master_cf_find(&v->master, vs->client, "unix");

	if (s == NULL)
		return add_client(v, vs, e);
	if (is_client_of(v, s, vs->name))
		return 0;
	err_set(e, RC_CONFLICT, "master.cf has a service \"%s unix\" that is not of %s", clean(vs->client), clean(vs->name));
	return err_hint(e, "give the virtual server another name");
}

/* Does a rule of the administrator's send mail by this service? */
static bool
used_by_others(const struct view *v, const struct reading *have, const struct file_list *files, const char *service)
{
	static const char *const params[] = { "default_transport", "relay_transport", "transport_maps",
		"sender_dependent_default_transport_maps", "content_filter" };
	char *word = xasprintf("%s:", service);
	bool used = false;
	size_t i;

	for (i = 0; i < sizeof(params) / sizeof(params[0]) && !used; i++) {
		char *value = view_value(v, NULL, params[i]);

		used = strcmp(value, service) == 0 || strstr(value, word);
		free(value);
	}
	for (i = 0; i < files->n && !used; i++) {
		const char *text = files->v[i].kind == FILE_MAP && !text_starts(files->v[i].path, OURS_DIR)
		    ? file_text(files, &have->sections, FILE_MAP, files->v[i].path, "map") : NULL;

		used = text && strstr(text, word);
	}
	free(word);
	return used;
}

/* Clients that we added and that nobody needs any more. */
static void
drop_clients(struct view *v, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        struct plan *p)
{
	size_t i, k;

	for (i = v->master.n; i-- > 0; ) {
		char *owner = client_of(v, &v->master.v[i]), *name = xstrdup(v->master.v[i].name);

		for (k = 0; owner && k < want->n_vs && strcmp(want->vs[k].name, owner) != 0; k++)
			;
		if (owner && k < want->n_vs && (want->vs[k].client == NULL || text_eq(want->vs[k].ours, "removed"))) {
			if (used_by_others(v, have, files, name))
				plan_warn(p, "the client service %s stays: a rule of the administrator's sends mail by it", clean(name));
			else
				master_cf_remove(&v->master, name, "unix");
		}
		free(owner);
		free(name);
	}
}

int
listeners_begin(struct view *v, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        struct plan *p, struct err *e)
{
	size_t i;

	for (i = 0; i < want->n_vs; i++) {
		const struct wanted_vs *vs = &want->vs[i];

		if (text_eq(vs->ours, "removed"))
			continue;
		if (text_eq(vs->ours, "added") && !text_empty(vs->listen) && !text_empty(vs->kind) && vs_service(v, vs) == NULL
		    && add_listener(v, vs, p, e) != 0)
			return -1;
		if (vs->client && find_client(v, vs, e) != 0)
			return -1;
	}
	drop_clients(v, have, files, want, p);
	return 0;
}

/* --- taken out, stopped, paused --- */

static const struct wanted_vs *
vs_of(const struct view *v, const struct wanted_host *want, const struct master_service *s)
{
	size_t i;

	for (i = 0; i < want->n_vs; i++)
		if (vs_service(v, &want->vs[i]) == s)
			return &want->vs[i];
	return NULL;
}

static int
end_one(struct view *v, const struct wanted_vs *vs, const char *name, struct err *e)
{
	const struct master_service *s = master_cf_find(&v->master, name, "inet");
	const char *run = vs && vs->run ? vs->run : view_run(v, s), *slash = strrchr(s->command, '/');

	if (vs && text_eq(vs->ours, "removed")) {
		if (vs->is_default)
			return err_set(e, RC_INVALID, "%s is the default virtual server: it can be stopped, but not removed", clean(vs->name));
		master_cf_remove(&v->master, name, "inet");
		return 0;
	}
	if (strcmp(run, "stopped") == 0)
		return master_cf_stop(&v->master, name, "inet", e);
	if (strcmp(run, "paused") != 0)
		return 0;
	if (strcmp(slash ? slash + 1 : s->command, "smtpd") != 0) {
		err_set(e, RC_INVALID, "%s cannot be paused: %s greets there, and does not know how to", clean(name), clean(s->command));
		return err_hint(e, "it can be stopped");
	}
	if (master_cf_put(&v->master, name, "inet", pause_text, e) != 0)
		return -1;
	s = master_cf_find(&v->master, name, "inet");
	return s && service_paused(s) ? 0
	    : err_set(e, RC_PARSE, "master.cf: the service \"%s inet\" cannot be paused: is a brace left open?", clean(name));
}

int
listeners_end(struct view *v, const struct wanted_host *want, struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = v->master.n; i-- > 0 && rc == 0; ) {
		char *name;

		if (!service_is_server(&v->master.v[i]))
			continue;
		name = xstrdup(v->master.v[i].name);
		rc = end_one(v, vs_of(v, want, &v->master.v[i]), name, e);
		free(name);
	}
	return rc;
}

/* --- judged and proved --- */

/* The same address and port, or before 3.6 one that takes in the other: later ones share the port (SO_REUSEPORT), and who
 * listens on a single address gets what comes to that. */
static bool
meet(const char *a, const char *b, bool shares)
{
	const char *port_a = strrchr(a, ':'), *port_b = strrchr(b, ':');

	if (strcmp(a, b) == 0)
		return true;
	if (shares || port_a == NULL || port_b == NULL || strcmp(port_a, port_b) != 0 || (*a == '[') != (*b == '['))
		return false;
	return text_starts(a, "0.0.0.0:") || text_starts(b, "0.0.0.0:") || text_starts(a, "[::]:") || text_starts(b, "[::]:");
}

char *
listeners_meet(const struct view *v, const struct master_service *a, const struct master_service *b)
{
	struct str one = STR_INIT, other = STR_INIT;
	char **x, **y, *text = NULL;
	size_t i, k;

	if (strcmp(a->type, "inet") != 0 || strcmp(b->type, "inet") != 0
	    || service_port(a->name, NULL, 0) != service_port(b->name, NULL, 0))
		return NULL;
	service_listen(v, a, &one);
	service_listen(v, b, &other);
	x = words_split(one.s, " ", NULL);
	y = words_split(other.s, " ", NULL);
	for (i = 0; x && x[i] && !text; i++)
		for (k = 0; y && y[k] && !text; k++)
			if (meet(x[i], y[k], version_at_least(v->version, 3, 6)))
				text = xasprintf("it listens on %s, as the service %s does: one of them would get the other's mail",
				    clean(x[i]), clean(b->name));
	words_free(x);
	words_free(y);
	str_release(&one);
	str_release(&other);
	return text;
}

void
listeners_judge(struct plan *p, const struct wanted_host *want, const struct view *started)
{
	size_t i;

	for (i = 0; i < want->n_vs; i++) {
		const struct wanted_vs *vs = &want->vs[i];
		const struct master_service *s = text_eq(vs->ours, "added") ? vs_service(started, vs) : NULL;
		char *cert, *key, *level, *name;

		if (s == NULL || !text_starts(vs->kind, "submission"))
			continue;
		service_cert_files(started, s, &cert, &key);
		level = view_level(started, s, false);
		name = xasprintf("%s: passwords are asked for with TLS only", clean(vs->name));
		if (*cert == '\0' && (strcmp(level, "none") != 0 || view_yes(started, s, "smtpd_tls_wrappermode")))
			plan_check(p, name, false, "it has no certificate, so nobody could hand in mail there: request or assign one first");
		free(cert);
		free(key);
		free(level);
		free(name);
	}
}

/* Does anything listen on this address in v? */
static bool
is_taken(const struct view *v, const char *listen)
{
	bool taken = false;
	size_t i, k;

	for (i = 0; i < v->master.n && !taken; i++) {
		struct str words = STR_INIT;
		char **w;

		if (strcmp(v->master.v[i].type, "inet") != 0)
			continue;
		service_listen(v, &v->master.v[i], &words);
		w = words_split(words.s, " ", NULL);
		for (k = 0; w && w[k] && !taken; k++)
			taken = meet(w[k], listen, false);
		words_free(w);
		str_release(&words);
	}
	return taken;
}

void
listeners_proof(struct plan *p, const struct view *before, const struct view *after)
{
	const struct proof_want gone = { .state = PROOF_GONE };
	size_t i, k;

	for (i = 0; i < before->master.n; i++) {
		struct str words = STR_INIT;
		char **w;

		if (!service_is_server(&before->master.v[i]))
			continue;
		service_listen(before, &before->master.v[i], &words);
		w = words_split(words.s, " ", NULL);
		for (k = 0; w && w[k]; k++)
			if ((k == 0 || w[k][0] != '[') && !is_taken(after, w[k]))
				proof_add(p, &gone, w[k]);
		words_free(w);
		str_release(&words);
	}
}
