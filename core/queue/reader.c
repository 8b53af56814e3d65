/* What is made of a queue listing while the scanner goes over it: of one message the runs of recipients with the same group
 * and reason, of all messages the sums. A message counts only when its line was whole. Nothing can fail but too many groups. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "reader.h"

#define TOUCH_MAX (1024u * 1024) /* runs of recipients of one message */

const char *const queue_state_names[QUEUE_STATES] = { "active", "deferred", "hold", "incoming" };
const struct queue_age queue_ages[QUEUE_AGES] = {
	{ "5m", 300 }, { "1h", 3600 }, { "6h", 6 * 3600 }, { "1d", 86400 }, { "older", INT64_MAX },
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
	q->now = when_now();
	q->destination = xstrdup(destination);
	for (p = q->destination; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	for (i = 0; i < sizeof(strs) / sizeof(strs[0]); i++)
		str_init(strs[i], TOKEN_MAX + 1);
	sums_init(&q->sums, by);
	q->last_group = NONE;                  /* there is no group yet, not even one of the empty domain */
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

void
message_begin(struct queue_reader *q)
{
	q->has_id = false;
	q->arrival = q->size = 0;
	q->sender_group = NONE;
	q->n_touched = 0;
	q->matched = 0;
	q->in_recipients = false;
	q->key = M_OTHER;
	q->where = QUEUE_DEFERRED;
	if (q->limit > 0 || q->mirror != NULL) {
		str_reset(&q->id);
		str_reset(&q->queue);
		str_reset(&q->sender);
	}
}

void
recipient_begin(struct queue_reader *q)
{
	q->group = q->reason = NONE;
	q->matches = q->has_address = false;
	if (keeping(q)) {
		str_reset(&q->address);
		str_reset(&q->why);
	}
}

void
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
void
message_end(struct queue_reader *q)
{
	struct counted c = { q->messages, q->arrival, q->size, 0, q->now, q->where };
	uint32_t i, g;

	if (q->mirror != NULL) {
		mirror_take(q->mirror, q);
		q->messages++;
		return;
	}
	for (i = 0; i < q->n_touched; i++) {
		const struct touch *t = &q->touched[i];
		g = group_of(q, t);
		if (g == NONE) {
			q->over = true;
			continue;
		}
		sums_count(&q->sums, &c, g, t->reason, t->n);
	}
	q->messages++;
	if (q->matched > 0 && keeping(q))
		message_keep(q);
}

/* maildrop is on its way in; a name that we do not know is most likely mail that waits. */
static enum queue_state
state_of(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < QUEUE_STATES; i++)
		if (strlen(queue_state_names[i]) == len && memcmp(queue_state_names[i], s, len) == 0)
			return (enum queue_state)i;
	return len == 8 && memcmp(s, "maildrop", 8) == 0 ? QUEUE_INCOMING : QUEUE_DEFERRED;
}

void
member_say(struct queue_reader *q, enum member key, const char *s)
{
	q->key = key;
	string_value(q, s, strlen(s));
	q->key = M_OTHER;
}

void
string_value(struct queue_reader *q, const char *s, size_t len)
{
	switch (q->key) {
	case M_ID:
		q->has_id = true;
		if (keeping(q) || q->mirror != NULL)
			set(&q->id, s, len);
		break;
	case M_QUEUE:
		q->where = state_of(s, len);
		if (keeping(q))
			set(&q->queue, s, len);
		break;
	case M_SENDER:
		if (keeping(q))
			set(&q->sender, s, len);
		if (q->by == QUEUE_BY_SENDER || q->mirror != NULL)
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

void
line_cut(struct queue_reader *q)
{
	q->bad++;
	q->state = IN_LINE;
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
	if (q == NULL)
		return;
	struct str *const strs[] = { &q->id, &q->queue, &q->sender, &q->address, &q->why, &q->first_address, &q->first_why };

	for (size_t i = 0; i < sizeof(strs) / sizeof(strs[0]); i++)
		str_release(strs[i]);
	queue_messages_release(&q->taken);
	sums_release(&q->sums);
	free(q->destination);
	free(q->touched);
	free(q);
}
