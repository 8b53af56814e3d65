/* Virtual servers: added, taken away, started, stopped, paused. All of it changes what is wanted; a push does it. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define ALL "0.0.0.0:"

/* --- names and addresses --- */

static int
port_parse(const char *text, long *port, struct err *e)
{
	char *end;

	*port = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : 0;
	if (*port > 0 && *port < 65536 && *end == '\0')
		return 0;
	return err_set(e, RC_INVALID, "\"%s\" is not a port: a number from 1 to 65535", clean(text));
}

int
vserver_listen_parse(const char *text, struct str *normal, struct err *e)
{
	const char *colon = strrchr(text, ':');
	char address[INET6_ADDRSTRLEN + 2] = "", plain[INET6_ADDRSTRLEN];
	unsigned char mem[16];
	size_t n = colon ? (size_t)(colon - text) : 0;
	long port;

	if (strcmp(text, "none") == 0)
		return 0;
	if (*text == '[' && colon && colon[-1] != ']')
		colon = NULL;
	if (colon == NULL && strspn(text, "0123456789") != strlen(text)) {
		err_set(e, RC_INVALID, "\"%s\" has no port", clean(text));
		return err_hint(e, "an address and a port: 192.0.2.5:2525, [2001:db8::1]:587; *:587 is every address of the host; "
		    "none: it only sends");
	}
	if (port_parse(colon ? colon + 1 : text, &port, e) == -1)
		return -1;
	if (n == 0 || (n == 1 && *text == '*') || strncmp(text, ALL, n + 1) == 0 || strncmp(text, "[::]:", n + 1) == 0) {
		str_addf(normal, ALL "%ld", port);
		return 0;
	}
	if (n < sizeof(address))
		memcpy(address, text, n);
	if (address[0] == '[') {
		address[n - 1] = '\0';
		if (inet_pton(AF_INET6, address + 1, mem) == 1) {
			str_addf(normal, "[%s]:%ld", inet_ntop(AF_INET6, mem, plain, sizeof(plain)), port);
			return 0;
		}
	} else if (inet_pton(AF_INET, address, mem) == 1) {
		str_addf(normal, "%s:%ld", address, port);
		return 0;
	}
	err_set(e, RC_INVALID, "\"%.*s\" is not an address to listen on", (int)(n < 200 ? n : 200), clean(text));
	return err_hint(e, "an IPv4 address, an IPv6 address in brackets, or * for all; names are not resolved here");
}

int
vserver_name_free(struct journey *j, int64_t server, const char *name, struct err *e)
{
	struct vserver_list l = { NULL, 0 };
	char *client = wanted_client_name(name), *other;
	size_t i;
	int rc = store_vservers(j->store, server, &l, e);

	if (rc == 0 && (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name) || strlen(name) > 40 || *name == '-'
	    || *name == '\0' || strspn(name, "0123456789") == strlen(name))) {
		err_set(e, RC_INVALID, "\"%s\" cannot be the name of a virtual server", clean(name));
		rc = err_hint(e, "small letters, digits and hyphens, at most 40; the mail log shows it as postfix/NAME");
	}
	for (i = 0; i < l.n && rc == 0; i++) {
		other = wanted_client_name(l.v[i].name);
		if (strcmp(l.v[i].name, name) == 0 || strcmp(other, client) == 0)
			rc = err_set(e, RC_EXISTS, "there is a virtual server %s already%s", clean(l.v[i].name),
			    text_eq(l.v[i].ours, "removed") ? " until a push removes it" : "");
		free(other);
	}
	free(client);
	vserver_list_release(&l);
	return rc;
}

/* Does Postfix from this version on share a port between all addresses and a single one (SO_REUSEPORT, 3.6)? */
static bool
shares_ports(const char *version)
{
	long major, minor = 0;
	char *end;

	if (version == NULL)
		return true;
	major = strtol(version, &end, 10);
	if (*end == '.')
		minor = strtol(end + 1, NULL, 10);
	return major > 3 || (major == 3 && minor >= 6);
}

enum meeting { MEET_NOT, MEET_INSIDE /* one is a single address of the other */, MEET_SAME };

