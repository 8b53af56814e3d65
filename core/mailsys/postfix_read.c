/* A host's Postfix as records: its virtual servers with settings found, certificates and what is wrong with them. Every
 * section may be missing, cut off or garbage: what cannot be read is said in one sentence, or left unknown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix.h"

/* --- addresses --- */

static void
add_listen(struct str *out, const char *address, int port)
{
	bool v6 = strchr(address, ':') != NULL;

	str_addf(out, "%s%s%s%s:%d", out->len ? " " : "", v6 ? "[" : "", address, v6 ? "]" : "", port);
}

/* An address as it stands in inet_interfaces or a service name; localhost is both loopbacks. */
static void
add_address(const struct view *v, struct str *out, const char *address, int port)
{
	char *protocols = view_value(v, NULL, "inet_protocols");
	bool v4 = strcasecmp(protocols, "ipv6") != 0, v6 = strcasecmp(protocols, "ipv4") != 0;
	bool all = strcasecmp(address, "all") == 0 || *address == '\0';

	if (all || strcasecmp(address, "loopback-only") == 0 || strcasecmp(address, "localhost") == 0) {
		if (v4)
			add_listen(out, all ? "0.0.0.0" : "127.0.0.1", port);
		if (v6)
			add_listen(out, all ? "::" : "::1", port);
	} else {
		add_listen(out, address, port);
	}
	free(protocols);
}

void
service_listen(const struct view *v, const struct master_service *s, struct str *out)
{
	char address[256], *interfaces, **words;
	int port = service_port(s->name, address, sizeof(address));
	size_t i;

	if (port == 0)
		return;
	if (*address) {
		add_address(v, out, address, port);
		return;
	}
	interfaces = view_value(v, NULL, "inet_interfaces");
	words = words_split(interfaces, ", \t\r\n", NULL);
	for (i = 0; words && words[i]; i++) {
		char *word = words[i];

		if (*word == '[') {
			word[strcspn(word, "]")] = '\0';
			word++;
		}
		add_address(v, out, word, port);
	}
	if (out->len == 0)
		add_address(v, out, "", port);
	words_free(words);
	free(interfaces);
}

/* --- settings found --- */

struct place { const struct master_service *server, *client; bool is_default, wrapper; };

/* Connection control as its table, which has been read with the configuration; "" where there is none of ours, NULL where it
 * cannot be read. */
static char *
clients_table(const struct file_list *files, const struct sections *s, const char *list)
{
	char *path = access_path(list);
	const char *text = path ? file_text(files, s, FILE_MAP, path, "map") : "";
	char *table = xstrdup(text);

	free(path);
	return table;
}

/* One parameter as it is in force; text and source are told. NULL: it is not this virtual server's. */
static char *
found_param(const struct view *v, const struct map_row *r, int i, const struct place *at, struct str *text, const char **source)
{
	enum map_where where = map_where(r, i);
	const struct master_service *service = where == MAP_CLIENT ? at->client : where == MAP_SERVER || where == MAP_OWN
	    || where == MAP_ACCESS ? at->server : NULL;
	char *name = xstrdup(r->param[i]), *value;
	const char *raw;

	*source = "default";
	if (where == MAP_SERVER_PROCS || where == MAP_CLIENT_PROCS) {
		service = where == MAP_SERVER_PROCS ? at->server : at->client;
		value = service_procs(v, service);
		if (service && strcmp(service->column[MASTER_MAXPROC], "-") != 0)
			*source = "master.cf";
		else if (main_cf_get(&v->main, "default_process_limit"))
			*source = "main.cf";
		raw = value;
	} else {
		if (where == MAP_TRANSPORT && at->client && strcmp(at->client->name, CLIENT_SERVICE) != 0) {
			free(name);
			name = xasprintf("%s_destination_concurrency_limit", at->client->name);
			if (main_cf_get(&v->main, name) == NULL) {
				free(name);
				name = xstrdup("default_destination_concurrency_limit");
			}
		}
		raw = view_raw(v, service, name, source);
		value = view_param(v, service, name);
	}
	str_addf(text, "%s%s =%s%s", text->len ? "\n" : "", name, *raw ? " " : "", raw);
	free(name);
	return value;
}

