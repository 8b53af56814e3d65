/* Kinds of values: each kind checks a text, gives its normal form and says in words what it takes. A refused value
 * names the setting and what it takes, never more than a cleaned piece of what was typed. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/setting.h"

#define VALUE_MAX 2000    /* a list of networks is the longest */

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

int64_t
setting_seconds(const char *value)
{
	long n;
	const char *rest = digits(value, &n);
	size_t i;

	if (rest == NULL || rest[0] == '\0' || rest[1] != '\0')
		return -1;
	for (i = 0; i < sizeof(time_units) / sizeof(time_units[0]); i++)
		if (tolower((unsigned char)*rest) == time_units[i].letter)
			return n > 1000000000L / time_units[i].seconds ? -1 : n * time_units[i].seconds;
	return -1;
}

static int
check_time(const struct setting *s, const char *value, struct str *normal)
{
	int64_t n = setting_seconds(value);

	if (n < 0 || n < s->min || (s->max && n > s->max))
		return -1;
	time_text((long)n, normal);
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

/* --- sizes --- */

static const struct { char letter; long bytes; } size_units[] = {
	{ 'g', 1024L * 1024 * 1024 }, { 'm', 1024L * 1024 }, { 'k', 1024L },
};
#define SIZE_UNITS (sizeof(size_units) / sizeof(size_units[0]))

static void
size_text(long bytes, struct str *out)
{
	size_t i;

	for (i = 0; i < SIZE_UNITS; i++)
		if (bytes && bytes % size_units[i].bytes == 0) {
			str_addf(out, "%ld%c", bytes / size_units[i].bytes, toupper((unsigned char)size_units[i].letter));
			return;
		}
	str_addf(out, "%ld", bytes);
}

static int
check_size(const struct setting *s, const char *value, struct str *normal)
{
	long n;
	const char *rest = digits(value, &n);
	size_t i;

	if (rest == NULL)
		return -1;
	for (i = 0; i < SIZE_UNITS && tolower((unsigned char)*rest) != size_units[i].letter; i++)
		;
	if (i < SIZE_UNITS) {
		if (n > 2000000000L / size_units[i].bytes)
			return -1;
		n *= size_units[i].bytes;
		rest++;
	}
	if (*rest || n > s->max || (n < s->min && n != 0) || (n == 0 && s->min < 0))
		return -1;
	size_text(n, normal);
	return 0;
}

static void
takes_size(const struct setting *s, struct str *out)
{
	str_add(out, "bytes, or with K, M or G, from ");
	size_text(s->min, out);
	str_add(out, " to ");
	size_text(s->max, out);
	str_add(out, "; 0: no limit");
}

/* --- lists --- */

/* Each word by fn; one blank between them. "none" is a list of none. Twice the same word stands once. */
static int
check_words(const char *value, int (*fn)(const char *word, struct str *out), struct str *normal)
{
	char **words = words_split(value, ", \t", NULL);
	struct str one = STR_INIT, seen = STR_INIT;
	size_t i;
	int rc = words[0] ? 0 : -1;

	if (words[0] && !words[1] && strcasecmp(words[0], "none") == 0) {
		str_add(normal, "none");
		words_free(words);
		return 0;
	}
	str_addc(&seen, ' ');
	for (i = 0; words[i] && rc == 0; i++) {
		str_reset(&one);
		str_addc(&one, ' ');
		rc = fn(words[i], &one);
		str_addc(&one, ' ');
		if (rc == 0 && strstr(seen.s, one.s) == NULL)
			str_add(&seen, one.s + 1);
	}
	if (rc == 0)
		str_addn(normal, seen.s + 1, seen.len - 2);
	words_free(words);
	str_release(&one);
	str_release(&seen);
	return rc;
}

/* "192.0.2.0/24", "2001:db8::1", "[2001:db8::]/32". Bits behind the prefix must be zero, as Postfix wants them. */
static int
add_network(const char *word, struct str *out)
{
	unsigned char addr[16];
	char text[INET6_ADDRSTRLEN + 1], printed[INET6_ADDRSTRLEN];
	bool brackets = *word == '[';
	const char *start = word + brackets, *rest;
	size_t len = strcspn(start, brackets ? "]" : "/");
	int family = memchr(start, ':', len) ? AF_INET6 : AF_INET, width = family == AF_INET6 ? 128 : 32, i;
	long prefix = width;

	if (len == 0 || len >= sizeof(text) || (brackets && (start[len] != ']' || family != AF_INET6)))
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)len, start);
	if (inet_pton(family, text, addr) != 1 || inet_ntop(family, addr, printed, sizeof(printed)) == NULL)
		return -1;
	rest = start + len + brackets;
	if (*rest == '/') {
		rest = digits(rest + 1, &prefix);
		if (rest == NULL || prefix > width)
			return -1;
	}
	if (*rest)
		return -1;
	for (i = (int)prefix; i < width; i++)
		if (addr[i / 8] & 0x80 >> i % 8)
			return -1;
	str_add(out, printed);
	if (prefix < width)
		str_addf(out, "/%ld", prefix);
	return 0;
}

