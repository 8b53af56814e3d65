/* A mirror of a queue from the inside: what is kept (mirror.c), what a look asks (mirror_read.c) and hears (mirror_hear.c), and the
 * messages that it reads anew (mirror_items.c). Only for the files of this folder. */
#ifndef MXSEAL_QUEUE_MIRROR_H
#define MXSEAL_QUEUE_MIRROR_H

#include "reader.h"

#define ID_SIZE 24
#define DIRS_MAX 65535u
#define PLACE_CHARS "+,-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz| "
#define ROUNDS 3                 /* a look asks at most so often for messages */

/* One message. With recipients of several groups or reasons, group is the first of its runs and reason their number. */
struct held {
	char id[ID_SIZE];
	uint32_t arrival, size, retry, sender, group, reason, n;
	uint16_t dir;                   /* index of dirs; DIRS_MAX: not yet known */
	uint8_t state;                  /* of enum queue_state */
	uint8_t many : 1, seen : 1, tried : 1, moved : 1;
};

enum heard { IN_NOTHING, IN_LOG, IN_NAMES, IN_LISTS, IN_TIMES, IN_ENVELOPES, IN_REASONS, IN_JSON, IN_REST };
enum step { STEP_IDLE, STEP_FULL, STEP_LOOK, STEP_READ, STEP_DONE };

/* A message that is read anew, and what was heard of it. */
struct item {
	char id[ID_SIZE];
	uint16_t dir;
	bool ask_envelope, ask_reasons, there, has_envelope, twice;
	uint32_t held;                  /* NONE: it is new */
	int64_t arrival, size, mtime, file_size;
	const char *sender;
	uint32_t recipients, last_recipient, n_recipients, reasons, last_reason, n_reasons;    /* into entries; NONE ended */
};
struct entry { const char *address, *reason; uint32_t next; };

struct queue_mirror {
	struct queue_reader *reader;    /* the tables of names and reasons; messages come from here */
	struct held *v;
	uint32_t n, max, *slots, n_slots;
	struct touch *runs;
	uint32_t n_runs, max_runs, lost_runs;
	struct { char *path; bool same; } *dirs;
	size_t n_dirs;
	bool over;

	/* what is known of the host since the last look; of this one, until it is over */
	int64_t since, log_inode, log_size, asked_ms, full_ms;
	int64_t clock, next_inode, next_size, now_ms;
	unsigned looks, depth;
	char place[512];                /* what the script said of it, to be said again */

	enum step step;
	enum heard heard;
	bool ended, odd, listing;
	char refused[32];
	uint16_t dir;                   /* whose names come */
	char line[8192];
	size_t line_len;
	bool line_cut;

	struct item *items;
	uint32_t n_items, *item_slots, n_item_slots, rounds;
	struct entry *entries;
	uint32_t n_entries;
	struct texts texts;             /* of entries */
	uint32_t item;                  /* the one whose envelope comes; NONE */
	struct queue_look look;

	struct queue_reader *picker;    /* messages in full words go here instead */
	size_t pick_limit;
};

/* --- mirror.c --- */
uint32_t mirror_find(const struct queue_mirror *m, const char *id, size_t len);    /* NONE: not there */
void mirror_empty(struct queue_mirror *m);
/* Takes out what was not seen in a directory that was listed, and puts the rest in order. */
void mirror_sweep(struct queue_mirror *m);
bool mirror_id_ok(const char *id, size_t len);
uint64_t mirror_hash(const char *id, size_t len);

/* --- mirror_items.c --- */
void mirror_items_release(struct queue_mirror *m);
struct item *mirror_item_add(struct queue_mirror *m, const char *id, size_t len, uint16_t dir);
struct item *mirror_item_find(struct queue_mirror *m, const char *id, size_t len);       /* NULL: none */
/* Texts of items live until these are released. */
const char *mirror_text_keep(struct queue_mirror *m, const char *s, size_t len);
struct entry *mirror_entry_add(struct queue_mirror *m, uint32_t *first, uint32_t *last, const char *address, size_t len);
/* Makes items of the known messages that must be read anew: they were tried or moved; the new ones are items already. */
void mirror_items_collect(struct queue_mirror *m);
/* Words that ask for the next items, as many as a command holds. False: none is left. */
bool mirror_items_ask(struct queue_mirror *m, struct queue_words *out);
/* Takes over what came; what must be asked once more stays, the others are dropped. */
void mirror_items_settle(struct queue_mirror *m);

/* --- mirror_hear.c: queue_mirror_feed, and --- */
enum queue_state mirror_dir_state(const struct queue_mirror *m, uint16_t dir);

/* --- mirror_read.c --- */
void mirror_word_add(struct queue_words *w, char *word);

#endif
