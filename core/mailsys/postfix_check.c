/* What surrounds the changes of a plan: our own verdicts (Postfix's own check passes a key that does not fit), what is
 * worth saying, the commands that check the staged copy and make Postfix read it, the listeners to be proved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

static const char *
wanted_value(const struct wanted_vs *vs, const char *setting)
{
	size_t i;

	for (i = 0; i < vs->settings.n; i++)
		if (strcmp(vs->settings.v[i].name, setting) == 0)
			return vs->settings.v[i].value;
	return NULL;
}

/* --- verdicts on certificates --- */

/* Public key of a key file below our key directory, as SHA-256; false when it is not listed. */
static bool
key_on_host(const struct sections *s, const char *path, char out[65])
{
	const struct section *keys = section_find(s, "keys");
	char *line = xasprintf("key %s\n", path), *block;
	const char *at = keys ? keys->text.s : NULL, *end;
	bool ok = false;

	while (at && (at = strstr(at, line)) && at > keys->text.s && at[-1] != '\n')
		at++;
	if (at) {
		at += strlen(line);
		end = strstr(at, "\nkey ");
		block = xstrndup(at, end ? (size_t)(end - at) : strlen(at));
		ok = pem_sha256(block, "PUBLIC KEY", out);
		free(block);
	}
	free(line);
	return ok;
}

static void
verdict(struct plan *p, const char *vs, const char *what, bool ok, const char *text)
{
	char *name = xasprintf("%s: %s", clean(vs), what);

	plan_check(p, name, ok, text);
	free(name);
}

static void
judge_key(struct plan *p, const struct reading *have, const struct wanted_vs *vs, const struct certificate *c)
{
	char hex[65], *text = NULL;
	bool ok = true;

	if (key_on_host(&have->sections, c->key_path, hex)) {
		ok = c->spki_sha256 && strcmp(hex, c->spki_sha256) == 0;
		if (!ok)
			text = xasprintf("the key in %s does not fit the certificate \"%s\"", clean(c->key_path), clean(c->name));
	} else if (!text_empty(c->sealed_key)) {
		plan_carry_key(p, c->key_path, c->spki_sha256);
		text = xasprintf("it is kept here; the push puts it into %s", clean(c->key_path));
	} else if (text_starts(c->key_path, "/var/lib/mxseal/")) {
		ok = false;
		text = xasprintf("there is no usable key in %s", clean(c->key_path));
	} else {
		text = xasprintf("%s is looked at on the host before the switch", clean(c->key_path));
	}
	verdict(p, vs->name, "the key fits the certificate", ok, text ? text : "");
	free(text);
}

static int64_t
host_now(const struct reading *have)
{
	const char *text = section_text(&have->sections, "now");
	long long n = text ? strtoll(text, NULL, 10) : 0;

	return n > 0 ? n : (int64_t)time(NULL);
}

static void
judge_time(struct plan *p, const struct reading *have, const struct wanted_vs *vs, const struct certificate *c)
{
	int64_t now = host_now(have);

	verdict(p, vs->name, "the certificate is in its time", now >= c->not_before && now <= c->not_after,
	    now < c->not_before ? "by the host's clock it is not valid yet" : now > c->not_after ? "it has expired" : "");
}

static char *
ehlo_name(const struct view *v, const struct wanted_vs *vs)
{
	return view_value(v, vs_service(v, vs), "myhostname");
}

static bool
covers(const struct certificate *c, const char *name)
{
	char **names = words_split(c->san ? c->san : "", " ", NULL);
	bool yes = text_empty(c->san) && c->cn && name_covers(c->cn, name);
	size_t i;

	for (i = 0; names && names[i] && !yes; i++)
		yes = name_covers(names[i], name);
	words_free(names);
	return yes;
}

