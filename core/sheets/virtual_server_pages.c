/* Pages of a virtual server's properties that are read: its certificate, the native lines, what was done to it. Texts from the
 * host or from elsewhere are cleaned by whoever shows them (lines_wrap, out_text). */
#include <stdlib.h>
#include <string.h>

#include "virtual_server.h"
#include "mxseal/certificate.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define PUSHES 20
#define ACTIVITIES 1000      /* so many rows are looked through ... */
#define SHOWN 40             /* ... for so many */

static const struct properties *
of(const struct form *f)
{
	return f->data;
}

static void
row(struct str *out, const char *label, const char *text)
{
	str_addf(out, "%-11s%s\n", label, text && *text ? text : "-");
}

/* --- certificate --- */

static void
certificate_rows(const struct certificate *c, struct str *out)
{
	char date[16];
	char *text;

	row(out, "Subject", c->subject);
	row(out, "Names", c->san);
	row(out, "Issuer", c->issuer);
	when_date(date, c->not_after);
	text = xasprintf("%s, %lld days left", date, (long long)((c->not_after - when_now()) / 86400));
	row(out, "Good until", c->not_after > when_now() ? text : "it has expired");
	free(text);
	row(out, "SHA-256", c->sha256);
}

static void
bound_rows(const struct form *f, struct certificate *c, struct str *out)
{
	const struct vserver *vs = &of(f)->vs;
	char *text;

	if (vs->certificate_set && vs->certificate != 0
	    && store_certificate_get(journey_store(f->journey), vs->certificate, c, NULL) == 0) {
		text = xasprintf("#%lld, assigned here", (long long)c->id);
		row(out, "Bound", text);
		free(text);
		certificate_rows(c, out);
		row(out, "Key", c->key_path);
	} else if (!vs->certificate_set && vs->cert_pem != NULL && cert_describe(vs->cert_pem, c, NULL) == 0) {
		row(out, "Bound", "by the host's own configuration");
		certificate_rows(c, out);
		row(out, "File", vs->cert_file);
	} else
		row(out, "Bound", vs->certificate_set ? "none: a push takes ours away" : "none");
	if (vs->cert_trouble != NULL)
		row(out, "Trouble", vs->cert_trouble);
}

static void
served_rows(const struct vserver *vs, const struct certificate *bound, struct str *out)
{
	struct certificate c = { .id = 0 };
	char ago[16], *text;

	if (vs->served_at == 0 && vs->served_trouble == NULL) {
		row(out, "Served", "not looked at yet: r in the tree reads the host");
		return;
	}
	if (vs->served_trouble != NULL) {
		row(out, "Served", vs->served_trouble);
		return;
	}
	when_ago(ago, when_now() - vs->served_at);
	if (vs->served_pem != NULL && cert_describe(vs->served_pem, &c, NULL) == 0) {
		text = xasprintf("%s, seen %s ago%s", c.cn ? c.cn : c.subject, ago, bound->sha256 == NULL ? "" :
		    text_eq(bound->sha256, c.sha256) ? ": the one that is bound" : ": NOT the one that is bound; a push makes it so");
		row(out, "Served", text);
		free(text);
	}
	certificate_release(&c);
}

/* Requests that wait; how many. */
static size_t
request_rows(const struct form *f, struct str *out)
{
	struct request_list l = { NULL, 0 };
	size_t i, n = 0;
	char date[16], *text;

	if (store_requests(journey_store(f->journey), of(f)->vs.id, &l, NULL) == -1)
		return 0;
	for (i = 0; i < l.n; i++) {
		if (!text_eq(l.v[i].state, "pending"))
			continue;
		when_date(date, l.v[i].created_at);
		text = xasprintf("#%lld %s for %s, of %s", (long long)l.v[i].id, l.v[i].name ? l.v[i].name : "", l.v[i].subject.cn ?
		    l.v[i].subject.cn : "-", date);
		row(out, n++ == 0 ? "Waiting" : "", text);
		free(text);
	}
	request_list_release(&l);
	return n;
}

void
vs_page_certificate(const struct form *f, struct str *out)
{
	struct certificate bound = { .id = 0 };
	size_t waiting;

	bound_rows(f, &bound, out);
	str_addc(out, '\n');
	served_rows(&of(f)->vs, &bound, out);
	waiting = request_rows(f, out);
	str_addc(out, '\n');
	row(out, "Next", waiting > 0 ? "c in the tree processes the answer of the authority"
	    : bound.sha256 == NULL ? "c in the tree requests one or assigns one"
	    : bound.not_after - when_now() < 30 * 86400 ? "it ends soon: c in the tree renews it"
	    : !of(f)->has_certificate ? "peers cannot trust this one: c in the tree requests one or assigns one" : "nothing to do");
	certificate_release(&bound);
}

/* --- native lines --- */

