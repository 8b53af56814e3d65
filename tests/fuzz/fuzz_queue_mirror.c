/* What a host says of its queue, in two pieces and in up to four answers: whatever stands there, a look comes to an end, sums add
 * up, and only paths of a queue are asked for. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
words_check(const struct queue_words *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (strspn(w->v[i], "+. |-/,_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != strlen(w->v[i]))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char full[] = "@queue 1000 1 /q\n@log 7 500\n@json\n{\"queue_name\": \"deferred\", \"queue_id\": \"3AAAAAAA01\", "
	    "\"recipients\": [{\"address\": \"x@a.test\", \"delay_reason\": \"lost\"}]}\n@dir deferred/3\n3AAAAAAA01 1 2\n@end\n";
	struct queue_mirror *m = queue_mirror_new();
	struct queue_groups g;
	struct queue_words w;
	struct err e;
	const char *p = (const char *)data, *end = p + size, *cut;
	int64_t messages = 0;
	size_t i, k;
	int turn;

	queue_mirror_begin(m, 1, false);
	if (queue_mirror_ask(m, &w, &e) == 1)
		queue_words_release(&w);
	(void)queue_mirror_feed(m, full, sizeof(full) - 1);
	if (queue_mirror_ask(m, &w, &e) != 0)
		abort();
	queue_mirror_begin(m, 2, size % 2 == 1);
	for (turn = 0; turn < 8 && queue_mirror_ask(m, &w, &e) == 1; turn++) {
		words_check(&w);
		queue_words_release(&w);
		cut = p < end ? memchr(p, '\f', (size_t)(end - p)) : NULL;       /* between two answers */
		k = (size_t)((cut != NULL ? cut : end) - p);
		(void)queue_mirror_feed(m, p, k / 3);
		(void)queue_mirror_feed(m, p + k / 3, k - k / 3);
		p = cut != NULL ? cut + 1 : end;
	}
	queue_mirror_groups(m, QUEUE_BY_SERVER, "mx1", &g);
	for (i = 0; i < g.n; i++)
		messages += g.v[i].messages;
	if (messages > queue_mirror_messages(m))
		abort();
	queue_groups_release(&g);
	queue_mirror_groups(m, QUEUE_BY_REASON, "mx1", &g);
	queue_groups_release(&g);
	queue_mirror_free(m);
	return 0;
}
