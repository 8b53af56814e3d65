/* What can be done on the main screen: the actions, and their table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mxseal/xalloc.h"
#include "tui/console/views/listeners.h"
#include "tui/console/views/main.h"

#define READS_AT_ONCE 8

static int64_t
vserver_for(const struct view *v, char **name)
{
	struct node *n = main_selected(v);
	struct vserver_list l = { NULL, 0 };
	struct server s = { 0 };
	int64_t id = 0;

	if (n == NULL)
		return 0;
	if (n->kind == NODE_VSERVER) {
		*name = xstrdup(n->object_name);
		return n->id;
	}
	if (n->server == 0 || store_server_get(v->app->st, n->server, &s, NULL) != 0)
		return 0;
	if (store_vservers(v->app->st, n->server, &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++)
			if (n->kind == NODE_ATTENTION ? l.v[i].id == n->id : l.v[i].is_default) {
				id = l.v[i].id;
				*name = xasprintf("%s/%s", s.name, l.v[i].name);
				break;
			}
	vserver_list_release(&l);
	server_release(&s);
	return id;
}

static bool
on_server(const struct view *v)
{
	struct node *n = main_selected(v);
	return n != NULL && n->server != 0;
}

static bool
on_read_server(const struct view *v)
{
	struct node *n = main_selected(v);
	struct vserver_list l = { NULL, 0 };
	bool any = false;

	if (n != NULL && n->server != 0 && store_vservers(v->app->st, n->server, &l, NULL) == 0)
		any = l.n > 0;
	vserver_list_release(&l);
	return any;
}

static bool has_servers(const struct view *v) { return !main_is_empty(v); }

/* The sheet for this kind of object, by kind or, for new things, by name. */
static void
open_sheet(struct view *v, const char *sheet, enum sheet_object object, enum sheet_kind kind, int64_t id, const char *name)
{
	const struct sheet *s = sheet != NULL ? sheet_find(sheet) : sheet_for(object, kind);

	if (s != NULL)
		app_sheet(v->app, s->name, id, name, NULL);
}

static void
act_read(struct view *v)
{
	struct node *n = main_selected(v);

	if (n != NULL && n->server != 0)
		app_server_read(v->app, v, n->server);
}

static int64_t
read_run(struct fleet_host *h, journey_done_fn *done, void *arg, struct err *e)
{
	return server_read(fleet_journey(h->fleet), h->server, done, arg, e);
}

static void
read_changed(void *arg, struct fleet_host *h)
{
	struct app *a = ((struct fleet_tasks *)arg)->app;

	a->dirty = true;
	if (h->state == FLEET_DONE && h->rc != 0)
		app_fail(a, &h->err);
	else if (h->state == FLEET_DONE && fleet_over(h->fleet))
		app_say(a, STYLE_OK, "%zu servers were read. Nothing was changed there.", fleet_size(h->fleet));
}

static void
act_read_all(struct view *v)
{
	struct app *a = v->app;
	struct fleet_user u = { .run = fleet_tasks_run, .changed = read_changed, .arg = &a->reading_tasks };
	struct fleet_options o = { .at_once = READS_AT_ONCE };
	struct server_list l = { NULL, 0 };

	if (a->reading != NULL && !fleet_over(a->reading)) {
		app_say(a, STYLE_NORMAL, "All servers are being read already.");
		return;
	}
	fleet_free(a->reading);
	a->reading_tasks = (struct fleet_tasks){ .app = a };
	a->reading = fleet_new(a->j, &o, &u);
	if (store_servers(a->st, &l, NULL) == 0)
		for (size_t i = 0; i < l.n; i++)
			if (task_of_server(a, l.v[i].id) == NULL)
				(void)fleet_add(a->reading, l.v[i].id, l.v[i].name);
	server_list_release(&l);
	fleet_each(a->reading, "read", read_run);
}

static void
act_wizard(struct view *v)
{
	char *name = NULL;
	int64_t id = vserver_for(v, &name);

	if (id != 0)
		open_sheet(v, NULL, OBJECT_VSERVER, SHEET_WIZARD, id, name);
	else
		app_say(v->app, STYLE_NORMAL, "Choose a virtual server first (read the server with r if it shows none).");
	free(name);
}

