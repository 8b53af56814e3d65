/* The office of an own authority: the requests that wait for a decision, then what it issued. The article's "approving pending
 * requests". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/authority.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct row { bool pending; size_t at; };
struct office_data {
	struct authority a;
	struct submission_list waiting;
	struct issued_list issued;
	struct row *rows;
	struct list list;
};

/* --- rows --- */

static void
row_words(const struct office_data *d, const struct row *r, struct str *out)
{
	const struct submission *s = &d->waiting.v[r->at];
	const struct issued *i = &d->issued.v[r->at];
	char date[16];

	when_date(date, r->pending ? s->at : i->not_after);
	if (r->pending)
		str_addf(out, "? #%lld %s, waits since %s, by %s", (long long)s->id, s->subject ? s->subject : "-", date, s->who);
	else if (i->revoked_at != 0)
		str_addf(out, "! %s, revoked: %s", i->subject ? i->subject : "-", i->reason);
	else
		str_addf(out, "  %s, until %s", i->subject ? i->subject : "-", date);
}

static void
add_row(struct view *v, struct office_data *d, bool pending, size_t at)
{
	struct row r = { pending, at };
	struct str words = STR_INIT;

	row_words(d, &r, &words);
	v->total++;
	if (match_words(words.s, v->filter))
		d->rows[d->list.n++] = r;
	str_release(&words);
}

static void
load(struct view *v)
{
	struct office_data *d = v->data;
	struct err e = { .code = RC_OK };
	int64_t id = d->a.id;
	size_t i;

	authority_release(&d->a);
	submission_list_release(&d->waiting);
	issued_list_release(&d->issued);
	free(d->rows);
	d->rows = NULL;
	d->list.n = 0;
	v->total = 0;
	if (store_authority_get(v->app->st, id, &d->a, &e) != 0 || store_submissions(v->app->st, id, &d->waiting, &e) != 0 ||
	    store_issued(v->app->st, id, &d->issued, &e) != 0)
		app_fail(v->app, &e);
	d->rows = xcalloc(d->waiting.n + d->issued.n + 1, sizeof(*d->rows));
	for (i = 0; i < d->waiting.n; i++)
		if (strcmp(d->waiting.v[i].state, "pending") == 0)
			add_row(v, d, true, i);
	for (i = d->issued.n; i-- > 0; )
		add_row(v, d, false, i);
	v->shown = d->list.n;
}

static const struct row *
selected(const struct view *v)
{
	const struct office_data *d = v->data;

	return d->list.sel < d->list.n ? &d->rows[d->list.sel] : NULL;
}

static bool on_any(const struct view *v) { return selected(v) != NULL; }
static bool on_pending(const struct view *v) { return selected(v) != NULL && selected(v)->pending; }

static bool
on_holding(const struct view *v)
{
	const struct row *r = selected(v);

	return r != NULL && !r->pending && ((const struct office_data *)v->data)->issued.v[r->at].revoked_at == 0;
}

/* --- deciding: verbs that may ask for the passphrase and are then called again --- */

struct decision { int64_t id; char *out; struct str pem, said; size_t revoked; };

static void
decision_drop(void *p)
{
	struct decision *d = p;

	free(d->out);
	str_release(&d->pem);
	str_release(&d->said);
	free(d);
}

static void
decide(struct view *v, const char *verb, int64_t id, const char *out, task_start_fn *start, task_end_fn *end)
{
	struct decision *d = xcalloc(1, sizeof(*d));

	*d = (struct decision){ .id = id, .out = out != NULL ? xstrdup(out) : NULL, .pem = STR_INIT, .said = STR_INIT };
	struct task t = { .verb = verb, .view = v->serial, .start = start, .end = end, .data = d, .drop = decision_drop };
	task_run(v->app, &t);
}

static int64_t
approve_start(struct task *t, struct err *e)
{
	struct decision *d = t->data;

	return authority_approve(t->app->j, d->id, &d->pem, &d->said, e);
}

static void
approve_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct decision *d = t->data;

	(void)v;
	if (rc != 0)
		app_fail(t->app, e);
	else
		app_message(t->app, "Approved", STYLE_OK, d->said.s);
}

static void
approve_sure(struct app *a, struct view *v, int64_t id, const char *text)
{
	(void)a;
	if (text != NULL && v != NULL)
		decide(v, "approve", id, NULL, approve_start, approve_end);
}

static void
act_approve(struct view *v)
{
	const struct office_data *d = v->data;
	const struct submission *s = &d->waiting.v[selected(v)->at];

	prompt_open(v->app, PROMPT_YESNO, v, s->id, approve_sure, "Sign #%lld, %s, names %s?", (long long)s->id,
	    clean(s->subject ? s->subject : "-"), clean(s->san ? s->san : "-"));
}

