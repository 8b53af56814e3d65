/* The console: everything on one screen of a terminal. */
#ifndef TUI_CONSOLE_CONSOLE_H
#define TUI_CONSOLE_CONSOLE_H

#include <stdbool.h>

/* Runs the console on the store (NULL: the default one) until the person leaves. ascii: no line drawing characters.
 * Returns the exit status of the program; says what was wrong on standard error, after the terminal is whole again. */
int console_main(const char *store_path, bool ascii);

#endif
