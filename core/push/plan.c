/* A plan as data, and as text for people: the files with their differences, the checks made, the warnings. Pure: reads and
 * writes nothing. Blocks with private keys never appear in a difference; a short digest stands for them, so that a change
 * of key can still be seen. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/certificate.h"
#include "mxseal/plan.h"
#include "mxseal/xalloc.h"

#define DIFF_CONTEXT 3
#define DIFF_CELLS (4u * 1024 * 1024)   /* ceiling of the table; over it the changed middle is shown as replaced */

struct command *
command_add(struct command_list *l, const char *name, ...)
{
	struct command *c;
	const char *word;
	size_t n = 0;
	va_list ap;

	ARRAY_GROW(l->v, l->n);
	c = &l->v[l->n++];
	c->name = xstrdup(name);
	c->argv = NULL;
	va_start(ap, name);
	while ((word = va_arg(ap, const char *)) != NULL) {
		c->argv = xrealloc(c->argv, n + 2, sizeof(*c->argv));
		c->argv[n++] = xstrdup(word);
		c->argv[n] = NULL;
	}
	va_end(ap);
	if (c->argv == NULL)
		c->argv = xcalloc(1, sizeof(*c->argv));
	return c;
}

void
command_list_release(struct command_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		for (char **w = l->v[i].argv; w != NULL && *w != NULL; w++)
			free(*w);
		free(l->v[i].argv);
		free(l->v[i].name);
	}
	free(l->v);
	*l = (struct command_list){ 0 };
}

void
plan_init(struct plan *p)
{
	*p = (struct plan){ 0 };
}

void
plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n_changes; i++) {
		free(p->changes[i].path);
		free(p->changes[i].key_path);
		str_release(&p->changes[i].before);
		if (p->changes[i].secret != NULL)
			str_wipe(&p->changes[i].after);
		else
			str_release(&p->changes[i].after);
		free(p->changes[i].secret);
	}
	for (size_t i = 0; i < p->n_wants; i++) {
		free(p->wants[i].listen);
		free(p->wants[i].address);
		free(p->wants[i].name);
		free(p->wants[i].roots);
	}
	for (size_t i = 0; i < p->n_warnings; i++)
		free(p->warnings[i]);
	for (size_t i = 0; i < p->n_results; i++) {
		free(p->results[i].name);
		free(p->results[i].text);
	}
	for (size_t i = 0; i < p->n_keys; i++) {
		free(p->keys[i].path);
		free(p->keys[i].spki_sha256);
		secret_release(&p->keys[i].pem);
	}
	free(p->keys);
	command_list_release(&p->checks);
	command_list_release(&p->reload);
	command_list_release(&p->restart);
	command_list_release(&p->watch);
	free(p->changes);
	free(p->wants);
	free(p->warnings);
	free(p->results);
	free(p->server_name);
	free(p->mailsys);
	free(p->config_dir);
	free(p->base);
	plan_init(p);
}

struct change *
plan_change(struct plan *p, const char *path, enum change_action a)
{
	struct change *c;

	ARRAY_GROW(p->changes, p->n_changes);
	c = &p->changes[p->n_changes++];
	*c = (struct change){ .path = xstrdup(path), .action = a, .mode = 0644 };
	str_init(&c->before, 0);
	str_init(&c->after, 0);
	return c;
}

void
plan_carry_key(struct plan *p, const char *path, const char *spki_sha256)
{
	for (size_t i = 0; i < p->n_keys; i++)
		if (strcmp(p->keys[i].path, path) == 0)
			return;
	ARRAY_GROW(p->keys, p->n_keys);
	p->keys[p->n_keys++] = (struct plan_key){ .path = xstrdup(path), .spki_sha256 = xstrdup(spki_sha256) };
}

void
plan_warn(struct plan *p, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ARRAY_GROW(p->warnings, p->n_warnings);
	p->warnings[p->n_warnings++] = xstrdup(line);
}

