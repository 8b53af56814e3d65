/* A form: the values of one sheet while it is open. Knows nothing of what a sheet is about. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/secret.h"
#include "mxseal/sheet.h"
#include "mxseal/xalloc.h"

#define CHOICES_SAID 12   /* more are not listed in a sentence */
#define VALUE_MAX 16384   /* bytes of one value: a list of names is the longest */

static size_t
field_count(const struct sheet *s)
{
	size_t n = 0;

	while (s->fields[n].name != NULL)
		n++;
	return n;
}

int
form_open(struct form **out, const struct sheet *s, struct journey *j, int64_t object, const char *object_name, struct err *e)
{
	struct form *f = xcalloc(1, sizeof(*f));
	size_t n = field_count(s), i;

	f->sheet = s;
	f->journey = j;
	f->object = object;
	f->object_name = xstrdup(object_name);
	f->value = xcalloc(n + 1, sizeof(char *));
	f->was = xcalloc(n + 1, sizeof(char *));
	f->note = xcalloc(n + 1, sizeof(char *));
	f->lock = xcalloc(n + 1, sizeof(char *));
	str_init(&f->result, 0);
	for (i = 0; i < n; i++)
		f->value[i] = xstrdup(s->fields[i].initial ? s->fields[i].initial : "");
	if (s->load != NULL && s->load(f, e) == -1) {
		form_close(f);
		return -1;
	}
	for (i = 0; i < n; i++)
		f->was[i] = xstrdup(f->value[i]);
	*out = f;
	return 0;
}

void
form_close(struct form *f)
{
	size_t n, i;

	if (f == NULL)
		return;
	n = field_count(f->sheet);
	for (i = 0; i < n; i++) {
		if (f->sheet->fields[i].kind == FIELD_SECRET)
			secret_wipe(f->value[i], strlen(f->value[i]));
		free(f->value[i]);
		free(f->was[i]);
		free(f->note[i]);
		free(f->lock[i]);
	}
	free(f->value);
	free(f->was);
	free(f->note);
	free(f->lock);
	free(f->at);
	free(f->object_name);
	str_release(&f->result);
	if (f->data_free != NULL)
		f->data_free(f->data);
	free(f);
}

const struct field *
form_field(const struct form *f, const char *name, size_t *index)
{
	size_t i;

	for (i = 0; f->sheet->fields[i].name != NULL; i++)
		if (strcmp(f->sheet->fields[i].name, name) == 0) {
			if (index != NULL)
				*index = i;
			return &f->sheet->fields[i];
		}
	return NULL;
}

const char *
form_get(const struct form *f, const char *name)
{
	size_t i;

	return form_field(f, name, &i) != NULL ? f->value[i] : "";
}

bool
form_yes(const struct form *f, const char *name)
{
	return strcmp(form_get(f, name), "yes") == 0;
}

int
form_set(struct form *f, const char *name, const char *value, struct err *e)
{
	size_t i;

	if (form_field(f, name, &i) == NULL)
		return err_set(e, RC_NOTFOUND, "%s has no field \"%s\"", f->sheet->title, clean(name));
	if (strlen(value) > VALUE_MAX)
		return err_set(e, RC_INVALID, "%s: longer than %d bytes", name, VALUE_MAX);
	if (f->sheet->fields[i].kind == FIELD_SECRET)
		secret_wipe(f->value[i], strlen(f->value[i]));
	xset(&f->value[i], value);
	return 0;
}

void
form_note(struct form *f, const char *name, const char *fmt, ...)
{
	va_list ap;
	size_t i;

	if (form_field(f, name, &i) == NULL)
		return;
	free(f->note[i]);
	f->note[i] = NULL;
	if (fmt == NULL || *fmt == '\0')
		return;
	va_start(ap, fmt);
	if (vasprintf(&f->note[i], fmt, ap) == -1)
		f->note[i] = NULL;
	va_end(ap);
}

void
form_lock(struct form *f, const char *name, const char *why)
{
	size_t i;

	if (form_field(f, name, &i) != NULL)
		xset(&f->lock[i], why);
}

const char *
form_locked(const struct form *f, const struct field *fd)
{
	return f->lock[fd - f->sheet->fields];
}

bool
form_edited(const struct form *f)
{
	size_t i;

	for (i = 0; f->sheet->fields[i].name != NULL; i++)
		if (strcmp(f->value[i], f->was[i]) != 0)
			return true;
	return false;
}

