/* Found against wanted, field by field. What was pushed last is kept here as a fact, so that what was edited here since can
 * be told from what was changed on the host since; so is what was left as it is there, until it changes again. Three ways
 * out of what was changed there: take it over, put it back (a push), leave it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

#define OWN_FILE_MAX (256 * 1024)    /* of a file of ours over this only the name is kept */

struct drift_facts { json_t *pushed, *left; };

void
drift_list_release(struct drift_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].object);
		free(l->v[i].name);
		free(l->v[i].wanted);
		free(l->v[i].found);
		free(l->v[i].native);
		free(l->v[i].source);
		free(l->v[i].diff);
	}
	free(l->v);
	memset(l, 0, sizeof(*l));
}

const char *
drift_kind_name(enum drift_kind k)
{
	static const char *const names[] = { "edited", "changed", "left", "file" };

	return names[k];
}

/* --- facts --- */

static json_t *
fact_get(struct journey *j, const char *what, int64_t server)
{
	char *name = xasprintf("%s:%lld", what, (long long)server), *text = NULL;
	json_t *v = store_fact_get(j->store, name, &text, NULL) == 0 ? json_loads(text, 0, NULL) : NULL;

	free(name);
	free(text);
	return v;
}

static int
fact_set(struct journey *j, const char *what, int64_t server, const json_t *v, struct err *e)
{
	char *name = xasprintf("%s:%lld", what, (long long)server), *text = v != NULL ? json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	int rc = store_fact_set(j->store, name, text, e);

	free(name);
	free(text);
	return rc;
}

/* What was pushed counts while it is in force: the newest push of that generation was not undone. */
static bool
in_force(struct journey *j, const struct server *sv, const json_t *pushed)
{
	int64_t generation = json_integer_value(json_object_get(pushed, "generation"));
	struct push_record_list l = { NULL, 0 };
	bool yes = false;
	size_t i = 0;

	if (store_pushes(j->store, sv->id, &l, NULL) == 0) {
		while (i < l.n && (l.v[i].generation != generation || text_eq(l.v[i].result, "refused") || text_eq(l.v[i].result, "applying")))
			i++;
		yes = i < l.n && !text_eq(l.v[i].result, "undone");
	}
	push_record_list_release(&l);
	return yes;
}

struct drift_facts *
drift_facts_get(struct journey *j, const struct server *sv)
{
	struct drift_facts *f = xcalloc(1, sizeof(*f));

	f->pushed = fact_get(j, "pushed", sv->id);
	f->left = fact_get(j, "drift-left", sv->id);
	if (f->pushed != NULL && !in_force(j, sv, f->pushed)) {
		json_decref(f->pushed);
		f->pushed = NULL;
	}
	return f;
}

void
drift_facts_free(struct drift_facts *f)
{
	if (f == NULL)
		return;
	json_decref(f->pushed);
	json_decref(f->left);
	free(f);
}

static json_t *
pushed_of(const struct drift_facts *f, const char *vs)
{
	return json_object_get(json_object_get(f->pushed, "vs"), vs);
}

enum drift_kind
drift_kind_of(const struct drift_facts *f, const char *vs, const char *name, const char *wanted, const char *found)
{
	json_t *was = pushed_of(f, vs), *left;
	char *key = xasprintf("%s/%s", vs, name);

	left = json_object_get(f->left, key);
	free(key);
	if (left != NULL && text_eq(json_string_value(json_array_get(left, 0)), wanted) &&
	    text_eq(json_string_value(json_array_get(left, 1)), found != NULL ? found : ""))
		return DRIFT_LEFT;
	was = strcmp(name, "certificate") == 0 || strcmp(name, "second") == 0 ? json_object_get(was, name) : json_object_get(json_object_get(was, "settings"), name);
	return was != NULL && text_eq(json_string_value(was), wanted) ? DRIFT_CHANGED : DRIFT_EDITED;
}

const char *
pushed_connectors(const struct drift_facts *f)
{
	return json_string_value(json_object_get(f->pushed, "connectors"));
}

