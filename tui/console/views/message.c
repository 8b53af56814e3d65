/* A text on a whole view, scrolled: an error with its hint, a result, generations, a text to be copied. */
#include <stdlib.h>
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct message_data { char *title, *text; enum style style; size_t top; };

static int
message_open(struct view *v, const void *p, struct err *e)
{
	const struct message_arg *arg = p;
	struct message_data *m = v->data;

	(void)e;
	m->title = xstrdup(arg->title);
	m->text = xstrdup(arg->text);
	m->style = arg->style;
	return 0;
}

static void
message_close(struct view *v)
{
	struct message_data *m = v->data;

	free(m->title);
	free(m->text);
}

static void
message_draw(struct view *v, struct area a)
{
	struct message_data *m = v->data;
	struct lines l = { NULL, 0 };
	struct area in = a.h >= 6 && a.w >= 30 ? draw_box(a, m->title) : a;

	v->page = in.h;
	lines_wrap(&l, m->style, in.w, 2, m->text);
	lines_draw(&l, in, &m->top);
	lines_release(&l);
}

static bool
message_key(struct view *v, int key)
{
	struct message_data *m = v->data;

	if (key == K_ENTER) {
		view_pop(v);
		return true;
	}
	return lines_key(&m->top, key_command(key), v->page);
}

static void
message_crumb(const struct view *v, struct str *out)
{
	str_add(out, ((const struct message_data *)v->data)->title);
}

static void
message_copy(const struct view *v, bool command, struct str *out)
{
	if (!command)
		str_add(out, ((const struct message_data *)v->data)->text);
}

static void act_copy(struct view *v)
{
	app_copy(v->app, ((const struct message_data *)v->data)->text, "the text");
}

static const struct action message_actions[] = {
	{ 'y', "copy the text", "copy", "Copies the whole text.", NULL, act_copy, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_message = {
	.name = "message", .title = "Message", .about = "A text. Arrows and page keys scroll.",
	.state_size = sizeof(struct message_data), .actions = message_actions, .open = message_open, .close = message_close,
	.draw = message_draw, .key = message_key, .crumb = message_crumb, .copy = message_copy,
};
