/* A live look at a mail destination: every MX, greeting, STARTTLS, handshake, chain and name; from the mail host, because its
 * network delivers the mail, and from here, to compare. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"
#include "tui/console/views/reports.h"

struct probe_data { char *target; int64_t server; struct probe_report report[2]; char *error[2]; bool there[2]; bool talk; size_t top; };

static void
report_drop(void *p)
{
	probe_report_release(p);
	free(p);
}

static int64_t
probe_start(struct task *t, struct err *e)
{
	struct view *v = view_by_serial(t->app, t->view);
	const struct probe_data *d = v != NULL ? v->data : NULL;

	if (d == NULL)
		return err_set(e, RC_CANCELLED, "the view was closed");
	char *colon = strrchr(d->target, ':'), *name = xstrdup(d->target);
	int port = colon != NULL && strchr(d->target, ']') == NULL && colon == strchr(d->target, ':') ? atoi(colon + 1) : 0;
	if (port > 0)
		name[colon - d->target] = '\0';
	int64_t r = destination_probe(t->app->j, t->id == 0 ? t->server : 0, name, port > 0 ? port : 25, port == 0, t->data,
	    task_done, t, e);
	free(name);
	return r;
}

static void
probe_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct probe_data *d = v != NULL ? v->data : NULL;

	if (d == NULL)
		return;
	probe_report_release(&d->report[t->id]);
	memset(&d->report[t->id], 0, sizeof(d->report[0]));
	xset(&d->error[t->id], NULL);
	d->there[t->id] = rc == 0;
	if (rc == 0) {
		d->report[t->id] = *(struct probe_report *)t->data;
		memset(t->data, 0, sizeof(struct probe_report));
	} else {
		d->error[t->id] = xasprintf("%s%s%s", e->text, e->hint[0] != '\0' ? "  Do: " : "", e->hint);
	}
}

static void
run(struct view *v)
{
	struct probe_data *d = v->data;

	if (d->target == NULL || task_of_view(v, NULL) != NULL)
		return;
	for (int i = d->server != 0 ? 0 : 1; i < 2; i++) {
		struct task t = { .verb = "test", .server = i == 0 ? d->server : 0, .view = v->serial, .id = i, .start = probe_start,
		    .end = probe_end, .data = xcalloc(1, sizeof(struct probe_report)), .drop = report_drop };
		task_run(v->app, &t);
	}
}

static void
asked(struct app *a, struct view *v, int64_t arg, const char *text)
{
	(void)a, (void)arg;
	if (v == NULL)
		return;
	struct probe_data *d = v->data;
	if (!text_empty(text)) {
		xset(&d->target, text);
		for (int i = 0; i < 2; i++) {
			xset(&d->error[i], NULL);
			d->there[i] = false;
		}
		run(v);
	} else if (d->target == NULL) {
		view_pop(v);
	}
}

static void
act_other(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, v, 0, asked, "Domain or host[:port] to test");
}

static void
act_talk(struct view *v)
{
	struct probe_data *d = v->data;

	d->talk = !d->talk;
	d->top = 0;
	app_say(v->app, STYLE_NORMAL, "%s", d->talk ? "The conversation with each mail server; s shows what came of it." : "");
}

static int
probe_open(struct view *v, const void *p, struct err *e)
{
	const struct probe_arg *arg = p;
	struct probe_data *d = v->data;

	(void)e;
	d->server = arg->server;
	if (arg->target != NULL)
		d->target = xstrdup(arg->target);
	if (d->target != NULL)
		run(v);
	else
		act_other(v);
	return 0;
}

static void
probe_close(struct view *v)
{
	struct probe_data *d = v->data;

	for (int i = 0; i < 2; i++) {
		probe_report_release(&d->report[i]);
		free(d->error[i]);
	}
	free(d->target);
	for (struct task *t; !v->app->closing && (t = task_of_view(v, NULL)) != NULL; ) {
		t->view = 0;
		if (!t->asks)
			task_cancel(t);
	}
}

static void
probe_draw(struct view *v, struct area a)
{
	static const char *const names[] = { "from the mail host", "from here" };
	struct probe_data *d = v->data;
	struct lines l = { NULL, 0 };
	struct area in = a.h >= 6 && a.w >= 30 ? draw_box(a, d->target != NULL ? d->target : "Test") : a;

	v->page = in.h;
	for (int i = d->server != 0 ? 0 : 1; i < 2; i++) {
		if (l.n > 0)
			lines_add(&l, STYLE_NORMAL, "");
		lines_addf(&l, STYLE_TITLE, "Seen %s", names[i]);
		if (d->there[i] && d->talk)
			transcript_lines(&d->report[i], in.w, &l);
		else if (d->there[i])
			report_lines(&d->report[i], in.w, &l);
		else if (d->error[i] != NULL)
			lines_wrap(&l, STYLE_BAD, in.w, 2, d->error[i]);
		else
			lines_add(&l, STYLE_UNKNOWN, "  looking ...");
	}
	lines_draw(&l, in, &d->top);
	lines_release(&l);
}

static bool
probe_key(struct view *v, int key)
{
	return lines_key(&((struct probe_data *)v->data)->top, key_command(key), v->page);
}

static void
probe_crumb(const struct view *v, struct str *out)
{
	const struct probe_data *d = v->data;
	str_addf(out, "Test > %s", d->target != NULL ? d->target : "");
}

static void
probe_copy(const struct view *v, bool command, struct str *out)
{
	const struct probe_data *d = v->data;
	struct server s = { 0 };

	if (!command) {
		str_add(out, d->report[d->server != 0 ? 0 : 1].verdict);
		return;
	}
	str_add(out, "mxseal probe ");
	str_add_word(out, d->target);
	if (d->server != 0 && store_server_get(v->app->st, d->server, &s, NULL) == 0) {
		str_addf(out, " --via %s", s.name);
		server_release(&s);
	}
}

static const struct action probe_actions[] = {
	{ 't', "test again", "test again", "Looks once more.", "mxseal probe TARGET --via SERVER --mx", run, NULL, 0 },
	{ 's', "what was said", "transcript", "The SMTP conversation with each mail server, up to the end of STARTTLS.",
	  "mxseal --json probe TARGET", act_talk, NULL, 0 },
	{ 'o', "other target", "other target", "Tests another domain or host.", "mxseal probe TARGET", act_other, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_probe = {
	.name = "probe", .title = "Test of a destination",
	.about = "What a mail server sees when it delivers there. No mail is sent: the session ends after STARTTLS.",
	.state_size = sizeof(struct probe_data), .actions = probe_actions, .open = probe_open, .close = probe_close,
	.draw = probe_draw, .key = probe_key, .crumb = probe_crumb, .copy = probe_copy,
};
