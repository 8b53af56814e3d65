/* PEM armour (RFC 7468) found in whatever came by mail or by web page: text around, any line ends, indented, quoted ("> ") or
 * overlong lines, byte order marks, UTF-16. OpenSSL's own reader takes less of this; what is inside is left to OpenSSL. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/xalloc.h"
#include "private.h"

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define DASHES "-----"

void
pem_plain(const void *mem, size_t len, struct str *out)
{
	const unsigned char *s = mem;
	size_t i, low;

	if (len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
		str_addn(out, s + 3, len - 3);
		return;
	}
	if (len >= 2 && (memcmp(s, "\xff\xfe", 2) == 0 || memcmp(s, "\xfe\xff", 2) == 0)) {
		low = s[0] == 0xff ? 0 : 1;
		for (i = 2; i + 1 < len; i += 2)
			str_addc(out, s[i + 1 - low] == 0 ? (char)s[i + low] : '?');
		return;
	}
	str_addn(out, s, len);
}

bool
pem_next(const char *text, size_t len, size_t *at, struct pem_block *out)
{
	const char *from, *end, *label_end, *stop = text + len;
	size_t left;

	while (*at < len && (from = memmem(text + *at, len - *at, BEGIN, sizeof(BEGIN) - 1)) != NULL) {
		out->label = from + sizeof(BEGIN) - 1;
		*at = (size_t)(out->label - text);
		left = (size_t)(stop - out->label);
		label_end = memmem(out->label, left < 80 ? left : 80, DASHES, sizeof(DASHES) - 1);
		if (label_end == NULL)
			continue;
		out->label_len = (size_t)(label_end - out->label);
		out->body = label_end + sizeof(DASHES) - 1;
		end = memmem(out->body, (size_t)(stop - out->body), DASHES, sizeof(DASHES) - 1);
		if (end == NULL || (size_t)(stop - end) < sizeof(END) - 1 || memcmp(end, END, sizeof(END) - 1) != 0)
			continue;
		out->body_len = (size_t)(end - out->body);
		*at = (size_t)(end + sizeof(END) - 1 - text);
		return true;
	}
	return false;
}

bool
pem_label_is(const struct pem_block *b, const char *label)
{
	return b->label_len == strlen(label) && memcmp(b->label, label, b->label_len) == 0;
}

/* Without what a mail program puts in front of each line of a message that is answered or forwarded: "> ", ">> ", "> > ". */
static char *
unquoted(const char *body, size_t len, size_t *n)
{
	char *out = xcalloc(1, len + 1);
	bool at_start = true;
	size_t i;

	for (i = 0, *n = 0; i < len; i++) {
		if (body[i] == '\n' || body[i] == '\r')
			at_start = true;
		else if (body[i] != '>' && body[i] != ' ' && body[i] != '\t')
			at_start = false;
		if (!at_start || body[i] != '>')
			out[(*n)++] = body[i];
	}
	return out;
}

unsigned char *
pem_bytes(const struct pem_block *b, size_t *n)
{
	size_t max = b->body_len / 4 * 3 + 3, len;
	char *body = unquoted(b->body, b->body_len, &len);
	unsigned char *out = xcalloc(1, max);
	bool ok = base64_decode(body, len, out, max, n) == 0 && *n > 0;

	free(body);
	if (ok)
		return out;
	free(out);
	return NULL;
}
