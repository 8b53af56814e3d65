/* The pages of a sheet: which fields stand on them, values set and checked, the draft, live checks, moving from field to field and
 * from page to page. */
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/sheet.h"

static struct sheet_data *
data_of(const struct view *v)
{
	return v->data;
}

void
sheet_unhold(void *p)
{
	struct held_form *h = p;

	if (--h->refs > 0)
		return;
	form_close(h->form);
	free(h);
}

/* --- what is on the page --- */

const struct field *
sheet_field(const struct sheet_data *d, size_t item)
{
	return item < d->n_items && d->items[item] != ITEM_BUTTON ? &d->form->sheet->fields[d->items[item]] : NULL;
}

bool
sheet_is_choice(const struct form *f, const struct field *fd)
{
	const struct setting *s = fd->kind == FIELD_SETTING ? setting_find(fd->name) : NULL;

	if (form_locked(f, fd) != NULL)
		return false;
	return fd->kind == FIELD_CHOICE || (s != NULL && (s->kind == SETTING_CHOICE || s->kind == SETTING_BOOL));
}

bool
sheet_is_text(const struct form *f, const struct field *fd)
{
	return fd->kind != FIELD_NOTE && fd->kind != FIELD_CHECK && (fd->flags & FIELD_READONLY) == 0
	    && form_locked(f, fd) == NULL && !sheet_is_choice(f, fd);
}

bool
sheet_is_note(const struct form *f, const struct field *fd)
{
	return fd->kind == FIELD_NOTE || form_locked(f, fd) != NULL;
}

bool
sheet_on_text(const struct sheet_data *d)
{
	return d->page < d->pages && d->form->sheet->pages[d->page].text;
}

bool
sheet_on_review(const struct sheet_data *d)
{
	return d->page >= d->pages;
}

int
sheet_page_number(const struct sheet_data *d, size_t page)
{
	int n = 1;

	for (size_t i = 0; i < page && i < d->pages; i++)
		n += page_shown(d->form, &d->form->sheet->pages[i]);
	if (page < d->pages && !page_shown(d->form, &d->form->sheet->pages[page]))
		return 0;
	return n;
}

int
sheet_page_count(const struct sheet_data *d)
{
	return sheet_page_number(d, d->pages) - (d->form->sheet->kind == SHEET_WIZARD ? 0 : 1);
}

const char *
sheet_button(const struct sheet_data *d)
{
	if (d->form->sheet->kind == SHEET_WIZARD && !sheet_on_review(d))
		return "Next";
	return d->form->sheet->act != NULL ? d->form->sheet->act : "Finish";
}

static bool
stands_here(const struct sheet_data *d, const struct field *fd)
{
	return d->page < d->pages && strcmp(fd->page, d->form->sheet->pages[d->page].name) == 0
	    && (fd->flags & FIELD_NO_SCREEN) == 0 && field_shown(d->form, fd);
}

/* Fields come and go with the values of others: the focus stays on its field where it can. */
static void
collect(struct sheet_data *d)
{
	int was = d->focus < d->n_items ? d->items[d->focus] : 0;
	bool any = d->n_items > 0;

	d->n_items = 0;
	for (int i = 0; d->form->sheet->fields[i].name != NULL && d->n_items < SHEET_ITEMS - 1; i++)
		if (stands_here(d, &d->form->sheet->fields[i]))
			d->items[d->n_items++] = i;
	d->items[d->n_items++] = ITEM_BUTTON;
	for (size_t i = 0; any && i < d->n_items; i++)
		if (d->items[i] == was)
			d->focus = i;
	if (d->focus >= d->n_items)
		d->focus = d->n_items - 1;
}

/* Puts the focused field's value into the line editor. */
static void
load_edit(struct sheet_data *d)
{
	const struct field *fd = sheet_field(d, d->focus);

	edit_close(&d->edit);
	edit_open(&d->edit, fd != NULL && sheet_is_text(d->form, fd) ? form_get(d->form, fd->name) : "");
}

static size_t
index_of(const struct sheet_data *d, const struct field *fd)
{
	return (size_t)(fd - d->form->sheet->fields);
}

static void
check_now(struct sheet_data *d, const struct field *fd)
{
	struct err e = { .code = RC_OK };
	char **error = &d->error[index_of(d, fd)];

	xset(error, NULL);
	if (form_check_field(d->form, fd, &e) != 0)
		*error = xasprintf("%s%s%s", e.text, e.hint[0] != '\0' ? ": " : "", e.hint);
}

