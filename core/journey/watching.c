/* Certificates watched: how long each member of a chain lasts, whether what a listener serves is what lies in its file and what is
 * assigned, whether names still match, who else can read a key. Each finding is one sentence that ends in its next step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"

#define DAY 86400
#define WAITS_LONG (14 * DAY)    /* an authority that has not answered in so long has forgotten */

struct watched {
	struct journey *j;
	const struct server *sv;
	const struct vserver *vs;
	const struct certificate *served, *file, *second;    /* the second one: in its file; all without a subject: none */
	struct certificate assigned, second_assigned;        /* id 0: none */
	int64_t soon;
	struct attention_list *out;
};

/* sentence is given away. */
static void
say(const struct watched *w, char sign, char *sentence)
{
	attention_add(w->out, sign, w->sv->id, "certificate", sentence)->vserver = w->vs->id;
}

static char *
days_left(int64_t until)
{
	int64_t left = until - when_now();
	char date[16];

	when_date(date, until);
	if (left <= 0)
		return xasprintf("expired on %s", date);
	return xasprintf("ends in %lld day%s, on %s", (long long)(left / DAY), left / DAY == 1 ? "" : "s", date);
}

/* --- how long --- */

static void
leaf_end(const struct watched *w)
{
	int64_t left = w->served->not_after - when_now();

	if (w->served->subject == NULL || text_eq(w->served->subject, w->served->issuer))
		return;                              /* signed by itself: nobody goes by its dates */
	if (left <= 0)
		say(w, '!', xasprintf("%s/%s serves a certificate that has expired", w->sv->name, w->vs->name));
	else if (left < w->soon)
		say(w, '!', xasprintf("%s/%s: the certificate ends in %lld days", w->sv->name, w->vs->name, (long long)(left / DAY)));
}

/* The issuers behind the first certificate of a chain. of: whose, in words. */
static void
chain_ends(const struct watched *w, const char *pem, const char *of)
{
	const struct cert_line_list *l = chain_described(w->j, pem);
	char *end;
	size_t i;

	for (i = 1; l != NULL && i < l->n; i++) {
		if (l->v[i].not_after - when_now() >= w->soon)
			continue;
		end = days_left(l->v[i].not_after);
		say(w, '!', xasprintf("%s/%s: an issuer in the chain of %s, %s, %s: ask the authority for the answer with a newer chain",
		    w->sv->name, w->vs->name, of, l->v[i].subject, end));
		free(end);
	}
}

/* The second one is looked at where it lies: who looks in passing sees one of the two only. */
static void
second_end(const struct watched *w)
{
	char *end;

	if (w->second->subject == NULL || text_eq(w->second->subject, w->second->issuer) || w->second->not_after - when_now() >= w->soon)
		return;
	end = days_left(w->second->not_after);
	say(w, '!', xasprintf("%s/%s: the second certificate (%s) %s", w->sv->name, w->vs->name, w->second->key_type, end));
	free(end);
}

static void
about_ends(const struct watched *w)
{
	leaf_end(w);
	chain_ends(w, w->vs->served_pem, "its certificate");
	if (w->assigned.id != 0 && !text_ieq(w->assigned.sha256, w->served->sha256))
		chain_ends(w, w->assigned.pem, "the certificate assigned to it");
	second_end(w);
	if (w->second_assigned.id != 0)
		chain_ends(w, w->second_assigned.pem, "the second certificate assigned to it");
}

/* --- served, in the file, assigned --- */

char *
by_sni_fact(int64_t server)
{
	return xasprintf("by-sni:%lld", (long long)server);
}

/* Which one is served can be a matter of the name that was asked for (SNI), or of the kind of key where there are two. */
static bool
may_differ(struct journey *j, const struct watched *w)
{
	char *fact = by_sni_fact(w->sv->id), *text = NULL;
	bool yes = store_fact_get(j->store, fact, &text, NULL) == 0 || !text_eq(w->served->key_type, w->file->key_type);

	free(fact);
	free(text);
	return yes;
}

static void
about_served(struct journey *j, const struct watched *w)
{
	if (w->vs->second_served != NULL && w->second->sha256 != NULL && !text_ieq(w->vs->second_served, w->second->sha256))
		say(w, '!', xasprintf("%s/%s serves another certificate than its second one (%s) to who takes only such keys: reload %s there, "
		    "then read again", w->sv->name, w->vs->name, w->second->key_type, w->sv->mailsys ? w->sv->mailsys : "the mail system"));
	if (w->served->sha256 == NULL || w->file->sha256 == NULL)
		return;
	if (!text_ieq(w->served->sha256, w->file->sha256) && !may_differ(j, w))
		say(w, '!', xasprintf("%s/%s serves another certificate than the one in %s: %s has not taken it up; reload it there, then read again",
		    w->sv->name, w->vs->name, clean(w->vs->cert_file), w->sv->mailsys ? w->sv->mailsys : "the mail system"));
}

