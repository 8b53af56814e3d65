/* What is remembered of a log while it passes: processes, peers, messages. Each table has its ceiling, so that no log, however
 * long, takes more memory than they do together: about 60 MB. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/xalloc.h"

#define FEW 64               /* a peer of so many messages is never folded */

/* FNV-1a, stirred at the end: texts that count upwards would stand close together. */
uint64_t
log_hash(uint64_t h, const char *text, size_t len)
{
	size_t i;

	h = h == 0 ? UINT64_C(14695981039346656037) : h * UINT64_C(1099511628211);
	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(1099511628211);
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	return h + (h == 0);
}

struct session *
session_of(struct tables *t, uint64_t key)
{
	struct session *set = t->sessions[key % SESSIONS_SETS], *oldest = set;
	size_t i;

	for (i = 0; i < SESSIONS_WAYS; i++) {
		if (set[i].key == key) {
			set[i].used = ++t->tick;
			return &set[i];
		}
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	*oldest = (struct session){ .key = key, .used = ++t->tick, .tls = -1 };
	return oldest;
}

void
session_end(struct session *s)
{
	*s = (struct session){ .key = 0 };
}

/* --- peers --- */

unsigned
service_of(struct tables *t, const char *name, size_t len)
{
	unsigned i;

	for (i = 0; i < t->n_services && (strncmp(t->services[i].name, name, len) != 0 || t->services[i].name[len] != '\0'); i++)
		;
	if (i < t->n_services)
		return i;
	if (t->n_services > SERVICES_MAX)
		return SERVICES_MAX;
	t->services[i].name = i < SERVICES_MAX ? xstrndup(name, len) : xstrdup(MAILLOG_OTHERS);
	t->n_services++;
	return i;
}

static struct peer **
peer_place(struct tables *t, bool in, unsigned service, const char *name, size_t len)
{
	struct peer **p = &t->peers[(log_hash(0, name, len) >> 8) % PEERS_BUCKETS];

	while (*p != NULL && ((*p)->in != in || (*p)->service != service || strncmp((*p)->name, name, len) != 0 || (*p)->name[len] != '\0'))
		p = &(*p)->next;
	return p;
}

static struct peer *
peer_add(struct tables *t, struct peer **place, bool in, unsigned service, const char *name, size_t len)
{
	struct peer *p = xcalloc(1, sizeof(*p));

	p->in = in;
	p->service = service;
	p->name = xstrndup(name, len);
	p->oldest = p->newest = -1;
	t->n_peers++;
	return *place = p;
}

static struct peer *
others(struct tables *t, bool in, unsigned service)
{
	struct peer **place = peer_place(t, in, service, MAILLOG_OTHERS, strlen(MAILLOG_OTHERS));

	return *place != NULL ? *place : peer_add(t, place, in, service, MAILLOG_OTHERS, strlen(MAILLOG_OTHERS));
}

static size_t
weight(const struct peer *p)
{
	int64_t all = p->messages + p->waiting + p->failed;

	return all < FEW && strcmp(p->name, MAILLOG_OTHERS) != 0 ? (size_t)all : FEW;
}

static void
peer_join(struct peer *to, const struct peer *p)
{
	to->messages += p->messages;
	to->clear += p->clear;
	to->unnamed += p->unnamed;
	to->failed += p->failed;
	to->waiting += p->waiting;
	if (p->oldest >= 0 && (to->oldest < 0 || p->oldest < to->oldest))
		to->oldest = p->oldest;
	if (p->newest > to->newest)
		to->newest = p->newest;
	if (p->last_at > to->last_at)
		to->last_at = p->last_at;
}

/* Those with at most so many messages become one, for each direction and service. */
static void
fold(struct tables *t, size_t most)
{
	struct peer **p, *gone;
	struct session *s = t->sessions[0];
	size_t i;

	for (i = 0; i < SESSIONS_SETS * SESSIONS_WAYS; i++)
		if (s[i].peer != NULL && weight(s[i].peer) <= most)
			s[i].peer = NULL;
	for (i = 0; i < PEERS_BUCKETS; i++)
		for (p = &t->peers[i]; (gone = *p) != NULL; ) {
			if (weight(gone) > most) {
				p = &gone->next;
				continue;
			}
			*p = gone->next;
			peer_join(others(t, gone->in, gone->service), gone);
			free(gone->name);
			free(gone);
			t->n_peers--;
		}
}

/* Room for new ones: about half of the peers go, those with the fewest messages. */
static void
peers_make_room(struct tables *t)
{
	size_t of[FEW + 1] = { 0 }, i, most, going;
	const struct peer *p;

	for (i = 0; i < PEERS_BUCKETS; i++)
		for (p = t->peers[i]; p != NULL; p = p->next)
			of[weight(p)]++;
	for (most = 0, going = of[0]; going < PEERS_MAX / 2 && most + 1 < FEW; going += of[++most])
		;
	t->folded = true;
	fold(t, most);
}

struct peer *
peer_of(struct tables *t, bool in, unsigned service, const char *name, size_t len)
{
	struct peer **place = peer_place(t, in, service, name, len);

	if (*place != NULL)
		return *place;
	if (t->n_peers >= PEERS_MAX) {
		peers_make_room(t);
		if (t->n_peers >= PEERS_MAX)     /* all of them have many */
			return others(t, in, service);
		place = peer_place(t, in, service, name, len);
	}
	return peer_add(t, place, in, service, name, len);
}

/* --- messages by domain --- */

static uint64_t *
pair_place(uint64_t *v, size_t places, uint64_t key)
{
	size_t i;

	for (i = (size_t)(key >> 1) & (places - 1); v[i] != 0 && (v[i] | PAIR_DONE) != (key | PAIR_DONE); i = (i + 1) & (places - 1))
		;
	return &v[i];
}

/* The young table, twice as wide. */
static void
pairs_widen(struct fates *p)
{
	size_t places = p->places > 0 ? p->places * 2 : 1024, i;
	uint64_t *v = xcalloc(places, sizeof(*v));

	for (i = 0; i < p->places; i++)
		if (p->young[i] != 0)
			*pair_place(v, places, p->young[i]) = p->young[i];
	free(p->young);
	p->young = v;
	p->places = places;
}

/* Is it in the elder table only, and has not got there? */
static bool
still_waits(const struct fates *p, uint64_t key)
{
	return key != 0 && (key & PAIR_DONE) == 0 && *pair_place(p->young, p->places, key) == 0;
}

/* The young table becomes the elder one. Of too many that wait only some are taken along, spread over the table as all are. */
static void
pairs_grow_old(struct fates *p)
{
	uint64_t *fresh = xcalloc(p->places, sizeof(*fresh));
	size_t i, n = 0, every;

	for (i = 0; p->elder != NULL && i < p->places; i++)
		n += still_waits(p, p->elder[i]);
	every = n / (p->places / 4) + 1;
	p->lost = p->lost || every > 1;
	for (i = n = 0; p->elder != NULL && i < p->places; i++)
		if (still_waits(p, p->elder[i]) && (p->elder[i] >> 40) % every == 0) {
			*pair_place(fresh, p->places, p->elder[i]) = p->elder[i];
			n++;
		}
	free(p->elder);
	p->elder = p->young;
	p->young = fresh;
	p->n = n;
}

uint64_t *
pair_of(struct fates *p, uint64_t key, bool *fresh)
{
	uint64_t *place, *old = NULL;

	key = (key & ~PAIR_DONE) | (key < 2 ? 2 : 0);
	if (p->n >= p->places / 4 * 3) {
		if (p->places < PAIRS_MAX)
			pairs_widen(p);
		else
			pairs_grow_old(p);
	}
	place = pair_place(p->young, p->places, key);
	if (*place == 0 && p->elder != NULL)
		old = pair_place(p->elder, p->places, key);
	*fresh = *place == 0 && (old == NULL || *old == 0);
	if (*place == 0) {
		*place = *fresh ? key : *old;
		p->n++;
	}
	return place;
}

void
tables_release(struct tables *t)
{
	struct peer *p;
	size_t i;

	for (i = 0; i < PEERS_BUCKETS; i++)
		while ((p = t->peers[i]) != NULL) {
			t->peers[i] = p->next;
			free(p->name);
			free(p);
		}
	for (i = 0; i < t->n_services; i++)
		free(t->services[i].name);
	free(t->pairs.young);
	free(t->pairs.elder);
}
