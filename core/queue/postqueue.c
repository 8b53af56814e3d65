/* The scanner for `postqueue -j`: one pass, any key order, unknown members, escapes, broken UTF-8, cut anywhere. It keeps no
 * line, only the string that a piece of input cut in two (at most 8 KiB of it) and, of one message, the list of its groups.
 * A line that is no message is counted and skipped. Written by hand because a listing has a million lines and jansson reads
 * a tenth as fast. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define TOKEN_MAX 8192           /* bytes of one string that are looked at */
#define DEPTH_MAX 64             /* nesting; the third level is the deepest that means something */
#define TOUCH_MAX (1024u * 1024) /* runs of recipients of one message */

enum state {
	IN_LINE,          /* between messages */
	IN_SKIP,          /* the rest of a bad line */
	IN_KEY,           /* after '{' or ',' in an object */
	IN_COLON,
	IN_VALUE,
	IN_NEXT,          /* after a value */
	IN_STRING, IN_ESCAPE, IN_UNICODE,
	IN_SCALAR,
};

enum member { M_OTHER, M_QUEUE, M_ID, M_ARRIVAL, M_SIZE, M_SENDER, M_RECIPIENTS, M_ADDRESS, M_REASON };

static const struct { const char *name; unsigned char len, depth, member; } members[] = {
	{ "queue_name", 10, 1, M_QUEUE }, { "queue_id", 8, 1, M_ID }, { "arrival_time", 12, 1, M_ARRIVAL },
	{ "message_size", 12, 1, M_SIZE }, { "sender", 6, 1, M_SENDER }, { "recipients", 10, 1, M_RECIPIENTS },
	{ "address", 7, 3, M_ADDRESS }, { "delay_reason", 12, 3, M_REASON }, { "bounce_reason", 13, 3, M_REASON },
	{ "other_reason", 12, 3, M_REASON },
};

/* A run of recipients with the same group and reason. */
struct touch { uint32_t group, reason, n; };

struct queue_reader {
	enum queue_by by;
	char *destination;
	size_t limit;
	uint32_t server_group;
	bool over;
	int64_t messages, bad;

	enum state state;
	unsigned depth;
	uint64_t arrays;              /* bit d: the container at depth d is an array */
	bool fresh;                   /* nothing yet in the container: it may end */
	bool is_key, wanted;          /* the string being read */
	bool in_recipients;
	enum member key;              /* the member whose value comes */
	char token[TOKEN_MAX];
	size_t token_len;
	bool token_used;              /* the string was cut or has escapes: it is in token */
	unsigned unicode, unicode_digits, high;

	/* the message of this line */
	bool has_id;
	int64_t arrival, size;
	uint32_t sender_group;
	struct touch *touched;
	uint32_t n_touched, max_touched;
	uint32_t group, reason;       /* of the recipient being read */
	bool matches, has_address;
	struct str id, queue, sender, address, why, first_address, first_why;   /* only while messages are kept */
	int matched;

	struct sums sums;
	char last_domain[256];
	size_t last_domain_len;
	uint32_t last_group;
	struct queue_messages taken;
};

