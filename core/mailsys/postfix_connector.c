/* What connectors need beside their tables: parameters for logging in and for fingerprints, the service of mail that waits
 * until it is asked for. What is not needed any more goes again, where it stands under our own comment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

#define ETRN_MARK "# Written by mxseal: mail that waits for ETRN leaves by this service.\n"

/* What a client has for itself in master.cf stands over main.cf. It is the administrator's, and overwritten it would never come
 * back: it is refused, with what it would do. */
static int
none_of_its_own(const struct master_service *client, const char *param, const char *why, struct err *e)
{
	if (client == NULL || master_cf_option(client, param) == NULL)
		return 0;
	err_set(e, RC_CHECK, "master.cf gives the service %s its own %s: %s", clean(client->name), param, why);
	return err_hint(e, "move that setting from master.cf to main.cf on the host, and read it again");
}

/* --- logging in --- */

static bool
names_word(const char *list, const char *word)
{
	char **w = words_split(list, ", \t\r\n", NULL);
	bool yes = false;
	size_t i;

	for (i = 0; w[i]; i++)
		yes = yes || strcasecmp(w[i], word) == 0;
	words_free(w);
	return yes;
}

/* Which mechanisms of the SASL library are there; a list of files that was not read says nothing. */
static void
look_at_library(const struct reading *have, struct plan *p)
{
	const char *files = section_text(&have->sections, "sasl");

	if (files && strstr(files, "libplain") == NULL && strstr(files, "liblogin") == NULL)
		plan_warn(p, "the host has no SASL mechanism to send a password with (PLAIN, LOGIN): the smart host will not be logged in "
		    "to before they are installed (Debian: libsasl2-modules, Red Hat: cyrus-sasl-plain)");
}

/* May this client send a password as it is, inside TLS? */
static bool
sends_plain(const struct view *v, const struct master_service *client)
{
	char *options = view_value(v, client, "smtp_sasl_tls_security_options");
	bool yes = !names_word(options, "noplaintext") && strchr(options, '$') == NULL;

	free(options);
	return yes;
}

/* A password goes by PLAIN or LOGIN, and these only inside TLS: the options for sessions without it stay as they are. Each
 * client that logs in must be able to; what one of them lacks, main.cf gets. */
static int
put_client(struct view *v, const struct master_service *client, struct err *e)
{
	int rc = none_of_its_own(client, "smtp_sasl_password_maps", "no password of a connector would be looked up", e);

	if (rc == 0 && !view_yes(v, client, "smtp_sasl_auth_enable")
	    && (rc = none_of_its_own(client, "smtp_sasl_auth_enable", "it would not log in anywhere", e)) == 0)
		rc = main_cf_set(&v->main, "smtp_sasl_auth_enable", "yes", e);
	if (rc == 0 && !sends_plain(v, client)
	    && (rc = none_of_its_own(client, "smtp_sasl_tls_security_options", "it would send no password", e)) == 0)
		rc = main_cf_set(&v->main, "smtp_sasl_tls_security_options", "noanonymous", e);
	return rc;
}

static int
put_login(struct view *v, const struct reading *have, const struct map_files *m, struct plan *p, struct err *e)
{
	char *maps = view_value(v, NULL, "smtp_sasl_password_maps");
	size_t len, i;
	long ours = list_find(maps, "texthash:" OURS_DIR, "/sasl_passwd", &len);
	int rc = 0;

	if (*maps && (ours != 0 || maps[len]))
		plan_warn(p, "the host's own smtp_sasl_password_maps are asked too: a row there under the name of the smart host alone "
		    "comes before the connector's");
	for (i = 0; i < m->n_logins && rc == 0; i++)
		rc = put_client(v, master_cf_find(&v->master, m->logins[i], "unix"), e);
	look_at_library(have, p);
	free(maps);
	return rc;
}

static void
drop_login(struct view *v)
{
	const char *maps = main_cf_get(&v->main, "smtp_sasl_password_maps");
	size_t len;

	if (maps == NULL || list_find(maps, "texthash:" OURS_DIR, "/sasl_passwd", &len) < 0)
		return;
	main_cf_remove_ours(&v->main, "smtp_sasl_auth_enable");
	main_cf_remove_ours(&v->main, "smtp_sasl_tls_security_options");
}

/* --- fingerprints --- */

/* Since 3.6 the digest is sha256 of itself, where compatibility_level says so. */
static bool
digest_is_sha256(const struct view *v)
{
	const char *source, *value = view_raw(v, NULL, "smtp_tls_fingerprint_digest", &source);
	char *level;
	int major = 0, minor = 0;
	bool yes;

	if (strchr(value, '$') == NULL)
		return strcasecmp(value, "sha256") == 0;
	level = view_value(v, NULL, "compatibility_level");
	yes = sscanf(level, "%d.%d", &major, &minor) >= 1 && (major > 3 || (major == 3 && minor >= 6))
	    && version_at_least(v->version, 3, 6);
	free(level);
	return yes;
}

static int
put_digest(struct view *v, struct err *e)
{
	const char *mine = main_cf_get(&v->main, "smtp_tls_fingerprint_digest");

	if (digest_is_sha256(v))
		return 0;
	if (mine && *mine) {
		err_set(e, RC_CHECK, "main.cf has smtp_tls_fingerprint_digest = %s: fingerprints of connectors are sha256", clean(mine));
		return err_hint(e, "change it on the host with the fingerprints that depend on it, or match by names");
	}
	return main_cf_set(&v->main, "smtp_tls_fingerprint_digest", "sha256", e);
}

