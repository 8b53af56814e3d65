/* What is kept of a queue between looks: some sixty bytes a message, its recipients' domains and reasons as numbers of the
 * reader's tables. Groups are made of it in any order without asking the host. Nothing can fail but the ceiling. */
#include <stdlib.h>
#include <string.h>

#include "mirror.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

static void
reader_begin(struct queue_mirror *m)
{
	queue_reader_free(m->reader);
	m->reader = queue_reader_new(QUEUE_BY_DESTINATION, NULL, NULL, 0);
	m->reader->mirror = m;
}

struct queue_mirror *
queue_mirror_new(void)
{
	struct queue_mirror *m = xcalloc(1, sizeof(*m));

	m->n_slots = 1024;
	m->slots = xcalloc(m->n_slots, sizeof(*m->slots));
	reader_begin(m);
	return m;
}

static void
dirs_forget(struct queue_mirror *m)
{
	while (m->n_dirs > 0)
		free(m->dirs[--m->n_dirs].path);
}

/* Forgets all messages, and all names that only messages of the past had. */
void
mirror_empty(struct queue_mirror *m)
{
	m->n = m->n_runs = m->lost_runs = 0;
	m->over = false;
	memset(m->slots, 0, m->n_slots * sizeof(*m->slots));
	dirs_forget(m);
	reader_begin(m);
}

void
queue_mirror_free(struct queue_mirror *m)
{
	if (m == NULL)
		return;
	mirror_items_release(m);
	dirs_forget(m);
	free(m->dirs);
	queue_reader_free(m->reader);
	queue_reader_free(m->picker);
	free(m->v);
	free(m->slots);
	free(m->runs);
	free(m);
}

/* --- the set of ids --- */

bool
mirror_id_ok(const char *id, size_t len)
{
	size_t i;

	if (len < 6 || len >= ID_SIZE)
		return false;
	for (i = 0; i < len; i++)
		if (!((id[i] >= '0' && id[i] <= '9') || (id[i] >= 'A' && id[i] <= 'Z') || (id[i] >= 'a' && id[i] <= 'z')))
			return false;
	return true;
}