void
plan_check(struct plan *p, const char *name, bool ok, const char *text)
{
	ARRAY_GROW(p->results, p->n_results);
	p->results[p->n_results++] = (struct check_result){ xstrdup(name), ok, xstrdup(text) };
}

/* A change that puts back what is there already is none. */
static bool
change_is_empty(const struct change *c)
{
	return c->action == CHANGE_EDIT && c->key_path == NULL && c->before.len == c->after.len &&
	    memcmp(c->before.s, c->after.s, c->before.len) == 0;
}

bool
plan_is_empty(const struct plan *p)
{
	for (size_t i = 0; i < p->n_changes; i++)
		if (!change_is_empty(&p->changes[i]))
			return false;
	return true;
}

bool
plan_is_refused(const struct plan *p)
{
	for (size_t i = 0; i < p->n_results; i++)
		if (!p->results[i].ok)
			return true;
	return false;
}

/* --- unified difference --- */

struct line { const char *s; size_t len; bool end; };   /* end: has its newline */
struct lines { struct line *v; size_t n; };

static struct lines
lines_of(const struct str *text)
{
	struct lines l = { 0 };
	const char *s = text->s, *stop = text->s + text->len;

	while (s < stop) {
		const char *nl = memchr(s, '\n', (size_t)(stop - s));
		size_t len = (size_t)((nl != NULL ? nl : stop) - s);

		ARRAY_GROW(l.v, l.n);
		l.v[l.n++] = (struct line){ s, len, nl != NULL };
		s += len + (nl != NULL);
	}
	return l;
}

static bool
line_eq(const struct line *a, const struct line *b)
{
	return a->len == b->len && a->end == b->end && memcmp(a->s, b->s, a->len) == 0;
}

static bool
line_has(const char *s, size_t len, const char *start, const char *part)
{
	size_t n = strlen(start);

	return len >= n && memcmp(s, start, n) == 0 && memmem(s, len, part, strlen(part)) != NULL;
}

/* Copies text with every private-key block replaced by one line. An unfinished block reaches to the end of the text. */
static void
without_keys(const struct str *text, struct str *out)
{
	const char *s = text->s, *stop = text->s + text->len, *key = NULL;
	char sum[65];

	str_init(out, text->ceiling);
	while (s < stop) {
		const char *nl = memchr(s, '\n', (size_t)(stop - s));
		const char *next = nl != NULL ? nl + 1 : stop;
		size_t len = (size_t)(next - s);

		if (key == NULL && line_has(s, len, "-----BEGIN ", "PRIVATE KEY"))
			key = s;
		if (key == NULL)
			str_addn(out, s, len);
		else if (line_has(s, len, "-----END ", "PRIVATE KEY") || next == stop) {
			sha256_hex(key, (size_t)(next - key), sum);
			str_addf(out, "(private key, not shown: %.12s)\n", sum);
			key = NULL;
		}
		s = next;
	}
}

/* One line of the way from one text to the other: ' ' stays, '-' goes, '+' comes. */
struct edit { char mark; const struct line *line; };
struct edits { struct edit *v; size_t n; };

static void
edit_add(struct edits *e, char mark, const struct line *l)
{
	ARRAY_GROW(e->v, e->n);
	e->v[e->n++] = (struct edit){ mark, l };
}

/* The middle, which has no common ends, by a table of the longest common subsequence, unless that is too big. */
static void
compare_middle(struct edits *e, const struct line *a, size_t na, const struct line *b, size_t nb)
{
	bool fits = na > 0 && nb > 0 && na + 1 <= DIFF_CELLS / (nb + 1);
	unsigned *t = fits ? xcalloc((na + 1) * (nb + 1), sizeof(*t)) : NULL;
	size_t i, j;

#define T(x, y) t[(x) * (nb + 1) + (y)]
	for (i = fits ? na : 0; i-- > 0; )
		for (j = nb; j-- > 0; )
			if (line_eq(&a[i], &b[j]))
				T(i, j) = T(i + 1, j + 1) + 1;
			else
				T(i, j) = T(i + 1, j) >= T(i, j + 1) ? T(i + 1, j) : T(i, j + 1);
	for (i = j = 0; i < na || j < nb; ) {
		if (fits && i < na && j < nb && line_eq(&a[i], &b[j])) {
			edit_add(e, ' ', &a[i++]);
			j++;
		} else if (j == nb || (i < na && (!fits || T(i + 1, j) >= T(i, j + 1))))
			edit_add(e, '-', &a[i++]);
		else
			edit_add(e, '+', &b[j++]);
	}
#undef T
	free(t);
}

