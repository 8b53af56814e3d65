/* The article's work-around: a virtual server that sends without TLS, paired with a connector for just those domains. It knows why it
 * is there, what was seen then and which level held before. On trial the same connector sends with TLS where it is offered; after it
 * nothing of it is left. When which of them is due says retire.h; what is seen of it meanwhile is workaround_look.c. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define SENDER "notls"           /* the virtual server that only sends, on each host */
#define REVIEW_DAYS 30
#define REMEMBERED (180 * 86400) /* so long it counts that a destination needed one before */

/* --- making --- */

int
workaround_helps(const struct destination_view *seen, struct err *e)
{
	const struct failure *f = seen->diagnosis.failure;

	if (f == NULL || text_eq(f->name, "tls-ok")) {
		err_set(e, RC_INVALID, "mail for %s is not held up by TLS: a look at it now is good", clean(seen->diagnosis.destination));
		return err_hint(e, "it needs no work-around; --anyway makes one all the same");
	}
	if (!f->tls) {
		err_set(e, RC_INVALID, "mail for %s waits for something else than TLS: %s", clean(seen->diagnosis.destination), f->title);
		return err_hint(e, "a work-around would not help, only show its mail; --anyway makes one all the same");
	}
	if (seen->diagnosis.side == SIDE_OURS) {
		err_set(e, RC_INVALID, "what holds mail for %s up is on our side: %s", clean(seen->diagnosis.destination), f->title);
		return err_hint(e, "%s (--anyway makes a work-around all the same)", f->advice ? f->advice : "repair it");
	}
	return 0;
}

/* The virtual server that sends without TLS: made, kept, or there already. */
static int
sender_make(struct journey *j, int64_t server, const char *full, struct err *e)
{
	struct vserver vs = { .id = 0 };
	struct str said = STR_INIT;
	int64_t id;
	int rc;

	if (store_vserver_by_name(j->store, full, &vs, NULL) == -1)
		rc = vserver_add(j, server, SENDER, "none", "smtp", "none", &id, &said, e);
	else if (!text_eq(vs.kind, "outbound")) {
		err_set(e, RC_EXISTS, "%s is a virtual server of another kind, and work-arounds send by one of that name", full);
		rc = err_hint(e, "give it another name");
	} else if (text_eq(vs.ours, "removed"))
		rc = vserver_run(j, vs.id, "started", &said, e);
	else
		rc = 0;
	vserver_release(&vs);
	str_release(&said);
	return rc;
}

static bool
has_word(const char *words, const char *word)
{
	char **w = words_split(words ? words : "", " ", NULL);
	bool yes = false;
	size_t i;

	for (i = 0; w[i] != NULL; i++)
		yes = yes || strcmp(w[i], word) == 0;
	words_free(w);
	return yes;
}

/* It goes the way that mail for the domain went before. The lowest cost, which none other has, wins where the administrator has a
 * connector for it too. */
static int
connector_make(struct journey *j, const struct workaround *w, const char *tls, struct err *e)
{
	char **servers = words_split(w->servers, " ", NULL), date[16];
	struct connector c = { .id = 0 };
	struct str via = STR_INIT;
	size_t i;
	int rc;

	for (i = 0; servers[i] != NULL; i++)
		str_addf(&via, "%s%s/%s", i > 0 ? " " : "", servers[i], SENDER);
	if (store_connector_by_name(j->store, w->connector, &c, NULL) == -1) {
		c.name = xstrdup(w->connector);
		c.domains = xasprintf("%s,0", w->domain);
		if (w->target == NULL || text_ieq(w->target, w->domain))
			c.route = xstrdup("dns");
		else {
			c.route = xstrdup("smart-host");
			c.smart_hosts = w->port != 0 ? xasprintf("%s:%d", w->target, w->port) : xstrdup(w->target);
		}
	}
	xset(&c.tls, tls);
	xset(&c.via, via.s);
	xset(&c.reason, w->reason);
	when_date(date, w->review_at);
	xset(&c.review, w->review_at != 0 ? date : NULL);
	rc = connector_save(j, &c, e);
	connector_release(&c);
	words_free(servers);
	str_release(&via);
	return rc;
}

