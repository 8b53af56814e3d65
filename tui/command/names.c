/* Names on the command line: servers, virtual servers, numbers; and forms filled from options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/command.h"

#define LOOK_SECONDS 60          /* for what a question is decided by */

int
cli_server(struct cli *c, const char *name, struct server *out, struct err *e)
{
	return store_server_by_name(journey_store(c->j), name, out, e);
}

int
cli_vserver(struct cli *c, const char *name, struct vserver *out, struct err *e)
{
	return store_vserver_by_name(journey_store(c->j), name, out, e);
}

static bool
listed(const struct server_list *l, int64_t id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].id == id)
			return true;
	return false;
}

/* Moves the servers of a group from all to out; nobody stands there twice. */
static int
take(struct server_list *all, const char *group, struct server_list *out, struct err *e)
{
	size_t i, n = 0;

	for (i = 0; i < all->n; i++) {
		if (!text_eq(all->v[i].group, group))
			continue;
		n++;
		if (listed(out, all->v[i].id))
			continue;
		*server_list_add(out) = all->v[i];
		memset(&all->v[i], 0, sizeof(all->v[i]));
	}
	if (n > 0)
		return 0;
	err_set(e, RC_NOTFOUND, "no server is in the group \"%s\"", clean(group));
	return err_hint(e, "mxseal server set NAME --group %s puts one there", clean(group));
}

static int
add_word(struct cli *c, const char *word, struct server_list *out, struct err *e)
{
	struct server_list all = { NULL, 0 };
	struct server sv = { .id = 0 };
	int rc;

	if (*word == '@') {
		rc = store_servers(journey_store(c->j), &all, e);
		if (rc == 0)
			rc = take(&all, word + 1, out, e);
		server_list_release(&all);
		return rc;
	}
	if (cli_server(c, word, &sv, e) == -1)
		return -1;
	if (listed(out, sv.id))
		server_release(&sv);
	else
		*server_list_add(out) = sv;
	return 0;
}

int
cli_servers(struct cli *c, const struct args *a, struct server_list *out, struct err *e)
{
	size_t i;

	if (a->n == 0)
		return store_servers(journey_store(c->j), out, e);
	for (i = 0; i < a->n; i++)
		if (add_word(c, a->words[i], out, e) == -1)
			return -1;
	return 0;
}

int
cli_id(const char *text, int64_t *out, struct err *e)
{
	char *end;

	*out = strtoll(text + (*text == '#'), &end, 10);
	if (*end != '\0' || *out <= 0)
		return err_set(e, RC_USAGE, "\"%s\" is not the number of a request, a certificate or an edit", clean(text));
	return 0;
}

int
cli_form(struct cli *c, const struct sheet *s, int64_t object, const char *object_name, const struct args *a,
    struct form **out, struct err *e)
{
	const struct field *fd;
	struct str value = STR_INIT;
	int rc = form_open(out, s, c->j, object, object_name, e);

	for (fd = s->fields; rc == 0 && fd->name != NULL; fd++) {
		if (fd->kind == FIELD_NOTE || (fd->flags & FIELD_NO_OPTION) || !args_has(a, fd->name))
			continue;
		str_reset(&value);
		if (fd->kind == FIELD_LIST)
			args_join(a, fd->name, &value);
		else
			str_add(&value, fd->kind == FIELD_CHECK ? "yes" : args_get(a, fd->name));
		rc = form_set(*out, fd->name, value.s, e);
	}
	str_release(&value);
	return rc;
}

static int64_t
form_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct form *f = arg;

	(void)c;
	return f->sheet->start(f, done, done_arg, e);
}

int
cli_form_check(struct form *f, struct err *e)
{
	const char *field = NULL;
	const struct field *fd;

	if (form_check(f, NULL, &field, e) == 0)
		return 0;
	fd = field ? form_field(f, field, NULL) : NULL;
	if (fd != NULL && !(fd->flags & FIELD_NO_OPTION))
		err_wrap(e, "--%s", field);
	return -1;
}

struct form_look { struct form *form; const char *page; };

static int64_t
form_look_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct form_look *l = arg;
	int64_t id = l->form->sheet->look(l->form, l->page, done, done_arg);

	(void)c;
	return id == -1 ? err_set(e, RC_REMOTE, "its server cannot be asked") : id;
}

void
cli_form_look(struct cli *c, struct form *f, int64_t server, const char *const *pages)
{
	int64_t end = when_monotonic_ms() + LOOK_SECONDS * INT64_C(1000);
	struct str question = STR_INIT;
	struct err e;

	for (; *pages != NULL && f->sheet->ask != NULL && f->sheet->ask(f, &question) && when_monotonic_ms() < end; pages++) {
		struct form_look l = { f, *pages };

		e = (struct err){ .code = RC_OK };
		if (cli_job_within(c, server, (int)((end - when_monotonic_ms()) / 1000) + 1, form_look_start, &l, &e) == -1) {
			fprintf(stderr, "mxseal: no forecast: %s\n", e.code == RC_CANCELLED ? "it took too long, mxseal rehearse takes its time" : clean(e.text));
			break;
		}
		str_reset(&question);
	}
	(void)form_check(f, NULL, NULL, NULL);
	str_release(&question);
}

int
cli_form_ask(struct cli *c, const struct form *f, bool yes, struct err *e)
{
	struct str question = STR_INIT;
	size_t i;
	int rc = 0;

	for (i = 0; f->sheet->fields[i].name != NULL; i++)
		if ((f->sheet->kind == SHEET_WIZARD || strcmp(f->value[i], f->was[i]) != 0) && f->note[i] != NULL && *f->note[i] != '\0' &&
		    !text_starts(f->note[i], "on the host"))
			fprintf(stderr, "%s: %s\n", f->sheet->fields[i].name, clean(f->note[i]));
	if (f->sheet->ask == NULL || !f->sheet->ask(f, &question))
		return 0;
	if (!yes && c->no_input) {
		err_set(e, RC_USAGE, "not without a yes: %s", clean(question.s));
		rc = err_hint(e, "look at the figures above, then say --yes");
	} else if (!yes && cli_confirm(c, &yes, e, "%s", question.s) == -1)
		rc = -1;
	else if (!yes)
		rc = err_set(e, RC_CANCELLED, "nothing was edited");
	str_release(&question);
	return rc;
}

int
cli_form_run(struct cli *c, struct form *f, int64_t server, struct err *e)
{
	size_t i;

	if (cli_form_check(f, e) == -1)
		return -1;
	for (i = 0; !c->json && f->sheet->fields[i].name != NULL; i++)
		if (f->note[i] != NULL && strchr(f->note[i], '!') != NULL)
			fprintf(stderr, "%s: %s\n", f->sheet->fields[i].name, clean(f->note[i]));
	return cli_job(c, server, form_start, f, e);
}
