/* Keys that live here, sealed: opened when a push carries one to a host that does not have it yet. There it lies beside the
 * host's own under a name made from its public half, so that several hosts can share one, and a second push finds it. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

char *
key_path_for(const char *spki_sha256)
{
	return xasprintf("/var/lib/mxseal/keys/%.32s.key", spki_sha256);
}

int
sealed_key_open(struct journey *j, const struct certificate *c, struct secret *key, struct err *e)
{
	int rc;

	if (!journey_has_passphrase(j))
		return err_set(e, RC_PASSPHRASE, "the key of certificate #%lld is sealed: its passphrase is needed", (long long)c->id);
	rc = unseal(c->sealed_key, &j->passphrase, key, e);
	if (rc == -1)
		passphrase_wrong(j, e);
	return rc;
}

/* Does the host use this certificate already, as far as the last reading saw? Then it has the key as well. */
static bool
in_use(struct journey *j, int64_t server, const struct certificate *c)
{
	struct vserver_list l = { NULL, 0 };
	struct certificate found = { .id = 0 };
	bool yes = false;
	size_t i;

	if (store_vservers(j->store, server, &l, NULL) == 0)
		for (i = 0; i < l.n && !yes; i++) {
			const char *pems[] = { l.v[i].cert_pem, l.v[i].second_pem };

			if (l.v[i].cert_trouble != NULL || !text_starts(l.v[i].cert_file, "/etc/mxseal/"))
				continue;
			for (size_t k = 0; k < 2 && !yes; k++) {
				if (pems[k] == NULL || cert_describe(pems[k], &found, NULL) == -1)
					continue;
				yes = text_eq(found.sha256, c->sha256);
				certificate_release(&found);
				memset(&found, 0, sizeof(found));
			}
		}
	vserver_list_release(&l);
	return yes;
}

int
keys_open(struct journey *j, int64_t server, const struct wanted_host *w, struct open_keys *out, struct err *e)
{
	size_t i;

	for (i = 0; i < 2 * w->n_vs; i++) {
		const struct certificate *c = i % 2 == 0 ? w->vs[i / 2].certificate : w->vs[i / 2].second;

		if (c == NULL || text_empty(c->sealed_key) || (!journey_has_passphrase(j) && in_use(j, server, c)))
			continue;
		ARRAY_GROW(out->v, out->n);
		out->v[out->n++] = (struct open_key){ .path = xstrdup(c->key_path) };
		if (sealed_key_open(j, c, &out->v[out->n - 1].pem, e) == -1)
			return -1;
	}
	return 0;
}

void
open_keys_release(struct open_keys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		free(k->v[i].path);
		secret_release(&k->v[i].pem);
	}
	free(k->v);
	*k = (struct open_keys){ NULL, 0 };
}

int
keys_give(const struct open_keys *k, struct plan *p, struct err *e)
{
	for (size_t i = 0; i < p->n_keys; i++) {
		for (size_t n = 0; n < k->n && !secret_is_set(&p->keys[i].pem); n++)
			if (strcmp(k->v[n].path, p->keys[i].path) == 0)
				secret_copy(&p->keys[i].pem, &k->v[n].pem);
		if (!secret_is_set(&p->keys[i].pem))
			return err_set(e, RC_PASSPHRASE, "the host has no key %s any more; it is sealed here: its passphrase is needed",
			    p->keys[i].path);
	}
	return 0;
}
