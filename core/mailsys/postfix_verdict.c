/* What Postfix would not serve, found before the switch: in the texts here, and by words for our script on the host. It
 * counts no matter who wrote it: what the administrator changed on the host and the running Postfix has not read yet
 * would be read at our reload. Each sentence says where it stands. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

void
plan_refuse(struct plan *p, const char *name, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (plan_is_empty(p))
		plan_warn(p, "%s", text);
	else
		plan_check(p, name, false, text);
}

/* --- where it stands --- */

struct look { struct plan *p; const struct view *before, *after; };

/* The same service before: of several with one name and type the one in the same place. */
static const struct master_service *
before_of(const struct look *l, const struct master_service *s)
{
	size_t i, nth = 0;

	for (i = 0; &l->after->master.v[i] != s; i++)
		nth += strcmp(l->after->master.v[i].name, s->name) == 0 && strcmp(l->after->master.v[i].type, s->type) == 0;
	for (i = 0; i < l->before->master.n; i++) {
		const struct master_service *b = &l->before->master.v[i];

		if (strcmp(b->name, s->name) == 0 && strcmp(b->type, s->type) == 0 && nth-- == 0)
			return b;
	}
	return NULL;
}

/* "smtp_tls_ciphers (the host's own /etc/postfix/main.cf, line 12)"; service NULL: main.cf. param NULL: the service. */
static char *
place_of(const struct look *l, const struct master_service *s, const char *param)
{
	const char *now = NULL, *then = NULL, *file = s ? "master.cf" : "main.cf";
	const struct master_service *old = s ? before_of(l, s) : NULL;
	const struct main_cf *m = &l->after->main;
	size_t line = 0, i;
	char *what = s && param ? xasprintf("%s of the service %s", param, s->name) : xstrdup(s ? s->name : param), *place;

	if (s) {
		line = l->after->master.t.lines[s->line].number;
		now = param ? master_cf_option(s, param) : s->command;
		then = old ? param ? master_cf_option(old, param) : old->command : NULL;
		if (then)
			line = l->before->master.t.lines[old->line].number;
	} else {
		now = main_cf_get(m, param);
		then = main_cf_get(&l->before->main, param);
		if (then && text_eq(now, then))
			m = &l->before->main;
		for (i = 0; i < m->n; i++)
			if (strcmp(m->v[i].name, param) == 0)
				line = m->t.lines[m->v[i].line].number;
	}
	if (then && text_eq(now, then))
		place = xasprintf("%s (the host's own %s/%s, line %zu)", clean(what), l->p->config_dir, file, line);
	else
		place = xasprintf("%s (%s of this plan, line %zu)", clean(what), file, line);
	free(what);
	return place;
}

static void
object(const struct look *l, const struct master_service *s, const char *param, const char *text)
{
	char *place = place_of(l, s, param);

	plan_refuse(l->p, s && !param ? "services hold together" : "values mean something", "%s: %s", place, text);
	free(place);
}

/* --- values --- */

static bool
ends(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && strcmp(s + n - m, end) == 0;
}

static bool
one_of(const char *value, const char *const *words)
{
	while (*words && strcasecmp(*words, value) != 0)
		words++;
	return *words != NULL;
}

static bool
service_exists(const struct view *v, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < v->master.n; i++)
		if (strcmp(v->master.v[i].type, "inet") != 0 && strlen(v->master.v[i].name) == len
		    && strncmp(v->master.v[i].name, name, len) == 0)
			return true;
	return false;
}

/* Names of restrictions that smtpd knows (postconf(5) of 3.10). A name that takes an argument is
 * followed by it. */
