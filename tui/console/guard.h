/* The guard: a small parent process that makes the terminal whole again whatever ends the console (abort, kill -9). */
#ifndef TUI_CONSOLE_GUARD_H
#define TUI_CONSOLE_GUARD_H

/* Forks. In the child returns -1: go on. In the parent waits for the child, restores the terminal when the child could not,
 * and gives the exit status for the program. To be called before threads, files and curses. */
int guard_run(void);

#endif
