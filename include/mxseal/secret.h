/* Text that is wiped when released, kept out of core dumps where the system lets us, and that no printer knows. */
#ifndef MXSEAL_SECRET_H
#define MXSEAL_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/err.h"

struct secret {
	char *mem;        /* terminated; NULL when unset */
	size_t len;
};

void secret_set(struct secret *s, const void *mem, size_t len);   /* copies; the old content is wiped */
void secret_copy(struct secret *to, const struct secret *from);
bool secret_is_set(const struct secret *s);
void secret_release(struct secret *s);
void secret_wipe(void *mem, size_t len);                          /* overwrites; the compiler may not drop it */
/* Reads a secret from a descriptor up to end of line or end of file, at most 1024 bytes. */
int  secret_read_fd(struct secret *out, int fd, struct err *e);
/* No core dumps, not traceable by others: called once at start. */
void secret_process_guard(void);

#endif