#define RESTRICTIONS_MINOR 10
static const char *const plain_restrictions[] = {
	"check_relay_domains", "defer", "defer_if_permit", "defer_if_reject", "defer_unauth_destination", "permit",
	"permit_auth_destination", "permit_inet_interfaces", "permit_mx_backup", "permit_mynetworks", "permit_naked_ip_address",
	"permit_sasl_authenticated", "permit_tls_all_clientcerts", "permit_tls_clientcerts", "reject",
	"reject_authenticated_sender_login_mismatch", "reject_invalid_helo_hostname", "reject_invalid_hostname",
	"reject_known_sender_login_mismatch", "reject_multi_recipient_bounce", "reject_non_fqdn_helo_hostname",
	"reject_non_fqdn_hostname", "reject_non_fqdn_recipient", "reject_non_fqdn_sender", "reject_plaintext_session",
	"reject_sender_login_mismatch", "reject_unauth_destination", "reject_unauth_pipelining",
	"reject_unauthenticated_sender_login_mismatch", "reject_unknown_address", "reject_unknown_client",
	"reject_unknown_client_hostname", "reject_unknown_forward_client_hostname", "reject_unknown_helo_hostname",
	"reject_unknown_hostname", "reject_unknown_recipient_domain", "reject_unknown_reverse_client_hostname",
	"reject_unknown_sender_domain", "reject_unlisted_recipient", "reject_unlisted_sender", "reject_unverified_recipient",
	"reject_unverified_sender", "reject_maps_rbl", "warn_if_reject", NULL
};
static const char *const named_restrictions[] = {
	"check_ccert_access", "check_client_a_access", "check_client_access", "check_client_mx_access", "check_client_ns_access",
	"check_etrn_access", "check_helo_a_access", "check_helo_access", "check_helo_mx_access", "check_helo_ns_access",
	"check_policy_service", "check_recipient_a_access", "check_recipient_access", "check_recipient_maps",
	"check_recipient_mx_access", "check_recipient_ns_access", "check_reverse_client_hostname_a_access",
	"check_reverse_client_hostname_access", "check_reverse_client_hostname_mx_access",
	"check_reverse_client_hostname_ns_access", "check_sasl_access", "check_sender_a_access", "check_sender_access",
	"check_sender_mx_access", "check_sender_ns_access", "permit_dnswl_client", "permit_rhswl_client", "reject_rbl",
	"reject_rbl_client", "reject_rhsbl_client", "reject_rhsbl_helo", "reject_rhsbl_recipient",
	"reject_rhsbl_reverse_client", "reject_rhsbl_sender", "sleep", NULL
};

/* A list of restrictions: every word is a name, an argument, a table, a class of the administrator's, or a number. */
static void
look_at_restrictions(const struct look *l, const struct master_service *s, const char *param, const char *value)
{
	char *classes = view_value(l->after, s, "smtpd_restriction_classes"), **class = words_split(classes, ", \t\r\n", NULL);
	char **words = words_split(value, ", \t\r\n", NULL), *text;
	bool argument = false;
	size_t i, k;

	for (i = 0; words && words[i] && !strpbrk(value, "{}$"); i++) {
		bool known = argument || strchr(words[i], ':') || strchr(words[i], '/') || one_of(words[i], plain_restrictions);

		argument = !argument && one_of(words[i], named_restrictions);
		for (k = 0; class && class[k] && !known; k++)
			known = strcmp(class[k], words[i]) == 0;
		if (known || argument || isdigit((unsigned char)words[i][0]))
			continue;
		text = xasprintf("\"%s\" is no restriction: Postfix would answer 451 to every message", clean(words[i]));
		if (version_at_least(l->after->version, 3, RESTRICTIONS_MINOR + 1))
			plan_warn(l->p, "%s: \"%s\" is no restriction that is known here", param, clean(words[i]));
		else
			object(l, s, param, text);
		free(text);
		break;
	}
	words_free(words);
	words_free(class);
	free(classes);
}

static const char *const server_levels[] = { "", "none", "may", "encrypt", "verify", "secure", "fingerprint", "dane", NULL };
static const char *const client_levels[] = { "", "none", "may", "encrypt", "verify", "secure", "fingerprint", "dane",
	"dane-only", "half-dane", NULL };
static const char *const cipher_grades[] = { "export", "low", "medium", "high", "null", NULL };
static const char *const transports[] = { "default_transport", "local_transport", "relay_transport", "virtual_transport",
	"mailbox_transport", "fallback_transport", "content_filter", NULL };

static void
look_at_value(const struct look *l, const struct master_service *s, const char *param, const char *value)
{
	char *text = NULL;
	size_t n;

	if (strpbrk(value, "${}"))
		return;
	if (ends(param, "_tls_security_level") &&
	    !one_of(value, text_starts(param, "smtpd") || text_starts(param, "tlsproxy_tls") ? server_levels : client_levels))
		text = xasprintf("\"%s\" is no security level", clean(value));
	else if ((ends(param, "tls_protocols") || ends(param, "tls_mandatory_protocols")) && !map_protocols_ok(value))
		text = xasprintf("\"%s\" is no list of protocols that leaves one: TLS would be off", clean(value));
	else if ((ends(param, "_tls_ciphers") || ends(param, "_tls_mandatory_ciphers")) && !one_of(value, cipher_grades))
		text = xasprintf("\"%s\" is no grade of ciphers: TLS would be off", clean(value));
	else if (one_of(param, transports) || ends(param, "_service_name")) {
		n = strcspn(value, ":");
		if (n > 0 && !service_exists(l->after, value, n))
			text = xasprintf("there is no service \"%.*s\" in master.cf", (int)(n < 200 ? n : 200), clean(value));
	} else if (text_starts(param, "smtpd_") && ends(param, "_restrictions"))
		look_at_restrictions(l, s, param, value);
	if (text)
		object(l, s, param, text);
	free(text);
}

