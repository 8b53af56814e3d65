/* THE TABLE of what each setting is in Postfix: its parameters, whose they are, and how values translate. Protocol and cipher
 * parameters come in two sets, one for "may" and one for "encrypt" and wrapper mode (postconf(5),
 * smtpd_tls_mandatory_protocols): both are always written, and the laxer of the two is what is found. Some values are edits
 * of a list that is the administrator's: those are made from what is in force (postfix_lists.c). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

struct map_word { const char *ours, *native[MAP_PARAMS]; };

static const struct map_word server_levels[] = {
	{ "off", { "none" } }, { "offer", { "may" } }, { "require", { "encrypt" } }, { NULL, { NULL } }
};
static const struct map_word client_levels[] = {
	{ "none", { "none" } }, { "may", { "may" } }, { "encrypt", { "encrypt" } }, { "verify", { "verify" } },
	{ "secure", { "secure" } }, { "dane", { "dane" } }, { "dane-only", { "dane-only" } }, { NULL, { NULL } }
};
static const struct map_word yes_no[] = { { "no", { "no" } }, { "yes", { "yes" } }, { NULL, { NULL } } };
static const struct map_word client_cert[] = {
	{ "none", { "no", "no" } }, { "ask", { "yes", "no" } }, { "require", { "yes", "yes" } },
	{ "require", { "no", "yes" } },          /* req_ccert asks by itself */
	{ NULL, { NULL } }
};
/* weakest first: of two that differ the first counts */
static const struct map_word grades[] = {
	{ "medium", { "medium", "medium" } }, { "high", { "high", "high" } }, { NULL, { NULL } }
};
static const struct map_word log_levels[] = {
	{ "none", { "0", "0" } }, { "summary", { "1", "1" } }, { "detail", { "2", "2" } }, { NULL, { NULL } }
};

