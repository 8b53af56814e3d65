/* A sheet is data: a dialog, a wizard or a property sheet is one table of fields on pages. The console draws it, the command
 * line makes its options from it, tests walk over it. All values are texts in a form. */
#ifndef MXSEAL_SHEET_H
#define MXSEAL_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mxseal/err.h"
#include "mxseal/setting.h"
#include "mxseal/str.h"

struct journey;
struct form;

enum field_kind {
	FIELD_TEXT,
	FIELD_SECRET,             /* shown as dots, never in drafts, asked on a terminal or by descriptor */
	FIELD_CHOICE,             /* one of choices or of options() */
	FIELD_CHECK,              /* "yes", "no" */
	FIELD_NUMBER,
	FIELD_LIST,               /* words, blank between; as an option it may be repeated */
	FIELD_PATH,               /* a file of this machine */
	FIELD_SETTING,            /* row of setting_table with the same name: label, help, kind from there; "" = inherit */
	FIELD_NOTE                /* read-only: value computed by the sheet */
};

enum { FIELD_REQUIRED = 1, FIELD_READONLY = 2, FIELD_NO_OPTION = 4 /* not on the command line */, FIELD_NO_SCREEN = 8,
	FIELD_FREE = 16 /* a choice that takes other values too: its check says which */ };

struct choice_list { struct { char *name, *label; } *v; size_t n; };
void choice_list_add(struct choice_list *l, const char *name, const char *label);
void choice_list_release(struct choice_list *l);

struct field {
	const char *name;         /* --name, key in drafts */
	const char *page;         /* page it stands on */
	const char *label;        /* on the screen */
	const char *help;         /* what it is, one to three sentences */
	const char *example;
	enum field_kind kind;
	unsigned flags;
	const struct choice *choices;
	void (*options)(const struct form *f, struct choice_list *out);    /* choices known only now */
	const char *make;         /* choices: the sheet that makes one, where there is nothing to choose from */
	const char *initial;
	/* While typing. May write a remark into note (a warning or a confirmation such as "MX of example.org"). */
	int  (*check)(const struct form *f, const char *value, struct str *note, struct err *e);
	bool (*shown)(const struct form *f);                               /* NULL: always */
};

struct page {
	const char *name, *title, *intro;
	bool (*shown)(const struct form *f);           /* branches; NULL: always */
	bool text;                /* no fields: what preview says of it, to be read and scrolled */
};

enum sheet_kind { SHEET_DIALOG, SHEET_TABS, SHEET_WIZARD };
enum sheet_object { OBJECT_NONE, OBJECT_SERVER, OBJECT_VSERVER, OBJECT_CONNECTOR, OBJECT_AUTHORITY, OBJECT_REQUEST };

typedef void sheet_done_fn(void *arg, int rc, const struct err *e);

/* What of a form can be rehearsed: the word of mxseal rehearse. */
struct sheet_forecast { int64_t server, vserver; bool inbound; char level[64]; };

struct sheet {
	const char *name;         /* "certificate" */
	const char *title;        /* "Certificate wizard" */
	enum sheet_kind kind;
	enum sheet_object object; /* what it is opened on */
	const struct page *pages; /* ended by a row without name */
	const struct field *fields;
	bool changes;             /* start may change a host */
	const char *act;          /* word of the final button: "Finish", "Save", "Request" */
	/* Fills values from the store. */
	int  (*load)(struct form *f, struct err *e);
	/* Rules across fields. field (may be NULL) gets the name of the one to go to. */
	int  (*check)(const struct form *f, const char **field, struct err *e);
	/* What should be asked before start, one line; what speaks for and against it stands in the notes of the fields, after a
	 * check. False: nothing. */
	bool (*ask)(const struct form *f, struct str *question);
	/* What will happen, or what the mail system will get: shown beside the fields; page NULL: the whole (review). */
	void (*preview)(const struct form *f, const char *page, struct str *out);
	/* The same as a command line. */
	void (*command)(const struct form *f, struct str *out);
	/* Live checks that need the network (names in DNS, MX); results go to form notes. NULL or returns 0: none to do. */
	int64_t (*look)(struct form *f, const char *page, sheet_done_fn *done, void *arg);
	/* Something stricter is chosen (on this page first), and this is how it would be rehearsed. NULL or false: nothing is. */
	bool (*forecast)(const struct form *f, const char *page, struct sheet_forecast *out);
	/* Does it. Returns a job id (done comes later), 0 when it was done at once (done was called), -1 with e set. */
	int64_t (*start)(struct form *f, sheet_done_fn *done, void *arg, struct err *e);
};

extern const struct sheet *const sheets[];              /* NULL-ended: every dialog and wizard */
const struct sheet *sheet_find(const char *name);

struct form {
	const struct sheet *sheet;
	struct journey *journey;
	int64_t object;           /* id of what it was opened on, 0 a new one */
	char *object_name;        /* "mx1/smtp" */
	char *at;                 /* wizard: the page the person is at, part of the draft; NULL: the first */
	char **value;             /* one per field; never NULL inside */
	char **was;               /* as loaded: what differs is edited */
	char **note;              /* remark per field, or NULL */
	char **lock;              /* why a field cannot be edited here, or NULL: then it is only shown */
	struct str result;        /* after start: what came out, for people, several lines */
	int64_t result_id;        /* id of what was made */
	void *data;               /* of the sheet */
	void (*data_free)(void *);
};

/* Opens a form: initial values, then load. object_name NULL where the sheet needs none. */
int  form_open(struct form **out, const struct sheet *s, struct journey *j, int64_t object, const char *object_name, struct err *e);
void form_close(struct form *f);
const struct field *form_field(const struct form *f, const char *name, size_t *index);
const char *form_get(const struct form *f, const char *name);       /* "" when there is no such field */
bool form_yes(const struct form *f, const char *name);
int  form_set(struct form *f, const char *name, const char *value, struct err *e);   /* RC_NOTFOUND; no check of the value */
void form_note(struct form *f, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
void form_lock(struct form *f, const char *name, const char *why);
const char *form_locked(const struct form *f, const struct field *fd);          /* NULL: it can be edited */
bool form_edited(const struct form *f);
bool field_shown(const struct form *f, const struct field *fd);     /* itself and its page */
bool page_shown(const struct form *f, const struct page *p);
/* Checks one field, all of a page, or all (page NULL). field gets the first one that is refused. */
int  form_check_field(struct form *f, const struct field *fd, struct err *e);
int  form_check(struct form *f, const char *page, const char **field, struct err *e);
/* Label, help (whole: with the default and whom it concerns), choices, with setting_table looked up. */
const char *field_label(const struct field *fd);
const char *field_help(const struct field *fd);
void field_help_whole(const struct field *fd, struct str *out);
void field_choices(const struct form *f, const struct field *fd, struct choice_list *out);
/* Draft: JSON object of the values that differ, without secrets. */
void form_draft(const struct form *f, struct str *json);
int  form_restore(struct form *f, const char *json, struct err *e);

#endif
