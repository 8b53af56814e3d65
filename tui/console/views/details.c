/* The right side of the main screen: facts with their age, why they matter, and the next step with its key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/authority.h"
#include "mxseal/certificate.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "tui/console/views/details.h"
#include "tui/console/views/listeners.h"

static void
heading(struct lines *l, const char *text)
{
	if (l->n > 0)
		lines_add(l, STYLE_NORMAL, "");
	lines_add(l, STYLE_TITLE, text);
}

static void
next(struct lines *l, int width, const char *key, const char *what)
{
	struct str t = STR_INIT;

	str_addf(&t, "  %-6s %s", key, what);
	lines_wrap(l, STYLE_NORMAL, width, 9, t.s);
	str_release(&t);
}

static void
age(struct lines *l, int width, const char *label, int64_t at, const char *suffix)
{
	char ago[16], text[160];

	if (at == 0)
		return;
	when_ago(ago, when_now() - at);
	snprintf(text, sizeof(text), "%s ago%s%s", ago, *suffix != '\0' ? " " : "", suffix);
	lines_field(l, STYLE_NORMAL, width, label, text);
}

static void
certificate_lines(struct lines *l, int width, const char *label, const char *pem)
{
	struct certificate c = { 0 };
	struct err e;
	char left[48], until[16], text[160];

	if (cert_describe(pem, &c, &e) != 0) {
		lines_field(l, STYLE_BAD, width, label, e.text);
		return;
	}
	char sign = time_left(c.not_after, left);
	when_date(until, c.not_after);
	snprintf(text, sizeof(text), "%s%s (%s)", sign == '!' ? "! " : "", until, left);
	lines_field(l, STYLE_NORMAL, width, label, c.cn != NULL ? c.cn : c.subject);
	lines_field(l, STYLE_NORMAL, width, "  issuer", c.issuer);
	lines_field(l, STYLE_NORMAL, width, "  names", c.san);
	lines_field(l, sign == '!' ? STYLE_BAD : STYLE_NORMAL, width, "  until", text);
	snprintf(text, sizeof(text), "%s %d", c.key_type != NULL ? c.key_type : "?", c.key_bits);
	lines_field(l, STYLE_NORMAL, width, "  key", text);
	certificate_release(&c);
}

static void
edits(struct app *a, int64_t server, int width, struct lines *l)
{
	struct str t = STR_INIT;

	if (pending_edits(a->j, server, &t) > 0) {
		heading(l, "Edited, not pushed yet");
		lines_wrap(l, STYLE_EDITED, width, 2, t.s);
	}
	str_release(&t);
}

static bool
has_vservers(struct app *a, int64_t server)
{
	struct vserver_list l = { NULL, 0 };
	bool any = store_vservers(a->st, server, &l, NULL) == 0 && l.n > 0;

	vserver_list_release(&l);
	return any;
}

/* What the mail system says of its own configuration: the first of it. */
static void
warnings(struct app *a, const struct server *s, int width, struct lines *l)
{
	char *all = server_warnings(a->j, s->id), **said;
	struct str text = STR_INIT;
	size_t n;

	if (all == NULL)
		return;
	said = words_split(all, "\n", &n);
	str_addf(&text, "! %s", said[0]);
	if (n > 1)
		str_addf(&text, " (and %zu more: mxseal server show %s)", n - 1, s->name);
	lines_field(l, STYLE_BAD, width, "Warns", text.s);
	str_release(&text);
	words_free(said);
	free(all);
}

