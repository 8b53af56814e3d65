/* cert request, renew, requests, process, drop-request, restore-request, list, show, served, assign, remove. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

/* Name of the server in front of the slash. */
static void
server_part(const char *vs, char out[80])
{
	snprintf(out, 80, "%.*s", (int)strcspn(vs, "/"), vs);
}

int
use_if_asked(struct cli *c, const struct args *a, const char *vs, struct err *e)
{
	char server[80];

	if (!args_has(a, "use"))
		return 0;
	server_part(vs, server);
	return push_server(c, server, a, e);
}

static int
one_of_out_and_authority(const struct args *a, struct err *e)
{
	if (args_has(a, "out") == args_has(a, "authority"))
		return err_set(e, RC_USAGE, "say where the request goes: --out FILE, or --authority NAME");
	if (args_has(a, "out") && args_has(a, "use"))
		return err_set(e, RC_USAGE, "--use goes with --authority: a request that waits has nothing to use yet");
	return 0;
}

/* What came of a form that makes a request: the request itself, or the certificate at once. */
static void
say_made(struct cli *c, const struct form *f, bool waits)
{
	if (c->json)
		out_json(json_pack("{s:I,s:s,s:o}", "id", (json_int_t)f->result_id, "kind", waits ? "request" : "certificate", "text",
		    json_text(f->result.s)));
	else
		out_text(f->result.s);
}

/* Of two certificates the second has the other kind of key: where none is named, that is it. */
static int
other_key(struct cli *c, const struct vserver *vs, struct form *f, struct err *e)
{
	struct certificate first = { .id = 0 };
	int rc = 0;

	if (vs->certificate_set && vs->certificate != 0)
		rc = store_certificate_get(journey_store(c->j), vs->certificate, &first, e);
	if (rc == 0 && text_eq(first.key_type, "EC"))
		rc = form_set(f, "key", "rsa-2048", e);
	certificate_release(&first);
	return rc;
}

int
cmd_cert_request(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct form *f = NULL;
	bool waits = !args_has(a, "authority");
	int rc = one_of_out_and_authority(a, e);

	if (rc == 0)
		rc = cli_vserver(c, a->words[0], &vs, e);
	if (rc == 0)
		rc = cli_form(c, sheet_find("certificate"), vs.id, a->words[0], a, &f, e);
	if (rc == 0)
		rc = form_set(f, "action", "new", e);
	/* proposals are for somebody who sees them */
	if (rc == 0 && !args_has(a, "san"))
		rc = form_set(f, "san", "", e);
	if (rc == 0 && !args_has(a, "key"))
		rc = args_has(a, "second") ? other_key(c, &vs, f, e) : form_set(f, "key", form_field(f, "key", NULL)->initial, e);
	if (rc == 0)
		rc = form_set(f, "when", args_has(a, "authority") ? "now" : "later", e);
	waits = waits || authority_asks(c->j, args_get(a, "authority"));
	if (rc == 0 && waits && args_has(a, "use")) {
		rc = err_set(e, RC_USAGE, "there is nothing to push until the request is approved");
		err_hint(e, "ask without --use; after mxseal authority approve, mxseal push");
	}
	if (rc == 0)
		rc = cli_form_run(c, f, vs.server, e);
	if (rc == 0)
		say_made(c, f, waits);
	form_close(f);
	vserver_release(&vs);
	return rc == 0 ? use_if_asked(c, a, a->words[0], e) : -1;
}

/* What the authority is to be given: all of it where one request waits, else where it is. */
static void
to_paste(const struct request_list *l)
{
	const struct request *one = NULL;
	struct str text = STR_INIT;
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		if (text_eq(l->v[i].state, "pending") && n++ == 0)
			one = &l->v[i];
	if (n == 1) {
		request_to_send(one, &text);
		putchar('\n');
		out_text(text.s);
	} else if (n > 1)
		puts("\nThe text of one, to paste or to send: mxseal cert request-text ID [--out FILE]");
	str_release(&text);
}

