/* The frame around the view on top: head line, what is edited and not pushed, message line, keys. The layout is computed from
 * rows, columns and state alone each time; there is nothing to get out of step. */
#include <stdio.h>
#include <string.h>
#include "mxseal/when.h"
#include "tui/console/app.h"

static void
draw_head(struct app *a, struct area line)
{
	struct str left = STR_INIT, right = STR_INIT;
	struct view *v = a->top;

	while (v->ops->overlay && v->below != NULL)
		v = v->below;
	bool read_only = journey_read_only(a->j, NULL) != READ_ONLY_NO;
	str_add(&left, line.w >= 60 ? " mxseal  " : "");
	if (read_only)
		str_add(&left, line.w >= 100 ? "[read-only]  " : line.w >= 60 ? "[RO]  " : "[RO] ");
	if (v->ops->crumb != NULL)
		v->ops->crumb(v, &left);
	else
		str_add(&left, v->ops->title);
	if (v->filter != NULL)
		str_addf(&left, "  [filter: %s]", v->filter);
	if (v->ops->state != NULL)
		v->ops->state(v, &right);
	int rw = draw_width(right.s);
	if (rw + 12 > line.w || (read_only && rw + 24 > line.w))
		rw = 0;                                    /* the sign that nothing can be changed stays whole */
	draw_row(line, 0, 0, line.w - (rw > 0 ? rw + 2 : 0), STYLE_TITLE, left.s);
	if (rw > 0) {
		enum style s = strstr(right.s, "! ") != NULL ? STYLE_BAD : STYLE_NORMAL;
		draw_put(line, 0, line.w - rw - 1, 0, s, right.s);
	}
	str_release(&left);
	str_release(&right);
}

struct footer { struct str text; int room, used, items; bool typing; };

static bool
add_key(struct view *v, const struct action *act, void *arg)
{
	struct footer *f = arg;
	struct str item = STR_INIT;
	int w;

	(void)v;
	if (act->label == NULL || (act->flags & ACTION_QUIET) != 0 || f->items >= 9 || (f->typing && key_is_text(act->key)))
		return true;
	str_addf(&item, "%s %s", key_name(act->key), act->label);
	w = draw_width(item.s);
	if (f->used + w + 2 <= f->room) {                  /* a hint is whole or not there */
		str_addf(&f->text, "%s%s", f->items > 0 ? "  " : "", item.s);
		f->used += w + (f->items > 0 ? 2 : 0);
		f->items++;
	}
	str_release(&item);
	return true;
}

static void
draw_keys(struct app *a, struct area line)
{
	struct view *v = a->top;
	bool typing = v->ops->typing != NULL && v->ops->typing(v);
	struct footer f = { .text = STR_INIT, .room = line.w - 2, .typing = typing };
	char last[40];

	if (a->prompt.kind != PROMPT_NONE) {
		draw_blank(line, 0, STYLE_NORMAL);
		draw_put(line, 0, 1, line.w - 1, STYLE_KEY, prompt_keys(a));
		return;
	}
	snprintf(last, sizeof(last), "%s%s", v->below == NULL ? "q quit  " : "Esc back  ", typing ? "F1 help" : "? help");
	f.room -= (int)strlen(last) + 2;
	draw_blank(line, 0, STYLE_NORMAL);
	if (draw_screen().h < 6 && journey_read_only(a->j, NULL) != READ_ONLY_NO) {
		draw_put(line, 0, 0, 0, STYLE_TITLE, "[RO]");
		line.x += 5;                               /* there is no head line to say it */
		line.w -= 5;
		f.room -= 5;
	}
	if (f.room < 0) {                                  /* the narrowest screens keep the help key */
		draw_put(line, 0, 0, 0, STYLE_KEY, line.w >= 6 ? "? help" : "?");
		return;
	}
	actions_each(v, add_key, &f);
	str_addf(&f.text, "%s%s", f.items > 0 ? "  " : "", last);
	draw_put(line, 0, 1, 0, STYLE_KEY, f.text.s);
	str_release(&f.text);
}