int
queue_by_parse(enum queue_by *out, const char *word, struct err *e)
{
	static const char *const words[] = { "destination", "reason", "sender", "server" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (text_eq(word, words[i])) {
			*out = (enum queue_by)i;
			return 0;
		}
	err_set(e, RC_INVALID, "A queue cannot be grouped by \"%s\".", clean(word));
	return err_hint(e, "Group by destination, reason, sender or server.");
}

struct queue_reader *
queue_reader_new(enum queue_by by, const char *server, const char *destination, size_t limit)
{
	struct queue_reader *q = xcalloc(1, sizeof(*q));
	struct str *strs[] = { &q->id, &q->queue, &q->sender, &q->address, &q->why, &q->first_address, &q->first_why };
	size_t i;
	char *p;

	q->by = by;
	q->limit = limit;
	q->destination = xstrdup(destination);
	for (p = q->destination; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	for (i = 0; i < sizeof(strs) / sizeof(strs[0]); i++)
		str_init(strs[i], TOKEN_MAX + 1);
	sums_init(&q->sums, by);
	if (by == QUEUE_BY_SERVER)
		q->server_group = sums_group(&q->sums, server != NULL ? server : "", server != NULL ? strlen(server) : 0);
	return q;
}

/* The domain of an address as it came, after the last @. */
static size_t
domain_of(const char *s, size_t len, const char **domain)
{
	const char *at = memrchr(s, '@', len);

	if (at == NULL) {
		*domain = "(no domain)";
		return strlen(*domain);
	}
	*domain = at + 1;
	return (size_t)(s + len - at - 1);
}

/* The group of an address: its domain in lower case. Neighbours often have the same one. */
static uint32_t
domain_group(struct queue_reader *q, const char *s, size_t len)
{
	const char *domain;
	size_t n = domain_of(s, len, &domain), i;

	if (n > sizeof(q->last_domain))
		n = sizeof(q->last_domain);
	if (n == q->last_domain_len && memcmp(domain, q->last_domain, n) == 0 && q->last_group != NONE)
		return q->last_group;
	for (i = 0; i < n; i++)
		q->last_domain[i] = (char)(domain[i] >= 'A' && domain[i] <= 'Z' ? domain[i] + 32 : domain[i]);
	q->last_domain_len = n;
	q->last_group = sums_group(&q->sums, q->last_domain, n);
	return q->last_group;
}

static bool
domain_matches(const struct queue_reader *q, const char *s, size_t len)
{
	const char *domain;
	size_t n = domain_of(s, len, &domain);

	return q->destination == NULL || (strlen(q->destination) == n && strncasecmp(domain, q->destination, n) == 0);
}

static bool
keeping(const struct queue_reader *q)
{
	return q->taken.n < q->limit;
}

static void
set(struct str *to, const char *s, size_t len)
{
	str_reset(to);
	str_addn(to, s, len);
}

static void
message_begin(struct queue_reader *q)
{
	q->has_id = false;
	q->arrival = q->size = 0;
	q->sender_group = NONE;
	q->n_touched = 0;
	q->matched = 0;
	q->in_recipients = false;
	q->key = M_OTHER;
	if (q->limit > 0) {
		str_reset(&q->id);
		str_reset(&q->queue);
		str_reset(&q->sender);
	}
}

static void
recipient_begin(struct queue_reader *q)
{
	q->group = q->reason = NONE;
	q->matches = q->has_address = false;
	if (keeping(q)) {
		str_reset(&q->address);
		str_reset(&q->why);
	}
}

static void
recipient_end(struct queue_reader *q)
{
	struct touch *last = q->n_touched > 0 ? &q->touched[q->n_touched - 1] : NULL;

	if (!q->has_address)
		return;
	if (q->matches && q->matched++ == 0 && keeping(q)) {
		set(&q->first_address, q->address.s, q->address.len);
		set(&q->first_why, q->why.s, q->why.len);
	}
	if (last != NULL && last->group == q->group && last->reason == q->reason)
		last->n++;
	else if (q->n_touched < TOUCH_MAX) {
		if (q->n_touched == q->max_touched) {
			q->max_touched = q->max_touched > 0 ? q->max_touched * 2 : 64;
			q->touched = xrealloc(q->touched, q->max_touched, sizeof(*q->touched));
		}
		q->touched[q->n_touched++] = (struct touch){ q->group, q->reason, 1 };
	}
}

static void
message_keep(struct queue_reader *q)
{
	struct queue_message *m;
	struct classified c;

	ARRAY_GROW(q->taken.v, q->taken.n);
	m = &q->taken.v[q->taken.n++];
	*m = (struct queue_message){ .id = xstrdup(q->id.s), .queue = xstrdup(q->queue.s), .sender = xstrdup(q->sender.s),
	    .recipient = xstrdup(q->first_address.s), .arrival = q->arrival, .size = q->size, .recipients = q->matched };
	if (q->first_why.len > 0) {
		m->reason = xstrdup(q->first_why.s);
		classify(q->first_why.s, q->first_why.len, "postfix", &c);
		m->failure = c.failure;
	}
}

/* The group that a run belongs to, now that the whole message is known. */
static uint32_t
group_of(struct queue_reader *q, const struct touch *t)
{
	static const char no_reason[] = "(no reason yet)", no_sender[] = "(no sender)";

	switch (q->by) {
	case QUEUE_BY_DESTINATION:
		return t->group;
	case QUEUE_BY_SERVER:
		return q->server_group;
	case QUEUE_BY_SENDER:
		if (q->sender_group == NONE)
			q->sender_group = sums_group(&q->sums, no_sender, strlen(no_sender));
		return q->sender_group;
	case QUEUE_BY_REASON:
		break;
	}
	if (t->reason == NONE)
		return sums_group(&q->sums, no_reason, strlen(no_reason));
	return sums_group(&q->sums, q->sums.reasons.v[t->reason].s, q->sums.reasons.v[t->reason].len);
}

/* A whole message was read: only now it counts. */
static void
message_end(struct queue_reader *q)
{
	uint32_t i, g;

	for (i = 0; i < q->n_touched; i++) {
		const struct touch *t = &q->touched[i];
		struct tally *sum;

		g = group_of(q, t);
		if (g == NONE) {
			q->over = true;
			continue;
		}
		sum = &q->sums.tally[g];
		sum->recipients += t->n;
		if (sum->last != q->messages) {
			sum->last = q->messages;
			sum->messages++;
			sum->bytes += q->size;
			if (q->arrival > 0 && (sum->oldest == 0 || q->arrival < sum->oldest))
				sum->oldest = q->arrival;
		}
		if (t->reason == NONE)
			continue;
		if (sum->last_deferred != q->messages) {
			sum->last_deferred = q->messages;
			sum->deferred++;
		}
		sums_pair(&q->sums, g, t->reason, t->n);
	}
	q->messages++;
	if (q->matched > 0 && keeping(q))
		message_keep(q);
}

static void
string_value(struct queue_reader *q, const char *s, size_t len)
{
	switch (q->key) {
	case M_ID:
		q->has_id = true;
		if (keeping(q))
			set(&q->id, s, len);
		break;
	case M_QUEUE:
		if (keeping(q))
			set(&q->queue, s, len);
		break;
	case M_SENDER:
		if (keeping(q))
			set(&q->sender, s, len);
		if (q->by == QUEUE_BY_SENDER)
			q->sender_group = memrchr(s, '@', len) != NULL ? domain_group(q, s, len) : sums_group(&q->sums, s, len);
		break;
	case M_ADDRESS:
		q->has_address = true;
		if (q->by == QUEUE_BY_DESTINATION)
			q->group = domain_group(q, s, len);
		if (keeping(q) && (q->matches = domain_matches(q, s, len)))
			set(&q->address, s, len);
		break;
	case M_REASON:
		q->reason = sums_reason(&q->sums, s, len);
		if (keeping(q))
			set(&q->why, s, len);
		break;
	default:
		break;
	}
}

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

static void
line_cut(struct queue_reader *q)
{
	q->bad++;
	q->state = IN_LINE;
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

void
queue_reader_end(struct queue_reader *q, struct queue_groups *out)
{
	if (q->state != IN_LINE)
		line_cut(q);
	sums_take(&q->sums, out);
}

int64_t
queue_reader_messages(const struct queue_reader *q)
{
	return q->messages;
}

int64_t
queue_reader_bad_lines(const struct queue_reader *q)
{
	return q->bad;
}

void
queue_reader_taken(struct queue_reader *q, struct queue_messages *out)
{
	*out = q->taken;
	q->taken = (struct queue_messages){ NULL, 0 };
	q->limit = 0;
}

void
queue_messages_release(struct queue_messages *m)
{
	size_t i;

	for (i = 0; i < m->n; i++) {
		free(m->v[i].id);
		free(m->v[i].queue);
		free(m->v[i].sender);
		free(m->v[i].recipient);
		free(m->v[i].reason);
	}
	free(m->v);
	*m = (struct queue_messages){ NULL, 0 };
}

void
queue_reader_free(struct queue_reader *q)
{
	struct str *strs[] = { &q->id, &q->queue, &q->sender, &q->address, &q->why, &q->first_address, &q->first_why };
	size_t i;

	if (q == NULL)
		return;
	for (i = 0; i < sizeof(strs) / sizeof(strs[0]); i++)
		str_release(strs[i]);
	queue_messages_release(&q->taken);
	sums_release(&q->sums);
	free(q->destination);
	free(q->touched);
	free(q);
}