/* What is assigned and not pushed yet is an edit, and is shown as one. A certificate of which the store knows nothing, where one
 * of ours was pushed, was put there by somebody else. */
static void
about_assigned(struct journey *j, const struct watched *w)
{
	struct certificate known = { .id = 0 };

	if (w->assigned.id == 0 || w->file->sha256 == NULL || w->sv->generation == 0 || text_ieq(w->file->sha256, w->assigned.sha256))
		return;
	if (store_certificate_by_sha256(j->store, w->file->sha256, &known, NULL) == -1)
		say(w, '!', xasprintf("%s/%s is set to a certificate that is not the one assigned to it (#%lld): changed by hand there, or never "
		    "pushed; mxseal plan %s shows the difference", w->sv->name, w->vs->name, (long long)w->assigned.id, w->sv->name));
	certificate_release(&known);
}

/* --- names --- */

static bool
has_name(const struct certificate *c, const char *name)
{
	char **words = words_split(text_empty(c->san) ? (c->cn ? c->cn : "") : c->san, " ", NULL);
	bool yes = false;
	size_t i;

	for (i = 0; words[i] != NULL && !yes; i++)
		yes = name_covers(words[i], name);
	words_free(words);
	return yes;
}

/* Port 25 is where other servers look a name up; the name said in EHLO stands for the host elsewhere too. */
static void
about_names(struct journey *j, const struct watched *w)
{
	char *fact = mx_names_fact(w->sv->id), *names = NULL, **mx;
	size_t i;

	if (w->served->subject == NULL || text_eq(w->served->subject, w->served->issuer)) {
		free(fact);
		return;
	}
	if (w->assigned.id != 0 && !text_empty(w->sv->host_name) && strchr(w->sv->host_name, '.') != NULL
	    && !has_name(w->served, w->sv->host_name))
		say(w, '?', xasprintf("%s/%s: its certificate does not have %s, the name said in EHLO: request one that has it", w->sv->name,
		    w->vs->name, w->sv->host_name));
	if (w->vs->port == 25 && store_fact_get(j->store, fact, &names, NULL) == 0) {
		mx = words_split(names, " ", NULL);
		for (i = 0; mx[i] != NULL; i++)
			if (!has_name(w->served, mx[i]) && !text_ieq(mx[i], w->sv->host_name))
				say(w, '?', xasprintf("%s/%s: its certificate does not have %s, the name that MX leads peers to: request one that has it",
				    w->sv->name, w->vs->name, mx[i]));
		words_free(mx);
	}
	free(names);
	free(fact);
}

/* --- one virtual server, one host, the requests --- */

static const struct certificate *
described_or_none(struct journey *j, const char *pem)
{
	static const struct certificate none;
	const struct certificate *c = certificate_described(j, pem);

	return c != NULL ? c : &none;
}

void
watch_vserver(struct journey *j, const struct server *sv, const struct vserver *vs, int64_t soon, struct attention_list *out)
{
	struct watched w = { .j = j, .sv = sv, .vs = vs, .soon = soon, .out = out };

	w.served = described_or_none(j, vs->served_pem);
	w.file = described_or_none(j, vs->cert_pem);
	w.second = described_or_none(j, vs->second_pem);
	if (vs->certificate_set && vs->certificate != 0)
		(void)store_certificate_get(j->store, vs->certificate, &w.assigned, NULL);
	if (vs->certificate_set && vs->second != 0)
		(void)store_certificate_get(j->store, vs->second, &w.second_assigned, NULL);
	about_ends(&w);
	about_served(j, &w);
	about_assigned(j, &w);
	about_names(j, &w);
	certificate_release(&w.assigned);
	certificate_release(&w.second_assigned);
}

char *
file_troubles_fact(int64_t server)
{
	return xasprintf("file-troubles:%lld", (long long)server);
}

void
watch_files(struct journey *j, const struct server *sv, struct attention_list *out)
{
	char *fact = file_troubles_fact(sv->id), *text = NULL;
	const char *line, *end;

	if (store_fact_get(j->store, fact, &text, NULL) == 0)
		for (line = text; *line != '\0'; line = *end != '\0' ? end + 1 : end) {
			end = line + strcspn(line, "\n");
			if (end > line)
				attention_add(out, '!', sv->id, "read", xasprintf("%s: %.*s", sv->name, (int)(end - line), line));
		}
	free(text);
	free(fact);
}

char *
request_waits(const struct request *r)
{
	int64_t waited = when_now() - r->created_at;
	char date[16];

	when_date(date, r->created_at);
	if (waited < WAITS_LONG)
		return xasprintf("request #%lld for %s waits for its answer since %s", (long long)r->id, r->subject.cn, date);
	return xasprintf("request #%lld for %s waits for its answer since %s, %lld days: ask the authority, or drop it", (long long)r->id,
	    r->subject.cn, date, (long long)(waited / DAY));
}