static void
act_properties(struct view *v)
{
	struct node *n = main_selected(v);
	char *name = NULL;

	if (n == NULL)
		return;
	if (n->kind == NODE_CONNECTOR) {
		open_sheet(v, "connector", OBJECT_CONNECTOR, SHEET_TABS, n->id, n->object_name);
		return;
	}
	int64_t id = vserver_for(v, &name);
	if (id != 0)
		open_sheet(v, NULL, OBJECT_VSERVER, SHEET_TABS, id, name);
	free(name);
}

static bool
can_properties(const struct view *v)
{
	struct node *n = main_selected(v);
	return n != NULL && (n->kind == NODE_CONNECTOR || on_read_server(v));
}

static void
act_server(struct view *v)
{
	struct node *n = main_selected(v);
	struct server s = { 0 };

	if (store_server_get(v->app->st, n->server, &s, NULL) == 0)
		open_sheet(v, "server-set", OBJECT_SERVER, SHEET_DIALOG, s.id, s.name);
	server_release(&s);
}

static void act_new_server(struct view *v) { open_sheet(v, "server", OBJECT_NONE, SHEET_DIALOG, 0, NULL); }

/* Opened on a virtual server, which then sends for it. */
static void
act_new_connector(struct view *v)
{
	char *name = NULL;

	(void)vserver_for(v, &name);
	open_sheet(v, "connector", OBJECT_CONNECTOR, SHEET_TABS, 0, name);
	free(name);
}

static void
act_drift(struct view *v)
{
	struct node *n = main_selected(v);
	struct drift_arg arg = { .server = n != NULL ? n->server : 0 };

	if (n != NULL && n->server != 0)
		view_push(v->app, &view_drift, &arg);
}

static void act_follow(struct view *v) { view_push(v->app, &view_follow, NULL); }
static bool can_follow(const struct view *v) { return v->app->follow != NULL; }

static void
act_workarounds(struct view *v)
{
	view_push(v->app, &view_workarounds, NULL);
}

/* What is one step stricter than what the host does now, to begin with; o in the view chooses. */
static void
act_rehearsal(struct view *v)
{
	struct node *n = main_selected(v);
	struct rehearsal_arg arg = { .server = n != NULL ? n->server : 0, .level = "encrypt" };

	if (n != NULL && n->kind == NODE_VSERVER)
		arg.vserver = n->id;
	if (n != NULL && n->server != 0)
		view_push(v->app, &view_rehearsal, &arg);
}

/* The two recipes. */
static void
act_tls_to(struct view *v)
{
	char *name = NULL;

	(void)vserver_for(v, &name);
	app_sheet(v->app, "tls-to", 0, name, NULL);
	free(name);
}

static void
act_tls_except(struct view *v)
{
	struct node *n = main_selected(v);
	struct server s = { 0 };

	if (n != NULL && n->server != 0 && store_server_get(v->app->st, n->server, &s, NULL) == 0)
		app_sheet(v->app, "tls-except", s.id, s.name, NULL);
	server_release(&s);
}

static void act_new_authority(struct view *v) { open_sheet(v, "authority", OBJECT_NONE, SHEET_DIALOG, 0, NULL); }
static void act_new_acme(struct view *v) { open_sheet(v, "acme", OBJECT_NONE, SHEET_DIALOG, 0, NULL); }

static void
act_new(struct view *v)
{
	struct node *n = main_selected(v);

	if (n != NULL && (n->kind == NODE_AUTHORITY || strncmp(n->key, "authorities", 11) == 0))
		act_new_authority(v);
	else if (n != NULL && (n->kind == NODE_CONNECTOR || strncmp(n->key, "connectors", 10) == 0))
		act_new_connector(v);
	else
		act_new_server(v);
}

/* The name of the group whose row this is, or NULL. */
static const char *
group_of(const struct node *n)
{
	return n != NULL && n->kind == NODE_GROUP && n->object_name != NULL && n->object_name[0] == '@' ? n->object_name + 1 : NULL;
}

