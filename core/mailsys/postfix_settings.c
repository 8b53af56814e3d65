/* Settings of virtual servers, written into main.cf and master.cf: each parameter where its program reads it, only where it
 * means something else than what is there, and where a service says otherwise for itself, there too. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

/* The client service that settings of a wanted virtual server go to; NULL: it has none of its own. */
static const struct master_service *
wanted_client(const struct view *v, const struct wanted_vs *vs)
{
	if (vs->is_default)
		return master_cf_find(&v->master, CLIENT_SERVICE, "unix");
	return vs->client ? master_cf_find(&v->master, vs->client, "unix") : NULL;
}

/* --- one parameter --- */

/* A permit behind a $name may never be asked for: what that stands for can end in a reject. */
static bool
permit_is_hidden(const struct map_row *row, const char *value, const char *list)
{
	const char *dollar = strchr(list, '$'), *permit = strstr(list, "permit_sasl_authenticated");

	return row->kind == MAP_MAY_RELAY && strcmp(value, "yes") == 0 && dollar && permit && dollar < permit;
}

/* A list is edited as it is written, so that names in it stay names. What stands behind such a name is not edited here. */
static int
edit_as_written(struct render *r, const struct master_service *service, const struct map_row *row, int i, const char *value,
        char **out, struct err *e)
{
	const char *raw = view_raw(&r->v, service, row->param[i], NULL);

	free(*out);
	*out = map_native(row, i, value, r->v.version, raw);
	if (strstr(raw, "${") == NULL && strcmp(*out, raw) != 0 && !permit_is_hidden(row, value, *out))
		return 0;
	free(*out);
	*out = NULL;
	return err_set(e, RC_INVALID, "%s: %s is written as \"%s\", which is not edited here: change it on the host", row->setting,
	    row->param[i], clean(raw));
}

/* The native value for one place, or NULL: it already means the same there. */
static int
value_for(struct render *r, const struct master_service *service, const struct map_row *row, int i, const char *value,
        char **out, struct err *e)
{
	char *now = view_param(&r->v, service, row->param[i]), *native = map_native(row, i, value, r->v.version, now);
	int rc = 0;

	*out = NULL;
	if (native == NULL)
		rc = err_set(e, RC_BUG, "%s has no native form of \"%s\"", row->param[i], value);
	else if (!map_same(row, i, now, native)) {
		*out = native;
		native = NULL;
		if (map_is_edit(row))
			rc = edit_as_written(r, service, row, i, value, out, e);
	}
	free(now);
	free(native);
	return rc;
}

int
setting_on_service(struct render *r, const struct master_service *service, const struct map_row *row, int i, const char *value,
        struct err *e)
{
	char *native = NULL;
	int rc = value_for(r, service, row, i, value, &native, e);

	if (rc == 0 && native)
		rc = master_cf_set(&r->v.master, service->name, service->type, row->param[i], native, e);
	free(native);
	return rc;
}

int
setting_on_main(struct render *r, const struct master_service *service, const struct map_row *row, int i, const char *value,
        struct err *e)
{
	char *native = NULL;
	int rc = value_for(r, NULL, row, i, value, &native, e);

	if (rc == 0 && native) {
		if (map_is_helper(row, i))
			plan_warn(r->plan, "%s would stand against %s: %s is set as well", row->param[i], row->param[0], row->param[i]);
		rc = main_cf_set(&r->v.main, row->param[i], native, e);
	}
	free(native);
	if (rc != 0 || service == NULL || master_cf_option(service, row->param[i]) == NULL)
		return rc;
	rc = value_for(r, service, row, i, value, &native, e);
	if (rc == 0 && native) {
		plan_warn(r->plan, "master.cf sets %s for the service %s %s itself: changed there as well", row->param[i],
		    clean(service->name), clean(service->type));
		rc = master_cf_set(&r->v.master, service->name, service->type, row->param[i], native, e);
	}
	free(native);
	return rc;
}

/* To a client service of its own: also where main.cf says the same now, for it may say something else tomorrow. */
static int
setting_on_client(struct render *r, const struct master_service *client, const struct map_row *row, int i, const char *value,
        struct err *e)
{
	const char *now = master_cf_option(client, row->param[i]);
	char *in_force = view_param(&r->v, client, row->param[i]);
	char *native = map_native(row, i, value, r->v.version, in_force);
	int rc = native == NULL ? err_set(e, RC_BUG, "%s has no native form of \"%s\"", row->param[i], value) : 0;

