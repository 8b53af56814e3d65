/* Help of the place it was called from, made from the actions that work there: a key that is listed exists. */
#include <stdlib.h>
#include <string.h>
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct help_data { struct lines lines; char *title; size_t top; int width; int64_t view; };

static bool
add_action(struct view *v, const struct action *act, void *arg)
{
	struct lines *l = arg;
	struct str t = STR_INIT;
	int width = draw_screen().w - 6;

	(void)v;
	str_addf(&t, "  %-8s %s", act->key != 0 ? key_name(act->key) : "", act->name);
	str_addf(&t, ": %s", act->help);
	if (act->key == 0)
		str_add(&t, " (in the palette)");
	lines_wrap(l, STYLE_NORMAL, width, 11, t.s);
	if (act->command != NULL) {
		str_reset(&t);
		str_addf(&t, "           %s", act->command);
		lines_wrap(l, STYLE_LABEL, width, 13, t.s);
	}
	str_release(&t);
	return true;
}

static const char *const moving[] = {
	"  Arrows   or hjkl move; PgUp PgDn Home End as everywhere.",
	"  Tab      the next area or field; Shift-Tab the one before.",
	"  Ctrl-C   stops what runs here; closes a question; twice at rest quits.",
	"  F1 ?  F4 /  F5 r  F9 :  F10 q   the same as the letters.",
	NULL
};
static const char *const signs[] = {
	"  !  broken or soon broken      ?  not known      ~  edited, not pushed      ok  checked and good",
	"  Capital letters can have consequences; no small letter changes a server.",
	"  To select with the mouse hold Shift; y and Y copy through the terminal (OSC 52).",
	NULL
};

static void
fill(struct view *v, struct view *of)
{
	struct help_data *h = v->data;
	int width = draw_screen().w - 6;
	struct lines *l = &h->lines;

	lines_release(l);
	h->width = draw_screen().w;
	if (of == NULL)
		return;
	lines_wrap(l, STYLE_NORMAL, width, 0, of->ops->about);
	lines_add(l, STYLE_NORMAL, "");
	lines_add(l, STYLE_TITLE, "Keys here, and the same on the command line");
	actions_each(of, add_action, l);
	lines_add(l, STYLE_NORMAL, "");
	lines_add(l, STYLE_TITLE, "Moving");
	for (int i = 0; moving[i] != NULL; i++)
		lines_wrap(l, STYLE_NORMAL, width, 11, moving[i]);
	lines_add(l, STYLE_NORMAL, "");
	lines_add(l, STYLE_TITLE, "Signs");
	for (int i = 0; signs[i] != NULL; i++)
		lines_wrap(l, STYLE_NORMAL, width, 5, signs[i]);
}

static int
help_open(struct view *v, const void *p, struct err *e)
{
	const struct view *of = p;
	struct help_data *h = v->data;

	(void)e;
	h->view = of->serial;
	h->title = xasprintf("Help: %s", of->ops->title);
	return 0;
}

static void
help_close(struct view *v)
{
	struct help_data *h = v->data;

	lines_release(&h->lines);
	free(h->title);
}

static void
help_draw(struct view *v, struct area a)
{
	struct help_data *h = v->data;
	struct lines shown = { NULL, 0 };
	struct area in = a.h >= 6 && a.w >= 30 ? draw_box(a, h->title) : a;

	if (h->width != draw_screen().w)
		fill(v, view_by_serial(v->app, h->view));
	v->page = in.h;
	v->total = h->lines.n;
	for (size_t i = 0; i < h->lines.n; i++)
		if (v->filter == NULL || match_words(h->lines.v[i].text, v->filter))
			lines_add(&shown, h->lines.v[i].style, h->lines.v[i].text);
	v->shown = shown.n;
	lines_draw(&shown, in, &h->top);
	if (h->top + (size_t)in.h < shown.n && in.h > 4)
		draw_put((struct area){ a.y, a.x, a.h, a.w }, a.h - 1, a.w > 20 ? a.w - 18 : 0, 0, STYLE_KEY, " more: PgDn ");
	lines_release(&shown);
}

static bool
help_key(struct view *v, int key)
{
	struct help_data *h = v->data;

	if (key == '?' || key == K_F1) {
		view_pop(v);
		return true;
	}
	return lines_key(&h->top, key_command(key), v->page);
}

static void
help_crumb(const struct view *v, struct str *out)
{
	str_add(out, ((const struct help_data *)v->data)->title);
}

const struct view_ops view_help = {
	.name = "help", .title = "Help", .about = "This help.", .state_size = sizeof(struct help_data), .finds = true,
	.open = help_open, .close = help_close, .draw = help_draw, .key = help_key, .crumb = help_crumb,
};
