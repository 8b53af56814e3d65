/* What is wanted of a Postfix host as exact texts: main.cf and master.cf edited, our own files rendered into a
 * generation. Only what is wanted is written, and only where it means something else than what is there. Rendered first
 * with the generation in force: when nothing differs then, the plan is empty; else everything of ours goes into a new
 * generation. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

static void
render_release(struct render *r)
{
	size_t i;

	for (i = 0; i < r->n_files; i++) {
		free(r->files[i].path);
		if (r->files[i].secret)
			str_wipe(&r->files[i].text);
		else
			str_release(&r->files[i].text);
		free(r->files[i].secret);
	}
	free(r->files);
	view_release(&r->v);
	view_release(&r->started);
	*r = (struct render){ 0 };
}

struct own_file *
own_file_add(struct render *r, char *path)
{
	ARRAY_GROW(r->files, r->n_files);
	r->files[r->n_files] = (struct own_file){ .path = path };
	str_init(&r->files[r->n_files].text, 0);
	return &r->files[r->n_files++];
}

/* --- certificates --- */

char *
own_path(const struct render *r, const char *what, const char *name, const char *suffix)
{
	struct str file = STR_INIT;
	char hash[65], *path;
	const char *p;
	bool odd = false;

	for (p = name; *p; p++) {
		bool plain = isalnum((unsigned char)*p) || *p == '.' || *p == '-';

		odd = odd || (!plain && *p != ':');
		str_addc(&file, plain ? *p : '_');
	}
	if (odd || file.len > 100) {             /* two names must not meet in one file */
		sha256_hex(name, strlen(name), hash);
		str_cut(&file, file.len > 100 ? 100 : file.len);
		str_addf(&file, "-%.8s", hash);
	}
	path = xasprintf(OURS_DIR "%lld/%s-%s%s", (long long)r->generation, what, file.s, suffix);
	str_release(&file);
	return path;
}

/* A service with a certificate of its own in the older parameters would lose it to a chain file in main.cf. */
static int
keep_others(struct render *r, const struct master_service *standard, struct err *e)
{
	static const char *const own[] = { "smtpd_tls_cert_file", "smtpd_tls_eccert_file" };
	char *skip = xstrdup(standard ? standard->name : "");
	size_t i, k;
	int rc = 0;

	for (i = 0; i < r->v.master.n && rc == 0; i++) {
		const struct master_service *s = &r->v.master.v[i];

		if (!service_is_server(s) || strcmp(s->name, skip) == 0 || master_cf_option(s, "smtpd_tls_chain_files"))
			continue;
		for (k = 0; k < 2; k++)
			if (master_cf_option(s, own[k]))
				break;
		if (k == 2)
			continue;
		plan_warn(r->plan, "the service %s has a certificate of its own in master.cf and keeps it", clean(s->name));
		rc = master_cf_set(&r->v.master, s->name, s->type, "smtpd_tls_chain_files", "", e);
	}
	free(skip);
	return rc;
}

/* One PEM of key and chain; the path is that of the file. */
static int
put_chain(struct render *r, const struct wanted_vs *vs, const struct certificate *c, const char *what, struct str *list, struct err *e)
{
	struct own_file *f = own_file_add(r, own_path(r, what, vs->name, ".pem"));
	const char *key = c->key_path;

	f->certificate = c;
	str_addf(list, "%s%s", list->len > 0 ? "," : "", f->path);
	if (text_empty(key) || key[0] != '/' || strlen(key) > 1000 || !clean_is(key, strlen(key)))
		return err_set(e, RC_CERT, "%s: the key of the certificate \"%s\" is not on this host", clean(vs->name), clean(c->name));
	if (pem_certificates(c->pem, &f->text) == 0)
		return err_set(e, RC_CERT, "%s: the certificate \"%s\" has no PEM text", clean(vs->name), clean(c->name));
	return 0;
}