	if (rc == 0 && (now == NULL || !map_same(row, i, now, native)))
		rc = master_cf_set(&r->v.master, client->name, client->type, row->param[i], native, e);
	free(in_force);
	free(native);
	return rc;
}

/* --- the column maxproc --- */

char *
service_procs(const struct view *v, const struct master_service *s)
{
	return s && strcmp(s->column[MASTER_MAXPROC], "-") != 0 ? xstrdup(s->column[MASTER_MAXPROC])
	    : view_value(v, NULL, "default_process_limit");
}

int
master_cf_column(struct master_cf *m, const char *name, const char *type, int column, const char *value, struct err *e)
{
	const struct master_service *s = master_cf_find(m, name, type);
	const struct cf_line *l;
	size_t from = 0, to;
	int i;

	if (s == NULL)
		return err_set(e, RC_NOTFOUND, "master.cf has no service \"%s %s\"", clean(name), clean(type));
	l = &m->t.lines[s->line];
	for (i = 0; ; i++) {                     /* name and type stand before the columns */
		while (from < l->len && cf_blank(l->joined[from]))
			from++;
		for (to = from; to < l->len && !cf_blank(l->joined[to]); to++)
			;
		if (i == column + 2)
			break;
		from = to;
	}
	/* a wider value takes blanks behind it, so that the columns stay where they are */
	for (i = (int)strlen(value) - (int)(to - from); i > 0 && to + 1 < l->len && cf_blank(l->joined[to])
	    && cf_blank(l->joined[to + 1]); i--)
		to++;
	cf_replace(&m->t, s->line, from, to, value);
	return master_cf_again(m, e);
}

static int
put_procs(struct render *r, const struct wanted_vs *vs, const struct map_row *row, const struct master_service *s,
        const char *value, struct err *e)
{
	char *now = service_procs(&r->v, s), *name = xstrdup(s->name), *type = xstrdup(s->type);
	const char *command = strrchr(s->command, '/');
	int rc = 0;

	if (strcmp(command ? command + 1 : s->command, "postscreen") == 0)
		rc = err_set(e, RC_INVALID, "%s: %s is postscreen, which takes all connections in one process", clean(vs->name),
		    row->setting);
	else if (!map_same(row, 0, now, value))
		rc = master_cf_column(&r->v.master, name, type, MASTER_MAXPROC, value, e);
	free(now);
	free(name);
	free(type);
	return rc;
}

/* --- who may connect --- */

static const char *
wanted_of(const struct wanted_vs *vs, const char *setting)
{
	size_t i;

	for (i = 0; i < vs->settings.n; i++)
		if (strcmp(vs->settings.v[i].name, setting) == 0)
			return vs->settings.v[i].value;
	return NULL;
}

/* What is wanted, else what our table says now; NULL where that is no table as we write it. Given away. */
static char *
clients_now(const struct wanted_vs *vs, const char *setting, const char *table)
{
	const char *value = wanted_of(vs, setting);
	struct str normal = STR_INIT;

	if (value && setting_check(setting_find(setting), value, &normal, NULL) == 0)
		return str_take(&normal);
	str_release(&normal);
	return access_ours(setting, table);
}

static int
set_access(struct render *r, const struct master_service *service, const char *path, struct err *e)
{
	static const char param[] = "smtpd_client_restrictions";
	const char *raw = view_raw(&r->v, service, param, NULL);
	char *list = access_put(raw, path);
	int rc = strcmp(list, raw) == 0 ? 0
	    : service ? master_cf_set(&r->v.master, service->name, service->type, param, list, e)
	    : main_cf_set(&r->v.main, param, list, e);

	free(list);
	return rc;
}

/* A table of who may connect: as this plan writes it for the default virtual server, whose list others have too, else as it
 * was read. NULL: it was not. */
static const char *
access_text(const struct render *r, const char *path)
{
	size_t i;

	for (i = 0; i < r->n_files; i++)
		if (strcmp(r->files[i].path, path) == 0)
			return r->files[i].text.s;
	return file_text(r->files_read, &r->have->sections, FILE_MAP, path, "map");
}

