/* The way of mail for an address through a Postfix host, found out in rounds: all is worked out anew from what was answered so
 * far, what is missing becomes the next round's commands, and when nothing is missing the way is whole. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "postfix_way.h"

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(text) ARGV("sh", "-c", text)

static const struct host_cmd conf[] = {
	{ "version", SH("postconf -h mail_version 2>/dev/null") },
	{ "main.cf", SH("cat \"$(postconf -h config_directory 2>/dev/null)/main.cf\"") },
	{ "master.cf", SH("cat \"$(postconf -h config_directory 2>/dev/null)/master.cf\"") },
	{ "defaults", SH("postconf -d 2>/dev/null") },
	{ "expanded", SH("postconf -x 2>/dev/null") },
};

int
way_view(struct view *v, const struct sections *s, struct command_list *next, struct err *e)
{
	size_t i;

	memset(v, 0, sizeof(*v));
	if (section_find(s, "expanded") == NULL) {
		for (i = 0; i < next->n; i++)
			if (strcmp(next->v[i].name, "expanded") == 0)
				return 1;
		for (i = 0; i < sizeof(conf) / sizeof(conf[0]); i++)
			(void)command_add(next, conf[i].name, conf[i].argv[0], conf[i].argv[1], conf[i].argv[2], (char *)NULL);
		return 1;
	}
	if (view_load(v, s, e) == -1)
		return -1;
	v->settled = section_text(s, "expanded") != NULL;
	return 0;
}

/* --- what becomes of it before anybody looks --- */

static bool
program_of(const struct way_work *w, const struct way_end *end, const char *name)
{
	const struct master_service *s = client_service(&w->v, end->transport);

	return s && service_runs(s, name);
}

static void
settle(struct way_end *end, enum way_fate fate, char *forecast)
{
	end->fate = fate;
	free(end->forecast);
	end->forecast = forecast;
}

static void
settle_by_transport(struct way_work *w, struct way_end *end)
{
	if (word_in(&w->v, "defer_transports", end->transport))
		settle(end, FATE_WAITS, xasprintf("waits: defer_transports has %s", end->transport));
	else if (client_service(&w->v, end->transport) == NULL)
		settle(end, FATE_WAITS, xasprintf("waits: master.cf has no service \"%s\"", end->transport));
	else if (program_of(w, end, "error"))
		settle(end, strcmp(end->transport, "retry") == 0 ? FATE_WAITS : FATE_BOUNCES, xasprintf("%s: %s",
		    strcmp(end->transport, "retry") == 0 ? "waits" : "is returned", end->next_hop));
	else if (program_of(w, end, "discard"))
		settle(end, FATE_DISCARDED, xstrdup("is thrown away, and nobody is told"));
	else if (program_of(w, end, "local"))
		settle(end, FATE_LOCAL, xstrdup("is put into the mailbox of a user of this host (or where .forward says)"));
	else if (program_of(w, end, "virtual"))
		settle(end, FATE_LOCAL, xstrdup("is put into a virtual mailbox of this host"));
	else if (end->hops.n == 0)
		settle(end, FATE_LOCAL, xasprintf("is given to %s on this host", end->transport));
}

/* --- recipients --- */

static bool
known_end(const struct mail_way *out, const char *address)
{
	size_t i;

	for (i = 0; i < out->ends.n; i++)
		if (strcasecmp(out->ends.v[i].address, address) == 0)
			return true;
	return false;
}

/* Nobody of this name here, and nothing that would take his mail all the same. */
static enum answer
local_user(struct way_work *w, struct way_end *end)
{
	static const char *const takers[] = { "luser_relay", "fallback_transport", "fallback_transport_maps", "mailbox_transport",
		"mailbox_transport_maps" };
	char users[] = "unix:passwd.byname", *list[] = { users };
	struct words maps = { list, 1 };
	struct way_keys keys = { NULL, 0 };
	struct hit h = { NULL, NULL, NULL };
	char *bare = without_extension(&w->v, end->address, NULL);
	const char *name = bare ? bare : end->address;
	enum answer a;
	size_t i;

	for (i = 0; i < sizeof(takers) / sizeof(takers[0]) && view_empty(&w->v, NULL, takers[i]); i++)
		;
	if (i < sizeof(takers) / sizeof(takers[0])) {
		free(bare);
		return ANSWER_FOUND;
	}
	way_key_add(&keys, true, "%.*s", (int)(strrchr(name, '@') - name), name);
	a = ask_keys(w, &maps, &keys, &h);
	if (a == ANSWER_NONE)
		settle(end, FATE_BOUNCES, xasprintf("is returned: there is no user %s on this host", keys.v[0].text));
	hit_release(&h);
	way_keys_release(&keys);
	free(bare);
	return a == ANSWER_MISSING ? a : ANSWER_FOUND;
}

