/* Adds up a queue by destination, reason, sender or server. Memory grows with the number of different texts, not with the
 * number of messages, and every table has a ceiling. What can fail: too many groups (4 million). */
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define BLOCK_MIN 4096u          /* the first; each is twice the one before, since a console keeps such tables of some hundred hosts */
#define BLOCK_MAX (256u * 1024)
#define SEEN_MIN 256u            /* places of the cache of texts as they came in, powers of two */
#define SEEN_MAX 65536u
#define EXAMPLE_MAX 600

void
texts_init(struct texts *t, uint32_t max, uint64_t seed)
{
	memset(t, 0, sizeof(*t));
	t->max = max;
	t->seed = seed | 1;
	t->n_slots = 1024;
	t->slots = xcalloc(t->n_slots, sizeof(*t->slots));
}

uint64_t
texts_hash(const struct texts *t, const char *s, size_t len)
{
	uint64_t h = t->seed ^ (len * 0x9e3779b97f4a7c15u), w;

	for (; len >= 8; s += 8, len -= 8) {
		memcpy(&w, s, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	if (len > 0) {
		w = 0;
		memcpy(&w, s, len);
		h = (h ^ w) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	h *= 0xc4ceb9fe1a85ec53u;
	return h ^ (h >> 29);
}

const char *
texts_keep(struct texts *t, const char *s, size_t len)
{
	char *p;

	if (t->used + len + 1 > t->block) {
		t->block = t->n_blocks == 0 ? BLOCK_MIN : t->n_blocks < 7 ? BLOCK_MIN << t->n_blocks : BLOCK_MAX;
		if (len + 1 > t->block)
			t->block = len + 1;
		ARRAY_GROW(t->blocks, t->n_blocks);
		t->blocks[t->n_blocks++] = xrealloc(NULL, t->block, 1);
		t->held += t->block;
		t->used = 0;
	}
	p = t->blocks[t->n_blocks - 1] + t->used;
	memcpy(p, s, len);
	p[len] = '\0';
	t->used += len + 1;
	return p;
}

static void
texts_rehash(struct texts *t)
{
	uint32_t i, at;

	free(t->slots);
	t->n_slots *= 2;
	t->slots = xcalloc(t->n_slots, sizeof(*t->slots));
	for (i = 0; i < t->n; i++) {
		at = (uint32_t)t->v[i].hash & (t->n_slots - 1);
		while (t->slots[at] != 0)
			at = (at + 1) & (t->n_slots - 1);
		t->slots[at] = i + 1;
	}
}

uint32_t
texts_add(struct texts *t, const char *s, size_t len)
{
	uint64_t hash = texts_hash(t, s, len);
	uint32_t at = (uint32_t)hash & (t->n_slots - 1);
	const struct text *have;

	while (t->slots[at] != 0) {
		have = &t->v[t->slots[at] - 1];
		if (have->hash == hash && have->len == len && memcmp(have->s, s, len) == 0)
			return t->slots[at] - 1;
		at = (at + 1) & (t->n_slots - 1);
	}
	if (t->n >= t->max)
		return NONE;
	ARRAY_GROW(t->v, t->n);
	t->v[t->n] = (struct text){ texts_keep(t, s, len), hash, (uint32_t)len };
	t->slots[at] = ++t->n;
	if (t->n > t->n_slots / 2)
		texts_rehash(t);
	return t->n - 1;
}

void
texts_release(struct texts *t)
{
	size_t i;

	for (i = 0; i < t->n_blocks; i++)
		free(t->blocks[i]);
	free(t->blocks);
	free(t->slots);
	free(t->v);
	memset(t, 0, sizeof(*t));
}

void
sums_init(struct sums *s, enum queue_by by)
{
	/* not to be guessed from outside, so that nobody can choose names that all meet in one place */
	uint64_t seed = (uint64_t)(uintptr_t)s * 0x9e3779b97f4a7c15u ^ (uint64_t)when_monotonic_ms() << 20;

	memset(s, 0, sizeof(*s));
	s->by = by;
	texts_init(&s->keys, GROUPS_MAX, seed);
	texts_init(&s->reasons, REASONS_MAX, seed ^ 0x5bd1e995u);
	s->n_pair_slots = 1024;
	s->pairs = xcalloc(s->n_pair_slots, sizeof(*s->pairs));
	s->n_seen = SEEN_MIN;
	s->seen = xcalloc(s->n_seen, sizeof(*s->seen));
	str_init(&s->fold, 4096);
	s->other = NONE;
}

uint32_t
sums_group(struct sums *s, const char *key, size_t len)
{
	uint32_t before = s->keys.n, i = texts_add(&s->keys, key, len);

	if (i != NONE && s->keys.n > before) {
		ARRAY_GROW(s->tally, i);
		s->tally[i] = (struct tally){ .last = -1, .last_deferred = -1 };
	}
	return i;
}

static uint32_t
reason_add(struct sums *s, const char *folded, size_t n, const char *text, size_t len)
{
	uint32_t before = s->reasons.n, i = texts_add(&s->reasons, folded, n);

	if (i != NONE && s->reasons.n > before) {
		ARRAY_GROW(s->reason, i);
		s->reason[i].example = texts_keep(&s->reasons, text, len < EXAMPLE_MAX ? len : EXAMPLE_MAX);
		s->reason[i].failure = NULL;
	}
	return i;
}

static void
seen_grow(struct sums *s)
{
	struct seen *old = s->seen;
	uint32_t i, n = s->n_seen;

	s->n_seen *= 4;
	s->seen = xcalloc(s->n_seen, sizeof(*s->seen));
	for (i = 0; i < n; i++)
		if (old[i].hash != 0)
			s->seen[(uint32_t)(old[i].hash >> 20) & (s->n_seen - 1)] = old[i];
	s->missed = 0;
	free(old);
}

uint32_t
sums_reason(struct sums *s, const char *text, size_t len)
{
	static const char other[] = "(other reasons)";
	uint64_t hash = texts_hash(&s->reasons, text, len);
	uint32_t place = (uint32_t)(hash >> 20) & (s->n_seen - 1), i;

	if (s->seen[place].hash == hash)
		return s->seen[place].index;
	str_reset(&s->fold);
	reason_fold(text, len, &s->fold);
	i = reason_add(s, s->fold.s, s->fold.len, text, len);
	if (i == NONE) {
		if (s->other == NONE) {
			s->reasons.max++;
			s->other = reason_add(s, other, strlen(other), other, strlen(other));
		}
		i = s->other;
	}
	if (++s->missed > s->n_seen / 2 && s->n_seen < SEEN_MAX) {
		seen_grow(s);
		place = (uint32_t)(hash >> 20) & (s->n_seen - 1);
	}
	s->seen[place] = (struct seen){ hash, i };
	return i;
}

uint32_t
sums_reason_folded(struct sums *s, const char *folded, size_t n, const char *text, size_t len)
{
	return reason_add(s, folded, n, text, len);
}

static size_t
age_of(int64_t arrival, int64_t now)
{
	size_t i;

	for (i = 0; i + 1 < QUEUE_AGES && now - arrival >= queue_ages[i].below; i++)
		;
	return i;
}

void
sums_count(struct sums *s, const struct counted *c, uint32_t group, uint32_t reason, uint32_t n)
{
	struct tally *sum = &s->tally[group];

	sum->recipients += n;
	if (sum->last != c->serial) {
		sum->last = c->serial;
		sum->messages++;
		sum->bytes += c->size;
		sum->states[c->state]++;
		if (c->arrival > 0) {
			sum->ages[age_of(c->arrival, c->now)]++;
			if (sum->oldest == 0 || c->arrival < sum->oldest)
				sum->oldest = c->arrival;
		}
		if (c->state == QUEUE_DEFERRED && c->retry > 0 && (sum->next_retry == 0 || c->retry < sum->next_retry))
			sum->next_retry = c->retry;
	}
	if (reason == NONE)
		return;
	if (sum->last_deferred != c->serial) {
		sum->last_deferred = c->serial;
		sum->deferred++;
	}
	sums_pair(s, group, reason, n);
}

const struct failure *
sums_failure(struct sums *s, uint32_t reason)
{
	struct classified c;
	struct reason *r = &s->reason[reason];

	if (r->failure == NULL) {
		classify(r->example, strlen(r->example), "postfix", &c);
		r->failure = c.failure;
	}
	return r->failure;
}

static void
pairs_rehash(struct sums *s)
{
	struct pair *old = s->pairs;
	uint32_t n = s->n_pair_slots, i, at;

	s->n_pair_slots *= 2;
	s->pairs = xcalloc(s->n_pair_slots, sizeof(*s->pairs));
	for (i = 0; i < n; i++) {
		if (old[i].n == 0)
			continue;
		at = (old[i].group * 0x9e3779b1u ^ old[i].reason * 0x85ebca6bu) & (s->n_pair_slots - 1);
		while (s->pairs[at].n != 0)
			at = (at + 1) & (s->n_pair_slots - 1);
		s->pairs[at] = old[i];
	}
	free(old);
}

void
sums_pair(struct sums *s, uint32_t group, uint32_t reason, uint32_t n)
{
	uint32_t at = (group * 0x9e3779b1u ^ reason * 0x85ebca6bu) & (s->n_pair_slots - 1);
	struct pair *p;

	for (;; at = (at + 1) & (s->n_pair_slots - 1)) {
		p = &s->pairs[at];
		if (p->n == 0)
			break;
		if (p->group == group && p->reason == reason) {
			p->n = p->n > UINT32_MAX - n ? UINT32_MAX : p->n + n;
			return;
		}
	}
	if (s->n_pairs >= PAIRS_MAX)
		return;
	*p = (struct pair){ group, reason, n };
	if (++s->n_pairs > s->n_pair_slots / 2)
		pairs_rehash(s);
}

static int
pair_order(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->n != y->n ? (x->n > y->n ? -1 : 1) : (x->reason > y->reason) - (x->reason < y->reason);
}

/* In how many groups each reason was met: an example names hosts and addresses, and belongs to the group it came from. */
static uint32_t *
spread(const struct sums *s, uint32_t n_pairs)
{
	uint32_t i, *in = xcalloc(s->reasons.n + 1u, sizeof(*in));

	for (i = 0; i < n_pairs; i++)
		in[s->pairs[i].reason]++;
	return in;
}

/* The class with the most recipients among the pairs of one group, and its most frequent reason: as received when no other
 * group has it, else with the names and numbers folded away. */
static void
explain(struct sums *s, const struct pair *p, size_t n, const uint32_t *groups_with, struct queue_group *g)
{
	const struct failure *best = NULL, *f;
	int64_t total, most = 0;
	size_t i, j;
	/* classes in the order of their most frequent reason; there are fewer than this */
	const struct failure *done[80];
	size_t n_done = 0;
	uint32_t reason = NONE;

	for (i = 0; i < n && n_done < sizeof(done) / sizeof(done[0]); i++) {
		f = sums_failure(s, p[i].reason);
		for (j = 0; j < n_done && done[j] != f; j++)
			;
		if (j < n_done)
			continue;
		done[n_done++] = f;
		for (total = 0, j = i; j < n; j++)
			if (sums_failure(s, p[j].reason) == f)
				total += p[j].n;
		if (total > most) {
			most = total;
			best = f;
			reason = p[i].reason;
		}
	}
	g->failure = best;
	g->failure_recipients = most;
	if (reason == NONE)
		return;
	if (groups_with[reason] == 1)
		g->reason = xstrdup(s->reason[reason].example);
	else
		g->reason = xstrndup(s->reasons.v[reason].s, s->reasons.v[reason].len);
}

static int
group_order(const void *a, const void *b)
{
	const struct queue_group *x = a, *y = b;
	bool x_tls = x->failure != NULL && x->failure->tls, y_tls = y->failure != NULL && y->failure->tls;

	if (x->messages != y->messages)
		return x->messages > y->messages ? -1 : 1;
	if (x_tls != y_tls)
		return x_tls ? -1 : 1;
	return strcmp(x->key, y->key);
}

void
sums_take(struct sums *s, struct queue_groups *out)
{
	uint32_t i, j, n = 0, *place = xcalloc(s->keys.n + 1u, sizeof(*place)), *groups_with;
	struct queue_group *g;
	size_t from, to;

	*out = (struct queue_groups){ NULL, 0 };
	for (i = 0; i < s->keys.n; i++)
		n += s->tally[i].messages > 0;
	out->v = xcalloc(n + 1u, sizeof(*out->v));
	for (i = 0; i < s->keys.n; i++) {
		const struct tally *t = &s->tally[i];

		place[i] = NONE;
		if (t->messages == 0)         /* met in a line that turned out to be bad */
			continue;
		place[i] = (uint32_t)out->n;
		g = &out->v[out->n++];
		*g = (struct queue_group){ .key = xstrndup(s->keys.v[i].s, s->keys.v[i].len), .messages = t->messages,
		    .recipients = t->recipients, .bytes = t->bytes, .oldest = t->oldest, .deferred = t->deferred, .next_retry = t->next_retry };
		for (j = 0; j < QUEUE_STATES; j++)
			g->states[j] = t->states[j];
		for (j = 0; j < QUEUE_AGES; j++)
			g->ages[j] = t->ages[j];
	}
	for (i = 0, n = 0; i < s->n_pair_slots; i++)
		if (s->pairs[i].n != 0)
			s->pairs[n++] = s->pairs[i];
	groups_with = spread(s, n);
	qsort(s->pairs, n, sizeof(*s->pairs), pair_order);
	for (from = 0; from < n; from = to) {
		for (to = from + 1; to < n && s->pairs[to].group == s->pairs[from].group; to++)
			;
		if (place[s->pairs[from].group] != NONE)
			explain(s, s->pairs + from, to - from, groups_with, &out->v[place[s->pairs[from].group]]);
	}
	s->n_pairs = 0;
	memset(s->pairs, 0, s->n_pair_slots * sizeof(*s->pairs));
	free(groups_with);
	free(place);
	qsort(out->v, out->n, sizeof(*out->v), group_order);
}

void
sums_release(struct sums *s)
{
	texts_release(&s->keys);
	texts_release(&s->reasons);
	free(s->tally);
	free(s->reason);
	free(s->pairs);
	free(s->seen);
	str_release(&s->fold);
}

void
queue_groups_release(struct queue_groups *g)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		free(g->v[i].key);
		free(g->v[i].reason);
	}
	free(g->v);
	*g = (struct queue_groups){ NULL, 0 };
}

struct queue_merge { struct texts keys; struct queue_groups groups; };

struct queue_merge *
queue_merge_new(void)
{
	struct queue_merge *m = xcalloc(1, sizeof(*m));

	texts_init(&m->keys, UINT32_MAX - 1, (uintptr_t)m);
	return m;
}

static void
merge_one(struct queue_group *to, const struct queue_group *from)
{
	size_t k;

	to->messages += from->messages;
	to->recipients += from->recipients;
	to->bytes += from->bytes;
	to->deferred += from->deferred;
	for (k = 0; k < QUEUE_STATES; k++)
		to->states[k] += from->states[k];
	for (k = 0; k < QUEUE_AGES; k++)
		to->ages[k] += from->ages[k];
	if (from->oldest > 0 && (to->oldest == 0 || from->oldest < to->oldest))
		to->oldest = from->oldest;
	if (from->next_retry > 0 && (to->next_retry == 0 || from->next_retry < to->next_retry))
		to->next_retry = from->next_retry;
	if (from->failure == to->failure)
		to->failure_recipients += from->failure_recipients;
	else if (from->failure != NULL && from->failure_recipients > to->failure_recipients) {
		to->failure = from->failure;
		to->failure_recipients = from->failure_recipients;
		xset(&to->reason, from->reason);
	}
}

void
queue_merge_add(struct queue_merge *m, const struct queue_groups *from)
{
	size_t i;

	for (i = 0; i < from->n; i++) {
		uint32_t at = texts_add(&m->keys, from->v[i].key, strlen(from->v[i].key));

		if (at < m->groups.n) {
			merge_one(&m->groups.v[at], &from->v[i]);
			continue;
		}
		ARRAY_GROW(m->groups.v, m->groups.n);
		m->groups.v[at] = from->v[i];
		m->groups.v[at].key = xstrdup(from->v[i].key);
		m->groups.v[at].reason = xstrdup(from->v[i].reason);
		m->groups.n++;
	}
}

void
queue_merge_end(struct queue_merge *m, struct queue_groups *out)
{
	if (m == NULL)
		return;
	texts_release(&m->keys);
	if (m->groups.n > 1)
		qsort(m->groups.v, m->groups.n, sizeof(*m->groups.v), group_order);
	if (out != NULL)
		*out = m->groups;
	else
		queue_groups_release(&m->groups);
	free(m);
}

void
queue_groups_merge(struct queue_groups *a, const struct queue_groups *b)
{
	struct queue_merge *m = queue_merge_new();

	queue_merge_add(m, a);
	queue_merge_add(m, b);
	queue_groups_release(a);
	queue_merge_end(m, a);
}
