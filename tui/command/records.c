/* Records as JSON objects and as text for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

#define WARNINGS_SHOWN 10     /* of what a mail system says of its own configuration */

void
table_print_unless(struct table *t, bool json)
{
	size_t i;

	if (!json) {
		table_print(t);
		return;
	}
	for (i = 0; i < t->n; i++)
		str_release(&t->cell[i]);
	free(t->cell);
}

json_t *
words_json(const char *words)
{
	char **w = words_split(words, " ,", NULL);
	json_t *a = json_array();
	size_t i;

	for (i = 0; w[i] != NULL; i++)
		json_array_append_new(a, json_text(w[i]));
	words_free(w);
	return a;
}

const char *
vserver_name(struct cli *c, int64_t id)
{
	static char ring[4][160];
	static unsigned turn;
	char *out = ring[turn++ % 4];
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };

	snprintf(out, sizeof(ring[0]), "#%lld", (long long)id);
	if (store_vserver_get(journey_store(c->j), id, &vs, NULL) == 0 &&
	    store_server_get(journey_store(c->j), vs.server, &sv, NULL) == 0)
		snprintf(out, sizeof(ring[0]), "%s/%s", sv.name, vs.name);
	vserver_release(&vs);
	server_release(&sv);
	return out;
}

/* --- virtual servers --- */

static json_t *
settings_json(struct cli *c, const struct vserver *vs)
{
	struct wanted_list w = { NULL, 0 };
	json_t *o = json_object();
	size_t i, k;

	(void)store_wanted(journey_store(c->j), vs->id, &w, NULL);
	for (i = 0; i < vs->found.n; i++) {
		const struct found_value *f = &vs->found.v[i];
		json_t *row = json_object();

		json_object_set_new(row, "found", json_text(f->value));
		json_object_set_new(row, "source", json_text(f->source));
		json_object_set_new(row, "native", json_text(f->native));
		json_object_set_new(row, "wanted", json_null());
		json_object_set_new(o, f->name, row);
	}
	for (k = 0; k < w.n; k++) {
		json_t *row = json_object_get(o, w.v[k].name);

		if (row == NULL)
			json_object_set_new(o, w.v[k].name, row = json_object());
		json_object_set_new(row, "wanted", json_text(w.v[k].value));
	}
	wanted_list_release(&w);
	return o;
}

const char *
vserver_state(const struct vserver *vs)
{
	if (text_eq(vs->ours, "added") && !vs->present)
		return "new, not pushed";
	if (text_eq(vs->ours, "removed"))
		return vs->present ? "to be removed" : "removed";
	if (!vs->present)
		return "gone";
	return vs->run ? vs->run : "started";
}

json_t *
vserver_json(struct cli *c, const struct vserver *vs)
{
	struct certificate cert = { .id = 0 };
	json_t *o = json_object();

	json_object_set_new(o, "name", json_text(vs->name));
	json_object_set_new(o, "default", json_boolean(vs->is_default));
	json_object_set_new(o, "listen", words_json(vs->listen));
	json_object_set_new(o, "implicit_tls", json_boolean(vs->implicit_tls));
	json_object_set_new(o, "present", json_boolean(vs->present));
	json_object_set_new(o, "state", json_text(vserver_state(vs)));
	json_object_set_new(o, "wanted_state", json_text(vs->run_wanted));
	json_object_set_new(o, "kind", json_text(vs->kind));
	json_object_set_new(o, "log_service", json_text(vs->log_service));
	json_object_set_new(o, "settings", settings_json(c, vs));
	json_object_set_new(o, "certificate", json_null());
	if (vs->cert_pem != NULL && cert_describe(vs->cert_pem, &cert, NULL) == 0) {
		json_t *k = certificate_json(c, &cert, NULL);

		json_object_set_new(k, "file", json_text(vs->cert_file));
		json_object_set_new(k, "trouble", json_text(vs->cert_trouble));
		json_object_set_new(o, "certificate", k);
	}
	json_object_set_new(o, "served", vs->served_at ? json_pack("{s:o,s:o,s:o}", "sha256", json_text(vs->served_sha256),
	    "trouble", json_text(vs->served_trouble), "at", json_when(vs->served_at)) : json_null());
	json_object_set_new(o, "wanted_certificate", vs->certificate_set && vs->certificate ? json_integer(vs->certificate)
	    : json_null());
	json_object_set_new(o, "wanted_second", vs->certificate_set && vs->second ? json_integer(vs->second) : json_null());
	json_object_set_new(o, "second", json_null());
	certificate_release(&cert);
	memset(&cert, 0, sizeof(cert));
	if (vs->second_pem != NULL && cert_describe(vs->second_pem, &cert, NULL) == 0)
		json_object_set_new(o, "second", certificate_json(c, &cert, NULL));
	certificate_release(&cert);
	return o;
}