uint64_t
mirror_hash(const char *id, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u, w;

	for (; len >= 8; id += 8, len -= 8) {
		memcpy(&w, id, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, id, len);
	h = (h ^ w) * 0xc4ceb9fe1a85ec53u;
	return h ^ (h >> 29);
}

uint32_t
mirror_find(const struct queue_mirror *m, const char *id, size_t len)
{
	uint32_t at = (uint32_t)mirror_hash(id, len) & (m->n_slots - 1);

	for (; m->slots[at] != 0; at = (at + 1) & (m->n_slots - 1)) {
		const struct held *h = &m->v[m->slots[at] - 1];

		if (memcmp(h->id, id, len) == 0 && h->id[len] == '\0')
			return m->slots[at] - 1;
	}
	return NONE;
}

static void
slots_fill(struct queue_mirror *m)
{
	uint32_t i, at;

	memset(m->slots, 0, m->n_slots * sizeof(*m->slots));
	for (i = 0; i < m->n; i++) {
		at = (uint32_t)mirror_hash(m->v[i].id, strlen(m->v[i].id)) & (m->n_slots - 1);
		while (m->slots[at] != 0)
			at = (at + 1) & (m->n_slots - 1);
		m->slots[at] = i + 1;
	}
}

static struct held *
held_add(struct queue_mirror *m, const char *id, size_t len)
{
	uint32_t at;

	if (m->n >= QUEUE_MIRROR_MAX) {
		m->over = true;
		return NULL;
	}
	if (m->n == m->max) {
		m->max = m->max > 0 ? m->max + m->max / 2 : 1024;
		m->v = xrealloc(m->v, m->max, sizeof(*m->v));
	}
	memset(&m->v[m->n], 0, sizeof(m->v[0]));
	memcpy(m->v[m->n].id, id, len);
	m->v[m->n].dir = DIRS_MAX;
	m->n++;
	if (m->n > m->n_slots / 4 * 3) {
		m->n_slots *= 2;
		free(m->slots);
		m->slots = xcalloc(m->n_slots, sizeof(*m->slots));
		slots_fill(m);
		return &m->v[m->n - 1];
	}
	at = (uint32_t)mirror_hash(id, len) & (m->n_slots - 1);
	while (m->slots[at] != 0)
		at = (at + 1) & (m->n_slots - 1);
	m->slots[at] = m->n;
	return &m->v[m->n - 1];
}

/* --- messages --- */

static void
runs_take(struct queue_mirror *m, struct held *h, const struct queue_reader *q)
{
	uint32_t i;

	h->n = 0;
	for (i = 0; i < q->n_touched; i++)
		h->n += q->touched[i].n;
	h->many = q->n_touched > 1;
	if (!h->many) {
		h->group = q->n_touched > 0 ? q->touched[0].group : NONE;
		h->reason = q->n_touched > 0 ? q->touched[0].reason : NONE;
		return;
	}
	if (m->n_runs + q->n_touched > m->max_runs) {
		m->max_runs = (m->n_runs + q->n_touched) / 2 * 3 + 64;
		m->runs = xrealloc(m->runs, m->max_runs, sizeof(*m->runs));
	}
	memcpy(m->runs + m->n_runs, q->touched, q->n_touched * sizeof(*m->runs));
	h->group = m->n_runs;
	h->reason = q->n_touched;
	m->n_runs += q->n_touched;
}

void
mirror_take(struct queue_mirror *m, const struct queue_reader *q)
{
	uint32_t at;
	struct held *h;

	if (!mirror_id_ok(q->id.s, q->id.len)) {
		m->odd = true;                 /* no id that Postfix makes: it could not be asked for again */
		return;
	}
	at = mirror_find(m, q->id.s, q->id.len);
	h = at != NONE ? &m->v[at] : held_add(m, q->id.s, q->id.len);
	if (h == NULL)
		return;
	if (h->many)
		m->lost_runs += h->reason;
	h->arrival = q->arrival > 0 && q->arrival < UINT32_MAX ? (uint32_t)q->arrival : 0;
	h->size = q->size < UINT32_MAX ? (uint32_t)q->size : UINT32_MAX;
	h->sender = q->sender_group;
	h->state = (uint8_t)q->where;
	runs_take(m, h, q);
}

void
mirror_sweep(struct queue_mirror *m)
{
	uint32_t i, k;

	for (i = k = 0; i < m->n; i++) {
		struct held *h = &m->v[i];

		if (!h->seen && (h->dir == DIRS_MAX || !m->dirs[h->dir].same)) {
			if (h->many)
				m->lost_runs += h->reason;
			continue;
		}
		h->seen = 0;
		if (k != i)
			m->v[k] = *h;
		k++;
	}
	if (k == m->n)
		return;
	m->n = k;
	slots_fill(m);
}

int64_t
queue_mirror_messages(const struct queue_mirror *m)
{
	return m->n;
}

int64_t
queue_mirror_bad_lines(const struct queue_mirror *m)
{
	return queue_reader_bad_lines(m->reader);
}

static size_t
texts_bytes(const struct texts *t)
{
	return t->held + t->n * sizeof(*t->v) + t->n_slots * sizeof(*t->slots);
}

size_t
queue_mirror_bytes(const struct queue_mirror *m)
{
	const struct sums *s = &m->reader->sums;

	return sizeof(*m) + m->max * sizeof(*m->v) + m->n_slots * sizeof(*m->slots) + m->max_runs * sizeof(*m->runs)
	    + texts_bytes(&s->keys) + texts_bytes(&s->reasons) + s->keys.n * sizeof(*s->tally) + s->n_seen * sizeof(*s->seen);
}

/* --- groups --- */

static const struct touch *
runs_of(const struct queue_mirror *m, const struct held *h, struct touch *one, uint32_t *n)
{
	*one = (struct touch){ h->group, h->reason, h->n };
	*n = h->many ? h->reason : h->n > 0 ? 1 : 0;
	return h->many ? m->runs + h->group : one;
}

/* Names of the mirror as groups of the sums: map has them by their number, as they are met. */
static uint32_t
mapped(const struct texts *names, uint32_t name, struct sums *s, uint32_t *map)
{
	if (map[name] == NONE)
		map[name] = sums_group(s, names->v[name].s, names->v[name].len);
	return map[name];
}

static uint32_t
group_for(const struct queue_mirror *m, enum queue_by by, const struct held *h, const struct touch *t, struct sums *s,
    uint32_t *map, uint32_t *reasons, uint32_t server)
{
	static const char no_reason[] = "(no reason yet)", no_sender[] = "(no sender)";
	const struct sums *have = &m->reader->sums;

	switch (by) {
	case QUEUE_BY_DESTINATION:
		return mapped(&have->keys, t->group, s, map);
	case QUEUE_BY_SENDER:
		return h->sender == NONE ? sums_group(s, no_sender, strlen(no_sender)) : mapped(&have->keys, h->sender, s, map);
	case QUEUE_BY_SERVER:
		return server;
	case QUEUE_BY_REASON:
		break;
	}
	return t->reason == NONE ? sums_group(s, no_reason, strlen(no_reason)) : mapped(&have->reasons, t->reason, s, reasons);
}

static uint32_t *
map_new(uint32_t n)
{
	uint32_t *map = xcalloc(n + 1u, sizeof(*map));

	memset(map, 0xff, n * sizeof(*map));
	return map;
}

void
queue_mirror_groups(struct queue_mirror *m, enum queue_by by, const char *server, struct queue_groups *out)
{
	const struct sums *have = &m->reader->sums;
	uint32_t *map = map_new(have->keys.n), *reasons = map_new(have->reasons.n), i, k, n, g, place = NONE;
	struct counted c = { .now = when_now() };
	struct sums s;

	sums_init(&s, by);
	s.reasons.max = UINT32_MAX - 1;        /* they were counted when they came */
	for (i = 0; i < have->reasons.n; i++)
		(void)sums_reason_folded(&s, have->reasons.v[i].s, have->reasons.v[i].len, have->reason[i].example,
		    strlen(have->reason[i].example));
	if (by == QUEUE_BY_SERVER)
		place = sums_group(&s, server != NULL ? server : "", server != NULL ? strlen(server) : 0);
	for (i = 0; i < m->n; i++) {
		const struct held *h = &m->v[i];
		struct touch one;
		const struct touch *t = runs_of(m, h, &one, &n);

		c.serial = i;
		c.arrival = h->arrival;
		c.size = h->size;
		c.retry = h->retry;
		c.state = (enum queue_state)h->state;
		for (k = 0; k < n; k++)
			if ((g = group_for(m, by, h, &t[k], &s, map, reasons, place)) != NONE)
				sums_count(&s, &c, g, t[k].reason, t[k].n);
	}
	sums_take(&s, out);
	sums_release(&s);
	free(map);
	free(reasons);
}

/* --- sets of messages --- */

void
queue_ids_release(struct queue_ids *ids)
{
	free(ids->v);
	*ids = (struct queue_ids){ NULL, 0 };
}

static bool
in_group(const struct queue_mirror *m, enum queue_by by, const struct held *h, uint32_t key, const char *text)
{
	struct touch one;
	uint32_t n, k;
	const struct touch *t = runs_of(m, h, &one, &n);

	if (by == QUEUE_BY_SENDER)
		return h->sender == key && (key != NONE || strcmp(text, "(no sender)") == 0);
	for (k = 0; k < n; k++)
		if (by == QUEUE_BY_DESTINATION ? t[k].group == key && key != NONE
		    : t[k].reason == key && (key != NONE || strcmp(text, "(no reason yet)") == 0))
			return true;
	return false;
}

static void
id_of(const struct held *h, struct queue_id *out)
{
	memcpy(out->id, h->id, ID_SIZE);
	out->arrival = h->arrival;
	out->state = (enum queue_state)h->state;
}

void
queue_mirror_each(struct queue_mirror *m, queue_each_fn *fn, void *arg)
{
	struct sums *s = &m->reader->sums;
	uint32_t i, k, n;

	for (i = 0; i < m->n; i++) {
		struct touch one;
		const struct touch *t = runs_of(m, &m->v[i], &one, &n);
		struct queue_id id;

		id_of(&m->v[i], &id);
		for (k = 0; k < n; k++)
			fn(arg, &id, s->keys.v[t[k].group].s, t[k].reason != NONE ? s->reasons.v[t[k].reason].s : NULL,
			    t[k].reason != NONE ? sums_failure(s, t[k].reason) : NULL);
	}
}

void
queue_mirror_ids(struct queue_mirror *m, enum queue_by by, const char *key, struct queue_ids *out)
{
	const struct texts *names = by == QUEUE_BY_REASON ? &m->reader->sums.reasons : &m->reader->sums.keys;
	uint32_t i, name = NONE;
	size_t max = 0;

	*out = (struct queue_ids){ NULL, 0 };
	for (i = 0; key != NULL && i < names->n && name == NONE; i++)
		if (strcmp(names->v[i].s, key) == 0)
			name = i;
	for (i = 0; i < m->n; i++) {
		const struct held *h = &m->v[i];

		if (key != NULL && by != QUEUE_BY_SERVER && !in_group(m, by, h, name, key))
			continue;
		if (out->n == max) {
			max = max > 0 ? max * 2 : 64;
			out->v = xrealloc(out->v, max, sizeof(*out->v));
		}
		id_of(h, &out->v[out->n++]);
	}
}

size_t
queue_mirror_still(struct queue_mirror *m, struct queue_ids *ids)
{
	size_t i, k;
	uint32_t at;

	for (i = k = 0; i < ids->n; i++) {
		at = mirror_find(m, ids->v[i].id, strlen(ids->v[i].id));
		if (at == NONE || (int64_t)m->v[at].arrival != ids->v[i].arrival)
			continue;
		ids->v[k] = ids->v[i];
		ids->v[k++].state = (enum queue_state)m->v[at].state;
	}
	i = ids->n - k;
	ids->n = k;
	return i;
}
