/* Draws a sheet: steps or tabs, the page's fields with remark and error beside each, help of the field, and what will come
 * of it (preview) on the right or below, as there is room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/sheet.h"

/* --- steps and tabs --- */

/* The title of another page than the current one is cut to so many letters. gap: between two. */
static void
add_step(struct str *t, int number, const char *title, size_t letters, bool current, const char *gap)
{
	size_t n = strlen(title);

	if (current)
		str_addf(t, "[%d %s]%s", number, title, gap);
	else if (n <= letters)
		str_addf(t, " %d %s %s", number, title, gap);
	else if (letters > 0) {
		for (n = letters - 1; n > 0 && title[n - 1] == ' '; n--)
			;
		str_addf(t, " %d %.*s. %s", number, (int)n, title, gap);
	} else
		str_addf(t, " %d %s", number, gap);
}

/* Whole titles where they fit, closer together and then shorter ones where not. */
static void
draw_steps(const struct sheet_data *d, struct area a, int y)
{
	static const size_t letters[] = { SIZE_MAX, SIZE_MAX, 14, 11, 9, 7, 6, 5, 4, 0 };
	const struct sheet *s = d->form->sheet;
	size_t last = s->kind == SHEET_WIZARD ? d->pages : d->pages - 1;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		struct str t = STR_INIT;
		for (size_t p = 0; p <= last; p++) {
			int n = sheet_page_number(d, p);
			if (n > 0)
				add_step(&t, n, p < d->pages ? s->pages[p].title : "Review", letters[i], p == d->page, i == 0 ? " " : "");
		}
		if (draw_width(t.s) <= a.w || letters[i] == 0) {
			draw_put(a, y, 0, 0, STYLE_TITLE, t.s);
			str_release(&t);
			return;
		}
		str_release(&t);
	}
}

/* --- one field --- */

/* What a value is called. Caller frees. */
static char *
value_label(const struct form *f, const struct field *fd, const char *value)
{
	struct choice_list l = { NULL, 0 };
	char *out = NULL;

	if (fd->kind == FIELD_CHECK)
		return xstrdup(strcmp(value, "yes") == 0 ? "yes" : "no");
	if (fd->kind == FIELD_SECRET)
		return xstrdup(*value != '\0' ? "(set)" : "");
	if (sheet_is_choice(f, fd)) {
		field_choices(f, fd, &l);
		for (size_t i = 0; i < l.n && out == NULL; i++)
			if (strcmp(l.v[i].name, value) == 0)
				out = xstrdup(l.v[i].label != NULL ? l.v[i].label : l.v[i].name);
		choice_list_release(&l);
	}
	return out != NULL ? out : xstrdup(value);
}

static size_t
choice_count(const struct form *f, const struct field *fd)
{
	struct choice_list l = { NULL, 0 };

	if (!sheet_is_choice(f, fd))
		return 0;
	field_choices(f, fd, &l);
	size_t n = l.n;
	choice_list_release(&l);
	return n;
}

struct page_draw {
	struct sheet_data *d;
	struct area a;
	int label;                /* cells of the label column */
	bool expand;              /* radio buttons one below the other */
	int skip;                 /* rows scrolled away */
	bool dry;                 /* only measures */
};

static void
put(const struct page_draw *p, int y, int x, int cells, enum style s, const char *text)
{
	if (!p->dry)
		draw_put(p->a, y - p->skip, x, cells, s, text);
}

static int
draw_radio(const struct page_draw *p, int y, const struct field *fd, bool focused)
{
	struct choice_list l = { NULL, 0 };
	const char *value = form_get(p->d->form, fd->name);
	int rows = 0;

	field_choices(p->d->form, fd, &l);
	for (size_t i = 0; i < l.n; i++) {
		bool on = strcmp(l.v[i].name, value) == 0;
		struct str t = STR_INIT;
		struct lines w = { NULL, 0 };
		str_addf(&t, "(%s) %s", on ? "o" : " ", l.v[i].label != NULL ? l.v[i].label : l.v[i].name);
		lines_wrap(&w, STYLE_NORMAL, p->a.w - p->label, 4, t.s);
		for (size_t k = 0; k < w.n; k++)
			put(p, y + rows++, p->label, 0, on && focused ? STYLE_FOCUS : STYLE_NORMAL, w.v[k].text);
		lines_release(&w);
		str_release(&t);
	}
	if (l.n == 0)
		put(p, y + rows++, p->label, 0, STYLE_WARN, fd->make != NULL ? "(none yet: Space makes one)" :
		    "(there is nothing to choose from)");
	choice_list_release(&l);
	return rows;
}