void
sheet_set_value(struct view *v, const struct field *fd, const char *value)
{
	struct sheet_data *d = data_of(v);

	if (strcmp(form_get(d->form, fd->name), value) == 0)
		return;
	if (form_set(d->form, fd->name, value, &d->last) != 0)
		return;
	if (d->last.code != RC_OK && v->app->message_err.code == d->last.code)
		app_say(v->app, STYLE_NORMAL, "%s", "");   /* the complaint is being mended */
	err_clear(&d->last);
	form_note(d->form, fd->name, "%s", d->base[index_of(d, fd)] != NULL ? d->base[index_of(d, fd)] : "");
	if (*value != '\0')
		check_now(d, fd);
	else
		xset(&d->error[index_of(d, fd)], NULL);    /* an empty field is complained about when it is left */
	d->draft_dirty = true;
	d->draft_ms = when_monotonic_ms();
	collect(d);
}

/* --- drafts --- */

#define REVIEW "review"     /* the place behind the last page */

size_t
sheet_first_page(const struct sheet_data *d)
{
	size_t first = 0;

	while (first < d->pages && !page_shown(d->form, &d->form->sheet->pages[first]))
		first++;
	return first;
}

/* Where the draft was left, when there is such a page now. */
size_t
sheet_page_of_draft(const struct sheet_data *d)
{
	if (d->form->at != NULL && strcmp(d->form->at, REVIEW) == 0)
		return d->pages;
	for (size_t p = 0; d->form->at != NULL && p < d->pages; p++)
		if (strcmp(d->form->sheet->pages[p].name, d->form->at) == 0 && page_shown(d->form, &d->form->sheet->pages[p]))
			return p;
	return sheet_first_page(d);
}


void
sheet_save_draft(struct view *v)
{
	struct sheet_data *d = data_of(v);
	struct str json = STR_INIT;
	struct err e = { .code = RC_OK };
	bool keep;

	if (!d->draft_dirty || d->done)
		return;
	d->draft_dirty = false;
	keep = form_edited(d->form) || d->form->at != NULL;
	form_draft(d->form, &json);
	if (store_draft_set(v->app->st, d->draft_key, keep ? json.s : NULL, &e) != 0)
		app_fail(v->app, &e);
	else
		d->draft_at = keep ? when_now() : 0;
	str_release(&json);
}

void
sheet_act_drop_draft(struct view *v)
{
	struct sheet_data *d = data_of(v);

	for (size_t i = 0; d->form->sheet->fields[i].name != NULL; i++) {
		form_set(d->form, d->form->sheet->fields[i].name, d->form->was[i], NULL);
		form_note(d->form, d->form->sheet->fields[i].name, "%s", d->base[i] != NULL ? d->base[i] : "");
		xset(&d->error[i], NULL);
	}
	xset(&d->form->at, NULL);
	d->draft_dirty = true;
	sheet_save_draft(v);
	collect(d);
	load_edit(d);
	app_say(v->app, STYLE_NORMAL, "The draft is dropped: the values are as they were.");
}

void
sheet_act_drop_field(struct view *v)
{
	struct sheet_data *d = data_of(v);
	const struct field *fd = sheet_field(d, d->focus);

	if (fd != NULL) {
		sheet_set_value(v, fd, d->form->was[index_of(d, fd)]);
		load_edit(d);
	}
}

/* --- live checks --- */

static int64_t
look_start(struct task *t, struct err *e)
{
	struct held_form *h = t->data;
	struct view *v = view_by_serial(t->app, t->view);
	struct sheet_data *d = v != NULL ? data_of(v) : NULL;

	(void)e;
	if (d == NULL || d->page >= d->pages)
		return 0;
	return h->form->sheet->look(h->form, h->form->sheet->pages[d->page].name, task_done, t);
}

static void
look_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	(void)t, (void)rc, (void)e;
	if (v == NULL)
		return;
	for (const struct field *fd = data_of(v)->form->sheet->fields; fd->name != NULL; fd++)   /* what was read may say more of them */
		if (fd->kind == FIELD_SETTING && strcmp(form_get(data_of(v)->form, fd->name), data_of(v)->form->was[index_of(data_of(v),
		    fd)]) != 0)
			check_now(data_of(v), fd);
	if (!data_of(v)->look_again)
		return;
	data_of(v)->look_again = false;
	t->verb = "checked";                                /* this one is over: the next may begin */
	sheet_look(v);
}

void
sheet_look(struct view *v)
{
	struct sheet_data *d = data_of(v);

	if (d->form->sheet->look == NULL || d->page >= d->pages)
		return;
	if (task_of_view(v, "checking") != NULL) {
		d->look_again = true;
		return;
	}
	d->held->refs++;
	struct task t = { .verb = "checking", .view = v->serial, .start = look_start, .end = look_end, .data = d->held,
	    .drop = sheet_unhold };
	task_run(v->app, &t);
}

