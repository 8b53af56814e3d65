/* The shipped program in the lab (tests/lab/lab, MXSEAL_LAB): its command line, and its console under a pseudo-terminal. */
#ifndef MXSEAL_TEST_LAB_CONSOLE_H
#define MXSEAL_TEST_LAB_CONSOLE_H

#include "mxseal/str.h"
#include "support/vt.h"

/* Is a lab up, and are we root? Says why it is not, for a test that then ends with 77. */
bool lab_is_up(void);
/* A command of the lab ("exec mx1 CMD") in dir; its output where wanted. Its status. */
int  lab_run(const char *dir, struct str *out, const char *words);
/* What ssh needs, in dir: an ssh_config with a known_hosts of its own. */
void lab_ssh_config(const char *dir);
/* A command of mxseal with its store in dir and the passphrase of dir/passphrase, where there is one; it has to succeed. */
void lab_mxseal(const char *dir, const char *words);
/* The console; option may be NULL ("--write"). */
struct vt *lab_console(const char *dir, const char *option, int rows, int cols);

#endif