/* A local user may have an alias, whose members are recipients of their own: added behind l. */
static enum answer
follow_aliases(struct way_work *w, struct way_end *end, struct words *l)
{
	struct words members = { NULL, 0 };
	enum answer a = way_aliases(w, end->address, &members, &end->steps);
	size_t i, followed = 0;

	if (a == ANSWER_NONE)
		a = local_user(w, end) == ANSWER_MISSING ? ANSWER_MISSING : ANSWER_NONE;

	for (i = 0; a == ANSWER_FOUND && i < members.n; i++) {
		const char *member = members.v[i];

		if (strchr("|/\\\"", *member) || text_starts(member, ":include:"))
			continue;
		followed++;
		if (l->n < WAY_ENDS) {
			ARRAY_GROW(l->v, l->n);
			l->v[l->n++] = xstrdup(member);
		}
	}
	if (a == ANSWER_FOUND && followed == members.n && followed > 0)
		settle(end, FATE_LOCAL, xstrdup("goes on to the members of the alias"));
	else if (a == ANSWER_FOUND)
		settle(end, FATE_LOCAL, xstrdup("is given to the programs, files or lists of the alias"));
	else if (a == ANSWER_BROKEN)
		settle(end, FATE_WAITS, xstrdup("waits: alias_maps cannot be asked"));
	words_release(&members);
	return a == ANSWER_MISSING ? a : ANSWER_FOUND;
}

static enum answer
one_end(struct way_work *w, const char *address, const char *sender, struct words *l)
{
	struct way_end *end = way_end_list_add(&w->out->ends);
	enum answer a;

	end->address = xstrdup(address);
	a = way_route(w, sender, end);
	if (a == ANSWER_FOUND)
		a = way_hops(w, end);
	if (a == ANSWER_FOUND) {
		settle_by_transport(w, end);
		if (program_of(w, end, "local"))
			a = follow_aliases(w, end, l);
	} else if (a == ANSWER_BROKEN) {
		settle(end, FATE_WAITS, xstrdup("waits: a table of its way cannot be asked"));
		a = ANSWER_FOUND;
	}
	return a;
}

static enum answer
all_ends(struct way_work *w, const struct way_ask *ask)
{
	struct words start = { NULL, 0 }, l = { NULL, 0 };
	enum answer a = ANSWER_FOUND, one;
	size_t i, k;

	ARRAY_GROW(start.v, start.n);
	start.v[start.n++] = xstrdup(ask->address);
	/* members of a local alias come in once more by the front door: start grows */
	for (i = 0; i < start.n && w->out->ends.n < WAY_ENDS; i++) {
		words_release(&l);
		one = way_rewrite(w, start.v[i], &l);
		if (one == ANSWER_MISSING)
			a = one;
		if (one == ANSWER_BROKEN) {
			struct way_end *end = way_end_list_add(&w->out->ends);

			end->address = xstrdup(start.v[i]);
			settle(end, FATE_WAITS, xstrdup("is not taken: a table that rewrites addresses cannot be asked"));
		}
		for (k = 0; one == ANSWER_FOUND && k < l.n && w->out->ends.n < WAY_ENDS; k++) {
			const char *at = strrchr(l.v[k], '@');

			if (at == NULL || at[1] == '\0' || known_end(w->out, l.v[k]))
				continue;
			if (one_end(w, l.v[k], ask->sender, &start) != ANSWER_FOUND)
				a = ANSWER_MISSING;
		}
	}
	words_release(&l);
	words_release(&start);
	return a;
}

static void
say_filter(struct way_work *w)
{
	char *filter = view_value(&w->v, NULL, "content_filter");

	if (*filter)
		step_add(&w->out->steps, NULL, "content_filter = %s: mail from the network goes there first; this is its way afterwards",
		    filter);
	free(filter);
}

/* --- */

static int
address_is_sane(const char *what, const char *address, struct err *e)
{
	const char *at = strrchr(address, '@'), *p;
	bool good = *address != '\0' && *address != '@' && strlen(address) <= 320 && (at == NULL || at[1] != '\0');

	for (p = address; good && *p; p++)
		good = *p > ' ' && *p < 127;
	if (good)
		return 0;
	err_set(e, RC_USAGE, "\"%.100s\" is no %s", clean(address), what);
	return err_hint(e, "user@domain, with the domain as it stands in DNS (xn--...)");
}

int
postfix_way(const struct way_ask *ask, const struct sections *s, struct command_list *next, struct mail_way *out, struct err *e)
{
	struct way_work w = { .s = s, .next = next, .out = out, .look = ask->look, .level = ask->level };
	int rc;

	memset(out, 0, sizeof(*out));
	if (address_is_sane("address", ask->address, e) == -1
	    || (ask->sender && *ask->sender && address_is_sane("sender's address", ask->sender, e) == -1))
		return -1;
	rc = way_view(&w.v, s, next, e);
	if (rc == 0) {
		out->address = xstrdup(ask->address);
		out->sender = xstrdup(ask->sender);
		say_filter(&w);
		(void)all_ends(&w, ask);
		if (w.over)
			rc = err_set(e, RC_LIMIT, "the way of %s leads through more than %d look-ups", clean(ask->address), WAY_LOOKUPS);
	}
	view_release(&w.v);
	if (rc == 0 && w.wait)
		rc = 1;
	if (rc != 0)
		mail_way_release(out);
	return rc;
}
