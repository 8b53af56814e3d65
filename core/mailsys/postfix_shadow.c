/* The checks of a staged configuration that need more than one command of Postfix: our verdicts on the host
 * (postfix_verdicts.sh), and the trial run, where the staged configuration is started as a throw-away instance
 * (postfix_shadow.sh). Both scripts are fixed text; here are the words that go with them: master.cf with every listener
 * on the loopback address, and main.cf so that nothing leaves the host and no service outside is touched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"
#include "postfix_shadow.inc"
#include "postfix_verdicts.inc"

/* --- scripts as words --- */

char *
script_word(const unsigned char *mem, size_t len)
{
	const char *s = (const char *)mem, *stop = s + len;
	struct str out = STR_INIT;

	while (s < stop) {
		const char *nl = memchr(s, '\n', (size_t)(stop - s)), *end = nl ? nl + 1 : stop, *p = s;

		while (p < end && *p == '\t')
			p++;
		for (; s < end && *p != '#'; s++)
			if (*s == '\\' || *s == '\t' || *s == '\n')
				str_addf(&out, "\\%c", *s == '\t' ? 't' : *s == '\n' ? 'n' : '\\');
			else
				str_addc(&out, *s);
		s = end;
	}
	return str_take(&out);
}

void
command_word(struct command *c, char *word)
{
	size_t n = 0;

	while (c->argv[n])
		n++;
	c->argv = xrealloc(c->argv, n + 2, sizeof(*c->argv));
	c->argv[n] = word;
	c->argv[n + 1] = NULL;
}

static struct command *
add_script(struct plan *p, const char *name, const unsigned char *mem, size_t len)
{
	struct command *c = command_add(&p->checks, name, "sh", "-c", "eval \"$(printf %b \"$1\")\"", "mxseal-check", (char *)NULL);

	command_word(c, script_word(mem, len));
	command_word(c, xstrdup("@STAGED@"));
	command_word(c, xstrdup(p->config_dir));
	return c;
}

struct command *
verdicts_command(struct plan *p)
{
	return add_script(p, "our own look at files, tables and addresses", postfix_verdicts, sizeof(postfix_verdicts));
}

/* --- master.cf of the trial run --- */

enum part { PART_NONE, PART_PLAIN, PART_CLIENT, PART_SERVER };

/* Programs that take part; all others are another way out of the host, or a way into it. */
static const struct { const char *name; enum part part; } parts[] = {
	{ "anvil", PART_PLAIN }, { "bounce", PART_PLAIN }, { "cleanup", PART_PLAIN }, { "discard", PART_PLAIN },
	{ "dnsblog", PART_PLAIN }, { "error", PART_PLAIN }, { "flush", PART_PLAIN }, { "nqmgr", PART_PLAIN },
	{ "oqmgr", PART_PLAIN }, { "postscreen", PART_SERVER }, { "proxymap", PART_PLAIN }, { "qmgr", PART_PLAIN },
	{ "scache", PART_PLAIN }, { "showq", PART_PLAIN }, { "smtp", PART_CLIENT }, { "smtpd", PART_SERVER },
	{ "tlsmgr", PART_PLAIN }, { "tlsproxy", PART_PLAIN }, { "trivial-rewrite", PART_PLAIN }, { "verify", PART_PLAIN },
	{ NULL, PART_NONE },
};

static enum part
part_of(const struct master_service *s)
{
	const char *slash = strrchr(s->command, '/'), *name = slash ? slash + 1 : s->command;
	size_t i;

	for (i = 0; parts[i].name && strcmp(parts[i].name, name) != 0; i++)
		;
	return parts[i].part;
}

static const char client_words[] = " -o smtp_fallback_relay= -o smtp_tls_policy_maps=static:may -o smtp_tls_wrappermode=no";
/* Who looks at the trial run has no certificate of a client. */
static const char server_words[] = " -o smtpd_milters= -o smtpd_upstream_proxy_protocol= -o smtpd_delay_reject=yes -o smtpd_tls_req_ccert=no";
static const char screen_words[] = " -o postscreen_dnsbl_sites= -o postscreen_access_list=permit_mynetworks -o mynetworks=127.0.0.0/8"
    " -o postscreen_upstream_proxy_protocol= -o postscreen_cache_map=";

