/* Screens drawn without a terminal and compared with text, in a store with a bit of everything; nobody is contacted. */
#ifndef MXSEAL_TEST_SCREENS_H
#define MXSEAL_TEST_SCREENS_H

#include "tui/console/app.h"

#define NOW INT64_C(1790000000)

struct world { char *dir; struct app *app; int64_t mx1, mx2, smtp, submission, connector, certificate, request, authority; };

int  set_up(void **state);                           /* of cmocka: *state is a struct world */
int  tear_down(void **state);
void must(int rc, const struct err *e);
/* As it is now, at 80x24 and 120x40 (golden/screens/NAME-*.txt); at odd sizes it only has to stay alive and to say that it is read-only. */
void shot(struct app *a, const char *name);
void survive_odd_sizes(struct app *a);
void shot_at(struct app *a, const char *name, int rows, int cols);
int64_t add_host(struct app *a, const char *name, const char *trouble);
int64_t add_vserver(struct app *a, int64_t server, const char *name, int port, const char *pem);
struct task *task_with(struct app *a, const char *verb);    /* one that runs; the test gives what it would bring */
void type(struct app *a, const char *text);          /* as keys; \t is Tab, \n Enter */
void close_all(struct app *a);                       /* all views but the first, and all that runs */

#endif
