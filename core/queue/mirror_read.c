/* A look at a queue, step by step: what the host's script is asked next. What it says is heard in mirror_hear.c; an answer that is
 * odd makes the look a full one. Fails only as the header says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define FULL_EVERY_MS (3600 * 1000)
#define TIMES_EVERY 30           /* looks: the log is believed so often in between */
#define CLOCK_SLACK 2            /* seconds of the host's clock that a look goes back behind the last */
#define CLOCK_JUMP 5
#define READ_FEW 2000            /* so many messages are always read one by one */

void
queue_words_release(struct queue_words *w)
{
	while (w->n > 0)
		free(w->v[--w->n]);
	free(w->v);
	*w = (struct queue_words){ NULL, 0 };
}

void
mirror_word_add(struct queue_words *w, char *word)
{
	ARRAY_GROW(w->v, w->n);
	w->v[w->n++] = word;
}

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
	mirror_word_add(out, xstrdup("full"));
	return ask(m, STEP_FULL);
}

static int
ask_look(struct queue_mirror *m, struct queue_words *out)
{
	size_t i;

	for (i = 0; i < m->n_dirs; i++)
		m->dirs[i].same = false;
	mirror_word_add(out, xstrdup("look"));
	mirror_word_add(out, xstrdup(m->place[0] != '\0' ? m->place : "-"));
	mirror_word_add(out, xasprintf("%lld", (long long)(m->since - CLOCK_SLACK)));
	mirror_word_add(out, xasprintf("%lld", (long long)m->log_inode));
	mirror_word_add(out, xasprintf("%lld", (long long)m->log_size));
	mirror_word_add(out, xstrdup(++m->looks % TIMES_EVERY == 0 ? "all" : "log"));
	return ask(m, STEP_LOOK);
}

/* What the script said of itself: 0, or -1 with the sentence. */
static int
refusal(struct queue_mirror *m, struct err *e)
{
	if (strcmp(m->refused, "busy") == 0)
		return err_set(e, RC_LOCKED, "another one is reading that queue");
	if (strcmp(m->refused, "listing") == 0)
		return err_set(e, RC_NOTFOUND, "the mail system could not list its queue");
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
	if (mirror_items_ask(m, out))
		return ask(m, STEP_READ);
	mirror_items_settle(m);
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
		mirror_items_collect(m);
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