const struct map_row map_table[] = {
	{ "inbound.name", MAP_OWN, { "myhostname" }, NULL, MAP_TEXT },
	{ "inbound.connections", MAP_SERVER_PROCS, { "maxproc" }, NULL, MAP_COLUMN },
	{ "inbound.connections-per-client", MAP_SERVER, { "smtpd_client_connection_count_limit" }, NULL, MAP_NUMBER },
	{ "inbound.timeout", MAP_SERVER, { "smtpd_timeout" }, NULL, MAP_SECONDS },
	{ "inbound.anonymous", MAP_SERVER, { "smtpd_sender_restrictions" }, NULL, MAP_ANONYMOUS },
	{ "inbound.auth", MAP_SERVER, { "smtpd_sasl_auth_enable" }, yes_no, MAP_WORDS },
	{ "inbound.tls", MAP_SERVER, { "smtpd_tls_security_level" }, server_levels, MAP_WORDS },
	{ "inbound.protocol-min", MAP_SERVER, { "smtpd_tls_protocols", "smtpd_tls_mandatory_protocols" }, NULL, MAP_PROTOCOL },
	{ "inbound.ciphers", MAP_SERVER, { "smtpd_tls_ciphers", "smtpd_tls_mandatory_ciphers" }, grades, MAP_RANKED },
	{ "inbound.auth-needs-tls", MAP_SERVER, { "smtpd_tls_auth_only" }, yes_no, MAP_WORDS },
	{ "inbound.client-cert", MAP_SERVER, { "smtpd_tls_ask_ccert", "smtpd_tls_req_ccert" }, client_cert, MAP_WORDS },
	{ "inbound.clients.only", MAP_ACCESS, { "smtpd_client_restrictions" }, NULL, MAP_CLIENTS },
	{ "inbound.clients.except", MAP_ACCESS, { "smtpd_client_restrictions" }, NULL, MAP_CLIENTS },
	{ "inbound.relay.networks", MAP_SERVER, { "mynetworks" }, NULL, MAP_NETWORKS },
	{ "inbound.relay.authenticated", MAP_SERVER, { "smtpd_relay_restrictions" }, NULL, MAP_MAY_RELAY },
	{ "inbound.reverse-lookup", MAP_SERVER, { "smtpd_peername_lookup" }, yes_no, MAP_WORDS },
	/* local(8) and virtual(8) stop when their limit is below that of messages */
	{ "inbound.message-size", MAP_SERVER, { "message_size_limit", "mailbox_size_limit", "virtual_mailbox_limit" }, NULL, MAP_SIZE },
	{ "inbound.recipients", MAP_SERVER, { "smtpd_recipient_limit" }, NULL, MAP_NUMBER },
	{ "inbound.unknown-recipients", MAP_HOST, { "fallback_transport", "local_recipient_maps" }, NULL, MAP_FALLBACK },
	{ "notices.copy-to", MAP_HOST, { "bounce_notice_recipient", "notify_classes" }, NULL, MAP_NOTICE },
	{ "notices.expire-after", MAP_HOST, { "bounce_queue_lifetime" }, NULL, MAP_DAYS },
	{ "outbound.tls", MAP_CLIENT, { "smtp_tls_security_level" }, client_levels, MAP_WORDS },
	{ "outbound.protocol-min", MAP_CLIENT, { "smtp_tls_protocols", "smtp_tls_mandatory_protocols" }, NULL, MAP_PROTOCOL },
	{ "outbound.ciphers", MAP_CLIENT, { "smtp_tls_ciphers", "smtp_tls_mandatory_ciphers" }, grades, MAP_RANKED },
	{ "outbound.smart-host", MAP_HOST, { "relayhost" }, NULL, MAP_RELAY },
	{ "outbound.fallback-host", MAP_CLIENT, { "smtp_fallback_relay" }, NULL, MAP_RELAY },
	{ "outbound.helo-name", MAP_CLIENT, { "smtp_helo_name" }, NULL, MAP_TEXT },
	{ "outbound.helo-only", MAP_CLIENT, { "smtp_never_send_ehlo" }, yes_no, MAP_WORDS },
	{ "outbound.connections", MAP_CLIENT_PROCS, { "maxproc" }, NULL, MAP_COLUMN },
	{ "outbound.connections-per-domain", MAP_TRANSPORT, { "smtp_destination_concurrency_limit" }, NULL, MAP_NUMBER },
	{ "outbound.timeout.connect", MAP_CLIENT, { "smtp_connect_timeout" }, NULL, MAP_SECONDS },
	{ "outbound.timeout", MAP_CLIENT, { "smtp_helo_timeout", "smtp_mail_timeout", "smtp_rcpt_timeout" }, NULL, MAP_SECONDS },
	{ "outbound.port", MAP_CLIENT, { "smtp_tcp_port" }, NULL, MAP_PORT },
	/* a connection is used once, and then again so many times; "never" is another parameter's word */
	{ "outbound.messages-per-connection", MAP_CLIENT, { "smtp_connection_reuse_count_limit", "smtp_connection_cache_on_demand" },
	  NULL, MAP_REUSE },
	{ "outbound.hop-count", MAP_HOST, { "hopcount_limit" }, NULL, MAP_NUMBER },
	{ "outbound.masquerade", MAP_HOST, { "masquerade_domains" }, NULL, MAP_DOMAINS },
	/* the queue is looked through that often: more seldom, and the first retry would come later than said */
	{ "outbound.retry.first", MAP_HOST, { "minimal_backoff_time", "queue_run_delay" }, NULL, MAP_SECONDS },
	{ "outbound.retry.max", MAP_HOST, { "maximal_backoff_time" }, NULL, MAP_SECONDS },
	{ "outbound.expire-after", MAP_HOST, { "maximal_queue_lifetime" }, NULL, MAP_DAYS },
	{ "outbound.notify-after", MAP_HOST, { "delay_warning_time" }, NULL, MAP_HOURS },
	{ "log.tls", MAP_SERVER, { "smtpd_tls_loglevel", "smtp_tls_loglevel" }, log_levels, MAP_RANKED },
	{ NULL, MAP_HOST, { NULL }, NULL, MAP_TEXT }
};

/* What the original dialogs had and Postfix has not, with what there is instead. */
#define NOT "not on Postfix: "
static const struct { const char *setting, *why; } not_here[] = {
	{ "log.format", NOT "Postfix writes one format, to syslog or to maillog_file" },
	{ "inbound.auth-domain", NOT "who checks passwords adds the domain (Dovecot: auth_default_realm)" },
	{ "inbound.auth-windows", NOT "the mechanisms are those of Dovecot or Cyrus SASL (GSSAPI, NTLM), set up there" },
	{ "inbound.session-size", NOT "Postfix does not count the bytes of a connection; each message has its limit" },
	{ "notices.badmail", NOT "a notice that cannot be delivered goes to 2bounce_notice_recipient when notify_classes has 2bounce" },
	{ "outbound.retry.second", NOT "the wait doubles from the first interval to the longest" },
	{ "local.expire-after", NOT "the two times above are for all mail, wherever it comes from" },
	{ "outbound.auth", NOT "a login belongs to a smart host: set it on a connector" },
	{ "outbound.dns-servers", NOT "Postfix asks the name servers in the host's own resolv.conf" },
};