/* Gives the cells used. */
static int
draw_value(const struct page_draw *p, int y, const struct field *fd, bool focused, int cells)
{
	const struct form *f = p->d->form;
	const char *value = form_get(f, fd->name);
	char *label = value_label(f, fd, value);
	struct str t = STR_INIT;

	if (fd->kind == FIELD_CHECK)
		str_addf(&t, "[%s]", form_yes(f, fd->name) ? "x" : " ");
	else if (sheet_is_choice(f, fd))
		str_addf(&t, "[%s %s]", label, draw_mark("▾", "v"));
	else
		str_add(&t, label);
	if (sheet_is_text(f, fd) && focused && !p->dry)
		edit_draw(&p->d->edit, p->a, y - p->skip, p->label, cells, STYLE_FOCUS, fd->kind == FIELD_SECRET, true);
	else if (t.len == 0 && fd->example != NULL && sheet_is_text(f, fd)) {
		str_addf(&t, "(for example %s)", fd->example);
		put(p, y, p->label, cells, STYLE_FAINT, t.s);
	} else {
		put(p, y, p->label, cells, focused ? STYLE_FOCUS : STYLE_NORMAL, t.len > 0 ? t.s : "-");
	}
	int used = sheet_is_text(f, fd) && focused ? cells : draw_width(t.len > 0 ? t.s : "-");
	free(label);
	str_release(&t);
	return used < cells ? used : cells;
}

/* Error, else remark, else what it was: on the lines below the value. Gives the rows used. */
/* beside: cells of the value: a short remark stands behind it on the same row. */
static int
draw_remark(const struct page_draw *p, int y, const struct field *fd, size_t index, int beside)
{
	const struct form *f = p->d->form;
	struct lines l = { NULL, 0 };
	char *text = NULL, *was;
	int width = p->a.w - p->label;

	if (p->d->error[index] != NULL) {
		text = xasprintf("! %s", p->d->error[index]);
		lines_wrap(&l, STYLE_BAD, width, 2, text);
		free(text);
	} else if (f->note[index] != NULL && *f->note[index] != '\0') {
		if (beside >= 0 && beside + 2 + draw_width(f->note[index]) <= width)
			put(p, y - 1, p->label + beside + 2, 0, STYLE_LABEL, f->note[index]);
		else
			lines_wrap(&l, STYLE_NORMAL, width, 2, f->note[index]);
	}
	if (f->sheet->kind == SHEET_TABS && strcmp(f->value[index], f->was[index]) != 0 && fd->kind != FIELD_SECRET) {
		was = value_label(f, fd, f->was[index]);
		if (*was != '\0')
			lines_addf(&l, STYLE_EDITED, "~ was: %s", was);
		free(was);
	}
	for (size_t i = 0; i < l.n; i++)
		put(p, y + (int)i, p->label, 0, l.v[i].style, l.v[i].text);
	int rows = (int)l.n;
	lines_release(&l);
	return rows;
}

static int
draw_note(const struct page_draw *p, int y, const struct field *fd, size_t index, bool focused)
{
	const struct form *f = p->d->form;
	struct lines l = { NULL, 0 };
	const char *text = f->lock[index] != NULL ? f->lock[index] : f->note[index] != NULL && *f->note[index] != '\0' ? f->note[index] : f->value[index];

	lines_wrap(&l, f->lock[index] != NULL ? STYLE_FAINT : STYLE_NORMAL, p->a.w - p->label, 0, *text != '\0' ? text : "-");
	put(p, y, 0, 2, STYLE_KEY, focused ? "> " : "  ");
	put(p, y, 2, p->label - 3, STYLE_LABEL, field_label(fd));
	for (size_t i = 0; i < l.n; i++)
		put(p, y + (int)i, p->label, 0, l.v[i].style, l.v[i].text);
	int rows = (int)l.n;
	lines_release(&l);
	return rows > 0 ? rows : 1;
}

