/* A TCP proxy in front of an sshd that cuts one connection at a chosen point: the n-th exchange (the client speaks again
 * after it was answered), and a place in it. */
#ifndef MXSEAL_TEST_CUTTER_H
#define MXSEAL_TEST_CUTTER_H

#include <sys/types.h>

enum cut_how { CUT_KILL, CUT_RESET, CUT_BLACK_HOLE, CUT_SCRIPT, CUT_HOWS };
enum cut_where { CUT_BEFORE, CUT_HALF, CUT_AFTER, CUT_ANSWERED, CUT_WHERES };   /* nothing, half, all of the question went through; its answer came, and stays here */

/* Shared between the proxy, the client and the test. */
struct cut {
	int exchange;            /* which; 0: none, only count */
	enum cut_where where;
	enum cut_how how;
	const char *root;        /* CUT_SCRIPT: shells with this MXSEAL_ROOT are killed */
	volatile pid_t client;   /* CUT_KILL: who */
	volatile int exchanges;  /* how many there were */
	volatile int done;       /* it was cut */
};
struct cut *cut_new(void);                       /* in shared memory, zero */
/* A listening socket on loopback. */
int   cut_listen(int *port);
/* Serves one connection to sshd_port, in a process of its own; ends when both sides are gone, or when it is killed. */
pid_t cut_start(int listener, int sshd_port, struct cut *c);
/* kill -9 of the script's shells of this root; the undo timer is none of them. Returns how many. */
int   cut_kill_shells(const char *root);

#endif
