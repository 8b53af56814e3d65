/* Screens as text: what curses would show, in a frame, compared with a file. UPDATE=1 writes the file anew. */
#ifndef MXSEAL_TEST_GOLDEN_H
#define MXSEAL_TEST_GOLDEN_H

#include "mxseal/str.h"

/* Curses without a terminal, at a fixed size. */
void screen_open(int rows, int cols);
void screen_size(int rows, int cols);
void screen_close(void);
/* The screen in a frame, then a line for every row that has reverse (R) or underlined (U) cells. */
void screen_text(struct str *out);
/* Compares text with tests/golden/NAME.txt; on a difference prints both and fails the test. */
void golden_check(const char *name, const char *text);

#endif
