/* Editing main.cf and master.cf as text: what is not meant to change keeps every byte, comments too. Both files have
 * the same logical lines: a line that starts with white space continues the one before; comments and blank lines may
 * stand between (postconf(5), master(5)). Private to this folder. */
#ifndef MXSEAL_CF_H
#define MXSEAL_CF_H

#include <stdbool.h>
#include <stddef.h>
#include "mxseal/err.h"
#include "mxseal/str.h"

#define CF_MAX (1024 * 1024)      /* a configuration file over this is refused */

/* --- cf_lines.c: logical lines and where their bytes are --- */

struct cf_piece { size_t at, len, joined; };   /* offset and length in the file; offset in the joined text */
struct cf_line {
	struct cf_piece *pieces; size_t n;
	char *joined; size_t len;                /* the logical line without newlines, terminated */
	size_t number;                           /* of its first line in the file, from 1 */
	bool orphan;                             /* starts with white space and continues nothing: Postfix ignores it */
};
struct cf_text { struct str text; struct cf_line *lines; size_t n; };

/* file: for messages. RC_PARSE for a NUL byte, RC_LIMIT over CF_MAX. */
int  cf_read(struct cf_text *out, const char *mem, size_t len, const char *file, struct err *e);
void cf_release(struct cf_text *t);
/* Replaces joined bytes from..to of a line by text. Lines of the file that become blank by it go. All lines are read
 * anew: pointers into t are no longer valid. */
void cf_replace(struct cf_text *t, size_t line, size_t from, size_t to, const char *text);
/* Puts text in at an offset of the file. Lines are read anew. */
void cf_insert(struct cf_text *t, size_t at, const char *text);
/* Removes whole lines of a logical line; comments between them stay. */
void cf_remove_line(struct cf_text *t, size_t line);
/* Offset in the file just after the joined byte before `joined` (of the line's start when joined is 0). */
size_t cf_after(const struct cf_line *l, size_t joined);
bool cf_blank(char c);            /* white space as Postfix sees it */

/* --- main_cf.c --- */

struct main_entry { char *name, *value; size_t line, from, to; size_t equals; };
struct main_cf { struct cf_text t; struct main_entry *v; size_t n; };

/* The comment that our own lines stand under. */
#define MAIN_CF_MARK "# Written by mxseal; \"mxseal undo\" puts the former state back."

int  main_cf_read(struct main_cf *out, const char *mem, size_t len, struct err *e);   /* RC_PARSE where Postfix would stop */
void main_cf_release(struct main_cf *m);
const char *main_cf_get(const struct main_cf *m, const char *name);      /* the last assignment; NULL: none */
/* In place where it is assigned (the last one, which counts), else under our comment at the end. RC_INVALID for a name
 * or value that would not stay one value. */
int  main_cf_set(struct main_cf *m, const char *name, const char *value, struct err *e);
void main_cf_remove(struct main_cf *m, const char *name);                /* every assignment of it */
/* Does the assignment that counts stand under our comment? */
bool main_cf_is_ours(const struct main_cf *m, const char *name);
void main_cf_remove_ours(struct main_cf *m, const char *name);           /* only where it stands under our comment */
/* A list of maps: ours is the element that starts with prefix and ends in suffix. put: replaces it where it is, or goes
 * in front; drop: takes it out so that the rest is as it was before put. */
int  main_cf_list_put(struct main_cf *m, const char *name, const char *prefix, const char *suffix, const char *item,
        struct err *e);
void main_cf_list_drop(struct main_cf *m, const char *name, const char *prefix, const char *suffix);
/* Lends the element of ours as start and length in value; -1: none. */
long list_find(const char *value, const char *prefix, const char *suffix, size_t *len);

/* --- master_cf.c --- */

struct master_option { char *name, *value; size_t flag, flag_end, from, to; };   /* -o and its setting, joined offsets */
enum { MASTER_PRIVATE, MASTER_UNPRIV, MASTER_CHROOT, MASTER_WAKEUP, MASTER_MAXPROC, MASTER_COLUMNS };
struct master_service {
	char *name, *type, *command;
	char *column[MASTER_COLUMNS];            /* what stands between type and command */
	size_t line, command_end;
	struct master_option *v; size_t n;
};
struct master_cf { struct cf_text t; struct master_service *v; size_t n; };

int  master_cf_read(struct master_cf *out, const char *mem, size_t len, struct err *e);
void master_cf_release(struct master_cf *m);
const struct master_service *master_cf_find(const struct master_cf *m, const char *name, const char *type);
/* The last -o of this name; NULL: none. */
const char *master_cf_option(const struct master_service *s, const char *param);
/* -o param=value of one service: in place, else a line of its own behind its last option. */
int  master_cf_set(struct master_cf *m, const char *name, const char *type, const char *param, const char *value,
        struct err *e);
void master_cf_unset(struct master_cf *m, const char *name, const char *type, const char *param);
/* After the text was changed: the services anew. */
int  master_cf_again(struct master_cf *m, struct err *e);

/* --- master_services.c: whole services; each edit and the reverse one give the same bytes --- */

/* In front of a service that we added, with the name of the virtual server behind it. */
#define MASTER_CF_ADDED "# Added by mxseal: virtual server "
/* In front of each line of a service that we stopped. */
#define MASTER_CF_STOPPED "# stopped by mxseal: "

/* A service at the end of the file, below our comment. text: its lines, each ended by a newline; it is one service, and no
 * other is touched by it, or RC_INVALID. */
int  master_cf_add(struct master_cf *m, const char *owner, const char *text, struct err *e);
/* All its lines, and our comment in front of it. */
void master_cf_remove(struct master_cf *m, const char *name, const char *type);
/* The virtual server that a service was added for, from our comment in front of it. Given away; NULL: not ours. */
char *master_cf_owner(const struct master_cf *m, const struct master_service *s);
/* Comments a service out. RC_NOTFOUND. */
int  master_cf_stop(struct master_cf *m, const char *name, const char *type, struct err *e);
/* Brings back the first service that we stopped, from offset *from of the file on; moves *from on. Its name and type are
 * given away. false: there is none. What would not be one service again, or is there already, stays a comment. */
bool master_cf_start(struct master_cf *m, size_t *from, char **name, char **type);
/* Text just behind the last word of a service, and out again. */
int  master_cf_put(struct master_cf *m, const char *name, const char *type, const char *text, struct err *e);
bool master_cf_drop(struct master_cf *m, const char *name, const char *type, const char *text);

#endif
