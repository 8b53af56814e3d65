/* A look at a queue: what the host's script is asked, and what it says. All of it is text from outside: ids that are none are
 * passed over, an answer that was not asked for makes the look a full one. Fails only as the header says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mirror.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define FULL_EVERY_MS (3600 * 1000)
#define TIMES_EVERY 30           /* looks: the log is believed so often in between */
#define CLOCK_SLACK 2            /* seconds of the host's clock that a look goes back behind the last */
#define CLOCK_JUMP 5
#define WORD_BYTES 60000u        /* a word of a command may have 128 KiB on Linux, all of them together 2 MiB */
#define ASK_BYTES 900000u
#define ROUNDS 3
#define READ_FEW 2000            /* so many messages are always read one by one */
#define TEXTS_MAX (8u * 1024 * 1024)
#define DUP_FILTER 1000u         /* duplicate_filter_limit of showq(8), as it comes */

void
queue_words_release(struct queue_words *w)
{
	while (w->n > 0)
		free(w->v[--w->n]);
	free(w->v);
	*w = (struct queue_words){ NULL, 0 };
}

static void
word_add(struct queue_words *w, char *word)
{
	ARRAY_GROW(w->v, w->n);
	w->v[w->n++] = word;
}

/* --- messages that are read anew --- */

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

static struct item *
item_find(struct queue_mirror *m, const char *id, size_t len)
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
	struct item *it = item_find(m, id, len);
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

static const char *
text_keep(struct queue_mirror *m, const char *s, size_t len)
{
	if (m->texts.max == 0)
		texts_init(&m->texts, TEXTS_MAX, 1);
	return texts_keep(&m->texts, s, len);
}

static struct entry *
entry_add(struct queue_mirror *m, uint32_t *first, uint32_t *last, const char *address, size_t len)
{
	ARRAY_GROW(m->entries, m->n_entries);
	m->entries[m->n_entries] = (struct entry){ text_keep(m, address, len), NULL, NONE };
	if (*last != NONE)
		m->entries[*last].next = m->n_entries;
	else
		*first = m->n_entries;
	*last = m->n_entries;
	return &m->entries[m->n_entries++];
}

/* --- what the host says --- */

static enum queue_state
dir_state(const struct queue_mirror *m, uint16_t dir)
{
	const char *path = m->dirs[dir].path;
	size_t i, len = strcspn(path, "/");

	for (i = 0; i < QUEUE_STATES; i++)
		if (strlen(queue_state_names[i]) == len && memcmp(queue_state_names[i], path, len) == 0)
			return (enum queue_state)i;
	return QUEUE_INCOMING;               /* maildrop */
}

/* Numbers at the start of a text, blanks between; how many there were. */
static int
numbers(const char *s, int64_t *a, int64_t *b)
{
	char *end;

	*a = strtoll(s, &end, 10);
	if (end == s)
		return 0;
	if (*end == '.')
		end += strspn(end, ".0123456789");
	s = end;
	*b = strtoll(s, &end, 10);
	return end == s ? 1 : 2;
}

