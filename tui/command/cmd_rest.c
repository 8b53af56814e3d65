/* check, history, doctor, completion, help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "tui/command/families.h"
#include "tui/command/records.h"
#include "tui/version.h"

/* For scripts: which thing a finding is about. */
json_t *
finding_json(struct cli *c, const struct attention *f)
{
	json_t *o = json_pack("{s:s#,s:o,s:o}", "sign", &f->sign, 1, "text", json_text(f->text), "next", json_text(f->next));
	struct server sv = { .id = 0 };

	if (f->server != 0 && store_server_get(journey_store(c->j), f->server, &sv, NULL) == 0)
		json_object_set_new(o, "server", json_text(sv.name));
	if (f->vserver != 0)
		json_object_set_new(o, "virtual_server", json_text(vserver_name(c, f->vserver)));
	if (f->request != 0)
		json_object_set_new(o, "request", json_integer(f->request));
	server_release(&sv);
	return o;
}

int
cmd_check(struct cli *c, const struct args *a, struct err *e)
{
	struct attention_list l = { NULL, 0 };
	json_t *rows = json_array(), *renewed = json_array(), *retired = json_array();
	struct err bad = { .code = RC_OK };
	int rc, days = ATTENTION_DAYS;
	size_t i;

	if (args_has(a, "warn") && cli_number(args_get(a, "warn"), "--warn", 0, 3650, &days, e) == -1) {
		json_decref(rows);
		json_decref(renewed);
		json_decref(retired);
		return -1;
	}
	if (args_has(a, "read"))
		servers_read_all(c);
	if (args_has(a, "renew"))
		(void)renew_due(c, a, renewed, &bad);
	if (!args_has(a, "no-looks") && workarounds_tend(c, a, retired, e) == -1 && bad.code == RC_OK)
		bad = *e;
	if (!args_has(a, "no-dns"))
		servers_names_all(c);
	rc = attention_within(c->j, days, &l, e);
	for (i = 0; i < l.n; i++) {
		if (!c->json)
			printf("%c %s\n", l.v[i].sign, clean(l.v[i].text));
		json_array_append_new(rows, finding_json(c, &l.v[i]));
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O,s:O,s:O}", "findings", rows, "renewed", renewed, "workarounds", retired));
	else if (rc == 0 && l.n == 0)
		puts("Nothing needs attention.");
	if (rc == 0 && l.n > 0) {
		err_set(e, RC_FINDINGS, "%s", "");
		rc = -1;
	}
	if (bad.code != RC_OK) {             /* what could not be renewed counts for more than what was found */
		*e = bad;
		rc = -1;
	}
	json_decref(rows);
	json_decref(renewed);
	json_decref(retired);
	attention_list_release(&l);
	return rc;
}

int
cmd_history(struct cli *c, const struct args *a, struct err *e)
{
	static const char *const head[] = { "WHEN", "WHO", "SERVER", "WHAT", "RESULT", "TEXT" };
	struct table t = { .head = head, .columns = 6 };
	struct activity_list l = { NULL, 0 };
	size_t limit = args_has(a, "limit") ? (size_t)atoll(args_get(a, "limit")) : 50, i;
	json_t *rows = json_array();
	char stamp[32];
	int64_t n = 0;
	int rc;

	if (args_has(a, "verify")) {
		json_decref(rows);
		rc = store_activity_verify(journey_store(c->j), &n, e);
		if (rc == 0 && c->json)
			out_json(json_pack("{s:b,s:I}", "intact", 1, "rows", (json_int_t)n));
		else if (rc == 0)
			printf("%lld rows, the chain is intact\n", (long long)n);
		return rc;
	}
	rc = store_activities(journey_store(c->j), limit, &l, e);
	for (i = 0; i < l.n; i++) {
		const struct activity *v = &l.v[i];

		json_array_append_new(rows, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "at", json_when(v->at), "who", json_text(v->who),
		    "server", json_text(v->server), "verb", json_text(v->verb), "result", json_text(v->result), "text",
		    json_text(v->text), "hash", json_text(v->hash)));
		when_rfc3339(stamp, v->at);
		table_cell(&t, "%s", stamp);
		table_cell(&t, "%s", v->who);
		table_cell(&t, "%s", v->server ? v->server : "-");
		table_cell(&t, "%s", v->verb);
		table_cell(&t, "%s", v->result);
		table_cell(&t, "%.*s", (int)strcspn(v->text ? v->text : "", "\n"), v->text ? v->text : "");
	}
	if (rc == 0 && c->json)
		out_json(json_pack("{s:O}", "activity", rows));
	table_print_unless(&t, c->json || rc == -1);
	json_decref(rows);
	activity_list_release(&l);
	return rc;
}

