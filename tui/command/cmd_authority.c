/* authority add own, add acme, list, show, certificate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/authority.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

/* The rest of both: its keys are sealed, so the passphrase is asked for; then it is made, and told. Closes the form. */
static int
run_named(struct cli *c, const struct args *a, struct form *f, int rc, struct err *e)
{
	if (rc == 0)
		rc = cli_passphrase(c, a->words[0], !sealed_keys_exist(c->j), e);
	if (rc == 0)
		rc = cli_form_run(c, f, 0, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:I,s:o}", "id", (json_int_t)f->result_id, "name", json_text(a->words[0])));
	else if (rc == 0)
		out_text(f->result.s);
	form_close(f);
	return rc;
}

int
cmd_authority_add(struct cli *c, const struct args *a, struct err *e)
{
	struct form *f = NULL;
	int rc = cli_form(c, sheet_find("authority"), 0, NULL, a, &f, e);

	if (rc == 0)
		rc = form_set(f, "name", a->words[0], e);
	return run_named(c, a, f, rc, e);
}

/* Name of the one above it, or NULL. */
static char *
above(struct cli *c, const struct authority *k)
{
	struct authority_list l = { NULL, 0 };
	char *name = NULL;
	size_t i;

	if (store_authorities(journey_store(c->j), &l, NULL) == 0)
		for (i = 0; i < l.n && name == NULL; i++)
			if (l.v[i].id != k->id && authority_is_above(&l.v[i], k))
				name = xstrdup(l.v[i].name);
	authority_list_release(&l);
	return name;
}

static json_t *
authority_json(struct cli *c, const struct authority *k)
{
	json_t *o = json_pack("{s:o,s:o,s:o,s:o,s:o}", "name", json_text(k->name), "kind", json_text(k->kind), "subject",
	    json_text(k->subject), "not_after", json_when(k->not_after), "policy", json_text(k->policy));
	struct str permits = STR_INIT;
	char *parent = above(c, k);
	bool root;

	authority_limits(k, &permits, &root);
	json_object_set_new(o, "parent", json_text(parent));
	json_object_set_new(o, "permit", words_json(permits.s));
	if (text_eq(k->kind, "acme")) {
		json_object_set_new(o, "directory", json_text(k->directory));
		json_object_set_new(o, "account", json_text(k->account));
		json_object_set_new(o, "challenge", json_text(k->challenge));
		json_object_set_new(o, "contact", json_text(k->contact));
		json_object_set_new(o, "terms", json_text(k->terms));
	}
	free(parent);
	str_release(&permits);
	return o;
}

int
cmd_authority_renew(struct cli *c, const struct args *a, struct err *e)
{
	struct authority k = { .id = 0 };
	const char *word = args_get(a, "days");
	char date[16];
	int days = 0;
	int rc = store_authority_by_name(journey_store(c->j), a->words[0], &k, e);

	if (rc == 0 && word != NULL)
		rc = cli_number(word, "--days", 30, 36500, &days, e);
	if (rc == 0)
		rc = cli_passphrase(c, a->words[0], false, e);
	if (rc == 0)
		rc = authority_renew_own(c->j, k.id, days, e);
	authority_release(&k);
	memset(&k, 0, sizeof(k));
	if (rc == 0)
		rc = store_authority_by_name(journey_store(c->j), a->words[0], &k, e);
	if (rc == 0 && c->json)
		out_json(authority_json(c, &k));
	else if (rc == 0) {
		when_date(date, k.not_after);
		printf("%s is good until %s now, under the same key. Its new certificate: mxseal authority certificate %s --out FILE\n",
		    clean(k.name), date, clean(k.name));
	}
	authority_release(&k);
	return rc;
}

/* The key of the external account: from a descriptor of its own, or asked for. */
static int
eab_key(struct cli *c, const struct args *a, struct form *f, struct err *e)
{
	struct secret s = { NULL, 0 };
	int was = c->passphrase_fd, rc = 0;

	if (!args_has(a, "eab-kid"))
		return 0;
	c->passphrase_fd = -1;
	if (args_has(a, "eab-key-fd"))
		rc = cli_descriptor(args_get(a, "eab-key-fd"), "--eab-key-fd", &c->passphrase_fd, e);
	if (rc == 0 && (rc = cli_secret(c, "Key of the external account", &s, e)) == -1 && e->code == RC_PASSPHRASE)
		err_hint(e, "give it on a descriptor: --eab-key-fd N N<FILE");
	if (rc == 0)
		rc = form_set(f, "eab-key", s.mem, e);
	c->passphrase_fd = was;
	secret_release(&s);
	return rc;
}

int
cmd_authority_add_acme(struct cli *c, const struct args *a, struct err *e)
{
	struct form *f = NULL;
	int rc = cli_form(c, sheet_find("acme"), 0, NULL, a, &f, e);

	if (rc == 0)
		rc = form_set(f, "name", a->words[0], e);
	if (rc == 0)
		rc = form_set(f, "provider", "other", e);
	if (rc == 0)
		rc = eab_key(c, a, f, e);
	return run_named(c, a, f, rc, e);
}

