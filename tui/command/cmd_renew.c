/* cert renew, cert resume, and the renewals of check --renew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

/* What a renewal or the rest of an order needs, through the questions it may come back with. */
struct again { int64_t vserver, request; struct renewal w; };

static int64_t
again_start(struct cli *c, void *arg, journey_done_fn *done, void *done_arg, struct err *e)
{
	struct again *g = arg;

	str_reset(&g->w.result);
	return g->request != 0 ? certificate_resume(c->j, g->request, &g->w.result, &g->w.result_id, done, done_arg, e)
	    : certificate_renew(c->j, g->vserver, &g->w, done, done_arg, e);
}

static int
print_and_use(struct cli *c, const struct args *a, struct again *g, bool request, int64_t server, struct err *e)
{
	struct server sv = { .id = 0 };
	int rc = 0;

	if (c->json)
		out_json(json_pack("{s:I,s:s,s:o}", "id", (json_int_t)g->w.result_id, "kind", request ? "request" : "certificate", "text",
		    json_text(g->w.result.s)));
	else
		out_text(g->w.result.s);
	if (args_has(a, "use") && (rc = store_server_get(journey_store(c->j), server, &sv, e)) == 0)
		rc = push_server(c, sv.name, a, e);
	server_release(&sv);
	return rc;
}

/* Nothing is there to push yet: it goes to a file, or to an authority, the one named or the one that issued it, where somebody
 * has to approve it. */
static bool
waits(struct cli *c, const struct vserver *vs, const struct renewal *w)
{
	struct certificate cert = { .id = 0 };
	struct authority a = { .id = 0 };
	bool yes = w->out != NULL;

	if (w->authority != NULL)
		yes = yes || authority_asks(c->j, w->authority);
	else if (!yes && vs->certificate_set && vs->certificate != 0 &&
	    store_certificate_get(journey_store(c->j), vs->certificate, &cert, NULL) == 0 &&
	    cert.authority != 0 && store_authority_get(journey_store(c->j), cert.authority, &a, NULL) == 0)
		yes = authority_asks(c->j, a.name);
	certificate_release(&cert);
	authority_release(&a);
	return yes;
}

int
cmd_cert_renew(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct again g = { .w = { .second = args_has(a, "second"), .new_key = args_has(a, "new-key"), .kind = args_get(a, "key"), .authority = args_get(a, "authority"), .out = args_get(a, "out") } };
	bool later;
	int rc = cli_vserver(c, a->words[0], &vs, e);

	str_init(&g.w.result, 0);
	later = rc == 0 && waits(c, &vs, &g.w);
	g.vserver = vs.id;
	if (rc == 0 && g.w.kind != NULL && !g.w.new_key)
		rc = err_set(e, RC_USAGE, "--key is the kind of a new key: --new-key");
	if (rc == 0 && g.w.authority != NULL && g.w.out != NULL)
		rc = err_set(e, RC_USAGE, "--authority and --out: one of them");
	if (rc == 0 && args_has(a, "use") && later)
		rc = err_set(e, RC_USAGE, "--use: there is nothing to push until the answer has come");
	if (rc == 0)
		rc = cli_job(c, vs.server, again_start, &g, e);
	if (rc == 0)
		rc = print_and_use(c, a, &g, later, vs.server, e);
	str_release(&g.w.result);
	vserver_release(&vs);
	return rc;
}

int
cmd_cert_resume(struct cli *c, const struct args *a, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct again g = { .request = 0 };
	int rc = cli_vserver(c, a->words[0], &vs, e);

	str_init(&g.w.result, 0);
	if (rc == 0 && (g.request = certificate_unfinished(c->j, vs.id)) == 0) {
		rc = err_set(e, RC_NOTFOUND, "no order of %s waits at an ACME authority", clean(a->words[0]));
		err_hint(e, "mxseal cert requests shows what waits");
	}
	if (rc == 0)
		rc = cli_job(c, vs.server, again_start, &g, e);
	if (rc == 0)
		rc = print_and_use(c, a, &g, false, vs.server, e);
	str_release(&g.w.result);
	vserver_release(&vs);
	return rc;
}

/* --- check --renew --- */

/* Of several failures the one that says most about the hosts: unknown, undone, failed, refused, unreachable. */
static int
gravity(const struct err *e)
{
	static const int order[] = { 3, 4, 7, 5, 6 };
	size_t i;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (order[i] == err_exit_status(e->code))
			return (int)i + 1;
	return 0;
}

static void
window_told(void *arg, int rc, const struct err *e)
{
	const struct cli *c = arg;

	if (rc == -1 && !c->quiet)
		fprintf(stderr, "mxseal: when to renew could not be asked: %s\n", clean(e->text));
}