static void
found_setting(const struct view *v, const struct map_row *r, const struct place *at, const struct file_list *files,
        const struct sections *s, struct found_value *out)
{
	char *native[MAP_PARAMS] = { NULL }, *table;
	struct str text = STR_INIT;
	const char *from, *source = "default";
	int i;

	for (i = 0; i < MAP_PARAMS && r->param[i]; i++) {
		if ((!at->is_default && map_where(r, i) != r->where) || map_is_helper(r, i))
			continue;                        /* log.tls: the client's half belongs to the default */
		native[i] = found_param(v, r, i, at, &text, &from);
		if (strcmp(source, "master.cf") != 0 && strcmp(from, "default") != 0)
			source = from;
	}
	if (r->kind == MAP_CLIENTS) {
		table = clients_table(files, s, native[0]);
		free(native[0]);
		native[0] = table;
	}
	out->name = xstrdup(r->setting);
	out->value = map_ours(r, native);
	if (at->wrapper && strcmp(r->setting, "inbound.tls") == 0) {
		xset(&out->value, "require");
		str_add(&text, "\nsmtpd_tls_wrappermode = yes");
	}
	out->native = str_take(&text);
	out->source = xstrdup(source);
	for (i = 0; i < MAP_PARAMS; i++)
		free(native[i]);
}

/* --- certificates found --- */

static void
trouble(struct vserver *vs, const char *text)
{
	if (vs->cert_trouble == NULL)
		vs->cert_trouble = xstrdup(text);
}

static void
read_key(struct vserver *vs, const struct file_list *files, const struct sections *s, const char *cert, const char *key)
{
	const char *cert_key = file_text(files, s, FILE_CERT, cert, "certkey");
	const char *key_key = file_text(files, s, FILE_KEY, key, "key");
	char a[65], b[65], *text = NULL;

	if (!pem_sha256(key_key, "PUBLIC KEY", b))
		text = xasprintf("there is no usable key in %s", clean(key));
	else if (!pem_sha256(cert_key, "PUBLIC KEY", a))
		text = xasprintf("the certificate in %s cannot be read", clean(cert));
	else if (strcmp(a, b) != 0)
		text = xasprintf("the key in %s does not fit the certificate", clean(key));
	if (text)
		trouble(vs, text);
	free(text);
}

/* The one at this place of the configuration, into *pem; what is wrong with it, into the record. */
static void
read_one(struct vserver *vs, const struct file_list *files, const struct sections *s, const char *cert, const char *key, char **pem)
{
	struct str text = STR_INIT;
	char *none;

	if (pem_certificates(file_text(files, s, FILE_CERT, cert, "cert"), &text) > 0) {
		*pem = str_take(&text);
		read_key(vs, files, s, cert, key);
	} else {
		none = xasprintf("there is no certificate in %s", clean(cert));
		trouble(vs, none);
		free(none);
	}
	str_release(&text);
}

static void
read_certificate(struct vserver *vs, const struct view *v, const struct master_service *service,
        const struct file_list *files, const struct sections *s)
{
	char *cert, *key;

	service_cert_files(v, service, &cert, &key);
	if (*cert) {
		vs->cert_file = xstrdup(cert);
		read_one(vs, files, s, cert, key, &vs->cert_pem);
	}
	free(cert);
	free(key);
	service_cert_at(v, service, 1, &cert, &key);
	if (*cert)
		read_one(vs, files, s, cert, key, &vs->second_pem);
	free(cert);
	free(key);
}

/* --- virtual servers --- */

/* Who holds one of these addresses, when it is not Postfix: "port 25 is held by exim4, not by Postfix". From ss(8), whose
 * lines are "LISTEN 0 100 0.0.0.0:25 0.0.0.0:* users:((\"master\",pid=375,fd=13))". NULL: nobody, or not known. */
