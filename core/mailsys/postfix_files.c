/* The files on the host that the configuration names: certificates, keys, the administrator's maps. Of a file with a
 * key only the certificate blocks and the public key are ever asked for. Only absolute paths without control characters
 * are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

#define FILES_MAX 200
#define PATH_MAX_LEN 1024

void
file_list_release(struct file_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i].path);
	free(l->v);
	*l = (struct file_list){ 0 };
}

static long
file_index(const struct file_list *l, enum file_kind kind, const char *path)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->v[i].kind == kind && strcmp(l->v[i].path, path) == 0)
			return (long)i;
	return -1;
}

static void
file_add(struct file_list *l, enum file_kind kind, const char *path)
{
	if (path[0] != '/' || strlen(path) > PATH_MAX_LEN || !clean_is(path, strlen(path)) || l->n >= FILES_MAX
	    || file_index(l, kind, path) >= 0)
		return;
	ARRAY_GROW(l->v, l->n);
	l->v[l->n++] = (struct file){ kind, xstrdup(path) };
}

/* --- certificates --- */

/* Chain files stand for all the older parameters, where there are any (postconf(5), smtpd_tls_chain_files). */
void
service_cert_at(const struct view *v, const struct master_service *s, size_t at, char **cert, char **key)
{
	static const char *const pairs[][2] = {
		{ "smtpd_tls_cert_file", "smtpd_tls_key_file" }, { "smtpd_tls_eccert_file", "smtpd_tls_eckey_file" },
	};
	char *list = view_value(v, s, "smtpd_tls_chain_files"), **words = words_split(list, ", \t\r\n", NULL);
	size_t i, n = 0;

	while (words && words[n])
		n++;
	*cert = xstrdup(at < n ? words[at] : "");
	*key = xstrdup(*cert);
	words_free(words);
	free(list);
	for (i = 0; n == 0 && i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		free(*cert);
		*cert = view_value(v, s, pairs[i][0]);
		if (strcasecmp(*cert, "none") == 0)
			**cert = '\0';
		if (**cert == '\0' || at-- > 0)
			continue;
		free(*key);
		*key = view_value(v, s, pairs[i][1]);
		return;
	}
	if (n == 0)
		**cert = '\0';
}

void
service_cert_files(const struct view *v, const struct master_service *s, char **cert, char **key)
{
	service_cert_at(v, s, 0, cert, key);
}

static void
add_service(const struct view *v, const struct master_service *s, struct file_list *out)
{
	char *cert, *key;
	size_t at;

	for (at = 0; at < 2; at++) {
		service_cert_at(v, s, at, &cert, &key);
		file_add(out, FILE_CERT, cert);
		file_add(out, FILE_KEY, key);
		free(cert);
		free(key);
	}
}

/* --- maps whose source is text --- */

static const char *const map_types[] = { "texthash:", "hash:", "btree:", "lmdb:", "cdb:", "dbm:", "sdbm:", NULL };
static const char *const pattern_types[] = { "pcre:", "regexp:", "cidr:", NULL };

static void
add_maps(const struct view *v, const char *param, enum file_kind kind, struct file_list *out)
{
	char *list = view_value(v, NULL, param);
	char **words = words_split(list, ", \t\r\n", NULL);
	size_t i, k;

	for (i = 0; words && words[i]; i++) {
		const char *word = text_starts(words[i], "proxy:") ? words[i] + 6 : words[i];

		for (k = 0; map_types[k]; k++)
			if (text_starts(word, map_types[k]))
				file_add(out, kind, word + strlen(map_types[k]));
		for (k = 0; pattern_types[k]; k++)
			if (text_starts(word, pattern_types[k]))
				file_add(out, FILE_PATTERNS, word + strlen(pattern_types[k]));
	}
	words_free(words);
	free(list);
}

/* The table of connection control, when it is ours. */
static void
add_clients(const struct view *v, const struct master_service *s, struct file_list *out)
{
	char *path = access_path(view_raw(v, s, "smtpd_client_restrictions", NULL));

	if (path)
		file_add(out, FILE_MAP, path);
	free(path);
}

void
files_named(const struct view *v, struct file_list *out)
{
	size_t i;

	add_service(v, NULL, out);
	add_clients(v, NULL, out);
	for (i = 0; i < v->master.n; i++)
		if (service_is_server(&v->master.v[i])) {
			add_service(v, &v->master.v[i], out);
			add_clients(v, &v->master.v[i], out);
		}
	add_maps(v, "transport_maps", FILE_MAP, out);
	add_maps(v, "smtp_tls_policy_maps", FILE_MAP, out);
	add_maps(v, "sender_dependent_relayhost_maps", FILE_MAP, out);
	add_maps(v, "sender_dependent_default_transport_maps", FILE_MAP, out);
	add_maps(v, "tls_server_sni_maps", FILE_NAMES, out);
}

/* --- the second look --- */

/* For sed(1): certificate blocks; ends at a key that stands where a block was left open. */
static const char only_certificates[] =
    "/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/{ /PRIVATE KEY/q; p; }";