static int
bind_certificate(struct render *r, const struct wanted_vs *vs, struct err *e)
{
	static const struct map_row chain = { .setting = "certificate", .param = { "smtpd_tls_chain_files" }, .kind = MAP_TEXT };
	const struct master_service *s = vs_service(&r->v, vs);
	struct str list = STR_INIT;
	int rc = put_chain(r, vs, vs->certificate, "chain", &list, e);

	if (rc == 0 && vs->second)
		rc = put_chain(r, vs, vs->second, "second", &list, e);
	if (rc == 0 && !vs->is_default)
		rc = setting_on_service(r, s, &chain, 0, list.s, e);
	else if (rc == 0 && (rc = keep_others(r, s, e)) == 0)
		rc = setting_on_main(r, vs_service(&r->v, vs), &chain, 0, list.s, e);
	str_release(&list);
	return rc;
}

static void
unbind_certificate(struct render *r, const struct wanted_vs *vs)
{
	const struct master_service *s = vs_service(&r->v, vs);
	size_t i;

	if (!vs->is_default) {
		master_cf_unset(&r->v.master, s->name, s->type, "smtpd_tls_chain_files");
		return;
	}
	main_cf_remove(&r->v.main, "smtpd_tls_chain_files");
	for (i = 0; i < r->v.master.n; i++) {        /* what keep_others did, and an override of the default itself */
		const struct master_service *other = &r->v.master.v[i];
		const char *own = master_cf_option(other, "smtpd_tls_chain_files");

		if (own && (*own == '\0' || other == s) && service_is_server(other))
			master_cf_unset(&r->v.master, other->name, "inet", "smtpd_tls_chain_files");
		s = vs_service(&r->v, vs);
	}
}

static int
put_certificates(struct render *r, struct err *e)
{
	size_t i;
	int defaults;

	for (defaults = 1; defaults >= 0; defaults--)
		for (i = 0; i < r->want->n_vs; i++) {
			const struct wanted_vs *vs = &r->want->vs[i];

			if (!vs->certificate_set || vs->is_default != (defaults == 1)
			    || (!vs->is_default && vs_service(&r->v, vs) == NULL))
				continue;
			if (vs->certificate == NULL)
				unbind_certificate(r, vs);
			else if (bind_certificate(r, vs, e) != 0)
				return -1;
		}
	return 0;
}

/* --- connectors --- */

/* A table of ours: the file, which is empty when it is not needed, and its place in front of a list. secret: what is shown
 * in place of its text, or NULL. */
static int
put_map(struct render *r, const char *param, const char *type, const char *file, const struct str *text, const char *secret,
        struct err *e)
{
	char *prefix = xasprintf("%s:" OURS_DIR, type), *suffix = xasprintf("/%s", file);
	char *path = xasprintf(OURS_DIR "%lld/%s", (long long)r->generation, file);
	char *item = xasprintf("%s:%s", type, path);
	int rc = 0;

	if (text->len == 0) {
		main_cf_list_drop(&r->v.main, param, prefix, suffix);
	} else {
		struct own_file *f = own_file_add(r, xstrdup(path));

		str_addn(&f->text, text->s, text->len);
		f->secret = xstrdup(secret);
		rc = main_cf_list_put(&r->v.main, param, prefix, suffix, item, e);
	}
	free(prefix);
	free(suffix);
	free(path);
	free(item);
	return rc;
}

/* Policies of the client services of virtual servers: the files, and in master.cf the maps that each of them asks. */
static int
put_client_policies(struct render *r, const struct map_files *maps, struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < maps->n_clients; i++) {
		char *file = client_policy_file(maps->clients[i].client);
		struct own_file *f = own_file_add(r, xasprintf(OURS_DIR "%lld/%s", (long long)r->generation, file));

		str_addn(&f->text, maps->clients[i].text.s, maps->clients[i].text.len);
		free(file);
	}
	for (i = 0; i < r->want->n_vs && rc == 0; i++) {
		const char *client = r->want->vs[i].client;
		char *value;

		if (client == NULL || master_cf_find(&r->v.master, client, "unix") == NULL)
			continue;
		value = client_policy_maps(r->want, client, r->generation);
		rc = master_cf_set(&r->v.master, client, "unix", "smtp_tls_policy_maps", value, e);
		free(value);
	}
	return rc;
}