int
cmd_cert_requests(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "ID", "VIRTUAL SERVER", "NAME", "STATE", "SINCE", "FILE" };
	struct table t = { .head = head, .columns = 6 };
	struct request_list l = { NULL, 0 };
	struct vserver vs = { .id = 0 };
	json_t *rows = json_array();
	char date[16];
	size_t i;
	int rc = a->n > 0 ? cli_vserver(c, a->words[0], &vs, e) : 0;

	if (rc == 0)
		rc = store_requests(journey_store(c->j), vs.id, &l, e);
	for (i = 0; i < l.n; i++) {
		if (text_eq(l.v[i].state, "answered"))
			continue;
		json_array_append_new(rows, request_json(c, &l.v[i]));
		when_date(date, l.v[i].created_at);
		table_cell(&t, "%lld", (long long)l.v[i].id);
		table_cell(&t, "%s", vserver_name(c, l.v[i].vserver));
		table_cell(&t, "%s", l.v[i].subject.cn);
		table_cell(&t, "%s", text_eq(l.v[i].state, "dropped") ? "in the trash" : "waiting");
		table_cell(&t, "%s", date);
		table_cell(&t, "%s", l.v[i].out_file ? l.v[i].out_file : "-");
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "requests", rows));
	table_print_unless(&t, c->json || rc == -1);
	if (rc == 0 && !c->json)
		to_paste(&l);
	json_decref(rows);
	request_list_release(&l);
	vserver_release(&vs);
	return rc;
}

int
cmd_cert_request_text(struct cli *c, const struct args *a, struct err *e)
{
	struct request r = { .id = 0 };
	const char *out = args_get(a, "out");
	int64_t id;
	int rc = cli_id(a->words[0], &id, e);

	if (rc == 0)
		rc = out != NULL ? request_write(c->j, id, out, e) : 0;
	if (rc == 0)
		rc = store_request_get(journey_store(c->j), id, &r, e);
	if (rc == 0 && c->json)
		out_json(request_json(c, &r));
	else if (rc == 0 && out != NULL)
		printf("Request #%lld is in %s, SHA-256 %s.\n", (long long)id, clean(out), r.sha256);
	else if (rc == 0)
		out_text(r.pem);
	request_release(&r);
	return rc;
}

int
cmd_cert_process(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct str summary = STR_INIT;
	int64_t request = 0, id = 0;
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0 && args_has(a, "request"))
		rc = cli_id(args_get(a, "request"), &request, e);
	if (rc == 0)
		rc = certificate_process_file(c->j, vs.id, request, a->words[1], args_get(a, "ca"), ANSWER_COMMIT |
		    (args_has(a, "second") ? ANSWER_SECOND : 0) | (args_has(a, "accept-unknown-issuer") ? ANSWER_ANY_ISSUER : 0), &summary, &id, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:I,s:o}", "id", (json_int_t)id, "text", json_text(summary.s)));
	else if (rc == 0)
		out_text(summary.s);
	vserver_release(&vs);
	str_release(&summary);
	return rc == 0 ? use_if_asked(c, a, a->words[0], e) : -1;
}

static int
drop(struct cli *c, const struct args *a, bool restore, struct err *e)
{
	int64_t id;
	int rc = cli_id(a->words[0], &id, e);

	if (rc == 0)
		rc = request_drop(c->j, id, restore, e);
	if (rc == 0 && !c->json)
		printf("Request #%lld %s.\n", (long long)id, restore ? "waits for its answer again" : "is in the trash; its key is kept");
	else if (rc == 0)
		out_json(json_pack("{s:I,s:s}", "id", (json_int_t)id, "state", restore ? "pending" : "dropped"));
	return rc;
}

int
cmd_cert_drop(struct cli *c, const struct args *a, struct err *e)
{
	return drop(c, a, false, e);
}

int
cmd_cert_restore(struct cli *c, const struct args *a, struct err *e)
{
	return drop(c, a, true, e);
}

