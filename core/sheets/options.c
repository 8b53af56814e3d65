/* A form as options of the command line, from the same table the command line parses them with. */
#include <string.h>

#include "private.h"

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void
option(const char *name, const char *value, struct str *out)
{
	str_addf(out, " --%s ", name);
	str_add_word(out, value);
}

static void
list_options(const char *name, const char *value, struct str *out)
{
	char **words = words_split(value, " ", NULL);

	for (size_t i = 0; words[i] != NULL; i++)
		option(name, words[i], out);
	if (words[0] == NULL)
		option(name, "", out);
	words_free(words);
}

/* One field, whatever its value. */
static void
field_options(const struct form *f, size_t i, struct str *out)
{
	const struct field *fd = &f->sheet->fields[i];

	if (fd->kind == FIELD_LIST)
		list_options(fd->name, f->value[i], out);
	else if (fd->kind != FIELD_CHECK)
		option(fd->name, f->value[i], out);
	else if (form_yes(f, fd->name))
		str_addf(out, " --%s", fd->name);
}

void
sheet_options_proposed(const struct form *f, const char *const *names, struct str *out)
{
	for (size_t i = 0; f->sheet->fields[i].name != NULL; i++) {
		const struct field *fd = &f->sheet->fields[i];

		if (is_one_of(fd->name, names) && field_shown(f, fd) && strcmp(f->value[i], f->was[i]) == 0 &&
		    strcmp(f->value[i], fd->initial != NULL ? fd->initial : "") != 0)
			field_options(f, i, out);
	}
}

void
sheet_options(const struct form *f, const char *const *except, struct str *out)
{
	for (size_t i = 0; f->sheet->fields[i].name != NULL; i++) {
		const struct field *fd = &f->sheet->fields[i];
		bool edited = strcmp(f->value[i], f->was[i]) != 0, needed = (fd->flags & FIELD_REQUIRED) != 0;

		if ((fd->flags & FIELD_NO_OPTION) != 0 || fd->kind == FIELD_NOTE || fd->kind == FIELD_SECRET ||
		    is_one_of(fd->name, except) || !field_shown(f, fd) || !(edited || (needed && *f->value[i] != '\0')))
			continue;
		field_options(f, i, out);
	}
}
