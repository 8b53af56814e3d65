/* authority policy, submit, pending, approve, deny, revoke, crl: an own authority at work. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

static int
authority_id(struct cli *c, const char *name, int64_t *id, struct err *e)
{
	struct authority a = { .id = 0 };
	int rc = store_authority_by_name(journey_store(c->j), name, &a, e);

	*id = a.id;
	authority_release(&a);
	return rc;
}

/* The number of a submission to this authority. */
static int
submission_id(struct cli *c, const struct args *a, int64_t *id, struct err *e)
{
	struct submission s = { .id = 0 };
	int64_t authority;
	char *end;

	if (authority_id(c, a->words[0], &authority, e) == -1)
		return -1;                             /* its own hint says which there are */
	*id = strtoll(a->words[1], &end, 10);
	int rc = *end == '\0' && *id > 0 ? 0 :
	    err_set(e, RC_USAGE, "\"%s\" is not the number of a submission", clean(a->words[1]));
	if (rc == 0)
		rc = store_submission_get(journey_store(c->j), *id, &s, e);
	if (rc == 0 && s.authority != authority)
		rc = err_set(e, RC_INVALID, "submission #%lld is another authority's", (long long)*id);
	if (rc == -1)
		err_hint(e, "mxseal authority pending %s shows those that wait", clean(a->words[0]));
	submission_release(&s);
	return rc;
}

/* To a file or to standard output. */
static int
give(struct cli *c, const struct args *a, const struct str *pem, const char *said, struct err *e)
{
	const char *out = args_get(a, "out");

	if (out != NULL && str_write_file(out, pem->s, pem->len, 0644, e) == -1)
		return -1;
	if (c->json)
		out_json(json_pack("{s:o,s:o}", "text", json_text(said), "pem", json_text(pem->s)));
	else {
		struct str text = STR_INIT;

		clean_text(&text, said, strlen(said), true);
		fputs(text.s, out != NULL ? stdout : stderr);
		str_release(&text);
		if (out == NULL)
			out_text(pem->s);
	}
	return 0;
}

int
cmd_authority_policy(struct cli *c, const struct args *a, struct err *e)
{
	int64_t id;

	if (authority_id(c, a->words[0], &id, e) == -1 || authority_policy(c->j, id, a->words[1], e) == -1)
		return -1;
	if (c->json)
		out_json(json_pack("{s:o,s:o}", "name", json_text(a->words[0]), "policy", json_text(a->words[1])));
	else
		printf("%s %s\n", clean(a->words[0]), strcmp(a->words[1], "ask") == 0 ? "waits for approval of each request now."
		    : "signs at once now.");
	return 0;
}

int
cmd_authority_submit(struct cli *c, const struct args *a, struct err *e)
{
	int64_t id, n = 0;

	if (authority_id(c, a->words[0], &id, e) == -1 || authority_submit_file(c->j, id, a->words[1], &n, e) == -1)
		return -1;
	if (c->json)
		out_json(json_pack("{s:I}", "id", (json_int_t)n));
	else
		printf("It waits as submission #%lld. Next: mxseal authority approve %s %lld --out FILE\n", (long long)n,
		    clean(a->words[0]), (long long)n);
	return 0;
}

int
cmd_authority_pending(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "ID", "SUBJECT", "NAMES", "SINCE", "BY", "KEY SHA-256" };
	struct table t = { .head = head, .columns = 6 };
	struct submission_list l = { NULL, 0 };
	json_t *rows = json_array();
	char date[16];
	int64_t id;
	size_t i;
	int rc = authority_id(c, a->words[0], &id, e);

	if (rc == 0)
		rc = store_submissions(journey_store(c->j), id, &l, e);
	for (i = 0; i < l.n; i++) {
		const struct submission *s = &l.v[i];

		if (!text_eq(s->state, "pending"))
			continue;
		json_array_append_new(rows, json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "id", (json_int_t)s->id, "subject",
		    json_text(s->subject), "san", words_json(s->san), "at", json_when(s->at), "who", json_text(s->who), "spki_sha256",
		    json_text(s->spki_sha256), "pem", json_text(s->pem)));
		when_date(date, s->at);
		table_cell(&t, "%lld", (long long)s->id);
		table_cell(&t, "%s", s->subject ? s->subject : "-");
		table_cell(&t, "%s", s->san ? s->san : "-");
		table_cell(&t, "%s", date);
		table_cell(&t, "%s", s->who);
		table_cell(&t, "%.16s", s->spki_sha256 ? s->spki_sha256 : "-");
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "pending", rows));
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	submission_list_release(&l);
	return rc;
}

int
cmd_authority_approve(struct cli *c, const struct args *a, struct err *e)
{
	struct str pem = STR_INIT, said = STR_INIT;
	int64_t id;
	int rc = submission_id(c, a, &id, e);

	if (rc == 0)
		rc = cli_passphrase(c, a->words[0], false, e);
	if (rc == 0)
		rc = authority_approve(c->j, id, &pem, &said, e);
	if (rc == 0)
		rc = give(c, a, &pem, said.s, e);
	str_release(&pem);
	str_release(&said);
	return rc;
}

int
cmd_authority_deny(struct cli *c, const struct args *a, struct err *e)
{
	int64_t id;

	if (submission_id(c, a, &id, e) == -1 || authority_deny(c->j, id, args_get(a, "why"), e) == -1)
		return -1;
	if (c->json)
		out_json(json_pack("{s:I,s:s}", "id", (json_int_t)id, "state", "denied"));
	else
		printf("Submission #%lld is denied.\n", (long long)id);
	return 0;
}

int
cmd_authority_revoke(struct cli *c, const struct args *a, struct err *e)
{
	const char *reason = args_get(a, "reason");
	int64_t id;

	if (authority_id(c, a->words[0], &id, e) == -1 ||
	    authority_revoke(c->j, id, a->words[1], reason != NULL ? reason : "unspecified", e) == -1)
		return -1;
	if (c->json)
		out_json(json_pack("{s:o,s:s}", "serial", json_text(a->words[1]), "state", "revoked"));
	else
		printf("It is revoked here. Peers learn it from the list: mxseal authority crl %s --out FILE\n", clean(a->words[0]));
	return 0;
}

int
cmd_authority_crl(struct cli *c, const struct args *a, struct err *e)
{
	struct str pem = STR_INIT, said = STR_INIT;
	size_t revoked = 0;
	int days = 30;
	int64_t id;
	int rc = authority_id(c, a->words[0], &id, e);

	if (rc == 0 && args_has(a, "days"))
		rc = cli_number(args_get(a, "days"), "--days", 1, 3650, &days, e);
	if (rc == 0)
		rc = cli_passphrase(c, a->words[0], false, e);
	if (rc == 0)
		rc = authority_make_crl(c->j, id, days, &pem, &revoked, e);
	str_addf(&said, "%zu revoked certificate%s on the list.\n", revoked, revoked == 1 ? "" : "s");
	if (rc == 0)
		rc = give(c, a, &pem, said.s, e);
	str_release(&pem);
	str_release(&said);
	return rc;
}
