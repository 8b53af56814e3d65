/* Time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mxseal/clean.h"
#include "mxseal/when.h"

int64_t
when_now(void)
{
	const char *fixed = getenv("MXSEAL_NOW");

	return fixed != NULL && *fixed ? strtoll(fixed, NULL, 10) : (int64_t)time(NULL);
}

int64_t
when_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
broken_down(struct tm *tm, int64_t t)
{
	time_t clock = (time_t)t;

	if (gmtime_r(&clock, tm) == NULL)
		memset(tm, 0, sizeof(*tm));
}

void
when_rfc3339(char out[32], int64_t t)
{
	struct tm tm;

	broken_down(&tm, t);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void
when_date(char out[16], int64_t t)
{
	struct tm tm;

	broken_down(&tm, t);
	strftime(out, 16, "%Y-%m-%d", &tm);
}

void
when_ago(char out[16], int64_t s)
{
	if (s < 0)
		s = 0;
	if (s < 100)
		snprintf(out, 16, "%d s", (int)s);
	else if (s < 100 * 60)
		snprintf(out, 16, "%d min", (int)(s / 60));
	else if (s < 48 * 3600)
		snprintf(out, 16, "%d:%02d h", (int)(s / 3600), (int)(s / 60 % 60));
	else
		snprintf(out, 16, "%d d", (int)(s / 86400 > 99999999 ? 99999999 : s / 86400));
}

int
when_parse_date(int64_t *out, const char *text, struct err *e)
{
	struct tm tm = { .tm_isdst = 0 };
	const char *end;
	int64_t t;

	end = strptime(text, "%Y-%m-%d", &tm);
	if (end != NULL && *end == '\0') {
		t = (int64_t)timegm(&tm);
		*out = t + 86399;
		return 0;
	}
	memset(&tm, 0, sizeof(tm));
	end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (end != NULL && *end == '\0') {
		*out = (int64_t)timegm(&tm);
		return 0;
	}
	err_set(e, RC_INVALID, "\"%s\" is not a date", clean(text));
	return err_hint(e, "write it as 2026-12-31");
}