/* What means nothing on this mail system, and what there is instead. */
static void
declined_print(struct cli *c, const struct vserver *vs)
{
	const struct setting *s;
	struct str why = STR_INIT;

	for (s = setting_table; s->name != NULL; s++) {
		str_reset(&why);
		if (setting_declined(c->j, vs->id, s->name, &why))
			printf("  %s: %s\n", s->name, why.s);
	}
	str_release(&why);
}

void
vserver_print(struct cli *c, const struct vserver *vs)
{
	static const char *const head[] = { "SETTING", "WANTED", "FOUND", "FROM", "NATIVE" };
	struct table t = { .head = head, .columns = 5 };
	struct certificate cert = { .id = 0 };
	struct wanted_list w = { NULL, 0 };
	char date[16];
	const char *state = vserver_state(vs);
	size_t i, k;

	if (text_empty(vs->listen))
		printf("%s  only sends", vs->name);
	else
		printf("%s  listens on %s%s", vs->name, clean(vs->listen), vs->implicit_tls ? " (TLS from the first byte)" : "");
	if (strcmp(state, "started") != 0)
		printf("  ! %s", strcmp(state, "gone") == 0 ? "gone from the host" : state);
	putchar('\n');
	if (vs->cert_pem != NULL && cert_describe(vs->cert_pem, &cert, NULL) == 0) {
		when_date(date, cert.not_after);
		printf("  certificate  %s, until %s, %s%s%s\n", clean(cert.subject), date, clean(vs->cert_file),
		    vs->cert_trouble ? "  ! " : "", vs->cert_trouble ? clean(vs->cert_trouble) : "");
	} else
		printf("  certificate  none%s%s\n", vs->cert_trouble ? "  ! " : "", vs->cert_trouble ? clean(vs->cert_trouble) : "");
	certificate_release(&cert);
	memset(&cert, 0, sizeof(cert));
	if (vs->second_pem != NULL && cert_describe(vs->second_pem, &cert, NULL) == 0) {
		when_date(date, cert.not_after);
		printf("  second       %s %d, until %s\n", clean(cert.key_type), cert.key_bits, date);
	}
	if (vs->served_at != 0)
		printf("  served       %s\n", vs->served_sha256 ? vs->served_sha256 : clean(vs->served_trouble));
	(void)store_wanted(journey_store(c->j), vs->id, &w, NULL);
	for (i = 0; i < vs->found.n; i++) {
		const struct found_value *f = &vs->found.v[i];
		const char *wanted = "";

		for (k = 0; k < w.n; k++)
			if (text_eq(w.v[k].name, f->name))
				wanted = w.v[k].value;
		table_cell(&t, "  %s", f->name);
		table_cell(&t, "%s", wanted);
		table_cell(&t, "%s", f->value ? f->value : "?");
		table_cell(&t, "%s", f->source ? f->source : "-");
		table_cell(&t, "%.*s", (int)strcspn(f->native ? f->native : "", "\n"), f->native ? f->native : "");
	}
	table_print(&t);
	declined_print(c, vs);
	wanted_list_release(&w);
	certificate_release(&cert);
}

/* --- servers --- */

