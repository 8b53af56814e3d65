/* The stamps of lines: RFC 3339 (or "+0000" for the offset, as journalctl has it), and the old ones of syslog, which name neither
 * year nor zone and are read by the host's own clock. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "private.h"

#define DAY 86400

/* Seconds since 1970 of a date of the Gregorian calendar, months from 1, as if it were UTC. */
static int64_t
civil(int year, int month, int day, int seconds)
{
	int y = month > 2 ? year : year - 1, of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return (int64_t)(y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468) * DAY + seconds;
}

static int
two(const char *p)
{
	return (p[0] - '0') * 10 + p[1] - '0';
}

static bool
shaped(const char *p, const char *shape)
{
	for (; *shape; shape++, p++)
		if (*shape == '9' ? !isdigit((unsigned char)*p) : *p != *shape)
			return false;
	return true;
}

/* "21:09:54", as seconds of the day; -1: it is none. */
static int
time_of_day(const char *p)
{
	if (!shaped(p, "99:99:99") || two(p) > 23 || two(p + 3) > 59 || two(p + 6) > 60)
		return -1;
	return two(p) * 3600 + two(p + 3) * 60 + two(p + 6);
}

static bool
is_date(int month, int day)
{
	return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

void
log_clock_utc(struct log_clock *c, int64_t now)
{
	time_t t = (time_t)now;
	struct tm tm;

	gmtime_r(&t, &tm);
	*c = (struct log_clock){ .now = now, .civil = now, .year = tm.tm_year + 1900 };
}

/* "1795721361 2026 11 26 21 09 21" */
bool
log_clock_hear(struct log_clock *c, const char *text)
{
	int year, month, day, hour, minute, second;
	long long now;

	if (sscanf(text, "%lld %d %d %d %d %d %d", &now, &year, &month, &day, &hour, &minute, &second) != 7 || now < 0
	    || now > INT64_C(253402300799) || year < 1970 || year > 9999 || !is_date(month, day) || hour < 0 || hour > 23 || minute < 0
	    || minute > 59 || second < 0 || second > 60)
		return false;
	*c = (struct log_clock){ .now = now, .civil = civil(year, month, day, hour * 3600 + minute * 60 + second), .year = year };
	return true;
}

static bool
stamp_iso(const char *p, int64_t *at)
{
	int seconds, offset = 0, sign;

	if (!shaped(p, "9999-99-99T") || (seconds = time_of_day(p + 11)) < 0 || !is_date(two(p + 5), two(p + 8)))
		return false;
	*at = civil(two(p) * 100 + two(p + 2), two(p + 5), two(p + 8), seconds);
	p += 19;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++)
			;
	sign = *p == '-' ? -1 : 1;
	if (*p == '+' || *p == '-') {
		p++;
		if (shaped(p, "99:99"))
			offset = two(p) * 3600 + two(p + 3) * 60;
		else if (shaped(p, "9999"))
			offset = two(p) * 3600 + two(p + 2) * 60;
	}
	*at -= sign * offset;
	return true;
}

/* "Nov 26 21:09:54": of this year or of the one before. */
static bool
stamp_old(const struct log_clock *c, const char *p, int64_t *at)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int month, day, seconds = time_of_day(p + 7);
	int64_t shown;

	if (seconds < 0 || p[3] != ' ' || (p[4] != ' ' && !isdigit((unsigned char)p[4])) || !isdigit((unsigned char)p[5]))
		return false;
	for (month = 0; month < 12 && memcmp(p, months + 3 * month, 3) != 0; month++)
		;
	day = (p[4] == ' ' ? 0 : p[4] - '0') * 10 + p[5] - '0';
	if (!is_date(month + 1, day))
		return false;
	shown = civil(c->year, month + 1, day, seconds);
	if (shown > c->civil + DAY)
		shown = civil(c->year - 1, month + 1, day, seconds);
	*at = c->now - (c->civil - shown);
	return true;
}

bool
log_stamp(const struct log_clock *c, const char *line, size_t len, int64_t *at)
{
	if (len < 19)
		return false;
	return isdigit((unsigned char)*line) ? stamp_iso(line, at) : stamp_old(c, line, at);
}