static void
deny_why(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e;

	(void)v;
	if (text == NULL)
		return;
	if (authority_deny(a->j, id, text, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_OK, "#%lld is denied.", (long long)id);
}

static void
act_deny(struct view *v)
{
	const struct office_data *d = v->data;

	prompt_open(v->app, PROMPT_LINE, v, d->waiting.v[selected(v)->at].id, deny_why, "Deny it. Why (for whoever asked)?");
}

static void
reason_chosen(struct app *a, struct view *v, size_t index, const char *name)
{
	struct office_data *d = v->data;
	struct err e;

	(void)index;
	if (!on_holding(v))
		return;
	if (authority_revoke(a->j, d->a.id, d->issued.v[selected(v)->at].serial, name, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_OK, "Revoked here. Peers learn it from the list: l writes a new one.");
}

static void
act_revoke(struct view *v)
{
	struct choice_list l = { NULL, 0 };
	const struct revocation_reason *r;
	char label[120];

	for (r = revocation_reasons; r->name != NULL; r++) {
		snprintf(label, sizeof(label), "%s: %s", r->name, r->help);
		choice_list_add(&l, r->name, label);
	}
	struct chooser_arg arg = { .title = "Revoke it for good. Why?", .list = &l, .current = "unspecified", .v = v, .fn = reason_chosen };
	view_push(v->app, &view_chooser, &arg);
	choice_list_release(&l);
}

static int64_t
crl_start(struct task *t, struct err *e)
{
	struct decision *d = t->data;

	if (authority_make_crl(t->app->j, d->id, 30, &d->pem, &d->revoked, e) != 0)
		return -1;
	return str_write_file(d->out, d->pem.s, d->pem.len, 0644, e);
}

static void
crl_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	struct decision *d = t->data;

	(void)v;
	if (rc != 0)
		app_fail(t->app, e);
	else
		app_say(t->app, STYLE_OK, "The list with %zu revoked certificate%s is in %s.", d->revoked, d->revoked == 1 ? "" : "s", d->out);
}

static void
crl_file(struct app *a, struct view *v, int64_t id, const char *text)
{
	(void)a;
	if (text != NULL && *text != '\0' && v != NULL)
		decide(v, "revocation list", id, text, crl_start, crl_end);
}

static void
act_crl(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, v, ((struct office_data *)v->data)->a.id, crl_file, "Write the revocation list to which file?");
}

static int64_t
renew_start(struct task *t, struct err *e)
{
	return authority_renew_own(t->app->j, ((struct decision *)t->data)->id, 0, e);
}

static void
renew_end(struct task *t, struct view *v, int rc, const struct err *e)
{
	(void)v;
	if (rc != 0)
		app_fail(t->app, e);
	else
		app_say(t->app, STYLE_OK, "It is good for as long again, under the same key. Who trusts it by its file needs the new one.");
}

static void
renew_sure(struct app *a, struct view *v, int64_t id, const char *text)
{
	(void)a;
	if (text != NULL && v != NULL)
		decide(v, "renew", id, NULL, renew_start, renew_end);
}

static void
act_renew(struct view *v)
{
	const struct office_data *d = v->data;

	prompt_open(v->app, PROMPT_YESNO, v, d->a.id, renew_sure, "Renew %s itself: same key, as long as before, from now?", d->a.name);
}

static void
submit_file(struct app *a, struct view *v, int64_t id, const char *text)
{
	int64_t n = 0;
	struct err e;

	(void)v;
	if (text == NULL || *text == '\0')
		return;
	if (authority_submit_file(a->j, id, text, &n, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_OK, "It waits as #%lld.", (long long)n);
}

static void
act_submit(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, v, ((struct office_data *)v->data)->a.id, submit_file, "Which file has the request (PKCS#10)?");
}

static void
act_policy(struct view *v)
{
	struct office_data *d = v->data;
	bool ask = d->a.policy != NULL && strcmp(d->a.policy, "ask") == 0;
	struct err e;

	if (authority_policy(v->app->j, d->a.id, ask ? "always" : "ask", &e) != 0)
		app_fail(v->app, &e);
	else
		app_say(v->app, STYLE_OK, ask ? "Requests of the wizard are signed at once now." : "Each request waits for approval now.");
}

static void
act_whole(struct view *v)
{
	const struct office_data *d = v->data;
	const struct row *r = selected(v);
	struct str t = STR_INIT;
	char since[32];

	if (r != NULL && !r->pending) {
		const struct issued *i = &d->issued.v[r->at];
		char *command = xasprintf("mxseal authority show %s", d->a.name);
		struct certificate_arg arg = { .title = i->subject, .pem = i->pem, .command = command };

		if (i->pem != NULL)
			view_push(v->app, &view_certificate, &arg);
		free(command);
	} else if (r != NULL) {
		const struct submission *s = &d->waiting.v[r->at];

		when_rfc3339(since, s->at);
		str_addf(&t, "Subject   %s\nNames     %s\nKey       SHA-256 %s\nBy        %s\nSince     %s\n\n%s", s->subject ? s->subject : "-",
		    s->san ? s->san : "-", s->spki_sha256 ? s->spki_sha256 : "-", s->who, since, s->pem);
		app_message(v->app, "A request that waits", STYLE_NORMAL, t.s);
	}
	str_release(&t);
}