static char *
held(const struct sections *s, const char *listen)
{
	const struct section *sockets = section_find(s, "sockets");
	char **words = words_split(listen, " ", NULL), *text = NULL;
	const char *line, *end;
	size_t i;

	for (line = sockets ? sockets->text.s : ""; *line && !text; line = *end ? end + 1 : end) {
		char at[128], program[64];

		end = line + strcspn(line, "\n");
		if (strstr(line, "\"master\"") && strstr(line, "\"master\"") < end)
			continue;
		if (sscanf(line, "LISTEN %*d %*d %127s %*s users:((\"%63[^\"\n]", at, program) != 2)
			continue;
		for (i = 0; words && words[i] && !text; i++)
			if (strcmp(words[i], at) == 0 || (at[0] == '*' && text_eq(strrchr(words[i], ':'), at + 1)))
				text = xasprintf("%s is held by the program %s, not by Postfix", clean(at), clean(program));
	}
	words_free(words);
	return text;
}

/* The name of a virtual server; a second one of a name keeps that of its service. */
static char *
name_for(const struct reading *out, const struct view *v, const struct master_service *s)
{
	char *name = s ? service_vs(v, s) : xstrdup("smtp");
	size_t i;

	for (i = 0; s && i + 1 < out->vservers.n; i++)
		if (text_eq(out->vservers.v[i].name, name)) {
			xset(&name, s->name);
			break;
		}
	return name;
}

/* One that we added is so again for a store that does not know it: after an undo, or from another desk. */
static void
read_added(struct vserver *vs, const struct view *v, const struct master_service *s)
{
	char *owner = master_cf_owner(&v->master, s);

	if (text_eq(owner, vs->name)) {
		vs->ours = xstrdup("added");
		vs->listen_wanted = strchr(s->name, ':') ? xstrdup(s->name) : xasprintf("0.0.0.0:%s", s->name);
		vs->kind = xstrdup(vs->implicit_tls ? "submissions"
		    : text_eq(master_cf_option(s, "milter_macro_daemon_name"), "ORIGINATING") ? "submission" : "smtp");
	}
	free(owner);
}

/* The name before "/smtpd" in the log (syslog_name), NULL: what Postfix makes of it is not known. One formula is common: that of its
 * own default. */
static char *
log_name(const struct view *v, const struct master_service *s)
{
	static const char formula[] = "${multi_instance_name?{$multi_instance_name}:{postfix}}";
	const char *raw = master_cf_option(s, "syslog_name"), *whole = pairs_get(&v->expanded, "syslog_name");
	char *name = raw == NULL && whole ? xstrdup(whole) : view_value(v, s, "syslog_name"), *instance, *rest;

	if (text_starts(view_raw(v, s, "syslog_name", NULL), formula) && text_starts(name, "${")) {
		instance = view_value(v, s, "multi_instance_name");
		rest = strstr(name, ":{postfix}}");
		if (rest != NULL)
			rest = xasprintf("%s%s", *instance ? instance : "postfix", rest + strlen(":{postfix}}"));
		free(instance);
		free(name);
		name = rest;
	}
	if (name != NULL && (*name == '\0' || strpbrk(name, "$[ \t") || strlen(name) > 200))
		xset(&name, NULL);
	return name;
}

/* What the lines about its mail begin with in the log: "postfix/submission/smtpd". Behind postscreen(8) another service takes the mail. */
static char *
log_service(const struct view *v, const struct master_service *s)
{
	const char *program = strrchr(s->command, '/');
	char *behind, *name, *service = NULL;

	program = program ? program + 1 : s->command;
	if (strcmp(program, "postscreen") == 0) {
		behind = view_value(v, s, "smtpd_service_name");
		s = master_cf_find(&v->master, *behind ? behind : "smtpd", "pass");
		free(behind);
		program = "smtpd";
	}
	if (s != NULL && (name = log_name(v, s)) != NULL) {
		service = xasprintf("%s/%s", name, program);
		free(name);
	}
	return service;
}

