/* Foreign text made safe to show. Control characters (C0, DEL, C1), bidirectional controls, zero-width and line separator
 * characters and bytes that are not UTF-8 become visible marks such as <1B> or <U+202E>. Everything that came from a host,
 * a peer, a certificate or a file goes through here before it meets a terminal, a log or an error sentence; the console's
 * only drawing function and the printers of the command line do it by themselves. */
#ifndef MXSEAL_CLEAN_H
#define MXSEAL_CLEAN_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/str.h"

#define CLEAN_MAX 320   /* bytes that clean() shows of one piece */

/* Appends the cleaned form of mem. Newlines become <0A> unless keep_newlines. */
void clean_text(struct str *out, const char *mem, size_t len, bool keep_newlines);
/* For one argument of err_set: a cleaned copy of at most CLEAN_MAX bytes in one of eight per-thread buffers, valid until
 * eight calls later in the same thread. NULL gives "-". */
const char *clean(const char *text);
/* The cleaned text as far as it fits, never ending within a character. NULL gives "". */
void clean_fit(char *to, size_t size, const char *text);
/* True when the text has nothing to clean. */
bool clean_is(const char *mem, size_t len);
/* Columns on a terminal of cleaned UTF-8 text. */
int  clean_width(const char *text);

#endif