/* --- the view --- */

static int
office_open(struct view *v, const void *arg, struct err *e)
{
	struct office_data *d = v->data;

	(void)e;
	d->a.id = *(const int64_t *)arg;
	load(v);
	return 0;
}

static void
office_close(struct view *v)
{
	struct office_data *d = v->data;

	authority_release(&d->a);
	submission_list_release(&d->waiting);
	issued_list_release(&d->issued);
	free(d->rows);
}

static void
office_draw(struct view *v, struct area a)
{
	struct office_data *d = v->data;
	struct area in = a.h >= 6 && a.w >= 30 ? draw_box(a, "Requests that wait, then what was issued, newest first") : a;

	v->page = in.h;
	list_fit(&d->list, in.h);
	for (int y = 0; y < in.h && d->list.top + (size_t)y < d->list.n; y++) {
		size_t i = d->list.top + (size_t)y;
		const struct row *r = &d->rows[i];
		struct str t = STR_INIT;

		str_add(&t, i == d->list.sel ? "> " : "  ");
		row_words(d, r, &t);
		draw_row(in, y, 0, 0, i == d->list.sel ? STYLE_SELECTED : r->pending ? STYLE_EDITED
		    : d->issued.v[r->at].revoked_at != 0 ? STYLE_BAD : STYLE_NORMAL, t.s);
		str_release(&t);
	}
	if (d->list.n == 0)
		draw_put(in, 0, 0, 0, STYLE_NORMAL, v->filter != NULL ? "Nothing matches." : "Nothing waits and nothing was issued yet.");
}

static bool
office_key(struct view *v, int key)
{
	return list_key(&((struct office_data *)v->data)->list, key_command(key), v->page);
}

static void
office_crumb(const struct view *v, struct str *out)
{
	str_addf(out, "Authority %s", ((const struct office_data *)v->data)->a.name ? ((const struct office_data *)v->data)->a.name : "");
}

static void
office_state(const struct view *v, struct str *out)
{
	const struct office_data *d = v->data;

	str_add(out, d->a.policy != NULL && strcmp(d->a.policy, "ask") == 0 ? "waits for approval" : "signs at once");
}

static void
office_copy(const struct view *v, bool command, struct str *out)
{
	const struct office_data *d = v->data;
	const struct row *r = selected(v);

	if (command)
		str_addf(out, "mxseal authority %s %s", r != NULL && r->pending ? "pending" : "show", d->a.name ? d->a.name : "");
	else if (r != NULL)
		str_add(out, r->pending ? d->waiting.v[r->at].pem : d->issued.v[r->at].pem ? d->issued.v[r->at].pem : "");
}

static const struct action office_actions[] = {
	{ K_ENTER, "whole request or certificate", "all of it", "All of the selected request or certificate.", NULL, act_whole, on_any, 0 },
	{ 'A', "approve", "approve", "Signs the request; one of the wizard is assigned to its virtual server as well.",
	  "mxseal authority approve NAME ID", act_approve, on_pending, 0 },
	{ 'D', "deny", "deny", "Refuses the request, with a reason.", "mxseal authority deny NAME ID --why TEXT", act_deny, on_pending, 0 },
	{ 'V', "revoke", "revoke", "The certificate does not hold any more; it cannot be taken back.",
	  "mxseal authority revoke NAME SERIAL --reason R", act_revoke, on_holding, 0 },
	{ 'l', "revocation list", "list", "Writes the list of revoked certificates to a file, for those who ask it.",
	  "mxseal authority crl NAME --out FILE", act_crl, NULL, 0 },
	{ 'n', "submit a request", "submit", "A request that was made elsewhere, from a file.", "mxseal authority submit NAME FILE",
	  act_submit, NULL, 0 },
	{ 'R', "renew the authority", "renew", "New dates under the same key; what it issued stays valid.", "mxseal authority renew NAME",
	  act_renew, NULL, 0 },
	{ 'p', "policy", "policy", "Between signing at once and waiting for approval.", "mxseal authority policy NAME always|ask",
	  act_policy, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_office = {
	.name = "office", .title = "Authority",
	.about = "An own authority at work: the requests that wait for your decision, and the certificates it issued. Nothing here "
	    "changes a host; a certificate that is approved for a virtual server goes there with the next push.",
	.state_size = sizeof(struct office_data), .finds = true, .actions = office_actions, .open = office_open,
	.close = office_close, .draw = office_draw, .key = office_key, .changed = load, .crumb = office_crumb,
	.state = office_state, .copy = office_copy,
};
