/* A journey over a store of its own, in which one server was read: mx1, with smtp as its default virtual server. */
#ifndef MXSEAL_TEST_ONE_SERVER_H
#define MXSEAL_TEST_ONE_SERVER_H

#include "mxseal/journey.h"
#include "mxseal/store.h"

struct one_server { char *dir; struct journey *j; struct store *st; int64_t mx1, smtp; };

/* Of cmocka: *state is a struct one_server. */
int one_server_set_up(void **state);
int one_server_tear_down(void **state);

#endif