/* Two addresses with ports; "0.0.0.0" is all of IPv4 and, for one that is wanted, of IPv6 too. */
static enum meeting
meet(const char *wanted, const char *other)
{
	const char *port = strrchr(wanted, ':'), *its = strrchr(other, ':');
	bool all = text_starts(wanted, ALL), its_all = text_starts(other, ALL) || text_starts(other, "[::]:");

	if (port == NULL || its == NULL || strcmp(port, its) != 0)
		return MEET_NOT;
	if (strcmp(wanted, other) == 0 || (all && its_all))
		return MEET_SAME;
	if (all)
		return MEET_INSIDE;
	return its_all && (*wanted == '[') == (*other == '[') ? MEET_INSIDE : MEET_NOT;
}

static enum meeting
meets(const char *listen, const struct vserver *vs)
{
	char **w = words_split(text_eq(vs->ours, "added") && vs->listen_wanted ? vs->listen_wanted : vs->listen ? vs->listen : "", " ",
	    NULL);
	enum meeting worst = MEET_NOT, one;

	for (size_t i = 0; w[i] != NULL; i++)
		if ((one = meet(listen, w[i])) > worst)
			worst = one;
	words_free(w);
	return worst;
}

int
vserver_listen_free(struct journey *j, int64_t server, const char *listen, struct str *note, struct err *e)
{
	struct vserver_list l = { NULL, 0 };
	struct server sv = { .id = 0 };
	size_t i;
	int rc = *listen == '\0' ? 0 : store_vservers(j->store, server, &l, e);

	if (rc == 0)
		rc = store_server_get(j->store, server, &sv, e);
	for (i = 0; i < l.n && rc == 0; i++) {
		enum meeting m = text_eq(l.v[i].ours, "removed") ? MEET_NOT : meets(listen, &l.v[i]);

		if (m == MEET_SAME || (m == MEET_INSIDE && !shares_ports(sv.version))) {
			err_set(e, RC_EXISTS, "%s/%s listens on %s already", sv.name, clean(l.v[i].name), listen);
			rc = err_hint(e, "choose another address or port");
		} else if (m == MEET_INSIDE && note != NULL && text_starts(listen, ALL))
			str_addf(note, "What comes to %s goes to %s as before. ", l.v[i].listen_wanted ? l.v[i].listen_wanted : l.v[i].listen,
			    l.v[i].name);
		else if (m == MEET_INSIDE && note != NULL)
			str_addf(note, "What comes to this address goes here from then on, not to %s any more. ", l.v[i].name);
	}
	server_release(&sv);
	vserver_list_release(&l);
	return rc;
}

/* --- added --- */

/* One edit: the virtual server and what was said of it. */
static int
add_stored(struct store *st, struct vserver *vs, const char *server, const char *outbound_tls, struct err *e)
{
	int rc = store_edit_begin(st, e);

	if (rc == -1)
		return -1;
	rc = store_vserver_save(st, vs, e);
	if (rc == 0 && !text_empty(outbound_tls))
		rc = store_wanted_set(st, "vs", vs->id, "outbound.tls", outbound_tls, e);
	return store_edit_end(st, rc, e, "%s/%s: new", server, vs->name);
}

static int
check_new(struct journey *j, int64_t server, const char *name, const char *listen, const char *kind, const char *outbound_tls,
    struct str *normal, struct err *e)
{
	static const char *const kinds[] = { "smtp", "submission", "submissions", NULL };
	const struct setting *s = setting_find("outbound.tls");
	struct str value = STR_INIT;
	size_t i = 0;
	int rc;

	if (vserver_name_free(j, server, name, e) == -1 || vserver_listen_parse(listen, normal, e) == -1 ||
	    vserver_listen_free(j, server, normal->s, NULL, e) == -1)
		return -1;
	while (kinds[i] != NULL && !text_eq(kinds[i], kind))
		i++;
	if (normal->len > 0 && kinds[i] == NULL)
		return err_set(e, RC_INVALID, "\"%s\" is no kind of virtual server: smtp, submission, submissions", clean(kind));
	rc = text_empty(outbound_tls) ? 0 : setting_check(s, outbound_tls, &value, e);
	str_release(&value);
	return rc;
}

/* Until it has one of its own it serves what main.cf says, the certificate of the default one: as that is wanted, else found. */
static int
certificate_of_default(struct journey *j, struct vserver *vs, struct err *e)
{
	struct vserver_list l = { NULL, 0 };
	struct certificate c = { .id = 0 };
	int rc = store_vservers(j->store, vs->server, &l, e);

	for (size_t i = 0; i < l.n && rc == 0; i++) {
		if (!l.v[i].is_default)
			continue;
		if (l.v[i].certificate_set && l.v[i].certificate != 0)
			rc = store_certificate_get(j->store, l.v[i].certificate, &c, e);
		vs->cert_file = xstrdup(l.v[i].cert_file);
		vs->cert_pem = xstrdup(c.pem != NULL ? c.pem : l.v[i].certificate_set ? NULL : l.v[i].cert_pem);
		vs->cert_trouble = c.pem != NULL ? NULL : xstrdup(l.v[i].cert_trouble);
		break;
	}
	certificate_release(&c);
	vserver_list_release(&l);
	return rc;
}

