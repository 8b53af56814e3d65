/* The console: everything on one screen of a terminal. */
#ifndef TUI_CONSOLE_CONSOLE_H
#define TUI_CONSOLE_CONSOLE_H

#include <stdbool.h>

struct console_options {
	const char *store;        /* NULL: the default one */
	bool ascii;               /* no line drawing characters */
	bool write;               /* hosts may be changed from the start; else W allows it */
	bool read_only;           /* W cannot allow it either */
};

/* Runs the console until the person leaves. Returns the exit status of the program; says what was wrong on standard error, after the terminal is whole again. */
int console_main(const struct console_options *o);

#endif