static int
draw_field(const struct page_draw *p, int y, size_t item)
{
	const struct sheet_data *d = p->d;
	const struct field *fd = sheet_field(d, item);
	bool focused = item == d->focus;
	int rows = 1, beside = -1, room = p->a.w - p->label;

	if (fd == NULL) {
		struct str t = STR_INIT;
		str_addf(&t, "[ %s ]", sheet_button(d));
		put(p, y + 1, 0, 0, focused ? STYLE_KEY : STYLE_NORMAL, focused ? "> " : "  ");
		put(p, y + 1, 2, 0, focused ? STYLE_SELECTED : STYLE_TITLE, t.s);
		str_release(&t);
		return 2;
	}
	if (sheet_is_note(d->form, fd))
		return draw_note(p, y, fd, (size_t)d->items[item], focused);
	put(p, y, 0, 2, STYLE_KEY, focused ? "> " : "  ");
	put(p, y, 2, p->label - 3, focused ? STYLE_KEY : STYLE_LABEL, field_label(fd));
	if (p->expand && choice_count(d->form, fd) <= 6 && sheet_is_choice(d->form, fd))
		rows = draw_radio(p, y, fd, focused);
	else
		beside = draw_value(p, y, fd, focused, !sheet_is_text(d->form, fd) ? room : room > 72 ? 48 :
		    room > 40 && d->form->sheet->kind == SHEET_TABS ? room / 2 : room < 48 ? room : 48);
	return rows + draw_remark(p, y + rows, fd, (size_t)d->items[item], beside);
}

/* Draws the fields from row y on; gives the rows used. The focused field is kept in sight. */
static int
draw_fields(struct sheet_data *d, struct area a)
{
	struct page_draw p = { .d = d, .dry = true, .expand = true };
	struct area whole = a;
	int total = 0, at = 0, end = 0;

	p.a = a;
	for (size_t i = 0; i < d->n_items; i++) {
		const struct field *fd = sheet_field(d, i);
		int w = fd != NULL ? draw_width(field_label(fd)) + 4 : 0;
		if (w > p.label)
			p.label = w;
	}
	if (p.label > a.w / 2)
		p.label = a.w / 2;
	if (p.label < 4)
		p.label = 4;
	for (size_t i = 0; i < d->n_items; i++)
		total += draw_field(&p, 0, i);
	if (total > a.h) {
		p.expand = false;
		total = 0;
	}
	for (size_t i = 0, y = 0; i < d->n_items; i++) {
		int rows = draw_field(&p, 0, i);
		if (i == d->focus)
			at = (int)y, end = (int)y + rows;
		y += (size_t)rows;
		total = (int)y;
	}
	if (total > a.h && a.h >= 4)                   /* the last row says so */
		p.a.h = --a.h;
	if (end > a.h)
		p.skip = end - a.h;
	if (p.skip > at)
		p.skip = at;
	p.dry = false;
	for (size_t i = 0, y = 0; i < d->n_items; i++)
		y += (size_t)draw_field(&p, (int)y, i);
	if (a.h < whole.h && p.skip + a.h < total)
		draw_putf(whole, a.h, 0, STYLE_FAINT, "(%d more line%s: Tab)", total - p.skip - a.h, total - p.skip - a.h == 1 ? "" : "s");
	return total < whole.h ? total : whole.h;
}

/* --- around the fields --- */

static void
preview_lines(const struct sheet_data *d, const char *page, int width, struct lines *l)
{
	struct str t = STR_INIT;

	if (d->form->sheet->preview != NULL)
		d->form->sheet->preview(d->form, page, &t);
	if (t.len > 0)
		lines_wrap(l, STYLE_NORMAL, width, -1, t.s);
	str_release(&t);
}

/* Cut with a sign: the last row says how much there is besides. */
static void
draw_cut(const struct sheet_data *d, const struct lines *l, struct area a)
{
	struct area text = a;

	if (l->n > (size_t)(a.h > 0 ? a.h : 0) && a.h > 1) {
		text.h--;
		draw_putf(a, text.h, 0, STYLE_FAINT, "(%zu more lines%s)", l->n - (size_t)text.h,
		    d->form->sheet->kind == SHEET_WIZARD ? ": the last step has all" : "");
	}
	lines_draw(l, text, NULL);
}

static void
command_lines(const struct sheet_data *d, int width, struct lines *l)
{
	struct str t = STR_INIT;

	if (d->form->sheet->command == NULL)
		return;
	d->form->sheet->command(d->form, &t);
	if (t.len > 0) {
		lines_add(l, STYLE_NORMAL, "");
		lines_add(l, STYLE_TITLE, "Same on the command line (Y copies)");
		lines_wrap(l, STYLE_NORMAL, width, 6, t.s);
	}
	str_release(&t);
}