const char *
map_declines(const char *setting, bool is_default)
{
	const struct map_row *r = map_find(setting);
	size_t i;

	for (i = 0; i < sizeof(not_here) / sizeof(not_here[0]); i++)
		if (strcmp(not_here[i].setting, setting) == 0)
			return not_here[i].why;
	if (r == NULL)
		return NOT "it knows nothing of this setting";
	return r->where == MAP_HOST && !is_default ? "one for all mail of the host: it is set on the default virtual server" : NULL;
}

enum map_where
map_where(const struct map_row *r, int param)
{
	if (r->where != MAP_SERVER && r->where != MAP_CLIENT)
		return r->where;
	if (text_starts(r->param[param], "smtp_"))
		return MAP_CLIENT;
	return r->kind == MAP_SIZE && param > 0 ? MAP_HOST : r->where;
}

const struct map_row *
map_find(const char *setting)
{
	const struct map_row *r;

	for (r = map_table; r->setting; r++)
		if (strcmp(r->setting, setting) == 0)
			return r;
	return NULL;
}

/* --- protocol lists --- */

static const struct { const char *ours, *native; } versions[] = {
	{ NULL, "SSLv2" }, { NULL, "SSLv3" }, { "tls1.0", "TLSv1" }, { "tls1.1", "TLSv1.1" }, { "tls1.2", "TLSv1.2" },
	{ "tls1.3", "TLSv1.3" },
};
#define VERSIONS ((int)(sizeof(versions) / sizeof(versions[0])))

static int
version_of(const char *word, size_t len)
{
	int i;

	for (i = 0; i < VERSIONS; i++)
		if (strlen(versions[i].native) == len && strncasecmp(versions[i].native, word, len) == 0)
			return i;
	return -1;
}

/* The oldest version that a list lets through (postconf(5), smtpd_tls_protocols): ">=X", "!X", "X". -1: not understood.
 */
static int
oldest_allowed(const char *list)
{
	unsigned excluded = 0, included = 0;
	int floor = 0, i;

	while (*list) {
		size_t len, sign;

		list += strspn(list, ", \t\r\n:");
		len = strcspn(list, ", \t\r\n:");
		if (len == 0)
			break;
		sign = *list == '!' ? 1 : strncmp(list, ">=", 2) == 0 || strncmp(list, "<=", 2) == 0 ? 2 : 0;
		i = version_of(list + sign, len - sign);
		if (i < 0)
			return -1;
		if (sign == 1)
			excluded |= 1u << i;
		else if (sign == 0)
			included |= 1u << i;
		else if (*list == '>' && i > floor)
			floor = i;
		list += len;
	}
	for (i = floor; i < VERSIONS; i++)
		if (!(excluded & 1u << i) && (included == 0 || included & 1u << i))
			return i;
	return -1;
}

bool
map_protocols_ok(const char *list)
{
	return *list == '\0' || strchr(list, '$') || strstr(list, "0x") || oldest_allowed(list) >= 0;
}

static char *
protocol_native(const char *value, const int version[2])
{
	struct str out = STR_INIT;
	int i, oldest;

	for (oldest = 0; oldest < VERSIONS && !text_eq(versions[oldest].ours, value); oldest++)
		;
	if (oldest == VERSIONS)
		return NULL;
	if (version_at_least(version, 3, 6))
		return xasprintf(">=%s", versions[oldest].native);
	for (i = 0; i < oldest; i++)
		str_addf(&out, "%s!%s", i ? "," : "", versions[i].native);
	return str_take(&out);
}

/* --- times --- */

