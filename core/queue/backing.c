/* Does mail for a destination back up? Measured against what the destination itself was like before, hour by hour: who always
 * has fifty messages waiting, or five thousand every morning, is no news. Cannot fail. */
#include <stdlib.h>
#include <string.h>

#include "mxseal/queue.h"
#include "mxseal/xalloc.h"

#define DAY 86400
#define DAYS 28
#define FEW 10                   /* messages: fewer are never worth an alarm */
#define SETTLED 600              /* seconds that the oldest must have waited: a burst just sent is none */

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The lower one of the two in the middle. */
static int64_t
median(int64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare);
	return n > 0 ? v[(n - 1) / 2] : 0;
}

static int64_t
high_between(const struct queue_cell_list *l, int64_t from, int64_t to, bool *any)
{
	int64_t high = 0;
	size_t i;

	*any = false;
	for (i = 0; i < l->n; i++)
		if (l->v[i].at > from && l->v[i].at <= to) {
			*any = true;
			if (l->v[i].high > high)
				high = l->v[i].high;
		}
	return high;
}

/* The hours before this one, of the first days. */
static bool
usual_of_hours(const struct queue_cell_list *own, const struct queue_cell_list *watched, int64_t now, int64_t *usual)
{
	int64_t *v = xcalloc(watched->n + 1, sizeof(*v));
	size_t i, n = 0;
	bool any;

	for (i = 0; i < watched->n; i++)
		if (watched->v[i].at <= now - 3600)
			v[n++] = high_between(own, watched->v[i].at - 1, watched->v[i].at, &any);
	*usual = median(v, n);
	free(v);
	return n > 0;
}

bool
queue_usual(const struct queue_cell_list *own, const struct queue_cell_list *watched, int64_t now, int64_t *usual, int *days)
{
	int64_t v[DAYS], seen[DAYS + 1] = { 0 }, high, week;
	bool known[DAYS + 1] = { false }, any;
	size_t n = 0;
	int k;

	*days = 0;
	for (k = 1; k <= DAYS; k++) {
		(void)high_between(watched, now - (k + 1) * (int64_t)DAY, now - k * (int64_t)DAY, &known[k]);
		if (!known[k])
			continue;
		high = high_between(own, now - (k + 1) * (int64_t)DAY, now - k * (int64_t)DAY, &any);
		seen[k] = high;
		if (k <= 14)
			v[n++] = high;
	}
	if (n < 2)
		return usual_of_hours(own, watched, now, usual);
	*days = (int)n;
	*usual = median(v, n);
	/* what comes every week at this day is usual too; days begin at this hour, so it is one of two */
	if ((known[6] || known[7]) && (known[13] || known[14])) {
		week = seen[6] > seen[7] ? seen[6] : seen[7];
		high = seen[13] > seen[14] ? seen[13] : seen[14];
		week = week < high ? week : high;
		*usual = week > *usual ? week : *usual;
	}
	return true;
}

int64_t
queue_too_many(int64_t usual)
{
	int64_t limit = usual < 1000 ? usual * 3 : usual * 2;

	return limit > FEW ? limit : FEW;
}

bool
queue_backs_up(const struct queue_now *q, int64_t usual, bool already)
{
	int64_t limit = queue_too_many(usual);

	if (already)                     /* until it is half gone, so that it does not come and go */
		return q->messages >= limit / 2 + 1;
	return q->messages >= limit && q->oldest > 0 && q->now - q->oldest >= SETTLED && q->messages >= q->before;
}