char **
pushed_settings(const struct drift_facts *f, const char *vs)
{
	struct str names = STR_INIT;
	const char *name;
	json_t *v;
	char **words;

	json_object_foreach(json_object_get(pushed_of(f, vs), "settings"), name, v)
		str_addf(&names, "%s ", name);
	words = words_split(names.len > 0 ? names.s : "", " ", NULL);
	str_release(&names);
	return words;
}

/* Every address space under the hash of what becomes of its mail. */
static json_t *
spaces_of(const struct connector_list *l)
{
	json_t *all = json_object();
	char hash[65], **w;
	size_t i, k;

	for (i = 0; i < l->n; i++) {
		struct connector one = l->v[i];

		w = words_split(one.domains, " ", NULL);
		for (k = 0; w[k] != NULL; k++) {
			one.domains = w[k];
			connectors_hash(&(struct connector_list){ &one, 1 }, hash);
			w[k][strcspn(w[k], ",")] = '\0';
			json_object_set_new(all, hash, json_string(w[k]));
		}
		words_free(w);
	}
	return all;
}

char **
pushed_otherwise(const struct drift_facts *f, const struct connector_list *l)
{
	json_t *now = spaces_of(l), *was = json_object_get(f->pushed, "spaces"), *v;
	struct str out = STR_INIT;
	const char *hash;
	char all[65], **words;

	connectors_hash(l, all);
	if (was == NULL && text_eq(pushed_connectors(f), all))         /* pushed when they were not told apart yet */
		json_object_clear(now);
	json_object_foreach(now, hash, v)
		if (json_object_get(was, hash) == NULL)
			str_addf(&out, "%s ", json_string_value(v));
	json_object_foreach(was, hash, v)
		if (json_object_get(now, hash) == NULL)
			str_addf(&out, "%s ", json_string_value(v));
	words = words_split(out.len > 0 ? out.s : "", " ", NULL);
	json_decref(now);
	str_release(&out);
	return words;
}

/* What a push carried there, as the fact that drift is held against. Files of ours that this push did not write stay as known. */
char *
pushed_make(const struct wanted_host *w, const struct plan *p, int64_t generation, const struct drift_facts *before)
{
	json_t *vs = json_object(), *files = json_object(), *all, *v;
	const char *path;
	char *text, connectors[65];
	size_t i, k;

	connectors_hash(&w->connectors, connectors);
	for (i = 0; i < w->n_vs; i++) {
		json_t *one = json_object(), *settings = json_object();

		for (k = 0; k < w->vs[i].settings.n; k++)
			json_object_set_new(settings, w->vs[i].settings.v[k].name, json_string(w->vs[i].settings.v[k].value));
		json_object_set_new(one, "settings", settings);
		if (w->vs[i].certificate_set)
			json_object_set_new(one, "certificate", json_string(w->vs[i].certificate != NULL ? w->vs[i].certificate->sha256 : ""));
		if (w->vs[i].certificate != NULL)
			json_object_set_new(one, "second", json_string(w->vs[i].second != NULL ? w->vs[i].second->sha256 : ""));
		json_object_set_new(vs, w->vs[i].name, one);
	}
	if (plan_is_empty(p)) {
		json_object_foreach(json_object_get(before->pushed, "files"), path, v)
			json_object_set(files, path, v);
	} else
		for (i = 0; i < p->n_changes; i++)
			if (p->changes[i].action == CHANGE_CREATE && p->changes[i].key_path == NULL && p->changes[i].secret == NULL &&
			    p->changes[i].after.len <= OWN_FILE_MAX)
				json_object_set_new(files, p->changes[i].path, json_string(p->changes[i].after.s));
	all = json_pack("{s:I,s:o,s:o,s:s,s:o}", "generation", (json_int_t)generation, "vs", vs, "files", files, "connectors", connectors,
	    "spaces", spaces_of(&w->connectors));
	text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(all);
	return text;
}