/* Values of all pages, each with the digit that goes there. */
static void
value_lines(const struct sheet_data *d, int width, struct lines *l)
{
	const struct sheet *s = d->form->sheet;

	for (size_t p = 0; p < d->pages; p++) {
		if (!page_shown(d->form, &s->pages[p]))
			continue;
		for (const struct field *fd = s->fields; fd->name != NULL; fd++) {
			const char *value = form_get(d->form, fd->name);
			if (strcmp(fd->page, s->pages[p].name) != 0 || *value == '\0' || fd->kind == FIELD_NOTE
			    || (fd->flags & FIELD_NO_SCREEN) != 0 || !field_shown(d->form, fd))
				continue;
			char *label = value_label(d->form, fd, value);
			struct str t = STR_INIT;
			str_addf(&t, "[%d] %-20s %s", sheet_page_number(d, p), field_label(fd), label);
			lines_wrap(l, STYLE_NORMAL, width, 25, t.s);
			str_release(&t);
			free(label);
		}
	}
}

/* The hub: everything on one page before anything is done. */
static void
draw_review(struct view *v, struct area a)
{
	struct sheet_data *d = v->data;
	struct lines l = { NULL, 0 };
	struct task *t = task_of_view(v, "work");
	struct area text = a, foot = a;

	foot.y = a.y + a.h - 2;
	foot.h = 2;
	text.h = a.h > 4 ? a.h - 3 : a.h - 1;
	if (a.h < 2) {
		text.h = 0;
		foot = a;
		foot.y--;
		foot.h = 2;
	}
	lines_add(&l, STYLE_TITLE, "Nothing has been done yet. Digits go back to a page.");
	lines_add(&l, STYLE_NORMAL, "");
	value_lines(d, a.w, &l);
	lines_add(&l, STYLE_NORMAL, "");
	preview_lines(d, NULL, a.w, &l);
	command_lines(d, a.w, &l);
	lines_draw(&l, text, &d->top);
	if (d->top + (size_t)(text.h > 0 ? text.h : 0) < l.n)
		draw_putf(foot, 0, 0, STYLE_FAINT, "(%zu more lines: arrows)", l.n - d->top - (size_t)text.h);
	lines_release(&l);
	if (t != NULL) {
		draw_putf(foot, 1, 0, STYLE_UNKNOWN, "Working: %s  (Esc stops)", clean(t->text[0] != '\0' ? t->text : "..."));
		return;
	}
	struct str b = STR_INIT;
	str_addf(&b, "[ %s ]", sheet_button(d));
	draw_put(foot, 1, 0, 0, STYLE_KEY, "> ");
	draw_put(foot, 1, 2, 0, STYLE_SELECTED, b.s);
	draw_put(foot, 1, 4 + draw_width(b.s), 0, STYLE_NORMAL, "Enter");
	str_release(&b);
}

static void
draw_result(struct view *v, struct area a)
{
	struct sheet_data *d = v->data;
	struct lines l = { NULL, 0 };

	lines_wrap(&l, STYLE_OK, a.w, 0, "ok  Done.");
	lines_add(&l, STYLE_NORMAL, "");
	lines_wrap(&l, STYLE_NORMAL, a.w, 2, d->form->result.s);
	lines_add(&l, STYLE_NORMAL, "");
	if (pending_edits(v->app->j, 0, NULL) > 0)
		lines_wrap(&l, STYLE_KEY, a.w, 2, "P shows the plan of a push: nothing on the host is in use before that.");
	lines_wrap(&l, STYLE_KEY, a.w, 2, "Enter closes.");
	lines_draw(&l, a, &d->top);
	lines_release(&l);
}

/* Help of the focused field (or what went wrong), in the last rows. Gives the rows used. */
static int
draw_help(struct view *v, struct area a)
{
	struct sheet_data *d = v->data;
	const struct field *fd = sheet_field(d, d->focus);
	struct lines l = { NULL, 0 };
	struct task *t = task_of_view(v, "work");
	int max = a.h >= 14 ? 4 : a.h >= 7 ? 2 : a.h >= 3 ? 1 : 0, rows;

	if (t != NULL)
		lines_addf(&l, STYLE_UNKNOWN, "Working: %s  (Esc stops)", clean(t->text[0] != '\0' ? t->text : "..."));
	else if (fd != NULL) {
		struct str text = STR_INIT;
		field_help_whole(fd, &text);
		if (fd->example != NULL)
			str_addf(&text, " For example: %s", fd->example);
		lines_wrap(&l, STYLE_NORMAL, a.w, 0, text.s);
		str_release(&text);
	} else if (d->last.code != RC_OK)
		lines_wrap(&l, STYLE_BAD, a.w, 2, d->last.text);
	rows = (int)l.n < max ? (int)l.n : max;
	struct area at = { a.y + a.h - rows, a.x, rows, a.w };
	lines_draw(&l, at, NULL);
	lines_release(&l);
	return rows;
}