static json_t *
lines_json(const char *text)
{
	json_t *a = json_array();
	char **lines = words_split(text != NULL ? text : "", "\n", NULL);

	for (size_t i = 0; lines[i] != NULL; i++)
		json_array_append_new(a, json_text(lines[i]));
	words_free(lines);
	return a;
}

static void
warnings_print(const char *text)
{
	size_t n;
	char **lines = words_split(text != NULL ? text : "", "\n", &n);

	for (size_t i = 0; i < n && i < WARNINGS_SHOWN; i++)
		printf("! %s\n", lines[i]);
	if (n > WARNINGS_SHOWN)
		printf("! and %zu more (--json)\n", n - WARNINGS_SHOWN);
	words_free(lines);
}

json_t *
server_json(struct cli *c, const struct server *sv, bool whole)
{
	struct vserver_list l = { NULL, 0 };
	json_t *o = json_object(), *list = json_array();
	char *others = server_instances(c->j, sv), *warnings = server_warnings(c->j, sv->id);
	size_t i;

	json_object_set_new(o, "name", json_text(sv->name));
	json_object_set_new(o, "target", json_text(sv->target));
	json_object_set_new(o, "group", json_text(sv->group));
	json_object_set_new(o, "system", json_text(sv->mailsys));
	json_object_set_new(o, "version", json_text(sv->version));
	json_object_set_new(o, "host_name", json_text(sv->host_name));
	json_object_set_new(o, "os", json_text(sv->os));
	json_object_set_new(o, "instances", json_text(others));
	free(others);
	json_object_set_new(o, "warnings", lines_json(warnings));
	free(warnings);
	json_object_set_new(o, "transport", json_text(sv->transport));
	json_object_set_new(o, "transport_why", json_text(sv->transport_why));
	json_object_set_new(o, "read_at", json_when(sv->read_at));
	json_object_set_new(o, "trouble", json_text(sv->trouble));
	json_object_set_new(o, "queue_messages", sv->queue_messages >= 0 ? json_integer(sv->queue_messages) : json_null());
	json_object_set_new(o, "generation", json_integer(sv->generation));
	if (whole && store_vservers(journey_store(c->j), sv->id, &l, NULL) == 0)
		for (i = 0; i < l.n; i++)
			json_array_append_new(list, vserver_json(c, &l.v[i]));
	if (whole)
		json_object_set_new(o, "virtual_servers", list);
	else
		json_decref(list);
	vserver_list_release(&l);
	return o;
}

void
server_print(struct cli *c, const struct server *sv)
{
	struct vserver_list l = { NULL, 0 };
	struct str edits = STR_INIT;
	char ago[16], *others;
	size_t i;

	printf("%s  %s\n", sv->name, clean(sv->target));
	if (sv->trouble != NULL)
		printf("! %s\n", clean(sv->trouble));
	if (sv->read_at == 0) {
		printf("? never read: mxseal server read %s\n", sv->name);
		return;
	}
	when_ago(ago, when_now() - sv->read_at);
	printf("%s %s on %s, says %s in EHLO, read %s ago by %s\n", sv->mailsys, clean(sv->version), clean(sv->os),
	    clean(sv->host_name), ago, sv->transport ? sv->transport : "-");
	if (sv->transport_why != NULL)
		printf("  %s\n", clean(sv->transport_why));
	printf("queue %lld, generation %lld\n", (long long)sv->queue_messages, (long long)sv->generation);
	if ((others = server_instances(c->j, sv)) != NULL)
		printf("! %s\n", others);
	free(others);
	others = server_warnings(c->j, sv->id);
	warnings_print(others);
	free(others);
	if (store_vservers(journey_store(c->j), sv->id, &l, NULL) == 0)
		for (i = 0; i < l.n; i++) {
			putchar('\n');
			vserver_print(c, &l.v[i]);
		}
	if (pending_edits(c->j, sv->id, &edits) > 0) {
		printf("\nNot pushed yet:\n");
		out_text(edits.s);
	}
	str_release(&edits);
	vserver_list_release(&l);
}

/* --- certificates and requests --- */

