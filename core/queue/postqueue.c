/* The scanner for `postqueue -j`: one pass, any key order, unknown members, escapes, broken UTF-8, cut anywhere. It keeps no
 * line, only the string that a piece of input cut in two (at most 8 KiB of it). A line that is no message is counted and
 * skipped. Written by hand because a listing has a million lines and jansson reads a tenth as fast. */
#include <ctype.h>
#include <string.h>

#include "reader.h"

#define DEPTH_MAX 64             /* nesting; the third level is the deepest that means something */

static const struct { const char *name; unsigned char len, depth, member; } members[] = {
	{ "queue_name", 10, 1, M_QUEUE }, { "queue_id", 8, 1, M_ID }, { "arrival_time", 12, 1, M_ARRIVAL },
	{ "message_size", 12, 1, M_SIZE }, { "sender", 6, 1, M_SENDER }, { "recipients", 10, 1, M_RECIPIENTS },
	{ "address", 7, 3, M_ADDRESS }, { "delay_reason", 12, 3, M_REASON }, { "bounce_reason", 13, 3, M_REASON },
	{ "other_reason", 12, 3, M_REASON },
};

static void
scalar_value(struct queue_reader *q)
{
	int64_t v = 0;
	size_t i;

	if (q->key != M_ARRIVAL && q->key != M_SIZE)
		return;
	for (i = 0; i < q->token_len && q->token[i] >= '0' && q->token[i] <= '9'; i++) {
		v = v * 10 + (q->token[i] - '0');
		if (v > (1ll << 50))
			return;
	}
	*(q->key == M_ARRIVAL ? &q->arrival : &q->size) = v;
}

static enum member
member_of(const struct queue_reader *q, const char *s, size_t len)
{
	size_t i;

	if (q->depth != 1 && !(q->depth == 3 && q->in_recipients))
		return M_OTHER;
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (members[i].depth == q->depth && members[i].len == len && memcmp(members[i].name, s, len) == 0)
			return members[i].member;
	return M_OTHER;
}

static void
string_end(struct queue_reader *q, const char *s, size_t len)
{
	if (q->is_key) {
		q->key = member_of(q, s, len);
		q->state = IN_COLON;
		return;
	}
	if (q->wanted)
		string_value(q, s, len);
	q->key = M_OTHER;
	q->state = IN_NEXT;
}

static bool
in_array(const struct queue_reader *q)
{
	return (q->arrays >> q->depth & 1) != 0;
}

static bool
container_begin(struct queue_reader *q, bool array)
{
	if (q->depth + 1 >= DEPTH_MAX)
		return false;
	if (q->depth == 1)
		q->in_recipients = array && q->key == M_RECIPIENTS;
	q->depth++;
	q->arrays = array ? q->arrays | 1ull << q->depth : q->arrays & ~(1ull << q->depth);
	if (q->depth == 3 && q->in_recipients && !array)
		recipient_begin(q);
	q->key = M_OTHER;
	q->fresh = true;
	q->state = array ? IN_VALUE : IN_KEY;
	return true;
}

static bool
container_end(struct queue_reader *q, bool array)
{
	if (q->depth == 0 || in_array(q) != array)
		return false;
	if (q->depth == 3 && q->in_recipients && !array)
		recipient_end(q);
	q->depth--;
	q->fresh = false;
	q->key = M_OTHER;
	q->state = IN_NEXT;
	if (q->depth == 0) {
		if (!q->has_id)
			return false;
		message_end(q);
		q->state = IN_LINE;
	}
	return true;
}

/* Adds to the string that is being put together; what is too long is cut. */
static void
token_add(struct queue_reader *q, const char *s, size_t len)
{
	size_t room = TOKEN_MAX - q->token_len;

	q->token_used = true;
	if (len > room)
		len = room;
	memcpy(q->token + q->token_len, s, len);
	q->token_len += len;
}