/* No lines at all have no array, and NULL + 0 is undefined. */
static const struct line *
lines_from(const struct lines *l, size_t at)
{
	return l->v != NULL ? l->v + at : NULL;
}

static struct edits
compare(const struct lines *a, const struct lines *b)
{
	struct edits e = { 0 };
	size_t head = 0, tail = 0;

	while (head < a->n && head < b->n && line_eq(&a->v[head], &b->v[head]))
		edit_add(&e, ' ', &a->v[head++]);
	while (tail < a->n - head && tail < b->n - head && line_eq(&a->v[a->n - 1 - tail], &b->v[b->n - 1 - tail]))
		tail++;
	compare_middle(&e, lines_from(a, head), a->n - head - tail, lines_from(b, head), b->n - head - tail);
	for (size_t i = a->n - tail; i < a->n; i++)
		edit_add(&e, ' ', &a->v[i]);
	return e;
}

/* The range of a hunk as diff(1) writes it: an empty one names the line before it. */
static void
put_range(struct str *out, char mark, size_t from, size_t n)
{
	str_addf(out, "%c%zu", mark, n == 0 ? from : from + 1);
	if (n != 1)
		str_addf(out, ",%zu", n);
}

/* Where the hunk ends whose first change is at i: changes with at most two contexts between them stay together. */
static size_t
hunk_end(const struct edits *e, size_t i)
{
	size_t last = i;

	for (; i < e->n && i - last <= 2 * DIFF_CONTEXT + 1; i++)
		if (e->v[i].mark != ' ')
			last = i;
	return e->n - last - 1 < DIFF_CONTEXT ? e->n : last + 1 + DIFF_CONTEXT;
}

static void
put_hunks(struct str *out, const struct str *before, const struct str *after)
{
	struct lines a = lines_of(before), b = lines_of(after);
	struct edits e = compare(&a, &b);
	size_t at_a = 0, at_b = 0, done = 0;      /* lines of each text before the edit `done` */

	for (size_t i = 0; i < e.n; i++) {
		size_t from, end, n_a = 0, n_b = 0;

		if (e.v[i].mark == ' ')
			continue;
		from = i - done < DIFF_CONTEXT ? done : i - DIFF_CONTEXT;
		end = hunk_end(&e, i);
		at_a += from - done;
		at_b += from - done;
		for (size_t k = from; k < end; k++) {
			n_a += e.v[k].mark != '+';
			n_b += e.v[k].mark != '-';
		}
		str_add(out, "@@ ");
		put_range(out, '-', at_a, n_a);
		str_addc(out, ' ');
		put_range(out, '+', at_b, n_b);
		str_add(out, " @@\n");
		for (size_t k = from; k < end; k++) {
			str_addc(out, e.v[k].mark);
			str_addn(out, e.v[k].line->s, e.v[k].line->len);
			str_add(out, e.v[k].line->end ? "\n" : "\n\\ No newline at end of file\n");
		}
		at_a += n_a;
		at_b += n_b;
		done = end;
		i = end - 1;
	}
	free(e.v);
	free(a.v);
	free(b.v);
}