/* Levels that verify need authorities; those in a directory are out of reach in a chroot unless copied there. */
static int
put_authorities(struct render *r, struct err *e)
{
	const char *found = section_text(&r->have->sections, "ca");
	char *file;
	int rc;

	if (!view_empty(&r->v, NULL, "smtp_tls_CAfile") || !view_empty(&r->v, NULL, "smtp_tls_CApath")
	    || view_yes(&r->v, NULL, "tls_append_default_CA"))
		return 0;
	if (found == NULL || found[0] != '/') {
		plan_warn(r->plan, "Postfix has no list of trusted authorities (smtp_tls_CAfile) and none was found on the host: "
		    "with verify or secure no destination will pass");
		return 0;
	}
	file = xstrndup(found, strcspn(found, "\n"));
	plan_warn(r->plan, "Postfix had no list of trusted authorities, which verify and secure need: %s is set", file);
	rc = main_cf_set(&r->v.main, "smtp_tls_CAfile", file, e);
	free(file);
	return rc;
}

static int
put_connectors(struct render *r, struct err *e)
{
	struct map_files maps;
	char *level = NULL;
	bool ca, dnssec;
	int rc = -1;

	memset(&maps, 0, sizeof(maps));
	map_files_release(&maps);
	if (route_render(&r->v, r->have, r->files_read, r->want, &maps, r->plan, e) != 0
	    || connector_params(&r->v, r->have, &maps, r->plan, e) != 0
	    || put_map(r, "smtp_tls_policy_maps", "texthash", "tls_policy", &maps.policy, NULL, e) != 0
	    || put_map(r, "transport_maps", "texthash", "transport", &maps.transport, NULL, e) != 0
	    || put_map(r, "sender_dependent_default_transport_maps", "regexp", "senders", &maps.senders, NULL, e) != 0
	    || put_map(r, "smtp_sasl_password_maps", "texthash", "sasl_passwd", &maps.passwords, maps.passwords_shown.s, e) != 0
	    || (maps.etrn.len && put_map(r, "fast_flush_domains", "texthash", "etrn", &maps.etrn, NULL, e) != 0))
		goto out;
	if (put_client_policies(r, &maps, e) != 0)
		goto out;
	level = view_level(&r->v, NULL, true);
	ca = maps.needs_ca || strcmp(level, "verify") == 0 || strcmp(level, "secure") == 0;
	dnssec = maps.needs_dnssec || text_starts(level, "dane");
	if (ca && put_authorities(r, e) != 0)
		goto out;
	if (dnssec && strcmp(view_raw(&r->v, NULL, "smtp_dns_support_level", NULL), "dnssec") != 0
	    && main_cf_set(&r->v.main, "smtp_dns_support_level", "dnssec", e) != 0)
		goto out;
	rc = 0;
out:
	map_files_release(&maps);
	free(level);
	return rc;
}

/* --- rendering --- */

static int
render(struct render *r, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        int64_t generation, struct plan *plan, struct err *e)
{
	render_release(r);
	*r = (struct render){ .have = have, .files_read = files, .want = want, .generation = generation, .plan = plan };
	if (view_load(&r->v, &have->sections, e) != 0)
		return -1;
	view_start(&r->v);
	if (listeners_begin(&r->v, have, files, want, plan, e) != 0 || put_settings(r, true, e) != 0
	    || put_settings(r, false, e) != 0 || put_certificates(r, e) != 0 || put_connectors(r, e) != 0)
		return -1;
	return view_copy(&r->started, &r->v, e) != 0 ? -1 : listeners_end(&r->v, want, e);
}

/* Is this file of ours on the host as it should be? Of one with a key: the same certificates, and the key that fits. */
static bool
on_host(const struct reading *have, const struct file_list *files, const struct own_file *f)
{
	struct str pem = STR_INIT, line = STR_INIT;
	char hex[65];
	bool same;

	if (f->certificate == NULL) {
		sha256_hex(f->text.s, f->text.len, hex);
		str_addf(&line, "%s\t%s\n", f->path, hex);
		same = strstr(have->our_files.s, line.s) != NULL;
		str_release(&line);
		return same;
	}
	same = pem_certificates(file_text(files, &have->sections, FILE_CERT, f->path, "cert"), &pem) > 0
	    && strcmp(pem.s, f->text.s) == 0
	    && pem_sha256(file_text(files, &have->sections, FILE_KEY, f->path, "key"), "PUBLIC KEY", hex)
	    && (f->certificate->spki_sha256 == NULL || strcmp(hex, f->certificate->spki_sha256) == 0);
	str_release(&pem);
	return same;
}