/* The table goes with the generation, so it is written anew also where nothing more is wanted of it. */
static int
put_access(struct render *r, const struct wanted_vs *vs, struct err *e)
{
	const struct master_service *s = vs_service(&r->v, vs);
	bool own = s && master_cf_option(s, "smtpd_client_restrictions");
	const char *raw = view_raw(&r->v, vs->is_default && !own ? NULL : s, "smtpd_client_restrictions", NULL), *table;
	bool wanted = wanted_of(vs, "inbound.clients.only") || wanted_of(vs, "inbound.clients.except");
	char *old = access_path(raw), *only, *except, *path;
	int rc = 0;

	if (!wanted && (old == NULL || (!vs->is_default && !own))) {
		free(old);
		return 0;
	}
	table = old ? access_text(r, old) : "";
	only = clients_now(vs, "inbound.clients.only", table);
	except = clients_now(vs, "inbound.clients.except", table);
	if (only == NULL || except == NULL) {
		/* taken for none, the next push would let everybody in */
		err_set(e, RC_CHECK, "%s: who may connect stands in %s, which cannot be read or is not as mxseal wrote it", clean(vs->name),
		    clean(old));
		err_hint(e, "set both inbound.clients.only and inbound.clients.except as they are to be, or put the file back");
		free(old);
		free(only);
		free(except);
		return -1;
	}
	path = own_path(r, "clients", vs->name, "");
	if (strcmp(only, "none") == 0 && strcmp(except, "none") == 0) {
		free(path);
		path = NULL;
	}
	if (path)
		access_table(only, except, &own_file_add(r, xstrdup(path))->text);
	if (vs->is_default)
		rc = set_access(r, NULL, path, e);
	if (rc == 0 && (!vs->is_default || own))
		rc = set_access(r, vs_service(&r->v, vs), path, e);
	free(old);
	free(only);
	free(except);
	free(path);
	return rc;
}

/* --- one setting --- */

static int
put_transport(struct render *r, const struct map_row *row, const struct master_service *client, const char *value, struct err *e)
{
	struct map_row own = *row;
	char *param = xasprintf("%s_destination_concurrency_limit", client->name);
	int rc;

	own.param[0] = param;
	rc = setting_on_main(r, NULL, &own, 0, value, e);
	free(param);
	return rc;
}

static int
put_param(struct render *r, const struct wanted_vs *vs, const struct map_row *row, int i, const char *value, struct err *e)
{
	const struct master_service *server = vs_service(&r->v, vs), *client = wanted_client(&r->v, vs);

	switch (map_where(row, i)) {
	case MAP_SERVER:
		return vs->is_default ? setting_on_main(r, server, row, i, value, e) : server ? setting_on_service(r, server, row, i, value, e) : 0;
	case MAP_OWN:
		return server ? setting_on_service(r, server, row, i, value, e) : 0;
	case MAP_CLIENT:
		if (vs->is_default)
			return setting_on_main(r, client, row, i, value, e);
		return client && row->where == MAP_CLIENT ? setting_on_client(r, client, row, i, value, e) : 0;
	case MAP_HOST:
		return vs->is_default ? setting_on_main(r, NULL, row, i, value, e) : 0;
	case MAP_TRANSPORT:
		return client ? put_transport(r, row, client, value, e) : 0;
	case MAP_SERVER_PROCS:
		return server ? put_procs(r, vs, row, server, value, e) : 0;
	case MAP_CLIENT_PROCS:
		return client ? put_procs(r, vs, row, client, value, e) : 0;
	case MAP_ACCESS:
		return 0;                        /* both lists at once: put_access */
	}
	return 0;
}

/* No fallback any more: local_recipient_maps, which was emptied for it, is what it was, where it was not written before. And
 * where there was none, that list is the administrator's alone; true: there is nothing to write. */
static bool
fallback_is_none(struct render *r, const struct map_row *row)
{
	bool none = view_empty(&r->v, NULL, row->param[0]);

	if (!none)
		main_cf_remove_ours(&r->v.main, row->param[1]);
	return none;
}

