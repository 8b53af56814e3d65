/* cert import, export: certificates with their keys, from files and into files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "tui/command/families.h"
#include "tui/command/records.h"

/* Looks at the file; when it is locked, asks for its passphrase: three times on a terminal, once on a descriptor. */
static int
look(struct cli *c, int64_t vserver, struct backup_file *in, struct secret *passphrase, struct backup_view *v, struct err *e)
{
	char prompt[400];
	int tries, rc = backup_look(c->j, vserver, in, v, e);

	snprintf(prompt, sizeof(prompt), "Passphrase of %.300s", clean(in->path));
	for (tries = 0; rc == -1 && v->locked && tries < 3; tries++) {
		if (tries > 0 && c->passphrase_fd != -1)
			return -1;
		if (tries > 0)
			fprintf(stderr, "mxseal: %s\n", clean(e->text));
		if (cli_secret(c, prompt, passphrase, e) == -1)
			return -1;
		in->passphrase = passphrase;
		backup_view_release(v);
		rc = backup_look(c->j, vserver, in, v, e);
	}
	return rc;
}

/* A weakly encrypted one is imported only on a clear yes. */
static int
accept(struct cli *c, const struct args *a, const struct backup_view *v, const char *path, bool *yes, struct err *e)
{
	*yes = args_has(a, "accept-weak");
	if (v->weak == NULL || *yes || c->no_input)      /* refused with what to do */
		return 0;
	if (cli_confirm(c, yes, e, "%s is encrypted with %s: who had the file can have the key.\nA certificate with a new key is better. "
	    "Import it all the same?", clean(path), v->weak) == -1)
		return e->code == RC_USAGE ? 0 : -1;     /* nobody to ask: the same */
	return *yes ? 0 : err_set(e, RC_CANCELLED, "nothing was imported");
}

int
cmd_cert_import(struct cli *c, const struct args *a, struct err *e)
{
	struct backup_file in = { .path = a->words[1], .key_path = args_get(a, "key") };
	struct backup_view v = { .summary = STR_INIT };
	struct secret passphrase = { NULL, 0 };
	struct vserver vs = { .id = 0 };
	struct str text = STR_INIT;
	int64_t id = 0;
	bool yes = false;
	int rc = cli_vserver(c, a->words[0], &vs, e);

	if (rc == 0)
		rc = look(c, vs.id, &in, &passphrase, &v, e);
	if (rc == 0)
		rc = accept(c, a, &v, in.path, &yes, e);
	if (rc == 0 && (v.weak == NULL || yes))
		rc = cli_passphrase(c, "the keys kept here", !sealed_keys_exist(c->j), e);
	if (rc == 0)
		rc = certificate_import(c->j, vs.id, &in, args_get(a, "name"), yes, args_has(a, "second"), &text, &id, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:I,s:o,s:o}", "id", (json_int_t)id, "weak", json_text(v.weak), "text", json_text(text.s)));
	else if (rc == 0)
		out_text(text.s);
	secret_release(&passphrase);
	backup_view_release(&v);
	vserver_release(&vs);
	str_release(&text);
	return rc == 0 ? use_if_asked(c, a, a->words[0], e) : -1;
}

/* The passphrase of the file that is to be written, twice. */
static int
new_passphrase(struct cli *c, const char *path, struct secret *out, struct err *e)
{
	struct secret again = { NULL, 0 };
	char prompt[400];
	int rc;

	snprintf(prompt, sizeof(prompt), "New passphrase for %.300s", clean(path));
	rc = cli_secret(c, prompt, out, e);
	if (rc == 0)
		rc = backup_passphrase_check(out, e);
	if (rc == 0 && c->passphrase_fd == -1) {
		rc = cli_secret(c, "The same again", &again, e);
		if (rc == 0 && (again.len != out->len || memcmp(again.mem, out->mem, out->len) != 0))
			rc = err_set(e, RC_USAGE, "the two passphrases differ");
	}
	secret_release(&again);
	return rc;
}

int
cmd_cert_export(struct cli *c, const struct args *a, struct err *e)
{
	const char *path = args_get(a, "out");
	struct secret passphrase = { NULL, 0 };
	int64_t id;
	int rc = cli_id(a->words[0], &id, e);

	if (rc == 0 && path == NULL)
		rc = err_set(e, RC_USAGE, "say where the backup goes: --out FILE");
	if (rc == 0)
		rc = certificate_exportable(c->j, id, e);
	if (rc == 0)
		rc = str_can_write_file(path, e);
	if (rc == 0)
		rc = new_passphrase(c, path, &passphrase, e);
	if (rc == 0)
		rc = cli_passphrase(c, "the keys kept here", false, e);
	if (rc == 0)
		rc = certificate_export(c->j, id, path, &passphrase, e);
	if (rc == 0 && c->json)
		out_json(json_pack("{s:I,s:o}", "id", (json_int_t)id, "file", json_text(path)));
	else if (rc == 0)
		printf("Certificate #%lld and its key are in %s: PKCS#12, AES-256 under PBKDF2, for OpenSSL and for Windows since 10 (1709) "
		    "and Server 2019.\n", (long long)id, clean(path));
	secret_release(&passphrase);
	return rc;
}
