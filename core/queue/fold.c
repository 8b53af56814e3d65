/* Folds a delay reason: what differs from message to message becomes a mark, so that equal causes become equal texts. Kept
 * as they are: reply codes and enhanced codes, which are the cause. Cannot fail. */
#include <ctype.h>
#include <string.h>

#include "mxseal/failure.h"

#define FOLD_MAX 300         /* bytes of a folded reason */

static bool
word_char(unsigned char c)
{
	return isalnum(c) || c == '.' || c == '-' || c == '_' || c == '@' || c == '+' || c == '=' || c >= 0x80;
}

/* "450" or "4.7.1": these say what is wrong. */
static bool
is_status(const char *w, size_t n)
{
	size_t i, dots = 0;

	if (w[0] != '2' && w[0] != '4' && w[0] != '5')
		return false;
	for (i = 1; i < n; i++) {
		if (w[i] == '.')
			dots++;
		else if (!isdigit((unsigned char)w[i]))
			return false;
	}
	return (n == 3 && dots == 0) || (dots == 2 && w[1] == '.' && w[n - 1] != '.' && n <= 7);
}

/* "450-4.2.1", "421-TLS". */
static size_t
status_in_front(const char *w, size_t n)
{
	if (n > 4 && w[3] == '-' && is_status(w, 3))
		return is_status(w + 4, n - 4) ? n : 0;
	return 0;
}

/* A queue or session number: long, letters and digits mixed, or hexadecimal. */
static bool
is_id(const char *w, size_t n)
{
	size_t i, digits = 0, others = 0;

	for (i = 0; i < n; i++) {
		if (isdigit((unsigned char)w[i]))
			digits++;
		else if (!isalpha((unsigned char)w[i]))
			others++;
	}
	return others == 0 && ((n >= 8 && digits >= 2) || (n >= 6 && digits >= 3));
}

static void
fold_word(const char *w, size_t n, bool bracket, struct str *out)
{
	size_t i, dots = 0, digits = 0, letters = 0;

	for (i = 0; i < n; i++) {
		dots += w[i] == '.';
		digits += isdigit((unsigned char)w[i]) != 0;
		letters += isalpha((unsigned char)w[i]) != 0;
	}
	if (is_status(w, n) || status_in_front(w, n) > 0)
		str_addn(out, w, n);
	else if (memchr(w, '@', n) != NULL)
		str_add(out, "ADDRESS");
	else if (bracket)
		str_add(out, "HOST");
	else if (dots == 3 && letters == 0 && digits + dots == n)
		str_add(out, "IP");
	else if (is_id(w, n))
		str_add(out, "ID");
	else
		for (i = 0; i < n; i++) {
			if (!isdigit((unsigned char)w[i])) {
				str_addc(out, w[i]);
				continue;
			}
			/* "TLSv1.2" keeps its digits, a lone number does not */
			if (letters > 0 && n < 12) {
				str_addc(out, w[i]);
				continue;
			}
			while (i + 1 < n && (isdigit((unsigned char)w[i + 1]) || w[i + 1] == '.'))
				i++;
			str_addc(out, 'N');
		}
}

void
reason_fold(const char *text, size_t len, struct str *out)
{
	static const char suspended[] = "delivery temporarily suspended: ";
	const char *p = text, *end = text + len, *q, *close;
	size_t skip = strlen(suspended), start = out->len;

	while ((size_t)(end - p) >= skip && memcmp(p, suspended, skip) == 0)
		p += skip;
	while (p < end && out->len - start < FOLD_MAX) {
		unsigned char c = (unsigned char)*p;

		if (c == '<' && (close = memchr(p, '>', (size_t)(end - p))) != NULL && close - p < 260 &&
		    memchr(p, ' ', (size_t)(close - p)) == NULL) {
			str_add(out, "ADDRESS");
			p = close + 1;
			continue;
		}
		if (!word_char(c)) {
			/* one blank is as good as many, and control characters are blanks */
			if (c <= ' ') {
				if (out->len > start && out->s[out->len - 1] != ' ')
					str_addc(out, ' ');
			} else
				str_addc(out, (char)c);
			p++;
			continue;
		}
		for (q = p; q < end && word_char((unsigned char)*q); q++)
			;
		close = NULL;
		if (q < end && *q == '[' && (close = memchr(q, ']', (size_t)(end - q))) != NULL && close - q < 60 &&
		    memchr(q, ' ', (size_t)(close - q)) == NULL) {
			/* host[address] and its port */
			fold_word(p, (size_t)(q - p), true, out);
			p = close + 1;
			continue;
		}
		/* a dot at the end belongs to the sentence */
		while (q > p + 1 && (q[-1] == '.' || q[-1] == '-'))
			q--;
		fold_word(p, (size_t)(q - p), false, out);
		p = q;
	}
}
