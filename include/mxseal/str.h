/* Growing text with a ceiling. The text is always terminated; it may hold any bytes, len counts them. What would grow over
 * the ceiling is not added and sets `over`: readers of foreign data look at it once at the end. Running out of memory ends
 * the program (xalloc.h). */
#ifndef MXSEAL_STR_H
#define MXSEAL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/err.h"

#define STR_CEILING (64u * 1024 * 1024)   /* where the user of a str says nothing */

struct str {
	char *s;          /* never NULL after str_init or STR_INIT */
	size_t len, cap;
	size_t ceiling;   /* 0: STR_CEILING */
	bool over;        /* something did not fit */
};

extern char str_nothing[];
#define STR_INIT { str_nothing, 0, 0, 0, false }

void  str_init(struct str *b, size_t ceiling);
void  str_add(struct str *b, const char *text);            /* text may be NULL: adds nothing */
void  str_addn(struct str *b, const void *mem, size_t len);
void  str_addc(struct str *b, char c);
void  str_add_word(struct str *b, const char *text);       /* as one word of a shell, quoted where it must be */
void  str_addf(struct str *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void  str_cut(struct str *b, size_t len);                  /* keeps the first len bytes */
void  str_reset(struct str *b);                            /* empty, memory kept */
char *str_take(struct str *b);                             /* gives the text away; b is empty afterwards */
void  str_release(struct str *b);
void  str_wipe(struct str *b);                             /* overwritten, then released: for secrets */

/* Reads a local file whole. RC_NOTFOUND when it is not there, RC_LIMIT over max bytes. */
int   str_read_file(struct str *out, const char *path, size_t max, struct err *e);
/* Writes a local file the careful way: new name with this mode from the first byte, flush, rename. Replaces files only, no
 * directories or devices. */
int   str_write_file(const char *path, const void *mem, size_t len, unsigned mode, struct err *e);
int   str_can_write_file(const char *path, struct err *e); /* before the work whose result goes there */

/* Small helpers on plain text. */
bool  text_eq(const char *a, const char *b);               /* NULL equals NULL only */
bool  text_ieq(const char *a, const char *b);
bool  text_starts(const char *s, const char *prefix);
bool  text_empty(const char *s);                           /* NULL or "" */
char *text_trim(char *s);                                  /* in place; returns the first non-blank */
/* Splits at any of the bytes in seps, dropping empty words. words (NULL-ended) and the text they point into are freed
 * together by words_free. */
char **words_split(const char *s, const char *seps, size_t *n);
void   words_free(char **words);

#endif