static void
judge_certificate(struct plan *p, const struct reading *have, const struct wanted_vs *vs, const struct view *after)
{
	const struct certificate *both[] = { vs->certificate, vs->second };
	char *name = ehlo_name(after, vs), *level;
	size_t i;

	if (!version_at_least(after->version, 3, 4))
		verdict(p, vs->name, "Postfix reads chain files", false, "it needs Postfix 3.4 or later (smtpd_tls_chain_files)");
	for (i = 0; i < 2 && both[i]; i++) {
		judge_key(p, have, vs, both[i]);
		judge_time(p, have, vs, both[i]);
	}
	if (vs->second)
		verdict(p, vs->name, "its two certificates have keys of two kinds", !text_eq(vs->certificate->key_type, vs->second->key_type),
		    "of two with the same kind Postfix would serve one only");
	level = view_level(after, vs_service(after, vs), false);
	if (strcmp(level, "none") == 0 && !view_yes(after, vs_service(after, vs), "smtpd_tls_wrappermode"))
		plan_warn(p, "%s: the certificate is put there, but the secure channel is off: nobody will see it before "
		    "inbound.tls is at least \"offer\"", clean(vs->name));
	free(level);
	/* not a refusal: peers compare with the MX name, which may well be another than the host's own */
	for (i = 0; i < 2 && both[i]; i++)
		if (!covers(both[i], name))
			plan_warn(p, "%s: the certificate \"%s\" does not cover %s, the name said in EHLO", clean(vs->name),
			    clean(both[i]->name), clean(name));
	free(name);
}

/* --- verdicts on the configuration --- */

static bool
has_certificate(const struct view *v, const struct master_service *s)
{
	char *cert, *key;
	bool has;

	service_cert_files(v, s, &cert, &key);
	has = *cert != '\0';
	free(cert);
	free(key);
	return has;
}

/* vs NULL: of all sending services. */
static bool
changes(const struct view *before, const struct view *after, const struct wanted_vs *vs, const char *param)
{
	char *was = view_value(before, vs != NULL ? vs_service(before, vs) : NULL, param);
	char *is = view_value(after, vs != NULL ? vs_service(after, vs) : NULL, param);
	bool differ = !text_eq(was, is);

	free(was);
	free(is);
	return differ;
}

static void
judge_inbound(struct plan *p, const struct wanted_vs *vs, const struct view *before, const struct view *after)
{
	const struct master_service *s = vs_service(after, vs);
	const char *level = wanted_value(vs, "inbound.tls");
	struct str listen = STR_INIT;

	if (s == NULL || level == NULL)
		return;
	service_listen(after, s, &listen);
	if (strcmp(level, "off") != 0 && !has_certificate(after, s))
		verdict(p, vs->name, "TLS has a certificate", false,
		    "a secure channel is wanted, but no certificate is assigned: run the certificate wizard first");
	if (strcmp(level, "require") == 0 && service_port(s->name, NULL, 0) == 25 && !text_starts(listen.s, "127.")
	    && !text_starts(listen.s, "[::1]") && changes(before, after, vs, "smtpd_tls_security_level"))
		plan_warn(p, "%s: from now on mail hosts without TLS cannot deliver here; RFC 3207 forbids this for a public port 25",
		    clean(vs->name));
	str_release(&listen);
}

static bool
is_strict(const char *level)
{
	static const char *const strict[] = { "encrypt", "verify", "secure", "dane-only", "fingerprint" };
	size_t i;

	for (i = 0; i < sizeof(strict) / sizeof(strict[0]); i++)
		if (strcmp(level, strict[i]) == 0)
			return true;
	return false;
}

static bool
resolver_is_local(const struct reading *have)
{
	const struct section *s = section_find(&have->sections, "resolv");
	const char *p = s ? s->text.s : "";

	while ((p = strstr(p, "nameserver"))) {
		p += strlen("nameserver");
		p += strspn(p, " \t");
		if (text_starts(p, "127.") || text_starts(p, "::1"))
			return true;
	}
	return false;
}

