/* One question on the message line: a line of text, a filter, yes or no, a word to be typed, a password. Questions with
 * consequences drop what was typed before they were painted: nobody says yes to what he has not seen. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "mxseal/secret.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

#define GUARD_MS 150
#define PEEK_MS 5000

void
prompt_close(struct app *a)
{
	if (a->prompt.kind == PROMPT_NONE)
		return;
	edit_close(&a->prompt.edit);
	a->prompt.kind = PROMPT_NONE;
	a->dirty = true;
}

/* The prompt is closed before the answer is told: the answer may open the next one. */
static void
tell(struct app *a, const char *text)
{
	struct prompt p = a->prompt;
	char *copy = xstrdup(text);

	prompt_close(a);
	if (p.answer != NULL) {
		bool was = journey_intend(a->j, p.intends);
		p.answer(a, p.view == 0 ? NULL : view_by_serial(a, p.view), p.arg, copy);
		(void)journey_intend(a->j, was);
	}
	if (copy != NULL)
		secret_wipe(copy, strlen(copy));
	xset(&copy, NULL);
}

void
prompt_dismiss(struct app *a)
{
	if (a->prompt.kind != PROMPT_NONE)
		tell(a, NULL);
}

void
prompt_open(struct app *a, enum prompt_kind kind, struct view *v, int64_t arg, prompt_answer_fn *answer, const char *fmt, ...)
{
	struct prompt *p = &a->prompt;
	va_list ap;

	prompt_dismiss(a);
	*p = (struct prompt){ .kind = kind, .view = v == NULL ? 0 : v->serial, .arg = arg, .answer = answer,
	    .intends = journey_intends(a->j) };
	edit_open(&p->edit, kind == PROMPT_FIND && v != NULL ? v->filter : NULL);
	va_start(ap, fmt);
	vsnprintf(p->question, sizeof(p->question), fmt, ap);
	va_end(ap);
	if (kind == PROMPT_YESNO || kind == PROMPT_WORD) {
		p->ready_ms = when_monotonic_ms() + GUARD_MS;
		a->discard = true;
	}
	a->dirty = true;
}

static void
filter_now(struct app *a)
{
	struct view *v = view_by_serial(a, a->prompt.view);

	if (v == NULL)
		return;
	xset(&v->filter, a->prompt.edit.text.len > 0 ? a->prompt.edit.text.s : NULL);
	if (v->ops->changed != NULL)
		v->ops->changed(v);
}

static void
key_yesno(struct app *a, int key)
{
	if (key == 'y' || key == 'Y')
		tell(a, "y");
	else if (key == 'n' || key == 'N' || key == K_ENTER || key == K_ESC || key == K_CTRL_C)
		tell(a, NULL);
}

void
prompt_key(struct app *a, int key)
{
	struct prompt *p = &a->prompt;

	a->dirty = true;
	if (p->ready_ms > when_monotonic_ms())
		return;
	if (p->kind == PROMPT_YESNO) {
		key_yesno(a, key_command(key));
		return;
	}
	if (key == K_ESC || key == K_CTRL_C) {
		edit_close(&p->edit);
		edit_open(&p->edit, NULL);
		if (p->kind == PROMPT_FIND)
			filter_now(a);
		tell(a, NULL);
	} else if (key == K_ENTER) {
		if (p->kind != PROMPT_WORD || strcmp(p->edit.text.s, p->word) == 0)
			tell(a, p->edit.text.s);
		else
			tell(a, NULL);
	} else if (key == K_CTRL_T && p->kind == PROMPT_SECRET) {
		p->show_until = when_monotonic_ms() + PEEK_MS;
	} else {
		if (key == K_PASTE)
			edit_paste(&p->edit, a->paste.s);
		else
			edit_key(&p->edit, key);
		if (p->kind == PROMPT_FIND)
			filter_now(a);
	}
}

const char *
prompt_keys(const struct app *a)
{
	static const char *const keys[] = {
		[PROMPT_LINE] = "Enter ok  Esc leave", [PROMPT_FIND] = "Enter keep the filter  Esc clear it",
		[PROMPT_YESNO] = "y yes  n no  Esc no", [PROMPT_WORD] = "Enter ok  Esc leave",
		[PROMPT_SECRET] = "Enter ok  Ctrl-T show for 5 s  Esc leave"
	};

	return a->prompt.kind != PROMPT_NONE ? keys[a->prompt.kind] : "";
}

void
prompt_draw(struct app *a, struct area line)
{
	struct prompt *p = &a->prompt;
	struct view *v = view_by_serial(a, p->view);
	char count[48] = "";
	int x, right = 0;

	draw_blank(line, 0, STYLE_NORMAL);
	if (p->kind == PROMPT_FIND && v != NULL && v->total > 0) {
		snprintf(count, sizeof(count), "%zu/%zu", v->shown, v->total);
		right = (int)strlen(count) + 1;
		draw_put(line, 0, line.w - right, 0, STYLE_LABEL, count);
	}
	int keep = p->kind == PROMPT_YESNO ? 8 : 14;       /* cells for the answer, however long the question */
	x = draw_put(line, 0, 1, line.w > 2 * keep ? line.w - keep : 0, STYLE_TITLE, p->question) + 1;
	if (p->ready_ms > when_monotonic_ms())
		return;
	if (p->kind == PROMPT_YESNO) {
		x += draw_put(line, 0, x, 0, STYLE_TITLE, " [y/N] ");
		draw_cursor(line, 0, x);
		return;
	}
	if (p->kind != PROMPT_FIND)
		x += draw_put(line, 0, x, 0, STYLE_TITLE, " > ");
	edit_draw(&p->edit, line, 0, x, line.w - x - right - 1, STYLE_FOCUS,
	    p->kind == PROMPT_SECRET && p->show_until < when_monotonic_ms(), true);
}