static void
draw_page(struct view *v, struct area a, bool preview_below)
{
	struct sheet_data *d = v->data;
	const struct page *p = &d->form->sheet->pages[d->page];
	struct lines l = { NULL, 0 }, pre = { NULL, 0 };
	int y = 0, help;

	if (p->intro != NULL && a.h >= 10) {
		lines_wrap(&l, STYLE_NORMAL, a.w, 0, p->intro);
		for (size_t i = 0; i < l.n; i++)
			draw_put(a, y++, 0, 0, STYLE_NORMAL, l.v[i].text);
		lines_release(&l);
		y++;
	}
	help = draw_help(v, a);
	struct area fields = { a.y + y, a.x, a.h - y - help - (help > 0 && a.h >= 10), a.w };
	y = draw_fields(d, fields);
	if (preview_below && fields.h - y >= 4) {
		preview_lines(d, p->name, a.w, &pre);
		if (pre.n > 0) {
			struct area below = { fields.y + y + 1, a.x, fields.h - y - 1, a.w };
			draw_cut(d, &pre, below);
			lines_release(&pre);
		}
	}
}

/* A page that is read: its lines, then the button. */
static void
draw_text(struct view *v, struct area a)
{
	struct sheet_data *d = v->data;
	struct lines l = { NULL, 0 };
	struct area text = a, foot = a;
	struct str b = STR_INIT;

	preview_lines(d, d->form->sheet->pages[d->page].name, a.w, &l);
	text.h = a.h > 2 ? a.h - 2 : 0;
	lines_draw(&l, text, &d->top);
	foot.y = a.y + a.h - 1;
	foot.h = 1;
	str_addf(&b, "[ %s ]", sheet_button(d));
	draw_put(foot, 0, 0, 0, STYLE_KEY, "> ");
	draw_put(foot, 0, 2, 0, STYLE_SELECTED, b.s);
	if (d->top + (size_t)text.h < l.n)
		draw_putf(foot, 0, 4 + draw_width(b.s), STYLE_FAINT, "(%zu more lines: arrows)", l.n - d->top - (size_t)text.h);
	str_release(&b);
	lines_release(&l);
}

void
sheet_draw(struct view *v, struct area a)
{
	struct sheet_data *d = v->data;
	const struct sheet *s = d->form->sheet;
	struct lines pre = { NULL, 0 };
	struct area box = a;
	char title[200];

	if (d->pages > 1 && a.h >= 3) {
		draw_steps(d, a, 0);
		box.y++, box.h--;
	}
	if (sheet_on_review(d))
		snprintf(title, sizeof(title), "Step %d of %d: Review", sheet_page_count(d), sheet_page_count(d));
	else if (s->kind == SHEET_WIZARD)
		snprintf(title, sizeof(title), "Step %d of %d: %s", sheet_page_number(d, d->page), sheet_page_count(d),
		    s->pages[d->page].title);
	else
		snprintf(title, sizeof(title), "%s", s->pages[d->page].title != NULL ? s->pages[d->page].title : s->title);
	v->page = box.h > 4 ? box.h - 4 : 1;
	bool wide = a.w >= 110 && !d->done && !sheet_on_review(d) && !sheet_on_text(d);
	if (wide) {
		preview_lines(d, s->pages[d->page].name, a.w * 2 / 5 - 6, &pre);
		command_lines(d, a.w * 2 / 5 - 6, &pre);
		if (pre.n == 0 && s->kind == SHEET_TABS)   /* the fields stay where they are when one is edited */
			lines_add(&pre, STYLE_FAINT, "Nothing is set on this page.");
	}
	if (pre.n > 0) {
		struct area right = box;
		right.w = a.w * 2 / 5;
		box.w -= right.w;
		right.x = box.x + box.w;
		draw_cut(d, &pre, draw_box(right, "What comes of it"));
	}
	lines_release(&pre);
	struct area in = box.h >= 9 && box.w >= 40 ? draw_box(box, d->done ? "Done" : title) : box;
	if (d->done)
		draw_result(v, in);
	else if (sheet_on_review(d))
		draw_review(v, in);
	else if (sheet_on_text(d))
		draw_text(v, in);
	else
		draw_page(v, in, !wide);
}
