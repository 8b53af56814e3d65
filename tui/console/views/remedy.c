/* A remedy that is read rather than pushed: waiting with its times, a letter to their postmaster, what a person must do on the host.
 * It is copied, saved, or leads to the dialog that it names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/remedies.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct remedy_data {
	char *name, *title, *text, *command, *file;
	char *sheet, *object_name, **preset;
	int64_t object;
	size_t top;
};

static struct remedy_data *data_of(const struct view *v) { return v->data; }

static int
remedy_open(struct view *v, const void *p, struct err *e)
{
	const struct remedy_arg *arg = p;
	const struct remedy_offer *o = arg->offer;
	struct remedy_data *d = data_of(v);
	size_t n = 0;

	(void)e;
	d->name = xstrdup(o->name);
	d->title = xasprintf("%s: %s", o->title, clean(arg->destination));
	d->text = xstrdup(o->says.s);
	d->command = xstrdup(o->command);
	d->file = xasprintf("%s-%s.txt", o->name, clean(arg->destination));
	d->sheet = xstrdup(o->sheet);
	d->object = o->object;
	d->object_name = xstrdup(o->object_name);
	while (o->preset != NULL && o->preset[n] != NULL)
		n++;
	d->preset = xcalloc(n + 1, sizeof(*d->preset));
	for (size_t i = 0; i < n; i++)
		d->preset[i] = xstrdup(o->preset[i]);
	return 0;
}

static void
remedy_close(struct view *v)
{
	struct remedy_data *d = data_of(v);

	for (size_t i = 0; d->preset != NULL && d->preset[i] != NULL; i++)
		free(d->preset[i]);
	free(d->preset);
	free(d->object_name);
	free(d->sheet);
	free(d->file);
	free(d->command);
	free(d->text);
	free(d->title);
	free(d->name);
}

static void
remedy_draw(struct view *v, struct area a)
{
	struct remedy_data *d = data_of(v);
	struct lines l = { NULL, 0 };
	struct area in = a.h >= 8 && a.w >= 30 ? draw_box(a, d->title) : a;

	lines_wrap(&l, STYLE_NORMAL, in.w, -1, d->text);
	if (d->command != NULL) {
		lines_add(&l, STYLE_NORMAL, "");
		lines_add(&l, STYLE_TITLE, "Same on the command line");
		lines_wrap(&l, STYLE_NORMAL, in.w, 2, d->command);
	}
	v->page = in.h;
	lines_draw(&l, in, &d->top);
	if (d->top + (size_t)in.h < l.n && in.h > 3)
		draw_put(in, in.h - 1, in.w > 20 ? in.w - 13 : 0, 0, STYLE_KEY, " more: PgDn ");
	lines_release(&l);
}

static void
act_sheet(struct view *v)
{
	struct remedy_data *d = data_of(v);

	app_sheet(v->app, d->sheet, d->object, d->object_name, (const char *const *)d->preset);
}

static void act_copy(struct view *v) { app_copy(v->app, data_of(v)->text, "the text"); }

static void
save(struct app *a, struct view *v, int64_t over, const char *text)
{
	struct remedy_data *d = v != NULL ? data_of(v) : NULL;
	struct err e = { .code = RC_OK };
	struct str was = STR_INIT;

	if (d == NULL || text_empty(text)) {
		app_say(a, STYLE_NORMAL, "Nothing was saved.");
		return;
	}
	if (!over && (str_read_file(&was, text, 1, &e) == 0 || e.code == RC_LIMIT))
		app_say(a, STYLE_BAD, "! %s is there already: give another name.", clean(text));
	else if (str_write_file(text, d->text, strlen(d->text), 0644, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_OK, "Saved as %s.", clean(text));
	str_release(&was);
}

static void
act_save(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, v, 0, save, "Save as");
	edit_close(&v->app->prompt.edit);
	edit_open(&v->app->prompt.edit, data_of(v)->file);
}

static bool has_sheet(const struct view *v) { return data_of(v)->sheet != NULL; }
static bool is_text(const struct view *v) { return strcmp(data_of(v)->name, "wait") != 0; }

static bool
remedy_key(struct view *v, int key)
{
	return lines_key(&data_of(v)->top, key_command(key), v->page);
}

static void
remedy_crumb(const struct view *v, struct str *out)
{
	str_add(out, data_of(v)->title);
}

static void
remedy_copy(const struct view *v, bool command, struct str *out)
{
	const struct remedy_data *d = data_of(v);

	if (!command)
		str_add(out, d->text);
	else if (d->command != NULL)
		str_add(out, d->command);
}

static const struct action remedy_actions[] = {
	{ 'e', "the dialog that it names", "edit", "Opens the dialog where these values are set, at its page.", "mxseal vs set VS KEY=VALUE", act_sheet,
	  has_sheet, 0 },
	{ 'y', "copy the text", "copy", "Copies the whole text.", NULL, act_copy, NULL, 0 },
	{ 's', "save to a file", "save", "Writes the text to a file of this machine; one that is there is left alone.",
	  "mxseal remedy complain SERVER DESTINATION --out FILE", act_save, is_text, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_remedy = {
	.name = "remedy", .title = "What you can do",
	.about = "One of the choices of a diagnosis, as a text: nothing was done yet. A letter is copied or saved and sent by you.",
	.state_size = sizeof(struct remedy_data), .actions = remedy_actions, .open = remedy_open, .close = remedy_close,
	.draw = remedy_draw, .key = remedy_key, .crumb = remedy_crumb, .copy = remedy_copy,
};
