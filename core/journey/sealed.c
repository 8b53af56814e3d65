/* What lies sealed in the store: keys of own authorities and of imported certificates, passwords of connectors, all under one passphrase, which the journey
 * keeps while the program runs. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/clean.h"
#include "mxseal/xalloc.h"

void
passphrase_wrong(struct journey *j, const struct err *e)
{
	if (e->code == RC_PASSPHRASE)
		journey_passphrase(j, NULL);
}

/* One sealed text, and the name of whose it is; NULL: there is none. Both given away. */
static char *
a_sealed_one(struct journey *j, char **name)
{
	struct authority_list authorities = { NULL, 0 };
	struct connector_list connectors = { NULL, 0 };
	struct certificate_list certificates = { NULL, 0 };
	char *text = NULL;
	size_t i;

	*name = NULL;
	if (store_authorities(j->store, &authorities, NULL) == 0)
		for (i = 0; i < authorities.n && text == NULL; i++)
			if (!text_empty(authorities.v[i].sealed_key)) {
				text = xstrdup(authorities.v[i].sealed_key);
				*name = xstrdup(authorities.v[i].name);
			}
	if (text == NULL && store_connectors(j->store, &connectors, NULL) == 0)
		for (i = 0; i < connectors.n && text == NULL; i++)
			if (!text_empty(connectors.v[i].auth_sealed)) {
				text = xstrdup(connectors.v[i].auth_sealed);
				*name = xstrdup(connectors.v[i].name);
			}
	if (text == NULL && store_certificates(j->store, &certificates, NULL) == 0)
		for (i = 0; i < certificates.n && text == NULL; i++)
			if (!text_empty(certificates.v[i].sealed_key)) {
				text = xstrdup(certificates.v[i].sealed_key);
				*name = xasprintf("certificate #%lld", (long long)certificates.v[i].id);
			}
	certificate_list_release(&certificates);
	authority_list_release(&authorities);
	connector_list_release(&connectors);
	return text;
}

bool
sealed_keys_exist(struct journey *j)
{
	char *name, *text = a_sealed_one(j, &name);
	bool yes = text != NULL;

	free(text);
	free(name);
	return yes;
}

int
passphrase_fits(struct journey *j, struct err *e)
{
	char *name, *text = a_sealed_one(j, &name);
	struct secret plain = { NULL, 0 };
	int rc = 0;

	if (text != NULL)
		rc = unseal(text, &j->passphrase, &plain, e);
	if (rc == -1 && e->code == RC_PASSPHRASE)
		err_set(e, RC_PASSPHRASE, "this is not the passphrase of what is sealed here, such as the secret of %s", clean(name));
	if (rc == -1)
		passphrase_wrong(j, e);
	secret_release(&plain);
	free(text);
	free(name);
	return rc;
}