bool
page_shown(const struct form *f, const struct page *p)
{
	return p->shown == NULL || p->shown(f);
}

bool
field_shown(const struct form *f, const struct field *fd)
{
	const struct page *p;

	for (p = f->sheet->pages; p->name != NULL; p++)
		if (strcmp(p->name, fd->page) == 0 && !page_shown(f, p))
			return false;
	return fd->shown == NULL || fd->shown(f);
}

static const struct setting *
field_setting(const struct field *fd)
{
	return fd->kind == FIELD_SETTING ? setting_find(fd->name) : NULL;
}

const char *
field_label(const struct field *fd)
{
	const struct setting *s = field_setting(fd);

	return fd->label != NULL ? fd->label : s != NULL ? s->label : fd->name;
}

const char *
field_help(const struct field *fd)
{
	const struct setting *s = field_setting(fd);

	return fd->help != NULL ? fd->help : s != NULL ? s->help : "";
}

void
field_help_whole(const struct field *fd, struct str *out)
{
	const struct setting *s = field_setting(fd);

	str_add(out, field_help(fd));
	if (s == NULL)
		return;
	if (s->initial != NULL)
		str_addf(out, " Default: %s.", s->initial);
	if (s->affects != NULL)
		str_addf(out, " Concerns %s.", s->affects);
}

void
choice_list_add(struct choice_list *l, const char *name, const char *label)
{
	ARRAY_GROW(l->v, l->n);
	l->v[l->n].name = xstrdup(name);
	l->v[l->n].label = xstrdup(label);
	l->n++;
}

void
choice_list_release(struct choice_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].name);
		free(l->v[i].label);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

void
field_choices(const struct form *f, const struct field *fd, struct choice_list *out)
{
	static const struct choice yes_no[] = { { "yes", "yes", NULL }, { "no", "no", NULL }, { NULL, NULL, NULL } };
	const struct setting *s = field_setting(fd);
	const struct choice *c = fd->choices;

	if (fd->options != NULL) {
		fd->options(f, out);
		return;
	}
	if (s != NULL) {
		choice_list_add(out, "", "as it is");
		c = s->kind == SETTING_BOOL ? yes_no : s->choices;
	}
	for (; c != NULL && c->name != NULL; c++)
		choice_list_add(out, c->name, c->label);
}

static void
refuse_choice(const struct field *fd, const struct choice_list *l, const char *value, struct err *e)
{
	struct str names = STR_INIT;
	size_t i;

	for (i = 0; i < l->n; i++)
		str_addf(&names, "%s%s", names.len > 0 ? ", " : "", l->v[i].name);
	if (l->n == 0)
		err_set(e, RC_INVALID, "%s: there is nothing to choose from", field_label(fd));
	else if (l->n > CHOICES_SAID) {
		err_set(e, RC_INVALID, "%s takes one of %zu words, not \"%s\"", fd->name, l->n, clean(value));
		err_hint(e, "%s%s%s", fd->help, fd->example ? " For example: " : "", fd->example ? fd->example : "");
	} else
		err_set(e, RC_INVALID, "%s takes %.200s, not \"%s\"", fd->name, names.s, clean(value));
	str_release(&names);
}

/* A choice must be one of those offered. Where nothing is spelt just so, upper and lower case are not told apart, and the
 * value becomes what the list says. */
static int
check_choice(struct form *f, const struct field *fd, const char *value, struct err *e)
{
	struct choice_list l = { NULL, 0 };
	const char *like = NULL;
	size_t i;
	int rc = -1;

	field_choices(f, fd, &l);
	for (i = 0; i < l.n && rc == -1; i++) {
		if (strcmp(l.v[i].name, value) == 0)
			rc = 0;
		else if (text_ieq(l.v[i].name, value))
			like = l.v[i].name;
	}
	if (rc == -1 && like != NULL)
		rc = form_set(f, fd->name, like, e);
	else if (rc == -1 && (fd->flags & FIELD_FREE))
		rc = 0;
	else if (rc == -1)
		refuse_choice(fd, &l, value, e);
	choice_list_release(&l);
	return rc;
}