static void
act_plan(struct view *v)
{
	struct node *n = main_selected(v);
	struct plan_arg arg = { .server = n != NULL ? n->server : 0, .group = group_of(n) };

	if (n != NULL && n->server != 0 && !on_read_server(v)) {
		app_say(v->app, STYLE_NORMAL, "This server has not been read yet: r does that first, and changes nothing there.");
		return;
	}
	if (pending_edits(v->app->j, 0, NULL) > 0 && (n == NULL || pending_edits(v->app->j, n->server, NULL) == 0))
		arg.server = 0;                            /* the edits are elsewhere: show those */
	view_push(v->app, &view_plan, &arg);
}

static void
act_retry(struct view *v)
{
	struct plan_arg arg = { .retry = true };

	view_push(v->app, &view_plan, &arg);
}

static bool
can_retry(const struct view *v)
{
	struct server_list l = { NULL, 0 };
	bool any = push_retry_servers(v->app->j, &l, NULL) == 0 && l.n > 0;

	server_list_release(&l);
	return any;
}

static void
act_queue(struct view *v)
{
	struct node *n = main_selected(v);
	struct queue_arg arg = { .server = n != NULL ? n->server : 0, .destination = n != NULL ? n->destination : NULL };

	view_push(v->app, &view_queue, &arg);
}

static void
act_watch(struct view *v)
{
	if (v->app->push != NULL)
		view_push(v->app, &view_push_watch, NULL);
	else
		app_say(v->app, STYLE_NORMAL, "No push is running or waiting here.");
}

static bool can_watch(const struct view *v) { return v->app->push != NULL; }

static void
act_test(struct view *v)
{
	struct node *n = main_selected(v);
	struct connector c = { 0 };
	struct server s = { 0 };
	struct probe_arg arg = { .server = 0 };
	char *target = NULL;

	if (n == NULL)
		return;
	if (n->kind == NODE_CONNECTOR && store_connector_get(v->app->st, n->id, &c, NULL) == 0) {
		const char *d = c.domains != NULL ? c.domains : "";
		d += strncmp(d, "*.", 2) == 0 ? 2 : 0;
		target = xstrndup(d, strcspn(d, ", "));
		arg.server = n->server;
		connector_release(&c);
	} else if (n->server != 0 && store_server_get(v->app->st, n->server, &s, NULL) == 0) {
		target = xstrdup(s.host_name);
		arg.server = n->server;
		server_release(&s);
	}
	arg.target = target;
	view_push(v->app, &view_probe, &arg);
	free(target);
}

static void
act_route(struct view *v)
{
	struct node *n = main_selected(v);

	if (n != NULL)
		route_for(v->app, n->server, n->kind == NODE_CONNECTOR ? n->id : 0);
}

/* The certificate that is served, or the selected one. */
static void
act_certificate(struct view *v)
{
	struct node *n = main_selected(v);
	struct certificate c = { 0 };
	struct authority au = { 0 };
	struct vserver s = { 0 };

	if (n != NULL && n->kind == NODE_CERTIFICATE && store_certificate_get(v->app->st, n->id, &c, NULL) == 0) {
		struct certificate_arg arg = { .title = n->name, .pem = c.pem, .id = c.id };
		view_push(v->app, &view_certificate, &arg);
		certificate_release(&c);
	} else if (n != NULL && n->kind == NODE_AUTHORITY && store_authority_get(v->app->st, n->id, &au, NULL) == 0) {
		char *command = xasprintf("mxseal authority certificate %s", n->object_name);
		struct certificate_arg arg = { .title = n->object_name, .pem = au.pem, .command = command };
		if (arg.pem != NULL)
			view_push(v->app, &view_certificate, &arg);
		free(command);
		authority_release(&au);
	} else if (n != NULL && n->kind == NODE_VSERVER && store_vserver_get(v->app->st, n->id, &s, NULL) == 0) {
		struct certificate_arg arg = { .title = n->object_name, .pem = s.served_pem != NULL ? s.served_pem : s.cert_pem };
		if (arg.pem != NULL)
			view_push(v->app, &view_certificate, &arg);
		else
			app_say(v->app, STYLE_NORMAL, "It serves no certificate yet: c requests one.");
		vserver_release(&s);
	}
}