int
vserver_add(struct journey *j, int64_t server, const char *name, const char *listen, const char *kind, const char *outbound_tls,
    int64_t *id, struct str *said, struct err *e)
{
	struct vserver vs = { .server = server };
	struct server sv = { .id = 0 };
	struct str normal = STR_INIT, text = STR_INIT;
	const char *colon;
	int rc = store_server_get(j->store, server, &sv, e);

	if (rc == 0 && sv.read_at == 0) {
		err_set(e, RC_NOTFOUND, "%s has not been read yet, so nobody knows what listens there", sv.name);
		rc = err_hint(e, "mxseal server read %s", sv.name);
	}
	if (rc == 0)
		rc = check_new(j, server, name, listen, kind, outbound_tls, &normal, e);
	if (rc == -1)
		goto out;
	colon = strrchr(normal.s, ':');
	vs.name = xstrdup(name);
	vs.ours = xstrdup("added");
	vs.listen_wanted = xstrdup(normal.s);
	vs.listen = xstrdup(normal.s);
	vs.port = colon ? atoi(colon + 1) : 0;
	vs.kind = xstrdup(normal.len == 0 ? "outbound" : kind);
	vs.title = xasprintf("added: %s", vs.kind);
	vs.implicit_tls = strcmp(vs.kind, "submissions") == 0;
	if (normal.len > 0 && certificate_of_default(j, &vs, e) == -1) {
		rc = -1;
		goto out;
	}
	rc = add_stored(j->store, &vs, sv.name, outbound_tls, e);
	if (rc == 0) {
		*id = vs.id;
		str_addf(&text, "%s/%s: new, %s%s", sv.name, name, normal.len == 0 ? "only sends" : "on ", normal.s);
		rc = note_activity(j, sv.name, "vs-add", 0, e, text.s);
		str_addf(said, "The virtual server %s/%s is kept here. A push makes it on the host.\n", sv.name, name);
	}
out:
	vserver_release(&vs);
	server_release(&sv);
	str_release(&normal);
	str_release(&text);
	return rc;
}

/* --- taken away --- */

/* What would be left hanging without it. */
static int
nothing_hangs(struct journey *j, const struct vserver *vs, const char *full, struct err *e)
{
	struct connector_list c = { NULL, 0 };
	struct request_list r = { NULL, 0 };
	int rc = store_connectors(j->store, &c, e) == -1 || store_requests(j->store, vs->id, &r, e) == -1 ? -1 : 0;
	size_t i, k;

	for (i = 0; i < c.n && rc == 0; i++) {
		char **w = words_split(c.v[i].via ? c.v[i].via : "", " ", NULL);

		for (k = 0; w[k] != NULL && rc == 0; k++)
			if (strcmp(w[k], full) == 0) {
				err_set(e, RC_CONFLICT, "the connector %s is sent by %s", c.v[i].name, clean(full));
				rc = err_hint(e, "give it another one first, or remove it: mxseal connector set %s --via ...", c.v[i].name);
			}
		words_free(w);
	}
	for (i = 0; i < r.n && rc == 0; i++)
		if (text_eq(r.v[i].state, "pending")) {
			err_set(e, RC_CONFLICT, "request #%lld of %s still waits for its answer", (long long)r.v[i].id, clean(full));
			rc = err_hint(e, "mxseal cert drop-request %lld", (long long)r.v[i].id);
		}
	connector_list_release(&c);
	request_list_release(&r);
	return rc;
}

