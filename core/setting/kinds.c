/* Kinds of values: each kind checks a text, gives its normal form and says in words what it takes. A refused value
 * names the setting and what it takes, never more than a cleaned piece of what was typed. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/setting.h"

#define VALUE_MAX 300

const struct setting *
setting_find(const char *name)
{
	const struct setting *s;

	for (s = setting_table; name && s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* --- choice and bool --- */

static int
check_choice(const struct setting *s, const char *value, struct str *normal)
{
	const struct choice *c;

	for (c = s->choices; c->name; c++)
		if (strcasecmp(c->name, value) == 0) {
			str_add(normal, c->name);
			return 0;
		}
	return -1;
}

static void
takes_choice(const struct setting *s, struct str *out)
{
	const struct choice *c;

	for (c = s->choices; c->name; c++)
		str_addf(out, "%s%s", c == s->choices ? "" : ", ", c->name);
}

static int
check_bool(const struct setting *s, const char *value, struct str *normal)
{
	static const struct { const char *word, *normal; } words[] = {
		{ "yes", "yes" }, { "no", "no" }, { "true", "yes" }, { "false", "no" }, { "on", "yes" }, { "off", "no" },
	};
	size_t i;

	(void)s;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(words[i].word, value) == 0) {
			str_add(normal, words[i].normal);
			return 0;
		}
	return -1;
}

static void
takes_bool(const struct setting *s, struct str *out)
{
	(void)s;
	str_add(out, "yes, no");
}

/* --- number and time --- */

/* Digits only, up to nine: no sign, no blanks, no overflow. Returns what follows, or NULL. */
static const char *
digits(const char *value, long *n)
{
	const char *p = value;

	for (*n = 0; isdigit((unsigned char)*p); p++) {
		if (p - value >= 9)
			return NULL;
		*n = *n * 10 + (*p - '0');
	}
	return p == value ? NULL : p;
}

static int
check_number(const struct setting *s, const char *value, struct str *normal)
{
	long n;
	const char *rest = digits(value, &n);

	if (rest == NULL || *rest || n < s->min || (s->max && n > s->max))
		return -1;
	str_addf(normal, "%ld", n);
	return 0;
}

static void
takes_number(const struct setting *s, struct str *out)
{
	str_addf(out, "%ld to %ld%s%s", s->min, s->max, s->unit ? " " : "", s->unit ? s->unit : "");
}

static const struct { char letter; long seconds; } time_units[] = {
	{ 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 }, { 'w', 7 * 86400 },
};
#define NORMAL_UNITS 4    /* those that a normal form may end in, longest first */

static void
time_text(long seconds, struct str *out)
{
	size_t i;

	for (i = 0; i < NORMAL_UNITS; i++)
		if (seconds && seconds % time_units[i].seconds == 0) {
			str_addf(out, "%ld%c", seconds / time_units[i].seconds, time_units[i].letter);
			return;
		}
	str_add(out, "0s");
}

static int
check_time(const struct setting *s, const char *value, struct str *normal)
{
	long n;
	const char *rest = digits(value, &n);
	size_t i;

	if (rest == NULL || rest[0] == '\0' || rest[1] != '\0')
		return -1;
	for (i = 0; i < sizeof(time_units) / sizeof(time_units[0]); i++)
		if (tolower((unsigned char)*rest) == time_units[i].letter)
			break;
	if (i == sizeof(time_units) / sizeof(time_units[0]) || n > 1000000000L / time_units[i].seconds)
		return -1;
	n *= time_units[i].seconds;
	if (n < s->min || (s->max && n > s->max))
		return -1;
	time_text(n, normal);
	return 0;
}

static void
takes_time(const struct setting *s, struct str *out)
{
	str_add(out, "a time such as 30s, 5m, 2h or 5d");
	if (s->max) {
		str_add(out, ", from ");
		time_text(s->min, out);
		str_add(out, " to ");
		time_text(s->max, out);
	}
}

/* --- names and hosts --- */

/* A host name of letters, digits, hyphens and dots (RFC 1123, section 2.1), len bytes long, lower case into out. */
static int
add_name(const char *name, size_t len, struct str *out)
{
	size_t i, label = 0;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return -1;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '.') {
			if (label == 0 || name[i - 1] == '-')
				return -1;
			label = 0;
		} else if (c >= 0x80 || !(isalnum(c) || (c == '-' && label > 0)) || ++label > 63)
			return -1;
		str_addc(out, (char)tolower(c));
	}
	return label == 0 || name[len - 1] == '-' ? -1 : 0;
}