static bool
dir_ok(const char *path)
{
	static const char *const queues[] = { "active", "deferred", "hold", "incoming", "maildrop" };
	size_t i, len = strcspn(path, "/");

	if (strlen(path) > 60 || strspn(path, "/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != strlen(path))
		return false;
	for (i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
		if (strlen(queues[i]) == len && memcmp(queues[i], path, len) == 0)
			return true;
	return false;
}

/* The directories are few, and met one after the other in the order of the last look. */
static void
dir_heard(struct queue_mirror *m, const char *path, bool same)
{
	size_t i, k, guess = m->dir < m->n_dirs ? m->dir + 1u : 0;

	m->heard = IN_NOTHING;
	if (!dir_ok(path))
		return;
	for (k = 0; k < m->n_dirs; k++) {
		i = (guess + k) % m->n_dirs;
		if (strcmp(m->dirs[i].path, path) == 0)
			break;
	}
	if (k == m->n_dirs) {
		if (m->n_dirs == DIRS_MAX) {
			m->odd = true;
			return;
		}
		ARRAY_GROW(m->dirs, m->n_dirs);
		i = m->n_dirs++;
		m->dirs[i].path = xstrdup(path);
	}
	m->dirs[i].same = same;
	m->dir = (uint16_t)i;
	m->heard = same ? IN_NOTHING : IN_NAMES;
}

static void
section_heard(struct queue_mirror *m, const char *line)
{
	int64_t a = 0, b = 0;

	if (strncmp(line, "@queue ", 7) == 0) {
		if (numbers(line + 7, &a, &b) == 2 && b >= 0 && b < 16) {
			m->clock = a;
			m->depth = (unsigned)b;
		}
		m->heard = IN_NOTHING;
	} else if (strncmp(line, "@log ", 5) == 0) {
		(void)numbers(line + 5, &m->next_inode, &m->next_size);
		m->heard = IN_LOG;
	} else if (strncmp(line, "@dir ", 5) == 0) {
		dir_heard(m, line + 5, false);
	} else if (strncmp(line, "@same ", 6) == 0) {
		dir_heard(m, line + 6, true);
	} else if (strncmp(line, "@no ", 4) == 0) {
		snprintf(m->refused, sizeof(m->refused), "%.30s", line + 4);
		m->heard = IN_REST;
	} else if (strcmp(line, "@times") == 0) {
		m->heard = IN_TIMES;
	} else if (strcmp(line, "@envelopes") == 0) {
		m->heard = IN_ENVELOPES;
		m->item = NONE;
	} else if (strcmp(line, "@reasons") == 0) {
		m->heard = IN_REASONS;
	} else if (strcmp(line, "@json") == 0 && m->step == STEP_FULL) {
		m->heard = IN_JSON;
	} else if (strcmp(line, "@end") == 0) {
		m->ended = true;
		m->heard = IN_REST;
	}
}

/* "ID", "+ID", "ID SIZE TIME" of a file in the directory that is listed. */
static void
name_heard(struct queue_mirror *m, const char *line)
{
	bool tried = *line == '+';
	const char *id = line + tried;
	size_t len = strcspn(id, " ");
	int64_t size, mtime;
	enum queue_state state, was;
	uint32_t at;
	struct held *h;

	if (!mirror_id_ok(id, len))
		return;
	at = mirror_find(m, id, len);
	if (at == NONE) {
		if (m->n_items < QUEUE_MIRROR_MAX)
			(void)mirror_item_add(m, id, len, m->dir);
		return;
	}
	h = &m->v[at];
	state = dir_state(m, m->dir);
	was = (enum queue_state)h->state;
	/* what waits, or is only handed to the queue manager, keeps the reasons of its last attempt */
	if (was != state && !((was == QUEUE_DEFERRED || was == QUEUE_HOLD) && state != QUEUE_ACTIVE))
		h->moved = 1;
	h->state = (uint8_t)state;
	h->dir = m->dir;
	h->seen = 1;
	h->tried |= tried;
	if (state != QUEUE_DEFERRED)
		h->retry = 0;
	else if (id[len] == ' ' && numbers(id + len, &size, &mtime) == 2 && mtime > 0 && mtime < UINT32_MAX)
		h->retry = (uint32_t)mtime;
}

/* The message of a path "deferred/3/3ABC...", if it was asked for. */
static struct item *
item_of_path(struct queue_mirror *m, const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	return slash != NULL ? item_find(m, slash + 1, (size_t)(path + len - slash - 1)) : NULL;
}

static void
time_heard(struct queue_mirror *m, const char *line)
{
	struct item *it = item_of_path(m, line, strcspn(line, " "));

	if (it != NULL && numbers(line + strcspn(line, " "), &it->file_size, &it->mtime) == 2)
		it->there = true;
}

/* "Fri Nov 27 01:27:13 2026", in UTC; 0: it is none. */
static int64_t
date_of(const char *s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char month[4] = "";
	struct tm tm = { .tm_isdst = 0 };
	const char *at;

	if (sscanf(s, "%*3s %3s %d %d:%d:%d %d", month, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year) != 6
	    || strlen(month) != 3 || (at = strstr(months, month)) == NULL || (at - months) % 3 != 0)
		return 0;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	return tm.tm_year > 0 && tm.tm_year < 10000 ? (int64_t)timegm(&tm) : 0;
}

static void
envelope_heard(struct queue_mirror *m, const char *line, size_t len)
{
	static const char begin[] = "*** ENVELOPE RECORDS ", end[] = " ***";
	const size_t skip = sizeof(begin) - 1, tail = sizeof(end) - 1;
	struct item *it;
	int64_t size, more;

	if (strncmp(line, begin, skip) == 0) {
		m->item = NONE;
		if (len < skip + tail || strcmp(line + len - tail, end) != 0)
			return;
		it = item_of_path(m, line + skip, len - skip - tail);
		if (it == NULL || !it->ask_envelope || it->has_envelope) {
			m->odd = true;             /* nobody asked: some record has such a text in it */
			return;
		}
		it->has_envelope = true;
		m->item = (uint32_t)(it - m->items);
		return;
	}
	if (m->item == NONE)
		return;
	it = &m->items[m->item];
	if (strncmp(line, "message_size: ", 14) == 0) {
		if (it->size == 0 && numbers(line + 14, &size, &more) > 0 && size >= 0)
			it->size = size;
	} else if (strncmp(line, "message_arrival_time: ", 22) == 0) {
		if (it->arrival == 0)
			it->arrival = date_of(line + 22);
	} else if (strncmp(line, "sender: ", 8) == 0) {
		if (it->sender == NULL)
			it->sender = text_keep(m, line + 8, len - 8);
	} else if (strncmp(line, "recipient: ", 11) == 0) {
		(void)entry_add(m, &it->recipients, &it->last_recipient, line + 11, len - 11);
		it->n_recipients++;
	}
}

/* "PATH:recipient=..." and then "PATH:reason=...", as grep gives them out. */
static void
reason_heard(struct queue_mirror *m, const char *line, size_t len)
{
	const char *colon = strchr(line, ':'), *value;
	struct item *it;

	if (colon == NULL || (it = item_of_path(m, line, (size_t)(colon - line))) == NULL || !it->ask_reasons)
		return;
	value = colon + 1;
	if (strncmp(value, "recipient=", 10) == 0) {
		value += 10;
		(void)entry_add(m, &it->reasons, &it->last_reason, value, (size_t)(line + len - value));
		it->n_reasons++;
	} else if (strncmp(value, "reason=", 7) == 0 && it->last_reason != NONE && m->entries[it->last_reason].reason == NULL) {
		value += 7;
		m->entries[it->last_reason].reason = text_keep(m, value, (size_t)(line + len - value));
	}
}

static void
line_heard(struct queue_mirror *m, char *line, size_t len)
{
	uint32_t at;

	line[len] = '\0';
	len = strlen(line);              /* a zero byte ends it */
	if (*line == '@' && m->heard != IN_REST) {
		section_heard(m, line);
		return;
	}
	switch (m->heard) {
	case IN_LOG:
		if (mirror_id_ok(line, len) && (at = mirror_find(m, line, len)) != NONE)
			m->v[at].tried = 1;
		break;
	case IN_NAMES:
		name_heard(m, line);
		break;
	case IN_TIMES:
		time_heard(m, line);
		break;
	case IN_ENVELOPES:
		envelope_heard(m, line, len);
		break;
	case IN_REASONS:
		reason_heard(m, line, len);
		break;
	default:
		break;
	}
}

/* The listing up to the next line of ours; how much of mem that was. */
static size_t
listing_heard(struct queue_mirror *m, const char *mem, size_t len)
{
	const char *ours;

	if (m->listing && *mem == '@') {
		m->heard = IN_NOTHING;
		return 0;
	}
	ours = memmem(mem, len, "\n@", 2);
	if (ours != NULL)
		len = (size_t)(ours + 1 - mem);
	if (queue_reader_feed(m->reader, mem, len) == -1)
		m->over = true;
	m->listing = mem[len - 1] == '\n';
	return len;
}

int
queue_mirror_feed(struct queue_mirror *m, const char *mem, size_t len)
{
	const char *nl;
	size_t n;

	while (len > 0 && !m->over) {
		if (m->heard == IN_JSON) {
			n = listing_heard(m, mem, len);
			mem += n;
			len -= n;
			continue;
		}
		nl = memchr(mem, '\n', len);
		n = nl != NULL ? (size_t)(nl - mem) : len;
		if (n > sizeof(m->line) - 1 - m->line_len) {
			memcpy(m->line + m->line_len, mem, sizeof(m->line) - 1 - m->line_len);
			m->line_len = sizeof(m->line) - 1;
		} else {
			memcpy(m->line + m->line_len, mem, n);
			m->line_len += n;
		}
		if (nl == NULL)
			break;
		line_heard(m, m->line, m->line_len);
		m->line_len = 0;
		m->listing = true;
		mem += n + 1;
		len -= n + 1;
	}
	return m->over ? -1 : 0;
}

/* --- what is made of it --- */

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
	member_say(q, M_QUEUE, queue_state_names[dir_state(m, it->dir)]);
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
	if (!it->ask_envelope && it->n_reasons == 0 && m->v[it->held].n == 1 && dir_state(m, it->dir) == QUEUE_ACTIVE) {
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

/* Which messages must be read anew: known ones that were tried or moved; the new ones are items already. */
static void
items_collect(struct queue_mirror *m)
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
		word_add(w, str_take(word));
		str_init(word, 0);
	}
	str_addf(word, "%c%s", word->len == 0 ? kind : ',', path);
}

/* The next messages to ask for, as many as a command holds. False: none is left. */
static bool
items_ask(struct queue_mirror *m, struct queue_words *out)
{
	struct str times = STR_INIT, envelopes = STR_INIT, reasons = STR_INIT, path = STR_INIT;
	struct str *const all[] = { &times, &envelopes, &reasons };
	size_t i, bytes = 0;
	uint32_t k;

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
			word_add(out, str_take(all[i]));
		else
			str_release(all[i]);
	}
	str_release(&path);
	return bytes > 0;
}

/* Takes over what came; what must be asked once more stays, the others are dropped. */
static void
items_settle(struct queue_mirror *m)
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

/* --- the steps of a look --- */

static bool
full_is_due(const struct queue_mirror *m)
{
	return m->full_ms == 0 || m->now_ms - m->full_ms > FULL_EVERY_MS || (m->lost_runs > 100000 && m->lost_runs > m->n_runs / 2)
	    || m->reader->sums.keys.n > 2 * m->n + 200000 || m->reader->sums.reasons.n >= REASONS_MAX;
}

void
queue_mirror_begin(struct queue_mirror *m, int64_t now_ms, bool full)
{
	mirror_items_release(m);
	m->now_ms = now_ms > 0 ? now_ms : 1;
	m->look = (struct queue_look){ .full = full };
	m->step = STEP_IDLE;
	m->rounds = 0;
	m->reader->now = when_now();
	if (full || full_is_due(m))
		m->look.full = true;
}

static int
ask(struct queue_mirror *m, enum step step)
{
	m->step = step;
	m->heard = IN_NOTHING;
	m->ended = m->odd = m->over = false;
	m->listing = true;
	m->refused[0] = '\0';
	m->line_len = 0;
	m->item = NONE;
	m->dir = DIRS_MAX;
	return 1;
}

static int
ask_full(struct queue_mirror *m, struct queue_words *out)
{
	mirror_items_release(m);
	mirror_empty(m);
	m->full_ms = 0;
	m->looks = 0;
	m->look = (struct queue_look){ .full = true };
	word_add(out, xstrdup("full"));
	return ask(m, STEP_FULL);
}

static int
ask_look(struct queue_mirror *m, struct queue_words *out)
{
	size_t i;

	for (i = 0; i < m->n_dirs; i++)
		m->dirs[i].same = false;
	word_add(out, xstrdup("look"));
	word_add(out, xasprintf("%lld", (long long)(m->since - CLOCK_SLACK)));
	word_add(out, xasprintf("%lld", (long long)m->log_inode));
	word_add(out, xasprintf("%lld", (long long)m->log_size));
	word_add(out, xstrdup(++m->looks % TIMES_EVERY == 0 ? "all" : "log"));
	return ask(m, STEP_LOOK);
}

/* What the script said of itself: 0, or -1 with the sentence. */
static int
refusal(struct queue_mirror *m, struct err *e)
{
	if (strcmp(m->refused, "busy") == 0)
		return err_set(e, RC_LOCKED, "another one is reading that queue");
	if (m->refused[0] != '\0')
		return err_set(e, RC_NOTFOUND, "%s is missing for looks at what has changed", clean(m->refused));
	if (m->over || m->n >= QUEUE_MIRROR_MAX)
		return err_set(e, RC_LIMIT, "more than %d messages wait there", QUEUE_MIRROR_MAX);
	return 0;
}

static bool
clock_jumped(const struct queue_mirror *m)
{
	int64_t theirs = m->clock - m->since, ours = (m->now_ms - m->asked_ms) / 1000;

	return theirs < 0 || theirs - ours > CLOCK_JUMP || ours - theirs > CLOCK_JUMP;
}

static int
look_over(struct queue_mirror *m)
{
	mirror_items_release(m);
	m->look.messages = m->n;
	if (m->picker == NULL) {
		m->since = m->clock;
		m->asked_ms = m->now_ms;
		m->log_inode = m->next_inode;
		m->log_size = m->next_size;
	}
	m->step = STEP_DONE;
	return 0;
}

static int
ask_items(struct queue_mirror *m, struct queue_words *out)
{
	if (items_ask(m, out)) {
		char *first;

		word_add(out, xstrdup("read"));
		first = out->v[out->n - 1];
		memmove(out->v + 1, out->v, (out->n - 1) * sizeof(*out->v));
		out->v[0] = first;
		return ask(m, STEP_READ);
	}
	items_settle(m);
	if (m->n_items > 0 && ++m->rounds < ROUNDS)
		return ask_items(m, out);
	return look_over(m);
}

int
queue_mirror_ask(struct queue_mirror *m, struct queue_words *out, struct err *e)
{
	*out = (struct queue_words){ NULL, 0 };
	switch (m->step) {
	case STEP_IDLE:
		return m->look.full ? ask_full(m, out) : ask_look(m, out);
	case STEP_FULL:
	case STEP_LOOK:
		if (refusal(m, e) == -1)
			return -1;
		if (m->step == STEP_FULL && m->n == 0 && queue_mirror_bad_lines(m) > 0)
			return err_set(e, RC_PARSE, "what it says is no listing of a queue");
		if (m->step == STEP_FULL && (!m->ended || m->odd))
			return err_set(e, RC_PARSE, "what it says of its queue cannot be followed");
		if (m->step == STEP_LOOK && (!m->ended || m->odd || clock_jumped(m)))
			return ask_full(m, out);
		if (m->step == STEP_FULL) {
			m->full_ms = m->asked_ms = m->now_ms;
			m->since = m->clock;
		}
		mirror_sweep(m);
		items_collect(m);
		if (m->step == STEP_LOOK && m->n_items > READ_FEW && m->n_items > m->n / 5)
			return ask_full(m, out);
		return ask_items(m, out);
	case STEP_READ:
		if (refusal(m, e) == -1)
			return -1;
		if ((!m->ended || m->odd) && m->picker == NULL)
			return ask_full(m, out);
		return ask_items(m, out);
	case STEP_DONE:
		break;
	}
	return 0;
}

void
queue_mirror_looked(const struct queue_mirror *m, struct queue_look *out)
{
	*out = m->look;
}

/* --- single messages --- */

void
queue_mirror_pick(struct queue_mirror *m, const char *destination, size_t limit)
{
	struct queue_ids ids;
	size_t i;

	mirror_items_release(m);
	queue_reader_free(m->picker);
	m->picker = queue_reader_new(QUEUE_BY_DESTINATION, NULL, destination, limit);
	queue_mirror_ids(m, QUEUE_BY_DESTINATION, destination, &ids);
	for (i = 0; i < ids.n && i < limit; i++) {
		uint32_t at = mirror_find(m, ids.v[i].id, strlen(ids.v[i].id));

		if (at != NONE && m->v[at].dir != DIRS_MAX)
			mirror_item_add(m, ids.v[i].id, strlen(ids.v[i].id), m->v[at].dir)->held = at;
	}
	queue_ids_release(&ids);
	m->rounds = ROUNDS - 1;
	(void)ask(m, STEP_READ);
	m->ended = true;
}

void
queue_mirror_picked(struct queue_mirror *m, struct queue_messages *out)
{
	*out = (struct queue_messages){ NULL, 0 };
	if (m->picker == NULL)
		return;
	queue_reader_taken(m->picker, out);
	queue_reader_free(m->picker);
	m->picker = NULL;
}