static void
of_server(struct app *a, const struct node *n, int width, struct lines *l)
{
	struct server s = { 0 };
	struct err e;
	char text[800];

	if (store_server_get(a->st, n->id, &s, &e) != 0) {
		lines_wrap(l, STYLE_BAD, width, 0, e.text);
		return;
	}
	struct task *t = task_of_server(a, n->id);
	if (t != NULL) {
		snprintf(text, sizeof(text), "%s: %s", t->verb, t->text[0] != '\0' ? t->text : "...");
		lines_field(l, STYLE_UNKNOWN, width, "Now", text);
	}
	if (s.trouble != NULL) {
		snprintf(text, sizeof(text), "%c %s", n->sign == '?' ? '?' : '!', s.trouble);
		lines_field(l, style_of_sign(text[0]), width, "State", text);
	} else if (s.read_at == 0) {
		lines_field(l, STYLE_UNKNOWN, width, "State", "? never read: nobody has been contacted yet");
	}
	lines_field(l, STYLE_NORMAL, width, "Address", s.target);
	if (s.mailsys != NULL) {
		snprintf(text, sizeof(text), "%s %s", s.mailsys, s.version != NULL ? s.version : "");
		lines_field(l, STYLE_NORMAL, width, "Mail", text);
	}
	lines_field(l, STYLE_NORMAL, width, "Says", s.host_name);
	lines_field(l, STYLE_NORMAL, width, "System", s.os);
	lines_field(l, STYLE_NORMAL, width, "Settings", s.config_dir);
	if (s.read_at > 0 && s.queue_messages >= 0) {
		snprintf(text, sizeof(text), "%lld message%s", (long long)s.queue_messages, s.queue_messages == 1 ? "" : "s");
		lines_field(l, STYLE_NORMAL, width, "Queue", text);
	}
	if (s.transport != NULL) {
		snprintf(text, sizeof(text), "%s%s%s", s.transport, s.transport_why != NULL ? ": " : "",
		    s.transport_why != NULL ? s.transport_why : "");
		lines_field(l, STYLE_NORMAL, width, "Reached", text);
	}
	if (s.generation > 0) {
		snprintf(text, sizeof(text), "generation %lld of mxseal", (long long)s.generation);
		lines_field(l, STYLE_NORMAL, width, "In force", text);
	}
	age(l, width, "Seen", s.read_at, "");
	warnings(a, &s, width, l);
	edits(a, s.id, width, l);
	heading(l, "Next step");
	if (s.read_at == 0)
		next(l, width, "Enter", s.trouble != NULL ? "try again" : "connect and read; its host key is shown first");
	else if (pending_edits(a->j, s.id, NULL) > 0)
		next(l, width, "P", "see the plan: what would change, line by line");
	if (s.read_at > 0) {
		if (has_vservers(a, s.id))
			next(l, width, "c", "certificate wizard of its default virtual server");
		next(l, width, "r", "read again (changes nothing there)");
		next(l, width, "Q", "its queue and why mail waits");
		next(l, width, "H", "generations: what was pushed, what is in force");
	}
	server_release(&s);
}

/* Where it listens, whether it does, and what the next push makes of it. */
static void
listener_lines(const struct vserver *v, int width, struct lines *l)
{
	bool removed = v->ours != NULL && strcmp(v->ours, "removed") == 0, added = v->ours != NULL && strcmp(v->ours, "added") == 0;

	if (v->run != NULL && strcmp(v->run, "started") != 0)
		lines_field(l, STYLE_BAD, width, "State", strcmp(v->run, "paused") == 0 ? "! paused: everybody is answered with 421"
		    : "! stopped: it does not listen, mail to it is refused");
	if (added && !v->present)
		lines_field(l, STYLE_EDITED, width, "Pushed", "~ not yet: new");
	else if (removed)
		lines_field(l, STYLE_EDITED, width, "Pushed", "~ not yet: to be removed");
	lines_field(l, STYLE_NORMAL, width, "Listens", text_empty(v->listen) ? "nowhere: it only sends, for connectors" : v->listen);
}

static void
next_run(const struct vserver *v, int width, struct lines *l)
{
	static const struct { const char *run, *key, *what; } steps[] = {
		{ "started", "S, Z", "stop it, pause it" },
		{ "paused", "S", "start it" },
		{ "stopped", "S, Z", "start it, pause it" },
		{ "removed", "S", "keep it" },
	};
	const char *run = listener_to_be(v);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (strcmp(steps[i].run, run) == 0)
			next(l, width, steps[i].key, steps[i].what);
}

