/* The records of way.h: what they own. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/way.h"
#include "mxseal/xalloc.h"

const char *
way_fate_name(enum way_fate f)
{
	static const char *const names[] = { "unknown", "tls", "clear", "local", "waits", "bounces", "discarded" };

	return names[f];
}

void
way_step_release(struct way_step *r)
{
	free(r->text);
	free(r->map);
	free(r->key);
	free(r->row);
	*r = (struct way_step){ .text = NULL };
}

void
way_hop_release(struct way_hop *r)
{
	free(r->dest);
	free(r->host);
	free(r->policy_map);
	free(r->policy_key);
	free(r->policy_row);
	free(r->level);
	free(r->level_by);
	free(r->match);
	free(r->protocols);
	free(r->families);
	free(r->roots);
	free(r->damage);
	free(r->trouble);
	free(r->dane);
	free(r->dane_host);
	free(r->forecast);
	*r = (struct way_hop){ .dest = NULL };
}

void
way_end_release(struct way_end *r)
{
	free(r->address);
	free(r->address_class);
	free(r->transport);
	free(r->next_hop);
	free(r->by);
	free(r->route_map);
	free(r->route_key);
	free(r->route_row);
	free(r->forecast);
	way_step_list_release(&r->steps);
	way_hop_list_release(&r->hops);
	*r = (struct way_end){ .address = NULL };
}

void
mail_way_release(struct mail_way *r)
{
	free(r->address);
	free(r->sender);
	free(r->connector);
	way_step_list_release(&r->steps);
	way_end_list_release(&r->ends);
	*r = (struct mail_way){ .address = NULL };
}

void
dead_rule_release(struct dead_rule *r)
{
	found_rule_release(&r->rule);
	free(r->repair);
	free(r->domains);
	free(r->smart_host);
	free(r->tls);
	free(r->match);
	*r = (struct dead_rule){ .line = 0 };
}

/* The list of a record, as RECORD declares it. */
#define LIST(name) \
	void \
	name##_list_release(struct name##_list *l) \
	{ \
		size_t i; \
		for (i = 0; i < l->n; i++) \
			name##_release(&l->v[i]); \
		free(l->v); \
		*l = (struct name##_list){ NULL, 0 }; \
	} \
	struct name * \
	name##_list_add(struct name##_list *l) \
	{ \
		ARRAY_GROW(l->v, l->n); \
		memset(&l->v[l->n], 0, sizeof(l->v[0])); \
		return &l->v[l->n++]; \
	}

LIST(way_step)
LIST(way_hop)
LIST(way_end)
LIST(mail_way)
LIST(dead_rule)
