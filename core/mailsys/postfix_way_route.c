/* Transport and next hop of a recipient, in the order of trivial-rewrite(8): the class of its domain, the sender's tables,
 * relayhost, then transport(5), which stands over all of them. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mxseal/xalloc.h"
#include "postfix_way.h"

/* "transport:nexthop" from a parameter or the sender's table: an empty next hop changes nothing. */
static void
take_transport(struct way_end *end, const char *value, const char *by)
{
	const char *colon = strchr(value, ':');

	free(end->transport);
	end->transport = xstrndup(value, colon ? (size_t)(colon - value) : strlen(value));
	if (colon && colon[1])
		xset(&end->next_hop, colon + 1);
	xset(&end->by, by);
}

static void
take_param(struct way_work *w, struct way_end *end, const char *param)
{
	char *value = view_value(&w->v, NULL, param);

	take_transport(end, value, param);
	step_add(&end->steps, NULL, "%s = %s", param, value);
	free(value);
}

/* What a table says for the sender. None: nothing of use. */
static enum answer
ask_sender(struct way_work *w, const char *param, const char *null_key, const char *sender, struct way_end *end, struct hit *h)
{
	char *key;
	enum answer a;

	if (view_empty(&w->v, NULL, param))
		return ANSWER_NONE;
	if (sender == NULL) {
		step_add(&end->steps, NULL, "%s is not asked: it depends on who sends, and no sender was given", param);
		return ANSWER_NONE;
	}
	key = *sender ? xstrdup(sender) : view_value(&w->v, NULL, null_key);
	if (strchr(key, '@'))
		a = ask_address(w, param, key, h);
	else {
		char *list = view_value(&w->v, NULL, param);
		struct words maps;

		words_of(&maps, list);
		a = ask_maps(w, &maps, key, false, h);
		words_release(&maps);
		free(list);
	}
	free(key);
	if (a == ANSWER_BROKEN)
		step_add(&end->steps, h, "%s cannot be asked", param);
	if (a == ANSWER_FOUND && (*h->row == '\0' || strcasecmp(h->row, "DUNNO") == 0)) {
		step_add(&end->steps, h, "%s leaves it as it is for this sender", param);
		hit_release(h);
		a = ANSWER_NONE;
	}
	return a;
}

static enum answer
route_default_transport(struct way_work *w, const char *sender, struct way_end *end)
{
	const char *param = "sender_dependent_default_transport_maps";
	struct hit h = { NULL, NULL, NULL };
	enum answer a = ask_sender(w, param, "empty_address_default_transport_maps_lookup_key", sender, end, &h);

	if (a == ANSWER_FOUND) {
		take_transport(end, h.row, param);
		step_add(&end->steps, &h, "%s chooses the transport %s for this sender", param, end->transport);
	} else if (a == ANSWER_NONE) {
		take_param(w, end, "default_transport");
	}
	hit_release(&h);
	return a == ANSWER_NONE ? ANSWER_FOUND : a;
}

/* relayhost in all its forms: the sender's, the one of all, none. The transport may name a next hop of its own: it wins. */
static enum answer
route_relayhost(struct way_work *w, const char *sender, const char *domain, struct way_end *end)
{
	const char *param = "sender_dependent_relayhost_maps";
	struct hit h = { NULL, NULL, NULL };
	char *relayhost = view_value(&w->v, NULL, "relayhost");
	bool named = end->next_hop != NULL;
	enum answer a = ask_sender(w, param, "empty_address_relayhost_maps_lookup_key", sender, end, &h);

	if (!named && a == ANSWER_FOUND) {
		end->next_hop = xstrdup(h.row);
		xset(&end->by, param);
		step_add(&end->steps, &h, "%s sends this sender's mail to %s", param, h.row);
	} else if (!named && a == ANSWER_NONE && *relayhost) {
		end->next_hop = xstrdup(relayhost);
		xset(&end->by, "relayhost");
		step_add(&end->steps, NULL, "relayhost = %s", relayhost);
	} else if (!named && a == ANSWER_NONE) {
		end->next_hop = xstrdup(domain);
	}
	free(relayhost);
	hit_release(&h);
	return a == ANSWER_NONE ? ANSWER_FOUND : a;
}

/* --- classes --- */