int
vserver_remove(struct journey *j, int64_t vserver, struct str *said, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	char *full = NULL;
	int rc = -1;

	if (store_vserver_get(j->store, vserver, &vs, e) == -1 || store_server_get(j->store, vs.server, &sv, e) == -1)
		goto out;
	full = xasprintf("%s/%s", sv.name, vs.name);
	if (vs.is_default) {
		err_set(e, RC_INVALID, "%s is the default virtual server of %s and cannot be removed", clean(full), sv.name);
		err_hint(e, "it can be stopped: mxseal vs stop %s", full);
		goto out;
	}
	if (nothing_hangs(j, &vs, full, e) == -1 || store_edit_begin(j->store, e) == -1)
		goto out;
	if (!vs.present) {
		rc = store_vserver_delete(j->store, vs.id, e);
		str_addf(said, "%s is forgotten. It was not on the host.\n", full);
	} else {
		xset(&vs.ours, "removed");
		xset(&vs.run_wanted, NULL);
		rc = store_vserver_save(j->store, &vs, e);
		str_addf(said, "%s is to be removed. A push takes its lines out of master.cf%s; an undo of that push puts them back byte for "
		    "byte.\nUntil the push: mxseal vs start %s keeps it.\n", full, vs.listen_wanted == NULL ? ", which were the host's own" : "",
		    full);
	}
	if (rc == 0)
		rc = note_activity(j, sv.name, "vs-remove", 0, e, full);
	rc = store_edit_end(j->store, rc, e, "%s: to be removed", full);
out:
	free(full);
	vserver_release(&vs);
	server_release(&sv);
	return rc;
}

/* --- started, stopped, paused --- */

static const char *
effect(const char *run)
{
	return strcmp(run, "stopped") == 0 ? "nobody can connect to it any more, and mail to it waits with those who send it"
	    : strcmp(run, "paused") == 0 ? "it answers everybody with 421, and mail to it waits with those who send it"
	    : "it takes mail in";
}

int
vserver_run(struct journey *j, int64_t vserver, const char *run, struct str *said, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };
	struct str text = STR_INIT;
	bool stays;
	int rc = -1;

	if (store_vserver_get(j->store, vserver, &vs, e) == -1 || store_server_get(j->store, vs.server, &sv, e) == -1)
		goto out;
	stays = text_eq(vs.ours, "removed");
	if (stays && strcmp(run, "started") != 0) {
		err_set(e, RC_INVALID, "%s/%s is to be removed by the next push", sv.name, clean(vs.name));
		err_hint(e, "mxseal vs start %s/%s keeps it", sv.name, vs.name);
		goto out;
	}
	if (vs.port == 0 && !stays) {
		err_set(e, RC_INVALID, "%s/%s listens nowhere, so there is nothing to start, stop or pause", sv.name, clean(vs.name));
		goto out;
	}
	if (stays)
		xset(&vs.ours, vs.listen_wanted != NULL ? "added" : NULL);
	if (vs.port != 0)
		xset(&vs.run_wanted, run);
	str_addf(&text, "%s/%s: %s", sv.name, vs.name, vs.port != 0 ? run : "stays");
	if (store_edit_begin(j->store, e) == -1)
		goto out;
	rc = store_vserver_save(j->store, &vs, e);
	if (rc == 0)
		rc = note_activity(j, sv.name, "vs-run", 0, e, text.s);
	rc = store_edit_end(j->store, rc, e, "%s", text.s);
	if (rc == 0 && stays)
		str_addf(said, "%s/%s stays.\n", sv.name, vs.name);
	if (rc == -1 || vs.port == 0)
		goto out;
	if (vs.present && text_eq(vs.run ? vs.run : "started", run))
		str_addf(said, "%s/%s is %s on the host already.\n", sv.name, vs.name, run);
	else
		str_addf(said, "%s/%s is to be %s. A push does it: then %s.\n", sv.name, vs.name, run, effect(run));
out:
	vserver_release(&vs);
	server_release(&sv);
	str_release(&text);
	return rc;
}

void
vserver_ask(struct journey *j, int64_t vserver, const char *verb, struct str *question)
{
	struct vserver vs = { .id = 0 };
	struct server sv = { .id = 0 };

	if (store_vserver_get(j->store, vserver, &vs, NULL) == -1 || store_server_get(j->store, vs.server, &sv, NULL) == -1)
		goto out;
	if (strcmp(verb, "remove") == 0 && vs.present && vs.listen_wanted == NULL && !vs.is_default)
		str_addf(question, "%s/%s is not of mxseal's making. Let a push remove it?", sv.name, vs.name);
	else if (strcmp(verb, "remove") == 0)
		str_addf(question, "Remove %s/%s?", sv.name, vs.name);
	else if (vs.is_default && strcmp(verb, "start") != 0)
		str_addf(question, "All mail to %s stops with the push. %s %s/%s?", sv.name, strcmp(verb, "stop") == 0 ? "Stop" : "Pause",
		    sv.name, vs.name);
out:
	vserver_release(&vs);
	server_release(&sv);
}