int
pushed_store(struct journey *j, int64_t server, const char *text, struct err *e)
{
	char *name = xasprintf("pushed:%lld", (long long)server);
	int rc = store_fact_set(j->store, name, text, e);

	free(name);
	return rc;
}

/* --- files --- */

static void
touched_of(const struct drift_facts *f, const struct mailsys *m, const struct reading *r, struct touched_list *out)
{
	json_t *files = json_object_get(f->pushed, "files"), *v;
	struct own_text *own = xcalloc(json_object_size(files) + 1, sizeof(*own));
	const char *path;
	size_t n = 0;

	json_object_foreach(files, path, v)
		own[n++] = (struct own_text){ path, json_string_value(v) };
	if (m->touched != NULL)
		m->touched(r, own, n, out);
	free(own);
}

/* A reading says again what was touched. */
int
touched_store(struct journey *j, const struct server *sv, const struct looked *l, struct err *e)
{
	struct drift_facts *f = drift_facts_get(j, sv);
	struct touched_list t = { NULL, 0 };
	json_t *rows = json_array();
	size_t i;
	int rc;

	touched_of(f, l->mailsys, &l->reading, &t);
	for (i = 0; i < t.n; i++) {
		struct str path = STR_INIT, diff = STR_INIT;

		clean_text(&path, t.v[i].path, strlen(t.v[i].path), false);
		clean_text(&diff, t.v[i].diff, strlen(t.v[i].diff), true);
		json_array_append_new(rows, json_pack("[s,s,s]", path.s, t.v[i].what, diff.s));
		str_release(&path);
		str_release(&diff);
	}
	rc = fact_set(j, "touched", sv->id, t.n > 0 ? rows : NULL, e);
	json_decref(rows);
	touched_list_release(&t);
	drift_facts_free(f);
	return rc;
}

/* --- what a push must not do in silence (worker) --- */

const struct found_value *
found_value_of(const struct vserver *vs, const char *name)
{
	size_t i;

	for (i = 0; vs != NULL && i < vs->found.n; i++)
		if (text_eq(vs->found.v[i].name, name))
			return &vs->found.v[i];
	return NULL;
}