static void
look_at_values(const struct look *l)
{
	size_t i, k;

	for (i = 0; i < l->after->main.n; i++) {
		const char *name = l->after->main.v[i].name;
		char *value;

		for (k = i + 1; k < l->after->main.n && strcmp(l->after->main.v[k].name, name) != 0; k++)
			;
		if (k < l->after->main.n)                    /* the last one counts */
			continue;
		value = view_value(l->after, NULL, name);
		look_at_value(l, NULL, name, value);
		free(value);
	}
	for (i = 0; i < l->after->master.n; i++)
		for (k = 0; k < l->after->master.v[i].n; k++) {
			const struct master_service *s = &l->after->master.v[i];
			char *value = view_value(l->after, s, s->v[k].name);

			look_at_value(l, s, s->v[k].name, value);
			free(value);
		}
}

/* --- names --- */

/* How many letters must change to make one of the other; more than two are not counted. */
static unsigned
distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), i, k;
	unsigned row[80], last, old;

	if (n >= 79 || m >= 79 || n > m + 2 || m > n + 2)
		return 3;
	for (k = 0; k <= m; k++)
		row[k] = (unsigned)k;
	for (i = 1; i <= n; i++) {
		last = row[0];
		row[0] = (unsigned)i;
		for (k = 1; k <= m; k++) {
			old = row[k];
			row[k] = last + (a[i - 1] != b[k - 1]);
			if (row[k] > old + 1)
				row[k] = old + 1;
			if (row[k] > row[k - 1] + 1)
				row[k] = row[k - 1] + 1;
			last = old;
		}
	}
	return row[m];
}

static const char *
nearest(const struct pairs *known, const char *name)
{
	const char *found = NULL;
	unsigned least = 3, d;
	size_t i;

	for (i = 0; i < known->n && least > 1; i++)
		if ((d = distance(name, known->v[i].name)) < least) {
			least = d;
			found = known->v[i].name;
		}
	return found;
}

/* Postfix passes over a name it does not know. When it is nearly one that it knows, somebody meant that one. */
static void
look_at_names(const struct look *l, const struct reading *have)
{
	const struct section *s = section_find(&have->sections, "warnings");
	const char *line = s ? s->text.s : "", *at, *meant;
	size_t i;

	for (; (at = strstr(line, "unused parameter: ")); line = at) {
		char name[128];

		at += strlen("unused parameter: ");
		i = strcspn(at, "= \n");
		if (i == 0 || i >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)i, at);
		if (main_cf_get(&l->after->main, name) == NULL)
			continue;
		meant = nearest(&l->after->defaults, name);
		if (meant) {
			char *text = xasprintf("Postfix does not know this parameter; %s is meant", meant);

			object(l, NULL, name, text);
			free(text);
		}
	}
}

/* --- services --- */

static bool
number_or_dash(const char *s, bool question)
{
	size_t n = strspn(s, "0123456789");

	return strcmp(s, "-") == 0 || (n > 0 && (s[n] == '\0' || (question && strcmp(s + n, "?") == 0)));
}

static void
look_at_service(const struct look *l, size_t i)
{
	static const char *const types[] = { "inet", "unix", "fifo", "pass", "unix-dgram", NULL };
	static const char *const names[] = { "private", "unprivileged", "chroot", "wakeup", "limit of processes" };
	static const char *const answers[] = { "y", "n", "-", NULL };
	const struct master_service *s = &l->after->master.v[i];
	char text[300] = "";
	size_t k;

	if (!one_of(s->type, types))
		snprintf(text, sizeof(text), "\"%.60s\" is no type of service", clean(s->type));
	for (k = 0; k < MASTER_COLUMNS && text[0] == '\0'; k++)
		if (k < MASTER_WAKEUP ? !one_of(s->column[k], answers) : !number_or_dash(s->column[k], k == MASTER_WAKEUP))
			snprintf(text, sizeof(text), "\"%.60s\" means nothing in the column \"%s\"", clean(s->column[k]), names[k]);
	for (k = 0; k < i && text[0] == '\0'; k++) {
		const struct master_service *other = &l->after->master.v[k];
		size_t line = l->after->master.t.lines[other->line].number;
		char *where;

		if (strcmp(s->name, other->name) == 0 && strcmp(s->type, other->type) == 0)
			snprintf(text, sizeof(text), "the service \"%.60s %s\" is there twice, also in line %zu", clean(s->name), s->type, line);
		else if ((where = listeners_meet(l->after, s, other)) != NULL) {
			snprintf(text, sizeof(text), "%s (line %zu)", where, line);
			free(where);
		}
	}
	if (text[0])
		object(l, s, NULL, text);
}