static bool
all_digits_and_dots(const char *text, size_t len)
{
	return strspn(text, "0123456789.") >= len;
}

static int
add_ipv4(const char *text, size_t len, struct str *out)
{
	size_t i = 0;
	int part;

	for (part = 0; part < 4; part++) {
		int n = 0, k = 0;

		while (i < len && isdigit((unsigned char)text[i]) && k++ < 3)
			n = n * 10 + (text[i++] - '0');
		if (k == 0 || n > 255 || (part < 3 && (i >= len || text[i++] != '.')))
			return -1;
	}
	if (i != len)
		return -1;
	str_addn(out, text, len);
	return 0;
}

/* Only the alphabet and the rough shape: whether such an address exists, the mail system finds out. */
static int
add_ipv6(const char *text, size_t len, struct str *out)
{
	size_t i, colons = 0;

	if (len < 2 || len > 45)
		return -1;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (!isxdigit(c) && c != ':' && c != '.')
			return -1;
		colons += c == ':';
		str_addc(out, (char)tolower(c));
	}
	return colons >= 2 && colons <= 7 ? 0 : -1;
}

static int
check_name(const struct setting *s, const char *value, struct str *normal)
{
	(void)s;
	return all_digits_and_dots(value, strlen(value)) ? -1 : add_name(value, strlen(value), normal);
}

static void
takes_name(const struct setting *s, struct str *out)
{
	(void)s;
	str_add(out, "a host name such as mail.example.com");
}

static int
add_port(const char *text, struct str *out)
{
	long n;
	const char *rest = digits(text, &n);

	if (rest == NULL || *rest || n < 1 || n > 65535)
		return -1;
	str_addf(out, ":%ld", n);
	return 0;
}

/* name, name:port, [name], [address], with :port; a bare IPv4 address gets its brackets. */
static int
check_host(const struct setting *s, const char *value, struct str *normal)
{
	bool brackets = value[0] == '[';
	const char *host = brackets ? value + 1 : value, *after;
	size_t len = strcspn(host, brackets ? "]" : ":");
	int rc;

	(void)s;
	if (strcasecmp(value, "none") == 0) {
		str_add(normal, "none");
		return 0;
	}
	after = host + len;
	if (len == 0 || (brackets && *after++ != ']') || (*after && *after != ':'))
		return -1;
	if (all_digits_and_dots(host, len))
		brackets = true;
	if (brackets)
		str_addc(normal, '[');
	if (all_digits_and_dots(host, len))
		rc = add_ipv4(host, len, normal);
	else if (brackets && memchr(host, ':', len))
		rc = add_ipv6(host, len, normal);
	else
		rc = add_name(host, len, normal);
	if (brackets)
		str_addc(normal, ']');
	return rc == 0 && *after ? add_port(after + 1, normal) : rc;
}

static void
takes_host(const struct setting *s, struct str *out)
{
	(void)s;
	str_add(out, "none, a name such as relay.example.com, or [host] or [address], each with :port or without");
}

/* --- the kinds --- */

static const struct kind {
	int (*check)(const struct setting *s, const char *value, struct str *normal);   /* -1: refused */
	void (*takes)(const struct setting *s, struct str *out);
} kinds[] = {
	[SETTING_CHOICE] = { check_choice, takes_choice },
	[SETTING_BOOL]   = { check_bool, takes_bool },
	[SETTING_NUMBER] = { check_number, takes_number },
	[SETTING_TIME]   = { check_time, takes_time },
	[SETTING_HOST]   = { check_host, takes_host },
	[SETTING_NAME]   = { check_name, takes_name },
};

int
setting_check(const struct setting *s, const char *value, struct str *normal, struct err *e)
{
	struct str takes = STR_INIT;
	size_t start = normal->len;
	int rc = -1;

	if (value && strlen(value) <= VALUE_MAX)
		rc = kinds[s->kind].check(s, value, normal);
	if (rc != 0) {
		str_cut(normal, start);
		setting_takes(s, &takes);
		err_set(e, RC_INVALID, "%s: \"%s\" will not do: it takes %s", s->name, clean(value), takes.s);
		str_release(&takes);
	}
	return rc;
}

void
setting_takes(const struct setting *s, struct str *out)
{
	kinds[s->kind].takes(s, out);
}