/* All that makes it work, wanted. */
static int
open_up(struct journey *j, const struct workaround *w, const char *tls, struct err *e)
{
	char **servers = words_split(w->servers, " ", NULL);
	struct server sv = { .id = 0 };
	size_t i;
	int rc = 0;

	for (i = 0; servers[i] != NULL && rc == 0; i++) {
		char *full = xasprintf("%s/%s", servers[i], SENDER);

		rc = store_server_by_name(j->store, servers[i], &sv, e);
		if (rc == 0)
			rc = sender_make(j, sv.id, full, e);
		server_release(&sv);
		free(full);
	}
	words_free(servers);
	return rc == 0 ? connector_make(j, w, tls, e) : -1;
}

static void
take_evidence(struct workaround *w, const struct destination_view *seen)
{
	const struct probe_report *look = seen->from_host.target != NULL ? &seen->from_host : &seen->from_here;
	struct str text = STR_INIT;

	str_addf(&text, "%s; side %s, sure: %s\n", seen->diagnosis.failure ? seen->diagnosis.failure->title : "not known",
	    failure_side_name(seen->diagnosis.side), seen->diagnosis.confidence ? seen->diagnosis.confidence : "low");
	clean_text(&text, seen->diagnosis.evidence.s, seen->diagnosis.evidence.len, true);
	xset(&w->evidence, text.s);
	xset(&w->level, seen->level);
	if (look->target != NULL)
		xset(&w->target, look->target);
	if (look->n > 0 && look->v[0].port != 25)
		w->port = look->v[0].port;
	str_release(&text);
}

/* How often it fell back, of one that needs a work-around again. */
static int
falls_before(struct journey *j, const char *domain)
{
	struct workaround_list l = { NULL, 0 };
	int falls = 0;
	size_t i;

	if (store_workarounds(j->store, &l, NULL) == 0)
		for (i = 0; i < l.n; i++)
			if (strcmp(l.v[i].domain, domain) == 0 && when_now() - l.v[i].changed_at < REMEMBERED && l.v[i].falls >= falls)
				falls = l.v[i].falls + 1;
	workaround_list_release(&l);
	return falls;
}

/* A password would be read on the way with the mail. */
static int
no_password(struct journey *j, const struct server *sv, const char *domain, struct err *e)
{
	struct connector_list l = { NULL, 0 };
	char *beginning = xasprintf("%s/", sv->name);
	size_t i, k;
	int rc = store_connectors(j->store, &l, e);

	for (i = 0; i < l.n && rc == 0; i++) {
		char **spaces = words_split(l.v[i].domains, " ", NULL), **via = words_split(l.v[i].via, " ", NULL);
		bool ours = false, by_it = false;

		for (k = 0; spaces[k] != NULL; k++) {
			spaces[k][strcspn(spaces[k], ",")] = '\0';
			ours = ours || text_ieq(spaces[k], domain) || strcmp(spaces[k], "*") == 0;
		}
		for (k = 0; via[k] != NULL; k++)
			by_it = by_it || text_starts(via[k], beginning);
		if (ours && by_it && l.v[i].auth_user != NULL) {
			rc = err_set(e, RC_CONFLICT, "mail for %s logs in at a smart host (connector %s): without TLS its password could be read", domain,
			    l.v[i].name);
			err_hint(e, "give the connector another smart host for a while: mxseal connector set %s --smart-host ...", l.v[i].name);
		}
		words_free(spaces);
		words_free(via);
	}
	connector_list_release(&l);
	free(beginning);
	return rc;
}