/* Seconds of a Postfix time; unit: what a bare number means. -1: none. */
static long
seconds(const char *text, long unit)
{
	static const struct { char letter; long seconds; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 604800 },
	};
	static const char stress[] = "${stress?{";
	char *end;
	const char *calm = text_starts(text, stress) ? strstr(text, "}:{") : NULL;
	long n;
	size_t i;

	if (calm) {                              /* "${stress?{10}:{300}}s": what counts while there is no stress */
		n = strtol(calm + 3, &end, 10);
		return strcmp(end, "}}s") == 0 && n >= 0 ? n : -1;
	}
	n = strtol(text, &end, 10);
	if (end == text)
		return -1;
	if (*end) {
		for (i = 0; i < 5 && tolower((unsigned char)*end) != units[i].letter; i++)
			;
		if (i == 5 || end[1])
			return -1;
		unit = units[i].seconds;
	}
	return n < 0 || n > 1000000000L / unit ? -1 : n * unit;
}

static long
time_unit(int kind)
{
	return kind == MAP_DAYS ? 86400 : kind == MAP_HOURS ? 3600 : 1;
}

/* --- numbers and lists --- */

/* A limit of Postfix as a number; service names where ports are meant. -1: none. */
static long
number(const char *text)
{
	char *end;
	long n;

	if ((n = service_port(text, NULL, 0)) > 0 && !isdigit((unsigned char)*text))
		return n;
	n = strtol(text, &end, 10);
	return end == text || *end || n < 0 ? -1 : n;
}

/* Bytes of "10M"; as setting_check made it. */
static long
bytes(const char *value)
{
	char *end;
	long n = strtol(value, &end, 10);

	return *end == 'G' ? n << 30 : *end == 'M' ? n << 20 : *end == 'K' ? n << 10 : n;
}

/* One normal form for what the setting's kind can check; NULL where it would refuse. */
static char *
normal(const struct map_row *r, const char *value)
{
	const struct setting *s = setting_find(r->setting);
	struct str out = STR_INIT;

	if (s == NULL || setting_check(s, value, &out, NULL) != 0) {
		str_release(&out);
		return NULL;
	}
	return str_take(&out);
}

/* "192.0.2.0/24 2001:db8::/32" as Postfix wants it: IPv6 in brackets. */
static char *
networks_native(const char *value)
{
	char **words = words_split(value, " ", NULL);
	struct str out = STR_INIT;
	size_t i, len;

	for (i = 0; words[i] && strcmp(value, "none") != 0; i++) {
		len = strcspn(words[i], "/");
		str_addf(&out, strchr(words[i], ':') ? "%s[%.*s]%s" : "%s%.*s%s", out.len ? " " : "", (int)len, words[i], words[i] + len);
	}
	words_free(words);
	return str_take(&out);
}

/* The limit of mailboxes (0: none) must not be below that of messages. */
static char *
size_native(int param, const char *value, const char *now)
{
	long want = bytes(value), have = number(now);

	if (param == 0 || (have > 0 && (want == 0 || have < want)))
		return xasprintf("%ld", want);
	return xstrdup(now);
}

/* --- both ways --- */

char *
map_native(const struct map_row *r, int param, const char *value, const int version[2], const char *now)
{
	const struct map_word *w;

	switch (r->kind) {
	case MAP_WORDS:
	case MAP_RANKED:
		for (w = r->words; w->ours; w++)
			if (strcmp(w->ours, value) == 0)
				return xstrdup(w->native[param]);
		return NULL;
	case MAP_PROTOCOL:
		return protocol_native(value, version);
	case MAP_RELAY:
	case MAP_DOMAINS:
		return xstrdup(strcmp(value, "none") == 0 ? "" : value);
	case MAP_NETWORKS:
		return networks_native(value);
	case MAP_SIZE:
		return size_native(param, value, now);
	case MAP_SECONDS:
		if (strcmp(r->setting, "outbound.retry.first") == 0 && param == 1)
			return xstrdup(seconds(now, 1) > seconds(value, 1) ? value : now);
		return xstrdup(value);
	case MAP_REUSE:
		if (param == 1)
			return xstrdup(strcmp(value, "1") == 0 ? "no" : "yes");
		return strcmp(value, "1") == 0 ? xstrdup(now) : xasprintf("%ld", number(value) > 0 ? number(value) - 1 : 0);
	case MAP_ANONYMOUS:
		return list_anonymous(now, strcmp(value, "yes") == 0);
	case MAP_MAY_RELAY:
		return list_may_relay(now, strcmp(value, "yes") == 0);
	case MAP_NOTICE:
		return param == 0 ? xstrdup(strcmp(value, "none") == 0 ? now : value) : list_word(now, "bounce", strcmp(value, "none") != 0);
	case MAP_FALLBACK:
		if (param == 0)
			return strcmp(value, "none") == 0 ? xstrdup("") : xasprintf("smtp:%s", value);
		if (strcmp(value, "none") != 0)
			return xstrdup("");          /* smtpd(8) knows no unknown local addresses then */
		return xstrdup(*now ? now : "proxy:unix:passwd.byname $alias_maps");
	default:
		return xstrdup(value);
	}
}

