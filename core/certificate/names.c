/* What may stand in a certificate request, checked field by field while it is typed: X.520 bounds of the subject, host
 * names as the wire has them (A-labels), and which names a certificate's name covers. Nothing here asks the network. */
#include <arpa/inet.h>
#include <idn2.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define NAME_TYPED_MAX 1024        /* bytes of a name as typed */
#define NAMES_MAX 100              /* names in one request: what public authorities take */
#define NAME_SEPARATORS " \t\r\n,"

/* --- host names --- */

/* Not tolower() and strcasecmp(): in a Turkish locale they find that MAIL and mail differ. */
static char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
ascii_same(const char *a, const char *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

static bool
is_name_char(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* The address as the system writes it, or false. */
static bool
address_text(const char *name, char out[INET6_ADDRSTRLEN])
{
	unsigned char raw[16];

	if (inet_pton(AF_INET, name, raw) == 1)
		return inet_ntop(AF_INET, raw, out, INET6_ADDRSTRLEN) != NULL;
	if (inet_pton(AF_INET6, name, raw) == 1)
		return inet_ntop(AF_INET6, raw, out, INET6_ADDRSTRLEN) != NULL;
	return false;
}

/* Letters, digits and hyphens in labels of 1 to 63, 253 in all (RFC 1123 section 2.1), and no name that reads as a number. */
static int
check_labels(const char *name, struct err *e)
{
	const char *label = name, *end;
	size_t i, len;
	bool numeric = true;

	if (strlen(name) > 253)
		return err_set(e, RC_INVALID, "the name %s is longer than 253 characters", clean(name));
	for (;;) {
		end = strchrnul(label, '.');
		len = (size_t)(end - label);
		if (len == 0)
			return err_set(e, RC_INVALID, "the name %s has an empty part between its dots", clean(name));
		if (len > 63)
			return err_set(e, RC_INVALID, "the name %s has a part of more than 63 characters", clean(name));
		if (label[0] == '-' || label[len - 1] == '-')
			return err_set(e, RC_INVALID, "the name %s has a part that starts or ends with a hyphen",
			    clean(name));
		numeric = true;
		for (i = 0; i < len; i++) {
			if (!is_name_char(label[i])) {
				err_set(e, RC_INVALID, "the name %s has a character that no host name may have",
				    clean(name));
				return err_hint(e, "host names are made of letters, digits, hyphens and dots");
			}
			if (label[i] < '0' || label[i] > '9')
				numeric = false;
		}
		if (*end == '\0')
			break;
		label = end + 1;
	}
	if (numeric)
		return err_set(e, RC_INVALID, "%s ends in a number and is not an IP address", clean(name));
	return 0;
}

static bool
needs_idna(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			return true;
	for (p = name; p != NULL; p = strchr(p, '.')) {
		if (*p == '.')
			p++;
		if (strlen(p) >= 4 && ascii_same(p, "xn--", 4))
			return true;
	}
	return false;
}

/* Appends the name in lower-case A-labels; it has no "*." in front and no dot at the end. */
static int
host_to_ascii(const char *name, struct str *out, struct err *e)
{
	char *ascii = NULL, *p;
	int rc, result;

	if (needs_idna(name)) {
		rc = idn2_lookup_u8((const uint8_t *)name, (uint8_t **)&ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
		if (rc != IDN2_OK)
			return err_set(e, RC_INVALID, "%s is not a possible host name: %s", clean(name), idn2_strerror(rc));
	} else
		ascii = strdup(name);
	if (ascii == NULL)
		abort();
	for (p = ascii; *p != '\0'; p++)
		*p = ascii_lower(*p);
	result = check_labels(ascii, e);
	if (result == 0)
		str_add(out, ascii);
	free(ascii);
	return result;
}

int
name_to_ascii(const char *name, struct str *out, struct err *e)
{
	char address[INET6_ADDRSTRLEN];
	size_t len, start = out->len;
	char *bare;
	int rc;

	if (text_empty(name))
		return err_set(e, RC_INVALID, "a host name is missing");
	if (strlen(name) > NAME_TYPED_MAX)
		return err_set(e, RC_INVALID, "a host name has at most 253 characters");
	if (address_text(name, address)) {
		str_add(out, address);
		return 0;
	}
	if (text_starts(name, "*.")) {
		str_add(out, "*.");
		name += 2;
	}
	bare = xstrdup(name);
	len = strlen(bare);
	/* the dot that makes a name absolute in zone files has no place in certificates */
	if (len > 1 && bare[len - 1] == '.')
		bare[len - 1] = '\0';
	rc = host_to_ascii(bare, out, e);
	free(bare);
	if (rc != 0)
		str_cut(out, start);
	return rc;
}

bool
name_to_people(const char *name, struct str *out)
{
	char *unicode = NULL;
	bool yes;

	if (!needs_idna(name) || !clean_is(name, strlen(name)))
		return false;
	yes = idn2_to_unicode_8z8z(name, &unicode, 0) == IDN2_OK && strcmp(unicode, name) != 0;
	if (yes)
		str_add(out, clean(unicode));
	idn2_free(unicode);
	return yes;
}

/* --- does a certificate's name cover a name --- */

static size_t
length_without_dot(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

static bool
same_address(const char *a, const char *b)
{
	char x[INET6_ADDRSTRLEN], y[INET6_ADDRSTRLEN];

	return address_text(a, x) && address_text(b, y) && strcmp(x, y) == 0;
}

/* "*.rest": one whole left-most label, and rest has two labels at least: what OpenSSL's X509_check_host takes. */
static bool
wildcard_covers(const char *rest, size_t rest_len, const char *name, size_t name_len)
{
	size_t label = 0;

	if (memchr(rest, '.', rest_len) == NULL || memchr(rest, '*', rest_len) != NULL)
		return false;
	while (label < name_len && is_name_char(name[label]))
		label++;
	return label > 0 && label < name_len && name[label] == '.' && name_len - label - 1 == rest_len
	    && ascii_same(name + label + 1, rest, rest_len);
}

static bool
ascii_covers(const char *pattern, const char *name)
{
	size_t plen = length_without_dot(pattern), nlen = length_without_dot(name);
	char address[INET6_ADDRSTRLEN];

	if (plen == 0 || nlen == 0)
		return false;
	if (address_text(name, address))
		return same_address(pattern, name);
	if (text_starts(pattern, "*.") && plen > 2)
		return wildcard_covers(pattern + 2, plen - 2, name, nlen);
	return plen == nlen && ascii_same(pattern, name, plen);
}

bool
name_covers(const char *pattern, const char *name)
{
	struct str ascii = STR_INIT;
	bool result;

	if (pattern == NULL || name == NULL)
		return false;
	if (clean_is(name, strlen(name)) && needs_idna(name) && name_to_ascii(name, &ascii, NULL) == 0)
		name = ascii.s;
	result = ascii_covers(pattern, name);
	str_release(&ascii);
	return result;
}

/* --- subject fields --- */

/* Upper bounds in characters: X.520, RFC 5280 appendix A.1. */
static const struct bound {
	const char *field, *label;
	size_t max;
} bounds[] = {
	{ "cn", "common name", 64 },
	{ "o", "organization", 64 },
	{ "ou", "organizational unit", 64 },
	{ "st", "state or province", 128 },
	{ "l", "city or locality", 128 },
	{ NULL, NULL, 0 }
};

static size_t
utf8_length(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		if (((unsigned char)*text & 0xc0) != 0x80)
			n++;
	return n;
}

static int
check_text(const struct bound *b, const char *value, struct err *e)
{
	size_t len = strlen(value), chars;

	if (!clean_is(value, len))
		return err_set(e, RC_INVALID, "the %s has a control character or is not UTF-8: %s", b->label, clean(value));
	if (value[0] == ' ' || value[len - 1] == ' ')
		return err_set(e, RC_INVALID, "the %s starts or ends with a blank", b->label);
	chars = utf8_length(value);
	if (chars > b->max) {
		err_set(e, RC_INVALID, "the %s has %zu characters; it may have %zu", b->label, chars, b->max);
		if (strcmp(b->field, "cn") == 0)
			err_hint(e, "take a shorter common name and give the long name as an alternative name");
		return -1;
	}
	return 0;
}

static bool
is_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static int
check_country(const char *value, struct err *e)
{
	if (strlen(value) != 2 || !is_letter(value[0]) || !is_letter(value[1])) {
		err_set(e, RC_INVALID, "the country is a code of two letters, not \"%s\"", clean(value));
		return err_hint(e, "for example US, DE, FR: the codes of ISO 3166-1");
	}
	return 0;
}

static int
check_width(const char *ascii, struct err *e)
{
	if (text_starts(ascii, "*.") && strchr(ascii + 2, '.') == NULL)
		return err_set(e, RC_INVALID, "the wildcard %s is too wide: no peer accepts it", clean(ascii));
	return 0;
}

static int
check_alternative(const char *name, struct err *e)
{
	struct str ascii = STR_INIT;
	int rc;

	rc = name_to_ascii(name, &ascii, e);
	if (rc == 0)
		rc = check_width(ascii.s, e);
	str_release(&ascii);
	return rc;
}

static int
check_alternatives(const char *value, struct err *e)
{
	size_t n = 0, i;
	char **words;
	int rc = 0;

	if (strlen(value) > NAMES_MAX * NAME_TYPED_MAX)
		return err_set(e, RC_INVALID, "a request may have at most %d alternative names", NAMES_MAX);
	words = words_split(value, NAME_SEPARATORS, &n);
	if (n > NAMES_MAX)
		rc = err_set(e, RC_INVALID, "a request may have at most %d alternative names, not %zu", NAMES_MAX, n);
	for (i = 0; i < n && rc == 0; i++)
		rc = check_alternative(words[i], e);
	words_free(words);
	return rc;
}

int
subject_field_check(const char *field, const char *value, struct err *e)
{
	const struct bound *b;

	if (text_empty(value)) {
		if (strcmp(field, "cn") != 0)
			return 0;
		err_set(e, RC_INVALID, "the common name is missing");
		return err_hint(e, "it is the host name that mail peers connect to, for example mail.example.org");
	}
	if (strcmp(field, "cn") == 0 && check_width(value, e) != 0)
		return -1;
	if (strcmp(field, "c") == 0)
		return check_country(value, e);
	if (strcmp(field, "san") == 0)
		return check_alternatives(value, e);
	for (b = bounds; b->field != NULL; b++)
		if (strcmp(field, b->field) == 0)
			return check_text(b, value, e);
	return err_set(e, RC_BUG, "there is no subject field %s", field);
}
