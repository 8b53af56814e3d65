/* What stands in certificates that are looked at again and again: for a row of the tree, for what needs attention, for what differs.
 * Parsing one costs more than all else that is done with it there, so what was found is kept by the digest of its text. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include "mxseal/certificate.h"
#include "mxseal/xalloc.h"

#define HEADS 1024
#define KEPT 4096                /* texts; beyond that who was not asked for the longest time goes */

struct described {
	struct described *next;
	char sha256[65];
	int64_t asked;
	bool is_certificate, is_chain;
	struct certificate first;
	struct cert_line_list chain;
};

struct described_kept {
	struct described *heads[HEADS];
	size_t n;
	int64_t asked;
};

static void
described_free(struct described *d)
{
	certificate_release(&d->first);
	cert_line_list_release(&d->chain);
	free(d);
}

void
described_forget(struct journey *j)
{
	struct described *d, *next;
	size_t i;

	for (i = 0; j->described != NULL && i < HEADS; i++)
		for (d = j->described->heads[i]; d != NULL; d = next) {
			next = d->next;
			described_free(d);
		}
	free(j->described);
	j->described = NULL;
}

static void
drop_oldest(struct described_kept *k)
{
	struct described **at, **oldest = NULL, *gone;
	size_t i;

	for (i = 0; i < HEADS; i++)
		for (at = &k->heads[i]; *at != NULL; at = &(*at)->next)
			if (oldest == NULL || (*at)->asked < (*oldest)->asked)
				oldest = at;
	gone = *oldest;
	*oldest = gone->next;
	described_free(gone);
	k->n--;
}

/* Ten bits of the digest. */
static size_t
head_of(const char *sha256)
{
	char part[4] = { sha256[0], sha256[1], sha256[2], '\0' };

	return strtoul(part, NULL, 16) % HEADS;
}

static struct described *
find(struct journey *j, const char *pem)
{
	struct described **head, *d;
	char sha256[65];

	if (j->described == NULL)
		j->described = xcalloc(1, sizeof(*j->described));
	sha256_hex(pem, strlen(pem), sha256);
	head = &j->described->heads[head_of(sha256)];
	for (d = *head; d != NULL && strcmp(d->sha256, sha256) != 0; d = d->next)
		;
	if (d == NULL) {
		if (j->described->n >= KEPT)
			drop_oldest(j->described);
		d = xcalloc(1, sizeof(*d));
		memcpy(d->sha256, sha256, sizeof(sha256));
		d->is_certificate = cert_describe(pem, &d->first, NULL) == 0;
		d->is_chain = cert_chain_lines(pem, &d->chain, NULL) == 0;
		d->next = *head;
		*head = d;
		j->described->n++;
	}
	d->asked = ++j->described->asked;
	return d;
}

const struct certificate *
certificate_described(struct journey *j, const char *pem)
{
	const struct described *d = pem != NULL ? find(j, pem) : NULL;

	return d != NULL && d->is_certificate ? &d->first : NULL;
}

const struct cert_line_list *
chain_described(struct journey *j, const char *pem)
{
	const struct described *d = pem != NULL ? find(j, pem) : NULL;

	return d != NULL && d->is_chain ? &d->chain : NULL;
}
