/* THE TABLE of what each setting is in Postfix: one or two parameters, and how values translate. Protocol and cipher
 * parameters come in two sets, one for "may" and one for "encrypt" and wrapper mode (postconf(5),
 * smtpd_tls_mandatory_protocols): both are always written, and the laxer of the two is what is found. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

enum map_kind { MAP_WORDS, MAP_RANKED, MAP_PROTOCOL, MAP_TEXT, MAP_HOST, MAP_SECONDS, MAP_HOURS, MAP_DAYS };

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
	{ "inbound.tls", false, { "smtpd_tls_security_level" }, server_levels, MAP_WORDS },
	{ "inbound.protocol-min", false, { "smtpd_tls_protocols", "smtpd_tls_mandatory_protocols" }, NULL, MAP_PROTOCOL },
	{ "inbound.ciphers", false, { "smtpd_tls_ciphers", "smtpd_tls_mandatory_ciphers" }, grades, MAP_RANKED },
	{ "inbound.auth-needs-tls", false, { "smtpd_tls_auth_only" }, yes_no, MAP_WORDS },
	{ "inbound.client-cert", false, { "smtpd_tls_ask_ccert", "smtpd_tls_req_ccert" }, client_cert, MAP_WORDS },
	{ "outbound.tls", true, { "smtp_tls_security_level" }, client_levels, MAP_WORDS },
	{ "outbound.protocol-min", true, { "smtp_tls_protocols", "smtp_tls_mandatory_protocols" }, NULL, MAP_PROTOCOL },
	{ "outbound.ciphers", true, { "smtp_tls_ciphers", "smtp_tls_mandatory_ciphers" }, grades, MAP_RANKED },
	{ "outbound.smart-host", true, { "relayhost" }, NULL, MAP_HOST },
	{ "outbound.helo-name", true, { "smtp_helo_name" }, NULL, MAP_TEXT },
	{ "outbound.retry.first", true, { "minimal_backoff_time" }, NULL, MAP_SECONDS },
	{ "outbound.retry.max", true, { "maximal_backoff_time" }, NULL, MAP_SECONDS },
	{ "outbound.expire-after", true, { "maximal_queue_lifetime" }, NULL, MAP_DAYS },
	{ "outbound.notify-after", true, { "delay_warning_time" }, NULL, MAP_HOURS },
	{ "log.tls", false, { "smtpd_tls_loglevel", "smtp_tls_loglevel" }, log_levels, MAP_RANKED },
	{ NULL, false, { NULL }, NULL, 0 }
};

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
	char *end;
	long n = strtol(text, &end, 10);
	size_t i;

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

/* --- both ways --- */

char *
map_native(const struct map_row *r, int param, const char *value, const int version[2])
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
	case MAP_HOST:
		return xstrdup(strcmp(value, "none") == 0 ? "" : value);
	default:
		return xstrdup(value);
	}
}

bool
map_same(const struct map_row *r, int param, const char *a, const char *b)
{
	(void)param;
	switch (r->kind) {
	case MAP_WORDS:
	case MAP_RANKED:
	case MAP_HOST:
		return strcasecmp(a, b) == 0;
	case MAP_PROTOCOL:
		return strcmp(a, b) == 0 || (oldest_allowed(a) >= 0 && oldest_allowed(a) == oldest_allowed(b));
	case MAP_TEXT:
		return strcmp(a, b) == 0;
	default:
		return seconds(a, time_unit(r->kind)) >= 0
		    && seconds(a, time_unit(r->kind)) == seconds(b, time_unit(r->kind));
	}
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
	case MAP_HOST:
		return normal(r, *native[0] ? native[0] : "none");
	case MAP_TEXT:
		return normal(r, native[0]);
	default:
		if (seconds(native[0], time_unit(r->kind)) < 0)
			return NULL;
		snprintf(text, sizeof(text), "%lds", seconds(native[0], time_unit(r->kind)));
		return normal(r, text);
	}
}

/* --- what Postfix gets, for the line under a field --- */

int
map_native_lines(const char *setting, const char *value, bool is_default, struct str *out, struct err *e)
{
	static const int newest[2] = { 99, 0 };
	const struct map_row *r = map_find(setting);
	const struct setting *s = setting_find(setting);
	struct str checked = STR_INIT;
	int i, rc = -1;

	if (r == NULL || s == NULL)
		return err_set(e, RC_NOTFOUND, "\"%s\" is no setting that Postfix knows", clean(setting));
	if (setting_check(s, value, &checked, e) != 0)
		goto out;
	rc = 0;
	if (r->client && !is_default)            /* all mail leaves by one client: only the default virtual server has it */
		goto out;
	for (i = 0; i < MAP_PARAMS && r->param[i]; i++) {
		char *native = map_native(r, i, checked.s, newest);

		if (is_default)
			str_addf(out, "%s =%s%s\n", r->param[i], native && *native ? " " : "", native ? native : "");
		else if (strncmp(r->param[i], "smtpd_", 6) == 0)
			str_addf(out, "-o %s=%s\n", r->param[i], native ? native : "");
		free(native);
	}
	if (strcmp(setting, "outbound.tls") == 0 && text_starts(checked.s, "dane"))
		str_add(out, "smtp_dns_support_level = dnssec\n");
	if (out->len && out->s[out->len - 1] == '\n')
		str_cut(out, out->len - 1);
out:
	str_release(&checked);
	return rc;
}