/* Virtual servers that this certificate is wanted for, or serve it. */
static json_t *
used_by(struct cli *c, const struct certificate *cert, bool *in_use, bool *wanted)
{
	struct vserver_list l = { NULL, 0 };
	json_t *a = json_array();
	size_t i;

	*in_use = *wanted = false;
	if (store_vservers(journey_store(c->j), 0, &l, NULL) == 0)
		for (i = 0; i < l.n; i++) {
			bool w = cert->id != 0 && l.v[i].certificate_set && (l.v[i].certificate == cert->id || l.v[i].second == cert->id);
			bool u = cert->sha256 != NULL && (text_eq(l.v[i].served_sha256, cert->sha256) || text_eq(l.v[i].second_served, cert->sha256));

			*wanted = *wanted || w;
			*in_use = *in_use || u;
			if (w || u)
				json_array_append_new(a, json_text(vserver_name(c, l.v[i].id)));
		}
	vserver_list_release(&l);
	return a;
}

const char *
certificate_state_now(struct cli *c, const struct certificate *cert)
{
	bool in_use, wanted;

	json_decref(used_by(c, cert, &in_use, &wanted));
	return cert->not_after <= when_now() ? "expired" : in_use ? "in use" : wanted ? "wanted" : "unused";
}

static json_t *
chain_json(const struct certificate *cert)
{
	struct cert_line_list l = { NULL, 0 };
	json_t *a = json_array();
	size_t i;

	if (cert->pem != NULL && cert_chain_lines(cert->pem, &l, NULL) == 0)
		for (i = 0; i < l.n; i++)
			json_array_append_new(a, json_pack("{s:o,s:o,s:o,s:o,s:o}", "subject", json_text(l.v[i].subject), "issuer",
			    json_text(l.v[i].issuer), "sha256", json_text(l.v[i].sha256), "not_before", json_when(l.v[i].not_before),
			    "not_after", json_when(l.v[i].not_after)));
	cert_line_list_release(&l);
	return a;
}

json_t *
certificate_json(struct cli *c, const struct certificate *cert, const char *state)
{
	struct server sv = { .id = 0 };
	json_t *o = json_object(), *key = json_object();
	bool in_use, wanted;

	json_object_set_new(o, "id", cert->id ? json_integer(cert->id) : json_null());
	json_object_set_new(o, "name", json_text(cert->name));
	json_object_set_new(o, "subject", json_text(cert->subject));
	json_object_set_new(o, "issuer", json_text(cert->issuer));
	json_object_set_new(o, "san", words_json(cert->san));
	json_object_set_new(o, "not_before", json_when(cert->not_before));
	json_object_set_new(o, "not_after", json_when(cert->not_after));
	json_object_set_new(o, "serial", json_text(cert->serial));
	json_object_set_new(o, "sha256", json_text(cert->sha256));
	json_object_set_new(o, "spki_sha256", json_text(cert->spki_sha256));
	json_object_set_new(key, "type", json_text(cert->key_type));
	json_object_set_new(key, "bits", json_integer(cert->key_bits));
	json_object_set_new(key, "where", json_null());
	if (cert->key_server != 0 && store_server_get(journey_store(c->j), cert->key_server, &sv, NULL) == 0)
		json_object_set_new(key, "where", json_sprintf("%s:%s", sv.name, cert->key_path ? cert->key_path : ""));
	else if (!text_empty(cert->sealed_key))
		json_object_set_new(key, "where", json_string("here, sealed"));
	json_object_set_new(o, "key", key);
	json_object_set_new(o, "chain", chain_json(cert));
	json_object_set_new(o, "used_by", used_by(c, cert, &in_use, &wanted));
	json_object_set_new(o, "state", json_text(state));
	server_release(&sv);
	return o;
}