static bool
can_certificate(const struct view *v)
{
	struct node *n = main_selected(v);
	struct authority a = { 0 };
	bool can = n != NULL && (n->kind == NODE_CERTIFICATE || n->kind == NODE_VSERVER);

	if (n != NULL && n->kind == NODE_AUTHORITY && store_authority_get(v->app->st, n->id, &a, NULL) == 0)
		can = a.pem != NULL;           /* one of ACME has none that is kept here */
	authority_release(&a);
	return can;
}

static void
act_history(struct view *v)
{
	struct node *n = main_selected(v);

	if (n != NULL && n->server != 0)
		generations_show(v, n->server);
}

/* --- Enter --- */

/* On an authority, or on the line that says what waits there. */
static void
act_office(struct view *v)
{
	struct authority a = { 0 };

	if (store_authority_get(v->app->st, main_selected(v)->id, &a, NULL) == 0 && a.directory != NULL)
		app_say(v->app, STYLE_NORMAL, "An ACME authority decides by itself: c on a virtual server requests there.");
	else
		view_push(v->app, &view_office, &main_selected(v)->id);
	authority_release(&a);
}

/* Asks the host; one that waits is watched. */
static void
act_found_push(struct view *v)
{
	if (v->app->push != NULL)
		act_watch(v);
	else
		act_history(v);
}

static const struct { const char *word; void (*run)(struct view *); } menders[] = {
	{ "workaround", act_workarounds }, { "approve", act_office }, { "authority", act_office },
	{ "renew", act_wizard }, { "request", act_wizard }, { "process", act_wizard }, { "certificate", act_wizard },
	{ "wizard", act_wizard }, { "retry", act_retry }, { "push", act_plan }, { "plan", act_plan }, { "drift", act_drift }, { "read", act_read },
	{ "trust", act_read }, { "password", act_read }, { "queue", act_queue }, { "diagnose", act_queue },
	{ "keep", act_found_push }, { "recover", act_found_push }, { "status", act_history }, { "start", act_start_stop }, { "properties", act_properties },
	{ NULL, NULL }
};

static void
mend(struct view *v, const struct node *n)
{
	if (n->server != 0) {                              /* what is mended is not listed any more: then its server is selected */
		struct main_data *m = main_data(v);
		snprintf(m->fallback, sizeof(m->fallback), "server %lld", (long long)n->server);
		xset(&m->said, n->name);
	}
	for (int i = 0; menders[i].word != NULL; i++)
		if (n->next != NULL && strstr(n->next, menders[i].word) != NULL) {
			menders[i].run(v);
			return;
		}
	act_read(v);
}

