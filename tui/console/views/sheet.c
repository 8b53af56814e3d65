/* One view for every sheet: dialog, property tabs, wizard. It draws and edits the table's fields, keeps a draft in the store
 * while you type, and does nothing by itself until the last button; Back and Esc lose nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/sheet.h"

#define DRAFT_MS 1500

static struct sheet_data *
data_of(const struct view *v)
{
	return v->data;
}

/* --- doing it --- */

static int64_t
do_start(struct task *t, struct err *e)
{
	struct held_form *h = t->data;
	bool was = journey_intend(t->app->j, h->form->sheet->changes);
	int64_t r;

	str_reset(&h->form->result);
	r = h->form->sheet->start(h->form, task_done, t, e);
	(void)journey_intend(t->app->j, was);
	return r;
}

static void
do_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct held_form *h = t->data;
	struct app *a = t->app;
	char key[48];

	if (rc != 0) {
		if (v != NULL)
			data_of(v)->last = *e;
		app_fail(a, e);
		return;
	}
	if (v == NULL)
		return;
	store_draft_set(a->st, data_of(v)->draft_key, NULL, NULL);
	data_of(v)->draft_dirty = false;
	data_of(v)->done = true;
	if (h->form->sheet->kind == SHEET_WIZARD) {
		data_of(v)->top = 0;
		app_say(a, STYLE_OK, "Done.");
		return;
	}
	char *first = xstrndup(h->form->result.s, strcspn(h->form->result.s, "\n"));
	app_say(a, STYLE_OK, "%s", *first != '\0' ? first : "Kept here. P shows what a push would change.");
	free(first);
	if (h->form->result_id > 0) {
		snprintf(key, sizeof(key), "%s %lld", h->form->sheet->name, (long long)h->form->result_id);
		main_select(a, key);
	}
	view_pop(v);
}

static void
carry_out(struct view *v)
{
	struct sheet_data *d = data_of(v);

	d->draft_dirty = form_edited(d->form);
	sheet_save_draft(v);
	d->held->refs++;
	struct task t = { .verb = "work", .view = v->serial, .start = do_start, .end = do_end, .data = d->held,
	    .drop = sheet_unhold };
	task_run(v->app, &t);
}

static void
asked(struct app *a, struct view *v, int64_t arg, const char *text)
{
	(void)a, (void)arg;
	if (v != NULL && text != NULL)
		carry_out(v);
}

/* The question is about what is edited: the first field with a remark on that is brought into sight, with the remark. */
static void
show_remark(struct view *v)
{
	struct sheet_data *d = data_of(v);
	const struct form *f = d->form;

	for (size_t i = 0; f->sheet->kind == SHEET_TABS && f->sheet->fields[i].name != NULL; i++)
		if (strcmp(f->value[i], f->was[i]) != 0 && f->note[i] != NULL && *f->note[i] != '\0' && !text_starts(f->note[i], "on the host")) {
			sheet_go_field(v, f->sheet->fields[i].name);
			return;
		}
}

static void
act_finish(struct view *v)
{
	struct sheet_data *d = data_of(v);
	struct str question = STR_INIT;

	if (task_of_view(v, "work") != NULL)
		return;
	sheet_leave_field(v);
	if (!sheet_accept(v, NULL))
		return;
	if (d->form->sheet->ask != NULL && d->form->sheet->ask(d->form, &question)) {
		show_remark(v);
		prompt_open(v->app, PROMPT_YESNO, v, 0, asked, "%s", question.s);
	} else
		carry_out(v);
	str_release(&question);
}

/* --- keys --- */

static void
cycle(struct view *v, const struct field *fd, int by)
{
	struct sheet_data *d = data_of(v);
	struct choice_list l = { NULL, 0 };
	const char *value = form_get(d->form, fd->name);
	size_t at = 0;

	field_choices(d->form, fd, &l);
	for (size_t i = 0; i < l.n; i++)
		if (strcmp(l.v[i].name, value) == 0)
			at = i;
	if (l.n > 0)
		sheet_set_value(v, fd, l.v[(at + l.n + (size_t)by) % l.n].name);
	choice_list_release(&l);
}

