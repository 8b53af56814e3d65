/* Between the rooms of the sheet view: its state, its pages (sheet_page.c), its drawing; keys and actions are in sheet.c. */
#ifndef TUI_CONSOLE_VIEWS_SHEET_H
#define TUI_CONSOLE_VIEWS_SHEET_H

#include "tui/console/app.h"

#define SHEET_ITEMS 48      /* fields of one page, and the button */
#define ITEM_BUTTON (-1)

/* A form that background verbs may still be filling when its view is closed. */
struct held_form { struct form *form; int refs; };

struct sheet_data {
	struct held_form *held;
	struct form *form;        /* = held->form */
	char *draft_key;
	size_t pages;             /* in the table, hidden ones too */
	size_t page;              /* index; == pages: the review of a wizard */
	int items[SHEET_ITEMS];   /* what stands on the page: indices of fields, then the button */
	size_t n_items, focus;
	struct edit edit;         /* of the focused text field */
	char **error;             /* per field, or NULL */
	char **base;              /* remarks that load() made: they stay when the value is edited */
	struct err last;          /* refused by the rules across fields, or by start */
	bool done;                /* it was carried out: the result is shown */
	bool draft_dirty, look_again;
	int64_t draft_ms, draft_at;
	size_t top;               /* of the review, the result */
};

/* --- sheet_page.c --- */
const struct field *sheet_field(const struct sheet_data *d, size_t item);     /* NULL: the button */
bool sheet_is_choice(const struct form *f, const struct field *fd);
bool sheet_is_text(const struct form *f, const struct field *fd);
bool sheet_is_note(const struct form *f, const struct field *fd);             /* only shown */
bool sheet_on_text(const struct sheet_data *d);                               /* a page of text, not of fields */
bool sheet_on_review(const struct sheet_data *d);
/* Shown pages are numbered from 1; 0: this one is not shown. The review counts as the last. */
int  sheet_page_number(const struct sheet_data *d, size_t page);
int  sheet_page_count(const struct sheet_data *d);
const char *sheet_button(const struct sheet_data *d);
void sheet_unhold(void *p);                                                   /* a held_form given back */
void sheet_set_value(struct view *v, const struct field *fd, const char *value);
/* The draft: kept in the store while one types. */
void sheet_save_draft(struct view *v);
void sheet_act_drop_draft(struct view *v);
void sheet_act_drop_field(struct view *v);
size_t sheet_page_of_draft(const struct sheet_data *d);
/* Live checks of what is typed, as a background verb. */
void sheet_look(struct view *v);
/* Moving. Leaving a field takes what was typed; sheet_accept() checks a page and goes to its first error. */
size_t sheet_first_page(const struct sheet_data *d);
void sheet_leave_field(struct view *v);
void sheet_focus_on(struct view *v, size_t item);
void sheet_go_page(struct view *v, size_t page);
void sheet_go_field(struct view *v, const char *name);
bool sheet_accept(struct view *v, const char *page);
void sheet_next_page(struct view *v);
void sheet_previous_page(struct view *v);
void sheet_jump(struct view *v, int number);                                  /* to the page of this number */

/* --- sheet_draw.c --- */
void sheet_draw(struct view *v, struct area a);

#endif