static void
of_vserver(struct app *a, const struct node *n, int width, struct lines *l)
{
	struct vserver v = { 0 };
	struct err e;
	const char *state = certificate_state(a->j, n->id);

	if (store_vserver_get(a->st, n->id, &v, &e) != 0) {
		lines_wrap(l, STYLE_BAD, width, 0, e.text);
		return;
	}
	if (v.served_trouble != NULL) {
		char *t = xasprintf("! %s", v.served_trouble);
		lines_field(l, STYLE_BAD, width, "State", t);
		free(t);
	}
	listener_lines(&v, width, l);
	if (v.implicit_tls)
		lines_field(l, STYLE_NORMAL, width, "TLS", "from the first byte (implicit)");
	if (v.served_pem != NULL)
		certificate_lines(l, width, "Serves", v.served_pem);
	else if (v.cert_pem != NULL)
		certificate_lines(l, width, "Has", v.cert_pem);
	lines_field(l, STYLE_NORMAL, width, "File", v.cert_file);
	if (v.second_pem != NULL)
		certificate_lines(l, width, "And second", v.second_pem);
	if (v.cert_trouble != NULL)
		lines_field(l, STYLE_BAD, width, "Trouble", v.cert_trouble);
	for (size_t i = 0; i < v.found.n; i++) {
		const struct setting *s = setting_find(v.found.v[i].name);
		if (s != NULL && v.found.v[i].value != NULL && strstr(v.found.v[i].name, ".tls") != NULL) {
			char *t = xasprintf("%s = %s", s->name, v.found.v[i].value);
			lines_field(l, STYLE_NORMAL, width, i == 0 ? "Found" : "", t);
			free(t);
		}
	}
	age(l, width, "Seen", v.served_at, "from the host itself");
	edits(a, v.server, width, l);
	if (v.served_pem == NULL && v.certificate == 0 && v.port != 0 && (v.run == NULL || strcmp(v.run, "stopped") != 0)) {
		heading(l, "Why this matters");
		lines_wrap(l, STYLE_NORMAL, width, 2, "  Mail to this listener crosses the network in the clear: without a "
		    "certificate there is no STARTTLS to offer.");
	}
	heading(l, "Next step");
	next(l, width, "c", strcmp(state, "pending") == 0 ? "process the pending request" :
	    strcmp(state, "installed") == 0 ? "certificate wizard: renew, replace, remove" : "certificate wizard: request one");
	next(l, width, "Enter", "properties");
	if (v.port != 0)
		next_run(&v, width, l);
	if (v.served_pem != NULL)
		next(l, width, "v", "the certificate and its chain");
	next(l, width, "P", "plan: what a push would change");
	vserver_release(&v);
}

static void
of_connector(struct app *a, const struct node *n, int width, struct lines *l)
{
	struct connector c = { 0 };
	struct str troubles = STR_INIT;
	struct err e;

	if (store_connector_get(a->st, n->id, &c, &e) != 0) {
		lines_wrap(l, STYLE_BAD, width, 0, e.text);
		return;
	}
	lines_field(l, STYLE_NORMAL, width, "Rule", c.tls);
	lines_field(l, STYLE_NORMAL, width, "Domains", c.domains);
	lines_field(l, STYLE_NORMAL, width, "Route", c.smart_hosts != NULL ? c.smart_hosts : c.route);
	lines_field(l, STYLE_NORMAL, width, "Log in", c.auth_user);
	lines_field(l, STYLE_NORMAL, width, "From", c.senders);
	lines_field(l, STYLE_NORMAL, width, "Sent", c.delivery);
	lines_field(l, STYLE_NORMAL, width, "Sent by", c.via);
	lines_field(l, STYLE_NORMAL, width, "Names", c.match);
	lines_field(l, STYLE_NORMAL, width, "Why", c.reason);
	lines_field(l, STYLE_NORMAL, width, "Review", c.review);
	connector_troubles(a->j, &c, &troubles);
	if (troubles.len > 0)
		lines_wrap(l, STYLE_WARN, width, 2, troubles.s);
	str_release(&troubles);
	edits(a, n->server, width, l);
	heading(l, "Next step");
	next(l, width, "Enter", "change this connector");
	next(l, width, "t", "test the destination now");
	connector_release(&c);
}