void
certificate_print(struct cli *c, const struct certificate *cert, const char *state)
{
	struct cert_line_list l = { NULL, 0 };
	struct server sv = { .id = 0 };
	char from[16], until[16];
	size_t i;

	when_date(from, cert->not_before);
	when_date(until, cert->not_after);
	if (cert->id != 0)
		printf("Certificate  #%lld %s\n", (long long)cert->id, clean(cert->name));
	printf("Subject      %s\nIssuer       %s\nNames        %s\nValid        %s to %s\n", clean(cert->subject),
	    clean(cert->issuer), clean(cert->san), from, until);
	printf("Serial       %s\nSHA-256      %s\n", clean(cert->serial), cert->sha256 ? cert->sha256 : "-");
	printf("Key          %s %d", clean(cert->key_type), cert->key_bits);
	if (cert->key_server != 0 && store_server_get(journey_store(c->j), cert->key_server, &sv, NULL) == 0)
		printf(" on %s in %s", sv.name, clean(cert->key_path));
	else if (!text_empty(cert->sealed_key))
		printf(" kept here, sealed; on hosts in %s", clean(cert->key_path));
	printf("\n");
	if (cert->pem != NULL && cert_chain_lines(cert->pem, &l, NULL) == 0)
		for (i = 0; i < l.n; i++)
			printf("Chain %zu      %s, issued by %s\n", i + 1, clean(l.v[i].subject), clean(l.v[i].issuer));
	if (state != NULL)
		printf("State        %s\n", state);
	cert_line_list_release(&l);
	server_release(&sv);
}

json_t *
request_json(struct cli *c, const struct request *r)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", json_integer(r->id));
	json_object_set_new(o, "virtual_server", json_text(vserver_name(c, r->vserver)));
	json_object_set_new(o, "name", json_text(r->name));
	json_object_set_new(o, "cn", json_text(r->subject.cn));
	json_object_set_new(o, "san", words_json(r->subject.san));
	json_object_set_new(o, "state", json_text(r->state));
	json_object_set_new(o, "created_at", json_when(r->created_at));
	json_object_set_new(o, "spki_sha256", json_text(r->spki_sha256));
	json_object_set_new(o, "sha256", json_text(r->sha256));
	json_object_set_new(o, "file", json_text(r->out_file));
	json_object_set_new(o, "pem", json_text(r->pem));
	json_object_set_new(o, "certificate", r->certificate ? json_integer(r->certificate) : json_null());
	return o;
}

/* --- plans and pushes --- */

json_t *
plan_json(const struct plan *p)
{
	static const char *const actions[] = { "edit", "create", "remove" };
	json_t *o = json_object(), *changes = json_array(), *checks = json_array(), *warnings = json_array();
	struct str diff = STR_INIT;
	size_t i;

	for (i = 0; i < p->n_changes; i++) {
		str_reset(&diff);
		plan_diff(&p->changes[i], &diff);
		json_array_append_new(changes, json_pack("{s:o,s:s,s:o}", "path", json_text(p->changes[i].path), "action",
		    actions[p->changes[i].action], "diff", json_text(diff.s)));
	}
	for (i = 0; i < p->n_results; i++)
		json_array_append_new(checks, json_pack("{s:o,s:b,s:o}", "name", json_text(p->results[i].name), "ok",
		    p->results[i].ok, "text", json_text(p->results[i].text)));
	for (i = 0; i < p->n_warnings; i++)
		json_array_append_new(warnings, json_text(p->warnings[i]));
	json_object_set_new(o, "server", json_text(p->server_name));
	json_object_set_new(o, "base", json_text(p->base));
	json_object_set_new(o, "generation", json_integer(p->generation));
	json_object_set_new(o, "changes", changes);
	json_object_set_new(o, "checks", checks);
	json_object_set_new(o, "warnings", warnings);
	str_release(&diff);
	return o;
}

static json_t *
counts_json(const struct mail_counts *c)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "seconds", (json_int_t)c->seconds, "sent", (json_int_t)c->sent, "received",
	    (json_int_t)c->received, "deferred", (json_int_t)c->deferred, "bounced", (json_int_t)c->bounced, "tls_errors",
	    (json_int_t)c->tls_errors);
}