int
workaround_make(struct journey *j, int64_t server, const char *domain, const char *reason, const char *review,
    const struct destination_view *seen, int64_t *id, struct str *said, struct err *e)
{
	struct workaround w = { .id = 0 };
	struct server sv = { .id = 0 };
	struct str name = STR_INIT;
	char date[16], *text = NULL;
	int rc = store_server_get(j->store, server, &sv, e), there = 0;

	if (rc == 0)
		rc = name_to_ascii(domain, &name, e);
	if (rc == 0 && (there = store_workaround_of(j->store, name.s, &w, e)) == -1)
		rc = -1;
	if (rc == 0 && there == 1 && !text_eq(w.state, "proving") && has_word(w.servers, sv.name)) {
		rc = err_set(e, RC_EXISTS, "there is a work-around for %s by %s already%s", name.s, sv.name,
		    text_eq(w.state, "trial") ? ", on trial: its mail leaves, with TLS where it is offered" : "");
		err_hint(e, "mxseal workaround shows it; mxseal workaround end %s takes it back", name.s);
	}
	if (rc == 0)
		rc = no_password(j, &sv, name.s, e);
	if (rc == -1)
		goto out;
	if (there == 0) {
		w.falls = falls_before(j, name.s);
		w.domain = xstrdup(name.s);
		w.connector = xasprintf("%s-%.50s", SENDER, name.s);
		w.since = when_now();
		w.owner = xstrdup(store_who(j->store));
	}
	if (!has_word(w.servers, sv.name)) {
		char *wider = xasprintf("%s%s%s", w.servers ? w.servers : "", w.servers ? " " : "", sv.name);

		free(w.servers);
		w.servers = wider;
	}
	if (!text_empty(reason))
		xset(&w.reason, reason);
	else if (w.reason == NULL && seen != NULL && seen->diagnosis.failure != NULL)
		w.reason = xstrdup(seen->diagnosis.failure->title);
	if (seen != NULL)
		take_evidence(&w, seen);
	if (text_empty(review))
		w.review_at = w.review_at != 0 ? w.review_at : when_now() + (int64_t)REVIEW_DAYS * 86400;
	else if (when_parse_date(&w.review_at, review, e) == -1) {
		rc = -1;
		goto out;
	}
	xset(&w.state, "open");
	w.changed_at = when_now();
	if ((rc = store_edit_begin(j->store, e)) == -1)
		goto out;
	rc = open_up(j, &w, "none", e);
	if (rc == 0)
		rc = store_workaround_save(j->store, &w, e);
	if (rc == 0) {
		text = xasprintf("mail for %s leaves %s without TLS: %s\n%s", name.s, sv.name, w.reason ? w.reason : "no reason was given",
		    w.evidence ? w.evidence : "");
		rc = note_activity(j, sv.name, "workaround", 0, e, text);
	}
	rc = store_edit_end(j->store, rc, e, "%s: mail for %s without TLS", sv.name, name.s);
	if (rc == 0) {
		*id = w.id;
		when_date(date, w.review_at);
		str_addf(said, "Mail for %s will leave %s without TLS, until %s can do it again; to be looked at on %s. A push carries it there.\n",
		    name.s, sv.name, name.s, date);
	}
out:
	workaround_release(&w);
	server_release(&sv);
	str_release(&name);
	free(text);
	return rc;
}

/* --- taking back --- */

/* The virtual server goes when no connector is sent by it any more. */
static int
sender_drop(struct journey *j, const char *server, struct err *e)
{
	struct connector_list l = { NULL, 0 };
	struct vserver vs = { .id = 0 };
	struct str said = STR_INIT;
	char *full = xasprintf("%s/%s", server, SENDER);
	bool used = false;
	size_t i;
	int rc = store_connectors(j->store, &l, e);

	for (i = 0; i < l.n; i++)
		used = used || has_word(l.v[i].via, full);
	if (rc == 0 && !used && store_vserver_by_name(j->store, full, &vs, NULL) == 0 && text_eq(vs.kind, "outbound") &&
	    !text_eq(vs.ours, "removed"))
		rc = vserver_remove(j, vs.id, &said, e);
	connector_list_release(&l);
	vserver_release(&vs);
	str_release(&said);
	free(full);
	return rc;
}