static void
take_answer(struct app *a, struct view *v, int64_t server, const char *text)
{
	struct str said = STR_INIT;
	struct err e = { .code = RC_OK };
	struct node *n = v != NULL ? main_selected(v) : NULL;
	int64_t id;

	if (text == NULL || n == NULL || n->kind != NODE_RULE)
		return;
	if (rule_take(a->j, server, n->object_name, NULL, &id, &said, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_OK, "%s", said.s);
	str_release(&said);
}

static void
act_take(struct view *v, const struct node *n)
{
	if (strcmp(n->state, "transport") == 0 || strcmp(n->state, "policy") == 0)
		prompt_open(v->app, PROMPT_YESNO, v, n->server, take_answer, "Make a connector that does the same as the rule for %s?",
		    n->object_name);
	else
		app_say(v->app, STYLE_NORMAL, "The administrator's own: no connector does the same, so it stays as it is.");
}

static void
act_enter(struct view *v)
{
	struct node *n = main_selected(v);
	struct server s = { 0 };

	if (main_is_empty(v) && (n == NULL || n->kind == NODE_GROUP)) {
		act_new_server(v);
		return;
	}
	if (n == NULL)
		return;
	switch (n->kind) {
	case NODE_ATTENTION: mend(v, n); break;
	case NODE_VSERVER: case NODE_CONNECTOR: act_properties(v); break;
	case NODE_CERTIFICATE: act_certificate(v); break;
	case NODE_AUTHORITY: act_office(v); break;
	case NODE_REQUEST: act_wizard(v); break;
	case NODE_RULE: act_take(v, n); break;
	case NODE_SERVER:
		if (store_server_get(v->app->st, n->id, &s, NULL) != 0)
			break;
		if (s.read_at == 0)
			act_read(v);
		else
			tree_fold(&main_data(v)->tree, n->key, !n->open);
		server_release(&s);
		break;
	case NODE_GROUP: tree_fold(&main_data(v)->tree, n->key, !n->open); break;
	}
	main_changed(v);
}

static void
remove_answer(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v;
	if (text == NULL)
		return;
	if (server_remove(a->j, id, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_NORMAL, "Removed from the store. The host itself was not touched.");
}

static void
remove_connector(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v;
	if (text == NULL)
		return;
	if (connector_remove(a->j, id, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_NORMAL, "Connector removed here. P shows what a push would take away on the hosts.");
}

static void
drop_request(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v;
	if (text == NULL)
		return;
	if (request_drop(a->j, id, false, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_NORMAL, "To the trash, with its key: mxseal cert restore-request %lld brings it back.",
		    (long long)id);
}

static void
write_request(struct app *a, struct view *v, int64_t id, const char *text)
{
	struct err e = { .code = RC_OK };

	(void)v;
	if (text == NULL || *text == '\0')
		return;
	if (request_write(a->j, id, text, &e) != 0)
		app_fail(a, &e);
	else
		app_say(a, STYLE_OK, "The request is in %s.", text);
}

static bool
on_request(const struct view *v)
{
	struct node *n = main_selected(v);
	return n != NULL && n->kind == NODE_REQUEST;
}

static void
act_write_request(struct view *v)
{
	prompt_open(v->app, PROMPT_LINE, v, main_selected(v)->id, write_request, "Write the request to which file?");
}

static bool
can_remove(const struct view *v)
{
	struct node *n = main_selected(v);
	return n != NULL && (n->kind == NODE_SERVER || n->kind == NODE_CONNECTOR || n->kind == NODE_REQUEST ||
	    n->kind == NODE_VSERVER);
}

static void
act_remove(struct view *v)
{
	struct node *n = main_selected(v);

	if (n->kind == NODE_SERVER)
		prompt_open(v->app, PROMPT_YESNO, v, n->id, remove_answer, "Remove %s from the store? (The host is not touched.)",
		    n->name);
	else if (n->kind == NODE_CONNECTOR)
		prompt_open(v->app, PROMPT_YESNO, v, n->id, remove_connector, "Remove connector %s? (A push makes it so.)",
		    n->name);
	else if (n->kind == NODE_VSERVER)
		remove_listener(v, n);
	else
		prompt_open(v->app, PROMPT_YESNO, v, n->id, drop_request, "Put the request for %s into the trash?", n->name);
}

const struct action main_actions[] = {
	{ K_ENTER, "open", "open", "Opens or mends what is selected; folds groups.", NULL, act_enter, NULL, 0 },
	{ 'e', "properties", "edit", "Properties of the selected virtual server or connector.", "mxseal vs set VS KEY=VALUE",
	  act_properties, can_properties, 0 },
	{ 'c', "certificate wizard", "cert", "Requests, processes, renews or removes a certificate.", "mxseal cert request VS ...",
	  act_wizard, on_read_server, 0 },
	{ 'P', "plan", "plan", "The exact changes a push would make, before anything is touched.", "mxseal plan [SERVER]",
	  act_plan, has_servers, 0 },
	{ 'K', "watch the push", "watch push", "Goes to the push that runs or waits to be kept.", "mxseal status", act_watch,
	  can_watch, 0 },
	{ 'r', "read", "read", "Logs in and reads the server again; changes nothing there.", "mxseal server read NAME", act_read,
	  on_server, 0 },
	{ 'Q', "queues", "queue", "What waits, where to, and why.", "mxseal queue [SERVER]", act_queue, has_servers, 0 },
	{ 'n', "new", "new", "Adds a server; on connectors a connector; on authorities an authority.",
	  "mxseal server add NAME TARGET", act_new, NULL, 0 },
	{ 't', "test", "test", "Looks at a mail destination now: MX, STARTTLS, certificate.", "mxseal probe TARGET", act_test,
	  can_properties, ACTION_QUIET },
	{ 'm', "route of an address", "route", "Where mail for an address goes, how secured, and why.", "mxseal route VS ADDRESS",
	  act_route, can_properties, ACTION_QUIET },
	{ 'v', "view certificate", "view cert", "The certificate that is served, with its chain.", "mxseal cert show ID",
	  act_certificate, can_certificate, ACTION_QUIET },
	{ 'w', "write the request", "to a file", "The text of the selected request to a file, for the authority.",
	  "mxseal cert request-text ID --out FILE", act_write_request, on_request, ACTION_QUIET },
	{ 'H', "generations", "history", "What was pushed to this host, and what is in force.", "mxseal status SERVER",
	  act_history, on_server, ACTION_QUIET },
	{ 'R', "read all", "read all", "Reads every server again.", "mxseal server read NAME", act_read_all, has_servers,
	  ACTION_QUIET },
	{ 'E', "server", "server", "Address, login and group of the selected server.", "mxseal server set NAME", act_server, on_server,
	  ACTION_QUIET },
	{ 'd', "remove", "remove", "Removes it here (asks first); no host is touched, a virtual server goes with the next push.",
	  "mxseal server remove NAME", act_remove, can_remove, ACTION_QUIET },
	{ 'N', "new virtual server", "new virtual server", "One more listener of this server, or one that only sends.",
	  "mxseal vs add SERVER NAME", act_new_listener, can_new_listener, ACTION_QUIET },
	{ 'S', "start or stop", "start/stop", "Whether a virtual server listens after the next push.", "mxseal vs stop VS", act_start_stop,
	  can_start_stop, ACTION_QUIET },
	{ 'Z', "pause", "pause", "A virtual server answers everybody with 421 after the next push.", "mxseal vs pause VS", act_pause,
	  can_pause, ACTION_QUIET },
	{ 0, "retry the last push", NULL, "A plan for the hosts whose last push failed or was not begun.", "mxseal push --retry", act_retry,
	  can_retry, 0 },
	{ 0, "new server", NULL, "Adds a mail server by its SSH address.", "mxseal server add NAME TARGET", act_new_server, NULL,
	  0 },
	{ 0, "new connector", NULL, "Outbound TLS for chosen domains.", "mxseal connector add NAME ...", act_new_connector,
	  has_servers, 0 },
	{ 'D', "drift", "drift", "What was changed on the host since the last push: take it over, leave it, put it back.", "mxseal drift SERVER",
	  act_drift, on_read_server, ACTION_QUIET },
	{ 0, "work-arounds", NULL, "Domains whose mail leaves without TLS for a while, and what the looks at them say.", "mxseal workaround",
	  act_workarounds, NULL, 0 },
	{ 0, "what leaves", NULL, "What waited before the last push and was tried again after it: who has left, who waits.", NULL, act_follow,
	  can_follow, 0 },
	{ 'F', "rehearsal", "forecast", "Whose mail would fail if more were required of the other side; with the exceptions.", "mxseal rehearse SERVER",
	  act_rehearsal, on_read_server, ACTION_QUIET },
	{ 0, "TLS to selected domains", NULL, "A recipe: mail to these domains leaves with TLS or waits.", "mxseal recipe tls-to NAME ...",
	  act_tls_to, has_servers, 0 },
	{ 0, "TLS everywhere but a few", NULL, "A recipe: everything with TLS, these few destinations without.",
	  "mxseal recipe tls-except SERVER ...", act_tls_except, on_read_server, 0 },
	{ 0, "new authority", NULL, "An own certificate authority, kept sealed in the store.", "mxseal authority add own NAME",
	  act_new_authority, NULL, 0 },
	{ 0, "new ACME authority", NULL, "An account at Let's Encrypt or another ACME authority.", "mxseal authority add acme NAME --directory URL",
	  act_new_acme, NULL, 0 },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 }
};