/* An ACME authority: its account, and the orders, the last one at the end. */
static int
show_acme(struct cli *c, const struct authority *k, struct err *e)
{
	static const char *const head[] = { "REQUEST", "STATE", "SINCE", "RENEW FROM", "TROUBLE" };
	struct table t = { .head = head, .columns = 5 };
	struct acme_order_list l = { NULL, 0 };
	json_t *rows = json_array(), *o;
	char since[16], from[16];
	size_t i;
	int rc = store_acme_orders(journey_store(c->j), k->id, &l, e);

	if (rc == 0 && !c->json)
		printf("%s  %s\naccount  %s\nproof    %s\n", clean(k->name), clean(k->subject), clean(k->account), clean(k->challenge));
	for (i = 0; i < l.n; i++) {
		json_array_append_new(rows, json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "request", (json_int_t)l.v[i].request, "state",
		    json_text(l.v[i].state), "url", json_text(l.v[i].url), "created_at", json_when(l.v[i].created_at), "renew_from",
		    json_when(l.v[i].renew_from), "renew_until", json_when(l.v[i].renew_until), "trouble", json_text(l.v[i].trouble)));
		when_date(since, l.v[i].created_at);
		when_date(from, l.v[i].renew_from);
		table_cell(&t, "%lld", (long long)l.v[i].request);
		table_cell(&t, "%s", l.v[i].state);
		table_cell(&t, "%s", since);
		table_cell(&t, "%s", l.v[i].renew_from ? from : "-");
		table_cell(&t, "%s", l.v[i].trouble ? l.v[i].trouble : "-");
	}
	if (rc == 0 && c->json) {
		o = authority_json(c, k);
		json_object_set(o, "orders", rows);
		out_json(o);
	}
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	acme_order_list_release(&l);
	return rc;
}

int
cmd_authority_list(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "NAME", "KIND", "SUBJECT", "UNTIL" };
	struct table t = { .head = head, .columns = 4 };
	struct authority_list l = { NULL, 0 };
	json_t *rows = json_array();
	char date[16];
	size_t i;

	(void)a;
	if (store_authorities(journey_store(c->j), &l, e) == -1) {
		json_decref(rows);
		return -1;
	}
	for (i = 0; i < l.n; i++) {
		json_array_append_new(rows, authority_json(c, &l.v[i]));
		when_date(date, l.v[i].not_after);
		if (l.v[i].not_after == 0)
			strcpy(date, "-");
		table_cell(&t, "%s", l.v[i].name);
		table_cell(&t, "%s", l.v[i].kind);
		table_cell(&t, "%s", l.v[i].subject ? l.v[i].subject : "-");
		table_cell(&t, "%s", date);
	}
	if (c->json)
		out_json(json_pack("{s:O}", "authorities", rows));
	table_print_unless(&t, c->json);
	json_decref(rows);
	authority_list_release(&l);
	return 0;
}

static void
print_place(struct cli *c, const struct authority *k)
{
	struct str permits = STR_INIT;
	char *parent = above(c, k);
	bool root;

	authority_limits(k, &permits, &root);
	if (parent != NULL)
		printf("Below %s.\n", clean(parent));
	if (permits.len > 0)
		printf("Only for names under: %s\n", clean(permits.s));
	free(parent);
	str_release(&permits);
}

int
cmd_authority_show(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "SERIAL", "SUBJECT", "UNTIL", "STATE" };
	struct table t = { .head = head, .columns = 4 };
	struct authority k = { .id = 0 };
	struct issued_list l = { NULL, 0 };
	json_t *rows = json_array(), *o;
	char date[16];
	size_t i;
	int rc = store_authority_by_name(journey_store(c->j), a->words[0], &k, e);

	if (rc == 0 && text_eq(k.kind, "acme")) {
		json_decref(rows);
		rc = show_acme(c, &k, e);
		authority_release(&k);
		return rc;
	}
	if (rc == 0)
		rc = store_issued(journey_store(c->j), k.id, &l, e);
	for (i = 0; i < l.n; i++) {
		json_array_append_new(rows, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "serial", json_text(l.v[i].serial), "subject",
		    json_text(l.v[i].subject), "sha256", json_text(l.v[i].sha256), "not_after", json_when(l.v[i].not_after), "revoked_at",
		    l.v[i].revoked_at ? json_when(l.v[i].revoked_at) : json_null(), "reason", json_text(l.v[i].reason)));
		when_date(date, l.v[i].not_after);
		table_cell(&t, "%s", l.v[i].serial);
		table_cell(&t, "%s", l.v[i].subject ? l.v[i].subject : "-");
		table_cell(&t, "%s", date);
		table_cell(&t, "%s%s", l.v[i].revoked_at ? "revoked: " : "", l.v[i].revoked_at ? l.v[i].reason : "");
	}
	if (rc == 0 && c->json) {
		o = authority_json(c, &k);
		json_object_set(o, "issued", rows);
		out_json(o);
	} else if (rc == 0) {
		when_date(date, k.not_after);
		printf("%s  %s, until %s, %s\n", clean(k.name), clean(k.subject), date,
		    text_eq(k.policy, "ask") ? "waits for approval of each request" : "signs at once");
		print_place(c, &k);
	}
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	issued_list_release(&l);
	authority_release(&k);
	return rc;
}

int
cmd_authority_certificate(struct cli *c, const struct args *a, struct err *e)
{
	struct authority k = { .id = 0 };
	const char *out = args_get(a, "out");
	int rc = store_authority_by_name(journey_store(c->j), a->words[0], &k, e);

	if (rc == 0 && k.pem == NULL)
		rc = err_set(e, RC_INVALID, "%s is an ACME authority: its certificates are its own to publish", clean(k.name));
	if (rc == 0 && out != NULL)
		rc = str_write_file(out, k.pem, strlen(k.pem), 0644, e);
	else if (rc == 0 && c->json)
		out_json(json_pack("{s:o}", "pem", json_text(k.pem)));
	else if (rc == 0)
		out_text(k.pem);
	authority_release(&k);
	return rc;
}