/* True when there is one more choice in this direction: arrows walk through radio buttons before they leave the field. */
static bool
walk(struct view *v, const struct field *fd, int by)
{
	struct sheet_data *d = data_of(v);
	struct choice_list l = { NULL, 0 };
	const char *value = form_get(d->form, fd->name);
	bool moved = false;

	if (d->form->sheet->kind == SHEET_TABS)
		return false;
	field_choices(d->form, fd, &l);
	for (size_t i = 0; i < l.n && l.n <= 6; i++)
		if (strcmp(l.v[i].name, value) == 0 && (by > 0 ? i + 1 < l.n : i > 0)) {
			sheet_set_value(v, fd, l.v[by > 0 ? i + 1 : i - 1].name);
			moved = true;
			break;
		}
	choice_list_release(&l);
	return moved;
}

static void
chosen(struct app *a, struct view *v, size_t index, const char *name)
{
	const struct field *fd = sheet_field(data_of(v), data_of(v)->focus);

	(void)a, (void)index;
	if (fd != NULL)
		sheet_set_value(v, fd, name);
}

static void
choose(struct view *v, const struct field *fd)
{
	struct sheet_data *d = data_of(v);
	struct choice_list l = { NULL, 0 };

	field_choices(d->form, fd, &l);
	struct chooser_arg arg = { .title = field_label(fd), .list = &l, .current = form_get(d->form, fd->name), .v = v,
	    .fn = chosen, .free = (fd->flags & FIELD_FREE) != 0 };
	if (l.n == 0 && fd->make != NULL)
		app_sheet(v->app, fd->make, 0, NULL, NULL);
	else if (l.n > 6)
		view_push(v->app, &view_chooser, &arg);
	else
		cycle(v, fd, 1);
	choice_list_release(&l);
}

static void
button(struct view *v)
{
	struct sheet_data *d = data_of(v);

	if (d->form->sheet->kind == SHEET_WIZARD && !sheet_on_review(d))
		sheet_next_page(v);
	else
		act_finish(v);
}

static bool
field_key(struct view *v, const struct field *fd, int key)
{
	struct sheet_data *d = data_of(v);

	if (sheet_is_text(d->form, fd)) {
		if (key == K_PASTE)
			edit_paste(&d->edit, v->app->paste.s);
		else if (key == K_UP || key == K_DOWN || !edit_key(&d->edit, key))
			return false;
		sheet_set_value(v, fd, d->edit.text.s);
		return true;
	}
	key = key_command(key);
	if (fd->kind == FIELD_CHECK && (key == ' ' || key == K_LEFT || key == K_RIGHT)) {
		sheet_set_value(v, fd, form_yes(d->form, fd->name) ? "no" : "yes");
		return true;
	}
	if (!sheet_is_choice(d->form, fd) || (fd->flags & FIELD_READONLY) != 0)
		return false;
	switch (key) {
	case ' ': choose(v, fd); return true;
	case K_RIGHT: case 'l': cycle(v, fd, 1); return true;
	case K_LEFT: case 'h': cycle(v, fd, -1); return true;
	case K_DOWN: case 'j': return walk(v, fd, 1);
	case K_UP: case 'k': return walk(v, fd, -1);
	default: return false;
	}
}

static bool
move_key(struct view *v, int key)
{
	struct sheet_data *d = data_of(v);

	switch (key) {
	case K_TAB: case K_DOWN: case 'j': sheet_focus_on(v, key == K_TAB && d->focus + 1 == d->n_items ? 0 : d->focus + 1); return true;
	case K_BACKTAB: case K_UP: case 'k':
		sheet_focus_on(v, d->focus > 0 ? d->focus - 1 : key == K_BACKTAB ? d->n_items - 1 : 0);
		return true;
	case K_CTRL_N: case K_PGDN: sheet_next_page(v); return true;
	case K_CTRL_P: case K_PGUP: sheet_previous_page(v); return true;
	case K_ENTER:
		if (d->focus + 1 >= d->n_items)
			button(v);
		else
			sheet_focus_on(v, d->focus + 1);
		return true;
	default: return false;
	}
}