/* --- moving --- */

/* Leaving a field: now an empty one that is needed is complained about, and the network is asked. */
void
sheet_leave_field(struct view *v)
{
	struct sheet_data *d = data_of(v);
	const struct field *fd = sheet_field(d, d->focus);

	if (fd == NULL)
		return;
	if (d->draft_dirty) {
		check_now(d, fd);
		sheet_save_draft(v);
		sheet_look(v);
	}
}

void
sheet_focus_on(struct view *v, size_t item)
{
	struct sheet_data *d = data_of(v);

	sheet_leave_field(v);
	d->focus = item < d->n_items ? item : d->n_items - 1;
	load_edit(d);
}

/* The place in a wizard belongs to the draft, at once: it is found again wherever it was left. */
static void
note_page(struct view *v, size_t page)
{
	struct sheet_data *d = data_of(v);
	const char *at = page < d->pages ? d->form->sheet->pages[page].name : REVIEW;

	if (d->form->sheet->kind != SHEET_WIZARD || d->done || (d->form->at == NULL && page == sheet_first_page(d))
	    || text_eq(d->form->at, at))
		return;
	xset(&d->form->at, page == sheet_first_page(d) ? NULL : at);
	d->draft_dirty = true;
	sheet_save_draft(v);
}

void
sheet_go_page(struct view *v, size_t page)
{
	struct sheet_data *d = data_of(v);

	sheet_leave_field(v);
	note_page(v, page);
	d->page = page;
	d->top = 0;
	d->focus = 0;
	d->n_items = 0;
	err_clear(&d->last);
	collect(d);
	while (sheet_field(d, d->focus) != NULL && sheet_is_note(d->form, sheet_field(d, d->focus)) && d->focus + 1 < d->n_items)
		d->focus++;
	load_edit(d);
	sheet_look(v);
}

/* Goes to the page and field with this name. */
void
sheet_go_field(struct view *v, const char *name)
{
	struct sheet_data *d = data_of(v);
	const struct field *fd = form_field(d->form, name, NULL);

	for (size_t p = 0; fd != NULL && p < d->pages; p++)
		if (strcmp(d->form->sheet->pages[p].name, fd->page) == 0 && p != d->page)
			sheet_go_page(v, p);
	collect(d);                  /* a check may have brought the field up */
	for (size_t i = 0; i < d->n_items; i++)
		if (fd != NULL && sheet_field(d, i) == fd)
			sheet_focus_on(v, i);
}

/* Checks one page (NULL: all); on refusal goes to the field. */
bool
sheet_accept(struct view *v, const char *page)
{
	struct sheet_data *d = data_of(v);
	struct err e = { .code = RC_OK };
	const char *name = NULL;

	if (form_check(d->form, page, &name, &e) == 0)
		return true;
	if (name != NULL) {
		const struct field *fd = form_field(d->form, name, NULL);
		sheet_go_field(v, name);
		if (fd != NULL)
			xset(&d->error[index_of(d, fd)], e.text);
	}
	d->last = e;
	app_fail(v->app, &e);
	return false;
}

void
sheet_next_page(struct view *v)
{
	struct sheet_data *d = data_of(v);
	const struct sheet *s = d->form->sheet;
	size_t p = d->page + 1;

	if (sheet_on_review(d))
		return;
	if (s->kind == SHEET_WIZARD && !sheet_accept(v, s->pages[d->page].name))
		return;
	while (p < d->pages && !page_shown(d->form, &s->pages[p]))
		p++;
	if (p < d->pages || s->kind == SHEET_WIZARD)
		sheet_go_page(v, p);
}

void
sheet_previous_page(struct view *v)
{
	struct sheet_data *d = data_of(v);
	size_t p = d->page;

	while (p > 0)
		if (page_shown(d->form, &d->form->sheet->pages[--p])) {
			sheet_go_page(v, p);
			return;
		}
}

/* In a wizard a page may be jumped to when all before it are in order. */
void
sheet_jump(struct view *v, int number)
{
	struct sheet_data *d = data_of(v);

	for (size_t p = 0; p <= d->pages; p++) {
		if (p == d->pages && d->form->sheet->kind != SHEET_WIZARD)
			return;
		if (p < d->pages && !page_shown(d->form, &d->form->sheet->pages[p]))
			continue;
		if (sheet_page_number(d, p) == number) {
			if (p != d->page)
				sheet_go_page(v, p);
			return;
		}
		if (d->form->sheet->kind == SHEET_WIZARD && p >= d->page && p < d->pages
		    && !sheet_accept(v, d->form->sheet->pages[p].name))
			return;
	}
}