/* What is edited and not pushed on the left; what runs on the right. */
static void
draw_status(struct app *a, struct area line)
{
	struct str right = STR_INIT;

	push_run_line(a, &right);
	bool asking = a->prompt.kind != PROMPT_NONE || a->top->ops == &view_hostkey;
	for (struct task *t = a->tasks; t != NULL && right.len == 0; t = t->next) {
		if (t->asks && asking)
			continue;                          /* its question is on the screen */
		struct server s = { 0 };
		int64_t seconds = (when_monotonic_ms() - t->since_ms) / 1000;
		bool named = t->server != 0 && store_server_get(a->st, t->server, &s, NULL) == 0;
		str_addf(&right, "%s%s%s%s%s", t->verb, named ? " " : "", named ? s.name : "",
		    t->asks ? " has a question: Esc shows it" : t->text[0] != '\0' ? ": " : "", t->asks ? "" : t->text);
		if (seconds > 1)
			str_addf(&right, " (%d s)", (int)seconds);
		if (named)
			server_release(&s);
	}
	draw_blank(line, 0, STYLE_NORMAL);
	enum style s = a->edits[0] == '~' ? STYLE_EDITED : STYLE_NORMAL;
	int lw = draw_put(line, 0, 1, 0, s, a->edits);
	if (lw > 0 && a->prompt.kind == PROMPT_NONE && action_works(a->top, 'P'))
		lw += draw_put(line, 0, 1 + lw, 0, s, ": P to review");
	int room = line.w - lw - 4, rw = draw_width(right.s);
	if (rw > 0 && room > 8)
		draw_put(line, 0, rw < room ? line.w - rw - 1 : lw + 3, room, STYLE_NORMAL, right.s);
	str_release(&right);
}

static void
draw_message(struct app *a, struct area line)
{
	if (a->prompt.kind != PROMPT_NONE) {
		prompt_draw(a, line);
		return;
	}
	draw_blank(line, 0, STYLE_NORMAL);
	bool long_one = draw_width(a->message) > line.w - 2;
	bool typing = a->top->ops->typing != NULL && a->top->ops->typing(a->top);
	const char *more = !long_one || line.w <= 40 ? "" : typing ? "  F7 shows all" : "  ! shows all";
	draw_put(line, 0, 1, line.w - 2 - (int)strlen(more), a->message_style, a->message);
	if (*more != '\0')
		draw_put(line, 0, line.w - 1 - (int)strlen(more), 0, STYLE_KEY, more);
}

static void
draw_view(struct view *v, struct area body)
{
	if (v->ops->overlay && v->below != NULL)
		draw_view(v->below, body);
	v->page = body.h;
	if (v->ops->draw != NULL)
		v->ops->draw(v, body);
}

void
app_draw(struct app *a)
{
	struct area s = draw_screen(), line = { 0, 0, 1, s.w };
	int head = s.h >= 6, foot = s.h >= 12 ? 3 : s.h >= 6 ? 2 : s.h >= 3 ? 1 : 0;
	bool prompt = a->prompt.kind != PROMPT_NONE;

	if (s.h < 1 || s.w < 1 || a->top == NULL)
		return;
	draw_clear();
	struct area body = { head, 0, s.h - head - foot, s.w };
	draw_view(a->top, body);
	if (head)
		draw_head(a, line);
	if (foot == 3) {
		line.y = s.h - 3;
		draw_status(a, line);
	}
	if (foot >= 2) {
		line.y = s.h - 2;
		if (foot == 2 && !prompt && a->message[0] == '\0')
			draw_status(a, line);
		else
			draw_message(a, line);
	}
	line.y = s.h - 1;
	if (foot == 1 || (foot == 0 && prompt)) {
		if (prompt || a->message[0] != '\0')
			draw_message(a, line);
		else
			draw_keys(a, line);
	} else if (foot > 0) {
		draw_keys(a, line);
	}
	a->dirty = false;
	a->drawn_ms = when_monotonic_ms();
}