/* --- mail that waits until it is asked for --- */

static int
master_again(struct view *v, struct str *text, struct err *e)
{
	struct master_cf anew;

	if (master_cf_read(&anew, text->s, text->len, e) != 0) {
		master_cf_release(&anew);
		return -1;
	}
	master_cf_release(&v->master);
	v->master = anew;
	return 0;
}

static void
drop_service(struct view *v)
{
	const struct master_service *s = master_cf_find(&v->master, ETRN_SERVICE, "unix");
	struct str text = STR_INIT;
	const struct cf_line *l;
	size_t from, to, mark = strlen(ETRN_MARK), stop;

	if (s == NULL)
		return;
	l = &v->master.t.lines[s->line];
	from = l->pieces[0].at;
	to = cf_after(l, l->len);
	stop = v->master.t.text.len;
	if (from < mark || strncmp(v->master.t.text.s + from - mark, ETRN_MARK, mark) != 0)
		return;                                   /* somebody else's */
	to += to < stop && v->master.t.text.s[to] == '\n';
	str_addn(&text, v->master.t.text.s, from - mark);
	str_addn(&text, v->master.t.text.s + to, stop - to);
	(void)master_again(v, &text, NULL);
	str_release(&text);
}

/* The client once more under another name, with all that its line says. */
static void
service_text(const struct view *v, const struct master_service *s, struct str *out)
{
	const struct cf_line *l = &v->master.t.lines[s->line];
	int i;

	str_add(out, ETRN_MARK ETRN_SERVICE " unix");
	for (i = 0; i < MASTER_COLUMNS; i++)
		str_addf(out, " %s", s->column[i]);
	str_addf(out, " %s\n", l->joined + s->command_end - strlen(s->command));
	str_add(out, "  -o syslog_name=postfix/" ETRN_SERVICE "\n");
}

/* Where it is already as it should be, it stays where it is. */
static int
put_service(struct view *v, struct err *e)
{
	const struct master_service *s = master_cf_find(&v->master, CLIENT_SERVICE, "unix");
	struct str text = STR_INIT, service = STR_INIT;
	int rc = 0;

	if (s == NULL)
		return err_set(e, RC_CHECK, "master.cf has no service \"smtp unix\" that mail for ETRN could leave by");
	service_text(v, s, &service);
	if (strstr(v->master.t.text.s, service.s) == NULL) {
		drop_service(v);
		if (master_cf_find(&v->master, ETRN_SERVICE, "unix"))
			rc = err_set(e, RC_CHECK, "master.cf has a service " ETRN_SERVICE " that is not ours");
		str_addn(&text, v->master.t.text.s, v->master.t.text.len);
		if (text.len && text.s[text.len - 1] != '\n')
			str_addc(&text, '\n');
		str_add(&text, service.s);
		if (rc == 0)
			rc = master_again(v, &text, e);
	}
	str_release(&text);
	str_release(&service);
	return rc;
}

static int
put_etrn(struct view *v, struct err *e)
{
	/* the list has a default, which must not get lost */
	if (main_cf_get(&v->main, "fast_flush_domains") == NULL && main_cf_set(&v->main, "fast_flush_domains", "$relay_domains", e) != 0)
		return -1;
	if (main_cf_list_put(&v->main, "defer_transports", ETRN_SERVICE, "", ETRN_SERVICE, e) != 0)
		return -1;
	return put_service(v, e);
}

static void
drop_etrn(struct view *v)
{
	const char *domains;
	size_t len;

	main_cf_list_drop(&v->main, "defer_transports", ETRN_SERVICE, "");
	drop_service(v);
	domains = main_cf_get(&v->main, "fast_flush_domains");
	if (domains == NULL || list_find(domains, "texthash:" OURS_DIR, "/etrn", &len) < 0)
		return;
	main_cf_list_drop(&v->main, "fast_flush_domains", "texthash:" OURS_DIR, "/etrn");
	domains = main_cf_get(&v->main, "fast_flush_domains");
	if (domains && strcmp(domains, "$relay_domains") == 0)
		main_cf_remove_ours(&v->main, "fast_flush_domains");
}

/* --- all of it --- */

/* A service that has a table of its own in master.cf never asks ours. */
static int
tables_are_asked(const struct view *v, const struct map_files *m, struct err *e)
{
	const struct master_service *client = master_cf_find(&v->master, CLIENT_SERVICE, "unix");

	return m->policy.len == 0 ? 0 : none_of_its_own(client, "smtp_tls_policy_maps", "the security of connectors would be dead there", e);
}

int
connector_params(struct view *v, const struct reading *have, const struct map_files *m, struct plan *p, struct err *e)
{
	if (tables_are_asked(v, m, e) != 0)
		return -1;
	if (m->passwords.len == 0)
		drop_login(v);
	else if (put_login(v, have, m, p, e) != 0)
		return -1;
	if (!m->needs_digest)
		main_cf_remove_ours(&v->main, "smtp_tls_fingerprint_digest");
	else if (put_digest(v, e) != 0)
		return -1;
	if (m->etrn.len == 0)
		drop_etrn(v);
	else if (put_etrn(v, e) != 0)
		return -1;
	return 0;
}