/* Words of a list may be typed with commas between them: "a, b" is "a b". A comma inside a word stays. */
static void
tidy_list(struct form *f, const struct field *fd)
{
	const char *value = form_get(f, fd->name);
	char **words = words_split(value, " ", NULL);
	struct str tidy = STR_INIT;

	for (size_t i = 0; words[i] != NULL; i++) {
		size_t n = strlen(words[i]);

		while (n > 0 && words[i][n - 1] == ',')
			n--;
		if (n > 0)
			str_addf(&tidy, "%s%.*s", tidy.len > 0 ? " " : "", (int)n, words[i]);
	}
	if (strchr(value, ',') != NULL && strcmp(tidy.s, value) != 0)
		(void)form_set(f, fd->name, tidy.s, NULL);
	words_free(words);
	str_release(&tidy);
}

int
form_check_field(struct form *f, const struct field *fd, struct err *e)
{
	const struct setting *s = field_setting(fd);
	struct str note = STR_INIT;
	const char *value;
	int rc = 0;

	if (fd->kind == FIELD_LIST)
		tidy_list(f, fd);
	value = form_get(f, fd->name);
	if (fd->kind == FIELD_NOTE)
		return 0;
	if (form_locked(f, fd) != NULL)                /* what was said before may stay, or go */
		return *value == '\0' || strcmp(value, f->was[fd - f->sheet->fields]) == 0 ? 0 :
		    err_set(e, RC_INVALID, "%s: %s", fd->name, form_locked(f, fd));
	if (*value == '\0') {
		if (fd->flags & FIELD_REQUIRED)
			rc = err_set(e, RC_INVALID, "%s is needed", field_label(fd));
	} else if (s != NULL)
		rc = setting_check(s, value, &note, e);
	else if (fd->kind == FIELD_CHOICE)
		rc = check_choice(f, fd, value, e);
	else if (fd->kind == FIELD_CHECK && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		rc = err_set(e, RC_INVALID, "%s takes yes or no, not \"%s\"", fd->name, clean(value));
	if (s != NULL && rc == 0)
		str_reset(&note);                      /* held the normal form */
	value = form_get(f, fd->name);                 /* a choice may be spelt otherwise now */
	if (rc == 0 && *value != '\0' && fd->check != NULL)
		rc = fd->check(f, value, &note, e);
	if (note.len > 0)
		form_note(f, fd->name, "%s", note.s);
	str_release(&note);
	return rc;
}

int
form_check(struct form *f, const char *page, const char **field, struct err *e)
{
	const struct field *fd;

	if (field != NULL)
		*field = NULL;
	for (fd = f->sheet->fields; fd->name != NULL; fd++) {
		if ((page != NULL && strcmp(fd->page, page) != 0) || !field_shown(f, fd))
			continue;
		if (form_check_field(f, fd, e) == -1) {
			if (field != NULL)
				*field = fd->name;
			return -1;
		}
	}
	if (page == NULL && f->sheet->check != NULL)
		return f->sheet->check(f, field, e);
	return 0;
}

#define AT "@page"          /* no field is called so */

void
form_draft(const struct form *f, struct str *json)
{
	json_t *o = json_object();
	char *text;
	size_t i;

	for (i = 0; f->sheet->fields[i].name != NULL; i++) {
		const struct field *fd = &f->sheet->fields[i];

		if (fd->kind != FIELD_SECRET && fd->kind != FIELD_NOTE && strcmp(f->value[i], f->was[i]) != 0)
			json_object_set_new(o, fd->name, json_string(f->value[i]));
	}
	if (f->at != NULL)
		json_object_set_new(o, AT, json_string(f->at));
	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	str_add(json, text);
	free(text);
	json_decref(o);
}

int
form_restore(struct form *f, const char *json, struct err *e)
{
	json_error_t je;
	json_t *o = json_loads(json, 0, &je), *v;
	const char *name;

	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(e, RC_PARSE, "the draft of \"%s\" cannot be read", f->sheet->title);
	}
	xset(&f->at, json_string_value(json_object_get(o, AT)));
	json_object_foreach(o, name, v) {
		const struct field *fd = form_field(f, name, NULL);

		/* a field that is gone since the draft was written is passed over */
		if (fd != NULL && fd->kind != FIELD_SECRET && json_is_string(v))
			(void)form_set(f, name, json_string_value(v), NULL);
	}
	json_decref(o);
	return 0;
}