json_t *
mail_json(const struct push_mail *m)
{
	if (!m->watched)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o}", "before", counts_json(&m->before), "since", counts_json(&m->since), "lately",
	    counts_json(&m->lately), "alarm", json_text(m->alarm));
}

json_t *
proofs_json(const struct push_report *r)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < r->n_proofs; i++) {
		const struct proof *p = &r->proofs[i];

		json_array_append_new(a, json_pack("{s:o,s:b,s:o,s:o,s:o,s:b,s:b,s:o}", "listen", json_text(p->listen), "ok", p->ok,
		    "sha256", json_text(p->sha256), "protocol", json_text(p->protocol), "cipher", json_text(p->cipher), "chain_ok",
		    p->chain_ok, "name_ok", p->name_ok, "text", json_text(p->text)));
	}
	return a;
}

/* --- queues and probes --- */

static json_t *
states_json(const struct queue_group *g)
{
	json_t *o = json_object();
	size_t i;

	for (i = 0; i < QUEUE_STATES; i++)
		json_object_set_new(o, queue_state_names[i], json_integer(g->states[i]));
	return o;
}

/* How many messages are younger than that, and not in an earlier one. */
static json_t *
ages_json(const struct queue_group *g)
{
	json_t *o = json_object();
	size_t i;

	for (i = 0; i < QUEUE_AGES; i++)
		json_object_set_new(o, queue_ages[i].name, json_integer(g->ages[i]));
	return o;
}

json_t *
groups_json(const struct queue_groups *g)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < g->n; i++) {
		const struct queue_group *q = &g->v[i];
		json_t *o = json_object();
		int64_t age = q->oldest > 0 ? when_now() - q->oldest : 0;

		json_object_set_new(o, "key", json_text(q->key));
		json_object_set_new(o, "messages", json_integer(q->messages));
		json_object_set_new(o, "recipients", json_integer(q->recipients));
		json_object_set_new(o, "bytes", json_integer(q->bytes));
		json_object_set_new(o, "states", states_json(q));
		json_object_set_new(o, "ages", ages_json(q));
		json_object_set_new(o, "next_retry", q->next_retry > 0 ? json_when(q->next_retry) : json_null());
		json_object_set_new(o, "oldest_seconds", json_integer(age > 0 ? age : 0));
		json_object_set_new(o, "class", q->failure ? json_text(q->failure->name) : json_null());
		json_object_set_new(o, "tls", json_boolean(q->failure && q->failure->tls));
		json_object_set_new(o, "side", q->failure ? json_text(failure_side_name(q->failure->side)) : json_null());
		json_object_set_new(o, "title", q->failure ? json_text(q->failure->title) : json_null());
		json_object_set_new(o, "reason", json_text(q->reason));
		json_object_set_new(o, "trend", json_null());
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *
transcript_json(const char *text)
{
	char **l = words_split(text, "\n", NULL);
	json_t *a = json_array();
	size_t i;

	for (i = 0; l[i] != NULL; i++)
		json_array_append_new(a, json_text(l[i]));
	words_free(l);
	return a;
}

static json_t *
sts_json(const struct probe_report *r)
{
	if (r->sts == NULL)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "state", json_text(r->sts), "id", json_text(r->sts_id), "mode", json_text(r->sts_mode),
	    "mx", r->sts_mx != NULL ? words_json(r->sts_mx) : json_array(), "max_age", r->sts_mode != NULL ?
	    json_integer(r->sts_max_age) : json_null(), "error", json_text(r->sts_trouble));
}