static void
of_certificate(struct app *a, const struct node *n, int width, struct lines *l)
{
	struct certificate c = { 0 };
	struct err e;

	if (store_certificate_get(a->st, n->id, &c, &e) != 0) {
		lines_wrap(l, STYLE_BAD, width, 0, e.text);
		return;
	}
	certificate_lines(l, width, "Subject", c.pem != NULL ? c.pem : "");
	if (c.sealed_key != NULL)
		lines_field(l, STYLE_NORMAL, width, "Key", "kept here, sealed");
	lines_field(l, STYLE_NORMAL, width, "Key file", c.key_path);
	lines_field(l, STYLE_NORMAL, width, "Serial", c.serial);
	lines_field(l, STYLE_NORMAL, width, "SHA-256", c.sha256);
	heading(l, "Next step");
	next(l, width, "Enter", "all of it, with its chain");
	certificate_release(&c);
}

static void
of_request(struct app *a, const struct node *n, int width, struct lines *l)
{
	struct request r = { 0 };
	char since[16], text[80];
	struct err e;

	if (store_request_get(a->st, n->id, &r, &e) != 0) {
		lines_wrap(l, STYLE_BAD, width, 0, e.text);
		return;
	}
	when_date(since, r.created_at);
	snprintf(text, sizeof(text), "~ waits for the authority's answer since %s", since);
	lines_field(l, STYLE_EDITED, width, "State", text);
	lines_field(l, STYLE_NORMAL, width, "For", r.subject.cn);
	lines_field(l, STYLE_NORMAL, width, "Names", r.subject.san);
	lines_field(l, STYLE_NORMAL, width, "Org", r.subject.o);
	lines_field(l, STYLE_NORMAL, width, "Key", key_kind_name(r.kind));
	lines_field(l, STYLE_NORMAL, width, "Key file", r.key_path);
	lines_field(l, STYLE_NORMAL, width, "Written to", r.out_file);
	lines_field(l, STYLE_NORMAL, width, "SHA-256", r.sha256);
	age(l, width, "Made", r.created_at, "");
	heading(l, "Next step");
	next(l, width, "Enter", "process the answer: the wizard asks for its file");
	next(l, width, "y", "copy the request (PEM) to the clipboard, to paste it");
	next(l, width, "w", "write it to a file again");
	request_release(&r);
}

/* An authority elsewhere: the account there, and how its orders went. */
static void
acme_lines(struct lines *l, struct app *a, int width, const struct authority *r)
{
	struct acme_order_list orders = { NULL, 0 };
	const struct acme_order *o;
	char date[16], *text;

	lines_field(l, STYLE_NORMAL, width, "Directory", r->directory);
	lines_field(l, STYLE_NORMAL, width, "Account", r->account);
	lines_field(l, STYLE_NORMAL, width, "Proof", r->challenge);
	if (r->contact != NULL)
		lines_field(l, STYLE_NORMAL, width, "Contact", r->contact);
	if (store_acme_orders(a->st, r->id, &orders, NULL) == 0 && orders.n > 0) {
		o = &orders.v[orders.n - 1];
		when_date(date, o->changed_at);
		text = xasprintf("request #%lld: %s, %s", (long long)o->request, o->state, date);
		lines_field(l, STYLE_NORMAL, width, "Last order", text);
		free(text);
		if (o->trouble != NULL)
			lines_wrap(l, STYLE_BAD, width, 0, o->trouble);
		if (o->renew_from != 0) {
			when_date(date, o->renew_from);
			lines_field(l, STYLE_NORMAL, width, "Renew from", date);
		}
	}
	acme_order_list_release(&orders);
	heading(l, "Next step");
	next(l, width, "c", "on a virtual server: request a certificate there");
}