static void
judge_outbound(struct plan *p, const struct reading *have, const struct wanted_vs *vs, const struct view *before,
        const struct view *after)
{
	const char *level = wanted_value(vs, "outbound.tls");
	char *expire, *filter;

	if (level == NULL || !changes(before, after, NULL, "smtp_tls_security_level"))
		return;
	expire = view_value(after, NULL, "maximal_queue_lifetime");
	filter = view_value(after, NULL, "content_filter");
	if (is_strict(level)) {
		plan_warn(p, "outbound.tls %s: mail to every destination that cannot do this waits in the queue and is returned "
		    "after %s; connectors with another level are the exceptions", level, clean(expire));
		if (text_starts(filter, "smtp:") || text_starts(filter, "relay:"))
			plan_warn(p, "all mail passes the content filter %s by the same client: it must speak TLS from now on, or "
			    "needs a client service of its own", clean(filter));
	}
	if (text_starts(level, "dane") && !resolver_is_local(have))
		plan_warn(p, "DANE needs a resolver on the host itself that checks DNSSEC; /etc/resolv.conf names another");
	free(expire);
	free(filter);
}

/* Is it wanted so, by the virtual server whose mail it sends? */
static bool
meant(const struct wanted_host *want, const char *service, const char *setting)
{
	size_t i;

	for (i = 0; i < want->n_vs; i++) {
		char *client = wanted_client_name(want->vs[i].name);
		bool its = text_eq(client, service);

		free(client);
		if (its && wanted_value(&want->vs[i], setting) != NULL)
			return true;
	}
	return false;
}

/* Other sending services that say for themselves what is now set for all. */
static void
judge_overrides(struct plan *p, const struct wanted_host *want, const struct wanted_vs *vs, const struct view *before,
        const struct view *after)
{
	const struct map_row *row;
	size_t i;
	int k;

	for (i = 0; i < after->master.n; i++) {
		const struct master_service *s = &after->master.v[i];

		if (strcmp(s->type, "unix") != 0 || strcmp(s->command, "smtp") != 0 || strcmp(s->name, CLIENT_SERVICE) == 0)
			continue;
		for (row = map_table; row->setting; row++)
			for (k = 0; k < MAP_PARAMS && row->param[k]; k++)
				if (map_where(row, k) == MAP_CLIENT && wanted_value(vs, row->setting)
				    && master_cf_option(s, row->param[k]) && !meant(want, s->name, row->setting)
				    && changes(before, after, NULL, row->param[k]))
					plan_warn(p, "the sending service %s keeps its own %s in master.cf", clean(s->name), row->param[k]);
	}
}

static long
wait_seconds(const struct view *v, const char *param)
{
	const struct map_row *r = map_find("outbound.retry.max");
	char *native[MAP_PARAMS] = { view_value(v, NULL, param), NULL }, *ours = map_ours(r, native), *unit = NULL;
	long n = ours ? strtol(ours, &unit, 10) : -1;

	if (ours)
		n *= *unit == 'd' ? 86400 : *unit == 'h' ? 3600 : *unit == 'm' ? 60 : 1;
	free(native[0]);
	free(ours);
	return n;
}

static void
judge_times(struct plan *p, const struct wanted_vs *vs, const struct view *after)
{
	long first = wait_seconds(after, "minimal_backoff_time"), longest = wait_seconds(after, "maximal_backoff_time");
	long scan = wait_seconds(after, "queue_run_delay");

	if (wanted_value(vs, "outbound.retry.first") == NULL && wanted_value(vs, "outbound.retry.max") == NULL)
		return;
	if (first > longest && longest >= 0)
		verdict(p, vs->name, "retry intervals", false, "the first retry interval is longer than the longest");
	if (first >= 0 && first < scan)
		plan_warn(p, "the queue is only scanned every %ld seconds (queue_run_delay), so a first retry after %ld comes later",
		    scan, first);
}

