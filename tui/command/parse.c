/* Words into a command and its options. A wrong word is answered with what could stand there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"

const char *
args_get(const struct args *a, const char *name)
{
	size_t i;

	for (i = a->n_v; i > 0; i--)
		if (strcmp(a->v[i - 1].name, name) == 0)
			return a->v[i - 1].value;
	return NULL;
}

bool
args_has(const struct args *a, const char *name)
{
	return args_get(a, name) != NULL;
}

void
args_join(const struct args *a, const char *name, struct str *out)
{
	size_t i;

	for (i = 0; i < a->n_v; i++)
		if (strcmp(a->v[i].name, name) == 0)
			str_addf(out, "%s%s", out->len ? " " : "", a->v[i].value);
}

const char **
args_values(const struct args *a, const char *name, size_t *n)
{
	const char **values = xcalloc(a->n_v + 1, sizeof(*values));
	size_t i;

	for (i = *n = 0; i < a->n_v; i++)
		if (strcmp(a->v[i].name, name) == 0)
			values[(*n)++] = a->v[i].value;
	return values;
}

void
args_release(struct args *a)
{
	free(a->words);
	free(a->v);
	memset(a, 0, sizeof(*a));
}

/* How many words of argv the command's own words take; 0 when they do not fit. */
static int
words_match(const struct cli_command *c, char **argv, int argc)
{
	char **w = words_split(c->words, " ", NULL);
	int n;

	for (n = 0; w[n] != NULL; n++)
		if (n >= argc || strcmp(w[n], argv[n]) != 0)
			break;
	if (w[n] != NULL)
		n = 0;
	words_free(w);
	return n;
}

/* The words that may stand behind the first n of argv. */
static void
continuations(char **argv, int n, struct str *out)
{
	const struct cli_command *c;
	struct str last = STR_INIT;
	int i;

	for (c = commands; c->words != NULL; c++) {
		char **w = words_split(c->words, " ", NULL);

		for (i = 0; i < n && w[i] != NULL && strcmp(w[i], argv[i]) == 0; i++)
			;
		if (i == n && w[i] != NULL && strcmp(last.s, w[i]) != 0) {
			str_addf(out, "%s%s", out->len ? ", " : "", w[i]);
			str_reset(&last);
			str_add(&last, w[i]);
		}
		words_free(w);
	}
	str_release(&last);
}

const struct cli_command *
command_find(char **argv, int argc, int *used, struct err *e)
{
	const struct cli_command *c, *best = NULL;
	struct str next = STR_INIT;
	int n;

	*used = 0;
	for (c = commands; c->words != NULL; c++)
		if ((n = words_match(c, argv, argc)) > *used) {
			*used = n;
			best = c;
		}
	if (best != NULL)
		return best;
	for (n = argc; n >= 0; n--) {
		continuations(argv, n, &next);
		if (next.len > 0)
			break;
	}
	if (n < argc)
		err_set(e, RC_USAGE, "\"%s\" is not a command", clean(argv[n]));
	else
		err_set(e, RC_USAGE, "the command is not complete");
	err_hint(e, "%s%s: %s", n > 0 ? argv[0] : "", n > 0 ? " may be followed by" : "commands", next.s);
	str_release(&next);
	return NULL;
}

/* The option of a command with this name; field options are made from the sheet. */
static bool
option_find(const struct cli_command *c, const char *name, size_t len, struct option *out)
{
	const struct option *o;
	const struct field *f;

	for (o = c->options; o != NULL && o->name != NULL; o++)
		if (strlen(o->name) == len && strncmp(o->name, name, len) == 0) {
			*out = *o;
			return true;
		}
	if (c->sheet == NULL)
		return false;
	for (f = sheet_find(c->sheet)->fields; f->name != NULL; f++)
		if (strlen(f->name) == len && strncmp(f->name, name, len) == 0 && f->kind != FIELD_NOTE &&
		    !(f->flags & FIELD_NO_OPTION)) {
			*out = (struct option){ f->name, f->kind == FIELD_CHECK ? NULL : "VALUE", field_help(f), f->kind == FIELD_LIST };
			return true;
		}
	return false;
}

