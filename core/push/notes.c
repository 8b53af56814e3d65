/* What a host keeps and says about pushes, as data: listeners to prove, the status, the journal. It comes from the host, so
 * it is hostile: bounded, and cleaned where it is shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define WANTS_MAX 200
#define GENERATIONS_MAX 200

void
want_list_release(struct want_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].listen);
		free(l->v[i].address);
		free(l->v[i].name);
		free(l->v[i].roots);
	}
	free(l->v);
	*l = (struct want_list){ 0 };
}

/* Behind a listener that is to do something else than to greet; of one that greets, the kind of key that is asked for. */
static const char *const states[] = { [PROOF_GREETS] = "", [PROOF_PAUSED] = " paused", [PROOF_GONE] = " gone" };

void
want_list_write(const struct proof_want *v, size_t n, struct str *out)
{
	for (size_t i = 0; i < n; i++)
		str_addf(out, "%s %d %d %d %d %s %s %s%s\n", v[i].address, v[i].port, v[i].implicit_tls, v[i].want_tls,
		    v[i].forbid_tls, v[i].sha256[0] != '\0' ? v[i].sha256 : "-", text_empty(v[i].name) ? "-" : v[i].name,
		    text_empty(v[i].listen) ? "-" : v[i].listen, v[i].state != PROOF_GREETS ? states[v[i].state] :
		    text_eq(v[i].key, "RSA") ? " rsa" : text_eq(v[i].key, "EC") ? " ec" : "");
}

void
want_list_parse(struct want_list *l, const char *text)
{
	char address[256], sha256[65], name[256], listen[256], state[16];
	int port, implicit, want, forbid, n;

	for (; text != NULL && *text != '\0' && l->n < WANTS_MAX; text = strchr(text, '\n'), text += text != NULL) {
		struct proof_want w = { 0 };

		n = sscanf(text, "%255s %d %d %d %d %64s %255s %255s%*1[ ]%15[a-z]", address, &port, &implicit, &want, &forbid, sha256,
		    name, listen, state);
		if (n < 8 || port <= 0 || port > 65535)
			continue;
		if (n == 9 && (strcmp(state, "rsa") == 0 || strcmp(state, "ec") == 0))
			memcpy(w.key, *state == 'r' ? "RSA" : "EC", *state == 'r' ? 4 : 3);
		else if (n == 9)
			w.state = strcmp(state, "gone") == 0 ? PROOF_GONE : strcmp(state, "paused") == 0 ? PROOF_PAUSED : PROOF_GREETS;
		w.address = xstrdup(address);
		w.port = port;
		w.implicit_tls = implicit != 0;
		w.want_tls = want != 0;
		w.forbid_tls = forbid != 0;
		if (strlen(sha256) == 64)
			memcpy(w.sha256, sha256, sizeof(w.sha256));
		w.name = strcmp(name, "-") != 0 ? xstrdup(name) : NULL;
		w.listen = xstrdup(listen);
		ARRAY_GROW(l->v, l->n);
		l->v[l->n++] = w;
	}
}

void
host_status_release(struct host_status *s)
{
	free(s->owner);
	push_mail_release(&s->mail);
	str_release(&s->journal);
	*s = (struct host_status){ .journal = STR_INIT };
}

void
host_status_parse(struct host_status *s, const char *text)
{
	long long number;
	int at;

	*s = (struct host_status){ .state = "idle", .journal = STR_INIT };
	push_mail_parse(&s->mail, text);
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "\n");

		if (text_starts(text, "state "))
			snprintf(s->state, sizeof(s->state), "%.*s", (int)(len - 6), text + 6);
		else if (sscanf(text, "generation %lld", &number) == 1)
			s->generation = number;
		else if (sscanf(text, "next %lld", &number) == 1)
			s->next = number;
		else if (sscanf(text, "undo_at %lld", &number) == 1)
			s->undo_at = number;
		else if (sscanf(text, "owner %lld %n", &number, &at) == 1 && (size_t)at <= len) {
			s->owner_since = number;
			free(s->owner);
			s->owner = xstrndup(text + at, len - (size_t)at);
		} else if (text_starts(text, "journal ")) {
			str_addn(&s->journal, text + 8, len - 8);
			str_addc(&s->journal, '\n');
		}
		text += len + (text[len] == '\n');
	}
}