static void
judge_relay(struct plan *p, const struct view *after)
{
	const char *relay = pairs_get(&after->expanded, "smtpd_relay_restrictions");
	const char *recipient = pairs_get(&after->expanded, "smtpd_recipient_restrictions");

	if (relay && recipient)
		plan_check(p, "relay restrictions", *relay || *recipient,
		    *relay || *recipient ? "" : "smtpd_relay_restrictions and smtpd_recipient_restrictions are empty: "
		    "Postfix refuses all mail until one of them is set");
}

static void
judge_missing(struct plan *p, const struct wanted_vs *vs, const struct view *after)
{
	char *text;

	if (vs->is_default || text_eq(vs->kind, "outbound") || vs_service(after, vs) || (vs->settings.n == 0 && !vs->certificate_set))
		return;
	text = xasprintf("master.cf has no service \"%s inet\" any more; what is wanted of it is left out", clean(vs->name));
	if (vs->certificate)
		verdict(p, vs->name, "the virtual server is there", false, text);
	else
		plan_warn(p, "%s", text);
	free(text);
}

void
plan_judge(struct plan *p, const struct reading *have, const struct wanted_host *want, const struct view *before,
        const struct view *after)
{
	size_t i;

	judge_relay(p, after);
	listeners_judge(p, want, after);
	for (i = 0; i < want->n_vs; i++) {
		const struct wanted_vs *vs = &want->vs[i];

		judge_missing(p, vs, after);
		if (vs->certificate && (vs->is_default || vs_service(after, vs)))
			judge_certificate(p, have, vs, after);
		judge_inbound(p, vs, before, after);
		if (vs->is_default) {
			judge_outbound(p, have, vs, before, after);
			judge_overrides(p, want, vs, before, after);
			judge_times(p, vs, after);
		}
		settings_judge(p, vs, after);
	}
	if (!view_empty(after, NULL, "tls_server_sni_maps"))
		plan_warn(p, "tls_server_sni_maps is set: clients that name a host in it get the certificate from that map, which "
		    "only \"postmap -F\" renews");
}

/* --- commands --- */

static const char check_unused[] =
    "u() { postconf -n \"$@\" 2>&1 >/dev/null | sed -n 's/.*unused parameter: //p' | sort -u; }; "
    "old=$(u); new=$(u -c \"$1\" | while IFS= read -r l; do "
    "printf '%s\\n' \"$old\" | grep -Fxq -e \"$l\" || echo \"$l\"; done); "
    "if [ -n \"$new\" ]; then echo \"Postfix does not know: $new\"; exit 1; fi";

static const char check_starts[] =
    "d=$(postconf -h daemon_directory 2>/dev/null) || exit 1; c=$1; shift; "
    "printf 'EHLO localhost\\r\\nQUIT\\r\\n' | MAIL_CONFIG=\"$c\" \"$d/smtpd\" -S \"$@\" >/dev/null || "
    "{ echo \"smtpd does not start with this configuration; the mail log says why\"; exit 1; }";

static const char check_chain[] =
    "k=$(openssl pkey -in \"$1\" -pubout -passin pass: 2>/dev/null); "
    "c=$(openssl x509 -in \"$1\" -noout -pubkey 2>/dev/null); "
    "if [ -z \"$k\" ] || [ \"$k\" != \"$c\" ]; then echo \"the key does not fit the certificate in $1\"; exit 1; fi";

/* A dry run of one service: smtpd with its own settings over the staged files, without a listener (smtpd(8), -S). */
static void
add_dry_run(struct plan *p, const struct master_service *s)
{
	char *name = xasprintf("smtpd starts (%s)", clean(s->name));
	struct command *c = command_add(&p->checks, name, "sh", "-c", check_starts, "sh", "@STAGED@", (char *)NULL);
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (strcmp(s->v[i].name, "smtpd_tls_wrappermode") == 0 || strcmp(s->v[i].name, "syslog_name") == 0
		    || !clean_is(s->v[i].value, strlen(s->v[i].value)))
			continue;
		command_word(c, xstrdup("-o"));
		command_word(c, xasprintf("%s=%s", s->v[i].name, s->v[i].value));
	}
	command_word(c, xstrdup("-o"));
	command_word(c, xstrdup("syslog_name=postfix/mxseal-check"));
	command_word(c, xstrdup("-o"));
	command_word(c, xstrdup("smtpd_milters="));
	free(name);
}