static json_t *
probe_host_json(const struct probe_host *p)
{
	json_t *o = json_object(), *ehlo = json_array();
	size_t i;

	for (i = 0; i < p->n_ehlo; i++)
		json_array_append_new(ehlo, json_text(p->ehlo[i]));
	json_object_set_new(o, "host", json_text(p->host));
	json_object_set_new(o, "address", json_text(p->address));
	json_object_set_new(o, "port", json_integer(p->port));
	json_object_set_new(o, "preference", p->preference >= 0 ? json_integer(p->preference) : json_null());
	json_object_set_new(o, "banner", json_text(p->banner));
	json_object_set_new(o, "ehlo", ehlo);
	json_object_set_new(o, "starttls", json_boolean(p->starttls));
	json_object_set_new(o, "protocol", *p->protocol ? json_text(p->protocol) : json_null());
	json_object_set_new(o, "cipher", *p->cipher ? json_text(p->cipher) : json_null());
	json_object_set_new(o, "certificate", p->cert_subject ? json_pack("{s:o,s:o,s:o,s:o}", "subject",
	    json_text(p->cert_subject), "issuer", json_text(p->cert_issuer), "not_after", json_when(p->not_after), "sha256",
	    json_text(p->sha256)) : json_null());
	json_object_set_new(o, "trusted", json_boolean(p->trusted));
	json_object_set_new(o, "name_ok", json_boolean(p->name_ok));
	json_object_set_new(o, "works", p->works != NULL ? words_json(p->works) : json_null());
	json_object_set_new(o, "dane", *p->dane ? json_text(p->dane) : json_null());
	json_object_set_new(o, "class", json_text(p->class_name));
	json_object_set_new(o, "error", json_text(p->trouble));
	json_object_set_new(o, "transcript", p->transcript != NULL ? transcript_json(p->transcript) : json_array());
	return o;
}

json_t *
probe_json(const struct probe_report *r)
{
	json_t *o = json_object(), *hosts = json_array();
	size_t i;

	for (i = 0; i < r->n; i++)
		json_array_append_new(hosts, probe_host_json(&r->v[i]));
	json_object_set_new(o, "target", json_text(r->target));
	json_object_set_new(o, "from", json_text(r->from));
	json_object_set_new(o, "hosts", hosts);
	json_object_set_new(o, "class", json_text(r->class_name));
	json_object_set_new(o, "side", json_text(r->side));
	/* null: not looked at */
	json_object_set_new(o, "dane", r->dane != NULL ? json_pack("{s:o}", "state", json_text(r->dane)) : json_null());
	json_object_set_new(o, "mta_sts", sts_json(r));
	json_object_set_new(o, "verdict", json_text(r->verdict));
	return o;
}

void
probe_print(const struct probe_report *r)
{
	static const char *const head[] = { "HOST", "ADDRESS", "STARTTLS", "PROTOCOL", "CERTIFICATE", "CLASS" };
	struct table t = { .head = head, .columns = 6 };
	size_t i;

	printf("%s, seen from %s\n", clean(r->target), clean(r->from));
	for (i = 0; i < r->n; i++) {
		const struct probe_host *p = &r->v[i];

		table_cell(&t, "%s:%d", p->host ? p->host : "-", p->port);
		table_cell(&t, "%s", p->address ? p->address : "-");
		table_cell(&t, "%s", p->starttls ? "yes" : "no");
		table_cell(&t, "%s", *p->protocol ? p->protocol : "-");
		table_cell(&t, "%s", p->cert_subject ? p->cert_subject : "-");
		table_cell(&t, "%s", p->class_name ? p->class_name : "-");
	}
	table_print(&t);
	for (i = 0; i < r->n; i++)
		if (r->n > 1 && r->v[i].trouble != NULL)     /* of one alone the verdict says it */
			printf("%s: %s\n", clean(r->v[i].host), clean(r->v[i].trouble));
	for (i = 0; i < r->n; i++)
		if (r->v[i].works != NULL)
			printf("%s: versions that work: %s\n", clean(r->v[i].host), *r->v[i].works ? r->v[i].works : "none");
	if (r->dane != NULL && strcmp(r->dane, "none") != 0)
		printf("DANE: %s\n", r->dane);
	if (r->sts != NULL && strcmp(r->sts, "none") != 0)
		printf("MTA-STS: %s%s%s%s%s\n", r->sts, r->sts_mode != NULL ? ", mode " : "", r->sts_mode != NULL ? r->sts_mode : "",
		    r->sts_trouble != NULL ? ": " : "", r->sts_trouble != NULL ? clean(r->sts_trouble) : "");
	printf("%s\n", clean(r->verdict));
}
