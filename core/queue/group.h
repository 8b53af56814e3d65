/* What a queue reader adds up in: a set of interned texts, and tallies beside it. Only for the files of this folder. */
#ifndef MXSEAL_QUEUE_GROUP_H
#define MXSEAL_QUEUE_GROUP_H

#include <stdint.h>
#include "mxseal/queue.h"

#define GROUPS_MAX (4u * 1024 * 1024)
#define REASONS_MAX (64u * 1024)      /* folded; what comes after them counts as "(other reasons)" */
#define PAIRS_MAX (8u * 1024 * 1024)
#define NONE UINT32_MAX

/* Texts in pieces of memory that never move; index by order of arrival. */
struct texts {
	struct text { const char *s; uint64_t hash; uint32_t len; } *v;
	uint32_t n, max, *slots, n_slots;
	char **blocks;
	size_t n_blocks, block, used, held;      /* bytes: of the last block, used of it, of all blocks */
	uint64_t seed;
};
void texts_init(struct texts *t, uint32_t max, uint64_t seed);
uint64_t texts_hash(const struct texts *t, const char *s, size_t len);
/* Index of the text, added when it is new; NONE over the ceiling. */
uint32_t texts_add(struct texts *t, const char *s, size_t len);
const char *texts_keep(struct texts *t, const char *s, size_t len);   /* a copy that lives as long as t */
void texts_release(struct texts *t);

struct tally {
	int64_t messages, recipients, bytes, oldest, deferred, last, last_deferred, next_retry;
	uint32_t states[QUEUE_STATES], ages[QUEUE_AGES];
};
struct reason { const char *example; const struct failure *failure; };

/* How many recipients of a group have a reason. */
struct pair { uint32_t group, reason; uint32_t n; };

struct sums {
	enum queue_by by;
	struct texts keys, reasons;
	struct tally *tally;          /* beside keys.v */
	struct reason *reason;        /* beside reasons.v */
	struct pair *pairs;
	uint32_t n_pairs, n_pair_slots;
	struct seen { uint64_t hash; uint32_t index; } *seen;      /* texts as they came in, newest per place: saves folding */
	uint32_t n_seen, missed;
	struct str fold;
	uint32_t other;               /* the reason "(other reasons)", NONE until needed */
};
void sums_init(struct sums *s, enum queue_by by);
uint32_t sums_group(struct sums *s, const char *key, size_t len);
uint32_t sums_reason(struct sums *s, const char *text, size_t len);
const struct failure *sums_failure(struct sums *s, uint32_t reason);
/* A message, or some recipients of it, counts in a group. serial: other for each message. */
struct counted { int64_t serial, arrival, size, retry, now; enum queue_state state; };
void sums_count(struct sums *s, const struct counted *c, uint32_t group, uint32_t reason, uint32_t n);
uint32_t sums_reason_folded(struct sums *s, const char *folded, size_t n, const char *text, size_t len);
void sums_pair(struct sums *s, uint32_t group, uint32_t reason, uint32_t n);
void sums_take(struct sums *s, struct queue_groups *out);
void sums_release(struct sums *s);

#endif