static int
check_networks(const struct setting *s, const char *value, struct str *normal)
{
	(void)s;
	return check_words(value, add_network, normal);
}

static void
takes_networks(const struct setting *s, struct str *out)
{
	(void)s;
	str_add(out, "none, or addresses and networks such as 192.0.2.7 198.51.100.0/24 2001:db8::/32 (no bits set behind the /)");
}

static int
add_domain(const char *word, struct str *out)
{
	return all_digits_and_dots(word, strlen(word)) ? -1 : add_name(word, strlen(word), out);
}

static int
check_domains(const struct setting *s, const char *value, struct str *normal)
{
	(void)s;
	return check_words(value, add_domain, normal);
}

static void
takes_domains(const struct setting *s, struct str *out)
{
	(void)s;
	str_add(out, "none, or mail domains such as example.com example.org");
}

/* --- mail addresses --- */

/* A dot-atom (RFC 5322, section 3.2.3), with a domain or without; nothing quoted. */
static int
check_mail(const struct setting *s, const char *value, struct str *normal)
{
	const char *at = strchr(value, '@');
	size_t len = at ? (size_t)(at - value) : strlen(value), i;

	(void)s;
	if (strcasecmp(value, "none") == 0) {
		str_add(normal, "none");
		return 0;
	}
	if (len == 0 || len > 64 || value[0] == '.' || value[0] == '-' || value[len - 1] == '.')
		return -1;
	for (i = 0; i < len; i++)
		if ((unsigned char)value[i] >= 0x80 || (!isalnum((unsigned char)value[i]) && !strchr("!#%&'*+-/=?^_`{|}~.", value[i]))
		    || (value[i] == '.' && value[i + 1] == '.'))
			return -1;
	str_addn(normal, value, len);
	if (at == NULL)
		return 0;
	str_addc(normal, '@');
	return add_domain(at + 1, normal);
}

static void
takes_mail(const struct setting *s, struct str *out)
{
	(void)s;
	str_add(out, "none, or one mail address such as postmaster@example.com");
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
	[SETTING_SIZE]   = { check_size, takes_size },
	[SETTING_NETWORKS] = { check_networks, takes_networks },
	[SETTING_DOMAINS] = { check_domains, takes_domains },
	[SETTING_MAIL]   = { check_mail, takes_mail },
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

/* Values in the order of the choices, weakest first; what is not known counts as what nobody said. */
bool
setting_stricter(const struct setting *s, const char *from, const char *to)
{
	const struct choice *c;
	int i = 0, was = -1, is = -1, strict;

	if (!s->warn_strict || s->kind != SETTING_CHOICE || to == NULL || *to == '\0')
		return false;
	if (from == NULL || *from == '\0')
		from = s->initial;
	for (c = s->choices; c->name; c++, i++) {
		if (from && strcmp(c->name, from) == 0)
			was = i;
		if (strcmp(c->name, to) == 0)
			is = i;
	}
	strict = s->strict_from;
	if (s->lax && from && strcmp(from, s->lax) == 0)
		was = strict - 1;
	return is >= strict && is > was && !(s->lax && strcmp(to, s->lax) == 0);
}