static void
read_vserver(struct reading *out, const struct view *v, const struct master_service *s, bool is_default,
        const struct file_list *files)
{
	struct vserver *vs = vserver_list_add(&out->vservers);
	struct place at = { s, NULL, is_default, false };
	const struct map_row *r;
	struct str listen = STR_INIT;

	vs->name = name_for(out, v, s);
	vs->title = s ? xasprintf("%s %s", s->name, s->type) : xstrdup("main.cf");
	vs->is_default = is_default;
	vs->present = true;
	if (s) {
		service_listen(v, s, &listen);
		vs->port = service_port(s->name, NULL, 0);
		vs->implicit_tls = view_yes(v, s, "smtpd_tls_wrappermode");
		vs->run = xstrdup(view_run(v, s));
		vs->log_service = log_service(v, s);
		vs->served_trouble = held(&out->sections, listen.s);
		read_added(vs, v, s);
	}
	vs->listen = str_take(&listen);
	at.wrapper = vs->implicit_tls;
	at.client = vs_client(v, vs->name, is_default);
	for (r = map_table; r->setting; r++) {
		struct found_value *f = found_value_list_add(&vs->found);

		found_setting(v, r, &at, files, &out->sections, f);
	}
	read_certificate(vs, v, s, files, &out->sections);
}

/* A client of ours whose virtual server has no listener: it only sends. */
static void
read_sender(struct reading *out, const struct view *v, const struct master_service *s, size_t listeners)
{
	char *owner = client_of(v, s);
	struct place at = { NULL, s, false, false };
	struct vserver *vs;
	const struct map_row *r;
	size_t i;

	for (i = 0; owner && i < listeners; i++)
		if (text_eq(out->vservers.v[i].name, owner))
			xset(&owner, NULL);
	if (owner == NULL)
		return;
	vs = vserver_list_add(&out->vservers);
	vs->name = owner;
	vs->title = xasprintf("%s %s", s->name, s->type);
	vs->listen = xstrdup("");
	vs->ours = xstrdup("added");
	vs->listen_wanted = xstrdup("");
	vs->kind = xstrdup("outbound");
	vs->run = xstrdup("started");
	vs->present = true;
	for (r = map_table; r->setting; r++)
		if (r->where == MAP_CLIENT || r->where == MAP_TRANSPORT || r->where == MAP_CLIENT_PROCS)
			found_setting(v, r, &at, NULL, &out->sections, found_value_list_add(&vs->found));
}

static void
read_vservers(struct reading *out, const struct view *v)
{
	const struct master_service *standard = view_default_service(v);
	struct file_list files = { 0 };
	size_t i, listeners;

	files_named(v, &files);
	files_troubles(&files, &out->sections, &out->file_troubles);
	read_vserver(out, v, standard, true, &files);      /* without a listener on 25 it still sends */
	for (i = 0; i < v->master.n; i++)
		if (&v->master.v[i] != standard && service_is_server(&v->master.v[i]))
			read_vserver(out, v, &v->master.v[i], false, &files);
	for (i = 0, listeners = out->vservers.n; i < v->master.n; i++)
		read_sender(out, v, &v->master.v[i], listeners);
	postfix_rules(v, &files, &out->sections, &out->rules);
	rules_judge(v, &out->rules);
	file_list_release(&files);
}

/* --- the rest --- */

static int64_t
highest_in(const char *text, const char *prefix)
{
	int64_t highest = 0;

	while (text && (text = strstr(text, prefix))) {
		long long n = strtoll(text += strlen(prefix), NULL, 10);

		if (n > highest && n < 1000000000)
			highest = n;
	}
	return highest;
}

int64_t
generation_in_force(const struct view *v)
{
	int64_t highest = 0, n;
	size_t i, k;

	for (i = 0; i < v->main.n; i++)
		if ((n = highest_in(v->main.v[i].value, OURS_DIR)) > highest)
			highest = n;
	for (i = 0; i < v->master.n; i++)
		for (k = 0; k < v->master.v[i].n; k++)
			if ((n = highest_in(v->master.v[i].v[k].value, OURS_DIR)) > highest)
				highest = n;
	return highest;
}

