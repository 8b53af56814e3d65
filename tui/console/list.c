/* A list with a selected row: which rows are in sight, and the keys that move. */
#include "tui/console/draw.h"
#include "tui/console/keys.h"

void
list_fit(struct list *l, int rows)
{
	size_t h = rows > 0 ? (size_t)rows : 1;

	if (l->sel >= l->n)
		l->sel = l->n > 0 ? l->n - 1 : 0;
	if (l->sel < l->top)
		l->top = l->sel;
	if (l->sel >= l->top + h)
		l->top = l->sel - h + 1;
	if (l->top + h > l->n)
		l->top = l->n > h ? l->n - h : 0;
}

bool
list_key(struct list *l, int key, int page)
{
	size_t p = page > 1 ? (size_t)page - 1 : 1, last = l->n > 0 ? l->n - 1 : 0;

	switch (key) {
	case K_DOWN: case 'j': l->sel += l->sel < last; return true;
	case K_UP: case 'k': l->sel -= l->sel > 0; return true;
	case K_PGDN: l->sel = l->sel + p < last ? l->sel + p : last; return true;
	case K_PGUP: l->sel -= l->sel > p ? p : l->sel; return true;
	case K_HOME: l->sel = 0; return true;
	case K_END: l->sel = last; return true;
	default: return false;
	}
}