/* The words of one line "TIME N STATE REST". */
struct entry { long long at, number; char state[16], rest[200]; };

static bool
entry_read(struct entry *j, const char *line)
{
	j->rest[0] = '\0';
	return sscanf(line, "%lld %lld %15s%*1[ ]%199[^\n]", &j->at, &j->number, j->state, j->rest) >= 3;
}

static const char *
next_line(const char *line)
{
	line = strchr(line, '\n');
	return line != NULL ? line + 1 : "";
}

bool
journal_last(const char *journal, long long *number, const char *state)
{
	struct entry j, last = { 0 };

	for (; *journal != '\0'; journal = next_line(journal))
		if (entry_read(&j, journal))
			last = j;
	*number = last.number;
	return strcmp(last.state, state) == 0;
}

const char *
push_fate(const struct push_status *s, int64_t generation, struct str *why)
{
	static const struct { const char *state, *fate; } fates[] = {
		{ "kept", "kept" }, { "undone", "undone" }, { "dropped", "dropped" }, { "switched", "waiting" },
	};
	struct entry j, last = { 0 };

	for (const char *line = s->journal.s != NULL ? s->journal.s : ""; *line != '\0'; line = next_line(line))
		if (entry_read(&j, line) && j.number == generation)
			last = j;
	if (last.number == 0)
		return NULL;
	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
		if (strcmp(last.state, fates[i].state) == 0) {
			const char *reason = i == 1 ? strchr(last.rest, ' ') : NULL;

			if (why != NULL && reason != NULL)
				clean_text(why, reason + 1, strlen(reason + 1), false);
			return fates[i].fate;
		}
	return "unfinished";
}

struct life { long long number, began; char who[128], state[16], rest[200]; };

static struct life *
life_of(struct life *v, size_t *n, long long number)
{
	for (size_t i = *n; i-- > 0; )
		if (v[i].number == number)
			return &v[i];
	if (*n == GENERATIONS_MAX)
		return NULL;
	v[*n] = (struct life){ .number = number };
	return &v[(*n)++];
}

/* How the last state reads to people. */
static void
life_end(const struct life *l, struct str *out)
{
	long long as = 0;

	if (strcmp(l->state, "kept") == 0) {
		as = atoll(l->rest);
		if (as == l->number)
			str_add(out, "kept");
		else if (as == 0)
			str_add(out, "kept: as before mxseal");
		else
			str_addf(out, "kept: as generation %lld", as);
	} else if (strcmp(l->state, "switched") == 0)
		str_add(out, "waiting");
	else {
		clean_text(out, l->state, strlen(l->state), false);
		if (strcmp(l->state, "undone") == 0) {
			const char *why = strchr(l->rest, ' ');

			if (text_starts(l->rest, "no "))
				str_add(out, ", and the listeners did not greet");
			if (why != NULL) {
				str_add(out, ": ");
				clean_text(out, why + 1, strlen(why + 1), false);
			}
		}
	}
}

void
journal_fold(const char *journal, struct str *out)
{
	struct life *v = xcalloc(GENERATIONS_MAX, sizeof(*v)), *l;
	char stamp[32];
	struct entry j;
	size_t n = 0;

	for (; *journal != '\0'; journal = next_line(journal)) {
		if (!entry_read(&j, journal) || (l = life_of(v, &n, j.number)) == NULL)
			continue;
		if (strcmp(j.state, "begun") == 0) {
			l->began = j.at;
			snprintf(l->who, sizeof(l->who), "%.127s", j.rest);
		}
		snprintf(l->state, sizeof(l->state), "%s", j.state);
		snprintf(l->rest, sizeof(l->rest), "%s", j.rest);
	}
	for (size_t i = 0; i < n; i++) {
		when_rfc3339(stamp, v[i].began);
		str_addf(out, "%lld  %s  ", v[i].number, v[i].began > 0 ? stamp : "-");
		clean_text(out, v[i].who, strlen(v[i].who), false);
		str_add(out, "  ");
		life_end(&v[i], out);
		str_addc(out, '\n');
	}
	free(v);
}