static int
put_setting(struct render *r, const struct wanted_vs *vs, const struct wanted *w, struct err *e)
{
	const struct map_row *row = map_find(w->name);
	const struct setting *s = setting_find(w->name);
	struct str value = STR_INIT;
	int i, rc = -1;

	if (s == NULL)
		return err_set(e, RC_INVALID, "\"%s\" is no setting", clean(w->name));
	if (row == NULL)                         /* wanted of all, and this mail system has no such thing */
		return 0;
	if (!vs->is_default && !text_eq(w->scope, "vs") && row->where != MAP_SERVER && row->where != MAP_ACCESS)
		return 0;                        /* wanted of the whole host: the default one has it, and its clients take it over */
	if (setting_check(s, w->value, &value, e) != 0)
		goto out;
	if (row->kind == MAP_FALLBACK && vs->is_default && strcmp(value.s, "none") == 0 && fallback_is_none(r, row)) {
		rc = 0;
		goto out;
	}
	for (i = 0; i < MAP_PARAMS && row->param[i]; i++)
		if (put_param(r, vs, row, i, value.s, e) != 0)
			goto out;
	rc = 0;
out:
	str_release(&value);
	return rc;
}

int
put_settings(struct render *r, bool defaults, struct err *e)
{
	size_t i, k;

	for (i = 0; i < r->want->n_vs; i++) {
		const struct wanted_vs *vs = &r->want->vs[i];

		if (vs->is_default != defaults || text_eq(vs->ours, "removed"))
			continue;
		for (k = 0; k < vs->settings.n; k++)
			if (put_setting(r, vs, &vs->settings.v[k], e) != 0)
				return -1;
		if ((vs->is_default || vs_service(&r->v, vs)) && put_access(r, vs, e) != 0)
			return -1;
	}
	return 0;
}

/* --- what goes together --- */

static void
judge_name(struct plan *p, const struct wanted_vs *vs, const struct view *after)
{
	const struct master_service *s = vs_service(after, vs);
	const char *banner = s ? view_raw(after, s, "smtpd_banner", NULL) : "";

	if (s && wanted_of(vs, "inbound.name") && strstr(banner, "myhostname") == NULL)
		plan_warn(p, "%s: smtpd_banner does not hold $myhostname: the greeting says \"%s\", only the answer to EHLO says %s",
		    clean(vs->name), clean(banner), clean(wanted_of(vs, "inbound.name")));
}

static void
judge_clients(struct plan *p, const struct wanted_vs *vs)
{
	const char *networks = wanted_of(vs, "inbound.relay.networks");
	char **words = words_split(networks ? networks : "", " ", NULL);
	size_t i;

	for (i = 0; words[i]; i++) {
		const char *slash = strchr(words[i], '/');
		long prefix = slash ? strtol(slash + 1, NULL, 10) : 128;

		if (prefix < (strchr(words[i], ':') ? 16 : 8))
			plan_warn(p, "%s: whoever is in %s may send to any domain without logging in: an open relay", clean(vs->name),
			    clean(words[i]));
	}
	words_free(words);
}

static void
judge_left_out(struct plan *p, const struct wanted_vs *vs)
{
	size_t i;

	for (i = 0; i < vs->settings.n; i++) {
		const struct wanted *w = &vs->settings.v[i];
		const struct map_row *row = map_find(w->name);
		const char *why = map_declines(w->name, vs->is_default);

		if (!text_eq(w->scope, "vs"))            /* inherited: meant for those that know it */
			continue;
		if (why)
			plan_warn(p, "%s: %s is left out: %s", clean(vs->name), clean(w->name), why);
		else if (!vs->is_default && vs->client == NULL && (row->where == MAP_CLIENT || row->where == MAP_TRANSPORT
		    || row->where == MAP_CLIENT_PROCS))
			plan_warn(p, "%s: %s is left out: its mail leaves by the client of the default virtual server", clean(vs->name),
			    clean(w->name));
	}
}

static void
judge_helo(struct plan *p, const struct wanted_vs *vs, const struct view *after)
{
	const struct master_service *client = wanted_client(after, vs);
	char *level;

	if (client == NULL || (wanted_of(vs, "outbound.helo-only") == NULL && wanted_of(vs, "outbound.tls") == NULL))
		return;
	level = view_level(after, client, true);
	if (view_yes(after, client, "smtp_never_send_ehlo") && strcmp(level, "none") != 0 && strcmp(level, "may") != 0)
		plan_refuse(p, "HELO and TLS", "%s: without EHLO there is no TLS, and outbound security is %s: no mail would leave",
		    clean(vs->name), clean(level));
	free(level);
}

void
settings_judge(struct plan *p, const struct wanted_vs *vs, const struct view *after)
{
	judge_name(p, vs, after);
	judge_clients(p, vs);
	judge_left_out(p, vs);
	judge_helo(p, vs, after);
}