static int
shut(struct journey *j, const struct workaround *w, struct err *e)
{
	char **servers = words_split(w->servers, " ", NULL);
	struct connector c = { .id = 0 };
	size_t i;
	int rc = 0;

	if (store_connector_by_name(j->store, w->connector, &c, NULL) == 0)
		rc = connector_remove(j, c.id, e);
	for (i = 0; servers[i] != NULL && rc == 0; i++)
		rc = sender_drop(j, servers[i], e);
	connector_release(&c);
	words_free(servers);
	return rc;
}

/* --- changing --- */

/* What came of it, for the activities: the sentence, and below it what each sender saw. */
static char *
change_text(struct journey *j, const struct workaround *w, const struct retire_view *v, enum retire_state to, bool by_itself)
{
	const char *level = w->level ? w->level : "what held before";
	struct str text = STR_INIT, why = STR_INIT;
	struct server sv = { .id = 0 };
	size_t i;

	retire_why(&v->r, when_now(), &why);
	str_addf(&text, "%s ", w->domain);
	switch (to) {
	case RETIRE_OPEN:
		str_add(&text, "came back: its mail leaves without TLS again");
		break;
	case RETIRE_TRIAL:
		str_addf(&text, "is on trial: TLS where it is offered, until %s may hold again", level);
		break;
	case RETIRE_PROVING:
		str_addf(&text, "ended: %s holds again", level);
		break;
	case RETIRE_ENDED:
		str_addf(&text, "is over: %s", w->proof ? w->proof : "no mail came in two weeks, and the looks were good");
		break;
	}
	if (to != RETIRE_ENDED)
		str_addf(&text, "; %s, %s", by_itself ? "by itself" : "by hand", why.s);
	for (i = 0; i < v->looks.n; i++)
		if (store_server_get(j->store, v->looks.v[i].server, &sv, NULL) == 0) {
			str_addf(&text, "\n%s: %s%s, %d good in a row, %lld waited because of TLS; ", sv.name, v->looks.v[i].text ? v->looks.v[i].text : "",
			    v->looks.v[i].bad ? " (bad)" : "", v->looks.v[i].good, (long long)v->looks.v[i].stuck);
			server_release(&sv);
		}
	if (w->proof != NULL && to != RETIRE_ENDED)
		str_addf(&text, "\nlast mail: %s", w->proof);
	str_release(&why);
	return str_take(&text);
}

static void
say_change(const struct workaround *w, enum retire_state to, struct str *said)
{
	const char *level = w->level ? w->level : "what held before";

	if (to == RETIRE_OPEN)
		str_addf(said, "The work-around for %s comes back: mail for it does not leave with TLS. A push carries that to %s.\n", w->domain, w->servers);
	else if (to == RETIRE_TRIAL)
		str_addf(said, "The work-around for %s goes on trial: TLS where it is offered, and no mail waits for it. A push carries that to %s.\n",
		    w->domain, w->servers);
	else if (to == RETIRE_PROVING)
		str_addf(said, "The work-around for %s ends: %s holds for it again. A push carries that to %s; its first mail is watched.\n", w->domain,
		    level, w->servers);
	else
		str_addf(said, "The work-around for %s is over: %s.\n", w->domain, w->proof ? w->proof : "no mail came in two weeks, and the looks were good");
}