/* The line of a service from its eighth field on, on one line. */
static char *
rest_of_line(const struct view *v, const struct master_service *s)
{
	const struct cf_line *l = &v->master.t.lines[s->line];
	size_t start = s->command_end - strlen(s->command);
	char *rest = xstrndup(l->joined + start, l->len - start), *p;

	for (p = rest; *p; p++)
		if (*p == '\t' || *p == '\r' || *p == '\n')
			*p = ' ';
	return rest;
}

/* Where passwords are asked for: a socket in the queue directory can be lent to the trial run. */
static bool
sasl_lent(const char *path)
{
	return text_starts(path, "private/") && path[8] != '.' &&
	    path[8 + strspn(path + 8, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0' && path[8];
}

static void
sasl_words(const struct view *v, const struct master_service *s, struct str *out)
{
	char *type = view_value(v, s, "smtpd_sasl_type"), *path = view_value(v, s, "smtpd_sasl_path");
	char *common = view_value(v, NULL, "smtpd_sasl_path");

	if (view_yes(v, s, "smtpd_sasl_auth_enable") && strcmp(type, "cyrus") != 0 && path[0] != '/'
	    && !text_starts(path, "inet:") && (!sasl_lent(path) || strcmp(path, common) != 0))
		str_add(out, " -o smtpd_sasl_auth_enable=no");
	free(type);
	free(path);
	free(common);
}

static char *
server_line(const struct view *v, const struct master_service *s)
{
	const char *slash = strrchr(s->command, '/');
	struct str out = STR_INIT;
	char *rest = rest_of_line(v, s);

	str_add(&out, rest);
	str_add(&out, strcmp(slash ? slash + 1 : s->command, "postscreen") == 0 ? screen_words : server_words);
	sasl_words(v, s, &out);
	free(rest);
	return str_take(&out);
}

static void
service_words(struct command *c, const struct master_service *s, const char *rest)
{
	command_word(c, xstrdup("service"));
	command_word(c, xasprintf("%s %s %s - n %s %s %s", s->name, s->type, s->column[MASTER_PRIVATE], s->column[MASTER_WAKEUP],
	    s->column[MASTER_MAXPROC], rest));
}

/* What a listener has to show: what is proved of it after the switch, and more where it was broken before. */
static void
listener_words(struct command *c, const struct plan *p, const struct view *v, const struct master_service *s, char *line)
{
	struct str listen = STR_INIT, names = STR_INIT;
	const struct proof_want *w = NULL;
	struct str sha = STR_INIT;
	bool wrapper = view_yes(v, s, "smtpd_tls_wrappermode"), off;
	char *level = view_level(v, s, false), *cert, *key;
	size_t i, n;

	service_listen(v, s, &listen);
	n = strcspn(listen.s, " ");
	for (i = 0; i < p->n_wants && w == NULL; i++)
		if (strlen(p->wants[i].listen) == n && strncmp(p->wants[i].listen, listen.s, n) == 0)
			w = &p->wants[i];
	for (i = 0; w && i < p->n_wants; i++)         /* of two, which one is served is the client's choice */
		if (strcmp(p->wants[i].listen, w->listen) == 0 && p->wants[i].sha256[0])
			str_addf(&sha, "%s%s", sha.len > 0 ? "," : "", p->wants[i].sha256);
	off = strcmp(level, "none") == 0 && !wrapper;
	service_cert_files(v, s, &cert, &key);
	str_add(&names, "-");
	/* without a table of names Postfix serves everybody the same */
	if (w && !text_empty(w->name) && !view_empty(v, s, "tls_server_sni_maps"))
		str_addf(&names, ",%s", w->name);
	command_word(c, xstrdup("listen"));
	command_word(c, xasprintf("%s (%.*s)", s->name, (int)n, listen.s));
	command_word(c, xstrdup(off ? "none" : *cert == '\0' ? "any" : wrapper ? "implicit" : "starttls"));
	command_word(c, xstrdup(sha.len > 0 && !off ? sha.s : "-"));
	command_word(c, str_take(&names));
	command_word(c, xstrdup(w ? w->address : "-"));
	command_word(c, w ? xasprintf("%d", w->port) : xstrdup("-"));
	command_word(c, line);
	str_release(&listen);
	str_release(&sha);
	free(level);
	free(cert);
	free(key);
}

/* --- main.cf of the trial run --- */

static const char *const overrides[] = {
	/* nothing leaves, nothing outside is asked */
	"relayhost =", "sender_dependent_relayhost_maps =", "sender_dependent_default_transport_maps =", "smtp_fallback_relay =",
	"content_filter =", "smtpd_milters =", "non_smtpd_milters =", "always_bcc =", "defer_transports =", "notify_classes =",
	"default_delivery_status_filter =", "smtp_delivery_status_filter =", "address_verify_map =", "postscreen_cache_map =",
	/* nothing is shared with the live instance */
	"smtp_tls_session_cache_database =", "smtpd_tls_session_cache_database =", "lmtp_tls_session_cache_database =",
	"multi_instance_enable = no", "multi_instance_directories =", "syslog_name = trial", "authorized_submit_users = static:all",
	/* and it does not take long */
	"smtpd_client_event_limit_exceptions = 127.0.0.0/8", "minimal_backoff_time = 1s", "queue_run_delay = 1s",
	"in_flow_delay = 0", "soft_bounce = no", "smtpd_tls_loglevel = 1", "smtp_tls_loglevel = 1", NULL
};

static void
main_words(struct command *c, const struct view *v)
{
	char *protocols = view_value(v, NULL, "inet_protocols");
	size_t i;

	for (i = 0; overrides[i]; i++) {
		command_word(c, xstrdup("main"));
		command_word(c, xstrdup(overrides[i]));
	}
	if (strcmp(protocols, "ipv6") == 0) {
		command_word(c, xstrdup("main"));
		command_word(c, xstrdup("inet_protocols = all"));
	}
	free(protocols);
}

/* The service that mail leaves by, when it is the client of ours; "-" where another program sends. */
static char *
sending_service(const struct view *v)
{
	char *transport = view_value(v, NULL, "default_transport");
	const struct master_service *s;

	transport[strcspn(transport, ":")] = '\0';
	s = master_cf_find(&v->master, transport, "unix");
	if (s == NULL || part_of(s) != PART_CLIENT)
		xset(&transport, "-");
	return transport;
}

/* --- the command --- */

/* Why there can be no trial run here, as the end of a sentence; NULL: there can. */
static const char *
hindrance(const struct reading *have, const struct view *v)
{
	const struct section *tools = section_find(&have->sections, "tools");
	size_t i;

	if (!version_at_least(v->version, 3, 4))
		return "Postfix before 3.4 cannot keep the log of one apart";
	if (tools && strstr(tools->text.s, "openssl") == NULL)
		return "it has no openssl";
	if (tools && strstr(tools->text.s, "awk") == NULL)
		return "it has no awk";
	for (i = 0; i < v->master.n; i++) {
		char *rest = rest_of_line(v, &v->master.v[i]);
		bool plain = clean_is(rest, strlen(rest));

		free(rest);
		if (!plain)
			return "master.cf has control characters";
	}
	return NULL;
}

bool
shadow_command(struct plan *p, const struct reading *have, const struct view *after)
{
	const char *why = hindrance(have, after);
	struct command *c;
	char *client, *sasl;
	size_t i;

	if (p->options.no_shadow || why) {
		plan_warn(p, "no shadow: the new configuration is not tried out on the host before the switch%s%s",
		    why ? "; " : " (--no-shadow)", why ? why : "");
		return false;
	}
	c = add_script(p, "shadow instance", postfix_shadow, sizeof(postfix_shadow));
	client = sending_service(after);
	sasl = view_value(after, NULL, "smtpd_sasl_path");
	command_word(c, client);
	command_word(c, xstrdup(sasl_lent(sasl) ? sasl : "-"));
	main_words(c, after);
	for (i = 0; i < after->master.n; i++) {
		const struct master_service *s = &after->master.v[i];
		enum part part = part_of(s);
		char *line;

		if (strcmp(s->type, "inet") == 0) {
			if (service_is_server(s))
				listener_words(c, p, after, s, server_line(after, s));
			continue;
		}
		if (part == PART_NONE)
			continue;
		line = part == PART_SERVER ? server_line(after, s) : rest_of_line(after, s);
		if (part == PART_CLIENT) {
			char *more = xasprintf("%s%s", line, client_words);

			free(line);
			line = more;
		}
		service_words(c, s, line);
		free(line);
	}
	free(sasl);
	return true;
}