static const struct vserver *
vserver_named(const struct vserver_list *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (text_eq(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

void
drift_warn(const struct drift_facts *f, const struct mailsys *m, const struct reading *r, const struct wanted_host *w, struct plan *p)
{
	struct touched_list t = { NULL, 0 };
	size_t i, k;

	for (i = 0; i < w->n_vs; i++)
		for (k = 0; k < w->vs[i].settings.n; k++) {
			const struct wanted *s = &w->vs[i].settings.v[k];
			const struct found_value *v = found_value_of(vserver_named(&r->vservers, w->vs[i].name), s->name);

			if (v == NULL || text_eq(v->value, s->value) ||
			    drift_kind_of(f, w->vs[i].name, s->name, s->value, v->value) != DRIFT_CHANGED)
				continue;
			plan_warn(p, "%s of %s was changed on the host since the last push, to %s: this puts it back to %s", s->name,
			    clean(w->vs[i].name), v->value != NULL ? clean(v->value) : "a value mxseal has no word for", s->value);
		}
	touched_of(f, m, r, &t);
	for (i = 0; i < t.n && !plan_is_empty(p); i++)
		plan_warn(p, "%s was changed by hand since the last push (%s): lines and files of mxseal are put back", clean(t.v[i].path),
		    clean(t.v[i].what));
	touched_list_release(&t);
}

/* What was left as it is on the host is not asked for. found: as the store knows it. */
void
drift_leave_out(const struct drift_facts *f, const struct vserver_list *found, struct wanted_host *w)
{
	size_t i, k;

	for (i = 0; i < w->n_vs; i++)
		for (k = w->vs[i].settings.n; k-- > 0; ) {
			struct wanted_list *l = &w->vs[i].settings;
			const struct found_value *v = found_value_of(vserver_named(found, w->vs[i].name), l->v[k].name);

			if (v == NULL || drift_kind_of(f, w->vs[i].name, l->v[k].name, l->v[k].value, v->value) != DRIFT_LEFT)
				continue;
			wanted_release(&l->v[k]);
			memmove(&l->v[k], &l->v[k + 1], (l->n - k - 1) * sizeof(l->v[0]));
			l->n--;
		}
}

/* --- the list --- */

static struct drift *
drift_add(struct drift_list *l, enum drift_kind kind, int64_t vserver, const char *object, const char *name)
{
	struct drift *d;

	ARRAY_GROW(l->v, l->n);
	d = &l->v[l->n++];
	*d = (struct drift){ .kind = kind, .vserver = vserver, .object = xstrdup(object), .name = xstrdup(name) };
	return d;
}

static void
settings_drift(const struct drift_facts *f, const struct vserver *vs, const char *object, const struct wanted_vs *w,
    struct drift_list *out)
{
	size_t i;

	for (i = 0; i < w->settings.n; i++) {
		const struct wanted *s = &w->settings.v[i];
		const struct found_value *v = found_value_of(vs, s->name);
		struct drift *d;

		if (v != NULL && text_eq(v->value, s->value))
			continue;
		d = drift_add(out, drift_kind_of(f, w->name, s->name, s->value, v != NULL ? v->value : NULL), vs->id, object, s->name);
		xset(&d->wanted, s->value);
		xset(&d->found, v != NULL ? v->value : NULL);
		xset(&d->native, v != NULL ? v->native : NULL);
		xset(&d->source, v != NULL ? v->source : NULL);
	}
}

static void
one_certificate_drift(struct journey *j, const struct drift_facts *f, const struct vserver *vs, const char *object, const struct wanted_vs *w,
    bool second, struct drift_list *out)
{
	const struct certificate *c = second ? w->second : w->certificate;
	const char *name = second ? "second" : "certificate", *pem = second ? vs->second_pem : vs->cert_pem;
	const struct certificate *in_use;
	struct drift *d;

	if (!(second ? wanted_second_waits(j, vs, w) : wanted_certificate_waits(j, vs, w)))
		return;
	in_use = certificate_described(j, pem);
	d = drift_add(out, drift_kind_of(f, w->name, name, c != NULL ? c->sha256 : "", in_use != NULL ? in_use->sha256 : NULL), vs->id, object,
	    second ? "second certificate" : name);
	d->wanted = c != NULL ? xasprintf("#%lld %s", (long long)c->id, c->cn ? c->cn : "-") : xstrdup(second ? "none" : "none of ours");
	d->found = in_use != NULL && in_use->cn != NULL ? xasprintf("%s, %.16s", in_use->cn, in_use->sha256) :
	    xstrdup(vs->cert_file != NULL && !second ? vs->cert_file : "none");
	xset(&d->native, vs->cert_file);
}

static void
certificate_drift(struct journey *j, const struct drift_facts *f, const struct vserver *vs, const char *object, const struct wanted_vs *w,
    struct drift_list *out)
{
	one_certificate_drift(j, f, vs, object, w, false, out);
	one_certificate_drift(j, f, vs, object, w, true, out);
}

static void
files_drift(struct journey *j, const struct server *sv, struct drift_list *out)
{
	json_t *rows = fact_get(j, "touched", sv->id), *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		struct drift *d = drift_add(out, DRIFT_FILE, 0, sv->name, json_string_value(json_array_get(row, 0)));

		xset(&d->found, json_string_value(json_array_get(row, 1)));
		xset(&d->diff, json_string_value(json_array_get(row, 2)));
	}
	json_decref(rows);
}

int
drift_of_server(struct journey *j, int64_t server, struct drift_list *out, struct err *e)
{
	struct server sv = { .id = 0 };
	struct wanted_host w = { .vs = NULL };
	struct vserver_list l = { NULL, 0 };
	struct drift_facts *f = NULL;
	size_t i;
	int rc = -1;

	memset(out, 0, sizeof(*out));
	if (store_server_get(j->store, server, &sv, e) == -1)
		return -1;
	if (sv.read_at == 0) {
		rc = 0;
		goto out;
	}
	if (wanted_build(j, server, &w, e) == -1 || store_vservers(j->store, server, &l, e) == -1)
		goto out;
	f = drift_facts_get(j, &sv);
	for (i = 0; i < w.n_vs; i++) {
		const struct vserver *vs = vserver_named(&l, w.vs[i].name);
		char *object;

		if (vs == NULL)
			continue;
		object = xasprintf("%s/%s", sv.name, vs->name);
		settings_drift(f, vs, object, &w.vs[i], out);
		certificate_drift(j, f, vs, object, &w.vs[i], out);
		free(object);
	}
	files_drift(j, &sv, out);
	rc = 0;
out:
	drift_facts_free(f);
	wanted_free(&w);
	vserver_list_release(&l);
	server_release(&sv);
	return rc;
}

size_t
drift_count(const struct drift_list *l)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		n += l->v[i].kind == DRIFT_CHANGED || l->v[i].kind == DRIFT_FILE;
	return n;
}

/* --- ways out --- */

/* field: "all", "outbound.tls", "smtp/outbound.tls", "mx1/smtp/outbound.tls", or the path of a file. */
static bool
is_named(const struct drift *d, const char *field)
{
	const char *vs = strchr(d->object, '/');
	char *part = xasprintf("%s/%s", vs != NULL ? vs + 1 : d->object, d->name), *whole = xasprintf("%s/%s", d->object, d->name);
	bool yes = strcmp(field, "all") == 0 || strcmp(field, d->name) == 0 || strcmp(field, part) == 0 || strcmp(field, whole) == 0;

	free(part);
	free(whole);
	return yes;
}

static int
no_way_for_file(const struct drift *d, const char *verb, struct err *e)
{
	err_set(e, RC_INVALID, "%s is written by mxseal: it cannot be %s", clean(d->name), verb);
	return err_hint(e, "a push puts it back; what shall stay belongs into a connector or a setting");
}

static bool
is_certificate(const struct drift *d)
{
	return strcmp(d->name, "certificate") == 0 || strcmp(d->name, "second certificate") == 0;
}

static int
take_one(struct journey *j, const struct drift *d, struct err *e)
{
	struct vserver vs = { .id = 0 };
	int rc;

	if (d->kind == DRIFT_FILE)
		return no_way_for_file(d, "taken over", e);
	if (!is_certificate(d)) {
		if (d->found != NULL)
			return vserver_set(j, d->vserver, (const char *const[]){ d->name }, (const char *const[]){ d->found }, 1, e);
		err_set(e, RC_INVALID, "%s of %s: mxseal has no word for what is on the host (%s)", d->name, d->object, clean(d->native));
		return err_hint(e, "leave it as it is there, or unset it here: mxseal vs unset %s %s", d->object, d->name);
	}
	rc = store_vserver_get(j->store, d->vserver, &vs, e);
	if (rc == 0) {
		vs.second = 0;
		if (strcmp(d->name, "certificate") == 0) {
			vs.certificate = 0;
			vs.certificate_set = false;
		}
		rc = store_vserver_save(j->store, &vs, e);
	}
	vserver_release(&vs);
	return rc;
}

static int
leave_one(const struct drift *d, json_t *left, struct err *e)
{
	char *key;

	if (d->kind == DRIFT_FILE || is_certificate(d))
		return d->kind == DRIFT_FILE ? no_way_for_file(d, "left so", e) :
		    err_set(e, RC_INVALID, "%s: a certificate is taken over or put back, not left", d->object);
	key = xasprintf("%s/%s", strchr(d->object, '/') + 1, d->name);
	json_object_set_new(left, key, json_pack("[s,s]", d->wanted, d->found != NULL ? d->found : ""));
	free(key);
	return 0;
}

static bool
wanted_way_out(const struct drift *d, const char *const *fields, size_t n)
{
	size_t i;

	if (d->kind == DRIFT_EDITED || d->kind == DRIFT_LEFT)
		n = n > 0 && strcmp(fields[0], "all") != 0 ? n : 0;      /* these only when named */
	for (i = 0; i < n; i++)
		if (is_named(d, fields[i]) && !(d->kind == DRIFT_FILE && strcmp(fields[i], "all") == 0))
			return true;
	return false;
}

static int
way_out(struct journey *j, int64_t server, bool take, const char *const *fields, size_t n, struct str *said, struct err *e)
{
	struct drift_list l = { NULL, 0 };
	struct server sv = { .id = 0 };
	json_t *left = fact_get(j, "drift-left", server);
	struct str names = STR_INIT;
	size_t i, done = 0;
	int rc = -1;

	if (left == NULL)
		left = json_object();
	if (store_server_get(j->store, server, &sv, e) == -1 || drift_of_server(j, server, &l, e) == -1 || store_edit_begin(j->store, e) == -1)
		goto out;
	rc = 0;
	for (i = 0; i < l.n && rc == 0; i++) {
		if (!wanted_way_out(&l.v[i], fields, n))
			continue;
		rc = take ? take_one(j, &l.v[i], e) : leave_one(&l.v[i], left, e);
		str_addf(&names, "%s%s", done++ > 0 ? ", " : "", l.v[i].name);
	}
	if (rc == 0 && done == 0) {
		err_set(e, RC_NOTFOUND, "%s has no such field that was changed on the host", sv.name);
		rc = err_hint(e, "mxseal drift %s lists them", sv.name);
	}
	if (rc == 0 && !take)
		rc = fact_set(j, "drift-left", server, left, e);
	if (rc == 0)
		rc = note_activity(j, sv.name, take ? "drift-take" : "drift-leave", 0, e, names.s);
	rc = store_edit_end(j->store, rc, e, "%s: taken over from the host: %s", sv.name, names.s);
	if (rc == 0)
		str_addf(said, take ? "Taken over from %s: %s." : "Left as it is on %s until it changes again: %s.", sv.name, names.s);
out:
	json_decref(left);
	str_release(&names);
	drift_list_release(&l);
	server_release(&sv);
	return rc;
}

int
drift_take(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e)
{
	return way_out(j, server, true, fields, n, said, e);
}

int
drift_leave(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e)
{
	return way_out(j, server, false, fields, n, said, e);
}

int
drift_unleave(struct journey *j, int64_t server, const char *const *fields, size_t n, struct str *said, struct err *e)
{
	struct drift_list l = { NULL, 0 };
	struct server sv = { .id = 0 };
	json_t *left = fact_get(j, "drift-left", server);
	struct str names = STR_INIT;
	size_t i, k;
	int rc = store_server_get(j->store, server, &sv, e) == 0 && drift_of_server(j, server, &l, e) == 0 ? 0 : -1;

	for (i = 0; rc == 0 && i < l.n; i++)
		for (k = 0; k < n && l.v[i].kind == DRIFT_LEFT; k++)
			if (is_named(&l.v[i], fields[k])) {
				char *key = xasprintf("%s/%s", strchr(l.v[i].object, '/') + 1, l.v[i].name);

				json_object_del(left, key);
				free(key);
				str_addf(&names, "%s%s", names.len > 0 ? ", " : "", l.v[i].name);
				break;
			}
	if (rc == 0 && names.len == 0) {
		err_set(e, RC_NOTFOUND, "%s has no such field that was left as it is there", sv.name);
		rc = err_hint(e, "mxseal drift %s lists them", sv.name);
	}
	if (rc == 0)
		rc = fact_set(j, "drift-left", server, left, e);
	if (rc == 0)
		rc = note_activity(j, sv.name, "drift-unleave", 0, e, names.s);
	if (rc == 0)
		str_addf(said, "Not left on %s any more: %s. A push puts it back to what is wanted.", sv.name, names.s);
	json_decref(left);
	str_release(&names);
	drift_list_release(&l);
	server_release(&sv);
	return rc;
}