static bool
sheet_key(struct view *v, int key)
{
	struct sheet_data *d = data_of(v);
	const struct field *fd = sheet_field(d, d->focus);
	bool busy = task_of_view(v, "work") != NULL, text = fd != NULL && sheet_is_text(d->form, fd);

	if (busy)
		return key != K_ESC && key != K_F1;        /* what is being done is not edited */
	if (d->done) {
		if (lines_key(&d->top, key_command(key), v->page))
			return true;
		if (key != K_ENTER)
			return false;
		view_pop(v);
		return true;
	}
	if (key >= K_ALT_0 + 1 && key <= K_ALT_9) {
		sheet_jump(v, key - K_ALT_0);
		return true;
	}
	if (!text && key >= '1' && key <= '9') {
		sheet_jump(v, key - '0');
		return true;
	}
	if (fd != NULL && field_key(v, fd, key))
		return true;
	if (!text)
		key = key_command(key);
	if ((sheet_on_review(d) || sheet_on_text(d)) && (key == K_DOWN || key == K_UP || key == 'j' || key == 'k' || key == K_PGDN || key == K_PGUP)
	    && lines_key(&d->top, key, v->page))
		return true;
	return move_key(v, key);
}

static bool
sheet_typing(const struct view *v)
{
	const struct sheet_data *d = data_of(v);
	const struct field *fd = sheet_field(d, d->focus);

	return !d->done && fd != NULL && sheet_is_text(d->form, fd);
}

static bool is_done(const struct view *v) { return data_of(v)->done; }
static bool is_open(const struct view *v) { return !data_of(v)->done; }

static bool
is_paged(const struct view *v)
{
	return is_open(v) && (data_of(v)->pages > 1);
}

static bool
can_next(const struct view *v)
{
	const struct sheet_data *d = data_of(v);
	return is_paged(v) && sheet_page_number(d, d->page) < sheet_page_count(d);
}

static bool
can_previous(const struct view *v)
{
	return is_paged(v) && sheet_page_number(data_of(v), data_of(v)->page) > 1;
}

static bool
on_choice(const struct view *v)
{
	const struct field *fd = sheet_field(data_of(v), data_of(v)->focus);
	return is_open(v) && fd != NULL && (sheet_is_choice(data_of(v)->form, fd) || fd->kind == FIELD_CHECK);
}

static void act_ok(struct view *v) { view_pop(v); }
static void act_next(struct view *v) { sheet_next_page(v); }
static void act_previous(struct view *v) { sheet_previous_page(v); }
static void act_none(struct view *v) { (void)v; }

static void
act_plan(struct view *v)
{
	struct plan_arg arg = { .server = 0 };
	struct app *a = v->app;

	view_pop(v);
	view_push(a, &view_plan, &arg);
}

static bool
can_plan(const struct view *v)
{
	return is_done(v) && pending_edits(v->app->j, 0, NULL) > 0;
}

static bool
forecast_of(const struct view *v, struct sheet_forecast *out)
{
	const struct sheet_data *d = data_of(v);

	return is_open(v) && d->form->sheet->forecast != NULL && d->page < d->pages
	    && d->form->sheet->forecast(d->form, d->form->sheet->pages[d->page].name, out);
}

static bool
can_forecast(const struct view *v)
{
	struct sheet_forecast of;

	return forecast_of(v, &of);
}

static void
act_forecast(struct view *v)
{
	struct sheet_forecast of;
	struct task *t = task_of_view(v, "checking");

	if (!forecast_of(v, &of))
		return;
	if (t != NULL)
		task_cancel(t);                    /* the view does it */
	struct rehearsal_arg arg = { of.server, of.inbound, of.level, of.vserver };
	view_push(v->app, &view_rehearsal, &arg);
}

