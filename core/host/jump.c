/* Jump hosts, as ssh goes through them: the first of a list by its own settings, which may name further ones in front of it,
 * each of the others through the one before it. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/clean.h"
#include "mxseal/xalloc.h"
#include "private.h"

#define JUMPS_MAX 8

static void
jump_release(struct jump *j)
{
	login_release(&j->login);
	route_release(&j->route);
	free(j->name);
}

void
jumps_release(struct host *h)
{
	size_t i;

	for (i = 0; i < h->n_jumps; i++)
		jump_release(&h->jumps[i]);
	free(h->jumps);
	h->jumps = NULL;
	h->n_jumps = 0;
}

/* Passwords are never given to a jump host, so its login holds one only to open keys with. */
static int
jump_find(struct jump *j, const struct host *h, const char *word, struct err *e)
{
	const char *target = text_starts(word, "ssh://") ? word + 6 : word;

	*j = (struct jump){ .name = xasprintf("the jump host %s", clean(target)) };
	j->login = (struct login){ .target = xstrdup(target), .known_hosts = xstrdup(h->login.known_hosts),
		.ssh_config = xstrdup(h->login.ssh_config), .timeout_ms = h->login.timeout_ms };
	secret_copy(&j->login.password, &h->login.password);
	if (text_eq(target, "local:"))
		return err_set(e, RC_INVALID, "%s: that is no jump host", j->name);
	return route_find(&j->route, &j->login, h->wake[0], e) < 0 ? err_wrap(e, "%s", j->name) : 0;
}

static int
add_jumps(struct host *h, const char *proxy, size_t depth, struct err *e)
{
	char **words = words_split(proxy + strlen("ProxyJump "), ", ", NULL);
	struct jump j;
	size_t i;
	int rc = 0;

	for (i = 0; words[i] != NULL && rc == 0; i++) {
		if (depth == JUMPS_MAX || h->n_jumps == JUMPS_MAX) {
			rc = err_set(e, RC_LIMIT, "the way to %s leads through more than %d jump hosts, or in a circle", h->name, JUMPS_MAX);
			break;
		}
		rc = jump_find(&j, h, words[i], e);
		if (rc == 0 && i == 0 && route_jumps(&j.route))
			rc = add_jumps(h, j.route.proxy, depth + 1, e);
		if (rc < 0) {
			jump_release(&j);
			break;
		}
		if (i > 0 || route_jumps(&j.route))
			xset(&j.route.proxy, NULL);
		ARRAY_GROW(h->jumps, h->n_jumps);
		h->jumps[h->n_jumps++] = j;
	}
	words_free(words);
	return rc;
}

int
jumps_find(struct host *h, struct err *e)
{
	int rc = route_jumps(&h->route) ? add_jumps(h, h->route.proxy, 0, e) : 0;

	if (rc < 0)
		jumps_release(h);
	return rc;
}
