/* Find: what a person types against a text. */
#include <ctype.h>
#include <string.h>
#include "tui/console/draw.h"

static int
low(char c)
{
	return tolower((unsigned char)c);
}

int
match_fuzzy(const char *text, const char *pattern)
{
	int score = 1, run = 0;
	const char *p = pattern, *whole = strcasestr(text, pattern);

	if (*pattern == '\0')
		return 1;
	if (whole != NULL)
		return 1000 + (whole == text ? 500 : whole[-1] == ' ' ? 300 : 0);
	for (const char *t = text; *t != '\0' && *p != '\0'; t++) {
		if (*p == ' ') {
			p++;
			if (*p == '\0')
				break;
		}
		if (low(*t) == low(*p)) {
			score += 2 + 3 * run + (t == text || t[-1] == ' ' ? 10 : 0);
			run++;
			p++;
		} else {
			run = 0;
		}
	}
	return *p == '\0' ? score : 0;
}

bool
match_words(const char *text, const char *pattern)
{
	size_t n;
	char **words;
	bool all = true;

	if (text_empty(pattern))
		return true;
	words = words_split(pattern, " ", &n);
	for (size_t i = 0; i < n && all; i++)
		all = strcasestr(text, words[i]) != NULL;
	words_free(words);
	return all;
}
