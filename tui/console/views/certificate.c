/* One certificate with its chain: who, for what, how long, and whether a peer that checks would be content. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/certificate.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/app.h"

struct certificate_data { char *title, *pem, *command; int64_t id; size_t top; };

static int
certificate_open(struct view *v, const void *p, struct err *e)
{
	const struct certificate_arg *arg = p;
	struct certificate_data *d = v->data;

	(void)e;
	d->title = xstrdup(arg->title);
	d->pem = xstrdup(arg->pem);
	d->id = arg->id;
	d->command = xstrdup(arg->command);
	return 0;
}

static void
certificate_close(struct view *v)
{
	struct certificate_data *d = v->data;

	free(d->title);
	free(d->pem);
	free(d->command);
}

static void
leaf_lines(const struct certificate_data *d, int w, struct lines *l)
{
	struct certificate c = { 0 };
	struct cert_verdict verdict;
	struct err e;
	char from[16], until[16], text[320];

	if (cert_describe(d->pem, &c, &e) != 0) {
		lines_wrap(l, STYLE_BAD, w, 0, e.text);
		return;
	}
	when_date(from, c.not_before);
	when_date(until, c.not_after);
	lines_field(l, STYLE_NORMAL, w, "Subject", c.subject);
	lines_field(l, STYLE_NORMAL, w, "Names", c.san);
	lines_field(l, STYLE_NORMAL, w, "Issuer", c.issuer);
	snprintf(text, sizeof(text), "%s .. %s", from, until);
	lines_field(l, c.not_after < when_now() ? STYLE_BAD : STYLE_NORMAL, w, "Valid", text);
	snprintf(text, sizeof(text), "%s %d bits", c.key_type != NULL ? c.key_type : "?", c.key_bits);
	lines_field(l, STYLE_NORMAL, w, "Key", text);
	lines_field(l, STYLE_NORMAL, w, "Serial", c.serial);
	lines_field(l, STYLE_NORMAL, w, "SHA-256", c.sha256);
	lines_field(l, STYLE_NORMAL, w, "Key hash", c.spki_sha256);
	cert_verify(d->pem, c.cn != NULL ? c.cn : "", NULL, when_now(), &verdict);
	snprintf(text, sizeof(text), "%s%s", verdict.trusted && verdict.in_time ? "ok  " : "! ", verdict.text);
	lines_field(l, verdict.trusted && verdict.in_time ? STYLE_OK : STYLE_WARN, w, "Verdict", text);
	lines_wrap(l, STYLE_NORMAL, w, 11, "           as a peer sees it that knows the authorities of this machine");
	certificate_release(&c);
}

static void
certificate_draw(struct view *v, struct area a)
{
	struct certificate_data *d = v->data;
	struct cert_line_list chain = { NULL, 0 };
	struct lines l = { NULL, 0 };
	struct area in = a.h >= 6 && a.w >= 30 ? draw_box(a, d->title) : a;
	char until[16];

	v->page = in.h;
	leaf_lines(d, in.w, &l);
	if (cert_chain_lines(d->pem, &chain, NULL) == 0) {
		lines_add(&l, STYLE_NORMAL, "");
		lines_addf(&l, STYLE_TITLE, "Chain (%zu)", chain.n);
		for (size_t i = 0; i < chain.n; i++) {
			struct str t = STR_INIT;
			when_date(until, chain.v[i].not_after);
			str_addf(&t, "%zu  %s", i + 1, chain.v[i].subject);
			lines_wrap(&l, STYLE_NORMAL, in.w, 3, t.s);
			str_reset(&t);
			str_addf(&t, "   issued by %s%s, until %s%s", chain.v[i].issuer, chain.v[i].self_signed ? " (itself)" : "", until,
			    chain.v[i].is_ca ? ", authority" : "");
			lines_wrap(&l, STYLE_NORMAL, in.w, 3, t.s);
			str_release(&t);
		}
		cert_line_list_release(&chain);
	}
	lines_draw(&l, in, &d->top);
	lines_release(&l);
}

static bool
certificate_key(struct view *v, int key)
{
	return lines_key(&((struct certificate_data *)v->data)->top, key_command(key), v->page);
}

static void
certificate_crumb(const struct view *v, struct str *out)
{
	str_addf(out, "Certificate > %s", ((const struct certificate_data *)v->data)->title);
}

static void
certificate_copy(const struct view *v, bool command, struct str *out)
{
	const struct certificate_data *d = v->data;

	if (!command)
		str_add(out, d->pem);
	else if (d->command != NULL)
		str_add(out, d->command);
	else if (d->id > 0)
		str_addf(out, "mxseal cert show %lld", (long long)d->id);
	else {
		str_add(out, "mxseal cert served ");
		str_add_word(out, d->title);
	}
}

static void
act_pem(struct view *v)
{
	app_copy(v->app, ((const struct certificate_data *)v->data)->pem, "the certificate");
}

static const struct action certificate_actions[] = {
	{ 'y', "copy as PEM", "copy PEM", "Copies the certificate with its chain as PEM.", "mxseal cert show ID", act_pem, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};

const struct view_ops view_certificate = {
	.name = "certificate", .title = "Certificate", .about = "A certificate, its chain, and what a checking peer would say.",
	.state_size = sizeof(struct certificate_data), .actions = certificate_actions, .open = certificate_open,
	.close = certificate_close, .draw = certificate_draw, .key = certificate_key, .crumb = certificate_crumb,
	.copy = certificate_copy,
};
