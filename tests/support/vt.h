/* The shipped program under a pseudo-terminal, with libvterm as the terminal: what a person would see, awaited, never slept
 * for. On failure the framed screen is printed and the test fails. */
#ifndef MXSEAL_TEST_VT_H
#define MXSEAL_TEST_VT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct vt;

/* env: NAME=VALUE in addition to a fixed small environment (TERM, LC_ALL, TZ, PATH, ESCDELAY). */
struct vt *vt_start(const char *const argv[], const char *const env[], int rows, int cols);
void vt_type(struct vt *t, const char *keys);                  /* "mx1<Tab><Enter>", names as in keys.c; "<lt>" is < */
void vt_paste(struct vt *t, const char *text);
void vt_resize(struct vt *t, int rows, int cols);
void vt_expect(struct vt *t, const char *text, int ms);        /* the eventual screen has it on one line */
void vt_expect_gone(struct vt *t, const char *text, int ms);
bool vt_sees(struct vt *t, const char *text, int ms);          /* the same without failing */
bool vt_on_alternate_screen(const struct vt *t);
bool vt_pastes_bracketed(const struct vt *t);
bool vt_cursor_shown(const struct vt *t);
/* Do the terminal settings equal those at the start (echo, lines, signals)? */
bool vt_termios_restored(struct vt *t);
/* All text of one row; trailing blanks cut; lent. */
const char *vt_row(struct vt *t, int row);
pid_t vt_pid(const struct vt *t);
/* Were these bytes ever sent to the terminal? */
bool vt_was_sent(const struct vt *t, const void *mem, size_t len);
/* Do they stand anywhere in the memory of the program that argv ends in, as it is now? Fails when that cannot be read. */
bool vt_in_memory(const struct vt *t, const void *mem, size_t len);
/* Waits for its end and gives the exit status (128 + signal); reads what it still writes. Frees t only by vt_close. */
int  vt_finish(struct vt *t, int ms);
/* The terminal goes away, as when a window is closed or a connection breaks. Waits for the program's end as vt_finish does. */
int  vt_hangup(struct vt *t, int ms);
/* Ends what is left of its own child only. */
void vt_close(struct vt *t);

#endif
