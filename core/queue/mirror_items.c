/* Messages of a mirror that are read anew: which they are, where their files lie on the host, and what is made of what the host says
 * of them: the same as a listing would have shown. Cannot fail; what was not heard of is asked for once more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror.h"
#include "mxseal/xalloc.h"

#define WORD_BYTES 60000u        /* a word of a command may have 128 KiB on Linux, all of them together 2 MiB */
#define ASK_BYTES 900000u
#define TEXTS_MAX (8u * 1024 * 1024)
#define DUP_FILTER 1000u         /* duplicate_filter_limit of showq(8), as it comes */

void
mirror_items_release(struct queue_mirror *m)
{
	free(m->items);
	free(m->item_slots);
	free(m->entries);
	texts_release(&m->texts);
	m->items = NULL;
	m->item_slots = NULL;
	m->entries = NULL;
	m->n_items = m->n_item_slots = m->n_entries = 0;
}

struct item *
mirror_item_find(struct queue_mirror *m, const char *id, size_t len)
{
	uint32_t at;

	if (m->n_item_slots == 0 || len >= ID_SIZE)
		return NULL;
	for (at = (uint32_t)mirror_hash(id, len) & (m->n_item_slots - 1); m->item_slots[at] != 0; at = (at + 1) & (m->n_item_slots - 1)) {
		struct item *it = &m->items[m->item_slots[at] - 1];

		if (memcmp(it->id, id, len) == 0 && it->id[len] == '\0')
			return it;
	}
	return NULL;
}

struct item *
mirror_item_add(struct queue_mirror *m, const char *id, size_t len, uint16_t dir)
{
	struct item *it = mirror_item_find(m, id, len);
	uint32_t i, at;

	if (it != NULL) {
		it->dir = dir;
		return it;
	}
	if (m->n_items * 2 >= m->n_item_slots) {
		free(m->item_slots);
		m->n_item_slots = m->n_item_slots > 0 ? m->n_item_slots * 4 : 256;
		m->item_slots = xcalloc(m->n_item_slots, sizeof(*m->item_slots));
		m->items = xrealloc(m->items, m->n_item_slots / 2 + 1, sizeof(*m->items));
		for (i = 0; i < m->n_items; i++) {
			at = (uint32_t)mirror_hash(m->items[i].id, strlen(m->items[i].id)) & (m->n_item_slots - 1);
			while (m->item_slots[at] != 0)
				at = (at + 1) & (m->n_item_slots - 1);
			m->item_slots[at] = i + 1;
		}
	}
	at = (uint32_t)mirror_hash(id, len) & (m->n_item_slots - 1);
	while (m->item_slots[at] != 0)
		at = (at + 1) & (m->n_item_slots - 1);
	it = &m->items[m->n_items++];
	*it = (struct item){ .dir = dir, .held = NONE, .recipients = NONE, .last_recipient = NONE, .reasons = NONE,
	    .last_reason = NONE, .ask_envelope = true, .ask_reasons = true };
	memcpy(it->id, id, len);
	m->item_slots[at] = m->n_items;
	return it;
}

const char *
mirror_text_keep(struct queue_mirror *m, const char *s, size_t len)
{
	if (m->texts.max == 0)
		texts_init(&m->texts, TEXTS_MAX, 1);
	return texts_keep(&m->texts, s, len);
}

struct entry *
mirror_entry_add(struct queue_mirror *m, uint32_t *first, uint32_t *last, const char *address, size_t len)
{
	ARRAY_GROW(m->entries, m->n_entries);
	m->entries[m->n_entries] = (struct entry){ mirror_text_keep(m, address, len), NULL, NONE };
	if (*last != NONE)
		m->entries[*last].next = m->n_entries;
	else
		*first = m->n_entries;
	*last = m->n_entries;
	return &m->entries[m->n_entries++];
}

/* --- what is made of what was heard --- */

/* An address of an envelope as a listing shows it: quoted as in a header (quote_822_local), and nothing in it that is not to be
 * printed. */