static const struct action sheet_actions[] = {
	{ K_ENTER, "ok", "ok", "Closes the result.", NULL, act_ok, is_done, 0 },
	{ 'P', "plan", "plan", "What a push would change now.", "mxseal plan", act_plan, can_plan, 0 },
	{ K_ENTER, "go on", "next field / button", "Goes to the next field; on the button does what it says.", NULL, act_none,
	  is_open, ACTION_QUIET },
	{ 'F', "forecast", "forecast", "Whose mail would fail by it: destinations or senders, and the exceptions to take over.", "mxseal rehearse VS",
	  act_forecast, can_forecast, 0 },
	{ ' ', "choose", "choose", "The next choice, or a list when there are many.", NULL, act_none, on_choice, 0 },
	{ K_TAB, "next field", "field", "The next field; Shift-Tab goes back.", NULL, act_none, is_open, 0 },
	{ K_CTRL_N, "next page", "next", "The next page; a wizard checks this one first.", NULL, act_next, can_next, 0 },
	{ K_CTRL_P, "previous page", "prev", "The page before; every value is kept.", NULL, act_previous, can_previous, 0 },
	{ K_ALT_0 + 1, "jump to a page", NULL, "Alt and a digit jump to that page; outside text fields the digit alone.", NULL,
	  act_none, is_paged, 0 },
	{ 'D', "drop this change", "drop change", "The field's value as it was.", NULL, sheet_act_drop_field, is_open, ACTION_QUIET },
	{ 0, "drop the draft", NULL, "All values as they were; the saved draft goes.", NULL, sheet_act_drop_draft, is_open, 0 },
	{ 0, "finish", NULL, "Checks all pages and carries the dialog out.", NULL, act_finish, is_open, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

/* --- the view --- */

/* What was made meanwhile is chosen where nothing could be chosen before. */
static void
sheet_changed(struct view *v)
{
	struct sheet_data *d = data_of(v);

	for (const struct field *fd = d->form->sheet->fields; fd->name != NULL && !d->done; fd++) {
		struct choice_list l = { NULL, 0 };
		if (fd->make == NULL || *form_get(d->form, fd->name) != '\0' || !field_shown(d->form, fd))
			continue;
		field_choices(d->form, fd, &l);
		if (l.n > 0)
			sheet_set_value(v, fd, l.v[0].name);
		choice_list_release(&l);
	}
}

static void
restore(struct view *v)
{
	struct sheet_data *d = data_of(v);
	char *json = NULL;
	struct err e;

	if (store_draft_get(v->app->st, d->draft_key, &json, NULL) != 0)
		return;
	if (form_restore(d->form, json, &e) != 0)
		app_fail(v->app, &e);
	else if (form_edited(d->form) || d->form->at != NULL)
		app_say(v->app, STYLE_EDITED, "~ Your draft of this dialog is back.  : drop the draft  starts over");
	free(json);
}

static int
sheet_open(struct view *v, const void *p, struct err *e)
{
	const struct sheet_arg *arg = p;
	struct sheet_data *d = data_of(v);

	edit_open(&d->edit, "");
	d->held = xcalloc(1, sizeof(*d->held));
	d->held->refs = 1;
	if (form_open(&d->held->form, arg->sheet, v->app->j, arg->object, arg->object_name, e) != 0)
		return -1;
	d->form = d->held->form;
	d->draft_key = xasprintf("%s %s", arg->sheet->name, arg->object_name != NULL ? arg->object_name : "new");
	while (arg->sheet->pages[d->pages].name != NULL)
		d->pages++;
	size_t fields = 0;
	while (arg->sheet->fields[fields].name != NULL)
		fields++;
	d->error = xcalloc(fields + 1, sizeof(*d->error));
	d->base = xcalloc(fields + 1, sizeof(*d->base));
	for (size_t i = 0; i < fields; i++)
		d->base[i] = xstrdup(d->form->note[i]);
	restore(v);
	size_t page = arg->preset != NULL ? sheet_first_page(d) : sheet_page_of_draft(d);
	for (const char *const *set = arg->preset; set != NULL && set[0] != NULL; set += 2) {
		for (size_t i = 0; strcmp(set[0], "@page") == 0 && i < d->pages; i++)
			if (strcmp(arg->sheet->pages[i].name, set[1]) == 0 && page_shown(d->form, &arg->sheet->pages[i]))
				page = i;
		form_set(d->form, set[0], set[1], NULL);
	}
	sheet_go_page(v, page);
	return 0;
}

static void
sheet_close(struct view *v)
{
	struct sheet_data *d = data_of(v);

	if (d->form != NULL && !v->app->closing) {
		sheet_save_draft(v);
		struct task *t = task_of_view(v, "checking");
		if (t != NULL)
			task_cancel(t);
	}
	if (d->form != NULL)
		for (size_t i = 0; d->form->sheet->fields[i].name != NULL; i++) {
			free(d->error[i]);
			free(d->base[i]);
		}
	free(d->error);
	free(d->base);
	free(d->draft_key);
	edit_close(&d->edit);
	if (d->held != NULL)
		sheet_unhold(d->held);
}

static bool
sheet_leave(struct view *v)
{
	struct task *t = task_of_view(v, "work");

	if (t != NULL) {
		app_say(v->app, STYLE_NORMAL, "Stopping it first; nothing that is in use has been changed.");
		task_cancel(t);
		return false;
	}
	if (!data_of(v)->done && form_edited(data_of(v)->form))
		app_say(v->app, STYLE_NORMAL, "The draft is kept: open the dialog again to go on.");
	return true;
}

static void
sheet_tick(struct view *v, int64_t now_ms)
{
	if (data_of(v)->draft_dirty && now_ms - data_of(v)->draft_ms > DRAFT_MS) {
		sheet_save_draft(v);
		sheet_look(v);
	}
}

static void
sheet_crumb(const struct view *v, struct str *out)
{
	const struct form *f = data_of(v)->form;

	if (f->object_name != NULL)
		str_addf(out, "%s > ", f->object_name);
	str_add(out, f->sheet->title);
}

static void
sheet_state(const struct view *v, struct str *out)
{
	const struct sheet_data *d = data_of(v);
	char ago[16];

	if (d->done) {
		str_add(out, "done");
	} else if (form_edited(d->form) && d->draft_at > 0) {
		when_ago(ago, when_now() - d->draft_at);
		str_addf(out, "draft saved %s ago", ago);
	} else if (form_edited(d->form)) {
		str_add(out, "~ edited");
	}
}

static void
sheet_copy(const struct view *v, bool command, struct str *out)
{
	const struct sheet_data *d = data_of(v);
	const struct field *fd = sheet_field(d, d->focus);

	if (command && d->form->sheet->command != NULL)
		d->form->sheet->command(d->form, out);
	else if (d->done)
		str_add(out, d->form->result.s);
	else if (fd != NULL && fd->kind != FIELD_SECRET)
		str_add(out, form_get(d->form, fd->name));
	else if (fd == NULL && d->form->sheet->command != NULL)
		d->form->sheet->command(d->form, out);
}

const struct view_ops view_sheet = {
	.name = "sheet", .title = "Dialog",
	.about = "A dialog. It is kept as a draft while you type: Back and Esc lose nothing, and nothing happens before the last "
	    "button. In a text field letters are text; F1 is help, F9 the palette, Alt-digit a page.",
	.state_size = sizeof(struct sheet_data), .actions = sheet_actions, .open = sheet_open, .close = sheet_close,
	.draw = sheet_draw, .key = sheet_key, .tick = sheet_tick, .changed = sheet_changed, .crumb = sheet_crumb, .state = sheet_state,
	.typing = sheet_typing, .copy = sheet_copy, .leave = sheet_leave,
};