static void
of_authority(struct app *a, const struct node *n, int width, struct lines *l)
{
	struct authority r = { 0 };
	struct issued_list issued = { NULL, 0 };
	struct submission_list waiting = { NULL, 0 };
	struct str permits = STR_INIT;
	size_t i, pending = 0;
	struct err e;
	char text[64];
	bool root;

	if (store_authority_get(a->st, n->id, &r, &e) != 0) {
		lines_wrap(l, STYLE_BAD, width, 0, e.text);
		return;
	}
	if (r.directory != NULL) {
		acme_lines(l, a, width, &r);
		authority_release(&r);
		return;
	}
	if (r.pem != NULL)
		certificate_lines(l, width, "Subject", r.pem);
	lines_field(l, STYLE_NORMAL, width, "Issues", r.policy != NULL && strcmp(r.policy, "ask") == 0 ? "when somebody approves" : "at once");
	authority_limits(&r, &permits, &root);
	lines_field(l, STYLE_NORMAL, width, "Kind", root ? NULL : "below a root");
	lines_field(l, STYLE_NORMAL, width, "Only for", permits.len > 0 ? permits.s : NULL);
	str_release(&permits);
	snprintf(text, sizeof(text), "%d days", r.days);
	lines_field(l, STYLE_NORMAL, width, "Life", text);
	if (store_issued(a->st, n->id, &issued, NULL) == 0) {
		snprintf(text, sizeof(text), "%zu certificate%s", issued.n, issued.n == 1 ? "" : "s");
		lines_field(l, STYLE_NORMAL, width, "Issued", text);
		issued_list_release(&issued);
	}
	if (store_submissions(a->st, n->id, &waiting, NULL) == 0) {
		for (i = 0; i < waiting.n; i++)
			pending += strcmp(waiting.v[i].state, "pending") == 0;
		snprintf(text, sizeof(text), "%zu request%s", pending, pending == 1 ? "" : "s");
		lines_field(l, pending > 0 ? STYLE_EDITED : STYLE_NORMAL, width, "Waiting", text);
		submission_list_release(&waiting);
	}
	heading(l, "Next step");
	next(l, width, "Enter", "its office: approve, deny, revoke, the list, renew it");
	next(l, width, "v", "all of its certificate");
	next(l, width, "y", "copy its certificate, for those who shall trust it");
	authority_release(&r);
}

static void
of_attention(const struct node *n, int width, struct lines *l)
{
	lines_wrap(l, style_of_sign(n->sign), width, 2, n->name);
	heading(l, "Next step");
	next(l, width, "Enter", n->next != NULL ? n->next : "go there");
}

static void
of_group(const struct node *n, int width, struct lines *l)
{
	lines_add(l, STYLE_TITLE, n->name);
	heading(l, "Next step");
	next(l, width, "Enter", n->open ? "fold" : "unfold");
	next(l, width, "n", strncmp(n->key, "authorit", 8) == 0 ? "set up an own authority" :
	    strncmp(n->key, "connector", 9) == 0 ? "make a connector" : "add a server");
}

static void
of_rule(struct app *a, const struct node *n, int width, struct lines *l)
{
	struct found_rule_list rules = { NULL, 0 };

	if (store_found_rules(a->st, n->server, &rules, NULL) == 0 && (size_t)n->id < rules.n) {
		const struct found_rule *r = &rules.v[n->id];

		lines_field(l, STYLE_NORMAL, width, "For", *r->key != '\0' ? r->key : "all that no other rule is for");
		lines_field(l, STYLE_NORMAL, width, "Says", r->value);
		lines_field(l, STYLE_NORMAL, width, "Stands in", r->source);
		if (r->trouble != NULL)
			lines_wrap(l, STYLE_BAD, width, 2, r->trouble);
		lines_wrap(l, STYLE_NORMAL, width, 0, "The administrator's own, only to look at: mxseal never changes its file.");
		if (strcmp(r->kind, "transport") == 0 || strcmp(r->kind, "policy") == 0) {
			heading(l, "Next step");
			next(l, width, "Enter", "take it over: a connector in front of it that does the same");
		}
	}
	found_rule_list_release(&rules);
}