static void
address_shown(const char *raw, struct str *out)
{
	const char *at = strrchr(raw, '@'), *end = at != NULL ? at : raw + strlen(raw), *p;
	bool plain = end > raw && *raw != '.' && end[-1] != '.';

	str_reset(out);
	if (*raw == '\0') {
		str_add(out, "MAILER-DAEMON");
		return;
	}
	for (p = raw; p < end && plain; p++)
		plain = (unsigned char)*p > ' ' && *p != 0x7f && strchr("()<>@,;:\\\"[]", *p) == NULL && !(*p == '.' && p[1] == '.');
	if (!plain)
		str_addc(out, '"');
	for (p = raw; *p != '\0'; p++) {
		if (p == end && !plain)
			str_addc(out, '"');
		if (!plain && p < end && (*p == '"' || *p == '\\' || *p == '\r'))
			str_addc(out, '\\');
		str_addc(out, (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p);
	}
	if (!plain && at == NULL)
		str_addc(out, '"');
}

static void
recipient_say(struct queue_reader *q, const char *address, const char *reason)
{
	recipient_begin(q);
	member_say(q, M_ADDRESS, *address != '\0' ? address : "MAILER-DAEMON");
	if (reason != NULL)
		member_say(q, M_REASON, reason);
	recipient_end(q);
}

/* Those of the envelope that no reason was told of, as showq(8) finds them. */
static void
rest_say(struct queue_mirror *m, struct queue_reader *q, const struct item *it)
{
	struct str shown = STR_INIT;
	struct texts told;
	uint32_t i, before;

	texts_init(&told, DUP_FILTER, 1);
	for (i = it->reasons; i != NONE; i = m->entries[i].next)
		(void)texts_add(&told, m->entries[i].address, strlen(m->entries[i].address));
	told.max = told.n;                   /* from here on it only tells whether it has one */
	for (i = it->recipients; i != NONE; i = m->entries[i].next) {
		address_shown(m->entries[i].address, &shown);
		before = texts_add(&told, shown.s, shown.len);
		if (before == NONE)
			recipient_say(q, shown.s, NULL);
	}
	texts_release(&told);
	str_release(&shown);
}

static void
message_say(struct queue_mirror *m, struct queue_reader *q, const struct item *it)
{
	const struct held *h = it->held != NONE ? &m->v[it->held] : NULL;
	struct str sender = STR_INIT;
	uint32_t i;

	message_begin(q);
	member_say(q, M_ID, it->id);
	member_say(q, M_QUEUE, queue_state_names[mirror_dir_state(m, it->dir)]);
	if (it->has_envelope) {
		q->arrival = it->arrival > 0 ? it->arrival : it->mtime;
		q->size = it->size > 0 ? it->size : it->file_size;      /* what was just handed in has no size of its own yet */
		address_shown(it->sender != NULL ? it->sender : "", &sender);
		member_say(q, M_SENDER, sender.s);
	} else {
		q->arrival = h->arrival;
		q->size = h->size;
		q->sender_group = h->sender;
	}
	for (i = it->reasons; i != NONE; i = m->entries[i].next)
		recipient_say(q, m->entries[i].address, m->entries[i].reason != NULL ? m->entries[i].reason : "(description unavailable)");
	if (it->has_envelope)
		rest_say(m, q, it);
	message_end(q);
	str_release(&sender);
}

/* Takes over what was heard of an item. True: it must be asked for once more. */
static bool
item_settle(struct queue_mirror *m, struct item *it)
{
	struct held *h;
	uint32_t at;

	if (!it->there)
		return false;                /* gone, or elsewhere: the next look will see */
	if (it->ask_envelope && !it->has_envelope)
		return true;
	/* a new attempt forgets why the last failed */
	if (!it->ask_envelope && it->n_reasons == 0 && m->v[it->held].n == 1 && mirror_dir_state(m, it->dir) == QUEUE_ACTIVE) {
		m->v[it->held].reason = NONE;
		return false;
	}
	if (!it->ask_envelope && it->n_reasons != m->v[it->held].n) {
		it->ask_envelope = true;     /* some recipients were served, or not yet tried */
		it->reasons = it->last_reason = NONE;
		it->n_reasons = 0;
		it->there = false;
		return true;
	}
	if (it->has_envelope && it->sender == NULL)
		return false;                /* no message yet, and postqueue shows none */
	message_say(m, m->picker != NULL ? m->picker : m->reader, it);
	m->look.read++;
	if (m->picker != NULL || (at = mirror_find(m, it->id, strlen(it->id))) == NONE)
		return false;
	h = &m->v[at];
	h->dir = it->dir;
	h->retry = h->state == QUEUE_DEFERRED && it->mtime > 0 && it->mtime < UINT32_MAX ? (uint32_t)it->mtime : 0;
	return false;
}

void
mirror_items_collect(struct queue_mirror *m)
{
	struct item *it;
	uint32_t i;

	for (i = 0; i < m->n; i++) {
		struct held *h = &m->v[i];
		/* some recipients of one that is being delivered may be done with */
		bool partly = h->state == QUEUE_ACTIVE && (h->many || h->n > 1), read = partly || h->moved || h->tried;

		h->moved = h->tried = 0;
		if (!read)
			continue;
		it = mirror_item_add(m, h->id, strlen(h->id), h->dir);
		it->held = i;
		it->ask_envelope = partly || h->n == 0;
	}
}

/* Where the reasons of a message are: by the first letters of its id, of a long id by its microseconds (mail_queue_dir). */
static void
defer_path(const struct queue_mirror *m, const char *id, struct str *out)
{
	static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
	const char *z = strrchr(id, 'z'), *from = id, *at;
	char usec[16];
	unsigned value = 0, i;

	if (z != NULL && z - id >= 10) {
		for (i = 4; i > 0; i--)
			value = value * 52 + ((at = strchr(digits, z[-(int)i])) != NULL ? (unsigned)(at - digits) : 0);
		snprintf(usec, sizeof(usec), "%05X", value);
		from = usec;
	}
	str_add(out, "defer/");
	for (i = 0; i < m->depth && from[i] != '\0'; i++)
		str_addf(out, "%c/", from[i]);
	str_add(out, id);
}

/* kind: t times, e envelopes, o envelopes with a process each, r reasons. */
static void
path_add(struct queue_words *w, struct str *word, char kind, const char *path)
{
	if (word->len > WORD_BYTES) {
		mirror_word_add(w, str_take(word));
		str_init(word, 0);
	}
	str_addf(word, "%c%s", word->len == 0 ? kind : ',', path);
}

bool
mirror_items_ask(struct queue_mirror *m, struct queue_words *out)
{
	struct str times = STR_INIT, envelopes = STR_INIT, reasons = STR_INIT, path = STR_INIT;
	struct str *const all[] = { &times, &envelopes, &reasons };
	size_t i, bytes = 0;
	uint32_t k;

	mirror_word_add(out, xstrdup("read"));
	mirror_word_add(out, xstrdup(m->place[0] != '\0' ? m->place : "-"));
	for (k = 0; k < m->n_items && bytes < ASK_BYTES; k++) {
		struct item *it = &m->items[k];

		if (it->there || it->twice)
			continue;
		it->twice = true;            /* asked for in this round */
		str_reset(&path);
		str_addf(&path, "%s/%s", m->dirs[it->dir].path, it->id);
		path_add(out, &times, 't', path.s);
		bytes += path.len;
		if (it->ask_envelope) {
			/* in the last round: postcat ends at a file that is broken, and the others must not wait for it */
			path_add(out, &envelopes, m->rounds + 1 == ROUNDS && m->picker == NULL ? 'o' : 'e', path.s);
			bytes += path.len;
		}
		str_reset(&path);
		defer_path(m, it->id, &path);
		path_add(out, &reasons, 'r', path.s);
		bytes += path.len;
	}
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->len > 0)
			mirror_word_add(out, str_take(all[i]));
		else
			str_release(all[i]);
	}
	str_release(&path);
	if (bytes == 0)
		queue_words_release(out);
	return bytes > 0;
}

void
mirror_items_settle(struct queue_mirror *m)
{
	struct item *again = NULL;
	uint32_t i, n = 0;

	for (i = 0; i < m->n_items; i++)
		if (item_settle(m, &m->items[i])) {
			ARRAY_GROW(again, n);
			again[n++] = m->items[i];
		}
	m->look.unread = n;
	mirror_items_release(m);
	for (i = 0; i < n; i++) {
		struct item *it = mirror_item_add(m, again[i].id, strlen(again[i].id), again[i].dir);

		it->held = again[i].held;
	}
	free(again);
}