/* What is edited on the server besides certificates: nobody is here to look at a plan of that. first: one such edit. */
static bool
has_other_edits(struct cli *c, int64_t server, char first[200])
{
	struct str all = STR_INIT;
	char **lines;
	bool yes = false;
	size_t i;

	(void)pending_edits(c->j, server, &all);
	lines = words_split(all.s, "\n", NULL);
	for (i = 0; lines[i] != NULL && !yes; i++) {
		yes = strstr(lines[i], ": certificate #") == NULL;
		snprintf(first, 200, "%s", lines[i]);
	}
	words_free(lines);
	str_release(&all);
	return yes;
}

/* A renewal that was made, but whose push failed: another certificate is assigned than the one on the host, which is due. */
static bool
waits_for_push(struct cli *c, int64_t certificate, const char *pem)
{
	struct certificate wanted = { .id = 0 }, found = { .id = 0 };
	bool yes = certificate != 0 && pem != NULL &&
	    store_certificate_get(journey_store(c->j), certificate, &wanted, NULL) == 0 && cert_describe(pem, &found, NULL) == 0 &&
	    !text_eq(wanted.sha256, found.sha256) && text_eq(wanted.subject, found.subject) && wanted.not_after > found.not_after &&
	    when_now() >= found.not_after - (found.not_after - found.not_before) / 3;

	certificate_release(&wanted);
	certificate_release(&found);
	return yes;
}

/* One virtual server: its order is gone on with, or its certificate renewed, where it is time; then pushed and proved. */
static int
renew_one(struct cli *c, const struct args *a, const struct vserver *vs, bool second, const char *name, json_t *rows, struct err *e)
{
	struct again g = { .vserver = vs->id, .w = { .second = second, .new_key = true } };
	int64_t certificate = !vs->certificate_set ? 0 : second ? vs->second : vs->certificate;
	struct str why = STR_INIT;
	char edit[200] = "";
	struct err own;
	int64_t id;
	int rc = 0;

	str_init(&g.w.result, 0);
	id = certificate != 0 ? certificate_window_ask(c->j, certificate, window_told, c, &own) : 0;
	if (id > 0)
		jobq_wait(journey_jobs(c->j), id);
	if (!second)
		g.request = certificate_unfinished(c->j, vs->id);
	if (g.request != 0)
		str_add(&why, "its order was not finished");
	else if (waits_for_push(c, certificate, second ? vs->second_pem : vs->cert_pem)) {
		str_add(&why, "it was renewed and not pushed yet");
		g.w.result_id = certificate;
	} else if (!certificate_is_due(c->j, certificate, &why))
		goto out;
	if (!c->quiet)
		fprintf(stderr, "%s%s: %s\n", clean(name), second ? ", the second certificate" : "", clean(why.s));
	if (has_other_edits(c, vs->server, edit)) {
		rc = err_set(e, RC_CONFLICT, "other edits are not pushed yet, and nobody is here to look at them: %s", clean(edit));
		err_hint(e, "push them, or take them back; then check --renew goes on");
	}
	if (rc == 0 && g.w.result_id == 0)
		rc = cli_job(c, vs->server, again_start, &g, e);
	if (rc == 0 && !c->json)
		out_text(g.w.result.s);
	if (rc == 0) {
		char server[80];

		snprintf(server, sizeof(server), "%.*s", (int)strcspn(name, "/"), name);
		rc = push_server(c, server, a, e);
	}
	json_array_append_new(rows, json_pack("{s:o,s:o,s:I,s:b,s:o}", "vs", json_text(name), "why", json_text(why.s), "certificate",
	    (json_int_t)(rc == 0 ? g.w.result_id : 0), "ok", rc == 0, "text", json_text(rc == 0 ? NULL : e->text)));
	if (rc == -1)
		fprintf(stderr, "mxseal: %s was not renewed: %s\n", clean(name), clean(e->text));
out:
	str_release(&g.w.result);
	str_release(&why);
	return rc;
}

int
renew_due(struct cli *c, const struct args *a, json_t *rows, struct err *e)
{
	struct vserver_list l = { NULL, 0 };
	struct err own = { .code = RC_OK };
	size_t i, failed = 0;

	if (store_vservers(journey_store(c->j), 0, &l, e) == -1)
		return -1;
	for (i = 0; i < l.n; i++) {
		char *name = l.v[i].present ? xstrdup(vserver_name(c, l.v[i].id)) : NULL;

		for (int second = 0; name != NULL && second < 2; second++) {
			struct vserver now = { .id = 0 };    /* renewing the first may have changed it */
			int rc = store_vserver_get(journey_store(c->j), l.v[i].id, &now, &own);

			if (rc == 0 && (second == 0 || now.second != 0))
				rc = renew_one(c, a, &now, second == 1, name, rows, &own);
			vserver_release(&now);
			if (rc == -1 && (failed++ == 0 || gravity(&own) > gravity(e)))
				*e = own;
		}
		free(name);
	}
	vserver_list_release(&l);
	if (failed > 0)
		err_wrap(e, "%zu of the renewals failed", failed);
	return failed == 0 ? 0 : -1;
}