/* The unit that really runs the daemons: on Debian 12 postfix@-.service, elsewhere postfix.service. */
static const char *
running_unit(const struct reading *have)
{
	static const char *const units[] = { "postfix@-.service", "postfix.service" };
	const struct section *s = section_find(&have->sections, "units");
	const char *text = s ? s->text.s : "";
	size_t i;

	for (i = 0; i < 2; i++) {
		char *id = xasprintf("Id=%s\n", units[i]);
		const char *at = strstr(text, id), *next = at ? strstr(at + 1, "Id=") : NULL;
		const char *running = at ? strstr(at, "SubState=running") : NULL;

		free(id);
		if (running && (next == NULL || running < next))
			return units[i];
	}
	return NULL;
}

void
plan_commands(struct plan *p, const struct reading *have, const struct view *before, const struct view *after)
{
	const char *unit = running_unit(have);
	bool shadow;
	size_t i;

	for (i = 0; i < p->n_changes; i++)
		if (p->changes[i].key_path)
			command_add(&p->checks, "the key fits", "sh", "-c", check_chain, "sh", p->changes[i].path, (char *)NULL);
	plan_verdicts_there(p, before, after);
	command_add(&p->checks, "postfix check", "postfix", "-c", "@STAGED@", "check", (char *)NULL);
	command_add(&p->checks, "no unknown parameters", "sh", "-c", check_unused, "sh", "@STAGED@", (char *)NULL);
	shadow = shadow_command(p, have, after);
	for (i = 0; i < after->master.n && !shadow; i++)
		if (service_is_server(&after->master.v[i]))
			add_dry_run(p, &after->master.v[i]);
	command_add(&p->reload, "reload", "postfix", "reload", (char *)NULL);
	if (unit) {
		command_add(&p->restart, "restart", "systemctl", "restart", unit, (char *)NULL);
	} else {
		command_add(&p->restart, "stop", "postfix", "stop", (char *)NULL);
		command_add(&p->restart, "start", "postfix", "start", (char *)NULL);
	}
	watch_command(p);
}

/* --- listeners --- */

/* The certificate that this service will serve, as SHA-256 of the leaf; "" when it is not known for sure. Whose it is, when it
 * is one of ours. */
static const struct wanted_vs *
expected(const struct reading *have, const struct file_list *files, const struct wanted_host *want, const struct view *after,
        const struct master_service *s, char sha256[65])
{
	char *cert, *key, *second, *chain = view_value(after, s, "smtpd_tls_chain_files");
	char *other = view_value(after, NULL, "smtpd_tls_chain_files");
	const struct wanted_vs *found = NULL;
	size_t i;

	sha256[0] = '\0';
	service_cert_at(after, s, 1, &second, &key);
	free(key);
	service_cert_files(after, s, &cert, &key);
	for (i = 0; i < want->n_vs && found == NULL; i++) {
		const struct wanted_vs *vs = &want->vs[i];

		if (vs->certificate && (vs_service(after, vs) == s || (vs->is_default && *chain && strcmp(chain, other) == 0)))
			found = vs;
	}
	if (found && found->certificate->sha256)
		snprintf(sha256, 65, "%s", found->certificate->sha256);
	else if (found == NULL && *second == '\0')
		pem_sha256(file_text(files, &have->sections, FILE_CERT, cert, "cert"), "CERTIFICATE", sha256);
	free(cert);
	free(key);
	free(chain);
	free(second);
	free(other);
	return found;
}