int
cmd_cert_list(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "ID", "NAME", "ISSUER", "UNTIL", "KEY", "STATE" };
	struct table t = { .head = head, .columns = 6 };
	struct certificate_list l = { NULL, 0 };
	struct vserver vs = { .id = 0 };
	json_t *rows = json_array();
	char date[16];
	size_t i;
	int rc = a->n > 0 ? cli_vserver(c, a->words[0], &vs, e) : 0;

	if (rc == 0)
		rc = store_certificates(journey_store(c->j), &l, e);
	for (i = 0; i < l.n; i++) {
		if (a->n > 0 && l.v[i].key_server != vs.server && text_empty(l.v[i].sealed_key))
			continue;
		json_array_append_new(rows, certificate_json(c, &l.v[i], certificate_state_now(c, &l.v[i])));
		when_date(date, l.v[i].not_after);
		table_cell(&t, "%lld", (long long)l.v[i].id);
		table_cell(&t, "%s", l.v[i].cn ? l.v[i].cn : l.v[i].subject);
		table_cell(&t, "%s", l.v[i].issuer);
		table_cell(&t, "%s", date);
		table_cell(&t, "%s %d", l.v[i].key_type, l.v[i].key_bits);
		table_cell(&t, "%s", certificate_state_now(c, &l.v[i]));
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "certificates", rows));
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	certificate_list_release(&l);
	vserver_release(&vs);
	return rc;
}

/* A number, or the certificate of a virtual server: the one wanted, else the one found. */
static int
find(struct cli *c, const char *word, struct certificate *out, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int64_t id;
	int rc;

	if (cli_id(word, &id, NULL) == 0)
		return store_certificate_get(journey_store(c->j), id, out, e);
	rc = cli_vserver(c, word, &vs, e);
	if (rc == 0 && vs.certificate_set && vs.certificate != 0)
		rc = store_certificate_get(journey_store(c->j), vs.certificate, out, e);
	else if (rc == 0 && vs.cert_pem != NULL)
		rc = cert_describe(vs.cert_pem, out, e);
	else if (rc == 0)
		rc = err_set(e, RC_NOTFOUND, "%s has no certificate", clean(word));
	vserver_release(&vs);
	return rc;
}

int
cmd_cert_show(struct cli *c, const struct args *a, struct err *e)
{
	struct certificate cert = { .id = 0 };

	if (find(c, a->words[0], &cert, e) == -1)
		return -1;
	if (c->json)
		out_json(certificate_json(c, &cert, certificate_state_now(c, &cert)));
	else
		certificate_print(c, &cert, certificate_state_now(c, &cert));
	certificate_release(&cert);
	return 0;
}

int
cmd_cert_served(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct certificate cert = { .id = 0 };
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0)
		rc = server_read_now(c, vs.server, e);
	vserver_release(&vs);
	memset(&vs, 0, sizeof(vs));
	if (rc == 0)
		rc = cli_vserver(c, a->words[0], &vs, e);
	if (rc == 0 && vs.served_pem == NULL) {
		rc = err_set(e, RC_FINDINGS, "%s serves no certificate: %s", clean(a->words[0]),
		    vs.served_trouble ? clean(vs.served_trouble) : "not looked at");
	} else if (rc == 0) {
		rc = cert_describe(vs.served_pem, &cert, e);
		if (rc == 0 && c->json)
			out_json(certificate_json(c, &cert, "served"));
		else if (rc == 0)
			certificate_print(c, &cert, "served");
	}
	certificate_release(&cert);
	vserver_release(&vs);
	return rc;
}

int
cmd_cert_assign(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int64_t id;
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0)
		rc = cli_id(a->words[1], &id, e);
	if (rc == 0)
		rc = certificate_assign(c->j, vs.id, id, args_has(a, "second"), e);
	if (rc == 0 && !c->json)
		printf("Certificate #%lld is assigned to %s%s. Next: mxseal plan\n", (long long)id, clean(a->words[0]),
		    args_has(a, "second") ? " as the second one" : "");
	else if (rc == 0)
		out_json(json_pack("{s:I}", "id", (json_int_t)id));
	vserver_release(&vs);
	return rc == 0 ? use_if_asked(c, a, a->words[0], e) : -1;
}

int
cmd_cert_remove(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0)
		rc = certificate_remove(c->j, vs.id, args_has(a, "second"), e);
	if (rc == 0 && !c->json)
		printf("%s has no %s any more. Next: mxseal plan\n", clean(a->words[0]), args_has(a, "second") ? "second certificate" :
		    "certificate of ours");
	else if (rc == 0)
		out_json(json_pack("{s:n}", "certificate"));
	vserver_release(&vs);
	return rc;
}
