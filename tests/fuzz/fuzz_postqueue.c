/* Queue listings, cut into pieces whose size the first byte chooses: the sums must not depend on the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mxseal/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
run(const uint8_t *data, size_t size, enum queue_by by, size_t piece, struct queue_groups *g, struct queue_messages *m,
    int64_t counts[2])
{
	struct queue_reader *q = queue_reader_new(by, "mx1", piece % 3 == 0 ? "x.test" : NULL, 3);
	size_t at, n;

	for (at = 0; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		queue_reader_feed(q, (const char *)data + at, n);
	}
	queue_reader_end(q, g);
	queue_reader_taken(q, m);
	counts[0] = queue_reader_messages(q);
	counts[1] = queue_reader_bad_lines(q);
	queue_reader_free(q);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct queue_groups a, b;
	struct queue_messages ma, mb;
	int64_t ca[2], cb[2];
	size_t i;

	if (size < 2)
		return 0;
	run(data + 2, size - 2, (enum queue_by)(data[0] % 4), 3 * (size_t)(data[1] + 1), &a, &ma, ca);
	run(data + 2, size - 2, (enum queue_by)(data[0] % 4), 3000000, &b, &mb, cb);
	if (ca[0] != cb[0] || ca[1] != cb[1] || a.n != b.n || ma.n != mb.n)
		abort();
	for (i = 0; i < a.n; i++)
		if (strcmp(a.v[i].key, b.v[i].key) != 0 || a.v[i].recipients != b.v[i].recipients ||
		    a.v[i].messages != b.v[i].messages || a.v[i].bytes != b.v[i].bytes || a.v[i].failure != b.v[i].failure)
			abort();
	queue_groups_merge(&a, &b);
	queue_groups_release(&a);
	queue_groups_release(&b);
	queue_messages_release(&ma);
	queue_messages_release(&mb);
	return 0;
}
