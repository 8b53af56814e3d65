/* Allocate or end: running out of memory ends the program in one place, with one sentence. */
#ifndef MXSEAL_XALLOC_H
#define MXSEAL_XALLOC_H

#include <stddef.h>

void *xcalloc(size_t n, size_t size);                 /* zeroed; n * size checked */
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);                         /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Replaces *field by a copy of value (which may be NULL), freeing what was there. */
void  xset(char **field, const char *value);

/* Makes room for one more element in an array that grows by doubling: ARRAY_GROW(list.v, list.n); list.v[list.n++] = x */
#define ARRAY_GROW(v, n) \
	do { \
		if (((n) & ((n) - 1)) == 0) \
			(v) = xrealloc((v), (n) ? (n) * 2 : 1, sizeof(*(v))); \
	} while (0)

#endif