static bool
same_text(const struct str *a, const struct str *b)
{
	return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
}

static bool
nothing_to_do(const struct render *r)
{
	const struct reading *have = r->have;
	size_t i;
	bool same = same_text(&r->v.main.t.text, &have->main_cf) && same_text(&r->v.master.t.text, &have->master_cf);

	for (i = 0; i < r->n_files && same; i++)
		same = on_host(have, r->files_read, &r->files[i]);
	return same;
}

static void
add_edit(struct plan *p, const char *dir, const char *name, const struct str *before, const struct str *after)
{
	char *path = xasprintf("%s/%s", dir, name);
	struct change *c;

	if (!same_text(before, after)) {
		c = plan_change(p, path, CHANGE_EDIT);
		str_addn(&c->before, before->s, before->len);
		str_addn(&c->after, after->s, after->len);
		c->is_switch = true;
	}
	free(path);
}

static void
add_changes(const struct render *r, struct plan *p)
{
	size_t i;

	for (i = 0; i < r->n_files; i++) {
		const struct own_file *f = &r->files[i];
		struct change *c = plan_change(p, f->path, CHANGE_CREATE);

		str_addn(&c->after, f->text.s, f->text.len);
		c->mode = f->certificate || f->secret ? 0600 : 0644;
		c->secret = xstrdup(f->secret);
		c->key_path = f->certificate ? xstrdup(f->certificate->key_path) : NULL;
	}
	add_edit(p, p->config_dir, "master.cf", &r->have->master_cf, &r->v.master.t.text);
	add_edit(p, p->config_dir, "main.cf", &r->have->main_cf, &r->v.main.t.text);
}

static int
start_plan(struct plan *p, const struct reading *have, struct err *e)
{
	const char *dir = have->config_dir;

	p->mailsys = xstrdup("postfix");
	p->config_dir = xstrdup(dir);
	p->base = xstrdup(have->base);
	if (dir == NULL || dir[0] != '/' || strlen(dir) > 500 || !clean_is(dir, strlen(dir)))
		return err_set(e, RC_PARSE, "Postfix says that its configuration is in \"%s\", which is no directory to work in",
		    clean(dir));
	return 0;
}

int
postfix_plan(const struct reading *have, const struct wanted_host *want, const struct plan_options *o, struct plan *out,
        struct err *e)
{
	int64_t highest = generation_highest(&have->sections);
	struct plan scratch;
	struct render r = { 0 };
	struct file_list files = { 0 };
	struct view before, started;
	bool empty = false;
	int rc = -1;

	plan_init(out);
	out->options = *o;
	plan_init(&scratch);
	memset(&started, 0, sizeof(started));
	if (view_load(&before, &have->sections, e) != 0 || start_plan(out, have, e) != 0 || view_copy(&started, &before, e) != 0)
		goto out;
	view_start(&started);
	files_named(&started, &files);
	out->generation = have->generation;
	if (render(&r, have, &files, want, have->generation, &scratch, e) != 0)
		goto out;
	empty = nothing_to_do(&r);
	if (!empty) {
		out->generation = (highest > have->generation ? highest : have->generation) + 1;
		if (render(&r, have, &files, want, out->generation, out, e) != 0)
			goto out;
		add_changes(&r, out);
	} else {
		out->warnings = scratch.warnings;
		out->n_warnings = scratch.n_warnings;
		scratch.warnings = NULL;
		scratch.n_warnings = 0;
	}
	plan_judge(out, have, want, &started, &r.started);
	plan_verdicts(out, have, &before, &r.v);
	plan_listeners(out, have, &files, want, &r.v);
	listeners_proof(out, &before, &r.v);
	plan_commands(out, have, &before, &r.v);
	rc = 0;
out:
	render_release(&r);
	file_list_release(&files);
	view_release(&before);
	view_release(&started);
	plan_release(&scratch);
	if (rc != 0)
		plan_release(out);
	return rc;
}
