/* The wordings behind classify(): two tables, first fit wins, so specific rows come first. Words are lower case; `*` stands
 * for any text, `?` for one character, `^` in front anchors at the start of what the program says, `$` at its end. */
#ifndef MXSEAL_QUEUE_PATTERNS_H
#define MXSEAL_QUEUE_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

struct own_words {
	const char *system;       /* NULL: any */
	const char *words;
	const char *class_name;
};
struct reply_words {
	const char *system;
	const char *code;         /* prefix of the reply code ("454") or the enhanced code ("4.7.29"), NULL: any */
	const char *words;        /* NULL: any */
	const char *class_name;
};
/* What the mail system itself says, with the reply of the other side cut off; and that reply. Both end with a row without
 * class. */
extern const struct own_words own_table[];
extern const struct reply_words reply_table[];

/* text: lower case, terminated. */
bool words_fit(const char *text, size_t len, const char *words);

#endif