/* The mark on the store; without a word, what is so and why. */
int
cmd_read_only(struct cli *c, const struct args *a, struct err *e)
{
	struct str why = STR_INIT;
	bool on = a->n > 0 && strcmp(a->words[0], "on") == 0;
	int rc = 0;

	if (a->n > 0 && !on && strcmp(a->words[0], "off") != 0)
		rc = err_set(e, RC_USAGE, "read-only is on or off, not \"%s\"", clean(a->words[0]));
	else if (a->n > 0)
		rc = journey_mark_read_only(c->j, on, e);
	if (rc == 0) {
		on = journey_read_only(c->j, &why) != READ_ONLY_NO;
		if (c->json)
			out_json(json_pack("{s:b,s:o}", "read_only", on, "why", json_text(on ? why.s : NULL)));
		else if (on)
			printf("read-only: %s\n", clean(why.s));
		else
			puts("hosts may be changed");
	}
	str_release(&why);
	return rc;
}

/* A program in PATH? */
static bool
have(const char *program)
{
	char **dirs = words_split(getenv("PATH"), ":", NULL), path[4096];
	bool yes = false;
	size_t i;

	for (i = 0; dirs[i] != NULL && !yes; i++) {
		snprintf(path, sizeof(path), "%s/%s", dirs[i], program);
		yes = access(path, X_OK) == 0;
	}
	words_free(dirs);
	return yes;
}

int
cmd_doctor(struct cli *c, const struct args *a, struct err *e)
{
	const char *agent = getenv("SSH_AUTH_SOCK");
	int64_t rows = 0;
	int rc = store_activity_verify(journey_store(c->j), &rows, e);

	(void)a;
	printf("%s\n", program_version);
	printf("store        %s\n", clean(store_path(journey_store(c->j))));
	printf("activity     %lld rows, %s\n", (long long)rows, rc == 0 ? "the chain is intact" : "THE CHAIN IS BROKEN");
	printf("ssh program  %s\n", have("ssh") ? "found: your OpenSSH settings are used" : "! missing: targets are taken as typed");
	printf("ssh agent    %s\n", agent && *agent ? "found" : "none (key files and passwords are used)");
	return rc;
}

int
cmd_completion(struct cli *c, const struct args *a, struct err *e)
{
	const struct cli_command *cmd;

	(void)c;
	if (strcmp(a->words[0], "bash") != 0)
		return err_set(e, RC_USAGE, "completion is there for bash, not for \"%s\"", clean(a->words[0]));
	puts("_mxseal() {\n\tlocal line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\" cur=\"${COMP_WORDS[COMP_CWORD]}\" c n\n"
	    "\tlocal -a commands=(");
	for (cmd = commands; cmd->words != NULL; cmd++)
		printf("\t\t\"%s\"\n", cmd->words);
	puts("\t)\n\tCOMPREPLY=()\n\tfor c in \"${commands[@]}\"; do\n\t\tif [ -z \"$line\" ]; then n=${c%% *}\n"
	    "\t\telif [[ $c == \"$line \"* ]]; then n=${c#\"$line \"}; n=${n%% *}\n\t\telse continue; fi\n"
	    "\t\t[[ $n == \"$cur\"* ]] && COMPREPLY+=(\"$n\")\n\tdone\n}\ncomplete -o default -F _mxseal mxseal");
	return 0;
}

int
cmd_help(struct cli *c, const struct args *a, struct err *e)
{
	const struct cli_command *cmd;
	struct str text = STR_INIT;
	int used;

	(void)c;
	if (a->n == 0)
		commands_help(&text);
	else {
		cmd = command_find(a->words, (int)a->n, &used, e);
		if (cmd == NULL)
			return -1;
		command_help(cmd, &text);
	}
	fputs(text.s, stdout);
	str_release(&text);
	return 0;
}
