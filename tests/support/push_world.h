/* A fake root with a configuration of two files, and a small SMTP listener whose manners depend on the live main.cf, as
 * those of a real one do: what whole pushes are tested on without a mail system. TLS is proved in the lab. */
#ifndef MXSEAL_TEST_PUSH_WORLD_H
#define MXSEAL_TEST_PUSH_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "mxseal/host.h"
#include "mxseal/plan.h"

#define WORLD_OLD "myhostname = mx\nmanners = good\n"

struct push_world {
	char *root;
	char main_cf[512], master_cf[512], ran[512];
	char mail_log[512];      /* what "watch" of the plan reads, in the words of the script */
	int port;
	pid_t server;
	struct host *h;          /* on the transport "local:", with MXSEAL_ROOT set */
};

void world_open(struct push_world *w);
void world_close(struct push_world *w);             /* also ends the undo timer of a push that still waits */
void world_login(struct push_world *w);             /* a new w->h */
void world_fill(const struct push_world *w);        /* the old files, and nothing of mxseal */
/* A plan that edits main.cf, with two: master.cf too, and creates and removes one, and always one file of the generation. */
void world_plan(const struct push_world *w, struct plan *p, int64_t generation, const char *before, const char *after, bool many);
/* The live tree: every file with owner, mode and content, and what lies beside them. To be freed. */
char *world_tree(const struct push_world *w);
/* Does it greet on its port? */
bool world_greets(const struct push_world *w);
/* The last line of the host's journal: its generation and state; false when there is none. */
bool world_journal(const struct push_world *w, long long *generation, char state[16]);

void text_write(const char *path, const char *text, unsigned mode);
char *text_read(const char *path);                  /* "(not there)" when it is not */

#endif