bool
map_same(const struct map_row *r, int param, const char *a, const char *b)
{
	char *x, *y;
	bool same;

	switch (r->kind) {
	case MAP_WORDS:
	case MAP_RANKED:
	case MAP_RELAY:
		return strcasecmp(a, b) == 0;
	case MAP_PROTOCOL:
		return strcmp(a, b) == 0 || (oldest_allowed(a) >= 0 && oldest_allowed(a) == oldest_allowed(b));
	case MAP_NUMBER:
	case MAP_SIZE:
	case MAP_PORT:
	case MAP_COLUMN:
		return strcmp(a, b) == 0 || (number(a) >= 0 && number(a) == number(b));
	case MAP_NETWORKS:
	case MAP_DOMAINS:
		x = normal(r, *a ? a : "none");
		y = normal(r, *b ? b : "none");
		same = x ? text_eq(x, y) : strcmp(a, b) == 0;
		free(x);
		free(y);
		return same;
	case MAP_SECONDS:
	case MAP_HOURS:
	case MAP_DAYS:
		return seconds(a, time_unit(r->kind)) >= 0
		    && seconds(a, time_unit(r->kind)) == seconds(b, time_unit(r->kind));
	default:
		(void)param;
		return strcmp(a, b) == 0;
	}
}

bool
map_is_helper(const struct map_row *r, int param)
{
	return param > 0 && map_where(r, param) == MAP_HOST && (r->kind == MAP_SIZE || r->kind == MAP_SECONDS);
}

bool
map_is_edit(const struct map_row *r)
{
	return r->kind == MAP_ANONYMOUS || r->kind == MAP_MAY_RELAY || r->kind == MAP_NOTICE || r->kind == MAP_FALLBACK;
}

static int
word_rank(const struct map_row *r, int param, const char *native)
{
	int i;

	for (i = 0; r->words[i].ours; i++)
		if (r->words[i].native[param] && strcasecmp(r->words[i].native[param], native) == 0)
			return i;
	return -1;
}

static bool
word_matches(const struct map_word *w, char *const native[MAP_PARAMS])
{
	int i;

	for (i = 0; i < MAP_PARAMS; i++)
		if (native[i] && w->native[i] && strcasecmp(w->native[i], native[i]) != 0)
			return false;
	return true;
}

char *
map_ours(const struct map_row *r, char *const native[MAP_PARAMS])
{
	const struct map_word *w;
	int i, rank, lowest = -1;
	char text[32];

	switch (r->kind) {
	case MAP_WORDS:
		for (w = r->words; w->ours; w++)
			if (word_matches(w, native))
				return xstrdup(w->ours);
		return NULL;
	case MAP_RANKED:
	case MAP_PROTOCOL:
		for (i = 0; i < MAP_PARAMS; i++) {
			if (native[i] == NULL)
				continue;
			rank = r->kind == MAP_RANKED ? word_rank(r, i, native[i]) : oldest_allowed(native[i]);
			if (rank < 0)
				return NULL;
			if (lowest < 0 || rank < lowest)
				lowest = rank;
		}
		if (lowest < 0)
			return NULL;
		return xstrdup(r->kind == MAP_RANKED ? r->words[lowest].ours : versions[lowest].ours);
	case MAP_RELAY:
	case MAP_NETWORKS:
	case MAP_DOMAINS:
		return normal(r, *native[0] ? native[0] : "none");
	case MAP_TEXT:
		return normal(r, native[0]);
	case MAP_NUMBER:
	case MAP_SIZE:
	case MAP_PORT:
	case MAP_COLUMN:
		if (number(native[0]) < 0)
			return NULL;
		snprintf(text, sizeof(text), "%ld", number(native[0]));
		return normal(r, text);
	case MAP_REUSE:
		if (strcasecmp(native[1], "no") == 0)
			return xstrdup("1");
		if (number(native[0]) < 0)
			return NULL;
		snprintf(text, sizeof(text), "%ld", number(native[0]) > 0 ? number(native[0]) + 1 : 0);
		return normal(r, text);
	case MAP_ANONYMOUS:
		return xstrdup(list_is_anonymous(native[0]) ? "yes" : "no");
	case MAP_MAY_RELAY:
		return xstrdup(list_has(native[0], "permit_sasl_authenticated") ? "yes" : "no");
	case MAP_NOTICE:
		return list_has(native[1], "bounce") ? normal(r, native[0]) : xstrdup("none");
	case MAP_FALLBACK:
		if (*native[0] == '\0')
			return xstrdup("none");
		return text_starts(native[0], "smtp:") ? normal(r, native[0] + 5) : NULL;
	case MAP_CLIENTS:
		return access_ours(r->setting, native[0]);
	default:
		if (seconds(native[0], time_unit(r->kind)) < 0)
			return NULL;
		snprintf(text, sizeof(text), "%lds", seconds(native[0], time_unit(r->kind)));
		return normal(r, text);
	}
}

