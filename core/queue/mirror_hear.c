/* What the host's script says of a queue (core/mailsys/postfix_queue.sh), line by line, as it comes. All of it is text from outside:
 * ids that are none are passed over, an answer that was not asked for is noted as odd. Fails only over the ceiling. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mirror.h"
#include "mxseal/xalloc.h"

enum queue_state
mirror_dir_state(const struct queue_mirror *m, uint16_t dir)
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
	} else if (strncmp(line, "@place ", 7) == 0) {
		bool fits = strlen(line + 7) < sizeof(m->place) && strspn(line + 7, PLACE_CHARS) == strlen(line + 7);

		snprintf(m->place, sizeof(m->place), "%s", fits ? line + 7 : "");
	} else if (strcmp(line, "@lists") == 0) {
		m->dir = DIRS_MAX;
		m->heard = IN_LISTS;
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
	state = mirror_dir_state(m, m->dir);
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

/* "deferred/3:" and then names, as ls gives them out. */
static void
list_heard(struct queue_mirror *m, char *line, size_t len)
{
	if (len > 1 && line[len - 1] == ':') {
		line[len - 1] = '\0';
		dir_heard(m, line, false);
		m->dir = m->heard == IN_NAMES ? m->dir : DIRS_MAX;
		m->heard = IN_LISTS;
	} else if (m->dir != DIRS_MAX) {
		name_heard(m, line);
	}
}

/* The message of a path "deferred/3/3ABC...", if it was asked for. */
static struct item *
item_of_path(struct queue_mirror *m, const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	return slash != NULL ? mirror_item_find(m, slash + 1, (size_t)(path + len - slash - 1)) : NULL;
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
			it->sender = mirror_text_keep(m, line + 8, len - 8);
	} else if (strncmp(line, "recipient: ", 11) == 0) {
		(void)mirror_entry_add(m, &it->recipients, &it->last_recipient, line + 11, len - 11);
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
		(void)mirror_entry_add(m, &it->reasons, &it->last_reason, value, (size_t)(line + len - value));
		it->n_reasons++;
	} else if (strncmp(value, "reason=", 7) == 0 && it->last_reason != NONE && m->entries[it->last_reason].reason == NULL) {
		value += 7;
		m->entries[it->last_reason].reason = mirror_text_keep(m, value, (size_t)(line + len - value));
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
	case IN_LISTS:
		list_heard(m, line, len);
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
