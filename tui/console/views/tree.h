/* The rows of the main screen's tree, made anew from the store whenever that changed (tree_build.c). */
#ifndef TUI_CONSOLE_VIEWS_TREE_H
#define TUI_CONSOLE_VIEWS_TREE_H

#include "tui/console/app.h"

enum node_kind {
	NODE_GROUP, NODE_ATTENTION, NODE_SERVER, NODE_VSERVER, NODE_CONNECTOR, NODE_CERTIFICATE, NODE_REQUEST, NODE_AUTHORITY,
	NODE_RULE                 /* one of the administrator's own; id: its place */
};

struct node {
	enum node_kind kind;
	int depth;
	char key[96];             /* stays the same when rows come and go: selection and folds are kept by it */
	bool folds, open, opens;  /* opens: unless the person told otherwise */
	char sign;                /* '!' '?' '~' '+' (ok) or 0 */
	char *name;               /* as shown on the left */
	char *state;              /* as shown on the right, a word or sign first */
	char *runs;               /* of a server: what runs there, in place of its state */
	char *object_name;        /* for sheets: "mx1/smtp" */
	char *next;               /* NODE_ATTENTION: what mends it */
	char *destination;        /* ... whose mail waits, or NULL */
	int64_t id, server;
	bool hidden;              /* below a fold or not matching the filter */
};

struct tree {
	struct node *v;
	size_t n;
	char **folded;            /* keys the person folded or unfolded, with '-' or '+' in front */
	size_t n_folded;
	size_t servers, listeners, certificates, problems, unknown, connectors, authorities;
};

/* Built in slices, so that some hundred servers hold no key up: some until it says 0 (-1: e), then take, which puts it in the place of
 * the rows that t has. drop: it is not wanted any more. */
struct tree_build;
struct tree_build *tree_begin(struct app *a);
int  tree_some(struct tree_build *b, int64_t until_ms, struct err *e);
void tree_take(struct tree *t, struct tree_build *b, const char *filter);
void tree_drop(struct tree_build *b);
/* With a filter: rows that match, and the rows they stand below. Without: what no fold hides. Reads nothing. */
void tree_hide(struct tree *t, const char *filter);
void tree_tasks(struct tree *t, struct app *a);        /* says anew what runs; reads nothing */
void tree_fold(struct tree *t, const char *key, bool open);
void tree_release(struct tree *t);
/* "ends in 6 d", "expired 2 d ago"; sign '!' when that is soon. */
char time_left(int64_t not_after, char out[48]);

#endif