static int
option_take(const struct cli_command *c, char **argv, int argc, int *i, struct args *out, struct err *e)
{
	const char *name = argv[*i] + 2, *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	struct option o;

	if (!option_find(c, name, len, &o)) {
		err_set(e, RC_USAGE, "%s has no option --%.*s", c->words, (int)(len > 60 ? 60 : len), clean(name));
		return err_hint(e, "mxseal help %s", c->words);
	}
	if (!o.many && args_has(out, o.name))
		return err_set(e, RC_USAGE, "--%s is given twice", o.name);
	ARRAY_GROW(out->v, out->n_v);
	out->v[out->n_v].name = o.name;
	if (o.value == NULL) {
		if (equals != NULL)
			return err_set(e, RC_USAGE, "--%s takes no value", o.name);
		out->v[out->n_v++].value = "";
		return 0;
	}
	if (equals == NULL && ++*i >= argc)
		return err_set(e, RC_USAGE, "--%s needs a value (%s)", o.name, o.value);
	out->v[out->n_v++].value = equals ? equals + 1 : argv[*i];
	return 0;
}

int
args_parse(const struct cli_command *c, char **argv, int argc, struct args *out, bool *help, struct err *e)
{
	bool only_words = false;
	int i;

	*help = false;
	out->words = xcalloc((size_t)argc + 1, sizeof(char *));
	for (i = 0; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0)
			only_words = true;
		else if (!only_words && strcmp(argv[i], "--help") == 0)
			*help = true;
		else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
			if (option_take(c, argv, argc, &i, out, e) == -1)
				return -1;
		} else
			out->words[out->n++] = argv[i];
	}
	if (!*help && (out->n < c->least || out->n > c->most)) {
		err_set(e, RC_USAGE, out->n < c->least ? "something is missing" : "\"%s\" is too much",
		    out->n > c->most ? clean(out->words[c->most]) : "");
		return err_hint(e, "mxseal %s %s", c->words, c->usage);
	}
	return 0;
}

/* --- help --- */

static void
option_help(const char *name, const char *value, const char *text, struct str *out)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", name, value ? " " : "", value ? value : "");
	str_addf(out, "  %-24s %s\n", left, text ? text : "");
}

void
command_help(const struct cli_command *c, struct str *out)
{
	const struct option *o;
	const struct field *f;

	str_addf(out, "mxseal %s %s\n\n%s\n", c->words, c->usage, c->help);
	if (c->more != NULL)
		str_addf(out, "\n%s\n", c->more);
	if (c->options != NULL || c->sheet != NULL)
		str_add(out, "\nOptions\n");
	for (o = c->options; o != NULL && o->name != NULL; o++)
		option_help(o->name, o->value, o->help, out);
	if (strcmp(c->words, "vs set") == 0)
		settings_help(out);
	for (f = c->sheet ? sheet_find(c->sheet)->fields : NULL; f != NULL && f->name != NULL; f++)
		if (f->kind != FIELD_NOTE && !(f->flags & FIELD_NO_OPTION))
			option_help(f->name, f->kind == FIELD_CHECK ? NULL : "VALUE", field_help(f), out);
}

void
commands_help(struct str *out)
{
	const struct cli_command *c;
	char left[96];

	str_add(out, "mxseal [--store FILE] [--json] [--no-input] [--plain] [--read-only] [--passphrase-fd N] COMMAND ...\n\n"
	    "Without a command it opens the console, which changes no host until W is pressed there or --write is given.\n"
	    "--read-only (or MXSEAL_READ_ONLY=1) refuses whatever would change a host. Commands:\n\n");
	for (c = commands; c->words != NULL; c++) {
		snprintf(left, sizeof(left), "%s %s", c->words, c->usage);
		str_addf(out, "  %-46s %s\n", left, c->help);
	}
	str_add(out, "\nWhere several servers can be named, @GROUP stands for all of a group.\nmxseal help COMMAND tells more. Exit status: 0 done, 1 something to report, 2 wrong command,\n"
	    "3 not reached, 4 refused and nothing touched, 5 undone, 6 state unknown, 7 failed, 130 cancelled.\n");
}