static void
indent(struct str *out, const char *source, const char *lines)
{
	char *copy = xstrdup(lines), *save = NULL, *l;

	for (l = strtok_r(copy, "\n", &save); l != NULL; l = strtok_r(NULL, "\n", &save))
		str_addf(out, "  %-10s %s\n", source, l);
	free(copy);
}

/* What stands on the host, one section for what somebody said and one for what nobody did. */
static void
found_lines(const struct vserver *vs, bool defaults, struct str *out)
{
	const struct setting *s;

	for (s = setting_table; s->name != NULL; s++) {
		const struct found_value *fv = found_of_vs(vs, s->name);

		if (fv != NULL && (strcmp(fv->source, "default") == 0) == defaults)
			indent(out, defaults ? "" : fv->source, fv->native);
	}
}

void
vs_page_raw(const struct form *f, struct str *out)
{
	struct str lines = STR_INIT;
	size_t i, start;

	str_add(out, "A push would write\n");
	start = out->len;
	for (i = 0; f->sheet->fields[i].name != NULL; i++) {
		const struct field *fd = &f->sheet->fields[i];
		const struct found_value *fv = found_of_vs(&of(f)->vs, fd->name);

		if (fd->kind != FIELD_SETTING || *f->value[i] == '\0' || form_locked(f, fd) != NULL || (fv != NULL && text_eq(fv->value, f->value[i])))
			continue;
		str_reset(&lines);
		native_lines(f->journey, f->object, fd->name, f->value[i], &lines);
		indent(out, strcmp(f->value[i], f->was[i]) ? "* edited" : "", lines.s);
	}
	if (out->len == start)
		str_add(out, "  nothing: the host has what is wanted of it here\n");
	str_add(out, "\nIn force on the host, because somebody said so\n");
	start = out->len;
	found_lines(&of(f)->vs, false, out);
	if (out->len == start)
		str_add(out, "  nothing\n");
	str_add(out, "\nIn force because nobody said otherwise\n");
	start = out->len;
	found_lines(&of(f)->vs, true, out);
	if (out->len == start)
		str_add(out, of(f)->vs.found.n == 0 ? "  nothing is known: the host has not been read\n" : "  nothing\n");
	str_release(&lines);
}

/* --- what was done --- */

static void
stamp(struct str *out, int64_t at)
{
	char text[32];

	when_rfc3339(text, at);
	str_addf(out, "  %.10s %.5s  ", text, text + 11);
}

/* Does this push, or this row of activity, concern it? What is said of main.cf concerns all. */
static bool
concerns(const struct vserver *vs, const char *text)
{
	const char *p = text;
	size_t n = strlen(vs->name);

	if (vs->is_default)
		return true;
	while (p != NULL && (p = strstr(p, vs->name)) != NULL) {
		if ((p == text || strchr(" /\n\t-+\"", p[-1])) && strchr(" :/=\n\t\",", p[n]))
			return true;
		p += n;
	}
	return text != NULL && strstr(text, "main.cf") != NULL;
}

static void
push_lines(const struct form *f, struct str *out)
{
	struct push_record_list l = { NULL, 0 };
	size_t i, n = 0;

	if (store_pushes(journey_store(f->journey), of(f)->vs.server, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n && n < PUSHES; i++) {
		if (!concerns(&of(f)->vs, l.v[i].plan_text))
			continue;
		stamp(out, l.v[i].started_at);
		str_addf(out, "generation %lld: %s\n", (long long)l.v[i].generation, l.v[i].result ? l.v[i].result : "-");
		n++;
	}
	if (n == 0)
		str_add(out, "  none\n");
	push_record_list_release(&l);
}

static void
activity_lines(const struct form *f, struct str *out)
{
	struct activity_list l = { NULL, 0 };
	size_t i, n = 0;

	if (store_activities(journey_store(f->journey), ACTIVITIES, &l, NULL) == -1)
		return;
	for (i = 0; i < l.n && n < SHOWN; i++) {
		const struct activity *a = &l.v[i];

		if (!(text_eq(a->server, of(f)->server.name) && concerns(&of(f)->vs, a->text))
		    && !(a->server == NULL && a->text != NULL && f->object_name != NULL && strstr(a->text, f->object_name)))
			continue;
		stamp(out, a->at);
		str_addf(out, "%s: %s%s%s%s%s\n", a->who, a->verb, a->text && *a->text ? ", " : "", a->text ? a->text : "",
		    text_eq(a->result, "ok") ? "" : ": ", text_eq(a->result, "ok") ? "" : a->result);
		n++;
	}
	if (n == 0)
		str_add(out, "  nothing\n");
	activity_list_release(&l);
}

void
vs_page_history(const struct form *f, struct str *out)
{
	str_add(out, "Pushes (UTC)\n");
	push_lines(f, out);
	str_add(out, "\nWhat was done\n");
	activity_lines(f, out);
}