void
plan_diff(const struct change *c, struct str *out)
{
	struct str before, after;

	if (change_is_empty(c))
		return;
	if (c->secret != NULL) {
		str_addf(out, "--- %s\n+++ %s\n(not shown: %s)\n", c->action == CHANGE_CREATE ? "/dev/null" : c->path,
		    c->action == CHANGE_REMOVE ? "/dev/null" : c->path, c->secret);
		return;
	}
	without_keys(&c->before, &before);
	without_keys(&c->after, &after);
	str_addf(out, "--- %s\n", c->action == CHANGE_CREATE ? "/dev/null" : c->path);
	str_addf(out, "+++ %s\n", c->action == CHANGE_REMOVE ? "/dev/null" : c->path);
	if (c->key_path != NULL)
		str_addf(out, "(the host puts its key %s in front)\n", c->key_path);
	if (c->action == CHANGE_CREATE)
		str_cut(&before, 0);
	if (c->action == CHANGE_REMOVE)
		str_cut(&after, 0);
	put_hunks(out, &before, &after);
	str_release(&before);
	str_release(&after);
}

static const char *const action_words[] = {
	[CHANGE_EDIT] = "edit", [CHANGE_CREATE] = "create", [CHANGE_REMOVE] = "remove",
};

static void
render_commands(struct str *out, const char *title, const struct command_list *l)
{
	/* by name: the words of a check are a script */
	for (size_t i = 0; i < l->n; i++)
		str_addf(out, "%s: %s\n", title, l->v[i].name);
}

static void
render_wants(const struct plan *p, struct str *out)
{
	for (size_t i = 0; i < p->n_wants; i++) {
		const struct proof_want *w = &p->wants[i];

		str_addf(out, "prove: %s", w->listen);
		if (w->state != PROOF_GREETS) {
			str_add(out, w->state == PROOF_GONE ? " does not answer any more\n" : " answers 421, as it is paused\n");
			continue;
		}
		if (w->forbid_tls)
			str_add(out, " greets and offers no TLS");
		else if (w->sha256[0] != '\0')
			str_addf(out, " serves the certificate %.16s...", w->sha256);
		else
			str_add(out, w->want_tls ? " greets and does TLS" : " greets");
		if (w->key[0] != '\0')
			str_addf(out, " to who takes only %s keys", w->key);
		str_addc(out, '\n');
	}
}

void
plan_render(const struct plan *p, struct str *out)
{
	if (plan_is_empty(p))
		str_addf(out, "%s: nothing to change\n", p->server_name != NULL ? p->server_name : "server");
	else
		str_addf(out, "%s: generation %lld\n", p->server_name != NULL ? p->server_name : "server",
		    (long long)p->generation);
	for (size_t i = 0; i < p->n_changes; i++)
		if (!change_is_empty(&p->changes[i]))
			str_addf(out, "%s: %s%s\n", action_words[p->changes[i].action], p->changes[i].path,
			    p->changes[i].is_switch ? "" : " (new generation)");
	for (size_t i = 0; i < p->n_keys && !plan_is_empty(p); i++)
		str_addf(out, "key: %s (kept here under seal; the push puts it there, for root only)\n", p->keys[i].path);
	for (size_t i = 0; i < p->n_results; i++)
		str_addf(out, "check: %s %s%s%s\n", p->results[i].name, p->results[i].ok ? "ok" : "REFUSED",
		    text_empty(p->results[i].text) ? "" : ": ", text_empty(p->results[i].text) ? "" : p->results[i].text);
	for (size_t i = 0; i < p->n_warnings; i++)
		str_addf(out, "warning: %s\n", p->warnings[i]);
	if (!plan_is_empty(p)) {
		render_commands(out, "check in the staged copy", &p->checks);
		render_commands(out, "then", &p->reload);
		render_wants(p, out);
	}
	for (size_t i = 0; i < p->n_changes; i++) {
		if (change_is_empty(&p->changes[i]))
			continue;
		str_addc(out, '\n');
		plan_diff(&p->changes[i], out);
	}
}

const char *
push_result_name(enum push_result r)
{
	static const char *const names[] = {
		[PUSH_KEPT] = "kept", [PUSH_WAITING] = "waiting", [PUSH_UNCHANGED] = "unchanged", [PUSH_UNDONE] = "undone",
		[PUSH_REFUSED] = "refused", [PUSH_UNKNOWN] = "unknown",
	};

	return names[r];
}