void
proof_add(struct plan *p, const struct proof_want *model, const char *listen)
{
	const char *colon = strrchr(listen, ':');
	struct proof_want w = *model;

	w.listen = xstrdup(listen);
	w.port = colon ? atoi(colon + 1) : 0;
	w.address = *listen == '[' ? xstrndup(listen + 1, strcspn(listen + 1, "]"))
	    : xstrndup(listen, colon ? (size_t)(colon - listen) : strlen(listen));
	if (strcmp(w.address, "0.0.0.0") == 0)
		xset(&w.address, "127.0.0.1");
	else if (strcmp(w.address, "::") == 0)
		xset(&w.address, "::1");
	w.name = xstrdup(model->name);
	ARRAY_GROW(p->wants, p->n_wants);
	p->wants[p->n_wants++] = w;
}

/* Was TLS broken here before, and does this plan not touch its certificate? Then it cannot prove it either. */
static bool
broken_before(const struct reading *have, const struct view *after, const struct master_service *s)
{
	char *cert, *key, *title = xasprintf("%s %s", s->name, s->type);
	bool broken = false;
	size_t i;

	service_cert_files(after, s, &cert, &key);
	for (i = 0; i < have->vservers.n; i++)
		if (text_eq(have->vservers.v[i].title, title) && text_eq(have->vservers.v[i].cert_file, cert))
			broken = have->vservers.v[i].cert_trouble != NULL;
	free(cert);
	free(key);
	free(title);
	return broken;
}

/* The same listener, for who takes only keys of the second one's kind. */
static void
second_want(struct plan *p, const struct proof_want *first, const struct certificate *c, const char *listen)
{
	struct proof_want w = *first;

	snprintf(w.sha256, sizeof(w.sha256), "%s", text_empty(c->sha256) ? "" : c->sha256);
	snprintf(w.key, sizeof(w.key), "%s", text_empty(c->key_type) ? "" : c->key_type);
	proof_add(p, &w, listen);
}

static void
service_wants(struct plan *p, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        const struct view *after, const struct master_service *s)
{
	struct proof_want model = { .implicit_tls = view_yes(after, s, "smtpd_tls_wrappermode") };
	const struct wanted_vs *of = expected(have, files, want, after, s, model.sha256);
	const struct certificate *c = of ? of->certificate : NULL;
	char *level = view_level(after, s, false), *name = view_value(after, s, "myhostname");
	bool off = strcmp(level, "none") == 0 && !model.implicit_tls;
	struct str listen = STR_INIT;
	char **words;
	size_t i;

	model.want_tls = !off && has_certificate(after, s) && !broken_before(have, after, s);
	model.forbid_tls = off;
	if (service_paused(s)) {
		model.state = PROOF_PAUSED;
		model.want_tls = model.forbid_tls = false;
	}
	if (!model.want_tls)
		model.sha256[0] = '\0';
	if (c && model.want_tls && view_empty(after, NULL, "tls_server_sni_maps"))
		model.name = covers(c, name) ? name : c->cn;
	service_listen(after, s, &listen);
	words = words_split(listen.s, " ", NULL);
	if (of && of->second && model.want_tls)
		snprintf(model.key, sizeof(model.key), "%s", text_empty(c->key_type) ? "" : c->key_type);
	for (i = 0; words && words[i]; i++) {
		/* the IPv6 twin of "everywhere" may not exist on the host, and is the same service */
		if (i != 0 && (text_starts(words[i], "[::]:") || text_starts(words[i], "[::1]:")))
			continue;
		proof_add(p, &model, words[i]);
		if (model.key[0])
			second_want(p, &model, of->second, words[i]);
	}
	words_free(words);
	str_release(&listen);
	free(level);
	free(name);
}

void
plan_listeners(struct plan *p, const struct reading *have, const struct file_list *files, const struct wanted_host *want,
        const struct view *after)
{
	size_t i;

	for (i = 0; i < after->master.n; i++)
		if (service_is_server(&after->master.v[i]))
			service_wants(p, have, files, want, after, &after->master.v[i]);
}