int64_t
generation_highest(const struct sections *s)
{
	const struct section *names = section_find(s, "generations");
	const char *line = names ? names->text.s : "";
	int64_t highest = 0;

	while (*line) {
		char *end;
		long long n = strtoll(line, &end, 10);

		if (end > line && (*end == '\n' || *end == '\0') && n > highest && n < 1000000000)
			highest = n;
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return highest;
}

/* "sha256  path" lines to "path\tsha256" of the generation in force. */
static void
read_our_files(struct reading *out)
{
	const struct section *s = section_find(&out->sections, "ours");
	char *prefix = xasprintf(OURS_DIR "%lld/", (long long)out->generation);
	const char *line, *end;

	for (line = s ? s->text.s : ""; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		if (end - line > 66 && strspn(line, "0123456789abcdef") == 64 && text_starts(line + 66, prefix))
			str_addf(&out->our_files, "%.*s\t%.64s\n", (int)(end - line - 66), line + 66, line);
	}
	free(prefix);
}

static void
read_os(struct reading *out)
{
	const char *text = section_text(&out->sections, "os"), *p = text ? strstr(text, "PRETTY_NAME=") : NULL;
	size_t n;

	if (p == NULL)
		return;
	p += strlen("PRETTY_NAME=");
	p += *p == '"';
	n = strcspn(p, "\"\n");
	out->os = xstrndup(p, n < 200 ? n : 200);
}

static void
read_warnings(struct reading *out)
{
	const struct section *s = section_find(&out->sections, "warnings");
	const char *line = s ? s->text.s : "", *end, *text;

	for (; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		text = text_starts(line, "postconf: warning: ") ? line + strlen("postconf: warning: ") : NULL;
		if (text == NULL || end - text > 2000 || out->warnings.len > 16 * 1024)
			continue;
		clean_text(&out->warnings, text, (size_t)(end - text), false);
		str_addc(&out->warnings, '\n');
	}
}

static char *
make_base(const struct reading *r)
{
	struct str all = STR_INIT;
	char hex[65];

	str_addf(&all, "%zu %zu\n", r->main_cf.len, r->master_cf.len);
	str_addn(&all, r->main_cf.s, r->main_cf.len);
	str_addn(&all, r->master_cf.s, r->master_cf.len);
	str_addn(&all, r->our_files.s, r->our_files.len);
	sha256_hex(all.s, all.len, hex);
	str_release(&all);
	return xstrdup(hex);
}

static char *
first_line(const struct sections *s, const char *name, const char *otherwise)
{
	const char *text = section_text(s, name);
	size_t n = text ? strcspn(text, "\r\n") : 0;

	return n > 0 && n < 1024 ? xstrndup(text, n) : xstrdup(otherwise);
}

int
postfix_read(struct sections *s, struct reading *out, struct err *e)
{
	struct view v;
	const char *queue;
	char *sni;
	int rc;

	memset(out, 0, sizeof(*out));
	str_init(&out->main_cf, 2 * CF_MAX);
	str_init(&out->master_cf, 2 * CF_MAX);
	str_init(&out->our_files, CF_MAX);
	str_init(&out->warnings, CF_MAX);
	str_init(&out->file_troubles, CF_MAX);
	out->queue_messages = -1;
	out->sections = *s;
	*s = (struct sections){ 0 };
	rc = view_load(&v, &out->sections, e);
	if (rc == 0) {
		str_addn(&out->main_cf, v.main.t.text.s, v.main.t.text.len);
		str_addn(&out->master_cf, v.master.t.text.s, v.master.t.text.len);
		view_start(&v);
		out->version = first_line(&out->sections, "version", "");
		out->config_dir = first_line(&out->sections, "config_dir", "/etc/postfix");
		out->host_name = view_value(&v, NULL, "myhostname");
		out->domain = view_value(&v, NULL, "mydomain");
		queue = section_text(&out->sections, "queue");
		if (queue && strspn(queue, " \t0123456789\n") == strlen(queue) && strpbrk(queue, "0123456789"))
			out->queue_messages = strtoll(queue, NULL, 10);
		sni = view_value(&v, NULL, "tls_server_sni_maps");
		out->by_sni = *sni != '\0';
		free(sni);
		out->generation = generation_in_force(&v);
		read_os(out);
		read_our_files(out);
		read_vservers(out, &v);
		read_warnings(out);
		out->base = make_base(out);
	}
	view_release(&v);
	return rc;
}
