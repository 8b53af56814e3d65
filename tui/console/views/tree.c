/* The rows of the tree once they are built: what is folded, what a filter hides, what runs. Nothing here reads the store. */
#include <stdlib.h>
#include <string.h>
#include "mxseal/xalloc.h"
#include "tui/console/views/tree.h"

static int
folded(const struct tree *t, const char *key)
{
	for (size_t i = 0; i < t->n_folded; i++)
		if (strcmp(t->folded[i] + 1, key) == 0)
			return t->folded[i][0];
	return 0;
}

void
tree_fold(struct tree *t, const char *key, bool open)
{
	for (size_t i = 0; i < t->n_folded; i++)
		if (strcmp(t->folded[i] + 1, key) == 0) {
			t->folded[i][0] = open ? '+' : '-';
			return;
		}
	ARRAY_GROW(t->folded, t->n_folded);
	t->folded[t->n_folded++] = xasprintf("%c%s", open ? '+' : '-', key);
}

void
tree_tasks(struct tree *t, struct app *a)
{
	for (size_t i = 0; i < t->n; i++) {
		struct node *n = &t->v[i];
		struct task *task = n->kind == NODE_SERVER ? task_of_server(a, n->server) : NULL;

		free(n->runs);
		n->runs = task != NULL ? xasprintf("%s ...", task->verb) : NULL;
	}
}

void
tree_hide(struct tree *t, const char *filter)
{
	int closed = 1 << 20, need[8] = { 0 };

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].folds) {
			int told = folded(t, t->v[i].key);
			t->v[i].open = told == 0 ? t->v[i].opens : told == '+';
		}

	if (filter == NULL) {
		for (size_t i = 0; i < t->n; i++) {
			struct node *n = &t->v[i];
			if (n->depth <= closed)
				closed = 1 << 20;
			n->hidden = n->depth > closed;
			if (n->folds && !n->open && !n->hidden)
				closed = n->depth;
		}
		return;
	}
	for (size_t i = t->n; i-- > 0; ) {
		struct node *n = &t->v[i];
		bool hit = match_words(n->name, filter) || (n->state != NULL && match_words(n->state, filter));
		n->hidden = !hit && !need[n->depth + 1];
		for (int d = n->depth + 1; d < 8; d++)
			need[d] = 0;
		if (!n->hidden)
			need[n->depth] = 1;
		if (n->folds)
			n->open = true;
	}
}

static void
release_rows(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].name);
		free(t->v[i].state);
		free(t->v[i].runs);
		free(t->v[i].object_name);
		free(t->v[i].next);
		free(t->v[i].destination);
	}
	free(t->v);
	t->v = NULL;
	t->n = 0;
}

void
tree_release(struct tree *t)
{
	release_rows(t);
	for (size_t i = 0; i < t->n_folded; i++)
		free(t->folded[i]);
	free(t->folded);
	*t = (struct tree){ .v = NULL };
}