static void
token_add_character(struct queue_reader *q, unsigned c)
{
	char u[4];
	size_t n;

	if (c < 0x80) {
		u[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		u[0] = (char)(0xc0 | c >> 6);
		u[1] = (char)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		u[0] = (char)(0xe0 | c >> 12);
		u[1] = (char)(0x80 | (c >> 6 & 0x3f));
		u[2] = (char)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		u[0] = (char)(0xf0 | c >> 18);
		u[1] = (char)(0x80 | (c >> 12 & 0x3f));
		u[2] = (char)(0x80 | (c >> 6 & 0x3f));
		u[3] = (char)(0x80 | (c & 0x3f));
		n = 4;
	}
	token_add(q, u, n);
}

/* One \uXXXX is complete: halves of a pair wait for each other, a lone half becomes the replacement character. A zero byte
 * would end our texts: it becomes the replacement character too. */
static void
unicode_end(struct queue_reader *q)
{
	unsigned c = q->unicode;

	if (q->high != 0 && c >= 0xdc00 && c < 0xe000) {
		token_add_character(q, 0x10000 + ((q->high - 0xd800) << 10) + (c - 0xdc00));
		q->high = 0;
		return;
	}
	if (q->high != 0)
		token_add_character(q, 0xfffd);
	q->high = 0;
	if (c >= 0xd800 && c < 0xdc00)
		q->high = c;
	else
		token_add_character(q, c == 0 || (c >= 0xdc00 && c < 0xe000) ? 0xfffd : c);
}

/* The first byte that ends a run of plain ones in a string: quote, backslash or line feed. Eight at a time. */
static const char *
plain_end(const char *p, const char *end)
{
	const uint64_t one = 0x0101010101010101u, top = 0x8080808080808080u;
	uint64_t w, a, b, c;

	for (; end - p >= 8; p += 8) {
		memcpy(&w, p, 8);
		a = w ^ one * '"';
		b = w ^ one * '\\';
		c = w ^ one * '\n';
		if ((((a - one) & ~a) | ((b - one) & ~b) | ((c - one) & ~c)) & top)
			break;
	}
	while (p < end && *p != '"' && *p != '\\' && *p != '\n')
		p++;
	return p;
}

static const char *
in_string(struct queue_reader *q, const char *p, const char *end)
{
	const char *stop = plain_end(p, end);

	if (q->high != 0 && (stop > p || (stop < end && *stop == '"'))) {
		token_add_character(q, 0xfffd);
		q->high = 0;
	}
	if (stop < end && *stop == '"') {
		if (!q->token_used)
			string_end(q, p, (size_t)(stop - p));
		else {
			token_add(q, p, (size_t)(stop - p));
			string_end(q, q->token, q->token_len);
		}
		return stop + 1;
	}
	token_add(q, p, (size_t)(stop - p));
	if (stop < end && *stop == '\\') {
		q->state = IN_ESCAPE;
		stop++;
	} else if (stop < end)
		q->state = IN_SKIP;   /* a line feed: the line was cut */
	return stop;
}

static bool
in_escape(struct queue_reader *q, char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = c != '\0' ? strchr(from, c) : NULL;

	if (c == 'u') {
		q->unicode = q->unicode_digits = 0;
		q->state = IN_UNICODE;
		return true;
	}
	if (at == NULL)
		return false;
	if (q->high != 0) {
		token_add_character(q, 0xfffd);
		q->high = 0;
	}
	token_add(q, to + (at - from), 1);
	q->state = IN_STRING;
	return true;
}

static bool
in_unicode(struct queue_reader *q, char c)
{
	if (!isxdigit((unsigned char)c))
		return false;
	q->unicode = q->unicode * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	if (++q->unicode_digits == 4) {
		q->state = IN_STRING;
		unicode_end(q);
	}
	return true;
}

static void
string_begin(struct queue_reader *q, bool is_key)
{
	q->is_key = is_key;
	q->wanted = is_key || q->key != M_OTHER;
	q->token_len = 0;
	q->token_used = false;
	q->high = 0;
	q->fresh = false;
	q->state = IN_STRING;
}

/* A byte that begins something, outside of strings and scalars. False: this is no JSON. */
static bool
structural(struct queue_reader *q, char c)
{
	switch (q->state) {
	case IN_LINE:
		if (c != '{')
			return false;
		message_begin(q);
		q->depth = 0;
		return container_begin(q, false);
	case IN_KEY:
		if (c == '"') {
			string_begin(q, true);
			return true;
		}
		return c == '}' && q->fresh && container_end(q, false);
	case IN_COLON:
		q->state = IN_VALUE;
		q->fresh = false;
		return c == ':';
	case IN_VALUE:
		if (c == '"') {
			string_begin(q, false);
			return true;
		}
		if (c == '{' || c == '[')
			return container_begin(q, c == '[');
		if (c == ']')
			return q->fresh && container_end(q, true);
		if (!isalnum((unsigned char)c) && c != '-')
			return false;
		q->token_len = 0;
		token_add(q, &c, 1);
		q->fresh = false;
		q->state = IN_SCALAR;
		return true;
	case IN_NEXT:
		if (c == ',') {
			q->state = in_array(q) ? IN_VALUE : IN_KEY;
			return true;
		}
		return (c == '}' || c == ']') && container_end(q, c == ']');
	default:
		return false;
	}
}

int
queue_reader_feed(struct queue_reader *q, const char *mem, size_t len)
{
	const char *p = mem, *end = mem + len, *from;

	while (p < end) {
		bool good = true;

		switch (q->state) {
		case IN_STRING:
			p = in_string(q, p, end);
			continue;
		case IN_ESCAPE:
			good = in_escape(q, *p);
			break;
		case IN_UNICODE:
			good = in_unicode(q, *p);
			break;
		case IN_SKIP:
			p = memchr(p, '\n', (size_t)(end - p));
			if (p == NULL)
				return q->over ? -1 : 0;
			line_cut(q);
			p++;
			continue;
		case IN_SCALAR:
			from = p;
			while (p < end && *p > ' ' && *p != ',' && *p != '}' && *p != ']' && *p != '"' && *p != '{')
				p++;
			token_add(q, from, (size_t)(p - from));
			if (p == end)
				continue;
			scalar_value(q);
			q->key = M_OTHER;
			q->state = IN_NEXT;
			continue;
		case IN_COLON:
		case IN_NEXT:
			/* how Postfix writes it: three bytes in one step */
			if (end - p >= 3 && p[1] == ' ' && p[2] == '"' &&
			    (q->state == IN_COLON ? *p == ':' : *p == ',' && !in_array(q))) {
				string_begin(q, q->state == IN_NEXT);
				p += 3;
				continue;
			}
			/* fall through */
		default:
			if (*p == '\n' && q->state != IN_LINE) {
				line_cut(q);
				p++;
				continue;
			}
			if (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t') {
				p++;
				continue;
			}
			good = structural(q, *p);
			break;
		}
		if (!good) {
			q->state = IN_SKIP;   /* this byte may be the line feed: look at it again */
			continue;
		}
		p++;
	}
	return q->over ? -1 : 0;
}