#define MOST " | head -c 1048576; exit 0; "
/* What postmap lists of the compiled file, which stands beside where the source would be. */
#define COMPILED(only) "for t in lmdb cdb hash; do case $t in hash) f=$1.db;; *) f=$1.$t;; esac; " \
    "if [ -e \"$f\" ]; then { postmap -s \"$t:$1\" || [ $t != hash ] || postmap -s \"btree:$1\"; } 2>/dev/null" only MOST "fi; done; exit 1"
/* Names with a dot in front of a row: so nothing of a key in base64, wherever it stands, is one. */
#define NAMES "sed -n 's/^\\([A-Za-z0-9_-]*\\.[A-Za-z0-9._-]*\\)[[:blank:]].*/\\1/p'"

/* The rows of a map of which only the compiled file is there. */
static const char list_compiled[] = "[ -e \"$1\" ] && exit 1; " COMPILED("");

/* The names of a map whose compiled file holds private keys (postmap -F): what stands behind them never leaves the host. */
static const char list_names[] = "if [ -e \"$1\" ]; then " NAMES " <\"$1\"" MOST "fi; " COMPILED(" | " NAMES);

int
files_more(const struct sections *s, struct command_list *cmds, struct err *e)
{
	struct file_list l = { 0 };
	struct view v;
	char name[32];
	size_t i;
	int rc = view_load(&v, s, e);

	if (rc == 0) {
		view_start(&v);
		files_named(&v, &l);
	}
	for (i = 0; i < l.n; i++) {
		const char *path = l.v[i].path;

		switch (l.v[i].kind) {
		case FILE_CERT:
			snprintf(name, sizeof(name), "cert.%zu", i);
			command_add(cmds, name, "sed", "-n", only_certificates, "--", path, (char *)NULL);
			snprintf(name, sizeof(name), "certkey.%zu", i);
			command_add(cmds, name, "openssl", "x509", "-in", path, "-noout", "-pubkey", (char *)NULL);
			snprintf(name, sizeof(name), "certmode.%zu", i);
			command_add(cmds, name, "stat", "-L", "-c", "%a %U:%G", "--", path, (char *)NULL);
			break;
		case FILE_KEY:
			snprintf(name, sizeof(name), "key.%zu", i);
			command_add(cmds, name, "openssl", "pkey", "-in", path, "-pubout", "-passin", "pass:", (char *)NULL);
			snprintf(name, sizeof(name), "mode.%zu", i);
			command_add(cmds, name, "stat", "-L", "-c", "%a %U:%G", "--", path, (char *)NULL);
			break;
		case FILE_MAP:
			snprintf(name, sizeof(name), "map.%zu", i);
			command_add(cmds, name, "head", "-c", "1048576", "--", path, (char *)NULL);
			snprintf(name, sizeof(name), "maplist.%zu", i);
			command_add(cmds, name, "sh", "-c", list_compiled, "sh", path, (char *)NULL);
			break;
		case FILE_NAMES:
			snprintf(name, sizeof(name), "map.%zu", i);
			command_add(cmds, name, "sh", "-c", list_names, "sh", path, (char *)NULL);
			break;
		case FILE_PATTERNS:
			snprintf(name, sizeof(name), "map.%zu", i);
			command_add(cmds, name, "head", "-c", "1048576", "--", path, (char *)NULL);
			break;
		}
	}
	file_list_release(&l);
	view_release(&v);
	return rc;
}

const char *
file_text(const struct file_list *l, const struct sections *s, enum file_kind kind, const char *path,
        const char *what)
{
	char name[32];
	long i = file_index(l, kind, path);

	if (i < 0)
		return NULL;
	snprintf(name, sizeof(name), "%s.%ld", what, i);
	return section_text(s, name);
}

/* --- PEM --- */

#define BEGIN_CERT "-----BEGIN CERTIFICATE-----"
#define END_CERT "-----END CERTIFICATE-----"

size_t
pem_certificates(const char *text, struct str *out)
{
	const char *end;
	size_t n = 0;

	while (text && (text = strstr(text, BEGIN_CERT)) && (end = strstr(text, END_CERT)) && n < CHAIN_MAX) {
		end += strlen(END_CERT);
		for (; text < end; text++)
			if (*text != '\r')
				str_addc(out, *text);
		str_addc(out, '\n');
		n++;
	}
	return n;
}

bool
pem_sha256(const char *text, const char *label, char out[65])
{
	char *begin = xasprintf("-----BEGIN %s-----", label), *end = xasprintf("-----END %s-----", label);
	const char *from = text ? strstr(text, begin) : NULL, *to = from ? strstr(from, end) : NULL;
	unsigned char *der = NULL;
	size_t n = 0;
	bool ok = false;

	if (to) {
		from += strlen(begin);
		der = xcalloc((size_t)(to - from) + 1, 1);
		ok = base64_decode(from, (size_t)(to - from), der, (size_t)(to - from), &n) == 0 && n > 0;
		if (ok)
			sha256_hex(der, n, out);
	}
	free(der);
	free(begin);
	free(end);
	return ok;
}