void
plan_verdicts(struct plan *p, const struct reading *have, const struct view *before, const struct view *after)
{
	const struct look l = { p, before, after };
	size_t i, n = p->n_results;

	for (i = 0; i < after->master.n; i++)
		look_at_service(&l, i);
	look_at_values(&l);
	look_at_names(&l, have);
	if (p->n_results == n && !plan_is_empty(p))
		plan_check(p, "names, values and services hold together", true, "");
}

/* --- on the host --- */

static const char *const file_maps[] = { "hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "regexp", "pcre", "cidr", NULL };

/* Is this word a table in a file: "proxy:hash:/etc/postfix/x"? */
static bool
is_file_map(const char *word)
{
	const char *type = text_starts(word, "proxy:") ? word + 6 : word, *colon = strchr(type, ':');
	char name[16];

	if (colon == NULL || colon[1] != '/' || (size_t)(colon - type) >= sizeof(name) || !clean_is(word, strlen(word))
	    || strpbrk(word, "{}$"))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - type), type);
	return one_of(name, file_maps);
}

static void
map_words(struct command *c, const struct look *l, const struct master_service *s, const char *param)
{
	char *value = view_value(l->after, s, param), **words = words_split(value, ", \t\r\n", NULL);
	size_t i;

	/* what Postfix writes itself begins when it is first needed */
	for (i = 0; words && words[i] && !ends(param, "_database") && !ends(param, "_cache_map") && !ends(param, "verify_map"); i++)
		if (is_file_map(words[i])) {
			command_word(c, xstrdup("map"));
			command_word(c, place_of(l, s, param));
			command_word(c, xstrdup(words[i]));
		}
	words_free(words);
	free(value);
}

static void
bind_words(struct command *c, const struct look *l, const struct master_service *s)
{
	struct str listen = STR_INIT;
	char **words;
	size_t i;

	service_listen(l->after, s, &listen);
	words = words_split(listen.s, " ", NULL);
	for (i = 0; words && words[i]; i++) {
		char *colon = strrchr(words[i], ':'), *address = words[i];

		if (colon == NULL)
			continue;
		*colon = '\0';
		if (*address == '[') {
			address++;
			address[strcspn(address, "]")] = '\0';
		}
		if (address[strspn(address, "0123456789.")] != '\0' && !strchr(address, ':'))
			continue;                            /* a name: the host's resolver knows it, we do not */
		command_word(c, xstrdup("bind"));
		command_word(c, place_of(l, s, NULL));
		command_word(c, xstrdup(address));
		command_word(c, xstrdup(colon + 1));
	}
	words_free(words);
	str_release(&listen);
}

static bool
asks_for_names(const struct master_service *s)
{
	return strcmp(s->command, "smtp") == 0 || strcmp(s->command, "smtpd") == 0;
}

void
plan_verdicts_there(struct plan *p, const struct view *before, const struct view *after)
{
	const struct look l = { p, before, after };
	struct command *c = verdicts_command(p);
	size_t i, k;

	for (i = 0; i < after->main.n; i++)
		map_words(c, &l, NULL, after->main.v[i].name);
	for (i = 0; i < after->master.n; i++) {
		const struct master_service *s = &after->master.v[i];

		if (clean_is(s->command, strlen(s->command))) {
			command_word(c, xstrdup("program"));
			command_word(c, place_of(&l, s, NULL));
			command_word(c, xstrdup(s->command));
		}
		for (k = 0; k < s->n; k++)
			map_words(c, &l, s, s->v[k].name);
		if (strcmp(s->type, "inet") == 0)
			bind_words(c, &l, s);
		if (strcmp(s->column[MASTER_CHROOT], "y") == 0 && asks_for_names(s)) {
			command_word(c, xstrdup("jail"));
			command_word(c, place_of(&l, s, NULL));
		}
	}
}