/* --- what Postfix gets, for the line under a field --- */

/* Of an edit of a list what is put there or taken out, as a sentence of one line; NULL: no edit. */
static const char *
edit_words(const struct map_row *r, const char *value)
{
	bool yes = strcmp(value, "yes") == 0, none = strcmp(value, "none") == 0;

	switch (r->kind) {
	case MAP_ANONYMOUS:
		return yes ? "smtpd_sender_restrictions: not ending in permit_sasl_authenticated, reject"
		    : "smtpd_sender_restrictions: ending in permit_sasl_authenticated, reject";
	case MAP_MAY_RELAY:
		return yes ? "smtpd_relay_restrictions: with permit_sasl_authenticated"
		    : "smtpd_relay_restrictions: without permit_sasl_authenticated";
	case MAP_CLIENTS:
		return none ? "smtpd_client_restrictions: without this list"
		    : "smtpd_client_restrictions: in front check_client_access cidr: with this list";
	case MAP_NOTICE:
		return none ? "notify_classes: without bounce" : NULL;
	default:
		return NULL;
	}
}

static void
native_line(const struct map_row *r, int i, const char *value, bool is_default, struct str *out)
{
	static const int newest[2] = { 99, 0 };
	enum map_where where = map_where(r, i);
	char *native;

	if (where == MAP_SERVER_PROCS || where == MAP_CLIENT_PROCS) {
		str_addf(out, "master.cf: maxproc %s of the service that %s\n", value, where == MAP_SERVER_PROCS ? "listens" : "sends");
		return;
	}
	if (map_is_helper(r, i))
		return;                          /* only where the first one needs it: the plan says so */
	if (where == MAP_CLIENT && !is_default && r->where == MAP_SERVER)
		return;                          /* log.tls: the client's half is the default's */
	native = map_native(r, i, value, newest, r->kind == MAP_FALLBACK ? "" : r->kind == MAP_NOTICE ? "resource, software" : "");
	if (where == MAP_TRANSPORT && !is_default)
		str_addf(out, "destination_concurrency_limit = %s, of its own client service\n", native ? native : "");
	else if (is_default && where != MAP_OWN)
		str_addf(out, "%s =%s%s\n", r->param[i], native && *native ? " " : "", native ? native : "");
	else
		str_addf(out, "-o %s=%s\n", r->param[i], native ? native : "");
	free(native);
}

int
map_native_lines(const char *setting, const char *value, bool is_default, struct str *out, struct err *e)
{
	const struct map_row *r = map_find(setting);
	const struct setting *s = setting_find(setting);
	struct str checked = STR_INIT;
	int i, rc = -1;

	if (s == NULL)
		return err_set(e, RC_NOTFOUND, "\"%s\" is no setting", clean(setting));
	if (setting_check(s, value, &checked, e) != 0)
		goto out;
	rc = 0;
	if (r == NULL || map_declines(setting, is_default) != NULL)
		goto out;
	if (edit_words(r, checked.s))
		str_addf(out, "%s\n", edit_words(r, checked.s));
	else
		for (i = 0; i < MAP_PARAMS && r->param[i]; i++)
			native_line(r, i, checked.s, is_default, out);
	if (strcmp(setting, "outbound.tls") == 0 && text_starts(checked.s, "dane") && is_default)
		str_add(out, "smtp_dns_support_level = dnssec\n");
	if (out->len && out->s[out->len - 1] == '\n')
		str_cut(out, out->len - 1);
out:
	str_release(&checked);
	return rc;
}