/* The state in the record, and of its looks what counts only since the change. */
static int
become(struct journey *j, struct workaround *w, struct retire_view *v, enum retire_state to, struct err *e)
{
	size_t i;
	int rc;

	retire_become(&v->r, to, when_now());
	xset(&w->state, retire_state_name(to));
	w->changed_at = v->r.changed_at;
	w->falls = v->r.falls;
	if (to != RETIRE_ENDED) {
		xset(&w->proof, NULL);
		xset(&w->in_clear, NULL);
	}
	rc = store_workaround_save(j->store, w, e);
	for (i = 0; i < v->looks.n && rc == 0; i++) {
		v->looks.v[i].stuck = v->looks.v[i].mark_at = 0;
		rc = store_workaround_look_set(j->store, w->id, &v->looks.v[i], e);
	}
	return rc;
}

int
workaround_become(struct journey *j, int64_t id, enum retire_state to, bool by_itself, struct str *said, struct err *e)
{
	struct workaround w = { .id = 0 };
	struct retire_view v = { .looks = { NULL, 0 } };
	char *text = NULL;
	int rc = store_workaround_get(j->store, id, &w, e);

	if (rc == 0)
		rc = workaround_facts(j, &w, &v, e);
	if (rc == 0 && v.r.state == RETIRE_ENDED)
		rc = err_set(e, RC_INVALID, "the work-around for %s was ended already", w.domain);
	else if (rc == 0 && v.r.state == to)
		rc = err_set(e, RC_INVALID, "the work-around for %s is %s already", w.domain, to == RETIRE_PROVING ? "ended" : retire_state_name(to));
	if (rc == -1 || (rc = store_edit_begin(j->store, e)) == -1)
		goto out;
	text = change_text(j, &w, &v, to, by_itself);
	say_change(&w, to, said);
	rc = to == RETIRE_OPEN ? open_up(j, &w, "none", e) : to == RETIRE_TRIAL ? open_up(j, &w, "may", e) : shut(j, &w, e);
	if (rc == 0)
		rc = become(j, &w, &v, to, e);
	if (rc == 0)
		rc = note_activity(j, w.servers, "workaround", 0, e, text);
	rc = store_edit_end(j->store, rc, e, "work-around for %.*s", (int)strcspn(text, "\n;"), text);
out:
	free(text);
	retire_view_release(&v);
	workaround_release(&w);
	return rc;
}

/* --- its servers --- */

/* Nobody would look after what a host that is forgotten here goes on doing. */
int
workarounds_let_go(struct journey *j, const char *server, struct err *e)
{
	struct workaround_list l = { NULL, 0 };
	size_t i;
	int rc = store_workarounds(j->store, &l, e);

	for (i = 0; i < l.n && rc == 0; i++)
		if ((text_eq(l.v[i].state, "open") || text_eq(l.v[i].state, "trial")) && has_word(l.v[i].servers, server)) {
			rc = err_set(e, RC_CONFLICT, "%s sends mail for %s without TLS by a work-around; forgotten here, nobody would ever end that", server,
			    l.v[i].domain);
			err_hint(e, "mxseal workaround end %s first (--no-push if the host is gone)", l.v[i].domain);
		}
	workaround_list_release(&l);
	return rc;
}

/* Those whose end was still watched there: over where no other server sends for it. */
int
workarounds_forget(struct journey *j, const char *server, struct err *e)
{
	struct workaround_list l = { NULL, 0 };
	size_t i, k;
	int rc = store_workarounds(j->store, &l, e);

	for (i = 0; i < l.n && rc == 0; i++) {
		char **names = words_split(l.v[i].servers, " ", NULL);
		struct str left = STR_INIT;

		if (text_eq(l.v[i].state, "proving") && has_word(l.v[i].servers, server)) {
			for (k = 0; names[k] != NULL; k++)
				if (strcmp(names[k], server) != 0)
					str_addf(&left, "%s%s", left.len > 0 ? " " : "", names[k]);
			if (left.len > 0)
				xset(&l.v[i].servers, left.s);
			else
				xset(&l.v[i].state, "ended");
			rc = store_workaround_save(j->store, &l.v[i], e);
		}
		str_release(&left);
		words_free(names);
	}
	workaround_list_release(&l);
	return rc;
}