static enum answer
route_class(struct way_work *w, const char *sender, const char *domain, struct way_end *end)
{
	enum answer local = domain_is_local(w, domain), alias = domain_listed(w, "virtual_alias_domains", domain, false, false),
	    mailbox = domain_listed(w, "virtual_mailbox_domains", domain, false, false),
	    relay = domain_listed(w, "relay_domains", domain, true, parents_match(&w->v, "relay_domains")), a;
	const enum answer all[] = { local, alias, mailbox, relay };
	static const char *const lists[] = { "mydestination", "virtual_alias_domains", "virtual_mailbox_domains", "relay_domains" };
	size_t i;

	for (i = 0; i < 4 && all[i] == ANSWER_NONE; i++)
		;
	if (i < 4 && all[i] != ANSWER_FOUND) {
		if (all[i] == ANSWER_BROKEN)
			step_add(&end->steps, NULL, "%s cannot be read", lists[i]);
		return all[i];
	}
	if (i < 4)
		step_add(&end->steps, NULL, "%s is in %s", domain, lists[i]);
	switch (i) {
	case 0:
		end->address_class = xstrdup("local");
		take_param(w, end, "local_transport");
		break;
	case 1:
		end->address_class = xstrdup("virtual-alias");
		take_transport(end, "error:5.1.1 User unknown in virtual alias table", "virtual_alias_domains");
		step_add(&end->steps, NULL, "no virtual alias knows %s: it is refused", end->address);
		return ANSWER_FOUND;
	case 2:
		end->address_class = xstrdup("virtual-mailbox");
		take_param(w, end, "virtual_transport");
		break;
	case 3:
		end->address_class = xstrdup("relay");
		take_param(w, end, "relay_transport");
		return route_relayhost(w, sender, domain, end);
	default:
		end->address_class = xstrdup("default");
		a = route_default_transport(w, sender, end);
		return a == ANSWER_FOUND ? route_relayhost(w, sender, domain, end) : a;
	}
	if (end->next_hop == NULL)
		end->next_hop = xstrdup(domain);
	return ANSWER_FOUND;
}

/* --- transport(5) --- */

static void
transport_keys(struct way_work *w, const char *address, const char *domain, struct way_keys *keys)
{
	char *bare = without_extension(&w->v, address, NULL);
	bool parents = parents_match(&w->v, "transport_maps");

	way_key_add(keys, false, "%s", address);
	if (bare)
		way_key_add(keys, true, "%s", bare);
	way_key_add(keys, true, "%s", domain);
	while ((domain = strchr(domain + 1, '.')) != NULL && domain[1] != '\0') {
		domain += parents;
		way_key_add(keys, true, "%s", domain);
	}
	way_key_add(keys, false, "*");
	free(bare);
}

static void
take_route(struct way_end *end, const struct hit *h, const char *domain)
{
	const char *colon = strchr(h->row, ':');
	char *transport = xstrndup(h->row, colon ? (size_t)(colon - h->row) : strlen(h->row));
	const char *hop = colon ? colon + 1 : "";

	xset(&end->route_map, h->map);
	xset(&end->route_key, h->key);
	xset(&end->route_row, h->row);
	xset(&end->by, "transport_maps");
	if (*transport)
		xset(&end->transport, transport);
	if (*hop)
		xset(&end->next_hop, hop);
	else if (*transport)
		xset(&end->next_hop, strcmp(transport, "error") == 0 || strcmp(transport, "retry") == 0
		    ? "Address is undeliverable" : domain);
	free(transport);
	if (strcmp(h->row, ":") == 0 || *h->row == '\0')
		step_add(&end->steps, h, "transport_maps leave it as it is");
	else
		step_add(&end->steps, h, "transport_maps: transport %s, next hop %s", end->transport, end->next_hop);
}

static enum answer
route_transport(struct way_work *w, const char *domain, struct way_end *end)
{
	char *list = view_value(&w->v, NULL, "transport_maps");
	struct way_keys keys = { NULL, 0 };
	struct hit h = { NULL, NULL, NULL };
	struct words maps;
	enum answer a = ANSWER_NONE;

	words_of(&maps, list);
	transport_keys(w, end->address, domain, &keys);
	if (strcmp(end->address_class, "virtual-alias") != 0)
		a = ask_keys(w, &maps, &keys, &h);
	if (a == ANSWER_FOUND)
		take_route(end, &h, domain);
	else if (a == ANSWER_BROKEN)
		step_add(&end->steps, &h, "transport_maps cannot be asked");
	hit_release(&h);
	way_keys_release(&keys);
	words_release(&maps);
	free(list);
	return a == ANSWER_NONE ? ANSWER_FOUND : a;
}

static enum answer
route_relocated(struct way_work *w, struct way_end *end)
{
	struct hit h = { NULL, NULL, NULL };
	enum answer a = ask_address(w, "relocated_maps", end->address, &h);

	if (a == ANSWER_FOUND) {
		step_add(&end->steps, &h, "relocated_maps: the user has moved");
		xset(&end->transport, "error");
		free(end->next_hop);
		end->next_hop = xasprintf("5.1.6 User has moved to %s", h.row);
		xset(&end->by, "relocated_maps");
	} else if (a == ANSWER_BROKEN) {
		step_add(&end->steps, &h, "relocated_maps cannot be asked");
	}
	hit_release(&h);
	return a == ANSWER_NONE ? ANSWER_FOUND : a;
}

enum answer
way_route(struct way_work *w, const char *sender, struct way_end *end)
{
	const char *domain = strrchr(end->address, '@') + 1;
	enum answer a = route_class(w, sender, domain, end), b;

	if (a == ANSWER_FOUND)
		a = route_transport(w, domain, end);
	if (a == ANSWER_FOUND && (b = route_relocated(w, end)) != ANSWER_FOUND)
		a = b;
	return a;
}