void
details_of(struct app *a, const struct node *n, int width, struct lines *out)
{
	if (n == NULL)
		return;
	switch (n->kind) {
	case NODE_GROUP: of_group(n, width, out); break;
	case NODE_ATTENTION: of_attention(n, width, out); break;
	case NODE_SERVER: of_server(a, n, width, out); break;
	case NODE_VSERVER: of_vserver(a, n, width, out); break;
	case NODE_CONNECTOR: of_connector(a, n, width, out); break;
	case NODE_CERTIFICATE: of_certificate(a, n, width, out); break;
	case NODE_REQUEST: of_request(a, n, width, out); break;
	case NODE_AUTHORITY: of_authority(a, n, width, out); break;
	case NODE_RULE: of_rule(a, n, width, out); break;
	}
}

void
details_welcome(int width, struct lines *l)
{
	lines_wrap(l, STYLE_TITLE, width, 0, "Which mail servers do you look after?");
	lines_add(l, STYLE_NORMAL, "");
	lines_wrap(l, STYLE_NORMAL, width, 0, "No server is known yet, and nobody has been contacted.");
	lines_add(l, STYLE_NORMAL, "");
	lines_wrap(l, STYLE_KEY, width, 9, "  Enter  add a mail server (name and SSH address)");
	lines_wrap(l, STYLE_NORMAL, width, 9, "  ?      help          :  all commands          q  quit");
	lines_add(l, STYLE_NORMAL, "");
	lines_wrap(l, STYLE_NORMAL, width, 0, "What happens then: you see the host key and confirm it; mxseal logs in with "
	    "your own SSH key and reads the settings of the mail system, certificates (never private keys) and queue counts. It "
	    "writes nothing on the server.");
	lines_add(l, STYLE_NORMAL, "");
	lines_wrap(l, STYLE_NORMAL, width, 0, "A server changes only on the plan's screen, after you have seen every line, and "
	    "it puts the old state back by itself unless you keep the new one.");
	lines_add(l, STYLE_NORMAL, "");
	lines_wrap(l, STYLE_NORMAL, width, 0, "Keys: arrows or hjkl move, Enter acts, Esc goes back. Screen reader or Braille: "
	    "mxseal help (all of it is on the command line). Colours off: NO_COLOR=1");
}

void
details_command(struct app *a, const struct node *n, struct str *out)
{
	struct server s = { 0 };

	if (n == NULL)
		return;
	switch (n->kind) {
	case NODE_SERVER: str_addf(out, "mxseal server show %s", n->object_name); break;
	case NODE_VSERVER:
		str_add(out, "mxseal vs show ");
		str_add_word(out, n->object_name);         /* as the host has it */
		break;
	case NODE_CONNECTOR: str_addf(out, "mxseal connector show %s", n->object_name); break;
	case NODE_CERTIFICATE: str_addf(out, "mxseal cert show %lld", (long long)n->id); break;
	case NODE_REQUEST: str_addf(out, "mxseal cert request-text %lld", (long long)n->id); break;
	case NODE_AUTHORITY: str_addf(out, "mxseal authority show %s", n->object_name); break;
	case NODE_ATTENTION:
		str_add(out, "mxseal check");
		if (n->server != 0 && store_server_get(a->st, n->server, &s, NULL) == 0) {
			str_reset(out);
			str_addf(out, "mxseal server show %s", s.name);
			server_release(&s);
		}
		break;
	case NODE_RULE: str_add(out, "mxseal connector list --found"); break;
	case NODE_GROUP: str_add(out, "mxseal server list"); break;
	}
}
